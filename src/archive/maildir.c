/* maildir: see maildir.h. */
#include "archive/maildir.h"

#include "imap/utf7.h"

static const struct {
    char letter;
    uint64_t flag;
} letters[] = { { 'D', MAIL_DRAFT }, { 'F', MAIL_FLAGGED }, { 'R', MAIL_ANSWERED }, { 'S', MAIL_SEEN }, { 'T', MAIL_DELETED } };

int maildir_courier_parse(str text, struct arena *a, struct maildir_courier *ret)
{
    str rest = text, line;
    size_t n = 0;
    *ret = (struct maildir_courier){ .text = text };
    map_init(&ret->files);
    map_init(&ret->newer);
    for (str count = text; str_split(&count, '\n', &line) && line.n;)
        n++;
    ret->names = arena_array(a, n, sizeof *ret->names);
    if (!ret->names)
        return ERR_LIMIT;
    while (str_split(&rest, '\n', &line) && line.n)
        ret->names[ret->n++] = line;
    while (str_split(&rest, '\n', &line)) {
        size_t colon = str_rfind_byte(line, ':');
        if (colon && colon < line.n)
            (void)map_put(&ret->files, str_sub(line, 0, colon), (void *)(uintptr_t)(line.p + colon));
    }
    return 0;
}

void maildir_courier_done(struct maildir_courier *c)
{
    map_done(&c->files);
    map_done(&c->newer);
}

int maildir_courier_replace(struct maildir_courier *c, str file, str text, struct arena *a)
{
    str *kept = arena_array(a, 1, sizeof *kept);
    int err = kept ? arena_dup(a, text, kept) : ERR_LIMIT;
    if (err == 0)
        (void)map_put(&c->newer, file, kept);
    return err;
}

static int add_courier(const struct maildir_courier *c, str file, struct keyword_list *l)
{
    const str *newer = map_get(&c->newer, file);
    if (newer)
        return keyword_list_add_words(l, *newer);
    const char *at = map_get(&c->files, file);
    str line = at ? (str){ at + 1, (size_t)(c->text.p + c->text.n - at - 1) } : (str){ NULL, 0 }, word;
    line = str_sub(line, 0, str_find_byte(line, '\n', 0));
    int err = 0;
    while (err == 0 && at && str_split(&line, ' ', &word)) {
        uint32_t number;
        if (str_to_u32(word, UINT32_MAX, &number) && number < c->n)
            err = keyword_list_add(l, c->names[number]);
    }
    return err;
}

/* Where the flags of file NAME begin: at ":2,", or at what stands there in copies that were on a file system of Windows, whose names have no colon: ";2," or "!2,"
 * with nothing but letters behind it. Its end when there are none. */
static size_t info_of(str name)
{
    size_t at = str_find(name, STR(":2,"));
    for (size_t i = 0; i < 2 && at == name.n; i++) {
        size_t mark = str_rfind_byte(name, ";!"[i]), end = mark + 3;
        if (mark == name.n || !str_starts(str_from(name, mark + 1), STR("2,")))
            continue;
        while (end < name.n && ascii_is_alpha(name.p[end]))
            end++;
        at = end == name.n ? mark : at;
    }
    return at;
}

int maildir_name_parse(str name, const struct maildir_keywords *k, const struct maildir_courier *c, struct arena *a,
                       struct mail_flags *ret, uint32_t *ret_lost)
{
    size_t at = info_of(name);
    str given = str_from(name, at < name.n ? at + 3 : name.n);
    struct keyword_list l = { .arena = a };
    uint64_t system = 0;
    int err = 0;
    for (size_t i = 0; i < sizeof letters / sizeof letters[0]; i++)
        if (str_find_byte(given, letters[i].letter, 0) < given.n)
            system |= letters[i].flag;
    for (size_t i = 0; i < MAILDIR_KEYWORDS_MAX && err == 0; i++)
        if (k->names[i].n && str_find_byte(given, (char)('a' + i), 0) < given.n)
            err = keyword_list_add(&l, k->names[i]);
    if (err == 0 && str_find_byte(given, 'P', 0) < given.n)
        err = keyword_list_add(&l, STR("$Forwarded"));
    if (err == 0 && c)
        err = add_courier(c, str_sub(name, 0, at), &l);
    if (err == 0)
        err = keyword_list_flags(&l, system, ret);
    if (err == 0)
        *ret_lost = l.lost;
    return err;
}

void maildir_name_add(struct buf *b, int64_t received, uint64_t unique, uint64_t size, uint64_t system, uint32_t keyword_letters)
{
    buf_addf(b, "%lld.V%llu.valise,S=%llu:2,", (long long)(received < 0 ? 0 : received), (unsigned long long)unique,
             (unsigned long long)size);
    for (size_t i = 0; i < sizeof letters / sizeof letters[0]; i++)
        if (system & letters[i].flag)
            buf_add_byte(b, letters[i].letter);
    for (unsigned i = 0; i < MAILDIR_KEYWORDS_MAX; i++)
        if (keyword_letters >> i & 1)
            buf_add_byte(b, (char)('a' + i));
}

/* --- keywords --- */

static bool is_keyword(str name)
{
    bool good = name.n > 0 && name.n <= MAIL_KEYWORD_BYTES_MAX;
    for (size_t i = 0; i < name.n; i++)
        good = good && name.p[i] > ' ' && name.p[i] < 0x7f;
    return good;
}

void maildir_keywords_parse(str text, struct maildir_keywords *ret)
{
    str line;
    *ret = (struct maildir_keywords){ 0 };
    while (str_split(&text, '\n', &line)) {
        size_t space = str_find_byte(line, ' ', 0);
        uint32_t number;
        str name = str_trim(str_from(line, space));
        if (str_to_u32(str_sub(line, 0, space), MAILDIR_KEYWORDS_MAX - 1, &number) && is_keyword(name))
            ret->names[number] = name;
    }
}

int maildir_keyword_letter(struct maildir_keywords *k, str name)
{
    int free = -1;
    for (int i = MAILDIR_KEYWORDS_MAX - 1; i >= 0; i--)
        if (str_ieq(k->names[i], name) && name.n)
            return i;
        else if (k->names[i].n == 0)
            free = i;
    if (free >= 0)
        k->names[free] = name;
    return free;
}

void maildir_keywords_add(struct buf *b, const struct maildir_keywords *k)
{
    for (unsigned i = 0; i < MAILDIR_KEYWORDS_MAX; i++)
        if (k->names[i].n) {
            buf_add_u64(b, i);
            buf_add_all(b, STR(" "), k->names[i], STR("\n"));
        }
}

/* --- folders --- */

void maildir_folder_add(struct buf *b, str name)
{
    str level;
    while (str_split(&name, '/', &level)) {
        struct buf escaped = BUF_INIT(4 * MAIL_NAME_MAX);
        for (size_t i = 0; i < level.n; i++)
            if (level.p[i] == '.' || level.p[i] == '\\')
                buf_add(&escaped, level.p[i] == '.' ? STR("\\2e") : STR("\\5c"));
            else
                buf_add_byte(&escaped, level.p[i]);
        buf_add_byte(b, '.');
        imap_utf7_encode(b, buf_str(&escaped));
        buf_done(&escaped);
    }
}

/* Appends LEVEL without its escapes, which stand for printable ASCII only: else the name would not stay UTF-8. */
static int add_level(struct buf *b, str level)
{
    for (size_t i = 0; i < level.n; i++) {
        int hi = i + 2 < level.n ? ascii_hex_value(level.p[i + 1]) : -1, lo = hi >= 0 ? ascii_hex_value(level.p[i + 2]) : -1;
        char c = level.p[i];
        if (c == '\\' && lo >= 0) {
            c = (char)(hi << 4 | lo);
            i += 2;
            if ((unsigned char)c < ' ' || (unsigned char)c > '~')
                return ERR_SYNTAX;
        }
        if (c == '/')
            return ERR_SYNTAX;
        buf_add_byte(b, c);
    }
    return level.n ? 0 : ERR_SYNTAX;
}

int maildir_folder_parse(str folder, struct arena *a, str *ret)
{
    struct buf name = BUF_INIT(4 * MAIL_NAME_MAX);
    str rest = str_from(folder, 1), level;
    int err = folder.n > 1 && folder.p[0] == '.' ? 0 : ERR_SYNTAX;
    while (err == 0 && str_split(&rest, '.', &level)) {
        str decoded;
        err = imap_utf7_decode(level, a, &decoded);
        if (err == 0 && name.n)
            buf_add_byte(&name, '/');
        if (err == 0)
            err = add_level(&name, decoded);
    }
    if (err == 0)
        err = buf_error(&name);
    if (err == 0)
        err = arena_dup(a, buf_str(&name), ret);
    buf_done(&name);
    return err;
}

int maildir_level_parse(str folder, struct arena *a, str *ret)
{
    struct buf name = BUF_INIT(4 * MAIL_NAME_MAX);
    str decoded;
    if (folder.n > 4 && str_ends(folder, STR(".sbd")))
        folder = str_sub(folder, 0, folder.n - 4);
    int err = imap_utf7_decode(folder, a, &decoded);
    if (err == 0)
        err = add_level(&name, decoded);
    if (err == 0)
        err = buf_error(&name);
    if (err == 0)
        err = arena_dup(a, buf_str(&name), ret);
    buf_done(&name);
    return err;
}
