/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The proxy: the host process that stands for a process of a container. Its pid is what the
 * pid-file says. It has the container's host namespaces (network above all: hooks and CNI find it
 * through /proc/PID/ns), owns the process's connection to the sentry, passes signals and window
 * sizes in, and ends as the process does: with its exit code or by its signal. When it is killed,
 * the connection ends and the sentry kills the process.
 *
 * States: waiting (after proxy_start; dies with the caller), let go (proxy_go; lives on when the
 * caller leaves and becomes the child of the caller's subreaper), ended.
 */
#pragma once

#include <jansson.h>
#include <sys/types.h>

#include "runsc-c/support/err.h"

struct relay;
struct others;
struct witness;
struct cgroup_door;

struct proxy_config {
    const json_t *namespaces; /* linux.namespaces, or NULL: the caller's */
    const char *hostname;     /* of a new uts namespace, or NULL */
    pid_t join;               /* another proxy whose namespaces it takes instead, or 0 */
    pid_t network;            /* a process whose network namespace is the container's, or 0 */
    struct cgroup_door *door; /* of the cgroup it is to be in, or NULL */
    const char *rootfs;       /* what its root shall be, or NULL */
    int control_fd;           /* its end of the connection */
    int tty_fd;               /* host side terminal of the process, or -1 */
    bool start;               /* lets the process run, once it is let go itself */
    bool controlling; /* make tty_fd its controlling terminal: window changes arrive there */
    int exit_fd;      /* file for the exit code, or -1 */
    const struct witness *witness; /* of the container's first process, or NULL */
    const json_t *args;            /* process.args: what ps shows */
    uid_t uid;                     /* whom it belongs to, once it is let go */
    gid_t gid;
};

struct proxy {
    pid_t pid;
    int go_fd, settled_fd;
};

#define PROXY_NONE ((struct proxy){.pid = -1, .go_fd = -1, .settled_fd = -1})

/* The descriptors are borrowed: the proxy has copies. On success it exists in its namespaces, but for the mount namespace: that takes
 * the host a while, in which the caller has other things to do. */
int proxy_start(const struct proxy_config *config, struct proxy *out, struct err *e);
/* Returns when its root is the container's, too: before others are told its pid. */
int proxy_settle(struct proxy *p, struct err *e);
/* Lets it wait for the process's end. */
int proxy_go(struct proxy *p, struct err *e);
/* Ends one that shall not be: kills and reaps. Safe in any state. */
void proxy_destroy(struct proxy *p);
/* Waits for the end of a child: exit code, 128 + signal. Passes the signals of signal_fd on, and
 * copies for relay. */
int proxy_wait(struct proxy *p, int signal_fd, struct relay *relay, struct err *e);
/* The signals that are passed on, blocked; a signalfd for them. */
int proxy_catch_signals(struct err *e);

/* What a proxy does, for a command that does it itself (`do`). */
struct proxy_line {
    int control_fd, signal_fd;
    int tty_fd; /* or -1 */
    bool controlling;
    const struct witness *witness; /* or NULL */
    struct others *others;         /* or NULL */
};
/* Waits for the end of the process that the connection owns, passing signals in; start: lets it run
 * first. The wait status, or -1 when the sandbox is gone. */
int proxy_serve(const struct proxy_line *line, bool start, struct err *e);
/* The exit code that goes with a wait status: 128 + signal. */
int proxy_exit_code(int status);
