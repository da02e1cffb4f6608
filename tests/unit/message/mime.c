/* Content-Type and Content-Disposition: parameters in all their forms. */
#include "support.h"

#include "message/mime.h"

static void add_params(struct buf *b, const struct message_params *p)
{
    for (unsigned i = 0; i < p->n; i++)
        buf_add_all(b, STR(";"), p->list[i].name, STR("="), p->list[i].value);
}

static void content_type(str field, const struct message_limits *limits, const char *expected, bool expect_cut)
{
    str in = exact(field);
    struct arena a = ARENA_INIT(1 << 20);
    struct message_content_type ct;
    bool cut = false;
    assert_int_equal(message_content_type_parse(in, limits, &a, &ct, &cut), 0);
    free_exact(in);
    struct buf b = BUF_INIT(1 << 16);
    buf_add_all(&b, ct.type, STR("/"), ct.subtype);
    add_params(&b, &ct.params);
    assert_strz(buf_str(&b), expected);
    assert_int_equal(cut, expect_cut);
    buf_done(&b);
    arena_done(&a);
}

static void content_types(void **state)
{
    static const struct {
        const char *in, *expected;
    } cases[] = {
        { "text/plain", "text/plain" },
        { " TEXT / Html ; Charset = UTF-8 ", "text/html;charset=UTF-8" },
        { "text/plain; charset=us-ascii (Plain text)", "text/plain;charset=us-ascii" },
        { "text/plain (comment) ; (c) charset(d)=\"us-ascii\"", "text/plain;charset=us-ascii" },
        { "multipart/mixed; boundary=\"gc0p4Jq0M2Yt08j34c0p\"", "multipart/mixed;boundary=gc0p4Jq0M2Yt08j34c0p" },
        { "multipart/mixed;\r\n\tboundary=\"a; b=\\\"c\\\"\"", "multipart/mixed;boundary=a; b=\"c\"" },
        { "multipart/mixed; boundary=a/b=c:d?e", "multipart/mixed;boundary=a/b=c:d?e" },
        { "multipart/mixed; boundary=----=_Part_1_2.3", "multipart/mixed;boundary=----=_Part_1_2.3" },
        { "application/pdf; name=My File.pdf", "application/pdf;name=My File.pdf" },
        { "application/pdf; name=My File(1).pdf; x=y", "application/pdf;name=My File(1).pdf;x=y" },
        { "text/plain; charset=utf-8 format=flowed", "text/plain;charset=utf-8;format=flowed" },
        { "text/plain; charset=\"utf-8\" format=flowed", "text/plain;charset=utf-8;format=flowed" },
        { "text/plain; charset=utf-8; charset=latin1", "text/plain;charset=utf-8" },
        { "text/plain;; ;charset=utf-8;", "text/plain;charset=utf-8" },
        { "text/plain; charset=", "text/plain;charset=" },
        { "text/plain; charset=\"\"", "text/plain;charset=" },
        { "text/plain; charset=\"utf-8", "text/plain;charset=utf-8" },
        { "text/plain; charset", "text/plain" },
        { "text/plain; =utf-8; a=b", "text/plain;a=b" },
        { "text", "text/plain" },
        { "text/", "text/plain" },
        { "multipart; boundary=x", "multipart/mixed;boundary=x" },
        { "message", "message/rfc822" },
        { "image", "image/octet-stream" },
        { "", "text/plain" },
        { "/html", "text/plain" },
        { "charset=utf-8", "text/plain;charset=utf-8" },
        { "; charset=utf-8", "text/plain;charset=utf-8" },
        { "text/plain; name==?utf-8?q?a?=", "text/plain;name==?utf-8?q?a?=" },
        { "text/plain; name=\"=?utf-8?q?a=20b?=\"", "text/plain;name==?utf-8?q?a=20b?=" },
        /* RFC 2231 */
        { "message/external-body; access-type=URL; URL*0=\"ftp://\"; URL*1=\"cs.utk.edu/pub/moore/bulk-mailer/bulk-mailer.tar\"",
          "message/external-body;access-type=URL;url=ftp://cs.utk.edu/pub/moore/bulk-mailer/bulk-mailer.tar" },
        { "application/x-stuff; title*=us-ascii'en-us'This%20is%20%2A%2A%2Afun%2A%2A%2A",
          "application/x-stuff;title*=us-ascii'en-us'This%20is%20%2A%2A%2Afun%2A%2A%2A" },
        { "application/x-stuff; title*0*=us-ascii'en'This%20is%20even%20more%20; title*1*=%2A%2A%2Afun%2A%2A%2A%20;"
          " title*2=\"isn't it!\"",
          "application/x-stuff;title*=us-ascii'en'This%20is%20even%20more%20%2A%2A%2Afun%2A%2A%2A%20isn%27t%20it!" },
        { "a/b; t*1=b; t*0=a; t*2=c", "a/b;t=abc" },
        { "a/b; t*0=a; t*2=c", "a/b;t=a" },
        { "a/b; t*1=b; t*2=c", "a/b" },
        { "a/b; t*0*=iso-8859-1''%e4; t*1*=%f6", "a/b;t*=iso-8859-1''%e4%f6" },
        { "a/b; t*0*=utf-8''%c3; t*1*=%a4", "a/b;t*=utf-8''%c3%a4" },
        { "a/b; name=plain; name*=utf-8''%c3%a4; name=x; name*=y", "a/b;name=plain;name*=utf-8''%c3%a4" },
        { "a/b; name*0*=utf-8''%c3; name=plain; name*1=\"a b\"", "a/b;name*=utf-8''%c3a%20b;name=plain" },
        { "a/b; t=plain; t*1=b; t*0=a; t*=c''d", "a/b;t=ab;t*=c''d" },
        { "a/b; t*=utf-8''a%0d%0ab%00c", "a/b;t*=utf-8''a%0d%0ab%00c" },
        { "a/b; t*=noquotes%20here", "a/b;t*=noquotes%20here" },
        { "a/b; t*=no-such-charset''%e4x", "a/b;t*=no-such-charset''%e4x" },
        { "a/b; t*=utf-8''%4%zz%", "a/b;t*=utf-8''%4%zz%" },
        { "a/b; *=x; *0=y; **=z", "a/b;*=x;*0=y;**=z" },
        { "a/b; t*0=\"a b\"; t*1*=%41", "a/b;t*=''a%20b%41" },
        { "a/b; t*=\"utf-8''\xc3\xa9 \\\"\"", "a/b;t*=utf-8''%C3%A9%20%22" },
        { "a/b; t**0=\xc3\xa9; u**=x; v**0*=y", "a/b;t**0=\xc3\xa9;u**=x;v**0*=y" },
        { "a/b; t*99999999999=x", "a/b;t*99999999999=x" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        content_type(str_from_z(cases[i].in), &message_limits_default, cases[i].expected, false);
}

static void limits(void **state)
{
    struct message_limits l = message_limits_default;
    l.params_max = 2;
    content_type(STR("a/b; c=d; e=f; g=h"), &l, "a/b;c=d;e=f", true);
    content_type(STR("a/b; c=d; e=f"), &l, "a/b;c=d;e=f", false);
    l = message_limits_default;
    l.value_max = 5;
    content_type(STR("a/b; c=12345678"), &l, "a/b;c=12345", true);
    content_type(STR("a/b; c*0=1234; c*1=5678"), &l, "a/b;c=12345", true);
    content_type(STR("a/b; c*=\"''12 \""), &l, "a/b;c*=''12", true); /* no escape is cut in two */
    struct arena a = ARENA_INIT(20);
    struct message_content_type ct;
    assert_int_equal(message_content_type_parse(STR("text/plain"), &message_limits_default, &a, &ct, NULL), ERR_LIMIT);
    arena_done(&a);
}

/* What a reader sees of a parameter; "-" for none. */
static void texts_of_parameters(void **state)
{
    static const struct {
        const char *in, *text;
    } cases[] = {
        { "a/b", "-" },
        { "a/b; t=x", "x" },
        { "a/b; t=", "" },
        { "a/b; t*=us-ascii'en-us'This%20is%20%2A%2A%2Afun%2A%2A%2A", "This is ***fun***" },
        { "a/b; t*0*=us-ascii'en'even%20more%20; t*1*=%2A%2Afun%2A%2A%20; t*2=\"isn't it!\"", "even more **fun** isn't it!" },
        { "a/b; t*0*=iso-8859-1''%e4; t*1*=%f6", "\xc3\xa4\xc3\xb6" },
        { "a/b; t*0*=utf-8''%c3; t*1*=%a4", "\xc3\xa4" },
        { "a/b; t=plain; t*=utf-8''%c3%a4", "\xc3\xa4" },
        { "a/b; t*=utf-8''a%0d%0ab%00c", "a  b?c" },
        { "a/b; t*=noquotes%20here", "noquotes here" },
        { "a/b; t*=no-such-charset''%e4x", "\xef\xbf\xbdx" },
        { "a/b; t*=utf-8''%4%zz%", "%4%zz%" },
        { "a/b; t*=''%c3%a9", "\xc3\xa9" },
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct arena a = ARENA_INIT(1 << 16);
        struct message_content_type ct;
        assert_int_equal(message_content_type_parse(str_from_z(cases[i].in), &message_limits_default, &a, &ct, NULL), 0);
        struct buf b = BUF_INIT(1 << 12);
        const struct message_param *p = message_param_find(ct.params.list, ct.params.n, STR("t"));
        if (p)
            message_param_text(p, &b);
        assert_strz(p ? buf_str(&b) : STR("-"), cases[i].text);
        buf_done(&b);
        arena_done(&a);
    }
}

static void dispositions(void **state)
{
    static const struct {
        const char *in, *expected;
    } cases[] = {
        { "attachment", "attachment" },
        { "INLINE; FileName=\"a b.txt\"; size=12", "inline;filename=a b.txt;size=12" },
        { "attachment; filename*0*=UTF-8''na%C3%AFve; filename*1=\".txt\"", "attachment;filename*=UTF-8''na%C3%AFve.txt" },
        { "attachment filename=x", "attachment;filename=x" },
        { "filename=x", ";filename=x" },
        { "", "" },
        { ";;;", "" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        str in = exact(str_from_z(cases[i].in));
        struct arena a = ARENA_INIT(1 << 16);
        struct message_disposition d;
        assert_int_equal(message_disposition_parse(in, &message_limits_default, &a, &d, NULL), 0);
        struct buf b = BUF_INIT(1 << 12);
        buf_add(&b, d.name);
        add_params(&b, &d.params);
        assert_strz(buf_str(&b), cases[i].expected);
        buf_done(&b);
        arena_done(&a);
        free_exact(in);
    }
}

static void tokens_and_languages(void **state)
{
    struct arena a = ARENA_INIT(1 << 16);
    str token;
    assert_int_equal(message_token_parse(STR(" (c) BASE64 ; x"), &a, &token), 0);
    assert_strz(token, "base64");
    assert_int_equal(message_token_parse(STR(" "), &a, &token), 0);
    assert_strz(token, "");
    const str *list;
    unsigned n;
    assert_int_equal(message_languages_parse(STR("fr, en-GB (English),,de"), 10, &a, &list, &n), 0);
    assert_int_equal(n, 3);
    assert_strz(list[0], "fr");
    assert_strz(list[1], "en-GB");
    assert_strz(list[2], "de");
    assert_int_equal(message_languages_parse(STR("fr, en, de"), 2, &a, &list, &n), 0);
    assert_int_equal(n, 2);
    assert_int_equal(message_languages_parse(STR(""), 2, &a, &list, &n), 0);
    assert_int_equal(n, 0);
    arena_done(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(content_types),        cmocka_unit_test(limits),
        cmocka_unit_test(texts_of_parameters),  cmocka_unit_test(dispositions),
        cmocka_unit_test(tokens_and_languages),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
