/* mime: Content-Type and Content-Disposition with their parameters (RFC 2045 section 5.1, RFC 2183, RFC 2231).
 *
 * Tolerant: comments anywhere, spaces in unquoted values ("name=My File.pdf"), a missing ";" before the next "name=", stray
 * punctuation. Encoded words in values (RFC 2047 forbids them, senders use them) are left as they stand for
 * message_encoded_word_decode. */
#ifndef VALISE_MESSAGE_MIME_H
#define VALISE_MESSAGE_MIME_H

#include "message/structure.h"

struct message_params {
    const struct message_param *list;
    unsigned n;
};

struct message_content_type {
    str type, subtype;            /* lower case */
    struct message_params params; /* in the order of their first appearance, each name once (the first wins), see below */
};

struct message_disposition {
    str name; /* lower case; empty when the field names none */
    struct message_params params;
};

/* Parses the value of a Content-Type field into *RET, allocated from A. Without a readable type: text/plain (RFC 2045
 * section 5.2); a type without subtype is completed with "plain", "mixed", "rfc822" or "octet-stream".
 * RFC 2231: pieces (name*0, name*1*) are joined up to the first gap and win over a plain parameter of the same name. A value in the extended
 * form stays in it, charset, language and percent-encoded octets as they came (pieces that are not extended are encoded), and its name then ends
 * in "*"; a sender may give a plain value beside it. No CR, LF or NUL is left in a value. At most LIMITS->params_max parameters of
 * value_max bytes; *RET_CUT (may be NULL) is set to true when something was cut. 0 or ERR_LIMIT for A's quota. */
int message_content_type_parse(str value, const struct message_limits *limits, struct arena *a, struct message_content_type *ret,
                               bool *ret_cut) MUST_USE;
/* The same for Content-Disposition (RFC 2183 section 2). */
int message_disposition_parse(str value, const struct message_limits *limits, struct arena *a, struct message_disposition *ret,
                              bool *ret_cut) MUST_USE;
/* The parameter NAME (lower case, without "*"), in its extended form where it has one; NULL when there is none. */
const struct message_param *message_param_find(const struct message_param *list, unsigned n, str name);
/* Whether PARAM is in the extended form of RFC 2231 section 4. */
bool message_param_is_extended(const struct message_param *param);
/* Appends the text of PARAM: of an extended one percent-decoded and converted to UTF-8 from its charset. No CR, LF or NUL; cut at OUT's
 * maximum without an error. */
void message_param_text(const struct message_param *param, struct buf *out);

/* The first token of VALUE in lower case: Content-Transfer-Encoding and the like. Empty when there is none. 0 or ERR_LIMIT. */
int message_token_parse(str value, struct arena *a, str *ret) MUST_USE;
/* The comma-separated tokens of a Content-Language field (RFC 3282), at most MAX. 0 or ERR_LIMIT. */
int message_languages_parse(str value, unsigned max, struct arena *a, const str **ret, unsigned *ret_n) MUST_USE;

#endif
