/* session: HTTP/1.1 over one connection. See http.h. */
#include "base/clock.h"
#include "http/http.h"

struct http_session {
    const struct http_config *config;
    struct http_request request;
    bool in_fields; /* the request line is here, the fields are coming */
    bool is_timed;  /* the rest of a request is awaited under HTTP_RATE_MIN */
    size_t field_bytes, field_n;
    unsigned answered;
};

static void *http_open(struct conn *c, void *ctx)
{
    struct http_session *s = calloc(1, sizeof *s);
    if (!s)
        return NULL;
    s->config = ctx;
    conn_deadline(c, HTTP_REQUEST_MS);
    return s;
}

static void http_close(struct conn *c, void *session)
{
    free(session);
}

static const char *reason_of(int status)
{
    static const struct {
        int status;
        const char *reason;
    } reasons[] = {
        { 200, "OK" },
        { 400, "Bad Request" },
        { 404, "Not Found" },
        { 405, "Method Not Allowed" },
        { 408, "Request Timeout" },
        { 413, "Content Too Large" },
        { 414, "URI Too Long" },
        { 431, "Request Header Fields Too Large" },
        { 501, "Not Implemented" },
        { 503, "Service Unavailable" },
        { 505, "HTTP Version Not Supported" },
    };
    for (size_t i = 0; i < sizeof reasons / sizeof reasons[0]; i++)
        if (reasons[i].status == status)
            return reasons[i].reason;
    return "Error";
}

/* RFC 9110 section 5.6.7. */
static void write_date(struct stream *out)
{
    struct date d = date_from_unix(clock_real_ms() / 1000, 0);
    stream_printf(out, "Date: %.*s, %02d %.*s %04d %02d:%02d:%02d GMT\r\n", STR_ARG(date_weekday_name(d.weekday)), d.day,
                  STR_ARG(date_month_name(d.month)), d.year, d.hour, d.minute, d.second);
}

static void write_answer(struct conn *c, int status, const char *type, str body, bool head_only, bool last)
{
    struct stream *out = conn_stream(c);
    stream_printf(out, "HTTP/1.1 %d %s\r\n", status, reason_of(status));
    write_date(out);
    if (status == 405)
        stream_write(out, STR("Allow: GET, HEAD\r\n"));
    stream_printf(out, "Content-Type: %s\r\nContent-Length: %zu\r\nX-Content-Type-Options: nosniff\r\n", type, body.n);
    stream_write(out, last ? STR("Connection: close\r\n\r\n") : STR("Connection: keep-alive\r\n\r\n"));
    if (!head_only)
        stream_write(out, body);
}

static void write_refusal(struct conn *c, int status, const char *text, bool head_only, bool last)
{
    char body[300];
    int n = snprintf(body, sizeof body, "%s\r\n", text ? text : reason_of(status));
    write_answer(c, status, "text/plain; charset=utf-8", (str){ body, n < (int)sizeof body ? (size_t)n : sizeof body - 1 },
                 head_only, last);
}

static const struct http_resource *find(const struct http_config *config, str path)
{
    for (size_t i = 0; i < config->resource_n; i++)
        if (str_eq(path, str_from_z(config->resources[i].path)))
            return &config->resources[i];
    return NULL;
}

/* A whole request is there. False when it was the last. */
static bool answer(struct conn *c, struct http_session *s)
{
    const struct http_request *r = &s->request;
    const struct http_resource *resource = find(s->config, (str){ r->path, r->path_n });
    bool head = r->method == HTTP_HEAD,
         last = !http_request_persists(r) || ++s->answered >= HTTP_REQUESTS_MAX || conn_is_stopping(c);
    struct buf out = BUF_INIT(HTTP_BODY_MAX);
    struct error e = ERROR_NONE;
    if (r->method == HTTP_UNKNOWN || (r->method == HTTP_OTHER && resource) || !resource) {
        write_refusal(c, r->method == HTTP_UNKNOWN ? 501 : resource ? 405 : 404, NULL, head, last);
    } else {
        int err = resource->get(s->config->ctx, &out, &e);
        if (err == 0)
            err = buf_error(&out);
        if (err)
            write_refusal(c, 503, e.text[0] ? e.text : NULL, head, last);
        else
            write_answer(c, 200, resource->type, buf_str(&out), head, last);
    }
    buf_done(&out);
    return !last;
}

static enum conn_next refuse(struct conn *c, int status)
{
    write_refusal(c, status, NULL, false, true);
    return CONN_CLOSE;
}

/* One line of a request. 0: go on; a status: refuse with it and close; -1: the request was answered and was the last. */
static int take_line(struct conn *c, struct http_session *s, str line)
{
    int status;
    if (!s->in_fields) {
        if (line.n == 0 && s->field_n++ == 0) /* RFC 9112 section 2.2: one empty line before a request is passed over */
            return 0;
        s->field_bytes = s->field_n = 0;
        status = http_request_line(line, &s->request);
        s->in_fields = status == 0;
        return status;
    }
    s->field_bytes += line.n + 2;
    if (line.n && (++s->field_n > HTTP_FIELD_COUNT_MAX || s->field_bytes > HTTP_FIELDS_MAX))
        return 431;
    if (line.n)
        return http_request_field(line, &s->request);
    status = http_request_end(&s->request);
    s->in_fields = false;
    s->field_n = 0;
    if (status)
        return status;
    s->is_timed = false;
    conn_min_rate(c, 0);
    conn_deadline(c, HTTP_IDLE_MS);
    return answer(c, s) ? 0 : -1;
}

/* Whether a part of a request has come. */
static bool has_begun(struct conn *c, const struct http_session *s)
{
    return s->in_fields || stream_peek(conn_stream(c)).n;
}

static enum conn_next http_run(struct conn *c, void *session, unsigned why)
{
    struct http_session *s = session;
    struct stream *in = conn_stream(c);
    str line;
    if (why & CONN_TIMEOUT)
        return has_begun(c, s) ? refuse(c, 408) : CONN_CLOSE;
    if (why & CONN_SHUTDOWN)
        return CONN_CLOSE;
    for (;;) {
        if (stream_is_full(in))
            return CONN_DRAIN;
        int err = stream_line(in, s->in_fields ? HTTP_FIELDS_MAX : HTTP_LINE_MAX, &line);
        if (err == ERR_AGAIN) {
            if (has_begun(c, s) && !s->is_timed) {
                s->is_timed = true;
                conn_deadline(c, HTTP_REQUEST_MS);
                conn_min_rate(c, HTTP_RATE_MIN);
            }
            return CONN_WAIT;
        }
        if (err == ERR_LIMIT || err == ERR_SYNTAX)
            return refuse(c, err == ERR_SYNTAX ? 400 : s->in_fields ? 431 : 414);
        if (err)
            return CONN_CLOSE;
        int status = take_line(c, s, line);
        if (status)
            return status > 0 ? refuse(c, status) : CONN_CLOSE;
    }
}

const struct conn_ops http_session_ops = { .name = "http", .open = http_open, .run = http_run, .close = http_close };
