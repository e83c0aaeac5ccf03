/* SPDX-License-Identifier: Apache-2.0 */
/* Stop and continue, process groups, sessions: what a shell with job control needs. */
#include "tests/support/guest_test.h"

static volatile sig_atomic_t g_chld, g_cont;

static void count_chld(int sig)
{
    (void)sig;
    g_chld++;
}

static void count_cont(int sig)
{
    (void)sig;
    g_cont++;
}

TEST(stop_and_continue_are_reported)
{
    int status;
    pid_t pid;

    signal(SIGCHLD, count_chld);
    g_chld = 0;
    pid = fork();
    if (!pid)
        for (;;)
            pause();
    CHECK_EQ(kill(pid, SIGSTOP), 0);
    while (waitpid(pid, &status, WUNTRACED) < 0 && errno == EINTR)
        ;
    CHECK_EQ(status, SIGSTOP << 8 | 0x7f);
    CHECK_EQ(waitpid(pid, &status, WUNTRACED | WNOHANG), 0); /* told once */
    CHECK_EQ(kill(pid, SIGCONT), 0);
    while (waitpid(pid, &status, WCONTINUED) < 0 && errno == EINTR)
        ;
    CHECK_EQ(status, 0xffff);
    CHECK_EQ(kill(pid, SIGKILL), 0);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    CHECK_EQ(status, SIGKILL);
    CHECK(g_chld >= 2);
    signal(SIGCHLD, SIG_DFL);
}

TEST(a_stopped_process_can_be_killed)
{
    int status;
    pid_t pid = fork();

    if (!pid) {
        raise(SIGSTOP);
        _exit(1);
    }
    CHECK_EQ(waitpid(pid, &status, WUNTRACED), pid);
    CHECK_EQ(status, SIGSTOP << 8 | 0x7f);
    CHECK_EQ(kill(pid, SIGTERM), 0); /* waits until it runs again */
    CHECK_EQ(waitpid(pid, &status, WNOHANG), 0);
    CHECK_EQ(kill(pid, SIGKILL), 0);
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK_EQ(status, SIGKILL);
}

TEST(cont_discards_stops_and_runs_its_handler)
{
    int status;
    pid_t pid = fork();

    if (!pid) {
        sigset_t set;

        signal(SIGCONT, count_cont);
        sigemptyset(&set);
        sigaddset(&set, SIGTSTP);
        sigprocmask(SIG_BLOCK, &set, NULL);
        kill(getpid(), SIGTSTP); /* pending */
        kill(getpid(), SIGCONT); /* throws it away */
        sigprocmask(SIG_UNBLOCK, &set, NULL);
        _exit(g_cont == 1 ? 0 : 1);
    }
    CHECK_EQ(waitpid(pid, &status, WUNTRACED), pid);
    CHECK_EQ(status, 0);
}

TEST(tstp_does_not_stop_an_orphaned_group)
{
    int status;
    pid_t pid = fork();

    if (!pid) {
        setsid();
        raise(SIGTSTP); /* nobody in the session could continue us */
        _exit(6);
    }
    CHECK_EQ(waitpid(pid, &status, WUNTRACED), pid);
    CHECK_EQ(status, 6 << 8);
}

TEST(nanosleep_survives_stop_and_continue)
{
    struct timespec start, end;
    long nap_ms = 100;
    int status = 0;
    pid_t pid;

    do { /* longer, until we are in time to stop it */
        nap_ms *= 2;
        clock_gettime(CLOCK_MONOTONIC, &start);
        pid = fork();
        if (!pid) {
            struct timespec nap = {nap_ms / 1000, nap_ms % 1000 * 1000000};

            _exit(nanosleep(&nap, NULL) != 0);
        }
        test_wait_asleep(pid, SYS_clock_nanosleep);
        kill(pid, SIGSTOP);
        REQUIRE(waitpid(pid, &status, WUNTRACED) == pid);
    } while (!WIFSTOPPED(status));
    kill(pid, SIGCONT);
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    clock_gettime(CLOCK_MONOTONIC, &end);
    CHECK_EQ(status, 0);
    CHECK((end.tv_sec - start.tv_sec) * 1000 + (end.tv_nsec - start.tv_nsec) / 1000000 >= nap_ms);
}

TEST(setpgid_rules)
{
    pid_t pid = fork();
    int status;

    if (!pid) {
        pause();
        _exit(0);
    }
    CHECK_EQ(setpgid(pid, pid), 0);
    CHECK_EQ(getpgid(pid), pid);
    CHECK_EQ(setpgid(pid, getpgrp()), 0);
    CHECK_ERR(setpgid(pid, 1 << 22), EPERM);
    CHECK_ERR(setpgid(1 << 22, 0), ESRCH);
    CHECK_ERR(setpgid(pid, -1), EINVAL);
    CHECK_ERR(getpgid(1 << 22), ESRCH);
    kill(pid, SIGKILL);
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    pid = fork();
    if (!pid) {
        setsid();
        if (getsid(0) != getpid() || getpgrp() != getpid())
            _exit(1);
        if (setsid() != -1 || errno != EPERM)
            _exit(2);
        _exit(setpgid(0, 0) == -1 && errno == EPERM ? 0 : 3);
    }
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK_EQ(status, 0);
}

TEST(kill_reaches_a_group)
{
    pid_t first = fork(), second;
    int status;

    if (!first) {
        setpgid(0, 0);
        pause();
        _exit(0);
    }
    setpgid(first, first);
    second = fork();
    if (!second) {
        setpgid(0, first);
        pause();
        _exit(0);
    }
    setpgid(second, first);
    CHECK_EQ(kill(-first, SIGUSR2), 0);
    CHECK_EQ(waitpid(-first, &status, 0) > 0, 1);
    CHECK_EQ(status, SIGUSR2);
    CHECK_EQ(waitpid(-first, &status, 0) > 0, 1);
    CHECK_EQ(status, SIGUSR2);
    CHECK_ERR(kill(-first, 0), ESRCH);
    CHECK_ERR(waitpid(-first, &status, 0), ECHILD);
}

TEST(ignored_sigchld_leaves_no_zombie)
{
    pid_t pid;

    signal(SIGCHLD, SIG_IGN);
    pid = fork();
    if (!pid)
        _exit(0);
    CHECK_ERR(waitpid(pid, NULL, 0), ECHILD);
    CHECK_ERR(kill(pid, 0), ESRCH);
    signal(SIGCHLD, SIG_DFL);
}

GUEST_TEST_MAIN
