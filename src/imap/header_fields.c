/* header_fields: see header_fields.h. */
#include "imap/header_fields.h"

#include "message/header.h"

void imap_header_fields_of(struct imap_header_fields *f, str header)
{
    *f = (struct imap_header_fields){ .window = header, .ended = true };
    buf_init(&f->own, IMAP_HEADER_WINDOW);
}

void imap_header_fields_open(struct imap_header_fields *f, struct mail_account *account, const struct mail_email *email,
                             uint64_t offset, uint64_t size)
{
    imap_header_fields_of(f, (str){ 0 });
    f->source = mail_email_source(account, email, offset, size);
    f->ended = false;
}

void imap_header_fields_done(struct imap_header_fields *f)
{
    if (f->source)
        f->source->close(f->source);
    buf_done(&f->own);
}

/* Makes room for what follows and reads until the window is full or all is there. */
static void fill(struct imap_header_fields *f)
{
    buf_consume(&f->own, f->at);
    f->at = 0;
    while (!f->ended && f->own.n < IMAP_HEADER_WINDOW) {
        size_t room = IMAP_HEADER_WINDOW - f->own.n;
        size_t want = room < 16 * 1024 ? room : 16 * 1024;
        char *p = buf_reserve(&f->own, want);
        int64_t n = p ? f->source->pull(f->source, p, want) : 0;
        f->ended = n <= 0;
        if (n > 0)
            buf_commit(&f->own, (size_t)n);
    }
    f->window = buf_str(&f->own);
}

/* Whether more could come into the window. */
static bool can_fill(const struct imap_header_fields *f)
{
    return !f->ended && (f->at > 0 || f->window.n < IMAP_HEADER_WINDOW);
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* Where TEXT, a part of a field, is best cut: behind a line, and not before an encoded word, whose neighbour belongs to it. */
static size_t cut(str text)
{
    size_t space = 0, line = 0;
    if (text.n < 2)
        return text.n;
    for (size_t i = text.n - 1; i > 0; i--) {
        if (!is_blank(text.p[i]))
            continue;
        bool word = text.n - i > 2 && text.p[i + 1] == '=' && text.p[i + 2] == '?';
        if (text.p[i - 1] == '\n' && !word)
            return i;
        if (text.p[i - 1] == '\n' && !line)
            line = i;
        if (!space && !word)
            space = i;
        if (text.n - i > IMAP_HEADER_WINDOW / 4 && (line || space))
            break;
    }
    if (line || space)
        return line ? line : space;
    size_t n = text.n;
    while (n > 1 && text.n - n < 3 && ((unsigned char)text.p[n - 1] & 0x80))
        n--;
    return n;
}

/* Where the field that TEXT is in ends; TEXT.n when that cannot be seen. */
static size_t field_end(str text)
{
    for (size_t lf = 0; (lf = str_find_byte(text, '\n', lf)) + 1 < text.n; lf++) {
        if (!is_blank(text.p[lf + 1]))
            return lf + 1;
    }
    return text.n;
}

static str without_line_end(str s)
{
    if (s.n && s.p[s.n - 1] == '\n')
        s.n--;
    if (s.n && s.p[s.n - 1] == '\r')
        s.n--;
    return s;
}

/* A further piece of the field that was begun. */
static void next_inside(struct imap_header_fields *f, struct imap_header_piece *ret)
{
    size_t end;
    while ((end = field_end(str_from(f->window, f->at))) == f->window.n - f->at && can_fill(f))
        fill(f);
    str rest = str_from(f->window, f->at);
    f->inside = end == rest.n && !f->ended;
    size_t n = f->inside ? cut(rest) : end;
    str piece = f->inside ? str_sub(rest, 0, n) : without_line_end(str_sub(rest, 0, n));
    *ret = (struct imap_header_piece){ .name = { f->name, f->name_n }, .whole = piece, .value = piece, .last = !f->inside };
    f->at += n;
}

bool imap_header_fields_next(struct imap_header_fields *f, struct imap_header_piece *ret)
{
    struct message_header_field field;
    if (f->inside) {
        next_inside(f, ret);
        return true;
    }
    size_t at;
    bool there;
    for (;;) {
        at = f->at;
        there = message_header_next(f->window, &at, &field);
        /* What reaches the end of the window may go on, also what looks like the end of the header. */
        if ((there ? at : at + 2) < f->window.n || !can_fill(f))
            break;
        fill(f);
    }
    if (!there)
        return false;
    *ret = (struct imap_header_piece){ .name = field.name, .value = field.value, .first = true, .last = true };
    ret->whole = str_sub(f->window, field.offset, field.size);
    if (at == f->window.n && !f->ended) {
        size_t skip = (size_t)(field.value.p - (f->window.p + field.offset));
        size_t n = skip + cut(str_from(ret->whole, skip));
        f->name_n = field.name.n <= sizeof f->name ? field.name.n : 0;
        memcpy(f->name, field.name.p ? field.name.p : "", f->name_n);
        f->inside = true;
        ret->last = false;
        ret->whole.n = n;
        ret->value = str_sub(ret->whole, skip, n - skip);
        at = field.offset + n;
    }
    f->at = at;
    return true;
}
