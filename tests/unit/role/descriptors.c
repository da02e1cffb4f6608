/* descriptors: the plan fits the limit, gives what was asked for where there is room, and says what does not fit. */
#include "../check.h"

#include "role/descriptors.h"

static struct config *config_of(const char *more)
{
    struct buf b = BUF_INIT(65536);
    struct config *c = NULL;
    struct error e = ERROR_NONE;
    config_write_default(&b, &(struct config_start){ .hostname = STR("mailhost.mondomaine.fr") });
    buf_add_all(&b, STR("\n"), str_from_z(more), STR("\n"));
    if (config_parse("valise.conf", buf_str(&b), &c, &e))
        fail_msg("%s", e.text);
    buf_done(&b);
    return c;
}

static void test_everything_fits_the_limit(void **state)
{
    static const unsigned limits[] = { 256, 300, 512, 1024, 2000, 4096, 20000, 65536, 1u << 20, INT32_MAX };
    static const char *const more[] = { "", "connections-max = 1000000", "workers-max = 1024",
                                        "workers-max = 2 mx-processes = 3" };
    (void)state;
    for (size_t m = 0; m < sizeof more / sizeof more[0]; m++) {
        struct config *c = config_of(more[m]);
        for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
            struct descriptors_plan plan[3];
            for (int role = DESCRIPTORS_KEEPER; role <= DESCRIPTORS_CORE; role++) {
                struct error e = ERROR_NONE;
                if (descriptors_plan(c, (enum descriptors_role)role, limits[i], &plan[role], &e))
                    fail_msg("%s", e.text);
                assert_true((uint64_t)plan[role].connections + plan[role].turned_away + plan[role].reserve < limits[i]);
                assert_true(plan[role].connections <= c->connections_max && plan[role].connections >= 10);
                assert_int_equal(plan[role].lanes, plan[DESCRIPTORS_KEEPER].lanes); /* both ends of a lane count alike */
                assert_int_equal(plan[role].workers, plan[DESCRIPTORS_KEEPER].workers);
            }
            assert_true(plan[DESCRIPTORS_CORE].store_files >= 20 && plan[DESCRIPTORS_CORE].store_files <= 256);
            assert_true(plan[DESCRIPTORS_CORE].control > 0 && plan[DESCRIPTORS_MX].store_files == 0);
        }
        config_free(c);
    }
}

static void test_what_was_asked_for_is_given_where_there_is_room(void **state)
{
    struct config *c = config_of("");
    struct descriptors_plan p;
    (void)state;
    for (int role = DESCRIPTORS_MX; role <= DESCRIPTORS_CORE; role++) {
        assert_int_equal(descriptors_plan(c, (enum descriptors_role)role, 65536, &p, NULL), 0);
        assert_int_equal(p.connections, 20000);
        assert_int_equal(p.turned_away, 256);
        assert_int_equal(p.workers, 64);
        assert_int_equal(p.lanes, 32);
    }
    assert_int_equal(p.store_files, 256);
    /* Two addresses with 200 idle connections each are within what the usual soft limit leaves. */
    assert_int_equal(descriptors_plan(c, DESCRIPTORS_CORE, 1024, &p, NULL), 0);
    assert_true(p.connections >= 400 && p.store_files == 128);
    config_free(c);
}

static void test_what_does_not_fit_is_said(void **state)
{
    struct config *c = config_of("connections-max = 5000"), *plain = config_of(""), *many = config_of("mx-processes = 64");
    struct descriptors_plan p;
    struct error e = ERROR_NONE;
    char text[DESCRIPTORS_TEXT_MAX];
    (void)state;
    assert_true(descriptors_are_few(c, 4096, text));
    assert_non_null(strstr(text, "connections-max is 5000, but 4096 descriptors leave room for "));
    assert_non_null(strstr(text, "LimitNOFILE="));
    assert_false(descriptors_are_few(c, 8192, text));
    assert_false(descriptors_are_few(plain, 20000, text)); /* nobody asked for more */
    assert_true(descriptors_are_few(plain, 1024, text));
    assert_int_equal(descriptors_plan(plain, DESCRIPTORS_CORE, 128, &p, &e), ERR_LIMIT);
    assert_non_null(strstr(e.text, "128 descriptors are too few, at least "));
    assert_int_equal(descriptors_plan(many, DESCRIPTORS_CORE, 512, &p, &e), ERR_LIMIT);
    config_free(c);
    config_free(plain);
    config_free(many);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_everything_fits_the_limit),
        cmocka_unit_test(test_what_was_asked_for_is_given_where_there_is_room),
        cmocka_unit_test(test_what_does_not_fit_is_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
