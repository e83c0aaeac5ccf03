/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See cpus.h. Two masks decide: kcgroup.cpus_effective, changed under CGROUP and TASKSET, and
 * ktask_private.affinity, what was asked for (all ones: nothing). What follows from them is
 * computed when somebody asks, and told to the platform whenever one of the two changes.
 */
#include "sentry/kernel/cpus.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "platform/base/placement.h"
#include "sentry/kernel/cgroup_internal.h"
#include "sentry/kernel/kernel_internal.h"
#include "sentry/kernel/task_info.h"

static_assert(sizeof(cpu_set_t) == CPU_WORDS * sizeof(uint64_t), "a mask is the host's set");

static uint64_t g_cpus[CPU_WORDS] = {1};
static uint32_t g_count = 1, g_limit = 1;

void cpus_init(void)
{
    uint64_t mask[CPU_WORDS] = {0};
    cpu_set_t set;

    if (sched_getaffinity(0, sizeof(set), &set) < 0 || CPU_COUNT(&set) == 0)
        return;
    memcpy(mask, &set, sizeof(mask));
    memcpy(g_cpus, mask, sizeof(g_cpus));
    g_count = (uint32_t)CPU_COUNT(&set);
    for (uint32_t i = 0; i < CPU_MAX; i++) {
        if (kernel_cpu_usable(i))
            g_limit = i + 1;
    }
}

const uint64_t *kernel_cpus(void)
{
    return g_cpus;
}

uint32_t kernel_cpu_count(void)
{
    return g_count;
}

uint32_t kernel_cpu_limit(void)
{
    return g_limit;
}

bool kernel_cpu_usable(uint32_t nr)
{
    return nr < CPU_MAX && (g_cpus[nr / 64] >> (nr % 64) & 1);
}

uint32_t kernel_cpu_now(void)
{
    int cpu = placement_cpu();

    return cpu < 0 ? 0 : (uint32_t)cpu;
}

/* --- what was used of each CPU --- */

/* Keys: m ->lock */
static struct {
    struct mutex lock;
    struct cpu_used all, each[CPU_MAX];                 /* m: what was said last */
    struct placement_times seen[CPU_MAX], now[CPU_MAX]; /* m: the platform's, then */
} g_used = {.lock = {.rank = RANK_CPU_TIMES}};
static_assert(CPU_MAX == CPU_SETSIZE, "the platform's CPUs");

/* ns of all those for whom the platform counted `part` of `sum` on one CPU. */
static uint64_t share(uint64_t ns, uint64_t part, uint64_t sum)
{
    return sum ? (uint64_t)((unsigned __int128)ns * part / sum) : ns / kernel_cpu_count();
}

/* The platform knows where its pairs used CPU time, tasks know how much of it counts (cputime.c). So
 * what came since the last time is split as the platform's figures are. */
static void used_update_locked(void)
{
    struct placement_times sum = {0};
    struct cpu_used all, more;

    ASSERT_HELD(&g_used.lock);
    kernel_cpu_used(&all.user_ns, &all.system_ns);
    placement_cpu_times(g_used.now);
    more.user_ns = all.user_ns - MIN(g_used.all.user_ns, all.user_ns);
    more.system_ns = all.system_ns - MIN(g_used.all.system_ns, all.system_ns);
    for (uint32_t i = 0; i < CPU_MAX; i++) {
        sum.thread += g_used.now[i].thread - g_used.seen[i].thread;
        sum.partner += g_used.now[i].partner - g_used.seen[i].partner;
    }
    for (uint32_t i = 0; i < kernel_cpu_limit(); i++) {
        const struct placement_times *now = &g_used.now[i], *seen = &g_used.seen[i];

        if (!kernel_cpu_usable(i))
            continue;
        g_used.each[i].user_ns += share(more.user_ns, now->partner - seen->partner, sum.partner);
        g_used.each[i].system_ns += share(more.system_ns, now->thread - seen->thread, sum.thread);
    }
    memcpy(g_used.seen, g_used.now, sizeof(g_used.seen));
    g_used.all.user_ns += more.user_ns;
    g_used.all.system_ns += more.system_ns;
}

struct cpu_used *kernel_cpu_used_each(struct cpu_used *out_all)
{
    struct cpu_used *each = malloc(kernel_cpu_limit() * sizeof(*each));

    if (!each)
        return NULL;
    mutex_lock(&g_used.lock);
    used_update_locked();
    memcpy(each, g_used.each, kernel_cpu_limit() * sizeof(*each));
    *out_all = g_used.all;
    mutex_unlock(&g_used.lock);
    return each;
}

/* --- who may run where --- */

bool cpus_and(uint64_t mask[CPU_WORDS], const uint64_t a[CPU_WORDS], const uint64_t b[CPU_WORDS])
{
    bool any = false;

    for (int i = 0; i < CPU_WORDS; i++)
        any |= (a[i] & b[i]) != 0;
    for (int i = 0; any && i < CPU_WORDS; i++)
        mask[i] = a[i] & b[i];
    return any;
}

/* Linux: a wish that has nothing in common with the cpuset is kept, and waits for better times. */
static void effective_locked(struct task *t, uint64_t mask[CPU_WORDS])
{
    const uint64_t *group;

    ASSERT_HELD(&g_taskset.lock);
    group = t->tg->cgroup ? t->tg->cgroup->cpus_effective : g_cpus;
    mutex_lock(&t->lock);
    if (!cpus_and(mask, group, t->k->affinity))
        memcpy(mask, group, sizeof(g_cpus));
    mutex_unlock(&t->lock);
}

void cpus_apply_new_locked(struct task *t)
{
    uint64_t mask[CPU_WORDS];
    cpu_set_t set;
    bool all;

    effective_locked(t, mask);
    all = !memcmp(mask, g_cpus, sizeof(mask));
    if (!t->ctx || !g_platform_ops->ctx_set_cpus || (all && !t->k->cpus_limited))
        return;
    memcpy(&set, mask, sizeof(set));
    g_platform_ops->ctx_set_cpus(t->ctx, &set);
    t->k->cpus_limited = !all;
}

void cpus_apply_locked(struct task *t)
{
    mutex_lock(&t->tg->lock); /* keeps t->ctx */
    cpus_apply_new_locked(t);
    mutex_unlock(&t->tg->lock);
}

void task_affinity_get(struct task *t, uint64_t mask[CPU_WORDS])
{
    mutex_lock(&g_taskset.lock);
    effective_locked(t, mask);
    mutex_unlock(&g_taskset.lock);
}

int task_affinity_set(struct task *t, const uint64_t mask[CPU_WORDS])
{
    uint64_t both[CPU_WORDS];
    int ret = 0;

    mutex_lock(&g_taskset.lock);
    if (cpus_and(both, t->tg->cgroup ? t->tg->cgroup->cpus_effective : g_cpus, mask)) {
        mutex_lock(&t->lock);
        memcpy(t->k->affinity, mask, sizeof(t->k->affinity));
        mutex_unlock(&t->lock);
        cpus_apply_locked(t);
    } else {
        ret = -EINVAL;
    }
    mutex_unlock(&g_taskset.lock);
    return ret;
}
