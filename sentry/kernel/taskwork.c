// SPDX-License-Identifier: Apache-2.0
/*
 * Task work. See taskwork.h.
 *
 * Adding happens under other people's locks (wait queue callbacks), where neither the group's lock
 * nor a platform call is possible. So the task's interrupt bit is set, which is enough for one that
 * sleeps or is on its way, and if it is in guest code a service thread kicks it as signals do. The
 * handshake on in_guest is the one of loop.c: the bit is set before in_guest is read.
 */
#include "sentry/kernel/taskwork.h"

#include <errno.h>

#include "sentry/core/curr.h"
#include "sentry/kernel/kernel_internal.h"

static struct mutex g_lock = {.rank = RANK_LEAF}; /* all tasks' lists and the kick list */
static struct list g_kicks = LIST_INIT(g_kicks);
static _Atomic(struct sleeper *) g_kicker;
const struct task_request_ops *g_task_request_ops;

static struct task *next_kick(void)
{
    struct ktask_private *k = NULL;

    mutex_lock(&g_lock);
    if (!list_empty(&g_kicks)) {
        k = list_first_entry(&g_kicks, struct ktask_private, kick_node);
        list_del(&k->kick_node);
    }
    mutex_unlock(&g_lock);
    return k ? k->self : NULL;
}

static void kicker_main(void *arg)
{
    (void)arg;
    atomic_store(&g_kicker, &curr()->sleeper);
    for (;;) {
        struct task *t = next_kick();

        if (!t) {
            IGNORE_RESULT(task_block_killable(NO_DEADLINE)); /* looks again */
            continue;
        }
        mutex_lock(&t->tg->lock);
        task_kick_locked(t, /*fatal=*/false);
        mutex_unlock(&t->tg->lock);
        task_put(t);
    }
}

int taskwork_start(void)
{
    static atomic_bool started;

    return atomic_exchange(&started, true) ? 0 : thread_start("kicker", kicker_main, NULL);
}

bool taskwork_add(struct task *t, struct taskwork *w)
{
    struct ktask_private *k = t->k;
    struct sleeper *kicker = NULL;

    mutex_lock(&g_lock);
    if (k->work_closed) {
        mutex_unlock(&g_lock);
        return false;
    }
    list_add_tail(&k->work, &w->node);
    atomic_store(&k->work_due, true);
    sleeper_interrupt(&t->curr.sleeper, SLEEP_INTERRUPT_SIGNAL);
    if (atomic_load(&k->in_guest) && list_empty(&k->kick_node)) {
        task_get(t);
        list_add_tail(&g_kicks, &k->kick_node);
        kicker = atomic_load(&g_kicker);
    }
    mutex_unlock(&g_lock);
    if (kicker)
        sleeper_wake(kicker);
    return true;
}

bool taskwork_due(const struct task *t)
{
    return atomic_load(&t->k->work_due);
}

static struct taskwork *next_work(struct task *t)
{
    struct taskwork *w = NULL;

    mutex_lock(&g_lock);
    if (!list_empty(&t->k->work)) {
        w = list_first_entry(&t->k->work, struct taskwork, node);
        list_del(&w->node);
    } else {
        atomic_store(&t->k->work_due, false);
    }
    mutex_unlock(&g_lock);
    return w;
}

bool taskwork_run(struct task *t)
{
    struct list batch = LIST_INIT(batch);
    bool due;

    mutex_lock(&g_lock);
    list_splice_tail(&batch, &t->k->work);
    atomic_store(&t->k->work_due, false);
    mutex_unlock(&g_lock);
    while (!list_empty(&batch)) {
        struct taskwork *w = list_first_entry(&batch, struct taskwork, node);

        list_del(&w->node);
        w->fn(w);
    }
    mutex_lock(&t->tg->lock);
    due = signal_due_locked(t);
    (void)signal_recalc_locked(t); /* sets or clears the interrupt bit */
    mutex_unlock(&t->tg->lock);
    return due;
}

void taskwork_close(struct task *t)
{
    struct taskwork *w;

    mutex_lock(&g_lock);
    t->k->work_closed = true;
    mutex_unlock(&g_lock);
    atomic_store(&t->k->requests_refused, true);
    while ((w = next_work(t)) != NULL)
        w->fn(w);
}

void task_requests_mark(struct task *t)
{
    atomic_store(&t->k->has_requests, true);
}

bool task_requests_refused(const struct task *t)
{
    return atomic_load(&t->k->requests_refused);
}

void task_requests_cancel(struct task *t, bool exits)
{
    struct ktask_private *k = t->k;

    if (atomic_load(&k->has_requests)) {
        /* From here on nothing of t's waits again, so cancel_all finds all that waits. */
        atomic_store(&k->requests_refused, true);
        g_task_request_ops->cancel_all(t);
        while (taskwork_due(t))
            (void)taskwork_run(t); /* refused requests make no new ones: this ends */
        atomic_store(&k->has_requests, false);
        atomic_store(&k->requests_refused, false);
    }
    if (exits)
        taskwork_close(t);
}
