/* mailbox_name: what a mailbox may be called, and the order of names. */
#include <unicode/unorm2.h>
#include <unicode/ustring.h>

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

str mailbox_name_composed(str name, char room[MAIL_NAME_ROOM])
{
    UErrorCode status = U_ZERO_ERROR;
    UChar wide[MAIL_NAME_MAX], composed[3 * MAIL_NAME_MAX]; /* a code unit becomes three at most (Unicode Standard Annex 15) */
    int32_t n = 0, bytes = 0;
    if (name.n > MAIL_NAME_MAX || utf8_is_ascii(name) || !utf8_valid(name))
        return name;
    const UNormalizer2 *form = unorm2_getNFCInstance(&status);
    u_strFromUTF8(wide, MAIL_NAME_MAX, &n, name.p, (int32_t)name.n, &status);
    if (U_FAILURE(status) || unorm2_isNormalized(form, wide, n, &status))
        return name;
    n = unorm2_normalize(form, wide, n, composed, sizeof composed / sizeof *composed, &status);
    u_strToUTF8(room, MAIL_NAME_ROOM, &bytes, composed, n, &status);
    return U_FAILURE(status) ? name : (str){ room, (size_t)bytes };
}

bool mailbox_name_same(str a, str b)
{
    char room_a[MAIL_NAME_ROOM], room_b[MAIL_NAME_ROOM];
    a = mailbox_name_composed(a, room_a);
    b = mailbox_name_composed(b, room_b);
    size_t n = mailbox_name_inbox(a);
    return n == mailbox_name_inbox(b) && str_eq(str_from(a, n), str_from(b, n));
}

/* Folders have no such names, and a Maildir has the last three in each mailbox. */
static bool level_is_folders(str level)
{
    static const str names[] = { STR_INIT("."), STR_INIT(".."), STR_INIT("cur"), STR_INIT("new"), STR_INIT("tmp") };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (str_eq(level, names[i]))
            return true;
    return false;
}

int mailbox_name_check_new(str name, struct error *e)
{
    str rest = name, level;
    while (str_split(&rest, '/', &level))
        if (level_is_folders(level))
            return error_set(
                e, ERR_SYNTAX,
                "a level of a mailbox name is not \"%.*s\": programs that keep mailboxes as folders could not make it; "
                "take another name",
                STR_ARG(level));
    return 0;
}

int mailbox_name_apart(str name, struct arena *arena, str *ret)
{
    str rest = name, level, apart = STR("");
    int r = 0;
    while (!r && str_split(&rest, '/', &level))
        r = arena_printf(arena, &apart, "%.*s%s%.*s%s", STR_ARG(apart), apart.n ? "/" : "", STR_ARG(level),
                         level_is_folders(level) ? "_" : "");
    if (!r)
        *ret = str_eq(apart, name) ? name : apart;
    return r;
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
