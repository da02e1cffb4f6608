/* words: all that valise writes to people by mail, in each language, in one table. A text has places {name} in it, which words_fill fills. Pure. */
#ifndef VALISE_DSN_WORDS_H
#define VALISE_DSN_WORDS_H

#include "base/buf.h"
#include "base/language.h"

enum word {
    WORD_HELLO, /* {name} */
    WORD_HELLO_SOMEBODY,
    WORD_QUOTA_SUBJECT,    /* {percent} */
    WORD_QUOTA_TEXT,       /* {hello} {address} {hostname} {percent} {used} {limit} {full} {postmaster} */
    WORD_QUOTA_SOON_WAITS, /* {full}: what becomes of mail when nothing more fits; the default of refuse-over-quota */
    WORD_QUOTA_SOON_REFUSED,
    WORD_QUOTA_NOW_WAITS, /* the same when it is full already */
    WORD_QUOTA_NOW_REFUSED,
    WORD_WELCOME_SUBJECT,
    WORD_WELCOME_TEXT, /* {hello} {address} {domain} {hostname} {imap} {smtp} {postmaster} */
    WORD_KIB,          /* {n} */
    WORD_MIB,
    WORD_MESSAGES, /* {n} */
    WORD_MESSAGE,  /* the same of one */
    WORD_REPORT_DELIVERED_SUBJECT,
    WORD_REPORT_PARTLY_SUBJECT,
    WORD_REPORT_FAILED_SUBJECT,
    WORD_REPORT_ABOUT, /* {hostname} */
    WORD_REPORT_FAILED,
    WORD_REPORT_DELIVERED,
    WORD_REPORT_EXPANDED,
    WORD_REPORT_END,
    WORDS
};

/* The text WORD in LANGUAGE, which is not UNSAID: UTF-8, lines end with LF. */
str words_in(enum language language, enum word word);

/* WORD_MESSAGES, or WORD_MESSAGE where LANGUAGE has N in the singular: one, in French also none. */
enum word words_messages(enum language language, uint64_t n);

struct word_value {
    const char *name;
    str value;
};
/* Appends TEXT to OUT with "{name}" replaced by the value of that name of VALUES (N); what names none of them stays as it is. */
void words_fill(struct buf *out, str text, const struct word_value *values, size_t n);

#endif
