/* SPDX-License-Identifier: Apache-2.0 */
/* ptrace(2): requests decoded, what they move copied; kernel/ptrace.h does the rest. */
#include "sentry/kernel/ptrace.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "gen/syscall_protos.h"
#include "sentry/abi/prctl.h"
#include "sentry/abi/signal.h"
#include "sentry/kernel/task.h"
#include "sentry/mm/iov_iter.h"
#include "sentry/mm/mm.h"
#include "sentry/mm/uaccess.h"

/* ---- memory --------------------------------------------------------------------------------- */

static long peek(struct task *child, uint64_t addr, uaddr_t data)
{
    struct mm *mm;
    uint64_t word;
    long ret = ptrace_mem_get(child, &mm);

    if (ret < 0)
        return ret;
    if (mm_copy_in_partial(mm, &word, addr, sizeof(word), /*force=*/true) != sizeof(word))
        ret = -EIO;
    mm_put(mm);
    return ret < 0 ? ret : put_user(&word, data);
}

static long poke(struct task *child, uint64_t addr, uint64_t word)
{
    struct mm *mm;
    long ret = ptrace_mem_get(child, &mm);

    if (ret < 0)
        return ret;
    if (mm_copy_out_partial(mm, addr, &word, sizeof(word), /*force=*/true) != sizeof(word))
        ret = -EIO;
    mm_put(mm);
    return ret;
}

static long peek_user(struct task *child, uint64_t off, uaddr_t data)
{
    uint64_t word;
    long ret = ptrace_user_get(child, off, &word);

    return ret < 0 ? ret : put_user(&word, data);
}

/* ---- registers ------------------------------------------------------------------------------ */

static long regs_out(struct task *child, uaddr_t data, size_t size)
{
    struct lx_regs regs;
    long ret = ptrace_regs_get(child, &regs);

    return ret < 0 ? ret : copy_out(data, &regs, size);
}

static long regs_in(struct task *child, uaddr_t data, size_t size)
{
    struct lx_regs regs;

    if (copy_in(&regs, data, size) < 0)
        return -EFAULT;
    return ptrace_regs_set(child, &regs, 0, size);
}

/* size: all of the XSAVE image, or the FXSAVE part at its start. */
static long xstate_out(struct task *child, uaddr_t data, size_t size)
{
    uint8_t *image = calloc(1, platform_xstate_size());
    long ret = image ? ptrace_xstate_get(child, image) : -ENOMEM;

    if (ret == 0) {
        /* The software bytes belong to the XSAVE view. */
        if (size <= LX_USER_FPREGS_SIZE)
            memset(image + LX_FX_SW_OFFSET, 0, sizeof(struct lx_fpx_sw_bytes));
        ret = copy_out(data, image, size);
    }
    free(image);
    return ret;
}

static long xstate_in(struct task *child, uaddr_t data, size_t size)
{
    enum { XSTATE_BV = LX_USER_FPREGS_SIZE, FPSSE = 3 };
    uint8_t *image = calloc(1, platform_xstate_size());
    uint64_t bv;
    long ret = image ? 0 : -ENOMEM;

    if (ret == 0 && size < platform_xstate_size())
        ret = ptrace_xstate_get(child, image);
    if (ret == 0)
        ret = copy_in(image, data, size);
    if (ret == 0) {
        memset(image + LX_FX_SW_OFFSET, 0, sizeof(struct lx_fpx_sw_bytes));
        if (size < platform_xstate_size()) {
            memcpy(&bv, image + XSTATE_BV, sizeof(bv));
            bv |= FPSSE;
            memcpy(image + XSTATE_BV, &bv, sizeof(bv));
        }
        ret = ptrace_xstate_set(child, image);
    }
    free(image);
    return ret;
}

static long regset(struct task *child, uint64_t type, uaddr_t uiov, bool set)
{
    struct lx_iovec iov;
    size_t full;
    long ret;

    if (get_user(&iov, uiov) < 0)
        return -EFAULT;
    full = type == LX_NT_PRSTATUS     ? sizeof(struct lx_regs)
           : type == LX_NT_PRFPREG    ? LX_USER_FPREGS_SIZE
           : type == LX_NT_X86_XSTATE ? platform_xstate_size()
                                      : 0;
    if (!full || iov.len % sizeof(uint64_t))
        return -EINVAL;
    iov.len = MIN(iov.len, full);
    if (type == LX_NT_PRSTATUS)
        ret = set ? regs_in(child, iov.base, iov.len) : regs_out(child, iov.base, iov.len);
    else if (!set)
        ret = xstate_out(child, iov.base, iov.len);
    else if (iov.len != full)
        ret = type == LX_NT_PRFPREG ? -EINVAL : -EFAULT;
    else
        ret = xstate_in(child, iov.base, full);
    return ret < 0 ? ret : put_user(&iov.len, uiov + offsetof(struct lx_iovec, len));
}

static long arch_prctl_of(struct task *child, uint64_t arg, uint64_t option)
{
    struct lx_regs regs;
    bool fs = option == LX_ARCH_SET_FS || option == LX_ARCH_GET_FS;
    size_t off = fs ? offsetof(struct lx_regs, fs_base) : offsetof(struct lx_regs, gs_base);
    long ret;

    switch ((int32_t)option) {
    case LX_ARCH_SET_FS:
    case LX_ARCH_SET_GS:
        if (arg >= LX_TASK_SIZE)
            return -EPERM;
        return ptrace_user_set(child, off, arg);
    case LX_ARCH_GET_FS:
    case LX_ARCH_GET_GS:
        ret = ptrace_regs_get(child, &regs);
        return ret < 0 ? ret : put_user(fs ? &regs.fs_base : &regs.gs_base, arg);
    default:
        return -EINVAL;
    }
}

/* ---- signals -------------------------------------------------------------------------------- */

static long siginfo_out(struct task *child, uaddr_t data)
{
    struct lx_siginfo info;
    long ret = ptrace_siginfo_get(child, &info);

    return ret < 0 ? ret : put_user(&info, data);
}

static long siginfo_in(struct task *child, uaddr_t data)
{
    struct lx_siginfo info;

    if (get_user(&info, data) < 0)
        return -EFAULT;
    return ptrace_siginfo_set(child, &info);
}

static long sigmask_rw(struct task *child, uint64_t size, uaddr_t data, bool set)
{
    lx_sigset_t mask;
    long ret;

    if (size != sizeof(mask))
        return -EINVAL;
    if (set)
        return get_user(&mask, data) < 0 ? -EFAULT : ptrace_sigmask_set(child, mask);
    ret = ptrace_sigmask_get(child, &mask);
    return ret < 0 ? ret : put_user(&mask, data);
}

static long peek_siginfo(struct task *child, uaddr_t uargs, uaddr_t data)
{
    struct lx_ptrace_peeksiginfo_args args;
    struct lx_siginfo info;
    int i;

    if (get_user(&args, uargs) < 0)
        return -EFAULT;
    if ((args.flags & ~LX_PTRACE_PEEKSIGINFO_SHARED) || args.nr < 0)
        return -EINVAL;
    for (i = 0; i < args.nr; i++) {
        uint64_t off = args.off + (uint64_t)i;

        if (off < args.off || !ptrace_siginfo_peek(child, args.flags, off, &info))
            break;
        if (put_user(&info, data + (uint64_t)i * sizeof(info)) < 0)
            return i ? i : -EFAULT;
        if (task_interrupted())
            return i + 1;
    }
    return i;
}

/* ---- the rest ------------------------------------------------------------------------------- */

static long message_out(struct task *child, uaddr_t data)
{
    uint64_t message;
    long ret = ptrace_message(child, &message);

    return ret < 0 ? ret : put_user(&message, data);
}

static long syscall_info(struct task *child, uint64_t size, uaddr_t data)
{
    struct lx_ptrace_syscall_info info;
    long ret = ptrace_syscall_info(child, &info);

    if (ret < 0)
        return ret;
    return copy_out(data, &info, MIN((uint64_t)ret, size)) < 0 ? -EFAULT : ret;
}

static long filter_out(struct task *child, uint64_t index, uaddr_t data)
{
    enum { INSN_SIZE = 8 };
    void *insns;
    size_t size;
    long ret = ptrace_seccomp_filter(child, index, &insns, &size);

    if (ret < 0)
        return ret;
    ret = data ? copy_out(data, insns, size) : 0;
    free(insns);
    return ret < 0 ? ret : (long)(size / INSN_SIZE);
}

static long filter_metadata(struct task *child, uint64_t size, uaddr_t data)
{
    struct lx_seccomp_metadata md = {0};
    long ret;

    size = MIN(size, sizeof(md));
    if (size < sizeof(md.filter_off))
        return -EINVAL;
    if (get_user(&md.filter_off, data) < 0)
        return -EFAULT;
    ret = ptrace_seccomp_metadata(child, md.filter_off, &md.flags);
    if (ret < 0)
        return ret;
    return copy_out(data, &md, size) < 0 ? -EFAULT : (long)size;
}

static long attach(struct task *child, int64_t request, uint64_t addr, uint64_t data)
{
    if (request == LX_PTRACE_ATTACH)
        return ptrace_attach(child, /*seize=*/false, 0);
    /* Linux: unlike SETOPTIONS, unknown options are EIO here. */
    if (addr || (data & ~(uint64_t)LX_PTRACE_O_MASK))
        return -EIO;
    return ptrace_attach(child, /*seize=*/true, (uint32_t)data);
}

static long request_stopped(struct task *child, int64_t request, uint64_t addr, uint64_t data)
{
    switch (request) {
    case LX_PTRACE_PEEKTEXT:
    case LX_PTRACE_PEEKDATA:
        return peek(child, addr, data);
    case LX_PTRACE_POKETEXT:
    case LX_PTRACE_POKEDATA:
        return poke(child, addr, data);
    case LX_PTRACE_PEEKUSR:
        return peek_user(child, addr, data);
    case LX_PTRACE_POKEUSR:
        return ptrace_user_set(child, addr, data);
    case LX_PTRACE_GETREGS:
        return regs_out(child, data, sizeof(struct lx_regs));
    case LX_PTRACE_SETREGS:
        return regs_in(child, data, sizeof(struct lx_regs));
    case LX_PTRACE_GETFPREGS:
        return xstate_out(child, data, LX_USER_FPREGS_SIZE);
    case LX_PTRACE_SETFPREGS:
        return xstate_in(child, data, LX_USER_FPREGS_SIZE);
    case LX_PTRACE_GETREGSET:
    case LX_PTRACE_SETREGSET:
        return regset(child, addr, data, request == LX_PTRACE_SETREGSET);
    case LX_PTRACE_ARCH_PRCTL:
        return arch_prctl_of(child, addr, data);
    case LX_PTRACE_CONT:
    case LX_PTRACE_SYSCALL:
    case LX_PTRACE_SYSEMU:
    case LX_PTRACE_SINGLESTEP:
    case LX_PTRACE_SYSEMU_SINGLESTEP:
        return ptrace_resume(child, request, data);
    case LX_PTRACE_DETACH:
        return ptrace_detach(child, data);
    case LX_PTRACE_LISTEN:
        return ptrace_listen(child);
    case LX_PTRACE_SETOPTIONS:
        return ptrace_set_options(child, data);
    case LX_PTRACE_GETEVENTMSG:
        return message_out(child, data);
    case LX_PTRACE_GETSIGINFO:
        return siginfo_out(child, data);
    case LX_PTRACE_SETSIGINFO:
        return siginfo_in(child, data);
    case LX_PTRACE_PEEKSIGINFO:
        return peek_siginfo(child, addr, data);
    case LX_PTRACE_GETSIGMASK:
    case LX_PTRACE_SETSIGMASK:
        return sigmask_rw(child, addr, data, request == LX_PTRACE_SETSIGMASK);
    case LX_PTRACE_GET_SYSCALL_INFO:
        return syscall_info(child, addr, data);
    case LX_PTRACE_SECCOMP_GET_FILTER:
        return filter_out(child, addr, data);
    case LX_PTRACE_SECCOMP_GET_METADATA:
        return filter_metadata(child, addr, data);
    default:
        return -EIO;
    }
}

long sys_ptrace(struct task *t, int64_t request, int64_t pid, uint64_t addr, uint64_t data)
{
    struct task *child;
    long ret;

    (void)t;
    if (request == LX_PTRACE_TRACEME)
        return ptrace_traceme();
    child = task_find_get((lx_pid_t)pid);
    if (!child)
        return -ESRCH;
    if (request == LX_PTRACE_ATTACH || request == LX_PTRACE_SEIZE) {
        ret = attach(child, request, addr, data);
    } else if (request == LX_PTRACE_KILL || request == LX_PTRACE_INTERRUPT) {
        ret = ptrace_check(child, /*any_state=*/true);
        if (ret == 0)
            ret = request == LX_PTRACE_INTERRUPT ? ptrace_interrupt(child)
                                                 : (signal_send_task(child, LX_SIGKILL, NULL), 0);
    } else {
        ret = ptrace_check(child, /*any_state=*/false);
        if (ret == 0)
            ret = request_stopped(child, request, addr, data);
    }
    task_put(child);
    return ret;
}
