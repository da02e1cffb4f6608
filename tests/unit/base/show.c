/* show: what a terminal, a log and an error message are given of names that others chose. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/log.h"
#include "base/show.h"
#include "base/utf8.h"

/* What may not pass, as code points; and broken UTF-8. */
static const uint32_t hidden[] = { 1,      7,      8,      0x0b,   0x0d,   0x1b,    0x7f,   0x80,   0x85,
                                   0x9b,   0x9f,   0x61c,  0x200b, 0x200c, 0x200d,  0x200e, 0x200f, 0x2028,
                                   0x2029, 0x202a, 0x202b, 0x202c, 0x202d, 0x202e,  0x2060, 0x2066, 0x2067,
                                   0x2068, 0x2069, 0xfeff, 0xad,   0x3164, 0xe0041, 0xfffe };
static const char *const broken[] = { "\x9b", "\xff", "\xc0\x9b", "\xe2\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xc3" };
static const char plain[] = "na\xc3\xafve \xd7\xa9\xd7\x9c\xd7\x95\xd7\x9d \xe6\x97\xa5\xe6\x9c\xac \xf0\x9f\x98\x80 \\ \" ~";

static void which_characters_are_plain(void **state)
{
    str rest = str_from_z(plain);
    (void)state;
    for (size_t i = 0; i < sizeof hidden / sizeof hidden[0]; i++)
        assert_false(show_is_plain(hidden[i]));
    for (uint32_t code = 0; rest.n; rest = str_from(rest, utf8_decode(rest, &code)))
        assert_true(utf8_decode(rest, &code) && show_is_plain(code));
}

/* TEXT has nothing but plain characters. */
static void assert_plain(str text)
{
    while (text.n) {
        uint32_t code = 0;
        size_t n = utf8_decode(text, &code);
        assert_true(n && (show_is_plain(code) || code == '\n' || code == '\t'));
        text = str_from(text, n);
    }
}

/* All that is hidden or broken, each between letters. */
static void everything(struct buf *b)
{
    for (size_t i = 0; i < sizeof hidden / sizeof hidden[0]; i++) {
        char bytes[4];
        buf_add_byte(b, 'a');
        buf_add(b, (str){ bytes, utf8_encode(hidden[i], bytes) });
    }
    for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++)
        buf_add_all(b, STR("b"), str_from_z(broken[i]));
    buf_add_all(b, STR("c"), str_from_z(plain));
}

static void errors_are_plain(void **state)
{
    struct buf b = BUF_INIT(4096);
    struct error e;
    (void)state;
    everything(&b);
    const char *z = buf_z(&b);
    for (size_t i = 0; z[i]; i++) { /* cut anywhere */
        assert_int_equal(error_set(&e, ERR_SYNTAX, "no %s", z + i), ERR_SYNTAX);
        assert_plain(str_from_z(e.text));
        (void)error_prefix(&e, "%s", z + i);
        assert_plain(str_from_z(e.text));
    }
    assert_int_equal(error_set(&e, ERR_SYNTAX, "no %s", plain), ERR_SYNTAX);
    assert_string_equal(e.text + 3, plain);
    buf_done(&b);
}

/* What WRITE_SOME leaves in a file, when its stdout, stderr and log are that. */
static str output_of(void (*write_some)(const char *text), const char *text, char ret[65536])
{
    char path[] = "/tmp/show-XXXXXX";
    int fd = mkstemp(path), status = 0;
    assert_true(fd >= 0);
    (void)unlink(path);
    pid_t pid = fork();
    if (pid == 0) {
        if (dup2(fd, 1) < 0 || dup2(fd, 2) < 0)
            _exit(3);
        show_streams();
        write_some(text);
        (void)fflush(stdout);
        _exit(0);
    }
    assert_true(pid > 0 && waitpid(pid, &status, 0) == pid && status == 0);
    ssize_t n = pread(fd, ret, 65536, 0);
    assert_true(n > 0);
    (void)close(fd);
    return (str){ ret, (size_t)n };
}

static void print_out(const char *text)
{
    (void)printf("<%s>\n\tend\n", text);
}
static void print_bytes(const char *text)
{
    for (; *text; text++)
        (void)fputc(*text, stderr);
    (void)fputs("\n", stderr);
}
static void print_log(const char *text)
{
    log_info("name", LOG_Z("name", text));
}

static void streams_and_logs_are_plain(void **state)
{
    static char out[65536];
    struct buf b = BUF_INIT(4096);
    (void)state;
    everything(&b);
    void (*const ways[])(const char *) = { print_out, print_bytes, print_log };
    for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
        str text = output_of(ways[i], buf_z(&b), out);
        assert_plain(text);
        assert_true(str_find(text, STR("\\xc2\\x9b")) < text.n);
        assert_true(str_find(text, STR("\\xe2\\x80\\xae")) < text.n);
        assert_true(str_find(text, STR("na\xc3\xafve")) < text.n);
        assert_true(str_ends(text, STR("\n")));
        text = output_of(ways[i], plain, out);
        assert_true(i == 2 || str_find(text, str_from_z(plain)) < text.n);
    }
    buf_done(&b);
}

static void a_line_is_one(void **state)
{
    (void)state;
    struct buf out = BUF_INIT(1000);
    show_line(STR("a\nb\tc\x1b[2J \xc3\xa9 \xff\xe2\x80\xae"), &out);
    assert_string_equal(buf_z(&out), "a\\x0ab\\x09c\\x1b[2J \xc3\xa9 \\xff\\xe2\\x80\\xae");
    buf_done(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(which_characters_are_plain),
        cmocka_unit_test(errors_are_plain),
        cmocka_unit_test(a_line_is_one),
        cmocka_unit_test(streams_and_logs_are_plain),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
