/* AUTH (RFC 4954): a SASL exchange in base64 lines, then the answer, held back as long as the service says. */
#include "smtp/session_private.h"

#include "base/base64.h"
#include "base/clock.h"
#include "base/log.h"

void smtp_auth_abort(struct smtp_session *s)
{
    sasl_server_free(s->sasl);
    s->sasl = NULL;
    buf_reset(&s->auth_proof);
    s->auth_is_proved = false;
    if (s->mode == SMTP_MODE_AUTH)
        s->mode = SMTP_MODE_COMMAND;
}

static void say_challenge(struct smtp_session *s, str bytes)
{
    struct buf line = BUF_INIT(2 * SASL_RESPONSE_MAX);
    base64_encode(&line, bytes);
    str text = buf_str(&line);
    smtp_say_lines(s, SMTP_REPLY_CHALLENGE, &text, 1);
    buf_done(&line);
}

static void verify(struct smtp_session *s);

/* Gives the answer to an exchange that is over, after DELAY_MS. */
static void answer(struct smtp_session *s, enum smtp_reply reply, int64_t delay_ms)
{
    sasl_server_free(s->sasl);
    s->sasl = NULL;
    s->held = reply;
    if (delay_ms <= 0) {
        smtp_auth_release(s);
        return;
    }
    s->mode = SMTP_MODE_HELD;
    smtp_session_wait(s, delay_ms);
}

void smtp_auth_release(struct smtp_session *s)
{
    smtp_session_wait(s, SMTP_IDLE_MS);
    if (s->auth_asks_again) {
        s->auth_asks_again = false;
        s->mode = SMTP_MODE_AUTH;
        verify(s);
        return;
    }
    if (s->held == SMTP_REPLY_AUTHENTICATED && s->auth_proof.n) {
        /* RFC 4954 section 4: no data goes with success, so the server's last word is a challenge of its own. */
        s->mode = SMTP_MODE_AUTH;
        s->auth_is_proved = true;
        say_challenge(s, buf_str(&s->auth_proof));
    } else {
        smtp_auth_abort(s);
        s->mode = SMTP_MODE_COMMAND;
        smtp_say(s, s->held);
        s->is_authenticated = s->held == SMTP_REPLY_AUTHENTICATED;
    }
    bool failed = s->held == SMTP_REPLY_AUTH_REFUSED || s->held == SMTP_REPLY_AUTH_LOCKED_OUT;
    if (failed && ++s->auth_failures >= SMTP_AUTH_FAILURES_MAX)
        smtp_say(s, SMTP_REPLY_TOO_MANY_FAILURES);
    /* What came meanwhile was dropped, so the two sides may be out of step: a client of good will has waited. */
    if (s->has_input_while_held && !s->is_closing)
        smtp_say(s, SMTP_REPLY_INPUT_WHILE_HELD);
}

/* Asks the service about the credentials and answers; while there is no place to check them, asks again later. */
static void verify(struct smtp_session *s)
{
    const struct sasl_credentials *c = sasl_server_credentials(s->sasl);
    str mechanism = sasl_server_mechanism(s->sasl)->name;
    const struct smtp_service *service = s->config->service;
    struct smtp_login login = { 0 };
    struct sasl_attempt attempt = sasl_attempt_of(c, mechanism, s->conn);
    int64_t delay_ms = 0;
    enum smtp_reply reply = SMTP_REPLY_AUTH_REFUSED;
    int rc = service->authenticate(service->ctx, &attempt, conn_arena(s->conn), &login, &delay_ms);
    if (rc == ERR_UNAVAILABLE && delay_ms > 0 && clock_mono_ms() + delay_ms < s->auth_until_ms) {
        s->auth_asks_again = true;
        s->mode = SMTP_MODE_HELD;
        smtp_session_wait(s, delay_ms);
        return;
    }
    if (rc == ERR_UNAVAILABLE)
        delay_ms = 0;
    if (rc == 0) {
        reply = SMTP_REPLY_AUTHENTICATED;
        buf_reset(&s->login_address);
        buf_add(&s->login_address, login.address);
        s->login = login;
        s->login.address = buf_str(&s->login_address);
        str why;
        memcpy(login.by.account, login.account, sizeof login.by.account);
        login.by.how = s->login.by.how = mechanism;
        if (!conn_log_in(s->conn, &login.by, &why))
            reply = SMTP_REPLY_TOO_MANY_LOGINS, rc = ERR_LIMIT;
    } else if (rc != ERR_REFUSED && rc != ERR_UNSUPPORTED) { /* UNSUPPORTED: acting as another is nobody's right */
        /* RFC 4954 section 6: a client keeps its password after 454. */
        reply = rc == ERR_AGAIN ? SMTP_REPLY_AUTH_LOCKED_OUT : SMTP_REPLY_AUTH_UNAVAILABLE;
    }
    bool taken = reply == SMTP_REPLY_AUTHENTICATED;
    log_event(taken ? LOG_DEBUG : LOG_INFO, taken ? "smtp-login" : "smtp-login-refused", LOG_STR("session", conn_id(s->conn)),
              LOG_STR("peer", conn_peer_address(s->conn)), LOG_STR("login", attempt.login), LOG_STR("mechanism", mechanism),
              LOG_Z("error", rc == ERR_UNSUPPORTED ? "acts-as-another" : err_name(rc)), LOG_NUM("code", smtp_reply_code(reply)),
              LOG_NUM("delay-ms", delay_ms));
    answer(s, reply, delay_ms);
}

/* Acts on the result RC of a step of the exchange. */
static void after_step(struct smtp_session *s, int rc, const struct buf *challenge, const struct error *e)
{
    if (rc == 0) {
        buf_reset(&s->auth_proof);
        buf_add(&s->auth_proof, buf_str(challenge));
        s->has_input_while_held = false;
        s->auth_until_ms = clock_mono_ms() + SMTP_AUTH_PATIENCE_MS;
        verify(s);
        return;
    }
    if (rc == ERR_AGAIN) {
        say_challenge(s, buf_str(challenge));
        return;
    }
    if (err_class(rc) == ERR_CLASS_INTERNAL)
        log_error("smtp-sasl", LOG_STR("session", conn_id(s->conn)), LOG_Z("error", e->text));
    smtp_auth_abort(s);
    smtp_say(s, rc == ERR_SYNTAX  ? SMTP_REPLY_AUTH_MALFORMED
                : rc == ERR_LIMIT ? SMTP_REPLY_AUTH_TOO_LONG
                                  : SMTP_REPLY_AUTH_UNAVAILABLE);
}

/* Decodes one response in base64. */
static int decode(str text, struct buf *ret)
{
    buf_init_secret(ret, SASL_RESPONSE_MAX);
    return base64_decode(ret, text);
}

/* RFC 4954 section 4: AUTH mechanism [initial-response], "=" for an empty one. */
enum conn_next smtp_cmd_auth(struct smtp_session *s, str argument)
{
    str name, initial;
    struct buf response = BUF_INIT(0), challenge = BUF_INIT(SASL_RESPONSE_MAX);
    struct error e = ERROR_NONE;
    smtp_line_split(argument, &name, &initial);
    const struct sasl_mechanism *m = sasl_mechanism_find(name);
    if (s->is_authenticated)
        smtp_say(s, SMTP_REPLY_AUTH_DONE);
    else if (!smtp_session_may_auth(s))
        smtp_say(s, SMTP_REPLY_AUTH_NEEDS_TLS);
    else if (!name.n)
        smtp_say(s, SMTP_REPLY_BAD_ARGUMENT);
    else if (!m || !sasl_offers(&s->config->auth, s->conn, m))
        smtp_say(s, SMTP_REPLY_AUTH_MECHANISM);
    else {
        str bytes = { 0 };
        int rc = initial.n && !str_eq(initial, STR("=")) ? decode(initial, &response) : 0;
        bytes = buf_str(&response);
        if (!rc)
            rc = sasl_server_open(&s->config->auth, s->conn, m, &s->sasl, &e);
        if (!rc) {
            s->mode = SMTP_MODE_AUTH;
            rc = sasl_server_start(s->sasl, initial.n ? &bytes : NULL, &challenge, &e);
        }
        after_step(s, rc, &challenge, &e);
    }
    buf_done(&response);
    buf_done(&challenge);
    return CONN_WAIT;
}

void smtp_auth_line(struct smtp_session *s, str line)
{
    struct buf response, challenge = BUF_INIT(SASL_RESPONSE_MAX);
    struct error e = ERROR_NONE;
    line = str_trim(line);
    if (str_eq(line, STR("*"))) {
        smtp_auth_abort(s);
        s->login = (struct smtp_login){ 0 };
        smtp_say(s, SMTP_REPLY_AUTH_CANCELLED);
        return;
    }
    if (s->auth_is_proved) {
        buf_reset(&s->auth_proof);
        s->held = line.n ? SMTP_REPLY_AUTH_MALFORMED : SMTP_REPLY_AUTHENTICATED;
        if (line.n)
            s->login = (struct smtp_login){ 0 };
        s->has_input_while_held = false;
        smtp_auth_release(s);
        return;
    }
    int rc = decode(line, &response);
    if (!rc)
        rc = sasl_server_step(s->sasl, buf_str(&response), &challenge, &e);
    after_step(s, rc, &challenge, &e);
    buf_done(&response);
    buf_done(&challenge);
}
