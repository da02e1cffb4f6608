/* tls_binding: both ends of a connection name it alike: tls-exporter and tls-server-end-point, also after resumption. */
#include "tls_fixture.h"

/* What the session answers to COMMAND, without its line end. */
static str answer(struct client *c, str command, char line[512])
{
    size_t n = 0;
    tls_send(c, command);
    do {
        assert_true(n < 512);
        assert_int_equal(SSL_read(c->ssl, line + n, 1), 1);
    } while (line[n++] != '\n');
    return (str){ line, n - 2 };
}

static str hex(const unsigned char *p, size_t n, char out[200])
{
    for (size_t i = 0; i < n; i++)
        (void)snprintf(out + 2 * i, 3, "%02x", p[i]);
    return (str){ out, 2 * n };
}

static void expect_exporter(struct client *c)
{
    unsigned char mine[32];
    char want[200], line[512];
    assert_int_equal(
        SSL_export_keying_material(c->ssl, mine, sizeof mine, "EXPORTER-Channel-Binding", 24, (const unsigned char *)"", 0, 1),
        1);
    if (!str_eq(answer(c, STR("EXPORTER\r\n"), line), hex(mine, sizeof mine, want)))
        fail_msg("%.100s instead of %.100s", line, want);
}

/* CERT is what the client saw; MD the hash of its signature. */
static void expect_end_point(struct client *c, const X509 *cert, const EVP_MD *md)
{
    unsigned char mine[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    char want[200], line[512];
    assert_int_equal(X509_digest(cert, md, mine, &n), 1);
    if (!str_eq(answer(c, STR("ENDPOINT\r\n"), line), hex(mine, n, want)))
        fail_msg("%.100s instead of %.100s", line, want);
}

static void both_kinds_in_both_versions(void **state)
{
    static const int versions[] = { TLS1_2_VERSION, TLS1_3_VERSION };
    for (size_t key = KEY_P256; key <= KEY_RSA; key++) {
        struct loopback l;
        struct tls_holder *h = holder_of(key, "");
        loopback_start(&l, &small, h, true);
        for (size_t v = 0; v < 2; v++) {
            struct client c = client_make(client_connect(&l), "mail.example.org", versions[v]);
            handshake(&c);
            tls_expect(&c, STR("hello\r\n"));
            expect_exporter(&c);
            expect_end_point(&c, keys[key].cert, EVP_sha256());
            tls_client_free(&c);
        }
        loopback_stop(&l, 10000);
        tls_holder_free(h);
    }
}

static void the_name_decides_the_certificate(void **state)
{
    struct loopback l;
    struct tls_holder *h = holder_of(KEY_P256, "");
    loopback_start(&l, &small, h, true);
    struct client c = client_make(client_connect(&l), "other.example.net", 0);
    handshake(&c);
    tls_expect(&c, STR("hello\r\n"));
    expect_end_point(&c, keys[KEY_OTHER].cert, EVP_sha256());
    tls_client_free(&c);
    loopback_stop(&l, 10000);
    tls_holder_free(h);
}

static void without_tls_there_is_none(void **state)
{
    struct loopback l;
    loopback_start(&l, &small, NULL, false);
    int fd = client_connect(&l);
    client_expect(fd, STR("hello\r\n"));
    client_send(fd, STR("EXPORTER\r\nENDPOINT\r\n"));
    client_expect(fd, STR("unsupported\r\nunsupported\r\n"));
    (void)close(fd);
    loopback_stop(&l, 10000);
}

/* RFC 9266 section 4.2. */
static void exporter_of_1_2_wants_the_extended_master_secret(void **state)
{
    struct loopback l;
    struct tls_holder *h = holder_of(KEY_P256, "");
    char line[512];
    loopback_start(&l, &small, h, true);
    struct client c = client_make(client_connect(&l), NULL, TLS1_2_VERSION);
    SSL_set_options(c.ssl, SSL_OP_NO_EXTENDED_MASTER_SECRET);
    handshake(&c);
    tls_expect(&c, STR("hello\r\n"));
    assert_true(str_eq(answer(&c, STR("EXPORTER\r\n"), line), STR("unsupported")));
    expect_end_point(&c, keys[KEY_P256].cert, EVP_sha256());
    tls_client_free(&c);
    loopback_stop(&l, 10000);
    tls_holder_free(h);
}

static struct tls_holder *holder_of_two(void)
{
    struct tls_identity id[2] = {
        { .chain_pem = { keys[KEY_RSA].pem, keys[KEY_RSA].pem_n }, .key_id = str_from_z(keys[KEY_RSA].id) },
        { .chain_pem = { keys[KEY_P256].pem, keys[KEY_P256].pem_n }, .key_id = str_from_z(keys[KEY_P256].id) }
    };
    struct error e = ERROR_NONE;
    struct tls_context *t = tls_context_new(id, 2, (struct tls_signer){ sign, NULL }, STR(""), &e);
    assert_non_null(t);
    struct tls_holder *h = tls_holder_new(t);
    tls_context_unref(t);
    return h;
}

/* The server has two certificates; a client that resumes (twice: a ticket of a ticket) means the one it saw first. */
static void a_ticket_remembers_the_certificate(void **state)
{
    static const int versions[] = { TLS1_2_VERSION, TLS1_3_VERSION };
    static const struct {
        int key;
        const char *algorithms;
    } kinds[] = { { KEY_RSA, "rsa_pss_rsae_sha256" }, { KEY_P256, "ecdsa_secp256r1_sha256" } };
    struct loopback l;
    struct tls_holder *h = holder_of_two();
    loopback_start(&l, &small, h, true);
    for (size_t i = 0; i < 4; i++) {
        SSL_SESSION *session = NULL;
        for (int turn = 0; turn < 3; turn++) {
            struct client c = client_make(client_connect(&l), "mail.example.org", versions[i / 2]);
            assert_int_equal(SSL_set1_sigalgs_list(c.ssl, kinds[i % 2].algorithms), 1);
            if (session)
                assert_int_equal(SSL_set_session(c.ssl, session), 1);
            SSL_SESSION_free(session);
            handshake(&c);
            tls_expect(&c, STR("hello\r\n"));
            assert_int_equal(SSL_session_reused(c.ssl), turn > 0);
            expect_exporter(&c);
            expect_end_point(&c, keys[kinds[i % 2].key].cert, EVP_sha256());
            session = SSL_get1_session(c.ssl);
            tls_client_free(&c);
        }
        SSL_SESSION_free(session);
    }
    loopback_stop(&l, 10000);
    tls_holder_free(h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_kinds_in_both_versions),        cmocka_unit_test(the_name_decides_the_certificate),
        cmocka_unit_test(without_tls_there_is_none),          cmocka_unit_test(exporter_of_1_2_wants_the_extended_master_secret),
        cmocka_unit_test(a_ticket_remembers_the_certificate),
    };
    return cmocka_run_group_tests(tests, make_keys, free_keys);
}
