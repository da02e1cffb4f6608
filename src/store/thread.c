/* thread: which emails belong to one conversation (RFC 8621 section 3).
 *
 * Each email counts in up to four rows: its Message-ID and the ids it answers (In-Reply-To, the first and the last of
 * References). A new email joins the thread of the first started conversation among its rows; threads are never merged
 * afterwards, so that a thread id once told stays true. A row goes with the last email that counts in it. */
#include "store/mail_private.h"

/* Not a secret and not worth one: whoever wants to join a thread needs only to name its Message-ID. */
enum { THREAD_SEED = 0x7468 };

static void refs_add(struct thread_refs *refs, str id)
{
    id = str_trim(id);
    if (id.n == 0 || id.n > 998)
        return;
    uint64_t hash = str_hash(id, THREAD_SEED);
    unsigned at = 0;
    while (at < refs->n && refs->list[at] < hash)
        at++;
    if ((at < refs->n && refs->list[at] == hash) || refs->n == EMAIL_REFS_MAX)
        return;
    memmove(refs->list + at + 1, refs->list + at, (refs->n - at) * sizeof *refs->list);
    refs->list[at] = hash;
    refs->n++;
}

/* The first id in angle brackets at or after the start of *S, which moves behind it; empty at the end. */
static str next_id(str *s)
{
    size_t from = str_find_byte(*s, '<', 0), to = str_find_byte(*s, '>', from);
    if (to >= s->n) {
        *s = (str){ NULL, 0 };
        return *s;
    }
    str id = str_sub(*s, from + 1, to - from - 1);
    *s = str_from(*s, to + 1);
    return id;
}

int thread_refs_of(str structure, uint64_t size, struct thread_refs *ret)
{
    struct arena arena = ARENA_INIT(8 << 20);
    const struct structure *s;
    struct thread_refs refs = { .n = 0 };
    int r = structure_open(structure, size, &arena, &s);
    if (!r) {
        const struct envelope *env = structure_root(s)->envelope;
        str rest;
        if (env) {
            rest = env->message_id;
            refs_add(&refs, next_id(&rest));
            rest = env->in_reply_to;
            refs_add(&refs, next_id(&rest));
            rest = env->references;
            str first = next_id(&rest), last = first;
            for (str id = first; id.n; id = next_id(&rest))
                last = id;
            refs_add(&refs, last);
            refs_add(&refs, first);
        }
        *ret = refs;
    }
    arena_done(&arena);
    return r;
}

static struct thread_row *rows_find(const struct thread_rows *rows, uint64_t hash)
{
    for (size_t i = 0; i < rows->n; i++)
        if (rows->list[i].hash == hash)
            return &rows->list[i];
    return NULL;
}

int thread_rows_read(struct mail_account *a, struct thread_rows *rows, const uint64_t *hashes, size_t n)
{
    struct arena arena = ARENA_INIT(64 * 1024);
    struct key keys[EMAIL_REFS_MAX];
    str names[EMAIL_REFS_MAX], values[EMAIL_REFS_MAX];
    size_t first = rows->n, wanted = 0;
    require(n <= EMAIL_REFS_MAX);
    for (size_t i = 0; i < n; i++) {
        if (rows_find(rows, hashes[i]))
            continue;
        if (rows->n == rows->cap) {
            rows->cap = rows->cap ? rows->cap * 2 : 8;
            rows->list = reallocarray(rows->list, rows->cap, sizeof *rows->list);
            if (!rows->list)
                panic("out of memory for threads");
        }
        rows->list[rows->n++] = (struct thread_row){ .hash = hashes[i] };
        keys[wanted] = key_of_id(KEY_THREAD, hashes[i]);
        names[wanted] = key_str(&keys[wanted]);
        wanted++;
    }
    int r = wanted ? engine_get(a->store->g, a->id, names, wanted, ENGINE_UNSYNCED, &arena, values, NULL) : 0;
    for (size_t i = 0; i < wanted && !r; i++) {
        struct thread_record t;
        if (!values[i].p)
            continue;
        r = thread_decode(values[i], &t);
        if (!r) {
            struct thread_row *row = &rows->list[first + i];
            row->thread = t.thread;
            row->emails = t.emails;
            row->existed = true;
        }
    }
    arena_done(&arena);
    return r;
}

uint64_t thread_rows_join(struct thread_rows *rows, const struct thread_refs *refs, uint64_t email)
{
    uint64_t thread = email;
    for (unsigned i = 0; i < refs->n; i++) {
        const struct thread_row *row = rows_find(rows, refs->list[i]);
        if (row->emails && row->thread < thread)
            thread = row->thread;
    }
    for (unsigned i = 0; i < refs->n; i++) {
        struct thread_row *row = rows_find(rows, refs->list[i]);
        if (row->emails == 0)
            row->thread = thread;
        row->emails++;
        row->changed = true;
    }
    return thread;
}

void thread_rows_part(struct thread_rows *rows, const uint64_t *hashes, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct thread_row *row = rows_find(rows, hashes[i]);
        if (row->emails)
            row->emails--;
        row->changed = true;
    }
}

void thread_rows_write(struct thread_rows *rows, struct update *u)
{
    for (size_t i = 0; i < rows->n; i++) {
        const struct thread_row *row = &rows->list[i];
        struct key k = key_of_id(KEY_THREAD, row->hash);
        if (!row->changed)
            continue;
        if (row->emails) {
            thread_encode(&u->scratch, &(struct thread_record){ .thread = row->thread, .emails = row->emails });
            update_put(u, &k, buf_str(&u->scratch));
        } else if (row->existed) {
            update_del(u, &k);
        }
    }
}

void thread_rows_done(struct thread_rows *rows)
{
    free(rows->list);
    *rows = (struct thread_rows){ .n = 0 };
}
