/* tls_signed: what the key of a TLS server signs in a handshake, for those who hold the key.
 *
 * Nobody who holds a key signs bytes because somebody asks for it: they must be one of the two things that a server signs, whole, with a
 * signature that goes with it. Hash and padding are the holder's work. Pure. */
#ifndef VALISE_RUN_TLS_SIGNED_H
#define VALISE_RUN_TLS_SIGNED_H

#include "base/err.h"

/* RFC 8446 section 4.2.3, those that we use. */
enum tls_scheme {
    TLS_RSA_PKCS1_SHA256 = 0x0401,
    TLS_RSA_PKCS1_SHA384 = 0x0501,
    TLS_RSA_PKCS1_SHA512 = 0x0601,
    TLS_ECDSA_SHA256 = 0x0403,
    TLS_ECDSA_SHA384 = 0x0503,
    TLS_ECDSA_SHA512 = 0x0603,
    TLS_RSA_PSS_SHA256 = 0x0804,
    TLS_RSA_PSS_SHA384 = 0x0805,
    TLS_RSA_PSS_SHA512 = 0x0806
};

enum tls_signed {
    TLS_SIGNED_13, /* CertificateVerify of a server, RFC 8446 section 4.4.3 */
    TLS_SIGNED_12  /* ServerKeyExchange with ECDHE, RFC 8422 section 5.4 */
};

enum { TLS_SIGNED_MAX = 192 }; /* bytes; the longest has 165 */

/* Which of them MESSAGE is, and that a signature by SCHEME goes with it. ERR_REFUSED when it is none, is cut or longer, is for a client, names
 * another group or point than ours, or the scheme is unknown or not for it (RFC 8446 section 4.2.3: no PKCS #1 v1.5 in TLS 1.3). */
int tls_signed_kind(uint16_t scheme, str message, enum tls_signed *ret) MUST_USE;

#endif
