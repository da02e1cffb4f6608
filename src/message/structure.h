/* structure: what a message is made of, parsed once and stored with it.
 *
 * message_parse turns any bytes whatever into a structure: a tree of parts with offsets, sizes, line counts, types and
 * parameters, and the envelope fields (RFC 5322, 2045-2049, 2183, 2231, 6532). It is one flat, bounded, position-independent
 * byte string that is stored as it is; views into it are read with structure_open, which checks every offset, so that a
 * structure from a less trusted process can be read safely. Nothing here does I/O.
 *
 * Offsets count from the message's first byte. A message is stored as received: CRLF line ends (a lone LF is a line end for
 * structure too, so that old mail still parses). */
#ifndef VALISE_MESSAGE_STRUCTURE_H
#define VALISE_MESSAGE_STRUCTURE_H

#include "base/arena.h"
#include "base/buf.h"

struct message_limits {
    unsigned nesting_max;      /* multipart and message/rfc822 levels; deeper content is a leaf part of its declared type */
    unsigned parts_max;        /* parts in all; what follows belongs to the last part */
    unsigned headers_max;      /* header fields per part; later ones are not looked at */
    unsigned header_bytes_max; /* bytes of one part's header that are looked at */
    unsigned params_max;       /* parameters per field */
    unsigned addresses_max;    /* addresses per envelope field */
    unsigned value_max;        /* bytes kept of one decoded value */
    unsigned structure_max;    /* bytes of the whole structure; at most 60 000 so that it fits an engine value */
};
/* nesting 32, parts 1 000, headers 100 000, header bytes 4 MiB, params 64, addresses 1 000, value 8 KiB, structure 60 000. */
extern const struct message_limits message_limits_default;

/* Parses MESSAGE and appends its structure to OUT. Every input gives a structure: what exceeds a limit is cut as the limit says and
 * the structure's truncated flag is set. ERR_LIMIT only when OUT's own maximum is below structure_max. Time linear in the size. */
int message_parse(str message, const struct message_limits *limits, struct buf *out) MUST_USE;

/* --- reading a structure --- */

struct structure; /* an opened one; lives in the arena, points into the bytes */
struct envelope;

/* Checks BYTES against a message of SIZE bytes: every offset, count and string in bounds, tree well-formed, no deeper than 64
 * levels, no CR, LF or NUL in any string. ERR_CORRUPT otherwise, ERR_LIMIT when A's quota is used up. BYTES must live as long as
 * the structure. */
int structure_open(str bytes, uint64_t size, struct arena *a, const struct structure **ret) MUST_USE;

/* The same without the root's envelope, which is not looked at and NULL then: what BODYSTRUCTURE and sections need of many messages. */
int structure_open_parts(str bytes, uint64_t size, struct arena *a, const struct structure **ret) MUST_USE;

/* Reads the root's envelope alone, which stands first: what FETCH ENVELOPE needs of many messages. The rest is not looked at.
 * ERR_CORRUPT, or ERR_LIMIT when A's quota is used up. BYTES must live as long as the envelope. */
int structure_envelope(str bytes, struct arena *a, const struct envelope **ret) MUST_USE;

struct message_param {
    str name, value;
}; /* name lower case; with a "*" at its end the value is in the extended form of RFC 2231 section 4 (message_param_text); structures of
    * former versions have it decoded to UTF-8 */

struct part {
    const struct part *parent;          /* NULL at the root */
    const struct part *const *children; /* of a multipart, or the one root of a message/rfc822's message */
    unsigned child_n;
    uint64_t header_offset, header_size; /* with the empty line that ends it */
    uint64_t body_offset, body_size;     /* body as it stands, not decoded */
    uint32_t body_lines;                 /* line ends in it */
    uint32_t header_lines;
    str type, subtype; /* lower case; "text" "plain" by default (in multipart/digest message/rfc822) */
    const struct message_param *params;
    unsigned param_n;                             /* as in the field, RFC 2231 pieces joined */
    str id, description, encoding, md5, location; /* raw field text, unfolded; encoding lower case, "7bit" by default */
    str disposition;                              /* lower case; empty when absent */
    const struct message_param *disposition_params;
    unsigned disposition_param_n;
    const str *languages;
    unsigned language_n;
    bool has_nul, has_8bit;          /* in the body */
    const struct envelope *envelope; /* of the message: at the root, and of message/rfc822 children; else NULL */
};

/* RFC 3501 section 7.4.2. A group start has host empty and mailbox the group's name; a group end has both empty (p == NULL: NIL). */
struct message_address {
    str name, route, mailbox, host;
};
struct message_addresses {
    const struct message_address *list;
    unsigned n;
};

struct envelope {
    str date;                                                     /* raw, unfolded; p == NULL: absent */
    int64_t date_unix;                                            /* seconds, INT64_MIN when absent or unreadable */
    str subject;                                                  /* raw, unfolded, encoded words as they are */
    struct message_addresses from, sender, reply_to, to, cc, bcc; /* sender and reply_to fall back to from (RFC 3501) */
    str in_reply_to, message_id;                                  /* raw, unfolded */
    str references;                                               /* message ids with angle brackets, one space between */
};

/* Appends to OUT the structure that STRUCTURE's message has with PREFIX_N bytes, PREFIX_LINES whole header lines, put before it; nothing
 * is parsed again. ERR_CORRUPT, ERR_LIMIT. */
int structure_prefix(str structure, uint64_t prefix_n, uint64_t prefix_lines, struct buf *out) MUST_USE;

const struct part *structure_root(const struct structure *s);
bool structure_truncated(const struct structure *s);
/* The same of BYTES that are not opened. */
bool structure_is_truncated(str bytes);
/* The part that IMAP names by a section number ("1.2.3", RFC 3501 section 6.4.5), numbers in PATH; NULL when there is none. N == 0 is
 * the root. */
const struct part *structure_part(const struct structure *s, const uint32_t *path, size_t n);

#endif
