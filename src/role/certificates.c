/* certificates: see certificates.h.
 *
 * Invariants
 *  C1  A certificate is given out only after its row is durable: none is unknown to the list.
 *  C2  revoked_at is set once and never changed again.
 *  C3  What another store knows of the same CA's certificates makes one revoked here, and nothing else.
 *  C4  What may not be issued is not renewed: a certificate that was revoked, or whose key another revoked one has, stays so; names are judged anew.
 *  C5  owners[i] is the account whose own address names[i] was when the certificate was issued or registered; zeros: none's. Only
 *      certificate_owners.c changes it later. */
#include "role/certificates_private.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/pack.h"
#include "pki/pki.h"
#include "role/ca_names.h"
#include "role/role.h"
#include "role/sessions.h"

enum {
    ROW_VERSION = 2,
    DAY = 86400,
    ARENA_MAX = 4 << 20,
    ASK_DEADLINE_MS = 30000,
    QUESTION_DEADLINE_MS = 1000, /* status can do without the answer */
    NAME_LENGTH_MAX = 320,
    SERIAL_MAX = 64,
    REVOKED_MAX = 16, /* in one reply */
    TRIES = 10
};

const engine_part certificates_part = { "valise-certific" };

static str get_text(const json_t *request, const char *key)
{
    const json_t *v = json_object_get(request, key);
    return json_is_string(v) ? (str){ json_string_value(v), json_string_length(v) } : (str){ NULL, 0 };
}

static json_t *text_json(str s)
{
    json_t *v = json_stringn(s.n ? s.p : "", s.n);
    return v ? v : json_string("(not UTF-8)");
}

/* --- rows --- */

static void row_encode(struct buf *b, const struct certificate_row *r)
{
    pack_u8(b, ROW_VERSION);
    pack_u8(b, r->use);
    pack_u64(b, (uint64_t)r->not_before);
    pack_u64(b, (uint64_t)r->not_after);
    pack_u64(b, (uint64_t)r->revoked_at);
    pack_str(b, r->subject);
    pack_varint(b, r->name_n);
    for (size_t i = 0; i < r->name_n; i++) {
        pack_str(b, r->names[i]);
        buf_add(b, (str){ (const char *)r->owners[i].b, sizeof r->owners[i].b });
    }
    pack_str(b, r->pem);
}

/* Version 1 knew no accounts. */
int certificate_row_decode(str serial, str value, struct certificate_row *ret)
{
    struct unpack u = unpack_init(value);
    uint8_t version = unpack_u8(&u);
    if (version < 1 || version > ROW_VERSION)
        return ERR_CORRUPT;
    ret->serial = serial;
    ret->use = unpack_u8(&u);
    ret->not_before = (int64_t)unpack_u64(&u);
    ret->not_after = (int64_t)unpack_u64(&u);
    ret->revoked_at = (int64_t)unpack_u64(&u);
    ret->subject = unpack_str(&u, ENGINE_VALUE_MAX);
    ret->name_n = (size_t)unpack_varint_max(&u, PKI_NAMES_MAX);
    for (size_t i = 0; i < ret->name_n; i++) {
        ret->names[i] = unpack_str(&u, NAME_LENGTH_MAX);
        str id = version > 1 ? unpack_bytes(&u, sizeof ret->owners[i].b) : (str){ 0 };
        if (id.n)
            memcpy(ret->owners[i].b, id.p, id.n);
    }
    ret->pem = unpack_str(&u, ENGINE_VALUE_MAX);
    return unpack_end(&u);
}

int certificate_row_get(struct engine *g, str serial, struct arena *a, struct certificate_row *ret, uint64_t *ret_version)
{
    str value;
    if (serial.n == 0 || serial.n > SERIAL_MAX)
        return ERR_NOTFOUND;
    int err = engine_get(g, certificates_part, &serial, 1, ENGINE_SYNCED, a, &value, ret_version);
    if (err == 0 && !value.p)
        err = ERR_NOTFOUND;
    return err ? err : certificate_row_decode(serial, value, ret);
}

int certificate_row_put(struct engine *g, const struct certificate_row *r, uint64_t expect)
{
    struct buf b = BUF_INIT(ENGINE_VALUE_MAX);
    row_encode(&b, r);
    int err = buf_error(&b);
    if (err == 0) {
        struct engine_txn *t = engine_begin(g, certificates_part, expect);
        engine_urgent(t); /* a full disk does not keep a stolen certificate in force */
        engine_put(t, r->serial, buf_str(&b));
        err = engine_commit(t, NULL);
    }
    buf_done(&b);
    return err;
}

json_t *certificate_row_json(const struct certificate_row *r)
{
    json_t *names = json_array();
    for (size_t i = 0; i < r->name_n; i++)
        json_array_append_new(names, text_json(r->names[i]));
    json_t *v = json_pack("{s:o,s:s,s:o,s:o,s:I,s:I,s:I}", "serial", text_json(r->serial), "use",
                          r->use == PKI_USE_USER ? "user" : "server", "subject", text_json(r->subject), "names", names,
                          "not-before", (json_int_t)r->not_before, "not-after", (json_int_t)r->not_after, "days-left",
                          (json_int_t)((r->not_after - clock_real_ms() / 1000) / DAY));
    if (r->revoked_at)
        json_object_set_new(v, "revoked-at", json_integer((json_int_t)r->revoked_at));
    return v;
}

int certificates_is_revoked(struct engine *g, str serial, bool *ret)
{
    struct arena a = ARENA_INIT(ARENA_MAX);
    struct certificate_row r = { 0 };
    int err = certificate_row_get(g, serial, &a, &r, NULL);
    if (err == 0 || err == ERR_NOTFOUND)
        *ret = err == 0 && r.revoked_at;
    arena_done(&a);
    return err == ERR_NOTFOUND ? 0 : err;
}

/* --- issuing --- */

int certificate_ca(const struct admin *a, struct buf *out, struct error *e)
{
    if (!a->run)
        return pki_file_read("ca.pem", out, e);
    struct role_snapshot *s = role_snapshot_get(a->run);
    buf_add(out, s->ca_pem);
    role_snapshot_unref(s);
    return out->n ? 0 : error_set(e, ERR_NOTFOUND, "this directory has no CA: there is no ca.pem");
}

/* The server's name, in ARENA; empty when it cannot be told. */
static str hostname(const struct admin *a, struct arena *arena)
{
    struct config *read = NULL;
    struct role_snapshot *s = a->run ? role_snapshot_get(a->run) : NULL;
    const struct config *c = s ? s->config : config_read("valise.conf", &read, NULL) == 0 ? read : NULL;
    str name = { 0 };
    if (c && arena_dup(arena, c->hostname, &name))
        name = (str){ 0 };
    config_free(read);
    role_snapshot_unref(s);
    return name;
}

/* An order without a time only asks whether its names are allowed. */
static bool is_question(const struct pki_order *order)
{
    return order->seconds == 0;
}

/* Has PEM made by keeper. */
static int sign(const struct admin *a, str subject_pem, const struct pki_order *order, struct buf *out, struct error *e)
{
    struct buf b = BUF_INIT(WIRE_ORDER_MAX);
    struct arena arena = ARENA_INIT(ARENA_MAX);
    struct frame reply;
    wire_pack_order(&b, &(struct wire_order){ (uint8_t)order->use, (uint64_t)order->seconds, order->names, order->outside,
                                              order->name_n, subject_pem });
    struct frame request = { .type = WIRE_ISSUE, .payload = buf_str(&b) };
    int err = buf_error(&b) ? error_set(e, ERR_LIMIT, "the request is too large")
              : !a->keeper  ? error_set(e, ERR_UNAVAILABLE, "keys/, where the CA's key is, cannot be read; run this as root")
                            : 0;
    if (err == 0)
        err = channel_call(a->keeper, &request, &arena, is_question(order) ? QUESTION_DEADLINE_MS : ASK_DEADLINE_MS, &reply, e);
    if (err == 0)
        buf_add(out, reply.payload);
    arena_done(&arena);
    buf_done(&b);
    return err;
}

/* Puts what PEM says on record (C1). */
static int record(struct admin *a, str pem, const struct pki_order *order, struct arena *arena, struct pki_description *ret,
                  struct error *e)
{
    int err = pki_certificate_describe(pem, arena, ret, e);
    if (err)
        return err;
    struct certificate_row row = { .use = (uint8_t)order->use,
                                   .serial = ret->serial,
                                   .subject = ret->subject,
                                   .pem = pem,
                                   .name_n = order->name_n,
                                   .not_before = ret->not_before,
                                   .not_after = ret->not_after };
    for (size_t i = 0; i < order->name_n; i++) {
        row.names[i] = order->names[i];
        if (order->use == PKI_USE_USER)
            certificate_find_owner(a, order->names[i], &row.owners[i]);
    }
    err = certificate_row_put(a->engine, &row, ENGINE_ANY_VERSION);
    if (err)
        return error_set(e, err, "the certificate cannot be put on record");
    log_info("certificate-issued", LOG_STR("serial", ret->serial), LOG_STR("subject", ret->subject),
             LOG_NUM("not-after", ret->not_after));
    return 0;
}

int certificates_record(struct admin *a, str pem, struct error *e)
{
    struct arena arena = ARENA_INIT(ARENA_MAX);
    struct pki_description d;
    struct certificate_row there = { 0 };
    str names[PKI_NAMES_MAX];
    struct pki_order order = { .use = PKI_USE_SERVER, .names = names };
    int err = pki_certificate_describe(pem, &arena, &d, e);
    for (size_t i = 0; err == 0 && i < d.name_n && order.name_n < PKI_NAMES_MAX; i++)
        if (d.names[i].kind != PKI_NAME_EMAIL && d.names[i].text.n <= NAME_LENGTH_MAX)
            names[order.name_n++] = d.names[i].text;
    if (err == 0) {
        err = certificate_row_get(a->engine, d.serial, &arena, &there, NULL);
        if (err == ERR_NOTFOUND)
            err = record(a, pem, &order, &arena, &d, e);
        else if (err)
            err = error_set(e, err, "it cannot be looked up whether the certificate is on record");
    }
    arena_done(&arena);
    return err;
}

static int issue(struct admin *a, str subject_pem, const struct pki_order *order, struct arena *arena, struct buf *ca,
                 struct buf *out, struct pki_description *ret, struct error *e)
{
    int err = certificate_ca(a, ca, e);
    if (err == 0)
        err = sign(a, subject_pem, order, out, e);
    return err ? err : record(a, buf_str(out), order, arena, ret, e);
}

/* --- who may be named --- */

/* This machine, an address, or a name in a domain of ours. Whether an address may be certified the list beside the CA's key says. */
static bool is_server_name_of_ours(const struct admin *a, str name)
{
    struct arena arena = ARENA_INIT(4096);
    struct ip_address address;
    bool ours = ip_address_parse(name, &address) || str_ieq(name, STR("localhost")) || str_ieq(name, hostname(a, &arena));
    arena_done(&arena);
    for (str rest = name; !ours && rest.n; rest = str_from(rest, str_find_byte(rest, '.', 0) + 1)) {
        ours = directory_has_domain(a->directory, rest);
        if (str_find_byte(rest, '.', 0) == rest.n)
            break;
    }
    return ours;
}

/* Whether ADDRESS is that of an account which may log in, or an alias that leads to one: a certificate speaks for a person. */
static int check_user(const struct admin *a, str address, struct error *e)
{
    struct arena arena = ARENA_INIT(1 << 20);
    struct directory_account *list;
    size_t n = 0;
    bool known = false, enabled = false;
    if (directory_resolve(a->directory, address, &arena, &list, &n) != 0)
        n = 0;
    for (size_t i = 0; i < n; i++) {
        bool his = directory_may_send_as(a->directory, list[i].id, address);
        known = known || his;
        enabled = enabled || (his && list[i].enabled);
    }
    arena_done(&arena);
    if (!known)
        return error_set(e, ERR_NOTFOUND, "%.*s is no user's address of ours", STR_ARG(address));
    return enabled ? 0 : error_set(e, ERR_REFUSED, "%.*s is disabled; `valise user enable' first", STR_ARG(address));
}

/* The names of an order, and what core knows of them. */
struct order_names {
    str list[PKI_NAMES_MAX]; /* as certificates hold them: domains in A-labels; in the arena */
    bool outside[PKI_NAMES_MAX];
};

/* Server names in no domain of ours are not refused yet: the administrator may have named them to the CA alone, and keeper knows. */
static int check_name(const struct admin *a, enum pki_use use, str name, bool *ret_outside, struct error *e)
{
    if (use == PKI_USE_USER)
        return check_user(a, name, e);
    *ret_outside = !is_server_name_of_ours(a, name);
    return 0;
}

/* NAME as a certificate holds it, whatever it was typed as; what is neither a domain nor a mail address stays for others to judge. */
static int certified_name(enum pki_use use, str name, struct arena *arena, str *ret)
{
    struct ip_address address;
    int err = ip_address_parse(name, &address) ? ERR_SYNTAX
              : use == PKI_USE_USER            ? directory_canonical(name, arena, ret, NULL)
                                               : directory_canonical_domain(name, arena, ret, NULL);
    return err == ERR_SYNTAX ? arena_dup(arena, name, ret) : err;
}

static int read_order(const struct admin *a, const json_t *request, struct pki_order *ret, struct order_names *names,
                      struct arena *arena, struct error *e)
{
    str use = get_text(request, "use");
    const json_t *list = json_object_get(request, "names");
    size_t n = json_array_size(list);
    if (!str_eq(use, STR("server")) && !str_eq(use, STR("user")))
        return error_set(e, ERR_SYNTAX, "a certificate is for a server or a user");
    if (n == 0 || n > PKI_NAMES_MAX)
        return error_set(e, ERR_LIMIT, "a certificate has 1 to %d names", PKI_NAMES_MAX);
    *ret = (struct pki_order){ str_eq(use, STR("user")) ? PKI_USE_USER : PKI_USE_SERVER, names->list, n,
                               (int64_t)json_integer_value(json_object_get(request, "seconds")), names->outside };
    for (size_t i = 0; i < n; i++) {
        const json_t *v = json_array_get(list, i);
        str name = { json_string_value(v), json_string_length(v) };
        if (name.n && name.n <= NAME_LENGTH_MAX && certified_name(ret->use, name, arena, &name) != 0)
            return error_set(e, ERR_LIMIT, "too many names");
        names->list[i] = name;
        int err = name.n && name.n <= NAME_LENGTH_MAX ? check_name(a, ret->use, name, &names->outside[i], e)
                                                      : error_set(e, ERR_SYNTAX, "a name is missing or too long");
        if (err)
            return err;
    }
    return 0;
}

static json_t *issued_json(const struct pki_description *d, str pem, str ca_pem)
{
    return json_pack("{s:b,s:o,s:o,s:I,s:o,s:o}", "ok", 1, "serial", text_json(d->serial), "subject", text_json(d->subject),
                     "not-after", (json_int_t)d->not_after, "certificate", text_json(pem), "ca", text_json(ca_pem));
}

json_t *certificates_issue(struct admin *a, const json_t *request)
{
    struct error e = ERROR_NONE;
    struct arena arena = ARENA_INIT(ARENA_MAX);
    struct buf ca = BUF_INIT(PKI_PEM_MAX), out = BUF_INIT(PKI_PEM_MAX);
    struct pki_order order;
    struct pki_description d;
    struct order_names names = { 0 };
    int err = read_order(a, request, &order, &names, &arena, &e);
    if (err == 0 && is_question(&order))
        err = error_set(&e, ERR_LIMIT, "a certificate is valid for a minute at least");
    if (err == 0)
        err = issue(a, get_text(request, "request"), &order, &arena, &ca, &out, &d, &e);
    json_t *v = err ? admin_error(err, e.text) : issued_json(&d, buf_str(&out), buf_str(&ca));
    buf_done(&ca);
    buf_done(&out);
    arena_done(&arena);
    return v;
}

/* --- renewal --- */

static int reload(struct admin *a, struct error *e)
{
    struct arena arena = ARENA_INIT(1 << 17);
    struct frame request = { .type = WIRE_RELOAD }, reply;
    int err = a->run && a->run->supervisor ? channel_call(a->run->supervisor, &request, &arena, ASK_DEADLINE_MS, &reply, e) : 0;
    arena_done(&arena);
    return err;
}

/* Looks for a certificate that was revoked and is, or has the key of, the one with SERIAL and KEY_ID. */
struct revoked_search {
    str serial, key_id;
    bool itself, by_key;
    int64_t at;
};

static int look_at_revoked(void *ctx, str key, str value)
{
    struct revoked_search *s = ctx;
    struct certificate_row r = { 0 };
    struct arena a = ARENA_INIT(1 << 20);
    struct pki_description d;
    int err = certificate_row_decode(key, value, &r);
    if (err == 0 && r.revoked_at) {
        bool itself = str_eq(key, s->serial);
        if (itself || (!s->itself && pki_certificate_describe(r.pem, &a, &d, NULL) == 0 && str_eq(d.key_id, s->key_id))) {
            s->itself = itself;
            s->by_key = !itself;
            s->at = r.revoked_at;
        }
    }
    arena_done(&a);
    return err;
}

static int check_not_revoked(const struct admin *a, const struct pki_description *d, struct error *e)
{
    struct revoked_search s = { .serial = d->serial, .key_id = d->key_id };
    int err = ERR_CONFLICT;
    for (int i = 0; i < TRIES && err == ERR_CONFLICT; i++)
        err = engine_scan(a->engine, certificates_part, STR(""), STR(""), ENGINE_SYNCED, look_at_revoked, &s, NULL);
    if (err)
        return error_set(e, err, "it cannot be looked up whether the certificate was revoked");
    struct date when = date_from_unix(s.at, 0);
    if (s.itself || s.by_key)
        return error_set(e, ERR_REFUSED,
                         "%s was revoked on %04d-%02d-%02d; have a new one issued, with a new key: `valise cert issue "
                         "--server NAME --replace'",
                         s.itself ? "it" : "another certificate of its key", when.year, when.month, when.day);
    return 0;
}

/* Whether D may be renewed as far as is known here, and the names for the order. */
static int check_renewal(const struct admin *a, const struct pki_description *d, struct order_names *names, size_t *ret_n,
                         struct error *e)
{
    size_t n = 0;
    for (size_t i = 0; i < d->name_n && n < PKI_NAMES_MAX; i++) {
        if (d->names[i].kind == PKI_NAME_EMAIL)
            continue;
        names->outside[n] = !is_server_name_of_ours(a, d->names[i].text);
        names->list[n++] = d->names[i].text;
    }
    if (n == 0)
        return error_set(e, ERR_REFUSED, "it has no name of a server; a user gets a new one: `valise cert issue --user'");
    *ret_n = n;
    return check_not_revoked(a, d, e);
}

/* Asks who has the list of the CA's names whether it allows those of ORDER. */
static int ask_names(const struct admin *a, const struct pki_order *order, struct error *e)
{
    struct buf none = BUF_INIT(1);
    int err = sign(a, STR(""), order, &none, e);
    buf_done(&none);
    return err;
}

int certificates_renewable(struct admin *a, str pem, str ca_pem, struct error *e)
{
    struct arena arena = ARENA_INIT(ARENA_MAX);
    struct pki_description d;
    struct order_names names = { 0 };
    size_t n;
    int err = pki_certificate_describe(pem, &arena, &d, e);
    if (err == 0)
        err = check_renewal(a, &d, &names, &n, e);
    if (err == 0) {
        const struct pki_order order = { PKI_USE_SERVER, names.list, n, 0, names.outside };
        err = ask_names(a, &order, e);
    }
    arena_done(&arena);
    return err;
}

static int check_is_ours(const struct admin *a, str pem, struct error *e)
{
    struct buf ca = BUF_INIT(PKI_PEM_MAX);
    int err = certificate_ca(a, &ca, e);
    if (err == 0 && !pki_is_issued_by(pem, buf_str(&ca)))
        err = error_set(
            e, ERR_REFUSED,
            "the certificate is not one of this CA: have who issued it renew it, then bring it in with `valise cert import "
            "NAME --chain FILE --key FILE --replace'");
    buf_done(&ca);
    return err;
}

/* Puts a fresh certificate with the names and the key of the one in file CHAIN in its place. */
static int renew(struct admin *a, str chain, struct arena *arena, struct buf *ca, struct buf *out, struct pki_description *ret,
                 struct error *e)
{
    struct buf old = BUF_INIT(PKI_PEM_MAX);
    struct pki_description d;
    struct order_names names = { 0 };
    size_t n;
    const char *path = arena_z(arena, chain);
    int err = path && str_starts(chain, STR("tls/")) && str_find(chain, STR("..")) == chain.n
                  ? pki_file_read(path, &old, e)
                  : error_set(e, ERR_SYNTAX, "certificates that are renewed lie in tls/");
    if (err == 0)
        err = pki_certificate_describe(buf_str(&old), arena, &d, e);
    if (err == 0)
        err = check_is_ours(a, buf_str(&old), e);
    if (err == 0 && (err = check_renewal(a, &d, &names, &n, e)))
        (void)error_prefix(e, "%s is not renewed", path);
    if (err == 0) {
        const struct pki_order order = { PKI_USE_SERVER, names.list, n, (int64_t)PKI_SERVER_DAYS_MAX * DAY, names.outside };
        err = issue(a, buf_str(&old), &order, arena, ca, out, ret, e);
    }
    if (err == 0)
        err = pki_certificate_store(buf_str(out), path, true, e);
    buf_done(&old);
    return err;
}

json_t *certificates_renew(struct admin *a, const json_t *request)
{
    struct error e = ERROR_NONE;
    struct arena arena = ARENA_INIT(ARENA_MAX);
    struct buf ca = BUF_INIT(PKI_PEM_MAX), out = BUF_INIT(PKI_PEM_MAX);
    struct pki_description d;
    int err = renew(a, get_text(request, "chain"), &arena, &ca, &out, &d, &e);
    if (err == 0)
        err = reload(a, &e);
    if (err == ERR_REFUSED)
        log_warning("renewal-refused", LOG_STR("chain", get_text(request, "chain")), LOG_Z("text", e.text));
    json_t *v = err ? admin_error(err, e.text) : issued_json(&d, buf_str(&out), buf_str(&ca));
    buf_done(&ca);
    buf_done(&out);
    arena_done(&arena);
    return v;
}

/* Whether PEM is one of ours with no more than a third of its life left. */
static bool is_due(str pem, str ca_pem, struct arena *arena)
{
    struct pki_description d;
    int64_t now = clock_real_ms() / 1000;
    return ca_pem.n && pki_certificate_describe(pem, arena, &d, NULL) == 0 && !d.is_ca &&
           d.not_after - now <= (d.not_after - d.not_before) / 3 && pki_is_issued_by(pem, ca_pem);
}

int certificates_renew_due(struct admin *a)
{
    struct role_snapshot *s = role_snapshot_get(a->run);
    struct error e = ERROR_NONE;
    unsigned renewed = 0;
    int failed = 0;
    for (size_t i = 0; i < s->identity_n && i < s->config->certificate_n; i++) {
        struct arena arena = ARENA_INIT(ARENA_MAX);
        struct buf ca = BUF_INIT(PKI_PEM_MAX), out = BUF_INIT(PKI_PEM_MAX);
        struct pki_description d;
        str chain = s->config->certificates[i].chain;
        /* That of `init', of a system that is older than its being put on record. */
        if (s->ca_pem.n && pki_is_issued_by(s->identities[i].chain_pem, s->ca_pem) &&
            certificates_record(a, s->identities[i].chain_pem, &e))
            log_warning("certificate-not-recorded", LOG_STR("chain", chain), LOG_Z("text", e.text));
        if (is_due(s->identities[i].chain_pem, s->ca_pem, &arena)) {
            int err = renew(a, chain, &arena, &ca, &out, &d, &e);
            renewed += err == 0;
            if (err == ERR_REFUSED) {
                failed = err;
                log_warning("renewal-refused", LOG_STR("chain", chain), LOG_Z("text", e.text));
            } else if (err) {
                failed = err;
                log_error("renewal-failed", LOG_STR("chain", chain), LOG_Z("error", err_name(err)), LOG_Z("text", e.text));
            } else {
                log_info("certificate-renewed", LOG_STR("chain", chain), LOG_NUM("not-after", d.not_after));
            }
        }
        buf_done(&ca);
        buf_done(&out);
        arena_done(&arena);
    }
    role_snapshot_unref(s);
    int err = renewed ? reload(a, &e) : 0;
    if (err)
        log_error("renewal-reload-failed", LOG_Z("error", err_name(err)), LOG_Z("text", e.text));
    return err ? err : failed;
}

/* --- what there is --- */

static int list_row(void *ctx, str key, str value)
{
    struct certificate_row r = { 0 };
    int err = certificate_row_decode(key, value, &r);
    return err ? err : json_array_append_new(ctx, certificate_row_json(&r));
}

json_t *certificates_list(struct admin *a, const json_t *request)
{
    int err = ERR_CONFLICT;
    json_t *list = NULL;
    for (int i = 0; i < TRIES && err == ERR_CONFLICT; i++) {
        json_decref(list);
        list = json_array();
        err = engine_scan(a->engine, certificates_part, (str){ NULL, 0 }, (str){ NULL, 0 }, ENGINE_SYNCED, list_row, list, NULL);
    }
    if (err == 0)
        return json_pack("{s:b,s:o}", "ok", 1, "certificates", list);
    json_decref(list);
    return admin_error(err, "the certificates cannot be listed");
}

static json_t *not_found(int err)
{
    return admin_error(err, err == ERR_NOTFOUND ? "no certificate with that serial number was issued here"
                                                : "the certificate cannot be looked up");
}

json_t *certificates_show(struct admin *a, const json_t *request)
{
    struct arena arena = ARENA_INIT(ARENA_MAX);
    struct certificate_row r = { 0 };
    int err = certificate_row_get(a->engine, get_text(request, "serial"), &arena, &r, NULL);
    json_t *v = err ? not_found(err) : certificate_row_json(&r);
    if (err == 0) {
        json_object_set_new(v, "ok", json_true());
        json_object_set_new(v, "certificate", text_json(r.pem));
    }
    arena_done(&arena);
    return v;
}

int certificate_revoke(struct admin *a, str serial)
{
    int err = ERR_CONFLICT;
    for (int i = 0; i < TRIES && err == ERR_CONFLICT; i++) {
        struct arena arena = ARENA_INIT(ARENA_MAX);
        struct certificate_row r = { 0 };
        uint64_t version;
        err = certificate_row_get(a->engine, serial, &arena, &r, &version);
        if (err == 0 && r.revoked_at)
            err = ERR_EXISTS;
        r.revoked_at = clock_real_ms() / 1000;
        if (err == 0)
            err = certificate_row_put(a->engine, &r, version);
        arena_done(&arena);
    }
    if (err == 0)
        log_info("certificate-revoked", LOG_STR("serial", serial));
    if (err == 0 || err == ERR_EXISTS)
        sessions_end_certificate(a, serial);
    return err;
}

json_t *certificates_revoke(struct admin *a, const json_t *request)
{
    int err = certificate_revoke(a, get_text(request, "serial"));
    return err == 0            ? json_pack("{s:b}", "ok", 1)
           : err == ERR_EXISTS ? admin_error(err, "it is revoked already")
                               : not_found(err);
}

/* --- revocations from one store to another --- */

struct revoked {
    json_t *list;
    str after;
};

static int list_revoked(void *ctx, str key, str value)
{
    struct revoked *l = ctx;
    struct certificate_row r = { 0 };
    int err = str_eq(key, l->after) ? 0 : certificate_row_decode(key, value, &r);
    if (err || !r.revoked_at)
        return err;
    if (json_array_size(l->list) == REVOKED_MAX)
        return ERR_EOF;
    return json_array_append_new(l->list, json_pack("{s:o,s:s,s:I,s:o}", "serial", text_json(r.serial), "use",
                                                    r.use == PKI_USE_USER ? "user" : "server", "revoked-at",
                                                    (json_int_t)r.revoked_at, "certificate", text_json(r.pem)));
}

json_t *certificates_revoked(struct admin *a, const json_t *request)
{
    struct revoked l = { .after = get_text(request, "after") };
    int err = ERR_CONFLICT;
    for (int i = 0; i < TRIES && err == ERR_CONFLICT; i++) {
        json_decref(l.list);
        l.list = json_array();
        err = engine_scan(a->engine, certificates_part, l.after, (str){ NULL, 0 }, ENGINE_SYNCED, list_revoked, &l, NULL);
    }
    if (err == 0 || err == ERR_EOF)
        return json_pack("{s:b,s:o,s:b}", "ok", 1, "certificates", l.list, "more", err == ERR_EOF);
    json_decref(l.list);
    return admin_error(err, "the certificates cannot be listed");
}

/* ROW says that it is revoked, as OLD does not or is not there: into *RET what is to be kept. ERR_EXISTS: nothing is to be done. */
static int merge(const struct certificate_row *old, const struct certificate_row *fresh, struct certificate_row *ret)
{
    if (old->serial.n == 0) {
        *ret = *fresh;
        return 0;
    }
    if (fresh->pem.n && old->pem.n && !str_eq(str_trim(old->pem), str_trim(fresh->pem)))
        return ERR_REFUSED;
    *ret = *old;
    ret->revoked_at = fresh->revoked_at;
    return old->revoked_at ? ERR_EXISTS : 0;
}

static int adopt(struct admin *a, const struct certificate_row *fresh)
{
    int err = ERR_CONFLICT;
    for (int i = 0; i < TRIES && err == ERR_CONFLICT; i++) {
        struct arena arena = ARENA_INIT(ARENA_MAX);
        struct certificate_row old = { 0 }, whole;
        uint64_t version = ENGINE_ANY_VERSION;
        err = certificate_row_get(a->engine, fresh->serial, &arena, &old, &version);
        if (err == 0 || err == ERR_NOTFOUND)
            err = merge(&old, fresh, &whole);
        if (err == 0)
            err = certificate_row_put(a->engine, &whole, version);
        arena_done(&arena);
    }
    return err;
}

/* What REQUEST says of a certificate: all when it has it, else the serial number. */
static int read_revoked(const json_t *request, struct arena *arena, struct certificate_row *ret, struct error *e)
{
    struct pki_description d = { .serial = get_text(request, "serial"), .subject = STR("(issued elsewhere)") };
    *ret = (struct certificate_row){ .use = str_eq(get_text(request, "use"), STR("server")) ? PKI_USE_SERVER : PKI_USE_USER,
                                     .pem = get_text(request, "certificate"),
                                     .revoked_at = (int64_t)json_integer_value(json_object_get(request, "revoked-at")) };
    int err = ret->revoked_at > 0 ? 0 : error_set(e, ERR_SYNTAX, "the time of the revocation is missing");
    if (err == 0 && ret->pem.n)
        err = pki_certificate_describe(ret->pem, arena, &d, e);
    for (size_t i = 0; i < d.serial.n && err == 0; i++)
        if (ascii_hex_value(d.serial.p[i]) < 0 || ascii_lower(d.serial.p[i]) != d.serial.p[i])
            err = error_set(e, ERR_SYNTAX, "a serial number is lower-case hexadecimal");
    if (err == 0 && (d.serial.n == 0 || d.serial.n > SERIAL_MAX))
        err = error_set(e, ERR_SYNTAX, "a serial number has 1 to %d digits", SERIAL_MAX);
    ret->serial = d.serial;
    ret->subject = d.subject;
    ret->not_before = d.not_before;
    ret->not_after = d.not_after;
    for (size_t i = 0; i < d.name_n && ret->name_n < PKI_NAMES_MAX && err == 0; i++)
        if (d.names[i].text.n <= NAME_LENGTH_MAX)
            ret->names[ret->name_n++] = d.names[i].text;
    return err;
}

json_t *certificates_adopt(struct admin *a, const json_t *request)
{
    struct error e = ERROR_NONE;
    struct arena arena = ARENA_INIT(ARENA_MAX);
    struct certificate_row row;
    int err = read_revoked(request, &arena, &row, &e);
    if (err == 0) {
        err = adopt(a, &row);
        if (err == 0) {
            log_info("certificate-revoked", LOG_STR("serial", row.serial));
            sessions_end_certificate(a, row.serial);
        } else if (err == ERR_REFUSED) {
            (void)error_set(&e, err, "serial number %.*s is another certificate's here", STR_ARG(row.serial));
        } else {
            (void)error_set(&e, err, "the revocation cannot be recorded");
        }
    }
    json_t *v = err == 0 || err == ERR_EXISTS ? json_pack("{s:b,s:b}", "ok", 1, "new", err == 0) : admin_error(err, e.text);
    arena_done(&arena);
    return v;
}
