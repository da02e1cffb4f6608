/* Fuzzes the import of what another CA has given. The first byte says which of the two files the input is; the other one is the same. Slow (some ten a
 * second), as OpenSSL tries every kind of key on what is none. */
#include "pki/import.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Whatever is in the files, they are refused with a sentence or taken whole. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena a = ARENA_INIT(1 << 20);
    struct buf out = BUF_INIT(PKI_PEM_MAX);
    struct error e = ERROR_NONE;
    struct pki_import i = { 0 };
    if (size == 0)
        return 0;
    str file = { (const char *)data + 1, size - 1 }, other = STR("-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----\n");
    int r = pki_import_read(&(struct pki_import_files){ data[0] & 1 ? file : other, data[0] & 2 ? file : other, "chain.pem",
                                                        "key.pem", STR("mail.example.net"), 1800000000 },
                            &a, &i, &out, &e);
    require(r == 0 ? out.n > 0 && i.key : e.text[0] && !out.n && !i.key);
    pki_key_free(i.key);
    buf_done(&out);
    arena_done(&a);
    return 0;
}
