/* SPDX-License-Identifier: Apache-2.0 */
/* Order of errors of the socket system calls. */
#define _GNU_SOURCE
#include "tests/support/guest_test.h"

#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

TEST(socket_arguments)
{
    CHECK_ERR(sysp(SYS_socket, AF_INET, SOCK_STREAM | 0x100000, 0), EINVAL);
    CHECK_ERR(sysp(SYS_socket, 1000, SOCK_STREAM, 0), EAFNOSUPPORT);
    CHECK_ERR(sysp(SYS_socket, -1, SOCK_STREAM, 0), EAFNOSUPPORT);
    CHECK_ERR(sysp(SYS_socket, AF_INET, 14, 0), EINVAL);
    CHECK_ERR(sysp(SYS_socket, AF_INET, SOCK_STREAM, IPPROTO_UDP), EPROTONOSUPPORT);
    CHECK_ERR(sysp(SYS_socket, AF_INET, SOCK_SEQPACKET, 0), ESOCKTNOSUPPORT);
    CHECK_ERR(sysp(SYS_socket, AF_UNIX, SOCK_STREAM, 5), EPROTONOSUPPORT);
    CHECK_ERR(sysp(SYS_socket, AF_UNIX, SOCK_RDM, 0), ESOCKTNOSUPPORT);
}

TEST(flags)
{
    int fd = (int)sysp(SYS_socket, AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    REQUIRE(fd >= 0);
    CHECK_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
    CHECK_EQ(fcntl(fd, F_GETFL), O_RDWR | O_NONBLOCK);
    close(fd);
}

TEST(not_a_socket)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    int v = 1;
    socklen_t len = sizeof(v);

    CHECK_ERR(sysp(SYS_bind, 0, &a, 2), ENOTSOCK);
    CHECK_ERR(sysp(SYS_bind, 99, &a, 2), EBADF);
    CHECK_ERR(sysp(SYS_listen, 99, 1), EBADF);
    CHECK_ERR(sysp(SYS_shutdown, 99, 77), EBADF);
    CHECK_ERR(sysp(SYS_getsockopt, 99, SOL_SOCKET, SO_TYPE, &v, &len), EBADF);
    CHECK_ERR(sysp(SYS_setsockopt, 99, SOL_SOCKET, SO_TYPE, &v, -1), EBADF);
    CHECK_ERR(sysp(SYS_accept4, 99, NULL, NULL, 0x40), EBADF);
    CHECK_ERR(sysp(SYS_sendmsg, 99, BAD_PTR, 0), EBADF);
    CHECK_ERR(sysp(SYS_recvmsg, 99, BAD_PTR, 0), EBADF);
    CHECK_ERR(sysp(SYS_recvmmsg, 99, BAD_PTR, 1, 0, NULL), EBADF);
}

TEST(addresses)
{
    struct sockaddr_in a = {.sin_family = AF_INET};
    struct sockaddr_storage big;
    socklen_t len;
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    CHECK_ERR(sysp(SYS_bind, fd, &a, -1), EINVAL);
    CHECK_ERR(sysp(SYS_bind, fd, &a, 129), EINVAL);
    CHECK_ERR(sysp(SYS_bind, fd, BAD_PTR, 16), EFAULT);
    CHECK_ERR(sysp(SYS_bind, fd, &a, 8), EINVAL);
    a.sin_family = AF_UNIX;
    CHECK_ERR(sysp(SYS_bind, fd, &a, 16), EAFNOSUPPORT);
    a.sin_family = AF_INET;
    a.sin_addr.s_addr = htonl(0x01020304);
    CHECK_ERR(sysp(SYS_bind, fd, &a, 16), EADDRNOTAVAIL);
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    CHECK_EQ(sysp(SYS_bind, fd, &a, 16), 0);
    CHECK_ERR(sysp(SYS_bind, fd, &a, 16), EINVAL);
    len = (socklen_t)-1;
    CHECK_ERR(sysp(SYS_getsockname, fd, &big, &len), EINVAL);
    CHECK_ERR(sysp(SYS_getsockname, fd, &big, BAD_PTR), EFAULT);
    len = 4;
    memset(&big, 0xee, sizeof(big));
    CHECK_EQ(sysp(SYS_getsockname, fd, &big, &len), 0);
    CHECK_EQ(len, 16);
    CHECK_EQ(((unsigned char *)&big)[4], 0xee);
    CHECK_ERR(sysp(SYS_getpeername, fd, &big, &len), ENOTCONN);
    CHECK_ERR(sysp(SYS_shutdown, fd, 3), EINVAL);
    CHECK_ERR(sysp(SYS_shutdown, fd, SHUT_WR), ENOTCONN);
    CHECK_ERR(sysp(SYS_accept4, fd, NULL, NULL, 0), EINVAL);
    close(fd);
}

TEST(options)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0), v = 0;
    socklen_t len = sizeof(v);
    struct timeval tv = {1, 1000000};

    CHECK_ERR(sysp(SYS_getsockopt, fd, SOL_SOCKET, 9999, &v, &len), ENOPROTOOPT);
    CHECK_ERR(sysp(SYS_setsockopt, fd, SOL_SOCKET, 9999, &v, 4), ENOPROTOOPT);
    CHECK_ERR(sysp(SYS_setsockopt, fd, SOL_SOCKET, SO_REUSEADDR, &v, 3), EINVAL);
    CHECK_ERR(sysp(SYS_setsockopt, fd, SOL_SOCKET, SO_REUSEADDR, BAD_PTR, 4), EFAULT);
    CHECK_ERR(sysp(SYS_setsockopt, fd, SOL_SOCKET, SO_TYPE, &v, 4), ENOPROTOOPT);
    CHECK_ERR(sysp(SYS_setsockopt, fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)), EDOM);
    CHECK_ERR(sysp(SYS_setsockopt, fd, SOL_SOCKET, SO_RCVTIMEO, &tv, 8), EINVAL);
    len = (socklen_t)-1;
    CHECK_ERR(sysp(SYS_getsockopt, fd, SOL_SOCKET, SO_TYPE, &v, &len), EINVAL);
    len = 2;
    v = -1;
    CHECK_EQ(sysp(SYS_getsockopt, fd, SOL_SOCKET, SO_TYPE, &v, &len), 0);
    CHECK_EQ(len, 2);
    CHECK_EQ(v, (int)0xffff0001);
    close(fd);
}

TEST(buffer_sizes_are_doubled)
{
    int fd = socket(AF_UNIX, SOCK_DGRAM, 0), v = 10000;
    socklen_t len = sizeof(v);

    CHECK_EQ(setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &v, 4), 0);
    CHECK_EQ(getsockopt(fd, SOL_SOCKET, SO_SNDBUF, &v, &len), 0);
    CHECK_EQ(v, 20000);
    v = 1;
    CHECK_EQ(setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &v, 4), 0);
    CHECK_EQ(getsockopt(fd, SOL_SOCKET, SO_SNDBUF, &v, &len), 0);
    CHECK(v >= 2048 && v < 10000);
    v = 1;
    CHECK_EQ(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &v, 4), 0);
    CHECK_EQ(getsockopt(fd, SOL_SOCKET, SO_RCVBUF, &v, &len), 0);
    CHECK(v >= 1024 && v < 10000);
    close(fd);
}

TEST(timeouts)
{
    struct timeval tv = {0, 50000};
    int s[2];
    long long t0 = test_now_ms();
    char c;

    REQUIRE(socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0);
    CHECK_EQ(setsockopt(s[0], SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)), 0);
    CHECK_ERR(recv(s[0], &c, 1, 0), EAGAIN);
    CHECK(test_now_ms() - t0 >= 45);
    close(s[0]);
    close(s[1]);
}

TEST(messages)
{
    struct iovec iov = {.iov_base = (void *)"abc", .iov_len = 3};
    struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};
    struct mmsghdr mm[3];
    char buf[3][8];
    struct iovec v[3];
    int s[2];

    REQUIRE(socketpair(AF_UNIX, SOCK_DGRAM, 0, s) == 0);
    m.msg_iovlen = 1025;
    CHECK_ERR(sysp(SYS_sendmsg, s[0], &m, 0), EMSGSIZE);
    m.msg_iovlen = 1;
    CHECK_ERR(sysp(SYS_sendmsg, s[0], &m, MSG_OOB), EOPNOTSUPP);
    for (int i = 0; i < 3; i++)
        mm[i] = (struct mmsghdr){.msg_hdr = m};
    CHECK_EQ(sysp(SYS_sendmmsg, s[0], mm, 3, 0), 3);
    CHECK_EQ(mm[2].msg_len, 3);
    for (int i = 0; i < 3; i++) {
        v[i] = (struct iovec){.iov_base = buf[i], .iov_len = i + 1};
        mm[i] = (struct mmsghdr){.msg_hdr = {.msg_iov = &v[i], .msg_iovlen = 1}};
    }
    CHECK_EQ(sysp(SYS_recvmmsg, s[1], mm, 3, MSG_WAITFORONE, NULL), 3);
    CHECK_EQ(mm[0].msg_len, 1);
    CHECK_EQ(mm[0].msg_hdr.msg_flags, MSG_TRUNC);
    CHECK_EQ(mm[2].msg_len, 3);
    CHECK_EQ(mm[2].msg_hdr.msg_flags, 0);
    CHECK_ERR(sysp(SYS_recvmmsg, s[1], mm, 3, MSG_DONTWAIT, NULL), EAGAIN);
    CHECK_ERR(sysp(SYS_sendto, s[0], BAD_PTR, (size_t)1, 0, NULL, 0), EFAULT);
    close(s[0]);
    close(s[1]);
}

GUEST_TEST_MAIN
