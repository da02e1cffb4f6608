/* fold: text as SEARCH compares it. */
#ifndef VALISE_IMAP_FOLD_H
#define VALISE_IMAP_FOLD_H

#include "base/buf.h"

/* Appends UTF-8 S to B in the form that is compared (as i;unicode-casemap, RFC 5051): case folded in full ("Straße" is "strasse"),
 * compatibility characters and accented letters taken apart, so that it does not matter how an accent was encoded; characters that
 * are not seen (soft hyphen, zero width space) are left out. Bytes that are not UTF-8 become U+FFFD. */
void imap_fold(struct buf *b, str s);

/* Makes one blank of each run of white space (blank, TAB, CR, LF) in B from its byte FROM on, which is folded. *BLANK: whether a blank is in front
 * of these bytes, with which a run may go on; whether one is at their end afterwards.
 *
 * Header fields are compared so: where a program folds a field, and whether it begins the next line with a blank or a TAB, is not what was
 * written (RFC 5322 section 2.2.3). */
void imap_fold_blanks(struct buf *b, size_t from, bool *blank);

#endif
