/* SPDX-License-Identifier: Apache-2.0 */
/* rt_sigsuspend, rt_sigtimedwait, pause, restart of interrupted calls, default actions. */
#include <poll.h>
#include <sys/resource.h>

#include "tests/support/guest_test.h"

static volatile int g_count;

static void on_signal(int signo)
{
    g_count++;
}

static void install(int signo, int flags)
{
    struct sigaction sa = {.sa_handler = on_signal, .sa_flags = flags};

    sigaction(signo, &sa, NULL);
    g_count = 0;
}

TEST(suspend_swaps_the_mask)
{
    sigset_t block, none, now;
    pid_t pid;

    install(SIGUSR1, 0);
    sigemptyset(&none);
    sigemptyset(&block);
    sigaddset(&block, SIGUSR1);
    sigprocmask(SIG_BLOCK, &block, NULL);
    pid = test_signal_in(SYS_rt_sigsuspend, SIGUSR1);
    CHECK_ERR(sysp(SYS_rt_sigsuspend, &none, (size_t)8), EINTR);
    CHECK_EQ(g_count, 1);
    sigprocmask(SIG_BLOCK, NULL, &now);
    CHECK(sigismember(&now, SIGUSR1));
    waitpid(pid, NULL, 0);
    /* Already pending: returns at once. */
    kill(getpid(), SIGUSR1);
    CHECK_ERR(sysp(SYS_rt_sigsuspend, &none, (size_t)8), EINTR);
    CHECK_EQ(g_count, 2);
    CHECK_ERR(sysp(SYS_rt_sigsuspend, &none, (size_t)4), EINVAL);
    CHECK_ERR(sysp(SYS_rt_sigsuspend, BAD_PTR, (size_t)8), EFAULT);
    sigprocmask(SIG_UNBLOCK, &block, NULL);
    signal(SIGUSR1, SIG_DFL);
}

TEST(pause_returns_after_a_handler)
{
    pid_t pid;

    install(SIGUSR1, SA_RESTART);
    pid = test_signal_in(SYS_pause, SIGUSR1);
    CHECK_ERR(sysp(SYS_pause), EINTR);
    CHECK_EQ(g_count, 1);
    waitpid(pid, NULL, 0);
    signal(SIGUSR1, SIG_DFL);
}

TEST(timed_wait)
{
    struct timespec ts = {0, 20000000}, bad = {0, 1000000000};
    sigset_t set, old;
    siginfo_t info;
    pid_t pid;

    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigprocmask(SIG_BLOCK, &set, &old);
    CHECK_ERR(sysp(SYS_rt_sigtimedwait, &set, &info, &ts, (size_t)8), EAGAIN);
    kill(getpid(), SIGUSR1);
    CHECK_EQ(sysp(SYS_rt_sigtimedwait, &set, &info, &ts, (size_t)8), SIGUSR1);
    CHECK_EQ(info.si_signo, SIGUSR1);
    CHECK_EQ(info.si_pid, getpid());
    pid = test_signal_in(SYS_rt_sigtimedwait, SIGUSR1);
    CHECK_EQ(sysp(SYS_rt_sigtimedwait, &set, NULL, NULL, (size_t)8), SIGUSR1);
    waitpid(pid, NULL, 0);
    install(SIGUSR2, 0);
    pid = test_signal_in(SYS_rt_sigtimedwait, SIGUSR2);
    ts.tv_sec = 3600;
    CHECK_ERR(sysp(SYS_rt_sigtimedwait, &set, NULL, &ts, (size_t)8), EINTR);
    waitpid(pid, NULL, 0);
    CHECK_ERR(sysp(SYS_rt_sigtimedwait, &set, NULL, &bad, (size_t)8), EINVAL);
    CHECK_ERR(sysp(SYS_rt_sigtimedwait, &set, NULL, &ts, (size_t)7), EINVAL);
    sigprocmask(SIG_SETMASK, &old, NULL);
    signal(SIGUSR2, SIG_DFL);
}

/* Signals who sleeps in the call; a moment later, there is something to read. */
static bool signal_and_write(pid_t pid, long nr, int signo, int fd)
{
    if (!test_wait_asleep(pid, nr) || kill(pid, signo) < 0)
        return false;
    test_sleep_ms(50); /* a wait that is not restarted ends now; it need not */
    return write(fd, "x", 1) == 1;
}

TEST(restart_rules)
{
    struct timespec ts = {3600, 0}, left = {0, 0};
    struct pollfd pfd;
    int p[2];
    char c;
    pid_t parent = getpid(), pid;

    REQUIRE(pipe(p) == 0);
    /* read: EINTR without SA_RESTART, restarted with it. */
    install(SIGUSR1, 0);
    pid = test_signal_in(SYS_read, SIGUSR1);
    CHECK_ERR(read(p[0], &c, 1), EINTR);
    waitpid(pid, NULL, 0);
    install(SIGUSR1, SA_RESTART);
    pid = fork();
    if (pid == 0)
        _exit(!signal_and_write(parent, SYS_read, SIGUSR1, p[1]));
    CHECK_EQ(read(p[0], &c, 1), 1);
    CHECK_EQ(g_count, 1);
    waitpid(pid, NULL, 0);
    /* poll is never restarted after a handler. */
    pid = test_signal_in(SYS_poll, SIGUSR1);
    pfd = (struct pollfd){.fd = p[0], .events = POLLIN};
    CHECK_ERR(poll(&pfd, 1, -1), EINTR);
    waitpid(pid, NULL, 0);
    /* nanosleep says what was left. */
    pid = test_signal_in(SYS_nanosleep, SIGUSR1);
    CHECK_ERR(sysp(SYS_nanosleep, &ts, &left), EINTR);
    CHECK(left.tv_sec > 0 && left.tv_sec < 3600);
    waitpid(pid, NULL, 0);
    /* A signal that is ignored interrupts nothing. */
    signal(SIGUSR2, SIG_IGN);
    pid = fork();
    if (pid == 0)
        _exit(!signal_and_write(parent, SYS_poll, SIGUSR2, p[1]));
    CHECK_EQ(poll(&pfd, 1, -1), 1);
    waitpid(pid, NULL, 0);
    signal(SIGUSR1, SIG_DFL);
    signal(SIGUSR2, SIG_DFL);
    close(p[0]);
    close(p[1]);
}

TEST(stop_and_continue_restarts)
{
    struct timespec ts = {0, 150000000};
    long long start = test_now_ms();
    pid_t parent = getpid(), pid = fork();

    if (pid == 0) {
        test_sleep_ms(30);
        kill(parent, SIGSTOP);
        test_sleep_ms(30);
        kill(parent, SIGCONT);
        _exit(0);
    }
    CHECK_EQ(sysp(SYS_nanosleep, &ts, NULL), 0);
    CHECK(test_now_ms() - start >= 149);
    waitpid(pid, NULL, 0);
}

static int death_of(int signo)
{
    struct rlimit none = {0, 0};
    int status;
    pid_t pid = fork();

    if (pid == 0) {
        setrlimit(RLIMIT_CORE, &none);
        kill(getpid(), signo);
        _exit(0);
    }
    return waitpid(pid, &status, 0) == pid ? status : -1;
}

TEST(default_actions)
{
    CHECK_EQ(death_of(SIGTERM) & 0x7f, SIGTERM);
    CHECK_EQ(death_of(SIGKILL) & 0x7f, SIGKILL);
    CHECK_EQ(death_of(SIGABRT) & 0x7f, SIGABRT);
    CHECK_EQ(death_of(SIGRTMIN) & 0x7f, SIGRTMIN);
    CHECK_EQ(death_of(SIGCHLD), 0);
    CHECK_EQ(death_of(SIGURG), 0);
    CHECK_EQ(death_of(SIGWINCH), 0);
    CHECK_EQ(death_of(SIGCONT), 0);
}

static volatile int g_fault_code;
static void *volatile g_fault_addr;

static void on_fault(int signo, siginfo_t *info, void *context)
{
    g_fault_code = info->si_code;
    g_fault_addr = info->si_addr;
    _exit(signo == SIGSEGV && info->si_code == SEGV_MAPERR && info->si_addr == (void *)0x123 ? 55
                                                                                             : 56);
}

static void fault(void)
{
    struct sigaction sa = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO};

    sigaction(SIGSEGV, &sa, NULL);
    *(volatile char *)(uintptr_t)0x123 = 1;
}

static void divide(void)
{
    volatile int zero = 0, n = 100;

    n = n / zero;
}

static void blocked_fault(void)
{
    sigset_t all;

    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
    *(volatile char *)(uintptr_t)0x10 = 1;
}

TEST(faults)
{
    CHECK_EQ(WEXITSTATUS(test_in_child(fault)), 55);
    CHECK_EQ(test_in_child(divide) & 0x7f, SIGFPE);
    /* A blocked fault kills. */
    CHECK_EQ(test_in_child(blocked_fault) & 0x7f, SIGSEGV);
}

GUEST_TEST_MAIN
