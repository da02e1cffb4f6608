/* Whole SASL exchanges: the first byte chooses mechanism and initial response, the rest is responses, each led by its length. */
#include "sasl/sasl.h"

static int scram(void *ctx, str login, enum sasl_hash hash, struct sasl_scram *ret)
{
    (void)ctx;
    require(login.n && login.n <= SASL_NAME_MAX && hash != SASL_HASH_NONE);
    *ret = (struct sasl_scram){ .iterations = 4096 };
    return login.p[0] == '!' ? ERR_LIMIT : 0;
}

static int password(void *ctx, str login, struct buf *ret)
{
    (void)ctx;
    require(login.n && login.n <= SASL_NAME_MAX);
    buf_add(ret, STR("nobody knows it"));
    return login.p[0] == '!' ? ERR_UNAVAILABLE : 0;
}

static int digest(void *ctx, str name, str realm, uint8_t ret[SASL_DIGEST_SIZE])
{
    (void)ctx;
    (void)realm;
    memset(ret, 7, SASL_DIGEST_SIZE);
    return name.p[0] == '!' ? ERR_UNAVAILABLE : 0;
}

static int realm(void *ctx, struct buf *ret)
{
    (void)ctx;
    buf_add(ret, STR("example.org"));
    return 0;
}

static const struct sasl_settings settings = { .scram = scram, .password = password, .digest = digest, .realm = realm };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    size_t mechanism_n = 0;
    const struct sasl_mechanism *list = sasl_mechanisms(&mechanism_n);
    const struct sasl_mechanism *m = &list[(data[0] & 0x1f) % mechanism_n];
    bool initial = data[0] & 0x80;
    struct sasl_server *s = NULL;
    struct buf challenge = BUF_INIT(1024);
    if (sasl_server_new(m, &s, NULL))
        abort();
    sasl_server_set_settings(s, &settings);
    if (data[0] & 0x40)
        sasl_server_set_binding(s, STR("01234567890123456789012345678901"));
    if (data[0] & 0x20)
        sasl_server_set_end_point(s, STR("abcdefghijabcdefghijabcdefghijab"));
    str rest = { (const char *)data + 1, size - 1 };
    int rc = initial ? ERR_AGAIN : sasl_server_start(s, NULL, &challenge, NULL);
    bool first = initial;
    while (rc == ERR_AGAIN && rest.n >= 2) {
        size_t n = (size_t)(unsigned char)rest.p[0] << 8 | (unsigned char)rest.p[1];
        str piece = str_sub(rest, 2, n);
        rest = str_from(rest, 2 + piece.n);
        char *copy = malloc(piece.n ? piece.n : 1);
        if (!copy)
            abort();
        if (piece.n)
            memcpy(copy, piece.p, piece.n);
        str response = { copy, piece.n };
        rc = first ? sasl_server_start(s, &response, &challenge, NULL) : sasl_server_step(s, response, &challenge, NULL);
        first = false;
        free(copy);
        const struct sasl_credentials *c = sasl_server_credentials(s);
        require((rc == 0) == (c != NULL));
        if (c)
            require((c->authcid.n || c->proof == SASL_PROOF_CERTIFICATE) && c->authcid.n <= SASL_NAME_MAX &&
                    c->password.n <= SASL_PASSWORD_MAX && (c->proof == SASL_PROOF_PASSWORD) == (c->password.n > 0));
        if (c && m->kind != SASL_KIND_PASSWORD && m->kind != SASL_KIND_EXTERNAL)
            require(c->proof == SASL_PROOF_WRONG); /* nobody knows a password for these keys */
    }
    buf_done(&challenge);
    sasl_server_free(s);
    return 0;
}
