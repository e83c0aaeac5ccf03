/* SPDX-License-Identifier: Apache-2.0 */
/* Reading clocks, sleeping, timers. */
#include <errno.h>

#include "sentry/abi/time.h"
#include "sentry/core/restart.h"
#include "sentry/kernel/ktime.h"
#include "sentry/kernel/rusage.h"
#include "sentry/kernel/task.h"
#include "sentry/mm/uaccess.h"
#if __has_include("gen/syscall_protos.h")
#include "gen/syscall_protos.h"
#endif

/* ---- reading -------------------------------------------------------------------------------- */

long sys_clock_gettime(struct task *t, int which_clock, uaddr_t tp)
{
    struct lx_timespec ts;
    uint64_t ns;
    int ret = clock_value(t, which_clock, &ns);

    if (ret < 0)
        return ret;
    ts = lx_timespec_from_ns(ns);
    return put_user(&ts, tp);
}

long sys_clock_getres(struct task *t, int which_clock, uaddr_t tp)
{
    struct lx_timespec ts;
    uint64_t ns;
    int ret = clock_resolution(t, which_clock, &ns);

    if (ret < 0)
        return ret;
    ts = lx_timespec_from_ns(ns);
    return tp ? put_user(&ts, tp) : 0;
}

/* Only the host's administrator sets clocks: the errno is that of a process without CAP_SYS_TIME.
 */
long sys_clock_settime(struct task *t, int which_clock, uaddr_t tp)
{
    struct lx_timespec ts;
    uint64_t ns;

    if (which_clock != LX_CLOCK_REALTIME)
        return clock_value(t, which_clock, &ns) < 0 || !clock_is_cpu(which_clock) ? -EINVAL
                                                                                  : -EPERM;
    if (get_user(&ts, tp) < 0)
        return -EFAULT;
    if (!lx_timespec_valid(&ts))
        return -EINVAL;
    return -EPERM;
}

long sys_gettimeofday(struct task *t, uaddr_t tv, uaddr_t tz)
{
    struct lx_timezone zone = {0};
    struct lx_timeval now;
    uint64_t ns;
    int ret = clock_value(t, LX_CLOCK_REALTIME, &ns);

    if (ret < 0)
        return ret;
    now = lx_timeval_from_ns(ns);
    if ((tv && put_user(&now, tv) < 0) || (tz && put_user(&zone, tz) < 0))
        return -EFAULT;
    return 0;
}

long sys_settimeofday(struct task *t, uaddr_t tv, uaddr_t tz)
{
    struct lx_timezone zone;
    struct lx_timeval now;

    (void)t;
    if (tv) {
        if (get_user(&now, tv) < 0)
            return -EFAULT;
        if (now.usec < 0 || now.usec > 1000000)
            return -EINVAL;
    }
    if (tz && get_user(&zone, tz) < 0)
        return -EFAULT;
    return -EPERM;
}

long sys_time(struct task *t, uaddr_t tloc)
{
    int64_t seconds;
    uint64_t ns;
    int ret = clock_value(t, LX_CLOCK_REALTIME_COARSE, &ns);

    if (ret < 0)
        return ret;
    seconds = (int64_t)(ns / NSEC_PER_SEC);
    if (tloc && put_user(&seconds, tloc) < 0)
        return -EFAULT;
    return seconds;
}

static int64_t ticks(uint64_t ns)
{
    return (int64_t)(ns / (NSEC_PER_SEC / LX_CLOCK_TICKS));
}

long sys_times(struct task *t, uaddr_t tbuf)
{
    uint64_t utime, stime, cutime, cstime;
    struct lx_tms tms;

    cputime_process(t, &utime, &stime);
    cputime_children(t, &cutime, &cstime);
    tms = (struct lx_tms){ticks(utime), ticks(stime), ticks(cutime), ticks(cstime)};
    if (tbuf && put_user(&tms, tbuf) < 0)
        return -EFAULT;
    return ticks(clock_boottime());
}

static long adjust(int which_clock, uaddr_t utx)
{
    uint32_t modes;
    uint8_t tx[208] = {0};
    const int32_t status_unsync = 0x40, time_error = 5;

    if (which_clock != LX_CLOCK_REALTIME)
        return -EOPNOTSUPP;
    if (get_user(&modes, utx) < 0)
        return -EFAULT;
    if (modes)
        return -EPERM;
    __builtin_memcpy(tx + 40, &status_unsync, sizeof(status_unsync)); /* struct timex.status */
    if (copy_out(utx, tx, sizeof(tx)) < 0)
        return -EFAULT;
    return time_error;
}

long sys_adjtimex(struct task *t, uaddr_t utx)
{
    (void)t;
    return adjust(LX_CLOCK_REALTIME, utx);
}

long sys_clock_adjtime(struct task *t, int which_clock, uaddr_t utx)
{
    (void)t;
    return adjust(which_clock, utx);
}

/* ---- sleeping ------------------------------------------------------------------------------- */

static int sleep_to(uint64_t deadline)
{
    int ret;

    do {
        ret = task_block(deadline);
    } while (ret == 0);
    return ret == -ETIMEDOUT ? 0 : ret;
}

static long write_remaining(uint64_t deadline, uaddr_t rmtp)
{
    uint64_t now = clock_monotonic();
    struct lx_timespec left = lx_timespec_from_ns(deadline > now ? deadline - now : 0);

    return rmtp ? put_user(&left, rmtp) : 0;
}

static long sleep_relative(struct task *t, uint64_t deadline, uaddr_t rmtp);

static long sleep_restart(struct task *t, struct restart_block *rb)
{
    return sleep_relative(t, rb->arg[0], rb->arg[1]);
}

static long sleep_relative(struct task *t, uint64_t deadline, uaddr_t rmtp)
{
    long ret = sleep_to(deadline);

    if (ret == 0)
        return 0;
    ret = write_remaining(deadline, rmtp);
    if (ret < 0)
        return ret;
    return task_set_restart(t, &(struct restart_block){sleep_restart, {deadline, rmtp}});
}

/* CPU clocks: sleep as long as the CPU time cannot have been reached, then look again. */
static long sleep_cpu(struct task *t, int clockid, uint64_t target)
{
    uint64_t now;
    int ret;

    for (;;) {
        ret = clock_value(t, clockid, &now);
        if (ret < 0)
            return ret;
        if (now >= target)
            return 0;
        ret = sleep_to(deadline_after(MAX((target - now) / kernel_cpu_count(), 1000000u)));
        if (ret < 0)
            return -ERESTARTNOHAND;
    }
}

long sys_nanosleep(struct task *t, uaddr_t rqtp, uaddr_t rmtp)
{
    struct lx_timespec ts;

    if (get_user(&ts, rqtp) < 0)
        return -EFAULT;
    if (!lx_timespec_valid(&ts))
        return -EINVAL;
    return sleep_relative(t, deadline_after(lx_timespec_to_ns(&ts)), rmtp);
}

long sys_clock_nanosleep(struct task *t, int which_clock, int flags, uaddr_t rqtp, uaddr_t rmtp)
{
    struct lx_timespec ts;
    uint64_t deadline, ns;
    bool absolute = flags & LX_TIMER_ABSTIME;
    int ret = clock_value(t, which_clock, &ns);

    if (ret < 0)
        return ret;
    if (which_clock == LX_CLOCK_REALTIME_COARSE || which_clock == LX_CLOCK_MONOTONIC_COARSE ||
        which_clock == LX_CLOCK_MONOTONIC_RAW)
        return -EOPNOTSUPP;
    if (which_clock == LX_CLOCK_THREAD_CPUTIME_ID)
        return -EOPNOTSUPP;
    if (get_user(&ts, rqtp) < 0)
        return -EFAULT;
    if (!lx_timespec_valid(&ts))
        return -EINVAL;
    if (clock_is_cpu(which_clock))
        return sleep_cpu(t, which_clock, (absolute ? 0 : ns) + lx_timespec_to_ns(&ts));
    ret = clock_deadline(which_clock, lx_timespec_to_ns(&ts), absolute, &deadline);
    if (ret < 0)
        return ret;
    if (!absolute)
        return sleep_relative(t, deadline, rmtp);
    return sleep_to(deadline) < 0 ? -ERESTARTNOHAND : 0;
}

/* ---- interval timers ------------------------------------------------------------------------- */

static bool timeval_valid(const struct lx_timeval *tv)
{
    return tv->sec >= 0 && tv->usec >= 0 && tv->usec < 1000000;
}

static uint64_t timeval_ns(const struct lx_timeval *tv)
{
    return lx_timespec_to_ns(&(struct lx_timespec){tv->sec, tv->usec * 1000});
}

static struct lx_itimerval itimer_out(const struct itimer_value *v)
{
    return (struct lx_itimerval){lx_timeval_from_ns(v->interval), lx_timeval_from_ns(v->value)};
}

long sys_getitimer(struct task *t, int which, uaddr_t value)
{
    struct itimer_value v;
    struct lx_itimerval out;

    if (which < LX_ITIMER_REAL || which > LX_ITIMER_PROF)
        return -EINVAL;
    itimer_get(t, which, &v);
    out = itimer_out(&v);
    return put_user(&out, value);
}

long sys_setitimer(struct task *t, int which, uaddr_t value, uaddr_t ovalue)
{
    struct lx_itimerval in = {0}, out;
    struct itimer_value v, old;
    int ret;

    /* Linux: a NULL value means zero. */
    if (value && get_user(&in, value) < 0)
        return -EFAULT;
    if (!timeval_valid(&in.interval) || !timeval_valid(&in.value))
        return -EINVAL;
    if (which < LX_ITIMER_REAL || which > LX_ITIMER_PROF)
        return -EINVAL;
    v = (struct itimer_value){timeval_ns(&in.value), timeval_ns(&in.interval)};
    ret = itimer_set(t, which, &v, &old);
    if (ret < 0)
        return ret;
    out = itimer_out(&old);
    return ovalue ? put_user(&out, ovalue) : 0;
}

long sys_alarm(struct task *t, uint32_t seconds)
{
    struct itimer_value v = {.value = (uint64_t)seconds * NSEC_PER_SEC}, old;
    int ret = itimer_set(t, LX_ITIMER_REAL, &v, &old);

    if (ret < 0)
        return ret;
    /* Rounded to the nearest second, but a running alarm never reads 0. */
    if (!old.value)
        return 0;
    return (long)MAX((old.value + NSEC_PER_SEC / 2) / NSEC_PER_SEC, 1u);
}

/* ---- posix timers ---------------------------------------------------------------------------- */

long sys_timer_create(struct task *t, int which_clock, uaddr_t timer_event_spec,
                      uaddr_t created_timer_id)
{
    struct lx_sigevent sev;
    int32_t id;
    int ret;

    if (timer_event_spec && get_user(&sev, timer_event_spec) < 0)
        return -EFAULT;
    ret = posix_timer_create(t, which_clock, timer_event_spec ? &sev : NULL, &id);
    if (ret < 0)
        return ret;
    if (put_user(&id, created_timer_id) < 0) {
        IGNORE_RESULT(posix_timer_delete(t, id)); /* it exists: it was made above */
        return -EFAULT;
    }
    return 0;
}

long sys_timer_settime(struct task *t, int timer_id, int flags, uaddr_t new_setting,
                       uaddr_t old_setting)
{
    struct lx_itimerspec v, old;
    int ret;

    if (!new_setting)
        return -EINVAL;
    if (get_user(&v, new_setting) < 0)
        return -EFAULT;
    ret = posix_timer_settime(t, timer_id, flags, &v, old_setting ? &old : NULL);
    if (ret < 0)
        return ret;
    return old_setting ? put_user(&old, old_setting) : 0;
}

long sys_timer_gettime(struct task *t, int timer_id, uaddr_t setting)
{
    struct lx_itimerspec v;
    int ret = posix_timer_gettime(t, timer_id, &v);

    return ret < 0 ? ret : put_user(&v, setting);
}

long sys_timer_getoverrun(struct task *t, int timer_id)
{
    return posix_timer_getoverrun(t, timer_id);
}

long sys_timer_delete(struct task *t, int timer_id)
{
    return posix_timer_delete(t, timer_id);
}
