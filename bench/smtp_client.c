/* smtp_client: one SMTP session of a load generator (RFC 5321): greeting, EHLO, STARTTLS, AUTH PLAIN, then messages. */
#include "smtp_client.h"

#include "stats.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void ehlo(struct smtp_client *s)
{
    s->step = SMTP_EHLO;
    net_put(&s->conn, "EHLO load.example.org\r\n", 23);
}

/* RFC 4616 */
static void auth(struct smtp_client *s)
{
    char plain[512];
    unsigned char encoded[700];
    size_t u = strlen(s->options->user), p = strlen(s->options->password);
    if (u + p + 2 > sizeof plain)
        return;
    plain[0] = 0;
    memcpy(plain + 1, s->options->user, u);
    plain[u + 1] = 0;
    memcpy(plain + u + 2, s->options->password, p);
    EVP_EncodeBlock(encoded, (unsigned char *)plain, (int)(u + p + 2));
    s->step = SMTP_AUTH;
    net_printf(&s->conn, "AUTH PLAIN %s\r\n", (char *)encoded);
}

static void ready(struct smtp_client *s)
{
    s->step = SMTP_READY;
    s->on->ready(s);
}

static void answered(struct smtp_client *s, int code)
{
    uint64_t latency = s->dot_at ? stats_now() - s->dot_at : 0;
    s->on->answered(s, code, latency);
    ready(s);
}

static void give_up(struct smtp_client *s, const char *why)
{
    net_close(&s->conn);
    s->on->over(s, why);
}

static void send_body(struct smtp_client *s)
{
    net_put(&s->conn, s->body, s->refused ? 0 : s->body_size);
    net_put(&s->conn, ".\r\n", 3);
    s->step = SMTP_BODY;
    net_flush(&s->conn);
    s->dot_at = stats_now();
}

/* A reply within a mail transaction. */
static void transaction(struct smtp_client *s, int code, const char *text)
{
    struct net_conn *c = &s->conn;
    bool pipelining = s->options->pipelining;
    if (code >= 400 && !s->refused) {
        s->refused = code;
        snprintf(s->last_error, sizeof s->last_error, "%.250s", text);
    }
    if (s->step == SMTP_MAIL && s->refused && !pipelining)
        answered(s, s->refused);
    else if (s->step == SMTP_MAIL) {
        s->step = SMTP_RCPT;
        if (!pipelining)
            net_printf(c, "RCPT TO:<%s>\r\n", s->to);
    } else if (s->step == SMTP_RCPT && !(s->refused && !pipelining)) {
        s->step = SMTP_DATA;
        if (!pipelining)
            net_put(c, "DATA\r\n", 6);
    } else if (s->step == SMTP_DATA && code == 354)
        send_body(s);
    else if (s->step == SMTP_RCPT || s->step == SMTP_DATA) {
        s->step = SMTP_RSET;
        net_put(c, "RSET\r\n", 6);
    } else /* SMTP_BODY, SMTP_RSET */
        answered(s, s->refused ? s->refused : code);
}

static void on_line(struct net_conn *c, char *line, size_t n)
{
    struct smtp_client *s = c->owner;
    if (n < 3)
        give_up(s, "the reply is no SMTP");
    else if (n > 3 && line[3] == '-')
        return;
    else if (memcmp(line, "421", 3) == 0) {
        snprintf(s->last_error, sizeof s->last_error, "%.250s", line);
        give_up(s, s->last_error);
    } else if (s->step == SMTP_QUIT)
        give_up(s, NULL);
    else if (s->step >= SMTP_MAIL)
        transaction(s, (int)strtol(line, NULL, 10), line);
    else if (line[0] != '2') {
        snprintf(s->last_error, sizeof s->last_error, "%.250s", line);
        give_up(s, s->last_error);
    } else if (s->step == SMTP_GREETING)
        ehlo(s);
    else if (s->step == SMTP_EHLO && s->options->target.tls == NET_STARTTLS && !s->secured) {
        s->step = SMTP_STARTTLS;
        net_put(c, "STARTTLS\r\n", 10);
    } else if (s->step == SMTP_STARTTLS)
        net_secure(c);
    else if (s->step == SMTP_EHLO && s->options->user)
        auth(s);
    else
        ready(s);
}

static void on_open(struct net_conn *c) {}

static void on_secured(struct net_conn *c)
{
    struct smtp_client *s = c->owner;
    s->secured = true;
    ehlo(s);
}

static void on_closed(struct net_conn *c, const char *why)
{
    struct smtp_client *s = c->owner;
    s->on->over(s, s->step == SMTP_QUIT ? NULL : why);
}

void smtp_client_start(struct smtp_client *s, struct net_loop *loop, const struct smtp_client_options *options,
                       const struct smtp_client_events *on, void *owner)
{
    static const struct net_events events = { .open = on_open, .secured = on_secured, .line = on_line, .closed = on_closed };
    s->options = options;
    s->on = on;
    s->owner = owner;
    s->step = SMTP_GREETING;
    s->secured = false;
    net_connect(&s->conn, loop, &options->target, &events, s);
}

void smtp_client_send(struct smtp_client *s, const char *from, const char *to, const char *body, size_t size)
{
    snprintf(s->from, sizeof s->from, "%s", from);
    snprintf(s->to, sizeof s->to, "%s", to);
    s->body = body;
    s->body_size = size;
    s->refused = 0;
    s->dot_at = 0;
    s->step = SMTP_MAIL;
    net_printf(&s->conn, "MAIL FROM:<%s>\r\n", s->from);
    if (s->options->pipelining)
        net_printf(&s->conn, "RCPT TO:<%s>\r\nDATA\r\n", s->to);
    net_flush(&s->conn);
}

void smtp_client_quit(struct smtp_client *s)
{
    s->step = SMTP_QUIT;
    net_put(&s->conn, "QUIT\r\n", 6);
    net_flush(&s->conn);
}
