/* encoding: content transfer encodings (RFC 2045 section 6), decoded as a stream and encoded whole.
 *
 * The decoders accept everything: what breaks the rules is skipped or passed on as each function says, and remembered as a
 * defect. The result does not depend on how the input is cut into pieces. */
#ifndef VALISE_MESSAGE_ENCODING_H
#define VALISE_MESSAGE_ENCODING_H

#include "base/buf.h"

enum message_encoding {
    MESSAGE_ENCODING_IDENTITY, /* 7bit, 8bit, binary */
    MESSAGE_ENCODING_QUOTED_PRINTABLE,
    MESSAGE_ENCODING_BASE64,
    MESSAGE_ENCODING_UNKNOWN /* decoded as identity; the body is application/octet-stream (RFC 2045 section 6.4) */
};

/* The encoding that a Content-Transfer-Encoding value names, in any case; the empty string is 7bit. */
enum message_encoding message_encoding_from_name(str name);

struct message_decoder {
    enum message_encoding encoding;
    bool defect;   /* something was skipped or passed on that should not be there */
    uint32_t bits; /* base64: the digits of the quantum so far */
    unsigned digits;
    bool padded;     /* base64: after "=" */
    unsigned hold_n; /* quoted-printable: bytes whose meaning the next byte decides */
    char hold[80];
};

void message_decoder_init(struct message_decoder *d, enum message_encoding encoding);
/* Decodes all of IN and appends to OUT. 0 or ERR_LIMIT from OUT.
 * Base64: bytes outside the alphabet are skipped (RFC 2045 section 6.8); after padding a new run may begin.
 * Quoted-printable: "=" that begins no escape stands for itself, lower-case hex is taken, white space before a line end and
 * around a soft break is removed, line ends are passed on as they are (RFC 2045 section 6.7). */
int message_decoder_feed(struct message_decoder *d, str in, struct buf *out) MUST_USE;
/* Ends the input: appends what is still held. An incomplete base64 quantum gives the whole bytes in it. 0 or ERR_LIMIT. */
int message_decoder_end(struct message_decoder *d, struct buf *out) MUST_USE;
/* All at once. */
int message_decode(enum message_encoding encoding, str in, struct buf *out) MUST_USE;

/* Appends S as base64 in lines of 76 characters, each ended by CRLF (RFC 2045 section 6.8). */
void message_base64_encode(struct buf *b, str s);
/* Appends S in quoted-printable, lines at most 76 characters. With TEXT line ends (CRLF or LF) become CRLF, otherwise CR and LF
 * are encoded. A line's leading "From " and a lone "." are encoded too: they do not survive every way (RFC 2049 section 3). */
void message_quoted_printable_encode(struct buf *b, str s, bool text);

#endif
