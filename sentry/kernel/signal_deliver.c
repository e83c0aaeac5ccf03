/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Delivery: what a task does about its signals before it may run guest code again. The loop calls
 * task_work whenever the task's interrupt bits are set. One call handles one signal frame at most;
 * the bits stay set while more is due, so the loop comes back.
 *
 * Restart rules (signal(7)): a system call that was cut short left -ERESTART* in rax. With a
 * handler the code decides between -EINTR and a restart after the handler; without one every code
 * restarts. A restart is "execute the instruction again": rip - 2, the number back in rax.
 */
#include "sentry/kernel/cgroup_internal.h"
#include "sentry/kernel/kernel_internal.h"
#include "sentry/kernel/taskwork.h"

#include <errno.h>
#include <string.h>

#include "sentry/fs/signalfd/signalfd.h"

enum { SYSCALL_INSN_SIZE = 2, NR_RESTART_SYSCALL = 219 };

#define EFLAGS_TF 0x100u
#define EFLAGS_DF 0x400u
#define EFLAGS_RF 0x10000u

/* ---- stop ----------------------------------------------------------------------------------- */

static void begin_stop_locked(struct task *t, int signo)
{
    struct thread_group *tg = t->tg;
    struct task *pos;

    if (t->k->stop_pending)
        return; /* a stop is on its way already; this thread's part of it is pending */
    tg->stop_signo = signo;
    /* A tracer may have resumed a thread of a stopped process: no second report to the parent. */
    if (!(tg->flags & GROUP_STOPPED))
        tg->exit_code = signo;
    tg->stop_count = 0;
    for_each_thread_locked(pos, tg)
    {
        if (pos->k->exiting || pos->k->stopped)
            continue;
        pos->k->stop_pending = pos->k->stop_counted = true;
        pos->k->stop_signo = signo;
        tg->stop_count++;
        if (pos == t)
            continue;
        if (ptrace_flags(pos) & PT_SEIZED)
            ptrace_trap_notify_locked(pos);
        else
            task_kick_locked(pos, /*fatal=*/false);
    }
}

bool signal_stop_joined_locked(struct task *t)
{
    struct thread_group *tg = t->tg;
    struct ktask_private *k = t->k;
    bool counted = k->stop_counted;

    ASSERT_HELD(&tg->lock);
    k->stop_pending = k->stop_counted = false;
    if (!counted || !tg->stop_count || --tg->stop_count)
        return false;
    if (tg->flags & GROUP_STOPPED)
        return false;
    atomic_fetch_and(&tg->flags, ~GROUP_CONTINUED);
    atomic_fetch_or(&tg->flags, GROUP_STOPPED);
    return true;
}

/* Caller holds the group's lock, which is released. */
static void park_stopped(struct task *t) RELEASES(t->tg->lock)
{
    struct thread_group *tg = t->tg;
    bool last = signal_stop_joined_locked(t);

    t->k->stopped = true;
    mutex_unlock(&t->tg->lock);
    if (last)
        task_notify_parent_cldstop(t, LX_CLD_STOPPED);
    for (;;) {
        bool go;

        mutex_lock(&t->tg->lock);
        go = !tg->stop_signo || (tg->flags & GROUP_EXIT) || t->k->exec_kill ||
             ptrace_trap_due(&t->k->pt);
        if (go)
            t->k->stopped = false;
        mutex_unlock(&t->tg->lock);
        if (go)
            break;
        IGNORE_RESULT(task_block_killable(NO_DEADLINE)); /* the loop looks at why it returned */
    }
}

/* ---- exit ----------------------------------------------------------------------------------- */

void task_group_exit(struct task *t, int status)
{
    struct thread_group *tg = t->tg;

    mutex_lock(&t->tg->lock);
    if (tg->flags & GROUP_EXIT)
        status = tg->exit_code;
    else if (!t->k->exec_kill)
        signal_group_exit_locked(t, status);
    t->k->exit_code = status;
    t->k->die = true;
    mutex_unlock(&t->tg->lock);
}

/* ---- choose --------------------------------------------------------------------------------- */

enum verdict { GO_ON, AGAIN, HANDLE, DIE };

static bool stop_is_orphaned(struct task *t)
{
    bool orphaned;

    mutex_lock(&g_taskset.lock);
    orphaned = pgrp_is_orphaned_locked(t->tg->pgrp, NULL);
    mutex_unlock(&g_taskset.lock);
    return orphaned;
}

/* The default action of info's signal. The group's lock is held on entry, not on return. */
static enum verdict default_action(struct task *t, const struct lx_siginfo *info)
    RELEASES(t->tg->lock)
{
    struct thread_group *tg = t->tg;
    int signo = info->signo;

    if (signal_default_ignored(signo) ||
        ((tg->flags & GROUP_UNKILLABLE) && signo != LX_SIGKILL && signo != LX_SIGSTOP)) {
        mutex_unlock(&t->tg->lock);
        return AGAIN;
    }
    if (signal_default_stops(signo)) {
        if (signo != LX_SIGSTOP) {
            mutex_unlock(&t->tg->lock);
            if (stop_is_orphaned(t))
                return AGAIN;
            mutex_lock(&t->tg->lock);
        }
        /* A SIGCONT that came while the lock was free cancels the stop. */
        if (t->k->stop_dequeued)
            begin_stop_locked(t, signo);
        t->k->stop_dequeued = false;
        mutex_unlock(&t->tg->lock);
        return AGAIN;
    }
    mutex_unlock(&t->tg->lock);
    task_group_exit(t, signal_default_dumps(signo) ? core_dump_process(t, info) : signo);
    return DIE;
}

static enum verdict take_signal(struct task *t, struct lx_siginfo *info, struct lx_sigaction *sa)
{
    struct thread_group *tg = t->tg;
    struct ktask_private *k = t->k;
    int signo;

    mutex_lock(&t->tg->lock);
    if ((tg->flags & GROUP_EXIT) || k->exec_kill) {
        k->exit_code = tg->exit_code;
        k->die = true;
        mutex_unlock(&t->tg->lock);
        return DIE;
    }
    if (tg->flags & (GROUP_CLD_STOP | GROUP_CLD_CONT)) {
        int why = tg->flags & GROUP_CLD_CONT ? LX_CLD_CONTINUED : LX_CLD_STOPPED;

        atomic_fetch_and(&tg->flags, ~(GROUP_CLD_STOP | GROUP_CLD_CONT));
        mutex_unlock(&t->tg->lock);
        task_notify_parent_cldstop(t, why);
        return AGAIN;
    }
    if (kcontainer_is_paused(tg->container)) {
        mutex_unlock(&t->tg->lock);
        kcontainer_park(tg->container);
        return AGAIN;
    }
    if (unlikely(taskwork_due(t))) {
        mutex_unlock(&t->tg->lock);
        (void)taskwork_run(t); /* looks again in any case */
        return AGAIN;
    }
    if (cgroup_wants_frozen(tg)) {
        mutex_unlock(&t->tg->lock);
        cgroup_park(t);
        return AGAIN;
    }
    if (k->stop_pending && !ptrace_is_traced(t)) {
        park_stopped(t);
        return AGAIN;
    }
    if (k->stop_pending || ptrace_trap_due(&k->pt)) {
        ptrace_jobctl_trap_locked(t);
        mutex_unlock(&t->tg->lock);
        return AGAIN;
    }
    signo = signal_dequeue_locked(t, k->blocked, info);
    if (!signo) {
        signal_recalc_locked(t);
        mutex_unlock(&t->tg->lock);
        return GO_ON;
    }
    k->stop_dequeued = signal_default_stops(signo);
    if (unlikely(ptrace_is_traced(t)) && signo != LX_SIGKILL) {
        signo = ptrace_signal_locked(t, info);
        if (!signo) {
            mutex_unlock(&t->tg->lock);
            return AGAIN;
        }
    }
    mutex_lock(&tg->sighand->lock);
    *sa = tg->sighand->action[signo - 1];
    if (sa->handler > LX_SIG_IGN && (sa->flags & LX_SA_RESETHAND))
        tg->sighand->action[signo - 1].handler = LX_SIG_DFL;
    mutex_unlock(&tg->sighand->lock);
    if (unlikely(g_syscall_trace_ops)) {
        mutex_unlock(&t->tg->lock);
        g_syscall_trace_ops->signal(t, signo, info);
        mutex_lock(&t->tg->lock);
    }
    if (sa->handler == LX_SIG_DFL)
        return default_action(t, info);
    signal_recalc_locked(t);
    mutex_unlock(&t->tg->lock);
    return sa->handler == LX_SIG_IGN ? AGAIN : HANDLE;
}

/* ---- restart and handler -------------------------------------------------------------------- */

static void restart_for_handler(struct task *t, const struct lx_sigaction *sa)
{
    struct lx_regs *regs = task_regs(t);

    if ((int64_t)regs->orig_rax < 0)
        return;
    switch ((int64_t)regs->rax) {
    case -ERESTARTSYS:
        if (!(sa->flags & LX_SA_RESTART)) {
            regs->rax = (uint64_t)-EINTR;
            break;
        }
        FALLTHROUGH;
    case -ERESTARTNOINTR:
        regs->rax = regs->orig_rax;
        regs->rip -= SYSCALL_INSN_SIZE;
        break;
    case -ERESTARTNOHAND:
    case -ERESTART_RESTARTBLOCK:
        regs->rax = (uint64_t)-EINTR;
        break;
    default:
        break;
    }
    regs->orig_rax = (uint64_t)-1;
}

static void restart_without_handler(struct task *t)
{
    struct lx_regs *regs = &t->regs;

    if ((int64_t)regs->orig_rax < 0)
        return;
    switch ((int64_t)regs->rax) {
    case -ERESTARTSYS:
    case -ERESTARTNOINTR:
    case -ERESTARTNOHAND:
        task_regs(t)->rax = regs->orig_rax;
        regs->rip -= SYSCALL_INSN_SIZE;
        break;
    case -ERESTART_RESTARTBLOCK:
        task_regs(t)->rax = NR_RESTART_SYSCALL;
        regs->rip -= SYSCALL_INSN_SIZE;
        break;
    default:
        break;
    }
    regs->orig_rax = (uint64_t)-1;
}

static void run_handler(struct task *t, const struct lx_sigaction *sa, struct lx_siginfo *info)
{
    struct ktask_private *k = t->k;
    lx_sigset_t back = k->restore_mask ? k->saved_mask : k->blocked;
    lx_sigset_t mask;
    bool stepping;

    restart_for_handler(t, sa);
    if (unlikely(!rseq_abort(t))) {
        task_group_exit(t, LX_SIGSEGV);
        return;
    }
    stepping = ptrace_flags(t) & PT_STEP;
    if (unlikely(stepping))
        ptrace_step_disable(t);
    if (!(sa->flags & LX_SA_EXPOSE_TAGBITS) && info->code > 0 &&
        (info->signo == LX_SIGSEGV || info->signo == LX_SIGBUS))
        info->fault.addr_lsb = 0;
    if (signal_frame_setup(t, sa, info, back) < 0) {
        signal_force_segv(t, info->signo);
        return;
    }
    k->restore_mask = false;
    t->regs.eflags &= ~(uint64_t)(EFLAGS_TF | EFLAGS_DF | EFLAGS_RF);
    mask = k->blocked | sa->mask;
    if (!(sa->flags & LX_SA_NODEFER))
        mask |= sigset_bit(info->signo);
    signal_block(t, mask);
    if (unlikely(stepping))
        ptrace_step_into_handler(t);
}

bool task_work(struct task *t)
{
    struct lx_siginfo info;
    struct lx_sigaction sa;
    enum verdict v;

    if (t->k->die)
        return false;
    if (unlikely(atomic_load(&t->curr.sleeper.interrupt) & SLEEP_INTERRUPT_BANDWIDTH))
        bandwidth_look(t);
    do {
        v = take_signal(t, &info, &sa);
    } while (v == AGAIN);
    switch (v) {
    case DIE:
        return false;
    case HANDLE:
        run_handler(t, &sa, &info);
        return true;
    case GO_ON:
    case AGAIN:
        break;
    }
    restart_without_handler(t);
    if (t->k->restore_mask) {
        t->k->restore_mask = false;
        signal_block(t, t->k->saved_mask);
    }
    return true;
}

/* ---- waiting and dispositions: what the system calls do -------------------------------------- */

int signal_wait(struct task *t, lx_sigset_t which, uint64_t deadline, struct lx_siginfo *info)
{
    struct thread_group *tg = t->tg;
    struct ktask_private *k = t->k;
    int signo, ret = 0;

    which &= ~(sigset_bit(LX_SIGKILL) | sigset_bit(LX_SIGSTOP));
    mutex_lock(&tg->lock);
    signo = signal_dequeue_locked(t, ~which, info);
    if (!signo && deadline) {
        k->real_blocked = k->blocked;
        k->blocked &= ~which;
        signal_recalc_locked(t);
        mutex_unlock(&tg->lock);
        do {
            ret = task_block(deadline);
        } while (ret == 0);
        mutex_lock(&tg->lock);
        k->blocked = k->real_blocked;
        k->real_blocked = 0;
        signo = signal_dequeue_locked(t, ~which, info);
    }
    signal_recalc_locked(t);
    mutex_unlock(&tg->lock);
    if (signo)
        return signo;
    return ret == -ERESTARTSYS ? -EINTR : -EAGAIN;
}

int signal_action(struct task *t, int signo, const struct lx_sigaction *act,
                  struct lx_sigaction *old)
{
    struct thread_group *tg = t->tg;
    struct sighand *sh = tg->sighand;
    struct lx_sigaction *slot;
    struct task *pos;

    if (signo < 1 || signo > LX_NSIG || (act && (signo == LX_SIGKILL || signo == LX_SIGSTOP)))
        return -EINVAL;
    mutex_lock(&tg->lock);
    mutex_lock(&sh->lock);
    slot = &sh->action[signo - 1];
    if (old)
        *old = *slot;
    if (act) {
        *slot = *act;
        slot->flags &= LX_SA_KNOWN;
        slot->mask &= ~(sigset_bit(LX_SIGKILL) | sigset_bit(LX_SIGSTOP));
    }
    mutex_unlock(&sh->lock);
    if (act && (act->handler == LX_SIG_IGN ||
                (act->handler == LX_SIG_DFL && signal_default_ignored(signo)))) {
        /* POSIX: what is pending of a signal that becomes ignored is thrown away. */
        sigpending_flush(&tg->shared, sigset_bit(signo));
        for_each_thread_locked(pos, tg)
        {
            sigpending_flush(&pos->k->pending, sigset_bit(signo));
        }
    }
    mutex_unlock(&tg->lock);
    return 0;
}

/* exec: handlers go, ignored stay. */
void signal_flush_handlers(struct task *t)
{
    struct sighand *sh = t->tg->sighand;

    mutex_lock(&t->tg->lock);
    mutex_lock(&sh->lock);
    for (int i = 0; i < LX_NSIG; i++) {
        if (sh->action[i].handler != LX_SIG_IGN)
            sh->action[i].handler = LX_SIG_DFL;
        sh->action[i].flags = 0;
        sh->action[i].restorer = 0;
        sh->action[i].mask = 0;
    }
    mutex_unlock(&sh->lock);
    mutex_unlock(&t->tg->lock);
}

static uint64_t pending_for_signalfd(void)
{
    return signal_pending(current_task());
}

static int dequeue_for_signalfd(uint64_t mask, struct lx_siginfo *out)
{
    struct task *t = current_task();
    int signo;

    mutex_lock(&t->tg->lock);
    signo = signal_dequeue_locked(t, ~mask, out);
    signal_recalc_locked(t);
    mutex_unlock(&t->tg->lock);
    return signo;
}

const struct signalfd_ops g_kernel_signalfd_ops = {
    .pending = pending_for_signalfd,
    .dequeue = dequeue_for_signalfd,
};
