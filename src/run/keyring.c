/* keyring: see keyring.h. The C library has no functions for these calls; a library of its own (libkeyutils) would add nothing to three of them. */
#include "run/keyring.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/keyctl.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* Permissions of a key (keyrings(7)), by who asks: who has it linked below one of his own keyrings; its user; its group. */
#define HOLDER_ALL    0x3f000000u
#define USER(rights)  ((unsigned)(rights) << 16)
#define GROUP(rights) ((unsigned)(rights) << 8)
enum { MAY_READ = 2, MAY_WRITE = 4, MAY_SET = 0x20 };
enum { UNTOUCHED_S = 24 * 3600 }; /* how long a ring lasts that nobody prolongs */

/* A key that is empty for us: the kernel has none without bytes. */
static const char nothing[1];

static long control(int operation, long a, long b, long c, long d)
{
    return syscall(SYS_keyctl, operation, a, b, c, d);
}

static int set_rights(int32_t key, unsigned rights, gid_t group)
{
    unsigned all = HOLDER_ALL | USER(rights) | (group == (gid_t)-1 ? 0 : GROUP(rights));
    if (group != (gid_t)-1 && control(KEYCTL_CHOWN, key, -1, (long)group, 0) != 0)
        return -1;
    return (int)control(KEYCTL_SETPERM, key, (long)all, 0, 0);
}

/* The key NAME of TYPE below RING: the one that there is, or a new one that holds VALUE. Its number, or -1 with errno. */
static int32_t have(const char *type, const char *name, str value, int32_t ring, unsigned rights, gid_t group)
{
    long key = control(KEYCTL_SEARCH, ring, (long)type, (long)name, 0);
    if (key < 0)
        key = syscall(SYS_add_key, type, name, value.p, value.n, ring);
    return key < 0 || set_rights((int32_t)key, rights, group) != 0 ? -1 : (int32_t)key;
}

static bool have_all(const char *name, gid_t group, struct keyring *k)
{
    k->ring = have("keyring", name, (str){ NULL, 0 }, KEY_SPEC_USER_KEYRING, MAY_SET, group);
    bool ok = k->ring > 0 && control(KEYCTL_SET_TIMEOUT, k->ring, UNTOUCHED_S, 0, 0) == 0;
    for (size_t i = 0; ok && i < KEYRING_KEYS; i++) {
        char number[8];
        (void)snprintf(number, sizeof number, "%zu", i);
        k->keys[i] = have("user", number, (str){ nothing, sizeof nothing }, k->ring, MAY_READ | MAY_WRITE, group);
        ok = k->keys[i] > 0;
    }
    return ok;
}

/* In the new process. A key goes to the group of who makes it: giving it away later would take more rights than a container's root has. The session that a
 * service manager gives us may hold nothing of the user's, and by their numbers one may change only keys that one holds: so it is a session of our own. */
static _Noreturn void open_apart(const char *name, gid_t group, int to)
{
    struct keyring k = { 0 };
    int32_t why = 0;
    bool ok = (group == (gid_t)-1 || setegid(group) == 0) && control(KEYCTL_JOIN_SESSION_KEYRING, 0, 0, 0, 0) >= 0 &&
              control(KEYCTL_LINK, KEY_SPEC_USER_KEYRING, KEY_SPEC_SESSION_KEYRING, 0, 0) == 0 && have_all(name, group, &k);
    if (!ok)
        why = errno;
    ok = write(to, &why, sizeof why) == (ssize_t)sizeof why && write(to, &k, sizeof k) == (ssize_t)sizeof k;
    _exit(!ok);
}

int keyring_open(const char *name, gid_t group, struct keyring *ret, struct error *e)
{
    struct keyring k = { 0 };
    int fds[2], status;
    int32_t why = 0;
    *ret = (struct keyring){ 0 };
    if (pipe2(fds, O_CLOEXEC) != 0)
        return error_set(e, ERR_INTERNAL, "pipe: %s", strerrordesc_np(errno));
    pid_t pid = fork();
    if (pid == 0)
        open_apart(name, group, fds[1]);
    (void)close(fds[1]);
    bool told =
        pid > 0 && read(fds[0], &why, sizeof why) == (ssize_t)sizeof why && read(fds[0], &k, sizeof k) == (ssize_t)sizeof k;
    (void)close(fds[0]);
    while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (!told)
        return error_set(e, ERR_UNAVAILABLE, "the kernel's keyring: the process that was to look for it ended");
    if (why)
        return error_set(e, ERR_UNAVAILABLE, "the kernel's keyring: %s", strerrordesc_np(why));
    *ret = k;
    return 0;
}

int64_t keyring_read(const struct keyring *k, size_t i, char *p, size_t max)
{
    long n = control(KEYCTL_READ, k->keys[i], (long)p, (long)max, 0);
    if (n < 0)
        return ERR_UNAVAILABLE;
    if ((size_t)n > max)
        return ERR_LIMIT;
    return n == (long)sizeof nothing ? 0 : n;
}

int keyring_write(const struct keyring *k, size_t i, str bytes)
{
    str value = bytes.n ? bytes : (str){ nothing, sizeof nothing };
    if (value.n > KEYRING_VALUE_MAX)
        return ERR_LIMIT;
    if (control(KEYCTL_UPDATE, k->keys[i], (long)value.p, (long)value.n, 0) == 0)
        return 0;
    return errno == EDQUOT || errno == ENOSPC ? ERR_FULL : ERR_UNAVAILABLE;
}

int keyring_expire(const struct keyring *k, unsigned seconds)
{
    return control(KEYCTL_SET_TIMEOUT, k->ring, (long)seconds, 0, 0) == 0 ? 0 : ERR_UNAVAILABLE;
}
