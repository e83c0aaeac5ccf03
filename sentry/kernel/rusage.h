/* SPDX-License-Identifier: Apache-2.0 */
/* Resource usage as getrusage(2) reports it. */
#pragma once

#include "sentry/abi/resource.h"

struct task;
struct thread_group;

/* The process plus its waited-for children (wait4). Caller holds g_taskset.lock. */
void rusage_both_locked(struct thread_group *tg, struct lx_rusage *out);
/* who: LX_RUSAGE_*. -EINVAL. */
int rusage_get(struct task *t, int who, struct lx_rusage *out);
/* CPU time in ns of the task's process or of the thread alone. */
void cputime_process(struct task *t, uint64_t *out_utime, uint64_t *out_stime);
void cputime_thread(struct task *t, uint64_t *out_utime, uint64_t *out_stime);
void cputime_children(struct task *t, uint64_t *out_utime, uint64_t *out_stime);
