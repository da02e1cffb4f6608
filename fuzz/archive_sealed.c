/* Fuzzes what an encrypted backup is made of: any bytes as a list of recipients, as a sealed stream, and as what is sealed. The streams' key is known,
 * so that a stream that opens can be made; one that does must be the very stream that sealing gives. */
#include "archive/keybox.h"
#include "archive/sealed.h"

enum { MAX = 1 << 20 };

static const char key[SEALED_KEY_BYTES] = "0123456789abcdef0123456789abcdef";
static const char id[] = "00112233445566778899aabbccddeeff";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int collect(void *ctx, str bytes, struct error *e)
{
    buf_add(ctx, bytes);
    return buf_error(ctx) ? error_set(e, ERR_LIMIT, "too much") : 0;
}

static int run(bool seal, str in, size_t step, struct buf *out)
{
    struct sealed s;
    struct error e = ERROR_NONE;
    int err = sealed_begin(&s, seal, key, collect, out, &e);
    for (size_t at = 0; at < in.n && err == 0; at += step)
        err = sealed_add(&s, str_sub(in, at, step), &e);
    if (err == 0)
        err = sealed_end(&s, &e);
    require(err == 0 || e.text[0]);
    sealed_done(&s);
    return err;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    str in = { (const char *)data, size };
    struct keybox_info info;
    char secret[KEYBOX_SECRET];
    if (size > MAX / 4)
        return 0;
    if (keybox_describe(in, &info, NULL) == 0) {
        require(info.certificates + info.passphrases <= KEYBOX_RECIPIENTS && strlen(info.server_id) <= KEYBOX_ID);
        (void)!keybox_open_server(in, (str){ id, KEYBOX_ID }, key, secret, NULL);
    }
    size_t step = size % 97 + 1;
    struct buf opened = BUF_INIT(MAX), sealed = BUF_INIT(MAX), again = BUF_INIT(MAX);
    if (run(false, in, step, &opened) == 0) {
        require(run(true, buf_str(&opened), 1000, &sealed) == 0);
        require(str_eq(buf_str(&sealed), in));
    }
    buf_reset(&sealed);
    require(run(true, in, step, &sealed) == 0 && sealed.n == sealed_size(size));
    require(run(false, buf_str(&sealed), 4096, &again) == 0 && str_eq(buf_str(&again), in));
    buf_done(&opened);
    buf_done(&sealed);
    buf_done(&again);
    return 0;
}
