/* The grammar of SMTP commands: the first byte chooses the function, the rest is its line. */
#include "smtp/syntax.h"

#include "base/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What an address in a struct must be whatever was read: bounded, printable, and the same when read again. */
static void check_address(const struct smtp_address *address, struct arena *a)
{
    struct smtp_address again;
    str t = address->text;
    require(t.n <= smtp_limits_default.mailbox_max && utf8_valid(t) && address->utf8 == !utf8_is_ascii(t));
    for (size_t i = 0; i < t.n; i++)
        require((unsigned char)t.p[i] >= ' ' && t.p[i] != 127);
    if (t.n == 0 || str_eq(t, STR("postmaster")))
        return;
    require(smtp_address_parse(t, &smtp_limits_default, a, &again) == SMTP_FAULT_NONE && str_eq(again.text, t));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    str in = { (const char *)data + 1, size - 1 }, verb, argument, name;
    struct arena a = ARENA_INIT(64 * 1024);
    struct smtp_address address = { 0 };
    struct smtp_mail mail = { 0 };
    struct smtp_rcpt rcpt = { 0 };
    switch (data[0] % 5) {
    case 0:
        smtp_line_split(in, &verb, &argument);
        require(verb.n + argument.n <= in.n);
        break;
    case 1:
        if (smtp_mail_parse(in, &smtp_limits_default, data[0] & 0x80, &a, &mail) == SMTP_FAULT_NONE) {
            check_address(&mail.reverse_path, &a);
            require(!mail.reverse_path.utf8 || mail.smtputf8);
            require(mail.envid.n <= DSN_ENVID_MAX && dsn_xtext_valid(mail.envid));
        }
        break;
    case 2:
        if (smtp_rcpt_parse(in, &smtp_limits_default, data[0] & 0x80, data[0] & 0x40, &a, &rcpt) == SMTP_FAULT_NONE) {
            check_address(&rcpt.address, &a);
            require(rcpt.address.text.n > 0 && (!rcpt.address.utf8 || (data[0] & 0x80)));
            require(dsn_notify_valid(rcpt.dsn.notify) && rcpt.dsn.orcpt.n <= DSN_ORCPT_MAX && utf8_valid(rcpt.dsn.orcpt));
        }
        break;
    case 3:
        if (smtp_address_parse(in, &smtp_limits_default, &a, &address) == SMTP_FAULT_NONE)
            check_address(&address, &a);
        break;
    default:
        if (smtp_helo_parse(in, &name) == SMTP_FAULT_NONE)
            require(name.n > 0 && name.n <= 255 && name.p == in.p);
        break;
    }
    arena_done(&a);
    return 0;
}
