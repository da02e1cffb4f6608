/* syntax: see syntax.h. Every function works on a complete line; the caller has seen to it that no CR, LF or NUL is in it. */
#include "smtp/syntax.h"

#include <arpa/inet.h>

#include "base/buf.h"
#include "base/scan.h"
#include "base/utf8.h"

const struct smtp_limits smtp_limits_default = {
    .line_max = 2048,
    .auth_line_max = 12286,
    .local_max = 255,
    .domain_max = 255,
    .mailbox_max = 320,
    .params_max = 16,
};

/* Sets of bytes as four words: 0-63, 64-127, and all above 127 where UTF-8 is part of the class. */
#define DIGITS      0x03ff000000000000ull
#define LETTERS     0x07fffffe07fffffeull
#define ABOVE_ASCII UINT64_MAX, UINT64_MAX
/* atext = ALPHA / DIGIT / any of !#$%&'*+-/=?^_`{|}~ (RFC 5322 section 3.2.3), and UTF8-non-ascii (RFC 6531 section 3.3). */
static const struct scan_set atext = { { 0xa3ffacfa00000000ull, 0x7fffffffc7fffffeull, ABOVE_ASCII } };
static const struct scan_set let_dig = { { DIGITS, LETTERS, 0, 0 } };
static const struct scan_set let_dig_utf8 = { { DIGITS, LETTERS, ABOVE_ASCII } };
/* Ldh-str's bytes: letters, digits and "-". */
static const struct scan_set ldh = { { DIGITS | 1ull << '-', LETTERS, 0, 0 } };
static const struct scan_set ldh_utf8 = { { DIGITS | 1ull << '-', LETTERS, ABOVE_ASCII } };
/* dcontent = %d33-90 / %d94-126 */
static const struct scan_set dcontent = { { 0xfffffffe00000000ull, 0x7fffffffc7ffffffull, 0, 0 } };
/* esmtp-value = 1*(%d33-60 / %d62-126), and UTF-8 (RFC 6531 section 3.3) */
static const struct scan_set esmtp_value = { { 0xdffffffe00000000ull, 0x7fffffffffffffffull, ABOVE_ASCII } };
/* What EHLO arguments consist of: the bytes of Domain and of address literals, and "_". */
static const struct scan_set helo_name = { { DIGITS | 1ull << '-' | 1ull << '.' | 1ull << ':',
                                             LETTERS | 1ull << ('_' - 64) | 1ull << ('[' - 64) | 1ull << (']' - 64), 0, 0 } };
enum { HELO_MAX = 255 };

static void skip_space(struct scan *s)
{
    while (scan_byte(s, ' ') || scan_byte(s, '\t'))
        continue;
}

void smtp_line_split(str line, str *ret_verb, str *ret_argument)
{
    size_t n = 0;
    while (n < line.n && line.p[n] != ' ' && line.p[n] != '\t')
        n++;
    *ret_verb = str_sub(line, 0, n);
    *ret_argument = str_trim(str_from(line, n));
}

/* RFC 5321 section 4.1.3. */
bool smtp_scan_literal(struct scan *s, str *ret)
{
    struct scan t = *s;
    str content, tag;
    if (!scan_byte(&t, '[') || !scan_while(&t, &dcontent, 128, &content) || !scan_byte(&t, ']'))
        return false;
    char z[64];
    unsigned char address[16];
    bool is_v6 = str_istarts(content, STR("IPv6:"));
    str number = is_v6 ? str_from(content, 5) : content;
    struct scan inside = scan_init(content);
    if (is_v6 || ascii_is_digit(content.p[0])) {
        if (number.n == 0 || number.n >= sizeof(z))
            return false;
        memcpy(z, number.p, number.n);
        z[number.n] = '\0';
        if (inet_pton(is_v6 ? AF_INET6 : AF_INET, z, address) != 1)
            return false;
    } else if (!scan_while(&inside, &ldh, 64, &tag) || tag.p[tag.n - 1] == '-' || !scan_byte(&inside, ':') ||
               scan_done(&inside)) {
        return false; /* General-address-literal = Standardized-tag ":" 1*dcontent */
    }
    *ret = (str){ s->p, (size_t)(t.p - s->p) };
    *s = t;
    return true;
}

bool smtp_scan_domain(struct scan *s, bool utf8, size_t max, str *ret)
{
    struct scan t = *s;
    do {
        str label;
        if (!scan_while(&t, utf8 ? &ldh_utf8 : &ldh, max, &label))
            return false;
        const struct scan_set *edge = utf8 ? &let_dig_utf8 : &let_dig;
        if (!scan_set_has(edge, label.p[0]) || !scan_set_has(edge, label.p[label.n - 1]))
            return false;
        if (label.n > 63 && utf8_is_ascii(label)) /* RFC 1035 section 2.3.4; a U-label's A-label is for its user to make */
            return false;
    } while (scan_byte(&t, '.'));
    if ((size_t)(t.p - s->p) > max)
        return false;
    *ret = (str){ s->p, (size_t)(t.p - s->p) };
    *s = t;
    return true;
}

/* Dot-string = Atom *("." Atom) */
static bool scan_dot_string(struct scan *s, size_t max, str *ret)
{
    struct scan t = *s;
    str atom;
    do {
        if (!scan_while(&t, &atext, max, &atom))
            return false;
    } while (scan_byte(&t, '.'));
    *ret = (str){ s->p, (size_t)(t.p - s->p) };
    *s = t;
    return true;
}

/* Quoted-string = DQUOTE *QcontentSMTP DQUOTE; its content without quoting goes to RET. */
static bool scan_quoted(struct scan *s, struct buf *ret)
{
    struct scan t = *s;
    if (!scan_byte(&t, '"'))
        return false;
    for (;;) {
        int c = scan_peek(&t);
        if (c == '"')
            break;
        if (c == '\\') {
            (void)scan_byte(&t, '\\');
            c = scan_peek(&t);
            if (c > 126) /* quoted-pairSMTP is ASCII even with RFC 6531 */
                return false;
        }
        if (c < 32 || c == 127)
            return false;
        buf_add_byte(ret, (char)c);
        t.p++;
    }
    (void)scan_byte(&t, '"');
    *s = t;
    return true;
}

/* Adds the local part CONTENT with the least quoting: as a Dot-string when it is one. */
static void add_local(struct buf *out, str content)
{
    struct scan s = scan_init(content);
    str whole;
    if (scan_dot_string(&s, content.n, &whole) && scan_done(&s)) {
        buf_add(out, content);
        return;
    }
    buf_add_byte(out, '"');
    for (size_t i = 0; i < content.n; i++) {
        if (content.p[i] == '"' || content.p[i] == '\\')
            buf_add_byte(out, '\\');
        buf_add_byte(out, content.p[i]);
    }
    buf_add_byte(out, '"');
}

/* Mailbox = Local-part "@" ( Domain / address-literal ); the cursor moves only on success. */
static enum smtp_fault scan_mailbox(struct scan *s, const struct smtp_limits *limits, struct arena *a, struct smtp_address *ret)
{
    struct scan t = *s;
    struct buf local = BUF_INIT(4096), out = BUF_INIT(8192);
    enum smtp_fault fault = SMTP_FAULT_ADDRESS;
    str dot_string, domain, text;
    if (scan_peek(&t) == '"') {
        if (!scan_quoted(&t, &local))
            goto out;
    } else {
        if (!scan_dot_string(&t, 4096, &dot_string))
            goto out;
        buf_add(&local, dot_string);
    }
    if (!scan_byte(&t, '@'))
        goto out;
    if (!smtp_scan_literal(&t, &domain) && !smtp_scan_domain(&t, true, 4096, &domain))
        goto out;
    add_local(&out, buf_str(&local));
    size_t local_n = out.n;
    buf_add_all(&out, STR("@"), domain);
    fault = SMTP_FAULT_TOO_LONG;
    if (buf_error(&local) || buf_error(&out) || local_n > limits->local_max || domain.n > limits->domain_max ||
        out.n > limits->mailbox_max)
        goto out;
    fault = SMTP_FAULT_UTF8_INVALID;
    if (!utf8_valid(buf_str(&out)))
        goto out;
    fault = SMTP_FAULT_TOO_LONG;
    if (arena_dup(a, buf_str(&out), &text))
        goto out;
    *ret = (struct smtp_address){ .text = text, .utf8 = !utf8_is_ascii(text) };
    *s = t;
    fault = SMTP_FAULT_NONE;
out:
    buf_done(&local);
    buf_done(&out);
    return fault;
}

enum smtp_fault smtp_address_parse(str text, const struct smtp_limits *limits, struct arena *a, struct smtp_address *ret)
{
    struct scan s = scan_init(text);
    struct smtp_address address;
    enum smtp_fault fault = scan_mailbox(&s, limits, a, &address);
    if (fault == SMTP_FAULT_NONE && !scan_done(&s))
        fault = SMTP_FAULT_ADDRESS;
    if (fault == SMTP_FAULT_NONE)
        *ret = address;
    return fault;
}

/* [ A-d-l ":" ]: a source route, which must be accepted and should be ignored (RFC 5321 section 4.1.1.3, appendix C). */
static bool skip_source_route(struct scan *s)
{
    struct scan t = *s;
    str domain;
    if (scan_peek(&t) != '@')
        return true;
    do {
        if (!scan_byte(&t, '@') || (!smtp_scan_domain(&t, true, 255, &domain) && !smtp_scan_literal(&t, &domain)))
            return false;
    } while (scan_byte(&t, ','));
    if (!scan_byte(&t, ':'))
        return false;
    *s = t;
    return true;
}

/* Path = "<" [ A-d-l ":" ] Mailbox ">" */
static enum smtp_fault scan_path(struct scan *s, const struct smtp_limits *limits, struct arena *a, struct smtp_address *ret)
{
    struct scan t = *s;
    if (!scan_byte(&t, '<'))
        return scan_done(&t) ? SMTP_FAULT_ARGUMENT : SMTP_FAULT_BRACKETS;
    if (!skip_source_route(&t))
        return SMTP_FAULT_ADDRESS;
    enum smtp_fault fault = scan_mailbox(&t, limits, a, ret);
    if (fault != SMTP_FAULT_NONE)
        return fault;
    if (!scan_byte(&t, '>'))
        return SMTP_FAULT_ADDRESS;
    *s = t;
    return SMTP_FAULT_NONE;
}

struct esmtp_param {
    str keyword, value;
    bool has_value;
};

/* esmtp-param = esmtp-keyword ["=" esmtp-value], after white space; false at the end or (*FAULT set) where none is. */
static bool next_param(struct scan *s, struct esmtp_param *ret, enum smtp_fault *fault)
{
    if (scan_done(s))
        return false;
    const char *before = s->p;
    skip_space(s);
    *ret = (struct esmtp_param){ 0 };
    *fault = SMTP_FAULT_ARGUMENT;
    if (s->p == before || !scan_while(s, &ldh, 64, &ret->keyword) || ret->keyword.p[0] == '-')
        return false;
    ret->has_value = scan_byte(s, '=');
    if (ret->has_value && !scan_while(s, &esmtp_value, 4096, &ret->value))
        return false;
    if (scan_peek(s) != -1 && scan_peek(s) != ' ' && scan_peek(s) != '\t')
        return false;
    *fault = SMTP_FAULT_NONE;
    return true;
}

enum { PARAM_SIZE = 1, PARAM_BODY = 2, PARAM_UTF8 = 4, PARAM_AUTH = 8, PARAM_RET = 16, PARAM_ENVID = 32 };

/* RFC 6152 section 2, RFC 3030 section 3. */
static bool take_body(str value, enum smtp_body_type *ret)
{
    static const str names[] = { [SMTP_BODY_7BIT] = STR_INIT("7BIT"),
                                 [SMTP_BODY_8BITMIME] = STR_INIT("8BITMIME"),
                                 [SMTP_BODY_BINARYMIME] = STR_INIT("BINARYMIME") };
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (str_ieq(value, names[i])) {
            *ret = (enum smtp_body_type)i;
            return true;
        }
    }
    return false;
}

/* One parameter of MAIL; SEEN has those given already, none may be given twice. */
static enum smtp_fault mail_param(const struct esmtp_param *p, bool submission, unsigned *seen, struct smtp_mail *ret)
{
    unsigned bit;
    bool good;
    if (str_ieq(p->keyword, STR("SIZE"))) { /* RFC 1870 section 4: 1*20DIGIT */
        bit = PARAM_SIZE;
        good = p->has_value && p->value.n <= 20 && str_to_u64(p->value, UINT64_MAX, &ret->size);
        ret->has_size = true;
    } else if (str_ieq(p->keyword, STR("BODY"))) {
        bit = PARAM_BODY;
        good = take_body(p->value, &ret->body);
    } else if (str_ieq(p->keyword, STR("SMTPUTF8"))) { /* RFC 6531 section 3.4: it takes no value */
        bit = PARAM_UTF8;
        good = !p->has_value;
        ret->smtputf8 = true;
    } else if (submission && str_ieq(p->keyword, STR("RET"))) {
        bit = PARAM_RET;
        good = dsn_ret_parse(p->value, &ret->ret);
    } else if (submission && str_ieq(p->keyword, STR("ENVID"))) {
        bit = PARAM_ENVID;
        good = dsn_envid_valid(p->value);
        ret->envid = p->value;
    } else if (submission && str_ieq(p->keyword, STR("AUTH"))) {
        bit = PARAM_AUTH;
        good = p->has_value && (str_eq(p->value, STR("<>")) || dsn_xtext_valid(p->value));
        ret->has_auth = true;
    } else {
        return SMTP_FAULT_PARAM_UNKNOWN;
    }
    if (!good || (*seen & bit))
        return SMTP_FAULT_PARAM_VALUE;
    *seen |= bit;
    return SMTP_FAULT_NONE;
}

/* RFC 5321 section 4.1.1.2. */
enum smtp_fault smtp_mail_parse(str argument, const struct smtp_limits *limits, bool submission, struct arena *a,
                                struct smtp_mail *ret)
{
    struct scan s = scan_init(argument);
    struct smtp_mail mail = { 0 };
    enum smtp_fault fault;
    if (!scan_iliteral(&s, STR("FROM:")))
        return SMTP_FAULT_ARGUMENT;
    skip_space(&s);
    if (!scan_literal(&s, STR("<>"))) {
        fault = scan_path(&s, limits, a, &mail.reverse_path);
        if (fault != SMTP_FAULT_NONE)
            return fault;
    }
    struct esmtp_param p;
    unsigned seen = 0;
    size_t n = 0;
    fault = SMTP_FAULT_NONE;
    while (fault == SMTP_FAULT_NONE && next_param(&s, &p, &fault))
        fault = ++n > limits->params_max ? SMTP_FAULT_ARGUMENT : mail_param(&p, submission, &seen, &mail);
    if (fault != SMTP_FAULT_NONE)
        return fault;
    if (mail.reverse_path.utf8 && !mail.smtputf8)
        return SMTP_FAULT_UTF8_ADDRESS;
    if (arena_dup(a, mail.envid, &mail.envid))
        return SMTP_FAULT_TOO_LONG;
    *ret = mail;
    return SMTP_FAULT_NONE;
}

enum { PARAM_NOTIFY = 1, PARAM_ORCPT = 2 };

/* One parameter of RCPT; SEEN as above. */
static enum smtp_fault rcpt_param(const struct esmtp_param *p, bool smtputf8, unsigned *seen, struct dsn_request *ret)
{
    unsigned bit;
    bool good;
    if (str_ieq(p->keyword, STR("NOTIFY"))) {
        bit = PARAM_NOTIFY;
        good = dsn_notify_parse(p->value, &ret->notify);
    } else if (str_ieq(p->keyword, STR("ORCPT"))) {
        bit = PARAM_ORCPT;
        good = dsn_orcpt_valid(p->value, smtputf8);
        ret->orcpt = p->value;
    } else {
        return SMTP_FAULT_PARAM_UNKNOWN;
    }
    if (!good || (*seen & bit))
        return SMTP_FAULT_PARAM_VALUE;
    *seen |= bit;
    return SMTP_FAULT_NONE;
}

/* RFC 5321 section 4.1.1.3: "TO:" ( "<Postmaster@" Domain ">" / "<Postmaster>" / Forward-path ) */
enum smtp_fault smtp_rcpt_parse(str argument, const struct smtp_limits *limits, bool smtputf8, bool dsn, struct arena *a,
                                struct smtp_rcpt *ret)
{
    struct scan s = scan_init(argument);
    struct smtp_rcpt rcpt = { 0 };
    enum smtp_fault fault = SMTP_FAULT_NONE;
    if (!scan_iliteral(&s, STR("TO:")))
        return SMTP_FAULT_ARGUMENT;
    skip_space(&s);
    if (scan_iliteral(&s, STR("<Postmaster>")))
        rcpt.address.text = STR("postmaster");
    else
        fault = scan_path(&s, limits, a, &rcpt.address);
    if (fault != SMTP_FAULT_NONE)
        return fault;
    struct esmtp_param p;
    unsigned seen = 0;
    while (fault == SMTP_FAULT_NONE && next_param(&s, &p, &fault)) /* ends: each may be given once */
        fault = dsn ? rcpt_param(&p, smtputf8, &seen, &rcpt.dsn) : SMTP_FAULT_PARAM_UNKNOWN;
    if (fault == SMTP_FAULT_NONE && rcpt.address.utf8 && !smtputf8)
        fault = SMTP_FAULT_UTF8_ADDRESS;
    if (fault == SMTP_FAULT_NONE && arena_dup(a, rcpt.dsn.orcpt, &rcpt.dsn.orcpt))
        fault = SMTP_FAULT_TOO_LONG;
    if (fault == SMTP_FAULT_NONE)
        *ret = rcpt;
    return fault;
}

enum smtp_fault smtp_helo_parse(str argument, str *ret)
{
    if (argument.n == 0 || argument.n > HELO_MAX)
        return SMTP_FAULT_ARGUMENT;
    *ret = argument;
    return SMTP_FAULT_NONE;
}

void smtp_helo_add(struct buf *out, str name)
{
    for (size_t i = 0; i < name.n; i++)
        buf_add_byte(out, scan_set_has(&helo_name, name.p[i]) ? name.p[i] : '?');
}

enum smtp_fault smtp_bdat_parse(str argument, uint64_t *ret_size, bool *ret_last)
{
    struct scan s = scan_init(argument);
    uint64_t size;
    if (!scan_number(&s, UINT64_MAX, &size))
        return SMTP_FAULT_ARGUMENT;
    const char *before = s.p;
    skip_space(&s);
    bool is_last = s.p > before && scan_iliteral(&s, STR("LAST"));
    if (!scan_done(&s))
        return SMTP_FAULT_ARGUMENT;
    *ret_size = size;
    *ret_last = is_last;
    return SMTP_FAULT_NONE;
}
