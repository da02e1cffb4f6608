/* All dialogues of tests/session/imap, each four times: as they are, read byte by byte, written in pieces of 512 bytes, and both.
 *
 * Lines of its own: "@ auth MECHANISM...", "@ tls-required", "@ append-max N", "@ errors-max N", "@ changes-kept N" (in the change log), "@ delay" (a failed login is held back for a minute),
 * "! append MAILBOX FILE [FLAGS]" puts a message of tests/session/imap/mail into alice's account, "! create MAILBOX", "! quota BYTES MESSAGES",
 * "! large MAILBOX COUNT" one of COUNT lines of 10 bytes, "! reads" counts reads of chunks anew, "! reads-at-most N" looks at them,
 * "! fill MAILBOX COUNT" appends a small message many times, "! disk full", "! disk failing" (commits), "! disk unsure" (syncs), "! disk fine". Accounts: alice and bob, password secret. */
#include "tests/unit/imap/check.h"

#include "base/log.h"
#include "imap/imap.h"
#include "store/faulty/faulty.h"
#include "tests/session/script.h"

enum { APPEND_MAX = 1 << 20 };

struct world {
    struct engine *engine;
    struct mail_store *store;
    struct imap_config config;
    int64_t delay_ms;
    unsigned busy_n; /* logins of bob that found no place */
    uint64_t reads;  /* of the engine, at "! reads" */
};

static const engine_part parts[] = { { { 'a', 'l', 'i', 'c', 'e' } }, { { 'b', 'o', 'b' } } };
static const str names[] = { STR_INIT("alice"), STR_INIT("bob") };

static int authenticate(void *ctx, const struct sasl_attempt *t, struct arena *a, struct imap_login *ret, int64_t *ret_delay_ms)
{
    (void)a;
    struct world *w = ctx;
    if (str_eq(t->login, STR("bob")) && str_eq(t->password, STR("secret of bob's"))) {
        *ret = (struct imap_login){ .account = parts[1], .address = names[1] };
        *ret_delay_ms = w->busy_n < 2 ? 20 : 0;
        return w->busy_n++ < 2 ? ERR_UNAVAILABLE : 0;
    }
    str wanted = t->proof == SASL_PROOF_CERTIFICATE ? t->tls->client_addresses[0] : t->login;
    if (t->proof == SASL_PROOF_CERTIFICATE && t->login.n && !str_eq(t->login, wanted))
        return ERR_REFUSED;
    for (size_t i = 0; i < 2; i++) {
        if (str_eq(wanted, names[i]) && (t->proof != SASL_PROOF_PASSWORD || str_eq(t->password, STR("secret")))) {
            if (t->acting_as.n && !str_eq(t->acting_as, names[i]))
                return ERR_UNSUPPORTED;
            *ret = (struct imap_login){ .account = parts[i], .address = names[i] };
            return 0;
        }
    }
    if (str_eq(t->login, STR("locked")))
        return ERR_AGAIN;
    if (str_eq(t->login, STR("robot")))
        return ERR_UNSUPPORTED;
    *ret_delay_ms = w->delay_ms;
    return ERR_REFUSED;
}

static bool knows_certificate(void *ctx, const struct tls_info *tls)
{
    (void)ctx;
    return str_eq(tls->client_addresses[0], STR("alice"));
}

static void world_init(struct world *w)
{
    *w = (struct world){ 0 };
    assert_int_equal(engine_faulty_open(NULL, NULL, 1, &w->engine), 0);
    w->store = mail_store_new(w->engine);
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(mail_account_create(w->store, parts[i]), 0);
    w->config = (struct imap_config){ .store = w->store,
                                      .hostname = STR("mail.example.org"),
                                      .append_max = APPEND_MAX,
                                      .errors_max = 10,
                                      .ctx = w,
                                      .authenticate = authenticate,
                                      .auth = { .knows_certificate = knows_certificate } };
    sasl_settings_default(&w->config.auth);
    sasl_settings_add_sha1(&w->config.auth);
}

static void world_done(struct world *w)
{
    mail_store_free(w->store);
    engine_close(w->engine);
}

static bool option(void *user, str words)
{
    struct world *w = user;
    str rest = words, word;
    uint64_t kept;
    if (!str_split(&rest, ' ', &word))
        return false;
    if (str_eq(word, STR("tls-required")))
        w->config.tls_required = true;
    else if (str_eq(word, STR("auth")))
        return script_auth(rest, &w->config.auth);
    else if (str_eq(word, STR("delay")))
        w->delay_ms = 60000;
    else if (str_eq(word, STR("append-max")))
        return str_to_u64(rest, 1 << 30, &w->config.append_max);
    else if (str_eq(word, STR("errors-max")))
        return str_to_u32(rest, 1000, &w->config.errors_max);
    else if (str_eq(word, STR("changes-kept")) && str_to_u64(rest, 1 << 20, &kept))
        mail_store_set_changes_kept(w->store, kept);
    else
        return false;
    return true;
}

/* The message FILE with its line ends as CRLF. */
static bool read_message(str file, struct buf *out)
{
    char path[1024];
    (void)snprintf(path, sizeof path, "%s/mail/%.*s", IMAP_SCRIPTS, STR_ARG(file));
    FILE *f = fopen(path, "re");
    if (!f)
        return false;
    for (int c = getc(f); c != EOF; c = getc(f)) {
        if (c == '\n')
            buf_add_byte(out, '\r');
        buf_add_byte(out, (char)c);
    }
    (void)fclose(f);
    return buf_error(out) == 0;
}

static uint64_t flag_bits(str names_of_flags)
{
    static const str flag_names[] = { STR_INIT("seen"), STR_INIT("answered"), STR_INIT("flagged"), STR_INIT("deleted"),
                                      STR_INIT("draft") };
    uint64_t bits = 0;
    str name;
    while (str_split(&names_of_flags, ' ', &name)) {
        for (size_t i = 0; i < 5; i++)
            bits |= str_eq(name, flag_names[i]) ? (uint64_t)1 << i : 0;
    }
    return bits;
}

static int append(struct world *w, struct mail_account *account, str mailbox, str bytes, uint64_t flags, struct error *e)
{
    struct mail_deposit *d = mail_deposit_new(w->store, account);
    int r = mail_deposit_write(d, bytes);
    uint32_t uid, uidvalidity;
    /* 2026-11-23 12:00:00 UTC */
    const struct mail_append item = { .deposit = d, .flags = { .system = flags }, .received_ms = 1795435200000 };
    if (r == 0)
        r = mail_append(account, mailbox, &item, 1, &uid, &uidvalidity, e);
    mail_deposit_free(d);
    return r;
}

/* The disk is full, fails every commit, or is fine. */
static bool set_disk(struct world *w, str state)
{
    bool failing = str_eq(state, STR("failing")), full = str_eq(state, STR("full")), unsure = str_eq(state, STR("unsure"));
    engine_faulty_full(w->engine, full);
    engine_faulty_random(w->engine, ENGINE_FAULTY_COMMIT, failing ? 1000 : 0, (struct engine_fault){ .error = ERR_UNAVAILABLE });
    engine_faulty_random(w->engine, ENGINE_FAULTY_SYNC, unsure ? 1000 : 0, (struct engine_fault){ .error = ERR_UNKNOWN });
    return failing || full || unsure || str_eq(state, STR("fine"));
}

/* How many chunks of blobs were read since "! reads". */
static bool count_reads(struct world *w, str words)
{
    uint64_t max, now = engine_faulty_count(w->engine, ENGINE_FAULTY_BLOB_READ);
    if (str_eq(words, STR("reads"))) {
        w->reads = now;
        return true;
    }
    return str_to_u64(str_from(words, STR("reads-at-most ").n), 1000, &max) && now > w->reads && now - w->reads <= max;
}

static int append_large(struct world *w, struct mail_account *account, str mailbox, uint32_t lines, struct error *e)
{
    struct buf message = BUF_INIT(16 << 20);
    buf_add(&message, STR("A: b\r\n\r\n"));
    for (uint32_t i = 0; i < lines; i++)
        buf_add(&message, STR("12345678\r\n"));
    int r = buf_error(&message) < 0 ? ERR_LIMIT : append(w, account, mailbox, buf_str(&message), 0, e);
    buf_done(&message);
    return r;
}

static bool command(void *user, str words, struct buf *why)
{
    struct world *w = user;
    if (str_starts(words, STR("disk ")))
        return set_disk(w, str_from(words, 5));
    if (str_starts(words, STR("reads")))
        return count_reads(w, words);
    struct mail_account *account;
    struct error e = ERROR_NONE;
    struct buf message = BUF_INIT(1 << 20);
    str rest = words, verb = STR(""), mailbox = STR(""), file = STR("");
    uint32_t count;
    int r = mail_account_open(w->store, parts[0], &account);
    assert_int_equal(r, 0);
    (void)str_split(&rest, ' ', &verb);
    (void)str_split(&rest, ' ', &mailbox);
    if (str_eq(verb, STR("append"))) {
        (void)str_split(&rest, ' ', &file);
        r = read_message(file, &message) ? append(w, account, mailbox, buf_str(&message), flag_bits(rest), &e) : ERR_IO;
    } else if (str_eq(verb, STR("large")) && str_to_u32(rest, 1000000, &count)) {
        r = append_large(w, account, mailbox, count, &e);
    } else if (str_eq(verb, STR("fill")) && str_to_u32(rest, 100000, &count)) {
        for (uint32_t i = 0; r == 0 && i < count; i++)
            r = append(w, account, mailbox, STR("Subject: one of many\r\n\r\nHello\r\n"), 0, &e);
    } else if (str_eq(verb, STR("quota")) && str_to_u32(mailbox, UINT32_MAX, &count)) {
        uint32_t messages = 0;
        r = str_to_u32(rest, UINT32_MAX, &messages) ? mail_account_set_quota(account, count, messages) : ERR_SYNTAX;
    } else if (str_eq(verb, STR("create"))) {
        r = mailbox_create(account, mailbox, MAIL_USE_NONE, &e);
    } else {
        r = ERR_UNSUPPORTED;
    }
    if (r < 0)
        buf_addf(why, "%s %s", err_name(r), e.text);
    mail_account_unref(account);
    buf_done(&message);
    return r == 0;
}

static const struct {
    size_t read_step, write_step;
} modes[] = { { 0, 0 }, { 1, 0 }, { 0, 512 }, { 1, 512 } };

struct tally {
    unsigned failed;
};

static bool run_one(void *ctx, const char *path)
{
    struct tally *tally = ctx;
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
        struct world w;
        struct buf report = BUF_INIT(65536);
        world_init(&w);
        const struct script_setup setup = { .ops = &imap_session_ops,
                                            .ctx = &w.config,
                                            .read_step = modes[i].read_step,
                                            .write_step = modes[i].write_step,
                                            .user = &w,
                                            .option = option,
                                            .command = command };
        if (!script_run(path, &setup, &report)) {
            print_error("mode %zu: %.*s", i, STR_ARG(buf_str(&report)));
            tally->failed++;
            i = sizeof modes / sizeof *modes;
        }
        buf_done(&report);
        world_done(&w);
    }
    return true;
}

static void every_script_holds_in_every_mode(void **state)
{
    (void)state;
    struct tally tally = { 0 };
    size_t n;
    assert_true(script_each(IMAP_SCRIPTS, run_one, &tally, &n));
    print_message("# %zu scripts, %u failed\n", n, tally.failed);
    assert_true(n >= 60);
    assert_int_equal(tally.failed, 0);
}

int main(int argc, char **argv)
{
    log_set_level(LOG_ERROR);
    if (argc > 1) {
        struct tally tally = { 0 };
        for (int i = 1; i < argc; i++)
            (void)run_one(&tally, argv[i]);
        return tally.failed > 0;
    }
    const struct CMUnitTest tests[] = { cmocka_unit_test(every_script_holds_in_every_mode) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
