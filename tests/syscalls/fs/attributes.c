/* SPDX-License-Identifier: Apache-2.0 */
/* chmod, chown, utimensat, access, umask: results and permission rules. */
#include "tests/support/guest_test.h"

#ifndef UTIME_NOW
#define UTIME_NOW  0x3fffffff
#define UTIME_OMIT 0x3ffffffe
#endif

static void make(const char *name, mode_t mode)
{
    int fd = open(name, O_CREAT | O_WRONLY, mode);

    CHECK(fd >= 0);
    close(fd);
}

static mode_t mode_of(const char *name)
{
    struct stat st = {0};

    CHECK_EQ(stat(name, &st), 0);
    return st.st_mode & 07777;
}

TEST(modes_and_umask)
{
    mode_t old;

    test_tmpdir();
    old = umask(027);
    make("f", 0666);
    CHECK_EQ(mode_of("f"), 0640);
    CHECK_EQ(mkdir("d", 0777), 0);
    CHECK_EQ(mode_of("d"), 0750);
    umask(old);
    CHECK_EQ(sysp(SYS_chmod, "f", 04755u), 0);
    CHECK_EQ(mode_of("f"), 04755);
    CHECK_EQ(sysp(SYS_chmod, "f", 0170644u), 0);
    CHECK_EQ(mode_of("f"), 0644);
    CHECK_ERR(sysp(SYS_chmod, "none", 0644u), ENOENT);
    CHECK_ERR(sysp(SYS_fchmod, 999, 0644u), EBADF);
    CHECK_EQ(symlink("f", "s"), 0);
    CHECK_EQ(sysp(SYS_chmod, "s", 0600u), 0);
    CHECK_EQ(mode_of("f"), 0600);
}

TEST(fchmodat2_call)
{
    const long nr = 452; /* SYS_fchmodat2 */

    test_tmpdir();
    make("f", 0644);
    CHECK_EQ(symlink("f", "s"), 0);
    if (sysp(nr, AT_FDCWD, "f", 0600u, 0u) == -ENOSYS)
        SKIP("no fchmodat2 on this kernel");
    CHECK_EQ(mode_of("f"), 0600);
    CHECK_EQ(sysp(nr, AT_FDCWD, "s", 0640u, 0u), 0);
    CHECK_EQ(mode_of("f"), 0640);
    CHECK_ERR(sysp(nr, AT_FDCWD, "s", 0600u, (unsigned)AT_SYMLINK_NOFOLLOW), EOPNOTSUPP);
    CHECK_EQ(sysp(nr, AT_FDCWD, "f", 0600u, (unsigned)AT_SYMLINK_NOFOLLOW), 0);
    CHECK_ERR(sysp(nr, AT_FDCWD, "f", 0600u, 1u), EINVAL);
}

TEST(chown_clears_set_id)
{
    test_tmpdir();
    make("f", 0644);
    if (getuid() != 0)
        SKIP("not root");
    CHECK_EQ(chmod("f", 06755), 0);
    CHECK_EQ(sysp(SYS_chown, "f", 1u, 2u), 0);
    CHECK_EQ(mode_of("f"), 0755);
    struct stat st;
    CHECK_EQ(stat("f", &st), 0);
    CHECK_EQ(st.st_uid, 1);
    CHECK_EQ(st.st_gid, 2);
    CHECK_EQ(sysp(SYS_chown, "f", -1, -1), 0);
}

static void unprivileged(void)
{
    struct timespec one[2] = {{1, 0}, {1, 0}}, mixed[2] = {{0, UTIME_NOW}, {0, UTIME_OMIT}};

    CHECK_EQ(setgid(12345), 0);
    CHECK_EQ(setuid(12345), 0);
    CHECK_ERR(sysp(SYS_chmod, "f", 0600u), EPERM);
    CHECK_ERR(sysp(SYS_chown, "f", 12345u, -1), EPERM);
    CHECK_ERR(sysp(SYS_open, "f", O_WRONLY, 0), EACCES);
    CHECK_EQ(sysp(SYS_access, "f", R_OK), 0);
    CHECK_ERR(sysp(SYS_access, "f", W_OK), EACCES);
    CHECK_ERR(sysp(SYS_utimensat, AT_FDCWD, "w", one, 0), EPERM);
    CHECK_ERR(sysp(SYS_utimensat, AT_FDCWD, "w", mixed, 0), EPERM);
    CHECK_EQ(sysp(SYS_utimensat, AT_FDCWD, "w", NULL, 0), 0);
    CHECK_ERR(sysp(SYS_utimensat, AT_FDCWD, "f", NULL, 0), EACCES);
    CHECK_ERR(sysp(SYS_mkdir, "d/x", 0755u), EACCES);
    CHECK_ERR(sysp(SYS_unlink, "sticky/theirs"), EPERM);
    CHECK_ERR(sysp(SYS_chroot, "."), EPERM);
    CHECK_ERR(sysp(SYS_open, "closed/f", O_RDONLY, 0), EACCES);
    CHECK_ERR(sysp(SYS_open, "closed/none", O_RDONLY, 0), EACCES);
    CHECK_ERR(sysp(SYS_mknod, "sticky/dev", S_IFCHR | 0644, 0x103u), EPERM);
}

TEST(other_user)
{
    test_tmpdir();
    if (getuid() != 0)
        SKIP("not root");
    CHECK_EQ(chmod(".", 0755), 0);
    make("f", 0644);
    make("w", 0644);
    CHECK_EQ(chmod("w", 0666), 0);
    CHECK_EQ(mkdir("d", 0755), 0);
    CHECK_EQ(mkdir("sticky", 01777), 0);
    CHECK_EQ(chmod("sticky", 01777), 0);
    make("sticky/theirs", 0666);
    CHECK_EQ(mkdir("closed", 0700), 0);
    CHECK_EQ(test_in_child(unprivileged), 0);
}

TEST(times)
{
    struct timespec ts[2] = {{123, 456}, {789, 12}};
    struct stat st;

    test_tmpdir();
    make("f", 0644);
    CHECK_EQ(sysp(SYS_utimensat, AT_FDCWD, "f", ts, 0), 0);
    CHECK_EQ(stat("f", &st), 0);
    CHECK_EQ(st.st_atim.tv_sec, 123);
    CHECK_EQ(st.st_atim.tv_nsec, 456);
    CHECK_EQ(st.st_mtim.tv_sec, 789);
    ts[0].tv_nsec = UTIME_OMIT;
    ts[1].tv_sec = 1000;
    CHECK_EQ(sysp(SYS_utimensat, AT_FDCWD, "f", ts, 0), 0);
    CHECK_EQ(stat("f", &st), 0);
    CHECK_EQ(st.st_atim.tv_sec, 123);
    CHECK_EQ(st.st_mtim.tv_sec, 1000);
    ts[1].tv_nsec = 1000000000;
    CHECK_ERR(sysp(SYS_utimensat, AT_FDCWD, "f", ts, 0), EINVAL);
    ts[0].tv_nsec = ts[1].tv_nsec = UTIME_OMIT;
    CHECK_EQ(sysp(SYS_utimensat, AT_FDCWD, "none", ts, 0), 0); /* not even looked up */
    CHECK_ERR(sysp(SYS_utimensat, AT_FDCWD, "none", NULL, 0), ENOENT);
    CHECK_ERR(sysp(SYS_utimensat, AT_FDCWD, "f", NULL, 1), EINVAL);
    CHECK_EQ(symlink("none", "s"), 0);
    ts[0] = ts[1] = (struct timespec){55, 0};
    CHECK_EQ(sysp(SYS_utimensat, AT_FDCWD, "s", ts, AT_SYMLINK_NOFOLLOW), 0);
    CHECK_EQ(lstat("s", &st), 0);
    CHECK_EQ(st.st_mtim.tv_sec, 55);
}

TEST(write_updates_mtime)
{
    struct timespec ts[2] = {{1, 0}, {1, 0}};
    struct stat st;
    int fd;

    test_tmpdir();
    fd = open("f", O_CREAT | O_RDWR, 0644);
    CHECK_EQ(futimens(fd, ts), 0);
    CHECK_EQ(write(fd, "x", 1), 1);
    CHECK_EQ(fstat(fd, &st), 0);
    CHECK(st.st_mtim.tv_sec > 1);
    CHECK_EQ(st.st_atim.tv_sec, 1);
    CHECK_EQ(futimens(fd, ts), 0);
    CHECK_EQ(mkdir("d", 0755), 0);
    CHECK_EQ(utimensat(AT_FDCWD, "d", ts, 0), 0);
    make("d/x", 0644);
    CHECK_EQ(stat("d", &st), 0);
    CHECK(st.st_mtim.tv_sec > 1);
    close(fd);
}

TEST(access_flags)
{
    test_tmpdir();
    make("f", 0644);
    CHECK_EQ(sysp(SYS_access, "f", F_OK), 0);
    CHECK_ERR(sysp(SYS_access, "f", X_OK), EACCES); /* not even root: no x bit at all */
    CHECK_ERR(sysp(SYS_access, "f", 8), EINVAL);
    CHECK_ERR(sysp(SYS_access, "none", F_OK), ENOENT);
    CHECK_ERR(sysp(SYS_access, "f/x", F_OK), ENOTDIR);
    CHECK_ERR(sysp(439 /* faccessat2 */, AT_FDCWD, "f", F_OK, 1), EINVAL);
    CHECK_EQ(sysp(439, AT_FDCWD, "f", R_OK, AT_EACCESS), 0);
}

GUEST_TEST_MAIN
