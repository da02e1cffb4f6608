/* sealed: what was sealed comes back, at every size around chunks and however it is cut; every loss at the end, every change, and every chunk out of its
 * place is found. */
#include "../check.h"

#include "archive/sealed.h"
#include "base/buf.h"

enum { MAX = 1 << 20, BOTH = SEALED_CHUNK + SEALED_TAG };

static const char key[SEALED_KEY_BYTES] = "0123456789abcdef0123456789abcdef";

static int collect(void *ctx, str bytes, struct error *e)
{
    (void)e;
    buf_add(ctx, bytes);
    return 0;
}

/* IN in steps of STEP bytes, sealed or opened, in OUT. */
static int run(bool seal, const char *with, str in, size_t step, struct buf *out, struct error *e)
{
    struct sealed s;
    int err = sealed_begin(&s, seal, with, collect, out, e);
    for (size_t at = 0; at < in.n && err == 0; at += step)
        err = sealed_add(&s, str_sub(in, at, step), e);
    if (err == 0)
        err = sealed_end(&s, e);
    sealed_done(&s);
    return err;
}

static struct buf plain_of(size_t n)
{
    struct buf b = BUF_INIT(MAX);
    for (size_t i = 0; i < n; i++)
        buf_add_byte(&b, (char)(i * 7 + i / 251));
    return b;
}

static struct buf sealed_of(size_t n)
{
    struct buf plain = plain_of(n), b = BUF_INIT(MAX);
    assert_int_equal(run(true, key, buf_str(&plain), 4096, &b, NULL), 0);
    buf_done(&plain);
    return b;
}

static void test_sizes(void **state)
{
    (void)state;
    static const size_t sizes[] = {
        0, 1, 15, 16, SEALED_CHUNK - 1, SEALED_CHUNK, SEALED_CHUNK + 1, 2 * SEALED_CHUNK, 3 * SEALED_CHUNK + 77
    };
    static const size_t steps[] = { 1, 1000, SEALED_CHUNK, BOTH, MAX };
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
        for (size_t k = 0; k < sizeof steps / sizeof steps[0]; k++) {
            struct buf plain = plain_of(sizes[i]), sealed = BUF_INIT(MAX), again = BUF_INIT(MAX);
            assert_int_equal(run(true, key, buf_str(&plain), steps[k], &sealed, NULL), 0);
            assert_int_equal(sealed.n, sealed_size(sizes[i]));
            assert_int_equal(run(false, key, buf_str(&sealed), steps[k], &again, NULL), 0);
            assert_true(str_eq(buf_str(&plain), buf_str(&again)));
            buf_done(&plain);
            buf_done(&sealed);
            buf_done(&again);
        }
}

/* Refused, and what came out before is the beginning of what was sealed. */
static void check_refused(str sealed, size_t plain_n, const char *what)
{
    struct buf plain = plain_of(plain_n), out = BUF_INIT(MAX);
    struct error e = ERROR_NONE;
    str copy = check_copy(sealed);
    int err = run(false, key, copy, 10000, &out, &e);
    if (err != ERR_CORRUPT && err != ERR_UNSUPPORTED)
        fail_msg("%s: %d", what, err);
    assert_true(e.text[0] && str_starts(buf_str(&plain), buf_str(&out)));
    check_free(copy);
    buf_done(&plain);
    buf_done(&out);
}

static void test_truncation(void **state)
{
    (void)state;
    const size_t n = 2 * SEALED_CHUNK + 100;
    struct buf b = sealed_of(n);
    str all = buf_str(&b);
    for (size_t chunk = 0; chunk < 3; chunk++)
        for (size_t k = 0; k < 40; k++) {
            size_t at = SEALED_HEAD + chunk * BOTH + k - 20;
            if (at < all.n)
                check_refused(str_sub(all, 0, at), n, "cut around a chunk's beginning");
        }
    for (size_t k = 0; k < SEALED_HEAD; k++)
        check_refused(str_sub(all, 0, k), n, "cut in the head");
    for (size_t k = SEALED_HEAD + 2 * BOTH; k < all.n; k++)
        check_refused(str_sub(all, 0, k), n, "cut in the last chunk");
    buf_done(&b);
    /* What is a multiple of chunks has no empty chunk behind: none can be taken off, nor added. */
    b = sealed_of(2 * SEALED_CHUNK);
    check_refused(str_sub(buf_str(&b), 0, SEALED_HEAD + BOTH), 2 * SEALED_CHUNK, "the last chunk is missing");
    struct buf longer = BUF_INIT(MAX), empty = sealed_of(0);
    buf_add_all(&longer, buf_str(&b), str_from(buf_str(&empty), SEALED_HEAD));
    check_refused(buf_str(&longer), 2 * SEALED_CHUNK, "an empty chunk more");
    buf_reset(&longer);
    buf_add_all(&longer, buf_str(&b), STR("x"));
    check_refused(buf_str(&longer), 2 * SEALED_CHUNK, "a byte more");
    buf_done(&longer);
    buf_done(&empty);
    buf_done(&b);
}

static void test_changes(void **state)
{
    (void)state;
    const size_t n = 3 * SEALED_CHUNK + 50;
    struct buf b = sealed_of(n), other = BUF_INIT(MAX);
    str head = str_sub(buf_str(&b), 0, SEALED_HEAD), chunks[4];
    for (size_t i = 0; i < 4; i++)
        chunks[i] = str_sub(buf_str(&b), SEALED_HEAD + i * BOTH, BOTH);
    for (size_t at = 0; at < b.n; at += at < 64 || b.n - at < 80 ? 1 : 4099) {
        b.p[at] ^= 4;
        check_refused(buf_str(&b), n, "a changed bit");
        b.p[at] ^= 4;
    }
    buf_add_all(&other, head, chunks[1], chunks[0], chunks[2], chunks[3]);
    check_refused(buf_str(&other), n, "two chunks swapped");
    buf_reset(&other);
    buf_add_all(&other, head, chunks[0], chunks[0], chunks[2], chunks[3]);
    check_refused(buf_str(&other), n, "a chunk repeated");
    buf_reset(&other);
    buf_add_all(&other, head, chunks[0], chunks[2], chunks[3]);
    check_refused(buf_str(&other), n, "a chunk left out");
    buf_reset(&other);
    buf_add_all(&other, head, chunks[0], chunks[3]);
    check_refused(buf_str(&other), n, "two chunks left out");
    buf_done(&b);
    buf_done(&other);
}

static void test_other_key(void **state)
{
    (void)state;
    static const char wrong[SEALED_KEY_BYTES] = "0123456789abcdef0123456789abcdeF";
    struct buf b = sealed_of(1000), out = BUF_INIT(MAX);
    struct error e = ERROR_NONE;
    assert_int_equal(run(false, wrong, buf_str(&b), 100, &out, &e), ERR_CORRUPT);
    assert_int_equal(out.n, 0);
    b.p[SEALED_HEAD - 2] = '2';
    assert_int_equal(run(false, key, buf_str(&b), 100, &out, &e), ERR_UNSUPPORTED);
    buf_done(&b);
    buf_done(&out);
}

static int refuse(void *ctx, str bytes, struct error *e)
{
    (void)ctx;
    (void)bytes;
    return error_set(e, ERR_FULL, "no room");
}

static void test_a_full_disk_ends_it(void **state)
{
    (void)state;
    struct sealed s;
    struct buf plain = plain_of(SEALED_CHUNK + 1);
    assert_int_equal(sealed_begin(&s, true, key, refuse, NULL, NULL), 0);
    assert_int_equal(sealed_add(&s, buf_str(&plain), NULL), ERR_FULL);
    sealed_done(&s);
    buf_done(&plain);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sizes),     cmocka_unit_test(test_truncation),          cmocka_unit_test(test_changes),
        cmocka_unit_test(test_other_key), cmocka_unit_test(test_a_full_disk_ends_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
