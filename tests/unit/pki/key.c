/* key: private keys in memory and on disk, and the signatures they make. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <sys/stat.h>
#include <unistd.h>

#include "pki/pki.h"

/* The public half, to check signatures with. */
static EVP_PKEY *public_of(const struct pki_key *k)
{
    struct buf pem = BUF_INIT(PKI_PEM_MAX);
    assert_int_equal(pki_key_to_pem(k, &pem, NULL), 0);
    BIO *bio = BIO_new_mem_buf(pem.p, (int)pem.n);
    EVP_PKEY *pkey = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
    assert_non_null(pkey);
    BIO_free(bio);
    buf_done(&pem);
    return pkey;
}

/* What each scheme is, said again here: the hash, and 0 for ECDSA, 1 for PKCS #1 v1.5, 2 for PSS with a salt as long as the hash. */
static const struct {
    uint16_t scheme;
    const char *hash;
    int padding;
} schemes[] = { { 0x0403, "SHA256", 0 }, { 0x0503, "SHA384", 0 }, { 0x0603, "SHA512", 0 },
                { 0x0401, "SHA256", 1 }, { 0x0501, "SHA384", 1 }, { 0x0601, "SHA512", 1 },
                { 0x0804, "SHA256", 2 }, { 0x0805, "SHA384", 2 }, { 0x0806, "SHA512", 2 } };
enum { SCHEMES = sizeof schemes / sizeof schemes[0] };

static bool verifies(EVP_PKEY *pkey, size_t i, str message, const char *sig, size_t n)
{
    EVP_PKEY_CTX *p = NULL;
    EVP_MD_CTX *c = EVP_MD_CTX_new();
    assert_int_equal(EVP_DigestVerifyInit_ex(c, &p, schemes[i].hash, NULL, NULL, pkey, NULL), 1);
    if (schemes[i].padding == 2) {
        assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(p, RSA_PKCS1_PSS_PADDING), 1);
        assert_int_equal(EVP_PKEY_CTX_set_rsa_pss_saltlen(p, RSA_PSS_SALTLEN_DIGEST), 1);
    }
    bool ok = EVP_DigestVerify(c, (const unsigned char *)sig, n, (const unsigned char *)message.p, message.n) == 1;
    EVP_MD_CTX_free(c);
    return ok;
}

static void keys_sign_messages(void **state)
{
    static const enum pki_kind kinds[] = { PKI_EC_P256, PKI_EC_P384, PKI_RSA_3072 };
    for (size_t k = 0; k < 3; k++) {
        struct pki_key *key = NULL;
        char sig[400];
        assert_int_equal(pki_key_generate(kinds[k], &key, NULL), 0);
        EVP_PKEY *pkey = public_of(key);
        for (size_t i = 0; i < SCHEMES; i++) {
            int64_t n = pki_key_sign(key, schemes[i].scheme, STR("message"), sig, sizeof sig);
            if ((kinds[k] == PKI_RSA_3072) != (schemes[i].padding != 0)) {
                assert_int_equal(n, ERR_REFUSED);
                continue;
            }
            assert_true(n > 0);
            assert_true(verifies(pkey, i, STR("message"), sig, (size_t)n));
            assert_false(verifies(pkey, i, STR("massage"), sig, (size_t)n));
            assert_int_equal(pki_key_sign(key, schemes[i].scheme, STR("message"), sig, 16), ERR_LIMIT);
        }
        static const uint16_t others[] = { 0, 0x0201, 0x0203, 0x0301, 0x0303, 0x0807, 0x0809, 0xffff };
        for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
            assert_int_equal(pki_key_sign(key, others[i], STR("message"), sig, sizeof sig), ERR_REFUSED);
        EVP_PKEY_free(pkey);
        pki_key_free(key);
    }
}

static void pem_forms(void **state)
{
    /* Made for this test with "openssl ecparam" and "openssl genpkey". */
    static const str sec1 = STR_INIT("-----BEGIN EC PRIVATE KEY-----\n"
                                     "MHcCAQEEIFImWDMg+NFT8uzP6SrMQIyzXnDwusjQVlAdL3kWSsmSoAoGCCqGSM49\n"
                                     "AwEHoUQDQgAEhesGjaNDi5GyC1ZOfix5gIYRG1qYi7Krn6bsikHkgX8jBqZ0m2tc\n"
                                     "870RsFCo9J//dvv3R9ZF8uumpRrsAYF7ZA==\n"
                                     "-----END EC PRIVATE KEY-----\n");
    static const str ed25519 = STR_INIT("-----BEGIN PRIVATE KEY-----\n"
                                        "MC4CAQAwBQYDK2VwBCIEIO3f4vKv5lFvep/5gg7pQOFjfWwNIlBAWPublvPy/iUZ\n"
                                        "-----END PRIVATE KEY-----\n");
    static const str encrypted = STR_INIT("-----BEGIN ENCRYPTED PRIVATE KEY-----\n"
                                          "MIHsMFcGCSqGSIb3DQEFDTBKMCkGCSqGSIb3DQEFDDAcBAiLhLSa3RbMUAICCAAw\n"
                                          "DAYIKoZIhvcNAgkFADAdBglghkgBZQMEASoEED+17KFyWzQZL8vXVbr1FUoEgZDc\n"
                                          "QpvfEZ4oyiKhC47jOk4sXqLzQqcUA/wd653h8vVQ2UzLxQh2wIHsisGCP/ntpY05\n"
                                          "+/3jdstjWkwTJFIhgyFcInTVhJ6UF0su5wyPQgYubD7q9TgkHbW9WCVrqVsBVnMz\n"
                                          "barp5hJk9OqhjqB1jXSmas0/UTDmhdhZ5hpQ8jbEJBLqF36z6aEyzP44PYZW/T4=\n"
                                          "-----END ENCRYPTED PRIVATE KEY-----\n");
    struct pki_key *k = NULL, *again = NULL;
    char id[65], id2[65];
    assert_int_equal(pki_key_from_pem(sec1, &k, NULL), 0);
    assert_int_equal(pki_key_id(k, id), 0);
    assert_string_equal(id, "f870d245250b5748f2631eaa6315c198d883db8cf6b67ce4c1c9fd24e1dff793");
    struct buf pem = BUF_INIT(PKI_PEM_MAX), small = BUF_INIT(20);
    assert_int_equal(pki_key_to_pem(k, &pem, NULL), 0);
    assert_true(str_starts(buf_str(&pem), STR("-----BEGIN PRIVATE KEY-----\n")));
    assert_int_equal(pki_key_from_pem(buf_str(&pem), &again, NULL), 0);
    assert_int_equal(pki_key_id(again, id2), 0);
    assert_string_equal(id, id2);
    assert_int_equal(pki_key_to_pem(k, &small, NULL), ERR_LIMIT);
    pki_key_free(again);
    pki_key_free(k);
    pki_key_free(NULL);
    assert_int_equal(pki_key_from_pem(ed25519, &k, NULL), ERR_UNSUPPORTED);
    assert_int_equal(pki_key_from_pem(encrypted, &k, NULL), ERR_SYNTAX);
    assert_int_equal(pki_key_from_pem(STR(""), &k, NULL), ERR_SYNTAX);
    for (size_t n = 0; n < sec1.n - 5; n += 7)
        assert_int_equal(pki_key_from_pem(str_sub(sec1, 0, n), &k, NULL), ERR_SYNTAX);
    buf_done(&pem);
    buf_done(&small);
}

static size_t entries(const char *path)
{
    size_t n = 0;
    DIR *d = opendir(path);
    assert_non_null(d);
    for (struct dirent *x; (x = readdir(d));)
        n += x->d_name[0] != '.';
    closedir(d);
    return n;
}

static void files(void **state)
{
    char dir[] = "/tmp/valise-key-XXXXXX", path[64], bad[64], id[65], id2[65];
    struct pki_key *k = NULL, *back = NULL;
    struct error e = ERROR_NONE;
    struct stat st;
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/key.pem", dir);
    snprintf(bad, sizeof bad, "%s/none/key.pem", dir);
    assert_int_equal(pki_key_generate(PKI_EC_P256, &k, NULL), 0);
    assert_int_equal(pki_key_load(path, &back, &e), ERR_NOTFOUND);
    assert_int_equal(pki_key_store(k, path, false, &e), 0);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(pki_key_load(path, &back, &e), 0);
    assert_int_equal(pki_key_id(k, id), 0);
    assert_int_equal(pki_key_id(back, id2), 0);
    assert_string_equal(id, id2);
    pki_key_free(back);

    /* What is there is kept unless replacing is meant, and a failure leaves nothing behind. */
    assert_int_equal(pki_file_write(path, STR("other"), 0600, false, &e), ERR_EXISTS);
    assert_int_equal(pki_key_load(path, &back, &e), 0);
    pki_key_free(back);
    assert_int_equal(pki_file_write(bad, STR("x"), 0600, true, &e), ERR_NOTFOUND);
    assert_int_equal(entries(dir), 1);
    assert_int_equal(pki_certificate_store(STR("other"), path, true, &e), 0);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0644);

    struct buf b = BUF_INIT(5), tight = BUF_INIT(4);
    assert_int_equal(pki_file_read(path, &b, &e), 0);
    assert_true(str_eq(buf_str(&b), STR("other")));
    assert_int_equal(pki_file_read(path, &tight, &e), ERR_LIMIT);
    assert_int_equal(pki_key_load(path, &back, &e), ERR_REFUSED); /* open to others */
    assert_int_equal(chmod(path, 0600), 0);
    assert_int_equal(pki_key_load(path, &back, &e), ERR_SYNTAX);
    buf_done(&b);
    buf_done(&tight);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(dir), 0);
    pki_key_free(k);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_sign_messages),
        cmocka_unit_test(pem_forms),
        cmocka_unit_test(files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
