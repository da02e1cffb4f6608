/* rights: the whole product of roles, purposes and operations against answers that are written down here once more, and who has which key. */
#include "../check.h"

#include "role/rights.h"

/* In words, so that it is no copy of the table: mx has two operations with its own TLS keys and gets its tickets; core the same with its own, and is
 * alone with the CA, the sealing key and what is remembered of logins. */
static bool expected(enum rights_role role, enum rights_purpose purpose, enum rights_operation operation)
{
    switch (purpose) {
    case RIGHTS_TLS_MX:
        return role == RIGHTS_MX && (operation == RIGHTS_SIGN_13 || operation == RIGHTS_SIGN_12);
    case RIGHTS_TLS_CORE:
        return role == RIGHTS_CORE && (operation == RIGHTS_SIGN_13 || operation == RIGHTS_SIGN_12);
    case RIGHTS_TICKETS_MX:
        return role == RIGHTS_MX && operation == RIGHTS_HAND_OUT;
    case RIGHTS_TICKETS_CORE:
        return role == RIGHTS_CORE && operation == RIGHTS_HAND_OUT;
    case RIGHTS_CA:
        return role == RIGHTS_CORE && operation == RIGHTS_ISSUE;
    case RIGHTS_SEAL:
        return role == RIGHTS_CORE && (operation == RIGHTS_DO_SEAL || operation == RIGHTS_DO_UNSEAL);
    case RIGHTS_LOGINS:
        return role == RIGHTS_CORE &&
               (operation == RIGHTS_ASK_LOGIN || operation == RIGHTS_REMEMBER_LOGIN || operation == RIGHTS_FORGET_LOGIN);
    default:
        fail_msg("purpose %d has no expectation", (int)purpose);
    }
    return false;
}

static void test_every_right(void **state)
{
    unsigned granted = 0;
    for (int r = 0; r < RIGHTS_ROLES; r++)
        for (int p = 0; p < RIGHTS_PURPOSES; p++)
            for (int o = 0; o < RIGHTS_OPERATIONS; o++) {
                bool may = rights_allow((enum rights_role)r, 1u << p, (enum rights_operation)o);
                if (may != expected((enum rights_role)r, (enum rights_purpose)p, (enum rights_operation)o))
                    fail_msg("role %d, purpose %d, operation %d", r, p, o);
                granted += may;
            }
    assert_int_equal(granted, 12);
}

/* A key with several purposes may be used as each of them says, one with none not at all. */
static void test_every_set_of_purposes(void **state)
{
    for (int r = 0; r < RIGHTS_ROLES; r++)
        for (int o = 0; o < RIGHTS_OPERATIONS; o++) {
            bool any = false;
            for (unsigned set = 0; set < 1u << RIGHTS_PURPOSES; set++) {
                bool want = false;
                for (int p = 0; p < RIGHTS_PURPOSES; p++)
                    want =
                        want || (set >> p & 1 && expected((enum rights_role)r, (enum rights_purpose)p, (enum rights_operation)o));
                assert_int_equal(rights_allow((enum rights_role)r, set, (enum rights_operation)o), want);
                any = any || want;
            }
            assert_int_equal(rights_offer((enum rights_role)r, (enum rights_operation)o), any);
        }
}

static void test_who_shows_a_certificate(void **state)
{
    enum { MX = 1 << RIGHTS_TLS_MX, CORE = 1 << RIGHTS_TLS_CORE };
    static const struct {
        enum config_protocol protocol;
        enum smtp_tls tls;
        unsigned all, strangers, users;
    } rows[] = {
        { CONFIG_SMTP, SMTP_TLS_OPPORTUNISTIC, MX, MX, 0 },
        { CONFIG_SMTP, SMTP_TLS_IMPLICIT, MX, MX, 0 },
        { CONFIG_SMTP, SMTP_TLS_OFF, 0, 0, 0 },
        { CONFIG_SUBMISSION, SMTP_TLS_REQUIRED, CORE, 0, CORE },
        { CONFIG_IMAP, SMTP_TLS_IMPLICIT, CORE, 0, CORE },
        { CONFIG_IMAP, SMTP_TLS_OFF, 0, 0, 0 },
        { CONFIG_LMTP, SMTP_TLS_OPPORTUNISTIC, CORE, 0, CORE },
        { CONFIG_METRICS, SMTP_TLS_IMPLICIT, CORE, 0, CORE },
    };
    const struct config_certificate shown[] = { { .shown_to = CONFIG_SHOWN_ALL },
                                                { .shown_to = CONFIG_SHOWN_STRANGERS },
                                                { .shown_to = CONFIG_SHOWN_USERS } };
    struct config_listener all[sizeof rows / sizeof rows[0]] = { 0 };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        all[i] = (struct config_listener){ .protocol = rows[i].protocol, .tls = rows[i].tls };
        const struct config c = { .listeners = &all[i], .listener_n = 1, .certificates = shown, .certificate_n = 3 };
        assert_int_equal(rights_of_certificate(&c, 0), rows[i].all);
        assert_int_equal(rights_of_certificate(&c, 1), rows[i].strangers);
        assert_int_equal(rights_of_certificate(&c, 2), rows[i].users);
    }
    const struct config c = {
        .listeners = all, .listener_n = sizeof rows / sizeof rows[0], .certificates = shown, .certificate_n = 3
    };
    assert_int_equal(rights_of_certificate(&c, 0), MX | CORE);
    assert_int_equal(rights_of_certificate(&c, 1), MX);
    assert_int_equal(rights_of_certificate(&c, 2), CORE);
}

static void test_the_table_is_told(void **state)
{
    json_t *v = rights_json();
    const json_t *list = json_object_get(v, "rights");
    size_t operations = 0;
    for (size_t i = 0; i < json_array_size(list); i++)
        operations += json_array_size(json_object_get(json_array_get(list, i), "operations"));
    assert_int_equal(json_array_size(list), 7);
    assert_int_equal(operations, 12);
    assert_string_equal(json_string_value(json_object_get(json_array_get(list, 0), "role")), "mx");
    assert_string_equal(json_string_value(json_object_get(json_array_get(list, 0), "purpose")), "tls of mx");
    json_decref(v);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_every_right), cmocka_unit_test(test_every_set_of_purposes),
                                        cmocka_unit_test(test_who_shows_a_certificate),
                                        cmocka_unit_test(test_the_table_is_told) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
