/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who traces whom. A tracee points to the thread that traces it and is on that thread's list; both
 * change under g_taskset.lock and the tracee's group lock together, so either is enough to look.
 * The relation ends by detach, by the end of the tracer (exit.c) or when the tracee is reaped.
 *
 * While a tracee is stopped its tracer works on its state under the tracee's group lock. There is
 * no freezing as on Linux: SIGKILL may end a stop between two requests, the next one then says
 * -ESRCH, which Linux's manual announces too.
 *
 * Privilege: attaching needs PTRACE_MODE_ATTACH; an exec that would gain privileges under a tracer
 * that could not take them itself does not (exec_cred.c). The two may not cross: exec marks its
 * group busy while it computes credentials, and attachers wait for it.
 */
#include "sentry/kernel/ptrace.h"

#include <errno.h>
#include <stdlib.h>

#include "sentry/kernel/kernel_internal.h"
#include "sentry/kernel/seccomp.h"
#include "sentry/kernel/task_info.h"
#include "sentry/mm/mm.h"

void ptrace_state_init(struct ptrace_state *pt)
{
    list_init(&pt->node);
    list_init(&pt->tracees);
}

void ptrace_state_destroy(struct ptrace_state *pt)
{
    ASSERT(list_empty(&pt->node) && list_empty(&pt->tracees));
    cred_put(pt->tracer_cred);
    free(pt->xstate);
}

/* ---- the relation --------------------------------------------------------------------------- */

bool ptrace_reparented_locked(struct task *t)
{
    struct task *parent = t->tg->leader->k->real_parent;

    ASSERT_HELD(&g_taskset.lock);
    return !parent || parent->tg != t->k->pt.tracer->tg;
}

/* Consumes cred; returns the one of an earlier tracer, to be put without locks. */
static struct cred *link_locked(struct task *child, struct task *tracer, uint32_t flags,
                                struct cred *cred)
{
    struct ptrace_state *pt = &child->k->pt;
    struct cred *old = pt->tracer_cred;

    ASSERT_HELD(&g_taskset.lock);
    pt->tracer = tracer;
    pt->tracer_cred = cred;
    list_add_tail(&tracer->k->pt.tracees, &pt->node);
    atomic_store(&pt->flags, flags);
    return old;
}

void ptrace_unlink_locked(struct task *child)
{
    struct ktask_private *k = child->k;
    struct thread_group *tg = child->tg;
    struct ptrace_state *pt = &k->pt;
    struct task *tracer = pt->tracer;

    ASSERT_HELD(&g_taskset.lock);
    if (!tracer)
        return;
    mutex_lock(&tg->lock);
    list_del(&pt->node);
    pt->tracer = NULL;
    atomic_store(&pt->flags, 0);
    pt->trap_stop = pt->trap_notify = false;
    if (pt->trapping) {
        pt->trapping = false;
        sleeper_wake(&tracer->curr.sleeper);
    }
    /* A group stop that the tracee was kept out of is in force for it from here on. */
    if (!k->exiting && tg->stop_signo) {
        k->stop_pending = true;
        if (!k->stop_signo)
            k->stop_signo = LX_SIGSTOP;
        task_kick_locked(child, /*fatal=*/false);
    }
    if (pt->stopped) {
        pt->resumed = true;
        sleeper_wake(&child->curr.sleeper);
    }
    mutex_unlock(&tg->lock);
    waitq_wake(&tracer->tg->child_wq, WAKE_ALL); /* one child less to wait for */
}

/* A tracer shall see the program's own instructions run. */
static void show_code(struct task *t)
{
    struct mm *mm = NULL;

    mutex_lock(&t->lock);
    if (t->curr.mm)
        mm = mm_get(t->curr.mm);
    mutex_unlock(&t->lock);
    if (mm) {
        mm_sites_off(mm);
        mm_put(mm);
    }
}

int ptrace_traceme(void)
{
    struct task *t = current_task(), *parent;
    struct cred *old = NULL, *cred;
    int ret = -EPERM;

    mutex_lock(&g_taskset.lock);
    parent = t->tg->leader->k->real_parent;
    if (!parent || ptrace_is_traced(t))
        goto out;
    ret = 0;
    if (parent->k->exiting)
        goto out; /* Linux: pretend that it traced and is gone */
    mutex_lock(&parent->lock);
    cred = cred_get(parent->curr.cred);
    mutex_unlock(&parent->lock);
    mutex_lock(&t->tg->lock);
    old = link_locked(t, parent, PT_TRACED, cred);
    task_answers_revoke_locked(t);
    mutex_unlock(&t->tg->lock);
out:
    mutex_unlock(&g_taskset.lock);
    cred_put(old);
    if (ret == 0)
        show_code(t);
    return ret;
}

/* Until no exec of child's process is computing credentials. */
static int wait_for_exec(struct task *child)
{
    struct thread_group *tg = child->tg;
    struct waiter w;
    int ret = 0;

    waiter_init(&w, WAKE_ALL);
    waitq_add(&tg->child_wq, &w);
    for (;;) {
        bool busy;

        mutex_lock(&tg->lock);
        busy = tg->exec_busy;
        mutex_unlock(&tg->lock);
        if (!busy)
            break;
        ret = task_block(NO_DEADLINE);
        if (ret < 0) {
            ret = -ERESTARTNOINTR;
            break;
        }
    }
    waitq_remove(&tg->child_wq, &w);
    return ret;
}

static uint32_t flags_of_options(uint32_t options)
{
    return (options & 0xff) << PT_OPTIONS_SHIFT |
           (options & LX_PTRACE_O_EXITKILL ? PT_EXITKILL : 0) |
           (options & LX_PTRACE_O_SUSPEND_SECCOMP ? PT_SUSPEND_SECCOMP : 0);
}

/* 1: attached; 0: an exec came in between, try again. *cred is swapped with an older one. */
static int try_attach(struct task *child, bool seize, uint32_t options, struct cred **cred)
{
    struct thread_group *tg = child->tg;
    struct ptrace_state *pt = &child->k->pt;
    int ret = -EPERM;

    mutex_lock(&g_taskset.lock);
    mutex_lock(&tg->lock);
    if (child->k->exit_state != TASK_LIVE || ptrace_is_traced(child))
        goto out;
    ret = 0;
    if (tg->exec_busy)
        goto out;
    ret = 1;
    *cred = link_locked(child, current_task(),
                        PT_TRACED | (seize ? PT_SEIZED | flags_of_options(options) : 0), *cred);
    task_answers_revoke_locked(child);
    if (!seize)
        IGNORE_RESULT(signal_send_locked(child, LX_SIGSTOP, NULL, /*to_group=*/false,
                                         /*force=*/true)); /* standard signals are not refused */
    /* One that is parked in a group stop goes on to a trap of its own. */
    if (child->k->stopped) {
        pt->trap_stop = pt->trapping = true;
        task_kick_locked(child, /*fatal=*/false);
    }
out:
    mutex_unlock(&tg->lock);
    mutex_unlock(&g_taskset.lock);
    return ret;
}

int ptrace_attach(struct task *child, bool seize, uint32_t options)
{
    struct cred *cred;
    int ret;

    if (child->tg == current_task()->tg)
        return -EPERM;
    cred = cred_get(curr()->cred);
    do {
        ret = wait_for_exec(child);
        if (ret == 0 && task_ptrace_may_access(child, LX_PTRACE_MODE_ATTACH) < 0)
            ret = -EPERM;
        if (ret < 0)
            break;
        ret = try_attach(child, seize, options, &cred);
    } while (ret == 0);
    cred_put(cred);
    if (ret > 0)
        show_code(child);
    while (ret > 0) {
        bool trapping;

        mutex_lock(&child->tg->lock);
        trapping = child->k->pt.trapping;
        mutex_unlock(&child->tg->lock);
        if (!trapping || task_block_killable(NO_DEADLINE) < 0)
            break;
    }
    return ret < 0 ? ret : 0;
}

/* Linux's ignoring_children(): nobody in parent's process will wait. */
static bool ignores_children(struct task *parent)
{
    struct sighand *sh = parent->tg->sighand;
    bool ret;

    mutex_lock(&sh->lock);
    ret = sh->action[LX_SIGCHLD - 1].handler == LX_SIG_IGN ||
          (sh->action[LX_SIGCHLD - 1].flags & LX_SA_NOCLDWAIT);
    mutex_unlock(&sh->lock);
    return ret;
}

/* A zombie whose tracer is gone: does anybody else wait for it? */
static bool orphan_zombie_is_dead_locked(struct task *child, struct task *tracer)
{
    struct task *parent = child->k->real_parent;

    if (!task_is_leader(child))
        return true;
    if (child->tg->thread_count > 1)
        return false;
    if (parent && parent->tg == tracer->tg)
        return ignores_children(tracer);
    return task_notify_parent_locked(child);
}

void ptrace_tracer_exit_locked(struct task *t, struct list *out_free)
{
    struct list *tracees = &t->k->pt.tracees;

    ASSERT_HELD(&g_taskset.lock);
    while (!list_empty(tracees)) {
        struct task *child = list_first_entry(tracees, struct ktask_private, pt.node)->self;

        if (ptrace_flags(child) & PT_EXITKILL) {
            mutex_lock(&child->tg->lock);
            (void)signal_send_locked(child, LX_SIGKILL, NULL, /*to_group=*/false,
                                     /*force=*/true); /* SIGKILL is never refused */
            mutex_unlock(&child->tg->lock);
        }
        ptrace_unlink_locked(child);
        if (child->k->exit_state == TASK_ZOMBIE && orphan_zombie_is_dead_locked(child, t))
            task_reap_locked(child, out_free);
    }
}

int ptrace_clone_event(struct task *t, uint64_t clone_flags, int exit_signal)
{
    int event = clone_flags & LX_CLONE_VFORK ? LX_PTRACE_EVENT_VFORK
                : exit_signal != LX_SIGCHLD  ? LX_PTRACE_EVENT_CLONE
                                             : LX_PTRACE_EVENT_FORK;

    if (likely(!ptrace_is_traced(t)) || (clone_flags & LX_CLONE_UNTRACED) ||
        !ptrace_event_enabled(t, event))
        return 0;
    return event;
}

void ptrace_inherit_locked(struct task *t, struct task *child)
{
    const struct ptrace_state *from = &t->k->pt;
    uint32_t flags = ptrace_flags(t) & ~(PT_SYSCALL | PT_SYSEMU | PT_STEP);

    ASSERT_HELD(&g_taskset.lock);
    if (!from->tracer)
        return;
    (void)link_locked(child, from->tracer, flags,
                      cred_get(from->tracer_cred)); /* a fresh task has no older one */
    if (flags & PT_SEIZED)
        child->k->pt.trap_stop = true;
    else
        child->k->pending.set |= sigset_bit(LX_SIGSTOP);
    atomic_fetch_or(&child->curr.sleeper.interrupt, SLEEP_INTERRUPT_SIGNAL);
}

bool ptrace_exec_privilege_ok(struct task *t, const struct userns *ns)
{
    /* Nobody attaches while exec is busy, so the credentials stay. */
    return !ptrace_is_traced(t) || cred_ns_capable(t->k->pt.tracer_cred, ns, LX_CAP_SYS_PTRACE);
}

/* ---- requests ------------------------------------------------------------------------------- */

int ptrace_check(struct task *child, bool any_state)
{
    struct ptrace_state *pt = &child->k->pt;
    int ret = -ESRCH;

    mutex_lock(&child->tg->lock);
    if (pt->tracer == current_task() &&
        (any_state || (pt->stopped && !pt->listening && !pt->resumed)))
        ret = 0;
    mutex_unlock(&child->tg->lock);
    return ret;
}

bool ptrace_mine_locked(const struct task *child)
{
    const struct ptrace_state *pt = &child->k->pt;

    ASSERT_HELD(&child->tg->lock);
    return pt->tracer == current_task() && pt->stopped && !pt->listening && !pt->resumed;
}

int ptrace_detach(struct task *child, uint64_t signo)
{
    int ret = -ESRCH;

    if (signo > LX_NSIG)
        return -EIO;
    mutex_lock(&g_taskset.lock);
    mutex_lock(&child->tg->lock);
    if (ptrace_mine_locked(child)) {
        child->k->pt.code = (int)signo;
        ptrace_step_disable(child);
        ret = 0;
    }
    mutex_unlock(&child->tg->lock);
    if (ret == 0)
        ptrace_unlink_locked(child);
    mutex_unlock(&g_taskset.lock);
    return ret;
}

int ptrace_resume(struct task *child, int64_t request, uint64_t signo)
{
    struct ptrace_state *pt = &child->k->pt;
    uint32_t how = request == LX_PTRACE_SYSCALL ? PT_SYSCALL
                   : request == LX_PTRACE_SYSEMU || request == LX_PTRACE_SYSEMU_SINGLESTEP
                       ? PT_SYSEMU
                       : 0;
    int ret = -ESRCH;

    if (signo > LX_NSIG)
        return -EIO;
    mutex_lock(&child->tg->lock);
    if (ptrace_mine_locked(child)) {
        atomic_fetch_and(&pt->flags, ~(PT_SYSCALL | PT_SYSEMU));
        atomic_fetch_or(&pt->flags, how);
        if (request == LX_PTRACE_SINGLESTEP || request == LX_PTRACE_SYSEMU_SINGLESTEP)
            ptrace_step_enable(child);
        else
            ptrace_step_disable(child);
        pt->code = (int)signo;
        pt->resumed = true;
        sleeper_wake(&child->curr.sleeper);
        ret = 0;
    }
    mutex_unlock(&child->tg->lock);
    return ret;
}

/* Sets the trap; true when it was not due before. A dying task takes none. */
static bool trap_stop_locked(struct task *child)
{
    if (child->k->exiting || (child->tg->flags & GROUP_EXIT))
        return false;
    child->k->pt.trap_stop = true;
    return true;
}

int ptrace_interrupt(struct task *child)
{
    struct ptrace_state *pt = &child->k->pt;
    int ret = -EIO;

    mutex_lock(&child->tg->lock);
    if (pt->tracer == current_task() && (ptrace_flags(child) & PT_SEIZED)) {
        ret = 0;
        if (trap_stop_locked(child)) {
            if (pt->listening)
                pt->resumed = true;
            task_kick_locked(child, /*fatal=*/false);
        }
    }
    mutex_unlock(&child->tg->lock);
    return ret;
}

void ptrace_trap_notify_locked(struct task *t)
{
    struct ptrace_state *pt = &t->k->pt;

    ASSERT_HELD(&t->tg->lock);
    if (t->k->exiting)
        return;
    pt->trap_notify = true;
    if (pt->listening)
        pt->resumed = true;
    task_kick_locked(t, /*fatal=*/false);
}

int ptrace_listen(struct task *child)
{
    struct ptrace_state *pt = &child->k->pt;
    int ret = -EIO;

    mutex_lock(&child->tg->lock);
    if (ptrace_mine_locked(child) && (ptrace_flags(child) & PT_SEIZED) && pt->has_info &&
        pt->info.code >> 8 == LX_PTRACE_EVENT_STOP) {
        ret = 0;
        pt->listening = true;
        if (pt->trap_notify) { /* something happened since the stop began: trap again */
            pt->resumed = true;
            sleeper_wake(&child->curr.sleeper);
        }
    }
    mutex_unlock(&child->tg->lock);
    return ret;
}

static int may_suspend_seccomp(void)
{
    struct task *self = current_task();

    if (!cred_capable(curr()->cred, LX_CAP_SYS_ADMIN) || self->k->seccomp_mode ||
        (ptrace_flags(self) & PT_SUSPEND_SECCOMP))
        return -EPERM;
    return 0;
}

int ptrace_set_options(struct task *child, uint64_t options)
{
    struct ptrace_state *pt = &child->k->pt;
    int ret = 0;

    if (options & ~(uint64_t)LX_PTRACE_O_MASK)
        return -EINVAL;
    if (options & LX_PTRACE_O_SUSPEND_SECCOMP)
        ret = may_suspend_seccomp();
    if (ret < 0)
        return ret;
    mutex_lock(&child->tg->lock);
    ret = ptrace_mine_locked(child) ? 0 : -ESRCH;
    if (ret == 0)
        atomic_store(&pt->flags, (pt->flags & (PT_TRACED | PT_SEIZED | PT_CALL_WORK)) |
                                     flags_of_options((uint32_t)options));
    mutex_unlock(&child->tg->lock);
    return ret;
}

int ptrace_message(struct task *child, uint64_t *out)
{
    int ret;

    mutex_lock(&child->tg->lock);
    ret = ptrace_mine_locked(child) ? 0 : -ESRCH;
    if (ret == 0)
        *out = child->k->pt.message;
    mutex_unlock(&child->tg->lock);
    return ret;
}

int ptrace_siginfo_get(struct task *child, struct lx_siginfo *out)
{
    const struct ptrace_state *pt = &child->k->pt;
    int ret = -ESRCH;

    mutex_lock(&child->tg->lock);
    if (ptrace_mine_locked(child)) {
        ret = pt->has_info ? 0 : -EINVAL;
        if (ret == 0)
            *out = pt->info;
    }
    mutex_unlock(&child->tg->lock);
    return ret;
}

int ptrace_siginfo_set(struct task *child, const struct lx_siginfo *info)
{
    struct ptrace_state *pt = &child->k->pt;
    int ret = -ESRCH;

    mutex_lock(&child->tg->lock);
    if (ptrace_mine_locked(child)) {
        ret = pt->has_info ? 0 : -EINVAL;
        if (ret == 0)
            pt->info = *info;
    }
    mutex_unlock(&child->tg->lock);
    return ret;
}

int ptrace_sigmask_get(struct task *child, lx_sigset_t *out)
{
    const struct ktask_private *k = child->k;
    int ret;

    mutex_lock(&child->tg->lock);
    ret = ptrace_mine_locked(child) ? 0 : -ESRCH;
    if (ret == 0)
        *out = k->restore_mask ? k->saved_mask : k->blocked;
    mutex_unlock(&child->tg->lock);
    return ret;
}

int ptrace_sigmask_set(struct task *child, lx_sigset_t mask)
{
    struct ktask_private *k = child->k;
    int ret;

    mutex_lock(&child->tg->lock);
    ret = ptrace_mine_locked(child) ? 0 : -ESRCH;
    if (ret == 0) {
        k->blocked = mask & ~(sigset_bit(LX_SIGKILL) | sigset_bit(LX_SIGSTOP));
        k->restore_mask = false;
    }
    mutex_unlock(&child->tg->lock);
    return ret;
}

int ptrace_siginfo_peek(struct task *child, bool shared, uint64_t off, struct lx_siginfo *out)
{
    struct sigpending *p = shared ? &child->tg->shared : &child->k->pending;
    struct sigqueue *q;
    int ret = 0;

    mutex_lock(&child->tg->lock);
    list_for_each_entry(q, &p->queue, node) {
        if (off-- > 0)
            continue;
        *out = q->info;
        ret = 1;
        break;
    }
    mutex_unlock(&child->tg->lock);
    return ret;
}

int ptrace_mem_get(struct task *child, struct mm **out_mm)
{
    *out_mm = task_mm_get(child);
    return *out_mm ? 0 : -EIO;
}
