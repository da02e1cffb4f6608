/* xclient: see xclient.h. */
#include "smtp/xclient.h"

#include "smtp/syntax.h"

/* The value of one attribute, decoded; is_unknown: [UNAVAILABLE] or [TEMPUNAVAIL]. */
struct value {
    str text;
    bool is_unknown;
};

static int hex_digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* xtext (RFC 3461 section 4): printable but "+" and "=", or "+" and two hexadecimal digits. */
static int xtext_decode(str text, struct arena *a, str *ret)
{
    char *p = arena_alloc(a, text.n ? text.n : 1);
    size_t n = 0;
    if (!p)
        return ERR_LIMIT;
    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];
        if (c == '+') {
            int high = i + 2 < text.n ? hex_digit(text.p[i + 1]) : -1, low = high < 0 ? -1 : hex_digit(text.p[i + 2]);
            if (low < 0)
                return ERR_SYNTAX;
            c = (char)(high << 4 | low);
            i += 2;
        } else if (c < '!' || c > '~' || c == '=') {
            return ERR_SYNTAX;
        }
        p[n++] = c;
    }
    *ret = (str){ p, n };
    return n ? 0 : ERR_SYNTAX;
}

static int value_parse(str text, struct arena *a, struct value *ret)
{
    ret->is_unknown = str_ieq(text, STR("[UNAVAILABLE]")) || str_ieq(text, STR("[TEMPUNAVAIL]"));
    ret->text = STR("");
    return ret->is_unknown ? 0 : xtext_decode(text, a, &ret->text);
}

/* "192.0.2.1" or "IPV6:2001:db8::1". */
static int address_parse(const struct value *v, bool *ret_has, struct ip_address *ret)
{
    bool six = str_istarts(v->text, STR("IPV6:"));
    *ret_has = !v->is_unknown;
    if (v->is_unknown)
        return 0;
    if (!ip_address_parse(str_from(v->text, six ? 5 : 0), ret) || (!six && !ip_address_is_4(ret)))
        return ERR_SYNTAX;
    return 0;
}

static int port_parse(const struct value *v, bool *ret_has, uint16_t *ret)
{
    uint64_t n = 0;
    *ret_has = !v->is_unknown;
    if (!v->is_unknown && !str_to_u64(v->text, 65535, &n))
        return ERR_SYNTAX;
    *ret = (uint16_t)n;
    return 0;
}

/* A name that may stand in a Received: field. */
static int name_parse(const struct value *v, bool *ret_has, str *ret)
{
    *ret_has = true;
    *ret = STR("");
    for (size_t i = 0; i < v->text.n; i++) { /* xtext can write them, a command line cannot hold them */
        if ((unsigned char)v->text.p[i] < ' ')
            return ERR_SYNTAX;
    }
    return v->is_unknown || smtp_helo_parse(v->text, ret) == SMTP_FAULT_NONE ? 0 : ERR_SYNTAX;
}

static int proto_parse(const struct value *v, struct smtp_xclient *ret)
{
    ret->has_proto = true;
    ret->esmtp = str_ieq(v->text, STR("ESMTP"));
    return ret->esmtp || str_ieq(v->text, STR("SMTP")) ? 0 : ERR_SYNTAX;
}

static int take(struct smtp_xclient *x, str name, const struct value *v)
{
    if (str_ieq(name, STR("ADDR")))
        return address_parse(v, &x->ends.has_peer, &x->ends.peer);
    if (str_ieq(name, STR("PORT")))
        return port_parse(v, &x->ends.has_peer_port, &x->ends.peer_port);
    if (str_ieq(name, STR("DESTADDR")))
        return address_parse(v, &x->ends.has_local, &x->ends.local);
    if (str_ieq(name, STR("DESTPORT")))
        return port_parse(v, &x->ends.has_local_port, &x->ends.local_port);
    if (str_ieq(name, STR("NAME")))
        return name_parse(v, &x->has_name, &x->name);
    if (str_ieq(name, STR("HELO")))
        return name_parse(v, &x->has_helo, &x->helo);
    return str_ieq(name, STR("PROTO")) ? proto_parse(v, x) : ERR_UNSUPPORTED;
}

/* xclient-command = XCLIENT 1*( SP attribute-name "=" attribute-value ) */
int smtp_xclient_parse(str argument, struct arena *a, struct smtp_xclient *ret)
{
    struct smtp_xclient x = { .has_name = false };
    str rest = argument, attribute;
    if (argument.n == 0)
        return ERR_SYNTAX;
    while (str_split(&rest, ' ', &attribute)) {
        size_t equals = str_find_byte(attribute, '=', 0);
        struct value v;
        if (equals == attribute.n)
            return ERR_SYNTAX;
        int err = value_parse(str_from(attribute, equals + 1), a, &v);
        if (err == 0)
            err = take(&x, str_sub(attribute, 0, equals), &v);
        if (err)
            return err;
    }
    *ret = x;
    return 0;
}
