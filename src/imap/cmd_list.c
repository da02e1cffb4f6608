/* cmd_list: LIST and LSUB (RFC 3501 sections 6.3.8 and 6.3.9), with \HasChildren (RFC 3348), selection and return options (RFC
 * 5258), STATUS (RFC 5819) and special use (RFC 6154). */
#include "imap/session_private.h"

enum { PATTERN_MAX = 2 * MAIL_NAME_MAX, LIST_SLICE = 200 };

struct list_work {
    struct imap_list args;
    bool lsub;
    str *patterns; /* reference and pattern joined */
    struct mailbox_info *boxes;
    size_t box_n, at;
    str last_parent; /* of LSUB: the parent written last */
};

/* Whether NAME fits PATTERN: "*" stands for anything, "%" for anything without "/". Letters are folded where NAME begins with INBOX. All places
 * of the name that can be reached are kept, so that many wildcards cost no more than name times pattern. */
static bool matches(str pattern, str name)
{
    size_t folded = mailbox_name_inbox(name);
    bool reach[MAIL_NAME_MAX + 2] = { true };
    if (name.n > MAIL_NAME_MAX || pattern.n > PATTERN_MAX)
        return false;
    for (size_t i = 0; i < pattern.n; i++) {
        char c = pattern.p[i];
        bool before = false;
        for (size_t k = 0; k <= name.n; k++) {
            bool here = reach[k];
            if (c == '*' || c == '%')
                reach[k] = here || (k && reach[k - 1] && (c == '*' || name.p[k - 1] != '/'));
            else
                reach[k] = before && (name.p[k - 1] == c || (k <= folded && ascii_lower(name.p[k - 1]) == ascii_lower(c)));
            before = here;
        }
    }
    return reach[name.n];
}

static bool matches_any(const struct list_work *w, str name)
{
    char room[MAIL_NAME_ROOM];
    str composed = mailbox_name_composed(name, room);
    for (size_t i = 0; i < w->args.pattern_n; i++) {
        if (matches(w->patterns[i], composed))
            return true;
    }
    return false;
}

/* use-attr (RFC 6154 section 6) */
static str use_name(enum mail_special_use use)
{
    switch (use) {
    case MAIL_USE_NONE:
        break;
    case MAIL_USE_ALL:
        return STR("\\All");
    case MAIL_USE_ARCHIVE:
        return STR("\\Archive");
    case MAIL_USE_DRAFTS:
        return STR("\\Drafts");
    case MAIL_USE_FLAGGED:
        return STR("\\Flagged");
    case MAIL_USE_JUNK:
        return STR("\\Junk");
    case MAIL_USE_SENT:
        return STR("\\Sent");
    case MAIL_USE_TRASH:
        return STR("\\Trash");
    }
    return STR("");
}

/* mailbox-list = "(" [mbx-list-flags] ")" SP DQUOTE "/" DQUOTE SP mailbox [SP mbox-list-extended] */
static void write_row(struct imap_session *s, const struct list_work *w, const str *attributes, size_t n, str name, str extended)
{
    buf_add(&s->out, w->lsub ? STR("* LSUB (") : STR("* LIST ("));
    for (size_t i = 0, k = 0; i < n; i++) {
        if (attributes[i].n)
            buf_add_all(&s->out, k++ ? STR(" ") : STR(""), attributes[i]);
    }
    buf_add(&s->out, STR(") \"/\" "));
    imap_write_mailbox(&s->out, name);
    buf_add_all(&s->out, extended, STR("\r\n"));
}

/* Whether BOX satisfies the selection options; REMOTE has none to add. */
static bool is_selected(const struct imap_list *args, const struct mailbox_info *box)
{
    if (args->select_subscribed ? !box->subscribed : !box->exists && !box->has_children)
        return false;
    return !args->select_special_use || box->use != MAIL_USE_NONE;
}

static bool is_below(str child, str parent)
{
    return child.n > parent.n && child.p[parent.n] == '/' && str_starts(child, parent);
}

enum { BELOW_SELECTED = 1, BELOW_HIDDEN = 2 };

/* What is below row AT, for RECURSIVEMATCH: rows that satisfy the selection options, and whether one of them does not match the
 * patterns. Rows are sorted so that children follow their parent. */
static unsigned look_below(const struct list_work *w, size_t at)
{
    unsigned found = 0;
    for (size_t i = at + 1; i < w->box_n && is_below(w->boxes[i].name, w->boxes[at].name) && !(found & BELOW_HIDDEN); i++) {
        if (is_selected(&w->args, &w->boxes[i]))
            found |= BELOW_SELECTED | (matches_any(w, w->boxes[i].name) ? 0 : BELOW_HIDDEN);
    }
    return found;
}

/* A row is listed when it is selected itself, or with RECURSIVEMATCH because of one below that is not listed; then and when it is
 * both, CHILDINFO says so (RFC 5258 sections 3.3 and 3.5). A STATUS follows what is selected and exists (RFC 5819 section 2). */
static void list_one(struct imap_session *s, const struct list_work *w, const struct mailbox_info *box)
{
    const struct imap_list *args = &w->args;
    bool selected = is_selected(args, box);
    if ((!selected && !args->recursive) || !matches_any(w, box->name))
        return;
    unsigned below = args->recursive ? look_below(w, (size_t)(box - w->boxes)) : 0;
    if (!selected && !(below & BELOW_HIDDEN))
        return;
    bool use = !args->extended || args->return_special_use || args->select_special_use;
    const str attributes[] = {
        box->exists      ? STR("")
        : args->extended ? STR("\\NonExistent")
                         : STR("\\Noselect"),
        box->has_children ? STR("\\HasChildren") : STR("\\HasNoChildren"),
        use ? use_name(box->use) : STR(""),
        box->subscribed && (args->return_subscribed || args->select_subscribed) ? STR("\\Subscribed") : STR(""),
    };
    str info = STR("");
    if (below)
        info = !args->select_special_use ? STR(" (\"CHILDINFO\" (\"SUBSCRIBED\"))")
               : args->select_subscribed ? STR(" (\"CHILDINFO\" (\"SUBSCRIBED\" \"SPECIAL-USE\"))")
                                         : STR(" (\"CHILDINFO\" (\"SPECIAL-USE\"))");
    write_row(s, w, attributes, sizeof attributes / sizeof *attributes, box->name, info);
    if (args->return_status && selected && box->exists)
        imap_write_status(s, box, args->return_status);
}

/* "if "foo/bar" is subscribed and "foo" is not, a "%" wildcard to LSUB must return foo ... flagged with \Noselect" (section
 * 6.3.9). Names come sorted, so children of one parent stand together. */
static void list_parents(struct imap_session *s, struct list_work *w, str name)
{
    for (size_t slash = str_find_byte(name, '/', 0); slash < name.n; slash = str_find_byte(name, '/', slash + 1)) {
        str parent = str_sub(name, 0, slash);
        if (str_eq(parent, w->last_parent) || !matches_any(w, parent))
            continue;
        for (size_t i = 0; i < w->box_n; i++) {
            if (str_eq(w->boxes[i].name, parent) && w->boxes[i].subscribed)
                return;
        }
        w->last_parent = parent;
        write_row(s, w, &STR("\\Noselect"), 1, parent, STR(""));
        return;
    }
}

static void lsub_one(struct imap_session *s, struct list_work *w, const struct mailbox_info *box)
{
    if (!box->subscribed)
        return;
    if (matches_any(w, box->name))
        write_row(s, w, box->exists ? NULL : &STR("\\Noselect"), box->exists ? 0 : 1, box->name, STR(""));
    else
        list_parents(s, w, box->name);
}

static enum imap_next list_more(struct imap_session *s)
{
    struct list_work *w = s->work;
    for (unsigned i = 0; w->at < w->box_n; i++) {
        if (imap_out_is_full(s) || i == LIST_SLICE)
            return IMAP_MORE;
        const struct mailbox_info *box = &w->boxes[w->at++];
        if (w->lsub)
            lsub_one(s, w, box);
        else
            list_one(s, w, box);
    }
    return imap_ok(s);
}

static enum imap_next list(struct imap_session *s, struct scan *args, bool lsub)
{
    struct list_work *w = arena_new(&s->arena, struct list_work);
    if (!w)
        return imap_fail(s, ERR_LIMIT, NULL);
    s->work = w;
    s->resume = list_more;
    w->lsub = lsub;
    int r = imap_parse_sp(args);
    if (r == 0)
        r = imap_parse_list(args, &s->arena, &w->args);
    if (r < 0 || !scan_done(args) || (lsub && w->args.extended))
        return imap_bad_arguments(s, r);
    /* "An empty mailbox name argument is a special request to return the hierarchy delimiter" (section 6.3.8). */
    if (!w->args.extended && !w->args.patterns[0].n) {
        write_row(s, w, &STR("\\Noselect"), 1, STR(""), STR(""));
        return imap_ok(s);
    }
    if (w->args.return_status & IMAP_STATUS_HIGHESTMODSEQ)
        imap_condstore_enable(s);
    w->patterns = arena_array(&s->arena, w->args.pattern_n, sizeof(str));
    if (!w->patterns)
        return imap_fail(s, ERR_LIMIT, NULL);
    for (size_t i = 0; i < w->args.pattern_n; i++) {
        char room[MAIL_NAME_ROOM];
        str joined;
        r = arena_printf(&s->arena, &joined, "%.*s%.*s", STR_ARG(w->args.reference), STR_ARG(w->args.patterns[i]));
        if (r == 0)
            r = arena_dup(&s->arena, mailbox_name_composed(joined, room), &w->patterns[i]);
        if (r < 0)
            return imap_fail(s, r, NULL);
    }
    r = mailbox_list(s->account, &s->arena, &w->boxes, &w->box_n);
    return r < 0 ? imap_fail(s, r, NULL) : list_more(s);
}

IMAP_HANDLER(list)
{
    return list(s, args, false);
}

IMAP_HANDLER(lsub)
{
    return list(s, args, true);
}
