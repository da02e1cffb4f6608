/* smtp_xclient: the argument of XCLIENT. What is taken of names can stand in a header, whatever the bytes are. */
#include "smtp/xclient.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_name(str name)
{
    for (size_t i = 0; i < name.n; i++)
        require((unsigned char)name.p[i] > ' ' && name.p[i] != 127);
    require(name.n <= 255);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena a = ARENA_INIT(1 << 20);
    struct smtp_xclient x;
    if (smtp_xclient_parse((str){ (const char *)data, size }, &a, &x) == 0) {
        check_name(x.name);
        check_name(x.helo);
    }
    arena_done(&a);
    return 0;
}
