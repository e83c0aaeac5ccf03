/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The CPUs of the sandbox and who may run where.
 *
 * A guest's CPU numbers are the host's: it reads them itself with rdtscp, and the host writes them
 * into restartable sequences. The CPUs that the host does not let the sandbox use (OCI cpuset,
 * taskset) are shown as offline: possible are 0 to the highest one that is usable.
 *
 * A task's CPUs are those of its control group's cpuset, narrowed by what sched_setaffinity asked
 * for where the two have CPUs in common. They are enforced: the platform keeps the pair of guest
 * code and sentry thread on one of them.
 */
#pragma once

#include "platform/base/compiler.h"
#include "sentry/abi/types.h"

struct task;

#define CPU_WORDS 16 /* masks of 1024 CPUs */
#define CPU_MAX   (CPU_WORDS * 64)

/* Immutable after kernel_init. */
const uint64_t *kernel_cpus(void);   /* mask of the usable ones */
uint32_t kernel_cpu_count(void);     /* how many those are */
uint32_t kernel_cpu_limit(void);     /* highest of them + 1; at least 1 */
bool kernel_cpu_usable(uint32_t nr); /* any number */

/* Where the calling thread runs, and with it the guest code that it serves. */
uint32_t kernel_cpu_now(void);

/* CPU time that guests have used, of all tasks ever. */
struct cpu_used {
    uint64_t user_ns, system_ns;
};
/* In sum, and for each CPU below kernel_cpu_limit() the part that was used there, in an array that the
 * caller frees; NULL: no memory. */
struct cpu_used *kernel_cpu_used_each(struct cpu_used *out_all);

/* Where t may run. */
void task_affinity_get(struct task *t, uint64_t mask[CPU_WORDS]);
/* -EINVAL: nothing in common with t's cpuset. */
int MUST_CHECK task_affinity_set(struct task *t, const uint64_t mask[CPU_WORDS]);
