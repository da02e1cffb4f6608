/* constraints: what a CA's certificate may speak for at all (RFC 5280 section 4.2.1.10), so that whoever steals its key cannot speak for others either.
 *
 * A kind of name that is not mentioned is not constrained, so each kind that mail or TLS looks at is: hosts, mail addresses (SmtpUTF8Mailbox
 * among them, RFC 9598 section 6), IP addresses and URIs. Not SRV names (id-on-dnsSRV): they are an otherName, and Go refuses every certificate below a root
 * that constrains one. */
#include "pki/pki_private.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>

/* A name that nobody can have (RFC 6761 section 6.4): the subtree of a kind of which nothing is allowed. */
#define NOBODY "invalid"

enum { MAPPED = 96, OUR_USES = XKU_SSL_SERVER | XKU_SSL_CLIENT | XKU_SMIME };

static bool subtree_add(STACK_OF(GENERAL_SUBTREE) * list, int type, const void *bytes, size_t n)
{
    GENERAL_SUBTREE *sub = GENERAL_SUBTREE_new();
    ASN1_STRING *value = type == GEN_IPADD ? ASN1_OCTET_STRING_new() : ASN1_IA5STRING_new();
    bool ok = sub && value && ASN1_STRING_set(value, bytes, (int)n) == 1;
    if (ok) {
        GENERAL_NAME_set0_value(sub->base, type, value);
        value = NULL;
        ok = sk_GENERAL_SUBTREE_push(list, sub) > 0;
    }
    ASN1_STRING_free(value);
    if (!ok)
        GENERAL_SUBTREE_free(sub);
    return ok;
}

static bool text_add(STACK_OF(GENERAL_SUBTREE) * list, int type, str name)
{
    return subtree_add(list, type, name.p, name.n);
}

/* The address and its mask, 8 or 32 octets. */
static bool network_add(STACK_OF(GENERAL_SUBTREE) * list, const struct ip_network *network)
{
    unsigned char bytes[32] = { 0 };
    bool four = network->bits >= MAPPED && ip_address_is_4(&network->address);
    size_t from = four ? MAPPED / 8 : 0, n = 16 - from;
    memcpy(bytes, network->address.b + from, n);
    for (unsigned bit = 0; bit < network->bits - from * 8; bit++)
        bytes[n + bit / 8] |= (unsigned char)(0x80 >> bit % 8);
    return subtree_add(list, GEN_IPADD, bytes, 2 * n);
}

/* Every address of the internet. */
static bool networks_exclude_all(NAME_CONSTRAINTS *nc)
{
    static const unsigned char zero[32];
    nc->excludedSubtrees = sk_GENERAL_SUBTREE_new_null();
    return nc->excludedSubtrees && subtree_add(nc->excludedSubtrees, GEN_IPADD, zero, 8) &&
           subtree_add(nc->excludedSubtrees, GEN_IPADD, zero, 32);
}

bool pki_constraints_add(X509 *cert, const struct pki_names *names, str hostname)
{
    NAME_CONSTRAINTS *nc = NAME_CONSTRAINTS_new();
    bool ok = nc && (nc->permittedSubtrees = sk_GENERAL_SUBTREE_new_null());
    size_t hosts = 0, domains = 0, networks = 0;
    for (size_t i = 0; i < names->n && ok; i++) {
        const struct pki_grant *g = &names->list[i];
        if (g->kind == PKI_GRANT_ADDRESS) {
            ok = network_add(nc->permittedSubtrees, &g->network);
            networks++;
            continue;
        }
        ok = text_add(nc->permittedSubtrees, GEN_DNS, g->name);
        hosts++;
        if (ok && g->kind == PKI_GRANT_DOMAIN) {
            ok = text_add(nc->permittedSubtrees, GEN_EMAIL, g->name);
            domains++;
        }
    }
    if (ok && hostname.n) {
        ok = text_add(nc->permittedSubtrees, GEN_DNS, hostname);
        hosts++;
    }
    if (ok && !hosts)
        ok = text_add(nc->permittedSubtrees, GEN_DNS, STR(NOBODY));
    if (ok && !domains)
        ok = text_add(nc->permittedSubtrees, GEN_EMAIL, STR(NOBODY));
    if (ok && !networks)
        ok = networks_exclude_all(nc);
    ok = ok && text_add(nc->permittedSubtrees, GEN_URI, STR(NOBODY)); /* we issue none */
    ok = ok && X509_add1_ext_i2d(cert, NID_name_constraints, nc, 1, X509V3_ADD_DEFAULT) == 1;
    NAME_CONSTRAINTS_free(nc);
    return ok;
}

int pki_constraints_check(X509 *ca, X509 *cert, struct error *e)
{
    int critical = -1, r = X509_V_OK;
    NAME_CONSTRAINTS *nc = X509_get_ext_d2i(ca, NID_name_constraints, &critical, NULL);
    if (!nc && critical != -1) /* there twice, or unreadable */
        return pki_fail(e, ERR_REFUSED, "the CA's certificate has name constraints that cannot be read");
    if (!nc)
        return 0;
    /* Reads the extensions of a certificate that was just made, which the check looks at. */
    if (X509_check_purpose(cert, -1, 0) != 1)
        r = X509_V_ERR_UNSPECIFIED;
    if (r == X509_V_OK)
        r = NAME_CONSTRAINTS_check(cert, nc);
    if (r == X509_V_OK)
        r = NAME_CONSTRAINTS_check_CN(cert, nc);
    NAME_CONSTRAINTS_free(nc);
    ERR_clear_error();
    return r == X509_V_OK
               ? 0
               : error_set(e, ERR_REFUSED,
                           "the CA's certificate does not speak for all of these names (%s); `valise ca renew' makes it "
                           "anew for those that are allowed now, `valise ca show' shows its present ones",
                           X509_verify_cert_error_string(r));
}

/* --- what it says --- */

static int network_text(const ASN1_STRING *value, struct arena *a, str *ret)
{
    char text[IP_NETWORK_TEXT_MAX];
    const unsigned char *p = ASN1_STRING_get0_data(value);
    size_t n = (size_t)ASN1_STRING_length(value) / 2;
    unsigned bits = 0;
    if (ASN1_STRING_length(value) != 8 && ASN1_STRING_length(value) != 32)
        return ERR_SYNTAX;
    while (bits < n * 8 && p[n + bits / 8] & 0x80 >> bits % 8)
        bits++;
    struct ip_address address = n == 4 ? ip_address_from_4(p) : ip_address_from_16(p);
    struct ip_network network = ip_address_network(&address, bits, bits);
    return arena_dup(a, ip_network_text(&network, text), ret);
}

static int subtree_read(const GENERAL_SUBTREE *sub, struct arena *a, struct pki_scope *ret)
{
    struct buf b = BUF_INIT(4096);
    int type, err = 0;
    const ASN1_STRING *value = GENERAL_NAME_get0_value(sub->base, &type);
    struct pki_name *to = &ret->names[ret->name_n];
    if (type == GEN_IPADD) {
        to->kind = PKI_NAME_IP;
        err = network_text(value, a, &to->text);
    } else if (type == GEN_DNS || type == GEN_EMAIL) {
        to->kind = type == GEN_DNS ? PKI_NAME_DNS : PKI_NAME_EMAIL;
        buf_add_escaped(&b, (str){ (const char *)ASN1_STRING_get0_data(value), (size_t)ASN1_STRING_length(value) });
        err = buf_error(&b) ? ERR_LIMIT : arena_dup(a, buf_str(&b), &to->text);
    } else {
        buf_done(&b);
        return 0; /* a kind that we do not make */
    }
    buf_done(&b);
    if (err == 0)
        ret->name_n++;
    return err == ERR_SYNTAX ? 0 : err;
}

/* Whether all kinds are held down: a kind that nothing is said of is free. */
static bool limits_all(const NAME_CONSTRAINTS *nc, const struct pki_scope *s)
{
    bool kinds[3] = { false };
    for (size_t i = 0; i < s->name_n; i++)
        kinds[s->names[i].kind] = true;
    for (int i = 0; i < sk_GENERAL_SUBTREE_num(nc->excludedSubtrees); i++)
        if (sk_GENERAL_SUBTREE_value(nc->excludedSubtrees, i)->base->type == GEN_IPADD)
            kinds[PKI_NAME_IP] = true;
    return kinds[PKI_NAME_DNS] && kinds[PKI_NAME_EMAIL] && kinds[PKI_NAME_IP];
}

/* Whether URIs are held down too, and CA is for what we issue only. */
static bool is_narrow(X509 *ca, const NAME_CONSTRAINTS *nc)
{
    bool uri = false;
    for (int i = 0; nc && i < sk_GENERAL_SUBTREE_num(nc->permittedSubtrees); i++)
        uri = uri || sk_GENERAL_SUBTREE_value(nc->permittedSubtrees, i)->base->type == GEN_URI;
    return uri && X509_get_extension_flags(ca) & EXFLAG_XKUSAGE && !(X509_get_extended_key_usage(ca) & ~(uint32_t)OUR_USES);
}

int pki_scope_read(str ca_pem, struct arena *a, struct pki_scope *ret, struct error *e)
{
    struct pki_scope s = { 0 };
    X509 *ca = NULL;
    int err = pki_certificate_parse(ca_pem, &ca, e), critical = -1;
    if (err)
        return err;
    NAME_CONSTRAINTS *nc = X509_get_ext_d2i(ca, NID_name_constraints, &critical, NULL);
    int n = nc && nc->permittedSubtrees ? sk_GENERAL_SUBTREE_num(nc->permittedSubtrees) : 0;
    s.names = arena_array(a, (size_t)n, sizeof *s.names);
    err = s.names ? 0 : ERR_LIMIT;
    for (int i = 0; i < n && err == 0; i++)
        err = subtree_read(sk_GENERAL_SUBTREE_value(nc->permittedSubtrees, i), a, &s);
    s.limited = nc && critical == 1 && limits_all(nc, &s);
    s.narrow = s.limited && is_narrow(ca, nc);
    NAME_CONSTRAINTS_free(nc);
    X509_free(ca);
    ERR_clear_error();
    if (err)
        return error_set(e, err, "the name constraints of the CA are too large");
    *ret = s;
    return 0;
}

static bool has_network(str permitted, const struct ip_network *network)
{
    struct ip_network p;
    return ip_network_parse(permitted, &p, NULL) == 0 && p.bits <= network->bits &&
           ip_networks_have((struct ip_networks){ &p, 1 }, &network->address);
}

bool pki_scope_has(const struct pki_scope *s, const struct pki_grant *grant)
{
    bool dns = false, mail = grant->kind != PKI_GRANT_DOMAIN, address = false;
    for (size_t i = 0; i < s->name_n; i++) {
        str base = s->names[i].text, name = grant->name;
        bool same = str_ieq(base, name);
        bool below = name.n > base.n && str_iends(name, base) && name.p[name.n - base.n - 1] == '.';
        dns = dns || (s->names[i].kind == PKI_NAME_DNS && (same || below));
        mail = mail || (s->names[i].kind == PKI_NAME_EMAIL && same);
        address = address || (s->names[i].kind == PKI_NAME_IP && has_network(base, &grant->network));
    }
    return !s->limited || (grant->kind == PKI_GRANT_ADDRESS ? address : dns && mail);
}
