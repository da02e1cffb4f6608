/* A session from its greeting on. */
#include "smtp_session.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    return fuzz_session(data, size, false, false, "");
}
