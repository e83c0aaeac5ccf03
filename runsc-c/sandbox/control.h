/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Client side of the control protocol: one JSON object per SOCK_SEQPACKET message, descriptors
 * beside it. Requests have "op"; replies have "ok": true or "error" (and "exit_code"). The sentry's
 * side is sentry/boot/control.c.
 */
#pragma once

#include <jansson.h>

#include "runsc-c/support/err.h"

enum { CONTROL_MESSAGE_MAX = 64 * 1024, CONTROL_FDS_MAX = 250 };

int control_send(int fd, const json_t *msg, const int *fds, int fd_count, struct err *e);
/* Next message; NULL with *e set when the sandbox is gone or said "error". */
json_t *control_receive(int fd, struct err *e);
/* send + receive. request is consumed. */
json_t *control_call(int fd, json_t *request, struct err *e);
