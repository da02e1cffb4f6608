/* metric: see metric.h. */
#include "base/metric.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>

#include "base/pack.h"

static const struct {
    const char *name, *help;
    bool histogram;
} families[METRIC_FAMILIES] = {
    [METRIC_CONNECTIONS] = { "valise_connections_accepted_total", "Connections accepted.", false },
    [METRIC_REFUSED] = { "valise_connections_refused_total", "Connections closed at once because of a limit.", false },
    [METRIC_BYTES_IN] = { "valise_received_bytes_total", "Bytes that clients sent, without TLS's own.", false },
    [METRIC_BYTES_OUT] = { "valise_sent_bytes_total", "Bytes sent to clients, without TLS's own.", false },
    [METRIC_TURNS] = { "valise_turn_seconds",
                       "How long a worker was busy with one turn of a session: a command, or a part of a long answer.", true },
    [METRIC_TLS] = { "valise_tls_handshakes_total", "TLS handshakes that were completed.", false },
    [METRIC_TLS_FAILED] = { "valise_tls_failures_total", "TLS handshakes that failed.", false },
    [METRIC_LOGINS] = { "valise_logins_total", "Attempts to log in.", false },
    [METRIC_LOGIN_TIME] = { "valise_login_seconds", "How long a login's check took.", true },
    [METRIC_DELIVERIES] = { "valise_deliveries_total", "Messages for mailboxes here, one for each recipient.", false },
    [METRIC_DELIVERY_TIME] = { "valise_delivery_seconds", "How long a message took from the last byte until it was durable.",
                               true },
    [METRIC_SIGNATURES] = { "valise_signatures_total", "Signatures for TLS handshakes that keeper was asked for.", false },
};

/* Upper bounds of a histogram's buckets; the last one has none. */
static const int64_t bounds_us[] = { 100, 500, 2000, 10000, 50000, 250000, 1000000, 5000000, 30000000 };
static const char *const bounds_text[] = { "0.0001", "0.0005", "0.002", "0.01", "0.05", "0.25", "1", "5", "30" };
enum { BOUNDS = sizeof bounds_us / sizeof bounds_us[0], BUCKETS = BOUNDS + 1 };

struct metric {
    struct metric *next;
    enum metric_family family;
    _Atomic uint64_t value; /* a histogram's sum in microseconds */
    _Atomic uint64_t buckets[BUCKETS];
    char labels[METRIC_LABELS_MAX];
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct metric *series;
static size_t series_n;

void metric_render_label(struct buf *out, str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] == '\n')
            buf_add(out, STR("\\n"));
        else if (s.p[i] == '\\' || s.p[i] == '"')
            buf_add_all(out, STR("\\"), str_sub(s, i, 1));
        else
            buf_add_byte(out, s.p[i]);
}

static struct metric *find(enum metric_family family, str labels)
{
    for (struct metric *m = series; m; m = m->next)
        if (m->family == family && str_eq(str_from_z(m->labels), labels))
            return m;
    return NULL;
}

static struct metric *find_or_make(enum metric_family family, str labels)
{
    struct metric *m = find(family, labels);
    if (m)
        return m;
    m = calloc(1, sizeof *m);
    if (!m)
        panic("out of memory for a metric");
    m->family = family;
    memcpy(m->labels, labels.p, labels.n);
    m->next = series;
    series = m;
    series_n++;
    return m;
}

struct metric *metric_get(enum metric_family family, ...)
{
    struct buf b = BUF_INIT(METRIC_LABELS_MAX - 1);
    const char *name;
    va_list ap;
    va_start(ap, family);
    while ((name = va_arg(ap, const char *))) {
        const char *value = va_arg(ap, const char *);
        buf_addf(&b, "%s%s=\"", b.n ? "," : "", name);
        metric_render_label(&b, str_from_z(value));
        buf_add_byte(&b, '"');
    }
    va_end(ap);
    pthread_mutex_lock(&lock);
    bool fits = buf_error(&b) == 0 && b.n && (series_n < METRIC_SERIES_MAX || find(family, buf_str(&b)));
    struct metric *m = find_or_make(family, fits ? buf_str(&b) : STR(""));
    pthread_mutex_unlock(&lock);
    buf_done(&b);
    return m;
}

void metric_add(struct metric *m, uint64_t n)
{
    atomic_fetch_add_explicit(&m->value, n, memory_order_relaxed);
}

void metric_observe(struct metric *m, int64_t us)
{
    size_t i = 0;
    while (i < BOUNDS && us > bounds_us[i])
        i++;
    atomic_fetch_add_explicit(&m->buckets[i], 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&m->value, us > 0 ? (uint64_t)us : 0, memory_order_relaxed);
}

/* --- from process to process --- */

void metric_pack(struct buf *b)
{
    pthread_mutex_lock(&lock);
    for (struct metric *m = series; m; m = m->next) {
        pack_u8(b, (uint8_t)m->family);
        pack_str(b, str_from_z(m->labels));
        pack_varint(b, atomic_load_explicit(&m->value, memory_order_relaxed));
        for (size_t i = 0; families[m->family].histogram && i < BUCKETS; i++)
            pack_varint(b, atomic_load_explicit(&m->buckets[i], memory_order_relaxed));
    }
    pthread_mutex_unlock(&lock);
}

struct unpacked {
    unsigned family;
    str labels;
    uint64_t value, buckets[BUCKETS];
};

static int unpack_one(struct unpack *u, struct unpacked *ret)
{
    ret->family = unpack_u8(u);
    ret->labels = unpack_str(u, METRIC_LABELS_MAX);
    ret->value = unpack_varint(u);
    if (ret->family >= METRIC_FAMILIES)
        return ERR_CORRUPT;
    for (size_t i = 0; families[ret->family].histogram && i < BUCKETS; i++)
        ret->buckets[i] = unpack_varint(u);
    for (size_t i = 0; i < ret->labels.n; i++)
        if ((unsigned char)ret->labels.p[i] < ' ')
            return ERR_CORRUPT;
    return u->error ? ERR_CORRUPT : 0;
}

/* --- text --- */

void metric_render_head(struct buf *out, const char *name, const char *type, const char *help)
{
    buf_addf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void render_name(struct buf *out, const char *name, const char *end, str process, str labels)
{
    buf_addf(out, "%s%s{process=\"", name, end);
    metric_render_label(out, process);
    buf_add_byte(out, '"');
    if (labels.n)
        buf_add_all(out, STR(","), labels);
}

static void render_one(struct buf *out, str process, const struct unpacked *m)
{
    const char *name = families[m->family].name;
    uint64_t count = 0;
    if (!families[m->family].histogram) {
        render_name(out, name, "", process, m->labels);
        buf_addf(out, "} %llu\n", (unsigned long long)m->value);
        return;
    }
    for (size_t i = 0; i < BUCKETS; i++) {
        count += m->buckets[i];
        render_name(out, name, "_bucket", process, m->labels);
        buf_addf(out, ",le=\"%s\"} %llu\n", i < BOUNDS ? bounds_text[i] : "+Inf", (unsigned long long)count);
    }
    render_name(out, name, "_sum", process, m->labels);
    buf_addf(out, "} %llu.%06u\n", (unsigned long long)(m->value / 1000000), (unsigned)(m->value % 1000000));
    render_name(out, name, "_count", process, m->labels);
    buf_addf(out, "} %llu\n", (unsigned long long)count);
}

static int render_family(unsigned family, const struct metric_pack *list, size_t n, struct buf *out)
{
    bool any = false;
    for (size_t i = 0; i < n; i++) {
        struct unpack u = unpack_init(list[i].packed);
        while (unpack_rest(&u).n) {
            struct unpacked m;
            if (unpack_one(&u, &m))
                return ERR_CORRUPT;
            if (m.family != family)
                continue;
            if (!any)
                metric_render_head(out, families[family].name, families[family].histogram ? "histogram" : "counter",
                                   families[family].help);
            any = true;
            render_one(out, list[i].process, &m);
        }
    }
    return 0;
}

int metric_render(const struct metric_pack *list, size_t n, struct buf *out)
{
    int err = 0;
    for (unsigned f = 0; f < METRIC_FAMILIES && err == 0; f++)
        err = render_family(f, list, n, out);
    return err ? err : buf_error(out);
}
