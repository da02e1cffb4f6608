/* keeper_aide: see keeper.h. */
#include "role/keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <openssl/crypto.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/beneath.h"
#include "base/log.h"
#include "pki/pki.h"
#include "role/keeper_private.h"
#include "run/sandbox.h"

enum { DEADLINE_MS = 10000, LANES_MAX = 16, CONFIG_BYTES_MAX = 1 << 20 };

/* In the new process, root's: the user who has the group of keys/ as his own. */
static int become_keeper(gid_t gid, struct error *e)
{
    const struct passwd *pw;
    uid_t uid = 0;
    setpwent();
    while (uid == 0 && (pw = getpwent()))
        if (pw->pw_gid == gid)
            uid = pw->pw_uid;
    endpwent();
    return uid ? sandbox_become(uid, gid, 1u << CAP_SYS_CHROOT, e) : 0; /* a lab that is all root's stays so */
}

struct lanes {
    struct pollfd list[LANES_MAX]; /* the first is the root lane, on which others come */
    nfds_t n;
};

/* One request on lane I; an error when the lane is of no use any more. */
static int serve_one(struct keeper *k, struct lanes *lanes, nfds_t i)
{
    struct arena a = ARENA_INIT(CHANNEL_PAYLOAD_MAX * 2);
    struct buf b = BUF_INIT(CHANNEL_PAYLOAD_MAX);
    struct frame request, reply;
    int err = frame_receive(lanes->list[i].fd, &a, DEADLINE_MS, &request);
    if (err == 0 && request.type == WIRE_OPEN_LANE && request.fd_n == 1 && lanes->n < LANES_MAX) {
        lanes->list[lanes->n++] = (struct pollfd){ .fd = request.fds[0], .events = POLLIN };
    } else if (err == 0) {
        err = channel_serve_frame(keeper_service_of_core(k), &request, &a, &b, &reply);
        if (err == 0)
            err = frame_send(lanes->list[i].fd, &reply, DEADLINE_MS);
        frame_close_fds(&request);
    }
    buf_done(&b);
    arena_done(&a);
    return err;
}

static int serve(int fd, int keys, gid_t gid, str config_text, str ca_pem)
{
    struct error e = ERROR_NONE;
    struct sandbox_state state;
    struct config *config = NULL;
    (void)signal(SIGPIPE, SIG_IGN);
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    (void)OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG | OPENSSL_INIT_LOAD_CRYPTO_STRINGS, NULL);
    int err = geteuid() == 0 && gid != 0 ? become_keeper(gid, &e) : 0;
    if (err == 0 && config_text.n)
        err = config_parse("valise.conf", config_text, &config, &e);
    else if (err == 0 && !(config = calloc(1, sizeof *config))) /* keeper needs the host name, if there is one */
        panic("out of memory at start");
    if (err == 0)
        err = sandbox_enter(&role_keeper_profile, keys, &state, &e);
    if (err) {
        log_error("keeper-aide", LOG_Z("text", e.text));
        return 1;
    }
    struct lanes lanes = { .list = { { .fd = fd, .events = POLLIN } }, .n = 1 };
    struct keeper *k = keeper_alone(config, ca_pem);
    while (poll(lanes.list, lanes.n, -1) > 0 || errno == EINTR)
        for (nfds_t i = lanes.n; i-- > 0;)
            if (lanes.list[i].revents && serve_one(k, &lanes, i)) {
                if (i == 0)
                    return 0;
                (void)close(lanes.list[i].fd);
                lanes.list[i] = lanes.list[--lanes.n];
            }
    return 1;
}

int keeper_aide_start(int dir, struct keeper_aide *ret, struct error *e)
{
    int fds[2];
    struct stat st;
    struct buf ca = BUF_INIT(PKI_PEM_MAX), config = BUF_INIT(CONFIG_BYTES_MAX);
    *ret = (struct keeper_aide){ 0 };
    int keys = beneath_directory(dir, "keys", NULL);
    if (keys < 0)
        return 0;
    if (beneath_read(dir, "ca.pem", &ca, NULL))
        buf_reset(&ca);
    if (beneath_read(dir, "valise.conf", &config, NULL))
        buf_reset(&config);
    if (fstat(keys, &st) != 0 || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) != 0) {
        (void)close(keys);
        buf_done(&ca);
        buf_done(&config);
        return error_set(e, ERR_IO, "no lane to the keys: %s", strerrordesc_np(errno));
    }
    (void)fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        sandbox_leave_terminal(); /* it ends with its lane */
        (void)close(fds[0]);
        _exit(serve(fds[1], keys, st.st_gid, buf_str(&config), buf_str(&ca)));
    }
    (void)close(fds[1]);
    (void)close(keys);
    buf_done(&ca);
    buf_done(&config);
    if (pid < 0) {
        (void)close(fds[0]);
        return error_set(e, ERR_UNAVAILABLE, "fork: %s", strerrordesc_np(errno));
    }
    *ret = (struct keeper_aide){ pid, channel_open(fds[0], "keeper") };
    return 0;
}

void keeper_aide_stop(struct keeper_aide *aide)
{
    channel_free(aide->channel);
    if (aide->pid > 0)
        while (waitpid(aide->pid, NULL, 0) < 0 && errno == EINTR)
            ;
    *aide = (struct keeper_aide){ 0 };
}
