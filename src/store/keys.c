/* keys: see keys.h. */
#include "store/keys.h"

static void put_be(char *p, uint64_t v, unsigned n)
{
    for (unsigned i = n; i > 0; i--, v >>= 8)
        p[i - 1] = (char)(v & 255);
}

static uint64_t get_be(const char *p, unsigned n)
{
    uint64_t v = 0;
    for (unsigned i = 0; i < n; i++)
        v = v << 8 | (unsigned char)p[i];
    return v;
}

struct key key_of(char letter)
{
    return (struct key){ .n = 1, .p = { letter } };
}

struct key key_of_id(char letter, uint64_t id)
{
    struct key k = { .n = 9, .p = { letter } };
    put_be(k.p + 1, id, 8);
    return k;
}

struct key key_of_entry(uint64_t mailbox, uint32_t uid)
{
    struct key k = { .n = 13, .p = { KEY_ENTRY } };
    put_be(k.p + 1, mailbox, 8);
    put_be(k.p + 9, uid, 4);
    return k;
}

bool key_read_id(str key, char letter, uint64_t *ret)
{
    if (key.n != 9 || key.p[0] != letter)
        return false;
    *ret = get_be(key.p + 1, 8);
    return true;
}

bool key_read_entry(str key, uint64_t *ret_mailbox, uint32_t *ret_uid)
{
    if (key.n != 13 || key.p[0] != KEY_ENTRY)
        return false;
    *ret_mailbox = get_be(key.p + 1, 8);
    *ret_uid = (uint32_t)get_be(key.p + 9, 4);
    return true;
}
