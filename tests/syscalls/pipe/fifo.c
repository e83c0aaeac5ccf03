/* SPDX-License-Identifier: Apache-2.0 */
/* fifo(7): who waits for whom in open, and what poll says. */
#define _GNU_SOURCE
#include "tests/support/guest_test.h"

#include <poll.h>

static void make(const char *name)
{
    unlink(name);
    CHECK_EQ(mkfifo(name, 0600), 0);
}

static short events(int fd, short want)
{
    struct pollfd p = {.fd = fd, .events = want};

    CHECK(poll(&p, 1, 0) >= 0);
    return p.revents;
}

TEST(nonblocking_open)
{
    char c;
    int r, w;

    test_tmpdir();
    make("f");
    CHECK_ERR(open("f", O_WRONLY | O_NONBLOCK), ENXIO);
    r = open("f", O_RDONLY | O_NONBLOCK);
    REQUIRE(r >= 0);
    CHECK_EQ(events(r, POLLIN), 0); /* no HUP before the first writer */
    CHECK_EQ(read(r, &c, 1), 0);
    w = open("f", O_WRONLY | O_NONBLOCK);
    REQUIRE(w >= 0);
    CHECK_ERR(read(r, &c, 1), EAGAIN);
    CHECK_EQ(write(w, "a", 1), 1);
    CHECK_EQ(events(r, POLLIN), POLLIN);
    close(w);
    CHECK_EQ(events(r, POLLIN), POLLIN | POLLHUP);
    CHECK_EQ(read(r, &c, 1), 1);
    CHECK_EQ(events(r, POLLIN), POLLHUP);
    close(r);
    w = open("f", O_RDWR);
    REQUIRE(w >= 0);
    CHECK_EQ(write(w, "b", 1), 1);
    CHECK_EQ(read(w, &c, 1), 1);
    close(w);
}

/* An anonymous pipe opened through its magic link does not wait for the other side. */
TEST(anonymous_through_proc)
{
    char path[64], c = 0;
    int p[2], fd;

    REQUIRE(pipe(p) == 0);
    CHECK_EQ(write(p[1], "x", 1), 1);
    close(p[1]);
    snprintf(path, sizeof(path), "/proc/self/fd/%d", p[0]);
    fd = open(path, O_RDONLY);
    REQUIRE(fd >= 0);
    CHECK_EQ(read(fd, &c, 1), 1);
    CHECK_EQ(c, 'x');
    close(p[0]);
    close(fd);
}

TEST(last_close_discards)
{
    char c;
    int fd;

    test_tmpdir();
    make("d");
    fd = open("d", O_RDWR);
    REQUIRE(fd >= 0);
    CHECK_EQ(write(fd, "left over", 9), 9);
    close(fd);
    fd = open("d", O_RDONLY | O_NONBLOCK);
    CHECK_EQ(read(fd, &c, 1), 0);
    close(fd);
}

TEST(rendezvous)
{
    char c = 0;
    int fd, status;
    pid_t pid;

    test_tmpdir();
    make("g");
    pid = fork();
    if (pid == 0) {
        fd = open("g", O_WRONLY);
        _exit(fd >= 0 && write(fd, "q", 1) == 1 ? 0 : 1);
    }
    CHECK(test_wait_asleep(pid, SYS_openat));
    fd = open("g", O_RDONLY);
    REQUIRE(fd >= 0);
    CHECK_EQ(read(fd, &c, 1), 1);
    CHECK_EQ(c, 'q');
    CHECK_EQ(read(fd, &c, 1), 0);
    waitpid(pid, &status, 0);
    CHECK_EQ(status, 0);
    close(fd);
}

static void on_alarm(int signo)
{
    (void)signo;
}

TEST(open_is_interruptible)
{
    struct sigaction sa = {.sa_handler = on_alarm};
    pid_t pid;

    test_tmpdir();
    make("h");
    sigaction(SIGUSR1, &sa, NULL);
    pid = test_signal_in(SYS_openat, SIGUSR1);
    CHECK_ERR(open("h", O_RDONLY), EINTR);
    waitpid(pid, NULL, 0);
}

GUEST_TEST_MAIN
