/* config: the default parses; every mistake is refused with file, line and reason. */
#include "../check.h"

#include "config/config.h"

static void test_what_init_writes_is_accepted(void **state)
{
    (void)state;
    for (int lab = 0; lab < 2; lab++) {
        struct buf b = BUF_INIT(65536);
        struct config *c = NULL;
        struct error e = ERROR_NONE;
        config_write_default(&b, &(struct config_start){ .hostname = STR("mailhost.mondomaine.fr"), .lab = lab });
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

/* A lab for a class is reachable in its network and for it only; a lesson has no TLS where passwords shall be seen. */
static void test_what_init_writes_for_a_class(void **state)
{
    (void)state;
    static const str own[] = { STR_INIT("192.168.7.9"), STR_INIT("127.0.0.1") };
    struct buf b = BUF_INIT(65536);
    struct config *c = NULL;
    struct error e = ERROR_NONE;
    struct config_start s = {
        .hostname = STR("mailhost.mondomaine.fr"), .lab = true, .addresses = own, .address_n = 2, .network = STR("192.168.7.0/24")
    };
    for (int lesson = 0; lesson < 2; lesson++) {
        s.lesson = lesson;
        buf_reset(&b);
        config_write_default(&b, &s);
        if (config_parse("valise.conf", buf_str(&b), &c, &e))
            fail_msg("%s", e.text);
        assert_int_equal(c->insecure_lesson, lesson);
        assert_int_equal(c->password_length_min, lesson ? 1 : 10);
        for (size_t i = 0; i < c->listener_n; i++) {
            const struct config_listener *l = &c->listeners[i];
            assert_int_equal(l->address_n, 2);
            check_str(l->addresses[0], "127.0.0.1");
            check_str(l->addresses[1], "192.168.7.9");
            assert_int_equal(l->networks.n, 2);
            assert_int_equal(l->tls == SMTP_TLS_OFF, lesson && (l->port == 587 || l->port == 143));
            assert_int_equal(l->auth != 0, l->tls == SMTP_TLS_OFF); /* SCRAM would hide the password */
        }
        config_free(c);
    }
    buf_done(&b);
}

struct mistake {
    const char *text, *expected;
};

static void refuse_all(const struct mistake *rows, size_t n)
{
    for (size_t i = 0; i < n; i++) {
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

/* What libconfuse takes without a word; the line is that where it begins. */
static void test_what_is_not_closed_is_refused(void **state)
{
    (void)state;
    static const struct mistake rows[] = {
        { "hostname = \"a.b\"\nlistener l {\n  port = 1\n",
          "x.conf:2: a section or a list begins here and does not end; close it with }" },
        { "hostname = \"a.b\"\nlimits-exempt = {\"::1\"\n# }\n", "x.conf:2: a section or a list begins here and does not end" },
        { "hostname = \"a.b\"\n/* }\n", "x.conf:2: a comment begins here and does not end; close it with */" },
        { "hostname = \"a.b\nuser = 'x'\n", "x.conf:1: a text in quotes begins here and does not end; close it with \"" },
        { "hostname = \"a.b\"\nuser = 'x\\'\n", "x.conf:2: a text in quotes begins here and does not end; close it with '" },
    };
    refuse_all(rows, sizeof rows / sizeof rows[0]);
}

static void test_mistakes_name_line_and_reason(void **state)
{
    (void)state;
    static const struct mistake rows[] = {
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
    };
    refuse_all(rows, sizeof rows / sizeof rows[0]);
}

static void test_mistakes_between_options(void **state)
{
    (void)state;
    static const struct mistake rows[] = {
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
        { "hostname = \"a.b\"\nconections-max = 5\n",
          "x.conf:2: no such option 'conections-max'; did you mean connections-max?" },
        { "hostname = \"a.b\"\nlistener l {\n  adresses = 5\n}\n",
          "x.conf:3: no such option 'adresses'; did you mean addresses?" },
        { "hostname = \"a.b\"\ncache-bytes = 50X\n", "x.conf:2: cache-bytes: '50X' is no size; write bytes, or as 50M" },
        { "hostname = \"a.b\"\ncache-bytes = 2 GiB\n",
          "x.conf:2: no such option 'GiB'; a number with a space before its unit stands in quotes" },
        { "hostname = \"a.b\"\nmessage-size-max = 3G\n", "x.conf:2: message-size-max must be between 65536 and 2147483648" },
        { "hostname = \"a.b\"\nlogin-lockout = 2d\n", "x.conf:2: login-lockout must be between 1 and 86400 seconds" },
        { "hostname = \"a.b\"\nlogin-history-days = soon\n",
          "x.conf:2: login-history-days: 'soon' is no time; write a number of days" },
        { "hostname = \"-a.b\"\n", "x.conf:1: hostname must be a domain name" },
        { "hostname = \"a-.b\"\n", "x.conf:1: hostname must be a domain name" },
        { "hostname = \"a.b.\"\n", "x.conf:1: hostname must be a domain name" },
        { "hostname = \"a.b\"\nlistener control.sock {\n  protocol = \"imap\"\n  port = 1\n}\n",
          "x.conf:5: a listener's name has" },
        { "hostname = \"a.b\"\nlistener l {\n  protocol = \"imap\"\n  port = 1\n}\n",
          "no section: certificate default { chain = \"file.pem\" } that is shown to" },
        { "hostname = \"a.b\"\nlistener l {\n  protocol = \"imap\"\n  port = 1\n}\ncertificate x.y {\n  chain = \"c\"\n}\n",
          "listener l offers TLS, but there is no section" },
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
          "x.conf:6: listener l: auth and legacy are for submission and imap" },
        { "hostname = \"a.b\"\nlistener l {\n  protocol = \"imap\"\n  port = 1\n  auth = {}\n}\n",
          "x.conf:6: listener l: auth names no mechanism" },
        { "hostname = \"a.b\"\nlistener l {\n  protocol = \"imap\"\n  port = 1\n  auth = {\"PLAIN\", \"NTLM\"}\n}\n",
          "listener l: auth: there is no mechanism \"NTLM\"; there are EXTERNAL, SCRAM" },
        { "hostname = \"a.b\"\nlistener l {\n  protocol = \"submission\"\n  port = 1\n  auth = {\"EXTERNAL\"}\n}\n",
          "auth: EXTERNAL needs client-cert" },
        { "hostname = \"a.b\"\nlistener l {\n  protocol = \"imap\"\n  port = 1\n  tls = \"off\"\n  auth = "
          "{\"SCRAM-SHA-256-PLUS\"}\n}\n",
          "auth: SCRAM-SHA-256-PLUS needs TLS" },
        { "hostname = \"a.b\"\nlistener l {\n  protocol = \"imap\"\n  port = 1\n  auth = {\"PLAIN\", \"CRAM-MD5\"}\n}\n",
          "auth: CRAM-MD5 needs legacy = true" },
        { "hostname = \"a.b\"\nlistener l {\n  protocol = \"smtp\"\n  port = 1\n  legacy = true\n}\n",
          "auth and legacy are for" },
        { "hostname = \"a.b\"\nlog-level = \"loud\"\n", "x.conf:2: log-level must be one of" },
        { "hostname = \"a.b\"\nversion = 2\nlistener l {\n  protocol = \"imap\"\n  port = 1\n}\n",
          "version 2 is of a newer valise" },
        { "hostname = \"a.b\"\nlistener l {\n", "x.conf:" },
        { "hostname = \"unfinished\n", "x.conf" },
    };
    refuse_all(rows, sizeof rows / sizeof rows[0]);
}

static void test_mistakes_in_limits_and_networks(void **state)
{
    (void)state;
    static const struct mistake rows[] = {
        { "hostname = \"a.b\"\nlistener l {\n  networks = {\"192.0.2.0/24\", \"192.0.2.1/24\"}\n}\n",
          "x.conf:3: networks: '192.0.2.1/24' has bits behind its prefix; write \"192.0.2.0/24\"" },
        { "hostname = \"a.b\"\nlistener l {\n  protocol = \"lmtp\"\n  tls = \"off\"\n  socket = \"x\"\n  networks = "
          "{\"::1\"}\n}\n",
          "so no networks" },
        { "hostname = \"a.b\"\nlimits-exempt = {\"localhost\"}\n", "x.conf:2: limits-exempt: 'localhost' is no network" },
        { "hostname = \"a.b\"\nlimits-ipv4-network = 33\n", "x.conf:2: limits-ipv4-network must be between 1 and 32" },
        { "hostname = \"a.b\"\nlimits smtp {\n  message-rate-per-address = \"many\"\n}\n",
          "x.conf:3: message-rate-per-address: 'many' is no rate; write a number and a period" },
        { "hostname = \"a.b\"\nlimits smtp {\n  connections-per-address = \"1/minute\"\n}\n",
          "x.conf:3: connections-per-address: '1/minute' is no number of connections" },
        { "hostname = \"a.b\"\nlimits smtp {\n  errors-per-session = 0\n}\n", "x.conf:3: errors-per-session must be between 1" },
        { "hostname = \"a.b\"\nlimits smtp {\n  nonsense = 1\n}\n", "x.conf:3: no such option 'nonsense'" },
        { "hostname = \"a.b\"\nlimits pop3 {\n}\n", "there are limits smtp, limits submission and limits imap" },
        { "hostname = \"a.b\"\nlimits lmtp {\n}\n", "there are limits smtp, limits submission and limits imap" },
        { "hostname = \"a.b\"\nlimits imap {\n  message-rate-per-account = \"1/hour\"\n}\n",
          "limits imap: nothing is counted there for message-rate-per-account" },
        { "hostname = \"a.b\"\nlimits smtp {\n  connections-per-account = 1\n}\n",
          "limits smtp: nothing is counted there for connections-per-account" },
        { "hostname = \"a.b\"\nlistener l {\n  proxy-from = {\"balancer\"}\n}\n",
          "x.conf:3: proxy-from: 'balancer' is no network" },
        { "hostname = \"a.b\"\nlistener l {\n  xclient-from = {\"::1/0\"}\n}\n", "x.conf:3: xclient-from: '::1/0' has bits" },
        { "hostname = \"a.b\"\nlistener l {\n  protocol = \"imap\"\n  tls = \"off\"\n  port = 1\n  xclient-from = {\"::1\"}\n}\n",
          "xclient-from is for protocol smtp and submission" },
        { "hostname = \"a.b\"\nlistener l {\n  protocol = \"submission\"\n  tls = \"off\"\n  port = 1\n}\n",
          "x.conf:6: listener l: nobody can log in without TLS; write tls = \"required\"" },
        { "hostname = \"a.b\"\nlistener l {\n  protocol = \"imap\"\n  tls = \"off\"\n  port = 1\n  addresses = {\"::1\", "
          "\"192.0.2.1\"}\n}\n",
          "without TLS others read the passwords" },
        { "hostname = \"a.b\"\ninsecure-lesson = true\nlistener l {\n  protocol = \"submission\"\n  tls = \"off\"\n  port = 1\n"
          "  addresses = {\"192.0.2.1\"}\n}\n",
          "say which network the lesson is for" },
    };
    refuse_all(rows, sizeof rows / sizeof rows[0]);
}

static void test_numbers_with_units(void **state)
{
    (void)state;
    static const char text[] =
        "hostname = \"a.b\"\nmessage-size-max = 50M\ncache-bytes = \"2 GiB\"\nreserve-bytes = 1g\nlogin-lockout = 15min\n"
        "login-history-days = 36h\nlimits smtp {\n  message-size-max = 1M\n  message-rate-per-address = \"5/h\"\n}\n"
        "listener one {\n  protocol = \"imap\"\n  port = 1\n  tls = \"off\"\n}\n";
    struct config *c = NULL;
    struct error e = ERROR_NONE;
    if (config_parse("x.conf", str_from_z(text), &c, &e))
        fail_msg("%s", e.text);
    assert_int_equal(c->message_size_max, 50 << 20);
    assert_int_equal(c->cache_bytes, 2LL << 30);
    assert_int_equal(c->reserve_bytes, 1 << 30);
    assert_int_equal(c->login.lockout_s, 900);
    assert_int_equal(c->login.history_days, 2);
    assert_int_equal(c->limits[CONFIG_SMTP].message_size_max, 1 << 20);
    assert_int_equal(c->limits[CONFIG_SMTP].rules.limits[LIMIT_MESSAGES][LIMIT_ADDRESS].period_s, 3600);
    config_free(c);
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

static void test_who_is_shown_a_certificate(void **state)
{
    static const char head[] = "hostname = \"a.b\"\nlistener one {\n  protocol = \"smtp\"\n  port = 1\n}\n"
                               "listener two {\n  protocol = \"imap\"\n  port = 2\n}\n";
    static const struct {
        const char *sections, *error; /* NULL: fine */
    } rows[] = {
        { "certificate default {\n  chain = \"a\"\n}\n", NULL },
        { "certificate default {\n  chain = \"a\"\n  shown-to = \"users\"\n}\n"
          "certificate mx {\n  name = \"default\"\n  chain = \"b\"\n  shown-to = \"strangers\"\n}\n",
          NULL },
        { "certificate default {\n  chain = \"a\"\n  shown-to = \"users\"\n}\n",
          "listener one offers TLS, but there is no section: certificate default { chain = \"file.pem\" } that is shown to "
          "strangers" },
        { "certificate default {\n  chain = \"a\"\n  shown-to = \"strangers\"\n}\n", "that is shown to users" },
        { "certificate default {\n  chain = \"a\"\n  shown-to = \"friends\"\n}\n", "shown-to must be one of" },
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct buf b = BUF_INIT(4096);
        struct config *c = NULL;
        struct error e = ERROR_NONE;
        buf_add_all(&b, str_from_z(head), str_from_z(rows[i].sections));
        int r = config_parse("x.conf", buf_str(&b), &c, &e);
        if ((r == 0) != (rows[i].error == NULL) || (r && !strstr(e.text, rows[i].error)))
            fail_msg("row %zu: %s", i, e.text);
        for (size_t k = 0; r == 0 && k < c->certificate_n; k++) {
            assert_int_equal(config_certificate_is_shown(&c->certificates[k], CONFIG_SMTP), i == 0 || k == 1);
            assert_int_equal(config_certificate_is_shown(&c->certificates[k], CONFIG_IMAP), k == 0);
            assert_int_equal(config_certificate_is_shown(&c->certificates[k], CONFIG_SUBMISSION), k == 0);
        }
        config_free(c);
        buf_done(&b);
    }
}

static void test_mechanisms_of_listeners(void **state)
{
    static const char text[] = "hostname = \"a.b\"\n"
                               "listener one {\n  protocol = \"imap\"\n  port = 1\n}\n"
                               "listener two {\n  protocol = \"submission\"\n  port = 2\n  client-cert = \"request\"\n"
                               "  legacy = true\n  auth = {\"external\", \"SCRAM-SHA-256-PLUS\", \"DIGEST-MD5\", \"PLAIN\"}\n}\n"
                               "certificate default {\n  chain = \"c\"\n}\n";
    static const char *const named[] = { "EXTERNAL", "SCRAM-SHA-256-PLUS", "PLAIN", "DIGEST-MD5" };
    struct config *c = NULL;
    struct error e = ERROR_NONE;
    sasl_set expected = 0;
    (void)state;
    for (size_t i = 0; i < 4; i++)
        expected |= sasl_set_of(sasl_mechanism_find(str_from_z(named[i])));
    if (config_parse("x.conf", str_from_z(text), &c, &e))
        fail_msg("%s", e.text);
    assert_int_equal(c->listeners[0].auth, 0);
    assert_int_equal(c->listeners[1].auth, expected);
    config_free(c);
}

static void test_limits_and_networks(void **state)
{
    static const char text[] =
        "hostname = \"a.b\"\nmessage-size-max = 100000\nconnections-per-address = 7\n"
        "limits-exempt = {\"198.51.100.0/24\"}\n"
        "limits smtp {\n  connections-per-address = 9\n  error-rate-per-address = \"9000/minute\"\n  "
        "connection-rate-per-address = \"0\"\n  message-rate-per-network = \"30/10 minutes\"\n  errors-per-session = "
        "3\n}\n"
        "limits submission {\n  message-size-max = 200000\n  recipients-max = 200\n  recipient-rate-per-account = \"0\"\n}\n"
        "listener one {\n  protocol = \"smtp\"\n  tls = \"off\"\n  port = 1\n  networks = {\"192.0.2.0/24\", "
        "\"2001:db8::/32\"}\n}\n"
        "listener two {\n  protocol = \"smtp\"\n  tls = \"off\"\n  port = 2\n}\n";
    struct config *c = NULL;
    struct error e = ERROR_NONE;
    struct ip_address a;
    (void)state;
    if (config_parse("x.conf", str_from_z(text), &c, &e))
        fail_msg("%s", e.text);
    const struct config_limits *smtp = &c->limits[CONFIG_SMTP], *submission = &c->limits[CONFIG_SUBMISSION];
    assert_int_equal(smtp->rules.limits[LIMIT_CONNECTIONS][LIMIT_ADDRESS].max, 9);
    assert_int_equal(smtp->rules.limits[LIMIT_CONNECTIONS][LIMIT_NETWORK].max, 200);
    /* Whoever has many addresses is one: a network has limits where an address has, and never smaller ones unless they are named. */
    assert_int_equal(submission->rules.limits[LIMIT_CONNECTIONS][LIMIT_NETWORK].max, 800);
    assert_int_equal(c->limits[CONFIG_IMAP].rules.limits[LIMIT_CONNECTION_RATE][LIMIT_NETWORK].max, 4800);
    assert_int_equal(c->limits[CONFIG_IMAP].rules.limits[LIMIT_ERRORS][LIMIT_NETWORK].max, 4000);
    assert_int_equal(smtp->rules.limits[LIMIT_ERRORS][LIMIT_NETWORK].max, 36000);
    assert_int_equal(smtp->rules.limits[LIMIT_ERRORS][LIMIT_NETWORK].period_s, 60);
    assert_int_equal(smtp->rules.limits[LIMIT_CONNECTION_RATE][LIMIT_NETWORK].max, 0);
    assert_int_equal(smtp->rules.limits[LIMIT_MESSAGES][LIMIT_NETWORK].max, 30);
    assert_int_equal(smtp->rules.limits[LIMIT_MESSAGES][LIMIT_NETWORK].period_s, 600);
    assert_int_equal(smtp->errors_max, 3);
    assert_int_equal(smtp->junk_max, 100);
    assert_int_equal(smtp->message_size_max, 100000);
    assert_int_equal(submission->message_size_max, 200000);
    assert_int_equal(submission->recipients_max, 200);
    assert_int_equal(submission->rules.limits[LIMIT_CONNECTIONS][LIMIT_ADDRESS].max, 7);
    assert_int_equal(c->limits[CONFIG_IMAP].rules.limits[LIMIT_CONNECTIONS][LIMIT_ADDRESS].max, 7);
    assert_true(smtp->rules.group != submission->rules.group);
    assert_true(ip_address_parse(STR("198.51.100.9"), &a));
    assert_true(ip_networks_have(c->limits[CONFIG_IMAP].rules.exempt, &a));
    assert_true(ip_address_parse(STR("2001:db8::9"), &a));
    assert_true(ip_networks_have(c->listeners[0].networks, &a));
    assert_false(ip_networks_have(c->limits[CONFIG_IMAP].rules.exempt, &a));
    assert_int_equal(c->listeners[1].networks.n, 0);
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
        cmocka_unit_test(test_what_init_writes_for_a_class),
        cmocka_unit_test(test_what_is_not_closed_is_refused),
        cmocka_unit_test(test_mistakes_name_line_and_reason),
        cmocka_unit_test(test_mistakes_between_options),
        cmocka_unit_test(test_mistakes_in_limits_and_networks),
        cmocka_unit_test(test_numbers_with_units),
        cmocka_unit_test(test_tls_of_listeners_and_certificates),
        cmocka_unit_test(test_who_is_shown_a_certificate),
        cmocka_unit_test(test_mechanisms_of_listeners),
        cmocka_unit_test(test_limits_and_networks),
        cmocka_unit_test(test_a_nul_byte_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
