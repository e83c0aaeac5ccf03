/* SPDX-License-Identifier: Apache-2.0 */
/* madvise(2), process_madvise(2), mincore(2), msync(2), mlock(2) and friends, mseal(2). */
#include "tests/support/guest_test.h"

#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/uio.h>

#define PAGE 4096ul
#define RW   (PROT_READ | PROT_WRITE)

static char *anon(size_t pages, int how)
{
    return mmap(NULL, pages * PAGE, RW, MAP_ANONYMOUS | how, -1, 0);
}

TEST(madvise_errors)
{
    char *p = anon(3, MAP_PRIVATE), *s = anon(1, MAP_SHARED);

    munmap(p + PAGE, PAGE);
    CHECK_ERR(sysp(SYS_madvise, p, PAGE, 1234), EINVAL);
    CHECK_ERR(sysp(SYS_madvise, p + 1, PAGE, MADV_NORMAL), EINVAL);
    CHECK_EQ(sysp(SYS_madvise, p, 0L, MADV_NORMAL), 0);
    CHECK_ERR(sysp(SYS_madvise, p, -1L, MADV_NORMAL), EINVAL);
    CHECK_ERR(sysp(SYS_madvise, p, 3 * PAGE, MADV_NORMAL), ENOMEM);
    CHECK_ERR(sysp(SYS_madvise, s, PAGE, MADV_WIPEONFORK), EINVAL);
    CHECK_ERR(sysp(SYS_madvise, s, PAGE, MADV_FREE), EINVAL);
    CHECK_ERR(sysp(SYS_madvise, p, PAGE, MADV_REMOVE), EINVAL);
    /* A gap does not stop it. */
    p[0] = p[2 * PAGE] = 1;
    CHECK_ERR(sysp(SYS_madvise, p, 3 * PAGE, MADV_DONTNEED), ENOMEM);
    CHECK_EQ(p[0], 0);
    CHECK_EQ(p[2 * PAGE], 0);
}

TEST(discard)
{
    char *p = anon(4, MAP_PRIVATE), *s = anon(4, MAP_SHARED), path[100], *f;
    int fd;

    memset(p, 1, 4 * PAGE);
    CHECK_EQ(madvise(p + PAGE, PAGE, MADV_DONTNEED), 0);
    CHECK_EQ(p[PAGE - 1], 1);
    CHECK_EQ(p[PAGE], 0);
    CHECK_EQ(p[2 * PAGE], 1);
    memset(s, 2, 4 * PAGE);
    CHECK_EQ(madvise(s, 4 * PAGE, MADV_DONTNEED), 0);
    CHECK_EQ(s[PAGE], 2);
    CHECK_EQ(madvise(s + PAGE, PAGE, MADV_REMOVE), 0);
    CHECK_EQ(s[PAGE], 0);
    CHECK_EQ(s[2 * PAGE], 2);
    snprintf(path, sizeof(path), "%s/f", test_tmpdir());
    fd = open(path, O_CREAT | O_RDWR, 0600);
    REQUIRE(write(fd, "disk", 4) == 4);
    f = mmap(NULL, PAGE, RW, MAP_PRIVATE, fd, 0);
    f[0] = 'X';
    CHECK_EQ(madvise(f, PAGE, MADV_DONTNEED), 0);
    CHECK_EQ(f[0], 'd');
    CHECK_EQ(pwrite(fd, "back", 4, PAGE), 4);
    s = mmap(NULL, 2 * PAGE, RW, MAP_SHARED, fd, 0);
    CHECK_EQ(s[0], 'd');
    if (madvise(s, PAGE, MADV_REMOVE) == 0 || !CHECK(errno == EOPNOTSUPP)) {
        CHECK_EQ(s[0], 0);
        CHECK_EQ(s[PAGE], 'b');
        CHECK_EQ(pread(fd, path, 1, 0), 1);
        CHECK_EQ(path[0], 0);
    }
    CHECK_EQ(lseek(fd, 0, SEEK_END), PAGE + 4);
    CHECK_EQ(madvise(p, 4 * PAGE, MADV_FREE), 0);
    CHECK(p[3 * PAGE] == 0 || p[3 * PAGE] == 1);
    CHECK_EQ(madvise(p, 4 * PAGE, MADV_COLD), 0);
    CHECK_EQ(madvise(p, 4 * PAGE, MADV_PAGEOUT), 0);
    CHECK_EQ(madvise(p, 4 * PAGE, MADV_WILLNEED), 0);
    CHECK_EQ(madvise(p, 4 * PAGE, MADV_HUGEPAGE), 0);
    CHECK_EQ(madvise(p, 4 * PAGE, MADV_DONTDUMP), 0);
    CHECK_EQ(madvise(p, 4 * PAGE, MADV_DODUMP), 0);
}

TEST(populate)
{
    char *p = anon(8, MAP_PRIVATE);
    unsigned char vec[8];
    long ret = sysp(SYS_madvise, p, 4 * PAGE, 23); /* MADV_POPULATE_WRITE */

    if (ret == -EINVAL)
        SKIP("a kernel before 5.14");
    CHECK_EQ(ret, 0);
    CHECK_EQ(mincore(p, 4 * PAGE, vec), 0);
    CHECK(vec[0] & vec[1] & vec[2] & vec[3] & 1);
    mprotect(p, PAGE, PROT_READ);
    CHECK_ERR(sysp(SYS_madvise, p, PAGE, 23), EINVAL);
    CHECK_EQ(sysp(SYS_madvise, p, PAGE, 22), 0);
    mprotect(p, PAGE, PROT_NONE);
    CHECK_ERR(sysp(SYS_madvise, p, PAGE, 22), EINVAL);
    munmap(p + 7 * PAGE, PAGE);
    CHECK_ERR(sysp(SYS_madvise, p + PAGE, 7 * PAGE, 22), ENOMEM);
}

TEST(mincore_errors)
{
    char *p = anon(3, MAP_PRIVATE);
    unsigned char vec[3];

    munmap(p + 2 * PAGE, PAGE);
    CHECK_ERR(sys(SYS_mincore, p + 1, PAGE, vec), EINVAL);
    CHECK_ERR(sys(SYS_mincore, p, 3 * PAGE, vec), ENOMEM);
    CHECK_ERR(sys(SYS_mincore, p, -1L, vec), ENOMEM);
    CHECK_ERR(sys(SYS_mincore, p, PAGE, BAD_PTR), EFAULT);
    CHECK_EQ(sys(SYS_mincore, p, 0L, vec), 0);
    p[PAGE] = 1;
    CHECK_EQ(sys(SYS_mincore, p, 2 * PAGE, vec), 0);
    CHECK_EQ(vec[1] & 1, 1);
}

TEST(msync_errors)
{
    char *p = anon(3, MAP_SHARED);

    munmap(p + PAGE, PAGE);
    CHECK_ERR(sysp(SYS_msync, p, PAGE, MS_ASYNC | MS_SYNC), EINVAL);
    CHECK_ERR(sysp(SYS_msync, p, PAGE, 8), EINVAL);
    CHECK_ERR(sysp(SYS_msync, p + 1, PAGE, MS_SYNC), EINVAL);
    CHECK_EQ(sysp(SYS_msync, p, PAGE, MS_SYNC), 0);
    CHECK_EQ(sysp(SYS_msync, p, 0L, MS_SYNC), 0);
    CHECK_ERR(sysp(SYS_msync, p, 3 * PAGE, MS_ASYNC), ENOMEM);
    CHECK_EQ(mlock(p, PAGE), 0);
    CHECK_ERR(sysp(SYS_msync, p, PAGE, MS_INVALIDATE), EBUSY);
}

TEST(locking)
{
    char *p = anon(4, MAP_PRIVATE);
    unsigned char vec[4];

    CHECK_EQ(sys(SYS_mlock, p + 5, PAGE), 0);
    CHECK_EQ(mincore(p, 2 * PAGE, vec), 0);
    CHECK(vec[0] & vec[1] & 1);
    CHECK_ERR(sysp(SYS_madvise, p, PAGE, MADV_DONTNEED), EINVAL);
    CHECK_EQ(sys(SYS_munlock, p, 2 * PAGE), 0);
    CHECK_EQ(sysp(SYS_madvise, p, PAGE, MADV_DONTNEED), 0);
    CHECK_ERR(sysp(SYS_mlock2, p, PAGE, 2), EINVAL);
    CHECK_EQ(sysp(SYS_mlock2, p, PAGE, 1), 0);
    munmap(p + 2 * PAGE, PAGE);
    CHECK_ERR(sys(SYS_mlock, p, 4 * PAGE), ENOMEM);
    CHECK_ERR(sysp(SYS_mlockall, 0), EINVAL);
    CHECK_ERR(sysp(SYS_mlockall, 4), EINVAL);
    CHECK_ERR(sysp(SYS_mlockall, 64), EINVAL);
    CHECK_EQ(sys(SYS_munlockall), 0);
    CHECK_ERR(sysp(SYS_msync, p, PAGE, MS_INVALIDATE), 0);
}

static void without_capability(void)
{
    struct rlimit lim = {0, 0};
    char *p = anon(40, MAP_PRIVATE);

    if (geteuid() == 0 && setuid(65534) != 0)
        return;
    lim.rlim_cur = lim.rlim_max = 16 * PAGE;
    CHECK_EQ(setrlimit(RLIMIT_MEMLOCK, &lim), 0);
    CHECK_EQ(sys(SYS_mlock, p, 16 * PAGE), 0);
    CHECK_EQ(sys(SYS_mlock, p, 16 * PAGE), 0);
    CHECK_ERR(sys(SYS_mlock, p + 20 * PAGE, PAGE), ENOMEM);
    CHECK_ERR(sys(SYS_mmap, NULL, PAGE, (long)RW, (long)(MAP_PRIVATE | MAP_ANONYMOUS | MAP_LOCKED),
                  -1L, 0L),
              EAGAIN);
    CHECK_EQ(sys(SYS_munlock, p, 16 * PAGE), 0);
    lim.rlim_cur = lim.rlim_max = 0;
    CHECK_EQ(setrlimit(RLIMIT_MEMLOCK, &lim), 0);
    CHECK_ERR(sys(SYS_mlock, p, PAGE), EPERM);
    CHECK_ERR(sysp(SYS_mlockall, MCL_CURRENT), EPERM);
}

TEST(lock_limits)
{
    CHECK_EQ(test_in_child(without_capability), 0);
}

TEST(seal)
{
    char *p = anon(3, MAP_PRIVATE);
    long ret = sys(462, p, PAGE, 0L);

    if (ret == -ENOSYS)
        SKIP("a kernel before 6.10");
    CHECK_EQ(ret, 0);
    CHECK_ERR(sys(462, p, PAGE, 1L), EINVAL);
    CHECK_ERR(sys(462, p + 1, PAGE, 0L), EINVAL);
    CHECK_ERR(sys(SYS_munmap, p, 2 * PAGE), EPERM);
    CHECK_ERR(sys(SYS_mprotect, p, PAGE, (long)PROT_READ), EPERM);
    CHECK_ERR(sys(SYS_mremap, p, PAGE, 2 * PAGE, (long)MREMAP_MAYMOVE, NULL), EPERM);
    p[0] = 1;
    CHECK_EQ(sys(SYS_munmap, p + PAGE, PAGE), 0);
}

TEST(process_madvise_checks)
{
    char *p = anon(2, MAP_PRIVATE);
    struct iovec v = {p, 2 * PAGE};
    int fd = (int)sysp(434, getpid(), 0); /* pidfd_open */

    if (fd < 0)
        SKIP("no pidfd_open");
    CHECK_EQ(sysp(440, fd, &v, (size_t)1, MADV_COLD, 0u), 2 * PAGE);
    CHECK_ERR(sysp(440, fd, &v, (size_t)1, MADV_COLD, 1u), EINVAL);
    CHECK_ERR(sysp(440, 999, &v, (size_t)1, MADV_COLD, 0u), EBADF);
    CHECK_ERR(sysp(440, 0, &v, (size_t)1, MADV_COLD, 0u), EBADF);
    close(fd);
}

GUEST_TEST_MAIN
