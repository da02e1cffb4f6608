/* map: see map.h. Open addressing with linear probing and backward-shift deletion. */
#include "base/map.h"

#include "base/random.h"

struct map_slot {
    char *key;
    size_t key_n;
    void *value; /* NULL: empty slot */
};

void map_init(struct map *m)
{
    *m = (struct map){ .seed = random_u64() };
}

void map_done(struct map *m)
{
    for (size_t i = 0; i < m->cap; i++)
        free(m->slots[i].key);
    free(m->slots);
    *m = (struct map){ .seed = m->seed };
}

static size_t home_of(const struct map *m, str key)
{
    return (size_t)str_hash(key, m->seed) & (m->cap - 1);
}

/* The slot of KEY, or the empty slot where it belongs. The table is never full. */
static size_t slot_of(const struct map *m, str key)
{
    size_t i = home_of(m, key);
    while (m->slots[i].value && !str_eq(key, (str){ m->slots[i].key, m->slots[i].key_n }))
        i = (i + 1) & (m->cap - 1);
    return i;
}

void *map_get(const struct map *m, str key)
{
    return m->cap ? m->slots[slot_of(m, key)].value : NULL;
}

static void grow(struct map *m)
{
    struct map old = *m;
    m->cap = old.cap ? old.cap * 2 : 16;
    m->slots = calloc(m->cap, sizeof *m->slots);
    if (!m->slots)
        panic("out of memory for a map of %zu slots", m->cap);
    for (size_t i = 0; i < old.cap; i++)
        if (old.slots[i].value)
            m->slots[slot_of(m, (str){ old.slots[i].key, old.slots[i].key_n })] = old.slots[i];
    free(old.slots);
}

void *map_put(struct map *m, str key, void *value)
{
    require(value != NULL);
    if ((m->n + 1) * 4 > m->cap * 3)
        grow(m);
    struct map_slot *s = &m->slots[slot_of(m, key)];
    void *former = s->value;
    if (!former) {
        s->key = malloc(key.n ? key.n : 1);
        if (!s->key)
            panic("out of memory for a map key of %zu bytes", key.n);
        if (key.n)
            memcpy(s->key, key.p, key.n);
        s->key_n = key.n;
        m->n++;
    }
    s->value = value;
    return former;
}

void *map_remove(struct map *m, str key)
{
    if (!m->cap)
        return NULL;
    size_t i = slot_of(m, key);
    void *value = m->slots[i].value;
    if (!value)
        return NULL;
    free(m->slots[i].key);
    m->n--;
    size_t hole = i;
    for (size_t j = (i + 1) & (m->cap - 1); m->slots[j].value; j = (j + 1) & (m->cap - 1)) {
        size_t home = home_of(m, (str){ m->slots[j].key, m->slots[j].key_n });
        if (((j - home) & (m->cap - 1)) >= ((j - hole) & (m->cap - 1))) {
            m->slots[hole] = m->slots[j];
            hole = j;
        }
    }
    m->slots[hole] = (struct map_slot){ 0 };
    return value;
}

bool map_next(const struct map *m, size_t *iter, str *ret_key, void **ret_value)
{
    for (; *iter < m->cap; (*iter)++) {
        const struct map_slot *s = &m->slots[*iter];
        if (s->value) {
            *ret_key = (str){ s->key, s->key_n };
            *ret_value = s->value;
            (*iter)++;
            return true;
        }
    }
    return false;
}
