/* SPDX-License-Identifier: Apache-2.0 */
/* Who may signal whom, and signals to groups of processes: kill(2), pid_ops. */
#include "sentry/kernel/kernel_internal.h"

#include <errno.h>

#include "sentry/fs/security.h"
#include "sentry/fs/signalfd/signalfd.h"
#include "sentry/kernel/task_info.h"

void signal_info_user(struct lx_siginfo *info, int signo, int code)
{
    const struct curr *c = curr();

    *info = (struct lx_siginfo){.signo = signo, .code = code};
    info->rt.pid = pid_nr(c->tgid);
    info->rt.uid = userns_from_kuid(c->cred->userns, c->cred->ruid);
}

static bool cred_may_signal(const struct cred *from, const struct cred *to)
{
    return from->euid == to->suid || from->euid == to->ruid || from->ruid == to->suid ||
           from->ruid == to->ruid || cred_ns_capable(from, to->userns, LX_CAP_KILL);
}

static bool same_session(struct task *a, struct task *b)
{
    return a->tg->session == b->tg->session;
}

/* have_taskset: the caller holds g_taskset.lock (sessions are stable then). */
static int check_permission(struct task *t, int signo, const struct cred *cred)
{
    struct task *self = current_task();
    int refused;
    bool ok;

    if (self && self->tg == t->tg)
        return 0;
    mutex_lock(&t->lock);
    ok = cred_may_signal(cred, t->curr.cred);
    refused = security_signal(cred, t->curr.cred);
    mutex_unlock(&t->lock);
    if (ok || (signo == LX_SIGCONT && self && same_session(self, t)))
        return refused;
    return -EPERM;
}

int signal_check_permission(struct task *t, int signo, const struct lx_siginfo *info)
{
    if (signo < 0 || signo > LX_NSIG)
        return -EINVAL;
    if (!info || info->code > 0)
        return 0;
    return check_permission(t, signo, curr()->cred);
}

static int send_checked_locked(struct task *leader, int signo, const struct lx_siginfo *info,
                               bool check)
{
    int ret = check ? signal_check_permission(leader, signo, info) : 0;

    if (ret == 0 && signo)
        ret = signal_send_process(leader, signo, info);
    return ret;
}

/* Linux's rule for groups: one success is success, else the last error. */
static int send_group_locked(struct pid *p, enum pid_kind kind, int signo,
                             const struct lx_siginfo *info, bool check)
{
    bool success = false;
    struct list *it;
    int ret = -ESRCH;

    ASSERT_HELD(&g_taskset.lock);
    list_for_each(it, &p->tasks[kind]) {
        ret = send_checked_locked(task_of_pid_list(it, kind), signo, info, check);
        success |= ret == 0;
    }
    return success ? 0 : ret;
}

int signal_pgrp_locked(struct pid *pgrp, int signo, const struct lx_siginfo *info)
{
    return send_group_locked(pgrp, PID_PGRP, signo, info, /*check=*/false);
}

int signal_pid(struct pid *p, int kind, int signo, const struct lx_siginfo *info, bool check)
{
    struct task *t;
    int ret;

    if (!p)
        return -ESRCH;
    mutex_lock(&g_taskset.lock);
    if (kind == PID_TID) {
        t = pid_task_locked(p, PID_TID);
        ret = t ? (check ? signal_check_permission(t, signo, info) : 0) : -ESRCH;
        if (ret == 0 && signo)
            ret = signal_send_task(t, signo, info);
    } else {
        ret = send_group_locked(p, (enum pid_kind)kind, signo, info, check);
    }
    mutex_unlock(&g_taskset.lock);
    return ret;
}

/* kill(-1): everybody the caller sees except itself and PID 1. */
static int kill_everybody_locked(int signo, const struct lx_siginfo *info)
{
    struct task *self = current_task();
    struct pidns *ns = curr()->pidns;
    int count = 0, ret = 0, one;
    struct thread_group *tg;

    list_for_each_entry(tg, &g_processes, all_node) {
        if (pid_nr_in(tg->leader->curr.tgid, ns) <= 1 || tg == self->tg)
            continue;
        one = send_checked_locked(tg->leader, signo, info, /*check=*/true);
        count++;
        if (one != -EPERM)
            ret = one;
    }
    return count ? ret : -ESRCH;
}

int signal_kill(lx_pid_t pid, int signo, const struct lx_siginfo *info)
{
    struct pid *p;
    int ret = -ESRCH;

    if (pid == INT32_MIN)
        return -ESRCH;
    mutex_lock(&g_taskset.lock);
    if (pid == -1) {
        ret = signo < 0 || signo > LX_NSIG ? -EINVAL : kill_everybody_locked(signo, info);
    } else if (pid > 0) {
        p = pidns_find_locked(curr()->pidns, pid);
        if (p && !list_empty(&p->tasks[PID_TID])) {
            struct task *t = pid_task_locked(p, PID_TID);

            /* Linux: a thread's id names its whole process here. */
            ret = signal_check_permission(t, signo, info);
            if (ret == 0 && signo)
                ret = signal_send_process(t, signo, info);
        }
    } else {
        p = pid ? pidns_find_locked(curr()->pidns, -pid) : current_task()->tg->pgrp;
        if (p)
            ret = send_group_locked(p, PID_PGRP, signo, info, /*check=*/true);
    }
    mutex_unlock(&g_taskset.lock);
    return ret;
}

/* ---- what lower layers may ask --------------------------------------------------------------- */

static int op_signal(struct pid *p, enum pid_kind kind, int signo, const struct lx_siginfo *info)
{
    return signal_pid(p, kind, signo, info, /*check=*/false);
}

static int op_signal_checked(struct pid *p, enum pid_kind kind, int signo,
                             const struct lx_siginfo *info)
{
    struct lx_siginfo user;
    struct list *it;
    int ret = -ESRCH;

    if (!p)
        return -ESRCH;
    if (!info) {
        signal_info_user(&user, signo, LX_SI_USER);
        info = &user;
    }
    mutex_lock(&g_taskset.lock);
    list_for_each(it, &p->tasks[kind]) {
        struct task *t = task_of_pid_list(it, kind);
        int one = check_permission(t, signo, curr()->cred);

        if (one == 0 && signo)
            one = kind == PID_TID ? signal_send_task(t, signo, info)
                                  : signal_send_process(t, signo, info);
        if (ret != 0)
            ret = one;
    }
    mutex_unlock(&g_taskset.lock);
    return ret;
}

static struct pid *op_find_get(lx_pid_t nr)
{
    return curr()->pidns ? pidns_find_pid_get(curr()->pidns, nr) : NULL;
}

static bool op_pgrp_orphaned(struct pid *pgrp)
{
    bool orphaned;

    mutex_lock(&g_taskset.lock);
    orphaned = pgrp_is_orphaned_locked(pgrp, NULL);
    mutex_unlock(&g_taskset.lock);
    return orphaned;
}

static struct pid *op_pgrp_session_get(struct pid *pgrp)
{
    struct pid *session = NULL;
    struct task *t;

    mutex_lock(&g_taskset.lock);
    t = pid_task_locked(pgrp, PID_PGRP);
    if (t)
        session = pid_get(t->tg->session);
    mutex_unlock(&g_taskset.lock);
    return session;
}

static bool op_alive(struct pid *p, enum pid_kind kind)
{
    bool alive = false;
    struct list *it;

    mutex_lock(&g_taskset.lock);
    list_for_each(it, &p->tasks[kind]) {
        struct task *t = task_of_pid_list(it, kind);

        if (kind == PID_TID ? t->k->exit_state == TASK_LIVE
                            : t->k->exit_state == TASK_LIVE || t->tg->thread_count > 1)
            alive = true;
    }
    mutex_unlock(&g_taskset.lock);
    return alive;
}

const struct pid_ops g_kernel_pid_ops = {
    .signal = op_signal,
    .signal_checked = op_signal_checked,
    .find_get = op_find_get,
    .pgrp_orphaned = op_pgrp_orphaned,
    .pgrp_session_get = op_pgrp_session_get,
    .alive = op_alive,
};

static uint64_t curr_rlimit(int resource)
{
    struct task *t = current_task();

    return t ? task_rlimit_cur(t, resource) : LX_RLIM_INFINITY;
}

static void curr_raise_thread(int signo)
{
    struct task *t = current_task();

    if (t)
        (void)signal_send_task(t, signo, NULL); /* standard signals are not refused */
}

static void curr_raise_process(int signo)
{
    struct task *t = current_task();

    if (t)
        (void)signal_send_process(t, signo, NULL); /* standard signals are not refused */
}

static struct pid *session_or_pgrp_get(bool session)
{
    struct task *t = current_task();
    struct pid *p;

    if (!t)
        return NULL;
    mutex_lock(&g_taskset.lock);
    p = pid_get(session ? t->tg->session : t->tg->pgrp);
    mutex_unlock(&g_taskset.lock);
    return p;
}

static struct pid *curr_session_get(void)
{
    return session_or_pgrp_get(true);
}

static struct pid *curr_pgrp_get(void)
{
    return session_or_pgrp_get(false);
}

static bool curr_signal_ignored_or_blocked(int signo)
{
    struct task *t = current_task();
    bool ret;

    if (!t)
        return true;
    mutex_lock(&t->tg->lock);
    mutex_lock(&t->tg->sighand->lock);
    ret = (t->k->blocked & sigset_bit(signo)) ||
          t->tg->sighand->action[signo - 1].handler == LX_SIG_IGN;
    mutex_unlock(&t->tg->sighand->lock);
    mutex_unlock(&t->tg->lock);
    return ret;
}

static bool curr_is_session_leader(void)
{
    struct task *t = current_task();

    return t && (t->tg->flags & GROUP_SESSION_LEADER);
}

const struct curr_ops g_kernel_curr_ops = {
    .rlimit = curr_rlimit,
    .raise_thread = curr_raise_thread,
    .raise_process = curr_raise_process,
    .session_get = curr_session_get,
    .pgrp_get = curr_pgrp_get,
    .signal_ignored_or_blocked = curr_signal_ignored_or_blocked,
    .is_session_leader = curr_is_session_leader,
};
