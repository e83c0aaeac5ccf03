/* SPDX-License-Identifier: Apache-2.0 */
/* AF_UNIX streams: names, backlog, end of file, readiness, flow. unix(7). */
#define _GNU_SOURCE
#include "tests/support/guest_test.h"

#include <poll.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>

static socklen_t addr(struct sockaddr_un *a, const char *path)
{
    memset(a, 0, sizeof(*a));
    a->sun_family = AF_UNIX;
    strcpy(a->sun_path, path);
    return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path) + 1);
}

static short events(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN | POLLOUT | POLLRDHUP | POLLPRI};

    CHECK(poll(&p, 1, 0) >= 0);
    return p.revents;
}

TEST(pair_end_of_file)
{
    char buf[16];
    int s[2];

    REQUIRE(socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0);
    CHECK_EQ(events(s[0]), POLLOUT);
    CHECK_EQ(write(s[0], "hello", 5), 5);
    CHECK_EQ(events(s[1]), POLLIN | POLLOUT);
    CHECK_EQ(shutdown(s[0], SHUT_WR), 0);
    CHECK_EQ(events(s[1]), POLLIN | POLLOUT | POLLRDHUP);
    CHECK_EQ(read(s[1], buf, 2), 2);
    CHECK_EQ(read(s[1], buf, 16), 3);
    CHECK_EQ(read(s[1], buf, 16), 0);
    CHECK_ERR(send(s[0], "x", 1, MSG_NOSIGNAL), EPIPE);
    close(s[1]);
    CHECK_EQ(events(s[0]), POLLIN | POLLOUT | POLLRDHUP | POLLHUP);
    CHECK_EQ(read(s[0], buf, 1), 0);
    close(s[0]);
}

TEST(close_with_unread_data_resets)
{
    char c;
    int s[2];

    REQUIRE(socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0);
    CHECK_EQ(write(s[0], "x", 1), 1);
    close(s[1]);
    CHECK_ERR(read(s[0], &c, 1), ECONNRESET);
    CHECK_EQ(read(s[0], &c, 1), 0);
    close(s[0]);
}

static volatile int got_pipe;
static void on_pipe(int signo)
{
    got_pipe = signo;
}

TEST(sigpipe)
{
    int s[2];

    signal(SIGPIPE, on_pipe);
    REQUIRE(socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0);
    close(s[1]);
    CHECK_ERR(write(s[0], "x", 1), EPIPE);
    CHECK_EQ(got_pipe, SIGPIPE);
    close(s[0]);
    signal(SIGPIPE, SIG_DFL);
}

TEST(named)
{
    struct sockaddr_un a, got;
    socklen_t len, got_len;
    struct ucred uc;
    int l, c, s;
    char buf[8];

    test_tmpdir();
    len = addr(&a, "sock");
    l = socket(AF_UNIX, SOCK_STREAM, 0);
    c = socket(AF_UNIX, SOCK_STREAM, 0);
    CHECK_ERR(connect(c, (void *)&a, len), ENOENT);
    CHECK_EQ(bind(l, (void *)&a, len), 0);
    CHECK_ERR(connect(c, (void *)&a, len), ECONNREFUSED);
    CHECK_ERR(bind(c, (void *)&a, len), EADDRINUSE);
    CHECK_ERR(bind(l, (void *)&a, len), EADDRINUSE);
    got_len = addr(&got, "other");
    CHECK_ERR(bind(l, (void *)&got, got_len), EINVAL);
    CHECK_ERR(access("other", F_OK), ENOENT);
    CHECK_EQ(events(c), POLLOUT | POLLHUP);
    CHECK_EQ(listen(l, 4), 0);
    CHECK_EQ(events(l), 0);
    CHECK_EQ(connect(c, (void *)&a, len), 0);
    CHECK_ERR(connect(c, (void *)&a, len), EISCONN);
    CHECK_EQ(events(l), POLLIN);
    CHECK_EQ(write(c, "early", 5), 5);
    got_len = sizeof(got);
    s = accept(l, (void *)&got, &got_len);
    REQUIRE(s >= 0);
    CHECK_EQ(got_len, 2);
    CHECK_EQ(read(s, buf, 8), 5);
    got_len = sizeof(got);
    CHECK_EQ(getpeername(c, (void *)&got, &got_len), 0);
    CHECK_EQ(got_len, len);
    CHECK_STR(got.sun_path, "sock");
    got_len = sizeof(got);
    CHECK_EQ(getsockname(s, (void *)&got, &got_len), 0);
    CHECK_STR(got.sun_path, "sock");
    got_len = sizeof(uc);
    CHECK_EQ(getsockopt(s, SOL_SOCKET, SO_PEERCRED, &uc, &got_len), 0);
    CHECK_EQ(uc.pid, getpid());
    CHECK_EQ(uc.uid, geteuid());
    close(l);
    CHECK_EQ(unlink("sock"), 0);
    CHECK_EQ(write(s, "late", 4), 4);
    CHECK_EQ(read(c, buf, 8), 4);
    close(s);
    CHECK_EQ(read(c, buf, 8), 0);
    close(c);
}

TEST(abstract_and_autobind)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX}, got;
    socklen_t len = sizeof(got);
    int l = socket(AF_UNIX, SOCK_STREAM, 0), c = socket(AF_UNIX, SOCK_STREAM, 0), d;

    CHECK_EQ(bind(l, (void *)&a, 2), 0);
    CHECK_EQ(getsockname(l, (void *)&got, &len), 0);
    CHECK_EQ(len, 8);
    CHECK_EQ(got.sun_path[0], 0);
    CHECK_EQ(listen(l, 1), 0);
    CHECK_EQ(connect(c, (void *)&got, len), 0);
    d = socket(AF_UNIX, SOCK_DGRAM, 0);
    /* The same bytes are another name for another type. */
    CHECK_EQ(bind(d, (void *)&got, len), 0);
    close(d);
    d = socket(AF_UNIX, SOCK_STREAM, 0);
    CHECK_ERR(bind(d, (void *)&got, len), EADDRINUSE);
    close(l);
    CHECK_EQ(bind(d, (void *)&got, len), 0);
    close(d);
    close(c);
}

TEST(backlog)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX}, name;
    socklen_t len = sizeof(name);
    int l = socket(AF_UNIX, SOCK_STREAM, 0), c[4], s;

    CHECK_EQ(bind(l, (void *)&a, 2), 0);
    CHECK_EQ(getsockname(l, (void *)&name, &len), 0);
    CHECK_EQ(listen(l, 1), 0);
    for (int i = 0; i < 3; i++)
        c[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
    CHECK_EQ(connect(c[0], (void *)&name, len), 0);
    CHECK_EQ(connect(c[1], (void *)&name, len), 0);
    CHECK_ERR(connect(c[2], (void *)&name, len), EAGAIN);
    s = accept(l, NULL, NULL);
    CHECK(s >= 0);
    CHECK_EQ(connect(c[2], (void *)&name, len), 0);
    close(l);
    /* Connections that nobody accepted are reset. */
    CHECK_ERR(recv(c[1], &len, 1, 0), ECONNRESET);
    for (int i = 0; i < 3; i++)
        close(c[i]);
    close(s);
}

TEST(peek_waitall_trunc)
{
    char buf[16] = {0};
    int s[2], n;

    REQUIRE(socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0);
    CHECK_EQ(write(s[0], "abc", 3), 3);
    CHECK_EQ(write(s[0], "def", 3), 3);
    CHECK_EQ(ioctl(s[1], FIONREAD, &n), 0);
    CHECK_EQ(n, 6);
    CHECK_EQ(recv(s[1], buf, 16, MSG_PEEK), 6);
    CHECK_EQ(recv(s[1], buf, 4, MSG_WAITALL), 4);
    CHECK_EQ(recv(s[1], buf, 16, 0), 2);
    CHECK_ERR(recv(s[1], buf, 1, MSG_DONTWAIT), EAGAIN);
    CHECK_ERR(send(s[0], "x", 1, MSG_OOB) == 1 ? (errno = EOPNOTSUPP, -1) : -1, EOPNOTSUPP);
    close(s[0]);
    close(s[1]);
}

TEST(fills_up_and_drains)
{
    static char big[65536];
    size_t total = 0;
    ssize_t n;
    int s[2];

    REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, s) == 0);
    while ((n = write(s[0], big, sizeof(big))) > 0)
        total += (size_t)n;
    CHECK_EQ(errno, EAGAIN);
    CHECK(total >= 65536 && total <= 4 << 20);
    CHECK_EQ(events(s[0]), 0);
    while ((n = read(s[1], big, sizeof(big))) > 0)
        total -= (size_t)n;
    CHECK_EQ(total, 0);
    CHECK_EQ(events(s[0]), POLLOUT);
    close(s[0]);
    close(s[1]);
}

TEST(blocked_writer_continues)
{
    static char big[1 << 20];
    size_t total = 0;
    ssize_t n;
    int s[2], status;
    pid_t pid;

    REQUIRE(socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0);
    pid = fork();
    if (pid == 0) {
        close(s[0]);
        _exit(write(s[1], big, sizeof(big)) == sizeof(big) ? 0 : 1);
    }
    close(s[1]);
    while ((n = read(s[0], big, 70000)) > 0)
        total += (size_t)n;
    CHECK_EQ(total, sizeof(big));
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK_EQ(status, 0);
    close(s[0]);
}

GUEST_TEST_MAIN
