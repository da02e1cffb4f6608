/* sealer: see sealer.h. */
#include "role/sealer.h"

#include "role/role.h"

enum { ASK_DEADLINE_MS = 10000 };

/* Has keeper seal or unseal BYTES. Frames are copied on their way: what holds a secret is wiped here and by its lane. */
static int ask_keeper(struct channel *keeper, uint16_t type, str context, str bytes, struct buf *out, struct error *e)
{
    struct buf payload;
    struct arena a = ARENA_INIT(1 << 17);
    struct frame reply = { 0 };
    buf_init_secret(&payload, WIRE_SEAL_MAX);
    wire_pack_seal(&payload, context, bytes);
    struct frame request = { .type = type, .payload = buf_str(&payload) };
    int err = buf_error(&payload) ? error_set(e, ERR_LIMIT, "the secret is too long") : 0;
    if (err == 0 && !keeper)
        err = error_set(e, ERR_UNAVAILABLE, "keys/, where the key of sealed passwords is, cannot be read; run this as root");
    if (err == 0)
        err = channel_call(keeper, &request, &a, ASK_DEADLINE_MS, &reply, e);
    if (err == 0) {
        buf_add(out, reply.payload);
        secret_wipe((void *)(uintptr_t)reply.payload.p, reply.payload.n);
        err = buf_error(out);
    }
    arena_done(&a);
    buf_done(&payload);
    return err;
}

static int on_seal(void *ctx, str context, str plain, struct buf *out, struct error *e)
{
    return ask_keeper(ctx, WIRE_SEAL, context, plain, out, e);
}

static int on_unseal(void *ctx, str context, str sealed, struct buf *out, struct error *e)
{
    return ask_keeper(ctx, WIRE_UNSEAL, context, sealed, out, e);
}

struct directory_sealer role_sealer(struct channel *keeper)
{
    return (struct directory_sealer){ .ctx = keeper, .seal = on_seal, .unseal = on_unseal };
}
