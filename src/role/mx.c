/* mx: SMTP with strangers on port 25. It holds no mail, no keys and no passwords; what it may do is ask core four things. */
#include <unistd.h>

#include "base/log.h"
#include "role/role.h"
#include "run/descriptors.h"

enum { CORE_DEADLINE_MS = 30000, ACCEPT_DEADLINE_MS = 120000, REPLY_MAX = 4096 };

struct mx {
    struct smtp_service service;
};

static int ask_recipient(void *ctx, const struct smtp_login *login, str address, uint64_t size, enum smtp_recipient_verdict *ret,
                         struct error *e)
{
    struct role_run *r = ctx;
    struct arena a = ARENA_INIT(REPLY_MAX);
    struct buf b = BUF_INIT(WIRE_RECIPIENT_MAX);
    pack_u64(&b, size);
    pack_str(&b, address);
    struct frame request = { .type = WIRE_RECIPIENT, .payload = buf_str(&b) }, reply;
    int err = buf_error(&b) ? error_set(e, ERR_LIMIT, "the address is too long")
                            : channel_call(r->core, &request, &a, CORE_DEADLINE_MS, &reply, e);
    if (err == 0 && (reply.payload.n != 1 || (unsigned char)reply.payload.p[0] > SMTP_RECIPIENT_LAST))
        err = error_set(e, ERR_CORRUPT, "core's verdict cannot be read");
    if (err == 0)
        *ret = (enum smtp_recipient_verdict)reply.payload.p[0];
    buf_done(&b);
    arena_done(&a);
    return err;
}

/* The descriptors that go with D when it does not fit a frame: the message, and the envelope B if that is too long as well. Those
 * made here are in OWN. */
static int attach(const struct smtp_delivery *d, struct buf *b, struct frame *request, int own[2], struct error *e)
{
    if (d->fd < 0)
        own[0] = channel_memfd("message", d->message);
    request->fds[request->fd_n++] = d->fd < 0 ? own[0] : d->fd;
    bool apart = b->n > CHANNEL_PAYLOAD_MAX;
    if (apart)
        request->fds[request->fd_n++] = own[1] = channel_memfd("envelope", buf_str(b));
    for (size_t i = 0; i < request->fd_n; i++)
        if (request->fds[i] < 0)
            return error_set(e, request->fds[i], "no memory for the message");
    if (!apart)
        request->payload = buf_str(b);
    return 0;
}

static int ask_accept(void *ctx, const struct smtp_delivery *d, struct error *e)
{
    struct role_run *r = ctx;
    struct arena a = ARENA_INIT(REPLY_MAX);
    struct buf b = BUF_INIT(WIRE_DELIVERY_MAX);
    struct frame request = { .type = WIRE_ACCEPT }, reply;
    int own[2] = { -1, -1 }, err = 0;
    wire_pack_delivery(&b, d, false);
    bool fits = d->fd < 0 && d->message.n <= WIRE_INLINE_MAX && b.n + d->message.n + 16 <= CHANNEL_PAYLOAD_MAX;
    if (fits) {
        buf_reset(&b);
        wire_pack_delivery(&b, d, true);
        request.payload = buf_str(&b);
    } else {
        err = attach(d, &b, &request, own, e);
    }
    if (err == 0 && buf_error(&b))
        err = error_set(e, ERR_LIMIT, "envelope and structure are too large together");
    if (err == 0)
        err = channel_call(r->core, &request, &a, ACCEPT_DEADLINE_MS, &reply, e);
    for (int i = 0; i < 2; i++)
        if (own[i] >= 0)
            (void)close(own[i]);
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
    if (!reply.fd_n)
        return error_set(e, ERR_CORRUPT, "core sent no spool file");
    int fd = descriptors_spare(reply.fds[0]);
    return fd < 0 ? error_set(e, fd, "there are no descriptors for another large message; try again") : fd;
}

static bool mx_is_revoked(struct role_run *r, str serial)
{
    struct arena a = ARENA_INIT(REPLY_MAX);
    struct frame request = { .type = WIRE_REVOKED, .payload = serial }, reply;
    int err = channel_call(r->core, &request, &a, CORE_DEADLINE_MS, &reply, NULL);
    bool revoked = err || reply.payload.n != 1 || reply.payload.p[0] != 0;
    arena_done(&a);
    return revoked;
}

static bool ask_revoked(void *ctx, str serial)
{
    return mx_is_revoked(ctx, serial);
}

static const struct conn_ops *mx_protocol(const struct config_listener *l)
{
    return l->protocol == CONFIG_SMTP ? &smtp_session_ops : NULL;
}

/* A larger size waits for the next start: what a message can take of the disk is bounded for good (role_bound_files). */
static uint64_t size_max(const struct role_run *r, const struct config *c)
{
    uint64_t most = c->limits[CONFIG_SMTP].message_size_max;
    if (role_spool_max(c) <= r->file_max)
        return most;
    uint64_t fits = (r->file_max - ROLE_ADDED_MAX) / 3 * 2;
    return most < fits ? most : fits;
}

static const void *mx_context(struct role_run *r, struct role_snapshot *s, const struct config_listener *l)
{
    struct mx *mx = r->state;
    struct smtp_config *c = arena_new(&s->arena, struct smtp_config);
    const struct config_limits *limits = &s->config->limits[l->protocol];
    if (c)
        *c = (struct smtp_config){ .service = &mx->service,
                                   .submission = false,
                                   .tls = l->tls,
                                   .certificate_required = l->client_cert == TLS_CLIENT_REQUIRED,
                                   .hostname = s->config->hostname,
                                   .size_max = size_max(r, s->config),
                                   .recipients_max = limits->recipients_max,
                                   .full_is_final = s->config->refuse_over_quota,
                                   .errors_max = limits->errors_max,
                                   .junk_max = limits->junk_max,
                                   .unknown_max = limits->unknown_max };
    return c;
}

static int mx_start(struct role_run *r, struct error *e)
{
    struct mx *mx = arena_new(&r->arena, struct mx);
    if (!mx)
        return error_set(e, ERR_LIMIT, "no memory for mx");
    mx->service = (struct smtp_service){
        .ctx = r, .recipient = ask_recipient, .accept = ask_accept, .spool = ask_spool, .is_revoked = ask_revoked
    };
    r->state = mx;
    return 0;
}

const struct role role_mx = { .name = "mx",
                              .profile = &role_mx_profile,
                              .descriptors = DESCRIPTORS_MX,
                              .has_root = true,
                              .alpn = "smtp",
                              .tls = 1u << RIGHTS_TLS_MX,
                              .strangers = true,
                              .start = mx_start,
                              .protocol = mx_protocol,
                              .context = mx_context,
                              .is_revoked = mx_is_revoked };
