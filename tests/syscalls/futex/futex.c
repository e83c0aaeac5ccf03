/* SPDX-License-Identifier: Apache-2.0 */
/* futex(2): wait, wake, bitsets, requeue, wake-op, PI, private and shared, robust lists, waitv. */
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>
#include <time.h>

#include "tests/support/guest_test.h"

static uint32_t g_word, g_word2;
static volatile int g_woken;

static long futex(uint32_t *w, int op, uint32_t val, const void *timeout, uint32_t *w2,
                  uint32_t val3)
{
    return sysp(SYS_futex, w, op, val, timeout, w2, val3);
}

TEST(wait_checks_the_value)
{
    struct timespec ts = {0, 20000000}, bad = {0, -1}, past = {0, 0};
    long long start = test_now_ms();

    g_word = 5;
    CHECK_ERR(futex(&g_word, FUTEX_WAIT, 4, NULL, NULL, 0), EAGAIN);
    CHECK_ERR(futex(&g_word, FUTEX_WAIT, 5, &ts, NULL, 0), ETIMEDOUT);
    CHECK(test_now_ms() - start >= 19);
    CHECK_ERR(futex(&g_word, FUTEX_WAIT, 5, &bad, NULL, 0), EINVAL);
    CHECK_ERR(futex(&g_word, FUTEX_WAIT, 5, &past, NULL, 0), ETIMEDOUT);
    CHECK_ERR(futex(&g_word, FUTEX_WAIT_BITSET, 5, &past, NULL, 1), ETIMEDOUT);
    CHECK_ERR(futex(&g_word, FUTEX_WAIT_BITSET, 5, NULL, NULL, 0), EINVAL);
    CHECK_ERR(futex((uint32_t *)((char *)&g_word + 1), FUTEX_WAIT, 5, NULL, NULL, 0), EINVAL);
    CHECK_ERR(futex(BAD_PTR, FUTEX_WAIT, 5, NULL, NULL, 0), EFAULT);
    CHECK_ERR(futex(&g_word, FUTEX_WAIT, 5, BAD_PTR, NULL, 0), EFAULT);
    CHECK_ERR(futex(&g_word, 99, 5, NULL, NULL, 0), ENOSYS);
    CHECK_ERR(futex(&g_word, FUTEX_WAKE | FUTEX_CLOCK_REALTIME, 1, NULL, NULL, 0), ENOSYS);
    CHECK_EQ(futex(&g_word, FUTEX_WAKE, 1, NULL, NULL, 0), 0);
}

static void *waiter(void *arg)
{
    uint32_t bits = (uint32_t)(uintptr_t)arg;

    futex(&g_word, FUTEX_WAIT_BITSET_PRIVATE, 0, NULL, NULL, bits);
    __atomic_add_fetch(&g_woken, 1, __ATOMIC_SEQ_CST);
    return NULL;
}

static void start_waiters(pthread_t *t, int count, uint32_t bits)
{
    g_woken = 0;
    g_word = 0;
    for (int i = 0; i < count; i++)
        pthread_create(&t[i], NULL, waiter, (void *)(uintptr_t)(bits << i));
    WAIT_UNTIL(test_sleepers(SYS_futex, &g_word) == count);
}

TEST(wake_counts)
{
    pthread_t t[5];

    start_waiters(t, 5, 1);
    CHECK_EQ(futex(&g_word, FUTEX_WAKE, 2, NULL, NULL, 0), 0); /* shared key: other futex */
    CHECK_EQ(futex(&g_word, FUTEX_WAKE_BITSET_PRIVATE, 5, NULL, NULL, 0x2), 1);
    CHECK_EQ(futex(&g_word, FUTEX_WAKE_PRIVATE, 2, NULL, NULL, 0), 2);
    CHECK_EQ(futex(&g_word, FUTEX_WAKE_PRIVATE, 100, NULL, NULL, 0), 2);
    for (int i = 0; i < 5; i++)
        pthread_join(t[i], NULL);
    CHECK_EQ(g_woken, 5);
    CHECK_ERR(futex(&g_word, FUTEX_WAKE_BITSET_PRIVATE, 5, NULL, NULL, 0), EINVAL);
}

TEST(requeue)
{
    pthread_t t[4];

    start_waiters(t, 4, 1);
    g_word2 = 0;
    CHECK_ERR(futex(&g_word, FUTEX_CMP_REQUEUE_PRIVATE, 1, (void *)10, &g_word2, 7), EAGAIN);
    CHECK_EQ(futex(&g_word, FUTEX_CMP_REQUEUE_PRIVATE, 1, (void *)10, &g_word2, 0), 4);
    CHECK_EQ(futex(&g_word, FUTEX_WAKE_PRIVATE, 10, NULL, NULL, 0), 0);
    CHECK_EQ(futex(&g_word2, FUTEX_WAKE_PRIVATE, 10, NULL, NULL, 0), 3);
    for (int i = 0; i < 4; i++)
        pthread_join(t[i], NULL);
    start_waiters(t, 2, 1);
    CHECK_EQ(futex(&g_word, FUTEX_REQUEUE_PRIVATE, 0, (void *)1, &g_word2, 0), 1);
    CHECK_EQ(futex(&g_word, FUTEX_WAKE_PRIVATE, 10, NULL, NULL, 0), 1);
    CHECK_EQ(futex(&g_word2, FUTEX_WAKE_PRIVATE, 10, NULL, NULL, 0), 1);
    for (int i = 0; i < 2; i++)
        pthread_join(t[i], NULL);
}

TEST(wake_op)
{
    pthread_t t[2];

    start_waiters(t, 2, 1);
    g_word2 = 3;
    /* word2 += 4; wake word2's waiters when the old value was 3. */
    CHECK_EQ(futex(&g_word, FUTEX_WAKE_OP_PRIVATE, 10, (void *)10, &g_word2,
                   FUTEX_OP(FUTEX_OP_ADD, 4, FUTEX_OP_CMP_EQ, 3)),
             2);
    CHECK_EQ(g_word2, 7);
    for (int i = 0; i < 2; i++)
        pthread_join(t[i], NULL);
}

TEST(shared_between_processes)
{
    uint32_t *w = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    long woken = 0;
    int status;
    pid_t pid = fork();

    if (pid == 0)
        _exit(futex(w, FUTEX_WAIT, 0, NULL, NULL, 0) == 0 ? 0 : 1);
    WAIT_UNTIL((woken = futex(w, FUTEX_WAKE, 1, NULL, NULL, 0)) != 0);
    CHECK_EQ(woken, 1);
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK_EQ(status, 0);
    munmap(w, 4096);
}

static void *take_pi(void *arg)
{
    long r = futex(&g_word, FUTEX_LOCK_PI_PRIVATE, 0, NULL, NULL, 0);

    g_woken = r == 0 && (g_word & FUTEX_TID_MASK) == (uint32_t)sys(SYS_gettid) ? 1 : -1;
    futex(&g_word, FUTEX_UNLOCK_PI_PRIVATE, 0, NULL, NULL, 0);
    return NULL;
}

TEST(priority_inheritance)
{
    pthread_t t;

    g_word = 0;
    g_woken = 0;
    CHECK_EQ(futex(&g_word, FUTEX_LOCK_PI_PRIVATE, 0, NULL, NULL, 0), 0);
    CHECK_EQ(g_word, (uint32_t)sys(SYS_gettid));
    CHECK_ERR(futex(&g_word, FUTEX_LOCK_PI_PRIVATE, 0, NULL, NULL, 0), EDEADLK);
    CHECK_ERR(futex(&g_word, FUTEX_TRYLOCK_PI_PRIVATE, 0, NULL, NULL, 0), EDEADLK);
    pthread_create(&t, NULL, take_pi, NULL);
    WAIT_UNTIL(test_sleepers(SYS_futex, &g_word) == 1);
    CHECK_EQ(g_woken, 0);
    CHECK(g_word & FUTEX_WAITERS);
    CHECK_EQ(futex(&g_word, FUTEX_UNLOCK_PI_PRIVATE, 0, NULL, NULL, 0), 0);
    pthread_join(t, NULL);
    CHECK_EQ(g_woken, 1);
    CHECK_ERR(futex(&g_word, FUTEX_UNLOCK_PI_PRIVATE, 0, NULL, NULL, 0), EPERM);
}

static void *own_and_exit(void *arg)
{
    __atomic_store_n(&g_word, (uint32_t)sys(SYS_gettid), __ATOMIC_SEQ_CST);
    return NULL;
}

/* Whoever waits for a thread that exits meanwhile gets the lock, or is told that there is no such thread; it never
 * waits for one that is gone. */
TEST(pi_owner_that_exits)
{
    /* Far enough for 400 rounds on any machine; with it, the wait has a timer to take along. */
    struct timespec far = {time(NULL) + 3600, 0};

    for (int i = 0; i < 400; i++) {
        pthread_t t;
        long ret;

        g_word = 0;
        REQUIRE(pthread_create(&t, NULL, own_and_exit, NULL) == 0);
        while (__atomic_load_n(&g_word, __ATOMIC_SEQ_CST) == 0)
            sched_yield();
        for (int k = 0; k < i % 100; k++)
            __asm__ volatile("pause");
        ret = futex(&g_word, FUTEX_LOCK_PI_PRIVATE, 0, &far, NULL, 0);
        CHECK(ret == 0 || ret == -ESRCH);
        if (ret == 0) {
            CHECK_EQ(g_word & FUTEX_TID_MASK, (uint32_t)sys(SYS_gettid));
            CHECK_EQ(futex(&g_word, FUTEX_UNLOCK_PI_PRIVATE, 0, NULL, NULL, 0), 0);
        }
        pthread_join(t, NULL);
    }
}

static pthread_mutex_t g_robust;

static void *die_with_lock(void *arg)
{
    pthread_mutex_lock(&g_robust);
    return NULL;
}

TEST(robust_mutex)
{
    pthread_mutexattr_t attr;
    pthread_t t;
    void *head;
    size_t len;

    pthread_mutexattr_init(&attr);
    pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST);
    pthread_mutex_init(&g_robust, &attr);
    pthread_create(&t, NULL, die_with_lock, NULL);
    pthread_join(t, NULL);
    CHECK_EQ(pthread_mutex_lock(&g_robust), EOWNERDEAD);
    CHECK_EQ(pthread_mutex_consistent(&g_robust), 0);
    CHECK_EQ(pthread_mutex_unlock(&g_robust), 0);
    CHECK_EQ(sysp(SYS_get_robust_list, 0, &head, &len), 0);
    CHECK_EQ(len, 24);
    CHECK_ERR(sysp(SYS_set_robust_list, head, (size_t)23), EINVAL);
    CHECK_EQ(sysp(SYS_set_robust_list, head, (size_t)24), 0);
    CHECK_ERR(sysp(SYS_get_robust_list, 0x3ffffff, &head, &len), ESRCH);
}

TEST(waitv)
{
    struct {
        uint64_t val, uaddr;
        uint32_t flags, reserved;
    } v[2] = {{0, (uintptr_t)&g_word, 2 | 128, 0}, {0, (uintptr_t)&g_word2, 2 | 128, 0}};
    struct timespec ts;

    g_word = g_word2 = 0;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    if (sysp(449, v, 0u, 0u, &ts, CLOCK_MONOTONIC) == -ENOSYS)
        SKIP("no futex_waitv");
    CHECK_ERR(sysp(449, v, 2u, 0u, &ts, CLOCK_MONOTONIC), ETIMEDOUT);
    g_word2 = 1;
    CHECK_ERR(sysp(449, v, 2u, 0u, &ts, CLOCK_MONOTONIC), EAGAIN);
    CHECK_ERR(sysp(449, v, 0u, 0u, &ts, CLOCK_MONOTONIC), EINVAL);
    CHECK_ERR(sysp(449, v, 129u, 0u, &ts, CLOCK_MONOTONIC), EINVAL);
}

static pthread_mutex_t g_mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t g_cond = PTHREAD_COND_INITIALIZER;
static long g_counter;

static void *contend(void *arg)
{
    for (int i = 0; i < 300; i++) {
        pthread_mutex_lock(&g_mutex);
        g_counter++;
        pthread_cond_signal(&g_cond);
        pthread_mutex_unlock(&g_mutex);
    }
    return NULL;
}

TEST(many_threads_contend)
{
    pthread_t t[50];

    for (int i = 0; i < 50; i++)
        REQUIRE(pthread_create(&t[i], NULL, contend, NULL) == 0);
    pthread_mutex_lock(&g_mutex);
    while (g_counter < 50 * 300)
        pthread_cond_wait(&g_cond, &g_mutex);
    pthread_mutex_unlock(&g_mutex);
    for (int i = 0; i < 50; i++)
        pthread_join(t[i], NULL);
    CHECK_EQ(g_counter, 15000);
}

GUEST_TEST_MAIN
