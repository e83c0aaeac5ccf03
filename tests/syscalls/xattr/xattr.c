/* SPDX-License-Identifier: Apache-2.0 */
/* xattr(7): set, get, list, remove; sizes and errors. */
#include <sys/xattr.h>

#include "tests/support/guest_test.h"

TEST(user_attributes)
{
    char buf[64];
    int fd;

    test_tmpdir();
    fd = open("f", O_CREAT | O_RDWR, 0644);
    if (sysp(SYS_setxattr, "f", "user.a", "1234", (size_t)4, 0) == -EOPNOTSUPP)
        SKIP("no user attributes here");
    CHECK_EQ(sysp(SYS_getxattr, "f", "user.a", buf, sizeof(buf)), 4);
    CHECK_EQ(sysp(SYS_getxattr, "f", "user.a", NULL, (size_t)0), 4);
    CHECK_ERR(sysp(SYS_getxattr, "f", "user.a", buf, (size_t)3), ERANGE);
    CHECK_ERR(sysp(SYS_getxattr, "f", "user.b", buf, sizeof(buf)), ENODATA);
    CHECK_ERR(sysp(SYS_setxattr, "f", "user.a", "x", (size_t)1, XATTR_CREATE), EEXIST);
    CHECK_ERR(sysp(SYS_setxattr, "f", "user.b", "x", (size_t)1, XATTR_REPLACE), ENODATA);
    CHECK_ERR(sysp(SYS_setxattr, "f", "user.b", "x", (size_t)1, 4), EINVAL);
    CHECK_ERR(sysp(SYS_setxattr, "f", "nospace", "x", (size_t)1, 0), EOPNOTSUPP);
    CHECK_ERR(sysp(SYS_setxattr, "f", "", "x", (size_t)1, 0), ERANGE);
    CHECK_ERR(sysp(SYS_setxattr, "f", "user.big", "x", (size_t)65537, 0), E2BIG);
    CHECK_EQ(sysp(SYS_fsetxattr, fd, "user.bb", "", (size_t)0, 0), 0);
    CHECK_EQ(sysp(SYS_flistxattr, fd, NULL, (size_t)0), 7 + 8);
    CHECK_EQ(sysp(SYS_flistxattr, fd, buf, sizeof(buf)), 7 + 8);
    CHECK_ERR(sysp(SYS_flistxattr, fd, buf, (size_t)3), ERANGE);
    CHECK_EQ(sysp(SYS_fremovexattr, fd, "user.a"), 0);
    CHECK_ERR(sysp(SYS_fremovexattr, fd, "user.a"), ENODATA);
    CHECK_ERR(sysp(SYS_fgetxattr, 999, "user.a", buf, sizeof(buf)), EBADF);
    CHECK_EQ(symlink("f", "s"), 0);
    CHECK_EQ(sysp(SYS_getxattr, "s", "user.bb", buf, sizeof(buf)), 0);
    CHECK_ERR(sysp(SYS_lgetxattr, "s", "user.bb", buf, sizeof(buf)), ENODATA);
    CHECK_ERR(sysp(SYS_lsetxattr, "s", "user.bb", "x", (size_t)1, 0), EPERM);
    close(fd);
}

GUEST_TEST_MAIN
