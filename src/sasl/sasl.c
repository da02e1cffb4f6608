/* sasl: see sasl.h. SCRAM (RFC 5802, RFC 7677), CRAM-MD5 (RFC 2195) and DIGEST-MD5 (RFC 2831) through GNU SASL; PLAIN (RFC 4616) and LOGIN
 * (draft-murchison-sasl-login-00) by ourselves, see plain.h.
 *
 * EXTERNAL (RFC 4422 appendix A) is here a name only: whom the certificate is for, the caller finds out.
 *
 * Invariants
 *  1. The library's context is made once per process and never changed afterwards: its sessions may run in any thread. (Measured: a
 *     context costs ten times what a session costs, to register mechanisms that nobody asks for.)
 *  2. A server is in one of the states NEW, RUNNING, DONE, FAILED and moves only forward.
 *  3. Credentials are filled in exactly once, by the callback, and only a DONE server shows them.
 *  4. A DONE server without a password is right only when the library said so: is_refuted is set by everything else. */
#include "sasl/sasl.h"

#include <gsasl.h>
#include <pthread.h>

#include "base/base64.h"
#include "base/utf8.h"
#include "sasl/bound.h"
#include "sasl/plain.h"

enum sasl_state { SASL_NEW, SASL_RUNNING, SASL_DONE, SASL_FAILED };

struct sasl_server {
    const struct sasl_mechanism *mechanism;
    Gsasl_session *session;
    enum sasl_state state;
    unsigned steps;
    int callback_error; /* what the callback found wrong: the library has no code for it */
    struct buf authcid, authzid, password;
    struct buf binding, end_point;
    struct bound *bound; /* an exchange over end_point */
    const struct sasl_settings *settings;
    struct sasl_scram keys;
    bool has_keys;
    bool is_refuted; /* the client's proof does not fit */
    struct sasl_credentials credentials;
};

/* LOGIN's prompts are those of the servers that clients were written against: some compare the text. */
static const struct sasl_mechanism mechanisms[] = {
    { STR_INIT("EXTERNAL"), SASL_KIND_EXTERNAL, .client_first = true },
    { STR_INIT("SCRAM-SHA-256-PLUS"), SASL_KIND_SCRAM, .client_first = true, .binding = true, .hash = SASL_HASH_SHA256 },
    { STR_INIT("SCRAM-SHA-1-PLUS"), SASL_KIND_SCRAM, .client_first = true, .binding = true, .hash = SASL_HASH_SHA1 },
    { STR_INIT("SCRAM-SHA-256"), SASL_KIND_SCRAM, .client_first = true, .hash = SASL_HASH_SHA256 },
    { STR_INIT("SCRAM-SHA-1"), SASL_KIND_SCRAM, .client_first = true, .hash = SASL_HASH_SHA1 },
    { STR_INIT("PLAIN"), SASL_KIND_PASSWORD, .client_first = true },
    { STR_INIT("LOGIN"), SASL_KIND_PASSWORD, .prompts = { STR_INIT("Username:"), STR_INIT("Password:") } },
    { STR_INIT("DIGEST-MD5"), SASL_KIND_DIGEST_MD5, .legacy = true },
    { STR_INIT("CRAM-MD5"), SASL_KIND_CRAM_MD5, .legacy = true },
};
enum { MECHANISM_N = sizeof(mechanisms) / sizeof(mechanisms[0]) };

_Static_assert(MECHANISM_N <= 8 * sizeof(sasl_set), "each mechanism has a bit");

const struct sasl_mechanism *sasl_mechanisms(size_t *ret_n)
{
    *ret_n = MECHANISM_N;
    return mechanisms;
}

const struct sasl_mechanism *sasl_mechanism_find(str name)
{
    for (size_t i = 0; i < MECHANISM_N; i++) {
        if (str_ieq(mechanisms[i].name, name))
            return &mechanisms[i];
    }
    return NULL;
}

sasl_set sasl_set_of(const struct sasl_mechanism *m)
{
    return (sasl_set)1 << (m - mechanisms);
}

/* Takes one property into B; an absent one is empty. */
static void take_property(Gsasl_session *session, Gsasl_property property, struct buf *b)
{
    buf_add(b, str_from_z(gsasl_property_fast(session, property)));
}

/* "To act as oneself" may be said in two ways: keep the shorter. */
static void take_names(struct sasl_server *s, Gsasl_session *session)
{
    take_property(session, GSASL_AUTHID, &s->authcid);
    take_property(session, GSASL_AUTHZID, &s->authzid);
    if (str_eq(buf_str(&s->authzid), buf_str(&s->authcid)))
        buf_reset(&s->authzid);
}

/* EXTERNAL: whom the client wants to act as, in UTF-8; empty for whom the certificate is for. */
static int on_certificate(struct sasl_server *s, Gsasl_session *session)
{
    take_property(session, GSASL_AUTHZID, &s->authzid);
    if (buf_error(&s->authzid))
        s->callback_error = ERR_LIMIT;
    else if (!utf8_valid(buf_str(&s->authzid)))
        s->callback_error = ERR_SYNTAX;
    return s->callback_error ? GSASL_AUTHENTICATION_ERROR : GSASL_OK;
}

/* Mechanisms that prove a password: takes the names down once the library knows them. */
static int find_names(struct sasl_server *s, Gsasl_session *session)
{
    take_names(s, session);
    if (buf_error(&s->authcid) || buf_error(&s->authzid))
        return ERR_LIMIT;
    return s->authcid.n ? 0 : ERR_SYNTAX;
}

/* SCRAM: the first question of the library comes when it knows the name; the answer to all is fetched at once. */
static int find_keys(struct sasl_server *s, Gsasl_session *session)
{
    if (s->has_keys || s->callback_error)
        return s->callback_error;
    s->callback_error = find_names(s, session);
    if (s->callback_error == 0)
        s->callback_error = s->settings->scram(s->settings->ctx, buf_str(&s->authcid), s->mechanism->hash, &s->keys);
    s->has_keys = s->callback_error == 0;
    return s->callback_error;
}

/* CRAM-MD5: the library computes the digest from the password. */
static int on_cram(struct sasl_server *s, Gsasl_session *session)
{
    struct buf password;
    int rc = GSASL_AUTHENTICATION_ERROR;
    buf_init_secret(&password, SASL_PASSWORD_MAX + 1);
    s->callback_error = find_names(s, session);
    if (s->callback_error == 0)
        s->callback_error = s->settings->password(s->settings->ctx, buf_str(&s->authcid), &password);
    const char *z = s->callback_error == 0 ? buf_z(&password) : NULL;
    if (z)
        rc = gsasl_property_set(session, GSASL_PASSWORD, z);
    s->has_keys = rc == GSASL_OK;
    buf_done(&password);
    return rc;
}

static int give_realm(struct sasl_server *s, Gsasl_session *session)
{
    struct buf realm = BUF_INIT(SASL_NAME_MAX);
    int rc = GSASL_AUTHENTICATION_ERROR;
    s->callback_error = s->settings->realm(s->settings->ctx, &realm);
    const char *z = s->callback_error == 0 ? buf_z(&realm) : NULL;
    if (z)
        rc = gsasl_property_set(session, GSASL_REALM, z);
    buf_done(&realm);
    return rc;
}

/* DIGEST-MD5: the realm for the challenge, then the hash of the name in the realm that came back. */
static int on_digest(struct sasl_server *s, Gsasl_session *session, Gsasl_property property)
{
    uint8_t hash[SASL_DIGEST_SIZE];
    struct buf hex;
    int rc = GSASL_AUTHENTICATION_ERROR;
    if (property == GSASL_REALM)
        return s->steps == 0 ? give_realm(s, session) : GSASL_NO_CALLBACK;
    if (property != GSASL_DIGEST_MD5_HASHED_PASSWORD)
        return GSASL_NO_CALLBACK;
    buf_init_secret(&hex, 2 * SASL_DIGEST_SIZE + 1);
    s->callback_error = find_names(s, session);
    if (s->callback_error == 0)
        s->callback_error = s->settings->digest(s->settings->ctx, buf_str(&s->authcid),
                                                str_from_z(gsasl_property_fast(session, GSASL_REALM)), hash);
    if (s->callback_error == 0) {
        buf_add_hex(&hex, hash, sizeof hash);
        const char *z = buf_z(&hex);
        rc = z ? gsasl_property_set(session, property, z) : GSASL_MALLOC_ERROR;
    }
    s->has_keys = rc == GSASL_OK;
    secret_wipe(hash, sizeof hash);
    buf_done(&hex);
    return rc;
}

static int give_base64(Gsasl_session *session, Gsasl_property property, const void *p, size_t n)
{
    struct buf text;
    buf_init_secret(&text, 4 * SASL_KEY_MAX);
    base64_encode(&text, (str){ p, n });
    int rc = buf_error(&text) ? GSASL_MALLOC_ERROR : gsasl_property_set_raw(session, property, text.p, text.n);
    buf_done(&text);
    return rc;
}

static int on_scram(struct sasl_server *s, Gsasl_session *session, Gsasl_property property)
{
    const size_t key_n = s->mechanism->hash == SASL_HASH_SHA1 ? 20 : 32;
    char iterations[16];
    if (property == GSASL_CB_TLS_EXPORTER)
        return s->binding.n ? give_base64(session, property, s->binding.p, s->binding.n) : GSASL_NO_CB_TLS_EXPORTER;
    if (property != GSASL_SCRAM_ITER && property != GSASL_SCRAM_SALT && property != GSASL_SCRAM_STOREDKEY &&
        property != GSASL_SCRAM_SERVERKEY)
        return GSASL_NO_CALLBACK;
    if (find_keys(s, session))
        return GSASL_AUTHENTICATION_ERROR;
    if (property == GSASL_SCRAM_ITER) {
        (void)snprintf(iterations, sizeof iterations, "%u", s->keys.iterations);
        return gsasl_property_set(session, property, iterations);
    }
    if (property == GSASL_SCRAM_SALT)
        return give_base64(session, property, s->keys.salt, sizeof s->keys.salt);
    return give_base64(session, property, property == GSASL_SCRAM_STOREDKEY ? s->keys.stored_key : s->keys.server_key, key_n);
}

static int sasl_callback(Gsasl *context, Gsasl_session *session, Gsasl_property property)
{
    struct sasl_server *s = gsasl_session_hook_get(session);
    (void)context;
    switch (s->mechanism->kind) {
    case SASL_KIND_PASSWORD:
        break;
    case SASL_KIND_SCRAM:
        return on_scram(s, session, property);
    case SASL_KIND_CRAM_MD5:
        return property == GSASL_PASSWORD ? on_cram(s, session) : GSASL_NO_CALLBACK;
    case SASL_KIND_DIGEST_MD5:
        return on_digest(s, session, property);
    case SASL_KIND_EXTERNAL:
        return property == GSASL_VALIDATE_EXTERNAL ? on_certificate(s, session) : GSASL_NO_CALLBACK;
    }
    return GSASL_NO_CALLBACK;
}

static Gsasl *shared_context;
static pthread_once_t shared_once = PTHREAD_ONCE_INIT;

static void shared_init(void)
{
    if (gsasl_init(&shared_context) != GSASL_OK)
        shared_context = NULL;
    else
        gsasl_callback_set(shared_context, sasl_callback);
}

/* Keeps leak checkers content when the process ends in order. */
__attribute__((destructor)) static void shared_done(void)
{
    if (shared_context)
        gsasl_done(shared_context);
    shared_context = NULL;
}

int sasl_server_new(const struct sasl_mechanism *m, struct sasl_server **ret, struct error *e)
{
    pthread_once(&shared_once, shared_init);
    if (!shared_context)
        return error_set(e, ERR_INTERNAL, "GNU SASL cannot be initialised");
    struct sasl_server *s = calloc(1, sizeof(*s));
    if (!s)
        panic("out of memory");
    s->mechanism = m;
    buf_init(&s->authcid, SASL_NAME_MAX);
    buf_init(&s->authzid, SASL_NAME_MAX);
    buf_init_secret(&s->password, SASL_PASSWORD_MAX);
    buf_init(&s->binding, SASL_KEY_MAX);
    buf_init(&s->end_point, SASL_CHANNEL_MAX);
    int rc = m->kind == SASL_KIND_PASSWORD ? GSASL_OK : gsasl_server_start(shared_context, m->name.p, &s->session);
    if (rc != GSASL_OK) {
        sasl_server_free(s);
        return error_set(e, ERR_INTERNAL, "GNU SASL cannot start %s: %s", m->name.p, gsasl_strerror(rc));
    }
    if (s->session)
        gsasl_session_hook_set(s->session, s);
    *ret = s;
    return 0;
}

const struct sasl_mechanism *sasl_server_mechanism(const struct sasl_server *s)
{
    return s->mechanism;
}

void sasl_server_set_settings(struct sasl_server *s, const struct sasl_settings *settings)
{
    s->settings = settings;
}

void sasl_server_set_binding(struct sasl_server *s, str exporter)
{
    buf_reset(&s->binding);
    buf_add(&s->binding, exporter);
    require(buf_error(&s->binding) == 0);
}

void sasl_server_set_end_point(struct sasl_server *s, str hash)
{
    buf_reset(&s->end_point);
    buf_add(&s->end_point, hash);
    require(buf_error(&s->end_point) == 0);
}

void sasl_server_free(struct sasl_server *s)
{
    static const Gsasl_property secrets[] = { GSASL_PASSWORD, GSASL_SCRAM_STOREDKEY, GSASL_SCRAM_SERVERKEY,
                                              GSASL_DIGEST_MD5_HASHED_PASSWORD };
    if (!s)
        return;
    for (size_t i = 0; s->session && i < sizeof secrets / sizeof secrets[0]; i++) {
        /* The library frees its copies without wiping them. A property is its own heap memory, const only by the type. */
        char *secret = (char *)(uintptr_t)gsasl_property_fast(s->session, secrets[i]);
        if (secret)
            secret_wipe(secret, strlen(secret));
    }
    if (s->session)
        gsasl_finish(s->session);
    secret_wipe(&s->keys, sizeof s->keys);
    buf_done(&s->binding);
    buf_done(&s->end_point);
    bound_free(s->bound);
    buf_done(&s->authcid);
    buf_done(&s->authzid);
    buf_done(&s->password);
    free(s);
}

/* What the library's failure RC means. A SCRAM proof that does not fit is no failure of the exchange but its result. */
static int library_error(struct sasl_server *s, int rc, struct error *e)
{
    if (s->callback_error)
        return error_set(e, s->callback_error, "the name is not acceptable, or cannot be looked up: %s",
                         err_name(s->callback_error));
    switch (rc) {
    case GSASL_AUTHENTICATION_ERROR:
        if (s->has_keys) {
            s->is_refuted = true;
            return 0;
        }
        return error_set(e, ERR_SYNTAX, "name, password or channel binding missing");
    case GSASL_MECHANISM_PARSE_ERROR:
    case GSASL_SASLPREP_ERROR:
    case GSASL_NO_CB_TLS_EXPORTER:
    case GSASL_NO_CB_TLS_UNIQUE:
        return error_set(e, ERR_SYNTAX, "malformed %s response", s->mechanism->name.p);
    default:
        return error_set(e, ERR_INTERNAL, "%s failed: %s", s->mechanism->name.p, gsasl_strerror(rc));
    }
}

/* Runs the library's step: its output goes to CHALLENGE. */
static int library_step(struct sasl_server *s, str response, struct buf *challenge, struct error *e)
{
    char *out = NULL;
    size_t out_n = 0;
    buf_reset(challenge);
    int rc = gsasl_step(s->session, response.p, response.n, &out, &out_n); /* EXTERNAL tells NULL from empty */
    if (rc == GSASL_OK || rc == GSASL_NEEDS_MORE) {
        buf_add(challenge, (str){ out, out_n });
        if (out)
            secret_wipe(out, out_n);
    }
    gsasl_free(out);
    s->steps++;
    if (rc != GSASL_OK && rc != GSASL_NEEDS_MORE)
        return library_error(s, rc, e);
    /* The library knows no way to refuse a name while it answers: it would go on with numbers of its own. */
    if (s->callback_error)
        return error_set(e, s->callback_error, "the name is not acceptable, or cannot be looked up");
    if (rc == GSASL_OK && !s->authcid.n && s->mechanism->kind != SASL_KIND_EXTERNAL)
        return error_set(e, ERR_INTERNAL, "GNU SASL ended %s without credentials", s->mechanism->name.p);
    if (buf_error(challenge))
        return buf_error(challenge);
    return rc == GSASL_OK ? 0 : ERR_AGAIN;
}

/* The same of PLAIN and LOGIN: see plain.h. */
static int password_step(struct sasl_server *s, str response, struct buf *challenge, struct error *e)
{
    const str *prompts = s->mechanism->prompts;
    unsigned step = s->steps++;
    int r = ERR_AGAIN;
    buf_reset(challenge);
    if (!prompts[0].n && response.n)
        r = plain_take(response, &s->authcid, &s->authzid, &s->password);
    else if (prompts[0].n && step == 1)
        r = plain_take_name(response, &s->authcid);
    else if (prompts[0].n && step == 2)
        r = plain_take_password(response, &s->password);
    if (r < 0 && r != ERR_AGAIN)
        return error_set(e, r, "malformed %s response", s->mechanism->name.p);
    if (str_eq(buf_str(&s->authzid), buf_str(&s->authcid)))
        buf_reset(&s->authzid);
    if (s->password.n)
        return 0;
    if (step < 2)
        buf_add(challenge, prompts[step]);
    return buf_error(challenge) ? buf_error(challenge) : ERR_AGAIN;
}

/* The same of an exchange that GNU SASL does not know: see bound.h. */
static int bound_step(struct sasl_server *s, str response, struct buf *challenge, struct error *e)
{
    int r;
    buf_reset(challenge);
    s->steps++;
    if (s->bound) {
        r = bound_final(s->bound, response, challenge);
        s->is_refuted = r == ERR_REFUSED;
        r = s->is_refuted ? 0 : r;
    } else {
        s->bound = bound_new(s->mechanism->hash, STR("tls-server-end-point"), buf_str(&s->end_point));
        r = bound_first(s->bound, response, &s->authcid, &s->authzid);
        if (r == 0 && str_eq(buf_str(&s->authzid), buf_str(&s->authcid)))
            buf_reset(&s->authzid);
        if (r == 0)
            r = s->settings->scram(s->settings->ctx, buf_str(&s->authcid), s->mechanism->hash, &s->keys);
        if (r == 0)
            r = bound_challenge(s->bound, &s->keys, challenge);
        r = r == 0 ? ERR_AGAIN : r;
    }
    return r == 0 || r == ERR_AGAIN ? r : error_set(e, r, "%s over tls-server-end-point: %s", s->mechanism->name.p, err_name(r));
}

static enum sasl_proof proof_of(const struct sasl_server *s)
{
    switch (s->mechanism->kind) {
    case SASL_KIND_PASSWORD:
        return SASL_PROOF_PASSWORD;
    case SASL_KIND_EXTERNAL:
        return SASL_PROOF_CERTIFICATE;
    case SASL_KIND_SCRAM:
    case SASL_KIND_CRAM_MD5:
    case SASL_KIND_DIGEST_MD5:
        return s->is_refuted ? SASL_PROOF_WRONG : SASL_PROOF_RIGHT;
    }
    panic("impossible kind of mechanism %d", (int)s->mechanism->kind);
}

/* Moves to the state that RC means (invariant 2) and publishes the credentials (invariant 3). */
static int settle(struct sasl_server *s, int rc)
{
    if (rc == 0) {
        s->state = SASL_DONE;
        s->credentials =
            (struct sasl_credentials){ buf_str(&s->authcid), buf_str(&s->authzid), proof_of(s), buf_str(&s->password) };
    } else {
        s->state = rc == ERR_AGAIN ? SASL_RUNNING : SASL_FAILED;
    }
    return rc;
}

int sasl_server_start(struct sasl_server *s, const str *initial, struct buf *challenge, struct error *e)
{
    bool may_be_empty = s->mechanism->kind == SASL_KIND_EXTERNAL;
    require(s->state == SASL_NEW &&
            (s->settings || s->mechanism->kind == SASL_KIND_PASSWORD || s->mechanism->kind == SASL_KIND_EXTERNAL));
    if (initial && !s->mechanism->client_first && s->mechanism->kind != SASL_KIND_PASSWORD)
        return settle(s, error_set(e, ERR_SYNTAX, "%s has no initial response", s->mechanism->name.p));
    if (initial && s->mechanism->client_first && initial->n == 0 && !may_be_empty)
        return settle(s, error_set(e, ERR_SYNTAX, "empty %s response", s->mechanism->name.p));
    if (initial && s->mechanism->client_first) {
        s->state = SASL_RUNNING;
        return sasl_server_step(s, *initial, challenge, e);
    }
    /* RFC 4422 section 3: without an initial response the server sends its first challenge, empty when the client is to speak
     * first. LOGIN is server-first, yet clients send the name as an initial response: then its first prompt is left out. */
    bool by_us = s->mechanism->kind == SASL_KIND_PASSWORD;
    int rc = settle(s, by_us ? password_step(s, STR(""), challenge, e)
                             : library_step(s, (str){ may_be_empty ? NULL : "", 0 }, challenge, e));
    return initial && rc == ERR_AGAIN ? sasl_server_step(s, *initial, challenge, e) : rc;
}

int sasl_server_step(struct sasl_server *s, str response, struct buf *challenge, struct error *e)
{
    require(s->state == SASL_RUNNING);
    if (response.n > SASL_RESPONSE_MAX)
        return settle(s, error_set(e, ERR_LIMIT, "authentication response longer than %d bytes", SASL_RESPONSE_MAX));
    if (s->steps >= SASL_STEPS_MAX)
        return settle(s, error_set(e, ERR_LIMIT, "too many authentication responses"));
    if (response.n == 0 && s->mechanism->kind != SASL_KIND_EXTERNAL)
        return settle(s, error_set(e, ERR_SYNTAX, "empty %s response", s->mechanism->name.p));
    if (response.n == 0)
        response = STR("");
    /* RFC 5802 section 7 and kin: no NUL anywhere but in PLAIN; the library would stop reading there. */
    if (s->mechanism->kind != SASL_KIND_PASSWORD && str_find_byte(response, '\0', 0) < response.n)
        return settle(s, error_set(e, ERR_SYNTAX, "malformed %s response", s->mechanism->name.p));
    /* RFC 5802 section 6: binding is asked for with a mechanism that binds; the library takes it with any. */
    if (s->mechanism->hash && !s->mechanism->binding && !s->authcid.n && str_starts(response, STR("p=")))
        return settle(s, error_set(e, ERR_SYNTAX, "%s does not bind channels", s->mechanism->name.p));
    bool is_bound = s->bound || (s->mechanism->binding && s->end_point.n && !s->authcid.n &&
                                 str_starts(response, STR("p=tls-server-end-point,")));
    if (s->mechanism->kind == SASL_KIND_PASSWORD)
        return settle(s, password_step(s, response, challenge, e));
    return settle(s, is_bound ? bound_step(s, response, challenge, e) : library_step(s, response, challenge, e));
}

const struct sasl_credentials *sasl_server_credentials(const struct sasl_server *s)
{
    return s->state == SASL_DONE ? &s->credentials : NULL;
}
