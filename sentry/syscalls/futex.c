/* SPDX-License-Identifier: Apache-2.0 */
/* futex(2) and its family: operations, timeouts, flags. */
#include "sentry/kernel/futex.h"

#include <errno.h>

#include "sentry/abi/time.h"
#include "sentry/core/sleep.h"
#include "sentry/kernel/ktime.h"
#include "sentry/kernel/task.h"
#include "sentry/kernel/task_info.h"
#if __has_include("gen/syscall_protos.h")
#include "gen/syscall_protos.h"
#endif

static bool takes_timeout(int cmd)
{
    return cmd == LX_FUTEX_WAIT || cmd == LX_FUTEX_WAIT_BITSET || cmd == LX_FUTEX_LOCK_PI ||
           cmd == LX_FUTEX_LOCK_PI2 || cmd == LX_FUTEX_WAIT_REQUEUE_PI;
}

/* FUTEX_WAIT is relative and monotonic, LOCK_PI absolute and realtime, others absolute. */
static int timeout_in(int cmd, bool realtime, uaddr_t utime, uint64_t *out)
{
    struct lx_timespec ts;
    int clock = realtime || cmd == LX_FUTEX_LOCK_PI ? LX_CLOCK_REALTIME : LX_CLOCK_MONOTONIC;

    *out = NO_DEADLINE;
    if (!utime || !takes_timeout(cmd))
        return 0;
    if (get_user(&ts, utime) < 0)
        return -EFAULT;
    if (!lx_timespec_valid(&ts))
        return -EINVAL;
    if (cmd == LX_FUTEX_WAIT)
        clock = LX_CLOCK_MONOTONIC;
    return clock_deadline(clock, lx_timespec_to_ns(&ts), cmd != LX_FUTEX_WAIT, out);
}

long sys_futex(struct task *t, uaddr_t uaddr, int op, uint32_t val, uaddr_t utime, uaddr_t uaddr2,
               uint32_t val3)
{
    bool is_private = op & LX_FUTEX_PRIVATE_FLAG, realtime = op & LX_FUTEX_CLOCK_REALTIME;
    int cmd = op & LX_FUTEX_CMD_MASK, val2 = (int)(uint32_t)utime;
    uint64_t deadline;
    int ret = timeout_in(cmd, realtime, utime, &deadline);

    if (ret < 0)
        return ret;
    if (realtime && cmd != LX_FUTEX_WAIT && cmd != LX_FUTEX_WAIT_BITSET &&
        cmd != LX_FUTEX_WAIT_REQUEUE_PI && cmd != LX_FUTEX_LOCK_PI2)
        return -ENOSYS;
    switch (cmd) {
    case LX_FUTEX_WAIT:
        return futex_wait(uaddr, is_private, val, LX_FUTEX_BITSET_ANY, deadline);
    case LX_FUTEX_WAIT_BITSET:
        return futex_wait(uaddr, is_private, val, val3, deadline);
    case LX_FUTEX_WAKE:
        return futex_wake(uaddr, is_private, (int)val, LX_FUTEX_BITSET_ANY);
    case LX_FUTEX_WAKE_BITSET:
        return futex_wake(uaddr, is_private, (int)val, val3);
    case LX_FUTEX_REQUEUE:
        return futex_requeue(uaddr, uaddr2, is_private, (int)val, val2, NULL);
    case LX_FUTEX_CMP_REQUEUE:
        return futex_requeue(uaddr, uaddr2, is_private, (int)val, val2, &val3);
    case LX_FUTEX_WAKE_OP:
        return futex_wake_op(uaddr, uaddr2, is_private, (int)val, val2, val3);
    case LX_FUTEX_LOCK_PI:
    case LX_FUTEX_LOCK_PI2:
        return futex_lock_pi(t, uaddr, is_private, deadline, /*try_only=*/false);
    case LX_FUTEX_TRYLOCK_PI:
        return futex_lock_pi(t, uaddr, is_private, NO_DEADLINE, /*try_only=*/true);
    case LX_FUTEX_UNLOCK_PI:
        return futex_unlock_pi(t, uaddr, is_private);
    case LX_FUTEX_WAIT_REQUEUE_PI:
        return futex_wait_requeue_pi(t, uaddr, uaddr2, is_private, val, LX_FUTEX_BITSET_ANY,
                                     deadline);
    case LX_FUTEX_CMP_REQUEUE_PI:
        return futex_cmp_requeue_pi(t, uaddr, uaddr2, is_private, (int)val, val2, val3);
    default:
        return -ENOSYS;
    }
}

/* ---- the second interface: size and privacy in flags ---------------------------------------- */

/* DEVIATION: FUTEX2_NUMA and FUTEX2_MPOL (Linux 6.16) are flags that an older kernel does not know.
 */
static int futex2_check(uint32_t flags, uint64_t val, uint64_t mask)
{
    if (flags & ~(LX_FUTEX2_SIZE_MASK | LX_FUTEX_PRIVATE_FLAG))
        return -EINVAL;
    if ((flags & LX_FUTEX2_SIZE_MASK) != LX_FUTEX_32)
        return -EINVAL; /* as Linux: other sizes have numbers, no more */
    return val >> 32 || mask >> 32 ? -EINVAL : 0;
}

static int futex2_deadline(uaddr_t timeout, int clockid, uint64_t *out)
{
    struct lx_timespec ts;

    *out = NO_DEADLINE;
    if (!timeout)
        return 0;
    if (clockid != LX_CLOCK_REALTIME && clockid != LX_CLOCK_MONOTONIC)
        return -EINVAL;
    if (get_user(&ts, timeout) < 0)
        return -EFAULT;
    if (!lx_timespec_valid(&ts))
        return -EINVAL;
    return clock_deadline(clockid, lx_timespec_to_ns(&ts), /*absolute=*/true, out);
}

static int futex2_entries(uaddr_t waiters, uint32_t count, struct futex_wait_entry *out)
{
    struct lx_futex_waitv w;

    for (uint32_t i = 0; i < count; i++) {
        int ret;

        if (get_user(&w, waiters + i * sizeof(w)) < 0)
            return -EFAULT;
        ret = w.reserved ? -EINVAL : futex2_check(w.flags, w.val, 0);
        if (ret < 0)
            return ret;
        out[i] =
            (struct futex_wait_entry){w.uaddr, (uint32_t)w.val, w.flags & LX_FUTEX_PRIVATE_FLAG};
    }
    return 0;
}

long sys_futex_waitv(struct task *t, uaddr_t waiters, uint32_t nr_futexes, uint32_t flags,
                     uaddr_t timeout, int clockid)
{
    struct futex_wait_entry entries[LX_FUTEX_WAITV_MAX];
    uint64_t deadline;
    int ret;

    (void)t;
    if (flags || !nr_futexes || nr_futexes > LX_FUTEX_WAITV_MAX || !waiters)
        return -EINVAL;
    ret = futex2_deadline(timeout, clockid, &deadline);
    if (ret == 0)
        ret = futex2_entries(waiters, nr_futexes, entries);
    return ret < 0 ? ret : futex_wait_many(entries, nr_futexes, deadline);
}

long sys_futex_wake(struct task *t, uaddr_t uaddr, uint64_t mask, int nr, uint32_t flags)
{
    int ret = futex2_check(flags, 0, mask);
    struct futex_key key;

    (void)t;
    if (ret < 0)
        return ret;
    if (nr == 0 && mask) { /* Linux: the word is checked, nobody is woken */
        if (uaddr & 3)
            return -EINVAL;
        return user_futex_key(uaddr, flags & LX_FUTEX_PRIVATE_FLAG, /*write=*/false, &key);
    }
    return futex_wake(uaddr, flags & LX_FUTEX_PRIVATE_FLAG, nr, (uint32_t)mask);
}

long sys_futex_wait(struct task *t, uaddr_t uaddr, uint64_t val, uint64_t mask, uint32_t flags,
                    uaddr_t timeout, int clockid)
{
    uint64_t deadline;
    int ret = futex2_check(flags, val, mask);

    (void)t;
    if (ret == 0)
        ret = futex2_deadline(timeout, clockid, &deadline);
    if (ret < 0)
        return ret;
    return futex_wait_plain(uaddr, flags & LX_FUTEX_PRIVATE_FLAG, (uint32_t)val, (uint32_t)mask,
                            deadline);
}

long sys_futex_requeue(struct task *t, uaddr_t waiters, uint32_t flags, int nr_wake, int nr_requeue)
{
    struct futex_wait_entry e[2];
    int ret;

    (void)t;
    if (flags || !waiters)
        return -EINVAL;
    ret = futex2_entries(waiters, 2, e);
    if (ret < 0)
        return ret;
    if (e[0].is_private != e[1].is_private)
        return -EINVAL;
    return futex_requeue(e[0].addr, e[1].addr, e[0].is_private, nr_wake, nr_requeue, &e[0].val);
}

long sys_set_robust_list(struct task *t, uaddr_t head, size_t len)
{
    if (len != sizeof(struct lx_robust_list_head))
        return -EINVAL;
    task_set_robust_list(t, head, len);
    return 0;
}

long sys_get_robust_list(struct task *t, int pid, uaddr_t head_ptr, uaddr_t len_ptr)
{
    uint64_t head, len;
    struct task *target = pid ? task_find_get(pid) : task_get(t);
    int ret;

    if (!target)
        return -ESRCH;
    ret = task_ptrace_may_access(target, LX_PTRACE_MODE_READ);
    if (ret == 0)
        task_get_robust_list(target, &head, &len);
    task_put(target);
    if (ret < 0)
        return -EPERM;
    if (put_user(&len, len_ptr) < 0 || put_user(&head, head_ptr) < 0)
        return -EFAULT;
    return 0;
}
