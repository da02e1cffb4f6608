/* row: the rows of the directory as bytes.
 *
 * A key is a kind and a name, see row_key. A value begins with its version. What came first has its place; what came later is a list
 * of fields, each a tag and its bytes, left out when it says nothing: so that a row grows without a new version for each thing, and
 * a field of a program newer than this one is found out (ERR_CORRUPT) instead of being dropped at the next change. */
#include "directory/directory_private.h"

#include "base/pack.h"

enum {
    ROW_VERSION = 1,
    DOMAIN_VERSION = 2, /* version 1 of domains had no fields */
    ACCOUNT_VERSION = 4,
    SCRAM_SINCE = 2,  /* version 1 of accounts ended with the hash */
    APPS_SINCE = 3,   /* application passwords */
    FIELDS_SINCE = 4, /* role and fields */
    FLAG_ENABLED = 1,
    FLAG_ADMINISTRATOR = 2, /* before there were roles */
    NAME_BYTES_MAX = 255
};

void row_key(struct buf *b, char kind, str name)
{
    buf_add_byte(b, kind);
    buf_add(b, name);
}

/* --- fields --- */

enum { FIELD_QUOTA = 1, FIELD_ALIAS_OF = 2, FIELD_CATCH_ALL = 3, FIELD_LEGACY = 4, FIELD_DISPLAY = 6, FIELD_LANGUAGE = 7 };

static bool field_next(struct unpack *u, unsigned *ret_tag, str *ret_value)
{
    if (u->error || unpack_rest(u).n == 0)
        return false;
    *ret_tag = unpack_u8(u);
    *ret_value = unpack_str(u, ENGINE_VALUE_MAX);
    return !u->error;
}

static void field_put(struct buf *b, unsigned tag, str value)
{
    pack_u8(b, (uint8_t)tag);
    pack_str(b, value);
}

static void quota_put(struct buf *b, const struct quota *q)
{
    struct buf value = BUF_INIT(32);
    if (!q->is_set)
        return;
    pack_varint(&value, q->limits.bytes);
    pack_varint(&value, q->limits.messages);
    field_put(b, FIELD_QUOTA, buf_str(&value));
    buf_done(&value);
}

static int quota_take(str value, struct quota *ret)
{
    struct unpack u = unpack_init(value);
    ret->is_set = true;
    ret->limits.bytes = unpack_varint(&u);
    ret->limits.messages = unpack_varint(&u);
    return unpack_end(&u);
}

/* The fields left in U, of a row that has nothing but a quota. */
static int quota_fields(struct unpack *u, struct quota *ret)
{
    unsigned tag;
    str value;
    while (field_next(u, &tag, &value))
        if (tag != FIELD_QUOTA || quota_take(value, ret) < 0)
            return ERR_CORRUPT;
    return unpack_end(u);
}

/* --- domains --- */

void row_encode_domain(struct buf *b, const struct domain *d)
{
    pack_u8(b, DOMAIN_VERSION);
    pack_varint(b, d->seq);
    quota_put(b, &d->quota);
    if (d->alias_of.n)
        field_put(b, FIELD_ALIAS_OF, d->alias_of);
    if (d->catch_all.n)
        field_put(b, FIELD_CATCH_ALL, d->catch_all);
}

int row_decode_domain(str value, struct domain *ret)
{
    struct unpack u = unpack_init(value);
    uint8_t version = unpack_u8(&u);
    unsigned tag;
    str field;
    ret->seq = unpack_varint(&u);
    if (version < ROW_VERSION || version > DOMAIN_VERSION)
        return ERR_CORRUPT;
    while (field_next(&u, &tag, &field)) {
        if (tag == FIELD_QUOTA && quota_take(field, &ret->quota) == 0)
            continue;
        if ((tag != FIELD_ALIAS_OF && tag != FIELD_CATCH_ALL) || !field.n || field.n > NAME_BYTES_MAX)
            return ERR_CORRUPT;
        *(tag == FIELD_ALIAS_OF ? &ret->alias_of : &ret->catch_all) = field;
    }
    return unpack_end(&u);
}

/* --- accounts --- */

/* Mechanisms, then the sealed secrets. */
static void legacy_put(struct buf *b, const struct entry *n)
{
    struct buf value = BUF_INIT(1 + DIRECTORY_SEALED_MAX);
    if (!n->sealed.n)
        return;
    pack_u8(&value, (uint8_t)n->legacy);
    buf_add(&value, n->sealed);
    require(buf_error(&value) == 0);
    field_put(b, FIELD_LEGACY, buf_str(&value));
    buf_done(&value);
}

static int legacy_take(str value, struct entry *ret)
{
    struct unpack u = unpack_init(value);
    ret->legacy = unpack_u8(&u);
    ret->sealed = unpack_rest(&u);
    return u.error || !ret->sealed.n || ret->sealed.n > DIRECTORY_SEALED_MAX ? ERR_CORRUPT : 0;
}

static int account_fields(struct unpack *u, struct entry *ret)
{
    unsigned tag;
    str value;
    while (field_next(u, &tag, &value)) {
        if (tag == FIELD_DISPLAY && value.n <= DIRECTORY_DISPLAY_MAX)
            ret->display = value;
        else if (tag == FIELD_LANGUAGE)
            ret->language = language_from_tag(value);
        else if (tag == FIELD_QUOTA ? quota_take(value, &ret->quota) < 0 : tag != FIELD_LEGACY || legacy_take(value, ret) < 0)
            return ERR_CORRUPT;
    }
    return ret->language < LANGUAGE_N ? unpack_end(u) : ERR_CORRUPT;
}

void row_encode_account(struct buf *b, const struct entry *n)
{
    pack_u8(b, ACCOUNT_VERSION);
    buf_add(b, (str){ (const char *)n->id.b, sizeof n->id.b });
    pack_varint(b, n->seq);
    pack_u8(b, n->enabled ? FLAG_ENABLED : 0);
    pack_str(b, n->hash);
    for (int i = 0; i < DIRECTORY_HASH_N; i++)
        pack_str(b, n->scram[i]);
    pack_str(b, n->apps);
    pack_u8(b, (uint8_t)n->role);
    quota_put(b, &n->quota);
    legacy_put(b, n);
    if (n->display.n)
        field_put(b, FIELD_DISPLAY, n->display);
    if (n->language != LANGUAGE_UNSAID)
        field_put(b, FIELD_LANGUAGE, language_tag(n->language));
}

int row_decode_account(str value, struct entry *n)
{
    struct unpack u = unpack_init(value);
    uint8_t version = unpack_u8(&u);
    if (version < ROW_VERSION || version > ACCOUNT_VERSION)
        return ERR_CORRUPT;
    str id = unpack_bytes(&u, sizeof n->id.b);
    n->seq = unpack_varint(&u);
    uint8_t flags = unpack_u8(&u);
    n->hash = unpack_str(&u, DIRECTORY_HASH_MAX);
    for (unsigned i = 0; version >= SCRAM_SINCE && i < DIRECTORY_HASH_N; i++) {
        struct directory_scram keys;
        n->scram[i] = unpack_str(&u, DIRECTORY_SCRAM_MAX);
        if (n->scram[i].n && scram_decode(n->scram[i], (enum directory_hash)i, &keys) < 0)
            return ERR_CORRUPT;
    }
    if (version >= APPS_SINCE)
        n->apps = unpack_str(&u, DIRECTORY_APPS_MAX);
    unsigned role = version >= FIELDS_SINCE ? unpack_u8(&u) : flags & FLAG_ADMINISTRATOR ? DIRECTORY_ADMIN : DIRECTORY_USER;
    if (account_fields(&u, n) < 0 || role >= DIRECTORY_ROLE_N || app_passwords_check(n->apps) < 0)
        return ERR_CORRUPT;
    memcpy(n->id.b, id.p, sizeof n->id.b);
    n->enabled = flags & FLAG_ENABLED;
    n->role = (enum directory_role)role;
    return 0;
}

/* --- aliases --- */

void row_encode_alias(struct buf *b, const str *targets, size_t n)
{
    pack_u8(b, ROW_VERSION);
    pack_varint(b, n);
    for (size_t i = 0; i < n; i++)
        pack_str(b, targets[i]);
}

int row_decode_alias(str value, struct entry *n, str targets[DIRECTORY_TARGETS_MAX])
{
    struct unpack u = unpack_init(value);
    if (unpack_u8(&u) != ROW_VERSION)
        return ERR_CORRUPT;
    n->target_n = (size_t)unpack_varint_max(&u, DIRECTORY_TARGETS_MAX);
    n->targets = targets;
    for (size_t i = 0; i < n->target_n; i++)
        targets[i] = unpack_str(&u, NAME_BYTES_MAX);
    return unpack_end(&u);
}

/* --- groups --- */

void row_encode_group(struct buf *b, const struct entry *n)
{
    pack_u8(b, ROW_VERSION);
    buf_add(b, (str){ (const char *)n->id.b, sizeof n->id.b });
    pack_u8(b, (uint8_t)n->senders);
    pack_varint(b, n->member_n);
    for (size_t i = 0; i < n->member_n; i++)
        buf_add(b, (str){ (const char *)n->members[i].b, sizeof n->members[i].b });
    quota_put(b, &n->quota);
}

int row_decode_group(str value, struct entry *n, engine_part members[DIRECTORY_MEMBERS_MAX])
{
    struct unpack u = unpack_init(value);
    unsigned version = unpack_u8(&u);
    str id = unpack_bytes(&u, sizeof n->id.b);
    unsigned senders = unpack_u8(&u);
    n->member_n = (size_t)unpack_varint_max(&u, DIRECTORY_MEMBERS_MAX);
    n->members = members;
    str ids = unpack_bytes(&u, n->member_n * sizeof *members);
    if (version != ROW_VERSION || senders >= DIRECTORY_SENDERS_N || quota_fields(&u, &n->quota) < 0)
        return ERR_CORRUPT;
    if (ids.n)
        memcpy(members, ids.p, ids.n);
    memcpy(n->id.b, id.p, sizeof n->id.b);
    n->senders = (enum directory_senders)senders;
    return 0;
}
