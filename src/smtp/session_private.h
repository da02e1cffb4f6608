/* session_private: the SMTP server session, shared by session.c, commands.c, transaction.c and the cmd_*.c files. */
#ifndef VALISE_SMTP_SESSION_PRIVATE_H
#define VALISE_SMTP_SESSION_PRIVATE_H

#include "base/map.h"
#include "sasl/sasl.h"
#include "smtp/data.h"
#include "smtp/header.h"
#include "smtp/reply.h"

enum {
    SMTP_IDLE_MS = 300 * 1000, /* RFC 5321 section 4.5.3.2.7: at least 5 minutes */
    SMTP_BODY_RATE = 100,      /* bytes per second that a message must come in with, unless it is typed by hand */
    SMTP_AUTH_FAILURES_MAX = 3,
    SMTP_AUTH_PATIENCE_MS = 30000,         /* for a place to check a password */
    SMTP_UNWELCOME_MS = 30 * 1000,         /* for QUIT of a peer that is not served */
    SMTP_ADDED_MAX = 2048,                 /* bytes that the server puts on top of a message, about */
    SMTP_CHUNKS_MAX = 100000,              /* of one message */
    SMTP_CHUNK_DROP_MAX = 8 * 1024 * 1024, /* bytes beyond the size limit that are read to be dropped */
    SMTP_HELO_MAX = 255
};

/* What the session is reading, or waiting for. */
enum smtp_mode {
    SMTP_MODE_COMMAND,
    SMTP_MODE_AUTH, /* a response of a SASL exchange */
    SMTP_MODE_HELD, /* nothing: the answer to AUTH is held back until the deadline */
    SMTP_MODE_DATA, /* a message, to its final dot */
    SMTP_MODE_CHUNK /* a chunk of a message, or one to be dropped */
};

/* Where the dialogue is; bits, so that a command can name several. */
enum smtp_stage {
    SMTP_STAGE_START = 1,  /* no EHLO yet, or TLS has just begun */
    SMTP_STAGE_READY = 2,  /* no transaction */
    SMTP_STAGE_MAIL = 4,   /* a sender, no recipient */
    SMTP_STAGE_RCPT = 8,   /* a sender and recipients */
    SMTP_STAGE_CHUNK = 16, /* BDAT has begun the message */
    SMTP_STAGE_ANY = 31
};

/* One message on its way in: made by MAIL, ended by its delivery, RSET, EHLO, STARTTLS, or the connection's end. */
struct smtp_transaction {
    struct arena arena; /* addresses */
    struct id id;
    struct smtp_mail mail;
    str *recipients;
    struct dsn_request *dsn; /* of each recipient */
    struct map taken;        /* the recipients, to find one that is said again */
    size_t recipient_n, recipient_refused_n;
    size_t recipient_again_n; /* how often one was said that had been taken */
    bool is_alone;            /* no further recipient: see cmd_rcpt.c */
    struct smtp_body body;
    struct smtp_body lines; /* of BODY=BINARYMIME: the message once it is made of lines */
    struct smtp_header header;
    struct smtp_data data;
    unsigned chunk_n; /* BDAT commands so far */
    struct buf why;   /* the message is refused for this: said instead of the usual text */
};

/* The chunk that is being read in MODE_CHUNK. */
struct smtp_chunk {
    uint64_t left; /* bytes to come */
    bool is_last;
    bool is_refused; /* dropped, and answered with REFUSAL */
    enum smtp_reply refusal;
};

struct smtp_xclient;

struct smtp_session {
    struct conn *conn;
    struct stream *stream;
    const struct smtp_config *config;
    enum smtp_mode mode;
    bool esmtp;      /* EHLO, not HELO */
    bool is_closing; /* the last answer is queued */
    bool is_stopping;
    bool is_unwelcome; /* not served: nothing but QUIT does anything */
    bool has_input_while_held;
    char helo[SMTP_HELO_MAX + 1];
    size_t helo_n;                        /* 0: neither EHLO nor HELO yet */
    char name[SMTP_HELO_MAX + 1];         /* of the client's host, from XCLIENT */
    size_t name_n;                        /* 0: not known */
    struct smtp_transaction *transaction; /* NULL: none */
    struct smtp_chunk chunk;
    uint64_t dropped;         /* bytes of refused chunks */
    struct sasl_server *sasl; /* of MODE_AUTH */
    struct buf auth_proof;    /* the server's own proof: the last challenge of an accepted login, empty for none */
    bool auth_asks_again;     /* at the end of MODE_HELD there is no answer yet: the service is asked once more */
    int64_t auth_until_ms;    /* monotonic: how long that is worth it */
    bool auth_is_proved;      /* it is out: an empty response ends the exchange */
    bool is_authenticated;
    struct smtp_login login; /* address points into login_address */
    struct buf login_address;
    enum smtp_reply held;  /* the answer of MODE_HELD */
    int64_t wait_until_ms; /* monotonic: when the wait for the next line, or of MODE_HELD, is over */
    unsigned errors, auth_failures, unknown, junk;
    struct {
        unsigned errors, junk;
    } counted;          /* of these, how many the limits know; unknown recipients are counted before they are answered */
    uint64_t message_n; /* accepted */
};

/* --- commands.c --- */

enum smtp_command_flags {
    SMTP_COMMAND_BEFORE_TLS = 1,  /* may be said before TLS where TLS is required (RFC 3207 section 4) */
    SMTP_COMMAND_BEFORE_AUTH = 2, /* may be said before AUTH on submission */
    SMTP_COMMAND_JUNK = 4,        /* leads to nothing when said again and again */
    SMTP_COMMAND_NO_ARGUMENT = 8,
    SMTP_COMMAND_SUBMISSION = 16, /* exists on submission only */
    SMTP_COMMAND_HIDDEN = 32,     /* not in HELP */
    SMTP_COMMAND_SMTP = 128,      /* not in LMTP */
    SMTP_COMMAND_LMTP = 256,      /* in LMTP only */
    SMTP_COMMAND_CHUNK = 64       /* bytes follow the line, also when it is refused */
};

struct smtp_command {
    str name;
    unsigned stages;             /* enum smtp_stage */
    unsigned flags;              /* enum smtp_command_flags */
    enum smtp_reply wrong_stage; /* the answer in any other stage */
    /* Runs it and answers. Usually CONN_WAIT: the loop goes on. */
    enum conn_next (*run)(struct smtp_session *s, str argument);
    const char *source; /* the RFC */
    const char *usage;  /* for HELP */
    const char *more;   /* for HELP on submission, besides; NULL: nothing */
};
const struct smtp_command *smtp_commands(size_t *ret_n);
/* Whether C is a command of the protocol that CONFIG speaks, SMTP or LMTP. */
bool smtp_command_exists(const struct smtp_config *config, const struct smtp_command *c);
/* Looks LINE's command up, checks stage, TLS and login, runs it. */
enum conn_next smtp_command_run(struct smtp_session *s, str line);

enum conn_next smtp_cmd_helo(struct smtp_session *s, str argument);
enum conn_next smtp_cmd_ehlo(struct smtp_session *s, str argument);
enum conn_next smtp_cmd_mail(struct smtp_session *s, str argument);
enum conn_next smtp_cmd_rcpt(struct smtp_session *s, str argument);
enum conn_next smtp_cmd_data(struct smtp_session *s, str argument);
enum conn_next smtp_cmd_bdat(struct smtp_session *s, str argument);
enum conn_next smtp_cmd_rset(struct smtp_session *s, str argument);
enum conn_next smtp_cmd_noop(struct smtp_session *s, str argument);
enum conn_next smtp_cmd_quit(struct smtp_session *s, str argument);
enum conn_next smtp_cmd_help(struct smtp_session *s, str argument);
enum conn_next smtp_cmd_vrfy(struct smtp_session *s, str argument);
enum conn_next smtp_cmd_expn(struct smtp_session *s, str argument);
enum conn_next smtp_cmd_starttls(struct smtp_session *s, str argument);
enum conn_next smtp_cmd_auth(struct smtp_session *s, str argument);
enum conn_next smtp_cmd_xclient(struct smtp_session *s, str argument);

/* --- session.c --- */

enum smtp_stage smtp_session_stage(const struct smtp_session *s);
const struct tls_info *smtp_session_tls(const struct smtp_session *s);
/* Who is logged in; NULL: nobody. */
const struct smtp_login *smtp_session_login(const struct smtp_session *s);
/* Whether AUTH may be said now: submission, under TLS, not logged in yet. */
bool smtp_session_offers_auth(const struct smtp_session *s);
/* Whether passwords may come now: under TLS, or where the listener is for a lesson. */
bool smtp_session_may_auth(const struct smtp_session *s);
bool smtp_session_offers_starttls(const struct smtp_session *s);
str smtp_session_helo(const struct smtp_session *s);

/* Begins anew as if the client of X had just connected, with another greeting; its HELO stands. */
void smtp_session_restart(struct smtp_session *s, const struct smtp_xclient *x);
/* Waits for the next line, or in MODE_HELD for nothing, until MS milliseconds from now. */
void smtp_session_wait(struct smtp_session *s, int64_t ms);
/* Reads commands again after a message. */
void smtp_session_command_mode(struct smtp_session *s);
/* Answers R with its usual text, counts errors, and notes whether it is the last answer. */
void smtp_say(struct smtp_session *s, enum smtp_reply r);
/* The same with another text, escaped and cut as needed. */
void smtp_say_text(struct smtp_session *s, enum smtp_reply r, str text);
/* Answers R about ADDRESS, which is named where the usual text speaks of a mailbox without saying whose. */
void smtp_say_about(struct smtp_session *s, enum smtp_reply r, str address);
/* The same with several lines of our own making. */
void smtp_say_lines(struct smtp_session *s, enum smtp_reply r, const str *lines, size_t n);

/* --- transaction.c --- */

/* How many recipients a message may have. */
size_t smtp_recipients_max(const struct smtp_config *config);

struct smtp_transaction *smtp_transaction_new(const struct smtp_config *config);
/* Ends the transaction, if there is one. */
void smtp_transaction_end(struct smtp_session *s);
/* Whether the recipient was given already. */
bool smtp_transaction_has(const struct smtp_transaction *t, str address);
/* Adds a recipient; ERR_LIMIT when there are too many. One that was given already counts again, or it could be said for ever. */
int smtp_transaction_add(struct smtp_transaction *t, const struct smtp_config *config, const struct smtp_rcpt *rcpt) MUST_USE;

/* --- message.c --- */

/* Puts the trace field on top and prepares for the message. */
void smtp_message_begin(struct smtp_session *s, bool chunked);
/* The message is complete: checks it, hands it to the service, answers, ends the transaction. */
void smtp_message_end(struct smtp_session *s);
/* Ends the transaction with the answer REPLY. */
void smtp_message_refuse(struct smtp_session *s, enum smtp_reply reply);
/* Ends the transaction before the last chunk, because of the faults that the data has. */
void smtp_message_refuse_chunk(struct smtp_session *s);

/* --- cmd_data.c, cmd_bdat.c --- */

/* Takes what has come of the message; the mode is MODE_DATA until its end. */
void smtp_data_input(struct smtp_session *s, str bytes, size_t *ret_used);
/* The same of a chunk, in MODE_CHUNK. */
void smtp_chunk_input(struct smtp_session *s, str bytes, size_t *ret_used);
/* Answers a BDAT that may not be said now with REFUSAL, after its bytes. */
void smtp_bdat_refuse(struct smtp_session *s, str argument, enum smtp_reply refusal);

/* --- cmd_auth.c --- */

/* A line of MODE_AUTH. */
void smtp_auth_line(struct smtp_session *s, str line);
/* The held answer's time has come. */
void smtp_auth_release(struct smtp_session *s);
/* Drops a running exchange. */
void smtp_auth_abort(struct smtp_session *s);

#endif
