/* HELP (RFC 5321 section 4.1.1.8), generated from the table of commands: all of them, or the standard that says what one does. */
#include "smtp/session_private.h"

static bool is_shown(const struct smtp_session *s, const struct smtp_command *c)
{
    return !(c->flags & SMTP_COMMAND_HIDDEN) && (s->config->submission || !(c->flags & SMTP_COMMAND_SUBMISSION));
}

enum conn_next smtp_cmd_help(struct smtp_session *s, str argument)
{
    size_t n;
    const struct smtp_command *list = smtp_commands(&n);
    struct buf text = BUF_INIT(SMTP_REPLY_LINE_MAX);
    for (size_t i = 0; i < n; i++) {
        if (!is_shown(s, &list[i]))
            continue;
        if (!argument.n)
            buf_add_all(&text, text.n ? STR(" ") : STR("Commands: "), list[i].name);
        else if (str_ieq(argument, list[i].name))
            buf_add_all(&text, list[i].name, STR(": "), str_from_z(list[i].source));
    }
    smtp_say_text(s, SMTP_REPLY_HELP, text.n ? buf_str(&text) : STR("No such command; HELP alone lists them"));
    buf_done(&text);
    return CONN_WAIT;
}
