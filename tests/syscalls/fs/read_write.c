/* SPDX-License-Identifier: Apache-2.0 */
/* read, write, pread64, pwrite64, readv, writev, preadv, pwritev, preadv2, pwritev2: results and
 * order of errors. */
#include <sys/uio.h>

#include "tests/support/guest_test.h"

static int make_file(const char *text)
{
    int fd;

    test_tmpdir();
    fd = open("f", O_CREAT | O_TRUNC | O_RDWR, 0600);
    if (fd >= 0 && write(fd, text, strlen(text)) < 0)
        return -1;
    lseek(fd, 0, SEEK_SET);
    return fd;
}

TEST(read_moves_the_position)
{
    char buf[16] = "";
    int fd = make_file("0123456789");

    REQUIRE(fd >= 0);
    CHECK_EQ(sysp(SYS_read, fd, buf, (size_t)4), 4);
    CHECK(memcmp(buf, "0123", 4) == 0);
    CHECK_EQ(sysp(SYS_pread64, fd, buf, (size_t)3, 7L), 3);
    CHECK(memcmp(buf, "789", 3) == 0);
    CHECK_EQ(lseek(fd, 0, SEEK_CUR), 4);
    CHECK_EQ(read(fd, buf, 16), 6);
    CHECK_EQ(read(fd, buf, 16), 0);
    CHECK_EQ(pread(fd, buf, 16, 100), 0);
    close(fd);
}

TEST(write_and_append)
{
    char buf[32] = "";
    int fd = make_file("aaaaaaaaaa"), ap;

    REQUIRE(fd >= 0);
    CHECK_EQ(sysp(SYS_pwrite64, fd, "BB", (size_t)2, 3L), 2);
    CHECK_EQ(sysp(SYS_write, fd, "CC", (size_t)2), 2);
    ap = open("f", O_WRONLY | O_APPEND);
    CHECK_EQ(write(ap, "end", 3), 3);
    CHECK_EQ(lseek(ap, 0, SEEK_CUR), 13);
    /* Linux: pwrite on an O_APPEND descriptor appends whatever the offset says. */
    CHECK_EQ(pwrite(ap, "!", 1, 0), 1);
    CHECK_EQ(pread(fd, buf, 32, 0), 14);
    CHECK_STR(buf, "CCaBBaaaaaend!");
    close(fd);
    close(ap);
}

TEST(hole_reads_as_zeros)
{
    char buf[8];
    int fd = make_file("");

    REQUIRE(fd >= 0);
    CHECK_EQ(pwrite(fd, "x", 1, 100000), 1);
    memset(buf, 1, sizeof(buf));
    CHECK_EQ(pread(fd, buf, 8, 50000), 8);
    CHECK(buf[0] == 0 && buf[7] == 0);
    close(fd);
}

TEST(pread_order_of_errors)
{
    int fd = make_file("text"), p[2];
    char c;

    REQUIRE(fd >= 0 && pipe(p) == 0);
    /* A negative offset beats a bad descriptor. */
    CHECK_ERR(sysp(SYS_pread64, 9999, &c, (size_t)1, -1L), EINVAL);
    CHECK_ERR(sysp(SYS_pread64, 9999, &c, (size_t)1, 0L), EBADF);
    CHECK_ERR(sysp(SYS_pread64, p[0], &c, (size_t)1, 0L), ESPIPE);
    CHECK_ERR(sysp(SYS_pread64, p[0], BAD_PTR, (size_t)1, 0L), ESPIPE);
    CHECK_ERR(sysp(SYS_pread64, fd, BAD_PTR, (size_t)1, 0L), EFAULT);
    /* At the end of the file there is nothing to copy. */
    CHECK_EQ(sysp(SYS_pread64, fd, BAD_PTR, (size_t)1, 4L), 0);
    CHECK_ERR(sysp(SYS_pwrite64, 9999, &c, (size_t)1, -1L), EINVAL);
    CHECK_ERR(sysp(SYS_pwrite64, p[1], &c, (size_t)1, 0L), ESPIPE);
    close(fd);
    close(p[0]);
    close(p[1]);
}

TEST(read_write_errors)
{
    int fd = make_file("text"), ro = open("f", O_RDONLY), wo = open("f", O_WRONLY);
    char c = 0;

    REQUIRE(fd >= 0 && ro >= 0 && wo >= 0);
    CHECK_ERR(sysp(SYS_read, wo, &c, (size_t)1), EBADF);
    CHECK_ERR(sysp(SYS_write, ro, &c, (size_t)1), EBADF);
    CHECK_ERR(sysp(SYS_write, wo, BAD_PTR, (size_t)1), EFAULT);
    CHECK_ERR(sysp(SYS_read, ro, BAD_PTR, (size_t)1), EFAULT);
    CHECK_EQ(sysp(SYS_read, ro, BAD_PTR, (size_t)0), 0);
    CHECK_EQ(sysp(SYS_write, wo, BAD_PTR, (size_t)0), 0);
    CHECK_ERR(sysp(SYS_read, wo, &c, (size_t)0), EBADF);
    CHECK_ERR(sysp(SYS_read, ro, (void *)-4096L, (size_t)8192), EFAULT);
    CHECK_ERR(sysp(SYS_read, ro, &c, (size_t)-1), EFAULT);
    close(fd);
    close(ro);
    close(wo);
}

TEST(partial_copy_before_a_bad_page)
{
    char *p = (char *)sys(SYS_mmap, NULL, 8192L, 3, 0x22, -1, 0L);
    int fd = make_file(""), q[2];

    REQUIRE(p > (char *)0 && fd >= 0);
    CHECK_EQ(sys(SYS_munmap, p + 4096, 4096L), 0);
    memset(p, 'z', 4096);
    CHECK_EQ(write(fd, p + 4090, 100), 6);
    CHECK_EQ(lseek(fd, 0, SEEK_END), 6);
    CHECK_EQ(pwrite(fd, p, 4096, 0), 4096);
    CHECK_EQ(pread(fd, p + 4000, 200, 0), 96);
    CHECK(pipe(q) == 0);
    CHECK_EQ(write(q[1], "0123456789", 10), 10);
    /* A pipe read stops at the bad page. */
    CHECK_ERR(read(q[0], p + 4096, 4), EFAULT);
    close(fd);
    close(q[0]);
    close(q[1]);
    sys(SYS_munmap, p, 4096L);
}

TEST(vectors)
{
    char a[4] = "", b[8] = "";
    struct iovec w[3] = {{"ab", 2}, {"", 0}, {"cdef", 4}};
    struct iovec r[2] = {{a, 3}, {b, 8}};
    int fd = make_file("");

    REQUIRE(fd >= 0);
    CHECK_EQ(sysp(SYS_writev, fd, w, 3L), 6);
    CHECK_EQ(lseek(fd, 0, SEEK_SET), 0);
    CHECK_EQ(sysp(SYS_readv, fd, r, 2L), 6);
    CHECK(memcmp(a, "abc", 3) == 0 && memcmp(b, "def", 3) == 0);
    CHECK_EQ(sysp(SYS_preadv, fd, r, 2L, 1L, 0L), 5);
    CHECK(memcmp(a, "bcd", 3) == 0);
    CHECK_EQ(sysp(SYS_pwritev, fd, w, 1L, 4L, 0L), 2);
    CHECK_EQ(sysp(SYS_preadv2, fd, r, 1L, 4L, 0L, 0), 2);
    CHECK(memcmp(a, "ab", 2) == 0);
    /* Offset -1: the file position. */
    CHECK_EQ(lseek(fd, 3, SEEK_SET), 3);
    CHECK_EQ(sysp(SYS_preadv2, fd, r, 1L, -1L, 0L, 0), 3);
    CHECK_EQ(lseek(fd, 0, SEEK_CUR), 6);
    CHECK_EQ(sysp(SYS_pwritev2, fd, w, 1L, -1L, 0L, 0), 2);
    CHECK_EQ(lseek(fd, 0, SEEK_CUR), 8);
    close(fd);
}

TEST(vector_errors)
{
    char c;
    struct iovec big[2] = {{&c, 1}, {&c, (size_t)-1}};
    struct iovec bad = {BAD_PTR, 1}, many[1025];
    int fd = make_file("text");

    REQUIRE(fd >= 0);
    CHECK_ERR(sysp(SYS_readv, fd, big, 2L), EINVAL);
    CHECK_ERR(sysp(SYS_readv, fd, &bad, 1L), EFAULT);
    CHECK_ERR(sysp(SYS_readv, fd, BAD_PTR, 1L), EFAULT);
    CHECK_EQ(sysp(SYS_readv, fd, BAD_PTR, 0L), 0);
    CHECK_ERR(sysp(SYS_readv, fd, many, 1025L), EINVAL);
    CHECK_ERR(sysp(SYS_readv, fd, many, -1L), EINVAL);
    CHECK_ERR(sysp(SYS_readv, 9999, big, 2L), EBADF);
    CHECK_ERR(sysp(SYS_preadv, 9999, &bad, 1L, -5L, 0L), EINVAL);
    CHECK_ERR(sysp(SYS_preadv2, fd, &bad, 1L, 0L, 0L, 0x4000), EOPNOTSUPP);
    close(fd);
}

TEST(file_size_limit)
{
    /* RLIMIT_FSIZE: a write at the limit raises SIGXFSZ and fails, one before it is cut. */
    struct {
        unsigned long cur, max;
    } old, lim;
    int fd = make_file("");

    REQUIRE(fd >= 0);
    CHECK_EQ(sys(SYS_prlimit64, 0, 1, NULL, &old), 0);
    lim = old;
    lim.cur = 10;
    signal(SIGXFSZ, SIG_IGN);
    CHECK_EQ(sys(SYS_prlimit64, 0, 1, &lim, NULL), 0);
    CHECK_EQ(write(fd, "0123456789abcdef", 16), 10);
    CHECK_ERR(write(fd, "x", 1), EFBIG);
    CHECK_ERR(ftruncate(fd, 11), EFBIG);
    CHECK_EQ(sys(SYS_prlimit64, 0, 1, &old, NULL), 0);
    signal(SIGXFSZ, SIG_DFL);
    close(fd);
}

TEST(empty_segments_are_skipped)
{
    char a[8] = "", b[8] = "";
    struct iovec out[] = {{NULL, 0}, {NULL, 0}, {"abc", 3}, {NULL, 0}, {"defg", 4}, {NULL, 0}};
    struct iovec in[] = {{NULL, 0}, {a, 2}, {BAD_PTR, 0}, {BAD_PTR, 0}, {b, 5}, {NULL, 0}};
    int fd = make_file(""), p[2];

    REQUIRE(fd >= 0 && pipe(p) == 0);
    CHECK_EQ(sysp(SYS_writev, fd, out, 6), 7);
    CHECK_EQ(sysp(SYS_preadv, fd, in, (size_t)6, 0L, 0L), 7);
    CHECK_STR(a, "ab");
    CHECK_STR(b, "cdefg");
    CHECK_EQ(sysp(SYS_writev, fd, out, 2), 0);
    CHECK_EQ(sysp(SYS_writev, p[1], out, 6), 7);
    memset(a, 0, sizeof(a));
    memset(b, 0, sizeof(b));
    CHECK_EQ(sysp(SYS_readv, p[0], in, 6), 7);
    CHECK_STR(a, "ab");
    CHECK_STR(b, "cdefg");
    /* Two segments, the first empty: as iostreams write a long buffer. */
    CHECK_EQ(sysp(SYS_writev, fd, out + 3, 2), 4);
    close(fd);
    close(p[0]);
    close(p[1]);
}

GUEST_TEST_MAIN
