/* address: the one spelling by which an address of ours is stored and looked up (RFC 5321 section 4.1.2, RFC 6531, RFC 5891).
 *
 * Domain: A-labels, lower case. Local part: unquoted where it can be, NFC, lower case. Octet limits of RFC 5321 section
 * 4.5.3.1 hold for the result. */
#include "directory/directory_private.h"

#include <pthread.h>
#include <unicode/uidna.h>
#include <unicode/unorm2.h>
#include <unicode/uscript.h>
#include <unicode/ustring.h>

#include "base/scan.h"
#include "base/show.h"
#include "base/utf8.h"

enum { LOCAL_MAX = 64, DOMAIN_MAX = 255, ADDRESS_MAX = 254, LABEL_MAX = 63, INPUT_MAX = 1024 };

/* --- domains --- */

static pthread_once_t idna_once = PTHREAD_ONCE_INIT;
static const UIDNA *idna; /* immutable once made; ICU allows its use by many threads */

static void idna_open(void)
{
    UErrorCode status = U_ZERO_ERROR;
    idna = uidna_openUTS46(UIDNA_USE_STD3_RULES | UIDNA_CHECK_BIDI | UIDNA_CHECK_CONTEXTJ | UIDNA_NONTRANSITIONAL_TO_ASCII |
                               UIDNA_NONTRANSITIONAL_TO_UNICODE,
                           &status);
    if (U_FAILURE(status))
        panic("ICU has no IDNA: %s", u_errorName(status));
}

/* Letters, digits and hyphens in labels of 1 to 63 (RFC 5321 section 4.1.2). */
static bool domain_is_ldh(str domain)
{
    str rest = domain, label;
    while (str_split(&rest, '.', &label)) {
        if (label.n == 0 || label.n > LABEL_MAX || label.p[0] == '-' || label.p[label.n - 1] == '-')
            return false;
        for (size_t i = 0; i < label.n; i++) {
            if (!ascii_is_alnum(label.p[i]) && label.p[i] != '-')
                return false;
        }
    }
    return true;
}

/* "[192.0.2.1]", "[IPv6:2001:db8::1]": an address, if never one of ours. Only bytes that these two forms have: above all no
 * "@". */
static bool domain_is_literal(str domain)
{
    if (domain.n < 3 || domain.p[0] != '[' || domain.p[domain.n - 1] != ']')
        return false;
    for (size_t i = 1; i < domain.n - 1; i++) {
        if (!ascii_is_alnum(domain.p[i]) && domain.p[i] != '.' && domain.p[i] != ':')
            return false;
    }
    return true;
}

static int domain_lower(str domain, struct arena *a, str *ret)
{
    str copy;
    int r = arena_dup(a, domain, &copy);
    if (r < 0)
        return r;
    char *p = (char *)(uintptr_t)copy.p;
    for (size_t i = 0; i < copy.n; i++)
        p[i] = ascii_lower(p[i]);
    *ret = copy;
    return 0;
}

int directory_canonical_domain(str domain, struct arena *a, str *ret, struct error *e)
{
    char ascii[DOMAIN_MAX + 1];
    UErrorCode status = U_ZERO_ERROR;
    UIDNAInfo info = UIDNA_INFO_INITIALIZER;
    if (domain.n == 0 || domain.n > INPUT_MAX || !utf8_valid(domain))
        return error_set(e, ERR_SYNTAX, "not a domain name");
    if (utf8_is_ascii(domain) && str_ifind(domain, STR("xn--")) == domain.n) {
        if (domain.n > DOMAIN_MAX || (!domain_is_ldh(domain) && !domain_is_literal(domain)))
            return error_set(e, ERR_SYNTAX, "'%.*s' is not a domain name", STR_ARG(domain));
        return domain_lower(domain, a, ret);
    }
    pthread_once(&idna_once, idna_open);
    int32_t n = uidna_nameToASCII_UTF8(idna, domain.p, (int32_t)domain.n, ascii, sizeof ascii, &info, &status);
    if (U_FAILURE(status) || info.errors || n <= 0 || n > DOMAIN_MAX || !domain_is_ldh((str){ ascii, (size_t)n }))
        return error_set(e, ERR_SYNTAX, "'%.*s' is not a domain name", STR_ARG(domain));
    return domain_lower((str){ ascii, (size_t)n }, a, ret);
}

/* --- local parts --- */

/* RFC 5322 section 3.2.3 atext, with all beyond ASCII (RFC 6532 section 3.2). */
static bool is_atext(char c)
{
    return ascii_is_alnum(c) || (unsigned char)c >= 128 || (c && strchr("!#$%&'*+-/=?^_`{|}~", c));
}

static bool local_is_dot_string(str local)
{
    str rest = local, atom;
    if (local.n == 0)
        return false;
    while (str_split(&rest, '.', &atom)) {
        if (atom.n == 0)
            return false;
        for (size_t i = 0; i < atom.n; i++) {
            if (!is_atext(atom.p[i]))
                return false;
        }
    }
    return true;
}

/* Takes a local part off S and puts what it means into OUT: quoted-string (RFC 5321 section 4.1.2) without its quotes, or up to
 * the "@". */
static bool local_scan(struct scan *s, struct buf *out)
{
    str plain;
    if (!scan_byte(s, '"')) {
        if (!scan_until(s, '@', &plain))
            return false;
        buf_add(out, plain);
        return local_is_dot_string(plain);
    }
    for (;;) {
        str c;
        if (scan_byte(s, '"'))
            return true;
        scan_byte(s, '\\');
        if (!scan_take(s, 1, &c) || (unsigned char)c.p[0] < ' ' || c.p[0] == 0x7f)
            return false;
        buf_add(out, c);
    }
}

/* NFC and lower case of LOCAL into OUT (both at most INPUT_MAX bytes). */
static int local_fold(str local, struct buf *out)
{
    UChar a[INPUT_MAX * 3], b[INPUT_MAX * 3];
    char utf8[INPUT_MAX * 3];
    int32_t n = 0, m = 0;
    UErrorCode status = U_ZERO_ERROR;
    const UNormalizer2 *nfc = unorm2_getNFCInstance(&status);
    u_strFromUTF8(a, INPUT_MAX * 3, &n, local.p, (int32_t)local.n, &status);
    m = unorm2_normalize(nfc, a, n, b, INPUT_MAX * 3, &status);
    n = u_strToLower(a, INPUT_MAX * 3, b, m, "", &status); /* "": rules of no language, the same on every machine */
    m = unorm2_normalize(nfc, a, n, b, INPUT_MAX * 3, &status);
    u_strToUTF8(utf8, sizeof utf8, &n, b, m, &status);
    if (U_FAILURE(status))
        return ERR_SYNTAX;
    buf_add(out, (str){ utf8, (size_t)n });
    return buf_error(out);
}

/* LOCAL, without quotes, as it is written: quoted again when it must be. */
static void local_write(str local, struct buf *out)
{
    if (local_is_dot_string(local)) {
        buf_add(out, local);
        return;
    }
    buf_add_byte(out, '"');
    for (size_t i = 0; i < local.n; i++) {
        if (local.p[i] == '"' || local.p[i] == '\\')
            buf_add_byte(out, '\\');
        buf_add_byte(out, local.p[i]);
    }
    buf_add_byte(out, '"');
}

int directory_canonical(str address, struct arena *arena, str *ret, struct error *e)
{
    struct buf raw = BUF_INIT(INPUT_MAX), folded = BUF_INIT(INPUT_MAX * 3), out = BUF_INIT(INPUT_MAX * 8);
    struct scan s = scan_init(address);
    str domain;
    int r = ERR_SYNTAX;
    if (address.n > INPUT_MAX || !utf8_valid(address) || !local_scan(&s, &raw) || !scan_byte(&s, '@'))
        goto out;
    if (utf8_is_ascii(buf_str(&raw))) {
        for (size_t i = 0; i < raw.n; i++)
            buf_add_byte(&folded, ascii_lower(raw.p[i]));
    } else if (local_fold(buf_str(&raw), &folded) < 0) {
        goto out;
    }
    r = directory_canonical_domain(scan_rest(&s), arena, &domain, NULL);
    if (r < 0)
        goto out;
    local_write(buf_str(&folded), &out);
    bool fits = out.n <= LOCAL_MAX;
    buf_add_all(&out, STR("@"), domain);
    if (buf_error(&out) || !fits || out.n > ADDRESS_MAX)
        r = ERR_SYNTAX;
    else
        r = arena_dup(arena, buf_str(&out), ret);
out:
    buf_done(&raw);
    buf_done(&folded);
    buf_done(&out);
    if (r == ERR_SYNTAX)
        error_set(e, r, "'%.*s' is not a mail address", STR_ARG(address));
    else if (r < 0)
        error_set(e, r, "no memory left for an address");
    return r;
}

/* Whether these N scripts are written together in one name: Unicode Technical Standard 39, section 5.2, "Highly Restrictive". */
static bool scripts_go_together(const UScriptCode *seen, size_t n)
{
    static const UScriptCode together[][4] = {
        { USCRIPT_LATIN, USCRIPT_HAN, USCRIPT_HIRAGANA, USCRIPT_KATAKANA },
        { USCRIPT_LATIN, USCRIPT_HAN, USCRIPT_BOPOMOFO, USCRIPT_HAN },
        { USCRIPT_LATIN, USCRIPT_HAN, USCRIPT_HANGUL, USCRIPT_HAN },
    };
    for (size_t set = 0; n > 1 && set < sizeof together / sizeof together[0]; set++) {
        size_t fit = 0;
        for (size_t i = 0; i < n; i++) {
            for (size_t k = 0; k < 4; k++) {
                if (together[set][k] == seen[i]) {
                    fit++;
                    break;
                }
            }
        }
        if (fit == n)
            return true;
    }
    return n <= 1;
}

int address_check_spelling(str address, struct error *e)
{
    enum { SCRIPTS_MAX = 4 };
    UScriptCode seen[SCRIPTS_MAX];
    size_t seen_n = 0;
    str rest = str_sub(address, 0, str_rfind_byte(address, '@'));
    while (rest.n) {
        uint32_t code = 0;
        size_t n = utf8_decode(rest, &code);
        UErrorCode error = U_ZERO_ERROR;
        UScriptCode script = uscript_getScript((UChar32)code, &error);
        if (!n || !show_is_plain(code))
            return error_set(e, ERR_SYNTAX, "%.*s has characters that nobody sees; type it instead of copying it",
                             STR_ARG(address));
        bool counts = U_SUCCESS(error) && script != USCRIPT_COMMON && script != USCRIPT_INHERITED;
        for (size_t i = 0; i < seen_n && counts; i++)
            counts = seen[i] != script;
        if (counts && seen_n == SCRIPTS_MAX)
            counts = false; /* too many already */
        if (counts)
            seen[seen_n++] = script;
        rest = str_from(rest, n);
    }
    if (!scripts_go_together(seen, seen_n))
        return error_set(e, ERR_SYNTAX, "%.*s mixes letters of several scripts, of which some look like others; write it in one",
                         STR_ARG(address));
    return 0;
}
