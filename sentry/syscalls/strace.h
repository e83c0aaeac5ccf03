/* SPDX-License-Identifier: Apache-2.0 */
/*
 * --strace: every system call, signal and exit of the guest as a line, decoded like strace(1) does.
 * The descriptors come from syscall-table/. Guest memory is only looked at with copy_in_partial: a
 * wild pointer is printed as an address, the guest never notices.
 *
 * Costs nothing when off: the task loop tests g_syscall_trace_ops. Service threads are not traced.
 */
#pragma once

#include "platform/base/compiler.h"
#include "sentry/kernel/task.h"

/* Starts tracing to fd (donated, kept open). Once, before the first task runs. json: one JSON
 * object per line instead of text. -ENOMEM. */
int MUST_CHECK strace_init(int fd, bool json);
