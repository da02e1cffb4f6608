/* default: the valise.conf that `valise init` writes. */
#include "config/config.h"

static void write_addresses(struct buf *b, const struct config_start *s)
{
    if (!s->lab) {
        buf_add(b, STR("  addresses = {\"0.0.0.0\", \"::\"}\n"));
        return;
    }
    buf_add(b, STR("  addresses = {\"127.0.0.1\""));
    for (size_t i = 0; i < s->address_n; i++)
        if (!str_eq(s->addresses[i], STR("127.0.0.1")))
            buf_add_all(b, STR(", \""), s->addresses[i], STR("\""));
    buf_add(b, STR("}\n"));
    bool other = !str_starts(s->network, STR("127.")); /* a class on this machine alone */
    if (s->network.n)
        buf_add_all(b, STR("  networks = {\"127.0.0.0/8\""), other ? STR(", \"") : STR(""), other ? s->network : STR(""),
                    other ? STR("\"") : STR(""), STR("}\n"));
}

static void write_listener(struct buf *b, const struct config_start *s, const char *title, const char *protocol, unsigned port,
                           const char *tls, const char *note)
{
    buf_addf(b, "# %s\nlistener %s {\n  protocol = \"%s\"\n  port = %u\n  tls = \"%s\"\n", note, title, protocol, port, tls);
    if (strcmp(tls, "off") == 0) /* others would hide the password even here */
        buf_add(b, STR("  auth = {\"PLAIN\", \"LOGIN\"}\n"));
    write_addresses(b, s);
    buf_add(b, STR("}\n\n"));
}

static void write_listeners(struct buf *b, const struct config_start *s)
{
    bool clear = s->lesson;
    write_listener(b, s, "smtp", "smtp", 25, "opportunistic",
                   "Mail from other servers. RFC 3207 section 4: do not require TLS here.");
    buf_add(
        b,
        STR("# Listeners of submission and imap may name how people log in, and ask for client certificates (man valise.conf):\n"
            "#   client-cert = \"request\"\n"
            "#   auth = {\"EXTERNAL\", \"SCRAM-SHA-256\", \"PLAIN\"}\n"
            "# CRAM-MD5 and DIGEST-MD5, for old programs only, need legacy = true beside them and users flagged by `valise user "
            "legacy':\n"
            "# their passwords are then kept in a form that whoever has store and keys can read.\n\n"));
    write_listener(b, s, "submission", "submission", 587, clear ? "off" : "required",
                   clear ? "People and programs who send: for the lesson without TLS, passwords pass readable."
                         : "People and programs who send: STARTTLS, then AUTH.");
    write_listener(b, s, "submissions", "submission", 465, "implicit", "The same, TLS from the first byte (RFC 8314).");
    write_listener(b, s, "imap", "imap", 143, clear ? "off" : "required",
                   clear ? "Mailboxes: for the lesson without TLS, passwords and mail pass readable."
                         : "Mailboxes: STARTTLS before LOGIN.");
    write_listener(b, s, "imaps", "imap", 993, "implicit", "Mailboxes, TLS from the first byte.");
}

static void write_lesson(struct buf *b, const struct config_start *s)
{
    if (s->lesson)
        buf_add(b, STR("# INSECURE, for a lesson: the listeners below with tls = \"off\" let names, passwords and mail pass in "
                       "clear, and\n"
                       "# passwords may be as simple as user1. Only in a lab; end it with false, and give these listeners tls = "
                       "\"required\".\n"
                       "insecure-lesson = true\npassword-length-min = 1\npassword-refuse-common = false\n\n"));
}

void config_write_default(struct buf *b, const struct config_start *s)
{
    str exempt = s->network.n && !str_starts(s->network, STR("127.")) ? s->network : (str){ 0 };
    buf_addf(
        b,
        "# valise.conf: read at start and at `valise reload`; a mistake is refused with its line and the old settings stay.\n"
        "version = 1\n\n"
        "# The name this server greets with and puts into Received: fields.\n"
        "hostname = \"%.*s\"\n\n"
        "# When started as root: the user of the store. Two more, with -keeper and -mx behind its name, have the keys and port "
        "25.\n"
        "user = \"valise\"\n\n"
        "# Processes that talk to strangers on port 25. More use more cores.\n"
        "mx-processes = 1\n\n"
        "# Largest message in bytes (SIZE).\n"
        "message-size-max = 52428800\n\n"
        "# What one peer may do: defaults hold off floods, `valise status` shows all and who is at a limit. Peers in "
        "limits-exempt are not\n"
        "# limited by address. Sections are for smtp, submission and imap; see valise.conf(5).\n"
        "limits-exempt = {\"127.0.0.0/8\", \"::1\"%s%.*s%s}\n"
        "#limits smtp { connections-per-address = 50 message-rate-per-address = \"100/minute\" }\n"
        "#limits submission { recipient-rate-per-account = \"2000/day\" }\n\n"
        "# debug, info, warning or error\n"
        "log-level = \"info\"\n\n",
        STR_ARG(s->hostname), exempt.n ? ", \"" : "", STR_ARG(exempt), exempt.n ? "\"" : "");
    write_lesson(b, s);
    buf_addf(
        b,
        "# The language of what valise writes to people, en or fr, where `valise user language' says nothing else; whether new "
        "users are\n"
        "# welcomed by a letter (welcome.txt beside this file may have a text of your own), and told when a quota is nearly "
        "used up.\n"
        "language = \"en\"\nwelcome = %s\nquota-warnings = true\n\n",
        s->lab ? "false" : "true");
    buf_addf(b, "# Keys of users' certificates: rsa, which every mail program can encrypt to, or ecdsa.\n%suser-key = \"%s\"\n\n",
             s->lab ? "" : "#", s->lab ? "rsa" : "ecdsa");
    write_listeners(b, s);
    buf_add(b,
            STR("# What the server counts, for Prometheus: GET /metrics over HTTP, without login, so on this machine only.\n"
                "# listener metrics {\n#   protocol = \"metrics\"\n#   port = 9425\n#   addresses = {\"127.0.0.1\"}\n# }\n\n"));
    buf_add(b, STR("# The certificate shown when no other section bears the server name that the client asks for (SNI).\n"
                   "# Its private key lies in keys/, found by the certificate's public key.\n"
                   "certificate default {\n  chain = \"tls/server.pem\"\n}\n"));
}
