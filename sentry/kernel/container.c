/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Containers as kernel/ knows them: a set of processes that are counted, signalled and paused
 * together. Pausing uses the tasks' one exit from sleep and from guest code: every thread is
 * kicked, sees the flag before its next guest instruction and parks.
 */
#include "sentry/kernel/cgroup_internal.h"
#include "sentry/kernel/kernel_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Keys: I immutable; a atomic */
struct kcontainer {
    struct refs refs;
    char *id;               /* I */
    atomic_uint paused;     /* a */
    atomic_uint processes;  /* a */
    struct waitq wq;        /* parked tasks, waiters for the last process */
    struct kcgroup *cgroup; /* I, +1: the top group of its processes */
};

int kcontainer_new(const char *id, struct kcontainer **out)
{
    struct kcontainer *c = calloc(1, sizeof(*c));

    if (!c)
        return -ENOMEM;
    c->id = strdup(id);
    if (!c->id) {
        free(c);
        return -ENOMEM;
    }
    if (cgroup_mkdir(cgroup_root(), id, strlen(id), 0, 0, &c->cgroup) < 0) {
        free(c->id);
        free(c);
        return -ENOMEM;
    }
    refs_init(&c->refs);
    waitq_init(&c->wq);
    *out = c;
    return 0;
}

struct kcgroup *kcontainer_cgroup(struct kcontainer *c)
{
    return c->cgroup;
}

struct kcontainer *kcontainer_get(struct kcontainer *c)
{
    refs_get(&c->refs);
    return c;
}

void kcontainer_put(struct kcontainer *c)
{
    if (!c || !refs_put(&c->refs))
        return;
    waitq_destroy(&c->wq);
    cgroup_remove_tree(c->cgroup);
    cgroup_put(c->cgroup);
    free(c->id);
    free(c);
}

const char *kcontainer_id(const struct kcontainer *c)
{
    return c->id;
}

uint32_t kcontainer_process_count(struct kcontainer *c)
{
    return atomic_load(&c->processes);
}

bool kcontainer_has_task(const struct kcontainer *c, const struct task *t)
{
    return t->tg->container == c;
}

void kcontainer_add_process(struct kcontainer *c, int delta)
{
    atomic_fetch_add(&c->processes, (unsigned)delta);
    if (delta < 0)
        waitq_wake(&c->wq, WAKE_HUP);
}

bool kcontainer_is_paused(struct kcontainer *c)
{
    return c && atomic_load_explicit(&c->paused, memory_order_relaxed);
}

void kcontainer_park(struct kcontainer *c)
{
    struct waiter w;

    waiter_init(&w, WAKE_IN);
    waitq_add(&c->wq, &w);
    while (atomic_load(&c->paused)) {
        /* A kill reaches a paused task at once, as it does with Linux's freezer v2. */
        if (task_block_killable(NO_DEADLINE) < 0)
            break;
    }
    waitq_remove(&c->wq, &w);
}

static void kick_all(struct kcontainer *c)
{
    struct thread_group *tg;
    struct task *t;

    mutex_lock(&g_taskset.lock);
    list_for_each_entry(tg, &g_processes, all_node) {
        if (tg->container != c)
            continue;
        mutex_lock(&tg->lock);
        for_each_thread_locked(t, tg)
        {
            task_kick_locked(t, /*fatal=*/false);
        }
        mutex_unlock(&tg->lock);
    }
    mutex_unlock(&g_taskset.lock);
}

void kernel_pause(struct kcontainer *c)
{
    atomic_store(&c->paused, 1);
    kick_all(c);
}

void kernel_resume(struct kcontainer *c)
{
    atomic_store(&c->paused, 0);
    waitq_wake(&c->wq, WAKE_IN);
}

bool kernel_paused(struct kcontainer *c)
{
    return atomic_load(&c->paused);
}

int kernel_signal_container(struct kcontainer *c, int signo)
{
    struct thread_group *tg;
    int ret = -ESRCH;

    mutex_lock(&g_taskset.lock);
    list_for_each_entry(tg, &g_processes, all_node) {
        if (c && tg->container != c)
            continue;
        ret = 0;
        mutex_lock(&tg->lock);
        /* A full queue is no reason to stop with the others; SIGKILL is never refused. */
        (void)signal_send_locked(tg->leader, signo, NULL, /*to_group=*/true, /*force=*/true);
        mutex_unlock(&tg->lock);
    }
    mutex_unlock(&g_taskset.lock);
    return ret;
}

int kernel_kill_all(struct kcontainer *c, uint64_t deadline_ns)
{
    struct waiter w;
    int ret = 0;

    if (!c)
        return kernel_signal_container(NULL, LX_SIGKILL) == -ESRCH ? 0 : -EAGAIN;
    waiter_init(&w, WAKE_HUP);
    waitq_add(&c->wq, &w);
    /* A process that forks while the signals go out is caught by the next round. */
    while (atomic_load(&c->processes)) {
        uint64_t soon = deadline_after(10000000);

        (void)kernel_signal_container(c, LX_SIGKILL); /* -ESRCH: the last one just left */
        ret = task_block_killable(MIN(soon, deadline_ns));
        if (ret == -ETIMEDOUT && clock_monotonic() < deadline_ns)
            ret = 0;
        if (ret < 0)
            break;
    }
    waitq_remove(&c->wq, &w);
    return ret;
}

int kernel_signal_process(struct task *t, int signo)
{
    int ret;

    mutex_lock(&t->tg->lock);
    ret = signal_send_locked(t, signo, NULL, /*to_group=*/true, /*force=*/true);
    mutex_unlock(&t->tg->lock);
    return ret;
}

lx_pid_t kernel_process_pid(struct task *t)
{
    return pid_nr_in(t->curr.tgid, t->curr.pidns);
}
