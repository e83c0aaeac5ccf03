/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Starting a sandbox: one gofer and one sentry process, connected by socket pairs, each a re-exec
 * of this binary with nothing but the descriptors it needs. The sentry starts in its own
 * namespaces; it and the gofer finish their isolation themselves (sentry/boot/isolate.c,
 * gofer/isolate.c).
 */
#pragma once

#include <jansson.h>
#include <sys/types.h>

#include "runsc-c/support/err.h"

struct launch_request {
    const char *id;
    const json_t *spec;   /* borrowed, checked */
    const char *bundle;   /* directory that relative paths of the spec start from */
    int stdio[3];         /* borrowed; the container's descriptors 0-2, -1: closed */
    int console_fd;       /* host terminal in raw mode for process.terminal, or -1 */
    int listen_fd;        /* bound and listening control socket, or -1 */
    int strace_fd;        /* or -1 */
    int preserve_fds;     /* descriptors 3.. of ours that the container gets */
    bool standalone;      /* `do`: the first process can be killed by any signal */
    bool die_with_parent; /* attached: the sandbox ends when this process does */
};

struct sandbox {
    pid_t sentry_pid, gofer_pid; /* children of the caller */
    int control_fd;              /* our end of the first control connection */
};

/* Starts both processes and waits until the container is created (loaded, not running). On error
 * everything is gone again; e->exit_code is 126/127 when the command could not be executed. */
int sandbox_launch(const struct launch_request *rq, struct sandbox *out, struct err *e);
/* Kills what is left of it and reaps; safe in any state. */
void sandbox_destroy(struct sandbox *s);

/* Hidden entry points: argv is [exe, role, config fd]. */
int sandbox_sentry_main(int argc, char **argv);
int sandbox_gofer_main(int argc, char **argv);
