/* pairs: the lanes between roles that talk, and from core to the supervisor. See supervisor_private.h. */
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "role/supervisor_private.h"

/* Who asks whom; the table of rights on the asking side. What may be asked is the table on the serving side. */
static const struct {
    const char *asks, *serves;
} pairs[] = { { "mx", "core" }, { "mx", "keeper" }, { "core", "keeper" } };

/* A lane from ASKS to SERVES, one of which is FRESH, the role being started. Only its failure is an error: when the other one
 * fails, it will be started again and connected then. */
static int connect_pair(struct child *asks, struct child *serves, const struct child *fresh, struct error *e)
{
    int fds[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) != 0)
        return error_set(e, ERR_IO, "socketpair: %s", strerrordesc_np(errno));
    struct error why = ERROR_NONE;
    struct child *failed = NULL;
    int err = child_send(serves, WIRE_SERVE, str_from_z(asks->kind), fds[0], &why);
    if (err)
        failed = serves;
    else if ((err = child_send(asks, WIRE_PEER, str_from_z(serves->kind), fds[1], &why)))
        failed = asks;
    (void)close(fds[0]);
    (void)close(fds[1]);
    if (!failed)
        return 0;
    if (failed == fresh)
        return error_set(e, err, "%s", why.text);
    child_give_up_on(failed, &why);
    return 0;
}

/* The lane on which core asks us. */
static int connect_core(struct supervisor *s, struct child *c, struct error *e)
{
    int fds[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) != 0)
        return error_set(e, ERR_IO, "socketpair: %s", strerrordesc_np(errno));
    int err = child_send(c, WIRE_PEER, STR("supervisor"), fds[1], e);
    (void)close(fds[1]);
    if (err == 0)
        supervisor_add_lane(s, fds[0]);
    else
        (void)close(fds[0]);
    return err;
}

int supervisor_connect(struct supervisor *s, struct child *c, struct error *e)
{
    int err = strcmp(c->kind, "core") == 0 ? connect_core(s, c, e) : 0;
    for (size_t i = 0; i < s->child_n; i++) {
        struct child *other = &s->children[i];
        for (size_t k = 0; k < sizeof pairs / sizeof pairs[0] && err == 0; k++) {
            if (other == c || !child_is_running(other))
                continue;
            if (strcmp(pairs[k].asks, c->kind) == 0 && strcmp(pairs[k].serves, other->kind) == 0)
                err = connect_pair(c, other, c, e);
            else if (strcmp(pairs[k].serves, c->kind) == 0 && strcmp(pairs[k].asks, other->kind) == 0)
                err = connect_pair(other, c, c, e);
        }
    }
    return err;
}
