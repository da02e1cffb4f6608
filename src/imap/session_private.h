/* session_private: one IMAP connection, as session.c, commands.c and the cmd_ files see it.
 *
 * Invariants:
 *  S1  at most one command runs; its memory is the arena, its work and the frame's unit, all given back when its tagged answer is
 * out.
 *  S2  view is not NULL exactly in the selected state; account is not NULL exactly when somebody is logged in.
 *  S3  the numbers that the client knows change only in imap_updates_collect, which no command calls before its own answers are
 *      written (RFC 3501 section 7.4.1).
 *  S4  a handler stops when stream_is_full: what is queued for a peer that does not read is bounded.
 *  S5  no answer of held is sent before its change is durable; none is held while the session waits for input.
 *  S6  no command begins once the login was taken back (conn_is_ended). */
#ifndef VALISE_IMAP_SESSION_PRIVATE_H
#define VALISE_IMAP_SESSION_PRIVATE_H

#include "imap/frame.h"
#include "imap/imap.h"
#include "imap/syntax.h"
#include "imap/write.h"
#include "sasl/sasl.h"

enum {
    IMAP_ID_TOLD_MAX = 90, /* bytes of the name and of the version in ID that the log gets */
    IMAP_LINE_MAX = 64 * 1024,
    IMAP_LITERALS_MAX = 256 * 1024,
    /* The largest ID fits, 30 pairs of 30 and 1 024 octets (RFC 2971 section 3.3), each of them escaped or all in literals; and so does a
     * SASL response of 12 288 octets (RFC 4954 section 4's figure). */
    IMAP_LINE_MAX_NOT_AUTHENTICATED = 64 * 1024,
    IMAP_LITERALS_MAX_NOT_AUTHENTICATED = 32 * 1024,
    IMAP_ARENA_MAX = 64 * 1024 * 1024, /* sequence numbers and UID pairs of a mailbox of a million messages */
    IMAP_AHEAD_MAX = 64 * 1024,
    IMAP_OUT_MAX = 16 * 1024 * 1024,
    IMAP_OUT_PIECE = 16 * 1024,    /* the stream gets answers in pieces of about this size */
    IMAP_IDLE_MS = 30 * 60 * 1000, /* RFC 3501 section 5.4: at least 30 minutes */
    IMAP_LOGIN_MS = 60 * 1000,
    IMAP_BODY_RATE = 100, /* bytes a second that a message must come in with */
    IMAP_LOGINS_MAX = 10  /* failed ones before BYE */
};

enum imap_state { IMAP_NOT_AUTHENTICATED = 1, IMAP_AUTHENTICATED = 2, IMAP_SELECTED = 4, IMAP_LOGGED_OUT = 8 };

/* What a handler wants next. */
enum imap_next {
    IMAP_DONE, /* the tagged answer is set: send updates, then it */
    IMAP_MORE, /* call resume again when the peer has read */
    IMAP_LINE, /* a continuation request is out; line gets the next line */
    IMAP_HOLD, /* wait until hold_until, then call resume */
    IMAP_TLS   /* begin TLS after the tagged answer */
};

enum imap_step {
    IMAP_STEP_READ,
    IMAP_STEP_RESUME,
    IMAP_STEP_HOLD,
    IMAP_STEP_UPDATES,
    IMAP_STEP_SETTLE,
    IMAP_STEP_TLS,
    IMAP_STEP_CLOSE
};

struct imap_session;

enum { IMAP_CMD_UID = 1, IMAP_CMD_NO_EXPUNGE = 2, IMAP_CMD_NO_ARGUMENTS = 4 };

struct imap_command {
    str name;
    unsigned states; /* enum imap_state bits in which it is allowed */
    unsigned flags;  /* IMAP_CMD_ */
    str usage;       /* of its arguments, for BAD */
    str capability;  /* what CAPABILITY says because of it, or empty */
    enum imap_next (*run)(struct imap_session *s, struct scan *args);
    const char *rfc;
};

/* The messages that APPEND brings, one or more (RFC 3502). So many are taken of any size; each counts with at least IMAP_APPEND_COST bytes where there are more. */
enum { IMAP_APPENDS_MIN = 64, IMAP_APPEND_COST = 1024 };
struct imap_append_work {
    str mailbox;
    struct mail_append last;  /* the one whose bytes come */
    struct mail_batch *batch; /* those before it; NULL: it is the first */
    struct arena arena;       /* flags of the last, unless it is the first */
    size_t n;
    uint64_t bytes;   /* of all messages, as announced */
    int result;       /* of writing and parsing them so far */
    struct error why; /* of result */
    bool literal8;    /* the last announcement is one (RFC 3516) */
    bool has_nul;     /* in a literal that is no literal8 */
    size_t unit_n;    /* length of the unit with the first announcement: nothing but a further message may follow */
};

/* Updates that were collected from the view and are not sent yet: EXPUNGE and FLAGS in order, the rest as last known. */
struct imap_updates {
    uint64_t *list; /* enum mail_change << 32 | sequence number */
    size_t n, cap, sent;
    bool keywords, exists, recent, deleted;
    bool active;   /* collected, not all sent */
    bool vanished; /* what was expunged is in the list by UID (RFC 7162 section 3.2.10) */
};

/* Tagged answers of APPEND that wait for the disk, so that those which a client pipelines share its syncs (acknowledge.c). */
enum { IMAP_HELD_MAX = 64 };
struct imap_held {
    struct imap_held_answer {
        struct mail_pending pending;
        size_t tag, end; /* the tag ends here in text, and the answer */
    } answers[IMAP_HELD_MAX];
    size_t n;
    struct buf text; /* tag, answer, tag, answer ... */
    bool settled;    /* the disk has been waited for */
    int results[IMAP_HELD_MAX];
    enum imap_step next;         /* after it */
    enum imap_frame_event event; /* of the unit that waits until all is answered */
};

struct imap_session {
    struct conn *conn;
    struct stream *stream;
    const struct imap_config *config;
    enum imap_state state;
    enum imap_step step;

    struct imap_frame frame;
    struct buf ahead; /* input read while an answer was held */
    struct buf out;   /* answers on their way to the stream */

    /* the running command */
    const struct imap_command *command;
    bool uid; /* with UID in front */
    char tag[256];
    size_t tag_n;
    struct arena arena;
    struct buf answer;   /* the tagged one: "OK NOOP completed" */
    const char *refusal; /* answer to a refused literal */
    enum imap_next (*resume)(struct imap_session *s);
    enum imap_next (*line)(struct imap_session *s, str line);
    void *work;                      /* in the arena */
    struct imap_append_work *append; /* in the arena */
    struct mail_pending pending;     /* what the tagged answer waits for */
    struct imap_held *held;          /* NULL: nothing is */
    struct sasl_server *sasl;
    int64_t hold_until; /* monotonic */
    bool idling;
    struct imap_updates updates;

    bool condstore;         /* the client knows CONDSTORE: each FETCH answer about flags tells UID and modseq (RFC 7162) */
    bool qresync;           /* and QRESYNC: VANISHED instead of EXPUNGE */
    bool numbers_hold;      /* this UID command knows messages by number: no expunges are told during it */
    uint64_t expunged_told; /* expunged + 1 when an EXPUNGE or MOVE began whose answer tells the new modseq; 0: not */

    struct mail_account *account;
    struct buf user;   /* canonical address */
    str mechanism;     /* by which it logged in; static */
    struct buf client; /* what it says it is (ID), for the log */
    struct mail_view *view;

    bool stopping, bye;                             /* bye: BYE is out */
    unsigned errors, errors_counted, failed_logins; /* counted: what the limits know of */
    uint64_t commands, fetched, appended, expunged;
};

static inline str imap_tag(const struct imap_session *s)
{
    return (str){ s->tag, s->tag_n };
}

#define IMAP_NO_UTF7                                                                                                             \
    "[CANNOT] The mailbox name is not in modified UTF-7; write & as &-, and what is not ASCII as RFC 3501 section 5.1.3 says"

/* --- answers: set the tagged answer of the running command; all return IMAP_DONE --- */

enum imap_next imap_ok(struct imap_session *s); /* "OK NAME completed" */
enum imap_next imap_ok_text(struct imap_session *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Goes on with an OK, of STORE's kind: which keywords D, NULL or none, the messages do without (RFC 3501 section 7.1: "the server will either ignore
 * the change ..."). */
void imap_ok_without(struct imap_session *s, const struct mail_dropped *d);
enum imap_next imap_no(struct imap_session *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
enum imap_next imap_bad(struct imap_session *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* BAD with the command's usage, NO for a name that no mailbox can have; R is what a parser returned. */
enum imap_next imap_bad_arguments(struct imap_session *s, int r);
/* Answers NO [OVERQUOTA] (RFC 9208 section 4.3.1) with whose quota it is. */
enum imap_next imap_over_quota(struct imap_session *s);
/* NO by the class of error CODE, E's text in it (may be NULL). The one place where errors become response codes (RFC 5530). */
enum imap_next imap_fail(struct imap_session *s, int code, const struct error *e);
/* The same where a missing mailbox could be created: [TRYCREATE]. */
enum imap_next imap_fail_target(struct imap_session *s, int code);
/* BYE and the end. */
void imap_bye(struct imap_session *s, const char *text);

/* Gives what s->out holds to the stream. */
void imap_out_flush(struct imap_session *s);
/* Adds BYTES, of any size, to the answer. */
void imap_out_add(struct imap_session *s, str bytes);
/* Whether a producer must stop (S4); flushes s->out first when it has grown. */
bool imap_out_is_full(struct imap_session *s);

/* --- answers that wait for the disk (acknowledge.c) --- */

/* Puts the tagged answer aside until s->pending is durable, behind those that are held already. */
void imap_answer_hold(struct imap_session *s);
/* Whether EVENT of the present unit has to wait until what is held has been answered: all but a further APPEND on its way. */
bool imap_answers_precede(const struct imap_session *s, enum imap_frame_event event);
/* Waits for the disk, sends what changed in the selected mailbox, then what is held. ERR_AGAIN: the peer must read first. */
int imap_answers_settle(struct imap_session *s) MUST_USE;
/* The end of the connection: what was appended is still seen by other sessions. */
void imap_answers_drop(struct imap_session *s);

/* --- views --- */

/* Closes the view and goes back to the authenticated state. */
void imap_deselect(struct imap_session *s);
/* Resolves a sequence set (or UIDs, as the command says) to ascending disjoint ranges of sequence numbers. ERR_SYNTAX for a
 * number above the count (RFC 3501 section 9: seq-number), ERR_LIMIT. */
int imap_set_resolve(struct imap_session *s, const struct imap_set *set, bool uid, struct imap_set *ret) MUST_USE;
/* All numbers of resolved SET in an array of the arena. */
int imap_set_expand(struct imap_session *s, const struct imap_set *set, uint32_t **ret, size_t *ret_n) MUST_USE;
bool imap_set_has(const struct imap_set *set, uint32_t number);
/* Whether the selected mailbox may be changed; sets the answer when not. */
bool imap_check_writable(struct imap_session *s);

/* Collects what changed, then sends it. 0 when all is out, ERR_AGAIN when the stream is full. */
int imap_updates_collect(struct imap_session *s, bool allow_expunge) MUST_USE;
int imap_updates_send(struct imap_session *s) MUST_USE;
/* "* n FETCH (" [FLAGS] [MODSEQ] [UID] ")" CRLF of an entry: MODSEQ and UID where CONDSTORE is known, FLAGS where FLAGS says so. */
void imap_write_update(struct imap_session *s, uint32_t seq, bool flags);
/* A CONDSTORE enabling command (RFC 7162 section 3.1): the first one is told the mailbox's highest modseq. */
void imap_condstore_enable(struct imap_session *s);
/* "* OK [HIGHESTMODSEQ n]" of the view. */
void imap_write_highest_modseq(struct imap_session *s);
/* --- resync.c --- */

/* "* VANISHED (EARLIER)" of what was expunged since modseq SINCE, of UIDs (n 0: all) and above FLOOR (RFC 7162 section 3.2.6). */
int imap_write_vanished(struct imap_session *s, uint64_t since, const struct imap_set *uids, uint32_t floor) MUST_USE;
/* Begins to tell a client that knows the mailbox as PARAMS say what has changed (RFC 7162 section 3.2.5); imap_fetch_write ends
 * it. */
int imap_resync(struct imap_session *s, const struct imap_select_params *params) MUST_USE;

/* "* STATUS mailbox (...)" of INFO with ITEMS (enum imap_status_item). */
void imap_write_status(struct imap_session *s, const struct mailbox_info *info, unsigned items);
/* "* FLAGS (...)" and "* OK [PERMANENTFLAGS (...)]" of the view. */
void imap_write_mailbox_flags(struct imap_session *s);

/* Whether TLS protects the session or need not. */
bool imap_login_allowed(const struct imap_session *s);
/* Has the credentials of MECHANISM decided on and logs in, at once or when the answer has been held long enough (RFC 3501 sections
 * 6.2.2 and 6.2.3). PROOF, unless empty, is the server's own, sent before the last answer. All live as long as the command. */
enum imap_next imap_login(struct imap_session *s, const struct sasl_credentials *c, str mechanism, str proof);
/* "IMAP4rev1 ..." for this state (commands.c). */
void imap_write_capabilities(struct imap_session *s, struct buf *b);

/* --- commands.c --- */

const struct imap_command *imap_command_find(str name);
/* All rows; *RET_N of them. */
const struct imap_command *imap_commands(size_t *ret_n);

/* APPEND's literal: whether the announced one is the message; then the answer to it was set or its bytes are diverted
 * (cmd_append.c). */
bool imap_append_announced(struct imap_session *s);
/* Takes bytes of the message. */
void imap_append_write(struct imap_session *s, str bytes);
void imap_append_drop(struct imap_session *s);

#define IMAP_HANDLER(name) enum imap_next imap_cmd_##name(struct imap_session *s, struct scan *args)
IMAP_HANDLER(append);
IMAP_HANDLER(authenticate);
IMAP_HANDLER(capability);
IMAP_HANDLER(check);
IMAP_HANDLER(close);
IMAP_HANDLER(copy);
IMAP_HANDLER(create);
IMAP_HANDLER(delete);
IMAP_HANDLER(enable);
IMAP_HANDLER(examine);
IMAP_HANDLER(expunge);
IMAP_HANDLER(fetch);
IMAP_HANDLER(getquota);
IMAP_HANDLER(getquotaroot);
IMAP_HANDLER(id);
IMAP_HANDLER(idle);
IMAP_HANDLER(list);
IMAP_HANDLER(login);
IMAP_HANDLER(logout);
IMAP_HANDLER(lsub);
IMAP_HANDLER(move);
IMAP_HANDLER(namespace);
IMAP_HANDLER(noop);
IMAP_HANDLER(rename);
IMAP_HANDLER(search);
IMAP_HANDLER(select);
IMAP_HANDLER(starttls);
IMAP_HANDLER(status);
IMAP_HANDLER(store);
IMAP_HANDLER(subscribe);
IMAP_HANDLER(unselect);
IMAP_HANDLER(unsubscribe);

#endif
