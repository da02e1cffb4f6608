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

static void ec_signs_a_digest(void **state)
{
    static const enum pki_kind kinds[] = { PKI_EC_P256, PKI_EC_P384 };
    for (size_t i = 0; i < 2; i++) {
        struct pki_key *k = NULL;
        char sig[160];
        unsigned char digest[64];
        memset(digest, 7, sizeof digest);
        assert_int_equal(pki_key_generate(kinds[i], &k, NULL), 0);
        EVP_PKEY *pkey = public_of(k);
        for (size_t n = 32; n <= 64; n += 16) {
            int64_t sig_n = pki_key_sign(k, (str){ (char *)digest, n }, sig, sizeof sig);
            assert_true(sig_n > 0);
            EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(pkey, NULL);
            assert_int_equal(EVP_PKEY_verify_init(ctx), 1);
            assert_int_equal(EVP_PKEY_verify(ctx, (unsigned char *)sig, (size_t)sig_n, digest, n), 1);
            digest[0] ^= 1;
            assert_int_not_equal(EVP_PKEY_verify(ctx, (unsigned char *)sig, (size_t)sig_n, digest, n), 1);
            EVP_PKEY_CTX_free(ctx);
        }
        assert_int_equal(pki_key_sign(k, (str){ (char *)digest, 31 }, sig, sizeof sig), ERR_SYNTAX);
        assert_int_equal(pki_key_sign(k, (str){ (char *)digest, 0 }, sig, sizeof sig), ERR_SYNTAX);
        assert_int_equal(pki_key_sign(k, (str){ (char *)digest, 32 }, sig, 16), ERR_LIMIT);
        EVP_PKEY_free(pkey);
        pki_key_free(k);
    }
}

static void rsa_does_the_raw_operation(void **state)
{
    struct pki_key *k = NULL;
    unsigned char block[384], back[384];
    char sig[384];
    assert_int_equal(pki_key_generate(PKI_RSA_3072, &k, NULL), 0);
    EVP_PKEY *pkey = public_of(k);
    memset(block, 0xff, sizeof block); /* PKCS#1 type 1 padding around a text */
    block[0] = 0, block[1] = 1, block[300] = 0;
    assert_int_equal(pki_key_sign(k, (str){ (char *)block, sizeof block }, sig, sizeof sig), sizeof block);
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(pkey, NULL);
    size_t n = sizeof back;
    assert_int_equal(EVP_PKEY_encrypt_init(ctx), 1);
    assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_NO_PADDING), 1);
    assert_int_equal(EVP_PKEY_encrypt(ctx, back, &n, (unsigned char *)sig, sizeof sig), 1);
    assert_memory_equal(back, block, sizeof block);
    EVP_PKEY_CTX_free(ctx);
    assert_int_equal(pki_key_sign(k, (str){ (char *)block, 32 }, sig, sizeof sig), ERR_SYNTAX);
    assert_int_equal(pki_key_sign(k, (str){ (char *)block, sizeof block }, sig, 383), ERR_LIMIT);
    memset(block, 0xff, sizeof block); /* above the modulus */
    assert_int_equal(pki_key_sign(k, (str){ (char *)block, sizeof block }, sig, sizeof sig), ERR_INTERNAL);
    EVP_PKEY_free(pkey);
    pki_key_free(k);
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
        cmocka_unit_test(ec_signs_a_digest),
        cmocka_unit_test(rsa_does_the_raw_operation),
        cmocka_unit_test(pem_forms),
        cmocka_unit_test(files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
