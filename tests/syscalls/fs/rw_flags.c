/* SPDX-License-Identifier: Apache-2.0 */
/* RWF_* flags of preadv2 and pwritev2. readv(2). */
#define _GNU_SOURCE
#include "tests/support/guest_test.h"

#include <sys/socket.h>
#include <sys/uio.h>

#ifndef RWF_NOAPPEND
#define RWF_NOAPPEND 0x20
#endif

static char g_bytes[1 << 18];
static const struct iovec g_four = {g_bytes, 4}, g_all = {g_bytes, sizeof(g_bytes)};

static int fresh(int flags)
{
    int fd;

    test_tmpdir();
    fd = open("f", O_RDWR | O_CREAT | O_TRUNC, 0600);
    CHECK_EQ(write(fd, "0123456789", 10), 10);
    close(fd);
    return open("f", O_RDWR | flags);
}

static off_t position(int fd)
{
    return lseek(fd, 0, SEEK_CUR);
}

TEST(append)
{
    struct stat st;
    int fd = fresh(0);

    CHECK_EQ(pwritev2(fd, &g_four, 1, 2, RWF_APPEND), 4);
    CHECK_EQ(position(fd), 0);
    CHECK_EQ(pwritev2(fd, &g_four, 1, -1, RWF_APPEND), 4);
    CHECK_EQ(position(fd), 18);
    CHECK_EQ(fstat(fd, &st), 0);
    CHECK_EQ(st.st_size, 18);
    close(fd);
}

/* Two who append at once overwrite nothing of each other. */
TEST(append_finds_the_end_under_the_lock)
{
    enum { ROUNDS = 2000 };
    struct stat st;
    int fd = fresh(0), status, failed = 0;
    pid_t pid = fork();

    for (int i = 0; i < ROUNDS; i++)
        failed += pwritev2(fd, &g_four, 1, i & 1 ? 0 : -1, RWF_APPEND) != 4;
    if (!pid)
        _exit(failed != 0);
    CHECK_EQ(failed, 0);
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK_EQ(status, 0);
    CHECK_EQ(fstat(fd, &st), 0);
    CHECK_EQ(st.st_size, 10 + 2 * 4 * ROUNDS);
    close(fd);
}

TEST(no_append)
{
    struct stat st;
    int fd = fresh(O_APPEND);
    ssize_t n = pwritev2(fd, &g_four, 1, 0, RWF_NOAPPEND);

    if (n < 0 && errno == EOPNOTSUPP) {
        close(fd);
        SKIP_ON_HOST("RWF_NOAPPEND is Linux 6.9's");
    }
    CHECK_EQ(n, 4);
    CHECK_EQ(fstat(fd, &st), 0);
    CHECK_EQ(st.st_size, 10);
    CHECK_EQ(pwritev2(fd, &g_four, 1, 0, 0), 4);
    CHECK_EQ(fstat(fd, &st), 0);
    CHECK_EQ(st.st_size, 14);
    CHECK_ERR(pwritev2(fd, &g_four, 1, 0, RWF_NOAPPEND | RWF_APPEND), EINVAL);
    close(fd);
}

TEST(order_of_refusals)
{
    int fd = fresh(0), p[2];

    CHECK_ERR(pwritev2(fd, &g_four, 1, 0, 0x40000), EOPNOTSUPP);
    CHECK_ERR(preadv2(fd, &g_four, 1, 0, 0x40000), EOPNOTSUPP);
    CHECK_ERR(pwritev2(-1, &g_four, 1, -2, 0x40000), EINVAL);
    CHECK_ERR(pwritev2(-1, &g_four, 1, 0, 0x40000), EBADF);
    CHECK_ERR(pwritev2(fd, BAD_PTR, 1, 0, 0x40000), EFAULT);
    CHECK_EQ(pwritev2(fd, &g_four, 0, 0, 0x40000), 0);
    CHECK_EQ(pipe(p), 0);
    CHECK_ERR(pwritev2(p[1], &g_four, 1, 0, RWF_NOWAIT), ESPIPE);
    close(p[0]);
    close(p[1]);
    close(fd);
}

TEST(no_wait)
{
    int p[2], s[2];
    ssize_t n;

    CHECK_EQ(pipe(p), 0);
    CHECK_ERR(preadv2(p[0], &g_four, 1, -1, RWF_NOWAIT), EAGAIN);
    CHECK_EQ(pwritev2(p[1], &g_all, 1, -1, RWF_NOWAIT), 65536); /* what fits */
    CHECK_ERR(pwritev2(p[1], &g_all, 1, -1, RWF_NOWAIT), EAGAIN);
    CHECK_EQ(preadv2(p[0], &g_all, 1, -1, RWF_NOWAIT), 65536);
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, s), 0);
    CHECK_ERR(preadv2(s[0], &g_four, 1, -1, RWF_NOWAIT), EAGAIN);
    while ((n = pwritev2(s[1], &g_all, 1, -1, RWF_NOWAIT)) > 0)
        ;
    CHECK(n < 0 && errno == EAGAIN);
    CHECK_EQ(preadv2(s[0], &g_four, 1, -1, RWF_NOWAIT), 4);
    close(p[0]);
    close(p[1]);
    close(s[0]);
    close(s[1]);
}

TEST(sync_and_polling)
{
    int fd = fresh(0);

    CHECK_EQ(pwritev2(fd, &g_four, 1, 0, RWF_DSYNC), 4);
    CHECK_EQ(pwritev2(fd, &g_four, 1, 0, RWF_SYNC), 4);
    CHECK_EQ(pwritev2(fd, &g_four, 1, 0, RWF_HIPRI), 4);
    CHECK_EQ(preadv2(fd, &g_four, 1, 0, RWF_HIPRI | RWF_NOWAIT), 4);
    close(fd);
}

GUEST_TEST_MAIN
