/* login_memory: see login_memory.h. */
#include "role/login_memory.h"

#include "base/log.h"
#include "role/wire.h"

enum { ASK_DEADLINE_MS = 1000 };

static int ask(void *ctx, uint16_t type, str payload, struct arena *a, struct frame *ret)
{
    struct frame request = { .type = type, .payload = payload };
    return channel_call(ctx, &request, a, ASK_DEADLINE_MS, ret, NULL);
}

/* Bytes of the account and of what is proved of its password. */
static void pack(struct buf *b, const engine_part *id, const uint8_t question[WIRE_QUESTION])
{
    _Static_assert(sizeof id->b == WIRE_ID && sizeof((struct directory_witness *)0)->answer == WIRE_ANSWER, "as they travel");
    buf_add(b, (str){ (const char *)id->b, sizeof id->b });
    buf_add(b, (str){ (const char *)question, WIRE_QUESTION });
}

static bool on_ask(void *ctx, const engine_part *id, const uint8_t question[32], uint8_t ret_answer[16])
{
    struct arena a = ARENA_INIT(4096);
    struct buf payload = BUF_INIT(WIRE_ID + WIRE_QUESTION);
    struct frame reply = { 0 };
    pack(&payload, id, question);
    int err = ask(ctx, WIRE_KNOWN, buf_str(&payload), &a, &reply);
    bool yes = err == 0 && reply.payload.n == WIRE_ANSWER;
    if (yes)
        memcpy(ret_answer, reply.payload.p, WIRE_ANSWER);
    buf_done(&payload);
    arena_done(&a);
    return yes;
}

static void on_remember(void *ctx, const engine_part *id, const struct directory_witness *proof)
{
    struct arena a = ARENA_INIT(4096);
    struct buf payload = BUF_INIT(WIRE_ID + WIRE_QUESTION + WIRE_ANSWER);
    struct frame reply = { 0 };
    pack(&payload, id, proof->question);
    buf_add(&payload, (str){ (const char *)proof->answer, WIRE_ANSWER });
    int err = ask(ctx, WIRE_REMEMBER, buf_str(&payload), &a, &reply);
    (void)err; /* it costs Argon2 once more */
    buf_done(&payload);
    arena_done(&a);
}

static void on_forget(void *ctx, const engine_part *id)
{
    struct arena a = ARENA_INIT(4096);
    struct frame reply = { 0 };
    str payload = id ? (str){ (const char *)id->b, sizeof id->b } : (str){ NULL, 0 };
    int err = ask(ctx, WIRE_FORGET, payload, &a, &reply);
    if (err)
        log_info("login-not-forgotten", LOG_Z("error", err_name(err)),
                 LOG_Z("text", "keeper does not answer; what it remembers of the former password fits no more"));
    arena_done(&a);
}

struct directory_memory role_login_memory(struct channel *keeper)
{
    return (struct directory_memory){ .ctx = keeper, .ask = on_ask, .remember = on_remember, .forget = on_forget };
}
