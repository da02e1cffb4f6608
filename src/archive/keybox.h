/* keybox: who can open a backup. A secret of 32 bytes in CMS AuthEnvelopedData (RFC 5652 section 6, RFC 5083 section 2) with AES-256-GCM (RFC 5084 section 3.2), once for
 * all recipients: RSA keys (OAEP with SHA-256), EC keys (ephemeral ECDH with AES key wrap), passphrases (a key-encryption key that Argon2id makes),
 * and the server that made it (a key-encryption key of its own). `openssl cms -decrypt` opens it too; README.md says how.
 *
 * Pure and blocking only for computation; Argon2id takes some tenths of a second and 256 MiB. */
#ifndef VALISE_ARCHIVE_KEYBOX_H
#define VALISE_ARCHIVE_KEYBOX_H

#include "base/buf.h"

enum {
    KEYBOX_SECRET = 32,   /* bytes of the secret, and of a server's key */
    KEYBOX_ID = 32,       /* characters of a server key's name, hexadecimal */
    KEYBOX_MAX = 1 << 16, /* bytes of a keybox */
    KEYBOX_RECIPIENTS = 32,
    KEYBOX_FILE_MAX = 1 << 18 /* bytes of a certificate's or key's file */
};

struct keybox_to {
    const str *certificates; /* PEM; the first certificate of each */
    size_t certificate_n;
    str passphrase; /* empty: none */
    str server_id;  /* empty: none; KEYBOX_ID characters */
    const char *server_key;
};

/* Appends a keybox for SECRET to OUT (DER). At least one certificate or the passphrase is needed. ERR_SYNTAX for a certificate that cannot be read,
 * ERR_REFUSED for one whose key cannot be used, ERR_LIMIT, ERR_INTERNAL. */
int keybox_close(const char secret[KEYBOX_SECRET], const struct keybox_to *to, struct buf *out, struct error *e) MUST_USE;

struct keybox_info {
    size_t certificates, passphrases; /* how many can open it */
    char server_id[KEYBOX_ID + 1];    /* empty: no server's key can */
};
/* What DER says without any key. ERR_CORRUPT for what is no keybox, ERR_LIMIT. */
int keybox_describe(str der, struct keybox_info *ret, struct error *e) MUST_USE;

/* The secret of DER by a private key in PEM (PKCS #8 or the older forms), which PASSWORD decrypts if it is encrypted; by a PKCS #12 file in DER
 * with its PASSWORD; by a passphrase; by a server's key. ERR_REFUSED: DER is not for that key or passphrase; ERR_AGAIN: the file wants a password, or another one (only the
 * first two); ERR_SYNTAX: the file holds no key; ERR_CORRUPT, ERR_LIMIT as keybox_describe. */
int keybox_open_key(str der, str pem, str password, char ret[KEYBOX_SECRET], struct error *e) MUST_USE;
int keybox_open_p12(str der, str p12, str password, char ret[KEYBOX_SECRET], struct error *e) MUST_USE;
int keybox_open_passphrase(str der, str passphrase, char ret[KEYBOX_SECRET], struct error *e) MUST_USE;
int keybox_open_server(str der, str id, const char key[KEYBOX_SECRET], char ret[KEYBOX_SECRET], struct error *e) MUST_USE;

/* The key for the stream PURPOSE of what DER guards: HKDF with SHA-256 (RFC 5869 section 2) of SECRET, salted with the hash of DER, so that a changed keybox opens nothing. */
int keybox_derive(const char secret[KEYBOX_SECRET], str der, const char *purpose, char ret[KEYBOX_SECRET],
                  struct error *e) MUST_USE;

#endif
