/* proxy: see proxy.h. */
#include "run/proxy.h"

enum {
    V1_MIN = 15, /* "PROXY UNKNOWN\r\n" */
    V2_FIXED = 16,
    V2_CRC32C = 3,
    V2_COMMAND_LOCAL = 0x20,
    V2_COMMAND_PROXY = 0x21,
    FAMILY_UNSPEC = 0x00,
    FAMILY_TCP4 = 0x11,
    FAMILY_TCP6 = 0x21,
    FAMILY_UNIX = 0x31
};

static const str v1_signature = STR_INIT("PROXY ");
static const str v2_signature = { "\r\n\r\n\0\r\nQUIT\n", 12 };

static unsigned number_at(str s, size_t at, size_t bytes)
{
    unsigned n = 0;
    for (size_t i = 0; i < bytes; i++)
        n = n << 8 | (unsigned char)s.p[at + i];
    return n;
}

/* Whether BYTES and SIGNATURE agree as far as both go. */
static bool may_begin(str bytes, str signature)
{
    size_t n = bytes.n < signature.n ? bytes.n : signature.n;
    return n == 0 || memcmp(bytes.p, signature.p, n) == 0;
}

/* --- length --- */

static int v1_length(str bytes, size_t *ret)
{
    size_t lf = str_find_byte(bytes, '\n', 0);
    if (lf < bytes.n) {
        if (lf == 0 || bytes.p[lf - 1] != '\r')
            return ERR_SYNTAX;
        *ret = lf + 1;
        return lf < PROXY_LINE_MAX ? 0 : ERR_LIMIT;
    }
    if (bytes.n >= PROXY_LINE_MAX)
        return ERR_LIMIT;
    size_t least = bytes.n + (bytes.p[bytes.n - 1] == '\r' ? 1 : 2);
    *ret = least < V1_MIN ? V1_MIN : least > PROXY_LINE_MAX ? PROXY_LINE_MAX : least;
    return ERR_AGAIN;
}

static int v2_length(str bytes, size_t *ret)
{
    size_t n = V2_FIXED;
    if (bytes.n >= V2_FIXED)
        n += number_at(bytes, 14, 2);
    if (n > PROXY_HEADER_MAX)
        return ERR_LIMIT;
    *ret = n;
    return bytes.n < n ? ERR_AGAIN : 0;
}

int proxy_header_length(str bytes, size_t *ret)
{
    if (bytes.n == 0) {
        *ret = V1_MIN;
        return ERR_AGAIN;
    }
    if (may_begin(bytes, v1_signature))
        return v1_length(bytes, ret);
    return may_begin(bytes, v2_signature) ? v2_length(bytes, ret) : ERR_SYNTAX;
}

/* --- version 1 --- */

/* A port: digits without a zero in front. */
static bool port_parse(str text, uint16_t *ret)
{
    uint64_t n;
    if (!str_to_u64(text, 65535, &n) || (text.n > 1 && text.p[0] == '0'))
        return false;
    *ret = (uint16_t)n;
    return true;
}

/* "PROXY TCP4 192.0.2.1 198.51.100.1 40000 25": one space between the fields. */
static int v1_parse(str line, struct proxy_header *ret, struct error *e)
{
    str fields[6], rest = str_sub(line, 0, line.n - 2);
    size_t n = 0;
    while (n < 6 && str_split(&rest, ' ', &fields[n]))
        n++;
    size_t spaces = 0;
    for (size_t i = 0; i < line.n; i++)
        spaces += line.p[i] == ' ';
    struct proxy_header h = { .is_own = n >= 2 && str_eq(fields[1], STR("UNKNOWN")) };
    bool four = spaces == 5 && n == 6 && str_eq(fields[1], STR("TCP4"));
    bool six = spaces == 5 && n == 6 && str_eq(fields[1], STR("TCP6"));
    bool ok = h.is_own || ((four || six) && ip_address_parse(fields[2], &h.peer) && ip_address_parse(fields[3], &h.local) &&
                           port_parse(fields[4], &h.peer_port) && port_parse(fields[5], &h.local_port));
    for (size_t i = 2; ok && !h.is_own && i < 4; i++)
        ok = (str_find_byte(fields[i], ':', 0) == fields[i].n) == four;
    if (!ok)
        return error_set(e, ERR_SYNTAX, "the PROXY line is malformed");
    *ret = h;
    return 0;
}

/* --- version 2 --- */

/* CRC-32C (Castagnoli's polynomial, low bits first) of HEADER with the four bytes at HOLE as zeros. */
static uint32_t crc32c(str header, size_t hole)
{
    uint32_t crc = 0xffffffff;
    for (size_t i = 0; i < header.n; i++) {
        crc ^= i >= hole && i < hole + 4 ? 0 : (unsigned char)header.p[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78 : 0);
    }
    return ~crc;
}

/* What stands behind the addresses: type, length, value. All is skipped but the checksum, which is there once at most. */
static int check_rest(str header, size_t at, struct error *e)
{
    bool has_crc = false;
    while (at < header.n) {
        if (header.n - at < 3 || header.n - at - 3 < number_at(header, at + 1, 2))
            return error_set(e, ERR_SYNTAX, "the PROXY header is cut within a field");
        size_t n = number_at(header, at + 1, 2), value = at + 3;
        if (header.p[at] == V2_CRC32C && (n != 4 || crc32c(header, value) != number_at(header, value, 4)))
            return error_set(e, ERR_SYNTAX, "the PROXY header's checksum is wrong");
        if (header.p[at] == V2_CRC32C && has_crc)
            return error_set(e, ERR_SYNTAX, "the PROXY header has two checksums");
        has_crc = has_crc || header.p[at] == V2_CRC32C;
        at = value + n;
    }
    return 0;
}

static int v2_parse(str header, struct proxy_header *ret, struct error *e)
{
    static const struct {
        unsigned family;
        size_t size, address;
    } families[] = { { FAMILY_UNSPEC, 0, 0 }, { FAMILY_TCP4, 12, 4 }, { FAMILY_TCP6, 36, 16 }, { FAMILY_UNIX, 216, 0 } };
    unsigned command = (unsigned char)header.p[12], family = (unsigned char)header.p[13];
    struct proxy_header h = { .is_own = true };
    size_t i = 0;
    if (command == V2_COMMAND_LOCAL) { /* section 2.2: whatever follows it is skipped */
        *ret = h;
        return 0;
    }
    while (i < sizeof families / sizeof families[0] && families[i].family != family)
        i++;
    if (command != V2_COMMAND_PROXY || i == sizeof families / sizeof families[0])
        return error_set(e, ERR_SYNTAX, "the PROXY header's command 0x%02x or family 0x%02x is not known", command, family);
    size_t address = families[i].address, end = V2_FIXED + families[i].size;
    if (header.n < end)
        return error_set(e, ERR_SYNTAX, "the PROXY header is too short for its addresses");
    if (address) {
        const char *p = header.p + V2_FIXED;
        h.is_own = false;
        h.peer = address == 4 ? ip_address_from_4(p) : ip_address_from_16(p);
        h.local = address == 4 ? ip_address_from_4(p + address) : ip_address_from_16(p + address);
        h.peer_port = (uint16_t)number_at(header, V2_FIXED + 2 * address, 2);
        h.local_port = (uint16_t)number_at(header, V2_FIXED + 2 * address + 2, 2);
    }
    int err = check_rest(header, end, e);
    if (err == 0)
        *ret = h;
    return err;
}

int proxy_header_parse(str header, struct proxy_header *ret, struct error *e)
{
    size_t n = 0;
    if (proxy_header_length(header, &n) || n != header.n)
        return error_set(e, ERR_SYNTAX, "no PROXY header");
    return may_begin(header, v1_signature) ? v1_parse(header, ret, e) : v2_parse(header, ret, e);
}
