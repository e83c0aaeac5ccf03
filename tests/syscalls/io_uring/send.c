/* SPDX-License-Identifier: Apache-2.0 */
/* io_uring: SEND with an address, SEND_ZC and SENDMSG_ZC, whose end is told twice; rings that share workers. */
#include <netinet/in.h>
#include <sys/socket.h>

#include "tests/support/uring_test.h"

#define RING(entries)                                                                              \
    struct test_ring r;                                                                            \
    const char *why = ring_init(&r, (entries), 0);                                                 \
    if (why)                                                                                       \
    SKIP_ON_HOST(why)

static char g_data[4096];

static int udp(struct sockaddr_in *out)
{
    socklen_t len = sizeof(*out);
    int s = socket(AF_INET, SOCK_DGRAM, 0);

    *out = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    CHECK_EQ(bind(s, (void *)out, len), 0);
    CHECK_EQ(getsockname(s, (void *)out, &len), 0);
    return s;
}

/* With an address, which may be gone once the request is submitted. */
static struct io_uring_sqe *send_to(struct test_ring *r, int op, int fd, unsigned len,
                                    const struct sockaddr_in *to, uint64_t user_data)
{
    struct io_uring_sqe *s = ring_sqe(r, op, fd, g_data, len, (uintptr_t)to, user_data);

    s->addr_len = sizeof(*to);
    return s;
}

/* The result with MORE, then that the buffer is free. */
static int both_ends(struct test_ring *r, uint64_t user_data)
{
    struct test_cqe result = ring_wait(r), end;

    if (result.res == -EINVAL)
        return -EINVAL;
    CHECK_EQ(result.user_data, user_data);
    CHECK(result.flags & IORING_CQE_F_MORE);
    end = ring_wait(r);
    CHECK_EQ(end.user_data, user_data);
    CHECK_EQ(end.res, 0);
    CHECK_EQ(end.flags, IORING_CQE_F_NOTIF);
    return result.res;
}

TEST(to_an_address)
{
    struct __kernel_timespec ts = {.tv_nsec = 20000000};
    struct sockaddr_in a, b, to;
    struct io_uring_sqe *s;
    char buf[16];
    int x = udp(&a), y = udp(&b);
    RING(8);

    to = b;
    send_to(&r, IORING_OP_SEND, x, 5, &to, 1);
    CHECK_EQ(ring_run(&r, 1), 5);
    CHECK_EQ(recv(y, buf, sizeof(buf), 0), 5);
    /* Behind a timeout: the address is the one of the submission. */
    s = ring_sqe(&r, IORING_OP_TIMEOUT, -1, &ts, 1, 0, 2);
    s->flags = IOSQE_IO_LINK;
    s->timeout_flags = IORING_TIMEOUT_ETIME_SUCCESS;
    send_to(&r, IORING_OP_SEND, x, 6, &to, 3);
    CHECK_EQ(ring_submit(&r, 0), 2);
    memset(&to, 0, sizeof(to));
    CHECK_EQ(ring_wait(&r).res, -ETIME);
    CHECK_EQ(ring_wait(&r).res, 6);
    CHECK_EQ(recv(y, buf, sizeof(buf), 0), 6);
    send_to(&r, IORING_OP_SEND, x, 5, &b, 4)->__pad3[0] = 1;
    CHECK_EQ(ring_run(&r, 4), -EINVAL);
    close(x);
    close(y);
    ring_end(&r);
}

TEST(zero_copy)
{
    struct iovec iov = {g_data, 7};
    struct sockaddr_in a, b;
    struct msghdr m = {.msg_name = &b, .msg_namelen = sizeof(b), .msg_iov = &iov, .msg_iovlen = 1};
    char buf[4096];
    int x = udp(&a), y = udp(&b), ret;
    RING(8);

    send_to(&r, IORING_OP_SEND_ZC, x, 2000, &b, 1);
    CHECK_EQ(ring_submit(&r, 0), 1);
    ret = both_ends(&r, 1);
    if (ret == -EINVAL)
        SKIP_ON_HOST("before Linux 6.0");
    CHECK_EQ(ret, 2000);
    CHECK_EQ(recv(y, buf, sizeof(buf), 0), 2000);
    ring_sqe(&r, IORING_OP_SENDMSG_ZC, x, &m, 1, 0, 2);
    CHECK_EQ(ring_submit(&r, 0), 1);
    CHECK_EQ(both_ends(&r, 2), 7);
    CHECK_EQ(recv(y, buf, sizeof(buf), 0), 7);
    close(x);
    close(y);
    ring_end(&r);
}

TEST(zero_copy_of_a_fixed_buffer)
{
    const struct iovec iov = {g_data, sizeof(g_data)};
    struct sockaddr_in a, b;
    struct io_uring_sqe *s;
    char buf[4096];
    int x = udp(&a), y = udp(&b), ret;
    RING(8);

    CHECK_EQ(sys(SYS_io_uring_register, r.fd, IORING_REGISTER_BUFFERS, &iov, 1L), 0);
    s = send_to(&r, IORING_OP_SEND_ZC, x, 100, &b, 1);
    s->ioprio = IORING_RECVSEND_FIXED_BUF;
    CHECK_EQ(ring_submit(&r, 0), 1);
    ret = both_ends(&r, 1);
    if (ret == -EINVAL)
        SKIP_ON_HOST("before Linux 6.0");
    CHECK_EQ(ret, 100);
    CHECK_EQ(recv(y, buf, sizeof(buf), 0), 100);
    /* No such buffer. */
    s = send_to(&r, IORING_OP_SEND_ZC, x, 100, &b, 2);
    s->ioprio = IORING_RECVSEND_FIXED_BUF;
    s->buf_index = 1;
    CHECK_EQ(ring_submit(&r, 0), 1);
    CHECK_EQ(ring_wait(&r).res, -EFAULT);
    close(x);
    close(y);
    ring_end(&r);
}

TEST(zero_copy_fails)
{
    struct sockaddr_in a;
    struct test_cqe c;
    int x = udp(&a), ret;
    RING(8);

    /* Nowhere to send to: told twice all the same. */
    ring_sqe(&r, IORING_OP_SEND_ZC, x, g_data, 10, 0, 1);
    CHECK_EQ(ring_submit(&r, 0), 1);
    ret = both_ends(&r, 1);
    if (ret == -EINVAL)
        SKIP_ON_HOST("before Linux 6.0");
    CHECK_EQ(ret, -EDESTADDRREQ);
    /* What is refused before it begins is told once. */
    send_to(&r, IORING_OP_SEND_ZC, x, 10, &a, 2)->flags = IOSQE_CQE_SKIP_SUCCESS;
    CHECK_EQ(ring_run(&r, 2), -EINVAL);
    CHECK(!ring_take(&r, &c));
    close(x);
    ring_end(&r);
}

/* Linux: no request raises SIGPIPE. */
TEST(nobody_reads)
{
    struct iovec iov = {g_data, 1};
    struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};
    int fd[2];
    RING(8);

    REQUIRE(socketpair(AF_UNIX, SOCK_STREAM, 0, fd) == 0);
    close(fd[0]);
    ring_sqe(&r, IORING_OP_SEND, fd[1], g_data, 1, 0, 1);
    CHECK_EQ(ring_run(&r, 1), -EPIPE);
    ring_sqe(&r, IORING_OP_SENDMSG, fd[1], &m, 1, 0, 2);
    CHECK_EQ(ring_run(&r, 2), -EPIPE);
    close(fd[1]);
    ring_end(&r);
}

/* ---- rings that share workers ---------------------------------------------------------------- */

static long attach(int fd, unsigned flags)
{
    struct io_uring_params p = {.flags = IORING_SETUP_ATTACH_WQ | flags, .wq_fd = (unsigned)fd};
    long ret = sys(SYS_io_uring_setup, 4L, &p);

    if (ret >= 0)
        close((int)ret);
    return ret;
}

TEST(attached_rings)
{
    RING(8);

    CHECK(attach(r.fd, 0) >= 0);
    CHECK_EQ(attach(999, 0), -ENXIO);
    CHECK_EQ(attach(1, 0), -EINVAL);
    CHECK_EQ(attach(999, IORING_SETUP_SQPOLL), -ENXIO);
    CHECK_EQ(attach(1, IORING_SETUP_SQPOLL), -EINVAL);
    CHECK_EQ(attach(r.fd, IORING_SETUP_SQPOLL), -EINVAL); /* it has no thread to share */
    ring_end(&r);
}

GUEST_TEST_MAIN
