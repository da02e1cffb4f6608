/* err: see err.h. */
#include "base/err.h"

#include <errno.h>
#include <stdarg.h>

#include "base/show.h"

int error_set_at(struct error *e, int code, const char *file, int line, const char *fmt, ...)
{
    if (!e)
        return code;
    e->code = code;
    e->file = file;
    e->line = line;
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(e->text, sizeof e->text, fmt, ap);
    va_end(ap);
    show_replace(e->text);
    return code;
}

int error_prefix(struct error *e, const char *fmt, ...)
{
    if (!e)
        return ERR_INTERNAL;
    char old[sizeof e->text];
    memcpy(old, e->text, sizeof old);
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(e->text, sizeof e->text, fmt, ap);
    va_end(ap);
    if (n >= 0 && (size_t)n < sizeof e->text)
        (void)snprintf(e->text + n, sizeof e->text - (size_t)n, ": %.*s", (int)(sizeof e->text - (size_t)n), old);
    show_replace(e->text);
    return e->code;
}

static const struct {
    const char *name;
    enum err_class class;
} codes[] = {
    [-OK] = { "ok", ERR_CLASS_NONE },
    [-ERR_AGAIN] = { "again", ERR_CLASS_TEMPORARY },
    [-ERR_EOF] = { "eof", ERR_CLASS_CONNECTION },
    [-ERR_IO] = { "io", ERR_CLASS_TEMPORARY },
    [-ERR_TIMEOUT] = { "timeout", ERR_CLASS_TEMPORARY },
    [-ERR_SYNTAX] = { "syntax", ERR_CLASS_SYNTAX },
    [-ERR_LIMIT] = { "limit", ERR_CLASS_REFUSED },
    [-ERR_NOTFOUND] = { "not-found", ERR_CLASS_REFUSED },
    [-ERR_EXISTS] = { "exists", ERR_CLASS_REFUSED },
    [-ERR_REFUSED] = { "refused", ERR_CLASS_REFUSED },
    [-ERR_CONFLICT] = { "conflict", ERR_CLASS_TEMPORARY },
    [-ERR_UNKNOWN] = { "unknown-outcome", ERR_CLASS_TEMPORARY },
    [-ERR_FENCED] = { "fenced", ERR_CLASS_TEMPORARY },
    [-ERR_UNAVAILABLE] = { "unavailable", ERR_CLASS_TEMPORARY },
    [-ERR_FULL] = { "full", ERR_CLASS_TEMPORARY },
    [-ERR_CORRUPT] = { "corrupt", ERR_CLASS_INTERNAL },
    [-ERR_UNSUPPORTED] = { "unsupported", ERR_CLASS_REFUSED },
    [-ERR_INTERNAL] = { "internal", ERR_CLASS_INTERNAL },
};

const char *err_name(int code)
{
    if (code > 0 || code <= ERR_LAST_)
        return "invalid";
    return codes[-code].name;
}

enum err_class err_class(int code)
{
    if (code > 0 || code <= ERR_LAST_)
        return ERR_CLASS_INTERNAL;
    return codes[-code].class;
}

int err_from_errno(int errno_value)
{
    switch (errno_value) {
    case 0:
        return ERR_INTERNAL;
    case ENOSPC:
    case EDQUOT:
        return ERR_FULL;
    case ENOENT:
        return ERR_NOTFOUND;
    case EEXIST:
        return ERR_EXISTS;
    case EACCES:
    case EPERM:
        return ERR_REFUSED;
    case ETIMEDOUT:
        return ERR_TIMEOUT;
    case EAGAIN:
        return ERR_AGAIN;
    case EINVAL:
        return ERR_INTERNAL;
    default:
        return ERR_IO;
    }
}

void panic_at(const char *file, int line, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    (void)fprintf(stderr, "panic at %s:%d: ", file, line);
    (void)vfprintf(stderr, fmt, ap);
    (void)fputc('\n', stderr);
    va_end(ap);
    abort();
}
