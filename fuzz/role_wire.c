/* role_wire: hostile payloads on the channels between roles. */
#include "role/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    str in = { (const char *)data + 1, size - 1 };
    struct arena a = ARENA_INIT(1 << 20);
    struct smtp_delivery d;
    struct wire_setup setup;
    struct wire_counts counts;
    struct wire_role_status *roles;
    size_t n;
    str x, y;
    bool inlined;
    uint16_t scheme;
    enum tls_signed kind;
    switch (data[0] % 5) {
    case 0:
        if (wire_unpack_delivery(in, &a, &d, &inlined) == 0 && d.recipient_n == 0)
            abort();
        break;
    case 1:
        (void)!wire_unpack_setup(in, &a, &setup);
        break;
    case 2:
        (void)!wire_unpack_counts(in, &counts);
        break;
    case 3:
        (void)!wire_unpack_roles(in, &a, NULL, &roles, &n);
        break;
    default:
        if (wire_unpack_sign(in, &x, &scheme, &y) == 0 && tls_signed_kind(scheme, y, &kind) == 0 && y.n < 98)
            abort();
        break;
    }
    arena_done(&a);
    return 0;
}
