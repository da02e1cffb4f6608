/* VRFY and EXPN (RFC 5321 sections 3.5, 4.1.1.6, 4.1.1.7, 7.3). Whoever asks learns nothing about which addresses exist, but for an administrator who is
 * logged in. */
#include "smtp/session_private.h"

enum { MEMBERS_MAX = 100 }; /* lines of one answer */

/* An administrator may know; also whether the process can tell. */
static bool is_told(const struct smtp_session *s)
{
    return s->is_authenticated && s->login.is_admin && s->config->service->match;
}

/* "<alice@example.org>" or "alice", without the parameter of RFC 6531 section 3.7.4.2. */
static str name_of(str argument)
{
    str name = str_iends(argument, STR(" SMTPUTF8")) ? str_sub(argument, 0, argument.n - 9) : argument;
    bool bracketed = str_starts(name, STR("<")) && str_ends(name, STR(">"));
    return bracketed ? str_sub(name, 1, name.n - 2) : name;
}

static enum smtp_reply reply_of(int error)
{
    return error == ERR_NOTFOUND  ? SMTP_REPLY_UNKNOWN_RECIPIENT
           : error == ERR_REFUSED ? SMTP_REPLY_NOT_OUR_DOMAIN
           : error == ERR_SYNTAX  ? SMTP_REPLY_BAD_RECIPIENT
                                  : smtp_reply_from_error(error);
}

/* Says R with a line for each of the N addresses after FIRST (unless that is empty), in angle brackets, MEMBERS_MAX at most. */
static void say_list(struct smtp_session *s, enum smtp_reply r, str first, const str *addresses, size_t n)
{
    str lines[MEMBERS_MAX + 2];
    size_t count = 0;
    if (first.n)
        lines[count++] = first;
    for (size_t i = 0; i < n && i < MEMBERS_MAX; i++) {
        if (arena_printf(conn_arena(s->conn), &lines[count], "<%.*s>", STR_ARG(addresses[i])))
            break;
        count++;
    }
    if (n > MEMBERS_MAX && arena_printf(conn_arena(s->conn), &lines[count], "and %zu more", n - MEMBERS_MAX) == 0)
        count++;
    if (count)
        smtp_say_lines(s, r, lines, count);
    else
        smtp_say(s, SMTP_REPLY_EMPTY_LIST);
}

/* RFC 5321 section 3.5.1: a name that may mean several is not chosen among. */
static void say_ambiguous(struct smtp_session *s, const struct smtp_match *list, size_t n)
{
    str addresses[SMTP_MATCHES_MAX];
    size_t shown = n < SMTP_MATCHES_MAX ? n : SMTP_MATCHES_MAX;
    for (size_t i = 0; i < shown; i++)
        addresses[i] = list[i].address;
    say_list(s, SMTP_REPLY_AMBIGUOUS, smtp_reply_text(SMTP_REPLY_AMBIGUOUS), addresses, shown);
}

/* The one mailbox or list that ARGUMENT means; otherwise NULL, and it is said why not. */
static const struct smtp_match *find(struct smtp_session *s, str argument)
{
    const struct smtp_service *service = s->config->service;
    struct smtp_match *list;
    size_t n;
    int r = service->match(service->ctx, name_of(argument), conn_arena(s->conn), &list, &n);
    if (r)
        smtp_say(s, reply_of(r));
    else if (n > 1)
        say_ambiguous(s, list, n);
    return r == 0 && n == 1 ? list : NULL;
}

enum conn_next smtp_cmd_vrfy(struct smtp_session *s, str argument)
{
    if (!argument.n) {
        smtp_say(s, SMTP_REPLY_BAD_ARGUMENT);
    } else if (!is_told(s)) {
        smtp_say(s, SMTP_REPLY_CANNOT_VERIFY);
    } else {
        const struct smtp_match *m = find(s, argument);
        if (m && !m->enabled)
            smtp_say(s, SMTP_REPLY_DISABLED_RECIPIENT);
        else if (m)
            say_list(s, SMTP_REPLY_VERIFIED, STR(""), &m->address, 1);
    }
    return CONN_WAIT;
}

enum conn_next smtp_cmd_expn(struct smtp_session *s, str argument)
{
    if (!is_told(s)) {
        smtp_say(s, SMTP_REPLY_DISABLED);
    } else if (!argument.n) {
        smtp_say(s, SMTP_REPLY_BAD_ARGUMENT);
    } else {
        const struct smtp_match *m = find(s, argument);
        if (m && !m->is_list)
            smtp_say(s, SMTP_REPLY_NOT_A_LIST);
        else if (m)
            say_list(s, SMTP_REPLY_VERIFIED, STR(""), m->members, m->member_n);
    }
    return CONN_WAIT;
}
