/* fetch_private: what cmd_fetch.c, fetch_section.c and fetch_binary.c share. */
#ifndef VALISE_IMAP_FETCH_PRIVATE_H
#define VALISE_IMAP_FETCH_PRIVATE_H

#include "imap/session_private.h"
#include "message/encoding.h"
#include "message/fields.h"

/* Once for a command: what of FETCH's sections is the same for all messages. ERR_LIMIT. */
int imap_fetch_prepare(struct imap_session *s, struct imap_fetch *fetch) MUST_USE;
/* Adds SECTION to s->out like imap_fetch_section, from the header fields that are kept beside the structure; false, and nothing added, when they do not
 * know all names. */
bool imap_fetch_kept(struct imap_session *s, const struct imap_section *section, const struct message_fields *fields);
/* Adds a section of EMAIL as "BODY[...]" SP nstring to s->out; a large one is queued as a source behind what s->out held, so that
 * the message is never in memory. */
void imap_fetch_section(struct imap_session *s, const struct imap_section *section, const struct mail_email *email,
                        const struct structure *structure);
/* Adds the envelope of EMAIL, or of the message enclosed in it, whose header is ROOT's, from the message: for where the structure has not all of it. The header is read in
 * pieces; texts of it (Subject) are in memory meanwhile. */
void imap_fetch_envelope(struct imap_session *s, const struct mail_email *email, const struct part *root);
/* The same for BINARY and BINARY.SIZE. */
void imap_fetch_binary(struct imap_session *s, const struct imap_section *section, const struct mail_email *email,
                       const struct structure *structure);
/* Begins to tell UID, FLAGS and MODSEQ of those of the ranges of sequence numbers SET that changed after modseq SINCE. */
int imap_fetch_begin(struct imap_session *s, const struct imap_set *set, uint64_t since) MUST_USE;
/* Goes on until all is told (true) or the peer must read. */
bool imap_fetch_write(struct imap_session *s);
/* How PART is encoded; UNKNOWN: it cannot be decoded. */
enum message_encoding imap_binary_encoding(const struct part *part);

#endif
