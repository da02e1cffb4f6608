/* fold: text without case, for SEARCH. */
#ifndef VALISE_IMAP_FOLD_H
#define VALISE_IMAP_FOLD_H

#include "base/buf.h"

/* Appends UTF-8 S to B with Unicode's simple case folding; bytes that are not UTF-8 become U+FFFD. */
void imap_fold(struct buf *b, str s);

#endif
