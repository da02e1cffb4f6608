/* view_private: the state of a view.
 *
 *  V1  uids is what the session has been told, ascending; its numbers are its positions.
 *  V2  everything up to modseq has been told, except that the messages in gone are still shown.
 *  V3  what is in gone is in uids. */
#ifndef VALISE_STORE_VIEW_PRIVATE_H
#define VALISE_STORE_VIEW_PRIVATE_H

#include "store/mail_private.h"

struct uid_range {
    uint32_t from, to;
}; /* [from, to) */
struct uid_modseq {
    uint32_t uid;
    uint64_t modseq;
};

struct mail_view {
    struct mail_account *a; /* referenced */
    struct mailbox *mb;     /* referenced */
    struct mail_view *next; /* of the mailbox; account's lock */
    str name;               /* heap; as selected */
    bool read_only, deleted_told;
    void (*wake)(void *ctx);
    void *wake_ctx;

    uint32_t *uids, n;
    size_t cap;
    uint32_t uidnext; /* messages from this uid on have not been told */
    uint64_t modseq;
    uint32_t first_unseen; /* as of the opening */
    struct mailbox_info info;
    struct keyword_table *keywords;
    uint32_t keywords_told;

    struct uid_range *recent; /* ascending */
    size_t recent_n;
    uint32_t *gone; /* expunged, told when expunges may be told; ascending */
    size_t gone_n, gone_cap;
    struct uid_modseq *silent; /* own changes that the client knows of, not to be told */
    size_t silent_n, silent_cap;
    uint32_t *echo; /* to be told although nothing changed: STORE without effect */
    size_t echo_n, echo_cap;
    uint32_t dropped;                  /* keywords that the last STORE left away */
    struct mail_dropped *copy_dropped; /* those that the last COPY left away; NULL: none */
};

/* Makes what is recent in the mailbox recent here; takes the counts to be told. Lock held. */
void view_take_recent(struct mail_view *v);
void view_take_info(struct mail_view *v);

/* After the commits of a view's command, the last of which ended with MODSEQ at EPOCH: waits for the disk and wakes the other
 * views of MB, which was referenced for this. */
int view_finish(struct mail_view *v, struct mailbox *mb, uint64_t epoch, uint64_t modseq) MUST_USE;
/* Enters the account for a change of the view's mailbox, its index loaded. ERR_REFUSED for a read-only view, ERR_NOTFOUND when
 * the mailbox is gone; then the account is not entered. */
/* Takes the mailbox's table of keywords over where it is another one by now. Lock held. */
void view_adopt_keywords(struct mail_view *v);
int view_enter_write(struct mail_view *v) MUST_USE;

#endif
