/* tar: see tar.h. */
#include "cli/tar.h"

#include "base/clock.h"

enum { BLOCK = 512 };

/* As it lies in the stream: text fields, numbers in octal. */
struct header {
    char name[100], mode[8], uid[8], gid[8], size[12], mtime[12], sum[8], type, link[100], magic[6], version[2], user[32],
        group[32], devices[16], prefix[155], pad[12];
};
_Static_assert(sizeof(struct header) == BLOCK, "a tar header is one block");

static int write_all(int fd, str s, struct error *e)
{
    return beneath_write_open(fd, "standard output", s, e);
}

static void put_size(char to[12], uint64_t size)
{
    if (size < (uint64_t)1 << 33) {
        char text[16];
        (void)snprintf(text, sizeof text, "%011llo", (unsigned long long)size);
        memcpy(to, text, 12);
        return;
    }
    for (int i = 11; i > 0; i--, size >>= 8)
        to[i] = (char)(size & 0xff);
    to[0] = (char)0x80;
}

static int write_header(int fd, const char *path, mode_t mode, uint64_t size, int64_t mtime, struct error *e)
{
    union {
        struct header h;
        unsigned char b[BLOCK];
    } u = { .h = { .type = '0', .magic = "ustar", .version = { '0', '0' } } };
    unsigned sum = 8 * ' ';
    if (strlen(path) > sizeof u.h.name)
        return error_set(e, ERR_LIMIT, "%s: too long a path for tar", path);
    memcpy(u.h.name, path, strlen(path));
    (void)snprintf(u.h.mode, sizeof u.h.mode, "%07o", (unsigned)mode & 0777);
    (void)snprintf(u.h.uid, sizeof u.h.uid, "%07o", 0U);
    (void)snprintf(u.h.gid, sizeof u.h.gid, "%07o", 0U);
    (void)snprintf(u.h.mtime, sizeof u.h.mtime, "%011llo", (unsigned long long)(mtime > 0 ? mtime : 0) & 077777777777ULL);
    put_size(u.h.size, size);
    for (size_t i = 0; i < BLOCK; i++)
        sum += u.b[i];
    (void)snprintf(u.h.sum, sizeof u.h.sum, "%06o", sum);
    u.h.sum[7] = ' ';
    return write_all(fd, (str){ (const char *)u.b, BLOCK }, e);
}

static int write_padding(int fd, uint64_t size, struct error *e)
{
    static const char zeros[BLOCK];
    return write_all(fd, (str){ zeros, (BLOCK - size % BLOCK) % BLOCK }, e);
}

static int to_stream(void *ctx, str bytes, struct error *e)
{
    return write_all(*(const int *)ctx, bytes, e);
}

int tar_add(int fd, const char *root, int from, struct tree_file *file, struct error *e)
{
    char path[TREE_PATH_MAX + 64];
    uint64_t size = 0;
    (void)snprintf(path, sizeof path, "%s/files/%s", root, file->path);
    int err = write_header(fd, path, file->mode, file->size, file->mtime_ns / 1000000000, e);
    if (err == 0)
        err = tree_read(from, file->path, to_stream, &fd, &size, file->sum, e);
    if (err == 0 && size != file->size)
        err = error_set(e, ERR_CONFLICT, "%s changed while it was read; run the backup again", file->path);
    return err ? err : write_padding(fd, size, e);
}

int tar_add_text(int fd, const char *root, const char *name, str text, struct error *e)
{
    char path[TREE_PATH_MAX];
    (void)snprintf(path, sizeof path, "%s/%s", root, name);
    int err = write_header(fd, path, 0600, text.n, clock_real_ms() / 1000, e);
    if (err == 0)
        err = write_all(fd, text, e);
    return err ? err : write_padding(fd, text.n, e);
}

int tar_begin(int fd, const char *root, const char *name, mode_t mode, uint64_t size, struct error *e)
{
    char path[TREE_PATH_MAX + 64];
    (void)snprintf(path, sizeof path, "%s/%s", root, name);
    return write_header(fd, path, mode, size, clock_real_ms() / 1000, e);
}

int tar_pad(int fd, uint64_t size, struct error *e)
{
    return write_padding(fd, size, e);
}

int tar_end(int fd, struct error *e)
{
    static const char zeros[2 * BLOCK];
    return write_all(fd, (str){ zeros, sizeof zeros }, e);
}
