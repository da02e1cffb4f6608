/* log_pump: see log_pump.h. */
#include "run/log_pump.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"

/* ROOM holds the longest line of base/log.h four times; PIPE_BYTES are about a thousand lines. */
enum { ROOM = 16384, PIPE_BYTES = 1 << 18, EVENTS = 16, STALL_MS = 1000 };

/* One pipe. */
struct source {
    struct source *next, **at;
    int fd;
    size_t n;
    char text[ROOM]; /* what has come of a line that has not ended */
};

struct log_pump {
    pthread_t thread;
    pthread_mutex_t lock; /* guards the list */
    struct source *first;
    int to, epoll, stop;
    atomic_int_fast64_t until_ms; /* when to end at the latest; 0: not yet */
    uint64_t lost;                /* lines; the thread's own, as the next */
    bool torn;                    /* the log ends within a line */
};

/* --- the log --- */

/* Writes all of BYTES, or as much as the log takes. */
static size_t write_some(const struct log_pump *p, str bytes)
{
    size_t done = 0;
    while (done < bytes.n) {
        ssize_t n = write(p->to, bytes.p + done, bytes.n - done);
        struct pollfd room = { .fd = p->to, .events = POLLOUT };
        if (n > 0)
            done += (size_t)n;
        else if (n == 0 || (errno != EINTR && (errno != EAGAIN || poll(&room, 1, STALL_MS) <= 0)))
            break;
    }
    return done;
}

static uint64_t lines_of(str bytes)
{
    uint64_t n = 0;
    for (size_t i = 0; i < bytes.n; i++)
        n += bytes.p[i] == '\n';
    return n;
}

static bool write_whole(struct log_pump *p, str bytes)
{
    size_t done = write_some(p, bytes);
    if (done)
        p->torn = bytes.p[done - 1] != '\n';
    p->lost += lines_of(str_from(bytes, done));
    return done == bytes.n;
}

/* LINES are whole ones. */
static void write_lines(struct log_pump *p, str lines)
{
    if (p->torn && !write_whole(p, STR("\n"))) {
        p->lost += lines_of(lines) - 1; /* the end of the torn one counts as none */
        return;
    }
    if (p->lost) {
        struct buf b = BUF_INIT(LOG_LINE_MAX);
        uint64_t lost = p->lost;
        log_format(&b, LOG_WARNING, "log-lost",
                   (const struct log_field[]){ LOG_NUM("lines", lost), LOG_Z("text", "the log took nothing"), { .key = NULL } });
        p->lost = 0;
        bool told = write_whole(p, buf_str(&b));
        buf_done(&b);
        if (!told) {
            p->lost = lost + lines_of(lines);
            return;
        }
    }
    (void)write_whole(p, lines);
}

/* --- the pipes --- */

static void end_source(struct log_pump *p, struct source *s)
{
    (void)close(s->fd); /* it leaves the epoll set with that */
    pthread_mutex_lock(&p->lock);
    *s->at = s->next;
    if (s->next)
        s->next->at = s->at;
    pthread_mutex_unlock(&p->lock);
    free(s);
}

/* Copies what is whole; with ALL the rest, too, with an end. */
static void copy_lines(struct log_pump *p, struct source *s, bool all)
{
    str text = { s->text, s->n };
    size_t whole = str_rfind_byte(text, '\n');
    whole = whole < text.n ? whole + 1 : 0;
    if (whole == 0 && text.n && (all || text.n == ROOM - 1)) {
        s->text[s->n++] = '\n';
        text.n = whole = s->n;
    }
    if (whole)
        write_lines(p, str_sub(text, 0, whole));
    s->n -= whole;
    memmove(s->text, s->text + whole, s->n);
    if (all && s->n)
        copy_lines(p, s, true);
}

static void read_source(struct log_pump *p, struct source *s)
{
    ssize_t n = read(s->fd, s->text + s->n, ROOM - 1 - s->n);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    s->n += n > 0 ? (size_t)n : 0;
    copy_lines(p, s, n <= 0);
    if (n <= 0)
        end_source(p, s);
}

/* Until it is told to end; then as long as there is something, and time. */
static void *work(void *ctx)
{
    struct log_pump *p = ctx;
    struct epoll_event events[EVENTS];
    for (;;) {
        int64_t until = atomic_load(&p->until_ms);
        int n = epoll_wait(p->epoll, events, EVENTS, until ? 0 : -1), sources = 0;
        for (int i = 0; i < n; i++) {
            struct source *s = events[i].data.ptr;
            sources += s != NULL;
            if (s)
                read_source(p, s);
        }
        if (until && (sources == 0 || clock_mono_ms() >= until))
            return NULL;
    }
}

/* --- the caller's side --- */

static void free_pump(struct log_pump *p)
{
    while (p->first)
        end_source(p, p->first);
    if (p->epoll >= 0)
        (void)close(p->epoll);
    if (p->stop >= 0)
        (void)close(p->stop);
    pthread_mutex_destroy(&p->lock);
    free(p);
}

int log_pump_new(int to, struct log_pump **ret, struct error *e)
{
    struct log_pump *p = calloc(1, sizeof *p);
    if (!p)
        panic("out of memory for the log");
    p->to = to;
    p->epoll = epoll_create1(EPOLL_CLOEXEC);
    p->stop = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    pthread_mutex_init(&p->lock, NULL);
    struct epoll_event event = { .events = EPOLLIN, .data.ptr = NULL };
    int code = p->epoll < 0 || p->stop < 0 || epoll_ctl(p->epoll, EPOLL_CTL_ADD, p->stop, &event) != 0 ? errno : 0;
    if (code == 0)
        code = pthread_create(&p->thread, NULL, work, p);
    if (code == 0) {
        *ret = p;
        return 0;
    }
    free_pump(p);
    return error_set(e, ERR_INTERNAL, "the log cannot be written for the roles: %s", strerrordesc_np(code));
}

int log_pump_pipe(struct log_pump *p, struct error *e)
{
    int fds[2];
    struct source *s = calloc(1, sizeof *s);
    if (!s)
        panic("out of memory for the log");
    if (pipe2(fds, O_CLOEXEC | O_NONBLOCK) != 0) {
        free(s);
        return error_set(e, ERR_LIMIT, "a pipe for the log: %s", strerrordesc_np(errno));
    }
    (void)fcntl(fds[0], F_SETPIPE_SZ, PIPE_BYTES); /* where a user's pages are used up it is smaller */
    s->fd = fds[0];
    pthread_mutex_lock(&p->lock);
    s->next = p->first;
    s->at = &p->first;
    if (s->next)
        s->next->at = &s->next;
    p->first = s;
    pthread_mutex_unlock(&p->lock);
    struct epoll_event event = { .events = EPOLLIN, .data.ptr = s };
    if (epoll_ctl(p->epoll, EPOLL_CTL_ADD, s->fd, &event) == 0)
        return fds[1];
    int code = errno;
    end_source(p, s);
    (void)close(fds[1]);
    return error_set(e, ERR_LIMIT, "a pipe for the log: %s", strerrordesc_np(code));
}

void log_pump_free(struct log_pump *p, int64_t ms)
{
    uint64_t one = 1;
    struct timespec until;
    if (!p)
        return;
    atomic_store(&p->until_ms, clock_mono_ms() + ms);
    ssize_t told = write(p->stop, &one, sizeof one);
    (void)told;
    (void)clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += ms / 1000 + 2 * STALL_MS / 1000;
    if (pthread_timedjoin_np(p->thread, NULL, &until) == 0)
        free_pump(p);
    else
        (void)pthread_detach(p->thread);
}
