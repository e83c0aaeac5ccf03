/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Syscall user dispatch, prctl(PR_SET_SYSCALL_USER_DISPATCH): system calls from outside of a range of
 * code become SIGSYS when a byte of the program says so. Programs that run foreign system calls use
 * it. It comes before seccomp; new threads and processes start without it.
 */
#include "sentry/kernel/user_dispatch.h"

#include <errno.h>

#include "sentry/abi/prctl.h"
#include "sentry/abi/seccomp.h"
#include "sentry/kernel/kernel_internal.h"
#include "sentry/mm/uaccess.h"

enum { SELECTOR_ALLOW, SELECTOR_BLOCK };

int user_dispatch_set(struct task *t, uint64_t mode, uint64_t offset, uint64_t len,
                      uaddr_t selector)
{
    if (mode == LX_PR_SYS_DISPATCH_OFF) {
        if (offset || len || selector)
            return -EINVAL;
    } else if (mode != LX_PR_SYS_DISPATCH_ON) {
        return -EINVAL;
    } else if (offset && offset + len <= offset) {
        return -EINVAL;
    } else if (selector >= LX_TASK_SIZE) {
        return -EFAULT;
    }
    t->k->user_dispatch = (struct user_dispatch){
        .on = mode == LX_PR_SYS_DISPATCH_ON, .offset = offset, .len = len, .selector = selector};
    task_answers_changed(t);
    return 0;
}

bool user_dispatch_catches(struct task *t, long *out_ret)
{
    const struct user_dispatch *d = &t->k->user_dispatch;
    struct lx_siginfo info = {.signo = LX_SIGSYS, .code = LX_SYS_USER_DISPATCH};
    uint8_t state = SELECTOR_BLOCK;

    if (t->regs.rip - d->offset < d->len)
        return false;
    *out_ret = (long)t->regs.orig_rax;
    if (d->selector && copy_in(&state, d->selector, sizeof(state)) < 0) {
        info.code = LX_SI_KERNEL;
        info.signo = LX_SIGSEGV;
    } else if (state == SELECTOR_ALLOW) {
        return false;
    } else if (state != SELECTOR_BLOCK) {
        info.code = LX_SI_KERNEL;
    } else {
        info.sys.call_addr = t->regs.rip;
        info.sys.syscall = (int32_t)t->regs.orig_rax;
        info.sys.arch = LX_AUDIT_ARCH_X86_64;
    }
    signal_force(t, info.signo, &info);
    /* The handler sees the registers as at the call and sets rax itself. */
    t->regs.orig_rax = (uint64_t)-1;
    return true;
}
