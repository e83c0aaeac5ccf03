/* SPDX-License-Identifier: Apache-2.0 */
/* A host pseudoterminal for a process whose terminal somebody else holds (--console-socket). */
#pragma once

#include <jansson.h>

#include "runsc-c/support/err.h"

/* Makes a pty, sends its master to the listening socket at path and returns the slave: raw, because
 * the line discipline is the sandbox's. size: process.consoleSize or NULL. */
int console_send(const char *path, const json_t *size, struct err *e);
/* A pty of which the caller keeps the master: returns the slave. */
int console_open(const json_t *size, int *out_master, struct err *e);
