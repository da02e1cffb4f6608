/* mailbox_name: what a mailbox may be called, and the order of names. */
#include "base/utf8.h"
#include "store/mail_private.h"

/* Control characters and line separators would break lists on screens and in protocols (RFC 5198 section 2). */
static bool code_is_bad(uint32_t c)
{
    return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x2028 || c == 0x2029 || c == 0xfeff;
}

static int name_check(str name, struct error *e)
{
    if (name.n == 0)
        return error_set(e, ERR_SYNTAX, "a mailbox name must not be empty; take another");
    if (name.n > MAIL_NAME_MAX)
        return error_set(e, ERR_SYNTAX, "the mailbox name is longer than %d bytes; take a shorter one", MAIL_NAME_MAX);
    for (str rest = name; rest.n;) {
        uint32_t c;
        size_t n = utf8_decode(rest, &c);
        if (n == 0)
            return error_set(e, ERR_SYNTAX, "the mailbox name is not UTF-8; write it so");
        if (code_is_bad(c))
            return error_set(e, ERR_SYNTAX, "the mailbox name holds a control character; leave it out");
        rest = str_from(rest, n);
    }
    int levels = 0;
    str rest = name, level;
    while (str_split(&rest, '/', &level)) {
        if (level.n == 0)
            return error_set(e, ERR_SYNTAX, "the mailbox name has an empty level; write one / between two names");
        if (++levels > MAIL_LEVELS_MAX)
            return error_set(e, ERR_SYNTAX, "the mailbox name has more than %d levels; put it less deep", MAIL_LEVELS_MAX);
    }
    return 0;
}

int mailbox_name_normalize(str name, struct arena *arena, str *ret, struct error *e)
{
    int r = name_check(name, e);
    if (r)
        return r;
    char room[MAIL_NAME_MAX];
    return arena_dup(arena, mailbox_name_proper(name, room), ret);
}

size_t mailbox_name_inbox(str name)
{
    str inbox = STR("INBOX");
    return str_istarts(name, inbox) && (name.n == inbox.n || name.p[inbox.n] == '/') ? inbox.n : 0;
}

str mailbox_name_proper(str name, char room[MAIL_NAME_MAX])
{
    size_t n = mailbox_name_inbox(name);
    if (n == 0 || name.n > MAIL_NAME_MAX)
        return name;
    memcpy(room, name.p, name.n);
    memcpy(room, "INBOX", n);
    return (str){ room, name.n };
}

bool mailbox_name_same(str a, str b)
{
    size_t n = mailbox_name_inbox(a);
    return n == mailbox_name_inbox(b) && str_eq(str_from(a, n), str_from(b, n));
}

int mailbox_name_check_new(str name, struct error *e)
{
    str rest = name, level;
    while (str_split(&rest, '/', &level))
        if (str_eq(level, STR(".")) || str_eq(level, STR("..")))
            return error_set(
                e, ERR_SYNTAX,
                "a level of a mailbox name is not \".\" or \"..\": programs that keep mailboxes as folders could not make it");
    return 0;
}

static int rank(char c)
{
    return c == '/' ? 0 : (unsigned char)c + 1;
}

int mailbox_name_cmp(str a, str b)
{
    str inbox = STR("INBOX");
    bool a_in = str_eq(a, inbox) || mailbox_name_below(a, inbox), b_in = str_eq(b, inbox) || mailbox_name_below(b, inbox);
    if (a_in != b_in)
        return a_in ? -1 : 1;
    for (size_t i = 0; i < a.n && i < b.n; i++)
        if (a.p[i] != b.p[i])
            return rank(a.p[i]) - rank(b.p[i]);
    return a.n < b.n ? -1 : a.n > b.n;
}

bool mailbox_name_below(str child, str parent)
{
    return child.n > parent.n + 1 && str_starts(child, parent) && child.p[parent.n] == '/';
}
