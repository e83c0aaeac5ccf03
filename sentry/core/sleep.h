/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Wait queues and the one way to sleep.
 *
 *     struct waiter w;
 *     waiter_init(&w, mask);
 *     waitq_add(&obj->wq, &w);
 *     for (;;) {
 *         lock; done = condition; unlock;
 *         if (done) break;
 *         ret = task_block(deadline);          // holds no lock
 *         if (ret < 0) break;                  // -ERESTARTSYS, -ETIMEDOUT
 *     }
 *     waitq_remove(&obj->wq, &w);
 *
 * A wake that comes between the condition check and task_block is not lost: it leaves a token in
 * the sleeper. Spurious returns of 0 are allowed, so always loop. Signals, stop, exec's
 * kill-the-others, checkpoint and sandbox exit end a sleep through sleeper_interrupt().
 */
#pragma once

#include <stdatomic.h>

#include "platform/base/list.h"
#include "platform/base/lock.h"

/* Readiness bits: values of poll(2). */
#define WAKE_IN     0x001u
#define WAKE_PRI    0x002u
#define WAKE_OUT    0x004u
#define WAKE_ERR    0x008u
#define WAKE_HUP    0x010u
#define WAKE_NVAL   0x020u
#define WAKE_RDNORM 0x040u
#define WAKE_RDBAND 0x080u
#define WAKE_WRNORM 0x100u
#define WAKE_WRBAND 0x200u
#define WAKE_MSG    0x400u
#define WAKE_RDHUP  0x2000u
#define WAKE_ALL    0xffffffffu

/* Lifetime: embedded in struct curr (every task and service thread has one). */
struct sleeper {
    atomic_uint word;      /* futex: 0 nothing, 1 wake token, 2 asleep */
    atomic_uint interrupt; /* SLEEP_INTERRUPT_* bits; set by others, cleared by the owner */
};

#define SLEEP_INTERRUPT_SIGNAL                                                                     \
    1u                          /* a signal, stop or job needs the task: interruptible sleeps end */
#define SLEEP_INTERRUPT_KILL 2u /* the task must die: killable sleeps end too */
#define SLEEP_INTERRUPT_BANDWIDTH                                                                  \
    4u /* before more guest code: see kernel/bandwidth.c; ends no sleep                            \
        */

void sleeper_init(struct sleeper *s);
/* Leaves a token: the sleep in progress or the next one returns 0. Any thread, any lock. */
void sleeper_wake(struct sleeper *s);
/* Sets the bits and wakes. Any thread, any lock. */
void sleeper_interrupt(struct sleeper *s, uint32_t bits);
void sleeper_clear_interrupt(struct sleeper *s, uint32_t bits);

/* Absolute deadline on CLOCK_MONOTONIC in ns; NO_DEADLINE sleeps until woken. */
#define NO_DEADLINE UINT64_MAX

/* Sleeps the calling task. 0 (woken or spurious), -ETIMEDOUT, -ERESTARTSYS (signal or job due).
 * Holds no lock. */
int MUST_CHECK task_block(uint64_t deadline_ns);
/* The same, but only a fatal signal ends it (-ERESTARTSYS then). */
int MUST_CHECK task_block_killable(uint64_t deadline_ns);
/* A short pause of the calling thread that nothing ends early and that locks may be held over, as
 * long as whoever is waited for does not need them. For back-off only. */
void thread_pause(uint64_t ns);
/* True when an interruptible sleep would end at once. */
bool task_interrupted(void);

struct waitq {
    struct mutex lock; /* rank WAITQ (or WAITQ2 with waitq_init_rank) */
    struct list waiters;
    atomic_uint count; /* of waiters; written under lock, looked at without */
};

/* Lifetime: embedded, usually on the sleeping thread's stack or in an epoll item. */
struct waiter {
    struct list node;
    uint32_t mask;           /* events it wants; ERR and HUP are always delivered */
    bool exclusive;          /* waitq_wake_one stops after one of these */
    struct sleeper *sleeper; /* woken when wake is NULL */
    /* Called under the queue's lock; must not block, may take WAITQ2 and LEAF locks. Returns true
     * when it consumed an exclusive wake. */
    bool (*wake)(struct waiter *w, uint32_t events);
};

void waitq_init(struct waitq *q);
void waitq_init_rank(struct waitq *q, enum lock_rank rank);
void waitq_destroy(struct waitq *q);
void waiter_init(struct waiter *w, uint32_t mask); /* for the calling task */
void waiter_init_callback(struct waiter *w, uint32_t mask, bool (*wake)(struct waiter *, uint32_t));
void waitq_add(struct waitq *q, struct waiter *w);
/* Exclusive waiters go to the tail: woken one at a time, in order. */
void waitq_add_exclusive(struct waitq *q, struct waiter *w);
void waitq_remove(struct waitq *q, struct waiter *w); /* fine when not on the queue */
/* Is anybody on the queue? An unlocked look: who joins later looks at the condition after that. */
static inline bool waitq_busy(struct waitq *q)
{
    return atomic_load(&q->count) != 0;
}
/* Wakes everybody interested in events. Cheap when nobody waits (no lock taken). */
void waitq_wake(struct waitq *q, uint32_t events);
/* Wakes all non-exclusive and at most n exclusive waiters. */
void waitq_wake_n(struct waitq *q, uint32_t events, int n);
