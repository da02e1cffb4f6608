/* certificates: issued with the CA's key where no server runs, kept on record, revoked once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "pki/pki.h"
#include "config/config.h"
#include "role/certificates.h"
#include "role/keeper.h"

static json_t *issue(struct admin *a, const char *use, const char *name, str request)
{
    json_t *order =
        json_pack("{s:s,s:[s],s:i,s:s%}", "use", use, "names", name, "seconds", 86400, "request", request.p, request.n);
    json_t *reply = certificates_issue(a, order);
    json_decref(order);
    return reply;
}

static const char *error_of(json_t *reply)
{
    static char text[40];
    const char *z = json_string_value(json_object_get(reply, "error"));
    (void)snprintf(text, sizeof text, "%s", z ? z : "none");
    json_decref(reply);
    return text;
}

static void test_issued_recorded_revoked(void **state)
{
    char dir[] = "/tmp/valise-certificates-XXXXXX";
    struct admin a = { 0 };
    struct error e = ERROR_NONE;
    struct pki_key *ca = NULL, *key = NULL;
    struct buf pem = BUF_INIT(PKI_PEM_MAX), request = BUF_INIT(PKI_PEM_MAX);
    bool revoked = true;
    (void)state;
    log_set_level(LOG_ERROR);
    assert_non_null(mkdtemp(dir));
    assert_int_equal(chdir(dir), 0);
    assert_int_equal(mkdir("keys", 0700), 0);
    assert_int_equal(pki_key_generate(PKI_EC_P256, &ca, &e), 0);
    assert_int_equal(pki_key_generate(PKI_EC_P256, &key, &e), 0);
    assert_int_equal(pki_ca_create(ca, STR("mondomaine.fr"), NULL, STR(""), clock_real_ms() / 1000, &pem, &e), 0);
    assert_int_equal(pki_key_store(ca, "keys/ca.key", false, &e), 0);
    assert_int_equal(pki_certificate_store(buf_str(&pem), "ca.pem", false, &e), 0);
    assert_int_equal(pki_request_create(key, &request, &e), 0);
    struct keeper_aide own;
    int at = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(keeper_aide_start(at, &own, &e), 0);
    a.keeper = own.channel;
    (void)close(at);
    assert_int_equal(engine_memory_open(&a.engine), 0);
    assert_int_equal(directory_open(a.engine, &a.directory, &e), 0);
    assert_int_equal(directory_domain_add(a.directory, STR("mondomaine.fr"), &e), 0);

    assert_string_equal(error_of(issue(&a, "server", "mail.example.com", buf_str(&request))), err_name(ERR_REFUSED));
    assert_string_equal(error_of(issue(&a, "user", "nobody@mondomaine.fr", buf_str(&request))), err_name(ERR_NOTFOUND));
    assert_string_equal(error_of(issue(&a, "ca", "mondomaine.fr", buf_str(&request))), err_name(ERR_SYNTAX));
    assert_string_equal(error_of(issue(&a, "server", "mail.mondomaine.fr", STR("x"))), err_name(ERR_SYNTAX));

    json_t *reply = issue(&a, "server", "mail.mondomaine.fr", buf_str(&request));
    assert_true(json_is_true(json_object_get(reply, "ok")));
    str serial = str_from_z(json_string_value(json_object_get(reply, "serial")));
    assert_int_equal(certificates_is_revoked(a.engine, serial, &revoked), 0);
    assert_false(revoked);
    json_t *revoke = json_pack("{s:s%}", "serial", serial.p, serial.n);
    json_decref(certificates_revoke(&a, revoke));
    assert_int_equal(certificates_is_revoked(a.engine, serial, &revoked), 0);
    assert_true(revoked);
    assert_string_equal(error_of(certificates_revoke(&a, revoke)), err_name(ERR_EXISTS));
    assert_int_equal(certificates_is_revoked(a.engine, STR("00"), &revoked), 0);
    assert_false(revoked);
    json_t *list = certificates_list(&a, NULL);
    assert_int_equal(json_array_size(json_object_get(list, "certificates")), 1);
    json_decref(list);
    json_decref(revoke);
    json_decref(reply);

    keeper_aide_stop(&own);
    directory_free(a.directory);
    engine_close(a.engine);
    pki_key_free(ca);
    pki_key_free(key);
    buf_done(&pem);
    buf_done(&request);
    assert_int_equal(unlink("keys/ca.key") | unlink("ca.pem") | rmdir("keys") | chdir("/") | rmdir(dir), 0);
}

static bool is_new(struct admin *to, const json_t *revocation)
{
    json_t *reply = certificates_adopt(to, revocation);
    bool fresh = json_is_true(json_object_get(reply, "new"));
    assert_true(json_is_true(json_object_get(reply, "ok")));
    json_decref(reply);
    return fresh;
}

/* Forty revoked in one store, some of them known to another: after the transfer all are revoked there, once, and nothing else changes. */
static void test_revocations_go_to_another_store(void **state)
{
    struct admin from = { 0 }, to = { 0 };
    struct pki_key *ca = NULL, *key = NULL;
    struct buf ca_pem = BUF_INIT(PKI_PEM_MAX), request = BUF_INIT(PKI_PEM_MAX);
    const str name = STR("alice@mondomaine.fr");
    const struct pki_order order = { PKI_USE_USER, &name, 1, 86400 };
    json_t *all = json_array(), *v;
    size_t i, added = 0;
    (void)state;
    log_set_level(LOG_ERROR);
    assert_int_equal(pki_key_generate(PKI_EC_P256, &ca, NULL), 0);
    assert_int_equal(pki_key_generate(PKI_EC_P256, &key, NULL), 0);
    assert_int_equal(pki_ca_create(ca, STR("mondomaine.fr"), NULL, STR(""), clock_real_ms() / 1000, &ca_pem, NULL), 0);
    assert_int_equal(pki_request_create(key, &request, NULL), 0);
    assert_int_equal(engine_memory_open(&from.engine) | engine_memory_open(&to.engine), 0);
    for (i = 0; i < 40; i++) {
        struct buf pem = BUF_INIT(PKI_PEM_MAX);
        assert_int_equal(pki_issue(ca, buf_str(&ca_pem), buf_str(&request), &order, clock_real_ms() / 1000, &pem, NULL), 0);
        json_t *one =
            json_pack("{s:s,s:I,s:s%}", "use", "user", "revoked-at", (json_int_t)(1000 + i), "certificate", pem.p, pem.n);
        assert_true(is_new(&from, one));
        assert_false(is_new(&from, one));
        if (i == 7) {
            json_object_set_new(one, "revoked-at", json_integer(5));
            assert_true(is_new(&to, one));
        }
        json_decref(one);
        buf_done(&pem);
    }
    for (bool more = true; more;) {
        v = json_array_size(all) ? json_object_get(json_array_get(all, json_array_size(all) - 1), "serial") : NULL;
        json_t *ask = v ? json_pack("{s:O}", "after", v) : json_object(), *reply = certificates_revoked(&from, ask);
        more = json_is_true(json_object_get(reply, "more"));
        assert_true(json_array_size(json_object_get(reply, "certificates")) > 0);
        json_array_extend(all, json_object_get(reply, "certificates"));
        json_decref(reply);
        json_decref(ask);
    }
    assert_int_equal(json_array_size(all), 40);
    json_array_foreach(all, i, v) added += is_new(&to, v);
    assert_int_equal(added, 39);
    json_array_foreach(all, i, v)
    {
        bool revoked = false;
        assert_int_equal(
            certificates_is_revoked(to.engine, str_from_z(json_string_value(json_object_get(v, "serial"))), &revoked), 0);
        assert_true(revoked);
    }
    json_t *list = certificates_list(&to, NULL);
    json_array_foreach(json_object_get(list, "certificates"), i, v)
    {
        json_int_t at = json_integer_value(json_object_get(v, "revoked-at"));
        assert_true(at == 5 || at >= 1000);
        assert_string_equal(json_string_value(json_array_get(json_object_get(v, "names"), 0)), "alice@mondomaine.fr");
    }
    assert_int_equal(json_array_size(json_object_get(list, "certificates")), 40);
    json_decref(list);
    /* By the serial number alone: one that is known keeps its row, one that is not gets one. */
    json_object_set_new(json_array_get(all, 39), "certificate", json_string(""));
    assert_false(is_new(&to, json_array_get(all, 39)));
    v = json_pack("{s:s,s:s,s:i}", "use", "user", "serial", "00c0ffee", "revoked-at", 7);
    bool revoked = false;
    assert_true(is_new(&to, v));
    assert_int_equal(certificates_is_revoked(to.engine, STR("00c0ffee"), &revoked), 0);
    assert_true(revoked);
    json_decref(v);
    static const char *const wrong[] = { "no PEM", "", "" }, *const serials[] = { "", "", "00C0FFEE" };
    for (i = 0; i < 3; i++) {
        v = json_pack("{s:s,s:s,s:s,s:i}", "use", "user", "certificate", wrong[i], "serial", serials[i], "revoked-at", 1);
        assert_string_equal(error_of(certificates_adopt(&to, v)), err_name(ERR_SYNTAX));
        json_decref(v);
    }
    json_decref(all);
    engine_close(from.engine);
    engine_close(to.engine);
    pki_key_free(ca);
    pki_key_free(key);
    buf_done(&ca_pem);
    buf_done(&request);
}

/* --- renewal --- */

struct renewing {
    char dir[40];
    struct admin a;
    struct pki_key *ca;
    struct buf ca_pem;
};

static void put(const char *path, str text)
{
    assert_int_equal(pki_file_write(path, text, 0600, true, NULL), 0);
}

static struct keeper_aide aide;

/* Without a server the host name is the one that there is when the command, and with it the aide, starts. */
static void configure(struct renewing *r, const char *hostname)
{
    struct buf b = BUF_INIT(65536);
    config_write_default(&b, &(struct config_start){ .hostname = str_from_z(hostname), .lab = true });
    put("valise.conf", buf_str(&b));
    buf_done(&b);
    keeper_aide_stop(&aide);
    int at = open(r->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(keeper_aide_start(at, &aide, NULL), 0);
    (void)close(at);
    r->a.keeper = aide.channel;
}

static void renewing_init(struct renewing *r)
{
    struct error e = ERROR_NONE;
    *r = (struct renewing){ .dir = "/tmp/valise-renewal-XXXXXX", .ca_pem = BUF_INIT(PKI_PEM_MAX) };
    log_set_level(LOG_ERROR);
    assert_non_null(mkdtemp(r->dir));
    assert_int_equal(chdir(r->dir), 0);
    assert_int_equal(mkdir("keys", 0700) | mkdir("tls", 0700), 0);
    assert_int_equal(pki_key_generate(PKI_EC_P256, &r->ca, &e), 0);
    assert_int_equal(pki_ca_create(r->ca, STR("mondomaine.fr"), NULL, STR(""), clock_real_ms() / 1000, &r->ca_pem, &e), 0);
    assert_int_equal(pki_key_store(r->ca, "keys/ca.key", false, &e), 0);
    assert_int_equal(pki_certificate_store(buf_str(&r->ca_pem), "ca.pem", false, &e), 0);
    assert_int_equal(engine_memory_open(&r->a.engine), 0);
    assert_int_equal(directory_open(r->a.engine, &r->a.directory, &e), 0);
    assert_int_equal(directory_domain_add(r->a.directory, STR("mondomaine.fr"), &e), 0);
    assert_int_equal(directory_domain_add(r->a.directory, STR("zwei.example"), &e), 0);
    configure(r, "first.elsewhere.net");
    put(PKI_NAMES_FILE, STR("domain mondomaine.fr\ndomain zwei.example\nhost named.elsewhere.net\n"));
}

static void renewing_done(struct renewing *r)
{
    keeper_aide_stop(&aide);
    directory_free(r->a.directory);
    engine_close(r->a.engine);
    pki_key_free(r->ca);
    buf_done(&r->ca_pem);
    assert_int_equal(unlink("keys/ca.key") | unlink(PKI_NAMES_FILE) | unlink("ca.pem") | unlink("valise.conf") |
                         unlink("tls/x.pem") | rmdir("tls") | rmdir("keys") | chdir("/") | rmdir(r->dir),
                     0);
}

/* A certificate for NAME with KEY in tls/x.pem; its serial, the caller's. */
static json_t *place(struct renewing *r, const struct pki_key *key, const char *use, const char *name)
{
    struct buf request = BUF_INIT(PKI_PEM_MAX);
    assert_int_equal(pki_request_create(key, &request, NULL), 0);
    json_t *reply = issue(&r->a, use, name, buf_str(&request));
    if (!json_is_true(json_object_get(reply, "ok")))
        fail_msg("%s: %s", name, json_string_value(json_object_get(reply, "text")));
    put("tls/x.pem", str_from_z(json_string_value(json_object_get(reply, "certificate"))));
    json_t *serial = json_incref(json_object_get(reply, "serial"));
    json_decref(reply);
    buf_done(&request);
    return serial;
}

/* Whether tls/x.pem is renewed: EXPECTED, and words of the refusal. Asking beforehand gives the same. */
static void renews(struct renewing *r, int expected, const char *words)
{
    struct buf pem = BUF_INIT(PKI_PEM_MAX), after = BUF_INIT(PKI_PEM_MAX);
    struct error e = ERROR_NONE;
    json_t *ask = json_pack("{s:s}", "chain", "tls/x.pem");
    assert_int_equal(pki_file_read("tls/x.pem", &pem, NULL), 0);
    int told = certificates_renewable(&r->a, buf_str(&pem), buf_str(&r->ca_pem), &e);
    json_t *reply = certificates_renew(&r->a, ask);
    const char *text = json_string_value(json_object_get(reply, "text"));
    const char *code = json_string_value(json_object_get(reply, "error"));
    if (told != expected || strcmp(code ? code : "none", expected ? err_name(expected) : "none") != 0)
        fail_msg("told %d (%s), then %s: %s", told, e.text, code ? code : "renewed", text ? text : "");
    if (expected && (!strstr(text, words) || !strstr(e.text, words)))
        fail_msg("'%s' and '%s' lack '%s'", text, e.text, words);
    assert_int_equal(pki_file_read("tls/x.pem", &after, NULL), 0);
    assert_int_equal(str_eq(buf_str(&pem), buf_str(&after)), expected != 0);
    json_decref(reply);
    json_decref(ask);
    buf_done(&pem);
    buf_done(&after);
}

static void revoke_one(struct renewing *r, json_t *serial)
{
    json_t *ask = json_pack("{s:O}", "serial", serial), *reply = certificates_revoke(&r->a, ask);
    assert_true(json_is_true(json_object_get(reply, "ok")));
    json_decref(reply);
    json_decref(ask);
}

static void test_revoked_ones_are_not_renewed(void **state)
{
    struct renewing r;
    struct pki_key *first = NULL, *second = NULL;
    (void)state;
    renewing_init(&r);
    assert_int_equal(pki_key_generate(PKI_EC_P256, &first, NULL), 0);
    assert_int_equal(pki_key_generate(PKI_EC_P256, &second, NULL), 0);
    json_t *serial = place(&r, first, "server", "mail.mondomaine.fr");
    renews(&r, 0, "");
    renews(&r, 0, "");
    revoke_one(&r, serial); /* the first of its key; in the file is the third */
    renews(&r, ERR_REFUSED, "another certificate of its key was revoked on ");
    json_decref(serial);
    serial = place(&r, second, "server", "mail.mondomaine.fr");
    renews(&r, 0, "");
    json_decref(serial);
    serial = place(&r, second, "server", "mail.mondomaine.fr");
    revoke_one(&r, serial);
    renews(&r, ERR_REFUSED, "it was revoked on ");
    json_decref(serial);
    pki_key_free(first);
    pki_key_free(second);
    renewing_done(&r);
}

static void test_names_that_are_ours_no_more_are_not_renewed(void **state)
{
    struct renewing r;
    struct pki_key *key = NULL;
    (void)state;
    renewing_init(&r);
    assert_int_equal(pki_key_generate(PKI_EC_P256, &key, NULL), 0);
    json_decref(place(&r, key, "server", "mail.zwei.example"));
    renews(&r, 0, "");
    assert_int_equal(directory_domain_remove(r.a.directory, STR("zwei.example"), NULL), 0); /* the list has it still */
    renews(&r, ERR_REFUSED, "mail.zwei.example");
    assert_int_equal(directory_domain_add(r.a.directory, STR("zwei.example"), NULL), 0);
    put(PKI_NAMES_FILE, STR("domain mondomaine.fr\nhost named.elsewhere.net\n")); /* the directory has it, the list not */
    renews(&r, ERR_REFUSED, "mail.zwei.example");
    json_decref(place(&r, key, "server", "named.elsewhere.net")); /* in no domain, on the list alone */
    renews(&r, 0, "");
    json_decref(place(&r, key, "server", "first.elsewhere.net"));
    renews(&r, 0, "");
    configure(&r, "second.elsewhere.net");
    renews(&r, ERR_REFUSED, "first.elsewhere.net");
    pki_key_free(key);
    renewing_done(&r);
}

static void test_users_are_certified_while_they_may_log_in(void **state)
{
    struct renewing r;
    struct pki_key *key = NULL;
    struct error e = ERROR_NONE;
    engine_part id;
    const str alice = STR("alice@mondomaine.fr");
    struct buf request = BUF_INIT(PKI_PEM_MAX);
    (void)state;
    renewing_init(&r);
    assert_int_equal(pki_key_generate(PKI_EC_P256, &key, NULL), 0);
    assert_int_equal(pki_request_create(key, &request, NULL), 0);
    assert_int_equal(directory_account_add(r.a.directory, alice, STR("correct horse 7 battery"), &id, &e), 0);
    assert_int_equal(directory_alias_add(r.a.directory, STR("info@mondomaine.fr"), &alice, 1, &e), 0);
    assert_int_equal(directory_domain_catch_all(r.a.directory, STR("zwei.example"), alice, &e), 0);
    json_decref(place(&r, key, "user", "info@mondomaine.fr"));
    json_decref(place(&r, key, "user", "alice@mondomaine.fr"));
    renews(&r, ERR_REFUSED, "`valise cert issue --user'");
    assert_string_equal(error_of(issue(&r.a, "user", "anybody@zwei.example", buf_str(&request))), err_name(ERR_NOTFOUND));
    assert_int_equal(directory_account_enable(r.a.directory, alice, false, &e), 0);
    assert_string_equal(error_of(issue(&r.a, "user", "alice@mondomaine.fr", buf_str(&request))), err_name(ERR_REFUSED));
    assert_string_equal(error_of(issue(&r.a, "user", "info@mondomaine.fr", buf_str(&request))), err_name(ERR_REFUSED));
    assert_int_equal(directory_account_enable(r.a.directory, alice, true, &e), 0);
    json_decref(place(&r, key, "user", "alice@mondomaine.fr"));
    buf_done(&request);
    pki_key_free(key);
    renewing_done(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_issued_recorded_revoked),
                                        cmocka_unit_test(test_revocations_go_to_another_store),
                                        cmocka_unit_test(test_revoked_ones_are_not_renewed),
                                        cmocka_unit_test(test_names_that_are_ours_no_more_are_not_renewed),
                                        cmocka_unit_test(test_users_are_certified_while_they_may_log_in) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
