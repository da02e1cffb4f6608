/* change: one row at a time, committed, then applied to the table.
 *
 *  C1  d->change is held from the check to the applying: what was checked is what is changed.
 *  C2  A commit names the version that the table shows; when another process was faster the table is read again and the check
 *      repeated. */
#include "directory/change_private.h"

#include "base/log.h"
#include "base/random.h"
#include "base/utf8.h"

enum { TRIES = 10, SCRATCH = 1 << 17, ROWS_MAX = 16 << 20 };

/* Reads the table again. */
static int change_reload(struct directory *d, struct error *e)
{
    struct table fresh, old;
    uint64_t version;
    int r = directory_load(d->engine, &fresh, &version, e);
    if (r < 0)
        return r;
    pthread_rwlock_wrlock(&d->lock);
    old = d->table;
    standing_compare(d, &old, &fresh);
    d->table = fresh;
    d->version = version;
    pthread_rwlock_unlock(&d->lock);
    table_done(&old);
    return 0;
}

static void left_key(struct buf *b, engine_part id)
{
    row_key(b, 'm', (str){ (const char *)id.b, sizeof id.b });
}

static void put_or_delete(struct engine_txn *t, str key, str value)
{
    if (value.p)
        engine_put(t, key, value);
    else
        engine_del(t, key);
}

int change_add_row(struct change *c, struct change_row **list, char kind, str name, const struct buf *value)
{
    struct buf key = BUF_INIT(DIRECTORY_KEY_MAX);
    struct change_row *row = arena_new(c->arena, struct change_row);
    row_key(&key, kind, name);
    int r = !row || buf_error(&key) || (value && buf_error(value)) ? ERR_LIMIT : arena_dup(c->arena, buf_str(&key), &row->key);
    if (r == 0 && value)
        r = arena_dup(c->arena, buf_str(value), &row->value);
    if (r == 0) {
        row->next = *list;
        *list = row;
    }
    buf_done(&key);
    return r;
}

/* Commits row KEY with VALUE (p NULL: deletes it), and the rows that go along. */
static int change_commit(struct directory *d, const struct change *c, str key, str value)
{
    uint64_t version;
    struct engine_txn *t = engine_begin(d->engine, directory_part, d->version);
    /* Small, and an administrator's or a user's own: also on a full disk accounts are removed, disabled and given passwords. */
    engine_urgent(t);
    put_or_delete(t, key, value);
    for (const struct change_row *row = c->rows; row; row = row->next)
        put_or_delete(t, row->key, row->value);
    for (const struct change_row *row = c->unshown; row; row = row->next)
        put_or_delete(t, row->key, row->value);
    struct buf left = BUF_INIT(DIRECTORY_KEY_MAX);
    if (c->leaves) {
        left_key(&left, c->id);
        engine_put(t, buf_str(&left), STR(""));
    }
    int r = engine_commit(t, &version);
    buf_done(&left);
    if (r < 0)
        return r;
    d->version = version;
    pthread_rwlock_wrlock(&d->lock);
    for (const struct change_row *row = c->rows; row; row = row->next)
        require(table_apply(&d->table, row->key, row->value) == 0);
    require(table_apply(&d->table, key, value) == 0);
    standing_raise(d, &c->id, c->ends);
    if (c->leaves || c->keeps)
        standing_forget(d, &c->id);
    pthread_rwlock_unlock(&d->lock);
    return 0;
}

/* As what a name is there. */
static const char *kind_text(enum directory_kind kind)
{
    return kind == DIRECTORY_ALIAS ? "an alias" : kind == DIRECTORY_GROUP ? "a group" : "a user";
}

int change_check_new_address(const struct table *t, const struct change *c, struct error *e)
{
    str domain = str_from(c->name, str_rfind_byte(c->name, '@') + 1);
    const struct domain *d = table_domain(t, domain);
    int r = address_check_spelling(c->name, e);
    if (r < 0)
        return r;
    if (!d)
        return error_set(e, ERR_REFUSED, "the domain of %.*s is not one of ours; add it first", STR_ARG(c->name));
    if (d->alias_of.n)
        return error_set(e, ERR_REFUSED, "%.*s is another name of %.*s; add the address there", STR_ARG(domain),
                         STR_ARG(d->alias_of));
    const struct entry *there = table_entry(t, c->name);
    if (there)
        return error_set(e, ERR_EXISTS, "%.*s is there already, as %s", STR_ARG(c->name), kind_text(there->kind));
    return 0;
}

int change_run(struct directory *d, struct change *c, struct error *e)
{
    struct buf key = BUF_INIT(DIRECTORY_KEY_MAX), value = BUF_INIT(ENGINE_VALUE_MAX);
    struct arena rows = ARENA_INIT(ROWS_MAX);
    bool reloaded = false;
    int r = ERR_CONFLICT;
    c->arena = &rows;
    row_key(&key, c->kind, c->name);
    require(buf_error(&key) == 0);
    pthread_mutex_lock(&d->change);
    for (int tries = 0; r == ERR_CONFLICT && tries < TRIES; tries++) {
        buf_reset(&value);
        r = tries ? change_reload(d, e) : 0;
        reloaded |= tries > 0;
        if (r == 0)
            r = c->check(&d->table, c, &value, e);
        if (r < 0 || c->is_question)
            break;
        r = buf_error(&value);
        if (r == 0)
            r = change_commit(d, c, buf_str(&key), value.n ? buf_str(&value) : (str){ NULL, 0 });
        if (r < 0)
            error_set(e, r, "the directory could not be changed: %s", err_name(r));
    }
    /* The table must not show what may not be there; if it cannot be read now, the next change meets a conflict and reads it. */
    reloaded |= r == ERR_UNKNOWN;
    if (r == ERR_UNKNOWN && change_reload(d, NULL) < 0)
        d->version = UINT64_MAX - 1;
    pthread_mutex_unlock(&d->change);
    if (reloaded || (r == 0 && c->ends && !c->is_question))
        standing_tell(d, reloaded ? NULL : &c->id);
    arena_done(&rows);
    buf_done(&key);
    buf_done(&value);
    return r;
}

/* --- accounts --- */

/* The account C->name in *RET. */
static int check_account(const struct table *t, const struct change *c, struct entry *ret, struct error *e)
{
    const struct entry *n = table_entry(t, c->name);
    if (!n || n->kind != DIRECTORY_ACCOUNT)
        return error_set(e, ERR_NOTFOUND, "there is no account %.*s", STR_ARG(c->name));
    *ret = *n;
    return 0;
}

/* The same for a change that takes back the logins ENDS of it. */
static int check_account_ends(const struct table *t, struct change *c, enum change_ends ends, struct entry *ret, struct error *e)
{
    int r = check_account(t, c, ret, e);
    if (r == 0)
        c->id = ret->id;
    c->ends = ends;
    return r;
}

static int check_policy(const struct change *c, struct error *e)
{
    return c->policy && c->password.n ? policy_check(c->policy, c->name, c->password, e) : 0;
}

/* Whether an account of ROLE may have the password that C sets. */
static int check_new_password(const struct change *c, enum directory_role role, struct error *e)
{
    if (c->password.n && role == DIRECTORY_PROGRAM)
        return error_set(e, ERR_REFUSED,
                         "%.*s is a program's account: it has no password of its own, `valise user app-password add' makes one",
                         STR_ARG(c->name));
    return check_policy(c, e);
}

static int check_account_add(const struct table *t, struct change *c, struct buf *value, struct error *e)
{
    int r = change_check_new_address(t, c, e);
    if (r == 0)
        r = check_new_password(c, c->role, e);
    if (r == 0)
        row_encode_account(value, &(struct entry){ .id = c->id,
                                                   .enabled = true,
                                                   .role = c->role,
                                                   .seq = t->seq_max + 1,
                                                   .display = c->display,
                                                   .language = c->language,
                                                   .hash = c->hash,
                                                   .scram = { c->scram[0], c->scram[1] } });
    return r;
}

static int check_account_password(const struct table *t, struct change *c, struct buf *value, struct error *e)
{
    struct entry n;
    int r = check_account_ends(t, c, c->keeps_sealed ? CHANGE_ENDS_NONE : CHANGE_ENDS_PASSWORD, &n, e);
    if (r == 0)
        r = check_new_password(c, n.role, e);
    if (r < 0)
        return r;
    if (!c->keeps_sealed && n.legacy != c->legacy)
        return error_set(e, ERR_UNAVAILABLE, "%.*s was flagged for other mechanisms meanwhile; try again", STR_ARG(c->name));
    if (!c->keeps_sealed)
        n.sealed = c->sealed;
    n.hash = c->hash;
    memcpy(n.scram, c->scram, sizeof n.scram);
    row_encode_account(value, &n);
    return 0;
}

static int check_account_legacy(const struct table *t, struct change *c, struct buf *value, struct error *e)
{
    struct entry n;
    int r = check_account(t, c, &n, e);
    if (r == 0 && c->legacy && !str_eq(n.hash, c->old_hash))
        r = error_set(e, ERR_UNAVAILABLE, "%.*s has got another password meanwhile; try again", STR_ARG(c->name));
    if (r < 0)
        return r;
    n.legacy = c->legacy;
    n.sealed = c->sealed;
    row_encode_account(value, &n);
    return 0;
}

static int check_account_upgrade(const struct table *t, struct change *c, struct buf *value, struct error *e)
{
    const struct entry *n = table_entry(t, c->name);
    if (!n || n->kind != DIRECTORY_ACCOUNT || !str_eq(n->hash, c->old_hash))
        return error_set(e, ERR_NOTFOUND, "%.*s has another password meanwhile", STR_ARG(c->name));
    return check_account_password(t, c, value, e);
}

static int check_app_password(const struct table *t, struct change *c, struct buf *value, struct error *e)
{
    struct entry n;
    struct buf list = BUF_INIT(DIRECTORY_APPS_MAX);
    int r = check_account_ends(t, c, c->secret.n ? CHANGE_ENDS_NONE : CHANGE_ENDS_SOME, &n, e);
    if (r == 0)
        r = c->secret.n ? app_passwords_add(n.apps, c->app, c->secret, &list, e) : app_passwords_remove(n.apps, c->app, &list, e);
    if (r == 0) {
        n.apps = buf_str(&list);
        row_encode_account(value, &n);
    }
    buf_done(&list);
    return r;
}

static int check_account_enable(const struct table *t, struct change *c, struct buf *value, struct error *e)
{
    struct entry n;
    int r = check_account_ends(t, c, c->enabled ? CHANGE_ENDS_NONE : CHANGE_ENDS_ALL, &n, e);
    if (r < 0)
        return r;
    n.enabled = c->enabled;
    row_encode_account(value, &n);
    return 0;
}

static int check_account_role(const struct table *t, struct change *c, struct buf *value, struct error *e)
{
    struct entry n;
    int r = check_account_ends(t, c, CHANGE_ENDS_ALL, &n, e);
    if (r < 0)
        return r;
    if (n.role == c->role)
        c->ends = CHANGE_ENDS_NONE;
    n.role = c->role;
    row_encode_account(value, &n);
    return 0;
}

static int check_account_quota(const struct table *t, struct change *c, struct buf *value, struct error *e)
{
    struct entry n;
    int r = check_account(t, c, &n, e);
    if (r < 0)
        return r;
    n.quota = c->quota;
    row_encode_account(value, &n);
    return 0;
}

static int check_account_language(const struct table *t, struct change *c, struct buf *value, struct error *e)
{
    struct entry n;
    int r = check_account(t, c, &n, e);
    if (r < 0)
        return r;
    n.language = c->language;
    row_encode_account(value, &n);
    return 0;
}

static int check_account_remove(const struct table *t, struct change *c, struct buf *value, struct error *e)
{
    struct entry n;
    c->unshown = NULL;
    int r = check_account_ends(t, c, CHANGE_ENDS_SOME, &n, e);
    if (r == 0)
        r = reference_settle(t, c, table_entry(t, c->name), e);
    if (r == 0 && c->keeps && (r = removed_keep(t, c, &n)))
        (void)error_set(e, r, "%.*s is in too many groups for them to be remembered; --now removes it for good",
                        STR_ARG(c->name));
    return r;
}

/* The account C->name as it is now, its hash in ARENA. */
static int find_account(struct directory *d, const struct change *c, struct arena *a, struct entry *ret, struct error *e)
{
    pthread_rwlock_rdlock(&d->lock);
    int r = check_account(&d->table, c, ret, e);
    if (r == 0)
        r = arena_dup(a, ret->hash, &ret->hash);
    pthread_rwlock_unlock(&d->lock);
    return r;
}

/* The secrets of MECHANISMS, with PASSWORD, for account C->name whose id is ID: to SEALED and C. */
static int seal_secrets(struct directory *d, struct change *c, const engine_part *id, unsigned mechanisms, str password,
                        struct buf *sealed, struct error *e)
{
    struct buf realm = BUF_INIT(256);
    int r = directory_realm(d, &realm);
    if (r == 0)
        r = legacy_make(d, &(struct legacy_order){ *id, c->name, buf_str(&realm), password, mechanisms }, sealed, e);
    buf_done(&realm);
    c->legacy = mechanisms;
    c->sealed = buf_str(sealed);
    return r;
}

/* Before a password changes: the secrets of what the account is flagged for change with it. */
static int reseal(struct directory *d, struct change *c, str password, struct arena *a, struct buf *sealed, struct error *e)
{
    struct entry n;
    if (c->check != check_account_password || find_account(d, c, a, &n, NULL) < 0 || !n.legacy)
        return 0;
    return seal_secrets(d, c, &n.id, n.legacy, password, sealed, e);
}

int directory_account_legacy(struct directory *d, str address, unsigned mechanisms, str password, struct error *e)
{
    struct arena a = ARENA_INIT(SCRATCH);
    struct buf sealed = BUF_INIT(DIRECTORY_SEALED_MAX);
    struct change c = { .check = check_account_legacy, .kind = 'a' };
    struct entry n;
    struct buf prepared;
    bool is_old;
    buf_init_secret(&prepared, 4 * DIRECTORY_PASSWORD_MAX);
    int r = directory_home_address(d, address, &a, &c.name, e);
    if (r == 0)
        r = find_account(d, &c, &a, &n, e);
    if (r == 0 && mechanisms && n.role == DIRECTORY_PROGRAM)
        r = error_set(e, ERR_REFUSED, "%.*s is a program's account: it has no password of its own", STR_ARG(c.name));
    if (r == 0 && mechanisms) {
        c.old_hash = n.hash;
        r = gate_enter(d->gate);
        if (r == 0) {
            struct directory_cost cost = gate_cost(d->gate);
            r = password_fits(d->gate, &cost, n.hash, password, &is_old);
            gate_leave(d->gate);
        }
        if (r == ERR_REFUSED)
            r = error_set(e, r, "that is not the present password of %.*s; `valise user passwd' sets another", STR_ARG(c.name));
        else if (r)
            (void)error_set(e, r, "the password cannot be checked now; try again");
    }
    if (r == 0 && mechanisms)
        r = seal_secrets(d, &c, &n.id, mechanisms, password_prepare(password, &prepared) == 0 ? buf_str(&prepared) : password,
                         &sealed, e);
    if (r == 0)
        r = change_run(d, &c, e);
    buf_done(&prepared);
    buf_done(&sealed);
    arena_done(&a);
    return r;
}

/* The form of PASSWORD that is hashed. One that was right at a login is kept whatever it is. */
static int prepare(str *password, const struct change *c, struct buf *prepared, struct error *e)
{
    if (!password->n)
        return 0;
    if (password->n > DIRECTORY_PASSWORD_MAX)
        return error_set(e, ERR_LIMIT, "a password has at most %d bytes", DIRECTORY_PASSWORD_MAX);
    if (password_prepare(*password, prepared) == 0)
        *password = buf_str(prepared);
    else if (!c->keeps_sealed)
        return error_set(e, ERR_SYNTAX,
                         "not every program can send this password: it has control characters, mixes right-to-left letters with "
                         "others, or is not "
                         "UTF-8 (RFC 4013); choose another");
    return 0;
}

/* Runs C on ADDRESS; with PASSWORD not empty its hash is an argument of the check. */
static int account_change(struct directory *d, str address, str password, struct change *c, struct error *e)
{
    struct buf prepared;
    struct arena a = ARENA_INIT(SCRATCH);
    char hash[DIRECTORY_HASH_MAX];
    struct buf scram[DIRECTORY_HASH_N], sealed = BUF_INIT(DIRECTORY_SEALED_MAX);
    for (unsigned i = 0; i < DIRECTORY_HASH_N; i++)
        buf_init_secret(&scram[i], DIRECTORY_SCRAM_MAX);
    buf_init_secret(&prepared, 4 * DIRECTORY_PASSWORD_MAX);
    int r = directory_home_address(d, address, &a, &c->name, e);
    if (r == 0)
        r = prepare(&password, c, &prepared, e);
    if (r == 0 && password.n && !c->is_question) {
        r = password_hash(d->gate, password, hash, e);
        c->hash = r == 0 ? str_from_z(hash) : (str){ 0 };
        for (unsigned i = 0; r == 0 && i < DIRECTORY_HASH_N; i++) {
            if (i == DIRECTORY_SHA1 && !d->scram_sha1)
                continue;
            scram_make(password, (enum directory_hash)i, &scram[i]);
            c->scram[i] = buf_str(&scram[i]);
        }
    }
    c->kind = 'a';
    c->password = password;
    if (r == 0 && password.n && !c->is_question)
        r = reseal(d, c, password, &a, &sealed, e);
    if (r == 0)
        r = change_run(d, c, e);
    buf_done(&sealed);
    for (unsigned i = 0; i < DIRECTORY_HASH_N; i++)
        buf_done(&scram[i]);
    buf_done(&prepared);
    secret_wipe(hash, sizeof hash);
    arena_done(&a);
    return r;
}

int change_upgrade(struct directory *d, str address, str old_hash, str password, struct error *e)
{
    return account_change(d, address, password,
                          &(struct change){ .check = check_account_upgrade, .old_hash = old_hash, .keeps_sealed = true }, e);
}

int change_app_password(struct directory *d, str address, str name, str secret, struct error *e)
{
    return account_change(d, address, STR(""), &(struct change){ .check = check_app_password, .app = name, .secret = secret }, e);
}

int directory_account_add(struct directory *d, str address, str password, engine_part *ret_id, struct error *e)
{
    return directory_account_add_as(d, address, DIRECTORY_USER, password, ret_id, e);
}

int directory_account_add_as(struct directory *d, str address, enum directory_role role, str password, engine_part *ret_id,
                             struct error *e)
{
    return directory_account_make(d, &(struct directory_new_account){ .address = address, .role = role, .password = password },
                                  ret_id, e);
}

/* A name as it is shown in lists. */
static bool is_display(str name)
{
    bool plain = name.n <= DIRECTORY_DISPLAY_MAX && utf8_valid(name);
    for (size_t i = 0; i < name.n && plain; i++)
        plain = (unsigned char)name.p[i] >= ' ' && name.p[i] != 0x7f;
    return plain;
}

int directory_account_make(struct directory *d, const struct directory_new_account *n, engine_part *ret_id, struct error *e)
{
    struct change c = { .check = check_account_add,
                        .policy = &d->policy,
                        .role = n->role,
                        .display = n->name,
                        .language = n->language,
                        .is_question = n->is_question };
    if (!is_display(n->name))
        return error_set(e, ERR_SYNTAX, "a person's name is one line of at most %d bytes of UTF-8", DIRECTORY_DISPLAY_MAX);
    random_bytes(c.id.b, sizeof c.id.b);
    int r = account_change(d, n->address, n->password, &c, e);
    if (r == 0)
        *ret_id = c.id;
    return r;
}

int directory_account_password(struct directory *d, str address, str password, struct error *e)
{
    return account_change(d, address, password, &(struct change){ .check = check_account_password, .policy = &d->policy }, e);
}

void directory_set_scram_sha1(struct directory *d, bool on)
{
    d->scram_sha1 = on;
}

void directory_set_policy(struct directory *d, const struct directory_policy *p)
{
    pthread_mutex_lock(&d->change);
    d->policy = *p;
    pthread_mutex_unlock(&d->change);
}

int directory_account_enable(struct directory *d, str address, bool enabled, struct error *e)
{
    return account_change(d, address, STR(""), &(struct change){ .check = check_account_enable, .enabled = enabled }, e);
}

int directory_account_role(struct directory *d, str address, enum directory_role role, struct error *e)
{
    return account_change(d, address, STR(""), &(struct change){ .check = check_account_role, .role = role }, e);
}

int directory_account_language(struct directory *d, str address, enum language language, struct error *e)
{
    require(language < LANGUAGE_N);
    return account_change(d, address, STR(""), &(struct change){ .check = check_account_language, .language = language }, e);
}

int directory_account_quota(struct directory *d, str address, const struct directory_quota *quota, struct error *e)
{
    return account_change(d, address, STR(""), &(struct change){ .check = check_account_quota, .quota = change_quota(quota) }, e);
}

static int account_remove(struct directory *d, str address, bool with_references, bool keeps, engine_part *ret_id,
                          struct error *e)
{
    struct change c = { .check = check_account_remove,
                        .leaves = !keeps,
                        .keeps = keeps,
                        .now_s = (uint64_t)d->clock() / 1000,
                        .takes_references = with_references };
    int r = account_change(d, address, STR(""), &c, e);
    if (r == 0 && !keeps) {
        app_passwords_forget(d, c.id);
        known_forget(d, c.id);
        history_forget(d, c.id);
    }
    if (r == 0) {
        size_t lifted;
        /* Lock-outs go by name; those that cannot be written off now end by themselves. */
        if (directory_lockout_lift(d, address, &lifted, NULL))
            log_warning("lockouts", LOG_Z("note", "those of a removed account could not be lifted"));
        *ret_id = c.id;
    }
    return r;
}

int directory_account_remove(struct directory *d, str address, bool with_references, engine_part *ret_id, struct error *e)
{
    return account_remove(d, address, with_references, false, ret_id, e);
}

int directory_account_retire(struct directory *d, str address, bool with_references, engine_part *ret_id, struct error *e)
{
    return account_remove(d, address, with_references, true, ret_id, e);
}

int directory_mail_is_gone(struct directory *d, engine_part id)
{
    struct buf key = BUF_INIT(DIRECTORY_KEY_MAX);
    uint64_t version;
    left_key(&key, id);
    pthread_mutex_lock(&d->change);
    struct engine_txn *t = engine_begin(d->engine, directory_part, ENGINE_ANY_VERSION);
    engine_urgent(t);
    engine_del(t, buf_str(&key));
    int r = engine_commit(t, &version);
    if (r == 0 && version == d->version + 1) /* nobody was between; else the next change finds out (C2) */
        d->version = version;
    pthread_mutex_unlock(&d->change);
    buf_done(&key);
    return r;
}

struct left {
    engine_part *ids;
    size_t n, max;
};

static int left_row(void *ctx, str key, str value)
{
    struct left *l = ctx;
    engine_part id;
    if (l->n == l->max)
        return 1;
    if (key.n != 1 + sizeof id.b)
        return ERR_CORRUPT;
    memcpy(id.b, key.p + 1, sizeof id.b);
    l->ids[l->n++] = id;
    return 0;
}

int directory_left_behind(struct directory *d, engine_part *ids, size_t max, size_t *ret_n)
{
    struct left l = { .ids = ids, .max = max };
    int r = engine_scan(d->engine, directory_part, STR("m"), STR("n"), ENGINE_SYNCED, left_row, &l, NULL);
    if (r >= 0)
        *ret_n = l.n;
    return r < 0 ? r : 0;
}
