/* csv: what spreadsheets write, and what is wrong in it, with its line. */
#include "../check.h"

#include "base/buf.h"
#include "base/csv.h"

static void rows_are(const char *text, size_t n, const char *wanted)
{
    struct arena a = ARENA_INIT(1 << 16);
    struct buf seen = BUF_INIT(4096);
    struct csv c;
    struct error e = ERROR_NONE;
    str fields[CSV_FIELDS_MAX];
    size_t field_n, line;
    str copy = check_copy((str){ text, n });
    int r = csv_init(&c, copy, &e);
    while (r == 0 && (r = csv_next(&c, &a, fields, &field_n, &line, &e)) == 1) {
        buf_addf(&seen, "%zu:", line);
        for (size_t i = 0; i < field_n; i++)
            buf_addf(&seen, "<%.*s>", STR_ARG(fields[i]));
        r = 0;
    }
    if (r < 0)
        buf_addf(&seen, "!%s", e.text);
    if (!str_eq(buf_str(&seen), str_from_z(wanted)))
        print_error("%.*s, wanted %s\n", STR_ARG(buf_str(&seen)), wanted);
    assert_true(str_eq(buf_str(&seen), str_from_z(wanted)));
    buf_done(&seen);
    arena_done(&a);
    check_free(copy);
}

static void test_tables_are_read(void **state)
{
    static const struct {
        str text;
        const char *wanted;
    } rows[] = {
        { STR_INIT(""), "" },
        { STR_INIT("a,b,c\n"), "1:<a><b><c>" },
        { STR_INIT("a,b\r\nc,d"), "1:<a><b>2:<c><d>" },
        { STR_INIT("\xef\xbb\xbf"
                   "a;b,x\r\n;\r\n\r\nc;d\r\n"),
          "1:<a><b,x>4:<c><d>" },
        { STR_INIT("a\tb\n"), "1:<a><b>" },
        { STR_INIT("sep=|\na|b,c;d\n"), "2:<a><b,c;d>" },
        { STR_INIT(" a , b \n"), "1:<a><b>" },
        { STR_INIT("\"a,b\", \"c \"\"d\"\" e\" ,\"\"\n"), "1:<a,b><c \"d\" e><>" },
        { STR_INIT("\"two\nlines\",x\ny,z\n"), "1:<two\nlines><x>3:<y><z>" },
        { STR_INIT("a,,\n"), "1:<a><><>" },
        { STR_INIT("\"a;b\";c\n"), "1:<a;b><c>" },
        { STR_INIT("a b\"c,d\n"), "1:<a b\"c><d>" },
        { STR_INIT("x,y\na,\"b\n"), "1:<x><y>!line 2: a quote is opened and not closed" },
        { STR_INIT("a,\"b\"\""), "!line 1: a quote is opened and not closed" },
        { STR_INIT("a,\"b\"c\n"), "!line 1: text behind a closed quote; a quote inside quotes is doubled" },
        { STR_INIT("a\nb\xe9\n"), "!line 2 is not in UTF-8; save the file as CSV UTF-8" },
        { STR_INIT("\xff\xfe"
                   "a"),
          "!the file is in UTF-16; save it as CSV UTF-8" },
        { STR_INIT("1,2,3,4,5,6,7,8,9,0,1,2,3,4,5,6,7,8,9,0,1,2,3,4,5,6,7,8,9,0,1,2,3\n"), "!line 1 has more than 32 fields" },
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        rows_are(rows[i].text.p, rows[i].text.n, rows[i].wanted);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_tables_are_read) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
