/* SPDX-License-Identifier: Apache-2.0 */
/* Snapshots of tasks for procfs, and references that outsiders may take. */
#include "sentry/kernel/task_info.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "sentry/fs/devpts/tty.h"
#include "sentry/fs/security.h"
#include "sentry/kernel/cpus.h"
#include "sentry/kernel/kernel_internal.h"
#include "sentry/kernel/seccomp.h"
#include "sentry/mm/memfile.h"
#include "sentry/mm/mm.h"
#include "sentry/net/netns.h"

extern _Atomic uint64_t g_fork_count;

/* ---- iteration ------------------------------------------------------------------------------ */

struct pid *pidns_next_process_get(struct pidns *ns, lx_pid_t from, lx_pid_t *out_nr)
{
    struct pid *found = NULL;

    mutex_lock(&g_taskset.lock);
    for (lx_pid_t nr = from; !found;) {
        struct pid *p = pidns_find_from_locked(ns, nr);

        if (!p)
            break;
        nr = pid_nr_in(p, ns);
        if (pid_task_locked(p, PID_TGID)) {
            *out_nr = nr;
            found = pid_get(p);
        }
        nr++;
    }
    mutex_unlock(&g_taskset.lock);
    return found;
}

struct pid *task_next_thread_get(struct task *t, struct pidns *ns, lx_pid_t from, lx_pid_t *out_nr)
{
    struct pid *best = NULL;
    struct task *pos;

    mutex_lock(&g_taskset.lock);
    for_each_thread_locked(pos, t->tg)
    {
        lx_pid_t nr = pid_nr_in(pos->curr.tid, ns);

        if (nr >= from && nr > 0 && (!best || nr < *out_nr)) {
            best = pos->curr.tid;
            *out_nr = nr;
        }
    }
    pid_get(best);
    mutex_unlock(&g_taskset.lock);
    return best;
}

struct pid *pidns_find_pid_get(struct pidns *ns, lx_pid_t nr)
{
    struct pid *p;

    mutex_lock(&g_taskset.lock);
    p = pid_get(pidns_find_locked(ns, nr));
    mutex_unlock(&g_taskset.lock);
    return p;
}

lx_pid_t pidns_last_nr(struct pidns *ns)
{
    lx_pid_t nr;

    mutex_lock(&g_taskset.lock);
    nr = ns->last_nr;
    mutex_unlock(&g_taskset.lock);
    return nr;
}

lx_pid_t pidns_max_nr(struct pidns *ns)
{
    (void)ns;
    return LX_PID_MAX;
}

/* ---- permission ----------------------------------------------------------------------------- */

int task_ptrace_may_access(struct task *t, uint32_t mode)
{
    const struct cred *c = curr()->cred;
    struct task *self = current_task();
    lx_uid_t uid = mode & LX_PTRACE_MODE_FSCREDS ? c->fsuid : c->ruid;
    lx_gid_t gid = mode & LX_PTRACE_MODE_FSCREDS ? c->fsgid : c->rgid;
    struct cred *theirs;
    struct mm *mm;
    int ret = 0;

    if (self && self->tg == t->tg)
        return 0;
    theirs = task_cred_get(t);
    if (!(uid == theirs->euid && uid == theirs->suid && uid == theirs->ruid &&
          gid == theirs->egid && gid == theirs->sgid && gid == theirs->rgid) &&
        !cred_ns_capable(c, theirs->userns, LX_CAP_SYS_PTRACE)) {
        ret = -EPERM;
        goto out;
    }
    mm = task_mm_get(t);
    if (mm) {
        if (!mm_dumpable(mm) && !cred_ns_capable(c, theirs->userns, LX_CAP_SYS_PTRACE))
            ret = -EPERM;
        mm_put(mm);
    }
    if (ret == 0 &&
        !((theirs->cap_permitted & ~c->cap_permitted) == 0 && theirs->userns == c->userns) &&
        !cred_ns_capable(c, theirs->userns, LX_CAP_SYS_PTRACE))
        ret = -EPERM;
    if (ret == 0)
        ret = security_trace(theirs);
out:
    cred_put(theirs);
    return ret;
}

/* ---- snapshot ------------------------------------------------------------------------------- */

RACY_READER static char state_letter(const struct task *t)
{
    const struct ktask_private *k = t->k;

    if (k->exit_state == TASK_ZOMBIE)
        return 'Z';
    if (k->exit_state == TASK_DEAD)
        return 'X';
    if (k->pt.stopped) /* over as soon as the tracer says so, not when the tracee hears of it */
        return k->pt.resumed ? 'R' : 't';
    if (k->stopped)
        return 'T';
    /* 2 is "asleep" in core/sleep.c. */
    return atomic_load(&t->curr.sleeper.word) == 2 ? 'S' : 'R';
}

static void fill_numbers(struct task *t, struct pidns *ns, struct task_info *out)
{
    struct task *parent = t->tg->leader->k->real_parent;

    out->tid = pid_nr_in(t->curr.tid, ns);
    out->tgid = pid_nr_in(t->curr.tgid, ns);
    if (t->k->pt.tracer)
        out->tracer = pid_nr_in(t->k->pt.tracer->curr.tid, ns);
    out->ppid = parent ? pid_nr_in(parent->curr.tgid, ns) : 0;
    out->pgrp = pid_nr_in(t->tg->pgrp, ns);
    out->session = pid_nr_in(t->tg->session, ns);
    out->ns_count = 0;
    for (uint32_t level = ns->level; level <= t->curr.tid->level; level++) {
        if (out->ns_count == PIDNS_MAX_DEPTH)
            break;
        out->ns_tids[out->ns_count] = t->curr.tid->numbers[level].nr;
        out->ns_tgids[out->ns_count] = t->curr.tgid->numbers[level].nr;
        out->ns_count++;
    }
}

static void fill_signals(struct task *t, struct task_info *out)
{
    struct thread_group *tg = t->tg;
    struct list *it;

    mutex_lock(&tg->lock);
    out->seccomp_filters = seccomp_filter_count(t->k->seccomp);
    out->pending = t->k->pending.set;
    out->shared_pending = tg->shared.set;
    out->blocked = t->k->blocked;
    list_for_each(it, &t->k->pending.queue)
        out->sigq_count++;
    list_for_each(it, &tg->shared.queue)
        out->sigq_count++;
    mutex_lock(&tg->sighand->lock);
    for (int i = 0; i < LX_NSIG; i++) {
        if (tg->sighand->action[i].handler == LX_SIG_IGN)
            out->ignored |= 1ull << i;
        else if (tg->sighand->action[i].handler != LX_SIG_DFL)
            out->caught |= 1ull << i;
    }
    mutex_unlock(&tg->sighand->lock);
    mutex_unlock(&tg->lock);
}

/* Each thread counts its own without a lock. */
RACY_READER static void fill_io(struct task *t, struct task_info *out)
{
    struct task *pos;

    out->io = t->curr.io;
    out->tg_io = t->tg->dead_io;
    for_each_thread_locked(pos, t->tg)
    {
        struct io_counts one = pos->curr.io;

        io_counts_add(&out->tg_io, &one);
    }
}

static void fill_times(struct task *t, struct task_info *out)
{
    struct cpu_times own = task_cpu_times(t), group = group_cpu_times_locked(t->tg);

    fill_io(t, out);
    out->utime = own.utime;
    out->stime = own.stime;
    out->tg_utime = group.utime;
    out->tg_stime = group.stime;
    out->tg_cutime = t->tg->children.utime;
    out->tg_cstime = t->tg->children.stime;
    out->cmin_faults = t->tg->child_minflt;
    out->start_boottime = t->k->start_boottime;
    out->voluntary_switches = t->k->nvcsw;
    out->involuntary_switches = t->k->nivcsw;
}

RACY_READER static void fill_call(struct task *t, struct task_info *out)
{
    const struct lx_regs *r = &t->regs;

    out->syscall_blocked = out->state != 'R' && !out->zombie;
    out->syscall_nr = t->k->syscall_nr;
    out->syscall_args[0] = r->rdi;
    out->syscall_args[1] = r->rsi;
    out->syscall_args[2] = r->rdx;
    out->syscall_args[3] = r->r10;
    out->syscall_args[4] = r->r8;
    out->syscall_args[5] = r->r9;
    out->sp = r->rsp;
    out->pc = r->rip;
}

void task_info_get(struct task *t, struct pidns *ns, struct task_info *out)
{
    struct ktask_private *k = t->k;
    struct pid *session;

    memset(out, 0, sizeof(*out));
    mutex_lock(&g_taskset.lock);
    fill_numbers(t, ns, out);
    fill_times(t, out);
    out->state = state_letter(t);
    /* DEVIATION: of others, where they last slept; the host may have moved them since. */
    out->cpu = t == current_task() ? (int)kernel_cpu_now() : MAX(atomic_load(&t->curr.cpu), 0);
    out->zombie = k->exit_state != TASK_LIVE;
    out->leader = task_is_leader(t);
    out->thread_count = t->tg->thread_count;
    out->exit_signal = k->exit_signal;
    out->exit_code = out->zombie ? task_exit_status_locked(t) : 0;
    session = pid_get(t->tg->session);
    mutex_unlock(&g_taskset.lock);
    fill_signals(t, out);
    fill_call(t, out);
    task_affinity_get(t, out->cpus);
    mutex_lock(&t->lock);
    memcpy(out->comm, t->comm, sizeof(out->comm));
    out->nice = k->nice;
    out->policy = k->policy;
    out->rt_priority = k->rt_priority;
    out->timer_slack = k->timer_slack;
    out->personality = k->personality;
    if (t->curr.mm)
        out->min_faults = mm_minor_faults(t->curr.mm);
    mutex_unlock(&t->lock);
    out->loginuid = k->loginuid;
    out->sessionid = k->sessionid;
    out->no_new_privs = k->no_new_privs;
    out->seccomp_mode = k->seccomp_mode;
    out->flags = 0x00400000u | (k->exiting ? 0x4u : 0); /* PF_RANDOMIZE, PF_EXITING */
    out->oom_score_adj = t->tg->oom_score_adj;
    out->tpgid = -1;
    if (session) {
        struct pid *fg = NULL;

        out->tty = tty_of_session(session, &fg);
        if (out->tty)
            out->tpgid = fg ? pid_nr_in(fg, ns) : -1;
        pid_put(fg);
        pid_put(session);
    }
    mutex_lock(&t->tg->limits_lock);
    for (int i = 0; i < LX_RLIM_COUNT; i++) {
        out->rlimit_cur[i] = t->tg->rlim[i].cur;
        out->rlimit_max[i] = t->tg->rlim[i].max;
    }
    mutex_unlock(&t->tg->limits_lock);
}

/* ---- changes -------------------------------------------------------------------------------- */

void task_set_comm(struct task *t, const char *comm)
{
    char name[16] = {0};

    snprintf(name, sizeof(name), "%.15s", comm);
    mutex_lock(&t->lock);
    memcpy(t->comm, name, sizeof(t->comm));
    mutex_unlock(&t->lock);
}

int task_set_oom_score_adj(struct task *t, int adj)
{
    if (adj < -1000 || adj > 1000)
        return -EINVAL;
    t->tg->oom_score_adj = adj;
    return 0;
}

void task_set_timer_slack(struct task *t, uint64_t ns)
{
    mutex_lock(&t->lock);
    t->k->timer_slack = ns ? ns : t->k->timer_slack_default;
    mutex_unlock(&t->lock);
}

/* As Linux's auditing, without its features that forbid more. */
int task_set_loginuid(lx_uid_t kuid)
{
    static atomic_uint last_session;
    struct ktask_private *k = current_task()->k;

    if (k->loginuid != LX_ID_INVALID && !cred_capable(curr()->cred, LX_CAP_AUDIT_CONTROL))
        return -EPERM;
    k->sessionid = kuid == LX_ID_INVALID ? LX_ID_INVALID : atomic_fetch_add(&last_session, 1) + 1;
    k->loginuid = kuid;
    return 0;
}

/* ---- references ----------------------------------------------------------------------------- */

#define DEFINE_GETTER(name, type, field, get)                                                      \
    struct type *task_##name##_get(struct task *t)                                                 \
    {                                                                                              \
        struct type *x;                                                                            \
                                                                                                   \
        mutex_lock(&t->lock);                                                                      \
        x = t->curr.field ? get(t->curr.field) : NULL;                                             \
        mutex_unlock(&t->lock);                                                                    \
        return x;                                                                                  \
    }
DEFINE_GETTER(mm, mm, mm, mm_get)
DEFINE_GETTER(files, fdtable, files, fdtable_get)
DEFINE_GETTER(fs, fs_ctx, fs, fs_ctx_get)
DEFINE_GETTER(mntns, mntns, mntns, mntns_get)
DEFINE_GETTER(netns, netns, netns, netns_get)
DEFINE_GETTER(cred, cred, cred, cred_get)
#undef DEFINE_GETTER

/* ---- whole sandbox -------------------------------------------------------------------------- */

/*
 * Load averages without a tick: over the time since the last look, the mean number of running tasks
 * is the CPU time they used divided by that time. It enters Linux's fixed-point averages in its
 * steps of five seconds. DEVIATION: tasks that wait for a CPU do not count.
 */
enum { LOAD_STEP_S = 5, LOAD_SHIFT = 11, LOAD_STEPS_MAX = 2048 };

static struct {
    struct mutex lock;   /* rank LEAF */
    uint64_t at, cpu_ns; /* under lock: of the last step */
    uint64_t load[3];    /* under lock: fixed point */
} g_load = {.lock = {.rank = RANK_LEAF}};

static bool load_step_due(void)
{
    uint64_t now = clock_monotonic();
    bool due;

    mutex_lock(&g_load.lock);
    if (!g_load.at)
        g_load.at = now;
    due = now - g_load.at >= LOAD_STEP_S * NSEC_PER_SEC;
    mutex_unlock(&g_load.lock);
    return due;
}

static void load_step(uint64_t cpu_ns)
{
    static const uint64_t decay[3] = {1884, 2014, 2037}; /* e^(-5s/1m), /5m, /15m of 2048 */
    uint64_t now = clock_monotonic(), steps, active;

    mutex_lock(&g_load.lock);
    steps = (now - g_load.at) / (LOAD_STEP_S * NSEC_PER_SEC);
    if (steps) { /* nobody else was faster */
        active = cpu_ns > g_load.cpu_ns
                     ? ((cpu_ns - g_load.cpu_ns) << LOAD_SHIFT) / (now - g_load.at)
                     : 0;
        for (uint64_t n = MIN(steps, (uint64_t)LOAD_STEPS_MAX); n; n--)
            for (int i = 0; i < 3; i++)
                g_load.load[i] =
                    (g_load.load[i] * decay[i] + active * ((1u << LOAD_SHIFT) - decay[i])) >>
                    LOAD_SHIFT;
        g_load.at = now;
        g_load.cpu_ns = cpu_ns;
    }
    mutex_unlock(&g_load.lock);
}

static void load_get(uint32_t out[3])
{
    uint64_t user, system;

    if (load_step_due()) {
        kernel_cpu_used(&user, &system);
        load_step(user + system);
    }
    mutex_lock(&g_load.lock);
    for (int i = 0; i < 3; i++)
        out[i] = (uint32_t)((g_load.load[i] * 100) >> LOAD_SHIFT);
    mutex_unlock(&g_load.lock);
}

uint32_t task_thread_count(struct task *t)
{
    uint32_t count;

    mutex_lock(&t->tg->lock);
    count = t->tg->thread_count;
    mutex_unlock(&t->tg->lock);
    return count;
}

void kernel_cpu_used(uint64_t *out_user_ns, uint64_t *out_system_ns)
{
    struct thread_group *tg;
    struct cpu_times sum;

    mutex_lock(&g_taskset.lock);
    sum = g_reaped_times;
    list_for_each_entry(tg, &g_processes, all_node) {
        struct cpu_times times = group_cpu_times_locked(tg);

        sum.utime += times.utime;
        sum.stime += times.stime;
    }
    mutex_unlock(&g_taskset.lock);
    *out_user_ns = sum.utime;
    *out_system_ns = sum.stime;
}

void kernel_stats_get(struct kernel_stats *out)
{
    struct memfile_stats mem;
    struct thread_group *tg;
    struct task *t;

    memset(out, 0, sizeof(*out));
    out->boot_realtime = (clock_realtime() - clock_boottime()) / NSEC_PER_SEC;
    out->forks = atomic_load(&g_fork_count);
    mutex_lock(&g_taskset.lock);
    list_for_each_entry(tg, &g_processes, all_node) {
        out->total_threads += tg->thread_count;
        for_each_thread_locked(t, tg)
        {
            out->running += state_letter(t) == 'R';
        }
    }
    mutex_unlock(&g_taskset.lock);
    load_get(out->load);
    memfile_stats(&mem);
    kernel_memory(&out->mem_total, &out->mem_free);
}

bool task_process_is_dying(struct task *t)
{
    return atomic_load(&t->tg->flags) & GROUP_EXIT;
}
