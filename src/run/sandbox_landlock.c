/* sandbox_landlock: which files a role reaches, by raw system calls: the C library has no wrappers, and the kernel headers of the
 * build may be older than the kernel it runs on. Rights that a kernel does not know are not asked of it. */
#include "run/sandbox_private.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef SYS_landlock_create_ruleset
#define SYS_landlock_create_ruleset 444
#define SYS_landlock_add_rule       445
#define SYS_landlock_restrict_self  446
#endif

/* As in linux/landlock.h, with the ABI version that brought them. */
#define FS_EXECUTE      (1ULL << 0)
#define FS_WRITE_FILE   (1ULL << 1)
#define FS_READ_FILE    (1ULL << 2)
#define FS_READ_DIR     (1ULL << 3)
#define FS_REMOVE_DIR   (1ULL << 4)
#define FS_REMOVE_FILE  (1ULL << 5)
#define FS_MAKE_DIR     (1ULL << 7)
#define FS_MAKE_REG     (1ULL << 8)
#define FS_MAKE_SOCK    (1ULL << 9)
#define FS_ALL_1        ((1ULL << 13) - 1)
#define FS_REFER        (1ULL << 13) /* 2 */
#define FS_TRUNCATE     (1ULL << 14) /* 3 */
#define NET_BIND_TCP    (1ULL << 0)  /* 4 */
#define NET_CONNECT_TCP (1ULL << 1)  /* 4 */
#define FS_IOCTL_DEV    (1ULL << 15) /* 5 */
#define SCOPE_ABSTRACT  (1ULL << 0)  /* 6 */
#define SCOPE_SIGNAL    (1ULL << 1)  /* 6 */

enum { RULE_PATH_BENEATH = 1, CREATE_VERSION = 1 };

struct ruleset {
    uint64_t fs, net, scoped;
};
struct path_beneath {
    uint64_t allowed;
    int32_t parent;
} __attribute__((packed));

/* What the ruleset takes away, as far as ABI knows it. */
static struct ruleset ruleset_of(const struct sandbox_profile *profile, long abi)
{
    struct ruleset r = { .fs = FS_ALL_1 };
    if (abi >= 2)
        r.fs |= FS_REFER;
    if (abi >= 3)
        r.fs |= FS_TRUNCATE;
    if (abi >= 5)
        r.fs |= FS_IOCTL_DEV;
    if (abi >= 4 && !profile->children) /* the supervisor binds the ports of all */
        r.net |= NET_BIND_TCP;
    if (abi >= 4 && !profile->network_connect)
        r.net |= NET_CONNECT_TCP;
    if (abi >= 6)
        r.scoped = SCOPE_ABSTRACT | (profile->children ? 0 : SCOPE_SIGNAL);
    return r;
}

/* The kernel's rights for RIGHTS on a file or directory. */
static uint64_t rights_of(unsigned rights, bool directory, bool children)
{
    uint64_t fs = 0;
    if (rights & SANDBOX_READ)
        fs |= FS_READ_FILE | FS_READ_DIR | (children ? FS_EXECUTE : 0);
    if (rights & SANDBOX_WRITE)
        fs |= FS_WRITE_FILE | FS_TRUNCATE;
    if (rights & SANDBOX_MAKE)
        fs |= FS_MAKE_REG | FS_MAKE_DIR | FS_MAKE_SOCK | FS_REMOVE_FILE | FS_REMOVE_DIR | FS_REFER;
    if (rights & SANDBOX_SOCKET)
        fs |= FS_MAKE_SOCK | FS_REMOVE_FILE;
    return directory ? fs : fs & (FS_EXECUTE | FS_READ_FILE | FS_WRITE_FILE | FS_TRUNCATE);
}

static int add_path(int ruleset, const struct ruleset *r, const struct sandbox_path *path, bool children, struct error *e)
{
    struct stat st;
    int fd = open(path->path, O_PATH | O_CLOEXEC);
    if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
        return 0;
    if (fd < 0 || fstat(fd, &st) < 0) {
        int code = error_set(e, ERR_INTERNAL, "sandbox: %s cannot be opened: %s", path->path, strerrordesc_np(errno));
        if (fd >= 0)
            close(fd);
        return code;
    }
    struct path_beneath rule = { .allowed = rights_of(path->rights, S_ISDIR(st.st_mode), children) & r->fs, .parent = fd };
    int code = 0;
    if (rule.allowed && syscall(SYS_landlock_add_rule, ruleset, RULE_PATH_BENEATH, &rule, 0) < 0)
        code = error_set(e, ERR_INTERNAL, "sandbox: no rule for %s: %s", path->path, strerrordesc_np(errno));
    close(fd);
    return code;
}

int sandbox_landlock(const struct sandbox_profile *profile, int abi_max, struct error *e)
{
    static const struct sandbox_path sanitizer_path = { "/proc", SANDBOX_READ };
    long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, CREATE_VERSION);
    if (abi < 1)
        return error_set(e, ERR_UNAVAILABLE, "this kernel has no Landlock: %s", strerrordesc_np(errno));
    if (abi > abi_max)
        abi = abi_max;
    struct ruleset r = ruleset_of(profile, abi);
    size_t size = abi >= 6 ? sizeof r : abi >= 4 ? 2 * sizeof(uint64_t) : sizeof(uint64_t);
    int ruleset = (int)syscall(SYS_landlock_create_ruleset, &r, size, 0);
    if (ruleset < 0)
        return error_set(e, ERR_INTERNAL, "no Landlock ruleset: %s", strerrordesc_np(errno));
    int code = 0;
    for (const struct sandbox_path *p = profile->paths; code == 0 && p && p->path; p++)
        code = add_path(ruleset, &r, p, profile->children, e);
    if (code == 0 && SANDBOX_SANITIZED)
        code = add_path(ruleset, &r, &sanitizer_path, false, e);
    if (code == 0 && syscall(SYS_landlock_restrict_self, ruleset, 0) < 0)
        code = error_set(e, ERR_INTERNAL, "Landlock refused: %s", strerrordesc_np(errno));
    close(ruleset);
    return code ? code : (int)abi;
}
