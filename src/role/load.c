/* load: what a snapshot holds, read and checked: the configuration and the certificates that it names. See supervisor_private.h. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/beneath.h"
#include "base/clock.h"
#include "base/count.h"
#include "pki/pki.h"
#include "role/key_files.h"
#include "role/lesson.h"
#include "role/owners.h"
#include "role/supervisor.h"
#include "role/supervisor_private.h"
#include "role/descriptors.h"
#include "run/descriptors.h"

enum { ARENA_MAX = 16 << 20, CONFIG_MAX = 1 << 20, NOTES_MAX = 16384, EXPIRY_NOTE_DAYS = 15 };

static int read_chain(struct snapshot *s, str path, str *ret, struct error *e)
{
    struct buf b = BUF_INIT(PKI_PEM_MAX);
    char *z = arena_z(&s->arena, path);
    struct error why = ERROR_NONE;
    /* core can write tls/: what it puts there is no way to another file. */
    int err = z ? beneath_read(AT_FDCWD, z, &b, &why) : error_set(&why, ERR_LIMIT, "the certificates are too large together");
    if (err == ERR_REFUSED)
        err = error_set(e, err, "%s; a certificate lies in tls/ itself: `valise cert import` brings one there", why.text);
    else if (err)
        err = error_set(e, err, "%s", why.text);
    if (err == 0 && arena_dup(&s->arena, buf_str(&b), ret))
        err = error_set(e, ERR_LIMIT, "the certificates are too large together");
    buf_done(&b);
    return err;
}

/* Tells of a certificate whose time is over or will be soon; clients will judge it, the server serves on. */
static void check_time(struct snapshot *s, str chain, str pem)
{
    struct arena a = ARENA_INIT(1 << 20);
    struct pki_description d;
    int64_t now = clock_real_ms() / 1000;
    if (pki_certificate_describe(pem, &a, &d, NULL) == 0) {
        long long days = (d.not_after - now) / 86400;
        if (d.not_after <= now)
            buf_addf(&s->notes, "%.*s expired %s ago; clients will refuse it\n", STR_ARG(chain), COUNT(-days, "day", "days"));
        else if (d.not_before > now)
            buf_addf(&s->notes, "%.*s is not valid yet; clients will refuse it\n", STR_ARG(chain));
        else if (days < EXPIRY_NOTE_DAYS)
            buf_addf(&s->notes, "%.*s expires in %s; replace it and run `valise reload`\n", STR_ARG(chain),
                     COUNT(days, "day", "days"));
    }
    arena_done(&a);
}

/* The roles have as many descriptors as we. */
static int check_descriptors(struct snapshot *s, const struct config *config, struct error *e)
{
    static const enum descriptors_role roles[] = { DESCRIPTORS_KEEPER, DESCRIPTORS_MX, DESCRIPTORS_CORE };
    struct descriptors_plan plan;
    char text[DESCRIPTORS_TEXT_MAX];
    int err = 0;
    for (size_t i = 0; i < sizeof roles / sizeof roles[0] && err == 0; i++)
        err = descriptors_plan(config, roles[i], descriptors_limit(), &plan, e);
    if (err == 0 && descriptors_are_few(config, descriptors_limit(), text))
        buf_addf(&s->notes, "%s\n", text);
    return err;
}

int snapshot_load(struct config *config, uint16_t port_offset, struct snapshot **ret, struct error *e)
{
    struct snapshot *s = calloc(1, sizeof *s);
    if (!s)
        panic("out of memory at start");
    arena_init(&s->arena, ARENA_MAX);
    s->notes = BUF_INIT(NOTES_MAX);
    s->port_offset = port_offset;
    s->identity_n = config->certificate_n;
    s->identities = arena_array(&s->arena, s->identity_n, sizeof *s->identities);
    int err = s->identities ? 0 : error_set(e, ERR_LIMIT, "too many certificates");
    for (size_t i = 0; i < config->certificate_n && err == 0; i++) {
        struct wire_identity *id = &s->identities[i];
        char hex[65];
        id->name = config->certificates[i].name;
        err = read_chain(s, config->certificates[i].chain, &id->chain_pem, e);
        if (err == 0 && tls_key_id(id->chain_pem, hex)) {
            err = pki_pem_fail(id->chain_pem, "CERTIFICATE", e);
            (void)error_prefix(e, "%.*s", STR_ARG(config->certificates[i].chain));
        }
        if (err == 0)
            err = arena_dup(&s->arena, (str){ hex, 64 }, &id->key_id);
        if (err == 0)
            check_time(s, config->certificates[i].chain, id->chain_pem);
    }
    if (err == 0 && beneath_exists(AT_FDCWD, "ca.pem"))
        err = read_chain(s, STR("ca.pem"), &s->ca_pem, e);
    if (err == 0)
        err = lesson_check(config, s->ca_pem, e);
    if (err == 0 && config->insecure_lesson)
        buf_add(&s->notes, STR(LESSON_IS_ON "\n"));
    if (err == 0)
        err = check_descriptors(s, config, e);
    for (size_t i = 0; i < config->listener_n && err == 0; i++)
        if (config->listeners[i].port + (unsigned)port_offset > 65535)
            err = error_set(e, ERR_LIMIT, "port %u plus the offset %u is above 65535", config->listeners[i].port, port_offset);
    if (err) {
        arena_done(&s->arena);
        buf_done(&s->notes);
        free(s);
        return err;
    }
    s->config = config;
    *ret = s;
    return 0;
}

/* What a start would fail at besides: keys that keeper cannot use. */
static int check_keys(const struct snapshot *s, const struct owners *owners, struct error *e)
{
    int err = 0;
    for (size_t i = 0; i < s->identity_n && err == 0; i++)
        err =
            key_files_find("keys", s->config->certificates[i].chain, s->identities[i].key_id, owners ? &owners->keeper : NULL, e);
    return err;
}

int supervisor_check(const char *dir, struct config **ret, struct buf *notes, struct error *e)
{
    struct buf text = BUF_INIT(CONFIG_MAX);
    struct config *config = NULL, *again = NULL;
    struct snapshot *s = NULL;
    struct stat st;
    struct owners owners;
    int top = beneath_start(dir, e), err = top < 0 ? top : 0;
    if (err == 0 && (fchdir(top) != 0 || fstat(top, &st) != 0))
        err = error_set(e, err_from_errno(errno), "%s: %s", dir, strerrordesc_np(errno));
    bool root = err == 0 && geteuid() == 0 && st.st_uid == 0;
    if (err == 0)
        err = beneath_read(top, "valise.conf", &text, e);
    if (err == 0)
        err = config_parse("valise.conf", buf_str(&text), &config, e);
    if (err == 0 && root)
        err = owners_find(config->user, &owners, e);
    if (err == 0)
        err = config_parse("valise.conf", buf_str(&text), &again, e);
    if (err == 0)
        err = snapshot_load(again, 0, &s, e);
    if (err == 0)
        err = check_keys(s, root ? &owners : NULL, e);
    if (s)
        buf_add(notes, buf_str(&s->notes));
    else
        config_free(again);
    snapshot_free(s);
    if (err == 0)
        *ret = config;
    else
        config_free(config);
    buf_done(&text);
    if (top >= 0)
        (void)close(top);
    return err;
}

void snapshot_free(struct snapshot *s)
{
    if (!s)
        return;
    arena_done(&s->arena);
    buf_done(&s->notes);
    config_free(s->config);
    free(s);
}

void snapshot_compare(const struct snapshot *former, struct snapshot *fresh)
{
    const struct config *x = former->config, *y = fresh->config;
    const struct {
        const char *name;
        bool same;
    } settings[] = {
        { "user", str_eq(x->user, y->user) },
        { "mx-processes", x->mx_processes == y->mx_processes },
        { "connections-max", x->connections_max == y->connections_max },
        { "workers-max", x->workers_max == y->workers_max },
        { "cache-bytes", x->cache_bytes == y->cache_bytes },
        { "reserve-bytes", x->reserve_bytes == y->reserve_bytes },
        { "message-size-max of smtp, beyond what it was,", role_spool_max(y) <= role_spool_max(x) },
    };
    for (size_t i = 0; i < sizeof settings / sizeof settings[0]; i++)
        if (!settings[i].same)
            buf_addf(&fresh->notes, "%s has changed; it counts from the next start\n", settings[i].name);
}
