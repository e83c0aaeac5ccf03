/* SPDX-License-Identifier: Apache-2.0 */
/* dup family, fcntl flags and descriptors, close_range. */
#include <sys/resource.h>

#include "tests/support/guest_test.h"

#ifndef SYS_close_range
#define SYS_close_range 436
#endif

TEST(dup)
{
    int a, b;

    test_tmpdir();
    a = open("f", O_CREAT | O_RDWR | O_CLOEXEC, 0644);
    REQUIRE(a >= 0);
    b = (int)sysp(SYS_dup, a);
    CHECK_EQ(sysp(SYS_fcntl, b, F_GETFD, 0L), 0);
    CHECK_EQ(sysp(SYS_fcntl, a, F_GETFD, 0L), FD_CLOEXEC);
    CHECK_EQ(write(a, "1234", 4), 4);
    CHECK_EQ(lseek(b, 0, SEEK_CUR), 4); /* one description */
    CHECK_EQ(sysp(SYS_dup2, a, 200), 200);
    CHECK_EQ(sysp(SYS_dup2, a, a), a);
    CHECK_ERR(sysp(SYS_dup3, a, a, 0), EINVAL);
    CHECK_ERR(sysp(SYS_dup3, a, 201, 1), EINVAL);
    CHECK_EQ(sysp(SYS_dup3, a, 201, O_CLOEXEC), 201);
    CHECK_EQ(sysp(SYS_fcntl, 201, F_GETFD, 0L), FD_CLOEXEC);
    CHECK_ERR(sysp(SYS_dup2, a, -1), EBADF);
    CHECK_ERR(sysp(SYS_dup, 999), EBADF);
    CHECK_ERR(sysp(SYS_dup2, 999, 3), EBADF);
    CHECK_EQ(sysp(SYS_fcntl, a, F_DUPFD, 300L), 300);
    CHECK_EQ(sysp(SYS_fcntl, a, F_DUPFD_CLOEXEC, 300L), 301);
    CHECK_ERR(sysp(SYS_fcntl, a, F_DUPFD, 1L << 30), EINVAL);
    CHECK_EQ(sysp(SYS_close_range, 300u, 301u, 0u), 0);
    CHECK_ERR(sysp(SYS_fcntl, 300, F_GETFD, 0L), EBADF);
    CHECK_EQ(sysp(SYS_close_range, 200u, 200u, 4u), 0);
    CHECK_EQ(sysp(SYS_fcntl, 200, F_GETFD, 0L), FD_CLOEXEC);
    CHECK_ERR(sysp(SYS_close_range, 5u, 4u, 0u), EINVAL);
    CHECK_ERR(sysp(SYS_close_range, 4u, 5u, 1u), EINVAL);
    close(200);
    close(201);
    close(a);
    close(b);
}

TEST(status_flags)
{
    int fd;

    test_tmpdir();
    fd = open("f", O_CREAT | O_RDWR | O_CLOEXEC | O_TRUNC | O_EXCL, 0644);
    CHECK_EQ(sysp(SYS_fcntl, fd, F_GETFL, 0L) & ~O_CLOEXEC, O_RDWR | 0100000);
    CHECK_EQ(sysp(SYS_fcntl, fd, F_SETFL, (long)(O_APPEND | O_NONBLOCK | O_WRONLY)), 0);
    CHECK_EQ(sysp(SYS_fcntl, fd, F_GETFL, 0L) & ~O_CLOEXEC,
             O_RDWR | O_APPEND | O_NONBLOCK | 0100000);
    CHECK_EQ(write(fd, "ab", 2), 2);
    CHECK_EQ(lseek(fd, 0, SEEK_SET), 0);
    CHECK_EQ(write(fd, "cd", 2), 2);
    CHECK_EQ(lseek(fd, 0, SEEK_CUR), 4); /* at the end after an append */
    CHECK_ERR(sysp(SYS_fcntl, fd, 9999, 0L), EINVAL);
    CHECK_ERR(sysp(SYS_fcntl, 999, F_GETFL, 0L), EBADF);
    close(fd);
}

TEST(o_path)
{
    char buf[4];
    int fd, dir;

    test_tmpdir();
    close(open("f", O_CREAT | O_RDWR, 0644));
    fd = open("f", O_PATH);
    REQUIRE(fd >= 0);
    CHECK_ERR(sysp(SYS_read, fd, buf, sizeof(buf)), EBADF);
    CHECK_ERR(sysp(SYS_fchmod, fd, 0600u), EBADF);
    CHECK_ERR(sysp(SYS_fcntl, fd, F_SETFL, 0L), EBADF);
    CHECK_EQ(sysp(SYS_fcntl, fd, F_GETFL, 0L) & O_PATH, O_PATH);
    CHECK_EQ(sysp(SYS_fstat, fd, &(struct stat){0}), 0);
    CHECK_ERR(sysp(SYS_fsync, fd), EBADF);
    dir = open(".", O_PATH | O_DIRECTORY);
    CHECK_EQ(sysp(SYS_openat, dir, "f", O_RDONLY, 0), dir + 1);
    CHECK_ERR(sysp(SYS_openat, fd, "x", O_RDONLY, 0), ENOTDIR);
    CHECK_ERR(sysp(SYS_getdents64, dir, buf, 4u), EBADF);
    close(dir + 1);
    close(dir);
    close(fd);
    CHECK_EQ(symlink("f", "s"), 0);
    fd = open("s", O_PATH | O_NOFOLLOW);
    CHECK(fd >= 0);
    CHECK_EQ(readlinkat(fd, "", buf, sizeof(buf)), 1);
    close(fd);
}

TEST(limit)
{
    struct rlimit old, small = {.rlim_cur = 20, .rlim_max = 0};

    getrlimit(RLIMIT_NOFILE, &old);
    small.rlim_max = old.rlim_max;
    CHECK_EQ(setrlimit(RLIMIT_NOFILE, &small), 0);
    while (dup(0) >= 0)
        ;
    CHECK_EQ(errno, EMFILE);
    CHECK_ERR(sysp(SYS_open, "/nonexistent", O_RDONLY, 0), EMFILE); /* before the name */
    CHECK_ERR(sysp(SYS_dup2, 0, 20), EBADF);
    CHECK_ERR(sysp(SYS_fcntl, 0, F_DUPFD, 20L), EINVAL);
    for (int i = 3; i < 20; i++)
        close(i);
    setrlimit(RLIMIT_NOFILE, &old);
}

TEST(owner)
{
    struct f_owner_ex ex;
    int fd[2];

    REQUIRE(pipe(fd) == 0);
    CHECK_EQ(sysp(SYS_fcntl, fd[0], F_GETOWN, 0L), 0);
    CHECK_EQ(sysp(SYS_fcntl, fd[0], F_SETOWN, (long)getpid()), 0);
    CHECK_EQ(sysp(SYS_fcntl, fd[0], F_GETOWN, 0L), getpid());
    CHECK_EQ(sysp(SYS_fcntl, fd[0], F_GETOWN_EX, &ex), 0);
    CHECK_EQ(ex.type, F_OWNER_PID);
    CHECK_EQ(ex.pid, getpid());
    CHECK_EQ(sysp(SYS_fcntl, fd[0], F_SETSIG, (long)SIGUSR1), 0);
    CHECK_EQ(sysp(SYS_fcntl, fd[0], F_GETSIG, 0L), SIGUSR1);
    CHECK_ERR(sysp(SYS_fcntl, fd[0], F_SETSIG, 65L), EINVAL);
    CHECK_ERR(sysp(SYS_fcntl, fd[0], F_SETOWN, 0x7ffffff0L), ESRCH);
    ex.type = 7;
    CHECK_ERR(sysp(SYS_fcntl, fd[0], F_SETOWN_EX, &ex), EINVAL);
    CHECK_EQ(sysp(SYS_fcntl, fd[0], F_GETPIPE_SZ, 0L), 65536);
    CHECK_EQ(sysp(SYS_fcntl, fd[0], F_SETPIPE_SZ, 5000L), 8192);
    close(fd[0]);
    close(fd[1]);
}

GUEST_TEST_MAIN
