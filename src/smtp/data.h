/* data: the message after DATA, taken out of its framing (RFC 5321 sections 4.1.1.4 and 4.5.2), or after BDAT (RFC 3030),
 * where the length is the framing and a dot means nothing.
 *
 * Only CR LF "." CR LF ends a message, and only CR LF ends a line. A bare LF, a bare CR or a NUL is never an end of anything:
 * the message that has one is read to its real end and refused there, so that no two servers can differ about where it ended
 * (SMTP smuggling) and the session stays in step. Chunks end where their length says, so nothing can be smuggled there; what
 * may be in a line is the same, because the message travels on as DATA one day. Only the body of a BINARYMIME message may
 * hold anything.
 *
 * From users who have logged in a bare LF in a line's place is taken for CR LF (smtp_data_repair): curl and scripts send such text.
 * It ends a line of text and no more: the message ends at CR LF "." CR LF there too, and what LF stands before or behind is no end but
 * text, so "LF . LF" is a line with a dot. */
#ifndef VALISE_SMTP_DATA_H
#define VALISE_SMTP_DATA_H

#include "base/err.h"

enum {
    SMTP_DATA_LINE_MAX = 65536,             /* RFC 5321 section 4.5.3.1.6 says 998; what many programs write is taken too */
    SMTP_DATA_HEADER_MAX = 248 * 1024,      /* bytes of the header: what message_parse looks at, less what is put on top */
    SMTP_DATA_OVERRUN_MAX = 8 * 1024 * 1024 /* bytes read and dropped beyond the size limit before the connection is cut */
};

enum smtp_data_fault {
    SMTP_DATA_BARE_LF = 1,
    SMTP_DATA_BARE_CR = 2,
    SMTP_DATA_NUL = 4,
    SMTP_DATA_LINE_TOO_LONG = 8,
    SMTP_DATA_HEADER_TOO_LARGE = 16,
    SMTP_DATA_TOO_LARGE = 32,
    SMTP_DATA_TOO_MANY_CHUNKS = 64 /* set by who counts them */
};

enum smtp_data_state {
    SMTP_DATA_LINE_START,
    SMTP_DATA_DOT,
    SMTP_DATA_DOT_CR,
    SMTP_DATA_TEXT,
    SMTP_DATA_CR,
    SMTP_DATA_BINARY,
    SMTP_DATA_END
};

/* Gets the message without its framing, in pieces. It must not fail: a sink keeps its error until the end is reached. */
struct smtp_data_sink {
    void (*put)(void *ctx, str bytes);
    void *ctx;
};

struct smtp_data {
    enum smtp_data_state state;
    unsigned faults; /* enum smtp_data_fault; once set, nothing goes to the sink any more */
    uint64_t size;   /* bytes of the message so far: dots removed, CR LF included (RFC 1870 section 3) */
    uint64_t size_max;
    uint64_t line_n; /* bytes of the present line */
    bool in_header, has_8bit;
    bool is_chunked; /* dots are text, and the end is not in the bytes */
    bool is_binary;  /* BINARYMIME: the body is not looked at */
    bool repairs;    /* a bare LF becomes CR LF */
    struct smtp_data_sink sink;
};

void smtp_data_init(struct smtp_data *d, uint64_t size_max, struct smtp_data_sink sink);
/* Takes BYTES. 0: the message has ended after *RET_USED of them. ERR_AGAIN: all were used and more is needed. ERR_LIMIT: the
 * message is so much too large that the connection should be cut. */
int smtp_data_feed(struct smtp_data *d, str bytes, size_t *ret_used) MUST_USE;

/* Makes D take a bare LF for the end of a line of text, before the first byte is fed. */
void smtp_data_repair(struct smtp_data *d);

/* For a message in chunks; BINARY: it is BODY=BINARYMIME. */
void smtp_data_init_chunked(struct smtp_data *d, uint64_t size_max, bool binary, struct smtp_data_sink sink);
/* Takes BYTES of a chunk; chunks may be cut anywhere, within CR LF too. */
void smtp_data_chunk(struct smtp_data *d, str bytes);
/* The last chunk is complete. */
void smtp_data_chunk_end(struct smtp_data *d);

#endif
