/* SPDX-License-Identifier: Apache-2.0 */
/* Loopback TCP and UDP over IPv4 and IPv6. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

#include "tests/support/guest_test.h"

static struct sockaddr_in loopback(int port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};

    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return a;
}

static int listener(struct sockaddr_in *a)
{
    socklen_t len = sizeof(*a);
    int l = socket(AF_INET, SOCK_STREAM, 0);

    *a = loopback(0);
    if (bind(l, (struct sockaddr *)a, len) < 0 || listen(l, 8) < 0 ||
        getsockname(l, (struct sockaddr *)a, &len) < 0)
        return -1;
    return l;
}

TEST(tcp_both_ways)
{
    struct sockaddr_in a, peer;
    socklen_t len = sizeof(peer);
    char buf[16] = "";
    int l = listener(&a), c = socket(AF_INET, SOCK_STREAM, 0), s;

    REQUIRE(l >= 0 && c >= 0);
    CHECK(ntohs(a.sin_port) != 0);
    CHECK_EQ(connect(c, (struct sockaddr *)&a, sizeof(a)), 0);
    s = accept(l, (struct sockaddr *)&peer, &len);
    REQUIRE(s >= 0);
    CHECK_EQ(len, sizeof(peer));
    CHECK_EQ(peer.sin_family, AF_INET);
    CHECK_EQ(ntohl(peer.sin_addr.s_addr), INADDR_LOOPBACK);
    CHECK_EQ(write(c, "request", 7), 7);
    CHECK_EQ(recv(s, buf, 7, MSG_WAITALL), 7);
    CHECK_EQ(write(s, "reply", 5), 5);
    CHECK_EQ(shutdown(s, SHUT_WR), 0);
    CHECK_EQ(recv(c, buf, 5, MSG_WAITALL), 5);
    CHECK_EQ(read(c, buf, 5), 0);
    CHECK_EQ(write(c, "late", 4), 4);
    CHECK_EQ(recv(s, buf, 4, MSG_WAITALL), 4);
    close(c);
    CHECK_EQ(read(s, buf, 5), 0);
    close(s);
    close(l);
}

TEST(tcp_much_data)
{
    static char block[65536];
    struct sockaddr_in a;
    long sum = 0, n;
    int l = listener(&a), c, s, status;
    pid_t pid;

    REQUIRE(l >= 0);
    pid = fork();
    if (pid == 0) {
        c = socket(AF_INET, SOCK_STREAM, 0);
        if (connect(c, (struct sockaddr *)&a, sizeof(a)) < 0)
            _exit(1);
        for (int i = 0; i < 64; i++) {
            for (size_t at = 0; at < sizeof(block); at += (size_t)n) {
                n = write(c, block + at, sizeof(block) - at);
                if (n <= 0)
                    _exit(2);
            }
        }
        _exit(0);
    }
    s = accept(l, NULL, NULL);
    while ((n = read(s, block, sizeof(block))) > 0)
        sum += n;
    CHECK_EQ(n, 0);
    CHECK_EQ(sum, 64l * 65536);
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK_EQ(status, 0);
    close(s);
    close(l);
}

TEST(tcp_refusals)
{
    struct sockaddr_in a, b;
    struct pollfd p;
    int l = listener(&a), c = socket(AF_INET, SOCK_STREAM, 0), v = 0;
    socklen_t len = sizeof(v);

    REQUIRE(l >= 0);
    CHECK_ERR(bind(c, (struct sockaddr *)&a, sizeof(a)), EADDRINUSE);
    close(l);
    CHECK_ERR(connect(c, (struct sockaddr *)&a, sizeof(a)), ECONNREFUSED);
    close(c);
    c = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (connect(c, (struct sockaddr *)&a, sizeof(a)) < 0)
        CHECK(errno == EINPROGRESS || errno == ECONNREFUSED);
    p = (struct pollfd){.fd = c, .events = POLLOUT};
    if (errno == EINPROGRESS) {
        CHECK_EQ(poll(&p, 1, -1), 1);
        CHECK_EQ(getsockopt(c, SOL_SOCKET, SO_ERROR, &v, &len), 0);
        CHECK_EQ(v, ECONNREFUSED);
    }
    close(c);
    c = socket(AF_INET, SOCK_STREAM, 0);
    CHECK_ERR(send(c, "x", 1, MSG_NOSIGNAL), EPIPE);
    CHECK_ERR(recv(c, &v, 1, 0), ENOTCONN);
    CHECK_ERR(shutdown(c, SHUT_RD), ENOTCONN);
    b = loopback(0);
    b.sin_addr.s_addr = inet_addr("203.0.113.7");
    CHECK_ERR(bind(c, (struct sockaddr *)&b, sizeof(b)), EADDRNOTAVAIL);
    CHECK_ERR(bind(c, (struct sockaddr *)&b, 8), EINVAL);
    b.sin_family = 99;
    CHECK_ERR(bind(c, (struct sockaddr *)&b, sizeof(b)), EAFNOSUPPORT);
    CHECK_ERR(connect(c, (struct sockaddr *)&b, sizeof(b)), EAFNOSUPPORT);
    close(c);
}

TEST(options)
{
    struct linger lg = {1, 3};
    struct timeval tv = {0, 50000};
    struct sockaddr_in a;
    int l = listener(&a), v = 1;
    socklen_t len = sizeof(v);
    long long start;

    REQUIRE(l >= 0);
    CHECK_EQ(setsockopt(l, SOL_SOCKET, SO_REUSEADDR, &v, sizeof(v)), 0);
    v = 0;
    CHECK_EQ(getsockopt(l, SOL_SOCKET, SO_REUSEADDR, &v, &len), 0);
    CHECK_EQ(v, 1);
    CHECK_EQ(getsockopt(l, SOL_SOCKET, SO_ACCEPTCONN, &v, &len), 0);
    CHECK_EQ(v, 1);
    CHECK_EQ(setsockopt(l, IPPROTO_TCP, TCP_NODELAY, &v, sizeof(v)), 0);
    CHECK_EQ(getsockopt(l, IPPROTO_TCP, TCP_NODELAY, &v, &len), 0);
    CHECK_EQ(v, 1);
    CHECK_EQ(setsockopt(l, SOL_SOCKET, SO_LINGER, &lg, sizeof(lg)), 0);
    CHECK_EQ(setsockopt(l, SOL_SOCKET, SO_KEEPALIVE, &v, sizeof(v)), 0);
    CHECK_EQ(getsockopt(l, SOL_SOCKET, SO_RCVBUF, &v, &len), 0);
    CHECK(v > 1000);
    CHECK_EQ(setsockopt(l, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)), 0);
    start = test_now_ms();
    CHECK_ERR(accept(l, NULL, NULL), EAGAIN);
    CHECK(test_now_ms() - start >= 45);
    CHECK_ERR(setsockopt(l, SOL_SOCKET, 9999, &v, sizeof(v)), ENOPROTOOPT);
    CHECK_ERR(setsockopt(l, SOL_SOCKET, SO_REUSEADDR, &v, 1), EINVAL);
    CHECK_ERR(getsockopt(l, SOL_SOCKET, SO_TYPE, &v, BAD_PTR), EFAULT);
    close(l);
}

TEST(udp)
{
    struct sockaddr_in a = loopback(0), from;
    socklen_t len = sizeof(a), from_len = sizeof(from);
    char buf[32];
    int x = socket(AF_INET, SOCK_DGRAM, 0), y = socket(AF_INET, SOCK_DGRAM, 0);

    REQUIRE(x >= 0 && y >= 0);
    CHECK_EQ(bind(x, (struct sockaddr *)&a, len), 0);
    CHECK_EQ(getsockname(x, (struct sockaddr *)&a, &len), 0);
    CHECK_EQ(sendto(y, "dgram", 5, 0, (struct sockaddr *)&a, len), 5);
    CHECK_EQ(recvfrom(x, buf, 32, 0, (struct sockaddr *)&from, &from_len), 5);
    CHECK_EQ(ntohl(from.sin_addr.s_addr), INADDR_LOOPBACK);
    CHECK_EQ(sendto(x, "back", 4, 0, (struct sockaddr *)&from, from_len), 4);
    CHECK_EQ(connect(y, (struct sockaddr *)&a, len), 0);
    CHECK_EQ(read(y, buf, 32), 4);
    CHECK_EQ(send(y, "", 0, 0), 0);
    CHECK_EQ(read(x, buf, 32), 0);
    CHECK_ERR(send(x, "q", 1, 0), EDESTADDRREQ);
    close(x);
    send(y, "lost", 4, 0);
    CHECK_ERR(recv(y, buf, 32, 0), ECONNREFUSED);
    close(y);
}

TEST(ipv6)
{
    struct sockaddr_in6 a = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    socklen_t len = sizeof(a);
    char buf[8];
    int l = socket(AF_INET6, SOCK_STREAM, 0), c, s;

    if (l < 0 || bind(l, (struct sockaddr *)&a, len) < 0)
        SKIP("no IPv6");
    CHECK_EQ(listen(l, 1), 0);
    CHECK_EQ(getsockname(l, (struct sockaddr *)&a, &len), 0);
    c = socket(AF_INET6, SOCK_STREAM, 0);
    CHECK_EQ(connect(c, (struct sockaddr *)&a, len), 0);
    s = accept(l, NULL, NULL);
    CHECK_EQ(write(c, "six", 3), 3);
    CHECK_EQ(read(s, buf, 8), 3);
    close(s);
    close(c);
    close(l);
}

TEST(nonblocking_connect)
{
    struct sockaddr_in a;
    struct pollfd p;
    int l = listener(&a), c = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), v = 1;
    socklen_t len = sizeof(v);

    REQUIRE(l >= 0);
    if (connect(c, (struct sockaddr *)&a, sizeof(a)) < 0)
        CHECK_EQ(errno, EINPROGRESS);
    p = (struct pollfd){.fd = c, .events = POLLOUT};
    CHECK_EQ(poll(&p, 1, -1), 1);
    CHECK_EQ(getsockopt(c, SOL_SOCKET, SO_ERROR, &v, &len), 0);
    CHECK_EQ(v, 0);
    p = (struct pollfd){.fd = l, .events = POLLIN};
    CHECK_EQ(poll(&p, 1, -1), 1);
    close(c);
    close(l);
}

GUEST_TEST_MAIN
