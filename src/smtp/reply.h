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
      "Your login or certificate was withdrawn, or an administrator has ended this session; log in again, or ask the "           \
      "administrator")                                                                                                           \
    X(TIMEOUT, 421, "4.4.2", SMTP_REPLY_CLOSE, "Too long without a command; connect again")                                      \
    X(TOO_SLOW, 421, "4.4.2", SMTP_REPLY_CLOSE, "The message came in too slowly; send it again over a better connection")        \
    X(FOREIGN_PROTOCOL, 421, "4.7.0", SMTP_REPLY_CLOSE, "This is SMTP, not HTTP; use a mail program")                            \
    X(TOO_MANY_ERRORS, 421, "4.7.0", SMTP_REPLY_CLOSE,                                                                           \
      "Too many errors on this connection; mend the sending program, then connect again")                                        \
    X(TOO_MUCH_JUNK, 421, "4.7.0", SMTP_REPLY_CLOSE, "Too many commands that lead to nothing; connect again and send mail")      \
    X(TOO_MANY_FAILURES, 421, "4.7.0", SMTP_REPLY_CLOSE,                                                                         \
      "Too many failed logins on this connection; check name and password, then connect again")                                  \
    X(TOO_MANY_UNKNOWN, 421, "4.7.0", SMTP_REPLY_CLOSE,                                                                          \
      "Too many unknown recipients on this connection; take them off your list")                                                 \
    X(INPUT_WHILE_HELD, 421, "4.7.0", SMTP_REPLY_CLOSE, "Wait for the answer to AUTH before going on; connect again")            \
    X(TURNED_AWAY, 421, "4.7.0", SMTP_REPLY_CLOSE, "Too much from you; try again later")                                         \
    X(TOO_MANY_IN_TIME, 421, "4.7.0", SMTP_REPLY_CLOSE, "Too much from you; try again later")                                    \
    X(TOO_MANY_TO_RECIPIENTS, 450, "4.7.1", 0, "Too many recipients from you; try again later")                                  \
    X(TOO_MANY_MESSAGES, 451, "4.7.1", 0, "Too many messages from you; try again later")                                         \
    X(TOO_MANY_LOGINS, 454, "4.7.0", 0, "Too many connections or logins of this account; close some, or try again later")        \
    X(TEMPORARY, 451, "4.3.0", 0, "Temporary failure; try again later")                                                          \
    X(STORE_FULL, 452, "4.3.1", 0, "No space for the message; try again later")                                                  \
    X(MAILBOX_FULL, 452, "4.2.2", 0, "The mailbox is full; try again later")                                                     \
    X(TOO_MANY_RECIPIENTS, 452, "4.5.3", 0, "Too many recipients; send the rest in another transaction")                         \
    X(AUTH_UNAVAILABLE, 454, "4.7.0", 0, "Cannot check passwords now; try again later")                                          \
    X(AUTH_LOCKED_OUT, 454, "4.7.0", 0, "Too many failed logins from your network; try again later")                             \
    X(TLS_UNAVAILABLE, 454, "4.7.0", 0, "TLS not available: this server has no certificate; tell its administrator")             \
    X(UNKNOWN_COMMAND, 500, "5.5.2", SMTP_REPLY_BAD, "Unknown command; HELP lists what there is")                                \
    X(BAD_LINE, 500, "5.5.2", SMTP_REPLY_BAD, "Bad line end or NUL: each line ends with CR LF")                                  \
    X(LINE_TOO_LONG, 500, "5.5.2", SMTP_REPLY_BAD, "Line too long; shorten the command")                                         \
    X(BAD_ARGUMENT, 501, "5.5.4", SMTP_REPLY_BAD,                                                                                \
      "Malformed or missing argument; HELP and the name of a command tell what it takes")                                        \
    X(XCLIENT_ATTRIBUTE, 501, "5.5.4", SMTP_REPLY_BAD, "Attribute not offered; who sends proves it with AUTH")                   \
    X(NO_ARGUMENT, 501, "5.5.4", SMTP_REPLY_BAD, "This command takes no argument; say it alone")                                 \
    X(BAD_PARAMETER, 501, "5.5.4", SMTP_REPLY_BAD,                                                                               \
      "Parameter given twice or with a bad value; HELP MAIL and HELP RCPT tell what they take")                                  \
    X(BRACKETS_SENDER, 501, "5.1.7", SMTP_REPLY_BAD, "Put the address in angle brackets: MAIL FROM:<you@example.org>")           \
    X(BRACKETS_RECIPIENT, 501, "5.1.3", SMTP_REPLY_BAD, "Put the address in angle brackets: RCPT TO:<you@example.org>")          \
    X(BAD_SENDER, 501, "5.1.7", SMTP_REPLY_BAD, "Malformed sender address; write it as MAIL FROM:<you@example.org>")             \
    X(BAD_RECIPIENT, 501, "5.1.3", SMTP_REPLY_BAD, "Malformed recipient address; write it as <friend@example.org>")              \
    X(LONG_SENDER, 501, "5.1.7", SMTP_REPLY_BAD, "Sender address too long; at most 255 bytes stand before the @ and 320 in all") \
    X(LONG_RECIPIENT, 501, "5.1.3", SMTP_REPLY_BAD,                                                                              \
      "Recipient address too long; at most 255 bytes stand before the @ and 320 in all")                                         \
    X(AUTH_CANCELLED, 501, "5.7.0", 0, "Authentication cancelled; AUTH begins it anew")                                          \
    X(AUTH_MALFORMED, 501, "5.5.2", SMTP_REPLY_BAD,                                                                              \
      "Malformed authentication response; send it in base64, as the mechanism wants it")                                         \
    X(AUTH_TOO_LONG, 500, "5.5.6", SMTP_REPLY_BAD, "Authentication response too long; send 4096 bytes at most")                  \
    X(DISABLED, 502, "5.5.1", SMTP_REPLY_BAD, "Not offered here; HELP lists what there is")                                      \
    X(NO_AUTH, 502, "5.5.1", SMTP_REPLY_BAD, "No logins on this port; users send on a submission port, usually 465 or 587")      \
    X(SEQUENCE, 503, "5.5.1", SMTP_REPLY_BAD, "Bad sequence of commands; after the refusal only QUIT is taken")                  \
    X(HELO_FIRST, 503, "5.5.1", SMTP_REPLY_BAD, "Say EHLO first")                                                                \
    X(LHLO_FIRST, 503, "5.5.1", SMTP_REPLY_BAD, "Say LHLO first; this is LMTP")                                                  \
    X(NESTED_MAIL, 503, "5.5.1", SMTP_REPLY_BAD, "A sender is given already; RSET starts anew")                                  \
    X(MAIL_FIRST, 503, "5.5.1", SMTP_REPLY_BAD, "Say MAIL FROM first")                                                           \
    X(RCPT_FIRST, 503, "5.5.1", SMTP_REPLY_BAD, "Say RCPT TO first")                                                             \
    X(IN_CHUNKS, 503, "5.5.1", SMTP_REPLY_BAD, "The message has begun with BDAT; go on with BDAT, or RSET")                      \
    X(BINARY_NEEDS_BDAT, 503, "5.5.1", SMTP_REPLY_BAD, "BODY=BINARYMIME needs BDAT; DATA cannot carry it")                       \
    X(NO_VALID_RECIPIENT, 554, "5.5.1", SMTP_REPLY_BAD, "No valid recipients; the answers to RCPT say why")                      \
    X(XCLIENT_IN_TRANSACTION, 503, "5.5.1", SMTP_REPLY_BAD, "No XCLIENT within a transaction; RSET ends it")                     \
    X(TLS_ACTIVE, 503, "5.5.1", SMTP_REPLY_BAD, "TLS is active already; go on with EHLO")                                        \
    X(AUTH_DONE, 503, "5.5.1", SMTP_REPLY_BAD, "Already authenticated; go on with MAIL, or connect anew for another login")      \
    X(AUTH_IN_TRANSACTION, 503, "5.5.1", SMTP_REPLY_BAD, "No AUTH within a transaction; RSET ends it")                           \
    X(AUTH_MECHANISM, 504, "5.5.4", SMTP_REPLY_BAD,                                                                              \
      "Authentication mechanism not offered; the answer to EHLO lists those that are")                                           \
    X(TLS_FIRST, 530, "5.7.0", SMTP_REPLY_BAD, "Must issue a STARTTLS command first")                                            \
    X(AUTH_FIRST, 530, "5.7.0", SMTP_REPLY_BAD, "Authentication required; log in with AUTH, mail servers deliver to port 25")    \
    X(AUTH_REFUSED, 535, "5.7.8", 0,                                                                                             \
      "Wrong name or password; the name is your whole address, an administrator can set a new password")                         \
    X(AUTH_NEEDS_TLS, 538, "5.7.11", SMTP_REPLY_BAD, "Encryption required: say STARTTLS first")                                  \
    X(NOT_A_LIST, 550, "5.1.1", 0, "That is a mailbox, not a list; VRFY tells of it")                                            \
    X(NOT_OUR_DOMAIN, 550, "5.1.2", 0, "Not in a domain of ours; ask the server of that domain")                                 \
    X(AMBIGUOUS, 553, "5.1.4", 0, "Ambiguous; it may be")                                                                        \
    X(UNKNOWN_RECIPIENT, 550, "5.1.1", 0, "No such mailbox here; check the address")                                             \
    X(DISABLED_RECIPIENT, 550, "5.2.1", 0, "This mailbox is disabled; reach its owner another way")                              \
    X(RELAY_DENIED, 550, "5.7.1", 0,                                                                                             \
      "Relaying denied: mail for this domain is not taken here; users log in on a submission port, usually 465 or 587")          \
    X(CLOSED_GROUP, 550, "5.7.1", 0,                                                                                             \
      "You may not write to this group: log in as one of its members or of its domain, as it asks")                              \
    X(TOO_MANY_MAILBOXES, 550, "5.2.4", 0, "This address stands for more than 1000 mailboxes; write to parts of it")             \
    X(ROUTED_RECIPIENT, 550, "5.7.1", 0,                                                                                         \
      "Relaying denied: no route within an address is followed; write to the last address of it")                                \
    X(NO_QUEUE, 550, "5.7.1", 0,                                                                                                 \
      "Mail for other domains cannot be sent yet: there is no queue; write to addresses of this server")                         \
    X(UTF8_SENDER, 550, "5.6.7", 0, "Addresses beyond ASCII need the SMTPUTF8 parameter; add it to MAIL FROM")                   \
    X(UTF8_RECIPIENT, 553, "5.6.7", 0, "Addresses beyond ASCII need MAIL with the SMTPUTF8 parameter; RSET, then add it")        \
    X(NOT_YOUR_ADDRESS, 553, "5.7.1", 0,                                                                                         \
      "You may not send as this address; take the one that you log in with, or one of its aliases")                              \
    X(NOT_YOUR_FROM, 550, "5.7.1", 0,                                                                                            \
      "The message says it is from an address that you may not send as; set From to one of your own")                            \
    X(BAD_FROM, 550, "5.6.0", 0, "The message does not say clearly whom it is from; give it one From field with your address")   \
    X(BARE_LF, 550, "5.6.0", 0, "The message has a bare LF: lines end with CR LF, mend the sending program")                     \
    X(BARE_CR, 550, "5.6.0", 0, "The message has a bare CR: lines end with CR LF, mend the sending program")                     \
    X(HAS_NUL, 550, "5.6.0", 0, "The message has a NUL byte: encode it as base64")                                               \
    X(BODY_LINE_TOO_LONG, 550, "5.6.0", 0, "The message has a line longer than 65536 bytes: encode it")                          \
    X(HEADER_TOO_LARGE, 550, "5.6.0", 0, "The header is larger than 248 KiB; name fewer recipients in it")                       \
    X(MAILBOX_FULL_FINAL, 552, "5.2.2", 0, "The mailbox is full; its owner must delete mail first")                              \
    X(MAILBOX_TOO_SMALL, 552, "5.2.3", 0, "The message is larger than this mailbox may ever hold; send a smaller one")           \
    X(NOT_ENCODABLE, 554, "5.6.0", 0,                                                                                            \
      "Bytes that are no lines stand where no part's body is, or in one that says it is encoded; encode all parts as base64")    \
    X(SIGNED_BINARY, 554, "5.6.3", 0, "A part of a signed message is no lines: encode it as base64, then sign")                  \
    X(TOO_LARGE, 552, "5.3.4", 0, "Message too large; send a smaller one, the answer to EHLO tells the limit")                   \
    X(TOO_LARGE_CLOSE, 552, "5.3.4", SMTP_REPLY_CLOSE,                                                                           \
      "Message far too large; send a smaller one, the answer to EHLO tells the limit")                                           \
    X(TOO_MANY_CHUNKS, 552, "5.3.4", 0, "Too many chunks; send larger ones")                                                     \
    X(BAD_CHUNK, 554, "5.5.4", SMTP_REPLY_BAD | SMTP_REPLY_CLOSE,                                                                \
      "Malformed BDAT: it needs a length in bytes, then LAST or nothing")                                                        \
    X(LACK_OF_SECURITY, 554, "5.7.0", SMTP_REPLY_BAD,                                                                            \
      "Command refused due to lack of security; connect with a client certificate that is accepted here")                        \
    X(INJECTION, 554, "5.7.0", SMTP_REPLY_CLOSE,                                                                                 \
      "Commands after STARTTLS before TLS: somebody may be tampering; wait for the answer, then begin TLS")                      \
    X(XCLIENT_REFUSED, 550, "5.7.0", SMTP_REPLY_BAD,                                                                             \
      "You may not speak for others; an administrator names those who may in valise.conf")                                       \
    X(NOT_SERVED, 554, "5.7.1", 0, "Your address is not served here; ask the administrator, or come from a network that is")     \
    X(LOOP, 554, "5.4.6", 0, "Mail loop: more than 100 Received: fields; mend the forwarding that brings it back")               \
    X(PARAMETER_UNKNOWN, 555, "5.5.4", SMTP_REPLY_BAD, "Parameter not offered; leave it out, the answer to EHLO lists what is")

#define SMTP_REPLY_ENUM(name, code, status, flags, text) SMTP_REPLY_##name,
enum smtp_reply { SMTP_REPLIES(SMTP_REPLY_ENUM) SMTP_REPLY_COUNT };
#undef SMTP_REPLY_ENUM

unsigned smtp_reply_code(enum smtp_reply r);
unsigned smtp_reply_flags(enum smtp_reply r);
/* The usual text of an answer. */
str smtp_reply_text(enum smtp_reply r);
/* The reason of refusal R for the log, never empty: what failed here (E), else WHY as the client is told, else the usual text. */
str smtp_reply_reason(enum smtp_reply r, str why, const struct error *e);

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
