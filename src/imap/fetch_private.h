/* fetch_private: what cmd_fetch.c and fetch_section.c share. */
#ifndef VALISE_IMAP_FETCH_PRIVATE_H
#define VALISE_IMAP_FETCH_PRIVATE_H

#include "imap/session_private.h"

/* Adds a section of EMAIL as "BODY[...]" SP nstring to s->out; a large one is queued as a source behind what s->out held, so that
 * the message is never in memory. */
void imap_fetch_section(struct imap_session *s, const struct imap_section *section, const struct mail_email *email,
                        const struct structure *structure);

#endif
