/* HELP (RFC 5321 section 4.1.1.8), generated from the table of commands: all of them, or how one is used and the standard
 * that says so. */
#include "smtp/session_private.h"

static bool is_shown(const struct smtp_session *s, const struct smtp_command *c)
{
    return !(c->flags & SMTP_COMMAND_HIDDEN) && smtp_command_exists(s->config, c) &&
           (s->config->submission || !(c->flags & SMTP_COMMAND_SUBMISSION));
}

static void say_list(struct smtp_session *s)
{
    size_t n;
    const struct smtp_command *list = smtp_commands(&n);
    struct buf text = BUF_INIT(SMTP_REPLY_LINE_MAX);
    for (size_t i = 0; i < n; i++) {
        if (is_shown(s, &list[i]))
            buf_add_all(&text, text.n ? STR(" ") : STR("Commands: "), list[i].name);
    }
    smtp_say_text(s, SMTP_REPLY_HELP, buf_str(&text));
    buf_done(&text);
}

enum conn_next smtp_cmd_help(struct smtp_session *s, str argument)
{
    size_t n;
    const struct smtp_command *list = smtp_commands(&n);
    if (!argument.n) {
        say_list(s);
        return CONN_WAIT;
    }
    for (size_t i = 0; i < n; i++) {
        if (is_shown(s, &list[i]) && str_ieq(argument, list[i].name)) {
            str lines[3] = { str_from_z(list[i].usage) };
            size_t line_n = 1;
            if (s->config->submission && list[i].more)
                lines[line_n++] = str_from_z(list[i].more);
            lines[line_n++] = str_from_z(list[i].source);
            smtp_say_lines(s, SMTP_REPLY_HELP, lines, line_n);
            return CONN_WAIT;
        }
    }
    smtp_say(s, SMTP_REPLY_NO_HELP);
    return CONN_WAIT;
}
