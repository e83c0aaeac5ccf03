/* SPDX-License-Identifier: Apache-2.0 */
/* mmap(2), munmap(2), brk(2): errors in Linux's order, placement, files, sharing. */
#include "tests/support/guest_test.h"

#include <sys/mman.h>
#include <sys/resource.h>

#define PAGE 4096ul
#define ANON (MAP_PRIVATE | MAP_ANONYMOUS)
#define RW   (PROT_READ | PROT_WRITE)
#define MFR  0x100000 /* MAP_FIXED_NOREPLACE */

static long map(void *addr, size_t len, long prot, long flags, int fd, long off)
{
    return sys(SYS_mmap, addr, len, prot, flags, fd, off);
}

TEST(errors)
{
    int fd = open("/proc/self/exe", O_RDONLY), wr;
    char path[100];

    CHECK_ERR(map(NULL, 0, RW, ANON, -1, 0), EINVAL);
    CHECK_ERR(map(NULL, -1ul, RW, ANON, -1, 0), ENOMEM);
    CHECK_ERR(map(NULL, 1ul << 47, RW, ANON, -1, 0), ENOMEM);
    CHECK_ERR(map(NULL, PAGE, RW, MAP_ANONYMOUS, -1, 0), EINVAL);
    CHECK_ERR(map(NULL, PAGE, RW, MAP_PRIVATE, 77, 0), EBADF);
    CHECK_ERR(map(NULL, PAGE, RW, MAP_PRIVATE, 77, 5), EINVAL);
    CHECK_ERR(map(NULL, 0, RW, MAP_PRIVATE, 77, 0), EBADF);
    CHECK_ERR(map(NULL, 0, RW, MAP_PRIVATE, fd, 0), EINVAL);
    CHECK_ERR(map(NULL, PAGE, RW, MAP_SHARED, fd, 0), EACCES);
    CHECK_ERR(map(NULL, PAGE, PROT_READ, 0, fd, 0), EINVAL);
    CHECK_ERR(map((void *)0x100001, PAGE, RW, ANON | MAP_FIXED, -1, 0), EINVAL);
    CHECK_ERR(map((void *)(1ul << 47), PAGE, RW, ANON | MAP_FIXED, -1, 0), ENOMEM);
    CHECK_ERR(map(NULL, PAGE, RW, MAP_SHARED | MAP_ANONYMOUS | MAP_GROWSDOWN, -1, 0), EINVAL);
    CHECK_ERR(map(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_GROWSDOWN, fd, 0), EINVAL);
    CHECK_ERR(map(NULL, PAGE, RW, MAP_PRIVATE, fd, (long)(1ul << 63)), EOVERFLOW);
    close(fd);
    fd = open("/", O_RDONLY);
    CHECK_ERR(map(NULL, PAGE, PROT_READ, MAP_PRIVATE, fd, 0), ENODEV);
    close(fd);
    snprintf(path, sizeof(path), "%s/w", test_tmpdir());
    wr = open(path, O_CREAT | O_WRONLY, 0600);
    CHECK_ERR(map(NULL, PAGE, PROT_READ, MAP_PRIVATE, wr, 0), EACCES);
    CHECK_ERR(map(NULL, PAGE, PROT_WRITE, MAP_SHARED, wr, 0), EACCES);
    close(wr);
    CHECK_ERR(sys(SYS_munmap, 0x1001L, PAGE), EINVAL);
    CHECK_ERR(sys(SYS_munmap, 0x10000L, 0L), EINVAL);
    CHECK_ERR(sys(SYS_munmap, 1l << 62, PAGE), EINVAL);
    CHECK_EQ(sys(SYS_munmap, 0x10000L, PAGE), 0);
}

TEST(placement)
{
    long a = map(NULL, 8 * PAGE, RW, ANON, -1, 0), b;

    REQUIRE(a > 0);
    memset((void *)a, 1, 8 * PAGE);
    CHECK_ERR(map((void *)(a + PAGE), PAGE, RW, ANON | MFR, -1, 0), EEXIST);
    CHECK_EQ(sys(SYS_munmap, a + 2 * PAGE, 2 * PAGE), 0);
    CHECK_EQ(map((void *)(a + 2 * PAGE), PAGE, RW, ANON | MFR, -1, 0), a + 2 * PAGE);
    CHECK_EQ(*(char *)(a + 2 * PAGE), 0);
    CHECK_EQ(*(char *)(a + PAGE), 1);
    /* A hint that is free is taken, one that is not is ignored. */
    CHECK_EQ(map((void *)(a + 3 * PAGE), PAGE, RW, ANON, -1, 0), a + 3 * PAGE);
    b = map((void *)(a + 3 * PAGE), PAGE, RW, ANON, -1, 0);
    CHECK(b > 0 && b != a + 3 * (long)PAGE);
    /* MAP_FIXED replaces. */
    CHECK_EQ(map((void *)a, PAGE, RW, ANON | MAP_FIXED, -1, 0), a);
    CHECK_EQ(*(char *)a, 0);
    b = map(NULL, PAGE, RW, ANON | MAP_32BIT, -1, 0);
    CHECK(b > 0 && b < 0x80000000l);
    CHECK_ERR(map(NULL, PAGE, RW, ANON | MAP_HUGETLB | (5 << 26), -1, 0), EINVAL);
}

static char g_path[128];

static int make_file(size_t pages)
{
    int fd;

    snprintf(g_path, sizeof(g_path), "%s/file", test_tmpdir());
    fd = open(g_path, O_CREAT | O_RDWR | O_TRUNC, 0600);
    for (size_t i = 0; i < pages; i++) {
        char c = (char)('a' + i);

        if (pwrite(fd, &c, 1, (off_t)(i * PAGE)) != 1)
            return -1;
    }
    if (ftruncate(fd, (off_t)(pages * PAGE)))
        return -1;
    return fd;
}

TEST(file_shared_and_private)
{
    int fd = make_file(4);
    char *s, *p, c;

    REQUIRE(fd >= 0);
    s = (char *)map(NULL, 4 * PAGE, RW, MAP_SHARED, fd, 0);
    p = (char *)map(NULL, 3 * PAGE, RW, MAP_PRIVATE, fd, PAGE);
    REQUIRE((long)s > 0 && (long)p > 0);
    CHECK_EQ(s[0], 'a');
    CHECK_EQ(s[3 * PAGE], 'd');
    CHECK_EQ(p[0], 'b');
    s[PAGE] = 'X';
    CHECK_EQ(p[0], 'X');
    p[0] = 'Y';
    CHECK_EQ(s[PAGE], 'X');
    CHECK_EQ(pread(fd, &c, 1, PAGE), 1);
    CHECK_EQ(c, 'X');
    CHECK_EQ(pwrite(fd, "Z", 1, 2 * PAGE), 1);
    CHECK_EQ(s[2 * PAGE], 'Z');
    CHECK_EQ(p[PAGE], 'Z');
    CHECK_EQ(msync(s, 4 * PAGE, MS_SYNC), 0);
    /* A system call reads and writes through the mapping. */
    CHECK_EQ(pread(fd, s + 10, 5, PAGE), 5);
    CHECK_EQ(s[10], 'X');
    CHECK_EQ(write(fd, p, 1), 1);
    CHECK_EQ(s[0], 'Y');
    CHECK_EQ(munmap(s, 4 * PAGE), 0);
    CHECK_EQ(p[PAGE], 'Z');
    munmap(p, 3 * PAGE);
    close(fd);
}

TEST(read_only_file_keeps_writers_out)
{
    int fd = make_file(1), ro;
    char *s;

    ro = open(g_path, O_RDONLY);
    close(fd);
    s = (char *)map(NULL, PAGE, PROT_READ, MAP_SHARED, ro, 0);
    REQUIRE((long)s > 0);
    CHECK_ERR(sys(SYS_mprotect, s, PAGE, (long)RW), EACCES);
    munmap(s, PAGE);
    s = (char *)map(NULL, PAGE, PROT_READ, MAP_PRIVATE, ro, 0);
    CHECK_EQ(sys(SYS_mprotect, s, PAGE, (long)RW), 0);
    s[0] = 'q';
    munmap(s, PAGE);
    close(ro);
}

TEST(shared_anonymous_is_shared_with_children)
{
    volatile int *p = (int *)map(NULL, 3 * PAGE, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pid_t pid;

    REQUIRE((long)p > 0);
    p[0] = 1;
    pid = fork();
    if (pid == 0) {
        p[0]++;
        p[1024] = 7;
        _exit(0);
    }
    waitpid(pid, NULL, 0);
    CHECK_EQ(p[0], 2);
    CHECK_EQ(p[1024], 7);
    CHECK_EQ(p[2048], 0);
}

TEST(limits)
{
    struct rlimit old, lim;
    long a;

    getrlimit(RLIMIT_AS, &old);
    lim = old;
    lim.rlim_cur = 256ul << 20;
    REQUIRE(setrlimit(RLIMIT_AS, &lim) == 0);
    CHECK_ERR(map(NULL, 300ul << 20, RW, ANON, -1, 0), ENOMEM);
    a = map(NULL, 1ul << 20, RW, ANON, -1, 0);
    CHECK(a > 0);
    setrlimit(RLIMIT_AS, &old);
    getrlimit(RLIMIT_DATA, &old);
    lim = old;
    lim.rlim_cur = 64ul << 20;
    setrlimit(RLIMIT_DATA, &lim);
    CHECK_ERR(map(NULL, 100ul << 20, RW, ANON, -1, 0), ENOMEM);
    CHECK(map(NULL, 100ul << 20, PROT_READ, ANON, -1, 0) > 0);
    CHECK(map(NULL, 100ul << 20, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0) > 0);
    setrlimit(RLIMIT_DATA, &old);
}

TEST(brk_grows_and_shrinks)
{
    long start = sys(SYS_brk, 0L), end;

    end = sys(SYS_brk, start + 3 * PAGE + 5);
    REQUIRE(end == start + 3 * (long)PAGE + 5);
    memset((void *)start, 7, 3 * PAGE);
    CHECK_EQ(sys(SYS_brk, start + PAGE), start + PAGE);
    CHECK_EQ(sys(SYS_brk, start + 3 * PAGE), start + 3 * PAGE);
    CHECK_EQ(*(char *)start, 7);
    CHECK_EQ(*(char *)(start + 2 * PAGE), 0);
    CHECK_EQ(sys(SYS_brk, 1L), start + 3 * PAGE);
    CHECK_EQ(sys(SYS_brk, 1l << 62), start + 3 * PAGE);
    CHECK_EQ(sys(SYS_brk, start), start);
}

TEST(big_touched_mapping)
{
    size_t size = 64ul << 20, i;
    unsigned char *p = (unsigned char *)map(NULL, size, RW, ANON, -1, 0);

    REQUIRE((long)p > 0);
    for (i = 0; i < size; i += PAGE)
        p[i] = (unsigned char)(i >> 12);
    for (i = 0; i < size; i += PAGE) {
        if (p[i] != (unsigned char)(i >> 12))
            break;
    }
    CHECK_EQ(i, size);
    CHECK_EQ(munmap(p, size), 0);
}

GUEST_TEST_MAIN
