/* http: a small HTTP/1.1 server for resources that are read: GET and HEAD, nothing is taken in (RFC 9110, RFC 9112).
 *
 * Requests are parsed strictly: one line end, one Host, no folded fields, no body. Whatever breaks the grammar ends the connection, so that no two
 * programs can read a stream in two ways (RFC 9112 section 11.2). */
#ifndef VALISE_HTTP_HTTP_H
#define VALISE_HTTP_HTTP_H

#include "run/conn.h"

enum {
    HTTP_LINE_MAX = 4096,      /* of the request line */
    HTTP_FIELDS_MAX = 8192,    /* bytes of all header fields together */
    HTTP_FIELD_COUNT_MAX = 64, /* of them */
    HTTP_PATH_MAX = 512,
    HTTP_REQUESTS_MAX = 1000, /* on one connection */
    HTTP_IDLE_MS = 60000,     /* between requests */
    HTTP_REQUEST_MS = 15000,  /* for the next bytes of a request */
    HTTP_RATE_MIN = 100,      /* bytes a second that they must come at, on average */
    HTTP_BODY_MAX = 4 << 20   /* of an answer */
};

/* --- request.c: pure --- */

enum http_method { HTTP_GET, HTTP_HEAD, HTTP_OTHER, HTTP_UNKNOWN };

struct http_request {
    enum http_method method; /* OTHER: of RFC 9110, none of ours */
    char path[HTTP_PATH_MAX];
    size_t path_n;  /* without the query */
    unsigned minor; /* HTTP/1.minor */
    bool has_host, has_length, close, keep_alive;
};

/* Reads a request line without its CRLF (RFC 9112 section 3): 0, or the status to refuse with: 400, 414, 505. */
int http_request_line(str line, struct http_request *ret) MUST_USE;
/* Reads one field line without its CRLF (RFC 9112 section 5) into R: 0, or 400, 413 (a body is announced), 501 (a transfer coding is). */
int http_request_field(str line, struct http_request *r) MUST_USE;
/* When all fields have been read: 0, or 400 when there is no Host (RFC 9112 section 3.2). */
int http_request_end(const struct http_request *r) MUST_USE;
/* Whether the connection may carry another request (RFC 9112 section 9.3). */
bool http_request_persists(const struct http_request *r);

/* --- session.c --- */

struct http_resource {
    const char *path; /* "/metrics" */
    const char *type; /* of its content */
    /* Appends the content to OUT. May block on other roles. An error is answered with 503 and its text. */
    int (*get)(void *ctx, struct buf *out, struct error *e);
};

/* The context of a listener. */
struct http_config {
    const struct http_resource *resources;
    size_t resource_n;
    void *ctx;
};
extern const struct conn_ops http_session_ops;

#endif
