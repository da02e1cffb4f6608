/* charset: see charset.h. */
#include "message/charset.h"

#include <unicode/ucnv.h>
#include <unicode/ucnv_cb.h>

#include "base/utf8.h"

enum { NAME_MAX_BYTES = 63, CHUNK = 2048 };

#define REPLACEMENT STR("\xef\xbf\xbd")

static const struct {
    str label, meant;
} relabelled[] = {
    { STR_INIT("iso-8859-1"), STR_INIT("windows-1252") },
    { STR_INIT("latin1"), STR_INIT("windows-1252") },
    { STR_INIT("gb2312"), STR_INIT("gb18030") },
    { STR_INIT("gbk"), STR_INIT("gb18030") },
    { STR_INIT("x-gbk"), STR_INIT("gb18030") },
    { STR_INIT("ks_c_5601-1987"), STR_INIT("windows-949") },
    { STR_INIT("utf8"), STR_INIT("utf-8") },
};

/* Only characters of IANA names: ICU would take options after a comma. */
static UConverter *converter_open(str charset)
{
    for (size_t i = 0; i < sizeof relabelled / sizeof *relabelled; i++)
        if (str_ieq(charset, relabelled[i].label))
            charset = relabelled[i].meant;
    char name[NAME_MAX_BYTES + 1];
    if (charset.n == 0 || charset.n > NAME_MAX_BYTES)
        return NULL;
    for (size_t i = 0; i < charset.n; i++) {
        char c = charset.p[i];
        if (!ascii_is_alnum(c) && (c == 0 || !strchr("-_.:+()", c)))
            return NULL;
        name[i] = c;
    }
    name[charset.n] = 0;
    UErrorCode code = U_ZERO_ERROR;
    UConverter *cnv = ucnv_open(name, &code);
    return U_SUCCESS(code) ? cnv : NULL;
}

/* ICU's own substitution writes U+001A for some charsets. */
static void U_CALLCONV replace(const void *context, UConverterToUnicodeArgs *args, const char *bytes, int32_t n,
                               UConverterCallbackReason reason, UErrorCode *code)
{
    static const UChar replacement = 0xfffd;
    if (reason > UCNV_IRREGULAR)
        return;
    *code = U_ZERO_ERROR;
    ucnv_cbToUWriteUChars(args, &replacement, 1, 0, code);
}

/* Whole code points of S that fit into OUT. */
static int add_cut(struct buf *out, str s)
{
    if (s.n <= out->max - out->n) {
        buf_add(out, s);
        return buf_error(out);
    }
    size_t n = out->max - out->n;
    while (n > 0 && ((unsigned char)s.p[n] & 0xc0) == 0x80)
        n--;
    buf_add(out, str_sub(s, 0, n));
    return ERR_LIMIT;
}

static int from_utf8(str in, struct buf *out)
{
    while (in.n) {
        size_t run = 0, len;
        while (run < in.n && (len = utf8_decode(str_from(in, run), NULL)) > 0)
            run += len;
        if (run && add_cut(out, str_sub(in, 0, run)))
            return ERR_LIMIT;
        if (run < in.n && add_cut(out, REPLACEMENT))
            return ERR_LIMIT;
        in = str_from(in, run < in.n ? run + 1 : run);
    }
    return 0;
}

static int from_ascii(str in, struct buf *out)
{
    for (size_t i = 0; i < in.n; i++)
        if (add_cut(out, (unsigned char)in.p[i] < 0x80 ? str_sub(in, i, 1) : REPLACEMENT))
            return ERR_LIMIT;
    return 0;
}

/* A conversion in pieces: what stands between two of them is in the converters and the pivot. */
struct conversion {
    UConverter *from, *utf8;
    UChar pivot[CHUNK], *pivot_from, *pivot_to;
    bool begun;
};

/* FROM stays the caller's. */
static int conversion_init(struct conversion *c, UConverter *from)
{
    UErrorCode code = U_ZERO_ERROR;
    c->from = from;
    c->pivot_from = c->pivot_to = c->pivot;
    c->begun = false;
    ucnv_setToUCallBack(from, replace, NULL, NULL, NULL, &code);
    c->utf8 = ucnv_open("UTF-8", &code);
    return U_FAILURE(code) ? ERR_INTERNAL : 0;
}

static int convert_piece(struct conversion *c, str in, bool last, struct buf *out)
{
    UErrorCode code;
    const char *from = in.p ? in.p : "", *end = from + in.n;
    int r;
    do {
        char text[CHUNK], *to = text;
        code = U_ZERO_ERROR;
        ucnv_convertEx(c->utf8, c->from, &to, text + sizeof text, &from, end, c->pivot, &c->pivot_from, &c->pivot_to,
                       c->pivot + CHUNK, !c->begun, last, &code);
        c->begun = true;
        r = add_cut(out, (str){ text, (size_t)(to - text) });
    } while (!r && code == U_BUFFER_OVERFLOW_ERROR);
    if (!r && last && U_FAILURE(code))
        r = add_cut(out, REPLACEMENT); /* a sequence that the end cut off */
    return r;
}

static int convert(UConverter *cnv, str in, struct buf *out)
{
    struct conversion c;
    if (in.n == 0)
        return 0;
    int r = conversion_init(&c, cnv);
    if (!r)
        r = convert_piece(&c, in, true, out);
    ucnv_close(c.utf8);
    return r;
}

bool message_charset_known(str charset)
{
    UConverter *cnv = converter_open(charset);
    ucnv_close(cnv);
    return cnv != NULL;
}

int message_charset_to_utf8(str charset, str in, struct buf *out)
{
    if (str_ieq(charset, STR("utf-8")) || str_ieq(charset, STR("utf8")))
        return from_utf8(in, out);
    if (str_ieq(charset, STR("us-ascii")) || str_ieq(charset, STR("ascii")))
        return from_ascii(in, out);
    UConverter *cnv = converter_open(charset);
    int r;
    if (cnv)
        r = convert(cnv, in, out);
    else if (!(r = from_utf8(in, out)))
        r = ERR_UNSUPPORTED;
    ucnv_close(cnv);
    return r;
}

/* --- in pieces --- */

struct message_charset_reader {
    struct conversion conversion; /* from NULL: UTF-8, or US-ASCII where ascii says so */
    bool ascii;
    char held[4]; /* the beginning of a UTF-8 sequence */
    size_t held_n;
};

struct message_charset_reader *message_charset_reader_new(str charset)
{
    struct message_charset_reader *r = calloc(1, sizeof *r);
    if (!r)
        panic("out of memory for a charset");
    r->ascii = str_ieq(charset, STR("us-ascii")) || str_ieq(charset, STR("ascii"));
    if (r->ascii || str_ieq(charset, STR("utf-8")) || str_ieq(charset, STR("utf8")))
        return r;
    UConverter *from = converter_open(charset);
    if (from && conversion_init(&r->conversion, from)) {
        ucnv_close(from);
        r->conversion.from = NULL;
    }
    return r;
}

void message_charset_reader_free(struct message_charset_reader *r)
{
    if (!r)
        return;
    ucnv_close(r->conversion.from);
    ucnv_close(r->conversion.utf8);
    free(r);
}

/* How many bytes at the end of S may be the beginning of a sequence that goes on. */
static size_t unfinished(str s)
{
    for (size_t back = 1; back <= 3 && back <= s.n; back++) {
        unsigned char c = (unsigned char)s.p[s.n - back];
        if (c < 0x80)
            return 0;
        if (c >= 0xc0)
            return back < (c >= 0xf0 ? 4u : c >= 0xe0 ? 3u : 2u) ? back : 0;
    }
    return 0;
}

static int feed_utf8(struct message_charset_reader *r, str in, bool last, struct buf *out)
{
    int result = 0;
    while (r->held_n && in.n) { /* completes what is held, byte by byte */
        r->held[r->held_n++] = in.p[0];
        in = str_from(in, 1);
        if (r->held_n < sizeof r->held && unfinished((str){ r->held, r->held_n }) == r->held_n)
            continue;
        /* its last byte may begin another */
        size_t begun = unfinished((str){ r->held, r->held_n });
        result = from_utf8((str){ r->held, r->held_n - begun }, out);
        memmove(r->held, r->held + r->held_n - begun, begun);
        r->held_n = begun;
        if (result)
            return result;
    }
    size_t begun = last ? 0 : unfinished(in);
    if (last && r->held_n)
        result = from_utf8((str){ r->held, r->held_n }, out);
    if (!result)
        result = from_utf8(str_sub(in, 0, in.n - begun), out);
    if (in.n || last) {
        memcpy(r->held, in.p ? in.p + in.n - begun : "", begun);
        r->held_n = begun;
    }
    return result;
}

int message_charset_reader_feed(struct message_charset_reader *r, str in, bool last, struct buf *out)
{
    if (r->conversion.from)
        return convert_piece(&r->conversion, in, last, out);
    return r->ascii ? from_ascii(in, out) : feed_utf8(r, in, last, out);
}
