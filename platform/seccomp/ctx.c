/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Guest threads: the run loop.
 *
 * One run costs two host calls: answering the pending notification and receiving the next. The
 * owner's thread and the stub share a CPU and the host wakes the other side synchronously, so
 * neither is ever run beside the other.
 *
 * While a lane is open, calls come and results go through the slot instead (lane.c).
 *
 * Registers. A call shows its number, arguments and address. All others come through a signal frame
 * (frame.c): the kick signal takes the waiting stub out of its call and into its handler, which
 * rings; the host has made the frame look as if the call had not happened yet (SA_RESTART), and the
 * sentry puts the state after the call into it. The way back loads the frame.
 *
 * seq and interrupt: the owner makes seq odd, then looks at interrupt and space->pending; others
 * set those first and then look at seq. One of the two sees the other, so a request is either met
 * before guest code runs or the requester sends the kick signal. A kick that lands late takes the
 * stub through its handler once more for nothing.
 */
#include <errno.h>
#include <linux/audit.h>
#include <stdlib.h>
#include <string.h>

#include "platform/base/log.h"
#include "platform/host/proc.h"
#include "platform/partial.h"
#include "platform/seccomp/seccomp_internal.h"

enum {
    SYSCALL_INSN_SIZE = 2,
    TRAP_PAGE_FAULT = 14,
    PF_WRITE = 2,
    PF_EXEC = 16,
    RESTART_FIRST = 512, /* ERESTARTSYS .. ERESTART_RESTARTBLOCK: the host acts on these */
    RESTART_LAST = 516,
    USER64_CS = 0x33,
    USER_SS = 0x2b,
    SEGV_PKUERR_CODE = 4,
};
#define VSYSCALL_START 0xffffffffff600000ul

static int pull_frame(struct platform_ctx *c);

static struct platform_ctx *ctx_alloc(struct platform_space *s)
{
    struct platform_ctx *c = calloc(1, sizeof(*c));

    if (!c)
        return NULL;
    c->platform = s->platform;
    c->space = s;
    c->thread = (struct thread){.state = THREAD_NONE, .listener = -1};
    list_init(&c->node);
    placement_init(&c->place);
    return c;
}

static int enter_space(struct platform_ctx *c, struct platform_space *s)
{
    int ret;

    mutex_lock(&s->base.lock);
    ret = seccomp_space_take_thread_locked(s, &c->thread);
    if (ret == 0) {
        c->space = s;
        list_add_tail(&s->base.ctxs, &c->node);
        s->base.ctx_count++;
    }
    mutex_unlock(&s->base.lock);
    if (ret < 0)
        return ret == -ESRCH ? -EAGAIN : ret;
    c->fpu = CTX_FPU_RESET;
    c->all_regs = true;
    c->attached = false;
    atomic_store(&c->slot, c->thread.slot);
    seccomp_ctx_answers(c, NULL, 0); /* the slot may have been another thread's */
    seccomp_watch_begin(&c->watch, c->thread.pid);
    return 0;
}

int seccomp_ctx_new(struct platform_space *s, struct platform_ctx *creator,
                    struct platform_ctx **out)
{
    struct platform_ctx *c = ctx_alloc(s);
    int ret;

    (void)creator;
    if (!c)
        return -ENOMEM;
    ret = enter_space(c, s);
    if (ret < 0) {
        free(c);
        return ret;
    }
    *out = c;
    return 0;
}

/* The thread may serve another ctx; a ring from the handler is all that may be left of this one. */
static void leave_lane(struct platform_ctx *c)
{
    if (c->thread.state == THREAD_LANE)
        IGNORE_RESULT(pull_frame(c)); /* on failure it is gone */
    seccomp_lane_close(c);
}

void seccomp_ctx_free(struct platform_ctx *c)
{
    leave_lane(c);
    placement_detach(&c->place);
    seccomp_space_leave(c->space, c);
    free(c->xs_pending);
    free(c);
}

int seccomp_ctx_switch_space(struct platform_ctx *c, struct platform_space *s)
{
    struct platform_space *old = c->space;
    struct thread next;
    int ret;

    if (c->space == s)
        return 0;
    /* The new thread first: the old one must be there when it cannot be had. */
    mutex_lock(&s->base.lock);
    ret = seccomp_space_take_thread_locked(s, &next);
    if (ret == 0)
        s->base.ctx_count++; /* keeps the space's rules right until c is on the list */
    mutex_unlock(&s->base.lock);
    if (ret < 0)
        return ret == -ESRCH ? -EAGAIN : ret;
    leave_lane(c);
    seccomp_space_leave(old, c);
    free(c->xs_pending);
    c->xs_pending = NULL;
    c->space = s;
    c->thread = next;
    c->fpu = CTX_FPU_RESET;
    c->all_regs = true;
    c->attached = false;
    placement_new_program(&c->place);
    atomic_store(&c->slot, c->thread.slot);
    seccomp_ctx_answers(c, NULL, 0); /* the slot may have been another thread's */
    seccomp_watch_begin(&c->watch, c->thread.pid);
    mutex_lock(&s->base.lock);
    list_add_tail(&s->base.ctxs, &c->node);
    mutex_unlock(&s->base.lock);
    return 0;
}

int seccomp_ctx_rseq(struct platform_ctx *c, int fd, uint64_t offset, uint32_t sig)
{
    struct platform_space *s = c->space;
    int ret;

    if (!s->platform->base.has_rseq)
        return -EOPNOTSUPP;
    if (c->thread.state == THREAD_NONE)
        return 0; /* the next run says DEAD */
    mutex_lock(&s->base.lock);
    ret = stub_rseq_point_locked(&s->base, NULL, &c->thread.rseq, fd, offset, sig);
    mutex_unlock(&s->base.lock);
    return ret;
}

void seccomp_ctx_set_cpus(struct platform_ctx *c, const cpu_set_t *cpus)
{
    placement_limit(&c->place, cpus);
}

int seccomp_ctx_cpu_clock(struct platform_ctx *c)
{
    return c->thread.pid ? host_cpu_clock(c->thread.pid, /*thread=*/false) : 0;
}

void seccomp_ctx_interrupt(struct platform_ctx *c)
{
    unsigned seq;
    pid_t pid;

    if (atomic_exchange(&c->interrupt, 1) != 0)
        return;
    seq = atomic_load(&c->seq);
    pid = atomic_load(&c->watch.pid);
    if ((seq & 1) && pid) {
        seccomp_thread_kick(pid);
        seccomp_watch_kicked(&c->watch, seq);
    }
}

/* --- registers -------------------------------------------------------------------------------- */

/* The thread cannot be trusted or is gone: the next run says DEAD. */
static void lose(struct platform_ctx *c, int error)
{
    if (c->thread.state == THREAD_NONE)
        return;
    if (error != -ESRCH)
        log_info(LOG_PLATFORM, "seccomp: guest thread lost: error %d", -error);
    seccomp_watch_end(&c->watch);
    mutex_lock(&c->space->base.lock);
    seccomp_space_drop_alias_locked(c->space, &c->thread.rseq);
    seccomp_thread_kill_locked(c->space, &c->thread);
    mutex_unlock(&c->space->base.lock);
}

/* The frame of a ring that came instead of the call's end: *full is the state after the call, but
 * for its result. */
static int take_call_frame(struct platform_ctx *c, const struct seccomp_notif *n,
                           struct lx_regs *full)
{
    const struct platform *p = c->space->platform;
    const struct seccomp_data *call = &c->thread.call;
    const bool was_lane = c->thread.state == THREAD_LANE; /* rip is somewhere in lane code */
    struct lx_rt_sigframe frame;
    int ret;

    if (n->data.instruction_pointer != p->at.bell)
        return -EPROTO;
    ret = seccomp_frame_take(p, &c->thread, n, &frame);
    if (ret < 0)
        return ret;
    if (was_lane)
        seccomp_lane_close(c);
    c->thread.state = THREAD_FRAME;
    c->thread.id = n->id;
    seccomp_frame_regs(&c->thread, &frame, full);
    if (was_lane || full->rip == call->instruction_pointer - SYSCALL_INSN_SIZE)
        full->rip = call->instruction_pointer;
    return 0;
}

static bool waits_with_call(const struct platform_ctx *c)
{
    return c->thread.state == THREAD_CALL || c->thread.state == THREAD_LANE;
}

/* Is n what t waited with before? The host takes a notification back when it stops or freezes the
 * process, and the process rings once more when it goes on. */
static bool rings_again(const struct platform_ctx *c, const struct seccomp_notif *n)
{
    const struct platform *p = c->platform;
    const struct thread *t = &c->thread;

    if (t->state == THREAD_LANE)
        return seccomp_site_rings(c->space, n->data.instruction_pointer);
    if (t->state == THREAD_CALL)
        return memcmp(&n->data, &t->call, sizeof(t->call)) == 0;
    return n->data.instruction_pointer == p->at.bell || n->data.instruction_pointer == p->at.start;
}

/* CALL, LANE -> FRAME: c->held is the state after the call, but for its result. */
static int pull_frame(struct platform_ctx *c)
{
    const struct platform *p = c->space->platform;
    struct seccomp_notif n;
    int ret;

    seccomp_watch_pull(&c->watch, true);
    seccomp_thread_kick(c->thread.pid);
    do
        ret = seccomp_thread_receive(p, &c->thread, &n);
    while (ret == 0 && rings_again(c, &n));
    seccomp_watch_pull(&c->watch, false);
    if (ret == 0)
        ret = take_call_frame(c, &n, &c->held);
    if (ret < 0) {
        lose(c, ret);
        c->held = (struct lx_regs){0};
    }
    return ret;
}

void seccomp_ctx_regs_pull(struct platform_ctx *c, struct lx_regs *regs)
{
    if (c->all_regs)
        return;
    if (waits_with_call(c))
        IGNORE_RESULT(pull_frame(c)); /* the next run says DEAD */
    partial_copy_call(&c->held, regs);
    *regs = c->held;
    c->all_regs = true;
}

int seccomp_ctx_xstate_get(struct platform_ctx *c, void *buf, size_t size)
{
    const struct platform *p = c->space->platform;
    const struct thread none = {.fpstate = 0};
    int ret = 0;

    if (size < platform_xstate_size())
        return -EINVAL;
    size = platform_xstate_size();
    if (c->fpu == CTX_FPU_PENDING) {
        memcpy(buf, c->xs_pending, size);
        return 0;
    }
    if (c->fpu == CTX_FPU_RESET) {
        seccomp_frame_xstate(p, &none, buf, size);
        return 0;
    }
    if (waits_with_call(c))
        ret = pull_frame(c);
    if (ret == 0 && c->thread.state != THREAD_FRAME)
        ret = -ESRCH;
    if (ret == 0)
        seccomp_frame_xstate(p, &c->thread, buf, size);
    return ret;
}

int seccomp_ctx_xstate_set(struct platform_ctx *c, const void *buf, size_t size)
{
    if (size != platform_xstate_size())
        return -EINVAL;
    if (!c->xs_pending)
        c->xs_pending = malloc(size);
    if (!c->xs_pending)
        return -ENOMEM;
    memcpy(c->xs_pending, buf, size);
    c->fpu = CTX_FPU_PENDING;
    return 0;
}

int seccomp_ctx_xstate_copy(struct platform_ctx *dst, struct platform_ctx *src)
{
    size_t size = platform_xstate_size();
    void *buf = malloc(size);
    int ret;

    if (!buf)
        return -ENOMEM;
    ret = seccomp_ctx_xstate_get(src, buf, size);
    if (ret == 0)
        ret = seccomp_ctx_xstate_set(dst, buf, size);
    free(buf);
    return ret;
}

/* --- running ---------------------------------------------------------------------------------- */

static bool restart_code(uint64_t rax)
{
    int64_t v = (int64_t)rax;

    return v <= -RESTART_FIRST && v >= -RESTART_LAST;
}

/* Brings what the thread shall have to where the way back finds it. Without a pull only rax is the
 * caller's, and the result of the pending call; with one, or with FPU state to load, all of *regs
 * goes through the frame. */
static int prepare(struct platform_ctx *c, struct lx_regs *regs)
{
    struct thread *t = &c->thread;

    if (t->state == THREAD_NONE)
        return -ESRCH;
    if (likely(waits_with_call(c) && !c->all_regs && c->fpu == CTX_FPU_OWN &&
               !restart_code(regs->rax) && !stub_rseq_due(&t->rseq)))
        return 0;
    if (waits_with_call(c)) {
        int ret = pull_frame(c);

        if (ret < 0)
            return ret;
    }
    if (!c->all_regs) {
        c->held.rax = regs->rax;
        *regs = c->held;
        c->all_regs = true;
    }
    if (unlikely(regs->gs_base)) /* lane code would look for its slot there */
        seccomp_space_sites_off(c->space);
    seccomp_frame_commit(c->space->platform, c, regs);
    return 0;
}

static void leave_guest(struct platform_ctx *c)
{
    atomic_fetch_add(&c->seq, 1);
}

/* May guest code run? Applies the queue on the way. 1: yes, seq is odd. 0: interrupted. */
static int enter_guest(struct platform_ctx *c, struct lx_regs *regs)
{
    int ret;

    for (;;) {
        if (unlikely(atomic_load(&c->interrupt))) {
            atomic_store(&c->interrupt, 0);
            if (!c->all_regs) {
                uint64_t rax = regs->rax;

                seccomp_ctx_regs_pull(c, regs);
                regs->rax = rax;
            }
            return 0;
        }
        if (lazy_must_drain(&c->lazy, atomic_load(&c->space->base.pending))) {
            ret = stub_space_drain(&c->space->base, c);
            if (ret < 0)
                return ret;
            c->lazy.runs = 0;
        }
        ret = prepare(c, regs);
        if (ret < 0)
            return ret;
        atomic_fetch_add(&c->seq, 1);
        if (likely(!atomic_load(&c->interrupt) &&
                   atomic_load(&c->space->base.pending) != PENDING_FORCED)) {
            seccomp_lane_enter(c);
            return 1;
        }
        leave_guest(c);
    }
}

static int event_exception(struct platform_event *ev, int signo, int code, uaddr_t addr)
{
    *ev = (struct platform_event){
        .kind = PLATFORM_EXCEPTION, .signo = signo, .code = code, .addr = addr};
    return 1;
}

/* A signal in guest code; *frame is hostile. 1: *ev is an event. 0: nothing, run on. */
static int decode_signal(struct platform_ctx *c, const struct lx_rt_sigframe *frame,
                         struct platform_event *ev)
{
    const struct lx_sigcontext *sc = &frame->uc.mcontext;
    int sig = frame->info.signo, code = frame->info.code;
    uaddr_t addr = frame->info.fault.addr;

    if (code <= 0)
        return 0; /* a kick, or sent by somebody outside */
    if ((sig == LX_SIGSEGV && code <= SEGV_PKUERR_CODE && code != LX_SI_KERNEL) ||
        (sig == LX_SIGBUS && code != LX_BUS_ADRALN && code != LX_SI_KERNEL)) {
        bool bus = sig == LX_SIGBUS || stub_space_addr_bad(&c->space->base, addr);

        c->lazy.drain_next = true;
        if (atomic_load(&c->space->base.pending) != PENDING_NONE && sig == LX_SIGSEGV &&
            stub_space_addr_pending(&c->space->base, addr)) {
            lazy_missed(&c->lazy);
            return 0;
        }
        *ev = (struct platform_event){
            .kind = PLATFORM_FAULT, .fault_addr = addr, .fault_bus = bus, .code = code};
        if (sc->trapno == TRAP_PAGE_FAULT)
            ev->fault_access = sc->err & PF_WRITE  ? PLATFORM_ACCESS_WRITE
                               : sc->err & PF_EXEC ? PLATFORM_ACCESS_EXEC
                                                   : PLATFORM_ACCESS_READ;
        return 1;
    }
    if (sig != LX_SIGSEGV && sig != LX_SIGBUS && sig != LX_SIGFPE && sig != LX_SIGILL &&
        sig != LX_SIGTRAP)
        return 0;
    return event_exception(ev, sig, code, code == LX_SI_KERNEL ? 0 : addr);
}

/* The signal handler rang: all registers are in its frame. */
static int event_ring(struct platform_ctx *c, const struct seccomp_notif *n, struct lx_regs *regs,
                      struct platform_event *ev)
{
    struct lx_rt_sigframe frame;
    int ret = seccomp_frame_take(c->space->platform, &c->thread, n, &frame);
    bool settled;

    if (ret < 0)
        return ret;
    c->thread.state = THREAD_FRAME;
    c->thread.id = n->id;
    seccomp_frame_regs(&c->thread, &frame, regs);
    c->all_regs = true;
    seccomp_lane_close(c);
    settled = seccomp_site_settle(c, regs);
    if (unlikely(settled && (frame.info.signo == LX_SIGSEGV || frame.info.signo == LX_SIGBUS))) {
        /* Its pages are gone, or gs is the guest's: the call goes the plain way. */
        seccomp_space_sites_off(c->space);
        return 0;
    }
    return decode_signal(c, &frame, ev);
}

/* What a SYSCALL event delivers, from c->thread.call. */
static void show_call(struct platform_ctx *c, struct lx_regs *regs, struct platform_event *ev)
{
    const struct seccomp_data *d = &c->thread.call;

    c->all_regs = false;
    regs->orig_rax = (uint64_t)(int64_t)d->nr;
    regs->rax = (uint64_t)-ENOSYS;
    regs->rip = regs->rcx = d->instruction_pointer;
    regs->rdi = d->args[0];
    regs->rsi = d->args[1];
    regs->rdx = d->args[2];
    regs->r10 = d->args[3];
    regs->r8 = d->args[4];
    regs->r9 = d->args[5];
    regs->cs = USER64_CS;
    regs->ss = USER_SS;
    ev->kind = PLATFORM_SYSCALL;
    ev->hot_site = false;
}

static int event_call(struct platform_ctx *c, const struct seccomp_notif *n, struct lx_regs *regs,
                      struct platform_event *ev)
{
    const struct seccomp_data *d = &n->data;
    enum site_heat heat = seccomp_site_heat(c, d->instruction_pointer);

    c->thread.state = THREAD_CALL;
    c->thread.id = n->id;
    c->thread.call = *d;
    seccomp_lane_note_call(c, heat == SITE_DONE);
    show_call(c, regs, ev);
    ev->hot_site = heat == SITE_HOT;
    if (likely(d->arch == AUDIT_ARCH_X86_64 && d->instruction_pointer < VSYSCALL_START))
        return 1;
    if (pull_frame(c) < 0)
        return -ESRCH;
    if (d->arch == AUDIT_ARCH_X86_64) {
        /* A legacy vsyscall: the host returns to its caller by itself. */
        regs->rip = regs->rcx = c->held.rip;
        return 1;
    }
    /* 32-bit entries are not offered: as on a host without IA32 emulation. */
    *regs = c->held;
    c->all_regs = true;
    return event_exception(ev, LX_SIGSEGV, LX_SI_KERNEL, 0);
}

/* Lane code rang. 1: *ev is a call that nobody had seen. 0: only for a result, which it has now. */
static int event_lane_bell(struct platform_ctx *c, const struct seccomp_notif *n,
                           struct lx_regs *regs, struct platform_event *ev)
{
    int ret;

    c->thread.id = n->id;
    if (seccomp_lane_asks(c)) {
        seccomp_lane_take(c);
        c->thread.rang = true;
        show_call(c, regs, ev);
        return 1;
    }
    ret = seccomp_thread_reply(&c->thread, 0);
    return ret == -ENOENT ? 0 : ret; /* kicked: it rings again from the handler */
}

/* LANE -> GUEST. 1: it runs, or rings soon for what is in its slot. */
static int answer_lane(struct platform_ctx *c, uint64_t rax)
{
    int ret = 0;

    seccomp_lane_answer(c, rax);
    if (c->thread.rang)
        ret = seccomp_thread_reply(&c->thread, 0);
    return ret == -ENOENT ? 1 : ret < 0 ? ret : 1;
}

/* Answers what the thread waits with: CALL, FRAME -> GUEST. 1: it runs. 0: a late kick took it out of
 * its call, whose result it does not have; its registers are in c->held, its state is FRAME. */
static int answer(struct platform_ctx *c, uint64_t rax)
{
    const struct platform *p = c->space->platform;
    const enum thread_state was = c->thread.state;
    const int64_t value =
        was == THREAD_CALL ? (int64_t)rax : (int64_t)seccomp_slot_addr(p, c->thread.slot);
    struct seccomp_notif n;
    int ret;

    if (was == THREAD_LANE)
        return answer_lane(c, rax);
    while ((ret = seccomp_thread_reply(&c->thread, value)) == -ENOENT) {
        ret = seccomp_thread_receive(p, &c->thread, &n);
        if (ret < 0)
            return ret;
        c->thread.state = was;
        if (!rings_again(c, &n))
            return was == THREAD_CALL ? take_call_frame(c, &n, &c->held) : -EPROTO;
        c->thread.id = n.id;
    }
    if (ret < 0)
        return ret;
    if (was == THREAD_FRAME && unlikely(stub_rseq_due(&c->thread.rseq)))
        c->thread.rseq.host = c->thread.rseq.wanted; /* its way back has the calls */
    return 1;
}

/* Lets guest code run until it asks or rings; seq is odd on entry, even afterwards. 1: *ev is an
 * event. 0: nothing for the guest, run on. Negative: the stub is dead or lies. */
static int run_once(struct platform_ctx *c, struct lx_regs *regs, struct platform_event *ev)
{
    const struct platform *p = c->space->platform;
    struct seccomp_notif n;
    int ret = answer(c, regs->rax);

    if (unlikely(ret <= 0)) {
        leave_guest(c);
        return ret;
    }
    if (c->lane.open && seccomp_lane_wait(c)) {
        leave_guest(c);
        show_call(c, regs, ev);
        return 1;
    }
    for (;;) {
        ret = seccomp_thread_receive(p, &c->thread, &n);
        if (likely(ret < 0 || !seccomp_site_rings(c->space, n.data.instruction_pointer)))
            break;
        ret = event_lane_bell(c, &n, regs, ev);
        if (ret != 0) {
            leave_guest(c);
            return ret;
        }
    }
    leave_guest(c);
    if (unlikely(ret < 0))
        return ret;
    if (n.data.instruction_pointer == p->at.bell && n.data.arch == AUDIT_ARCH_X86_64)
        return event_ring(c, &n, regs, ev);
    return event_call(c, &n, regs, ev);
}

int seccomp_ctx_run(struct platform_ctx *c, struct lx_regs *regs, struct platform_event *ev)
{
    int ret;

    ASSERT_NONE_HELD();
    if (unlikely(!c->attached)) {
        placement_attach(&c->place, c->thread.pid, &c->seq);
        c->attached = true;
    }
    placement_running();
    do {
        ret = enter_guest(c, regs);
        if (ret <= 0)
            break;
        ret = run_once(c, regs, ev);
    } while (ret == 0);
    if (unlikely(ret <= 0)) {
        *ev = (struct platform_event){.kind = ret == 0 ? PLATFORM_INTERRUPTED : PLATFORM_DEAD};
        if (ret < 0)
            lose(c, ret);
    }
    seccomp_lane_tell(c, ev);
    return 0;
}
