/* lane: requests of other roles, served by a real pool; also of one that was taken over. No assertion depends on time. */
#include "loopback.h"

#include <semaphore.h>

static atomic_int handling;

static int handle_double(void *ctx, const struct frame *request, struct arena *a, struct buf *reply, int fds[CHANNEL_FDS_MAX],
                         size_t *ret_fd_n, struct error *e)
{
    if (str_eq(request->payload, STR("no")))
        return error_set(e, ERR_REFUSED, "not this one");
    if (str_eq(request->payload, STR("together"))) {
        pthread_barrier_wait(ctx);
    }
    atomic_fetch_add(&handling, 1);
    buf_add(reply, request->payload);
    buf_add(reply, request->payload);
    return 0;
}

struct asker {
    struct channel *channel;
    const char *text;
};

static void *asker_main(void *arg)
{
    struct asker *k = arg;
    struct arena a = ARENA_INIT(1 << 20);
    struct frame reply = { 0 };
    struct error e = ERROR_NONE;
    for (int i = 0; i < 20; i++) {
        int r = channel_call(k->channel, &(struct frame){ .type = 7, .payload = str_from_z(k->text) }, &a, 60000, &reply, &e);
        if (r != 0 || reply.payload.n != 2 * strlen(k->text))
            panic("call failed: %d %s", r, e.text);
    }
    arena_done(&a);
    return NULL;
}

static void channels_are_served(void **state)
{
    int pair[2];
    pthread_barrier_t barrier;
    pthread_barrier_init(&barrier, NULL, 4);
    const struct channel_handler handlers[] = {
        { .type = 7, .name = "double", .payload_max = 1000, .handle = handle_double },
        { 0 },
    };
    const struct channel_service service = { "tester", handlers, &barrier };
    struct loopback l;
    loopback_init(&l, &(struct server_settings){ .workers_min = 2, .workers_max = 8, .lanes_max = 8 }, NULL, false);
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
    assert_int_equal(server_serve_channel(l.server, pair[0], &service), 0);
    loopback_run(&l);
    struct channel *c = channel_open(pair[1], "server");
    struct arena a = ARENA_INIT(1 << 20);
    struct frame reply = { 0 };
    struct error e = ERROR_NONE;
    assert_int_equal(channel_call(c, &(struct frame){ .type = 7, .payload = STR("ab") }, &a, 60000, &reply, &e), 0);
    assert_true(str_eq(reply.payload, STR("abab")));
    assert_int_equal(channel_call(c, &(struct frame){ .type = 7, .payload = STR("no") }, &a, 60000, &reply, &e), ERR_REFUSED);
    assert_non_null(strstr(e.text, "not this one"));
    /* Four lanes at once: each call waits for the others. */
    pthread_t threads[4];
    struct asker k = { c, "together" };
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, asker_main, &k), 0);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_int_equal(atomic_load(&handling), 81);
    /* A frame that breaks the rules closes its lane, not the server. */
    assert_true(channel_call(c, &(struct frame){ .type = 9, .payload = STR("x") }, &a, 60000, &reply, &e) < 0);
    int fd = client_connect(&l);
    client_expect(fd, STR("hello\r\n"));
    (void)close(fd);
    channel_free(c);
    arena_done(&a);
    loopback_stop(&l, 10000);
    pthread_barrier_destroy(&barrier);
}

/* --- a peer that was taken over --- */

static sem_t held;
static atomic_int holding, peers_gone;

static void nap_ms(int ms)
{
    struct pollfd none = { .fd = -1 };
    (void)poll(&none, 1, ms);
}

static int handle_hold(void *ctx, const struct frame *request, struct arena *a, struct buf *reply, int fds[CHANNEL_FDS_MAX],
                       size_t *ret_fd_n, struct error *e)
{
    atomic_fetch_add(&holding, 1);
    while (sem_wait(&held) < 0)
        ;
    atomic_fetch_sub(&holding, 1);
    return 0;
}

static void count_peer(void *ctx)
{
    atomic_fetch_add(&peers_gone, 1);
}

static const struct channel_handler peer_handlers[] = {
    { .type = 7, .name = "double", .payload_max = 1000, .handle = handle_double },
    { .type = 8, .name = "hold", .payload_max = 0, .handle = handle_hold },
    { 0 },
};
static const struct channel_service peer_service = { .peer = "peer", .handlers = peer_handlers, .gone = count_peer };

static int serve_peer(struct loopback *l)
{
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
    assert_int_equal(server_serve_channel(l->server, pair[0], &peer_service), 0);
    return pair[1];
}

/* A lane made by hand: our end; the far end has room for about one answer. */
static int false_lane(int root)
{
    int pair[2], size = 4096;
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
    assert_int_equal(setsockopt(pair[1], SOL_SOCKET, SO_SNDBUF, &size, sizeof size), 0);
    const struct frame f = { .type = CHANNEL_FRAME_LANE, .fds = { pair[1] }, .fd_n = 1 };
    assert_int_equal(frame_send(root, &f, 60000), 0);
    (void)close(pair[1]);
    return pair[0];
}

static void expect_service(struct loopback *l, int root)
{
    struct channel *c = channel_open(root, "server");
    struct arena a = ARENA_INIT(1 << 20);
    struct frame reply = { 0 };
    struct error e = ERROR_NONE;
    assert_int_equal(channel_call(c, &(struct frame){ .type = 7, .payload = STR("ab") }, &a, 60000, &reply, &e), 0);
    assert_true(str_eq(reply.payload, STR("abab")));
    int fd = client_connect(l);
    client_expect(fd, STR("hello\r\n"));
    (void)close(fd);
    channel_free(c);
    arena_done(&a);
}

/* It asks on and on and reads no answer: its lanes are closed, and no worker waits for it. */
static void answers_that_nobody_reads_stall_nobody(void **state)
{
    struct loopback l;
    loopback_init(&l, &(struct server_settings){ .workers_min = 2, .workers_max = 4, .lanes_max = 4 }, NULL, false);
    int root = serve_peer(&l), honest = serve_peer(&l), lanes[3];
    static const char text[1000];
    const struct frame f = { .type = 7, .payload = { text, sizeof text } };
    loopback_run(&l);
    for (int i = 0; i < 3; i++)
        lanes[i] = false_lane(root);
    for (int i = 0; i < 3; i++) {
        int r;
        while ((r = frame_send(lanes[i], &f, 60000)) == 0)
            ;
        assert_int_equal(r, ERR_EOF);
        (void)close(lanes[i]);
    }
    expect_service(&l, honest);
    (void)close(root);
    loopback_stop(&l, 10000);
}

/* It opens every lane that it can, and keeps each at work: others have workers left. */
static void a_peer_never_holds_all_workers(void **state)
{
    enum { LANES = 4, TRIED = 100 };
    struct loopback l;
    loopback_init(&l, &(struct server_settings){ .workers_min = 2, .workers_max = 2 * LANES }, NULL, false);
    int root = serve_peer(&l), honest = serve_peer(&l), lanes[TRIED], refused = 0;
    const struct frame f = { .type = 8 };
    struct arena a = ARENA_INIT(1 << 20);
    struct frame reply = { 0 };
    atomic_store(&peers_gone, 0);
    loopback_run(&l);
    for (int i = 0; i < TRIED; i++)
        lanes[i] = false_lane(root);
    for (int i = LANES - 1; i < TRIED; i++) { /* the root is the first */
        assert_int_equal(frame_receive(lanes[i], &a, 60000, &reply), 0);
        refused += reply.type == CHANNEL_FRAME_LANE && reply.status == ERR_AGAIN;
        assert_int_equal(frame_receive(lanes[i], &a, 60000, &reply), ERR_EOF);
    }
    assert_int_equal(refused, TRIED - LANES + 1);
    assert_int_equal(frame_send(root, &f, 60000), 0);
    for (int i = 0; i < LANES - 1; i++)
        assert_int_equal(frame_send(lanes[i], &f, 60000), 0);
    while (atomic_load(&holding) < LANES)
        nap_ms(1);
    expect_service(&l, honest);
    for (int i = 0; i < LANES; i++)
        sem_post(&held);
    for (int i = 0; i < TRIED; i++)
        (void)close(lanes[i]);
    (void)close(root);
    while (atomic_load(&peers_gone) < 2) /* the honest one has left by now */
        nap_ms(1);
    arena_done(&a);
    loopback_stop(&l, 10000);
}

/* More callers than lanes, and a limit that the other side knows and this one does not. */
static void callers_wait_for_a_lane(void **state)
{
    for (unsigned max = 2; max <= 16; max += 14) {
        struct loopback l;
        loopback_init(&l, &(struct server_settings){ .workers_min = 2, .workers_max = 8 }, NULL, false);
        struct channel *c = channel_open(serve_peer(&l), "server");
        struct asker k = { c, "ab" };
        pthread_t threads[12];
        loopback_run(&l);
        channel_set_lanes(c, max);
        for (size_t i = 0; i < 12; i++)
            assert_int_equal(pthread_create(&threads[i], NULL, asker_main, &k), 0);
        for (size_t i = 0; i < 12; i++)
            assert_int_equal(pthread_join(threads[i], NULL), 0);
        channel_free(c);
        loopback_stop(&l, 10000);
    }
}

int main(void)
{
    sem_init(&held, 0, 0);
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(channels_are_served),
        cmocka_unit_test(answers_that_nobody_reads_stall_nobody),
        cmocka_unit_test(a_peer_never_holds_all_workers),
        cmocka_unit_test(callers_wait_for_a_lane),
    };
    log_set_level(LOG_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
