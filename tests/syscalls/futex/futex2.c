/* SPDX-License-Identifier: Apache-2.0 */
/* futex_wake(2), futex_wait(2), futex_requeue(2): Linux 6.7. */
#include <pthread.h>
#include <stdatomic.h>

#include "tests/support/guest_test.h"

#define FUTEX2_WAKE    454
#define FUTEX2_WAIT    455
#define FUTEX2_REQUEUE 456
#define SIZE_U32       2u
#define PRIVATE        128u
#define ANY            0xffffffffUL

struct waitv {
    uint64_t val, uaddr;
    uint32_t flags, reserved;
};

static uint32_t g_word, g_other;
static atomic_int g_woken;

static long wake(uint32_t *w, unsigned long mask, int nr, unsigned flags)
{
    return sysp(FUTEX2_WAKE, w, mask, nr, flags);
}

static long wait_on(uint32_t *w, unsigned long val, unsigned long mask, unsigned flags,
                    const struct timespec *ts, int clock)
{
    return sysp(FUTEX2_WAIT, w, val, mask, flags, ts, clock);
}

static bool missing(void)
{
    return wake(&g_word, ANY, 1, SIZE_U32) == -ENOSYS;
}

static void *sleeper(void *arg)
{
    if (wait_on(&g_word, 0, (unsigned long)arg, SIZE_U32 | PRIVATE, NULL, 0) == 0)
        g_woken++;
    return NULL;
}

TEST(wakes_by_mask_and_count)
{
    pthread_t t[4];

    if (missing())
        SKIP_ON_HOST("before Linux 6.7");
    for (int i = 0; i < 4; i++)
        pthread_create(&t[i], NULL, sleeper, (void *)(i < 2 ? 1UL : 2UL));
    WAIT_UNTIL(test_sleepers(FUTEX2_WAIT, &g_word) == 4);
    CHECK_EQ(wake(&g_word, ANY, 4, SIZE_U32), 0); /* shared is another futex */
    CHECK_EQ(wake(&g_word, ANY, 0, SIZE_U32 | PRIVATE), 0);
    CHECK_EQ(wake(&g_word, 2, 9, SIZE_U32 | PRIVATE), 2);
    CHECK_EQ(wake(&g_word, ANY, 1, SIZE_U32 | PRIVATE), 1);
    CHECK_EQ(wake(&g_word, ANY, 1, SIZE_U32 | PRIVATE), 1);
    for (int i = 0; i < 4; i++)
        pthread_join(t[i], NULL);
    CHECK_EQ(g_woken, 4);
}

TEST(requeue)
{
    struct waitv v[2] = {{0, (uintptr_t)&g_word, SIZE_U32 | PRIVATE, 0},
                         {0, (uintptr_t)&g_other, SIZE_U32 | PRIVATE, 0}};
    pthread_t t[3];

    if (missing())
        SKIP_ON_HOST("before Linux 6.7");
    g_woken = 0;
    for (int i = 0; i < 3; i++)
        pthread_create(&t[i], NULL, sleeper, (void *)ANY);
    WAIT_UNTIL(test_sleepers(FUTEX2_WAIT, &g_word) == 3);
    v[0].val = 1;
    CHECK_ERR(sysp(FUTEX2_REQUEUE, v, 0u, 1, 9), EAGAIN);
    v[0].val = 0;
    CHECK_EQ(sysp(FUTEX2_REQUEUE, v, 0u, 1, 9), 3);
    CHECK_EQ(wake(&g_word, ANY, 9, SIZE_U32 | PRIVATE), 0);
    CHECK_EQ(wake(&g_other, ANY, 9, SIZE_U32 | PRIVATE), 2);
    for (int i = 0; i < 3; i++)
        pthread_join(t[i], NULL);
    CHECK_ERR(sysp(FUTEX2_REQUEUE, v, 1u, 1, 9), EINVAL);
    CHECK_ERR(sysp(FUTEX2_REQUEUE, NULL, 0u, 1, 9), EINVAL);
    CHECK_ERR(sysp(FUTEX2_REQUEUE, BAD_PTR, 0u, 1, 9), EFAULT);
    CHECK_ERR(sysp(FUTEX2_REQUEUE, v, 0u, -1, 9), EINVAL);
    v[1].flags = SIZE_U32;
    CHECK_ERR(sysp(FUTEX2_REQUEUE, v, 0u, 1, 9), EINVAL); /* both private or both shared */
    v[1].flags = SIZE_U32 | PRIVATE;
    v[1].reserved = 1;
    CHECK_ERR(sysp(FUTEX2_REQUEUE, v, 0u, 1, 9), EINVAL);
    v[1].reserved = 0;
    v[1].val = 1UL << 32;
    CHECK_ERR(sysp(FUTEX2_REQUEUE, v, 0u, 1, 9), EINVAL);
}

TEST(waits_and_deadlines)
{
    struct timespec ts, bad = {0, -1};
    long long t0;

    if (missing())
        SKIP_ON_HOST("before Linux 6.7");
    CHECK_ERR(wait_on(&g_word, 1, ANY, SIZE_U32, NULL, 0), EAGAIN);
    clock_gettime(CLOCK_MONOTONIC, &ts);
    ts.tv_nsec += 30000000;
    if (ts.tv_nsec >= 1000000000) {
        ts.tv_nsec -= 1000000000;
        ts.tv_sec++;
    }
    t0 = test_now_ms();
    CHECK_ERR(wait_on(&g_word, 0, ANY, SIZE_U32, &ts, CLOCK_MONOTONIC), ETIMEDOUT);
    CHECK(test_now_ms() - t0 >= 28);
    CHECK_ERR(wait_on(&g_word, 0, ANY, SIZE_U32, &ts, CLOCK_BOOTTIME), EINVAL);
    CHECK_ERR(wait_on(&g_word, 0, ANY, SIZE_U32, BAD_PTR, CLOCK_BOOTTIME), EINVAL);
    CHECK_ERR(wait_on(&g_word, 0, ANY, SIZE_U32, BAD_PTR, CLOCK_REALTIME), EFAULT);
    CHECK_ERR(wait_on(&g_word, 0, ANY, SIZE_U32, &bad, CLOCK_REALTIME), EINVAL);
}

TEST(order_of_errors)
{
    if (missing())
        SKIP_ON_HOST("before Linux 6.7");
    CHECK_ERR(wake(&g_word, ANY, 1, 0), EINVAL);
    CHECK_ERR(wake(&g_word, ANY, 1, 3), EINVAL);
    CHECK_ERR(wake(&g_word, ANY, 1, SIZE_U32 | 0x10), EINVAL);
    CHECK_ERR(wake(&g_word, ANY + 1, 1, SIZE_U32), EINVAL);
    CHECK_ERR(wake(&g_word, 0, 1, SIZE_U32), EINVAL);
    CHECK_ERR(wake((uint32_t *)((char *)&g_word + 1), ANY, 0, SIZE_U32), EINVAL);
    CHECK_EQ(wake(BAD_PTR, ANY, 1, SIZE_U32 | PRIVATE), 0);
    CHECK_ERR(wake(BAD_PTR, ANY, 0, SIZE_U32), EFAULT);
    CHECK_ERR(wait_on(&g_word, 1UL << 32, ANY, SIZE_U32, BAD_PTR, 9), EINVAL);
    CHECK_ERR(wait_on(&g_word, 0, 0, SIZE_U32, NULL, 0), EINVAL);
    CHECK_ERR(wait_on(BAD_PTR, 0, ANY, SIZE_U32, NULL, 0), EFAULT);
    CHECK_ERR(wait_on((uint32_t *)((char *)&g_word + 2), 0, ANY, SIZE_U32, NULL, 0), EINVAL);
}

GUEST_TEST_MAIN
