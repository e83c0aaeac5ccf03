/* SPDX-License-Identifier: Apache-2.0 */
/* cachestat(2), and the argument checks of file_getattr(2) and file_setattr(2). */
#include "tests/support/guest_test.h"

#define CACHESTAT    451
#define FILE_GETATTR 468
#define FILE_SETATTR 469

struct stats {
    uint64_t cache, dirty, writeback, evicted, recent;
};

static long cachestat(int fd, uint64_t off, uint64_t len, struct stats *out)
{
    uint64_t range[2] = {off, len};

    return sysp(CACHESTAT, fd, range, out, 0u);
}

TEST(pages_of_a_file)
{
    struct stats s = {0};
    char page[4096];
    int fd = (int)syscall(SYS_memfd_create, "x", 0);

    REQUIRE(fd >= 0);
    if (cachestat(fd, 0, 0, &s) == -ENOSYS)
        SKIP_ON_HOST("before Linux 6.5");
    memset(page, 1, sizeof(page));
    for (int i = 0; i < 4; i++)
        CHECK_EQ(pwrite(fd, page, sizeof(page), i * 4096), 4096);
    CHECK_EQ(ftruncate(fd, 100 << 20), 0);
    CHECK_EQ(cachestat(fd, 0, 0, &s), 0);
    CHECK_EQ(s.cache, 4);
    CHECK_EQ(s.writeback, 0);
    CHECK_EQ(s.evicted, 0);
    CHECK_EQ(cachestat(fd, 4096, 4097, &s), 0);
    CHECK_EQ(s.cache, 2);
    CHECK_EQ(cachestat(fd, 5 * 4096, 0, &s), 0);
    CHECK_EQ(s.cache, 0);
    CHECK_EQ(cachestat(fd, 3 * 4096, 1UL << 40, &s), 0);
    CHECK_EQ(s.cache, 1);
    close(fd);
}

TEST(order_of_errors)
{
    uint64_t range[2] = {0, 0};
    struct stats s;
    int fd = (int)syscall(SYS_memfd_create, "x", 0);

    if (cachestat(fd, 0, 0, &s) == -ENOSYS)
        SKIP_ON_HOST("before Linux 6.5");
    CHECK_ERR(sysp(CACHESTAT, -1, BAD_PTR, &s, 1u), EBADF);
    CHECK_ERR(sysp(CACHESTAT, fd, BAD_PTR, &s, 1u), EFAULT);
    CHECK_ERR(sysp(CACHESTAT, fd, range, BAD_PTR, 1u), EINVAL);
    CHECK_ERR(sysp(CACHESTAT, fd, range, BAD_PTR, 0u), EFAULT);
    close(fd);
}

TEST(file_attributes)
{
    uint64_t attr[3] = {0};

    if (sysp(FILE_GETATTR, -1, "", NULL, (size_t)0, 0u) == -ENOSYS)
        SKIP_ON_HOST("before Linux 6.17");
    CHECK_ERR(sysp(FILE_GETATTR, -1, "x", attr, (size_t)24, 1u), EINVAL);
    CHECK_ERR(sysp(FILE_GETATTR, -1, "x", attr, (size_t)5000, 0u), E2BIG);
    CHECK_ERR(sysp(FILE_GETATTR, -1, "x", attr, (size_t)23, 0u), EINVAL);
    CHECK_ERR(sysp(FILE_GETATTR, -1, BAD_PTR, attr, (size_t)24, 0u), EFAULT);
    CHECK_ERR(sysp(FILE_GETATTR, -1, "x", attr, (size_t)24, 0u), EBADF);
    CHECK_ERR(sysp(FILE_GETATTR, -1, "", attr, (size_t)24, (unsigned)AT_EMPTY_PATH), EBADF);
    CHECK_ERR(sysp(FILE_GETATTR, AT_FDCWD, "/none", attr, (size_t)24, 0u), ENOENT);
    CHECK_ERR(sysp(FILE_GETATTR, AT_FDCWD, "/proc/self/status", attr, (size_t)24, 0u), EOPNOTSUPP);
    CHECK_ERR(sysp(FILE_SETATTR, -1, "x", BAD_PTR, (size_t)24, 1u), EINVAL);
    CHECK_ERR(sysp(FILE_SETATTR, -1, "x", BAD_PTR, (size_t)24, 0u), EFAULT);
    attr[0] = 1UL << 40;
    CHECK_ERR(sysp(FILE_SETATTR, -1, "x", attr, (size_t)24, 0u), EINVAL);
    attr[0] = 0;
    CHECK_ERR(sysp(FILE_SETATTR, -1, "x", attr, (size_t)24, 0u), EBADF);
    CHECK_ERR(sysp(FILE_SETATTR, AT_FDCWD, "/none", attr, (size_t)24, 0u), ENOENT);
}

GUEST_TEST_MAIN
