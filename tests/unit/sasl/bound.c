/* SCRAM over a channel of any kind. GNU SASL's client proves for a kind that it knows, so that it judges ours; then what does not fit, and what is
 * malformed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <gsasl.h>

#include "base/base64.h"
#include "sasl/bound.h"

static const char salt[SASL_SALT_SIZE + 1] = "0123456789abcdef";
static const char channel[] = "a channel's name of thirty-two b";

static struct sasl_scram keys_of(enum sasl_hash hash, const char *password)
{
    struct sasl_scram k = { .iterations = 4096 };
    char client_key[32], salted[32];
    memcpy(k.salt, salt, sizeof k.salt);
    assert_int_equal(gsasl_scram_secrets_from_password(hash == SASL_HASH_SHA1 ? GSASL_HASH_SHA1 : GSASL_HASH_SHA256, password,
                                                       4096, salt, SASL_SALT_SIZE, salted, client_key, (char *)k.server_key,
                                                       (char *)k.stored_key),
                     GSASL_OK);
    return k;
}

/* One exchange with GNU SASL's client. The result of the last step; *RET_TRUSTED: the client believes the server. */
static int exchange(enum sasl_hash hash, const char *password, str server_channel, bool *ret_trusted)
{
    Gsasl *g;
    Gsasl_session *client;
    char *out = NULL;
    size_t n = 0;
    struct buf text = BUF_INIT(4096), name = BUF_INIT(512), other = BUF_INIT(512);
    const struct sasl_scram keys = keys_of(hash, "pencil");
    struct bound *b = bound_new(hash, STR("tls-exporter"), server_channel);
    base64_encode(&text, str_from_z(channel));
    assert_int_equal(gsasl_init(&g), GSASL_OK);
    assert_int_equal(gsasl_client_start(g, hash == SASL_HASH_SHA1 ? "SCRAM-SHA-1-PLUS" : "SCRAM-SHA-256-PLUS", &client),
                     GSASL_OK);
    assert_int_equal(gsasl_property_set(client, GSASL_CB_TLS_EXPORTER, buf_z(&text)), GSASL_OK);
    assert_int_equal(gsasl_property_set(client, GSASL_AUTHID, "ali,ce=1"), GSASL_OK);
    assert_int_equal(gsasl_property_set(client, GSASL_AUTHZID, "bob"), GSASL_OK);
    assert_int_equal(gsasl_property_set(client, GSASL_PASSWORD, password), GSASL_OK);

    assert_int_equal(gsasl_step(client, NULL, 0, &out, &n), GSASL_NEEDS_MORE);
    assert_int_equal(bound_first(b, (str){ out, n }, &name, &other), 0);
    gsasl_free(out);
    assert_true(str_eq(buf_str(&name), STR("ali,ce=1")) && str_eq(buf_str(&other), STR("bob")));
    buf_reset(&text);
    assert_int_equal(bound_challenge(b, &keys, &text), 0);
    assert_int_equal(gsasl_step(client, text.p, text.n, &out, &n), GSASL_NEEDS_MORE);
    buf_reset(&text);
    int r = bound_final(b, (str){ out, n }, &text);
    gsasl_free(out);
    *ret_trusted = false;
    if (r == 0) {
        *ret_trusted = gsasl_step(client, text.p, text.n, &out, &n) == GSASL_OK;
        gsasl_free(out);
    }
    gsasl_finish(client);
    gsasl_done(g);
    bound_free(b);
    buf_done(&text);
    buf_done(&name);
    buf_done(&other);
    return r;
}

static void against_the_library(void **state)
{
    bool trusted;
    (void)state;
    for (enum sasl_hash hash = SASL_HASH_SHA1; hash <= SASL_HASH_SHA256; hash++) {
        assert_int_equal(exchange(hash, "pencil", str_from_z(channel), &trusted), 0);
        assert_true(trusted);
        assert_int_equal(exchange(hash, "Pencil", str_from_z(channel), &trusted), ERR_REFUSED);
        assert_int_equal(exchange(hash, "pencil", STR("another channel"), &trusted), ERR_REFUSED);
        assert_int_equal(exchange(hash, "pencil", STR(""), &trusted), ERR_REFUSED);
    }
}

static int first(str message)
{
    struct buf name = BUF_INIT(SASL_NAME_MAX), other = BUF_INIT(SASL_NAME_MAX);
    struct bound *b = bound_new(SASL_HASH_SHA256, STR("tls-server-end-point"), STR("x"));
    char *copy = malloc(message.n ? message.n : 1);
    assert_non_null(copy);
    if (message.n)
        memcpy(copy, message.p, message.n);
    int r = bound_first(b, (str){ copy, message.n }, &name, &other);
    free(copy);
    bound_free(b);
    buf_done(&name);
    buf_done(&other);
    return r;
}

static void first_messages(void **state)
{
    static const struct {
        str text;
        int expected;
    } table[] = {
        { STR_INIT("p=tls-server-end-point,,n=alice,r=abc"), 0 },
        { STR_INIT("p=tls-server-end-point,a=bob,n=alice,r=abc"), 0 },
        { STR_INIT("p=tls-server-end-point,,n=ali=2Cce=3D,r=abc"), 0 },
        { STR_INIT("p=tls-server-end-point,,n=alice,r=abc,x=more"), 0 },
        { STR_INIT("p=tls-exporter,,n=alice,r=abc"), ERR_SYNTAX },
        { STR_INIT("n,,n=alice,r=abc"), ERR_SYNTAX },
        { STR_INIT("y,,n=alice,r=abc"), ERR_SYNTAX },
        { STR_INIT("p=tls-server-end-point,b=bob,n=alice,r=abc"), ERR_SYNTAX },
        { STR_INIT("p=tls-server-end-point,a=,n=alice,r=abc"), ERR_SYNTAX },
        { STR_INIT("p=tls-server-end-point,,m=new,n=alice,r=abc"), ERR_SYNTAX },
        { STR_INIT("p=tls-server-end-point,,n=,r=abc"), ERR_SYNTAX },
        { STR_INIT("p=tls-server-end-point,,n=al=2cice,r=abc"), ERR_SYNTAX },
        { STR_INIT("p=tls-server-end-point,,n=alice=,r=abc"), ERR_SYNTAX },
        { STR_INIT("p=tls-server-end-point,,n=alice,r="), ERR_SYNTAX },
        { STR_INIT("p=tls-server-end-point,,n=alice,r=a b"), ERR_SYNTAX },
        { STR_INIT("p=tls-server-end-point,,n=alice"), ERR_SYNTAX },
        { STR_INIT("p=tls-server-end-point,,n=\xff,r=abc"), ERR_SYNTAX },
        { STR_INIT("p=tls-server-end-point,,"), ERR_SYNTAX },
        { STR_INIT("p=tls-server-end-point"), ERR_SYNTAX },
        { STR_INIT(""), ERR_SYNTAX },
    };
    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        int r = first(table[i].text);
        if (r != table[i].expected)
            fail_msg("first message %zu: %s", i, err_name(r));
    }
}

static void last_messages(void **state)
{
    static const struct {
        const char *text; /* NONCE stands for the nonce */
        int expected;
    } table[] = {
        { "c=cD10bHMtc2VydmVyLWVuZC1wb2ludCwseA==,r=NONCE,p=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", ERR_REFUSED },
        { "c=cD10bHMtc2VydmVyLWVuZC1wb2ludCwseA==,r=NONCE,x=y,p=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", ERR_REFUSED },
        { "c=biws,r=NONCE,p=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", ERR_REFUSED },
        { "c=cD10bHMtc2VydmVyLWVuZC1wb2ludCwseA==,r=NONCE,p=AAAA", ERR_SYNTAX },
        { "c=cD10bHMtc2VydmVyLWVuZC1wb2ludCwseA==,r=NONCE", ERR_SYNTAX },
        { "c=cD10bHMtc2VydmVyLWVuZC1wb2ludCwseA==,p=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", ERR_SYNTAX },
        { "c=!,r=NONCE,p=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", ERR_SYNTAX },
        { "r=NONCE,c=biws,p=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", ERR_SYNTAX },
        { "p=AAAA", ERR_SYNTAX },
        { ",", ERR_SYNTAX },
        { "", ERR_SYNTAX },
    };
    const struct sasl_scram keys = keys_of(SASL_HASH_SHA256, "pencil");
    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct buf name = BUF_INIT(64), other = BUF_INIT(64), out = BUF_INIT(1024), text = BUF_INIT(4096);
        struct bound *b = bound_new(SASL_HASH_SHA256, STR("tls-server-end-point"), STR("x"));
        assert_int_equal(bound_first(b, STR("p=tls-server-end-point,,n=alice,r=abc"), &name, &other), 0);
        assert_int_equal(bound_challenge(b, &keys, &out), 0);
        str nonce = str_sub(buf_str(&out), 2, str_find_byte(buf_str(&out), ',', 0) - 2), rest = str_from_z(table[i].text);
        size_t at = str_find(rest, STR("NONCE"));
        buf_add(&text, str_sub(rest, 0, at));
        if (at < rest.n)
            buf_add_all(&text, nonce, str_from(rest, at + 5));
        buf_reset(&out);
        int r = bound_final(b, buf_str(&text), &out);
        if (r != table[i].expected || out.n)
            fail_msg("last message %zu: %s", i, err_name(r));
        bound_free(b);
        buf_done(&name);
        buf_done(&other);
        buf_done(&out);
        buf_done(&text);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = { cmocka_unit_test(against_the_library), cmocka_unit_test(first_messages),
                                               cmocka_unit_test(last_messages) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
