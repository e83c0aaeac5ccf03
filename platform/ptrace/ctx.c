/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Guest threads: the run loop.
 *
 * One run of guest code costs PTRACE_SYSEMU, a hand-over (stub_wait), PTRACE_GETREGS and, before
 * it, one PTRACE_POKEUSER for rax; everything else is done only when something differs.
 *
 * seq and interrupt: the owner makes seq odd, then looks at interrupt and space->pending; others
 * set those first and then look at seq. One of the two sees the other, so a request is either met
 * before guest code runs or the requester sends the kick signal. A kick that lands late stops the
 * stub once more for nothing, and is swallowed.
 */
#include <errno.h>
#include <linux/audit.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "platform/base/log.h"
#include "platform/host/proc.h"
#include "platform/ptrace/ptrace_internal.h"

enum {
    SYSCALL_STOP = SIGTRAP | 0x80,
    USER64_CS = 0x33,
#ifdef RUNSC_DEBUG
    HIDE_REGS = 1,
#else
    HIDE_REGS = 0,
#endif
};

static _Thread_local struct platform_ctx *g_current;

struct platform_ctx *ctx_current(void)
{
    return g_current;
}

void ctx_kick(struct platform_ctx *c)
{
    pid_t pid = atomic_load(&c->host_pid);

    if (pid)
        (void)host_tgkill(pid, pid, STUB_KICK_SIGNAL); /* gone is fine */
}

void ctx_kill(struct platform_ctx *c)
{
    pid_t pid = atomic_load(&c->host_pid);

    if (pid)
        (void)host_kill(pid, SIGKILL); /* gone is fine */
}

void ptrace_ctx_interrupt(struct platform_ctx *c)
{
    if (atomic_exchange(&c->interrupt, 1) == 0 && (atomic_load(&c->seq) & 1))
        ctx_kick(c);
}

static struct platform_ctx *ctx_alloc(struct platform_space *s)
{
    struct platform_ctx *c = calloc(1, sizeof(*c));

    if (!c)
        return NULL;
    c->space = s;
    c->rseq_slot = SLOT_NONE;
    list_init(&c->node);
    placement_init(&c->place);
    return c;
}

int ptrace_ctx_new(struct platform_space *s, struct platform_ctx *creator,
                   struct platform_ctx **out)
{
    struct platform_ctx *c = ctx_alloc(s);
    int ret;

    if (!c)
        return -ENOMEM;
    if (creator && creator->space == s) {
        ret = ctx_bind(creator);
        if (ret < 0)
            goto fail;
        creator->hw_valid = false;
        ret = stub_clone(&creator->stub, /*share_memory=*/true, &c->stub);
        if (ret < 0)
            goto fail;
        atomic_store(&c->host_pid, c->stub.pid);
        c->fpu_parent = creator;
        c->fpu_parent_seq = atomic_load(&creator->seq);
    }
    mutex_lock(&s->base.lock);
    ret = c->stub.pid ? 0 : space_take_stub_locked(s, c);
    if (ret == 0) {
        list_add_tail(&s->base.ctxs, &c->node);
        s->base.ctx_count++;
    }
    mutex_unlock(&s->base.lock);
    if (ret < 0)
        goto fail;
    c->fpu = CTX_FPU_RESET;
    *out = c;
    return 0;
fail:
    free(c);
    return ret == -ESRCH ? -EAGAIN : ret;
}

void ptrace_ctx_free(struct platform_ctx *c)
{
    placement_detach(&c->place);
    space_leave(c->space, c);
    if (g_current == c)
        g_current = NULL;
    free(c->xs_pending);
    free(c);
}

int ptrace_ctx_switch_space(struct platform_ctx *c, struct platform_space *s)
{
    struct platform_ctx fresh = {0};
    int ret;

    if (c->space == s)
        return 0;
    mutex_lock(&s->base.lock);
    ret = space_take_stub_locked(s, &fresh);
    if (ret == 0)
        s->base.ctx_count++; /* keeps the space's stub rules right until c is on the list */
    mutex_unlock(&s->base.lock);
    if (ret < 0)
        return ret;
    space_leave(c->space, c);
    c->space = s;
    c->stub = fresh.stub;
    placement_new_program(&c->place);
    c->hw_valid = c->partial.hidden = false;
    c->fpu = CTX_FPU_RESET;
    c->fpu_parent = NULL;
    atomic_store(&c->host_pid, c->stub.pid);
    mutex_lock(&s->base.lock);
    list_add_tail(&s->base.ctxs, &c->node);
    mutex_unlock(&s->base.lock);
    return 0;
}

/* Its alias and the host's registration, in one go: nothing else is queued, nothing registered. */
static int rseq_begin_locked(struct platform_ctx *c, int fd, uint64_t offset, uint32_t sig)
    REQUIRES(c->space->base.lock)
{
    struct stub_rseq *r = &c->rseq;
    const uaddr_t area = r->alias + (offset & (LX_PAGE_SIZE - 1));
    int error, ret = rangeset_add(&c->space->base.mapped, r->alias, r->alias + LX_PAGE_SIZE);

    if (ret < 0)
        return ret;
    c->space->base.dirty = true;
    c->hw_valid = false;
    ret = stub_syscall_pair(
        &c->stub,
        (const struct stub_args[2]){
            {SYS_mmap,
             {r->alias, LX_PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED | MAP_POPULATE,
              (uint64_t)fd, align_down(offset, LX_PAGE_SIZE)}},
            {SYS_rseq, {area, RSEQ_AREA_SIZE, 0, sig}}},
        &error);
    if (ret < 0)
        return ret == -ESRCH ? 0 : ret; /* the next run says DEAD */
    stub_rseq_set(r, /*guest=*/true, offset, sig);
    if (ret == 2)
        r->host = r->wanted;
    return ret == 2 ? 0 : -ENOMEM;
}

/* The alias shows its own page. */
static int rseq_end(struct platform_ctx *c)
{
    const struct stub_rseq_area *old = &c->rseq.host;
    int ret;

    ASSERT(!c->rseq.guest); /* the kernel registers another area after it ended the first */
    c->hw_valid = false;
    ret = (int)stub_syscall(
        &c->stub, SYS_rseq,
        (const uint64_t[6]){old->addr, RSEQ_AREA_SIZE, RSEQ_UNREGISTER, old->sig});
    c->rseq.host.addr = 0;
    return ret;
}

int ptrace_ctx_rseq(struct platform_ctx *c, int fd, uint64_t offset, uint32_t sig)
{
    struct platform *p = c->space->platform;
    int ret;

    if (!p->base.has_rseq)
        return -EOPNOTSUPP;
    ret = ctx_bind(c);
    if (ret < 0)
        return ret == -ESRCH ? 0 : ret; /* the next run says DEAD */
    if (c->rseq_slot == SLOT_NONE) {
        c->rseq_slot = slots_get(&p->aliases);
        if (c->rseq_slot == SLOT_NONE)
            return -EAGAIN;
        memset(slots_at(&p->aliases, c->rseq_slot), 0, STUB_PAGE);
        c->rseq =
            (struct stub_rseq){.alias = p->base.high + (uaddr_t)(c->rseq_slot + 1) * STUB_PAGE,
                               .own = &p->aliases,
                               .own_off = (uint64_t)c->rseq_slot * STUB_PAGE};
    }
    if (fd >= 0 && stub_rseq_differs(&c->rseq, offset, sig)) {
        ret = rseq_end(c);
        if (ret < 0)
            return ret == -ESRCH ? 0 : ret; /* the next run says DEAD */
    }
    mutex_lock(&c->space->base.lock);
    if (fd >= 0 && c->space->base.queue.count == 0 && !c->rseq.host.addr)
        ret = rseq_begin_locked(c, fd, offset, sig);
    else
        ret = stub_rseq_point_locked(&c->space->base, c, &c->rseq, fd, offset, sig);
    mutex_unlock(&c->space->base.lock);
    return ret;
}

/* The area that the stub shall have, after its alias is there. */
static int rseq_commit(struct platform_ctx *c)
{
    const struct stub_rseq_area *new = &c->rseq.wanted;
    int ret;

    ret = stub_space_drain(&c->space->base, c);
    if (ret < 0)
        return ret;
    c->hw_valid = false;
    ret = (int)stub_syscall(&c->stub, SYS_rseq,
                            (const uint64_t[6]){new->addr, RSEQ_AREA_SIZE, 0, new->sig});
    c->rseq.host = *new;
    return MIN(ret, 0);
}

void ptrace_ctx_set_cpus(struct platform_ctx *c, const cpu_set_t *cpus)
{
    placement_limit(&c->place, cpus);
}

int ptrace_ctx_cpu_clock(struct platform_ctx *c)
{
    pid_t pid = atomic_load(&c->host_pid);

    return pid ? host_cpu_clock(pid, /*thread=*/false) : 0;
}

int ctx_bind(struct platform_ctx *c)
{
    int ret;

    if (likely(c->stub.seized && c->fpu == CTX_FPU_OWN)) {
        g_current = c;
        return 0;
    }
    if (!c->stub.pid)
        return -ESRCH;
    g_current = c;
    if (!c->stub.seized) {
        /* First: a parked stub must not be woken on another CPU. */
        placement_attach(&c->place, c->stub.pid, &c->seq);
        ret = stub_seize(&c->stub);
        if (ret < 0) {
            atomic_store(&c->host_pid, 0);
            return ret;
        }
        c->hw_valid = false;
    }
    return ctx_xstate_load(c);
}

static void leave_guest(struct platform_ctx *c)
{
    atomic_fetch_add(&c->seq, 1);
    if (unlikely(atomic_load(&c->space->barrier_waiters)))
        space_left_guest(c->space);
}

/* May guest code run? Applies the queue on the way. 1: yes, seq is odd. 0: interrupted. */
static int enter_guest(struct platform_ctx *c, const struct lx_regs *regs)
{
    int ret;

    for (;;) {
        if (unlikely(atomic_load(&c->interrupt))) {
            atomic_store(&c->interrupt, 0);
            return 0;
        }
        if (lazy_must_drain(&c->lazy, atomic_load(&c->space->base.pending))) {
            ret = stub_space_drain(&c->space->base, c);
            if (ret < 0)
                return ret;
            c->lazy.runs = 0;
        }
        if (unlikely(stub_rseq_due(&c->rseq))) {
            ret = rseq_commit(c);
            if (ret < 0)
                return ret;
        }
        ret = ctx_regs_commit(c, regs);
        if (ret < 0)
            return ret;
        atomic_fetch_add(&c->seq, 1);
        if (likely(!atomic_load(&c->interrupt) &&
                   atomic_load(&c->space->base.pending) != PENDING_FORCED))
            return 1;
        leave_guest(c);
    }
}

/* The system call that a 64-bit `syscall` made, or something else that entered the kernel? */
static bool is_64bit_call(struct platform_ctx *c)
{
    struct __ptrace_syscall_info info;

    /* The instruction leaves its return address in rcx. A guest that fakes this for int 0x80 gets a
     * 64-bit call of its own making. */
    if (likely(c->hw.cs == USER64_CS && c->hw.rcx == c->hw.rip))
        return true;
    return host_ptrace(PTRACE_GET_SYSCALL_INFO, c->stub.pid, sizeof(info), (unsigned long)&info) >
               0 &&
           info.arch == AUDIT_ARCH_X86_64;
}

static void event_exception(struct platform_event *ev, int signo, int code, uaddr_t addr)
{
    *ev = (struct platform_event){
        .kind = PLATFORM_EXCEPTION, .signo = signo, .code = code, .addr = addr};
}

/* Hardware exceptions only; *regs is what the guest has. 1: *ev is an event. 0: run on. */
static int decode_signal(struct platform_ctx *c, const siginfo_t *si, struct lx_regs *regs,
                         struct platform_event *ev)
{
    uaddr_t addr = (uaddr_t)si->si_addr;
    int sig = si->si_signo, code = si->si_code;

    if (code <= 0)
        return 0; /* a kick, or sent by somebody outside: not the guest's doing */
    if (sig == SIGSYS) {
        /* A legacy vsyscall, refused by the stub's filter after it returned to its caller. */
        regs->orig_rax = (uint64_t)si->si_syscall;
        regs->rax = (uint64_t)-ENOSYS;
        *ev = (struct platform_event){.kind = PLATFORM_SYSCALL};
        return 1;
    }
    if ((sig == SIGSEGV && (code == SEGV_MAPERR || code == SEGV_ACCERR || code == SEGV_PKUERR)) ||
        (sig == SIGBUS && code != BUS_ADRALN && code != SI_KERNEL)) {
        c->lazy.drain_next = true;
        if (atomic_load(&c->space->base.pending) != PENDING_NONE && sig == SIGSEGV &&
            stub_space_addr_pending(&c->space->base, addr)) {
            lazy_missed(&c->lazy);
            return 0;
        }
        *ev = (struct platform_event){.kind = PLATFORM_FAULT,
                                      .fault_addr = addr,
                                      .fault_bus = sig == SIGBUS ||
                                                   stub_space_addr_bad(&c->space->base, addr),
                                      .code = code};
        return 1;
    }
    if (sig != SIGSEGV && sig != SIGBUS && sig != SIGFPE && sig != SIGILL && sig != SIGTRAP)
        return 0;
    event_exception(ev, sig, code, code == SI_KERNEL ? 0 : addr);
    return 1;
}

static int event_syscall(struct platform_ctx *c, struct lx_regs *regs, struct platform_event *ev)
{
    if (likely(is_64bit_call(c))) {
        ev->kind = PLATFORM_SYSCALL;
        return 1;
    }
    /* 32-bit entries are not offered: as on a host without IA32 emulation. */
    event_exception(ev, SIGSEGV, SI_KERNEL, 0);
    regs->orig_rax = UINT64_MAX;
    return 1;
}

/* Lets guest code run until the next stop; seq is odd on entry, even afterwards. 1: *ev is an
 * event. 0: nothing for the guest, run on. -ESRCH: the stub is dead. */
static int run_once(struct platform_ctx *c, struct lx_regs *regs, struct platform_event *ev)
{
    siginfo_t si;
    int ret;

    /* ESRCH: SIGKILL took it out of the stop; the wait tells. */
    (void)host_ptrace(PTRACE_SYSEMU, c->stub.pid, 0, 0);
    ret = stub_wait(&c->stub, &c->hw);
    leave_guest(c);
    c->hw_valid = ret == 0;
    if (ret < 0)
        return ret;
    *regs = c->hw;
    /* A system call stop shows in the registers: ctx_regs_commit never resumes with this pair. */
    if (likely(regs->rax == (uint64_t)-ENOSYS && regs->orig_rax != UINT64_MAX))
        return event_syscall(c, regs, ev);
    if (host_ptrace(PTRACE_GETSIGINFO, c->stub.pid, 0, (unsigned long)&si) < 0)
        return -ESRCH;
    if (si.si_signo == SIGTRAP && si.si_code == SYSCALL_STOP)
        return event_syscall(c, regs, ev); /* system call number -1 */
    regs->orig_rax = UINT64_MAX;
    if (si.si_code >> 8)
        return 0; /* group stop or a leftover PTRACE_INTERRUPT */
    return decode_signal(c, &si, regs, ev);
}

int ptrace_ctx_run(struct platform_ctx *c, struct lx_regs *regs, struct platform_event *ev)
{
    int ret;

    ASSERT_NONE_HELD();
    if (HIDE_REGS)
        partial_push(&c->partial, regs);
    ret = ctx_bind(c);
    if (ret < 0)
        goto dead;
    placement_running();
    do {
        ret = enter_guest(c, regs);
        if (ret <= 0)
            break;
        ret = run_once(c, regs, ev);
        /* It may have left a critical section, of which the host knows nothing more once the stub
         * made calls of its own: the caller must see it. */
    } while (ret == 0 && !c->rseq.guest);
    if (likely(ret > 0)) {
        if (HIDE_REGS && ev->kind == PLATFORM_SYSCALL)
            partial_hide(&c->partial, regs);
        return 0;
    }
    if (ret == 0) {
        *ev = (struct platform_event){.kind = PLATFORM_INTERRUPTED};
        return 0;
    }
dead:
    if (ret != -ESRCH)
        log_warn(LOG_PLATFORM, "ptrace: guest thread lost: error %d", -ret);
    stub_kill(&c->stub);
    atomic_store(&c->host_pid, 0);
    *ev = (struct platform_event){.kind = PLATFORM_DEAD};
    return 0;
}

void ptrace_ctx_regs_pull(struct platform_ctx *c, struct lx_regs *regs)
{
    partial_pull(&c->partial, regs);
}
