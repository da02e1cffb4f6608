/* What FETCH and SEARCH answer from the header fields kept beside the structure is byte for byte what they answer from the messages: the same mail, the ugly corpus
 * and some of its own, stands in two accounts; in one the rows are rewritten as they were before fields were kept. */
#include "tests/unit/imap/check.h"

#include <dirent.h>
#include <stdio.h>

#include "base/log.h"
#include "imap/imap.h"
#include "run/conn.h"
#include "store/codec.h"
#include "store/keys.h"

static const engine_part parts[] = { { { 'a', 'l', 'i', 'c', 'e' } }, { { 'b', 'o', 'b' } } };

static int authenticate(void *ctx, const struct sasl_attempt *t, struct arena *a, struct imap_login *ret, int64_t *ret_delay_ms)
{
    (void)ctx;
    (void)a;
    (void)ret_delay_ms;
    *ret = (struct imap_login){ .account = parts[str_eq(t->login, STR("bob"))], .address = t->login };
    return 0;
}

static struct {
    struct engine *engine;
    struct mail_store *store;
    struct imap_config config;
    struct conn *conns[2];
    char *headers; /* of all messages, to take needles from */
    size_t header_n;
} w;

/* --- the mail --- */

static void deliver(str message, str prefix)
{
    struct mail_deposit *d = mail_deposit_new(w.store, NULL);
    struct mail_recipient to[] = { { .account = parts[0], .prefix = prefix }, { .account = parts[1], .prefix = prefix } };
    mail_deposit_repair(d);
    assert_int_equal(mail_deposit_write(d, message), 0);
    assert_int_equal(mail_deliver(w.store, d, to, 2, NULL), 0);
    mail_deposit_free(d);
    size_t n = message.n < 2000 ? message.n : 2000;
    w.headers = realloc(w.headers, w.header_n + n);
    assert_non_null(w.headers);
    memcpy(w.headers + w.header_n, message.p, n);
    w.header_n += n;
}

static void deliver_z(const char *message)
{
    deliver(str_from_z(message), (str){ NULL, 0 });
}

static void deliver_file(const char *path)
{
    struct buf b = BUF_INIT(1 << 22);
    char piece[65536];
    FILE *f = fopen(path, "re");
    assert_non_null(f);
    for (size_t n; (n = fread(piece, 1, sizeof piece, f)) > 0;)
        buf_add(&b, (str){ piece, n });
    (void)fclose(f);
    deliver(buf_str(&b), w.header_n % 3 ? STR("Return-Path: <x@example.net>\r\nDelivered-To: alice\r\n") : (str){ NULL, 0 });
    buf_done(&b);
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static void deliver_corpus(void)
{
    struct dirent **list;
    int n = scandir(UGLY, &list, NULL, by_name);
    assert_true(n > 300);
    for (int i = 0; i < n; i++) {
        char path[1024];
        (void)snprintf(path, sizeof path, "%s/%s", UGLY, list[i]->d_name);
        if (strstr(list[i]->d_name, ".eml"))
            deliver_file(path);
        free(list[i]);
    }
    free(list);
}

/* Limits of what is kept, and headers that begin and end oddly. */
static void deliver_odd(void)
{
    struct buf b = BUF_INIT(1 << 20);
    for (int n = 10; n <= 2000; n = n * 3 + 7) {
        buf_reset(&b);
        buf_add(&b, STR("Subject: long\r\nTo: a@example.org"));
        for (int i = 0; i < n; i++)
            buf_addf(&b, ",\r\n\tuser%d@example.org", i);
        buf_add(&b, STR("\r\nReferences:"));
        for (int i = 0; i < n / 2; i++)
            buf_addf(&b, "\r\n <id%d@example.org>", i);
        buf_add(&b, STR("\r\nCc: c@example.org\r\n\r\nbody\r\n"));
        deliver(buf_str(&b), STR("Return-Path: <>\r\n"));
    }
    buf_reset(&b);
    for (int i = 0; i < 900; i++)
        buf_add(&b, STR("To:\r\n"));
    deliver(buf_str(&b), (str){ NULL, 0 });
    deliver(STR(" continues what is before it\r\nSubject: s\r\n\r\nx"), STR("Delivered-To: alice\r\n"));
    deliver_z("Subject: the last line is cut");
    deliver_z("Subject : a space\r\nsubject:again\r\nSUBJECT:\r\n third\r\n\r\n");
    for (int n = 0; n < 40; n++) { /* more than a session has in memory: read ahead of the peer */
        buf_reset(&b);
        buf_addf(&b, "Subject: large %d\r\n\r\n", n);
        for (int i = 0; i < 200 + n * 31; i++)
            buf_addf(&b, "line %d of %d, to have some bytes of text in it\r\n", i, n);
        deliver(buf_str(&b), (str){ NULL, 0 });
    }
    buf_done(&b);
    deliver_z("\r\nSubject: none, it is a body\r\n");
    deliver_z("");
    deliver_z("Subject: =?utf-8?q?caf=C3=A9?= =?utf-8?b?w6k=?=\r\nFrom: anne @ example . org (Anne \\) comment)\r\n\r\n");
    deliver_z("From: \"Anne\"\"Marie\" <an\"ne\"@example.org>, x\"y\"z@[1.2.3.4]\r\nTo: a.\r\n b@example.org (c)\r\n\r\n");
    deliver_z("Subject: quarterly budget\r\n\tmeeting  agenda\r\nFrom: \"Name Of\r\n\tSomebody\" <s@t.u>\r\nTo: a@b.c,\n\t  d "
              "e\tf <g@h.i>\r\n\r\n");
    deliver_z("Subject: r\xc3\xa9union budget\r\n\t meeting\r\nReferences: <a@b>\r\n\t<c@d>\r\n\r\n");
    deliver_z("From: Anne<anne@example.org>\r\nBcc: group: x@y.z, w@v.u;\r\nDate: Fri, 32 Dec 2025 00:00:00 +0000\r\n\r\n");
    deliver_z("Date: Thu, 1 Jan 1970 00:00:00 +0000\nSubject: bare\n line ends\n\nbody\n");
    deliver_z("Date: Thu, 1 Jan 9999 00:00:00 +0000\r\n\r\n");
    deliver_z("Date: 1 Jan 0001 00:00:00 +1400\r\nSubject: lone\r\rcr\r\n\r\n");
}

/* --- the former form of rows --- */

struct former {
    struct engine_txn *t;
    struct buf value;
    size_t n, emails, entries;
};

static int former_row(void *ctx, str key, str value)
{
    struct former *f = ctx;
    struct email_record e;
    struct mail_entry m;
    if (key.p[0] == KEY_EMAIL) {
        assert_int_equal(email_decode(value, &e), 0);
        f->emails += e.fields.n > 0;
        e.fields = (str){ NULL, 0 };
        email_encode(&f->value, &e);
    } else if (key.p[0] == KEY_ENTRY) {
        assert_int_equal(entry_decode(value, 1, &m), 0);
        f->entries += m.sent != MAIL_SENT_UNKNOWN;
        m.sent = MAIL_SENT_UNKNOWN;
        entry_encode(&f->value, &m);
    } else {
        return 0;
    }
    assert_int_equal(f->value.p[0], 1); /* the version */
    if (!str_eq(buf_str(&f->value), value)) {
        engine_put(f->t, key, buf_str(&f->value));
        f->n++;
    }
    return f->n == 100;
}

/* Rewrites bob's rows; how many had something of the new form. */
static void make_former(size_t *ret_emails, size_t *ret_entries)
{
    struct former f = { .value = BUF_INIT(ENGINE_VALUE_MAX) };
    int r;
    do {
        f.n = 0;
        f.t = engine_begin(w.engine, parts[1], ENGINE_ANY_VERSION);
        r = engine_scan(w.engine, parts[1], (str){ NULL, 0 }, (str){ NULL, 0 }, ENGINE_SYNCED, former_row, &f, NULL);
        assert_true(r >= 0);
        assert_int_equal(engine_commit(f.t, NULL), 0);
    } while (r == 1);
    buf_done(&f.value);
    *ret_emails = f.emails;
    *ret_entries = f.entries;
}

static void open_store(void)
{
    static const str names[] = { STR_INIT("a LOGIN alice x\r\nb SELECT INBOX\r\n"),
                                 STR_INIT("a LOGIN bob x\r\nb SELECT INBOX\r\n") };
    w.config.store = w.store = mail_store_new(w.engine);
    for (size_t i = 0; i < 2; i++) {
        w.conns[i] = conn_memory_new(&imap_session_ops, &w.config, 0, 0, true, false);
        conn_memory_feed(w.conns[i], names[i]);
        assert_true(str_find(conn_memory_take(w.conns[i]), STR("b OK [READ-WRITE]")) > 0);
    }
}

static void close_store(void)
{
    for (size_t i = 0; i < 2; i++)
        conn_memory_free(w.conns[i]);
    mail_store_free(w.store);
}

static int setup(void **state)
{
    (void)state;
    size_t emails, entries;
    log_set_level(LOG_ERROR);
    w.config =
        (struct imap_config){ .hostname = STR("h"), .append_max = 1 << 20, .errors_max = 1000, .authenticate = authenticate };
    sasl_settings_default(&w.config.auth);
    assert_int_equal(engine_memory_open(&w.engine), 0);
    w.store = mail_store_new(w.engine);
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(mail_account_create(w.store, parts[i]), 0);
    deliver_corpus();
    deliver_odd();
    mail_store_free(w.store);
    make_former(&emails, &entries);
    assert_true(emails > 300 && entries > 300);
    open_store();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    close_store();
    engine_close(w.engine);
    free(w.headers);
    return 0;
}

/* --- the same of both --- */

/* How many lines of the answer begin with "* ". */
static size_t ask(const char *command)
{
    str answers[2];
    for (size_t i = 0; i < 2; i++) {
        conn_memory_feed(w.conns[i], str_from_z(command));
        answers[i] = conn_memory_take(w.conns[i]);
    }
    if (!str_eq(answers[0], answers[1])) {
        size_t at = 0;
        while (at < answers[0].n && at < answers[1].n && answers[0].p[at] == answers[1].p[at])
            at++;
        at = at > 300 ? at - 300 : 0;
        print_error("%s\nkept    ...%.*s\nmessage ...%.*s\n", command, STR_ARG(str_sub(answers[0], at, 600)),
                    STR_ARG(str_sub(answers[1], at, 600)));
        fail();
    }
    size_t n = 0;
    for (size_t at = str_find(answers[0], STR("* ")); at < answers[0].n; n++)
        at += 2 + str_find(str_from(answers[0], at + 2), STR("\r\n* ")) + 2;
    return n;
}

static void test_fetch_answers_the_same(void **state)
{
    (void)state;
    static const char *const items[] = {
        "BODY.PEEK[HEADER.FIELDS (FROM TO CC SUBJECT DATE MESSAGE-ID REFERENCES)]",
        "FLAGS INTERNALDATE RFC822.SIZE BODYSTRUCTURE BODY.PEEK[HEADER.FIELDS (From To Cc Bcc Resent-Message-ID Subject Date "
        "Message-ID Priority "
        "X-Priority References Newsgroups In-Reply-To Content-Type Reply-To)]",
        "ENVELOPE BODY.PEEK[HEADER.FIELDS (DATE FROM SENDER SUBJECT TO CC MESSAGE-ID REFERENCES CONTENT-TYPE CONTENT-DESCRIPTION "
        "IN-REPLY-TO REPLY-TO "
        "LINES LIST-POST X-LABEL)]",
        "BODY.PEEK[HEADER.FIELDS (subject)] BODY.PEEK[HEADER.FIELDS (to)]<3.20> BODY.PEEK[HEADER.FIELDS (return-path "
        "delivered-to)]",
        "BODY.PEEK[HEADER.FIELDS (x-nobody subject)]",
        "BODY.PEEK[HEADER.FIELDS (references)]<0.10> BODY.PEEK[HEADER.FIELDS (cc)]<100000.10>",
        "BODY.PEEK[1.HEADER.FIELDS (subject)] BODY.PEEK[HEADER.FIELDS.NOT (subject)] BODY.PEEK[HEADER]",
    };
    for (size_t i = 0; i < sizeof items / sizeof *items; i++) {
        char command[1024];
        (void)snprintf(command, sizeof command, "c FETCH 1:* (UID %s)\r\n", items[i]);
        size_t n = ask(command);
        if (n <= 300)
            print_error("%zu answers to %s", n, command);
        assert_true(n > 300);
    }
}

/* Messages asked for together, some of them read ahead while others are sent, are those asked for one by one. */
static void test_bodies_together_are_those_one_by_one(void **state)
{
    (void)state;
    struct buf together = BUF_INIT(1 << 26), single = BUF_INIT(1 << 26);
    static const str done = STR_INIT("c OK FETCH completed\r\n");
    conn_memory_feed(w.conns[0], STR("c FETCH 1:* (UID BODY.PEEK[] BODY.PEEK[HEADER.FIELDS (SUBJECT)])\r\n"));
    buf_add(&together, conn_memory_take(w.conns[0]));
    unsigned n = 0;
    for (bool more = true; more;) {
        char command[128];
        (void)snprintf(command, sizeof command, "c FETCH %u (UID BODY.PEEK[] BODY.PEEK[HEADER.FIELDS (SUBJECT)])\r\n", ++n);
        conn_memory_feed(w.conns[0], str_from_z(command));
        str answer = conn_memory_take(w.conns[0]);
        more = str_ends(answer, done);
        if (more)
            buf_add(&single, str_sub(answer, 0, answer.n - done.n));
    }
    buf_add(&single, done);
    assert_true(n > 300);
    assert_true(str_eq(buf_str(&together), buf_str(&single)));
    buf_done(&together);
    buf_done(&single);
}

static void search(const char *key)
{
    char command[512];
    (void)snprintf(command, sizeof command, "c UID SEARCH %s\r\n", key);
    (void)ask(command);
}

static void test_search_answers_the_same(void **state)
{
    (void)state;
    static const char *const fields[] = { "FROM",
                                          "TO",
                                          "CC",
                                          "BCC",
                                          "SUBJECT",
                                          "HEADER Message-ID",
                                          "HEADER References",
                                          "HEADER Return-Path",
                                          "HEADER X-Nobody",
                                          "NOT FROM" };
    static const char *const needles[] = { "",
                                           "a",
                                           "anne@example.org",
                                           "anne",
                                           "annemarie",
                                           "Anne Marie",
                                           "user2@",
                                           "example . org",
                                           "@",
                                           ".",
                                           "id3",
                                           "caf\\xc3\\xa9",
                                           "xyz",
                                           "ab@example.org",
                                           "comment",
                                           "lonecr",
                                           "=?",
                                           "w@v.u",
                                           "group",
                                           "line ends",
                                           "budget meeting",
                                           "meeting   agenda",
                                           "name of somebody",
                                           "d e f",
                                           ">  <",
                                           " " };
    static const char *const others[] = { "SENTSINCE 1-Jan-2020",
                                          "SENTBEFORE 1-Jan-2020",
                                          "SENTON 1-Jan-1970",
                                          "NOT SENTSINCE 1-Jan-1970",
                                          "SENTBEFORE 1-Jan-1000",
                                          "SENTSINCE 31-Dec-9998",
                                          "OR SENTON 1-Jan-9999 FROM anne",
                                          "NOT (FROM anne SENTSINCE 1-Jan-2000) SUBJECT e",
                                          "RETURN (MIN MAX) SUBJECT e",
                                          "RETURN (MAX) TO user2",
                                          "RETURN (MIN) NOT SUBJECT e",
                                          "TEXT anne",
                                          "OR SEEN OR SUBJECT q NOT CC c LARGER 300" };
    char key[256];
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
        for (size_t k = 0; k < sizeof needles / sizeof *needles; k++) {
            (void)snprintf(key, sizeof key, "%s \"%s\"", fields[i], needles[k]);
            search(key);
        }
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        search(others[i]);
    uint32_t seed = 1; /* and pieces of the headers themselves */
    for (int n = 0; n < 150; n++) {
        char needle[16];
        size_t at, k = 0;
        seed = seed * 1664525 + 1013904223;
        at = seed % (w.header_n - 12);
        for (size_t i = 0; i < 2 + seed / 7 % 9; i++)
            if (w.headers[at + i] >= ' ' && w.headers[at + i] < 127 && w.headers[at + i] != '"' && w.headers[at + i] != '\\')
                needle[k++] = w.headers[at + i];
        needle[k] = 0;
        (void)snprintf(key, sizeof key, "%s \"%s\"", fields[(unsigned)n % 7], needle);
        search(key);
    }
}

static void problem(void *ctx, const char *text)
{
    (void)ctx;
    print_error("mail_check: %s\n", text);
}

/* What `valise upgrade' does with a store of format 3: afterwards nothing is of the former form but what cannot be otherwise, and all answers are the same. */
static void test_former_mail_is_enriched(void **state)
{
    (void)state;
    size_t emails, entries, again_emails, again_entries;
    struct mail_check_report report = { 0 };
    close_store();
    w.store = mail_store_new(w.engine);
    assert_int_equal(mail_account_enrich(w.store, parts[1]), 0);
    assert_int_equal(mail_account_enrich(w.store, parts[1]), 0);
    assert_int_equal(mail_check(w.store, parts[1], true, problem, NULL, &report), 0);
    assert_int_equal(report.problems, 0);
    mail_store_free(w.store);
    open_store();
    (void)ask("c FETCH 1:* (FLAGS BODY.PEEK[HEADER.FIELDS (FROM TO CC SUBJECT DATE MESSAGE-ID REFERENCES RETURN-PATH)])\r\n");
    search("SENTSINCE 1-Jan-2020");
    close_store();
    make_former(&emails, &entries);
    assert_true(emails > 300 && entries > 300);
    w.store = mail_store_new(w.engine);
    assert_int_equal(mail_account_enrich(w.store, parts[1]), 0);
    mail_store_free(w.store);
    make_former(&again_emails, &again_entries);
    assert_int_equal(again_emails, emails);
    assert_int_equal(again_entries, entries);
    open_store();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fetch_answers_the_same),
        cmocka_unit_test(test_bodies_together_are_those_one_by_one),
        cmocka_unit_test(test_search_answers_the_same),
        cmocka_unit_test(test_former_mail_is_enriched),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
