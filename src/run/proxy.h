/* proxy: the header that a load balancer puts in front of everything to say whose connection it passes on: HAProxy's PROXY protocol,
 * versions 1 (a line) and 2 (binary), "The PROXY protocol, versions 1 & 2". Bytes in, addresses out; no I/O. */
#ifndef VALISE_RUN_PROXY_H
#define VALISE_RUN_PROXY_H

#include "base/ip.h"

enum {
    PROXY_LINE_MAX = 107,        /* of version 1, with CRLF: section 2.1 */
    PROXY_HEADER_MAX = 16 + 4096 /* of version 2: room for what proxies tell of TLS, which is skipped */
};

struct proxy_header {
    bool is_own; /* LOCAL, UNKNOWN, or a family without addresses for us: the connection is the proxy's own */
    struct ip_address peer, local;
    uint16_t peer_port, local_port;
};

/* How long the header is that BYTES begin with. 0 with its length in *RET when all of it is there; ERR_AGAIN with a length in *RET that it has at
 * least, more than there is, so that nothing behind it need be read; ERR_SYNTAX, as soon as it can be none; ERR_LIMIT. */
int proxy_header_length(str bytes, size_t *ret) MUST_USE;
/* Reads HEADER, whole and nothing behind it. A checksum is checked when there is one. ERR_SYNTAX with E. */
int proxy_header_parse(str header, struct proxy_header *ret, struct error *e) MUST_USE;

#endif
