/* login: the check of a name and a password.
 *
 *  P1  A wrong name, a wrong password, no password and a disabled account take the same work and give the same answer.
 *  P2  A remembered success is bound to the account's present hash; disabled accounts are not looked up there at all.
 *  P3  A failure delays its own peer, never another peer's login to the same account. */
#include "directory/directory_private.h"

#include "base/clock.h"

/* The account as it was when the check began. */
struct candidate {
    bool can_log_in;
    struct directory_account account;
    str hash;
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

/* Looks the account up; one that is not there, disabled or without password leaves RET unable to log in. 0 or ERR_LIMIT. */
static int candidate_find(struct directory *d, str address, struct arena *a, struct candidate *ret)
{
    int r = 0;
    pthread_rwlock_rdlock(&d->lock);
    const struct entry *n = table_entry(&d->table, address);
    if (n && n->kind == DIRECTORY_ACCOUNT && n->enabled && n->hash.n) {
        ret->account = (struct directory_account){ .id = n->id, .enabled = true, .administrator = n->administrator };
        r = arena_dup(a, n->address, &ret->account.address);
        if (r == 0)
            r = arena_dup(a, n->hash, &ret->hash);
        ret->can_log_in = r == 0;
    }
    pthread_rwlock_unlock(&d->lock);
    return r;
}

int directory_authenticate(struct directory *d, str login, str password, str peer, struct arena *arena,
                           struct directory_account *ret, int64_t *ret_delay_ms)
{
    struct candidate c = { 0 };
    struct verified_tag tag = { 0 };
    str address = STR_INIT("");
    bool remembered = false;
    *ret_delay_ms = 0;
    int r = login_canonical(d, login, arena, &address);
    if (r == 0)
        r = candidate_find(d, address, arena, &c);
    if (r == ERR_LIMIT)
        return r;
    if (c.can_log_in && password.n <= DIRECTORY_PASSWORD_MAX) {
        tag = verified_tag(d->verified, c.account.id, c.hash, password);
        remembered = verified_has(d->verified, &tag);
    }
    r = remembered ? 0 : password_check(d->gate, c.hash, password);
    if (r == ERR_UNAVAILABLE)
        return r;

    int64_t now = clock_mono_ms(), by_peer, by_login;
    struct delay_key peer_key = delay_key_peer(peer), login_key = delay_key_login(address.n ? address : login, peer);
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
        verified_add(d->verified, &tag);
        *ret = c.account;
    }
    *ret_delay_ms = by_peer > by_login ? by_peer : by_login;
    return r;
}
