/* wire: see wire.h. */
#include "role/wire.h"

#include "run/keyring.h"

enum {
    RECIPIENTS_MAX = 1000,
    ID_MAX = 64,
    STRUCTURE_MAX = 60000,
    IDENTITIES_MAX = 1000,
    ROLES_MAX = 128,
    GAP_MAX = 256,
    ORDER_NAMES_MAX = 100,
    ORDER_SECONDS_MAX = 1 << 30
};

void wire_pack_delivery(struct buf *b, const struct smtp_delivery *d, bool inline_message)
{
    pack_str(b, d->session);
    pack_str(b, d->id);
    pack_str(b, d->reverse_path);
    pack_u8(b, (uint8_t)((d->smtputf8 ? 1 : 0) | (d->body_8bit ? 2 : 0) | (inline_message ? 4 : 0)));
    pack_u8(b, (uint8_t)d->ret);
    pack_str(b, d->envid);
    pack_varint(b, d->recipient_n);
    for (size_t i = 0; i < d->recipient_n; i++) {
        const struct dsn_request dsn = d->dsn ? d->dsn[i] : (struct dsn_request){ 0 };
        pack_str(b, d->recipients[i]);
        pack_u8(b, dsn.notify);
        pack_str(b, dsn.orcpt);
    }
    pack_str(b, d->structure);
    if (inline_message)
        pack_str(b, d->message);
}

/* Whether S may stand in a header field: no control byte, so no line end. */
static bool is_one_line(str s)
{
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)s.p[i] < 0x20 || s.p[i] == 0x7f)
            return false;
    return true;
}

int wire_unpack_delivery(str payload, struct arena *a, struct smtp_delivery *ret, bool *ret_inline)
{
    struct unpack u = unpack_init(payload);
    struct smtp_delivery d = { .fd = -1 };
    d.session = unpack_str(&u, ID_MAX);
    d.id = unpack_str(&u, ID_MAX);
    d.reverse_path = unpack_str(&u, WIRE_ADDRESS_MAX);
    uint8_t flags = unpack_u8(&u);
    d.smtputf8 = flags & 1;
    d.body_8bit = flags & 2;
    uint8_t wanted = unpack_u8(&u);
    d.envid = unpack_str(&u, DSN_ENVID_MAX);
    d.recipient_n = (size_t)unpack_varint_max(&u, RECIPIENTS_MAX);
    str *recipients = arena_array(a, d.recipient_n, sizeof *recipients);
    struct dsn_request *dsn = arena_array(a, d.recipient_n, sizeof *dsn);
    if (!recipients || !dsn)
        return ERR_LIMIT;
    bool clean = is_one_line(d.session) && is_one_line(d.id) && is_one_line(d.reverse_path) && is_one_line(d.envid) &&
                 wanted <= DSN_RET_HDRS;
    for (size_t i = 0; i < d.recipient_n; i++) {
        recipients[i] = unpack_str(&u, WIRE_ADDRESS_MAX);
        dsn[i].notify = unpack_u8(&u);
        dsn[i].orcpt = unpack_str(&u, DSN_ORCPT_MAX);
        clean = clean && is_one_line(recipients[i]) && is_one_line(dsn[i].orcpt) && dsn_notify_valid(dsn[i].notify);
    }
    d.recipients = recipients;
    d.dsn = dsn;
    d.ret = (enum dsn_ret)wanted;
    d.structure = unpack_str(&u, STRUCTURE_MAX);
    if (flags & 4)
        d.message = unpack_str(&u, CHANNEL_PAYLOAD_MAX);
    if (unpack_end(&u) || !clean || d.recipient_n == 0 || flags > 7)
        return ERR_CORRUPT;
    *ret = d;
    *ret_inline = flags & 4;
    return 0;
}

void wire_pack_setup(struct buf *b, const struct wire_setup *s)
{
    pack_str(b, s->config_text);
    pack_u16(b, s->port_offset);
    pack_varint(b, s->instance);
    pack_varint(b, s->identity_n);
    for (size_t i = 0; i < s->identity_n; i++) {
        pack_str(b, s->identities[i].name);
        pack_str(b, s->identities[i].chain_pem);
        pack_str(b, s->identities[i].key_id);
    }
    pack_str(b, s->ca_pem);
}

int wire_unpack_setup(str payload, struct arena *a, struct wire_setup *ret)
{
    struct unpack u = unpack_init(payload);
    struct wire_setup s = { .config_text = unpack_str(&u, 1 << 20) };
    s.port_offset = unpack_u16(&u);
    s.instance = (unsigned)unpack_varint_max(&u, 1000);
    s.identity_n = (size_t)unpack_varint_max(&u, IDENTITIES_MAX);
    struct wire_identity *list = arena_array(a, s.identity_n, sizeof *list);
    if (!list)
        return ERR_LIMIT;
    for (size_t i = 0; i < s.identity_n; i++)
        list[i] = (struct wire_identity){ .name = unpack_str(&u, 255),
                                          .chain_pem = unpack_str(&u, 1 << 18),
                                          .key_id = unpack_str(&u, 64) };
    s.identities = list;
    s.ca_pem = unpack_str(&u, 1 << 18);
    if (unpack_end(&u))
        return ERR_CORRUPT;
    *ret = s;
    return 0;
}

void wire_pack_counts(struct buf *b, const struct wire_counts *c)
{
    pack_u32(b, c->connections);
    pack_u32(b, c->workers);
    pack_u32(b, c->workers_busy);
    pack_u32(b, c->workers_peak);
    pack_u32(b, c->queued);
    pack_u32(b, c->descriptors);
    pack_u32(b, c->descriptors_max);
    pack_u64(b, c->accepted);
    pack_u64(b, c->refused);
    for (size_t i = 0; i < WIRE_SIGNERS_MAX; i++) {
        pack_u64(b, c->signatures[i].made);
        pack_u64(b, c->signatures[i].refused);
    }
    pack_u32(b, c->remembered);
    pack_u8(b, c->in_kernel);
}

static struct wire_counts read_counts(struct unpack *u)
{
    struct wire_counts c = { .connections = unpack_u32(u) };
    c.workers = unpack_u32(u);
    c.workers_busy = unpack_u32(u);
    c.workers_peak = unpack_u32(u);
    c.queued = unpack_u32(u);
    c.descriptors = unpack_u32(u);
    c.descriptors_max = unpack_u32(u);
    c.accepted = unpack_u64(u);
    c.refused = unpack_u64(u);
    for (size_t i = 0; i < WIRE_SIGNERS_MAX; i++) {
        c.signatures[i].made = unpack_u64(u);
        c.signatures[i].refused = unpack_u64(u);
    }
    c.remembered = unpack_u32(u);
    c.in_kernel = unpack_u8(u);
    return c;
}

int wire_unpack_counts(str payload, struct wire_counts *ret)
{
    struct unpack u = unpack_init(payload);
    struct wire_counts c = read_counts(&u);
    if (unpack_end(&u))
        return ERR_CORRUPT;
    *ret = c;
    return 0;
}

void wire_pack_roles(struct buf *b, const struct wire_sandbox *sandbox, const struct wire_role_status *roles, size_t n)
{
    pack_u8(b, sandbox->landlock_abi);
    pack_u8(b, sandbox->users);
    pack_str(b, sandbox->keyring_gap);
    pack_varint(b, n);
    for (size_t i = 0; i < n; i++) {
        pack_str(b, roles[i].name);
        pack_u32(b, roles[i].pid);
        pack_u32(b, roles[i].restarts);
        pack_u64(b, roles[i].uptime_ms);
        wire_pack_counts(b, &roles[i].counts);
    }
}

int wire_unpack_roles(str payload, struct arena *a, struct wire_sandbox *ret_sandbox, struct wire_role_status **ret,
                      size_t *ret_n)
{
    struct unpack u = unpack_init(payload);
    struct wire_sandbox sandbox = { .landlock_abi = unpack_u8(&u) };
    sandbox.users = unpack_u8(&u) != 0;
    sandbox.keyring_gap = unpack_str(&u, GAP_MAX);
    size_t n = (size_t)unpack_varint_max(&u, ROLES_MAX);
    struct wire_role_status *list = arena_array(a, n, sizeof *list);
    if (!list)
        return ERR_LIMIT;
    for (size_t i = 0; i < n; i++) {
        list[i].name = unpack_str(&u, 32);
        list[i].pid = unpack_u32(&u);
        list[i].restarts = unpack_u32(&u);
        list[i].uptime_ms = unpack_u64(&u);
        list[i].counts = read_counts(&u);
    }
    if (unpack_end(&u))
        return ERR_CORRUPT;
    if (ret_sandbox)
        *ret_sandbox = sandbox;
    *ret = list;
    *ret_n = n;
    return 0;
}

void wire_pack_order(struct buf *b, const struct wire_order *o)
{
    pack_u8(b, o->use);
    pack_varint(b, o->seconds);
    pack_varint(b, o->name_n);
    for (size_t i = 0; i < o->name_n; i++) {
        pack_str(b, o->names[i]);
        pack_u8(b, o->outside && o->outside[i]);
    }
    pack_str(b, o->subject_pem);
}

int wire_unpack_order(str payload, struct arena *a, struct wire_order *ret)
{
    struct unpack u = unpack_init(payload);
    struct wire_order o = { .use = unpack_u8(&u) };
    o.seconds = unpack_varint_max(&u, ORDER_SECONDS_MAX);
    o.name_n = (size_t)unpack_varint_max(&u, ORDER_NAMES_MAX);
    str *names = arena_array(a, o.name_n, sizeof *names);
    bool *outside = arena_array(a, o.name_n, sizeof *outside);
    if (!names || !outside)
        return ERR_LIMIT;
    for (size_t i = 0; i < o.name_n; i++) {
        names[i] = unpack_str(&u, WIRE_ADDRESS_MAX);
        outside[i] = unpack_u8(&u) != 0;
    }
    o.names = names;
    o.outside = outside;
    o.subject_pem = unpack_str(&u, WIRE_ORDER_MAX);
    if (unpack_end(&u) || o.use > 1)
        return ERR_CORRUPT;
    *ret = o;
    return 0;
}

void wire_pack_keyring(struct buf *b, const struct keyring *k)
{
    pack_u32(b, (uint32_t)k->ring);
    for (size_t i = 0; i < KEYRING_KEYS; i++)
        pack_u32(b, (uint32_t)k->keys[i]);
}

int wire_unpack_keyring(str payload, struct keyring *ret)
{
    struct unpack u = unpack_init(payload);
    struct keyring k = { .ring = (int32_t)unpack_u32(&u) };
    for (size_t i = 0; i < KEYRING_KEYS; i++)
        k.keys[i] = (int32_t)unpack_u32(&u);
    if (unpack_end(&u))
        return ERR_CORRUPT;
    *ret = k;
    return 0;
}

void wire_pack_seal(struct buf *b, str context, str bytes)
{
    pack_str(b, context);
    pack_str(b, bytes);
}

int wire_unpack_seal(str payload, str *ret_context, str *ret_bytes)
{
    struct unpack u = unpack_init(payload);
    *ret_context = unpack_str(&u, WIRE_SEAL_MAX);
    *ret_bytes = unpack_str(&u, WIRE_SEAL_MAX);
    return unpack_end(&u);
}

void wire_pack_sign(struct buf *b, str key_id, uint16_t scheme, str message)
{
    pack_str(b, key_id);
    pack_u16(b, scheme);
    pack_str(b, message);
}

int wire_unpack_sign(str payload, str *ret_key_id, uint16_t *ret_scheme, str *ret_message)
{
    struct unpack u = unpack_init(payload);
    str key_id = unpack_str(&u, 64);
    uint16_t scheme = unpack_u16(&u);
    str message = unpack_str(&u, TLS_SIGNED_MAX);
    if (unpack_end(&u))
        return ERR_CORRUPT;
    *ret_key_id = key_id;
    *ret_scheme = scheme;
    *ret_message = message;
    return 0;
}
