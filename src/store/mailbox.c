/* mailbox: the list of mailboxes, and their creation, deletion and renaming. */
#include "base/clock.h"
#include "store/mail_private.h"

/* Mailboxes that one commit can create or rename. */
enum { MAILBOXES_AT_ONCE = 450 };

/* --- reading --- */

static int info_of(const struct mail_account *a, const struct mailbox *mb, struct arena *arena, struct mailbox_info *ret)
{
    *ret = (struct mailbox_info){ .id = mb->id,
                                  .use = mb->use,
                                  .exists = true,
                                  .uidvalidity = mb->uidvalidity,
                                  .uidnext = mb->c.uidnext,
                                  .messages = mb->c.messages,
                                  .unseen = mb->c.unseen,
                                  .recent = mb->c.recent,
                                  .bytes = mb->c.bytes,
                                  .modseq = mb->c.modseq,
                                  .subscribed = account_is_subscribed(a, mb->name) };
    return arena_dup(arena, mb->name, &ret->name);
}

static int info_cmp(const void *a, const void *b)
{
    return mailbox_name_cmp(((const struct mailbox_info *)a)->name, ((const struct mailbox_info *)b)->name);
}

/* The ancestors of NAME, from the top, that are not in the list before it (the list is so ordered that they would be right
 * there). */
static size_t add_parents(struct mailbox_info *list, size_t n, str name)
{
    for (size_t end = str_find_byte(name, '/', 0); end < name.n; end = str_find_byte(name, '/', end + 1)) {
        str parent = str_sub(name, 0, end);
        if (n && (str_eq(list[n - 1].name, parent) || mailbox_name_below(list[n - 1].name, parent)))
            continue;
        list[n++] = (struct mailbox_info){ .name = parent };
    }
    return n;
}

/* Marks those that have an existing mailbox below them. */
static void mark_parents(struct mailbox_info *list, size_t n)
{
    size_t above[MAIL_LEVELS_MAX + 1], depth = 0;
    for (size_t i = 0; i < n; i++) {
        while (depth && !mailbox_name_below(list[i].name, list[above[depth - 1]].name))
            depth--;
        for (size_t j = 0; j < depth && list[i].exists; j++)
            list[above[j]].has_children = true;
        above[depth++] = i;
    }
}

static int list_locked(struct mail_account *a, struct arena *arena, struct mailbox_info **ret, size_t *ret_n)
{
    size_t n = 0, parents = 0, out = 0;
    struct mailbox_info *known = arena_array(arena, a->mailbox_n + a->sub_n, sizeof *known);
    if (!known)
        return ERR_LIMIT;
    for (size_t i = 0; i < a->mailbox_n; i++) {
        int r = info_of(a, a->mailboxes[i], arena, &known[n++]);
        if (r)
            return r;
    }
    for (size_t i = 0; i < a->sub_n; i++) {
        if (account_mailbox(a, a->subs[i]))
            continue;
        known[n].subscribed = true;
        int r = arena_dup(arena, a->subs[i], &known[n++].name);
        if (r)
            return r;
    }
    qsort(known, n, sizeof *known, info_cmp);
    for (size_t i = 0; i < n; i++)
        for (size_t at = str_find_byte(known[i].name, '/', 0); at < known[i].name.n;
             at = str_find_byte(known[i].name, '/', at + 1))
            parents++;
    struct mailbox_info *list = parents ? arena_array(arena, n + parents, sizeof *list) : known;
    if (!list)
        return ERR_LIMIT;
    for (size_t i = 0; i < n; i++) {
        out = add_parents(list, out, known[i].name);
        list[out++] = known[i];
    }
    mark_parents(list, out);
    *ret = list;
    *ret_n = out;
    return 0;
}

int mailbox_list(struct mail_account *a, struct arena *arena, struct mailbox_info **ret, size_t *ret_n)
{
    int r = account_enter_durable(a);
    if (r)
        return r;
    r = list_locked(a, arena, ret, ret_n);
    account_leave(a);
    return r;
}

int mailbox_find(struct mail_account *a, str name, struct arena *arena, struct mailbox_info *ret)
{
    str proper;
    if (mailbox_name_normalize(name, arena, &proper, NULL))
        return ERR_NOTFOUND;
    int r = account_enter_durable(a);
    if (r)
        return r;
    struct mailbox *mb = account_mailbox(a, proper);
    struct mailbox_info info;
    r = mb ? info_of(a, mb, arena, &info) : ERR_NOTFOUND;
    for (size_t i = 0; i < a->mailbox_n && !r && !info.has_children; i++)
        info.has_children = mailbox_name_below(a->mailboxes[i]->name, mb->name);
    account_leave(a);
    if (!r)
        *ret = info;
    return r;
}

bool mailbox_is_there(struct mail_account *a, str name)
{
    struct arena scratch = ARENA_INIT(2 * MAIL_NAME_MAX + 64);
    str proper;
    bool there = false;
    if (mailbox_name_normalize(name, &scratch, &proper, NULL) == 0 && account_enter(a) == 0) {
        there = account_mailbox(a, proper) != NULL;
        account_leave(a);
    }
    arena_done(&scratch);
    return there;
}

/* --- changing --- */

/* What a change to the list of mailboxes works with: names in ARENA, results for the waiting after it. */
struct edit {
    struct mail_account *a;
    str from, to;
    enum mail_special_use use;
    bool subscribed;
    struct arena arena;
    struct error *e;
    uint64_t epoch, modseq;
    struct mailbox *wake; /* referenced */
};

/* Runs TRY with the account entered for writing, again after a conflict, then waits for the disk. */
static int edit_run(struct edit *d, int (*try)(struct edit *d))
{
    int r = ERR_CONFLICT;
    for (int attempt = 0; r == ERR_CONFLICT && attempt < 5; attempt++) {
        r = account_enter_write(d->a);
        if (r)
            break;
        uint64_t before = d->a->h.modseq;
        r = try(d);
        if (d->a->loaded && d->a->h.modseq > before) {
            d->epoch = d->a->epoch;
            d->modseq = d->a->h.modseq;
        }
        account_leave(d->a);
    }
    if (d->modseq) {
        int waited = account_wait(d->a, d->epoch, d->modseq);
        r = r ? r : waited;
    }
    if (d->wake)
        mailbox_wake(d->a, d->wake, NULL);
    arena_done(&d->arena);
    if (r && d->e && d->e->code == 0)
        return error_set(d->e, r, "the mailbox could not be changed: %s", err_name(r));
    return r;
}

static void put_mailbox(struct update *u, const struct mailbox *mb, str name)
{
    struct key k = key_of_id(KEY_MAILBOX, mb->id);
    mailbox_encode(&u->scratch, &(struct mailbox_record){ .name = name, .use = mb->use, .uidvalidity = mb->uidvalidity });
    update_put(u, &k, buf_str(&u->scratch));
}

/* A higher one than any the account ever gave out (M1): a name that is used again, for a new mailbox or by renaming another, is not
 * mistaken for the old one. */
static uint32_t next_uidvalidity(const struct header_record *h)
{
    int64_t now = clock_real_ms() / 1000;
    return now > h->last_uidvalidity && now < UINT32_MAX ? (uint32_t)now : h->last_uidvalidity + 1;
}

/* Creates NAME and what it lacks above. The new mailboxes, lowest last, go to NEW, referenced; they are not in the table yet. */
static size_t create_build(struct update *u, str name, enum mail_special_use use, struct mailbox *new[MAIL_LEVELS_MAX])
{
    struct mail_account *a = u->a;
    size_t n = 0;
    for (size_t end = 0; end < name.n;) {
        end = str_find_byte(name, '/', end + 1);
        str level = str_sub(name, 0, end);
        if (account_mailbox(a, level))
            continue;
        u->h.last_uidvalidity = next_uidvalidity(&u->h);
        struct mailbox *mb =
            mailbox_new(a, u->h.next_mailbox++, level, end == name.n ? use : MAIL_USE_NONE, u->h.last_uidvalidity);
        mb->c.modseq = u->h.modseq;
        put_mailbox(u, mb, level);
        struct key k = key_of_id(KEY_COUNTERS, mb->id);
        counters_encode(&u->scratch, &mb->c);
        update_put(u, &k, buf_str(&u->scratch));
        update_note(u, CHANGE_CREATE, mb->id);
        new[n++] = mb;
    }
    return n;
}

/* After the commit: into the table when it succeeded. */
static void create_apply(struct mail_account *a, struct mailbox **new, size_t n, int r)
{
    for (size_t i = 0; i < n; i++) {
        if (!r)
            account_insert(a, new[i]);
        mailbox_unref(a, new[i]);
    }
}

/* Makes D->to what a new mailbox of that name is called: composed, but the mailbox that it is to be below in its own spelling. */
static int edit_name_new(struct edit *d)
{
    char room[MAIL_NAME_ROOM];
    str name = mailbox_name_composed(d->to, room), whole = name;
    str above = name;
    for (size_t slash; (slash = str_rfind_byte(above, '/')) < above.n;) {
        above = str_sub(name, 0, slash);
        const struct mailbox *mb = account_mailbox(d->a, above);
        if (!mb)
            continue;
        int r = arena_printf(&d->arena, &whole, "%.*s%.*s", STR_ARG(mb->name), STR_ARG(str_from(name, slash)));
        if (r)
            return r;
        break;
    }
    return mailbox_name_normalize(whole, &d->arena, &d->to, d->e);
}

static int create_try(struct edit *d)
{
    struct mail_account *a = d->a;
    int r = edit_name_new(d);
    if (r)
        return r;
    if (account_mailbox(a, d->to))
        return error_set(d->e, ERR_EXISTS, "the mailbox exists already; take another name");
    r = mailbox_name_check_new(d->to, d->e);
    if (r)
        return r;
    if (d->use == MAIL_USE_ALL || d->use == MAIL_USE_FLAGGED)
        return error_set(d->e, ERR_REFUSED,
                         "a special use of messages that are elsewhere is not for a mailbox of its own; leave it out");
    for (size_t i = 0; i < a->mailbox_n && d->use != MAIL_USE_NONE; i++) {
        if (a->mailboxes[i]->use == d->use)
            return error_set(d->e, ERR_REFUSED, "another mailbox has the special use; leave it out");
    }
    if (a->mailbox_n + MAIL_LEVELS_MAX > MAIL_MAILBOXES_MAX)
        return error_set(d->e, ERR_LIMIT, "there are too many mailboxes; delete some first");
    struct mailbox *new[MAIL_LEVELS_MAX];
    struct update u;
    update_begin(&u, a);
    size_t n = create_build(&u, d->to, d->use, new);
    r = update_commit(&u);
    create_apply(a, new, n, r);
    return r;
}

int mailbox_create(struct mail_account *a, str name, enum mail_special_use use, struct error *e)
{
    struct edit d = { .a = a, .use = use, .e = e, .arena = ARENA_INIT(64 * 1024) };
    int r = mailbox_name_normalize(name, &d.arena, &d.to, e);
    if (r) {
        arena_done(&d.arena);
        return r;
    }
    return edit_run(&d, create_try);
}

static int delete_try(struct edit *d)
{
    struct mail_account *a = d->a;
    struct mailbox *mb = account_mailbox(a, d->from);
    if (!mb)
        return error_set(d->e, ERR_NOTFOUND, "there is no such mailbox; is the name right?");
    struct update u;
    update_begin(&u, a);
    engine_urgent(u.t);
    struct key k = key_of_id(KEY_MAILBOX, mb->id);
    update_del(&u, &k);
    k = key_of_id(KEY_COUNTERS, mb->id);
    update_del(&u, &k);
    k = key_of_id(KEY_KEYWORDS, mb->id);
    update_del(&u, &k);
    k = key_of_id(KEY_DOOMED, mb->id);
    update_put(&u, &k, STR(""));
    update_note(&u, CHANGE_DELETE, mb->id);
    int r = update_commit(&u);
    if (r)
        return r;
    mb->gone = true;
    mailbox_index_drop(a, mb);
    a->doomed = reallocarray(a->doomed, a->doomed_n + 1, sizeof *a->doomed);
    if (!a->doomed)
        panic("out of memory for a mailbox");
    a->doomed[a->doomed_n++] = mb->id;
    a->doomed_from = 0;
    mailbox_ref(mb);
    d->wake = mb;
    account_remove(a, mb);
    return 0;
}

/* Each entering removes some of what is left; between them others get their turn. */
static void purge_all(struct mail_account *a)
{
    for (size_t left = 1, same = 0; left && same < 3;) {
        if (account_enter_write(a))
            return; /* the rest goes with later changes */
        uint32_t from = a->doomed_from;
        left = a->doomed_n;
        account_leave(a);
        same = from ? 0 : same + 1;
    }
}

int mailbox_delete(struct mail_account *a, str name, struct error *e)
{
    struct edit d = { .a = a, .e = e, .arena = ARENA_INIT(64 * 1024) };
    if (mailbox_name_normalize(name, &d.arena, &d.from, NULL)) {
        arena_done(&d.arena);
        return error_set(e, ERR_NOTFOUND, "there is no such mailbox; is the name right?");
    }
    if (str_eq(d.from, STR("INBOX"))) {
        arena_done(&d.arena);
        return error_set(e, ERR_REFUSED, "INBOX cannot be deleted; delete its messages");
    }
    int r = edit_run(&d, delete_try);
    if (!r)
        purge_all(a);
    return r;
}

/* The mailboxes of a renaming and their new names. */
struct renaming {
    struct mailbox *mb[MAILBOXES_AT_ONCE];
    str name[MAILBOXES_AT_ONCE];
    size_t n;
};

static int rename_collect(struct edit *d, struct renaming *p)
{
    struct mail_account *a = d->a;
    for (size_t i = 0; i < a->mailbox_n; i++) {
        struct mailbox *mb = a->mailboxes[i];
        if (!str_eq(mb->name, d->from) && !mailbox_name_below(mb->name, d->from))
            continue;
        if (p->n == MAILBOXES_AT_ONCE)
            return error_set(d->e, ERR_LIMIT,
                             "the mailbox has too many children to be renamed at once; rename some of them first");
        str name, whole;
        int r = arena_printf(&d->arena, &whole, "%.*s%.*s", STR_ARG(d->to), STR_ARG(str_from(mb->name, d->from.n)));
        if (!r)
            r = mailbox_name_normalize(whole, &d->arena, &name, d->e);
        if (r)
            return r;
        struct mailbox *there = account_mailbox(a, name);
        if (there && (there != mb || str_eq(there->name, name))) /* it may be composed anew */
            return error_set(d->e, ERR_EXISTS, "a mailbox with the new name exists already; take another name");
        p->mb[p->n] = mb;
        p->name[p->n++] = name;
    }
    return p->n ? 0 : error_set(d->e, ERR_NOTFOUND, "there is no such mailbox; is the name right?");
}

static void rename_apply(struct mail_account *a, struct renaming *p)
{
    for (size_t i = 0; i < p->n; i++) {
        mailbox_ref(p->mb[i]);
        account_remove(a, p->mb[i]);
    }
    for (size_t i = 0; i < p->n; i++) {
        struct mailbox *mb = p->mb[i];
        char *name = malloc(p->name[i].n);
        if (!name)
            panic("out of memory for a mailbox name");
        memcpy(name, p->name[i].p, p->name[i].n);
        free((char *)(uintptr_t)mb->name.p);
        mb->name = (str){ name, p->name[i].n };
        account_insert(a, mb);
        mailbox_unref(a, mb);
    }
}

static int rename_try(struct edit *d)
{
    struct mail_account *a = d->a;
    const struct mailbox *mb = account_mailbox(a, d->from);
    if (!mb)
        return error_set(d->e, ERR_NOTFOUND, "there is no such mailbox; is the name right?");
    int r = arena_dup(&d->arena, mb->name, &d->from);
    if (!r)
        r = edit_name_new(d);
    if (r)
        return r;
    if (mailbox_name_below(d->to, d->from))
        return error_set(d->e, ERR_REFUSED, "a mailbox cannot be moved below itself; take another name");
    struct renaming *p = calloc(1, sizeof *p);
    if (!p)
        panic("out of memory for a renaming");
    r = rename_collect(d, p);
    if (!r) {
        struct mailbox *new[MAIL_LEVELS_MAX];
        size_t n = 0, slash = str_rfind_byte(d->to, '/');
        struct update u;
        update_begin(&u, a);
        if (slash < d->to.n)
            n = create_build(&u, str_sub(d->to, 0, slash), MAIL_USE_NONE, new);
        for (size_t i = 0; i < p->n; i++) {
            put_mailbox(&u, p->mb[i], p->name[i]);
            update_note(&u, CHANGE_RENAME, p->mb[i]->id);
        }
        r = update_commit(&u);
        if (!r)
            rename_apply(a, p);
        create_apply(a, new, n, r);
    }
    free(p);
    return r;
}

/* RFC 3501 section 6.3.5: INBOX stays, its messages go; its children stay too. In several commits when there are many
 * messages: each message is in one of the two mailboxes at any time. */
static int rename_inbox_try(struct edit *d)
{
    struct mail_account *a = d->a;
    int r = account_mailbox(a, d->to) && !d->subscribed
                ? error_set(d->e, ERR_EXISTS, "a mailbox with the new name exists already; take another name")
                : 0;
    if (!r && !account_mailbox(a, d->to))
        r = create_try(d);
    if (r)
        return r;
    d->subscribed = true; /* the new mailbox is ours: after a conflict go on */
    struct mailbox *inbox = account_mailbox(a, STR("INBOX"));
    if (!d->wake) {
        mailbox_ref(inbox);
        d->wake = inbox;
    }
    return mailbox_move_all(a, inbox, account_mailbox(a, d->to));
}

int mailbox_rename(struct mail_account *a, str from, str to, struct error *e)
{
    struct edit d = { .a = a, .e = e, .arena = ARENA_INIT(1 << 20) };
    int r = mailbox_name_normalize(to, &d.arena, &d.to, e);
    if (!r)
        r = mailbox_name_check_new(d.to, e);
    if (!r && mailbox_name_normalize(from, &d.arena, &d.from, NULL))
        r = error_set(e, ERR_NOTFOUND, "there is no such mailbox; is the name right?");
    if (r) {
        arena_done(&d.arena);
        return r;
    }
    return edit_run(&d, str_eq(d.from, STR("INBOX")) ? rename_inbox_try : rename_try);
}

/* D->to as it is subscribed, or as the mailbox is called. */
static int edit_name_subscribed(struct edit *d)
{
    char room[MAIL_NAME_ROOM];
    const struct mailbox *mb = account_mailbox(d->a, d->to);
    str name = mb ? mb->name : mailbox_name_composed(d->to, room);
    for (size_t i = 0; i < d->a->sub_n && !d->subscribed; i++) {
        if (mailbox_name_same(d->a->subs[i], d->to) && (str_eq(d->a->subs[i], d->to) || !account_is_subscribed(d->a, d->to)))
            name = d->a->subs[i];
    }
    return mailbox_name_normalize(name, &d->arena, &d->to, NULL);
}

static int subscribe_try(struct edit *d)
{
    int r = edit_name_subscribed(d);
    if (r)
        return r;
    if (account_is_subscribed(d->a, d->to) == d->subscribed)
        return 0;
    char name[1 + MAIL_NAME_MAX];
    name[0] = KEY_SUBSCRIPTION;
    memcpy(name + 1, d->to.p, d->to.n);
    str key = { name, d->to.n + 1 };
    struct update u;
    update_begin(&u, d->a);
    if (d->subscribed)
        engine_put(u.t, key, STR(""));
    else
        engine_del(u.t, key);
    update_note(&u, CHANGE_SUBSCRIBE, 0);
    r = update_commit(&u);
    if (!r)
        account_set_subscribed(d->a, d->to, d->subscribed);
    return r;
}

int mailbox_subscribe(struct mail_account *a, str name, bool subscribed)
{
    struct edit d = { .a = a, .subscribed = subscribed, .arena = ARENA_INIT(64 * 1024) };
    int r = mailbox_name_normalize(name, &d.arena, &d.to, NULL);
    if (r) {
        arena_done(&d.arena);
        return r;
    }
    return edit_run(&d, subscribe_try);
}
