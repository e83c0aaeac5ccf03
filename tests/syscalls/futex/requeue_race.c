/* SPDX-License-Identifier: Apache-2.0 */
/* FUTEX_CMP_REQUEUE moves those who waited while the word had the value, not one who changed it and then
 * waited. */
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>

#include "tests/support/guest_test.h"

enum { ROUNDS = 1000 };

static _Atomic uint32_t g_word, g_other, g_round, g_end;

static void *requeuer(void *arg)
{
    while (!g_end) {
        sys(SYS_futex, &g_word, FUTEX_CMP_REQUEUE_PRIVATE, 0L, (long)INT32_MAX, &g_other, 0L);
        sched_yield();
    }
    return NULL;
}

/* Once a round: not 0 any more, then waits. */
static void *changer(void *arg)
{
    for (uint32_t i = 1; i <= ROUNDS; i++) {
        while (g_round != i)
            sched_yield();
        g_word = 1;
        sys(SYS_futex, &g_word, FUTEX_WAIT_PRIVATE, 1L, NULL, NULL, 0L);
    }
    return NULL;
}

TEST(who_came_later_stays)
{
    pthread_t r, c;
    int moved = 0;

    CHECK_EQ(pthread_create(&r, NULL, requeuer, NULL), 0);
    CHECK_EQ(pthread_create(&c, NULL, changer, NULL), 0);
    for (uint32_t i = 1; i <= ROUNDS; i++) {
        g_word = 0;
        g_round = i;
        for (;;) {
            if (sys(SYS_futex, &g_word, FUTEX_WAKE_PRIVATE, 1L, NULL, NULL, 0L) == 1)
                break;
            if (sys(SYS_futex, &g_other, FUTEX_WAKE_PRIVATE, 1L, NULL, NULL, 0L) == 1) {
                moved++;
                break;
            }
            sched_yield();
        }
    }
    g_end = 1;
    pthread_join(r, NULL);
    pthread_join(c, NULL);
    CHECK_EQ(moved, 0);
}

GUEST_TEST_MAIN
