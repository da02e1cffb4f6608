/* The grammar of commands: tables of {text, what it means}, each text in memory of exactly its size (RFC 3501 section 9). */
#include "tests/unit/imap/check.h"

#include "base/buf.h"
#include "imap/syntax.h"

/* A parser under test writes what it understood to OUT. */
typedef int parser(struct scan *s, struct arena *a, struct buf *out);

struct row {
    const char *in, *out; /* out NULL: an error, and the cursor has not moved */
};

static void check_rows(const struct row *rows, size_t n, parser *parse)
{
    for (size_t i = 0; i < n; i++) {
        struct arena a = ARENA_INIT(4 << 20);
        struct buf out = BUF_INIT(65536);
        char *copy = heap_copy(rows[i].in);
        struct scan s = scan_init((str){ copy, strlen(rows[i].in) });
        int r = parse(&s, &a, &out);
        if (!rows[i].out) {
            if (r == 0 && scan_done(&s))
                fail_msg("accepted \"%s\" as \"%.*s\"", rows[i].in, STR_ARG(buf_str(&out)));
            if (r < 0)
                assert_ptr_equal(s.p, copy);
        } else {
            if (r < 0)
                fail_msg("refused \"%s\": %d", rows[i].in, r);
            buf_add(&out, scan_rest(&s));
            assert_str(buf_str(&out), rows[i].out);
        }
        buf_done(&out);
        arena_done(&a);
        free(copy);
    }
}
#define CHECK(rows, parse) check_rows((rows), sizeof(rows) / sizeof *(rows), (parse))

static int add(struct buf *out, int r, str s)
{
    if (r == 0)
        buf_add_all(out, STR("<"), s, STR(">"));
    return r;
}

static int p_tag(struct scan *s, struct arena *a, struct buf *out)
{
    (void)a;
    str v = { 0 };
    int r = imap_parse_tag(s, &v);
    return add(out, r, v);
}

static int p_astring(struct scan *s, struct arena *a, struct buf *out)
{
    str v = { 0 };
    int r = imap_parse_astring(s, a, &v);
    return add(out, r, v);
}

static int p_nstring(struct scan *s, struct arena *a, struct buf *out)
{
    str v = { 0 };
    int r = imap_parse_nstring(s, a, &v);
    return add(out, r, v.p ? v : STR("(nil)"));
}

static int p_mailbox(struct scan *s, struct arena *a, struct buf *out)
{
    str v = { 0 };
    int r = imap_parse_mailbox(s, a, &v);
    return add(out, r, v);
}

static void tags_and_strings(void **state)
{
    (void)state;
    static const struct row tags[] = { { "a1 x", "<a1> x" }, { "a]", "<a]>" }, { "+", NULL },     { "", NULL },
                                       { "a+b", "<a>+b" },   { "(", NULL },    { "\"a\"", NULL }, { " a", NULL } };
    CHECK(tags, p_tag);
    static const struct row astrings[] = {
        { "abc def", "<abc> def" },
        { "a]b", "<a]b>" },
        { "\"a b\" c", "<a b> c" },
        { "\"a\\\"b\\\\\"", "<a\"b\\>" },
        { "\"\"", "<>" },
        { "\"a", NULL },
        { "\"a\\", NULL },
        { "\"a\\x\"", NULL },
        { "\"a\rb\"", NULL },
        { "{3}\r\nabc d", "<abc> d" },
        { "{3+}\r\na\r\n", "<a\r\n>" },
        { "{0}\r\n", "<>" },
        { "{4}\r\nabc", NULL },
        { "{3}abc", NULL },
        { "{}\r\n", NULL },
        { "{-1}\r\n", NULL },
        { "{99999999999}\r\n", NULL },
        { "", NULL },
        { " ", NULL },
        { "%", NULL },
        { "(a)", NULL },
    };
    CHECK(astrings, p_astring);
    static const struct row nstrings[] = {
        { "NIL", "<(nil)>" }, { "nil)", "<(nil)>)" }, { "\"NIL\"", "<NIL>" }, { "NILx", NULL }, { "atom", NULL }
    };
    CHECK(nstrings, p_nstring);
    static const struct row mailboxes[] = {
        { "inBox", "<INBOX>" }, { "\"INBOX\"", "<INBOX>" },    { "inbox/x", "<INBOX/x>" }, { "&AOk-", "<\303\251>" },
        { "&AOk", NULL },       { "{5}\r\ninbox", "<INBOX>" }, { "\"a b\"", "<a b>" },     { "a&b", NULL },
        { "\"\"", "<>" }
    };
    CHECK(mailboxes, p_mailbox);
}

static void add_set(struct buf *out, const struct imap_set *set)
{
    for (size_t i = 0; i < set->n; i++)
        buf_addf(out, "[%u-%u]", set->ranges[i].first, set->ranges[i].last);
}

static int p_set(struct scan *s, struct arena *a, struct buf *out)
{
    struct imap_set set;
    struct imap_limits limits = imap_limits_default;
    limits.ranges_max = 4;
    int r = imap_parse_set(s, a, &limits, &set);
    if (r == 0)
        add_set(out, &set);
    return r;
}

static void sequence_sets(void **state)
{
    (void)state;
    static const struct row rows[] = {
        { "1", "[1-1]" },
        { "*", "[0-0]" },
        { "2,4:7,9,12:*", "[2-2][4-7][9-9][12-0]" },
        { "*:4 x", "[0-4] x" },
        { "4294967295", "[4294967295-4294967295]" },
        { "0", NULL },
        { "1:0", NULL },
        { "4294967296", NULL },
        { "1,", NULL },
        { ",1", NULL },
        { "1:", NULL },
        { ":1", NULL },
        { "1:2:3", "[1-2]:3" },
        { "", NULL },
        { "a", NULL },
        { "1,2,3,4,5", NULL },
    };
    CHECK(rows, p_set);
}

static int p_flags(struct scan *s, struct arena *a, struct buf *out)
{
    struct mail_flags flags;
    int r = imap_parse_flag_list(s, a, &imap_limits_default, &flags);
    if (r < 0)
        return r;
    buf_addf(out, "%u", (unsigned)flags.system);
    for (size_t i = 0; i < flags.keyword_n; i++)
        buf_add_all(out, STR(" "), flags.keywords[i]);
    return 0;
}

static int p_date(struct scan *s, struct arena *a, struct buf *out)
{
    (void)a;
    int64_t day;
    int r = imap_parse_date(s, &day);
    if (r == 0)
        buf_addf(out, "%lld", (long long)day);
    return r;
}

static int p_date_time(struct scan *s, struct arena *a, struct buf *out)
{
    (void)a;
    int64_t ms;
    int r = imap_parse_date_time(s, &ms);
    if (r == 0)
        buf_addf(out, "%lld", (long long)ms);
    return r;
}

static void flags_and_dates(void **state)
{
    (void)state;
    static const struct row flags[] = {
        { "()", "0" },
        { "(\\Seen \\ANSWERED \\flagged \\Deleted \\Draft)", "31" },
        { "($Label1 \\Seen Junk)", "1 $Label1 Junk" },
        { "(\\Recent)", NULL },
        { "(\\Foo)", NULL },
        { "(\\Seen  \\Draft)", NULL },
        { "(\\Seen", NULL },
        { "( )", NULL },
        { "\\Seen", NULL },
    };
    CHECK(flags, p_flags);
    static const struct row dates[] = {
        { "1-Jan-1970", "0" },
        { "\"2-Jan-1970\"", "1" },
        { "31-Dec-1969", "-1" },
        { "29-feb-2024", "19782" },
        { "29-Feb-2023", NULL },
        { "0-Jan-2000", NULL },
        { "32-Jan-2000", NULL },
        { "1-Foo-2000", NULL },
        { "1-Jan-200", NULL },
        { "\"1-Jan-2000", NULL },
        { "01-Jan-1970", "0" },
        { "001-Jan-1970", NULL },
        { "", NULL },
    };
    CHECK(dates, p_date);
    static const struct row date_times[] = {
        { "\" 1-Jan-1970 00:00:00 +0000\"", "0" },     { "\"01-Jan-1970 00:00:00 +0000\"", "0" },
        { "\"01-Jan-1970 01:00:00 +0100\" x", "0 x" }, { "\"17-Jul-1996 02:44:25 -0700\"", "837596665000" },
        { "\"1-Jan-1970 00:00:00 +0000\"", "0" },      { "\" 1-Jan-1970 24:00:00 +0000\"", NULL },
        { "\" 1-Jan-1970 00:60:00 +0000\"", NULL },    { "\" 1-Jan-1970 00:00:00 +2500\"", NULL },
        { "\" 1-Jan-1970 00:00:00 0000\"", NULL },     { "\" 1-Jan-1970 00:00:00 +0000", NULL },
        { " 1-Jan-1970 00:00:00 +0000", NULL },
    };
    CHECK(date_times, p_date_time);
}

static int p_fetch(struct scan *s, struct arena *a, struct buf *out)
{
    static const char *const texts[] = { "all", "header", "fields", "not", "text", "mime" };
    struct imap_fetch fetch;
    int r = imap_parse_fetch(s, a, &imap_limits_default, &fetch);
    if (r < 0)
        return r;
    buf_addf(out, "%u", fetch.items);
    if (fetch.changed)
        buf_addf(out, ">%llu", (unsigned long long)fetch.changed_since);
    for (size_t i = 0; i < fetch.section_n; i++) {
        const struct imap_section *section = &fetch.sections[i];
        if (section->kind != IMAP_SECTION_BODY)
            buf_add(out, section->kind == IMAP_SECTION_BINARY ? STR(" binary") : STR(" size"));
        buf_addf(out, " %s", texts[section->text]);
        for (size_t k = 0; k < section->path_n; k++)
            buf_addf(out, ".%u", section->path[k]);
        for (size_t k = 0; k < section->field_n; k++)
            buf_addf(out, "(%.*s)", STR_ARG(section->fields[k]));
        if (section->peek)
            buf_add(out, STR(" peek"));
        if (section->partial)
            buf_addf(out, " <%u.%u>", section->offset, section->count);
    }
    return 0;
}

static void fetch_attributes(void **state)
{
    (void)state;
    static const struct row rows[] = {
        { "ALL", "30" },
        { "FAST", "14" },
        { "FULL", "62" },
        { "flags", "2" },
        { "(FLAGS UID RFC822.SIZE)", "11" },
        { "BODY", "32" },
        { "BODYSTRUCTURE", "64" },
        { "BODY[]", "0 all" },
        { "BODY.PEEK[]", "0 all peek" },
        { "BODY[1]", "0 all.1" },
        { "BODY[1.2.3]", "0 all.1.2.3" },
        { "BODY[1.MIME]", "0 mime.1" },
        { "BODY[HEADER]<0.100>", "0 header <0.100>" },
        { "BODY[2.HEADER.FIELDS (From \"To\")]", "0 fields.2(From)(To)" },
        { "BODY.PEEK[HEADER.FIELDS.NOT (X)]<5.1>", "0 not(X) peek <5.1>" },
        { "body[text]", "0 text" },
        { "RFC822", "0 all" },
        { "RFC822.HEADER", "0 header peek" },
        { "RFC822.TEXT", "0 text" },
        { "(BODY[1] BODY[2] FLAGS)", "2 all.1 all.2" },
        { "BODY[MIME]", NULL },
        { "BODY[0]", NULL },
        { "BODY[1.]", NULL },
        { "BODY[.1]", NULL },
        { "BODY[1..2]", NULL },
        { "BODY[HEADER.FIELDS]", NULL },
        { "BODY[HEADER.FIELDS ()]", NULL },
        { "BODY[HEADER.FIELDS (\"\")]", NULL },
        { "BODY[]<1>", NULL },
        { "BODY[]<1.0>", NULL },
        { "BODY.PEEK", NULL },
        { "BODY[", NULL },
        { "()", NULL },
        { "(FLAGS", NULL },
        { "(ALL)", NULL },
        { "FLAGSX", NULL },
        { "MODSEQ", "128" },
        { "(BINARY[1.2]<3.4> BINARY.PEEK[] BINARY.SIZE[1])", "0 binary all.1.2 <3.4> binary all peek size all.1 peek" },
        { "BINARY", NULL },
        { "BINARY[1.MIME]", NULL },
        { "BINARY.SIZE[1]<0.1>", "0 size all.1 peek<0.1>" },
        { "BINARY.PEEK", NULL },
        { "FLAGS (CHANGEDSINCE 12)", "130>12" },
        { "FLAGS (CHANGEDSINCE 9223372036854775808)", NULL },
        { "FLAGS ()", NULL },
        { "FLAGS (CHANGEDSINCE 1", NULL },
        { "(FLAGS  UID)", NULL },
        { "", NULL },
    };
    CHECK(rows, p_fetch);
}

static void add_keys(struct buf *out, const struct imap_search_key *key)
{
    for (; key; key = key->next) {
        buf_addf(out, "%s%u", key->negate ? "!" : "", key->type);
        if (key->number)
            buf_addf(out, "=%lld", (long long)key->number);
        if (key->field.n)
            buf_addf(out, "@%.*s", STR_ARG(key->field));
        if (key->text.n)
            buf_addf(out, "~%.*s", STR_ARG(key->text));
        add_set(out, &key->set);
        if (key->child) {
            buf_add_byte(out, '(');
            add_keys(out, key->child);
            buf_add_byte(out, ')');
        }
        if (key->next)
            buf_add_byte(out, ' ');
    }
}

static int p_search(struct scan *s, struct arena *a, struct buf *out)
{
    struct imap_search search;
    int r = imap_parse_search(s, a, &imap_limits_default, &search);
    if (r < 0)
        return r;
    if (search.charset.n)
        buf_addf(out, "%.*s: ", STR_ARG(search.charset));
    if (search.returns || search.modseq)
        buf_addf(out, "%u%s: ", search.returns, search.modseq ? "m" : "");
    add_keys(out, search.keys);
    return 0;
}

static void search_keys(void **state)
{
    (void)state;
    static const struct row rows[] = {
        { "ALL", "0" },
        { "1:3,5 UID 7", "1[1-3][5-5] 2[7-7]" },
        { "SEEN UNSEEN", "3=1 !3=1" },
        { "ANSWERED DELETED DRAFT FLAGGED", "3=2 3=8 3=16 3=4" },
        { "UNANSWERED UNDELETED UNDRAFT UNFLAGGED", "!3=2 !3=8 !3=16 !3=4" },
        { "NEW", "17(4 !3=1)" },
        { "OLD RECENT", "!4 4" },
        { "KEYWORD $X UNKEYWORD y", "5~$X !5~y" },
        { "SMALLER 10 LARGER 20", "6=10 7=20" },
        { "BEFORE 2-Jan-1970 ON \"3-Jan-1970\" SINCE 4-Jan-1970", "8=1 9=2 10=3" },
        { "SENTBEFORE 2-Jan-1970 SENTON 3-Jan-1970 SENTSINCE 4-Jan-1970", "11=1 12=2 13=3" },
        { "FROM a TO b CC c BCC d SUBJECT \"e f\"", "20@From~a 20@To~b 20@Cc~c 20@Bcc~d 14@Subject~e f" },
        { "HEADER X-A {2}\r\nhi", "14@X-A~hi" },
        { "HEADER X-A \"\"", "14@X-A" },
        { "BODY x TEXT y", "15~x 16~y" },
        { "NOT SEEN", "!17(3=1)" },
        { "NOT NOT ALL", "!17(!17(0))" },
        { "OR SEEN DRAFT", "18(3=1 3=16)" },
        { "OR (SEEN FLAGGED) NOT 1", "18(17(3=1 3=4) !17(1[1-1]))" },
        { "CHARSET UTF-8 TEXT {2}\r\n\303\251", "UTF-8: 16~\303\251" },
        { "CHARSET \"UTF-8\" ALL", "UTF-8: 0" },
        { "CHARSET UTF-8", NULL },
        { "", NULL },
        { "NOT", NULL },
        { "OR SEEN", NULL },
        { "()", NULL },
        { "(SEEN", NULL },
        { "SEEN)", NULL },
        { "SEENX", NULL },
        { "SEEN  ALL", NULL },
        { "FROM", NULL },
        { "BEFORE x", NULL },
        { "RETURN () ALL", "4: 0" },
        { "RETURN (MIN max) CHARSET UTF-8 ALL", "UTF-8: 3: 0" },
        { "RETURN (COUNT ALL) MODSEQ 7", "12m: 19=7" },
        { "OR MODSEQ \"/flags/\\\\seen\" priv 9223372036854775807 ALL", "0m: 18(19=9223372036854775807 0)" },
        { "RETURN (MIN)", NULL },
        { "RETURN MIN ALL", NULL },
        { "RETURN (MIN ) ALL", NULL },
        { "MODSEQ", NULL },
        { "MODSEQ 9223372036854775808", NULL },
        { "MODSEQ \"/flags/x\" 5", NULL },
        { "MODSEQ \"x\" all 5", NULL },
        { "LARGER -1", NULL },
        { "LARGER 4294967296", NULL },
        { "UID", NULL },
        { "KEYWORD \"x\"", NULL },
        { "((((((((((((((((((((((ALL))))))))))))))))))))))", NULL },
        { "NOT NOT NOT NOT NOT NOT NOT NOT NOT NOT NOT NOT NOT NOT NOT NOT NOT NOT NOT NOT NOT NOT ALL", NULL },
    };
    CHECK(rows, p_search);
}

static int p_store(struct scan *s, struct arena *a, struct buf *out)
{
    struct imap_store store;
    int r = imap_parse_store(s, a, &imap_limits_default, &store);
    if (r < 0)
        return r;
    if (store.unchanged_since != UINT64_MAX)
        buf_addf(out, "<=%llu ", (unsigned long long)store.unchanged_since);
    buf_addf(out, "%d %d %u", (int)store.mode, store.silent, (unsigned)store.flags.system);
    for (size_t i = 0; i < store.flags.keyword_n; i++)
        buf_add_all(out, STR(" "), store.flags.keywords[i]);
    return 0;
}

static int p_status(struct scan *s, struct arena *a, struct buf *out)
{
    (void)a;
    unsigned items;
    int r = imap_parse_status_items(s, &items);
    if (r == 0)
        buf_addf(out, "%u", items);
    return r;
}

static int p_select_params(struct scan *s, struct arena *a, struct buf *out)
{
    struct imap_select_params p;
    int r = imap_parse_select_params(s, a, &imap_limits_default, &p);
    if (r == 0)
        buf_addf(out, "%d", p.condstore);
    if (r == 0 && p.qresync) {
        buf_addf(out, " %u %llu ", p.uidvalidity, (unsigned long long)p.modseq);
        add_set(out, &p.uids);
        buf_add(out, STR(" "));
        add_set(out, &p.match_seqs);
        buf_add(out, STR(" "));
        add_set(out, &p.match_uids);
    }
    return r;
}

static int p_append(struct scan *s, struct arena *a, struct buf *out)
{
    struct imap_append append;
    int r = imap_parse_append(s, a, &imap_limits_default, &append);
    if (r == 0)
        buf_addf(out, "%.*s %u %lld ", STR_ARG(append.mailbox), (unsigned)append.flags.system,
                 append.received_ms == INT64_MIN ? -1LL : (long long)append.received_ms);
    return r;
}

static int p_append_message(struct scan *s, struct arena *a, struct buf *out)
{
    struct imap_append append = { .mailbox = STR("x") };
    int r = imap_parse_append_message(s, a, &imap_limits_default, &append);
    if (r == 0)
        buf_addf(out, "%u %lld ", (unsigned)append.flags.system,
                 append.received_ms == INT64_MIN ? -1LL : (long long)append.received_ms);
    return r;
}

static int p_create_use(struct scan *s, struct arena *a, struct buf *out)
{
    (void)a;
    enum mail_special_use use;
    int r = imap_parse_create_use(s, &use);
    if (r == 0)
        buf_addf(out, "%d", (int)use);
    return r;
}

static int p_list(struct scan *s, struct arena *a, struct buf *out)
{
    struct imap_list list;
    int r = imap_parse_list(s, a, &list);
    if (r < 0)
        return r;
    buf_addf(out, "<%.*s>", STR_ARG(list.reference));
    for (size_t i = 0; i < list.pattern_n; i++)
        buf_addf(out, "<%.*s>", STR_ARG(list.patterns[i]));
    buf_addf(out, "%d%d%d%d%d%d", list.extended, list.select_special_use, list.select_subscribed, list.return_special_use,
             list.return_subscribed, list.return_children);
    if (list.recursive || list.select_remote || list.return_status)
        buf_addf(out, " %d %d %u", list.recursive, list.select_remote, list.return_status);
    return 0;
}

static void select_parameters(void **state)
{
    (void)state;
    static const struct row params[] = {
        { "(CONDSTORE)", "1" },
        { "(condstore CONDSTORE)", "1" },
        { "()", NULL },
        { "(QRESYNC)", NULL },
        { "(CONDSTORE", NULL },
        { "CONDSTORE", NULL },
        { "(QRESYNC (7 9))", "0 7 9   " },
        { "(qresync (7 9 1:3,5) condstore)", "1 7 9 [1-3][5-5]  " },
        { "(QRESYNC (7 9 1 (1,4 2,8:9)))", "0 7 9 [1-1] [1-1][4-4] [2-2][8-9]" },
        { "(QRESYNC (7 9 (1 2)))", "0 7 9  [1-1] [2-2]" },
        { "(QRESYNC (7 9) QRESYNC (7 9))", NULL },
        { "(QRESYNC (0 9))", NULL },
        { "(QRESYNC (7 0))", NULL },
        { "(QRESYNC (7 9 1:*))", NULL },
        { "(QRESYNC (7 9 1 (1:* 2)))", NULL },
        { "(QRESYNC (7 9 1 (1)))", NULL },
        { "(QRESYNC (7 9 1 (1 2) 3))", NULL },
    };
    CHECK(params, p_select_params);
}

static void other_arguments(void **state)
{
    (void)state;
    static const struct row stores[] = {
        { "FLAGS (\\Seen)", "0 0 1" },
        { "+FLAGS.SILENT (\\Deleted)", "1 1 8" },
        { "-flags \\Seen \\Draft x", "2 0 17 x" },
        { "FLAGS ()", "0 0 0" },
        { "FLAGS", NULL },
        { "FLAGS ", NULL },
        { "(UNCHANGEDSINCE 0) +FLAGS (\\Seen)", "<=0 1 0 1" },
        { "(UNCHANGEDSINCE) FLAGS ()", NULL },
        { "(UNCHANGEDSINCE 1)FLAGS ()", NULL },
        { "() FLAGS ()", NULL },
        { "*FLAGS (\\Seen)", NULL },
        { "FLAGS.LOUD (\\Seen)", NULL },
        { "FLAGS (\\Seen) x", "0 0 1 x" },
    };
    CHECK(stores, p_store);
    static const struct row statuses[] = {
        { "(MESSAGES)", "1" }, { "(size)", "32" },      { "(MESSAGES RECENT UIDNEXT UIDVALIDITY UNSEEN)", "31" },
        { "()", NULL },        { "MESSAGES", NULL },    { "(FOO)", NULL },
        { "(MESSAGES", NULL }, { "(MESSAGES )", NULL },
    };
    CHECK(statuses, p_status);
    static const struct row appends[] = {
        { "INBOX {5}", "INBOX 0 -1 {5}" },
        { "x (\\Seen) {5+}", "x 1 -1 {5+}" },
        { "x (\\Seen) \" 1-Jan-1970 00:00:01 +0000\" {5}", "x 1 1000 {5}" },
        { "x \" 1-Jan-1970 00:00:01 +0000\" {5}", "x 0 1000 {5}" },
        { "{5}", NULL },
        { "x", NULL },
        { "x (\\Bad) {5}", NULL },
        { "x \"bad\" {5}", NULL },
    };
    CHECK(appends, p_append);
    static const struct row messages[] = {
        { " {5}", "0 -1 {5}" },   { " (\\Seen) \" 1-Jan-1970 00:00:01 +0000\" {5}", "1 1000 {5}" },
        { "{5}", NULL },          { " (\\Bad) {5}", NULL },
        { " (\\Seen){5}", NULL },
    };
    CHECK(messages, p_append_message);
    static const struct row uses[] = {
        { "(USE (\\Sent))", "6" },     { "(use (\\trash))", "7" },
        { "(USE ())", "0" },           { "(USE (\\Sent \\Junk))", NULL },
        { "(USE (\\Odd))", NULL },     { "(USE (Sent))", NULL },
        { "(USE \\Sent)", NULL },      { "(USE (\\Sent)", NULL },
        { "(USES (\\Sent))", NULL },   { "()", NULL },
        { "(USE (\\Sent \\))", NULL },
    };
    CHECK(uses, p_create_use);
    static const struct row lists[] = {
        { "\"\" *", "<><*>000000" },
        { "\"\" \"%\"", "<><%>000000" },
        { "a/ {1}\r\n*", "<a/><*>000000" },
        { "(SPECIAL-USE) \"\" *", "<><*>110000" },
        { "(SUBSCRIBED SPECIAL-USE) \"\" (a b*)", "<><a><b*>111000" },
        { "() \"\" * RETURN (SPECIAL-USE CHILDREN SUBSCRIBED)", "<><*>100111" },
        { "\"\" * RETURN ()", "<><*>100000" },
        { "(REMOTE) \"\" *", "<><*>100000 0 1 0" },
        { "(RECURSIVEMATCH SUBSCRIBED) \"\" * RETURN (STATUS (UNSEEN SIZE))", "<><*>101000 1 0 48" },
        { "(RECURSIVEMATCH REMOTE) \"\" *", NULL },
        { "(SUBSCRIBED ) \"\" *", NULL },
        { "(SUBSCRIBED CHILDREN) \"\" *", NULL },
        { "\"\" * RETURN (STATUS)", NULL },
        { "\"\" * RETURN (REMOTE)", NULL },
        { "\"\"", NULL },
        { "\"\" ", NULL },
        { "(FOO) \"\" *", NULL },
        { "\"\" (a", NULL },
        { "\"\" * RETURN", "<><*>000000 RETURN" },
    };
    CHECK(lists, p_list);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tags_and_strings), cmocka_unit_test(sequence_sets), cmocka_unit_test(flags_and_dates),
        cmocka_unit_test(fetch_attributes), cmocka_unit_test(search_keys),   cmocka_unit_test(select_parameters),
        cmocka_unit_test(other_arguments),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
