/* A session whose message has begun with BDAT. */
#include "smtp_session.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    return fuzz_session(data, size, false, false,
                        "EHLO c\r\nMAIL FROM:<a@example.net> BODY=BINARYMIME\r\nRCPT TO:<bob@example.org>\r\nBDAT 6\r\na: b\r\n");
}
