/* SPDX-License-Identifier: Apache-2.0 */
/* TCP on the loopback: connecting, ending, urgent data, sharing of ports. tcp(7). */
#define _GNU_SOURCE
#include "tests/support/guest_test.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

static struct sockaddr_in listen_addr;

static int listener(int backlog)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(a);
    int l = socket(AF_INET, SOCK_STREAM, 0);

    CHECK_EQ(bind(l, (void *)&a, sizeof(a)), 0);
    CHECK_EQ(listen(l, backlog), 0);
    CHECK_EQ(getsockname(l, (void *)&listen_addr, &len), 0);
    return l;
}

static void pair(int s[2])
{
    int l = listener(8);

    s[0] = socket(AF_INET, SOCK_STREAM, 0);
    CHECK_EQ(connect(s[0], (void *)&listen_addr, sizeof(listen_addr)), 0);
    s[1] = accept(l, NULL, NULL);
    CHECK(s[1] >= 0);
    close(l);
}

static short events(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN | POLLOUT | POLLRDHUP | POLLPRI};

    CHECK(poll(&p, 1, 0) >= 0);
    return p.revents;
}

static int state(int fd)
{
    struct tcp_info i;
    socklen_t len = sizeof(i);

    CHECK_EQ(getsockopt(fd, SOL_TCP, TCP_INFO, &i, &len), 0);
    return i.tcpi_state;
}

TEST(states)
{
    int s[2], l, fd = socket(AF_INET, SOCK_STREAM, 0);
    char c;

    CHECK_EQ(state(fd), TCP_CLOSE);
    CHECK_EQ(events(fd), POLLOUT | POLLHUP);
    CHECK_ERR(send(fd, "x", 1, MSG_NOSIGNAL), EPIPE);
    CHECK_ERR(recv(fd, &c, 1, 0), ENOTCONN);
    close(fd);
    l = listener(1);
    CHECK_EQ(state(l), TCP_LISTEN);
    CHECK_EQ(events(l), 0);
    CHECK_ERR(recv(l, &c, 1, 0), ENOTCONN);
    close(l);
    pair(s);
    CHECK_EQ(state(s[0]), TCP_ESTABLISHED);
    CHECK_EQ(events(s[0]), POLLOUT);
    CHECK_EQ(shutdown(s[0], SHUT_WR), 0);
    CHECK_EQ(state(s[1]), TCP_CLOSE_WAIT);
    CHECK(state(s[0]) == TCP_FIN_WAIT2 || state(s[0]) == TCP_FIN_WAIT1);
    CHECK_EQ(events(s[1]), POLLIN | POLLOUT | POLLRDHUP);
    CHECK_EQ(read(s[1], &c, 1), 0);
    CHECK_EQ(write(s[1], "y", 1), 1);
    CHECK_EQ(read(s[0], &c, 1), 1);
    close(s[1]);
    CHECK_EQ(read(s[0], &c, 1), 0);
    CHECK_EQ(events(s[0]), POLLIN | POLLOUT | POLLRDHUP | POLLHUP);
    close(s[0]);
}

TEST(refused_and_unreachable)
{
    int l = listener(1), c = socket(AF_INET, SOCK_STREAM, 0), v;
    struct sockaddr_in a = listen_addr;
    socklen_t len = sizeof(v);

    close(l);
    CHECK_ERR(connect(c, (void *)&a, sizeof(a)), ECONNREFUSED);
    CHECK_ERR(connect(c, (void *)&a, sizeof(a)), ECONNREFUSED);
    CHECK_EQ(fcntl(c, F_SETFL, O_NONBLOCK), 0);
    CHECK_ERR(connect(c, (void *)&a, sizeof(a)), EINPROGRESS);
    CHECK_EQ(events(c) & (POLLERR | POLLHUP | POLLOUT), POLLERR | POLLHUP | POLLOUT);
    CHECK_EQ(getsockopt(c, SOL_SOCKET, SO_ERROR, &v, &len), 0);
    CHECK_EQ(v, ECONNREFUSED);
    CHECK_EQ(getsockopt(c, SOL_SOCKET, SO_ERROR, &v, &len), 0);
    CHECK_EQ(v, 0);
    close(c);
}

TEST(nonblocking_connect)
{
    int l = listener(1), c = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

    CHECK_ERR(connect(c, (void *)&listen_addr, sizeof(listen_addr)), EINPROGRESS);
    CHECK_EQ(connect(c, (void *)&listen_addr, sizeof(listen_addr)), 0);
    CHECK_ERR(connect(c, (void *)&listen_addr, sizeof(listen_addr)), EISCONN);
    CHECK_EQ(events(c), POLLOUT);
    close(c);
    close(l);
}

TEST(backlog_holds_the_rest_back)
{
    int l = listener(1), c[4], s;

    for (int i = 0; i < 4; i++) {
        c[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        CHECK_ERR(connect(c[i], (void *)&listen_addr, sizeof(listen_addr)), EINPROGRESS);
    }
    CHECK_EQ(events(c[1]), POLLOUT);
    CHECK_EQ(events(c[3]), 0);
    CHECK_EQ(state(c[3]), TCP_SYN_SENT);
    for (int i = 0; i < 2; i++) {
        s = accept(l, NULL, NULL);
        CHECK(s >= 0);
        close(s);
    }
    for (int i = 0; i < 4; i++)
        close(c[i]);
    close(l);
}

TEST(reset_on_unread_data)
{
    int s[2];
    char c;

    pair(s);
    CHECK_EQ(write(s[0], "x", 1), 1);
    CHECK_EQ(write(s[1], "y", 1), 1);
    close(s[1]);
    CHECK_EQ(read(s[0], &c, 1), 1);
    CHECK_ERR(read(s[0], &c, 1), ECONNRESET);
    CHECK_ERR(send(s[0], "x", 1, MSG_NOSIGNAL), EPIPE);
    close(s[0]);
}

TEST(linger_zero_resets)
{
    struct linger li = {1, 0};
    int s[2];
    char c;

    pair(s);
    CHECK_EQ(setsockopt(s[1], SOL_SOCKET, SO_LINGER, &li, sizeof(li)), 0);
    close(s[1]);
    CHECK_EQ(events(s[0]) & (POLLERR | POLLHUP), POLLERR | POLLHUP);
    CHECK_ERR(read(s[0], &c, 1), ECONNRESET);
    close(s[0]);
}

/* SO_LINGER holds up close, not the exit of a process. */
TEST(exit_does_not_linger)
{
    struct linger li = {1, 36000};
    char block[65536] = {0}, c;
    int s[2], alone[2], status;
    pid_t pid;

    pair(s);
    REQUIRE(pipe(alone) == 0);
    pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        close(s[1]);
        if (read(alone[0], &c, 1) != 1) /* the exit must close it last, or our parent lingers */
            _exit(1);
        setsockopt(s[0], SOL_SOCKET, SO_LINGER, &li, sizeof(li));
        while (send(s[0], block, sizeof(block), MSG_DONTWAIT) > 0)
            continue;
        _exit(7);
    }
    close(s[0]);
    CHECK_EQ(write(alone[1], "x", 1), 1);
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 7);
    close(s[1]);
    close(alone[0]);
    close(alone[1]);
}

TEST(write_after_peer_closed)
{
    int s[2];
    char c;

    pair(s);
    close(s[1]);
    CHECK_EQ(read(s[0], &c, 1), 0);
    CHECK_EQ(send(s[0], "x", 1, MSG_NOSIGNAL), 1);
    CHECK_ERR(send(s[0], "x", 1, MSG_NOSIGNAL), EPIPE);
    close(s[0]);
}

TEST(peek_trunc_waitall)
{
    int s[2], n;
    char buf[16];

    pair(s);
    CHECK_EQ(write(s[0], "abcdef", 6), 6);
    CHECK_EQ(recv(s[1], buf, 16, MSG_PEEK), 6);
    CHECK_EQ(ioctl(s[1], FIONREAD, &n), 0);
    CHECK_EQ(n, 6);
    CHECK_EQ(recv(s[1], NULL, 2, MSG_TRUNC), 2);
    CHECK_EQ(recv(s[1], buf, 3, MSG_WAITALL), 3);
    CHECK_EQ(buf[0], 'c');
    CHECK_EQ(recv(s[1], buf, 16, 0), 1);
    CHECK_ERR(recv(s[1], buf, 16, MSG_DONTWAIT), EAGAIN);
    close(s[0]);
    close(s[1]);
}

TEST(urgent)
{
    int s[2], mark;
    char buf[16] = {0};

    pair(s);
    CHECK_ERR(recv(s[1], buf, 1, MSG_OOB), EINVAL);
    CHECK_EQ(send(s[0], "ab!", 3, MSG_OOB), 3);
    CHECK_EQ(send(s[0], "cd", 2, 0), 2);
    CHECK_EQ(events(s[1]) & POLLPRI, POLLPRI);
    CHECK_EQ(recv(s[1], buf, 1, MSG_OOB), 1);
    CHECK_EQ(buf[0], '!');
    CHECK_EQ(recv(s[1], buf, 16, 0), 2);
    CHECK_EQ(ioctl(s[1], SIOCATMARK, &mark), 0);
    CHECK_EQ(mark, 1);
    CHECK_EQ(recv(s[1], buf, 16, 0), 2);
    CHECK_EQ(buf[0], 'c');
    CHECK_ERR(recv(s[1], buf, 1, MSG_OOB), EINVAL);
    close(s[0]);
    close(s[1]);
}

static volatile int got_urgent;
static void on_urgent(int signo)
{
    got_urgent = signo;
}

TEST(urgent_signal)
{
    int s[2], owner = getpid(), got = 0;

    signal(SIGURG, on_urgent);
    pair(s);
    CHECK_EQ(ioctl(s[1], FIOSETOWN, &owner), 0);
    CHECK_EQ(ioctl(s[1], SIOCGPGRP, &got), 0);
    CHECK_EQ(got, owner);
    CHECK_EQ(fcntl(s[1], F_GETOWN), owner);
    CHECK_EQ(send(s[0], "!", 1, MSG_OOB), 1);
    WAIT_UNTIL(got_urgent);
    CHECK_EQ(got_urgent, SIGURG);
    signal(SIGURG, SIG_DFL);
    close(s[0]);
    close(s[1]);
}

TEST(port_sharing)
{
    int l = listener(1), o = socket(AF_INET, SOCK_STREAM, 0), on = 1, c, s;

    CHECK_ERR(bind(o, (void *)&listen_addr, sizeof(listen_addr)), EADDRINUSE);
    CHECK_EQ(setsockopt(o, SOL_SOCKET, SO_REUSEADDR, &on, 4), 0);
    CHECK_ERR(bind(o, (void *)&listen_addr, sizeof(listen_addr)), EADDRINUSE);
    /* The server's side closed first: its port waits, and only SO_REUSEADDR may take it. */
    c = socket(AF_INET, SOCK_STREAM, 0);
    CHECK_EQ(connect(c, (void *)&listen_addr, sizeof(listen_addr)), 0);
    s = accept(l, NULL, NULL);
    close(l);
    close(s);
    close(c);
    l = socket(AF_INET, SOCK_STREAM, 0);
    CHECK_ERR(bind(l, (void *)&listen_addr, sizeof(listen_addr)), EADDRINUSE);
    close(l);
    close(o);
    l = socket(AF_INET, SOCK_STREAM, 0);
    o = socket(AF_INET, SOCK_STREAM, 0);
    listen_addr.sin_port = 0;
    CHECK_EQ(setsockopt(l, SOL_SOCKET, SO_REUSEPORT, &on, 4), 0);
    CHECK_EQ(setsockopt(o, SOL_SOCKET, SO_REUSEPORT, &on, 4), 0);
    CHECK_EQ(bind(l, (void *)&listen_addr, sizeof(listen_addr)), 0);
    CHECK_EQ(getsockname(l, (void *)&listen_addr, &(socklen_t){sizeof(listen_addr)}), 0);
    CHECK_EQ(bind(o, (void *)&listen_addr, sizeof(listen_addr)), 0);
    CHECK_EQ(listen(l, 64), 0);
    CHECK_EQ(listen(o, 64), 0);
    close(l);
    close(o);
}

/* A restarting server: what is left of its old connections does not stop listen. */
TEST(listen_again_among_old_connections)
{
    struct sockaddr_in addr;
    int l, c, s, other, on = 1;

    l = listener(4);
    addr = listen_addr;
    setsockopt(l, SOL_SOCKET, SO_REUSEADDR, &on, 4);
    c = socket(AF_INET, SOCK_STREAM, 0);
    CHECK_EQ(connect(c, (void *)&addr, sizeof(addr)), 0);
    s = accept(l, NULL, NULL);
    close(l);
    l = socket(AF_INET, SOCK_STREAM, 0);
    setsockopt(l, SOL_SOCKET, SO_REUSEADDR, &on, 4);
    CHECK_EQ(bind(l, (void *)&addr, sizeof(addr)), 0);
    other = socket(AF_INET, SOCK_STREAM, 0);
    setsockopt(other, SOL_SOCKET, SO_REUSEADDR, &on, 4);
    CHECK_EQ(bind(other, (void *)&addr, sizeof(addr)), 0);
    CHECK_EQ(listen(l, 4), 0);
    /* Bound when that was allowed, but somebody else listens by then. */
    CHECK_ERR(listen(other, 4), EADDRINUSE);
    close(l);
    CHECK_EQ(listen(other, 4), 0);
    close(other);
    close(s); /* the server's end closes first: TIME_WAIT on the port */
    close(c);
    l = socket(AF_INET, SOCK_STREAM, 0);
    setsockopt(l, SOL_SOCKET, SO_REUSEADDR, &on, 4);
    CHECK_EQ(bind(l, (void *)&addr, sizeof(addr)), 0);
    CHECK_EQ(listen(l, 4), 0);
    close(l);
}

TEST(dual_stack)
{
    struct sockaddr_in6 a = {.sin6_family = AF_INET6}, peer;
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(a);
    int l = socket(AF_INET6, SOCK_STREAM, 0), c = socket(AF_INET, SOCK_STREAM, 0), s, on = 1;

    if (l < 0)
        SKIP("no IPv6");
    CHECK_EQ(bind(l, (void *)&a, sizeof(a)), 0);
    CHECK_EQ(listen(l, 4), 0);
    CHECK_EQ(getsockname(l, (void *)&a, &len), 0);
    v4.sin_port = a.sin6_port;
    CHECK_EQ(connect(c, (void *)&v4, sizeof(v4)), 0);
    len = sizeof(peer);
    s = accept(l, (void *)&peer, &len);
    CHECK(s >= 0);
    CHECK_EQ(len, sizeof(peer));
    CHECK(IN6_IS_ADDR_V4MAPPED(&peer.sin6_addr));
    close(s);
    close(c);
    close(l);
    l = socket(AF_INET6, SOCK_STREAM, 0);
    CHECK_EQ(setsockopt(l, IPPROTO_IPV6, IPV6_V6ONLY, &on, 4), 0);
    a.sin6_port = 0;
    CHECK_EQ(bind(l, (void *)&a, sizeof(a)), 0);
    CHECK_EQ(listen(l, 4), 0);
    len = sizeof(a);
    CHECK_EQ(getsockname(l, (void *)&a, &len), 0);
    v4.sin_port = a.sin6_port;
    c = socket(AF_INET, SOCK_STREAM, 0);
    CHECK_ERR(connect(c, (void *)&v4, sizeof(v4)), ECONNREFUSED);
    close(c);
    close(l);
}

TEST(disconnect)
{
    struct sockaddr un = {.sa_family = AF_UNSPEC};
    int l = listener(4), c = socket(AF_INET, SOCK_STREAM, 0), s;
    char b;

    CHECK_EQ(connect(c, (void *)&listen_addr, sizeof(listen_addr)), 0);
    s = accept(l, NULL, NULL);
    CHECK_EQ(connect(c, &un, sizeof(un)), 0);
    CHECK_ERR(read(s, &b, 1), ECONNRESET);
    close(s);
    CHECK_EQ(connect(c, (void *)&listen_addr, sizeof(listen_addr)), 0);
    s = accept(l, NULL, NULL);
    CHECK(s >= 0);
    close(s);
    close(c);
    close(l);
}

TEST(flow)
{
    static char big[1 << 20];
    size_t total = 0, sum = 0;
    int s[2], status;
    ssize_t n;
    pid_t pid;

    pair(s);
    pid = fork();
    if (pid == 0) {
        close(s[0]);
        for (int i = 0; i < 16; i++) {
            memset(big, i, sizeof(big));
            if (write(s[1], big, sizeof(big)) != sizeof(big))
                _exit(1);
        }
        _exit(0);
    }
    close(s[1]);
    while ((n = read(s[0], big, 100000)) > 0) {
        for (ssize_t i = 0; i < n; i += 4096)
            sum += (size_t)(big[i] == (char)((total + (size_t)i) >> 20));
        total += (size_t)n;
    }
    CHECK_EQ(total, 16u << 20);
    CHECK(sum > 0);
    waitpid(pid, &status, 0);
    CHECK_EQ(status, 0);
    close(s[0]);
}

GUEST_TEST_MAIN
