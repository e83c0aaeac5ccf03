/* SPDX-License-Identifier: Apache-2.0 */
/*
 * FUTEX_WAKE from a place that makes it often: a sandbox may know there that nobody waits, and must
 * not be wrong about it.
 */
#include "tests/support/guest_test.h"

#include <linux/futex.h>
#include <pthread.h>
#include <sys/prctl.h>

#include "tests/support/seccomp_filter.h"

enum { HOT = 600, ROUNDS = 4000, PAIRS = 3 };

/* futex(2) as C libraries call it, one place for waking and one for the rest. */
long site_wake(const void *word, long op, long count);
long site_wait(const void *word, long op, long value, const void *timeout, const void *word2);
__asm__(".pushsection .text.sites, \"ax\"\n"
        ".balign 4096\n"
        ".globl site_wake, site_wait\n"
        "site_wake: movl $202, %eax\n syscall\n ret\n"
        ".balign 16\n"
        "site_wait: movq %rcx, %r10\n movl $202, %eax\n syscall\n ret\n"
        ".balign 4096\n"
        ".popsection\n");

struct words {
    _Alignas(64) uint32_t ping;
    _Alignas(64) uint32_t pong;
};

static void heat(const uint32_t *word)
{
    for (int i = 0; i < HOT; i++)
        REQUIRE(site_wake(word, FUTEX_WAKE_PRIVATE, 1) == 0);
}

static long wake(const void *word, long count)
{
    return site_wake(word, FUTEX_WAKE_PRIVATE, count);
}

TEST(rules_of_a_hot_wake)
{
    static uint32_t word;

    heat(&word);
    CHECK_EQ(wake(&word, 0), 0);
    CHECK_EQ(wake(&word, -1), 0);
    CHECK_EQ(wake((char *)&word + 1, 1), -EINVAL);
    CHECK_EQ(wake((char *)&word + 2, 1), -EINVAL);
    CHECK_EQ(wake(BAD_PTR, 1), 0); /* a private key is the address */
    CHECK_EQ(wake((void *)0x7fffffffeffcul, 1), 0);
    CHECK_EQ(wake((void *)0xffff800000000000ul, 1), -EFAULT);
    CHECK_EQ(site_wake(&word, 1ul << 40 | FUTEX_WAKE_PRIVATE, 1), 0);
    CHECK_EQ(site_wake(&word, FUTEX_WAKE, 1), 0);
    CHECK_EQ(site_wake(BAD_PTR, FUTEX_WAKE, 1), -EFAULT);
    CHECK_EQ(site_wake(&word, FUTEX_WAKE_PRIVATE | FUTEX_CLOCK_REALTIME, 1), -ENOSYS);
}

static void hand_over(uint32_t *word, uint32_t value)
{
    __atomic_store_n(word, value, __ATOMIC_SEQ_CST);
    (void)wake(word, 1);
}

static void wait_for(const uint32_t *word, uint32_t value)
{
    uint32_t seen;

    while ((seen = __atomic_load_n(word, __ATOMIC_SEQ_CST)) != value)
        (void)site_wait(word, FUTEX_WAIT_PRIVATE, seen, NULL, NULL);
}

static void *answer(void *arg)
{
    struct words *w = arg;

    for (uint32_t i = 1; i <= ROUNDS; i++) {
        wait_for(&w->ping, i);
        hand_over(&w->pong, i);
    }
    return NULL;
}

static void *ask(void *arg)
{
    struct words *w = arg;

    heat(&w->ping + 1); /* nobody waits there */
    for (uint32_t i = 1; i <= ROUNDS; i++) {
        hand_over(&w->ping, i);
        wait_for(&w->pong, i);
    }
    return NULL;
}

TEST(no_wake_is_lost)
{
    static struct words words[PAIRS];
    pthread_t t[PAIRS][2];

    for (int i = 0; i < PAIRS; i++) {
        CHECK_EQ(pthread_create(&t[i][0], NULL, answer, &words[i]), 0);
        CHECK_EQ(pthread_create(&t[i][1], NULL, ask, &words[i]), 0);
    }
    for (int i = 0; i < PAIRS; i++) {
        pthread_join(t[i][0], NULL);
        pthread_join(t[i][1], NULL);
    }
}

static struct words g_moved;

static void *wait_to_be_moved(void *arg)
{
    (void)arg;
    return (void *)site_wait(&g_moved.ping, FUTEX_WAIT_PRIVATE, 0, NULL, NULL);
}

TEST(a_waiter_that_was_requeued)
{
    pthread_t t;
    void *ret;

    heat(&g_moved.ping);
    CHECK_EQ(pthread_create(&t, NULL, wait_to_be_moved, NULL), 0);
    while (sysp(SYS_futex, &g_moved.ping, FUTEX_REQUEUE_PRIVATE, 0, 1L, &g_moved.pong) == 0)
        test_sleep_ms(1);
    CHECK_EQ(wake(&g_moved.ping, 1), 0);
    /* To where it is already. */
    CHECK_EQ(sysp(SYS_futex, &g_moved.pong, FUTEX_REQUEUE_PRIVATE, 0, 100L, &g_moved.pong), 1);
    CHECK_EQ(wake(&g_moved.pong, 1), 1);
    pthread_join(t, &ret);
    CHECK_EQ((long)ret, 0);
    CHECK_EQ(wake(&g_moved.pong, 1), 0);
}

TEST(waiters_that_gave_up)
{
    const struct timespec ts = {0, 100000};
    static uint32_t word;

    heat(&word);
    for (int i = 0; i < 50; i++) {
        CHECK_EQ(site_wait(&word, FUTEX_WAIT_PRIVATE, 0, &ts, NULL), -ETIMEDOUT);
        CHECK_EQ(site_wait(&word, FUTEX_WAIT_PRIVATE, 1, &ts, NULL), -EAGAIN);
        CHECK_EQ(wake(&word, 1), 0);
    }
}

static void filtered(void)
{
    static uint32_t word;

    heat(&word);
    CHECK_EQ(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
    CHECK_EQ(filter_one_call(SYS_futex, SECCOMP_RET_ERRNO | EXDEV, 0), 0);
    CHECK_EQ(wake(&word, 1), -EXDEV);
}

TEST(filters_see_hot_wakes)
{
    CHECK_EQ(test_in_child(filtered), 0);
}

GUEST_TEST_MAIN
