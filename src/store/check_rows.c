/* check_rows: the scan of mail_check: reads every row of an account, and judges what one row can show. */
#include "store/check_private.h"

void check_grow(void **p, size_t n, size_t *cap, size_t size)
{
    if (n < *cap)
        return;
    *cap = *cap ? *cap * 2 : 64;
    *p = reallocarray(*p, *cap, size);
    if (!*p)
        panic("out of memory for a verification");
}

struct check_mailbox *check_mailbox_find(struct check *k, uint64_t id)
{
    for (size_t from = 0, to = k->mailboxes.n; from < to;) {
        size_t mid = (from + to) / 2;
        if (k->mailboxes.p[mid].id == id)
            return &k->mailboxes.p[mid];
        if (k->mailboxes.p[mid].id < id)
            from = mid + 1;
        else
            to = mid;
    }
    return NULL;
}

struct check_email *check_email_find(struct check *k, uint64_t id)
{
    for (size_t from = 0, to = k->emails.n; from < to;) {
        size_t mid = (from + to) / 2;
        if (k->emails.p[mid].id == id)
            return &k->emails.p[mid];
        if (k->emails.p[mid].id < id)
            from = mid + 1;
        else
            to = mid;
    }
    return NULL;
}

static int row_mailbox(struct check *k, str key, str value)
{
    struct check_mailbox *m = check_add(&k->mailboxes);
    *m = (struct check_mailbox){ 0 };
    if (!key_read_id(key, KEY_MAILBOX, &m->id) || mailbox_decode(value, &m->m)) {
        check_problem(k, "M6: the record of mailbox %llu is damaged", (unsigned long long)m->id);
        return 0;
    }
    k->report->mailboxes++;
    if (m->id >= k->h.next_mailbox)
        check_problem(k, "M6: mailbox %llu is above the next id", (unsigned long long)m->id);
    if (m->m.uidvalidity == 0 || m->m.uidvalidity > k->h.last_uidvalidity)
        check_problem(k, "M1: uidvalidity of mailbox %llu was never given out", (unsigned long long)m->id);
    if (k->mailboxes.n > 1 && m->m.uidvalidity <= m[-1].m.uidvalidity) /* both are given out ascending */
        check_problem(k, "M1: uidvalidity of mailbox %llu is not above that of an older one", (unsigned long long)m->id);
    return arena_dup(&k->arena, m->m.name, &m->m.name);
}

static void row_counters(struct check *k, str key, str value)
{
    uint64_t id = 0;
    struct check_mailbox *m = key_read_id(key, KEY_COUNTERS, &id) ? check_mailbox_find(k, id) : NULL;
    if (!m || counters_decode(value, &m->c))
        check_problem(k, "M5: the counters of mailbox %llu are damaged or nobody's", (unsigned long long)id);
    else
        m->has_counters = true;
}

static void row_keywords(struct check *k, str key, str value)
{
    uint64_t id = 0;
    str list[MAIL_KEYWORDS_MAX];
    struct check_mailbox *m = key_read_id(key, KEY_KEYWORDS, &id) ? check_mailbox_find(k, id) : NULL;
    if (!m || keywords_decode(value, list, &m->keyword_n))
        check_problem(k, "M9: the keywords of mailbox %llu are damaged or nobody's", (unsigned long long)id);
}

static void row_doomed(struct check *k, str key)
{
    uint64_t id = 0;
    if (!key_read_id(key, KEY_DOOMED, &id) || check_mailbox_find(k, id)) {
        check_problem(k, "M6: mailbox %llu is both there and deleted", (unsigned long long)id);
        return;
    }
    size_t at = 0;
    while (at < k->mailboxes.n && k->mailboxes.p[at].id < id)
        at++;
    check_add(&k->mailboxes);
    memmove(k->mailboxes.p + at + 1, k->mailboxes.p + at, (k->mailboxes.n - 1 - at) * sizeof *k->mailboxes.p);
    k->mailboxes.p[at] = (struct check_mailbox){ .id = id, .doomed = true };
}

static int change_item(void *ctx, enum change_kind kind, uint64_t mailbox, uint32_t from, uint32_t to)
{
    struct check *k = ctx;
    struct check_range range = { .modseq = k->log_modseq, .mailbox = mailbox, .from = from, .to = to, .kind = kind };
    if (from && kind == CHANGE_EXPUNGE)
        *check_add(&k->expunged) = range;
    else if (from)
        *check_add(&k->log) = range;
    return 0;
}

/* M8: the log has each modseq above the floor. */
static void row_change(struct check *k, str key, str value)
{
    uint64_t modseq = 0;
    if (!key_read_id(key, KEY_CHANGE, &modseq) || modseq <= k->h.floor || modseq > k->h.modseq) {
        check_problem(k, "M8: the change log has modseq %llu outside its bounds", (unsigned long long)modseq);
        return;
    }
    for (; k->log_next < modseq; k->log_next++)
        check_problem(k, "M8: the change log lacks modseq %llu", (unsigned long long)k->log_next);
    k->log_next = modseq + 1;
    k->log_modseq = modseq;
    if (change_each(value, change_item, k))
        check_problem(k, "M8: the change log's modseq %llu is damaged", (unsigned long long)modseq);
}

static void row_email(struct check *k, str key, str value)
{
    struct email_record e;
    uint64_t id = 0;
    k->report->emails++;
    if (!key_read_id(key, KEY_EMAIL, &id) || email_decode(value, &e)) {
        check_problem(k, "M3: the record of email %llu is damaged", (unsigned long long)id);
        return;
    }
    *check_add(&k->emails) = (struct check_email){ .id = id, .blob = e.blob, .size = e.size, .prefix_n = e.prefix.n, .refs = 1 };
    if (id >= k->h.next_email)
        check_problem(k, "M3: email %llu is above the next id", (unsigned long long)id);
    struct arena arena = ARENA_INIT(16 << 20);
    const struct structure *s;
    if (structure_open(e.structure, e.size, &arena, &s))
        check_problem(k, "M7: the structure of email %llu does not open", (unsigned long long)id);
    struct message_fields fields;
    if (message_fields_open(e.fields, &fields))
        check_problem(k, "M7: the header fields kept of email %llu do not open", (unsigned long long)id);
    arena_done(&arena);
    for (unsigned i = 0; i < e.ref_n; i++)
        *check_add(&k->named) = (struct check_thread){ e.refs[i], 1 };
}

static bool is_pending(const struct check *k, uint64_t mailbox, uint32_t uid)
{
    return k->pending && k->pending_at.mailbox == mailbox && uid >= k->pending_at.from && uid < k->pending_at.to;
}

/* M8: a change that is within the log is in it. */
static void entry_in_log(struct check *k, uint64_t mailbox, const struct mail_entry *e)
{
    size_t from = 0, to = k->log.n;
    while (from < to) {
        size_t mid = (from + to) / 2;
        if (k->log.p[mid].modseq < e->modseq)
            from = mid + 1;
        else
            to = mid;
    }
    for (; from < k->log.n && k->log.p[from].modseq == e->modseq; from++)
        if (k->log.p[from].mailbox == mailbox && e->uid >= k->log.p[from].from && e->uid <= k->log.p[from].to)
            return;
    check_problem(k, "M8: uid %u of mailbox %llu is not in the change log at its modseq", e->uid, (unsigned long long)mailbox);
}

static void entry_in_mailbox(struct check *k, struct check_mailbox *m, const struct mail_entry *e)
{
    unsigned long long id = m->id;
    if (e->uid >= m->c.uidnext)
        check_problem(k, "M1: uid %u of mailbox %llu is not below uidnext", e->uid, id);
    if (e->modseq > k->h.modseq || e->modseq > m->c.modseq)
        check_problem(k, "M2: uid %u of mailbox %llu has a modseq that was never given", e->uid, id);
    if (m->keyword_n < MAIL_KEYWORDS_MAX && e->flags >> (MAIL_KEYWORD_BIT + m->keyword_n))
        check_problem(k, "M9: uid %u of mailbox %llu has a keyword without a name", e->uid, id);
    m->sum.messages++;
    m->sum.unseen += !(e->flags & MAIL_SEEN);
    m->sum.bytes += e->size;
    m->sum.recent += e->uid >= m->c.recent_from;
    if (e->modseq > k->h.floor && e->modseq <= k->h.modseq)
        entry_in_log(k, m->id, e);
    *check_add(&k->entries) = (struct check_entry){ m->id, e->uid };
}

static void row_entry(struct check *k, str key, str value)
{
    struct mail_entry e;
    uint64_t mailbox = 0;
    uint32_t uid = 0;
    if (!key_read_entry(key, &mailbox, &uid) || entry_decode(value, uid, &e)) {
        check_problem(k, "M3: uid %u of mailbox %llu is damaged", uid, (unsigned long long)mailbox);
        return;
    }
    struct check_mailbox *m = check_mailbox_find(k, mailbox);
    struct check_email *email = check_email_find(k, e.email);
    if (!m)
        check_problem(k, "M6: uid %u is in mailbox %llu, which does not exist", uid, (unsigned long long)mailbox);
    if (!email)
        check_problem(k, "M3: uid %u of mailbox %llu refers to email %llu, which does not exist", uid,
                      (unsigned long long)mailbox, (unsigned long long)e.email);
    if (email) {
        email->entries++;
        if (email->size != e.size)
            check_problem(k, "M4: uid %u of mailbox %llu has another size than its email", uid, (unsigned long long)mailbox);
    }
    if (!m || m->doomed || is_pending(k, mailbox, uid))
        return;
    k->report->entries++;
    entry_in_mailbox(k, m, &e);
}

static void row_refs(struct check *k, str key, str value)
{
    uint64_t id = 0;
    struct check_email *email = key_read_id(key, KEY_REFS, &id) ? check_email_find(k, id) : NULL;
    if (!email || refs_decode(value, &email->refs) || email->refs < 2)
        check_problem(k, "M3: the reference count of email %llu is damaged or nobody's", (unsigned long long)id);
}

static void row_thread(struct check *k, str key, str value)
{
    struct thread_record t;
    uint64_t hash = 0;
    if (!key_read_id(key, KEY_THREAD, &hash) || thread_decode(value, &t))
        check_problem(k, "M10: a thread row is damaged");
    else
        *check_add(&k->threads) = (struct check_thread){ hash, t.emails };
}

int check_row(void *ctx, str key, str value)
{
    struct check *k = ctx;
    switch (key.p[0]) {
    case KEY_HEADER:
        k->has_header = !header_decode(value, &k->h);
        k->log_next = k->h.floor + 1;
        if (!k->has_header)
            check_problem(k, "M2: the account's header is damaged");
        return k->has_header && !k->h.dead ? 0 : ERR_NOTFOUND;
    case KEY_MAILBOX:
        return row_mailbox(k, key, value);
    case KEY_COUNTERS:
        row_counters(k, key, value);
        return 0;
    case KEY_KEYWORDS:
        row_keywords(k, key, value);
        return 0;
    case KEY_PENDING:
        k->pending = !pending_decode(value, &k->pending_at);
        return 0;
    case KEY_SUBSCRIPTION:
        return 0;
    case KEY_DOOMED:
        row_doomed(k, key);
        return 0;
    case KEY_CHANGE:
        row_change(k, key, value);
        return 0;
    case KEY_EMAIL:
        row_email(k, key, value);
        return 0;
    case KEY_ENTRY:
        row_entry(k, key, value);
        return 0;
    case KEY_REFS:
        row_refs(k, key, value);
        return 0;
    case KEY_THREAD:
        row_thread(k, key, value);
        return 0;
    default:
        check_problem(k, "a key of an unknown kind, 0x%02x", (unsigned char)key.p[0]);
        return 0;
    }
}
