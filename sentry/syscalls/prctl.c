/* SPDX-License-Identifier: Apache-2.0 */
/* prctl(2) and arch_prctl(2): one small function per option where there is something to check. */
#include "sentry/abi/prctl.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sentry/abi/signal.h"
#include "sentry/fs/vfs.h"
#include "sentry/kernel/process.h"
#include "sentry/kernel/seccomp.h"
#include "sentry/kernel/settings.h"
#include "sentry/kernel/task.h"
#include "sentry/kernel/task_info.h"
#include "sentry/kernel/user_dispatch.h"
#include "sentry/mm/mm.h"
#include "sentry/mm/uaccess.h"
#if __has_include("gen/syscall_protos.h")
#include "gen/syscall_protos.h"
#endif

static bool may(const struct cred *c, int cap)
{
    return cred_ns_capable(c, c->userns, cap);
}

static long set_name(struct task *t, uaddr_t addr)
{
    char name[16] = {0};
    ssize_t len = copy_in_str(name, addr, sizeof(name));

    if (len < 0 && len != -ENAMETOOLONG)
        return len;
    name[15] = '\0';
    task_set_comm(t, name);
    return 0;
}

static long get_name(struct task *t, uaddr_t addr)
{
    char name[16];

    mutex_lock(&t->lock);
    memcpy(name, t->comm, sizeof(name));
    mutex_unlock(&t->lock);
    return copy_out(addr, name, sizeof(name));
}

/* ---- securebits, bounding and ambient sets --------------------------------------------------- */

static long commit_securebits(struct task *t, uint32_t bits)
{
    struct cred *c;
    int ret = cred_copy(t->curr.cred, &c);

    if (ret < 0)
        return ret;
    c->securebits = bits;
    task_commit_cred_take(t, c);
    return 0;
}

static long set_securebits(struct task *t, uint64_t bits)
{
    const struct cred *c = t->curr.cred;
    uint32_t locked = (c->securebits & LX_SECURE_ALL_LOCKS) >> 1;

    if ((locked & (c->securebits ^ bits)) || ((c->securebits & LX_SECURE_ALL_LOCKS & ~bits)) ||
        (bits & ~(uint64_t)(LX_SECURE_ALL_LOCKS | LX_SECURE_ALL_BITS)) || !may(c, LX_CAP_SETPCAP))
        return -EPERM;
    return commit_securebits(t, (uint32_t)bits);
}

static long set_keepcaps(struct task *t, uint64_t on)
{
    const struct cred *c = t->curr.cred;

    if (on > 1)
        return -EINVAL;
    if (c->securebits & LX_SECBIT_KEEP_CAPS << 1)
        return -EPERM;
    return commit_securebits(t, on ? c->securebits | LX_SECBIT_KEEP_CAPS
                                   : c->securebits & ~LX_SECBIT_KEEP_CAPS);
}

static long capbset_drop(struct task *t, uint64_t cap)
{
    struct cred *c;
    int ret;

    if (!may(t->curr.cred, LX_CAP_SETPCAP))
        return -EPERM;
    if (cap > LX_CAP_LAST)
        return -EINVAL;
    ret = cred_copy(t->curr.cred, &c);
    if (ret < 0)
        return ret;
    c->cap_bounding &= ~LX_CAP_BIT(cap);
    task_commit_cred_take(t, c);
    return 0;
}

static long cap_ambient(struct task *t, uint64_t op, uint64_t cap, uint64_t arg4, uint64_t arg5)
{
    const struct cred *old = t->curr.cred;
    struct cred *c;
    int ret;

    if (op == LX_PR_CAP_AMBIENT_CLEAR_ALL) {
        if (cap | arg4 | arg5)
            return -EINVAL;
    } else if ((arg4 | arg5) || cap > LX_CAP_LAST) {
        return -EINVAL;
    }
    switch (op) {
    case LX_PR_CAP_AMBIENT_IS_SET:
        return !!(old->cap_ambient & LX_CAP_BIT(cap));
    case LX_PR_CAP_AMBIENT_RAISE:
        if (!(old->cap_permitted & LX_CAP_BIT(cap)) || !(old->cap_inheritable & LX_CAP_BIT(cap)) ||
            (old->securebits & LX_SECBIT_NO_CAP_AMBIENT_RAISE))
            return -EPERM;
        break;
    case LX_PR_CAP_AMBIENT_LOWER:
    case LX_PR_CAP_AMBIENT_CLEAR_ALL:
        break;
    default:
        return -EINVAL;
    }
    ret = cred_copy(old, &c);
    if (ret < 0)
        return ret;
    if (op == LX_PR_CAP_AMBIENT_CLEAR_ALL)
        c->cap_ambient = 0;
    else if (op == LX_PR_CAP_AMBIENT_RAISE)
        c->cap_ambient |= LX_CAP_BIT(cap);
    else
        c->cap_ambient &= ~LX_CAP_BIT(cap);
    task_commit_cred_take(t, c);
    return 0;
}

/* ---- memory layout --------------------------------------------------------------------------- */

static long set_mm(struct task *t, uint64_t what, uint64_t addr, uint64_t arg4, uint64_t arg5)
{
    struct mm_layout *l = mm_layout(t->curr.mm);
    uint64_t *field;

    if (arg5 || (arg4 && what != 12))
        return -EINVAL;
    if (!cred_capable(t->curr.cred, LX_CAP_SYS_RESOURCE))
        return -EPERM;
    if (addr >= LX_TASK_SIZE)
        return -EINVAL;
    switch (what) {
    case LX_PR_SET_MM_START_CODE:
        field = &l->start_code;
        break;
    case LX_PR_SET_MM_END_CODE:
        field = &l->end_code;
        break;
    case LX_PR_SET_MM_START_DATA:
        field = &l->start_data;
        break;
    case LX_PR_SET_MM_END_DATA:
        field = &l->end_data;
        break;
    case LX_PR_SET_MM_START_STACK:
        field = &l->start_stack;
        break;
    case LX_PR_SET_MM_START_BRK:
        field = &l->start_brk;
        break;
    case LX_PR_SET_MM_ARG_START:
        field = &l->arg_start;
        break;
    case LX_PR_SET_MM_ARG_END:
        field = &l->arg_end;
        break;
    case LX_PR_SET_MM_ENV_START:
        field = &l->env_start;
        break;
    case LX_PR_SET_MM_ENV_END:
        field = &l->env_end;
        break;
    default:
        return -EINVAL;
    }
    *field = addr;
    return 0;
}

static long put_u32(uint32_t v, uaddr_t addr)
{
    return put_user(&v, addr);
}

/* ---- prctl ----------------------------------------------------------------------------------- */

static long no_new_privs(struct task *t, int option, const uint64_t a[4])
{
    if (option == LX_PR_GET_NO_NEW_PRIVS)
        return a[0] | a[1] | a[2] | a[3] ? -EINVAL : task_no_new_privs(t);
    if (a[0] != 1 || a[1] | a[2] | a[3])
        return -EINVAL;
    task_set_no_new_privs(t);
    return 0;
}

static long thp(struct task *t, int option, const uint64_t a[4])
{
    if (option == LX_PR_GET_THP_DISABLE)
        return a[0] | a[1] | a[2] | a[3] ? -EINVAL : task_thp_disable(t);
    if (a[1] | a[2] | a[3])
        return -EINVAL;
    task_set_thp_disable(t, a[0]);
    return 0;
}

static long io_flusher(struct task *t, int option, const uint64_t a[4])
{
    if (!cred_capable(t->curr.cred, LX_CAP_SYS_RESOURCE))
        return -EPERM;
    if (option == LX_PR_GET_IO_FLUSHER)
        return a[0] | a[1] | a[2] | a[3] ? -EINVAL : task_io_flusher(t);
    if (a[0] > 1 || a[1] | a[2] | a[3])
        return -EINVAL;
    task_set_io_flusher(t, a[0]);
    return 0;
}

static long set_dumpable(struct task *t, uint64_t value)
{
    if (value > 1)
        return -EINVAL;
    mm_set_dumpable(t->curr.mm, (int)value);
    return 0;
}

static long mdwe(struct task *t, int option, const uint64_t a[4])
{
    const uint64_t known = LX_PR_MDWE_REFUSE_EXEC_GAIN | LX_PR_MDWE_NO_INHERIT;

    if (option == LX_PR_GET_MDWE)
        return a[0] | a[1] | a[2] | a[3] ? -EINVAL : (long)mm_mdwe(t->curr.mm);
    if (a[1] | a[2] | a[3] || (a[0] & ~known) ||
        ((a[0] & LX_PR_MDWE_NO_INHERIT) && !(a[0] & LX_PR_MDWE_REFUSE_EXEC_GAIN)))
        return -EINVAL;
    return mm_set_mdwe(t->curr.mm, (uint32_t)a[0]);
}

static long pdeathsig(struct task *t, uint64_t signo)
{
    if (signo > LX_NSIG)
        return -EINVAL;
    task_set_pdeath_signal(t, (int)signo);
    return 0;
}

/* Options about identity and capabilities. */
static long prctl_cred(struct task *t, int option, const uint64_t a[4])
{
    const struct cred *c = t->curr.cred;

    switch (option) {
    case LX_PR_GET_KEEPCAPS:
        return !!(c->securebits & LX_SECBIT_KEEP_CAPS);
    case LX_PR_SET_KEEPCAPS:
        return set_keepcaps(t, a[0]);
    case LX_PR_GET_SECUREBITS:
        return c->securebits;
    case LX_PR_SET_SECUREBITS:
        return set_securebits(t, a[0]);
    case LX_PR_CAPBSET_READ:
        return a[0] > LX_CAP_LAST ? -EINVAL : !!(c->cap_bounding & LX_CAP_BIT(a[0]));
    case LX_PR_CAPBSET_DROP:
        return capbset_drop(t, a[0]);
    default:
        return cap_ambient(t, a[0], a[1], a[2], a[3]);
    }
}

/* Options about hardware: fixed answers of an x86-64 machine without the feature. */
static long prctl_hardware(int option, const uint64_t a[4])
{
    switch (option) {
    case LX_PR_GET_TIMING:
        return 0;
    case LX_PR_SET_TIMING:
        return a[0] ? -EINVAL : 0;
    case LX_PR_GET_TSC:
        return put_u32(1, a[0]);
    case LX_PR_SET_TSC:
        return a[0] == 1 ? 0 : -EINVAL;
    case LX_PR_MCE_KILL:
        /* Clear; or set to late, early or default. */
        if (a[2] | a[3] || a[0] > 1 || (a[0] ? a[1] > 2 : a[1] != 0))
            return -EINVAL;
        return 0;
    case LX_PR_MCE_KILL_GET:
        return a[0] | a[1] | a[2] | a[3] ? -EINVAL : 2;
    case LX_PR_TASK_PERF_EVENTS_DISABLE:
    case LX_PR_TASK_PERF_EVENTS_ENABLE:
        return 0;
    case LX_PR_GET_SPECULATION_CTRL:
    case LX_PR_SET_SPECULATION_CTRL:
        /* All three mitigations: not affected. */
        if (a[2] | a[3] || (option == LX_PR_GET_SPECULATION_CTRL && a[1]))
            return -EINVAL;
        return a[0] > 2 ? -ENODEV : option == LX_PR_SET_SPECULATION_CTRL ? -ENXIO : 0;
    default:
        return -EINVAL;
    }
}

long sys_prctl(struct task *t, int option, uint64_t arg2, uint64_t arg3, uint64_t arg4,
               uint64_t arg5)
{
    const uint64_t a[4] = {arg2, arg3, arg4, arg5};

    switch (option) {
    case LX_PR_SET_SYSCALL_USER_DISPATCH:
        return user_dispatch_set(t, arg2, arg3, arg4, arg5);
    case LX_PR_SET_PDEATHSIG:
        return pdeathsig(t, arg2);
    case LX_PR_GET_PDEATHSIG:
        return put_u32((uint32_t)task_pdeath_signal(t), arg2);
    case LX_PR_GET_DUMPABLE:
        return mm_dumpable(t->curr.mm);
    case LX_PR_SET_DUMPABLE:
        return set_dumpable(t, arg2);
    case LX_PR_SET_NAME:
        return set_name(t, arg2);
    case LX_PR_GET_NAME:
        return get_name(t, arg2);
    case LX_PR_GET_SECCOMP:
        return seccomp_mode(t);
    case LX_PR_SET_SECCOMP:
        return seccomp_prctl(t, arg2, arg3);
    case LX_PR_GET_KEEPCAPS:
    case LX_PR_SET_KEEPCAPS:
    case LX_PR_GET_SECUREBITS:
    case LX_PR_SET_SECUREBITS:
    case LX_PR_CAPBSET_READ:
    case LX_PR_CAPBSET_DROP:
    case LX_PR_CAP_AMBIENT:
        return prctl_cred(t, option, a);
    case LX_PR_SET_TIMERSLACK:
        task_set_timer_slack(t, (int64_t)arg2 <= 0 ? 0 : arg2);
        return 0;
    case LX_PR_GET_TIMERSLACK:
        return (long)task_timer_slack(t);
    case LX_PR_SET_MM:
        return set_mm(t, arg2, arg3, arg4, arg5);
    case LX_PR_SET_CHILD_SUBREAPER:
        process_set_subreaper(t, arg2);
        return 0;
    case LX_PR_GET_CHILD_SUBREAPER:
        return put_u32(process_is_subreaper(t), arg2);
    case LX_PR_SET_NO_NEW_PRIVS:
    case LX_PR_GET_NO_NEW_PRIVS:
        return no_new_privs(t, option, a);
    case LX_PR_GET_TID_ADDRESS: {
        uaddr_t addr = task_clear_child_tid(t);

        return put_user(&addr, arg2);
    }
    case LX_PR_SET_THP_DISABLE:
    case LX_PR_GET_THP_DISABLE:
        return thp(t, option, a);
    case LX_PR_SET_MDWE:
    case LX_PR_GET_MDWE:
        return mdwe(t, option, a);
    case LX_PR_SET_IO_FLUSHER:
    case LX_PR_GET_IO_FLUSHER:
        return io_flusher(t, option, a);
    case LX_PR_SET_VMA:
        /* Names of anonymous memory: as a kernel without CONFIG_ANON_VMA_NAME. */
        return -EINVAL;
    case LX_PR_SET_PTRACER:
        return -EINVAL; /* no Yama */
    default:
        return prctl_hardware(option, a);
    }
}

/* ---- arch_prctl ------------------------------------------------------------------------------ */

long sys_arch_prctl(struct task *t, int option, uint64_t arg2)
{
    switch (option) {
    case LX_ARCH_SET_FS:
    case LX_ARCH_SET_GS:
        if (arg2 >= LX_TASK_SIZE)
            return -EPERM;
        if (option == LX_ARCH_SET_FS)
            task_regs(t)->fs_base = arg2;
        else
            task_regs(t)->gs_base = arg2;
        return 0;
    case LX_ARCH_GET_FS:
        return put_user(&task_regs(t)->fs_base, arg2);
    case LX_ARCH_GET_GS:
        return put_user(&task_regs(t)->gs_base, arg2);
    case LX_ARCH_GET_CPUID:
        return 1;
    case LX_ARCH_SET_CPUID:
        return -ENODEV;
    default:
        return -EINVAL;
    }
}

long sys_seccomp(struct task *t, uint32_t op, uint32_t flags, uaddr_t uargs)
{
    return seccomp_op(t, op, flags, uargs);
}
