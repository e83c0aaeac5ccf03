/* SPDX-License-Identifier: Apache-2.0 */
/* The memory devices and the ioctls that every file knows. */
#define _GNU_SOURCE
#include "tests/support/guest_test.h"

#include <poll.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/sysmacros.h>

static void is_device(const char *path, unsigned maj, unsigned min)
{
    struct stat st;

    if (CHECK_EQ(stat(path, &st), 0)) {
        CHECK(S_ISCHR(st.st_mode));
        CHECK_EQ(major(st.st_rdev), maj);
        CHECK_EQ(minor(st.st_rdev), min);
    }
}

TEST(numbers)
{
    is_device("/dev/null", 1, 3);
    is_device("/dev/zero", 1, 5);
    is_device("/dev/full", 1, 7);
    is_device("/dev/random", 1, 8);
    is_device("/dev/urandom", 1, 9);
    is_device("/dev/tty", 5, 0);
}

TEST(null_zero_full)
{
    char buf[64];
    int fd = open("/dev/null", O_RDWR);

    REQUIRE(fd >= 0);
    CHECK_EQ(write(fd, "x", 1), 1);
    CHECK_EQ(read(fd, buf, 1), 0);
    CHECK_EQ(lseek(fd, 100, SEEK_SET), 0);
    CHECK_EQ(pread(fd, buf, 1, 5), 0);
    close(fd);
    fd = open("/dev/zero", O_RDWR);
    memset(buf, 1, sizeof(buf));
    CHECK_EQ(read(fd, buf, sizeof(buf)), sizeof(buf));
    CHECK_EQ(buf[0] | buf[63], 0);
    CHECK_EQ(write(fd, "x", 1), 1);
    close(fd);
    fd = open("/dev/full", O_RDWR);
    CHECK_ERR(write(fd, "x", 1), ENOSPC);
    CHECK_EQ(read(fd, buf, 4), 4);
    close(fd);
}

TEST(map_zero)
{
    int fd = open("/dev/zero", O_RDWR);
    char *p = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    char *s = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

    REQUIRE(p != MAP_FAILED && s != MAP_FAILED);
    CHECK_EQ(p[5000], 0);
    p[5000] = 1;
    if (fork() == 0) {
        s[0] = p[5000] == 1 ? 9 : 0;
        _exit(0);
    }
    wait(NULL);
    CHECK_EQ(s[0], 9);
    munmap(p, 8192);
    munmap(s, 8192);
    close(fd);
}

TEST(random)
{
    char a[32], b[32];
    int fd = open("/dev/urandom", O_RDWR), bits = 0;

    CHECK_EQ(read(fd, a, 32), 32);
    CHECK_EQ(read(fd, b, 32), 32);
    CHECK(memcmp(a, b, 32) != 0);
    CHECK_EQ(write(fd, a, 32), 32);
    CHECK_EQ(ioctl(fd, 0x80045200, &bits), 0);
    CHECK_EQ(bits, 256);
    close(fd);
}

TEST(poll_and_epoll)
{
    struct epoll_event ev = {.events = EPOLLIN};
    struct pollfd p = {.events = POLLIN | POLLOUT};
    int ep = epoll_create1(0);

    p.fd = open("/dev/null", O_RDWR);
    CHECK_EQ(poll(&p, 1, 0), 1);
    CHECK_EQ(p.revents, POLLIN | POLLOUT);
    CHECK_ERR(epoll_ctl(ep, EPOLL_CTL_ADD, p.fd, &ev), EPERM);
    close(p.fd);
    p.fd = open("/dev/random", O_RDONLY);
    CHECK_EQ(epoll_ctl(ep, EPOLL_CTL_ADD, p.fd, &ev), 0);
    close(p.fd);
    close(ep);
}

TEST(generic_ioctls)
{
    int p[2], on = 1, n = -1;

    REQUIRE(pipe(p) == 0);
    CHECK_EQ(ioctl(p[0], FIONBIO, &on), 0);
    CHECK_EQ(fcntl(p[0], F_GETFL), O_RDONLY | O_NONBLOCK);
    on = 0;
    CHECK_EQ(ioctl(p[0], FIONBIO, &on), 0);
    CHECK_EQ(fcntl(p[0], F_GETFL), O_RDONLY);
    CHECK_EQ(ioctl(p[0], FIOCLEX), 0);
    CHECK_EQ(fcntl(p[0], F_GETFD), FD_CLOEXEC);
    CHECK_EQ(ioctl(p[0], FIONCLEX), 0);
    CHECK_EQ(fcntl(p[0], F_GETFD), 0);
    CHECK_ERR(ioctl(p[0], TCGETS, &n), ENOTTY);
    CHECK_ERR(ioctl(p[0], FIONBIO, BAD_PTR), EFAULT);
    CHECK_ERR(ioctl(99, FIONBIO, &on), EBADF);
    close(p[0]);
    close(p[1]);
    test_tmpdir();
    p[0] = open("f", O_CREAT | O_RDWR, 0600);
    CHECK_EQ(write(p[0], "12345", 5), 5);
    lseek(p[0], 2, SEEK_SET);
    CHECK_EQ(ioctl(p[0], FIONREAD, &n), 0);
    CHECK_EQ(n, 3);
    CHECK_ERR(ioctl(p[0], TIOCGWINSZ, &n), ENOTTY);
    close(p[0]);
}

GUEST_TEST_MAIN
