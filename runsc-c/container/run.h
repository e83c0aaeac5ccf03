/* SPDX-License-Identifier: Apache-2.0 */
/* Running in the foreground: `do`, and `run` as create, start, wait, delete. */
#pragma once

#include <jansson.h>

#include "runsc-c/container/create.h"
#include "runsc-c/support/err.h"

/* `do`: no state, no proxy; this process is the container's only client. The exit code of the first
 * process (128 + signal when killed), or -1. */
int run_standalone(const char *id, const json_t *spec, struct err *e);
/* The same for a container that is created and started first; keep: not deleted afterwards. With
 * detach it is left running: 0. */
int run_container(struct create_request *rq, bool detach, bool keep, struct err *e);
