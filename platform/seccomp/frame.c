/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Registers in signal frames. When a guest thread's stub takes a signal, the host kernel writes all
 * its registers to the alternate stack, which lies in the thread's slot; on the way back
 * rt_sigreturn loads them from there. So the slot is where the sentry reads and writes registers
 * and FPU state.
 *
 * Every thread of the address space can write the slot at any time. The sentry copies the frame
 * once and works on the copy; what comes back from a slot is what guest code could have put into
 * its registers itself, and what the host loads from one is checked by the host, as for any signal
 * handler. Two things must be right, and are checked here: that offsets lie inside the slot, and
 * that the frame is in this slot and no other.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "platform/host/proc.h"
#include "platform/seccomp/seccomp_internal.h"

/* CF PF AF ZF SF TF DF OF RF AC: what rt_sigreturn takes from a frame. */
#define EFLAGS_USER 0x50dd5ul

enum {
    USER32_CS = 0x23,
    USER64_CS = 0x33,
    USER_SS = 0x2b,
    FXSAVE_FCW = 0,
    FXSAVE_MXCSR = 24,
    FXSAVE_MXCSR_MASK = 28,
    XSAVE_HEADER = 512,
    XSAVE_LEGACY_SIZE = 576,
    FCW_DEFAULT = 0x37f,
    MXCSR_DEFAULT = 0x1f80,
    MXCSR_MASK_DEFAULT = 0xffbf, /* where the image does not say */
    FPSTATE_ALIGN = 64,
};

uaddr_t seccomp_slot_addr(const struct platform *p, uint32_t slot)
{
    return p->stub_base + STUB_SLOTS_OFF + slot * seccomp_slots_size(p) / SLOT_COUNT;
}

uint64_t seccomp_slots_size(const struct platform *p)
{
    return SLOT_COUNT * (uint64_t)(p->stacks.size + (p->base.has_rseq ? STUB_PAGE : 0));
}

static uint8_t *slot_memory(const struct platform *p, const struct thread *t)
{
    return slots_at(&p->stacks, t->slot);
}

/* addr as an offset in t's slot, when size bytes there lie in the stack. 0: no. */
static uint32_t offset_in_slot(const struct platform *p, const struct thread *t, uint64_t addr,
                               size_t size)
{
    uaddr_t start = seccomp_slot_addr(p, t->slot);

    if (addr < start + SLOT_STACK || addr > start + p->stack_size - size)
        return 0;
    return (uint32_t)(addr - start);
}

int seccomp_frame_take(const struct platform *p, struct thread *t, const struct seccomp_notif *n,
                       struct lx_rt_sigframe *frame)
{
    const uint64_t uc = n->data.args[2];
    uint32_t at = offset_in_slot(p, t, uc - offsetof(struct lx_rt_sigframe, uc), sizeof(*frame));

    t->frame = t->fpstate = 0;
    if (at == 0 || (at & 7))
        return -EPROTO;
    memcpy(frame, slot_memory(p, t) + at, sizeof(*frame));
    if (frame->uc.mcontext.fpstate) {
        t->fpstate =
            offset_in_slot(p, t, frame->uc.mcontext.fpstate, p->xstate_size + sizeof(uint32_t));
        if (t->fpstate == 0 || t->fpstate % FPSTATE_ALIGN)
            return -EPROTO;
    }
    t->frame = at;
    if (p->reads_bases) {
        t->fs_base = n->data.args[3];
        t->gs_base = n->data.args[4];
        if (t->gs_base == seccomp_slot_addr(p, t->slot))
            t->gs_base = 0; /* the guest has none of its own */
    }
    return 0;
}

void seccomp_frame_regs(const struct thread *t, const struct lx_rt_sigframe *frame,
                        struct lx_regs *regs)
{
    const struct lx_sigcontext *sc = &frame->uc.mcontext;

    *regs = (struct lx_regs){
        .r15 = sc->r15,
        .r14 = sc->r14,
        .r13 = sc->r13,
        .r12 = sc->r12,
        .rbp = sc->rbp,
        .rbx = sc->rbx,
        .r11 = sc->r11,
        .r10 = sc->r10,
        .r9 = sc->r9,
        .r8 = sc->r8,
        .rax = sc->rax,
        .rcx = sc->rcx,
        .rdx = sc->rdx,
        .rsi = sc->rsi,
        .rdi = sc->rdi,
        .orig_rax = UINT64_MAX,
        .rip = sc->rip,
        .cs = sc->cs,
        .eflags = sc->eflags,
        .rsp = sc->rsp,
        .ss = sc->ss,
        .fs_base = t->fs_base,
        .gs_base = t->gs_base,
    };
}

static void fill_context(struct lx_sigcontext *sc, const struct lx_regs *r)
{
    *sc = (struct lx_sigcontext){
        .r8 = r->r8,
        .r9 = r->r9,
        .r10 = r->r10,
        .r11 = r->r11,
        .r12 = r->r12,
        .r13 = r->r13,
        .r14 = r->r14,
        .r15 = r->r15,
        .rdi = r->rdi,
        .rsi = r->rsi,
        .rbp = r->rbp,
        .rbx = r->rbx,
        .rdx = r->rdx,
        .rax = r->rax,
        .rcx = r->rcx,
        .rsp = r->rsp,
        .rip = r->rip,
        .eflags = r->eflags & EFLAGS_USER,
        .cs = r->cs == USER32_CS ? USER32_CS : USER64_CS,
        .ss = USER_SS,
    };
}

/* An image that the host accepts: reserved bits make rt_sigreturn fail, which kills the stub. */
static void put_image(const struct platform *p, uint8_t *to, const uint8_t *image)
{
    const uint32_t magic2 = LX_FP_XSTATE_MAGIC2;
    struct {
        uint64_t xstate_bv, xcomp_bv, reserved[6];
    } head = {0};
    uint32_t mxcsr;

    memcpy(to, image, p->xstate_size);
    memcpy(&mxcsr, to + FXSAVE_MXCSR, sizeof(mxcsr));
    mxcsr &= p->mxcsr_mask;
    memcpy(to + FXSAVE_MXCSR, &mxcsr, sizeof(mxcsr));
    if (p->xstate_size >= XSAVE_LEGACY_SIZE) {
        memcpy(&head.xstate_bv, to + XSAVE_HEADER, sizeof(head.xstate_bv));
        head.xstate_bv &= p->sw.xfeatures;
        memcpy(to + XSAVE_HEADER, &head, sizeof(head));
        memcpy(to + LX_FX_SW_OFFSET, &p->sw, sizeof(p->sw));
        memcpy(to + p->xstate_size, &magic2, sizeof(magic2));
    }
}

/* Has the stub register the area that it shall have, when it goes on. Returns SLOT_HOW_*. */
static uint32_t put_rseq(const struct thread *t, uint8_t *memory)
{
    const struct stub_rseq *r = &t->rseq;
    uint32_t how = 0;

    if (!stub_rseq_due(r))
        return 0;
    if (r->host.addr) {
        memcpy(memory + SLOT_OLD, &r->host.addr, sizeof(r->host.addr));
        memcpy(memory + SLOT_OLD_SIG, &r->host.sig, sizeof(r->host.sig));
        how = SLOT_HOW_UNRSEQ;
    }
    memcpy(memory + SLOT_RSEQ, &r->wanted.addr, sizeof(r->wanted.addr));
    memcpy(memory + SLOT_RSEQ_SIG, &r->wanted.sig, sizeof(r->wanted.sig));
    return how | SLOT_HOW_RSEQ;
}

void seccomp_frame_commit(const struct platform *p, struct platform_ctx *c,
                          const struct lx_regs *regs)
{
    struct thread *t = &c->thread;
    uint8_t *memory = slot_memory(p, t);
    const uaddr_t slot = seccomp_slot_addr(p, t->slot);
    const uint32_t magic = LANE_MAGIC, spins = seccomp_lane_spins();
    struct lx_rt_sigframe frame = {0};
    uint32_t how = p->slot_how;
    uint64_t sp, gs;

    if (c->fpu == CTX_FPU_RESET) {
        /* Another program may have used this stub: registers of it lie in the slot. */
        memset(memory, 0, p->stacks.size);
        t->frame = 0;
    }
    if (t->frame == 0 || (c->fpu == CTX_FPU_PENDING && t->fpstate == 0)) {
        /* Where the host would put them on an empty stack. */
        t->fpstate =
            (uint32_t)align_down(p->stack_size - p->xstate_size - sizeof(uint32_t), FPSTATE_ALIGN);
        t->frame = (uint32_t)align_down(t->fpstate - sizeof(frame), 16) - 8;
        if (c->fpu == CTX_FPU_OWN)
            t->fpstate = 0; /* it never had any */
    }
    if (c->fpu == CTX_FPU_PENDING)
        put_image(p, memory + t->fpstate, c->xs_pending);
    else if (c->fpu == CTX_FPU_RESET)
        t->fpstate = 0; /* the host loads initial state */
    frame.uc.flags = LX_UC_SIGCONTEXT_SS | LX_UC_STRICT_RESTORE_SS |
                     (p->xstate_size >= XSAVE_LEGACY_SIZE ? LX_UC_FP_XSTATE : 0);
    frame.uc.stack = (struct lx_stack){.sp = slot + SLOT_STACK, .size = p->stack_size - SLOT_STACK};
    fill_context(&frame.uc.mcontext, regs);
    frame.uc.mcontext.fpstate = t->fpstate ? slot + t->fpstate : 0;
    memcpy(memory + t->frame, &frame, offsetof(struct lx_rt_sigframe, info));
    t->fs_base = regs->fs_base < LX_TASK_SIZE ? regs->fs_base : 0;
    t->gs_base = regs->gs_base < LX_TASK_SIZE ? regs->gs_base : 0;
    memcpy(memory + SLOT_FS, &t->fs_base, sizeof(t->fs_base));
    gs = t->gs_base ? t->gs_base : slot; /* lane_code.S finds its slot there */
    memcpy(memory + SLOT_GS, &gs, sizeof(gs));
    memcpy(memory + SLOT_MAGIC, &magic, sizeof(magic));
    memcpy(memory + SLOT_SPINS, &spins, sizeof(spins));
    how |= put_rseq(t, memory);
    sp = slot + t->frame + sizeof(frame.pretcode);
    memcpy(memory + SLOT_SP, &sp, sizeof(sp));
    memcpy(memory + SLOT_HOW, &how, sizeof(how));
    free(c->xs_pending);
    c->xs_pending = NULL;
    c->fpu = CTX_FPU_OWN;
}

void seccomp_frame_xstate(const struct platform *p, const struct thread *t, void *buf, size_t size)
{
    const uint16_t fcw = FCW_DEFAULT;
    const uint32_t mxcsr = MXCSR_DEFAULT;
    uint8_t *to = buf;

    memset(to, 0, size);
    if (t->fpstate) {
        memcpy(to, slot_memory(p, t) + t->fpstate, MIN(size, (size_t)p->xstate_size));
        memset(to + LX_FX_SW_OFFSET, 0, sizeof(p->sw));
    } else {
        memcpy(to + FXSAVE_FCW, &fcw, sizeof(fcw));
        memcpy(to + FXSAVE_MXCSR, &mxcsr, sizeof(mxcsr));
    }
}

/* --- what this host's frames look like -------------------------------------------------------- */

static struct {
    struct lx_fpx_sw_bytes sw;
    uint32_t mxcsr_mask;
} g_sample;

static void sample_handler(int signo, siginfo_t *info, void *context)
{
    const ucontext_t *uc = context;
    /* SAFETY: the kernel's own frame of this handler. */
    const uint8_t *fx = (const uint8_t *)uc->uc_mcontext.fpregs;

    (void)signo;
    (void)info;
    if (!fx)
        return;
    memcpy(&g_sample.mxcsr_mask, fx + FXSAVE_MXCSR_MASK, sizeof(g_sample.mxcsr_mask));
    memcpy(&g_sample.sw, fx + LX_FX_SW_OFFSET, sizeof(g_sample.sw));
}

int seccomp_frame_init(struct platform *p)
{
    struct sigaction act = {.sa_sigaction = sample_handler, .sa_flags = SA_SIGINFO}, old;
    sigset_t kick, mask;
    int ret;

    sigemptyset(&kick);
    sigaddset(&kick, STUB_KICK_SIGNAL);
    ret = host_sigaction(STUB_KICK_SIGNAL, &act, &old);
    if (ret < 0)
        return ret;
    (void)pthread_sigmask(SIG_UNBLOCK, &kick, &mask);
    (void)raise(STUB_KICK_SIGNAL);
    (void)pthread_sigmask(SIG_SETMASK, &mask, NULL);
    ret = host_sigaction(STUB_KICK_SIGNAL, &old, NULL);
    p->sw = g_sample.sw;
    p->xstate_size = XSAVE_HEADER;
    if (p->sw.magic1 == LX_FP_XSTATE_MAGIC1 && p->sw.xstate_size >= XSAVE_LEGACY_SIZE &&
        p->sw.xstate_size <= platform_xstate_size())
        p->xstate_size = p->sw.xstate_size;
    p->mxcsr_mask = g_sample.mxcsr_mask ? g_sample.mxcsr_mask : MXCSR_MASK_DEFAULT;
    return ret;
}
