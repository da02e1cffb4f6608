/* sandbox_keyring: keyctl for exactly the keys of one ring.
 *
 * libseccomp says "this call with one of these arguments" where all else is forbidden, but not "all else of this call is forbidden" in a filter that
 * allows the rest, as the supervisor's does. So this is a program of its own, in front of the other filter: it looks at keyctl alone, and what it does
 * not know kills. The kernel takes the strictest answer of all filters, and children inherit them. */
#include "run/sandbox_private.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/keyctl.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "run/keyring.h"

enum { CODE_MAX = 32 + 2 * KEYRING_KEYS };

struct program {
    struct sock_filter code[CODE_MAX];
    unsigned short n;
};

static void put(struct program *p, uint16_t code, uint32_t k, uint8_t yes, uint8_t no)
{
    require(p->n < CODE_MAX);
    p->code[p->n++] = (struct sock_filter){ code, yes, no, k };
}

static void load(struct program *p, size_t offset)
{
    put(p, BPF_LD | BPF_W | BPF_ABS, (uint32_t)offset, 0, 0);
}

static void answer(struct program *p, uint32_t action)
{
    put(p, BPF_RET | BPF_K, action, 0, 0);
}

/* Answers ACTION when what was loaded is K, or with OTHERWISE when it is not. */
static void answer_if(struct program *p, uint32_t k, bool otherwise, uint32_t action)
{
    put(p, BPF_JMP | BPF_JEQ | BPF_K, k, otherwise, !otherwise);
    answer(p, action);
}

/* Where half HALF (0: the low one) of argument I lies. */
static size_t argument(size_t i, size_t half)
{
    bool high_first = __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__;
    return offsetof(struct seccomp_data, args) + 8 * i + 4 * (half ^ high_first);
}

static void write_program(struct program *p, const struct keyring *k)
{
    load(p, offsetof(struct seccomp_data, arch));
    answer_if(p, seccomp_arch_native(), true, SECCOMP_RET_ALLOW); /* the other filter kills for it */
    load(p, offsetof(struct seccomp_data, nr));
    answer_if(p, SYS_keyctl, true, SECCOMP_RET_ALLOW);
    for (size_t i = 0; i < 2; i++) { /* the operation and the key have no more than 32 bits */
        load(p, argument(i, 1));
        answer_if(p, 0, true, SECCOMP_RET_KILL_PROCESS);
    }
    load(p, argument(0, 0));
    put(p, BPF_JMP | BPF_JEQ | BPF_K, KEYCTL_SET_TIMEOUT, 0, 4);
    load(p, argument(1, 0));
    answer_if(p, (uint32_t)k->ring, false, SECCOMP_RET_ALLOW);
    answer(p, SECCOMP_RET_KILL_PROCESS);
    put(p, BPF_JMP | BPF_JEQ | BPF_K, KEYCTL_READ, 2, 0);
    answer_if(p, KEYCTL_UPDATE, true, SECCOMP_RET_KILL_PROCESS);
    load(p, argument(1, 0));
    for (size_t i = 0; i < KEYRING_KEYS; i++)
        answer_if(p, (uint32_t)k->keys[i], false, SECCOMP_RET_ALLOW);
    answer(p, SECCOMP_RET_KILL_PROCESS);
}

int sandbox_keyring(const struct sandbox_profile *profile, struct error *e)
{
    struct program p = { .n = 0 };
    if (!profile->keyring || !profile->keyring->ring)
        return 0;
    write_program(&p, profile->keyring);
    const struct sock_fprog f = { p.n, p.code };
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &f, 0, 0) == 0)
        return 0;
    return error_set(e, errno == EINVAL || errno == ENOSYS ? ERR_UNAVAILABLE : ERR_INTERNAL,
                     "%s: the filter for keys of the kernel was refused: %s", profile->name, strerrordesc_np(errno));
}
