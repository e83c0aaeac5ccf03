/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The life of a request: taken from the submission queue, run, waiting, completed; links, drains
 * and cancellation. The states are in uring_internal.h.
 *
 * What follows a completion (the next of a chain, requests that a drain held back) always starts as
 * task work, never from within: a chain may have thousands of links.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sentry/core/cred.h"
#include "sentry/core/restart.h"
#include "sentry/syscalls/uring/uring_internal.h"

enum { READY_BUT_EAGAIN_MAX = 8 };

static void ureq_work(struct taskwork *w);
static uint64_t ureq_timer(struct ktimer *t, uint64_t now);

void ureq_get(struct ureq *q)
{
    refs_get(&q->refs);
}

void ureq_put(struct ureq *q)
{
    if (!refs_put(&q->refs))
        return;
    ASSERT(!q->next && !q->link_timeout);
    if (q->link_head)
        ureq_put(q->link_head);
    if (q->wait_file)
        file_put(q->wait_file);
    if (q->file)
        file_put(q->file);
    free(q->to);
    free(q->msg);
    cred_put(q->cred);
    task_put(q->task);
    uring_put(q->ring);
    free(q);
}

static struct ureq *ureq_new(struct uring *r, struct task *t)
{
    struct ureq *q = calloc(1, sizeof(*q));

    if (!q)
        return NULL;
    refs_init(&q->refs);
    list_init(&q->node);
    list_init(&q->deferred_node);
    q->ring = uring_get(r);
    q->task = task_get(t);
    q->work.fn = ureq_work;
    ktimer_init(&q->timer, ureq_timer);
    atomic_store(&q->claimed, true);
    return q;
}

/* ---- completion ----------------------------------------------------------------------------- */

static bool is_drain(const struct ureq *q)
{
    return q->sqe.flags & LX_IOSQE_IO_DRAIN;
}

static void enter_pending_locked(struct uring *r, struct ureq *q, enum uring_state state)
{
    ureq_get(q);
    list_add_tail(&r->pending, &q->node);
    r->pending_count++;
    q->state = state;
    if (state == UREQ_RUNNING && is_drain(q))
        r->drain_active++;
}

static void post_end_locked(struct uring *r, const struct ureq *q, int32_t res) REQUIRES(r->lock)
{
    bool twice = uring_op_tells_twice(q);
    bool copied = q->sqe.ioprio & LX_IORING_SEND_ZC_REPORT_USAGE;

    uring_post_locked(r, q->sqe.user_data, res, q->cqe_flags | (twice ? LX_IORING_CQE_F_MORE : 0));
    if (twice)
        uring_post_locked(r, q->sqe.user_data,
                          copied ? (int32_t)LX_IORING_NOTIF_USAGE_ZC_COPIED : 0,
                          LX_IORING_CQE_F_NOTIF);
}

/* Posts an end for everything on the chain; none of it was started. error 0: ECANCELED. */
static void fail_chain(struct ureq *q, bool silently)
{
    while (q) {
        struct ureq *next = q->next;

        q->next = NULL;
        mutex_lock(&q->ring->lock);
        if (!silently)
            post_end_locked(q->ring, q, q->error ? q->error : -ECANCELED);
        q->state = UREQ_DONE;
        mutex_unlock(&q->ring->lock);
        ureq_put(q);
        q = next;
    }
}

/* A request that is on the pending list and RUNNING goes on with its task. */
static void queue(struct ureq *q)
{
    if (!taskwork_add(q->task, &q->work))
        ureq_complete(q, -ECANCELED);
}

/* Starts what a drain held back and needs not any more. */
static void pump(struct uring *r)
{
    for (;;) {
        struct ureq *q = NULL;

        mutex_lock(&r->lock);
        if (!list_empty(&r->deferred)) {
            q = list_first_entry(&r->deferred, struct ureq, deferred_node);
            if (is_drain(q) ? r->pending_count > r->deferred_count : r->drain_active > 0)
                q = NULL;
        }
        if (q) {
            list_del(&q->deferred_node);
            r->deferred_count--;
            q->state = UREQ_RUNNING;
            r->drain_active += is_drain(q);
        }
        mutex_unlock(&r->lock);
        if (!q)
            return;
        queue(q);
    }
}

/* Does the guest hear of that end? Linux: how a timeout of another one ends is no failure. */
static bool is_told(const struct ureq *q, int32_t res)
{
    if (!(q->sqe.flags & LX_IOSQE_CQE_SKIP_SUCCESS))
        return true;
    return res < 0 && !(q->sqe.opcode == LX_IORING_OP_LINK_TIMEOUT && q->link_head);
}

void ureq_complete(struct ureq *q, int32_t res)
{
    struct uring *r = uring_get(q->ring);
    struct ureq *next = q->next, *timeout;
    bool fail = next && uring_op_breaks_link(q, res) && !(q->sqe.flags & LX_IOSQE_IO_HARDLINK);

    q->next = NULL;
    mutex_lock(&r->lock);
    ASSERT(q->state != UREQ_DONE);
    if (q->pick.picked)
        q->cqe_flags |= LX_IORING_CQE_F_BUFFER | (uint32_t)q->pick.id << LX_IORING_CQE_BUFFER_SHIFT;
    if (is_told(q, res))
        post_end_locked(r, q, res);
    if (q->sqe.opcode != LX_IORING_OP_TIMEOUT)
        r->completions++;
    else
        atomic_fetch_add(&r->timeouts, 1);
    if (next && !fail)
        enter_pending_locked(r, next, UREQ_RUNNING);
    q->state = UREQ_DONE;
    list_del(&q->node);
    r->pending_count--;
    r->drain_active -= is_drain(q);
    timeout = q->link_timeout;
    q->link_timeout = NULL;
    mutex_unlock(&r->lock);
    uring_signal(r, /*inline_post=*/false);
    if (timeout) {
        if (ureq_claim(timeout))
            ureq_complete(timeout, -ECANCELED); /* has no timeout of its own: no deeper */
        ureq_put(timeout);
    }
    if (fail) {
        /* Linux: who wants no completion of a success wants but one of a failure. */
        fail_chain(next, q->sqe.flags & LX_IOSQE_CQE_SKIP_SUCCESS);
    } else if (next) {
        queue(next);
        ureq_put(next); /* the chain's reference; the pending list has its own */
    }
    uring_timeouts_count(r);
    pump(r);
    ureq_put(q); /* the pending list's */
    uring_put(r);
}

bool ureq_post_more(struct ureq *q, int32_t res, uint32_t flags)
{
    bool room;

    mutex_lock(&q->ring->lock);
    room = uring_has_room_locked(q->ring);
    if (room) {
        uring_post_locked(q->ring, q->sqe.user_data, res, LX_IORING_CQE_F_MORE | flags);
        q->ring->completions++;
    }
    mutex_unlock(&q->ring->lock);
    if (room)
        uring_signal(q->ring, /*inline_post=*/false);
    return room;
}

/* ---- waiting -------------------------------------------------------------------------------- */

/* Runs under the queue's lock. */
static bool ureq_wake(struct waiter *w, uint32_t events)
{
    struct ureq *q = container_of(w, struct ureq, waiter);

    if (atomic_exchange(&q->claimed, true))
        return false;
    atomic_store(&q->ready, events);
    /* A task that refuses work has cancelled what waits before (cancel_all). */
    return taskwork_add(q->task, &q->work);
}

static uint64_t ureq_timer(struct ktimer *t, uint64_t now)
{
    struct ureq *q = container_of(t, struct ureq, timer);

    (void)now;
    if (!atomic_exchange(&q->claimed, true)) {
        atomic_store(&q->ready, UREQ_READY_TIME);
        IGNORE_RESULT(taskwork_add(q->task, &q->work)); /* as in ureq_wake */
    }
    return 0;
}

/* The waiter and the timer, if any, are idle again. */
static void disarm(struct ureq *q)
{
    /* Whoever armed them has the lock until they are in place. */
    mutex_lock(&q->ring->lock);
    mutex_unlock(&q->ring->lock);
    if (q->wait_file) {
        waitq_remove(q->wait_file->wq, &q->waiter);
        file_put(q->wait_file);
        q->wait_file = NULL;
    }
    if (q->timer_armed) {
        ktimer_cancel(&q->timer);
        q->timer_armed = false;
    }
}

bool ureq_claim(struct ureq *q)
{
    if (atomic_exchange(&q->claimed, true))
        return false;
    disarm(q);
    return true;
}

void ureq_arm_file(struct ureq *q, struct file *f, uint32_t mask)
{
    mutex_lock(&q->ring->lock);
    q->state = UREQ_WAITING;
    q->wait_file = file_get(f);
    waiter_init_callback(&q->waiter, mask, ureq_wake);
    waitq_add(f->wq, &q->waiter);
    atomic_store(&q->claimed, false);
    mutex_unlock(&q->ring->lock);
}

int ureq_arm_timer(struct ureq *q, uint64_t deadline)
{
    int ret = 0;

    mutex_lock(&q->ring->lock);
    q->state = UREQ_WAITING;
    if (deadline != NO_DEADLINE) {
        q->timer_armed = true;
        atomic_store(&q->claimed, false);
        ret = ktimer_arm(&q->timer, deadline);
        if (ret < 0)
            atomic_store(&q->claimed, true);
    } else {
        atomic_store(&q->claimed, false);
    }
    mutex_unlock(&q->ring->lock);
    return ret;
}

/* q's file was not ready. */
static void wait_file(struct ureq *q, uint32_t mask)
{
    uint32_t ready;

    ureq_get(q);
    ureq_arm_file(q, q->file, mask);
    ready = file_poll(q->file) & (mask | WAKE_ERR | WAKE_HUP);
    if ((ready || atomic_load(&q->cancel)) && ureq_claim(q)) {
        /* Ready after all, and once more; files that say so for ever get what they asked for. */
        if (atomic_load(&q->cancel))
            ureq_complete(q, -ECANCELED);
        else if (++q->tries > READY_BUT_EAGAIN_MAX)
            ureq_complete(q, -EAGAIN);
        else
            queue(q);
    }
    ureq_put(q);
}

/* ---- running -------------------------------------------------------------------------------- */

/* Other threads may look at a task's credentials under its lock. */
static struct cred *swap_cred(struct task *t, struct cred *c)
{
    struct cred *old;

    mutex_lock(&t->lock);
    old = t->curr.cred;
    t->curr.cred = c;
    mutex_unlock(&t->lock);
    return old;
}

static long run_as_requested(struct ureq *q)
{
    struct curr *c = curr();
    struct cred *own = q->cred ? swap_cred(q->task, q->cred) : NULL;
    long ret;

    c->request_file = q->file;
    c->nowait = uring_op_poll_mask(q) != 0;
    ret = uring_op_run(q);
    c->nowait = false;
    c->request_file = NULL;
    if (own)
        (void)swap_cred(q->task, own); /* what was there is q->cred */
    return ret;
}

static void run(struct ureq *q)
{
    long ret = -ECANCELED;

    mutex_lock(&q->ring->lock);
    q->state = UREQ_RUNNING;
    mutex_unlock(&q->ring->lock);
    if (q->error)
        ret = q->error;
    else if (!atomic_load(&q->cancel) && !task_requests_refused(q->task))
        ret = uring_op_take_file(q);
    if (ret == 0)
        ret = run_as_requested(q);
    if (ret == URING_PENDING)
        return;
    if (ret == -EAGAIN && uring_op_poll_mask(q) && !uring_op_nonblock(q)) {
        wait_file(q, uring_op_poll_mask(q));
        return;
    }
    /* A request is no system call that could restart. */
    if (ret <= -ERESTARTSYS && ret >= -ERESTART_RESTARTBLOCK)
        ret = -EINTR;
    ureq_complete(q, (int32_t)ret);
}

/* Takes the LINK_TIMEOUT behind q out of the chain and arms it. */
static void arm_link_timeout(struct ureq *q)
{
    struct ureq *timeout = q->next;

    if (!timeout || timeout->sqe.opcode != LX_IORING_OP_LINK_TIMEOUT)
        return;
    q->next = timeout->next;
    timeout->next = NULL;
    mutex_lock(&q->ring->lock);
    enter_pending_locked(q->ring, timeout, UREQ_RUNNING);
    q->link_timeout = timeout; /* takes the chain's reference over */
    ureq_get(q);
    timeout->link_head = q;
    mutex_unlock(&q->ring->lock);
    if (ureq_arm_timer(timeout, uring_timeout_deadline(timeout)) < 0)
        ureq_complete(timeout, -ENOMEM);
}

static void ureq_work(struct taskwork *w)
{
    struct ureq *q = container_of(w, struct ureq, work);

    disarm(q);
    arm_link_timeout(q); /* does nothing the next time */
    run(q);
}

static void start(struct ureq *q)
{
    struct uring *r = q->ring;
    bool defer, full;

    mutex_lock(&r->lock);
    full = r->pending_count >= URING_MAX_REQUESTS;
    defer =
        !list_empty(&r->deferred) || r->drain_active > 0 || (is_drain(q) && r->pending_count > 0);
    if (!full) {
        enter_pending_locked(r, q, defer ? UREQ_DEFERRED : UREQ_RUNNING);
        if (defer) {
            list_add_tail(&r->deferred, &q->deferred_node);
            r->deferred_count++;
        }
    }
    mutex_unlock(&r->lock);
    if (full) {
        q->error = -EAGAIN;
        fail_chain(q, /*silently=*/false);
        return;
    }
    if (!defer) {
        arm_link_timeout(q);
        run(q);
    }
    ureq_put(q); /* the pending list has its own */
}

/* ---- submission ----------------------------------------------------------------------------- */

static bool allowed(const struct uring *r, const struct lx_io_uring_sqe *s)
{
    if (!r->restricted)
        return true;
    return s->opcode < 64 && (r->restrict_op >> s->opcode & 1) &&
           !(s->flags & ~(r->restrict_flags | r->require_flags)) &&
           (s->flags & r->require_flags) == r->require_flags;
}

/* The next entry, prepared (q->error says how that went); NULL: none, or (*out_err) out of memory.
 */
static struct ureq *take_entry(struct uring *r, struct task *t, int *out_err)
{
    struct ureq *q = ureq_new(r, t);
    uint32_t index;

    *out_err = 0;
    if (!q) {
        *out_err = -EAGAIN;
        return NULL;
    }
    mutex_lock(&r->submit);
    /* acquire: pairs with the guest's release of the tail. */
    if (atomic_load_explicit(&r->shared->sq_tail, memory_order_acquire) == r->sq_head) {
        mutex_unlock(&r->submit);
        ureq_put(q);
        return NULL;
    }
    index = __atomic_load_n(&r->sq_array[r->sq_head & (r->sq_entries - 1)], __ATOMIC_RELAXED);
    r->sq_head++;
    if (index >= r->sq_entries) {
        atomic_fetch_add(&r->shared->sq_dropped, 1);
    } else {
        memcpy(&q->sqe, &r->sqes[index], sizeof(q->sqe));
        q->error = allowed(r, &q->sqe) ? uring_op_prepare(q) : -EACCES;
    }
    /* release: the entry was copied before the guest may use its place again. */
    atomic_store_explicit(&r->shared->sq_head, r->sq_head, memory_order_release);
    mutex_unlock(&r->submit);
    if (index >= r->sq_entries) {
        ureq_put(q);
        return NULL;
    }
    return q;
}

static bool links_on(const struct ureq *q)
{
    return q->sqe.flags & (LX_IOSQE_IO_LINK | LX_IOSQE_IO_HARDLINK);
}

/* One entry with everything that is linked to it. *done counts entries; *bad: one was refused. */
static struct ureq *take_chain(struct uring *r, struct task *t, uint32_t count, uint32_t *done,
                               bool *bad, int *out_err)
{
    struct ureq *head = take_entry(r, t, out_err), *last = head;

    bool drain;

    *bad = false;
    if (!head)
        return NULL;
    drain = is_drain(head);
    ++*done;
    *bad = head->error != 0;
    while (links_on(last) && *done < count) {
        int err;

        last->next = take_entry(r, t, &err);
        if (!last->next)
            break;
        if (last->sqe.opcode == LX_IORING_OP_LINK_TIMEOUT &&
            last->next->sqe.opcode == LX_IORING_OP_LINK_TIMEOUT && !last->next->error)
            last->next->error = -EINVAL; /* one limits one */
        last = last->next;
        ++*done;
        *bad |= last->error != 0;
        drain |= is_drain(last);
    }
    /* Linux: a drain within a chain is one of the whole chain, before and behind. */
    for (struct ureq *q = drain && head->next ? head : NULL; q; q = q->next)
        q->sqe.flags |= LX_IOSQE_IO_DRAIN;
    return head;
}

long uring_submit(struct uring *r, struct task *t, uint32_t count)
{
    bool all = r->flags & LX_IORING_SETUP_SUBMIT_ALL, bad = false;
    uint32_t done = 0;
    int err = 0;

    task_requests_mark(t);
    count = MIN(count, r->sq_entries);
    while (done < count && (all || !bad)) {
        struct ureq *head = take_chain(r, t, count, &done, &bad, &err);

        if (!head)
            break;
        /* Linux: a bad link ends its whole chain before it starts. */
        if (bad && head->next)
            fail_chain(head, /*silently=*/false);
        else
            start(head);
    }
    if (taskwork_due(t))
        (void)taskwork_run(t); /* signals: on the way out */
    uring_signal(r, /*inline_post=*/true);
    return done ? (long)done : err;
}

/* ---- cancellation --------------------------------------------------------------------------- */

static struct ureq *find_to_cancel(struct uring *r, bool (*match)(const struct ureq *q, void *arg),
                                   void *arg, bool *out_deferred)
{
    struct ureq *q, *found = NULL;

    mutex_lock(&r->lock);
    list_for_each_entry(q, &r->pending, node) {
        if (atomic_load(&q->cancel) || (match && !match(q, arg)))
            continue;
        found = q;
        break;
    }
    *out_deferred = false;
    if (found) {
        ureq_get(found);
        atomic_store(&found->cancel, true);
        if (found->state == UREQ_DEFERRED) {
            list_del(&found->deferred_node);
            r->deferred_count--;
            found->state = UREQ_RUNNING;
            r->drain_active += is_drain(found);
            *out_deferred = true;
        }
    }
    mutex_unlock(&r->lock);
    return found;
}

uint32_t uring_cancel_matching(struct uring *r, bool (*match)(const struct ureq *q, void *arg),
                               void *arg, uint32_t max, uint32_t *out_busy)
{
    uint32_t count = 0, busy = 0;
    bool deferred;

    while (count + busy < max) {
        struct ureq *q = find_to_cancel(r, match, arg, &deferred);

        if (!q)
            break;
        if (deferred || ureq_claim(q)) {
            ureq_complete(q, -ECANCELED);
            count++;
        } else {
            busy++; /* its task ends it when it gets to it */
        }
        ureq_put(q);
    }
    if (out_busy)
        *out_busy = busy;
    return count;
}
