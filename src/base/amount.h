/* amount: sizes and lengths of time as people write them, in valise.conf and on the command line alike. */
#ifndef VALISE_BASE_AMOUNT_H
#define VALISE_BASE_AMOUNT_H

#include "base/str.h"

enum { AMOUNT_MINUTE = 60, AMOUNT_HOUR = 3600, AMOUNT_DAY = 86400 };

/* What a message says of the forms that are taken. */
#define AMOUNT_SIZE_FORMS "bytes, or as 50M or \"2 GiB\""
#define AMOUNT_TIME_FORMS "as 90s, 15min, 36h, 90d or 2w"

/* A size: digits, perhaps a space, and perhaps a unit: B, K, M, G, T, each also with B or iB behind it, in any case. All are powers of 1024. False
 * when TEXT is none, or more than MAX bytes; *RET is in bytes. */
bool amount_bytes(str text, uint64_t max, uint64_t *ret);

/* A length of time: digits, perhaps a space, and a unit: s, min (m), h, d, w, y (365 days), or its English name, also with s behind it, in any
 * case. Digits alone count units of UNIT seconds; 0: a unit is needed. False when TEXT is none, or more than MAX seconds; *RET is in seconds. */
bool amount_seconds(str text, uint64_t unit, uint64_t max, uint64_t *ret);

/* The seconds of a unit of time by its name, as above; 0: there is no such unit. */
uint64_t amount_time_unit(str name);
/* The bytes of a unit of size; 0: there is no such unit. */
uint64_t amount_size_unit(str name);

#endif
