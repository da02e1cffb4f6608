/* spool: see spool.h. */
#include "role/spool.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/count.h"
#include "base/id.h"
#include "base/log.h"
#include "run/descriptors.h"

struct spool_file {
    int fd; /* ours: another open file than the peer's */
    unsigned peer, copiers;
    uint64_t max;
    int64_t handed_ms; /* 0: not handed in */
    bool emptied;
};

/* The lock is held over calls that do not wait for a peer, not over copies. */
struct spool {
    struct spool_settings settings;
    pthread_mutex_t lock;
    struct spool_file files[SPOOL_ALL_MAX];
    size_t n;
    uint64_t copying; /* bytes of copies under way */
};

struct spool *spool_new(const struct spool_settings *settings)
{
    struct spool *s = calloc(1, sizeof *s);
    if (!s)
        panic("out of memory for the spool");
    s->settings = *settings;
    pthread_mutex_init(&s->lock, NULL);
    return s;
}

void spool_free(struct spool *s)
{
    if (!s)
        return;
    for (size_t i = 0; i < s->n; i++)
        (void)close(s->files[i].fd);
    pthread_mutex_destroy(&s->lock);
    free(s);
}

/* What F's holder can still take. */
static uint64_t left_of(const struct spool_file *f)
{
    struct stat st;
    uint64_t used = fstat(f->fd, &st) == 0 && st.st_blocks > 0 ? (uint64_t)st.st_blocks * 512 : 0;
    return used < f->max ? f->max - used : 0;
}

/* Locked. */
static uint64_t count(struct spool *s)
{
    uint64_t claimed = s->copying;
    for (size_t i = 0; i < s->n; i++)
        claimed += left_of(&s->files[i]);
    atomic_store(s->settings.claimed, claimed);
    return claimed;
}

/* Locked. */
static bool has_room(struct spool *s, uint64_t bytes)
{
    uint64_t free_bytes = 0, reserve = 0, claimed = count(s);
    s->settings.space(s->settings.ctx, &free_bytes, &reserve);
    uint64_t kept = claimed + 2 * reserve;
    return free_bytes > kept && free_bytes - kept >= bytes;
}

/* Whether nobody else has the file open any more. */
static bool is_abandoned(const struct spool_file *f)
{
    return f->copiers == 0 && flock(f->fd, LOCK_EX | LOCK_NB) == 0;
}

/* Locked. */
static void let_go(struct spool *s, int64_t now_ms)
{
    for (size_t i = s->n; i-- > 0;) {
        struct spool_file *f = &s->files[i];
        if (is_abandoned(f)) {
            (void)close(f->fd);
            *f = s->files[--s->n];
        } else if (f->handed_ms && f->copiers == 0 && now_ms - f->handed_ms > SPOOL_LINGER_MS) {
            if (!f->emptied)
                log_warning("spool-held", LOG_NUM("peer", f->peer),
                            LOG_Z("text", "a message was handed in long ago and its file is still held"));
            f->emptied = true;
            (void)!ftruncate(f->fd, 0);
        }
    }
}

void spool_tend(struct spool *s, int64_t now_ms)
{
    pthread_mutex_lock(&s->lock);
    let_go(s, now_ms);
    (void)count(s);
    pthread_mutex_unlock(&s->lock);
}

/* Opens the same file twice: the peer's open file in *RET_PEERS, with its lock, and ours. It has a name only in between. */
static int make_file(int dir, int *ret_peers, struct error *e)
{
    char name[64];
    struct id id = id_new();
    (void)snprintf(name, sizeof name, "mx-%s", id.text);
    int own = openat(dir, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (own < 0)
        return error_set(e, err_from_errno(errno), "no spool file: %s", strerrordesc_np(errno));
    own = descriptors_spare(own);
    if (own < 0) {
        (void)unlinkat(dir, name, 0);
        return error_set(e, own, "there are no descriptors for another spool file; try again");
    }
    int peers = openat(dir, name, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
    int code = peers < 0 || flock(peers, LOCK_EX | LOCK_NB) != 0 ? errno : 0;
    if (unlinkat(dir, name, 0) != 0 && code == 0)
        code = errno;
    if (code) {
        (void)close(own);
        if (peers >= 0)
            (void)close(peers);
        return error_set(e, err_from_errno(code), "no spool file: %s", strerrordesc_np(code));
    }
    *ret_peers = peers;
    return own;
}

int spool_open(struct spool *s, unsigned peer, uint64_t max, struct error *e)
{
    int peers = -1;
    size_t has = 0;
    pthread_mutex_lock(&s->lock);
    let_go(s, 0);
    for (size_t i = 0; i < s->n; i++)
        has += s->files[i].peer == peer;
    int fd;
    if (has >= SPOOL_FILES_MAX || s->n >= SPOOL_ALL_MAX)
        fd = error_set(e, ERR_UNAVAILABLE, "%s open; try again", COUNT(has, "spool file is", "spool files are"));
    else if (!has_room(s, max))
        fd =
            error_set(e, ERR_FULL, "there is no room for a spool file of %llu bytes beside the reserve", (unsigned long long)max);
    else
        fd = make_file(s->settings.dir, &peers, e);
    if (fd >= 0) {
        s->files[s->n++] = (struct spool_file){ .fd = fd, .peer = peer, .max = max };
        (void)count(s);
    }
    pthread_mutex_unlock(&s->lock);
    return fd < 0 ? fd : peers;
}

/* Locked. The file of PEER that FD is. */
static struct spool_file *find(struct spool *s, unsigned peer, int fd)
{
    struct stat want, st;
    if (fstat(fd, &want) != 0)
        return NULL;
    for (size_t i = 0; i < s->n; i++)
        if (s->files[i].peer == peer && fstat(s->files[i].fd, &st) == 0 && st.st_ino == want.st_ino && st.st_dev == want.st_dev)
            return &s->files[i];
    return NULL;
}

static int copy_file(const struct spool *s, int from, uint64_t n, int *ret, struct error *e)
{
    int to = openat(s->settings.dir, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (to < 0)
        return error_set(e, err_from_errno(errno), "no spool file: %s", strerrordesc_np(errno));
    off_t at = 0;
    while ((uint64_t)at < n) {
        ssize_t got = copy_file_range(from, &at, to, NULL, (size_t)(n - (uint64_t)at), 0);
        if (got <= 0) {
            int err = error_set(e, got == 0 ? ERR_CORRUPT : err_from_errno(errno), "the spool file cannot be copied");
            (void)close(to);
            return err;
        }
    }
    *ret = to;
    return 0;
}

int spool_take(struct spool *s, unsigned peer, int fd, uint64_t max, int64_t now_ms, int *ret, struct error *e)
{
    struct stat st = { 0 };
    int from = -1, err = 0;
    pthread_mutex_lock(&s->lock);
    struct spool_file *f = find(s, peer, fd);
    if (!f || f->emptied || fstat(f->fd, &st) != 0 || st.st_size < 0 || (uint64_t)st.st_size > max)
        err = error_set(e, ERR_CORRUPT, "the spool file is not one of ours or too large");
    else if (!has_room(s, (uint64_t)st.st_size))
        err = error_set(e, ERR_FULL, "there is no room to copy a spool file of %lld bytes", (long long)st.st_size);
    if (err == 0) {
        from = f->fd;
        f->copiers++;
        s->copying += (uint64_t)st.st_size;
        (void)count(s);
    }
    pthread_mutex_unlock(&s->lock);
    if (err)
        return err;
    err = copy_file(s, from, (uint64_t)st.st_size, ret, e);
    pthread_mutex_lock(&s->lock);
    /* Nobody let go of it meanwhile; others may have moved. */
    for (size_t i = 0; i < s->n; i++)
        if (s->files[i].fd == from) {
            s->files[i].copiers--;
            s->files[i].handed_ms = now_ms ? now_ms : 1;
        }
    s->copying -= (uint64_t)st.st_size;
    (void)count(s);
    pthread_mutex_unlock(&s->lock);
    return err;
}
