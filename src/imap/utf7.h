/* utf7: modified UTF-7 of mailbox names, RFC 3501 section 5.1.3. */
#ifndef VALISE_IMAP_UTF7_H
#define VALISE_IMAP_UTF7_H

#include "base/arena.h"
#include "base/buf.h"

/* NAME as UTF-8, in A unless it can stay as it is. Only the one canonical form of each name is taken, so that two spellings never
 * mean one mailbox; bytes above 127 are taken as UTF-8. ERR_SYNTAX for anything else and for control characters; ERR_LIMIT. */
int imap_utf7_decode(str name, struct arena *a, str *ret) MUST_USE;
/* Appends UTF-8 NAME to B in modified UTF-7. Bytes that are not UTF-8 become U+FFFD. */
void imap_utf7_encode(struct buf *b, str name);

#endif
