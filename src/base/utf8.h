/* utf8: validation and decoding (RFC 3629). Surrogates, overlong forms and values above U+10FFFF are invalid. */
#ifndef VALISE_BASE_UTF8_H
#define VALISE_BASE_UTF8_H

#include "base/str.h"

/* Length in bytes (1 to 4) of the code point that S begins with, 0 when S is empty or invalid there. The code point goes to
 * *RET when RET is not NULL and the length is not 0. */
size_t utf8_decode(str s, uint32_t *ret);
/* Writes CODE's bytes to OUT and returns how many (1 to 4), 0 when CODE is a surrogate or above U+10FFFF. */
size_t utf8_encode(uint32_t code, char out[4]);
/* Whether all of S is valid UTF-8. */
bool utf8_valid(str s);
/* Whether S has only bytes below 128. */
bool utf8_is_ascii(str s);

#endif
