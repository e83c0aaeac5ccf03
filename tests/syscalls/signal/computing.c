/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A program that makes no calls is interrupted by a signal now and then, and goes on to compute: for
 * so long that whoever waits for it to be interrupted once more must not lose patience.
 */
#include <setjmp.h>

#include "tests/support/guest_test.h"

#define HITS 3

static volatile sig_atomic_t g_hits;
static sigjmp_buf g_out;

static void on_signal(int signo)
{
    g_hits++;
}

static void on_signal_leave(int signo)
{
    g_hits++;
    siglongjmp(g_out, 1);
}

static timer_t timer_every(long nsec, void (*handler)(int))
{
    struct sigevent ev = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1};
    struct itimerspec v = {.it_interval = {0, nsec}, .it_value = {0, nsec}};
    timer_t id = NULL;

    g_hits = 0;
    signal(SIGUSR1, handler);
    CHECK_EQ(timer_create(CLOCK_MONOTONIC, &ev, &id), 0);
    CHECK_EQ(timer_settime(id, 0, &v, NULL), 0);
    return id;
}

TEST(handler_returns)
{
    timer_t id = timer_every(800000000, on_signal);

    while (g_hits < HITS) {
    }
    CHECK_EQ(timer_delete(id), 0);
}

TEST(handler_leaves)
{
    timer_t id = timer_every(800000000, on_signal_leave);

    (void)sigsetjmp(g_out, 1);
    while (g_hits < HITS) {
    }
    CHECK_EQ(timer_delete(id), 0);
}

GUEST_TEST_MAIN
