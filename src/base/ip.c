/* ip: see ip.h. */
#include "base/ip.h"

#include <arpa/inet.h>
#include <stdio.h>

enum { MAPPED_BITS = 96 };
static const unsigned char mapped[12] = { [10] = 0xff, [11] = 0xff };

struct ip_address ip_address_from_4(const void *bytes)
{
    struct ip_address a;
    memcpy(a.b, mapped, sizeof mapped);
    memcpy(a.b + sizeof mapped, bytes, 4);
    return a;
}

struct ip_address ip_address_from_16(const void *bytes)
{
    struct ip_address a;
    memcpy(a.b, bytes, sizeof a.b);
    return a;
}

bool ip_address_is_4(const struct ip_address *a)
{
    return memcmp(a->b, mapped, sizeof mapped) == 0;
}

bool ip_address_parse(str text, struct ip_address *ret)
{
    char z[IP_TEXT_MAX];
    unsigned char bytes[16];
    if (text.n == 0 || text.n >= sizeof z)
        return false;
    memcpy(z, text.p, text.n);
    z[text.n] = 0;
    if (strlen(z) != text.n)
        return false;
    if (inet_pton(AF_INET, z, bytes) == 1)
        *ret = ip_address_from_4(bytes);
    else if (inet_pton(AF_INET6, z, bytes) == 1)
        *ret = ip_address_from_16(bytes);
    else
        return false;
    return true;
}

str ip_address_text(const struct ip_address *a, char text[IP_TEXT_MAX])
{
    bool four = ip_address_is_4(a);
    require(inet_ntop(four ? AF_INET : AF_INET6, four ? a->b + sizeof mapped : a->b, text, IP_TEXT_MAX));
    return str_from_z(text);
}

/* A without what stands behind its first BITS. */
static struct ip_address cut(struct ip_address a, unsigned bits)
{
    for (unsigned i = 0; i < 16; i++) {
        unsigned kept = bits > i * 8 ? bits - i * 8 : 0;
        a.b[i] = (unsigned char)(a.b[i] & 0xff00 >> (kept < 8 ? kept : 8));
    }
    return a;
}

struct ip_network ip_address_network(const struct ip_address *a, unsigned bits_4, unsigned bits_6)
{
    unsigned bits = ip_address_is_4(a) ? MAPPED_BITS + bits_4 : bits_6;
    require(bits <= 128);
    return (struct ip_network){ cut(*a, bits), (unsigned char)bits };
}

int ip_network_parse(str text, struct ip_network *ret, struct error *e)
{
    size_t slash = str_find_byte(text, '/', 0);
    struct ip_address a;
    uint64_t bits;
    if (!ip_address_parse(str_sub(text, 0, slash), &a))
        return error_set(e, ERR_SYNTAX, "'%.*s' is no network; write \"192.0.2.0/24\" or \"2001:db8::/32\", numbers only",
                         STR_ARG(text));
    bool four = ip_address_is_4(&a);
    unsigned max = four ? 32 : 128;
    if (slash == text.n)
        bits = max;
    else if (!str_to_u64(str_from(text, slash + 1), max, &bits))
        return error_set(e, ERR_SYNTAX, "'%.*s': what follows the slash is a number from 0 to %u", STR_ARG(text), max);
    struct ip_network n = ip_address_network(&a, (unsigned)bits, (unsigned)bits);
    if (memcmp(n.address.b, a.b, sizeof a.b) != 0) {
        char want[IP_NETWORK_TEXT_MAX];
        (void)ip_network_text(&n, want);
        return error_set(e, ERR_SYNTAX, "'%.*s' has bits behind its prefix; write \"%s\" for the network, or the address alone",
                         STR_ARG(text), want);
    }
    *ret = n;
    return 0;
}

static bool network_is_4(const struct ip_network *n)
{
    return n->bits >= MAPPED_BITS && ip_address_is_4(&n->address);
}

bool ip_networks_have(struct ip_networks networks, const struct ip_address *a)
{
    bool four = ip_address_is_4(a);
    for (size_t i = 0; i < networks.n; i++) {
        const struct ip_network *n = &networks.list[i];
        struct ip_address within = cut(*a, n->bits);
        if (four == network_is_4(n) && memcmp(within.b, n->address.b, sizeof within.b) == 0)
            return true;
    }
    return false;
}

str ip_network_text(const struct ip_network *network, char text[IP_NETWORK_TEXT_MAX])
{
    char address[IP_TEXT_MAX];
    bool four = network_is_4(network);
    (void)ip_address_text(&network->address, address);
    if (network->bits == 128)
        (void)snprintf(text, IP_NETWORK_TEXT_MAX, "%s", address);
    else
        (void)snprintf(text, IP_NETWORK_TEXT_MAX, "%s/%d", address, four ? network->bits - MAPPED_BITS : network->bits);
    return str_from_z(text);
}
