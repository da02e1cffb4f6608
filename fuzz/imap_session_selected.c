/* With INBOX selected and two messages in it: a session fed with anything (RFC 3501). */
#include "imap_session.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    return fuzz_session(data, size, true, "b SELECT INBOX\r\n");
}
