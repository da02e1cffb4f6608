/* syntax_private: what the three files of the command parser share. */
#ifndef VALISE_IMAP_SYNTAX_PRIVATE_H
#define VALISE_IMAP_SYNTAX_PRIVATE_H

#include "imap/syntax.h"

/* The word at the cursor, letters folded, if no ATOM-CHAR follows it: "BODY" does not match "BODYSTRUCTURE". */
bool imap_scan_word(struct scan *s, str word);
/* number (32 bits). */
bool imap_scan_number(struct scan *s, uint32_t *ret);
/* mod-sequence-valzer: up to 63 bits (RFC 7162 section 7). */
bool imap_scan_modseq(struct scan *s, uint64_t *ret);
/* nz-number. */
bool imap_scan_nz_number(struct scan *s, uint32_t *ret);

#endif
