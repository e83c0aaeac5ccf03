/* SPDX-License-Identifier: Apache-2.0 */
/* One argument of a call as text for --strace, and what a result adds after the number. */
#pragma once

#include "sentry/syscalls/strace_print.h"

/* A call as it was entered. */
struct strace_call {
    const struct strace_syscall *desc;
    uint64_t args[6];
    int64_t before[6]; /* objects of inout int and off pointers, as they were at entry */
};

/* Reads what strace_arg_put needs at exit but only entry can see. */
void strace_call_remember(struct strace_call *c);
/* Does the argument mean nothing with these other arguments (open's mode without O_CREAT)? */
bool strace_arg_hidden(const struct strace_call *c, int i);
/* Can the argument be shown only when the call is over? */
bool strace_arg_late(const struct strace_call *c, int i);
/* Prints argument i. ret: the result when the call is over, else 0. */
void strace_arg_put(struct strace_buf *b, const struct strace_call *c, int i, bool over, long ret);
/* The result as strace shows it: number, error name, what select or poll found. */
void strace_result_put(struct strace_buf *b, const struct strace_call *c, long ret);
/* "ENOENT", "ERESTARTSYS", or NULL when ret is no error. */
const char *strace_error_name(long ret);
