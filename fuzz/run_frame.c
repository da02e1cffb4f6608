/* Fuzzes what a hostile role can send: the header of a frame, and the checks before a handler runs. The first byte is the number of
 * descriptors (their values do not matter), the rest one message as received. */
#include "base/log.h"
#include "run/channel.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int on_text(void *ctx, const struct frame *request, struct arena *a, struct buf *reply, int fds[CHANNEL_FDS_MAX],
                   size_t *ret_fd_n, struct error *e)
{
    require(request->payload.n <= 64 && request->fd_n == 0);
    buf_add(reply, request->payload);
    return request->payload.n && request->payload.p[0] == 'n' ? error_set(e, ERR_REFUSED, "%.*s", STR_ARG(request->payload)) : 0;
}

static int on_fields(void *ctx, const struct frame *request, struct arena *a, struct buf *reply, int fds[CHANNEL_FDS_MAX],
                     size_t *ret_fd_n, struct error *e)
{
    require(request->fd_n >= 1 && request->fd_n <= 2);
    struct unpack u = unpack_init(request->payload);
    pack_str(reply, unpack_str(&u, 100));
    pack_varint(reply, unpack_varint(&u));
    return unpack_end(&u);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct channel_handler handlers[] = {
        { 1, "text", 64, 0, 0, on_text },
        { 2, "fields", CHANNEL_PAYLOAD_MAX, 1, 2, on_fields },
        { 0 },
    };
    static const struct channel_service service = { "fuzz", handlers, NULL };
    struct frame f = { 0 }, reply = { 0 };
    if (size == 0)
        return 0;
    log_set_level(LOG_ERROR);
    f.fd_n = data[0] % (CHANNEL_FDS_MAX + 1);
    for (size_t i = 0; i < f.fd_n; i++)
        f.fds[i] = -1;
    str bytes = { (const char *)data + 1, size - 1 };
    if (frame_decode(bytes, &f) < 0)
        return 0;
    char header[8];
    frame_encode_header(&f, header);
    require(memcmp(header, bytes.p, sizeof header) == 0);
    struct arena a = ARENA_INIT(1 << 20);
    struct buf out = BUF_INIT(CHANNEL_PAYLOAD_MAX);
    if (channel_serve_frame(&service, &f, &a, &out, &reply) == 0)
        require(reply.type == f.type && reply.status <= 0 && reply.payload.n <= CHANNEL_PAYLOAD_MAX);
    buf_done(&out);
    arena_done(&a);
    return 0;
}
