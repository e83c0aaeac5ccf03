/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Futex mutex of three states (0 free, 1 held, 2 held with possible waiters) and a sequence-count
 * condition variable, after U. Drepper, "Futexes Are Tricky", sections 5 and 7. A contended lock is
 * spun on briefly only when another CPU can be running the holder; hand-overs between sleeping
 * threads of one CPU go through the kernel at once.
 *
 * Debug builds keep a per-thread stack of held locks; see lock.h.
 */
#include "platform/base/lock.h"

#include <errno.h>
#include <linux/futex.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { SPIN_ROUNDS = 40 };

static long futex(atomic_uint *word, int op, unsigned val, const struct timespec *ts)
{
    /* SAFETY: FUTEX_WAIT_BITSET takes an absolute CLOCK_MONOTONIC timeout; val3 matches any bit. */
    return syscall(SYS_futex, word, op | FUTEX_PRIVATE_FLAG, val, ts, NULL, FUTEX_BITSET_MATCH_ANY);
}

static const char *const g_rank_texts[RANK_COUNT] = {
#define RANK(name, field, text) [RANK_##name] = text,
#include "platform/base/lockrank.def"
#undef RANK
};

/* Wakes that wait until this thread holds no brief lock. */
enum { LATER_MAX = 8 };
static _Thread_local struct {
    unsigned depth; /* brief locks held */
    unsigned count;
    struct {
        atomic_uint *word;
        int count;
    } wake[LATER_MAX];
} g_later;

static void later_flush(void)
{
    for (unsigned i = 0; i < g_later.count; i++)
        (void)futex(g_later.wake[i].word, FUTEX_WAKE, (unsigned)g_later.wake[i].count, NULL);
    g_later.count = 0;
}

void wake_later(atomic_uint *word, int count)
{
    if (g_later.depth == 0 || g_later.count == LATER_MAX) {
        (void)futex(word, FUTEX_WAKE, (unsigned)count, NULL);
        return;
    }
    g_later.wake[g_later.count].word = word;
    g_later.wake[g_later.count++].count = count;
}

#ifdef RUNSC_DEBUG

enum { HELD_MAX = 32 };
static _Thread_local struct {
    const struct mutex *lock[HELD_MAX];
    unsigned count;
} g_held;

static const char *const g_rank_names[RANK_COUNT] = {
#define RANK(name, field, text) [RANK_##name] = #name,
#include "platform/base/lockrank.def"
#undef RANK
};

static void held_check(const struct mutex *m, bool same_rank_ok)
{
    for (unsigned i = 0; i < g_held.count; i++) {
        const struct mutex *h = g_held.lock[i];

        if (h == m)
            panic("lock %s taken twice", g_rank_names[m->rank]);
        if (h->rank > m->rank || (h->rank == m->rank && !same_rank_ok))
            panic("lock order: %s taken while %s is held", g_rank_names[m->rank],
                  g_rank_names[h->rank]);
    }
}

static void held_push(struct mutex *m)
{
    if (g_held.count == HELD_MAX)
        panic("more than %d locks held", HELD_MAX);
    g_held.lock[g_held.count++] = m;
    m->owner = &g_held;
}

static void held_pop(struct mutex *m)
{
    if (m->owner != &g_held)
        panic("lock %s released by a thread that does not hold it", g_rank_names[m->rank]);
    m->owner = NULL;
    for (unsigned i = g_held.count; i-- > 0;) {
        if (g_held.lock[i] != m)
            continue;
        for (g_held.count--; i < g_held.count; i++)
            g_held.lock[i] = g_held.lock[i + 1];
        return;
    }
}

bool mutex_held(const struct mutex *m)
{
    return m->owner == &g_held;
}

void lock_check_below(enum lock_rank limit, bool blocking)
{
    for (unsigned i = 0; i < g_held.count; i++) {
        const struct mutex *h = g_held.lock[i];

        if (h->rank >= (unsigned)limit)
            panic("lock %s is held where it may not be", g_rank_names[h->rank]);
        if (blocking && !__builtin_strstr(g_rank_texts[h->rank], "may_block"))
            panic("blocking while %s is held", g_rank_names[h->rank]);
    }
}

void lock_dump_held(void)
{
    for (unsigned i = 0; i < g_held.count; i++)
        fprintf(stderr, "  holds %s\n", g_rank_names[g_held.lock[i]->rank]);
}

#else

static inline void held_check(const struct mutex *m, bool same_rank_ok)
{
    (void)m;
    (void)same_rank_ok;
}

static inline void held_push(struct mutex *m)
{
    (void)m;
}

static inline void held_pop(struct mutex *m)
{
    (void)m;
}

void lock_dump_held(void)
{
}

#endif

/* Is a lock of that rank brief? What the rank's text says, read once: every open file has a lock. */
static bool rank_is_brief(enum lock_rank rank)
{
    enum { UNKNOWN, BRIEF, LONG };
    static atomic_uchar known[RANK_COUNT];
    /* relaxed: all who do not know come to the same answer */
    unsigned char what = atomic_load_explicit(&known[rank], memory_order_relaxed);

    if (unlikely(what == UNKNOWN)) {
        what = !strstr(g_rank_texts[rank], "may_block") || strstr(g_rank_texts[rank], "late_wakes")
                   ? BRIEF
                   : LONG;
        atomic_store_explicit(&known[rank], what, memory_order_relaxed);
    }
    return what == BRIEF;
}

void mutex_init(struct mutex *m, enum lock_rank rank)
{
    *m = (struct mutex){.rank = (uint16_t)rank, .brief = rank_is_brief(rank)};
}

void mutex_destroy(struct mutex *m)
{
    ASSERT(atomic_load(&m->word) == 0);
}

static void lock_slow(struct mutex *m)
{
    unsigned c;

    for (int i = 0; i < SPIN_ROUNDS; i++) {
        c = 0;
        if (atomic_load_explicit(&m->word, memory_order_relaxed) == 0 &&
            atomic_compare_exchange_weak(&m->word, &c, 1))
            return;
        __builtin_ia32_pause();
    }
    later_flush(); /* about to sleep: nobody waits for that longer than needed */
    while (atomic_exchange(&m->word, 2) != 0)
        (void)futex(&m->word, FUTEX_WAIT, 2, NULL); /* EAGAIN, EINTR: look again */
}

static inline void lock_word(struct mutex *m)
{
    unsigned c = 0;

    if (unlikely(!atomic_compare_exchange_strong(&m->word, &c, 1)))
        lock_slow(m);
}

void mutex_lock(struct mutex *m) NO_THREAD_SAFETY
{
    held_check(m, false);
    lock_word(m);
    g_later.depth += m->brief;
    held_push(m);
}

bool mutex_trylock(struct mutex *m) NO_THREAD_SAFETY
{
    unsigned c = 0;

    if (!atomic_compare_exchange_strong(&m->word, &c, 1))
        return false;
    g_later.depth += m->brief;
    held_push(m);
    return true;
}

void mutex_unlock(struct mutex *m) NO_THREAD_SAFETY
{
    bool brief = m->brief; /* read before the release: the next holder may free it */

    held_pop(m);
    if (unlikely(atomic_exchange(&m->word, 0) == 2))
        (void)futex(&m->word, FUTEX_WAKE, 1, NULL);
    g_later.depth -= brief;
    if (unlikely(g_later.count) && g_later.depth == 0)
        later_flush();
}

void mutex_lock_pair(struct mutex *a, struct mutex *b)
{
    struct mutex *first = (uintptr_t)a <= (uintptr_t)b ? a : b;
    struct mutex *second = first == a ? b : a;

    mutex_lock(first);
    if (first == second)
        return;
    held_check(second, true);
    lock_word(second);
    g_later.depth += second->brief;
    held_push(second);
}

void mutex_unlock_pair(struct mutex *a, struct mutex *b)
{
    mutex_unlock(a);
    if (a != b)
        mutex_unlock(b);
}

void cond_init(struct cond *c)
{
    atomic_init(&c->seq, 0);
    atomic_init(&c->waiters, 0);
}

/* seq is read, and the waiter counted, before the mutex is given up: whoever changes the state under
 * the mutex after that, and wakes, finds the one or changed the other. */
void cond_wait(struct cond *c, struct mutex *m) NO_THREAD_SAFETY
{
    unsigned seq = atomic_load(&c->seq);

    atomic_fetch_add(&c->waiters, 1);
    mutex_unlock(m);
    later_flush();
    (void)futex(&c->seq, FUTEX_WAIT, seq, NULL); /* spurious returns are allowed */
    mutex_lock(m);
    atomic_fetch_sub(&c->waiters, 1);
}

bool cond_wait_until(struct cond *c, struct mutex *m, uint64_t deadline_ns) NO_THREAD_SAFETY
{
    struct timespec ts = {(time_t)(deadline_ns / 1000000000u), (long)(deadline_ns % 1000000000u)};
    unsigned seq = atomic_load(&c->seq);
    long ret;
    bool timed_out;

    if (deadline_ns == UINT64_MAX) {
        cond_wait(c, m);
        return true;
    }
    atomic_fetch_add(&c->waiters, 1);
    mutex_unlock(m);
    later_flush();
    ret = futex(&c->seq, FUTEX_WAIT_BITSET, seq, &ts);
    timed_out = ret < 0 && errno == ETIMEDOUT;
    mutex_lock(m);
    atomic_fetch_sub(&c->waiters, 1);
    return !timed_out;
}

void cond_wake_one(struct cond *c)
{
    atomic_fetch_add(&c->seq, 1);
    if (atomic_load(&c->waiters) > 0)
        wake_later(&c->seq, 1);
}

void cond_wake_all(struct cond *c)
{
    atomic_fetch_add(&c->seq, 1);
    if (atomic_load(&c->waiters) > 0)
        wake_later(&c->seq, INT32_MAX);
}
