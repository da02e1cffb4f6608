/* service_table: an SMTP service made of tables, for tests and fuzzing.
 *
 * Recipients of example.org: alice, bob and postmaster exist; "disabled", "full" and "busy" do what their names say; others are
 * unknown, other domains are not ours. "tight" has room for 10 000 bytes and never for more than 1 MiB, "sated" for none. Login alice or bob (with or without @example.org), password "secret"; "slow" is answered
 * after a delay; a certificate is known when it is for alice@example.org; "down" cannot be checked. alice may send as alice@example.org and sales@example.org; bob is an administrator. */
#ifndef VALISE_TESTS_SMTP_SERVICE_TABLE_H
#define VALISE_TESTS_SMTP_SERVICE_TABLE_H

#include "base/buf.h"
#include "smtp/service.h"

struct service_table {
    struct smtp_service service;
    struct smtp_config config;
    unsigned asked;                               /* recipients asked for */
    unsigned accepted;                            /* deliveries taken */
    unsigned busy_n;                              /* logins that found no place to be checked */
    str accept_each_error_to;                     /* LMTP: the recipient that fails */
    int accept_each_error;                        /* how */
    int accept_error;                             /* what accept answers; 0: takes it */
    int spool_error;                              /* what spool answers; 0: opens a file */
    struct buf message, recipients, reverse_path; /* of the last delivery; recipients each with a comma behind */
    struct buf structure;
    struct buf dsn; /* "RET ENVID", then for each recipient ",NOTIFY:ORCPT" */
    int fd_kind;    /* of the last delivery: 0 heap, 1 memfd, 2 file */
    bool smtputf8, body_8bit;
    bool is_revoked; /* every client's certificate */
};

void service_table_init(struct service_table *t);
void service_table_done(struct service_table *t);

#endif
