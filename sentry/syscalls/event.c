/* SPDX-License-Identifier: Apache-2.0 */
/* eventfd, signalfd, timerfd. */
#include "sentry/syscalls/event.h"
#include "sentry/kernel/timens.h"

#include <errno.h>

#include "gen/syscall_protos.h"
#include "sentry/abi/eventfd.h"
#include "sentry/abi/signal.h"
#include "sentry/abi/time.h"
#include "sentry/fs/eventfd/eventfd.h"
#include "sentry/fs/signalfd/signalfd.h"
#include "sentry/fs/timerfd/timerfd.h"
#include "sentry/kernel/task.h"
#include "sentry/mm/uaccess.h"

static long install(struct task *t, struct file *f, bool cloexec)
{
    long fd = fdtable_install_take(t->curr.files, f, 0, cloexec);

    if (fd < 0)
        file_put(f);
    return fd;
}

long sys_eventfd2(struct task *t, uint32_t count, int flags)
{
    struct file *f;
    long ret;

    if (flags & ~(LX_EFD_SEMAPHORE | LX_EFD_CLOEXEC | LX_EFD_NONBLOCK))
        return -EINVAL;
    ret = eventfd_create(count, (uint32_t)flags, &f);
    return ret < 0 ? ret : install(t, f, flags & LX_EFD_CLOEXEC);
}

long sys_eventfd(struct task *t, uint32_t count)
{
    return sys_eventfd2(t, count, 0);
}

long sys_signalfd4(struct task *t, int ufd, uaddr_t user_mask, size_t sizemask, int flags)
{
    struct file *f;
    uint64_t mask;
    long ret;

    if (sizemask != sizeof(mask))
        return -EINVAL;
    if (get_user(&mask, user_mask) < 0)
        return -EFAULT;
    if (flags & ~(LX_SFD_CLOEXEC | LX_SFD_NONBLOCK))
        return -EINVAL;
    mask &= ~(sigset_bit(LX_SIGKILL) | sigset_bit(LX_SIGSTOP));
    if (ufd == -1) {
        ret = signalfd_create(mask, (uint32_t)flags, &f);
        return ret < 0 ? ret : install(t, f, flags & LX_SFD_CLOEXEC);
    }
    ret = fdtable_lookup_get(t->curr.files, ufd, &f);
    if (ret < 0)
        return ret;
    ret = -EINVAL;
    if (file_is_signalfd(f)) {
        signalfd_set_mask(f, mask);
        ret = ufd;
    }
    file_put(f);
    return ret;
}

long sys_signalfd(struct task *t, int ufd, uaddr_t user_mask, size_t sizemask)
{
    return sys_signalfd4(t, ufd, user_mask, sizemask, 0);
}

static bool clock_is_alarm(int clockid)
{
    return clockid == LX_CLOCK_REALTIME_ALARM || clockid == LX_CLOCK_BOOTTIME_ALARM;
}

long sys_timerfd_create(struct task *t, int clockid, int flags)
{
    struct file *f;
    long ret;

    if ((flags & ~(LX_TFD_CLOEXEC | LX_TFD_NONBLOCK)) ||
        (clockid != LX_CLOCK_REALTIME && clockid != LX_CLOCK_MONOTONIC &&
         clockid != LX_CLOCK_BOOTTIME && !clock_is_alarm(clockid)))
        return -EINVAL;
    if (clock_is_alarm(clockid) && !cred_capable(t->curr.cred, LX_CAP_WAKE_ALARM))
        return -EPERM;
    ret = timerfd_create_file(clockid, (uint32_t)flags, &f);
    return ret < 0 ? ret : install(t, f, flags & LX_TFD_CLOEXEC);
}

static struct lx_itimerspec itimerspec_from(const struct timerfd_spec *s)
{
    return (struct lx_itimerspec){
        .interval = lx_timespec_from_ns(s->interval_ns),
        .value = lx_timespec_from_ns(s->value_ns),
    };
}

static int lookup_timerfd(struct task *t, int fd, struct file **out)
{
    int ret = fdtable_lookup_get(t->curr.files, fd, out);

    if (ret == 0 && !file_is_timerfd(*out)) {
        file_put(*out);
        ret = -EINVAL;
    }
    return ret;
}

long sys_timerfd_settime(struct task *t, int ufd, int flags, uaddr_t utmr, uaddr_t otmr)
{
    struct timerfd_spec spec, old;
    struct lx_itimerspec its;
    struct file *f;
    long ret;

    if (get_user(&its, utmr) < 0)
        return -EFAULT;
    if ((flags & ~(LX_TFD_TIMER_ABSTIME | LX_TFD_TIMER_CANCEL_ON_SET)) ||
        !lx_timespec_valid(&its.interval) || !lx_timespec_valid(&its.value))
        return -EINVAL;
    ret = lookup_timerfd(t, ufd, &f);
    if (ret < 0)
        return ret;
    spec.interval_ns = lx_timespec_to_ns(&its.interval);
    spec.value_ns = lx_timespec_to_ns(&its.value);
    if (spec.value_ns && (flags & LX_TFD_TIMER_ABSTIME))
        spec.value_ns = MAX(timens_to_host(timerfd_clock(f), spec.value_ns), 1u);
    ret = timerfd_set(f, (uint32_t)flags, &spec, &old);
    file_put(f);
    if (ret == 0 && otmr != 0) {
        its = itimerspec_from(&old);
        ret = put_user(&its, otmr);
    }
    return ret;
}

long sys_timerfd_gettime(struct task *t, int ufd, uaddr_t otmr)
{
    struct timerfd_spec spec;
    struct lx_itimerspec its;
    struct file *f;
    long ret = lookup_timerfd(t, ufd, &f);

    if (ret < 0)
        return ret;
    timerfd_get_spec(f, &spec);
    file_put(f);
    its = itimerspec_from(&spec);
    return put_user(&its, otmr);
}
