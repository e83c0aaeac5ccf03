/* SPDX-License-Identifier: Apache-2.0 */
/* Inode flags (chattr): who may set which, and what immutable and append-only files refuse. */
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/xattr.h>

#include "tests/support/guest_test.h"

static int g_fd; /* of "f" */

static int flags_of(int fd)
{
    int flags = 0;

    CHECK_EQ(ioctl(fd, FS_IOC_GETFLAGS, &flags), 0);
    return flags;
}

/* 0 or -1, with errno. */
static int set_flags(int fd, int flags)
{
    const int mine = FS_IMMUTABLE_FL | FS_APPEND_FL | FS_NODUMP_FL | FS_NOATIME_FL;
    int now = (flags_of(fd) & ~mine) | flags;

    return ioctl(fd, FS_IOC_SETFLAGS, &now);
}

/* A file and a folder "d" with the file "x"; false where the file system keeps no flags. */
static bool begin(void)
{
    int flags;

    test_tmpdir();
    g_fd = open("f", O_CREAT | O_RDWR, 0644);
    CHECK_EQ(write(g_fd, "abc", 3), 3);
    CHECK_EQ(mkdir("d", 0755), 0);
    close(open("d/x", O_CREAT | O_WRONLY, 0644));
    if (ioctl(g_fd, FS_IOC_GETFLAGS, &flags) != 0)
        return false;
    if (set_flags(g_fd, FS_IMMUTABLE_FL) != 0)
        return false;
    return set_flags(g_fd, 0) == 0;
}

#define BEGIN()                                                                                    \
    do {                                                                                           \
        if (geteuid() != 0)                                                                        \
            SKIP("needs root: CAP_LINUX_IMMUTABLE");                                               \
        if (!begin())                                                                              \
            SKIP_ON_HOST("the file system of /tmp keeps no inode flags");                          \
    } while (0)

TEST(flags_are_kept)
{
    struct fsxattr x = {0};
    struct statx sx;

    BEGIN();
    CHECK_EQ(set_flags(g_fd, FS_NODUMP_FL | FS_NOATIME_FL), 0);
    CHECK_EQ(flags_of(g_fd) & 0xff, FS_NODUMP_FL | FS_NOATIME_FL);
    CHECK_EQ(ioctl(g_fd, FS_IOC_FSGETXATTR, &x), 0);
    CHECK_EQ(x.fsx_xflags & 0xff, FS_XFLAG_NODUMP | FS_XFLAG_NOATIME);
    x.fsx_xflags = (x.fsx_xflags & ~0xffu) | FS_XFLAG_APPEND;
    CHECK_EQ(ioctl(g_fd, FS_IOC_FSSETXATTR, &x), 0);
    CHECK_EQ(flags_of(g_fd) & 0xff, FS_APPEND_FL);
    CHECK_EQ(statx(AT_FDCWD, "f", 0, STATX_BASIC_STATS, &sx), 0);
    CHECK_EQ(sx.stx_attributes & 0x70, STATX_ATTR_APPEND);
    CHECK_EQ(sx.stx_attributes_mask & 0x70, 0x70);
    CHECK_EQ(set_flags(g_fd, 0), 0);
    CHECK_EQ(flags_of(g_fd) & 0xff, 0);
}

TEST(errors)
{
    int p[2], flags;

    BEGIN();
    CHECK_ERR(sysp(SYS_ioctl, g_fd, FS_IOC_GETFLAGS, 8L), EFAULT);
    CHECK_ERR(sysp(SYS_ioctl, g_fd, FS_IOC_SETFLAGS, 8L), EFAULT);
    REQUIRE(pipe(p) == 0);
    CHECK_ERR(ioctl(p[0], FS_IOC_GETFLAGS, &flags), ENOTTY);
    CHECK_ERR(ioctl(open("f", O_PATH), FS_IOC_GETFLAGS, &flags), EBADF);
    /* An owner without the capability may set the other two only; others nothing. */
    CHECK_EQ(fchown(g_fd, 1000, 1000), 0);
    REQUIRE(setresuid(-1, 1000, 0) == 0);
    CHECK_EQ(set_flags(g_fd, FS_NODUMP_FL), 0);
    CHECK_ERR(set_flags(g_fd, FS_IMMUTABLE_FL), EPERM);
    CHECK_ERR(set_flags(g_fd, FS_APPEND_FL), EPERM);
    REQUIRE(setresuid(-1, 0, 0) == 0 && setresuid(-1, 1001, 0) == 0);
    CHECK_ERR(set_flags(g_fd, 0), EPERM);
    CHECK_EQ(setresuid(-1, 0, 0), 0);
}

/* What neither kind lets be done by name. */
static void check_names_refused(void)
{
    const struct timespec old[2] = {{1, 0}, {1, 0}};
    const struct timespec half[2] = {{0, UTIME_NOW}, {0, UTIME_OMIT}};

    CHECK(close(open("f", O_RDONLY)) == 0);
    CHECK_ERR(open("f", O_WRONLY), EPERM);
    CHECK_ERR(open("f", O_RDONLY | O_TRUNC), EPERM);
    CHECK_ERR(open("f", O_WRONLY | O_APPEND | O_TRUNC), EPERM);
    CHECK_ERR(truncate("f", 1), EPERM);
    CHECK_ERR(chmod("f", 0600), EPERM);
    CHECK_ERR(fchmod(g_fd, 0600), EPERM);
    CHECK_ERR(chown("f", 0, 0), EPERM);
    CHECK_ERR(utimensat(AT_FDCWD, "f", old, 0), EPERM);
    CHECK_ERR(utimensat(AT_FDCWD, "f", half, 0), EPERM);
    CHECK_ERR(link("f", "g"), EPERM);
    CHECK_ERR(rename("f", "g"), EPERM);
    CHECK_ERR(rename("d/x", "f"), EPERM);
    CHECK_ERR(unlink("f"), EPERM);
    CHECK_ERR(setxattr("f", "user.a", "b", 1, 0), EPERM);
    CHECK_ERR(removexattr("f", "user.a"), EPERM);
}

TEST(immutable)
{
    int from;

    BEGIN();
    REQUIRE(set_flags(g_fd, FS_IMMUTABLE_FL) == 0);
    check_names_refused();
    CHECK_ERR(open("f", O_WRONLY | O_APPEND), EPERM);
    CHECK_ERR(utimensat(AT_FDCWD, "f", NULL, 0), EPERM);
    CHECK_ERR(access("f", W_OK), EPERM);
    CHECK_EQ(access("f", R_OK), 0);
    CHECK_ERR(fallocate(g_fd, FALLOC_FL_KEEP_SIZE, 0, 10), EPERM);
    from = open("d/x", O_RDONLY);
    CHECK_ERR(sysp(SYS_copy_file_range, from, NULL, g_fd, NULL, (size_t)1, 0u), EPERM);
    CHECK_EQ(set_flags(g_fd, 0), 0);
    CHECK_EQ(unlink("f"), 0);
}

TEST(append_only)
{
    int append;

    BEGIN();
    REQUIRE(set_flags(g_fd, FS_APPEND_FL) == 0);
    check_names_refused();
    CHECK_EQ(utimensat(AT_FDCWD, "f", NULL, 0), 0);
    CHECK_EQ(access("f", W_OK), 0);
    CHECK_ERR(ftruncate(g_fd, 1), EPERM);
    CHECK_EQ(fallocate(g_fd, FALLOC_FL_KEEP_SIZE, 0, 10), 0);
    CHECK_ERR(fallocate(g_fd, FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE, 0, 10), EPERM);
    append = open("f", O_RDWR | O_APPEND);
    CHECK_EQ(write(append, "d", 1), 1);
    CHECK_ERR(fcntl(append, F_SETFL, 0), EPERM);
    CHECK_EQ(fcntl(append, F_SETFL, O_APPEND | O_NONBLOCK), 0);
    CHECK_ERR(fcntl(g_fd, F_SETFL, O_APPEND), EPERM);
    CHECK(mmap(NULL, 4096, PROT_READ, MAP_SHARED, append, 0) == MAP_FAILED && errno == EACCES);
    CHECK(mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, append, 0) != MAP_FAILED);
    CHECK_EQ(set_flags(g_fd, 0), 0);
    CHECK_EQ(unlink("f"), 0);
}

TEST(directories)
{
    int d;

    BEGIN();
    d = open("d", O_RDONLY);
    REQUIRE(set_flags(d, FS_IMMUTABLE_FL) == 0);
    CHECK_ERR(open("d/new", O_CREAT | O_WRONLY, 0644), EPERM);
    CHECK_ERR(open("d", O_TMPFILE | O_RDWR, 0600), EPERM);
    CHECK_ERR(mkdir("d/new", 0755), EPERM);
    CHECK_ERR(unlink("d/x"), EPERM);
    CHECK_ERR(rename("d/x", "d/y"), EPERM);
    CHECK_ERR(rename("f", "d/y"), EPERM);
    CHECK_ERR(rename("d", "e"), EPERM);
    CHECK(close(open("d/x", O_WRONLY)) == 0);
    REQUIRE(set_flags(d, FS_APPEND_FL) == 0);
    CHECK(close(open("d/new", O_CREAT | O_WRONLY, 0644)) == 0);
    CHECK_EQ(mkdir("d/sub", 0755), 0);
    CHECK_ERR(unlink("d/x"), EPERM);
    CHECK_ERR(rename("d/x", "d/y"), EPERM);
    CHECK_ERR(rmdir("d/sub"), EPERM);
    CHECK_ERR(rename("d", "e"), EPERM);
    CHECK_EQ(rename("f", "d/f"), 0);
    CHECK_EQ(set_flags(d, 0), 0);
}

TEST(new_files_inherit)
{
    int d;

    BEGIN();
    d = open("d", O_RDONLY);
    CHECK_EQ(set_flags(d, FS_NODUMP_FL | FS_NOATIME_FL), 0);
    CHECK_EQ(flags_of(open("d/new", O_CREAT | O_RDWR, 0644)) & 0xff, FS_NODUMP_FL | FS_NOATIME_FL);
    CHECK_EQ(mkdir("d/sub", 0755), 0);
    CHECK_EQ(flags_of(open("d/sub", O_RDONLY)) & 0xff, FS_NODUMP_FL | FS_NOATIME_FL);
}

/* file_getattr(2), file_setattr(2) of Linux 6.17. */
TEST(the_calls)
{
    struct {
        uint64_t xflags;
        uint32_t extsize, nextents, projid, cowextsize;
        uint64_t later;
    } a = {.later = 1};
    long ret;

    BEGIN();
    ret = sysp(468, AT_FDCWD, "f", &a, sizeof(a), 0u);
    if (ret == -ENOSYS)
        SKIP_ON_HOST("before Linux 6.17");
    CHECK_EQ(ret, 0);
    CHECK_EQ(a.later, 0);
    CHECK_EQ(a.xflags & 0xff, 0);
    a.xflags |= FS_XFLAG_IMMUTABLE;
    CHECK_EQ(sysp(469, AT_FDCWD, "f", &a, sizeof(a), 0u), 0);
    CHECK_EQ(flags_of(g_fd) & 0xff, FS_IMMUTABLE_FL);
    CHECK_ERR(unlink("f"), EPERM);
    a.xflags &= ~(uint64_t)FS_XFLAG_IMMUTABLE;
    CHECK_EQ(sysp(469, AT_FDCWD, "f", &a, sizeof(a), 0u), 0);
    a.later = 1;
    CHECK_ERR(sysp(469, AT_FDCWD, "f", &a, sizeof(a), 0u), E2BIG);
    CHECK_ERR(sysp(468, AT_FDCWD, "/proc/self/status", &a, sizeof(a), 0u), EOPNOTSUPP);
}

GUEST_TEST_MAIN
