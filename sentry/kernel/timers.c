/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Interval timers, POSIX timers and the CPU time limit of a process. State is under the group's
 * lock; ktimer_arm may be called with it held, ktimer_cancel may not (the callback takes it), so
 * whoever cancels does it first and then looks again under the lock.
 *
 * A POSIX timer that fired has at most one signal queued. It is re-armed when that signal is taken;
 * the periods that passed meanwhile are its overrun count.
 *
 * CPU-time timers have no event of their own: while one is set, a timer looks at the CPU time when
 * it could have run out at the earliest (all CPUs busy), and goes back to sleep for the rest.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sentry/fs/signalfd/signalfd.h"
#include "sentry/kernel/kernel_internal.h"
#include "sentry/kernel/ktime.h"

enum { IGNORED_PERIOD_NS = 10000000, CPU_POLL_MIN_NS = 1000000 };
#define TIMERS_MAX INT32_MAX

/* Lifetime: refcounted: by the group's list and by its queued signal.
 * Keys: I immutable; g tg->lock */
struct posix_timer {
    struct refs refs;
    struct list node;        /* g: tg->timers */
    struct thread_group *tg; /* I, borrowed: deletes its timers before it goes */
    struct pid *target;      /* I, +1: SIGEV_THREAD_ID; else NULL */
    struct user *user;       /* I, +1: counts it as a pending signal for as long as it lives */
    int id, clockid, notify; /* I */
    struct ktimer kt;
    struct pid *cpu_thread;        /* I, +1: whose CPU time, for thread clocks */
    uint64_t expires;              /* g: monotonic ns, or ns of CPU time; 0: off */
    uint64_t interval;             /* g */
    int64_t overrun, overrun_last; /* g */
    bool queued, deleted;          /* g */
    struct sigqueue q;             /* g */
};

void posix_timer_put(struct posix_timer *pt)
{
    if (!refs_put(&pt->refs))
        return;
    pid_put(pt->target);
    pid_put(pt->cpu_thread);
    atomic_fetch_sub(&pt->user->sigpending, 1);
    user_put(pt->user);
    free(pt);
}

/* Linux: each timer has a queue entry set aside, which counts against RLIMIT_SIGPENDING. */
static struct user *charge_user(struct task *t)
{
    struct user *u = user_get(t->k->user);

    if (atomic_fetch_add(&u->sigpending, 1) < task_rlimit_cur(t, LX_RLIMIT_SIGPENDING))
        return u;
    atomic_fetch_sub(&u->sigpending, 1);
    user_put(u);
    return NULL;
}

/* How soon CPU time may grow by ns at the earliest. */
static uint64_t cpu_wait(const struct thread_group *tg, uint64_t ns)
{
    uint32_t parallel = MIN(MAX(tg->live, 1u), kernel_cpu_count());

    return MAX(ns / parallel, (uint64_t)CPU_POLL_MIN_NS);
}

/* ---- posix timers --------------------------------------------------------------------------- */

static uint64_t cpu_now_locked(struct posix_timer *pt)
{
    struct cpu_times times = {0};
    struct task *t;

    if (!pt->cpu_thread) {
        times = group_cpu_times_locked(pt->tg);
        return times.utime + times.stime;
    }
    for_each_thread_locked(t, pt->tg)
    {
        if (t->curr.tid == pt->cpu_thread)
            times = task_cpu_times(t);
    }
    return times.utime + times.stime;
}

static uint64_t timer_now_locked(struct posix_timer *pt)
{
    return clock_is_cpu(pt->clockid) ? cpu_now_locked(pt) : clock_monotonic();
}

static void arm_locked(struct posix_timer *pt)
{
    uint64_t when = pt->expires;

    if (pt->notify == LX_SIGEV_NONE)
        return; /* nothing happens; gettime computes */
    if (clock_is_cpu(pt->clockid)) {
        uint64_t now = cpu_now_locked(pt);

        when = clock_monotonic() + cpu_wait(pt->tg, pt->expires > now ? pt->expires - now : 0);
    }
    if (ktimer_arm(&pt->kt, when) < 0)
        pt->expires = 0; /* out of memory: the timer is off */
}

/* Moves expires past now; returns how many whole periods were skipped. */
static int64_t forward_locked(struct posix_timer *pt, uint64_t now)
{
    uint64_t missed;

    if (now < pt->expires)
        return 0;
    missed = (now - pt->expires) / pt->interval;
    pt->expires += (missed + 1) * pt->interval;
    return (int64_t)missed;
}

static struct task *timer_target_locked(struct posix_timer *pt)
{
    struct task *t;

    for_each_thread_locked(t, pt->tg)
    {
        if (pt->target ? t->curr.tid == pt->target : !t->k->exiting)
            return t;
    }
    return NULL;
}

static uint64_t timer_fire(struct ktimer *kt, uint64_t now)
{
    struct posix_timer *pt = container_of(kt, struct posix_timer, kt);
    struct thread_group *tg = pt->tg;
    struct task *t;
    uint64_t next = 0;

    mutex_lock(&tg->lock);
    if (pt->deleted || !pt->expires)
        goto out;
    if (clock_is_cpu(pt->clockid)) {
        uint64_t cpu = cpu_now_locked(pt);

        if (cpu < pt->expires) {
            next = now + cpu_wait(tg, pt->expires - cpu);
            goto out;
        }
    }
    t = timer_target_locked(pt);
    if (!t || pt->queued)
        goto out;
    refs_get(&pt->refs);
    pt->queued = true;
    pt->q.info.timer.overrun = 0;
    if (!signal_send_queued_locked(t, &pt->q, /*to_group=*/!pt->target)) {
        /* Ignored: stay alive slowly, the guest may install a handler. */
        pt->queued = false;
        if (pt->interval) {
            pt->overrun += forward_locked(pt, timer_now_locked(pt)) + 1;
            next =
                MAX(clock_is_cpu(pt->clockid) ? 0 : pt->expires, now + (uint64_t)IGNORED_PERIOD_NS);
        } else {
            pt->expires = 0;
        }
        mutex_unlock(&tg->lock);
        posix_timer_put(pt);
        return next;
    }
    if (!pt->interval)
        pt->expires = 0;
out:
    mutex_unlock(&tg->lock);
    return next;
}

bool posix_timer_dequeued(struct posix_timer *pt, struct lx_siginfo *info)
{
    ASSERT_HELD(&pt->tg->lock);
    pt->queued = false;
    pt->overrun_last = pt->overrun;
    if (!pt->deleted && pt->interval && pt->expires) {
        pt->overrun_last += forward_locked(pt, timer_now_locked(pt));
        arm_locked(pt);
    }
    pt->overrun = 0;
    info->timer.overrun = (int32_t)MIN(pt->overrun_last, (int64_t)INT32_MAX);
    return true;
}

void posix_timer_unqueue(struct posix_timer *pt)
{
    pt->queued = false;
}

static struct posix_timer *timer_find_locked(struct thread_group *tg, int id)
{
    struct posix_timer *pt;

    list_for_each_entry(pt, &tg->timers, node) {
        if (pt->id == id)
            return pt;
    }
    return NULL;
}

static int check_clock(struct task *t, int clockid)
{
    uint64_t now;

    switch (clockid) {
    case LX_CLOCK_REALTIME_ALARM:
    case LX_CLOCK_BOOTTIME_ALARM:
        return cred_capable(t->curr.cred, LX_CAP_WAKE_ALARM) ? 0 : -EPERM;
    case LX_CLOCK_MONOTONIC_RAW:
    case LX_CLOCK_REALTIME_COARSE:
    case LX_CLOCK_MONOTONIC_COARSE:
        return -EOPNOTSUPP;
    default:
        return clock_value(t, clockid, &now);
    }
}

static int check_event(struct task *t, const struct lx_sigevent *sev, struct pid **out_target)
{
    struct task *target;

    *out_target = NULL;
    switch (sev->notify) {
    case LX_SIGEV_SIGNAL | LX_SIGEV_THREAD_ID:
        target = task_find_get(sev->tid);
        if (!target || target->tg != t->tg) {
            task_put(target);
            return -EINVAL;
        }
        *out_target = pid_get(target->curr.tid);
        task_put(target);
        FALLTHROUGH;
    case LX_SIGEV_SIGNAL:
    case LX_SIGEV_THREAD:
        if (sev->signo <= 0 || sev->signo > LX_NSIG) {
            pid_put(*out_target);
            return -EINVAL;
        }
        return 0;
    case LX_SIGEV_NONE:
        return 0;
    default:
        return -EINVAL;
    }
}

int posix_timer_create(struct task *t, int clockid, const struct lx_sigevent *sev, int *out_id)
{
    struct lx_sigevent dflt = {.signo = LX_SIGALRM, .notify = LX_SIGEV_SIGNAL};
    struct thread_group *tg = t->tg;
    struct posix_timer *pt;
    struct pid *target;
    struct user *user;
    int ret = check_clock(t, clockid);

    if (ret < 0)
        return ret;
    ret = check_event(t, sev ? sev : &dflt, &target);
    if (ret < 0)
        return ret;
    user = charge_user(t);
    pt = user ? calloc(1, sizeof(*pt)) : NULL;
    if (!pt) {
        if (user) {
            atomic_fetch_sub(&user->sigpending, 1);
            user_put(user);
        }
        pid_put(target);
        return -EAGAIN;
    }
    pt->user = user;
    refs_init(&pt->refs);
    ktimer_init(&pt->kt, timer_fire);
    pt->tg = tg;
    pt->target = target;
    pt->clockid = clockid;
    pt->notify = sev ? sev->notify : dflt.notify;
    if (clockid == LX_CLOCK_THREAD_CPUTIME_ID)
        pt->cpu_thread = pid_get(t->curr.tid);
    list_init(&pt->q.node);
    pt->q.timer = pt;
    pt->q.info.signo = sev ? sev->signo : dflt.signo;
    pt->q.info.code = LX_SI_TIMER;
    mutex_lock(&tg->lock);
    do {
        pt->id = tg->timer_next_id;
        tg->timer_next_id = tg->timer_next_id == TIMERS_MAX ? 0 : tg->timer_next_id + 1;
    } while (timer_find_locked(tg, pt->id));
    pt->q.info.timer.tid = pt->id;
    pt->q.info.timer.value = sev ? sev->value : (uint64_t)pt->id;
    list_add_tail(&tg->timers, &pt->node);
    *out_id = pt->id;
    mutex_unlock(&tg->lock);
    return 0;
}

static void remaining_locked(struct posix_timer *pt, struct lx_itimerspec *out)
{
    uint64_t now = timer_now_locked(pt), left = 0;

    if (pt->expires && pt->interval && now >= pt->expires &&
        (pt->notify == LX_SIGEV_NONE || pt->queued))
        left = pt->interval - (now - pt->expires) % pt->interval;
    else if (pt->expires)
        left = pt->expires > now ? pt->expires - now : pt->notify == LX_SIGEV_NONE ? 0 : 1;
    out->interval = lx_timespec_from_ns(pt->interval);
    out->value = lx_timespec_from_ns(left);
}

static uint64_t expiry_locked(struct posix_timer *pt, uint64_t value, bool absolute)
{
    uint64_t when = 0;

    if (clock_is_cpu(pt->clockid))
        return absolute ? value : cpu_now_locked(pt) + value;
    if (clock_deadline(pt->clockid, value, absolute, &when) < 0)
        return 0;
    return MAX(when, 1u);
}

int posix_timer_settime(struct task *t, int id, int flags, const struct lx_itimerspec *v,
                        struct lx_itimerspec *old)
{
    struct thread_group *tg = t->tg;
    struct posix_timer *pt;
    uint64_t value;

    if (!lx_timespec_valid(&v->interval) || !lx_timespec_valid(&v->value))
        return -EINVAL;
    value = lx_timespec_to_ns(&v->value);
    mutex_lock(&tg->lock);
    pt = timer_find_locked(tg, id);
    if (!pt) {
        mutex_unlock(&tg->lock);
        return -EINVAL;
    }
    if (old)
        remaining_locked(pt, old);
    refs_get(&pt->refs);
    pt->expires = 0;
    mutex_unlock(&tg->lock);
    ktimer_cancel(&pt->kt);
    mutex_lock(&tg->lock);
    pt->interval = lx_timespec_to_ns(&v->interval);
    pt->overrun = pt->overrun_last = 0;
    if (value && !pt->deleted) {
        pt->expires = expiry_locked(pt, value, flags & LX_TIMER_ABSTIME);
        arm_locked(pt);
    }
    mutex_unlock(&tg->lock);
    posix_timer_put(pt);
    return 0;
}

int posix_timer_gettime(struct task *t, int id, struct lx_itimerspec *out)
{
    struct posix_timer *pt;
    int ret = -EINVAL;

    mutex_lock(&t->tg->lock);
    pt = timer_find_locked(t->tg, id);
    if (pt) {
        remaining_locked(pt, out);
        ret = 0;
    }
    mutex_unlock(&t->tg->lock);
    return ret;
}

int posix_timer_getoverrun(struct task *t, int id)
{
    struct posix_timer *pt;
    int ret = -EINVAL;

    mutex_lock(&t->tg->lock);
    pt = timer_find_locked(t->tg, id);
    if (pt)
        ret = (int)MIN(pt->overrun_last, (int64_t)INT32_MAX);
    mutex_unlock(&t->tg->lock);
    return ret;
}

/* Off the list and off the clock; the queued signal, if any, stays deliverable as in Linux. */
static void timer_destroy(struct posix_timer *pt)
{
    ktimer_cancel(&pt->kt);
    posix_timer_put(pt);
}

int posix_timer_delete(struct task *t, int id)
{
    struct posix_timer *pt;

    mutex_lock(&t->tg->lock);
    pt = timer_find_locked(t->tg, id);
    if (pt) {
        list_del(&pt->node);
        pt->deleted = true;
    }
    mutex_unlock(&t->tg->lock);
    if (!pt)
        return -EINVAL;
    timer_destroy(pt);
    return 0;
}

/* ---- interval timers ------------------------------------------------------------------------- */

static uint64_t itimer_real_fire(struct ktimer *kt, uint64_t now)
{
    struct thread_group *tg = container_of(kt, struct thread_group, itimer_real);
    uint64_t next = 0;
    struct task *t;

    mutex_lock(&tg->lock);
    if (!tg->itimer_real_expires)
        goto out;
    for_each_thread_locked(t, tg)
    {
        if (t->k->exiting)
            continue;
        (void)signal_send_locked(t, LX_SIGALRM, NULL, true, true); /* standard: never refused */
        break;
    }
    if (tg->itimer_real_interval) {
        uint64_t missed = (now - tg->itimer_real_expires) / tg->itimer_real_interval;

        tg->itimer_real_expires += (missed + 1) * tg->itimer_real_interval;
        next = tg->itimer_real_expires;
    } else {
        tg->itimer_real_expires = 0;
    }
out:
    mutex_unlock(&tg->lock);
    return next;
}

static void send_from_clock(struct thread_group *tg, int signo)
{
    struct task *t;

    for_each_thread_locked(t, tg)
    {
        if (t->k->exiting)
            continue;
        (void)signal_send_locked(t, signo, NULL, true, true); /* standard: never refused */
        return;
    }
}

/* Fires what is due; ns of CPU time until the next, 0: nothing is set. */
static uint64_t cpu_check(struct thread_group *tg, struct itimer_cpu *it, uint64_t now, int signo)
{
    if (!it->expires)
        return 0;
    if (now >= it->expires) {
        send_from_clock(tg, signo);
        it->expires = it->interval ? now + it->interval : 0;
        if (!it->expires)
            return 0;
    }
    return it->expires - now;
}

static uint64_t cpu_limit_check(struct thread_group *tg, uint64_t now)
{
    struct lx_rlimit lim;
    uint64_t seconds = now / NSEC_PER_SEC;

    mutex_lock(&tg->limits_lock);
    lim = tg->rlim[LX_RLIMIT_CPU];
    mutex_unlock(&tg->limits_lock);
    if (lim.cur == LX_RLIM_INFINITY)
        return 0;
    if (lim.max != LX_RLIM_INFINITY && seconds >= lim.max) {
        send_from_clock(tg, LX_SIGKILL);
        return 0;
    }
    if (tg->cpu_limit_next < lim.cur)
        tg->cpu_limit_next = lim.cur;
    if (seconds >= tg->cpu_limit_next) {
        send_from_clock(tg, LX_SIGXCPU);
        tg->cpu_limit_next = seconds + 1;
    }
    return tg->cpu_limit_next * NSEC_PER_SEC - now;
}

static uint64_t min_nonzero(uint64_t a, uint64_t b)
{
    return !a ? b : !b ? a : MIN(a, b);
}

/* Caller holds the group's lock. Monotonic time of the next look, 0: none needed. */
static uint64_t cpu_next_look_locked(struct thread_group *tg)
{
    struct cpu_times times = group_cpu_times_locked(tg);
    uint64_t left;

    if (!tg->live)
        return 0;
    left = cpu_check(tg, &tg->itimer_virt, times.utime, LX_SIGVTALRM);
    left =
        min_nonzero(left, cpu_check(tg, &tg->itimer_prof, times.utime + times.stime, LX_SIGPROF));
    left = min_nonzero(left, cpu_limit_check(tg, times.utime + times.stime));
    return left ? clock_monotonic() + cpu_wait(tg, left) : 0;
}

static uint64_t cpu_timer_fire(struct ktimer *kt, uint64_t now)
{
    struct thread_group *tg = container_of(kt, struct thread_group, cpu_timer);
    uint64_t next;

    (void)now;
    mutex_lock(&tg->lock);
    next = cpu_next_look_locked(tg);
    mutex_unlock(&tg->lock);
    return next;
}

void cputime_limits_changed(struct thread_group *tg)
{
    uint64_t next;

    mutex_lock(&tg->lock);
    tg->cpu_limit_next = 0;
    next = cpu_next_look_locked(tg);
    /* Out of memory leaves the limit unenforced until the next change. */
    if (next && ktimer_arm(&tg->cpu_timer, next) < 0)
        tg->cpu_limit_next = 0;
    mutex_unlock(&tg->lock);
}

static void itimer_read_locked(struct thread_group *tg, int which, struct itimer_value *out)
{
    struct cpu_times times;
    uint64_t now, expires;

    if (which == LX_ITIMER_REAL) {
        now = clock_monotonic();
        expires = tg->itimer_real_expires;
        out->interval = tg->itimer_real_interval;
    } else {
        struct itimer_cpu *it = which == LX_ITIMER_VIRTUAL ? &tg->itimer_virt : &tg->itimer_prof;

        times = group_cpu_times_locked(tg);
        now = times.utime + (which == LX_ITIMER_PROF ? times.stime : 0);
        expires = it->expires;
        out->interval = it->interval;
    }
    /* Linux: an armed timer never reads as zero. */
    out->value = !expires ? 0 : expires > now ? MAX(expires - now, (uint64_t)1000) : 1000;
}

void itimer_get(struct task *t, int which, struct itimer_value *out)
{
    mutex_lock(&t->tg->lock);
    itimer_read_locked(t->tg, which, out);
    mutex_unlock(&t->tg->lock);
}

int itimer_set(struct task *t, int which, const struct itimer_value *v, struct itimer_value *old)
{
    struct thread_group *tg = t->tg;
    struct itimer_cpu *it;
    struct cpu_times times;
    uint64_t now, next;
    int ret = 0;

    if (which == LX_ITIMER_REAL) {
        mutex_lock(&tg->lock);
        itimer_read_locked(tg, which, old);
        tg->itimer_real_expires = 0;
        mutex_unlock(&tg->lock);
        ktimer_cancel(&tg->itimer_real);
        mutex_lock(&tg->lock);
        tg->itimer_real_interval = v->interval;
        if (v->value) {
            tg->itimer_real_expires = deadline_after(v->value);
            ret = ktimer_arm(&tg->itimer_real, tg->itimer_real_expires);
        }
        mutex_unlock(&tg->lock);
        return ret;
    }
    mutex_lock(&tg->lock);
    itimer_read_locked(tg, which, old);
    it = which == LX_ITIMER_VIRTUAL ? &tg->itimer_virt : &tg->itimer_prof;
    times = group_cpu_times_locked(tg);
    now = times.utime + (which == LX_ITIMER_PROF ? times.stime : 0);
    it->expires = v->value ? now + v->value : 0;
    it->interval = v->interval;
    next = cpu_next_look_locked(tg);
    if (next)
        ret = ktimer_arm(&tg->cpu_timer, next);
    mutex_unlock(&tg->lock);
    return ret;
}

/* ---- life of the process --------------------------------------------------------------------- */

void group_timers_init(struct thread_group *tg)
{
    list_init(&tg->timers);
    ktimer_init(&tg->itimer_real, itimer_real_fire);
    ktimer_init(&tg->cpu_timer, cpu_timer_fire);
}

void group_timers_exec(struct thread_group *tg)
{
    for (;;) {
        struct posix_timer *pt = NULL;

        mutex_lock(&tg->lock);
        if (!list_empty(&tg->timers)) {
            pt = list_first_entry(&tg->timers, struct posix_timer, node);
            list_del(&pt->node);
            pt->deleted = true;
        }
        mutex_unlock(&tg->lock);
        if (!pt)
            return;
        timer_destroy(pt);
    }
}

void group_timers_exit(struct thread_group *tg)
{
    group_timers_exec(tg);
    mutex_lock(&tg->lock);
    tg->itimer_real_expires = 0;
    mutex_unlock(&tg->lock);
    ktimer_cancel(&tg->itimer_real);
    ktimer_cancel(&tg->cpu_timer);
}

void group_timers_destroy(struct thread_group *tg)
{
    group_timers_exit(tg);
}
