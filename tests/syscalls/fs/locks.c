/* SPDX-License-Identifier: Apache-2.0 */
/* flock(2), POSIX record locks and OFD locks of fcntl(2). */
#include <sys/file.h>

#include "tests/support/guest_test.h"

static struct flock range(short type, off_t start, off_t len)
{
    struct flock fl;

    memset(&fl, 0, sizeof(fl));
    fl.l_type = type;
    fl.l_whence = SEEK_SET;
    fl.l_start = start;
    fl.l_len = len;
    return fl;
}

static int g_fd;

static void child_sees_conflict(void)
{
    struct flock fl = range(F_RDLCK, 0, 0);

    CHECK_ERR(sysp(SYS_fcntl, g_fd, F_SETLK, &fl), EAGAIN);
    CHECK_EQ(sysp(SYS_fcntl, g_fd, F_GETLK, &fl), 0);
    CHECK_EQ(fl.l_type, F_WRLCK);
    CHECK_EQ(fl.l_start, 10);
    CHECK_EQ(fl.l_len, 5);
    CHECK_EQ(fl.l_pid, getppid());
    fl = range(F_WRLCK, 0, 10);
    CHECK_EQ(sysp(SYS_fcntl, g_fd, F_SETLK, &fl), 0);
    fl = range(F_WRLCK, 15, 0);
    CHECK_EQ(sysp(SYS_fcntl, g_fd, F_SETLK, &fl), 0);
}

TEST(posix_between_processes)
{
    struct flock fl = range(F_WRLCK, 10, 5);

    test_tmpdir();
    g_fd = open("f", O_CREAT | O_RDWR, 0644);
    REQUIRE(g_fd >= 0);
    CHECK_EQ(sysp(SYS_fcntl, g_fd, F_SETLK, &fl), 0);
    CHECK_EQ(test_in_child(child_sees_conflict), 0);
    close(g_fd);
}

static void child_takes_all(void)
{
    struct flock fl = range(F_WRLCK, 0, 0);

    CHECK_EQ(sysp(SYS_fcntl, g_fd, F_SETLK, &fl), 0);
}

TEST(posix_goes_with_any_close)
{
    struct flock fl = range(F_WRLCK, 0, 0);
    int other;

    test_tmpdir();
    g_fd = open("f", O_CREAT | O_RDWR, 0644);
    other = open("f", O_RDONLY);
    CHECK_EQ(sysp(SYS_fcntl, g_fd, F_SETLK, &fl), 0);
    close(other);
    CHECK_EQ(test_in_child(child_takes_all), 0);
    close(g_fd);
}

TEST(posix_errors)
{
    struct flock fl = range(F_WRLCK, 0, 0);
    int fd;

    test_tmpdir();
    fd = open("f", O_CREAT | O_RDONLY, 0644);
    CHECK_ERR(sysp(SYS_fcntl, fd, F_SETLK, &fl), EBADF);
    fl.l_type = 17;
    CHECK_ERR(sysp(SYS_fcntl, fd, F_SETLK, &fl), EINVAL);
    fl = range(F_RDLCK, -1, 0);
    CHECK_ERR(sysp(SYS_fcntl, fd, F_SETLK, &fl), EINVAL);
    fl = range(F_RDLCK, 5, -6);
    CHECK_ERR(sysp(SYS_fcntl, fd, F_SETLK, &fl), EINVAL);
    fl = range(F_RDLCK, 5, -5);
    CHECK_EQ(sysp(SYS_fcntl, fd, F_SETLK, &fl), 0);
    CHECK_ERR(sysp(SYS_fcntl, fd, F_SETLK, BAD_PTR), EFAULT);
    fl = range(F_RDLCK, 0x7fffffffffffffffL, 2);
    CHECK_ERR(sysp(SYS_fcntl, fd, F_SETLK, &fl), EOVERFLOW);
    close(fd);
}

TEST(ofd)
{
    struct flock fl = range(F_WRLCK, 0, 0);
    int a, b;

    test_tmpdir();
    a = open("f", O_CREAT | O_RDWR, 0644);
    b = open("f", O_RDWR);
    CHECK_EQ(sysp(SYS_fcntl, a, F_OFD_SETLK, &fl), 0);
    CHECK_ERR(sysp(SYS_fcntl, b, F_OFD_SETLK, &fl), EAGAIN);
    CHECK_ERR(sysp(SYS_fcntl, b, F_SETLK, &fl), EAGAIN); /* POSIX and OFD see each other */
    CHECK_EQ(sysp(SYS_fcntl, b, F_OFD_GETLK, &fl), 0);
    CHECK_EQ(fl.l_pid, -1);
    fl = range(F_WRLCK, 0, 0);
    fl.l_pid = 1;
    CHECK_ERR(sysp(SYS_fcntl, b, F_OFD_SETLK, &fl), EINVAL);
    close(a);
    fl = range(F_WRLCK, 0, 0);
    CHECK_EQ(sysp(SYS_fcntl, b, F_OFD_SETLK, &fl), 0);
    close(b);
}

TEST(flock_call)
{
    int a, b;

    test_tmpdir();
    a = open("f", O_CREAT | O_RDWR, 0644);
    b = open("f", O_RDONLY);
    CHECK_EQ(sysp(SYS_flock, a, LOCK_SH), 0);
    CHECK_EQ(sysp(SYS_flock, b, LOCK_SH | LOCK_NB), 0);
    CHECK_ERR(sysp(SYS_flock, b, LOCK_EX | LOCK_NB), EAGAIN);
    CHECK_EQ(sysp(SYS_flock, a, LOCK_UN), 0);
    CHECK_EQ(sysp(SYS_flock, b, LOCK_EX | LOCK_NB), 0);
    CHECK_ERR(sysp(SYS_flock, a, LOCK_SH | LOCK_NB), EAGAIN);
    close(b);
    CHECK_EQ(sysp(SYS_flock, a, LOCK_SH | LOCK_NB), 0);
    CHECK_ERR(sysp(SYS_flock, a, 0u), EINVAL);
    CHECK_ERR(sysp(SYS_flock, 999, LOCK_SH), EBADF);
    close(a);
}

/* Two processes that each hold what the other wants: one of them is told. */
TEST(deadlock)
{
    struct flock first = range(F_WRLCK, 0, 1), second = range(F_WRLCK, 1, 1);
    int to_child[2], status = 0, fd;
    long ret;
    char c;
    pid_t pid;

    test_tmpdir();
    fd = open("f", O_CREAT | O_RDWR, 0644);
    REQUIRE(pipe(to_child) == 0);
    CHECK_EQ(sysp(SYS_fcntl, fd, F_SETLK, &first), 0);
    pid = fork();
    if (pid == 0) {
        if (sysp(SYS_fcntl, fd, F_SETLK, &second) != 0)
            _exit(9);
        if (write(to_child[1], "x", 1) != 1)
            _exit(8);
        ret = sysp(SYS_fcntl, fd, F_SETLKW, &first); /* sleeps until the parent gives up */
        _exit(ret == 0 || ret == -EDEADLK ? 0 : 7);
    }
    CHECK_EQ(read(to_child[0], &c, 1), 1);
    CHECK(test_wait_asleep(pid, SYS_fcntl));
    CHECK_ERR(sysp(SYS_fcntl, fd, F_SETLKW, &second), EDEADLK);
    first.l_type = F_UNLCK;
    CHECK_EQ(sysp(SYS_fcntl, fd, F_SETLK, &first), 0);
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK_EQ(status, 0);
    close(to_child[0]);
    close(to_child[1]);
    close(fd);
}

static void on_signal(int signo)
{
}

TEST(blocked_lock_is_interrupted)
{
    struct sigaction sa = {.sa_handler = on_signal};
    pid_t pid;
    int a, b;

    test_tmpdir();
    a = open("f", O_CREAT | O_RDWR, 0644);
    b = open("f", O_RDWR);
    CHECK_EQ(flock(a, LOCK_EX), 0);
    sigaction(SIGUSR1, &sa, NULL);
    pid = test_signal_in(SYS_flock, SIGUSR1);
    CHECK_ERR(sysp(SYS_flock, b, LOCK_EX), EINTR);
    waitpid(pid, NULL, 0);
    close(a);
    close(b);
}

GUEST_TEST_MAIN
