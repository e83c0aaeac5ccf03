/* SPDX-License-Identifier: Apache-2.0 */
/* setxattr, getxattr, listxattr, removexattr and their l- and f- forms. */
#include <sys/xattr.h>

#include "tests/support/guest_test.h"

static int g_fd;

static bool set_up(void)
{
    test_tmpdir();
    g_fd = open("f", O_CREAT | O_RDWR, 0600);
    return g_fd >= 0 && sysp(SYS_setxattr, "f", "user.a", "value", (size_t)5, 0) != -EOPNOTSUPP;
}

TEST(set_get_list_remove)
{
    char buf[100];
    long n;

    if (!set_up())
        SKIP("file system without user attributes");
    CHECK_EQ(sysp(SYS_getxattr, "f", "user.a", NULL, (size_t)0), 5);
    CHECK_EQ(sysp(SYS_getxattr, "f", "user.a", buf, (size_t)100), 5);
    CHECK(memcmp(buf, "value", 5) == 0);
    CHECK_ERR(sysp(SYS_getxattr, "f", "user.a", buf, (size_t)4), ERANGE);
    CHECK_EQ(sysp(SYS_fsetxattr, g_fd, "user.b", "", (size_t)0, 0), 0);
    CHECK_EQ(sysp(SYS_fgetxattr, g_fd, "user.b", buf, (size_t)100), 0);
    n = sysp(SYS_listxattr, "f", buf, (size_t)100);
    CHECK_EQ(n, 14);
    CHECK(memmem(buf, 14, "user.a", 7) && memmem(buf, 14, "user.b", 7));
    CHECK_EQ(sysp(SYS_flistxattr, g_fd, NULL, (size_t)0), 14);
    CHECK_EQ(sysp(SYS_llistxattr, "f", buf, (size_t)100), 14);
    CHECK_ERR(sysp(SYS_listxattr, "f", buf, (size_t)3), ERANGE);
    CHECK_EQ(sysp(SYS_removexattr, "f", "user.a"), 0);
    CHECK_ERR(sysp(SYS_removexattr, "f", "user.a"), ENODATA);
    CHECK_EQ(sysp(SYS_fremovexattr, g_fd, "user.b"), 0);
    CHECK_EQ(sysp(SYS_lsetxattr, "f", "user.c", "1", (size_t)1, 0), 0);
    CHECK_EQ(sysp(SYS_lgetxattr, "f", "user.c", buf, (size_t)10), 1);
    CHECK_EQ(sysp(SYS_lremovexattr, "f", "user.c"), 0);
    CHECK_EQ(sysp(SYS_listxattr, "f", buf, (size_t)100), 0);
    close(g_fd);
}

TEST(flags_and_errors)
{
    char name[300], buf[10];

    if (!set_up())
        SKIP("file system without user attributes");
    CHECK_ERR(sysp(SYS_setxattr, "f", "user.a", "x", (size_t)1, XATTR_CREATE), EEXIST);
    CHECK_ERR(sysp(SYS_setxattr, "f", "user.b", "x", (size_t)1, XATTR_REPLACE), ENODATA);
    CHECK_ERR(sysp(SYS_setxattr, "f", "user.b", "x", (size_t)1, 4), EINVAL);
    CHECK_ERR(sysp(SYS_setxattr, "f", "nothing.b", "x", (size_t)1, 0), EOPNOTSUPP);
    CHECK_ERR(sysp(SYS_setxattr, "f", "user.b", "x", (size_t)70000, 0), E2BIG);
    CHECK_ERR(sysp(SYS_setxattr, "f", "", "x", (size_t)1, 0), ERANGE);
    memset(name, 'n', sizeof(name));
    memcpy(name, "user.", 5);
    name[256] = '\0';
    CHECK_ERR(sysp(SYS_setxattr, "f", name, "x", (size_t)1, 0), ERANGE);
    CHECK_ERR(sysp(SYS_getxattr, "f", "user.none", buf, (size_t)10), ENODATA);
    CHECK_ERR(sysp(SYS_getxattr, "nothing", "user.a", buf, (size_t)10), ENOENT);
    CHECK_ERR(sysp(SYS_getxattr, "f", BAD_PTR, buf, (size_t)10), EFAULT);
    CHECK_ERR(sysp(SYS_fgetxattr, 9999, "user.a", buf, (size_t)10), EBADF);
    CHECK(symlink("f", "s") == 0);
    CHECK_ERR(sysp(SYS_lsetxattr, "s", "user.x", "x", (size_t)1, 0), EPERM);
    CHECK_EQ(sysp(SYS_getxattr, "s", "user.a", buf, (size_t)10), 5);
    close(g_fd);
}

GUEST_TEST_MAIN
