/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Task and process objects: memory, references, pid attachment, lookup. A task is findable through
 * the pid tables from clone's publication until it is reaped; the struct lives until the last
 * reference. task_put frees everything a dead task still points to, so it runs without locks.
 */
#include "sentry/kernel/kernel_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sentry/fs/vfs.h"
#include "sentry/kernel/cgroup_internal.h"
#include "sentry/kernel/coredump.h"
#include "sentry/kernel/keys.h"
#include "sentry/kernel/seccomp.h"
#include "sentry/kernel/task_info.h"
#include "sentry/mm/mm.h"
#include "sentry/net/netns.h"

const struct platform_ops *g_platform_ops;
struct platform *g_platform;
const struct syscall_trace_ops *g_syscall_trace_ops;
struct list g_processes = LIST_INIT(g_processes);

struct task_block_mem {
    struct task task;
    struct ktask_private k;
};

int task_alloc(struct task **out)
{
    struct task_block_mem *mem = calloc(1, sizeof(*mem));
    struct ktask_private *k;

    if (!mem)
        return -ENOMEM;
    k = &mem->k;
    mem->task.k = k;
    k->self = &mem->task;
    refs_init(&mem->task.refs);
    mutex_init(&mem->task.lock, RANK_TASK);
    sleeper_init(&mem->task.curr.sleeper);
    mem->task.curr.task = &mem->task;
    list_init(&k->tg_node);
    list_init(&k->work);
    list_init(&k->kick_node);
    for (int i = 0; i < PID_KIND_COUNT; i++)
        list_init(&k->pid_node[i]);
    list_init(&k->children);
    list_init(&k->sibling);
    list_init(&k->pi_owned);
    ptrace_state_init(&k->pt);
    sigpending_init(&k->pending);
    k->altstack.flags = LX_SS_DISABLE;
    k->syscall_nr = -1;
    k->rseq_watch = &g_rseq_never;
    *out = &mem->task;
    return 0;
}

struct task *task_get(struct task *t)
{
    refs_get(&t->refs);
    return t;
}

void task_put(struct task *t)
{
    struct ktask_private *k;

    if (!t || !refs_put(&t->refs))
        return;
    ASSERT_NONE_HELD();
    k = t->k;
    ASSERT(!t->ctx && list_empty(&k->tg_node));
    sigpending_flush(&k->pending, ~0ull);
    ptrace_state_destroy(&k->pt);
    if (k->vfork && refs_put(&k->vfork->refs)) {
        task_put(k->vfork->parent);
        free(k->vfork);
    }
    keys_exit(t);
    seccomp_filter_put(k->seccomp);
    if (k->user) {
        atomic_fetch_sub(&k->user->tasks, 1);
        user_put(k->user);
    }
    cgroup_task_uncharge(t);
    cgroup_put(k->pids_cgroup);
    if (k->child_pidns)
        pidns_put(k->child_pidns);
    pid_put(t->curr.tid);
    pid_put(t->curr.tgid);
    pidns_put(t->curr.pidns);
    cred_put(t->curr.cred);
    thread_group_put(t->tg);
    mutex_destroy(&t->lock);
    free(container_of(t, struct task_block_mem, task));
}

int sighand_new(const struct sighand *from, struct sighand **out)
{
    struct sighand *sh = calloc(1, sizeof(*sh));

    if (!sh)
        return -ENOMEM;
    refs_init(&sh->refs);
    mutex_init(&sh->lock, RANK_LEAF);
    if (from) {
        /* SAFETY: the caller keeps `from` alive; its lock is taken because others may write it. */
        struct mutex *lock = (struct mutex *)(uintptr_t)&from->lock;

        mutex_lock(lock);
        memcpy(sh->action, from->action, sizeof(sh->action));
        mutex_unlock(lock);
    }
    *out = sh;
    return 0;
}

struct sighand *sighand_get(struct sighand *sh)
{
    refs_get(&sh->refs);
    return sh;
}

void sighand_put(struct sighand *sh)
{
    if (!sh || !refs_put(&sh->refs))
        return;
    mutex_destroy(&sh->lock);
    free(sh);
}

int thread_group_new(struct thread_group **out)
{
    struct thread_group *tg = calloc(1, sizeof(*tg));

    if (!tg)
        return -ENOMEM;
    refs_init(&tg->refs);
    mutex_init(&tg->lock, RANK_SIGHAND);
    mutex_init(&tg->exec_lock, RANK_EXEC);
    mutex_init(&tg->limits_lock, RANK_LEAF);
    sigpending_init(&tg->shared);
    list_init(&tg->threads);
    list_init(&tg->all_node);
    waitq_init(&tg->child_wq);
    atomic_init(&tg->core_filter, CORE_FILTER_DEFAULT);
    tg->start_boottime = clock_boottime();
    group_timers_init(tg);
    *out = tg;
    return 0;
}

struct thread_group *thread_group_get(struct thread_group *tg)
{
    refs_get(&tg->refs);
    return tg;
}

void thread_group_put(struct thread_group *tg)
{
    if (!tg || !refs_put(&tg->refs))
        return;
    ASSERT_NONE_HELD();
    ASSERT(list_empty(&tg->threads) && list_empty(&tg->all_node));
    group_timers_destroy(tg);
    sigpending_flush(&tg->shared, ~0ull);
    keys_group_exit(tg);
    sighand_put(tg->sighand);
    pid_put(tg->pgrp);
    pid_put(tg->session);
    kcontainer_put(tg->container);
    cgroup_put(tg->cgroup);
    waitq_destroy(&tg->child_wq);
    mutex_destroy(&tg->lock);
    mutex_destroy(&tg->exec_lock);
    mutex_destroy(&tg->limits_lock);
    free(tg);
}

void task_attach_pid_locked(struct task *t, enum pid_kind kind, struct pid *p)
{
    ASSERT_HELD(&g_taskset.lock);
    list_add_tail(&p->tasks[kind], &t->k->pid_node[kind]);
}

void task_detach_pid_locked(struct task *t, enum pid_kind kind)
{
    ASSERT_HELD(&g_taskset.lock);
    list_del(&t->k->pid_node[kind]);
}

static struct task *task_of_pid_node(struct list *node, enum pid_kind kind)
{
    /* SAFETY: nodes on pid.tasks[kind] are pid_node[kind] of a ktask_private. */
    struct list *base = node - kind;

    return container_of(base, struct ktask_private, pid_node[0])->self;
}

struct task *pid_task_locked(struct pid *p, enum pid_kind kind)
{
    ASSERT_HELD(&g_taskset.lock);
    if (!p || list_empty(&p->tasks[kind]))
        return NULL;
    return task_of_pid_node(p->tasks[kind].next, kind);
}

struct task *task_of_pid_list(struct list *node, enum pid_kind kind)
{
    return task_of_pid_node(node, kind);
}

struct task *pid_task_get(struct pid *p, enum pid_kind kind)
{
    struct task *t;

    mutex_lock(&g_taskset.lock);
    t = pid_task_locked(p, kind);
    if (t)
        task_get(t);
    mutex_unlock(&g_taskset.lock);
    return t;
}

static struct task *find_get(lx_pid_t nr, enum pid_kind kind)
{
    struct pidns *ns = curr()->pidns;
    struct task *t = NULL;
    struct pid *p;

    if (nr <= 0 || !ns)
        return NULL;
    mutex_lock(&g_taskset.lock);
    p = pidns_find_locked(ns, nr);
    t = pid_task_locked(p, kind);
    if (t)
        task_get(t);
    mutex_unlock(&g_taskset.lock);
    return t;
}

struct task *task_find_get(lx_pid_t nr)
{
    return find_get(nr, PID_TID);
}

struct task *task_find_process_get(lx_pid_t nr)
{
    return find_get(nr, PID_TGID);
}

long task_set_restart(struct task *t, const struct restart_block *rb)
{
    t->k->restart = *rb;
    return -ERESTART_RESTARTBLOCK;
}

long task_run_restart(struct task *t)
{
    struct restart_block rb = t->k->restart;

    t->k->restart.fn = NULL;
    if (!rb.fn)
        return -EINTR;
    return rb.fn(t, &rb);
}

void task_rlimit(struct task *t, int resource, struct lx_rlimit *out)
{
    mutex_lock(&t->tg->limits_lock);
    *out = t->tg->rlim[resource];
    mutex_unlock(&t->tg->limits_lock);
}

void task_set_rlimit(struct task *t, int resource, const struct lx_rlimit *lim)
{
    mutex_lock(&t->tg->limits_lock);
    t->tg->rlim[resource] = *lim;
    mutex_unlock(&t->tg->limits_lock);
    if (resource == LX_RLIMIT_CPU)
        cputime_limits_changed(t->tg);
}

uint64_t task_rlimit_cur(struct task *t, int resource)
{
    /* SAFETY: an aligned 8-byte load does not tear; the value may be a moment old. */
    return __atomic_load_n(&t->tg->rlim[resource].cur, __ATOMIC_RELAXED);
}

/* Linux: has b no capability that a does not have? Who makes a namespace has them all inside. */
static bool cap_issubset(const struct cred *a, const struct cred *b)
{
    if (a->userns == b->userns)
        return !(b->cap_permitted & ~a->cap_permitted);
    for (const struct userns *ns = b->userns; ns->parent; ns = ns->parent) {
        if (ns->parent == a->userns && ns->owner_uid == a->euid)
            return true;
    }
    return false;
}

void task_commit_cred_take(struct task *t, struct cred *c)
{
    struct cred *old = t->curr.cred;
    struct ktask_private *k = t->k;
    struct user *user = NULL;

    /* Linux: a change of identity or more capabilities hides the process from its former equals. */
    if (old->euid != c->euid || old->egid != c->egid || old->fsuid != c->fsuid ||
        old->fsgid != c->fsgid || !cap_issubset(old, c)) {
        if (t->curr.mm)
            mm_set_dumpable(t->curr.mm, 0);
        atomic_store(&k->pdeath_signal, 0);
    }
    if (k->user && old->ruid != c->ruid)
        user = user_find_get(c->ruid);
    mutex_lock(&t->lock);
    t->curr.cred = c;
    if (user) {
        struct user *was = k->user;

        atomic_fetch_sub(&was->tasks, 1);
        atomic_fetch_add(&user->tasks, 1);
        k->user = user;
        user = was;
    }
    mutex_unlock(&t->lock);
    user_put(user);
    cred_put(old);
    task_answers_changed(t);
}
