/* SPDX-License-Identifier: Apache-2.0 */
/* setxattrat(2), getxattrat(2), listxattrat(2), removexattrat(2): Linux 6.13. */
#include "tests/support/guest_test.h"

#define SETXATTRAT    463
#define GETXATTRAT    464
#define LISTXATTRAT   465
#define REMOVEXATTRAT 466

struct args {
    uint64_t value;
    uint32_t size, flags;
};

static long set_at(int dfd, const char *path, unsigned at, const char *name, struct args *a)
{
    return sysp(SETXATTRAT, dfd, path, at, name, a, sizeof(*a));
}

TEST(set_get_list_remove)
{
    char value[8] = "one", got[16] = "", list[64];
    struct args a = {(uintptr_t)value, 3, 0}, g = {(uintptr_t)got, sizeof(got), 0};
    int dir, fd;

    test_tmpdir();
    CHECK_EQ(mkdir("d", 0700), 0);
    CHECK((fd = open("d/f", O_CREAT | O_RDWR, 0600)) >= 0);
    CHECK_EQ(symlink("d/f", "link"), 0);
    CHECK((dir = open("d", O_RDONLY | O_DIRECTORY)) >= 0);
    if (set_at(dir, "f", 0, "user.x", &a) == -ENOSYS)
        SKIP_ON_HOST("before Linux 6.13");
    CHECK_EQ(set_at(dir, "f", 0, "user.x", &a), 0);
    CHECK_EQ(sysp(GETXATTRAT, AT_FDCWD, "link", 0u, "user.x", &g, sizeof(g)), 3);
    CHECK_STR(got, "one");
    a.flags = 1; /* XATTR_CREATE */
    CHECK_ERR(set_at(fd, "", AT_EMPTY_PATH, "user.x", &a), EEXIST);
    a.flags = 0;
    CHECK_EQ(set_at(fd, "", AT_EMPTY_PATH, "user.y", &a), 0);
    CHECK_EQ(set_at(fd, NULL, AT_EMPTY_PATH, "user.z", &a), 0);
    CHECK_EQ(sysp(LISTXATTRAT, dir, "f", 0u, list, sizeof(list)), 21);
    CHECK_EQ(sysp(REMOVEXATTRAT, dir, "f", 0u, "user.x"), 0);
    CHECK_ERR(sysp(GETXATTRAT, dir, "f", 0u, "user.x", &g, sizeof(g)), ENODATA);
    CHECK_ERR(set_at(AT_FDCWD, "link", AT_SYMLINK_NOFOLLOW, "user.x", &a), EPERM);
    close(dir);
    close(fd);
}

TEST(order_of_errors)
{
    char value[8] = "one";
    struct args a = {(uintptr_t)value, 3, 0}, bad = {(uintptr_t)BAD_PTR, 3, 0};
    int fd;

    test_tmpdir();
    if (sysp(LISTXATTRAT, AT_FDCWD, "none", 0u, NULL, (size_t)0) == -ENOSYS)
        SKIP_ON_HOST("before Linux 6.13");
    CHECK_ERR(sysp(SETXATTRAT, -1, "f", 0xffffu, "user.x", BAD_PTR, (size_t)15), EINVAL);
    CHECK_ERR(sysp(SETXATTRAT, -1, "f", 0xffffu, "user.x", BAD_PTR, (size_t)4097), E2BIG);
    CHECK_ERR(sysp(SETXATTRAT, -1, "f", 0xffffu, "user.x", BAD_PTR, (size_t)16), EFAULT);
    CHECK_ERR(set_at(-1, "f", 0xffffu, "user.x", &a), EINVAL);
    a.flags = 4;
    CHECK_ERR(set_at(-1, BAD_PTR, 0, "", &a), EINVAL);
    a.flags = 0;
    CHECK_ERR(set_at(-1, BAD_PTR, 0, "", &a), ERANGE);
    CHECK_ERR(set_at(-1, "f", 0, BAD_PTR, &a), EFAULT);
    a.size = 70000;
    CHECK_ERR(set_at(-1, "f", 0, "user.x", &a), E2BIG);
    a.size = 3;
    CHECK_ERR(set_at(-1, "f", 0, "user.x", &bad), EFAULT);
    CHECK_ERR(set_at(-1, "f", 0, "user.x", &a), EBADF);
    CHECK_ERR(set_at(AT_FDCWD, "", 0, "user.x", &a), ENOENT);
    CHECK_ERR(set_at(AT_FDCWD, "none", 0, "user.x", &a), ENOENT);
    CHECK_ERR(set_at(-1, "", AT_EMPTY_PATH, "user.x", &a), EBADF);
    CHECK_ERR(set_at(-1, NULL, AT_EMPTY_PATH, "user.x", &a), EBADF);
    CHECK_ERR(set_at(AT_FDCWD, NULL, 0, "user.x", &a), EFAULT);
    CHECK((fd = open(".", O_PATH)) >= 0);
    CHECK_ERR(set_at(fd, "", AT_EMPTY_PATH, "user.x", &a), EBADF);
    close(fd);
    a.flags = 1;
    CHECK_ERR(sysp(GETXATTRAT, -1, "f", 0u, "", &a, sizeof(a)), EINVAL);
    CHECK_ERR(sysp(LISTXATTRAT, -1, BAD_PTR, 0x1u, NULL, (size_t)0), EINVAL);
    CHECK_ERR(sysp(REMOVEXATTRAT, -1, BAD_PTR, 0u, ""), ERANGE);
    /* The older calls look at the name first, too. */
    CHECK_ERR(sysp(SYS_setxattr, "none", "user.x", value, (size_t)3, 8), EINVAL);
    CHECK_ERR(sysp(SYS_getxattr, "none", "", value, (size_t)3), ERANGE);
    CHECK_ERR(sysp(SYS_fremovexattr, -1, ""), ERANGE);
}

GUEST_TEST_MAIN
