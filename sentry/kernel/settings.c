/* SPDX-License-Identifier: Apache-2.0 */
/* Accessors to per-task settings; see settings.h. */
#include "sentry/kernel/settings.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "sentry/kernel/kernel_internal.h"
#include "sentry/mm/uaccess.h"

void task_set_clear_child_tid(struct task *t, uaddr_t addr)
{
    t->k->clear_child_tid = addr;
}

uaddr_t task_clear_child_tid(const struct task *t)
{
    return t->k->clear_child_tid;
}

uint32_t task_personality(const struct task *t)
{
    return t->k->personality;
}

void task_set_personality(struct task *t, uint32_t p)
{
    t->k->personality = p;
}

bool task_no_new_privs(const struct task *t)
{
    return t->k->no_new_privs;
}

void task_set_no_new_privs(struct task *t)
{
    t->k->no_new_privs = true;
}

int task_pdeath_signal(const struct task *t)
{
    return atomic_load(&t->k->pdeath_signal);
}

void task_set_pdeath_signal(struct task *t, int signo)
{
    atomic_store(&t->k->pdeath_signal, signo);
}

bool task_thp_disable(const struct task *t)
{
    return t->k->thp_disable;
}

void task_set_thp_disable(struct task *t, bool on)
{
    t->k->thp_disable = on;
}

bool task_io_flusher(const struct task *t)
{
    return t->k->io_flusher;
}

void task_set_io_flusher(struct task *t, bool on)
{
    t->k->io_flusher = on;
}

int task_set_reqkey_default(struct task *t, int where)
{
    int old = t->k->reqkey_default;

    if (where >= 0)
        t->k->reqkey_default = where;
    return old;
}

uint64_t task_timer_slack(struct task *t)
{
    return t->k->timer_slack;
}

void task_sched_get(struct task *t, struct task_sched *out)
{
    mutex_lock(&t->lock);
    *out = (struct task_sched){t->k->policy, t->k->rt_priority, t->k->nice, t->k->ioprio,
                               t->k->reset_on_fork};
    mutex_unlock(&t->lock);
}

void task_sched_set(struct task *t, const struct task_sched *s)
{
    mutex_lock(&t->lock);
    t->k->policy = s->policy;
    t->k->rt_priority = s->rt_priority;
    t->k->nice = s->nice;
    t->k->ioprio = s->ioprio;
    t->k->reset_on_fork = s->reset_on_fork;
    mutex_unlock(&t->lock);
}

void task_membarrier_register(struct task *t, uint32_t cmd)
{
    atomic_fetch_or(&t->tg->membarrier, cmd);
}

int task_membarrier_registered(struct task *t)
{
    return (int)atomic_load(&t->tg->membarrier);
}

/* Threads outside of guest code passed a barrier on their way out (in_guest is sequentially
 * consistent); those inside are interrupted and waited for, which is over in microseconds. */
void task_membarrier(struct task *t)
{
    struct thread_group *tg = t->tg;
    struct task *pos, **busy;
    uint64_t *cycles;
    uint32_t count = 0, room;

    mutex_lock(&tg->lock);
    room = tg->thread_count;
    mutex_unlock(&tg->lock);
    busy = calloc(room, sizeof(struct task *));
    cycles = calloc(room, sizeof(*cycles));
    if (!busy || !cycles)
        goto out;
    mutex_lock(&tg->lock);
    for_each_thread_locked(pos, tg)
    {
        if (pos == t || count == room || !atomic_load(&pos->k->in_guest))
            continue;
        cycles[count] = atomic_load(&pos->k->guest_cycles);
        busy[count++] = task_get(pos);
        task_kick_locked(pos, /*fatal=*/false);
    }
    mutex_unlock(&tg->lock);
    for (uint32_t i = 0; i < count; i++) {
        while (atomic_load(&busy[i]->k->in_guest) &&
               atomic_load(&busy[i]->k->guest_cycles) == cycles[i])
            sched_yield();
        task_put(busy[i]);
    }
out:
    free(busy);
    free(cycles);
}

static atomic_int g_io_uring_disabled;

int settings_io_uring_disabled(void)
{
    return atomic_load(&g_io_uring_disabled);
}

void settings_set_io_uring_disabled(int how)
{
    atomic_store(&g_io_uring_disabled, how);
}
