/* settings: what a listener offers on a connection; see sasl.h.
 *
 * Where nothing else is configured -PLUS is taken from who asks for it but not listed, against the SHOULD of RFC 5802 section 6: a client on GNU
 * SASL that lets the library choose (NeoMutt and Mutt of Debian 12) takes the best name of the list whether or not it can bind, fails, and tries
 * nothing else. So nothing is cut from the offer either, and a client's "y" is no sign of a cut. Whoever knows his clients names -PLUS in
 * `auth'; then it is listed, and "y" is refused. */
#include "sasl/sasl.h"

void sasl_settings_default(struct sasl_settings *s)
{
    size_t n;
    const struct sasl_mechanism *list = sasl_mechanisms(&n);
    s->taken = s->listed = 0;
    for (size_t i = 0; i < n; i++) {
        bool weak = list[i].legacy || list[i].hash == SASL_HASH_SHA1;
        s->taken |= weak ? 0 : sasl_set_of(&list[i]);
        s->listed |= weak || list[i].binding ? 0 : sasl_set_of(&list[i]);
    }
}

void sasl_settings_add_sha1(struct sasl_settings *s)
{
    size_t n;
    const struct sasl_mechanism *list = sasl_mechanisms(&n);
    for (size_t i = 0; i < n; i++) {
        s->taken |= list[i].hash == SASL_HASH_SHA1 ? sasl_set_of(&list[i]) : 0;
        s->listed |= list[i].hash == SASL_HASH_SHA1 && !list[i].binding ? sasl_set_of(&list[i]) : 0;
    }
}

static bool has_binding(const struct conn *c)
{
    struct buf name = BUF_INIT(SASL_CHANNEL_MAX);
    bool has = conn_channel_binding(c, CONN_BINDING_TLS_EXPORTER, &name) == 0 ||
               conn_channel_binding(c, CONN_BINDING_TLS_SERVER_END_POINT, &name) == 0;
    buf_done(&name);
    return has;
}

bool sasl_offers(const struct sasl_settings *s, const struct conn *c, const struct sasl_mechanism *m)
{
    if (!(s->taken & sasl_set_of(m)))
        return false;
    switch (m->kind) {
    case SASL_KIND_PASSWORD:
        return true;
    case SASL_KIND_SCRAM:
        return s->scram && (!m->binding || has_binding(c));
    case SASL_KIND_CRAM_MD5:
        return s->password;
    case SASL_KIND_DIGEST_MD5:
        return s->digest && s->realm;
    case SASL_KIND_EXTERNAL:
        return s->knows_certificate && conn_tls(c)->client_verified && s->knows_certificate(s->ctx, conn_tls(c));
    }
    return false;
}

bool sasl_lists(const struct sasl_settings *s, const struct conn *c, const struct sasl_mechanism *m)
{
    return (s->listed & sasl_set_of(m)) && sasl_offers(s, c, m);
}

bool sasl_offers_password(const struct sasl_settings *s)
{
    size_t n;
    const struct sasl_mechanism *list = sasl_mechanisms(&n);
    for (size_t i = 0; i < n; i++) {
        if (list[i].kind == SASL_KIND_PASSWORD && (s->taken & sasl_set_of(&list[i])))
            return true;
    }
    return false;
}

/* Whether the client was told of a mechanism like M that binds. */
static bool lists_binding(const struct sasl_settings *s, const struct sasl_mechanism *m)
{
    size_t n;
    const struct sasl_mechanism *list = sasl_mechanisms(&n);
    for (size_t i = 0; i < n; i++) {
        if (list[i].binding && list[i].hash == m->hash && (s->listed & sasl_set_of(&list[i])))
            return true;
    }
    return false;
}

int sasl_server_open(const struct sasl_settings *settings, const struct conn *conn, const struct sasl_mechanism *m,
                     struct sasl_server **ret, struct error *e)
{
    struct buf name = BUF_INIT(SASL_CHANNEL_MAX);
    int r = sasl_server_new(m, ret, e);
    if (r == 0) {
        sasl_server_set_settings(*ret, settings);
        if ((m->binding || lists_binding(settings, m)) && conn_channel_binding(conn, CONN_BINDING_TLS_EXPORTER, &name) == 0)
            sasl_server_set_binding(*ret, buf_str(&name));
        buf_reset(&name);
        if (m->binding && conn_channel_binding(conn, CONN_BINDING_TLS_SERVER_END_POINT, &name) == 0)
            sasl_server_set_end_point(*ret, buf_str(&name));
    }
    buf_done(&name);
    return r;
}

struct sasl_attempt sasl_attempt_of(const struct sasl_credentials *c, str mechanism, const struct conn *conn)
{
    return (struct sasl_attempt){ .login = c->proof == SASL_PROOF_CERTIFICATE ? c->authzid : c->authcid,
                                  .proof = c->proof,
                                  .password = c->password,
                                  .peer = conn_peer_address(conn),
                                  .mechanism = mechanism,
                                  /* A certificate's login is to the address that was asked for. */
                                  .acting_as = c->proof == SASL_PROOF_CERTIFICATE ? STR("") : c->authzid,
                                  .tls = conn_tls(conn) };
}
