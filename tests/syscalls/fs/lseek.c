/* SPDX-License-Identifier: Apache-2.0 */
/* lseek(2), and who shares a file position. */
#include "tests/support/guest_test.h"

TEST(whence)
{
    int fd;

    test_tmpdir();
    fd = open("f", O_CREAT | O_RDWR, 0600);
    REQUIRE(fd >= 0);
    CHECK_EQ(write(fd, "0123456789", 10), 10);
    CHECK_EQ(sysp(SYS_lseek, fd, 3L, 0), 3);
    CHECK_EQ(sysp(SYS_lseek, fd, 2L, 1), 5);
    CHECK_EQ(sysp(SYS_lseek, fd, -1L, 2), 9);
    CHECK_EQ(sysp(SYS_lseek, fd, 100L, 2), 110);
    CHECK_ERR(sysp(SYS_lseek, fd, -1L, 0), EINVAL);
    CHECK_ERR(sysp(SYS_lseek, fd, -200L, 1), EINVAL);
    CHECK_ERR(sysp(SYS_lseek, fd, 0L, 5), EINVAL);
    CHECK_ERR(sysp(SYS_lseek, fd, 0L, 99), EINVAL);
    CHECK_ERR(sysp(SYS_lseek, 9999, 0L, 99), EBADF);
    CHECK_EQ(sysp(SYS_lseek, fd, 0L, 1), 110);
    CHECK_EQ(lseek(fd, 0, SEEK_DATA), 0);
    CHECK_EQ(lseek(fd, 0, SEEK_HOLE), 10);
    CHECK_ERR(lseek(fd, 10, SEEK_DATA), ENXIO);
    CHECK_ERR(lseek(fd, 11, SEEK_HOLE), ENXIO);
    close(fd);
}

TEST(streams_cannot_seek)
{
    int p[2];

    REQUIRE(pipe(p) == 0);
    CHECK_ERR(lseek(p[0], 0, SEEK_CUR), ESPIPE);
    CHECK_ERR(sysp(SYS_lseek, p[0], 0L, 99), EINVAL);
    close(p[0]);
    close(p[1]);
}

TEST(position_is_shared_by_dup_and_fork)
{
    int fd, fd2, own, status;
    pid_t pid;

    test_tmpdir();
    fd = open("f", O_CREAT | O_RDWR, 0600);
    REQUIRE(fd >= 0);
    CHECK_EQ(write(fd, "0123456789", 10), 10);
    fd2 = dup(fd);
    own = open("f", O_RDONLY);
    CHECK_EQ(lseek(fd2, 4, SEEK_SET), 4);
    CHECK_EQ(lseek(fd, 0, SEEK_CUR), 4);
    CHECK_EQ(lseek(own, 0, SEEK_CUR), 0);
    pid = fork();
    if (pid == 0)
        _exit(lseek(fd, 1, SEEK_CUR) == 5 ? 0 : 1);
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK_EQ(status, 0);
    CHECK_EQ(lseek(fd, 0, SEEK_CUR), 5);
    close(fd);
    close(fd2);
    close(own);
}

GUEST_TEST_MAIN
