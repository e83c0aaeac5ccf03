/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Registers of a stopped stub. The sentry's values come from guests (signal frames, ptrace), so
 * what the host would refuse, or what has no meaning in user mode, is replaced before it gets
 * there.
 */
#include <elf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/uio.h>

#include "platform/host/proc.h"
#include "platform/ptrace/ptrace_internal.h"

/* CF PF AF ZF SF TF DF OF NT RF AC: what the host kernel lets a tracer change. */
#define EFLAGS_USER 0x54dd5ul

enum {
    USER32_CS = 0x23,
    USER64_CS = 0x33,
    USER_SS = 0x2b,
    RESTART_FIRST = 512, /* ERESTARTSYS .. ERESTART_RESTARTBLOCK: the host acts on these */
    RESTART_LAST = 516,
    FXSAVE_FCW = 0,
    FXSAVE_MXCSR = 24,
    XSAVE_HEADER = 512,
    FCW_DEFAULT = 0x37f,
    MXCSR_DEFAULT = 0x1f80,
};

static bool restart_code(uint64_t rax)
{
    int64_t v = (int64_t)rax;

    return v <= -RESTART_FIRST && v >= -RESTART_LAST;
}

/* SETREGS fails as a whole for selectors that are not user selectors. */
static uint64_t user_selector(uint64_t sel)
{
    return (sel & 3) == 3 && sel <= 0xffff ? sel : 0;
}

static uint64_t user_base(uint64_t base)
{
    return base < LX_TASK_SIZE ? base : 0;
}

static void sanitize(struct lx_regs *r, const struct platform_ctx *c)
{
    uint64_t fixed = c->hw_valid ? c->hw.eflags : 0x202;

    r->eflags = (fixed & ~EFLAGS_USER) | (r->eflags & EFLAGS_USER);
    r->cs = r->cs == USER32_CS ? USER32_CS : USER64_CS;
    r->ss = USER_SS;
    r->ds = user_selector(r->ds);
    r->es = user_selector(r->es);
    r->fs = user_selector(r->fs);
    r->gs = user_selector(r->gs);
    r->fs_base = user_base(r->fs_base);
    r->gs_base = user_base(r->gs_base);
    /* The stop was no host system call: nothing to restart. */
    r->orig_rax = UINT64_MAX;
}

static bool same_but_rax(const struct lx_regs *a, const struct lx_regs *b)
{
    size_t rax = offsetof(struct lx_regs, rax), rcx = offsetof(struct lx_regs, rcx);
    size_t orig = offsetof(struct lx_regs, orig_rax), rip = offsetof(struct lx_regs, rip);

    return memcmp(a, b, rax) == 0 &&
           memcmp((const char *)a + rcx, (const char *)b + rcx, orig - rcx) == 0 &&
           memcmp((const char *)a + rip, (const char *)b + rip, sizeof(*a) - rip) == 0;
}

int ctx_regs_commit(struct platform_ctx *c, const struct lx_regs *want)
{
    struct lx_regs r;
    long ret;

    if (likely(c->hw_valid && same_but_rax(want, &c->hw))) {
        /* Not with a restart code, which the host would act on, nor with -ENOSYS, which would look
         * like the next system call stop (ctx.c). */
        if (likely(c->hw.orig_rax == UINT64_MAX ||
                   (!restart_code(want->rax) && want->rax != (uint64_t)-ENOSYS))) {
            if (want->rax == c->hw.rax)
                return 0;
            ret =
                host_ptrace(PTRACE_POKEUSER, c->stub.pid, offsetof(struct lx_regs, rax), want->rax);
            c->hw.rax = want->rax;
            return (int)ret;
        }
    }
    r = *want;
    sanitize(&r, c);
    ret = host_ptrace(PTRACE_SETREGS, c->stub.pid, 0, (unsigned long)&r);
    if (ret == -EIO) {
        /* A selector the host does not know. Flat segments are what a 64-bit program needs. */
        r.ds = r.es = r.fs = r.gs = 0;
        ret = host_ptrace(PTRACE_SETREGS, c->stub.pid, 0, (unsigned long)&r);
    }
    c->hw = r;
    c->hw_valid = ret == 0;
    return (int)ret;
}

static int xstate_call(struct platform_ctx *c, int request, void *buf, size_t size)
{
    struct iovec iov = {buf, size};
    int ret = ctx_bind(c);

    if (ret < 0)
        return ret;
    return (int)host_ptrace(request, c->stub.pid, NT_X86_XSTATE, (unsigned long)&iov);
}

int ptrace_ctx_xstate_get(struct platform_ctx *c, void *buf, size_t size)
{
    if (size < platform_xstate_size())
        return -EINVAL;
    if (c->fpu == CTX_FPU_PENDING) {
        memcpy(buf, c->xs_pending, platform_xstate_size());
        return 0;
    }
    return xstate_call(c, PTRACE_GETREGSET, buf, platform_xstate_size());
}

int ptrace_ctx_xstate_set(struct platform_ctx *c, const void *buf, size_t size)
{
    int ret;
    void *copy;

    if (size != platform_xstate_size())
        return -EINVAL;
    copy = malloc(size);
    if (!copy)
        return -ENOMEM;
    memcpy(copy, buf, size);
    if (!c->stub.seized) {
        /* Not traced by anybody yet: the owner loads it when it takes over. */
        free(c->xs_pending);
        c->xs_pending = copy;
        c->fpu = CTX_FPU_PENDING;
        return 0;
    }
    c->fpu = CTX_FPU_OWN;
    ret = xstate_call(c, PTRACE_SETREGSET, copy, size);
    free(copy);
    return ret;
}

int ptrace_ctx_xstate_copy(struct platform_ctx *dst, struct platform_ctx *src)
{
    size_t size = platform_xstate_size();
    void *buf;
    int ret;

    if (dst->fpu_parent == src && dst->fpu_parent_seq == atomic_load(&src->seq) &&
        atomic_load(&dst->seq) == 0) {
        dst->fpu = CTX_FPU_OWN; /* the host's fork gave it the same state */
        return 0;
    }
    buf = malloc(size);
    if (!buf)
        return -ENOMEM;
    ret = ptrace_ctx_xstate_get(src, buf, size);
    if (ret == 0)
        ret = ptrace_ctx_xstate_set(dst, buf, size);
    free(buf);
    return ret;
}

int ctx_xstate_load(struct platform_ctx *c)
{
    size_t size = platform_xstate_size();
    uint8_t *image = c->xs_pending;
    const uint32_t mxcsr = MXCSR_DEFAULT;
    const uint16_t fcw = FCW_DEFAULT;
    enum ctx_fpu was = c->fpu;
    int ret;

    if (c->fpu == CTX_FPU_OWN)
        return 0;
    if (c->fpu == CTX_FPU_RESET) {
        /* An empty component bitmap means initial values, except that MXCSR is always taken. */
        image = calloc(1, size);
        if (!image)
            return -ENOMEM;
        memcpy(image + FXSAVE_FCW, &fcw, sizeof(fcw));
        memcpy(image + FXSAVE_MXCSR, &mxcsr, sizeof(mxcsr));
    }
    c->fpu = CTX_FPU_OWN;
    ret = xstate_call(c, PTRACE_SETREGSET, image, size);
    free(image);
    c->xs_pending = NULL;
    if (ret == -EINVAL && was == CTX_FPU_PENDING) {
        /* Reserved bits in a guest's image. What the stub holds belonged to somebody else. */
        c->fpu = CTX_FPU_RESET;
        return ctx_xstate_load(c);
    }
    return ret;
}
