/* SPDX-License-Identifier: Apache-2.0 */
/* mount(2), umount2(2), bind mounts, propagation, pivot_root(2) in a mount namespace of its own. */
#include <sched.h>
#include <sys/mount.h>

#include "tests/support/guest_test.h"

#ifndef SYS_move_mount
#define SYS_open_tree  428
#define SYS_move_mount 429
#define SYS_fsopen     430
#define SYS_fsconfig   431
#define SYS_fsmount    432
#endif

static bool private_ns(void)
{
    return unshare(CLONE_NEWNS) == 0 && mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0;
}

static void make(const char *name)
{
    int fd = open(name, O_CREAT | O_WRONLY, 0644);

    CHECK(fd >= 0);
    close(fd);
}

static bool exists(const char *name)
{
    return access(name, F_OK) == 0;
}

static bool in_mounts(const char *text)
{
    static char buf[65536];
    int fd = open("/proc/self/mountinfo", O_RDONLY);
    ssize_t n, used = 0;

    while (fd >= 0 && (n = read(fd, buf + used, sizeof(buf) - 1 - (size_t)used)) > 0)
        used += n;
    close(fd);
    buf[used] = '\0';
    return strstr(buf, text) != NULL;
}

static void tmpfs_and_bind(void)
{
    REQUIRE(private_ns());
    CHECK_EQ(mkdir("m", 0755), 0);
    CHECK_EQ(mkdir("b", 0755), 0);
    make("m/below");
    CHECK_EQ(sysp(SYS_mount, "src", "m", "tmpfs", (unsigned long)MS_NOSUID, "size=1m,mode=750"), 0);
    CHECK(!exists("m/below"));
    struct stat st;
    CHECK_EQ(stat("m", &st), 0);
    CHECK_EQ(st.st_mode & 07777, 0750);
    CHECK_EQ(mkdir("m/sub", 0755), 0);
    make("m/sub/f");
    CHECK_EQ(sysp(SYS_mount, "m/sub", "b", NULL, (unsigned long)MS_BIND, NULL), 0);
    CHECK(exists("b/f"));
    CHECK_EQ(
        sysp(SYS_mount, NULL, "b", NULL, (unsigned long)(MS_REMOUNT | MS_BIND | MS_RDONLY), NULL),
        0);
    CHECK_ERR(sysp(SYS_open, "b/f", O_WRONLY, 0), EROFS);
    CHECK_ERR(sysp(SYS_mkdir, "b/x", 0755), EROFS);
    CHECK_ERR(sysp(SYS_mkdir, "b/f", 0755), EEXIST);
    CHECK_ERR(sysp(SYS_link, "m/sub/f", "b/g"), EROFS);
    CHECK_EQ(sysp(SYS_open, "m/sub/f", O_WRONLY, 0) >= 0, 1);
    CHECK_ERR(sysp(SYS_rmdir, "m"), EBUSY);
    CHECK_ERR(sysp(SYS_umount2, "m", 0), EBUSY); /* the open file */
    CHECK_EQ(sysp(SYS_umount2, "b", 0), 0);
    CHECK_EQ(sysp(SYS_umount2, "m", MNT_DETACH), 0);
    CHECK(exists("m/below"));
    CHECK_ERR(sysp(SYS_umount2, "m", 0), EINVAL);
    CHECK_ERR(sysp(SYS_umount2, "none", 0), ENOENT);
    CHECK_ERR(sysp(SYS_umount2, "m", 0x100), EINVAL);
    CHECK_ERR(sysp(SYS_mount, "x", "m", "nonsense", 0UL, NULL), ENODEV);
    CHECK_ERR(sysp(SYS_mount, "x", "none", "tmpfs", 0UL, NULL), ENOENT);
    CHECK_ERR(sysp(SYS_mount, "x", "m/below", "tmpfs", 0UL, NULL), ENOTDIR);
    CHECK_ERR(sysp(SYS_mount, "x", "m", "tmpfs", 0UL, "size=banana"), EINVAL);
    CHECK_ERR(sysp(SYS_mount, "none", "m", NULL, (unsigned long)MS_BIND, NULL), ENOENT);
}

TEST(tmpfs_and_bind_mounts)
{
    if (getuid() != 0)
        SKIP("not root");
    test_tmpdir();
    CHECK_EQ(test_in_child(tmpfs_and_bind), 0);
}

static int64_t size_of(const char *name)
{
    struct stat st;

    return stat(name, &st) == 0 ? (int64_t)st.st_size : -1;
}

/* What it was mounted with, and 20 bytes for each name in a directory. */
static void tmpfs_shown(void)
{
    REQUIRE(private_ns());
    CHECK_EQ(mkdir("m", 0755), 0);
    CHECK_EQ(mount("shown", "m", "tmpfs", 0, "size=64k,mode=1770,uid=5,gid=7"), 0);
    CHECK(in_mounts(" - tmpfs shown rw,size=64k,mode=1770,uid=5,gid=7"));
    CHECK_EQ(chown("m", 8, 9), 0);
    CHECK_EQ(chmod("m", 0700), 0);
    CHECK(in_mounts(" - tmpfs shown rw,size=64k,mode=1770,uid=5,gid=7"));
    CHECK_EQ(size_of("m"), 40);
    make("m/f");
    CHECK_EQ(mkdir("m/d", 0755), 0);
    CHECK_EQ(size_of("m"), 80);
    CHECK_EQ(size_of("m/d"), 40);
    CHECK_EQ(rename("m/f", "m/d/g"), 0);
    CHECK_EQ(size_of("m"), 60);
    CHECK_EQ(size_of("m/d"), 60);
}

TEST(tmpfs_as_it_is_shown)
{
    if (getuid() != 0)
        SKIP("not root");
    test_tmpdir();
    CHECK_EQ(test_in_child(tmpfs_shown), 0);
}

static void full_tmpfs(void)
{
    static char page[4096];
    int fd, n = 0;

    REQUIRE(private_ns());
    CHECK_EQ(mkdir("m", 0755), 0);
    CHECK_EQ(mount("x", "m", "tmpfs", 0, "size=64k,nr_inodes=4"), 0);
    fd = open("m/f", O_CREAT | O_RDWR, 0644);
    while (write(fd, page, sizeof(page)) == (ssize_t)sizeof(page))
        n++;
    CHECK_EQ(errno, ENOSPC);
    CHECK_EQ(n, 16);
    CHECK_EQ(ftruncate(fd, 0), 0);
    CHECK_EQ(write(fd, page, sizeof(page)), sizeof(page));
    CHECK_EQ(mkdir("m/1", 0755), 0);
    CHECK_EQ(mkdir("m/2", 0755), 0);
    CHECK_ERR(sysp(SYS_mkdir, "m/3", 0755), ENOSPC);
    close(fd);
}

TEST(tmpfs_limits)
{
    if (getuid() != 0)
        SKIP("not root");
    test_tmpdir();
    CHECK_EQ(test_in_child(full_tmpfs), 0);
}

static void propagate(void)
{
    REQUIRE(private_ns());
    CHECK_EQ(mkdir("a", 0755), 0);
    CHECK_EQ(mkdir("b", 0755), 0);
    CHECK_EQ(mkdir("c", 0755), 0);
    CHECK_EQ(mount("x", "a", "tmpfs", 0, NULL), 0);
    CHECK_EQ(mkdir("a/d", 0755), 0);
    CHECK_EQ(mount(NULL, "a", NULL, MS_SHARED, NULL), 0);
    CHECK_EQ(mount("a", "b", NULL, MS_BIND, NULL), 0);
    CHECK_EQ(mount("a", "c", NULL, MS_BIND, NULL), 0);
    CHECK_EQ(mount(NULL, "c", NULL, MS_SLAVE, NULL), 0);
    CHECK(in_mounts(" shared:"));
    CHECK(in_mounts(" master:"));
    CHECK_EQ(mount("y", "b/d", "tmpfs", 0, NULL), 0);
    make("b/d/f");
    CHECK(exists("a/d/f"));
    CHECK(exists("c/d/f"));
    CHECK_EQ(umount("a/d"), 0);
    CHECK(!exists("b/d/f"));
    CHECK(!exists("c/d/f"));
    CHECK_EQ(mount("z", "c/d", "tmpfs", 0, NULL), 0); /* not back to the master */
    make("c/d/g");
    CHECK(!exists("a/d/g"));
    CHECK_ERR(sysp(SYS_mount, NULL, "a", NULL, (unsigned long)(MS_SHARED | MS_PRIVATE), NULL),
              EINVAL);
}

TEST(propagation)
{
    if (getuid() != 0)
        SKIP("not root");
    test_tmpdir();
    CHECK_EQ(test_in_child(propagate), 0);
}

static void pivot(void)
{
    char buf[64];

    REQUIRE(private_ns());
    CHECK_EQ(mkdir("new", 0755), 0);
    CHECK_ERR(sysp(SYS_pivot_root, "new", "new"), EBUSY); /* not a mount point */
    CHECK_EQ(mount("x", "new", "tmpfs", 0, NULL), 0);
    CHECK_EQ(mkdir("new/old", 0755), 0);
    make("new/here");
    CHECK_EQ(sysp(SYS_pivot_root, "new", "new/old"), 0);
    CHECK_EQ(chdir("/"), 0);
    CHECK(exists("/here"));
    CHECK(exists("/old/proc"));
    CHECK(getcwd(buf, sizeof(buf)) != NULL);
    CHECK_STR(buf, "/");
    CHECK_EQ(umount2("/old", MNT_DETACH), 0);
    CHECK(!exists("/old/proc"));
}

TEST(pivot_root_call)
{
    if (getuid() != 0)
        SKIP("not root");
    test_tmpdir();
    CHECK_EQ(test_in_child(pivot), 0);
}

static void newer_calls(void)
{
    int fs, mnt, tree;

    REQUIRE(private_ns());
    CHECK_EQ(mkdir("m", 0755), 0);
    CHECK_EQ(mkdir("n", 0755), 0);
    fs = (int)sysp(SYS_fsopen, "tmpfs", 1u);
    REQUIRE(fs >= 0);
    CHECK_EQ(sysp(SYS_fsconfig, fs, 1u, "source", "mine", 0), 0);
    CHECK_EQ(sysp(SYS_fsconfig, fs, 1u, "size", "128k", 0), 0);
    CHECK_EQ(sysp(SYS_fsconfig, fs, 6u, NULL, NULL, 0), 0);
    mnt = (int)sysp(SYS_fsmount, fs, 1u, 2u /* NOSUID */);
    REQUIRE(mnt >= 0);
    CHECK_EQ(sysp(SYS_move_mount, mnt, "", AT_FDCWD, "m", 4u), 0);
    CHECK(in_mounts("tmpfs mine "));
    make("m/f");
    tree = (int)sysp(SYS_open_tree, AT_FDCWD, "m", 1u);
    REQUIRE(tree >= 0);
    CHECK_EQ(faccessat(tree, "f", F_OK, 0), 0);
    CHECK_EQ(sysp(SYS_move_mount, tree, "", AT_FDCWD, "n", 4u), 0);
    CHECK(exists("n/f"));
    CHECK_ERR(sysp(SYS_fsopen, "nonsense", 0u), ENODEV);
    CHECK_ERR(sysp(SYS_fsmount, fs, 0u, 0u), EBUSY);
    close(fs);
    close(mnt);
    close(tree);
    CHECK_EQ(umount("n"), 0);
    CHECK_EQ(umount("m"), 0);
}

TEST(newer_mount_calls)
{
    if (getuid() != 0)
        SKIP("not root");
    test_tmpdir();
    CHECK_EQ(test_in_child(newer_calls), 0);
}

TEST(unprivileged)
{
    if (getuid() == 0)
        SKIP("root");
    CHECK_ERR(sysp(SYS_mount, "x", "/tmp", "tmpfs", 0UL, NULL), EPERM);
    CHECK_ERR(sysp(SYS_umount2, "/", 0), EPERM);
}

GUEST_TEST_MAIN
