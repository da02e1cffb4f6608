/* pki_private: what the files of this folder share: OpenSSL objects and its errors. */
#ifndef VALISE_PKI_PKI_PRIVATE_H
#define VALISE_PKI_PKI_PRIVATE_H

#include <openssl/evp.h>
#include <openssl/x509.h>

#include "pki/pki.h"

struct pki_key {
    EVP_PKEY *pkey;
};

/* Sets E to CODE with WHAT and OpenSSL's own reason, and empties OpenSSL's error queue. Returns CODE. */
int pki_fail(struct error *e, int code, const char *what);
/* The first certificate of PEM, to be freed with X509_free. 0 or ERR_SYNTAX. */
int pki_certificate_parse(str pem, X509 **ret, struct error *e) MUST_USE;
/* The key that a certificate shall be made for: of a PKCS #10 request whose proof is good, or of a certificate that CA signed. ERR_SYNTAX,
 * ERR_REFUSED, ERR_UNSUPPORTED. */
int pki_subject_key(str pem, X509 *ca, EVP_PKEY **ret, struct error *e) MUST_USE;
/* Whether keys of PKEY's kind are used here. */
bool pki_pkey_is_supported(const EVP_PKEY *pkey);
/* Puts the end of CERT's time, in seconds since 1970, in *RET; NOW is near. False when it cannot be told. */
bool pki_certificate_end(const X509 *cert, int64_t now, int64_t *ret);
/* Appends what BIO holds to OUT. */
void pki_bio_take(BIO *bio, struct buf *out);
/* Hex SHA-256 of PKEY's SubjectPublicKeyInfo. */
int pki_pkey_id(const EVP_PKEY *pkey, char ret_hex[65]) MUST_USE;

#endif
