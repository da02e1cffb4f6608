/* Fuzzes the description and the printing of a foreign certificate: the input is its DER form. */
#include "base/base64.h"
#include "pki/pki.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena a = ARENA_INIT(1 << 20);
    struct pki_description d;
    struct buf pem = BUF_INIT(PKI_PEM_MAX), text = BUF_INIT(PKI_PEM_MAX);
    base64_encode(&text, (str){ (const char *)data, size });
    buf_add(&pem, STR("-----BEGIN CERTIFICATE-----\n"));
    for (size_t i = 0; i < text.n; i += 64)
        buf_add_all(&pem, str_sub(buf_str(&text), i, 64), STR("\n"));
    buf_add(&pem, STR("-----END CERTIFICATE-----\n"));
    if (pki_certificate_describe(buf_str(&pem), &a, &d, NULL) == 0) {
        require(d.key_id.n == 64);
        for (size_t i = 0; i < d.name_n; i++)
            require(str_find_byte(d.names[i].text, '\0', 0) == d.names[i].text.n);
    }
    buf_reset(&text);
    if (pki_certificate_print(buf_str(&pem), &text, NULL) == 0)
        require(str_find_byte(buf_str(&text), '\x1b', 0) == text.n);
    buf_done(&pem);
    buf_done(&text);
    arena_done(&a);
    return 0;
}
