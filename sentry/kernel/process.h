/* SPDX-License-Identifier: Apache-2.0 */
/* Process groups, sessions, priorities and the small per-process settings of system calls. */
#pragma once

#include "sentry/core/pid.h"

struct task;

lx_pid_t process_parent_nr(struct task *t); /* getppid */
int process_setpgid(struct task *t, lx_pid_t pid, lx_pid_t pgid);
/* Borrow-free: number or -errno. pid 0: the caller. */
long process_getpgid(struct task *t, lx_pid_t pid);
long process_getsid(struct task *t, lx_pid_t pid);
long process_setsid(struct task *t);
void process_set_subreaper(struct task *t, bool on);
bool process_is_subreaper(struct task *t);
bool process_is_single_threaded(struct task *t);
/* exit(2) of one thread, exit_group(2). status: wait status. */
void process_exit_thread(struct task *t, int status);
void process_exit_group(struct task *t, int status);
/* Calls fn for every process that which/who of getpriority(2) names: who 0 is the caller's own.
 * t is +1 for the call. Returns the number of calls. */
int process_for_each(struct task *self, int which, lx_pid_t who, bool threads,
                     void (*fn)(struct task *t, void *arg), void *arg);
