/* Runs every script of tests/session/smtp, each in four ways: as it comes, with 1-byte reads, with 512-byte writes, with both.
 *
 * Options ("@"): auth MECHANISM..., certificate-required, submission, lmtp, full-for ADDRESS, over-quota-for ADDRESS, refuse-over-quota, tls-required, tls-off, size-max N,
 * errors-max N, accept ERROR, spool ERROR.
 * Commands ("!"): accepted N; asked N (recipients); message has/lacks/begins/ends TEXT (\r and \n decoded); recipients LIST; from ADDRESS;
 * kept heap/memfd/file; smtputf8; 8bit; 7bit;
 * dsn RET ENVID,NOTIFY:ORCPT,... (numbers of the enums). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/log.h"
#include "service_table.h"
#include "tests/session/script.h"

static int error_by_name(str name)
{
    for (int code = -1; code > ERR_LAST_; code--) {
        if (str_eq(name, str_from_z(err_name(code))))
            return code;
    }
    fail_msg("no error is called %.*s", STR_ARG(name));
    return 0;
}

static bool option(void *user, str words)
{
    struct service_table *t = user;
    str word, rest = words;
    uint64_t n = 0;
    (void)str_split(&rest, ' ', &word);
    if (str_eq(word, STR("submission")))
        t->config.submission = true;
    else if (str_eq(word, STR("lmtp")))
        t->config.lmtp = true;
    else if (str_eq(word, STR("full-for")))
        t->accept_each_error_to = str_ieq(rest, STR("bob@example.org")) ? STR("bob@example.org") : STR("alice@example.org");
    else if (str_eq(word, STR("over-quota-for"))) {
        t->accept_each_error_to = str_ieq(rest, STR("bob@example.org")) ? STR("bob@example.org") : STR("alice@example.org");
        t->accept_each_error = ERR_REFUSED;
    } else if (str_eq(word, STR("refuse-over-quota")))
        t->config.full_is_final = true;
    else if (str_eq(word, STR("certificate-required")))
        t->config.certificate_required = true;
    else if (str_eq(word, STR("auth")))
        return script_auth(rest, &t->config.auth);
    else if (str_eq(word, STR("tls-required")))
        t->config.tls = SMTP_TLS_REQUIRED;
    else if (str_eq(word, STR("tls-off")))
        t->config.tls = SMTP_TLS_OFF;
    else if (str_eq(word, STR("accept")))
        t->accept_error = error_by_name(rest);
    else if (str_eq(word, STR("spool")))
        t->spool_error = error_by_name(rest);
    else if (str_eq(word, STR("size-max")) && str_to_u64(rest, UINT64_MAX, &n))
        t->config.size_max = n;
    else if (str_eq(word, STR("errors-max")) && str_to_u64(rest, 1000, &n))
        t->config.errors_max = (unsigned)n;
    else
        return false;
    return true;
}

static void decode(struct buf *out, str s)
{
    for (size_t i = 0; i < s.n; i++) {
        bool escape = s.p[i] == '\\' && i + 1 < s.n;
        buf_add_byte(out, !escape             ? s.p[i]
                          : s.p[i + 1] == '0' ? '\0'
                          : s.p[i + 1] == 'r' ? '\r'
                          : s.p[i + 1] == 'n' ? '\n'
                          : s.p[i + 1] == 't' ? '\t'
                                              : s.p[i + 1]);
        i += escape;
    }
}

static bool check_message(const struct service_table *t, str words)
{
    struct buf text = BUF_INIT(4096);
    str word, message = buf_str(&t->message);
    (void)str_split(&words, ' ', &word);
    decode(&text, words);
    bool found = str_find(message, buf_str(&text)) < message.n, good = false;
    if (str_eq(word, STR("has")))
        good = found;
    else if (str_eq(word, STR("lacks")))
        good = !found;
    else if (str_eq(word, STR("ends")))
        good = str_ends(message, buf_str(&text));
    else if (str_eq(word, STR("begins")))
        good = str_starts(message, buf_str(&text));
    buf_done(&text);
    return good;
}

static bool command(void *user, str words, struct buf *why)
{
    struct service_table *t = user;
    static const char *const kinds[] = { "heap", "memfd", "file" };
    str word, rest = words;
    uint64_t n = 0;
    (void)str_split(&rest, ' ', &word);
    if (str_eq(word, STR("asked")) && str_to_u64(rest, 1000, &n) && t->asked == n)
        return true;
    if (str_eq(word, STR("accepted")) && str_to_u64(rest, 1000, &n) && t->accepted == n)
        return true;
    if (str_eq(words, STR("revoke"))) {
        t->is_revoked = true;
        return true;
    }
    if (str_eq(word, STR("message")) && check_message(t, rest))
        return true;
    if (str_eq(word, STR("recipients")) && str_eq(rest, buf_str(&t->recipients)))
        return true;
    if (str_eq(word, STR("from")) && str_eq(rest, buf_str(&t->reverse_path)))
        return true;
    if (str_eq(word, STR("dsn")) && str_eq(rest, buf_str(&t->dsn)))
        return true;
    if (str_eq(word, STR("kept")) && str_eq(rest, str_from_z(kinds[t->fd_kind])))
        return true;
    if ((str_eq(word, STR("smtputf8")) && t->smtputf8) || (str_eq(word, STR("8bit")) && t->body_8bit) ||
        (str_eq(word, STR("7bit")) && !t->body_8bit))
        return true;
    buf_add_all(why, STR("does not hold; accepted "), t->accepted ? STR("some") : STR("none"), STR(", recipients "),
                buf_str(&t->recipients), STR(" message "), str_sub(buf_str(&t->message), 0, 1000));
    return false;
}

struct mode {
    size_t read_step, write_step;
    unsigned failed;
};

static bool run_one(void *ctx, const char *path)
{
    struct mode *m = ctx;
    struct service_table table;
    struct buf report = BUF_INIT(1024 * 1024);
    service_table_init(&table);
    struct script_setup setup = { .ops = &smtp_session_ops,
                                  .ctx = &table.config,
                                  .read_step = m->read_step,
                                  .write_step = m->write_step,
                                  .user = &table,
                                  .option = option,
                                  .command = command };
    if (!script_run(path, &setup, &report)) {
        m->failed++;
        print_error("%.*s\n", STR_ARG(buf_str(&report)));
    }
    buf_done(&report);
    service_table_done(&table);
    return true;
}

static void run_all(size_t read_step, size_t write_step)
{
    struct mode m = { .read_step = read_step, .write_step = write_step };
    size_t n = 0;
    assert_true(script_each(SMTP_SCRIPTS, run_one, &m, &n));
    assert_true(n >= 50);
    if (m.failed)
        fail_msg("%u of %zu scripts failed", m.failed, n);
}

static void test_plain(void **state)
{
    run_all(0, 0);
}

static void test_one_byte_reads(void **state)
{
    run_all(1, 0);
}

static void test_small_writes(void **state)
{
    run_all(0, 512);
}

static void test_both(void **state)
{
    run_all(1, 512);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain),
        cmocka_unit_test(test_one_byte_reads),
        cmocka_unit_test(test_small_writes),
        cmocka_unit_test(test_both),
    };
    log_set_level(LOG_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
