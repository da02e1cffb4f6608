/* buf, arena, map: growth, limits, sticky errors, quota. */
#include "../check.h"

#include "base/arena.h"
#include "base/buf.h"
#include "base/map.h"

static void test_buf_grows_to_its_maximum(void **state)
{
    (void)state;
    struct buf b = BUF_INIT(10);
    buf_add(&b, STR("12345"));
    buf_add_byte(&b, '6');
    assert_int_equal(buf_error(&b), 0);
    buf_add(&b, STR("78901"));
    assert_int_equal(buf_error(&b), ERR_LIMIT);
    check_str(buf_str(&b), "123456");
    buf_add(&b, STR("7"));
    check_str(buf_str(&b), "123456");
    buf_reset(&b);
    assert_int_equal(buf_error(&b), 0);
    buf_add(&b, STR("1234567890"));
    assert_int_equal(buf_error(&b), 0);
    buf_done(&b);
}

/* Small appends look at the memory there is, not at the maximum: there must never be more. */
static void test_buf_has_no_memory_beyond_its_maximum(void **state)
{
    (void)state;
    for (size_t max = 1; max < 300; max++) {
        struct buf b = BUF_INIT(max);
        for (size_t n = 0; n < max; n++) {
            buf_add_byte(&b, 'x');
            assert_true(b.n == n + 1 && b.cap <= max);
        }
        assert_int_equal(buf_error(&b), 0);
        buf_add(&b, STR(""));
        assert_int_equal(buf_error(&b), 0);
        buf_add_byte(&b, 'x');
        assert_int_equal(buf_error(&b), ERR_LIMIT);
        assert_int_equal(b.n, max);
        buf_done(&b);
    }
}

static void test_buf_pieces(void **state)
{
    (void)state;
    struct buf b = BUF_INIT(1000);
    buf_add_u64(&b, 0);
    buf_add_byte(&b, ' ');
    buf_add_u64(&b, UINT64_MAX);
    buf_addf(&b, " %s-%d ", "x", 5);
    buf_add_hex(&b, "\x00\xfe", 2);
    buf_add_all(&b, STR(" "), STR("y"), STR("z"));
    check_str(buf_str(&b), "0 18446744073709551615 x-5 00fe yz");
    buf_consume(&b, 2);
    buf_truncate(&b, 4);
    check_str(buf_str(&b), "1844");
    assert_string_equal(buf_z(&b), "1844");
    buf_reset(&b);
    buf_add(&b, (str){ "a\0b", 3 });
    assert_null(buf_z(&b));
    buf_done(&b);
}

static void test_buf_escapes_what_a_peer_could_forge_with(void **state)
{
    (void)state;
    struct buf b = BUF_INIT(1000);
    buf_add_escaped(&b, STR("a\r\n\"\\\x7f\xff\xc3\xa9"));
    check_str(buf_str(&b), "a\\x0d\\x0a\\x22\\x5c\\x7f\\xff\xc3\xa9");
    buf_done(&b);
}

static void test_buf_wipes_secrets(void **state)
{
    (void)state;
    struct buf b;
    buf_init_secret(&b, 1000);
    buf_add(&b, STR("password"));
    char *p = b.p;
    buf_reset(&b);
    for (size_t i = 0; i < 8; i++)
        assert_int_equal(p[i], 0);
    buf_done(&b);
}

static void test_arena_quota_and_alignment(void **state)
{
    (void)state;
    struct arena a = ARENA_INIT(4096);
    for (size_t n = 0; n < 40; n++) {
        char *p = arena_alloc(&a, n);
        assert_non_null(p);
        assert_int_equal((uintptr_t)p % _Alignof(max_align_t), 0);
        for (size_t i = 0; i < n; i++)
            assert_int_equal(p[i], 0);
        memset(p, 0xff, n);
    }
    assert_null(arena_alloc(&a, 4096));
    assert_null(arena_alloc(&a, SIZE_MAX));
    assert_null(arena_array(&a, SIZE_MAX / 2, 4));
    assert_non_null(arena_alloc(&a, 16));
    arena_reset(&a);
    assert_int_equal(a.used, 0);
    assert_non_null(arena_alloc(&a, 4096));
    assert_null(arena_alloc(&a, 1));
    arena_done(&a);
}

/* Lent bytes are used first, zeroed when they are handed out, wiped in the end; what does not fit comes from elsewhere. */
static void test_arena_on_lent_bytes(void **state)
{
    (void)state;
    _Alignas(max_align_t) char room[256];
    memset(room, 'x', sizeof room);
    struct arena a = ARENA_INIT_ON(room, sizeof room, 1000);
    for (int round = 0; round < 2; round++) {
        char *p = arena_alloc(&a, 100), *q = arena_alloc(&a, 300), *last = arena_alloc(&a, 16);
        assert_ptr_equal(p, room);
        for (size_t i = 0; i < 100; i++)
            assert_int_equal(p[i], 0);
        assert_non_null(q);
        assert_true(q + 300 <= room || q >= room + sizeof room);
        assert_non_null(last);
        assert_null(arena_alloc(&a, 600)); /* the quota is of both */
        memset(p, 's', 100);
        memset(q, 's', 300);
        arena_reset(&a);
        for (size_t i = 0; i < 100; i++)
            assert_int_equal(room[i], 0);
        assert_int_equal(room[255], 'x');
    }
    arena_done(&a);
}

static void test_arena_text(void **state)
{
    (void)state;
    struct arena a = ARENA_INIT(1000);
    str s;
    assert_int_equal(arena_dup(&a, STR("abc"), &s), 0);
    check_str(s, "abc");
    assert_string_equal(arena_z(&a, STR("x")), "x");
    assert_null(arena_z(&a, (str){ "a\0b", 3 }));
    assert_int_equal(arena_printf(&a, &s, "%d-%s", 42, "y"), 0);
    check_str(s, "42-y");
    assert_int_equal(arena_printf(&a, &s, "%2000d", 1), ERR_LIMIT);
    check_str(s, "42-y");
    arena_done(&a);
}

static void test_map_holds_what_an_array_holds(void **state)
{
    (void)state;
    enum { N = 500 };
    static int values[N];
    static bool there[N];
    struct map m;
    map_init(&m);
    srand(7);
    for (int step = 0; step < 20000; step++) {
        char key[16];
        int k = rand() % N;
        (void)snprintf(key, sizeof key, "k%d", k);
        if (rand() % 2) {
            void *former = map_put(&m, str_from_z(key), &values[k]);
            assert_ptr_equal(former, there[k] ? &values[k] : NULL);
            there[k] = true;
        } else {
            void *former = map_remove(&m, str_from_z(key));
            assert_ptr_equal(former, there[k] ? &values[k] : NULL);
            there[k] = false;
        }
        assert_ptr_equal(map_get(&m, str_from_z(key)), there[k] ? &values[k] : NULL);
    }
    size_t n = 0, iter = 0, expected = 0;
    str key;
    void *value;
    while (map_next(&m, &iter, &key, &value)) {
        assert_true(there[(int *)value - values]);
        n++;
    }
    for (int i = 0; i < N; i++)
        expected += there[i];
    assert_int_equal(n, expected);
    assert_int_equal(m.n, expected);
    map_done(&m);
}

static void test_errors(void **state)
{
    (void)state;
    struct error e = ERROR_NONE;
    assert_int_equal(error_set(&e, ERR_FULL, "disk %s\n", "full"), ERR_FULL);
    assert_string_equal(e.text, "disk full?");
    assert_int_equal(error_prefix(&e, "store %d", 1), ERR_FULL);
    assert_string_equal(e.text, "store 1: disk full?");
    assert_int_equal(error_set(NULL, ERR_IO, "x"), ERR_IO);
    assert_string_equal(err_name(ERR_CONFLICT), "conflict");
    assert_string_equal(err_name(-1000), "invalid");
    for (int code = -1; code > ERR_LAST_; code--) {
        assert_non_null(err_name(code));
        assert_int_not_equal(err_class(code), ERR_CLASS_NONE);
    }
    assert_int_equal(err_class(ERR_FULL), ERR_CLASS_TEMPORARY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_buf_grows_to_its_maximum),
        cmocka_unit_test(test_buf_has_no_memory_beyond_its_maximum),
        cmocka_unit_test(test_buf_pieces),
        cmocka_unit_test(test_buf_escapes_what_a_peer_could_forge_with),
        cmocka_unit_test(test_buf_wipes_secrets),
        cmocka_unit_test(test_arena_quota_and_alignment),
        cmocka_unit_test(test_arena_on_lent_bytes),
        cmocka_unit_test(test_arena_text),
        cmocka_unit_test(test_map_holds_what_an_array_holds),
        cmocka_unit_test(test_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
