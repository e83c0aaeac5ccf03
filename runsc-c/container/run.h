/* SPDX-License-Identifier: Apache-2.0 */
/* Running a container in the foreground or detached: what `run` and `do` share. */
#pragma once

#include <jansson.h>

#include "runsc-c/support/err.h"

struct container_run {
    const char *id;
    const char *bundle;
    const json_t *spec;   /* borrowed */
    const char *pid_file; /* or NULL */
    bool detach;
    bool keep;      /* leave ROOT/ID behind after exit */
    bool ephemeral; /* `do`: no state directory at all */
    long preserve_fds;
};

/* Exit code of the container's first process (128 + signal when killed), 0 when detached, -1. */
int container_run(const struct container_run *rq, struct err *e);
