/* search_match: whether a message fits the keys of SEARCH (RFC 3501 section 6.4.4).
 *
 * Prepared once: sets resolved, text folded, cheap keys in front. Messages come in pages: the entry of each is looked at first, the emails of those that it does
 * not decide are read in one walk, with the header fields that are kept beside the structure; the header and the bodies only when a key needs them. */
#ifndef VALISE_IMAP_SEARCH_MATCH_H
#define VALISE_IMAP_SEARCH_MATCH_H

#include "imap/session_private.h"

/* What looking at one thing costs, roughly in microseconds: a slice of work is bounded by their sum. */
enum { IMAP_COST_ENTRY = 1, IMAP_COST_ROW = 2, IMAP_COST_HEADER = 40, IMAP_COST_BODY = 1000 };

/* Makes SEARCH's keys ready: 0, ERR_UNSUPPORTED for an unknown charset, ERR_SYNTAX for a sequence number that is none,
 * ERR_LIMIT. */
int imap_search_prepare(struct imap_session *s, struct imap_search *search) MUST_USE;
enum { IMAP_SEARCH_PAGE = 128 };
struct imap_search_candidate {
    uint32_t seq;    /* in */
    bool found;      /* out: whether it fits; false too for a message that is gone */
    uint64_t modseq; /* out, where found */
};
/* Decides which of the N messages in LIST, at most IMAP_SEARCH_PAGE, fit; adds what it cost to *COST and stops when that reaches COST_MAX. Returns how many of
 * them from the first on are decided: one at least unless N is 0. */
size_t imap_search_page(struct imap_session *s, const struct imap_search *search, struct imap_search_candidate *list, size_t n,
                        unsigned cost_max, unsigned *cost) MUST_USE;

#endif
