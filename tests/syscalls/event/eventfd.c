/* SPDX-License-Identifier: Apache-2.0 */
/* eventfd(2). */
#define _GNU_SOURCE
#include "tests/support/guest_test.h"

#include <poll.h>
#include <sys/eventfd.h>

TEST(counter)
{
    uint64_t v = 7;
    int fd = (int)sysp(SYS_eventfd2, 3, EFD_NONBLOCK);

    REQUIRE(fd >= 0);
    CHECK_ERR(sys(SYS_read, fd, &v, 7L), EINVAL);
    CHECK_EQ(write(fd, &v, 8), 8);
    CHECK_EQ(read(fd, &v, 8), 8);
    CHECK_EQ(v, 10);
    CHECK_ERR(read(fd, &v, 8), EAGAIN);
    v = UINT64_MAX;
    CHECK_ERR(write(fd, &v, 8), EINVAL);
    v = UINT64_MAX - 1;
    CHECK_EQ(write(fd, &v, 8), 8);
    v = 1;
    CHECK_ERR(write(fd, &v, 8), EAGAIN);
    CHECK_EQ(sys(SYS_lseek, fd, 5L, SEEK_SET), 0); /* accepted, without effect */
    close(fd);
    CHECK_ERR(sysp(SYS_eventfd2, 0, 0x100), EINVAL);
}

TEST(semaphore)
{
    uint64_t v;
    int fd = eventfd(2, EFD_SEMAPHORE | EFD_NONBLOCK);

    REQUIRE(fd >= 0);
    CHECK_EQ(read(fd, &v, 8), 8);
    CHECK_EQ(v, 1);
    CHECK_EQ(read(fd, &v, 8), 8);
    CHECK_ERR(read(fd, &v, 8), EAGAIN);
    close(fd);
}

TEST(readiness)
{
    struct pollfd p = {.events = POLLIN | POLLOUT};
    uint64_t v = UINT64_MAX - 1;

    p.fd = eventfd(0, 0);
    REQUIRE(p.fd >= 0);
    CHECK_EQ(poll(&p, 1, 0), 1);
    CHECK_EQ(p.revents, POLLOUT);
    CHECK_EQ(write(p.fd, &v, 8), 8);
    CHECK_EQ(poll(&p, 1, 0), 1);
    CHECK_EQ(p.revents, POLLIN);
    close(p.fd);
}

TEST(blocks_between_processes)
{
    uint64_t v;
    int a = eventfd(0, 0), b = eventfd(0, 0);
    pid_t pid = fork();

    if (pid == 0) {
        for (int i = 0; i < 200; i++) {
            v = 1;
            if (read(a, &v, 8) != 8 || write(b, &v, 8) != 8)
                _exit(1);
        }
        _exit(0);
    }
    for (int i = 0; i < 200; i++) {
        v = 1;
        CHECK_EQ(write(a, &v, 8), 8);
        CHECK_EQ(read(b, &v, 8), 8);
    }
    waitpid(pid, NULL, 0);
    close(a);
    close(b);
}

GUEST_TEST_MAIN
