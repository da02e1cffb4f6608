/* check_private: what mail_check gathers in its one scan of a partition, all at one version, before it compares. */
#ifndef VALISE_STORE_CHECK_PRIVATE_H
#define VALISE_STORE_CHECK_PRIVATE_H

#include "store/mail_private.h"

struct check_mailbox {
    uint64_t id;
    struct mailbox_record m;     /* name in the arena */
    struct mail_counters c, sum; /* as recorded, as counted */
    bool has_counters, doomed;
    size_t keyword_n;
};
struct check_email {
    uint64_t id;
    engine_blob blob;
    uint64_t size, prefix_n;
    uint64_t entries, refs;
};
struct check_range {
    uint64_t modseq, mailbox;
    uint32_t from, to;
    enum change_kind kind;
};
struct check_entry {
    uint64_t mailbox;
    uint32_t uid;
};
struct check_thread {
    uint64_t hash, emails;
};

#define CHECK_LIST(type)                                                                                                         \
    struct {                                                                                                                     \
        type *p;                                                                                                                 \
        size_t n, cap;                                                                                                           \
    }

struct check {
    struct mail_store *s;
    engine_part id;
    bool deep;
    void (*problem)(void *ctx, const char *text);
    void *ctx;
    struct mail_check_report *report;
    struct arena arena;
    struct header_record h;
    bool has_header, pending;
    struct pending_record pending_at;
    uint64_t log_next;   /* the modseq of the next row of the change log */
    uint64_t log_modseq; /* of the row being read */
    CHECK_LIST(struct check_mailbox) mailboxes;
    CHECK_LIST(struct check_email) emails;
    CHECK_LIST(struct check_range) log;      /* by modseq */
    CHECK_LIST(struct check_range) expunged; /* by mailbox and uid */
    CHECK_LIST(struct check_entry) entries;
    CHECK_LIST(struct check_thread) threads, named; /* rows; what emails name, one each */
};

void check_problem(struct check *k, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Room for one more in a list. */
#define check_add(list) (check_grow((void **)&(list)->p, (list)->n, &(list)->cap, sizeof *(list)->p), &(list)->p[(list)->n++])
void check_grow(void **p, size_t n, size_t *cap, size_t size);

struct check_mailbox *check_mailbox_find(struct check *k, uint64_t id);
struct check_email *check_email_find(struct check *k, uint64_t id);
/* One row of the scan. */
int check_row(void *ctx, str key, str value);

#endif
