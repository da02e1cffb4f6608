/* bulk_digest: by what messages are known to be the same; see bulk.h. */
#include <openssl/evp.h>

#include "base/log.h"
#include "role/bulk.h"

enum { STEP = 65536 };

static EVP_MD_CTX *begin(void)
{
    EVP_MD_CTX *md = EVP_MD_CTX_new();
    if (!md || EVP_DigestInit_ex(md, EVP_sha256(), NULL) != 1)
        panic("SHA-256 cannot be computed");
    return md;
}

static void end(EVP_MD_CTX *md, char ret[BULK_DIGEST + 1])
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    if (EVP_DigestFinal_ex(md, digest, NULL) != 1)
        panic("SHA-256 cannot be computed");
    EVP_MD_CTX_free(md);
    for (size_t i = 0; i < BULK_DIGEST / 2; i++)
        (void)snprintf(ret + 2 * i, 3, "%02x", digest[i]);
}

void bulk_digest(str message, char ret[BULK_DIGEST + 1])
{
    EVP_MD_CTX *md = begin();
    if (message.n && EVP_DigestUpdate(md, message.p, message.n) != 1)
        panic("SHA-256 cannot be computed");
    end(md, ret);
}

int bulk_digest_source(struct source *message, uint64_t n, char ret[BULK_DIGEST + 1])
{
    EVP_MD_CTX *md = begin();
    char *p = malloc(STEP);
    int64_t got = 1;
    while (p && n && got > 0) {
        got = message->pull(message, p, n < STEP ? (size_t)n : STEP);
        if (got > 0 && EVP_DigestUpdate(md, p, (size_t)got) != 1)
            panic("SHA-256 cannot be computed");
        n -= got > 0 ? (uint64_t)got : 0;
    }
    end(md, ret);
    free(p);
    return !p ? ERR_LIMIT : n == 0 ? 0 : got < 0 ? (int)got : ERR_IO;
}
