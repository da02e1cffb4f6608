/* engine_blob: names, chunks and checksums of blobs, the same for all engines.
 *
 * A name is class(1) | creation time in ms(6) | owner hash(4) | random(8) | size(5), all big-endian; the first 19 bytes, the stem, name
 * the chunks, and the size at the end spares every reader a manifest. A chunk is up to 1 MiB of bytes, then a CRC-32 for each piece of
 * 64 KiB (the last one may be shorter; an empty chunk has one empty piece), so that a small range does not cost summing all of the chunk. The chunk's key and
 * the piece's place are summed too: bytes that turn up in another's place are noticed. */
#include "store/engine_private.h"

#include <libdeflate.h>

#include "base/clock.h"
#include "base/random.h"

enum { CLASS_PRIVATE = 'p', CLASS_SHARED = 's', SIZE_BYTES = 24 - ENGINE_STEM, SUM = 4, ORPHAN_MS_MAX = 3600 * 1000 };
enum { CHUNK_MOST = ENGINE_CHUNK + ENGINE_CHUNK / ENGINE_PIECE * SUM };
#define SIZE_MAX_BLOB ((UINT64_C(1) << (8 * SIZE_BYTES)) - 1)

struct engine_blob_writer {
    struct engine *g;
    engine_part home; /* where the collector looks for its link: the owner, or the holder partition */
    engine_blob blob;
    uint64_t size;
    uint32_t chunks; /* written so far */
    int64_t due;     /* of its row in the journal; 0 when there is none */
    int error;
    char *p; /* the chunk being filled */
    size_t n, cap;
};

/* --- names --- */

void engine_put_be(uint8_t *p, size_t n, uint64_t v)
{
    while (n--) {
        p[n] = (uint8_t)v;
        v >>= 8;
    }
}

uint64_t engine_get_be(const uint8_t *p, size_t n)
{
    uint64_t v = 0;
    for (size_t i = 0; i < n; i++)
        v = v << 8 | p[i];
    return v;
}

static void put_owner(uint8_t p[4], engine_part part)
{
    engine_put_be(p, 4, libdeflate_crc32(0, part.b, sizeof part.b));
}

bool engine_blob_is_shared(const uint8_t *stem)
{
    return stem[0] == CLASS_SHARED;
}

bool engine_blob_linkable(const engine_blob *blob, engine_part part)
{
    uint8_t owner[4];
    put_owner(owner, part);
    return blob->b[0] == CLASS_SHARED || (blob->b[0] == CLASS_PRIVATE && !memcmp(blob->b + 7, owner, sizeof owner));
}

uint64_t engine_blob_bytes(const engine_blob *blob)
{
    return engine_get_be(blob->b + ENGINE_STEM, SIZE_BYTES);
}

uint32_t engine_blob_chunks(uint64_t size)
{
    return size ? (uint32_t)((size + ENGINE_CHUNK - 1) / ENGINE_CHUNK) : 1;
}

engine_part engine_blob_holders(const uint8_t *stem)
{
    engine_part part = { .b = { 'h', 's' } };
    memcpy(part.b + 2, stem + 1, 6); /* time and random: shared blobs have no owner */
    memcpy(part.b + 8, stem + 11, 8);
    return part;
}

void engine_chunk_key(const uint8_t *stem, uint32_t number, char ret[ENGINE_CHUNK_KEY])
{
    memcpy(ret, stem, ENGINE_STEM);
    engine_put_be((uint8_t *)ret + ENGINE_STEM, 4, number);
}

static size_t chunk_pieces(size_t size)
{
    return size ? (size + ENGINE_PIECE - 1) / ENGINE_PIECE : 1;
}

/* The checksum of piece I of the chunk KEY with these BYTES. */
static uint32_t piece_sum(str key, str bytes, size_t i)
{
    str piece = str_sub(bytes, i * ENGINE_PIECE, ENGINE_PIECE);
    const uint8_t place = (uint8_t)i;
    uint32_t sum = libdeflate_crc32(libdeflate_crc32(0, key.p, key.n), &place, 1);
    return piece.n ? libdeflate_crc32(sum, piece.p, piece.n) : sum;
}

int64_t engine_blob_made_ms(const uint8_t *stem)
{
    return (int64_t)engine_get_be(stem + 1, 6);
}

int64_t engine_orphan_ms(const struct engine *g)
{
    return g->grace_ms < ORPHAN_MS_MAX ? g->grace_ms : ORPHAN_MS_MAX;
}

/* --- write --- */

/* A new name, without the size. */
static engine_blob blob_name(uint8_t class, const engine_part *owner)
{
    engine_blob blob = { .b = { class } };
    engine_put_be(blob.b + 1, 6, (uint64_t)clock_real_ms());
    if (owner)
        put_owner(blob.b + 7, *owner);
    random_bytes(blob.b + 11, 8);
    return blob;
}

static struct engine_blob_writer *writer_new(struct engine *g, uint8_t class, const engine_part *owner)
{
    struct engine_blob_writer *w = calloc(1, sizeof *w);
    if (!w)
        panic("out of memory for a blob writer");
    w->g = g;
    w->blob = blob_name(class, owner);
    w->home = owner ? *owner : engine_blob_holders(w->blob.b);
    return w;
}

struct engine_blob_writer *engine_blob_new(struct engine *g, engine_part owner)
{
    return writer_new(g, CLASS_PRIVATE, &owner);
}

struct engine_blob_writer *engine_blob_new_shared(struct engine *g)
{
    return writer_new(g, CLASS_SHARED, NULL);
}

static void writer_room(struct engine_blob_writer *w, size_t more)
{
    size_t need = w->n + more, cap = w->cap ? w->cap : 4096;
    while (cap < need)
        cap *= 2;
    if (cap > CHUNK_MOST)
        cap = CHUNK_MOST;
    if (cap == w->cap)
        return;
    w->p = realloc(w->p, cap);
    if (!w->p)
        panic("out of memory for a blob chunk of %zu bytes", cap);
    w->cap = cap;
}

/* Writes the checksums of the chunk KEY, whose N bytes are at P, behind them. */
static void put_sums(str key, char *p, size_t n)
{
    for (size_t i = 0; i < chunk_pieces(n); i++)
        engine_put_be((uint8_t *)p + n + i * SUM, SUM, piece_sum(key, (str){ p, n }, i));
}

/* Writes the chunk together with its row in the journal, which replaces the row of the chunk before: whenever we stop, the collector
 * knows of every chunk there is, and looks at them only when the last one is old. */
static int writer_chunk(struct engine_blob_writer *w)
{
    char key[ENGINE_CHUNK_KEY];
    engine_chunk_key(w->blob.b, w->chunks, key);
    size_t pieces = chunk_pieces(w->n);
    writer_room(w, pieces * SUM);
    put_sums((str){ key, sizeof key }, w->p, w->n);
    int64_t due = clock_real_ms() + engine_orphan_ms(w->g);
    struct engine_txn *t = engine_begin_own(w->g, w->home);
    if (w->due && w->due != due) {
        struct engine_own_key old = engine_due_key(w->due, w->blob.b, &w->home);
        engine_txn_add(t, ENGINE_OP_JOURNAL_DEL, ENGINE_SPACE_OWN, engine_own_str(&old), (str){ NULL, 0 });
    }
    engine_txn_journal(t, due, ENGINE_DUE_BLOB, w->blob.b, &w->home, w->chunks + 1);
    engine_txn_add(t, ENGINE_OP_CHUNK_PUT, ENGINE_SPACE_OWN, (str){ key, sizeof key }, (str){ w->p, w->n + pieces * SUM });
    int rc = engine_commit_unsynced(t, NULL);
    if (rc)
        return rc;
    w->due = due;
    w->chunks++;
    w->n = 0;
    return 0;
}

int engine_blob_write(struct engine_blob_writer *w, str bytes)
{
    if (!w->error && bytes.n > SIZE_MAX_BLOB - w->size)
        w->error = ERR_LIMIT;
    while (!w->error && bytes.n) {
        size_t room = ENGINE_CHUNK - w->n;
        if (!room) {
            w->error = writer_chunk(w);
            continue;
        }
        size_t n = bytes.n < room ? bytes.n : room;
        writer_room(w, n);
        memcpy(w->p + w->n, bytes.p, n);
        w->n += n;
        w->size += n;
        bytes = str_from(bytes, n);
    }
    return w->error;
}

int engine_blob_finish(struct engine_blob_writer *w, engine_blob *ret)
{
    if (!w->error && (w->n || !w->chunks))
        w->error = writer_chunk(w);
    int rc = w->error;
    if (!rc) {
        engine_put_be(w->blob.b + ENGINE_STEM, SIZE_BYTES, w->size);
        *ret = w->blob;
        w->chunks = 0; /* they are the caller's now */
    }
    engine_blob_abort(w);
    return rc;
}

/* Deletes the first CHUNKS of the blob STEM with T; one more may have been written, of unknown outcome. */
static void add_chunks_gone(struct engine_txn *t, const uint8_t *stem, uint32_t chunks)
{
    for (uint32_t i = 0; i < chunks; i++) {
        char key[ENGINE_CHUNK_KEY];
        engine_chunk_key(stem, i, key);
        engine_txn_add(t, ENGINE_OP_CHUNK_DEL, ENGINE_SPACE_OWN, (str){ key, sizeof key }, (str){ NULL, 0 });
    }
}

/* Nobody knows the name: what was written can go at once. Where that fails it is an orphan, and the collector knows of it: it keeps its row. */
void engine_blob_abort(struct engine_blob_writer *w)
{
    if (!w)
        return;
    if (w->chunks) {
        struct engine_txn *t = engine_begin_own(w->g, w->home);
        t->need = ENGINE_NEED_FREES;
        add_chunks_gone(t, w->blob.b, w->chunks + 1);
        w->error = engine_commit_unsynced(t, NULL);
    }
    free(w->p);
    free(w);
}

static int put_whole(struct engine_blob_writer *w, str bytes, engine_blob *ret)
{
    int rc = engine_blob_write(w, bytes);
    if (rc) {
        engine_blob_abort(w);
        return rc;
    }
    return engine_blob_finish(w, ret);
}

int engine_blob_put(struct engine *g, engine_part owner, str bytes, engine_blob *ret)
{
    return put_whole(engine_blob_new(g, owner), bytes, ret);
}

int engine_blob_put_shared(struct engine *g, str bytes, engine_blob *ret)
{
    return put_whole(engine_blob_new_shared(g), bytes, ret);
}

int engine_blob_drop(struct engine *g, engine_part part, engine_blob blob)
{
    if (engine_blob_is_shared(blob.b) || !engine_blob_linkable(&blob, part))
        return ERR_INTERNAL;
    struct engine_own_key b = engine_own_key('b', blob.b, NULL);
    struct engine_txn *t = engine_begin_own(g, part);
    t->need = ENGINE_NEED_FREES;
    engine_txn_add(t, ENGINE_OP_EXPECT, ENGINE_SPACE_OWN, engine_own_str(&b), (str){ NULL, 0 });
    add_chunks_gone(t, blob.b, engine_blob_chunks(engine_blob_bytes(&blob)));
    return engine_commit_unsynced(t, NULL);
}

/* The link is new with the blob: the collector knows nothing of it yet, so there is neither a row in the journal nor one to be looked for. */
void engine_put_blob(struct engine_txn *t, str bytes, engine_blob *ret)
{
    char key[ENGINE_CHUNK_KEY];
    engine_blob blob = blob_name(CLASS_PRIVATE, &t->part);
    engine_put_be(blob.b + ENGINE_STEM, SIZE_BYTES, bytes.n);
    *ret = blob;
    engine_chunk_key(blob.b, 0, key);
    if (!engine_txn_allow(t, sizeof key, bytes.n, ENGINE_TXN_BLOB_MAX))
        return;
    size_t n = bytes.n + chunk_pieces(bytes.n) * SUM;
    char *p = arena_alloc(&t->mem, n);
    if (!p) {
        t->error = ERR_LIMIT;
        return;
    }
    if (bytes.n)
        memcpy(p, bytes.p, bytes.n);
    put_sums((str){ key, sizeof key }, p, bytes.n);
    struct engine_own_key link = engine_own_key('b', blob.b, NULL);
    engine_txn_add(t, ENGINE_OP_CHUNK_PUT, ENGINE_SPACE_OWN, (str){ key, sizeof key }, (str){ p, n });
    engine_txn_add(t, ENGINE_OP_PUT, ENGINE_SPACE_OWN, engine_own_str(&link),
                   (str){ (const char *)blob.b + ENGINE_STEM, SIZE_BYTES });
}

/* --- read --- */

struct chunk_copy {
    str key;
    size_t size;    /* that the chunk must have */
    size_t from, n; /* the part that is wanted */
    char *p;
    void (*take)(void *ctx, str bytes); /* instead of a copy at P */
    void *ctx;
};

static int chunk_copy_fn(void *ctx, str value)
{
    const struct chunk_copy *c = ctx;
    if (value.n != c->size + chunk_pieces(c->size) * SUM)
        return ERR_CORRUPT;
    str bytes = str_sub(value, 0, c->size);
    for (size_t i = c->from / ENGINE_PIECE; i * ENGINE_PIECE < c->from + c->n; i++)
        if (engine_get_be((const uint8_t *)value.p + c->size + i * SUM, SUM) != piece_sum(c->key, bytes, i))
            return ERR_CORRUPT;
    if (c->take)
        c->take(c->ctx, str_sub(bytes, c->from, c->n));
    else
        memcpy(c->p, bytes.p + c->from, c->n);
    return 0;
}

/* The part of BLOB's chunk with the byte OFFSET that lies in [OFFSET, OFFSET + N), to P or TAKE in *C. */
static int chunk_part(struct engine *g, const engine_blob *blob, uint64_t offset, size_t n, struct chunk_copy *c)
{
    char key[ENGINE_CHUNK_KEY];
    uint64_t number = offset / ENGINE_CHUNK, left = engine_blob_bytes(blob) - number * ENGINE_CHUNK;
    engine_chunk_key(blob->b, (uint32_t)number, key);
    c->key = (str){ key, sizeof key };
    c->size = left < ENGINE_CHUNK ? (size_t)left : ENGINE_CHUNK;
    c->from = (size_t)(offset % ENGINE_CHUNK);
    c->n = c->size - c->from < n ? c->size - c->from : n;
    return g->ops->chunk(g, c->key, c->n == c->size, chunk_copy_fn, c);
}

int engine_blob_read(struct engine *g, const engine_blob *blob, uint64_t offset, char *p, size_t n, size_t *ret_n)
{
    uint64_t size = engine_blob_bytes(blob);
    size_t done = 0;
    if (offset >= size)
        n = 0;
    else if (n > size - offset)
        n = (size_t)(size - offset);
    while (done < n) {
        struct chunk_copy c = { .p = p + done };
        int rc = chunk_part(g, blob, offset + done, n - done, &c);
        if (rc)
            return rc;
        done += c.n;
    }
    *ret_n = done;
    return 0;
}

int engine_blob_lend(struct engine *g, const engine_blob *blob, uint64_t offset, size_t n, void (*take)(void *ctx, str bytes),
                     void *ctx, size_t *ret_n)
{
    uint64_t size = engine_blob_bytes(blob);
    struct chunk_copy c = { .take = take, .ctx = ctx };
    int rc = offset < size && n ? chunk_part(g, blob, offset, n, &c) : 0;
    if (!rc)
        *ret_n = c.n;
    return rc;
}

static int chunk_exists_fn(void *ctx, str value)
{
    return value.n == *(const size_t *)ctx ? 0 : ERR_CORRUPT;
}

/* The size is in the name; the last chunk shows that the blob exists. */
int engine_blob_size(struct engine *g, const engine_blob *blob, uint64_t *ret)
{
    char key[ENGINE_CHUNK_KEY];
    uint64_t size = engine_blob_bytes(blob);
    uint32_t chunks = engine_blob_chunks(size);
    size_t last = (size_t)(size - (uint64_t)(chunks - 1) * ENGINE_CHUNK);
    last += chunk_pieces(last) * SUM;
    engine_chunk_key(blob->b, chunks - 1, key);
    int rc = g->ops->chunk(g, (str){ key, sizeof key }, false, chunk_exists_fn, &last);
    if (!rc)
        *ret = size;
    return rc;
}
