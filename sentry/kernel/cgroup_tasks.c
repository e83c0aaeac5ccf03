// SPDX-License-Identifier: Apache-2.0
/*
 * Who is in a control group: processes join at clone, boot and by cgroup.procs, and leave at their
 * end. What follows from it: pids.max, freezing, killing, CPU time. See cgroup.h.
 *
 * tg->cgroup changes under TASKSET and the group's own lock, so either is enough to read it. A
 * task's charge to pids.current is taken before it exists for others (clone.c) and moves with its
 * process; if the parent moved in between, publication moves the charge without asking for limits,
 * as any move does.
 *
 * Freezing: every thread of a group that is frozen, or below one that is, parks before its next
 * guest instruction, in the same place where a paused container parks. `frozen` in cgroup.events
 * follows when all have. A fatal signal gets through, as in Linux.
 */
#include <errno.h>

#include "platform/base/log.h"
#include "sentry/kernel/cgroup_internal.h"
#include "sentry/kernel/task_info.h"

static struct mutex g_pids_lock = {.rank = RANK_LEAF};

/* ---- pids ----------------------------------------------------------------------------------- */

static void pids_add_locked(struct kcgroup *cg, int64_t n)
{
    for (; cg; cg = cg->parent) {
        cg->pids += (uint64_t)n;
        if (cg->pids > cg->pids_peak)
            cg->pids_peak = cg->pids;
    }
}

int cgroup_task_charge(struct task *child, struct kcgroup *cg)
{
    struct kcgroup *full = NULL;

    mutex_lock(&g_pids_lock);
    for (struct kcgroup *c = cg; c && !full; c = c->parent) {
        if (c->pids >= cgroup_value(c, CGROUP_PIDS_MAX))
            full = c;
    }
    if (full)
        cg->pids_fail++;
    else
        pids_add_locked(cg, 1);
    mutex_unlock(&g_pids_lock);
    if (full) {
        cgroup_news(cg, CGROUP_NEWS_PIDS);
        return -EAGAIN;
    }
    child->k->pids_cgroup = cgroup_get(cg);
    child->k->pids_charged = true;
    return 0;
}

void cgroup_task_uncharge(struct task *t)
{
    if (!t->k->pids_charged)
        return;
    t->k->pids_charged = false;
    mutex_lock(&g_pids_lock);
    pids_add_locked(t->k->pids_cgroup, -1);
    mutex_unlock(&g_pids_lock);
}

static void move_charge_locked(struct task *t, struct kcgroup *to)
{
    struct kcgroup *from = t->k->pids_cgroup;

    if (from == to || !t->k->pids_charged)
        return;
    mutex_lock(&g_pids_lock);
    pids_add_locked(from, -1);
    pids_add_locked(to, 1);
    mutex_unlock(&g_pids_lock);
    t->k->pids_cgroup = cgroup_get(to);
    cgroup_put(from);
}

void cgroup_pids_usage(struct kcgroup *cg, struct cgroup_pids_usage *out)
{
    mutex_lock(&g_pids_lock);
    *out = (struct cgroup_pids_usage){cg->pids, cg->pids_peak, cg->pids_fail};
    mutex_unlock(&g_pids_lock);
}

/* ---- population and CPU time ---------------------------------------------------------------- */

static void populate_locked(struct kcgroup *cg, int delta)
{
    ASSERT_HELD(&g_taskset.lock);
    cg->own += (uint32_t)delta;
    for (; cg; cg = cg->parent) {
        bool was = cg->live > 0;

        cg->live += (uint32_t)delta;
        if (was != (cg->live > 0))
            cgroup_news(cg, CGROUP_NEWS_EVENTS);
    }
}

bool cgroup_populated(struct kcgroup *cg)
{
    bool populated;

    mutex_lock(&g_taskset.lock);
    populated = cg->live > 0;
    mutex_unlock(&g_taskset.lock);
    return populated;
}

static struct cpu_times times_since(struct thread_group *tg, struct cpu_times now)
{
    now.utime -= MIN(now.utime, tg->cgroup_base.utime);
    now.stime -= MIN(now.stime, tg->cgroup_base.stime);
    return now;
}

/* The process leaves its group: what it used stays. */
static void leave_times_locked(struct thread_group *tg)
{
    struct cpu_times now = group_cpu_times_locked(tg), used = times_since(tg, now);

    for (struct kcgroup *c = tg->cgroup; c; c = c->parent) {
        c->gone.utime += used.utime;
        c->gone.stime += used.stime;
    }
    tg->cgroup_base = now;
}

struct cpu_times cgroup_cpu_times_locked(struct kcgroup *cg)
{
    struct cpu_times sum = cg->gone;
    struct thread_group *tg;

    ASSERT_HELD(&g_taskset.lock);
    list_for_each_entry(tg, &g_processes, all_node) {
        struct cpu_times used;

        if (!cgroup_is_below(tg->cgroup, cg))
            continue;
        used = times_since(tg, group_cpu_times_locked(tg));
        sum.utime += used.utime;
        sum.stime += used.stime;
    }
    return sum;
}

void cgroup_cpu_times(struct kcgroup *cg, uint64_t *out_user, uint64_t *out_system)
{
    struct cpu_times sum;

    mutex_lock(&g_taskset.lock);
    sum = cgroup_cpu_times_locked(cg);
    mutex_unlock(&g_taskset.lock);
    *out_user = sum.utime;
    *out_system = sum.stime;
}

void cgroup_process_exit_locked(struct thread_group *tg)
{
    populate_locked(tg->cgroup, -1);
}

void cgroup_process_reap_locked(struct thread_group *tg)
{
    leave_times_locked(tg);
}

static void each_thread_locked(struct thread_group *tg, void (*fn)(struct task *t))
{
    struct task *t;

    mutex_lock(&tg->lock);
    for_each_thread_locked(t, tg)
    {
        fn(t);
    }
    mutex_unlock(&tg->lock);
}

void cgroup_each_task_locked(struct kcgroup *cg, void (*fn)(struct task *t))
{
    struct thread_group *tg;

    ASSERT_HELD(&g_taskset.lock);
    list_for_each_entry(tg, &g_processes, all_node) {
        if (cgroup_is_below(tg->cgroup, cg))
            each_thread_locked(tg, fn);
    }
}

/* ---- freezing ------------------------------------------------------------------------------- */

static bool freeze_above(const struct kcgroup *cg)
{
    for (; cg; cg = cg->parent) {
        if (atomic_load_explicit(&cg->freeze, memory_order_relaxed))
            return true;
    }
    return false;
}

bool cgroup_wants_frozen(const struct thread_group *tg)
{
    return tg->cgroup && freeze_above(tg->cgroup);
}

static bool all_parked_locked(struct kcgroup *cg)
{
    struct thread_group *tg;
    struct task *t;

    list_for_each_entry(tg, &g_processes, all_node) {
        if (!cgroup_is_below(tg->cgroup, cg))
            continue;
        for_each_thread_locked(t, tg)
        {
            if (!t->k->exiting && !t->k->cgroup_parked && !t->k->stopped)
                return false;
        }
    }
    return true;
}

static void update_frozen_locked(struct kcgroup *cg)
{
    bool frozen = freeze_above(cg) && all_parked_locked(cg);

    ASSERT_HELD(&g_taskset.lock);
    if (frozen == cg->frozen)
        return;
    cg->frozen = frozen;
    cgroup_news(cg, CGROUP_NEWS_EVENTS);
}

void cgroup_set_parked(struct task *t, bool parked)
{
    mutex_lock(&g_taskset.lock);
    t->k->cgroup_parked = parked;
    for (struct kcgroup *c = t->tg->cgroup; c && freeze_above(t->tg->cgroup); c = c->parent)
        update_frozen_locked(c);
    mutex_unlock(&g_taskset.lock);
}

void cgroup_park(struct task *t)
{
    bool stay;

    cgroup_set_parked(t, true);
    cgroup_news_flush();
    for (;;) {
        mutex_lock(&t->tg->lock);
        stay = cgroup_wants_frozen(t->tg);
        mutex_unlock(&t->tg->lock);
        if (!stay || task_block_killable(NO_DEADLINE) < 0)
            break;
    }
    cgroup_set_parked(t, false);
}

static void kick_locked(struct task *t)
{
    task_kick_locked(t, /*fatal=*/false);
}

/* cg and everything below it. The tree does not change: CGROUP is held. */
static void update_tree_locked(struct kcgroup *cg)
{
    struct kcgroup *c;

    update_frozen_locked(cg);
    list_for_each_entry(c, &cg->children, sibling) {
        update_tree_locked(c);
    }
}

void cgroup_set_freeze(struct kcgroup *cg, bool freeze)
{
    mutex_lock(&g_cgroup_lock);
    mutex_lock(&g_taskset.lock);
    if (atomic_exchange(&cg->freeze, freeze) != freeze) {
        cgroup_each_task_locked(cg, kick_locked);
        update_tree_locked(cg);
    }
    mutex_unlock(&g_taskset.lock);
    mutex_unlock(&g_cgroup_lock);
    cgroup_news_flush();
}

bool cgroup_freeze_wanted(struct kcgroup *cg)
{
    return atomic_load(&cg->freeze);
}

bool cgroup_is_frozen(struct kcgroup *cg)
{
    bool frozen;

    mutex_lock(&g_taskset.lock);
    frozen = cg->frozen;
    mutex_unlock(&g_taskset.lock);
    return frozen;
}

void cgroup_kill_all(struct kcgroup *cg)
{
    struct thread_group *tg;

    /* A child that is being made now is not seen here, but its parent's pending signal keeps it
     * from being published (clone.c). */
    mutex_lock(&g_taskset.lock);
    list_for_each_entry(tg, &g_processes, all_node) {
        if (!cgroup_is_below(tg->cgroup, cg) || tg->live == 0)
            continue;
        mutex_lock(&tg->lock);
        (void)signal_send_locked(tg->leader, LX_SIGKILL, NULL, true, true); /* never refused */
        mutex_unlock(&tg->lock);
    }
    mutex_unlock(&g_taskset.lock);
}

/* ---- joining -------------------------------------------------------------------------------- */

int cgroup_publish_locked(struct task *child, struct task *parent, struct kcgroup *rq_cg)
{
    struct thread_group *tg = child->tg;
    bool thread = parent && tg == parent->tg;
    struct kcgroup *cg = rq_cg && !thread ? rq_cg : parent->tg->cgroup;

    ASSERT_HELD(&g_taskset.lock);
    if (thread)
        ;
    else if (atomic_load(&cg->dead))
        return -ENODEV;
    move_charge_locked(child, cg);
    memcg_task_set(&child->curr, cg->memcg);
    if (!thread) {
        tg->cgroup = cgroup_get(cg);
        populate_locked(cg, 1);
    }
    cpus_apply_new_locked(child);
    bandwidth_joined_locked(child, cg);
    if (thread)
        return 0;
    if (freeze_above(cg)) {
        sleeper_interrupt(&child->curr.sleeper, SLEEP_INTERRUPT_SIGNAL);
        for (struct kcgroup *c = cg; c; c = c->parent)
            update_frozen_locked(c);
    }
    return 0;
}

struct kcgroup *task_cgroup_get(struct task *t)
{
    struct kcgroup *cg;

    mutex_lock(&t->tg->lock);
    cg = cgroup_get(t->tg->cgroup);
    mutex_unlock(&t->tg->lock);
    return cg;
}

void cgroup_for_each(struct kcgroup *cg, bool threads, void (*fn)(struct pid *p, void *arg),
                     void *arg)
{
    struct thread_group *tg;
    struct task *t;

    mutex_lock(&g_taskset.lock);
    list_for_each_entry(tg, &g_processes, all_node) {
        if (tg->cgroup != cg || tg->live == 0)
            continue;
        if (!threads) {
            fn(tg->leader->curr.tgid, arg);
            continue;
        }
        for_each_thread_locked(t, tg)
        {
            if (!t->k->exiting)
                fn(t->curr.tid, arg);
        }
    }
    mutex_unlock(&g_taskset.lock);
}

void cgroup_cpus_changed_locked(struct kcgroup *cg)
{
    cgroup_each_task_locked(cg, cpus_apply_new_locked);
}

/* ---- moving --------------------------------------------------------------------------------- */

static const struct kcgroup *common_ancestor(const struct kcgroup *a, const struct kcgroup *b)
{
    while (!cgroup_is_below(b, a))
        a = a->parent;
    return a;
}

static int check_move(struct kcgroup *from, struct kcgroup *to, struct kcgroup *root,
                      int (*may_write)(struct kcgroup *cg, void *arg), void *arg)
{
    /* SAFETY: ancestors of a group that is held are held. */
    struct kcgroup *common = (struct kcgroup *)(uintptr_t)common_ancestor(from, to);
    int ret = may_write ? may_write(common, arg) : 0;

    if (ret < 0)
        return ret;
    if (root && (!cgroup_is_below(from, root) || !cgroup_is_below(to, root)))
        return -ENOENT;
    return 0;
}

static void move_locked(struct thread_group *tg, struct kcgroup *to)
{
    struct kcgroup *from = tg->cgroup;
    struct task *t;

    leave_times_locked(tg);
    populate_locked(from, -1);
    mutex_lock(&tg->lock);
    tg->cgroup = cgroup_get(to);
    mutex_unlock(&tg->lock);
    populate_locked(to, 1);
    for_each_thread_locked(t, tg)
    {
        move_charge_locked(t, to);
        memcg_task_set(&t->curr, to->memcg);
        cpus_apply_locked(t);
        bandwidth_joined_locked(t, to);
    }
    if (freeze_above(from) || freeze_above(to)) {
        each_thread_locked(tg, kick_locked);
        for (struct kcgroup *c = from; c; c = c->parent)
            update_frozen_locked(c);
        for (struct kcgroup *c = to; c; c = c->parent)
            update_frozen_locked(c);
    }
}

/* Moves t's process if it is still in from. -EAGAIN: it is not. */
static int move_if_unchanged(struct task *t, struct kcgroup *from, struct kcgroup *to)
{
    int ret;

    mutex_lock(&g_cgroup_lock);
    ret = cgroup_vet_members_locked(to, to->subtree_control, true);
    mutex_lock(&g_taskset.lock);
    if (ret == 0 && atomic_load(&to->dead))
        ret = -ENODEV;
    else if (ret == 0 && t->tg->live == 0)
        ret = -ESRCH;
    else if (ret == 0 && t->tg->cgroup != from)
        ret = -EAGAIN;
    if (ret == 0 && from != to)
        move_locked(t->tg, to);
    mutex_unlock(&g_taskset.lock);
    mutex_unlock(&g_cgroup_lock);
    return ret;
}

int cgroup_attach(struct kcgroup *cg, lx_pid_t nr, struct kcgroup *root,
                  int (*may_write)(struct kcgroup *cg, void *arg), void *arg)
{
    struct task *t;
    int ret;

    if (nr == 0)
        t = current_task() ? task_get(current_task()) : NULL;
    else
        t = task_find_get(nr);
    if (!t)
        return -ESRCH;
    do {
        struct kcgroup *from = task_cgroup_get(t);

        ret = check_move(from, cg, root, may_write, arg);
        if (ret == 0)
            ret = move_if_unchanged(t, from, cg);
        cgroup_put(from);
    } while (ret == -EAGAIN);
    task_put(t);
    cgroup_news_flush();
    return ret;
}

int cgroup_put_task(struct kcgroup *cg, struct task *t)
{
    int ret;

    do {
        struct kcgroup *from = task_cgroup_get(t);

        ret = move_if_unchanged(t, from, cg);
        cgroup_put(from);
    } while (ret == -EAGAIN);
    cgroup_news_flush();
    return ret;
}

int cgroup_may_fork_into(struct task *t, struct kcgroup *cg,
                         int (*may_write)(struct kcgroup *cg, void *arg), void *arg)
{
    struct kcgroup *from = task_cgroup_get(t);
    int ret = cgroup_is_dead(cg) ? -ENODEV : may_write(cg, arg);

    if (ret == 0)
        ret = check_move(from, cg, cgroupns_root(t->curr.cgroupns), may_write, arg);
    cgroup_put(from);
    if (ret < 0)
        return ret;
    mutex_lock(&g_cgroup_lock);
    ret = cgroup_vet_members_locked(cg, cg->subtree_control, true);
    mutex_unlock(&g_cgroup_lock);
    return ret;
}
