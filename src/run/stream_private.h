/* stream_private: what the runtime asks of a stream and sessions do not. */
#ifndef VALISE_RUN_STREAM_PRIVATE_H
#define VALISE_RUN_STREAM_PRIVATE_H

#include "run/stream.h"

/* Drops all queued output (closing sources) and lets no more in: the connection is given up. */
void stream_abort(struct stream *s);
/* Whether the connection broke in a flush or was given up. */
bool stream_is_broken(const struct stream *s);
/* Whether no more input can come: the end was seen or the connection is broken. */
bool stream_is_ended(const struct stream *s);
/* The present layer; the stream's. */
struct layer *stream_layer(const struct stream *s);

/* The layer over a connected, non-blocking socket FD, which stays the caller's. */
struct layer *layer_plain_new(int fd);

/* Whether the memory layer has unread input, or an end that was not reported yet. */
bool layer_memory_is_readable(const struct layer *l);
bool layer_memory_is_blocked(const struct layer *l);

#endif
