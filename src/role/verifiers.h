/* verifiers: what keeper knows of passwords that Argon2 has found right, so that it need not be asked again after each restart.
 *
 *  V1  A verifier is HMAC-SHA256, under a key that only keeper has, of one half of a proof that only core can make: a digest of account, hash and
 *      password (struct directory_memory). Neither can try passwords alone: core lacks the key, keeper the salt and the hash. The other half is
 *      the answer: keeper, taken over, has none for a password that it was not told was right, so that its yes alone lets nobody in.
 *  V2  Who asks rightly is told the answer, others nothing. For each time that Argon2 said yes VERIFIERS_WRONG_MAX wrong questions are answered, then the account is
 *      forgotten; all wrong answers together are bounded in rate. So core, taken over, tries fewer passwords here than by Argon2 itself.
 *  V3  A verifier ends when its time is over, counted from when Argon2 said yes, and when told. A new hash makes another proof, so that a
 *      former password fits nothing even where the telling was lost.
 *  V4  They are in memory that is never swapped or dumped, and, so that they outlive this process, in a ring of the kernel's
 *      (run/keyring.h); never on a disk. Where memory cannot be locked nothing is remembered.
 *
 * Thread-safe. */
#ifndef VALISE_ROLE_VERIFIERS_H
#define VALISE_ROLE_VERIFIERS_H

#include "base/err.h"
#include "base/str.h"
#include "run/keyring.h"

enum { VERIFIERS_ID = 16, VERIFIERS_QUESTION = 32, VERIFIERS_ANSWER = 16 }; /* bytes */
enum { VERIFIERS_WRONG_MAX = 5, VERIFIERS_WRONG_PER_SECOND = 50 };

struct verifiers;

/* With what KEYS holds; KEYS without ring: in memory only. Keeps a copy of KEYS. ERR_UNAVAILABLE when memory cannot be locked. Nothing is remembered
 * before the first verifiers_set_limit. */
int verifiers_new(const struct keyring *keys, struct verifiers **ret, struct error *e) MUST_USE;
/* Writes down what has changed. NULL accepted. */
void verifiers_free(struct verifiers *v);

/* How long one lasts, in seconds; 0: none is kept, and all are forgotten now. IN_KERNEL: whether they are kept in the ring as well; else it is emptied. */
void verifiers_set_limit(struct verifiers *v, unsigned seconds, bool in_kernel, uint64_t now_s);

/* Whether QUESTION is what was added last for account ID, and the answer that was added with it. NOW_S counts seconds since the machine started. */
bool verifiers_ask(struct verifiers *v, const uint8_t id[VERIFIERS_ID], const uint8_t question[VERIFIERS_QUESTION],
                   uint64_t now_s, uint8_t ret_answer[VERIFIERS_ANSWER]);
void verifiers_add(struct verifiers *v, const uint8_t id[VERIFIERS_ID], const uint8_t question[VERIFIERS_QUESTION],
                   const uint8_t answer[VERIFIERS_ANSWER], uint64_t now_s);
/* At once, in the ring too. ID NULL: all. */
void verifiers_forget(struct verifiers *v, const uint8_t *id);

/* To be called about once a second: lets go of those whose time is over, writes changes to the ring and prolongs it. */
void verifiers_tend(struct verifiers *v, uint64_t now_s);

struct verifiers_state {
    uint32_t remembered; /* accounts */
    bool in_kernel;      /* all of them are in the ring as well, or will be within a second */
};
void verifiers_state(struct verifiers *v, struct verifiers_state *ret);

#endif
