/* service_table: see service_table.h. */
#include "service_table.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static int table_recipient(void *ctx, const struct smtp_login *login, str address, uint64_t size,
                           enum smtp_recipient_verdict *ret, struct error *e)
{
    struct service_table *t = ctx;
    t->asked++;
    if (str_ieq(address, STR("everybody@example.org"))) {
        *ret = SMTP_RECIPIENT_TOO_MANY;
        return 0;
    }
    if (str_ieq(address, STR("closed@example.org")) && !login) {
        *ret = SMTP_RECIPIENT_FORBIDDEN;
        return 0;
    }
    if (str_ieq(address, STR("busy@example.org")))
        return error_set(e, ERR_UNAVAILABLE, "the directory is closed");
    if (str_ieq(address, STR("full@example.org")))
        return error_set(e, ERR_FULL, "no space");
    if (!str_iends(address, STR("@example.org")) && !str_eq(address, STR("postmaster")))
        *ret = SMTP_RECIPIENT_NOT_OURS;
    else if (str_ieq(address, STR("tight@example.org")))
        *ret = size > 1024 * 1024 ? SMTP_RECIPIENT_TOO_SMALL : size > 10000 ? SMTP_RECIPIENT_FULL : SMTP_RECIPIENT_OK;
    else if (str_ieq(address, STR("sated@example.org")))
        *ret = SMTP_RECIPIENT_FULL;
    else if (str_ieq(address, STR("disabled@example.org")))
        *ret = SMTP_RECIPIENT_DISABLED;
    else if (str_istarts(address, STR("alice@")) || str_istarts(address, STR("bob@")) ||
             str_istarts(address, STR("postmaster")) || str_istarts(address, STR("user")) ||
             str_starts(address, STR("\"odd user\"@")) || str_starts(address, STR("\xc3\xa9lise@")))
        *ret = SMTP_RECIPIENT_OK;
    else
        *ret = SMTP_RECIPIENT_UNKNOWN;
    return 0;
}

static int table_accept(void *ctx, const struct smtp_delivery *d, struct error *e)
{
    struct service_table *t = ctx;
    struct stat st;
    if (t->accept_error)
        return error_set(e, t->accept_error, "as the test asked");
    require(d->recipient_n > 0 && d->structure.n > 0 && d->session.n > 0 && d->id.n > 0 && d->message.n > 0);
    buf_reset(&t->message);
    buf_reset(&t->recipients);
    buf_reset(&t->reverse_path);
    buf_reset(&t->structure);
    buf_add(&t->message, d->message);
    buf_add(&t->structure, d->structure);
    buf_add(&t->reverse_path, d->reverse_path);
    for (size_t i = 0; i < d->recipient_n; i++)
        buf_add_all(&t->recipients, d->recipients[i], STR(","));
    buf_reset(&t->dsn);
    buf_addf(&t->dsn, "%d %.*s", (int)d->ret, STR_ARG(d->envid));
    for (size_t i = 0; i < d->recipient_n; i++)
        buf_addf(&t->dsn, ",%d:%.*s", d->dsn[i].notify, STR_ARG(d->dsn[i].orcpt));
    t->fd_kind = 0;
    if (d->fd >= 0) {
        require(fstat(d->fd, &st) == 0 && (size_t)st.st_size == d->message.n);
        int seals = fcntl(d->fd, F_GET_SEALS);
        t->fd_kind = seals > 0 && (seals & F_SEAL_WRITE) ? 1 : 2;
    }
    t->smtputf8 = d->smtputf8;
    t->body_8bit = d->body_8bit;
    t->accepted++;
    return 0;
}

static int table_accept_each(void *ctx, const struct smtp_delivery *d, int *results, struct error *e)
{
    struct service_table *t = ctx;
    for (size_t i = 0; i < d->recipient_n; i++)
        results[i] = str_eq(d->recipients[i], t->accept_each_error_to) ? t->accept_each_error : 0;
    return table_accept(ctx, d, e);
}

static int table_authenticate(void *ctx, const struct sasl_attempt *t, struct arena *a, struct smtp_login *ret,
                              int64_t *ret_delay_ms)
{
    (void)ctx;
    str login = t->login;
    *ret_delay_ms = str_istarts(login, STR("slow")) ? 1000 : 0;
    if (str_ieq(login, STR("down")))
        return ERR_UNAVAILABLE;
    if (str_ieq(login, STR("locked")))
        return ERR_AGAIN;
    if (str_eq(t->password, STR("secret of bob's")) && ((struct service_table *)ctx)->busy_n++ < 2) {
        *ret_delay_ms = 1000;
        return ERR_UNAVAILABLE;
    }
    if (str_eq(t->password, STR("secret of bob's"))) {
        *ret = (struct smtp_login){ .account = { 'b' }, .address = STR("bob@example.org") };
        return 0;
    }
    /* A certificate is alice's, bob's or nobody's, as its address says. */
    if (t->proof == SASL_PROOF_CERTIFICATE) {
        str own = t->tls->client_addresses[0];
        if (t->login.n && !str_ieq(t->login, own))
            return ERR_REFUSED;
        *ret = (struct smtp_login){ .account = { (uint8_t)own.p[0] } };
        return arena_dup(a, own, &ret->address);
    }
    bool is_known = str_istarts(login, STR("alice")) || str_istarts(login, STR("bob")) || str_istarts(login, STR("slow"));
    if (!is_known ||
        !(t->proof == SASL_PROOF_RIGHT || (t->proof == SASL_PROOF_PASSWORD && str_eq_secret(t->password, STR("secret")))))
        return ERR_REFUSED;
    if (t->acting_as.n && !str_ieq(t->acting_as, login))
        return ERR_UNSUPPORTED;
    *ret = (struct smtp_login){ .account = { (uint8_t)login.p[0] }, .is_admin = str_istarts(login, STR("bob")) };
    str name = str_sub(login, 0, str_find_byte(login, '@', 0));
    return arena_printf(a, &ret->address, "%.*s@example.org", STR_ARG(name));
}

/* alice and slow are flagged for CRAM-MD5 and DIGEST-MD5 of password "secret". */
static int table_password(void *ctx, str login, struct buf *ret)
{
    (void)ctx;
    buf_add(ret, str_istarts(login, STR("alice")) || str_istarts(login, STR("slow")) ? STR("secret") : STR("nothing fits this"));
    return str_ieq(login, STR("down")) ? ERR_UNAVAILABLE : 0;
}

static int table_digest(void *ctx, str name, str realm, uint8_t ret[SASL_DIGEST_SIZE])
{
    (void)ctx;
    /* H("alice:example.org:secret") */
    static const uint8_t alice[SASL_DIGEST_SIZE] = { 0x54, 0x3e, 0x1a, 0xec, 0x5d, 0x36, 0x14, 0xf0,
                                                     0x31, 0x41, 0x65, 0x2d, 0x6a, 0xda, 0x51, 0xb2 };
    memset(ret, 0, SASL_DIGEST_SIZE);
    if (str_eq(name, STR("alice")) && str_eq(realm, STR("example.org")))
        memcpy(ret, alice, SASL_DIGEST_SIZE);
    return str_ieq(name, STR("down")) ? ERR_UNAVAILABLE : 0;
}

static int table_realm(void *ctx, struct buf *ret)
{
    (void)ctx;
    buf_add(ret, STR("example.org"));
    return 0;
}

static bool table_knows_certificate(void *ctx, const struct tls_info *tls)
{
    (void)ctx;
    return str_eq(tls->client_addresses[0], STR("alice@example.org"));
}

/* "smith" may be two; "staff" is a list of two, "crowd" of 120, "empty" of none; "busy" cannot be looked up; others as recipients. */
static int table_match(void *ctx, str name, struct arena *a, struct smtp_match **ret, size_t *ret_n)
{
    static const str pair[] = { STR_INIT("alice@example.org"), STR_INIT("bob@example.org") };
    static str crowd[120];
    struct smtp_match *list = arena_array(a, 2, sizeof *list);
    enum smtp_recipient_verdict verdict;
    str domain = str_from(name, str_find_byte(name, '@', 0)), local = str_sub(name, 0, name.n - domain.n);
    (void)ctx;
    for (size_t i = 0; i < 120; i++)
        crowd[i] = STR("user@example.org");
    *ret = list;
    *ret_n = 1;
    if (domain.n && !str_ieq(domain, STR("@example.org")))
        return ERR_REFUSED;
    if (str_eq(local, STR("busy")))
        return ERR_UNAVAILABLE;
    if (str_eq(local, STR("smith"))) {
        list[0] = (struct smtp_match){ .address = STR("smith@example.net"), .enabled = true };
        list[1] = (struct smtp_match){ .address = STR("smith@example.org"), .enabled = true };
        *ret_n = 2;
        return 0;
    }
    if (str_eq(local, STR("staff")) || str_eq(local, STR("crowd")) || str_eq(local, STR("empty"))) {
        bool many = str_eq(local, STR("crowd"));
        list[0] = (struct smtp_match){ .address = STR("staff@example.org"),
                                       .enabled = true,
                                       .is_list = true,
                                       .members = many ? crowd : pair,
                                       .member_n = many                          ? 120
                                                   : str_eq(local, STR("staff")) ? 2
                                                                                 : 0 };
        return 0;
    }
    int r = arena_printf(a, &list[0].address, "%.*s@example.org", STR_ARG(local));
    if (r == 0)
        r = table_recipient(ctx, NULL, list[0].address, 0, &verdict, NULL);
    list[0].enabled = r == 0 && verdict != SMTP_RECIPIENT_DISABLED;
    return r ? r : verdict == SMTP_RECIPIENT_UNKNOWN ? ERR_NOTFOUND : 0;
}

static bool table_is_revoked(void *ctx, str serial)
{
    (void)serial;
    return ((const struct service_table *)ctx)->is_revoked;
}

static bool table_may_send_as(void *ctx, const struct smtp_login *login, str address)
{
    (void)ctx;
    return str_ieq(address, login->address) ||
           (str_eq(login->address, STR("alice@example.org")) && str_ieq(address, STR("sales@example.org")));
}

static int table_spool(void *ctx, struct error *e)
{
    const struct service_table *t = ctx;
    if (t->spool_error)
        return error_set(e, t->spool_error, "as the test asked");
    /* A file without seals plays the unlinked spool file: no directory is needed. */
    return memfd_create("spool", MFD_CLOEXEC);
}

void service_table_init(struct service_table *t)
{
    *t = (struct service_table){ .accept_each_error = ERR_FULL,
                                 .message = BUF_INIT(64 * 1024 * 1024),
                                 .recipients = BUF_INIT(1024 * 1024),
                                 .reverse_path = BUF_INIT(4096),
                                 .structure = BUF_INIT(1024 * 1024),
                                 .dsn = BUF_INIT(1024 * 1024) };
    t->service = (struct smtp_service){ .ctx = t,
                                        .recipient = table_recipient,
                                        .accept = table_accept,
                                        .accept_each = table_accept_each,
                                        .authenticate = table_authenticate,
                                        .match = table_match,
                                        .may_send_as = table_may_send_as,
                                        .is_revoked = table_is_revoked,
                                        .spool = table_spool };
    t->config = (struct smtp_config){ .service = &t->service,
                                      .tls = SMTP_TLS_OPPORTUNISTIC,
                                      .hostname = STR("mx.example.org"),
                                      .size_max = 10 * 1024 * 1024,
                                      .recipients_max = 100,
                                      .errors_max = 10,
                                      .junk_max = 100,
                                      .unknown_max = 100,
                                      .auth = { .ctx = t,
                                                .password = table_password,
                                                .digest = table_digest,
                                                .realm = table_realm,
                                                .knows_certificate = table_knows_certificate } };
    sasl_settings_default(&t->config.auth);
    sasl_settings_add_sha1(&t->config.auth);
}

void service_table_done(struct service_table *t)
{
    buf_done(&t->message);
    buf_done(&t->recipients);
    buf_done(&t->reverse_path);
    buf_done(&t->structure);
    buf_done(&t->dsn);
}
