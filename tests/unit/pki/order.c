/* order: certificates for servers and users by request, renewal, PKCS #12; OpenSSL and its command line tool judge. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <openssl/pem.h>
#include <openssl/pkcs12.h>
#include <openssl/x509v3.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "pki/pki.h"

enum { DAY = 86400 };

struct fixture {
    struct pki_key *ca_key, *key;
    struct buf ca, request, cert;
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

static void fixture_init(struct fixture *f, enum pki_kind kind)
{
    *f = (struct fixture){ .now = clock_real_ms() / 1000,
                           .ca = BUF_INIT(PKI_PEM_MAX),
                           .request = BUF_INIT(PKI_PEM_MAX),
                           .cert = BUF_INIT(PKI_PEM_MAX) };
    assert_int_equal(pki_key_generate(PKI_EC_P384, &f->ca_key, NULL), 0);
    assert_int_equal(pki_key_generate(kind, &f->key, NULL), 0);
    assert_int_equal(
        pki_ca_create(f->ca_key, STR("mondomaine.fr"), &allowed, STR("mailhost.mondomaine.fr"), f->now, &f->ca, NULL), 0);
    assert_int_equal(pki_request_create(f->key, &f->request, NULL), 0);
}

static void fixture_done(struct fixture *f)
{
    pki_key_free(f->ca_key);
    pki_key_free(f->key);
    buf_done(&f->ca);
    buf_done(&f->request);
    buf_done(&f->cert);
}

static int issue(struct fixture *f, enum pki_use use, const char *name, int64_t seconds, struct error *e)
{
    str names[] = { str_from_z(name) };
    const struct pki_order order = { use, names, 1, seconds };
    buf_reset(&f->cert);
    return pki_issue(f->ca_key, buf_str(&f->ca), buf_str(&f->request), &order, f->now, &f->cert, e);
}

static X509 *parse(str pem)
{
    BIO *bio = BIO_new_mem_buf(pem.p, (int)pem.n);
    X509 *cert = PEM_read_bio_X509(bio, NULL, NULL, NULL);
    BIO_free(bio);
    assert_non_null(cert);
    return cert;
}

static int verify(str cert_pem, str ca_pem, const char *mail, int purpose)
{
    X509 *ca = parse(ca_pem), *cert = parse(cert_pem);
    X509_STORE *store = X509_STORE_new();
    X509_STORE_CTX *ctx = X509_STORE_CTX_new();
    assert_int_equal(X509_STORE_add_cert(store, ca), 1);
    assert_int_equal(X509_STORE_CTX_init(ctx, store, cert, NULL), 1);
    X509_VERIFY_PARAM *param = X509_STORE_CTX_get0_param(ctx);
    X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_X509_STRICT);
    X509_VERIFY_PARAM_set_purpose(param, purpose);
    if (mail)
        assert_int_equal(X509_VERIFY_PARAM_set1_email(param, mail, 0), 1);
    int r = X509_verify_cert(ctx) == 1 ? X509_V_OK : X509_STORE_CTX_get_error(ctx);
    X509_STORE_CTX_free(ctx);
    X509_STORE_free(store);
    X509_free(cert);
    X509_free(ca);
    return r;
}

static void user_certificates_verify(void **state)
{
    static const enum pki_kind kinds[] = { PKI_EC_P256, PKI_RSA_3072 };
    for (size_t i = 0; i < 2; i++) {
        struct fixture f;
        struct error e = ERROR_NONE;
        fixture_init(&f, kinds[i]);
        assert_int_equal(issue(&f, PKI_USE_USER, "Alice.L@MonDomaine.fr", 365 * DAY, &e), 0);
        str cert = buf_str(&f.cert), ca = buf_str(&f.ca);
        assert_int_equal(verify(cert, ca, "Alice.L@mondomaine.fr", X509_PURPOSE_SMIME_SIGN), X509_V_OK);
        assert_int_equal(verify(cert, ca, "alice@mondomaine.fr", X509_PURPOSE_SMIME_SIGN), X509_V_ERR_EMAIL_MISMATCH);
        assert_int_equal(verify(cert, ca, NULL, X509_PURPOSE_SMIME_ENCRYPT),
                         kinds[i] == PKI_RSA_3072 ? X509_V_OK : X509_V_ERR_INVALID_PURPOSE);
        assert_int_equal(verify(cert, ca, NULL, X509_PURPOSE_SSL_CLIENT), X509_V_OK);
        assert_int_equal(verify(cert, ca, NULL, X509_PURPOSE_SSL_SERVER), X509_V_ERR_INVALID_PURPOSE);
        assert_int_equal(issue(&f, PKI_USE_SERVER, "mail.mondomaine.fr", 365 * DAY, &e), 0);
        assert_int_equal(verify(buf_str(&f.cert), ca, NULL, X509_PURPOSE_SSL_SERVER), X509_V_OK);
        assert_int_equal(verify(buf_str(&f.cert), ca, NULL, X509_PURPOSE_SSL_CLIENT), X509_V_ERR_INVALID_PURPOSE);
        fixture_done(&f);
    }
}

static void names_and_times_are_checked(void **state)
{
    static const struct {
        enum pki_use use;
        const char *name;
        int64_t seconds;
        int expected;
    } cases[] = {
        { PKI_USE_USER, "alice@mondomaine.fr", 60, 0 },
        { PKI_USE_USER, "alice@mondomaine.fr", 59, ERR_LIMIT },
        { PKI_USE_USER, "alice@mondomaine.fr", (int64_t)PKI_USER_DAYS_MAX * DAY, 0 },
        { PKI_USE_USER, "alice@mondomaine.fr", (int64_t)PKI_USER_DAYS_MAX * DAY + 1, ERR_LIMIT },
        { PKI_USE_SERVER, "mail.mondomaine.fr", (int64_t)PKI_SERVER_DAYS_MAX * DAY + 1, ERR_LIMIT },
        { PKI_USE_USER, "a+b=c@mondomaine.fr", DAY, 0 },
        { PKI_USE_USER, "mondomaine.fr", DAY, ERR_SYNTAX },
        { PKI_USE_USER, "@mondomaine.fr", DAY, ERR_SYNTAX },
        { PKI_USE_USER, "alice@", DAY, ERR_SYNTAX },
        { PKI_USE_USER, "alice@*.mondomaine.fr", DAY, ERR_SYNTAX },
        { PKI_USE_USER, ".alice@mondomaine.fr", DAY, ERR_SYNTAX },
        { PKI_USE_USER, "alice.@mondomaine.fr", DAY, ERR_SYNTAX },
        { PKI_USE_USER, "a..b@mondomaine.fr", DAY, ERR_SYNTAX },
        { PKI_USE_USER, "a b@mondomaine.fr", DAY, ERR_SYNTAX },
        { PKI_USE_USER, "\"a\"@mondomaine.fr", DAY, ERR_SYNTAX },
        { PKI_USE_USER, "\xc3\xa9@mondomaine.fr", DAY, ERR_SYNTAX },
        { PKI_USE_USER, "127.0.0.1", DAY, ERR_SYNTAX },
        { PKI_USE_USER, "a@b,DNS:x", DAY, ERR_SYNTAX },
        { PKI_USE_SERVER, "alice@mondomaine.fr", DAY, ERR_SYNTAX },
        { PKI_USE_SERVER, "127.0.0.1", DAY, 0 },
    };
    struct fixture f;
    fixture_init(&f, PKI_EC_P256);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct error e = ERROR_NONE;
        int r = issue(&f, cases[i].use, cases[i].name, cases[i].seconds, &e);
        if (r != cases[i].expected)
            fail_msg("%s for %lld: %d, %s", cases[i].name, (long long)cases[i].seconds, r, e.text);
    }
    str nul[] = { STR("a\0b@mondomaine.fr") };
    const struct pki_order order = { PKI_USE_USER, nul, 1, DAY };
    assert_int_equal(pki_issue(f.ca_key, buf_str(&f.ca), buf_str(&f.request), &order, f.now, &f.cert, NULL), ERR_SYNTAX);
    fixture_done(&f);
}

/* A request whose key was exchanged is not signed by its key; damage anywhere is found. */
static void proofs_are_checked(void **state)
{
    struct fixture f;
    struct error e = ERROR_NONE;
    fixture_init(&f, PKI_EC_P256);
    BIO *bio = BIO_new_mem_buf(f.request.p, (int)f.request.n);
    X509_REQ *request = PEM_read_bio_X509_REQ(bio, NULL, NULL, NULL);
    EVP_PKEY *other = EVP_EC_gen("P-256");
    assert_int_equal(X509_REQ_set_pubkey(request, other), 1);
    BIO_free(bio);
    bio = BIO_new(BIO_s_mem());
    assert_int_equal(PEM_write_bio_X509_REQ(bio, request), 1);
    char *p;
    long n = BIO_get_mem_data(bio, &p);
    buf_reset(&f.request);
    buf_add(&f.request, (str){ p, (size_t)n });
    assert_int_equal(issue(&f, PKI_USE_USER, "alice@mondomaine.fr", DAY, &e), ERR_REFUSED);
    BIO_free(bio);
    X509_REQ_free(request);
    EVP_PKEY_free(other);
    static const str bad[] = { STR_INIT(""), STR_INIT("x"),
                               STR_INIT("-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n"),
                               STR_INIT("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n") };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        buf_reset(&f.request);
        buf_add(&f.request, bad[i]);
        assert_int_equal(issue(&f, PKI_USE_USER, "alice@mondomaine.fr", DAY, &e), ERR_SYNTAX);
    }
    fixture_done(&f);
}

/* A certificate of this CA stands for its key; one of another CA, and the CA's own, do not. */
static void renewal(void **state)
{
    struct fixture f, other;
    struct error e = ERROR_NONE;
    struct arena a = ARENA_INIT(1 << 16);
    struct pki_description d;
    char id[65];
    fixture_init(&f, PKI_RSA_3072);
    fixture_init(&other, PKI_EC_P256);
    assert_int_equal(issue(&f, PKI_USE_SERVER, "mail.mondomaine.fr", DAY, &e), 0);
    assert_true(pki_is_issued_by(buf_str(&f.cert), buf_str(&f.ca)));
    assert_false(pki_is_issued_by(buf_str(&f.cert), buf_str(&other.ca)));
    assert_false(pki_is_issued_by(STR("x"), buf_str(&f.ca)));
    buf_reset(&f.request);
    buf_add(&f.request, buf_str(&f.cert));
    assert_int_equal(issue(&f, PKI_USE_SERVER, "mail.mondomaine.fr", 30 * DAY, &e), 0);
    assert_int_equal(pki_certificate_describe(buf_str(&f.cert), &a, &d, &e), 0);
    assert_int_equal(d.not_after, f.now + 30 * DAY - 1);
    assert_int_equal(pki_key_id(f.key, id), 0);
    assert_true(str_eq(d.key_id, str_from_z(id)));
    assert_true(str_eq(d.key_kind, STR("RSA 3072")));
    assert_int_equal(d.fingerprint.n, 64);
    assert_int_equal(issue(&other, PKI_USE_SERVER, "mail.mondomaine.fr", DAY, &e), 0);
    buf_reset(&f.request);
    buf_add(&f.request, buf_str(&other.cert));
    assert_int_equal(issue(&f, PKI_USE_SERVER, "mail.mondomaine.fr", DAY, &e), ERR_REFUSED);
    buf_reset(&f.request);
    buf_add(&f.request, buf_str(&f.ca));
    assert_int_equal(issue(&f, PKI_USE_SERVER, "mail.mondomaine.fr", DAY, &e), ERR_REFUSED);
    arena_done(&a);
    fixture_done(&f);
    fixture_done(&other);
}

static int run(const char *const *argv, char *out, size_t max)
{
    int fd[2], status = 0;
    pid_t pid;
    posix_spawn_file_actions_t actions;
    assert_int_equal(pipe(fd), 0);
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, fd[1], 1);
    posix_spawn_file_actions_adddup2(&actions, fd[1], 2);
    posix_spawn_file_actions_addclose(&actions, fd[0]);
    assert_int_equal(posix_spawnp(&pid, argv[0], &actions, NULL, (char *const *)(uintptr_t)argv, environ), 0);
    posix_spawn_file_actions_destroy(&actions);
    (void)close(fd[1]);
    size_t n = 0;
    ssize_t got;
    while ((got = read(fd[0], out + n, max - 1 - n)) > 0)
        n += (size_t)got;
    out[n] = 0;
    (void)close(fd[0]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

/* Both forms are read by OpenSSL with the password and not without, and hold the key and both certificates. */
static void p12_files(void **state)
{
    static const char password[] = "s\xc3\xa9same ouvre-toi";
    for (int legacy = 0; legacy < 2; legacy++) {
        struct fixture f;
        struct error e = ERROR_NONE;
        struct buf out;
        buf_init_secret(&out, 65536);
        fixture_init(&f, PKI_EC_P256);
        assert_int_equal(issue(&f, PKI_USE_USER, "alice@mondomaine.fr", DAY, &e), 0);
        assert_int_equal(pki_p12_create(f.key, buf_str(&f.cert), buf_str(&f.ca), STR("alice@mondomaine.fr"), str_from_z(password),
                                        legacy, &out, &e),
                         0);
        const unsigned char *p = (const unsigned char *)out.p;
        PKCS12 *p12 = d2i_PKCS12(NULL, &p, (long)out.n);
        assert_non_null(p12);
        EVP_PKEY *key = NULL;
        X509 *cert = NULL;
        STACK_OF(X509) *others = NULL;
        assert_int_not_equal(PKCS12_parse(p12, "wrong", &key, &cert, &others), 1);
        assert_int_equal(PKCS12_parse(p12, password, &key, &cert, &others), 1);
        assert_int_equal(X509_check_private_key(cert, key), 1);
        assert_int_equal(sk_X509_num(others), 1);
        EVP_PKEY_free(key);
        X509_free(cert);
        sk_X509_pop_free(others, X509_free);
        PKCS12_free(p12);
        char path[] = "/tmp/valise-p12-XXXXXX", text[8192], pass[64];
        int fd = mkstemp(path);
        assert_int_equal(write(fd, out.p, out.n), (ssize_t)out.n);
        (void)close(fd);
        (void)snprintf(pass, sizeof pass, "pass:%s", password);
        assert_int_equal(run((const char *const[]){ "openssl", "pkcs12", "-in", path, "-info", "-nokeys", "-passin", pass, NULL },
                             text, sizeof text),
                         0);
        assert_non_null(strstr(text, legacy ? "MAC: sha1, Iteration 10000" : "MAC: sha256, Iteration 10000"));
        assert_non_null(strstr(text, legacy ? "pbeWithSHA1And3-KeyTripleDES-CBC"
                                            : "PBES2, PBKDF2, AES-256-CBC, Iteration 10000, PRF hmacWithSHA256"));
        assert_non_null(strstr(text, "friendlyName: alice@mondomaine.fr"));
        (void)unlink(path);
        buf_done(&out);
        fixture_done(&f);
    }
}

static void bad_p12_orders(void **state)
{
    struct fixture f, other;
    struct error e = ERROR_NONE;
    struct buf out;
    buf_init_secret(&out, 65536);
    fixture_init(&f, PKI_EC_P256);
    fixture_init(&other, PKI_EC_P256);
    assert_int_equal(issue(&f, PKI_USE_USER, "alice@mondomaine.fr", DAY, &e), 0);
    str cert = buf_str(&f.cert), ca = buf_str(&f.ca), name = STR("x");
    assert_int_equal(pki_p12_create(other.key, cert, ca, name, STR("secret"), false, &out, &e), ERR_REFUSED);
    assert_int_equal(pki_p12_create(f.key, cert, ca, name, STR(""), false, &out, &e), ERR_SYNTAX);
    assert_int_equal(pki_p12_create(f.key, cert, ca, name, STR("a\0b"), false, &out, &e), ERR_SYNTAX);
    assert_int_equal(pki_p12_create(f.key, cert, ca, name, STR("\xff"), false, &out, &e), ERR_SYNTAX);
    assert_int_equal(pki_p12_create(f.key, STR("x"), ca, name, STR("secret"), false, &out, &e), ERR_SYNTAX);
    assert_int_equal(out.n, 0);
    buf_done(&out);
    fixture_done(&f);
    fixture_done(&other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(user_certificates_verify),
        cmocka_unit_test(names_and_times_are_checked),
        cmocka_unit_test(proofs_are_checked),
        cmocka_unit_test(renewal),
        cmocka_unit_test(p12_files),
        cmocka_unit_test(bad_p12_orders),
    };
    return cmocka_run_group_tests(tests, allow, NULL);
}
