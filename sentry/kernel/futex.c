/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Plain futexes: hashed buckets of waiters.
 *
 * A guest word cannot be read with a bucket lock held (memory locks come first), so a waiter queues
 * itself, then reads the word, then sleeps. A waker changes the word in guest code, then looks at
 * the queue: one of the two sees the other. Price: a waiter whose word has changed may have been
 * taken for a sleeper and woken in somebody's stead; it then passes the wake on, so that "wake n"
 * still means n real sleepers, and reports -EAGAIN as Linux does.
 *
 * A wake of a bucket without waiters takes no lock: waiters are counted before they read the word. Those of
 * private futexes are counted where guest code can see it, too (platform.h, space_waiters): most wakes
 * that wake nobody never come here.
 */
#include "sentry/kernel/futex.h"

#include <errno.h>
#include <stdlib.h>

#include "sentry/kernel/futex_internal.h"
#include "sentry/kernel/kernel_internal.h"
#include "sentry/mm/mm.h"

enum { BUCKETS = 1024 };

static struct futex_bucket g_buckets[BUCKETS];

void futex_init(void)
{
    for (int i = 0; i < BUCKETS; i++) {
        mutex_init(&g_buckets[i].lock, RANK_FUTEX);
        list_init(&g_buckets[i].queue);
    }
}

struct futex_bucket *futex_bucket_of(const struct futex_key *key)
{
    uint64_t h = key->a * 0x9e3779b97f4a7c15u ^ (key->b >> 2) * 0xc2b2ae3d27d4eb4fu;

    return &g_buckets[(h ^ h >> 29) >> 16 & (BUCKETS - 1)];
}

atomic_uint *futex_counter_of(const struct futex_key *key)
{
    struct mm *mm = curr()->mm;

    /* The bit is set in keys of shared objects too, but those have no mm. */
    return mm && key->a == (uintptr_t)mm && (key->b & 1) ? mm_wait_counter(mm, key->b & ~1ul)
                                                         : NULL;
}

/* ---- queue ---------------------------------------------------------------------------------- */

void futex_enqueue(struct futex_waiter *w, const struct futex_key *key, uint32_t bitset)
{
    struct futex_bucket *b = futex_bucket_of(key);

    list_init(&w->node);
    w->key = *key;
    w->counter = futex_counter_of(key);
    w->bitset = bitset;
    w->sleeper = &curr()->sleeper;
    atomic_store(&w->woken, false);
    atomic_store(&w->bucket, b);
    atomic_fetch_add(&b->waiters, 1); /* seq_cst: before the caller reads the word */
    if (w->counter)
        atomic_fetch_add(w->counter, 1); /* the same */
    mutex_lock(&b->lock);
    list_add_tail(&b->queue, &w->node);
    mutex_unlock(&b->lock);
}

/* Locks the bucket that w is queued in now; requeue may move it meanwhile. */
static struct futex_bucket *lock_bucket_of(struct futex_waiter *w) NO_THREAD_SAFETY
{
    for (;;) {
        struct futex_bucket *b = atomic_load(&w->bucket);

        mutex_lock(&b->lock);
        if (b == atomic_load(&w->bucket))
            return b;
        mutex_unlock(&b->lock);
    }
}

static void unlist_locked(struct futex_bucket *b, struct futex_waiter *w)
{
    list_del(&w->node);
    atomic_fetch_sub(&b->waiters, 1);
    if (w->counter)
        atomic_fetch_sub(w->counter, 1);
}

bool futex_dequeue(struct futex_waiter *w) NO_THREAD_SAFETY
{
    struct futex_bucket *b = lock_bucket_of(w);
    bool queued = !list_empty(&w->node);

    if (queued)
        unlist_locked(b, w);
    mutex_unlock(&b->lock);
    return queued;
}

void futex_wake_one_locked(struct futex_waiter *w)
{
    struct sleeper *s = w->sleeper;

    unlist_locked(atomic_load(&w->bucket), w);
    /* The waiter's frame lives until it has taken this bucket's lock or seen woken; its sleeper is
     * part of the task, which lives while this lock keeps it from leaving. */
    atomic_store(&w->woken, true);
    sleeper_wake(s);
}

int futex_wake_key(const struct futex_key *key, int count, uint32_t bitset)
{
    struct futex_bucket *b = futex_bucket_of(key);
    struct futex_waiter *w, *tmp;
    int woken = 0;

    atomic_thread_fence(memory_order_seq_cst); /* the caller's change of the word before the look */
    if (!atomic_load(&b->waiters))
        return 0;
    mutex_lock(&b->lock);
    list_for_each_entry_safe(w, tmp, &b->queue, node) {
        if (woken >= count)
            break;
        if (!futex_key_equal(&w->key, key) || !(w->bitset & bitset))
            continue;
        if (w->wants_pi) {
            woken = woken ? woken : -EINVAL;
            break;
        }
        futex_wake_one_locked(w);
        woken++;
    }
    mutex_unlock(&b->lock);
    return woken;
}

void futex_lock_buckets(struct futex_bucket *a, struct futex_bucket *b)
{
    mutex_lock_pair(&a->lock, &b->lock);
}

void futex_unlock_buckets(struct futex_bucket *a, struct futex_bucket *b)
{
    mutex_unlock_pair(&a->lock, &b->lock);
}

/* ---- wait ----------------------------------------------------------------------------------- */

/* Sleeps until woken, interrupted or late. The waiter is off its queue on return. */
static int sleep_on(struct futex_waiter *w, uint64_t deadline)
{
    int ret = 0;

    while (!atomic_load(&w->woken)) {
        ret = task_block(deadline);
        if (ret < 0)
            break;
    }
    if (ret == 0) {
        /* The waker may still hold the bucket: wait until it let go of this frame. */
        (void)futex_dequeue(w);
        return 0;
    }
    return futex_dequeue(w) ? ret : 0;
}

static long restart_wait(struct task *t, struct restart_block *rb)
{
    return futex_wait(rb->arg[0], rb->arg[1], (uint32_t)rb->arg[2], (uint32_t)rb->arg[3],
                      rb->arg[4]);
}

long futex_wait_plain(uaddr_t addr, bool is_private, uint32_t val, uint32_t bitset,
                      uint64_t deadline)
{
    struct futex_waiter w = {0};
    struct futex_key key;
    uint32_t now;
    int ret;

    if (!bitset)
        return -EINVAL;
    if (addr & 3)
        return -EINVAL;
    ret = futex_key_get(addr, is_private, /*write=*/false, &key);
    if (ret < 0)
        return ret;
    futex_enqueue(&w, &key, bitset);
    ret = user_atomic_load32(addr, &now);
    if (ret < 0 || now != val) {
        if (!futex_dequeue(&w))
            (void)futex_wake_key(&key, 1, bitset); /* the wake was for somebody who sleeps */
        return ret < 0 ? ret : -EAGAIN;
    }
    return sleep_on(&w, deadline);
}

long futex_wait(uaddr_t addr, bool is_private, uint32_t val, uint32_t bitset, uint64_t deadline)
{
    long ret = futex_wait_plain(addr, is_private, val, bitset, deadline);

    if (ret != -ERESTARTSYS || deadline == NO_DEADLINE)
        return ret;
    return task_set_restart(
        current_task(),
        &(struct restart_block){restart_wait, {addr, is_private, val, bitset, deadline}});
}

long futex_wake(uaddr_t addr, bool is_private, int count, uint32_t bitset)
{
    struct futex_key key;
    int ret;

    if (!bitset || (addr & 3))
        return -EINVAL;
    ret = futex_key_get(addr, is_private, /*write=*/false, &key);
    if (ret < 0)
        return ret;
    return futex_wake_key(&key, count < 1 ? 1 : count, bitset);
}

int futex_wake_word(uaddr_t addr)
{
    /* Linux wakes clear_child_tid as a shared futex; glibc waits for it as one, others as private.
     */
    long ret = futex_wake(addr, /*is_private=*/false, 1, LX_FUTEX_BITSET_ANY);

    if (ret == 0)
        ret = futex_wake(addr, /*is_private=*/true, 1, LX_FUTEX_BITSET_ANY);
    return (int)ret;
}

/* ---- requeue -------------------------------------------------------------------------------- */

/* Both buckets are locked. Woken and moved, or -EINVAL. */
static int requeue_locked(const struct futex_key *src, const struct futex_key *dst,
                          atomic_uint *counter, int wake, int move)
{
    struct futex_bucket *a = futex_bucket_of(src), *b = futex_bucket_of(dst);
    struct futex_waiter *w, *tmp;
    int woken = 0, moved = 0;

    list_for_each_entry_safe(w, tmp, &a->queue, node) {
        if (woken >= wake && moved >= move)
            break;
        if (!futex_key_equal(&w->key, src))
            continue;
        if (w->wants_pi)
            return -EINVAL;
        if (woken < wake) {
            futex_wake_one_locked(w);
            woken++;
            continue;
        }
        w->key = *dst;
        moved++;
        if (w->counter)
            atomic_fetch_sub(w->counter, 1);
        w->counter = counter;
        if (counter)
            atomic_fetch_add(counter, 1);
        if (a == b)
            continue;
        list_del(&w->node);
        atomic_fetch_sub(&a->waiters, 1);
        atomic_fetch_add(&b->waiters, 1);
        list_add_tail(&b->queue, &w->node);
        atomic_store(&w->bucket, b);
    }
    return woken + moved;
}

/* The word is compared while the buckets are held: who queues itself later changed it before, or is not
 * moved. */
long futex_requeue(uaddr_t from, uaddr_t to, bool is_private, int wake, int move,
                   const uint32_t *cmp)
{
    struct futex_bucket *a, *b;
    struct futex_key src, dst;
    struct user_word word;
    atomic_uint *counter;
    uint32_t now;
    int ret;

    if (wake < 0 || move < 0 || (from & 3) || (to & 3))
        return -EINVAL;
    ret = futex_key_get(from, is_private, /*write=*/false, &src);
    if (ret == 0)
        ret = futex_key_get(to, is_private, /*write=*/false, &dst);
    if (ret < 0)
        return ret;
    a = futex_bucket_of(&src);
    b = futex_bucket_of(&dst);
    counter = futex_counter_of(&dst);
    ret = cmp ? user_word_hold(from, &word) : 0;
    if (ret < 0)
        return ret;
    futex_lock_buckets(a, b);
    ret = cmp ? user_word_load(&word, &now) : 0;
    if (ret == 0 && cmp && now != *cmp)
        ret = -EAGAIN;
    if (ret == 0)
        ret = requeue_locked(&src, &dst, counter, wake, move);
    futex_unlock_buckets(a, b);
    if (cmp)
        user_word_release(&word);
    return ret;
}

/* ---- wake_op -------------------------------------------------------------------------------- */

static int32_t sign_extend12(uint32_t v)
{
    return (int32_t)(v << 20) >> 20;
}

static int wake_op_apply(uaddr_t addr, uint32_t op, uint32_t *out_old)
{
    uint32_t kind = op >> 28 & 7, cmp_arg = (uint32_t)sign_extend12(op >> 12);
    uint32_t arg = op & 0x80000000u ? 1u << (cmp_arg & 31) : cmp_arg;
    uint32_t old, want, seen;
    int ret = user_atomic_load32(addr, &old);

    if (ret < 0)
        return ret;
    for (;;) {
        switch (kind) {
        case 0:
            want = arg;
            break;
        case 1:
            want = old + arg;
            break;
        case 2:
            want = old | arg;
            break;
        case 3:
            want = old & ~arg;
            break;
        case 4:
            want = old ^ arg;
            break;
        default:
            return -ENOSYS;
        }
        seen = old;
        ret = user_atomic_cmpxchg32(addr, &seen, want);
        if (ret < 0)
            return ret;
        if (seen == old)
            break;
        old = seen;
    }
    *out_old = old;
    return 0;
}

static int wake_op_compare(uint32_t op, uint32_t old)
{
    int32_t arg = sign_extend12(op), value = (int32_t)old;

    switch (op >> 24 & 15) {
    case 0:
        return value == arg;
    case 1:
        return value != arg;
    case 2:
        return value < arg;
    case 3:
        return value <= arg;
    case 4:
        return value > arg;
    case 5:
        return value >= arg;
    default:
        return -ENOSYS;
    }
}

long futex_wake_op(uaddr_t a, uaddr_t b, bool is_private, int wake_a, int wake_b, uint32_t op)
{
    struct futex_key key_a, key_b;
    uint32_t old;
    int ret, cmp, woken, more;

    if ((a & 3) || (b & 3))
        return -EINVAL;
    ret = futex_key_get(a, is_private, /*write=*/false, &key_a);
    if (ret < 0)
        return ret;
    ret = futex_key_get(b, is_private, /*write=*/true, &key_b);
    if (ret < 0)
        return ret;
    ret = wake_op_apply(b, op, &old);
    if (ret < 0)
        return ret;
    cmp = wake_op_compare(op, old);
    if (cmp < 0)
        return cmp;
    woken = futex_wake_key(&key_a, wake_a < 1 ? 1 : wake_a, LX_FUTEX_BITSET_ANY);
    if (woken < 0 || !cmp)
        return woken;
    more = futex_wake_key(&key_b, wake_b < 1 ? 1 : wake_b, LX_FUTEX_BITSET_ANY);
    return more < 0 ? more : woken + more;
}

/* ---- several at once ------------------------------------------------------------------------ */

/* Dequeues entries [0, count); the index of one that was woken, or -1. */
static int dequeue_all(struct futex_waiter *ws, uint32_t count)
{
    int woken = -1;

    for (uint32_t i = 0; i < count; i++)
        if (!futex_dequeue(&ws[i]) && woken < 0)
            woken = (int)i;
    return woken;
}

static bool any_woken(struct futex_waiter *ws, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        if (atomic_load(&ws[i].woken))
            return true;
    return false;
}

long futex_wait_many(const struct futex_wait_entry *entries, uint32_t count, uint64_t deadline)
{
    struct futex_waiter *ws = calloc(count, sizeof(*ws));
    struct futex_key key;
    uint32_t queued = 0, now;
    int ret = 0, woken;

    if (!ws)
        return -ENOMEM;
    for (; queued < count; queued++) {
        const struct futex_wait_entry *e = &entries[queued];

        ret = e->addr & 3 ? -EINVAL : futex_key_get(e->addr, e->is_private, /*write=*/false, &key);
        if (ret < 0)
            break;
        futex_enqueue(&ws[queued], &key, LX_FUTEX_BITSET_ANY);
        ret = user_atomic_load32(e->addr, &now);
        if (ret == 0 && now != e->val)
            ret = -EAGAIN;
        if (ret < 0) {
            queued++;
            break;
        }
    }
    while (ret == 0 && !any_woken(ws, count))
        ret = task_block(deadline);
    woken = dequeue_all(ws, queued);
    free(ws);
    if (woken >= 0)
        return woken;
    return ret;
}

void task_set_robust_list(struct task *t, uaddr_t head, uint64_t size)
{
    t->k->robust_list = head;
    t->k->robust_size = size;
}

void task_get_robust_list(struct task *t, uaddr_t *out_head, uint64_t *out_size)
{
    *out_head = t->k->robust_list;
    *out_size = sizeof(struct lx_robust_list_head);
}
