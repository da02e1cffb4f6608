/* keeper: which keys it signs with, for whom, and what. Only those of the configuration's certificates, for the roles that show them, the former ones for
 * one reload more, the CA's never; and only what a handshake signs. */
#include "../check.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "pki/pki.h"
#include "role/role.h"
#include "role/sealer.h"

static struct role_run run;
static char dir[] = "/tmp/valise-keeper-XXXXXX";
static char ids[3][65]; /* of first.key, second.key, ca.key */
static const char *const files[] = { "keys/first.key", "keys/second.key", "keys/ca.key" };

static int set_up(void **state)
{
    struct error e = ERROR_NONE;
    if (!mkdtemp(dir) || chdir(dir) != 0 || mkdir("keys", 0700) != 0)
        return -1;
    for (int i = 0; i < 3; i++) {
        struct pki_key *key = NULL;
        if (pki_key_generate(PKI_EC_P256, &key, &e) || pki_key_store(key, files[i], false, &e) || pki_key_id(key, ids[i]))
            return -1;
        pki_key_free(key);
    }
    arena_init(&run.arena, 1 << 20);
    log_set_level(LOG_ERROR);
    return role_keeper.start(&run, &e);
}

static int tear_down(void **state)
{
    role_keeper.end(&run);
    arena_done(&run.arena);
    for (int i = 0; i < 3; i++)
        (void)unlink(files[i]);
    (void)rmdir("keys");
    return chdir("/") != 0 || rmdir(dir) != 0;
}

static const struct config_listener listeners[] = { { .protocol = CONFIG_SMTP, .tls = SMTP_TLS_OPPORTUNISTIC },
                                                    { .protocol = CONFIG_IMAP, .tls = SMTP_TLS_IMPLICIT } };

/* Prepares a configuration whose one certificate has the key ID and is shown to TO. */
static int prepare_for(const char *id, enum config_shown to, struct error *e)
{
    const struct config_certificate certificate = { .chain = STR("tls/x.pem"), .shown_to = to };
    const struct wire_identity identity = { .key_id = str_from_z(id) };
    struct config config = { .certificates = &certificate, .certificate_n = 1, .listeners = listeners, .listener_n = 2 };
    const struct role_snapshot s = { .config = &config, .identities = &identity, .identity_n = 1 };
    return role_keeper.prepare(&run, &s, e);
}

static int prepare(const char *id, struct error *e)
{
    return prepare_for(id, CONFIG_SHOWN_ALL, e);
}

static int sign_what(const char *peer, const char *id, uint16_t scheme, str message)
{
    const struct channel_service *service = role_keeper.service_for(&run, str_from_z(peer));
    struct arena a = ARENA_INIT(65536);
    struct buf request = BUF_INIT(4096), reply = BUF_INIT(4096);
    struct frame answer;
    wire_pack_sign(&request, str_from_z(id), scheme, message);
    struct frame f = { .type = WIRE_SIGN, .payload = buf_str(&request) };
    int status = channel_serve_frame(service, &f, &a, &reply, &answer);
    if (status == 0) {
        status = answer.status;
        assert_true(status < 0 || answer.payload.n >= 64);
    }
    buf_done(&request);
    buf_done(&reply);
    arena_done(&a);
    return status;
}

#define VERIFY_13                                                                                                                \
    "                                                                TLS 1.3, server CertificateVerify\0"                        \
    "0123456789abcdef0123456789abcdef"
#define EXCHANGE_12                                                                                                              \
    "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\3\0\x1d\x20"                                               \
    "0123456789abcdef0123456789abcdef"

static int sign(const char *peer, const char *id)
{
    return sign_what(peer, id, TLS_ECDSA_SHA256, STR(VERIFY_13));
}

static void test_only_the_configured_key_signs(void **state)
{
    struct error e = ERROR_NONE;
    assert_int_equal(sign("mx", ids[0]), ERR_NOTFOUND);
    assert_int_equal(prepare(ids[0], &e), 0);
    assert_int_equal(sign("mx", ids[0]), ERR_NOTFOUND); /* not committed yet */
    role_keeper.commit(&run);
    assert_int_equal(sign("mx", ids[0]), 0);
    assert_int_equal(sign("core", ids[0]), 0);
    assert_int_equal(sign("mx", ids[1]), ERR_NOTFOUND);
    assert_int_equal(sign("mx", ids[2]), ERR_NOTFOUND);
    assert_int_equal(sign("mx", ""), ERR_NOTFOUND);
    assert_null(role_keeper.service_for(&run, STR("supervisor")));
}

/* What a taken-over role would like to have signed. */
static void test_only_what_a_handshake_signs_is_signed(void **state)
{
    static const char digest[512] = { 1 };
    for (int i = 0; i < 2; i++) {
        const char *peer = i ? "core" : "mx";
        assert_int_equal(sign_what(peer, ids[0], TLS_ECDSA_SHA256, STR(VERIFY_13)), 0);
        assert_int_equal(sign_what(peer, ids[0], TLS_ECDSA_SHA384, STR(EXCHANGE_12)), 0);
        assert_int_equal(sign_what(peer, ids[0], TLS_RSA_PSS_SHA256, STR(VERIFY_13)), ERR_REFUSED); /* no RSA key */
        assert_int_equal(sign_what(peer, ids[0], TLS_RSA_PKCS1_SHA256, STR(EXCHANGE_12)), ERR_REFUSED);
        assert_int_equal(sign_what(peer, ids[0], 0x0203, STR(EXCHANGE_12)), ERR_REFUSED); /* SHA-1 */
        assert_int_equal(sign_what(peer, ids[0], 0, STR(VERIFY_13)), ERR_REFUSED);
        assert_int_equal(sign_what(peer, ids[0], TLS_ECDSA_SHA256, STR("From: root@example.org\r\n")), ERR_REFUSED);
        for (size_t n = 0; n <= TLS_SIGNED_MAX; n++)
            assert_int_equal(sign_what(peer, ids[0], TLS_ECDSA_SHA256, (str){ digest, n }), ERR_REFUSED);
        assert_int_equal(sign_what(peer, ids[0], TLS_ECDSA_SHA256, (str){ digest, TLS_SIGNED_MAX + 1 }), ERR_CORRUPT);
        assert_int_equal(sign_what(peer, ids[0], TLS_ECDSA_SHA256, (str){ digest, 512 }), ERR_CORRUPT);
    }
}

/* Everything that the roles may not ask ends the lane, or is refused. */
static void test_what_a_role_may_not_ask(void **state)
{
    struct wire_counts before = { 0 }, after = { 0 };
    role_keeper.count(&run, &before);
    for (unsigned type = 0; type < 64; type++) {
        const struct channel_service *service = role_keeper.service_for(&run, STR("mx"));
        struct arena a = ARENA_INIT(65536);
        struct buf reply = BUF_INIT(4096);
        struct frame answer, f = { .type = (uint16_t)type };
        int r = channel_serve_frame(service, &f, &a, &reply, &answer);
        assert_int_equal(r, type == WIRE_SIGN || type == WIRE_TICKET_KEYS ? 0 : ERR_CORRUPT);
        if (type == WIRE_TICKET_KEYS)
            assert_int_equal(reply.n, 160);
        buf_done(&reply);
        arena_done(&a);
    }
    assert_int_equal(sign("mx", ids[2]), ERR_NOTFOUND);
    role_keeper.count(&run, &after);
    assert_int_equal(after.signatures[RIGHTS_MX].refused - before.signatures[RIGHTS_MX].refused, 1);
    assert_int_equal(after.signatures[RIGHTS_MX].made, before.signatures[RIGHTS_MX].made);
    assert_int_equal(after.signatures[RIGHTS_CORE].refused, before.signatures[RIGHTS_CORE].refused);
}

/* A key is for the role that shows its certificate. */
static void test_a_key_has_a_purpose(void **state)
{
    struct error e = ERROR_NONE;
    for (int to = CONFIG_SHOWN_ALL; to <= CONFIG_SHOWN_USERS; to++) {
        for (int twice = 0; twice < 2; twice++) { /* the former set would serve on */
            assert_int_equal(prepare_for(ids[0], (enum config_shown)to, &e), 0);
            role_keeper.commit(&run);
        }
        assert_int_equal(sign("mx", ids[0]), to == CONFIG_SHOWN_USERS ? ERR_REFUSED : 0);
        assert_int_equal(sign("core", ids[0]), to == CONFIG_SHOWN_STRANGERS ? ERR_REFUSED : 0);
    }
    for (int twice = 0; twice < 2; twice++) {
        assert_int_equal(prepare(ids[0], &e), 0);
        role_keeper.commit(&run);
    }
}

static void test_a_refused_setup_changes_nothing(void **state)
{
    struct error e = ERROR_NONE;
    assert_int_equal(prepare(ids[2], &e), ERR_NOTFOUND);
    assert_true(str_starts(str_from_z(e.text), STR("tls/x.pem: no file")));
    assert_int_equal(sign("mx", ids[0]), 0);
}

static void test_the_former_key_serves_one_reload_more(void **state)
{
    struct error e = ERROR_NONE;
    assert_int_equal(prepare(ids[1], &e), 0);
    role_keeper.commit(&run);
    assert_int_equal(sign("mx", ids[1]), 0);
    assert_int_equal(sign("mx", ids[0]), 0);
    assert_int_equal(prepare(ids[1], &e), 0);
    role_keeper.commit(&run);
    assert_int_equal(sign("mx", ids[1]), 0);
    assert_int_equal(sign("mx", ids[0]), ERR_NOTFOUND);
}

/* What PEER gets for TYPE; its answer in OUT. */
static int sealing(const char *peer, uint16_t type, const char *context, str bytes, struct buf *out)
{
    struct arena a = ARENA_INIT(65536);
    struct buf request = BUF_INIT(WIRE_SEAL_MAX), reply = BUF_INIT(WIRE_SEAL_MAX);
    struct frame answer;
    wire_pack_seal(&request, str_from_z(context), bytes);
    struct frame f = { .type = type, .payload = buf_str(&request) };
    int r = channel_serve_frame(role_keeper.service_for(&run, str_from_z(peer)), &f, &a, &reply, &answer);
    int status = r ? r : answer.status;
    if (status == 0)
        buf_add(out, answer.payload);
    buf_done(&request);
    buf_done(&reply);
    arena_done(&a);
    return status;
}

static void test_secrets_are_sealed_for_core_only(void **state)
{
    struct buf sealed = BUF_INIT(WIRE_SEAL_MAX), plain = BUF_INIT(WIRE_SEAL_MAX), none = BUF_INIT(WIRE_SEAL_MAX);
    assert_int_equal(sealing("core", WIRE_SEAL, "alice", STR("secret"), &none), ERR_NOTFOUND); /* no key yet */
    assert_int_equal(pki_seal_key_make(SEALER_KEY, NULL), 0);
    assert_int_equal(sealing("core", WIRE_SEAL, "alice", STR("secret"), &sealed), 0);
    assert_true(str_find(buf_str(&sealed), STR("secret")) == sealed.n);
    assert_int_equal(sealing("core", WIRE_UNSEAL, "alice", buf_str(&sealed), &plain), 0);
    assert_true(str_eq(buf_str(&plain), STR("secret")));
    assert_int_equal(sealing("core", WIRE_UNSEAL, "bob", buf_str(&sealed), &none), ERR_CORRUPT);
    assert_int_not_equal(sealing("mx", WIRE_UNSEAL, "alice", buf_str(&sealed), &none), 0);
    assert_int_not_equal(sealing("mx", WIRE_SEAL, "alice", STR("secret"), &none), 0);
    assert_int_equal(none.n, 0);
    (void)unlink(SEALER_KEY);
    buf_done(&sealed);
    buf_done(&plain);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_only_the_configured_key_signs),
        cmocka_unit_test(test_only_what_a_handshake_signs_is_signed),
        cmocka_unit_test(test_what_a_role_may_not_ask),
        cmocka_unit_test(test_a_key_has_a_purpose),
        cmocka_unit_test(test_a_refused_setup_changes_nothing),
        cmocka_unit_test(test_secrets_are_sealed_for_core_only),
        cmocka_unit_test(test_the_former_key_serves_one_reload_more),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
