/* SPDX-License-Identifier: Apache-2.0 */
/* Reading clocks: the host's for wall time, cputime.c for CPU clocks. clock_gettime(2). */
#include <errno.h>

#include "sentry/kernel/kernel_internal.h"
#include "sentry/kernel/ktime.h"
#include "sentry/kernel/rusage.h"
#include "sentry/kernel/timens.h"
#include "sentry/loader/vdso.h"

/* Dynamic CPU clock ids: ~pid << 3, bit 2 thread, bits 0-1 which time. */
enum { CPUCLOCK_PROF, CPUCLOCK_VIRT, CPUCLOCK_SCHED };
#define CPUCLOCK_PERTHREAD 4

static int cpu_clock(struct task *t, int clockid, uint64_t *out_ns)
{
    uint64_t utime, stime;
    struct task *target = NULL;
    int which = CPUCLOCK_SCHED;
    bool thread = clockid == LX_CLOCK_THREAD_CPUTIME_ID;

    if (clockid < 0) {
        lx_pid_t pid = ~(clockid >> 3);

        which = clockid & 3;
        thread = clockid & CPUCLOCK_PERTHREAD;
        if (which > CPUCLOCK_SCHED)
            return -EINVAL;
        if (pid) {
            target = thread ? task_find_get(pid) : task_find_process_get(pid);
            if (!target)
                return -EINVAL;
            if (thread && target->tg != t->tg) {
                task_put(target);
                return -EINVAL;
            }
            t = target;
        }
    }
    if (thread)
        cputime_thread(t, &utime, &stime);
    else
        cputime_process(t, &utime, &stime);
    *out_ns = which == CPUCLOCK_VIRT ? utime : utime + stime;
    task_put(target);
    return 0;
}

static int host_clock_value(struct task *t, int clockid, uint64_t *out_ns)
{
    if (vdso_clock_read(clockid, out_ns))
        return 0;
    switch (clockid) {
    case LX_CLOCK_REALTIME:
    case LX_CLOCK_REALTIME_COARSE:
    case LX_CLOCK_REALTIME_ALARM:
    case LX_CLOCK_TAI:
        *out_ns = clock_realtime();
        return 0;
    case LX_CLOCK_MONOTONIC:
    case LX_CLOCK_MONOTONIC_RAW:
    case LX_CLOCK_MONOTONIC_COARSE:
        *out_ns = clock_monotonic();
        return 0;
    case LX_CLOCK_BOOTTIME:
    case LX_CLOCK_BOOTTIME_ALARM:
        *out_ns = clock_boottime();
        return 0;
    default:
        return clock_is_cpu(clockid) ? cpu_clock(t, clockid, out_ns) : -EINVAL;
    }
}

int clock_value(struct task *t, int clockid, uint64_t *out_ns)
{
    int ret = host_clock_value(t, clockid, out_ns);

    if (ret == 0)
        *out_ns += (uint64_t)timens_shift(clockid);
    return ret;
}

int clock_resolution(struct task *t, int clockid, uint64_t *out_ns)
{
    uint64_t now;
    int ret = clock_value(t, clockid, &now);

    if (ret < 0)
        return ret;
    *out_ns =
        clockid == LX_CLOCK_REALTIME_COARSE || clockid == LX_CLOCK_MONOTONIC_COARSE ? 4000000 : 1;
    return 0;
}

int clock_deadline(int clockid, uint64_t ns, bool absolute, uint64_t *out_deadline)
{
    int64_t shift = 0;

    switch (clockid) {
    case LX_CLOCK_REALTIME:
    case LX_CLOCK_REALTIME_ALARM:
    case LX_CLOCK_TAI:
        shift = clock_realtime_offset();
        break;
    case LX_CLOCK_MONOTONIC:
        break;
    case LX_CLOCK_BOOTTIME:
    case LX_CLOCK_BOOTTIME_ALARM:
        shift = (int64_t)(clock_boottime() - clock_monotonic());
        break;
    default:
        return -EINVAL;
    }
    if (!absolute) {
        *out_deadline = deadline_after(ns);
        return 0;
    }
    ns = timens_to_host(clockid, ns);
    if (shift >= 0)
        *out_deadline = ns > (uint64_t)shift ? ns - (uint64_t)shift : 1;
    else
        *out_deadline = ns + (uint64_t)-shift;
    return 0;
}
