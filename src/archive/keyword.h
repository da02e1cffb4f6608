/* keyword: names that other programs give to messages, as keywords of the store. */
#ifndef VALISE_ARCHIVE_KEYWORD_H
#define VALISE_ARCHIVE_KEYWORD_H

#include "base/buf.h"
#include "store/mail.h"

/* Keywords of one message. */
struct keyword_list {
    struct arena *arena;
    str names[MAIL_KEYWORDS_MAX];
    size_t n;
    uint32_t lost; /* that did not fit */
};

/* Adds NAME, which is any text, as a keyword, in the list's arena: as it is when it is an atom (RFC 9051 section 9) of at most MAIL_KEYWORD_BYTES_MAX bytes, or else with modified UTF-7 and "_" for
 * what an atom cannot have. Twice the same, ASCII letters folded, is once. ERR_LIMIT for the arena. */
int keyword_list_add(struct keyword_list *l, str name) MUST_USE;

/* Each word of TEXT, which spaces or tabs separate. */
int keyword_list_add_words(struct keyword_list *l, str text) MUST_USE;

/* FLAGS with SYSTEM and the keywords of L, copied into its arena. */
int keyword_list_flags(const struct keyword_list *l, uint64_t system, struct mail_flags *ret) MUST_USE;

#endif
