/* tls_signed: see tls_signed.h. */
#include "run/tls_signed.h"

enum { PAD = 64, RANDOMS = 64, NAMED_CURVE = 3, UNCOMPRESSED = 4 };

/* RFC 8446 section 4.4.3: 64 spaces, the context, a zero byte, the hash of the handshake; the hashes are those of our suites. */
static bool is_verify(str m)
{
    static const char context[] = "TLS 1.3, server CertificateVerify"; /* its NUL is the zero byte */
    size_t hash = m.n - PAD - sizeof context;
    if (m.n < PAD + sizeof context || (hash != 32 && hash != 48))
        return false;
    for (size_t i = 0; i < PAD; i++)
        if (m.p[i] != ' ')
            return false;
    return memcmp(m.p + PAD, context, sizeof context) == 0;
}

/* RFC 8422 section 5.4: both randoms, then the curve by name and a point on it, as long as such a point is. */
static bool is_exchange(str m)
{
    static const struct {
        uint16_t group;
        uint8_t point;
        bool prefixed;
    } groups[] = { { 23, 65, true }, { 24, 97, true }, { 29, 32, false } }; /* P-256, P-384, X25519: those of tls.c */
    if (m.n < RANDOMS + 5 || m.p[RANDOMS] != NAMED_CURVE)
        return false;
    const unsigned char *p = (const unsigned char *)m.p + RANDOMS + 1;
    for (size_t i = 0; i < sizeof groups / sizeof groups[0]; i++)
        if (p[0] == groups[i].group >> 8 && p[1] == (groups[i].group & 0xff))
            return p[2] == groups[i].point && m.n == RANDOMS + 4u + groups[i].point &&
                   (!groups[i].prefixed || p[3] == UNCOMPRESSED);
    return false;
}

static bool is_known(uint16_t scheme)
{
    static const uint16_t known[] = { TLS_RSA_PKCS1_SHA256, TLS_RSA_PKCS1_SHA384, TLS_RSA_PKCS1_SHA512,
                                      TLS_ECDSA_SHA256,     TLS_ECDSA_SHA384,     TLS_ECDSA_SHA512,
                                      TLS_RSA_PSS_SHA256,   TLS_RSA_PSS_SHA384,   TLS_RSA_PSS_SHA512 };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (scheme == known[i])
            return true;
    return false;
}

int tls_signed_kind(uint16_t scheme, str message, enum tls_signed *ret)
{
    bool pkcs1 = scheme == TLS_RSA_PKCS1_SHA256 || scheme == TLS_RSA_PKCS1_SHA384 || scheme == TLS_RSA_PKCS1_SHA512;
    if (!is_known(scheme))
        return ERR_REFUSED;
    /* No message is both: a random of 64 spaces would be followed by 'T', which is no type of curve. */
    if (is_verify(message) && !pkcs1)
        *ret = TLS_SIGNED_13;
    else if (is_exchange(message))
        *ret = TLS_SIGNED_12;
    else
        return ERR_REFUSED;
    return 0;
}
