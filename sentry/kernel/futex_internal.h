/* SPDX-License-Identifier: Apache-2.0 */
/* Futex wait queues, shared by futex.c and futex_pi.c. */
#pragma once

#include "platform/base/list.h"
#include "platform/base/lock.h"
#include "sentry/core/sleep.h"
#include "sentry/kernel/futex.h"

struct futex_bucket {
    struct mutex lock;   /* rank FUTEX */
    atomic_uint waiters; /* a: entries, counted before they are on the list */
    struct list queue;   /* lock: futex_waiter.node, in order of arrival */
};

/* Lifetime: on the stack of the sleeping task. */
struct futex_waiter {
    struct list node;                      /* bucket lock; empty: woken */
    struct futex_key key;                  /* bucket lock (requeue changes it) */
    _Atomic(struct futex_bucket *) bucket; /* where node is queued */
    atomic_uint *counter;                  /* bucket lock; what the guest knows of it, or NULL */
    uint32_t bitset;                       /* I */
    struct sleeper *sleeper;               /* I */
    atomic_bool woken;                     /* a */
    /* FUTEX_WAIT_REQUEUE_PI: a cmp_requeue_pi hands it over to the PI mutex. */
    bool wants_pi;           /* I */
    struct futex_key pi_key; /* I */
    atomic_bool pi_moved;    /* a: requeued: go and take the PI mutex */
};

static inline bool futex_key_equal(const struct futex_key *x, const struct futex_key *y)
{
    return x->a == y->a && x->b == y->b;
}

/* The key of a futex word; private and shared operations on one word do not meet, as in Linux. */
static inline int MUST_CHECK futex_key_get(uaddr_t addr, bool is_private, bool write,
                                           struct futex_key *out)
{
    int ret = user_futex_key(addr, is_private, write, out);

    if (ret == 0 && is_private)
        out->b |= 1; /* words are aligned: the bit is free */
    return ret;
}

/* Where the guest sees that somebody waits for key (a private one of the caller's); NULL: nowhere. */
atomic_uint *futex_counter_of(const struct futex_key *key);
struct futex_bucket *futex_bucket_of(const struct futex_key *key);
void futex_enqueue(struct futex_waiter *w, const struct futex_key *key, uint32_t bitset);
/* Takes w off its queue; false: it was woken before. */
bool futex_dequeue(struct futex_waiter *w);
/* Wakes up to count waiters of key whose bitset meets. */
int futex_wake_key(const struct futex_key *key, int count, uint32_t bitset);
/* Caller holds the bucket lock. After it the waiter's stack may be gone. */
void futex_wake_one_locked(struct futex_waiter *w);
void futex_lock_buckets(struct futex_bucket *a, struct futex_bucket *b) NO_THREAD_SAFETY;
void futex_unlock_buckets(struct futex_bucket *a, struct futex_bucket *b) NO_THREAD_SAFETY;
