/* nearest: which of some names was meant by one that there is not. */
#ifndef VALISE_BASE_NEAREST_H
#define VALISE_BASE_NEAREST_H

#include "base/str.h"

enum { NEAREST_NAME_MAX = 64 }; /* bytes; what is longer is never meant */

/* The names that were offered so far, of which the nearest is kept. */
struct nearest {
    str given;
    str name;          /* points to what was offered; empty: nothing is near enough to be meant */
    str other;         /* another one that is as near; empty: none */
    unsigned distance; /* of it */
};

/* How many letters must be put in, left out, changed, or swapped with their neighbour to make B of A, cases alike (the restricted distance of
 * Damerau and Levenshtein); UINT32_MAX when one is longer than NEAREST_NAME_MAX. */
unsigned nearest_distance(str a, str b);

/* Begins a search for what was meant by GIVEN, which must outlive it. */
static inline struct nearest nearest_to(str given)
{
    return (struct nearest){ .given = given };
}

/* Offers NAME, which must outlive the search. It is taken when one letter in three at most is wrong (one always may be), and it is nearer than
 * what was offered before. */
void nearest_offer(struct nearest *n, str name);

#endif
