/* Before login: a session fed with anything (RFC 3501). */
#include "imap_session.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    return fuzz_session(data, size, false, "");
}
