/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tasks: guest threads. See kernel/README.md. This header is what syscalls/, proc/ and boot/ see;
 * kernel_internal.h is for kernel/ alone.
 */
#pragma once

#include "platform/platform.h"
#include "sentry/core/clock.h"
#include "sentry/core/curr.h"
#include "sentry/kernel/cpus.h"
#include "sentry/kernel/signal.h"

struct file;
struct ktask_private;
struct thread_group;

/* Lifetime: refcounted (task_get/task_put); the pid tables and the own thread hold references.
 * Keys: I immutable; T own thread only; m ->lock; s taskset lock; a atomic */
struct task {
    struct curr curr;         /* must be first */
    struct refs refs;         /* a */
    struct mutex lock;        /* rank TASK */
    struct thread_group *tg;  /* I, +1: the process */
    struct platform_ctx *ctx; /* T; ctx_interrupt by others under thread_group.lock while alive */
    struct lx_regs regs;      /* T: guest registers while in the sentry; see task_regs */
    bool regs_partial;        /* T: only those of a PLATFORM_SYSCALL event are valid */
    char comm[16];            /* m */
    struct ktask_private *k;  /* I: kernel/ private state */
};

static inline struct task *current_task(void)
{
    return curr()->task;
}
struct task *task_get(struct task *t);
void task_put(struct task *t);
/* +1 or NULL; nr as the caller's pid namespace numbers it. */
struct task *task_find_get(lx_pid_t nr);         /* any thread */
struct task *task_find_process_get(lx_pid_t nr); /* leader of thread group nr */

/* The calling task's registers, all of them, to read and to change. A system call finds only its
 * number, arguments, rip and rax in t->regs (platform.h); whoever needs another register, or
 * changes one besides rax, asks here. Costs a few microseconds per call that does. */
struct lx_regs *task_regs(struct task *t);

/* The generated dispatcher (syscall-table/): runs the call in t->regs and returns its result. */
long syscall_dispatch(struct task *t, struct lx_regs *regs);

/* Inverted need: --strace (syscalls/strace.c) watches the task loop. NULL when off, set once before
 * the first task runs. All but first_exec are called by the task's own thread; no lock is held and
 * they may block. */
struct syscall_trace_ops {
    /* A process that boot starts has its program: the exec that no guest called. Called by boot's
     * thread before t runs. */
    void (*first_exec)(struct task *t, const char *filename, const char *const *argv,
                       size_t env_count);
    /* Before dispatch; regs->orig_rax is the number. */
    void (*enter)(struct task *t, const struct lx_regs *regs);
    /* After dispatch, before restart codes are turned into -EINTR. regs: as at enter. */
    void (*exit)(struct task *t, const struct lx_regs *regs, long ret);
    /* A signal is taken off the queue for delivery (handler, default action or group stop). */
    void (*signal)(struct task *t, int signo, const struct lx_siginfo *info);
    /* The thread ends; wstatus as wait(2) would report its process. Last call for t. */
    void (*exited)(struct task *t, int wstatus);
};
extern const struct syscall_trace_ops *g_syscall_trace_ops; /* defined in kernel/task.c */

/* Marks the calling task's system call for a restart through its restart block: returns
 * -ERESTART_RESTARTBLOCK; fn runs as restart_syscall(2). Only POD state may be kept in arg. */
struct restart_block {
    long (*fn)(struct task *t, struct restart_block *rb);
    uint64_t arg[6];
};
long task_set_restart(struct task *t, const struct restart_block *rb);
/* restart_syscall(2): runs the block once. -EINTR when there is none. */
long task_run_restart(struct task *t);

/* Replaces the calling task's credentials (consumes c) with the side effects of commit_creds():
 * dumpable, pdeath signal, per-user counts. -EAGAIN never: RLIMIT_NPROC is looked at by exec. */
void task_commit_cred_take(struct task *t, struct cred *c);
/* Limits of the task's process. */
struct lx_rlimit;
void task_rlimit(struct task *t, int resource, struct lx_rlimit *out);
void task_set_rlimit(struct task *t, int resource, const struct lx_rlimit *lim);
uint64_t task_rlimit_cur(struct task *t, int resource);
