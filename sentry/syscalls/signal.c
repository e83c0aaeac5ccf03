/* SPDX-License-Identifier: Apache-2.0 */
/* Signal system calls: decode, check sizes, call kernel/signal. */
#include "sentry/kernel/signal.h"

#include <errno.h>

#include "sentry/abi/signal.h"
#include "sentry/abi/time.h"
#include "sentry/core/restart.h"
#include "sentry/kernel/task.h"
#include "sentry/kernel/task_info.h"
#include "sentry/mm/uaccess.h"
#if __has_include("gen/syscall_protos.h")
#include "gen/syscall_protos.h"
#endif

long sys_rt_sigaction(struct task *t, int signum, uaddr_t act, uaddr_t oldact, size_t sigsetsize)
{
    struct lx_sigaction new_sa, old_sa;
    int ret;

    if (sigsetsize != sizeof(lx_sigset_t))
        return -EINVAL;
    if (act && get_user(&new_sa, act) < 0)
        return -EFAULT;
    ret = signal_action(t, signum, act ? &new_sa : NULL, oldact ? &old_sa : NULL);
    if (ret < 0)
        return ret;
    if (oldact && put_user(&old_sa, oldact) < 0)
        return -EFAULT;
    return 0;
}

long sys_rt_sigprocmask(struct task *t, int how, uaddr_t set, uaddr_t oldset, size_t sigsetsize)
{
    lx_sigset_t old = signal_mask(t), mask;

    if (sigsetsize != sizeof(mask))
        return -EINVAL;
    if (set) {
        if (get_user(&mask, set) < 0)
            return -EFAULT;
        switch (how) {
        case LX_SIG_BLOCK:
            signal_block(t, old | mask);
            break;
        case LX_SIG_UNBLOCK:
            signal_block(t, old & ~mask);
            break;
        case LX_SIG_SETMASK:
            signal_block(t, mask);
            break;
        default:
            return -EINVAL;
        }
    }
    if (oldset && put_user(&old, oldset) < 0)
        return -EFAULT;
    return 0;
}

long sys_rt_sigreturn(struct task *t)
{
    return signal_return(t);
}

long sys_rt_sigpending(struct task *t, uaddr_t uset, size_t sigsetsize)
{
    lx_sigset_t set = signal_pending(t) & signal_mask(t);

    if (sigsetsize > sizeof(set))
        return -EINVAL;
    return copy_out(uset, &set, sigsetsize);
}

long sys_rt_sigsuspend(struct task *t, uaddr_t unewset, size_t sigsetsize)
{
    lx_sigset_t mask;

    if (sigsetsize != sizeof(mask))
        return -EINVAL;
    if (get_user(&mask, unewset) < 0)
        return -EFAULT;
    signal_set_temporary_mask(t, mask);
    while (task_block(NO_DEADLINE) == 0)
        ;
    return -ERESTARTNOHAND;
}

long sys_pause(struct task *t)
{
    (void)t;
    while (task_block(NO_DEADLINE) == 0)
        ;
    return -ERESTARTNOHAND;
}

long sys_rt_sigtimedwait(struct task *t, uaddr_t uthese, uaddr_t uinfo, uaddr_t uts,
                         size_t sigsetsize)
{
    uint64_t deadline = NO_DEADLINE;
    struct lx_siginfo info;
    struct lx_timespec ts;
    lx_sigset_t set;
    int ret;

    if (sigsetsize != sizeof(set))
        return -EINVAL;
    if (get_user(&set, uthese) < 0)
        return -EFAULT;
    if (uts) {
        if (get_user(&ts, uts) < 0)
            return -EFAULT;
        if (!lx_timespec_valid(&ts))
            return -EINVAL;
        deadline = lx_timespec_to_ns(&ts);
        deadline = deadline ? deadline_after(deadline) : 0;
    }
    ret = signal_wait(t, set, deadline, &info);
    if (ret > 0 && uinfo && put_user(&info, uinfo) < 0)
        return -EFAULT;
    return ret;
}

long sys_sigaltstack(struct task *t, uaddr_t uss, uaddr_t uoss)
{
    struct lx_stack ss, old;
    int ret;

    if (uss && get_user(&ss, uss) < 0)
        return -EFAULT;
    ret = signal_altstack(t, uss ? &ss : NULL, uoss ? &old : NULL, task_regs(t)->rsp);
    if (ret < 0)
        return ret;
    if (uoss && put_user(&old, uoss) < 0)
        return -EFAULT;
    return 0;
}

/* ---- sending -------------------------------------------------------------------------------- */

long sys_kill(struct task *t, lx_pid_t pid, int sig)
{
    struct lx_siginfo info;

    (void)t;
    signal_info_user(&info, sig, LX_SI_USER);
    return signal_kill(pid, sig, &info);
}

/* One thread; tgid 0: any process. */
static long send_thread(lx_pid_t tgid, lx_pid_t tid, int sig, const struct lx_siginfo *info)
{
    struct task *target = task_find_get(tid);
    long ret = -ESRCH;

    if (!target)
        return -ESRCH;
    if (!tgid || pid_nr(target->curr.tgid) == tgid) {
        ret = signal_check_permission(target, sig, info);
        if (ret == 0 && sig)
            ret = signal_send_task(target, sig, info);
    }
    task_put(target);
    return ret;
}

long sys_tgkill(struct task *t, lx_pid_t tgid, lx_pid_t pid, int sig)
{
    struct lx_siginfo info;

    (void)t;
    if (pid <= 0 || tgid <= 0)
        return -EINVAL;
    signal_info_user(&info, sig, LX_SI_TKILL);
    return send_thread(tgid, pid, sig, &info);
}

long sys_tkill(struct task *t, lx_pid_t pid, int sig)
{
    struct lx_siginfo info;

    (void)t;
    if (pid <= 0)
        return -EINVAL;
    signal_info_user(&info, sig, LX_SI_TKILL);
    return send_thread(0, pid, sig, &info);
}

/* Nobody may send itself off as the kernel or as kill(2), except to itself. */
static int queue_info_in(struct task *t, lx_pid_t pid, int sig, uaddr_t uinfo,
                         struct lx_siginfo *info)
{
    if (get_user(info, uinfo) < 0)
        return -EFAULT;
    info->signo = sig;
    if ((info->code >= 0 || info->code == LX_SI_TKILL) && pid != pid_nr(t->curr.tgid))
        return -EPERM;
    return 0;
}

long sys_rt_sigqueueinfo(struct task *t, lx_pid_t pid, int sig, uaddr_t uinfo)
{
    struct lx_siginfo info;
    struct task *target;
    long ret = queue_info_in(t, pid, sig, uinfo, &info);

    if (ret < 0)
        return ret;
    target = pid > 0 ? task_find_get(pid) : NULL;
    if (!target)
        return -ESRCH;
    ret = signal_check_permission(target, sig, &info);
    if (ret == 0 && sig)
        ret = signal_send_process(target, sig, &info);
    task_put(target);
    return ret;
}

long sys_rt_tgsigqueueinfo(struct task *t, lx_pid_t tgid, lx_pid_t pid, int sig, uaddr_t uinfo)
{
    struct lx_siginfo info;
    long ret;

    if (pid <= 0 || tgid <= 0)
        return -EINVAL;
    ret = queue_info_in(t, tgid, sig, uinfo, &info);
    return ret < 0 ? ret : send_thread(tgid, pid, sig, &info);
}

long sys_restart_syscall(struct task *t)
{
    return task_run_restart(t);
}
