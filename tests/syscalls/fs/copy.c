/* SPDX-License-Identifier: Apache-2.0 */
/* sendfile(2), copy_file_range(2), preadv2/pwritev2. */
#include <sys/eventfd.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "tests/support/guest_test.h"

TEST(sendfile_call)
{
    char buf[16];
    off_t off = 2;
    int in, out, p[2];

    test_tmpdir();
    in = open("in", O_CREAT | O_RDWR, 0644);
    out = open("out", O_CREAT | O_RDWR, 0644);
    CHECK_EQ(write(in, "0123456789", 10), 10);
    CHECK_EQ(sysp(SYS_sendfile, out, in, &off, (size_t)5), 5);
    CHECK_EQ(off, 7);
    CHECK_EQ(lseek(in, 0, SEEK_CUR), 10);
    CHECK_EQ(pread(out, buf, 16, 0), 5);
    CHECK_EQ(memcmp(buf, "23456", 5), 0);
    CHECK_EQ(lseek(in, 8, SEEK_SET), 8);
    CHECK_EQ(sysp(SYS_sendfile, out, in, NULL, (size_t)100), 2);
    CHECK_EQ(lseek(in, 0, SEEK_CUR), 10);
    CHECK_EQ(sysp(SYS_sendfile, out, in, NULL, (size_t)100), 0);
    REQUIRE(pipe(p) == 0);
    off = 0;
    CHECK_EQ(sysp(SYS_sendfile, p[1], in, &off, (size_t)4), 4);
    CHECK_EQ(read(p[0], buf, 16), 4);
    CHECK_ERR(sysp(SYS_sendfile, 999, in, NULL, (size_t)4), EBADF);
    CHECK_ERR(sysp(SYS_sendfile, p[1], 999, NULL, (size_t)4), EBADF);
    CHECK_ERR(sysp(SYS_sendfile, out, p[1], NULL, (size_t)4), EBADF);
    CHECK_ERR(sysp(SYS_sendfile, out, p[0], &off, (size_t)4), ESPIPE);
    off = -1;
    CHECK_ERR(sysp(SYS_sendfile, out, in, &off, (size_t)4), EINVAL);
    CHECK_ERR(sysp(SYS_sendfile, out, in, BAD_PTR, (size_t)4), EFAULT);
    close(p[0]);
    close(p[1]);
    close(in);
    close(out);
}

/* What has no position cannot be sent: nothing that was read could be put back. */
TEST(sendfile_from_streams)
{
    int out, p[2], q[2], s[2], event = eventfd(1, 0), zero = open("/dev/zero", O_RDONLY);
    char buf[16];

    test_tmpdir();
    out = open("out", O_CREAT | O_RDWR, 0644);
    REQUIRE(pipe(p) == 0 && pipe(q) == 0 && socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0);
    CHECK_EQ(write(p[1], "xyz", 3), 3);
    CHECK_EQ(write(s[1], "xyz", 3), 3);
    CHECK_ERR(sysp(SYS_sendfile, out, p[0], NULL, (size_t)2), EINVAL);
    CHECK_ERR(sysp(SYS_sendfile, s[0], p[0], NULL, (size_t)2), EINVAL);
    CHECK_ERR(sysp(SYS_sendfile, q[1], p[0], NULL, (size_t)2), EINVAL);
    CHECK_ERR(sysp(SYS_sendfile, out, s[0], NULL, (size_t)2), EINVAL);
    CHECK_EQ(sysp(SYS_sendfile, q[1], s[0], NULL, (size_t)0), 0);
    CHECK_ERR(sysp(SYS_sendfile, out, event, NULL, (size_t)8), EINVAL);
    CHECK_ERR(sysp(SYS_sendfile, out, p[0], NULL, (size_t)0), EINVAL);
    CHECK_EQ(read(p[0], buf, 16), 3); /* all of it is still there */
    CHECK_EQ(sysp(SYS_sendfile, s[0], zero, NULL, (size_t)2), 2);
    CHECK_EQ(read(s[1], buf, 16), 2);
    close(out);
    close(event);
    close(zero);
    for (int i = 0; i < 2; i++) {
        close(p[i]);
        close(q[i]);
        close(s[i]);
    }
}

TEST(copy_file_range_call)
{
    char buf[16];
    loff_t from = 3, to = 1;
    int in, out;

    test_tmpdir();
    in = open("in", O_CREAT | O_RDWR, 0644);
    out = open("out", O_CREAT | O_RDWR, 0644);
    CHECK_EQ(write(in, "0123456789", 10), 10);
    CHECK_EQ(sysp(SYS_copy_file_range, in, &from, out, &to, (size_t)4, 0u), 4);
    CHECK_EQ(from, 7);
    CHECK_EQ(to, 5);
    CHECK_EQ(pread(out, buf, 16, 0), 5);
    CHECK_EQ(memcmp(buf, "\0003456", 5), 0);
    CHECK_ERR(sysp(SYS_copy_file_range, in, NULL, out, NULL, (size_t)4, 1u), EINVAL);
    from = 0;
    to = 2;
    CHECK_ERR(sysp(SYS_copy_file_range, in, &from, in, &to, (size_t)4, 0u), EINVAL);
    to = 20;
    CHECK_EQ(sysp(SYS_copy_file_range, in, &from, in, &to, (size_t)4, 0u), 4);
    close(out);
    out = open("out", O_RDONLY);
    CHECK_ERR(sysp(SYS_copy_file_range, in, &from, out, &to, (size_t)4, 0u), EBADF);
    close(out);
    out = open(".", O_RDONLY);
    CHECK_ERR(sysp(SYS_copy_file_range, in, &from, out, &to, (size_t)4, 0u), EISDIR);
    close(out);
    close(in);
}

TEST(vectors)
{
    char a[4], b[8];
    struct iovec iov[2] = {{a, 4}, {b, 8}}, bad[2] = {{a, 4}, {BAD_PTR, 8}};
    int fd, p[2];

    test_tmpdir();
    fd = open("f", O_CREAT | O_RDWR, 0644);
    CHECK_EQ(write(fd, "0123456789", 10), 10);
    CHECK_EQ(sysp(SYS_preadv, fd, iov, 2L, 1L, 0L), 9);
    CHECK_EQ(memcmp(a, "1234", 4), 0);
    CHECK_EQ(memcmp(b, "56789", 5), 0);
    CHECK_EQ(sysp(SYS_preadv, fd, bad, 2L, 0L, 0L), 4); /* as far as it goes */
    CHECK_ERR(sysp(SYS_preadv, fd, iov, 1025L, 0L, 0L), EINVAL);
    CHECK_ERR(sysp(SYS_preadv, fd, iov, 2L, -1L, 0L), EINVAL);
    CHECK_EQ(sysp(SYS_preadv, fd, iov, 0L, 0L, 0L), 0);
    iov[1].iov_len = (size_t)-1;
    CHECK_ERR(sysp(SYS_readv, fd, iov, 2L), EINVAL);
    iov[1].iov_len = 8;
    CHECK_EQ(lseek(fd, 2, SEEK_SET), 2);
    CHECK_EQ(sysp(SYS_preadv2, fd, iov, 1L, -1L, 0L, 0), 4); /* at the position */
    CHECK_EQ(lseek(fd, 0, SEEK_CUR), 6);
    CHECK_ERR(sysp(SYS_preadv2, fd, iov, 1L, 0L, 0L, 0x1000000), EOPNOTSUPP);
    CHECK_EQ(sysp(SYS_pwritev2, fd, iov, 1L, 0L, 0L, 0x10 /* RWF_APPEND */), 4);
    CHECK_EQ(lseek(fd, 0, SEEK_END), 14);
    REQUIRE(pipe(p) == 0);
    CHECK_ERR(sysp(SYS_preadv, p[0], iov, 1L, 0L, 0L), ESPIPE);
    CHECK_ERR(sysp(SYS_preadv2, p[0], iov, 1L, -1L, 0L, 8 /* RWF_NOWAIT */), EAGAIN);
    close(p[0]);
    close(p[1]);
    close(fd);
}

GUEST_TEST_MAIN
