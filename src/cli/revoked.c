/* revoked: see revoked.h. */
#include "cli/revoked.h"

#include <unistd.h>

#include "base/beneath.h"

enum { FILE_MAX = 64 << 20, FILE_VERSION = 1, ENTRIES_MAX = 1 << 20 };

int revoked_fetch(struct port *p, json_t *list, struct error *e)
{
    json_t *reply = NULL, *last = NULL;
    int err = 0;
    for (bool more = true; more && err == 0;) {
        json_t *ask = json_pack("{s:s}", "command", "cert.revoked");
        if (last)
            json_object_set(ask, "after", last);
        err = bulk_call(&p->client, ask, (str){ NULL, 0 }, &reply, NULL, e);
        if (err)
            break;
        const json_t *some = json_object_get(reply, "certificates");
        size_t n = json_array_size(some);
        json_decref(last);
        last = n ? json_incref(json_object_get(json_array_get(some, n - 1), "serial")) : NULL;
        more = json_is_true(json_object_get(reply, "more")) && last;
        if (json_array_extend(list, (json_t *)(uintptr_t)some) != 0)
            err = error_set(e, ERR_CORRUPT, "the list of revoked certificates is no list");
        else if (json_array_size(list) > ENTRIES_MAX)
            err = error_set(e, ERR_LIMIT, "more than %d certificates are revoked", ENTRIES_MAX);
        json_decref(reply);
    }
    json_decref(last);
    return err;
}

int revoked_read(int dir, const char *path, json_t *list, struct error *e)
{
    struct buf text = BUF_INIT(FILE_MAX);
    json_error_t bad;
    json_t *v = NULL;
    int err = beneath_read(dir, path, &text, e);
    if (err == 0 && !(v = json_loadb(text.n ? text.p : "", text.n, JSON_REJECT_DUPLICATES, &bad)))
        err = error_set(e, ERR_CORRUPT, "%s: %s; remove it if it cannot be had again", path, bad.text);
    if (err == 0 && json_is_integer(json_object_get(v, "version")) &&
        json_integer_value(json_object_get(v, "version")) != FILE_VERSION)
        err = error_set(e, ERR_UNSUPPORTED, "%s: made by another version of valise", path);
    if (err == 0 && json_array_extend(list, json_object_get(v, "revoked")) != 0)
        err = error_set(e, ERR_CORRUPT, "%s: no list of revoked certificates; remove it if it cannot be had again", path);
    json_decref(v);
    buf_done(&text);
    return err;
}

/* What the store in the directory PATH knows, and the file beside it. */
static int read_directory(const char *path, int fd, json_t *list, struct error *e)
{
    struct port port;
    int err = revoked_read(fd, REVOKED_FILE, list, e);
    if (err && err != ERR_NOTFOUND)
        return err;
    err = port_open(path, &port, e);
    if (err == 0) {
        err = revoked_fetch(&port, list, e);
        port_close(&port);
    }
    if (err && beneath_exists(fd, REVOKED_FILE))
        return error_prefix(e, "name %s/%s instead: it does not say itself what is revoked", path, REVOKED_FILE);
    return err ? error_prefix(e, "%s", path) : 0;
}

int revoked_read_named(const char *path, json_t *list, struct error *e)
{
    str whole = str_from_z(path);
    size_t slash = str_rfind_byte(whole, '/');
    char above[BENEATH_PATH_MAX];
    int fd = beneath_start(path, NULL);
    bool directory = fd >= 0;
    if (!directory) {
        (void)snprintf(above, sizeof above, "%.*s", slash < whole.n ? (int)slash + 1 : 1, slash < whole.n ? path : ".");
        fd = beneath_start(above, e);
    }
    int err = fd < 0      ? fd
              : directory ? read_directory(path, fd, list, e)
                          : revoked_read(fd, slash < whole.n ? path + slash + 1 : path, list, e);
    if (fd >= 0)
        (void)close(fd);
    return err;
}

/* Brings the file in DIR up to date. */
static int keep(const char *dir, struct error *e)
{
    struct port port;
    json_t *list = json_array();
    int fd = beneath_start(dir, e), err = fd < 0 ? fd : port_open(dir, &port, e);
    if (err == 0) {
        err = revoked_fetch(&port, list, e);
        port_close(&port);
    }
    if (err == 0)
        err = revoked_write(fd, list, true, e);
    if (fd >= 0)
        (void)close(fd);
    json_decref(list);
    return err;
}

void revoked_keep(const struct cli *c)
{
    struct error e = ERROR_NONE;
    if (keep(c->dir, &e))
        (void)fprintf(stderr, "%s/%s is not up to date, for a restore that needs it: %s; the next backup writes it\n", c->dir,
                      REVOKED_FILE, e.text);
}

/* An entry that OF is there with nothing more than WHOLE allows, under its serial number. */
static void add(json_t *by_serial, json_t *of, bool whole)
{
    const char *serial = json_string_value(json_object_get(of, "serial"));
    const char *use = json_string_value(json_object_get(of, "use"));
    json_t *certificate = whole ? json_object_get(of, "certificate") : NULL;
    if (!serial || (json_object_get(by_serial, serial) && !certificate))
        return;
    json_t *entry = json_pack("{s:s,s:s,s:I}", "serial", serial, "use", use ? use : "user", "revoked-at",
                              json_integer_value(json_object_get(of, "revoked-at")));
    if (json_is_string(certificate))
        json_object_set(entry, "certificate", certificate);
    json_object_set_new(by_serial, serial, entry);
}

int revoked_write(int dir, const json_t *list, bool whole, struct error *e)
{
    json_t *former = json_array(), *by_serial = json_object(), *all = json_array(), *v;
    const char *serial;
    size_t i;
    int err = revoked_read(dir, REVOKED_FILE, former, e);
    err = err == ERR_NOTFOUND ? 0 : err;
    json_array_foreach(former, i, v) add(by_serial, v, whole);
    json_array_foreach(list, i, v) add(by_serial, v, whole);
    json_object_foreach(by_serial, serial, v) json_array_append(all, v);
    if (err == 0 && json_array_size(all)) {
        json_t *file = json_pack("{s:i,s:O}", "version", FILE_VERSION, "revoked", all);
        char *text = json_dumps(file, JSON_INDENT(1) | JSON_SORT_KEYS);
        if (!text)
            err = error_set(e, ERR_INTERNAL, "the list of revoked certificates cannot be written as JSON");
        else if (strlen(text) > FILE_MAX)
            err = error_set(e, ERR_LIMIT, "%s would be larger than it is read again", REVOKED_FILE);
        else
            err = beneath_write(dir, REVOKED_FILE, str_from_z(text), BENEATH_MODE(0644), true, e);
        free(text);
        json_decref(file);
    }
    json_decref(former);
    json_decref(by_serial);
    json_decref(all);
    return err;
}

int revoked_apply(struct port *p, const json_t *list, uint64_t *ret_new, struct error *e)
{
    json_t *v, *reply = NULL;
    size_t i;
    int err = 0;
    *ret_new = 0;
    json_array_foreach(list, i, v)
    {
        json_t *ask = json_is_object(v) ? json_copy(v) : json_object();
        json_object_set_new(ask, "command", json_string("cert.adopt"));
        err = bulk_call(&p->client, ask, (str){ NULL, 0 }, &reply, NULL, e);
        if (err)
            return err;
        *ret_new += json_is_true(json_object_get(reply, "new"));
        json_decref(reply);
    }
    return 0;
}
