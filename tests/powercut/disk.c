/* disk: a disk that forgets, for power cuts on purpose.
 *
 *   disk FILE IMAGE      mounts itself over FILE, which then is a disk with the contents of IMAGE; root only
 *
 * It has a volatile cache like a real one: a write is kept apart until the next flush (fsync, which is what a loop device makes of a
 * flush), and only what was flushed is sure to survive. A flush takes as long as on real ones, so that whoever does not wait for it is
 * found out. Commands come by standard input, each is answered by one line:
 *
 *   cut SEED PATH        writes to PATH what would be on the disk if the power failed now: all that was flushed, and of each write
 *                        since then all, nothing, or some of its sectors, in whatever order. SEED says too whether now is at once or
 *                        in the middle of the next flush, when most is at stake
 *
 * The kernel's own protocol (linux/fuse.h) without a library; the root of the file system is the file itself, so that there is
 * nothing to look up. One thread: a cut falls between two requests. */
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum { FLUSH_MS = 5, FLUSH_WAIT_MS = 500, SECTOR = 512, WRITE_MAX = 1 << 20, REQUEST_MAX = WRITE_MAX + 65536 };

struct write {
    uint64_t at;
    size_t n;
    char *bytes;
};

static struct {
    int fuse;
    uint64_t size;
    char *now;    /* what a read gets */
    char *stable; /* what was flushed */
    struct write *pending;
    size_t pending_n, pending_cap;
    char cut_to[4096]; /* where the next flush leaves the image of a cut; empty: no cut is due */
} disk;

static _Noreturn void die(const char *what)
{
    perror(what);
    exit(1);
}

/* --- the cache --- */

static void disk_write(uint64_t at, const char *bytes, size_t n)
{
    if (disk.pending_n == disk.pending_cap) {
        disk.pending_cap = disk.pending_cap ? disk.pending_cap * 2 : 1024;
        disk.pending = reallocarray(disk.pending, disk.pending_cap, sizeof *disk.pending);
        if (!disk.pending)
            die("disk: pending writes");
    }
    struct write w = { at, n, malloc(n + 1) };
    if (!w.bytes)
        die("disk: a write");
    memcpy(w.bytes, bytes, n);
    memcpy(disk.now + at, bytes, n);
    disk.pending[disk.pending_n++] = w;
}

static void disk_flush(void)
{
    for (size_t i = 0; i < disk.pending_n; i++) {
        memcpy(disk.stable + disk.pending[i].at, disk.pending[i].bytes, disk.pending[i].n);
        free(disk.pending[i].bytes);
    }
    disk.pending_n = 0;
}

static uint64_t seed;

static uint64_t pick(uint64_t bound)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (seed >> 11) % bound;
}

/* What is left of W. All sectors of it have the same chance, or those before one of them. */
static void lose(char *image, const struct write *w, size_t *ret_kept, size_t *ret_torn)
{
    uint64_t fate = pick(4), sectors = (w->n + SECTOR - 1) / SECTOR, until = pick(sectors + 1);
    if (fate == 0)
        return;
    ++*(fate == 1 ? ret_kept : ret_torn);
    for (uint64_t i = 0; i < sectors; i++) {
        if (fate == 2 ? i >= until : fate == 3 && pick(2))
            continue;
        size_t from = i * SECTOR, n = w->n - from < SECTOR ? w->n - from : SECTOR;
        memcpy(image + w->at + from, w->bytes + from, n);
    }
}

/* Every second seed loses all that was not flushed, which a disk does most often; the others keep a part. */
static void disk_cut(const char *path)
{
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0 || ftruncate(fd, (off_t)disk.size) < 0)
        die(path);
    char *image = mmap(NULL, disk.size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (image == MAP_FAILED)
        die(path);
    static const char zeros[4096];
    for (uint64_t at = 0; at < disk.size; at += sizeof zeros)
        if (memcmp(disk.stable + at, zeros, sizeof zeros) != 0)
            memcpy(image + at, disk.stable + at, sizeof zeros);
    size_t kept = 0, torn = 0;
    bool all = seed & 1;
    for (size_t i = 0; i < disk.pending_n && !all; i++)
        lose(image, &disk.pending[i], &kept, &torn);
    munmap(image, disk.size);
    close(fd);
    printf("%zu writes since the last flush: %zu kept, %zu torn\n", disk.pending_n, kept, torn);
    fflush(stdout);
}

static void disk_cut_due(void)
{
    if (*disk.cut_to)
        disk_cut(disk.cut_to);
    *disk.cut_to = 0;
}

/* --- requests of the kernel --- */

static void reply(uint64_t unique, int error, const void *body, size_t n)
{
    struct fuse_out_header h = { .len = (uint32_t)(sizeof h + n), .error = -error, .unique = unique };
    struct iovec v[2] = { { &h, sizeof h }, { (void *)(uintptr_t)body, n } };
    if (writev(disk.fuse, v, n ? 2 : 1) < 0 && errno != ENOENT)
        die("disk: reply");
}

static void reply_init(uint64_t unique, const struct fuse_init_in *in)
{
    struct fuse_init_out out = { .major = FUSE_KERNEL_VERSION,
                                 .minor = FUSE_KERNEL_MINOR_VERSION,
                                 .max_readahead = in->max_readahead,
                                 .flags = in->flags & (FUSE_BIG_WRITES | FUSE_MAX_PAGES),
                                 .max_background = 64,
                                 .congestion_threshold = 48,
                                 .max_write = WRITE_MAX,
                                 .max_pages = WRITE_MAX / 4096 };
    reply(unique, 0, &out, sizeof out);
}

static void reply_attributes(uint64_t unique)
{
    struct fuse_attr_out out = { .attr = { .ino = FUSE_ROOT_ID,
                                           .size = disk.size,
                                           .blocks = disk.size / 512,
                                           .mode = S_IFREG | 0600,
                                           .nlink = 1,
                                           .blksize = 4096 } };
    reply(unique, 0, &out, sizeof out);
}

static void answer_write(uint64_t unique, const struct fuse_write_in *in)
{
    if (in->offset > disk.size || in->size > disk.size - in->offset) {
        reply(unique, EFBIG, NULL, 0);
        return;
    }
    disk_write(in->offset, (const char *)(in + 1), in->size);
    struct fuse_write_out out = { .size = in->size };
    reply(unique, 0, &out, sizeof out);
}

static void answer_read(uint64_t unique, const struct fuse_read_in *in)
{
    uint64_t at = in->offset < disk.size ? in->offset : disk.size;
    uint64_t n = in->size < disk.size - at ? in->size : disk.size - at;
    reply(unique, 0, disk.now + at, n);
}

static void answer(const struct fuse_in_header *h)
{
    const void *in = h + 1;
    switch (h->opcode) {
    case FUSE_INIT:
        reply_init(h->unique, in);
        break;
    case FUSE_GETATTR:
    case FUSE_SETATTR:
        reply_attributes(h->unique);
        break;
    case FUSE_OPEN:
        reply(h->unique, 0, &(struct fuse_open_out){ .open_flags = FOPEN_DIRECT_IO }, sizeof(struct fuse_open_out));
        break;
    case FUSE_READ:
        answer_read(h->unique, in);
        break;
    case FUSE_WRITE:
        answer_write(h->unique, in);
        break;
    case FUSE_FSYNC:
        usleep(FLUSH_MS * 1000);
        disk_cut_due();
        disk_flush();
        reply(h->unique, 0, NULL, 0);
        break;
    case FUSE_FLUSH:
    case FUSE_RELEASE:
        reply(h->unique, 0, NULL, 0);
        break;
    case FUSE_FORGET:
    case FUSE_BATCH_FORGET:
    case FUSE_INTERRUPT:
        break; /* no answer is expected */
    default:
        reply(h->unique, ENOSYS, NULL, 0);
    }
}

/* --- setting up --- */

static char *empty(void)
{
    char *p = mmap(NULL, disk.size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED)
        die("disk: memory");
    return p;
}

static void load(const char *path)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) < 0)
        die(path);
    disk.size = (uint64_t)st.st_size & ~(uint64_t)4095;
    disk.now = empty();
    disk.stable = empty();
    for (off_t at = 0; (at = lseek(fd, at, SEEK_DATA)) >= 0 && (uint64_t)at < disk.size;) {
        off_t end = lseek(fd, at, SEEK_HOLE);
        while (at < end && (uint64_t)at < disk.size) {
            ssize_t n = pread(fd, disk.stable + at, (size_t)(end - at), at);
            if (n <= 0)
                die(path);
            memcpy(disk.now + at, disk.stable + at, (size_t)n);
            at += n;
        }
    }
    close(fd);
}

static void mount_over(const char *path)
{
    char options[128];
    disk.fuse = open("/dev/fuse", O_RDWR | O_CLOEXEC);
    if (disk.fuse < 0)
        die("/dev/fuse");
    (void)snprintf(options, sizeof options, "fd=%d,rootmode=100000,user_id=0,group_id=0", disk.fuse);
    if (mount("valise-disk", path, "fuse", MS_NOSUID | MS_NODEV, options) < 0)
        die(path);
}

/* False at the end of the input. */
static bool command(void)
{
    char line[4096];
    if (!fgets(line, sizeof line, stdin))
        return false;
    char *end;
    line[strcspn(line, "\n")] = 0;
    if (strncmp(line, "cut ", 4) != 0 || (seed = strtoull(line + 4, &end, 10)) == 0 || *end != ' ') {
        printf("unknown command\n");
        fflush(stdout);
        return true;
    }
    (void)snprintf(disk.cut_to, sizeof disk.cut_to, "%s", end + 1);
    if (seed & 2)
        disk_cut_due();
    return true;
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        (void)fprintf(stderr, "usage: disk FILE IMAGE\n");
        return 64;
    }
    static _Alignas(8) char request[REQUEST_MAX];
    load(argv[2]);
    mount_over(argv[1]);
    setvbuf(stdin, NULL, _IONBF, 0); /* so that poll sees what fgets would */
    struct pollfd fds[2] = { { disk.fuse, POLLIN, 0 }, { STDIN_FILENO, POLLIN, 0 } };
    for (bool told = false;;) {
        if (!told)
            printf("ready\n"), fflush(stdout);
        told = true;
        int n_ready = poll(fds, 2, *disk.cut_to ? FLUSH_WAIT_MS : -1);
        if (n_ready < 0 && errno != EINTR)
            die("disk: poll");
        if (n_ready == 0)
            disk_cut_due();
        if (fds[0].revents) {
            ssize_t n = read(disk.fuse, request, sizeof request);
            if (n < 0 && errno == ENODEV)
                return 0; /* unmounted */
            if (n < 0 && errno != EINTR && errno != EAGAIN && errno != ENOENT)
                die("disk: request");
            if (n > 0)
                answer((const struct fuse_in_header *)request);
        }
        if (fds[1].revents && !command())
            fds[1].fd = -1;
    }
}
