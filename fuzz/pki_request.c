/* Fuzzes what keeper does with a foreign request for a certificate (PKCS #10, RFC 2986): the input is its DER form. Whatever is issued for it
 * bears the names that were ordered, its own CA's signature and no right to sign others. */
#include "base/base64.h"
#include "pki/pki.h"

enum { NOW = 1800000000, HOUR = 3600 };

static struct pki_key *ca_key;
static struct buf ca = BUF_INIT(PKI_PEM_MAX);

static void make_ca(void)
{
    require(pki_key_generate(PKI_EC_P256, &ca_key, NULL) == 0);
    require(pki_ca_create(ca_key, STR("example.org"), NULL, STR(""), NOW, &ca, NULL) == 0);
}

static void to_pem(str der, struct buf *pem)
{
    struct buf text = BUF_INIT(PKI_PEM_MAX);
    base64_encode(&text, der);
    buf_add(pem, STR("-----BEGIN CERTIFICATE REQUEST-----\n"));
    for (size_t i = 0; i < text.n; i += 64)
        buf_add_all(pem, str_sub(buf_str(&text), i, 64), STR("\n"));
    buf_add(pem, STR("-----END CERTIFICATE REQUEST-----\n"));
    buf_done(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena a = ARENA_INIT(1 << 20);
    struct buf pem = BUF_INIT(PKI_PEM_MAX), out = BUF_INIT(PKI_PEM_MAX);
    const str names[] = { STR("mail.example.org") };
    const struct pki_order order = { PKI_USE_SERVER, names, 1, HOUR };
    struct pki_description d;
    if (!ca_key)
        make_ca();
    to_pem((str){ (const char *)data, size }, &pem);
    if (pki_issue(ca_key, buf_str(&ca), buf_str(&pem), &order, NOW, &out, NULL) == 0) {
        require(pki_certificate_describe(buf_str(&out), &a, &d, NULL) == 0);
        require(!d.is_ca && d.name_n == 1 && str_eq(d.names[0].text, names[0]) && str_eq(d.subject, STR("CN=mail.example.org")));
        require(pki_is_issued_by(buf_str(&out), buf_str(&ca)));
    }
    buf_done(&pem);
    buf_done(&out);
    arena_done(&a);
    return 0;
}
