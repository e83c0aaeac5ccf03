/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The x86-64 signal frame: what a handler finds on its stack, and rt_sigreturn(2), which takes it
 * back. From high to low addresses: XSAVE area (64-byte aligned, with the software bytes that tell
 * unwinders its size, and the second magic behind it), then rt_sigframe, whose address + 8 is
 * 16-byte aligned, so the handler starts as after a call.
 *
 * Everything rt_sigreturn reads is hostile: registers are masked to what ring 3 may have, the XSAVE
 * header is checked; a frame that cannot be read or holds impossible state is SIGSEGV.
 */
#include "sentry/kernel/kernel_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sentry/mm/uaccess.h"

enum {
    RED_ZONE = 128,
    FXSAVE_SIZE = 512,
    XSAVE_HEADER_SIZE = 64,
    MXCSR_OFFSET = 24,
    USER_CS = 0x33,
    USER_SS = 0x2b,
};
#define EFLAGS_USER    0x50dd5u /* AC OF DF TF SF ZF AF PF CF RF */
#define XFEATURE_FPSSE 3u

static uint64_t xfeatures(void)
{
    static _Atomic uint64_t cached;
    uint64_t v = atomic_load(&cached);
    uint32_t eax, edx;

    if (!v) {
        /* SAFETY: reads XCR0; every x86-64 host that runs a sentry has OSXSAVE. */
        __asm__ volatile("xgetbv" : "=a"(eax), "=d"(edx) : "c"(0));
        v = ((uint64_t)edx << 32) | eax;
        atomic_store(&cached, v);
    }
    return v;
}

/* ---- alternate stack ------------------------------------------------------------------------ */

static bool on_altstack_memory(const struct lx_stack *ss, uaddr_t sp)
{
    return sp > ss->sp && sp - ss->sp <= ss->size;
}

static bool on_altstack(const struct lx_stack *ss, uaddr_t sp)
{
    /* With AUTODISARM a handler on the stack has already left it as far as the kernel knows. */
    return !(ss->flags & LX_SS_AUTODISARM) && on_altstack_memory(ss, sp);
}

static uint32_t altstack_state(const struct lx_stack *ss, uaddr_t sp)
{
    if (!ss->size)
        return LX_SS_DISABLE;
    return on_altstack(ss, sp) ? LX_SS_ONSTACK : 0;
}

int signal_altstack(struct task *t, const struct lx_stack *ss, struct lx_stack *old, uaddr_t sp)
{
    struct lx_stack *cur = &t->k->altstack;
    uint32_t mode;

    if (old) {
        memset(old, 0, sizeof(*old));
        old->sp = cur->sp;
        old->size = cur->size;
        old->flags = altstack_state(cur, sp) | (cur->flags & LX_SS_AUTODISARM);
    }
    if (!ss)
        return 0;
    if (on_altstack(cur, sp))
        return -EPERM;
    mode = ss->flags & ~LX_SS_AUTODISARM;
    if (mode != LX_SS_DISABLE && mode != LX_SS_ONSTACK && mode != 0)
        return -EINVAL;
    if (mode == LX_SS_DISABLE) {
        *cur = (struct lx_stack){.flags = ss->flags};
        return 0;
    }
    if (ss->size < LX_MINSIGSTKSZ)
        return -ENOMEM;
    *cur = (struct lx_stack){.sp = ss->sp, .flags = ss->flags, .size = ss->size};
    return 0;
}

/* ---- building ------------------------------------------------------------------------------- */

static int write_fpstate(struct task *t, uaddr_t addr, size_t size)
{
    struct lx_fpx_sw_bytes sw = {
        .magic1 = LX_FP_XSTATE_MAGIC1,
        .extended_size = (uint32_t)size + 4,
        .xfeatures = xfeatures(),
        .xstate_size = (uint32_t)size,
    };
    uint32_t magic2 = LX_FP_XSTATE_MAGIC2;
    uint8_t *buf = calloc(1, size + sizeof(magic2));
    int ret;

    if (!buf)
        return -ENOMEM;
    ret = g_platform_ops->ctx_xstate_get(t->ctx, buf, size);
    if (ret < 0)
        goto out;
    memcpy(buf + LX_FX_SW_OFFSET, &sw, sizeof(sw));
    memcpy(buf + size, &magic2, sizeof(magic2));
    ret = copy_out(addr, buf, size + sizeof(magic2));
out:
    free(buf);
    return ret;
}

static void fill_mcontext(const struct task *t, struct lx_sigcontext *sc, lx_sigset_t mask,
                          uaddr_t fpstate)
{
    const struct lx_regs *r = &t->regs;

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
        .eflags = r->eflags,
        .cs = (uint16_t)r->cs,
        .ss = (uint16_t)r->ss,
        .err = t->k->trap_err,
        .trapno = t->k->trapno,
        .oldmask = mask,
        .cr2 = t->k->trap_cr2,
        .fpstate = fpstate,
    };
}

/* Top of the stack the handler shall use; *out_entering: it switches to the alternate stack. */
static uaddr_t handler_stack(const struct task *t, const struct lx_sigaction *sa,
                             bool *out_entering)
{
    const struct lx_stack *ss = &t->k->altstack;

    *out_entering = false;
    if ((sa->flags & LX_SA_ONSTACK) && altstack_state(ss, t->regs.rsp) == 0) {
        *out_entering = true;
        return ss->sp + ss->size;
    }
    return t->regs.rsp - RED_ZONE;
}

int signal_frame_setup(struct task *t, const struct lx_sigaction *sa, const struct lx_siginfo *info,
                       lx_sigset_t mask)
{
    size_t xsize = platform_xstate_size();
    struct lx_stack *ss = &t->k->altstack;
    struct lx_rt_sigframe frame = {0};
    struct lx_regs *regs = task_regs(t);
    bool nested = altstack_state(ss, regs->rsp) == LX_SS_ONSTACK, entering;
    uaddr_t sp, fpstate;
    int ret;

    if (!(sa->flags & LX_SA_RESTORER))
        return -EFAULT;
    sp = handler_stack(t, sa, &entering);
    fpstate = align_down(sp - (xsize + 4), 64);
    sp = align_down(fpstate - sizeof(frame), 16) - 8;
    /* A handler that would run off its alternate stack gets SIGSEGV instead of silent damage. */
    if ((nested || entering) && !on_altstack_memory(ss, sp))
        return -EFAULT;
    if (sp >= LX_TASK_SIZE)
        return -EFAULT;
    ret = write_fpstate(t, fpstate, xsize);
    if (ret < 0)
        return ret;
    frame.pretcode = sa->restorer;
    frame.uc.flags = LX_UC_FP_XSTATE | LX_UC_SIGCONTEXT_SS | LX_UC_STRICT_RESTORE_SS;
    frame.uc.stack = *ss;
    fill_mcontext(t, &frame.uc.mcontext, mask, fpstate);
    frame.uc.sigmask = mask;
    if (sa->flags & LX_SA_SIGINFO)
        frame.info = *info;
    ret = copy_out(sp, &frame, sizeof(frame));
    if (ret < 0)
        return ret;
    if (ss->flags & LX_SS_AUTODISARM)
        *ss = (struct lx_stack){.flags = LX_SS_DISABLE};
    regs->rdi = (uint64_t)info->signo;
    regs->rsi = sp + offsetof(struct lx_rt_sigframe, info);
    regs->rdx = sp + offsetof(struct lx_rt_sigframe, uc);
    regs->rax = 0;
    regs->rip = sa->handler;
    regs->rsp = sp;
    regs->cs = USER_CS;
    regs->ss = USER_SS;
    regs->orig_rax = (uint64_t)-1;
    return 0;
}

/* ---- taking back ---------------------------------------------------------------------------- */

static void xstate_init(uint8_t *buf, size_t size)
{
    uint16_t fcw = 0x37f;
    uint32_t mxcsr = 0x1f80;

    memset(buf, 0, size);
    memcpy(buf, &fcw, sizeof(fcw));
    memcpy(buf + MXCSR_OFFSET, &mxcsr, sizeof(mxcsr));
}

/* Does the area at addr hold a full XSAVE image of our size? */
static bool frame_has_xstate(const uint8_t *fx, uaddr_t addr, size_t size)
{
    struct lx_fpx_sw_bytes sw;
    uint32_t magic2;

    memcpy(&sw, fx + LX_FX_SW_OFFSET, sizeof(sw));
    return sw.magic1 == LX_FP_XSTATE_MAGIC1 && sw.xstate_size == size &&
           sw.xstate_size <= sw.extended_size && get_user(&magic2, addr + sw.xstate_size) == 0 &&
           magic2 == LX_FP_XSTATE_MAGIC2;
}

struct xsave_header {
    uint64_t xstate_bv, xcomp_bv, reserved[6];
};

int signal_xstate_check(const uint8_t *image)
{
    struct xsave_header head;
    uint32_t mxcsr;

    memcpy(&head, image + FXSAVE_SIZE, sizeof(head));
    memcpy(&mxcsr, image + MXCSR_OFFSET, sizeof(mxcsr));
    if ((head.xstate_bv & ~xfeatures()) || head.xcomp_bv || (mxcsr & ~0xffffu))
        return -EINVAL;
    for (size_t i = 0; i < ARRAY_COUNT(head.reserved); i++)
        if (head.reserved[i])
            return -EINVAL;
    return 0;
}

void signal_xstate_describe(uint8_t *image)
{
    /* The layout of Linux's xstate_fx_sw_bytes: the feature mask first, the rest 0. */
    uint64_t words[sizeof(struct lx_fpx_sw_bytes) / sizeof(uint64_t)] = {xfeatures()};

    memcpy(image + LX_FX_SW_OFFSET, words, sizeof(words));
}

static int check_xstate(uint8_t *buf)
{
    struct xsave_header head;
    struct lx_fpx_sw_bytes sw;
    int ret = signal_xstate_check(buf);

    if (ret < 0)
        return ret;
    memcpy(&head, buf + FXSAVE_SIZE, sizeof(head));
    memcpy(&sw, buf + LX_FX_SW_OFFSET, sizeof(sw));
    head.xstate_bv &= sw.xfeatures | XFEATURE_FPSSE;
    memcpy(buf + FXSAVE_SIZE, &head, sizeof(head));
    memset(buf + LX_FX_SW_OFFSET, 0, sizeof(sw));
    return 0;
}

static int read_fpstate(struct task *t, uaddr_t addr)
{
    size_t size = platform_xstate_size();
    uint64_t bv = XFEATURE_FPSSE;
    uint8_t *buf = malloc(size);
    uint32_t mxcsr;
    int ret;

    if (!buf)
        return -ENOMEM;
    xstate_init(buf, size);
    if (!addr)
        goto set; /* a frame without FP state: start afresh */
    ret = copy_in(buf, addr, FXSAVE_SIZE);
    if (ret < 0)
        goto out;
    if (frame_has_xstate(buf, addr, size)) {
        ret = copy_in(buf, addr, size);
        if (ret == 0)
            ret = check_xstate(buf);
        if (ret < 0)
            goto out;
        goto set;
    }
    memcpy(&mxcsr, buf + MXCSR_OFFSET, sizeof(mxcsr));
    ret = -EINVAL;
    if (mxcsr & ~0xffffu)
        goto out;
    memset(buf + LX_FX_SW_OFFSET, 0, sizeof(struct lx_fpx_sw_bytes));
    if (size >= FXSAVE_SIZE + XSAVE_HEADER_SIZE)
        memcpy(buf + FXSAVE_SIZE, &bv, sizeof(bv));
set:
    ret = g_platform_ops->ctx_xstate_set(t->ctx, buf, size);
out:
    free(buf);
    return ret;
}

void signal_xstate_reset(struct task *t)
{
    (void)read_fpstate(t, 0); /* out of memory keeps the old state, which is harmless */
}

long signal_return(struct task *t)
{
    struct lx_ucontext uc;
    const struct lx_sigcontext *sc = &uc.mcontext;
    struct lx_regs *regs = task_regs(t);

    t->k->restart.fn = NULL;
    if (get_user(&uc, regs->rsp - 8 + offsetof(struct lx_rt_sigframe, uc)) < 0)
        goto bad;
    signal_block(t, uc.sigmask);
    *regs = (struct lx_regs){
        .r8 = sc->r8,
        .r9 = sc->r9,
        .r10 = sc->r10,
        .r11 = sc->r11,
        .r12 = sc->r12,
        .r13 = sc->r13,
        .r14 = sc->r14,
        .r15 = sc->r15,
        .rdi = sc->rdi,
        .rsi = sc->rsi,
        .rbp = sc->rbp,
        .rbx = sc->rbx,
        .rdx = sc->rdx,
        .rax = sc->rax,
        .rcx = sc->rcx,
        .rsp = sc->rsp,
        .rip = sc->rip,
        .eflags = (regs->eflags & ~(uint64_t)EFLAGS_USER) | (sc->eflags & EFLAGS_USER),
        .cs = USER_CS,
        .ss = USER_SS,
        .orig_rax = (uint64_t)-1,
        .fs_base = regs->fs_base,
        .gs_base = regs->gs_base,
        .ds = regs->ds,
        .es = regs->es,
        .fs = regs->fs,
        .gs = regs->gs,
    };
    if (read_fpstate(t, sc->fpstate) < 0)
        goto bad;
    /* Linux: a stack that cannot be set again is no reason to fail the return. */
    (void)signal_altstack(t, &uc.stack, NULL, regs->rsp);
    return (long)regs->rax;
bad:
    regs->orig_rax = (uint64_t)-1;
    signal_force(t, LX_SIGSEGV, NULL);
    return 0;
}
