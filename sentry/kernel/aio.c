/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Contexts of Linux AIO and their rings: io_setup(2), io_getevents(2), io_destroy(2).
 *
 * The ring is a shared file mapped into the guest, laid out as Linux lays it out, because programs
 * reap events from it without a call: they read head and tail and move head. So every word of it is
 * the guest's; the sentry keeps the tail and the number of slots itself, and takes head modulo them.
 *
 * c->lock is held over copies to the guest and over the ring's file, like a pipe's.
 */
#include <errno.h>
#include <stdlib.h>

#include "platform/base/log.h"
#include "sentry/abi/fcntl.h"
#include "sentry/abi/mman.h"
#include "sentry/fs/eventfd/eventfd.h"
#include "sentry/fs/tmpfs/tmpfs.h"
#include "sentry/kernel/aio_internal.h"
#include "sentry/kernel/kernel_internal.h"
#include "sentry/mm/uaccess.h"

#define RING_HEADER  sizeof(struct lx_aio_ring)
#define EVENT        sizeof(struct lx_io_event)
#define EVENTS_MAX   (0x10000000u / EVENT)
#define COPY_AT_ONCE 64u

_Atomic int64_t g_aio_nr, g_aio_max_nr = 65536;

/* The contexts of one address space. Keys: t ->lock */
struct aio_table {
    struct mm_attachment attachment;
    struct mutex lock; /* rank LEAF */
    struct list all;   /* t: struct aio_ctx.node, +1 each */
};

/* ---- life ----------------------------------------------------------------------------------- */

void aio_ctx_put(struct aio_ctx *c)
{
    if (!refs_put(&c->refs))
        return;
    file_put(c->ring);
    waitq_destroy(&c->wq);
    mutex_destroy(&c->lock);
    free(c);
}

/* The first to end it; the table's reference is the caller's afterwards. */
static bool ctx_kill(struct aio_table *table, struct aio_ctx *c)
{
    bool first;

    mutex_lock(&c->lock);
    first = !c->dead;
    c->dead = true;
    mutex_unlock(&c->lock);
    if (!first)
        return false;
    mutex_lock(&table->lock);
    list_del(&c->node);
    mutex_unlock(&table->lock);
    atomic_fetch_sub(&g_aio_nr, c->counted);
    waitq_wake(&c->wq, WAKE_ALL);
    aio_poll_cancel_all(c);
    return true;
}

static void table_destroy(struct mm_attachment *a)
{
    struct aio_table *table = container_of(a, struct aio_table, attachment);

    while (!list_empty(&table->all)) {
        struct aio_ctx *c = list_first_entry(&table->all, struct aio_ctx, node);

        if (ctx_kill(table, c))
            aio_ctx_put(c);
    }
    mutex_destroy(&table->lock);
    free(table);
}

static struct aio_table *table_of(struct mm *mm)
{
    struct mm_attachment *a = mm_attachment(mm);

    return a ? container_of(a, struct aio_table, attachment) : NULL;
}

static int table_get(struct mm *mm, struct aio_table **out)
{
    struct aio_table *table = table_of(mm);

    if (!table) {
        table = calloc(1, sizeof(*table));
        if (!table)
            return -ENOMEM;
        table->attachment.destroy = table_destroy;
        mutex_init(&table->lock, RANK_LEAF);
        list_init(&table->all);
        if (!mm_attach(mm, &table->attachment)) {
            mutex_destroy(&table->lock);
            free(table);
            table = table_of(mm);
        }
    }
    *out = table;
    return 0;
}

/* As many as asked for twice over, at least some for each CPU, and what fills the last page. */
static int ring_layout(struct aio_ctx *c, uint32_t nr)
{
    uint64_t events = nr;

    events = MAX(events, (uint64_t)kernel_cpu_count() * 4) * 2;
    if (events > EVENTS_MAX)
        return -EINVAL;
    if (nr > g_aio_max_nr)
        return -EAGAIN;
    c->ring_size = RING_HEADER + (events + 2) * EVENT;
    c->ring_size = (c->ring_size + LX_PAGE_SIZE - 1) & ~(LX_PAGE_SIZE - 1);
    c->slots = (uint32_t)((c->ring_size - RING_HEADER) / EVENT);
    c->counted = nr;
    return 0;
}

static int ring_map(struct aio_ctx *c)
{
    struct lx_aio_ring head = {
        .nr = c->slots, .magic = LX_AIO_RING_MAGIC, .compat = 1, .header_length = RING_HEADER};
    struct mmap_args args = {.size = c->ring_size,
                             .prot = LX_PROT_READ | LX_PROT_WRITE,
                             .flags = LX_MAP_SHARED,
                             .file = c->ring};
    int64_t at;
    ssize_t n = file_write_kernel(c->ring, &head, sizeof(head), 0);

    if (n != sizeof(head))
        return n < 0 ? (int)n : -ENOMEM;
    at = mm_mmap(curr()->mm, &args);
    if (at < 0)
        return (int)at;
    c->id = (uaddr_t)at;
    return 0;
}

static int ctx_alloc(uint32_t nr, struct aio_ctx **out)
{
    struct aio_ctx *c = calloc(1, sizeof(*c));
    int ret;

    if (!c)
        return -ENOMEM;
    ret = ring_layout(c, nr);
    if (ret == 0)
        ret = shmem_file_new("/[aio] (deleted)", c->ring_size, 0, &c->ring);
    if (ret < 0) {
        free(c);
        return ret;
    }
    refs_init(&c->refs);
    mutex_init(&c->lock, RANK_AIO);
    list_init(&c->node);
    list_init(&c->polls);
    waitq_init(&c->wq);
    ret = ring_map(c);
    if (ret < 0)
        aio_ctx_put(c);
    else
        *out = c;
    return ret;
}

int aio_ctx_new(uint32_t nr, uaddr_t *out_id)
{
    struct aio_table *table;
    struct aio_ctx *c;
    int ret = table_get(curr()->mm, &table);

    if (ret == 0)
        ret = ctx_alloc(nr, &c);
    if (ret < 0)
        return ret;
    if (atomic_fetch_add(&g_aio_nr, c->counted) + c->counted > g_aio_max_nr) {
        atomic_fetch_sub(&g_aio_nr, c->counted);
        (void)mm_munmap(curr()->mm, c->id, c->ring_size); /* the range is what was mapped above */
        aio_ctx_put(c);
        return -EAGAIN;
    }
    *out_id = c->id;
    mutex_lock(&table->lock);
    list_add_tail(&table->all, &c->node);
    mutex_unlock(&table->lock);
    return 0;
}

int aio_ctx_find_get(uaddr_t id, struct aio_ctx **out)
{
    struct aio_table *table = table_of(curr()->mm);
    struct aio_ctx *c;
    int ret = -EINVAL;

    if (!table)
        return -EINVAL;
    mutex_lock(&table->lock);
    list_for_each_entry(c, &table->all, node) {
        if (c->id == id) {
            refs_get(&c->refs);
            *out = c;
            ret = 0;
            break;
        }
    }
    mutex_unlock(&table->lock);
    return ret;
}

static bool drained(struct aio_ctx *c)
{
    bool yes;

    mutex_lock(&c->lock);
    yes = c->inflight == 0;
    mutex_unlock(&c->lock);
    return yes;
}

int aio_ctx_destroy(struct aio_ctx *c)
{
    struct aio_table *table = table_of(curr()->mm);
    struct waiter w;
    int ret = 0;

    if (!table || !ctx_kill(table, c))
        return -EINVAL;
    waiter_init(&w, WAKE_ALL);
    waitq_add(&c->wq, &w);
    while (ret == 0 && !drained(c))
        ret = task_block_killable(NO_DEADLINE);
    waitq_remove(&c->wq, &w);
    (void)mm_munmap(curr()->mm, c->id, c->ring_size); /* the guest may have unmapped it */
    aio_ctx_put(c);
    return 0;
}

uint32_t aio_ctx_slots(const struct aio_ctx *c)
{
    return c->slots;
}

/* ---- ring ----------------------------------------------------------------------------------- */

/* Where the guest is; whatever it wrote there is made a slot. */
static uint32_t head_locked(struct aio_ctx *c)
{
    uint32_t head = 0;

    if (file_read_kernel(c->ring, &head, sizeof(head), offsetof(struct lx_aio_ring, head)) !=
        sizeof(head))
        return c->tail;
    return head % c->slots;
}

static uint32_t unread_locked(struct aio_ctx *c)
{
    return (c->tail + c->slots - head_locked(c)) % c->slots;
}

int aio_reserve(struct aio_ctx *c)
{
    int ret = 0;

    mutex_lock(&c->lock);
    if (c->dead)
        ret = -EINVAL;
    else if (c->inflight + unread_locked(c) >= c->slots - 1)
        ret = -EAGAIN;
    else
        c->inflight++;
    mutex_unlock(&c->lock);
    return ret;
}

void aio_unreserve(struct aio_ctx *c)
{
    mutex_lock(&c->lock);
    c->inflight--;
    mutex_unlock(&c->lock);
    waitq_wake(&c->wq, WAKE_ALL);
}

/* A word of the ring. The file keeps its size, so that only lack of memory fails: then the guest
 * misses an event, as it would miss one that it overwrote. */
static void ring_put(struct aio_ctx *c, const void *data, size_t size, uint64_t at)
{
    if (file_write_kernel(c->ring, data, size, (lx_loff_t)at) != (ssize_t)size)
        log_debug(LOG_KERNEL, "aio ring: out of memory");
}

void aio_complete(struct aio_ctx *c, const struct aio_done *d, int64_t res)
{
    struct lx_io_event e = {.data = d->data, .obj = d->obj, .res = res};

    mutex_lock(&c->lock);
    ring_put(c, &e, sizeof(e), RING_HEADER + (uint64_t)c->tail * EVENT);
    c->tail = (c->tail + 1) % c->slots;
    ring_put(c, &c->tail, sizeof(c->tail), offsetof(struct lx_aio_ring, tail));
    c->inflight--;
    mutex_unlock(&c->lock);
    if (d->eventfd)
        eventfd_signal(d->eventfd);
    waitq_wake(&c->wq, WAKE_ALL);
}

/* Moves up to nr events to the guest. */
static long take_events(struct aio_ctx *c, long nr, uaddr_t events)
{
    struct lx_io_event some[COPY_AT_ONCE];
    long done = 0, ret = 0;
    uint32_t head, tail;

    mutex_lock(&c->lock);
    head = head_locked(c);
    tail = c->tail;
    while (done < nr && head != tail) {
        uint32_t run = (head < tail ? tail : c->slots) - head;
        size_t size;

        run = (uint32_t)MIN((long)MIN(run, COPY_AT_ONCE), nr - done);
        size = run * EVENT;
        if (file_read_kernel(c->ring, some, size,
                             (lx_loff_t)(RING_HEADER + (uint64_t)head * EVENT)) != (ssize_t)size ||
            copy_out(events + (uint64_t)done * EVENT, some, size) < 0) {
            ret = -EFAULT;
            break;
        }
        done += run;
        head = (head + run) % c->slots;
    }
    if (done)
        ring_put(c, &head, sizeof(head), offsetof(struct lx_aio_ring, head));
    if (c->dead && !done && ret == 0)
        ret = -EINVAL;
    mutex_unlock(&c->lock);
    return done ? done : ret;
}

long aio_read_events(struct aio_ctx *c, long min_nr, long nr, uaddr_t events, uint64_t deadline)
{
    struct waiter w;
    long done = 0, n;
    int ret = 0;

    waiter_init(&w, WAKE_ALL);
    waitq_add(&c->wq, &w);
    for (;;) {
        n = take_events(c, nr - done, events + (uint64_t)done * EVENT);
        if (n < 0) {
            done = done ? done : n;
            break;
        }
        done += n;
        if (done >= min_nr || ret < 0 || deadline == 0)
            break;
        ret = task_block(deadline);
    }
    waitq_remove(&c->wq, &w);
    return done == 0 && ret == -ERESTARTSYS ? ret : done;
}
