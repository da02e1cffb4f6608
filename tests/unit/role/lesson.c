/* lesson: a role obeys insecure-lesson only under a root that says it is a lab's. */
#include "../check.h"

#include "pki/pki.h"
#include "role/lesson.h"

static void only_a_lab_gives_lessons(void **state)
{
    (void)state;
    struct pki_key *key = NULL;
    struct buf lab = BUF_INIT(PKI_PEM_MAX), real = BUF_INIT(PKI_PEM_MAX);
    struct config with = { .insecure_lesson = true }, without = { 0 };
    struct error e = ERROR_NONE;
    assert_int_equal(pki_key_generate(PKI_EC_P256, &key, NULL), 0);
    assert_int_equal(pki_ca_create_lab(key, STR("mondomaine.fr"), NULL, STR(""), 1800000000, &lab, NULL), 0);
    assert_int_equal(pki_ca_create(key, STR("mondomaine.fr"), NULL, STR(""), 1800000000, &real, NULL), 0);
    assert_int_equal(lesson_check(&with, buf_str(&lab), &e), 0);
    assert_int_equal(lesson_check(&without, buf_str(&real), &e), 0);
    assert_int_equal(lesson_check(&without, STR(""), &e), 0);
    assert_int_equal(lesson_check(&with, STR(""), &e), ERR_REFUSED);
    assert_int_equal(lesson_check(&with, buf_str(&real), &e), ERR_REFUSED);
    if (str_find(str_from_z(e.text), STR("valise init --lab")) == strlen(e.text))
        fail_msg("no next step: %s", e.text);
    buf_done(&lab);
    buf_done(&real);
    pki_key_free(key);
}

int main(void)
{
    static const struct CMUnitTest tests[] = { cmocka_unit_test(only_a_lab_gives_lessons) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
