/* SPDX-License-Identifier: Apache-2.0 */
/* Mutexes exclude, condition variables do not lose wakes, rank order is enforced in debug builds.
 */
#include "platform/base/lock.h"

#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

enum { THREADS = 4, ROUNDS = 20000 };

static struct mutex g_lock;
static struct cond g_cond;
static long g_counter;

static void *count_up(void *arg)
{
    (void)arg;
    for (int i = 0; i < ROUNDS; i++) {
        mutex_lock(&g_lock);
        g_counter++;
        mutex_unlock(&g_lock);
    }
    return NULL;
}

static void test_mutex_excludes(void **state)
{
    pthread_t t[THREADS];

    (void)state;
    mutex_init(&g_lock, RANK_LEAF);
    g_counter = 0;
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&t[i], NULL, count_up, NULL), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(t[i], NULL);
    assert_int_equal(g_counter, (long)THREADS * ROUNDS);
    mutex_destroy(&g_lock);
}

/* Two threads hand a token back and forth; a lost wake would hang here. */
static void *pong(void *arg)
{
    (void)arg;
    for (int i = 0; i < ROUNDS; i++) {
        mutex_lock(&g_lock);
        while (g_counter % 2 == 0)
            cond_wait(&g_cond, &g_lock);
        g_counter++;
        cond_wake_all(&g_cond);
        mutex_unlock(&g_lock);
    }
    return NULL;
}

static void test_cond_ping_pong(void **state)
{
    pthread_t t;

    (void)state;
    mutex_init(&g_lock, RANK_LEAF);
    cond_init(&g_cond);
    g_counter = 0;
    assert_int_equal(pthread_create(&t, NULL, pong, NULL), 0);
    for (int i = 0; i < ROUNDS; i++) {
        mutex_lock(&g_lock);
        while (g_counter % 2 == 1)
            cond_wait(&g_cond, &g_lock);
        g_counter++;
        cond_wake_all(&g_cond);
        mutex_unlock(&g_lock);
    }
    pthread_join(t, NULL);
    assert_int_equal(g_counter, 2L * ROUNDS);
}

static void test_cond_deadline(void **state)
{
    struct timespec now;

    (void)state;
    mutex_init(&g_lock, RANK_LEAF);
    cond_init(&g_cond);
    clock_gettime(CLOCK_MONOTONIC, &now);
    mutex_lock(&g_lock);
    assert_false(cond_wait_until(&g_cond, &g_lock,
                                 (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec));
    mutex_unlock(&g_lock);
}

static void test_pair(void **state)
{
    struct mutex a, b;

    (void)state;
    mutex_init(&a, RANK_SOCK);
    mutex_init(&b, RANK_SOCK);
    mutex_lock_pair(&a, &b);
    assert_false(mutex_trylock(&a));
    assert_false(mutex_trylock(&b));
    mutex_unlock_pair(&a, &b);
    mutex_lock_pair(&a, &a);
    mutex_unlock_pair(&a, &a);
}

#ifdef RUNSC_DEBUG
static bool dies(void (*fn)(void))
{
    int status;
    pid_t pid = fork();

    if (pid == 0) {
        signal(SIGABRT, SIG_DFL);
        close(STDERR_FILENO);
        fn();
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

static NO_THREAD_SAFETY void wrong_order(void)
{
    struct mutex outer, inner;

    mutex_init(&outer, RANK_MM);
    mutex_init(&inner, RANK_LEAF);
    mutex_lock(&inner);
    mutex_lock(&outer);
}

static NO_THREAD_SAFETY void twice(void)
{
    struct mutex m;

    mutex_init(&m, RANK_MM);
    mutex_lock(&m);
    mutex_lock(&m);
}

static NO_THREAD_SAFETY void blocking_with_lock(void)
{
    struct mutex m;

    mutex_init(&m, RANK_LEAF);
    mutex_lock(&m);
    ASSERT_NONE_HELD();
}

static void test_ranks(void **state)
{
    (void)state;
    assert_true(dies(wrong_order));
    assert_true(dies(twice));
    assert_true(dies(blocking_with_lock));
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mutex_excludes), cmocka_unit_test(test_cond_ping_pong),
        cmocka_unit_test(test_cond_deadline),  cmocka_unit_test(test_pair),
#ifdef RUNSC_DEBUG
        cmocka_unit_test(test_ranks),
#endif
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
