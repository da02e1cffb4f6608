/* SCRAM exchanges against GNU SASL's client: proofs that fit, proofs that do not, names that are not there, channel binding. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <gsasl.h>

#include "sasl/sasl.h"

enum { ITERATIONS = 4096 };
static const char salt[SASL_SALT_SIZE + 1] = "0123456789abcdef";
static const uint8_t channel[32] = { 1, 2, 3 }, other_channel[32] = { 9 };

/* alice has the password "pencil"; "down" cannot be looked up; all others get keys that nothing fits. */
static int lookup(void *ctx, str login, enum sasl_hash hash, struct sasl_scram *ret)
{
    unsigned *calls = ctx;
    char client_key[32], salted[32];
    ++*calls;
    if (str_eq(login, STR("down")))
        return ERR_UNAVAILABLE;
    *ret = (struct sasl_scram){ .iterations = ITERATIONS };
    memcpy(ret->salt, salt, SASL_SALT_SIZE);
    if (!str_eq(login, STR("alice")))
        return 0;
    return gsasl_scram_secrets_from_password(hash == SASL_HASH_SHA1 ? GSASL_HASH_SHA1 : GSASL_HASH_SHA256, "pencil", ITERATIONS,
                                             salt, SASL_SALT_SIZE, salted, client_key, (char *)ret->server_key,
                                             (char *)ret->stored_key);
}

struct login {
    const char *mechanism, *name, *authzid, *password;
    const uint8_t *client_channel, *server_channel;
    int expected;          /* of the exchange */
    enum sasl_proof proof; /* when it is 0 */
};

static void set_channel(Gsasl_session *client, const uint8_t *p)
{
    char *text = NULL;
    size_t n = 0;
    assert_int_equal(gsasl_base64_to((const char *)p, 32, &text, &n), GSASL_OK);
    assert_int_equal(gsasl_property_set(client, GSASL_CB_TLS_EXPORTER, text), GSASL_OK);
    gsasl_free(text);
}

/* Runs the exchange until a side ends it. The client's last word about the server's proof in *RET_TRUSTED. */
static int exchange(Gsasl *g, const struct login *l, struct sasl_server *s, bool *ret_trusted)
{
    Gsasl_session *client;
    struct buf challenge = BUF_INIT(1024);
    char *out = NULL;
    size_t n = 0;
    int rc = ERR_AGAIN, client_rc;
    bool first = true;
    assert_int_equal(gsasl_client_start(g, l->mechanism, &client), GSASL_OK);
    assert_int_equal(gsasl_property_set(client, GSASL_AUTHID, l->name), GSASL_OK);
    assert_int_equal(gsasl_property_set(client, GSASL_PASSWORD, l->password), GSASL_OK);
    if (l->authzid)
        assert_int_equal(gsasl_property_set(client, GSASL_AUTHZID, l->authzid), GSASL_OK);
    if (l->client_channel)
        set_channel(client, l->client_channel);
    *ret_trusted = false;
    while (rc == ERR_AGAIN) {
        client_rc = gsasl_step(client, challenge.p, challenge.n, &out, &n);
        if (client_rc != GSASL_NEEDS_MORE && client_rc != GSASL_OK)
            fail_msg("the client %s as %s with %s after '%.*s': %s", l->mechanism, l->name, l->password, (int)challenge.n,
                     challenge.p, gsasl_strerror(client_rc));
        str response = { out, n };
        rc = first ? sasl_server_start(s, &response, &challenge, NULL) : sasl_server_step(s, response, &challenge, NULL);
        first = false;
        gsasl_free(out);
    }
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
        { "SCRAM-SHA-256", "alice", NULL, "pencil", NULL, NULL, 0, SASL_PROOF_RIGHT },
        { "SCRAM-SHA-1", "alice", NULL, "pencil", NULL, NULL, 0, SASL_PROOF_RIGHT },
        { "SCRAM-SHA-256", "alice", "alice", "pencil", NULL, NULL, 0, SASL_PROOF_RIGHT },
        { "SCRAM-SHA-256", "alice", "bob", "pencil", NULL, NULL, 0, SASL_PROOF_RIGHT },
        { "SCRAM-SHA-256", "alice", NULL, "Pencil", NULL, NULL, 0, SASL_PROOF_WRONG },
        { "SCRAM-SHA-1", "alice", NULL, "", NULL, NULL, 0, SASL_PROOF_WRONG },
        { "SCRAM-SHA-256", "nobody", NULL, "pencil", NULL, NULL, 0, SASL_PROOF_WRONG },
        { "SCRAM-SHA-256", "down", NULL, "pencil", NULL, NULL, ERR_UNAVAILABLE, SASL_PROOF_WRONG },
        { "SCRAM-SHA-256-PLUS", "alice", NULL, "pencil", channel, channel, 0, SASL_PROOF_RIGHT },
        { "SCRAM-SHA-1-PLUS", "alice", NULL, "pencil", channel, channel, 0, SASL_PROOF_RIGHT },
        { "SCRAM-SHA-256-PLUS", "alice", NULL, "pencil", other_channel, channel, 0, SASL_PROOF_WRONG },
        { "SCRAM-SHA-256-PLUS", "alice", NULL, "Pencil", channel, channel, 0, SASL_PROOF_WRONG },
        { "SCRAM-SHA-256-PLUS", "alice", NULL, "pencil", channel, NULL, ERR_SYNTAX, SASL_PROOF_WRONG },
    };
    Gsasl *g;
    assert_int_equal(gsasl_init(&g), GSASL_OK);
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        const struct login *l = &table[i];
        struct sasl_server *s = NULL;
        bool trusted;
        unsigned calls = 0;
        const struct sasl_settings settings = { .ctx = &calls, .scram = lookup };
        assert_int_equal(sasl_server_new(sasl_mechanism_find(str_from_z(l->mechanism)), &s, NULL), 0);
        sasl_server_set_settings(s, &settings);
        if (l->server_channel)
            sasl_server_set_binding(s, (str){ (const char *)l->server_channel, 32 });
        int rc = exchange(g, l, s, &trusted);
        const struct sasl_credentials *c = sasl_server_credentials(s);
        if (rc != l->expected || (c != NULL) != (rc == 0) || (c && c->proof != l->proof))
            fail_msg("login %zu: %s", i, err_name(rc));
        assert_true(calls <= 1);
        if (c) {
            assert_int_equal(calls, 1);
            assert_true(str_eq(c->authcid, str_from_z(l->name)));
            assert_true(str_eq(c->authzid, l->authzid && strcmp(l->authzid, l->name) != 0 ? str_from_z(l->authzid) : STR("")));
            assert_int_equal(c->password.n, 0);
            assert_int_equal(trusted, l->proof == SASL_PROOF_RIGHT);
        }
        sasl_server_free(s);
    }
    gsasl_done(g);
}

static int one_step(str response, bool can_bind)
{
    struct sasl_server *s = NULL;
    struct buf challenge = BUF_INIT(8192);
    unsigned calls = 0;
    const struct sasl_settings settings = { .ctx = &calls, .scram = lookup };
    char *copy = malloc(response.n);
    assert_non_null(copy);
    memcpy(copy, response.p, response.n);
    assert_int_equal(sasl_server_new(sasl_mechanism_find(STR("SCRAM-SHA-256")), &s, NULL), 0);
    sasl_server_set_settings(s, &settings);
    if (can_bind)
        sasl_server_set_binding(s, (str){ (const char *)channel, 32 });
    int rc = sasl_server_start(s, &(str){ copy, response.n }, &challenge, NULL);
    if (rc == ERR_AGAIN)
        assert_int_equal(sasl_server_step(s, STR(""), &challenge, NULL), ERR_SYNTAX);
    assert_null(sasl_server_credentials(s));
    sasl_server_free(s);
    buf_done(&challenge);
    free(copy);
    return rc;
}

static void first_messages(void **state)
{
    static const struct {
        str text;
        int expected;
        bool can_bind;
    } table[] = {
        { STR_INIT("n,,n=alice,r=abc"), ERR_AGAIN },
        { STR_INIT("n,a=bob,n=alice,r=abc"), ERR_AGAIN },
        /* "I could bind": no lie of anybody's when the server cannot; when it can, and says so, somebody has cut its offer. */
        { STR_INIT("y,,n=alice,r=abc"), ERR_AGAIN },
        { STR_INIT("y,,n=alice,r=abc"), ERR_SYNTAX, true },
        { STR_INIT("p=tls-exporter,,n=alice,r=abc"), ERR_SYNTAX },
        { STR_INIT("n,,n=,r=abc"), ERR_SYNTAX },
        { STR_INIT("n,,n=alice"), ERR_SYNTAX },
        { STR_INIT("n,,n=ali=2ce,r=abc"), ERR_AGAIN },
        { STR_INIT("n,,n=alice\0,r=abc"), ERR_SYNTAX },
        { STR_INIT("alice"), ERR_SYNTAX },
        { STR_INIT("n"), ERR_SYNTAX },
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        int rc = one_step(table[i].text, table[i].can_bind);
        if (rc != table[i].expected)
            fail_msg("first message %zu: %s", i, err_name(rc));
    }
    struct buf text = BUF_INIT(SASL_RESPONSE_MAX);
    buf_add(&text, STR("n,,n="));
    for (size_t i = 0; i <= SASL_NAME_MAX; i++)
        buf_add_byte(&text, 'a');
    buf_add(&text, STR(",r=abc"));
    assert_int_equal(one_step(buf_str(&text), false), ERR_LIMIT);
    buf_done(&text);
}

/* -PLUS over tls-server-end-point begins only where the channel has that name; the exchange itself is bound.c's. */
static void end_points(void **state)
{
    static const struct {
        const char *mechanism;
        bool has_end_point;
        int expected;
    } table[] = { { "SCRAM-SHA-256-PLUS", true, ERR_AGAIN },
                  { "SCRAM-SHA-1-PLUS", true, ERR_AGAIN },
                  { "SCRAM-SHA-256-PLUS", false, ERR_SYNTAX },
                  { "SCRAM-SHA-256", true, ERR_SYNTAX } };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct sasl_server *s = NULL;
        struct buf challenge = BUF_INIT(8192);
        unsigned calls = 0;
        const struct sasl_settings settings = { .ctx = &calls, .scram = lookup };
        const str first = STR("p=tls-server-end-point,,n=alice,r=abc");
        assert_int_equal(sasl_server_new(sasl_mechanism_find(str_from_z(table[i].mechanism)), &s, NULL), 0);
        sasl_server_set_settings(s, &settings);
        sasl_server_set_binding(s, (str){ (const char *)channel, 32 });
        if (table[i].has_end_point)
            sasl_server_set_end_point(s, (str){ (const char *)other_channel, 32 });
        int rc = sasl_server_start(s, &first, &challenge, NULL);
        if (rc != table[i].expected)
            fail_msg("end point %zu: %s", i, err_name(rc));
        if (rc == ERR_AGAIN) {
            assert_true(str_starts(buf_str(&challenge), STR("r=abc")));
            assert_int_equal(calls, 1);
            assert_int_equal(sasl_server_step(s, STR("nonsense"), &challenge, NULL), ERR_SYNTAX);
        }
        assert_null(sasl_server_credentials(s));
        sasl_server_free(s);
        buf_done(&challenge);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = { cmocka_unit_test(logins), cmocka_unit_test(first_messages),
                                               cmocka_unit_test(end_points) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
