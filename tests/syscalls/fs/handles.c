/* SPDX-License-Identifier: Apache-2.0 */
/* name_to_handle_at(2), open_by_handle_at(2). */
#include "tests/support/guest_test.h"

struct handle {
    uint32_t bytes;
    int32_t type;
    char data[128];
};

static bool privileged(void)
{
    struct handle h = {.bytes = 128};

    return geteuid() == 0 && sysp(SYS_open_by_handle_at, AT_FDCWD, &h, O_RDONLY) != -EPERM;
}

TEST(there_and_back)
{
    struct handle h = {.bytes = 0}, again = {.bytes = 128};
    struct stat a, b;
    int id, other, fd;

    test_tmpdir();
    fd = open("f", O_CREAT | O_RDWR, 0600);
    REQUIRE(fd >= 0 && fstat(fd, &a) == 0);
    CHECK_EQ(write(fd, "text", 4), 4);
    close(fd);
    CHECK_ERR(sysp(SYS_name_to_handle_at, AT_FDCWD, "f", &h, &id, 0), EOVERFLOW);
    CHECK(h.bytes > 0 && h.bytes <= 128);
    REQUIRE(sysp(SYS_name_to_handle_at, AT_FDCWD, "f", &h, &id, 0) == 0);
    CHECK_EQ(sysp(SYS_name_to_handle_at, AT_FDCWD, "./f", &again, &other, 0), 0);
    CHECK_EQ(id, other);
    CHECK(h.bytes == again.bytes && h.type == again.type && !memcmp(h.data, again.data, h.bytes));
    if (!privileged())
        return;
    fd = (int)sysp(SYS_open_by_handle_at, AT_FDCWD, &h, O_RDONLY);
    REQUIRE(fd >= 0);
    CHECK_EQ(fstat(fd, &b), 0);
    CHECK(a.st_ino == b.st_ino && b.st_size == 4);
    close(fd);
    CHECK_EQ(unlink("f"), 0);
    CHECK_ERR(sysp(SYS_open_by_handle_at, AT_FDCWD, &h, O_RDONLY), ESTALE);
}

static void as_nobody(void)
{
    struct handle h = {.bytes = 8, .type = 1};

    if (geteuid() == 0 && setresuid(1, 1, 1))
        return;
    CHECK_ERR(sysp(SYS_open_by_handle_at, -1, BAD_PTR, 0), EFAULT);
    CHECK_ERR(sysp(SYS_open_by_handle_at, -1, &h, 0), EBADF);
    CHECK_ERR(sysp(SYS_open_by_handle_at, AT_FDCWD, &h, 0), EPERM);
    h.bytes = 129;
    CHECK_ERR(sysp(SYS_open_by_handle_at, -1, &h, 0), EINVAL);
    h.bytes = 0;
    CHECK_ERR(sysp(SYS_open_by_handle_at, -1, &h, 0), EINVAL);
}

TEST(order_of_errors)
{
    CHECK_EQ(test_in_child(as_nobody), 0);
}

GUEST_TEST_MAIN
