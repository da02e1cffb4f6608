/* codec: see codec.h. */
#include "store/codec.h"

enum { RECORD_VERSION = 1 };

static void begin(struct buf *b)
{
    buf_reset(b);
    pack_u8(b, RECORD_VERSION);
}

static struct unpack open_record(str v)
{
    struct unpack u = unpack_init(v);
    if (unpack_u8(&u) != RECORD_VERSION)
        u.error = ERR_CORRUPT;
    return u;
}

static uint32_t varint32(struct unpack *u)
{
    return (uint32_t)unpack_varint_max(u, UINT32_MAX);
}

/* Version 2 has the limits of the account's quota; a header without limits stays as it was. */
enum { HEADER_VERSION_QUOTA = 2 };

void header_encode(struct buf *b, const struct header_record *h)
{
    bool limited = h->quota_bytes || h->quota_messages;
    buf_reset(b);
    pack_u8(b, limited ? HEADER_VERSION_QUOTA : RECORD_VERSION);
    pack_varint(b, h->modseq);
    pack_varint(b, h->floor);
    pack_varint(b, h->next_email);
    pack_varint(b, h->next_mailbox);
    pack_varint(b, h->last_uidvalidity);
    pack_u8(b, h->dead ? 1 : 0);
    if (limited) {
        pack_varint(b, h->quota_bytes);
        pack_varint(b, h->quota_messages);
    }
}

int header_decode(str v, struct header_record *ret)
{
    struct unpack u = unpack_init(v);
    uint8_t version = unpack_u8(&u);
    if (version != RECORD_VERSION && version != HEADER_VERSION_QUOTA)
        return ERR_CORRUPT;
    struct header_record h = { 0 };
    h.modseq = unpack_varint(&u);
    h.floor = unpack_varint_max(&u, h.modseq);
    h.next_email = unpack_varint(&u);
    h.next_mailbox = unpack_varint(&u);
    h.last_uidvalidity = varint32(&u);
    h.dead = unpack_u8(&u) != 0;
    if (version == HEADER_VERSION_QUOTA) {
        h.quota_bytes = unpack_varint(&u);
        h.quota_messages = unpack_varint(&u);
    }
    int r = unpack_end(&u);
    if (!r)
        *ret = h;
    return r;
}

void mailbox_encode(struct buf *b, const struct mailbox_record *m)
{
    begin(b);
    pack_u8(b, (uint8_t)m->use);
    pack_varint(b, m->uidvalidity);
    pack_str(b, m->name);
}

int mailbox_decode(str v, struct mailbox_record *ret)
{
    struct unpack u = open_record(v);
    uint8_t use = unpack_u8(&u);
    uint32_t uidvalidity = varint32(&u);
    str name = unpack_str(&u, MAIL_NAME_MAX);
    if (unpack_end(&u) || use > MAIL_USE_TRASH || name.n == 0)
        return ERR_CORRUPT;
    *ret = (struct mailbox_record){ .name = name, .use = (enum mail_special_use)use, .uidvalidity = uidvalidity };
    return 0;
}

void counters_encode(struct buf *b, const struct mail_counters *c)
{
    begin(b);
    pack_varint(b, c->uidnext);
    pack_varint(b, c->messages);
    pack_varint(b, c->unseen);
    pack_varint(b, c->recent);
    pack_varint(b, c->recent_from);
    pack_varint(b, c->bytes);
    pack_varint(b, c->modseq);
}

int counters_decode(str v, struct mail_counters *ret)
{
    struct unpack u = open_record(v);
    struct mail_counters c = { 0 };
    c.uidnext = varint32(&u);
    c.messages = varint32(&u);
    c.unseen = varint32(&u);
    c.recent = varint32(&u);
    c.recent_from = varint32(&u);
    c.bytes = unpack_varint(&u);
    c.modseq = unpack_varint(&u);
    int r = unpack_end(&u);
    if (!r)
        *ret = c;
    return r;
}

void keywords_encode(struct buf *b, const str *list, size_t n)
{
    begin(b);
    pack_varint(b, n);
    for (size_t i = 0; i < n; i++)
        pack_str(b, list[i]);
}

int keywords_decode(str v, str *list, size_t *ret_n)
{
    struct unpack u = open_record(v);
    size_t n = (size_t)unpack_varint_max(&u, MAIL_KEYWORDS_MAX);
    for (size_t i = 0; i < n && !u.error; i++)
        list[i] = unpack_str(&u, MAIL_KEYWORD_BYTES_MAX);
    int r = unpack_end(&u);
    if (!r)
        *ret_n = n;
    return r;
}

/* Version 2 has the day of the Date field; an entry that does not know it stays as it was. */
enum { ENTRY_VERSION_SENT = 2 };

void entry_encode(struct buf *b, const struct mail_entry *e)
{
    bool sent = e->sent != MAIL_SENT_UNKNOWN;
    buf_reset(b);
    pack_u8(b, sent ? ENTRY_VERSION_SENT : RECORD_VERSION);
    pack_varint(b, e->flags);
    pack_varint(b, e->modseq);
    pack_varint(b, e->email);
    pack_varint(b, e->size);
    pack_u64(b, (uint64_t)e->received_ms);
    if (sent)
        pack_varint(b, e->sent);
}

int entry_decode(str v, uint32_t uid, struct mail_entry *ret)
{
    struct unpack u = unpack_init(v);
    struct mail_entry e = { .uid = uid };
    uint8_t version = unpack_u8(&u);
    if (version != RECORD_VERSION && version != ENTRY_VERSION_SENT)
        return ERR_CORRUPT;
    e.flags = unpack_varint(&u);
    e.modseq = unpack_varint(&u);
    e.email = unpack_varint_max(&u, MAIL_EMAIL_MAX) & MAIL_EMAIL_MAX;
    e.size = varint32(&u);
    e.received_ms = (int64_t)unpack_u64(&u);
    if (version == ENTRY_VERSION_SENT)
        e.sent = unpack_varint_max(&u, MAIL_SENT_MAX) & MAIL_SENT_MAX;
    int r = unpack_end(&u);
    if (!r)
        *ret = e;
    return r;
}

enum { EMAIL_VERSION_FIELDS = 2 };

void email_encode(struct buf *b, const struct email_record *e)
{
    buf_reset(b);
    pack_u8(b, e->fields.n ? EMAIL_VERSION_FIELDS : RECORD_VERSION);
    buf_add(b, (str){ (const char *)e->blob.b, sizeof e->blob.b });
    pack_varint(b, e->size);
    pack_u64(b, (uint64_t)e->received_ms);
    pack_varint(b, e->thread);
    pack_u8(b, (uint8_t)e->ref_n);
    for (unsigned i = 0; i < e->ref_n; i++)
        pack_u64(b, e->refs[i]);
    pack_str(b, e->prefix);
    if (e->fields.n)
        pack_str(b, e->fields);
    buf_add(b, e->structure);
}

int email_decode(str v, struct email_record *ret)
{
    struct unpack u = unpack_init(v);
    struct email_record e = { 0 };
    uint8_t version = unpack_u8(&u);
    if (version != RECORD_VERSION && version != EMAIL_VERSION_FIELDS)
        return ERR_CORRUPT;
    str blob = unpack_bytes(&u, sizeof e.blob.b);
    e.size = unpack_varint_max(&u, UINT32_MAX);
    e.received_ms = (int64_t)unpack_u64(&u);
    e.thread = unpack_varint(&u);
    e.ref_n = unpack_u8(&u);
    if (e.ref_n > EMAIL_REFS_MAX)
        return ERR_CORRUPT;
    for (unsigned i = 0; i < e.ref_n; i++)
        e.refs[i] = unpack_u64(&u);
    e.prefix = unpack_str(&u, EMAIL_PREFIX_MAX);
    if (version == EMAIL_VERSION_FIELDS)
        e.fields = unpack_str(&u, MESSAGE_FIELDS_BYTES_MAX);
    if (u.error || e.prefix.n > e.size)
        return ERR_CORRUPT;
    memcpy(e.blob.b, blob.p, sizeof e.blob.b);
    e.structure = unpack_rest(&u);
    *ret = e;
    return 0;
}

void thread_encode(struct buf *b, const struct thread_record *t)
{
    begin(b);
    pack_varint(b, t->thread);
    pack_varint(b, t->emails);
}

int thread_decode(str v, struct thread_record *ret)
{
    struct unpack u = open_record(v);
    struct thread_record t = { 0 };
    t.thread = unpack_varint(&u);
    t.emails = unpack_varint(&u);
    int r = unpack_end(&u);
    if (!r)
        *ret = t;
    return r;
}

void refs_encode(struct buf *b, uint64_t refs)
{
    begin(b);
    pack_varint(b, refs);
}

int refs_decode(str v, uint64_t *ret)
{
    struct unpack u = open_record(v);
    uint64_t refs = unpack_varint(&u);
    int r = unpack_end(&u);
    if (!r)
        *ret = refs;
    return r;
}

void pending_encode(struct buf *b, const struct pending_record *p)
{
    begin(b);
    pack_varint(b, p->mailbox);
    pack_varint(b, p->from);
    pack_varint(b, p->to);
}

int pending_decode(str v, struct pending_record *ret)
{
    struct unpack u = open_record(v);
    struct pending_record p = { 0 };
    p.mailbox = unpack_varint(&u);
    p.from = varint32(&u);
    p.to = varint32(&u);
    int r = unpack_end(&u);
    if (!r)
        *ret = p;
    return r;
}

/* --- change log --- */

void change_begin(struct buf *b)
{
    begin(b);
}

/* Ranges are written as gap to the last one's end and length, so that what lies together costs two bytes. */
void change_add(struct buf *b, enum change_kind kind, uint64_t mailbox, const uint32_t (*ranges)[2], size_t n)
{
    pack_u8(b, (uint8_t)kind);
    pack_varint(b, mailbox);
    pack_varint(b, n);
    uint32_t last = 0;
    for (size_t i = 0; i < n; i++) {
        require(ranges[i][0] > last && ranges[i][1] >= ranges[i][0]);
        pack_varint(b, ranges[i][0] - last);
        pack_varint(b, ranges[i][1] - ranges[i][0]);
        last = ranges[i][1];
    }
}

int change_each(str row, int (*fn)(void *ctx, enum change_kind kind, uint64_t mailbox, uint32_t from, uint32_t to), void *ctx)
{
    struct unpack u = open_record(row);
    while (!u.error && u.p != u.end) {
        uint8_t kind = unpack_u8(&u);
        uint64_t mailbox = unpack_varint(&u);
        uint64_t n = unpack_varint_max(&u, ENGINE_VALUE_MAX);
        if (u.error || kind == 0 || kind >= CHANGE_LAST_)
            return ERR_CORRUPT;
        if (n == 0) {
            int r = fn(ctx, (enum change_kind)kind, mailbox, 0, 0);
            if (r)
                return r;
        }
        uint64_t last = 0;
        for (; n > 0; n--) {
            uint64_t from = last + unpack_varint_max(&u, UINT32_MAX);
            uint64_t to = from + unpack_varint_max(&u, UINT32_MAX);
            if (u.error || from == last || to > UINT32_MAX)
                return ERR_CORRUPT;
            int r = fn(ctx, (enum change_kind)kind, mailbox, (uint32_t)from, (uint32_t)to);
            if (r)
                return r;
            last = to;
        }
    }
    return u.error;
}
