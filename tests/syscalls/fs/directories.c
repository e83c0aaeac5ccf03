/* SPDX-License-Identifier: Apache-2.0 */
/* mkdir, rmdir, link, unlink, symlink, readlink, rename and their *at forms; renameat2. */
#include "tests/support/guest_test.h"

static bool exists(const char *path)
{
    struct stat st;

    return lstat(path, &st) == 0;
}

static void touch(const char *path)
{
    close(open(path, O_CREAT | O_WRONLY, 0600));
}

TEST(mkdir_and_rmdir)
{
    struct stat st;

    test_tmpdir();
    umask(027);
    CHECK_EQ(sysp(SYS_mkdir, "d", 0777), 0);
    CHECK(stat("d", &st) == 0);
    CHECK_EQ(st.st_mode, S_IFDIR | 0750);
    umask(022);
    CHECK_ERR(sysp(SYS_mkdir, "d", 0777), EEXIST);
    CHECK_ERR(sysp(SYS_mkdir, "no/d", 0777), ENOENT);
    CHECK_ERR(sysp(SYS_mkdir, "", 0777), ENOENT);
    CHECK_ERR(sysp(SYS_mkdir, "/", 0777), EEXIST);
    CHECK_ERR(sysp(SYS_mkdir, "d/.", 0777), EEXIST);
    CHECK_EQ(sysp(SYS_mkdir, "e/", 0777), 0);
    CHECK_EQ(sysp(SYS_mkdirat, AT_FDCWD, "d/sub", 0700), 0);
    CHECK_ERR(sysp(SYS_rmdir, "d"), ENOTEMPTY);
    CHECK_ERR(sysp(SYS_rmdir, "d/sub/.."), ENOTEMPTY);
    CHECK_ERR(sysp(SYS_rmdir, "d/sub/."), EINVAL);
    CHECK_ERR(sysp(SYS_rmdir, "nothing"), ENOENT);
    touch("f");
    CHECK_ERR(sysp(SYS_rmdir, "f"), ENOTDIR);
    CHECK_EQ(sysp(SYS_rmdir, "d/sub"), 0);
    CHECK_EQ(sysp(SYS_unlinkat, AT_FDCWD, "d", AT_REMOVEDIR), 0);
    CHECK_EQ(sysp(SYS_rmdir, "e/"), 0);
    CHECK_EQ(unlink("f"), 0);
}

TEST(links)
{
    struct stat st;
    int fd;

    test_tmpdir();
    touch("a");
    CHECK_EQ(sysp(SYS_link, "a", "b"), 0);
    CHECK(stat("a", &st) == 0);
    CHECK_EQ(st.st_nlink, 2);
    CHECK_ERR(sysp(SYS_link, "a", "b"), EEXIST);
    CHECK_ERR(sysp(SYS_link, "x", "y"), ENOENT);
    CHECK(mkdir("d", 0700) == 0);
    CHECK_ERR(sysp(SYS_link, "d", "e"), EPERM);
    CHECK_EQ(sysp(SYS_linkat, AT_FDCWD, "a", AT_FDCWD, "d/c", 0), 0);
    CHECK_ERR(sysp(SYS_linkat, AT_FDCWD, "a", AT_FDCWD, "z", 0x1), EINVAL);
    CHECK(symlink("a", "s") == 0);
    CHECK_EQ(linkat(AT_FDCWD, "s", AT_FDCWD, "s2", 0), 0);
    CHECK(lstat("s2", &st) == 0);
    CHECK(S_ISLNK(st.st_mode));
    CHECK_EQ(linkat(AT_FDCWD, "s", AT_FDCWD, "a2", AT_SYMLINK_FOLLOW), 0);
    CHECK(lstat("a2", &st) == 0);
    CHECK(S_ISREG(st.st_mode));
    CHECK_EQ(st.st_nlink, 4);
    fd = open("a", O_RDWR);
    CHECK_EQ(sysp(SYS_unlink, "a"), 0);
    CHECK(fstat(fd, &st) == 0);
    CHECK_EQ(st.st_nlink, 3);
    CHECK_EQ(unlink("b"), 0);
    CHECK_EQ(unlink("a2"), 0);
    CHECK_EQ(unlink("d/c"), 0);
    CHECK(fstat(fd, &st) == 0);
    CHECK_EQ(st.st_nlink, 0);
    CHECK_EQ(write(fd, "still", 5), 5);
    close(fd);
}

TEST(unlink_errors)
{
    test_tmpdir();
    CHECK(mkdir("d", 0700) == 0);
    CHECK_ERR(sysp(SYS_unlink, "d"), EISDIR);
    CHECK_ERR(sysp(SYS_unlink, "nothing"), ENOENT);
    CHECK_ERR(sysp(SYS_unlink, "d/"), EISDIR);
    CHECK_ERR(sysp(SYS_unlinkat, AT_FDCWD, "d", 0x10), EINVAL);
    CHECK_ERR(sysp(SYS_unlink, ""), ENOENT);
    touch("f");
    CHECK_ERR(sysp(SYS_unlink, "f/"), ENOTDIR);
    CHECK_ERR(sysp(SYS_unlinkat, AT_FDCWD, "f", AT_REMOVEDIR), ENOTDIR);
}

TEST(symbolic_links)
{
    char buf[100];

    test_tmpdir();
    CHECK_EQ(sysp(SYS_symlink, "target/of/it", "s"), 0);
    CHECK_ERR(sysp(SYS_symlink, "x", "s"), EEXIST);
    CHECK_ERR(sysp(SYS_symlink, "", "t"), ENOENT);
    CHECK_EQ(sysp(SYS_symlinkat, "y", AT_FDCWD, "t"), 0);
    memset(buf, '#', sizeof(buf));
    CHECK_EQ(sysp(SYS_readlink, "s", buf, 100), 12);
    CHECK(memcmp(buf, "target/of/it#", 13) == 0);
    CHECK_EQ(sysp(SYS_readlink, "s", buf, 6), 6);
    CHECK_EQ(sysp(SYS_readlinkat, AT_FDCWD, "t", buf, 100), 1);
    CHECK_ERR(sysp(SYS_readlink, "s", buf, 0), EINVAL);
    CHECK_ERR(sysp(SYS_readlink, "s", buf, -1), EINVAL);
    CHECK_ERR(sysp(SYS_readlink, ".", buf, 10), EINVAL);
    CHECK_ERR(sysp(SYS_readlink, "nothing", buf, 10), ENOENT);
    CHECK_ERR(sysp(SYS_readlink, "s", BAD_PTR, 10), EFAULT);
}

TEST(rename_files)
{
    struct stat a, b;

    test_tmpdir();
    touch("a");
    touch("b");
    CHECK(stat("a", &a) == 0);
    CHECK_EQ(sysp(SYS_rename, "a", "b"), 0);
    CHECK(!exists("a"));
    CHECK(stat("b", &b) == 0);
    CHECK_EQ(a.st_ino, b.st_ino);
    CHECK(link("b", "c") == 0);
    /* Two names of one file: nothing happens. */
    CHECK_EQ(sysp(SYS_rename, "b", "c"), 0);
    CHECK(exists("b") && exists("c"));
    CHECK_ERR(sysp(SYS_rename, "x", "y"), ENOENT);
    CHECK_ERR(sysp(SYS_rename, "b", "no/y"), ENOENT);
    CHECK_ERR(sysp(SYS_rename, "b/", "y"), ENOTDIR);
    CHECK_ERR(sysp(SYS_rename, ".", "y"), EBUSY);
    CHECK_ERR(sysp(SYS_rename, "b", ".."), EBUSY);
    CHECK_EQ(sysp(SYS_renameat, AT_FDCWD, "b", AT_FDCWD, "d"), 0);
    CHECK(exists("d"));
}

TEST(rename_directories)
{
    test_tmpdir();
    CHECK(mkdir("d", 0700) == 0 && mkdir("d/sub", 0700) == 0 && mkdir("e", 0700) == 0);
    touch("f");
    CHECK_ERR(rename("f", "d"), EISDIR);
    CHECK_ERR(rename("d", "f"), ENOTDIR);
    CHECK_ERR(rename("d", "d/sub/x"), EINVAL);
    CHECK_ERR(rename("d/sub", "d"), ENOTEMPTY);
    CHECK_ERR(rename("e", "d"), ENOTEMPTY);
    CHECK_EQ(rename("d", "e"), 0);
    CHECK(exists("e/sub") && !exists("d"));
    CHECK_EQ(rename("e/", "g/"), 0);
    CHECK(exists("g/sub/../../f"));
}

TEST(rename_flags)
{
    struct stat a, b;

    test_tmpdir();
    touch("a");
    CHECK(mkdir("d", 0700) == 0);
    CHECK_ERR(sysp(SYS_renameat2, AT_FDCWD, "a", AT_FDCWD, "d", 1u), EEXIST);
    CHECK(stat("a", &a) == 0);
    CHECK_EQ(sysp(SYS_renameat2, AT_FDCWD, "a", AT_FDCWD, "d", 2u), 0);
    CHECK(stat("d", &b) == 0);
    CHECK_EQ(a.st_ino, b.st_ino);
    CHECK(stat("a", &b) == 0);
    CHECK(S_ISDIR(b.st_mode));
    CHECK_ERR(sysp(SYS_renameat2, AT_FDCWD, "a", AT_FDCWD, "nothing", 2u), ENOENT);
    CHECK_ERR(sysp(SYS_renameat2, AT_FDCWD, "a", AT_FDCWD, "d", 3u), EINVAL);
    CHECK_ERR(sysp(SYS_renameat2, AT_FDCWD, "a", AT_FDCWD, "d", 0x100u), EINVAL);
    CHECK_EQ(sysp(SYS_renameat2, AT_FDCWD, "a", AT_FDCWD, "new", 1u), 0);
}

TEST(sticky_directory)
{
    if (getuid() != 0)
        SKIP("needs root");
    test_tmpdir();
    CHECK(chmod(".", 01777) == 0);
    touch("roots");
    REQUIRE(seteuid(65534) == 0);
    CHECK_ERR(unlink("roots"), EPERM);
    CHECK_ERR(rename("roots", "mine"), EPERM);
    touch("own");
    CHECK_EQ(unlink("own"), 0);
    REQUIRE(seteuid(0) == 0);
}

GUEST_TEST_MAIN
