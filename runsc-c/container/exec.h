/* SPDX-License-Identifier: Apache-2.0 */
/* Further processes in a container: the command exec, and the startContainer hooks. */
#pragma once

#include <jansson.h>

#include "runsc-c/container/state.h"
#include "runsc-c/support/err.h"

struct exec_call_options {
    const json_t *process;      /* borrowed, checked OCI object */
    const char *pid_file;       /* or NULL */
    const char *console_socket; /* or NULL */
    const char *cgroup;         /* of the process, below the container's own inside; or NULL */
    bool detach;
    long preserve_fds;
};

/* The exit code of the process (128 + signal), 0 when detached, -1 on error. */
int exec_run(const struct container *c, const struct exec_call_options *rq, struct err *e);
/* hooks.startContainer: programs of the container's own file system, run in it before its first
 * process, state (borrowed) on stdin. */
int exec_start_hooks(const struct container *c, const json_t *spec, const json_t *state,
                     struct err *e);
