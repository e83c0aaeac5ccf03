/* SPDX-License-Identifier: Apache-2.0 */
/*
 * OCI hooks in the runtime's own namespaces: prestart, createRuntime (create, after the namespaces
 * exist and before anything is mounted), createContainer (there too, inside the container's
 * namespaces), poststart (start, after the program runs), poststop (delete). startContainer runs
 * in the sandbox: container/start.c.
 */
#pragma once

#include <jansson.h>
#include <sys/types.h>

#include "runsc-c/support/err.h"

/* Runs the hooks called kind in order, state (borrowed) as JSON on stdin. join: a process whose
 * namespaces they run in, or 0. The first that fails ends it: its output is in the message. */
int hooks_run(const json_t *spec, const char *kind, const json_t *state, pid_t join, struct err *e);
