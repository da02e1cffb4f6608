/* structure, inside: the tree that message_parse builds, and the flat form that is stored.
 *
 * The flat form, version 1 (numbers are varints of base/pack.h unless a size is given):
 *
 *   u8 version  u8 flags (1: truncated)
 *   size of the root envelope, the root envelope          first, so that FETCH ENVELOPE reads nothing else
 *   number of parts, the parts in pre-order
 *
 *   part      flags, number of children, gap, header size, body size, header lines, body lines, type, subtype, encoding,
 *             parameters, [envelope, when the parent is a message], [extras, when flagged]
 *   extras    id, description, md5, location, disposition, parameters, number of languages, languages
 *   envelope  0 or zigzag(date) + 1, date, subject, in-reply-to, message-id, references, from, sender, reply-to, to, cc, bcc
 *   addresses 0: none; 1: as from (sender and reply-to only); n + 1: n times name, route, mailbox, host
 *   string    0: absent; 1 to 63: a word of the dictionary; n + 64: n bytes
 *
 * The gap counts from the end of the part before, or from the parent's body: positions cannot overlap or run backwards. */
#ifndef VALISE_MESSAGE_STRUCTURE_PRIVATE_H
#define VALISE_MESSAGE_STRUCTURE_PRIVATE_H

#include "message/structure.h"

enum {
    STRUCTURE_VERSION = 1,
    STRUCTURE_BYTES_MIN = 1024, /* a smaller structure_max counts as this: a root and its trimmed envelope always fit */
    STRUCTURE_BYTES_MAX = 60000,
    STRUCTURE_NESTING_MAX = 64, /* readers may recurse over an opened structure */
    STRUCTURE_FLAG_TRUNCATED = 1,
    STRUCTURE_STRING_WORDS = 64, /* first code of a string with a length */
    PART_FLAG_NUL = 1,
    PART_FLAG_8BIT = 2,
    PART_FLAG_EXTRAS = 4,
    PART_BYTES_MIN = 11,
    ADDRESSES_AS_FROM = 1
};
/* What a Date can say, years 0 to 9999 in any zone. */
#define STRUCTURE_DATE_MIN INT64_C(-62167305600)
#define STRUCTURE_DATE_MAX INT64_C(253402387199)

/* The words with one-byte codes; the code is the index + 1. Part of version 1: never change the order, append only. */
extern const str structure_words[];
extern const unsigned structure_word_n;

struct message_node {
    struct message_node *parent, *first, *last, *next;
    unsigned child_n, depth;
    uint64_t header_offset, header_size, body_size;
    uint64_t header_lines, body_lines;
    bool has_nul, has_8bit;
    bool is_message;   /* root, or root of an embedded message: has an envelope */
    bool multipart;    /* its boundary is looked for */
    bool closed;       /* until its close delimiter */
    bool embeds;       /* message/rfc822 or message/global whose body is parsed */
    str type, subtype; /* after defaults */
    str boundary;      /* without the leading dashes */
    uint64_t lines_before_body;
};

struct message_tree {
    struct message_node *root;
    unsigned n;     /* nodes */
    bool truncated; /* a limit cut something */
};

/* Builds the tree of MESSAGE in A (no quota: what it takes is bounded by LIMITS). Linear in the size. */
void message_tree_build(str message, const struct message_limits *limits, struct arena *a, struct message_tree *ret);

enum { JOINED_FIELDS_MAX = 16 };
struct message_joined {
    str list[JOINED_FIELDS_MAX];
    unsigned n;
};

/* Raw values of the fields that matter, views of the header; p == NULL: absent. The first of several wins; To, Cc and Bcc are
 * joined. */
struct message_part_header {
    str content_type, encoding, id, description, md5, location, disposition, language;
    str date, subject, from, sender, reply_to, in_reply_to, message_id, references;
    struct message_joined to, cc, bcc;
    bool truncated;
};
void message_part_header_collect(str header, const struct message_limits *limits, struct message_part_header *ret);

/* Appends the flat form of TREE to OUT, values no larger than LIMITS say; without EXTRAS only what is needed to find one's way.
 * False when OUT is full. */
bool structure_write(const struct message_tree *tree, str message, const struct message_limits *limits, bool extras,
                     struct buf *out);

static inline uint64_t message_node_body(const struct message_node *n)
{
    return n->header_offset + n->header_size;
}

#endif
