/* err: error codes, and the message that travels with them.
 *
 * Functions return int: 0, or a negative enum err. The text for people travels in a struct error that the caller passes down
 * (NULL when it does not care); there is no global or thread-local "last error". The class of a code decides the answer in
 * exactly one place per protocol (SMTP reply, IMAP BAD/NO/BYE, exit status). */
#ifndef VALISE_BASE_ERR_H
#define VALISE_BASE_ERR_H

#include "base/str.h"

#define MUST_USE __attribute__((warn_unused_result))

enum err {
    OK = 0,
    ERR_AGAIN = -1,        /* not complete yet, or would block: come back when more has arrived or room is made */
    ERR_EOF = -2,          /* the peer closed in order */
    ERR_IO = -3,           /* the connection or the disk failed */
    ERR_TIMEOUT = -4,      /* a deadline passed */
    ERR_SYNTAX = -5,       /* foreign bytes break the grammar */
    ERR_LIMIT = -6,        /* a limit was exceeded: length, count, nesting, rate */
    ERR_NOTFOUND = -7,     /* no such object */
    ERR_EXISTS = -8,       /* the object is there already */
    ERR_REFUSED = -9,      /* policy or rights say no, for good */
    ERR_CONFLICT = -10,    /* optimistic commit lost: read again and retry */
    ERR_UNKNOWN = -11,     /* the outcome of a commit is not known */
    ERR_FENCED = -12,      /* the lease is gone */
    ERR_UNAVAILABLE = -13, /* temporarily not possible: engine closed, role restarting */
    ERR_FULL = -14,        /* no space on the disk or quota used up */
    ERR_CORRUPT = -15,     /* stored or received data is damaged */
    ERR_UNSUPPORTED = -16, /* understood, not offered */
    ERR_INTERNAL = -17,    /* a bug or an impossible answer from a library */
    ERR_LAST_ = -18
};

enum err_class {
    ERR_CLASS_NONE,      /* 0 */
    ERR_CLASS_SYNTAX,    /* the peer's words are wrong */
    ERR_CLASS_REFUSED,   /* understood and refused, permanent */
    ERR_CLASS_TEMPORARY, /* try again later */
    ERR_CLASS_INTERNAL,  /* our fault; logged */
    ERR_CLASS_CONNECTION /* nobody to answer to */
};

struct error {
    int code;         /* enum err; 0 when nothing was set */
    const char *file; /* where it was set */
    int line;
    char text[232]; /* for people, one line, printable ASCII or UTF-8; names the cause and the next step */
};

#define ERROR_NONE ((struct error){ 0 })

/* Sets E (may be NULL) to CODE with a printf-formatted text, what is not plain (base/show.h) replaced by '?', cut to fit. Returns CODE. */
#define error_set(e, code, ...) error_set_at((e), (code), __FILE__, __LINE__, __VA_ARGS__)
int error_set_at(struct error *e, int code, const char *file, int line, const char *fmt, ...)
    __attribute__((format(printf, 5, 6)));

/* Puts a printf-formatted context and ": " in front of E's text (may be NULL). Returns e->code, or ERR_INTERNAL for NULL. */
int error_prefix(struct error *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* The name of a code, as "timeout"; a static string. */
const char *err_name(int code);
/* The class of a code; never NONE for a negative one. */
enum err_class err_class(int code);
/* The code for an errno value: ENOSPC and EDQUOT are ERR_FULL, ENOENT is ERR_NOTFOUND, ... ERR_IO for the rest. */
int err_from_errno(int errno_value);

/* Aborts with a message: for states that cannot be. Never for bad input. */
#define panic(...) panic_at(__FILE__, __LINE__, __VA_ARGS__)
_Noreturn void panic_at(const char *file, int line, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* assert that stays in release builds. */
#define require(cond)                                                                                                            \
    do {                                                                                                                         \
        if (__builtin_expect(!(cond), 0))                                                                                        \
            panic("requirement failed: %s", #cond);                                                                              \
    } while (0)

#endif
