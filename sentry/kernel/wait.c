/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Waiting for children. The waiter sits on its process's child_wq, which every state change of a
 * child wakes; what is there to report is found by looking through the children, then the tracees,
 * under the taskset lock, so a report is given out once.
 *
 * A tracee of another process than its parent's is the tracer's to wait for first: a zombie is
 * hidden from the parent until the tracer has seen it. Traced by its own parent's process, it is
 * looked at as a tracee only, so that one stop is not told twice.
 */
#include "sentry/kernel/wait.h"

#include <errno.h>

#include "sentry/abi/wait.h"
#include "sentry/kernel/kernel_internal.h"
#include "sentry/kernel/rusage.h"

static bool eligible(struct task *child, const struct wait_request *rq, bool as_tracee)
{
    switch (rq->which) {
    case WAIT_ANY:
        break;
    case WAIT_PID:
        if (!rq->pid || child->curr.tid != rq->pid)
            return false;
        break;
    case WAIT_PGRP:
        if (!rq->pid || child->tg->pgrp != rq->pid)
            return false;
        break;
    }
    if (as_tracee || (rq->options & LX___WALL))
        return true;
    /* "Clone children" are those that report with another signal than SIGCHLD. */
    return (child->k->exit_signal != LX_SIGCHLD) == !!(rq->options & LX___WCLONE);
}

static void fill_common(struct task *child, struct wait_result *out)
{
    const struct curr *c = curr();
    lx_uid_t uid;

    mutex_lock(&child->lock);
    uid = child->curr.cred->ruid;
    mutex_unlock(&child->lock);
    out->pid = pid_nr_in(child->curr.tid, c->pidns);
    out->uid = userns_from_kuid(c->cred->userns, uid);
    rusage_both_locked(child->tg, &out->rusage);
}

static void inherit_usage_locked(struct thread_group *parent, struct thread_group *child)
{
    struct cpu_times own = group_cpu_times_locked(child);

    parent->children.utime += own.utime + child->children.utime;
    parent->children.stime += own.stime + child->children.stime;
    parent->child_minflt += child->dead_minflt + child->child_minflt;
    parent->child_nvcsw += child->dead_nvcsw + child->child_nvcsw;
    parent->child_nivcsw += child->dead_nivcsw + child->child_nivcsw;
    parent->child_maxrss = MAX(parent->child_maxrss, MAX(child->maxrss, child->child_maxrss));
}

static void report_zombie(struct task *self, struct task *child, int options,
                          struct wait_result *out, struct list *dead)
{
    int status = task_exit_status_locked(child);

    fill_common(child, out);
    out->status = status;
    if (status & 0x7f) {
        out->code = status & 0x80 ? LX_CLD_DUMPED : LX_CLD_KILLED;
        out->code_status = status & 0x7f;
    } else {
        out->code = LX_CLD_EXITED;
        out->code_status = (status >> 8) & 0xff;
    }
    if (options & LX_WNOWAIT)
        return;
    if (task_is_leader(child) && ptrace_is_traced(child) && ptrace_reparented_locked(child)) {
        /* The tracer has seen it; now it is the parent's. */
        ptrace_unlink_locked(child);
        if (task_notify_parent_locked(child))
            task_reap_locked(child, dead);
        return;
    }
    if (task_is_leader(child))
        inherit_usage_locked(self->tg, child->tg);
    task_reap_locked(child, dead);
}

/* A stop that is for the tracer. */
static bool report_trap(struct task *child, int options, struct wait_result *out)
{
    struct ptrace_state *pt = &child->k->pt;
    int code = 0;

    mutex_lock(&child->tg->lock);
    if (pt->stopped && !pt->listening && !pt->resumed) {
        code = pt->code;
        if (!(options & LX_WNOWAIT))
            pt->code = 0;
    }
    mutex_unlock(&child->tg->lock);
    if (!code)
        return false;
    fill_common(child, out);
    out->status = code << 8 | 0x7f;
    out->code = LX_CLD_TRAPPED;
    out->code_status = code;
    return true;
}

static bool report_stop(struct task *child, int options, struct wait_result *out)
{
    struct thread_group *tg = child->tg;
    int signo = 0;

    mutex_lock(&tg->lock);
    if ((tg->flags & GROUP_STOPPED) && tg->exit_code && !(tg->flags & GROUP_EXIT)) {
        signo = tg->exit_code;
        if (!(options & LX_WNOWAIT))
            tg->exit_code = 0;
    }
    mutex_unlock(&tg->lock);
    if (!signo)
        return false;
    fill_common(child, out);
    out->status = signo << 8 | 0x7f;
    out->code = LX_CLD_STOPPED;
    out->code_status = signo;
    return true;
}

static bool report_continue(struct task *child, int options, struct wait_result *out)
{
    struct thread_group *tg = child->tg;
    bool is;

    mutex_lock(&tg->lock);
    is = (tg->flags & GROUP_CONTINUED) && !(tg->flags & GROUP_EXIT);
    if (is && !(options & LX_WNOWAIT))
        atomic_fetch_and(&tg->flags, ~GROUP_CONTINUED);
    mutex_unlock(&tg->lock);
    if (!is)
        return false;
    fill_common(child, out);
    out->status = 0xffff;
    out->code = LX_CLD_CONTINUED;
    out->code_status = LX_SIGCONT;
    return true;
}

/* 1 reported, 0 something may still come of it, -ECHILD no: it is a zombie, and that is not asked for. */
static int consider(struct task *self, struct task *child, const struct wait_request *rq,
                    bool as_tracee, struct wait_result *out, struct list *dead)
{
    bool zombie = child->k->exit_state == TASK_ZOMBIE;

    if (zombie && !(task_is_leader(child) && child->tg->thread_count > 1) &&
        (as_tracee || !ptrace_is_traced(child))) {
        if (!(rq->options & LX_WEXITED))
            return -ECHILD;
        report_zombie(self, child, rq->options, out, dead);
        return 1;
    }
    if (as_tracee ? report_trap(child, rq->options, out)
                  : (rq->options & LX_WSTOPPED) && report_stop(child, rq->options, out))
        return 1;
    if ((rq->options & LX_WCONTINUED) && report_continue(child, rq->options, out))
        return 1;
    /* The other threads of a zombie's process stop for its parent, not for its tracer. */
    return zombie && as_tracee && !(rq->options & (LX_WCONTINUED | LX_WEXITED)) ? -ECHILD : 0;
}

static int scan_children(struct task *self, struct task *parent, const struct wait_request *rq,
                         struct wait_result *out, struct list *dead)
{
    int ret = -ECHILD, one;
    struct list *it;

    list_for_each(it, &parent->k->children) {
        struct task *child = list_entry(it, struct ktask_private, sibling)->self;
        bool as_tracee = ptrace_is_traced(child) && !ptrace_reparented_locked(child);

        if (!eligible(child, rq, /*as_tracee=*/false))
            continue;
        one = consider(self, child, rq, as_tracee, out, dead);
        ret = MAX(ret, one);
        if (ret > 0)
            break;
    }
    return ret;
}

static int scan_tracees(struct task *self, struct task *tracer, const struct wait_request *rq,
                        struct wait_result *out, struct list *dead)
{
    int ret = -ECHILD, one;
    struct list *it;

    list_for_each(it, &tracer->k->pt.tracees) {
        struct task *child = list_entry(it, struct ktask_private, pt.node)->self;

        if (!eligible(child, rq, /*as_tracee=*/true))
            continue;
        one = consider(self, child, rq, /*as_tracee=*/true, out, dead);
        ret = MAX(ret, one);
        if (ret > 0)
            break;
    }
    return ret;
}

/* One look at all of them: 1 reported, 0 nothing yet, -ECHILD nobody could ever match. */
static int scan(struct task *self, const struct wait_request *rq, struct wait_result *out,
                struct list *dead)
{
    int ret = -ECHILD, one;
    struct task *parent;

    mutex_lock(&g_taskset.lock);
    for_each_thread_locked(parent, self->tg)
    {
        if ((rq->options & LX___WNOTHREAD) && parent != self)
            continue;
        one = scan_children(self, parent, rq, out, dead);
        ret = MAX(ret, one);
        if (ret <= 0) {
            one = scan_tracees(self, parent, rq, out, dead);
            ret = MAX(ret, one);
        }
        if (ret > 0)
            break;
    }
    mutex_unlock(&g_taskset.lock);
    return ret;
}

int task_wait_child(struct task *t, const struct wait_request *rq, struct wait_result *out)
{
    struct list dead = LIST_INIT(dead);
    struct waiter w;
    int ret, slept = 0;

    *out = (struct wait_result){0};
    ret = scan(t, rq, out, &dead);
    if (ret != 0 || (rq->options & LX_WNOHANG))
        goto done;
    waiter_init(&w, WAKE_ALL);
    waitq_add(&t->tg->child_wq, &w);
    for (;;) {
        ret = scan(t, rq, out, &dead);
        if (ret != 0)
            break;
        /* After the look: the child whose SIGCHLD ended the sleep is reported first. */
        if (slept < 0) {
            ret = slept;
            break;
        }
        slept = task_block(NO_DEADLINE);
    }
    waitq_remove(&t->tg->child_wq, &w);
done:
    task_free_list(&dead);
    return ret < 0 ? ret : 0;
}
