/* SPDX-License-Identifier: Apache-2.0 */
/* signalfd(2). */
#define _GNU_SOURCE
#include "tests/support/guest_test.h"

#include <poll.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/time.h>

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
    pid = test_signal_in(SYS_read, SIGUSR2);
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
    CHECK_EQ(poll(&p, 1, -1), 1);
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

/* Every way in which a signal comes wakes who polls already: here those that no kill(2) sends. */
static bool woken_by(int signo, int fd, void (*cause)(void))
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    struct signalfd_siginfo info;

    cause();
    return poll(&p, 1, -1) == 1 && read(fd, &info, sizeof(info)) == sizeof(info) &&
           (int)info.ssi_signo == signo;
}

static pid_t child;

static void child_ends_later(void)
{
    child = fork();
    if (child == 0)
        _exit(!test_wait_asleep(getppid(), SYS_poll));
}

static void timer_runs_out(void)
{
    struct itimerval it = {.it_value.tv_usec = 50000};

    setitimer(ITIMER_REAL, &it, NULL);
}

static void posix_timer_runs_out(void)
{
    struct sigevent ev = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1};
    struct itimerspec it = {.it_value.tv_nsec = 50000000};
    static timer_t id;

    CHECK_EQ(timer_create(CLOCK_MONOTONIC, &ev, &id), 0);
    CHECK_EQ(timer_settime(id, 0, &it, NULL), 0);
}

TEST(wakes_for_signals_of_the_kernel)
{
    int chld = make(SIGCHLD, SFD_NONBLOCK), alrm = make(SIGALRM, SFD_NONBLOCK),
        usr1 = make(SIGUSR1, SFD_NONBLOCK);

    CHECK(woken_by(SIGCHLD, chld, child_ends_later));
    CHECK_EQ(waitpid(child, NULL, 0), child);
    CHECK(woken_by(SIGALRM, alrm, timer_runs_out));
    CHECK(woken_by(SIGUSR1, usr1, posix_timer_runs_out));
    close(chld);
    close(alrm);
    close(usr1);
}

/* The same for a stopped child, and for who waits with epoll. */
TEST(wakes_for_stops_and_in_epoll)
{
    struct epoll_event e = {.events = EPOLLIN};
    struct signalfd_siginfo info;
    int fd = make(SIGCHLD, SFD_NONBLOCK), ep = epoll_create1(0);
    pid_t pid;

    CHECK_EQ(epoll_ctl(ep, EPOLL_CTL_ADD, fd, &e), 0);
    pid = fork();
    if (pid == 0) {
        test_wait_asleep(getppid(), SYS_epoll_wait);
        kill(getpid(), SIGSTOP);
        test_wait_asleep(getppid(), SYS_epoll_wait);
        _exit(0);
    }
    CHECK_EQ(epoll_wait(ep, &e, 1, -1), 1);
    CHECK_EQ(read(fd, &info, sizeof(info)), sizeof(info));
    CHECK_EQ(info.ssi_code, CLD_STOPPED);
    kill(pid, SIGCONT);
    do {
        CHECK_EQ(epoll_wait(ep, &e, 1, -1), 1);
        CHECK_EQ(read(fd, &info, sizeof(info)), sizeof(info));
    } while (info.ssi_code == CLD_CONTINUED);
    CHECK_EQ(info.ssi_code, CLD_EXITED);
    CHECK_EQ(waitpid(pid, NULL, 0), pid);
    close(ep);
    close(fd);
}

GUEST_TEST_MAIN
