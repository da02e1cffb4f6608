/* format: a store says its version; an old one is brought up, a newer one is refused and left alone. */
#include "../check.h"

#include "base/log.h"
#include "base/pack.h"
#include "base/clock.h"
#include "role/certificates.h"
#include "role/format.h"

static const engine_part part = { "valise-format" };

static void write_row(struct engine *g, str value)
{
    struct engine_txn *t = engine_begin(g, part, ENGINE_ANY_VERSION);
    engine_put(t, STR("format"), value);
    assert_int_equal(engine_commit(t, NULL), 0);
}

static struct admin open_all(void)
{
    struct admin a = { 0 };
    struct error e = ERROR_NONE;
    assert_int_equal(engine_memory_open(&a.engine), 0);
    a.mail = mail_store_new(a.engine);
    assert_int_equal(directory_open(a.engine, &a.directory, &e), 0);
    return a;
}

static void close_all(struct admin *a)
{
    directory_free(a->directory);
    mail_store_free(a->mail);
    engine_close(a->engine);
}

static void test_up(void **state)
{
    (void)state;
    struct admin a = open_all();
    struct engine *g = a.engine;
    uint32_t format = 0;
    size_t n;
    assert_int_equal(store_format(g, &format), 0);
    assert_int_equal(format, 1);
    const struct store_step *s = store_steps(format, &n);
    assert_int_equal(n, STORE_FORMAT - 1);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(s[i].to, i + 2);
    assert_int_equal(store_upgrade(&a, NULL), 0);
    assert_int_equal(store_format(g, &format), 0);
    assert_int_equal(format, STORE_FORMAT);
    assert_null(store_steps(format, &n));
    assert_int_equal(n, 0);
    assert_int_equal(store_upgrade(&a, NULL), 0);
    close_all(&a);
}

static void test_refused(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        int err;
    } rows[] = { { "\0\0\0\5", ERR_UNSUPPORTED }, { "\5\0\0\0", ERR_UNSUPPORTED }, { "\0\0\0\0", ERR_CORRUPT } };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct admin a = open_all();
        struct engine *g = a.engine;
        struct error e = ERROR_NONE;
        uint32_t before = 0, after = 0;
        write_row(g, (str){ rows[i].bytes, 4 });
        (void)!store_format(g, &before);
        assert_int_equal(store_upgrade(&a, &e), rows[i].err);
        assert_true(rows[i].err != ERR_UNSUPPORTED || (strstr(e.text, "newer valise") && strstr(e.text, "backup")));
        (void)!store_format(g, &after);
        assert_int_equal(before, after);
        close_all(&a);
    }
    struct admin a = open_all();
    write_row(a.engine, STR("odd"));
    assert_int_equal(store_upgrade(&a, NULL), ERR_CORRUPT);
    close_all(&a);
}

/* The row of a user's certificate as format 2 had it. */
static void write_certificate(struct engine *g, str serial, str name, int64_t not_before)
{
    struct buf b = BUF_INIT(4096);
    pack_u8(&b, 1);
    pack_u8(&b, 1); /* a user's */
    pack_u64(&b, (uint64_t)not_before);
    pack_u64(&b, (uint64_t)not_before + 86400);
    pack_u64(&b, 0);
    pack_str(&b, STR("CN=somebody"));
    pack_varint(&b, 1);
    pack_str(&b, name);
    pack_str(&b, STR("-----BEGIN CERTIFICATE-----\n"));
    struct engine_txn *t = engine_begin(g, (engine_part){ "valise-certific" }, ENGINE_ANY_VERSION);
    engine_put(t, serial, buf_str(&b));
    assert_int_equal(engine_commit(t, NULL), 0);
    buf_done(&b);
}

static void on_dangling(void *ctx, str name, str what)
{
    buf_add_all(ctx, name, STR(": "), what, STR("\n"));
}

/* Certificates begin an hour before they are issued: for clients whose clocks are late. */
static void test_certificates_find_their_accounts(void **state)
{
    (void)state;
    struct admin a = open_all();
    struct error e = ERROR_NONE;
    struct certificate_owners o;
    struct buf found = BUF_INIT(65536);
    engine_part alice;
    int64_t now = clock_real_ms() / 1000;
    struct buf format = BUF_INIT(8);
    pack_u32(&format, 2);
    write_row(a.engine, buf_str(&format));
    buf_done(&format);
    assert_int_equal(directory_domain_add(a.directory, STR("a.example"), &e), 0);
    assert_int_equal(directory_account_add(a.directory, STR("alice@a.example"), STR(""), &alice, &e), 0);
    assert_int_equal(mail_account_create(a.mail, alice), 0);
    write_certificate(a.engine, STR("0a"), STR("alice@a.example"),
                      now - 3600 + 60); /* issued a minute after the account was made */
    write_certificate(a.engine, STR("0b"), STR("alice@a.example"), now - 3600 - 60); /* the former alice's */
    write_certificate(a.engine, STR("0c"), STR("gone@a.example"), now - 3600 + 60);
    for (int turn = 0; turn < 2; turn++) {
        assert_int_equal(certificates_owners(a.engine, STR("0a"), &o), 0);
        assert_int_equal(o.n, (size_t)turn);
        assert_int_equal(certificate_is_of(&o, alice), turn > 0);
        assert_int_equal(certificates_owners(a.engine, STR("0b"), &o), 0);
        assert_int_equal(o.n, 0);
        assert_int_equal(certificates_owners(a.engine, STR("0c"), &o), 0);
        assert_int_equal(o.n, 0);
        assert_int_equal(store_upgrade(&a, &e), 0);
    }
    assert_int_equal(certificates_bind(&a, &e), 0); /* as after a crash before the format was written */
    assert_int_equal(certificates_dangling(&a, on_dangling, &found), 0);
    buf_add_byte(&found, 0);
    assert_null(strstr(found.p, "0a: "));
    assert_non_null(strstr(found.p, "0b: the certificate for alice@a.example is older than the user"));
    assert_non_null(strstr(found.p, "0c: the certificate for gone@a.example names an address that is not there"));
    /* Removal revokes the one, and the next alice has none. */
    engine_part id;
    assert_int_equal(directory_account_remove(a.directory, STR("alice@a.example"), false, &id, &e), 0);
    assert_int_equal(certificates_revoke_account(&a, id), 0);
    bool revoked = false;
    assert_int_equal(certificates_is_revoked(a.engine, STR("0a"), &revoked), 0);
    assert_true(revoked);
    assert_int_equal(certificates_is_revoked(a.engine, STR("0b"), &revoked), 0);
    assert_false(revoked);
    buf_done(&found);
    close_all(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_up), cmocka_unit_test(test_refused),
                                        cmocka_unit_test(test_certificates_find_their_accounts) };
    log_set_level(LOG_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
