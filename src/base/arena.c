/* arena: see arena.h. Chunks double from 1 KiB up to 64 KiB; a larger request gets a chunk of its own. */
#include "base/arena.h"

#include <stdarg.h>
#include <stdalign.h>

#include "base/buf.h"

enum { CHUNK_MIN = 1024, CHUNK_MAX = 65536, ALIGN = alignof(max_align_t) };

struct arena_chunk {
    struct arena_chunk *next;
    size_t cap, n;
    alignas(ALIGN) char bytes[];
};

void arena_init(struct arena *a, size_t quota)
{
    *a = (struct arena){ .quota = quota };
}

void arena_done(struct arena *a)
{
    arena_reset(a);
}

void arena_reset(struct arena *a)
{
    while (a->chunks) {
        struct arena_chunk *next = a->chunks->next;
        secret_wipe(a->chunks->bytes, a->chunks->n);
        free(a->chunks);
        a->chunks = next;
    }
    if (a->lent_n)
        secret_wipe(a->lent, a->lent_n);
    a->lent_n = 0;
    a->used = 0;
}

static struct arena_chunk *chunk_with_room(struct arena *a, size_t n)
{
    struct arena_chunk *c = a->chunks;
    if (c && c->cap - c->n >= n)
        return c;
    size_t cap = c ? c->cap * 2 : CHUNK_MIN;
    if (cap > CHUNK_MAX)
        cap = CHUNK_MAX;
    if (cap < n)
        cap = n;
    c = malloc(sizeof *c + cap);
    if (!c)
        panic("out of memory for an arena chunk of %zu bytes", cap);
    c->cap = cap;
    c->n = 0;
    c->next = a->chunks;
    a->chunks = c;
    return c;
}

void *arena_alloc(struct arena *a, size_t n)
{
    if (n > SIZE_MAX - ALIGN)
        return NULL;
    n = n ? (n + ALIGN - 1) & ~(size_t)(ALIGN - 1) : ALIGN;
    if (n > a->quota || a->used > a->quota - n)
        return NULL;
    void *p;
    if (!a->chunks && n <= a->lent_cap - a->lent_n) {
        p = a->lent + a->lent_n;
        a->lent_n += n;
    } else {
        struct arena_chunk *c = chunk_with_room(a, n);
        p = c->bytes + c->n;
        c->n += n;
    }
    a->used += n;
    return memset(p, 0, n);
}

void *arena_array(struct arena *a, size_t count, size_t size)
{
    size_t n;
    if (__builtin_mul_overflow(count, size, &n))
        return NULL;
    return arena_alloc(a, n);
}

int arena_dup(struct arena *a, str s, str *ret)
{
    char *p = arena_alloc(a, s.n);
    if (!p)
        return ERR_LIMIT;
    if (s.n)
        memcpy(p, s.p, s.n);
    *ret = (str){ p, s.n };
    return 0;
}

char *arena_z(struct arena *a, str s)
{
    if (s.n && memchr(s.p, 0, s.n))
        return NULL;
    char *p = s.n == SIZE_MAX ? NULL : arena_alloc(a, s.n + 1);
    if (p && s.n)
        memcpy(p, s.p, s.n);
    return p;
}

int arena_printf(struct arena *a, str *ret, const char *fmt, ...)
{
    va_list ap, again;
    va_start(ap, fmt);
    va_copy(again, ap);
    int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    require(n >= 0);
    char *p = arena_alloc(a, (size_t)n + 1);
    if (p)
        (void)vsnprintf(p, (size_t)n + 1, fmt, again);
    va_end(again);
    if (!p)
        return ERR_LIMIT;
    *ret = (str){ p, (size_t)n };
    return 0;
}
