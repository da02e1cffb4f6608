/* postmark: the line "From sender date" that begins a message of an mbox (RFC 4155 appendix A), as it is found in files of thirty years. */
#ifndef VALISE_ARCHIVE_POSTMARK_H
#define VALISE_ARCHIVE_POSTMARK_H

#include "base/str.h"

enum postmark_kind {
    POSTMARK_NONE,    /* not "From " */
    POSTMARK_DATED,   /* with a date */
    POSTMARK_BARE,    /* "From " and nothing */
    POSTMARK_ADDRESS, /* one word that an address could be, no date */
    POSTMARK_ODD      /* anything else after "From " */
};

struct postmark {
    enum postmark_kind kind;
    str sender;       /* the first word; may be empty */
    int64_t received; /* seconds since 1970, a zone heeded where it is a number or GMT; INT64_MIN without a date */
};

/* Reads LINE, without its end. Dates: ctime's, with a zone before or after the year, without the weekday, with two digits of a year; RFC 5322's; ISO 8601. */
struct postmark postmark_read(str line);

/* The name of the header field that LINE begins; empty when it begins none. */
str postmark_field_name(str line);

/* Whether NAME is a field that tells a header from text that looks like one. */
bool postmark_is_telling(str name);

#endif
