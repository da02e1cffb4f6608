/* access: see access.h. */
#include "run/access.h"

#include <stdatomic.h>

struct access_block {
    struct access access; /* first: a struct access is one of these */
    atomic_uint refs;
};

static struct access_block *block_of(const struct access *a)
{
    return (struct access_block *)(uintptr_t)a;
}

static struct ip_networks copy(struct ip_networks from)
{
    struct ip_network *list = calloc(from.n ? from.n : 1, sizeof *list);
    if (!list)
        panic("out of memory for %zu networks", from.n);
    if (from.n)
        memcpy(list, from.list, from.n * sizeof *list);
    return (struct ip_networks){ list, from.n };
}

/* Every list that an access owns. */
#define LISTS(a)                                                                                                                 \
    {                                                                                                                            \
        &(a)->served, &(a)->proxies, &(a)->overrides, &(a)->limits.exempt                                                        \
    }

const struct access *access_new(const struct access *settings)
{
    struct access_block *b = calloc(1, sizeof *b);
    if (!b)
        panic("out of memory for an access");
    b->access = *settings;
    atomic_init(&b->refs, 1);
    struct ip_networks *const lists[] = LISTS(&b->access);
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++)
        *lists[i] = copy(*lists[i]);
    return &b->access;
}

const struct access *access_ref(const struct access *a)
{
    atomic_fetch_add(&block_of(a)->refs, 1);
    return a;
}

void access_unref(const struct access *a)
{
    if (!a || atomic_fetch_sub(&block_of(a)->refs, 1) != 1)
        return;
    struct access_block *b = block_of(a);
    struct ip_networks *const lists[] = LISTS(&b->access);
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++)
        free((void *)(uintptr_t)lists[i]->list);
    free(b);
}
