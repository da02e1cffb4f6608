/* index: the entries of one mailbox in memory, shared by all its views: 40 bytes each, sorted by uid.
 *
 * Read by one scan when first needed, changed by each commit, dropped when memory is short. Beside it a ring of the last
 * events, so that a view that is nearly up to date need not look at all messages, and the last states of messages that some
 * view still shows. */
#include "store/mail_private.h"

/* --- keywords --- */

static struct keyword_table *keyword_table_new(void)
{
    struct keyword_table *t = calloc(1, sizeof *t);
    if (!t)
        panic("out of memory for keywords");
    atomic_init(&t->refs, 1);
    return t;
}

struct keyword_table *keyword_table_ref(struct keyword_table *t)
{
    atomic_fetch_add(&t->refs, 1);
    return t;
}

void keyword_table_unref(struct keyword_table *t)
{
    if (!t || atomic_fetch_sub(&t->refs, 1) != 1)
        return;
    for (uint32_t i = 0; i < atomic_load(&t->n); i++)
        free((char *)(uintptr_t)t->list[i].p);
    free(t);
}

void keyword_table_add(struct keyword_table *t, str keyword)
{
    uint32_t n = atomic_load(&t->n);
    require(n < MAIL_KEYWORDS_MAX);
    char *p = malloc(keyword.n ? keyword.n : 1);
    if (!p)
        panic("out of memory for a keyword");
    memcpy(p, keyword.p, keyword.n);
    t->list[n] = (str){ p, keyword.n };
    atomic_store(&t->n, n + 1);
}

struct keyword_table *mailbox_keywords(struct mailbox *mb)
{
    if (!mb->keywords)
        mb->keywords = keyword_table_new();
    return mb->keywords;
}

/* --- the index --- */

struct index_scan {
    struct mailbox *mb;
    struct mail_entry *list;
    size_t n, cap;
};

static int index_row(void *ctx, str key, str value)
{
    struct index_scan *s = ctx;
    uint64_t mailbox;
    uint32_t uid;
    if (!key_read_entry(key, &mailbox, &uid))
        return ERR_CORRUPT;
    if (uid >= s->mb->c.uidnext)
        return 0; /* of a copy that is not complete yet */
    if (s->n == s->cap) {
        s->cap = s->cap ? s->cap * 2 : 64;
        s->list = reallocarray(s->list, s->cap, sizeof *s->list);
        if (!s->list)
            panic("out of memory for %zu entries", s->cap);
    }
    return entry_decode(value, uid, &s->list[s->n++]);
}

int mailbox_index_load(struct mail_account *a, struct mailbox *mb)
{
    if (mb->index)
        return 0;
    if (mb->gone)
        return ERR_NOTFOUND;
    struct index_scan s = { .mb = mb, .cap = (size_t)mb->c.messages + 16 };
    s.list = reallocarray(NULL, s.cap, sizeof *s.list);
    if (!s.list)
        panic("out of memory for %zu entries", s.cap);
    struct key from = key_of_entry(mb->id, 0), to = key_of_entry(mb->id + 1, 0);
    uint64_t version = 0;
    int r;
    do {
        s.n = 0;
        r = engine_scan(a->store->g, a->id, key_str(&from), key_str(&to), ENGINE_UNSYNCED, index_row, &s, &version);
    } while (r == ERR_CONFLICT && version == a->version);
    if (!r && version != a->version)
        r = ERR_CONFLICT;
    if (r) {
        free(s.list);
        if (r == ERR_CONFLICT)
            account_drop(a);
        return r;
    }
    mb->index = s.list;
    mb->index_n = s.n;
    mb->index_cap = s.cap;
    a->index_bytes += s.cap * sizeof *s.list;
    return 0;
}

void mailbox_index_drop(struct mail_account *a, struct mailbox *mb)
{
    if (!mb->index)
        return;
    a->index_bytes -= mb->index_cap * sizeof *mb->index;
    free(mb->index);
    mb->index = NULL;
    mb->index_n = mb->index_cap = 0;
}

size_t mailbox_index_find(const struct mailbox *mb, uint32_t uid, size_t hint)
{
    if (hint < mb->index_n && mb->index[hint].uid == uid)
        return hint;
    size_t from = 0, to = mb->index_n;
    while (from < to) {
        size_t mid = (from + to) / 2;
        if (mb->index[mid].uid < uid)
            from = mid + 1;
        else
            to = mid;
    }
    return from;
}

struct mail_entry *mailbox_index_get(const struct mailbox *mb, uint32_t uid, size_t hint)
{
    size_t i = mailbox_index_find(mb, uid, hint);
    return i < mb->index_n && mb->index[i].uid == uid ? &mb->index[i] : NULL;
}

/* --- events and ghosts --- */

void mailbox_ring_reset(struct mailbox *mb)
{
    if (mb->ring) {
        mb->ring->floor = mb->c.modseq;
        mb->ring->next = 0;
    }
}

void mailbox_ring_add(struct mailbox *mb, enum change_kind kind, uint32_t uid, uint64_t modseq)
{
    struct mailbox_ring *ring = mb->ring;
    if (!ring)
        return;
    struct mailbox_event *slot = &ring->list[ring->next % MAILBOX_RING];
    if (ring->next >= MAILBOX_RING)
        ring->floor = slot->modseq;
    *slot = (struct mailbox_event){ .modseq = modseq, .uid = uid, .kind = kind };
    ring->next++;
}

const struct mail_entry *mailbox_ghost(const struct mailbox *mb, uint32_t uid)
{
    for (size_t i = mb->ghost_n; i > 0; i--)
        if (mb->ghosts[i - 1].uid == uid)
            return &mb->ghosts[i - 1];
    return NULL;
}
