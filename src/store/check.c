/* check: verifies the invariants M1 to M10 of one account. The rows are read by one scan, so at one version; nothing is locked
 * and nothing is taken from the state in memory. Blobs are looked at afterwards: one that went with its email meanwhile is
 * kept by a reader. */
#include <stdarg.h>

#include "store/check_private.h"
#include "store/engine_private.h"

enum { CHECK_READ = 256 * 1024 };

void check_problem(struct check *k, const char *fmt, ...)
{
    char text[256];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    k->report->problems++;
    if (k->problem)
        k->problem(k->ctx, text);
}

/* --- mailboxes: M2, M5, M6 --- */

static int name_cmp(const void *a, const void *b)
{
    return str_cmp(((const struct check_mailbox *)a)->m.name, ((const struct check_mailbox *)b)->m.name);
}

static void check_counters(struct check *k, const struct check_mailbox *m)
{
    unsigned long long id = m->id;
    if (!m->has_counters) {
        check_problem(k, "M5: mailbox %llu has no counters", id);
        return;
    }
    if (m->c.modseq > k->h.modseq)
        check_problem(k, "M2: mailbox %llu has a modseq that was never given", id);
    if (m->sum.messages != m->c.messages || m->sum.unseen != m->c.unseen || m->sum.bytes != m->c.bytes ||
        m->sum.recent != m->c.recent)
        check_problem(k, "M5: mailbox %llu counts %u messages, %u unseen, %u recent, %llu bytes; has %u, %u, %u, %llu", id,
                      m->c.messages, m->c.unseen, m->c.recent, (unsigned long long)m->c.bytes, m->sum.messages, m->sum.unseen,
                      m->sum.recent, (unsigned long long)m->sum.bytes);
}

static void check_mailboxes(struct check *k)
{
    bool inbox = false;
    for (size_t i = 0; i < k->mailboxes.n; i++) {
        const struct check_mailbox *m = &k->mailboxes.p[i];
        str name;
        if (m->doomed)
            continue;
        check_counters(k, m);
        if (mailbox_name_normalize(m->m.name, &k->arena, &name, NULL) || !str_eq(name, m->m.name))
            check_problem(k, "M6: the name of mailbox %llu is not a proper one", (unsigned long long)m->id);
        inbox = inbox || str_eq(m->m.name, STR("INBOX"));
    }
    if (!inbox)
        check_problem(k, "M6: there is no INBOX");
    if (k->mailboxes.n == 0)
        return;
    qsort(k->mailboxes.p, k->mailboxes.n, sizeof *k->mailboxes.p, name_cmp);
    for (size_t i = 1; i < k->mailboxes.n; i++)
        if (!k->mailboxes.p[i].doomed && str_eq(k->mailboxes.p[i].m.name, k->mailboxes.p[i - 1].m.name))
            check_problem(k, "M6: mailboxes %llu and %llu have the same name", (unsigned long long)k->mailboxes.p[i - 1].id,
                          (unsigned long long)k->mailboxes.p[i].id);
}

/* --- change log: M8 --- */

static int range_cmp(const void *a, const void *b)
{
    const struct check_range *x = a, *y = b;
    if (x->mailbox != y->mailbox)
        return x->mailbox < y->mailbox ? -1 : 1;
    return x->from < y->from ? -1 : x->from > y->from;
}

/* How many uids of [FROM, TO] of MAILBOX the log says were expunged. */
static uint64_t expunged_in(const struct check *k, uint64_t mailbox, uint32_t from, uint32_t to)
{
    uint64_t n = 0;
    size_t low = 0, high = k->expunged.n;
    while (low < high) {
        size_t mid = (low + high) / 2;
        const struct check_range *r = &k->expunged.p[mid];
        if (r->mailbox < mailbox || (r->mailbox == mailbox && r->to < from))
            low = mid + 1;
        else
            high = mid;
    }
    for (; low < k->expunged.n && k->expunged.p[low].mailbox == mailbox && k->expunged.p[low].from <= to; low++) {
        const struct check_range *r = &k->expunged.p[low];
        n += (r->to < to ? r->to : to) - (uint64_t)(r->from > from ? r->from : from) + 1;
    }
    return n;
}

/* The first entry not before (MAILBOX, UID); entries come in this order from the scan. */
static size_t entry_at(const struct check *k, uint64_t mailbox, uint64_t uid)
{
    size_t from = 0, to = k->entries.n;
    while (from < to) {
        size_t mid = (from + to) / 2;
        const struct check_entry *e = &k->entries.p[mid];
        if (e->mailbox < mailbox || (e->mailbox == mailbox && e->uid < uid))
            from = mid + 1;
        else
            to = mid;
    }
    return from;
}

static void check_log(struct check *k)
{
    for (; k->log_next <= k->h.modseq; k->log_next++)
        check_problem(k, "M8: the change log lacks modseq %llu", (unsigned long long)k->log_next);
    if (k->expunged.n)
        qsort(k->expunged.p, k->expunged.n, sizeof *k->expunged.p, range_cmp);
    for (size_t i = 0; i < k->expunged.n; i++) {
        const struct check_range *r = &k->expunged.p[i];
        if (i && r->mailbox == r[-1].mailbox && r->from <= r[-1].to)
            check_problem(k, "M8: uid %u of mailbox %llu was expunged twice", r->from, (unsigned long long)r->mailbox);
        if (entry_at(k, r->mailbox, r->from) != entry_at(k, r->mailbox, (uint64_t)r->to + 1))
            check_problem(k, "M8: uids %u to %u of mailbox %llu were expunged, but not all are gone", r->from, r->to,
                          (unsigned long long)r->mailbox);
    }
    for (size_t i = 0; i < k->log.n; i++) {
        const struct check_range *r = &k->log.p[i];
        const struct check_mailbox *m = check_mailbox_find(k, r->mailbox);
        if (r->kind != CHANGE_APPEND || !m || m->doomed)
            continue;
        uint64_t there = entry_at(k, r->mailbox, (uint64_t)r->to + 1) - entry_at(k, r->mailbox, r->from);
        if (there + expunged_in(k, r->mailbox, r->from, r->to) != (uint64_t)r->to - r->from + 1)
            check_problem(k, "M8: of uids %u to %u of mailbox %llu some are gone without a word in the change log", r->from,
                          r->to, (unsigned long long)r->mailbox);
    }
}

/* --- threads: M10 --- */

static int thread_cmp(const void *a, const void *b)
{
    const struct check_thread *x = a, *y = b;
    return x->hash < y->hash ? -1 : x->hash > y->hash;
}

static void check_threads(struct check *k)
{
    if (k->named.n)
        qsort(k->named.p, k->named.n, sizeof *k->named.p, thread_cmp);
    size_t at = 0;
    for (size_t i = 0; i < k->threads.n; i++) {
        uint64_t n = 0;
        for (; at < k->named.n && k->named.p[at].hash < k->threads.p[i].hash; at++)
            check_problem(k, "M10: an email names a thread row that does not exist");
        for (; at < k->named.n && k->named.p[at].hash == k->threads.p[i].hash; at++)
            n++;
        if (n != k->threads.p[i].emails)
            check_problem(k, "M10: a thread row counts %llu emails, %llu name it", (unsigned long long)k->threads.p[i].emails,
                          (unsigned long long)n);
    }
    if (at < k->named.n)
        check_problem(k, "M10: an email names a thread row that does not exist");
}

/* --- emails and blobs: M3, M4 --- */

static int blob_linked(struct check *k, const engine_blob *blob, bool *ret)
{
    struct arena arena = ARENA_INIT(4096);
    struct engine_own_key own = engine_own_key('b', blob->b, NULL);
    str name = engine_own_str(&own), value;
    int r = k->s->g->ops->get(k->s->g, k->id, ENGINE_SPACE_OWN, &name, 1, ENGINE_SYNCED, &arena, &value, NULL);
    *ret = value.p != NULL;
    arena_done(&arena);
    return r;
}

/* Reads all of a blob, which verifies its checksums. ERR_CORRUPT also when it is shorter than SIZE. *RET_NUL: whether it has one. */
static int blob_read_all(struct check *k, const engine_blob *blob, uint64_t size, bool *ret_nul)
{
    char *p = malloc(CHECK_READ);
    if (!p)
        panic("out of memory for a verification");
    int r = 0;
    for (uint64_t at = 0; at < size && !r;) {
        size_t n = 0;
        r = engine_blob_read(k->s->g, blob, at, p, CHECK_READ, &n);
        if (!r && n == 0)
            r = ERR_CORRUPT;
        *ret_nul = *ret_nul || (!r && memchr(p, 0, n));
        at += n;
    }
    free(p);
    return r;
}

static int check_email(struct check *k, const struct check_email *e)
{
    unsigned long long id = e->id;
    if (e->entries == 0)
        check_problem(k, "M3: email %llu is in no mailbox", id);
    else if (e->entries != e->refs)
        check_problem(k, "M3: email %llu counts %llu entries, has %llu", id, (unsigned long long)e->refs,
                      (unsigned long long)e->entries);
    bool linked = false;
    int r = blob_linked(k, &e->blob, &linked);
    if (r)
        return r;
    if (!linked)
        check_problem(k, "M4: the blob of email %llu is not linked", id);
    uint64_t size = 0;
    r = engine_blob_size(k->s->g, &e->blob, &size);
    if (!r && size != e->size - e->prefix_n)
        check_problem(k, "M4: the blob of email %llu has not the size of the email", id);
    bool nul = false;
    if (!r && k->deep)
        r = blob_read_all(k, &e->blob, size, &nul);
    if (nul)
        check_problem(k, "M11: email %llu has a NUL", id);
    if (r == ERR_NOTFOUND || r == ERR_CORRUPT) {
        check_problem(k, "M4: the blob of email %llu is %s", id, r == ERR_NOTFOUND ? "missing" : "damaged");
        r = 0;
    }
    k->report->blobs++;
    return r;
}

int mail_check(struct mail_store *s, engine_part id, bool deep, void (*problem)(void *ctx, const char *text), void *ctx,
               struct mail_check_report *report)
{
    struct check k = {
        .s = s, .id = id, .deep = deep, .problem = problem, .ctx = ctx, .report = report, .arena = ARENA_INIT(64 << 20)
    };
    struct key from = key_of(KEY_HEADER), end = key_of((char)0x7f);
    struct engine_reader *reader = engine_read_begin(s->g, id); /* blobs of emails that go meanwhile stay */
    /* A conflict means that a commit came between two pages: what was found is void. Engines with snapshots never say so. */
    int r = engine_scan(s->g, id, key_str(&from), key_str(&end), ENGINE_SYNCED, check_row, &k, NULL);
    if (!r && !k.has_header)
        r = ERR_NOTFOUND;
    if (!r) {
        report->accounts++;
        check_log(&k);
        check_mailboxes(&k);
        check_threads(&k);
    }
    for (size_t i = 0; i < k.emails.n && !r; i++)
        r = check_email(&k, &k.emails.p[i]);
    engine_read_end(reader);
    free(k.mailboxes.p);
    free(k.emails.p);
    free(k.log.p);
    free(k.expunged.p);
    free(k.entries.p);
    free(k.threads.p);
    free(k.named.p);
    arena_done(&k.arena);
    return r;
}
