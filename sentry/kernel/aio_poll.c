/* SPDX-License-Identifier: Apache-2.0 */
/*
 * IOCB_CMD_POLL: the one request of Linux AIO that waits.
 *
 * A request sits on its file's wait queue with a callback. The callback runs under that queue's lock,
 * where no ring can be written, so it only hands the request to a service thread, which looks at the
 * file again and completes the request or puts it back. The thread starts with the first poll of the
 * sandbox.
 *
 * States, changed with compare and swap: WAITING (on the queue, nobody else's), QUEUED (the service
 * thread's). cancelled is set before the hand-over and makes the thread complete it with 0.
 */
#include <errno.h>
#include <stdlib.h>

#include "sentry/kernel/aio_internal.h"
#include "sentry/kernel/kernel_internal.h"

enum poll_state { POLL_WAITING, POLL_QUEUED };

/* Lifetime: unique; freed by who completes it. Keys: I immutable; c ctx lock; w g_work lock */
struct aio_poll {
    struct list node;      /* c */
    struct list work;      /* w */
    struct waiter waiter;  /* the file's queue */
    struct aio_ctx *ctx;   /* I, +1 */
    struct file *file;     /* I, +1 */
    struct file *eventfd;  /* I, +1 or NULL */
    struct aio_done done;  /* I */
    uint32_t events;       /* I */
    atomic_int state;      /* a: enum poll_state */
    atomic_bool cancelled; /* a */
};

static struct {
    struct mutex lock; /* rank LEAF */
    struct list queue;
    struct sleeper *sleeper; /* of the thread; NULL before it runs */
    bool started;
} g_work = {.lock = {.rank = RANK_LEAF}, .queue = LIST_INIT(g_work.queue)};

static void poll_free(struct aio_poll *p)
{
    struct aio_ctx *c = p->ctx;

    mutex_lock(&c->lock);
    list_del(&p->node);
    mutex_unlock(&c->lock);
    file_put(p->file);
    if (p->eventfd)
        file_put(p->eventfd);
    free(p);
    aio_ctx_put(c);
}

static void hand_over(struct aio_poll *p)
{
    int expect = POLL_WAITING;

    if (!atomic_compare_exchange_strong(&p->state, &expect, POLL_QUEUED))
        return;
    mutex_lock(&g_work.lock);
    list_add_tail(&g_work.queue, &p->work);
    if (g_work.sleeper)
        sleeper_wake(g_work.sleeper);
    mutex_unlock(&g_work.lock);
}

static bool poll_wake(struct waiter *w, uint32_t events)
{
    (void)events;
    hand_over(container_of(w, struct aio_poll, waiter));
    return false;
}

/* p is QUEUED and ours. */
static void poll_run(struct aio_poll *p)
{
    uint32_t ready;

    waitq_remove(p->file->wq, &p->waiter);
    ready = file_poll(p->file) & p->events;
    if (!ready && !atomic_load(&p->cancelled)) {
        atomic_store(&p->state, POLL_WAITING);
        waitq_add(p->file->wq, &p->waiter);
        /* What came between the look and the queue. */
        if ((file_poll(p->file) & p->events) || atomic_load(&p->cancelled))
            hand_over(p);
        return;
    }
    aio_complete(p->ctx, &p->done, atomic_load(&p->cancelled) ? 0 : ready);
    poll_free(p);
}

static void service(void *arg)
{
    (void)arg;
    mutex_lock(&g_work.lock);
    g_work.sleeper = &curr()->sleeper;
    mutex_unlock(&g_work.lock);
    for (;;) {
        struct aio_poll *p = NULL;

        mutex_lock(&g_work.lock);
        if (!list_empty(&g_work.queue)) {
            p = list_first_entry(&g_work.queue, struct aio_poll, work);
            list_del(&p->work);
        }
        mutex_unlock(&g_work.lock);
        if (p)
            poll_run(p);
        else if (task_block(NO_DEADLINE) < 0)
            continue;
    }
}

static int service_start(void)
{
    bool start;
    int ret = 0;

    mutex_lock(&g_work.lock);
    start = !g_work.started;
    g_work.started = true;
    mutex_unlock(&g_work.lock);
    if (start)
        ret = thread_start("aio", service, NULL);
    if (ret < 0) {
        mutex_lock(&g_work.lock);
        g_work.started = false;
        mutex_unlock(&g_work.lock);
    }
    return ret;
}

int aio_poll(struct aio_ctx *c, const struct aio_done *d, struct file *f, uint32_t events)
{
    struct aio_poll *p;
    int ret;

    if (!f->ops->poll)
        return -EINVAL;
    ret = service_start();
    if (ret < 0)
        return ret;
    p = calloc(1, sizeof(*p));
    if (!p)
        return -ENOMEM;
    p->ctx = c;
    refs_get(&c->refs);
    p->file = file_get(f);
    p->eventfd = d->eventfd ? file_get(d->eventfd) : NULL;
    p->done = *d;
    p->events = events | WAKE_ERR | WAKE_HUP;
    list_init(&p->work);
    waiter_init_callback(&p->waiter, p->events, poll_wake);
    mutex_lock(&c->lock);
    list_add_tail(&c->polls, &p->node);
    if (c->dead) /* who ended it did not see p */
        atomic_store(&p->cancelled, true);
    mutex_unlock(&c->lock);
    /* QUEUED: the first look is ours. */
    atomic_store(&p->state, POLL_QUEUED);
    poll_run(p);
    return 0;
}

int aio_cancel(struct aio_ctx *c, uint64_t obj)
{
    struct aio_poll *p;
    int ret = -EINVAL;

    mutex_lock(&c->lock);
    list_for_each_entry(p, &c->polls, node) {
        if (p->done.obj != obj || atomic_load(&p->cancelled))
            continue;
        atomic_store(&p->cancelled, true);
        hand_over(p);
        ret = -EINPROGRESS;
        break;
    }
    mutex_unlock(&c->lock);
    return ret;
}

void aio_poll_cancel_all(struct aio_ctx *c)
{
    struct aio_poll *p;

    mutex_lock(&c->lock);
    list_for_each_entry(p, &c->polls, node) {
        atomic_store(&p->cancelled, true);
        hand_over(p);
    }
    mutex_unlock(&c->lock);
}
