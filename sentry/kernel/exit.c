/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The end of a task. task_exit runs on the task's own thread and gives things back in Linux's
 * order: robust futexes and clear_child_tid while the memory is there, then memory, files and
 * namespaces, then children, then the news to the parent. What is left is a zombie: the struct, its
 * pids and its numbers, until somebody waits for it (or nobody ever will: threads, ignored SIGCHLD,
 * top-level).
 *
 * Everything about the family tree happens under g_taskset.lock; structs are freed after it.
 */
#include "sentry/kernel/kernel_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sentry/fs/devpts/tty.h"
#include "sentry/fs/vfs.h"
#include "sentry/kernel/cgroup_internal.h"
#include "sentry/kernel/ipc_internal.h"
#include "sentry/kernel/seccomp.h"
#include "sentry/kernel/taskwork.h"
#include "sentry/kernel/timens.h"
#include "sentry/mm/mm.h"
#include "sentry/mm/uaccess.h"
#include "sentry/net/netns.h"

/* Dead tasks on their way out, chained through ktask_private.tg_node. */
void task_free_list(struct list *dead)
{
    while (!list_empty(dead)) {
        struct ktask_private *k = list_first_entry(dead, struct ktask_private, tg_node);
        struct task *t = k->self;
        struct process_exit_hook hook = {0};

        list_del(&k->tg_node);
        if (k->top_level && task_is_leader(t))
            hook = t->tg->on_exit;
        if (hook.fn)
            hook.fn(hook.arg, k->exit_code);
        task_put(t); /* the pid tables' reference */
    }
}

/* ---- memory --------------------------------------------------------------------------------- */

void task_mm_release(struct task *t, bool exits)
{
    struct ktask_private *k = t->k;
    lx_pid_t zero = 0;

    futex_exit_robust(t);
    futex_exit_pi(t, exits);
    if (k->clear_child_tid) {
        /* Linux: only when somebody else can see the word. The wake is what pthread_join waits for.
         */
        if (mm_is_shared(t->curr.mm) && put_user(&zero, k->clear_child_tid) == 0)
            (void)futex_wake_word(k->clear_child_tid); /* a bad address wakes nobody */
        k->clear_child_tid = 0;
    }
    if (k->vfork) {
        struct vfork_done *v = k->vfork;

        k->vfork = NULL;
        atomic_store(&v->done, 1);
        sleeper_wake(&v->parent->curr.sleeper);
        if (refs_put(&v->refs)) {
            task_put(v->parent);
            free(v);
        }
    }
}

static void drop_ctx(struct task *t)
{
    struct platform_ctx *ctx;

    cputime_guest_changed(t, /*gone=*/true);
    mutex_lock(&t->tg->lock);
    ctx = t->ctx;
    t->ctx = NULL;
    mutex_unlock(&t->tg->lock);
    if (ctx)
        g_platform_ops->ctx_free(ctx);
}

void task_drop_resources(struct task *t, bool group_dead)
{
    struct curr *c = &t->curr;
    struct mm *mm;
    struct fdtable *files;
    struct fs_ctx *fs;
    struct mntns *mntns;
    struct netns *netns;
    struct ipcns *ipcns;
    struct utsns *utsns;
    struct cgroupns *cgroupns;
    struct timens *timens, *child_timens;

    if (c->mm && group_dead) {
        struct mm_usage usage;

        mm_usage(c->mm, &usage);
        mutex_lock(&g_taskset.lock);
        t->tg->maxrss = MAX(t->tg->maxrss, usage.peak_rss / 1024);
        t->tg->dead_minflt = MAX(t->tg->dead_minflt, mm_minor_faults(c->mm));
        mutex_unlock(&g_taskset.lock);
    }
    drop_ctx(t);
    rseq_drop(t, c->mm);
    mutex_lock(&t->lock);
    mm = c->mm, c->mm = NULL;
    mutex_unlock(&t->lock);
    if (mm)
        mm_use_put(mm);
    if (c->ipcns && group_dead)
        ipc_group_exit(t);
    mutex_lock(&t->lock);
    files = c->files, c->files = NULL;
    mutex_unlock(&t->lock);
    if (files)
        fdtable_put(files);
    mutex_lock(&t->lock);
    fs = c->fs, c->fs = NULL;
    mntns = c->mntns, c->mntns = NULL;
    netns = c->netns, c->netns = NULL;
    ipcns = c->ipcns, c->ipcns = NULL;
    utsns = c->utsns, c->utsns = NULL;
    cgroupns = c->cgroupns, c->cgroupns = NULL;
    timens = c->timens, c->timens = NULL;
    child_timens = c->child_timens, c->child_timens = NULL;
    mutex_unlock(&t->lock);
    if (fs)
        fs_ctx_put(fs);
    if (mntns)
        mntns_put(mntns);
    if (netns)
        netns_put(netns);
    ipcns_put(ipcns);
    utsns_put(utsns);
    cgroupns_put(cgroupns);
    timens_put(timens);
    timens_put(child_timens);
}

/* ---- process groups ------------------------------------------------------------------------- */

/* Linux exempts children of the machine's init only, which no container sees: the jobs of a shell
 * that is PID 1 stop as others do. */
bool pgrp_is_orphaned_locked(struct pid *pgrp, struct task *ignored)
{
    struct list *it;

    list_for_each(it, &pgrp->tasks[PID_PGRP]) {
        struct task *p = task_of_pid_list(it, PID_PGRP);
        struct task *parent = p->k->real_parent;

        if (p == ignored || (p->k->exit_state != TASK_LIVE && p->tg->thread_count == 1) || !parent)
            continue;
        if (parent->tg->pgrp != pgrp && parent->tg->session == p->tg->session)
            return false;
    }
    return true;
}

static bool pgrp_has_stopped_job(struct pid *pgrp)
{
    struct list *it;

    list_for_each(it, &pgrp->tasks[PID_PGRP]) {
        if (task_of_pid_list(it, PID_PGRP)->tg->flags & GROUP_STOPPED)
            return true;
    }
    return false;
}

/* A process group that loses its last link to the session with a stopped member gets SIGHUP,
 * SIGCONT. */
static void pgrp_kill_orphaned_locked(struct task *t, struct task *parent, struct task *ignored)
{
    struct pid *pgrp = t->tg->pgrp;

    if (!parent || parent->tg->pgrp == pgrp || parent->tg->session != t->tg->session ||
        !pgrp_is_orphaned_locked(pgrp, ignored) || !pgrp_has_stopped_job(pgrp))
        return;
    signal_pgrp_locked(pgrp, LX_SIGHUP, NULL);
    signal_pgrp_locked(pgrp, LX_SIGCONT, NULL);
}

/* ---- news to the parent --------------------------------------------------------------------- */

void task_fill_child_info_locked(struct lx_siginfo *info, struct task *child, struct task *parent)
{
    struct cpu_times times = group_cpu_times_locked(child->tg);
    lx_uid_t uid;

    ASSERT_HELD(&g_taskset.lock);
    *info = (struct lx_siginfo){.signo = LX_SIGCHLD};
    info->chld.pid = pid_nr_in(child->curr.tid, parent->curr.pidns);
    mutex_lock(&child->lock);
    uid = child->curr.cred->ruid;
    mutex_unlock(&child->lock);
    mutex_lock(&parent->lock);
    info->chld.uid = userns_from_kuid(parent->curr.cred->userns, uid);
    mutex_unlock(&parent->lock);
    info->chld.utime = (int64_t)(times.utime / (NSEC_PER_SEC / LX_CLOCK_TICKS));
    info->chld.stime = (int64_t)(times.stime / (NSEC_PER_SEC / LX_CLOCK_TICKS));
}

int task_exit_status_locked(struct task *leader)
{
    return leader->tg->flags & GROUP_EXIT ? leader->tg->exit_code : leader->k->exit_code;
}

static void set_exit_reason(struct lx_siginfo *info, int status)
{
    if (status & 0x7f) {
        info->code = status & 0x80 ? LX_CLD_DUMPED : LX_CLD_KILLED;
        info->chld.status = status & 0x7f;
    } else {
        info->code = LX_CLD_EXITED;
        info->chld.status = status >> 8;
    }
}

/* Which signal the end of t is for whoever waits for it. */
static int end_signal(struct task *t)
{
    if (!ptrace_is_traced(t))
        return t->k->exit_signal;
    /* A tracer learns of every end by SIGCHLD, unless it is the parent of a whole process. */
    if (task_is_leader(t) && t->tg->thread_count == 1 && !ptrace_reparented_locked(t))
        return t->k->exit_signal;
    return LX_SIGCHLD;
}

bool task_notify_parent_locked(struct task *t)
{
    bool traced = ptrace_is_traced(t), autoreap = false;
    struct task *parent = traced ? t->k->pt.tracer : t->k->real_parent;
    int signo = end_signal(t);
    struct lx_siginfo info;
    struct lx_sigaction *sa;

    ASSERT_HELD(&g_taskset.lock);
    if (task_is_leader(t) && t->tg->thread_count == 1)
        waitq_wake(&t->curr.tgid->exit_wq, WAKE_ALL);
    if (!parent)
        return true;
    task_fill_child_info_locked(&info, t, parent);
    set_exit_reason(&info, task_exit_status_locked(t));
    mutex_lock(&parent->tg->lock);
    sa = &parent->tg->sighand->action[LX_SIGCHLD - 1];
    mutex_lock(&parent->tg->sighand->lock);
    if (!traced && signo == LX_SIGCHLD &&
        (sa->handler == LX_SIG_IGN || (sa->flags & LX_SA_NOCLDWAIT))) {
        autoreap = true;
        if (sa->handler == LX_SIG_IGN)
            signo = 0;
    }
    mutex_unlock(&parent->tg->sighand->lock);
    info.signo = signo;
    if (signo > 0 && signo <= LX_NSIG) /* Linux: clone(2) takes any number up to 255 */
        (void)signal_send_locked(parent, signo, &info, /*to_group=*/true,
                                 /*force=*/false); /* a full queue loses it */
    mutex_unlock(&parent->tg->lock);
    waitq_wake(&parent->tg->child_wq, WAKE_ALL);
    return autoreap;
}

void task_send_cldstop_locked(struct task *parent, const struct lx_siginfo *info)
{
    struct lx_sigaction *sa;
    bool quiet;

    ASSERT_HELD(&g_taskset.lock);
    mutex_lock(&parent->tg->lock);
    sa = &parent->tg->sighand->action[LX_SIGCHLD - 1];
    mutex_lock(&parent->tg->sighand->lock);
    quiet = sa->handler == LX_SIG_IGN || (sa->flags & LX_SA_NOCLDSTOP);
    mutex_unlock(&parent->tg->sighand->lock);
    if (!quiet)
        (void)signal_send_locked(parent, LX_SIGCHLD, info, /*to_group=*/true,
                                 /*force=*/false); /* a full queue loses it */
    mutex_unlock(&parent->tg->lock);
    waitq_wake(&parent->tg->child_wq, WAKE_ALL);
}

void task_notify_parent_cldstop(struct task *t, int why)
{
    struct task *leader, *parent;
    struct lx_siginfo info;

    mutex_lock(&g_taskset.lock);
    leader = t->tg->leader;
    parent = leader->k->real_parent;
    if (parent) {
        task_fill_child_info_locked(&info, leader, parent);
        info.code = why;
        info.chld.status = why == LX_CLD_CONTINUED ? LX_SIGCONT : (t->tg->exit_code & 0x7f);
        if (why == LX_CLD_STOPPED && !info.chld.status)
            info.chld.status = LX_SIGSTOP;
        task_send_cldstop_locked(parent, &info);
    }
    mutex_unlock(&g_taskset.lock);
}

/* ---- reaping -------------------------------------------------------------------------------- */

struct cpu_times g_reaped_times;

/* Takes a dead task out of every table. Its last threads' times go to the process. */
void task_zombie_reap_locked(struct task *t, struct list *out_free)
{
    struct thread_group *tg = t->tg;
    struct ktask_private *k = t->k;
    struct cpu_times times = task_cpu_times(t);
    struct pidns *ns = t->curr.pidns;

    ASSERT_HELD(&g_taskset.lock);
    ASSERT(k->exit_state == TASK_ZOMBIE);
    ptrace_unlink_locked(t);
    k->exit_state = TASK_DEAD;
    mutex_lock(&tg->lock);
    list_del(&k->tg_node);
    tg->thread_count--;
    if (tg->target == t)
        tg->target = NULL;
    mutex_unlock(&tg->lock);
    tg->dead.utime += times.utime;
    tg->dead.stime += times.stime;
    io_counts_add(&tg->dead_io, &t->curr.io);
    tg->dead_nvcsw += k->nvcsw;
    tg->dead_nivcsw += k->nivcsw;
    task_detach_pid_locked(t, PID_TID);
    cgroup_task_uncharge(t);
    if (task_is_leader(t)) {
        cgroup_process_reap_locked(tg);
        task_detach_pid_locked(t, PID_TGID);
        task_detach_pid_locked(t, PID_PGRP);
        task_detach_pid_locked(t, PID_SID);
        list_del(&k->sibling);
        list_del(&tg->all_node);
        g_reaped_times.utime += tg->dead.utime;
        g_reaped_times.stime += tg->dead.stime;
        kernel_pid_release_locked(tg->pgrp);
        kernel_pid_release_locked(tg->session);
        kcontainer_add_process(tg->container, -1);
    }
    kernel_pid_release_locked(t->curr.tid);
    for (; ns; ns = ns->parent) { /* it counted in all of them */
        if (ns->reaper && ns->dying)
            waitq_wake(&ns->reaper->tg->child_wq, WAKE_ALL);
    }
    list_add_tail(out_free, &k->tg_node);
}

void task_reap_locked(struct task *t, struct list *out_free)
{
    struct thread_group *tg = t->tg;
    struct task *leader = tg->leader;

    task_zombie_reap_locked(t, out_free);
    if (tg->exec_task)
        sleeper_wake(&tg->exec_task->curr.sleeper);
    if (t == leader || leader->k->exit_state != TASK_ZOMBIE || tg->thread_count > 1 ||
        tg->exec_task)
        return;
    if (task_notify_parent_locked(leader)) {
        leader->k->exit_code = task_exit_status_locked(leader);
        task_zombie_reap_locked(leader, out_free);
    }
}

void kernel_pid_release_locked(struct pid *p)
{
    for (int kind = 0; kind < PID_KIND_COUNT; kind++)
        if (!list_empty(&p->tasks[kind]))
            return;
    pid_unhash_locked(p);
    waitq_wake(&p->exit_wq, WAKE_ALL);
}

/* ---- children ------------------------------------------------------------------------------- */

static struct task *live_thread_of(struct thread_group *tg, struct task *except)
{
    struct task *t;

    for_each_thread_locked(t, tg)
    {
        if (t != except && !t->k->exiting)
            return t;
    }
    return NULL;
}

/* Who inherits t's children; NULL: nobody (they become top-level). */
static struct task *find_reaper_locked(struct task *t)
{
    struct task *r = live_thread_of(t->tg, t), *up;
    struct pidns *ns = t->curr.pidns;

    if (r)
        return r;
    if (t->tg->flags & GROUP_HAS_SUBREAPER) {
        for (up = t->tg->leader->k->real_parent; up; up = up->tg->leader->k->real_parent) {
            if (up->curr.pidns != ns)
                break;
            if (!(up->tg->flags & GROUP_SUBREAPER))
                continue;
            r = live_thread_of(up->tg, NULL);
            if (r)
                return r;
        }
    }
    if (!ns->reaper || ns->reaper->tg == t->tg)
        return NULL;
    return live_thread_of(ns->reaper->tg, NULL);
}

static void send_pdeath_locked(struct task *child)
{
    struct thread_group *tg = child->tg;
    struct task *t;

    mutex_lock(&tg->lock);
    for_each_thread_locked(t, tg)
    {
        const int signo = atomic_load(&t->k->pdeath_signal);

        if (signo)
            (void)signal_send_locked(t, signo, NULL, /*to_group=*/true,
                                     true); /* standard signals are not refused */
    }
    mutex_unlock(&tg->lock);
}

static void reparent_children_locked(struct task *t, struct list *out_free)
{
    struct list *it, *tmp;
    struct task *heir;

    if (list_empty(&t->k->children))
        return;
    heir = find_reaper_locked(t);
    list_for_each_safe(it, tmp, &t->k->children) {
        struct task *child = list_entry(it, struct ktask_private, sibling)->self;

        list_del(it);
        child->k->real_parent = heir;
        if (heir)
            list_add_tail(&heir->k->children, it);
        send_pdeath_locked(child);
        if (heir && heir->tg == t->tg)
            continue;
        child->k->exit_signal = LX_SIGCHLD;
        if (child->k->exit_state == TASK_ZOMBIE && child->tg->thread_count == 1 &&
            !ptrace_is_traced(child)) {
            if (task_notify_parent_locked(child))
                task_zombie_reap_locked(child, out_free);
            continue;
        }
        pgrp_kill_orphaned_locked(child, t, NULL);
    }
}

/* PID 1 of a namespace is gone: everybody inside goes with it. Sleeps until they have. */
static void zap_pid_namespace(struct task *t)
{
    struct pidns *ns = t->curr.pidns;
    struct list dead = LIST_INIT(dead);
    struct waiter w;
    bool first = true;

    waiter_init(&w, WAKE_ALL);
    waitq_add(&t->tg->child_wq, &w);
    for (;;) {
        struct list *it, *tmp;
        uint32_t mine, left;

        mutex_lock(&g_taskset.lock);
        ns->dying = true;
        for (lx_pid_t nr = 1; first;) {
            struct pid *p = pidns_find_from_locked(ns, nr);
            struct task *v = pid_task_locked(p, PID_TGID);

            if (!p)
                break;
            nr = pid_nr_in(p, ns) + 1;
            if (!v || v->tg == t->tg)
                continue;
            mutex_lock(&v->tg->lock);
            (void)signal_send_locked(v, LX_SIGKILL, NULL, true,
                                     true); /* SIGKILL is never refused */
            mutex_unlock(&v->tg->lock);
        }
        first = false;
        list_for_each_safe(it, tmp, &t->k->children) {
            struct task *child = list_entry(it, struct ktask_private, sibling)->self;

            if (child->k->exit_state == TASK_ZOMBIE && child->tg->thread_count == 1)
                task_zombie_reap_locked(child, &dead);
        }
        if (ns->reboot_signal) {
            t->tg->exit_code = ns->reboot_signal;
            atomic_fetch_or(&t->tg->flags, GROUP_EXIT);
        }
        mine = task_is_leader(t) ? 1 : 2;
        left = ns->count;
        mutex_unlock(&g_taskset.lock);
        task_free_list(&dead);
        if (left <= mine)
            break;
        IGNORE_RESULT(task_block_killable(
            NO_DEADLINE)); /* not interruptible: the bits are clear and stay so */
    }
    waitq_remove(&t->tg->child_wq, &w);
}

/* ---- the sequence --------------------------------------------------------------------------- */

/* No more signals come; returns whether this is the last thread. */
static bool begin_exit(struct task *t)
{
    struct thread_group *tg = t->tg;
    struct ktask_private *k = t->k;
    bool group_dead, stop_done = false;

    mutex_lock(&tg->lock);
    k->exiting = true;
    group_dead = --tg->live == 0;
    if (k->stop_pending)
        stop_done = signal_stop_joined_locked(t);
    if (k->pt.trapping) {
        k->pt.trapping = false;
        sleeper_wake(&k->pt.tracer->curr.sleeper);
    }
    if (!group_dead)
        signal_retarget_locked(t, ~k->blocked);
    sigpending_flush(&k->pending, ~0ull);
    sleeper_clear_interrupt(&t->curr.sleeper, SLEEP_INTERRUPT_SIGNAL | SLEEP_INTERRUPT_KILL);
    mutex_unlock(&tg->lock);
    if (stop_done)
        task_notify_parent_cldstop(t, LX_CLD_STOPPED);
    return group_dead;
}

static void exit_notify(struct task *t, bool group_dead)
{
    struct list dead = LIST_INIT(dead);
    struct thread_group *tg = t->tg;

    mutex_lock(&g_taskset.lock);
    if (group_dead)
        cgroup_process_exit_locked(tg);
    reparent_children_locked(t, &dead);
    if (group_dead)
        pgrp_kill_orphaned_locked(tg->leader, tg->leader->k->real_parent, tg->leader);
    if (group_dead && t->curr.pidns->reaper && t->curr.pidns->reaper->tg == tg)
        t->curr.pidns->reaper = NULL;
    t->k->exit_state = TASK_ZOMBIE;
    if (t != tg->leader)
        waitq_wake(&t->curr.tid->exit_wq, WAKE_ALL); /* PIDFD_THREAD */
    if (ptrace_is_traced(t)) {
        (void)task_notify_parent_locked(t); /* a tracer always has to wait */
    } else if (t != tg->leader) {
        task_reap_locked(t, &dead);
    } else if (tg->thread_count == 1 && task_notify_parent_locked(t)) {
        t->k->exit_code = task_exit_status_locked(t);
        task_zombie_reap_locked(t, &dead);
    }
    if (tg->exec_task)
        sleeper_wake(&tg->exec_task->curr.sleeper);
    mutex_unlock(&g_taskset.lock);
    task_free_list(&dead);
    cgroup_news_flush();
}

void task_exit(struct task *t)
{
    struct thread_group *tg = t->tg;
    bool group_dead, is_reaper;
    struct list dead = LIST_INIT(dead);
    struct pid *session = NULL;

    task_requests_cancel(t, /*exits=*/true);
    if (t->curr.mm)
        task_mm_release(t, /*exits=*/true);
    else
        futex_exit_pi(t, /*exits=*/true);
    group_dead = begin_exit(t);
    if (group_dead)
        group_timers_exit(tg);
    seccomp_task_exit(t);
    task_drop_resources(t, group_dead);
    mutex_lock(&g_taskset.lock);
    if (group_dead && (tg->flags & GROUP_SESSION_LEADER))
        session = pid_get(tg->session);
    is_reaper = group_dead && t->curr.pidns->reaper && t->curr.pidns->reaper->tg == tg;
    ptrace_tracer_exit_locked(t, &dead);
    mutex_unlock(&g_taskset.lock);
    task_free_list(&dead);
    if (session) {
        tty_session_leader_exit(session);
        pid_put(session);
    }
    if (is_reaper)
        zap_pid_namespace(t);
    if (g_syscall_trace_ops)
        g_syscall_trace_ops->exited(t, t->k->exit_code);
    exit_notify(t, group_dead);
}
