/* seal: secrets come back whole with the right key and context, and not at all otherwise. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "pki/pki.h"

static char dir[] = "/tmp/valise-seal-XXXXXX";
static char key[64], other[64];

static int make(const char *name)
{
    int at = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int err = pki_seal_key_make(at, name, BENEATH_MODE(0600), NULL);
    (void)close(at);
    return err;
}

static int set_up(void **state)
{
    (void)state;
    assert_non_null(mkdtemp(dir));
    (void)snprintf(key, sizeof key, "%s/key", dir);
    (void)snprintf(other, sizeof other, "%s/other", dir);
    assert_int_equal(make("key"), 0);
    assert_int_equal(make("other"), 0);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    (void)unlink(key);
    (void)unlink(other);
    return rmdir(dir);
}

static int unseal(const char *path, str context, str sealed, str expected)
{
    struct buf out;
    char *copy = malloc(sealed.n ? sealed.n : 1);
    assert_non_null(copy);
    if (sealed.n)
        memcpy(copy, sealed.p, sealed.n);
    buf_init_secret(&out, PKI_SECRET_MAX);
    int r = pki_unseal(path, context, (str){ copy, sealed.n }, &out, NULL);
    assert_true(r ? out.n == 0 : str_eq(buf_str(&out), expected));
    buf_done(&out);
    free(copy);
    return r;
}

static void round_trips(void **state)
{
    static char longest[PKI_SECRET_MAX];
    const str secrets[] = { STR("x"), STR("correct horse battery staple"), { longest, sizeof longest } };
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        struct buf sealed = BUF_INIT(8192), again = BUF_INIT(8192);
        assert_int_equal(pki_seal(key, STR("alice"), secrets[i], &sealed, NULL), 0);
        assert_int_equal(pki_seal(key, STR("alice"), secrets[i], &again, NULL), 0);
        assert_false(str_eq(buf_str(&sealed), buf_str(&again))); /* equal secrets look different */
        assert_true(secrets[i].n < 8 || str_find(buf_str(&sealed), secrets[i]) == sealed.n);
        assert_int_equal(unseal(key, STR("alice"), buf_str(&sealed), secrets[i]), 0);
        assert_int_equal(unseal(key, STR("bob"), buf_str(&sealed), secrets[i]), ERR_CORRUPT);
        assert_int_equal(unseal(other, STR("alice"), buf_str(&sealed), secrets[i]), ERR_CORRUPT);
        assert_int_equal(unseal("/nonexistent/key", STR("alice"), buf_str(&sealed), secrets[i]), ERR_NOTFOUND);
        buf_done(&sealed);
        buf_done(&again);
    }
}

static void every_damage_is_seen(void **state)
{
    struct buf sealed = BUF_INIT(8192);
    (void)state;
    assert_int_equal(pki_seal(key, STR("alice"), STR("secret"), &sealed, NULL), 0);
    for (size_t n = 0; n < sealed.n; n++)
        assert_int_equal(unseal(key, STR("alice"), str_sub(buf_str(&sealed), 0, n), STR("")), ERR_CORRUPT);
    for (size_t i = 0; i < sealed.n; i++) {
        sealed.p[i] ^= 1;
        assert_int_equal(unseal(key, STR("alice"), buf_str(&sealed), STR("")), ERR_CORRUPT);
        sealed.p[i] ^= 1;
    }
    assert_int_equal(unseal(key, STR("alice"), buf_str(&sealed), STR("secret")), 0);
    buf_done(&sealed);
}

static void bounds(void **state)
{
    static char long_one[PKI_SECRET_MAX + 1];
    struct buf out = BUF_INIT(16384), small = BUF_INIT(10);
    (void)state;
    assert_int_equal(pki_seal(key, STR("alice"), (str){ long_one, sizeof long_one }, &out, NULL), ERR_LIMIT);
    assert_int_equal(pki_seal(key, STR("alice"), STR(""), &out, NULL), ERR_LIMIT);
    assert_int_equal(pki_seal(key, STR(""), STR("secret"), &out, NULL), ERR_LIMIT);
    assert_int_equal(pki_seal(key, STR("alice"), STR("secret"), &small, NULL), ERR_LIMIT);
    buf_done(&out);
}

static void the_key_is_made_once_and_for_its_owner(void **state)
{
    struct buf before = BUF_INIT(64), after = BUF_INIT(64);
    struct stat st;
    (void)state;
    assert_int_equal(pki_file_read(key, &before, NULL), 0);
    assert_int_equal(make("key"), 0);
    assert_int_equal(pki_file_read(key, &after, NULL), 0);
    assert_int_equal(before.n, 32);
    assert_true(str_eq(buf_str(&before), buf_str(&after)));
    assert_int_equal(stat(key, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    buf_done(&before);
    buf_done(&after);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(round_trips),
        cmocka_unit_test(every_damage_is_seen),
        cmocka_unit_test(bounds),
        cmocka_unit_test(the_key_is_made_once_and_for_its_owner),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
