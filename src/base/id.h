/* id: short names that tie log lines, Received: fields and stored objects together.
 *
 * An id is 13 characters of lower-case base 32 (digits and letters without i, l, o, u), from milliseconds of real time and
 * random bits: ids sort by creation to the millisecond and do not repeat. */
#ifndef VALISE_BASE_ID_H
#define VALISE_BASE_ID_H

#include "base/str.h"

struct id {
    char text[14]; /* 13 characters and a NUL */
};

struct id id_new(void);
static inline str id_str(const struct id *id)
{
    return (str){ id->text, 13 };
}

#endif
