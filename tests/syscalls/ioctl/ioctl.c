/* SPDX-License-Identifier: Apache-2.0 */
/* ioctl(2) on files, pipes and sockets that are no terminals. */
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <termios.h>

#include "tests/support/guest_test.h"

TEST(generic_requests)
{
    int p[2], n = -1, on = 1, fd;

    REQUIRE(pipe(p) == 0);
    CHECK_EQ(write(p[1], "12345", 5), 5);
    CHECK_EQ(sysp(SYS_ioctl, p[0], (unsigned)FIONREAD, &n), 0);
    CHECK_EQ(n, 5);
    CHECK_EQ(sysp(SYS_ioctl, p[0], (unsigned)FIOCLEX, 0L), 0);
    CHECK_EQ(fcntl(p[0], F_GETFD), FD_CLOEXEC);
    CHECK_EQ(ioctl(p[0], FIONCLEX), 0);
    CHECK_EQ(fcntl(p[0], F_GETFD), 0);
    CHECK_EQ(ioctl(p[0], FIONBIO, &on), 0);
    CHECK(fcntl(p[0], F_GETFL) & O_NONBLOCK);
    CHECK_ERR(sysp(SYS_ioctl, p[0], (unsigned)FIONBIO, BAD_PTR), EFAULT);
    CHECK_ERR(sysp(SYS_ioctl, p[0], (unsigned)TCGETS, &n), ENOTTY);
    CHECK_ERR(sysp(SYS_ioctl, p[0], 0x12345678u, 0L), ENOTTY);
    CHECK_ERR(sysp(SYS_ioctl, 9999, 0x12345678u, 0L), EBADF);
    close(p[0]);
    close(p[1]);
    test_tmpdir();
    fd = open("f", O_CREAT | O_RDWR, 0600);
    CHECK_EQ(write(fd, "1234567890", 10), 10);
    CHECK_EQ(lseek(fd, 4, SEEK_SET), 4);
    CHECK_EQ(ioctl(fd, FIONREAD, &n), 0);
    CHECK_EQ(n, 6);
    CHECK_ERR(ioctl(fd, TIOCGWINSZ, &n), ENOTTY);
    CHECK(!isatty(fd));
    close(fd);
}

GUEST_TEST_MAIN
