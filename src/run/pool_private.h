/* pool: worker threads, the tasks they run, and the one epoll set that tasks are parked in.
 *
 * A task is something with a descriptor, a deadline or both that is run in steps: a connection, a listener, a lane, a periodic
 * function. A step works until it would wait and says for what. In between the task is parked and costs no thread.
 *
 * How tasks are claimed, parked and woken without losing a reason to run is slots.h. Here comes to it:
 *   P1  A parked task's descriptor is armed before it is parked, so an event finds it parked or leaves TASK_IO.
 *   P2  The epoll set knows tasks by slot and generation (S3). */
#ifndef VALISE_RUN_POOL_PRIVATE_H
#define VALISE_RUN_POOL_PRIVATE_H

#include <stdatomic.h>

#include "base/err.h"

struct pool;
struct task;

/* Why a step is run. */
enum task_flag {
    TASK_START = 1,     /* for the first time */
    TASK_IO = 2,        /* its descriptor may be ready */
    TASK_EVENT = 4,     /* task_raise was called */
    TASK_TIMEOUT = 8,   /* its expiry has passed */
    TASK_SHUTDOWN = 16, /* the server stops: come to an end */
    TASK_KILL = 32      /* end now */
};

/* So long a step may go on while others wait, in microseconds: then AGAIN is for it. */
enum { TASK_TURN_US = 10000 };

/* What a step waits for. */
struct task_wait {
    uint32_t events;   /* EPOLLIN, EPOLLOUT; 0: not for the descriptor */
    int64_t expiry_ms; /* monotonic; 0: none */
    bool again;        /* for nothing: it has more to do, and others have their turn first */
};

struct task_kind {
    const char *name;
    /* Works until it would wait, or for TASK_TURN_US if it can. True: park for *RET (all zero when called), or with AGAIN run it once more
     * later, perhaps with FLAGS 0. False: the task is over, END follows. */
    bool (*step)(struct task *t, unsigned flags, struct task_wait *ret);
    /* Closes the descriptor and frees the task. No flag can reach it any more. */
    void (*end)(struct task *t);
};

/* Embedded in what is run. */
struct task {
    const struct task_kind *kind;
    struct pool *pool;
    struct task *queued; /* next in the run queue */
    int fd;              /* -1: none */
    uint32_t slot, generation;
    bool registered; /* fd is in the epoll set */
};

/* A pool of WORKERS_MIN to WORKERS_MAX threads for at most SLOTS_MAX tasks. No thread runs before pool_run. */
struct pool *pool_new(unsigned workers_min, unsigned workers_max, size_t slots_max);
/* Ends all tasks that are left and frees. Not while pool_run runs. */
void pool_free(struct pool *p);
/* Makes T a task over FD (or -1), runnable with TASK_START. False when there are too many: T is as it was. From any thread. */
bool pool_start(struct pool *p, struct task *t, const struct task_kind *kind, int fd) MUST_USE;
/* The same within a step that ends at once: the worker that runs it goes on with T, and no other is woken for it. */
bool pool_start_next(struct pool *p, struct task *t, const struct task_kind *kind, int fd) MUST_USE;
/* Takes T's descriptor out of the epoll set: in END, before one is closed that others hold too. Closing alone would leave the set an entry under its
 * number, which the next duplicate may get. */
void task_unwatch(struct task *t);
/* Makes T runnable with FLAG. From any thread; T must not be over. */
void task_raise(struct task *t, unsigned flag);
/* The same for all tasks there are but EXCEPT. Tasks that start later miss it. */
void pool_raise_all(struct pool *p, unsigned flag, const struct task *except);
/* Calls FN(CTX) once on a worker when FD becomes readable: for the stop request of a signal handler. Before pool_run. */
void pool_watch(struct pool *p, int fd, void (*fn)(void *), void *ctx);
/* Runs tasks until pool_quit; the calling thread is one of the workers. All other workers have ended when it returns. */
void pool_run(struct pool *p);
/* Makes pool_run return as soon as the workers have finished their steps. From any thread. */
void pool_quit(struct pool *p);

struct pool_counts {
    unsigned workers, busy, peak;
    size_t tasks, queued; /* there are; runnable and waiting for a worker */
};
struct pool_counts pool_counts(const struct pool *p);

#endif
