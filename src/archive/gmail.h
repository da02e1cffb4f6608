/* gmail: the labels that Google Takeout writes into the field X-Gmail-Labels of each message of its mbox.
 *
 * A message has many labels and lies in one folder here. The first of these that it has decides:
 *   Trash -> Trash; Spam -> Junk; Draft -> Drafts; Inbox -> INBOX; a label of the user's own, the first, "Work/Projects" being a folder in a folder;
 *   Sent -> Sent; nothing of these -> Archive.
 * Unread takes \Seen away, Starred is \Flagged, Draft is \Draft, Important is $Important, IMAP_X is the keyword X. Opened, Archived and
 * the categories say nothing more. Google writes its own labels in the account's language: English, French, German, Spanish, Italian,
 * Portuguese and Dutch are known, in other languages they become folders of these names. */
#ifndef VALISE_ARCHIVE_GMAIL_H
#define VALISE_ARCHIVE_GMAIL_H

#include "base/arena.h"
#include "store/mail.h"

struct gmail_labels {
    str folder; /* UTF-8, levels separated by '/', never empty */
    struct mail_flags flags;
};

/* Whether the message TEXT is as Takeout wrote it, SENDER being the first word of its line "From 1594782345678@xxx date". Not so what another program has had
 * since, whose own fields say so, or valise's export: there the message lies where its owner has put it, whatever labels it once had. */
bool gmail_is_takeout(str sender, str text);

/* The value of that field in the header of TEXT; p NULL when it has none, or one that came with the mail: Google writes its own above those of transport. */
str gmail_labels_find(str text);

/* Reads the field's VALUE, folded and in encoded words (RFC 2047) as it is; names in A. ERR_LIMIT. */
int gmail_labels_read(str value, struct arena *a, struct gmail_labels *ret) MUST_USE;

#endif
