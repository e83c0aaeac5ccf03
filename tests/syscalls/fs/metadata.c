/* SPDX-License-Identifier: Apache-2.0 */
/* chmod, fchmod, fchmodat, chown family, truncate, ftruncate, utime family, umask, fallocate,
 * mknod, sync. */
#include <sys/sysmacros.h>
#include <utime.h>

#include "tests/support/guest_test.h"

static mode_t mode_of(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 ? st.st_mode & 07777 : 0xffff;
}

TEST(chmod_calls)
{
    int fd;

    test_tmpdir();
    fd = open("f", O_CREAT | O_RDWR, 0600);
    REQUIRE(fd >= 0);
    CHECK_EQ(sysp(SYS_chmod, "f", 0741), 0);
    CHECK_EQ(mode_of("f"), 0741);
    CHECK_EQ(sysp(SYS_fchmod, fd, 04755), 0);
    CHECK_EQ(mode_of("f"), 04755);
    /* A write by the unprivileged takes the set-id bits off; root keeps them. */
    CHECK_EQ(sysp(SYS_fchmodat, AT_FDCWD, "f", 0100600), 0);
    CHECK_EQ(mode_of("f"), 0600);
    CHECK_ERR(sysp(SYS_chmod, "nothing", 0600), ENOENT);
    CHECK_ERR(sysp(SYS_fchmod, 9999, 0600), EBADF);
    CHECK_ERR(sysp(SYS_chmod, BAD_PTR, 0600), EFAULT);
    close(fd);
}

TEST(chown_calls)
{
    struct stat st;
    int fd;

    if (getuid() != 0)
        SKIP("needs root");
    test_tmpdir();
    fd = open("f", O_CREAT | O_RDWR, 06755);
    REQUIRE(fd >= 0);
    CHECK(fchmod(fd, 06755) == 0);
    CHECK_EQ(sysp(SYS_chown, "f", 10u, 20u), 0);
    CHECK(fstat(fd, &st) == 0);
    CHECK_EQ(st.st_uid, 10);
    CHECK_EQ(st.st_gid, 20);
    CHECK_EQ(st.st_mode & 07777, 0755);
    CHECK_EQ(sysp(SYS_fchown, fd, ~0u, 30u), 0);
    CHECK_EQ(sysp(SYS_fchownat, fd, "", 11u, ~0u, AT_EMPTY_PATH), 0);
    CHECK(fstat(fd, &st) == 0);
    CHECK_EQ(st.st_uid, 11);
    CHECK_EQ(st.st_gid, 30);
    CHECK(symlink("f", "s") == 0);
    CHECK_EQ(sysp(SYS_lchown, "s", 5u, 6u), 0);
    CHECK(lstat("s", &st) == 0);
    CHECK_EQ(st.st_uid, 5);
    CHECK(stat("s", &st) == 0);
    CHECK_EQ(st.st_uid, 11);
    CHECK_ERR(sysp(SYS_fchownat, AT_FDCWD, "f", 1u, 1u, 0x40000), EINVAL);
    CHECK(chmod(".", 0755) == 0);
    REQUIRE(seteuid(65534) == 0);
    CHECK_ERR(chown("f", 65534, -1), EPERM);
    CHECK_ERR(chmod("f", 0777), EPERM);
    CHECK(seteuid(0) == 0);
    close(fd);
}

TEST(truncation)
{
    struct stat st;
    char c = 1;
    int fd, ro;

    test_tmpdir();
    fd = open("f", O_CREAT | O_RDWR, 0600);
    ro = open("f", O_RDONLY);
    REQUIRE(fd >= 0 && ro >= 0);
    CHECK_EQ(write(fd, "0123456789", 10), 10);
    CHECK_EQ(sysp(SYS_ftruncate, fd, 4L), 0);
    CHECK_EQ(sysp(SYS_truncate, "f", 100000L), 0);
    CHECK(stat("f", &st) == 0);
    CHECK_EQ(st.st_size, 100000);
    CHECK_EQ(pread(fd, &c, 1, 5), 1);
    CHECK_EQ(c, 0);
    CHECK_ERR(sysp(SYS_ftruncate, fd, -1L), EINVAL);
    CHECK_ERR(sysp(SYS_ftruncate, ro, 0L), EINVAL);
    CHECK_ERR(sysp(SYS_ftruncate, 9999, -1L), EINVAL);
    CHECK_ERR(sysp(SYS_ftruncate, 9999, 0L), EBADF);
    CHECK_ERR(sysp(SYS_truncate, "nothing", 0L), ENOENT);
    CHECK_ERR(sysp(SYS_truncate, ".", 0L), EISDIR);
    CHECK_ERR(sysp(SYS_truncate, "nothing", -1L), EINVAL);
    close(fd);
    close(ro);
}

TEST(times)
{
    struct timespec ts[2] = {{1000, 5}, {2000, 7}};
    struct timeval tv[2] = {{3000, 1}, {4000, 2}};
    struct utimbuf ub = {5000, 6000};
    struct stat st;
    int fd;

    test_tmpdir();
    fd = open("f", O_CREAT | O_RDWR, 0600);
    REQUIRE(fd >= 0);
    CHECK_EQ(sysp(SYS_utimensat, AT_FDCWD, "f", ts, 0), 0);
    CHECK(fstat(fd, &st) == 0);
    CHECK_EQ(st.st_atim.tv_sec, 1000);
    CHECK_EQ(st.st_mtim.tv_nsec, 7);
    ts[0].tv_nsec = UTIME_OMIT;
    ts[1].tv_nsec = UTIME_NOW;
    CHECK_EQ(sysp(SYS_utimensat, fd, NULL, ts, 0), 0);
    CHECK(fstat(fd, &st) == 0);
    CHECK_EQ(st.st_atim.tv_sec, 1000);
    CHECK(st.st_mtim.tv_sec > 1000000);
    ts[0].tv_nsec = 1000000000;
    CHECK_ERR(sysp(SYS_utimensat, fd, NULL, ts, 0), EINVAL);
    CHECK_EQ(sysp(SYS_utimes, "f", tv), 0);
    CHECK(fstat(fd, &st) == 0);
    CHECK_EQ(st.st_mtim.tv_nsec, 2000);
    tv[1].tv_usec = 1000000;
    CHECK_ERR(sysp(SYS_utimes, "f", tv), EINVAL);
    tv[1].tv_usec = 0;
    CHECK_EQ(sysp(SYS_futimesat, AT_FDCWD, "f", tv), 0);
    CHECK_EQ(sysp(SYS_utime, "f", &ub), 0);
    CHECK(fstat(fd, &st) == 0);
    CHECK_EQ(st.st_mtim.tv_sec, 6000);
    CHECK_EQ(sysp(SYS_utime, "f", NULL), 0);
    CHECK_ERR(sysp(SYS_utime, "nothing", NULL), ENOENT);
    CHECK_ERR(sysp(SYS_utimensat, AT_FDCWD, "nothing", NULL, 0), ENOENT);
    close(fd);
}

TEST(times_move_by_themselves)
{
    struct stat a, b;
    int fd;

    test_tmpdir();
    fd = open("f", O_CREAT | O_RDWR, 0600);
    REQUIRE(fd >= 0 && fstat(fd, &a) == 0);
    test_sleep_ms(20);
    CHECK_EQ(write(fd, "x", 1), 1);
    CHECK(fstat(fd, &b) == 0);
    CHECK(b.st_mtim.tv_sec > a.st_mtim.tv_sec || b.st_mtim.tv_nsec > a.st_mtim.tv_nsec);
    a = b;
    test_sleep_ms(20);
    CHECK(fchmod(fd, 0644) == 0);
    CHECK(fstat(fd, &b) == 0);
    CHECK_EQ(a.st_mtim.tv_nsec, b.st_mtim.tv_nsec);
    CHECK(a.st_ctim.tv_nsec != b.st_ctim.tv_nsec);
    CHECK(stat(".", &a) == 0);
    test_sleep_ms(20);
    CHECK(unlink("f") == 0);
    CHECK(stat(".", &b) == 0);
    CHECK(a.st_mtim.tv_nsec != b.st_mtim.tv_nsec);
    close(fd);
}

TEST(umask_values)
{
    mode_t old = (mode_t)sysp(SYS_umask, 0123);

    CHECK_EQ(sysp(SYS_umask, 07777), 0123);
    CHECK_EQ(sysp(SYS_umask, (int)old), 0777);
}

TEST(allocation)
{
    struct stat st;
    int fd, p[2];

    test_tmpdir();
    fd = open("f", O_CREAT | O_RDWR, 0600);
    REQUIRE(fd >= 0 && pipe(p) == 0);
    if (sysp(SYS_fallocate, fd, 0, 0L, 10000L) == -EOPNOTSUPP)
        SKIP("file system without fallocate");
    CHECK(fstat(fd, &st) == 0);
    CHECK_EQ(st.st_size, 10000);
    CHECK_EQ(sysp(SYS_fallocate, fd, 1, 0L, 20000L), 0);
    CHECK(fstat(fd, &st) == 0);
    CHECK_EQ(st.st_size, 10000);
    CHECK_EQ(pwrite(fd, "data", 4, 4096), 4);
    CHECK_EQ(sysp(SYS_fallocate, fd, 3, 4096L, 4096L), 0);
    CHECK_EQ(pread(fd, &st, 4, 4096), 4);
    CHECK_EQ(*(int *)&st, 0);
    CHECK_ERR(sysp(SYS_fallocate, fd, 0, 0L, 0L), EINVAL);
    CHECK_ERR(sysp(SYS_fallocate, fd, 0, -1L, 10L), EINVAL);
    CHECK_ERR(sysp(SYS_fallocate, fd, 2, 0L, 10L), EOPNOTSUPP);
    CHECK_ERR(sysp(SYS_fallocate, p[1], 0, 0L, 10L), ESPIPE);
    CHECK_ERR(sysp(SYS_fallocate, 9999, 0, 0L, 10L), EBADF);
    close(fd);
    close(p[0]);
    close(p[1]);
}

TEST(mknod_calls)
{
    struct stat st;

    test_tmpdir();
    CHECK_EQ(sysp(SYS_mknod, "reg", S_IFREG | 0600, 0u), 0);
    CHECK_EQ(sysp(SYS_mknodat, AT_FDCWD, "fifo", S_IFIFO | 0600, 0u), 0);
    CHECK_EQ(sysp(SYS_mknod, "plain", 0600, 0u), 0);
    CHECK(stat("plain", &st) == 0);
    CHECK(S_ISREG(st.st_mode));
    CHECK(stat("fifo", &st) == 0);
    CHECK(S_ISFIFO(st.st_mode));
    CHECK_EQ(sysp(SYS_mknod, "sock", S_IFSOCK | 0600, 0u), 0);
    CHECK_ERR(open("sock", O_RDWR), ENXIO);
    CHECK_ERR(sysp(SYS_mknod, "reg", S_IFREG | 0600, 0u), EEXIST);
    CHECK_ERR(sysp(SYS_mknod, "d", S_IFDIR | 0600, 0u), EPERM);
    CHECK_ERR(sysp(SYS_mknod, "x", 0030000 | 0600, 0u), EINVAL);
    CHECK_ERR(sysp(SYS_mknod, "no/x", S_IFREG | 0600, 0u), ENOENT);
}

TEST(syncing)
{
    int fd, p[2];

    test_tmpdir();
    fd = open("f", O_CREAT | O_RDWR, 0600);
    REQUIRE(fd >= 0 && pipe(p) == 0);
    CHECK_EQ(write(fd, "x", 1), 1);
    CHECK_EQ(sysp(SYS_fsync, fd), 0);
    CHECK_EQ(sysp(SYS_fdatasync, fd), 0);
    CHECK_EQ(sysp(SYS_syncfs, fd), 0);
    CHECK_EQ(sysp(SYS_sync_file_range, fd, 0L, 100L, 7u), 0);
    CHECK_EQ(sysp(SYS_readahead, fd, 0L, (size_t)100), 0);
    CHECK_EQ(sysp(SYS_fadvise64, fd, 0L, (size_t)0, 3), 0);
    CHECK_ERR(sysp(SYS_fadvise64, fd, 0L, (size_t)0, 99), EINVAL);
    CHECK_ERR(sysp(SYS_fadvise64, p[0], 0L, (size_t)0, 0), ESPIPE);
    CHECK_ERR(sysp(SYS_fsync, p[0]), EINVAL);
    CHECK_ERR(sysp(SYS_fsync, 9999), EBADF);
    CHECK_ERR(sysp(SYS_sync_file_range, fd, -1L, 1L, 0u), EINVAL);
    CHECK_ERR(sysp(SYS_sync_file_range, fd, 0L, 1L, 8u), EINVAL);
    CHECK_EQ(sysp(SYS_sync), 0);
    close(fd);
    close(p[0]);
    close(p[1]);
}

GUEST_TEST_MAIN
