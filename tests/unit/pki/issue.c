/* issue: the CA and its server certificates, as OpenSSL's own verification and its command line tool see them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "pki/pki.h"

enum { DAY = 86400 };

static X509 *parse(str pem)
{
    BIO *bio = BIO_new_mem_buf(pem.p, (int)pem.n);
    X509 *cert = PEM_read_bio_X509(bio, NULL, NULL, NULL);
    BIO_free(bio);
    assert_non_null(cert);
    return cert;
}

/* X509_V_OK or the error of verifying CERT under CA at time NOW as a server named HOST (or address, with IP). */
static int verify(str cert_pem, str ca_pem, const char *host, bool ip, int purpose, int64_t now)
{
    X509 *ca = parse(ca_pem), *cert = parse(cert_pem);
    X509_STORE *store = X509_STORE_new();
    X509_STORE_CTX *ctx = X509_STORE_CTX_new();
    assert_int_equal(X509_STORE_add_cert(store, ca), 1);
    assert_int_equal(X509_STORE_CTX_init(ctx, store, cert, NULL), 1);
    X509_VERIFY_PARAM *param = X509_STORE_CTX_get0_param(ctx);
    X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_X509_STRICT);
    X509_VERIFY_PARAM_set_purpose(param, purpose);
    X509_VERIFY_PARAM_set_time(param, (time_t)now);
    if (host && ip)
        assert_int_equal(X509_VERIFY_PARAM_set1_ip_asc(param, host), 1);
    else if (host)
        assert_int_equal(X509_VERIFY_PARAM_set1_host(param, host, 0), 1);
    int r = X509_verify_cert(ctx) == 1 ? X509_V_OK : X509_STORE_CTX_get_error(ctx);
    X509_STORE_CTX_free(ctx);
    X509_STORE_free(store);
    X509_free(cert);
    X509_free(ca);
    return r;
}

struct fixture {
    struct pki_key *ca_key, *key;
    struct buf ca, cert;
    int64_t now;
};

/* What the CAs here are for. */
static struct pki_names allowed;

static int allow(void **state)
{
    static struct arena a = ARENA_INIT(1 << 16);
    return pki_names_parse(STR("domain mondomaine.fr\ndomain example\naddress 127.0.0.0/8\naddress 2001:db8::/32\n"), &a,
                           &allowed, NULL);
}

static void fixture_init(struct fixture *f, enum pki_kind ca_kind, enum pki_kind kind)
{
    *f = (struct fixture){ .now = clock_real_ms() / 1000, .ca = BUF_INIT(PKI_PEM_MAX), .cert = BUF_INIT(PKI_PEM_MAX) };
    assert_int_equal(pki_key_generate(ca_kind, &f->ca_key, NULL), 0);
    assert_int_equal(pki_key_generate(kind, &f->key, NULL), 0);
    assert_int_equal(
        pki_ca_create(f->ca_key, STR("mondomaine.fr"), &allowed, STR("mailhost.mondomaine.fr"), f->now, &f->ca, NULL), 0);
}

static void fixture_done(struct fixture *f)
{
    pki_key_free(f->ca_key);
    pki_key_free(f->key);
    buf_done(&f->ca);
    buf_done(&f->cert);
}

static const str server_names[] = { STR_INIT("MailHost.mondomaine.fr"), STR_INIT("*.web.mondomaine.fr"), STR_INIT("127.0.0.1"),
                                    STR_INIT("2001:db8::25") };
static const struct pki_server_request server_request = { server_names, 4, 397 };

static void issued_certificates_verify(void **state)
{
    static const struct {
        enum pki_kind ca, key;
    } kinds[] = { { PKI_EC_P256, PKI_EC_P256 }, { PKI_EC_P384, PKI_EC_P256 }, { PKI_EC_P256, PKI_RSA_3072 } };
    static const struct {
        const char *host;
        bool ip;
        int expected;
    } cases[] = {
        { "mailhost.mondomaine.fr", false, X509_V_OK },
        { "MAILHOST.MONDOMAINE.FR", false, X509_V_OK },
        { "a.web.mondomaine.fr", false, X509_V_OK },
        { "127.0.0.1", true, X509_V_OK },
        { "2001:db8::25", true, X509_V_OK },
        { "mondomaine.fr", false, X509_V_ERR_HOSTNAME_MISMATCH },
        { "a.b.web.mondomaine.fr", false, X509_V_ERR_HOSTNAME_MISMATCH },
        { "127.0.0.2", true, X509_V_ERR_IP_ADDRESS_MISMATCH },
    };
    for (size_t k = 0; k < sizeof kinds / sizeof kinds[0]; k++) {
        struct fixture f;
        struct error e = ERROR_NONE;
        fixture_init(&f, kinds[k].ca, kinds[k].key);
        assert_int_equal(pki_server_issue(f.ca_key, buf_str(&f.ca), f.key, &server_request, f.now, &f.cert, &e), 0);
        str cert = buf_str(&f.cert), ca = buf_str(&f.ca);
        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
            assert_int_equal(verify(cert, ca, cases[i].host, cases[i].ip, X509_PURPOSE_SSL_SERVER, f.now), cases[i].expected);
        assert_int_equal(verify(cert, ca, NULL, false, X509_PURPOSE_SSL_CLIENT, f.now), X509_V_ERR_INVALID_PURPOSE);
        assert_int_equal(verify(cert, ca, NULL, false, X509_PURPOSE_SSL_SERVER, f.now - 1800), X509_V_ERR_CERT_NOT_YET_VALID);
        assert_int_equal(verify(cert, ca, NULL, false, X509_PURPOSE_SSL_SERVER, f.now + 397LL * DAY),
                         X509_V_ERR_CERT_HAS_EXPIRED);
        fixture_done(&f);
    }
}

static void the_openssl_tool_agrees(void **state)
{
    struct fixture f;
    char dir[] = "/tmp/valise-pki-XXXXXX", ca[64], cert[64];
    fixture_init(&f, PKI_EC_P384, PKI_EC_P256);
    assert_int_equal(pki_server_issue(f.ca_key, buf_str(&f.ca), f.key, &server_request, f.now, &f.cert, NULL), 0);
    assert_non_null(mkdtemp(dir));
    snprintf(ca, sizeof ca, "%s/ca.pem", dir);
    snprintf(cert, sizeof cert, "%s/cert.pem", dir);
    assert_int_equal(pki_certificate_store(buf_str(&f.ca), ca, false, NULL), 0);
    assert_int_equal(pki_certificate_store(buf_str(&f.cert), cert, false, NULL), 0);
    static const struct {
        const char *host;
        int expected;
    } cases[] = { { "mailhost.mondomaine.fr", 0 }, { "other.example", 2 } };
    for (size_t i = 0; i < 2; i++) {
        const char *argv[] = { "openssl", "verify",           "-x509_strict", "-purpose", "sslserver", "-CAfile",
                               ca,        "-verify_hostname", cases[i].host,  cert,       NULL };
        posix_spawn_file_actions_t quiet;
        posix_spawn_file_actions_init(&quiet);
        posix_spawn_file_actions_addopen(&quiet, 1, "/dev/null", 1, 0);
        posix_spawn_file_actions_addopen(&quiet, 2, "/dev/null", 1, 0);
        pid_t pid;
        int status = -1;
        assert_int_equal(posix_spawnp(&pid, "openssl", &quiet, NULL, (char **)(uintptr_t)argv, environ), 0);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_int_equal(WEXITSTATUS(status), cases[i].expected);
        posix_spawn_file_actions_destroy(&quiet);
    }
    unlink(ca);
    unlink(cert);
    rmdir(dir);
    fixture_done(&f);
}

static void refusals(void **state)
{
    static const str too_many[PKI_NAMES_MAX + 1] = { 0 };
    static const str bad[][1] = {
        { STR_INIT("") },
        { STR_INIT("a..b") },
        { STR_INIT("-a.fr") },
        { STR_INIT("a-.fr") },
        { STR_INIT("a b.fr") },
        { STR_INIT("a\0b.fr") },
        { STR_INIT("*") },
        { STR_INIT("a.*.fr") },
        { STR_INIT("w*.fr") },
        { STR_INIT("a.fr.") },
        { STR_INIT("::1::") },
        { STR_INIT("a,DNS:b.fr") },
        { STR_INIT("xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx.fr") },
    };
    struct fixture f, other;
    fixture_init(&f, PKI_EC_P256, PKI_EC_P256);
    fixture_init(&other, PKI_EC_P256, PKI_EC_P256);
    str ca = buf_str(&f.ca);
    struct pki_server_request q = { server_names, 1, 90 };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct pki_server_request odd = { bad[i], 1, 90 };
        assert_int_equal(pki_server_issue(f.ca_key, ca, f.key, &odd, f.now, &f.cert, NULL), ERR_SYNTAX);
    }
    q.days = 398;
    assert_int_equal(pki_server_issue(f.ca_key, ca, f.key, &q, f.now, &f.cert, NULL), ERR_LIMIT);
    q.days = 0;
    assert_int_equal(pki_server_issue(f.ca_key, ca, f.key, &q, f.now, &f.cert, NULL), ERR_LIMIT);
    q = (struct pki_server_request){ too_many, PKI_NAMES_MAX + 1, 90 };
    assert_int_equal(pki_server_issue(f.ca_key, ca, f.key, &q, f.now, &f.cert, NULL), ERR_LIMIT);
    q = (struct pki_server_request){ server_names, 1, 90 };
    assert_int_equal(pki_server_issue(other.ca_key, ca, f.key, &q, f.now, &f.cert, NULL), ERR_REFUSED);
    assert_int_equal(pki_server_issue(f.ca_key, ca, f.key, &q, f.now + 3700LL * DAY, &f.cert, NULL), ERR_REFUSED);
    assert_int_equal(pki_server_issue(f.ca_key, STR("no pem"), f.key, &q, f.now, &f.cert, NULL), ERR_SYNTAX);
    assert_int_equal(f.cert.n, 0);
    /* A server certificate is no CA. */
    assert_int_equal(pki_server_issue(f.ca_key, ca, f.key, &q, f.now, &f.cert, NULL), 0);
    assert_int_equal(pki_server_issue(f.key, buf_str(&f.cert), other.key, &q, f.now, &other.cert, NULL), ERR_REFUSED);
    assert_int_equal(
        pki_ca_create(f.ca_key, STR("mon domaine.fr"), &allowed, STR("mailhost.mondomaine.fr"), f.now, &other.cert, NULL),
        ERR_SYNTAX);
    assert_int_equal(pki_ca_create(f.ca_key, STR("*.fr"), &allowed, STR("mailhost.mondomaine.fr"), f.now, &other.cert, NULL),
                     ERR_SYNTAX);
    struct buf small = BUF_INIT(100);
    assert_int_equal(pki_ca_create(f.ca_key, STR("a.fr"), &allowed, STR("mailhost.mondomaine.fr"), f.now, &small, NULL),
                     ERR_LIMIT);
    buf_done(&small);
    fixture_done(&f);
    fixture_done(&other);
}

static void descriptions(void **state)
{
    struct fixture f;
    struct arena a = ARENA_INIT(1 << 16);
    struct pki_description d, again;
    char id[65];
    fixture_init(&f, PKI_EC_P256, PKI_EC_P256);
    assert_int_equal(pki_certificate_describe(buf_str(&f.ca), &a, &d, NULL), 0);
    assert_true(str_eq(d.subject, STR("CN=mondomaine.fr root CA")));
    assert_true(str_eq(d.issuer, d.subject));
    assert_true(d.is_ca);
    assert_int_equal(d.name_n, 0);
    assert_int_equal(d.not_before, f.now);
    assert_int_equal(d.not_after, f.now + (int64_t)PKI_CA_DAYS * DAY - 1);
    assert_int_equal(pki_key_id(f.ca_key, id), 0);
    assert_true(str_eq(d.key_id, str_from_z(id)));

    assert_int_equal(pki_server_issue(f.ca_key, buf_str(&f.ca), f.key, &server_request, f.now, &f.cert, NULL), 0);
    assert_int_equal(pki_certificate_describe(buf_str(&f.cert), &a, &d, NULL), 0);
    static const struct pki_name names[] = { { PKI_NAME_DNS, STR_INIT("mailhost.mondomaine.fr") },
                                             { PKI_NAME_DNS, STR_INIT("*.web.mondomaine.fr") },
                                             { PKI_NAME_IP, STR_INIT("127.0.0.1") },
                                             { PKI_NAME_IP, STR_INIT("2001:db8::25") } };
    assert_int_equal(d.name_n, 4);
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(d.names[i].kind, names[i].kind);
        assert_true(str_eq(d.names[i].text, names[i].text));
    }
    assert_true(str_eq(d.subject, STR("CN=MailHost.mondomaine.fr")));
    assert_false(d.is_ca);
    assert_int_equal(d.not_before, f.now - 3600);
    assert_int_equal(d.not_after, f.now + 397LL * DAY - 1);
    assert_true(d.serial.n > 30 && d.serial.n <= 40);

    f.cert.n = 0;
    assert_int_equal(pki_server_issue(f.ca_key, buf_str(&f.ca), f.key, &server_request, f.now, &f.cert, NULL), 0);
    assert_int_equal(pki_certificate_describe(buf_str(&f.cert), &a, &again, NULL), 0);
    assert_false(str_eq(again.serial, d.serial));
    assert_true(str_eq(again.key_id, d.key_id));

    /* Never longer than its CA. */
    f.cert.n = 0;
    assert_int_equal(pki_server_issue(f.ca_key, buf_str(&f.ca), f.key, &server_request, f.now + 3600LL * DAY, &f.cert, NULL), 0);
    assert_int_equal(pki_certificate_describe(buf_str(&f.cert), &a, &again, NULL), 0);
    assert_int_equal(again.not_after, f.now + (int64_t)PKI_CA_DAYS * DAY - 1);

    struct arena small = ARENA_INIT(70);
    assert_int_equal(pki_certificate_describe(buf_str(&f.cert), &small, &again, NULL), ERR_LIMIT);
    assert_int_equal(pki_certificate_describe(STR(""), &a, &again, NULL), ERR_SYNTAX);
    assert_int_equal(pki_certificate_describe(str_sub(buf_str(&f.cert), 0, 300), &a, &again, NULL), ERR_SYNTAX);
    arena_done(&small);
    arena_done(&a);
    fixture_done(&f);
}

static void long_names_fit(void **state)
{
    static const str label = STR_INIT("abcdefghijklmnopqrstuvwxyz0123456789.");
    struct fixture f;
    struct arena a = ARENA_INIT(1 << 16);
    struct pki_description d;
    struct buf name = BUF_INIT(300), ca = BUF_INIT(PKI_PEM_MAX);
    fixture_init(&f, PKI_EC_P256, PKI_EC_P256);
    for (int i = 0; i < 6; i++)
        buf_add(&name, label);
    buf_add(&name, STR("example"));
    str host = buf_str(&name);
    assert_int_equal(pki_ca_create(f.ca_key, host, &allowed, STR("mailhost.mondomaine.fr"), f.now, &ca, NULL), 0);
    assert_int_equal(pki_certificate_describe(buf_str(&ca), &a, &d, NULL), 0);
    assert_int_equal(d.subject.n, 3 + 64);
    assert_true(str_ends(d.subject, STR(".example root CA")));
    /* Too long for a common name: the subject is empty, and the alternative name critical (RFC 5280 section 4.2.1.6). */
    struct pki_server_request q = { &host, 1, 30 };
    assert_int_equal(pki_server_issue(f.ca_key, buf_str(&ca), f.key, &q, f.now, &f.cert, NULL), 0);
    assert_int_equal(pki_certificate_describe(buf_str(&f.cert), &a, &d, NULL), 0);
    assert_int_equal(d.subject.n, 0);
    char *z = arena_z(&a, host);
    assert_int_equal(verify(buf_str(&f.cert), buf_str(&ca), z, false, X509_PURPOSE_SSL_SERVER, f.now), X509_V_OK);
    buf_done(&name);
    buf_done(&ca);
    arena_done(&a);
    fixture_done(&f);
}

/* A lab's root says so, stays so when it is renewed, and no other can be taken for one: not a certificate that it issued with such a name. */
static void a_lab_is_known_by_its_root(void **state)
{
    (void)state;
    struct fixture f;
    struct buf lab = BUF_INIT(PKI_PEM_MAX), renewed = BUF_INIT(PKI_PEM_MAX);
    struct arena a = ARENA_INIT(1 << 16);
    struct pki_description d;
    fixture_init(&f, PKI_EC_P256, PKI_EC_P256);
    assert_false(pki_ca_is_lab(buf_str(&f.ca)));
    assert_false(pki_ca_is_lab(STR("")));
    assert_int_equal(pki_ca_create_lab(f.ca_key, STR("mondomaine.fr"), &allowed, STR(""), f.now, &lab, NULL), 0);
    assert_true(pki_ca_is_lab(buf_str(&lab)));
    assert_int_equal(pki_certificate_describe(buf_str(&lab), &a, &d, NULL), 0);
    assert_true(str_eq(d.subject, STR("CN=mondomaine.fr root CA,OU=a lab\\, not for real mail")));
    assert_int_equal(pki_ca_renew(f.ca_key, buf_str(&lab), &allowed, STR(""), f.now, &renewed, NULL), 0);
    assert_true(pki_ca_is_lab(buf_str(&renewed)));
    str host = STR("mail.mondomaine.fr");
    struct pki_server_request q = { &host, 1, 30 };
    assert_int_equal(pki_server_issue(f.ca_key, buf_str(&lab), f.key, &q, f.now, &f.cert, NULL), 0);
    assert_false(pki_ca_is_lab(buf_str(&f.cert)));
    arena_done(&a);
    buf_done(&lab);
    buf_done(&renewed);
    fixture_done(&f);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(issued_certificates_verify),
        cmocka_unit_test(a_lab_is_known_by_its_root),
        cmocka_unit_test(the_openssl_tool_agrees),
        cmocka_unit_test(refusals),
        cmocka_unit_test(descriptions),
        cmocka_unit_test(long_names_fit),
    };
    return cmocka_run_group_tests(tests, allow, NULL);
}
