/* SPDX-License-Identifier: Apache-2.0 */
/*
 * timerfd(2) over one ktimer. `next` is the monotonic time of the next expiry, `ticks` what a read
 * returns. Periods are counted by arithmetic, so a wake-up per period is needed only while somebody
 * waits on the queue (an edge-triggered epoll wants one each); otherwise the timer stays idle after
 * an unread expiry until read or poll arms it again, and an abandoned periodic timer costs nothing.
 *
 * DEVIATION: a jump of the host's realtime clock does not move armed CLOCK_REALTIME timers, and
 * TFD_TIMER_CANCEL_ON_SET never cancels: the sandbox's clock cannot be set from inside.
 */
#include "sentry/fs/timerfd/timerfd.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "sentry/abi/eventfd.h"
#include "sentry/abi/fcntl.h"
#include "sentry/abi/time.h"
#include "sentry/core/clock.h"
#include "sentry/core/restart.h"
#include "sentry/mm/uaccess.h"

enum { TIMERFD_MIN_PERIOD_NS = 50000 }; /* between two wake-ups, whatever the guest asks for */

/* Lifetime: refcounted as its file. Keys: I immutable; l ->lock */
struct timerfd {
    struct file file;
    struct ktimer timer;
    struct mutex lock;  /* rank LEAF */
    int clockid;        /* I */
    uint64_t next;      /* l: monotonic; 0: disarmed */
    uint64_t interval;  /* l */
    uint64_t ticks;     /* l */
    bool armed;         /* l: the ktimer will fire for next */
    uint32_t set_flags; /* l: of the last settime, for fdinfo */
};

static const struct file_ops timerfd_file_ops;

static struct timerfd *timerfd_of(struct file *f)
{
    return container_of(f, struct timerfd, file);
}

bool file_is_timerfd(const struct file *f)
{
    return f->ops == &timerfd_file_ops;
}

int timerfd_clock(const struct file *f)
{
    return container_of(f, struct timerfd, file)->clockid;
}

/* Counts the expiries up to now. */
static void timerfd_catch_up_locked(struct timerfd *t, uint64_t now) REQUIRES(t->lock)
{
    uint64_t periods = 1;

    if (t->next == 0 || t->next > now)
        return;
    if (t->interval == 0) {
        t->next = 0;
    } else {
        periods += (now - t->next) / t->interval;
        t->next += periods * t->interval;
    }
    t->ticks += periods;
}

static uint64_t timerfd_expire(struct ktimer *k, uint64_t now)
{
    struct timerfd *t = container_of(k, struct timerfd, timer);
    uint64_t again = 0;
    bool wake;

    mutex_lock(&t->lock);
    timerfd_catch_up_locked(t, now);
    wake = t->ticks > 0;
    /* Who joins the queue later polls, and poll arms. */
    if (t->next != 0 && (!wake || waitq_busy(&t->file.own_wq)))
        again = MAX(t->next, now + TIMERFD_MIN_PERIOD_NS);
    t->armed = again != 0;
    mutex_unlock(&t->lock);
    if (wake)
        waitq_wake(&t->file.own_wq, WAKE_IN);
    return again;
}

/* Arms the ktimer for t->next unless it is armed. */
static int timerfd_arm(struct timerfd *t)
{
    uint64_t when = 0;

    mutex_lock(&t->lock);
    if (t->next != 0 && !t->armed) {
        when = t->next;
        t->armed = true;
    }
    mutex_unlock(&t->lock);
    return when ? ktimer_arm(&t->timer, when) : 0;
}

static bool timerfd_take(struct timerfd *t, uint64_t *out)
{
    mutex_lock(&t->lock);
    timerfd_catch_up_locked(t, clock_monotonic());
    *out = t->ticks;
    t->ticks = 0;
    mutex_unlock(&t->lock);
    (void)timerfd_arm(t); /* out of memory only delays a wake: the counting is arithmetic */
    return *out > 0;
}

static ssize_t timerfd_read(struct file *f, struct iov_iter *dst, lx_loff_t *pos)
{
    struct timerfd *t = timerfd_of(f);
    struct waiter w;
    uint64_t ticks;
    int ret = 0;

    if (iov_iter_count(dst) < sizeof(ticks))
        return -EINVAL;
    if (!timerfd_take(t, &ticks)) {
        if (file_nonblock(f))
            return -EAGAIN;
        waiter_init(&w, WAKE_IN);
        waitq_add(&f->own_wq, &w);
        while (!timerfd_take(t, &ticks) && ret == 0)
            ret = task_block(NO_DEADLINE);
        waitq_remove(&f->own_wq, &w);
        if (ticks == 0)
            return ret;
    }
    return copy_to_iter(dst, &ticks, sizeof(ticks)) == sizeof(ticks) ? (ssize_t)sizeof(ticks)
                                                                     : -EFAULT;
}

static uint32_t timerfd_poll(struct file *f)
{
    struct timerfd *t = timerfd_of(f);
    uint32_t mask;

    mutex_lock(&t->lock);
    timerfd_catch_up_locked(t, clock_monotonic());
    mask = t->ticks > 0 ? WAKE_IN : 0;
    mutex_unlock(&t->lock);
    (void)timerfd_arm(t); /* as in timerfd_take */
    return mask;
}

static long timerfd_ioctl(struct file *f, uint32_t cmd, uaddr_t arg)
{
    struct timerfd *t = timerfd_of(f);
    uint64_t ticks;

    if (cmd != LX_TFD_IOC_SET_TICKS)
        return -ENOTTY;
    if (get_user(&ticks, arg) < 0)
        return -EFAULT;
    if (ticks == 0)
        return -EINVAL;
    mutex_lock(&t->lock);
    t->ticks = ticks;
    mutex_unlock(&t->lock);
    waitq_wake(&f->own_wq, WAKE_IN);
    return 0;
}

void timerfd_get_spec(struct file *f, struct timerfd_spec *out)
{
    struct timerfd *t = timerfd_of(f);
    uint64_t now = clock_monotonic();

    mutex_lock(&t->lock);
    timerfd_catch_up_locked(t, now);
    out->interval_ns = t->interval;
    out->value_ns = t->next > now ? t->next - now : 0;
    mutex_unlock(&t->lock);
}

static size_t timerfd_fdinfo(struct file *f, char *buf, size_t size)
{
    struct timerfd *t = timerfd_of(f);
    struct timerfd_spec spec;
    int n;

    timerfd_get_spec(f, &spec);
    n = snprintf(buf, size,
                 "clockid: %d\nticks: %llu\nsettime flags: 0%o\nit_value: (%llu, %llu)\n"
                 "it_interval: (%llu, %llu)\n",
                 t->clockid, (unsigned long long)t->ticks, t->set_flags,
                 (unsigned long long)(spec.value_ns / NSEC_PER_SEC),
                 (unsigned long long)(spec.value_ns % NSEC_PER_SEC),
                 (unsigned long long)(spec.interval_ns / NSEC_PER_SEC),
                 (unsigned long long)(spec.interval_ns % NSEC_PER_SEC));
    return MIN((size_t)n, size);
}

static void timerfd_release(struct file *f)
{
    struct timerfd *t = timerfd_of(f);

    ktimer_cancel(&t->timer);
    mutex_destroy(&t->lock);
    file_destroy_generic(f);
    free(t);
}

static const struct file_ops timerfd_file_ops = {
    .read = timerfd_read,
    .poll = timerfd_poll,
    .ioctl = timerfd_ioctl,
    .fdinfo = timerfd_fdinfo,
    .seek = file_seek_nowhere,
    .release = timerfd_release,
};

/* Absolute time on the timer's clock to monotonic; never 0. */
static uint64_t timerfd_to_monotonic(const struct timerfd *t, uint64_t when)
{
    int64_t offset = 0;

    if (t->clockid == LX_CLOCK_REALTIME || t->clockid == LX_CLOCK_REALTIME_ALARM)
        offset = clock_realtime_offset();
    else if (t->clockid == LX_CLOCK_BOOTTIME || t->clockid == LX_CLOCK_BOOTTIME_ALARM)
        offset = (int64_t)(clock_boottime() - clock_monotonic());
    if (offset > 0)
        return when > (uint64_t)offset ? when - (uint64_t)offset : 1;
    return MAX(when + (uint64_t)-offset, 1);
}

int timerfd_set(struct file *f, uint32_t flags, const struct timerfd_spec *spec,
                struct timerfd_spec *out_old)
{
    struct timerfd *t = timerfd_of(f);
    uint64_t next = 0;

    ktimer_cancel(&t->timer);
    timerfd_get_spec(f, out_old);
    if (spec->value_ns > 0)
        next = flags & LX_TFD_TIMER_ABSTIME ? timerfd_to_monotonic(t, spec->value_ns)
                                            : deadline_after(spec->value_ns);
    mutex_lock(&t->lock);
    t->next = next;
    t->interval = spec->interval_ns;
    t->ticks = 0;
    t->set_flags = flags;
    t->armed = false;
    mutex_unlock(&t->lock);
    return timerfd_arm(t);
}

int timerfd_create_file(int clockid, uint32_t flags, struct file **out)
{
    struct timerfd *t = calloc(1, sizeof(*t));
    int ret;

    if (!t)
        return -ENOMEM;
    file_init(&t->file, &timerfd_file_ops, LX_O_RDWR | (flags & LX_TFD_NONBLOCK));
    mutex_init(&t->lock, RANK_LEAF);
    ktimer_init(&t->timer, timerfd_expire);
    t->clockid = clockid;
    ret = file_set_anon(&t->file, "anon_inode:[timerfd]", 0600, NULL);
    if (ret < 0)
        file_put(&t->file);
    else
        *out = &t->file;
    return ret;
}
