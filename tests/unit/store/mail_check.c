/* Planted damage: for each invariant a row is changed behind the model's back, and mail_check must name it. */
#include "mail_fixture.h"
#include "store/codec.h"
#include "store/keys.h"

static void mend_nothing(struct engine_txn *t, struct engine *g, engine_part id) {}

static str row_get(struct engine *g, engine_part id, struct key k, struct arena *a)
{
    str name = key_str(&k), value;
    assert_int_equal(engine_get(g, id, &name, 1, ENGINE_SYNCED, a, &value, NULL), 0);
    assert_non_null(value.p);
    return value;
}

static void put(struct engine_txn *t, struct key k, str value)
{
    engine_put(t, key_str(&k), value);
}

/* Changes a decoded record of type TYPE at key K by STATEMENT, in which it is called x. */
#define DAMAGE(type, kind, k, ...)                                                                                               \
    do {                                                                                                                         \
        struct arena damage_a = ARENA_INIT(1 << 20);                                                                             \
        struct buf damage_b = BUF_INIT(ENGINE_VALUE_MAX);                                                                        \
        struct type x;                                                                                                           \
        assert_int_equal(kind##_decode(row_get(g, id, (k), &damage_a), &x), 0);                                                  \
        __VA_ARGS__;                                                                                                             \
        kind##_encode(&damage_b, &x);                                                                                            \
        put(t, (k), buf_str(&damage_b));                                                                                         \
        buf_done(&damage_b);                                                                                                     \
        arena_done(&damage_a);                                                                                                   \
    } while (0)

static void entry_change(struct engine_txn *t, struct engine *g, engine_part id, uint32_t uid,
                         void (*change)(struct mail_entry *))
{
    struct arena a = ARENA_INIT(1 << 20);
    struct buf b = BUF_INIT(ENGINE_VALUE_MAX);
    struct mail_entry e;
    struct key k = key_of_entry(1, uid);
    assert_int_equal(entry_decode(row_get(g, id, k, &a), uid, &e), 0);
    change(&e);
    entry_encode(&b, &e);
    put(t, k, buf_str(&b));
    buf_done(&b);
    arena_done(&a);
}

static void change_modseq(struct mail_entry *e)
{
    e->modseq = 1000;
}
static void change_log(struct mail_entry *e)
{
    e->modseq++;
}
static void change_email(struct mail_entry *e)
{
    e->email = 77;
}
static void change_size(struct mail_entry *e)
{
    e->size++;
}
static void change_keyword(struct mail_entry *e)
{
    e->flags |= 1 << 9;
}

static void entry_modseq(struct engine_txn *t, struct engine *g, engine_part id)
{
    entry_change(t, g, id, 1, change_modseq);
}
static void entry_not_logged(struct engine_txn *t, struct engine *g, engine_part id)
{
    entry_change(t, g, id, 1, change_log);
}
static void entry_email(struct engine_txn *t, struct engine *g, engine_part id)
{
    entry_change(t, g, id, 1, change_email);
}
static void entry_size(struct engine_txn *t, struct engine *g, engine_part id)
{
    entry_change(t, g, id, 1, change_size);
}
static void entry_keyword(struct engine_txn *t, struct engine *g, engine_part id)
{
    entry_change(t, g, id, 1, change_keyword);
}

static void entry_lost(struct engine_txn *t, struct engine *g, engine_part id)
{
    struct key k = key_of_entry(1, 2);
    engine_del(t, key_str(&k));
}
static void uidnext_low(struct engine_txn *t, struct engine *g, engine_part id)
{
    DAMAGE(mail_counters, counters, key_of_id(KEY_COUNTERS, 1), x.uidnext = 3);
}
static void counts_wrong(struct engine_txn *t, struct engine *g, engine_part id)
{
    DAMAGE(mail_counters, counters, key_of_id(KEY_COUNTERS, 1), x.unseen++);
}
static void counters_lost(struct engine_txn *t, struct engine *g, engine_part id)
{
    struct key k = key_of_id(KEY_COUNTERS, 2);
    engine_del(t, key_str(&k));
}
static void mailbox_modseq(struct engine_txn *t, struct engine *g, engine_part id)
{
    DAMAGE(mail_counters, counters, key_of_id(KEY_COUNTERS, 2), x.modseq = 1 << 20);
}
static void uidvalidity_never(struct engine_txn *t, struct engine *g, engine_part id)
{
    DAMAGE(mailbox_record, mailbox, key_of_id(KEY_MAILBOX, 6), x.uidvalidity += 100);
}
static void uidvalidity_twice(struct engine_txn *t, struct engine *g, engine_part id)
{
    DAMAGE(mailbox_record, mailbox, key_of_id(KEY_MAILBOX, 2), x.uidvalidity++);
}
static void name_twice(struct engine_txn *t, struct engine *g, engine_part id)
{
    DAMAGE(mailbox_record, mailbox, key_of_id(KEY_MAILBOX, 2), x.name = STR("Sent"));
}
static void name_bad(struct engine_txn *t, struct engine *g, engine_part id)
{
    DAMAGE(mailbox_record, mailbox, key_of_id(KEY_MAILBOX, 2), x.name = STR("a//b"));
}
static void no_inbox(struct engine_txn *t, struct engine *g, engine_part id)
{
    DAMAGE(mailbox_record, mailbox, key_of_id(KEY_MAILBOX, 1), x.name = STR("Out"));
}
static void email_lost(struct engine_txn *t, struct engine *g, engine_part id)
{
    struct key k = key_of_id(KEY_EMAIL, 2);
    engine_del(t, key_str(&k));
}
static void refs_wrong(struct engine_txn *t, struct engine *g, engine_part id)
{
    struct buf b = BUF_INIT(64);
    refs_encode(&b, 2);
    put(t, key_of_id(KEY_REFS, 2), buf_str(&b));
    buf_done(&b);
}
static void email_orphan(struct engine_txn *t, struct engine *g, engine_part id)
{
    struct arena a = ARENA_INIT(1 << 20);
    put(t, key_of_id(KEY_EMAIL, 4), row_get(g, id, key_of_id(KEY_EMAIL, 3), &a));
    arena_done(&a);
}
static void email_garbage(struct engine_txn *t, struct engine *g, engine_part id)
{
    put(t, key_of_id(KEY_EMAIL, 3), STR("garbage"));
}
static void blob_unlinked(struct engine_txn *t, struct engine *g, engine_part id)
{
    struct arena a = ARENA_INIT(1 << 20);
    struct email_record e;
    assert_int_equal(email_decode(row_get(g, id, key_of_id(KEY_EMAIL, 2), &a), &e), 0);
    engine_unlink(t, e.blob);
    arena_done(&a);
}
static void blob_missing(struct engine_txn *t, struct engine *g, engine_part id)
{
    DAMAGE(email_record, email, key_of_id(KEY_EMAIL, 2), x.blob.b[9] ^= 1);
}
static void email_size(struct engine_txn *t, struct engine *g, engine_part id)
{
    DAMAGE(email_record, email, key_of_id(KEY_EMAIL, 2), x.size += 3);
}
static void structure_bad(struct engine_txn *t, struct engine *g, engine_part id)
{
    DAMAGE(email_record, email, key_of_id(KEY_EMAIL, 2), x.structure = str_sub(x.structure, 0, x.structure.n / 2));
}
static void log_hole(struct engine_txn *t, struct engine *g, engine_part id)
{
    struct key k = key_of_id(KEY_CHANGE, 2);
    engine_del(t, key_str(&k));
}
static void log_tail(struct engine_txn *t, struct engine *g, engine_part id)
{
    DAMAGE(header_record, header, key_of(KEY_HEADER), x.modseq++);
}
static void log_garbage(struct engine_txn *t, struct engine *g, engine_part id)
{
    put(t, key_of_id(KEY_CHANGE, 2), STR("\1\77"));
}
static void expunged_is_there(struct engine_txn *t, struct engine *g, engine_part id)
{
    struct buf b = BUF_INIT(256);
    uint32_t range[1][2] = { { 2, 2 } };
    struct key k = key_of_id(KEY_CHANGE, 1);
    change_begin(&b);
    change_add(&b, CHANGE_EXPUNGE, 1, (const uint32_t(*)[2])range, 1);
    put(t, k, buf_str(&b));
    buf_done(&b);
}
static void thread_count(struct engine_txn *t, struct engine *g, engine_part id)
{
    struct arena a = ARENA_INIT(1 << 20);
    struct email_record e;
    assert_int_equal(email_decode(row_get(g, id, key_of_id(KEY_EMAIL, 2), &a), &e), 0);
    assert_int_equal(e.ref_n, 1);
    DAMAGE(thread_record, thread, key_of_id(KEY_THREAD, e.refs[0]), x.emails++);
    arena_done(&a);
}

static void nul_in_the_message(struct engine_txn *t, struct engine *g, engine_part id)
{
    static const char zeros[4096];
    DAMAGE(email_record, email, key_of_id(KEY_EMAIL, 2), engine_put_blob(t, (str){ zeros, (size_t)x.size }, &x.blob));
}

static const struct damage {
    void (*plant)(struct engine_txn *t, struct engine *g, engine_part id);
    const char *want; /* what one of the reports begins with; NULL: no report */
} damages[] = {
    { mend_nothing, NULL },        { uidnext_low, "M1" },       { uidvalidity_never, "M1" },
    { uidvalidity_twice, "M1" },   { entry_modseq, "M2" },      { mailbox_modseq, "M2" },
    { entry_email, "M3" },         { email_lost, "M3" },        { refs_wrong, "M3" },
    { email_orphan, "M3" },        { email_garbage, "M3" },     { entry_size, "M4" },
    { blob_unlinked, "M4" },       { blob_missing, "M4" },      { email_size, "M4" },
    { counts_wrong, "M5" },        { counters_lost, "M5" },     { entry_lost, "M5" },
    { name_twice, "M6" },          { name_bad, "M6" },          { no_inbox, "M6" },
    { structure_bad, "M7" },       { log_hole, "M8" },          { log_tail, "M8" },
    { log_garbage, "M8" },         { expunged_is_there, "M8" }, { entry_not_logged, "M8" },
    { entry_lost, "M8" },          { entry_keyword, "M9" },     { thread_count, "M10" },
    { nul_in_the_message, "M11" },
};

struct reports {
    const char *want;
    bool found;
    char all[4096];
};

static void note(void *ctx, const char *text)
{
    struct reports *r = ctx;
    if (r->want && str_starts(str_from_z(text), str_from_z(r->want)))
        r->found = true;
    snprintf(r->all + strlen(r->all), sizeof r->all - strlen(r->all), "%s; ", text);
}

static void damage_is_found(void **state)
{
    for (size_t i = 0; i < sizeof damages / sizeof *damages; i++) {
        struct fixture f;
        fixture_open(&f);
        for (int m = 0; m < 3; m++)
            fixture_append(&f, "INBOX", m == 1 ? "second" : "m", 0);
        struct engine_txn *t = engine_begin(f.g, f.id, ENGINE_ANY_VERSION);
        damages[i].plant(t, f.g, f.id);
        assert_int_equal(engine_commit(t, NULL), 0);
        struct reports r = { .want = damages[i].want };
        struct mail_check_report report = { 0 };
        assert_int_equal(mail_check(f.s, f.id, true, note, &r, &report), 0);
        if (r.found != (damages[i].want != NULL) || (report.problems > 0) != (damages[i].want != NULL))
            fail_msg("damage %zu: wanted %s, got %s", i, damages[i].want ? damages[i].want : "nothing", r.all);
        mail_account_unref(f.a);
        mail_store_free(f.s);
        engine_close(f.g);
    }
}

/* A damaged account still gives what is left of it, and lets itself be tidied. */
static void a_lost_email_does_not_block_expunge(void **state)
{
    struct fixture f;
    fixture_open(&f);
    for (int m = 0; m < 3; m++)
        fixture_append(&f, "INBOX", "m", MAIL_DELETED);
    struct engine_txn *t = engine_begin(f.g, f.id, ENGINE_ANY_VERSION);
    struct key k = key_of_id(KEY_EMAIL, 2);
    engine_del(t, key_str(&k));
    assert_int_equal(engine_commit(t, NULL), 0);
    struct mail_view *v = fixture_view(&f, "INBOX");
    assert_int_equal(mail_view_expunge(v, NULL, 0), 0);
    fixture_sync(v, true, "expunge 1, expunge 1, expunge 1");
    mail_view_close(v);
    mail_account_unref(f.a);
    mail_store_free(f.s);
    engine_close(f.g);
}

static void an_account_that_is_not_there(void **state)
{
    struct fixture f;
    fixture_open(&f);
    struct mail_check_report report = { 0 };
    assert_int_equal(mail_check(f.s, fixture_part(55), false, NULL, NULL, &report), ERR_NOTFOUND);
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(damage_is_found),
        cmocka_unit_test(a_lost_email_does_not_block_expunge),
        cmocka_unit_test(an_account_that_is_not_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
