/* lines: line ends on the way between the store (CRLF) and files (LF). */
#ifndef VALISE_ARCHIVE_LINES_H
#define VALISE_ARCHIVE_LINES_H

#include "base/buf.h"

/* Appends TEXT with each lone LF made a CRLF. */
void archive_to_crlf(struct buf *b, str text);
/* Appends TEXT with each CRLF made a LF, but for one after another CR, which could not be told from it later: archive_to_crlf gives back what had
 * CRLF line ends only. */
void archive_to_lf(struct buf *b, str text);

/* Takes a line from *REST: with its end in *RET_WHOLE, without it (LF or CRLF) in *RET. False when *REST is empty. */
bool archive_next_line(str *rest, str *ret_whole, str *ret);

#endif
