/* columns: texts one below the other, by the columns that a terminal gives them and not by their bytes. */
#ifndef VALISE_CLI_COLUMNS_H
#define VALISE_CLI_COLUMNS_H

#include "base/str.h"

/* The columns of a terminal that TEXT takes: two for wide characters (East Asian Width W and F: most of CJK, emoji), none for what is joined to the
 * character before it (combining marks, joiners), one for all else; a byte that is no UTF-8 counts as one. */
int columns_of(str text);

/* What `printf("%-*s", columns_pad(text, width), text)` needs so that TEXT fills WIDTH columns: printf counts bytes. */
int columns_pad(const char *text, int width);

#endif
