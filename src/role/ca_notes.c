/* ca_notes: see ca_notes.h. */
#include "role/ca_notes.h"

#include "base/clock.h"
#include "pki/pki.h"
#include "role/admin_private.h"
#include "role/certificates.h"

enum { DAY = 86400, CA_DAYS = 90, ARENA_MAX = 4 << 20 };

#define RENEW_CA "`valise ca renew' as root makes it anew with the same key, and then everybody who connects needs the new ca.pem"

struct domains {
    json_t *notes;
    const struct pki_scope *scope;
};

static int note_domain(void *ctx, const struct directory_domain *d)
{
    struct domains *x = ctx;
    const struct pki_grant g = { .kind = PKI_GRANT_DOMAIN, .name = d->name };
    if (pki_scope_has(x->scope, &g))
        return 0;
    return json_array_append_new(
        x->notes,
        json_sprintf("the CA's certificate does not speak for %.*s, so nothing is issued for it: " RENEW_CA, STR_ARG(d->name)));
}

static void note_ca(const struct admin *a, json_t *notes, str ca_pem)
{
    struct arena arena = ARENA_INIT(ARENA_MAX);
    struct pki_scope scope;
    struct pki_description d;
    int64_t now = clock_real_ms() / 1000;
    struct domains x = { notes, &scope };
    if (pki_scope_read(ca_pem, &arena, &scope, NULL) == 0) {
        if (!scope.limited)
            json_array_append_new(
                notes,
                json_sprintf("the CA's certificate speaks for every name there is, so whoever steals its key can be anybody "
                             "to our users: " RENEW_CA));
        if (scope.limited && !scope.narrow)
            json_array_append_new(
                notes, json_sprintf("the CA's certificate is of an older valise: whoever steals its key can sign programs as "
                                    "well, and certificates for URIs: " RENEW_CA));
        if (scope.limited && directory_domains(a->directory, note_domain, &x) != 0)
            json_array_append_new(notes, json_string("the domains could not be compared with the CA's certificate"));
    }
    if (pki_certificate_describe(ca_pem, &arena, &d, NULL) == 0 && d.not_after - now < (int64_t)CA_DAYS * DAY)
        json_array_append_new(
            notes, json_sprintf("the CA's certificate %s: " RENEW_CA, d.not_after < now ? "has expired" : "ends soon"));
    arena_done(&arena);
}

/* Why PEM would not be renewed, in E. */
static bool is_refused(struct admin *a, str pem, str ca_pem, struct error *e)
{
    return ca_pem.n && pki_is_issued_by(pem, ca_pem) && certificates_renewable(a, pem, ca_pem, e) == ERR_REFUSED;
}

void ca_notes_add_renewal(struct admin *a, json_t *v, str pem, str ca_pem)
{
    struct error e = ERROR_NONE;
    if (is_refused(a, pem, ca_pem, &e))
        json_object_set_new(v, "renewal", admin_json_text(str_from_z(e.text)));
}

static void note_certificates(struct admin *a, json_t *notes, const struct config *c, const struct role_snapshot *s, str ca_pem)
{
    for (size_t i = 0; i < c->certificate_n; i++) {
        struct buf read = BUF_INIT(PKI_PEM_MAX);
        struct arena arena = ARENA_INIT(4096);
        struct error e = ERROR_NONE;
        const char *path = arena_z(&arena, c->certificates[i].chain);
        str pem = s && i < s->identity_n ? s->identities[i].chain_pem : STR("");
        if (!s && path && pki_file_read(path, &read, NULL) == 0)
            pem = buf_str(&read);
        if (is_refused(a, pem, ca_pem, &e))
            json_array_append_new(notes, json_sprintf("%s will not be renewed: %s", path ? path : "a certificate", e.text));
        buf_done(&read);
        arena_done(&arena);
    }
}

json_t *ca_notes(struct admin *a)
{
    json_t *notes = json_array();
    struct config *read = NULL;
    struct buf b = BUF_INIT(PKI_PEM_MAX);
    struct role_snapshot *s = a->run ? role_snapshot_get(a->run) : NULL;
    const struct config *c = s ? s->config : config_read("valise.conf", &read, NULL) == 0 ? read : NULL;
    str ca_pem = s ? s->ca_pem : pki_file_read("ca.pem", &b, NULL) == 0 ? buf_str(&b) : STR("");
    if (ca_pem.n) {
        note_ca(a, notes, ca_pem);
        if (c)
            note_certificates(a, notes, c, s, ca_pem);
    }
    config_free(read);
    role_snapshot_unref(s);
    buf_done(&b);
    return notes;
}
