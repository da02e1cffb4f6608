/* cli: the command line. One table describes every command; parsing, --help and the tests of both come from it.
 *
 * Exit statuses are those of sysexits.h: 64 usage, 65 bad data, 66 no such directory or file, 67 no such address, 69 server not
 * there, 70 a bug, 73 exists already or cannot be made, 74 I/O, 75 try again later, 77 not allowed, 78 bad configuration. Results
 * go to standard output, errors to standard error. With
 * --json every outcome, errors too, is also one JSON object on standard output: {"ok": false, "error": "not-found", "text":
 * "..."}. */
#ifndef VALISE_CLI_CLI_H
#define VALISE_CLI_CLI_H

#include <jansson.h>

#include "base/err.h"

enum { CLI_WORDS_MAX = 16, CLI_OPTIONS_MAX = 16, CLI_REPEAT_MAX = 32 };

struct cli_option {
    const char *name;  /* without the dashes */
    const char *value; /* what its value is called in --help; NULL: it has none */
    const char *help;
};

/* One invocation, parsed. */
struct cli {
    const struct cli_command *command;
    const char *words[CLI_WORDS_MAX]; /* operands */
    size_t word_n;
    const char *values[CLI_OPTIONS_MAX][CLI_REPEAT_MAX]; /* by position in the command's option list */
    size_t value_n[CLI_OPTIONS_MAX];
    const char *dir; /* --dir; VALISE_DIR or /var/lib/valise when not given */
    bool json;       /* --json was given, wherever in the line */
};

struct cli_command {
    const char *name; /* "user add" */
    const char *
        operands; /* "ADDRESS"; NULL: none. "A B..." with dots: one or more of the last; "[A] B": A may be left out; "A [B]...": any number of the last */
    const char *summary;              /* one line */
    const char *text;                 /* more for --help; may be NULL */
    const struct cli_option *options; /* ends with name NULL; may be NULL. --dir, --json and --help are every command's */
    int (*run)(struct cli *c);        /* the exit status */
};

/* Runs the program: the exit status. */
int cli_main(int argc, char **argv);

/* The value of option NAME (its last), or NULL when it was not given. An option without a value gives "". */
const char *cli_value(const struct cli *c, const char *name);
/* All values of a repeated option. */
const char *const *cli_values(const struct cli *c, const char *name, size_t *ret_n);
/* The value of option NAME as a number from MIN to MAX in *RET, which stays as it is when the option was not given. 0, or an exit status after a
 * message with both bounds. */
int cli_number(const struct cli *c, const char *name, uint64_t min, uint64_t max, uint64_t *ret) MUST_USE;

/* The same for a length of time (base/amount.h): *RET in seconds, at most MAX; a number alone counts units of UNIT seconds. */
int cli_duration(const struct cli *c, const char *name, uint64_t unit, uint64_t max, uint64_t *ret) MUST_USE;

/* Reports that the command failed: TEXT on standard error, with --json also an object on standard output. Returns the exit status
 * of CODE. */
int cli_fail(const struct cli *c, int code, const char *text);
/* The same with an exit status of the caller's choice. */
int cli_fail_with(const struct cli *c, int status, int code, const char *text);
/* Reports a wrong command line; a formatted text. Returns EX_USAGE. */
int cli_usage(const struct cli *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Reports what went wrong with the directory or a file in it, where ERR_NOTFOUND is no mail address. */
int cli_fail_files(const struct cli *c, const struct error *e);

/* Sends REQUEST (stolen) to the server that runs in c->dir, or when none runs opens the store and carries it out here. *RET is
 * the caller's and has "ok": true; otherwise the error is printed and its exit status returned (non-zero). */
int cli_call(const struct cli *c, json_t *request, json_t **ret) MUST_USE;
/* cli_call in a process of its own, for commands of which a part needs rights that the other part gives up: the caller stays who and where it is. */
int cli_call_apart(const struct cli *c, json_t *request, json_t **ret) MUST_USE;
/* cli_call for what only a running server can do. */
int cli_call_server(const struct cli *c, json_t *request, json_t **ret) MUST_USE;
/* cli_call for commands that only print "done": prints TEXT (or the JSON reply). The exit status. */
int cli_call_and_say(const struct cli *c, json_t *request, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* The text of V, or "" when it is none: whatever prints a reply does not know who wrote it. */
static inline const char *cli_string(const json_t *v)
{
    return json_is_string(v) ? json_string_value(v) : "";
}
/* Prints V as one JSON document. */
void cli_print_json(const json_t *v);

/* Goes into DIR. Root becomes the owner of its store for good (owner.h), so that no file appears there that the server cannot open later, and
 * nothing that the server wrote is read with root's rights. */
int cli_enter(const char *dir, struct error *e) MUST_USE;
/* The same for the open directory TOP, called NAME. */
int cli_enter_open(int top, const char *name, struct error *e) MUST_USE;

/* A password from --password-stdin, from --generate, or asked for twice on a terminal, into OUT (wiped by the caller). 0 or an
 * exit status after a message. A generated one is not shown yet. */
struct buf;
int cli_password(const struct cli *c, struct buf *out) MUST_USE;
/* The password that somebody has already: from --password-stdin, or asked for once on a terminal. As cli_password, but OUT is initialised. */
int cli_present_password(const struct cli *c, struct buf *out) MUST_USE;
/* A passphrase: the first line of --passphrase-file, or asked for on a terminal with PROMPT, FRESH ones twice. Into OUT, which is initialised here.
 * ERR_REFUSED when there is nobody to ask. */
int cli_passphrase(const struct cli *c, const char *prompt, bool fresh, struct buf *out, struct error *e) MUST_USE;
/* 16 characters of 31 that are easily told apart: 79 bits. */
void cli_generate_password(struct buf *out);

int cmd_help(struct cli *c);
int cmd_init(struct cli *c);
int cmd_lab_sheet(struct cli *c);
int cmd_serve(struct cli *c);
int cmd_reload(struct cli *c);
int cmd_status(struct cli *c);
int cmd_metrics(struct cli *c);
int cmd_backup(struct cli *c);
int cmd_backup_list(struct cli *c);
int cmd_backup_check(struct cli *c);
int cmd_backup_prune(struct cli *c);
int cmd_upgrade(struct cli *c);
int cmd_restore(struct cli *c);
int cmd_export_maildir(struct cli *c);
int cmd_export_mbox(struct cli *c);
int cmd_import_maildir(struct cli *c);
int cmd_import_mbox(struct cli *c);
int cmd_man(struct cli *c);
int cmd_completion(struct cli *c);
int cmd_check(struct cli *c);
int cmd_role_rights(struct cli *c);
int cmd_domain_add(struct cli *c);
int cmd_domain_remove(struct cli *c);
int cmd_domain_list(struct cli *c);
int cmd_domain_alias_add(struct cli *c);
int cmd_domain_alias_remove(struct cli *c);
int cmd_domain_catch_all(struct cli *c);
int cmd_domain_quota(struct cli *c);
int cmd_user_quota(struct cli *c);
int cmd_group_add(struct cli *c);
int cmd_group_remove(struct cli *c);
int cmd_group_list(struct cli *c);
int cmd_group_from(struct cli *c);
int cmd_group_quota(struct cli *c);
int cmd_group_member_add(struct cli *c);
int cmd_group_member_remove(struct cli *c);
int cmd_app_password_add(struct cli *c);
int cmd_app_password_remove(struct cli *c);
int cmd_app_password_list(struct cli *c);
int cmd_user_add(struct cli *c);
int cmd_user_passwd(struct cli *c);
int cmd_user_legacy(struct cli *c);
/* The welcomes of the administrator's own in the directory, {"fr": text, ...}, to *RET, the caller's; NULL when they cannot be looked for. 0, or an exit
 * status after a message. */
int user_welcome(const struct cli *c, json_t **ret) MUST_USE;
struct buf;
/* Whether they can be sent, of the working directory: NOTES gets a line for each {place} that will not be filled in. The same. */
int welcome_check(const struct cli *c, struct buf *notes) MUST_USE;
int cmd_user_language(struct cli *c);
int cmd_user_role(struct cli *c);
int cmd_user_remove(struct cli *c);
int cmd_user_undelete(struct cli *c);
int cmd_user_rename(struct cli *c);
/* user list --removed. */
int user_list_removed(const struct cli *c);
int cmd_user_enable(struct cli *c);
int cmd_user_disable(struct cli *c);
int cmd_user_list(struct cli *c);
int cmd_user_history(struct cli *c);
int cmd_lockout_list(struct cli *c);
int cmd_session_list(struct cli *c);
int cmd_session_end(struct cli *c);
int cmd_lockout_lift(struct cli *c);
int cmd_alias_add(struct cli *c);
int cmd_alias_remove(struct cli *c);
int cmd_alias_list(struct cli *c);
int cmd_ca_show(struct cli *c);
int cmd_ca_export(struct cli *c);
int cmd_ca_names(struct cli *c);
int cmd_ca_allow(struct cli *c);
int cmd_ca_deny(struct cli *c);
int cmd_ca_renew(struct cli *c);
int cmd_cert_issue(struct cli *c);
int cmd_cert_import(struct cli *c);
int cmd_cert_list(struct cli *c);
int cmd_cert_show(struct cli *c);
int cmd_cert_renew(struct cli *c);
int cmd_cert_revoke(struct cli *c);
int cmd_cert_register(struct cli *c);

#endif
