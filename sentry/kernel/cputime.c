/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CPU time of tasks. What is counted:
 *   user    the time between entering and leaving guest code, by the cycle counter. It includes the
 *           moments in which the host ran something else on that CPU: guest code never sleeps, so
 * on a host with free CPUs the two are the same, on an overloaded one guests look busier; system
 * the host's CPU time of the task's sentry thread, which does nothing but serve it. Cycles are
 * converted with the ratio of cycles to monotonic time since boot, so nothing needs calibration.
 */
#include "sentry/kernel/kernel_internal.h"

#include <errno.h>
#include <time.h>
#include <unistd.h>

#include "sentry/kernel/rusage.h"
#include "sentry/mm/mm.h"

static uint64_t g_boot_cycles, g_boot_ns;

void cputime_init(void)
{
    g_boot_cycles = cycles_now();
    g_boot_ns = clock_monotonic();
}

static uint64_t cycles_to_ns(uint64_t cycles)
{
    uint64_t all = cycles_now() - g_boot_cycles;
    uint64_t ns = clock_monotonic() - g_boot_ns;

    if (!all)
        return 0;
    return (uint64_t)((unsigned __int128)cycles * ns / all);
}

/* Host CPU time of a thread of this process; 0 when it is gone. */
static uint64_t host_thread_ns(int tid)
{
    /* The kernel's encoding of a per-thread scheduler clock: ~tid << 3 | CPUCLOCK_PERTHREAD |
     * SCHED. */
    clockid_t id = (clockid_t)(~(unsigned)tid << 3 | 6u);
    struct timespec ts;

    if (clock_gettime(id, &ts) < 0)
        return 0;
    return (uint64_t)ts.tv_sec * NSEC_PER_SEC + (uint64_t)ts.tv_nsec;
}

void cputime_thread_begin(struct task *t)
{
    int tid = gettid();

    t->k->stime_base = host_thread_ns(tid);
    atomic_store(&t->k->host_tid, tid);
}

void cputime_thread_end(struct task *t)
{
    struct ktask_private *k = t->k;
    int tid = atomic_load(&k->host_tid);

    atomic_store(&k->stime_final, host_thread_ns(tid) - k->stime_base);
    atomic_store(&k->host_tid, 0);
}

struct cpu_times task_cpu_times(struct task *t)
{
    struct ktask_private *k = t->k;
    uint64_t cycles = atomic_load(&k->guest_cycles), enter = atomic_load(&k->enter_cycles);
    uint64_t now = cycles_now();
    int tid = atomic_load(&k->host_tid);
    struct cpu_times out;

    if (enter && now > enter)
        cycles += now - enter;
    out.utime = cycles ? cycles_to_ns(cycles) : 0;
    out.stime = tid ? host_thread_ns(tid) : 0;
    if (out.stime > k->stime_base)
        out.stime -= k->stime_base;
    else
        out.stime = atomic_load(&k->stime_final);
    return out;
}

/* Caller holds g_taskset.lock or the group's lock. */
struct cpu_times group_cpu_times_locked(struct thread_group *tg)
{
    struct cpu_times sum = tg->dead;
    struct task *t;

    for_each_thread_locked(t, tg)
    {
        struct cpu_times one = task_cpu_times(t);

        sum.utime += one.utime;
        sum.stime += one.stime;
    }
    return sum;
}

void cputime_process(struct task *t, uint64_t *out_utime, uint64_t *out_stime)
{
    struct cpu_times times;

    mutex_lock(&g_taskset.lock);
    times = group_cpu_times_locked(t->tg);
    mutex_unlock(&g_taskset.lock);
    *out_utime = times.utime;
    *out_stime = times.stime;
}

void cputime_thread(struct task *t, uint64_t *out_utime, uint64_t *out_stime)
{
    struct cpu_times times = task_cpu_times(t);

    *out_utime = times.utime;
    *out_stime = times.stime;
}

void cputime_children(struct task *t, uint64_t *out_utime, uint64_t *out_stime)
{
    mutex_lock(&g_taskset.lock);
    *out_utime = t->tg->children.utime;
    *out_stime = t->tg->children.stime;
    mutex_unlock(&g_taskset.lock);
}

static void put_times(struct lx_rusage *out, uint64_t utime, uint64_t stime)
{
    out->utime = lx_timeval_from_ns(utime);
    out->stime = lx_timeval_from_ns(stime);
}

void rusage_both_locked(struct thread_group *tg, struct lx_rusage *out)
{
    struct cpu_times own = group_cpu_times_locked(tg);

    *out = (struct lx_rusage){0};
    put_times(out, own.utime + tg->children.utime, own.stime + tg->children.stime);
    out->maxrss = (int64_t)MAX(tg->maxrss, tg->child_maxrss);
    out->minflt = (int64_t)(tg->dead_minflt + tg->child_minflt);
    out->nvcsw = (int64_t)(tg->dead_nvcsw + tg->child_nvcsw);
    out->nivcsw = (int64_t)(tg->dead_nivcsw + tg->child_nivcsw);
}

int rusage_get(struct task *t, int who, struct lx_rusage *out)
{
    struct thread_group *tg = t->tg;
    struct mm_usage usage = {0};
    struct cpu_times times;

    if (who != LX_RUSAGE_SELF && who != LX_RUSAGE_CHILDREN && who != LX_RUSAGE_THREAD)
        return -EINVAL;
    *out = (struct lx_rusage){0};
    if (who != LX_RUSAGE_CHILDREN) {
        mm_usage(t->curr.mm, &usage);
        out->minflt = (int64_t)mm_minor_faults(t->curr.mm);
    }
    mutex_lock(&g_taskset.lock);
    switch (who) {
    case LX_RUSAGE_CHILDREN:
        put_times(out, tg->children.utime, tg->children.stime);
        out->maxrss = (int64_t)tg->child_maxrss;
        out->minflt = (int64_t)tg->child_minflt;
        out->nvcsw = (int64_t)tg->child_nvcsw;
        out->nivcsw = (int64_t)tg->child_nivcsw;
        break;
    case LX_RUSAGE_THREAD:
        times = task_cpu_times(t);
        put_times(out, times.utime, times.stime);
        out->maxrss = (int64_t)MAX(tg->maxrss, usage.peak_rss / 1024);
        out->nvcsw = (int64_t)t->k->nvcsw;
        out->nivcsw = (int64_t)t->k->nivcsw;
        break;
    default:
        times = group_cpu_times_locked(tg);
        put_times(out, times.utime, times.stime);
        out->maxrss = (int64_t)MAX(tg->maxrss, usage.peak_rss / 1024);
        out->nvcsw = (int64_t)(tg->dead_nvcsw + t->k->nvcsw);
        out->nivcsw = (int64_t)(tg->dead_nivcsw + t->k->nivcsw);
        break;
    }
    mutex_unlock(&g_taskset.lock);
    return 0;
}
