/* names: the list of names for which a CA may issue: what it takes, what it allows; and the name constraints that are made of it. */
#include "../check.h"

#include "base/clock.h"
#include "pki/pki.h"

enum { DAY = 86400 };

static struct arena arena = ARENA_INIT(1 << 22);

static struct pki_names list_of(const char *text)
{
    struct pki_names names = { 0 };
    struct error e = ERROR_NONE;
    if (pki_names_parse(str_from_z(text), &arena, &names, &e))
        fail_msg("%s: %s", text, e.text);
    return names;
}

static void lists_are_read_and_written(void **state)
{
    struct buf out = BUF_INIT(4096);
    struct pki_names names =
        list_of("# a comment\n\n domain MonDomaine.fr \nhost mail.elsewhere.net\naddress 10.0.0.0/8\r\naddress 2001:db8::25");
    assert_int_equal(names.n, 4);
    assert_true(str_eq(names.list[0].name, STR("mondomaine.fr")));
    pki_names_write(&names, &out);
    assert_true(str_ends(buf_str(&out),
                         STR("\ndomain mondomaine.fr\nhost mail.elsewhere.net\naddress 10.0.0.0/8\naddress 2001:db8::25\n")));
    struct pki_names again = { 0 };
    assert_int_equal(pki_names_parse(buf_str(&out), &arena, &again, NULL), 0);
    assert_int_equal(again.n, 4);
    for (size_t i = 0; i < 4; i++)
        assert_true(pki_names_have(&again, &names.list[i]));
    buf_done(&out);
}

static void bad_lists_are_refused_with_their_line(void **state)
{
    static const char *const bad[] = { "domain\n",
                                       "domain *.fr\n",
                                       "host a b\n",
                                       "address 10.0.0.1/8\n",
                                       "address fr\n",
                                       "ip 10.0.0.1\n",
                                       "domain a..b\n",
                                       "domain .fr\n",
                                       "domain fr.\n",
                                       "mondomaine.fr\n",
                                       "domain \xc3\xa9\n",
                                       "host a\x01"
                                       "b\n",
                                       "address 1.2.3.4.5" };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct error e = ERROR_NONE;
        struct pki_names names;
        char text[100];
        (void)snprintf(text, sizeof text, "domain good.example\n%s", bad[i]);
        if (pki_names_parse(str_from_z(text), &arena, &names, &e) != ERR_SYNTAX ||
            !str_starts(str_from_z(e.text), STR("line 2: ")))
            fail_msg("%s: %s", bad[i], e.text);
    }
    struct buf many = BUF_INIT(1 << 20);
    struct pki_names names;
    struct arena a = ARENA_INIT(1 << 22);
    for (int i = 0; i <= PKI_GRANTS_MAX; i++)
        buf_addf(&many, "host h%d.example\n", i);
    assert_int_equal(pki_names_parse(buf_str(&many), &a, &names, NULL), ERR_LIMIT);
    arena_done(&a);
    buf_done(&many);
}

static void names_are_judged(void **state)
{
    static const struct {
        enum pki_use use;
        const char *name;
        bool outside, allowed;
    } cases[] = {
        { PKI_USE_SERVER, "mondomaine.fr", false, true },
        { PKI_USE_SERVER, "a.b.MonDomaine.fr", false, true },
        { PKI_USE_SERVER, "*.mondomaine.fr", false, true },
        { PKI_USE_SERVER, "*.b.mondomaine.fr", false, false },
        { PKI_USE_SERVER, "*.elsewhere.net", false, false },
        { PKI_USE_SERVER, "*.mail.elsewhere.net", false, false },
        { PKI_USE_SERVER, "mail.elsewhere.net", false, true },
        { PKI_USE_SERVER, "mail.elsewhere.net", true, true },
        { PKI_USE_SERVER, "a.mondomaine.fr", true, false },
        { PKI_USE_SERVER, "x.mail.elsewhere.net", false, false },
        { PKI_USE_SERVER, "notmondomaine.fr", false, false },
        { PKI_USE_SERVER, "mondomaine.fr.evil.example", false, false },
        { PKI_USE_SERVER, "www.google.com", false, false },
        { PKI_USE_SERVER, "*.com", false, false },
        { PKI_USE_SERVER, "*", false, false },
        { PKI_USE_SERVER, "fr", false, false },
        { PKI_USE_SERVER, "", false, false },
        { PKI_USE_SERVER, "8.8.8.8", false, false },
        { PKI_USE_SERVER, "::ffff:8.8.8.8", false, false },
        { PKI_USE_SERVER, "10.1.2.3", false, true },
        { PKI_USE_SERVER, "11.1.2.3", false, false },
        { PKI_USE_SERVER, "2001:db8::25", false, true },
        { PKI_USE_SERVER, "2001:db8::26", false, false },
        { PKI_USE_SERVER, "host.of.configuration.example", true, true },
        { PKI_USE_SERVER, "alice@mondomaine.fr", false, false },
        { PKI_USE_USER, "alice@MonDomaine.fr", false, true },
        { PKI_USE_USER, "alice@a.mondomaine.fr", false, false },
        { PKI_USE_USER, "alice@mail.elsewhere.net", false, false },
        { PKI_USE_USER, "alice@host.of.configuration.example", false, false },
        { PKI_USE_USER, "alice@gmail.com", false, false },
        { PKI_USE_USER, "mondomaine.fr", false, false },
    };
    const struct pki_names names =
        list_of("domain mondomaine.fr\nhost mail.elsewhere.net\naddress 10.0.0.0/8\naddress 2001:db8::25\n");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct error e = ERROR_NONE;
        /* The one that counts comes second: all are looked at. */
        const str two[] = { cases[i].use == PKI_USE_USER ? STR("bob@mondomaine.fr") : STR("mondomaine.fr"),
                            str_from_z(cases[i].name) };
        const bool outside[] = { false, cases[i].outside };
        const struct pki_order order = { cases[i].use, two, 2, DAY, outside };
        int r = pki_names_check(&names, STR("host.of.configuration.example"), &order, &e);
        if (r != (cases[i].allowed ? 0 : ERR_REFUSED) || (r && str_find(str_from_z(e.text), two[1]) == strlen(e.text)))
            fail_msg("%s: %d %s", cases[i].name, r, e.text);
    }
}

static void lists_are_changed(void **state)
{
    struct pki_names names = list_of("domain a.example\nhost a.example\naddress 10.0.0.0/8\n");
    struct pki_grant g;
    assert_int_equal(pki_grant_read(PKI_GRANT_DOMAIN, STR("A.example"), &arena, &g, NULL), 0);
    assert_int_equal(pki_names_add(&names, &g, &arena, NULL), 0);
    assert_int_equal(names.n, 3);
    pki_names_remove(&names, &g);
    assert_int_equal(names.n, 2);
    assert_int_equal(names.list[0].kind, PKI_GRANT_HOST);
    assert_int_equal(pki_grant_read(PKI_GRANT_ADDRESS, STR("10.0.0.0/9"), &arena, &g, NULL), 0);
    assert_false(pki_names_have(&names, &g));
    assert_int_equal(pki_names_add(&names, &g, &arena, NULL), 0);
    assert_int_equal(names.n, 3);
}

/* The CA's own certificate refuses what its list, changed later or by somebody else, might allow; made anew it speaks for that as well. */
static void a_ca_keeps_to_its_constraints(void **state)
{
    static const struct {
        enum pki_use use;
        const char *name;
        int before, after;
    } cases[] = {
        { PKI_USE_SERVER, "mail.mondomaine.fr", 0, 0 },
        { PKI_USE_SERVER, "*.mondomaine.fr", 0, 0 },
        { PKI_USE_SERVER, "mailhost.other.example", 0, 0 },
        { PKI_USE_SERVER, "localhost", 0, 0 },
        { PKI_USE_SERVER, "192.168.7.7", 0, 0 },
        { PKI_USE_SERVER, "::1", 0, 0 },
        { PKI_USE_SERVER, "8.8.8.8", ERR_REFUSED, ERR_REFUSED },
        { PKI_USE_SERVER, "2001:4860:4860::8888", ERR_REFUSED, ERR_REFUSED },
        { PKI_USE_SERVER, "www.google.com", ERR_REFUSED, ERR_REFUSED },
        { PKI_USE_SERVER, "*.com", ERR_REFUSED, ERR_REFUSED },
        { PKI_USE_SERVER, "zwei.example", ERR_REFUSED, 0 },
        { PKI_USE_USER, "alice@mondomaine.fr", 0, 0 },
        { PKI_USE_USER, "alice@a.mondomaine.fr", ERR_REFUSED, ERR_REFUSED },
        { PKI_USE_USER, "alice@gmail.com", ERR_REFUSED, ERR_REFUSED },
        { PKI_USE_USER, "alice@zwei.example", ERR_REFUSED, 0 },
    };
    struct pki_key *ca = NULL, *key = NULL, *other = NULL;
    struct pki_names names;
    struct pki_grant zwei;
    struct pki_scope scope;
    struct pki_description d[2];
    struct buf root[2] = { BUF_INIT(PKI_PEM_MAX), BUF_INIT(PKI_PEM_MAX) }, request = BUF_INIT(PKI_PEM_MAX),
               out = BUF_INIT(PKI_PEM_MAX);
    str hostname = STR("mailhost.other.example");
    int64_t now = clock_real_ms() / 1000;
    assert_int_equal(pki_key_generate(PKI_EC_P256, &ca, NULL), 0);
    assert_int_equal(pki_key_generate(PKI_EC_P256, &key, NULL), 0);
    assert_int_equal(pki_key_generate(PKI_EC_P256, &other, NULL), 0);
    assert_int_equal(pki_request_create(key, &request, NULL), 0);
    assert_int_equal(pki_names_usual(STR("mondomaine.fr"), &arena, &names, NULL), 0);
    assert_int_equal(pki_grant_read(PKI_GRANT_DOMAIN, STR("zwei.example"), &arena, &zwei, NULL), 0);
    assert_int_equal(pki_ca_create(ca, STR("mondomaine.fr"), &names, hostname, now, &root[0], NULL), 0);
    assert_int_equal(pki_scope_read(buf_str(&root[0]), &arena, &scope, NULL), 0);
    assert_true(scope.limited && pki_scope_has(&scope, &names.list[0]) && !pki_scope_has(&scope, &zwei));
    assert_int_equal(pki_names_add(&names, &zwei, &arena, NULL), 0);
    assert_int_equal(pki_ca_renew(other, buf_str(&root[0]), &names, hostname, now, &root[1], NULL), ERR_REFUSED);
    assert_int_equal(pki_ca_renew(ca, buf_str(&root[0]), &names, hostname, now + DAY, &root[1], NULL), 0);
    assert_int_equal(pki_scope_read(buf_str(&root[1]), &arena, &scope, NULL), 0);
    assert_true(scope.limited && pki_scope_has(&scope, &zwei));
    for (size_t i = 0; i < names.n; i++)
        assert_true(pki_scope_has(&scope, &names.list[i]));
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(pki_certificate_describe(buf_str(&root[i]), &arena, &d[i], NULL), 0);
    assert_true(str_eq(d[0].subject, d[1].subject) && str_eq(d[0].key_id, d[1].key_id) && !str_eq(d[0].serial, d[1].serial));
    assert_int_equal(d[1].not_after, d[0].not_after + DAY);
    assert_true(pki_is_same_ca(buf_str(&root[0]), buf_str(&root[1])));
    assert_int_equal(pki_ca_create(other, STR("mondomaine.fr"), &names, hostname, now, &out, NULL), 0);
    assert_false(pki_is_same_ca(buf_str(&root[0]), buf_str(&out)));
    assert_false(pki_is_same_ca(buf_str(&root[0]), STR("")));
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const str one = str_from_z(cases[i].name);
        const struct pki_order order = { cases[i].use, &one, 1, DAY, NULL };
        for (size_t k = 0; k < 2; k++) {
            buf_reset(&out);
            int r = pki_issue(ca, buf_str(&root[k]), buf_str(&request), &order, now + DAY, &out, NULL);
            if (r != (k ? cases[i].after : cases[i].before) || (r && out.n))
                fail_msg("%s under root %zu: %d", cases[i].name, k, r);
            if (r == 0)
                assert_true(pki_is_issued_by(buf_str(&out), buf_str(&root[1 - k])));
        }
    }
    for (size_t i = 0; i < 2; i++)
        buf_done(&root[i]);
    buf_done(&request);
    buf_done(&out);
    pki_key_free(ca);
    pki_key_free(key);
    pki_key_free(other);
}

/* A list that has nothing of a kind leaves no kind free; a CA of an older valise is told from these. */
static void every_kind_is_held_down(void **state)
{
    static const struct {
        const char *list;
        size_t names;
    } cases[] = { { "", 2 }, { "host a.example\n", 2 }, { "address 10.0.0.0/8\n", 3 }, { "domain a.example\n", 2 } };
    struct pki_key *ca = NULL;
    struct pki_scope scope;
    int64_t now = clock_real_ms() / 1000;
    assert_int_equal(pki_key_generate(PKI_EC_P256, &ca, NULL), 0);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct buf root = BUF_INIT(PKI_PEM_MAX), out = BUF_INIT(PKI_PEM_MAX), request = BUF_INIT(PKI_PEM_MAX);
        const struct pki_names names = list_of(cases[i].list);
        static const str odd[] = { STR_INIT("b.example"), STR_INIT("1.1.1.1"), STR_INIT("alice@b.example") };
        assert_int_equal(pki_ca_create(ca, STR("a.example"), &names, STR(""), now, &root, NULL), 0);
        assert_int_equal(pki_scope_read(buf_str(&root), &arena, &scope, NULL), 0);
        assert_true(scope.limited);
        assert_int_equal(scope.name_n, cases[i].names);
        assert_int_equal(pki_request_create(ca, &request, NULL), 0);
        for (size_t k = 0; k < 3; k++) {
            const struct pki_order order = { k == 2 ? PKI_USE_USER : PKI_USE_SERVER, &odd[k], 1, DAY, NULL };
            assert_int_equal(pki_issue(ca, buf_str(&root), buf_str(&request), &order, now, &out, NULL), ERR_REFUSED);
        }
        buf_done(&root);
        buf_done(&out);
        buf_done(&request);
    }
    struct buf old = BUF_INIT(PKI_PEM_MAX);
    assert_int_equal(pki_ca_create(ca, STR("a.example"), NULL, STR(""), now, &old, NULL), 0);
    assert_int_equal(pki_scope_read(buf_str(&old), &arena, &scope, NULL), 0);
    assert_false(scope.limited);
    buf_done(&old);
    pki_key_free(ca);
}

/* A certificate stands for its key under its own names only. */
static void renewal_changes_no_names(void **state)
{
    struct pki_key *ca = NULL, *key = NULL;
    struct pki_names names;
    struct buf root = BUF_INIT(PKI_PEM_MAX), request = BUF_INIT(PKI_PEM_MAX), cert = BUF_INIT(PKI_PEM_MAX),
               out = BUF_INIT(PKI_PEM_MAX);
    int64_t now = clock_real_ms() / 1000;
    static const str two[] = { STR_INIT("a.mondomaine.fr"), STR_INIT("127.0.0.1") }, other[] = { STR_INIT("b.mondomaine.fr") },
                     mail[] = { STR_INIT("a@mondomaine.fr") };
    const struct pki_order both = { PKI_USE_SERVER, two, 2, DAY, NULL }, one = { PKI_USE_SERVER, two, 1, DAY, NULL },
                           new = { PKI_USE_SERVER, other, 1, DAY, NULL }, user = { PKI_USE_USER, mail, 1, DAY, NULL };
    assert_int_equal(pki_key_generate(PKI_EC_P256, &ca, NULL), 0);
    assert_int_equal(pki_key_generate(PKI_EC_P256, &key, NULL), 0);
    assert_int_equal(pki_names_usual(STR("mondomaine.fr"), &arena, &names, NULL), 0);
    assert_int_equal(pki_ca_create(ca, STR("mondomaine.fr"), &names, STR(""), now, &root, NULL), 0);
    assert_int_equal(pki_request_create(key, &request, NULL), 0);
    assert_int_equal(pki_issue(ca, buf_str(&root), buf_str(&request), &both, now, &cert, NULL), 0);
    assert_int_equal(pki_issue(ca, buf_str(&root), buf_str(&cert), &both, now, &out, NULL), 0);
    assert_int_equal(pki_issue(ca, buf_str(&root), buf_str(&cert), &one, now, &out, NULL), 0);
    assert_int_equal(pki_issue(ca, buf_str(&root), buf_str(&cert), &new, now, &out, NULL), ERR_REFUSED);
    assert_int_equal(pki_issue(ca, buf_str(&root), buf_str(&cert), &user, now, &out, NULL), ERR_REFUSED);
    buf_done(&root);
    buf_done(&request);
    buf_done(&cert);
    buf_done(&out);
    pki_key_free(ca);
    pki_key_free(key);
}

static int tear_down(void **state)
{
    arena_done(&arena);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lists_are_read_and_written),
        cmocka_unit_test(bad_lists_are_refused_with_their_line),
        cmocka_unit_test(names_are_judged),
        cmocka_unit_test(lists_are_changed),
        cmocka_unit_test(a_ca_keeps_to_its_constraints),
        cmocka_unit_test(every_kind_is_held_down),
        cmocka_unit_test(renewal_changes_no_names),
    };
    return cmocka_run_group_tests(tests, NULL, tear_down);
}
