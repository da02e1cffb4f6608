/* Fuzzes author fields. What the strict parser takes, the tolerant one must read as the same addresses: nobody can be one author here and
 * another one to a reader. */
#include "message/address.h"
#include "message/mailbox.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_same(const struct message_mailbox *m, const struct message_address *addr, struct arena *a)
{
    struct message_addresses alone;
    require(message_addresses_parse(m->address, &message_limits_default, a, &alone, NULL) == 0);
    require(alone.n == 1 && str_eq(alone.list[0].mailbox, addr->mailbox) && str_eq(alone.list[0].host, addr->host));
    require(message_address_is_mailbox(addr) && addr->route.n == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena a = ARENA_INIT(64 << 20);
    str field = { (const char *)data, size }, local, domain;
    const struct message_mailbox *list;
    struct message_addresses lenient;
    const char *why = NULL;
    unsigned n;
    bool cut = false;
    int r = message_mailboxes_parse(field, 100, &a, &list, &n, &why);
    require(r == 0 || (r == ERR_SYNTAX && why));
    for (size_t at = 0, last = 0; message_text_next_address(field, &at, &local, &domain); last = at)
        require(local.n && domain.n && at > last && at <= size);
    struct buf folded = BUF_INIT(32 * size + 1);
    require(message_text_fold(field, &folded) == 0);
    buf_done(&folded);
    require(message_addresses_parse(field, &message_limits_default, &a, &lenient, &cut) == 0);
    if (r == 0 && !cut) {
        require(n == lenient.n);
        for (unsigned i = 0; i < n; i++)
            check_same(&list[i], &lenient.list[i], &a);
    }
    arena_done(&a);
    return 0;
}
