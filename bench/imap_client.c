/* imap_client: one IMAP session of a load generator (RFC 9051): greeting, STARTTLS, LOGIN, then commands. */
#include "imap_client.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void give_up(struct imap_client *s, const char *why)
{
    net_close(&s->conn);
    s->on->over(s, why);
}

static void login(struct imap_client *s)
{
    s->step = IMAP_LOGIN;
    imap_client_command(s, "LOGIN \"%s\" \"%s\"", s->user, s->password);
}

/* A literal at the end of LINE ("{123}"): its bytes are dropped and the line after it continues this response. */
static bool announces_literal(struct imap_client *s, const char *line, size_t n)
{
    if (n < 3 || line[n - 1] != '}')
        return false;
    const char *open = memrchr(line, '{', n);
    if (!open)
        return false;
    char *end;
    unsigned long size = strtoul(open + 1, &end, 10);
    if (end == open + 1 || (*end != '}' && *end != '+'))
        return false;
    s->conn.skip = size;
    s->literal_bytes += size;
    return true;
}

static void tagged(struct imap_client *s, char *line)
{
    char *status;
    unsigned tag = (unsigned)strtoul(line + 1, &status, 10);
    bool ok = strncasecmp(status, " OK", 3) == 0;
    snprintf(s->last_text, sizeof s->last_text, "%.250s", status);
    if (s->step == IMAP_READY) {
        s->on->tagged(s, tag, ok);
    } else if (s->step == IMAP_LOGOUT) {
        if (tag == s->tag)
            give_up(s, NULL);
    } else if (!ok) {
        give_up(s, s->last_text);
    } else if (s->step == IMAP_STARTTLS) {
        net_secure(&s->conn);
    } else {
        s->step = IMAP_READY;
        s->on->ready(s);
    }
}

static void on_line(struct net_conn *c, char *line, size_t n)
{
    struct imap_client *s = c->owner;
    bool continues = s->within;
    s->within = announces_literal(s, line, n);
    if (continues)
        return;
    if (line[0] == 'a') {
        tagged(s, line);
    } else if (line[0] == '+') {
        if (s->on->go_ahead)
            s->on->go_ahead(s);
    } else if (s->step == IMAP_GREETING) {
        if (strncasecmp(line, "* OK", 4) != 0) {
            give_up(s, "the greeting is not OK");
        } else if (s->target->tls == NET_STARTTLS) {
            s->step = IMAP_STARTTLS;
            imap_client_command(s, "STARTTLS");
        } else {
            login(s);
        }
    } else if (n > 2 && line[0] == '*' && s->on->untagged) {
        s->on->untagged(s, line + 2);
    }
}

static void on_open(struct net_conn *c) {}

static void on_secured(struct net_conn *c)
{
    login(c->owner);
}

static void on_closed(struct net_conn *c, const char *why)
{
    struct imap_client *s = c->owner;
    s->on->over(s, s->step == IMAP_LOGOUT ? NULL : why);
}

void imap_client_start(struct imap_client *s, struct net_loop *loop, const struct net_target *target, const char *user,
                       const char *password, const struct imap_client_events *on, void *owner)
{
    static const struct net_events events = { .open = on_open, .secured = on_secured, .line = on_line, .closed = on_closed };
    s->target = target;
    s->on = on;
    s->owner = owner;
    s->step = IMAP_GREETING;
    s->within = false;
    s->tag = 0;
    s->literal_bytes = 0;
    snprintf(s->user, sizeof s->user, "%s", user);
    snprintf(s->password, sizeof s->password, "%s", password);
    net_connect(&s->conn, loop, target, &events, s);
}

unsigned imap_client_command(struct imap_client *s, const char *format, ...)
{
    char line[1024];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(line, sizeof line, format, args);
    va_end(args);
    if (n < 0 || (size_t)n >= sizeof line)
        abort();
    net_printf(&s->conn, "a%u %s\r\n", ++s->tag, line);
    net_flush(&s->conn);
    return s->tag;
}

unsigned imap_client_append(struct imap_client *s, const char *mailbox, const char *text, size_t size)
{
    net_printf(&s->conn, "a%u APPEND \"%s\" {%zu+}\r\n", ++s->tag, mailbox, size);
    net_put(&s->conn, text, size);
    net_put(&s->conn, "\r\n", 2);
    net_flush(&s->conn);
    return s->tag;
}

void imap_client_logout(struct imap_client *s)
{
    s->step = IMAP_LOGOUT;
    imap_client_command(s, "LOGOUT");
}
