/* A whole session over memory, brought to a stage and then fed the input in pieces of a size that the first byte chooses. */
#include "../tests/unit/smtp/service_table.h"
#include "base/log.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Every line the server says is an answer: a code, "-" or a space, text, at most 512 bytes. */
static void check_answers(str said)
{
    str line;
    require(said.n == 0 || str_ends(said, STR("\r\n")));
    while (str_split(&said, '\n', &line) && said.p) {
        require(line.n >= 5 && line.n < 512 && line.p[0] >= '2' && line.p[0] <= '5' && (line.p[3] == ' ' || line.p[3] == '-'));
        for (size_t i = 0; i + 1 < line.n; i++)
            require(line.p[i] >= ' ' && line.p[i] < 127);
    }
}

static int fuzz_session(const uint8_t *data, size_t size, bool submission, bool tls, const char *approach)
{
    if (size < 1)
        return 0;
    static const size_t steps[] = { 0, 1, 2, 7, 64, 513 };
    size_t step = steps[data[0] % 6];
    str in = { (const char *)data + 1, size - 1 };
    struct service_table t;
    log_set_level(LOG_ERROR);
    service_table_init(&t);
    t.config.submission = submission;
    t.config.size_max = 100000;
    t.config.auth.taken = t.config.auth.listed = (sasl_set)-1; /* old mechanisms too */
    struct conn *c = conn_memory_new(&smtp_session_ops, &t.config, 0, 0, true, tls);
    static const str certified = STR_INIT("alice@example.org");
    struct tls_info info = *conn_tls(c);
    info.client_verified = tls && (data[0] & 0x20);
    info.client_addresses = &certified;
    info.client_address_n = 1;
    conn_memory_set_tls(c, &info);
    conn_memory_feed(c, str_from_z(approach));
    check_answers(conn_memory_take(c));
    require(!conn_memory_is_closed(c));
    while (in.n) {
        str piece = str_sub(in, 0, step ? step : in.n);
        conn_memory_feed(c, piece);
        check_answers(conn_memory_take(c));
        in = str_from(in, piece.n);
    }
    if (data[0] & 0x80)
        conn_memory_run(c, data[0] & 0x40 ? (data[0] & 0x20 ? CONN_ENDED : CONN_SHUTDOWN) : CONN_TIMEOUT);
    else
        conn_memory_feed_eof(c);
    check_answers(conn_memory_take(c));
    conn_memory_free(c);
    service_table_done(&t);
    return 0;
}
