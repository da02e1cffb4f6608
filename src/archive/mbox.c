/* mbox: see mbox.h; where messages begin, and writing. What fields say of a message is in mbox_status.c. The quoting is that of mboxrd. */
#include "archive/mbox.h"

#include "archive/lines.h"
#include "archive/postmark.h"
#include "base/clock.h"

enum { OVERLAP = 1 << 17, MEASURED_MAX = 1 << 30 };

/* As archive_next_line. A line that ends where what is here does may go on. */
static bool next_line(struct mbox_reader *r, str *rest, str *ret_whole, str *ret)
{
    bool is_line = archive_next_line(rest, ret_whole, ret);
    if (r->beyond && (!is_line || !str_ends(*ret_whole, STR("\n"))))
        r->wants = true;
    return is_line;
}

static void skip_empty(struct mbox_reader *r)
{
    str rest = str_from(r->file, r->at), whole, line;
    while (archive_next_line(&rest, &whole, &line) && line.n == 0)
        r->at = r->file.n - rest.n;
}

void mbox_open(struct mbox_reader *r, str file, uint64_t beyond)
{
    str mark = STR("\xef\xbb\xbf");
    *r = (struct mbox_reader){ .file = file, .beyond = beyond, .first_doubt = UINT64_MAX };
    r->at = str_starts(file, mark) ? mark.n : 0;
    skip_empty(r);
}

void mbox_continue(struct mbox_reader *r, str file, uint64_t beyond)
{
    r->base += r->at;
    r->file = file;
    r->beyond = beyond;
    r->at = 0;
    r->wants = false;
    if (!r->begun)
        skip_empty(r);
}

/* --- the line that begins a message --- */

/* What follows a line "From ...". */
struct lines_after {
    bool header; /* the next line is a header line */
    bool two;    /* the second is one, too, or continues it */
    bool one;    /* the header is that one line */
    bool empty;  /* the next line is empty, or there is none */
    bool telling;
};

static struct lines_after look_after(struct mbox_reader *r, str rest)
{
    struct lines_after found = { 0 };
    str whole, first = { NULL, 0 }, second = { NULL, 0 };
    (void)next_line(r, &rest, &whole, &first);
    bool is_second = next_line(r, &rest, &whole, &second);
    str a = postmark_field_name(first), b = postmark_field_name(second);
    found.empty = first.n == 0;
    found.header = a.n > 0;
    found.two = a.n && (b.n || (second.n && (second.p[0] == ' ' || second.p[0] == '\t')));
    found.one = a.n && (!is_second || second.n == 0);
    found.telling = postmark_is_telling(a) || (a.n && postmark_is_telling(b));
    return found;
}

static void doubt(struct mbox_reader *r, uint64_t *count, str line)
{
    uint64_t at = r->base + (uint64_t)(line.p - r->file.p);
    ++*count;
    if (at < r->first_doubt)
        r->first_doubt = at;
}

/* Whether LINE, before REST, begins a message. FIRST: of the file; FREE: at the start or after an empty line. */
static bool is_beginning(struct mbox_reader *r, str line, str rest, bool first, bool free, struct postmark *ret)
{
    if (!str_starts(line, STR("From ")))
        return false;
    *ret = postmark_read(line);
    if (ret->kind == POSTMARK_DATED && free)
        return true;
    struct lines_after after = look_after(r, rest);
    if (ret->kind == POSTMARK_DATED && after.header)
        return true;
    bool begins = ret->kind != POSTMARK_DATED && after.two && after.telling;
    if (ret->kind == POSTMARK_BARE)
        begins = begins || (free && (after.header || after.empty));
    else if (ret->kind == POSTMARK_ADDRESS)
        begins = begins || (free && after.header);
    else if (ret->kind == POSTMARK_ODD)
        begins = begins || (free && after.one && after.telling) || (first && after.header);
    if (begins)
        doubt(r, &r->taken, line);
    else if (free || ret->kind == POSTMARK_DATED)
        doubt(r, &r->left, line);
    return begins;
}

/* --- Content-Length --- */

str mbox_field(str text, str name)
{
    str whole, line, value = { NULL, 0 };
    while (archive_next_line(&text, &whole, &line) && line.n) {
        if (value.p && (line.p[0] == ' ' || line.p[0] == '\t'))
            value = (str){ value.p, (size_t)(line.p + line.n - value.p) };
        else if (value.p)
            break;
        else if (str_istarts(line, name))
            value = str_from(line, name.n);
    }
    return value;
}

/* Where the message that begins at AT in the file ends by its Content-Length, the empty line after it not counted; 0 when it has none that fits. */
static size_t measured_end(struct mbox_reader *r, size_t at)
{
    str text = str_from(r->file, at), rest = text, whole, line;
    uint32_t n;
    while (next_line(r, &rest, &whole, &line) && line.n)
        ;
    if (mbox_is_ours(text) || !str_to_u32(str_trim(mbox_field(text, STR("Content-Length:"))), UINT32_MAX, &n))
        return 0;
    if (n > rest.n) { /* nothing is waited for that is larger than any message */
        r->wants = r->wants || (n <= MEASURED_MAX && n <= rest.n + r->beyond);
        return 0;
    }
    rest = str_from(rest, n);
    size_t end = r->file.n - rest.n;
    bool broken = end > 0 && r->file.p[end - 1] != '\n'; /* the last line had no end: the writer has added one */
    str before = rest;
    for (int empty = 0; empty < 2 && next_line(r, &rest, &whole, &line) && line.n == 0; empty++)
        before = rest;
    rest = before;
    (void)next_line(r, &rest, &whole, &line);
    return before.n == 0 || (str_starts(before, STR("From ")) && (!broken || before.n < r->file.n - end) &&
                             postmark_read(str_sub(before, 0, str_find_byte(before, '\n', 0))).kind == POSTMARK_DATED)
               ? end
               : 0;
}

/* --- reading --- */

/* The end of the message whose text begins at AT, before the empty line that belongs to the next beginning, and where that is. */
static size_t find_end(struct mbox_reader *r, size_t at, size_t *ret_next)
{
    str rest = str_from(r->file, at), whole, line;
    bool empty = false;
    size_t empty_n = 0; /* bytes of the empty line before REST */
    for (;;) {
        str before = rest;
        struct postmark ignored;
        if (!next_line(r, &rest, &whole, &line) || is_beginning(r, line, rest, false, empty, &ignored)) {
            *ret_next = r->file.n - before.n;
            return *ret_next - empty_n;
        }
        empty = line.n == 0;
        empty_n = empty ? whole.n : 0;
    }
}

/* The same by Content-Length; 0 when it is not believed. */
static size_t find_measured(struct mbox_reader *r, size_t at, size_t *ret_next)
{
    size_t end = r->lengths ? measured_end(r, at) : 0;
    str rest = str_from(r->file, end), whole, line;
    *ret_next = end;
    while (end && next_line(r, &rest, &whole, &line) && line.n == 0)
        *ret_next += whole.n;
    return end;
}

static bool find_next(struct mbox_reader *r, struct mbox_message *ret)
{
    str rest = str_from(r->file, r->at), whole, line;
    struct postmark mark;
    uint64_t taken = r->taken;
    bool first = !r->begun;
    if (!next_line(r, &rest, &whole, &line) || !is_beginning(r, line, rest, first, true, &mark))
        return false;
    if (!first)
        r->taken = taken; /* it was counted where it ended the message before */
    size_t at = r->file.n - rest.n, next;
    r->lengths = first ? measured_end(r, at) != 0 : r->lengths;
    r->begun = true;
    size_t end = find_measured(r, at, &next);
    bool measured = end != 0;
    if (!measured)
        end = find_end(r, at, &next);
    *ret = (struct mbox_message){ { r->file.p + at, end - at }, mark.sender, mark.received, measured };
    r->at = next;
    return true;
}

bool mbox_next(struct mbox_reader *r, struct mbox_message *ret)
{
    struct mbox_reader before = *r;
    r->wants = false;
    bool found = find_next(r, ret);
    if (!r->wants)
        return found;
    *r = before;
    r->wants = true;
    return false;
}

bool mbox_skip(struct mbox_reader *r, bool inside)
{
    str rest = str_from(r->file, r->at), whole, line;
    struct mbox_reader before = *r;
    size_t next = 0;
    r->wants = false;
    r->begun = true;
    if (inside || next_line(r, &rest, &whole, &line))
        (void)find_end(r, r->file.n - rest.n, &next);
    if (!r->wants) {
        r->at = next;
        return true;
    }
    *r = before;
    r->begun = r->wants = true;
    /* From a line that was looked at on: so that the next part begins with one, and with what stands before what was not seen whole. */
    size_t from = r->file.n > r->at + OVERLAP ? r->file.n - OVERLAP : r->at, end = str_find_byte(r->file, '\n', from);
    r->at = end < r->file.n ? end + 1 : r->file.n;
    return false;
}

/* --- writing --- */

static const str own_fields[] = { STR_INIT("Status: "), STR_INIT("X-Status: "), STR_INIT("X-Keywords:") };

bool mbox_is_ours(str text)
{
    static const str letters[] = { STR_INIT("RO"), STR_INIT("AFDT") };
    str whole, line;
    for (size_t i = 0; i < 3; i++) {
        if (!archive_next_line(&text, &whole, &line) || !str_starts(line, own_fields[i]))
            return false;
        for (size_t k = own_fields[i].n; i < 2 && k < line.n; k++)
            if (str_find_byte(letters[i], line.p[k], 0) == letters[i].n)
                return false;
    }
    return true;
}

static void add_date(struct buf *b, int64_t received)
{
    struct date d = date_from_unix(received, 0);
    buf_addf(b, "%.*s %.*s %2d %02d:%02d:%02d %04d", STR_ARG(date_weekday_name(d.weekday)), STR_ARG(date_month_name(d.month)),
             d.day, d.hour, d.minute, d.second, d.year);
}

/* In the order of the letters. */
static const uint64_t x_status[] = { MAIL_ANSWERED, MAIL_FLAGGED, MAIL_DELETED, MAIL_DRAFT };

static void add_flags(struct buf *b, const struct mail_flags *flags)
{
    buf_add_all(b, own_fields[0], flags->system & MAIL_SEEN ? STR("RO\n") : STR("O\n"), own_fields[1]);
    for (size_t i = 0; i < sizeof x_status / sizeof x_status[0]; i++)
        if (flags->system & x_status[i])
            buf_add_byte(b, "AFDT"[i]);
    buf_add_all(b, STR("\n"), own_fields[2]);
    for (size_t i = 0; i < flags->keyword_n; i++)
        buf_add_all(b, STR(" "), flags->keywords[i]);
    buf_add_byte(b, '\n');
}

void mbox_add(struct buf *b, str message, const struct mail_flags *flags, int64_t received)
{
    str whole, line;
    buf_add(b, STR("From MAILER-DAEMON "));
    add_date(b, received);
    buf_add_byte(b, '\n');
    add_flags(b, flags);
    while (archive_next_line(&message, &whole, &line)) {
        size_t quotes = 0;
        while (quotes < line.n && line.p[quotes] == '>')
            quotes++;
        if (str_starts(str_from(line, quotes), STR("From ")))
            buf_add_byte(b, '>');
        archive_to_lf(b, whole);
        if (message.n == 0 && !str_ends(whole, STR("\n")))
            buf_add_byte(b, '\n');
    }
    buf_add_byte(b, '\n');
}
