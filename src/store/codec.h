/* codec: the records of an account as bytes.
 *
 * Each begins with its version; a reader refuses versions it does not know (ERR_CORRUPT), so that an older program never
 * misreads a newer store. Writers append to a struct buf that they empty first; readers return views into the value. */
#ifndef VALISE_STORE_CODEC_H
#define VALISE_STORE_CODEC_H

#include "base/pack.h"
#include "message/fields.h"
#include "store/mail.h"

enum { EMAIL_REFS_MAX = 4, EMAIL_PREFIX_MAX = 4096, EMAIL_STRUCTURE_MAX = 60000 };

struct header_record {
    uint64_t modseq; /* of the last visible change */
    uint64_t floor;  /* the change log holds exactly the modseqs in (floor, modseq] */
    uint64_t next_email, next_mailbox;
    uint32_t last_uidvalidity;            /* the highest ever given out */
    bool dead;                            /* the account is being deleted */
    uint64_t quota_bytes, quota_messages; /* how much the account may keep; 0: no limit */
};
void header_encode(struct buf *b, const struct header_record *h);
int header_decode(str v, struct header_record *ret) MUST_USE;

struct mailbox_record {
    str name;
    enum mail_special_use use;
    uint32_t uidvalidity;
};
void mailbox_encode(struct buf *b, const struct mailbox_record *m);
int mailbox_decode(str v, struct mailbox_record *ret) MUST_USE;

struct mail_counters {
    uint32_t uidnext;
    uint32_t messages, unseen;
    uint32_t recent, recent_from; /* messages with uid >= recent_from: no session has been told of them */
    uint64_t bytes, modseq;
};
void counters_encode(struct buf *b, const struct mail_counters *c);
int counters_decode(str v, struct mail_counters *ret) MUST_USE;

void keywords_encode(struct buf *b, const str *list, size_t n);
/* Into LIST, which has room for MAIL_KEYWORDS_MAX. */
int keywords_decode(str v, str *list, size_t *ret_n) MUST_USE;

/* The uid is in the key. Version 2 has the day it was sent. */
void entry_encode(struct buf *b, const struct mail_entry *e);
int entry_decode(str v, uint32_t uid, struct mail_entry *ret) MUST_USE;

struct email_record {
    engine_blob blob;
    uint64_t size; /* of the message: prefix and blob */
    int64_t received_ms;
    uint64_t thread;
    uint64_t refs[EMAIL_REFS_MAX]; /* the thread rows this email counts in, ascending, none twice */
    unsigned ref_n;
    str prefix; /* the message's first bytes, which are not in the blob: this recipient's own header lines */
    str fields; /* of message/fields.h, at most MESSAGE_FIELDS_BYTES_MAX; empty: not kept */
    str structure;
};
/* Version 2 has the header fields; a record without stays as it was. */
void email_encode(struct buf *b, const struct email_record *e);
int email_decode(str v, struct email_record *ret) MUST_USE;

struct thread_record {
    uint64_t thread;
    uint64_t emails;
};
void thread_encode(struct buf *b, const struct thread_record *t);
int thread_decode(str v, struct thread_record *ret) MUST_USE;

void refs_encode(struct buf *b, uint64_t refs);
int refs_decode(str v, uint64_t *ret) MUST_USE;

struct pending_record {
    uint64_t mailbox;
    uint32_t from, to;
}; /* invisible entries with uids in [from, to) */
void pending_encode(struct buf *b, const struct pending_record *p);
int pending_decode(str v, struct pending_record *ret) MUST_USE;

/* --- change log: a row is a version and items until its end --- */

enum change_kind {
    CHANGE_APPEND = 1,
    CHANGE_FLAGS,
    CHANGE_EXPUNGE,
    CHANGE_CREATE,
    CHANGE_DELETE,
    CHANGE_RENAME,
    CHANGE_SUBSCRIBE,
    CHANGE_LAST_
};

/* Starts a row. */
void change_begin(struct buf *b);
/* One item: a kind, a mailbox and ranges of uids (none for the kinds that concern the mailbox as a whole), ascending. */
void change_add(struct buf *b, enum change_kind kind, uint64_t mailbox, const uint32_t (*ranges)[2], size_t n);
/* Calls FN for each range [from, to] of each item, once with 0, 0 for an item without ranges. Non-zero from FN ends it and is
 * returned. */
int change_each(str row, int (*fn)(void *ctx, enum change_kind kind, uint64_t mailbox, uint32_t from, uint32_t to),
                void *ctx) MUST_USE;

#endif
