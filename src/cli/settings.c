/* settings: the table for valise.conf(5), and nothing else. */
#include "cli/settings.h"

#include <stddef.h>

const struct cli_section cli_sections[] = {
    { "listener NAME", "An address and port where the server listens. The name stands in logs and in `valise status'." },
    { "limits PROTOCOL", "What one peer may do, for smtp, submission or imap; each is counted by itself, over all processes and "
                         "listeners. An address is "
                         "an IPv4 address or an IPv6 /64, a network a /24 or /48. What is above a limit is put off with a "
                         "reason, and taken again when "
                         "the time is over. `valise status' shows the limits, how often each struck, and who is at one." },
    { "certificate NAME", "The certificate that is shown when a client asks for the server name NAME, or for another name in it "
                          "that no section bears; "
                          "default when it asks for none of them." },
    { NULL, NULL },
};

const struct cli_setting cli_settings[] = {
    { NULL, "version", "1", "The version of the file's grammar." },
    { NULL, "hostname", "\"mail.example.org\"",
      "The name that the server greets with and puts into Received fields. It must be given." },
    { NULL, "user", "\"valise\"",
      "When started as root, core runs as this user, keeper and mx as those with -keeper and -mx behind its name; empty and root "
      "are refused then." },
    { NULL, "log-level", "\"info\"",
      "The least level that is logged: debug, info (one line a session, one a message), warning or error." },
    { NULL, "mx-processes", "1", "Processes that talk to strangers; more use more cores. 1 to 64." },
    { NULL, "message-size-max", "50M",
      "The largest message, 64K to 2G. The messages of one APPEND of IMAP are no larger together, where each counts 1K at "
      "least." },
    { NULL, "recipients-max", "1000", "Recipients of one message, 100 to 1000." },
    { NULL, "refuse-over-quota", "false",
      "Whether mail for a mailbox over quota is answered with 552, for good, rather than with 452, try again later." },
    { NULL, "connections-max", "20000",
      "Connections to one role at a time. Fewer where the limit of descriptors leaves no room for as many: serve raises it as "
      "far as it may "
      "and keeps a part for the store, the control socket and deliveries; a note says when that is not enough." },
    { NULL, "connections-per-address", "0",
      "Connections from one address at a time, for each protocol whose section limits does not say it; 0: its default." },
    { NULL, "limits-exempt", "{\"127.0.0.0/8\", \"::1\"}",
      "Networks that the limits of addresses and networks are not for, neither those of connections nor those of failed logins: "
      "a "
      "webmail on "
      "this machine, a router with many people behind it. What is counted for an account holds for all." },
    { NULL, "limits-ipv6-address", "64", "Bits of an IPv6 address that count as one address." },
    { NULL, "limits-ipv4-network", "24", "Bits of an IPv4 address that count as one network." },
    { NULL, "limits-ipv6-network", "48", "Bits of an IPv6 address that count as one network." },
    { NULL, "workers-max", "64", "Threads of one role, 2 to 1024. A connection that waits needs none." },
    { NULL, "cache-bytes", "16M", "Memory for the store's blocks." },
    { NULL, "reserve-bytes", "0",
      "Space that is kept free on the disk, as 10G: below it nothing is taken in. 0: a share of the file system." },
    { NULL, "password-length-min", "10", "Characters that a new password must have, 1 to 128." },
    { NULL, "password-refuse-common", "true",
      "Whether passwords that everyone tries first, sequences and the user's own name are refused." },
    { NULL, "password-need-mixed", "false", "Whether a new password needs letters, digits and other characters." },
    { NULL, "scram-sha-1", "false",
      "Whether SCRAM-SHA-1 is offered to programs that know no SCRAM-SHA-256 (they are rare: `valise user history' names the "
      "mechanism of "
      "each login, and programs that offer passwords need no SCRAM). It costs a second, weaker copy of each password: made, or "
      "forgotten, when "
      "a password is set, or at the next login that sends it." },
    { NULL, "language", "\"en\"",
      "The language of what valise itself writes to people, en or fr, where `valise user language' says nothing else for one of "
      "them. To whoever is no "
      "user here it writes in both." },
    { NULL, "welcome", "true",
      "Whether a new user finds a letter with what a mail program asks for. Texts of your own are welcome.fr.txt, "
      "welcome.en.txt, or welcome.txt for "
      "both, in the directory: UTF-8, at most 4096 bytes, a first line \"Subject: ...\"; {hello}, {name}, {address}, {domain}, "
      "{hostname}, {imap}, "
      "{smtp} (ports) and {postmaster} are filled in." },
    { NULL, "quota-warnings", "true",
      "Whether a user is told by mail that 80 and then that 95 percent of the quota are used; once each, and again when less was "
      "used in between." },
    { NULL, "insecure-lesson", "false",
      "Only in a lab (valise init --lab): listeners of submission and imap may have tls = \"off\", so that a class sees its "
      "passwords pass. "
      "Each of them stays on this machine or says which networks it is for. `valise status' and the log tell of it." },
    { NULL, "user-key", "\"ecdsa\"",
      "The kind of key that `valise cert issue --user' makes when --key does not say: ecdsa, or rsa, to which also openssl smime "
      "and "
      "old mail "
      "programs can encrypt." },
    { NULL, "login-failures-max", "10",
      "Failed logins of a user from one network before that user is locked out there; 0: never. The same wrong password again "
      "counts once, ten quiet minutes take one back. Elsewhere the user logs in as ever. Twice as many from an IPv6 /56 lock out "
      "from "
      "it, four times as many from a /48 or an IPv4 /24, 16 times as many from a /32." },
    { NULL, "login-failures-per-network", "50",
      "Failed logins from one network (an IPv4 address, an IPv6 /64), whatever the names, before it is locked out; 0: never. "
      "Users who have logged in from around there within 90 days are not affected, and while it is not locked out nobody else's "
      "right password waits. With 0 it waits as long as a wrong one. Twice as many lock out an IPv6 /56, four "
      "times as many "
      "a /48 or an IPv4 /24, 32 times as many a /32." },
    { NULL, "login-lockout", "15min",
      "How long the first lock-out lasts, seconds or with a unit; each further one lasts twice as long, up to a day." },
    { NULL, "login-allow", "{\"192.0.2.0/24\"}",
      "Networks whose failed logins are neither counted nor delayed, for accounts neither: whoever is there may guess. "
      "limits-exempt is for "
      "networks with many people. See `valise lockout list'." },
    { NULL, "login-history-days", "90",
      "Days that each user's logins are remembered, or as 12w; 0: not at all. See `valise user history'." },
    { NULL, "login-memory", "7d",
      "How long a password that Argon2 has found right needs no Argon2 again, at most 30d; 0: no longer than the process lives. "
      "What is kept for "
      "that is in memory only, under a key that only the process with the keys has, so that it tells nobody the password who has "
      "the disk." },
    { NULL, "login-memory-in-kernel", "true",
      "Whether it is kept in the kernel's memory as well (keyrings(7)) and so outlives a restart of the server, though not of "
      "the machine. A user "
      "other than root may keep some 500 logins there. `valise status' says whether this machine lets us." },
    { NULL, "argon2-memory", "19M",
      "Memory that Argon2id works on to check a password, 19M to 1G. `valise init' measures how long this machine takes and "
      "writes down what costs "
      "it about 10 ms. After a change each password's hash is made anew at its next login." },
    { NULL, "argon2-passes", "2", "How often Argon2id goes over that memory, 2 to 20." },
    { "listener NAME", "protocol", "\"smtp\"",
      "What is spoken: smtp (mail from other servers), submission (mail from people and programs), imap, "
      "lmtp (mail from another mail server on this machine, which says what became of each recipient; Postfix is told "
      "lmtp_assume_final = yes), or metrics (GET /metrics over HTTP, for Prometheus: no login and no TLS, so stay on addresses "
      "that "
      "you trust)." },
    { "listener NAME", "port", "25", "The port; `valise serve --port-offset' is added to it." },
    { "listener NAME", "tls", "\"opportunistic\"",
      "off; opportunistic: STARTTLS is offered; required: nothing of worth happens before STARTTLS; implicit: TLS from the first "
      "byte. off is refused for submission, and for imap on other addresses than 127.x.x.x and ::1, but with insecure-lesson." },
    { "listener NAME", "min-tls", "\"1.2\"", "The least version of TLS: 1.2 or 1.3." },
    { "listener NAME", "client-cert", "\"off\"",
      "off; request: clients are asked for a certificate, and none or an unknown one is as welcome; required: only those with a "
      "certificate of this "
      "CA are served; by SMTP others get 554 5.7.0 to every command, and 530 5.7.0 before TLS." },
    { "listener NAME", "auth", "(see below)",
      "Of submission and imap: the mechanisms that are offered, as {\"SCRAM-SHA-256\", \"PLAIN\"}: EXTERNAL (a client "
      "certificate of this CA that names "
      "the user; with client-cert), SCRAM-SHA-256-PLUS and SCRAM-SHA-1-PLUS (bound to the TLS channel), SCRAM-SHA-256, "
      "SCRAM-SHA-1, PLAIN, "
      "LOGIN. IMAP's command LOGIN goes with the last two. Without this line all are taken, and all but those with PLUS are "
      "listed: programs on "
      "GNU SASL, as NeoMutt, choose PLUS where it is listed even when they are not able to do it." },
    { "listener NAME", "legacy", "false",
      "Whether auth may name CRAM-MD5 and DIGEST-MD5, for old programs that have nothing else. They work for users flagged by "
      "`valise user legacy' only, "
      "whose passwords are kept so that whoever has the store and the key in keys/ can read them; others cannot log in by "
      "them." },
    { "listener NAME", "socket", "", "Of lmtp with tls = \"off\": the path of a Unix socket instead of a port." },
    { "listener NAME", "socket-mode", "\"0660\"",
      "Of a socket: who may deliver by it, \"0600\", \"0660\" or \"0666\". The folders above it must let them through as well." },
    { "listener NAME", "socket-group", "(the server's)",
      "Of a socket: the group, by name or number, that may deliver by it. Postfix's LMTP client runs with the group postfix and "
      "no other, "
      "so for it this is \"postfix\", and the socket lies in a folder that it can reach, as /run/valise. Exim: \"Debian-exim\". "
      "Before "
      "there was this line everybody on the machine could deliver." },
    { "listener NAME", "addresses", "{\"127.0.0.1\"}", "Numeric addresses to listen on; 0.0.0.0 and :: are all." },
    { "listener NAME", "networks", "(all)",
      "The networks whose peers are served, as {\"192.0.2.0/24\", \"2001:db8::/32\"}; others are told so and left." },
    { "listener NAME", "proxy-from", "(nobody)",
      "Networks of load balancers, as HAProxy with send-proxy or send-proxy-v2: from them each connection must begin with a "
      "PROXY header, "
      "before TLS; the client that it names is the peer for limits, logs and all else. From others no such header is taken." },
    { "listener NAME", "xclient-from", "(nobody)",
      "Networks of relays that may say with XCLIENT whose session they pass on. Of smtp and submission. They are not limited as "
      "themselves." },
    { "limits PROTOCOL", "connections-per-address, -per-network, -per-account",
      "50, 200 (smtp); 200, 800 (submission); 500, 2000 (imap)",
      "Connections at a time; 0: no limit. Accounts: submission and imap. Of this and the rates below, a network about which "
      "nothing is "
      "said may do four times what an address may." },
    { "limits PROTOCOL", "connection-rate-per-...", "\"600/minute\"",
      "New connections in a time: a number and a period, as \"100/minute\" or \"30/10 minutes\"; \"0\": no limit. As all that "
      "follow, "
      "for each of address, network and account. Default per address: 600 a minute, imap 1200." },
    { "limits PROTOCOL", "message-rate-per-...", "\"0\"", "Messages begun with MAIL. Not imap." },
    { "limits PROTOCOL", "recipient-rate-per-...", "\"0\"", "Recipients named with RCPT. Not imap." },
    { "limits PROTOCOL", "error-rate-per-...", "\"500/hour\"",
      "Commands that are wrong or too long. Default per address: 500 an hour, submission and imap 1000." },
    { "limits PROTOCOL", "junk-rate-per-...", "\"0\"", "Commands that lead to nothing, as NOOP and RSET. Not imap." },
    { "limits PROTOCOL", "unknown-rate-per-...", "\"500/hour\"",
      "Recipients that do not exist: somebody guesses. At the limit nobody is told any more who is there, with 421. Default per "
      "address: 500 an hour, submission 1000. Not imap." },
    { "limits PROTOCOL", "errors-per-session", "20", "Wrong commands of one connection before it is ended." },
    { "limits PROTOCOL", "junk-per-session", "100", "Commands that lead to nothing since the last message. Not imap." },
    { "limits PROTOCOL", "unknown-per-session", "100", "Recipients that do not exist. Not imap." },
    { "limits PROTOCOL", "recipients-max", "(the general one)", "Recipients of one message, for this protocol alone." },
    { "limits PROTOCOL", "message-size-max", "(the general one)", "The largest message, for this protocol alone." },
    { "certificate NAME", "chain", "\"tls/server.pem\"",
      "A file below the directory: the certificate and what is between it and the root, as PEM. Its key is found in keys/ by the "
      "public key. A list, "
      "as {\"tls/ecdsa.pem\", \"tls/rsa.pem\"}, offers one for each kind of key." },
    { "certificate NAME", "shown-to", "\"all\"",
      "all; strangers: only on listeners of protocol smtp; users: only on all others. Who is not shown a certificate cannot use "
      "its key either: with a key "
      "for each, one process that was taken over leaves the other's alone." },
    { "certificate NAME", "name", "(the section's)", "The server name, where several sections are for the same one." },
    { NULL, NULL, NULL, NULL },
};
