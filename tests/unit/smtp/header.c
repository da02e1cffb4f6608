/* The trace field, and the header of a submitted message; each message is put in pieces as data.c does. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "message/header.h"
#include "service_table.h"
#include "smtp/header.h"

struct trace_case {
    struct smtp_trace trace;
    bool tls;
    const char *out;
};

static void test_trace(void **state)
{
    static const struct trace_case table[] = {
        { { .helo = STR_INIT("c"), .peer = STR_INIT("192.0.2.1") },
          false,
          "Received: from c ([192.0.2.1])\r\n\tby mx with SMTP\r\n\tid i (session s);\r\n\tThu, 1 Jan 1970 00:00:00 +0000\r\n" },
        { { .helo = STR_INIT("[IPv6:::1]"), .peer = STR_INIT("::1"), .esmtp = true, .recipient = STR_INIT("a@x") },
          false,
          "Received: from [IPv6:::1] ([IPv6:::1])\r\n\tby mx with ESMTP\r\n\tid i (session s)\r\n\tfor <a@x>;\r\n"
          "\tThu, 1 Jan 1970 00:00:00 +0000\r\n" },
        { { .helo = STR_INIT("c"), .peer = STR_INIT("192.0.2.1"), .esmtp = true, .authenticated = true, .smtputf8 = true },
          true,
          "Received: from c ([192.0.2.1])\r\n\tby mx with UTF8SMTPSA\r\n\t(using TLSv1.2 with cipher X (128/128 bits))\r\n"
          "\tid i (session s);\r\n\tThu, 1 Jan 1970 00:00:00 +0000\r\n" },
        { { .helo = STR_INIT("c"), .peer = STR_INIT("192.0.2.1"), .esmtp = true, .authenticated = true },
          true,
          "Received: from c ([192.0.2.1])\r\n\tby mx with ESMTPSA\r\n\t(using TLSv1.2 with cipher X (128/128 bits))\r\n"
          "\tid i (session s);\r\n\tThu, 1 Jan 1970 00:00:00 +0000\r\n" },
    };
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct buf out = BUF_INIT(4096);
        struct smtp_trace t = table[i].trace;
        struct tls_info tls = { .active = table[i].tls, .version = STR("TLSv1.2"), .cipher = STR("X"), .bits = 128 };
        t.tls = &tls;
        t.hostname = STR("mx");
        t.id = STR("i");
        t.session = STR("s");
        smtp_trace_add(&out, &t);
        if (!str_eq(buf_str(&out), str_from_z(table[i].out)))
            fail_msg("case %zu: %.*s", i, STR_ARG(buf_str(&out)));
        /* It is one field, whatever stands below it. */
        struct message_header_field f;
        size_t at = 0;
        assert_true(message_header_next(buf_str(&out), &at, &f) && at == out.n && str_eq(f.name, STR("Received")));
        buf_done(&out);
    }
}

/* What is added stands for itself in these: <F> From, <D> Date, <M> Message-ID. */
struct header_case {
    const char *in, *out;
};

static void expand(struct buf *out, const char *pattern)
{
    for (; *pattern; pattern++) {
        if (!strncmp(pattern, "<F>", 3))
            buf_add(out, STR("From: <me@x>\r\n"));
        else if (!strncmp(pattern, "<D>", 3))
            buf_add(out, STR("Date: "));
        else if (!strncmp(pattern, "<M>", 3))
            buf_add(out, STR("Message-ID: <i@mx>\r\n"));
        else {
            buf_add_byte(out, *pattern);
            continue;
        }
        pattern += 2;
    }
}

/* The message without the value of an added date, which depends on this machine's zone. */
static void without_date(struct buf *out, str message)
{
    size_t at = str_find(message, STR("Date: Thu, 1 Jan 1970"));
    if (at == message.n)
        at = str_find(message, STR("Date: Wed, 31 Dec 1969"));
    buf_add(out, str_sub(message, 0, at));
    if (at == message.n)
        return;
    buf_add(out, STR("Date: "));
    buf_add(out, str_from(message, str_find_byte(message, '\n', at) + 1));
}

static void put_lines(struct smtp_header *h, const char *in)
{
    str rest = str_from_z(in), line;
    while (str_split(&rest, '\n', &line) && rest.p) {
        str text = str_sub(line, 0, line.n - 1);
        smtp_header_put(h, str_sub(text, 0, text.n / 2)); /* a line may come in pieces, its end never does */
        smtp_header_put(h, str_from(text, text.n / 2));
        smtp_header_put(h, STR("\r\n"));
    }
    smtp_header_finish(h);
}

static void run(const struct header_case *table, size_t n, bool submission)
{
    for (size_t i = 0; i < n; i++) {
        struct service_table service;
        struct smtp_body body;
        struct smtp_header h;
        struct buf want = BUF_INIT(4096), got = BUF_INIT(4096);
        str message;
        int fd;
        service_table_init(&service);
        smtp_body_init(&body, &service.service);
        smtp_header_init(&h, &body);
        smtp_header_guard(&h, STR("mx.bücher.example"), (const str[]){ STR("a@dept.example") }, 1);
        if (submission)
            smtp_header_complete(&h, STR("me@x"), STR("i"), STR("mx"), 0);
        put_lines(&h, table[i].in);
        assert_int_equal(smtp_body_finish(&body, &message, &fd, NULL), 0);
        without_date(&got, message);
        expand(&want, table[i].out);
        if (!str_eq(buf_str(&got), buf_str(&want)))
            fail_msg("case %zu: %.*s", i, STR_ARG(buf_str(&got)));
        buf_done(&want);
        buf_done(&got);
        smtp_header_done(&h);
        smtp_body_done(&body);
        service_table_done(&service);
    }
}

static void test_submitted_headers(void **state)
{
    static const struct header_case table[] = {
        { "", "<F><D><M>\r\n" },
        { "\r\n", "<F><D><M>\r\n" },
        { "\r\nbody\r\n", "<F><D><M>\r\nbody\r\n" },
        { "Subject: x\r\n", "<F><D><M>Subject: x\r\n\r\n" },
        { "From: a@b\r\n\r\n", "<D><M>From: a@b\r\n\r\n" },
        { "from : a@b\r\nDATE: y\r\nmessage-id: <z>\r\n\r\nb\r\n", "from : a@b\r\nDATE: y\r\nmessage-id: <z>\r\n\r\nb\r\n" },
        { "Bcc: a\r\n b\r\n\tc\r\nTo: d\r\n\r\n", "<F><D><M>To: d\r\n\r\n" },
        { "To: d\r\nBCC:\r\nresent-bcc: e\r\nReturn-Path: <f>\r\n\r\nBcc: g\r\n", "<F><D><M>To: d\r\n\r\nBcc: g\r\n" },
        { "text\r\nFrom: a@b\r\n", "<F><D><M>\r\ntext\r\nFrom: a@b\r\n" },
        { " text\r\n\r\n", "<F><D><M>\r\n text\r\n\r\n" },
        { "To: d\r\nno field\r\nBcc: e\r\n\r\n", "<F><D><M>To: d\r\n\r\nno field\r\nBcc: e\r\n\r\n" },
    };
    run(table, sizeof(table) / sizeof(table[0]), true);
}

static void test_strangers_headers_lose_only_our_trace_fields(void **state)
{
    static const struct header_case table[] = {
        { "", "" },
        { "\r\n", "\r\n" },
        { "Bcc: a\r\n\r\nReturn-Path: <x>\r\n", "Bcc: a\r\n\r\nReturn-Path: <x>\r\n" },
        { "Return-Path: <x>\r\n\r\nb\r\n", "\r\nb\r\n" },
        { "A: b\r\nreturn-path\t:\r\n <x>\r\nC: d\r\nReturn-Path:", "A: b\r\nC: d\r\n" },
        { "Authentication-Results: mx.b\u00fccher.example; none\r\nA: b\r\n\r\n", "A: b\r\n\r\n" },
        { "Authentication-Results: MX.XN--BCHER-KVA.Example.; none\r\nA: b\r\n\r\n", "A: b\r\n\r\n" },
        { "Authentication-Results: b\u00dccher\u3002example; none\r\n\r\n", "\r\n" },
        { "Authentication-Results: (a;b(c\\)))dept.example(d)1;none\r\n\r\n", "\r\n" },
        { "Authentication-Results: \"dept\\.EXAMPLE\";none\r\n\r\n", "\r\n" },
        { "Authentication-Results: dept.example/1; none\r\n\r\n", "\r\n" },
        { "Authentication-Results: foo dept.example; none\r\n\r\n", "\r\n" },
        { "Authentication-Results:\r\n dept.example;\r\n dkim=pass\r\n\r\n", "\r\n" },
        { "Authentication-Results: ; dkim=pass\r\n\r\n", "\r\n" },
        { "Authentication-Results: (dept.example; dkim=pass\r\n\r\n", "\r\n" },
        { "Authentication-Results: \"dept.example; dkim=pass\r\n\r\n", "\r\n" },
        { "no field\r\nAuthentication-Results: dept.example; none\r\n\r\n", "no field\r\n\r\n" },
        { "Authentication-Results: example; none\r\n\r\n", "Authentication-Results: example; none\r\n\r\n" },
        { "Authentication-Results: a.dept.example (dept.example); spf=pass dept.example\r\n\r\n",
          "Authentication-Results: a.dept.example (dept.example); spf=pass dept.example\r\n\r\n" },
        { "X-Authentication-Results: dept.example; none\r\n\r\n", "X-Authentication-Results: dept.example; none\r\n\r\n" },
        { " text\r\nReturn-Path: <x>\r\n", "\r\n text\r\nReturn-Path: <x>\r\n" },
        { "text\r\nmore\r\n", "text\r\nmore\r\n" },
        { " text\r\n", "\r\n text\r\n" },
    };
    run(table, sizeof(table) / sizeof(table[0]), false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_trace),
        cmocka_unit_test(test_submitted_headers),
        cmocka_unit_test(test_strangers_headers_lose_only_our_trace_fields),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
