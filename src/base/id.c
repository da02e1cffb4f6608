/* id: see id.h. 42 bits of milliseconds (until 2109), 23 random bits. */
#include "base/id.h"

#include "base/clock.h"
#include "base/random.h"

struct id id_new(void)
{
    static const char digits[] = "0123456789abcdefghjkmnpqrstvwxyz";
    uint64_t v = (uint64_t)clock_real_ms() << 22 ^ (random_u64() & 0x3fffff);
    struct id id = { { 0 } };
    for (size_t i = 13; i-- > 0; v >>= 5)
        id.text[i] = digits[v & 31];
    return id;
}
