/* SPDX-License-Identifier: Apache-2.0 */
/* stat, lstat, fstat, newfstatat, statx, access, faccessat, faccessat2, statfs, fstatfs, ustat. */
#include <linux/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>

#include "tests/support/guest_test.h"

#ifndef SYS_faccessat2
#define SYS_faccessat2 439
#endif

TEST(attributes_of_a_file)
{
    struct stat st, lst;
    int fd;

    test_tmpdir();
    umask(022);
    fd = open("f", O_CREAT | O_RDWR, 0640);
    REQUIRE(fd >= 0);
    CHECK_EQ(write(fd, "12345", 5), 5);
    CHECK_EQ(sysp(SYS_fstat, fd, &st), 0);
    CHECK_EQ(st.st_mode, S_IFREG | 0640);
    CHECK_EQ(st.st_size, 5);
    CHECK_EQ(st.st_nlink, 1);
    CHECK_EQ(st.st_uid, geteuid());
    CHECK(st.st_blksize > 0);
    CHECK(link("f", "g") == 0);
    CHECK(symlink("f", "s") == 0);
    CHECK_EQ(sysp(SYS_stat, "s", &st), 0);
    CHECK_EQ(st.st_nlink, 2);
    CHECK_EQ(sysp(SYS_lstat, "s", &lst), 0);
    CHECK(S_ISLNK(lst.st_mode));
    CHECK_EQ(lst.st_mode & 07777, 0777);
    CHECK_EQ(lst.st_size, 1);
    CHECK(lst.st_ino != st.st_ino);
    CHECK_EQ(lst.st_dev, st.st_dev);
    CHECK_EQ(sysp(SYS_newfstatat, AT_FDCWD, "s", &lst, AT_SYMLINK_NOFOLLOW), 0);
    CHECK(S_ISLNK(lst.st_mode));
    CHECK_EQ(sysp(SYS_newfstatat, fd, "", &lst, AT_EMPTY_PATH), 0);
    CHECK_EQ(lst.st_ino, st.st_ino);
    close(fd);
}

TEST(errors)
{
    struct stat st;

    CHECK_ERR(sysp(SYS_stat, "/no/such", &st), ENOENT);
    CHECK_ERR(sysp(SYS_stat, "/etc/passwd/x", &st), ENOTDIR);
    CHECK_ERR(sysp(SYS_stat, "", &st), ENOENT);
    CHECK_ERR(sysp(SYS_stat, BAD_PTR, &st), EFAULT);
    CHECK_ERR(sysp(SYS_stat, "/etc/passwd", BAD_PTR), EFAULT);
    CHECK_ERR(sysp(SYS_fstat, 9999, BAD_PTR), EBADF);
    CHECK_ERR(sysp(SYS_newfstatat, AT_FDCWD, "/etc/passwd", &st, 0x40000), EINVAL);
    CHECK_ERR(sysp(SYS_newfstatat, AT_FDCWD, "", &st, 0), ENOENT);
    CHECK_ERR(sysp(SYS_newfstatat, 9999, "", &st, AT_EMPTY_PATH), EBADF);
}

TEST(device_files)
{
    struct stat st;

    CHECK(stat("/dev/null", &st) == 0);
    CHECK(S_ISCHR(st.st_mode));
    CHECK_EQ(major(st.st_rdev), 1);
    CHECK_EQ(minor(st.st_rdev), 3);
    CHECK(stat("/dev/zero", &st) == 0);
    CHECK_EQ(st.st_rdev, makedev(1, 5));
}

TEST(statx_masks)
{
    struct statx sx;

    memset(&sx, 0xff, sizeof(sx));
    CHECK_EQ(sysp(SYS_statx, AT_FDCWD, "/etc/passwd", 0, STATX_BASIC_STATS, &sx), 0);
    CHECK_EQ(sx.stx_mask & STATX_BASIC_STATS, STATX_BASIC_STATS);
    CHECK(S_ISREG(sx.stx_mode));
    CHECK(sx.stx_size > 0);
    CHECK_ERR(sysp(SYS_statx, AT_FDCWD, "/etc/passwd", 0, 0x80000000u, &sx), EINVAL);
    CHECK_ERR(sysp(SYS_statx, AT_FDCWD, "/etc/passwd", 0x6000, 0u, &sx), EINVAL);
    CHECK_ERR(sysp(SYS_statx, AT_FDCWD, "/etc/passwd", 0, 0u, BAD_PTR), EFAULT);
    CHECK_ERR(sysp(SYS_statx, AT_FDCWD, "/no", 0, 0u, &sx), ENOENT);
    CHECK_EQ(sysp(SYS_statx, 0, "", AT_EMPTY_PATH, 0u, &sx), 0);
}

TEST(access_checks)
{
    test_tmpdir();
    REQUIRE(close(open("f", O_CREAT | O_WRONLY, 0644)) == 0);
    CHECK_EQ(sysp(SYS_access, "f", R_OK | W_OK), 0);
    CHECK_ERR(sysp(SYS_access, "f", X_OK), EACCES);
    CHECK_ERR(sysp(SYS_access, "g", F_OK), ENOENT);
    CHECK_ERR(sysp(SYS_access, "f", 8), EINVAL);
    CHECK_ERR(sysp(SYS_access, BAD_PTR, 8), EINVAL);
    CHECK_EQ(sysp(SYS_faccessat, AT_FDCWD, "f", R_OK), 0);
    CHECK_ERR(sysp(SYS_faccessat, 9999, "f", R_OK), EBADF);
    CHECK_EQ(sysp(SYS_faccessat2, AT_FDCWD, "f", R_OK, AT_EACCESS), 0);
    CHECK_ERR(sysp(SYS_faccessat2, AT_FDCWD, "f", R_OK, 0x8000), EINVAL);
    if (getuid() == 0) {
        /* access() asks for the real user. */
        CHECK(chmod("f", 0600) == 0);
        CHECK(chmod(".", 0755) == 0);
        REQUIRE(setresuid(65534, 0, 0) == 0);
        CHECK_ERR(sysp(SYS_access, "f", R_OK), EACCES);
        CHECK_EQ(sysp(SYS_faccessat2, AT_FDCWD, "f", R_OK, AT_EACCESS), 0);
        REQUIRE(setresuid(0, 0, 0) == 0);
    }
}

TEST(file_systems)
{
    struct statfs s, f;
    struct {
        int tfree;
        unsigned long tinode;
        char names[16];
    } u;
    struct stat st;
    int fd = open("/proc/self/stat", O_RDONLY);

    CHECK_EQ(sysp(SYS_statfs, "/proc", &s), 0);
    CHECK_EQ(s.f_type, 0x9fa0);
    CHECK_EQ(s.f_namelen, 255);
    CHECK_EQ(sysp(SYS_fstatfs, fd, &f), 0);
    CHECK_EQ(f.f_type, s.f_type);
    CHECK_EQ(sysp(SYS_statfs, "/", &s), 0);
    CHECK(s.f_bsize > 0);
    CHECK_ERR(sysp(SYS_statfs, "/no", &s), ENOENT);
    CHECK_ERR(sysp(SYS_statfs, "/", BAD_PTR), EFAULT);
    CHECK_ERR(sysp(SYS_fstatfs, 9999, &s), EBADF);
    CHECK(stat("/proc", &st) == 0);
    CHECK_EQ(sysp(SYS_ustat, (unsigned)st.st_dev, &u), 0);
    CHECK_ERR(sysp(SYS_ustat, 0xfffffu, &u), EINVAL);
    close(fd);
}

GUEST_TEST_MAIN
