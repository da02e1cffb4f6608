/* ca_names: see ca_names.h. */
#include "role/ca_names.h"

enum { ARENA_MAX = 4 << 20, COMMON_NAME_MAX = 64 };

/* The domain in "CN=mondomaine.fr root CA", what pki_ca_create writes, of a lab with a unit behind it; empty when it is another name, or a domain that was too long for it. */
static str domain_of(str subject)
{
    str start = STR("CN="), end = STR(" root CA"), unit = STR(",OU=");
    subject = str_sub(subject, 0, str_find(subject, unit));
    if (!str_starts(subject, start) || !str_ends(subject, end) || subject.n >= start.n + COMMON_NAME_MAX)
        return STR("");
    return str_sub(subject, start.n, subject.n - start.n - end.n);
}

int ca_names_old(str ca_pem, struct arena *a, struct pki_names *ret, struct error *e)
{
    struct pki_description d;
    int err = pki_certificate_describe(ca_pem, a, &d, e);
    if (err)
        return err;
    str domain = domain_of(d.subject);
    if (domain.n && pki_names_usual(domain, a, ret, NULL) == 0)
        return 0;
    /* No domain then: what is left is this machine and its networks. */
    err = pki_names_usual(STR("localhost"), a, ret, e);
    if (err == 0)
        *ret = (struct pki_names){ ret->list + 1, ret->n - 1 };
    return err;
}

int ca_names_read(str ca_pem, struct arena *a, struct pki_names *ret, struct error *e)
{
    struct buf b = BUF_INIT(PKI_NAMES_FILE_MAX);
    int err = pki_file_read(PKI_NAMES_IN_KEYS, &b, e);
    if (err == 0) {
        err = pki_names_parse(buf_str(&b), a, ret, e);
        if (err)
            (void)error_prefix(e, PKI_NAMES_FILE);
    } else if (err == ERR_NOTFOUND) {
        err = ca_names_old(ca_pem, a, ret, e);
    }
    buf_done(&b);
    return err;
}

int ca_names_check(str ca_pem, str hostname, const struct pki_order *order, struct error *e)
{
    struct arena a = ARENA_INIT(ARENA_MAX);
    struct pki_names names;
    int err = ca_names_read(ca_pem, &a, &names, e);
    if (err == 0)
        err = pki_names_check(&names, hostname, order, e);
    arena_done(&a);
    return err;
}
