/* keeper: which keys it signs with, for whom, and what. Only those of the configuration's certificates, for the roles that show them, the former ones for
 * one reload more, the CA's never; and only what a handshake signs. */
#include "../check.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "pki/pki.h"
#include "role/role.h"
#include "role/sealer.h"

static struct role_run run;
static struct buf ca_pem = BUF_INIT(PKI_PEM_MAX), request_pem = BUF_INIT(PKI_PEM_MAX);
static char dir[] = "/tmp/valise-keeper-XXXXXX";
static char ids[3][65]; /* of first.key, second.key, ca.key */
static const char *const files[] = { "first.key", "second.key", "ca.key" };

static int set_up(void **state)
{
    struct error e = ERROR_NONE;
    if (!mkdtemp(dir) || chdir(dir) != 0) /* as keeper lives in keys/ */
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
    buf_done(&ca_pem);
    buf_done(&request_pem);
    arena_done(&run.arena);
    for (int i = 0; i < 3; i++)
        (void)unlink(files[i]);
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
    assert_int_equal(pki_seal_key_make(AT_FDCWD, SEALER_KEY, BENEATH_MODE(0600), NULL), 0);
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

/* --- a core that was taken over asks for certificates --- */

enum { DAY = 86400 };

static struct config config = { .hostname = STR_INIT("mailhost.elsewhere.net") };
static struct role_snapshot snapshot = { .refs = 1, .config = &config };

static void put(const char *path, const char *text)
{
    assert_int_equal(pki_file_write(path, str_from_z(text), 0600, true, NULL), 0);
}

/* What keeper says to an order for NAME; the certificate in OUT. */
static int order(const char *peer, bool user, const char *name, bool outside, uint64_t seconds, str subject, struct buf *out)
{
    struct arena a = ARENA_INIT(1 << 20);
    struct buf request = BUF_INIT(WIRE_ORDER_MAX), reply = BUF_INIT(PKI_PEM_MAX);
    const str names[] = { str_from_z(name) };
    const bool outsides[] = { outside };
    struct frame answer;
    wire_pack_order(&request, &(struct wire_order){ user, seconds, names, outsides, 1, subject });
    struct frame f = { .type = WIRE_ISSUE, .payload = buf_str(&request) };
    int r = channel_serve_frame(role_keeper.service_for(&run, str_from_z(peer)), &f, &a, &reply, &answer);
    int status = r ? r : answer.status;
    buf_reset(out);
    if (status == 0)
        buf_add(out, answer.payload);
    buf_done(&request);
    buf_done(&reply);
    arena_done(&a);
    return status;
}

/* A CA with name constraints, or one of an older valise, which the list alone holds. */
static void have_ca(bool constrained)
{
    static struct arena a = ARENA_INIT(1 << 20);
    struct pki_key *ca = NULL, *key = NULL;
    struct pki_names names;
    assert_int_equal(pki_key_load("ca.key", &ca, NULL), 0);
    assert_int_equal(pki_key_load("first.key", &key, NULL), 0);
    assert_int_equal(pki_names_usual(STR("mondomaine.fr"), &a, &names, NULL), 0);
    buf_reset(&ca_pem);
    buf_reset(&request_pem);
    assert_int_equal(pki_ca_create(ca, STR("mondomaine.fr"), constrained ? &names : NULL, config.hostname, clock_real_ms() / 1000,
                                   &ca_pem, NULL),
                     0);
    assert_int_equal(pki_request_create(key, &request_pem, NULL), 0);
    snapshot.ca_pem = buf_str(&ca_pem);
    run.snapshot = &snapshot;
    pki_key_free(ca);
    pki_key_free(key);
    arena_done(&a);
}

static void test_only_listed_names_are_certified(void **state)
{
    static const struct {
        const char *name;
        bool user, outside;
        int without, listed; /* with no list, and with one */
    } cases[] = {
        { "mail.mondomaine.fr", false, false, 0, 0 },
        { "*.mondomaine.fr", false, false, 0, 0 },
        { "mail.mondomaine.fr", false, true, ERR_REFUSED, ERR_REFUSED },
        { "mailhost.elsewhere.net", false, false, 0, 0 },
        { "alice@mondomaine.fr", true, false, 0, 0 },
        { "127.0.0.1", false, false, 0, 0 },
        { "www.google.com", false, false, ERR_REFUSED, ERR_REFUSED },
        { "*.com", false, false, ERR_REFUSED, ERR_REFUSED },
        { "8.8.8.8", false, false, ERR_REFUSED, ERR_REFUSED },
        { "alice@gmail.com", true, false, ERR_REFUSED, ERR_REFUSED },
        { "mail.zwei.example", false, false, ERR_REFUSED, 0 },
        { "alice@zwei.example", true, false, ERR_REFUSED, 0 },
        { "203.0.113.7", false, false, ERR_REFUSED, 0 },
        { "198.51.100.7", false, false, ERR_REFUSED, ERR_REFUSED },
    };
    struct buf out = BUF_INIT(PKI_PEM_MAX);
    have_ca(false);
    for (int listed = 0; listed < 2; listed++) {
        if (listed)
            put(PKI_NAMES_IN_KEYS, "domain mondomaine.fr\ndomain zwei.example\naddress 127.0.0.0/8\naddress 203.0.113.7\n");
        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
            int expected = listed ? cases[i].listed : cases[i].without;
            /* Asked first, without a time, then ordered. */
            int asked = order("core", cases[i].user, cases[i].name, cases[i].outside, 0, STR(""), &out);
            assert_int_equal(out.n, 0);
            int got = order("core", cases[i].user, cases[i].name, cases[i].outside, DAY, buf_str(&request_pem), &out);
            if (asked != expected || got != expected || (got && out.n) ||
                (!got && !pki_is_issued_by(buf_str(&out), buf_str(&ca_pem))))
                fail_msg("%s, listed %d: asked %d, got %d, wanted %d", cases[i].name, listed, asked, got, expected);
        }
    }
    assert_int_not_equal(order("mx", false, "mail.mondomaine.fr", false, DAY, buf_str(&request_pem), &out), 0);
    buf_done(&out);
}

/* Renewal needs no new proof of a key, so it is judged like an order: by the list as it is now, and for the certificate's own names. */
static void test_renewals_are_judged_by_the_list_of_today(void **state)
{
    struct buf old = BUF_INIT(PKI_PEM_MAX), out = BUF_INIT(PKI_PEM_MAX);
    have_ca(false);
    put(PKI_NAMES_IN_KEYS, "domain mondomaine.fr\ndomain zwei.example\n");
    assert_int_equal(order("core", false, "mail.zwei.example", false, DAY, buf_str(&request_pem), &old), 0);
    assert_int_equal(order("core", false, "mail.zwei.example", false, DAY, buf_str(&old), &out), 0);
    assert_int_equal(order("core", false, "mail.mondomaine.fr", false, DAY, buf_str(&old), &out), ERR_REFUSED);
    put(PKI_NAMES_IN_KEYS, "domain mondomaine.fr\n");
    assert_int_equal(order("core", false, "mail.zwei.example", false, DAY, buf_str(&old), &out), ERR_REFUSED);
    buf_done(&old);
    buf_done(&out);
}

/* The list allows more than the root's own constraints: it has to be made anew before. A list that cannot be read allows nothing. */
static void test_list_and_constraints_both_count(void **state)
{
    struct buf out = BUF_INIT(PKI_PEM_MAX);
    have_ca(true);
    put(PKI_NAMES_IN_KEYS, "domain mondomaine.fr\ndomain zwei.example\naddress 0.0.0.0/0\n");
    assert_int_equal(order("core", false, "mail.mondomaine.fr", false, DAY, buf_str(&request_pem), &out), 0);
    assert_int_equal(order("core", false, "mail.zwei.example", false, DAY, buf_str(&request_pem), &out), ERR_REFUSED);
    assert_int_equal(order("core", false, "8.8.8.8", false, DAY, buf_str(&request_pem), &out), ERR_REFUSED);
    put(PKI_NAMES_IN_KEYS, "domain mondomaine.fr\nnonsense\n");
    assert_int_equal(order("core", false, "mail.mondomaine.fr", false, DAY, buf_str(&request_pem), &out), ERR_SYNTAX);
    assert_int_equal(unlink(PKI_NAMES_IN_KEYS), 0);
    buf_done(&out);
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
        cmocka_unit_test(test_only_listed_names_are_certified),
        cmocka_unit_test(test_renewals_are_judged_by_the_list_of_today),
        cmocka_unit_test(test_list_and_constraints_both_count),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
