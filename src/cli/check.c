/* check: valise check. */
#include <fcntl.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/count.h"
#include "base/beneath.h"
#include "cli/ca_list.h"
#include "cli/owned.h"
#include "role/supervisor.h"

enum { NOTES_MAX = 16384 };

/* Adds to REPLY's notes what only whoever reads the list of the CA's names can see. */
static void compare_list(const struct cli *c, json_t *reply)
{
    struct ca_list l;
    json_t *domains = NULL;
    if (ca_list_open(c, &l) == 0 && l.dir >= 0 && l.ours && ca_list_domains(c, &domains) == 0)
        ca_list_compare(&l, domains, json_object_get(reply, "notes"));
    json_decref(domains);
    ca_list_close(&l);
}

/* The configuration and the files that belong to it: no server is asked, and the store is not opened. */
static int check_config(const struct cli *c)
{
    struct error e = ERROR_NONE;
    struct buf notes = BUF_INIT(NOTES_MAX);
    struct config *config = NULL;
    int err = supervisor_check(c->dir, &config, &notes, &e);
    int unsound = err ? 0 : welcome_check(c, &notes);
    if (unsound) {
        config_free(config);
        buf_done(&notes);
        return unsound;
    }
    bool directory = err && str_find(str_from_z(e.text), STR("valise.conf")) == strlen(e.text) && err != ERR_SYNTAX &&
                     !(err == ERR_NOTFOUND && beneath_exists(AT_FDCWD, "valise.conf"));
    if (err) {
        buf_done(&notes);
        return directory ? cli_fail_files(c, &e) : cli_fail_with(c, EX_CONFIG, err, e.text);
    }
    if (c->json) {
        json_t *list = json_array(), *v;
        str rest = buf_str(&notes), line;
        while (rest.n && str_split(&rest, '\n', &line))
            if (line.n)
                json_array_append_new(list, json_stringn(line.p, line.n));
        v = json_pack("{s:b,s:I,s:I,s:o}", "ok", 1, "listeners", (json_int_t)config->listener_n, "certificates",
                      (json_int_t)config->certificate_n, "notes", list);
        cli_print_json(v);
        json_decref(v);
    } else {
        (void)printf("%.*svalise.conf is right: %s, %s\n", STR_ARG(buf_str(&notes)),
                     COUNT(config->listener_n, "listener", "listeners"),
                     COUNT(config->certificate_n, "certificate", "certificates"));
    }
    config_free(config);
    buf_done(&notes);
    return 0;
}

int cmd_check(struct cli *c)
{
    if (cli_value(c, "config"))
        return cli_value(c, "deep") ? cli_usage(c, "check: --config looks at valise.conf only, --deep at the mail; call it twice")
                                    : check_config(c);
    json_t *reply, *problem;
    size_t i;
    struct error e = ERROR_NONE;
    json_t *owners = json_array();
    /* First, because a command without a server goes into the directory. */
    int err = owned_compare(c, false, false, owners, &e);
    int status =
        err ? cli_fail_files(c, &e)
            : cli_call_apart(c, json_pack("{s:s,s:b}", "command", "check", "deep", cli_value(c, "deep") != NULL), &reply);
    bool misowned = json_array_size(owners) != 0;
    if (status) {
        json_decref(owners);
        return status;
    }
    compare_list(c, reply);
    const char *keyless = ca_list_key_missing(c);
    if (keyless)
        json_array_append_new(json_object_get(reply, "notes"), json_string(keyless));
    json_t *list = json_object_get(reply, "list");
    json_object_set_new(
        reply, "problems",
        json_integer(json_integer_value(json_object_get(reply, "problems")) + (json_int_t)json_array_size(owners)));
    (void)json_array_extend(list, owners);
    json_decref(owners);
    json_int_t problems = json_integer_value(json_object_get(reply, "problems"));
    if (c->json) {
        cli_print_json(reply);
    } else {
        json_array_foreach(list, i, problem)(void) printf("%s\n", cli_string(problem));
        json_array_foreach(json_object_get(reply, "notes"), i, problem)(void) printf("note: %s\n", cli_string(problem));
        (void)printf(
            "%s, %s, %s, %s, %s: %s\n", COUNT(json_integer_value(json_object_get(reply, "accounts")), "account", "accounts"),
            COUNT(json_integer_value(json_object_get(reply, "mailboxes")), "mailbox", "mailboxes"),
            COUNT(json_integer_value(json_object_get(reply, "entries")), "message", "messages"),
            COUNT(json_integer_value(json_object_get(reply, "emails")), "email", "emails"),
            COUNT(json_integer_value(json_object_get(reply, "blobs")), "blob", "blobs"), COUNT(problems, "problem", "problems"));
        if (misowned)
            (void)puts(geteuid() == 0 ? "`valise upgrade' sets owners and modes right."
                                      : "chown and chmod set owners and modes right.");
    }
    json_decref(reply);
    return problems ? EX_DATAERR : 0;
}
