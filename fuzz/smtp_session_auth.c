/* A submission session under TLS, before AUTH. */
#include "smtp_session.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    return fuzz_session(data, size, true, true, "EHLO c\r\n");
}
