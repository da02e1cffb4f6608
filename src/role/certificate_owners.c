/* certificate_owners: whose certificates are: by the account's id, since the next one with an address is another account. */
#include "base/clock.h"
#include "base/log.h"
#include "pki/pki.h"
#include "role/certificates_private.h"

enum {
    ARENA_MAX = 4 << 20,
    SERIALS_MAX = 64 << 20,
    TRIES = 10,
    LATE_CLOCK_S = 3600 /* certificates begin so long before they are issued (pki_issue) */
};

/* --- whose they are --- */

static bool is_nobody(const engine_part *id)
{
    static const engine_part nobody;
    return memcmp(id->b, nobody.b, sizeof id->b) == 0;
}

static bool row_is_of(const struct certificate_row *r, const engine_part *id)
{
    for (size_t i = 0; i < r->name_n; i++)
        if (memcmp(r->owners[i].b, id->b, sizeof id->b) == 0)
            return true;
    return false;
}

int certificates_owners(struct engine *g, str serial, struct certificate_owners *ret)
{
    struct arena a = ARENA_INIT(ARENA_MAX);
    struct certificate_row r = { 0 };
    int err = certificate_row_get(g, serial, &a, &r, NULL);
    _Static_assert((int)CERTIFICATE_NAMES_MAX == (int)PKI_NAMES_MAX, "an account for each name");
    *ret = (struct certificate_owners){ .n = 0 };
    for (size_t i = 0; err == 0 && r.use == PKI_USE_USER && !r.revoked_at && i < r.name_n; i++)
        if (!is_nobody(&r.owners[i]))
            ret->ids[ret->n++] = r.owners[i];
    arena_done(&a);
    return err == ERR_NOTFOUND ? 0 : err;
}

bool certificate_is_of(const struct certificate_owners *o, engine_part account)
{
    size_t i = 0;
    while (i < o->n && memcmp(o->ids[i].b, account.b, sizeof account.b) != 0)
        i++;
    return i < o->n;
}

void certificate_find_owner(const struct admin *a, str name, engine_part *ret)
{
    struct arena arena = ARENA_INIT(1 << 16);
    struct directory_account account;
    if (directory_find_account(a->directory, name, &arena, &account) == 0)
        *ret = account.id;
    arena_done(&arena);
}

/* When account ID was made, in seconds since 1970: its inbox says so, whose UIDVALIDITY is that time (store/account_life.c). */
static int account_made(const struct admin *a, engine_part id, int64_t *ret)
{
    struct arena arena = ARENA_INIT(1 << 16);
    struct mail_account *m = NULL;
    struct mailbox_info inbox;
    int err = mail_account_open(a->mail, id, &m);
    if (err == 0)
        err = mailbox_find(m, STR("INBOX"), &arena, &inbox);
    if (err == 0)
        *ret = inbox.uidvalidity;
    mail_account_unref(m);
    arena_done(&arena);
    return err;
}

/* --- of all rows --- */

/* Serial numbers, a line each, of the rows that TAKES says true of. */
struct picking {
    bool (*takes)(void *ctx, const struct certificate_row *r);
    void *ctx;
    struct buf serials;
};

static int pick_row(void *ctx, str key, str value)
{
    struct picking *p = ctx;
    struct certificate_row r = { 0 };
    int err = certificate_row_decode(key, value, &r);
    if (err == 0 && p->takes(p->ctx, &r))
        buf_add_all(&p->serials, key, STR("\n"));
    return err ? err : buf_error(&p->serials);
}

static int scan_rows(struct engine *g, int (*fn)(void *ctx, str key, str value), void *ctx)
{
    return engine_scan(g, certificates_part, (str){ NULL, 0 }, (str){ NULL, 0 }, ENGINE_SYNCED, fn, ctx, NULL);
}

/* Calls FN with the serial number of each row that TAKES says true of; a scan that met a change begins anew. */
static int pick(struct admin *a, bool (*takes)(void *ctx, const struct certificate_row *r), void *ctx,
                int (*fn)(struct admin *a, str serial, void *ctx), void *fn_ctx)
{
    struct picking p = { takes, ctx, BUF_INIT(SERIALS_MAX) };
    int err = ERR_CONFLICT;
    for (int i = 0; i < TRIES && err == ERR_CONFLICT; i++) {
        buf_reset(&p.serials);
        err = scan_rows(a->engine, pick_row, &p);
    }
    str rest = buf_str(&p.serials), serial;
    while (err == 0 && rest.n && str_split(&rest, '\n', &serial))
        err = serial.n ? fn(a, serial, fn_ctx) : 0;
    buf_done(&p.serials);
    return err;
}

/* --- the end --- */

static bool is_live_of(void *ctx, const struct certificate_row *r)
{
    return !r->revoked_at && row_is_of(r, ctx);
}

static int revoke_one(struct admin *a, str serial, void *ctx)
{
    int err = certificate_revoke(a, serial);
    return err == ERR_EXISTS ? 0 : err;
}

int certificates_revoke_account(struct admin *a, engine_part id)
{
    return pick(a, is_live_of, &id, revoke_one, NULL);
}

/* --- the way from rows that knew no accounts --- */

static bool is_unbound(void *ctx, const struct certificate_row *r)
{
    bool has = false;
    for (size_t i = 0; i < r->name_n; i++)
        has |= !is_nobody(&r->owners[i]);
    return r->use == PKI_USE_USER && !r->revoked_at && !has;
}

/* The owners of each name of R, as they are now; with OLD_ENOUGH only those who were there when R was issued. How many. */
static int find_owners(const struct admin *a, struct certificate_row *r, bool old_enough, size_t *ret_n)
{
    *ret_n = 0;
    for (size_t i = 0; i < r->name_n; i++) {
        engine_part id = { { 0 } };
        int64_t made = 0;
        certificate_find_owner(a, r->names[i], &id);
        int err = old_enough && !is_nobody(&id) ? account_made(a, id, &made) : 0;
        if (err && err != ERR_NOTFOUND)
            return err;
        if (err || is_nobody(&id) || made > r->not_before + LATE_CLOCK_S)
            continue;
        r->owners[i] = id;
        ++*ret_n;
    }
    return 0;
}

static int bind_one(struct admin *a, str serial, void *ctx)
{
    struct arena arena = ARENA_INIT(ARENA_MAX);
    struct certificate_row r = { 0 };
    uint64_t version;
    size_t n = 0;
    int err = certificate_row_get(a->engine, serial, &arena, &r, &version);
    if (err == 0)
        err = find_owners(a, &r, true, &n);
    if (err == 0 && n)
        err = certificate_row_put(a->engine, &r, version);
    if (err == 0 && !n)
        log_warning("certificate-of-nobody", LOG_STR("serial", serial), LOG_STR("name", r.name_n ? r.names[0] : STR("")),
                    LOG_Z("note", "it logs nobody in: the account is younger than the certificate, or none; see valise check"));
    arena_done(&arena);
    return err;
}

int certificates_bind(struct admin *a, struct error *e)
{
    int err = pick(a, is_unbound, NULL, bind_one, NULL);
    return err ? error_set(e, err, "the certificates cannot be given to their accounts (%s)", err_name(err)) : 0;
}

/* --- registered by hand --- */

/* What is to be on record of certificate PEM, whose description is D. */
static int row_of(const struct admin *a, const struct pki_description *d, str pem, struct certificate_row *ret, struct error *e)
{
    size_t n = 0;
    *ret = (struct certificate_row){ .use = PKI_USE_USER,
                                     .serial = d->serial,
                                     .subject = d->subject,
                                     .pem = pem,
                                     .not_before = d->not_before,
                                     .not_after = d->not_after };
    for (size_t i = 0; i < d->name_n && ret->name_n < PKI_NAMES_MAX; i++)
        if (d->names[i].kind == PKI_NAME_EMAIL)
            ret->names[ret->name_n++] = d->names[i].text;
    int err = find_owners(a, ret, false, &n);
    return err ? err : n ? 0 : error_set(e, ERR_NOTFOUND, "no mail address in the certificate is a user's own");
}

static int put_registered(struct admin *a, struct certificate_row *r, struct error *e)
{
    int err = ERR_CONFLICT;
    for (int i = 0; i < TRIES && err == ERR_CONFLICT; i++) {
        struct arena arena = ARENA_INIT(ARENA_MAX);
        struct certificate_row old = { 0 };
        uint64_t version;
        err = certificate_row_get(a->engine, r->serial, &arena, &old, &version);
        bool is_new = err == ERR_NOTFOUND;
        if (is_new || err == 0)
            err = old.revoked_at ? error_set(e, ERR_REFUSED, "the certificate is revoked")
                  : !is_new && !str_eq(old.pem, r->pem)
                      ? error_set(e, ERR_REFUSED, "another certificate with that serial number is on record")
                      : certificate_row_put(a->engine, r, is_new ? ENGINE_ANY_VERSION : version);
        arena_done(&arena);
    }
    return err;
}

json_t *certificates_register(struct admin *a, const json_t *request)
{
    struct error e = ERROR_NONE;
    struct arena arena = ARENA_INIT(ARENA_MAX);
    struct buf ca = BUF_INIT(PKI_PEM_MAX);
    struct pki_description d;
    struct certificate_row r;
    const json_t *text = json_object_get(request, "certificate");
    str pem = { json_string_value(text), json_string_length(text) };
    int err = certificate_ca(a, &ca, &e);
    if (err == 0)
        err = pki_certificate_describe(pem, &arena, &d, &e);
    if (err == 0 && (d.is_ca || !pki_is_issued_by(pem, buf_str(&ca))))
        err = error_set(&e, ERR_REFUSED, "the certificate is not one of this directory's CA for a user");
    if (err == 0)
        err = row_of(a, &d, pem, &r, &e);
    if (err == 0)
        err = put_registered(a, &r, &e);
    json_t *v = err ? admin_error(err, e.text) : certificate_row_json(&r);
    if (err == 0) {
        json_object_set_new(v, "ok", json_true());
        log_info("certificate-registered", LOG_STR("serial", r.serial), LOG_STR("name", r.names[0]));
    }
    buf_done(&ca);
    arena_done(&arena);
    return v;
}

/* --- what leads nowhere --- */

struct dangling {
    void (*fn)(void *ctx, str name, str what);
    void *ctx;
};

/* What is wrong with name I of R in force; NULL: nothing. */
static const char *complaint(struct admin *a, const struct certificate_row *r, size_t i)
{
    struct arena arena = ARENA_INIT(1 << 20);
    struct directory_account account, *list;
    size_t n;
    const char *what = NULL;
    bool is_own = directory_find_account(a->directory, r->names[i], &arena, &account) == 0;
    if (!is_nobody(&r->owners[i]) && directory_account_of(a->directory, r->owners[i], &arena, &account) != 0)
        what = "was issued to a user who is no more";
    else if (is_own && is_nobody(&r->owners[i]))
        what = "is older than the user with that address, and logs nobody in";
    else if (!is_own && directory_resolve(a->directory, r->names[i], &arena, &list, &n) == ERR_NOTFOUND)
        what = "names an address that is not there";
    arena_done(&arena);
    return what;
}

static int look_at(struct admin *a, str serial, void *ctx)
{
    const struct dangling *d = ctx;
    struct arena arena = ARENA_INIT(ARENA_MAX);
    struct certificate_row r = { 0 };
    char text[500];
    int err = certificate_row_get(a->engine, serial, &arena, &r, NULL);
    for (size_t i = 0; err == 0 && i < r.name_n; i++) {
        const char *what = complaint(a, &r, i);
        if (!what)
            continue;
        (void)snprintf(text, sizeof text,
                       "the certificate for %.*s %s; `valise cert revoke\', or `valise cert register\' if it is all right",
                       STR_ARG(r.names[i]), what);
        d->fn(d->ctx, serial, str_from_z(text));
    }
    arena_done(&arena);
    return err;
}

static bool is_in_force(void *ctx, const struct certificate_row *r)
{
    return r->use == PKI_USE_USER && !r->revoked_at && r->not_after > clock_real_ms() / 1000;
}

int certificates_dangling(struct admin *a, void (*fn)(void *ctx, str name, str what), void *ctx)
{
    struct dangling d = { fn, ctx };
    return pick(a, is_in_force, NULL, look_at, &d);
}
