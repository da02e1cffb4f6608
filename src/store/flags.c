/* flags: names of flags and keywords to bits, and STORE. */
#include "store/mail_private.h"

/* An atom (RFC 9051 section 9: flag-keyword); a leading backslash would be a system flag. */
static bool keyword_is_valid(str k)
{
    if (k.n == 0 || k.n > MAIL_KEYWORD_BYTES_MAX)
        return false;
    for (size_t i = 0; i < k.n; i++) {
        unsigned char c = (unsigned char)k.p[i];
        if (c <= 0x20 || c >= 0x7f || strchr("(){%*\"\\]", c))
            return false;
    }
    return true;
}

void keyword_plan_begin(struct keyword_plan *p, struct mail_account *a, struct mailbox *mb)
{
    *p = (struct keyword_plan){ .a = a, .mb = mb, .n = mailbox_keyword_n(mb) };
    if (p->n)
        memcpy(p->list, mb->keywords->list, p->n * sizeof *p->list);
}

static uint64_t flag_at(uint32_t i)
{
    return 1ull << (MAIL_KEYWORD_BIT + i);
}

static bool plan_find(struct keyword_plan *p, str keyword, uint64_t *ret)
{
    for (uint32_t i = 0; i < p->n; i++) {
        if (str_ieq(p->list[i], keyword)) {
            p->used |= *ret = flag_at(i);
            return true;
        }
    }
    return false;
}

/* Which flags messages have, those too that some view still shows. */
static int plan_look(struct keyword_plan *p)
{
    int r = p->looked ? 0 : mailbox_index_load(p->a, p->mb);
    if (r || p->looked)
        return r;
    for (size_t i = 0; i < p->mb->index_n; i++)
        p->used |= p->mb->index[i].flags;
    for (size_t i = 0; i < p->mb->ghost_n; i++)
        p->used |= p->mb->ghosts[i].flags;
    p->looked = true;
    return 0;
}

/* The first place that is free, MAIL_KEYWORDS_MAX for none. */
static int plan_place(struct keyword_plan *p, uint32_t *ret)
{
    *ret = p->n;
    if (p->n < MAIL_KEYWORDS_MAX)
        return 0;
    int r = plan_look(p);
    for (uint32_t i = 0; i < MAIL_KEYWORDS_MAX && !r; i++) {
        if (!(p->used & flag_at(i))) {
            *ret = i;
            break;
        }
    }
    return r;
}

int keyword_plan_has_room(struct keyword_plan *p, bool *ret)
{
    uint32_t at;
    int r = plan_place(p, &at);
    *ret = !r && at < MAIL_KEYWORDS_MAX;
    return r;
}

int keyword_plan_add(struct keyword_plan *p, str keyword, uint64_t *ret_flag)
{
    uint32_t at;
    if (plan_find(p, keyword, ret_flag))
        return 0;
    int r = plan_place(p, &at);
    if (r || at == MAIL_KEYWORDS_MAX)
        return r ? r : ERR_LIMIT;
    p->reuses |= at < p->n;
    p->n += at == p->n;
    p->list[at] = keyword;
    p->used |= *ret_flag = flag_at(at);
    return 0;
}

void mail_dropped_add(struct mail_dropped *d, str keyword)
{
    str rest = { d->names, d->n }, name;
    while (rest.n && str_split(&rest, ' ', &name)) {
        if (str_ieq(name, keyword))
            return;
    }
    if (!keyword_is_valid(keyword) || keyword.n + 1 > sizeof d->names - d->n) {
        d->more = true;
        return;
    }
    if (d->n)
        d->names[d->n++] = ' ';
    memcpy(d->names + d->n, keyword.p, keyword.n);
    d->n += keyword.n;
}

int mail_flags_resolve(struct keyword_plan *p, const struct mail_flags *flags, enum mail_flags_new new, uint64_t *ret_bits)
{
    uint64_t bits = flags->system & (MAIL_SEEN | MAIL_ANSWERED | MAIL_FLAGGED | MAIL_DELETED | MAIL_DRAFT), bit;
    /* Known ones first: none of them is in the place that a new one may take. */
    for (size_t i = 0; i < flags->keyword_n; i++)
        bits |= plan_find(p, flags->keywords[i], &bit) ? bit : 0;
    for (size_t i = 0; i < flags->keyword_n && new != MAIL_FLAGS_KNOWN; i++) {
        int r = keyword_is_valid(flags->keywords[i]) ? keyword_plan_add(p, flags->keywords[i], &bit) : ERR_LIMIT;
        if (r && r != ERR_LIMIT)
            return r;
        bits |= r ? 0 : bit;
        p->dropped += r != 0;
        if (r)
            mail_dropped_add(&p->names, flags->keywords[i]);
    }
    *ret_bits = bits;
    return 0;
}

void mail_flags_write(struct update *u, const struct keyword_plan *p)
{
    if (p->n == p->mb->keywords_stored && !p->reuses)
        return;
    struct key k = key_of_id(KEY_KEYWORDS, p->mb->id);
    keywords_encode(&u->scratch, p->list, p->n);
    update_put(u, &k, buf_str(&u->scratch));
}

void mail_flags_adopt(struct keyword_plan *p)
{
    struct mailbox *mb = p->mb;
    if (p->reuses) {
        struct keyword_table *former = mb->keywords;
        mb->keywords = NULL;
        for (uint32_t i = 0; i < p->n; i++)
            keyword_table_add(mailbox_keywords(mb), p->list[i]);
        keyword_table_unref(former);
    }
    for (uint32_t i = mailbox_keyword_n(mb); i < p->n; i++)
        keyword_table_add(mailbox_keywords(mb), p->list[i]);
    mb->keywords_stored = mailbox_keyword_n(mb);
}
