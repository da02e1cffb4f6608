/* syntax: the arguments of IMAP commands, RFC 3501 section 9.
 *
 * Cursor parsers over one complete command, as imap_frame delivers it: without its final CRLF, literals in place as "{5}" CRLF
 * and the bytes. The cursor moves only on success. Results point into the slice, or into the arena where text had to be unescaped
 * or collected. Each function returns 0, ERR_SYNTAX, or ERR_LIMIT (too many of something, or the arena's quota); those that read the
 * name of a mailbox also ERR_REFUSED, when it is not in modified UTF-7 (RFC 3501 section 5.1.3). */
#ifndef VALISE_IMAP_SYNTAX_H
#define VALISE_IMAP_SYNTAX_H

#include "base/arena.h"
#include "base/scan.h"
#include "store/mail.h"

struct imap_limits {
    unsigned tag_bytes_max;
    unsigned ranges_max;        /* in a sequence set */
    unsigned flags_max;         /* in a flag list */
    unsigned items_max;         /* of FETCH */
    unsigned fields_max;        /* names in HEADER.FIELDS */
    unsigned section_depth_max; /* numbers in a section: 1.2.3 has 3 */
    unsigned search_keys_max;   /* in all */
    unsigned search_depth_max;  /* of NOT, OR and parentheses */
};
extern const struct imap_limits imap_limits_default;

/* --- tokens --- */

/* Exactly one space. */
int imap_parse_sp(struct scan *s) MUST_USE;
int imap_parse_tag(struct scan *s, str *ret) MUST_USE;
int imap_parse_atom(struct scan *s, str *ret) MUST_USE;
/* quoted or literal. Text with escapes is copied to A. */
int imap_parse_string(struct scan *s, struct arena *a, str *ret) MUST_USE;
int imap_parse_astring(struct scan *s, struct arena *a, str *ret) MUST_USE;
/* A string, or NIL: *RET has p == NULL then. */
int imap_parse_nstring(struct scan *s, struct arena *a, str *ret) MUST_USE;
/* A mailbox name in UTF-8 ("INBOX" in this spelling), from modified UTF-7. Names in plain UTF-8 are taken as they are. */
int imap_parse_mailbox(struct scan *s, struct arena *a, str *ret) MUST_USE;
/* A pattern of LIST, wildcards kept, in UTF-8. */
int imap_parse_list_mailbox(struct scan *s, struct arena *a, str *ret) MUST_USE;

/* --- sequence sets --- */

enum { IMAP_STAR = 0 }; /* "*" in a range: numbers are never 0 */
struct imap_range {
    uint32_t first, last; /* in the order given */
};
struct imap_set {
    const struct imap_range *ranges;
    size_t n;
};
int imap_parse_set(struct scan *s, struct arena *a, const struct imap_limits *limits, struct imap_set *ret) MUST_USE;

/* --- flags and dates --- */

/* A parenthesised list, maybe empty. \Recent and unknown flags with a backslash are ERR_SYNTAX. */
int imap_parse_flag_list(struct scan *s, struct arena *a, const struct imap_limits *limits, struct mail_flags *ret) MUST_USE;
/* date: the number of days from 1970-01-01. */
int imap_parse_date(struct scan *s, int64_t *ret_day) MUST_USE;
/* date-time in double quotes: milliseconds since 1970. */
int imap_parse_date_time(struct scan *s, int64_t *ret_ms) MUST_USE;

/* --- whole arguments: what follows the command's name and space, to the end of the slice --- */

struct imap_append {
    str mailbox;
    struct mail_flags flags;
    int64_t received_ms; /* INT64_MIN when not given */
};
/* The part in front of the first message's literal, with the space before "{". */
int imap_parse_append(struct scan *s, struct arena *a, const struct imap_limits *limits, struct imap_append *ret) MUST_USE;
/* The same of a further message (RFC 3502): " [(flags)] [date-time] "; RET's mailbox stays. */
int imap_parse_append_message(struct scan *s, struct arena *a, const struct imap_limits *limits,
                              struct imap_append *ret) MUST_USE;

/* create-param = "USE" SP "(" [use-attr *(SP use-attr)] ")" (RFC 6154 section 6), in its parentheses: at most one use, none when
 * the list is empty. ERR_LIMIT for two, ERR_UNSUPPORTED for one that is not known. */
int imap_parse_create_use(struct scan *s, enum mail_special_use *ret) MUST_USE;

enum imap_status_item {
    IMAP_STATUS_MESSAGES = 1,
    IMAP_STATUS_RECENT = 2,
    IMAP_STATUS_UIDNEXT = 4,
    IMAP_STATUS_UIDVALIDITY = 8,
    IMAP_STATUS_UNSEEN = 16,
    IMAP_STATUS_SIZE = 32,          /* RFC 8438 */
    IMAP_STATUS_HIGHESTMODSEQ = 64, /* RFC 7162 */
    IMAP_STATUS_DELETED = 128,      /* RFC 9208 */
    IMAP_STATUS_DELETED_STORAGE = 256
};
/* "(" status-att ... ")" as a set of bits. */
int imap_parse_status_items(struct scan *s, unsigned *ret) MUST_USE;

struct imap_store {
    enum mail_store_mode mode;
    bool silent;
    struct mail_flags flags;
    uint64_t unchanged_since; /* UINT64_MAX: no condition */
};
int imap_parse_store(struct scan *s, struct arena *a, const struct imap_limits *limits, struct imap_store *ret) MUST_USE;

/* What SELECT and EXAMINE take behind the name, in its parentheses (RFC 7162). */
struct imap_select_params {
    bool condstore, qresync;
    /* of QRESYNC: what the client knows of the mailbox */
    uint32_t uidvalidity;
    uint64_t modseq;
    struct imap_set uids;                   /* n 0: all */
    struct imap_set match_seqs, match_uids; /* some sequence numbers and their UIDs */
};
int imap_parse_select_params(struct scan *s, struct arena *a, const struct imap_limits *limits,
                             struct imap_select_params *ret) MUST_USE;

/* LIST and LSUB, with the selection and return options of RFC 5258, RFC 5819 and RFC 6154. */
struct imap_list {
    str reference;
    const str *patterns;
    size_t pattern_n;
    bool select_special_use, select_subscribed;
    bool select_remote, recursive;
    bool return_special_use, return_subscribed, return_children;
    unsigned return_status; /* enum imap_status_item */
    bool extended;          /* options or a list of patterns were given */
};
int imap_parse_list(struct scan *s, struct arena *a, struct imap_list *ret) MUST_USE;

/* --- FETCH --- */

enum imap_fetch_item {
    IMAP_FETCH_UID = 1,
    IMAP_FETCH_FLAGS = 2,
    IMAP_FETCH_INTERNALDATE = 4,
    IMAP_FETCH_SIZE = 8,
    IMAP_FETCH_ENVELOPE = 16,
    IMAP_FETCH_BODY = 32,
    IMAP_FETCH_BODYSTRUCTURE = 64,
    IMAP_FETCH_MODSEQ = 128
};
/* What can be answered from the mailbox entry alone. */
enum {
    IMAP_FETCH_ENTRY_ITEMS = IMAP_FETCH_UID | IMAP_FETCH_FLAGS | IMAP_FETCH_INTERNALDATE | IMAP_FETCH_SIZE | IMAP_FETCH_MODSEQ
};

enum imap_section_text {
    IMAP_SECTION_ALL, /* BODY[], BODY[1] */
    IMAP_SECTION_HEADER,
    IMAP_SECTION_FIELDS, /* HEADER.FIELDS */
    IMAP_SECTION_FIELDS_NOT,
    IMAP_SECTION_TEXT,
    IMAP_SECTION_MIME
};
enum imap_section_kind { IMAP_SECTION_BODY, IMAP_SECTION_BINARY, IMAP_SECTION_BINARY_SIZE };
struct imap_section {
    enum imap_section_kind kind;
    enum imap_section_text text;
    const uint32_t *path;
    size_t path_n;
    const str *fields;
    size_t field_n;
    bool peek; /* does not set \Seen */
    bool partial;
    uint32_t offset, count; /* of partial */
    str name;               /* how the answer calls it: "RFC822.HEADER"; empty for BODY[...] until imap_fetch_prepare */
    uint64_t
        kept; /* HEADER.FIELDS of the message itself: its names, when all are kept beside the structure (message/fields.h); else 0 */
};
struct imap_fetch {
    unsigned items; /* enum imap_fetch_item */
    const struct imap_section *sections;
    size_t section_n;
    bool changed;  /* only messages whose modseq is above changed_since (RFC 7162) */
    bool vanished; /* and the UIDs of those that were expunged since */
    uint64_t changed_since;
};
/* Macros, one attribute, or a list of them; then modifiers. */
int imap_parse_fetch(struct scan *s, struct arena *a, const struct imap_limits *limits, struct imap_fetch *ret) MUST_USE;

/* --- SEARCH --- */

enum imap_search_type {
    IMAP_SEARCH_ALL,
    IMAP_SEARCH_SET, /* sequence numbers */
    IMAP_SEARCH_UID,
    IMAP_SEARCH_FLAG,   /* number: MAIL_SEEN ...; negate for UNSEEN */
    IMAP_SEARCH_RECENT, /* negate for OLD */
    IMAP_SEARCH_KEYWORD,
    IMAP_SEARCH_SMALLER,
    IMAP_SEARCH_LARGER,
    IMAP_SEARCH_BEFORE, /* number: days since 1970; INTERNALDATE */
    IMAP_SEARCH_ON,
    IMAP_SEARCH_SINCE,
    IMAP_SEARCH_SENTBEFORE, /* the Date: field */
    IMAP_SEARCH_SENTON,
    IMAP_SEARCH_SENTSINCE,
    IMAP_SEARCH_HEADER, /* SUBJECT too */
    IMAP_SEARCH_BODY,
    IMAP_SEARCH_TEXT,
    IMAP_SEARCH_AND,      /* all of the list child */
    IMAP_SEARCH_OR,       /* one of the list child */
    IMAP_SEARCH_MODSEQ,   /* number: at least (RFC 7162) */
    IMAP_SEARCH_ADDRESSES /* FROM, TO, CC, BCC */
};
struct imap_search_key {
    enum imap_search_type type;
    bool negate;
    int64_t number;
    str text;      /* what is looked for, in the command's charset */
    str field;     /* of HEADER and the lists of addresses */
    uint64_t kept; /* its bit where it is kept beside the structure (message/fields.h); set by imap_search_prepare */
    struct imap_set set;
    struct imap_search_key *child, *next;
};
/* What an extended search returns (RFC 4731). */
enum imap_search_return { IMAP_RETURN_MIN = 1, IMAP_RETURN_MAX = 2, IMAP_RETURN_ALL = 4, IMAP_RETURN_COUNT = 8 };

struct imap_search {
    unsigned returns;             /* enum imap_search_return; 0: not an extended search */
    bool modseq;                  /* has a MODSEQ key: the answer tells the highest one */
    bool numbers;                 /* has sequence numbers */
    str charset;                  /* empty: US-ASCII */
    struct imap_search_key *keys; /* an AND list */
};
int imap_parse_search(struct scan *s, struct arena *a, const struct imap_limits *limits, struct imap_search *ret) MUST_USE;

#endif
