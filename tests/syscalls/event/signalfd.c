/* SPDX-License-Identifier: Apache-2.0 */
/* signalfd(2). */
#define _GNU_SOURCE
#include "tests/support/guest_test.h"

#include <poll.h>
#include <sys/signalfd.h>

static int make(int signo, int flags)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, signo);
    sigprocmask(SIG_BLOCK, &set, NULL);
    return signalfd(-1, &set, flags);
}

TEST(receives)
{
    struct signalfd_siginfo info;
    struct pollfd p = {.events = POLLIN};
    union sigval value = {.sival_int = 42};

    p.fd = make(SIGUSR1, SFD_NONBLOCK);
    REQUIRE(p.fd >= 0);
    CHECK_ERR(read(p.fd, &info, sizeof(info)), EAGAIN);
    CHECK_ERR(read(p.fd, &info, 100), EINVAL);
    CHECK_EQ(poll(&p, 1, 0), 0);
    kill(getpid(), SIGUSR1);
    CHECK_EQ(poll(&p, 1, 0), 1);
    CHECK_EQ(read(p.fd, &info, sizeof(info)), sizeof(info));
    CHECK_EQ(info.ssi_signo, SIGUSR1);
    CHECK_EQ(info.ssi_pid, getpid());
    CHECK_EQ(info.ssi_uid, getuid());
    CHECK_EQ(info.ssi_code, SI_USER);
    CHECK_EQ(sigqueue(getpid(), SIGUSR1, value), 0);
    CHECK_EQ(read(p.fd, &info, sizeof(info)), sizeof(info));
    CHECK_EQ(info.ssi_int, 42);
    CHECK_EQ(info.ssi_code, SI_QUEUE);
    close(p.fd);
}

TEST(wakes_a_sleeping_reader)
{
    struct signalfd_siginfo info;
    int fd = make(SIGUSR2, 0);
    pid_t pid;

    REQUIRE(fd >= 0);
    pid = fork();
    if (pid == 0) {
        test_sleep_ms(50);
        kill(getppid(), SIGUSR2);
        _exit(3);
    }
    CHECK_EQ(read(fd, &info, sizeof(info)), sizeof(info));
    CHECK_EQ(info.ssi_pid, pid);
    waitpid(pid, NULL, 0);
    close(fd);
}

TEST(child)
{
    struct signalfd_siginfo info;
    struct pollfd p = {.events = POLLIN};
    pid_t pid;

    p.fd = make(SIGCHLD, 0);
    REQUIRE(p.fd >= 0);
    pid = fork();
    if (pid == 0)
        _exit(3);
    CHECK_EQ(poll(&p, 1, 5000), 1);
    CHECK_EQ(read(p.fd, &info, sizeof(info)), sizeof(info));
    CHECK_EQ(info.ssi_signo, SIGCHLD);
    CHECK_EQ(info.ssi_pid, pid);
    CHECK_EQ(info.ssi_status, 3);
    CHECK_EQ(info.ssi_code, CLD_EXITED);
    waitpid(pid, NULL, 0);
    close(p.fd);
}

TEST(errors)
{
    sigset_t set;
    int p[2];

    sigemptyset(&set);
    REQUIRE(pipe(p) == 0);
    CHECK_ERR(sysp(SYS_signalfd4, -1, &set, 4L, 0), EINVAL);
    CHECK_ERR(sysp(SYS_signalfd4, -1, BAD_PTR, 8L, 0), EFAULT);
    CHECK_ERR(sysp(SYS_signalfd4, -1, &set, 8L, 1), EINVAL);
    CHECK_ERR(sysp(SYS_signalfd4, p[0], &set, 8L, 0), EINVAL);
    CHECK_ERR(sysp(SYS_signalfd4, 99, &set, 8L, 0), EBADF);
    close(p[0]);
    close(p[1]);
}

GUEST_TEST_MAIN
