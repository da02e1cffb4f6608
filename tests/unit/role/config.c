/* config: the default parses; every mistake is refused with file, line and reason. */
#include "../check.h"

#include "role/config.h"

static void test_what_init_writes_is_accepted(void **state)
{
    (void)state;
    for (int lab = 0; lab < 2; lab++) {
        struct buf b = BUF_INIT(65536);
        struct config *c = NULL;
        struct error e = ERROR_NONE;
        config_write_default(&b, STR("mailhost.mondomaine.fr"), lab);
        if (config_parse("valise.conf", buf_str(&b), &c, &e))
            fail_msg("%s", e.text);
        check_str(c->hostname, "mailhost.mondomaine.fr");
        assert_int_equal(c->listener_n, 5);
        check_str(c->listeners[0].name, "smtp");
        assert_int_equal(c->listeners[0].port, 25);
        assert_int_equal(c->listeners[0].tls, SMTP_TLS_OPPORTUNISTIC);
        assert_int_equal(c->listeners[2].tls, SMTP_TLS_IMPLICIT);
        assert_int_equal(c->listeners[4].protocol, CONFIG_IMAP);
        check_str(c->listeners[0].addresses[0], lab ? "127.0.0.1" : "0.0.0.0");
        assert_int_equal(c->certificate_n, 1);
        assert_int_equal(c->certificates[0].name.n, 0);
        check_str(c->certificates[0].chain, "tls/server.pem");
        config_free(c);
        buf_done(&b);
    }
}

static void test_mistakes_name_line_and_reason(void **state)
{
    (void)state;
    static const struct {
        const char *text, *expected;
    } rows[] = {
        { "hostname = \"a.b\"\nfoo = 1\n", "x.conf:2: no such option 'foo'" },
        { "hostname = \"a.b\"\nlistener l {\n  protocol = \"http\"\n}\n", "x.conf:3: protocol must be one of" },
        { "hostname = \"a.b\"\nlistener l {\n  protocol = \"smtp\"\n  port = 70000\n}\n",
          "x.conf:4: port must be between 1 and 65535" },
        { "hostname = \"a.b\"\nlistener l {\n  tls = \"maybe\"\n}\n", "x.conf:3: tls must be one of" },
        { "hostname = \"a.b\"\nlistener l {\n  protocol = \"imap\"\n  port = 1\n  addresses = {\"localhost\"}\n}\n",
          "x.conf:5: 'localhost' is not an IPv4 or IPv6 address" },
        { "# one\n\nhostname = \"a.b\" # two\n// three\n/* four\n five */\nfoo = 1\n", "x.conf:7: no such option 'foo'" },
        { "hostname = \"a#b\"\n", "x.conf:1: hostname must be" },
        { "/* never ends", "x.conf" },
        { "hostname = \"a b\"\n", "x.conf:1: hostname must be a domain name" },
        { "listener l {\n  protocol = \"imap\"\n  port = 1\n}\n", "hostname = \"mail.example.org\" is missing" },
        { "hostname = \"a.b\"\n", "1 to 64 listener sections are needed" },
        { "hostname = \"a.b\"\nlistener l {\n  port = 1\n}\n", "listener l has no protocol" },
        { "hostname = \"a.b\"\nlistener l {\n  protocol = \"imap\"\n}\n", "listener l has no port" },
        { "hostname = \"a.b\"\nmx-processes = 0\nlistener l {\n  protocol = \"imap\"\n  port = 1\n}\n",
          "x.conf:2: mx-processes must be between 1 and 64" },
        { "hostname = \"a.b\"\nmx-processes = -3\n", "x.conf:2: mx-processes must be between 1 and 64" },
        { "hostname = \"a.b\"\n\nconnections-max = 4294967296\n", "x.conf:3: connections-max must be between" },
        { "hostname = \"a.b\"\nrecipients-max = 99\n", "x.conf:2: recipients-max must be between 100 and 1000 (RFC 5321" },
        { "hostname = \"a..b\"\n", "x.conf:1: hostname must be a domain name" },
        { "hostname = \"-a.b\"\n", "x.conf:1: hostname must be a domain name" },
        { "hostname = \"a-.b\"\n", "x.conf:1: hostname must be a domain name" },
        { "hostname = \"a.b.\"\n", "x.conf:1: hostname must be a domain name" },
        { "hostname = \"a.b\"\nlistener control.sock {\n  protocol = \"imap\"\n  port = 1\n}\n",
          "x.conf:5: a listener's name has" },
        { "hostname = \"a.b\"\nlistener l {\n  protocol = \"imap\"\n  port = 1\n}\n",
          "there is no section: certificate default" },
        { "hostname = \"a.b\"\nlistener l {\n  protocol = \"imap\"\n  port = 1\n}\ncertificate x.y {\n  chain = \"c\"\n}\n",
          "there is no section: certificate default" },
        { "hostname = \"a.b\"\nlistener l {\n  min-tls = \"1.1\"\n}\n", "x.conf:3: min-tls must be" },
        { "hostname = \"a.b\"\nlistener l {\n  client-cert = \"maybe\"\n}\n", "x.conf:3: client-cert must be one of" },
        { "hostname = \"a.b\"\nlistener l {\n  protocol = \"imap\"\n  port = 1\n  tls = \"off\"\n  client-cert = "
          "\"request\"\n}\n",
          "listener l cannot ask for certificates without TLS" },
        { "hostname = \"a.b\"\nlistener l {\n  protocol = \"imap\"\n  port = 1\n}\ncertificate default {\n}\n",
          "certificate default has no chain" },
        { "hostname = \"a.b\"\nlistener l {\n  protocol = \"lmtp\"\n  port = 24\n  addresses = {\"0.0.0.0\"}\n}\n",
          "lmtp has no login" },
        { "hostname = \"a.b\"\nlistener l {\n  protocol = \"lmtp\"\n  port = 25\n}\n", "port 25 is for smtp" },
        { "hostname = \"a.b\"\nlistener l {\n  protocol = \"imap\"\n  socket = \"x\"\n}\n", "a socket is for protocol \"lmtp\"" },
        { "hostname = \"a.b\"\nlistener l {\n  protocol = \"lmtp\"\n  socket = \"x\"\n}\n", "a socket is for protocol \"lmtp\"" },
        { "hostname = \"a.b\"\nlistener l {\n  protocol = \"lmtp\"\n  tls = \"off\"\n  socket = \"control.sock\"\n}\n",
          "not the control" },
        { "hostname = \"a.b\"\nlistener l {\n  protocol = \"smtp\"\n  port = 1\n  auth = {\"PLAIN\"}\n}\n",
          "x.conf:6: listener l: auth is for submission and imap" },
        { "hostname = \"a.b\"\nlistener l {\n  protocol = \"imap\"\n  port = 1\n  auth = {}\n}\n",
          "x.conf:6: listener l: auth names no mechanism" },
        { "hostname = \"a.b\"\nlistener l {\n  protocol = \"imap\"\n  port = 1\n  auth = {\"PLAIN\", \"NTLM\"}\n}\n",
          "listener l: auth: there is no mechanism \"NTLM\"; there are EXTERNAL, SCRAM" },
        { "hostname = \"a.b\"\nlistener l {\n  protocol = \"submission\"\n  port = 1\n  auth = {\"EXTERNAL\"}\n}\n",
          "auth: EXTERNAL needs client-cert" },
        { "hostname = \"a.b\"\nlistener l {\n  protocol = \"imap\"\n  port = 1\n  tls = \"off\"\n  auth = "
          "{\"SCRAM-SHA-256-PLUS\"}\n}\n",
          "auth: SCRAM-SHA-256-PLUS needs TLS" },
        { "hostname = \"a.b\"\nlog-level = \"loud\"\n", "x.conf:2: log-level must be one of" },
        { "hostname = \"a.b\"\nversion = 2\nlistener l {\n  protocol = \"imap\"\n  port = 1\n}\n",
          "version 2 is of a newer valise" },
        { "hostname = \"a.b\"\nlistener l {\n", "x.conf:" },
        { "hostname = \"unfinished\n", "x.conf" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct config *c = NULL;
        struct error e = ERROR_NONE;
        str text = check_copy(str_from_z(rows[i].text));
        int err = config_parse("x.conf", text, &c, &e);
        if (err >= 0 || c)
            fail_msg("row %zu was accepted", i);
        if (str_find(str_from_z(e.text), str_from_z(rows[i].expected)) == strlen(e.text))
            fail_msg("row %zu says '%s', expected '%s'", i, e.text, rows[i].expected);
        check_free(text);
    }
}

static void test_tls_of_listeners_and_certificates(void **state)
{
    static const char text[] =
        "hostname = \"a.b\"\n"
        "listener one {\n  protocol = \"imap\"\n  port = 1\n}\n"
        "listener two {\n  protocol = \"imap\"\n  port = 2\n  min-tls = \"1.3\"\n  client-cert = \"request\"\n}\n"
        "listener three {\n  protocol = \"imap\"\n  port = 3\n  client-cert = \"required\"\n}\n"
        "certificate default {\n  chain = {\"ec\", \"rsa\"}\n}\n"
        "certificate x.y {\n  chain = \"c\"\n}\n"
        "certificate more {\n  name = \"x.y\"\n  chain = \"d\"\n}\n"
        "certificate again {\n  name = \"default\"\n  chain = \"e\"\n}\n";
    static const struct {
        const char *name, *chain;
    } expected[] = { { "", "ec" }, { "", "rsa" }, { "x.y", "c" }, { "x.y", "d" }, { "", "e" } };
    struct config *c = NULL;
    struct error e = ERROR_NONE;
    (void)state;
    if (config_parse("x.conf", str_from_z(text), &c, &e))
        fail_msg("%s", e.text);
    assert_int_equal(c->listeners[0].client_cert, TLS_CLIENT_OFF);
    assert_false(c->listeners[0].tls13_only);
    assert_int_equal(c->listeners[1].client_cert, TLS_CLIENT_REQUESTED);
    assert_true(c->listeners[1].tls13_only);
    assert_int_equal(c->listeners[2].client_cert, TLS_CLIENT_REQUIRED);
    assert_int_equal(c->certificate_n, 5);
    for (size_t i = 0; i < 5; i++) {
        check_str(c->certificates[i].name, expected[i].name);
        check_str(c->certificates[i].chain, expected[i].chain);
    }
    config_free(c);
}

static void test_mechanisms_of_listeners(void **state)
{
    static const char text[] = "hostname = \"a.b\"\n"
                               "listener one {\n  protocol = \"imap\"\n  port = 1\n}\n"
                               "listener two {\n  protocol = \"submission\"\n  port = 2\n  client-cert = \"request\"\n"
                               "  auth = {\"external\", \"SCRAM-SHA-256-PLUS\", \"PLAIN\"}\n}\n"
                               "certificate default {\n  chain = \"c\"\n}\n";
    static const char *const named[] = { "EXTERNAL", "SCRAM-SHA-256-PLUS", "PLAIN" };
    struct config *c = NULL;
    struct error e = ERROR_NONE;
    sasl_set expected = 0;
    (void)state;
    for (size_t i = 0; i < 3; i++)
        expected |= sasl_set_of(sasl_mechanism_find(str_from_z(named[i])));
    if (config_parse("x.conf", str_from_z(text), &c, &e))
        fail_msg("%s", e.text);
    assert_int_equal(c->listeners[0].auth, 0);
    assert_int_equal(c->listeners[1].auth, expected);
    config_free(c);
}

static void test_a_nul_byte_is_refused(void **state)
{
    (void)state;
    struct config *c = NULL;
    struct error e = ERROR_NONE;
    assert_int_equal(config_parse("x.conf", (str){ "hostname = \"a\0b\"", 16 }, &c, &e), ERR_SYNTAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_init_writes_is_accepted),
        cmocka_unit_test(test_mistakes_name_line_and_reason),
        cmocka_unit_test(test_tls_of_listeners_and_certificates),
        cmocka_unit_test(test_mechanisms_of_listeners),
        cmocka_unit_test(test_a_nul_byte_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
