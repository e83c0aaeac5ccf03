/* SPDX-License-Identifier: Apache-2.0 */
/* Creating and ending processes and threads, waiting for them, their ids. */
#include <errno.h>
#include <string.h>

#include "sentry/abi/fcntl.h"
#include "sentry/abi/signal.h"
#include "sentry/abi/wait.h"
#include "sentry/fs/vfs.h"
#include "sentry/kernel/clone.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/process.h"
#include "sentry/kernel/settings.h"
#include "sentry/kernel/sysvipc.h"
#include "sentry/kernel/task.h"
#include "sentry/kernel/task_info.h"
#include "sentry/kernel/wait.h"
#include "sentry/mm/uaccess.h"
#include "sentry/proc/nsfs.h"
#include "sentry/proc/proc.h"
#if __has_include("gen/syscall_protos.h")
#include "gen/syscall_protos.h"
#endif

/* ---- clone ---------------------------------------------------------------------------------- */

long sys_fork(struct task *t)
{
    return task_clone(t, &(struct clone_request){.exit_signal = LX_SIGCHLD});
}

long sys_vfork(struct task *t)
{
    return task_clone(t, &(struct clone_request){.flags = LX_CLONE_VFORK | LX_CLONE_VM,
                                                 .exit_signal = LX_SIGCHLD});
}

long sys_clone(struct task *t, uint64_t flags, uaddr_t newsp, uaddr_t parent_tid, uaddr_t child_tid,
               uint64_t tls)
{
    struct clone_request rq = {
        .flags = (uint32_t)flags & ~LX_CSIGNAL,
        .exit_signal = (int)(flags & LX_CSIGNAL),
        .stack = newsp,
        .tls = tls,
        .parent_tid = parent_tid,
        .child_tid = child_tid,
        .pidfd = parent_tid,
    };

    if ((rq.flags & LX_CLONE_PIDFD) && (rq.flags & LX_CLONE_PARENT_SETTID))
        return -EINVAL;
    return task_clone(t, &rq);
}

/* A struct that grew over time: the rest of a longer one must be zero. */
static int copy_struct_in(void *dst, size_t ours, uaddr_t src, size_t size)
{
    uint8_t tail[64];

    memset(dst, 0, ours);
    if (copy_in(dst, src, MIN(ours, size)) < 0)
        return -EFAULT;
    for (size_t off = ours; off < size; off += sizeof(tail)) {
        size_t n = MIN(sizeof(tail), size - off);

        if (copy_in(tail, src + off, n) < 0)
            return -EFAULT;
        for (size_t i = 0; i < n; i++)
            if (tail[i])
                return -E2BIG;
    }
    return 0;
}

static int clone3_set_tid(const struct lx_clone_args *a, struct clone_request *rq)
{
    if (!a->set_tid != !a->set_tid_size)
        return -EINVAL;
    if (a->set_tid_size > ARRAY_COUNT(rq->set_tid))
        return -EINVAL;
    rq->set_tid_count = (uint32_t)a->set_tid_size;
    return rq->set_tid_count
               ? copy_in(rq->set_tid, a->set_tid, a->set_tid_size * sizeof(rq->set_tid[0]))
               : 0;
}

long sys_clone3(struct task *t, uaddr_t uargs, size_t size)
{
    struct clone_request rq = {0};
    struct lx_clone_args a;
    int ret;

    if (size > LX_PAGE_SIZE)
        return -E2BIG;
    if (size < LX_CLONE_ARGS_SIZE_VER0)
        return -EINVAL;
    ret = copy_struct_in(&a, sizeof(a), uargs, size);
    if (ret < 0)
        return ret;
    ret = clone3_set_tid(&a, &rq);
    if (ret < 0)
        return ret;
    if ((a.flags & ~(0xffffffffull | LX_CLONE_CLEAR_SIGHAND | LX_CLONE_INTO_CGROUP)) ||
        (a.flags & (LX_CLONE_DETACHED | (LX_CSIGNAL & ~LX_CLONE_NEWTIME))) ||
        (a.exit_signal & ~LX_CSIGNAL) || a.exit_signal > LX_NSIG)
        return -EINVAL;
    if ((a.flags & (LX_CLONE_SIGHAND | LX_CLONE_CLEAR_SIGHAND)) ==
        (LX_CLONE_SIGHAND | LX_CLONE_CLEAR_SIGHAND))
        return -EINVAL;
    if ((a.flags & (LX_CLONE_THREAD | LX_CLONE_PARENT)) && a.exit_signal)
        return -EINVAL;
    if (!a.stack != !a.stack_size)
        return -EINVAL;
    if (a.stack_size && (a.stack >= LX_TASK_SIZE || a.stack_size > LX_TASK_SIZE - a.stack))
        return -EINVAL;
    rq.flags = a.flags;
    rq.exit_signal = (int)a.exit_signal;
    rq.stack = a.stack ? a.stack + a.stack_size : 0;
    rq.tls = a.tls;
    rq.parent_tid = a.parent_tid;
    rq.child_tid = a.child_tid;
    rq.pidfd = a.pidfd;
    rq.cgroup_fd = (int)a.cgroup;
    if ((a.flags & LX_CLONE_INTO_CGROUP) && (a.cgroup > INT32_MAX || size < sizeof(a)))
        return -EINVAL;
    return task_clone(t, &rq);
}

long sys_unshare(struct task *t, uint64_t unshare_flags)
{
    return task_unshare(t, unshare_flags);
}

long sys_setns(struct task *t, int fd, int flags)
{
    struct pid *pid;
    struct file *f;
    long ret = fdtable_lookup_get(t->curr.files, fd, &f);

    if (ret < 0)
        return ret;
    pid = pidfd_pid(f);
    if (pid)
        ret = task_setns_pid(t, pid, (uint32_t)flags);
    else
        ret = nsfs_setns(t, f, (uint32_t)flags);
    file_put(f);
    return ret;
}

/* ---- exit and wait -------------------------------------------------------------------------- */

long sys_exit(struct task *t, int error_code)
{
    process_exit_thread(t, (error_code & 0xff) << 8);
    return 0;
}

long sys_exit_group(struct task *t, int error_code)
{
    process_exit_group(t, (error_code & 0xff) << 8);
    return 0;
}

static long wait_and_put(struct task *t, struct wait_request *rq, struct wait_result *res)
{
    struct pid *pid = rq->pid;
    long ret = task_wait_child(t, rq, res);

    pid_put(pid);
    return ret;
}

long sys_wait4(struct task *t, lx_pid_t pid, uaddr_t stat_addr, int options, uaddr_t ru)
{
    struct wait_request rq = {.which = WAIT_ANY, .options = options | LX_WEXITED};
    struct wait_result res;
    int32_t status;
    long ret;

    if (options &
        ~(LX_WNOHANG | LX_WUNTRACED | LX_WCONTINUED | LX___WNOTHREAD | LX___WCLONE | LX___WALL))
        return -EINVAL;
    if (pid == INT32_MIN)
        return -ESRCH;
    if (pid < -1) {
        rq.which = WAIT_PGRP;
        rq.pid = pidns_find_pid_get(t->curr.pidns, -pid);
    } else if (pid == 0) {
        rq.which = WAIT_PGRP;
        rq.pid = g_curr_ops->pgrp_get();
    } else if (pid > 0) {
        rq.which = WAIT_PID;
        rq.pid = pidns_find_pid_get(t->curr.pidns, pid);
    }
    ret = wait_and_put(t, &rq, &res);
    if (ret < 0)
        return ret;
    if (res.pid == 0)
        return 0;
    status = res.status;
    if (stat_addr && put_user(&status, stat_addr) < 0)
        return -EFAULT;
    if (ru && put_user(&res.rusage, ru) < 0)
        return -EFAULT;
    return res.pid;
}

static int waitid_target(struct task *t, int which, lx_pid_t upid, struct wait_request *rq)
{
    struct file *f;
    int ret;

    switch (which) {
    case LX_P_ALL:
        rq->which = WAIT_ANY;
        return 0;
    case LX_P_PID:
        if (upid <= 0)
            return -EINVAL;
        rq->which = WAIT_PID;
        rq->pid = pidns_find_pid_get(t->curr.pidns, upid);
        return 0;
    case LX_P_PGID:
        if (upid < 0)
            return -EINVAL;
        rq->which = WAIT_PGRP;
        rq->pid = upid ? pidns_find_pid_get(t->curr.pidns, upid) : g_curr_ops->pgrp_get();
        return 0;
    case LX_P_PIDFD:
        if (upid < 0)
            return -EINVAL;
        ret = fdtable_lookup_get(t->curr.files, upid, &f);
        if (ret < 0)
            return ret;
        rq->which = WAIT_PID;
        rq->pid = pid_get(pidfd_pid(f));
        if (file_nonblock(f))
            rq->options |= LX_WNOHANG;
        file_put(f);
        return rq->pid ? 0 : -EBADF;
    default:
        return -EINVAL;
    }
}

long sys_waitid(struct task *t, int which, lx_pid_t upid, uaddr_t infop, int options, uaddr_t ru)
{
    struct wait_request rq = {.options = options};
    struct lx_siginfo info = {0};
    struct wait_result res;
    bool nonblock;
    long ret;

    if (options & ~(LX_WNOHANG | LX_WNOWAIT | LX_WEXITED | LX_WSTOPPED | LX_WCONTINUED |
                    LX___WNOTHREAD | LX___WCLONE | LX___WALL))
        return -EINVAL;
    if (!(options & (LX_WEXITED | LX_WSTOPPED | LX_WCONTINUED)))
        return -EINVAL;
    ret = waitid_target(t, which, upid, &rq);
    if (ret < 0)
        return ret;
    nonblock = (rq.options & LX_WNOHANG) && !(options & LX_WNOHANG);
    ret = wait_and_put(t, &rq, &res);
    if (ret == 0 && res.pid == 0 && nonblock)
        return -EAGAIN;
    if (ret < 0)
        return ret;
    if (res.pid && ru && put_user(&res.rusage, ru) < 0)
        return -EFAULT;
    if (!infop)
        return 0;
    if (res.pid) {
        info.signo = LX_SIGCHLD;
        info.code = res.code;
        info.chld.pid = res.pid;
        info.chld.uid = res.uid;
        info.chld.status = res.code_status;
    }
    /* Linux writes these fields only and leaves the times alone. */
    if (copy_out(infop, &info, 12) < 0 ||
        copy_out(infop + offsetof(struct lx_siginfo, chld), &info.chld, 12) < 0)
        return -EFAULT;
    return 0;
}

/* ---- ids ------------------------------------------------------------------------------------ */

long sys_getpid(struct task *t)
{
    return pid_nr(t->curr.tgid);
}

long sys_gettid(struct task *t)
{
    return pid_nr(t->curr.tid);
}

long sys_getppid(struct task *t)
{
    return process_parent_nr(t);
}

long sys_setpgid(struct task *t, lx_pid_t pid, lx_pid_t pgid)
{
    return process_setpgid(t, pid, pgid);
}

long sys_getpgid(struct task *t, lx_pid_t pid)
{
    return process_getpgid(t, pid);
}

long sys_getpgrp(struct task *t)
{
    return process_getpgid(t, 0);
}

long sys_getsid(struct task *t, lx_pid_t pid)
{
    return process_getsid(t, pid);
}

long sys_setsid(struct task *t)
{
    return process_setsid(t);
}

long sys_set_tid_address(struct task *t, uaddr_t tidptr)
{
    task_set_clear_child_tid(t, tidptr);
    return pid_nr(t->curr.tid);
}

/* ---- pidfds --------------------------------------------------------------------------------- */

long sys_pidfd_open(struct task *t, lx_pid_t pid, uint32_t flags)
{
    struct task *target;
    struct pid *p;
    struct file *f;
    int ret;

    if (flags & ~(LX_O_NONBLOCK | LX_PIDFD_THREAD))
        return -EINVAL;
    if (pid <= 0)
        return -EINVAL;
    p = pidns_find_pid_get(t->curr.pidns, pid);
    if (!p)
        return -ESRCH;
    target = pid_task_get(p, flags & LX_PIDFD_THREAD ? PID_TID : PID_TGID);
    if (!target) {
        pid_put(p);
        return -EINVAL; /* a thread's id, not a process's */
    }
    task_put(target);
    ret = pidfd_create(p, flags, &f);
    pid_put(p);
    if (ret < 0)
        return ret;
    ret = fdtable_install_take(t->curr.files, f, 0, /*cloexec=*/true);
    if (ret < 0)
        file_put(f);
    return ret;
}

long sys_pidfd_getfd(struct task *t, int pidfd, int fd, uint32_t flags)
{
    struct fdtable *files = NULL;
    struct file *pf, *f = NULL;
    struct task *target;
    struct pid *p;
    int ret;

    if (flags)
        return -EINVAL;
    ret = fdtable_lookup_get(t->curr.files, pidfd, &pf);
    if (ret < 0)
        return ret;
    p = pidfd_pid(pf);
    target = p ? pid_task_get(p, PID_TID) : NULL;
    ret = p ? -ESRCH : -EBADF;
    if (!target)
        goto out;
    ret = task_ptrace_may_access(target, LX_PTRACE_MODE_ATTACH);
    if (ret < 0)
        goto out;
    files = task_files_get(target);
    ret = files ? fdtable_lookup_any_get(files, fd, &f) : -EBADF;
    if (ret < 0)
        goto out;
    ret = fdtable_install_take(t->curr.files, f, 0, /*cloexec=*/true);
    if (ret < 0)
        file_put(f);
out:
    if (files)
        fdtable_put(files);
    task_put(target);
    file_put(pf);
    return ret;
}

/* Whom the flags of pidfd_send_signal(2) mean: one at most. */
static int signal_scope(uint32_t flags, enum pid_kind *out)
{
    switch (flags) {
    case 0:
    case LX_PIDFD_SIGNAL_THREAD_GROUP:
        *out = PID_TGID;
        return 0;
    case LX_PIDFD_SIGNAL_THREAD:
        *out = PID_TID;
        return 0;
    case LX_PIDFD_SIGNAL_PROCESS_GROUP:
        *out = PID_PGRP;
        return 0;
    default:
        return -EINVAL;
    }
}

long sys_pidfd_send_signal(struct task *t, int pidfd, int sig, uaddr_t uinfo, uint32_t flags)
{
    struct lx_siginfo info;
    enum pid_kind kind;
    struct file *f;
    struct pid *p;
    long ret = signal_scope(flags, &kind);

    if (ret < 0)
        return ret;
    ret = fdtable_lookup_get(t->curr.files, pidfd, &f);
    if (ret < 0)
        return ret;
    p = pidfd_pid(f);
    if (p && flags == 0 && pidfd_is_thread(f))
        kind = PID_TID;
    if (!p)
        p = procfs_dir_pid(f);
    ret = -EBADF;
    if (!p)
        goto out;
    if (uinfo) {
        ret = get_user(&info, uinfo);
        if (ret < 0)
            goto out;
        ret = -EINVAL;
        if (info.signo != sig)
            goto out;
        /* Only to itself may a process claim to be the kernel or kill(2). */
        ret = -EPERM;
        if ((p != t->curr.tgid || kind == PID_PGRP) && (info.code >= 0 || info.code == LX_SI_TKILL))
            goto out;
    } else {
        signal_info_user(&info, sig, LX_SI_USER);
    }
    ret = signal_pid(p, kind, sig, &info, /*check=*/true);
out:
    file_put(f);
    return ret;
}

/* ---- comparing ------------------------------------------------------------------------------ */

enum { KCMP_FILE, KCMP_VM, KCMP_FILES, KCMP_FS, KCMP_SIGHAND, KCMP_IO, KCMP_SYSVSEM };

static int order(const void *a, const void *b)
{
    return a == b ? 0 : (uintptr_t)a < (uintptr_t)b ? 1 : 2;
}

static long kcmp_files(struct task *a, struct task *b, uint64_t fd1, uint64_t fd2)
{
    struct fdtable *ta = task_files_get(a), *tb = task_files_get(b);
    struct file *fa = NULL, *fb = NULL;
    long ret = -EBADF;

    if (ta && tb && fd1 <= INT32_MAX && fd2 <= INT32_MAX &&
        fdtable_lookup_any_get(ta, (int)fd1, &fa) == 0 &&
        fdtable_lookup_any_get(tb, (int)fd2, &fb) == 0)
        ret = order(fa, fb);
    if (fa)
        file_put(fa);
    if (fb)
        file_put(fb);
    if (ta)
        fdtable_put(ta);
    if (tb)
        fdtable_put(tb);
    return ret;
}

long sys_kcmp(struct task *t, lx_pid_t pid1, lx_pid_t pid2, int type, uint64_t idx1, uint64_t idx2)
{
    struct task *a = task_find_get(pid1), *b = task_find_get(pid2);
    long ret = -ESRCH;

    (void)t;
    if (!a || !b)
        goto out;
    ret = task_ptrace_may_access(a, LX_PTRACE_MODE_READ);
    if (ret == 0)
        ret = task_ptrace_may_access(b, LX_PTRACE_MODE_READ);
    if (ret < 0) {
        ret = -EPERM;
        goto out;
    }
    switch (type) {
    case KCMP_FILE:
        ret = kcmp_files(a, b, idx1, idx2);
        break;
    case KCMP_VM:
        ret = order(a->curr.mm, b->curr.mm);
        break;
    case KCMP_FILES:
        ret = order(a->curr.files, b->curr.files);
        break;
    case KCMP_FS:
        ret = order(a->curr.fs, b->curr.fs);
        break;
    case KCMP_SIGHAND:
    case KCMP_IO:
        ret = order(a->tg, b->tg);
        break;
    case KCMP_SYSVSEM: /* Linux: the undo lists, which there are from the first SEM_UNDO on */
        ret = order(sysv_sem_undo_used(a) ? a->tg : NULL, sysv_sem_undo_used(b) ? b->tg : NULL);
        break;
    default:
        ret = -EINVAL;
        break;
    }
out:
    task_put(a);
    task_put(b);
    return ret;
}
