/* request: one HTTP request's head, line by line (RFC 9112 sections 3 to 7). See http.h. */
#include "base/scan.h"
#include "http/http.h"

/* RFC 9110 section 5.6.2. */
static bool is_tchar(char c)
{
    return ascii_is_alnum(c) || (c && str_find_byte(STR("!#$%&'*+-.^_`|~"), c, 0) < 15);
}

static bool is_token(str s)
{
    bool good = s.n > 0;
    for (size_t i = 0; i < s.n; i++)
        good = good && is_tchar(s.p[i]);
    return good;
}

/* Printable ASCII without blanks: all that may stand in a target, and no more than a log can bear. */
static bool is_visible(str s)
{
    bool good = s.n > 0;
    for (size_t i = 0; i < s.n; i++)
        good = good && s.p[i] > ' ' && s.p[i] < 0x7f;
    return good;
}

static enum http_method method_of(str name)
{
    static const char *const others[] = { "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "CONNECT" };
    if (str_eq(name, STR("GET")))
        return HTTP_GET;
    if (str_eq(name, STR("HEAD")))
        return HTTP_HEAD;
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        if (str_eq(name, str_from_z(others[i])))
            return HTTP_OTHER;
    return HTTP_UNKNOWN;
}

/* RFC 9112 section 3.2: origin-form; absolute-form, as a proxy is asked, whose path counts. */
static int take_target(str target, struct http_request *r)
{
    if (str_istarts(target, STR("http://"))) {
        target = str_from(target, 7);
        target = str_from(target, str_find_byte(target, '/', 0));
        target = target.n ? target : STR("/");
    }
    str path = str_sub(target, 0, str_find_byte(target, '?', 0));
    if (path.n > sizeof r->path)
        return 414;
    if (path.n == 0 || (path.p[0] != '/' && r->method != HTTP_OTHER))
        return 400;
    memcpy(r->path, path.p, path.n);
    r->path_n = path.n;
    return 0;
}

/* request-line = method SP request-target SP HTTP-version */
int http_request_line(str line, struct http_request *ret)
{
    struct http_request r = { .method = HTTP_UNKNOWN };
    str method, target;
    if (!str_split(&line, ' ', &method) || !str_split(&line, ' ', &target) || !is_token(method) || !is_visible(target))
        return 400;
    if (line.n != 8 || !str_starts(line, STR("HTTP/")) || !ascii_is_digit(line.p[5]) || line.p[6] != '.' ||
        !ascii_is_digit(line.p[7]))
        return 400;
    if (line.p[5] != '1')
        return 505;
    r.minor = (unsigned)(line.p[7] - '0');
    r.method = method_of(method);
    int status = take_target(target, &r);
    if (status == 0)
        *ret = r;
    return status;
}

static str trim_blanks(str s)
{
    while (s.n && (s.p[0] == ' ' || s.p[0] == '\t'))
        s = str_from(s, 1);
    while (s.n && (s.p[s.n - 1] == ' ' || s.p[s.n - 1] == '\t'))
        s.n--;
    return s;
}

/* RFC 9110 section 5.5: visible characters, blanks, and bytes above ASCII. */
static bool is_value(str s)
{
    bool good = true;
    for (size_t i = 0; i < s.n; i++)
        good = good && ((unsigned char)s.p[i] >= ' ' || s.p[i] == '\t') && s.p[i] != 0x7f;
    return good;
}

static void take_connection(str value, struct http_request *r)
{
    str option;
    while (str_split(&value, ',', &option)) {
        r->close = r->close || str_ieq(trim_blanks(option), STR("close"));
        r->keep_alive = r->keep_alive || str_ieq(trim_blanks(option), STR("keep-alive"));
    }
}

/* A body cannot be anything that is wanted here; only one of no bytes is passed over. */
static int take_length(str value, struct http_request *r)
{
    uint64_t n;
    bool again = r->has_length;
    r->has_length = true;
    if (again || !str_to_u64(value, UINT64_MAX, &n))
        return 400;
    return n ? 413 : 0;
}

int http_request_field(str line, struct http_request *r)
{
    size_t colon = str_find_byte(line, ':', 0);
    str name = str_sub(line, 0, colon), value = trim_blanks(str_from(line, colon < line.n ? colon + 1 : colon));
    bool again = r->has_host;
    if (colon == line.n || !is_token(name) || !is_value(value))
        return 400;
    if (str_ieq(name, STR("Host"))) {
        r->has_host = true;
        return again || (value.n && !is_visible(value)) ? 400 : 0;
    }
    if (str_ieq(name, STR("Content-Length")))
        return take_length(value, r);
    if (str_ieq(name, STR("Transfer-Encoding")))
        return 501;
    if (str_ieq(name, STR("Connection")))
        take_connection(value, r);
    return 0;
}

int http_request_end(const struct http_request *r)
{
    return r->minor >= 1 && !r->has_host ? 400 : 0;
}

bool http_request_persists(const struct http_request *r)
{
    return !r->close && (r->minor >= 1 || r->keep_alive);
}
