/* SPDX-License-Identifier: Apache-2.0 */
/* io_uring: what holds in the middle of a chain; rings of one thread; transfers in several turns. What
 * liburing's own tests look at. */
#include <pthread.h>
#include <sys/socket.h>

#include "tests/support/uring_test.h"

#define RING(flags_)                                                                               \
    struct test_ring r;                                                                            \
    const char *why = ring_init(&r, 16, (flags_));                                                 \
    if (why)                                                                                       \
    SKIP_ON_HOST(why)

static void link_to_next(struct io_uring_sqe *s)
{
    s->flags |= IOSQE_IO_LINK;
}

TEST(a_timeout_limits_the_second_of_a_chain)
{
    struct __kernel_timespec ts = {.tv_nsec = 1000000};
    struct test_cqe c;
    int p[2];
    RING(0);

    REQUIRE(pipe(p) == 0);
    link_to_next(ring_sqe(&r, IORING_OP_NOP, -1, NULL, 0, 0, 1));
    link_to_next(ring_sqe(&r, IORING_OP_READ, p[0], &c, 1, 0, 2));
    ring_sqe(&r, IORING_OP_LINK_TIMEOUT, -1, &ts, 1, 0, 3);
    CHECK_EQ(ring_submit(&r, 0), 3);
    for (int i = 0; i < 3; i++) {
        c = ring_wait(&r);
        CHECK_EQ(c.res, c.user_data == 1 ? 0 : c.user_data == 2 ? -ECANCELED : -ETIME);
    }
    close(p[0]);
    close(p[1]);
    ring_end(&r);
}

TEST(one_timeout_limits_one)
{
    struct __kernel_timespec ts = {.tv_nsec = 1000000};
    struct test_cqe c;
    int p[2];
    RING(0);

    REQUIRE(pipe(p) == 0);
    link_to_next(ring_sqe(&r, IORING_OP_READ, p[0], &c, 1, 0, 1));
    link_to_next(ring_sqe(&r, IORING_OP_LINK_TIMEOUT, -1, &ts, 1, 0, 2));
    ring_sqe(&r, IORING_OP_LINK_TIMEOUT, -1, &ts, 1, 0, 3);
    CHECK_EQ(ring_submit(&r, 0), 3);
    for (int i = 0; i < 3; i++) {
        c = ring_wait(&r);
        CHECK_EQ(c.res, c.user_data == 3 ? -EINVAL : -ECANCELED);
    }
    close(p[0]);
    close(p[1]);
    ring_end(&r);
}

TEST(a_chain_uses_what_it_opened)
{
    int none[1] = {-1};
    char buf[4] = "xxx";
    RING(0);

    if (sys(SYS_io_uring_register, r.fd, IORING_REGISTER_FILES, none, 1L) < 0 ||
        !(r.p.features & IORING_FEAT_LINKED_FILE))
        SKIP_ON_HOST("before Linux 5.19");
    {
        struct io_uring_sqe *s = ring_sqe(&r, IORING_OP_OPENAT, AT_FDCWD, "/dev/zero", 0, 0, 1);

        s->file_index = 1;
        link_to_next(s);
    }
    ring_sqe(&r, IORING_OP_READ, 0, buf, sizeof(buf), 0, 2)->flags = IOSQE_FIXED_FILE;
    CHECK_EQ(ring_submit(&r, 0), 2);
    CHECK_EQ(ring_wait(&r).res, 0);
    CHECK_EQ(ring_wait(&r).res, sizeof(buf));
    CHECK_EQ(buf[0], 0);
    ring_end(&r);
}

/* What is wrong at submission ends it there, and the chain before it began. */
TEST(a_bad_priority_stops_the_submission)
{
    struct test_cqe c;
    char buf[4];
    RING(0);

    ring_sqe(&r, IORING_OP_READ, -1, buf, 1, 0, 1)->ioprio = 0xffff;
    ring_sqe(&r, IORING_OP_NOP, -1, NULL, 0, 0, 2);
    CHECK_EQ(ring_submit(&r, 0), 1);
    CHECK_EQ(ring_wait(&r).res, -EINVAL);
    CHECK(!ring_take(&r, &c));
    ring_end(&r);
}

TEST(a_drain_within_drains_the_whole_chain)
{
    int p[2];
    char c;
    RING(0);

    REQUIRE(pipe(p) == 0);
    ring_sqe(&r, IORING_OP_READ, p[0], &c, 1, 0, 0);
    link_to_next(ring_sqe(&r, IORING_OP_NOP, -1, NULL, 0, 0, 1));
    link_to_next(ring_sqe(&r, IORING_OP_NOP, -1, NULL, 0, 0, 2));
    ring_sqe(&r, IORING_OP_NOP, -1, NULL, 0, 0, 3);
    r.sqes[2].flags |= IOSQE_IO_DRAIN;
    ring_sqe(&r, IORING_OP_NOP, -1, NULL, 0, 0, 4);
    CHECK_EQ(ring_submit(&r, 0), 5);
    CHECK_EQ(write(p[1], "x", 1), 1);
    for (uint64_t i = 0; i < 5; i++)
        CHECK_EQ(ring_wait(&r).user_data, i);
    close(p[0]);
    close(p[1]);
    ring_end(&r);
}

TEST(a_failed_chain_without_completions_tells_once)
{
    struct test_cqe c;
    RING(0);

    if (!(r.p.features & IORING_FEAT_CQE_SKIP))
        SKIP_ON_HOST("before Linux 5.17");
    ring_sqe(&r, IORING_OP_NOP, -1, NULL, 0, 0, 1)->flags = IOSQE_IO_LINK | IOSQE_CQE_SKIP_SUCCESS;
    ring_sqe(&r, IORING_OP_READ, -1, &c, 1, 0, 2)->flags = IOSQE_IO_LINK | IOSQE_CQE_SKIP_SUCCESS;
    ring_sqe(&r, IORING_OP_NOP, -1, NULL, 0, 0, 3);
    CHECK_EQ(ring_submit(&r, 0), 3);
    c = ring_wait(&r);
    CHECK_EQ(c.user_data, 2);
    CHECK_EQ(c.res, -EBADF);
    CHECK(!ring_take(&r, &c));
    ring_end(&r);
}

TEST(a_timeout_ends_the_wait_for_more)
{
    struct __kernel_timespec ts = {.tv_nsec = 1000000};
    struct test_cqe c;
    RING(0);

    ring_sqe(&r, IORING_OP_TIMEOUT, -1, &ts, 1, 0, 1);
    CHECK_EQ(ring_submit(&r, 3), 1);
    CHECK(ring_take(&r, &c));
    CHECK_EQ(c.res, -ETIME);
    ring_end(&r);
}

TEST(a_wait_that_ends_early_tells_what_is_there)
{
    struct __kernel_timespec ts = {.tv_nsec = 1000000};
    struct io_uring_getevents_arg arg = {.ts = (uintptr_t)&ts};
    RING(0);

    if (!(r.p.features & IORING_FEAT_EXT_ARG))
        SKIP_ON_HOST("before Linux 5.11");
    CHECK_ERR(sys(SYS_io_uring_enter, r.fd, 0, 2, IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG,
                  &arg, sizeof(arg)),
              ETIME);
    ring_sqe(&r, IORING_OP_NOP, -1, NULL, 0, 0, 1);
    CHECK_EQ(ring_submit(&r, 0), 1);
    CHECK_EQ(sys(SYS_io_uring_enter, r.fd, 0, 2, IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG,
                 &arg, sizeof(arg)),
             0);
    CHECK_EQ(ring_wait(&r).res, 0);
    ring_end(&r);
}

static void *enter_elsewhere(void *arg)
{
    struct test_ring *r = arg;

    ring_sqe(r, IORING_OP_NOP, -1, NULL, 0, 0, 1);
    CHECK_EQ(ring_submit(r, 0), -EEXIST);
    CHECK_EQ(sys(SYS_io_uring_register, r->fd, IORING_UNREGISTER_FILES, 0L, 0L), -EEXIST);
    return NULL;
}

TEST(a_ring_of_one_thread)
{
    pthread_t other;
    RING(IORING_SETUP_SINGLE_ISSUER);

    REQUIRE(pthread_create(&other, NULL, enter_elsewhere, &r) == 0);
    pthread_join(other, NULL);
    CHECK_EQ(ring_enter(&r, 1, 0, 0), 1);
    CHECK_EQ(ring_wait(&r).res, 0);
    ring_end(&r);
}

TEST(receive_all)
{
    struct test_cqe c;
    char buf[8] = "";
    int s[2];
    RING(0);

    REQUIRE(socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0);
    ring_sqe(&r, IORING_OP_RECV, s[0], buf, 6, 0, 1)->msg_flags = MSG_WAITALL;
    CHECK_EQ(ring_submit(&r, 0), 1);
    CHECK_EQ(send(s[1], "abc", 3, 0), 3);
    CHECK_EQ(ring_enter(&r, 0, 0, IORING_ENTER_GETEVENTS), 0);
    CHECK(!ring_take(&r, &c));
    CHECK_EQ(send(s[1], "def", 3, 0), 3);
    CHECK_EQ(ring_wait(&r).res, 6);
    CHECK_STR(buf, "abcdef");
    /* The end comes first. */
    ring_sqe(&r, IORING_OP_RECV, s[0], buf, 6, 0, 2)->msg_flags = MSG_WAITALL;
    CHECK_EQ(ring_submit(&r, 0), 1);
    CHECK_EQ(send(s[1], "gh", 2, 0), 2);
    close(s[1]);
    CHECK_EQ(ring_wait(&r).res, 2);
    close(s[0]);
    ring_end(&r);
}

TEST(splice_at_positions)
{
    struct io_uring_sqe *s;
    char buf[8] = "";
    int p[2], fd;
    RING(0);

    test_tmpdir();
    REQUIRE(pipe(p) == 0);
    fd = open("f", O_RDWR | O_CREAT, 0600);
    CHECK_EQ(write(fd, "0123456789", 10), 10);
    s = ring_sqe(&r, IORING_OP_SPLICE, p[1], NULL, 4, (uint64_t)-1, 1);
    s->splice_off_in = 3;
    s->splice_fd_in = fd;
    CHECK_EQ(ring_run(&r, 1), 4);
    s = ring_sqe(&r, IORING_OP_SPLICE, fd, NULL, 4, 10, 2);
    s->splice_off_in = (uint64_t)-1;
    s->splice_fd_in = p[0];
    CHECK_EQ(ring_run(&r, 2), 4);
    CHECK_EQ(pread(fd, buf, 4, 10), 4);
    CHECK_STR(buf, "3456");
    s = ring_sqe(&r, IORING_OP_SPLICE, p[1], NULL, 4, 5, 3);
    s->splice_off_in = 3;
    s->splice_fd_in = fd;
    CHECK_EQ(ring_run(&r, 3), -ESPIPE);
    s = ring_sqe(&r, IORING_OP_TEE, p[1], NULL, 4, 5, 4);
    s->splice_fd_in = p[0];
    CHECK_EQ(ring_run(&r, 4), -EINVAL);
    /* From a fixed file. */
    CHECK_EQ(sys(SYS_io_uring_register, r.fd, IORING_REGISTER_FILES, &fd, 1L), 0);
    s = ring_sqe(&r, IORING_OP_SPLICE, p[1], NULL, 4, (uint64_t)-1, 5);
    s->splice_off_in = 1;
    s->splice_fd_in = 0;
    s->splice_flags = SPLICE_F_FD_IN_FIXED;
    CHECK_EQ(ring_run(&r, 5), 4);
    CHECK_EQ(read(p[0], buf, 4), 4);
    CHECK_STR(buf, "1234");
    close(fd);
    close(p[0]);
    close(p[1]);
    ring_end(&r);
}

TEST(a_ring_that_polls_devices)
{
    char buf[8];
    int fd;
    RING(IORING_SETUP_IOPOLL);

    test_tmpdir();
    fd = open("f", O_RDWR | O_CREAT, 0600);
    ring_sqe(&r, IORING_OP_NOP, -1, NULL, 0, 0, 1);
    CHECK_EQ(ring_run(&r, 1), 0);
    ring_sqe(&r, IORING_OP_READ, fd, buf, sizeof(buf), 0, 2);
    CHECK_EQ(ring_run(&r, 2), -EOPNOTSUPP); /* without O_DIRECT */
    ring_sqe(&r, IORING_OP_FSYNC, fd, NULL, 0, 0, 3);
    CHECK_EQ(ring_run(&r, 3), -EINVAL);
    close(fd);
    ring_end(&r);
}

GUEST_TEST_MAIN
