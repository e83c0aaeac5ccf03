/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A scatter list of guest or sentry memory that read/write style operations consume. Guest iovecs
 * are copied in and checked once, at init; nothing is accessed until data moves.
 */
#pragma once

#include "platform/base/compiler.h"
#include "sentry/abi/types.h"

struct lx_iovec {
    uint64_t base, len;
};

struct iov_iter {
    bool kernel;           /* segments are sentry addresses */
    uint32_t nseg;         /* remaining segments */
    size_t seg_off;        /* consumed bytes of the first segment */
    size_t count;          /* remaining bytes, <= LX_MAX_RW_COUNT */
    struct lx_iovec *segs; /* first remaining segment */
    struct lx_iovec *heap; /* allocated array or NULL */
    struct lx_iovec one[8];
};

/* Range check only (-EFAULT when it leaves user space); clamps to LX_MAX_RW_COUNT. */
int MUST_CHECK iov_iter_init_user(struct iov_iter *it, uaddr_t buf, size_t size);
/* -EINVAL (count > 1024, negative length), -EFAULT, -ENOMEM. */
int MUST_CHECK iov_iter_init_iovec(struct iov_iter *it, uaddr_t iovec, size_t count);
/* The same of vectors that were copied in before. */
int MUST_CHECK iov_iter_init_copied(struct iov_iter *it, const struct lx_iovec *v, size_t count);
void iov_iter_init_kernel(struct iov_iter *it, void *buf, size_t size);
void iov_iter_destroy(struct iov_iter *it);
static inline size_t iov_iter_count(const struct iov_iter *it)
{
    return it->count;
}
/* Limits the iterator to at most size bytes. */
void iov_iter_truncate(struct iov_iter *it, size_t size);
void iov_iter_advance(struct iov_iter *it, size_t size);
/* Move bytes and advance. Return the bytes moved before the first fault (0 with count > 0: -EFAULT
 * is the caller's errno). "to": into the iterator's memory (read), "from": out of it (write). */
size_t copy_to_iter(struct iov_iter *it, const void *src, size_t size);
size_t copy_from_iter(struct iov_iter *it, void *dst, size_t size);
size_t zero_iter(struct iov_iter *it, size_t size);
