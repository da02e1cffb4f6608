/* describe: what a certificate says, for lists, warnings and the status. The certificate may come from anyone. */
#include "pki/pki_private.h"

#include <arpa/inet.h>
#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "base/clock.h"

enum { TEXT_MAX = 4096 };

int pki_certificate_parse(str pem, X509 **ret, struct error *e)
{
    if (pem.n == 0 || pem.n > PKI_PEM_MAX)
        return pki_pem_fail(pem, "CERTIFICATE", e);
    BIO *bio = BIO_new_mem_buf(pem.p, (int)pem.n);
    X509 *cert = bio ? PEM_read_bio_X509(bio, NULL, NULL, NULL) : NULL;
    BIO_free(bio);
    if (!cert) {
        ERR_clear_error();
        return pki_pem_fail(pem, "CERTIFICATE", e);
    }
    *ret = cert;
    return 0;
}

/* A name in the form of RFC 4514, UTF-8 as it is. */
static int name_text(const X509_NAME *name, struct arena *a, str *ret)
{
    int r = ERR_LIMIT;
    struct buf b = BUF_INIT(TEXT_MAX);
    BIO *bio = BIO_new(BIO_s_mem());
    if (bio && X509_NAME_print_ex(bio, name, 0, XN_FLAG_RFC2253 & ~ASN1_STRFLGS_ESC_MSB) >= 0)
        pki_bio_take(bio, &b);
    BIO_free(bio);
    if (!buf_error(&b))
        r = arena_dup(a, buf_str(&b), ret);
    buf_done(&b);
    return r;
}

static int time_value(const ASN1_TIME *t, int64_t *ret)
{
    struct tm tm;
    if (ASN1_TIME_to_tm(t, &tm) != 1)
        return ERR_SYNTAX;
    struct date d = { .year = tm.tm_year + 1900,
                      .month = tm.tm_mon + 1,
                      .day = tm.tm_mday,
                      .hour = tm.tm_hour,
                      .minute = tm.tm_min,
                      .second = tm.tm_sec };
    if (d.year < 0 || d.year > 9999)
        return ERR_SYNTAX;
    *ret = date_to_unix(&d);
    return 0;
}

bool pki_certificate_times(const X509 *cert, int64_t *ret_from, int64_t *ret_to)
{
    return time_value(X509_get0_notBefore(cert), ret_from) == 0 && time_value(X509_get0_notAfter(cert), ret_to) == 0;
}

static int serial_text(const X509 *cert, struct arena *a, str *ret)
{
    int r = ERR_LIMIT;
    BIGNUM *bn = ASN1_INTEGER_to_BN(X509_get0_serialNumber(cert), NULL);
    char *hex = bn ? BN_bn2hex(bn) : NULL;
    str copy = { 0 };
    if (hex && strlen(hex) <= TEXT_MAX && (r = arena_dup(a, str_from_z(hex), &copy)) == 0) {
        char *p = (char *)(uintptr_t)copy.p;
        for (size_t i = 0; i < copy.n; i++)
            p[i] = ascii_lower(p[i]);
        *ret = copy;
    }
    OPENSSL_free(hex);
    BN_free(bn);
    return r;
}

/* One name; *RET_KNOWN false when it is of a kind that is left out. */
static int general_name_text(const GENERAL_NAME *general, struct arena *a, struct pki_name *ret, bool *ret_known)
{
    char address[INET6_ADDRSTRLEN];
    int type = 0, r;
    const ASN1_STRING *value = GENERAL_NAME_get0_value(general, &type);
    *ret_known = type == GEN_DNS || type == GEN_EMAIL || type == GEN_IPADD;
    if (!*ret_known)
        return 0;
    str bytes = { (const char *)ASN1_STRING_get0_data(value), (size_t)ASN1_STRING_length(value) };
    if (type == GEN_IPADD) {
        *ret_known = bytes.n == 4 || bytes.n == 16;
        if (!*ret_known || !inet_ntop(bytes.n == 4 ? AF_INET : AF_INET6, bytes.p, address, sizeof address))
            return 0;
        ret->kind = PKI_NAME_IP;
        return arena_dup(a, str_from_z(address), &ret->text);
    }
    struct buf b = BUF_INIT(TEXT_MAX);
    buf_add_escaped(&b, bytes);
    ret->kind = type == GEN_DNS ? PKI_NAME_DNS : PKI_NAME_EMAIL;
    r = buf_error(&b) ? ERR_LIMIT : arena_dup(a, buf_str(&b), &ret->text);
    buf_done(&b);
    return r;
}

static int names_read(const X509 *cert, struct arena *a, struct pki_description *d)
{
    int r = 0;
    GENERAL_NAMES *list = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
    int n = list ? sk_GENERAL_NAME_num(list) : 0;
    d->names = arena_array(a, (size_t)n, sizeof *d->names);
    if (!d->names)
        r = ERR_LIMIT;
    for (int i = 0; r == 0 && i < n; i++) {
        bool known;
        r = general_name_text(sk_GENERAL_NAME_value(list, i), a, &d->names[d->name_n], &known);
        d->name_n += r == 0 && known;
    }
    sk_GENERAL_NAME_pop_free(list, GENERAL_NAME_free);
    return r;
}

static int fingerprint_text(const X509 *cert, struct arena *a, str *ret)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    char hex[2 * EVP_MAX_MD_SIZE + 1];
    unsigned n = 0;
    if (X509_digest(cert, EVP_sha256(), digest, &n) != 1)
        return ERR_SYNTAX;
    for (unsigned i = 0; i < n; i++)
        (void)snprintf(hex + 2 * i, 3, "%02x", digest[i]);
    return arena_dup(a, (str){ hex, 2 * (size_t)n }, ret);
}

/* "ECDSA P-256", "RSA 3072"; other kinds by OpenSSL's name. */
static int key_text(const EVP_PKEY *key, struct arena *a, str *ret)
{
    int bits = EVP_PKEY_get_bits(key);
    const char *name = EVP_PKEY_get0_type_name(key);
    if (EVP_PKEY_is_a(key, "EC"))
        return arena_printf(a, ret, "ECDSA P-%d", bits);
    return arena_printf(a, ret, "%s %d", name ? name : "unknown", bits);
}

int pki_certificate_to_der(str pem, struct buf *out, struct error *e)
{
    X509 *cert = NULL;
    unsigned char *der = NULL;
    int r = pki_certificate_parse(pem, &cert, e);
    int n = r ? 0 : i2d_X509(cert, &der);
    if (n > 0)
        buf_add(out, (str){ (const char *)der, (size_t)n });
    if (r == 0 && (n <= 0 || buf_error(out)))
        r = error_set(e, ERR_LIMIT, "no room for the certificate");
    OPENSSL_free(der);
    X509_free(cert);
    return r;
}

int pki_certificate_print(str pem, struct buf *out, struct error *e)
{
    X509 *cert = NULL;
    int r = pki_certificate_parse(pem, &cert, e);
    if (r < 0)
        return r;
    BIO *bio = BIO_new(BIO_s_mem());
    size_t from = out->n;
    if (!bio || X509_print_ex(bio, cert, XN_FLAG_ONELINE, 0) != 1)
        r = pki_fail(e, ERR_SYNTAX, "the certificate cannot be printed");
    else
        pki_bio_take(bio, out);
    if (r == 0 && buf_error(out))
        r = error_set(e, ERR_LIMIT, "the certificate is too large to print");
    /* What extensions hold is printed as it is. */
    for (size_t i = from; r == 0 && i < out->n; i++)
        if (out->p[i] != '\n' && (out->p[i] < ' ' || out->p[i] > '~'))
            out->p[i] = '.';
    BIO_free(bio);
    X509_free(cert);
    ERR_clear_error();
    return r;
}

int pki_certificate_describe(str pem, struct arena *a, struct pki_description *ret, struct error *e)
{
    struct pki_description d = { 0 };
    X509 *cert = NULL;
    char id[65];
    int r = pki_certificate_parse(pem, &cert, e);
    if (r < 0)
        return r;
    EVP_PKEY *pkey = X509_get0_pubkey(cert);
    if (!pkey || pki_pkey_id(pkey, id) < 0)
        r = ERR_SYNTAX;
    if (r == 0)
        r = arena_dup(a, str_from_z(id), &d.key_id);
    if (r == 0)
        r = fingerprint_text(cert, a, &d.fingerprint);
    if (r == 0)
        r = key_text(pkey, a, &d.key_kind);
    if (r == 0)
        r = name_text(X509_get_subject_name(cert), a, &d.subject);
    if (r == 0)
        r = name_text(X509_get_issuer_name(cert), a, &d.issuer);
    if (r == 0)
        r = serial_text(cert, a, &d.serial);
    if (r == 0 && !pki_certificate_times(cert, &d.not_before, &d.not_after))
        r = ERR_SYNTAX;
    if (r == 0)
        r = names_read(cert, a, &d);
    d.is_ca = X509_check_ca(cert) == 1;
    X509_free(cert);
    ERR_clear_error();
    if (r < 0)
        return error_set(e, r, r == ERR_LIMIT ? "the certificate is too large to describe" : "the certificate is malformed");
    *ret = d;
    return 0;
}
