/* stream: a buffered, non-blocking byte stream in both directions: plain socket, TLS, or memory for tests.
 *
 * No call here ever blocks on the peer. Input is framed incrementally: when a unit is not complete the framing call returns
 * ERR_AGAIN and the session parks until more arrives. Output is appended to a queue; the runtime flushes it when the session is
 * about to wait, in as few writes as possible. A large body is queued as a source that is pulled only as fast as the peer reads,
 * so memory stays bounded.
 *
 * A stream belongs to the thread that runs its connection; nothing here is thread-safe. */
#ifndef VALISE_RUN_STREAM_H
#define VALISE_RUN_STREAM_H

#include "base/err.h"

struct stream;

/* A body that is pulled while the peer reads: a blob range, a file. */
struct source {
    /* Puts up to N bytes at P. Returns bytes put (> 0), 0 at the end, or a negative enum err. May block on the store. */
    int64_t (*pull)(struct source *, char *p, size_t n);
    /* Frees the source; called once, also when the connection dies. */
    void (*close)(struct source *);
    /* NULL, or calls TAKE once with the next bytes, up to N (> 0), where they lie: they live until TAKE returns, which calls nothing of the source. Returns
     * their number, 0 at the end (TAKE was not called), or a negative enum err. May block on the store. */
    int64_t (*lend)(struct source *, size_t n, void (*take)(void *ctx, str bytes), void *ctx);
};

/* --- input --- */

/* Reads what the peer has sent by now into the buffer. 0 when at least one byte was added, ERR_AGAIN when there is none
 * yet, ERR_EOF after an orderly end (TLS: after close_notify; a cut without it is ERR_IO), ERR_IO, ERR_LIMIT when the buffer
 * is full (64 KiB unread). */
int stream_fill(struct stream *s) MUST_USE;
/* What is buffered and unread; valid until the next call on the stream. */
str stream_peek(const struct stream *s);
/* Drops the first N bytes of what is buffered; N must not exceed it. */
void stream_consume(struct stream *s, size_t n);
/* One CRLF-terminated line of at most MAX bytes (CRLF not counted) in *RET without its CRLF, consumed; valid until the next
 * call on the stream. Fills by itself when nothing complete is buffered. MAX is cut to 64 KiB - 2. A line always ends at its
 * first LF. ERR_AGAIN when no complete line has arrived, ERR_LIMIT when the line is longer than MAX (consumed up to its LF over
 * as many calls as needed; ERR_LIMIT comes once, at its end), else ERR_SYNTAX for a bare CR, bare LF or NUL in the line (which is
 * consumed up to its LF), or as stream_fill. */
int stream_line(struct stream *s, size_t max, str *ret) MUST_USE;
/* Whether input is buffered here or in the TLS layer that nobody has looked at: then the connection must not park for input. An
 * incomplete line or literal for which the last call answered ERR_AGAIN does not count. */
bool stream_has_input(const struct stream *s);

/* --- output --- */

/* Append to the output queue. They do not fail: a broken connection shows at the flush. */
void stream_write(struct stream *s, str bytes);
void stream_printf(struct stream *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Queues N bytes to be pulled from SRC, which the stream now owns. A source that ends early or fails breaks the connection:
 * its length has been promised to the peer already. */
void stream_write_source(struct stream *s, struct source *src, uint64_t n);
/* Sends what can be sent without waiting. 0 when the queue is empty, ERR_AGAIN when the peer does not read fast enough,
 * ERR_IO when the connection is broken. */
int stream_flush(struct stream *s) MUST_USE;
/* Bytes queued (sources count with what is left of them, cut at SIZE_MAX). */
size_t stream_queued(const struct stream *s);
/* Whether a producer of much output should stop and return CONN_DRAIN: more than 64 KiB are queued, or sources of more than 1 MiB or 32 of them. */
bool stream_is_full(const struct stream *s);

/* Bytes received and sent so far, TLS overhead not counted. */
uint64_t stream_bytes_in(const struct stream *s);
uint64_t stream_bytes_out(const struct stream *s);

/* --- layers --- */

/* What lies between the buffers and the wire. Plain and TLS layers are run/plain.c and run/tls.c. */
struct layer {
    const struct layer_ops *ops;
    bool more; /* what is written is followed at once by more or by the end: the kernel may wait and send both together */
};
struct layer_ops {
    /* Bytes read (> 0), ERR_AGAIN, ERR_EOF, ERR_IO. */
    int64_t (*read)(struct layer *, char *p, size_t n);
    /* Bytes written (> 0), ERR_AGAIN, ERR_IO. */
    int64_t (*write)(struct layer *, const char *p, size_t n);
    /* NULL, or the same for FIRST and SECOND at once, neither empty: how many bytes of the two were written. Fewer than all: the peer takes no more now. */
    int64_t (*write_both)(struct layer *, str first, str second);
    /* Decrypted bytes waiting inside the layer. */
    bool (*pending)(const struct layer *);
    /* Gives back buffers that an idle connection does not need. */
    void (*idle)(struct layer *);
    void (*close)(struct layer *);
};

/* A stream over LAYER, which it owns. */
struct stream *stream_new(struct layer *layer);
void stream_free(struct stream *s);
/* Puts LAYER (owned) in place of the present one, which is returned to the caller, not closed. Buffers must be empty. */
struct layer *stream_swap_layer(struct stream *s, struct layer *layer);
/* Frees empty buffers and lets the layer do the same; before parking. */
void stream_idle(struct stream *s);

/* The memory layer for tests: what the peer sends is fed, what it receives is taken. READ_STEP and WRITE_STEP bound each
 * read and write (1-byte reads, 512-byte send buffers; 0 = no bound), and with a step one ERR_AGAIN follows each piece, as from a
 * slow network. */
struct layer *layer_memory_new(size_t read_step, size_t write_step);
void layer_memory_feed(struct layer *l, str bytes);
void layer_memory_feed_eof(struct layer *l);
/* Bytes written so far and not taken; consumed. Valid until the next call. */
str layer_memory_take(struct layer *l);
/* While true every write answers ERR_AGAIN: a peer that does not read. */
void layer_memory_block_writes(struct layer *l, bool block);

#endif
