/* proxy: headers of both versions, whole, cut everywhere, and wrong. */
#include "../check.h"

#include "run/proxy.h"

#define V2 "\r\n\r\n\0\r\nQUIT\n"

static const struct {
    str header;
    const char *peer, *local; /* NULL: the connection is the proxy's own */
    uint16_t peer_port, local_port;
} good[] = {
    { STR_INIT("PROXY TCP4 192.0.2.1 198.51.100.2 40000 25\r\n"), "192.0.2.1", "198.51.100.2", 40000, 25 },
    { STR_INIT("PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n"), "255.255.255.255", "255.255.255.255", 65535,
      65535 },
    { STR_INIT("PROXY TCP6 2001:db8::1 2001:db8::2 0 993\r\n"), "2001:db8::1", "2001:db8::2", 0, 993 },
    { STR_INIT("PROXY UNKNOWN\r\n"), NULL, NULL, 0, 0 },
    { STR_INIT("PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n"),
      NULL, NULL, 0, 0 },
    { STR_INIT(V2 "\x21\x11\0\x0c\xc0\0\2\1\xc6\x33\x64\2\x9c\x40\0\x19"), "192.0.2.1", "198.51.100.2", 40000, 25 },
    { STR_INIT(V2 "\x21\x21\0\x24\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\2\0\1\3\xe1"),
      "2001:db8::1", "2001:db8::2", 1, 993 },
    /* fields behind the addresses are skipped */
    { STR_INIT(V2 "\x21\x11\0\x15\xc0\0\2\1\xc6\x33\x64\2\x9c\x40\0\x19\x04\0\x00\xea\0\x03"
                  "abc"),
      "192.0.2.1", "198.51.100.2", 40000, 25 },
    /* a checksum (a header that a cloud's load balancer sent, as published in its maker's documentation of the field 0xea) */
    { STR_INIT(V2 "\x21\x11\0\x54\xac\x1f\x07\x71\xac\x1f\x0a\x1f\xc8\xf2\x00\x50\x03\x00\x04\xe8\xd6\x89\x2d\xea\x00\x17\x01"
                  "vpce-08d2bf15fac5001c9\x04\x00\x24\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"),
      "172.31.7.113", "172.31.10.31", 51442, 80 },
    { STR_INIT(V2 "\x20\0\0\0"), NULL, NULL, 0, 0 },          /* LOCAL */
    { STR_INIT(V2 "\x20\x11\0\x02hi"), NULL, NULL, 0, 0 },    /* LOCAL, whatever follows */
    { STR_INIT(V2 "\x21\0\0\0"), NULL, NULL, 0, 0 },          /* AF_UNSPEC */
    { STR_INIT(V2 "\x21\0\0\4\x04\0\1x"), NULL, NULL, 0, 0 }, /* AF_UNSPEC with a field */
};

static void test_good_headers(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        struct proxy_header h;
        struct error e = ERROR_NONE;
        char text[IP_TEXT_MAX];
        str header = check_copy(good[i].header);
        if (proxy_header_parse(header, &h, &e))
            fail_msg("row %zu: %s", i, e.text);
        assert_int_equal(h.is_own, good[i].peer == NULL);
        if (good[i].peer) {
            check_str(ip_address_text(&h.peer, text), good[i].peer);
            check_str(ip_address_text(&h.local, text), good[i].local);
            assert_int_equal(h.peer_port, good[i].peer_port);
            assert_int_equal(h.local_port, good[i].local_port);
        }
        check_free(header);
    }
}

/* However much has come, what is asked for next never reaches beyond the header: behind it stands somebody else's TLS. */
static void test_no_byte_behind_the_header_is_asked_for(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        size_t length = 0, n = 0;
        for (size_t cut = 0; cut < good[i].header.n; cut++) {
            str part = check_copy(str_sub(good[i].header, 0, cut));
            assert_int_equal(proxy_header_length(part, &n), ERR_AGAIN);
            assert_true(n > cut && n <= good[i].header.n);
            check_free(part);
        }
        assert_int_equal(proxy_header_length(good[i].header, &length), 0);
        assert_int_equal(length, good[i].header.n);
    }
}

static void test_bad_headers(void **state)
{
    static const str bad[] = {
        STR_INIT("EHLO client.example.net\r\n"),
        STR_INIT("PROXY TCP4 192.0.2.1 198.51.100.2 40000 25\n"),
        STR_INIT("PROXY\r\n"),
        STR_INIT("PROXY TCP4 192.0.2.1 198.51.100.2 40000\r\n"),
        STR_INIT("PROXY TCP4 192.0.2.1 198.51.100.2 40000 25 \r\n"),
        STR_INIT("PROXY TCP4  192.0.2.1 198.51.100.2 40000 25\r\n"),
        STR_INIT("PROXY TCP4 192.0.2.1 198.51.100.2 40000 25 more\r\n"),
        STR_INIT("PROXY TCP4 192.0.2.1 198.51.100.2 65536 25\r\n"),
        STR_INIT("PROXY TCP4 192.0.2.1 198.51.100.2 040 25\r\n"),
        STR_INIT("PROXY TCP4 192.0.2.1 198.51.100.2 -1 25\r\n"),
        STR_INIT("PROXY TCP4 2001:db8::1 2001:db8::2 40000 25\r\n"),
        STR_INIT("PROXY TCP6 192.0.2.1 198.51.100.2 40000 25\r\n"),
        STR_INIT("PROXY TCP4 192.0.2.1\0 198.51.100.2 40000 25\r\n"),
        STR_INIT("PROXY tcp4 192.0.2.1 198.51.100.2 40000 25\r\n"),
        STR_INIT("PROXY UDP4 192.0.2.1 198.51.100.2 40000 25\r\n"),
        STR_INIT("PROXY TCP4 host.example.net 198.51.100.2 40000 25\r\n"),
        STR_INIT(V2 "\x11\x11\0\x0c\xc0\0\2\1\xc6\x33\x64\2\x9c\x40\0\x19"),               /* another version */
        STR_INIT(V2 "\x22\x11\0\x0c\xc0\0\2\1\xc6\x33\x64\2\x9c\x40\0\x19"),               /* another command */
        STR_INIT(V2 "\x21\x12\0\x0c\xc0\0\2\1\xc6\x33\x64\2\x9c\x40\0\x19"),               /* UDP */
        STR_INIT(V2 "\x21\x41\0\x0c\xc0\0\2\1\xc6\x33\x64\2\x9c\x40\0\x19"),               /* another family */
        STR_INIT(V2 "\x21\x11\0\x0b\xc0\0\2\1\xc6\x33\x64\2\x9c\x40\0"),                   /* too short */
        STR_INIT(V2 "\x21\x31\0\x0c\xc0\0\2\1\xc6\x33\x64\2\x9c\x40\0\x19"),               /* the same of AF_UNIX */
        STR_INIT(V2 "\x21\x11\0\x0e\xc0\0\2\1\xc6\x33\x64\2\x9c\x40\0\x19\4\0"),           /* cut within a field */
        STR_INIT(V2 "\x21\x11\0\x0f\xc0\0\2\1\xc6\x33\x64\2\x9c\x40\0\x19\4\0\1"),         /* cut within a value */
        STR_INIT(V2 "\x21\x11\0\x13\xc0\0\2\1\xc6\x33\x64\2\x9c\x40\0\x19\3\0\4\1\2\3\4"), /* a wrong checksum */
        STR_INIT(V2 "\x21\x11\0\x12\xc0\0\2\1\xc6\x33\x64\2\x9c\x40\0\x19\3\0\3\1\2\3"),   /* half a checksum */
        /* two checksums, each right with the other */
        STR_INIT(V2 "\x21\x11\0\x1a\xc0\0\2\1\xc6\x33\x64\2\x9c\x40\0\x19\3\0\4\xdf\x98\x85\xea\3\0\4\xa5\x9e\xd2\x36"),
    };
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct proxy_header h;
        struct error e = ERROR_NONE;
        str header = check_copy(bad[i]);
        if (proxy_header_parse(header, &h, &e) != ERR_SYNTAX || !e.code)
            fail_msg("row %zu is taken", i);
        check_free(header);
    }
}

static void test_what_is_none_is_known_at_once(void **state)
{
    size_t n;
    char line[PROXY_LINE_MAX + 1];
    (void)state;
    assert_int_equal(proxy_header_length(STR("E"), &n), ERR_SYNTAX);
    assert_int_equal(proxy_header_length(STR("PROXI"), &n), ERR_SYNTAX);
    assert_int_equal(proxy_header_length(STR("\x16\3\1"), &n), ERR_SYNTAX); /* TLS */
    assert_int_equal(proxy_header_length(STR("\r\n\r\n\1"), &n), ERR_SYNTAX);
    memset(line, 'x', sizeof line);
    memcpy(line, "PROXY ", 6);
    assert_int_equal(proxy_header_length((str){ line, PROXY_LINE_MAX }, &n), ERR_LIMIT);
    assert_int_equal(proxy_header_length(STR(V2 "\x21\x11\x10\0"), &n), ERR_AGAIN);
    assert_int_equal(n, PROXY_HEADER_MAX);
    assert_int_equal(proxy_header_length(STR(V2 "\x21\x11\x10\1"), &n), ERR_LIMIT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good_headers),
        cmocka_unit_test(test_no_byte_behind_the_header_is_asked_for),
        cmocka_unit_test(test_bad_headers),
        cmocka_unit_test(test_what_is_none_is_known_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
