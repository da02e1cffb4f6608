/* certificates: issued with the CA's key where no server runs, kept on record, revoked once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "pki/pki.h"
#include "role/certificates.h"

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
    assert_int_equal(pki_ca_create(ca, STR("mondomaine.fr"), clock_real_ms() / 1000, &pem, &e), 0);
    assert_int_equal(pki_key_store(ca, "keys/ca.key", false, &e), 0);
    assert_int_equal(pki_certificate_store(buf_str(&pem), "ca.pem", false, &e), 0);
    assert_int_equal(pki_request_create(key, &request, &e), 0);
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

    directory_free(a.directory);
    engine_close(a.engine);
    pki_key_free(ca);
    pki_key_free(key);
    buf_done(&pem);
    buf_done(&request);
    assert_int_equal(unlink("keys/ca.key") | unlink("ca.pem") | rmdir("keys") | chdir("/") | rmdir(dir), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_issued_recorded_revoked) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
