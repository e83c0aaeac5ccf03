/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where a tracee stops. Every stop is stop_locked(): it publishes what happened, tells the tracer
 * (and, for a group stop that this thread completes, the real parent), and waits until the tracer
 * resumes it, lets go of it, or SIGKILL comes. Meanwhile the thread only serves one wish of the
 * tracer: extended state, which the platform gives to nobody but the owner of a ctx.
 *
 * Order of a system call under PTRACE_SYSCALL: entry stop; seccomp (and its event); the call;
 * events of clone and exec; exit stop; signals. The exit stop shows restart codes in rax, as on
 * Linux: restarts are decided when signals are looked at.
 *
 * Two stop flavours end in wait4 as "stopped" for the tracer: why = CLD_TRAPPED for everything that
 * this thread did, CLD_STOPPED for its part of a group stop.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sentry/kernel/kernel_internal.h"

static bool fatal_pending_locked(const struct task *t)
{
    const struct ktask_private *k = t->k;

    if (k->pending.set & sigset_bit(LX_SIGKILL))
        return true;
    /* The stop of a task that is ending already is not cut short by that same end. */
    return !k->pt.dying && ((t->tg->flags & GROUP_EXIT) || k->exec_kill);
}

/* ---- one stop ------------------------------------------------------------------------------- */

static void notify(struct task *t, int why, bool group_stopped)
{
    struct ptrace_state *pt = &t->k->pt;
    bool tell_parent = group_stopped;
    struct lx_siginfo info;

    mutex_lock(&g_taskset.lock);
    if (pt->tracer) {
        task_fill_child_info_locked(&info, t, pt->tracer);
        info.code = why;
        mutex_lock(&t->tg->lock);
        info.chld.status = (why == LX_CLD_STOPPED ? t->tg->exit_code : pt->code) & 0x7f;
        mutex_unlock(&t->tg->lock);
        task_send_cldstop_locked(pt->tracer, &info);
        tell_parent = group_stopped && ptrace_reparented_locked(t);
    }
    mutex_unlock(&g_taskset.lock);
    if (tell_parent)
        task_notify_parent_cldstop(t, LX_CLD_STOPPED);
}

static void wait_for_tracer(struct task *t)
{
    for (;;) {
        bool go;

        if (ptrace_xstate_serve(t))
            continue;
        mutex_lock(&t->tg->lock);
        go = t->k->pt.resumed || fatal_pending_locked(t);
        mutex_unlock(&t->tg->lock);
        if (go)
            break;
        IGNORE_RESULT(task_block_killable(NO_DEADLINE)); /* the loop looks at why it returned */
    }
    ptrace_xstate_commit(t);
}

/* Returns what the tracer wants to go on with; code unchanged when there was no stop. The lock is
 * dropped and taken again. info: NULL or the stop's siginfo, changed if the tracer changes it. */
static int stop_locked(struct task *t, int code, int why, uint64_t message, struct lx_siginfo *info)
    REQUIRES(t->tg->lock)
{
    struct ptrace_state *pt = &t->k->pt;
    bool group_stopped = false;

    if (t->regs_partial) {
        /* The tracer sees all registers; the platform is asked with no lock held. */
        mutex_unlock(&t->tg->lock);
        (void)task_regs(t);
        mutex_lock(&t->tg->lock);
    }
    if (!ptrace_is_traced(t) || fatal_pending_locked(t))
        return code;
    pt->code = code;
    pt->message = message;
    pt->has_info = info != NULL;
    if (info)
        pt->info = *info;
    pt->resumed = pt->listening = false;
    pt->xstate_valid = pt->xstate_dirty = false;
    if (why == LX_CLD_STOPPED && t->k->stop_pending)
        group_stopped = signal_stop_joined_locked(t);
    pt->trap_stop = false;
    if (info && info->code >> 8 == LX_PTRACE_EVENT_STOP)
        pt->trap_notify = false;
    if (pt->trapping) {
        pt->trapping = false;
        sleeper_wake(&pt->tracer->curr.sleeper);
    }
    pt->stopped = true;
    mutex_unlock(&t->tg->lock);
    notify(t, why, group_stopped);
    wait_for_tracer(t);
    mutex_lock(&t->tg->lock);
    code = pt->code;
    if (info && pt->has_info)
        *info = pt->info;
    pt->stopped = pt->listening = pt->has_info = pt->xstate_wanted = false;
    pt->code = 0;
    pt->message = 0;
    if (pt->tracer)
        sleeper_wake(&pt->tracer->curr.sleeper); /* it may wait for state that will not come */
    signal_recalc_locked(t);
    return code;
}

static void own_info(struct task *t, struct lx_siginfo *info, int signo, int code)
{
    const struct curr *c = &t->curr;

    *info = (struct lx_siginfo){.signo = signo, .code = code};
    info->rt.pid = pid_nr(c->tid);
    info->rt.uid = userns_from_kuid(c->cred->userns, c->cred->ruid);
}

/* Linux's ptrace_notify(): a SIGTRAP stop of the thread's own making. */
static int notify_stop(struct task *t, int code, uint64_t message)
{
    struct lx_siginfo info;

    own_info(t, &info, LX_SIGTRAP, code);
    mutex_lock(&t->tg->lock);
    code = stop_locked(t, code, LX_CLD_TRAPPED, message, &info);
    mutex_unlock(&t->tg->lock);
    return code;
}

/* ---- events --------------------------------------------------------------------------------- */

bool ptrace_event_enabled(struct task *t, int event)
{
    return ptrace_flags(t) & PT_OPTION(event);
}

void ptrace_event(struct task *t, int event, uint64_t message)
{
    uint32_t flags = ptrace_flags(t);
    struct lx_siginfo info;

    if (flags & PT_OPTION(event)) {
        (void)notify_stop(t, LX_SIGTRAP | event << 8, message); /* Linux: a signal is dropped */
    } else if (event == LX_PTRACE_EVENT_EXEC && (flags & (PT_TRACED | PT_SEIZED)) == PT_TRACED) {
        signal_info_user(&info, LX_SIGTRAP, LX_SI_USER);
        IGNORE_RESULT(signal_send_task(t, LX_SIGTRAP, &info)); /* full queues take it too */
    }
}

void ptrace_exit_stop(struct task *t)
{
    struct ktask_private *k = t->k;

    if (!ptrace_event_enabled(t, LX_PTRACE_EVENT_EXIT))
        return;
    mutex_lock(&t->tg->lock);
    k->pt.dying = true;
    k->pending.set &= ~sigset_bit(LX_SIGKILL);
    sleeper_clear_interrupt(&t->curr.sleeper, SLEEP_INTERRUPT_KILL);
    mutex_unlock(&t->tg->lock);
    ptrace_event(t, LX_PTRACE_EVENT_EXIT, (uint64_t)k->exit_code);
}

/* ---- system calls --------------------------------------------------------------------------- */

static void syscall_stop(struct task *t, uint64_t message)
{
    int code = LX_SIGTRAP | (ptrace_flags(t) & PT_SYSGOOD ? 0x80 : 0);

    code = notify_stop(t, code, message);
    /* Not the same as going on with a signal, but what strace and others rely on. */
    if (code > 0 && code <= LX_NSIG)
        IGNORE_RESULT(signal_send_task(t, code, NULL)); /* a full queue loses it */
}

bool ptrace_syscall_entry(struct task *t)
{
    uint32_t flags = ptrace_flags(t);
    bool fatal;

    if (!(flags & (PT_SYSCALL | PT_SYSEMU)))
        return true;
    t->regs.rax = (uint64_t)-ENOSYS;
    syscall_stop(t, LX_PTRACE_EVENTMSG_SYSCALL_ENTRY);
    mutex_lock(&t->tg->lock);
    fatal = fatal_pending_locked(t);
    mutex_unlock(&t->tg->lock);
    return !fatal && !(flags & PT_SYSEMU);
}

void ptrace_syscall_exit(struct task *t)
{
    uint32_t flags = ptrace_flags(t);
    struct lx_siginfo info = {.signo = LX_SIGTRAP, .code = LX_TRAP_BRKPT};

    if (t->k->die)
        return;
    if ((flags & (PT_STEP | PT_SYSEMU)) == PT_STEP) {
        /* The step over the instruction ends here and not after the next one. */
        info.fault.addr = t->regs.rip;
        signal_force(t, LX_SIGTRAP, &info);
    } else if (flags & PT_SYSCALL) {
        syscall_stop(t, LX_PTRACE_EVENTMSG_SYSCALL_EXIT);
    }
}

/* ---- signals and group stops ----------------------------------------------------------------- */

static void info_from_tracer(struct task *t, struct lx_siginfo *info, int signo)
{
    const struct task *tracer = t->k->pt.tracer;

    *info = (struct lx_siginfo){.signo = signo, .code = LX_SI_USER};
    if (!tracer)
        return;
    info->rt.pid = pid_nr_in(tracer->curr.tid, t->curr.pidns);
    info->rt.uid = userns_from_kuid(t->curr.cred->userns, t->k->pt.tracer_cred->ruid);
}

int ptrace_signal_locked(struct task *t, struct lx_siginfo *info)
{
    struct ktask_private *k = t->k;
    int signo;

    ASSERT_HELD(&t->tg->lock);
    /* The tracer may turn it into a stop signal; a SIGCONT meanwhile cancels that. */
    k->stop_dequeued = true;
    signo = stop_locked(t, info->signo, LX_CLD_TRAPPED, 0, info);
    if (!signo)
        return 0;
    if (signo != info->signo)
        info_from_tracer(t, info, signo);
    if ((k->blocked & sigset_bit(signo)) || fatal_pending_locked(t)) {
        IGNORE_RESULT(signal_send_locked(t, signo, info, /*to_group=*/false,
                                         /*force=*/false)); /* a full queue loses it */
        return 0;
    }
    return signo;
}

void ptrace_jobctl_trap_locked(struct task *t)
{
    struct thread_group *tg = t->tg;
    int signo = t->k->stop_signo;
    struct lx_siginfo info;

    ASSERT_HELD(&tg->lock);
    if (!(ptrace_flags(t) & PT_SEIZED)) {
        (void)stop_locked(t, signo ? signo : LX_SIGSTOP, LX_CLD_STOPPED, 0,
                          NULL); /* nothing to go on with */
        return;
    }
    if (!signo || !(tg->stop_count || (tg->flags & GROUP_STOPPED)))
        signo = LX_SIGTRAP;
    own_info(t, &info, signo, signo | LX_PTRACE_EVENT_STOP << 8);
    (void)stop_locked(t, info.code, LX_CLD_STOPPED, 0, &info);
}

void ptrace_step_into_handler(struct task *t)
{
    (void)notify_stop(t, LX_SIGTRAP, 0);
}

bool ptrace_step_trap(struct task *t)
{
    if (!t->k->pt.forced_tf || (ptrace_flags(t) & PT_STEP))
        return true;
    ptrace_step_disable(t);
    return false;
}
