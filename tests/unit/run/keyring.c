/* keyring: what keys of the kernel hold from one process to the next, and that a filter lets a role at exactly its own. */
#include "../check.h"

#include <linux/keyctl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "run/keyring.h"
#include "run/sandbox_private.h"

static struct keyring ring, other;
static char name[64];

/* A container may have none; the tests are left out there. */
static int setup(void **state)
{
    struct error e = ERROR_NONE;
    (void)snprintf(name, sizeof name, "valise-test-%d", (int)getpid());
    if (keyring_open(name, (gid_t)-1, &ring, &e) == ERR_UNAVAILABLE) {
        print_message("skipped: %s\n", e.text);
        return 0;
    }
    char second[80];
    (void)snprintf(second, sizeof second, "%s-other", name);
    return keyring_open(second, (gid_t)-1, &other, &e);
}

static int teardown(void **state)
{
    if (ring.ring) {
        (void)syscall(SYS_keyctl, KEYCTL_UNLINK, ring.ring, KEY_SPEC_USER_KEYRING);
        (void)syscall(SYS_keyctl, KEYCTL_UNLINK, other.ring, KEY_SPEC_USER_KEYRING);
    }
    return 0;
}

static void need_ring(void)
{
    if (!ring.ring)
        skip();
}

static void keys_keep_what_they_are_given(void **state)
{
    char bytes[KEYRING_VALUE_MAX], got[KEYRING_VALUE_MAX];
    struct keyring again;
    need_ring();
    assert_int_equal(keyring_read(&ring, 0, got, sizeof got), 0);
    memset(bytes, 'x', sizeof bytes);
    assert_int_equal(keyring_write(&ring, 0, (str){ bytes, sizeof bytes }), 0);
    assert_int_equal(keyring_write(&ring, KEYRING_KEYS - 1, STR("last")), 0);
    struct error e = ERROR_NONE;
    if (keyring_open(name, (gid_t)-1, &again, &e))
        fail_msg("%s", e.text);
    assert_memory_equal(&again, &ring, sizeof ring);
    assert_int_equal(keyring_read(&again, 0, got, sizeof got), sizeof bytes);
    assert_memory_equal(got, bytes, sizeof bytes);
    assert_int_equal(keyring_read(&again, KEYRING_KEYS - 1, got, sizeof got), 4);
    assert_int_equal(keyring_read(&again, 0, got, 100), ERR_LIMIT);
    assert_int_equal(keyring_write(&ring, 0, STR("")), 0);
    assert_int_equal(keyring_read(&again, 0, got, sizeof got), 0);
    char more[KEYRING_VALUE_MAX + 1] = { 0 };
    assert_int_equal(keyring_write(&ring, 0, (str){ more, sizeof more }), ERR_LIMIT);
}

static void a_group_may_use_them(void **state)
{
    struct keyring k;
    char group[96], got[16];
    int status = -1;
    need_ring();
    if (geteuid() != 0) {
        print_message("skipped: giving keys to a group takes root\n");
        skip();
    }
    (void)snprintf(group, sizeof group, "%s-group", name);
    assert_int_equal(keyring_open(group, 61002, &k, NULL), 0);
    assert_int_equal(getegid(), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) { /* as another user of that group, and as one of no group */
        bool ok = sandbox_become(61001, 61002, 0, NULL) == 0 && keyring_write(&k, 3, STR("theirs")) == 0 &&
                  keyring_read(&k, 3, got, sizeof got) == 6 && keyring_expire(&k, 60) == 0 &&
                  keyring_read(&ring, 0, got, sizeof got) < 0 && keyring_write(&ring, 0, STR("x")) < 0;
        _exit(!ok);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    (void)syscall(SYS_keyctl, KEYCTL_UNLINK, k.ring, KEY_SPEC_USER_KEYRING);
}

/* --- the filter --- */

static long call(int operation, int32_t key)
{
    char got[16];
    return syscall(SYS_keyctl, operation, (long)key, (long)got, sizeof got, 0);
}

static const struct sandbox_path nowhere[] = { { NULL, 0 } };

enum { OWN, RING, OTHER, USERS };

/* What became of it: 0, 1 when it failed, -1 when it was killed. */
static int outcome(bool children, bool has_ring, int operation, int which)
{
    static const struct keyring none;
    const struct sandbox_profile profile = {
        .name = "keys", .paths = nowhere, .children = children, .keyring = has_ring ? &ring : &none
    };
    int32_t key = which == OWN     ? ring.keys[7]
                  : which == RING  ? ring.ring
                  : which == OTHER ? other.keys[7]
                                   : KEY_SPEC_USER_KEYRING;
    int status = -1;
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct sandbox_state state;
        if (sandbox_enter(&profile, -1, &state, NULL))
            _exit(2);
        if (operation == KEYCTL_UPDATE)
            _exit(keyring_write(which == OTHER ? &other : &ring, 7, STR("new")) != 0);
        if (operation == KEYCTL_SET_TIMEOUT)
            _exit(syscall(SYS_keyctl, operation, (long)key, 3600L, 0, 0) != 0);
        _exit(call(operation, key) < 0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS ? -1 : WIFEXITED(status) ? WEXITSTATUS(status) : 3;
}

static void a_role_has_its_own_keys_alone(void **state)
{
    static const struct {
        int operation, which, expected;
    } rows[] = {
        { KEYCTL_READ, OWN, 0 },
        { KEYCTL_UPDATE, OWN, 0 },
        { KEYCTL_SET_TIMEOUT, RING, 0 },
        { KEYCTL_READ, RING, -1 },
        { KEYCTL_READ, OTHER, -1 },
        { KEYCTL_UPDATE, OTHER, -1 },
        { KEYCTL_SET_TIMEOUT, OWN, -1 },
        { KEYCTL_READ, USERS, -1 },
        { KEYCTL_DESCRIBE, OWN, -1 },
        { KEYCTL_GET_KEYRING_ID, USERS, -1 },
        { KEYCTL_JOIN_SESSION_KEYRING, OWN, -1 },
        { KEYCTL_REVOKE, OWN, -1 },
        { KEYCTL_CHOWN, OWN, -1 },
    };
    need_ring();
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        for (int children = 0; children < 2; children++) {
            int got = outcome(children, true, rows[i].operation, rows[i].which);
            if (got != rows[i].expected)
                fail_msg("row %zu, %s: %d", i, children ? "supervisor" : "role", got);
            assert_int_equal(outcome(children, false, rows[i].operation, rows[i].which), -1);
        }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_keep_what_they_are_given),
        cmocka_unit_test(a_group_may_use_them),
        cmocka_unit_test(a_role_has_its_own_keys_alone),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
