/* server: real sockets on loopback; no assertion depends on time. */
#include "loopback.h"

#include <dirent.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "run/descriptors.h"

static const struct server_settings small = { .workers_min = 2, .workers_max = 3 };

static unsigned threads_of_process(void)
{
    char text[4096];
    int fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
    ssize_t n = read(fd, text, sizeof text);
    (void)close(fd);
    assert_true(n > 0);
    str s = { text, (size_t)n };
    str rest = str_from(s, str_find(s, STR("Threads:\t")) + 9);
    uint32_t threads = 0;
    assert_true(str_to_u32(str_sub(rest, 0, str_find_byte(rest, '\n', 0)), 100000, &threads));
    return threads;
}

static void echoes(void **state)
{
    struct loopback l;
    loopback_start(&l, &small, NULL, false);
    int fd = client_connect(&l);
    client_expect(fd, STR("hello\r\n"));
    str text = STR("one\r\ntwo\r\nbad\nthree\r\n");
    for (size_t i = 0; i < text.n; i++)
        client_send(fd, str_sub(text, i, 1));
    client_expect(fd, STR("one\r\ntwo\r\n500 syntax\r\nthree\r\n"));
    client_send(fd, STR("INFO\r\nTLS\r\n"));
    client_expect(fd, STR("tls=0 version= cipher= bits=0 sni= alpn= resumed=0\r\n454 no\r\n"));
    client_send(fd, STR("MANY 3\r\nlast\r\nQUIT\r\nignored\r\n"));
    client_expect(fd, STR("line 3\r\nline 2\r\nline 1\r\nlast\r\nbye\r\n"));
    client_expect_eof(fd);
    (void)close(fd);
    /* A peer that closes its half gets all its answers. */
    fd = client_connect(&l);
    client_send(fd, STR("BIG 300000\r\nx\r\n"));
    (void)shutdown(fd, SHUT_WR);
    client_expect(fd, STR("hello\r\n"));
    client_read_big(fd, 300000);
    client_expect(fd, STR("x\r\n"));
    client_expect_eof(fd);
    (void)close(fd);
    loopback_stop(&l, 10000);
}

/* Through an IPv6 socket an IPv4 peer is the same peer. */
static void addresses(void **state)
{
    struct loopback l;
    loopback_init(&l, &small, NULL, false);
    uint16_t ports[2] = { l.port, 0 };
    struct sockaddr_in6 six = { .sin6_family = AF_INET6 };
    socklen_t n = sizeof six;
    int off = 0, fd = socket(AF_INET6, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd >= 0 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off) == 0 &&
        bind(fd, (struct sockaddr *)&six, sizeof six) == 0 && listen(fd, 10) == 0) {
        assert_int_equal(getsockname(fd, (struct sockaddr *)&six, &n), 0);
        ports[1] = ntohs(six.sin6_port);
        assert_int_equal(
            server_listen(l.server, fd, &(struct listener_settings){ .name = "six", .ops = &echo_ops, .ctx = &l.world }), 0);
    } else if (fd >= 0) {
        (void)close(fd);
    }
    loopback_run(&l);
    for (size_t i = 0; i < 2 && ports[i]; i++) {
        struct sockaddr_in own;
        n = sizeof own;
        l.port = ports[i];
        fd = client_connect(&l);
        assert_int_equal(getsockname(fd, (struct sockaddr *)&own, &n), 0);
        char want[100];
        int len = snprintf(want, sizeof want, "hello\r\n127.0.0.1 %u 127.0.0.1 %u\r\n", ntohs(own.sin_port), ports[i]);
        client_send(fd, STR("PEER\r\n"));
        client_expect(fd, (str){ want, (size_t)len });
        (void)close(fd);
    }
    loopback_stop(&l, 10000);
}

static void drains_piece_by_piece(void **state)
{
    struct loopback l;
    loopback_start(&l, &small, NULL, false);
    int fd = client_connect(&l);
    client_expect(fd, STR("hello\r\n"));
    client_send(fd, STR("MANY 200000\r\nafter\r\n"));
    char line[32];
    for (int i = 200000; i > 0; i--) {
        int n = snprintf(line, sizeof line, "line %d\r\n", i);
        client_expect(fd, (str){ line, (size_t)n });
    }
    client_expect(fd, STR("after\r\n"));
    (void)close(fd);
    loopback_stop(&l, 10000);
}

/* With one worker: two that always have something to do, and one that comes then. */
static void who_is_busy_lets_others_have_their_turn(void **state)
{
    struct loopback l;
    loopback_start(&l, &(struct server_settings){ .workers_min = 1, .workers_max = 1 }, NULL, false);
    int busy[2];
    for (int i = 0; i < 2; i++) {
        busy[i] = client_connect(&l);
        client_send(busy[i], STR("before\r\nBUSY\r\n"));
        client_expect(busy[i], STR("hello\r\nbefore\r\n"));
    }
    int fd = client_connect(&l);
    client_expect(fd, STR("hello\r\n"));
    client_send(fd, STR("FREE\r\nafter\r\n"));
    client_expect(fd, STR("after\r\n"));
    for (int i = 0; i < 2; i++) {
        client_send(busy[i], STR("free\r\n"));
        client_expect(busy[i], STR("free\r\n"));
        (void)close(busy[i]);
    }
    (void)close(fd);
    loopback_stop(&l, 10000);
}

enum { SLOW_MAX = 320 };

/* Silent from the start, silent in a line, not reading much, not reading a drain: none holds a thread. */
static void slow_peers_cost_no_threads(void **state)
{
    static const char *const openings[] = { "", "half a li", "BIG 500000000\r\n", "MANY 9000000\r\n" };
    struct loopback l;
    int slow[SLOW_MAX];
    const unsigned slow_n = check_many(SLOW_MAX, 16), users = check_many(20, 2);
    unsigned before = threads_of_process();
    loopback_start(&l, &small, NULL, false);
    for (size_t i = 0; i < slow_n; i++) {
        slow[i] = client_connect(&l);
        client_expect(slow[i], STR("hello\r\n"));
        client_send(slow[i], str_from_z(openings[i % 4]));
    }
    for (unsigned k = 0; k < users; k++) {
        int fd = client_connect(&l);
        client_expect(fd, STR("hello\r\n"));
        for (int i = 0; i < 20; i++) {
            client_send(fd, STR("ping\r\n"));
            client_expect(fd, STR("ping\r\n"));
        }
        client_send(fd, STR("BIG 1000000\r\n"));
        client_read_big(fd, 1000000);
        (void)close(fd);
    }
    assert_true(server_counts(l.server).workers_peak <= 3);
    assert_true(threads_of_process() <= before + 3 + 1); /* workers and herder */
    /* Backpressure: of each 500 MB no more was pulled than sockets hold. */
    assert_true(atomic_load(&l.world.pulled) < UINT64_C(20000000) + slow_n / 4 * UINT64_C(12000000));
    for (size_t i = 0; i < slow_n; i++) {
        if (i % 4 == 1) { /* they are alive */
            client_send(slow[i], STR("ne\r\n"));
            client_expect(slow[i], STR("half a line\r\n"));
        }
        (void)close(slow[i]);
    }
    loopback_stop(&l, 10000);
}

/* --- conn_wake --- */

struct waker {
    struct loopback *l;
    unsigned times;
};

static void wake_all(struct echo_world *w)
{
    pthread_mutex_lock(&w->lock); /* close takes it too: the connections are alive */
    for (size_t i = 0; i < w->woken_n; i++)
        if (w->woken[i])
            conn_wake(w->woken[i]->conn);
    pthread_mutex_unlock(&w->lock);
}

static void *waker_main(void *arg)
{
    struct waker *w = arg;
    for (unsigned i = 0; i < w->times; i++) {
        atomic_fetch_add(&w->l->world.counter, 1);
        wake_all(&w->l->world);
    }
    return NULL;
}

static void read_until(int fd, str want)
{
    struct buf b = BUF_INIT(1 << 24);
    while (!str_ends(buf_str(&b), want)) {
        char *p = buf_reserve(&b, 4096);
        ssize_t n = recv(fd, p, 4096, 0);
        if (n <= 0)
            fail_msg("\"%.*s\" never came, errno %d", STR_ARG(want), errno);
        buf_commit(&b, (size_t)n);
    }
    buf_done(&b);
}

/* The last count must arrive at each: no wakeup is lost, whatever the connection does at that moment. */
static void no_wakeup_is_lost(void **state)
{
    struct loopback l;
    loopback_start(&l, &(struct server_settings){ .workers_min = 3, .workers_max = 4 }, NULL, false);
    int fd[16];
    for (size_t i = 0; i < 16; i++) {
        fd[i] = client_connect(&l);
        client_send(fd[i], STR("WAKE\r\nready\r\n"));
        client_expect(fd[i], STR("hello\r\nready\r\n"));
    }
    pthread_t threads[2];
    struct waker w = { &l, check_many(3000, 100) };
    char last[32];
    (void)snprintf(last, sizeof last, "count %u\r\n", 2 * w.times);
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, waker_main, &w), 0);
    for (int k = 0; k < 50; k++) /* at the same time they talk, and some die */
        for (size_t i = 0; i < 16; i++)
            if (fd[i] >= 0) {
                client_send(fd[i], STR("noise\r\n"));
                if (k == 25 && i % 4 == 3) {
                    (void)close(fd[i]);
                    fd[i] = -1;
                }
            }
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    for (size_t i = 0; i < 16; i++) {
        if (fd[i] < 0)
            continue;
        client_send(fd[i], STR("end\r\n"));
        struct buf b = BUF_INIT(1 << 24);
        while (str_find(buf_str(&b), str_from_z(last)) == b.n || str_find(buf_str(&b), STR("end\r\n")) == b.n) {
            char *p = buf_reserve(&b, 4096);
            ssize_t n = recv(fd[i], p, 4096, 0);
            assert_true(n > 0);
            buf_commit(&b, (size_t)n);
        }
        buf_done(&b);
    }
    /* A parked one is woken. */
    for (unsigned k = 1; k <= check_many(200, 20); k++) {
        atomic_store(&l.world.counter, 10000 + k);
        wake_all(&l.world);
        char line[32];
        int n = snprintf(line, sizeof line, "count %u\r\n", 10000 + k);
        read_until(fd[0], (str){ line, (size_t)n });
    }
    for (size_t i = 0; i < 16; i++)
        if (fd[i] >= 0)
            (void)close(fd[i]);
    loopback_stop(&l, 10000);
}

/* --- pool --- */

static void the_pool_grows_when_all_block(void **state)
{
    struct loopback l;
    pthread_barrier_t barrier;
    pthread_barrier_init(&barrier, NULL, 8);
    loopback_start(&l, &(struct server_settings){ .workers_min = 2, .workers_max = 8 }, NULL, false);
    l.world.barrier = &barrier;
    int fd[8];
    for (size_t i = 0; i < 8; i++) {
        fd[i] = client_connect(&l);
        client_expect(fd[i], STR("hello\r\n"));
    }
    for (size_t i = 0; i < 8; i++)
        client_send(fd[i], STR("BLOCK\r\n"));
    for (size_t i = 0; i < 8; i++) {
        client_expect(fd[i], STR("met\r\n"));
        (void)close(fd[i]);
    }
    assert_int_equal(server_counts(l.server).workers_peak, 8);
    loopback_stop(&l, 10000);
    pthread_barrier_destroy(&barrier);
}

static void deadlines_fire(void **state)
{
    struct loopback l;
    loopback_start(&l, &small, NULL, false);
    int fd[20], patient = client_connect(&l);
    client_send(patient, STR("DEADLINE 100000000\r\nDEADLINE 9000000\r\nx\r\n"));
    client_expect(patient, STR("hello\r\nDEADLINE 100000000\r\nx\r\n"));
    for (size_t i = 0; i < 20; i++) {
        fd[i] = client_connect(&l);
        char line[64];
        int n = snprintf(line, sizeof line, "DEADLINE 600000\r\nDEADLINE %zu\r\n", 1 + i * 7 % 40);
        client_send(fd[i], (str){ line, (size_t)n });
    }
    for (size_t i = 0; i < 20; i++) {
        client_expect(fd[i], STR("hello\r\ntimeout\r\n"));
        client_expect_eof(fd[i]);
        (void)close(fd[i]);
    }
    client_send(patient, STR("still here\r\n"));
    client_expect(patient, STR("still here\r\n"));
    (void)close(patient);
    loopback_stop(&l, 10000);
}

/* --- the end --- */

static void shutdown_tells_everyone(void **state)
{
    struct loopback l;
    loopback_start(&l, &small, NULL, false);
    int fd[50];
    for (size_t i = 0; i < 50; i++) {
        fd[i] = client_connect(&l);
        client_expect(fd[i], STR("hello\r\n"));
    }
    client_send(fd[0], STR("BIG 5000000\r\n")); /* finishes what runs */
    eventually(atomic_load(&l.world.pulled) > 0);
    server_stop(l.server, 60000);
    client_read_big(fd[0], 5000000);
    for (size_t i = 0; i < 50; i++) {
        client_expect(fd[i], STR("shutdown\r\n"));
        client_expect_eof(fd[i]);
        (void)close(fd[i]);
    }
    loopback_stop(&l, 60000);
}

static void the_grace_ends(void **state)
{
    struct loopback l;
    loopback_start(&l, &small, NULL, false);
    int stubborn = client_connect(&l), blocked = client_connect(&l);
    client_send(stubborn, STR("STUBBORN\r\nx\r\n"));
    client_expect(stubborn, STR("hello\r\nx\r\n"));
    client_send(blocked, STR("BIG 500000000\r\n"));
    client_expect(blocked, STR("hello\r\n"));
    eventually(atomic_load(&l.world.pulled) > 0);
    loopback_stop(&l, 20);
    client_expect_eof(stubborn);
    (void)close(stubborn);
    (void)close(blocked);
}

static void a_server_that_never_ran_is_freed(void **state)
{
    struct loopback l;
    loopback_init(&l, &small, NULL, false);
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
    const struct listener_settings settings = { .name = "x", .ops = &echo_ops, .ctx = &l.world };
    assert_int_equal(server_adopt(l.server, pair[0], &settings), 0);
    server_free(l.server);
    client_expect_eof(pair[1]);
    (void)close(pair[1]);
    loopback_init(&l, &small, NULL, false);
    server_stop(l.server, 0); /* before it runs: it ends at once */
    loopback_run(&l);
    loopback_stop(&l, 0);
}

/* --- peers that do anything --- */

struct chaos {
    uint16_t port;
    unsigned seed;
    atomic_uint *served;
};

/* One connection that does something and goes without caring what comes back. */
static void chaos_turn(const struct chaos *k, unsigned *seed)
{
    static const char *const openings[] = { "",         "half",           "x\r\n",    "BIG 5000000\r\n", "MANY 100000\r\nx\r\n",
                                            "QUIT\r\n", "DEADLINE 1\r\n", "WAKE\r\n", "a\nb\r\n",        "TLS\r\nx\r\n" };
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(k->port) };
    struct linger hard = { 1, 0 };
    struct timeval limit = { .tv_usec = 2000 }; /* often there is nothing to come */
    char text[4096];
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof a) != 0)
        goto out;
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    const char *say = openings[(unsigned)rand_r(seed) % (sizeof openings / sizeof openings[0])];
    (void)!send(fd, say, strlen(say), MSG_NOSIGNAL);
    for (int reads = rand_r(seed) % 4; reads > 0; reads--)
        if (recv(fd, text, sizeof text, rand_r(seed) % 2 ? MSG_DONTWAIT : 0) > 0)
            atomic_fetch_add(k->served, 1);
        else if (rand_r(seed) % 2)
            (void)shutdown(fd, SHUT_WR);
    if (rand_r(seed) % 3 == 0)
        (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard); /* RST */
out:
    if (fd >= 0)
        (void)close(fd);
}

static _Atomic bool chaos_over;

static void *chaos_main(void *arg)
{
    const struct chaos *k = arg;
    unsigned seed = k->seed;
    while (!atomic_load(&chaos_over))
        chaos_turn(k, &seed);
    return NULL;
}

static void *chaos_waker(void *arg)
{
    while (!atomic_load(&chaos_over)) {
        wake_all(arg);
        (void)poll(NULL, 0, 1);
    }
    return NULL;
}

/* However they come and go, and though the server stops in the middle: all sessions and sources are freed, each once. */
static void chaos(void **state)
{
    for (unsigned round = 0; round < check_many(3, 2); round++) {
        struct loopback l;
        atomic_uint served = 0;
        pthread_t threads[4], waker;
        struct chaos k[4];
        atomic_store(&chaos_over, false);
        loopback_start(&l, &(struct server_settings){ .workers_min = 2, .workers_max = 4 }, NULL, false);
        for (unsigned i = 0; i < 4; i++) {
            k[i] = (struct chaos){ l.port, round * 4 + i, &served };
            assert_int_equal(pthread_create(&threads[i], NULL, chaos_main, &k[i]), 0);
        }
        assert_int_equal(pthread_create(&waker, NULL, chaos_waker, &l.world), 0);
        eventually(atomic_load(&served) > check_many(1000, 20));
        server_stop(l.server, round == 0 ? 0 : 5000);
        assert_int_equal(pthread_join(l.thread, NULL), 0);
        atomic_store(&chaos_over, true);
        for (unsigned i = 0; i < 4; i++)
            assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_int_equal(pthread_join(waker, NULL), 0);
        assert_int_equal(atomic_load(&l.world.open), 0);
        assert_int_equal(atomic_load(&l.world.sources), 0);
        server_free(l.server);
        pthread_mutex_destroy(&l.world.lock);
    }
}

/* --- limits --- */

/* One more than there is room for is told why; room that is given back is given again. */
static void expect_three(struct loopback *l, const char *refusal)
{
    int fd[3];
    for (size_t i = 0; i < 3; i++) {
        fd[i] = client_connect(l);
        client_expect(fd[i], STR("hello\r\n"));
    }
    int more = client_connect(l);
    client_expect(more, str_from_z(refusal));
    client_expect_eof(more);
    (void)close(more);
    assert_int_equal(server_counts(l->server).refused, 1);
    (void)close(fd[1]);
    eventually(server_counts(l->server).connections == 2);
    more = client_connect(l);
    client_expect(more, STR("hello\r\n"));
    (void)close(more);
    (void)close(fd[0]);
    (void)close(fd[2]);
}

static void a_full_server_says_so(void **state)
{
    static const struct server_settings settings = { .workers_min = 2, .workers_max = 3, .connections_max = 3 };
    struct loopback l;
    loopback_start(&l, &settings, NULL, false);
    expect_three(&l, "refused Too many connections to this server; try again later\r\n");
    loopback_stop(&l, 10000);
}

static void access_decides_who_is_served(void **state)
{
    struct server_settings settings = small;
    struct limit_rules rules = { .network_bits_4 = 24, .network_bits_6 = 48, .address_bits_6 = 64 };
    rules.limits[LIMIT_CONNECTIONS][LIMIT_ADDRESS].max = 3;
    const struct access *limited = access_new(&(struct access){ .limited = true, .limits = rules });
    struct ip_network elsewhere;
    assert_int_equal(ip_network_parse(STR("192.0.2.0/24"), &elsewhere, NULL), 0);
    const struct access *foreign = access_new(&(struct access){ .served = { &elsewhere, 1 } });
    assert_int_equal(limits_new(-1, &settings.limits, NULL), 0);
    struct loopback l;
    loopback_access = limited;
    loopback_start(&l, &settings, NULL, false);
    expect_three(&l, "refused Too many connections from your address, 3 at a time are allowed; try again later\r\n");
    loopback_stop(&l, 10000);
    loopback_access = foreign;
    loopback_start(&l, &settings, NULL, false);
    int fd = client_connect(&l);
    client_expect(fd, STR("refused Your address is not in a network that is served here; ask the administrator\r\n"));
    client_expect_eof(fd);
    (void)close(fd);
    loopback_stop(&l, 10000);
    loopback_access = NULL;
    access_unref(limited);
    access_unref(foreign);
    limits_free(settings.limits);
}

static void no_descriptors_left(void **state)
{
    if (!check_many(1, 0)) /* valgrind keeps descriptors of its own above the limit */
        return;
    char name[] = "/tmp/valise-test-XXXXXX";
    int log = mkstemp(name);
    assert_true(log >= 0);
    (void)unlink(name);
    struct loopback l, admin;
    loopback_init(&l, &small, NULL, false);
    int reserved = loopback_listen(&admin.port);
    assert_int_equal(
        server_listen(l.server, reserved,
                      &(struct listener_settings){ .name = "control", .ops = &echo_ops, .ctx = &l.world, .reserved = true }),
        0);
    loopback_run(&l);
    int early = client_connect(&l);
    client_expect(early, STR("hello\r\n"));
    struct rlimit old, low;
    const int urgent[3] = { socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0),
                            socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0) };
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
    int late = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), top = dup(late);
    (void)close(top);
    low = (struct rlimit){ (rlim_t)top, old.rlim_max };
    log_set_fd(log);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(l.port) };
    assert_int_equal(connect(late, (struct sockaddr *)&a, sizeof a), 0);
    struct stat st;
    eventually(fstat(log, &st) == 0 && st.st_size > 0);
    client_send(early, STR("x\r\n")); /* the others are served */
    client_expect(early, STR("x\r\n"));
    for (size_t i = 0; i < 3;
         i++) { /* the administrator is answered, again and again: LATE waits, and takes none that comes back */
        a.sin_port = htons(admin.port);
        assert_int_equal(connect(urgent[i], (struct sockaddr *)&a, sizeof a), 0);
        client_expect(urgent[i], STR("hello\r\n"));
        client_send(urgent[i], STR("y\r\nQUIT\r\n"));
        client_expect(urgent[i], STR("y\r\nbye\r\n"));
        client_expect_eof(urgent[i]);
        (void)shutdown(urgent[i], SHUT_WR);
    }
    struct pollfd still = { .fd = late, .events = POLLIN };
    assert_int_equal(poll(&still, 1, 0), 0);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
    client_expect(late, STR("hello\r\n"));
    assert_int_equal(fstat(log, &st), 0);
    assert_true(st.st_size < 4096); /* some lines, not a flood */
    log_set_fd(2);
    (void)close(log);
    (void)close(early);
    (void)close(late);
    for (size_t i = 0; i < 3; i++)
        (void)close(urgent[i]);
    loopback_stop(&l, 10000);
}

static unsigned listed_descriptors(void)
{
    unsigned n = 0;
    DIR *dir = opendir("/proc/self/fd");
    assert_non_null(dir);
    for (const struct dirent *d; (d = readdir(dir));)
        n += d->d_name[0] != '.';
    (void)closedir(dir);
    return n - 1; /* DIR's own */
}

/* As the kernel counts, also when the limit was lowered below what is open, and over gaps. */
static void descriptors_are_counted(void **state)
{
    if (!check_many(1, 0))
        return;
    struct rlimit old;
    unsigned before = descriptors_used();
    assert_int_equal(before, listed_descriptors());
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
    int high = fcntl(0, F_DUPFD_CLOEXEC, 900), some[300];
    assert_true(high >= 900);
    for (size_t i = 0; i < 300; i++)
        some[i] = fcntl(0, F_DUPFD_CLOEXEC, 10);
    assert_int_equal(descriptors_used(), before + 301);
    assert_int_equal(listed_descriptors(), before + 301);
    static const rlim_t limits[] = { 1, 100, 256, 400, 900 };
    for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &(struct rlimit){ limits[i], old.rlim_max }), 0);
        assert_int_equal(descriptors_used(), before + 301);
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
    }
    for (size_t i = 0; i < 300; i++)
        (void)close(some[i]);
    (void)close(high);
    assert_int_equal(descriptors_used(), before);
}

/* --- periodic work --- */

static void count_release(void *ctx)
{
    atomic_fetch_add((atomic_uint *)ctx, 1);
}

static void *release_open(struct conn *c, void *ctx)
{
    (void)ctx;
    stream_write(conn_stream(c), STR("hi\r\n"));
    return malloc(1);
}

static enum conn_next release_run(struct conn *c, void *session, unsigned why)
{
    (void)session;
    str line;
    if (why & CONN_SHUTDOWN)
        return CONN_CLOSE;
    return stream_line(conn_stream(c), 100, &line) == ERR_AGAIN ? CONN_WAIT : CONN_CLOSE;
}

static void release_close(struct conn *c, void *session)
{
    (void)c;
    free(session);
}

/* One socket that passes from group to group, as in a reload: each accepts, connections of former groups go on, and a group is released with its
 * last connection. The descriptor's number comes again and again. */
static void a_socket_passes_from_listener_to_listener(void **state)
{
    static const struct conn_ops ops = { "release", release_open, release_run, release_close };
    struct loopback l;
    atomic_uint released[12] = { 0 };
    int fds[12], twin;
    loopback_init(&l, &small, NULL, false);
    int socket = loopback_listen(&l.port);
    loopback_run(&l);
    for (unsigned i = 0; i < 12; i++) {
        const struct listener_settings settings = {
            .name = "passed", .ops = &ops, .ctx = &released[i], .release = count_release, .group = i + 1
        };
        assert_true((twin = fcntl(socket, F_DUPFD_CLOEXEC, 0)) >= 0);
        assert_int_equal(server_listen(l.server, twin, &settings), 0);
        server_unlisten(l.server, i);
        fds[i] = client_connect(&l);
        client_expect(fds[i], STR("hi\r\n"));
    }
    for (unsigned i = 0; i < 11; i++) {
        client_send(fds[i], STR("bye\r\n"));
        client_expect_eof(fds[i]);
        (void)close(fds[i]);
    }
    for (unsigned i = 0; i < 11; i++)
        eventually(atomic_load(&released[i]) == 1);
    assert_int_equal(atomic_load(&released[11]), 0);
    (void)close(socket);
    loopback_stop(&l, 10000);
    assert_int_equal(atomic_load(&released[11]), 1);
    (void)close(fds[11]);
}

static void tick(void *ctx)
{
    atomic_fetch_add((atomic_uint *)ctx, 1);
}

static void periodic_work(void **state)
{
    struct loopback l;
    atomic_uint ticks = 0, rare = 0;
    loopback_init(&l, &small, NULL, false);
    server_every(l.server, 1, tick, &ticks);
    server_every(l.server, 1000000, tick, &rare);
    loopback_run(&l);
    eventually(atomic_load(&ticks) >= 5);
    assert_int_equal(atomic_load(&rare), 0);
    loopback_stop(&l, 10000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(echoes),
        cmocka_unit_test(addresses),
        cmocka_unit_test(drains_piece_by_piece),
        cmocka_unit_test(slow_peers_cost_no_threads),
        cmocka_unit_test(no_wakeup_is_lost),
        cmocka_unit_test(the_pool_grows_when_all_block),
        cmocka_unit_test(deadlines_fire),
        cmocka_unit_test(shutdown_tells_everyone),
        cmocka_unit_test(the_grace_ends),
        cmocka_unit_test(a_server_that_never_ran_is_freed),
        cmocka_unit_test(chaos),
        cmocka_unit_test(a_full_server_says_so),
        cmocka_unit_test(who_is_busy_lets_others_have_their_turn),
        cmocka_unit_test(access_decides_who_is_served),
        cmocka_unit_test(no_descriptors_left),
        cmocka_unit_test(descriptors_are_counted),
        cmocka_unit_test(a_socket_passes_from_listener_to_listener),
        cmocka_unit_test(periodic_work),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
