/* channel: frames, calls from many threads, deadlines, replacement of the other role, and a hostile far end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "run/channel.h"

enum { CALL_MS = 20000, TYPE_ECHO = 1, TYPE_BLOB = 2, TYPE_REFUSE = 3, TYPE_HOLD = 4, TYPE_HUGE = 5, TYPE_ODD = 6 };

static int open_fds(void)
{
    int n = 0;
    DIR *d = opendir("/proc/self/fd");
    assert_non_null(d);
    while (readdir(d))
        n++;
    closedir(d);
    return n;
}

/* --- a small server: one thread, one poll loop --- */

struct small_server {
    int fds[CHANNEL_LANES_MAX + 1]; /* the root first */
    nfds_t fd_n;
    _Atomic int lanes_opened;
    const struct channel_service *service;
    pthread_t thread;
};

static sem_t hold;

static int on_echo(void *ctx, const struct frame *request, struct arena *a, struct buf *reply, int fds[CHANNEL_FDS_MAX],
                   size_t *ret_fd_n, struct error *e)
{
    buf_add(reply, request->payload);
    for (size_t i = 0; i < request->fd_n; i++) {
        fds[i] = fcntl(request->fds[i], F_DUPFD_CLOEXEC, 0);
        assert_true(fds[i] >= 0);
    }
    *ret_fd_n = request->fd_n;
    return 0;
}

/* Answers with the length of the memfd's text. */
static int on_blob(void *ctx, const struct frame *request, struct arena *a, struct buf *reply, int fds[CHANNEL_FDS_MAX],
                   size_t *ret_fd_n, struct error *e)
{
    str text;
    int r = channel_map(request->fds[0], false, 1 << 20, &text);
    if (r < 0)
        return error_set(e, r, "not a sealed memfd");
    buf_add_u64(reply, text.n);
    channel_unmap(text);
    return 0;
}

static int on_refuse(void *ctx, const struct frame *request, struct arena *a, struct buf *reply, int fds[CHANNEL_FDS_MAX],
                     size_t *ret_fd_n, struct error *e)
{
    buf_add(reply, STR("half an answer"));
    fds[0] = dup(0);
    *ret_fd_n = 1;
    return error_set(e, ERR_NOTFOUND, "no such mailbox\r\n%.*s", STR_ARG(request->payload));
}

static int on_hold(void *ctx, const struct frame *request, struct arena *a, struct buf *reply, int fds[CHANNEL_FDS_MAX],
                   size_t *ret_fd_n, struct error *e)
{
    while (sem_wait(&hold) < 0)
        ;
    buf_add(reply, STR("late"));
    return 0;
}

static int on_huge(void *ctx, const struct frame *request, struct arena *a, struct buf *reply, int fds[CHANNEL_FDS_MAX],
                   size_t *ret_fd_n, struct error *e)
{
    char *p = buf_reserve(reply, CHANNEL_PAYLOAD_MAX);
    assert_non_null(p);
    memset(p, 'x', CHANNEL_PAYLOAD_MAX);
    buf_commit(reply, CHANNEL_PAYLOAD_MAX);
    buf_add_byte(reply, 'x');
    return 0;
}

static int on_odd(void *ctx, const struct frame *request, struct arena *a, struct buf *reply, int fds[CHANNEL_FDS_MAX],
                  size_t *ret_fd_n, struct error *e)
{
    return -9999;
}

static const struct channel_handler handlers[] = {
    { TYPE_ECHO, "echo", CHANNEL_PAYLOAD_MAX, 0, CHANNEL_FDS_MAX, on_echo },
    { TYPE_BLOB, "blob", 16, 1, 1, on_blob },
    { TYPE_REFUSE, "refuse", 100, 0, 0, on_refuse },
    { TYPE_HOLD, "hold", 0, 0, 0, on_hold },
    { TYPE_HUGE, "huge", 0, 0, 0, on_huge },
    { TYPE_ODD, "odd", 0, 0, 0, on_odd },
    { 0 },
};
static const struct channel_service service = { "test", handlers, NULL };

/* Serves one frame of FD; false when the lane must go. */
static bool small_server_turn(struct small_server *s, int fd, bool root)
{
    struct arena a = ARENA_INIT(1 << 20);
    struct buf out = BUF_INIT(CHANNEL_PAYLOAD_MAX);
    struct frame request = { 0 }, reply = { 0 };
    bool ok = frame_receive(fd, &a, 0, &request) == 0;
    if (ok && root && request.type == CHANNEL_FRAME_LANE && request.fd_n == 1 && request.payload.n == 0) {
        s->fds[s->fd_n++] = request.fds[0];
        s->lanes_opened++;
        request.fd_n = 0;
    } else if (ok) {
        ok = channel_serve_frame(s->service, &request, &a, &out, &reply) == 0 && frame_send(fd, &reply, 1000) == 0;
        frame_close_fds(&reply);
        frame_close_fds(&request);
    }
    buf_done(&out);
    arena_done(&a);
    return ok;
}

static void *small_server_run(void *p)
{
    struct small_server *s = p;
    while (s->fd_n) {
        struct pollfd polls[CHANNEL_LANES_MAX + 1];
        nfds_t n = s->fd_n;
        for (nfds_t i = 0; i < n; i++)
            polls[i] = (struct pollfd){ .fd = s->fds[i], .events = POLLIN };
        poll(polls, n, -1);
        for (nfds_t i = n; i-- > 0;) {
            if (!polls[i].revents || small_server_turn(s, s->fds[i], i == 0))
                continue;
            close(s->fds[i]);
            if (i == 0) { /* the asking side is gone, and with it all lanes */
                for (nfds_t k = 1; k < s->fd_n; k++)
                    close(s->fds[k]);
                s->fd_n = 0;
                break;
            }
            memmove(s->fds + i, s->fds + i + 1, (s->fd_n - i - 1) * sizeof s->fds[0]);
            s->fd_n--;
        }
    }
    return NULL;
}

/* Starts the server; the asking end of its root lane. */
static int small_server_start(struct small_server *s)
{
    int pair[2];
    *s = (struct small_server){ .service = &service };
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
    s->fds[0] = pair[1];
    s->fd_n = 1;
    assert_int_equal(pthread_create(&s->thread, NULL, small_server_run, s), 0);
    return pair[0];
}

/* --- frames --- */

static void header_round_trip(void **state)
{
    static const struct {
        uint16_t type;
        int16_t status;
        str payload;
    } cases[] = { { 1, 0, STR_INIT("") }, { 0xffff, -17, STR_INIT("abc") }, { 0x1234, -32768, STR_INIT("\0\r\n") } };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct frame f = { .type = cases[i].type, .status = cases[i].status, .payload = cases[i].payload }, g = { 0 };
        size_t n = 8 + f.payload.n;
        char *p = malloc(n);
        frame_encode_header(&f, p);
        memcpy(p + 8, f.payload.p, f.payload.n);
        assert_int_equal(frame_decode((str){ p, n }, &g), 0);
        assert_int_equal(g.type, f.type);
        assert_int_equal(g.status, f.status);
        assert_true(str_eq(g.payload, f.payload));
        free(p);
    }
}

static void decode_refuses(void **state)
{
    static const str bad[] = {
        STR_INIT(""),
        STR_INIT("\1\0\0\0\0\0\0"),           /* header cut */
        STR_INIT("\1\0\0\0\1\0\0\0"),         /* payload missing */
        STR_INIT("\1\0\0\0\0\0\0\0x"),        /* payload too long */
        STR_INIT("\1\0\0\0\2\0\0\0x"),        /* payload too short */
        STR_INIT("\1\0\0\0\377\377\377\377"), /* absurd length */
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct frame f = { .type = 77 };
        char *p = malloc(bad[i].n ? bad[i].n : 1);
        memcpy(p, bad[i].p, bad[i].n);
        assert_int_equal(frame_decode((str){ p, bad[i].n }, &f), ERR_CORRUPT);
        assert_int_equal(f.type, 77);
        free(p);
    }
}

/* Raw bytes and descriptors from a far end that keeps to no rule. */
static void hostile_send(int fd, str bytes, int fd_n)
{
    union {
        struct cmsghdr h;
        char b[CMSG_SPACE(sizeof(int) * 16)];
    } control = { 0 };
    struct iovec iov = { (void *)(uintptr_t)bytes.p, bytes.n };
    struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };
    if (fd_n) {
        int fds[16];
        m.msg_control = control.b;
        m.msg_controllen = CMSG_SPACE(sizeof(int) * (size_t)fd_n);
        struct cmsghdr *c = CMSG_FIRSTHDR(&m);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof(int) * (size_t)fd_n);
        for (int i = 0; i < fd_n; i++)
            fds[i] = fd;
        memcpy(CMSG_DATA(c), fds, sizeof(int) * (size_t)fd_n);
    }
    assert_true(sendmsg(fd, &m, 0) >= 0);
}

static void receive_refuses(void **state)
{
    static const struct {
        str bytes;
        int fd_n;
        int expected;
    } cases[] = {
        { STR_INIT("\1\0\0\0\0\0\0\0"), 0, 0 },
        { STR_INIT("\1\0\0\0\0\0\0\0"), 4, 0 },
        { STR_INIT("\1\0\0\0\0\0\0\0"), 5, ERR_CORRUPT },
        { STR_INIT("\1\0\0\0\0\0\0\0"), 16, ERR_CORRUPT },
        { STR_INIT("\1\0\0"), 0, ERR_CORRUPT },
        { STR_INIT("\1\0\0"), 3, ERR_CORRUPT },
        { STR_INIT("\1\0\0\0\5\0\0\0abc"), 1, ERR_CORRUPT },
        { STR_INIT(""), 0, ERR_EOF },
    };
    int before = open_fds();
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
    struct arena a = ARENA_INIT(1 << 20);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct frame f = { 0 };
        hostile_send(pair[0], cases[i].bytes, cases[i].fd_n);
        assert_int_equal(frame_receive(pair[1], &a, 1000, &f), cases[i].expected);
        assert_int_equal(f.fd_n, cases[i].expected == 0 ? cases[i].fd_n : 0);
        for (size_t k = 0; k < f.fd_n; k++)
            assert_int_equal(fcntl(f.fds[k], F_GETFD), FD_CLOEXEC);
        frame_close_fds(&f);
        if (cases[i].bytes.n == 0) /* not told apart from the end, so still in the socket */
            assert_int_equal(recv(pair[1], &f, 1, MSG_DONTWAIT), 0);
        assert_int_equal(open_fds(), before + 2);
    }
    /* One byte more than a frame can have. */
    size_t n = 8 + CHANNEL_PAYLOAD_MAX + 1;
    char *big = calloc(1, n);
    struct frame f = { 0 };
    hostile_send(pair[0], (str){ big, n }, 1);
    assert_int_equal(frame_receive(pair[1], &a, 1000, &f), ERR_CORRUPT);
    free(big);
    /* More than the arena has: the message is gone all the same. */
    struct arena small = ARENA_INIT(16);
    hostile_send(pair[0], STR("\1\0\0\0\40\0\0\0abcdefghijklmnopqrstuvwxyz012345"), 2);
    assert_int_equal(frame_receive(pair[1], &small, 1000, &f), ERR_LIMIT);
    assert_int_equal(frame_receive(pair[1], &a, 0, &f), ERR_TIMEOUT);
    assert_int_equal(open_fds(), before + 2);
    arena_done(&small);
    arena_done(&a);
    close(pair[0]);
    assert_int_equal(frame_receive(pair[1], &a, 1000, &f), ERR_EOF);
    assert_int_equal(frame_send(pair[1], &f, 1000), ERR_EOF);
    close(pair[1]);
    assert_int_equal(open_fds(), before);
}

static void send_times_out_when_nobody_reads(void **state)
{
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
    char *p = calloc(1, CHANNEL_PAYLOAD_MAX);
    struct frame f = { .type = 1, .payload = { p, CHANNEL_PAYLOAD_MAX } };
    int r, sent = 0;
    while ((r = frame_send(pair[0], &f, 1)) == 0 && sent < 1000)
        sent++;
    assert_int_equal(r, ERR_TIMEOUT);
    assert_true(sent > 0);
    free(p);
    close(pair[0]);
    close(pair[1]);
}

/* --- memfds and spool files --- */

static atomic_int closes_before_taking = -1;

/* In the place of the C library's: closes what is to be closed between the look at a message and its taking. */
ssize_t recvmsg(int fd, struct msghdr *m, int flags)
{
    int ours = atomic_exchange(&closes_before_taking, -1);
    if (ours >= 0)
        close(ours);
    return syscall(SYS_recvmsg, fd, m, flags);
}

/* Who closes with a request unread has the kernel report a reset, whenever that is: it takes nothing away of what he said before. */
static void last_words_are_heard(void **state)
{
    for (int at_once = 0; at_once < 2; at_once++) {
        int pair[2];
        struct arena a = ARENA_INIT(4096);
        struct frame got = { 0 };
        assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
        assert_int_equal(frame_send(pair[0], &(struct frame){ .type = TYPE_ECHO }, CALL_MS), 0);
        assert_int_equal(frame_send(pair[1], &(struct frame){ .type = TYPE_ECHO, .payload = STR("farewell") }, CALL_MS), 0);
        if (at_once)
            close(pair[1]);
        else
            atomic_store(&closes_before_taking, pair[1]);
        assert_int_equal(frame_receive(pair[0], &a, CALL_MS, &got), 0);
        assert_int_equal(atomic_load(&closes_before_taking), -1);
        assert_true(str_eq(got.payload, STR("farewell")));
        assert_int_equal(frame_receive(pair[0], &a, CALL_MS, &got), ERR_EOF);
        close(pair[0]);
        arena_done(&a);
    }
}

static void map_wants_seals(void **state)
{
    str text = STR_INIT("From: a@example.net\r\n"), got = { 0 };
    int fd = channel_memfd("message", text);
    assert_true(fd >= 0);
    assert_int_equal(channel_map(fd, false, text.n, &got), 0);
    assert_true(str_eq(got, text));
    channel_unmap(got);
    assert_int_equal(channel_map(fd, false, text.n - 1, &got), ERR_LIMIT);
    assert_int_equal(write(fd, "x", 1), -1);
    assert_int_equal(ftruncate(fd, 0), -1);
    close(fd);

    fd = channel_memfd("empty", STR(""));
    assert_int_equal(channel_map(fd, false, 10, &got), 0);
    assert_int_equal(got.n, 0);
    channel_unmap(got);
    close(fd);

    static const int seals[] = { 0, F_SEAL_WRITE, F_SEAL_SHRINK | F_SEAL_GROW,
                                 F_SEAL_FUTURE_WRITE | F_SEAL_SHRINK | F_SEAL_GROW };
    for (size_t i = 0; i < sizeof seals / sizeof seals[0]; i++) {
        fd = memfd_create("open", MFD_CLOEXEC | MFD_ALLOW_SEALING);
        assert_int_equal(write(fd, "abc", 3), 3);
        assert_int_equal(fcntl(fd, F_ADD_SEALS, seals[i]), 0);
        assert_int_equal(channel_map(fd, false, 10, &got), ERR_CORRUPT);
        close(fd);
    }
    int pipes[2];
    assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
    assert_int_equal(channel_map(pipes[0], false, 10, &got), ERR_CORRUPT);
    assert_int_equal(channel_map(pipes[0], true, 10, &got), ERR_CORRUPT);
    close(pipes[0]);
    close(pipes[1]);
    assert_int_equal(channel_map(-1, true, 10, &got), ERR_CORRUPT);
}

static void map_takes_unlinked_spool_files(void **state)
{
    str got = { 0 };
    char path[] = "/tmp/valise-channel-XXXXXX";
    int fd = mkostemp(path, O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "spool", 5), 5);
    assert_int_equal(channel_map(fd, true, 10, &got), ERR_CORRUPT);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(channel_map(fd, true, 10, &got), 0);
    assert_true(str_eq(got, STR("spool")));
    channel_unmap(got);
    assert_int_equal(channel_map(fd, true, 4, &got), ERR_LIMIT);
    assert_int_equal(channel_map(fd, false, 10, &got), ERR_CORRUPT);
    close(fd);
}

/* --- calls --- */

static void call_answers(void **state)
{
    struct small_server s;
    int before = open_fds();
    struct channel *c = channel_open(small_server_start(&s), "test");
    struct arena a = ARENA_INIT(1 << 20);
    struct error e = ERROR_NONE;
    struct frame reply = { 0 };
    char *big = malloc(CHANNEL_PAYLOAD_MAX + 1);
    memset(big, 'b', CHANNEL_PAYLOAD_MAX + 1);

    struct frame request = { .type = TYPE_ECHO, .payload = { big, CHANNEL_PAYLOAD_MAX }, .fds = { 0, 0 }, .fd_n = 2 };
    assert_int_equal(channel_call(c, &request, &a, CALL_MS, &reply, &e), 0);
    assert_true(str_eq(reply.payload, request.payload));
    assert_int_equal(reply.fd_n, 2);
    frame_close_fds(&reply);
    request.payload.n++;
    assert_int_equal(channel_call(c, &request, &a, CALL_MS, &reply, &e), ERR_LIMIT);

    int fd = channel_memfd("message", STR("twelve bytes"));
    request = (struct frame){ .type = TYPE_BLOB, .fds = { fd }, .fd_n = 1 };
    assert_int_equal(channel_call(c, &request, &a, CALL_MS, &reply, &e), 0);
    assert_true(str_eq(reply.payload, STR("12")));
    close(fd);
    fd = memfd_create("unsealed", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    request.fds[0] = fd;
    assert_int_equal(channel_call(c, &request, &a, CALL_MS, &reply, &e), ERR_CORRUPT);
    assert_string_equal(e.text, "not a sealed memfd");
    close(fd);

    request = (struct frame){ .type = TYPE_REFUSE, .payload = STR("bob") };
    assert_int_equal(channel_call(c, &request, &a, CALL_MS, &reply, &e), ERR_NOTFOUND);
    assert_string_equal(e.text, "no such mailbox??bob");
    request = (struct frame){ .type = TYPE_HUGE };
    assert_int_equal(channel_call(c, &request, &a, CALL_MS, &reply, &e), ERR_LIMIT);
    request = (struct frame){ .type = TYPE_ODD };
    assert_int_equal(channel_call(c, &request, &a, CALL_MS, &reply, &e), ERR_INTERNAL);
    assert_int_equal(s.lanes_opened, 1);

    /* A malformed request costs the lane, not the channel. */
    request = (struct frame){ .type = 99 };
    assert_int_equal(channel_call(c, &request, &a, CALL_MS, &reply, &e), ERR_UNAVAILABLE);
    request = (struct frame){ .type = TYPE_BLOB };
    assert_int_equal(channel_call(c, &request, &a, CALL_MS, &reply, &e), ERR_UNAVAILABLE);
    request = (struct frame){ .type = TYPE_ECHO, .payload = STR("again") };
    assert_int_equal(channel_call(c, &request, &a, CALL_MS, &reply, &e), 0);

    struct arena small = ARENA_INIT(8);
    assert_int_equal(channel_call(c, &request, &small, CALL_MS, &reply, &e), ERR_LIMIT);
    arena_done(&small);
    channel_free(c);
    pthread_join(s.thread, NULL);
    assert_int_equal(open_fds(), before);
    free(big);
    arena_done(&a);
}

struct caller {
    struct channel *c;
    unsigned number;
    pthread_t thread;
};

static void *caller_run(void *p)
{
    struct caller *me = p;
    for (unsigned i = 0; i < 100; i++) {
        struct arena a = ARENA_INIT(1 << 18);
        char text[4096];
        struct frame reply = { 0 };
        size_t n = (me->number * 257 + i * 31) % sizeof text;
        memset(text, (int)('a' + me->number), n);
        struct frame request = { .type = TYPE_ECHO, .payload = { text, n }, .fds = { 0 }, .fd_n = i % 3 == 0 };
        assert_int_equal(channel_call(me->c, &request, &a, CALL_MS, &reply, NULL), 0);
        assert_true(str_eq(reply.payload, request.payload));
        assert_int_equal(reply.fd_n, request.fd_n);
        frame_close_fds(&reply);
        arena_done(&a);
    }
    return NULL;
}

static void sixteen_threads_call(void **state)
{
    struct small_server s;
    int before = open_fds();
    struct channel *c = channel_open(small_server_start(&s), "test");
    struct caller callers[16];
    for (unsigned i = 0; i < 16; i++) {
        callers[i] = (struct caller){ .c = c, .number = i };
        assert_int_equal(pthread_create(&callers[i].thread, NULL, caller_run, &callers[i]), 0);
    }
    for (unsigned i = 0; i < 16; i++)
        pthread_join(callers[i].thread, NULL);
    /* At most 8 lanes are kept; the other side takes its time to see that the rest are closed. */
    for (int i = 0; i < 1000 && open_fds() > before + 2 + 2 * 8; i++)
        usleep(10000);
    assert_true(open_fds() <= before + 2 + 2 * 8);
    channel_free(c);
    pthread_join(s.thread, NULL);
    assert_int_equal(open_fds(), before);
}

static void timeout_closes_the_lane(void **state)
{
    struct small_server s;
    struct channel *c = channel_open(small_server_start(&s), "test");
    struct arena a = ARENA_INIT(1 << 20);
    struct error e = ERROR_NONE;
    struct frame reply = { .type = 7 }, request = { .type = TYPE_HOLD };
    assert_int_equal(channel_call(c, &request, &a, 20, &reply, &e), ERR_TIMEOUT);
    assert_string_equal(e.text, "test did not answer within 20 ms");
    assert_int_equal(reply.type, 7);
    sem_post(&hold);
    /* The late answer must not be taken for this one. */
    request = (struct frame){ .type = TYPE_ECHO, .payload = STR("mine") };
    assert_int_equal(channel_call(c, &request, &a, CALL_MS, &reply, &e), 0);
    assert_true(str_eq(reply.payload, STR("mine")));
    assert_int_equal(s.lanes_opened, 2);
    channel_free(c);
    pthread_join(s.thread, NULL);
    arena_done(&a);
}

static void *holder_run(void *p)
{
    struct caller *me = p;
    struct arena a = ARENA_INIT(4096);
    struct frame reply = { 0 }, request = { .type = TYPE_HOLD };
    int r = channel_call(me->c, &request, &a, CALL_MS, &reply, NULL);
    arena_done(&a);
    return (void *)(intptr_t)r;
}

static void replace_ends_waiting_calls(void **state)
{
    struct small_server first, second;
    int before = open_fds();
    struct channel *c = channel_open(small_server_start(&first), "test");
    struct caller waiting = { .c = c };
    void *result = NULL;
    assert_int_equal(pthread_create(&waiting.thread, NULL, holder_run, &waiting), 0);
    while (first.lanes_opened == 0) {
        struct pollfd none = { .fd = -1 };
        poll(&none, 1, 5);
    }
    channel_replace(c, small_server_start(&second));
    pthread_join(waiting.thread, &result);
    assert_int_equal((intptr_t)result, ERR_UNAVAILABLE);
    sem_post(&hold);
    struct arena a = ARENA_INIT(4096);
    struct frame reply = { 0 }, request = { .type = TYPE_ECHO, .payload = STR("new") };
    assert_int_equal(channel_call(c, &request, &a, CALL_MS, &reply, NULL), 0);
    assert_true(str_eq(reply.payload, STR("new")));
    assert_int_equal(second.lanes_opened, 1);
    channel_replace(c, -1);
    assert_int_equal(channel_call(c, &request, &a, CALL_MS, &reply, NULL), ERR_UNAVAILABLE);
    channel_free(c);
    pthread_join(first.thread, NULL);
    pthread_join(second.thread, NULL);
    /* The handler may have ended before it took the post: leave none for the next test. */
    while (sem_trywait(&hold) == 0)
        ;
    arena_done(&a);
    assert_int_equal(open_fds(), before);
}

static void death_of_the_role_is_seen_at_once(void **state)
{
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
    struct channel *c = channel_open(pair[0], "test");
    struct arena a = ARENA_INIT(4096);
    struct error e = ERROR_NONE;
    struct frame reply = { 0 }, request = { .type = TYPE_ECHO };
    /* The lane's far end is in flight in the root lane: its closing is the death of both. */
    assert_int_equal(channel_call(c, &request, &a, 1, &reply, &e), ERR_TIMEOUT);
    close(pair[1]);
    assert_int_equal(channel_call(c, &request, &a, INT64_MAX, &reply, &e), ERR_UNAVAILABLE);
    assert_string_equal(e.text, "test is not running; try again");
    channel_free(c);
    arena_done(&a);
}

/* A far end that gives CASES of wrong answers. */
static void *liar_run(void *p)
{
    static const struct frame lies[] = {
        { .type = TYPE_ECHO + 1 },
        { .type = TYPE_ECHO, .status = 5 },
        { .type = TYPE_ECHO, .status = ERR_LAST_ },
        { .type = TYPE_ECHO, .status = ERR_REFUSED, .fd_n = 1 },
    };
    int root = *(int *)p;
    for (size_t i = 0; i < sizeof lies / sizeof lies[0]; i++) {
        struct arena a = ARENA_INIT(4096);
        struct frame f = { 0 };
        assert_int_equal(frame_receive(root, &a, CALL_MS, &f), 0);
        int lane = f.fds[0];
        assert_int_equal(frame_receive(lane, &a, CALL_MS, &f), 0);
        assert_int_equal(frame_send(lane, &lies[i], CALL_MS), 0);
        close(lane);
        arena_done(&a);
    }
    return NULL;
}

static void lies_are_refused(void **state)
{
    int pair[2];
    int before = open_fds();
    pthread_t liar;
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
    assert_int_equal(pthread_create(&liar, NULL, liar_run, &pair[1]), 0);
    struct channel *c = channel_open(pair[0], "test");
    struct arena a = ARENA_INIT(4096);
    struct frame reply = { 0 }, request = { .type = TYPE_ECHO };
    for (int i = 0; i < 4; i++)
        assert_int_equal(channel_call(c, &request, &a, CALL_MS, &reply, NULL), ERR_CORRUPT);
    pthread_join(liar, NULL);
    channel_free(c);
    close(pair[1]);
    arena_done(&a);
    assert_int_equal(open_fds(), before);
}

static void serve_checks_the_table(void **state)
{
    static const struct {
        struct frame request;
        int expected;
    } cases[] = {
        { { .type = TYPE_ECHO }, 0 },
        { { .type = CHANNEL_FRAME_LANE }, ERR_CORRUPT },
        { { .type = 999 }, ERR_CORRUPT },
        { { .type = TYPE_ECHO, .status = -1 }, ERR_CORRUPT },
        { { .type = TYPE_BLOB }, ERR_CORRUPT },
        { { .type = TYPE_BLOB, .fd_n = 2 }, ERR_CORRUPT },
        { { .type = TYPE_BLOB, .fd_n = 1, .payload = STR_INIT("12345678901234567") }, ERR_CORRUPT },
        { { .type = TYPE_REFUSE, .fd_n = 1 }, ERR_CORRUPT },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct arena a = ARENA_INIT(4096);
        struct buf out = BUF_INIT(CHANNEL_PAYLOAD_MAX);
        struct frame reply = { 0 };
        assert_int_equal(channel_serve_frame(&service, &cases[i].request, &a, &out, &reply), cases[i].expected);
        buf_done(&out);
        arena_done(&a);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(header_round_trip),
        cmocka_unit_test(decode_refuses),
        cmocka_unit_test(receive_refuses),
        cmocka_unit_test(send_times_out_when_nobody_reads),
        cmocka_unit_test(last_words_are_heard),
        cmocka_unit_test(map_wants_seals),
        cmocka_unit_test(map_takes_unlinked_spool_files),
        cmocka_unit_test(call_answers),
        cmocka_unit_test(sixteen_threads_call),
        cmocka_unit_test(timeout_closes_the_lane),
        cmocka_unit_test(replace_ends_waiting_calls),
        cmocka_unit_test(death_of_the_role_is_seen_at_once),
        cmocka_unit_test(lies_are_refused),
        cmocka_unit_test(serve_checks_the_table),
    };
    sem_init(&hold, 0, 0);
    log_set_level(LOG_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
