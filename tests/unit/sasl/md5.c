/* CRAM-MD5 (RFC 2195) and DIGEST-MD5 (RFC 2831) against GNU SASL's client: what fits, what does not, names that are not there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <gsasl.h>
#include <openssl/evp.h>

#include "sasl/sasl.h"

/* alice has the password "pencil"; "down" cannot be looked up; nothing fits all others. */
static int on_password(void *ctx, str login, struct buf *ret)
{
    ++*(unsigned *)ctx;
    buf_add(ret, str_eq(login, STR("alice")) ? STR("pencil") : STR("nothing fits"));
    return str_eq(login, STR("down")) ? ERR_UNAVAILABLE : 0;
}

static int on_digest(void *ctx, str name, str realm, uint8_t ret[SASL_DIGEST_SIZE])
{
    unsigned n = 0;
    uint8_t hash[EVP_MAX_MD_SIZE];
    ++*(unsigned *)ctx;
    memset(ret, 1, SASL_DIGEST_SIZE);
    if (str_eq(name, STR("alice")) && str_eq(realm, STR("a.example"))) {
        assert_int_equal(EVP_Digest("alice:a.example:pencil", 22, hash, &n, EVP_md5(), NULL), 1);
        memcpy(ret, hash, SASL_DIGEST_SIZE);
    }
    return str_eq(name, STR("down")) ? ERR_UNAVAILABLE : 0;
}

static int on_realm(void *ctx, struct buf *ret)
{
    (void)ctx;
    buf_add(ret, STR("a.example"));
    return 0;
}

struct login {
    const char *mechanism, *name, *authzid, *password, *realm;
    int expected;
    enum sasl_proof proof;
};

/* Runs the exchange; *RET_TRUSTED: the client has believed the server's own proof. */
static int exchange(Gsasl *g, const struct login *l, struct sasl_server *s, bool *ret_trusted)
{
    Gsasl_session *client;
    struct buf challenge = BUF_INIT(4096);
    char *out = NULL;
    size_t n = 0;
    assert_int_equal(gsasl_client_start(g, l->mechanism, &client), GSASL_OK);
    assert_int_equal(gsasl_property_set(client, GSASL_AUTHID, l->name), GSASL_OK);
    assert_int_equal(gsasl_property_set(client, GSASL_PASSWORD, l->password), GSASL_OK);
    assert_int_equal(gsasl_property_set(client, GSASL_SERVICE, "imap"), GSASL_OK);
    assert_int_equal(gsasl_property_set(client, GSASL_HOSTNAME, "mail.a.example"), GSASL_OK);
    if (l->realm)
        assert_int_equal(gsasl_property_set(client, GSASL_REALM, l->realm), GSASL_OK);
    if (l->authzid)
        assert_int_equal(gsasl_property_set(client, GSASL_AUTHZID, l->authzid), GSASL_OK);
    int rc = sasl_server_start(s, NULL, &challenge, NULL);
    while (rc == ERR_AGAIN) {
        int client_rc = gsasl_step(client, challenge.p, challenge.n, &out, &n);
        assert_true(client_rc == GSASL_OK || client_rc == GSASL_NEEDS_MORE);
        rc = sasl_server_step(s, (str){ out, n }, &challenge, NULL);
        gsasl_free(out);
    }
    *ret_trusted = false;
    if (rc == 0 && challenge.n) {
        *ret_trusted = gsasl_step(client, challenge.p, challenge.n, &out, &n) == GSASL_OK && n == 0;
        gsasl_free(out);
    }
    gsasl_finish(client);
    buf_done(&challenge);
    return rc;
}

static void logins(void **state)
{
    static const struct login table[] = {
        { "CRAM-MD5", "alice", NULL, "pencil", NULL, 0, SASL_PROOF_RIGHT },
        { "CRAM-MD5", "alice", NULL, "Pencil", NULL, 0, SASL_PROOF_WRONG },
        { "CRAM-MD5", "nobody", NULL, "pencil", NULL, 0, SASL_PROOF_WRONG },
        { "CRAM-MD5", "down", NULL, "pencil", NULL, ERR_UNAVAILABLE, SASL_PROOF_WRONG },
        { "DIGEST-MD5", "alice", NULL, "pencil", "a.example", 0, SASL_PROOF_RIGHT },
        { "DIGEST-MD5", "alice", "alice", "pencil", "a.example", 0, SASL_PROOF_RIGHT },
        { "DIGEST-MD5", "alice", "bob", "pencil", "a.example", 0, SASL_PROOF_RIGHT },
        { "DIGEST-MD5", "alice", NULL, "Pencil", "a.example", 0, SASL_PROOF_WRONG },
        { "DIGEST-MD5", "nobody", NULL, "pencil", "a.example", 0, SASL_PROOF_WRONG },
        { "DIGEST-MD5", "down", NULL, "pencil", "a.example", ERR_UNAVAILABLE, SASL_PROOF_WRONG },
    };
    Gsasl *g;
    assert_int_equal(gsasl_init(&g), GSASL_OK);
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        const struct login *l = &table[i];
        struct sasl_server *s = NULL;
        bool trusted, digest = strcmp(l->mechanism, "DIGEST-MD5") == 0;
        unsigned calls = 0;
        const struct sasl_settings settings = { .ctx = &calls, .password = on_password, .digest = on_digest, .realm = on_realm };
        assert_int_equal(sasl_server_new(sasl_mechanism_find(str_from_z(l->mechanism)), &s, NULL), 0);
        sasl_server_set_settings(s, &settings);
        int rc = exchange(g, l, s, &trusted);
        const struct sasl_credentials *c = sasl_server_credentials(s);
        if (rc != l->expected || (c != NULL) != (rc == 0) || (c && c->proof != l->proof))
            fail_msg("login %zu: %s", i, err_name(rc));
        assert_int_equal(calls, 1);
        if (c) {
            assert_true(str_eq(c->authcid, str_from_z(l->name)));
            assert_true(str_eq(c->authzid, l->authzid && strcmp(l->authzid, l->name) != 0 ? str_from_z(l->authzid) : STR("")));
            assert_int_equal(c->password.n, 0);
            assert_int_equal(trusted, digest && l->proof == SASL_PROOF_RIGHT);
        }
        sasl_server_free(s);
    }
    gsasl_done(g);
}

static void malformed(void **state)
{
    static const struct {
        const char *mechanism;
        bool initial;
        str response;
        int expected;
    } table[] = {
        { "CRAM-MD5", false, STR_INIT(""), ERR_SYNTAX },
        { "CRAM-MD5", false, STR_INIT("alice"), ERR_SYNTAX },
        { "CRAM-MD5", false, STR_INIT("alice 0123456789abcdef0123456789abcde"), ERR_SYNTAX },
        { "CRAM-MD5", false, STR_INIT(" 0123456789abcdef0123456789abcdef"), ERR_SYNTAX },
        { "CRAM-MD5", false, STR_INIT("alice\0x 0123456789abcdef0123456789abcdef"), ERR_SYNTAX },
        { "CRAM-MD5", true, STR_INIT("alice 0123456789abcdef0123456789abcdef"), ERR_SYNTAX },
        { "DIGEST-MD5", false, STR_INIT(""), ERR_SYNTAX },
        { "DIGEST-MD5", false, STR_INIT("username=\"alice\""), ERR_SYNTAX },
        { "DIGEST-MD5", false, STR_INIT("username=\"al\0ice\",realm=\"a.example\""), ERR_SYNTAX },
        { "DIGEST-MD5", false, STR_INIT(",,,=,\"=\","), ERR_SYNTAX },
        { "DIGEST-MD5", true, STR_INIT("username=\"alice\""), ERR_SYNTAX },
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct sasl_server *s = NULL;
        struct buf challenge = BUF_INIT(4096);
        unsigned calls = 0;
        const struct sasl_settings settings = { .ctx = &calls, .password = on_password, .digest = on_digest, .realm = on_realm };
        char *copy = malloc(table[i].response.n + 1);
        assert_non_null(copy);
        memcpy(copy, table[i].response.p, table[i].response.n);
        str response = { copy, table[i].response.n };
        assert_int_equal(sasl_server_new(sasl_mechanism_find(str_from_z(table[i].mechanism)), &s, NULL), 0);
        sasl_server_set_settings(s, &settings);
        int rc = sasl_server_start(s, table[i].initial ? &response : NULL, &challenge, NULL);
        if (!table[i].initial) {
            assert_int_equal(rc, ERR_AGAIN);
            assert_true(challenge.n > 0);
            rc = sasl_server_step(s, response, &challenge, NULL);
        }
        if (rc != table[i].expected || calls)
            fail_msg("response %zu: %s", i, err_name(rc));
        assert_null(sasl_server_credentials(s));
        sasl_server_free(s);
        buf_done(&challenge);
        free(copy);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = { cmocka_unit_test(logins), cmocka_unit_test(malformed) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
