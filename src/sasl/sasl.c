/* sasl: see sasl.h. PLAIN (RFC 4616) and LOGIN (draft-murchison-sasl-login-00) through GNU SASL.
 *
 * Invariants
 *  1. The library's context is made once per process and never changed afterwards: its sessions may run in any thread. (Measured: a
 *     context costs ten times what a session costs, to register mechanisms that nobody asks for.)
 *  2. A server is in one of the states NEW, RUNNING, DONE, FAILED and moves only forward.
 *  3. Credentials are filled in exactly once, by the callback, and only a DONE server shows them. */
#include "sasl/sasl.h"

#include <gsasl.h>
#include <pthread.h>

enum sasl_state { SASL_NEW, SASL_RUNNING, SASL_DONE, SASL_FAILED };

struct sasl_server {
    const struct sasl_mechanism *mechanism;
    Gsasl_session *session;
    enum sasl_state state;
    unsigned steps;
    int callback_error;                  /* what the callback found wrong: the library has no code for it */
    struct buf authcid, authzid, password;
    struct sasl_credentials credentials;
};

/* LOGIN's prompts are those of the servers that clients were written against: some compare the text. */
static const struct sasl_mechanism mechanisms[] = {
    { .name = STR_INIT("PLAIN"), .plaintext = true, .client_first = true },
    { .name = STR_INIT("LOGIN"), .plaintext = true, .prompts = { STR_INIT("Username:"), STR_INIT("Password:") } },
};
enum { MECHANISM_N = sizeof(mechanisms) / sizeof(mechanisms[0]) };

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

/* Takes one property into B; an absent one is empty. */
static void take_property(Gsasl_session *session, Gsasl_property property, struct buf *b)
{
    buf_add(b, str_from_z(gsasl_property_fast(session, property)));
}

/* The library asks whether the credentials are right. They are only taken down here: the caller verifies (see sasl.h), so that
 * nothing blocks inside the library. */
static int sasl_callback(Gsasl *context, Gsasl_session *session, Gsasl_property property)
{
    struct sasl_server *s = gsasl_session_hook_get(session);
    (void)context;
    if (property != GSASL_VALIDATE_SIMPLE)
        return GSASL_NO_CALLBACK;
    if (s->authcid.n || s->password.n)
        return GSASL_AUTHENTICATION_ERROR;       /* invariant 3 */
    take_property(session, GSASL_AUTHID, &s->authcid);
    take_property(session, GSASL_AUTHZID, &s->authzid);
    take_property(session, GSASL_PASSWORD, &s->password);
    /* "To act as oneself" may be said in two ways, and the library makes the second of the first: keep the shorter. */
    if (str_eq(buf_str(&s->authzid), buf_str(&s->authcid)))
        buf_reset(&s->authzid);
    if (buf_error(&s->authcid) || buf_error(&s->authzid) || buf_error(&s->password))
        s->callback_error = ERR_LIMIT;
    else if (!s->authcid.n || !s->password.n)
        s->callback_error = ERR_SYNTAX;          /* RFC 4616 section 2: authcid and passwd have at least one character */
    return s->callback_error ? GSASL_AUTHENTICATION_ERROR : GSASL_OK;
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
    int rc = gsasl_server_start(shared_context, m->name.p, &s->session);
    if (rc != GSASL_OK) {
        sasl_server_free(s);
        return error_set(e, ERR_INTERNAL, "GNU SASL cannot start %s: %s", m->name.p, gsasl_strerror(rc));
    }
    gsasl_session_hook_set(s->session, s);
    *ret = s;
    return 0;
}

void sasl_server_free(struct sasl_server *s)
{
    if (!s)
        return;
    if (s->session) {
        /* The library frees its copy without wiping it. The property is its own heap memory, const only by the type. */
        char *secret = (char *)(uintptr_t)gsasl_property_fast(s->session, GSASL_PASSWORD);
        if (secret)
            secret_wipe(secret, strlen(secret));
        gsasl_finish(s->session);
    }
    buf_done(&s->authcid);
    buf_done(&s->authzid);
    buf_done(&s->password);
    free(s);
}

/* Runs the library's step: its output goes to CHALLENGE unless a prompt replaces it. */
static int library_step(struct sasl_server *s, str response, struct buf *challenge, struct error *e)
{
    char *out = NULL;
    size_t out_n = 0;
    buf_reset(challenge);
    int rc = gsasl_step(s->session, response.p, response.n, &out, &out_n);
    if (rc == GSASL_OK || rc == GSASL_NEEDS_MORE) {
        str prompt = s->steps < 2 ? s->mechanism->prompts[s->steps] : STR("");
        if (rc == GSASL_NEEDS_MORE)
            buf_add(challenge, prompt.n ? prompt : (str){ out, out_n });
        if (out)
            secret_wipe(out, out_n);
    }
    gsasl_free(out);
    s->steps++;
    switch (rc) {
    case GSASL_OK:
        if (!s->authcid.n)
            return error_set(e, ERR_INTERNAL, "GNU SASL ended %s without credentials", s->mechanism->name.p);
        return 0;
    case GSASL_NEEDS_MORE:
        return buf_error(challenge) ? buf_error(challenge) : ERR_AGAIN;
    case GSASL_AUTHENTICATION_ERROR:
        return error_set(e, s->callback_error ? s->callback_error : ERR_SYNTAX,
                         s->callback_error == ERR_LIMIT ? "name or password too long" : "name or password missing");
    case GSASL_MECHANISM_PARSE_ERROR:
    case GSASL_SASLPREP_ERROR:
        return error_set(e, ERR_SYNTAX, "malformed %s response", s->mechanism->name.p);
    default:
        return error_set(e, ERR_INTERNAL, "%s failed: %s", s->mechanism->name.p, gsasl_strerror(rc));
    }
}

/* Moves to the state that RC means (invariant 2) and publishes the credentials (invariant 3). */
static int settle(struct sasl_server *s, int rc)
{
    if (rc == 0) {
        s->state = SASL_DONE;
        s->credentials = (struct sasl_credentials){ buf_str(&s->authcid), buf_str(&s->authzid), buf_str(&s->password) };
    } else {
        s->state = rc == ERR_AGAIN ? SASL_RUNNING : SASL_FAILED;
    }
    return rc;
}

int sasl_server_start(struct sasl_server *s, const str *initial, struct buf *challenge, struct error *e)
{
    require(s->state == SASL_NEW);
    if (initial && s->mechanism->client_first && initial->n == 0)
        return settle(s, error_set(e, ERR_SYNTAX, "empty %s response", s->mechanism->name.p));
    if (initial && s->mechanism->client_first) {
        s->state = SASL_RUNNING;
        return sasl_server_step(s, *initial, challenge, e);
    }
    /* RFC 4422 section 3: without an initial response the server sends its first challenge, empty when the client is to speak
     * first. LOGIN is server-first, yet clients send the name as an initial response: then its first prompt is left out. */
    int rc = settle(s, library_step(s, STR(""), challenge, e));
    return initial && rc == ERR_AGAIN ? sasl_server_step(s, *initial, challenge, e) : rc;
}

int sasl_server_step(struct sasl_server *s, str response, struct buf *challenge, struct error *e)
{
    require(s->state == SASL_RUNNING);
    if (response.n > SASL_RESPONSE_MAX)
        return settle(s, error_set(e, ERR_LIMIT, "authentication response longer than %d bytes", SASL_RESPONSE_MAX));
    if (s->steps >= SASL_STEPS_MAX)
        return settle(s, error_set(e, ERR_LIMIT, "too many authentication responses"));
    if (response.n == 0 && s->mechanism->plaintext)
        return settle(s, error_set(e, ERR_SYNTAX, "empty %s response", s->mechanism->name.p));
    return settle(s, library_step(s, response, challenge, e));
}

const struct sasl_credentials *sasl_server_credentials(const struct sasl_server *s)
{
    return s->state == SASL_DONE ? &s->credentials : NULL;
}
