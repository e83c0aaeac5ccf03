/* SPDX-License-Identifier: Apache-2.0 */
/* Process groups and sessions: setpgid(2), setsid(2), credentials(7). */
#include <errno.h>
#include <stdlib.h>

#include "sentry/abi/resource.h"
#include "sentry/kernel/kernel_internal.h"
#include "sentry/kernel/process.h"

lx_pid_t process_parent_nr(struct task *t)
{
    struct task *parent;
    lx_pid_t nr;

    mutex_lock(&g_taskset.lock);
    parent = t->tg->leader->k->real_parent;
    nr = parent ? pid_nr_in(parent->curr.tgid, t->curr.pidns) : 0;
    mutex_unlock(&g_taskset.lock);
    return nr;
}

/* Moves a leader to another group or session; the old pid's number goes when nobody is left. */
static void move_locked(struct task *leader, enum pid_kind kind, struct pid **slot, struct pid *to,
                        struct pid **out_put)
{
    task_detach_pid_locked(leader, kind);
    task_attach_pid_locked(leader, kind, to);
    *out_put = *slot;
    *slot = pid_get(to);
    kernel_pid_release_locked(*out_put);
}

int process_setpgid(struct task *t, lx_pid_t pid, lx_pid_t pgid)
{
    struct pidns *ns = t->curr.pidns;
    struct pid *p, *group, *old = NULL;
    struct task *self = t->tg->leader, *target;
    int ret;

    if (!pid)
        pid = pid_nr(t->curr.tgid);
    if (!pgid)
        pgid = pid;
    if (pgid < 0)
        return -EINVAL;
    mutex_lock(&g_taskset.lock);
    ret = -ESRCH;
    p = pidns_find_locked(ns, pid);
    if (!p || list_empty(&p->tasks[PID_TID]))
        goto out;
    target = pid_task_locked(p, PID_TID);
    ret = -EINVAL;
    if (!task_is_leader(target))
        goto out;
    if (target->k->real_parent && target->k->real_parent->tg == t->tg) {
        ret = -EPERM;
        if (target->tg->session != t->tg->session)
            goto out;
        ret = -EACCES;
        if (target->tg->flags & GROUP_DID_EXEC)
            goto out;
    } else {
        ret = -ESRCH;
        if (target != self)
            goto out;
    }
    ret = -EPERM;
    if (target->tg->flags & GROUP_SESSION_LEADER)
        goto out;
    group = target->curr.tgid;
    if (pgid != pid) {
        struct task *member;

        group = pidns_find_locked(ns, pgid);
        member = group ? pid_task_locked(group, PID_PGRP) : NULL;
        if (!member || member->tg->session != t->tg->session)
            goto out;
    }
    ret = 0;
    if (target->tg->pgrp != group)
        move_locked(target, PID_PGRP, &target->tg->pgrp, group, &old);
out:
    mutex_unlock(&g_taskset.lock);
    pid_put(old);
    return ret;
}

static long get_group_nr(struct task *t, lx_pid_t pid, bool session)
{
    struct task *target = t;
    struct pid *p;
    long ret = -ESRCH;

    mutex_lock(&g_taskset.lock);
    if (pid) {
        p = pidns_find_locked(t->curr.pidns, pid);
        target = p ? pid_task_locked(p, PID_TID) : NULL;
    }
    if (target)
        ret = pid_nr(session ? target->tg->session : target->tg->pgrp);
    mutex_unlock(&g_taskset.lock);
    return ret;
}

long process_getpgid(struct task *t, lx_pid_t pid)
{
    return get_group_nr(t, pid, false);
}

long process_getsid(struct task *t, lx_pid_t pid)
{
    return get_group_nr(t, pid, true);
}

long process_setsid(struct task *t)
{
    struct thread_group *tg = t->tg;
    struct pid *id, *old_group = NULL, *old_session = NULL;
    long ret = -EPERM;

    mutex_lock(&g_taskset.lock);
    id = tg->leader->curr.tgid;
    if ((tg->flags & GROUP_SESSION_LEADER) || pid_task_locked(id, PID_PGRP))
        goto out;
    atomic_fetch_or(&tg->flags, GROUP_SESSION_LEADER);
    move_locked(tg->leader, PID_SID, &tg->session, id, &old_session);
    move_locked(tg->leader, PID_PGRP, &tg->pgrp, id, &old_group);
    ret = pid_nr(id);
out:
    mutex_unlock(&g_taskset.lock);
    pid_put(old_group);
    pid_put(old_session);
    return ret;
}

void process_set_subreaper(struct task *t, bool on)
{
    if (!on) {
        atomic_fetch_and(&t->tg->flags, ~GROUP_SUBREAPER);
        return;
    }
    atomic_fetch_or(&t->tg->flags, GROUP_SUBREAPER);
    /* Descendants that exist already need the mark too; it only makes a search worthwhile. */
    mutex_lock(&g_taskset.lock);
    {
        struct thread_group *tg;

        list_for_each_entry(tg, &g_processes, all_node) {
            for (struct task *up = tg->leader->k->real_parent; up;
                 up = up->tg->leader->k->real_parent)
                if (up->tg == t->tg) {
                    atomic_fetch_or(&tg->flags, GROUP_HAS_SUBREAPER);
                    break;
                }
        }
    }
    mutex_unlock(&g_taskset.lock);
}

bool process_is_subreaper(struct task *t)
{
    return t->tg->flags & GROUP_SUBREAPER;
}

bool process_is_single_threaded(struct task *t)
{
    return t->tg->thread_count == 1;
}

void process_exit_thread(struct task *t, int status)
{
    t->k->exit_code = status;
    t->k->die = true;
    atomic_fetch_or(&t->curr.sleeper.interrupt, SLEEP_INTERRUPT_SIGNAL);
}

/* ---- iteration for priorities ---------------------------------------------------------------- */

static bool user_matches(struct task *t, lx_uid_t kuid)
{
    bool same;

    mutex_lock(&t->lock);
    same = t->curr.cred->ruid == kuid;
    mutex_unlock(&t->lock);
    return same;
}

int process_for_each(struct task *self, int which, lx_pid_t who, bool threads,
                     void (*fn)(struct task *t, void *arg), void *arg)
{
    struct thread_group *tg;
    struct task *t;
    struct pid *p;
    lx_uid_t kuid;
    int count = 0;

    mutex_lock(&g_taskset.lock);
    switch (which) {
    case LX_PRIO_PROCESS:
        p = who ? pidns_find_locked(self->curr.pidns, who) : self->curr.tid;
        t = p ? pid_task_locked(p, PID_TID) : NULL;
        if (t) {
            fn(t, arg);
            count++;
        }
        break;
    case LX_PRIO_PGRP:
        p = who ? pidns_find_locked(self->curr.pidns, who) : self->tg->pgrp;
        list_for_each_entry(tg, &g_processes, all_node) {
            if (!p || tg->pgrp != p)
                continue;
            for_each_thread_locked(t, tg)
            {
                fn(t, arg);
                count++;
                if (!threads)
                    break;
            }
        }
        break;
    default:
        kuid = who ? userns_to_kuid(self->curr.cred->userns, (lx_uid_t)who) : self->curr.cred->ruid;
        list_for_each_entry(tg, &g_processes, all_node) {
            for_each_thread_locked(t, tg)
            {
                if (!user_matches(t, kuid) || !pid_nr_in(t->curr.tid, self->curr.pidns))
                    continue;
                fn(t, arg);
                count++;
            }
        }
        break;
    }
    mutex_unlock(&g_taskset.lock);
    return count;
}

void process_exit_group(struct task *t, int status)
{
    task_group_exit(t, status);
    atomic_fetch_or(&t->curr.sleeper.interrupt, SLEEP_INTERRUPT_SIGNAL);
}
