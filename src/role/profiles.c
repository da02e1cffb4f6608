/* profiles: the sandbox of each role, side by side for comparison. Paths are relative to the working directory: for the supervisor and core the valise
 * directory, for keeper keys/, for mx an empty one. What is not listed cannot be opened. */
#include "role/role.h"

/* Executes the roles, so it must hold every right of theirs: Landlock and seccomp are inherited and can only shrink. Of its own it reads the
 * configuration, and makes and removes sockets. */
const struct sandbox_profile role_supervisor_profile = {
    .name = "supervisor",
    .paths = (const struct sandbox_path[]){ { ".", SANDBOX_READ | SANDBOX_SOCKET },
                                            { "store", SANDBOX_READ | SANDBOX_WRITE | SANDBOX_MAKE },
                                            { "spool", SANDBOX_READ | SANDBOX_WRITE | SANDBOX_MAKE },
                                            { "tls", SANDBOX_READ | SANDBOX_WRITE | SANDBOX_MAKE },
                                            { "/proc/self/exe", SANDBOX_READ },
                                            { "/usr", SANDBOX_READ },
                                            { "/lib", SANDBOX_READ },
                                            { "/lib64", SANDBOX_READ },
                                            { "/etc/ld.so.cache", SANDBOX_READ },
                                            { "/etc/localtime", SANDBOX_READ },
                                            { "/proc", SANDBOX_READ },
                                            { "/sys/devices/system/cpu", SANDBOX_READ },
                                            { "/dev/null", SANDBOX_READ | SANDBOX_WRITE },
                                            { "/dev/urandom", SANDBOX_READ },
                                            { NULL, 0 } },
    .network_accept = true,
    .unix_sockets = true,
    .threads = true,
    .file_writes = true,
    .children = true,
};

/* keys/, which is all that it sees: no network, no mail. */
const struct sandbox_profile role_keeper_profile = {
    .name = "keeper",
    .paths = (const struct sandbox_path[]){ { ".", SANDBOX_READ }, { NULL, 0 } },
    .unix_sockets = true,
    .threads = true,
};

/* Strangers' bytes: no file at all, no way out. */
const struct sandbox_profile role_mx_profile = {
    .name = "mx",
    .paths = (const struct sandbox_path[]){ { NULL, 0 } },
    .network_accept = true,
    .unix_sockets = true,
    .threads = true,
};

/* The store; no keys. */
const struct sandbox_profile role_core_profile = {
    .name = "core",
    .paths = (const struct sandbox_path[]){ { "store", SANDBOX_READ | SANDBOX_WRITE | SANDBOX_MAKE },
                                            { "spool", SANDBOX_READ | SANDBOX_WRITE | SANDBOX_MAKE },
                                            { "tls", SANDBOX_READ | SANDBOX_WRITE | SANDBOX_MAKE }, /* to renew certificates */
                                            { "/sys/devices/system/cpu", SANDBOX_READ },
                                            { NULL, 0 } },
    .network_accept = true,
    .unix_sockets = true,
    .threads = true,
    .file_writes = true,
};
