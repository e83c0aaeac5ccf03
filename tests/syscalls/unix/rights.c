/* SPDX-License-Identifier: Apache-2.0 */
/* SCM_RIGHTS and SCM_CREDENTIALS. */
#define _GNU_SOURCE
#include "tests/support/guest_test.h"

#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>

union control {
    char buf[1024];
    struct cmsghdr align;
};

static ssize_t send_fds(int sock, const int *fds, int count)
{
    struct iovec iov = {.iov_base = (void *)"x", .iov_len = 1};
    union control c = {{0}};
    struct msghdr m = {.msg_iov = &iov,
                       .msg_iovlen = 1,
                       .msg_control = c.buf,
                       .msg_controllen = CMSG_SPACE(sizeof(int) * (size_t)count)};
    struct cmsghdr *h = CMSG_FIRSTHDR(&m);

    h->cmsg_level = SOL_SOCKET;
    h->cmsg_type = SCM_RIGHTS;
    h->cmsg_len = CMSG_LEN(sizeof(int) * (size_t)count);
    memcpy(CMSG_DATA(h), fds, sizeof(int) * (size_t)count);
    return sendmsg(sock, &m, 0);
}

static int recv_fds(int sock, int *fds, size_t room, int flags, int *out_flags)
{
    char c;
    struct iovec iov = {.iov_base = &c, .iov_len = 1};
    union control ctl;
    struct msghdr m = {
        .msg_iov = &iov, .msg_iovlen = 1, .msg_control = ctl.buf, .msg_controllen = room};
    struct cmsghdr *h;
    int count;

    if (recvmsg(sock, &m, flags) < 0)
        return -1;
    *out_flags = m.msg_flags;
    h = CMSG_FIRSTHDR(&m);
    if (!h || h->cmsg_type != SCM_RIGHTS)
        return 0;
    count = (int)((h->cmsg_len - CMSG_LEN(0)) / sizeof(int));
    memcpy(fds, CMSG_DATA(h), sizeof(int) * (size_t)count);
    return count;
}

TEST(pass_a_pipe)
{
    int s[2], p[2], got[4], flags;
    char buf[8];

    REQUIRE(socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0 && pipe(p) == 0);
    CHECK_EQ(send_fds(s[0], p, 2), 1);
    close(p[0]);
    close(p[1]);
    CHECK_EQ(recv_fds(s[1], got, CMSG_SPACE(8), MSG_CMSG_CLOEXEC, &flags), 2);
    CHECK_EQ(flags & MSG_CTRUNC, 0);
    CHECK_EQ(fcntl(got[0], F_GETFD), FD_CLOEXEC);
    CHECK_EQ(write(got[1], "ok", 2), 2);
    CHECK_EQ(read(got[0], buf, 8), 2);
    close(got[0]);
    close(got[1]);
    close(s[0]);
    close(s[1]);
}

TEST(truncated)
{
    int s[2], p[2], got[4], flags;

    REQUIRE(socketpair(AF_UNIX, SOCK_DGRAM, 0, s) == 0 && pipe(p) == 0);
    CHECK_EQ(send_fds(s[0], p, 2), 1);
    CHECK_EQ(recv_fds(s[1], got, CMSG_LEN(4), 0, &flags), 1);
    CHECK(flags & MSG_CTRUNC);
    close(got[0]);
    CHECK_EQ(send_fds(s[0], p, 2), 1);
    CHECK_EQ(recv_fds(s[1], got, 0, 0, &flags), 0);
    CHECK(flags & MSG_CTRUNC);
    close(p[0]);
    close(p[1]);
    close(s[0]);
    close(s[1]);
}

TEST(bad_descriptors)
{
    int s[2], bad[1] = {999}, many[254];

    for (int i = 0; i < 254; i++)
        many[i] = 0;
    REQUIRE(socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0);
    CHECK_ERR(send_fds(s[0], bad, 1), EBADF);
    CHECK_EQ(send_fds(s[0], many, 200), 1);
    close(s[0]);
    close(s[1]);
}

/* Reads stop behind a message with descriptors. */
TEST(stream_boundary)
{
    int s[2], fd = 0, got[4], flags;
    char buf[16];

    REQUIRE(socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0);
    CHECK_EQ(write(s[0], "ab", 2), 2);
    CHECK_EQ(send_fds(s[0], &fd, 1), 1);
    CHECK_EQ(write(s[0], "cd", 2), 2);
    CHECK_EQ(read(s[1], buf, 16), 3);
    CHECK_EQ(recv_fds(s[1], got, 64, 0, &flags), 0);
    CHECK_EQ(read(s[1], buf, 16), 1);
    close(s[0]);
    close(s[1]);
}

TEST(peek_duplicates)
{
    int s[2], fd = 0, got[2], again[2], flags;

    REQUIRE(socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0);
    CHECK_EQ(send_fds(s[0], &fd, 1), 1);
    CHECK_EQ(recv_fds(s[1], got, 64, MSG_PEEK, &flags), 1);
    CHECK_EQ(recv_fds(s[1], again, 64, 0, &flags), 1);
    CHECK(got[0] != again[0]);
    close(got[0]);
    close(again[0]);
    close(s[0]);
    close(s[1]);
}

/* A socket sent to itself is reachable from nowhere: no descriptors may leak over many rounds. */
TEST(cycles_are_collected)
{
    struct rlimit rl = {64, 64}, old;

    REQUIRE(getrlimit(RLIMIT_NOFILE, &old) == 0);
    rl.rlim_max = old.rlim_max;
    CHECK_EQ(setrlimit(RLIMIT_NOFILE, &rl), 0);
    for (int i = 0; i < 500; i++) {
        int s[2];

        if (socketpair(AF_UNIX, SOCK_STREAM, 0, s) != 0) {
            CHECK(!"socketpair");
            break;
        }
        /* Without privilege the limit also counts what waits for the collector. */
        CHECK(send_fds(s[0], s, 2) == 1 || errno == ETOOMANYREFS);
        CHECK(send_fds(s[1], s, 2) == 1 || errno == ETOOMANYREFS);
        close(s[0]);
        close(s[1]);
    }
    CHECK_EQ(setrlimit(RLIMIT_NOFILE, &old), 0);
}

TEST(nested_close)
{
    int first[2], prev[2];

    /* A chain: each pair holds the one before. */
    REQUIRE(socketpair(AF_UNIX, SOCK_STREAM, 0, first) == 0);
    prev[0] = first[0];
    prev[1] = first[1];
    for (int i = 0; i < 300; i++) {
        int s[2];

        REQUIRE(socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0);
        CHECK_EQ(send_fds(s[0], prev, 2), 1);
        close(prev[0]);
        close(prev[1]);
        prev[0] = s[0];
        prev[1] = s[1];
    }
    close(prev[0]);
    close(prev[1]);
}

TEST(credentials)
{
    union control ctl;
    char c;
    struct iovec iov = {.iov_base = &c, .iov_len = 1};
    struct msghdr m = {.msg_iov = &iov,
                       .msg_iovlen = 1,
                       .msg_control = ctl.buf,
                       .msg_controllen = sizeof(ctl.buf)};
    struct cmsghdr *h;
    struct ucred uc;
    int s[2], on = 1;

    REQUIRE(socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0);
    CHECK_EQ(setsockopt(s[1], SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)), 0);
    CHECK_EQ(write(s[0], "x", 1), 1);
    CHECK_EQ(recvmsg(s[1], &m, 0), 1);
    h = CMSG_FIRSTHDR(&m);
    REQUIRE(h != NULL);
    CHECK_EQ(h->cmsg_type, SCM_CREDENTIALS);
    memcpy(&uc, CMSG_DATA(h), sizeof(uc));
    CHECK_EQ(uc.pid, getpid());
    CHECK_EQ(uc.uid, getuid());
    CHECK_EQ(uc.gid, getgid());
    close(s[0]);
    close(s[1]);
}

GUEST_TEST_MAIN
