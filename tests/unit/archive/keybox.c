/* keybox: each recipient has the secret back and nobody else; what foreign bytes ask for is limited; the kept example (tests/data/sealed-1) is read. */
#include "../check.h"

#include <stdio.h>

#include "archive/keybox.h"
#include "archive/sealed.h"

enum { MAX = 1 << 20 };

static const char secret[KEYBOX_SECRET] = "the secret of thirty-two bytes!!",
                  server_key[KEYBOX_SECRET] = "a server's key: thirty-two bytes";
static const str passphrase = STR_INIT("a passphrase of some length"), server_id = STR_INIT("00112233445566778899aabbccddeeff");

/* A file of the example, in B. */
static str example(const char *name, struct buf *b)
{
    char path[512];
    size_t n;
    *b = BUF_INIT(MAX);
    (void)snprintf(path, sizeof path, "%s/%s", getenv("EXAMPLE"), name);
    FILE *f = fopen(path, "rbe");
    if (!f)
        fail_msg("%s cannot be read", path);
    while (f && (n = fread(buf_reserve(b, 4096), 1, 4096, f)) > 0)
        buf_commit(b, n);
    if (f)
        (void)fclose(f);
    return buf_str(b);
}

static void check_opens(str der, int (*fn)(str, str, str, char *, struct error *), const char *file, const char *password)
{
    struct buf b;
    struct error e = ERROR_NONE;
    char got[KEYBOX_SECRET];
    int err = fn(der, example(file, &b), str_from_z(password), got, &e);
    if (err)
        fail_msg("%s: %s", file, e.text);
    assert_memory_equal(got, secret, sizeof got);
    buf_done(&b);
}

static int check_refuses(str der, int (*fn)(str, str, str, char *, struct error *), const char *file, const char *password)
{
    struct buf b;
    struct error e = ERROR_NONE;
    char got[KEYBOX_SECRET];
    int err = fn(der, example(file, &b), str_from_z(password), got, &e);
    assert_true(err < 0 && e.text[0]);
    buf_done(&b);
    return err;
}

static void check_all_open(str der)
{
    struct keybox_info info;
    struct error e = ERROR_NONE;
    char got[KEYBOX_SECRET];
    assert_int_equal(keybox_describe(der, &info, NULL), 0);
    assert_int_equal(info.certificates, 2);
    assert_int_equal(info.passphrases, 1);
    check_str(server_id, info.server_id);
    check_opens(der, keybox_open_key, "rsa.key", "");
    check_opens(der, keybox_open_key, "ec.key", "");
    check_opens(der, keybox_open_key, "ec-encrypted.key", "secret-of-the-key");
    check_opens(der, keybox_open_p12, "ec.p12", "secret-of-the-file");
    assert_int_equal(keybox_open_passphrase(der, passphrase, got, &e), 0);
    assert_memory_equal(got, secret, sizeof got);
    secret_wipe(got, sizeof got);
    assert_int_equal(keybox_open_server(der, server_id, server_key, got, &e), 0);
    assert_memory_equal(got, secret, sizeof got);
    assert_int_equal(check_refuses(der, keybox_open_key, "ec-encrypted.key", ""), ERR_AGAIN);
    assert_int_equal(check_refuses(der, keybox_open_key, "ec-encrypted.key", "wrong"), ERR_AGAIN);
    assert_int_equal(check_refuses(der, keybox_open_p12, "ec.p12", "wrong"), ERR_AGAIN);
    assert_int_equal(check_refuses(der, keybox_open_key, "ec.pem", ""), ERR_SYNTAX);
    assert_int_equal(check_refuses(der, keybox_open_p12, "ec.pem", ""), ERR_SYNTAX);
    assert_int_equal(keybox_open_passphrase(der, STR("a passphrase of some other length"), got, &e), ERR_REFUSED);
    assert_int_equal(keybox_open_server(der, server_id, secret, got, &e), ERR_REFUSED);
    assert_int_equal(keybox_open_server(der, STR("11112233445566778899aabbccddeeff"), server_key, got, &e), ERR_REFUSED);
}

static void test_every_recipient(void **state)
{
    (void)state;
    struct buf rsa, ec, out = BUF_INIT(KEYBOX_MAX);
    const str certificates[] = { example("rsa.pem", &rsa), example("ec.pem", &ec) };
    struct error e = ERROR_NONE;
    const struct keybox_to to = { certificates, 2, passphrase, server_id, server_key };
    if (keybox_close(secret, &to, &out, &e))
        fail_msg("%s", e.text);
    check_all_open(buf_str(&out));
    /* What was encrypted to one alone is nobody else's. */
    buf_reset(&out);
    assert_int_equal(keybox_close(secret, &(struct keybox_to){ .certificates = certificates, .certificate_n = 1 }, &out, &e), 0);
    check_opens(buf_str(&out), keybox_open_key, "rsa.key", "");
    assert_int_equal(check_refuses(buf_str(&out), keybox_open_key, "ec.key", ""), ERR_REFUSED);
    char got[KEYBOX_SECRET];
    assert_int_equal(keybox_open_passphrase(buf_str(&out), passphrase, got, &e), ERR_REFUSED);
    buf_reset(&out);
    assert_int_equal(keybox_close(secret, &(struct keybox_to){ .certificates = certificates + 1, .certificate_n = 1 }, &out, &e),
                     0);
    assert_int_equal(check_refuses(buf_str(&out), keybox_open_key, "rsa.key", ""), ERR_REFUSED);
    buf_done(&rsa);
    buf_done(&ec);
    buf_done(&out);
}

static void test_who_cannot_be_a_recipient(void **state)
{
    (void)state;
    struct buf key, signing, out = BUF_INIT(KEYBOX_MAX);
    struct error e = ERROR_NONE;
    const str no_certificate = example("ec.key", &key), for_signatures = example("signing.pem", &signing);
    assert_int_equal(keybox_close(secret, &(struct keybox_to){ .certificates = &for_signatures, .certificate_n = 1 }, &out, &e),
                     ERR_REFUSED);
    buf_done(&signing);
    assert_int_equal(keybox_close(secret, &(struct keybox_to){ 0 }, &out, &e), ERR_SYNTAX);
    assert_int_equal(keybox_close(secret, &(struct keybox_to){ .certificates = &no_certificate, .certificate_n = 1 }, &out, &e),
                     ERR_SYNTAX);
    assert_int_equal(keybox_close(secret, &(struct keybox_to){ .passphrase = STR("short") }, &out, &e), ERR_REFUSED);
    assert_int_equal(keybox_close(secret, &(struct keybox_to){ .certificates = &no_certificate, .certificate_n = 31 }, &out, &e),
                     ERR_LIMIT);
    assert_int_equal(out.n, 0);
    buf_done(&key);
    buf_done(&out);
}

static void test_damage(void **state)
{
    (void)state;
    struct buf b, ec;
    struct keybox_info info;
    struct error e = ERROR_NONE;
    char got[KEYBOX_SECRET];
    str der = example("keybox.der", &b), key = example("ec.key", &ec);
    for (size_t n = 0; n < der.n; n++) {
        str cut = check_copy(str_sub(der, 0, n));
        assert_true(keybox_describe(cut, &info, &e) < 0);
        check_free(cut);
    }
    /* A changed bit anywhere: refused, or without meaning for this recipient, whose streams then do not open (keybox_derive). */
    for (size_t at = 0; at < der.n; at += check_many(3, 40)) {
        char before[KEYBOX_SECRET], after[KEYBOX_SECRET];
        assert_int_equal(keybox_derive(secret, der, "p", before, NULL), 0);
        b.p[at] ^= 1;
        str copy = check_copy(der);
        if (keybox_open_key(copy, key, STR(""), got, &e) == 0)
            assert_memory_equal(got, secret, sizeof got);
        assert_int_equal(keybox_derive(secret, copy, "p", after, NULL), 0);
        assert_memory_not_equal(before, after, sizeof before);
        check_free(copy);
        b.p[at] ^= 1;
    }
    buf_add_byte(&b, 'x');
    assert_int_equal(keybox_describe(buf_str(&b), &info, &e), ERR_CORRUPT);
    buf_done(&b);
    buf_done(&ec);
}

/* A foreign keybox does not make us compute for hours. */
static void test_costs_are_limited(void **state)
{
    (void)state;
    struct buf b;
    struct error e = ERROR_NONE;
    char got[KEYBOX_SECRET];
    str der = example("keybox.der", &b);
    /* Of the same length, so that the DER stays whole. */
    size_t at = str_find(der, STR("m=262144 t=3"));
    assert_true(at < der.n);
    memcpy(b.p + at, "m=64 t=99999", 12);
    assert_int_equal(keybox_open_passphrase(der, passphrase, got, &e), ERR_LIMIT);
    buf_done(&b);
}

static int collect(void *ctx, str bytes, struct error *e)
{
    (void)e;
    buf_add(ctx, bytes);
    return 0;
}

/* Written once by the first version, never again: what it wrote is readable for ever. */
static void test_the_kept_example(void **state)
{
    (void)state;
    struct buf b, stream, out = BUF_INIT(MAX);
    struct error e = ERROR_NONE;
    struct sealed s;
    char key[KEYBOX_SECRET];
    str der = example("keybox.der", &b);
    check_all_open(der);
    assert_int_equal(keybox_derive(secret, der, "valise backup manifest", key, &e), 0);
    assert_int_equal(sealed_begin(&s, false, key, collect, &out, &e), 0);
    if (sealed_add(&s, example("stream.sealed", &stream), &e) || sealed_end(&s, &e))
        fail_msg("%s", e.text);
    sealed_done(&s);
    assert_int_equal(out.n, 66000);
    for (size_t i = 0; i < out.n; i++)
        assert_int_equal((unsigned char)out.p[i], (i * 7 + i / 251) & 0xff);
    buf_done(&b);
    buf_done(&stream);
    buf_done(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_recipient),   cmocka_unit_test(test_who_cannot_be_a_recipient), cmocka_unit_test(test_damage),
        cmocka_unit_test(test_costs_are_limited), cmocka_unit_test(test_the_kept_example),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
