/* login: see login.h. A certificate logs in (RFC 4422 appendix A) when our CA vouches for it, it is on record and not revoked, and the rfc822Name that
 * is asked for, or else the first that will do, is the own address of an enabled account, the very one that it was issued to: an alias may lead
 * elsewhere tomorrow, and the next one with an address is another account. */
#include "role/login.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/metric.h"
#include "role/certificates.h"

static int on_scram(void *ctx, str login, enum sasl_hash hash, struct sasl_scram *ret)
{
    struct core *c = ctx;
    struct directory_scram s;
    int err = directory_scram_find(c->directory, login, hash == SASL_HASH_SHA1 ? DIRECTORY_SHA1 : DIRECTORY_SHA256, &s);
    if (err)
        return err;
    _Static_assert(sizeof ret->salt == sizeof s.salt && sizeof ret->stored_key == sizeof s.stored_key, "both hold SCRAM's keys");
    ret->iterations = s.iterations;
    memcpy(ret->salt, s.salt, sizeof ret->salt);
    memcpy(ret->stored_key, s.stored_key, sizeof ret->stored_key);
    memcpy(ret->server_key, s.server_key, sizeof ret->server_key);
    secret_wipe(&s, sizeof s);
    return 0;
}

static int on_cram(void *ctx, str login, struct buf *ret)
{
    struct core *c = ctx;
    return directory_cram_find(c->directory, login, ret);
}

static int on_digest(void *ctx, str name, str realm, uint8_t ret[SASL_DIGEST_SIZE])
{
    struct core *c = ctx;
    _Static_assert((int)SASL_DIGEST_SIZE == (int)DIRECTORY_DIGEST_SIZE, "both are MD5's");
    return directory_digest_find(c->directory, name, realm, ret);
}

static int on_realm(void *ctx, struct buf *ret)
{
    struct core *c = ctx;
    return directory_realm(c->directory, ret);
}

/* --- certificates --- */

/* The address in certificate TLS that WANTED names, or with an empty one the first that is an account's: in *RET, in ARENA. 0, ERR_REFUSED, or
 * as the store fails. */
static int certificate_address(struct core *c, const struct tls_info *tls, str wanted, struct arena *arena, str *ret,
                               engine_part *ret_id)
{
    struct directory_account asked, named;
    struct certificate_owners owners;
    if (!tls->client_verified)
        return ERR_REFUSED;
    int err = certificates_owners(c->engine, tls->client_serial, &owners);
    if (err)
        return err;
    if (wanted.n && directory_find_account(c->directory, str_trim(wanted), arena, &asked) != 0)
        return ERR_REFUSED;
    for (size_t i = 0; i < tls->client_address_n; i++) {
        if (directory_find_account(c->directory, tls->client_addresses[i], arena, &named) == 0 && named.enabled &&
            certificate_is_of(&owners, named.id) && (!wanted.n || str_eq(named.address, asked.address))) {
            *ret = named.address;
            *ret_id = named.id;
            return 0;
        }
    }
    return ERR_REFUSED;
}

static bool knows_certificate(void *ctx, const struct tls_info *tls)
{
    struct arena a = ARENA_INIT(1 << 16);
    str address;
    engine_part id;
    int err = certificate_address(ctx, tls, STR(""), &a, &address, &id);
    if (err && err != ERR_REFUSED)
        log_warning("login-certificate", LOG_STR("serial", tls->client_serial), LOG_Z("error", err_name(err)));
    arena_done(&a);
    return err == 0;
}

/* A certificate that is refused counts as a wrong password of whom it names first: nobody else's name can be worn out with it. */
static int take_certificate(struct core *c, const struct sasl_attempt *t, struct arena *a, struct directory_attempt *ret,
                            engine_part *ret_id)
{
    int err = certificate_address(c, t->tls, t->login, a, &ret->login, ret_id);
    if (err && err != ERR_REFUSED)
        return ERR_UNAVAILABLE;
    if (err)
        log_info("login-certificate-refused", LOG_STR("subject", t->tls->client_subject),
                 LOG_STR("serial", t->tls->client_serial), LOG_STR("wanted", str_sub(t->login, 0, 200)));
    ret->proof = err ? DIRECTORY_REFUTED : DIRECTORY_CERTIFIED;
    if (err)
        ret->login = t->tls->client_address_n ? t->tls->client_addresses[0] : t->tls->client_subject;
    return 0;
}

/* --- deciding --- */

static int log_in(struct core *c, enum directory_service service, const struct sasl_attempt *t, struct arena *a,
                  struct directory_account *ret, int64_t *ret_delay_ms)
{
    static const enum directory_proof proofs[] = { [SASL_PROOF_PASSWORD] = DIRECTORY_PASSWORD,
                                                   [SASL_PROOF_RIGHT] = DIRECTORY_PROVED,
                                                   [SASL_PROOF_WRONG] = DIRECTORY_REFUTED,
                                                   [SASL_PROOF_CERTIFICATE] = DIRECTORY_CERTIFIED };
    struct directory_attempt attempt = { .login = t->login,
                                         .service = service,
                                         .proof = proofs[t->proof],
                                         .password = t->password,
                                         .peer = t->peer,
                                         .mechanism = t->mechanism,
                                         .acting_as = t->acting_as,
                                         .tls = t->tls && t->tls->active ? t->tls->version : STR("") };
    engine_part id;
    int err = t->proof == SASL_PROOF_CERTIFICATE ? take_certificate(c, t, a, &attempt, &id) : 0;
    if (err == 0 && attempt.proof == DIRECTORY_CERTIFIED)
        attempt.certified = &id;
    int64_t began_us = clock_mono_us();
    if (err == 0)
        err = directory_login(c->directory, &attempt, a, ret, ret_delay_ms);
    metric_observe(metric_get(METRIC_LOGIN_TIME, NULL), clock_mono_us() - began_us);
    metric_add(metric_get(METRIC_LOGINS, "service", service == DIRECTORY_SUBMISSION ? "submission" : "mailboxes", "result",
                          err ? err_name(err) : "ok", NULL),
               1);
    return err;
}

static struct conn_login login_of(const struct directory_account *a)
{
    return (struct conn_login){ .generation = a->by.generation, .tag = a->by.tag, .kind = (uint8_t)a->by.kind };
}

int login_smtp(void *ctx, const struct sasl_attempt *attempt, struct arena *a, struct smtp_login *ret, int64_t *ret_delay_ms)
{
    struct core *c = ctx;
    struct directory_account account;
    int err = log_in(c, DIRECTORY_SUBMISSION, attempt, a, &account, ret_delay_ms);
    if (err)
        return err;
    memcpy(ret->account, account.id.b, sizeof ret->account);
    ret->address = account.address;
    ret->is_admin = account.role == DIRECTORY_ADMIN; /* another role ends the session */
    ret->by = login_of(&account);
    return 0;
}

int login_imap(void *ctx, const struct sasl_attempt *attempt, struct arena *a, struct imap_login *ret, int64_t *ret_delay_ms)
{
    struct core *c = ctx;
    struct directory_account account;
    int err = log_in(c, DIRECTORY_MAILBOXES, attempt, a, &account, ret_delay_ms);
    if (err)
        return err;
    ret->account = account.id;
    ret->address = account.address;
    ret->by = login_of(&account);
    return 0;
}

struct sasl_settings login_settings(struct core *c, const struct config_listener *l)
{
    struct sasl_settings s = { .ctx = c,
                               .scram = on_scram,
                               .password = on_cram,
                               .digest = on_digest,
                               .realm = on_realm,
                               .knows_certificate = knows_certificate };
    sasl_settings_default(&s);
    if (l->scram_sha1)
        sasl_settings_add_sha1(&s);
    if (l->auth)
        s.taken = s.listed = l->auth;
    return s;
}
