/* mail: the mail model, once for all engines: accounts, mailboxes, emails, entries, changes.
 *
 * An account is a partition of the engine. Its mail is emails (a blob, its structure, its dates; immutable) and mailbox
 * entries that refer to them (uid, flags; mutable). One counter per account, the modseq, orders all changes and serves
 * CONDSTORE, QRESYNC and JMAP state alike. All changes to an account are serialised by its lock, committed in order without
 * waiting, and waited for outside the lock, so that many sessions and deliveries share one fsync. No function returns what is
 * not durable.
 *
 * Invariants (asserted here, verified by mail_check):
 *  M1  uid of an entry < its mailbox's uidnext; uidnext and uidvalidity never go down; no two mailboxes of an account ever had the
 *      same uidvalidity.
 *  M2  modseq of anything <= the account's modseq; each commit that changes something visible raises it.
 *  M3  every entry's email exists; every email is referenced by at least one entry; its reference count is their number.
 *  M4  every email's blob is linked by the partition (or held, when shared), exists, and has the recorded size.
 *  M5  counts of a mailbox (messages, unseen, bytes) equal what its entries sum up to.
 *  M6  mailbox names are unique, INBOX exists, a child's parents may be absent but no name is empty or has empty levels.
 *  M7  a stored structure opens against its blob's size; header fields kept beside it open, and are those of the message.
 *  M8  every change since the oldest kept modseq is in the change log exactly once.
 *  M9  keyword bits of an entry name keywords that its mailbox knows.
 *  M10 a thread row exists for each Message-ID that an email is threaded by, and counts those emails.
 *  M11 no message has a NUL: what comes with one is encoded on its way in (message/binary.h), so that every reader can have it.
 *
 * Functions block on the store and are thread-safe unless said otherwise. Errors besides the listed ones: ERR_FULL, ERR_UNKNOWN,
 * ERR_UNAVAILABLE, ERR_IO, ERR_CORRUPT, ERR_LIMIT. */
#ifndef VALISE_STORE_MAIL_H
#define VALISE_STORE_MAIL_H

#include "message/structure.h"
#include "run/stream.h"
#include "store/engine.h"

struct mail_store;   /* engine, cache of open accounts */
struct mail_account; /* reference counted */

struct mail_store *mail_store_new(struct engine *g);
void mail_store_free(struct mail_store *s);
struct engine *mail_store_engine(struct mail_store *s);
/* Lets go of what is kept for the next use, but for KEEP bytes of what was used last: for when there is little to do. Bytes that are still kept.
 * Thread-safe. */
size_t mail_store_rest(struct mail_store *s, size_t keep);
/* Memory for accounts and indexes that are kept for the next use; 96 MiB at first. */
void mail_store_set_cache(struct mail_store *s, size_t bytes);
/* How many changes of each account its log keeps at least, for clients that come back; 20 000 at first. Before the first account. */
void mail_store_set_changes_kept(struct mail_store *s, uint64_t n);
/* Directory (a descriptor, the caller's) where deposits over 1 MiB wait in files without a name; -1, as at first: in anonymous
 * memory files. Before the first deposit. */
void mail_store_set_spool(struct mail_store *s, int dir);

/* Creates account ID with its standard mailboxes: INBOX, Drafts, Sent, Junk, Trash, Archive (special use set, subscribed).
 * ERR_EXISTS. */
int mail_account_create(struct mail_store *s, engine_part id) MUST_USE;
/* Gives the mailboxes of account ID, of which no session is open, each a UIDVALIDITY above those of the older ones (M1), where they have not; for
 * accounts made before that rule. ERR_NOTFOUND. */
int mail_account_renumber(struct mail_store *s, engine_part id) MUST_USE;
/* Keeps the header fields and the days of sending of account ID's messages, of which no session is open, beside their structure; for mail from before that
 * was done. A header that cannot be read is left for mail_check. Reads a part of each message: some 50 microseconds each. ERR_FULL, ERR_IO; what was done until then
 * holds. */
int mail_account_enrich(struct mail_store *s, engine_part id) MUST_USE;
/* Deletes all of an account; open sessions find it ERR_NOTFOUND. */
int mail_account_delete(struct mail_store *s, engine_part id) MUST_USE;
/* A reference to account ID. ERR_NOTFOUND. */
int mail_account_open(struct mail_store *s, engine_part id, struct mail_account **ret) MUST_USE;
void mail_account_unref(struct mail_account *a);

/* How much the account keeps and may keep: messages in all mailboxes, and their sizes (RFC 9208). */
struct mail_quota {
    uint64_t bytes, messages;
    uint64_t bytes_max, messages_max; /* 0: no limit */
};
int mail_account_quota(struct mail_account *a, struct mail_quota *ret) MUST_USE;
/* How much of that is used, in percent: of bytes or messages, whichever is more; 0 without limits. */
unsigned mail_quota_percent(const struct mail_quota *q);
/* Of which shares of a quota its owner is told, in percent; and how many of them Q has reached. */
enum { MAIL_QUOTA_MARKS = 2 };
extern const unsigned mail_quota_marks[MAIL_QUOTA_MARKS];
unsigned mail_quota_level(const struct mail_quota *q);
/* FN is called when a change has brought an account with a quota to another level than before, and at its first change since it was opened. With locks
 * held: FN takes a note of ID and returns, false when it could not, and is called again at the next change. Before any account is opened. */
void mail_store_watch_quotas(struct mail_store *s, bool (*fn)(void *ctx, engine_part id), void *ctx);
/* Whether account ID has room for one more message of BYTES now: 0, ERR_REFUSED when not, ERR_LIMIT when such a message is more than it may keep even
 * alone, ERR_NOTFOUND. A look, not a reservation. */
int mail_account_room(struct mail_store *s, engine_part id, uint64_t bytes) MUST_USE;
/* Sets the limits (0: none). What is there already stays, even when it is more; nothing is added then. */
int mail_account_set_quota(struct mail_account *a, uint64_t bytes_max, uint64_t messages_max) MUST_USE;

/* --- mailboxes --- */

enum mail_special_use {
    MAIL_USE_NONE,
    MAIL_USE_ALL,
    MAIL_USE_ARCHIVE,
    MAIL_USE_DRAFTS,
    MAIL_USE_FLAGGED,
    MAIL_USE_JUNK,
    MAIL_USE_SENT,
    MAIL_USE_TRASH
};

enum {
    MAIL_NAME_MAX = 400,
    MAIL_LEVELS_MAX = 20,
    MAIL_MAILBOXES_MAX = 10000,
    MAIL_KEYWORDS_MAX = 56,
    MAIL_KEYWORD_BYTES_MAX = 64
};

struct mailbox_info {
    uint64_t id; /* never reused */
    str name;    /* UTF-8, levels separated by '/'; "INBOX" in this spelling */
    enum mail_special_use use;
    bool subscribed, has_children;
    bool exists; /* false: only a subscription or only names below it are left (NonExistent) */
    uint32_t uidvalidity, uidnext;
    uint32_t messages, unseen, recent;
    uint64_t bytes, modseq;
};

/* How many bytes at the start of NAME are INBOX, which has no case (RFC 3501 section 5.1), by itself or above others: 5 or 0. */
size_t mailbox_name_inbox(str name);
/* NAME in NFC, as new mailboxes are called (RFC 5198 section 2): itself, or in ROOM where that is another. Names are compared so: what a client writes decomposed, as
 * macOS does, and a mailbox from before that rule are found in either form. */
enum { MAIL_NAME_ROOM = 3 * MAIL_NAME_MAX };
str mailbox_name_composed(str name, char room[MAIL_NAME_ROOM]);
/* Whether A and B name the same mailbox. */
bool mailbox_name_same(str a, str b);
/* All mailboxes and subscriptions, sorted by name with INBOX first, in ARENA. */
int mailbox_list(struct mail_account *a, struct arena *arena, struct mailbox_info **ret, size_t *ret_n) MUST_USE;
/* One by name (INBOX in any case). ERR_NOTFOUND. */
int mailbox_find(struct mail_account *a, str name, struct arena *arena, struct mailbox_info *ret) MUST_USE;
/* Whether there is a mailbox NAME that messages can go to. True is no promise: it may come from a change that is not durable yet, so that nobody who
 * is about to append waits for the disk twice. */
bool mailbox_is_there(struct mail_account *a, str name) MUST_USE;
/* How many messages of mailbox NAME have \Deleted, and their sizes. ERR_NOTFOUND. */
int mailbox_count_deleted(struct mail_account *a, str name, uint32_t *ret_n, uint64_t *ret_bytes) MUST_USE;
/* NAME as it can be made, where mailbox_create answers ERR_SYNTAX because programs that keep mailboxes as folders have another use for one of its levels: with "_" behind
 * that. In ARENA; NAME itself where there is none. ERR_LIMIT. */
int mailbox_name_apart(str name, struct arena *arena, str *ret) MUST_USE;
/* Creates NAME and missing parents. ERR_EXISTS, ERR_SYNTAX for a bad name (E says why), ERR_LIMIT, ERR_REFUSED when NAME cannot
 * have the special USE: another mailbox has it, or it is \All or \Flagged, which no mailbox with messages of its own can be. */
int mailbox_create(struct mail_account *a, str name, enum mail_special_use use, struct error *e) MUST_USE;
/* Deletes NAME with its messages; children stay. ERR_NOTFOUND, ERR_REFUSED for INBOX. */
int mailbox_delete(struct mail_account *a, str name, struct error *e) MUST_USE;
/* Renames with all children (ERR_LIMIT for more than 450). Renaming INBOX moves its messages to a new mailbox and leaves INBOX
 * empty (RFC 3501 section 6.3.5); in several commits when there are many. Subscriptions stay as they are. */
int mailbox_rename(struct mail_account *a, str from, str to, struct error *e) MUST_USE;
/* Sets the subscription of NAME, which need not exist. */
int mailbox_subscribe(struct mail_account *a, str name, bool subscribed) MUST_USE;

/* --- entries --- */

/* Flags of an entry: system flags, then the mailbox's own keywords from bit 8. */
enum { MAIL_SEEN = 1, MAIL_ANSWERED = 2, MAIL_FLAGGED = 4, MAIL_DELETED = 8, MAIL_DRAFT = 16, MAIL_KEYWORD_BIT = 8 };

struct mail_entry {
    uint32_t uid;
    uint32_t size; /* bytes (RFC822.SIZE) */
    uint64_t flags;
    uint64_t modseq;
    uint64_t email : 40; /* id in the account */
    uint64_t sent : 24;  /* MAIL_SENT_EPOCH + day of the Date field where it was written; or one of the other two below */
    int64_t received_ms; /* INTERNALDATE: ms since 1970; its zone is UTC */
};
enum {
    MAIL_SENT_UNKNOWN = 0, /* not kept with this entry: the email's envelope has it */
    MAIL_SENT_NONE = 1,    /* there is no date that can be read */
    MAIL_SENT_EPOCH = 1 << 23,
    MAIL_SENT_MAX = (1 << 24) - 1
};
#define MAIL_EMAIL_MAX ((UINT64_C(1) << 40) - 1)

/* A set of flags by name, as a client gives it; keywords keep the spelling of their first use, compared without case. */
struct mail_flags {
    uint64_t system; /* MAIL_SEEN ... */
    const str *keywords;
    size_t keyword_n;
};

/* --- a selected mailbox: one session's view --- */

/* A view numbers the messages as this session has been told. It changes only in mail_view_sync. Not thread-safe (one session);
 * what it reads is shared with all sessions. */
struct mail_view;

/* Opens a view of mailbox NAME with all its messages. Unless READ_ONLY it takes the recent messages. WAKE(CTX) is called from
 * any thread when the mailbox may have changed (NULL: never); it must only do something cheap like conn_wake. ERR_NOTFOUND. */
int mail_view_open(struct mail_account *a, str name, bool read_only, void (*wake)(void *ctx), void *ctx,
                   struct mail_view **ret) MUST_USE;
void mail_view_close(struct mail_view *v);

struct mailbox_info mail_view_info(const struct mail_view *v); /* counts as this session has been told; name lives as long as V */
bool mail_view_read_only(const struct mail_view *v);
uint32_t mail_view_count(const struct mail_view *v);
uint32_t mail_view_recent(const struct mail_view *v);       /* how many have \Recent in this session */
uint32_t mail_view_first_unseen(const struct mail_view *v); /* sequence number, 0 when none */
/* The uid of sequence number SEQ (1 to count). */
uint32_t mail_view_uid(const struct mail_view *v, uint32_t seq);
/* The sequence number of the first message with uid >= UID, count + 1 when there is none. */
uint32_t mail_view_seq_from(const struct mail_view *v, uint32_t uid);
bool mail_view_is_recent(const struct mail_view *v, uint32_t seq);
/* The entry of SEQ as it is now in the store (its flags may be newer than announced). ERR_NOTFOUND when another session has
 * expunged it; then *RET is its last state where that is known. With its last entry an email's record goes: mail_email_get finds
 * it no more, but who has its struct mail_email can go on reading the body. */
int mail_view_entry(struct mail_view *v, uint32_t seq, struct mail_entry *ret) MUST_USE;
/* The keywords of the mailbox, index = bit - MAIL_KEYWORD_BIT, also those that were not announced yet (an entry's flags may
 * have them): call it after mail_view_entry. The list lives until mail_view_entry or mail_view_sync. */
const str *mail_view_keywords(const struct mail_view *v, size_t *ret_n);
/* Whether a new keyword would find room: places of keywords that no message has are given to others. May read the index. */
bool mail_view_takes_keywords(struct mail_view *v);

enum mail_change {
    MAIL_CHANGE_EXPUNGE,
    MAIL_CHANGE_FLAGS,
    MAIL_CHANGE_EXISTS,
    MAIL_CHANGE_RECENT,
    MAIL_CHANGE_KEYWORDS,
    MAIL_CHANGE_DELETED
};
/* Brings the view up to date with the store and calls FN for each difference: EXPUNGE (seq as numbered at that moment, highest
 * last as RFC 3501 wants each number to count), KEYWORDS (the mailbox knows new ones), FLAGS (seq; not for this view's own
 * silent changes), EXISTS (new count), RECENT, DELETED (the whole mailbox is gone: close the session's selection). With
 * ALLOW_EXPUNGE false expunges stay back until a later sync. While FN is told of an EXPUNGE, mail_view_uid(v, seq) is still
 * the uid of the message that goes; nothing else of the view may be asked then. */
int mail_view_sync(struct mail_view *v, bool allow_expunge, void (*fn)(void *ctx, enum mail_change change, uint32_t seq),
                   void *ctx) MUST_USE;

/* Calls FN with the uids [FROM, TO] that were expunged from the mailbox after modseq SINCE and up to what the view has been
 * told, ascending (RFC 7162 section 3.2.5.2). ERR_NOTFOUND when the change log does not reach back to SINCE (at least 20 000
 * changes of the account are kept): then everything that the client knows and the view does not has vanished. */
int mail_view_vanished(struct mail_view *v, uint64_t since, void (*fn)(void *ctx, uint32_t from, uint32_t to),
                       void *ctx) MUST_USE;

/* What STORE does: replace, add, remove. */
/* Different keywords that messages do without, because a mailbox has MAIL_KEYWORDS_MAX others in use, or because they are too long to be any. */
struct mail_dropped {
    size_t n;        /* bytes of names */
    bool more;       /* some that have no place there */
    char names[192]; /* a blank between two; printable */
};

enum mail_store_mode { MAIL_FLAGS_SET, MAIL_FLAGS_ADD, MAIL_FLAGS_REMOVE };
/* Changes flags of the messages with sequence numbers SEQS (ascending, N of them) in few commits, durable on return. Messages
 * expunged elsewhere are skipped and counted in *RET_MISSING. Messages whose modseq is above UNCHANGED_SINCE (UINT64_MAX: no
 * condition) are skipped and their SEQS written to MODIFIED (room for N; may be NULL). The changes appear in the next sync of
 * every view; in this one not when SILENT. Unknown keywords are created, in the place of one that no message has where there is no other;
 * when all are in use, or a keyword is too long to be one, it is left away and the rest done (RFC 3501 section 7.1: "the server will either ignore the
 * change ..."), as when mail is appended or copied: mail_view_dropped tells how many. */
int mail_view_store(struct mail_view *v, const uint32_t *seqs, size_t n, enum mail_store_mode mode,
                    const struct mail_flags *flags, bool silent, uint64_t unchanged_since, uint32_t *modified,
                    size_t *ret_modified_n, size_t *ret_missing) MUST_USE;
/* How many keywords the last mail_view_store of V left away. */
uint32_t mail_view_dropped(const struct mail_view *v);
/* Removes the messages with \Deleted among sequence numbers SEQS (all of the view when SEQS is NULL). They vanish from this
 * view at its next sync that allows expunges. */
int mail_view_expunge(struct mail_view *v, const uint32_t *seqs, size_t n) MUST_USE;

struct mail_uid_pair {
    uint32_t from, to;
};
/* Copies the messages SEQS to mailbox TARGET of the same account, flags and dates kept: all or nothing. PAIRS (room for N)
 * gets source and target uids of those that still existed, *RET_N of them. With MOVE they are removed from here in the same
 * commit. A move of more than 240 messages is done in several commits (RFC 6851 section 3.3: each message is moved whole):
 * *RET_N is right also on error. Keywords that TARGET has no room for are left away: mail_view_copy_dropped tells which.
 * ERR_NOTFOUND when there is no TARGET, ERR_REFUSED when the copies are more than the quota allows (a move never is). */
int mail_view_copy(struct mail_view *v, const uint32_t *seqs, size_t n, str target, bool move, struct mail_uid_pair *pairs,
                   size_t *ret_n, uint32_t *ret_uidvalidity) MUST_USE;
/* Which keywords some message of the last mail_view_copy of V does without, until the next; NULL: none. */
const struct mail_dropped *mail_view_copy_dropped(const struct mail_view *v);

/* --- emails --- */

struct mail_email {
    uint64_t id, thread;
    engine_blob blob;
    uint64_t size;
    int64_t received_ms;
    str structure;                /* bytes for structure_open */
    str fields;                   /* bytes for message_fields_open; empty: nothing is kept, look into the message */
    str prefix;                   /* its first bytes, which are not in the blob (see mail_recipient); mail_email_read knows */
    struct engine_reader *reader; /* keeps the blob, whoever expunges the message meanwhile */
};
/* The email with id EMAIL, structure in ARENA. ERR_NOTFOUND. What it returns ends with mail_email_done: until then its body can be read. */
int mail_email_get(struct mail_account *a, uint64_t email, struct arena *arena, struct mail_email *ret) MUST_USE;
/* Of an email of mail_email_get; a source goes on. */
void mail_email_done(struct mail_email *email);
/* Calls FN with the emails of N entries, in their order, as fast as the engine can scan. The email's structure lives until FN
 * returns. Non-zero from FN ends it. Emails gone meanwhile are skipped. Bodies
 * can be read until FN returns, by a source until that is closed. */
int mail_email_each(struct mail_account *a, const uint64_t *emails, size_t n,
                    int (*fn)(void *ctx, size_t i, const struct mail_email *email), void *ctx) MUST_USE;
/* The same for FN that needs the records only: nothing is copied, and FN is called while the engine scans, so that it must call nothing of the store, and
 * the emails have no reader. */
int mail_email_walk(struct mail_account *a, const uint64_t *emails, size_t n,
                    int (*fn)(void *ctx, size_t i, const struct mail_email *email), void *ctx) MUST_USE;
/* Bytes [OFFSET, OFFSET + N) of the message. */
int mail_email_read(struct mail_account *a, const struct mail_email *email, uint64_t offset, char *p, size_t n,
                    size_t *ret_n) MUST_USE;
/* The same as a source for stream_write_source; holds its own references. NULL never. */
struct source *mail_email_source(struct mail_account *a, const struct mail_email *email, uint64_t offset, uint64_t n);

/* --- bringing mail in --- */

/* A message on its way in, from APPEND or a delivery. Up to 1 MiB in memory; a larger one is a mapped file (see
 * mail_store_set_spool). */
struct mail_deposit;
/* For APPEND: collects bytes. */
struct mail_deposit *mail_deposit_new(struct mail_store *s, struct mail_account *owner);
int mail_deposit_write(struct mail_deposit *d, str bytes) MUST_USE;
/* For imports: NULs in places where none can be encoded become '?', rather than the message being refused with ERR_SYNTAX (M11). */
void mail_deposit_repair(struct mail_deposit *d);
/* For APPEND: a bare LF becomes CR LF, but in parts that say they are binary. */
void mail_deposit_repair_lines(struct mail_deposit *d);
/* For deliveries: a whole message that lives elsewhere, with its structure already parsed (checked here; ERR_CORRUPT also for a NUL). */
int mail_deposit_from(struct mail_store *s, str message, str structure, struct mail_deposit **ret, struct error *e) MUST_USE;
void mail_deposit_free(struct mail_deposit *d);
uint64_t mail_deposit_size(const struct mail_deposit *d);

/* What mail_append says when it refuses for a quota. */
#define MAIL_QUOTA_IS_USED_UP "the quota is used up"

/* Appends N deposits to mailbox NAME, all or none; *RET_UIDS (room for N). Where one commit cannot hold them they are written in several, the last of which shows all.
 * RECEIVED_MS INT64_MIN = now. Durable on return. ERR_NOTFOUND when there is no such mailbox,
 * ERR_REFUSED when they are more than the quota allows.
 * Parses the structure where it was not given; ERR_SYNTAX for NULs that cannot be encoded (M11). */
struct mail_append {
    struct mail_deposit *deposit;
    struct mail_flags flags;
    int64_t received_ms;
    uint32_t *ret_dropped; /* how many keywords were left away, where the mailbox had no room for them; NULL: nobody asks */
    struct mail_dropped *ret_names; /* which, of this one and those before it in the same call; NULL: nobody asks */
};
int mail_append(struct mail_account *a, str name, const struct mail_append *items, size_t n, uint32_t *ret_uids,
                uint32_t *ret_uidvalidity, struct error *e) MUST_USE;

/* A change that is ordered but not durable yet: nobody may be told of it before mail_pending_wait. */
struct mail_pending {
    struct mailbox *mailbox; /* a reference; NULL: nothing is pending */
    uint64_t epoch, modseq;
};
/* mail_append without the wait for the disk, so that who appends many messages waits once. */
int mail_append_begin(struct mail_account *a, str name, const struct mail_append *items, size_t n, uint32_t *ret_uids,
                      uint32_t *ret_uidvalidity, struct mail_pending *ret, struct error *e) MUST_USE;

/* Many messages that are appended together, in memory up to 1 MiB for all, else in one file without a name (see mail_store_set_spool), so that any number is held in
 * bounded memory: 8 bytes a message. Not thread-safe. */
struct mail_batch;
struct mail_batch *mail_batch_new(struct mail_store *s);
void mail_batch_free(struct mail_batch *b);
/* Adds the message of D, which is complete and stays the caller's, with FLAGS and RECEIVED_MS as in struct mail_append; parses it. ERR_SYNTAX for NULs that
 * cannot be encoded (M11). After an error B holds what it held. */
int mail_batch_add(struct mail_batch *b, struct mail_deposit *d, const struct mail_flags *flags, int64_t received_ms,
                   struct error *e) MUST_USE;
size_t mail_batch_count(const struct mail_batch *b);
/* Bytes of the messages; and of all that is kept of them here. */
uint64_t mail_batch_bytes(const struct mail_batch *b);
uint64_t mail_batch_kept(const struct mail_batch *b);
/* mail_append_begin of all in B, to which nothing can be added then. *RET_UID is the first message's, the others follow it without a gap. */
int mail_batch_append_begin(struct mail_account *a, str name, struct mail_batch *b, uint32_t *ret_uid, uint32_t *ret_uidvalidity,
                            struct mail_pending *ret, struct error *e) MUST_USE;
/* Which keywords its messages do without; as long as B. */
const struct mail_dropped *mail_batch_dropped(const struct mail_batch *b);

/* Waits until P of account A is durable and wakes who watches its mailbox; once for each. An error: nobody knows whether it was
 * kept. */
int mail_pending_wait(struct mail_account *a, struct mail_pending *p) MUST_USE;

struct mail_recipient {
    engine_part account;
    str address; /* as given in RCPT, for the trace */
    str mailbox; /* INBOX when empty */
    str prefix;  /* header lines (CRLF each) put before the message for this recipient: Return-Path, Delivered-To; may be empty */
    bool beyond_quota; /* whatever its quota says: for who has asked mail_account_room, where a refusal now would be too late */
    int result;        /* out: 0 or an error, per recipient; ERR_REFUSED: its quota is used up */
};
/* Delivers one message to N recipients. Parsed once; up to 64 KiB each partition gets a blob of its own, above that one shared
 * blob is held by tags (idempotent). Commits of different accounts run without waiting for each other and share the fsync.
 * Durable for every recipient whose result is 0 on return. Returns 0 when all results are 0, else the first error. */
int mail_deliver(struct mail_store *s, struct mail_deposit *d, struct mail_recipient *recipients, size_t n,
                 struct error *e) MUST_USE;

/* --- verification --- */

struct mail_check_report {
    uint64_t accounts, mailboxes, entries, emails, blobs, problems;
};
/* Verifies every invariant of account ID and calls PROBLEM for each violation (text names invariant and object). With DEEP
 * blobs are read and checksums verified. */
int mail_check(struct mail_store *s, engine_part id, bool deep, void (*problem)(void *ctx, const char *text), void *ctx,
               struct mail_check_report *report) MUST_USE;

#endif
