/* log: see log.h. */
#include "base/log.h"

#include <errno.h>
#include <stdatomic.h>
#include <unistd.h>

#include "base/clock.h"

static const char *log_role = "main";
static _Atomic int log_least = LOG_INFO;
static _Atomic int log_fd = 2;
static _Atomic uint64_t log_lost; /* lines that were not taken, and not told of yet */
static const char *const level_names[] = { "debug", "info", "warning", "error" };

void log_set_role(const char *role)
{
    log_role = role;
}

void log_set_level(enum log_level level)
{
    atomic_store(&log_least, (int)level);
}

void log_set_fd(int fd)
{
    atomic_store(&log_fd, fd);
}

bool log_level_from_name(str name, enum log_level *ret)
{
    for (size_t i = 0; i < sizeof level_names / sizeof level_names[0]; i++)
        if (str_eq(name, str_from_z(level_names[i]))) {
            *ret = (enum log_level)i;
            return true;
        }
    return false;
}

static bool needs_quotes(str s)
{
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)s.p[i] <= 32 || (unsigned char)s.p[i] >= 127 || s.p[i] == '"' || s.p[i] == '\\' || s.p[i] == '=')
            return true;
    return s.n == 0;
}

static void add_field(struct buf *b, const struct log_field *f)
{
    buf_add_byte(b, ' ');
    buf_add(b, str_from_z(f->key));
    buf_add_byte(b, '=');
    if (f->is_number) {
        buf_addf(b, "%lld", (long long)f->number);
    } else if (needs_quotes(f->text)) {
        buf_add_byte(b, '"');
        buf_add_escaped(b, str_sub(f->text, 0, 1024));
        buf_add_byte(b, '"');
    } else {
        buf_add(b, str_sub(f->text, 0, 1024));
    }
}

void log_format(struct buf *b, enum log_level level, const char *event, const struct log_field *fields)
{
    buf_add(b, STR("time="));
    date_add_rfc3339(b, clock_real_ms());
    buf_addf(b, " level=%s role=%s event=%s", level_names[level], log_role, event);
    for (const struct log_field *f = fields; f->key; f++)
        add_field(b, f);
    b->error = 0;
    if (b->n == b->max)
        b->n--;
    buf_add_byte(b, '\n');
}

static bool write_line(enum log_level level, const char *event, const struct log_field *fields)
{
    struct buf b = BUF_INIT(LOG_LINE_MAX);
    log_format(&b, level, event, fields);
    ssize_t wrote;
    do
        wrote = write(atomic_load(&log_fd), b.p, b.n);
    while (wrote < 0 && errno == EINTR);
    bool ok = wrote == (ssize_t)b.n;
    buf_done(&b);
    return ok;
}

void log_write(enum log_level level, const char *event, const struct log_field *fields)
{
    if ((int)level < atomic_load(&log_least))
        return;
    uint64_t lost = atomic_load(&log_lost) ? atomic_exchange(&log_lost, 0) : 0;
    const struct log_field told[] = { LOG_NUM("lines", lost), LOG_Z("text", "the log took nothing"), { .key = NULL } };
    if (lost && !write_line(LOG_WARNING, "log-lost", told))
        atomic_fetch_add(&log_lost, lost);
    if (!write_line(level, event, fields))
        atomic_fetch_add(&log_lost, 1);
}
