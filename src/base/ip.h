/* ip: addresses of the internet and the networks they lie in, for whoever decides by them.
 *
 * An IPv4 address is kept as the IPv6 address that maps it (RFC 4291 section 2.5.5.2), so there is one form to compare; a network of one
 * family never holds an address of the other. */
#ifndef VALISE_BASE_IP_H
#define VALISE_BASE_IP_H

#include "base/err.h"

enum { IP_TEXT_MAX = 46, IP_NETWORK_TEXT_MAX = 50 }; /* with the NUL */

struct ip_address {
    unsigned char b[16];
};

/* ADDRESS is within it when its first BITS of 128 are these. */
struct ip_network {
    struct ip_address address;
    unsigned char bits;
};

struct ip_networks {
    const struct ip_network *list;
    size_t n;
};

/* "192.0.2.1" or "2001:db8::1" (RFC 4291 section 2.2); no name, no zone, no brackets. */
bool ip_address_parse(str text, struct ip_address *ret);
/* From the four or sixteen bytes of the wire. */
struct ip_address ip_address_from_4(const void *bytes);
struct ip_address ip_address_from_16(const void *bytes);
bool ip_address_is_4(const struct ip_address *a);
/* The text as ip_address_parse takes it, NUL-terminated. Returns a view of TEXT. */
str ip_address_text(const struct ip_address *a, char text[IP_TEXT_MAX]);
/* The network of BITS that A lies in: BITS of 32 for IPv4, of 128 for IPv6. */
struct ip_network ip_address_network(const struct ip_address *a, unsigned bits_4, unsigned bits_6);

/* "192.0.2.0/24", "2001:db8::/32", or an address alone. ERR_SYNTAX with E saying what to write: no bits may stand behind the prefix. */
int ip_network_parse(str text, struct ip_network *ret, struct error *e) MUST_USE;
/* Whether A lies in one of NETWORKS. */
bool ip_networks_have(struct ip_networks networks, const struct ip_address *a);
/* "192.0.2.0/24"; the address alone when the network is one. Returns a view of TEXT. */
str ip_network_text(const struct ip_network *network, char text[IP_NETWORK_TEXT_MAX]);

#endif
