/* mbox: many messages in one file (RFC 4155). What is written is the variant mboxrd: each message after a line "From sender date" and an empty line at its
 * end; what looks like such a line in a message, however often quoted, is quoted once more. Flags travel in the fields Status, X-Status and X-Keywords.
 *
 * What mbox_add wrote, mbox_next and mbox_decode give back, byte for byte when its line ends are CRLF and its last line has one. Fields of these
 * names that the message had itself are kept.
 *
 * What is read is what others write. A message begins
 *   with "From sender date", date in any form that programs use, at the start, after an empty line, or before a header line;
 *   with "From " alone or before one address, at the start or after an empty line, when a header line follows (for "From " alone an empty line, too);
 *   with "From " and anything at all, where the next two lines are header lines of which one is From, Date, Received, Return-Path, Message-ID,
 *   Subject or a field that only archives have; a header of one line only after an empty line.
 * The last two kinds, and lines that look like a beginning and are not taken, are doubtful: the reader counts them. Content-Length (mboxcl, mboxcl2) is
 * believed in files whose first message has one that fits, and where it fits: the file ends there, or another message begins. */
#ifndef VALISE_ARCHIVE_MBOX_H
#define VALISE_ARCHIVE_MBOX_H

#include "base/arena.h"
#include "base/buf.h"
#include "store/mail.h"

struct mbox_reader {
    str file;             /* what of the file is here */
    uint64_t base;        /* where that begins in the file */
    uint64_t beyond;      /* bytes of the file after it */
    size_t at;            /* of the next message; file.n at the end */
    bool begun;           /* a message was given out */
    bool lengths;         /* Content-Length is believed where it fits */
    bool wants;           /* more of the file has to be here first */
    uint64_t taken;       /* doubtful lines that began a message */
    uint64_t left;        /* lines "From ..." that could have begun one, and were left as text */
    uint64_t first_doubt; /* where the first of either stands in the file; UINT64_MAX: there is none */
};

struct mbox_message {
    str text;         /* in the file's own form, a part of the file */
    str sender;       /* the first word after "From ", may be empty */
    int64_t received; /* seconds since 1970; INT64_MIN when the line does not tell */
    bool measured;    /* its end is where Content-Length says */
};

/* Reads FILE, which must live as long as R. Whether it is an mbox tells the first mbox_next; empty lines at its start are nothing. BEYOND bytes of it are not
 * there yet (0: that is all). */
void mbox_open(struct mbox_reader *r, str file, uint64_t beyond);
/* Another part of the same file, which begins where R->at is in the former one, and has more or begins later. Messages are the same as if all of the file were
 * there at once. */
void mbox_continue(struct mbox_reader *r, str file, uint64_t beyond);

/* The next message. False at the end; when the file does not begin with one: then R->at is not R->file.n; and when R->wants: the message at R->at does not end
 * in what is there, or that cannot be told. */
bool mbox_next(struct mbox_reader *r, struct mbox_message *ret);
/* Goes on behind the message at R->at, which is too large to be here at once, or in its midst (INSIDE). False when it does not end in what is there: to be
 * called again, with INSIDE, after mbox_continue. A Content-Length is not looked at. */
bool mbox_skip(struct mbox_reader *r, bool inside);

/* What fields that are no part of the mail said of it: Status, X-Status, X-Keywords, those of Thunderbird (X-Mozilla-Status, X-Mozilla-Status2,
 * X-Mozilla-Keys) and Evolution (X-Evolution). */
struct mbox_status {
    struct mail_flags flags;
    uint32_t keywords_lost; /* more than a message can have here */
    bool expunged;          /* Thunderbird has deleted it and not compacted the file yet; \Deleted is among the flags */
    bool internal;          /* no mail, but what c-client and Pine keep in a folder for themselves ("FOLDER INTERNAL DATA") */
};

/* Appends message M to B as it was sent, CRLF line ends, without those fields and those that count and number (X-UID, X-IMAP, X-IMAPbase, a Content-Length
 * that was believed); what they said is in *RET, names in A. ERR_LIMIT. */
int mbox_decode(const struct mbox_message *m, struct buf *b, struct arena *a, struct mbox_status *ret) MUST_USE;

/* The value of the field NAME ("Subject:", with the colon) in the header of TEXT, folded as it is; p NULL when there is none. */
str mbox_field(str text, str name);

/* Appends MESSAGE to the mbox in B. RECEIVED in seconds since 1970. */
void mbox_add(struct buf *b, str message, const struct mail_flags *flags, int64_t received);

/* Whether TEXT begins with the three fields that mbox_add writes; then no others are looked at. */
bool mbox_is_ours(str text);

#endif
