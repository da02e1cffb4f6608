/* login: the check of a name and a password, what it costs to fail, and the note in the account's history.
 *
 *  P1  A wrong name, a wrong password, no password and a disabled account take the same work and give the same answer.
 *  P2  A remembered success is bound to the account's present hash; disabled accounts are not looked up there at all.
 *  P3  What failures cost is B1 to B13 of lockout.h. Whoever waited for the check while others failed in the same place is turned away
 *      without it, so that many guesses at once are no way around a lock-out.
 *      No thread waits for the check: whoever finds no place is told when to ask again.
 *  P4  A program's account has no password of its own: what is in its row counts for nothing.
 *  P5  What is right and refused all the same (a service that is not for it, to act as another) is no success: it makes no network known,
 *      forgives nothing, and stands in the history as not allowed. Nor is it a failure: whoever is let down by his program's settings is not
 *      locked out. */
#include "directory/directory_private.h"

#include "base/clock.h"
#include "base/log.h"

/* The account as it was when the check began. */
struct candidate {
    bool is_there; /* else the id is zero */
    bool is_enabled;
    bool can_log_in; /* with a password */
    struct directory_account account;
    str hash, apps;
    struct directory_cost cost; /* of who is not there: as it would be of somebody who is */
    bool is_outdated;           /* something of the credentials is missing or made with old parameters */
};

enum { CLOSED_MS = 2000 }; /* B13: from the question to the answer; much more than a check takes */

/* What came of an attempt. */
struct outcome {
    int64_t now;      /* when it began */
    int64_t began_ms; /* the same by clock_mono_ms */
    struct throttle_try try;
    struct throttle_lock lock;
    bool is_remembered; /* it was right lately */
    bool is_old;        /* it fits a hash of what is not prepared: see prepare.c */
    str app;            /* the application password that it was; empty: the account's own */
    uint64_t app_tag;
    int64_t again_ms; /* there was no place: when to ask again */
};

int login_canonical(struct directory *d, str login, struct arena *a, str *ret)
{
    login = str_trim(login);
    str full = login;
    if (str_find_byte(login, '@', 0) == login.n) {
        pthread_rwlock_rdlock(&d->lock);
        str domain = d->table.first_domain ? d->table.first_domain->name : STR("");
        int r = login.n > 256 ? ERR_SYNTAX : arena_printf(a, &full, "%.*s@%.*s", STR_ARG(login), STR_ARG(domain));
        pthread_rwlock_unlock(&d->lock);
        if (r < 0)
            return r;
    }
    /* By an alias of the domain one logs in as by the domain, and fails as by the domain. */
    return directory_home_address(d, full, a, ret, NULL);
}

/* P4. */
static bool has_password(const struct entry *n)
{
    return n->hash.n && n->role != DIRECTORY_PROGRAM;
}

/* P1: what a check costs where there is no hash to be compared: as for some account, which is the same one for ADDRESS as long as this process lives.
 * They differ as long as not all have logged in since the cost was changed. Under the lock. */
static struct directory_cost decoy_cost(struct directory *d, str address, const struct directory_cost *now)
{
    enum { TRIES = 16 };
    struct directory_scram number; /* its salt is the name's own */
    struct directory_cost cost = *now;
    const struct map *all = &d->table.by_id;
    size_t iter;
    str key;
    void *value;
    scram_decoy(d->decoy_secret, address, DIRECTORY_SHA256, 0, 1, &number);
    memcpy(&iter, number.salt, sizeof iter);
    iter = all->cap ? iter % all->cap : 0;
    for (int i = 0; i < TRIES && map_next(all, &iter, &key, &value); i++)
        if (password_cost_of(((const struct entry *)value)->hash, &cost))
            break;
    return cost;
}

/* Looks the account up; one that is not there, disabled or without password leaves RET unable to log in. 0 or ERR_LIMIT. */
static int candidate_find(struct directory *d, str address, struct arena *a, struct candidate *ret)
{
    const struct directory_cost now = gate_cost(d->gate);
    int r = 0;
    pthread_rwlock_rdlock(&d->lock);
    const struct entry *n = table_entry(&d->table, address);
    ret->cost = decoy_cost(d, address, &now);
    if (n && n->kind == DIRECTORY_ACCOUNT) {
        ret->is_there = true;
        ret->account = (struct directory_account){
            .id = n->id, .enabled = n->enabled, .role = n->role, .by = { .generation = d->generation }
        };
        r = arena_dup(a, n->address, &ret->account.address);
    }
    if (r == 0 && ret->is_there && n->enabled) {
        if (has_password(n))
            r = arena_dup(a, n->hash, &ret->hash);
        if (r == 0)
            r = arena_dup(a, n->apps, &ret->apps);
        ret->is_enabled = r == 0;
        ret->can_log_in = r == 0 && (ret->hash.n || ret->apps.n);
        ret->is_outdated =
            password_is_outdated(n->hash, &now) || scram_is_outdated(n->scram[DIRECTORY_SHA256], DIRECTORY_SHA256) ||
            (d->scram_sha1 ? scram_is_outdated(n->scram[DIRECTORY_SHA1], DIRECTORY_SHA1) : n->scram[DIRECTORY_SHA1].n > 0);
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
        pthread_rwlock_rdlock(&d->lock);
        scram_decoy(d->decoy_secret, address.n ? address : login, hash, d->table.scram_outdated_n[hash], d->table.scram_n[hash],
                    ret);
        const struct entry *n = address.n ? table_entry(&d->table, address) : NULL;
        r = n && n->kind == DIRECTORY_ACCOUNT && has_password(n) && n->scram[hash].n ? scram_decode(n->scram[hash], hash, ret)
                                                                                     : 0;
        pthread_rwlock_unlock(&d->lock);
    }
    arena_done(&a);
    return r;
}

static struct verified_tag tag_of(struct directory *d, const struct directory_attempt *t, const struct candidate *c)
{
    return verified_tag(d->verified, c->account.id, c->hash, str_sub(t->password, 0, DIRECTORY_PASSWORD_MAX));
}

/* Notes that the password of T is right for C, here and where it outlives us. */
static void remember(struct directory *d, const struct directory_attempt *t, const struct candidate *c,
                     const struct verified_tag *tag)
{
    verified_add(d->verified, tag);
    if (!d->memory.remember)
        return;
    struct directory_witness proof = verified_proof(c->account.id, c->hash, t->password);
    d->memory.remember(d->memory.ctx, &c->account.id, &proof);
    secret_wipe(&proof, sizeof proof);
}

/* Whether who remembers for us knows it still. The question is put for every name (P1); of what is to be made anew the answer does not count, so that
 * it is. */
static bool is_known(struct directory *d, const struct directory_attempt *t, const struct candidate *c)
{
    uint8_t answer[16];
    if (!d->memory.ask)
        return false;
    struct directory_witness proof = verified_proof(c->account.id, c->hash, str_sub(t->password, 0, DIRECTORY_PASSWORD_MAX));
    bool known = d->memory.ask(d->memory.ctx, &c->account.id, proof.question, answer) &&
                 str_eq_secret((str){ (const char *)answer, sizeof answer }, (str){ (const char *)proof.answer, sizeof answer });
    secret_wipe(&proof, sizeof proof);
    return known && !c->is_outdated && c->can_log_in && c->hash.n && t->password.n <= DIRECTORY_PASSWORD_MAX;
}

/* Compares a password with the account's own. 0, ERR_REFUSED, ERR_UNAVAILABLE, ERR_AGAIN (P3). */
static int check_password(struct directory *d, const struct directory_attempt *t, const struct candidate *c, struct outcome *o)
{
    bool possible = c->can_log_in && t->password.n <= DIRECTORY_PASSWORD_MAX;
    struct verified_tag tag = tag_of(d, t, c);
    o->is_remembered = possible && verified_has(d->verified, &tag);
    if (o->is_remembered)
        return 0;
    if (is_known(d, t, c)) {
        o->is_remembered = true;
        verified_add(d->verified, &tag);
        return 0;
    }
    int r = gate_try(d->gate, o->try.guess, &o->again_ms);
    if (r < 0)
        return r;
    if (throttle_locked(d->throttle, &o->try, d->clock(), false).wait_ms)
        r = ERR_AGAIN;
    else if (possible && verified_has(d->verified, &tag))
        o->is_remembered = true; /* ten connections of one client: the first has paid for all */
    else
        r = password_fits(d->gate, &c->cost, c->hash, t->password, &o->is_old);
    gate_leave(d->gate);
    if (r == 0 && possible && !o->is_remembered)
        remember(d, t, c, &tag);
    return r;
}

/* Checks what ATTEMPT brings. 0, ERR_REFUSED, ERR_UNAVAILABLE, ERR_AGAIN. */
static int attempt_check(struct directory *d, const struct directory_attempt *t, const struct candidate *c, struct outcome *o)
{
    if (t->proof == DIRECTORY_CERTIFIED)
        /* The address may have got another account since the certificate was looked at. */
        return c->is_enabled && (!t->certified || memcmp(t->certified->b, c->account.id.b, sizeof t->certified->b) == 0)
                   ? 0
                   : ERR_REFUSED;
    if (t->proof != DIRECTORY_PASSWORD)
        return t->proof == DIRECTORY_PROVED && c->can_log_in && c->hash.n ? 0 : ERR_REFUSED;
    if (c->can_log_in && app_passwords_find(c->apps, t->password, &o->app, &o->app_tag))
        return 0;
    return check_password(d, t, c, o);
}

/* Counts the result R of an attempt and says how long its answer is to be held. */
static int64_t attempt_count(struct directory *d, int r, const struct candidate *c, const struct outcome *o)
{
    bool locked = false;
    if (r == ERR_UNSUPPORTED) /* P5 */
        return throttle_pass(d->throttle, &o->try, o->now);
    if (r == 0) {
        int64_t delay = throttle_succeed(d->throttle, &o->try, o->now);
        known_add(d, c->account.id, &o->try.peer, o->now);
        return delay;
    }
    int64_t delay = throttle_fail(d->throttle, &o->try, o->now, o->lock.is_closed, &locked);
    if (locked) {
        char text[IP_TEXT_MAX];
        log_warning("locked-out", LOG_STR("peer", ip_address_text(&o->try.peer, text)), LOG_STR("user", o->try.login));
        /* B9: at once. What cannot be written stays marked, and directory_tend says so. */
        int err = throttle_flush(d->throttle, d->engine, logins_part);
        (void)err;
    }
    return delay;
}

/* H1. A disabled account fails like a wrong password (P1); its history says why. */
static void attempt_note(struct directory *d, const struct directory_attempt *t, int r, const struct candidate *c,
                         const struct outcome *o)
{
    if (!c->is_there)
        return;
    const struct directory_event event = { .result = r == 0                 ? DIRECTORY_LOGGED_IN
                                                     : r == ERR_AGAIN       ? DIRECTORY_LOCKED_OUT
                                                     : r == ERR_UNSUPPORTED ? DIRECTORY_NOT_FOR_IT
                                                     : !c->account.enabled  ? DIRECTORY_DISABLED
                                                                            : DIRECTORY_WRONG,
                                           .service = t->service,
                                           .peer = t->peer,
                                           .mechanism = t->mechanism,
                                           .tls = t->tls,
                                           .app_password = o->app };
    history_note(d, c->account.id, &event, o->now);
}

/* B13: the answer where strangers are locked out, whatever R says to who is known there. What was not checked counts as a failure, as a
 * check would have ended for whoever guesses. */
static int turn_away(struct directory *d, const struct directory_attempt *t, int r, const struct candidate *c, struct outcome *o,
                     int64_t *ret_delay_ms)
{
    if (r == ERR_REFUSED || (!o->lock.is_own && t->proof != DIRECTORY_PROVED))
        (void)attempt_count(d, ERR_REFUSED, c, o);
    int64_t left = CLOSED_MS - (clock_mono_ms() - o->began_ms);
    *ret_delay_ms = left > 0 ? left : 0;
    return ERR_AGAIN;
}

/* Whether what T asks for is theirs who are C: the service, and to act as nobody else. 0, ERR_UNSUPPORTED, ERR_LIMIT. */
static int attempt_allow(struct directory *d, const struct directory_attempt *t, const struct candidate *c, struct arena *arena)
{
    str other = c->account.address;
    if (t->acting_as.n) {
        int r = login_canonical(d, t->acting_as, arena, &other);
        if (r < 0)
            return r == ERR_LIMIT ? r : ERR_UNSUPPORTED;
    }
    bool is_for_it = c->account.role != DIRECTORY_PROGRAM || t->service == DIRECTORY_SUBMISSION;
    return is_for_it && str_eq(other, c->account.address) ? 0 : ERR_UNSUPPORTED;
}

/* The whole of it for the candidate C. */
static int attempt_run(struct directory *d, const struct directory_attempt *t, const struct candidate *c, struct outcome *o,
                       struct arena *arena, int64_t *ret_delay_ms)
{
    bool is_guess = t->proof != DIRECTORY_CERTIFIED; /* B10 */
    if (t->proof == DIRECTORY_PASSWORD) {
        struct verified_tag tag = tag_of(d, t, c);
        memcpy(&o->try.guess, tag.b, sizeof o->try.guess);
    }
    if (is_guess)
        o->lock = throttle_locked(d->throttle, &o->try, o->now, true);
    int r = o->lock.wait_ms ? ERR_AGAIN : attempt_check(d, t, c, o);
    if (r != 0 && is_guess && !o->lock.is_closed && !o->lock.wait_ms) /* others may have failed there meanwhile */
        o->lock = throttle_locked(d->throttle, &o->try, d->clock(), false);
    if (r != 0 && o->lock.is_closed)
        return turn_away(d, t, r, c, o, ret_delay_ms);
    if (r == ERR_UNAVAILABLE)
        *ret_delay_ms = o->again_ms;
    if (r != 0 && r != ERR_REFUSED)
        return r;
    if (r == 0)
        r = attempt_allow(d, t, c, arena);
    if (r == ERR_LIMIT)
        return r;
    int64_t delay = attempt_count(d, r, c, o);
    *ret_delay_ms = r != ERR_REFUSED && !is_guess ? 0 : delay;
    return r;
}

/* Makes the credentials of C anew where they are of former times, and remembers the password for the new ones. */
static void upgrade(struct directory *d, const struct directory_attempt *t, const struct candidate *c, struct arena *arena)
{
    struct error e = ERROR_NONE;
    struct candidate fresh = { 0 };
    if (change_upgrade(d, c->account.address, c->hash, t->password, &e) < 0) {
        log_warning("directory-upgrade", LOG_STR("user", c->account.address), LOG_Z("error", e.text));
        return;
    }
    if (candidate_find(d, c->account.address, arena, &fresh) == 0 && fresh.can_log_in && fresh.hash.n) {
        struct verified_tag tag = tag_of(d, t, &fresh);
        remember(d, t, &fresh, &tag);
    }
}

int directory_login(struct directory *d, const struct directory_attempt *t, struct arena *arena, struct directory_account *ret,
                    int64_t *ret_delay_ms)
{
    struct candidate c = { .cost = gate_cost(d->gate) };
    struct outcome o = { .now = d->clock(), .began_ms = clock_mono_ms() };
    *ret_delay_ms = 0;
    int r = login_canonical(d, t->login, arena, &o.try.login);
    if (r == 0)
        r = candidate_find(d, o.try.login, arena, &c);
    if (r == ERR_LIMIT)
        return r;
    if (!ip_address_parse(t->peer, &o.try.peer))
        o.try.peer = (struct ip_address){ 0 };                       /* all that are no addresses count as one */
    o.try.is_known = known_has(d, c.account.id, &o.try.peer, o.now); /* B7: also for the id of nobody */
    r = attempt_run(d, t, &c, &o, arena, ret_delay_ms);
    if (r != ERR_UNAVAILABLE && r != ERR_LIMIT)
        attempt_note(d, t, r, &c, &o);
    if (r < 0)
        return r;
    if (o.app.n)
        app_password_used(d, c.account.id, o.app);
    else if (t->proof == DIRECTORY_PASSWORD && (c.is_outdated || o.is_old) && !o.is_remembered)
        upgrade(d, t, &c, arena);
    *ret = c.account;
    ret->by.kind = t->proof == DIRECTORY_CERTIFIED ? DIRECTORY_BY_CERTIFICATE
                   : o.app.n                       ? DIRECTORY_BY_APP_PASSWORD
                                                   : DIRECTORY_BY_PASSWORD;
    ret->by.tag = o.app_tag;
    return 0;
}

int directory_authenticate(struct directory *d, str login, str password, str peer, struct arena *arena,
                           struct directory_account *ret, int64_t *ret_delay_ms)
{
    return directory_login(d, &(struct directory_attempt){ .login = login, .password = password, .peer = peer }, arena, ret,
                           ret_delay_ms);
}

/* --- lock-outs --- */

void directory_set_lockout_policy(struct directory *d, const struct directory_lockout_policy *p)
{
    throttle_set_policy(d->throttle, p);
}

const char *directory_lockout_kind_name(enum directory_lockout_kind kind)
{
    static const char *const names[DIRECTORY_LOCKOUT_KINDS] = { "network", "login", "account" };
    return names[kind];
}

int directory_lockouts(struct directory *d, int (*fn)(void *ctx, const struct directory_lockout *lockout), void *ctx)
{
    return throttle_each(d->throttle, d->clock(), fn, ctx);
}

int directory_lockout_lift(struct directory *d, str what, size_t *ret_n, struct error *e)
{
    struct arena a = ARENA_INIT(1 << 14);
    struct ip_network network;
    str address = STR_INIT("");
    bool is_network = what.n && ip_network_parse(what, &network, NULL) == 0;
    int r = is_network || !what.n ? 0 : directory_home_address(d, what, &a, &address, NULL);
    if (r < 0)
        (void)error_set(e, r, "'%.*s' is no address of a user and no network, as 192.0.2.7 or 2001:db8::/64", STR_ARG(what));
    else
        *ret_n = throttle_lift(d->throttle, address, is_network ? &network : NULL, d->clock());
    if (r == 0)
        r = throttle_flush(d->throttle, d->engine, logins_part);
    if (r == 0)
        r = engine_wait_synced(d->engine, logins_part);
    arena_done(&a);
    return r;
}

void directory_lockout_counts(struct directory *d, struct directory_lockout_counts *ret)
{
    throttle_counts(d->throttle, d->clock(), ret);
}
