/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Mutex and condition variable with a rank. The order of ranks is lockrank.def. Debug builds
 * (RUNSC_DEBUG) keep a per-thread stack of held locks and panic when a lock is taken out of order,
 * twice, or released by a stranger; release builds are a futex mutex of four bytes.
 */
#pragma once

#include <stdatomic.h>

#include "platform/base/assert.h"
#include "platform/base/compiler.h"

enum lock_rank {
#define RANK(name, field, text) RANK_##name,
#include "platform/base/lockrank.def"
#undef RANK
    RANK_COUNT,
};

struct TS_CAPABILITY("mutex") mutex {
    atomic_uint word; /* 0 free, 1 held, 2 held and somebody may wait */
    uint16_t rank;    /* enum lock_rank */
    bool brief;       /* never held across blocking calls: wakes wait for its release */
#ifdef RUNSC_DEBUG
    void *owner; /* thread marker while held */
#endif
};

void mutex_init(struct mutex *m, enum lock_rank rank);
/* Asserts that nobody holds it. */
void mutex_destroy(struct mutex *m);
void mutex_lock(struct mutex *m) ACQUIRES(*m);
bool MUST_CHECK mutex_trylock(struct mutex *m) TRY_ACQUIRES(true, *m);
void mutex_unlock(struct mutex *m) RELEASES(*m);
/* Two locks of one class, in address order; a == b locks once. */
void mutex_lock_pair(struct mutex *a, struct mutex *b) NO_THREAD_SAFETY;
void mutex_unlock_pair(struct mutex *a, struct mutex *b) NO_THREAD_SAFETY;

/* Host-wakes up to count threads that sleep on the futex word, at once or, while the calling thread
 * holds brief locks (those whose rank does not say may_block, or says late_wakes), when it gives up
 * the last of them. A thread that is woken earlier takes the CPU from the waker, runs into the lock
 * and sleeps again, which costs two more switches for each wake. The word is only named, never
 * read: its memory may be gone by then. */
void wake_later(atomic_uint *word, int count);

/* Condition variable for sentry-internal threads. Guest tasks sleep in task_block() only. */
struct cond {
    atomic_uint seq;
    atomic_uint waiters; /* without one, a wake makes no host call */
};

void cond_init(struct cond *c);
/* Releases m, sleeps until a wake that came after the call, takes m again. Spurious returns. */
void cond_wait(struct cond *c, struct mutex *m) REQUIRES(*m);
/* The same with an absolute CLOCK_MONOTONIC deadline in ns; false when it passed. */
bool cond_wait_until(struct cond *c, struct mutex *m, uint64_t deadline_ns) REQUIRES(*m);
void cond_wake_one(struct cond *c);
void cond_wake_all(struct cond *c);

#ifdef RUNSC_DEBUG
/* Is m held by this thread? */
bool mutex_held(const struct mutex *m);
/* Panics when this thread holds a lock of rank >= limit, or one that may not be held over blocking
 * (text without "may_block") when blocking is true. */
void lock_check_below(enum lock_rank limit, bool blocking);
#define ASSERT_HELD(m) ASSERT(mutex_held(m))
/* Nothing is held: task_block, final puts. */
#define ASSERT_NONE_HELD() lock_check_below((enum lock_rank)0, false)
/* Copying guest memory takes mm locks: only locks ranked before MM may be held. */
#define ASSERT_MAY_COPY() lock_check_below(RANK_MM, false)
#else
#define ASSERT_HELD(m)     ((void)(m))
#define ASSERT_NONE_HELD() ((void)0)
#define ASSERT_MAY_COPY()  ((void)0)
#endif
/* Writes the held locks of this thread to stderr (panic path). */
void lock_dump_held(void);
