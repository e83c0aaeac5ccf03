/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Starting a sandbox: one gofer and one sentry process, connected by socket pairs, each a re-exec
 * of this binary with nothing but the descriptors it needs. The sentry starts in its own
 * namespaces; it and the gofer finish their isolation themselves (sentry/boot/isolate.c,
 * gofer/isolate.c). A pod's further containers get a gofer and join a sentry that runs.
 */
#pragma once

#include <jansson.h>
#include <sys/types.h>

#include "runsc-c/support/err.h"

struct cgroup_door;

struct launch_request {
    const char *id;
    const json_t *spec;    /* borrowed, checked */
    const char *bundle;    /* directory that relative paths of the spec start from */
    const char *hostname;  /* where the spec has none; NULL or empty: the sentry's default */
    int stdio[3];          /* borrowed; the container's descriptors 0-2, -1: closed */
    int console_fd;        /* host terminal in raw mode for process.terminal, or -1 */
    int listen_fd;         /* bound and listening control socket, or -1 */
    int strace_fd;         /* or -1 */
    int preserve_fds;      /* descriptors 3.. of ours that the container gets */
    int control_fd;        /* our end of the connection that owns the container's first process */
    int sentry_control_fd; /* its other end, taken over; -1 for one that joins */
    const char *overlay;   /* root:memory | none */
    uint64_t overlay_size; /* bytes, 0: the default */
    bool shared_root;      /* others may change the root file system */
    bool share_pid;        /* join only: the pid namespace of the sandbox's first container */
    bool standalone;       /* `do`: the first process can be killed by any signal */
    bool die_with_parent;  /* the sandbox ends when this process does */
    bool attached;         /* what the sentry itself has to say goes to our stderr */
    const char *cgroup;    /* exec only: the process's inside the sandbox, or NULL */
    struct cgroup_door *door; /* of the container's cgroup, or NULL */
};

struct sandbox {
    pid_t sentry_pid, gofer_pid; /* children of the caller; sentry_pid -1 after a join */
};

/*
 * Starting takes two steps, because hooks run between them: they need the network namespace, which
 * is the sentry's when it is a new one, and may change what the gofer is to serve.
 *
 * sandbox_prepare: the sentry's process exists in its namespaces, and waits. joins: no sentry of its
 * own, a further container in the one behind rq->control_fd. rq must stay until the end. NULL with
 * e set.
 * sandbox_finish: gofer, then the sentry goes on; returns when the container is created (loaded, not
 * running). On error everything is gone again; e->exit_code is 126/127 when the command could not be
 * executed. Consumes l, as sandbox_cancel does.
 */
struct launch;
struct launch *sandbox_prepare(const struct launch_request *rq, bool joins, struct sandbox *out,
                               struct err *e);
int sandbox_finish(struct launch *l, struct sandbox *out, struct err *e);
void sandbox_cancel(struct launch *l, struct sandbox *out);
/* The process that owns the container's new network namespace, 0 when there is none such. */
pid_t sandbox_netns_owner(const struct launch *l, const struct sandbox *s);
/* A further process in the container rq->id of the sentry behind rq->control_fd: it is created, and
 * owned by that connection. process: the OCI object. */
int sandbox_add_process(const struct launch_request *rq, const json_t *process, struct err *e);
/* Kills what is left of it and reaps; safe in any state. */
void sandbox_destroy(struct sandbox *s);

/* Hidden entry points: argv is [exe, role, config fd]. */
int sandbox_sentry_main(int argc, char **argv);
int sandbox_gofer_main(int argc, char **argv);
