/* SPDX-License-Identifier: Apache-2.0 */
/*
 * eventfd(2). The whole state is one 64-bit counter, at most 2^64-2; reads and writes are
 * compare-and-swap loops, so neither takes a lock.
 */
#include "sentry/fs/eventfd/eventfd.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "sentry/abi/eventfd.h"
#include "sentry/abi/fcntl.h"
#include "sentry/core/restart.h"

#define EVENTFD_MAX (UINT64_MAX - 1)

/* Lifetime: refcounted as its file. */
struct eventfd {
    struct file file;
    _Atomic uint64_t count;
    bool semaphore; /* immutable */
    uint32_t id;    /* immutable: shown in fdinfo */
};

static struct eventfd *eventfd_of(struct file *f)
{
    return container_of(f, struct eventfd, file);
}

static bool eventfd_try_read(struct eventfd *e, uint64_t *out)
{
    uint64_t old = atomic_load(&e->count);

    do {
        if (old == 0)
            return false;
        *out = e->semaphore ? 1 : old;
    } while (!atomic_compare_exchange_weak(&e->count, &old, old - *out));
    return true;
}

static bool eventfd_try_write(struct eventfd *e, uint64_t add)
{
    uint64_t old = atomic_load(&e->count);

    do {
        if (EVENTFD_MAX - old < add)
            return false;
    } while (!atomic_compare_exchange_weak(&e->count, &old, old + add));
    return true;
}

/* Repeats try until it succeeds. */
static int eventfd_wait(struct eventfd *e, uint64_t *value, uint32_t mask)
{
    struct waiter w;
    int ret = 0;

    waiter_init(&w, mask);
    waitq_add(&e->file.own_wq, &w);
    while (!(mask & WAKE_IN ? eventfd_try_read(e, value) : eventfd_try_write(e, *value))) {
        ret = task_block(NO_DEADLINE);
        if (ret < 0)
            break;
    }
    waitq_remove(&e->file.own_wq, &w);
    return ret;
}

static ssize_t eventfd_read(struct file *f, struct iov_iter *dst, lx_loff_t *pos)
{
    struct eventfd *e = eventfd_of(f);
    uint64_t value;
    int ret;

    if (iov_iter_count(dst) < sizeof(value))
        return -EINVAL;
    if (!eventfd_try_read(e, &value)) {
        if (file_nonblock(f))
            return -EAGAIN;
        ret = eventfd_wait(e, &value, WAKE_IN);
        if (ret < 0)
            return ret;
    }
    waitq_wake(&f->own_wq, WAKE_OUT);
    /* Linux: the count is gone even when the buffer is bad. */
    return copy_to_iter(dst, &value, sizeof(value)) == sizeof(value) ? (ssize_t)sizeof(value)
                                                                     : -EFAULT;
}

static ssize_t eventfd_write(struct file *f, struct iov_iter *src, lx_loff_t *pos)
{
    struct eventfd *e = eventfd_of(f);
    uint64_t value;
    int ret;

    if (iov_iter_count(src) < sizeof(value))
        return -EINVAL;
    if (copy_from_iter(src, &value, sizeof(value)) != sizeof(value))
        return -EFAULT;
    if (value == UINT64_MAX)
        return -EINVAL;
    if (!eventfd_try_write(e, value)) {
        if (file_nonblock(f))
            return -EAGAIN;
        ret = eventfd_wait(e, &value, WAKE_OUT);
        if (ret < 0)
            return ret;
    }
    waitq_wake(&f->own_wq, WAKE_IN);
    return sizeof(value);
}

static uint32_t eventfd_poll(struct file *f)
{
    uint64_t count = atomic_load(&eventfd_of(f)->count);

    return (count > 0 ? WAKE_IN : 0) | (count < EVENTFD_MAX ? WAKE_OUT : 0);
}

static size_t eventfd_fdinfo(struct file *f, char *buf, size_t size)
{
    struct eventfd *e = eventfd_of(f);
    int n = snprintf(buf, size, "eventfd-count: %16llx\neventfd-id: %u\n",
                     (unsigned long long)atomic_load(&e->count), e->id);

    return MIN((size_t)n, size);
}

static void eventfd_release(struct file *f)
{
    file_destroy_generic(f);
    free(eventfd_of(f));
}

static const struct file_ops eventfd_file_ops = {
    .read = eventfd_read,
    .write = eventfd_write,
    .poll = eventfd_poll,
    .fdinfo = eventfd_fdinfo,
    .seek = file_seek_nowhere,
    .release = eventfd_release,
};

bool file_is_eventfd(const struct file *f)
{
    return f->ops == &eventfd_file_ops;
}

void eventfd_signal(struct file *f)
{
    if (eventfd_try_write(eventfd_of(f), 1))
        waitq_wake(&f->own_wq, WAKE_IN);
}

int eventfd_create(uint64_t initial, uint32_t flags, struct file **out)
{
    static atomic_uint next_id;
    struct eventfd *e = calloc(1, sizeof(*e));
    int ret;

    if (!e)
        return -ENOMEM;
    file_init(&e->file, &eventfd_file_ops, LX_O_RDWR | (flags & LX_EFD_NONBLOCK));
    atomic_init(&e->count, initial);
    e->semaphore = flags & LX_EFD_SEMAPHORE;
    e->id = atomic_fetch_add(&next_id, 1);
    ret = file_set_anon(&e->file, "anon_inode:[eventfd]", 0600, NULL);
    if (ret < 0)
        file_put(&e->file);
    else
        *out = &e->file;
    return ret;
}
