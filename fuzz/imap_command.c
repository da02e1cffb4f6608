/* The parsers of command arguments, each on the same whole slice (RFC 3501 section 9). A parser that fails leaves the cursor
 * alone. */
#include "imap/syntax.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct arena arena;

static void check(struct scan *s, str in, int r)
{
    require(r == 0 || r == ERR_SYNTAX || r == ERR_LIMIT || r == ERR_REFUSED);
    require(r == 0 || s->p == in.p);
    require(s->p >= in.p && s->p <= s->end);
    arena_reset(&arena);
    *s = scan_init(in);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    str in = { (const char *)data, size }, text;
    const struct imap_limits *limits = &imap_limits_default;
    struct scan s = scan_init(in);
    arena_init(&arena, 16 << 20);
    struct imap_set set;
    struct mail_flags flags;
    struct imap_append append;
    struct imap_store store;
    struct imap_list list;
    struct imap_fetch fetch;
    struct imap_search search;
    struct imap_select_params params;
    int64_t number;
    unsigned items;
    check(&s, in, imap_parse_tag(&s, &text));
    check(&s, in, imap_parse_atom(&s, &text));
    check(&s, in, imap_parse_astring(&s, &arena, &text));
    check(&s, in, imap_parse_nstring(&s, &arena, &text));
    check(&s, in, imap_parse_mailbox(&s, &arena, &text));
    check(&s, in, imap_parse_list_mailbox(&s, &arena, &text));
    check(&s, in, imap_parse_set(&s, &arena, limits, &set));
    check(&s, in, imap_parse_flag_list(&s, &arena, limits, &flags));
    check(&s, in, imap_parse_date(&s, &number));
    check(&s, in, imap_parse_date_time(&s, &number));
    check(&s, in, imap_parse_append(&s, &arena, limits, &append));
    check(&s, in, imap_parse_status_items(&s, &items));
    check(&s, in, imap_parse_select_params(&s, &arena, limits, &params));
    check(&s, in, imap_parse_store(&s, &arena, limits, &store));
    check(&s, in, imap_parse_list(&s, &arena, &list));
    check(&s, in, imap_parse_fetch(&s, &arena, limits, &fetch));
    check(&s, in, imap_parse_search(&s, &arena, limits, &search));
    arena_done(&arena);
    return 0;
}
