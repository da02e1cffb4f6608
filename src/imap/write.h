/* write: the values of IMAP answers, the twins of the parsers in syntax.h (RFC 3501 section 9).
 *
 * Everything is appended to a struct buf whose sticky error the caller checks once. No writer lets CR, LF or NUL through outside
 * a literal, and no NUL inside one (CHAR8): such bytes become "?". */
#ifndef VALISE_IMAP_WRITE_H
#define VALISE_IMAP_WRITE_H

#include "base/buf.h"
#include "message/structure.h"
#include "store/mail.h"

/* string: quoted when S is short printable ASCII, else a literal. */
void imap_write_string(struct buf *b, str s);
/* NIL when S.p is NULL. */
void imap_write_nstring(struct buf *b, str s);
/* The same of a field's text in ENVELOPE and BODYSTRUCTURE, each TAB as a blank: where a field was folded before a TAB, removing the line end (RFC 5322
 * section 2.2.3) leaves the TAB, which is no part of what was written; lists would show it as a gap or a box. BODY[HEADER] has it. */
void imap_write_unfolded(struct buf *b, str s);
/* An atom when S is one and not NIL, else a string. */
void imap_write_astring(struct buf *b, str s);
/* A mailbox name, from UTF-8, in modified UTF-7. */
void imap_write_mailbox(struct buf *b, str name);
/* date-time: "23-Nov-2026 12:00:00 +0000", with its quotes. */
void imap_write_date_time(struct buf *b, int64_t ms);
/* flag *(SP flag) without parentheses: the system flags and keywords of FLAGS, KEYWORDS naming the bits from MAIL_KEYWORD_BIT. */
void imap_write_flags(struct buf *b, uint64_t flags, bool recent, const str *keywords, size_t keyword_n);

/* address = "(" addr-name SP addr-adl SP addr-mailbox SP addr-host ")" (RFC 3501 section 7.4.2). */
void imap_write_address(struct buf *b, const struct message_address *a);
/* env-... of RFC 3501 section 7.4.2. NULL writes an envelope of NILs. */
void imap_write_envelope(struct buf *b, const struct envelope *e);
/* Who writes the envelopes of enclosed messages, to the same buffer, in place of what the structure has of them. */
struct imap_enveloper {
    void (*write)(void *ctx, const struct part *root);
    void *ctx;
};
/* body: BODY, or with EXTENDED BODYSTRUCTURE. ENVELOPER NULL: the structure has all of every envelope. */
void imap_write_body(struct buf *b, const struct part *part, bool extended, const struct imap_enveloper *enveloper);

/* UIDs (ascending or not) as a sequence set: 1:3,7. Never empty: N > 0. */
void imap_write_uids(struct buf *b, const uint32_t *uids, size_t n);

#endif
