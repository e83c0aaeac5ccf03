/* SPDX-License-Identifier: Apache-2.0 */
/* io_uring: requests that are cancelled by a call (SYNC_CANCEL), timeouts of others that tell nothing, and
 * fixed files that one ring sends to another. */
#include "tests/support/uring_test.h"

#define RING(entries)                                                                              \
    struct test_ring r;                                                                            \
    const char *why = ring_init(&r, (entries), 0);                                                 \
    if (why)                                                                                       \
    SKIP_ON_HOST(why)

enum { SLOTS = 4 };

static char g_byte[8];

static long sync_cancel(struct test_ring *r, uint64_t addr, int fd, unsigned flags)
{
    const struct io_uring_sync_cancel_reg c = {
        .addr = addr, .fd = fd, .flags = flags, .timeout = {.tv_sec = 3600}};

    return sys(SYS_io_uring_register, r->fd, IORING_REGISTER_SYNC_CANCEL, &c, 1L);
}

static void read_of(struct test_ring *r, int fd, uint64_t user_data)
{
    ring_sqe(r, IORING_OP_READ, fd, g_byte, 1, 0, user_data);
}

static void check_cancelled(struct test_ring *r, uint64_t user_data)
{
    struct test_cqe c = ring_wait(r);

    CHECK_EQ(c.user_data, user_data);
    CHECK_EQ(c.res, -ECANCELED);
}

TEST(by_number)
{
    int p[2];
    RING(8);

    REQUIRE(pipe(p) == 0);
    read_of(&r, p[0], 1);
    read_of(&r, p[0], 2);
    CHECK_EQ(ring_submit(&r, 0), 2);
    if (sync_cancel(&r, 9, 0, 0) == -EINVAL)
        SKIP_ON_HOST("before Linux 6.0");
    CHECK_EQ(sync_cancel(&r, 9, 0, 0), -ENOENT);
    CHECK_EQ(sync_cancel(&r, 2, 0, 0), 0);
    check_cancelled(&r, 2);
    CHECK_EQ(sync_cancel(&r, 2, 0, 0), -ENOENT);
    CHECK_EQ(sync_cancel(&r, 1, 0, 0), 0);
    check_cancelled(&r, 1);
    close(p[0]);
    close(p[1]);
    ring_end(&r);
}

TEST(by_file_and_all)
{
    int p[2], other[2];
    RING(8);

    REQUIRE(pipe(p) == 0 && pipe(other) == 0);
    read_of(&r, p[0], 7);
    read_of(&r, other[0], 8);
    read_of(&r, p[0], 7);
    CHECK_EQ(ring_submit(&r, 0), 3);
    if (sync_cancel(&r, 9, 0, 0) == -EINVAL)
        SKIP_ON_HOST("before Linux 6.0");
    CHECK_EQ(sync_cancel(&r, 0, 999, IORING_ASYNC_CANCEL_FD), -EBADF);
    CHECK_EQ(sync_cancel(&r, 0, p[0], IORING_ASYNC_CANCEL_FD | IORING_ASYNC_CANCEL_ALL), 2);
    check_cancelled(&r, 7);
    check_cancelled(&r, 7);
    CHECK_EQ(sync_cancel(&r, 0, p[0], IORING_ASYNC_CANCEL_FD), -ENOENT);
    CHECK_EQ(sync_cancel(&r, 0, 0, IORING_ASYNC_CANCEL_ANY), 1);
    check_cancelled(&r, 8);
    CHECK_EQ(sync_cancel(&r, 0, 0, IORING_ASYNC_CANCEL_ANY), 0);
    ring_end(&r);
}

TEST(refuses)
{
    struct io_uring_sync_cancel_reg c = {.flags = 1u << 31};
    RING(8);

    CHECK_EQ(sys(SYS_io_uring_register, r.fd, IORING_REGISTER_SYNC_CANCEL, &c, 1L), -EINVAL);
    c.flags = 0;
    CHECK_EQ(sys(SYS_io_uring_register, r.fd, IORING_REGISTER_SYNC_CANCEL, &c, 2L), -EINVAL);
    CHECK_EQ(sys(SYS_io_uring_register, r.fd, IORING_REGISTER_SYNC_CANCEL, NULL, 1L), -EINVAL);
    CHECK_EQ(sys(SYS_io_uring_register, r.fd, IORING_REGISTER_SYNC_CANCEL, 8L, 1L), -EFAULT);
    c.pad[3] = 1;
    CHECK_EQ(sys(SYS_io_uring_register, r.fd, IORING_REGISTER_SYNC_CANCEL, &c, 1L), -EINVAL);
    ring_end(&r);
}

/* A timeout of another request that wants no completion gets none, whether it was needed or not. */
TEST(a_link_timeout_may_be_silent)
{
    struct __kernel_timespec soon = {.tv_nsec = 10000000}, later = {.tv_sec = 3600};
    struct test_cqe c;
    int p[2];
    RING(8);

    REQUIRE(pipe(p) == 0);
    ring_sqe(&r, IORING_OP_READ, p[0], g_byte, 1, 0, 1)->flags = IOSQE_IO_LINK;
    ring_sqe(&r, IORING_OP_LINK_TIMEOUT, -1, &soon, 1, 0, 2)->flags = IOSQE_CQE_SKIP_SUCCESS;
    CHECK_EQ(ring_submit(&r, 1), 2);
    check_cancelled(&r, 1);
    ring_sqe(&r, IORING_OP_READ, p[0], g_byte, 1, 0, 3)->flags = IOSQE_IO_LINK;
    ring_sqe(&r, IORING_OP_LINK_TIMEOUT, -1, &later, 1, 0, 4)->flags = IOSQE_CQE_SKIP_SUCCESS;
    CHECK_EQ(ring_submit(&r, 0), 2);
    CHECK_EQ(write(p[1], "x", 1), 1);
    c = ring_wait(&r);
    CHECK_EQ(c.user_data, 3);
    CHECK_EQ(c.res, 1);
    ring_sqe(&r, IORING_OP_NOP, -1, NULL, 0, 0, 5);
    CHECK_EQ(ring_run(&r, 5), 0);
    CHECK(!ring_take(&r, &c));
    close(p[0]);
    close(p[1]);
    ring_end(&r);
}

/* ---- files that are sent --------------------------------------------------------------------- */

static bool add_slots(struct test_ring *r)
{
    const struct io_uring_rsrc_register reg = {.nr = SLOTS, .flags = IORING_RSRC_REGISTER_SPARSE};

    return sys(SYS_io_uring_register, r->fd, IORING_REGISTER_FILES2, &reg, sizeof(reg)) == 0;
}

static void fill_slot(struct test_ring *r, unsigned slot, int fd)
{
    const struct io_uring_files_update u = {.offset = slot, .fds = (uintptr_t)&fd};

    CHECK_EQ(sys(SYS_io_uring_register, r->fd, IORING_REGISTER_FILES_UPDATE, &u, 1L), 1);
}

static struct io_uring_sqe *send_fd(struct test_ring *from, struct test_ring *to, unsigned slot,
                                    unsigned index, uint64_t user_data)
{
    struct io_uring_sqe *s = ring_sqe(from, IORING_OP_MSG_RING, to->fd, NULL, 0, 4711, user_data);

    s->addr = IORING_MSG_SEND_FD;
    s->addr3 = slot;
    s->file_index = index;
    return s;
}

TEST(a_ring_sends_a_file)
{
    struct test_ring to;
    struct test_cqe c;
    int p[2], ret;
    RING(8);

    REQUIRE(ring_init(&to, 8, 0) == NULL && pipe(p) == 0);
    REQUIRE(add_slots(&r) && add_slots(&to));
    fill_slot(&r, 1, p[0]);
    send_fd(&r, &to, 1, 3, 1);
    ret = ring_run(&r, 1);
    if (ret == -EINVAL)
        SKIP_ON_HOST("before Linux 6.0");
    CHECK_EQ(ret, 0);
    c = ring_wait(&to);
    CHECK_EQ(c.user_data, 4711);
    CHECK_EQ(c.res, 0);
    /* It is at slot 2 there, without the sender's descriptor or slot. */
    fill_slot(&r, 1, -1);
    close(p[0]);
    CHECK_EQ(write(p[1], "x", 1), 1);
    ring_sqe(&to, IORING_OP_READ, 2, g_byte, 1, 0, 2)->flags = IOSQE_FIXED_FILE;
    CHECK_EQ(ring_run(&to, 2), 1);
    close(p[1]);
    ring_end(&to);
    ring_end(&r);
}

TEST(sending_a_file_quietly_and_in_vain)
{
    struct test_ring to;
    struct test_cqe c;
    int p[2], ret;
    RING(8);

    REQUIRE(ring_init(&to, 8, 0) == NULL && pipe(p) == 0);
    REQUIRE(add_slots(&r));
    fill_slot(&r, 0, p[0]);
    send_fd(&r, &to, 0, 1, 1);
    ret = ring_run(&r, 1);
    if (ret == -EINVAL)
        SKIP_ON_HOST("before Linux 6.0");
    CHECK_EQ(ret, -ENXIO); /* no slots there */
    REQUIRE(add_slots(&to));
    send_fd(&r, &to, 1, 1, 2);
    CHECK_EQ(ring_run(&r, 2), -EBADF); /* nothing in that one */
    send_fd(&r, &to, SLOTS, 1, 3);
    CHECK_EQ(ring_run(&r, 3), -EBADF);
    send_fd(&r, &to, 0, SLOTS + 1, 4);
    CHECK_EQ(ring_run(&r, 4), -EINVAL);
    send_fd(&r, &r, 0, 2, 5);
    CHECK_EQ(ring_run(&r, 5), -EINVAL); /* to itself */
    ring_sqe(&r, IORING_OP_MSG_RING, to.fd, NULL, 42, 4711, 6)->addr = 77;
    CHECK_EQ(ring_run(&r, 6), -EINVAL);
    CHECK(!ring_take(&to, &c));
    send_fd(&r, &to, 0, 1, 7)->msg_ring_flags = IORING_MSG_RING_CQE_SKIP;
    CHECK_EQ(ring_run(&r, 7), 0);
    CHECK(!ring_take(&to, &c));
    /* Any free slot. */
    send_fd(&r, &to, 0, IORING_FILE_INDEX_ALLOC, 8);
    CHECK_EQ(ring_run(&r, 8), 1);
    c = ring_wait(&to);
    CHECK_EQ(c.res, 1);
    send_fd(&r, &to, 0, 2, 9)->len = 1;
    CHECK_EQ(ring_run(&r, 9), -EINVAL);
    close(p[0]);
    close(p[1]);
    ring_end(&to);
    ring_end(&r);
}

TEST(a_ring_that_is_not_enabled_gets_nothing)
{
    struct test_ring to;
    RING(8);

    REQUIRE(ring_init(&to, 8, IORING_SETUP_R_DISABLED) == NULL);
    ring_sqe(&r, IORING_OP_MSG_RING, to.fd, NULL, 42, 4711, 1);
    CHECK_EQ(ring_run(&r, 1), -EBADFD);
    CHECK_EQ(sys(SYS_io_uring_register, to.fd, IORING_REGISTER_ENABLE_RINGS, NULL, 0L), 0);
    ring_sqe(&r, IORING_OP_MSG_RING, to.fd, NULL, 42, 4711, 2);
    CHECK_EQ(ring_run(&r, 2), 0);
    CHECK_EQ(ring_wait(&to).res, 42);
    ring_end(&to);
    ring_end(&r);
}

GUEST_TEST_MAIN
