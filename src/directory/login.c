/* login: the check of a name and a password.
 *
 *  P1  A wrong name, a wrong password, no password and a disabled account take the same work and give the same answer.
 *  P2  A remembered success is bound to the account's present hash; disabled accounts are not looked up there at all.
 *  P3  A failure delays its own peer, never another peer's login to the same account.
 *  P4  A program's account has no password of its own: what is in its row counts for nothing. */
#include "directory/directory_private.h"

#include "base/clock.h"
#include "base/log.h"

/* The account as it was when the check began. */
struct candidate {
    bool is_enabled;
    bool can_log_in; /* with a password */
    struct directory_account account;
    str hash, apps;
    bool is_outdated; /* something of the credentials is missing or made with old parameters */
};

/* LOGIN as a canonical address, the first domain assumed when it names none. */
static int login_canonical(struct directory *d, str login, struct arena *a, str *ret)
{
    str full = login;
    if (str_find_byte(login, '@', 0) == login.n) {
        pthread_rwlock_rdlock(&d->lock);
        str domain = d->table.first_domain ? d->table.first_domain->name : STR("");
        int r = login.n > 256 ? ERR_SYNTAX : arena_printf(a, &full, "%.*s@%.*s", STR_ARG(login), STR_ARG(domain));
        pthread_rwlock_unlock(&d->lock);
        if (r < 0)
            return r;
    }
    return directory_canonical(full, a, ret, NULL);
}

/* P4. */
static bool has_password(const struct entry *n)
{
    return n->hash.n && n->role != DIRECTORY_PROGRAM;
}

/* Looks the account up; one that is not there, disabled or without password leaves RET unable to log in. 0 or ERR_LIMIT. */
static int candidate_find(struct directory *d, str address, struct arena *a, struct candidate *ret)
{
    int r = 0;
    pthread_rwlock_rdlock(&d->lock);
    const struct entry *n = table_entry(&d->table, address);
    if (n && n->kind == DIRECTORY_ACCOUNT && n->enabled) {
        ret->account = (struct directory_account){ .id = n->id, .enabled = true, .role = n->role };
        r = arena_dup(a, n->address, &ret->account.address);
        if (r == 0 && has_password(n))
            r = arena_dup(a, n->hash, &ret->hash);
        if (r == 0)
            r = arena_dup(a, n->apps, &ret->apps);
        ret->is_enabled = r == 0;
        ret->can_log_in = r == 0 && (ret->hash.n || ret->apps.n);
        ret->is_outdated = !n->scram[DIRECTORY_SHA1].n || !n->scram[DIRECTORY_SHA256].n || password_is_outdated(n->hash);
    }
    pthread_rwlock_unlock(&d->lock);
    return r;
}

int directory_scram_find(struct directory *d, str login, enum directory_hash hash, struct directory_scram *ret)
{
    struct arena a = ARENA_INIT(1 << 14);
    str address = STR_INIT("");
    int r = login_canonical(d, login, &a, &address);
    if (r != ERR_LIMIT) {
        /* P1: the work for a name that is not there is done in every case. */
        scram_decoy(d->decoy_secret, address.n ? address : login, hash, ret);
        pthread_rwlock_rdlock(&d->lock);
        const struct entry *n = address.n ? table_entry(&d->table, address) : NULL;
        r = n && n->kind == DIRECTORY_ACCOUNT && has_password(n) && n->scram[hash].n ? scram_decode(n->scram[hash], hash, ret)
                                                                                     : 0;
        pthread_rwlock_unlock(&d->lock);
    }
    arena_done(&a);
    return r;
}

/* Checks what ATTEMPT brings. 0, ERR_REFUSED, ERR_UNAVAILABLE. *RET_REMEMBERED: it was right lately; *RET_APP is the name of the
 * application password that it is, empty for the account's own. */
static int attempt_check(struct directory *d, const struct directory_attempt *t, const struct candidate *c, bool *ret_remembered,
                         str *ret_app)
{
    struct verified_tag tag;
    *ret_app = STR("");
    if (t->proof == DIRECTORY_CERTIFIED)
        return c->is_enabled ? 0 : ERR_REFUSED;
    if (t->proof != DIRECTORY_PASSWORD)
        return t->proof == DIRECTORY_PROVED && c->can_log_in && c->hash.n ? 0 : ERR_REFUSED;
    if (c->can_log_in && app_passwords_find(c->apps, t->password, ret_app))
        return 0;
    bool possible = c->can_log_in && t->password.n <= DIRECTORY_PASSWORD_MAX;
    if (possible) {
        tag = verified_tag(d->verified, c->account.id, c->hash, t->password);
        *ret_remembered = verified_has(d->verified, &tag);
    }
    int r = *ret_remembered ? 0 : password_check(d->gate, c->hash, t->password);
    if (r == 0 && possible)
        verified_add(d->verified, &tag);
    return r;
}

/* Counts the result R of an attempt and says how long its answer is to be held. */
static int64_t attempt_count(struct directory *d, int r, str peer, str login, bool remembered)
{
    int64_t now = clock_mono_ms(), by_peer, by_login;
    struct delay_key peer_key = delay_key_peer(peer), login_key = delay_key_login(login, peer);
    if (r < 0) {
        by_peer = delays_fail(d->delays, &peer_key, now);
        by_login = delays_fail(d->delays, &login_key, now);
    } else {
        /* A success waits as long as a failure would have: who guesses must not learn more by hanging up early. Only the
         * peer's share is waived for a login that succeeded lately, so that one bad client does not slow down a whole office
         * behind its address. */
        by_peer = remembered ? 0 : delays_get(d->delays, &peer_key, now);
        by_login = delays_get(d->delays, &login_key, now);
        delays_clear(d->delays, &login_key);
    }
    return by_peer > by_login ? by_peer : by_login;
}

int directory_login(struct directory *d, const struct directory_attempt *t, struct arena *arena, struct directory_account *ret,
                    int64_t *ret_delay_ms)
{
    struct candidate c = { 0 };
    str address = STR_INIT("");
    str app;
    bool remembered = false;
    struct error e = ERROR_NONE;
    *ret_delay_ms = 0;
    int r = login_canonical(d, t->login, arena, &address);
    if (r == 0)
        r = candidate_find(d, address, arena, &c);
    if (r == ERR_LIMIT)
        return r;
    r = attempt_check(d, t, &c, &remembered, &app);
    if (r == ERR_UNAVAILABLE)
        return r;
    *ret_delay_ms = attempt_count(d, r, t->peer, address.n ? address : t->login, remembered);
    if (r < 0)
        return r;
    if (app.n)
        app_password_used(d, c.account.id, app);
    else if (t->proof == DIRECTORY_PASSWORD && c.is_outdated && !remembered &&
             change_upgrade(d, c.account.address, c.hash, t->password, &e) < 0)
        log_warning("directory-upgrade", LOG_STR("user", c.account.address), LOG_Z("error", e.text));
    if (c.account.role == DIRECTORY_PROGRAM && t->service != DIRECTORY_SUBMISSION)
        return ERR_UNSUPPORTED;
    *ret = c.account;
    return 0;
}

int directory_authenticate(struct directory *d, str login, str password, str peer, struct arena *arena,
                           struct directory_account *ret, int64_t *ret_delay_ms)
{
    return directory_login(d, &(struct directory_attempt){ .login = login, .password = password, .peer = peer }, arena, ret,
                           ret_delay_ms);
}
