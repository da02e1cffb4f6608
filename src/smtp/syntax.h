/* syntax: the grammar of SMTP commands (RFC 5321 section 4.1.2, with RFC 1870, 3030, 3461, 4954, 6152, 6531).
 *
 * Pure functions from one complete command line to structs. They keep to the grammar except where real clients make it hard:
 * white space after "FROM:" and at the end of a line is accepted, and EHLO arguments with an underscore or a final dot. */
#ifndef VALISE_SMTP_SYNTAX_H
#define VALISE_SMTP_SYNTAX_H

#include "base/arena.h"
#include "dsn/request.h"

struct smtp_limits {
    size_t line_max;      /* bytes of a command line; RFC 5321 section 4.5.3.1.4 says 512 and more with extensions */
    size_t auth_line_max; /* the same where AUTH is offered: RFC 4954 section 4 says 12 288 with CRLF */
    size_t local_max;     /* RFC 5321 says 64; variable envelope return paths are longer */
    size_t domain_max;    /* 255 */
    size_t mailbox_max;   /* local part, "@" and domain */
    size_t params_max;    /* parameters of one command */
};
extern const struct smtp_limits smtp_limits_default;

/* What is wrong with a command; reply.c says how each is answered. */
enum smtp_fault {
    SMTP_FAULT_NONE,
    SMTP_FAULT_ARGUMENT,      /* an argument is missing, malformed, or one too many */
    SMTP_FAULT_BRACKETS,      /* the address is not in angle brackets */
    SMTP_FAULT_ADDRESS,       /* not an address */
    SMTP_FAULT_TOO_LONG,      /* the address is too long */
    SMTP_FAULT_UTF8_ADDRESS,  /* an address beyond ASCII without SMTPUTF8 */
    SMTP_FAULT_UTF8_INVALID,  /* bytes that are not UTF-8 */
    SMTP_FAULT_PARAM_UNKNOWN, /* a parameter that was not offered */
    SMTP_FAULT_PARAM_VALUE    /* a parameter given twice, or with a value that it does not take */
};

/* A command line in two: the verb (any case) and its argument without white space around it; both may be empty. */
void smtp_line_split(str line, str *ret_verb, str *ret_argument);

struct smtp_address {
    str text;  /* "local@domain" with the least quoting (RFC 5321 section 4.1.2); empty for "<>"; "postmaster" for
                               * <Postmaster>. In the arena. */
    bool utf8; /* has bytes beyond ASCII */
};

/* A whole S as Mailbox (RFC 5321 section 4.1.2, RFC 6531 section 3.3). SMTP_FAULT_NONE, ADDRESS, TOO_LONG, UTF8_INVALID. */
enum smtp_fault smtp_address_parse(str s, const struct smtp_limits *limits, struct arena *a, struct smtp_address *ret) MUST_USE;

enum smtp_body_type { SMTP_BODY_7BIT, SMTP_BODY_8BITMIME, SMTP_BODY_BINARYMIME };

struct smtp_mail {
    struct smtp_address reverse_path; /* empty text: the null sender */
    bool has_size;
    uint64_t size;            /* SIZE= (RFC 1870) */
    enum smtp_body_type body; /* BODY= (RFC 6152, RFC 3030) */
    bool smtputf8;            /* RFC 6531 */
    bool has_auth;            /* AUTH= (RFC 4954 section 5); the value is checked and not believed */
    enum dsn_ret ret;         /* RET= (RFC 3461) */
    str envid;                /* ENVID=, in xtext; empty: not said */
};
/* The argument of MAIL: "FROM:" Reverse-path [SP Mail-parameters]. SUBMISSION: whether AUTH and DSN are offered, so that AUTH=, RET= and ENVID=
 * may be given. */
enum smtp_fault smtp_mail_parse(str argument, const struct smtp_limits *limits, bool submission, struct arena *a,
                                struct smtp_mail *ret) MUST_USE;

struct smtp_rcpt {
    struct smtp_address address;
    struct dsn_request dsn;
};
/* The argument of RCPT: "TO:" Forward-path [SP Rcpt-parameters]. SMTPUTF8: whether the transaction's MAIL said so. DSN: whether it is
 * offered, so that NOTIFY= and ORCPT= may be given. All text in the arena. */
enum smtp_fault smtp_rcpt_parse(str argument, const struct smtp_limits *limits, bool smtputf8, bool dsn, struct arena *a,
                                struct smtp_rcpt *ret) MUST_USE;

/* The argument of EHLO and HELO: 1 to 255 bytes, *RET points into ARGUMENT. RFC 5321 section 4.1.1.1 wants a domain or an address literal;
 * what clients say ("[::1]", "(none)") proves nothing and is only written down, so anything is taken. */
enum smtp_fault smtp_helo_parse(str argument, str *ret) MUST_USE;

/* Appends such a NAME as a Received: field may have it: bytes that are in no domain or literal become "?". */
struct buf;
void smtp_helo_add(struct buf *out, str name);

/* The argument of BDAT: chunk-size [ "LAST" ] (RFC 3030 section 2). */
enum smtp_fault smtp_bdat_parse(str argument, uint64_t *ret_size, bool *ret_last) MUST_USE;

/* "[192.0.2.1]", "[IPv6:2001:db8::1]", "[tag:content]" at the cursor, brackets included (RFC 5321 section 4.1.3). */
struct scan;
bool smtp_scan_literal(struct scan *s, str *ret);
/* Domain = sub-domain *("." sub-domain), sub-domains of letters, digits, inner hyphens and, if UTF8, bytes above 127. */
bool smtp_scan_domain(struct scan *s, bool utf8, size_t max, str *ret);

#endif
