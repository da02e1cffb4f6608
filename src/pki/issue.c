/* issue: making certificates (RFC 5280). Extensions are built from values, never from text that a name could break out of. */
#include "pki/pki_private.h"

#include <arpa/inet.h>
#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "base/random.h"

enum { DAY = 86400, LATE_CLOCK = 3600, SECONDS_MIN = 60, COMMON_NAME_MAX = 64, LOCAL_MAX = 64, MAIL_MAX = 254 };

/* A host name, a wildcard as its whole first label allowed. */
static bool host_is_valid(str name)
{
    return pki_host_is_valid(str_starts(name, STR("*.")) ? str_from(name, 2) : name);
}

/* The 4 or 16 bytes of an IP address in text form; 0 when it is none. */
static int address_parse(str text, unsigned char out[16])
{
    char z[INET6_ADDRSTRLEN];
    if (text.n == 0 || text.n >= sizeof z)
        return 0;
    memcpy(z, text.p, text.n);
    z[text.n] = '\0';
    if (inet_pton(AF_INET, z, out) == 1)
        return 4;
    return inet_pton(AF_INET6, z, out) == 1 ? 16 : 0;
}

/* Serial numbers are unpredictable, positive and at most 20 octets (RFC 5280 section 4.1.2.2): 159 random bits. */
static bool set_serial(X509 *cert)
{
    unsigned char bytes[20];
    random_bytes(bytes, sizeof bytes);
    bytes[0] &= 0x7f;
    bytes[19] |= 1; /* never zero */
    BIGNUM *bn = BN_bin2bn(bytes, sizeof bytes, NULL);
    bool ok = bn && BN_to_ASN1_INTEGER(bn, X509_get_serialNumber(cert));
    BN_free(bn);
    return ok;
}

/* A version 3 certificate for PKEY valid from FROM to TO. */
static X509 *certificate_new(EVP_PKEY *pkey, int64_t from, int64_t to)
{
    X509 *cert = X509_new();
    if (cert && X509_set_version(cert, X509_VERSION_3) == 1 && set_serial(cert) && X509_set_pubkey(cert, pkey) == 1 &&
        ASN1_TIME_set(X509_getm_notBefore(cert), (time_t)from) && ASN1_TIME_set(X509_getm_notAfter(cert), (time_t)to))
        return cert;
    X509_free(cert);
    return NULL;
}

/* One more part NID of the subject's name. */
static bool add_to_name(X509 *cert, int nid, str text)
{
    return X509_NAME_add_entry_by_NID(X509_get_subject_name(cert), nid, MBSTRING_UTF8, (const unsigned char *)text.p, (int)text.n,
                                      -1, 0) == 1;
}

/* Adds extension NID with VALUE, a literal in OpenSSL's configuration syntax. */
static bool add_extension(X509 *cert, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX ctx;
    X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
    X509V3_set_ctx_nodb(&ctx);
    X509_EXTENSION *ext = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    bool ok = ext && X509_add_ext(cert, ext, -1) == 1;
    X509_EXTENSION_free(ext);
    return ok;
}

/* Adds NAME to the list. False when memory is short. The domain of a mail address is lower-cased, its local part is left alone. */
static bool names_add(GENERAL_NAMES *list, enum pki_use use, str name)
{
    unsigned char address[16];
    int address_n = use == PKI_USE_SERVER ? address_parse(name, address) : 0;
    size_t lower_from = use == PKI_USE_SERVER ? 0 : str_rfind_byte(name, '@');
    ASN1_STRING *value = address_n ? ASN1_OCTET_STRING_new() : ASN1_IA5STRING_new();
    GENERAL_NAME *general = GENERAL_NAME_new();
    bool ok = value && general &&
              (address_n ? ASN1_STRING_set(value, address, address_n) : ASN1_STRING_set(value, name.p, (int)name.n)) == 1;
    if (ok) {
        if (!address_n) {
            unsigned char *p = (unsigned char *)(uintptr_t)ASN1_STRING_get0_data(value);
            for (size_t i = lower_from; i < name.n; i++)
                p[i] = (unsigned char)ascii_lower((char)p[i]);
        }
        GENERAL_NAME_set0_value(general, address_n ? GEN_IPADD : use == PKI_USE_SERVER ? GEN_DNS : GEN_EMAIL, value);
        value = NULL;
        ok = sk_GENERAL_NAME_push(list, general) > 0;
    }
    ASN1_STRING_free(value);
    if (!ok)
        GENERAL_NAME_free(general);
    return ok;
}

/* RFC 5280 section 4.2.1.6: critical when the subject is empty. */
static bool add_names(X509 *cert, enum pki_use use, const str *names, size_t n)
{
    GENERAL_NAMES *list = sk_GENERAL_NAME_new_null();
    bool ok = list != NULL;
    int critical = X509_NAME_entry_count(X509_get_subject_name(cert)) == 0;
    for (size_t i = 0; ok && i < n; i++)
        ok = names_add(list, use, names[i]);
    ok = ok && X509_add1_ext_i2d(cert, NID_subject_alt_name, list, critical, X509V3_ADD_DEFAULT) == 1;
    sk_GENERAL_NAME_pop_free(list, GENERAL_NAME_free);
    return ok;
}

static int certificate_sign(X509 *cert, EVP_PKEY *signer, struct error *e)
{
    const EVP_MD *md = EVP_PKEY_is_a(signer, "EC") && EVP_PKEY_get_bits(signer) > 256 ? EVP_sha384() : EVP_sha256();
    return X509_sign(cert, signer, md) > 0 ? 0 : pki_fail(e, ERR_INTERNAL, "the certificate could not be signed");
}

static int certificate_write(X509 *cert, struct buf *out, struct error *e)
{
    int r = 0;
    BIO *bio = BIO_new(BIO_s_mem());
    if (!bio || PEM_write_bio_X509(bio, cert) != 1)
        r = pki_fail(e, ERR_INTERNAL, "the certificate could not be written");
    else
        pki_bio_take(bio, out);
    BIO_free(bio);
    if (r == 0 && buf_error(out))
        r = error_set(e, ERR_LIMIT, "no room for the certificate");
    return r;
}

/* A root with the name that CERT has already. */
static int root_finish(X509 *cert, const struct pki_key *key, const struct pki_names *names, str hostname, struct buf *out,
                       struct error *e)
{
    int r = 0;
    if (X509_set_issuer_name(cert, X509_get_subject_name(cert)) != 1 ||
        !add_extension(cert, cert, NID_basic_constraints, "critical,CA:TRUE,pathlen:0") ||
        !add_extension(cert, cert, NID_key_usage, "critical,keyCertSign,cRLSign") ||
        /* For what we issue, so that a thief's certificates sign no programs and no time stamps (RFC 5280 section 4.2.1.12). */
        !add_extension(cert, cert, NID_ext_key_usage, "serverAuth,clientAuth,emailProtection") ||
        !add_extension(cert, cert, NID_subject_key_identifier, "hash") || (names && !pki_constraints_add(cert, names, hostname)))
        r = pki_fail(e, ERR_INTERNAL, "the CA certificate could not be made");
    if (r == 0)
        r = certificate_sign(cert, key->pkey, e);
    return r ? r : certificate_write(cert, out, e);
}

static X509 *root_new(const struct pki_key *key, int64_t now)
{
    return certificate_new(key->pkey, now, now + (int64_t)PKI_CA_DAYS * DAY - 1);
}

static int ca_create(const struct pki_key *key, str domain, bool lab, const struct pki_names *names, str hostname, int64_t now,
                     struct buf *out, struct error *e)
{
    static const char suffix[] = " root CA";
    char cn[COMMON_NAME_MAX + 1];
    if (!pki_host_is_valid(domain))
        return error_set(e, ERR_SYNTAX, "'%.*s' is not a domain name; write an internationalised one as A-labels (xn--...)",
                         STR_ARG(domain));
    /* A common name has at most 64 characters: a longer domain loses its beginning. */
    str shown = domain.n + sizeof suffix - 1 > COMMON_NAME_MAX ? str_from(domain, domain.n + sizeof suffix - 1 - COMMON_NAME_MAX)
                                                               : domain;
    int n = snprintf(cn, sizeof cn, "%.*s%s", STR_ARG(shown), suffix);
    X509 *cert = root_new(key, now);
    int r = cert && (!lab || add_to_name(cert, NID_organizationalUnitName, STR(PKI_LAB_UNIT))) &&
                    add_to_name(cert, NID_commonName, (str){ cn, (size_t)n })
                ? root_finish(cert, key, names, hostname, out, e)
                : pki_fail(e, ERR_INTERNAL, "the CA certificate could not be made");
    X509_free(cert);
    return r;
}

int pki_ca_create(const struct pki_key *key, str domain, const struct pki_names *names, str hostname, int64_t now,
                  struct buf *out, struct error *e)
{
    return ca_create(key, domain, false, names, hostname, now, out, e);
}

int pki_ca_create_lab(const struct pki_key *key, str domain, const struct pki_names *names, str hostname, int64_t now,
                      struct buf *out, struct error *e)
{
    return ca_create(key, domain, true, names, hostname, now, out, e);
}

bool pki_ca_is_lab(str pem)
{
    static const str unit = STR_INIT(PKI_LAB_UNIT);
    X509 *cert = NULL;
    if (pki_certificate_parse(pem, &cert, NULL))
        return false;
    const X509_NAME *name = X509_get_subject_name(cert);
    int at = X509_NAME_get_index_by_NID(name, NID_organizationalUnitName, -1);
    const ASN1_STRING *text = at < 0 ? NULL : X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at));
    bool lab = text && X509_check_ca(cert) == 1 &&
               str_eq((str){ (const char *)ASN1_STRING_get0_data(text), (size_t)ASN1_STRING_length(text) }, unit);
    X509_free(cert);
    return lab;
}

int pki_ca_renew(const struct pki_key *key, str ca_pem, const struct pki_names *names, str hostname, int64_t now, struct buf *out,
                 struct error *e)
{
    X509 *ca = NULL, *cert = NULL;
    int r = pki_certificate_parse(ca_pem, &ca, e);
    if (r)
        return r;
    if (X509_check_ca(ca) != 1)
        r = error_set(e, ERR_REFUSED, "the certificate to renew is no CA's");
    else if (X509_check_private_key(ca, key->pkey) != 1)
        r = pki_fail(e, ERR_REFUSED, "the CA's key and certificate do not belong together");
    else if (!(cert = root_new(key, now)) || X509_set_subject_name(cert, X509_get_subject_name(ca)) != 1)
        r = pki_fail(e, ERR_INTERNAL, "the CA certificate could not be made");
    if (r == 0)
        r = root_finish(cert, key, names, hostname, out, e);
    X509_free(cert);
    X509_free(ca);
    return r;
}

/* A mail address as a certificate holds it: ASCII, a dot-string and a host name (RFC 5280 section 4.2.1.6). */
static bool mail_is_valid(str name)
{
    size_t at = str_rfind_byte(name, '@');
    if (at >= name.n || at == 0 || at > LOCAL_MAX || name.n > MAIL_MAX || !pki_host_is_valid(str_from(name, at + 1)))
        return false;
    for (size_t i = 0; i < at; i++) {
        bool dot = name.p[i] == '.';
        if (name.p[i] == 0 || (dot ? i == 0 || i == at - 1 || name.p[i - 1] == '.'
                                   : !ascii_is_alnum(name.p[i]) && !strchr("!#$%&'*+-/=?^_`{|}~", name.p[i])))
            return false;
    }
    return true;
}

static int order_check(const struct pki_order *order, struct error *e)
{
    unsigned char address[16];
    int days = order->use == PKI_USE_SERVER ? PKI_SERVER_DAYS_MAX : PKI_USER_DAYS_MAX;
    if (order->name_n == 0 || order->name_n > PKI_NAMES_MAX)
        return error_set(e, ERR_LIMIT, "a certificate has 1 to %d names", PKI_NAMES_MAX);
    if (order->seconds < SECONDS_MIN || order->seconds > (int64_t)days * DAY)
        return error_set(e, ERR_LIMIT, "a %s certificate is valid for 1 to %d days",
                         order->use == PKI_USE_SERVER ? "server" : "user's", days);
    for (size_t i = 0; i < order->name_n; i++) {
        str name = order->names[i];
        if (order->use == PKI_USE_USER ? !mail_is_valid(name) : !host_is_valid(name) && !address_parse(name, address))
            return error_set(e, ERR_SYNTAX,
                             order->use == PKI_USE_USER ? "'%.*s' is not a mail address of ASCII letters"
                                                        : "'%.*s' is neither a host name nor an IP address",
                             STR_ARG(name));
    }
    return 0;
}

bool pki_certificate_end(const X509 *cert, int64_t now, int64_t *ret)
{
    int days = 0, seconds = 0;
    ASN1_TIME *from = ASN1_TIME_set(NULL, (time_t)now);
    bool ok = from && ASN1_TIME_diff(&days, &seconds, from, X509_get0_notAfter(cert)) == 1;
    ASN1_TIME_free(from);
    if (ok)
        *ret = now + (int64_t)days * DAY + seconds;
    return ok;
}

/* What the key may do: RFC 5280 section 4.2.1.3; mail for an EC key is encrypted by agreement (RFC 5753), for RSA by encipherment. */
static const char *key_usage(const EVP_PKEY *key, enum pki_use use)
{
    if (EVP_PKEY_is_a(key, "RSA"))
        return "critical,digitalSignature,keyEncipherment";
    return use == PKI_USE_USER ? "critical,digitalSignature,keyAgreement" : "critical,digitalSignature";
}

/* The first name that is no address as common name, if it fits; else the subject stays empty. An address there looks like a host's name to those who
 * verify, and violates the name constraints. */
static bool set_subject(X509 *cert, const struct pki_order *order)
{
    struct ip_address address;
    for (size_t i = 0; i < order->name_n; i++)
        if (!ip_address_parse(order->names[i], &address))
            return order->names[i].n > COMMON_NAME_MAX || add_to_name(cert, NID_commonName, order->names[i]);
    return true;
}

/* Fills and signs the certificate; the arguments have been checked. */
static int make_certificate(X509 *ca, EVP_PKEY *ca_key, EVP_PKEY *key, const struct pki_order *order, int64_t from, int64_t to,
                            struct buf *out, struct error *e)
{
    X509 *cert = certificate_new(key, from, to);
    int r;
    if (!cert || !set_subject(cert, order) || X509_set_issuer_name(cert, X509_get_subject_name(ca)) != 1 ||
        !add_extension(cert, ca, NID_basic_constraints, "critical,CA:FALSE") ||
        !add_extension(cert, ca, NID_key_usage, key_usage(key, order->use)) ||
        !add_extension(cert, ca, NID_ext_key_usage, order->use == PKI_USE_SERVER ? "serverAuth" : "emailProtection,clientAuth") ||
        !add_extension(cert, ca, NID_subject_key_identifier, "hash") ||
        !add_extension(cert, ca, NID_authority_key_identifier, "keyid:always") ||
        !add_names(cert, order->use, order->names, order->name_n))
        r = pki_fail(e, ERR_INTERNAL, "the certificate could not be made");
    else
        r = certificate_sign(cert, ca_key, e);
    if (r == 0)
        r = pki_constraints_check(ca, cert, e);
    if (r == 0)
        r = certificate_write(cert, out, e);
    X509_free(cert);
    return r;
}

static int issue_for(const struct pki_key *ca_key, X509 *ca, EVP_PKEY *key, const struct pki_order *order, int64_t now,
                     struct buf *out, struct error *e)
{
    int64_t from = now - LATE_CLOCK, to = now + order->seconds - 1, end;
    if (X509_check_ca(ca) != 1)
        return error_set(e, ERR_REFUSED, "the CA's certificate does not allow it to sign others");
    if (X509_check_private_key(ca, ca_key->pkey) != 1)
        return pki_fail(e, ERR_REFUSED, "the CA's key and certificate do not belong together");
    if (!pki_certificate_end(ca, now, &end) || end <= now)
        return error_set(e, ERR_REFUSED, "the CA's certificate has expired; `valise ca renew' makes it anew");
    return make_certificate(ca, ca_key->pkey, key, order, from, to < end ? to : end, out, e);
}

int pki_server_issue(const struct pki_key *ca_key, str ca_pem, const struct pki_key *key,
                     const struct pki_server_request *request, int64_t now, struct buf *out, struct error *e)
{
    const struct pki_order order = { PKI_USE_SERVER, request->names, request->name_n, (int64_t)request->days * DAY, NULL };
    X509 *ca = NULL;
    int r = order_check(&order, e);
    if (r == 0)
        r = pki_certificate_parse(ca_pem, &ca, e);
    if (r == 0)
        r = issue_for(ca_key, ca, key->pkey, &order, now, out, e);
    X509_free(ca);
    return r;
}

int pki_issue(const struct pki_key *ca_key, str ca_pem, str subject_pem, const struct pki_order *order, int64_t now,
              struct buf *out, struct error *e)
{
    X509 *ca = NULL;
    EVP_PKEY *key = NULL;
    int r = order_check(order, e);
    if (r == 0)
        r = pki_certificate_parse(ca_pem, &ca, e);
    if (r == 0)
        r = pki_subject_key(subject_pem, ca, order, &key, e);
    if (r == 0)
        r = issue_for(ca_key, ca, key, order, now, out, e);
    EVP_PKEY_free(key);
    X509_free(ca);
    return r;
}
