/* Dates of header fields and IMAP's internal dates. */
#include "support.h"

#include "message/date.h"

enum { NOON = 1795435200 }; /* 2026-11-23 12:00:00 +0000 */

static void header_dates(void **state)
{
    static const struct {
        const char *in;
        int64_t unix_time;
        int zone;
    } cases[] = {
        { "Mon, 23 Nov 2026 12:00:00 +0000", NOON, 0 },
        { "Mon, 23 Nov 2026 13:00:00 +0100", NOON, 60 },
        { "Mon, 23 Nov 2026 02:00:00 -1000", NOON, -600 },
        { "23 Nov 2026 12:00 GMT", NOON, 0 },
        { "23 Nov 26 12:00 UT", NOON, 0 },
        { "23 Nov 126 12:00 Z", NOON, 0 },
        { "Mon, 23 Nov 2026 07:00:00 EST", NOON, -300 },
        { "Mon, 23 Nov 2026 08:00:00 edt", NOON, -240 },
        { "Mon, 23 Nov 2026 04:00:00 -0800 (PST)", NOON, -480 },
        { "Mon, 23 Nov 2026 12:00:00", NOON, 0 },
        { "Mon, 23 Nov 2026 12:00:00 Nowhere", NOON, 0 },
        { "Mon (day) , 23 (of) Nov(ember) 2026 12 (h) : 00 : 00 (s) +0000 (UTC)", NOON, 0 },
        { "Mon,\r\n 23 Nov 2026\r\n 12:00:00 +0000", NOON, 0 },
        { "Monday, 23 November 2026 12:00:00 +0000", NOON, 0 },
        { "Mon 23 Nov 2026 12:00:00 +0000", NOON, 0 },
        { "23-Nov-2026 12:00:00 +00:00", NOON, 0 },
        { "23Nov2026 12:00:00 +0000", NOON, 0 },
        { "Thu, 1 Jan 1970 00:00:00 +0000", 0, 0 },
        { "Wed, 31 Dec 1969 23:59:59 +0000", -1, 0 },
        { "1 Jan 50 00:00 +0000", -631152000, 0 },
        { "1 Jan 49 00:00 +0000", 2493072000, 0 },
        { "31 Dec 2016 23:59:60 +0000", 1483228800, 0 },
        { "29 Feb 2024 00:00:00 +0000", 1709164800, 0 },
        { "23 Nov 2026 12:00:00 +9999 x", 0, -1 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        str in = exact(str_from_z(cases[i].in));
        int64_t t;
        int zone;
        bool ok = message_date_parse(in, &t, &zone);
        free_exact(in);
        assert_int_equal(ok, cases[i].zone != -1);
        if (!ok)
            continue;
        assert_int_equal(t, cases[i].unix_time);
        assert_int_equal(zone, cases[i].zone);
    }
}

static void no_dates(void **state)
{
    static const char *const cases[] = {
        "",
        "Mon",
        "Mon,",
        "23",
        "23 Nov",
        "23 Nov 2026",
        "23 Nov 2026 12",
        "23 Nov 2026 12:",
        "23 Nov 2026 12:00:",
        "23 Xyz 2026 12:00",
        "32 Nov 2026 12:00",
        "0 Nov 2026 12:00",
        "31 Nov 2026 12:00",
        "29 Feb 2026 12:00",
        "23 Nov 2026 24:00",
        "23 Nov 2026 12:60",
        "23 Nov 2026 12:00:61",
        "23 Nov 2026 12:00 +01",
        "23 Nov 2026 12:00 +0160",
        "23 Nov 6 12:00",
        "23 Nov 20266 12:00",
        "-1 Nov 2026 12:00",
        "(",
        "23 Nov (2026 12:00",
        "123 Nov 2026 12:00",
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        str in = exact(str_from_z(cases[i]));
        int64_t t = 42;
        int zone = 43;
        if (message_date_parse(in, &t, &zone))
            fail_msg("%s was read as %lld", cases[i], (long long)t);
        assert_int_equal(t, 42);
        assert_int_equal(zone, 43);
        free_exact(in);
    }
}

/* RFC 3501 section 6.4.4: SENTON and its kin disregard time and zone. */
static void days_where_a_date_was_written(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t day;
    } cases[] = {
        { "Thu, 1 Jan 1970 00:00:00 +1400", 0 },
        { "Thu, 1 Jan 1970 23:59:60 -1200", 0 },
        { "Mon, 23 Nov 2026 23:59:60 +0000", 20780 },
        { "31 Dec 1969 12:00 +0000", -1 },
    };
    int64_t day = 7;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_true(message_date_day(str_from_z(cases[i].text), &day));
        assert_int_equal(day, cases[i].day);
    }
    assert_false(message_date_day(STR("32 Nov 2026 10:00"), &day));
}

static void internal_dates(void **state)
{
    static const struct {
        const char *in;
        int64_t unix_time;
        int zone;
        const char *out;
    } cases[] = {
        { "23-Nov-2026 12:00:00 +0000", NOON, 0, NULL }, { "23-nov-2026 13:30:00 +0130", NOON, 90, "23-Nov-2026 13:30:00 +0130" },
        { " 1-Jan-1970 00:00:00 +0000", 0, 0, NULL },    { "01-Jan-1970 00:00:00 +0000", 0, 0, " 1-Jan-1970 00:00:00 +0000" },
        { "31-Dec-1969 19:00:00 -0500", 0, -300, NULL }, { "1-Jan-1970 00:00:00 +0000", 0, 0, " 1-Jan-1970 00:00:00 +0000" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        str in = exact(str_from_z(cases[i].in));
        int64_t t;
        int zone;
        assert_true(message_internaldate_parse(in, &t, &zone));
        assert_int_equal(t, cases[i].unix_time);
        assert_int_equal(zone, cases[i].zone);
        struct buf b = BUF_INIT(64);
        message_internaldate_add(&b, t, zone);
        assert_strz(buf_str(&b), cases[i].out ? cases[i].out : cases[i].in);
        buf_done(&b);
        for (size_t n = 0; n < in.n; n++) { /* no prefix is a date */
            str part = exact(str_sub(in, 0, n));
            assert_false(message_internaldate_parse(part, &t, &zone));
            free_exact(part);
        }
        free_exact(in);
    }
    static const char *const bad[] = {
        "-Jan-1970 00:00:00 +0000",    " 12-Jan-1970 00:00:00 +0000", "  1-Jan-1970 00:00:00 +0000",
        "32-Jan-1970 00:00:00 +0000",  "01-Foo-1970 00:00:00 +0000",  "01-Jan-1970 24:00:00 +0000",
        "01-Jan-1970 00:00:00 0000",   "01-Jan-1970 00:00:00 +0000 ", "01-Jan-1970 00:00:00 +2400",
        "01-Jan-1970 00:00:00 +0060",  "01-Jan-1970  00:00:00 +0000", "30-Feb-2024 00:00:00 +0000",
        "01-Janu-1970 00:00:00 +0000",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        int64_t t;
        if (message_internaldate_parse(str_from_z(bad[i]), &t, NULL))
            fail_msg("%s was taken", bad[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(header_dates),
        cmocka_unit_test(no_dates),
        cmocka_unit_test(days_where_a_date_was_written),
        cmocka_unit_test(internal_dates),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
