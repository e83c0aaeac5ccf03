/* SPDX-License-Identifier: Apache-2.0 */
/* IORING_SETUP_SQPOLL: a thread of the kernel takes the entries; who adds some wakes it when it says so. */
#include "tests/support/uring_test.h"

#define RING(flags_)                                                                               \
    struct test_ring r;                                                                            \
    const char *why = ring_init(&r, 8, (flags_));                                                  \
    if (why)                                                                                       \
    SKIP_ON_HOST(why)

static void submit(struct test_ring *r)
{
    r->queued = 0;
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    if (__atomic_load_n(r->sq_flags, __ATOMIC_RELAXED) & IORING_SQ_NEED_WAKEUP)
        CHECK(ring_enter(r, 0, 0, IORING_ENTER_SQ_WAKEUP) >= 0);
}

TEST(requests_of_files)
{
    char buf[8] = "";
    int p[2];
    RING(IORING_SETUP_SQPOLL);

    CHECK(r.p.features & IORING_FEAT_SQPOLL_NONFIXED);
    REQUIRE(pipe(p) == 0);
    ring_sqe(&r, IORING_OP_WRITE, p[1], "abc", 3, 0, 1);
    submit(&r);
    CHECK_EQ(ring_wait(&r).res, 3);
    ring_sqe(&r, IORING_OP_READ, p[0], buf, sizeof(buf), 0, 2);
    submit(&r);
    CHECK_EQ(ring_wait(&r).res, 3);
    CHECK_STR(buf, "abc");
    close(p[0]);
    close(p[1]);
    ring_end(&r);
}

TEST(more_than_the_queue_holds)
{
    unsigned seen = 0;
    struct test_cqe c;
    RING(IORING_SETUP_SQPOLL);

    for (unsigned i = 0; i < 100; i++) {
        while (*r.sq_tail - __atomic_load_n(r.sq_head, __ATOMIC_ACQUIRE) == r.p.sq_entries)
            CHECK(ring_enter(&r, 0, 0, IORING_ENTER_SQ_WAKEUP | IORING_ENTER_SQ_WAIT) >= 0);
        ring_sqe(&r, IORING_OP_NOP, -1, NULL, 0, 0, i);
        submit(&r);
        while (ring_take(&r, &c))
            CHECK_EQ(c.user_data, seen++);
    }
    while (seen < 100)
        CHECK_EQ(ring_wait(&r).user_data, seen++);
    ring_end(&r);
}

TEST(what_enter_returns)
{
    RING(IORING_SETUP_SQPOLL);

    CHECK_EQ(ring_enter(&r, 5, 0, 0), 5);
    CHECK_EQ(ring_enter(&r, 0, 0, IORING_ENTER_SQ_WAKEUP), 0);
    ring_end(&r);
}

TEST(refusals)
{
    struct io_uring_params p = {.flags = IORING_SETUP_SQ_AFF};

    if (sys(SYS_io_uring_setup, 8, &p) == -EPERM || sys(SYS_io_uring_setup, 8, &p) == -ENOSYS)
        SKIP_ON_HOST("io_uring is off here");
    CHECK_ERR(sys(SYS_io_uring_setup, 8, &p), EINVAL);
    p = (struct io_uring_params){.flags = IORING_SETUP_SQ_AFF | IORING_SETUP_SQPOLL,
                                 .sq_thread_cpu = 100000};
    CHECK_ERR(sys(SYS_io_uring_setup, 8, &p), EINVAL);
    p = (struct io_uring_params){.flags = IORING_SETUP_SQPOLL | IORING_SETUP_COOP_TASKRUN};
    CHECK_ERR(sys(SYS_io_uring_setup, 8, &p), EINVAL);
}

GUEST_TEST_MAIN
