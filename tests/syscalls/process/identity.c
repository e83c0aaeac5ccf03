/* SPDX-License-Identifier: Apache-2.0 */
/* getpid, gettid, getppid, process groups, sessions, personality, set_tid_address, pidfds, kcmp. */
#include <linux/kcmp.h>
#include <poll.h>
#include <pthread.h>
#include <sys/ipc.h>
#include <sys/personality.h>
#include <sys/sem.h>

#include "tests/support/guest_test.h"

#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif
#ifndef SYS_pidfd_send_signal
#define SYS_pidfd_send_signal 424
#endif
#ifndef SYS_pidfd_getfd
#define SYS_pidfd_getfd 438
#endif

TEST(numbers)
{
    int status;
    pid_t me = getpid(), pid;

    CHECK_EQ(sysp(SYS_getpid), me);
    CHECK_EQ(sysp(SYS_gettid), me);
    pid = fork();
    if (pid == 0)
        _exit(sysp(SYS_getppid) == me && getpid() != me ? 0 : 1);
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK_EQ(status, 0);
}

static void *thread_ids(void *arg)
{
    pid_t *out = arg;

    out[0] = (pid_t)sysp(SYS_getpid);
    out[1] = (pid_t)sysp(SYS_gettid);
    return NULL;
}

TEST(threads_share_the_process)
{
    pid_t ids[2];
    pthread_t t;

    REQUIRE(pthread_create(&t, NULL, thread_ids, ids) == 0);
    pthread_join(t, NULL);
    CHECK_EQ(ids[0], getpid());
    CHECK(ids[1] != getpid());
    CHECK_EQ(sysp(SYS_set_tid_address, NULL), getpid());
}

static void sessions(void)
{
    pid_t pid, sid;

    CHECK_EQ(sysp(SYS_setpgid, 0, 0), 0);
    CHECK_EQ(sysp(SYS_getpgid, 0), getpid());
    CHECK_EQ(sysp(SYS_getpgrp), getpid());
    /* A group leader cannot start a session. */
    CHECK_ERR(sysp(SYS_setsid), EPERM);
    sid = (pid_t)sysp(SYS_getsid, 0);
    CHECK(sid > 0 || sid == 0);
    pid = fork();
    if (pid == 0) {
        g_test_failures = 0;
        CHECK_EQ(sysp(SYS_setsid), getpid());
        CHECK_EQ(sysp(SYS_getsid, 0), getpid());
        CHECK_EQ(sysp(SYS_getpgid, 0), getpid());
        CHECK_ERR(sysp(SYS_setpgid, 0, 0), EPERM);
        _exit(g_test_failures ? 1 : 0);
    }
    int status;

    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK_EQ(status, 0);
    CHECK_ERR(sysp(SYS_setpgid, 0, -1), EINVAL);
    CHECK_ERR(sysp(SYS_setpgid, 0x3ffffff, 0), ESRCH);
    CHECK_ERR(sysp(SYS_setpgid, 0, 0x3ffffff), EPERM);
    CHECK_ERR(sysp(SYS_getpgid, 0x3ffffff), ESRCH);
    CHECK_ERR(sysp(SYS_getsid, 0x3ffffff), ESRCH);
}

TEST(groups_and_sessions)
{
    CHECK_EQ(test_in_child(sessions), 0);
}

TEST(setpgid_after_exec)
{
    int status, p[2];
    char c;
    pid_t pid;

    REQUIRE(pipe2(p, O_CLOEXEC) == 0);
    pid = fork();
    if (pid == 0) {
        execl("/bin/sleep", "sleep", "1000", (char *)NULL);
        _exit(1);
    }
    close(p[1]);
    CHECK_EQ(read(p[0], &c, 1), 0);
    CHECK_ERR(sysp(SYS_setpgid, pid, pid), EACCES);
    kill(pid, SIGKILL);
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    close(p[0]);
}

TEST(personality_values)
{
    unsigned old = (unsigned)sysp(SYS_personality, 0xffffffffu);

    CHECK_EQ(sysp(SYS_personality, old | ADDR_NO_RANDOMIZE), old);
    CHECK_EQ(sysp(SYS_personality, old), old | ADDR_NO_RANDOMIZE);
}

TEST(pidfds)
{
    struct pollfd pfd;
    siginfo_t info;
    int fd, dup_fd, status;
    pid_t pid = fork();

    if (pid == 0) {
        for (;;)
            pause();
    }
    fd = (int)sysp(SYS_pidfd_open, pid, 0u);
    REQUIRE(fd >= 0);
    CHECK_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
    pfd = (struct pollfd){.fd = fd, .events = POLLIN};
    CHECK_EQ(poll(&pfd, 1, 0), 0);
    dup_fd = (int)sysp(SYS_pidfd_getfd, fd, 0, 0u);
    if (dup_fd >= 0)
        close(dup_fd);
    else
        CHECK(dup_fd == -EPERM || dup_fd == -EBADF);
    CHECK_EQ(sysp(SYS_pidfd_send_signal, fd, SIGTERM, NULL, 0u), 0);
    CHECK_EQ(poll(&pfd, 1, -1), 1);
    CHECK_EQ(sysp(SYS_waitid, 3, fd, &info, WEXITED, NULL), 0);
    CHECK_EQ(info.si_pid, pid);
    CHECK_EQ(info.si_status, SIGTERM);
    CHECK_ERR(sysp(SYS_pidfd_send_signal, fd, 0, NULL, 0u), ESRCH);
    close(fd);
    CHECK_ERR(waitpid(pid, &status, 0), ECHILD);
    CHECK_ERR(sysp(SYS_pidfd_open, -1, 0u), EINVAL);
    CHECK_ERR(sysp(SYS_pidfd_open, getpid(), 0x10u), EINVAL);
    CHECK_ERR(sysp(SYS_pidfd_open, 0x3ffffff, 0u), ESRCH);
    CHECK_ERR(sysp(SYS_pidfd_send_signal, 0, SIGTERM, NULL, 0u), EBADF);
}

TEST(kcmp_order)
{
    int a = dup(0);
    long r = sysp(SYS_kcmp, getpid(), getpid(), KCMP_FILE, 0L, (long)a);

    if (r == -ENOSYS)
        SKIP("no kcmp");
    CHECK_EQ(r, 0);
    CHECK_EQ(sysp(SYS_kcmp, getpid(), getpid(), KCMP_VM, 0L, 0L), 0);
    CHECK_ERR(sysp(SYS_kcmp, getpid(), getpid(), KCMP_FILE, 0L, 9999L), EBADF);
    CHECK_ERR(sysp(SYS_kcmp, getpid(), 0x3ffffff, KCMP_VM, 0L, 0L), ESRCH);
    close(a);
}

static void *no_thread(void *arg)
{
    return arg;
}

/* 0 when the lists of this process and a new child of it compare as wanted. */
static int compare_undo(bool want_same)
{
    pid_t child = fork();
    long ret;

    if (child == 0) {
        pause();
        _exit(0);
    }
    ret = sysp(SYS_kcmp, getpid(), child, KCMP_SYSVSEM, 0L, 0L);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    return want_same ? ret != 0 : ret <= 0;
}

/* Processes that never asked for SEM_UNDO, nor shared it with a thread, are alike: they have nothing. */
TEST(kcmp_semaphore_undo)
{
    struct sembuf up = {.sem_num = 0, .sem_op = 1, .sem_flg = SEM_UNDO};
    int set, status;
    pthread_t thread;
    pid_t child;

    if (sysp(SYS_kcmp, getpid(), getpid(), KCMP_VM, 0L, 0L) == -ENOSYS)
        SKIP("no kcmp");
    set = semget(IPC_PRIVATE, 1, 0600);
    for (int how = 0; how < 2; how++) {
        child = fork();
        if (child == 0) {
            int bad = compare_undo(true);

            if (how == 0)
                bad |= semop(set, &up, 1) != 0;
            else
                bad |= pthread_create(&thread, NULL, no_thread, NULL) != 0 ||
                       pthread_join(thread, NULL) != 0;
            bad |= compare_undo(false);
            _exit(bad);
        }
        CHECK_EQ(waitpid(child, &status, 0), child);
        CHECK_EQ(status, 0);
    }
    semctl(set, 0, IPC_RMID);
}

GUEST_TEST_MAIN
