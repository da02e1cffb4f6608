/* directory: domains, accounts, aliases, groups and passwords, kept in the store's directory partition.
 *
 * Addresses are compared as mail does: domain without case (IDN in A-label form), local part without case for accounts and
 * aliases of ours (stored lower-case, NFC). Lookups come from a copy in memory that follows each change, so that
 * a RCPT costs no disk. Thread-safe. Changes block on the store and are durable on return. */
#ifndef VALISE_DIRECTORY_DIRECTORY_H
#define VALISE_DIRECTORY_DIRECTORY_H

#include "base/buf.h"
#include "base/language.h"
#include "store/engine.h"

struct directory;

/* Reads the directory from G, which must outlive it. ERR_CORRUPT when a row cannot be understood, or as engine_scan. */
int directory_open(struct engine *g, struct directory **ret, struct error *e) MUST_USE;
/* No call may be running. NULL accepted. */
void directory_free(struct directory *d);

enum directory_kind { DIRECTORY_NONE, DIRECTORY_ACCOUNT, DIRECTORY_ALIAS, DIRECTORY_GROUP };
/* What an account is for. A program sends mail and logs in with application passwords only: it has no password of its own to lose, and
 * reads no mailboxes. */
enum directory_role { DIRECTORY_USER, DIRECTORY_ADMIN, DIRECTORY_PROGRAM, DIRECTORY_ROLE_N };
/* "user", "admin", "program". */
const char *directory_role_name(enum directory_role role);
/* The role called NAME, or DIRECTORY_ROLE_N. */
enum directory_role directory_role_from_name(str name);

/* How much an account may keep; 0: no limit. */
struct directory_quota {
    uint64_t bytes, messages;
};

/* By what somebody has logged in. */
enum directory_credential_kind { DIRECTORY_BY_PASSWORD, DIRECTORY_BY_APP_PASSWORD, DIRECTORY_BY_CERTIFICATE };
struct directory_credential {
    enum directory_credential_kind kind;
    uint64_t generation; /* when the account was looked up */
    uint64_t tag;        /* which application password */
};

struct directory_account {
    engine_part id;
    str address;  /* canonical */
    bool enabled; /* false: cannot log in; mail still arrives unless the caller decides otherwise */
    enum directory_role role;
    struct directory_quota quota;   /* its own, else the largest of its groups, else its domain's; not of directory_resolve */
    unsigned legacy;                /* DIRECTORY_CRAM_MD5, DIRECTORY_DIGEST_MD5 */
    struct directory_credential by; /* of directory_login only */
    enum language language;         /* of what is written to the person; UNSAID: the server's */
    str name;                       /* what the person is called; of directory_accounts and directory_account_of only */
};

/* --- lookups: results in ARENA --- */

/* Whether DOMAIN is one of ours, in any spelling; also by an alias. */
bool directory_has_domain(struct directory *d, str domain);
/* Which accounts mail of a stranger for ADDRESS goes to: the account itself, or an alias or group followed (loops cut), the domain
 * perhaps by an alias, "+detail" dropped when the whole local part is unknown; "postmaster", "abuse" and "hostmaster" that nobody was
 * given fall back to the first administrator, and the first of them always exists (without an administrator it is the first user's; without a domain
 * it is that of the first domain); else who gets what is for nobody in the domain. ERR_NOTFOUND: domain is ours, address is not; ERR_REFUSED: domain is not ours; ERR_UNSUPPORTED: it is a
 * group that strangers may not write to; ERR_SYNTAX; ERR_LIMIT, also for more than 1000 accounts. */
int directory_resolve(struct directory *d, str address, struct arena *arena, struct directory_account **ret,
                      size_t *ret_n) MUST_USE;
/* The same for mail of account SENDER; NULL: a stranger. */
int directory_resolve_from(struct directory *d, const engine_part *sender, str address, struct arena *arena,
                           struct directory_account **ret, size_t *ret_n) MUST_USE;
/* Whether ACCOUNT may send as ADDRESS: its own address (with any +detail) or an alias that leads to it; also by an alias of the
 * domain. Being in a group, getting what is for nobody, or standing in for a postmaster without being an administrator gives no such right. */
bool directory_may_send_as(struct directory *d, engine_part account, str address);
/* The account whose own address ADDRESS is (no aliases but of the domain, no detail). ERR_NOTFOUND, ERR_SYNTAX, ERR_LIMIT. */
int directory_find_account(struct directory *d, str address, struct arena *arena, struct directory_account *ret) MUST_USE;

/* The account with ID. ERR_NOTFOUND, ERR_LIMIT. */
int directory_account_of(struct directory *d, engine_part id, struct arena *arena, struct directory_account *ret) MUST_USE;

/* What NAME may mean, for administrators: an address (with the rules of directory_resolve, but not followed), or a local part alone, in any domain. *RET_N are
 * there, the first DIRECTORY_MATCHES_MAX of them in *RET by address. ERR_NOTFOUND, ERR_REFUSED (no domain of ours), ERR_SYNTAX, ERR_LIMIT. */
enum { DIRECTORY_MATCHES_MAX = 20 };
struct directory_match {
    str address;
    enum directory_kind kind;
    bool enabled;
    const str *members; /* of what is not an account: addresses, and of groups also names of groups */
    size_t member_n;
};
int directory_match(struct directory *d, str name, struct arena *arena, struct directory_match **ret, size_t *ret_n) MUST_USE;

/* --- logging in --- */

/* What failures cost is lockout.h. *RET_DELAY_MS is how long the caller must hold its answer, also a good one (park with a deadline, do
 * not sleep); 0 at first. PEER is address text. */
int directory_authenticate(struct directory *d, str login, str password, str peer, struct arena *arena,
                           struct directory_account *ret, int64_t *ret_delay_ms) MUST_USE;

/* What SCRAM needs to verify a proof of the password (RFC 5802 section 3). */
enum directory_hash { DIRECTORY_SHA1, DIRECTORY_SHA256, DIRECTORY_HASH_N };
struct directory_scram {
    unsigned iterations;
    uint8_t salt[16];
    uint8_t stored_key[32], server_key[32]; /* 20 bytes of each for SHA-1 */
};
/* The keys of LOGIN's password. A name that is not there, and an account whose keys are not known yet (they are made when the
 * password is set, else at the next login with the password), get keys that no proof fits, with the same salt each time. 0 or
 * ERR_LIMIT. Does not block. */
int directory_scram_find(struct directory *d, str login, enum directory_hash hash, struct directory_scram *ret) MUST_USE;

/* Mechanisms that need more of a password than what cannot be turned back: only for accounts that are flagged for them. */
enum { DIRECTORY_CRAM_MD5 = 1, DIRECTORY_DIGEST_MD5 = 2, DIRECTORY_DIGEST_SIZE = 16 };
/* The password of LOGIN for CRAM-MD5 (RFC 2195), appended to RET, which should be secret; for who is not there or not flagged one that nothing fits,
 * at the same price. 0, ERR_LIMIT, ERR_UNAVAILABLE. May block on another role. */
int directory_cram_find(struct directory *d, str login, struct buf *ret_password) MUST_USE;
/* The same for DIGEST-MD5: H({ name ":" realm ":" password }) (RFC 2831 section 2.1.2.1), NAME being what the client has written. */
int directory_digest_find(struct directory *d, str name, str realm, uint8_t ret[DIRECTORY_DIGEST_SIZE]) MUST_USE;
/* The realm that hashes are for: the first domain, which stays when the server gets another host name. Appended to RET. */
int directory_realm(struct directory *d, struct buf *ret) MUST_USE;

/* Whether keys for SHA-1 are made as well; not at first. An account gets or loses them when its password is set or shown the next time. */
void directory_set_scram_sha1(struct directory *d, bool on);

enum directory_proof {
    DIRECTORY_PASSWORD,
    DIRECTORY_PROVED,
    DIRECTORY_REFUTED,
    DIRECTORY_CERTIFIED /* without the password: a certificate of ours says that it is LOGIN */
};
enum directory_service { DIRECTORY_SUBMISSION, DIRECTORY_MAILBOXES };
struct directory_attempt {
    str login;
    enum directory_service service; /* what for */
    enum directory_proof proof;     /* PASSWORD: to be checked here; else what came of a mechanism that proves the password */
    str password;
    str peer;
    str mechanism, tls;           /* for the history; TLS empty: none */
    str acting_as;                /* the authorization identity, as an address or a name like LOGIN; empty: oneself */
    const engine_part *certified; /* of CERTIFIED: the account that the certificate is for; NULL: whoever has LOGIN */
};
/* Checks ATTEMPT of a login (an address; without "@" the first domain is assumed; white space around it means nothing). 0 with *RET; ERR_REFUSED for a wrong name or password
 * alike (the same time for both); ERR_AGAIN: locked out, nothing was checked (lockout.h); ERR_UNSUPPORTED: it is all right, but what is
 * asked for is not theirs: this service (by the account's role), or to act as another; that counts neither as a success nor as a failure; ERR_UNAVAILABLE while
 * too many checks run: with *RET_DELAY_MS the same attempt is to be made again after that time, 0: never mind; ERR_LIMIT. Argon2id: may take 50 ms of
 * CPU; a success is remembered some minutes under a keyed hash in memory. A success with a password makes what is missing or outdated
 * of the account's credentials; that it could not be stored is no failure. */
int directory_login(struct directory *d, const struct directory_attempt *attempt, struct arena *arena,
                    struct directory_account *ret, int64_t *ret_delay_ms) MUST_USE;

/* Whether whoever logged in to account ID by C could still: it is there and enabled, has the same role, and what C is was not taken back: the
 * password not changed, the application password not removed. Of a certificate nothing else is known here. Does not block. */
bool directory_login_stands(struct directory *d, engine_part id, const struct directory_credential *c);
/* Who is told that logins of account ID (NULL: of anybody) may stand no longer; after the table shows it, before the call that changed it returns.
 * CHANGED may look things up. Before any change. */
struct directory_watcher {
    void *ctx;
    void (*changed)(void *ctx, const engine_part *id);
};
void directory_set_watcher(struct directory *d, const struct directory_watcher *w);

/* --- changes --- */

/* Which passwords directory_account_add and directory_account_password accept; all zero (as at first): any. */
struct directory_policy {
    unsigned length_min; /* characters */
    bool refuse_common;  /* not among the common ones, no sequence, not the user's name */
    bool need_mixed;     /* letters, digits and others */
};
void directory_set_policy(struct directory *d, const struct directory_policy *p);

int directory_domain_add(struct directory *d, str domain, struct error *e) MUST_USE; /* ERR_EXISTS, ERR_SYNTAX */
/* ERR_REFUSED while it has accounts, aliases, groups or other names. */
int directory_domain_remove(struct directory *d, str domain, struct error *e) MUST_USE;
/* ALIAS is another name of DOMAIN from now on, for delivery, for logging in and for sending. ERR_NOTFOUND, ERR_EXISTS, ERR_SYNTAX. */
int directory_domain_alias_add(struct directory *d, str alias, str domain, struct error *e) MUST_USE;
int directory_domain_alias_remove(struct directory *d, str alias, struct error *e) MUST_USE;
/* ADDRESS, one of ours, gets what comes for nobody in DOMAIN; empty: it is refused again. ERR_NOTFOUND, ERR_REFUSED, ERR_SYNTAX. */
int directory_domain_catch_all(struct directory *d, str domain, str address, struct error *e) MUST_USE;
/* Of the accounts of DOMAIN that have none of their own or by a group; NULL: none. The caller puts what counts for each account into
 * its store. */
int directory_domain_quota(struct directory *d, str domain, const struct directory_quota *quota, struct error *e) MUST_USE;
/* Adds a user with PASSWORD (empty: cannot log in; at most 1024 bytes). *RET_ID is new; the caller makes its mailboxes.
 * ERR_SYNTAX, ERR_REFUSED (domain is not ours, or the policy says no), ERR_EXISTS (also as an alias), ERR_LIMIT; and for all changes ERR_UNAVAILABLE,
 * ERR_FULL, ERR_IO, ERR_UNKNOWN. */
int directory_account_add(struct directory *d, str address, str password, engine_part *ret_id, struct error *e) MUST_USE;
/* The same with another ROLE; a program gets no password (ERR_REFUSED). */
int directory_account_add_as(struct directory *d, str address, enum directory_role role, str password, engine_part *ret_id,
                             struct error *e) MUST_USE;
/* The same, with what the person is called (at most DIRECTORY_DISPLAY_MAX bytes; may be empty). A question: nothing is changed, and *RET_ID means nothing. */
enum { DIRECTORY_DISPLAY_MAX = 128 };
struct directory_new_account {
    str address, name, password;
    enum directory_role role;
    enum language language;
    bool is_question;
};
int directory_account_make(struct directory *d, const struct directory_new_account *n, engine_part *ret_id,
                           struct error *e) MUST_USE;
/* ERR_REFUSED for a program. */
int directory_account_password(struct directory *d, str address, str password, struct error *e) MUST_USE;
/* Flags the account for MECHANISMS (0: none any more), for which its present PASSWORD is kept sealed: ERR_REFUSED when it is another, ERR_SYNTAX
 * when CRAM-MD5 cannot carry it, ERR_UNSUPPORTED without a sealer, and as that fails. Follows later changes of the password. */
int directory_account_legacy(struct directory *d, str address, unsigned mechanisms, str password, struct error *e) MUST_USE;
/* Who seals secrets for CONTEXT and gives them back: somebody whose key the directory does not have. Before any login. */
struct directory_sealer {
    void *ctx;
    int (*seal)(void *ctx, str context, str plain, struct buf *out, struct error *e);
    int (*unseal)(void *ctx, str context, str sealed, struct buf *out, struct error *e);
};
void directory_set_sealer(struct directory *d, const struct directory_sealer *s);

/* What Argon2id costs (RFC 9106), in one lane: memory and passes. Hashes made at another cost are made anew at the next login. */
struct directory_cost {
    unsigned kib, passes;
};
/* OWASP's least memory-hungry recommendation. */
enum { DIRECTORY_COST_KIB_MIN = 19456, DIRECTORY_COST_PASSES_MIN = 2 };
/* Thread-safe. */
void directory_set_cost(struct directory *d, const struct directory_cost *cost);
/* The cost that takes this machine about WANTED_US microseconds of a processor, and is never below the least; measured, which takes some five times as
 * long. */
struct directory_cost directory_cost_measure(int64_t wanted_us);
/* The same for a machine on which the least takes TAKEN_US. Pure. */
struct directory_cost directory_cost_for(int64_t taken_us, int64_t wanted_us);

/* Who remembers, longer than this process lives, that a password was right. A proof is a digest of the account's id, its hash with the salt, and the
 * password: it says nothing to who does not have the hash, and a new password or hash makes another. Its one half is asked about, the other is the
 * answer, which nobody can give who was not told it for the very same password. Calls may block, come from any thread, and may fail in silence: what is
 * not remembered costs Argon2. */
struct directory_witness {
    uint8_t question[32], answer[16];
};
struct directory_memory {
    void *ctx;
    /* The answer of the proof with QUESTION to *RET_ANSWER, or false. */
    bool (*ask)(void *ctx, const engine_part *id, const uint8_t question[32], uint8_t ret_answer[16]);
    void (*remember)(void *ctx, const engine_part *id, const struct directory_witness *proof);
    void (*forget)(void *ctx, const engine_part *id); /* NULL: all */
};
/* Before the first login. */
void directory_set_memory(struct directory *d, const struct directory_memory *m);
int directory_account_enable(struct directory *d, str address, bool enabled, struct error *e) MUST_USE;
/* Administrators stand in for a postmaster nobody named. A password stays, but counts for nothing while the account is a program's. */
int directory_account_role(struct directory *d, str address, enum directory_role role, struct error *e) MUST_USE;
/* What is written to the person is in LANGUAGE from now on; UNSAID: in the server's. */
int directory_account_language(struct directory *d, str address, enum language language, struct error *e) MUST_USE;
/* NULL: that of the groups or the domain. The caller puts what counts into the account's store. */
int directory_account_quota(struct directory *d, str address, const struct directory_quota *quota, struct error *e) MUST_USE;
/* Makes an application password NAME (1 to 64 bytes, unique for the account, at most 32): logs in where the password does, but for
 * SCRAM, and stays when that changes. RET_SECRET is known to nobody afterwards; wipe it. ERR_EXISTS, ERR_NOTFOUND, ERR_LIMIT,
 * ERR_SYNTAX. */
enum { DIRECTORY_APP_SECRET_SIZE = 30 };
int directory_app_password_add(struct directory *d, str address, str name, char ret_secret[DIRECTORY_APP_SECRET_SIZE],
                               struct error *e) MUST_USE;
int directory_app_password_remove(struct directory *d, str address, str name, struct error *e) MUST_USE;
/* FN gets each with the times of its making and of its last use (within a minute; 0: never), in seconds of the clock. */
int directory_app_passwords(struct directory *d, str address, int (*fn)(void *ctx, str name, uint64_t created, uint64_t used),
                            void *ctx) MUST_USE;
/* Nothing of it is left for the next one with that address. Aliases and catch-alls that lead to it are in the way (ERR_REFUSED names them), or
 * WITH_REFERENCES go along; groups lose the member. *RET_ID: the caller removes its mail, and then says so with
 * directory_mail_is_gone; until then the id stays on record, so that no crash leaves mail that nobody knows of. */
int directory_account_remove(struct directory *d, str address, bool with_references, engine_part *ret_id,
                             struct error *e) MUST_USE;
/* The same, but account and mail can be had back by directory_account_undelete until directory_account_erase. */
int directory_account_retire(struct directory *d, str address, bool with_references, engine_part *ret_id,
                             struct error *e) MUST_USE;
/* FN gets each account that can be had back, in no order; text lives until it returns, non-zero ends it and is returned. FN may call the directory. */
struct directory_removed {
    engine_part id;
    str address; /* that it had; perhaps somebody else's by now */
    enum directory_role role;
    int64_t removed_s; /* since 1970 */
};
int directory_removed(struct directory *d, int (*fn)(void *ctx, const struct directory_removed *one), void *ctx) MUST_USE;
/* The account ID comes back as ADDRESS with all that it was, and into the groups that are still there; not into aliases. *RET_UNFLAGGED: it was flagged
 * for legacy mechanisms that another name ends. ERR_NOTFOUND: it is none of those; ERR_EXISTS, ERR_REFUSED (domain is not ours). */
int directory_account_undelete(struct directory *d, engine_part id, str address, bool *ret_unflagged, struct error *e) MUST_USE;
/* It can be had back no more, and is one of directory_left_behind. ERR_NOTFOUND; ERR_CORRUPT never. */
int directory_account_erase(struct directory *d, engine_part id) MUST_USE;
/* Account FROM is TO from now on: the same id and with it all there is; aliases and catch-alls that lead to FROM lead to TO; its sessions end. KEEP_ALIAS:
 * FROM is an alias of it, else nobody's. ERR_NOTFOUND, ERR_EXISTS, ERR_REFUSED (domain is not ours), ERR_SYNTAX. */
struct directory_renamed {
    engine_part id;
    bool unflagged; /* it was flagged for DIGEST-MD5, which the name is part of, and is no more */
};
int directory_account_rename(struct directory *d, str from, str to, bool keep_alias, struct directory_renamed *ret,
                             struct error *e) MUST_USE;
/* FN gets each alias, group and domain (its NAME) that leads to somebody who is not there, and WHAT, a sentence. It must not call the
 * directory. */
void directory_dangling(struct directory *d, void (*fn)(void *ctx, str name, str what), void *ctx);
int directory_mail_is_gone(struct directory *d, engine_part id) MUST_USE;
/* The accounts that were removed and whose mail may still be there, at most MAX of them; how many in *RET_N. */
int directory_left_behind(struct directory *d, engine_part *ids, size_t max, size_t *ret_n) MUST_USE;
/* TARGETS: 1 to 100 addresses of accounts and aliases of ours. ERR_NOTFOUND for one that is not there, ERR_EXISTS,
 * ERR_REFUSED, ERR_SYNTAX, ERR_LIMIT. */
int directory_alias_add(struct directory *d, str address, const str *targets, size_t n, struct error *e) MUST_USE;
/* As directory_account_remove. */
int directory_alias_remove(struct directory *d, str address, bool with_references, struct error *e) MUST_USE;

/* A group is a set of accounts and groups. One whose name is an address gets mail for all of them; one with a name of 1 to 64 letters,
 * digits, ".", "-" and "_" is a set only. An alias stands for others, a group is what it has in it: it follows the account, not the
 * address, and goes with it. */
enum directory_senders { DIRECTORY_SENDERS_ANYONE, DIRECTORY_SENDERS_MEMBERS, DIRECTORY_SENDERS_DOMAIN, DIRECTORY_SENDERS_N };
/* "anyone", "members", "domain". */
const char *directory_senders_name(enum directory_senders senders);
/* Those called NAME, or DIRECTORY_SENDERS_N. */
enum directory_senders directory_senders_from_name(str name);
/* SENDERS: who may write to it. ERR_EXISTS, ERR_REFUSED (domain is not ours), ERR_SYNTAX. */
int directory_group_add(struct directory *d, str name, enum directory_senders senders, struct error *e) MUST_USE;
/* As directory_account_remove. */
int directory_group_remove(struct directory *d, str name, bool with_references, struct error *e) MUST_USE;
int directory_group_senders(struct directory *d, str name, enum directory_senders senders, struct error *e) MUST_USE;
int directory_group_quota(struct directory *d, str name, const struct directory_quota *quota, struct error *e) MUST_USE;
/* MEMBER: the address of an account, or the name of a group. At most 1000. ERR_NOTFOUND, ERR_EXISTS, ERR_LIMIT, ERR_REFUSED (a group in
 * itself). */
int directory_group_member_add(struct directory *d, str name, str member, struct error *e) MUST_USE;
/* What directory_group_member_add would answer, and nothing is changed; an empty MEMBER asks whether there is such a group. */
int directory_group_ask(struct directory *d, str name, str member, struct error *e) MUST_USE;
int directory_group_member_remove(struct directory *d, str name, str member, struct error *e) MUST_USE;

/* --- listing: FN gets each in order of name; strings live until it returns; non-zero ends and is returned. FN may call the
 * directory. An empty DOMAIN lists those of all; ERR_NOTFOUND when it is not ours --- */

struct directory_domain {
    str name, alias_of, catch_all; /* empty: none */
    bool has_quota;
    struct directory_quota quota;
};
int directory_domains(struct directory *d, int (*fn)(void *ctx, const struct directory_domain *domain), void *ctx) MUST_USE;
int directory_accounts(struct directory *d, str domain, int (*fn)(void *ctx, const struct directory_account *account),
                       void *ctx) MUST_USE;
int directory_aliases(struct directory *d, str domain, int (*fn)(void *ctx, str address, const str *targets, size_t n),
                      void *ctx) MUST_USE;

struct directory_group {
    str name;
    enum directory_senders senders;
    bool has_quota;
    struct directory_quota quota;
    const str *members; /* that are there still: addresses, and names of groups */
    size_t member_n;
};
/* Those without a domain too when DOMAIN is empty. */
int directory_groups(struct directory *d, str domain, int (*fn)(void *ctx, const struct directory_group *group),
                     void *ctx) MUST_USE;

struct directory_counts {
    size_t domains, accounts, accounts_enabled, aliases;
    bool has_administrator; /* one that is enabled */
    uint64_t argon2_runs;   /* password hashes computed by this process */
};
void directory_counts(struct directory *d, struct directory_counts *ret);
/* Password hashes computed by this process. */
uint64_t directory_argon2_runs(void);

/* ADDRESS in its canonical form, with the name that its domain has here where it came by another one, in ARENA. ERR_SYNTAX. */
int directory_home_address(struct directory *d, str address, struct arena *arena, str *ret, struct error *e) MUST_USE;
/* The canonical form of ADDRESS in ARENA: ERR_SYNTAX when it is none. */
int directory_canonical(str address, struct arena *arena, str *ret, struct error *e) MUST_USE;
/* The same for a domain: lower case, A-labels. */
int directory_canonical_domain(str domain, struct arena *arena, str *ret, struct error *e) MUST_USE;

#endif
