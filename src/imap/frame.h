/* frame: where a command ends, RFC 3501 section 2.2 and RFC 7888.
 *
 * A command is a line, and when the line ends with a literal's announcement ("{5}" or "{5+}"), the literal's bytes and a further
 * line, and so on. imap_frame_feed takes bytes as they come and stops at each announcement, so that the session can decide: keep
 * the literal in the command, take its bytes itself (the message of APPEND), or refuse.
 *
 * Invariants:
 *  F1  unit is the command so far, literals in place ("{5}" CRLF bytes), without the last CRLF and spaces before it, and without what imap_frame_divert was told to
 *      forget.
 *  F2  unit never holds more than line_max + literal_max bytes and the CRLFs of announcements.
 *  F3  after IMAP_FRAME_LITERAL nothing is taken before keep, divert or refuse was called.
 *  F4  a refused or spoilt command is still framed to its end (announced literals skipped), so that its bytes are never
 *      commands. */
#ifndef VALISE_IMAP_FRAME_H
#define VALISE_IMAP_FRAME_H

#include "base/buf.h"

enum imap_frame_event {
    IMAP_FRAME_MORE,     /* all bytes taken, nothing complete */
    IMAP_FRAME_LITERAL,  /* unit ends with an announcement: frame->literal bytes, frame->synchronizing */
    IMAP_FRAME_DIVERTED, /* a diverted literal: the caller takes its bytes, then calls imap_frame_resume */
    IMAP_FRAME_COMMAND,  /* unit is a command; imap_frame_reset before the next */
    IMAP_FRAME_BAD_LINE, /* a command ended that holds a bare CR, LF or NUL */
    IMAP_FRAME_TOO_LONG, /* a command ended that exceeds line_max, or whose literals exceed literal_max */
    IMAP_FRAME_REFUSED   /* a command ended of which a literal was refused */
};

enum imap_frame_state {
    IMAP_FRAME_IN_LINE,
    IMAP_FRAME_ASKED, /* waits for keep, divert or refuse */
    IMAP_FRAME_IN_LITERAL,
    IMAP_FRAME_IN_SKIPPED,
    IMAP_FRAME_IN_DIVERTED,
    IMAP_FRAME_ENDED /* waits for reset */
};

struct imap_frame {
    struct buf unit;
    size_t line_max, literal_max;
    enum imap_frame_state state;
    enum imap_frame_event spoilt; /* why this command cannot be run; IMAP_FRAME_MORE: it can */
    bool cr;                      /* the last byte of the line so far was CR */
    bool synchronizing;
    uint64_t literal;         /* bytes left of the announced literal */
    size_t line_start;        /* where in unit the present line began */
    size_t line_n, literal_n; /* bytes of the command so far */
};

void imap_frame_init(struct imap_frame *f, size_t line_max, size_t literal_max);
void imap_frame_done(struct imap_frame *f);
/* Forgets the command and gives the memory back; the next byte begins a new one. */
void imap_frame_reset(struct imap_frame *f);
/* Whether a command has begun. */
bool imap_frame_is_begun(const struct imap_frame *f);

/* Takes bytes of IN, *RET_USED of them, up to the next event. */
enum imap_frame_event imap_frame_feed(struct imap_frame *f, str in, size_t *ret_used);

/* After IMAP_FRAME_LITERAL: the literal shall be part of the unit. False when it is too large; the caller then refuses. */
bool imap_frame_keep(struct imap_frame *f);
/* The caller takes the bytes: feed answers IMAP_FRAME_DIVERTED without taking any. Of the unit only the first KEEP bytes stay, and only they count, so that a command
 * may have any number of such literals. */
void imap_frame_divert(struct imap_frame *f, size_t keep);
/* The diverted literal has been taken; the line goes on. */
void imap_frame_resume(struct imap_frame *f);
/* The literal is not wanted. A synchronizing one is not sent then and the command is over; another is skipped and the command
 * framed to its end, then IMAP_FRAME_REFUSED follows. */
void imap_frame_refuse(struct imap_frame *f);

#endif
