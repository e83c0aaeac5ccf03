/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The task loop: one host thread per guest thread, alternating between guest code (ctx_run) and the
 * answer to what stopped it. The path of a system call takes no lock: two stores and a load tell
 * others whether the task is in guest code.
 *
 * in_guest protocol. The loop stores in_guest = 1 and then reads the interrupt bits; whoever wants
 * the task sets a bit and then reads in_guest (task_kick_locked). Both are sequentially consistent,
 * so either the loop sees the bit or the other sees in_guest and calls ctx_interrupt, which is
 * never lost even when it arrives before ctx_run began.
 */
#include "sentry/kernel/kernel_internal.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "platform/base/log.h"
#include "platform/base/placement.h"
#include "sentry/kernel/oom.h"
#include "sentry/kernel/seccomp.h"
#include "sentry/loader/vdso.h"
#include "sentry/mm/mm.h"
#include "sentry/mm/thread.h"
#include "sentry/mm/uaccess.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { TASK_STACK_SIZE = 1024 * 1024 };
#else
enum { TASK_STACK_SIZE = 128 * 1024 };
#endif

enum { GATE_CLOSED, GATE_RUN, GATE_ABORT };

enum { TRAP_PAGE_FAULT = 14 };
#define PF_ERR_WRITE 2u
#define PF_ERR_USER  4u
#define PF_ERR_EXEC  16u

/* ---- events --------------------------------------------------------------------------------- */

/* What Linux writes to the kernel log of a program that dies of a fault; at=: what no mapping allowed. */
static void log_unhandled(struct task *t, const struct lx_siginfo *info, int fault)
{
    const struct lx_regs *r = task_regs(t);
    struct thread_group *tg = t->tg;
    bool handled;

    mutex_lock(&tg->lock);
    mutex_lock(&tg->sighand->lock);
    handled = tg->sighand->action[info->signo - 1].handler != LX_SIG_DFL;
    mutex_unlock(&tg->sighand->lock);
    mutex_unlock(&tg->lock);
    if (handled || ptrace_is_traced(t))
        return;
    log_info(LOG_KERNEL, "%s: signal %d code %d at %#lx ip %#lx sp %#lx error %lx: %d", t->comm,
             info->signo, info->code, (unsigned long)info->fault.addr, (unsigned long)r->rip,
             (unsigned long)r->rsp, (unsigned long)t->k->trap_err, fault);
}

static void handle_fault(struct task *t, const struct platform_event *ev)
{
    struct lx_siginfo info = {.signo = LX_SIGSEGV};
    struct ktask_private *k = t->k;
    int code = LX_SEGV_MAPERR, ret;

    ret = mm_handle_fault(t->curr.mm, ev, &t->regs, &code);
    if (unlikely(memory_took_long()))
        memory_throttle();
    if (likely(ret == 0))
        return;
    k->trapno = TRAP_PAGE_FAULT;
    k->trap_cr2 = ev->fault_addr;
    k->trap_err = PF_ERR_USER | (ev->fault_access & PLATFORM_ACCESS_WRITE ? PF_ERR_WRITE : 0) |
                  (ev->fault_access & PLATFORM_ACCESS_EXEC ? PF_ERR_EXEC : 0) |
                  (code == LX_SEGV_ACCERR ? 1 : 0);
    info.fault.addr = ev->fault_addr;
    switch (ret) {
    case -ENXIO:
        info.signo = LX_SIGBUS;
        info.code = LX_BUS_ADRERR;
        break;
    case -ENOMEM:
        if (atomic_load(&t->curr.sleeper.interrupt) & SLEEP_INTERRUPT_KILL)
            return; /* the OOM killer's choice, or dying already */
        log_warn(LOG_MM, "out of guest memory: killing the faulting process");
        (void)signal_send_process(t, LX_SIGKILL, NULL); /* SIGKILL is never refused */
        return;
    default:
        info.code = code;
        break;
    }
    log_unhandled(t, &info, ret);
    signal_force(t, info.signo, &info);
}

static void handle_exception(struct task *t, const struct platform_event *ev)
{
    static const uint8_t trapno_of[32] = {
        [LX_SIGTRAP] = 3, [LX_SIGILL] = 6, [LX_SIGFPE] = 0, [LX_SIGSEGV] = 13, [LX_SIGBUS] = 17,
    };
    struct lx_siginfo info = {.signo = ev->signo, .code = ev->code};

    if (ev->signo < 1 || ev->signo > 31)
        return;
    if (ev->signo == LX_SIGTRAP && ev->code == LX_TRAP_TRACE && !ptrace_step_trap(t))
        return;
    info.fault.addr = ev->addr;
    t->k->trapno = trapno_of[ev->signo];
    t->k->trap_err = 0;
    log_unhandled(t, &info, 0);
    signal_force(t, ev->signo, &info);
}

static bool is_restart_code(long ret)
{
    return ret <= -ERESTARTSYS && ret >= -ERESTART_RESTARTBLOCK;
}

/* The slow end of a system call: it was interrupted, or a temporary signal mask is in force. */
static void syscall_epilogue(struct task *t, long ret)
{
    if ((int64_t)t->regs.orig_rax < 0)
        return; /* rt_sigreturn: rax is the guest's own */
    if (is_restart_code(ret) || (t->k->restore_mask && ret == -EINTR)) {
        atomic_fetch_or(&t->curr.sleeper.interrupt, SLEEP_INTERRUPT_SIGNAL);
    } else if (t->k->restore_mask) {
        t->k->restore_mask = false;
        signal_block(t, t->k->saved_mask);
    }
}

static long dispatch_traced(struct task *t)
{
    struct lx_regs at_entry = t->regs;
    long ret;

    g_syscall_trace_ops->enter(t, &at_entry);
    ret = syscall_dispatch(t, &t->regs);
    g_syscall_trace_ops->exit(t, &at_entry, ret);
    return ret;
}

/* The call in t->regs. False: a tracer or a filter took it away, rax is what they left there. */
static bool make_call(struct task *t, long *out_ret)
{
    struct ktask_private *k = t->k;

    if (unlikely(k->user_dispatch.on) && user_dispatch_catches(t, out_ret))
        return true;
    if (unlikely(k->seccomp_mode) && !(ptrace_flags(t) & PT_SUSPEND_SECCOMP) &&
        !seccomp_allows(t, out_ret))
        return true; /* *out_ret is the answer */
    if (unlikely((int32_t)t->regs.orig_rax == -1))
        return false;
    if (unlikely(g_syscall_trace_ops))
        *out_ret = dispatch_traced(t);
    else
        *out_ret = syscall_dispatch(t, &t->regs);
    return true;
}

static void handle_syscall(struct task *t)
{
    struct ktask_private *k = t->k;
    bool made = true;
    long ret;

    k->syscall_nr = (int64_t)t->regs.orig_rax;
    if (unlikely(ptrace_flags(t) & PT_CALL_WORK))
        made = ptrace_syscall_entry(t);
    if (likely(made))
        made = make_call(t, &ret);
    if (likely(made)) {
        if (unlikely(k->after_call)) {
            k->call_result = ret;
            task_after_call(t);
            ret = k->call_result;
        }
        t->regs.rax = (uint64_t)ret;
    }
    vdso_tick();
    if (unlikely(ptrace_flags(t) & PT_CALL_WORK))
        ptrace_syscall_exit(t);
    k->syscall_nr = -1;
    ret = (long)t->regs.rax;
    if (unlikely((unsigned long)ret >= -4095ul || k->restore_mask))
        syscall_epilogue(t, ret);
}

struct lx_regs *task_regs(struct task *t)
{
    if (t->regs_partial) {
        g_platform_ops->ctx_regs_pull(t->ctx, &t->regs);
        t->regs_partial = false;
    }
    return &t->regs;
}

void task_run(struct task *t)
{
    const struct platform_ops *ops = g_platform_ops;
    struct ktask_private *k = t->k;
    atomic_uint *interrupt = &t->curr.sleeper.interrupt;
    struct platform_event ev = {0};
    uint64_t start;
    int ret;

    for (;;) {
        if (unlikely(atomic_load_explicit(interrupt, memory_order_relaxed)) && !task_work(t))
            return;
        if (unlikely(atomic_load_explicit(k->rseq_watch, memory_order_relaxed) != k->rseq_seen) &&
            !rseq_follow(t)) {
            task_group_exit(t, LX_SIGSEGV);
            return;
        }
        atomic_store(&k->in_guest, 1); /* seq_cst: before the load below, see file header */
        if (unlikely(atomic_load(interrupt))) {
            atomic_store(&k->in_guest, 0);
            continue;
        }
        start = cycles_now();
        /* relaxed: accounting only, read by others without order. */
        atomic_store_explicit(&k->enter_cycles, start, memory_order_relaxed);
        ret = ops->ctx_run(t->ctx, &t->regs, &ev);
        atomic_store_explicit(&k->guest_cycles,
                              atomic_load_explicit(&k->guest_cycles, memory_order_relaxed) +
                                  (cycles_now() - start),
                              memory_order_relaxed);
        atomic_store_explicit(&k->enter_cycles, 0, memory_order_relaxed);
        if (unlikely(ev.owner_looked | ev.guest_looked))
            cputime_looked(k, &ev);
        /* release: whatever follows may free ctx; pairs with nothing stronger than the group lock.
         */
        atomic_store_explicit(&k->in_guest, 0, memory_order_release);
        if (unlikely(ret < 0))
            ev.kind = PLATFORM_DEAD;
        t->regs_partial = ev.kind == PLATFORM_SYSCALL;
        if (k->rseq_area && ev.kind != PLATFORM_SYSCALL && unlikely(!rseq_abort(t))) {
            /* Linux: SIGSEGV, and the frame of a handler would fail the same way. */
            task_group_exit(t, LX_SIGSEGV);
            return;
        }
        switch (ev.kind) {
        case PLATFORM_SYSCALL:
            if (unlikely(ev.hot_site))
                task_site_hot(t);
            handle_syscall(t);
            break;
        case PLATFORM_FAULT:
            t->regs.orig_rax = (uint64_t)-1;
            handle_fault(t, &ev);
            break;
        case PLATFORM_EXCEPTION:
            t->regs.orig_rax = (uint64_t)-1;
            handle_exception(t, &ev);
            break;
        case PLATFORM_INTERRUPTED:
            t->regs.orig_rax = (uint64_t)-1;
            k->nivcsw++;
            break;
        case PLATFORM_DEAD:
            log_debug(LOG_KERNEL, "task lost its host thread");
            task_group_exit(t, LX_SIGKILL);
            return;
        }
    }
}

/* ---- host threads --------------------------------------------------------------------------- */

/*
 * A host thread whose task ended waits for the next one: a tenth of what it costs to end and to make
 * one. It sleeps until the task's gate opens, so a fork does not wake it for nothing.
 */
struct parked {
    struct list node;      /* park lock, while on the list */
    struct task *promised; /* park lock: whose gate it waits for; compared only */
    struct task *task;     /* park lock: run this one */
    struct cond wake;      /* with the park lock */
    pid_t tid;             /* I */
    int cpu;               /* I: where it is bound, if it is */
};

enum { PARKED_MAX = 8 }; /* some 20 KiB each */

static struct {
    struct mutex lock; /* rank LEAF */
    struct list threads;
    unsigned count;
} g_park;
static pthread_once_t g_park_once = PTHREAD_ONCE_INIT;

static void park_init(void)
{
    mutex_init(&g_park.lock, RANK_LEAF);
    list_init(&g_park.threads);
}

/* The next task of the calling thread; NULL: enough threads wait. */
static struct task *park(void)
{
    struct parked me = {.tid = gettid(), .cpu = sched_getcpu()};

    cond_init(&me.wake);
    mutex_lock(&g_park.lock);
    if (g_park.count < PARKED_MAX) {
        list_add(&g_park.threads, &me.node);
        g_park.count++;
        while (!me.task)
            cond_wait(&me.wake, &g_park.lock);
    }
    mutex_unlock(&g_park.lock);
    return me.task;
}

/* A thread that waits will be t's once t's gate opens. False: there is none. */
static bool unpark(struct task *t)
{
    struct parked *p;
    bool found = false;

    pthread_once(&g_park_once, park_init);
    mutex_lock(&g_park.lock);
    list_for_each_entry(p, &g_park.threads, node) {
        if (p->promised)
            continue;
        p->promised = t;
        found = true;
        break;
    }
    mutex_unlock(&g_park.lock);
    return found;
}

/* Wakes the thread that waits for t; false: t has another. */
static bool unpark_run(struct task *t)
{
    struct parked *p;
    bool found = false;

    mutex_lock(&g_park.lock);
    list_for_each_entry(p, &g_park.threads, node) {
        if (p->promised != t)
            continue;
        /* To where the caller runs: to wake an idle CPU costs more than all the rest. */
        if (p->cpu != sched_getcpu())
            placement_follow(p->tid);
        list_del(&p->node);
        g_park.count--;
        p->task = t;
        cond_wake_one(&p->wake);
        found = true;
        break;
    }
    mutex_unlock(&g_park.lock);
    return found;
}

static void task_thread_run(struct task *t)
{
    struct ktask_private *k = t->k;
    unsigned gate;

    g_curr = &t->curr;
    while ((gate = atomic_load(&k->gate)) == GATE_CLOSED)
        IGNORE_RESULT(task_block_killable(NO_DEADLINE)); /* looks again */
    if (gate == GATE_RUN) {
        cputime_thread_begin(t);
        if (k->set_child_tid) {
            lx_pid_t tid = pid_nr(t->curr.tid);

            IGNORE_RESULT(put_user(&tid, k->set_child_tid)); /* Linux ignores the failure */
        }
        task_run(t);
        core_dump_join(t);
        ptrace_exit_stop(t);
        cputime_thread_end(t);
        task_exit(t);
    }
    g_curr = NULL;
    task_put(t);
}

static void *task_thread_main(void *arg)
{
    struct task *t = arg;

    do {
        mm_thread_reset();
        task_thread_run(t);
    } while ((t = park()) != NULL);
    return NULL;
}

int task_thread_start(struct task *t)
{
    pthread_attr_t attr;
    sigset_t all, old;
    pthread_t thread;
    int ret;

    task_get(t); /* the thread's own, put at its end */
    if (unpark(t))
        return 0;
    pthread_attr_init(&attr);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attr, TASK_STACK_SIZE);
    /* Host signals belong to the main thread; faults inside copies cannot be blocked. A task's own
     * thread has the right mask already and hands it down. */
    if (!current_task()) {
        sigfillset(&all);
        sigdelset(&all, SIGSEGV);
        sigdelset(&all, SIGBUS);
        pthread_sigmask(SIG_SETMASK, &all, &old);
    }
    ret = pthread_create(&thread, &attr, task_thread_main, t);
    if (!current_task())
        pthread_sigmask(SIG_SETMASK, &old, NULL);
    pthread_attr_destroy(&attr);
    if (ret) {
        atomic_fetch_sub(&t->refs.count, 1); /* never the last: the caller has one */
        return -EAGAIN;
    }
    return 0;
}

static void gate_open(struct task *t, unsigned how)
{
    task_get(t); /* past the gate it may end and be reaped before it is woken */
    atomic_store(&t->k->gate, how);
    if (!unpark_run(t))
        sleeper_wake(&t->curr.sleeper);
    task_put(t);
}

void task_thread_go(struct task *t)
{
    gate_open(t, GATE_RUN);
}

void task_thread_abort(struct task *t)
{
    gate_open(t, GATE_ABORT);
}
