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

static int convert(UConverter *cnv, str in, struct buf *out)
{
    if (in.n == 0)
        return 0;
    UErrorCode code = U_ZERO_ERROR;
    ucnv_setToUCallBack(cnv, replace, NULL, NULL, NULL, &code);
    UConverter *utf8 = ucnv_open("UTF-8", &code);
    UChar pivot[CHUNK], *pivot_from = pivot, *pivot_to = pivot;
    const char *from = in.p, *end = in.p + in.n;
    bool first = true;
    int r = U_FAILURE(code) ? ERR_INTERNAL : 0;
    do {
        char text[CHUNK], *to = text;
        if (r)
            break;
        code = U_ZERO_ERROR;
        ucnv_convertEx(utf8, cnv, &to, text + sizeof text, &from, end, pivot, &pivot_from, &pivot_to, pivot + CHUNK, first, true,
                       &code);
        first = false;
        r = add_cut(out, (str){ text, (size_t)(to - text) });
    } while (code == U_BUFFER_OVERFLOW_ERROR);
    if (!r && U_FAILURE(code) && code != U_BUFFER_OVERFLOW_ERROR)
        r = add_cut(out, REPLACEMENT); /* a sequence that the end cut off */
    ucnv_close(utf8);
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
