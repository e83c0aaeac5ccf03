/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Priority-inheritance futexes. The guest word holds the owner's tid; the sentry keeps, per
 * contended word, who owns it and who waits, in order. One lock (rank FUTEX_PI, before memory)
 * covers all of them and is held while a word changes, so word and queue agree. The sentry's tasks
 * have no real priorities, so there is nothing to inherit: what guests get is the hand-over
 * protocol, the deadlock check and OWNER_DIED. DEVIATION: waiters are served in order of arrival,
 * not of priority.
 *
 * A wait-requeue waiter is woken by the requeue and then locks the mutex by itself, in its own
 * context; to the guest that is the same.
 */
#include <errno.h>
#include <stdlib.h>

#include "sentry/kernel/futex_internal.h"
#include "sentry/kernel/kernel_internal.h"

enum { QUEUED = 1, LOOK_AGAIN = 2 };

static struct mutex g_pi_lock = {.rank = RANK_FUTEX_PI};

/* Lifetime: unique; exists while somebody waits. Keys: p g_pi_lock */
struct pi_state {
    struct list node;       /* p: g_pi_states */
    struct list owned_node; /* p: owner's k->pi_owned */
    struct futex_key key;   /* I */
    struct task *owner;     /* p, borrowed: leaves the list at exit; NULL: died */
    struct list waiters;    /* p */
};

struct pi_waiter {
    struct list node;       /* p */
    struct pi_state *state; /* p */
    struct task *task;      /* I */
    bool granted;           /* p */
};

static struct list g_pi_states = LIST_INIT(g_pi_states); /* p */

static struct pi_state *state_find(const struct futex_key *key)
{
    struct pi_state *s;

    list_for_each_entry(s, &g_pi_states, node) {
        if (futex_key_equal(&s->key, key))
            return s;
    }
    return NULL;
}

static void state_set_owner(struct pi_state *s, struct task *owner)
{
    list_del(&s->owned_node);
    s->owner = owner;
    if (owner)
        list_add_tail(&owner->k->pi_owned, &s->owned_node);
}

static void state_drop_if_idle(struct pi_state *s)
{
    if (!list_empty(&s->waiters))
        return;
    list_del(&s->node);
    list_del(&s->owned_node);
    free(s);
}

static int state_get(const struct futex_key *key, struct task *owner, struct pi_state **out)
{
    struct pi_state *s = state_find(key);

    if (!s) {
        s = calloc(1, sizeof(*s));
        if (!s)
            return -ENOMEM;
        s->key = *key;
        list_init(&s->waiters);
        list_init(&s->owned_node);
        list_add_tail(&g_pi_states, &s->node);
        state_set_owner(s, owner);
    }
    *out = s;
    return 0;
}

static bool would_deadlock(struct task *self, struct task *owner)
{
    while (owner && owner != self)
        owner = owner->k->pi_waiting ? owner->k->pi_waiting->state->owner : NULL;
    return owner == self;
}

/* One try under the lock. 0: taken; QUEUED: *w is, sleep; LOOK_AGAIN. *out_owner: +1 or
 * NULL, to be put without the lock. */
static int try_lock(struct task *t, uaddr_t addr, const struct futex_key *key, bool try_only,
                    bool owner_died, struct pi_waiter *w, struct task **out_owner)
{
    uint32_t tid = (uint32_t)pid_nr(t->curr.tid), word, seen, want;
    struct pi_state *s = state_find(key);
    struct task *owner;
    int ret = user_atomic_load32(addr, &word);

    *out_owner = NULL;
    if (ret < 0)
        return ret;
    if ((word & LX_FUTEX_TID_MASK) == tid)
        return -EDEADLK;
    owner = word & LX_FUTEX_TID_MASK ? task_find_get((lx_pid_t)(word & LX_FUTEX_TID_MASK)) : NULL;
    *out_owner = owner;
    if (owner && owner->k->pi_closed)
        owner = NULL; /* a zombie, or on its way there */
    if (!(word & LX_FUTEX_TID_MASK) || (!owner && (owner_died || (s && !s->owner)))) {
        want = tid | (word & LX_FUTEX_OWNER_DIED) | (s ? LX_FUTEX_WAITERS : 0) |
               (owner_died ? LX_FUTEX_OWNER_DIED : 0);
        seen = word;
        ret = user_atomic_cmpxchg32(addr, &seen, want);
        if (ret == 0 && seen != word)
            ret = LOOK_AGAIN;
        if (ret == 0 && s)
            state_set_owner(s, t);
        return ret;
    }
    if (!owner)
        return -ESRCH;
    if (try_only)
        return -EWOULDBLOCK;
    seen = word;
    ret = user_atomic_cmpxchg32(addr, &seen, word | LX_FUTEX_WAITERS);
    if (ret == 0 && seen != word)
        ret = LOOK_AGAIN;
    if (ret != 0)
        return ret;
    if (would_deadlock(t, owner))
        return -EDEADLK;
    ret = state_get(key, owner, &s);
    if (ret < 0)
        return ret;
    *w = (struct pi_waiter){.state = s, .task = t};
    list_add_tail(&s->waiters, &w->node);
    t->k->pi_waiting = w;
    return QUEUED;
}

/* Asleep until granted. 0: ours; 1: the owner died, try again; -errno. */
static int wait_granted(struct task *t, struct pi_waiter *w, uint64_t deadline)
{
    int ret = 0;

    for (;;) {
        bool granted, orphaned;

        mutex_lock(&g_pi_lock);
        granted = w->granted;
        orphaned = !granted && !w->state->owner;
        if (granted || orphaned || ret < 0) {
            t->k->pi_waiting = NULL;
            if (!granted) {
                list_del(&w->node);
                state_drop_if_idle(w->state);
            }
            mutex_unlock(&g_pi_lock);
            return granted ? 0 : orphaned ? 1 : ret;
        }
        mutex_unlock(&g_pi_lock);
        ret = task_block(deadline);
    }
}

long futex_lock_pi(struct task *t, uaddr_t addr, bool is_private, uint64_t deadline, bool try_only)
{
    struct futex_key key;
    struct pi_waiter w;
    struct task *owner;
    bool owner_died = false;
    int ret;

    if (addr & 3)
        return -EINVAL;
    ret = futex_key_get(addr, is_private, /*write=*/true, &key);
    if (ret < 0)
        return ret;
    for (;;) {
        mutex_lock(&g_pi_lock);
        ret = try_lock(t, addr, &key, try_only, owner_died, &w, &owner);
        mutex_unlock(&g_pi_lock);
        task_put(owner);
        if (ret == LOOK_AGAIN)
            continue; /* the word changed under us: somebody made progress */
        if (ret != QUEUED)
            return ret;
        ret = wait_granted(t, &w, deadline);
        if (ret == 1) {
            owner_died = true;
            continue;
        }
        return ret == -ERESTARTSYS ? -ERESTARTNOINTR : ret;
    }
}

static int unlock_locked(struct task *t, uaddr_t addr, const struct futex_key *key)
{
    uint32_t tid = (uint32_t)pid_nr(t->curr.tid), word, seen, want;
    struct pi_state *s;
    struct pi_waiter *next;
    int ret = user_atomic_load32(addr, &word);

    if (ret < 0)
        return ret;
    for (;;) {
        if ((word & LX_FUTEX_TID_MASK) != tid)
            return -EPERM;
        s = state_find(key);
        next = s ? list_first_entry(&s->waiters, struct pi_waiter, node) : NULL;
        want =
            next ? (uint32_t)pid_nr_in(next->task->curr.tid, t->curr.pidns) | LX_FUTEX_WAITERS : 0;
        seen = word;
        ret = user_atomic_cmpxchg32(addr, &seen, want);
        if (ret < 0)
            return ret;
        if (seen == word)
            break;
        word = seen;
    }
    if (next) {
        list_del(&next->node);
        next->granted = true;
        state_set_owner(s, next->task);
        sleeper_wake(&next->task->curr.sleeper);
        state_drop_if_idle(s);
    }
    return 0;
}

long futex_unlock_pi(struct task *t, uaddr_t addr, bool is_private)
{
    struct futex_key key;
    int ret;

    if (addr & 3)
        return -EINVAL;
    ret = futex_key_get(addr, is_private, /*write=*/true, &key);
    if (ret < 0)
        return ret;
    mutex_lock(&g_pi_lock);
    ret = unlock_locked(t, addr, &key);
    mutex_unlock(&g_pi_lock);
    return ret;
}

void futex_exit_pi(struct task *t, bool exits)
{
    struct pi_state *s;
    struct pi_waiter *w;

    /* Whoever reads t's number in a word makes it an owner, at any moment. */
    mutex_lock(&g_pi_lock);
    t->k->pi_closed = exits;
    while (!list_empty(&t->k->pi_owned)) {
        s = list_first_entry(&t->k->pi_owned, struct pi_state, owned_node);
        state_set_owner(s, NULL);
        list_for_each_entry(w, &s->waiters, node) {
            sleeper_wake(&w->task->curr.sleeper);
        }
    }
    mutex_unlock(&g_pi_lock);
}

/* ---- condition variables --------------------------------------------------------------------- */

long futex_wait_requeue_pi(struct task *t, uaddr_t cond, uaddr_t mutex, bool is_private,
                           uint32_t val, uint32_t bitset, uint64_t deadline)
{
    struct futex_waiter w = {.wants_pi = true};
    struct futex_key key;
    uint32_t now;
    int ret;

    if (cond == mutex || !bitset || (cond & 3) || (mutex & 3))
        return -EINVAL;
    ret = futex_key_get(cond, is_private, /*write=*/false, &key);
    if (ret == 0)
        ret = futex_key_get(mutex, is_private, /*write=*/true, &w.pi_key);
    if (ret < 0)
        return ret;
    futex_enqueue(&w, &key, bitset);
    ret = user_atomic_load32(cond, &now);
    if (ret == 0 && now != val)
        ret = -EWOULDBLOCK;
    while (ret == 0 && !atomic_load(&w.woken))
        ret = task_block(deadline);
    if (futex_dequeue(&w))
        return ret == -ERESTARTSYS ? -ERESTARTNOINTR : ret;
    /* Requeued: from here on only the mutex counts, as in Linux, even when late or interrupted. */
    ret = (int)futex_lock_pi(t, mutex, is_private, NO_DEADLINE, false);
    return ret == -ERESTARTNOINTR ? -EWOULDBLOCK : ret;
}

long futex_cmp_requeue_pi(struct task *t, uaddr_t cond, uaddr_t mutex, bool is_private, int wake,
                          int move, uint32_t expected)
{
    struct futex_key src, dst;
    struct futex_waiter *w, *tmp;
    struct futex_bucket *b;
    struct user_word word;
    uint32_t now;
    int ret, count = 0;

    (void)t;
    if (cond == mutex || wake != 1 || move < 0 || (cond & 3) || (mutex & 3))
        return -EINVAL;
    ret = futex_key_get(cond, is_private, /*write=*/false, &src);
    if (ret == 0)
        ret = futex_key_get(mutex, is_private, /*write=*/true, &dst);
    if (ret == 0)
        ret = user_word_hold(cond, &word);
    if (ret < 0)
        return ret;
    b = futex_bucket_of(&src);
    mutex_lock(&b->lock);
    ret = user_word_load(&word, &now);
    if (ret == 0 && now != expected)
        ret = -EAGAIN;
    list_for_each_entry_safe(w, tmp, &b->queue, node) {
        if (ret < 0 || count > move)
            break;
        if (!futex_key_equal(&w->key, &src))
            continue;
        if (!w->wants_pi || !futex_key_equal(&w->pi_key, &dst)) {
            ret = -EINVAL;
            break;
        }
        futex_wake_one_locked(w);
        count++;
    }
    mutex_unlock(&b->lock);
    user_word_release(&word);
    return ret < 0 ? ret : count;
}
