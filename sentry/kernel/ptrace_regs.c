/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Registers of a stopped tracee. General registers are task.regs, worked on under the tracee's
 * group lock. Extended state lives in the platform, which serves only the owner of a ctx: the
 * tracee's thread fetches it into ptrace_state.xstate when the tracer asks, and writes a changed
 * copy back before it leaves the stop.
 *
 * Single steps use the trap flag. forced_tf says that it is set on a tracer's behalf: it is hidden
 * from the tracer and taken back when the next resume does not step.
 *
 * Debug registers: DR0 to DR3 and DR6 read as 0, and a DR7 that would enable a breakpoint is
 * refused with -ENOSPC, Linux's answer when all slots are in use. The platforms cannot watch memory
 * for a guest, and a software imitation would miss reads; gdb has software watchpoints.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sentry/kernel/kernel_internal.h"
#include "sentry/kernel/ptrace.h"
#include "sentry/kernel/seccomp.h"

#define EFLAGS_TF 0x100ul
/* CF PF AF ZF SF TF DF OF NT RF AC */
#define EFLAGS_TRACER    0x54dd5ul
#define DR7_ENABLE       0xfful
#define DR7_RESERVED     0xffffffff0000fc00ul
#define SELECTOR_RPL     3u
#define SELECTOR_RPL_MAX 3u

/* ---- single step ---------------------------------------------------------------------------- */

void ptrace_step_enable(struct task *t)
{
    atomic_fetch_or(&t->k->pt.flags, PT_STEP);
    if (t->regs.eflags & EFLAGS_TF)
        return; /* the guest's own, or still ours */
    t->regs.eflags |= EFLAGS_TF;
    t->k->pt.forced_tf = true;
}

void ptrace_step_disable(struct task *t)
{
    atomic_fetch_and(&t->k->pt.flags, ~PT_STEP);
    if (t->k->pt.forced_tf)
        t->regs.eflags &= ~EFLAGS_TF;
    t->k->pt.forced_tf = false;
}

/* ---- general registers ---------------------------------------------------------------------- */

static bool bad_selector(uint64_t v)
{
    uint16_t sel = (uint16_t)v;

    return sel != 0 && (sel & SELECTOR_RPL_MAX) != SELECTOR_RPL;
}

/* One word of user_regs_struct as Linux's putreg() takes it. */
static int put_reg(struct task *t, size_t off, uint64_t v)
{
    struct ptrace_state *pt = &t->k->pt;
    struct lx_regs *r = &t->regs;
    uint64_t *slot = (uint64_t *)r + off / sizeof(uint64_t);

    switch (off) {
    case offsetof(struct lx_regs, cs):
    case offsetof(struct lx_regs, ss):
        if (bad_selector(v) || (uint16_t)v == 0)
            return -EIO;
        *slot = (uint16_t)v;
        return 0;
    case offsetof(struct lx_regs, ds):
    case offsetof(struct lx_regs, es):
    case offsetof(struct lx_regs, fs):
    case offsetof(struct lx_regs, gs):
        if (bad_selector(v))
            return -EIO;
        *slot = (uint16_t)v;
        return 0;
    case offsetof(struct lx_regs, fs_base):
    case offsetof(struct lx_regs, gs_base):
        if (v >= LX_TASK_SIZE)
            return -EIO;
        *slot = v;
        return 0;
    case offsetof(struct lx_regs, eflags):
        if (v & EFLAGS_TF)
            pt->forced_tf = false;
        else if (pt->forced_tf)
            v |= EFLAGS_TF;
        *slot = (*slot & ~EFLAGS_TRACER) | (v & EFLAGS_TRACER);
        return 0;
    default:
        *slot = v;
        return 0;
    }
}

int ptrace_regs_get(struct task *child, struct lx_regs *out)
{
    int ret;

    mutex_lock(&child->tg->lock);
    ret = ptrace_mine_locked(child) ? 0 : -ESRCH;
    if (ret == 0) {
        *out = child->regs;
        if (child->k->pt.forced_tf)
            out->eflags &= ~EFLAGS_TF;
    }
    mutex_unlock(&child->tg->lock);
    return ret;
}

int ptrace_regs_set(struct task *child, const struct lx_regs *regs, size_t off, size_t size)
{
    int ret;

    mutex_lock(&child->tg->lock);
    ret = ptrace_mine_locked(child) ? 0 : -ESRCH;
    for (size_t at = off; ret == 0 && at < off + size && at < sizeof(*regs); at += sizeof(uint64_t))
        ret = put_reg(child, at, ((const uint64_t *)regs)[at / sizeof(uint64_t)]);
    mutex_unlock(&child->tg->lock);
    return ret;
}

/* ---- struct user ---------------------------------------------------------------------------- */

static int put_debugreg(uint64_t nr, uint64_t v)
{
    if (nr == 4 || nr == 5)
        return -EIO;
    if (nr < 4)
        return v >= LX_TASK_SIZE ? -EINVAL : v ? -ENOSPC : 0;
    return nr == 7 && (v & ~DR7_RESERVED & DR7_ENABLE) ? -ENOSPC : 0;
}

int ptrace_user_get(struct task *child, uint64_t off, uint64_t *out)
{
    struct lx_regs regs;
    int ret;

    if ((off & 7) || off >= LX_USER_SIZE)
        return -EIO;
    ret = ptrace_regs_get(child, &regs);
    if (ret == 0)
        *out = off < sizeof(regs) ? ((const uint64_t *)&regs)[off / sizeof(uint64_t)] : 0;
    return ret;
}

int ptrace_user_set(struct task *child, uint64_t off, uint64_t value)
{
    struct lx_regs regs;

    if ((off & 7) || off >= LX_USER_SIZE)
        return -EIO;
    if (off >= LX_USER_DEBUGREG && off < LX_USER_DEBUGREG + 8 * LX_USER_DEBUGREG_COUNT)
        return put_debugreg((off - LX_USER_DEBUGREG) / sizeof(uint64_t), value);
    if (off >= sizeof(regs))
        return -EIO;
    ((uint64_t *)&regs)[off / sizeof(uint64_t)] = value;
    return ptrace_regs_set(child, &regs, off, sizeof(value));
}

/* ---- extended state ------------------------------------------------------------------------- */

bool ptrace_xstate_serve(struct task *t)
{
    struct ptrace_state *pt = &t->k->pt;
    size_t size = platform_xstate_size();
    uint8_t *buf;
    bool wanted;
    int ret;

    mutex_lock(&t->tg->lock);
    wanted = pt->xstate_wanted && !pt->xstate_valid;
    buf = pt->xstate;
    mutex_unlock(&t->tg->lock);
    if (!wanted)
        return false;
    if (!buf)
        buf = malloc(size);
    /* Nobody else touches the copy while it is not valid. */
    ret = !buf ? -ENOMEM : t->ctx ? g_platform_ops->ctx_xstate_get(t->ctx, buf, size) : -EIO;
    mutex_lock(&t->tg->lock);
    pt->xstate = buf;
    pt->xstate_valid = ret == 0;
    pt->xstate_error = ret;
    pt->xstate_wanted = false;
    if (pt->tracer)
        sleeper_wake(&pt->tracer->curr.sleeper);
    mutex_unlock(&t->tg->lock);
    return true;
}

void ptrace_xstate_commit(struct task *t)
{
    struct ptrace_state *pt = &t->k->pt;
    bool dirty;

    mutex_lock(&t->tg->lock);
    dirty = pt->xstate_dirty;
    pt->xstate_dirty = pt->xstate_valid = pt->xstate_wanted = false;
    mutex_unlock(&t->tg->lock);
    if (dirty && t->ctx)
        IGNORE_RESULT(g_platform_ops->ctx_xstate_set(
            t->ctx, pt->xstate, platform_xstate_size())); /* checked; the host's failure is ours */
}

/* Copies the state out or in once the child's thread has fetched it. */
static int move_xstate(struct task *child, uint8_t *out, const uint8_t *in)
{
    struct ptrace_state *pt = &child->k->pt;
    bool asked = false, done;
    int ret;

    for (;;) {
        mutex_lock(&child->tg->lock);
        ret = ptrace_mine_locked(child) ? 0 : -ESRCH;
        done = ret == 0 && pt->xstate_valid;
        if (done && out)
            memcpy(out, pt->xstate, platform_xstate_size());
        if (done && in) {
            memcpy(pt->xstate, in, platform_xstate_size());
            pt->xstate_dirty = true;
        }
        if (ret == 0 && !done && asked && !pt->xstate_wanted)
            ret = pt->xstate_error;
        if (ret == 0 && !done && !pt->xstate_wanted) {
            pt->xstate_wanted = asked = true;
            sleeper_wake(&child->curr.sleeper);
        }
        mutex_unlock(&child->tg->lock);
        if (done || ret < 0)
            return ret;
        if (task_block_killable(NO_DEADLINE) < 0)
            return -ESRCH; /* never seen: the caller is being killed */
    }
}

int ptrace_xstate_get(struct task *child, uint8_t *buf)
{
    int ret = move_xstate(child, buf, NULL);

    if (ret == 0)
        signal_xstate_describe(buf);
    return ret;
}

int ptrace_xstate_set(struct task *child, const uint8_t *buf)
{
    int ret = signal_xstate_check(buf);

    return ret < 0 ? ret : move_xstate(child, NULL, buf);
}

/* ---- what kind of stop ----------------------------------------------------------------------- */

static void fill_call(const struct task *t, uint8_t op, struct lx_ptrace_syscall_info *out)
{
    const struct lx_regs *r = &t->regs;
    const uint64_t args[] = {r->rdi, r->rsi, r->rdx, r->r10, r->r8, r->r9};

    out->op = op;
    out->call.nr = (uint64_t)(int64_t)(int32_t)r->orig_rax;
    memcpy(out->call.args, args, sizeof(args));
}

static int fill_info_locked(const struct task *t, struct lx_ptrace_syscall_info *out)
{
    const struct ptrace_state *pt = &t->k->pt;

    *out = (struct lx_ptrace_syscall_info){.op = LX_PTRACE_SYSCALL_INFO_NONE,
                                           .arch = LX_AUDIT_ARCH_X86_64,
                                           .instruction_pointer = t->regs.rip,
                                           .stack_pointer = t->regs.rsp};
    switch (pt->has_info ? pt->info.code : 0) {
    case LX_SIGTRAP | 0x80:
        if (pt->message == LX_PTRACE_EVENTMSG_SYSCALL_ENTRY) {
            fill_call(t, LX_PTRACE_SYSCALL_INFO_ENTRY, out);
            return offsetof(struct lx_ptrace_syscall_info, call.ret_data);
        }
        if (pt->message == LX_PTRACE_EVENTMSG_SYSCALL_EXIT) {
            out->op = LX_PTRACE_SYSCALL_INFO_EXIT;
            out->exit.rval = (int64_t)t->regs.rax;
            out->exit.is_error = t->regs.rax >= (uint64_t)-4095l;
            return offsetof(struct lx_ptrace_syscall_info, exit.is_error) + 1;
        }
        break;
    case LX_SIGTRAP | LX_PTRACE_EVENT_SECCOMP << 8:
        fill_call(t, LX_PTRACE_SYSCALL_INFO_SECCOMP, out);
        out->call.ret_data = (uint32_t)pt->message;
        return offsetof(struct lx_ptrace_syscall_info, call.ret_data) + 4;
    default:
        break;
    }
    return offsetof(struct lx_ptrace_syscall_info, call);
}

int ptrace_syscall_info(struct task *child, struct lx_ptrace_syscall_info *out)
{
    int ret = -ESRCH;

    mutex_lock(&child->tg->lock);
    if (ptrace_mine_locked(child))
        ret = fill_info_locked(child, out);
    mutex_unlock(&child->tg->lock);
    return ret;
}
