/* language: the languages in which people here are written to. */
#ifndef VALISE_BASE_LANGUAGE_H
#define VALISE_BASE_LANGUAGE_H

#include "base/str.h"

/* UNSAID: of an account, the server's; of somebody who is nobody's account, all of them. */
enum language { LANGUAGE_UNSAID, LANGUAGE_EN, LANGUAGE_FR, LANGUAGE_N };

/* "en", "fr" (ISO 639); "" for UNSAID. */
str language_tag(enum language language);
/* The one called TAG; UNSAID for "", LANGUAGE_N for what is none of them. */
enum language language_from_tag(str tag);

#endif
