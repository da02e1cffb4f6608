/* fold: text as SEARCH compares it. */
#ifndef VALISE_IMAP_FOLD_H
#define VALISE_IMAP_FOLD_H

#include "base/buf.h"

/* Appends UTF-8 S to B in the form that is compared (as i;unicode-casemap, RFC 5051): case folded in full ("Straße" is "strasse"),
 * compatibility characters and accented letters taken apart, so that it does not matter how an accent was encoded; characters that
 * are not seen (soft hyphen, zero width space) are left out. Bytes that are not UTF-8 become U+FFFD. */
void imap_fold(struct buf *b, str s);

#endif
