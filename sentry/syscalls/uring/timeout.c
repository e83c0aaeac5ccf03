/* SPDX-License-Identifier: Apache-2.0 */
/* Requests that act on time and on other requests: TIMEOUT and its changes, LINK_TIMEOUT,
 * ASYNC_CANCEL, POLL_ADD, POLL_REMOVE. */
#include <errno.h>

#include "sentry/abi/time.h"
#include "sentry/core/restart.h"
#include "sentry/mm/uaccess.h"
#include "sentry/syscalls/uring/uring_internal.h"

#define CLOCK_FLAGS (LX_IORING_TIMEOUT_BOOTTIME | LX_IORING_TIMEOUT_REALTIME)

static uint64_t monotonic_of_realtime(uint64_t when)
{
    int64_t t = (int64_t)when - clock_realtime_offset();

    return t > 0 ? (uint64_t)t : 1;
}

/* A timespec of the guest: a deadline with TIMEOUT_ABS, else a duration. */
static int read_time(uaddr_t addr, uint32_t flags, uint64_t *out)
{
    struct lx_timespec ts;
    uint64_t ns, boot_offset = clock_boottime() - clock_monotonic();

    if (get_user(&ts, addr) < 0)
        return -EFAULT;
    if (!lx_timespec_valid(&ts))
        return -EINVAL;
    ns = lx_timespec_to_ns(&ts);
    if (!(flags & LX_IORING_TIMEOUT_ABS))
        *out = ns;
    else if (flags & LX_IORING_TIMEOUT_REALTIME)
        *out = monotonic_of_realtime(ns);
    else if (flags & LX_IORING_TIMEOUT_BOOTTIME)
        *out = ns > boot_offset ? ns - boot_offset : 1;
    else
        *out = MAX(ns, 1);
    return 0;
}

/* ---- TIMEOUT, LINK_TIMEOUT ------------------------------------------------------------------ */

int uring_timeout_prepare(struct ureq *q)
{
    const struct lx_io_uring_sqe *s = &q->sqe;
    bool link = s->opcode == LX_IORING_OP_LINK_TIMEOUT;

    if (s->ioprio || s->buf_index || s->splice_fd_in || s->len != 1 || (s->off && link))
        return -EINVAL;
    if ((s->op_flags & ~(LX_IORING_TIMEOUT_ABS | CLOCK_FLAGS | LX_IORING_TIMEOUT_ETIME_SUCCESS)) ||
        (s->op_flags & CLOCK_FLAGS) == CLOCK_FLAGS)
        return -EINVAL;
    return read_time(s->addr, s->op_flags, &q->deadline);
}

uint64_t uring_timeout_deadline(const struct ureq *q)
{
    return q->sqe.op_flags & LX_IORING_TIMEOUT_ABS ? q->deadline : deadline_after(q->deadline);
}

/* The one it limits, if it is still there, ends first. */
static long link_timeout_fired(struct ureq *q)
{
    struct ureq *head = q->link_head;

    atomic_store(&head->cancel, true);
    if (ureq_claim(head))
        ureq_complete(head, -ECANCELED);
    return -ETIME;
}

long uring_timeout_run(struct ureq *q)
{
    struct uring *r = q->ring;
    uint32_t ready = atomic_load(&q->ready);
    int ret;

    if (q->sqe.opcode == LX_IORING_OP_LINK_TIMEOUT)
        return q->link_head ? link_timeout_fired(q) : -EINVAL; /* nothing before it */
    if (ready == 0) {
        if (q->sqe.off) {
            mutex_lock(&r->lock);
            q->target = r->completions + q->sqe.off;
            r->counting++;
            mutex_unlock(&r->lock);
        }
        ureq_get(q);
        ret = ureq_arm_timer(q, uring_timeout_deadline(q));
        if (ret == 0 && atomic_load(&q->cancel) && ureq_claim(q))
            ureq_complete(q, -ECANCELED);
        ureq_put(q);
        return ret < 0 ? ret : URING_PENDING;
    }
    return ready == UREQ_READY_COUNT ? 0 : -ETIME;
}

void uring_timeouts_count(struct uring *r)
{
    struct ureq *q, *found;

    do {
        found = NULL;
        mutex_lock(&r->lock);
        list_for_each_entry(q, &r->pending, node) {
            if (!r->counting)
                break;
            if (q->state != UREQ_WAITING || !q->target || q->target > r->completions)
                continue;
            q->target = 0;
            r->counting--;
            if (!atomic_exchange(&q->claimed, true)) {
                atomic_store(&q->ready, UREQ_READY_COUNT);
                ureq_get(q);
                found = q;
                break;
            }
        }
        mutex_unlock(&r->lock);
        if (found) {
            if (!taskwork_add(found->task, &found->work))
                ureq_complete(found, 0);
            ureq_put(found);
        }
    } while (found);
}

/* ---- finding others ------------------------------------------------------------------------- */

struct wanted {
    const struct ureq *asker;
    uint64_t user_data;
    struct file *file;
    uint32_t flags;
    int opcode; /* -1: any */
};

static bool matches(const struct ureq *q, void *arg)
{
    const struct wanted *w = arg;

    if (q == w->asker || (w->opcode >= 0 && q->sqe.opcode != w->opcode))
        return false;
    if (w->flags & LX_IORING_ASYNC_CANCEL_ANY)
        return true;
    if (w->flags & LX_IORING_ASYNC_CANCEL_FD)
        return q->file == w->file;
    return q->sqe.user_data == w->user_data;
}

/* +1, claimed: the first waiting one. NULL: *out_busy tells whether there was one. */
static struct ureq *find_and_claim(struct uring *r, struct wanted *w, bool *out_busy)
{
    struct ureq *q, *found = NULL;

    mutex_lock(&r->lock);
    list_for_each_entry(q, &r->pending, node) {
        if (!matches(q, w))
            continue;
        ureq_get(q);
        found = q;
        break;
    }
    mutex_unlock(&r->lock);
    *out_busy = found != NULL;
    if (found && !ureq_claim(found)) {
        ureq_put(found);
        found = NULL;
    }
    return found;
}

long uring_timeout_remove(struct ureq *q)
{
    const struct lx_io_uring_sqe *s = &q->sqe;
    bool link = s->op_flags & LX_IORING_LINK_TIMEOUT_UPDATE, busy;
    struct wanted w = {.asker = q,
                       .user_data = s->addr,
                       .opcode = link ? LX_IORING_OP_LINK_TIMEOUT : LX_IORING_OP_TIMEOUT};
    uint32_t flags = s->op_flags & ~(LX_IORING_TIMEOUT_UPDATE | LX_IORING_LINK_TIMEOUT_UPDATE);
    bool update = s->op_flags & (LX_IORING_TIMEOUT_UPDATE | LX_IORING_LINK_TIMEOUT_UPDATE);
    uint64_t deadline = 0;
    struct ureq *found;
    long ret = 0;

    if (s->ioprio || s->buf_index || s->len || s->splice_fd_in ||
        (flags & ~(LX_IORING_TIMEOUT_ABS | CLOCK_FLAGS)) || (flags && !update) ||
        (flags & CLOCK_FLAGS) == CLOCK_FLAGS)
        return -EINVAL;
    if (update)
        ret = read_time(s->off, flags, &deadline);
    if (ret < 0)
        return ret;
    found = find_and_claim(q->ring, &w, &busy);
    if (!found)
        return busy ? -EALREADY : -ENOENT;
    if (update) {
        if (!(flags & LX_IORING_TIMEOUT_ABS))
            deadline = deadline_after(deadline);
        ret = ureq_arm_timer(found, deadline);
        /* Its task may have begun to exit meanwhile; it told all that were waiting. */
        if (ret == 0 && atomic_load(&found->cancel) && ureq_claim(found))
            ureq_complete(found, -ECANCELED);
    }
    if (!update || ret < 0)
        ureq_complete(found, -ECANCELED);
    ureq_put(found);
    return ret;
}

#define CANCEL_FLAGS                                                                               \
    (LX_IORING_ASYNC_CANCEL_ALL | LX_IORING_ASYNC_CANCEL_FD | LX_IORING_ASYNC_CANCEL_ANY |         \
     LX_IORING_ASYNC_CANCEL_FD_FIXED)

static long cancel_wanted(struct uring *r, struct wanted *w)
{
    bool all = w->flags & (LX_IORING_ASYNC_CANCEL_ALL | LX_IORING_ASYNC_CANCEL_ANY);
    uint32_t busy, count = uring_cancel_matching(r, matches, w, all ? UINT32_MAX : 1, &busy);

    if (all)
        return (long)(count + busy);
    return count ? 0 : busy ? -EALREADY : -ENOENT;
}

long uring_async_cancel(struct ureq *q)
{
    const struct lx_io_uring_sqe *s = &q->sqe;
    struct wanted w = {
        .asker = q, .user_data = s->addr, .file = q->file, .flags = s->op_flags, .opcode = -1};

    if (s->ioprio || s->off || s->len || s->splice_fd_in || (s->op_flags & ~CANCEL_FLAGS))
        return -EINVAL;
    return cancel_wanted(q->ring, &w);
}

static bool is_there(struct uring *r, struct wanted *w)
{
    struct ureq *q;
    bool found = false;

    mutex_lock(&r->lock);
    list_for_each_entry(q, &r->pending, node)
        found |= matches(q, w);
    mutex_unlock(&r->lock);
    return found;
}

/* Until the one that runs at this moment ended; it was told to. */
static int wait_until_gone(struct uring *r, struct wanted *w, uint64_t deadline)
{
    struct task *t = current_task();
    struct waiter waiter;
    int ret = 0;

    waiter_init(&waiter, WAKE_IN);
    waitq_add(&r->file.own_wq, &waiter);
    for (;;) {
        if (taskwork_due(t) && taskwork_run(t))
            ret = -EINTR;
        if (ret < 0 || !is_there(r, w))
            break;
        ret = task_block(deadline);
        if (ret == -ERESTARTSYS && !taskwork_run(t))
            ret = 0;
    }
    waitq_remove(&r->file.own_wq, &waiter);
    return ret == -ETIMEDOUT ? -ETIME : ret < 0 ? -EINTR : 0;
}

static int sync_cancel_file(struct uring *r, const struct lx_io_uring_sync_cancel *c,
                            struct file **out)
{
    *out = NULL;
    if (!(c->flags & LX_IORING_ASYNC_CANCEL_FD))
        return 0;
    if (c->flags & LX_IORING_ASYNC_CANCEL_FD_FIXED)
        return uring_fixed_get(r, (uint32_t)c->fd, out);
    return fdtable_lookup_get(curr()->files, c->fd, out);
}

long uring_sync_cancel(struct uring *r, uaddr_t arg)
{
    struct lx_io_uring_sync_cancel c;
    struct wanted w = {.opcode = -1};
    uint64_t deadline = NO_DEADLINE;
    long ret;

    if (get_user(&c, arg) < 0)
        return -EFAULT;
    if ((c.flags & ~CANCEL_FLAGS) || c.pad[0] || c.pad[1] || c.pad[2] || c.pad[3])
        return -EINVAL;
    if (c.tv_sec != -1 || c.tv_nsec != -1) {
        const struct lx_timespec ts = {c.tv_sec, c.tv_nsec};

        deadline = deadline_after(lx_timespec_valid(&ts) ? lx_timespec_to_ns(&ts) : 0);
    }
    w.user_data = c.addr;
    w.flags = c.flags;
    ret = sync_cancel_file(r, &c, &w.file);
    if (ret < 0)
        return ret;
    ret = cancel_wanted(r, &w);
    if (ret == -EALREADY)
        ret = wait_until_gone(r, &w, deadline);
    if (w.file)
        file_put(w.file);
    return ret;
}

/* ---- poll ----------------------------------------------------------------------------------- */

long uring_poll_run(struct ureq *q)
{
    bool multi = q->sqe.len & LX_IORING_POLL_ADD_MULTI;
    uint32_t want = q->sqe.op_flags | WAKE_ERR | WAKE_HUP, ready;
    long ret = URING_PENDING;
    bool ends;

    /* On the queue first: what happens from here on wakes it. */
    ureq_get(q);
    ureq_arm_file(q, q->file, q->sqe.op_flags);
    ready = file_poll(q->file) & want;
    ends = ready && !(multi && ureq_post_more(q, (int32_t)ready, 0));
    if ((ends || atomic_load(&q->cancel)) && ureq_claim(q))
        ret = atomic_load(&q->cancel) ? -ECANCELED : (long)ready;
    ureq_put(q);
    return ret;
}

long uring_poll_remove(struct ureq *q)
{
    const struct lx_io_uring_sqe *s = &q->sqe;
    struct wanted w = {.asker = q, .user_data = s->addr, .opcode = LX_IORING_OP_POLL_ADD};
    const uint32_t update = LX_IORING_POLL_UPDATE_EVENTS | LX_IORING_POLL_UPDATE_USER_DATA;
    struct ureq *found;
    bool busy;

    if (s->ioprio || s->buf_index || s->splice_fd_in || (s->len & ~(update | 1u)) ||
        (!(s->len & update) && s->len) || (!(s->len & update) && (s->off || s->op_flags)))
        return -EINVAL;
    found = find_and_claim(q->ring, &w, &busy);
    if (!found)
        return busy ? -EALREADY : -ENOENT;
    if (s->len & update) {
        mutex_lock(&q->ring->lock);
        if (s->len & LX_IORING_POLL_UPDATE_EVENTS)
            found->sqe.op_flags = s->op_flags;
        if (s->len & LX_IORING_POLL_UPDATE_USER_DATA)
            found->sqe.user_data = s->off;
        mutex_unlock(&q->ring->lock);
        /* Its own task looks at the file again. */
        if (!taskwork_add(found->task, &found->work))
            ureq_complete(found, -ECANCELED);
    } else {
        ureq_complete(found, -ECANCELED);
    }
    ureq_put(found);
    return 0;
}
