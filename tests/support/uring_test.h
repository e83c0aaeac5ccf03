/* SPDX-License-Identifier: Apache-2.0 */
/* A ring for guest tests: raw system calls, the rings mapped, entries by hand. */
#pragma once

#include <linux/io_uring.h>
#include <linux/time_types.h>
#include <sys/mman.h>
#include <sys/uio.h>

#include "tests/support/guest_test.h"

struct test_ring {
    int fd;
    struct io_uring_params p;
    char *ring, *sqes_map;
    size_t ring_size, sqes_size;
    struct io_uring_sqe *sqes;
    struct io_uring_cqe *cqes;
    unsigned *sq_head, *sq_tail, *sq_array, *sq_flags, *cq_head, *cq_tail, *cq_overflow;
    unsigned queued;
};

__attribute__((unused)) static long ring_enter(struct test_ring *r, unsigned submit, unsigned wait,
                                               unsigned flags)
{
    return sys(SYS_io_uring_enter, r->fd, submit, wait, flags, 0L, 0L);
}

/* NULL, or why not. */
__attribute__((unused)) static const char *ring_init(struct test_ring *r, unsigned entries,
                                                     unsigned flags)
{
    long fd;

    memset(r, 0, sizeof(*r));
    r->p.flags = flags;
    fd = sys(SYS_io_uring_setup, entries, &r->p);
    if (fd == -ENOSYS || fd == -EPERM)
        return "io_uring is off here";
    if (fd < 0)
        return "io_uring_setup fails";
    r->fd = (int)fd;
    r->ring_size = r->p.sq_off.array + r->p.sq_entries * sizeof(unsigned);
    if (r->ring_size < r->p.cq_off.cqes + r->p.cq_entries * sizeof(struct io_uring_cqe))
        r->ring_size = r->p.cq_off.cqes + r->p.cq_entries * sizeof(struct io_uring_cqe);
    r->sqes_size = r->p.sq_entries * sizeof(struct io_uring_sqe);
    r->ring = mmap(NULL, r->ring_size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, r->fd,
                   IORING_OFF_SQ_RING);
    r->sqes_map = mmap(NULL, r->sqes_size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, r->fd,
                       IORING_OFF_SQES);
    if (r->ring == MAP_FAILED || r->sqes_map == MAP_FAILED)
        return "the rings cannot be mapped";
    r->sqes = (void *)r->sqes_map;
    r->cqes = (void *)(r->ring + r->p.cq_off.cqes);
    r->sq_head = (void *)(r->ring + r->p.sq_off.head);
    r->sq_tail = (void *)(r->ring + r->p.sq_off.tail);
    r->sq_flags = (void *)(r->ring + r->p.sq_off.flags);
    r->sq_array = (void *)(r->ring + r->p.sq_off.array);
    r->cq_head = (void *)(r->ring + r->p.cq_off.head);
    r->cq_tail = (void *)(r->ring + r->p.cq_off.tail);
    r->cq_overflow = (void *)(r->ring + r->p.cq_off.overflow);
    return NULL;
}

__attribute__((unused)) static void ring_end(struct test_ring *r)
{
    munmap(r->ring, r->ring_size);
    munmap(r->sqes_map, r->sqes_size);
    close(r->fd);
}

/* The next entry, zeroed, with these fields; it is queued at once. */
__attribute__((unused)) static struct io_uring_sqe *ring_sqe(struct test_ring *r, int op, int fd,
                                                             const void *addr, unsigned len,
                                                             uint64_t off, uint64_t user_data)
{
    unsigned tail = *r->sq_tail, index = tail & (r->p.sq_entries - 1);
    struct io_uring_sqe *s = &r->sqes[index];

    memset(s, 0, sizeof(*s));
    s->opcode = (uint8_t)op;
    s->fd = fd;
    s->addr = (uintptr_t)addr;
    s->len = len;
    s->off = off;
    s->user_data = user_data;
    r->sq_array[index] = index;
    __atomic_store_n(r->sq_tail, tail + 1, __ATOMIC_RELEASE);
    r->queued++;
    return s;
}

__attribute__((unused)) static long ring_submit(struct test_ring *r, unsigned wait)
{
    unsigned n = r->queued;

    r->queued = 0;
    return ring_enter(r, n, wait, wait ? IORING_ENTER_GETEVENTS : 0);
}

/* The header's own type ends in a flexible array. */
struct test_cqe {
    uint64_t user_data;
    int32_t res;
    uint32_t flags;
};

/* Takes a completion; false: none there. */
__attribute__((unused)) static bool ring_take(struct test_ring *r, struct test_cqe *out)
{
    unsigned head = *r->cq_head;

    if (head == __atomic_load_n(r->cq_tail, __ATOMIC_ACQUIRE))
        return false;
    memcpy(out, &r->cqes[head & (r->p.cq_entries - 1)], sizeof(*out));
    __atomic_store_n(r->cq_head, head + 1, __ATOMIC_RELEASE);
    return true;
}

/* Waits for the next one. */
__attribute__((unused)) static struct test_cqe ring_wait(struct test_ring *r)
{
    struct test_cqe c = {.user_data = ~0ULL, .res = -9999};

    while (!ring_take(r, &c)) {
        long ret = ring_enter(r, 0, 1, IORING_ENTER_GETEVENTS);

        if (ret < 0 && ret != -EINTR) {
            c.res = (int)ret;
            break;
        }
    }
    return c;
}

/* Submits what is queued and waits for the completion of user_data alone: its result. */
__attribute__((unused)) static int ring_run(struct test_ring *r, uint64_t user_data)
{
    struct test_cqe c;
    long n = r->queued;

    if (ring_submit(r, 0) != n)
        return -9998;
    c = ring_wait(r);
    return c.user_data == user_data ? c.res : -9997;
}
