/* mx: SMTP with strangers on port 25. It holds no mail, no keys and no passwords; what it may do is ask core three things. */
#include <unistd.h>

#include "base/log.h"
#include "role/role.h"

enum { CORE_DEADLINE_MS = 30000, ACCEPT_DEADLINE_MS = 120000, REQUEST_MAX = CHANNEL_PAYLOAD_MAX, REPLY_MAX = 4096 };

struct mx {
    struct smtp_service service;
};

static int ask_recipient(void *ctx, str address, enum smtp_recipient_verdict *ret, struct error *e)
{
    struct role_run *r = ctx;
    struct arena a = ARENA_INIT(REPLY_MAX);
    struct frame request = { .type = WIRE_RECIPIENT, .payload = address }, reply;
    int err = channel_call(r->core, &request, &a, CORE_DEADLINE_MS, &reply, e);
    if (err == 0 && (reply.payload.n != 1 || (unsigned char)reply.payload.p[0] > SMTP_RECIPIENT_DISABLED))
        err = error_set(e, ERR_CORRUPT, "core's verdict cannot be read");
    if (err == 0)
        *ret = (enum smtp_recipient_verdict)reply.payload.p[0];
    arena_done(&a);
    return err;
}

static int ask_accept(void *ctx, const struct smtp_delivery *d, struct error *e)
{
    struct role_run *r = ctx;
    struct arena a = ARENA_INIT(REPLY_MAX);
    struct buf b = BUF_INIT(REQUEST_MAX);
    struct frame request = { .type = WIRE_ACCEPT }, reply;
    wire_pack_delivery(&b, d, false);
    bool fits = d->fd < 0 && buf_error(&b) == 0 && b.n + d->message.n + 16 <= REQUEST_MAX && d->message.n <= WIRE_INLINE_MAX;
    int own_fd = -1, err = 0;
    if (fits) {
        buf_reset(&b);
        wire_pack_delivery(&b, d, true);
    } else {
        own_fd = d->fd < 0 ? channel_memfd("message", d->message) : -1;
        request.fds[0] = d->fd < 0 ? own_fd : d->fd;
        request.fd_n = 1;
        if (request.fds[0] < 0)
            err = error_set(e, request.fds[0], "no memory for the message");
    }
    request.payload = buf_str(&b);
    if (err == 0 && buf_error(&b))
        err = error_set(e, ERR_LIMIT, "envelope and structure are too large together");
    if (err == 0)
        err = channel_call(r->core, &request, &a, ACCEPT_DEADLINE_MS, &reply, e);
    if (own_fd >= 0)
        (void)close(own_fd);
    buf_done(&b);
    arena_done(&a);
    return err;
}

static int ask_spool(void *ctx, struct error *e)
{
    struct role_run *r = ctx;
    struct arena a = ARENA_INIT(REPLY_MAX);
    struct frame request = { .type = WIRE_SPOOL }, reply;
    int err = channel_call(r->core, &request, &a, CORE_DEADLINE_MS, &reply, e);
    arena_done(&a);
    if (err)
        return err;
    for (size_t i = 1; i < reply.fd_n; i++)
        (void)close(reply.fds[i]);
    return reply.fd_n ? reply.fds[0] : error_set(e, ERR_CORRUPT, "core sent no spool file");
}

/* The listener's context is a snapshot: sessions keep the one they began with, so former ones stay. */
static const struct smtp_config *config_for(struct role_run *r, const struct config_listener *l)
{
    struct mx *mx = r->state;
    struct smtp_config *c = arena_new(&r->arena, struct smtp_config);
    if (c)
        *c = (struct smtp_config){ .service = &mx->service, .submission = false, .tls = l->tls, .hostname = r->config->hostname,
                                   .size_max = r->config->message_size_max, .recipients_max = r->config->recipients_max, .errors_max = 20 };
    return c;
}

static int listen_all(struct role_run *r, struct error *e)
{
    for (size_t i = 0; i < r->config->listener_n; i++) {
        const struct config_listener *l = &r->config->listeners[i];
        if (l->protocol == CONFIG_SMTP) {
            int err = role_listen(r, l, &smtp_session_ops, config_for(r, l), e);
            if (err)
                return err;
        }
    }
    return 0;
}

static int mx_start(struct role_run *r, struct error *e)
{
    struct mx *mx = arena_new(&r->arena, struct mx);
    if (!mx || !r->core)
        return error_set(e, ERR_INTERNAL, "mx has no lane to core");
    mx->service = (struct smtp_service){ .ctx = r, .recipient = ask_recipient, .accept = ask_accept, .spool = ask_spool };
    r->state = mx;
    return listen_all(r, e);
}

static int mx_reload(struct role_run *r, struct error *e)
{
    return listen_all(r, e);
}

const struct role role_mx = { .name = "mx", .profile = &role_mx_profile, .wants_tls = true, .start = mx_start, .reload = mx_reload };
