/* SPDX-License-Identifier: Apache-2.0 */
/* O_ASYNC: SIGIO for pipes and terminals. */
#define _GNU_SOURCE
#include "tests/support/guest_test.h"

#include <poll.h>
#include <sys/ioctl.h>

static volatile int g_count, g_fd, g_code;

static void on_io(int signo, siginfo_t *info, void *ctx)
{
    (void)ctx;
    g_fd = info->si_fd;
    g_code = info->si_code;
    g_count = signo == SIGRTMIN ? g_count + 1 : -100;
}

static void arm(int fd)
{
    struct sigaction sa = {.sa_sigaction = on_io, .sa_flags = SA_SIGINFO};

    sigaction(SIGRTMIN, &sa, NULL);
    g_count = 0;
    CHECK_EQ(fcntl(fd, F_SETOWN, getpid()), 0);
    CHECK_EQ(fcntl(fd, F_SETSIG, SIGRTMIN), 0);
    CHECK_EQ(fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_ASYNC), 0);
}

static void wait_count(int want)
{
    WAIT_UNTIL(g_count >= want);
    CHECK_EQ(g_count, want);
}

TEST(pipe_reader)
{
    char c;
    int p[2];

    REQUIRE(pipe(p) == 0);
    arm(p[0]);
    CHECK_EQ(write(p[1], "a", 1), 1);
    wait_count(1);
    CHECK_EQ(g_fd, p[0]);
    CHECK_EQ(g_code, POLL_IN);
    CHECK_EQ(read(p[0], &c, 1), 1);
    CHECK_EQ(fcntl(p[0], F_SETFL, O_RDONLY), 0);
    CHECK_EQ(write(p[1], "a", 1), 1);
    test_sleep_ms(20);
    CHECK_EQ(g_count, 1);
    close(p[0]);
    close(p[1]);
}

TEST(terminal)
{
    int m = posix_openpt(O_RDWR | O_NOCTTY), s, on = 1;

    REQUIRE(m >= 0 && unlockpt(m) == 0);
    s = ioctl(m, TIOCGPTPEER, O_RDWR | O_NOCTTY);
    REQUIRE(s >= 0);
    arm(s);
    CHECK_EQ(ioctl(s, FIOASYNC, &on), 0);
    CHECK_EQ(write(m, "x\n", 2), 2);
    wait_count(1);
    CHECK_EQ(g_fd, s);
    close(s);
    close(m);
}

GUEST_TEST_MAIN
