/* reply: every answer of the SMTP server, in one table (RFC 5321 section 4.2, enhanced status codes of RFC 2034 and 3463).
 *
 * A session never writes a number: it names an answer. Faults of the parsers and errors of the service become answers in reply.c
 * and nowhere else. */
#ifndef VALISE_SMTP_REPLY_H
#define VALISE_SMTP_REPLY_H

#include "base/buf.h"
#include "smtp/syntax.h"

enum {
    SMTP_REPLY_LINE_MAX = 512,      /* with CRLF: RFC 5321 section 4.5.3.1.5 */
    SMTP_CHALLENGE_LINE_MAX = 12288 /* the same of a SASL challenge: RFC 4954 section 4 */
};

enum smtp_reply_flags {
    SMTP_REPLY_BAD = 1,  /* a bad command: counts towards the session's errors */
    SMTP_REPLY_CLOSE = 2 /* the session ends after it */
};

/* X(name, code, enhanced status, flags, text). */
#define SMTP_REPLIES(X)                                                                                                          \
    X(GREETING, 220, "", 0, "ESMTP ready")                                                                                       \
    X(READY_FOR_TLS, 220, "2.0.0", 0, "Ready to start TLS")                                                                      \
    X(BYE, 221, "2.0.0", SMTP_REPLY_CLOSE, "Bye")                                                                                \
    X(AUTHENTICATED, 235, "2.7.0", 0, "Authentication succeeded")                                                                \
    X(HELO, 250, "", 0, "Hello")                                                                                                 \
    X(OK, 250, "2.0.0", 0, "Ok")                                                                                                 \
    X(SENDER_OK, 250, "2.1.0", 0, "Sender ok")                                                                                   \
    X(RECIPIENT_OK, 250, "2.1.5", 0, "Recipient ok")                                                                             \
    X(ACCEPTED, 250, "2.0.0", 0, "Ok: queued")                                                                                   \
    X(CHUNK_OK, 250, "2.0.0", 0, "Ok: chunk taken")                                                                              \
    X(HELP, 214, "2.0.0", 0, "See RFC 5321")                                                                                     \
    X(NO_HELP, 214, "2.0.0", 0, "No such command; HELP alone lists them")                                                        \
    X(VERIFIED, 250, "2.1.5", 0, "It is there")                                                                                  \
    X(EMPTY_LIST, 250, "2.1.5", 0, "Nobody is on it")                                                                            \
    X(CANNOT_VERIFY, 252, "2.5.0", 0, "Cannot verify; send the message and see")                                                 \
    X(GO_AHEAD, 354, "", 0, "End with a line that holds a dot only")                                                             \
    X(CHALLENGE, 334, "", 0, "")                                                                                                 \
    X(SHUTDOWN, 421, "4.3.2", SMTP_REPLY_CLOSE, "The service is closing; try again in a minute")                                 \
    X(ENDED, 421, "4.7.0", SMTP_REPLY_CLOSE,                                                                                     \
      "Your login or certificate was withdrawn, or an administrator has ended this session")                                     \
    X(TIMEOUT, 421, "4.4.2", SMTP_REPLY_CLOSE, "Too long without a command")                                                     \
    X(TOO_SLOW, 421, "4.4.2", SMTP_REPLY_CLOSE, "The message came in too slowly")                                                \
    X(FOREIGN_PROTOCOL, 421, "4.7.0", SMTP_REPLY_CLOSE, "This is SMTP, not HTTP")                                                \
    X(TOO_MANY_ERRORS, 421, "4.7.0", SMTP_REPLY_CLOSE, "Too many errors on this connection")                                     \
    X(TOO_MUCH_JUNK, 421, "4.7.0", SMTP_REPLY_CLOSE, "Too many commands that lead to nothing")                                   \
    X(TOO_MANY_FAILURES, 421, "4.7.0", SMTP_REPLY_CLOSE, "Too many failed logins on this connection")                            \
    X(TOO_MANY_UNKNOWN, 421, "4.7.0", SMTP_REPLY_CLOSE, "Too many unknown recipients on this connection")                        \
    X(INPUT_WHILE_HELD, 421, "4.7.0", SMTP_REPLY_CLOSE, "Wait for the answer to AUTH before going on")                           \
    X(TURNED_AWAY, 421, "4.7.0", SMTP_REPLY_CLOSE, "Too much from you; try again later")                                         \
    X(TOO_MANY_IN_TIME, 421, "4.7.0", SMTP_REPLY_CLOSE, "Too much from you; try again later")                                    \
    X(TOO_MANY_TO_RECIPIENTS, 450, "4.7.1", 0, "Too many recipients from you; try again later")                                  \
    X(TOO_MANY_MESSAGES, 451, "4.7.1", 0, "Too many messages from you; try again later")                                         \
    X(TOO_MANY_LOGINS, 454, "4.7.0", 0, "Too many connections or logins of this account; try again later")                       \
    X(TEMPORARY, 451, "4.3.0", 0, "Temporary failure; try again later")                                                          \
    X(STORE_FULL, 452, "4.3.1", 0, "No space for the message; try again later")                                                  \
    X(MAILBOX_FULL, 452, "4.2.2", 0, "The mailbox is full; try again later")                                                     \
    X(TOO_MANY_RECIPIENTS, 452, "4.5.3", 0, "Too many recipients; send the rest in another transaction")                         \
    X(AUTH_UNAVAILABLE, 454, "4.7.0", 0, "Cannot check passwords now; try again later")                                          \
    X(AUTH_LOCKED_OUT, 454, "4.7.0", 0, "Too many failed logins from your network; try again later")                             \
    X(TLS_UNAVAILABLE, 454, "4.7.0", 0, "TLS not available: this server has no certificate")                                     \
    X(UNKNOWN_COMMAND, 500, "5.5.2", SMTP_REPLY_BAD, "Unknown command; HELP lists what there is")                                \
    X(BAD_LINE, 500, "5.5.2", SMTP_REPLY_BAD, "Bad line end or NUL: each line ends with CR LF")                                  \
    X(LINE_TOO_LONG, 500, "5.5.2", SMTP_REPLY_BAD, "Line too long")                                                              \
    X(BAD_ARGUMENT, 501, "5.5.4", SMTP_REPLY_BAD, "Malformed or missing argument")                                               \
    X(XCLIENT_ATTRIBUTE, 501, "5.5.4", SMTP_REPLY_BAD, "Attribute not offered; who sends proves it with AUTH")                   \
    X(NO_ARGUMENT, 501, "5.5.4", SMTP_REPLY_BAD, "This command takes no argument")                                               \
    X(BAD_PARAMETER, 501, "5.5.4", SMTP_REPLY_BAD, "Parameter given twice or with a bad value")                                  \
    X(BRACKETS_SENDER, 501, "5.1.7", SMTP_REPLY_BAD, "Put the address in angle brackets: MAIL FROM:<you@example.org>")           \
    X(BRACKETS_RECIPIENT, 501, "5.1.3", SMTP_REPLY_BAD, "Put the address in angle brackets: RCPT TO:<you@example.org>")          \
    X(BAD_SENDER, 501, "5.1.7", SMTP_REPLY_BAD, "Malformed sender address")                                                      \
    X(BAD_RECIPIENT, 501, "5.1.3", SMTP_REPLY_BAD, "Malformed recipient address")                                                \
    X(LONG_SENDER, 501, "5.1.7", SMTP_REPLY_BAD, "Sender address too long")                                                      \
    X(LONG_RECIPIENT, 501, "5.1.3", SMTP_REPLY_BAD, "Recipient address too long")                                                \
    X(AUTH_CANCELLED, 501, "5.7.0", 0, "Authentication cancelled")                                                               \
    X(AUTH_MALFORMED, 501, "5.5.2", SMTP_REPLY_BAD, "Malformed authentication response")                                         \
    X(AUTH_TOO_LONG, 500, "5.5.6", SMTP_REPLY_BAD, "Authentication response too long")                                           \
    X(DISABLED, 502, "5.5.1", SMTP_REPLY_BAD, "Not offered here")                                                                \
    X(SEQUENCE, 503, "5.5.1", SMTP_REPLY_BAD, "Bad sequence of commands")                                                        \
    X(HELO_FIRST, 503, "5.5.1", SMTP_REPLY_BAD, "Say EHLO first")                                                                \
    X(LHLO_FIRST, 503, "5.5.1", SMTP_REPLY_BAD, "Say LHLO first; this is LMTP")                                                  \
    X(NESTED_MAIL, 503, "5.5.1", SMTP_REPLY_BAD, "A sender is given already; RSET starts anew")                                  \
    X(MAIL_FIRST, 503, "5.5.1", SMTP_REPLY_BAD, "Say MAIL FROM first")                                                           \
    X(RCPT_FIRST, 503, "5.5.1", SMTP_REPLY_BAD, "Say RCPT TO first")                                                             \
    X(IN_CHUNKS, 503, "5.5.1", SMTP_REPLY_BAD, "The message has begun with BDAT; go on with BDAT, or RSET")                      \
    X(BINARY_NEEDS_BDAT, 503, "5.5.1", SMTP_REPLY_BAD, "BODY=BINARYMIME needs BDAT")                                             \
    X(NO_VALID_RECIPIENT, 554, "5.5.1", SMTP_REPLY_BAD, "No valid recipients")                                                   \
    X(XCLIENT_IN_TRANSACTION, 503, "5.5.1", SMTP_REPLY_BAD, "No XCLIENT within a transaction")                                   \
    X(TLS_ACTIVE, 503, "5.5.1", SMTP_REPLY_BAD, "TLS is active already")                                                         \
    X(AUTH_DONE, 503, "5.5.1", SMTP_REPLY_BAD, "Already authenticated")                                                          \
    X(AUTH_IN_TRANSACTION, 503, "5.5.1", SMTP_REPLY_BAD, "No AUTH within a transaction")                                         \
    X(AUTH_MECHANISM, 504, "5.5.4", SMTP_REPLY_BAD, "Authentication mechanism not offered")                                      \
    X(TLS_FIRST, 530, "5.7.0", SMTP_REPLY_BAD, "Must issue a STARTTLS command first")                                            \
    X(AUTH_FIRST, 530, "5.7.0", SMTP_REPLY_BAD, "Authentication required")                                                       \
    X(AUTH_REFUSED, 535, "5.7.8", 0, "Wrong name or password")                                                                   \
    X(AUTH_NEEDS_TLS, 538, "5.7.11", SMTP_REPLY_BAD, "Encryption required: say STARTTLS first")                                  \
    X(NOT_A_LIST, 550, "5.1.1", 0, "That is a mailbox, not a list; VRFY tells of it")                                            \
    X(NOT_OUR_DOMAIN, 550, "5.1.2", 0, "Not in a domain of ours")                                                                \
    X(AMBIGUOUS, 553, "5.1.4", 0, "Ambiguous; it may be")                                                                        \
    X(UNKNOWN_RECIPIENT, 550, "5.1.1", 0, "No such mailbox here")                                                                \
    X(DISABLED_RECIPIENT, 550, "5.2.1", 0, "This mailbox is disabled")                                                           \
    X(RELAY_DENIED, 550, "5.7.1", 0, "Relaying denied: mail for this domain is not taken here")                                  \
    X(CLOSED_GROUP, 550, "5.7.1", 0,                                                                                             \
      "You may not write to this group: log in as one of its members or of its domain, as it asks")                              \
    X(TOO_MANY_MAILBOXES, 550, "5.2.4", 0, "This address stands for more than 1000 mailboxes; write to parts of it")             \
    X(ROUTED_RECIPIENT, 550, "5.7.1", 0, "Relaying denied: no route within an address is followed")                              \
    X(NO_QUEUE, 550, "5.7.1", 0, "Mail for other domains cannot be sent yet: there is no queue")                                 \
    X(UTF8_SENDER, 550, "5.6.7", 0, "Addresses beyond ASCII need the SMTPUTF8 parameter")                                        \
    X(UTF8_RECIPIENT, 553, "5.6.7", 0, "Addresses beyond ASCII need MAIL with the SMTPUTF8 parameter")                           \
    X(NOT_YOUR_ADDRESS, 553, "5.7.1", 0, "You may not send as this address")                                                     \
    X(NOT_YOUR_FROM, 550, "5.7.1", 0, "The message says it is from an address that you may not send as")                         \
    X(BAD_FROM, 550, "5.6.0", 0, "The message does not say clearly whom it is from")                                             \
    X(BARE_LF, 550, "5.6.0", 0, "The message has a bare LF: lines end with CR LF, mend the sending program")                     \
    X(BARE_CR, 550, "5.6.0", 0, "The message has a bare CR: lines end with CR LF, mend the sending program")                     \
    X(HAS_NUL, 550, "5.6.0", 0, "The message has a NUL byte: encode it as base64")                                               \
    X(BODY_LINE_TOO_LONG, 550, "5.6.0", 0, "The message has a line longer than 65536 bytes: encode it")                          \
    X(HEADER_TOO_LARGE, 550, "5.6.0", 0, "The header is larger than 248 KiB")                                                    \
    X(MAILBOX_FULL_FINAL, 552, "5.2.2", 0, "The mailbox is full")                                                                \
    X(MAILBOX_TOO_SMALL, 552, "5.2.3", 0, "The message is larger than this mailbox may ever hold")                               \
    X(NOT_ENCODABLE, 554, "5.6.0", 0,                                                                                            \
      "Bytes that are no lines stand where no part's body is, or in one that says it is encoded")                                \
    X(SIGNED_BINARY, 554, "5.6.3", 0, "A part of a signed message is no lines: encode it as base64, then sign")                  \
    X(TOO_LARGE, 552, "5.3.4", 0, "Message too large")                                                                           \
    X(TOO_LARGE_CLOSE, 552, "5.3.4", SMTP_REPLY_CLOSE, "Message far too large")                                                  \
    X(TOO_MANY_CHUNKS, 552, "5.3.4", 0, "Too many chunks; send larger ones")                                                     \
    X(BAD_CHUNK, 554, "5.5.4", SMTP_REPLY_BAD | SMTP_REPLY_CLOSE, "BDAT needs a length in bytes, then LAST or nothing")          \
    X(LACK_OF_SECURITY, 554, "5.7.0", SMTP_REPLY_BAD, "Command refused due to lack of security")                                 \
    X(INJECTION, 554, "5.7.0", SMTP_REPLY_CLOSE, "Commands after STARTTLS before TLS: somebody may be tampering")                \
    X(XCLIENT_REFUSED, 550, "5.7.0", SMTP_REPLY_BAD, "You may not speak for others")                                             \
    X(NOT_SERVED, 554, "5.7.1", 0, "Your address is not served here")                                                            \
    X(LOOP, 554, "5.4.6", 0, "Mail loop: more than 100 Received: fields")                                                        \
    X(PARAMETER_UNKNOWN, 555, "5.5.4", SMTP_REPLY_BAD, "Parameter not offered")

#define SMTP_REPLY_ENUM(name, code, status, flags, text) SMTP_REPLY_##name,
enum smtp_reply { SMTP_REPLIES(SMTP_REPLY_ENUM) SMTP_REPLY_COUNT };
#undef SMTP_REPLY_ENUM

unsigned smtp_reply_code(enum smtp_reply r);
unsigned smtp_reply_flags(enum smtp_reply r);
/* The usual text of an answer. */
str smtp_reply_text(enum smtp_reply r);

/* Appends the answer R with the N LINES of text to OUT (RFC 5321 section 4.2.1): "250-...", "250 ...". A line longer than
 * SMTP_REPLY_LINE_MAX with its code is cut (a challenge has its own maximum); bytes beyond ASCII become "?". ERR_SYNTAX, and
 * nothing appended, when a line holds CR, LF, NUL or another control byte: an answer must not become two. N is at least 1. */
int smtp_reply_add(struct buf *out, enum smtp_reply r, const str *lines, size_t n) MUST_USE;

enum smtp_clause { SMTP_CLAUSE_SENDER, SMTP_CLAUSE_RECIPIENT, SMTP_CLAUSE_OTHER };
/* The answer to a fault of the grammar in a MAIL, RCPT or other command. */
enum smtp_reply smtp_reply_from_fault(enum smtp_fault fault, enum smtp_clause clause);
/* The answer to an error of the service: try again later; apart from that only a full store is told from other trouble. */
enum smtp_reply smtp_reply_from_error(int error);
/* The answer to what service.accept returned: the same, but for quotas. FULL_IS_FINAL: over quota is for good. */
enum smtp_reply smtp_reply_from_delivery(int error, bool full_is_final);

#endif
