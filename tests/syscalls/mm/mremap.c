/* SPDX-License-Identifier: Apache-2.0 */
/* mremap(2): grow, shrink, move, duplicate, errors; remap_file_pages(2). */
#include "tests/support/guest_test.h"

#include <sys/mman.h>

#define PAGE 4096ul
#define RW   (PROT_READ | PROT_WRITE)

static char *anon(size_t pages, int extra)
{
    return mmap(NULL, pages * PAGE, RW, MAP_ANONYMOUS | (extra ? extra : MAP_PRIVATE), -1, 0);
}

static long remap(void *old, size_t old_len, size_t len, long flags, void *to)
{
    return sys(SYS_mremap, old, old_len, len, flags, to);
}

TEST(errors)
{
    char *p = anon(4, 0);

    CHECK_ERR(remap(p, PAGE, PAGE, 8, NULL), EINVAL);
    CHECK_ERR(remap(p, PAGE, PAGE, MREMAP_FIXED, NULL), EINVAL);
    CHECK_ERR(remap(p + 1, PAGE, PAGE, 0, NULL), EINVAL);
    CHECK_ERR(remap(p, PAGE, 0, 0, NULL), EINVAL);
    CHECK_ERR(remap((void *)0x10000, PAGE, PAGE, 0, NULL), EFAULT);
    CHECK_ERR(remap(p, 5 * PAGE, 8 * PAGE, MREMAP_MAYMOVE, NULL), EFAULT);
    CHECK_ERR(remap(p, 0, PAGE, MREMAP_MAYMOVE, NULL), EINVAL);
    CHECK_ERR(remap(p, PAGE, 2 * PAGE, 0, NULL), ENOMEM);
    CHECK_ERR(remap(p, 4 * PAGE, 4 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, p + PAGE), EINVAL);
    CHECK_ERR(remap(p, PAGE, 2 * PAGE, MREMAP_MAYMOVE | 4, NULL), EINVAL);
    munmap(p, 4 * PAGE);
}

TEST(grow_and_shrink)
{
    char *p = anon(10, 0), *q;
    int i;

    munmap(p + 4 * PAGE, 6 * PAGE);
    for (i = 0; i < 4; i++)
        p[(size_t)i * PAGE] = (char)(i + 1);
    CHECK_EQ(remap(p, 4 * PAGE, 8 * PAGE, 0, NULL), (long)p);
    CHECK_EQ(p[7 * PAGE], 0);
    CHECK_EQ(p[3 * PAGE], 4);
    CHECK_EQ(remap(p, 8 * PAGE, 2 * PAGE, 0, NULL), (long)p);
    q = mmap(p + 2 * PAGE, PAGE, RW, MAP_ANONYMOUS | MAP_PRIVATE | MAP_FIXED, -1, 0);
    CHECK(q == p + 2 * PAGE);
    q[0] = 'x';
    q = (char *)remap(p, 2 * PAGE, 300 * PAGE, MREMAP_MAYMOVE, NULL);
    REQUIRE((long)q > 0 && q != p);
    CHECK_EQ(q[0], 1);
    CHECK_EQ(q[PAGE], 2);
    CHECK_EQ(q[299 * PAGE], 0);
    CHECK_EQ(p[2 * PAGE], 'x');
    CHECK_ERR(sys(SYS_mincore, p, 2 * PAGE, q), ENOMEM);
}

TEST(fixed_replaces)
{
    char *p = anon(3, 0), *t = anon(5, 0);

    memset(p, 'p', 3 * PAGE);
    memset(t, 't', 5 * PAGE);
    CHECK_EQ(remap(p, 3 * PAGE, 2 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, t + PAGE),
             (long)(t + PAGE));
    CHECK_EQ(t[0], 't');
    CHECK_EQ(t[PAGE], 'p');
    CHECK_EQ(t[3 * PAGE - 1], 'p');
    CHECK_EQ(t[3 * PAGE], 't');
}

TEST(dontunmap_and_duplicate)
{
    char *p = anon(2, 0), *q;

    p[0] = 5;
    q = (char *)remap(p, 2 * PAGE, 2 * PAGE, MREMAP_MAYMOVE | 4, NULL);
    REQUIRE((long)q > 0);
    CHECK_EQ(q[0], 5);
    CHECK_EQ(p[0], 0);
    p = anon(2, MAP_SHARED);
    p[PAGE] = 6;
    q = (char *)remap(p, 0, 2 * PAGE, MREMAP_MAYMOVE, NULL);
    REQUIRE((long)q > 0);
    CHECK_EQ(q[PAGE], 6);
    q[PAGE] = 8;
    CHECK_EQ(p[PAGE], 8);
}

TEST(remap_file_pages_moves_the_window)
{
    char *p = anon(4, MAP_SHARED);

    p[0] = 1;
    p[2 * PAGE] = 3;
    CHECK_ERR(sys(SYS_remap_file_pages, p, PAGE, 1L, 0L, 0L), EINVAL);
    CHECK_ERR(sys(SYS_remap_file_pages, p, 0L, 0L, 0L, 0L), EINVAL);
    CHECK_EQ(sys(SYS_remap_file_pages, p, PAGE, 0L, 2L, 0L), 0);
    CHECK_EQ(p[0], 3);
    p[0] = 9;
    CHECK_EQ(p[2 * PAGE], 9);
}

GUEST_TEST_MAIN
