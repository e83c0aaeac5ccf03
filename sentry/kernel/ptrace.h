/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ptrace(2) on kernel objects: what sentry/syscalls/ptrace.c decodes requests into. The caller of
 * every function is the calling task; `child` is another one, referenced by the caller. Functions
 * that look into a stopped child return -ESRCH when it is not (or no longer) stopped for the
 * caller. None holds a lock on return; those that may sleep say so.
 */
#pragma once

#include "platform/base/compiler.h"
#include "sentry/abi/ptrace.h"
#include "sentry/kernel/signal.h"

struct task;
struct mm;
struct lx_siginfo;

/* The caller becomes its parent's tracee. -EPERM. */
int ptrace_traceme(void);
/* ATTACH and SEIZE; options are valid already. Sleeps. -EPERM, -ERESTARTNOINTR. */
int ptrace_attach(struct task *child, bool seize, uint32_t options);
/* Is child a tracee of the caller and, unless any_state, stopped? 0 or -ESRCH. */
int ptrace_check(struct task *child, bool any_state);
int ptrace_detach(struct task *child, uint64_t signo); /* -EIO: no such signal */
/* CONT, SYSCALL, SYSEMU, SINGLESTEP, SYSEMU_SINGLESTEP. -EIO: no such signal. */
int ptrace_resume(struct task *child, int64_t request, uint64_t signo);
int ptrace_interrupt(struct task *child); /* -EIO: not seized */
int ptrace_listen(struct task *child);    /* -EIO: not seized or not in PTRACE_EVENT_STOP */
/* -EINVAL, -EPERM */
int ptrace_set_options(struct task *child, uint64_t options);
int ptrace_message(struct task *child, uint64_t *out);

/* Of the present stop; -EINVAL: it has none (group stop). */
int ptrace_siginfo_get(struct task *child, struct lx_siginfo *out);
int ptrace_siginfo_set(struct task *child, const struct lx_siginfo *info);
int ptrace_sigmask_get(struct task *child, lx_sigset_t *out);
int ptrace_sigmask_set(struct task *child, lx_sigset_t mask);
/* The off-th entry of the child's pending queue: 1, or 0 when there are fewer. */
int ptrace_siginfo_peek(struct task *child, bool shared, uint64_t off, struct lx_siginfo *out);

/* Memory as the debugger sees it: protection of private pages does not count. Bytes moved. */
int ptrace_mem_get(struct task *child, struct mm **out_mm); /* +1; -EIO when it has none */

/* struct user_regs_struct, whole or from byte off on (off and size multiples of 8). set: -EIO at
 * the first value that user mode cannot have; those before it are in force. */
int ptrace_regs_get(struct task *child, struct lx_regs *out);
int ptrace_regs_set(struct task *child, const struct lx_regs *regs, size_t off, size_t size);
/* XSAVE image of platform_xstate_size() bytes. May sleep: the child's own thread fetches it. */
int ptrace_xstate_get(struct task *child, uint8_t *buf);
/* -EINVAL: impossible state. */
int ptrace_xstate_set(struct task *child, const uint8_t *buf);
/* struct user, one word; off is checked. */
int ptrace_user_get(struct task *child, uint64_t off, uint64_t *out);
int ptrace_user_set(struct task *child, uint64_t off, uint64_t value);
/* Fills *out and returns how many bytes of it mean something. */
int ptrace_syscall_info(struct task *child, struct lx_ptrace_syscall_info *out);
/* The index-th newest filter: instructions, or -ENOENT; see ptrace(2). *out is malloc'ed. */
int ptrace_seccomp_filter(struct task *child, uint64_t index, void **out, size_t *out_size);
int ptrace_seccomp_metadata(struct task *child, uint64_t index, uint64_t *out_flags);
