/* SPDX-License-Identifier: Apache-2.0 */
/* rename(2), renameat2(2), link(2), unlink(2), rmdir(2): results and order of errors. */
#include "tests/support/guest_test.h"

#ifndef RENAME_NOREPLACE
#define RENAME_NOREPLACE 1
#define RENAME_EXCHANGE  2
#endif

static void make(const char *name, const char *text)
{
    int fd = open(name, O_CREAT | O_WRONLY | O_TRUNC, 0644);

    CHECK(fd >= 0);
    CHECK_EQ(write(fd, text, strlen(text)), strlen(text));
    close(fd);
}

static bool holds(const char *name, const char *text)
{
    char buf[64] = "";
    int fd = open(name, O_RDONLY);
    ssize_t n = fd < 0 ? -1 : read(fd, buf, sizeof(buf) - 1);

    if (fd >= 0)
        close(fd);
    return n >= 0 && strcmp(buf, text) == 0;
}

TEST(replace_and_same)
{
    struct stat st;

    test_tmpdir();
    make("a", "a");
    make("b", "b");
    CHECK_EQ(sysp(SYS_rename, "a", "b"), 0);
    CHECK(holds("b", "a"));
    CHECK_ERR(sysp(SYS_rename, "a", "b"), ENOENT);
    CHECK_EQ(sysp(SYS_link, "b", "c"), 0);
    CHECK_EQ(sysp(SYS_rename, "b", "c"), 0); /* same file: nothing happens */
    CHECK_EQ(stat("b", &st), 0);
    CHECK_EQ(st.st_nlink, 2);
    CHECK_EQ(sysp(SYS_rename, "b", "b"), 0);
}

TEST(directories)
{
    struct stat st;

    test_tmpdir();
    CHECK_EQ(mkdir("d", 0755), 0);
    CHECK_EQ(mkdir("e", 0755), 0);
    make("f", "f");
    make("d/x", "x");
    CHECK_ERR(sysp(SYS_rename, "d", "f"), ENOTDIR);
    CHECK_ERR(sysp(SYS_rename, "f", "e"), EISDIR);
    CHECK_ERR(sysp(SYS_rename, "e", "d"), ENOTEMPTY);
    CHECK_ERR(sysp(SYS_rename, "d", "d/sub"), EINVAL);
    CHECK_ERR(sysp(SYS_rename, "d/x", "d"), ENOTEMPTY);
    CHECK_ERR(sysp(SYS_rename, ".", "z"), EBUSY);
    CHECK_ERR(sysp(SYS_rename, "d/..", "z"), EBUSY);
    CHECK_ERR(sysp(SYS_rename, "f", "g/"), ENOTDIR);
    CHECK_ERR(sysp(SYS_rename, "f/", "g"), ENOTDIR);
    CHECK_EQ(sysp(SYS_rename, "d", "e/"), 0);
    CHECK(holds("e/x", "x"));
    CHECK_EQ(mkdir("p", 0755), 0);
    CHECK_EQ(sysp(SYS_rename, "e", "p/e"), 0);
    CHECK_EQ(stat("p/e/..", &st), 0);
    ino_t ino = st.st_ino;
    CHECK_EQ(stat("p", &st), 0);
    CHECK_EQ(st.st_ino, ino);
}

TEST(flags)
{
    test_tmpdir();
    make("a", "a");
    make("b", "b");
    CHECK_ERR(sysp(SYS_renameat2, AT_FDCWD, "a", AT_FDCWD, "b", RENAME_NOREPLACE), EEXIST);
    CHECK_EQ(sysp(SYS_renameat2, AT_FDCWD, "a", AT_FDCWD, "b", RENAME_EXCHANGE), 0);
    CHECK(holds("a", "b"));
    CHECK(holds("b", "a"));
    CHECK_ERR(sysp(SYS_renameat2, AT_FDCWD, "a", AT_FDCWD, "none", RENAME_EXCHANGE), ENOENT);
    CHECK_ERR(sysp(SYS_renameat2, AT_FDCWD, "a", AT_FDCWD, "b", 3), EINVAL);
    CHECK_ERR(sysp(SYS_renameat2, AT_FDCWD, "a", AT_FDCWD, "b", 0x80), EINVAL);
    CHECK_EQ(mkdir("d", 0755), 0);
    make("d/in", "in");
    CHECK_EQ(sysp(SYS_renameat2, AT_FDCWD, "d", AT_FDCWD, "a", RENAME_EXCHANGE), 0);
    CHECK(holds("a/in", "in"));
    CHECK(holds("d", "b"));
}

TEST(links)
{
    char buf[16];
    struct stat st;

    test_tmpdir();
    make("a", "a");
    CHECK_EQ(mkdir("d", 0755), 0);
    CHECK_ERR(sysp(SYS_link, "d", "e"), EPERM);
    CHECK_ERR(sysp(SYS_link, "a", "d"), EEXIST);
    CHECK_ERR(sysp(SYS_link, "a", "none/x"), ENOENT);
    CHECK_ERR(sysp(SYS_link, "a", "x/"), ENOENT);
    CHECK_EQ(symlink("a", "s"), 0);
    CHECK_EQ(sysp(SYS_linkat, AT_FDCWD, "s", AT_FDCWD, "s2", 0), 0);
    CHECK_EQ(lstat("s2", &st), 0);
    CHECK(S_ISLNK(st.st_mode));
    CHECK_EQ(sysp(SYS_linkat, AT_FDCWD, "s", AT_FDCWD, "a2", AT_SYMLINK_FOLLOW), 0);
    CHECK_EQ(lstat("a2", &st), 0);
    CHECK(S_ISREG(st.st_mode));
    CHECK_EQ(st.st_nlink, 2);
    CHECK_EQ(sysp(SYS_readlink, "s", buf, (int)sizeof(buf)), 1);
    CHECK_ERR(sysp(SYS_readlink, "a", buf, (int)sizeof(buf)), EINVAL);
    CHECK_ERR(sysp(SYS_readlink, "s", buf, 0), EINVAL);
    CHECK_ERR(sysp(SYS_symlink, "", "t"), ENOENT);
    CHECK_ERR(sysp(SYS_symlink, "x", "s"), EEXIST);
    CHECK_ERR(sysp(SYS_linkat, AT_FDCWD, "a", AT_FDCWD, "q", 0x8000), EINVAL);
}

TEST(removal)
{
    test_tmpdir();
    make("a", "a");
    CHECK_EQ(mkdir("d", 0755), 0);
    CHECK_EQ(mkdir("d/e", 0755), 0);
    CHECK_ERR(sysp(SYS_unlink, "d"), EISDIR);
    CHECK_ERR(sysp(SYS_unlink, "a/"), ENOTDIR);
    CHECK_ERR(sysp(SYS_rmdir, "a"), ENOTDIR);
    CHECK_ERR(sysp(SYS_rmdir, "d"), ENOTEMPTY);
    CHECK_ERR(sysp(SYS_rmdir, "d/e/."), EINVAL);
    CHECK_ERR(sysp(SYS_rmdir, "d/e/.."), ENOTEMPTY);
    CHECK_ERR(sysp(SYS_rmdir, "/"), EBUSY);
    CHECK_ERR(sysp(SYS_unlinkat, AT_FDCWD, "a", 1), EINVAL);
    CHECK_ERR(sysp(SYS_unlink, "none"), ENOENT);
    CHECK_EQ(sysp(SYS_rmdir, "d/e/"), 0);
    CHECK_EQ(sysp(SYS_unlinkat, AT_FDCWD, "d", AT_REMOVEDIR), 0);
    CHECK_ERR(sysp(SYS_unlink, BAD_PTR), EFAULT);
}

TEST(removed_directory)
{
    char buf[256];
    int fd;

    test_tmpdir();
    CHECK_EQ(mkdir("d", 0755), 0);
    fd = open("d", O_RDONLY | O_DIRECTORY);
    CHECK_EQ(chdir("d"), 0);
    CHECK_EQ(rmdir("../d"), 0);
    CHECK_ERR(sysp(SYS_getcwd, buf, sizeof(buf)), ENOENT);
    CHECK_ERR(sysp(SYS_open, "x", O_CREAT | O_RDWR, 0644), ENOENT);
    CHECK_ERR(sysp(SYS_mkdirat, fd, "y", 0755), ENOENT);
    CHECK_ERR(sysp(SYS_getdents64, fd, buf, (unsigned)sizeof(buf)), ENOENT);
    close(fd);
    CHECK_EQ(chdir("/"), 0);
}

TEST(names)
{
    char name[300];

    test_tmpdir();
    memset(name, 'n', sizeof(name));
    name[255] = '\0';
    CHECK_EQ(sysp(SYS_mkdir, name, 0755), 0);
    CHECK_EQ(rmdir(name), 0);
    name[255] = 'n';
    name[256] = '\0';
    CHECK_ERR(sysp(SYS_mkdir, name, 0755), ENAMETOOLONG);
    CHECK_ERR(sysp(SYS_open, name, O_CREAT | O_RDWR, 0644), ENAMETOOLONG);
    CHECK_ERR(sysp(SYS_stat, name, &(struct stat){0}), ENAMETOOLONG);
    CHECK_ERR(sysp(SYS_mkdir, "", 0755), ENOENT);
    CHECK_ERR(sysp(SYS_mkdir, ".", 0755), EEXIST);
    CHECK_ERR(sysp(SYS_mkdir, "/", 0755), EEXIST);
}

GUEST_TEST_MAIN
