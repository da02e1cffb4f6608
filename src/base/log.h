/* log: one line per event, key=value, to standard error (or a descriptor).
 *
 *   time=2026-11-23T12:00:00.000Z level=info role=mx event=session-open session=0c8d... peer=127.0.0.1:4711
 *
 * Values with spaces, quotes, control bytes or bad UTF-8 are quoted and escaped, so a peer cannot forge a line. Each event is
 * written by one write(2), so lines of several processes do not mix. Never log secrets or message bodies. */
#ifndef VALISE_BASE_LOG_H
#define VALISE_BASE_LOG_H

#include "base/err.h"

struct buf;

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARNING, LOG_ERROR };

struct log_field {
    const char *key; /* NULL ends the list */
    str text;
    int64_t number;
    bool is_number;
};

#define LOG_STR(k, s)                                                                                                            \
    {                                                                                                                            \
        .key = (k), .text = (s)                                                                                                  \
    }
#define LOG_Z(k, z)                                                                                                              \
    {                                                                                                                            \
        .key = (k), .text = str_from_z(z)                                                                                        \
    }
#define LOG_NUM(k, v)                                                                                                            \
    {                                                                                                                            \
        .key = (k), .number = (int64_t)(v), .is_number = true                                                                    \
    }

/* log_info("session-open", LOG_STR("session", id), LOG_NUM("port", 25)); an event name is lower case with dashes. */
#define log_event(level, event, ...)                                                                                             \
    log_write((level), (event), (const struct log_field[]){ __VA_ARGS__ __VA_OPT__(, ){ .key = NULL } })
#define log_debug(event, ...)   log_event(LOG_DEBUG, event __VA_OPT__(, ) __VA_ARGS__)
#define log_info(event, ...)    log_event(LOG_INFO, event __VA_OPT__(, ) __VA_ARGS__)
#define log_warning(event, ...) log_event(LOG_WARNING, event __VA_OPT__(, ) __VA_ARGS__)
#define log_error(event, ...)   log_event(LOG_ERROR, event __VA_OPT__(, ) __VA_ARGS__)

enum { LOG_LINE_MAX = 4096 /* bytes, the end of the line included; a pipe takes as much at once or not at all */ };

/* Thread-safe; does not fail, and waits only where the descriptor does: a line that is not taken is lost, and the next one that is comes after
 * "event=log-lost lines=N". A line is cut at LOG_LINE_MAX. */
void log_write(enum log_level level, const char *event, const struct log_field *fields);
/* The same, whatever the level, appended to B, which has room for LOG_LINE_MAX. */
void log_format(struct buf *b, enum log_level level, const char *event, const struct log_field *fields);
/* The role= of every line; a static string. Call before threads start. */
void log_set_role(const char *role);
/* Lines below LEVEL are not written; LOG_INFO at start. */
void log_set_level(enum log_level level);
/* Where lines go; 2 at start. The descriptor stays the caller's. */
void log_set_fd(int fd);
/* "debug", "info", "warning", "error"; false when NAME is none of them. */
bool log_level_from_name(str name, enum log_level *ret);

#endif
