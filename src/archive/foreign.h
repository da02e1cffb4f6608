/* foreign: what a file or a directory of another program is by its first bytes or its names, so that what valise cannot read is refused with the way out
 * rather than read as something else. */
#ifndef VALISE_ARCHIVE_FOREIGN_H
#define VALISE_ARCHIVE_FOREIGN_H

#include "base/str.h"

/* HEAD is how a file begins (64 bytes are enough). NULL: it may be mail as it is. Else a sentence on what it is and what to do, which follows
 * "PATH is ". */
const char *foreign_file(str head);

/* The same for a directory that has NAME in it; what may be a part of an mbox tree or a Maildir is NULL. */
const char *foreign_name(str name);

/* Whether NAME is what Thunderbird, Dovecot or a desktop keeps beside mbox files: no mail is in it. */
bool foreign_is_index(str name);

#endif
