/* directory: opening, lookups and lists. Changes are change.c, logging in is login.c. */
#include "directory/directory_private.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/random.h"

enum { LIST_MEMORY_MAX = 1 << 30, SCAN_TRIES = 10, SCRATCH = 1 << 14 };

const engine_part directory_part = { "valise-directory" };
const engine_part logins_part = { "valise-logins" };

/* --- open and close --- */

static int on_row(void *ctx, str key, str value)
{
    return table_apply(ctx, key, value);
}

/* The rows whose key begins with KIND. */
static int load_kind(struct engine *g, struct table *t, char kind, uint64_t *ret_version)
{
    char to = (char)(kind + 1);
    return engine_scan(g, directory_part, (str){ &kind, 1 }, (str){ &to, 1 }, ENGINE_SYNCED, on_row, t, ret_version);
}

int directory_load(struct engine *g, struct table *ret, uint64_t *ret_version, struct error *e)
{
    int r = ERR_CONFLICT;
    for (int tries = 0; r == ERR_CONFLICT && tries < SCAN_TRIES; tries++) {
        /* Domains come first: the others refer to them (T2). All three must show the same version. */
        uint64_t versions[3] = { 0 };
        table_init(ret);
        r = load_kind(g, ret, 'd', &versions[0]);
        if (r == 0)
            r = load_kind(g, ret, 'a', &versions[1]);
        if (r == 0)
            r = load_kind(g, ret, 'l', &versions[2]);
        if (r == 0 && (versions[0] != versions[1] || versions[1] != versions[2]))
            r = ERR_CONFLICT;
        if (r < 0)
            table_done(ret);
        *ret_version = versions[2];
    }
    return r == 0 ? 0 : error_set(e, r, "the directory cannot be read: %s", err_name(r));
}

/* The secret of the decoys outlives the process: a salt that changes would tell a name that is not there. Made at first; a disk that
 * is full must not keep anybody from reading mail. */
static int load_decoy_secret(struct directory *d, struct error *e)
{
    struct arena a = ARENA_INIT(SCRATCH);
    str key = STR_INIT("s"), value = { NULL, 0 };
    int r = engine_get(d->engine, logins_part, &key, 1, ENGINE_SYNCED, &a, &value, NULL);
    if (r < 0) {
        (void)error_set(e, r, "the records of logins cannot be read: %s", err_name(r));
    } else if (value.p && value.n == sizeof d->decoy_secret) {
        memcpy(d->decoy_secret, value.p, value.n);
    } else {
        random_bytes(d->decoy_secret, sizeof d->decoy_secret);
        struct engine_txn *t = engine_begin(d->engine, logins_part, ENGINE_ANY_VERSION);
        engine_put(t, key, (str){ (const char *)d->decoy_secret, sizeof d->decoy_secret });
        int put = engine_commit(t, NULL);
        if (put < 0)
            log_warning("directory-secret", LOG_Z("error", err_name(put)));
    }
    arena_done(&a);
    return r;
}

int directory_open(struct engine *g, struct directory **ret, struct error *e)
{
    struct directory *d = calloc(1, sizeof *d);
    pthread_rwlockattr_t attr;
    require(d);
    int r = directory_load(g, &d->table, &d->version, e);
    if (r < 0) {
        free(d);
        return r;
    }
    d->engine = g;
    r = load_decoy_secret(d, e);
    if (r < 0) {
        table_done(&d->table);
        free(d);
        return r;
    }
    d->verified = verified_new();
    d->gate = gate_new();
    d->throttle = throttle_new();
    d->history = history_new();
    d->clock = clock_real_ms;
    r = throttle_load(d->throttle, g, logins_part, d->clock());
    if (r < 0)
        log_warning("lockouts", LOG_Z("error", err_name(r)), LOG_Z("note", "those of the last run are not known"));
    pthread_mutex_init(&d->change, NULL);
    pthread_rwlockattr_init(&attr);
    pthread_rwlockattr_setkind_np(&attr, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
    pthread_rwlock_init(&d->lock, &attr);
    pthread_rwlockattr_destroy(&attr);
    *ret = d;
    return 0;
}

void directory_free(struct directory *d)
{
    if (!d)
        return;
    directory_tend(d);
    table_done(&d->table);
    verified_free(d->verified);
    gate_free(d->gate);
    throttle_free(d->throttle);
    history_free(d->history);
    secret_wipe(d->decoy_secret, sizeof d->decoy_secret);
    pthread_rwlock_destroy(&d->lock);
    pthread_mutex_destroy(&d->change);
    free(d);
}

void directory_tend(struct directory *d)
{
    int r = throttle_flush(d->throttle, d->engine, logins_part);
    if (r < 0)
        log_warning("lockouts", LOG_Z("error", err_name(r)), LOG_Z("note", "to be written later"));
    history_flush(d, d->clock());
}

/* --- roles --- */

static const char *const role_names[DIRECTORY_ROLE_N] = {
    [DIRECTORY_USER] = "user", [DIRECTORY_ADMIN] = "admin", [DIRECTORY_PROGRAM] = "program"
};

const char *directory_role_name(enum directory_role role)
{
    return role_names[role];
}

enum directory_role directory_role_from_name(str name)
{
    enum directory_role role = 0;
    while (role < DIRECTORY_ROLE_N && !str_eq(name, str_from_z(role_names[role])))
        role++;
    return role;
}

/* --- lookups --- */

bool directory_has_domain(struct directory *d, str domain)
{
    struct arena a = ARENA_INIT(SCRATCH);
    str canonical;
    bool has = false;
    if (directory_canonical_domain(domain, &a, &canonical, NULL) == 0) {
        pthread_rwlock_rdlock(&d->lock);
        has = table_domain(&d->table, canonical) != NULL;
        pthread_rwlock_unlock(&d->lock);
    }
    arena_done(&a);
    return has;
}

static int account_copy(const struct entry *n, struct arena *a, struct directory_account *ret)
{
    struct directory_account copy = { .id = n->id, .enabled = n->enabled, .role = n->role };
    int r = arena_dup(a, n->address, &copy.address);
    if (r == 0)
        *ret = copy;
    return r;
}

/* Follows ADDRESS to accounts; called with the lock. */
static int resolve_locked(const struct table *t, str address, struct entry *ret[DIRECTORY_TARGETS_MAX], size_t *ret_n)
{
    if (!table_domain(t, str_from(address, str_rfind_byte(address, '@') + 1)))
        return ERR_REFUSED;
    struct entry *n = table_lookup(t, address);
    *ret_n = n ? table_follow(t, n, ret) : 0;
    return *ret_n ? 0 : ERR_NOTFOUND;
}

/* "postmaster" alone is the first domain's (RFC 5321 section 4.1.1.3); anything else in its canonical form. */
static int resolve_canonical(struct directory *d, str address, struct arena *a, str *ret)
{
    if (!str_ieq(address, STR("postmaster")))
        return directory_canonical(address, a, ret, NULL);
    pthread_rwlock_rdlock(&d->lock);
    str domain = d->table.first_domain ? d->table.first_domain->name : STR("");
    int r = domain.n ? arena_printf(a, ret, "postmaster@%.*s", STR_ARG(domain)) : ERR_REFUSED;
    pthread_rwlock_unlock(&d->lock);
    return r;
}

int directory_resolve(struct directory *d, str address, struct arena *arena, struct directory_account **ret, size_t *ret_n)
{
    struct entry *found[DIRECTORY_TARGETS_MAX];
    size_t n = 0;
    str canonical;
    int r = resolve_canonical(d, address, arena, &canonical);
    if (r < 0)
        return r;
    pthread_rwlock_rdlock(&d->lock);
    r = resolve_locked(&d->table, canonical, found, &n);
    struct directory_account *list = r == 0 ? arena_array(arena, n, sizeof *list) : NULL;
    if (r == 0 && !list)
        r = ERR_LIMIT;
    for (size_t i = 0; r == 0 && i < n; i++)
        r = account_copy(found[i], arena, &list[i]);
    pthread_rwlock_unlock(&d->lock);
    if (r == 0) {
        *ret = list;
        *ret_n = n;
    }
    return r;
}

bool directory_may_send_as(struct directory *d, engine_part account, str address)
{
    struct arena a = ARENA_INIT(SCRATCH);
    struct entry *found[DIRECTORY_TARGETS_MAX];
    size_t n = 0;
    str canonical;
    bool may = false;
    if (directory_canonical(address, &a, &canonical, NULL) == 0) {
        pthread_rwlock_rdlock(&d->lock);
        if (resolve_locked(&d->table, canonical, found, &n) == 0) {
            for (size_t i = 0; i < n && !may; i++)
                may = memcmp(found[i]->id.b, account.b, sizeof account.b) == 0;
        }
        pthread_rwlock_unlock(&d->lock);
    }
    arena_done(&a);
    return may;
}

int directory_find_account(struct directory *d, str address, struct arena *arena, struct directory_account *ret)
{
    str canonical;
    int r = directory_canonical(address, arena, &canonical, NULL);
    if (r < 0)
        return r;
    pthread_rwlock_rdlock(&d->lock);
    struct entry *n = table_entry(&d->table, canonical);
    r = n && n->kind == DIRECTORY_ACCOUNT ? account_copy(n, arena, ret) : ERR_NOTFOUND;
    pthread_rwlock_unlock(&d->lock);
    return r;
}

void directory_counts(struct directory *d, struct directory_counts *ret)
{
    pthread_rwlock_rdlock(&d->lock);
    *ret = (struct directory_counts){ .domains = d->table.domains.n,
                                      .accounts = d->table.account_n,
                                      .accounts_enabled = d->table.enabled_n,
                                      .aliases = d->table.alias_n };
    pthread_rwlock_unlock(&d->lock);
    ret->argon2_runs = directory_argon2_runs();
}

/* --- lists: a copy is taken under the lock and sorted, then handed out without it --- */

struct list {
    struct arena a;
    struct entry *items; /* copies; of a domain only the address is set: its name */
    size_t n;
};

static int by_address(const void *a, const void *b)
{
    return str_cmp(((const struct entry *)a)->address, ((const struct entry *)b)->address);
}

static int list_add(struct list *l, const struct entry *n)
{
    struct entry *copy = &l->items[l->n];
    *copy = *n;
    copy->targets = arena_array(&l->a, n->target_n, sizeof(str));
    int r = copy->targets ? arena_dup(&l->a, n->address, &copy->address) : ERR_LIMIT;
    for (size_t i = 0; r == 0 && i < n->target_n; i++)
        r = arena_dup(&l->a, n->targets[i], &copy->targets[i]);
    l->n++;
    return r;
}

static int list_domains(const struct table *t, struct list *l)
{
    str key;
    void *value;
    int r = 0;
    l->items = arena_array(&l->a, t->domains.n, sizeof *l->items);
    if (!l->items)
        return ERR_LIMIT;
    for (size_t iter = 0; r == 0 && map_next(&t->domains, &iter, &key, &value);)
        r = list_add(l, &(struct entry){ .address = key });
    return r;
}

/* Entries of KIND in DOMAIN (empty: all). */
static int list_entries(const struct table *t, enum directory_kind kind, str domain, struct list *l)
{
    str key;
    void *value;
    int r = 0;
    if (domain.n && !table_domain(t, domain))
        return ERR_NOTFOUND;
    l->items = arena_array(&l->a, kind == DIRECTORY_ACCOUNT ? t->account_n : t->alias_n, sizeof *l->items);
    if (!l->items)
        return ERR_LIMIT;
    for (size_t iter = 0; r == 0 && map_next(&t->entries, &iter, &key, &value);) {
        const struct entry *n = value;
        if (n->kind == kind && (!domain.n || str_eq(str_from(key, str_rfind_byte(key, '@') + 1), domain)))
            r = list_add(l, n);
    }
    return r;
}

/* Makes list L: domains for DIRECTORY_NONE. L->a is to be released in every case. */
static int list_make(struct directory *d, enum directory_kind kind, str domain, struct list *l)
{
    str canonical = { 0 };
    *l = (struct list){ .a = ARENA_INIT(LIST_MEMORY_MAX) };
    int r = domain.n ? directory_canonical_domain(domain, &l->a, &canonical, NULL) : 0;
    if (r < 0)
        return r;
    pthread_rwlock_rdlock(&d->lock);
    r = kind == DIRECTORY_NONE ? list_domains(&d->table, l) : list_entries(&d->table, kind, canonical, l);
    pthread_rwlock_unlock(&d->lock);
    if (r == 0)
        qsort(l->items, l->n, sizeof *l->items, by_address);
    return r;
}

int directory_domains(struct directory *d, int (*fn)(void *ctx, str domain), void *ctx)
{
    struct list l;
    int r = list_make(d, DIRECTORY_NONE, STR(""), &l);
    for (size_t i = 0; r == 0 && i < l.n; i++)
        r = fn(ctx, l.items[i].address);
    arena_done(&l.a);
    return r;
}

int directory_accounts(struct directory *d, str domain, int (*fn)(void *ctx, const struct directory_account *account), void *ctx)
{
    struct list l;
    int r = list_make(d, DIRECTORY_ACCOUNT, domain, &l);
    for (size_t i = 0; r == 0 && i < l.n; i++) {
        const struct entry *n = &l.items[i];
        r = fn(ctx, &(struct directory_account){ n->id, n->address, n->enabled, n->role });
    }
    arena_done(&l.a);
    return r;
}

int directory_aliases(struct directory *d, str domain, int (*fn)(void *ctx, str address, const str *targets, size_t n), void *ctx)
{
    struct list l;
    int r = list_make(d, DIRECTORY_ALIAS, domain, &l);
    for (size_t i = 0; r == 0 && i < l.n; i++)
        r = fn(ctx, l.items[i].address, l.items[i].targets, l.items[i].target_n);
    arena_done(&l.a);
    return r;
}
