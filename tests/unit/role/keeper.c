/* keeper: which keys it signs with. Only those of the configuration's certificates, the former ones for one reload more, the CA's never. */
#include "../check.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

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

/* Prepares a configuration whose one certificate has the key ID. */
static int prepare(const char *id, struct error *e)
{
    const struct config_certificate certificate = { .chain = STR("tls/x.pem") };
    const struct wire_identity identity = { .key_id = str_from_z(id) };
    struct config config = { .certificates = &certificate, .certificate_n = 1 };
    const struct role_snapshot s = { .config = &config, .identities = &identity, .identity_n = 1 };
    return role_keeper.prepare(&run, &s, e);
}

static int sign(const char *peer, const char *id, size_t n)
{
    static const char digest[64];
    const struct channel_service *service = role_keeper.service_for(&run, str_from_z(peer));
    struct arena a = ARENA_INIT(65536);
    struct buf request = BUF_INIT(4096), reply = BUF_INIT(4096);
    struct frame answer;
    wire_pack_sign(&request, str_from_z(id), (str){ digest, n });
    struct frame f = { .type = WIRE_SIGN, .payload = buf_str(&request) };
    assert_int_equal(channel_serve_frame(service, &f, &a, &reply, &answer), 0);
    int status = answer.status;
    assert_true(status < 0 || answer.payload.n >= 64);
    buf_done(&request);
    buf_done(&reply);
    arena_done(&a);
    return status;
}

static void test_only_the_configured_key_signs(void **state)
{
    struct error e = ERROR_NONE;
    assert_int_equal(sign("mx", ids[0], 32), ERR_NOTFOUND);
    assert_int_equal(prepare(ids[0], &e), 0);
    assert_int_equal(sign("mx", ids[0], 32), ERR_NOTFOUND); /* not committed yet */
    role_keeper.commit(&run);
    assert_int_equal(sign("mx", ids[0], 32), 0);
    assert_int_equal(sign("core", ids[0], 48), 0);
    assert_int_equal(sign("mx", ids[0], 31), ERR_SYNTAX);
    assert_int_equal(sign("mx", ids[1], 32), ERR_NOTFOUND);
    assert_int_equal(sign("mx", ids[2], 32), ERR_NOTFOUND);
    assert_int_equal(sign("mx", "", 32), ERR_NOTFOUND);
    assert_null(role_keeper.service_for(&run, STR("supervisor")));
}

static void test_a_refused_setup_changes_nothing(void **state)
{
    struct error e = ERROR_NONE;
    assert_int_equal(prepare(ids[2], &e), ERR_NOTFOUND);
    assert_true(str_starts(str_from_z(e.text), STR("tls/x.pem: no file")));
    assert_int_equal(sign("mx", ids[0], 32), 0);
}

static void test_the_former_key_serves_one_reload_more(void **state)
{
    struct error e = ERROR_NONE;
    assert_int_equal(prepare(ids[1], &e), 0);
    role_keeper.commit(&run);
    assert_int_equal(sign("mx", ids[1], 32), 0);
    assert_int_equal(sign("mx", ids[0], 32), 0);
    assert_int_equal(prepare(ids[1], &e), 0);
    role_keeper.commit(&run);
    assert_int_equal(sign("mx", ids[1], 32), 0);
    assert_int_equal(sign("mx", ids[0], 32), ERR_NOTFOUND);
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
        cmocka_unit_test(test_a_refused_setup_changes_nothing),
        cmocka_unit_test(test_secrets_are_sealed_for_core_only),
        cmocka_unit_test(test_the_former_key_serves_one_reload_more),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
