/* cmd_login: LOGIN (RFC 3501 section 6.2.3), and what it shares with AUTHENTICATE: verifying, holding an answer back, the
 * account. */
#include "imap/session_private.h"

#include "base/clock.h"
#include "base/log.h"
#include "imap/syntax_private.h"

bool imap_login_allowed(const struct imap_session *s)
{
    return !s->config->tls_required || conn_tls(s->conn)->active;
}

/* The answer is worded alike for an unknown name and a wrong password. */
static enum imap_next say_failed(struct imap_session *s)
{
    s->failed_logins++;
    return imap_no(s, "[AUTHENTICATIONFAILED] Wrong name or password");
}

static enum imap_next say_unavailable(struct imap_session *s)
{
    return imap_no(s, "[UNAVAILABLE] Logins are not possible now, try again");
}

static enum imap_next accept_login(struct imap_session *s, const struct imap_login *login)
{
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
    log_info("imap-login", LOG_STR("session", conn_id(s->conn)), LOG_STR("user", login->address),
             LOG_STR("peer", conn_peer_address(s->conn)), LOG_STR("tls", conn_tls(s->conn)->version));
    struct buf text = BUF_INIT(2048);
    imap_write_capabilities(s, &text);
    imap_ok_text(s, "[CAPABILITY %.*s] Logged in", STR_ARG(buf_str(&text)));
    buf_done(&text);
    return IMAP_DONE;
}

enum imap_next imap_login(struct imap_session *s, str name, str password)
{
    struct imap_login login = { 0 };
    int64_t delay = 0;
    int r = s->config->authenticate(s->config->ctx, name, password, conn_peer_address(s->conn), &s->arena, &login, &delay);
    if (r == 0)
        return accept_login(s, &login);
    log_warning("imap-login-failed", LOG_STR("session", conn_id(s->conn)), LOG_STR("user", str_sub(name, 0, 200)),
                LOG_STR("peer", conn_peer_address(s->conn)), LOG_Z("error", err_name(r)));
    s->resume = r == ERR_REFUSED || r == ERR_NOTFOUND || r == ERR_SYNTAX ? say_failed : say_unavailable;
    if (delay <= 0)
        return s->resume(s);
    s->hold_until = clock_mono_ms() + delay;
    return IMAP_HOLD;
}

/* login = "LOGIN" SP userid SP password */
IMAP_HANDLER(login)
{
    str name, password;
    if (!imap_login_allowed(s))
        return imap_no(s, "[PRIVACYREQUIRED] Start TLS first");
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
    return imap_login(s, name, password);
}
