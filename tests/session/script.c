/* script: see script.h. A file is read whole, then run line by line; each connection keeps what the server said and nobody
 * expected yet. */
#include "tests/session/script.h"

#include <dirent.h>
#include <stdarg.h>

enum { SCRIPT_CONNS = 4, SCRIPT_BYTES_MAX = 4 << 20, SCRIPT_OUTPUT_MAX = 64 << 20 };

struct script {
    const struct script_setup *setup;
    const char *path;
    unsigned line;
    bool starttls, tls, whole;
    char certificate[256]; /* address; "-": unknown; empty: none */
    str certificate_address;
    struct buf kept;      /* what "<...>" stood for */
    struct access access; /* of the listener, from "@" lines */
    struct ip_network served, overrides;
    str peers[SCRIPT_CONNS];
    struct limits *limits;
    struct conn *conns[SCRIPT_CONNS];
    struct buf said[SCRIPT_CONNS]; /* what the server said, expected lines removed */
    struct buf *report;
};

static bool script_fail(struct script *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static bool script_fail(struct script *s, const char *fmt, ...)
{
    char text[2048];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    buf_addf(s->report, "%s:%u: %s\n", s->path, s->line, text);
    return false;
}

static struct conn *script_conn(struct script *s, size_t i)
{
    if (!s->conns[i]) {
        const struct access *access = access_new(&s->access);
        s->conns[i] = conn_memory_new_at(s->setup->ops, s->setup->ctx,
                                         &(struct conn_memory_place){ .read_step = s->whole ? 0 : s->setup->read_step,
                                                                      .write_step = s->setup->write_step,
                                                                      .starttls = s->starttls,
                                                                      .tls_at_start = s->tls,
                                                                      .peer = s->peers[i],
                                                                      .access = access,
                                                                      .limits = s->limits });
        access_unref(access);
    }
    if (s->certificate[0] && s->tls) {
        bool ours = s->certificate[0] != '-';
        struct tls_info tls = *conn_tls(s->conns[i]);
        tls.client_certificate = true;
        tls.client_verified = ours;
        tls.client_subject = STR("CN=client");
        tls.client_serial = STR("0a1b");
        tls.client_addresses = &s->certificate_address;
        tls.client_address_n = ours;
        conn_memory_set_tls(s->conns[i], &tls);
    }
    return s->conns[i];
}

/* Takes what the server has said by now; a pending wake-up is delivered first. */
static void script_collect(struct script *s, size_t i)
{
    struct conn *c = script_conn(s, i);
    if (!conn_memory_is_closed(c))
        conn_memory_feed(c, STR(""));
    buf_add(&s->said[i], conn_memory_take(c));
}

/* Glob match where "..." stands for any run of bytes. */
static bool script_match(str pattern, str line)
{
    size_t cut = str_find(pattern, STR("..."));
    if (cut == pattern.n)
        return str_eq(pattern, line);
    if (!str_starts(line, str_sub(pattern, 0, cut)))
        return false;
    pattern = str_from(pattern, cut + 3);
    for (size_t i = cut; i <= line.n; i++) {
        if (script_match(pattern, str_from(line, i)))
            return true;
    }
    return false;
}

/* "before<...>after": what stands between is kept. */
static bool script_match_kept(struct script *s, str pattern, str line)
{
    const str mark = STR("<...>");
    size_t cut = str_find(pattern, mark);
    if (cut == pattern.n)
        return script_match(pattern, line);
    str before = str_sub(pattern, 0, cut), after = str_from(pattern, cut + mark.n);
    if (line.n < before.n + after.n || !str_starts(line, before) || !str_eq(str_from(line, line.n - after.n), after))
        return false;
    buf_reset(&s->kept);
    buf_add(&s->kept, str_sub(line, cut, line.n - after.n - cut));
    return true;
}

/* The next whole line said on connection I, without CRLF; false when there is none. */
static bool script_next_line(struct script *s, size_t i, str *ret, size_t *ret_n)
{
    str said = buf_str(&s->said[i]);
    size_t end = str_find(said, STR("\r\n"));
    if (end == said.n)
        return false;
    *ret = str_sub(said, 0, end);
    *ret_n = end + 2;
    return true;
}

static bool script_expect(struct script *s, size_t i, str pattern, bool skip)
{
    script_collect(s, i);
    str line;
    size_t n;
    while (script_next_line(s, i, &line, &n)) {
        if (script_match_kept(s, pattern, line)) {
            buf_consume(&s->said[i], n);
            return true;
        }
        if (!skip)
            return script_fail(s, "expected \"%.*s\", the server said \"%.*s\"", STR_ARG(pattern), STR_ARG(line));
        buf_consume(&s->said[i], n);
    }
    str rest = buf_str(&s->said[i]);
    return script_fail(s, "expected \"%.*s\", the server said nothing%s%.*s", STR_ARG(pattern), rest.n ? " but " : "",
                       STR_ARG(rest));
}

static bool script_expect_silence(struct script *s, size_t i)
{
    if (!s->conns[i])
        return true;
    script_collect(s, i);
    str rest = buf_str(&s->said[i]);
    if (rest.n)
        return script_fail(s, "the server said more than expected on connection %zu: \"%.*s\"", i + 1,
                           STR_ARG(str_sub(rest, 0, 400)));
    return true;
}

static bool script_decode(struct script *s, str text, struct buf *out)
{
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] != '\\') {
            buf_add_byte(out, text.p[i]);
            continue;
        }
        char c = ++i < text.n ? text.p[i] : '\0';
        if (c == 'x' && i + 2 < text.n && ascii_hex_value(text.p[i + 1]) >= 0 && ascii_hex_value(text.p[i + 2]) >= 0) {
            buf_add_byte(out, (char)(ascii_hex_value(text.p[i + 1]) * 16 + ascii_hex_value(text.p[i + 2])));
            i += 2;
        } else if (c == 'r' || c == 'n' || c == 't' || c == '0' || c == '\\') {
            buf_add_byte(out, c == 'r' ? '\r' : c == 'n' ? '\n' : c == 't' ? '\t' : c == '0' ? '\0' : '\\');
        } else {
            return script_fail(s, "unknown escape");
        }
    }
    return true;
}

static bool script_send(struct script *s, size_t i, str text, bool escaped, unsigned times)
{
    if (!script_expect_silence(s, i))
        return false;
    struct buf bytes = BUF_INIT(SCRIPT_BYTES_MAX);
    bool ok = true;
    if (escaped) {
        ok = script_decode(s, text, &bytes);
    } else {
        size_t cut = str_find(text, STR("<...>"));
        buf_add(&bytes, str_sub(text, 0, cut));
        if (cut < text.n)
            buf_add_all(&bytes, buf_str(&s->kept), str_from(text, cut + 5));
        buf_add(&bytes, STR("\r\n"));
    }
    struct conn *c = script_conn(s, i);
    for (unsigned k = 0; ok && k < times; k++) {
        if (conn_memory_is_closed(c))
            ok = script_fail(s, "the server has closed the connection before this was sent");
        else
            conn_memory_feed(c, buf_str(&bytes));
    }
    buf_done(&bytes);
    return ok;
}

/* Directives of one letter that have no text. */
static bool script_event(struct script *s, char what, size_t i)
{
    struct conn *c = script_conn(s, i);
    switch (what) {
    case 'E':
        conn_memory_feed_eof(c);
        return true;
    case 'T':
        conn_memory_run(c, CONN_TIMEOUT);
        return true;
    case 'Q':
        conn_memory_run(c, CONN_SHUTDOWN);
        return true;
    case 'X':
        conn_memory_run(c, CONN_ENDED);
        return true;
    case 'N':
        conn_memory_end(c);
        return true;
    case 'B':
        layer_memory_block_writes(conn_memory_layer(c), true);
        return true;
    case 'U':
        layer_memory_block_writes(conn_memory_layer(c), false);
        conn_memory_run(c, CONN_DRAINED);
        return true;
    case 'Z':
        if (!script_expect_silence(s, i))
            return false;
        return conn_memory_is_closed(c) ? true : script_fail(s, "the server has not closed the connection");
    default:
        return script_fail(s, "unknown directive");
    }
}

/* "connections-per-address 2", "message-rate-per-account 3/hour". */
static bool script_limit(struct script *s, str words)
{
    str name, rest = words;
    char text[LIMIT_TEXT_MAX];
    if (!str_split(&rest, ' ', &name))
        return false;
    for (unsigned kind = 0; kind < LIMIT_KINDS; kind++)
        for (unsigned scope = 0; scope < LIMIT_SCOPES; scope++) {
            struct limit *limit = &s->access.limits.limits[kind][scope];
            uint32_t max = 0;
            if (!str_eq(limit_name((enum limit_kind)kind, (enum limit_scope)scope, text), name))
                continue;
            if (kind != LIMIT_CONNECTIONS)
                return limit_rate_parse(rest, limit, NULL) == 0;
            *limit = (struct limit){ .max = str_to_u32(rest, 1000, &max) ? max : 1 };
            return true;
        }
    return false;
}

/* What the listener's configuration would say of the peer. */
static bool script_access(struct script *s, str words)
{
    str word, rest = words;
    uint32_t i;
    (void)str_split(&rest, ' ', &word);
    if (str_eq(word, STR("limit")))
        return script_limit(s, rest);
    if (str_eq(word, STR("xclient-from"))) {
        s->access.overrides = (struct ip_networks){ &s->overrides, 1 };
        return ip_network_parse(rest, &s->overrides, NULL) == 0;
    }
    if (str_eq(word, STR("networks"))) {
        s->access.served = (struct ip_networks){ &s->served, 1 };
        return ip_network_parse(rest, &s->served, NULL) == 0;
    }
    if (!str_eq(word, STR("peer")) || !str_split(&rest, ' ', &word) || !str_to_u32(word, SCRIPT_CONNS, &i) || i == 0)
        return false;
    s->peers[i - 1] = rest;
    return true;
}

static bool script_option(struct script *s, str words)
{
    if (str_eq(words, STR("tls")))
        s->tls = true;
    else if (str_eq(words, STR("starttls")))
        s->starttls = true;
    else if (str_eq(words, STR("whole")))
        s->whole = true;
    else if (str_starts(words, STR("certificate ")) && words.n - 12 < sizeof s->certificate) {
        memcpy(s->certificate, words.p + 12, words.n - 12);
        s->certificate_address = str_from_z(s->certificate);
    } else if (script_access(s, words)) {
        return true;
    } else if (!s->setup->option || !s->setup->option(s->setup->user, words))
        return script_fail(s, "unknown option \"%.*s\"", STR_ARG(words));
    return true;
}

bool script_auth(str names, struct sasl_settings *ret)
{
    str name;
    sasl_set set = 0;
    while (str_split(&names, ' ', &name)) {
        const struct sasl_mechanism *m = sasl_mechanism_find(name);
        if (!m)
            return false;
        set |= sasl_set_of(m);
    }
    ret->taken = ret->listed = set;
    return true;
}

static bool script_command(struct script *s, str words)
{
    struct buf why = BUF_INIT(4096);
    bool ok = s->setup->command && s->setup->command(s->setup->user, words, &why);
    if (!ok)
        (void)script_fail(s, "\"%.*s\": %.*s", STR_ARG(words), STR_ARG(buf_str(&why)));
    buf_done(&why);
    return ok;
}

/* directive = letter [connection] ["~" / "*" [times]] ":" [" " text] */
static bool script_line(struct script *s, str line)
{
    if (!line.n || line.p[0] == '#')
        return true;
    if (line.p[0] == '@')
        return script_option(s, str_trim(str_from(line, 1)));
    if (line.p[0] == '!')
        return script_command(s, str_trim(str_from(line, 1)));
    size_t colon = str_find_byte(line, ':', 0);
    if (colon == line.n)
        return script_fail(s, "no directive");
    char what = line.p[0];
    str mode = str_sub(line, 1, colon - 1), text = str_from(line, colon + 1);
    if (text.n && text.p[0] == ' ')
        text = str_from(text, 1);
    size_t i = 0;
    if (mode.n && mode.p[0] >= '1' && mode.p[0] < '1' + SCRIPT_CONNS) {
        i = (size_t)(mode.p[0] - '1');
        mode = str_from(mode, 1);
    }
    bool escaped = str_eq(mode, STR("~")), star = str_starts(mode, STR("*"));
    uint32_t times = 1;
    if (mode.n && !escaped && !(star && (mode.n == 1 || str_to_u32(str_from(mode, 1), 1000000, &times))))
        return script_fail(s, "unknown directive");
    if (what == 'C')
        return script_send(s, i, text, escaped, times);
    if (what == 'S')
        return script_expect(s, i, text, star);
    return script_event(s, what, i);
}

static bool script_read(const char *path, struct buf *out)
{
    FILE *f = fopen(path, "re");
    if (!f)
        return false;
    char block[4096];
    size_t n;
    while ((n = fread(block, 1, sizeof block, f)) > 0)
        buf_add(out, (str){ block, n });
    bool ok = !ferror(f) && !buf_error(out);
    (void)fclose(f);
    return ok;
}

bool script_run(const char *path, const struct script_setup *setup, struct buf *report)
{
    struct script s = { .setup = setup, .path = path, .starttls = setup->starttls, .tls = setup->tls, .report = report };
    buf_init(&s.kept, 1024);
    s.access = (struct access){ .limited = true, .limits = { .address_bits_6 = 64, .network_bits_4 = 24, .network_bits_6 = 48 } };
    if (limits_new(-1, &s.limits, NULL))
        return script_fail(&s, "no memory for the limits");
    for (size_t i = 0; i < SCRIPT_CONNS; i++)
        buf_init(&s.said[i], SCRIPT_OUTPUT_MAX);
    struct buf file = BUF_INIT(SCRIPT_BYTES_MAX);
    bool ok = script_read(path, &file) || script_fail(&s, "cannot read the file");
    str rest = buf_str(&file), line;
    while (ok && str_split(&rest, '\n', &line)) {
        s.line++;
        ok = script_line(&s, line);
    }
    for (size_t i = 0; ok && i < SCRIPT_CONNS; i++)
        ok = script_expect_silence(&s, i);
    for (size_t i = 0; i < SCRIPT_CONNS; i++) {
        if (s.conns[i])
            conn_memory_free(s.conns[i]);
        buf_done(&s.said[i]);
    }
    buf_done(&s.kept);
    limits_free(s.limits);
    buf_done(&file);
    return ok;
}

static int script_is_one(const struct dirent *d)
{
    return str_ends(str_from_z(d->d_name), STR(".txt"));
}

bool script_each(const char *dir, bool (*fn)(void *ctx, const char *path), void *ctx, size_t *ret_n)
{
    struct dirent **names = NULL;
    int n = scandir(dir, &names, script_is_one, alphasort);
    bool ok = n > 0;
    for (int i = 0; i < n; i++) {
        char path[1024];
        (void)snprintf(path, sizeof path, "%s/%s", dir, names[i]->d_name);
        ok = ok && fn(ctx, path);
        free(names[i]);
    }
    free(names);
    *ret_n = n > 0 ? (size_t)n : 0;
    return ok;
}
