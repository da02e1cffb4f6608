/* A whole session over memory and a store in memory, brought to a state and then fed the input in pieces of a size that the first
 * byte chooses. */
#include "base/log.h"
#include "imap/imap.h"
#include "imap_answer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const engine_part alice = { { 'a', 'l', 'i', 'c', 'e' } };

static int authenticate(void *ctx, const struct sasl_attempt *t, struct arena *a, struct imap_login *ret, int64_t *ret_delay_ms)
{
    (void)ctx;
    (void)a;
    *ret_delay_ms = t->password.n % 3 == 1 ? 1000 : 0;
    if (t->proof == SASL_PROOF_CERTIFICATE ? t->login.n > 0
                                           : !str_eq(t->login, STR("alice")) || !str_eq(t->password, STR("secret")))
        return ERR_REFUSED;
    if (t->acting_as.n)
        return ERR_UNSUPPORTED;
    *ret = (struct imap_login){ .account = alice, .address = STR("alice") };
    return 0;
}

static int password(void *ctx, str login, struct buf *ret)
{
    (void)ctx;
    buf_add(ret, STR("secret"));
    return login.n % 7 == 3 ? ERR_UNAVAILABLE : 0;
}

static int digest(void *ctx, str name, str realm, uint8_t ret[SASL_DIGEST_SIZE])
{
    (void)ctx;
    memset(ret, 1, SASL_DIGEST_SIZE);
    return name.n == realm.n ? ERR_UNAVAILABLE : 0;
}

static int realm(void *ctx, struct buf *ret)
{
    (void)ctx;
    buf_add(ret, STR("h"));
    return 0;
}

static bool knows_certificate(void *ctx, const struct tls_info *tls)
{
    (void)ctx;
    return tls->client_address_n > 0;
}

static void check_said(struct conn *c)
{
    check_responses(conn_memory_take(c));
}

static void append_message(struct conn *c, str message)
{
    struct buf b = BUF_INIT(65536);
    buf_addf(&b, "m APPEND INBOX {%zu+}\r\n", message.n);
    buf_add_all(&b, message, STR("\r\n"));
    conn_memory_feed(c, buf_str(&b));
    buf_done(&b);
    check_said(c);
}

static int fuzz_session(const uint8_t *data, size_t size, bool messages, const char *approach)
{
    static const size_t steps[] = { 0, 1, 2, 7, 64, 513 };
    if (size < 1)
        return 0;
    size_t step = steps[data[0] % 6];
    str in = { (const char *)data + 1, size - 1 };
    struct engine *engine;
    log_set_level(LOG_ERROR);
    require(engine_memory_open(&engine) == 0);
    struct mail_store *store = mail_store_new(engine);
    require(mail_account_create(store, alice) == 0);
    struct imap_config config = {
        .store = store, .hostname = STR("h"), .append_max = 100000, .errors_max = 1000, .authenticate = authenticate
    };
    config.auth = (struct sasl_settings){ .taken = (sasl_set)-1,
                                          .listed = (sasl_set)-1,
                                          .password = password,
                                          .digest = digest,
                                          .realm = realm,
                                          .knows_certificate = knows_certificate };
    struct conn *c = conn_memory_new(&imap_session_ops, &config, 0, 0, true, false);
    static const str certified = STR_INIT("alice");
    const struct tls_info info = {
        .active = true, .client_verified = true, .client_addresses = &certified, .client_address_n = 1
    };
    if (data[0] & 0x20)
        conn_memory_set_tls(c, &info);
    if (approach[0])
        conn_memory_feed(c, STR("a LOGIN alice secret\r\n"));
    if (messages) {
        append_message(
            c, STR("From: a@b.c\r\nSubject: =?utf-8?q?=C3=A9?=\r\nDate: Mon, 23 Nov 2026 12:00:00 +0000\r\n\r\nhello\r\n"));
        append_message(
            c,
            STR("Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n\r\none\r\n--x\r\nContent-Type: message/rfc822\r\n\r\n"
                "Subject: inner\r\n\r\ntwo\r\n--x--\r\n"));
    }
    conn_memory_feed(c, str_from_z(approach));
    check_said(c);
    require(!conn_memory_is_closed(c));
    while (in.n) {
        str piece = str_sub(in, 0, step ? step : in.n);
        conn_memory_feed(c, piece);
        check_said(c);
        in = str_from(in, piece.n);
    }
    if (data[0] & 0x80)
        conn_memory_run(c, data[0] & 0x40 ? (data[0] & 0x20 ? CONN_ENDED : CONN_SHUTDOWN) : CONN_TIMEOUT);
    else
        conn_memory_feed_eof(c);
    check_said(c);
    conn_memory_free(c);
    mail_store_free(store);
    engine_close(engine);
    return 0;
}
