/* config: valise.conf, read into an immutable snapshot.
 *
 * The text is parsed by libconfuse; every mistake names file, line and reason, and leaves the former snapshot in force. The
 * supervisor reads the file; the other roles get the same text over their channel and parse it again, so that no role trusts
 * another's structs. */
#ifndef VALISE_CONFIG_CONFIG_H
#define VALISE_CONFIG_CONFIG_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/ip.h"
#include "base/language.h"
#include "base/log.h"
#include "run/limit.h"
#include "run/tls.h"
#include "smtp/service.h"

enum { CONFIG_SOCKET_MAX = 100 }; /* bytes of a path that fit every sun_path */

enum config_protocol { CONFIG_SMTP, CONFIG_SUBMISSION, CONFIG_IMAP, CONFIG_LMTP, CONFIG_METRICS, CONFIG_PROTOCOLS };
_Static_assert((int)CONFIG_PROTOCOLS <= (int)LIMIT_GROUPS, "each protocol is counted by itself");

struct config_listener {
    str name; /* title of the section */
    enum config_protocol protocol;
    uint16_t port;     /* without the offset */
    enum smtp_tls tls; /* same meaning for IMAP */
    bool tls13_only;   /* min-tls = "1.3" */
    enum tls_client_cert client_cert;
    bool scram_sha1;      /* as in struct config_login */
    sasl_set auth;        /* mechanisms that are named for it; none: the usual ones (sasl_settings_default) */
    bool legacy;          /* those that need passwords which can be had back may be among them */
    const str *addresses; /* numeric; "::" and "0.0.0.0" for all */
    size_t address_n;
    struct ip_networks networks;           /* who is served; none: everybody */
    struct ip_networks proxies, overrides; /* proxy-from, xclient-from */
    str socket;                            /* of LMTP: path of a Unix socket instead of a port; empty: none */
    unsigned socket_mode;                  /* of it */
    str socket_group;                      /* name or number; empty: that of the server's user */
};

/* What one protocol's peers may do. */
struct config_limits {
    struct limit_rules rules;                   /* counted over all connections; group: enum config_protocol */
    unsigned errors_max, junk_max, unknown_max; /* of one session */
    unsigned recipients_max;                    /* of one message */
    uint64_t message_size_max;                  /* bytes */
};

/* Who is shown a certificate: strangers come by SMTP, users by all other protocols. */
enum config_shown { CONFIG_SHOWN_ALL, CONFIG_SHOWN_STRANGERS, CONFIG_SHOWN_USERS };

struct config_certificate {
    str name;  /* server name it is chosen for; empty for the default one */
    str chain; /* path below the directory: PEM, leaf first */
    enum config_shown shown_to;
};

enum {
    CONFIG_SOCKET_MODE = 0660,
    CONFIG_GROUP_MAX = 64
};                                        /* of Unix sockets, where nothing is said; bytes of the name of a group */
enum { CONFIG_VERSION = 1 };              /* of the grammar; `version = 1' */
enum { CONFIG_PASSWORD_LENGTH_MIN = 10 }; /* where no configuration says otherwise */

/* What failed logins cost (directory/lockout.h), what right ones do, and how long logins are remembered. */
struct config_login {
    unsigned failures_max, network_failures_max; /* 0: no lock-out */
    unsigned lockout_s;                          /* the first; doubled each time */
    unsigned history_days;                       /* 0: no history */
    unsigned memory_s;                           /* how long keeper knows a password that was right; 0: not at all */
    bool memory_in_kernel;                       /* over restarts of the server too */
    uint64_t argon2_bytes;                       /* of memory, and passes over it, that a check costs */
    unsigned argon2_passes;
    bool scram_sha1; /* SCRAM over SHA-1 is offered, and keys are made for it */
    struct ip_networks allow;
};

struct config {
    struct arena arena; /* owns all text below */
    str text;           /* the file as it was read */
    str hostname;
    str user; /* empty: do not change user */
    unsigned mx_processes;
    enum log_level log_level;
    uint64_t message_size_max; /* bytes */
    unsigned recipients_max;
    bool refuse_over_quota; /* with 552, rather than 452 */
    unsigned connections_max, connections_per_address;
    bool has_connections_max; /* somebody wrote it down */
    struct config_limits limits[CONFIG_PROTOCOLS];
    unsigned workers_max;
    uint64_t cache_bytes;         /* the store's block cache */
    uint64_t reserve_bytes;       /* disk space kept free; 0: a share of the file system */
    unsigned password_length_min; /* characters of a new password */
    bool password_refuse_common, password_need_mixed;
    struct config_login login;
    enum language language;       /* of what is written to people, where an account says nothing */
    bool welcome, quota_warnings; /* what is written to them */
    bool insecure_lesson;         /* passwords may cross the network in clear; only in a lab (role/lesson.h) */
    bool user_key_rsa;            /* keys made for users' certificates are RSA, rather than ECDSA */
    const struct config_listener *listeners;
    size_t listener_n;
    const struct config_certificate *certificates;
    size_t certificate_n;
};

/* Parses TEXT (a copy is kept); NAME is the file's name for messages. *RET is the caller's, freed with config_free. ERR_SYNTAX
 * with E = "NAME:LINE: reason". Thread-safe (serialised inside). */
int config_parse(const char *name, str text, struct config **ret, struct error *e) MUST_USE;
/* Reads and parses the file PATH (at most 1 MiB). */
int config_read(const char *path, struct config **ret, struct error *e) MUST_USE;
void config_free(struct config *c);

/* What `valise init` knows of the system that it makes. */
struct config_start {
    str hostname;
    bool lab;             /* on loopback and ADDRESSES only */
    const str *addresses; /* of a lab, numeric */
    size_t address_n;
    str network; /* of a lab with addresses: who is served beside this machine */
    bool lesson; /* of a lab: logins in clear, passwords of any kind */
};
/* Writes the configuration that `valise init` starts with: default ports. */
void config_write_default(struct buf *b, const struct config_start *s);

/* Whether NAME is made of labels of letters, digits and inner hyphens, and not too long. */
bool config_is_hostname(str name);

/* Whether certificate ONE is for listeners of protocol P. */
bool config_certificate_is_shown(const struct config_certificate *one, enum config_protocol p);

const char *config_protocol_name(enum config_protocol p);
const char *config_tls_name(enum smtp_tls t);

#endif
