/* SPDX-License-Identifier: Apache-2.0 */
/* dup, dup2, dup3, fcntl, close_range, flock, and record locks. */
#include <sys/file.h>
#include <sys/resource.h>

#include "tests/support/guest_test.h"

#ifndef SYS_close_range
#define SYS_close_range 436
#endif

TEST(dup_family)
{
    int fd = open("/dev/null", O_RDWR | O_CLOEXEC), d;

    REQUIRE(fd >= 0);
    d = (int)sysp(SYS_dup, fd);
    CHECK(d > fd);
    CHECK_EQ(fcntl(d, F_GETFD), 0);
    CHECK_EQ(sysp(SYS_dup2, fd, 100), 100);
    CHECK_EQ(sysp(SYS_dup2, fd, fd), fd);
    CHECK_ERR(sysp(SYS_dup2, 9999, 9999), EBADF);
    CHECK_ERR(sysp(SYS_dup2, 9999, 5), EBADF);
    CHECK_ERR(sysp(SYS_dup2, fd, -1), EBADF);
    CHECK_ERR(sysp(SYS_dup3, fd, fd, 0), EINVAL);
    CHECK_ERR(sysp(SYS_dup3, fd, 101, 1), EINVAL);
    CHECK_EQ(sysp(SYS_dup3, fd, 101, O_CLOEXEC), 101);
    CHECK_EQ(fcntl(101, F_GETFD), FD_CLOEXEC);
    CHECK_EQ(fcntl(fd, F_DUPFD, 200), 200);
    CHECK_EQ(fcntl(fd, F_DUPFD_CLOEXEC, 200), 201);
    CHECK_EQ(fcntl(201, F_GETFD), FD_CLOEXEC);
    CHECK_ERR(fcntl(fd, F_DUPFD, -1), EINVAL);
    close(fd);
    close(d);
    CHECK_EQ(sysp(SYS_close_range, 100u, 250u, 0u), 0);
    CHECK_ERR(close(201), EBADF);
}

TEST(fcntl_flags)
{
    int fd = open("/dev/null", O_RDWR);

    REQUIRE(fd >= 0);
    CHECK_EQ(sysp(SYS_fcntl, fd, F_GETFL, 0L) & (O_ACCMODE | O_NONBLOCK), O_RDWR);
    CHECK_EQ(fcntl(fd, F_SETFL, O_NONBLOCK | O_APPEND), 0);
    CHECK_EQ(fcntl(fd, F_GETFL) & (O_ACCMODE | O_NONBLOCK | O_APPEND),
             O_RDWR | O_NONBLOCK | O_APPEND);
    /* Access mode and creation flags are ignored. */
    CHECK_EQ(fcntl(fd, F_SETFL, O_WRONLY | O_CREAT), 0);
    CHECK_EQ(fcntl(fd, F_GETFL) & (O_ACCMODE | O_CREAT | O_NONBLOCK), O_RDWR);
    CHECK_EQ(fcntl(fd, F_SETFD, FD_CLOEXEC), 0);
    CHECK_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
    CHECK_ERR(fcntl(fd, 9999, 0), EINVAL);
    CHECK_ERR(fcntl(9999, F_GETFD), EBADF);
    CHECK_ERR(sysp(SYS_fcntl, fd, F_SETOWN, 0x40000000L), ESRCH);
    CHECK_EQ(fcntl(fd, F_SETOWN, getpid()), 0);
    CHECK_EQ(fcntl(fd, F_GETOWN), getpid());
    CHECK_EQ(fcntl(fd, F_SETSIG, SIGUSR1), 0);
    CHECK_EQ(fcntl(fd, F_GETSIG), SIGUSR1);
    CHECK_ERR(fcntl(fd, F_SETSIG, 65), EINVAL);
    CHECK_ERR(fcntl(fd, F_GETPIPE_SZ), EBADF);
    close(fd);
}

TEST(descriptor_limit)
{
    struct rlimit old, lim;
    int fd, n = 0, fds[40];

    REQUIRE(getrlimit(RLIMIT_NOFILE, &old) == 0);
    lim = old;
    lim.rlim_cur = 20;
    REQUIRE(setrlimit(RLIMIT_NOFILE, &lim) == 0);
    while ((fd = open("/dev/null", O_RDONLY)) >= 0 && n < 40)
        fds[n++] = fd;
    CHECK_EQ(errno, EMFILE);
    CHECK(n > 5 && fds[n - 1] == 19);
    CHECK_ERR(dup(0), EMFILE);
    CHECK_ERR(dup2(0, 20), EBADF);
    CHECK_ERR(fcntl(0, F_DUPFD, 20), EINVAL);
    CHECK_ERR(fcntl(0, F_DUPFD, 5), EMFILE);
    while (n > 0)
        close(fds[--n]);
    CHECK(setrlimit(RLIMIT_NOFILE, &old) == 0);
}

TEST(close_range_flags)
{
    int a = open("/dev/null", O_RDONLY), b = fcntl(a, F_DUPFD, a + 5);

    REQUIRE(a >= 0 && b >= 0);
    CHECK_ERR(sysp(SYS_close_range, 10u, 5u, 0u), EINVAL);
    CHECK_ERR(sysp(SYS_close_range, 10u, 20u, 1u), EINVAL);
    CHECK_EQ(sysp(SYS_close_range, (unsigned)a, (unsigned)b, 4u), 0);
    CHECK_EQ(fcntl(a, F_GETFD), FD_CLOEXEC);
    CHECK_EQ(fcntl(b, F_GETFD), FD_CLOEXEC);
    CHECK_EQ(sysp(SYS_close_range, (unsigned)a, ~0u, 2u), 0);
    CHECK_ERR(fcntl(b, F_GETFD), EBADF);
}

TEST(flock_between_descriptions)
{
    int a, b, c;

    test_tmpdir();
    a = open("f", O_CREAT | O_RDWR, 0600);
    b = open("f", O_RDWR);
    c = dup(a);
    REQUIRE(a >= 0 && b >= 0 && c >= 0);
    CHECK_EQ(sysp(SYS_flock, a, LOCK_SH), 0);
    CHECK_EQ(sysp(SYS_flock, b, LOCK_SH | LOCK_NB), 0);
    CHECK_ERR(sysp(SYS_flock, b, LOCK_EX | LOCK_NB), EWOULDBLOCK);
    CHECK_EQ(flock(b, LOCK_UN), 0);
    CHECK_EQ(flock(c, LOCK_EX | LOCK_NB), 0);
    CHECK_ERR(flock(b, LOCK_SH | LOCK_NB), EWOULDBLOCK);
    close(a);
    CHECK_ERR(flock(b, LOCK_SH | LOCK_NB), EWOULDBLOCK);
    close(c);
    CHECK_EQ(flock(b, LOCK_EX | LOCK_NB), 0);
    CHECK_ERR(sysp(SYS_flock, b, 0), EINVAL);
    CHECK_ERR(sysp(SYS_flock, 9999, LOCK_SH), EBADF);
    close(b);
}

static int lock_at(int fd, int cmd, short type, off_t start, off_t len)
{
    struct flock l = {.l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = len};

    return fcntl(fd, cmd, &l);
}

TEST(record_locks_between_processes)
{
    struct flock l = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 100};
    int fd, status;
    pid_t pid;

    test_tmpdir();
    fd = open("f", O_CREAT | O_RDWR, 0600);
    REQUIRE(fd >= 0);
    CHECK_EQ(lock_at(fd, F_SETLK, F_WRLCK, 10, 10), 0);
    /* One process never conflicts with itself. */
    CHECK_EQ(fcntl(fd, F_GETLK, &l), 0);
    CHECK_EQ(l.l_type, F_UNLCK);
    pid = fork();
    if (pid == 0) {
        int ok;

        l = (struct flock){.l_type = F_RDLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 0};
        ok = fcntl(fd, F_GETLK, &l) == 0 && l.l_type == F_WRLCK && l.l_start == 10 &&
             l.l_len == 10 && l.l_pid == getppid();
        ok = ok && lock_at(fd, F_SETLK, F_WRLCK, 15, 1) < 0 && errno == EAGAIN;
        ok = ok && lock_at(fd, F_SETLK, F_WRLCK, 20, 5) == 0;
        _exit(ok ? 0 : 1);
    }
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK_EQ(status, 0);
    CHECK_EQ(lock_at(fd, F_SETLK, F_UNLCK, 12, 3), 0);
    CHECK_ERR(lock_at(fd, F_SETLK, F_WRLCK, -5, 1), EINVAL);
    CHECK_ERR(lock_at(fd, F_SETLK, 7, 0, 1), EINVAL);
    close(fd);
}

TEST(waiting_for_a_record_lock)
{
    int fd, status, p[2];
    char c;
    pid_t pid;

    test_tmpdir();
    fd = open("f", O_CREAT | O_RDWR, 0600);
    REQUIRE(fd >= 0 && pipe(p) == 0);
    pid = fork();
    if (pid == 0) {
        if (lock_at(fd, F_SETLK, F_WRLCK, 0, 0) < 0 || write(p[1], "x", 1) != 1)
            _exit(1);
        test_sleep_ms(100);
        _exit(0);
    }
    CHECK_EQ(read(p[0], &c, 1), 1);
    CHECK_EQ(lock_at(fd, F_SETLKW, F_WRLCK, 0, 0), 0);
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK_EQ(status, 0);
    close(fd);
    close(p[0]);
    close(p[1]);
}

TEST(open_file_description_locks)
{
    int a, b;

    test_tmpdir();
    a = open("f", O_CREAT | O_RDWR, 0600);
    b = open("f", O_RDWR);
    REQUIRE(a >= 0 && b >= 0);
    CHECK_EQ(lock_at(a, F_OFD_SETLK, F_WRLCK, 0, 10), 0);
    CHECK_ERR(lock_at(b, F_OFD_SETLK, F_RDLCK, 5, 1), EAGAIN);
    CHECK_EQ(lock_at(b, F_OFD_SETLK, F_WRLCK, 10, 1), 0);
    close(a);
    CHECK_EQ(lock_at(b, F_OFD_SETLK, F_RDLCK, 5, 1), 0);
    close(b);
}

GUEST_TEST_MAIN
