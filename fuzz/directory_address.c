/* Fuzzes the canonical form of an address: it is stable, within its limits, and safe to store and to log. */
#include "base/utf8.h"
#include "directory/directory.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena a = ARENA_INIT(1 << 16);
    str once, twice;
    if (directory_canonical((str){ (const char *)data, size }, &a, &once, NULL) == 0) {
        require(once.n >= 3 && once.n <= 254 && utf8_valid(once));
        size_t at = str_rfind_byte(once, '@');
        require(at > 0 && at <= 64 && utf8_is_ascii(str_from(once, at)));
        for (size_t i = 0; i < once.n; i++)
            require((unsigned char)once.p[i] >= ' ' && once.p[i] != 0x7f);
        require(directory_canonical(once, &a, &twice, NULL) == 0 && str_eq(once, twice));
    }
    arena_done(&a);
    return 0;
}
