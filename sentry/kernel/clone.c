/* SPDX-License-Identifier: Apache-2.0 */
/*
 * New tasks. Everything that may fail happens on a private struct that nobody else can see; then
 * the task is published under the taskset lock in one step that cannot fail on the guest's account,
 * and its host thread, which was started before and waits at its gate, is let go.
 */
#include "sentry/kernel/clone.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sentry/fs/vfs.h"
#include "sentry/kernel/cgroup_internal.h"
#include "sentry/kernel/kernel_internal.h"
#include "sentry/kernel/keys.h"
#include "sentry/kernel/namespace.h"
#include "sentry/kernel/seccomp.h"
#include "sentry/mm/mm.h"
#include "sentry/mm/uaccess.h"

_Atomic uint64_t g_fork_count;

#define EFLAGS_TF 0x100ul

static int check_flags(struct task *t, const struct clone_request *rq)
{
    uint64_t f = rq->flags;

    if ((f & (LX_CLONE_NEWNS | LX_CLONE_FS)) == (LX_CLONE_NEWNS | LX_CLONE_FS) ||
        (f & (LX_CLONE_NEWUSER | LX_CLONE_FS)) == (LX_CLONE_NEWUSER | LX_CLONE_FS))
        return -EINVAL;
    if ((f & LX_CLONE_THREAD) && !(f & LX_CLONE_SIGHAND))
        return -EINVAL;
    if ((f & LX_CLONE_SIGHAND) && !(f & LX_CLONE_VM))
        return -EINVAL;
    if ((f & LX_CLONE_PARENT) && (t->tg->flags & GROUP_UNKILLABLE))
        return -EINVAL;
    if ((f & LX_CLONE_THREAD) && ((f & (LX_CLONE_NEWUSER | LX_CLONE_NEWPID)) ||
                                  (t->k->child_pidns && t->k->child_pidns != t->curr.pidns)))
        return -EINVAL;
    if ((f & LX_CLONE_PIDFD) && (f & LX_CLONE_DETACHED))
        return -EINVAL;
    if ((f & (LX_CLONE_NEWIPC | LX_CLONE_SYSVSEM)) == (LX_CLONE_NEWIPC | LX_CLONE_SYSVSEM))
        return -EINVAL;
    return 0;
}

/* ---- the private struct --------------------------------------------------------------------- */

static int new_group(struct task *t, struct task *child, const struct clone_request *rq)
{
    struct thread_group *tg = child->tg, *old = t->tg;
    int ret = 0;

    if (rq->flags & LX_CLONE_SIGHAND)
        tg->sighand = sighand_get(old->sighand);
    else
        ret = sighand_new(old->sighand, &tg->sighand);
    if (ret < 0)
        return ret;
    if (rq->flags & LX_CLONE_CLEAR_SIGHAND)
        signal_flush_handlers(child);
    mutex_lock(&old->limits_lock);
    memcpy(tg->rlim, old->rlim, sizeof(tg->rlim));
    mutex_unlock(&old->limits_lock);
    tg->oom_score_adj = old->oom_score_adj;
    atomic_store(&tg->core_filter, atomic_load(&old->core_filter));
    tg->container = kcontainer_get(old->container);
    if (old->flags & (GROUP_SUBREAPER | GROUP_HAS_SUBREAPER))
        tg->flags = GROUP_HAS_SUBREAPER;
    tg->leader = child;
    return 0;
}

static int copy_cred(struct task *t, struct task *child, uint64_t flags)
{
    struct ktask_private *k = child->k;
    struct userns *ns;
    int ret;

    if (flags & LX_CLONE_NEWUSER) {
        ret = userns_new(t->curr.cred, &ns);
        if (ret < 0)
            return ret;
        ret = cred_enter_userns(t->curr.cred, ns, &child->curr.cred);
        userns_put(ns);
        if (ret < 0)
            return ret;
    } else {
        child->curr.cred = cred_get(t->curr.cred);
    }
    k->user = user_get(t->k->user);
    if (atomic_fetch_add(&k->user->tasks, 1) >= task_rlimit_cur(t, LX_RLIMIT_NPROC) &&
        t->curr.cred->ruid != 0 && !cred_capable(t->curr.cred, LX_CAP_SYS_RESOURCE) &&
        !cred_capable(t->curr.cred, LX_CAP_SYS_ADMIN))
        return -EAGAIN;
    return 0;
}

static void copy_small_state(struct task *t, struct task *child, const struct clone_request *rq)
{
    struct ktask_private *k = child->k, *from = t->k;

    memcpy(child->comm, t->comm, sizeof(child->comm));
    child->regs = *task_regs(t);
    child->regs.rax = 0;
    child->regs.orig_rax = (uint64_t)-1;
    if (from->pt.forced_tf)
        child->regs.eflags &= ~EFLAGS_TF;
    if (rq->stack)
        child->regs.rsp = rq->stack;
    if (rq->flags & LX_CLONE_SETTLS)
        child->regs.fs_base = rq->tls;
    k->blocked = from->restore_mask ? from->saved_mask : from->blocked;
    if ((rq->flags & (LX_CLONE_VM | LX_CLONE_VFORK)) != LX_CLONE_VM)
        k->altstack = from->altstack;
    k->exit_signal = rq->flags & LX_CLONE_THREAD ? -1 : rq->exit_signal;
    if (rq->flags & LX_CLONE_CHILD_SETTID)
        k->set_child_tid = rq->child_tid;
    if (rq->flags & LX_CLONE_CHILD_CLEARTID)
        k->clear_child_tid = rq->child_tid;
    k->personality = from->personality;
    k->loginuid = from->loginuid;
    k->sessionid = from->sessionid;
    k->thp_disable = from->thp_disable;
    k->io_flusher = from->io_flusher;
    k->start_boottime = clock_boottime();
    k->timer_slack = k->timer_slack_default = from->timer_slack;
    keys_fork(child, rq->flags & LX_CLONE_THREAD);
    k->reqkey_default = from->reqkey_default;
    mutex_lock(&t->lock);
    memcpy(k->affinity, from->affinity, sizeof(k->affinity));
    k->ioprio = from->ioprio;
    if (from->reset_on_fork) {
        k->nice = from->nice < 0 ? 0 : from->nice;
    } else {
        k->policy = from->policy;
        k->rt_priority = from->rt_priority;
        k->nice = from->nice;
    }
    mutex_unlock(&t->lock);
}

static int copy_objects(struct task *t, struct task *child, const struct clone_request *rq)
{
    struct curr *c = &child->curr;
    struct namespace_set ns;
    int ret;

    if (rq->flags & LX_CLONE_FILES)
        c->files = fdtable_get(t->curr.files);
    else if ((ret = fdtable_copy(t->curr.files, INT32_MAX, &c->files)) < 0)
        return ret;
    if (rq->flags & LX_CLONE_FS)
        c->fs = fs_ctx_get(t->curr.fs);
    else if ((ret = fs_ctx_copy(t->curr.fs, &c->fs)) < 0)
        return ret;
    if (rq->flags & LX_CLONE_VM)
        c->mm = mm_use_get(t->curr.mm);
    else if ((ret = mm_fork(t->curr.mm, t->ctx, task_regs(t)->rsp, &c->mm)) < 0)
        return ret;
    ret = namespace_set_copy(&t->curr, rq->flags, c->cred, c->fs, &ns);
    if (ret < 0)
        return ret;
    c->mntns = ns.mntns;
    c->netns = ns.netns;
    c->ipcns = ns.ipcns;
    c->utsns = ns.utsns;
    c->cgroupns = ns.cgroupns;
    c->timens = ns.timens;
    c->child_timens = ns.child_timens;
    return rq->flags & LX_CLONE_VM ? 0 : task_enter_child_timens(child);
}

static int new_pid(struct task *t, struct task *child, const struct clone_request *rq)
{
    struct pidns *base = t->k->child_pidns ? t->k->child_pidns : t->curr.pidns;
    struct curr *c = &child->curr;
    int ret;

    if (rq->flags & LX_CLONE_NEWPID)
        ret = pidns_new(base, c->cred->userns, &c->pidns);
    else
        ret = (c->pidns = pidns_get(base), 0);
    if (ret < 0)
        return ret;
    ret = pid_new(c->pidns, rq->set_tid, rq->set_tid_count, &c->tid);
    if (ret < 0)
        return ret;
    c->tgid = pid_get(rq->flags & LX_CLONE_THREAD ? t->curr.tgid : c->tid);
    return 0;
}

/* A task that was never published. */
static void discard(struct task *child, bool thread_started)
{
    mutex_lock(&g_taskset.lock);
    if (child->curr.tid)
        pid_unhash_locked(child->curr.tid);
    mutex_unlock(&g_taskset.lock);
    task_drop_resources(child, /*group_dead=*/false);
    if (thread_started)
        task_thread_abort(child);
    task_put(child);
}

/* cg: the group to start in, NULL: the caller's. */
static int join_cgroup(struct task *t, struct task *child, struct kcgroup *cg)
{
    struct kcgroup *own = cg ? cgroup_get(cg) : task_cgroup_get(t);
    int ret = cgroup_task_charge(child, own);

    if (ret == 0)
        memcg_task_set(&child->curr, cgroup_memcg(own));
    cgroup_put(own);
    return ret;
}

static int build(struct task *t, const struct clone_request *rq, struct kcgroup *cg,
                 struct task **out)
{
    struct task *child;
    int ret = task_alloc(&child);

    if (ret < 0)
        return ret;
    if (rq->flags & LX_CLONE_THREAD) {
        child->tg = thread_group_get(t->tg);
        /* Linux: an undo list that is to be shared is made now. */
        if (rq->flags & LX_CLONE_SYSVSEM)
            atomic_store(&t->tg->sem_undo, true);
    } else {
        ret = thread_group_new(&child->tg);
        if (ret < 0) {
            task_put(child);
            return ret;
        }
        ret = new_group(t, child, rq);
        if (ret < 0)
            goto fail;
    }
    ret = copy_cred(t, child, rq->flags);
    if (ret < 0)
        goto fail;
    ret = join_cgroup(t, child, cg);
    if (ret < 0)
        goto fail;
    copy_small_state(t, child, rq);
    ret = copy_objects(t, child, rq);
    if (ret < 0)
        goto fail;
    ret = new_pid(t, child, rq);
    if (ret < 0)
        goto fail;
    ret = g_platform_ops->ctx_new(mm_space(child->curr.mm), rq->flags & LX_CLONE_VM ? t->ctx : NULL,
                                  &child->ctx);
    if (ret < 0)
        goto fail;
    cputime_guest_changed(child, /*gone=*/false);
    ret = g_platform_ops->ctx_xstate_copy(child->ctx, t->ctx);
    if (ret < 0)
        goto fail;
    rseq_fork(t, child);
    ret = task_thread_start(child);
    if (ret < 0)
        goto fail;
    *out = child;
    return 0;
fail:
    discard(child, /*thread_started=*/false);
    return ret;
}

/* ---- publication ---------------------------------------------------------------------------- */

/* Into the tables: parent is NULL for top-level processes. Caller holds the taskset lock; for a new
 * thread also the group's lock. */
void task_publish_locked(struct task *t, struct task *parent)
{
    struct thread_group *tg = t->tg;

    ASSERT_HELD(&g_taskset.lock);
    list_add_tail(&tg->threads, &t->k->tg_node);
    tg->thread_count++;
    tg->live++;
    task_attach_pid_locked(t, PID_TID, t->curr.tid);
    if (!task_is_leader(t))
        return;
    task_attach_pid_locked(t, PID_TGID, t->curr.tgid);
    task_attach_pid_locked(t, PID_PGRP, tg->pgrp);
    task_attach_pid_locked(t, PID_SID, tg->session);
    list_add_tail(&g_processes, &tg->all_node);
    kcontainer_add_process(tg->container, 1);
    t->k->real_parent = parent;
    if (parent)
        list_add_tail(&parent->k->children, &t->k->sibling);
    if (pid_nr_in(t->curr.tgid, t->curr.pidns) == 1 && !t->curr.pidns->reaper)
        t->curr.pidns->reaper = t;
}

/* child becomes a tracee too, and the tracer is told when the call is done. */
static void trace_child_locked(struct task *t, struct task *child, const struct clone_request *rq)
{
    int event = ptrace_clone_event(t, rq->flags, rq->exit_signal);
    struct ptrace_state *pt = &t->k->pt;

    if (likely(!pt->tracer))
        return;
    if (event || (rq->flags & LX_CLONE_PTRACE))
        ptrace_inherit_locked(t, child);
    pt->event = event;
    pt->event_message = (uint64_t)pid_nr_in(child->curr.tid, pt->tracer->curr.pidns);
    t->k->after_call = event != 0;
}

static int publish(struct task *t, struct task *child, const struct clone_request *rq,
                   struct kcgroup *cg)
{
    struct thread_group *tg = t->tg;
    struct task *parent = t;
    int ret = 0;

    mutex_lock(&g_taskset.lock);
    mutex_lock(&tg->lock);
    /* Signals that came while the copy was made: handle them first, then clone again, so that
     * parent and child agree on what was delivered before the fork. */
    if ((tg->flags & GROUP_EXIT) || t->k->exec_kill || signal_recalc_locked(t))
        ret = -ERESTARTNOINTR;
    else if (child->curr.pidns->dying)
        ret = -ENOMEM;
    if (ret == 0 && (rq->flags & LX_CLONE_THREAD))
        ret = cgroup_publish_locked(child, t, NULL);
    if (ret < 0) {
        mutex_unlock(&tg->lock);
        goto out;
    }
    /* With the lock of SECCOMP_FILTER_FLAG_TSYNC: a new thread is found by it or has its filters. */
    seccomp_inherit_locked(t, child);
    if (rq->flags & LX_CLONE_THREAD) {
        task_publish_locked(child, NULL);
        trace_child_locked(t, child, rq);
        mutex_unlock(&tg->lock);
        goto out;
    }
    mutex_unlock(&tg->lock);
    ret = cgroup_publish_locked(child, t, cg);
    if (ret < 0)
        goto out;
    child->tg->pgrp = pid_get(tg->pgrp);
    child->tg->session = pid_get(tg->session);
    if (rq->flags & LX_CLONE_PARENT) {
        parent = tg->leader->k->real_parent;
        child->k->exit_signal = tg->leader->k->exit_signal;
    }
    task_publish_locked(child, parent);
    trace_child_locked(t, child, rq);
    if (child->curr.pidns->reaper == child)
        atomic_fetch_or(&child->tg->flags, GROUP_UNKILLABLE);
out:
    mutex_unlock(&g_taskset.lock);
    return ret;
}

/* ---- clone ---------------------------------------------------------------------------------- */

static int vfork_prepare(struct task *t, struct task *child)
{
    struct vfork_done *v = calloc(1, sizeof(*v));

    if (!v)
        return -ENOMEM;
    refs_init(&v->refs);
    refs_get(&v->refs);
    v->parent = task_get(t);
    child->k->vfork = v;
    return 0;
}

/* True: the child is done with the caller's memory; false: the caller is being killed. */
static bool vfork_wait(struct task *t)
{
    struct vfork_done *v = t->k->vfork_wait;
    bool done;

    cgroup_set_parked(t, true);
    while (!(done = atomic_load(&v->done))) {
        if (task_block_killable(NO_DEADLINE) < 0)
            break;
    }
    cgroup_set_parked(t, false);
    t->k->vfork_wait = NULL;
    if (refs_put(&v->refs)) {
        task_put(v->parent);
        free(v);
    }
    return done;
}

void task_after_call(struct task *t)
{
    struct ktask_private *k = t->k;
    int event = k->pt.event;

    if (event) {
        k->pt.event = 0;
        ptrace_event(t, event, k->pt.event_message);
    }
    if (k->vfork_wait && vfork_wait(t))
        ptrace_event(t, LX_PTRACE_EVENT_VFORK_DONE, k->pt.event_message);
    k->after_call = false;
}

/* An fd for the child, reserved and told to the guest before the child exists for others. */
static int prepare_pidfd(struct task *t, struct task *child, uaddr_t where, struct file **out_file)
{
    int32_t fd;
    int ret = pidfd_create(child->curr.tid, child->tg == t->tg ? LX_PIDFD_THREAD : 0, out_file);

    if (ret < 0)
        return ret;
    fd = fdtable_reserve(t->curr.files, 0, /*cloexec=*/true);
    if (fd < 0) {
        ret = fd;
        goto put;
    }
    if (put_user(&fd, where) < 0) {
        fdtable_cancel(t->curr.files, fd);
        ret = -EFAULT;
        goto put;
    }
    return fd;
put:
    file_put(*out_file);
    *out_file = NULL;
    return ret;
}

/* Cheap look before the expensive copy; publish() decides. */
static bool signal_work_due(struct task *t)
{
    bool due;

    mutex_lock(&t->tg->lock);
    due = signal_recalc_locked(t);
    mutex_unlock(&t->tg->lock);
    return due;
}

/* The group of CLONE_INTO_CGROUP, +1. -EBADF, -ENOENT, -EACCES, -EOPNOTSUPP, -EBUSY. */
static int find_cgroup(struct task *t, const struct clone_request *rq, struct kcgroup **out)
{
    struct file *f;
    int ret;

    *out = NULL;
    if (!(rq->flags & LX_CLONE_INTO_CGROUP))
        return 0;
    ret = fdtable_lookup_any_get(t->curr.files, rq->cgroup_fd, &f);
    if (ret < 0)
        return ret;
    *out = g_cgroup_ops ? g_cgroup_ops->from_file(f) : NULL;
    file_put(f);
    if (!*out)
        return -EBADF;
    ret = cgroup_is_dead(*out) ? -ENOENT : 0;
    if (ret == 0)
        ret = cgroup_may_fork_into(t, *out, g_cgroup_ops->may_write_procs, NULL);
    if (ret == 0 && (rq->flags & LX_CLONE_THREAD)) {
        struct kcgroup *own = task_cgroup_get(t);

        if (own != *out)
            ret = -EOPNOTSUPP;
        cgroup_put(own);
    }
    if (ret < 0)
        cgroup_put(*out);
    return ret;
}

/* Where the group is out of memory, the OOM killer makes room first. */
static int build_with_memory(struct task *t, const struct clone_request *rq, struct kcgroup *cg,
                             struct task **out)
{
    int ret;

    memcg_oom_forget();
    do {
        ret = build(t, rq, cg, out);
    } while (ret == -ENOMEM && memcg_oom_retry());
    return ret;
}

static long clone_into(struct task *t, const struct clone_request *rq, struct kcgroup *cg)
{
    struct vfork_done *v = NULL;
    struct file *pidfd_file = NULL;
    struct task *child;
    int ret, fd = -1;
    lx_pid_t nr;

    ret = build_with_memory(t, rq, cg, &child);
    if (ret < 0)
        return ret;
    if (rq->flags & LX_CLONE_PIDFD) {
        fd = prepare_pidfd(t, child, rq->pidfd, &pidfd_file);
        if (fd < 0) {
            ret = fd;
            goto fail;
        }
    }
    if (rq->flags & LX_CLONE_VFORK) {
        ret = vfork_prepare(t, child);
        if (ret < 0)
            goto fail_fd;
        v = child->k->vfork;
    }
    nr = pid_nr(child->curr.tid);
    ret = publish(t, child, rq, cg);
    if (ret < 0)
        goto fail_fd;
    if (pidfd_file)
        fdtable_publish_take(t->curr.files, fd, pidfd_file);
    if (rq->flags & LX_CLONE_PARENT_SETTID)
        IGNORE_RESULT(
            put_user(&nr, rq->parent_tid)); /* Linux: the child exists, a bad address is ignored */
    atomic_fetch_add(&g_fork_count, 1);
    task_thread_go(child);
    if (v) {
        t->k->vfork_wait = v;
        t->k->after_call = true;
    }
    return nr;
fail_fd:
    if (v && refs_put(&v->refs))
        UNREACHABLE(); /* the child's own reference goes with the child */
    if (fd >= 0) {
        fdtable_cancel(t->curr.files, fd);
        file_put(pidfd_file);
    }
fail:
    discard(child, /*thread_started=*/true);
    return ret;
}

long task_clone(struct task *t, const struct clone_request *rq)
{
    struct kcgroup *cg;
    long ret = check_flags(t, rq);

    if (ret < 0)
        return ret;
    if (task_interrupted() && signal_work_due(t))
        return -ERESTARTNOINTR;
    ret = find_cgroup(t, rq, &cg);
    if (ret < 0)
        return ret;
    ret = clone_into(t, rq, cg);
    cgroup_put(cg);
    return ret;
}
