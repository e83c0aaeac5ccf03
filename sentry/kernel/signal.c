/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sending signals: pending queues, who gets a process-directed signal, what a stop or SIGCONT
 * undoes, and who must wake. All of it under the target's thread_group.lock; delivery is
 * signal_deliver.c.
 *
 * Rules worth knowing:
 *   - a signal below 32 that is already pending is not queued again; real-time ones queue up to
 *     RLIMIT_SIGPENDING of the receiver's user;
 *   - a fatal signal without core dump starts the group's exit at once: every thread gets SIGKILL
 * in its set and a kick, so nobody can block it away any more;
 *   - PID 1 of a namespace does not get what it has no handler for, unless it comes from an
 * ancestor namespace or the kernel and is SIGKILL or SIGSTOP.
 */
#include "sentry/kernel/cgroup_internal.h"
#include "sentry/kernel/kernel_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sentry/fs/signalfd/signalfd.h"
#include "sentry/kernel/coredump_internal.h"

#define SET(n) (1ull << ((n)-1))
static const lx_sigset_t g_ignored_by_default =
    SET(LX_SIGCONT) | SET(LX_SIGCHLD) | SET(LX_SIGWINCH) | SET(LX_SIGURG);
static const lx_sigset_t g_stop_signals =
    SET(LX_SIGSTOP) | SET(LX_SIGTSTP) | SET(LX_SIGTTIN) | SET(LX_SIGTTOU);
static const lx_sigset_t g_core_signals =
    SET(LX_SIGQUIT) | SET(LX_SIGILL) | SET(LX_SIGTRAP) | SET(LX_SIGABRT) | SET(LX_SIGFPE) |
    SET(LX_SIGSEGV) | SET(LX_SIGBUS) | SET(LX_SIGSYS) | SET(LX_SIGXCPU) | SET(LX_SIGXFSZ);
static const lx_sigset_t g_synchronous = SET(LX_SIGSEGV) | SET(LX_SIGBUS) | SET(LX_SIGILL) |
                                         SET(LX_SIGTRAP) | SET(LX_SIGFPE) | SET(LX_SIGSYS);
static const lx_sigset_t g_unmaskable = SET(LX_SIGKILL) | SET(LX_SIGSTOP);

bool signal_default_ignored(int signo)
{
    return g_ignored_by_default & sigset_bit(signo);
}

bool signal_default_stops(int signo)
{
    return g_stop_signals & sigset_bit(signo);
}

bool signal_default_dumps(int signo)
{
    return g_core_signals & sigset_bit(signo);
}

/* ---- queues --------------------------------------------------------------------------------- */

void sigpending_init(struct sigpending *p)
{
    p->set = 0;
    list_init(&p->queue);
}

void sigqueue_free(struct sigqueue *q)
{
    if (q->timer) {
        posix_timer_unqueue(q->timer);
        posix_timer_put(q->timer);
        return;
    }
    if (q->user) {
        atomic_fetch_sub(&q->user->sigpending, 1);
        user_put(q->user);
    }
    free(q);
}

void sigpending_flush(struct sigpending *p, lx_sigset_t which)
{
    struct sigqueue *q, *tmp;

    if (!(p->set & which))
        return;
    p->set &= ~which;
    list_for_each_entry_safe(q, tmp, &p->queue, node) {
        if (!(sigset_bit(q->info.signo) & which))
            continue;
        list_del(&q->node);
        sigqueue_free(q);
    }
}

static struct sigqueue *sigqueue_new(struct task *t, bool override_limit)
{
    struct user *u;
    struct sigqueue *q;

    mutex_lock(&t->lock);
    u = t->k->user ? user_get(t->k->user) : NULL;
    mutex_unlock(&t->lock);
    if (!u)
        return NULL;
    if (atomic_fetch_add(&u->sigpending, 1) >= task_rlimit_cur(t, LX_RLIMIT_SIGPENDING) &&
        !override_limit)
        goto fail;
    q = calloc(1, sizeof(*q));
    if (!q)
        goto fail;
    list_init(&q->node);
    q->user = u;
    return q;
fail:
    atomic_fetch_sub(&u->sigpending, 1);
    user_put(u);
    return NULL;
}

/* ---- dispositions --------------------------------------------------------------------------- */

static uint64_t handler_of(struct thread_group *tg, int signo)
{
    /* SAFETY: an aligned 8-byte load; writers hold the group lock too (signal_action). */
    return __atomic_load_n(&tg->sighand->action[signo - 1].handler, __ATOMIC_RELAXED);
}

static bool handler_ignores(uint64_t handler, int signo)
{
    return handler == LX_SIG_IGN ||
           (handler == LX_SIG_DFL && (g_ignored_by_default & sigset_bit(signo)));
}

static bool task_ignores(struct task *t, int signo, bool force)
{
    uint64_t handler = handler_of(t->tg, signo);

    if ((t->tg->flags & GROUP_UNKILLABLE) && handler == LX_SIG_DFL &&
        !(force && (g_unmaskable & sigset_bit(signo))))
        return true;
    return handler_ignores(handler, signo);
}

bool signal_is_ignored_locked(struct task *t, int signo)
{
    if ((t->k->blocked | t->k->real_blocked) & sigset_bit(signo))
        return false;
    return task_ignores(t, signo, /*force=*/false);
}

static bool is_fatal(struct task *t, int signo)
{
    return !((g_ignored_by_default | g_stop_signals) & sigset_bit(signo)) &&
           handler_of(t->tg, signo) == LX_SIG_DFL;
}

/* ---- waking --------------------------------------------------------------------------------- */

void task_kick_locked(struct task *t, bool fatal)
{
    ASSERT_HELD(&t->tg->lock);
    sleeper_interrupt(&t->curr.sleeper,
                      SLEEP_INTERRUPT_SIGNAL | (fatal ? SLEEP_INTERRUPT_KILL : 0));
    /* The bit is set before in_guest is read; the loop sets in_guest before it reads the bit. */
    if (atomic_load(&t->k->in_guest) && t->ctx)
        g_platform_ops->ctx_interrupt(t->ctx);
}

bool signal_due_locked(struct task *t)
{
    struct ktask_private *k = t->k;
    struct thread_group *tg = t->tg;

    return ((k->pending.set | tg->shared.set) & ~k->blocked) || k->stop_pending || k->exec_kill ||
           (tg->flags & GROUP_EXIT) || kcontainer_is_paused(tg->container) ||
           cgroup_wants_frozen(tg) || ptrace_trap_due(&k->pt);
}

bool signal_recalc_locked(struct task *t)
{
    bool due = signal_due_locked(t) || atomic_load(&t->k->work_due);

    if (due)
        atomic_fetch_or(&t->curr.sleeper.interrupt, SLEEP_INTERRUPT_SIGNAL);
    else
        sleeper_clear_interrupt(&t->curr.sleeper, SLEEP_INTERRUPT_SIGNAL);
    return due;
}

static bool wants_signal(struct task *t, int signo)
{
    struct ktask_private *k = t->k;

    if ((k->blocked & sigset_bit(signo)) || k->exiting)
        return false;
    if (signo == LX_SIGKILL)
        return true;
    if (k->stopped || k->pt.stopped)
        return false;
    return t == current_task() || !(atomic_load(&t->curr.sleeper.interrupt) &
                                    (SLEEP_INTERRUPT_SIGNAL | SLEEP_INTERRUPT_KILL));
}

/* The process dies of status: SIGKILL in every thread's set. */
static void group_exit_start_locked(struct thread_group *tg, int status)
{
    struct task *t;

    tg->exit_code = status;
    atomic_fetch_or(&tg->flags, GROUP_EXIT);
    tg->stop_signo = 0;
    tg->stop_count = 0;
    for_each_thread_locked(t, tg)
    {
        t->k->stop_pending = t->k->stop_counted = false;
        if (t->k->exiting)
            continue;
        t->k->pending.set |= sigset_bit(LX_SIGKILL);
        task_kick_locked(t, /*fatal=*/true);
    }
}

void signal_group_exit_locked(struct task *t, int status)
{
    ASSERT_HELD(&t->tg->lock);
    group_exit_start_locked(t->tg, status);
}

void signal_zap_other_threads_locked(struct task *self)
{
    struct thread_group *tg = self->tg;
    struct task *t;

    tg->stop_signo = 0;
    tg->stop_count = 0;
    for_each_thread_locked(t, tg)
    {
        if (t == self || t->k->exiting)
            continue;
        t->k->stop_pending = t->k->stop_counted = false;
        t->k->exec_kill = true;
        t->k->pending.set |= sigset_bit(LX_SIGKILL);
        task_kick_locked(t, /*fatal=*/true);
    }
}

static void choose_and_wake(struct task *t, int signo, bool to_group)
{
    struct thread_group *tg = t->tg;
    struct task *pos;

    if (!wants_signal(t, signo)) {
        if (!to_group || tg->thread_count == 1)
            return;
        if (tg->target && tg->target != t && wants_signal(tg->target, signo)) {
            t = tg->target;
        } else {
            bool found = false;

            for_each_thread_locked(pos, tg)
            {
                if (wants_signal(pos, signo)) {
                    t = pos;
                    found = true;
                    break;
                }
            }
            if (!found)
                return; /* whoever unblocks it, or runs next, takes it */
        }
        tg->target = t;
    }
    if (is_fatal(t, signo) && !(tg->flags & GROUP_EXIT) &&
        !(t->k->real_blocked & sigset_bit(signo)) && !(g_core_signals & sigset_bit(signo)) &&
        (signo == LX_SIGKILL || !ptrace_is_traced(t))) {
        group_exit_start_locked(tg, signo);
        return;
    }
    task_kick_locked(t, signo == LX_SIGKILL);
}

void signal_retarget_locked(struct task *t, lx_sigset_t which)
{
    struct thread_group *tg = t->tg;
    struct task *pos;

    which &= tg->shared.set;
    if (!which)
        return;
    for_each_thread_locked(pos, tg)
    {
        if (pos == t || pos->k->exiting || !(which & ~pos->k->blocked))
            continue;
        which &= pos->k->blocked;
        task_kick_locked(pos, /*fatal=*/false);
        if (!which)
            break;
    }
}

/* ---- sending -------------------------------------------------------------------------------- */

static void flush_everywhere(struct thread_group *tg, lx_sigset_t which)
{
    struct task *t;

    sigpending_flush(&tg->shared, which);
    for_each_thread_locked(t, tg)
    {
        sigpending_flush(&t->k->pending, which);
    }
}

static void continue_group(struct thread_group *tg)
{
    uint32_t why = 0;
    struct task *t;

    if (tg->flags & GROUP_STOPPED)
        why = GROUP_CLD_CONT;
    else if (tg->stop_signo)
        why = GROUP_CLD_STOP;
    if (why) {
        atomic_fetch_and(&tg->flags, ~(GROUP_STOPPED | GROUP_CLD_STOP | GROUP_CLD_CONT));
        atomic_fetch_or(&tg->flags, why | GROUP_CONTINUED);
        tg->stop_signo = 0;
        tg->stop_count = 0;
        tg->exit_code = 0;
    }
    for_each_thread_locked(t, tg)
    {
        t->k->stop_pending = t->k->stop_counted = false;
        t->k->stop_dequeued = false;
        if (ptrace_flags(t) & PT_SEIZED)
            ptrace_trap_notify_locked(t);
        else if (t->k->stopped)
            sleeper_wake(&t->curr.sleeper);
    }
}

/* Side effects that come before the signal itself; false: it goes nowhere. */
static bool prepare(struct task *t, int signo, bool force)
{
    struct thread_group *tg = t->tg;

    if (tg->flags & GROUP_EXIT) {
        if (signo == LX_SIGKILL && tg->core)
            atomic_store(&tg->core->aborted, true);
        return false;
    }
    if (g_stop_signals & sigset_bit(signo))
        flush_everywhere(tg, sigset_bit(LX_SIGCONT));
    else if (signo == LX_SIGCONT) {
        flush_everywhere(tg, g_stop_signals);
        continue_group(tg);
    }
    if ((t->k->blocked | t->k->real_blocked) & sigset_bit(signo))
        return true;
    if (ptrace_is_traced(t) && signo != LX_SIGKILL)
        return true;
    return !task_ignores(t, signo, force);
}

static bool info_from_user(const struct lx_siginfo *info)
{
    return info && info->code <= 0;
}

int signal_send_locked(struct task *t, int signo, const struct lx_siginfo *info, bool to_group,
                       bool force)
{
    struct sigpending *p = to_group ? &t->tg->shared : &t->k->pending;
    struct sigqueue *q;

    ASSERT_HELD(&t->tg->lock);
    if (!prepare(t, signo, force))
        return 0;
    if (signo < LX_SIGRTMIN && (p->set & sigset_bit(signo)))
        return 0;
    if (signo != LX_SIGKILL) {
        q = sigqueue_new(t, signo < LX_SIGRTMIN && (!info || info->code >= 0));
        if (q) {
            if (info)
                q->info = *info;
            else
                q->info.code = LX_SI_KERNEL;
            q->info.signo = signo;
            list_add_tail(&p->queue, &q->node);
        } else if (signo >= LX_SIGRTMIN && info && info->code != LX_SI_USER) {
            return -EAGAIN;
        }
    }
    p->set |= sigset_bit(signo);
    signalfd_notify();
    choose_and_wake(t, signo, to_group);
    return 0;
}

/* A preallocated entry of a posix timer. False when it was dropped (ignored, dying). */
bool signal_send_queued_locked(struct task *t, struct sigqueue *q, bool to_group)
{
    struct sigpending *p = to_group ? &t->tg->shared : &t->k->pending;

    if (!prepare(t, q->info.signo, /*force=*/false))
        return false;
    list_add_tail(&p->queue, &q->node);
    p->set |= sigset_bit(q->info.signo);
    signalfd_notify();
    choose_and_wake(t, q->info.signo, to_group);
    return true;
}

static int send(struct task *t, int signo, const struct lx_siginfo *info, bool to_group)
{
    struct lx_siginfo copy;
    bool force = !info_from_user(info);
    int ret;

    if (info_from_user(info) && curr()->pidns != t->curr.pidns && curr()->tgid) {
        /* The receiver sees the sender's number in its own namespace, 0 from outside of it. */
        copy = *info;
        if (info->code != LX_SI_TIMER && info->code != LX_SI_SIGIO)
            copy.rt.pid = pid_nr_in(curr()->tgid, t->curr.pidns);
        force = pid_nr_in(curr()->tgid, t->curr.pidns) == 0;
        info = &copy;
    }
    mutex_lock(&t->tg->lock);
    ret = signal_send_locked(t, signo, info, to_group, force);
    mutex_unlock(&t->tg->lock);
    return ret;
}

int signal_send_task(struct task *t, int signo, const struct lx_siginfo *info)
{
    return send(t, signo, info, /*to_group=*/false);
}

int signal_send_process(struct task *any_thread, int signo, const struct lx_siginfo *info)
{
    return send(any_thread, signo, info, /*to_group=*/true);
}

void signal_force(struct task *t, int signo, const struct lx_siginfo *info)
{
    struct thread_group *tg = t->tg;
    struct lx_sigaction *sa;
    bool blocked;

    mutex_lock(&tg->lock);
    blocked = t->k->blocked & sigset_bit(signo);
    mutex_lock(&tg->sighand->lock);
    sa = &tg->sighand->action[signo - 1];
    if (blocked || sa->handler == LX_SIG_IGN) {
        sa->handler = LX_SIG_DFL;
        t->k->blocked &= ~sigset_bit(signo);
    }
    if (sa->handler == LX_SIG_DFL)
        atomic_fetch_and(&tg->flags, ~GROUP_UNKILLABLE);
    mutex_unlock(&tg->sighand->lock);
    (void)signal_send_locked(t, signo, info, /*to_group=*/false,
                             /*force=*/true); /* 0 by override */
    signal_recalc_locked(t);
    mutex_unlock(&tg->lock);
}

void signal_force_segv(struct task *t, int signo)
{
    struct thread_group *tg = t->tg;

    if (signo == LX_SIGSEGV) {
        /* The SIGSEGV handler itself cannot run: it must not get a second chance. */
        mutex_lock(&tg->lock);
        mutex_lock(&tg->sighand->lock);
        tg->sighand->action[LX_SIGSEGV - 1].handler = LX_SIG_DFL;
        mutex_unlock(&tg->sighand->lock);
        mutex_unlock(&tg->lock);
    }
    signal_force(t, LX_SIGSEGV, NULL);
}

/* ---- taking --------------------------------------------------------------------------------- */

static int next_signal(const struct sigpending *p, lx_sigset_t blocked)
{
    lx_sigset_t set = p->set & ~blocked;

    if (!set)
        return 0;
    if (set & g_synchronous)
        set &= g_synchronous;
    return __builtin_ctzll(set) + 1;
}

static void collect(struct sigpending *p, int signo, struct lx_siginfo *out)
{
    struct sigqueue *q, *found = NULL;
    bool more = false;

    list_for_each_entry(q, &p->queue, node) {
        if (q->info.signo != signo)
            continue;
        if (found) {
            more = true;
            break;
        }
        found = q;
    }
    if (!more)
        p->set &= ~sigset_bit(signo);
    if (!found) {
        memset(out, 0, sizeof(*out));
        out->signo = signo;
        return;
    }
    list_del(&found->node);
    *out = found->info;
    if (found->timer)
        posix_timer_dequeued(found->timer, out);
    sigqueue_free(found);
}

int signal_dequeue_locked(struct task *t, lx_sigset_t blocked, struct lx_siginfo *out)
{
    int signo;

    ASSERT_HELD(&t->tg->lock);
    signo = next_signal(&t->k->pending, blocked);
    if (signo) {
        collect(&t->k->pending, signo, out);
        return signo;
    }
    signo = next_signal(&t->tg->shared, blocked);
    if (signo)
        collect(&t->tg->shared, signo, out);
    return signo;
}

/* ---- masks ---------------------------------------------------------------------------------- */

void signal_block(struct task *t, lx_sigset_t mask)
{
    struct ktask_private *k = t->k;

    mask &= ~g_unmaskable;
    if (k->blocked == mask)
        return;
    mutex_lock(&t->tg->lock);
    /* Shared signals that this thread no longer takes may be another's. */
    if (t->tg->thread_count > 1)
        signal_retarget_locked(t, mask & ~k->blocked);
    k->blocked = mask;
    signal_recalc_locked(t);
    mutex_unlock(&t->tg->lock);
}

void signal_set_temporary_mask(struct task *t, lx_sigset_t mask)
{
    t->k->saved_mask = t->k->blocked;
    t->k->restore_mask = true;
    signal_block(t, mask);
}

lx_sigset_t signal_mask(const struct task *t)
{
    return t->k->blocked;
}

lx_sigset_t signal_pending(struct task *t)
{
    lx_sigset_t set;

    mutex_lock(&t->tg->lock);
    set = t->k->pending.set | t->tg->shared.set;
    mutex_unlock(&t->tg->lock);
    return set;
}
