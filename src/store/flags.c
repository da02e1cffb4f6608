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

static bool keyword_find(const str *list, size_t n, str keyword, size_t *ret)
{
    for (size_t i = 0; i < n; i++) {
        if (str_ieq(list[i], keyword)) {
            *ret = i;
            return true;
        }
    }
    return false;
}

int mail_flags_resolve(const struct mailbox *mb, const struct mail_flags *flags, bool create, uint64_t *ret_bits, str *new,
                       size_t *new_n)
{
    uint64_t bits = flags->system & (MAIL_SEEN | MAIL_ANSWERED | MAIL_FLAGGED | MAIL_DELETED | MAIL_DRAFT);
    size_t known = mailbox_keyword_n(mb), at;
    for (size_t i = 0; i < flags->keyword_n; i++) {
        str k = flags->keywords[i];
        if (!keyword_is_valid(k))
            return ERR_SYNTAX;
        if (known && keyword_find(mb->keywords->list, known, k, &at)) {
            bits |= 1ull << (MAIL_KEYWORD_BIT + at);
        } else if (create) {
            if (!keyword_find(new, *new_n, k, &at)) {
                if (known + *new_n == MAIL_KEYWORDS_MAX)
                    return ERR_LIMIT;
                at = (*new_n)++;
                new[at] = k;
            }
            bits |= 1ull << (MAIL_KEYWORD_BIT + known + at);
        }
    }
    *ret_bits = bits;
    return 0;
}

void mail_flags_write(struct update *u, struct mailbox *mb, const str *new, size_t n)
{
    str list[MAIL_KEYWORDS_MAX];
    size_t known = mailbox_keyword_n(mb);
    if (n == 0 && known == mb->keywords_stored)
        return;
    if (known)
        memcpy(list, mb->keywords->list, known * sizeof *list);
    memcpy(list + known, new, n * sizeof *list);
    struct key k = key_of_id(KEY_KEYWORDS, mb->id);
    keywords_encode(&u->scratch, list, known + n);
    update_put(u, &k, buf_str(&u->scratch));
}

void mail_flags_adopt(struct mailbox *mb, const str *new, size_t n)
{
    for (size_t i = 0; i < n; i++)
        keyword_table_add(mailbox_keywords(mb), new[i]);
    mb->keywords_stored = mailbox_keyword_n(mb);
}
