/* SPDX-License-Identifier: Apache-2.0 */
/* AF_UNIX: pairs, streams, datagrams, names, passing of descriptors and credentials. */
#include <poll.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "tests/support/guest_test.h"

static socklen_t set_name(struct sockaddr_un *a, const char *name, size_t len)
{
    memset(a, 0, sizeof(*a));
    a->sun_family = AF_UNIX;
    memcpy(a->sun_path, name, len);
    return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
}

TEST(pairs)
{
    char buf[32];
    int s[2];

    CHECK_EQ(sysp(SYS_socketpair, AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, s), 0);
    CHECK_EQ(fcntl(s[0], F_GETFD), FD_CLOEXEC);
    CHECK_EQ(sysp(SYS_sendto, s[0], "hello", (size_t)5, 0u, NULL, 0), 5);
    CHECK_EQ(sysp(SYS_recvfrom, s[1], buf, (size_t)32, (unsigned)MSG_PEEK, NULL, NULL), 5);
    CHECK_EQ(read(s[1], buf, 2), 2);
    CHECK_EQ(read(s[1], buf, 32), 3);
    CHECK_ERR(recv(s[1], buf, 1, MSG_DONTWAIT), EAGAIN);
    CHECK_EQ(sysp(SYS_shutdown, s[0], SHUT_WR), 0);
    CHECK_EQ(read(s[1], buf, 1), 0);
    CHECK_ERR(send(s[0], "x", 1, MSG_NOSIGNAL), EPIPE);
    CHECK_EQ(write(s[1], "y", 1), 1);
    CHECK_ERR(sysp(SYS_shutdown, s[0], 9), EINVAL);
    close(s[1]);
    CHECK_EQ(read(s[0], buf, 32), 1);
    CHECK_EQ(read(s[0], buf, 32), 0);
    close(s[0]);
    CHECK_ERR(sysp(SYS_socketpair, AF_INET, SOCK_STREAM, 0, s), EOPNOTSUPP);
    CHECK_ERR(sysp(SYS_socketpair, AF_UNIX, SOCK_STREAM, 0, BAD_PTR), EFAULT);
}

TEST(stream_server)
{
    struct sockaddr_un a, peer;
    socklen_t len, peer_len = sizeof(peer);
    char buf[8];
    int l = (int)sysp(SYS_socket, AF_UNIX, SOCK_STREAM, 0), c = socket(AF_UNIX, SOCK_STREAM, 0), s;
    struct stat st;

    REQUIRE(l >= 0 && c >= 0);
    test_tmpdir();
    len = set_name(&a, "sock", 5);
    CHECK_ERR(sysp(SYS_connect, c, &a, (int)len), ENOENT);
    CHECK_EQ(sysp(SYS_bind, l, &a, (int)len), 0);
    CHECK(stat("sock", &st) == 0 && S_ISSOCK(st.st_mode));
    CHECK_ERR(sysp(SYS_connect, c, &a, (int)len), ECONNREFUSED);
    CHECK_ERR(sysp(SYS_accept, l, NULL, NULL), EINVAL);
    CHECK_EQ(sysp(SYS_listen, l, 5), 0);
    CHECK_EQ(sysp(SYS_connect, c, &a, (int)len), 0);
    CHECK_ERR(sysp(SYS_connect, c, &a, (int)len), EISCONN);
    s = (int)sysp(SYS_accept4, l, &peer, &peer_len, SOCK_NONBLOCK);
    REQUIRE(s >= 0);
    CHECK_EQ(peer_len, 2);
    CHECK(fcntl(s, F_GETFL) & O_NONBLOCK);
    CHECK_ERR(read(s, buf, 1), EAGAIN);
    CHECK_EQ(write(c, "ping", 4), 4);
    CHECK_EQ(read(s, buf, 8), 4);
    peer_len = sizeof(peer);
    CHECK_EQ(sysp(SYS_getsockname, s, &peer, &peer_len), 0);
    CHECK_STR(peer.sun_path, "sock");
    CHECK_EQ(peer_len, len);
    peer_len = sizeof(peer);
    CHECK_EQ(sysp(SYS_getpeername, c, &peer, &peer_len), 0);
    CHECK_STR(peer.sun_path, "sock");
    CHECK_ERR(sysp(SYS_getpeername, l, &peer, &peer_len), ENOTCONN);
    CHECK_ERR(bind(socket(AF_UNIX, SOCK_STREAM, 0), (struct sockaddr *)&a, len), EADDRINUSE);
    close(s);
    CHECK_EQ(read(c, buf, 1), 0);
    close(c);
    close(l);
}

TEST(abstract_names)
{
    struct sockaddr_un a, got;
    socklen_t len, got_len = sizeof(got);
    char name[20];
    int l = socket(AF_UNIX, SOCK_STREAM, 0), c = socket(AF_UNIX, SOCK_STREAM, 0);
    int autob = socket(AF_UNIX, SOCK_DGRAM, 0);

    snprintf(name, sizeof(name), "%cgt-%d", 0, getpid());
    len = set_name(&a, name, 4 + strlen(name + 1));
    CHECK_EQ(bind(l, (struct sockaddr *)&a, len), 0);
    CHECK_EQ(listen(l, 1), 0);
    CHECK_EQ(connect(c, (struct sockaddr *)&a, len), 0);
    CHECK_EQ(getpeername(c, (struct sockaddr *)&got, &got_len), 0);
    CHECK_EQ(got_len, len);
    close(l);
    CHECK_ERR(connect(socket(AF_UNIX, SOCK_STREAM, 0), (struct sockaddr *)&a, len), ECONNREFUSED);
    close(c);
    /* Autobind picks a five-digit name. */
    CHECK_EQ(bind(autob, (struct sockaddr *)&a, 2), 0);
    got_len = sizeof(got);
    CHECK_EQ(getsockname(autob, (struct sockaddr *)&got, &got_len), 0);
    CHECK_EQ(got_len, 8);
    CHECK_EQ(got.sun_path[0], 0);
    close(autob);
}

TEST(datagrams)
{
    struct sockaddr_un a, b, from;
    socklen_t la, lb, lf = sizeof(from);
    char buf[8];
    int x = socket(AF_UNIX, SOCK_DGRAM, 0), y = socket(AF_UNIX, SOCK_DGRAM, 0);

    test_tmpdir();
    la = set_name(&a, "a", 2);
    lb = set_name(&b, "b", 2);
    CHECK_EQ(bind(x, (struct sockaddr *)&a, la), 0);
    CHECK_EQ(bind(y, (struct sockaddr *)&b, lb), 0);
    CHECK_EQ(sendto(x, "one", 3, 0, (struct sockaddr *)&b, lb), 3);
    CHECK_EQ(sendto(x, "second", 6, 0, (struct sockaddr *)&b, lb), 6);
    CHECK_EQ(sysp(SYS_recvfrom, y, buf, (size_t)8, 0u, &from, &lf), 3);
    CHECK_STR(from.sun_path, "a");
    /* A short buffer cuts the message; MSG_TRUNC tells its length. */
    CHECK_EQ(recv(y, buf, 3, MSG_TRUNC), 6);
    CHECK_ERR(recv(y, buf, 3, MSG_DONTWAIT), EAGAIN);
    CHECK_EQ(connect(x, (struct sockaddr *)&b, lb), 0);
    CHECK_EQ(send(x, "z", 1, 0), 1);
    CHECK_EQ(read(y, buf, 8), 1);
    CHECK_ERR(sendto(y, "q", 1, 0, NULL, 0), ENOTCONN);
    close(y);
    CHECK_ERR(send(x, "z", 1, 0), ECONNREFUSED);
    close(x);
}

TEST(sequenced_packets)
{
    char buf[8];
    int s[2];

    CHECK_EQ(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, s), 0);
    CHECK_EQ(write(s[0], "abc", 3), 3);
    CHECK_EQ(write(s[0], "d", 1), 1);
    CHECK_EQ(read(s[1], buf, 8), 3);
    CHECK_EQ(read(s[1], buf, 8), 1);
    close(s[0]);
    CHECK_EQ(read(s[1], buf, 8), 0);
    close(s[1]);
}

static ssize_t send_fds(int s, const int *fds, int n, int flags)
{
    char control[CMSG_SPACE(sizeof(int) * 4)] = {0}, data = 'f';
    struct iovec iov = {&data, 1};
    struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control};
    struct cmsghdr *c;

    m.msg_controllen = CMSG_SPACE(sizeof(int) * (size_t)n);
    c = CMSG_FIRSTHDR(&m);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof(int) * (size_t)n);
    memcpy(CMSG_DATA(c), fds, sizeof(int) * (size_t)n);
    return sysp(SYS_sendmsg, s, &m, (unsigned)flags);
}

TEST(passing_descriptors)
{
    char control[CMSG_SPACE(sizeof(int) * 4)], data;
    struct iovec iov = {&data, 1};
    struct msghdr m = {.msg_iov = &iov,
                       .msg_iovlen = 1,
                       .msg_control = control,
                       .msg_controllen = sizeof(control)};
    struct cmsghdr *c;
    int s[2], p[2], got[2];

    REQUIRE(socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0 && pipe(p) == 0);
    CHECK_EQ(send_fds(s[0], p, 2, 0), 1);
    close(p[1]);
    CHECK_EQ(sysp(SYS_recvmsg, s[1], &m, (unsigned)MSG_CMSG_CLOEXEC), 1);
    c = CMSG_FIRSTHDR(&m);
    REQUIRE(c);
    CHECK_EQ(c->cmsg_type, SCM_RIGHTS);
    CHECK_EQ(c->cmsg_len, CMSG_LEN(8));
    memcpy(got, CMSG_DATA(c), 8);
    CHECK_EQ(fcntl(got[0], F_GETFD), FD_CLOEXEC);
    CHECK_EQ(write(got[1], "thru", 4), 4);
    CHECK_EQ(read(p[0], control, 8), 4);
    close(got[0]);
    close(got[1]);
    CHECK_EQ(read(p[0], control, 8), 0);
    /* Too small a control buffer: what does not fit is closed. */
    CHECK_EQ(send_fds(s[0], p, 1, 0), 1);
    m.msg_control = control;
    m.msg_controllen = 4;
    CHECK_EQ(recvmsg(s[1], &m, 0), 1);
    CHECK(m.msg_flags & MSG_CTRUNC);
    got[0] = 9999;
    CHECK_ERR(send_fds(s[0], got, 1, 0), EBADF);
    close(p[0]);
    close(s[0]);
    close(s[1]);
}

TEST(credentials)
{
    char control[CMSG_SPACE(sizeof(struct ucred))], data = 0;
    struct iovec iov = {&data, 1};
    struct msghdr m = {.msg_iov = &iov,
                       .msg_iovlen = 1,
                       .msg_control = control,
                       .msg_controllen = sizeof(control)};
    struct ucred u = {0};
    socklen_t len = sizeof(u);
    int s[2], one = 1;

    REQUIRE(socketpair(AF_UNIX, SOCK_DGRAM, 0, s) == 0);
    CHECK_EQ(sysp(SYS_getsockopt, s[0], SOL_SOCKET, SO_PEERCRED, &u, &len), 0);
    CHECK_EQ(u.pid, getpid());
    CHECK_EQ(u.uid, getuid());
    CHECK_EQ(sysp(SYS_setsockopt, s[1], SOL_SOCKET, SO_PASSCRED, &one, 4), 0);
    CHECK_EQ(write(s[0], "c", 1), 1);
    CHECK_EQ(recvmsg(s[1], &m, 0), 1);
    REQUIRE(CMSG_FIRSTHDR(&m));
    CHECK_EQ(CMSG_FIRSTHDR(&m)->cmsg_type, SCM_CREDENTIALS);
    memcpy(&u, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof(u));
    CHECK_EQ(u.pid, getpid());
    close(s[0]);
    close(s[1]);
}

TEST(options_and_limits)
{
    struct pollfd p;
    int s[2], v = 0, n = 0;
    socklen_t len = sizeof(v);
    char big[4096] = {0};

    REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, s) == 0);
    CHECK_EQ(getsockopt(s[0], SOL_SOCKET, SO_TYPE, &v, &len), 0);
    CHECK_EQ(v, SOCK_STREAM);
    CHECK_EQ(getsockopt(s[0], SOL_SOCKET, SO_DOMAIN, &v, &len), 0);
    CHECK_EQ(v, AF_UNIX);
    CHECK_EQ(getsockopt(s[0], SOL_SOCKET, SO_ERROR, &v, &len), 0);
    CHECK_EQ(v, 0);
    while (write(s[0], big, sizeof(big)) > 0)
        n++;
    CHECK_EQ(errno, EAGAIN);
    CHECK(n > 5);
    p = (struct pollfd){.fd = s[0], .events = POLLOUT};
    CHECK_EQ(poll(&p, 1, 0), 0);
    CHECK_EQ(ioctl(s[1], FIONREAD, &v), 0);
    CHECK(v >= n * 4096);
    while (read(s[1], big, sizeof(big)) > 0)
        ;
    CHECK_EQ(poll(&p, 1, 0), 1);
    close(s[1]);
    CHECK_EQ(poll(&p, 1, 0), 1);
    CHECK(p.revents & POLLHUP);
    close(s[0]);
    CHECK_ERR(sysp(SYS_socket, AF_UNIX, 99, 0), EINVAL);
    CHECK_ERR(sysp(SYS_socket, 9999, SOCK_STREAM, 0), EAFNOSUPPORT);
    CHECK_ERR(sysp(SYS_socket, AF_UNIX, SOCK_STREAM, 99), EPROTONOSUPPORT);
    CHECK_ERR(sysp(SYS_bind, 0, NULL, 0), ENOTSOCK);
    CHECK_ERR(sysp(SYS_listen, 9999, 1), EBADF);
}

TEST(many_messages)
{
    struct mmsghdr m[3] = {0};
    struct iovec iov[3];
    char b[3][4];
    int s[2];

    REQUIRE(socketpair(AF_UNIX, SOCK_DGRAM, 0, s) == 0);
    for (int i = 0; i < 3; i++) {
        memcpy(b[i], "abc", 4);
        iov[i] = (struct iovec){b[i], (size_t)i + 1};
        m[i].msg_hdr.msg_iov = &iov[i];
        m[i].msg_hdr.msg_iovlen = 1;
    }
    CHECK_EQ(sysp(SYS_sendmmsg, s[0], m, 3u, 0u), 3);
    CHECK_EQ(m[2].msg_len, 3);
    memset(b, 0, sizeof(b));
    CHECK_EQ(sysp(SYS_recvmmsg, s[1], m, 3u, (unsigned)MSG_DONTWAIT, NULL), 3);
    CHECK_EQ(m[0].msg_len, 1);
    CHECK_EQ(m[2].msg_len, 3);
    CHECK_ERR(sysp(SYS_recvmmsg, s[1], m, 3u, (unsigned)MSG_DONTWAIT, NULL), EAGAIN);
    close(s[0]);
    close(s[1]);
}

GUEST_TEST_MAIN
