/* control: administrator's requests over the socket, on a store in memory: what works, what is refused and why. */
#include "../check.h"

#include "base/clock.h"
#include "directory/directory_private.h"
#include "role/control.h"
#include "role/core.h"

static struct core core;

static json_t *ask(const char *line)
{
    struct conn *c = conn_memory_new(&control_session_ops, &core, 1, 512, false, false);
    json_error_t bad;
    conn_memory_feed(c, str_from_z(line));
    conn_memory_feed(c, STR("\r\n"));
    str out = conn_memory_take(c);
    json_t *reply = json_loadb(out.p, out.n, 0, &bad);
    if (!json_is_object(reply))
        fail_msg("%s was answered with '%.*s'", line, STR_ARG(out));
    conn_memory_free(c);
    return reply;
}

static void test_requests(void **state)
{
    (void)state;
    static const struct {
        const char *request, *error; /* NULL: ok */
    } rows[] = {
        { "{\"command\": \"domain.add\", \"domain\": \"mondomaine.fr\"}", NULL },
        { "{\"command\": \"domain.add\", \"domain\": \"mondomaine.fr\"}", "exists" },
        { "{\"command\": \"domain.add\", \"domain\": \"bad domain\"}", "syntax" },
        { "{\"command\": \"domain.add\"}", "syntax" },
        { "{\"command\": \"user.add\", \"address\": \"alice@mondomaine.fr\", \"password\": \"correct horse\"}", NULL },
        { "{\"command\": \"user.add\", \"address\": \"alice@mondomaine.fr\", \"password\": \"correct horse\"}", "exists" },
        { "{\"command\": \"user.add\", \"address\": \"alice@elsewhere.fr\", \"password\": \"correct horse\"}", "refused" },
        { "{\"command\": \"user.passwd\", \"address\": \"nobody@mondomaine.fr\", \"password\": \"x\"}", "not-found" },
        { "{\"command\": \"user.disable\", \"address\": \"alice@mondomaine.fr\"}", NULL },
        { "{\"command\": \"user.enable\", \"address\": \"alice@mondomaine.fr\"}", NULL },
        { "{\"command\": \"alias.add\", \"address\": \"info@mondomaine.fr\", \"targets\": [\"alice@mondomaine.fr\"]}", NULL },
        { "{\"command\": \"domain.remove\", \"domain\": \"mondomaine.fr\"}", "refused" },
        { "{\"command\": \"check\"}", NULL },
        { "{\"command\": \"alias.remove\", \"address\": \"info@mondomaine.fr\"}", NULL },
        { "{\"command\": \"user.remove\", \"address\": \"alice@mondomaine.fr\"}", NULL },
        { "{\"command\": \"domain.remove\", \"domain\": \"mondomaine.fr\"}", NULL },
        { "{\"command\": \"reload\"}", "unavailable" },
        { "{\"command\": \"status\"}", "unavailable" },
        { "{\"command\": \"nonsense\"}", "unsupported" },
        { "[]", "syntax" },
        { "not json", "syntax" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        json_t *reply = ask(rows[i].request);
        const char *error = json_string_value(json_object_get(reply, "error"));
        if (json_is_true(json_object_get(reply, "ok")) != (rows[i].error == NULL) ||
            (rows[i].error && !str_eq(str_from_z(error), str_from_z(rows[i].error))))
            fail_msg("%s gave %s (%s)", rows[i].request, error ? error : "ok", json_string_value(json_object_get(reply, "text")));
        json_decref(reply);
    }
}

static void test_lists(void **state)
{
    (void)state;
    json_decref(ask("{\"command\": \"domain.add\", \"domain\": \"liste.fr\"}"));
    json_decref(ask("{\"command\": \"user.add\", \"address\": \"bob@liste.fr\", \"password\": \"correct horse\"}"));
    json_decref(ask("{\"command\": \"alias.add\", \"address\": \"team@liste.fr\", \"targets\": [\"bob@liste.fr\"]}"));
    json_t *reply = ask("{\"command\": \"user.list\", \"domain\": \"liste.fr\"}");
    const json_t *user = json_array_get(json_object_get(reply, "users"), 0);
    assert_string_equal(json_string_value(json_object_get(user, "address")), "bob@liste.fr");
    assert_true(json_is_true(json_object_get(user, "enabled")));
    json_decref(reply);
    reply = ask("{\"command\": \"alias.list\"}");
    const json_t *alias = json_array_get(json_object_get(reply, "aliases"), 0);
    assert_string_equal(json_string_value(json_array_get(json_object_get(alias, "targets"), 0)), "bob@liste.fr");
    json_decref(reply);
    reply = ask("{\"command\": \"domain.list\"}");
    assert_int_equal(json_array_size(json_object_get(reply, "domains")), 1);
    json_decref(reply);
}

/* What a crash in the middle of user.remove leaves: the name is gone, its mail is not. */
static void a_removal_that_was_cut_off_is_finished(void **state)
{
    (void)state;
    struct error e = ERROR_NONE;
    engine_part id;
    struct mail_account *m;
    json_decref(ask("{\"command\": \"domain.add\", \"domain\": \"gone.fr\"}"));
    json_decref(ask("{\"command\": \"user.add\", \"address\": \"bob@gone.fr\", \"password\": \"correct horse\"}"));
    assert_int_equal(directory_account_remove(core.directory, STR("bob@gone.fr"), false, &id, &e), 0);
    assert_int_equal(mail_account_open(core.mail, id, &m), 0);
    mail_account_unref(m);
    json_decref(ask("{\"command\": \"check\"}"));
    assert_int_equal(mail_account_open(core.mail, id, &m), ERR_NOTFOUND);
    engine_part left;
    size_t n;
    assert_int_equal(directory_left_behind(core.directory, &left, 1, &n), 0);
    assert_int_equal(n, 0);
    json_decref(ask("{\"command\": \"user.add\", \"address\": \"bob@gone.fr\", \"password\": \"correct horse\"}"));
    json_decref(ask("{\"command\": \"user.remove\", \"address\": \"bob@gone.fr\"}"));
    assert_int_equal(directory_left_behind(core.directory, &left, 1, &n), 0);
    assert_int_equal(n, 0);
}

static int64_t days_ago;
static int64_t shifted_clock(void)
{
    return clock_real_ms() - days_ago * 86400 * 1000;
}

/* Mail of a removed user is there for fourteen days, and nobody's; then whoever looks next erases it. */
static void what_is_removed_is_erased_after_fourteen_days(void **state)
{
    (void)state;
    static const struct {
        int days;
        bool erased;
    } rows[] = { { 0, false }, { 13, false }, { 15, true } };
    struct arena a = ARENA_INIT(1 << 16);
    json_decref(ask("{\"command\": \"domain.add\", \"domain\": \"kept.fr\"}"));
    int64_t (*clock)(void) = core.directory->clock;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct directory_account bob;
        struct mail_account *m;
        json_decref(ask("{\"command\": \"user.add\", \"address\": \"bob@kept.fr\", \"password\": \"correct horse\"}"));
        assert_int_equal(directory_find_account(core.directory, STR("bob@kept.fr"), &a, &bob), 0);
        days_ago = rows[i].days;
        core.directory->clock = shifted_clock;
        json_decref(ask("{\"command\": \"user.remove\", \"address\": \"bob@kept.fr\"}"));
        core.directory->clock = clock;
        assert_int_equal(admin_finish_removals(&core.admin), 0);
        int r = mail_account_open(core.mail, bob.id, &m);
        assert_int_equal(r, rows[i].erased ? ERR_NOTFOUND : 0);
        if (r == 0)
            mail_account_unref(m);
        json_t *reply = ask("{\"command\": \"user.undelete\", \"address\": \"bob@kept.fr\"}");
        assert_int_equal(json_is_true(json_object_get(reply, "ok")), !rows[i].erased);
        json_decref(reply);
        json_decref(ask("{\"command\": \"user.remove\", \"address\": \"bob@kept.fr\", \"now\": true}"));
    }
    json_t *reply = ask("{\"command\": \"user.removed\"}");
    const json_t *one;
    size_t i;
    json_array_foreach(json_object_get(reply, "users"), i, one)
        assert_string_not_equal(json_string_value(json_object_get(one, "address")), "bob@kept.fr");
    json_decref(reply);
    arena_done(&a);
}

static bool has_domain(const char *name)
{
    json_t *reply = ask("{\"command\": \"domain.list\"}");
    char *text = json_dumps(reply, 0);
    bool has = strstr(text, name) != NULL;
    free(text);
    json_decref(reply);
    return has;
}

/* A client that asks on and on and reads no answer: they do not pile up, and come when it reads. */
static void test_answers_that_nobody_reads_do_not_pile_up(void **state)
{
    (void)state;
    struct conn *c = conn_memory_new(&control_session_ops, &core, 4096, 512, false, false);
    struct buf many = BUF_INIT(1 << 20);
    for (int i = 0; i < 100; i++) {
        char line[200];
        (void)snprintf(line, sizeof line, "{\"command\": \"domain.add\", \"domain\": \"a-name-that-makes-answers-long-%d.fr\"}",
                       i);
        json_decref(ask(line));
        buf_add(&many, STR("{\"command\": \"domain.list\"}\r\n"));
    }
    buf_add(&many, STR("{\"command\": \"domain.add\", \"domain\": \"last.fr\"}\r\n"));
    layer_memory_block_writes(conn_memory_layer(c), true);
    conn_memory_feed(c, buf_str(&many)); /* less than a connection reads at a time */
    buf_done(&many);
    assert_false(has_domain("last.fr"));
    layer_memory_block_writes(conn_memory_layer(c), false);
    for (int i = 0; i < 1000 && !has_domain("last.fr"); i++) {
        (void)conn_memory_take(c);
        conn_memory_feed(c, STR(""));
    }
    assert_true(has_domain("last.fr"));
    conn_memory_free(c);
    json_decref(ask("{\"command\": \"domain.remove\", \"domain\": \"last.fr\"}"));
}

static int set_up(void **state)
{
    (void)state;
    struct error e = ERROR_NONE;
    log_set_level(LOG_ERROR);
    if (engine_memory_open(&core.engine))
        return -1;
    core.mail = mail_store_new(core.engine);
    if (directory_open(core.engine, &core.directory, &e))
        return -1;
    core.admin = (struct admin){ .engine = core.engine, .mail = core.mail, .directory = core.directory };
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    directory_free(core.directory);
    mail_store_free(core.mail);
    engine_close(core.engine);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_requests), cmocka_unit_test(test_lists),
                                        cmocka_unit_test(test_answers_that_nobody_reads_do_not_pile_up),
                                        cmocka_unit_test(a_removal_that_was_cut_off_is_finished),
                                        cmocka_unit_test(what_is_removed_is_erased_after_fourteen_days) };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
