/* mbox: what is written is read back; what other programs write is understood. */
#include "../check.h"

#include "archive/lines.h"
#include "archive/mbox.h"
#include "archive/postmark.h"

enum { MAX = 1 << 20 };

static void test_line_ends(void **state)
{
    (void)state;
    static const struct {
        str crlf, lf;
    } rows[] = {
        { STR_INIT(""), STR_INIT("") },
        { STR_INIT("a"), STR_INIT("a") },
        { STR_INIT("a\r\n"), STR_INIT("a\n") },
        { STR_INIT("\r\n\r\nb"), STR_INIT("\n\nb") },
        { STR_INIT("a\r\r\nb\r\n"), STR_INIT("a\r\r\nb\n") },
        { STR_INIT("a\rb\r"), STR_INIT("a\rb\r") },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct buf lf = BUF_INIT(MAX), crlf = BUF_INIT(MAX);
        str from = check_copy(rows[i].crlf);
        archive_to_lf(&lf, from);
        assert_true(str_eq(buf_str(&lf), rows[i].lf));
        str back = check_copy(rows[i].lf);
        archive_to_crlf(&crlf, back);
        assert_true(str_eq(buf_str(&crlf), rows[i].crlf));
        check_free(from);
        check_free(back);
        buf_done(&lf);
        buf_done(&crlf);
    }
}

static const str keyword_names[] = { STR_INIT("$Forwarded"), STR_INIT("later") };
static const struct {
    str message;
    struct mail_flags flags;
    int64_t received;
} letters[] = {
    { STR_INIT("Subject: a\r\n\r\nbody\r\n"),
      { .system = MAIL_SEEN | MAIL_ANSWERED, .keywords = keyword_names, .keyword_n = 2 },
      1700000000 },
    { STR_INIT("Subject: quoted\r\n\r\nFrom here on\r\n>From there\r\n>>From far\r\n> From no\r\n\r\n"), { .system = 0 }, 0 },
    { STR_INIT("Status: mine\r\nX-Status: too\r\nSubject: b\r\n\r\nx\r\n"),
      { .system = MAIL_FLAGGED | MAIL_DELETED | MAIL_DRAFT },
      951782400 },
    { STR_INIT(""), { .system = MAIL_SEEN }, 1 },
    { STR_INIT("\r\n\r\n\r\n"), { .system = 0 }, 2 },
};

static void test_round_trip(void **state)
{
    (void)state;
    struct buf file = BUF_INIT(MAX);
    size_t n = sizeof letters / sizeof letters[0], i;
    for (i = 0; i < n; i++)
        mbox_add(&file, letters[i].message, &letters[i].flags, letters[i].received);
    str copy = check_copy(buf_str(&file));
    struct mbox_reader r;
    struct mbox_message m;
    mbox_open(&r, copy, 0);
    for (i = 0; mbox_next(&r, &m); i++) {
        struct arena a = ARENA_INIT(MAX);
        struct buf out = BUF_INIT(MAX);
        struct mbox_status status;
        assert_true(i < n);
        assert_int_equal(m.received, letters[i].received);
        assert_int_equal(mbox_decode(&m, &out, &a, &status), 0);
        if (!str_eq(buf_str(&out), letters[i].message))
            fail_msg("letter %zu came back as '%.*s'", i, STR_ARG(buf_str(&out)));
        assert_int_equal(status.flags.system, letters[i].flags.system);
        assert_int_equal(status.flags.keyword_n, letters[i].flags.keyword_n);
        assert_false(status.internal);
        for (size_t k = 0; k < status.flags.keyword_n; k++)
            assert_true(str_eq(status.flags.keywords[k], letters[i].flags.keywords[k]));
        buf_done(&out);
        arena_done(&a);
    }
    assert_int_equal(i, n);
    assert_int_equal(r.at, copy.n);
    assert_int_equal(r.taken + r.left, 0);
    check_free(copy);
    buf_done(&file);
}

static void test_lines_that_begin_a_message(void **state)
{
    (void)state;
    static const struct {
        str line;
        enum postmark_kind kind;
        int64_t received;
    } rows[] = {
        { STR_INIT("From a@example.org Tue Nov 14 22:13:20 2023"), POSTMARK_DATED, 1700000000 },
        { STR_INIT("From - Tue Nov 14 22:13:20 2023"), POSTMARK_DATED, 1700000000 },
        { STR_INIT("From ???@??? Tue Nov 14 22:13:20 2023"), POSTMARK_DATED, 1700000000 },
        { STR_INIT("From  Tue Nov 14 22:13:20 2023"), POSTMARK_DATED, 1700000000 },
        { STR_INIT("From a@example.org  Tue Nov 14 22:13 2023"), POSTMARK_DATED, 1699999980 },
        { STR_INIT("From a@example.org Tue Nov 14 23:13:20 2023 +0100"), POSTMARK_DATED, 1700000000 },
        { STR_INIT("From a@example.org Tue Nov 14 17:13:20 -0500 2023"), POSTMARK_DATED, 1700000000 },
        { STR_INIT("From 1782345@xxx Tue Nov 14 22:13:20 +0000 2023"), POSTMARK_DATED, 1700000000 },
        { STR_INIT("From a@example.org Tue Nov 14 22:13:20 UTC 2023"), POSTMARK_DATED, 1700000000 },
        { STR_INIT("From a@example.org Tue Nov 14 22:13:20 MET DST 2023"), POSTMARK_DATED, 1700000000 },
        { STR_INIT("From a@example.org Nov 14 22:13:20 2023"), POSTMARK_DATED, 1700000000 },
        { STR_INIT("From a@example.org Tue, 14 Nov 2023 22:13:20 +0000"), POSTMARK_DATED, 1700000000 },
        { STR_INIT("From a@example.org 14 Nov 2023 22:13:20 GMT"), POSTMARK_DATED, 1700000000 },
        { STR_INIT("From a@example.org 2023-11-14 22:13:20"), POSTMARK_DATED, 1700000000 },
        { STR_INIT("From a@example.org 2023-11-14T23:13:20.5+01:00"), POSTMARK_DATED, 1700000000 },
        { STR_INIT("From a@example.org 2023-11-14T22:13:20Z"), POSTMARK_DATED, 1700000000 },
        { STR_INIT("From a@example.org Tue Nov 14 22:13:20 23"), POSTMARK_DATED, 1700000000 },
        { STR_INIT("From a@example.org Sat Jan  1 00:00:00 2000"), POSTMARK_DATED, 946684800 },
        { STR_INIT("From \"a b\"@example.org Tue Nov 14 22:13:20 2023 remote from x"), POSTMARK_DATED, 1700000000 },
        { STR_INIT("From "), POSTMARK_BARE, INT64_MIN },
        { STR_INIT("From    "), POSTMARK_BARE, INT64_MIN },
        { STR_INIT("From a@b"), POSTMARK_ADDRESS, INT64_MIN },
        { STR_INIT("From MAILER-DAEMON"), POSTMARK_ADDRESS, INT64_MIN },
        { STR_INIT("From -"), POSTMARK_ADDRESS, INT64_MIN },
        { STR_INIT("From here on it is downhill"), POSTMARK_ODD, INT64_MIN },
        { STR_INIT("From here on:"), POSTMARK_ODD, INT64_MIN },
        { STR_INIT("From a Tue Nov 31 22:13:20 2023"), POSTMARK_ODD, INT64_MIN },
        { STR_INIT("From a Tue Nov 14 25:13:20 2023"), POSTMARK_ODD, INT64_MIN },
        { STR_INIT("From a Tue Nov 14 22:13:20"), POSTMARK_ODD, INT64_MIN },
        { STR_INIT("From a Tue Nov 2023"), POSTMARK_ODD, INT64_MIN },
        { STR_INIT("From March 14 to May 16 2023"), POSTMARK_ODD, INT64_MIN },
        { STR_INIT("From: a Tue Nov 14 22:13:20 2023"), POSTMARK_NONE, INT64_MIN },
        { STR_INIT(">From a Tue Nov 14 22:13:20 2023"), POSTMARK_NONE, INT64_MIN },
        { STR_INIT("from a Tue Nov 14 22:13:20 2023"), POSTMARK_NONE, INT64_MIN },
        { STR_INIT("From"), POSTMARK_NONE, INT64_MIN },
        { STR_INIT(""), POSTMARK_NONE, INT64_MIN },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        str copy = check_copy(rows[i].line);
        struct postmark p = postmark_read(copy);
        if (p.kind != rows[i].kind || p.received != rows[i].received)
            fail_msg("'%.*s' gave %d, %lld", STR_ARG(rows[i].line), (int)p.kind, (long long)p.received);
        check_free(copy);
    }
}

#define MARK "From a@b Tue Nov 14 22:13:20 2023\n"
#define HEAD "Received: x\n\tby y\nSubject: s\n"

/* How many messages a file has, and how many lines are doubtful. */
static void test_where_messages_begin(void **state)
{
    (void)state;
    static const struct {
        const char *file;
        size_t messages;
        uint64_t taken, left;
    } rows[] = {
        { MARK HEAD "\none\n\n" MARK HEAD "\ntwo\n\n" MARK HEAD "\nthree\n", 3, 0, 0 },
        { MARK HEAD "\none\n\nFrom \n" HEAD "\ntwo\n\nFrom \n" HEAD "\nthree\n", 3, 2, 0 },
        { "From \n" HEAD "\none\n\nFrom \n" HEAD "\ntwo\n", 2, 2, 0 },
        { "From \n" HEAD "\none\nFrom \n" HEAD "\ntwo\n", 2, 2, 0 },
        { "From \r\nSubject: s\r\nFrom: x\r\n\r\none\r\nFrom \r\nFrom: x\r\nTo: y\r\n\r\ntwo\r\n", 2, 2, 0 },
        { "From \n\nno header\n\nFrom \nX-Any: x\n\nbody\n", 2, 2, 0 },
        { MARK HEAD "\none\n" MARK HEAD "\ntwo\n" MARK HEAD "\nthree", 3, 0, 0 },
        { MARK HEAD "\none\nFrom a@b\n" HEAD "\ntwo\n\nFrom c@d\nTo: x\n\nthree\n", 3, 2, 0 },
        { MARK HEAD "\none\n\nFrom somebody, some day\n" HEAD "\ntwo\n", 2, 1, 0 },
        { MARK HEAD "\none\n\nFrom somebody, some day\nDate: x\n\ntwo\n", 2, 1, 0 },
        { MARK HEAD "\none\nFrom somebody, some day\nDate: x\n\ntwo\n", 1, 0, 0 },
        { MARK HEAD "\nIt says:\n\nFrom here on:\nall is well\n\nFrom here on: all\nFrom x to y\n", 1, 0, 2 },
        { MARK HEAD "\n\nFrom a@b\nwrote this\n\nFrom \nnowhere\n", 1, 0, 2 },
        { MARK HEAD "\ntext\n" MARK "more text\n", 1, 0, 1 },
        { MARK HEAD "\n>From a@b\n" HEAD "\n>" MARK HEAD "\n", 1, 0, 0 },
        { MARK HEAD "\n\n" MARK "\n" MARK "x", 3, 0, 0 },
        { "\xef\xbb\xbf\n\n" MARK HEAD "\none\n", 1, 0, 0 },
        { MARK, 1, 0, 0 },
        { "", 0, 0, 0 },
        { "\n\n", 0, 0, 0 },
        { "From here to there\nI went.\n", 0, 0, 1 },
        { "From here to there\nTo: x\n\n", 1, 1, 0 },
        { "Subject: s\n\n" MARK HEAD "\n", 0, 0, 0 },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        str copy = check_copy(str_from_z(rows[i].file));
        struct mbox_reader r;
        struct mbox_message m;
        size_t n = 0;
        mbox_open(&r, copy, 0);
        while (mbox_next(&r, &m))
            n++;
        if (n != rows[i].messages || r.taken != rows[i].taken || r.left != rows[i].left)
            fail_msg("file %zu gave %zu messages, %llu and %llu doubtful", i, n, (unsigned long long)r.taken,
                     (unsigned long long)r.left);
        if ((r.taken || r.left) != (r.first_doubt != UINT64_MAX) ||
            (r.first_doubt != UINT64_MAX && !str_starts(str_from(copy, r.first_doubt), STR("From "))))
            fail_msg("file %zu: the first doubt is at %llu", i, (unsigned long long)r.first_doubt);
        check_free(copy);
    }
}

/* FILE read in parts of STEP bytes and as many more as are wanted gives what it gives when it is there at once. */
static void read_in_parts(str file, size_t step)
{
    struct mbox_reader whole, r;
    struct mbox_message a, b;
    size_t n = file.n < step ? file.n : step;
    char *part = malloc(n ? n : 1);
    assert_non_null(part);
    memcpy(part, file.p, n);
    mbox_open(&whole, file, 0);
    mbox_open(&r, (str){ part, n }, file.n - n);
    for (bool more = true; more;) {
        more = mbox_next(&r, &b);
        if (!more && r.wants) {
            size_t begins = (size_t)r.base + r.at, kept = n - r.at, left = file.n - begins;
            n = kept + (r.at ? step : kept + step) < left ? kept + (r.at ? step : kept + step) : left;
            char *next = malloc(n ? n : 1);
            assert_non_null(next);
            memcpy(next, file.p + begins, n);
            mbox_continue(&r, (str){ next, n }, left - n);
            free(part);
            part = next;
            more = true;
            continue;
        }
        bool found = mbox_next(&whole, &a);
        assert_true(found == more && whole.taken == r.taken && whole.left == r.left && whole.first_doubt == r.first_doubt);
        if (found)
            assert_true(a.text.p - file.p == (ptrdiff_t)r.base + (b.text.p - r.file.p) && str_eq(a.text, b.text) &&
                        a.measured == b.measured && a.received == b.received && str_eq(a.sender, b.sender));
    }
    assert_true((whole.at == file.n) == (r.base + r.at == file.n));
    free(part);
}

/* In parts of every size, which end in the midst of everything. */
static void read_in_all_parts(str file)
{
    for (size_t step = 4; step < 200; step += step < 24 ? 1 : 13) /* at first with the mark that an UTF-8 file may begin with */
        read_in_parts(file, step);
}

static void test_a_part_of_a_file_gives_what_the_whole_does(void **state)
{
    (void)state;
    static const char *const files[] = {
        MARK HEAD "\nx\n\n" MARK HEAD "\ny\n",
        MARK "Subject: a\nContent-Length: 38\n\nx\n\n" MARK "\n\n" MARK "Subject: b\nContent-Length: 8\n\n>From y\n",
        MARK "Subject: a\nContent-Length: 10\n\n>From b\nx\n\n" MARK "Content-Length: 2\n\ny\n",
        MARK "Subject: a\nContent-Length: 9999\n\nx\n\n" MARK "Content-Length: 1\n\ny\n\n\n\n" MARK HEAD,
        "\xef\xbb\xbf\n\n\n\n\n\n\n\n" MARK HEAD "\none\n\nFrom here\nSubject: b\n\nFrom me to you\n" MARK "Subject: c\n\n\n\n",
        "From \n\nx\n\nFrom a@b\nTo: x\n\nFrom \n",
        "Subject: s\n\n" MARK HEAD "\n",
    };
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++)
        read_in_all_parts(str_from_z(files[i]));
}

static void test_a_message_too_large_is_skipped(void **state)
{
    (void)state;
    enum { LARGE = 1 << 20, STEP = 3 << 16 };
    struct buf file = BUF_INIT(2 * LARGE);
    buf_add(&file, STR(MARK HEAD "\none\n\n" MARK HEAD "\n"));
    size_t at = file.n - strlen(MARK HEAD "\n");
    while (file.n < LARGE)
        buf_add(&file, STR("a line\n\nFrom here to there\n"));
    buf_add(&file, STR("\n"));
    size_t last = file.n;
    buf_add(&file, STR(MARK HEAD "\nlast\n"));
    struct mbox_reader r;
    struct mbox_message m;
    mbox_open(&r, str_sub(buf_str(&file), 0, STEP), file.n - STEP);
    assert_true(mbox_next(&r, &m));
    assert_false(mbox_next(&r, &m));
    assert_true(r.wants && r.at == at);
    for (bool inside = false; !mbox_skip(&r, inside); inside = true) {
        size_t from = (size_t)r.base + r.at, n = file.n - from < STEP ? file.n - from : STEP;
        mbox_continue(&r, str_sub(buf_str(&file), from, n), file.n - from - n);
    }
    assert_int_equal(r.base + r.at, last);
    assert_true(mbox_next(&r, &m) && str_ends(m.text, STR("last\n")));
    assert_false(mbox_next(&r, &m) || r.wants);
    buf_done(&file);
}

/* The messages of FILE, decoded, with a line of '=' after each. */
static void decode_all(const char *file, const char *expected)
{
    str copy = check_copy(str_from_z(file));
    struct mbox_reader r;
    struct mbox_message m;
    struct buf out = BUF_INIT(MAX);
    mbox_open(&r, copy, 0);
    while (mbox_next(&r, &m)) {
        struct arena a = ARENA_INIT(MAX);
        struct mbox_status status;
        assert_int_equal(mbox_decode(&m, &out, &a, &status), 0);
        buf_add(&out, STR("="));
        arena_done(&a);
    }
    check_str(buf_str(&out), expected);
    buf_done(&out);
    check_free(copy);
}

static void test_lengths(void **state)
{
    (void)state;
    /* mboxcl2: nobody quotes, the length tells the end */
    decode_all(MARK "Subject: a\nContent-Length: 38\n\nx\n\n" MARK "\n\n" MARK "Subject: b\nContent-Length: 8\n\n>From y\n",
               "Subject: a\r\n\r\nx\r\n\r\nFrom a@b Tue Nov 14 22:13:20 2023\r\n\r\n=Subject: b\r\n\r\nFrom y\r\n=");
    /* mboxcl: quoted, too */
    decode_all(MARK "Subject: a\nContent-Length: 10\n\n>From b\nx\n\n" MARK "Content-Length: 2\n\ny\n",
               "Subject: a\r\n\r\nFrom b\r\nx\r\n=\r\ny\r\n=");
    /* too short, too long, into the middle: not believed, and kept as the mail's own */
    decode_all(MARK "Content-Length: 1\n\nxx\n\n" MARK "\ny\n", "Content-Length: 1\r\n\r\nxx\r\n=\r\ny\r\n=");
    decode_all(MARK "Content-Length: 999\n\nxx\n\n" MARK "\ny\n", "Content-Length: 999\r\n\r\nxx\r\n=\r\ny\r\n=");
    decode_all(MARK "Content-Length: 99999999999999999999\n\nxx\n", "Content-Length: 99999999999999999999\r\n\r\nxx\r\n=");
    /* it would swallow the next message, in a file that is not of this kind */
    decode_all(MARK "Subject: a\n\nx\n\n" MARK "Content-Length: 40\n\ny\n\n" MARK "\nz\n\n",
               "Subject: a\r\n\r\nx\r\n=Content-Length: 40\r\n\r\ny\r\n=\r\nz\r\n=");
    /* what export wrote is not measured */
    decode_all(MARK "Status: O\nX-Status: \nX-Keywords:\nContent-Length: 40\n\ny\n\n" MARK "\nz\n\n",
               "Content-Length: 40\r\n\r\ny\r\n=\r\nz\r\n=");
}

/* Fields anywhere in the header, CRLF, no empty line before a From that is none. */
static void test_files_of_others(void **state)
{
    (void)state;
    decode_all("From a@b Tue Nov 14 22:13:20 2023\r\nSubject: x\r\nX-Keywords: work\r\n   \r\nStatus: "
               "RO\r\nX-Status: AF\r\nX-UID: 7\r\nX-IMAPbase: 1 2\r\nTo: y\r\n\r\n"
               "Status: of the body\r\nFrom a@b Tue Nov 14 22:13:20 2023\r\n\r\nFrom now on\r\n\r\n"
               "From c@d Tue Nov 14 22:13:21 2023\r\nSubject: z\r\n\r\nlast",
               "Subject: x\r\nTo: y\r\n\r\nStatus: of the body\r\nFrom a@b Tue Nov 14 22:13:20 2023\r\n\r\nFrom now on\r\n="
               "Subject: z\r\n\r\nlast=");
}

static void test_status(void **state)
{
    (void)state;
    static const struct {
        const char *header;
        uint64_t system;
        const char *keywords;
    } rows[] = {
        { "Status: RO\nX-Status: AFDT\nTo: x\n", 31, "" },
        { "Status: O\nX-Status:\nX-Keywords: work  $Label1\n\t later\nTo: x\n", 0, "work $Label1 later " },
        { "X-Keywords: (odd) Re&AOc-us \"x\nTo: x\n", 0, "_odd_ Re&AOc-us _x " },
        { "X-Mozilla-Status: 0001\nX-Mozilla-Status2: 00000000\nX-Mozilla-Keys:          \n", MAIL_SEEN, "" },
        { "X-Mozilla-Status: 1007\nX-Mozilla-Keys: $label1 nonjunk    \n", MAIL_SEEN | MAIL_ANSWERED | MAIL_FLAGGED,
          "$Forwarded $label1 nonjunk " },
        { "X-Mozilla-Status: 0009\nX-Mozilla-Status2: 04800000\n", MAIL_SEEN | MAIL_DELETED, "$MDNSent $Label2 " },
        { "X-Mozilla-Status2: 00200000\n", MAIL_DELETED, "" },
        { "X-Mozilla-Status: zzzz\nX-Mozilla-Status2: 123456789abc\n", 0, "" },
        { "X-Evolution: 0000001a-0019\n", MAIL_ANSWERED | MAIL_FLAGGED | MAIL_SEEN, "" },
        { "X-Evolution: 0000001a-0484\n", MAIL_DRAFT, "$Junk $Forwarded " },
        { "X-Evolution:\n", 0, "" },
        { "Status: U\n", 0, "" },
        { "To: x\n\nStatus: RO\n", 0, "" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct buf file = BUF_INIT(MAX), out = BUF_INIT(MAX), keywords = BUF_INIT(MAX);
        struct arena a = ARENA_INIT(MAX);
        struct mbox_reader r;
        struct mbox_message m;
        struct mbox_status status;
        buf_add_all(&file, STR(MARK), str_from_z(rows[i].header), STR("\nbody\n"));
        str copy = check_copy(buf_str(&file));
        mbox_open(&r, copy, 0);
        assert_true(mbox_next(&r, &m));
        assert_int_equal(mbox_decode(&m, &out, &a, &status), 0);
        for (size_t k = 0; k < status.flags.keyword_n; k++)
            buf_add_all(&keywords, status.flags.keywords[k], STR(" "));
        if (status.flags.system != rows[i].system || !str_eq(buf_str(&keywords), str_from_z(rows[i].keywords)))
            fail_msg("header %zu gave %llx, '%.*s'", i, (unsigned long long)status.flags.system, STR_ARG(buf_str(&keywords)));
        assert_int_equal(status.expunged, str_starts(str_from_z(rows[i].header), STR("X-Mozilla-Status: 0009")));
        if (str_find(buf_str(&out), STR("ozilla")) < out.n || !str_ends(buf_str(&out), STR("\r\nbody\r\n")))
            fail_msg("header %zu left '%.*s'", i, STR_ARG(buf_str(&out)));
        buf_done(&file);
        buf_done(&out);
        buf_done(&keywords);
        arena_done(&a);
        check_free(copy);
    }
}

static void test_internal_and_keywords_beyond(void **state)
{
    (void)state;
    struct buf file = BUF_INIT(MAX), out = BUF_INIT(MAX);
    struct arena a = ARENA_INIT(MAX);
    struct mbox_reader r;
    struct mbox_message m;
    struct mbox_status status;
    buf_add(&file,
            STR(MARK
                "From: Mail System Internal Data <MAILER-DAEMON@x>\nSubject: DON'T DELETE THIS MESSAGE -- FOLDER INTERNAL DATA\n"
                "X-IMAP: 1 2\nStatus: RO\n\ntext\n\n" MARK "Subject: about FOLDER INTERNAL DATA\nX-Keywords:"));
    for (int i = 0; i < MAIL_KEYWORDS_MAX + 3; i++)
        buf_addf(&file, " k%d", i);
    buf_add(&file, STR(" K1\n\nx\n"));
    mbox_open(&r, buf_str(&file), 0);
    assert_true(mbox_next(&r, &m));
    assert_int_equal(mbox_decode(&m, &out, &a, &status), 0);
    assert_true(status.internal);
    assert_true(mbox_next(&r, &m));
    assert_int_equal(mbox_decode(&m, &out, &a, &status), 0);
    assert_false(status.internal);
    assert_int_equal(status.flags.keyword_n, MAIL_KEYWORDS_MAX);
    assert_int_equal(status.keywords_lost, 3);
    buf_done(&file);
    buf_done(&out);
    arena_done(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_line_ends),
                                        cmocka_unit_test(test_round_trip),
                                        cmocka_unit_test(test_lines_that_begin_a_message),
                                        cmocka_unit_test(test_where_messages_begin),
                                        cmocka_unit_test(test_a_part_of_a_file_gives_what_the_whole_does),
                                        cmocka_unit_test(test_a_message_too_large_is_skipped),
                                        cmocka_unit_test(test_lengths),
                                        cmocka_unit_test(test_files_of_others),
                                        cmocka_unit_test(test_status),
                                        cmocka_unit_test(test_internal_and_keywords_beyond) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
