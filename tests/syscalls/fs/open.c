/* SPDX-License-Identifier: Apache-2.0 */
/* open(2), openat(2), creat(2), close(2): flags, modes, order of errors. */
#include "tests/support/guest_test.h"

TEST(creates_with_mode_and_umask)
{
    struct stat st;
    int fd;

    test_tmpdir();
    umask(022);
    fd = (int)sysp(SYS_open, "a", O_CREAT | O_RDWR, 0666);
    REQUIRE(fd >= 0);
    CHECK(fstat(fd, &st) == 0);
    CHECK_EQ(st.st_mode & 07777, 0644);
    CHECK_EQ(st.st_size, 0);
    CHECK_EQ(fcntl(fd, F_GETFD), 0);
    CHECK_EQ(sysp(SYS_close, fd), 0);
    CHECK_ERR(sysp(SYS_close, fd), EBADF);
}

TEST(exclusive_create)
{
    int fd;

    test_tmpdir();
    fd = open("x", O_CREAT | O_EXCL | O_WRONLY, 0600);
    REQUIRE(fd >= 0);
    close(fd);
    CHECK_ERR(open("x", O_CREAT | O_EXCL | O_WRONLY, 0600), EEXIST);
    CHECK(symlink("nowhere", "dangling") == 0);
    CHECK_ERR(open("dangling", O_CREAT | O_EXCL | O_WRONLY, 0600), EEXIST);
    CHECK_ERR(open("dangling", O_RDONLY), ENOENT);
    /* Without O_EXCL the link's target is created. */
    fd = open("dangling", O_CREAT | O_WRONLY, 0600);
    CHECK(fd >= 0);
    close(fd);
    CHECK(access("nowhere", F_OK) == 0);
}

TEST(creat_truncates)
{
    struct stat st;
    int fd;

    test_tmpdir();
    fd = creat("c", 0600);
    REQUIRE(fd >= 0);
    CHECK_EQ(write(fd, "data", 4), 4);
    CHECK_ERR(read(fd, &st, 1), EBADF);
    close(fd);
    fd = (int)sysp(SYS_creat, "c", 0600);
    CHECK(fd >= 0);
    CHECK(fstat(fd, &st) == 0);
    CHECK_EQ(st.st_size, 0);
    close(fd);
}

TEST(errors_of_the_path)
{
    char name[300], path[5000];

    test_tmpdir();
    CHECK_ERR(sysp(SYS_open, "", O_RDONLY), ENOENT);
    CHECK_ERR(sysp(SYS_open, "no/such", O_RDONLY), ENOENT);
    CHECK_ERR(sysp(SYS_open, BAD_PTR, O_RDONLY), EFAULT);
    CHECK_ERR(sysp(SYS_open, NULL, O_RDONLY), EFAULT);
    CHECK_ERR(open("/etc/passwd/x", O_RDONLY), ENOTDIR);
    CHECK_ERR(open("/etc/passwd/", O_RDONLY), ENOTDIR);
    memset(name, 'n', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    CHECK_ERR(open(name, O_RDONLY), ENAMETOOLONG);
    name[255] = '\0';
    CHECK_ERR(open(name, O_RDONLY), ENOENT);
    memset(path, '/', sizeof(path) - 1);
    path[sizeof(path) - 1] = '\0';
    CHECK_ERR(open(path, O_RDONLY), ENAMETOOLONG);
    path[4095] = '\0';
    CHECK(open(path, O_RDONLY) >= 0);
    CHECK(symlink("loop", "loop") == 0);
    CHECK_ERR(open("loop", O_RDONLY), ELOOP);
    CHECK_ERR(open("loop", O_RDONLY | O_NOFOLLOW), ELOOP);
}

TEST(directories)
{
    int fd;

    test_tmpdir();
    REQUIRE(mkdir("d", 0755) == 0);
    CHECK_ERR(open("d", O_WRONLY), EISDIR);
    CHECK_ERR(open("d", O_RDWR), EISDIR);
    CHECK_ERR(open("d", O_CREAT | O_RDONLY, 0600), EISDIR);
    CHECK_ERR(open("/etc/passwd", O_RDONLY | O_DIRECTORY), ENOTDIR);
    CHECK_ERR(open("new/", O_CREAT | O_RDWR, 0600), EISDIR);
    fd = open("d", O_RDONLY | O_DIRECTORY);
    REQUIRE(fd >= 0);
    CHECK_ERR(read(fd, &fd, 1), EISDIR);
    CHECK_ERR(write(fd, "x", 1), EBADF);
    CHECK_ERR(openat(fd, "inside", O_RDONLY), ENOENT);
    CHECK(openat(fd, "inside", O_CREAT | O_RDWR, 0600) >= 0);
    CHECK(access("d/inside", F_OK) == 0);
    close(fd);
}

TEST(openat_descriptor_errors)
{
    int fd = open("/etc/passwd", O_RDONLY);

    REQUIRE(fd >= 0);
    CHECK_ERR(sysp(SYS_openat, fd, "x", O_RDONLY), ENOTDIR);
    CHECK_ERR(sysp(SYS_openat, 9999, "x", O_RDONLY), EBADF);
    CHECK_ERR(sysp(SYS_openat, 9999, "", O_RDONLY), ENOENT);
    CHECK_ERR(sysp(SYS_openat, 9999, BAD_PTR, O_RDONLY), EFAULT);
    /* An absolute path ignores the descriptor. */
    CHECK(sysp(SYS_openat, 9999, "/etc/passwd", O_RDONLY) >= 0);
    close(fd);
}

TEST(path_descriptor)
{
    struct stat st;
    char c;
    int fd = open("/etc/passwd", O_PATH);

    REQUIRE(fd >= 0);
    CHECK_ERR(read(fd, &c, 1), EBADF);
    CHECK_ERR(lseek(fd, 0, SEEK_SET), EBADF);
    CHECK_ERR(fcntl(fd, F_SETFL, O_NONBLOCK), EBADF);
    CHECK(fstat(fd, &st) == 0);
    CHECK(S_ISREG(st.st_mode));
    CHECK_EQ(fcntl(fd, F_GETFL) & O_PATH, O_PATH);
    close(fd);
    fd = open("/proc/self/exe", O_PATH | O_NOFOLLOW);
    CHECK(fd >= 0);
    CHECK(fstat(fd, &st) == 0);
    CHECK(S_ISLNK(st.st_mode));
    close(fd);
}

TEST(lowest_free_descriptor)
{
    int a = open("/dev/null", O_RDONLY), b = open("/dev/null", O_RDONLY);

    REQUIRE(a >= 0 && b > a);
    close(a);
    CHECK_EQ(open("/dev/null", O_RDONLY), a);
    close(a);
    close(b);
}

TEST(permissions_of_an_ordinary_user)
{
    test_tmpdir();
    REQUIRE(close(open("secret", O_CREAT | O_WRONLY, 0000)) == 0);
    REQUIRE(close(open("readable", O_CREAT | O_WRONLY, 0444)) == 0);
    if (getuid() == 0) {
        CHECK(chmod(".", 0755) == 0);
        REQUIRE(setresgid(65534, 65534, 0) == 0 && setresuid(65534, 65534, 0) == 0);
    }
    CHECK_ERR(open("secret", O_RDONLY), EACCES);
    CHECK_ERR(open("readable", O_WRONLY), EACCES);
    CHECK(close(open("readable", O_RDONLY)) == 0);
    if (geteuid() == 65534) {
        CHECK_ERR(open("new", O_CREAT | O_WRONLY, 0600), EACCES);
        CHECK(seteuid(0) == 0 && setegid(0) == 0 && setresuid(0, 0, 0) == 0);
    }
}

TEST(fifo_without_reader)
{
    test_tmpdir();
    REQUIRE(mkfifo("f", 0600) == 0);
    CHECK_ERR(open("f", O_WRONLY | O_NONBLOCK), ENXIO);
    CHECK(close(open("f", O_RDONLY | O_NONBLOCK)) == 0);
}

GUEST_TEST_MAIN
