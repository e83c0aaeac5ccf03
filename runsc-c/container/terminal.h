/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The caller's terminal while a container uses it as its console: raw mode here, line discipline in
 * the sandbox. Restored at exit, also when the command is killed by a signal it handles.
 */
#pragma once

#include <jansson.h>

#include "runsc-c/support/err.h"

/* The terminal behind descriptors 0 and 1 if both are the same one, else -1. */
int terminal_find(void);
int terminal_raw(int fd, struct err *e);
void terminal_restore(void);
/* {"op":"resize","rows":R,"cols":C}; NULL when the size is unknown. */
json_t *terminal_resize_request(int fd);
