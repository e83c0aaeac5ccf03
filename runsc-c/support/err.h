/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Errors of the command: text is added where the cause is known, context is put in front on the way
 * up, and main prints it once: one line that says what failed, on what, and what to do.
 */
#pragma once

#include "platform/base/compiler.h"

struct err {
    int exit_code; /* what the command exits with; 1 unless set */
    char msg[1000];
};

/* Sets the message; returns -1 so that callers write `return err_set(e, ...)`. */
int err_set(struct err *e, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* The same with ": strerror(errnum)" behind it. */
int err_errno(struct err *e, int errnum, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* Puts "text: " in front of the message. */
int err_wrap(struct err *e, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* The exit code that goes with a failure to execute: 127 for ENOENT, 126 otherwise. */
int err_exec_code(int errnum);
