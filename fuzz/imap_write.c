/* ENVELOPE, BODY and BODYSTRUCTURE of any message are well-formed data (RFC 3501 section 7.4.2). */
#include "imap/write.h"
#include "imap_answer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    str message = { (const char *)data, size };
    struct arena a = ARENA_INIT(16 << 20);
    struct buf bytes = BUF_INIT(65536), b = BUF_INIT(16 << 20);
    const struct structure *structure;
    require(message_parse(message, &message_limits_default, &bytes) == 0);
    require(structure_open(buf_str(&bytes), message.n, &a, &structure) == 0);
    const struct part *root = structure_root(structure);
    buf_add(&b, STR("* 1 FETCH (ENVELOPE "));
    imap_write_envelope(&b, root->envelope);
    buf_add(&b, STR(" BODY "));
    imap_write_body(&b, root, false, NULL);
    buf_add(&b, STR(" BODYSTRUCTURE "));
    imap_write_body(&b, root, true, NULL);
    buf_add(&b, STR(")\r\n"));
    require(buf_error(&b) == 0);
    check_responses(buf_str(&b));
    buf_done(&b);
    buf_done(&bytes);
    arena_done(&a);
    return 0;
}
