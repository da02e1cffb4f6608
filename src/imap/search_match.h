/* search_match: whether a message fits the keys of SEARCH (RFC 3501 section 6.4.4).
 *
 * Prepared once: sets resolved, text folded, cheap keys in front. For each message the entry is looked at first; the structure,
 * the header and the bodies are read only when a key needs them. */
#ifndef VALISE_IMAP_SEARCH_MATCH_H
#define VALISE_IMAP_SEARCH_MATCH_H

#include "imap/session_private.h"

/* What looking at one thing costs, roughly in microseconds: a slice of work is bounded by their sum. */
enum { IMAP_COST_ENTRY = 1, IMAP_COST_STRUCTURE = 20, IMAP_COST_HEADER = 40, IMAP_COST_BODY = 1000 };

/* Makes SEARCH's keys ready: 0, ERR_UNSUPPORTED for an unknown charset, ERR_SYNTAX for a sequence number that is none,
 * ERR_LIMIT. */
int imap_search_prepare(struct imap_session *s, struct imap_search *search) MUST_USE;
/* Whether message SEQ fits, its modseq in *RET_MODSEQ then; adds what it cost to *COST. False too for a message that is gone. */
bool imap_search_matches(struct imap_session *s, const struct imap_search *search, uint32_t seq, unsigned *cost,
                         uint64_t *ret_modseq);

#endif
