/* SPDX-License-Identifier: Apache-2.0 */
/* poll(2), ppoll(2). */
#define _GNU_SOURCE
#include "tests/support/guest_test.h"

#include <poll.h>
#include <sys/resource.h>

TEST(results)
{
    struct pollfd p[4] = {
        {.events = POLLIN}, {.events = POLLOUT}, {.fd = -5, .revents = 7}, {.fd = 99}};
    int fds[2];

    REQUIRE(pipe(fds) == 0);
    p[0].fd = fds[0];
    p[1].fd = fds[1];
    CHECK_EQ(sysp(SYS_poll, p, 2u, 0), 1);
    CHECK_EQ(p[0].revents, 0);
    CHECK_EQ(p[1].revents, POLLOUT);
    CHECK_EQ(sysp(SYS_poll, p, 4u, -1), 2);
    CHECK_EQ(p[2].revents, 0);
    CHECK_EQ(p[3].revents, POLLNVAL);
    close(fds[0]);
    CHECK_EQ(poll(p + 1, 1, 0), 1);
    CHECK_EQ(p[1].revents, POLLOUT | POLLERR);
    close(fds[1]);
    CHECK_EQ(poll(NULL, 0, 0), 0);
    CHECK_ERR(sys(SYS_poll, BAD_PTR, 1L, 0L), EFAULT);
}

TEST(regular_files_are_always_ready)
{
    struct pollfd p = {.events = POLLIN | POLLOUT};

    test_tmpdir();
    p.fd = open("x", O_RDWR | O_CREAT, 0600);
    CHECK_EQ(poll(&p, 1, -1), 1);
    CHECK_EQ(p.revents, POLLIN | POLLOUT);
    close(p.fd);
}

TEST(timeout)
{
    struct timespec ts = {0, 30000000};
    long long start = test_now_ms();

    CHECK_EQ(poll(NULL, 0, 30), 0);
    CHECK(test_now_ms() - start >= 30);
    start = test_now_ms();
    CHECK_EQ(sys(SYS_ppoll, NULL, 0L, &ts, NULL, 8L), 0);
    CHECK(test_now_ms() - start >= 30);
    CHECK_EQ(ts.tv_nsec, 0); /* the raw call writes what is left */
    ts.tv_nsec = -1;
    CHECK_ERR(sys(SYS_ppoll, NULL, 0L, &ts, NULL, 8L), EINVAL);
    CHECK_ERR(sys(SYS_ppoll, NULL, 0L, BAD_PTR, NULL, 8L), EFAULT);
}

TEST(too_many)
{
    struct rlimit old, small;
    struct pollfd p[20] = {{0}};

    getrlimit(RLIMIT_NOFILE, &old);
    small = old;
    small.rlim_cur = 10;
    setrlimit(RLIMIT_NOFILE, &small);
    CHECK_ERR(poll(p, 11, 0), EINVAL);
    setrlimit(RLIMIT_NOFILE, &old);
}

static volatile int g_hits;

static void on_signal(int signo)
{
    (void)signo;
    g_hits++;
}

TEST(handlers_end_it_even_with_sa_restart)
{
    struct sigaction sa = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    pid_t pid;

    sigaction(SIGUSR1, &sa, NULL);
    pid = test_signal_in(SYS_poll, SIGUSR1);
    CHECK_ERR(poll(NULL, 0, -1), EINTR);
    waitpid(pid, NULL, 0);
}

TEST(ignored_signals_do_not)
{
    long long start = test_now_ms();
    pid_t pid;

    signal(SIGUSR1, SIG_IGN);
    pid = fork();
    if (pid == 0) {
        test_sleep_ms(30); /* mostly, it polls by then */
        kill(getppid(), SIGUSR1);
        _exit(0);
    }
    CHECK_EQ(poll(NULL, 0, 100), 0);
    CHECK(test_now_ms() - start >= 100);
    waitpid(pid, NULL, 0);
    signal(SIGUSR1, SIG_DFL);
}

TEST(stop_and_continue_keep_the_deadline)
{
    long long start = test_now_ms();
    pid_t waiter = getpid(), pid = fork();
    int status;

    if (pid == 0) {
        test_sleep_ms(30);
        kill(waiter, SIGSTOP);
        test_sleep_ms(60);
        kill(waiter, SIGCONT);
        _exit(0);
    }
    CHECK_EQ(poll(NULL, 0, 200), 0);
    CHECK(test_now_ms() - start >= 200);
    waitpid(pid, &status, 0);
}

TEST(mask_is_swapped_for_the_wait)
{
    struct sigaction sa = {.sa_handler = on_signal};
    struct timespec ts = {3600, 0};
    sigset_t block, none, now;

    sigaction(SIGUSR2, &sa, NULL);
    sigemptyset(&none);
    sigemptyset(&block);
    sigaddset(&block, SIGUSR2);
    sigprocmask(SIG_BLOCK, &block, NULL);
    g_hits = 0;
    kill(getpid(), SIGUSR2);
    CHECK_EQ(g_hits, 0);
    CHECK_ERR(ppoll(NULL, 0, &ts, &none), EINTR);
    CHECK_EQ(g_hits, 1);
    sigprocmask(SIG_SETMASK, NULL, &now);
    CHECK_EQ(sigismember(&now, SIGUSR2), 1);
    CHECK_ERR(sys(SYS_ppoll, NULL, 0L, &ts, &none, 4L), EINVAL);
    sigprocmask(SIG_UNBLOCK, &block, NULL);
}

TEST(wakes_up)
{
    struct pollfd p = {.events = POLLIN};
    int fds[2];
    pid_t pid;

    REQUIRE(pipe(fds) == 0);
    p.fd = fds[0];
    pid = fork();
    if (pid == 0) {
        test_sleep_ms(30);
        _exit(write(fds[1], "x", 1) == 1 ? 0 : 1);
    }
    close(fds[1]);
    CHECK_EQ(poll(&p, 1, -1), 1);
    CHECK_EQ(p.revents & POLLIN, POLLIN);
    waitpid(pid, NULL, 0);
    CHECK_EQ(poll(&p, 1, -1), 1);
    CHECK_EQ(p.revents, POLLIN | POLLHUP);
    close(fds[0]);
}

GUEST_TEST_MAIN
