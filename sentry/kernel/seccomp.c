/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Seccomp for guests. Filters form a chain towards the oldest; all run, the most restrictive
 * verdict counts. A task's chain only grows, by its own call or by TSYNC of a sibling (under the
 * group's lock); a task reads its own without a lock.
 */
#include "sentry/kernel/seccomp.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sentry/core/bpf.h"
#include "sentry/kernel/kernel_internal.h"
#include "sentry/kernel/ptrace.h"
#include "sentry/kernel/seccomp_notify.h"
#include "sentry/mm/uaccess.h"

enum {
    CHAIN_INSNS_MAX = 32768,
    PER_FILTER_COST = 4,
    CACHED_CALLS = 512, /* numbers that have a bit in allowed[] */
};

struct seccomp_filter {
    struct refs refs;
    struct seccomp_filter *below;        /* I, +1 */
    uint32_t count, chain_cost;          /* I */
    bool log;                            /* I: SECCOMP_FILTER_FLAG_LOG */
    struct seccomp_notifier *notifier;   /* I, +1: SECCOMP_FILTER_FLAG_NEW_LISTENER, or NULL */
    uint64_t allowed[CACHED_CALLS / 64]; /* I: calls that this filter and all below always allow */
    struct lx_sock_filter insns[];       /* I */
};

struct seccomp_filter *seccomp_filter_get(struct seccomp_filter *f)
{
    if (f)
        refs_get(&f->refs);
    return f;
}

void seccomp_filter_put(struct seccomp_filter *f)
{
    while (f && refs_put(&f->refs)) {
        struct seccomp_filter *below = f->below;

        if (f->notifier)
            seccomp_notifier_end(f->notifier);
        free(f);
        f = below;
    }
}

uint32_t seccomp_filter_count(const struct seccomp_filter *f)
{
    uint32_t count = 0;

    for (; f; f = f->below)
        count++;
    return count;
}

void seccomp_inherit_locked(struct task *parent, struct task *child)
{
    ASSERT_HELD(&parent->tg->lock);
    child->k->seccomp = seccomp_filter_get(parent->k->seccomp);
    child->k->seccomp_mode = parent->k->seccomp_mode;
    child->k->no_new_privs = parent->k->no_new_privs;
}

void seccomp_task_exit(struct task *t)
{
    struct seccomp_filter *f;

    mutex_lock(&t->tg->lock);
    f = t->k->seccomp;
    t->k->seccomp = NULL;
    mutex_unlock(&t->tg->lock);
    seccomp_filter_put(f);
}

/* ---- running -------------------------------------------------------------------------------- */

static void kill_caller(struct task *t, bool process, const struct lx_siginfo *info)
{
    if (process || t->tg->live == 1) {
        signal_force(t, LX_SIGSYS, info);
        task_group_exit(t, core_dump_process(t, info));
    } else {
        t->k->exit_code = LX_SIGSYS;
        t->k->die = true;
    }
    atomic_fetch_or(&t->curr.sleeper.interrupt, SLEEP_INTERRUPT_SIGNAL);
}

static bool strict_allows(struct task *t, long *out_ret)
{
    enum { NR_READ = 0, NR_WRITE = 1, NR_SIGRETURN = 15, NR_EXIT = 60 };

    switch (t->regs.orig_rax) {
    case NR_READ:
    case NR_WRITE:
    case NR_SIGRETURN:
    case NR_EXIT:
        return true;
    default:
        t->k->exit_code = LX_SIGKILL;
        t->k->die = true;
        if (t->tg->live == 1)
            task_group_exit(t, LX_SIGKILL);
        atomic_fetch_or(&t->curr.sleeper.interrupt, SLEEP_INTERRUPT_SIGNAL);
        *out_ret = -ENOSYS;
        return false;
    }
}

static bool judge(struct task *t, bool traced, long *out_ret);

/* SECCOMP_RET_TRACE: true when the call goes on, possibly another one than before. */
static bool ask_tracer(struct task *t, uint32_t data, long *out_ret)
{
    if (!ptrace_event_enabled(t, LX_PTRACE_EVENT_SECCOMP)) {
        *out_ret = -ENOSYS;
        return false;
    }
    ptrace_event(t, LX_PTRACE_EVENT_SECCOMP, data);
    *out_ret = (long)t->regs.rax;
    if ((int32_t)t->regs.orig_rax < 0 ||
        (atomic_load(&t->curr.sleeper.interrupt) & SLEEP_INTERRUPT_KILL))
        return false;
    return judge(t, /*traced=*/true, out_ret);
}

bool seccomp_allows(struct task *t, long *out_ret)
{
    return judge(t, /*traced=*/false, out_ret);
}

static bool always_allowed(const struct seccomp_filter *f, uint64_t nr)
{
    return nr < CACHED_CALLS && (f->allowed[nr / 64] >> (nr % 64) & 1);
}

/* Which calls need not be run through the chain, as most of a container's profile. */
static void cache_allowed(struct seccomp_filter *f)
{
    for (int32_t nr = 0; nr < CACHED_CALLS; nr++) {
        if ((!f->below || always_allowed(f->below, (uint64_t)nr)) &&
            bpf_allows_always(f->insns, nr, LX_AUDIT_ARCH_X86_64))
            f->allowed[nr / 64] |= 1ull << (nr % 64);
    }
}

/* traced: the tracer has had its say, RET_TRACE lets the call pass. */
static bool judge(struct task *t, bool traced, long *out_ret)
{
    const struct lx_regs *r = &t->regs;
    struct lx_seccomp_data data = {
        .nr = (int32_t)r->orig_rax,
        .arch = LX_AUDIT_ARCH_X86_64,
        .instruction_pointer = r->rip,
        .args = {r->rdi, r->rsi, r->rdx, r->r10, r->r8, r->r9},
    };
    struct lx_siginfo info = {.signo = LX_SIGSYS, .code = LX_SYS_SECCOMP};
    const struct seccomp_filter *match = NULL;
    uint32_t verdict = LX_SECCOMP_RET_ALLOW;
    bool go_on;

    if (t->k->seccomp_mode == LX_SECCOMP_MODE_STRICT)
        return strict_allows(t, out_ret);
    if (likely(always_allowed(t->k->seccomp, r->orig_rax)))
        return true;
    for (struct seccomp_filter *f = t->k->seccomp; f; f = f->below) {
        uint32_t one = bpf_run(f->insns, &data);

        /* Actions are ordered as signed numbers: KILL_PROCESS is the smallest. */
        if ((int32_t)(one & LX_SECCOMP_RET_ACTION_FULL) <
            (int32_t)(verdict & LX_SECCOMP_RET_ACTION_FULL)) {
            verdict = one;
            match = f;
        }
    }
    info.err = (int32_t)(verdict & LX_SECCOMP_RET_DATA);
    info.sys.call_addr = r->rip;
    info.sys.syscall = data.nr;
    info.sys.arch = data.arch;
    switch (verdict & LX_SECCOMP_RET_ACTION_FULL) {
    case LX_SECCOMP_RET_ALLOW:
    case LX_SECCOMP_RET_LOG:
        return true;
    case LX_SECCOMP_RET_ERRNO:
        *out_ret = -(long)MIN(verdict & LX_SECCOMP_RET_DATA, 4095u);
        return false;
    case LX_SECCOMP_RET_TRAP:
        /* The handler sees the registers as at the call and may set rax itself. */
        signal_force(t, LX_SIGSYS, &info);
        *out_ret = (long)r->orig_rax;
        t->regs.orig_rax = (uint64_t)-1;
        return false;
    case LX_SECCOMP_RET_TRACE:
        return traced || ask_tracer(t, verdict & LX_SECCOMP_RET_DATA, out_ret);
    case LX_SECCOMP_RET_USER_NOTIF:
        *out_ret = -ENOSYS; /* nobody listens */
        go_on = false;
        if (match->notifier)
            *out_ret = seccomp_notifier_ask(match->notifier, t, &data, &go_on);
        return go_on;
    case LX_SECCOMP_RET_KILL_THREAD:
        kill_caller(t, /*process=*/false, &info);
        break;
    default:
        kill_caller(t, /*process=*/true, &info);
        break;
    }
    *out_ret = -ENOSYS;
    return false;
}

/* ---- installing ------------------------------------------------------------------------------ */

static int filter_from_user(struct task *t, uaddr_t addr, struct seccomp_filter **out)
{
    struct lx_sock_fprog prog;
    struct seccomp_filter *f;
    int ret;

    if (get_user(&prog, addr) < 0)
        return -EFAULT;
    if (!prog.len || prog.len > LX_BPF_MAXINSNS)
        return -EINVAL;
    if (!t->k->no_new_privs &&
        !cred_ns_capable(t->curr.cred, t->curr.cred->userns, LX_CAP_SYS_ADMIN))
        return -EACCES;
    f = calloc(1, sizeof(*f) + prog.len * sizeof(f->insns[0]));
    if (!f)
        return -ENOMEM;
    refs_init(&f->refs);
    f->count = prog.len;
    ret = copy_in(f->insns, prog.filter, prog.len * sizeof(f->insns[0]));
    if (ret == 0)
        ret = bpf_check(BPF_KIND_SECCOMP, f->insns, f->count);
    if (ret < 0) {
        free(f);
        return ret;
    }
    *out = f;
    return 0;
}

/* Is the chain of t an ancestor (or the same) of head? */
static bool chain_contains(const struct seccomp_filter *head, const struct seccomp_filter *t)
{
    for (; head; head = head->below)
        if (head == t)
            return true;
    return t == NULL;
}

/* TSYNC: 0, or the tid of a thread whose filters have gone another way. */
static lx_pid_t sync_conflict_locked(struct task *self)
{
    struct task *t;

    for_each_thread_locked(t, self->tg)
    {
        if (t == self || t->k->exiting)
            continue;
        if (t->k->seccomp_mode == LX_SECCOMP_MODE_STRICT ||
            !chain_contains(self->k->seccomp, t->k->seccomp))
            return pid_nr(t->curr.tid);
    }
    return 0;
}

static void sync_threads_locked(struct task *self)
{
    struct task *t;

    for_each_thread_locked(t, self->tg)
    {
        struct seccomp_filter *old = t->k->seccomp;

        if (t == self || t->k->exiting)
            continue;
        t->k->seccomp = seccomp_filter_get(self->k->seccomp);
        t->k->seccomp_mode = LX_SECCOMP_MODE_FILTER;
        task_answers_revoke_locked(t);
        if (self->k->no_new_privs)
            t->k->no_new_privs = true;
        /* The old chain is part of the new one, which holds it: never the last reference. A thread
         * that runs a filter this moment goes on with memory that stays. */
        seccomp_filter_put(old);
    }
}

static bool chain_has_notifier(const struct seccomp_filter *f)
{
    while (f && !f->notifier)
        f = f->below;
    return f != NULL;
}

/* Puts f on top of the caller's chain, and of its siblings' with TSYNC. 0, -errno, or the tid of a
 * thread that cannot follow; the caller frees f then. */
static int attach(struct task *t, uint32_t flags, struct seccomp_filter *f)
{
    lx_pid_t other = 0;
    int ret = 0;

    mutex_lock(&t->tg->lock);
    if (flags & LX_SECCOMP_FILTER_FLAG_TSYNC)
        other = sync_conflict_locked(t);
    f->chain_cost = f->count + PER_FILTER_COST + (t->k->seccomp ? t->k->seccomp->chain_cost : 0);
    if (f->notifier && chain_has_notifier(t->k->seccomp))
        ret = -EBUSY;
    else if (f->chain_cost > CHAIN_INSNS_MAX)
        ret = -ENOMEM;
    else if (other)
        ret = flags & LX_SECCOMP_FILTER_FLAG_TSYNC_ESRCH ? -ESRCH : other;
    if (ret == 0) {
        f->below = t->k->seccomp; /* the task's reference moves into the new filter */
        cache_allowed(f);
        t->k->seccomp = f;
        t->k->seccomp_mode = LX_SECCOMP_MODE_FILTER;
        task_answers_revoke_locked(t);
        if (flags & LX_SECCOMP_FILTER_FLAG_TSYNC)
            sync_threads_locked(t);
    }
    mutex_unlock(&t->tg->lock);
    return ret;
}

/* attach, with a listener whose descriptor is returned. Once attached, f may be gone from the top of the chain by the
 * time this returns: a sibling may have put another one there. */
static long attach_listener(struct task *t, uint32_t flags, struct seccomp_filter *f,
                            bool *out_attached)
{
    struct file *file;
    int fd = fdtable_reserve(t->curr.files, 0, /*cloexec=*/true), ret;

    if (fd < 0)
        return fd;
    ret = seccomp_notifier_new(flags & LX_SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV, &f->notifier,
                               &file);
    if (ret == 0) {
        ret = attach(t, flags, f);
        *out_attached = ret == 0;
        if (ret == 0) {
            fdtable_publish_take(t->curr.files, fd, file);
            return fd;
        }
        seccomp_notifier_end(f->notifier);
        file_put(file);
    }
    fdtable_cancel(t->curr.files, fd);
    return ret;
}

static long set_filter(struct task *t, uint32_t flags, uaddr_t addr)
{
    const uint32_t known = LX_SECCOMP_FILTER_FLAG_TSYNC | LX_SECCOMP_FILTER_FLAG_LOG |
                           LX_SECCOMP_FILTER_FLAG_SPEC_ALLOW | LX_SECCOMP_FILTER_FLAG_NEW_LISTENER |
                           LX_SECCOMP_FILTER_FLAG_TSYNC_ESRCH |
                           LX_SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV;
    bool listen = flags & LX_SECCOMP_FILTER_FLAG_NEW_LISTENER, attached = false;
    struct seccomp_filter *f;
    long ret;

    if (flags & ~known)
        return -EINVAL;
    /* A positive result would be a descriptor or a thread. */
    if ((flags & LX_SECCOMP_FILTER_FLAG_TSYNC) && listen &&
        !(flags & LX_SECCOMP_FILTER_FLAG_TSYNC_ESRCH))
        return -EINVAL;
    if ((flags & LX_SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV) && !listen)
        return -EINVAL;
    if (t->k->seccomp_mode == LX_SECCOMP_MODE_STRICT)
        return -EINVAL;
    ret = filter_from_user(t, addr, &f);
    if (ret < 0)
        return ret;
    f->log = flags & LX_SECCOMP_FILTER_FLAG_LOG;
    if (listen) {
        ret = attach_listener(t, flags, f, &attached);
    } else {
        ret = attach(t, flags, f);
        attached = ret == 0;
    }
    if (!attached)
        free(f);
    return ret;
}

int kernel_process_filter(struct task *t, const void *insns, size_t size)
{
    uint32_t count = (uint32_t)(size / sizeof(struct lx_sock_filter));
    struct seccomp_filter *f;
    int ret;

    if (!count || count > CHAIN_INSNS_MAX || size % sizeof(struct lx_sock_filter))
        return -EINVAL;
    f = calloc(1, sizeof(*f) + size);
    if (!f)
        return -ENOMEM;
    refs_init(&f->refs);
    f->count = count;
    f->chain_cost = count + PER_FILTER_COST;
    memcpy(f->insns, insns, size);
    ret = bpf_check(BPF_KIND_SECCOMP, f->insns, count);
    if (ret < 0) {
        free(f);
        return ret;
    }
    cache_allowed(f);
    mutex_lock(&t->tg->lock);
    t->k->seccomp = f;
    t->k->seccomp_mode = LX_SECCOMP_MODE_FILTER;
    mutex_unlock(&t->tg->lock);
    return 0;
}

static long set_strict(struct task *t)
{
    if (t->k->seccomp_mode == LX_SECCOMP_MODE_FILTER)
        return -EINVAL;
    t->k->seccomp_mode = LX_SECCOMP_MODE_STRICT;
    task_answers_changed(t);
    return 0;
}

static long action_available(uaddr_t arg)
{
    uint32_t action;

    if (get_user(&action, arg) < 0)
        return -EFAULT;
    switch (action) {
    case LX_SECCOMP_RET_KILL_PROCESS:
    case LX_SECCOMP_RET_KILL_THREAD:
    case LX_SECCOMP_RET_TRAP:
    case LX_SECCOMP_RET_ERRNO:
    case LX_SECCOMP_RET_USER_NOTIF:
    case LX_SECCOMP_RET_TRACE:
    case LX_SECCOMP_RET_LOG:
    case LX_SECCOMP_RET_ALLOW:
        return 0;
    default:
        return -EOPNOTSUPP;
    }
}

static long notif_sizes(uaddr_t arg)
{
    const struct lx_seccomp_notif_sizes sizes = {
        .notif = sizeof(struct lx_seccomp_notif),
        .resp = sizeof(struct lx_seccomp_notif_resp),
        .data = sizeof(struct lx_seccomp_data),
    };

    return put_user(&sizes, arg) < 0 ? -EFAULT : 0;
}

long seccomp_op(struct task *t, uint32_t op, uint32_t flags, uaddr_t arg)
{
    switch (op) {
    case LX_SECCOMP_SET_MODE_STRICT:
        return flags || arg ? -EINVAL : set_strict(t);
    case LX_SECCOMP_SET_MODE_FILTER:
        return set_filter(t, flags, arg);
    case LX_SECCOMP_GET_ACTION_AVAIL:
        return flags ? -EINVAL : action_available(arg);
    case LX_SECCOMP_GET_NOTIF_SIZES:
        return flags ? -EINVAL : notif_sizes(arg);
    default:
        return -EINVAL;
    }
}

long seccomp_mode(struct task *t)
{
    return t->k->seccomp_mode;
}

long seccomp_prctl(struct task *t, uint64_t mode, uaddr_t filter)
{
    switch (mode) {
    case LX_SECCOMP_MODE_STRICT:
        return set_strict(t);
    case LX_SECCOMP_MODE_FILTER:
        return set_filter(t, 0, filter);
    default:
        return -EINVAL;
    }
}

/* ---- for tracers ----------------------------------------------------------------------------- */

/* +1: the index-th filter of child from the oldest on, or -errno. */
static int nth_filter_get(struct task *child, uint64_t index, struct seccomp_filter **out)
{
    struct seccomp_filter *f;
    uint64_t count = 0;
    int ret = 0;

    if (!cred_capable(curr()->cred, LX_CAP_SYS_ADMIN) || current_task()->k->seccomp_mode)
        return -EACCES;
    mutex_lock(&child->tg->lock);
    for (f = child->k->seccomp; f; f = f->below)
        count++;
    if (child->k->seccomp_mode != LX_SECCOMP_MODE_FILTER)
        ret = -EINVAL;
    else if (index >= count)
        ret = -ENOENT;
    if (ret == 0) {
        f = child->k->seccomp;
        for (count -= index; count > 1; count--)
            f = f->below;
        *out = seccomp_filter_get(f);
    }
    mutex_unlock(&child->tg->lock);
    return ret;
}

int ptrace_seccomp_filter(struct task *child, uint64_t index, void **out, size_t *out_size)
{
    struct seccomp_filter *f;
    int ret = nth_filter_get(child, index, &f);

    if (ret < 0)
        return ret;
    *out_size = f->count * sizeof(f->insns[0]);
    *out = malloc(*out_size);
    if (*out)
        memcpy(*out, f->insns, *out_size);
    seccomp_filter_put(f);
    return *out ? 0 : -ENOMEM;
}

int ptrace_seccomp_metadata(struct task *child, uint64_t index, uint64_t *out_flags)
{
    struct seccomp_filter *f;
    int ret = nth_filter_get(child, index, &f);

    if (ret < 0)
        return ret;
    *out_flags = f->log ? LX_SECCOMP_FILTER_FLAG_LOG : 0;
    seccomp_filter_put(f);
    return 0;
}
