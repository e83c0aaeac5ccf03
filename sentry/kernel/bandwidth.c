/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cpu.max: what a control group's processes may use of the CPUs in each period.
 *
 * The sentry has no scheduler, so nothing tells it of each microsecond that a guest thread runs. It
 * looks at the group's CPU time (cputime.c) when the quota could have run out at the earliest, all
 * CPUs busy, and again after the rest of that, down to steps of a millisecond. When the quota is
 * used up, every thread inside is taken out of guest code and held until the next period begins;
 * threads that sleep in a system call, or work in one, are held when they come back from it. What
 * was used too much is a debt to the next period, as on Linux, so over several periods the share
 * is right to a fraction of a per cent, although a single one may be exceeded by a millisecond for each CPU.
 *
 * A group whose processes use nothing for a period has no timer. Each of its threads then has
 * SLEEP_INTERRUPT_BANDWIDTH set, which ends no sleep, but brings it here before its next guest
 * code; the first one starts the timer again. The same bit brings threads here to be held.
 *
 * The host's group of the sandbox limits all of it together with the sentry; a container's own limit
 * is enforced here as well, which is what limits containers of one pod, and containers where no
 * host group could be made. cpu.weight is not enforced (DEVIATION): shares between threads are the
 * host scheduler's, which knows weights by nice values alone, and the sentry may raise those but never
 * lower them again.
 *
 * Locks: everything is under TASKSET.
 */
#include "sentry/core/restart.h"
#include "sentry/kernel/cgroup_internal.h"

#define POLL_MIN_NS   1000000ull
#define NSEC_PER_USEC 1000ull

static uint64_t quota_ns(struct kcgroup *cg)
{
    uint64_t us = cgroup_value(cg, CGROUP_CPU_QUOTA);

    return us > CGROUP_MAX / 2 / NSEC_PER_USEC ? CGROUP_MAX : us * NSEC_PER_USEC;
}

static uint64_t period_ns(struct kcgroup *cg)
{
    return cgroup_value(cg, CGROUP_CPU_PERIOD) * NSEC_PER_USEC;
}

static uint64_t burst_ns(struct kcgroup *cg)
{
    return cgroup_value(cg, CGROUP_CPU_BURST) * NSEC_PER_USEC;
}

/* ---- holding -------------------------------------------------------------------------------- */

static bool held_above(const struct kcgroup *cg)
{
    for (; cg; cg = cg->parent) {
        if (cg->bandwidth.throttled)
            return true;
    }
    return false;
}

/* Brings t to bandwidth_look before it runs more guest code. Sleeps go on: the bit ends none. */
static void call_in(struct task *t)
{
    atomic_fetch_or(&t->curr.sleeper.interrupt, SLEEP_INTERRUPT_BANDWIDTH);
    /* As in task_kick_locked: the bit is set before in_guest is read. */
    if (atomic_load(&t->k->in_guest) && t->ctx)
        g_platform_ops->ctx_interrupt(t->ctx);
}

static void let_go(struct task *t)
{
    if (t->k->bandwidth_held)
        sleeper_wake(&t->curr.sleeper);
}

static void throttle_locked(struct kcgroup *cg, uint64_t now)
{
    struct bandwidth *b = &cg->bandwidth;

    if (b->throttled)
        return;
    b->throttled = true;
    b->throttled_at = now;
    cgroup_each_task_locked(cg, call_in);
}

static void unthrottle_locked(struct kcgroup *cg, uint64_t now)
{
    struct bandwidth *b = &cg->bandwidth;

    if (!b->throttled)
        return;
    b->throttled = false;
    b->stat.throttled_ns += now - b->throttled_at;
    cgroup_each_task_locked(cg, let_go);
}

/* ---- periods -------------------------------------------------------------------------------- */

static uint64_t used_locked(struct kcgroup *cg)
{
    struct cpu_times sum = cgroup_cpu_times_locked(cg);

    return sum.utime + sum.stime;
}

/* The next whole periods began; *left becomes what may be used until the next does. */
static void refill_locked(struct kcgroup *cg, uint64_t now, uint64_t used, int64_t *left)
{
    struct bandwidth *b = &cg->bandwidth;
    const uint64_t quota = quota_ns(cg), period = period_ns(cg), burst = burst_ns(cg);
    const uint64_t periods = (now - b->period_start) / period;
    const int64_t most = (int64_t)MIN(quota + burst, (uint64_t)INT64_MAX / 2);

    b->stat.periods += periods;
    if (b->throttled)
        b->stat.throttled += periods;
    if (used > quota && burst) {
        b->stat.bursts++;
        b->stat.burst_ns += MIN(used - quota, burst);
    }
    *left = *left > 0 && !burst ? 0 : *left;
    for (uint64_t i = 0; i < periods && *left < most; i++)
        *left += (int64_t)MIN(quota, (uint64_t)most);
    *left = MIN(*left, most);
    b->period_start += periods * period;
    b->used_before += used;
    b->runtime = *left;
}

static uint64_t next_look(const struct kcgroup *cg, uint64_t now, uint64_t period, int64_t left)
{
    const struct bandwidth *b = &cg->bandwidth;
    uint64_t end = b->period_start + period;

    if (b->throttled)
        return end;
    return MIN(end, now + MAX((uint64_t)left / kernel_cpu_count(), POLL_MIN_NS));
}

static uint64_t look_locked(struct kcgroup *cg, uint64_t now)
{
    struct bandwidth *b = &cg->bandwidth;
    const uint64_t period = period_ns(cg);
    uint64_t used;
    int64_t left;

    if (!b->running || quota_ns(cg) == CGROUP_MAX || atomic_load(&cg->dead)) {
        unthrottle_locked(cg, now);
        b->running = false;
        return 0;
    }
    used = used_locked(cg) - b->used_before;
    left = b->runtime - (int64_t)used;
    if (now - b->period_start >= period) {
        refill_locked(cg, now, used, &left);
        if (used == 0 && !b->throttled) {
            b->running = false;
            cgroup_each_task_locked(cg, call_in);
            return 0;
        }
    }
    if (left > 0)
        unthrottle_locked(cg, now);
    else
        throttle_locked(cg, now);
    return next_look(cg, now, period, left);
}

static uint64_t timer_fire(struct ktimer *timer, uint64_t now)
{
    struct kcgroup *cg = container_of(timer, struct kcgroup, bandwidth.timer);
    uint64_t next;

    mutex_lock(&g_taskset.lock);
    next = look_locked(cg, now);
    mutex_unlock(&g_taskset.lock);
    return next;
}

static void start_locked(struct kcgroup *cg)
{
    struct bandwidth *b = &cg->bandwidth;
    uint64_t now = clock_monotonic();

    b->period_start = now;
    b->used_before = used_locked(cg);
    b->runtime =
        (int64_t)MIN(quota_ns(cg) + (b->runtime > 0 ? burst_ns(cg) : 0), (uint64_t)INT64_MAX / 2);
    /* Out of memory: the next task that runs tries again. */
    b->running = ktimer_arm(&b->timer, next_look(cg, now, period_ns(cg), b->runtime)) == 0;
}

void bandwidth_look(struct task *t)
{
    struct ktask_private *k = t->k;
    bool held;

    do {
        sleeper_clear_interrupt(&t->curr.sleeper, SLEEP_INTERRUPT_BANDWIDTH);
        mutex_lock(&g_taskset.lock);
        for (struct kcgroup *cg = t->tg->cgroup; cg; cg = cg->parent) {
            if (quota_ns(cg) != CGROUP_MAX && !cg->bandwidth.running)
                start_locked(cg);
        }
        held = k->bandwidth_held = held_above(t->tg->cgroup);
        mutex_unlock(&g_taskset.lock);
    } while (held && task_block_killable(NO_DEADLINE) == 0);
    if (held) {
        mutex_lock(&g_taskset.lock);
        k->bandwidth_held = false;
        mutex_unlock(&g_taskset.lock);
    }
}

/* ---- changes -------------------------------------------------------------------------------- */

void bandwidth_init(struct kcgroup *cg)
{
    ktimer_init(&cg->bandwidth.timer, timer_fire);
}

void bandwidth_stop(struct kcgroup *cg)
{
    ktimer_cancel(&cg->bandwidth.timer);
}

void bandwidth_joined_locked(struct task *t, struct kcgroup *cg)
{
    ASSERT_HELD(&g_taskset.lock);
    for (; cg; cg = cg->parent) {
        if (quota_ns(cg) != CGROUP_MAX && (!cg->bandwidth.running || cg->bandwidth.throttled)) {
            call_in(t);
            break;
        }
    }
}

void bandwidth_changed(struct kcgroup *cg)
{
    struct bandwidth *b = &cg->bandwidth;

    mutex_lock(&g_taskset.lock);
    unthrottle_locked(cg, clock_monotonic());
    b->running = false;
    b->runtime = 0;
    if (quota_ns(cg) != CGROUP_MAX)
        cgroup_each_task_locked(cg, call_in);
    mutex_unlock(&g_taskset.lock);
}

void cgroup_bandwidth_stat(struct kcgroup *cg, struct cgroup_bandwidth_stat *out)
{
    struct bandwidth *b = &cg->bandwidth;

    mutex_lock(&g_taskset.lock);
    *out = b->stat;
    if (b->throttled)
        out->throttled_ns += clock_monotonic() - b->throttled_at;
    mutex_unlock(&g_taskset.lock);
}
