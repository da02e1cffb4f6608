/* Fuzzes a conversation with the administrator's socket (role/bulk.h): lines of JSON and the messages behind them, on a store in memory that has
 * one account. */
#include "role/control.h"
#include "role/core.h"

static struct core core;

static void make_core(void)
{
    struct error e = ERROR_NONE;
    log_set_level(LOG_ERROR);
    require(engine_memory_open(&core.engine) == 0);
    core.mail = mail_store_new(core.engine);
    require(directory_open(core.engine, &core.directory, &e) == 0);
    require(directory_domain_add(core.directory, STR("a.fr"), &e) == 0);
    core.admin = (struct admin){ .engine = core.engine, .mail = core.mail, .directory = core.directory };
}

/* What inputs before this one left behind shall not matter. */
static void make_account(void)
{
    engine_part id;
    struct error e = ERROR_NONE;
    struct arena a = ARENA_INIT(1 << 20);
    struct directory_account account;
    (void)!directory_domain_add(core.directory, STR("a.fr"), NULL);
    if (directory_find_account(core.directory, STR("u@a.fr"), &a, &account) == 0) {
        (void)!mail_account_delete(core.mail, account.id);
        id = account.id;
    } else {
        require(directory_account_add(core.directory, STR("u@a.fr"), STR("correct horse battery"), &id, &e) == 0);
    }
    require(mail_account_create(core.mail, id) == 0);
    arena_done(&a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!core.engine)
        make_core();
    make_account();
    struct conn *c = conn_memory_new(&control_session_ops, &core, 7, 512, false, false);
    conn_memory_feed(c, (str){ (const char *)data, size });
    /* Every line of an answer is one object; a message may follow, as many bytes as it says. */
    for (str out = conn_memory_take(c), line; out.n;) {
        json_error_t bad;
        require(str_split(&out, '\n', &line));
        json_t *reply = json_loadb(line.p, line.n, 0, &bad);
        require(json_is_object(reply) && json_is_boolean(json_object_get(reply, "ok")));
        json_int_t bytes = json_integer_value(json_object_get(reply, "bytes"));
        require(bytes >= 0 && (uint64_t)bytes <= out.n);
        out = str_from(out, (size_t)bytes);
        json_decref(reply);
    }
    conn_memory_feed_eof(c);
    conn_memory_free(c);
    return 0;
}
