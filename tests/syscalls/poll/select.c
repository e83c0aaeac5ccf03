/* SPDX-License-Identifier: Apache-2.0 */
/* select(2), pselect(2). */
#define _GNU_SOURCE
#include "tests/support/guest_test.h"

#include <sys/select.h>
#include <sys/time.h>

TEST(sets)
{
    fd_set r, w, e;
    struct timeval tv = {0, 0};
    int p[2];

    REQUIRE(pipe(p) == 0);
    FD_ZERO(&r);
    FD_ZERO(&w);
    FD_ZERO(&e);
    FD_SET(p[0], &r);
    FD_SET(p[1], &w);
    FD_SET(p[1], &e);
    CHECK_EQ(select(p[1] + 1, &r, &w, &e, &tv), 1);
    CHECK(!FD_ISSET(p[0], &r) && FD_ISSET(p[1], &w) && !FD_ISSET(p[1], &e));
    CHECK_EQ(write(p[1], "x", 1), 1);
    FD_SET(p[0], &r);
    CHECK_EQ(select(p[1] + 1, &r, &w, NULL, NULL), 2);
    close(p[1]);
    FD_SET(p[0], &r);
    CHECK_EQ(select(p[0] + 1, &r, NULL, NULL, NULL), 1);
    close(p[0]);
}

TEST(errors)
{
    struct timeval tv = {0, -1};
    fd_set r;

    FD_ZERO(&r);
    FD_SET(5, &r);
    close(5);
    CHECK_ERR(select(-1, NULL, NULL, NULL, NULL), EINVAL);
    CHECK_ERR(sys(SYS_select, 0, NULL, NULL, NULL, &tv), EINVAL);
    tv.tv_usec = 0;
    CHECK_ERR(select(6, &r, NULL, NULL, &tv), EBADF);
    CHECK_ERR(sys(SYS_select, 8L, BAD_PTR, NULL, NULL, &tv), EFAULT);
    CHECK_ERR(sys(SYS_select, 0, NULL, NULL, NULL, BAD_PTR), EFAULT);
}

TEST(time_left_is_written)
{
    struct timeval tv = {0, 30000};
    fd_set r;
    int p[2];

    CHECK_EQ(sys(SYS_select, 0, NULL, NULL, NULL, &tv), 0);
    CHECK_EQ(tv.tv_usec, 0);
    REQUIRE(pipe(p) == 0);
    CHECK_EQ(write(p[1], "x", 1), 1);
    FD_ZERO(&r);
    FD_SET(p[0], &r);
    tv.tv_sec = 3600;
    CHECK_EQ(select(p[0] + 1, &r, NULL, NULL, &tv), 1);
    CHECK(tv.tv_sec > 0 && (tv.tv_sec < 3600 || (tv.tv_sec == 3600 && tv.tv_usec == 0)));
    close(p[0]);
    close(p[1]);
}

static void on_signal(int signo)
{
    (void)signo;
}

TEST(pselect6_arguments)
{
    struct timespec ts = {0, 1000000};
    struct {
        void *mask;
        size_t size;
    } pack = {NULL, 8};

    CHECK_EQ(sys(SYS_pselect6, 0, NULL, NULL, NULL, &ts, &pack), 0);
    CHECK_EQ(ts.tv_nsec, 0);
    CHECK_ERR(sys(SYS_pselect6, 0, NULL, NULL, NULL, &ts, BAD_PTR), EFAULT);
    pack.mask = &pack;
    pack.size = 4;
    CHECK_ERR(sys(SYS_pselect6, 0, NULL, NULL, NULL, &ts, &pack), EINVAL);
    ts.tv_nsec = 1000000000;
    CHECK_ERR(sys(SYS_pselect6, 0, NULL, NULL, NULL, &ts, NULL), EINVAL);
}

TEST(pselect_mask)
{
    struct sigaction sa = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    struct timespec ts = {3600, 0};
    sigset_t block, none;

    sigemptyset(&none);
    sigemptyset(&block);
    sigaddset(&block, SIGUSR2);
    sigaction(SIGUSR2, &sa, NULL);
    sigprocmask(SIG_BLOCK, &block, NULL);
    kill(getpid(), SIGUSR2);
    CHECK_ERR(pselect(0, NULL, NULL, NULL, &ts, &none), EINTR);
    sigprocmask(SIG_UNBLOCK, &block, NULL);
}

GUEST_TEST_MAIN
