/* SPDX-License-Identifier: Apache-2.0 */
/* truncate, ftruncate, fallocate, holes, RLIMIT_FSIZE. */
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "tests/support/guest_test.h"

TEST(truncate_errors)
{
    int fd;

    test_tmpdir();
    fd = open("f", O_CREAT | O_RDONLY, 0644);
    CHECK_ERR(sysp(SYS_ftruncate, fd, 0L), EINVAL);
    CHECK_ERR(sysp(SYS_ftruncate, 999, 0L), EBADF);
    CHECK_ERR(sysp(SYS_ftruncate, 999, -1L), EINVAL);
    CHECK_ERR(sysp(SYS_truncate, "f", -1L), EINVAL);
    CHECK_ERR(sysp(SYS_truncate, "none", 0L), ENOENT);
    CHECK_ERR(sysp(SYS_truncate, ".", 0L), EISDIR);
    CHECK_EQ(sysp(SYS_truncate, "f", 100L), 0);
    close(fd);
}

TEST(sizes)
{
    char buf[8] = "abcdefg", back[8];
    struct stat st;
    int fd;

    test_tmpdir();
    fd = open("f", O_CREAT | O_RDWR, 0644);
    CHECK_EQ(write(fd, buf, 8), 8);
    CHECK_EQ(sysp(SYS_ftruncate, fd, 3L), 0);
    CHECK_EQ(sysp(SYS_ftruncate, fd, 8L), 0);
    CHECK_EQ(pread(fd, back, 8, 0), 8);
    CHECK_EQ(memcmp(back, "abc\0\0\0\0\0", 8), 0);
    CHECK_EQ(lseek(fd, 0, SEEK_CUR), 8);
    CHECK_EQ(sysp(SYS_ftruncate, fd, 1L << 30), 0);
    CHECK_EQ(pwrite(fd, "x", 1, (1L << 30) - 1), 1);
    CHECK_EQ(fstat(fd, &st), 0);
    CHECK_EQ(st.st_size, 1L << 30);
    CHECK(st.st_blocks < 1000);
    CHECK_EQ(pread(fd, back, 8, 1L << 29), 8);
    CHECK_EQ(back[0], 0);
    CHECK_EQ(pread(fd, back, 8, (1L << 30) - 1), 1);
    CHECK_EQ(pread(fd, back, 8, 1L << 30), 0);
    CHECK_EQ(lseek(fd, 1 << 20, SEEK_DATA), (1L << 30) - 4096);
    CHECK_EQ(lseek(fd, (1L << 30) - 1, SEEK_HOLE), 1L << 30);
    CHECK_ERR(lseek(fd, 1L << 30, SEEK_DATA), ENXIO);
    close(fd);
}

TEST(fallocate_call)
{
    struct stat st;
    char back[3];
    int fd;

    test_tmpdir();
    fd = open("f", O_CREAT | O_RDWR, 0644);
    CHECK_EQ(sysp(SYS_fallocate, fd, 0, 0L, 10000L), 0);
    CHECK_EQ(fstat(fd, &st), 0);
    CHECK_EQ(st.st_size, 10000);
    CHECK(st.st_blocks >= 20);
    CHECK_EQ(sysp(SYS_fallocate, fd, 1, 0L, 20000L), 0); /* KEEP_SIZE */
    CHECK_EQ(fstat(fd, &st), 0);
    CHECK_EQ(st.st_size, 10000);
    CHECK_EQ(pwrite(fd, "abc", 3, 4000), 3);
    CHECK_EQ(sysp(SYS_fallocate, fd, 3, 4001L, 1L), 0); /* PUNCH_HOLE | KEEP_SIZE */
    CHECK_EQ(pread(fd, back, 3, 4000), 3);
    CHECK_EQ(memcmp(back, "a\0c", 3), 0);
    CHECK_ERR(sysp(SYS_fallocate, fd, 2, 0L, 1L), EOPNOTSUPP); /* without KEEP_SIZE */
    CHECK_ERR(sysp(SYS_fallocate, fd, 0, -1L, 1L), EINVAL);
    CHECK_ERR(sysp(SYS_fallocate, fd, 0, 0L, 0L), EINVAL);
    CHECK_ERR(sysp(SYS_fallocate, 0, 0x1000, 0L, 1L), EOPNOTSUPP);
    close(fd);
    fd = open("f", O_RDONLY);
    CHECK_ERR(sysp(SYS_fallocate, fd, 0, 0L, 1L), EBADF);
    close(fd);
}

TEST(file_size_limit)
{
    struct rlimit old, small;
    int fd;

    test_tmpdir();
    getrlimit(RLIMIT_FSIZE, &old);
    small = old;
    small.rlim_cur = 100;
    signal(SIGXFSZ, SIG_IGN);
    REQUIRE(setrlimit(RLIMIT_FSIZE, &small) == 0);
    fd = open("f", O_CREAT | O_RDWR, 0644);
    CHECK_EQ(pwrite(fd, "0123456789", 10, 95), 5);
    CHECK_ERR(sysp(SYS_pwrite64, fd, "x", (size_t)1, 100L), EFBIG);
    CHECK_ERR(sysp(SYS_ftruncate, fd, 101L), EFBIG);
    setrlimit(RLIMIT_FSIZE, &old);
    signal(SIGXFSZ, SIG_DFL);
    close(fd);
}

/* Whoever may write, not only the owner. */
TEST(truncate_by_another_user)
{
    int status = -1;
    pid_t pid;

    if (geteuid() != 0)
        SKIP("needs two users");
    test_tmpdir();
    REQUIRE(chmod(".", 0777) == 0);
    close(open("f", O_CREAT | O_WRONLY, 0600));
    REQUIRE(chmod("f", 06777) == 0 && truncate("f", 100) == 0);
    pid = fork();
    if (!pid) {
        int fd;

        if (setresgid(65534, 65534, 65534) || setresuid(65534, 65534, 65534))
            _exit(1);
        fd = open("f", O_WRONLY);
        if (sysp(SYS_ftruncate, fd, 10L) != 0)
            _exit(2);
        if (sysp(SYS_truncate, "f", 20L) != 0)
            _exit(3);
        _exit(sysp(SYS_chmod, "f", 0777) == -EPERM ? 0 : 4);
    }
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK_EQ(status, 0);
}

GUEST_TEST_MAIN
