/* import: what both forms of valise import have in common. A user's files hold what he wants: they are read by descriptor, and by root with the rights of their
 * owner; links, FIFOs and the like are left out. What is wrong with one file, message or folder is named and left out, and the work goes on. */
#ifndef VALISE_CLI_IMPORT_H
#define VALISE_CLI_IMPORT_H

#include "base/beneath.h"
#include "base/map.h"
#include "cli/deposit.h"
#include "cli/mishaps.h"

enum { IMPORT_PATH_MAX = 4096, IMPORT_DEPTH_MAX = 64 };

/* How names of folders are written in an mbox tree. */
enum import_spelling {
    IMPORT_SPELLING_PLAIN,  /* as they are, with what `valise export` escapes */
    IMPORT_SPELLING_UTF7,   /* modified UTF-7 (RFC 3501 section 5.1.3) */
    IMPORT_SPELLING_EITHER, /* modified UTF-7 where there is an '&' and all of it is valid; else as they are */
};

struct import {
    struct port port;
    struct deposit deposit;
    struct progress progress;
    struct mishaps mishaps;
    str below;          /* --mailbox; empty: none */
    bool ignore_labels; /* --ignore-labels */
    bool with_expunged; /* --with-expunged */
    enum import_spelling spelling;
    struct buf raw, message, mailbox;
    struct buf where;            /* path of the folder that is read, from the source on, with a '/' at its end; empty at first */
    struct map copies;           /* messages of Gmail that were seen, by their numbers */
    uint64_t left_out;           /* names in the source that are neither regular files nor folders */
    uint64_t empty;              /* messages without a byte: IMAP has none such either (APPEND refuses them) */
    uint64_t internal;           /* messages that other programs keep for themselves */
    uint64_t expunged;           /* messages that Thunderbird has deleted and not taken out of its files */
    uint64_t copied;             /* further copies of messages with labels */
    uint64_t taken, left;        /* doubtful lines in mbox files (archive/mbox.h) */
    uint64_t keywords_lost;      /* more than a message can have */
    char doubt[IMPORT_PATH_MAX]; /* where the first of them is */
};

/* One form. */
struct import_form {
    /* Looks at the SOURCE, open, called PATH, before anything is made: ERR_SYNTAX, with the way out, when it is nothing that this form reads. *RET_BYTES gets what
     * the progress bar shall count. */
    int (*look)(int source, const struct stat *st, const char *path, uint64_t *ret_bytes, struct error *e);
    int (*read)(struct import *m, int source, const struct stat *st, const char *path, struct error *e);
};

extern const struct import_form import_maildir, import_mbox;

/* Mailbox NAME of the source becomes the one that messages go to: INBOX is --mailbox itself, the others lie below it. *RET_GOOD is false when there can be none
 * of that name, which E tells; the caller says so. An error ends the import. */
int import_mailbox(struct import *m, str name, bool *ret_good, struct error *e) MUST_USE;

/* NAME in the folder that is read could not be brought in for the reason in E, which is cleared. */
void import_failed(struct import *m, const char *name, struct error *e);

/* Brings in the message in m->message, called NAME in the folder that is read; one that is empty is left out and counted. An error ends the import. */
int import_message(struct import *m, const struct mail_flags *flags, int64_t received_ms, const char *name,
                   struct error *e) MUST_USE;

/* Adds NAME and a '/' to m->where; import_leave with what this returns takes it away. */
size_t import_enter(struct import *m, const char *name);
void import_leave(struct import *m, size_t before);

/* Whether NAME in the open directory is a regular file or, if ASKED is S_IFDIR, a folder; anything else is counted and told at the end. */
bool import_is_kind(struct import *m, int dir, const char *name, mode_t asked);

#endif
