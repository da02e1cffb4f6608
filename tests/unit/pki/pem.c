/* pem: a file that holds no certificate or key says what it holds, and where it is wrong. */
#include "../check.h"

#include "pki/pki.h"

static void test_every_fault_has_its_line(void **state)
{
    (void)state;
    static const struct {
        const char *text, *what, *expected;
    } rows[] = {
        { "", "CERTIFICATE", "it is empty; a CERTIFICATE in PEM form is wanted" },
        { "hello\n", "CERTIFICATE", "there is no line -----BEGIN CERTIFICATE----- in it" },
        { "0\202\1", "CERTIFICATE", "it is in DER form" },
        { "x\n-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "CERTIFICATE",
          "line 2 begins a PRIVATE KEY; a CERTIFICATE is wanted" },
        { "-----BEGIN CERTIFICATE-----\nAAAA\n", "PRIVATE KEY", "line 1 begins a CERTIFICATE; a PRIVATE KEY is wanted" },
        { "-----BEGIN CERTIFICATE-----\nAAAA\n", "CERTIFICATE", "the line -----END CERTIFICATE----- is missing after line 2" },
        { "-----BEGIN CERTIFICATE-----\r\nAA*A\r\n-----END CERTIFICATE-----\r\n", "CERTIFICATE",
          "line 2 holds what is no Base64" },
        { "\n-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "CERTIFICATE", "lines 2 to 4 are damaged" },
        { "-----BEGIN CERTIFICATE-----\nAAAA\n-----BEGIN CERTIFICATE-----\n", "CERTIFICATE", "line 3 begins anew before" },
        { "-----BEGIN EC PRIVATE KEY-----\nAA\n", "PRIVATE KEY", "-----END EC PRIVATE KEY----- is missing after line 2" },
        { "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,X\n\nA!\n", "PRIVATE KEY", "line 4 holds what is no Base64" },
        { "-----BEGIN -----\n", "CERTIFICATE", "there is no line" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct error e = ERROR_NONE;
        str text = check_copy(str_from_z(rows[i].text));
        assert_int_equal(pki_pem_fail(text, rows[i].what, &e), ERR_SYNTAX);
        if (str_find(str_from_z(e.text), str_from_z(rows[i].expected)) == strlen(e.text))
            fail_msg("row %zu says '%s'", i, e.text);
        check_free(text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_every_fault_has_its_line) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
