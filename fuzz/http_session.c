/* Fuzzes whole HTTP conversations: every answer is a whole one, and after an end nothing more is said. */
#include "base/log.h"
#include "http/http.h"

static int get(void *ctx, struct buf *out, struct error *e)
{
    buf_add(out, STR("x 1\n"));
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct http_resource resource = { "/metrics", "text/plain", get };
    static struct http_config config = { &resource, 1, NULL };
    log_set_level(LOG_ERROR);
    struct conn *c = conn_memory_new(&http_session_ops, &config, 5, 300, false, false);
    conn_memory_feed(c, (str){ (const char *)data, size });
    str out = conn_memory_take(c);
    require(out.n == 0 || str_starts(out, STR("HTTP/1.1 ")));
    require(str_find(out, STR("Connection: close")) == out.n || conn_memory_is_closed(c));
    conn_memory_feed_eof(c);
    conn_memory_free(c);
    return 0;
}
