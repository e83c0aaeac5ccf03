/* SPDX-License-Identifier: Apache-2.0 */
/* A file of the image that is read again and again: every read tells the same, at every offset, at
 * the end, into memory that ends early, and beside a mapping of it. The sentry changes the way it
 * reads such a file after a while. */
#include <sys/mman.h>
#include <sys/sendfile.h>

#include "tests/support/guest_test.h"

enum { ROUNDS = 60, PIECE = 8192 };

static char *g_copy;
static size_t g_size;

/* This program: big enough, and nobody writes to it. */
static int open_self(void)
{
    struct stat st;
    int fd = open("/proc/self/exe", O_RDONLY);

    if (fd < 0 || fstat(fd, &st) < 0)
        return -1;
    if (!g_copy) {
        size_t done = 0;

        g_size = (size_t)st.st_size;
        g_copy = malloc(g_size);
        while (g_copy && done < g_size) {
            ssize_t n = pread(fd, g_copy + done, g_size - done, (off_t)done);

            if (n <= 0)
                return -1;
            done += (size_t)n;
        }
    }
    return g_copy && g_size > 4 * PIECE ? fd : -1;
}

TEST(every_read_is_the_same)
{
    static char buf[PIECE];
    int fd = open_self();

    REQUIRE(fd >= 0);
    for (size_t i = 0; i < ROUNDS; i++) {
        size_t at = i * 1237 % (g_size - PIECE);

        REQUIRE(pread(fd, buf, PIECE, (off_t)at) == PIECE);
        CHECK(memcmp(buf, g_copy + at, PIECE) == 0);
        /* The last bytes, and none after them. */
        CHECK_EQ(pread(fd, buf, PIECE, (off_t)g_size - 100), 100);
        CHECK(memcmp(buf, g_copy + g_size - 100, 100) == 0);
        CHECK_EQ(pread(fd, buf, PIECE, (off_t)g_size), 0);
        CHECK_EQ(pread(fd, buf, PIECE, (off_t)g_size + 5000), 0);
        CHECK_EQ(lseek(fd, -10, SEEK_END), (off_t)g_size - 10);
        CHECK_EQ(read(fd, buf, PIECE), 10);
        CHECK_EQ(read(fd, buf, PIECE), 0);
    }
    close(fd);
}

TEST(memory_that_ends_early)
{
    int fd = open_self();
    char *p = mmap(NULL, 3 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    REQUIRE(fd >= 0 && p != MAP_FAILED);
    REQUIRE(munmap(p + 4096, 2 * 4096) == 0);
    for (int i = 0; i < ROUNDS; i++) {
        CHECK_EQ(pread(fd, p + 1000, 2 * 4096, 0), 4096 - 1000);
        CHECK(memcmp(p + 1000, g_copy, 4096 - 1000) == 0);
        CHECK_ERR(pread(fd, p + 4096, 100, 0), EFAULT);
    }
    munmap(p, 4096);
    close(fd);
}

TEST(large_reads_and_sendfile)
{
    static char back[PIECE];
    char *all = malloc(g_size + 1);
    int fd = open_self(), to;
    off_t at = 0;

    test_tmpdir();
    to = open("copy", O_CREAT | O_RDWR, 0600);
    REQUIRE(fd >= 0 && all && to >= 0);
    for (int i = 0; i < ROUNDS / 2; i++) {
        memset(all, 0xee, g_size + 1);
        CHECK_EQ(pread(fd, all, g_size + 1, 0), (ssize_t)g_size);
        CHECK(memcmp(all, g_copy, g_size) == 0);
    }
    while (at < (off_t)g_size) {
        if (sendfile(to, fd, &at, g_size) <= 0)
            break;
    }
    CHECK_EQ(at, (off_t)g_size);
    CHECK_EQ(pread(to, back, PIECE, (off_t)(g_size - PIECE)), PIECE);
    CHECK(memcmp(back, g_copy + g_size - PIECE, PIECE) == 0);
    free(all);
    close(to);
    close(fd);
}

TEST(beside_a_mapping)
{
    static char buf[PIECE];
    int fd = open_self();
    char *map;

    REQUIRE(fd >= 0);
    map = mmap(NULL, g_size, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    REQUIRE(map != MAP_FAILED);
    for (int i = 0; i < ROUNDS; i++)
        CHECK_EQ(pread(fd, map + 4096, PIECE, 0),
                 PIECE); /* into a private copy of the same pages */
    CHECK(memcmp(map + 4096, g_copy, PIECE) == 0);
    CHECK_EQ(pread(fd, buf, PIECE, 4096), PIECE);
    CHECK(memcmp(buf, g_copy + 4096, PIECE) == 0);
    munmap(map, g_size);
    close(fd);
}

GUEST_TEST_MAIN
