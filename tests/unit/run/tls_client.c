/* tls_client: certificates of clients: none, unknown, ours, of the wrong kind, out of date, resumed; and a least version. */
#include "tls_fixture.h"

#include <signal.h>

/* The CA of the clients and what it gave out. */
static struct test_key ca;

enum { GOOD, WRONG_USE, EXPIRED, STRANGER, ODD_NAMES, CLIENTS };
static struct {
    const char *san, *eku;
    long not_after;
    bool ours;
    EVP_PKEY *pkey;
    X509 *cert;
} clients[CLIENTS] = {
    [GOOD] = { "email:alice@mondomaine.fr,DNS:ignored.example,email:a.l@mondomaine.fr", "emailProtection,clientAuth", 3600, true,
               NULL, NULL },
    [WRONG_USE] = { "email:alice@mondomaine.fr", "serverAuth", 3600, true, NULL, NULL },
    [EXPIRED] = { "email:alice@mondomaine.fr", "clientAuth", -60, true, NULL, NULL },
    [STRANGER] = { "email:alice@mondomaine.fr", "clientAuth", 3600, false, NULL, NULL },
    [ODD_NAMES] = { "email:no-at-sign,email:with blank@mondomaine.fr,email:bob@mondomaine.fr", "clientAuth", 3600, true, NULL,
                    NULL },
};

static void add_extension(X509 *x, int nid, const char *value)
{
    X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, NULL, nid, value);
    assert_non_null(e);
    X509_add_ext(x, e, -1);
    X509_EXTENSION_free(e);
}

static X509 *new_certificate(EVP_PKEY *pkey, const char *cn, long serial, long not_after)
{
    X509 *x = X509_new();
    X509_set_version(x, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(x), serial);
    X509_gmtime_adj(X509_getm_notBefore(x), -3600);
    X509_gmtime_adj(X509_getm_notAfter(x), not_after);
    X509_set_pubkey(x, pkey);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_ASC, (const unsigned char *)cn, -1, -1, 0);
    return x;
}

static int make_all(void **state)
{
    make_keys(state);
    ca.pkey = EVP_EC_gen("P-256");
    ca.cert = new_certificate(ca.pkey, "clients CA", 1, 3600);
    X509_set_issuer_name(ca.cert, X509_get_subject_name(ca.cert));
    add_extension(ca.cert, NID_basic_constraints, "critical,CA:TRUE");
    assert_true(X509_sign(ca.cert, ca.pkey, EVP_sha256()) > 0);
    BIO *b = BIO_new(BIO_s_mem());
    PEM_write_bio_X509(b, ca.cert);
    ca.pem_n = (size_t)BIO_read(b, ca.pem, sizeof ca.pem);
    BIO_free(b);
    for (size_t i = 0; i < CLIENTS; i++) {
        clients[i].pkey = EVP_EC_gen("P-256");
        X509 *x = clients[i].cert = new_certificate(clients[i].pkey, "client", 0x0abc + (long)i, clients[i].not_after);
        X509_set_issuer_name(x, X509_get_subject_name(clients[i].ours ? ca.cert : x));
        add_extension(x, NID_subject_alt_name, clients[i].san);
        add_extension(x, NID_ext_key_usage, clients[i].eku);
        assert_true(X509_sign(x, clients[i].ours ? ca.pkey : clients[i].pkey, EVP_sha256()) > 0);
    }
    return 0;
}

static int free_all(void **state)
{
    for (size_t i = 0; i < CLIENTS; i++) {
        EVP_PKEY_free(clients[i].pkey);
        X509_free(clients[i].cert);
    }
    EVP_PKEY_free(ca.pkey);
    X509_free(ca.cert);
    return free_keys(state);
}

static struct tls_holder *holder_with_ca(void)
{
    struct error e = ERROR_NONE;
    struct tls_context *t = context_of(KEY_P256, "");
    assert_int_equal(tls_context_set_client_ca(t, (str){ ca.pem, ca.pem_n }, &e), 0);
    struct tls_holder *h = tls_holder_new(t);
    tls_context_unref(t);
    return h;
}

/* A client with certificate WHICH (CLIENTS: none). */
static struct client client_with(struct loopback *l, size_t which, int version)
{
    struct client c = client_make(client_connect(l), "other.example.net", version);
    if (which < CLIENTS)
        assert_int_equal(SSL_use_cert_and_key(c.ssl, clients[which].cert, clients[which].pkey, NULL, 1), 1);
    return c;
}

static str client_line(struct client *c, char line[512])
{
    size_t n = 0;
    tls_send(c, STR("CLIENT\r\n"));
    do {
        assert_true(n < 512);
        assert_int_equal(SSL_read(c->ssl, line + n, 1), 1);
    } while (line[n++] != '\n');
    return (str){ line, n };
}

static const int versions[] = { TLS1_2_VERSION, TLS1_3_VERSION };

static void requested(void **state)
{
    static const struct {
        size_t which;
        const char *want, *also;
    } cases[] = {
        { CLIENTS, "certificate=0 verified=0 subject= serial= fingerprint= addresses= ", "resumed=0" },
        { GOOD, "certificate=1 verified=1 subject=CN=client serial=0abc fingerprint=",
          "addresses=alice@mondomaine.fr,a.l@mondomaine.fr " },
        { WRONG_USE, "certificate=1 verified=0 ", " addresses= " },
        { EXPIRED, "certificate=1 verified=0 ", " addresses= " },
        { STRANGER, "certificate=1 verified=0 ", " addresses= " },
        { ODD_NAMES, "certificate=1 verified=1 ", "addresses=bob@mondomaine.fr " },
    };
    struct loopback l;
    struct tls_holder *h = holder_with_ca();
    loopback_client_cert = TLS_CLIENT_REQUESTED;
    loopback_start(&l, &small, h, true);
    for (size_t i = 0; i < 2 * sizeof cases / sizeof cases[0]; i++) {
        char line[512];
        struct client c = client_with(&l, cases[i / 2].which, versions[i % 2]);
        handshake(&c);
        tls_expect(&c, STR("hello\r\n"));
        str got = client_line(&c, line);
        if (!str_starts(got, str_from_z(cases[i / 2].want)) || !has(got, cases[i / 2].also))
            fail_msg("case %zu: %.*s", i, STR_ARG(got));
        tls_client_free(&c);
    }
    loopback_stop(&l, 10000);
    tls_holder_free(h);
}

/* Whether the server lets the client in; with TLS 1.3 its refusal comes after the client's end of the handshake. */
static bool is_let_in(struct loopback *l, size_t which, int version)
{
    char byte;
    struct client c = client_with(l, which, version);
    bool in = SSL_connect(c.ssl) == 1 && SSL_read(c.ssl, &byte, 1) == 1;
    tls_client_free(&c);
    return in;
}

static void required(void **state)
{
    struct loopback l;
    struct tls_holder *h = holder_with_ca();
    loopback_client_cert = TLS_CLIENT_REQUIRED;
    loopback_start(&l, &small, h, true);
    for (size_t v = 0; v < 2; v++)
        for (size_t i = 0; i <= CLIENTS; i++)
            assert_int_equal(is_let_in(&l, i, versions[v]), i == GOOD || i == ODD_NAMES);
    loopback_stop(&l, 10000);
    tls_holder_free(h);
}

static void off_asks_for_nothing(void **state)
{
    struct loopback l;
    struct tls_holder *h = holder_with_ca();
    char line[512];
    loopback_client_cert = TLS_CLIENT_OFF;
    loopback_start(&l, &small, h, true);
    struct client c = client_with(&l, GOOD, 0);
    handshake(&c);
    tls_expect(&c, STR("hello\r\n"));
    assert_true(has(client_line(&c, line), "certificate=0 verified=0"));
    tls_client_free(&c);
    loopback_stop(&l, 10000);
    tls_holder_free(h);
}

/* A context that trusts no CA verifies nobody, and lets nobody in where a certificate is required. */
static void without_a_ca(void **state)
{
    for (int mode = TLS_CLIENT_REQUESTED; mode <= TLS_CLIENT_REQUIRED; mode++) {
        struct loopback l;
        struct tls_holder *h = holder_of(KEY_P256, "");
        loopback_client_cert = (enum tls_client_cert)mode;
        loopback_start(&l, &small, h, true);
        assert_int_equal(is_let_in(&l, GOOD, TLS1_3_VERSION), mode == TLS_CLIENT_REQUESTED);
        loopback_stop(&l, 10000);
        tls_holder_free(h);
    }
}

/* The certificate is known again when its session is resumed. */
static void tickets_keep_it(void **state)
{
    static const size_t whom[] = { GOOD, STRANGER };
    struct loopback l;
    struct tls_holder *h = holder_with_ca();
    loopback_client_cert = TLS_CLIENT_REQUESTED;
    loopback_start(&l, &small, h, true);
    for (size_t i = 0; i < 4; i++) {
        SSL_SESSION *session = NULL;
        for (int turn = 0; turn < 3; turn++) {
            char line[512], want[64];
            struct client c = client_with(&l, turn ? CLIENTS : whom[i / 2], versions[i % 2]);
            if (session)
                assert_int_equal(SSL_set_session(c.ssl, session), 1);
            SSL_SESSION_free(session);
            handshake(&c);
            tls_expect(&c, STR("hello\r\n"));
            str got = client_line(&c, line);
            (void)snprintf(want, sizeof want, "certificate=1 verified=%d subject=CN=client", whom[i / 2] == GOOD);
            if (!str_starts(got, str_from_z(want)) || !has(got, turn ? "resumed=1" : "resumed=0") ||
                has(got, "addresses=alice@mondomaine.fr,") != (whom[i / 2] == GOOD))
                fail_msg("turn %d: %.*s", turn, STR_ARG(got));
            session = SSL_get1_session(c.ssl);
            tls_client_free(&c);
        }
        SSL_SESSION_free(session);
    }
    loopback_stop(&l, 10000);
    tls_holder_free(h);
}

static _Atomic bool good_is_revoked;

static bool is_revoked(void *ctx, str serial)
{
    (void)ctx;
    return good_is_revoked && str_eq(serial, STR("0abc"));
}

/* From the moment it is revoked: with a full handshake and with a session from before, requested and required. */
static void revoked(void **state)
{
    for (size_t i = 0; i < 4; i++) {
        struct loopback l;
        struct tls_holder *h = holder_with_ca();
        struct tls_context *t = tls_holder_get(h);
        bool strict = i / 2;
        char line[512], byte;
        tls_context_set_revocation(t, is_revoked, NULL);
        tls_context_unref(t);
        loopback_client_cert = strict ? TLS_CLIENT_REQUIRED : TLS_CLIENT_REQUESTED;
        loopback_start(&l, &small, h, true);
        good_is_revoked = false;
        struct client c = client_with(&l, GOOD, versions[i % 2]);
        handshake(&c);
        tls_expect(&c, STR("hello\r\n"));
        assert_true(str_starts(client_line(&c, line), STR("certificate=1 verified=1 ")));
        SSL_SESSION *session = SSL_get1_session(c.ssl);
        tls_client_free(&c);
        good_is_revoked = true;
        for (int resumed = 0; resumed < 2; resumed++) {
            c = client_with(&l, resumed ? CLIENTS : GOOD, versions[i % 2]);
            if (resumed)
                assert_int_equal(SSL_set_session(c.ssl, session), 1);
            if (strict) {
                assert_false(SSL_connect(c.ssl) == 1 && SSL_read(c.ssl, &byte, 1) == 1);
            } else {
                handshake(&c);
                tls_expect(&c, STR("hello\r\n"));
                str got = client_line(&c, line);
                assert_true(str_starts(got, STR("certificate=1 verified=0 ")) && has(got, resumed ? "resumed=1" : "resumed=0"));
            }
            tls_client_free(&c);
        }
        assert_true(is_let_in(&l, ODD_NAMES, versions[i % 2]));
        SSL_SESSION_free(session);
        loopback_stop(&l, 10000);
        tls_holder_free(h);
    }
}

static SSL_SESSION *session_of(struct loopback *l, int version)
{
    struct client c = client_with(l, CLIENTS, version);
    handshake(&c);
    tls_expect(&c, STR("hello\r\n"));
    SSL_SESSION *session = SSL_get1_session(c.ssl);
    tls_client_free(&c);
    return session;
}

/* A session without a certificate, of a listener that only requests one, does not open a listener that requires one, though both
 * have the same ticket keys. */
static void a_ticket_is_no_way_around(void **state)
{
    struct loopback open, strict;
    struct tls_holder *h = holder_with_ca();
    for (int mode = TLS_CLIENT_OFF; mode <= TLS_CLIENT_REQUESTED; mode++) {
        loopback_client_cert = (enum tls_client_cert)mode;
        loopback_start(&open, &small, h, true);
        loopback_client_cert = TLS_CLIENT_REQUIRED;
        loopback_start(&strict, &small, h, true);
        for (size_t v = 0; v < 2; v++) {
            char byte;
            SSL_SESSION *session = session_of(&open, versions[v]);
            struct client c = client_with(&strict, CLIENTS, versions[v]);
            assert_int_equal(SSL_set_session(c.ssl, session), 1);
            SSL_SESSION_free(session);
            assert_false(SSL_connect(c.ssl) == 1 && SSL_read(c.ssl, &byte, 1) == 1);
            tls_client_free(&c);
        }
        loopback_stop(&open, 10000);
        loopback_stop(&strict, 10000);
    }
    tls_holder_free(h);
}

static void a_least_version(void **state)
{
    struct loopback l;
    struct tls_holder *h = holder_of(KEY_P256, "");
    loopback_client_cert = TLS_CLIENT_OFF;
    loopback_tls13_only = true;
    loopback_start(&l, &small, h, true);
    loopback_tls13_only = false;
    assert_false(is_let_in(&l, CLIENTS, TLS1_2_VERSION));
    assert_true(is_let_in(&l, CLIENTS, TLS1_3_VERSION));
    loopback_stop(&l, 10000);
    tls_holder_free(h);
}

static void bad_cas(void **state)
{
    struct error e = ERROR_NONE;
    struct tls_context *t = context_of(KEY_P256, "");
    assert_int_equal(tls_context_set_client_ca(t, STR(""), &e), ERR_SYNTAX);
    assert_int_equal(tls_context_set_client_ca(t, STR("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"), &e),
                     ERR_SYNTAX);
    tls_context_unref(t);
}

int main(void)
{
    (void)signal(SIGPIPE, SIG_IGN);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requested),    cmocka_unit_test(required),        cmocka_unit_test(off_asks_for_nothing),
        cmocka_unit_test(without_a_ca), cmocka_unit_test(tickets_keep_it), cmocka_unit_test(a_ticket_is_no_way_around),
        cmocka_unit_test(revoked),      cmocka_unit_test(a_least_version), cmocka_unit_test(bad_cas),
    };
    return cmocka_run_group_tests(tests, make_all, free_all);
}
