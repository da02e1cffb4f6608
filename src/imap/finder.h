/* finder: whether a text that comes in pieces holds what SEARCH looks for, in memory that does not grow with it. */
#ifndef VALISE_IMAP_FINDER_H
#define VALISE_IMAP_FINDER_H

#include "base/buf.h"

/* How white space is compared. */
enum imap_blanks {
    IMAP_BLANKS_AS_THEY_ARE,
    IMAP_BLANKS_AS_ONE /* runs of it as one blank: in header fields (fold.h) */
};

struct imap_finder {
    str needle;
    enum imap_blanks blanks;
    bool blank;        /* the text so far ends with one */
    struct buf own;    /* the needle, where it had runs */
    struct buf folded; /* the end of what was seen, in which the beginning of the needle may be */
    bool found;
};

/* NEEDLE is folded already (fold.h) and must live as long; an empty one is found at once. */
void imap_finder_init(struct imap_finder *f, str needle, enum imap_blanks blanks);
void imap_finder_done(struct imap_finder *f);
/* Takes TEXT (UTF-8), which goes on where the last piece ended. */
void imap_finder_add(struct imap_finder *f, str text);
/* What comes is another text: nothing is found across. */
void imap_finder_break(struct imap_finder *f);

#endif
