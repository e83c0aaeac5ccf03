/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Registers of virtual CPUs, and what a hlt of ring 0 means.
 *
 * On real hardware a system call stands at ENTRY_SYSCALL with the caller's stack, and exceptions at their
 * vector's entry with a frame on the CPU page. Where KVM is software the call can come as a fault of ring 3
 * at the call's entry (platform.call_faults); it is taken for the call it is, and a guest that jumps there
 * makes a call of its own making. Nothing else is read from guest registers than what the guest may set.
 */
#include <errno.h>
#include <string.h>

#include "platform/base/log.h"
#include "platform/host/kvm.h"
#include "platform/kvm/kvm_internal.h"
#include "sentry/abi/signal.h"

/* CF PF AF ZF SF TF DF OF NT RF AC ID: what ring 3 can have of its own; IF and bit 1 are always set. */
#define EFLAGS_USER  0x254dd5ul
#define EFLAGS_FIXED 0x202ul

enum {
    VECTOR_DE = 0,
    VECTOR_DB = 1,
    VECTOR_BP = 3,
    VECTOR_UD = 6,
    VECTOR_DF = 8,
    VECTOR_NP = 11,
    VECTOR_SS = 12,
    VECTOR_GP = 13,
    VECTOR_PF = 14,
    VECTOR_MF = 16,
    VECTOR_AC = 17,
    VECTOR_XM = 19,
    PF_PRESENT = 1,
    PF_WRITE = 2,
    PF_FETCH = 16,
    DR6_STEP = 0x4000,
    DR6_HIT = 0xf,
    SEG_CODE = 11,
    SEG_DATA = 3,
    RPL_USER = 3,
    FXSAVE_FCW = 0,
    FXSAVE_FSW = 2,
    FXSAVE_MXCSR = 24,
    MXCSR_MASKS_SHIFT = 7,
};

/* --- registers --- */

static struct kvm_segment code_segment(uint64_t selector)
{
    const bool compat = selector == USER32_CS;

    return (struct kvm_segment){.selector = compat ? USER32_CS : USER64_CS,
                                .limit = 0xffffffff,
                                .type = SEG_CODE,
                                .present = 1,
                                .dpl = RPL_USER,
                                .s = 1,
                                .l = !compat,
                                .db = compat,
                                .g = 1};
}

/* Selectors that the machine does not have are 0: flat is all that 64-bit code needs. */
static struct kvm_segment data_segment(uint64_t selector, uint64_t base)
{
    struct kvm_segment s = {.base = base,
                            .limit = 0xffffffff,
                            .type = SEG_DATA,
                            .dpl = RPL_USER,
                            .s = 1,
                            .db = 1,
                            .g = 1};

    if (selector == USER_SS) {
        s.selector = USER_SS;
        s.present = 1;
    } else {
        s.unusable = 1;
    }
    return s;
}

static uint64_t user_base(uint64_t base)
{
    return base < LX_TASK_SIZE ? base : 0;
}

void kvm_regs_load(const struct platform *p, struct vcpu *v, const struct lx_regs *regs,
                   uint64_t root)
{
    struct kvm_regs *r = &v->run->s.regs.regs;
    struct kvm_sregs *s = &v->run->s.regs.sregs;

    *r = (struct kvm_regs){.rax = regs->rax,
                           .rbx = regs->rbx,
                           .rcx = regs->rcx,
                           .rdx = regs->rdx,
                           .rsi = regs->rsi,
                           .rdi = regs->rdi,
                           .rsp = regs->rsp,
                           .rbp = regs->rbp,
                           .r8 = regs->r8,
                           .r9 = regs->r9,
                           .r10 = regs->r10,
                           .r11 = regs->r11,
                           .r12 = regs->r12,
                           .r13 = regs->r13,
                           .r14 = regs->r14,
                           .r15 = regs->r15,
                           .rip = regs->rip,
                           .rflags = (regs->eflags & EFLAGS_USER) | EFLAGS_FIXED};
    *s = p->sregs;
    s->cr3 = root;
    s->cs = code_segment(regs->cs);
    s->ss = data_segment(USER_SS, 0);
    s->ds = data_segment(regs->ds, 0);
    s->es = data_segment(regs->es, 0);
    s->fs = data_segment(regs->fs, user_base(regs->fs_base));
    s->gs = data_segment(regs->gs, user_base(regs->gs_base));
    s->gdt.base = KERNEL_CPUS + v->index * LX_PAGE_SIZE + CPU_GDT;
    s->tr.base = KERNEL_CPUS + v->index * LX_PAGE_SIZE + CPU_TSS;
    v->run->kvm_dirty_regs = KVM_SYNC_X86_REGS | KVM_SYNC_X86_SREGS;
}

void kvm_regs_store(const struct vcpu *v, struct lx_regs *regs)
{
    const struct kvm_regs *r = &v->run->s.regs.regs;
    const struct kvm_sregs *s = &v->run->s.regs.sregs;

    *regs = (struct lx_regs){.r15 = r->r15,
                             .r14 = r->r14,
                             .r13 = r->r13,
                             .r12 = r->r12,
                             .rbp = r->rbp,
                             .rbx = r->rbx,
                             .r11 = r->r11,
                             .r10 = r->r10,
                             .r9 = r->r9,
                             .r8 = r->r8,
                             .rax = r->rax,
                             .rcx = r->rcx,
                             .rdx = r->rdx,
                             .rsi = r->rsi,
                             .rdi = r->rdi,
                             .orig_rax = UINT64_MAX,
                             .rip = r->rip,
                             .cs = s->cs.selector,
                             .eflags = r->rflags,
                             .rsp = r->rsp,
                             .ss = USER_SS,
                             .fs_base = s->fs.base,
                             .gs_base = s->gs.base,
                             .ds = s->ds.selector,
                             .es = s->es.selector,
                             .fs = s->fs.selector,
                             .gs = s->gs.selector};
}

/* --- events --- */

/* What an exception pushes in 64-bit mode, without its error code. */
struct frame {
    uint64_t rip, cs, rflags, rsp, ss;
};

static bool has_error(unsigned vector)
{
    return vector == VECTOR_DF || (vector >= 10 && vector <= VECTOR_PF) || vector == VECTOR_AC;
}

/* *error is 0 where there is none. False: no frame. */
static bool frame_take(const struct vcpu *v, unsigned vector, struct frame *out, uint64_t *error)
{
    const uint64_t size = sizeof(*out) + (has_error(vector) ? sizeof(*error) : 0);
    const uint64_t at = v->run->s.regs.regs.rsp - (KERNEL_CPUS + v->index * LX_PAGE_SIZE);

    *error = 0;
    if (at != CPU_STACK_TOP - size)
        return false;
    if (has_error(vector))
        memcpy(error, v->page + at, sizeof(*error));
    memcpy(out, v->page + CPU_STACK_TOP - sizeof(*out), sizeof(*out));
    return true;
}

static int exception(struct platform_event *ev, int signo, int code, uaddr_t addr)
{
    *ev = (struct platform_event){
        .kind = PLATFORM_EXCEPTION, .signo = signo, .code = code, .addr = addr};
    return 1;
}

static int call(struct lx_regs *regs, struct platform_event *ev)
{
    regs->rip = regs->rcx;
    regs->eflags = (regs->r11 & EFLAGS_USER) | EFLAGS_FIXED;
    regs->orig_rax = regs->rax;
    regs->rax = (uint64_t)-ENOSYS;
    regs->cs = USER64_CS;
    *ev = (struct platform_event){.kind = PLATFORM_SYSCALL};
    return 1;
}

static int page_fault(struct platform_ctx *c, const struct vcpu *v, uint64_t error,
                      struct platform_event *ev)
{
    const uaddr_t addr = v->run->s.regs.sregs.cr2;

    *ev = (struct platform_event){.kind = PLATFORM_FAULT,
                                  .fault_addr = addr,
                                  .fault_access = error & PF_WRITE   ? PLATFORM_ACCESS_WRITE
                                                  : error & PF_FETCH ? PLATFORM_ACCESS_EXEC
                                                                     : PLATFORM_ACCESS_READ,
                                  .fault_bus = kvm_space_bad(c->space, addr),
                                  .code = error & PF_PRESENT ? LX_SEGV_ACCERR : LX_SEGV_MAPERR};
    return 1;
}

static int debug_trap(struct vcpu *v, const struct lx_regs *regs, struct platform_event *ev)
{
    struct kvm_debugregs d;
    int code = LX_TRAP_BRKPT;

    if (host_kvm(v->fd, KVM_GET_DEBUGREGS, &d) == 0) {
        if (d.dr6 & DR6_STEP)
            code = LX_TRAP_TRACE;
        d.dr6 &= ~(uint64_t)(DR6_STEP | DR6_HIT);
        IGNORE_RESULT(host_kvm(v->fd, KVM_SET_DEBUGREGS, &d)); /* the next one would say both */
    }
    return exception(ev, LX_SIGTRAP, code, regs->rip);
}

/* si_code of the first unmasked exception, in the order of Linux. */
static int float_code(unsigned raised)
{
    static const struct {
        unsigned bits;
        int code;
    } rows[] = {{0x01, LX_FPE_FLTINV},
                {0x04, LX_FPE_FLTDIV},
                {0x08, LX_FPE_FLTOVF},
                {0x12, LX_FPE_FLTUND},
                {0x20, LX_FPE_FLTRES}};

    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        if (raised & rows[i].bits)
            return rows[i].code;
    }
    return 0;
}

static int float_exception(struct vcpu *v, unsigned vector, const struct lx_regs *regs,
                           struct platform_event *ev)
{
    uint8_t area[512];
    uint16_t fcw, fsw;
    uint32_t mxcsr;
    int ret = kvm_vcpu_xsave(v, area, sizeof(area));

    if (ret < 0)
        return ret;
    memcpy(&fcw, area + FXSAVE_FCW, sizeof(fcw));
    memcpy(&fsw, area + FXSAVE_FSW, sizeof(fsw));
    memcpy(&mxcsr, area + FXSAVE_MXCSR, sizeof(mxcsr));
    return exception(ev, LX_SIGFPE,
                     float_code(vector == VECTOR_MF ? fsw & ~(unsigned)fcw
                                                    : mxcsr & ~(mxcsr >> MXCSR_MASKS_SHIFT)),
                     regs->rip);
}

static int vector_event(struct platform_ctx *c, struct vcpu *v, unsigned vector, uint64_t error,
                        struct lx_regs *regs, struct platform_event *ev)
{
    switch (vector) {
    case VECTOR_PF:
        return page_fault(c, v, error, ev);
    case VECTOR_DE:
        return exception(ev, LX_SIGFPE, LX_FPE_INTDIV, regs->rip);
    case VECTOR_DB:
        return debug_trap(v, regs, ev);
    case VECTOR_BP:
        return exception(ev, LX_SIGTRAP, LX_SI_KERNEL, 0);
    case VECTOR_UD:
        return exception(ev, LX_SIGILL, LX_ILL_ILLOPN, regs->rip);
    case VECTOR_NP:
    case VECTOR_SS:
        return exception(ev, LX_SIGBUS, LX_SI_KERNEL, 0);
    case VECTOR_AC:
        return exception(ev, LX_SIGBUS, LX_BUS_ADRALN, 0);
    case VECTOR_MF:
    case VECTOR_XM:
        return float_exception(v, vector, regs, ev);
    case VECTOR_DF:
        return -EIO;
    default:
        return exception(ev, LX_SIGSEGV, LX_SI_KERNEL, 0);
    }
}

int kvm_event_halt(struct platform_ctx *c, struct vcpu *v, struct lx_regs *regs,
                   struct platform_event *ev)
{
    const uint64_t at = v->run->s.regs.regs.rip - 1 - KERNEL_CODE; /* rip is behind the hlt */
    struct frame f;
    unsigned vector;
    uint64_t error;

    kvm_regs_store(v, regs);
    if (likely(at == ENTRY_SYSCALL))
        return call(regs, ev);
    if (at == ENTRY_SYSCALL32) { /* not offered: as on a host without IA32 emulation */
        regs->rip = regs->rcx;
        regs->cs = USER32_CS;
        return exception(ev, LX_SIGSEGV, LX_SI_KERNEL, 0);
    }
    vector = (unsigned)((at - ENTRY_VECTOR) / ENTRY_VECTOR_STEP);
    if (at < ENTRY_VECTOR || vector >= VECTOR_COUNT || !frame_take(v, vector, &f, &error) ||
        ((f.cs & 3) != RPL_USER &&
         !(vector == VECTOR_DB && f.rip == KERNEL_CODE + ENTRY_SYSCALL))) {
        log_warn(LOG_PLATFORM, "kvm: halted at %#llx", v->run->s.regs.regs.rip);
        return -EIO;
    }
    regs->rip = f.rip;
    regs->cs = f.cs;
    regs->eflags = (f.rflags & EFLAGS_USER) | EFLAGS_FIXED;
    regs->rsp = f.rsp;
    if ((f.cs & 3) != RPL_USER) /* the trap of a load of ss, see vcpu.c */
        return call(regs, ev);
    if (c->platform->call_faults && f.rip == KERNEL_CODE + ENTRY_SYSCALL &&
        (vector == VECTOR_PF || vector == VECTOR_GP))
        return call(regs, ev);
    return vector_event(c, v, vector, error, regs, ev);
}
