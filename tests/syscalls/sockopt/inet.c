/* SPDX-License-Identifier: Apache-2.0 */
/* Options of TCP, UDP and IP sockets: what each takes, in which state, and what is read back. Not for
 * host sockets, which pass fewer options on. */
#define _GNU_SOURCE
#include "tests/support/guest_test.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

static struct sockaddr_in listen_addr;

static int listener(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(a);
    int l = socket(AF_INET, SOCK_STREAM, 0);

    CHECK_EQ(bind(l, (void *)&a, sizeof(a)), 0);
    CHECK_EQ(listen(l, 8), 0);
    CHECK_EQ(getsockname(l, (void *)&listen_addr, &len), 0);
    return l;
}

static int get(int fd, int level, int name)
{
    int v = -1;
    socklen_t len = sizeof(v);

    return getsockopt(fd, level, name, &v, &len) < 0 ? -errno : v;
}

static int set(int fd, int level, int name, int v)
{
    return setsockopt(fd, level, name, &v, sizeof(v)) < 0 ? -errno : 0;
}

/* Sets v and reads it back. */
static int put(int fd, int level, int name, int v)
{
    int ret = set(fd, level, name, v);

    return ret < 0 ? ret : get(fd, level, name);
}

TEST(tcp_values_are_rounded)
{
    static const struct {
        int name, in, out;
    } c[] = {
        {TCP_DEFER_ACCEPT, 1, 1},
        {TCP_DEFER_ACCEPT, 2, 3},
        {TCP_DEFER_ACCEPT, 5, 7},
        {TCP_DEFER_ACCEPT, 1000, 1087},
        {TCP_DEFER_ACCEPT, -1, 0},
        {TCP_DEFER_ACCEPT, 0, 0},
        {TCP_LINGER2, -5, -1},
        {TCP_LINGER2, 0, 60},
        {TCP_LINGER2, 100, 100},
        {TCP_LINGER2, 1000, 120},
        {TCP_WINDOW_CLAMP, 1, 1152},
        {TCP_WINDOW_CLAMP, 100000, 100000},
        {TCP_WINDOW_CLAMP, 0, 0},
        {TCP_NODELAY, 5, 1},
        {TCP_CORK, 5, 1},
        {TCP_KEEPIDLE, 0, -EINVAL},
        {TCP_KEEPIDLE, 32768, -EINVAL},
        {TCP_KEEPIDLE, 9, 9},
        {TCP_KEEPCNT, 128, -EINVAL},
        {TCP_SYNCNT, 128, -EINVAL},
        {TCP_USER_TIMEOUT, -1, -EINVAL},
        {TCP_USER_TIMEOUT, 5000, 5000},
        {TCP_FASTOPEN, -1, -EINVAL},
        {TCP_FASTOPEN_CONNECT, 2, -EINVAL},
        {TCP_FASTOPEN_CONNECT, 1, 1},
        {TCP_MAXSEG, 87, -EINVAL},
        {TCP_MAXSEG, 32768, -EINVAL},
        {TCP_INQ, 2, -EINVAL},
        {TCP_SAVE_SYN, 3, -EINVAL},
    };
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    for (size_t i = 0; i < sizeof(c) / sizeof(c[0]); i++) {
        if (!CHECK_EQ(put(fd, SOL_TCP, c[i].name, c[i].in), c[i].out))
            test_say("option %d, value %d\n", c[i].name, c[i].in);
    }
    close(fd);
}

TEST(tcp_options_of_a_connection)
{
    int l = listener(), c = socket(AF_INET, SOCK_STREAM, 0);

    CHECK_EQ(connect(c, (void *)&listen_addr, sizeof(listen_addr)), 0);
    CHECK_EQ(set(c, SOL_TCP, TCP_FASTOPEN, 5), -EINVAL);
    CHECK_EQ(set(c, SOL_TCP, TCP_FASTOPEN_CONNECT, 1), -EINVAL);
    CHECK_EQ(set(c, SOL_TCP, TCP_WINDOW_CLAMP, 0), -EINVAL);
    CHECK_EQ(put(l, SOL_TCP, TCP_FASTOPEN, 5), 5);
    close(c);
    close(l);
}

TEST(fast_open_connects_and_sends)
{
    int l = listener(), c = socket(AF_INET, SOCK_STREAM, 0), s;
    struct sockaddr_in unspec = {.sin_family = AF_UNSPEC}, closed = listen_addr;
    char buf[8] = "";

    CHECK_ERR(sendto(c, "data", 4, MSG_FASTOPEN, (void *)&unspec, sizeof(unspec)), EOPNOTSUPP);
    CHECK_EQ(sendto(c, "data", 4, MSG_FASTOPEN, (void *)&listen_addr, sizeof(listen_addr)), 4);
    s = accept(l, NULL, NULL);
    CHECK_EQ(recv(s, buf, sizeof(buf), 0), 4);
    CHECK_STR(buf, "data");
    CHECK_ERR(
        sendto(c, "x", 1, MSG_FASTOPEN | MSG_NOSIGNAL, (void *)&listen_addr, sizeof(listen_addr)),
        EISCONN);
    close(c);
    close(s);
    close(l);
    closed.sin_port = listen_addr.sin_port;
    c = socket(AF_INET, SOCK_STREAM, 0);
    CHECK(sendto(c, "x", 1, MSG_FASTOPEN | MSG_NOSIGNAL, (void *)&closed, sizeof(closed)) < 0);
    close(c);
}

TEST(fast_open_of_a_nonblocking_socket)
{
    int l = listener(), c = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    struct pollfd p = {.fd = c, .events = POLLOUT};

    CHECK_ERR(sendto(c, "data", 4, MSG_FASTOPEN, (void *)&listen_addr, sizeof(listen_addr)),
              EINPROGRESS);
    CHECK_EQ(poll(&p, 1, -1), 1);
    CHECK_EQ(send(c, "data", 4, 0), 4);
    close(c);
    close(l);
}

TEST(socket_options_that_are_read_back)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    unsigned long long rate = 1ull << 40;
    socklen_t len = sizeof(rate);

    CHECK_EQ(put(fd, SOL_SOCKET, SO_MAX_PACING_RATE, 1000), 1000);
    CHECK_EQ(setsockopt(fd, SOL_SOCKET, SO_MAX_PACING_RATE, &rate, sizeof(rate)), 0);
    rate = 0;
    CHECK_EQ(getsockopt(fd, SOL_SOCKET, SO_MAX_PACING_RATE, &rate, &len), 0);
    CHECK_EQ(rate, 1ull << 40);
    CHECK_EQ(get(fd, SOL_SOCKET, SO_BPF_EXTENSIONS), 64);
    CHECK_EQ(set(fd, SOL_SOCKET, SO_BSDCOMPAT, 1), 0);
    CHECK_EQ(get(fd, SOL_SOCKET, 72 /* SO_BUF_LOCK */), 0);
    CHECK_EQ(put(fd, SOL_SOCKET, 72, 2), 2);
    CHECK_EQ(set(fd, SOL_SOCKET, 72, 4), -EINVAL);
    CHECK_EQ(set(fd, SOL_SOCKET, SO_SNDBUF, 10000), 0);
    CHECK_EQ(get(fd, SOL_SOCKET, 72), 3);
    close(fd);
}

TEST(switches_of_ip_are_remembered)
{
    static const int v4[] = {IP_RECVOPTS, IP_RETOPTS, IP_CHECKSUM, IP_PASSSEC},
                     v6[] = {IPV6_RECVHOPOPTS, IPV6_RECVRTHDR,  IPV6_RECVDSTOPTS,
                             IPV6_RECVPATHMTU, IPV6_DONTFRAG,   33 /* IPV6_FLOWINFO_SEND */,
                             IPV6_MINHOPCOUNT, IPV6_ORIGDSTADDR};
    int fd = socket(AF_INET, SOCK_DGRAM, 0);

    for (size_t i = 0; i < sizeof(v4) / sizeof(v4[0]); i++) {
        if (!CHECK_EQ(get(fd, SOL_IP, v4[i]), 0) || !CHECK_EQ(put(fd, SOL_IP, v4[i], 1), 1) ||
            !CHECK_EQ(put(fd, SOL_IP, v4[i], 0), 0))
            test_say("IPv4 option %d\n", v4[i]);
    }
    close(fd);
    fd = socket(AF_INET6, SOCK_DGRAM, 0);
    if (fd < 0)
        SKIP("no IPv6");
    for (size_t i = 0; i < sizeof(v6) / sizeof(v6[0]); i++) {
        if (!CHECK_EQ(get(fd, SOL_IPV6, v6[i]), 0) || !CHECK_EQ(put(fd, SOL_IPV6, v6[i], 1), 1) ||
            !CHECK_EQ(put(fd, SOL_IPV6, v6[i], 0), 0))
            test_say("IPv6 option %d\n", v6[i]);
    }
    CHECK_EQ(set(fd, SOL_IPV6, IPV6_MINHOPCOUNT, 256), -EINVAL);
    close(fd);
}

GUEST_TEST_MAIN
