/* fields: the header fields that mail programs ask for in lists and searches, copied out of the header to be stored beside the structure.
 *
 * A record holds them as they stand in the header, byte for byte and in its order, so that FETCH BODY[HEADER.FIELDS (...)] and SEARCH answer
 * from it what they would answer from the message. It says of which names it knows all there is: a name that is not there is then known to be
 * absent. What is too large is left out, whole names at a time, the largest first, and is to be read from the message. */
#ifndef VALISE_MESSAGE_FIELDS_H
#define VALISE_MESSAGE_FIELDS_H

#include "base/buf.h"

enum {
    MESSAGE_FIELDS_MAX = 2048,             /* bytes of the fields of one message */
    MESSAGE_FIELDS_BYTES_MAX = 3072,       /* of a record */
    MESSAGE_FIELDS_HEADER_MAX = 256 * 1024 /* of a header that is looked at */
};

/* A set of names: the bit of each that is kept. */
typedef uint64_t message_fields_set;

/* The bit of NAME (ASCII letters folded); 0 for one that is not kept. */
message_fields_set message_fields_bit(str name);

/* Appends to OUT the record of a message with the header PREFIX followed by HEADER, which is a whole one with its empty line, if there is one. Appends nothing
 * when both are longer than MESSAGE_FIELDS_HEADER_MAX. */
void message_fields_write(str prefix, str header, struct buf *out);

struct message_fields {
    message_fields_set known; /* of these names all fields are here */
    bool blank;               /* an empty line ends the header */
    str list;
};
/* Opens the record BYTES, which must live as long as *RET; an empty one knows nothing. ERR_CORRUPT. */
int message_fields_open(str bytes, struct message_fields *ret) MUST_USE;

struct message_fields_item {
    message_fields_set bit;
    str raw; /* the whole field, folded lines and line end included */
};
/* The next field of those that F has, from *AT on (0 at first). False at the end. */
bool message_fields_next(const struct message_fields *f, size_t *at, struct message_fields_item *ret);
/* What follows the colon of a field RAW, without the final line end, as message_header_next gives it. */
str message_fields_value(str raw);

#endif
