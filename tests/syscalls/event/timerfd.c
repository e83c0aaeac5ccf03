/* SPDX-License-Identifier: Apache-2.0 */
/* timerfd_create(2). */
#define _GNU_SOURCE
#include "tests/support/guest_test.h"

#include <poll.h>
#include <sys/timerfd.h>

TEST(errors)
{
    struct itimerspec its = {.it_value.tv_nsec = 1000000000};
    int fd, p[2];

    CHECK_ERR(sysp(SYS_timerfd_create, 2, 0), EINVAL);
    CHECK_ERR(sysp(SYS_timerfd_create, 1, 1), EINVAL);
    fd = (int)sysp(SYS_timerfd_create, CLOCK_MONOTONIC, TFD_NONBLOCK);
    REQUIRE(fd >= 0);
    CHECK_ERR(timerfd_settime(fd, 0, &its, NULL), EINVAL);
    CHECK_ERR(sys(SYS_timerfd_settime, fd, 0, BAD_PTR, NULL), EFAULT);
    REQUIRE(pipe(p) == 0);
    its.it_value.tv_nsec = 1;
    CHECK_ERR(timerfd_settime(p[0], 0, &its, NULL), EINVAL);
    close(p[0]);
    close(p[1]);
    close(fd);
    CHECK_ERR(timerfd_settime(fd, 0, &its, NULL), EBADF);
}

TEST(one_shot_and_periodic)
{
    struct itimerspec its = {.it_value.tv_sec = 1000}, now;
    struct pollfd p = {.events = POLLIN};
    uint64_t ticks;

    p.fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
    REQUIRE(p.fd >= 0);
    CHECK_EQ(timerfd_settime(p.fd, 0, &its, NULL), 0);
    CHECK_ERR(read(p.fd, &ticks, 8), EAGAIN);
    CHECK_EQ(timerfd_gettime(p.fd, &now), 0);
    CHECK(now.it_value.tv_sec > 900 && now.it_value.tv_sec < 1000);
    its.it_value = (struct timespec){.tv_nsec = 20000000};
    CHECK_EQ(timerfd_settime(p.fd, 0, &its, NULL), 0);
    CHECK_EQ(poll(&p, 1, -1), 1);
    CHECK_EQ(read(p.fd, &ticks, 8), 8);
    CHECK_EQ(ticks, 1);
    its.it_interval.tv_nsec = 5000000;
    CHECK_EQ(timerfd_settime(p.fd, 0, &its, NULL), 0);
    test_sleep_ms(60);
    CHECK_EQ(read(p.fd, &ticks, 8), 8);
    CHECK(ticks >= 8);
    CHECK_EQ(poll(&p, 1, -1), 1);
    its = (struct itimerspec){0};
    CHECK_EQ(timerfd_settime(p.fd, 0, &its, &now), 0);
    CHECK_EQ(now.it_interval.tv_nsec, 5000000);
    CHECK_ERR(read(p.fd, &ticks, 8), EAGAIN);
    close(p.fd);
}

TEST(absolute)
{
    struct itimerspec its = {0};
    uint64_t ticks;
    int clocks[] = {CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_BOOTTIME};

    for (int i = 0; i < 3; i++) {
        int fd = timerfd_create(clocks[i], 0);

        REQUIRE(fd >= 0);
        clock_gettime(clocks[i], &its.it_value);
        its.it_value.tv_nsec += 10000000;
        if (its.it_value.tv_nsec >= 1000000000) {
            its.it_value.tv_sec++;
            its.it_value.tv_nsec -= 1000000000;
        }
        CHECK_EQ(timerfd_settime(fd, TFD_TIMER_ABSTIME, &its, NULL), 0);
        CHECK_EQ(read(fd, &ticks, 8), 8);
        CHECK_EQ(ticks, 1);
        its.it_value.tv_sec = 1; /* long ago: at once */
        CHECK_EQ(timerfd_settime(fd, TFD_TIMER_ABSTIME, &its, NULL), 0);
        CHECK_EQ(read(fd, &ticks, 8), 8);
        close(fd);
    }
}

GUEST_TEST_MAIN
