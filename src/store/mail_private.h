/* mail_private: an account in memory, and how its changes are made.
 *
 * One lock per account guards all that is here. Under it a change is built from the state in memory, committed without waiting
 * (engine_commit_unsynced, which compares the partition's version and so would notice another writer), and applied to the
 * state in memory. The waiting for the disk happens outside the lock, shared by all who wait. Hence the rules:
 *  P1  Nobody is told of a state whose modseq is above synced_modseq: account_settle waits for it.
 *  P2  The state in memory equals the partition's at version (but for who has seen recent messages, which is written with the
 *      next change); on ERR_CONFLICT, ERR_UNKNOWN or a new engine epoch it is loaded again.
 *  P3  The lock order is account, then nothing: the store's lock is never taken with an account's held, only try-locked the
 *      other way round.
 *  P4  A view holds no pointer into an index between calls, so that an index may be dropped at any time and read again. */
#ifndef VALISE_STORE_MAIL_PRIVATE_H
#define VALISE_STORE_MAIL_PRIVATE_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/map.h"
#include "message/binary.h"
#include "message/line_ends.h"
#include "store/codec.h"
#include "store/keys.h"

/* --- the store --- */

struct mail_store {
    struct engine *g;
    pthread_mutex_t lock;                        /* guards what follows */
    struct map accounts;                         /* by id */
    struct mail_account *newest, *oldest;        /* in order of last use */
    size_t bytes, bytes_max;                     /* of all accounts in memory */
    uint64_t changes_kept;                       /* of each account, in its log */
    int spool_dir;                               /* where large deposits lie, -1: memory files */
    bool (*quota_fn)(void *ctx, engine_part id); /* who is told of quotas; NULL: nobody */
    void *quota_ctx;
};

enum { MAIL_CACHE_BYTES = 96 << 20, MAIL_CHANGES_KEPT = 20000 };

/* --- a mailbox --- */

/* The keywords of a mailbox. Only ever added to, so that readers need no lock: n is read first. Where a name takes the place of one that no
 * message has any more, the mailbox gets another table, and its views take that over with the lock held. */
struct keyword_table {
    _Atomic unsigned refs;
    _Atomic uint32_t n;
    str list[MAIL_KEYWORDS_MAX]; /* bytes on the heap */
};
struct keyword_table *keyword_table_ref(struct keyword_table *t);
void keyword_table_unref(struct keyword_table *t);
void keyword_table_add(struct keyword_table *t, str keyword);

/* What happened lately to a watched mailbox, so that its views find what is new without looking at all messages. */
struct mailbox_event {
    uint64_t modseq;
    uint32_t uid;
    uint32_t kind; /* enum change_kind: APPEND, FLAGS or EXPUNGE */
};
enum { MAILBOX_RING = 128, MAILBOX_GHOSTS_MAX = 4096 };
struct mailbox_ring {
    uint64_t floor; /* all events above this modseq are here */
    uint64_t next;  /* events ever written; the last MAILBOX_RING are kept */
    struct mailbox_event list[MAILBOX_RING];
};

struct mailbox {
    unsigned refs; /* the account's table and views */
    uint64_t id;
    str name; /* heap */
    enum mail_special_use use;
    uint32_t uidvalidity;
    struct mail_counters c;
    bool gone;                      /* deleted */
    struct keyword_table *keywords; /* NULL until it has one or a view is opened */
    uint32_t keywords_stored;       /* how many of them the partition has: fewer after a commit was lost */
    struct mail_entry *index;       /* sorted by uid; NULL: not loaded */
    size_t index_n, index_cap;
    struct mailbox_ring *ring; /* NULL unless there are views */
    struct mail_view *views;
    struct mail_entry *ghosts; /* last states of messages that were expunged while views were open */
    size_t ghost_n;
};
/* Its table, made when it has none. */
struct keyword_table *mailbox_keywords(struct mailbox *mb);
static inline uint32_t mailbox_keyword_n(const struct mailbox *mb)
{
    return mb->keywords ? atomic_load(&mb->keywords->n) : 0;
}
void mailbox_ref(struct mailbox *mb);
void mailbox_unref(struct mail_account *a, struct mailbox *mb);

/* Index (index.c). All with the account's lock held. */
int mailbox_index_load(struct mail_account *a, struct mailbox *mb) MUST_USE;
void mailbox_index_drop(struct mail_account *a, struct mailbox *mb);
/* The position of UID or of the next one above; index_n when there is none. HINT is where it may be. */
size_t mailbox_index_find(const struct mailbox *mb, uint32_t uid, size_t hint);
/* The entry of UID or NULL. */
struct mail_entry *mailbox_index_get(const struct mailbox *mb, uint32_t uid, size_t hint);
void mailbox_ring_reset(struct mailbox *mb);
void mailbox_ring_add(struct mailbox *mb, enum change_kind kind, uint32_t uid, uint64_t modseq);
const struct mail_entry *mailbox_ghost(const struct mailbox *mb, uint32_t uid);

/* Names (mailbox_name.c). */
/* NAME with INBOX in its one spelling; in ROOM where that is another one. */
str mailbox_name_proper(str name, char room[MAIL_NAME_MAX]);
/* What a new name may not be although an old one may: ERR_SYNTAX. */
int mailbox_name_check_new(str name, struct error *e) MUST_USE;
/* NAME with INBOX in its one spelling, in ARENA; ERR_SYNTAX with E set when it cannot be a mailbox's name. */
int mailbox_name_normalize(str name, struct arena *arena, str *ret, struct error *e) MUST_USE;
/* Order: INBOX first, then by bytes with '/' lowest, so that children follow their parent. */
int mailbox_name_cmp(str a, str b);
/* Whether CHILD is below PARENT. */
bool mailbox_name_below(str child, str parent);

/* --- an account --- */

struct mail_account {
    struct mail_store *store;
    engine_part id;
    unsigned refs;                      /* store's lock */
    struct mail_account *newer, *older; /* store's lock */

    pthread_mutex_t lock;
    bool loaded;
    uint64_t epoch, version; /* of the engine and the partition, as loaded */
    struct header_record h;
    uint64_t synced_modseq;
    struct mailbox **mailboxes; /* sorted by name */
    size_t mailbox_n, mailbox_cap;
    str *subs; /* subscribed names, sorted; heap */
    size_t sub_n;
    bool pending; /* a large copy or append was cut off: take it back before the next change */
    struct pending_record pending_at;
    uint64_t *doomed; /* deleted mailboxes with entries left */
    size_t doomed_n;
    uint32_t doomed_from;        /* the last of them has no entries below this uid */
    unsigned quota_told;         /* 1 + the level of the quota that was told last; 0: none yet */
    size_t index_bytes, charged; /* memory of indexes; memory that the store has been told of */
};

/* Locks A with its state loaded and current. On error it is not locked. ERR_NOTFOUND when the account does not exist. */
int account_enter(struct mail_account *a) MUST_USE;
/* The same for changes: leftovers of large operations are cleared first, those of deleted mailboxes a bit at a time. */
int account_enter_write(struct mail_account *a) MUST_USE;
/* The same for reading: all that is seen is durable. */
int account_enter_durable(struct mail_account *a) MUST_USE;
void account_leave(struct mail_account *a);
/* With the lock held: waits until all up to MODSEQ is durable. The lock is given up meanwhile, so look again at everything; it
 * is held again on return, also on error, when nothing but account_leave may follow. */
int account_settle(struct mail_account *a, uint64_t modseq) MUST_USE;
/* The same for everything without giving the lock up: for those who would wait for ever because others keep committing. */
int account_settle_held(struct mail_account *a) MUST_USE;
/* After account_leave: waits until the change made at EPOCH that ended with MODSEQ is durable. */
int account_wait(struct mail_account *a, uint64_t epoch, uint64_t modseq) MUST_USE;
/* Forgets the state in memory; it is loaded again when next entered. Lock held. */
void account_drop(struct mail_account *a);
/* The one called NAME, INBOX in any case; else one whose name differs in composition only (mailbox_name_composed). NULL. */
struct mailbox *account_mailbox(struct mail_account *a, str name);
struct mailbox *account_mailbox_by_id(struct mail_account *a, uint64_t id);
/* After a change: tells whoever watches when the quota's level is another. Lock held. */
void account_tell_quota(struct mail_account *a);
/* Whether MESSAGES of together BYTES may be added: ERR_REFUSED when the quota does not allow it. Lock held. */
int account_check_quota(const struct mail_account *a, uint64_t messages, uint64_t bytes) MUST_USE;
/* Puts MB into the table (which gets a reference), takes it out. */
void account_insert(struct mail_account *a, struct mailbox *mb);
void account_remove(struct mail_account *a, struct mailbox *mb);
struct mailbox *mailbox_new(struct mail_account *a, uint64_t id, str name, enum mail_special_use use, uint32_t uidvalidity);
bool account_is_subscribed(const struct mail_account *a, str name);
void account_set_subscribed(struct mail_account *a, str name, bool subscribed);
/* Removes a part of what the last of the deleted mailboxes (doomed_n > 0) has left. Lock held. */
int account_purge(struct mail_account *a) MUST_USE;

/* --- a change --- */

struct update_op {
    struct mailbox *mb;
    enum change_kind kind;
    uint64_t old_flags;
    struct mail_entry e;
};
struct update_mailbox {
    struct mailbox *mb;
    struct mail_counters c; /* as they will be */
    bool full;              /* name and uidvalidity are written too */
};

/* One commit on an account, built under its lock. Operations of one kind on one mailbox come in order of uid. */
struct update {
    struct mail_account *a;
    struct engine_txn *t;
    unsigned ops;           /* operations so far */
    size_t bytes;           /* of values so far */
    struct header_record h; /* as it will be; h.modseq is this change's */
    struct update_op *list, first[4];
    size_t n, cap;
    struct update_mailbox touched[2];
    unsigned touched_n;
    struct buf scratch, log;
};
/* What fits one commit, with room left for header, counters and log. */
enum { UPDATE_OPS_MAX = ENGINE_TXN_OPS_MAX - 40, UPDATE_BYTES_MAX = ENGINE_TXN_MAX - 160 * 1024 };

void update_begin(struct update *u, struct mail_account *a);
void update_put(struct update *u, const struct key *k, str value);
void update_del(struct update *u, const struct key *k);
/* The counters of MB as this change will leave them. */
struct mail_counters *update_counters(struct update *u, struct mailbox *mb);
/* A new entry; its uid and modseq are set here. WRITTEN: its row is there already. */
void update_append(struct update *u, struct mailbox *mb, struct mail_entry *e, bool written);
void update_flags(struct update *u, struct mailbox *mb, const struct mail_entry *old, uint64_t flags);
/* Removes an entry; its email is the caller's affair (emails_release). */
void update_expunge(struct update *u, struct mailbox *mb, const struct mail_entry *e);
/* Adds an item without uids to the log. */
void update_note(struct update *u, enum change_kind kind, uint64_t mailbox);
/* Commits, applies the change to the state in memory and ends U in every case. On failure the state is as before, or dropped
 * where it may be wrong (ERR_CONFLICT: enter again and retry). */
int update_commit(struct update *u) MUST_USE;
void update_abort(struct update *u);
/* Puts an entry, with its uid and modseq, into mailbox ID where nobody looks: from its uidnext on. */
void update_put_entry(struct update *u, uint64_t id, const struct mail_entry *e);
/* Puts the record of entries that nobody sees yet, so that they are taken back if the change that shows them never comes. */
void update_pend(struct update *u, const struct pending_record *p);
/* Commits U's rows alone, and ids given out: nothing that anybody could have seen has changed. Ends U in every case, as update_commit. */
int update_commit_unseen(struct update *u) MUST_USE;
/* The change that shows them: takes the record away, commits. */
int update_commit_pending(struct update *u) MUST_USE;

/* Wakes the views of mailbox MB (lock not held), which must be referenced by the caller; not SELF. */
void mailbox_wake(struct mail_account *a, struct mailbox *mb, const struct mail_view *self);

/* --- emails and threads (email.c, thread.c) --- */

/* What a message is threaded by: hashes of its Message-ID and of those it answers. */
struct thread_refs {
    uint64_t list[EMAIL_REFS_MAX];
    unsigned n;
};
int thread_refs_of(str structure, uint64_t size, struct thread_refs *ret) MUST_USE;

/* What else of a message is kept beside its structure (fields.c). */
struct email_summary {
    size_t header_n; /* bytes of its header, the empty line included */
    uint32_t sent;   /* of struct mail_entry, never MAIL_SENT_UNKNOWN */
};
/* Of the message of SIZE bytes with STRUCTURE. ERR_CORRUPT when they do not fit. */
int email_summary_of(str structure, uint64_t size, struct email_summary *ret) MUST_USE;
/* Puts into OUT, which is emptied, the header fields that go with a record: of PREFIX followed by HEADER; none where the record, with a structure of STRUCTURE_N
 * bytes, has no room for them. */
void email_fields_write(str prefix, str header, size_t structure_n, struct buf *out);

/* The thread rows that a change touches, each read once. */
struct thread_row {
    uint64_t hash, thread, emails;
    bool changed, existed;
};
struct thread_rows {
    struct thread_row *list;
    size_t n, cap;
};
/* Reads the rows of HASHES that are not yet in ROWS. */
int thread_rows_read(struct mail_account *a, struct thread_rows *rows, const uint64_t *hashes, size_t n) MUST_USE;
/* Counts an email with REFS in, and returns its thread: that of the first row there is, else its own id. */
uint64_t thread_rows_join(struct thread_rows *rows, const struct thread_refs *refs, uint64_t email);
void thread_rows_part(struct thread_rows *rows, const uint64_t *hashes, size_t n);
void thread_rows_write(struct thread_rows *rows, struct update *u);
void thread_rows_done(struct thread_rows *rows);

/* One entry less for each of the N emails: the last one takes the email with it. At most RELEASE_MAX at a time. */
enum { RELEASE_MAX = 100 };
int emails_release(struct update *u, const uint64_t *emails, size_t n) MUST_USE;
/* One entry more for each. */
int emails_retain(struct update *u, const uint64_t *emails, size_t n) MUST_USE;

/* A new email: its record, its link, its thread, and its entry in MB. The thread rows of REFS must have been read. */
struct new_email {
    engine_blob blob; /* to be linked, unless BYTES are given */
    str bytes;        /* of a small message, which goes into the change itself; p == NULL: it has been put */
    uint64_t size;
    int64_t received_ms;
    str prefix, structure, fields;
    uint32_t sent; /* of struct mail_entry */
    const struct thread_refs *refs;
    uint64_t flags;
};
/* Its record, link and thread alone: the entry that goes with them in *RET, without uid and modseq. */
void update_put_email(struct update *u, struct thread_rows *rows, const struct new_email *n, struct mail_entry *ret);
/* Returns the uid. */
uint32_t update_new_email(struct update *u, struct mailbox *mb, struct thread_rows *rows, const struct new_email *n);

/* --- flags --- */

/* The keywords that a mailbox will have after a change. Lock held from the beginning to the end. */
struct keyword_plan {
    struct mail_account *a;
    struct mailbox *mb;
    str list[MAIL_KEYWORDS_MAX]; /* views of the table and of what the change brings */
    uint32_t n;
    uint64_t used; /* flags that the change gives to messages and, once LOOKED, that messages have */
    bool looked;
    bool reuses;               /* a name has taken the place of one that was not used */
    uint32_t dropped;          /* keywords that messages do without (MAIL_FLAGS_OR_DROP) */
    struct mail_dropped names; /* of these */
};
/* Adds KEYWORD to D, once. */
void mail_dropped_add(struct mail_dropped *d, str keyword);
void keyword_plan_begin(struct keyword_plan *p, struct mail_account *a, struct mailbox *mb);
/* The flag of KEYWORD, which becomes one of the mailbox's; in a full mailbox in the place of one that no message has. ERR_LIMIT when all
 * are in use, or as mailbox_index_load. */
int keyword_plan_add(struct keyword_plan *p, str keyword, uint64_t *ret_flag) MUST_USE;
/* Whether one more would find a place. */
int keyword_plan_has_room(struct keyword_plan *p, bool *ret) MUST_USE;

enum mail_flags_new {
    MAIL_FLAGS_KNOWN,   /* unknown keywords are passed over, */
    MAIL_FLAGS_OR_DROP, /* added, or passed over where there is no room: no message is refused for them (RFC 3501 section 7.1) */
};
/* The bits of FLAGS in P's mailbox. */
int mail_flags_resolve(struct keyword_plan *p, const struct mail_flags *flags, enum mail_flags_new new,
                       uint64_t *ret_bits) MUST_USE;
/* Writes the keywords of P; after the commit mail_flags_adopt puts them into the table. */
void mail_flags_write(struct update *u, const struct keyword_plan *p);
void mail_flags_adopt(struct keyword_plan *p);

/* --- large operations (copy.c) --- */

/* Takes back what a copy or an append that was cut off has written. Lock held. */
int account_rollback(struct mail_account *a) MUST_USE;
/* Moves all messages of FROM to TO, in several commits where one cannot hold them. Lock held, given up on error only by the
 * caller. *RET_MODSEQ is the last change's. */
int mailbox_move_all(struct mail_account *a, struct mailbox *from, struct mailbox *to) MUST_USE;

/* --- deposits (deposit.c) --- */

struct mail_deposit {
    struct mail_store *store;
    struct buf memory; /* while small */
    int fd;            /* else a file without a name; -1 */
    char *map;         /* of it */
    str message;       /* the whole, once complete */
    uint64_t size;
    struct buf structure;
    struct thread_refs refs;
    struct email_summary summary;
    bool ready;   /* complete, parsed, checked */
    bool foreign; /* MESSAGE lives elsewhere */
    bool repair;  /* see mail_deposit_repair */
    bool repair_lines;
};
/* An empty one, for the caller to free. */
struct mail_deposit *deposit_new(struct mail_store *s);
/* Sets MESSAGE to all that was written: nothing may be written any more. Maps it where it is in a file. */
int deposit_complete(struct mail_deposit *d, struct error *e) MUST_USE;
/* Ends the collecting: maps, parses where needed, finds the thread references. */
int deposit_finish(struct mail_deposit *d, struct error *e) MUST_USE;
/* Whether a message of BYTES is put with the change that stores it. */
static inline bool deposit_is_small(uint64_t bytes)
{
    return bytes <= ENGINE_TXN_BLOB_MAX;
}
/* The header of a deposit that is ready. */
static inline str deposit_header(const struct mail_deposit *d)
{
    return str_sub(d->message, 0, d->summary.header_n);
}
int deposit_put_blob(struct mail_deposit *d, engine_part owner, engine_blob *ret) MUST_USE;

/* --- messages that are appended (append.c, batch.c) --- */

/* One of them, complete and parsed; all it points to is the giver's. */
struct incoming {
    str message, structure;
    struct thread_refs refs;
    struct email_summary summary;
    struct mail_flags flags;
    int64_t received_ms;   /* INT64_MIN: now */
    uint32_t *ret_dropped; /* see struct mail_append */
    struct mail_dropped *ret_names;
};
/* The deposit D, which is ready. */
void incoming_of(const struct mail_deposit *d, struct incoming *ret);
/* Ends the adding: the messages can be read, and read again from the first on. */
int batch_finish(struct mail_batch *b, struct error *e) MUST_USE;
/* What mail_batch_dropped tells of them, besides keywords that are too long. */
void batch_set_dropped(struct mail_batch *b, const struct mail_dropped *d);
/* Message I of B, which is finished; its keywords are in ARENA. May give back memory of the messages before, which are read again from the disk when asked for. */
int batch_get(struct mail_batch *b, size_t i, struct arena *arena, struct incoming *ret) MUST_USE;

#endif
