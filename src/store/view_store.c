/* view_store: STORE and EXPUNGE. Many messages are changed in several commits, of which each is whole; all share the wait for
 * the disk. */
#include "store/view_private.h"

int view_enter_write(struct mail_view *v)
{
    if (v->read_only)
        return ERR_REFUSED;
    int r = account_enter_write(v->a);
    if (r)
        return r;
    r = v->mb->gone ? ERR_NOTFOUND : mailbox_index_load(v->a, v->mb);
    if (r)
        account_leave(v->a);
    return r;
}

int view_finish(struct mail_view *v, struct mailbox *mb, uint64_t epoch, uint64_t modseq)
{
    int r = account_wait(v->a, epoch, modseq);
    mailbox_wake(v->a, mb, v);
    return r;
}

/* --- STORE --- */

struct storing {
    struct mail_view *v;
    const uint32_t *seqs;
    size_t n;
    enum mail_store_mode mode;
    const struct mail_flags *flags;
    bool silent;
    uint64_t unchanged_since;
    uint32_t *modified;
    size_t modified_n, missing;
    size_t at;              /* SEQS before this are done */
    uint64_t epoch, modseq; /* of the last commit; 0: none */
    struct keyword_plan keywords;
};

static uint64_t flags_after(enum mail_store_mode mode, uint64_t old, uint64_t bits)
{
    switch (mode) {
    case MAIL_FLAGS_ADD:
        return old | bits;
    case MAIL_FLAGS_REMOVE:
        return old & ~bits;
    case MAIL_FLAGS_SET:
        return bits;
    }
    panic("no such mode: %d", (int)mode);
}

/* Notes that the client knows the new flags of E, unless another session's change is still to be told (then both are). */
static void note_silent(struct mail_view *v, const struct mail_entry *e, uint64_t modseq)
{
    bool known = e->modseq <= v->modseq;
    for (size_t i = v->silent_n; i > 0 && !known; i--)
        known = v->silent[i - 1].uid == e->uid && v->silent[i - 1].modseq == e->modseq;
    if (!known)
        return;
    if (v->silent_n == v->silent_cap) {
        v->silent_cap = v->silent_cap ? v->silent_cap * 2 : 16;
        v->silent = reallocarray(v->silent, v->silent_cap, sizeof *v->silent);
        if (!v->silent)
            panic("out of memory for %zu changes", v->silent_cap);
    }
    v->silent[v->silent_n++] = (struct uid_modseq){ e->uid, modseq };
}

static void note_echo(struct mail_view *v, uint32_t uid)
{
    if (v->echo_n == v->echo_cap) {
        v->echo_cap = v->echo_cap ? v->echo_cap * 2 : 16;
        v->echo = reallocarray(v->echo, v->echo_cap, sizeof *v->echo);
        if (!v->echo)
            panic("out of memory for %zu changes", v->echo_cap);
    }
    v->echo[v->echo_n++] = uid;
}

static void store_one(struct storing *s, struct update *u, uint32_t seq, uint64_t bits)
{
    struct mail_view *v = s->v;
    uint32_t uid = mail_view_uid(v, seq);
    const struct mail_entry *e = mailbox_index_get(v->mb, uid, seq - 1);
    if (!e) {
        s->missing++;
        return;
    }
    if (e->modseq > s->unchanged_since) {
        if (s->modified)
            s->modified[s->modified_n] = seq;
        s->modified_n++;
        return;
    }
    uint64_t after = flags_after(s->mode, e->flags, bits);
    if (after != e->flags) {
        if (s->silent)
            note_silent(v, e, u->h.modseq);
        update_flags(u, v->mb, e, after);
    }
    if (!s->silent)
        note_echo(v, uid);
}

/* One commit with as many messages as it holds. */
static int store_some(struct storing *s)
{
    struct mail_view *v = s->v;
    struct storing before = *s;
    size_t silent_n = v->silent_n, echo_n = v->echo_n;
    uint64_t bits;
    int r = view_enter_write(v);
    if (r)
        return r;
    keyword_plan_begin(&s->keywords, v->a, v->mb);
    r = mail_flags_resolve(&s->keywords, s->flags, s->mode == MAIL_FLAGS_REMOVE ? MAIL_FLAGS_KNOWN : MAIL_FLAGS_OR_DROP, &bits);
    if (r) {
        account_leave(v->a);
        return r;
    }
    v->dropped = s->keywords.dropped;
    struct update u;
    update_begin(&u, v->a);
    if (s->mode != MAIL_FLAGS_REMOVE && s->flags->system & MAIL_DELETED)
        engine_urgent(u.t); /* a full disk is emptied so */
    for (; s->at < s->n && u.ops < UPDATE_OPS_MAX; s->at++)
        store_one(s, &u, s->seqs[s->at], bits);
    if (u.n) {
        mail_flags_write(&u, &s->keywords);
        r = update_commit(&u);
        if (!r) {
            mail_flags_adopt(&s->keywords);
            if (!s->modseq)
                mailbox_ref(v->mb);
            s->epoch = v->a->epoch;
            s->modseq = v->a->h.modseq;
        } else {
            *s = before;
            v->silent_n = silent_n;
            v->echo_n = echo_n;
        }
    } else {
        update_abort(&u);
    }
    account_leave(v->a);
    return r;
}

uint32_t mail_view_dropped(const struct mail_view *v)
{
    return v->dropped;
}

int mail_view_store(struct mail_view *v, const uint32_t *seqs, size_t n, enum mail_store_mode mode,
                    const struct mail_flags *flags, bool silent, uint64_t unchanged_since, uint32_t *modified,
                    size_t *ret_modified_n, size_t *ret_missing)
{
    struct storing s = { .v = v,
                         .seqs = seqs,
                         .n = n,
                         .mode = mode,
                         .flags = flags,
                         .silent = silent,
                         .unchanged_since = unchanged_since,
                         .modified = modified };
    int r = v->read_only ? ERR_REFUSED : 0;
    for (int conflicts = 0; s.at < n && !r;) {
        r = store_some(&s);
        if (r == ERR_CONFLICT && conflicts++ < 5)
            r = 0;
    }
    if (s.modseq) {
        int waited = view_finish(v, v->mb, s.epoch, s.modseq);
        r = r ? r : waited;
    }
    if (!r) {
        if (ret_modified_n)
            *ret_modified_n = s.modified_n;
        if (ret_missing)
            *ret_missing = s.missing;
    }
    return r;
}

/* --- EXPUNGE --- */

/* One commit that removes up to RELEASE_MAX of the messages UIDS with \Deleted; *AT moves on. */
static int expunge_some(struct mail_view *v, const uint32_t *uids, size_t n, size_t *at, uint64_t *ret_epoch,
                        uint64_t *ret_modseq)
{
    int r = view_enter_write(v);
    if (r)
        return r;
    struct mailbox *mb = v->mb;
    uint64_t emails[RELEASE_MAX];
    size_t found = 0, next = *at, hint = next;
    struct update u;
    update_begin(&u, v->a);
    engine_urgent(u.t); /* also where the email stays in another mailbox */
    for (; next < n && found < RELEASE_MAX; next++, hint++) {
        hint = mailbox_index_find(mb, uids[next], hint);
        if (hint == mb->index_n || mb->index[hint].uid != uids[next] || !(mb->index[hint].flags & MAIL_DELETED))
            continue;
        emails[found++] = mb->index[hint].email;
        update_expunge(&u, mb, &mb->index[hint]);
    }
    r = found ? emails_release(&u, emails, found) : 0;
    if (found && !r) {
        r = update_commit(&u);
    } else {
        update_abort(&u);
    }
    if (!r) {
        *at = next;
        if (found) {
            if (!*ret_modseq)
                mailbox_ref(mb);
            *ret_epoch = v->a->epoch;
            *ret_modseq = v->a->h.modseq;
        }
    }
    account_leave(v->a);
    return r;
}

int mail_view_expunge(struct mail_view *v, const uint32_t *seqs, size_t n)
{
    uint32_t *uids = NULL;
    const uint32_t *list = v->uids;
    uint64_t epoch = 0, modseq = 0;
    int r = v->read_only ? ERR_REFUSED : 0;
    if (seqs) {
        uids = reallocarray(NULL, n + 1, sizeof *uids);
        if (!uids)
            panic("out of memory for %zu messages", n);
        for (size_t i = 0; i < n; i++)
            uids[i] = mail_view_uid(v, seqs[i]);
        list = uids;
    } else {
        n = v->n;
    }
    int conflicts = 0;
    for (size_t at = 0; at < n && !r;) {
        r = expunge_some(v, list, n, &at, &epoch, &modseq);
        if (r == ERR_CONFLICT && conflicts++ < 5)
            r = 0;
    }
    free(uids);
    if (modseq) {
        int waited = view_finish(v, v->mb, epoch, modseq);
        r = r ? r : waited;
    }
    return r;
}
