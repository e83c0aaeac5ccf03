/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sleeper is a futex word of three states:
 *   0 RUN    awake, no token
 *   1 TOKEN  a wake came; the next task_block consumes it
 *   2 ASLEEP in the host's futex wait
 * A waker sets TOKEN and makes the host call only if it found ASLEEP. Interrupt bits are separate
 * and are looked at before sleeping, so a bit set before the word is checked always ends the sleep.
 *
 * Wait queues: `nonempty` is not kept; waitq_wake looks at the list head without the lock. A waiter
 * adds itself before it checks its condition, and a waker changes the condition before it looks,
 * both with sequentially consistent order (the queue's lock on one side, a fence on the other), so
 * one of the two sees the other.
 */
#include "sentry/core/sleep.h"

#include <errno.h>
#include <time.h>

#include "platform/base/placement.h"
#include "platform/host/futex.h"
#include "sentry/core/clock.h"
#include "sentry/core/curr.h"
#include "sentry/core/restart.h"

enum { SLEEP_RUN, SLEEP_TOKEN, SLEEP_ASLEEP };

void sleeper_init(struct sleeper *s)
{
    atomic_init(&s->word, SLEEP_RUN);
    atomic_init(&s->interrupt, 0);
}

void sleeper_wake(struct sleeper *s)
{
    if (atomic_exchange(&s->word, SLEEP_TOKEN) == SLEEP_ASLEEP)
        wake_later(&s->word, 1);
}

void sleeper_interrupt(struct sleeper *s, uint32_t bits)
{
    atomic_fetch_or(&s->interrupt, bits);
    sleeper_wake(s);
}

void sleeper_clear_interrupt(struct sleeper *s, uint32_t bits)
{
    atomic_fetch_and(&s->interrupt, ~bits);
}

static int sleep_until(struct sleeper *s, uint64_t deadline_ns, uint32_t interrupts)
{
    struct timespec ts = {(time_t)(deadline_ns / NSEC_PER_SEC), (long)(deadline_ns % NSEC_PER_SEC)};
    unsigned expected = SLEEP_RUN;
    int ret;

    ASSERT_NONE_HELD();
    if (atomic_load(&s->interrupt) & interrupts)
        return -ERESTARTSYS;
    if (!atomic_compare_exchange_strong(&s->word, &expected, SLEEP_ASLEEP)) {
        atomic_store(&s->word, SLEEP_RUN); /* consumed the token */
        return 0;
    }
    atomic_store_explicit(&g_curr->cpu, placement_cpu(), memory_order_relaxed); /* statistics */
    placement_note_sleep();
    ret = host_futex_wait(&s->word, SLEEP_ASLEEP, deadline_ns == NO_DEADLINE ? NULL : &ts);
    placement_note_sleep();
    if (ret == -ETIMEDOUT) {
        expected = SLEEP_ASLEEP;
        if (atomic_compare_exchange_strong(&s->word, &expected, SLEEP_RUN)) {
            ktimer_catch_up(deadline_ns);
            return -ETIMEDOUT;
        }
    }
    atomic_store(&s->word, SLEEP_RUN);
    if (atomic_load(&s->interrupt) & interrupts)
        return -ERESTARTSYS;
    return 0;
}

int task_block(uint64_t deadline_ns)
{
    return sleep_until(&curr()->sleeper, deadline_ns,
                       SLEEP_INTERRUPT_SIGNAL | SLEEP_INTERRUPT_KILL);
}

int task_block_killable(uint64_t deadline_ns)
{
    return sleep_until(&curr()->sleeper, deadline_ns, SLEEP_INTERRUPT_KILL);
}

void thread_pause(uint64_t ns)
{
    uint64_t until = deadline_after(ns);
    struct timespec ts = {.tv_sec = (time_t)(until / NSEC_PER_SEC),
                          .tv_nsec = (long)(until % NSEC_PER_SEC)};
    atomic_uint word = 0;

    while (host_futex_wait(&word, 0, &ts) != -ETIMEDOUT)
        ;
}

bool task_interrupted(void)
{
    return atomic_load(&curr()->sleeper.interrupt) &
           (SLEEP_INTERRUPT_SIGNAL | SLEEP_INTERRUPT_KILL);
}

void waitq_init(struct waitq *q)
{
    waitq_init_rank(q, RANK_WAITQ);
}

void waitq_init_rank(struct waitq *q, enum lock_rank rank)
{
    mutex_init(&q->lock, rank);
    list_init(&q->waiters);
    atomic_init(&q->count, 0);
}

void waitq_destroy(struct waitq *q)
{
    ASSERT(list_empty(&q->waiters));
    mutex_destroy(&q->lock);
}

void waiter_init(struct waiter *w, uint32_t mask)
{
    *w = (struct waiter){.mask = mask | WAKE_ERR | WAKE_HUP, .sleeper = &curr()->sleeper};
    list_init(&w->node);
}

void waiter_init_callback(struct waiter *w, uint32_t mask, bool (*wake)(struct waiter *, uint32_t))
{
    *w = (struct waiter){.mask = mask | WAKE_ERR | WAKE_HUP, .wake = wake};
    list_init(&w->node);
}

/* seq_cst: pairs with the fence in waitq_wake_n; the caller looks at its condition after this. */
void waitq_add(struct waitq *q, struct waiter *w)
{
    mutex_lock(&q->lock);
    list_add(&q->waiters, &w->node);
    atomic_fetch_add(&q->count, 1);
    mutex_unlock(&q->lock);
}

void waitq_add_exclusive(struct waitq *q, struct waiter *w)
{
    w->exclusive = true;
    mutex_lock(&q->lock);
    list_add_tail(&q->waiters, &w->node);
    atomic_fetch_add(&q->count, 1);
    mutex_unlock(&q->lock);
}

void waitq_remove(struct waitq *q, struct waiter *w)
{
    mutex_lock(&q->lock);
    if (!list_empty(&w->node)) {
        list_del(&w->node);
        atomic_fetch_sub(&q->count, 1);
    }
    mutex_unlock(&q->lock);
}

void waitq_wake(struct waitq *q, uint32_t events)
{
    waitq_wake_n(q, events, INT32_MAX);
}

void waitq_wake_n(struct waitq *q, uint32_t events, int n)
{
    struct waiter *w, *tmp;

    /* Pairs with waitq_add: the caller's condition before the count. A waiter added later checks its
     * condition itself. */
    atomic_thread_fence(memory_order_seq_cst);
    if (!atomic_load_explicit(&q->count, memory_order_relaxed))
        return;
    mutex_lock(&q->lock);
    list_for_each_entry_safe(w, tmp, &q->waiters, node) {
        bool took = true;

        if (!(w->mask & events))
            continue;
        if (w->wake)
            took = w->wake(w, events);
        else
            sleeper_wake(w->sleeper);
        if (w->exclusive && took && --n == 0)
            break;
    }
    mutex_unlock(&q->lock);
}
