/* SPDX-License-Identifier: Apache-2.0 */
/* fork, vfork, clone, clone3, wait4, waitid, exit, exit_group: identities, statuses, orphans. */
#include <linux/sched.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "tests/support/guest_test.h"

TEST(fork_copies_memory)
{
    static int value = 1;
    int status, p[2];
    pid_t pid;

    REQUIRE(pipe(p) == 0);
    pid = (pid_t)sysp(SYS_fork);
    REQUIRE(pid >= 0);
    if (pid == 0) {
        value = 2;
        if (write(p[1], &value, sizeof(value)) < 0)
            _exit(1);
        _exit(7);
    }
    CHECK_EQ(sysp(SYS_wait4, pid, &status, 0, NULL), pid);
    CHECK(WIFEXITED(status));
    CHECK_EQ(WEXITSTATUS(status), 7);
    CHECK_EQ(value, 1);
    CHECK_EQ(read(p[0], &status, sizeof(status)), 4);
    CHECK_EQ(status, 2);
    close(p[0]);
    close(p[1]);
}

TEST(vfork_shares_memory)
{
    static volatile int value;
    int status;
    pid_t pid = vfork();

    if (pid == 0) {
        value = 42;
        _exit(3);
    }
    CHECK_EQ(value, 42);
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK_EQ(WEXITSTATUS(status), 3);
}

TEST(wait_options)
{
    struct rusage ru;
    int status;
    pid_t pid = fork();

    if (pid == 0) {
        for (;;)
            pause();
    }
    CHECK_EQ(sysp(SYS_wait4, pid, &status, WNOHANG, NULL), 0);
    CHECK_ERR(sysp(SYS_wait4, pid, &status, 0x100, NULL), EINVAL);
    CHECK(kill(pid, SIGSTOP) == 0);
    CHECK_EQ(sysp(SYS_wait4, pid, &status, WUNTRACED, NULL), pid);
    CHECK(WIFSTOPPED(status));
    CHECK_EQ(WSTOPSIG(status), SIGSTOP);
    CHECK_EQ(sysp(SYS_wait4, pid, &status, WUNTRACED | WNOHANG, NULL), 0);
    CHECK(kill(pid, SIGCONT) == 0);
    CHECK_EQ(sysp(SYS_wait4, pid, &status, WCONTINUED, NULL), pid);
    CHECK(WIFCONTINUED(status));
    CHECK(kill(pid, SIGTERM) == 0);
    CHECK_EQ(sysp(SYS_wait4, -1, &status, 0, &ru), pid);
    CHECK(WIFSIGNALED(status));
    CHECK_EQ(WTERMSIG(status), SIGTERM);
    CHECK_ERR(sysp(SYS_wait4, -1, &status, 0, NULL), ECHILD);
    CHECK_ERR(sysp(SYS_wait4, pid, &status, 0, NULL), ECHILD);
    CHECK_ERR(sysp(SYS_wait4, getpid(), &status, 0, NULL), ECHILD);
}

TEST(waitid_information)
{
    siginfo_t info;
    pid_t pid = fork();

    if (pid == 0)
        _exit(5);
    memset(&info, 0, sizeof(info));
    CHECK_EQ(sysp(SYS_waitid, P_PID, pid, &info, WEXITED | WNOWAIT, NULL), 0);
    CHECK_EQ(info.si_signo, SIGCHLD);
    CHECK_EQ(info.si_code, CLD_EXITED);
    CHECK_EQ(info.si_pid, pid);
    CHECK_EQ(info.si_uid, getuid());
    CHECK_EQ(info.si_status, 5);
    CHECK_EQ(sysp(SYS_waitid, P_ALL, 0, &info, WEXITED, NULL), 0);
    CHECK_ERR(sysp(SYS_waitid, P_ALL, 0, &info, WEXITED, NULL), ECHILD);
    CHECK_ERR(sysp(SYS_waitid, P_ALL, 0, &info, 0, NULL), EINVAL);
    CHECK_ERR(sysp(SYS_waitid, 9, 0, &info, WEXITED, NULL), EINVAL);
    CHECK_ERR(sysp(SYS_waitid, P_PID, -1, &info, WEXITED, NULL), EINVAL);
}

/* A debugger that waits for a stop (rr) must not wait for ever. */
TEST(zombie_will_never_stop)
{
    siginfo_t info;
    pid_t pid = fork(), other;

    if (pid == 0) {
        usleep(50000);
        _exit(5);
    }
    CHECK_ERR(sysp(SYS_waitid, P_PID, pid, &info, WSTOPPED | WNOWAIT, NULL), ECHILD);
    CHECK_ERR(sysp(SYS_waitid, P_PID, pid, &info, WCONTINUED, NULL), ECHILD);
    CHECK_ERR(sysp(SYS_waitid, P_ALL, 0, &info, WSTOPPED | WCONTINUED | WNOHANG, NULL), ECHILD);
    other = fork();
    if (other == 0) {
        pause();
        _exit(0);
    }
    CHECK_EQ(sysp(SYS_waitid, P_ALL, 0, &info, WSTOPPED | WNOHANG, NULL), 0);
    kill(other, SIGKILL);
    CHECK_EQ(waitpid(other, NULL, 0), other);
    CHECK_EQ(waitpid(pid, NULL, 0), pid);
}

TEST(groups_in_wait)
{
    int status;
    pid_t a = fork();

    if (a == 0) {
        setpgid(0, 0);
        test_sleep_ms(50);
        _exit(1);
    }
    setpgid(a, a);
    CHECK_ERR(sysp(SYS_wait4, 0, &status, WNOHANG, NULL), ECHILD);
    CHECK_EQ(sysp(SYS_wait4, -a, &status, 0, NULL), a);
    CHECK_ERR(waitpid(-a, &status, 0), ECHILD);
}

TEST(orphans_go_to_the_subreaper)
{
    int status;
    pid_t pid;

    CHECK(prctl(PR_SET_CHILD_SUBREAPER, 1) == 0);
    pid = fork();
    if (pid == 0) {
        pid_t parent = getpid();

        if (fork() == 0) {
            while (getppid() == parent)
                test_sleep_ms(1);
            _exit(9);
        }
        _exit(0);
    }
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK(waitpid(-1, &status, 0) > 0);
    CHECK_EQ(WEXITSTATUS(status), 9);
    CHECK(prctl(PR_SET_CHILD_SUBREAPER, 0) == 0);
}

TEST(ignored_children_vanish)
{
    pid_t pid;

    signal(SIGCHLD, SIG_IGN);
    pid = fork();
    if (pid == 0)
        _exit(0);
    CHECK_ERR(waitpid(pid, NULL, 0), ECHILD);
    signal(SIGCHLD, SIG_DFL);
}

static int clone_child(void *arg)
{
    *(volatile int *)arg = 1;
    return 11;
}

TEST(clone_with_a_stack)
{
    static char stack[65536] __attribute__((aligned(16)));
    volatile int shared = 0;
    int status;
    pid_t pid = clone(clone_child, stack + sizeof(stack), CLONE_VM | SIGCHLD, (void *)&shared);

    REQUIRE(pid > 0);
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK_EQ(WEXITSTATUS(status), 11);
    CHECK_EQ(shared, 1);
}

/* clone(2) takes any number; what is no signal is not sent, and such a child is found with __WALL or __WCLONE. */
TEST(exit_signals_that_are_none)
{
    static const unsigned long numbers[] = {0, 65, 69, 127, 128, 200, 255};
    int status;

    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        pid_t pid = (pid_t)sysp(SYS_clone, numbers[i], NULL, NULL, NULL, 0UL);

        REQUIRE(pid >= 0);
        if (pid == 0)
            _exit(5);
        CHECK_ERR(sysp(SYS_wait4, pid, &status, 0, NULL), ECHILD);
        CHECK_EQ(sysp(SYS_wait4, pid, &status, (int)__WALL, NULL), pid);
        CHECK_EQ(status, 5 << 8);
    }
}

TEST(clone_flag_errors)
{
    CHECK_ERR(sysp(SYS_clone, (unsigned long)CLONE_THREAD, NULL, NULL, NULL, 0UL), EINVAL);
    CHECK_ERR(sysp(SYS_clone, (unsigned long)CLONE_SIGHAND, NULL, NULL, NULL, 0UL), EINVAL);
    CHECK_ERR(sysp(SYS_clone, (unsigned long)(CLONE_FS | CLONE_NEWNS), NULL, NULL, NULL, 0UL),
              EINVAL);
}

TEST(clone3_arguments)
{
    struct clone_args a = {.exit_signal = SIGCHLD};
    int status, pidfd = -1, parent_tid = 0;
    pid_t pid;

    a.flags = CLONE_PIDFD | CLONE_PARENT_SETTID;
    a.pidfd = (uintptr_t)&pidfd;
    a.parent_tid = (uintptr_t)&parent_tid;
    pid = (pid_t)sysp(SYS_clone3, &a, sizeof(a));
    if (pid == -ENOSYS)
        SKIP("no clone3");
    if (pid == 0)
        _exit(4);
    CHECK(pid > 0);
    CHECK_EQ(parent_tid, pid);
    CHECK(pidfd >= 0);
    CHECK_EQ(fcntl(pidfd, F_GETFD), FD_CLOEXEC);
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK_EQ(WEXITSTATUS(status), 4);
    close(pidfd);
    CHECK_ERR(sysp(SYS_clone3, &a, (size_t)10), EINVAL);
    CHECK_ERR(sysp(SYS_clone3, BAD_PTR, sizeof(a)), EFAULT);
    a.exit_signal = 200;
    CHECK_ERR(sysp(SYS_clone3, &a, sizeof(a)), EINVAL);
    a.exit_signal = 0;
    a.flags = 1ull << 50;
    CHECK_ERR(sysp(SYS_clone3, &a, sizeof(a)), EINVAL);
}

TEST(exit_code_is_eight_bits)
{
    int status;
    pid_t pid = fork();

    if (pid == 0)
        sysp(SYS_exit_group, 0x1234);
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK_EQ(status, 0x3400);
    pid = fork();
    if (pid == 0)
        sysp(SYS_exit, 9);
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK_EQ(status, 0x900);
}

GUEST_TEST_MAIN
