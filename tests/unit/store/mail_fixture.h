/* mail_fixture: an account over an engine, messages made to measure, and a view's changes as text, for the tests of the mail
 * model. */
#ifndef VALISE_TESTS_MAIL_FIXTURE_H
#define VALISE_TESTS_MAIL_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/buf.h"
#include "store/mail.h"

struct fixture {
    struct engine *g;
    struct mail_store *s;
    struct mail_account *a;
    engine_part id;
};

static inline engine_part fixture_part(unsigned n)
{
    engine_part id = { { 'a', (uint8_t)n, (uint8_t)(n >> 8) } };
    return id;
}

static inline void fixture_open_on(struct fixture *f, struct engine *g)
{
    f->g = g;
    f->s = mail_store_new(g);
    f->id = fixture_part(1);
    assert_int_equal(mail_account_create(f->s, f->id), 0);
    assert_int_equal(mail_account_open(f->s, f->id, &f->a), 0);
}

static inline void fixture_open(struct fixture *f)
{
    struct engine *g;
    assert_int_equal(engine_memory_open(&g), 0);
    fixture_open_on(f, g);
}

static inline void fixture_fail(void *ctx, const char *text)
{
    print_error("mail_check: %s\n", text);
}

/* Closes F; its account must verify. */
static inline void fixture_close(struct fixture *f)
{
    struct mail_check_report report = { 0 };
    mail_account_unref(f->a);
    assert_int_equal(mail_check(f->s, f->id, true, fixture_fail, NULL, &report), 0);
    assert_int_equal(report.problems, 0);
    mail_store_free(f->s);
    engine_close(f->g);
}

/* Forgets everything in memory and opens the account again. */
static inline void fixture_reopen(struct fixture *f)
{
    mail_account_unref(f->a);
    mail_store_free(f->s);
    f->s = mail_store_new(f->g);
    assert_int_equal(mail_account_open(f->s, f->id, &f->a), 0);
}

/* Appends a message with SUBJECT to mailbox NAME; the result of mail_append. */
static inline int fixture_try_append(struct mail_store *s, struct mail_account *a, const char *name, const char *subject,
                                     uint64_t flags, uint32_t *ret_uid)
{
    struct buf b = BUF_INIT(1 << 20);
    buf_addf(&b,
             "From: alice@example.org\r\nTo: bob@example.org\r\nSubject: %s\r\nMessage-ID: <%s@example.org>\r\n\r\nHello %s.\r\n",
             subject, subject, subject);
    struct mail_deposit *d = mail_deposit_new(s, a);
    assert_int_equal(mail_deposit_write(d, buf_str(&b)), 0);
    struct mail_append item = { .deposit = d, .flags = { .system = flags }, .received_ms = 1000 };
    uint32_t uid = 0, uidvalidity = 0;
    int r = mail_append(a, str_from_z(name), &item, 1, &uid, &uidvalidity, NULL);
    mail_deposit_free(d);
    buf_done(&b);
    if (ret_uid)
        *ret_uid = uid;
    return r;
}

static inline uint32_t fixture_append(struct fixture *f, const char *name, const char *subject, uint64_t flags)
{
    uint32_t uid;
    assert_int_equal(fixture_try_append(f->s, f->a, name, subject, flags, &uid), 0);
    return uid;
}

static inline struct mail_view *fixture_view(struct fixture *f, const char *name)
{
    struct mail_view *v;
    assert_int_equal(mail_view_open(f->a, str_from_z(name), false, NULL, NULL, &v), 0);
    return v;
}

static inline void fixture_note(void *ctx, enum mail_change change, uint32_t seq)
{
    static const char *const names[] = { "expunge", "flags", "exists", "recent", "keywords", "deleted" };
    struct buf *b = ctx;
    buf_addf(b, "%s%s %u", b->n ? ", " : "", names[change], seq);
}

/* Syncs V and compares its changes with WANT: "expunge 1, exists 3". */
#define fixture_sync(v, allow, want)                                                                                             \
    do {                                                                                                                         \
        struct buf fixture_b = BUF_INIT(1 << 20);                                                                                \
        assert_int_equal(mail_view_sync((v), (allow), fixture_note, &fixture_b), 0);                                             \
        buf_add_byte(&fixture_b, '\0');                                                                                          \
        assert_string_equal(fixture_b.p, (want));                                                                                \
        buf_done(&fixture_b);                                                                                                    \
    } while (0)

static inline int fixture_store(struct mail_view *v, uint32_t seq, enum mail_store_mode mode, uint64_t flags, bool silent)
{
    struct mail_flags set = { .system = flags };
    return mail_view_store(v, &seq, 1, mode, &set, silent, UINT64_MAX, NULL, NULL, NULL);
}

static inline uint64_t fixture_flags(struct mail_view *v, uint32_t seq)
{
    struct mail_entry e;
    assert_int_equal(mail_view_entry(v, seq, &e), 0);
    return e.flags;
}

#endif
