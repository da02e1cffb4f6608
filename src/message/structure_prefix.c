/* structure_prefix: the structure of a message that has got header lines in front.
 *
 * Positions in a structure are relative (message/structure_private.h), so more header at the top changes two numbers of the
 * root part: the size of its header and its lines. A message to a hundred recipients is so parsed once. The test compares with
 * parsing the whole. */
#include "base/pack.h"
#include "message/structure_private.h"

int structure_prefix(str structure, uint64_t prefix_n, uint64_t prefix_lines, struct buf *out)
{
    struct unpack u = unpack_init(structure);
    if (unpack_u8(&u) != STRUCTURE_VERSION)
        return ERR_CORRUPT;
    unpack_u8(&u);                       /* flags */
    unpack_str(&u, STRUCTURE_BYTES_MAX); /* the root envelope */
    unpack_varint(&u);                   /* number of parts */
    unpack_varint(&u);                   /* the root: flags, children, gap */
    unpack_varint(&u);
    unpack_varint(&u);
    str before = { structure.p, structure.n - unpack_rest(&u).n };
    uint64_t header_size = unpack_varint(&u);
    uint64_t body_size = unpack_varint(&u);
    uint64_t header_lines = unpack_varint(&u);
    if (u.error)
        return ERR_CORRUPT;
    buf_add(out, before);
    pack_varint(out, header_size + prefix_n);
    pack_varint(out, body_size);
    pack_varint(out, header_lines + prefix_lines);
    buf_add(out, unpack_rest(&u));
    return buf_error(out);
}
