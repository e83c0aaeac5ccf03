/* SPDX-License-Identifier: Apache-2.0 */
/* New tasks: what fork, vfork, clone and clone3 have in common; unshare and setns. */
#pragma once

#include "sentry/abi/sched.h"
#include "sentry/core/pid.h"

struct file;
struct task;

struct clone_request {
    uint64_t flags;  /* LX_CLONE_* without CSIGNAL */
    int exit_signal; /* 0..255: above 64 the parent gets none */
    uaddr_t stack;   /* initial rsp, 0: the caller's */
    uaddr_t tls, parent_tid, child_tid, pidfd;
    int cgroup_fd; /* LX_CLONE_INTO_CGROUP: directory of a cgroup2 mount */
    uint32_t set_tid_count;
    lx_pid_t set_tid[PIDNS_MAX_DEPTH + 1]; /* innermost first */
};

/* Id of the child as the caller sees it, or -errno in clone(2)'s order; vfork's wait
 * comes after it (task_after_call). */
long task_clone(struct task *t, const struct clone_request *rq);
long task_unshare(struct task *t, uint64_t flags);
/* setns(2) with a pidfd: joins the target's namespaces of the kinds in flags. */
long task_setns_pid(struct task *t, struct pid *target, uint64_t flags);

/* A file for p; it polls readable when the process has ended, or with LX_PIDFD_THREAD the thread.
 * pidfd_open(2). */
int MUST_CHECK pidfd_create(struct pid *p, uint32_t flags, struct file **out);
/* Borrowed pid behind a pidfd; NULL when f is another kind of file. */
struct pid *pidfd_pid(const struct file *f);
/* Of a pidfd: is it about one thread? */
bool pidfd_is_thread(const struct file *f);
