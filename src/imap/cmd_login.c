/* cmd_login: LOGIN (RFC 3501 section 6.2.3), and what it shares with AUTHENTICATE: verifying, holding an answer back, the
 * account. */
#include "imap/session_private.h"

#include "base/base64.h"
#include "base/clock.h"
#include "base/log.h"
#include "imap/syntax_private.h"

enum { LOGIN_PATIENCE_MS = 30000 };

bool imap_login_allowed(const struct imap_session *s)
{
    return !s->config->tls_required || conn_tls(s->conn)->active;
}

/* The answer is worded alike for an unknown name and a wrong password. */
static enum imap_next say_failed(struct imap_session *s)
{
    s->failed_logins++;
    return imap_no(
        s,
        "[AUTHENTICATIONFAILED] Wrong name or password; the name is your whole address, an administrator can set a new password");
}

/* RFC 5530 section 3: a client keeps its password after UNAVAILABLE. */
static enum imap_next say_locked_out(struct imap_session *s)
{
    s->failed_logins++;
    return imap_no(s, "[UNAVAILABLE] Too many failed logins from your network; try again later");
}

static enum imap_next say_other(struct imap_session *s)
{
    return imap_no(s, "[AUTHORIZATIONFAILED] Nobody may log in for somebody else; leave the authorization identity empty");
}

/* Said only to who has proved to be this account. */
static enum imap_next say_no_mailboxes(struct imap_session *s)
{
    return imap_no(s, "[NOPERM] This account is a program's: it sends mail and reads none; log in as a person");
}

static enum imap_next say_unavailable(struct imap_session *s)
{
    return imap_no(s, "[UNAVAILABLE] Logins are not possible now; try again");
}

/* A login that was accepted, until its answer is out; in the command's arena. */
struct accepted {
    struct imap_login login;
    str proof;
    struct sasl_credentials credentials;
    str mechanism;
    int64_t until; /* clock_mono_ms: how long it is worth asking again */
};

static enum imap_next finish_login(struct imap_session *s)
{
    const struct accepted *a = s->work;
    const struct imap_login *login = &a->login;
    struct conn_login by = login->by;
    str why;
    memcpy(by.account, login->account.b, sizeof by.account);
    by.how = a->mechanism;
    if (!conn_log_in(s->conn, &by, &why))
        return imap_no(s, "[LIMIT] %.*s", STR_ARG(why));
    int r = mail_account_open(s->config->store, login->account, &s->account);
    if (r < 0) {
        log_error("imap-account", LOG_STR("session", conn_id(s->conn)), LOG_STR("user", login->address),
                  LOG_Z("error", err_name(r)));
        s->account = NULL;
        return say_unavailable(s);
    }
    buf_add(&s->user, login->address);
    s->state = IMAP_AUTHENTICATED;
    s->frame.line_max = IMAP_LINE_MAX;
    s->frame.literal_max = IMAP_LITERALS_MAX;
    s->mechanism = a->mechanism;
    log_debug("imap-login", LOG_STR("session", conn_id(s->conn)), LOG_STR("user", login->address),
              LOG_STR("peer", conn_peer_address(s->conn)), LOG_STR("tls", conn_tls(s->conn)->version));
    struct buf text = BUF_INIT(2048);
    imap_write_capabilities(s, &text);
    imap_ok_text(s, "[CAPABILITY %.*s] Logged in", STR_ARG(buf_str(&text)));
    buf_done(&text);
    return IMAP_DONE;
}

/* The response to the server's own proof. */
static enum imap_next proof_taken(struct imap_session *s, str line)
{
    return line.n ? imap_bad(s, "Invalid response of the mechanism; begin anew with AUTHENTICATE") : finish_login(s);
}

/* RFC 3501 section 6.2.2: no data goes with OK, so the server's last word is a challenge of its own. */
static enum imap_next accept_login(struct imap_session *s)
{
    str proof = ((struct accepted *)s->work)->proof;
    if (!proof.n)
        return finish_login(s);
    buf_add(&s->out, STR("+ "));
    base64_encode(&s->out, proof);
    buf_add(&s->out, STR("\r\n"));
    s->line = proof_taken;
    return IMAP_LINE;
}

/* Asks whether the login is right, again while there is no place to check it. */
static enum imap_next decide(struct imap_session *s)
{
    struct accepted *a = s->work;
    const struct sasl_credentials *c = &a->credentials;
    str mechanism = a->mechanism;
    struct sasl_attempt attempt = sasl_attempt_of(c, mechanism, s->conn);
    int64_t delay = 0;
    int r = s->config->authenticate(s->config->ctx, &attempt, &s->arena, &a->login, &delay);
    if (r == ERR_UNAVAILABLE && delay > 0 && clock_mono_ms() + delay < a->until) {
        s->resume = decide;
        s->hold_until = clock_mono_ms() + delay;
        return IMAP_HOLD;
    }
    if (r == ERR_UNAVAILABLE)
        delay = 0;
    /* Acting as another is nobody's right; that is said only to who has proved to be himself. */
    bool is_other = r == ERR_UNSUPPORTED && attempt.acting_as.n;
    if (r != 0)
        log_warning("imap-login-failed", LOG_STR("session", conn_id(s->conn)), LOG_STR("user", str_sub(attempt.login, 0, 200)),
                    LOG_STR("mechanism", mechanism), LOG_STR("peer", conn_peer_address(s->conn)),
                    LOG_Z("error", is_other ? "acts-as-another" : err_name(r)));
    if (is_other)
        s->resume = say_other;
    else if (r == 0)
        s->resume = accept_login;
    else if (r == ERR_AGAIN)
        s->resume = say_locked_out;
    else if (r == ERR_UNSUPPORTED)
        s->resume = say_no_mailboxes;
    else
        s->resume = r == ERR_REFUSED || r == ERR_NOTFOUND || r == ERR_SYNTAX ? say_failed : say_unavailable;
    if (delay <= 0)
        return s->resume(s);
    s->hold_until = clock_mono_ms() + delay;
    return IMAP_HOLD;
}

enum imap_next imap_login(struct imap_session *s, const struct sasl_credentials *c, str mechanism, str proof)
{
    struct accepted *a = arena_new(&s->arena, struct accepted);
    if (!a || arena_dup(&s->arena, proof, &a->proof) < 0)
        return say_unavailable(s);
    a->credentials = *c;
    a->mechanism = mechanism;
    a->until = clock_mono_ms() + LOGIN_PATIENCE_MS;
    s->work = a;
    return decide(s);
}

/* login = "LOGIN" SP userid SP password */
IMAP_HANDLER(login)
{
    str name, password;
    if (!imap_login_allowed(s))
        return imap_no(s, "[PRIVACYREQUIRED] Start TLS first: say STARTTLS, or take the port with TLS, usually 993");
    if (!sasl_offers_password(&s->config->auth))
        return imap_no(s, "[CANNOT] Passwords are not sent here; CAPABILITY lists how to log in");
    int r = imap_parse_sp(args);
    if (r == 0)
        r = imap_parse_astring(args, &s->arena, &name);
    if (r == 0)
        r = imap_parse_sp(args);
    if (r == 0)
        r = imap_parse_astring(args, &s->arena, &password);
    if (r < 0 || !scan_done(args))
        return imap_bad_arguments(s, r);
    if (!name.n || !password.n || name.n > SASL_NAME_MAX || password.n > SASL_PASSWORD_MAX)
        return say_failed(s);
    return imap_login(s, &(struct sasl_credentials){ .authcid = name, .password = password }, STR("LOGIN"), STR(""));
}
