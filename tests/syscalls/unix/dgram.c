/* SPDX-License-Identifier: Apache-2.0 */
/* AF_UNIX datagrams and SOCK_SEQPACKET. unix(7). */
#define _GNU_SOURCE
#include "tests/support/guest_test.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

static socklen_t autobind(int fd, struct sockaddr_un *out)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    socklen_t len = sizeof(*out);

    CHECK_EQ(bind(fd, (void *)&a, 2), 0);
    CHECK_EQ(getsockname(fd, (void *)out, &len), 0);
    return len;
}

static short events(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN | POLLOUT};

    CHECK(poll(&p, 1, 0) >= 0);
    return p.revents;
}

TEST(boundaries_and_truncation)
{
    char buf[16];
    int s[2];

    REQUIRE(socketpair(AF_UNIX, SOCK_DGRAM, 0, s) == 0);
    CHECK_EQ(send(s[0], "", 0, 0), 0);
    CHECK_EQ(send(s[0], "abcdef", 6, 0), 6);
    CHECK_EQ(recv(s[1], buf, 16, 0), 0);
    CHECK_EQ(recv(s[1], buf, 2, MSG_PEEK | MSG_TRUNC), 6);
    CHECK_EQ(recv(s[1], buf, 2, 0), 2);
    CHECK_ERR(recv(s[1], buf, 2, MSG_DONTWAIT), EAGAIN);
    close(s[1]);
    CHECK_ERR(send(s[0], "x", 1, 0), ECONNREFUSED);
    close(s[0]);
}

TEST(addresses)
{
    struct sockaddr_un a, b, from;
    int x = socket(AF_UNIX, SOCK_DGRAM, 0), y = socket(AF_UNIX, SOCK_DGRAM, 0),
        z = socket(AF_UNIX, SOCK_DGRAM, 0);
    socklen_t alen = autobind(x, &a), blen = autobind(y, &b), len = sizeof(from);
    char c;

    CHECK_ERR(send(x, "q", 1, 0), ENOTCONN);
    CHECK_EQ(sendto(x, "q", 1, 0, (void *)&b, blen), 1);
    CHECK_EQ(recvfrom(y, &c, 1, 0, (void *)&from, &len), 1);
    CHECK_EQ(len, alen);
    CHECK_EQ(memcmp(&from, &a, alen), 0);
    CHECK_EQ(sendto(z, "u", 1, 0, (void *)&b, blen), 1);
    len = sizeof(from);
    CHECK_EQ(recvfrom(y, &c, 1, 0, (void *)&from, &len), 1);
    CHECK_EQ(len, 0);
    /* A connected receiver takes only from its peer. */
    CHECK_EQ(connect(y, (void *)&a, alen), 0);
    CHECK_ERR(sendto(z, "u", 1, 0, (void *)&b, blen), EPERM);
    CHECK_EQ(sendto(x, "v", 1, 0, (void *)&b, blen), 1);
    a.sun_family = AF_UNSPEC;
    CHECK_EQ(connect(y, (void *)&a, alen), 0);
    CHECK_EQ(sendto(z, "u", 1, 0, (void *)&b, blen), 1);
    close(x);
    close(y);
    CHECK_ERR(sendto(z, "u", 1, 0, (void *)&b, blen), ECONNREFUSED);
    close(z);
}

TEST(queue_limit)
{
    struct sockaddr_un a;
    int r = socket(AF_UNIX, SOCK_DGRAM, 0), w = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    socklen_t len = autobind(r, &a);
    int n = 0;
    char c;

    CHECK_EQ(connect(w, (void *)&a, len), 0);
    while (n < 5000 && send(w, "x", 1, 0) == 1)
        n++;
    CHECK_EQ(errno, EAGAIN);
    CHECK(n >= 2 && n < 5000);
    CHECK_EQ(events(w), 0);
    while (recv(r, &c, 1, MSG_DONTWAIT) == 1)
        n--;
    CHECK_EQ(n, 0);
    CHECK_EQ(events(w), POLLOUT);
    close(r);
    close(w);
}

TEST(too_big)
{
    static char big[1 << 20];
    int s[2];

    REQUIRE(socketpair(AF_UNIX, SOCK_DGRAM, 0, s) == 0);
    CHECK_ERR(send(s[0], big, sizeof(big), 0), EMSGSIZE);
    close(s[0]);
    close(s[1]);
}

TEST(seqpacket)
{
    char buf[8];
    int s[2];

    REQUIRE(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, s) == 0);
    CHECK_EQ(write(s[0], "ab", 2), 2);
    CHECK_EQ(write(s[0], "cdef", 4), 4);
    CHECK_EQ(read(s[1], buf, 8), 2);
    CHECK_EQ(recv(s[1], buf, 1, MSG_TRUNC), 4);
    CHECK_EQ(shutdown(s[0], SHUT_WR), 0);
    CHECK_EQ(read(s[1], buf, 8), 0);
    close(s[0]);
    CHECK_ERR(send(s[1], "x", 1, MSG_NOSIGNAL), EPIPE);
    close(s[1]);
    s[0] = socket(AF_UNIX, SOCK_SEQPACKET, 0);
    CHECK_ERR(send(s[0], "x", 1, 0), ENOTCONN);
    CHECK_ERR(recv(s[0], buf, 1, 0), ENOTCONN);
    close(s[0]);
}

GUEST_TEST_MAIN
