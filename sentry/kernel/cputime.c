/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CPU time of tasks. What is counted:
 *   user    the host's CPU time of what runs the task's guest code (a stub process), including the
 *           host's own work for it: entering, leaving, faults. Read only when somebody asks.
 *   system  the host's CPU time of the task's sentry thread, which does nothing but serve it.
 * A platform that has no such clock gets the time between entry and exit of guest code instead, by
 * the cycle counter, which on a busy host counts moments in which something else ran there. Cycles
 * are converted with the ratio of cycles to monotonic time since boot, so nothing needs
 * calibration.
 *
 * With some platforms the two look for each other instead of sleeping, for short times (struct
 * platform_event): that is on both clocks, and taken off again. What is looked in this moment is not
 * known yet, so what has been said once is the least that is said later.
 *
 * What runs guest code is replaced by exec and may have served another task before; guest_base is
 * where its clock stood, guest_done what earlier ones used. The owner changes the three under
 * guest_seq (odd while it does), readers try again.
 */
#include "sentry/kernel/kernel_internal.h"

#include <errno.h>
#include <unistd.h>

#include "platform/host/proc.h"
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

/* What is left of a clock's time without that in which somebody only looked. */
static uint64_t worked(uint64_t ns, const atomic_ulong *looked)
{
    uint64_t cycles = atomic_load(looked), vain = cycles ? cycles_to_ns(cycles) : 0;

    return ns > vain ? ns - vain : 0;
}

/* Time does not go back. */
static uint64_t told(atomic_ulong *most, uint64_t ns)
{
    unsigned long before = atomic_load(most);

    while (before < ns && !atomic_compare_exchange_weak(most, &before, ns))
        ;
    return MAX(before, ns);
}

void cputime_thread_begin(struct task *t)
{
    int clock = host_cpu_clock(gettid(), /*thread=*/true);

    t->k->stime_base = host_cpu_clock_ns(clock);
    atomic_store(&t->k->sentry_clock, clock);
}

void cputime_thread_end(struct task *t)
{
    struct ktask_private *k = t->k;
    int clock = atomic_load(&k->sentry_clock);

    atomic_store(&k->stime_final,
                 worked(host_cpu_clock_ns(clock) - k->stime_base, &k->owner_looked));
    atomic_store(&k->sentry_clock, 0);
}

void cputime_guest_changed(struct task *t, bool gone)
{
    struct ktask_private *k = t->k;
    int old = atomic_load(&k->guest_clock), clock = 0;
    uint64_t used = 0, base = 0;

    if (!g_platform_ops->ctx_cpu_clock)
        return;
    if (!gone && t->ctx)
        clock = g_platform_ops->ctx_cpu_clock(t->ctx);
    if (clock == old && !gone)
        return;
    if (old) {
        used = host_cpu_clock_ns(old);
        used -= MIN(k->guest_base, used);
    }
    if (clock)
        base = host_cpu_clock_ns(clock);
    atomic_fetch_add(&k->guest_seq, 1);
    atomic_store(&k->guest_clock, clock);
    atomic_store(&k->guest_base, base);
    atomic_fetch_add(&k->guest_done, used);
    atomic_fetch_add(&k->guest_seq, 1);
}

/* By the platform's clock. */
static uint64_t guest_ns(const struct ktask_private *k)
{
    uint64_t base, done, now;
    unsigned seq;
    int clock;

    do {
        seq = atomic_load(&k->guest_seq);
        clock = atomic_load(&k->guest_clock);
        base = atomic_load(&k->guest_base);
        done = atomic_load(&k->guest_done);
        now = clock ? host_cpu_clock_ns(clock) : 0;
    } while ((seq & 1) || atomic_load(&k->guest_seq) != seq);
    return done + (now > base ? now - base : 0);
}

/* By the cycle counter. */
static uint64_t guest_wall_ns(const struct ktask_private *k)
{
    uint64_t cycles = atomic_load(&k->guest_cycles), enter = atomic_load(&k->enter_cycles);
    uint64_t now = cycles_now();

    if (enter && now > enter)
        cycles += now - enter;
    return cycles ? cycles_to_ns(cycles) : 0;
}

/* A thread that runs guest code itself has one clock, *total. How much of it was the guest's is a guess by
 * the cycle counter, which counts while others have the CPU too; neither part goes back, and they are the
 * whole together (as Linux, cputime_adjust). */
static struct cpu_times split(const struct ktask_private *k, uint64_t total)
{
    const uint64_t told_u = atomic_load(&k->utime_told), told_s = atomic_load(&k->stime_told);
    const uint64_t guest = MIN(guest_wall_ns(k), total);
    struct cpu_times out = {.stime = MAX(total - guest, told_s)};

    total = MAX(total, told_u + told_s);
    out.stime = MIN(out.stime, total - told_u);
    out.utime = total - out.stime;
    return out;
}

struct cpu_times task_cpu_times(struct task *t)
{
    struct ktask_private *k = t->k;
    int clock = atomic_load(&k->sentry_clock);
    struct cpu_times out;

    out.stime = clock ? host_cpu_clock_ns(clock) : 0;
    if (out.stime > k->stime_base)
        out.stime = worked(out.stime - k->stime_base, &k->owner_looked);
    else
        out.stime = atomic_load(&k->stime_final);
    if (g_platform_ops->ctx_cpu_clock)
        out.utime = worked(guest_ns(k), &k->guest_looked);
    else
        out = split(k, out.stime);
    out.utime = told(&k->utime_told, out.utime);
    out.stime = told(&k->stime_told, out.stime);
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

void io_counts_add(struct io_counts *sum, const struct io_counts *one)
{
    sum->rchar += one->rchar;
    sum->wchar += one->wchar;
    sum->syscr += one->syscr;
    sum->syscw += one->syscw;
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
