/* engine_reader: who may still know the name of a blob that nothing links any more (E6).
 *
 * A fence is a number drawn after a blob was condemned. A reader keeps the number that was current when it began, read under the lock under which it
 * is found: who looks for readers up to a fence after drawing it either finds a reader, or the reader began behind the fence, and then what it reads
 * no longer names the blob. */
#include "store/engine_private.h"

struct engine_reader {
    struct engine_reader *prev, *next;
    struct engine *g;
    engine_part part;
    uint64_t since;
};

static struct engine_reader_bucket *bucket_of(struct engine *g, engine_part part)
{
    return &g->readers[str_hash((str){ (const char *)part.b, sizeof part.b }, 0) % ENGINE_READER_BUCKETS];
}

void engine_readers_init(struct engine *g)
{
    atomic_init(&g->fence, 1);
    for (size_t i = 0; i < ENGINE_READER_BUCKETS; i++) {
        g->readers[i].first = NULL;
        pthread_mutex_init(&g->readers[i].lock, NULL);
    }
}

void engine_readers_done(struct engine *g)
{
    for (size_t i = 0; i < ENGINE_READER_BUCKETS; i++)
        pthread_mutex_destroy(&g->readers[i].lock);
}

/* A reader of what is there since SINCE; 0 stands for the present moment. */
static struct engine_reader *reader_new(struct engine *g, engine_part part, uint64_t since)
{
    struct engine_reader *r = malloc(sizeof *r);
    if (!r)
        panic("out of memory for a reader");
    struct engine_reader_bucket *bucket = bucket_of(g, part);
    pthread_mutex_lock(&bucket->lock);
    *r = (struct engine_reader){ .g = g, .part = part, .since = since ? since : atomic_load(&g->fence), .next = bucket->first };
    if (r->next)
        r->next->prev = r;
    bucket->first = r;
    pthread_mutex_unlock(&bucket->lock);
    return r;
}

struct engine_reader *engine_read_begin(struct engine *g, engine_part part)
{
    return reader_new(g, part, 0);
}

struct engine_reader *engine_read_on(const struct engine_reader *r)
{
    return reader_new(r->g, r->part, r->since);
}

void engine_read_end(struct engine_reader *r)
{
    if (!r)
        return;
    struct engine_reader_bucket *bucket = bucket_of(r->g, r->part);
    pthread_mutex_lock(&bucket->lock);
    if (r->next)
        r->next->prev = r->prev;
    if (r->prev)
        r->prev->next = r->next;
    else
        bucket->first = r->next;
    pthread_mutex_unlock(&bucket->lock);
    free(r);
}

uint64_t engine_fence(struct engine *g)
{
    return atomic_fetch_add(&g->fence, 1);
}

bool engine_read_before(struct engine *g, engine_part part, uint64_t fence)
{
    bool found = false;
    struct engine_reader_bucket *bucket = bucket_of(g, part);
    pthread_mutex_lock(&bucket->lock);
    for (const struct engine_reader *r = bucket->first; r && !found; r = r->next)
        found = r->since <= fence && !memcmp(r->part.b, part.b, sizeof part.b);
    pthread_mutex_unlock(&bucket->lock);
    return found;
}
