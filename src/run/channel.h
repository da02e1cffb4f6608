/* channel: requests from one role to another over socketpairs.
 *
 * A lane is a SOCK_SEQPACKET socketpair that carries one request at a time; a channel is a set of lanes to one role. A caller
 * takes a free lane (or opens one: the new socket travels over the channel's root lane), sends a frame, blocks until the
 * reply or its deadline. A lane whose request timed out is closed, so that a late reply can never be taken for another's. The
 * serving side parks each lane in its pool like any connection; handlers run on workers and may block, but not on who asks: an
 * answer is taken by the lane's socket at once, where there is always room for one, or the lane is closed. A peer has at most as many lanes
 * as hold a part of the workers (struct server_settings).
 *
 * A frame: type u16, status i16 (replies: enum err), length u32, payload; up to 4 descriptors beside it. The receiver validates
 * everything: type in the table, payload within that type's limit, exactly the expected descriptors, memfds sealed. Payload of at
 * most 128 KiB; larger bodies travel as sealed memfds, those over 1 MiB as spool files (role/ says which).
 *
 * The more privileged side never trusts the less privileged one: a malformed frame closes the lane and is logged. */
#ifndef VALISE_RUN_CHANNEL_H
#define VALISE_RUN_CHANNEL_H

#include "base/arena.h"
#include "base/pack.h"

enum { CHANNEL_PAYLOAD_MAX = 128 * 1024, CHANNEL_FDS_MAX = 4, CHANNEL_LANES_MAX = 256 };

/* The type of the frame that opens a lane: sent on the root lane only, without payload, with the lane's far end
 * (SOCK_SEQPACKET) as its one descriptor; it has no reply. When the peer has as many lanes as it may, a frame of this type with
 * status ERR_AGAIN is all that comes on the new lane, from which nothing was read. No handler may have this type. */
enum { CHANNEL_FRAME_LANE = 0 };

struct frame {
    uint16_t type;
    int16_t status;           /* replies: 0 or enum err */
    str payload;              /* a view */
    int fds[CHANNEL_FDS_MAX]; /* descriptors beside the payload */
    size_t fd_n;
};

/* --- the asking side --- */

struct channel;
/* A channel over the root lane FD (owned; -1 while the other role does not run). NAME is the role asked, for logs ("core"). */
struct channel *channel_open(int fd, const char *name);
/* Closes all lanes; no call may be running. NULL accepted. */
void channel_free(struct channel *c);
/* The other role was started anew: FD (owned, or -1 for "gone") is the root lane to it. Calls that wait on lanes to the former
 * process fail with ERR_UNAVAILABLE at once; calls from now on use the new one. Thread-safe, does not block. */
void channel_replace(struct channel *c, int fd);
/* At most MAX lanes (1 to CHANNEL_LANES_MAX, which is what it begins with) are open at a time: fewer than the serving side allows, which
 * learns of closed ones a little later. Callers beyond wait for one. Before the first call. */
void channel_set_lanes(struct channel *c, unsigned max);
/* Sends REQUEST (its fds stay the caller's) and waits up to DEADLINE_MS (milliseconds from now) for the reply, whose payload
 * is allocated in A and whose fds become the caller's. Returns the reply's status when it is negative (its text in E), or
 * ERR_TIMEOUT, ERR_UNAVAILABLE when the other role is gone or has no lane free, ERR_CORRUPT for a bad reply, ERR_LIMIT when A
 * is too small. Blocks. Thread-safe. */
int channel_call(struct channel *c, const struct frame *request, struct arena *a, int64_t deadline_ms, struct frame *ret_reply,
                 struct error *e) MUST_USE;

/* --- the serving side --- */

struct channel_request; /* one request being handled */

struct channel_handler {
    uint16_t type;
    const char *name;         /* "recipient": in logs */
    uint32_t payload_max;     /* bytes; at most CHANNEL_PAYLOAD_MAX */
    uint8_t fds_min, fds_max; /* descriptors that come with it */
    /* Handles REQUEST; its payload and fds live until the handler returns (the caller closes the fds: dup what is kept). Appends
     * the reply's payload to REPLY (bounded) and may set REPLY_FDS (the caller closes them after sending). Returns the
     * status; for a negative one E's text becomes the payload. */
    int (*handle)(void *ctx, const struct frame *request, struct arena *a, struct buf *reply, int reply_fds[CHANNEL_FDS_MAX],
                  size_t *ret_fd_n, struct error *e);
};

/* What one kind of peer may ask: its table is the right. Ends with .handle = NULL. */
struct channel_service {
    const char *peer; /* the asking role: in logs */
    const struct channel_handler *handlers;
    void *ctx;
    void (*gone)(void *ctx); /* its last lane has ended, no request of it runs and none comes; NULL: nothing to do */
};

/* Checks and answers one received frame: the part of the server that is fuzzed. Gives the reply frame (payload in REPLY, empty
 * before; its fds are the caller's to close after sending). REQUEST's fds stay the caller's in every case. ERR_CORRUPT when
 * the lane must be closed (logged). */
int channel_serve_frame(const struct channel_service *s, const struct frame *request, struct arena *a, struct buf *reply,
                        struct frame *ret_reply) MUST_USE;

/* Encodes and decodes a frame's header: 8 bytes. */
void frame_encode_header(const struct frame *f, char out[8]);
/* ERR_CORRUPT unless BYTES is one whole frame within the limits; *RET points into BYTES, fds untouched. */
int frame_decode(str bytes, struct frame *ret) MUST_USE;

/* Closes F's descriptors and sets fd_n to 0. */
void frame_close_fds(struct frame *f);

/* Blocking send and receive of one frame on FD (SOCK_SEQPACKET, blocking or not) within DEADLINE_MS from now (0: only what is
 * possible at once); for both sides and for the supervisor's pipes. Received payload in A, fds (close-on-exec) owned by the
 * caller. 0, ERR_TIMEOUT, ERR_EOF, ERR_IO, ERR_CORRUPT, ERR_LIMIT; after a failure no descriptor is left over. */
int frame_send(int fd, const struct frame *f, int64_t deadline_ms) MUST_USE;
int frame_receive(int fd, struct arena *a, int64_t deadline_ms, struct frame *ret) MUST_USE;

/* A sealed memfd with BYTES in it; the descriptor or a negative enum err. */
int channel_memfd(const char *name, str bytes) MUST_USE;
/* Checks that FD is a memfd sealed against writing, shrinking and growing (or, with SPOOL, an unlinked regular file opened by
 * us), of at most MAX bytes, and maps it read-only; unmap with channel_unmap. ERR_CORRUPT when it is not what it must be,
 * ERR_LIMIT when larger. A spool file cannot be sealed: that its writer cannot shrink it under our eyes is seen to by its
 * sandbox, which has no ftruncate. */
int channel_map(int fd, bool spool, uint64_t max, str *ret) MUST_USE;
void channel_unmap(str bytes);

#endif
