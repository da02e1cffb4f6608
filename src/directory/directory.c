/* directory: opening and lookups. Lists are list.c, changes change.c, logging in is login.c. */
#include "directory/change_private.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/random.h"

enum { SCAN_TRIES = 10, SCRATCH = 1 << 14 };

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
        /* Domains come first: the others refer to them (T2). All must show the same version. */
        static const char kinds[] = { 'd', 'a', 'g', 'l' };
        uint64_t versions[sizeof kinds] = { 0 };
        table_init(ret);
        r = 0;
        for (size_t i = 0; r == 0 && i < sizeof kinds; i++) {
            r = load_kind(g, ret, kinds[i], &versions[i]);
            if (r == 0 && versions[i] != versions[0])
                r = ERR_CONFLICT;
        }
        if (r < 0)
            table_done(ret);
        *ret_version = versions[0];
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
    map_init(&d->standings);
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
    standing_done(d);
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

static const char *const senders_names[DIRECTORY_SENDERS_N] = {
    [DIRECTORY_SENDERS_ANYONE] = "anyone", [DIRECTORY_SENDERS_MEMBERS] = "members", [DIRECTORY_SENDERS_DOMAIN] = "domain"
};

const char *directory_senders_name(enum directory_senders senders)
{
    return senders_names[senders];
}

enum directory_senders directory_senders_from_name(str name)
{
    enum directory_senders senders = 0;
    while (senders < DIRECTORY_SENDERS_N && !str_eq(name, str_from_z(senders_names[senders])))
        senders++;
    return senders;
}

/* --- lookups --- */

bool directory_has_domain(struct directory *d, str domain)
{
    struct arena a = ARENA_INIT(SCRATCH);
    str canonical;
    bool has = false;
    if (directory_canonical_domain(domain, &a, &canonical, NULL) == 0) {
        pthread_rwlock_rdlock(&d->lock);
        has = table_home(&d->table, canonical) != NULL;
        pthread_rwlock_unlock(&d->lock);
    }
    arena_done(&a);
    return has;
}

/* Without the quota: that is asked of all groups. */
static int account_copy_plain(const struct entry *n, struct arena *a, struct directory_account *ret)
{
    struct directory_account copy = {
        .id = n->id, .enabled = n->enabled, .role = n->role, .language = n->language, .legacy = n->legacy
    };
    int r = arena_dup(a, n->address, &copy.address);
    if (r == 0)
        *ret = copy;
    return r;
}

static int account_copy(const struct table *t, const struct entry *n, struct arena *a, struct directory_account *ret)
{
    int r = account_copy_plain(n, a, ret);
    if (r == 0)
        ret->quota = table_quota(t, n);
    return r;
}

/* Follows ADDRESS to accounts; called with the lock. */
static int resolve_locked(const struct table *t, str address, const engine_part *sender, enum table_lookup how,
                          struct entry *ret[DIRECTORY_MEMBERS_MAX], size_t *ret_n)
{
    if (!table_home(t, str_from(address, str_rfind_byte(address, '@') + 1)))
        return ERR_REFUSED;
    struct entry *n = table_lookup(t, address, how);
    return n ? table_follow(t, n, sender ? table_by_id(t, sender) : NULL, how, ret, ret_n) : ERR_NOTFOUND;
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
    return directory_resolve_from(d, NULL, address, arena, ret, ret_n);
}

int directory_resolve_from(struct directory *d, const engine_part *sender, str address, struct arena *arena,
                           struct directory_account **ret, size_t *ret_n)
{
    struct entry *found[DIRECTORY_MEMBERS_MAX];
    size_t n = 0;
    str canonical;
    int r = resolve_canonical(d, address, arena, &canonical);
    if (r < 0)
        return r;
    pthread_rwlock_rdlock(&d->lock);
    r = resolve_locked(&d->table, canonical, sender, TABLE_LOOKUP_MAIL, found, &n);
    struct directory_account *list = r == 0 ? arena_array(arena, n, sizeof *list) : NULL;
    if (r == 0 && !list)
        r = ERR_LIMIT;
    for (size_t i = 0; r == 0 && i < n; i++)
        r = account_copy_plain(found[i], arena, &list[i]);
    pthread_rwlock_unlock(&d->lock);
    if (r == 0) {
        *ret = list;
        *ret_n = n;
    }
    return r;
}

int directory_home_address(struct directory *d, str address, struct arena *arena, str *ret, struct error *e)
{
    str canonical;
    int r = directory_canonical(address, arena, &canonical, e);
    if (r < 0)
        return r;
    pthread_rwlock_rdlock(&d->lock);
    r = table_home_address(&d->table, canonical, arena, ret);
    pthread_rwlock_unlock(&d->lock);
    return r;
}

bool directory_may_send_as(struct directory *d, engine_part account, str address)
{
    struct arena a = ARENA_INIT(SCRATCH);
    struct entry *found[DIRECTORY_MEMBERS_MAX];
    size_t n = 0;
    str canonical;
    bool may = false;
    if (directory_canonical(address, &a, &canonical, NULL) == 0) {
        pthread_rwlock_rdlock(&d->lock);
        const struct entry *named = table_lookup(&d->table, canonical, TABLE_LOOKUP_RIGHTS);
        if (named && named->kind != DIRECTORY_GROUP &&
            resolve_locked(&d->table, canonical, &account, TABLE_LOOKUP_RIGHTS, found, &n) == 0) {
            for (size_t i = 0; i < n && !may; i++)
                may = memcmp(found[i]->id.b, account.b, sizeof account.b) == 0;
        }
        pthread_rwlock_unlock(&d->lock);
    }
    arena_done(&a);
    return may;
}

int directory_account_of(struct directory *d, engine_part id, struct arena *arena, struct directory_account *ret)
{
    pthread_rwlock_rdlock(&d->lock);
    const struct entry *n = table_by_id(&d->table, &id);
    int r = n && n->kind == DIRECTORY_ACCOUNT ? account_copy(&d->table, n, arena, ret) : ERR_NOTFOUND;
    if (r == 0)
        r = arena_dup(arena, n->display, &ret->name);
    pthread_rwlock_unlock(&d->lock);
    return r;
}

int directory_find_account(struct directory *d, str address, struct arena *arena, struct directory_account *ret)
{
    str canonical;
    int r = directory_canonical(address, arena, &canonical, NULL);
    if (r < 0)
        return r;
    pthread_rwlock_rdlock(&d->lock);
    r = table_home_address(&d->table, canonical, arena, &canonical);
    struct entry *n = r == 0 ? table_entry(&d->table, canonical) : NULL;
    if (r == 0)
        r = n && n->kind == DIRECTORY_ACCOUNT ? account_copy(&d->table, n, arena, ret) : ERR_NOTFOUND;
    pthread_rwlock_unlock(&d->lock);
    return r;
}

void directory_counts(struct directory *d, struct directory_counts *ret)
{
    pthread_rwlock_rdlock(&d->lock);
    *ret = (struct directory_counts){ .domains = d->table.domains.n - d->table.domain_alias_n,
                                      .accounts = d->table.account_n,
                                      .accounts_enabled = d->table.enabled_n,
                                      .has_administrator = d->table.postmaster && d->table.postmaster->enabled &&
                                                           d->table.postmaster->role == DIRECTORY_ADMIN,
                                      .aliases = d->table.alias_n };
    pthread_rwlock_unlock(&d->lock);
    ret->argon2_runs = directory_argon2_runs();
}
