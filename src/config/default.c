/* default: the valise.conf that `valise init` writes. */
#include "config/config.h"

static void write_listener(struct buf *b, const char *title, const char *protocol, unsigned port, const char *tls,
                           const char *note, bool lab)
{
    buf_addf(b, "# %s\nlistener %s {\n  protocol = \"%s\"\n  port = %u\n  tls = \"%s\"\n  addresses = %s\n}\n\n", note, title,
             protocol, port, tls, lab ? "{\"127.0.0.1\"}" : "{\"0.0.0.0\", \"::\"}");
}

void config_write_default(struct buf *b, str hostname, bool lab)
{
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
        "limits-exempt = {\"127.0.0.0/8\", \"::1\"}\n"
        "#limits smtp { connections-per-address = 50 message-rate-per-address = \"100/minute\" }\n"
        "#limits submission { recipient-rate-per-account = \"2000/day\" }\n\n"
        "# debug, info, warning or error\n"
        "log-level = \"info\"\n\n",
        STR_ARG(hostname));
    buf_addf(b, "# Keys of users' certificates: rsa, which every mail program can encrypt to, or ecdsa.\n%suser-key = \"%s\"\n\n",
             lab ? "" : "#", lab ? "rsa" : "ecdsa");
    write_listener(b, "smtp", "smtp", 25, "opportunistic",
                   "Mail from other servers. RFC 3207 section 4: do not require TLS here.", lab);
    buf_add(
        b,
        STR("# Listeners of submission and imap may name how people log in, and ask for client certificates (man valise.conf):\n"
            "#   client-cert = \"request\"\n"
            "#   auth = {\"EXTERNAL\", \"SCRAM-SHA-256\", \"PLAIN\"}\n"
            "# CRAM-MD5 and DIGEST-MD5, for old programs only, need legacy = true beside them and users flagged by `valise user "
            "legacy':\n"
            "# their passwords are then kept in a form that whoever has store and keys can read.\n\n"));
    write_listener(b, "submission", "submission", 587, "required", "People and programs who send: STARTTLS, then AUTH.", lab);
    write_listener(b, "submissions", "submission", 465, "implicit", "The same, TLS from the first byte (RFC 8314).", lab);
    write_listener(b, "imap", "imap", 143, "required", "Mailboxes: STARTTLS before LOGIN.", lab);
    write_listener(b, "imaps", "imap", 993, "implicit", "Mailboxes, TLS from the first byte.", lab);
    buf_add(b,
            STR("# What the server counts, for Prometheus: GET /metrics over HTTP, without login, so on this machine only.\n"
                "# listener metrics {\n#   protocol = \"metrics\"\n#   port = 9425\n#   addresses = {\"127.0.0.1\"}\n# }\n\n"));
    buf_add(b, STR("# The certificate shown when no other section bears the server name that the client asks for (SNI).\n"
                   "# Its private key lies in keys/, found by the certificate's public key.\n"
                   "certificate default {\n  chain = \"tls/server.pem\"\n}\n"));
}
