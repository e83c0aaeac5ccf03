/* SPDX-License-Identifier: Apache-2.0 */
/* Threads as kernel objects: exec and exit from any of them, leaders that go first, clone's errors.
 */
#include <linux/sched.h>
#include <pthread.h>
#include <sys/prctl.h>

#include "tests/support/guest_test.h"

static int wait_for(pid_t pid)
{
    int status = -1;

    CHECK_EQ(waitpid(pid, &status, 0), pid);
    return status;
}

static void *sleep_forever(void *arg)
{
    (void)arg;
    for (;;)
        pause();
    return NULL;
}

static void *exit_group_42(void *arg)
{
    (void)arg;
    usleep(20000);
    sys(SYS_exit_group, 42);
    return NULL;
}

TEST(exit_group_from_a_thread_ends_all)
{
    pid_t pid = fork();
    pthread_t t;

    if (!pid) {
        for (int i = 0; i < 5; i++)
            pthread_create(&t, NULL, sleep_forever, NULL);
        pthread_create(&t, NULL, exit_group_42, NULL);
        pause();
        _exit(1);
    }
    CHECK_EQ(wait_for(pid), 42 << 8);
}

static int g_pipe[2];

static void *exit_group_when_told(void *arg)
{
    char c;

    if (read(g_pipe[0], &c, 1) == 1)
        sys(SYS_exit_group, 42);
    return arg;
}

TEST(leader_may_exit_first)
{
    pthread_t t;
    pid_t pid;

    REQUIRE(pipe(g_pipe) == 0);
    pid = fork();
    if (!pid) {
        pthread_create(&t, NULL, exit_group_when_told, NULL);
        sys(SYS_exit, 7); /* this thread only */
    }
    WAIT_UNTIL(test_state(pid) == 'Z');
    CHECK_EQ(waitpid(pid, NULL, WNOHANG), 0); /* a zombie leader is no dead process */
    CHECK_EQ(kill(pid, 0), 0);
    CHECK_EQ(write(g_pipe[1], "x", 1), 1);
    CHECK_EQ(wait_for(pid), 42 << 8);
    close(g_pipe[0]);
    close(g_pipe[1]);
}

static void *exec_self(void *arg)
{
    char *argv[] = {"/proc/self/exe", "child_reports_ids", NULL};
    char pid[32];

    (void)arg;
    snprintf(pid, sizeof(pid), "%d", (int)getpid());
    setenv("EXPECT_PID", pid, 1);
    execv("/proc/self/exe", argv);
    _exit(3);
}

TEST(exec_from_a_thread_takes_the_leaders_place)
{
    pid_t pid = fork();
    pthread_t t;

    if (!pid) {
        for (int i = 0; i < 4; i++)
            pthread_create(&t, NULL, sleep_forever, NULL);
        pthread_create(&t, NULL, exec_self, NULL);
        for (;;)
            pause();
    }
    CHECK_EQ(wait_for(pid), 0);
}

/* Run by the test above in the new image; alone it has nothing to check. */
TEST(child_reports_ids)
{
    const char *expect = getenv("EXPECT_PID");

    if (!expect)
        return;
    CHECK_EQ(getpid(), atoi(expect));
    CHECK_EQ(sys(SYS_gettid), atoi(expect));
    _exit(g_test_failures != 0);
}

TEST(killed_thread_group_reports_the_signal)
{
    pid_t pid = fork();
    pthread_t t;

    if (!pid) {
        for (int i = 0; i < 3; i++)
            pthread_create(&t, NULL, sleep_forever, NULL);
        kill(getpid(), SIGTERM);
        pause();
    }
    CHECK_EQ(wait_for(pid), SIGTERM);
}

TEST(clone_flag_combinations)
{
    struct clone_args a = {.exit_signal = SIGCHLD};

    CHECK_EQ(sys(SYS_clone, CLONE_THREAD, 0L, 0L, 0L, 0L), -EINVAL);
    CHECK_EQ(sys(SYS_clone, CLONE_SIGHAND, 0L, 0L, 0L, 0L), -EINVAL);
    CHECK_EQ(sys(SYS_clone, CLONE_FS | CLONE_NEWNS, 0L, 0L, 0L, 0L), -EINVAL);
    CHECK_EQ(sys(SYS_clone3, &a, (size_t)8), -EINVAL);
    CHECK_EQ(sys(SYS_clone3, &a, (size_t)5000), -E2BIG);
    CHECK_EQ(sys(SYS_clone3, (void *)1, sizeof(a)), -EFAULT);
    a.exit_signal = 65;
    CHECK_EQ(sys(SYS_clone3, &a, sizeof(a)), -EINVAL);
    a = (struct clone_args){.exit_signal = SIGCHLD, .stack = 4096};
    CHECK_EQ(sys(SYS_clone3, &a, sizeof(a)), -EINVAL);
    a = (struct clone_args){.flags = CLONE_THREAD | CLONE_SIGHAND | CLONE_VM,
                            .exit_signal = SIGCHLD};
    CHECK_EQ(sys(SYS_clone3, &a, sizeof(a)), -EINVAL);
}

TEST(clone3_pidfd_and_tids)
{
    int pidfd = -1, parent_tid = 0;
    struct clone_args a = {
        .flags = CLONE_PIDFD | CLONE_PARENT_SETTID,
        .exit_signal = SIGCHLD,
        .pidfd = (uint64_t)(uintptr_t)&pidfd,
        .parent_tid = (uint64_t)(uintptr_t)&parent_tid,
    };
    siginfo_t info = {0};
    pid_t pid = (pid_t)sys(SYS_clone3, &a, sizeof(a));

    REQUIRE(pid >= 0);
    if (!pid)
        _exit(9);
    CHECK_EQ(parent_tid, pid);
    CHECK(pidfd >= 0);
    CHECK_EQ(fcntl(pidfd, F_GETFD), FD_CLOEXEC);
    CHECK_EQ(waitid(3 /* P_PIDFD */, (id_t)pidfd, &info, WEXITED), 0);
    CHECK_EQ(info.si_pid, pid);
    CHECK_EQ(info.si_status, 9);
    CHECK_EQ(info.si_code, CLD_EXITED);
    CHECK_EQ(sys(SYS_pidfd_send_signal, pidfd, 0, 0L, 0), -ESRCH);
    close(pidfd);
}

TEST(vfork_child_borrows_memory_and_parent_waits)
{
    volatile int value = 0;
    pid_t pid = vfork();

    if (!pid) {
        value = 5;
        _exit(1);
    }
    CHECK_EQ(value, 5);
    CHECK_EQ(wait_for(pid), 1 << 8);
}

TEST(orphans_go_to_the_subreaper)
{
    int pipefd[2], status;
    pid_t pid, grandchild = 0;

    REQUIRE(pipe(pipefd) == 0);
    CHECK_EQ(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
    pid = fork();
    if (!pid) {
        pid_t g = fork();

        if (!g) {
            usleep(30000);
            _exit(4);
        }
        if (write(pipefd[1], &g, sizeof(g)) != sizeof(g))
            _exit(1);
        _exit(0);
    }
    CHECK_EQ(read(pipefd[0], &grandchild, sizeof(grandchild)), (long)sizeof(grandchild));
    CHECK_EQ(wait_for(pid), 0);
    CHECK_EQ(waitpid(grandchild, &status, 0), grandchild);
    CHECK_EQ(status, 4 << 8);
    CHECK_EQ(prctl(PR_SET_CHILD_SUBREAPER, 0), 0);
    close(pipefd[0]);
    close(pipefd[1]);
}

TEST(parent_death_signal)
{
    int pipefd[2];
    char c = 0;
    pid_t pid;

    REQUIRE(pipe(pipefd) == 0);
    pid = fork();
    if (!pid) {
        pid_t g = fork();

        if (!g) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            if (write(pipefd[1], "x", 1) != 1)
                _exit(1);
            pause();
            _exit(1);
        }
        if (read(pipefd[0], &c, 1) != 1)
            _exit(1);
        _exit(0);
    }
    close(pipefd[1]);
    CHECK_EQ(wait_for(pid), 0);
    CHECK_EQ(read(pipefd[0], &c, 1), 0); /* the grandchild is gone too: end of file */
    close(pipefd[0]);
}

TEST(many_threads_come_and_go)
{
    pthread_t t[64];

    for (int round = 0; round < 5; round++) {
        for (int i = 0; i < 64; i++)
            REQUIRE(pthread_create(&t[i], NULL, (void *(*)(void *))strdup, "x") == 0);
        for (int i = 0; i < 64; i++) {
            void *ret;

            CHECK_EQ(pthread_join(t[i], &ret), 0);
            free(ret);
        }
    }
}

GUEST_TEST_MAIN
