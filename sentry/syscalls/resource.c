/* SPDX-License-Identifier: Apache-2.0 */
/* Limits, usage, priorities, scheduling policy and affinity. */
#include "sentry/abi/resource.h"

#include <errno.h>
#include <sched.h>
#include <string.h>

#include "sentry/abi/sched.h"
#include "sentry/core/userns.h"
#include "sentry/kernel/process.h"
#include "sentry/kernel/rusage.h"
#include "sentry/kernel/settings.h"
#include "sentry/kernel/task.h"
#include "sentry/kernel/task_info.h"
#include "sentry/mm/uaccess.h"
#if __has_include("gen/syscall_protos.h")
#include "gen/syscall_protos.h"
#endif

/* ---- limits --------------------------------------------------------------------------------- */

static int change_limit(struct task *target, uint32_t resource, const struct lx_rlimit *lim)
{
    struct lx_rlimit old;
    const uint64_t nr_open = 1048576;

    if (lim->cur > lim->max)
        return -EINVAL;
    if (resource == LX_RLIMIT_NOFILE && lim->max > nr_open)
        return -EPERM;
    task_rlimit(target, (int)resource, &old);
    if (lim->max > old.max && !cred_capable(curr()->cred, LX_CAP_SYS_RESOURCE))
        return -EPERM;
    task_set_rlimit(target, (int)resource, lim);
    return 0;
}

static int may_prlimit(struct task *self, struct task *target)
{
    const struct cred *c = self->curr.cred;
    struct cred *their;
    int ret = 0;

    if (self == target)
        return 0;
    their = task_cred_get(target);
    if (!(c->ruid == their->euid && c->ruid == their->suid && c->ruid == their->ruid &&
          c->rgid == their->egid && c->rgid == their->sgid && c->rgid == their->rgid) &&
        !cred_ns_capable(c, their->userns, LX_CAP_SYS_RESOURCE))
        ret = -EPERM;
    cred_put(their);
    return ret;
}

long sys_prlimit64(struct task *t, lx_pid_t pid, uint32_t resource, uaddr_t new_rlim,
                   uaddr_t old_rlim)
{
    struct lx_rlimit lim, old;
    struct task *target;
    long ret;

    if (new_rlim && get_user(&lim, new_rlim) < 0)
        return -EFAULT;
    target = pid ? task_find_get(pid) : task_get(t);
    if (!target)
        return -ESRCH;
    ret = may_prlimit(t, target);
    if (ret == 0 && resource >= LX_RLIM_COUNT)
        ret = -EINVAL;
    if (ret == 0)
        task_rlimit(target, (int)resource, &old);
    if (ret == 0 && new_rlim)
        ret = change_limit(target, resource, &lim);
    task_put(target);
    if (ret == 0 && old_rlim)
        ret = put_user(&old, old_rlim);
    return ret;
}

long sys_getrlimit(struct task *t, uint32_t resource, uaddr_t rlim)
{
    struct lx_rlimit lim;

    if (resource >= LX_RLIM_COUNT)
        return -EINVAL;
    task_rlimit(t, (int)resource, &lim);
    return put_user(&lim, rlim);
}

long sys_setrlimit(struct task *t, uint32_t resource, uaddr_t rlim)
{
    struct lx_rlimit lim;

    if (get_user(&lim, rlim) < 0)
        return -EFAULT;
    if (resource >= LX_RLIM_COUNT)
        return -EINVAL;
    return change_limit(t, resource, &lim);
}

long sys_getrusage(struct task *t, int who, uaddr_t ru)
{
    struct lx_rusage out;
    int ret = rusage_get(t, who, &out);

    return ret < 0 ? ret : put_user(&out, ru);
}

/* ---- nice ----------------------------------------------------------------------------------- */

struct nice_walk {
    int best; /* lowest nice seen */
    int wanted, error;
};

static void nice_read(struct task *t, void *arg)
{
    struct nice_walk *w = arg;
    struct task_sched s;

    task_sched_get(t, &s);
    w->best = MIN(w->best, s.nice);
}

/* setpriority(2): owner or CAP_SYS_NICE; below the RLIMIT_NICE ceiling only with the capability. */
static void nice_write(struct task *t, void *arg)
{
    const struct cred *c = curr()->cred;
    struct nice_walk *w = arg;
    struct task_sched s;
    struct cred *their = task_cred_get(t);
    bool capable = cred_ns_capable(c, their->userns, LX_CAP_SYS_NICE);

    task_sched_get(t, &s);
    if (c->euid != their->ruid && c->euid != their->euid && !capable) {
        w->error = -EPERM;
    } else if (w->wanted < s.nice &&
               (uint64_t)(20 - w->wanted) > task_rlimit_cur(t, LX_RLIMIT_NICE) && !capable) {
        w->error = -EACCES;
    } else {
        if (w->error == -ESRCH)
            w->error = 0;
        s.nice = w->wanted;
        task_sched_set(t, &s);
    }
    cred_put(their);
}

long sys_getpriority(struct task *t, int which, int who)
{
    struct nice_walk w = {.best = 20};

    if (which < LX_PRIO_PROCESS || which > LX_PRIO_USER)
        return -EINVAL;
    if (!process_for_each(t, which, who, /*threads=*/true, nice_read, &w))
        return -ESRCH;
    return 20 - w.best;
}

long sys_setpriority(struct task *t, int which, int who, int niceval)
{
    struct nice_walk w = {.error = -ESRCH};

    if (which < LX_PRIO_PROCESS || which > LX_PRIO_USER)
        return -EINVAL;
    w.wanted = niceval < -20 ? -20 : niceval > 19 ? 19 : niceval;
    process_for_each(t, which, who, /*threads=*/true, nice_write, &w);
    return w.error;
}

/* ---- scheduling policy ----------------------------------------------------------------------- */

static bool policy_is_rt(int policy)
{
    return policy == LX_SCHED_FIFO || policy == LX_SCHED_RR;
}

static bool policy_valid(int policy)
{
    return policy >= 0 && policy <= LX_SCHED_DEADLINE && policy != 4;
}

static int find_target(struct task *t, lx_pid_t pid, struct task **out)
{
    if (pid < 0)
        return -EINVAL;
    *out = pid ? task_find_get(pid) : task_get(t);
    return *out ? 0 : -ESRCH;
}

static int may_set_sched(struct task *target, const struct task_sched *old,
                         const struct task_sched *s)
{
    const struct cred *c = curr()->cred;
    struct cred *their = task_cred_get(target);
    bool capable = cred_ns_capable(c, their->userns, LX_CAP_SYS_NICE);
    uint64_t rtprio = task_rlimit_cur(target, LX_RLIMIT_RTPRIO);
    bool owner = c->euid == their->euid || c->euid == their->ruid;

    cred_put(their);
    if (capable)
        return 0;
    if (policy_is_rt(s->policy)) {
        if (s->policy != old->policy && !rtprio)
            return -EPERM;
        if (s->rt_priority > old->rt_priority && (uint64_t)s->rt_priority > rtprio)
            return -EPERM;
    }
    if (s->policy == LX_SCHED_DEADLINE || !owner || (old->reset_on_fork && !s->reset_on_fork))
        return -EPERM;
    if (s->nice < old->nice && (uint64_t)(20 - s->nice) > task_rlimit_cur(target, LX_RLIMIT_NICE))
        return -EPERM;
    return 0;
}

/* nice: value or INT32_MIN to keep. */
static long set_sched(struct task *t, lx_pid_t pid, int policy, int priority, bool reset, int nice)
{
    struct task_sched s, old;
    struct task *target;
    long ret = find_target(t, pid, &target);

    if (ret < 0)
        return ret;
    task_sched_get(target, &old);
    s = old;
    s.policy = policy < 0 ? old.policy : policy;
    s.reset_on_fork = policy < 0 ? old.reset_on_fork : reset;
    s.rt_priority = priority;
    if (nice != INT32_MIN)
        s.nice = nice;
    ret = -EINVAL;
    if (!policy_valid(s.policy) || s.policy == LX_SCHED_DEADLINE ||
        (policy_is_rt(s.policy) ? priority < 1 || priority > 99 : priority != 0))
        goto out;
    ret = may_set_sched(target, &old, &s);
    if (ret == 0)
        task_sched_set(target, &s);
out:
    task_put(target);
    return ret;
}

long sys_sched_setscheduler(struct task *t, lx_pid_t pid, int policy, uaddr_t param)
{
    struct lx_sched_param p;

    if (policy < 0 || !param || pid < 0)
        return -EINVAL;
    if (get_user(&p, param) < 0)
        return -EFAULT;
    return set_sched(t, pid, policy & ~LX_SCHED_RESET_ON_FORK, p.priority,
                     policy & LX_SCHED_RESET_ON_FORK, INT32_MIN);
}

long sys_sched_setparam(struct task *t, lx_pid_t pid, uaddr_t param)
{
    struct lx_sched_param p;

    if (!param || pid < 0)
        return -EINVAL;
    if (get_user(&p, param) < 0)
        return -EFAULT;
    return set_sched(t, pid, -1, p.priority, false, INT32_MIN);
}

long sys_sched_getscheduler(struct task *t, lx_pid_t pid)
{
    struct task_sched s;
    struct task *target;
    long ret = find_target(t, pid, &target);

    if (ret < 0)
        return ret;
    task_sched_get(target, &s);
    task_put(target);
    return s.policy | (s.reset_on_fork ? LX_SCHED_RESET_ON_FORK : 0);
}

long sys_sched_getparam(struct task *t, lx_pid_t pid, uaddr_t param)
{
    struct lx_sched_param p;
    struct task_sched s;
    struct task *target;
    long ret;

    if (!param || pid < 0)
        return -EINVAL;
    ret = find_target(t, pid, &target);
    if (ret < 0)
        return ret;
    task_sched_get(target, &s);
    task_put(target);
    p.priority = s.rt_priority;
    return put_user(&p, param);
}

long sys_sched_setattr(struct task *t, lx_pid_t pid, uaddr_t uattr, uint32_t flags)
{
    struct lx_sched_attr a = {0};
    uint32_t size;

    if (!uattr || pid < 0 || flags)
        return -EINVAL;
    if (get_user(&size, uattr) < 0)
        return -EFAULT;
    if (!size)
        size = LX_SCHED_ATTR_SIZE_VER0;
    if (size < LX_SCHED_ATTR_SIZE_VER0 || size > LX_PAGE_SIZE) {
        size = sizeof(a);
        return put_user(&size, uattr) < 0 ? -EFAULT : -E2BIG;
    }
    if (copy_in(&a, uattr, MIN(size, sizeof(a))) < 0)
        return -EFAULT;
    for (uint32_t off = sizeof(a); off < size; off++) {
        uint8_t byte;

        if (get_user(&byte, uattr + off) < 0)
            return -EFAULT;
        if (byte) {
            size = sizeof(a);
            return put_user(&size, uattr) < 0 ? -EFAULT : -E2BIG;
        }
    }
    if ((int)a.policy < 0 || (a.flags & ~(uint64_t)LX_SCHED_FLAG_ALL))
        return -EINVAL;
    a.nice = a.nice < -20 ? -20 : a.nice > 19 ? 19 : a.nice;
    return set_sched(t, pid, (int)a.policy, (int)a.priority, a.flags & LX_SCHED_FLAG_RESET_ON_FORK,
                     policy_is_rt((int)a.policy) ? INT32_MIN : a.nice);
}

long sys_sched_getattr(struct task *t, lx_pid_t pid, uaddr_t uattr, uint32_t usize, uint32_t flags)
{
    struct lx_sched_attr a = {0};
    struct task_sched s;
    struct task *target;
    long ret;

    if (!uattr || pid < 0 || usize > LX_PAGE_SIZE || usize < LX_SCHED_ATTR_SIZE_VER0 || flags)
        return -EINVAL;
    ret = find_target(t, pid, &target);
    if (ret < 0)
        return ret;
    task_sched_get(target, &s);
    task_put(target);
    a.size = (uint32_t)MIN(usize, sizeof(a));
    a.policy = (uint32_t)s.policy;
    a.flags = s.reset_on_fork ? LX_SCHED_FLAG_RESET_ON_FORK : 0;
    if (policy_is_rt(s.policy))
        a.priority = (uint32_t)s.rt_priority;
    else
        a.nice = s.nice;
    a.util_max = 1024;
    return copy_out(uattr, &a, a.size);
}

long sys_sched_get_priority_max(struct task *t, int policy)
{
    (void)t;
    if (!policy_valid(policy))
        return -EINVAL;
    return policy_is_rt(policy) ? 99 : 0;
}

long sys_sched_get_priority_min(struct task *t, int policy)
{
    (void)t;
    if (!policy_valid(policy))
        return -EINVAL;
    return policy_is_rt(policy) ? 1 : 0;
}

long sys_sched_rr_get_interval(struct task *t, lx_pid_t pid, uaddr_t interval)
{
    struct lx_timespec ts = {0};
    struct task_sched s;
    struct task *target;
    long ret = find_target(t, pid, &target);

    if (ret < 0)
        return ret;
    task_sched_get(target, &s);
    task_put(target);
    ts.nsec = s.policy == LX_SCHED_RR ? 100000000 : s.policy == LX_SCHED_FIFO ? 0 : 4000000;
    return put_user(&ts, interval);
}

long sys_sched_yield(struct task *t)
{
    (void)t;
    sched_yield();
    return 0;
}

/* ---- affinity ------------------------------------------------------------------------------- */

long sys_sched_setaffinity(struct task *t, lx_pid_t pid, uint32_t len, uaddr_t user_mask_ptr)
{
    uint64_t mask[CPU_WORDS] = {0};
    struct task *target;
    struct cred *their;
    bool allowed;
    long ret;

    if (copy_in(mask, user_mask_ptr, MIN(len, sizeof(mask))) < 0)
        return -EFAULT;
    ret = find_target(t, pid, &target);
    if (ret < 0)
        return -ESRCH;
    their = task_cred_get(target);
    allowed = t->curr.cred->euid == their->euid || t->curr.cred->euid == their->ruid ||
              cred_ns_capable(t->curr.cred, their->userns, LX_CAP_SYS_NICE);
    cred_put(their);
    ret = allowed ? task_affinity_set(target, mask) : -EPERM;
    task_put(target);
    return ret;
}

long sys_sched_getaffinity(struct task *t, lx_pid_t pid, uint32_t len, uaddr_t user_mask_ptr)
{
    uint64_t mask[CPU_WORDS];
    uint32_t size = (kernel_cpu_limit() + 63) / 64 * 8;
    struct task *target;

    if (len * 8ull < kernel_cpu_limit() || (len & 7))
        return -EINVAL;
    if (find_target(t, pid, &target) < 0)
        return -ESRCH;
    task_affinity_get(target, mask);
    task_put(target);
    size = MIN(size, len);
    if (copy_out(user_mask_ptr, mask, size) < 0)
        return -EFAULT;
    return size;
}

long sys_getcpu(struct task *t, uaddr_t cpup, uaddr_t nodep, uaddr_t unused)
{
    uint32_t cpu = kernel_cpu_now(), node = 0;

    (void)t;
    (void)unused;
    if (cpup && put_user(&cpu, cpup) < 0)
        return -EFAULT;
    if (nodep && put_user(&node, nodep) < 0)
        return -EFAULT;
    return 0;
}

/* ---- io priority ----------------------------------------------------------------------------- */

enum { IOPRIO_CLASS_NONE, IOPRIO_CLASS_RT, IOPRIO_CLASS_BE, IOPRIO_CLASS_IDLE };

struct ioprio_walk {
    int value;
    bool as_set; /* not what follows where nothing was set */
};

static void ioprio_write(struct task *t, void *arg)
{
    struct ioprio_walk *w = arg;
    struct task_sched s;

    task_sched_get(t, &s);
    s.ioprio = w->value;
    task_sched_set(t, &s);
}

static void ioprio_read(struct task *t, void *arg)
{
    struct ioprio_walk *w = arg;
    struct task_sched s;
    int prio;

    task_sched_get(t, &s);
    /* Not set: best effort with a level from the nice value. */
    prio = s.ioprio || w->as_set ? s.ioprio : IOPRIO_CLASS_BE << 13 | (s.nice + 20) / 5;
    if (w->value < 0 || prio < w->value)
        w->value = prio;
}

static int ioprio_which(int which)
{
    switch (which) {
    case LX_IOPRIO_WHO_PROCESS:
        return LX_PRIO_PROCESS;
    case LX_IOPRIO_WHO_PGRP:
        return LX_PRIO_PGRP;
    case LX_IOPRIO_WHO_USER:
        return LX_PRIO_USER;
    default:
        return -EINVAL;
    }
}

long sys_ioprio_set(struct task *t, int which, int who, int ioprio)
{
    struct ioprio_walk w = {.value = ioprio};
    int class = ioprio >> 13, data = ioprio & 0x1fff, prio_which = ioprio_which(which);

    switch (class) {
    case IOPRIO_CLASS_RT:
        if (!cred_capable(t->curr.cred, LX_CAP_SYS_ADMIN) &&
            !cred_capable(t->curr.cred, LX_CAP_SYS_NICE))
            return -EPERM;
        FALLTHROUGH;
    case IOPRIO_CLASS_BE:
        if (data >= 8)
            return -EINVAL;
        break;
    case IOPRIO_CLASS_IDLE:
        break;
    case IOPRIO_CLASS_NONE:
        if (data)
            return -EINVAL;
        break;
    default:
        return -EINVAL;
    }
    if (prio_which < 0)
        return prio_which;
    return process_for_each(t, prio_which, who, /*threads=*/false, ioprio_write, &w) ? 0 : -ESRCH;
}

long sys_ioprio_get(struct task *t, int which, int who)
{
    /* Linux: of one process, what was set; of several, the best that is in effect. */
    struct ioprio_walk w = {.value = -1, .as_set = which == LX_IOPRIO_WHO_PROCESS};
    int prio_which = ioprio_which(which);

    if (prio_which < 0)
        return prio_which;
    if (!process_for_each(t, prio_which, who, /*threads=*/false, ioprio_read, &w))
        return -ESRCH;
    return w.value;
}
