/* What SEARCH finds has no limits of size: headers, fields, lists of addresses and parts larger than any window. */
#include "tests/unit/imap/check.h"

#include "imap/fold.h"
#include "imap/search_text.h"
#include "store/faulty/faulty.h"

struct world {
    struct engine *engine;
    struct mail_store *store;
    struct mail_account *account;
    struct arena arena;
    struct mail_email email;
    struct imap_search_message m;
};

static const engine_part part = { { 'a' } };

static void world_init(struct world *w, str message)
{
    struct mail_view *view;
    struct mail_entry entry;
    uint32_t uid, uidvalidity;
    assert_int_equal(engine_faulty_open(NULL, NULL, 1, &w->engine), 0);
    w->store = mail_store_new(w->engine);
    assert_int_equal(mail_account_create(w->store, part), 0);
    assert_int_equal(mail_account_open(w->store, part, &w->account), 0);
    const struct mail_append item = { .deposit = mail_deposit_new(w->store, w->account), .received_ms = 0 };
    assert_int_equal(mail_deposit_write(item.deposit, message), 0);
    assert_int_equal(mail_append(w->account, STR("INBOX"), &item, 1, &uid, &uidvalidity, NULL), 0);
    mail_deposit_free(item.deposit);
    assert_int_equal(mail_view_open(w->account, STR("INBOX"), true, NULL, NULL, &view), 0);
    assert_int_equal(mail_view_entry(view, 1, &entry), 0);
    mail_view_close(view);
    arena_init(&w->arena, 8 << 20);
    assert_int_equal(mail_email_get(w->account, entry.email, &w->arena, &w->email), 0);
    imap_search_message_init(&w->m, w->account, &w->email, &w->arena);
}

static void world_done(struct world *w)
{
    imap_search_message_done(&w->m);
    mail_email_done(&w->email);
    arena_done(&w->arena);
    mail_account_unref(w->account);
    mail_store_free(w->store);
    engine_close(w->engine);
}

static void add_n(struct buf *b, const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++)
        buf_add(b, str_from_z(s));
}

/* A header of over 1 MiB whose fields stand behind one another in every way that a window can cut. */
static void large_headers(void **state)
{
    (void)state;
    struct world w;
    struct buf b = BUF_INIT(8 << 20);
    buf_add(&b, STR("X-Folded: one\r\n"));
    add_n(&b, " of many lines,\r\n", 20000);
    buf_add(&b, STR(" folded needle\r\nX-Line: "));
    add_n(&b, "x", 300000);
    buf_add(&b, STR("unbroken needle\r\n"));
    for (unsigned i = 0; i < 3000; i++)
        buf_addf(&b, "X-%u: y\r\n", i);
    buf_add(&b, STR("X-Blanks: one"));
    add_n(&b, "\r\n\t ", 100000);
    buf_add(&b, STR("two\r\nX-Words:"));
    add_n(&b, "\r\n =?utf-8?q?=C3=A9t=C3=A9?=", 9000);
    buf_add(&b, STR("\r\nFrom: Anne <anne@example.org>\r\nTo: first@example.org"));
    for (unsigned i = 0; i < 9000; i++)
        buf_addf(&b, ",\r\n \"Person, %u\" <p%u@example.org>", i, i);
    buf_add(&b, STR("\r\nCc: a@example.org\r\nCc: last@example.org\r\nSubject: end\r\n\r\nbody\r\n"));
    assert_int_equal(buf_error(&b), 0);
    world_init(&w, buf_str(&b));
    assert_true(imap_search_header(&w.m, STR("x-folded"), STR("many lines, folded needle")));
    assert_true(imap_search_header(&w.m, STR("X-Line"), STR("xunbroken needle")));
    assert_false(imap_search_header(&w.m, STR("X-Folded"), STR("unbroken")));
    assert_true(imap_search_header(&w.m, STR("X-Blanks"), STR("one two"))); /* also where pieces meet */
    assert_true(imap_search_header(&w.m, STR("X-Blanks"), STR("one \t\r\n two")));
    assert_false(imap_search_header(&w.m, STR("X-Blanks"), STR("onetwo")));
    assert_true(imap_search_header(&w.m, STR("X-2999"), STR("y")));
    assert_true(imap_search_header(&w.m, STR("X-2999"), STR("")));
    assert_false(imap_search_header(&w.m, STR("X-3000"), STR("")));
    struct buf summer = BUF_INIT(4096);
    imap_fold(&summer, STR("\xc3\xa9t\xc3\xa9\xc3\xa9t\xc3\xa9"));
    assert_true(imap_search_header(&w.m, STR("X-Words"), buf_str(&summer)));
    buf_done(&summer);
    assert_true(imap_search_header(&w.m, STR("Subject"), STR("end")));
    assert_true(imap_search_addresses(&w.m, STR("From"), STR("anne <anne@example.org>")));
    assert_true(imap_search_addresses(&w.m, STR("To"), STR("first@example.org, person, 0 <p0@")));
    assert_true(imap_search_addresses(&w.m, STR("To"), STR("p8998@example.org>, person, 8999 <p8999@example.org>")));
    for (unsigned i = 0; i < 9000; i += 1777) { /* none is lost where windows meet */
        char text[64];
        (void)snprintf(text, sizeof text, "person, %u <p%u@example.org>", i, i);
        assert_true(imap_search_addresses(&w.m, STR("To"), str_from_z(text)));
    }
    assert_false(imap_search_addresses(&w.m, STR("To"), STR("p9000@")));
    assert_true(imap_search_addresses(&w.m, STR("Cc"), STR("last@")));
    assert_false(imap_search_addresses(&w.m, STR("Bcc"), STR("")));
    assert_true(imap_search_all(&w.m, STR("x-2999: y")));
    assert_false(imap_search_body(&w.m, STR("x-2999: y")));
    world_done(&w);
    buf_done(&b);
}

/* Text behind 5 MiB, in each encoding, and where pieces meet. */
static void large_parts(void **state)
{
    (void)state;
    static const struct {
        const char *type, *line, *end;
        str needle;
    } cases[] = {
        { "Content-Type: text/plain; charset=utf-8\r\n", "caf\xc3\xa9 12345\r\n", "the caf\xc3\xa9 needle\r\n", STR(" needle") },
        { "Content-Type: text/plain\r\n", "caf\xe9 12345\r\n", "na\xefve\r\n", STR("ve") },
        { "Content-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: quoted-printable\r\n", "caf=E9 =\r\n",
          "a nee=\r\ndle\r\n", STR("a needle") },
        { "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n", "Y2Fmw6kg\r\n", "bmVlZGxl\r\n",
          STR(" needle") },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct world w;
        struct buf b = BUF_INIT(16 << 20), folded = BUF_INIT(4096);
        buf_add_all(&b, str_from_z(cases[i].type), STR("\r\n"));
        add_n(&b, cases[i].line, (i ? 256 << 10 : 5 << 20) / strlen(cases[i].line));
        buf_add(&b, str_from_z(cases[i].end));
        world_init(&w, buf_str(&b));
        imap_fold(&folded, STR("\xc3\xa9"));
        assert_true(imap_search_body(&w.m, buf_str(&folded)));
        assert_true(imap_search_body(&w.m, cases[i].needle));
        assert_true(imap_search_all(&w.m, cases[i].needle));
        assert_false(imap_search_body(&w.m, STR("absent")));
        buf_done(&folded);
        world_done(&w);
        buf_done(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(large_headers),
        cmocka_unit_test(large_parts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
