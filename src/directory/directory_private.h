/* directory_private: the parts of the directory.
 *
 *   rows in the engine  --row_decode-->  table (maps in memory, under a read-write lock)  <--lookups
 *          ^------------ change: check, commit one row, apply the same row to the table
 *
 * The table is a function of the rows alone: loading and changing go through table_apply, so they cannot disagree. */
#ifndef VALISE_DIRECTORY_DIRECTORY_PRIVATE_H
#define VALISE_DIRECTORY_DIRECTORY_PRIVATE_H

#include <pthread.h>

#include "base/buf.h"
#include "base/map.h"
#include "directory/directory.h"
#include "directory/history.h"
#include "directory/throttle.h"

enum {
    DIRECTORY_TARGETS_MAX = 100,   /* of one alias */
    DIRECTORY_MEMBERS_MAX = 1000,  /* of one group, and accounts that one address leads to */
    DIRECTORY_PASSWORD_MAX = 1024, /* bytes */
    DIRECTORY_HASH_MAX = 256,      /* bytes of an encoded hash */
    DIRECTORY_SCRAM_MAX = 96,      /* bytes of an encoded struct directory_scram */
    DIRECTORY_APPS_MAX = 4096,     /* bytes of all application passwords of an account */
    DIRECTORY_SEALED_MAX = 2048,   /* bytes of sealed secrets */
    DIRECTORY_KEY_MAX = 300
};

/* --- table.c: what is known, in memory --- */

/* A quota that somebody has set; when not, that of the groups or of the domain counts. */
struct quota {
    bool is_set;
    struct directory_quota limits;
};

struct domain {
    uint64_t seq; /* order of adding: the lowest is the first domain */
    size_t accounts, aliases, groups;
    str name;
    str alias_of;  /* the domain that this one is another name of; empty: it stands for itself */
    str catch_all; /* the address that gets what is for nobody; empty: there is none */
    struct quota quota;
};

struct entry {
    enum directory_kind kind;
    engine_part id;           /* accounts, groups */
    bool enabled;             /* accounts */
    enum directory_role role; /* accounts */
    uint64_t seq;
    str address;                 /* of a group perhaps a name without "@" */
    str display;                 /* accounts: what the person is called; may be empty */
    enum language language;      /* accounts: of what is written to the person */
    str hash;                    /* accounts: encoded Argon2id, empty when there is no password */
    str scram[DIRECTORY_HASH_N]; /* accounts: as scram_encode writes it, empty when not known */
    str apps;                    /* accounts: application passwords as app_password.c writes them */
    struct quota quota;          /* accounts, groups */
    unsigned legacy;             /* accounts: mechanisms they are flagged for */
    str sealed;                  /* accounts: the secrets of those, as legacy.c makes them; empty without */
    str *targets;                /* aliases */
    size_t target_n;
    enum directory_senders senders; /* groups: who may write to it */
    engine_part *members;           /* groups: accounts and groups; one that is gone is nobody */
    size_t member_n;
};

struct table {
    struct map domains; /* name: struct domain */
    struct map entries; /* address: struct entry */
    struct map by_id;   /* id: struct entry, the same objects: accounts and groups */
    struct map groups;  /* id: struct entry, the groups alone */
    struct domain *first_domain;
    struct entry *postmaster; /* the account that stands in for offices that nobody was given */
    uint64_t seq_max;
    size_t account_n, enabled_n, alias_n, domain_alias_n;
    size_t scram_n[DIRECTORY_HASH_N],
        scram_outdated_n[DIRECTORY_HASH_N]; /* accounts that have keys; of those, with the former rounds */
};

void table_init(struct table *t);
void table_done(struct table *t);
/* Applies one row; VALUE.p NULL removes it. ERR_CORRUPT when it cannot be understood: then nothing has changed. */
int table_apply(struct table *t, str key, str value) MUST_USE;
struct domain *table_domain(const struct table *t, str name);
struct entry *table_entry(const struct table *t, str address);
struct entry *table_by_id(const struct table *t, const engine_part *id);

/* --- address.c --- */

/* Whether a new ADDRESS (canonical) can be told from others by eye: no invisible characters, no mixture of scripts that look alike, as alice with a
 * Cyrillic first letter (Unicode Technical Standard 39 section 5.2). Those that exist already are not asked. 0, ERR_SYNTAX. */
int address_check_spelling(str address, struct error *e) MUST_USE;

/* --- follow.c: from an address to accounts --- */

/* The domain that NAME stands for: itself, or what it is an alias of. NULL when there is none. */
struct domain *table_home(const struct table *t, str name);
/* ADDRESS, canonical, with the name that its domain has here, in ARENA: another when it came by an alias. ERR_LIMIT. */
int table_home_address(const struct table *t, str address, struct arena *arena, str *ret) MUST_USE;
enum table_lookup {
    TABLE_LOOKUP_NAMED,  /* who an address means */
    TABLE_LOOKUP_RIGHTS, /* who may speak for it: not a user who only stands in */
    TABLE_LOOKUP_MAIL    /* who gets its mail: at last the one who gets what is for nobody */
};
/* The entry for canonical ADDRESS: exact, without its detail, for an office (table_is_office) who stands in; each also by an alias of its
 * domain. NULL when there is none. */
struct entry *table_lookup(const struct table *t, str address, enum table_lookup how);
/* Whether LOCAL, canonical, perhaps with a detail, is a name that the administrator answers to when nobody else does: postmaster (RFC 5321 section
 * 4.5.1), abuse, hostmaster (RFC 2142). */
bool table_is_office(str local);
/* The accounts that mail of account SENDER (NULL: a stranger) for FROM goes to. 0; ERR_UNSUPPORTED: SENDER may not write to it;
 * ERR_NOTFOUND: it leads nowhere; ERR_LIMIT: to more than DIRECTORY_MEMBERS_MAX. Its time is linear in the lists that are entered. */
int table_follow(const struct table *t, struct entry *from, const struct entry *sender, enum table_lookup how,
                 struct entry *ret[DIRECTORY_MEMBERS_MAX], size_t *ret_n) MUST_USE;
/* Whether alias or group SET leads to more accounts than DIRECTORY_MEMBERS_MAX, or through more aliases and groups than that. */
bool table_leads_too_far(const struct table *t, struct entry *set);
/* Before alias or group WAS (NULL: there is none yet) becomes NOW: ERR_LIMIT where it, or what leads to it, would lead too far. */
int table_check_reach(const struct table *t, struct entry *was, struct entry *now, struct error *e) MUST_USE;
/* Whether ACCOUNT is in GROUP, or in a group that is in it. */
bool table_is_member(const struct table *t, const struct entry *group, const struct entry *account);
/* The quota that counts for ACCOUNT: its own, else the largest of its groups, else its domain's, else none. */
struct directory_quota table_quota(const struct table *t, const struct entry *account);

/* --- row.c --- */

/* A key is a kind and a name: "d" domain, "a" account, "g" group, "l" alias; "m" and an id: the mail of an account that was removed; "r" and an
 * id: an account that was removed and can be had back (removed.c). */
void row_key(struct buf *b, char kind, str name);
void row_encode_domain(struct buf *b, const struct domain *d);
void row_encode_account(struct buf *b, const struct entry *n);
void row_encode_alias(struct buf *b, const str *targets, size_t n);
void row_encode_group(struct buf *b, const struct entry *n);
/* What VALUE says, in any version so far, into *RET, whose text points into VALUE. ERR_CORRUPT. */
int row_decode_domain(str value, struct domain *ret) MUST_USE;
int row_decode_account(str value, struct entry *ret) MUST_USE;
int row_decode_alias(str value, struct entry *ret, str targets[DIRECTORY_TARGETS_MAX]) MUST_USE;
int row_decode_group(str value, struct entry *ret, engine_part members[DIRECTORY_MEMBERS_MAX]) MUST_USE;

/* --- password.c: Argon2id and what was verified lately --- */

struct gate;     /* bounds the checks that run at once */
struct verified; /* the cache of verified logins */
struct verified *verified_new(void);
void verified_free(struct verified *v);
struct verified_tag {
    unsigned char b[32];
};
/* The keyed hash under which a success of PASSWORD is remembered: it covers the account and the encoded hash, so that a
 * changed password is another tag. */
struct verified_tag verified_tag(struct verified *v, engine_part id, str hash, str password);
/* What struct directory_memory is given for the same. */
struct directory_witness verified_proof(engine_part id, str hash, str password);
bool verified_has(struct verified *v, const struct verified_tag *tag);
void verified_add(struct verified *v, const struct verified_tag *tag);

/* The encoded hash of PASSWORD, at the gate's cost. ERR_UNAVAILABLE, ERR_LIMIT. Blocks. */
int password_hash(struct gate *g, str password, char ret[DIRECTORY_HASH_MAX], struct error *e) MUST_USE;
/* 0 when PASSWORD fits HASH; ERR_REFUSED when not, or when HASH is empty, after work of COST; ERR_UNAVAILABLE. The caller has a place in the gate.
 * Blocks. */
int password_check(struct gate *g, const struct directory_cost *cost, str hash, str password) MUST_USE;
/* The cost that HASH was made at. */
bool password_cost_of(str hash, struct directory_cost *ret);
/* Whether HASH was made at another cost than NOW. */
bool password_is_outdated(str hash, const struct directory_cost *now);

/* --- gate.c --- */

struct gate *gate_new(void);
/* No job may be under way. NULL accepted. */
void gate_free(struct gate *g);
/* What a new hash costs. Thread-safe. */
void gate_set_cost(struct gate *g, const struct directory_cost *cost);
struct directory_cost gate_cost(struct gate *g);
/* How many may be in at once. */
unsigned gate_places(const struct gate *g);
/* Waits for a place, which gate_leave gives back. ERR_UNAVAILABLE: there is none within reason. */
int gate_enter(struct gate *g) MUST_USE;
/* The same without waiting; WHOSE tells who asks again from others. ERR_UNAVAILABLE: try again after *RET_AGAIN_MS; 0: too many wait already. */
int gate_try(struct gate *g, uint64_t whose, int64_t *ret_again_ms) MUST_USE;
void gate_leave(struct gate *g);
/* Has RUN run on CTX on a thread of low priority, and waits for it. The caller has a place. */
void gate_run(struct gate *g, void (*run)(void *ctx), void *ctx);

/* --- prepare.c --- */

/* Appends the one form of PASSWORD (RFC 4013) to RET, a secret buffer. ERR_SYNTAX when it has none or is longer than DIRECTORY_PASSWORD_MAX. */
int password_prepare(str password, struct buf *ret) MUST_USE;
/* password_check of the prepared PASSWORD, and where that is another text and does not fit, of PASSWORD as it is, as it was hashed before there was a
 * preparation: *RET_IS_OLD then. How much work it is depends on PASSWORD only. */
int password_fits(struct gate *g, const struct directory_cost *cost, str hash, str password, bool *ret_is_old) MUST_USE;

/* --- scram.c: keys for SCRAM --- */

/* The keys of PASSWORD with a new salt, encoded for the account's row; such that no proof fits when it has none (RFC 5802 section
 * 2.2: what SASLprep refuses). */
void scram_make(str password, enum directory_hash hash, struct buf *ret);
/* ERR_CORRUPT. */
int scram_decode(str encoded, enum directory_hash hash, struct directory_scram *ret) MUST_USE;
/* Whether keys are missing or were made with fewer rounds than now. */
bool scram_is_outdated(str encoded, enum directory_hash hash);
/* Keys that nothing fits for NAME, like those of one of ALL accounts, of which OUTDATED have the former rounds. */
void scram_decoy(const uint8_t secret[32], str name, enum directory_hash hash, size_t outdated, size_t all,
                 struct directory_scram *ret);

/* --- legacy.c --- */

struct legacy_order {
    engine_part id;
    str address, realm, password;
    unsigned mechanisms;
};
/* What is kept for ORDER, sealed, to OUT. */
int legacy_make(struct directory *d, const struct legacy_order *order, struct buf *out, struct error *e) MUST_USE;

/* --- app_password.c: LIST is what the account's row holds --- */

/* ERR_CORRUPT. */
int app_passwords_check(str list) MUST_USE;
/* Whether PASSWORD is one of LIST; its name and what tells it from all others there ever were. */
bool app_passwords_find(str list, str password, str *ret_name, uint64_t *ret_tag);
/* Whether the one with TAG is in LIST. */
bool app_passwords_have(str list, uint64_t tag);
/* LIST with NAME: SECRET, or without NAME, to OUT. */
int app_passwords_add(str list, str name, str secret, struct buf *out, struct error *e) MUST_USE;
int app_passwords_remove(str list, str name, struct buf *out, struct error *e) MUST_USE;
/* Notes that NAME of account ID was used now. */
void app_password_used(struct directory *d, engine_part id, str name);

/* Forgets when those of account ID, which is gone, were used. */
void app_passwords_forget(struct directory *d, engine_part id);

/* --- policy.c --- */

/* ERR_REFUSED with the reason in E. */
int policy_check(const struct directory_policy *p, str address, str password, struct error *e) MUST_USE;

/* --- change.c --- */

/* Adds application password NAME with SECRET, or with an empty one removes it. */
int change_app_password(struct directory *d, str address, str name, str secret, struct error *e) MUST_USE;
/* Replaces the credentials of account ADDRESS, which were OLD_HASH, by those of the same PASSWORD made anew. ERR_CONFLICT: it has got
 * another password meanwhile. */
int change_upgrade(struct directory *d, str address, str old_hash, str password, struct error *e) MUST_USE;

/* --- known.c: networks where an account has logged in lately --- */

bool known_has(struct directory *d, engine_part id, const struct ip_address *peer, int64_t now_ms);
void known_add(struct directory *d, engine_part id, const struct ip_address *peer, int64_t now_ms);
/* Forgets those of account ID, which is gone. */
void known_forget(struct directory *d, engine_part id);

/* --- history.c --- */

struct history;
struct history *history_new(void);
void history_free(struct history *h);
/* Notes a login of account ID, which is there; count and times of EVENT are not looked at. */
void history_note(struct directory *d, engine_part id, const struct directory_event *event, int64_t now);
/* Writes down what was noted, without waiting for the disk. */
void history_flush(struct directory *d, int64_t now);
/* Forgets the logins of account ID, which is gone. */
void history_forget(struct directory *d, engine_part id);

/* --- directory.c --- */

/* Logins of older generations than these stand no longer. */
struct standing {
    uint64_t all, password;
};

struct directory {
    struct engine *engine;
    pthread_mutex_t change; /* one change at a time; held over the commit; taken before lock */
    pthread_rwlock_t lock;  /* the table: written only with both, read with either */
    struct table table;
    struct directory_policy policy; /* under change */
    uint64_t version;               /* of the partition that the table shows; under change */
    struct verified *verified;
    struct gate *gate;
    struct throttle *throttle;
    struct history *history;
    int64_t (*clock)(void); /* milliseconds since 1970; tests set it */
    struct directory_sealer sealer;
    struct directory_memory memory;
    _Atomic bool scram_sha1;  /* keys for SHA-1 are made too */
    uint8_t decoy_secret[32]; /* of the salts of names that are not there */
    struct directory_watcher watcher;
    uint64_t generation;  /* of credentials; under lock, as: */
    struct map standings; /* id: struct standing, of accounts whose credentials were taken back since the start */
};

/* --- login.c --- */

/* LOGIN as a canonical address, the first domain assumed when it names none. White space around it means nothing: telephones' keyboards write a blank
 * behind a word that they complete. No address begins or ends with any, so that nobody is taken for somebody else; inside it is no name. A
 * password is what it is. */
int login_canonical(struct directory *d, str login, struct arena *a, str *ret) MUST_USE;

extern const engine_part directory_part;
/* What logging in leaves behind: apart, so that it never meets a change of the directory. */
extern const engine_part logins_part;
/* Reads all rows into *RET, initialised here. */
int directory_load(struct engine *g, struct table *ret, uint64_t *ret_version, struct error *e) MUST_USE;

#endif
