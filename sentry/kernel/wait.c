/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Waiting for children. The waiter sits on its process's child_wq, which every state change of a
 * child wakes; what is there to report is found by looking through the children under the taskset
 * lock, so a report is given out once.
 */
#include "sentry/kernel/wait.h"

#include <errno.h>

#include "sentry/abi/wait.h"
#include "sentry/kernel/kernel_internal.h"
#include "sentry/kernel/rusage.h"

static bool eligible(struct task *child, const struct wait_request *rq)
{
    switch (rq->which) {
    case WAIT_ANY:
        break;
    case WAIT_PID:
        if (!rq->pid || child->curr.tgid != rq->pid)
            return false;
        break;
    case WAIT_PGRP:
        if (!rq->pid || child->tg->pgrp != rq->pid)
            return false;
        break;
    }
    if (rq->options & LX___WALL)
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
    out->pid = pid_nr_in(child->curr.tgid, c->pidns);
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

static bool report_zombie(struct task *self, struct task *child, int options,
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
    if (!(options & LX_WNOWAIT)) {
        inherit_usage_locked(self->tg, child->tg);
        task_zombie_reap_locked(child, dead);
    }
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

static bool consider(struct task *self, struct task *child, const struct wait_request *rq,
                     struct wait_result *out, struct list *dead)
{
    if (child->k->exit_state == TASK_ZOMBIE && child->tg->thread_count == 1)
        return (rq->options & LX_WEXITED) && report_zombie(self, child, rq->options, out, dead);
    if ((rq->options & LX_WSTOPPED) && report_stop(child, rq->options, out))
        return true;
    return (rq->options & LX_WCONTINUED) && report_continue(child, rq->options, out);
}

/* One look at all children: 1 reported, 0 nothing yet, -ECHILD nobody could ever match. */
static int scan(struct task *self, const struct wait_request *rq, struct wait_result *out,
                struct list *dead)
{
    int ret = -ECHILD;
    struct task *parent;
    struct list *it;

    mutex_lock(&g_taskset.lock);
    for_each_thread_locked(parent, self->tg)
    {
        if ((rq->options & LX___WNOTHREAD) && parent != self)
            continue;
        list_for_each(it, &parent->k->children) {
            struct task *child = list_entry(it, struct ktask_private, sibling)->self;

            if (!eligible(child, rq))
                continue;
            ret = 0;
            if (consider(self, child, rq, out, dead)) {
                ret = 1;
                goto out;
            }
        }
    }
out:
    mutex_unlock(&g_taskset.lock);
    return ret;
}

int task_wait_child(struct task *t, const struct wait_request *rq, struct wait_result *out)
{
    struct list dead = LIST_INIT(dead);
    struct waiter w;
    int ret;

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
        ret = task_block(NO_DEADLINE);
        if (ret < 0)
            break;
    }
    waitq_remove(&t->tg->child_wq, &w);
done:
    task_free_list(&dead);
    return ret < 0 ? ret : 0;
}
