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

enum attribute { ADDR, PORT, DESTADDR, DESTPORT, NAME, HELO, PROTO, ATTRIBUTES };

/* The attribute NAME; one that stands in SEEN already is refused: of two values whoever reads the first and whoever reads the last
 * would believe in two clients. */
static int attribute_of(str name, unsigned *seen, enum attribute *ret)
{
    static const str names[ATTRIBUTES] = { STR_INIT("ADDR"), STR_INIT("PORT"), STR_INIT("DESTADDR"), STR_INIT("DESTPORT"),
                                           STR_INIT("NAME"), STR_INIT("HELO"), STR_INIT("PROTO") };
    unsigned i = 0;
    while (i < ATTRIBUTES && !str_ieq(name, names[i]))
        i++;
    if (i == ATTRIBUTES)
        return ERR_UNSUPPORTED;
    if (*seen >> i & 1)
        return ERR_SYNTAX;
    *seen |= 1u << i;
    *ret = (enum attribute)i;
    return 0;
}

static int take(struct smtp_xclient *x, enum attribute attribute, const struct value *v)
{
    switch (attribute) {
    case ADDR:
        return address_parse(v, &x->ends.has_peer, &x->ends.peer);
    case PORT:
        return port_parse(v, &x->ends.has_peer_port, &x->ends.peer_port);
    case DESTADDR:
        return address_parse(v, &x->ends.has_local, &x->ends.local);
    case DESTPORT:
        return port_parse(v, &x->ends.has_local_port, &x->ends.local_port);
    case NAME:
        return name_parse(v, &x->has_name, &x->name);
    case HELO:
        return name_parse(v, &x->has_helo, &x->helo);
    case PROTO:
        return proto_parse(v, x);
    case ATTRIBUTES:
        break;
    }
    panic("impossible attribute %d", (int)attribute);
}

/* xclient-command = XCLIENT 1*( SP attribute-name "=" attribute-value ) */
int smtp_xclient_parse(str argument, struct arena *a, struct smtp_xclient *ret)
{
    struct smtp_xclient x = { .has_name = false };
    str rest = argument, attribute;
    unsigned seen = 0;
    if (argument.n == 0)
        return ERR_SYNTAX;
    while (str_split(&rest, ' ', &attribute)) {
        size_t equals = str_find_byte(attribute, '=', 0);
        enum attribute which = ATTRIBUTES;
        struct value v;
        if (equals == attribute.n)
            return ERR_SYNTAX;
        int err = value_parse(str_from(attribute, equals + 1), a, &v);
        if (err == 0)
            err = attribute_of(str_sub(attribute, 0, equals), &seen, &which);
        if (err == 0)
            err = take(&x, which, &v);
        if (err)
            return err;
    }
    *ret = x;
    return 0;
}
