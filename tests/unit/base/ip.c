/* ip: addresses and networks as text, and what lies in what. */
#include "../check.h"

#include "base/ip.h"

static void test_addresses_are_read_and_written(void **state)
{
    static const struct {
        const char *text, *written; /* NULL: not an address */
    } rows[] = {
        { "192.0.2.1", "192.0.2.1" },
        { "2001:DB8:0::1", "2001:db8::1" },
        { "::ffff:192.0.2.1", "192.0.2.1" },
        { "::", "::" },
        { "", NULL },
        { "localhost", NULL },
        { "192.0.2", NULL },
        { "192.0.2.256", NULL },
        { "192.0.2.1 ", NULL },
        { "[::1]", NULL },
        { "fe80::1%eth0", NULL },
        { "1111:2222:3333:4444:5555:6666:7777:8888:9999", NULL },
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct ip_address a;
        char text[IP_TEXT_MAX];
        str in = check_copy(str_from_z(rows[i].text));
        assert_int_equal(ip_address_parse(in, &a), rows[i].written != NULL);
        if (rows[i].written)
            check_str(ip_address_text(&a, text), rows[i].written);
        check_free(in);
    }
    struct ip_address a;
    assert_false(ip_address_parse((str){ "::1\0", 4 }, &a));
}

static void test_networks_are_read_and_written(void **state)
{
    static const struct {
        const char *text, *written, *error;
    } rows[] = {
        { "192.0.2.0/24", "192.0.2.0/24", NULL },
        { "192.0.2.7", "192.0.2.7", NULL },
        { "192.0.2.7/32", "192.0.2.7", NULL },
        { "0.0.0.0/0", "0.0.0.0/0", NULL },
        { "2001:db8::/32", "2001:db8::/32", NULL },
        { "::/0", "::/0", NULL },
        { "::1", "::1", NULL },
        { "192.0.2.7/24", NULL, "write \"192.0.2.0/24\" for the network" },
        { "2001:db8::1/64", NULL, "write \"2001:db8::/64\"" },
        { "192.0.2.0/33", NULL, "a number from 0 to 32" },
        { "2001:db8::/129", NULL, "a number from 0 to 128" },
        { "192.0.2.0/", NULL, "a number from 0 to 32" },
        { "192.0.2.0/+8", NULL, "a number from 0 to 32" },
        { "192.0.2.0/255.255.255.0", NULL, "a number from 0 to 32" },
        { "example.org", NULL, "is no network" },
        { "/24", NULL, "is no network" },
        { "", NULL, "is no network" },
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct ip_network n;
        struct error e = ERROR_NONE;
        char text[IP_NETWORK_TEXT_MAX];
        str in = check_copy(str_from_z(rows[i].text));
        assert_int_equal(ip_network_parse(in, &n, &e), rows[i].error ? ERR_SYNTAX : 0);
        if (rows[i].written)
            check_str(ip_network_text(&n, text), rows[i].written);
        else if (str_find(str_from_z(e.text), str_from_z(rows[i].error)) == strlen(e.text))
            fail_msg("'%s' says '%s', expected '%s'", rows[i].text, e.text, rows[i].error);
        check_free(in);
    }
}

static void test_what_lies_in_what(void **state)
{
    static const struct {
        const char *network, *address;
        bool within;
    } rows[] = {
        { "192.0.2.0/24", "192.0.2.0", true },
        { "192.0.2.0/24", "192.0.2.255", true },
        { "192.0.2.0/24", "192.0.3.0", false },
        { "192.0.2.128/25", "192.0.2.127", false },
        { "192.0.2.0/23", "192.0.3.255", true },
        { "0.0.0.0/0", "198.51.100.1", true },
        { "0.0.0.0/0", "2001:db8::1", false },
        { "::/0", "192.0.2.1", false },
        { "::/0", "2001:db8::1", true },
        { "2001:db8::/33", "2001:db8:7fff::1", true },
        { "2001:db8::/33", "2001:db8:8000::1", false },
        { "::1", "::1", true },
        { "::1", "::2", false },
        { "192.0.2.1", "::ffff:192.0.2.1", true },
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct ip_network n;
        struct ip_address a;
        assert_int_equal(ip_network_parse(str_from_z(rows[i].network), &n, NULL), 0);
        assert_true(ip_address_parse(str_from_z(rows[i].address), &a));
        if (ip_networks_have((struct ip_networks){ &n, 1 }, &a) != rows[i].within)
            fail_msg("%s in %s", rows[i].address, rows[i].network);
        assert_false(ip_networks_have((struct ip_networks){ NULL, 0 }, &a));
    }
}

static void test_the_network_of_an_address(void **state)
{
    struct ip_address a;
    char text[IP_NETWORK_TEXT_MAX];
    struct ip_network n;
    (void)state;
    assert_true(ip_address_parse(STR("192.0.2.77"), &a));
    n = ip_address_network(&a, 24, 48);
    check_str(ip_network_text(&n, text), "192.0.2.0/24");
    assert_true(ip_address_parse(STR("2001:db8:1:2:3::4"), &a));
    n = ip_address_network(&a, 24, 48);
    check_str(ip_network_text(&n, text), "2001:db8:1::/48");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_addresses_are_read_and_written),
        cmocka_unit_test(test_networks_are_read_and_written),
        cmocka_unit_test(test_what_lies_in_what),
        cmocka_unit_test(test_the_network_of_an_address),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
