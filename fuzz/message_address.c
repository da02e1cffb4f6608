/* Fuzzes address lists. Groups must alternate, no text holds a line end, and a mailbox that is written is read again the same. */
#include "message/address.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_text(str s)
{
    for (size_t i = 0; i < s.n; i++)
        require(s.p[i] != 0 && s.p[i] != '\r' && s.p[i] != '\n');
}

static void check_again(const struct message_address *addr)
{
    struct buf b = BUF_INIT(1 << 20);
    struct arena a = ARENA_INIT(1 << 20);
    struct message_addresses list;
    if (addr->name.n) {
        message_address_add_phrase(&b, addr->name);
        buf_add(&b, STR(" <"));
    }
    message_address_add_spec(&b, addr);
    if (addr->name.n)
        buf_add_byte(&b, '>');
    require(message_addresses_parse(buf_str(&b), &message_limits_default, &a, &list, NULL) == 0);
    require(list.n == 1 && str_eq(list.list[0].mailbox, addr->mailbox) && str_eq(list.list[0].host, addr->host));
    require(str_eq(list.list[0].name, addr->name));
    buf_done(&b);
    arena_done(&a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena a = ARENA_INIT(64 << 20);
    struct message_addresses list;
    bool cut = false, in_group = false;
    require(message_addresses_parse((str){ (const char *)data, size }, &message_limits_default, &a, &list, &cut) == 0);
    require(list.n <= message_limits_default.addresses_max);
    for (unsigned i = 0; i < list.n; i++) {
        const struct message_address *addr = &list.list[i];
        check_text(addr->name);
        check_text(addr->route);
        check_text(addr->mailbox);
        check_text(addr->host);
        if (message_address_is_mailbox(addr)) {
            if (!cut)
                check_again(addr);
            continue;
        }
        require((addr->mailbox.n == 0) == in_group);
        in_group = !in_group;
    }
    require(!in_group);
    arena_done(&a);
    return 0;
}
