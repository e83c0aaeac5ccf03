// SPDX-License-Identifier: Apache-2.0
/* See iov_iter.h. */
#include "sentry/mm/iov_iter.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "platform/base/assert.h"
#include "sentry/mm/safecopy.h"
#include "sentry/mm/uaccess.h"

#define IOV_MAX_SEGMENTS 1024u

static bool range_ok(uint64_t base, uint64_t len)
{
    return base <= LX_TASK_SIZE && len <= LX_TASK_SIZE - base;
}

int iov_iter_init_user(struct iov_iter *it, uaddr_t buf, size_t size)
{
    memset(it, 0, offsetof(struct iov_iter, one));
    /* Linux: access_ok sees the whole size, before it is clamped. */
    if (!range_ok(buf, size))
        return -EFAULT;
    if (size > LX_MAX_RW_COUNT)
        size = LX_MAX_RW_COUNT;
    it->one[0] = (struct lx_iovec){.base = buf, .len = size};
    it->segs = it->one;
    it->nseg = 1;
    it->count = size;
    return 0;
}

/* Room for that many segments. */
static int make_room(struct iov_iter *it, size_t count)
{
    memset(it, 0, offsetof(struct iov_iter, one));
    if (count > IOV_MAX_SEGMENTS)
        return -EINVAL;
    it->segs = it->one;
    it->nseg = (uint32_t)count;
    if (count > ARRAY_COUNT(it->one)) {
        it->heap = malloc(count * sizeof(*it->heap));
        if (!it->heap)
            return -ENOMEM;
        it->segs = it->heap;
    }
    return 0;
}

static int check_segments(struct iov_iter *it)
{
    for (uint32_t i = 0; i < it->nseg; i++) {
        if ((int64_t)it->segs[i].len < 0)
            return -EINVAL;
    }
    for (uint32_t i = 0; i < it->nseg; i++) {
        struct lx_iovec *v = &it->segs[i];

        if (!range_ok(v->base, v->len))
            return -EFAULT;
        if (v->len > LX_MAX_RW_COUNT - it->count)
            v->len = LX_MAX_RW_COUNT - it->count;
        it->count += v->len;
    }
    return 0;
}

int iov_iter_init_iovec(struct iov_iter *it, uaddr_t iovec, size_t count)
{
    int ret;

    count = (uint32_t)count; /* Linux: the calls take a long, what they share takes an unsigned */
    ret = make_room(it, count);
    if (ret < 0)
        return ret;
    ret = copy_in(it->segs, iovec, count * sizeof(*it->segs)) < 0 ? -EFAULT : check_segments(it);
    if (ret < 0)
        iov_iter_destroy(it);
    return ret;
}

int iov_iter_init_copied(struct iov_iter *it, const struct lx_iovec *v, size_t count)
{
    int ret = make_room(it, count);

    if (ret < 0)
        return ret;
    memcpy(it->segs, v, count * sizeof(*v));
    ret = check_segments(it);
    if (ret < 0)
        iov_iter_destroy(it);
    return ret;
}

void iov_iter_init_kernel(struct iov_iter *it, void *buf, size_t size)
{
    memset(it, 0, offsetof(struct iov_iter, one));
    it->kernel = true;
    it->one[0] = (struct lx_iovec){.base = (uintptr_t)buf, .len = size};
    it->segs = it->one;
    it->nseg = 1;
    it->count = size;
}

void iov_iter_destroy(struct iov_iter *it)
{
    free(it->heap);
    it->heap = NULL;
    it->nseg = 0;
    it->count = 0;
}

void iov_iter_truncate(struct iov_iter *it, size_t size)
{
    if (size < it->count)
        it->count = size;
}

void iov_iter_advance(struct iov_iter *it, size_t size)
{
    if (size > it->count)
        size = it->count;
    it->count -= size;
    while (it->nseg > 0 && size >= it->segs->len - it->seg_off) {
        size -= it->segs->len - it->seg_off;
        it->segs++;
        it->nseg--;
        it->seg_off = 0;
        if (size == 0 && it->count == 0)
            break;
    }
    it->seg_off += size;
}

enum iter_op { ITER_TO, ITER_FROM, ITER_ZERO };

static size_t move_piece(const struct iov_iter *it, enum iter_op op, void *buf, uint64_t at,
                         size_t n)
{
    /* SAFETY: kernel segments hold addresses of the sentry's own memory. */
    void *p = (void *)(uintptr_t)at;

    switch (op) {
    case ITER_TO:
        return it->kernel ? n - safe_memcpy(p, buf, n) : copy_out_partial(at, buf, n);
    case ITER_FROM:
        return it->kernel ? n - safe_memcpy(buf, p, n) : copy_in_partial(buf, at, n);
    case ITER_ZERO:
        return it->kernel ? n - safe_memset(p, 0, n) : clear_out_partial(at, n);
    }
    UNREACHABLE();
}

static size_t iter_move(struct iov_iter *it, enum iter_op op, char *buf, size_t size)
{
    size_t done = 0;

    if (size > it->count)
        size = it->count;
    while (done < size) {
        size_t n = MIN(size - done, it->segs->len - it->seg_off), moved;

        moved =
            n ? move_piece(it, op, buf ? buf + done : NULL, it->segs->base + it->seg_off, n) : 0;
        iov_iter_advance(it, moved); /* by 0: over empty segments */
        done += moved;
        if (moved < n)
            break;
    }
    return done;
}

size_t copy_to_iter(struct iov_iter *it, const void *src, size_t size)
{
    /* SAFETY: ITER_TO only reads buf. */
    return iter_move(it, ITER_TO, (char *)(uintptr_t)src, size);
}

size_t copy_from_iter(struct iov_iter *it, void *dst, size_t size)
{
    return iter_move(it, ITER_FROM, dst, size);
}

size_t zero_iter(struct iov_iter *it, size_t size)
{
    return iter_move(it, ITER_ZERO, NULL, size);
}
