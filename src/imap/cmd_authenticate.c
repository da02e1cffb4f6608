/* cmd_authenticate: AUTHENTICATE (RFC 3501 section 6.2.2) with the initial response of RFC 4959. The mechanisms are sasl's. */
#include "imap/session_private.h"

#include "base/base64.h"

static enum imap_next auth_line(struct imap_session *s, str line);

/* What the mechanism answered: a challenge to send, credentials to verify, or an error. */
static enum imap_next take_result(struct imap_session *s, int r, const struct buf *challenge)
{
    if (r == ERR_AGAIN) {
        buf_add(&s->out, STR("+ "));
        base64_encode(&s->out, buf_str(challenge));
        buf_add(&s->out, STR("\r\n"));
        s->line = auth_line;
        return IMAP_LINE;
    }
    if (r == ERR_SYNTAX || r == ERR_LIMIT)
        return imap_bad(s, "Invalid response of the mechanism; begin anew with AUTHENTICATE");
    if (r < 0)
        return imap_fail(s, r, NULL);
    return imap_login(s, sasl_server_credentials(s->sasl), sasl_server_mechanism(s->sasl)->name, buf_str(challenge));
}

static enum imap_next step(struct imap_session *s, bool first, const str *response)
{
    struct buf challenge;
    buf_init_secret(&challenge, 16384);
    int r =
        first ? sasl_server_start(s->sasl, response, &challenge, NULL) : sasl_server_step(s->sasl, *response, &challenge, NULL);
    enum imap_next next = take_result(s, r, &challenge);
    buf_done(&challenge);
    return next;
}

/* base64 = *(4base64-char) [base64-terminal], decoded; then one step with it. */
static enum imap_next step_base64(struct imap_session *s, bool first, str text)
{
    struct buf response;
    buf_init_secret(&response, SASL_RESPONSE_MAX + 1);
    enum imap_next next;
    if (base64_decode(&response, text) < 0) {
        next = imap_bad(s, "Invalid or too long base64; begin anew with AUTHENTICATE");
    } else {
        str bytes = response.n ? buf_str(&response) : STR("");
        next = step(s, first, &bytes);
    }
    buf_done(&response);
    return next;
}

/* A line of the client; "*" cancels. */
static enum imap_next auth_line(struct imap_session *s, str line)
{
    return str_eq(line, STR("*")) ? imap_bad(s, "Cancelled") : step_base64(s, false, line);
}

/* authenticate = "AUTHENTICATE" SP auth-type [SP (base64 / "=")] *(CRLF base64) (RFC 4959 section 7) */
IMAP_HANDLER(authenticate)
{
    str name, initial = { NULL, 0 };
    int r = imap_parse_sp(args);
    if (r == 0)
        r = imap_parse_atom(args, &name);
    if (r < 0)
        return imap_bad_arguments(s, r);
    if (!scan_done(args)) {
        if (!scan_byte(args, ' ') || scan_done(args))
            return imap_bad_arguments(s, ERR_SYNTAX);
        initial = scan_rest(args);
    }
    const struct sasl_mechanism *mechanism = sasl_mechanism_find(name);
    if (mechanism && !imap_login_allowed(s))
        return imap_no(s, "[PRIVACYREQUIRED] Start TLS first: say STARTTLS, or take the port with TLS, usually 993");
    if (!mechanism || !sasl_offers(&s->config->auth, s->conn, mechanism))
        return imap_no(s, "[CANNOT] No such mechanism; CAPABILITY lists them behind AUTH=");
    if (initial.n && !mechanism->client_first)
        return imap_bad(s, "The mechanism has no initial response; send its name alone");
    struct error e = ERROR_NONE;
    r = sasl_server_open(&s->config->auth, s->conn, mechanism, &s->sasl, &e);
    if (r < 0)
        return imap_fail(s, r, &e);
    if (!initial.n)
        return step(s, true, NULL);
    return step_base64(s, true, str_eq(initial, STR("=")) ? STR("") : initial);
}
