/* syntax_list: LIST with the options of RFC 5258, RFC 5819 and RFC 6154, and CREATE's USE; see syntax.h. */
#include "imap/syntax_private.h"

enum { LIST_PATTERNS_MAX = 100 };

/* list-select-opt (RFC 5258 section 6, RFC 6154 section 6) */
static int parse_select_option(struct scan *s, struct imap_list *list)
{
    if (imap_scan_word(s, STR("SUBSCRIBED")))
        list->select_subscribed = true;
    else if (imap_scan_word(s, STR("SPECIAL-USE")))
        list->select_special_use = true;
    else if (imap_scan_word(s, STR("REMOTE")))
        list->select_remote = true;
    else if (imap_scan_word(s, STR("RECURSIVEMATCH")))
        list->recursive = true;
    else
        return ERR_SYNTAX;
    return 0;
}

/* return-option (RFC 5258 section 6, RFC 6154 section 6); status-option = "STATUS" SP "(" status-att *(SP status-att) ")" (RFC
 * 5819 section 4) */
static int parse_return_option(struct scan *s, struct imap_list *list)
{
    if (imap_scan_word(s, STR("SUBSCRIBED")))
        list->return_subscribed = true;
    else if (imap_scan_word(s, STR("CHILDREN")))
        list->return_children = true;
    else if (imap_scan_word(s, STR("SPECIAL-USE")))
        list->return_special_use = true;
    else if (imap_scan_word(s, STR("STATUS")))
        return scan_byte(s, ' ') ? imap_parse_status_items(s, &list->return_status) : ERR_SYNTAX;
    else
        return ERR_SYNTAX;
    return 0;
}

/* "(" [option *(SP option)] ")" */
static int parse_options(struct scan *s, int (*parse)(struct scan *s, struct imap_list *list), struct imap_list *list)
{
    list->extended = true;
    if (!scan_byte(s, '('))
        return ERR_SYNTAX;
    if (scan_byte(s, ')'))
        return 0;
    do {
        int r = parse(s, list);
        if (r < 0)
            return r;
    } while (scan_byte(s, ' '));
    return scan_byte(s, ')') ? 0 : ERR_SYNTAX;
}

/* "(" list-mailbox *(SP list-mailbox) ")" (RFC 5258 section 6: patterns) */
static int parse_patterns(struct scan *s, struct arena *a, struct imap_list *list)
{
    str *patterns = arena_array(a, LIST_PATTERNS_MAX, sizeof *patterns);
    if (!patterns)
        return ERR_LIMIT;
    list->patterns = patterns;
    bool many = scan_byte(s, '(');
    list->extended |= many;
    do {
        if (list->pattern_n == LIST_PATTERNS_MAX)
            return ERR_LIMIT;
        int r = imap_parse_list_mailbox(s, a, &patterns[list->pattern_n++]);
        if (r < 0)
            return r;
    } while (many && scan_byte(s, ' '));
    return many && !scan_byte(s, ')') ? ERR_SYNTAX : 0;
}

/* list = "LIST" [SP list-select-opts] SP mailbox SP mbox-or-pat [SP list-return-opts] (RFC 5258 section 6). "The RECURSIVEMATCH
 * option MUST NOT occur as the only selection option (or only with REMOTE) ... the server MUST return a tagged BAD". */
int imap_parse_list(struct scan *s, struct arena *a, struct imap_list *ret)
{
    struct scan at = *s;
    struct imap_list list = { 0 };
    int r;
    if (scan_peek(&at) == '(') {
        r = parse_options(&at, parse_select_option, &list);
        if (r < 0)
            return r;
        if (!scan_byte(&at, ' ') || (list.recursive && !list.select_subscribed && !list.select_special_use))
            return ERR_SYNTAX;
    }
    r = imap_parse_mailbox(&at, a, &list.reference);
    if (r < 0)
        return r;
    if (!scan_byte(&at, ' '))
        return ERR_SYNTAX;
    r = parse_patterns(&at, a, &list);
    if (r < 0)
        return r;
    if (scan_iliteral(&at, STR(" RETURN "))) {
        r = parse_options(&at, parse_return_option, &list);
        if (r < 0)
            return r;
    }
    *s = at;
    *ret = list;
    return 0;
}

/* use-attr = "\All" / "\Archive" / "\Drafts" / "\Flagged" / "\Junk" / "\Sent" / "\Trash" / use-attr-ext */
static int parse_use(struct scan *s, enum mail_special_use *ret)
{
    static const struct {
        str name;
        enum mail_special_use use;
    } uses[] = {
        { STR_INIT("All"), MAIL_USE_ALL },       { STR_INIT("Archive"), MAIL_USE_ARCHIVE },
        { STR_INIT("Drafts"), MAIL_USE_DRAFTS }, { STR_INIT("Flagged"), MAIL_USE_FLAGGED },
        { STR_INIT("Junk"), MAIL_USE_JUNK },     { STR_INIT("Sent"), MAIL_USE_SENT },
        { STR_INIT("Trash"), MAIL_USE_TRASH },
    };
    str name;
    if (!scan_byte(s, '\\') || imap_parse_atom(s, &name) < 0)
        return ERR_SYNTAX;
    for (size_t i = 0; i < sizeof uses / sizeof *uses; i++) {
        if (str_ieq(name, uses[i].name)) {
            *ret = uses[i].use;
            return 0;
        }
    }
    return ERR_UNSUPPORTED;
}

int imap_parse_create_use(struct scan *s, enum mail_special_use *ret)
{
    struct scan at = *s;
    enum mail_special_use use = MAIL_USE_NONE;
    unsigned n = 0;
    int unknown = 0;
    if (!scan_byte(&at, '(') || !imap_scan_word(&at, STR("USE")) || !scan_byte(&at, ' ') || !scan_byte(&at, '('))
        return ERR_SYNTAX;
    if (!scan_byte(&at, ')')) {
        do {
            int r = parse_use(&at, &use);
            if (r == ERR_SYNTAX)
                return r;
            unknown = r < 0 ? r : unknown;
            n++;
        } while (scan_byte(&at, ' '));
        if (!scan_byte(&at, ')'))
            return ERR_SYNTAX;
    }
    if (!scan_byte(&at, ')'))
        return ERR_SYNTAX;
    if (unknown < 0 || n > 1)
        return unknown < 0 ? unknown : ERR_LIMIT;
    *s = at;
    *ret = use;
    return 0;
}
