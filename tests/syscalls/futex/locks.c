/* SPDX-License-Identifier: Apache-2.0 */
/* pthread objects that lean on the harder futex operations: PI, robust, shared, condition
 * variables. */
#include <pthread.h>
#include <semaphore.h>
#include <sys/mman.h>

#include "tests/support/guest_test.h"

static pthread_mutex_t g_mutex;
static pthread_cond_t g_cond;
static int g_value, g_rounds;

static void *add(void *arg)
{
    (void)arg;
    for (int i = 0; i < 2000; i++) {
        pthread_mutex_lock(&g_mutex);
        g_value++;
        pthread_mutex_unlock(&g_mutex);
    }
    return NULL;
}

static void run_contention(void)
{
    pthread_t t[8];

    g_value = 0;
    for (int i = 0; i < 8; i++)
        REQUIRE(pthread_create(&t[i], NULL, add, NULL) == 0);
    for (int i = 0; i < 8; i++)
        pthread_join(t[i], NULL);
    CHECK_EQ(g_value, 16000);
}

static void init_mutex(pthread_mutex_t *m, int protocol, int robust, int shared)
{
    pthread_mutexattr_t a;

    pthread_mutexattr_init(&a);
    CHECK_EQ(pthread_mutexattr_setprotocol(&a, protocol), 0);
    CHECK_EQ(pthread_mutexattr_setrobust(&a, robust), 0);
    CHECK_EQ(pthread_mutexattr_setpshared(&a, shared), 0);
    CHECK_EQ(pthread_mutex_init(m, &a), 0);
}

TEST(contended_mutex)
{
    init_mutex(&g_mutex, PTHREAD_PRIO_NONE, PTHREAD_MUTEX_STALLED, PTHREAD_PROCESS_PRIVATE);
    run_contention();
}

TEST(contended_pi_mutex)
{
    init_mutex(&g_mutex, PTHREAD_PRIO_INHERIT, PTHREAD_MUTEX_STALLED, PTHREAD_PROCESS_PRIVATE);
    run_contention();
    CHECK_EQ(pthread_mutex_lock(&g_mutex), 0);
    CHECK_EQ(pthread_mutex_trylock(&g_mutex), EBUSY);
    CHECK_EQ(pthread_mutex_unlock(&g_mutex), 0);
}

static void *hold_and_time_out(void *arg)
{
    struct timespec ts;

    clock_gettime(CLOCK_REALTIME, &ts);
    ts.tv_nsec += 30000000;
    if (ts.tv_nsec >= 1000000000) {
        ts.tv_sec++;
        ts.tv_nsec -= 1000000000;
    }
    *(int *)arg = pthread_mutex_timedlock(&g_mutex, &ts);
    return NULL;
}

TEST(pi_mutex_times_out)
{
    pthread_t t;
    int ret = -1;

    init_mutex(&g_mutex, PTHREAD_PRIO_INHERIT, PTHREAD_MUTEX_STALLED, PTHREAD_PROCESS_PRIVATE);
    pthread_mutex_lock(&g_mutex);
    REQUIRE(pthread_create(&t, NULL, hold_and_time_out, &ret) == 0);
    pthread_join(t, NULL);
    CHECK_EQ(ret, ETIMEDOUT);
    pthread_mutex_unlock(&g_mutex);
}

static void check_robust(int protocol)
{
    pthread_mutex_t *m =
        mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    int status, locked[2];
    char c;
    pid_t pid;

    REQUIRE(m != MAP_FAILED && pipe(locked) == 0);
    init_mutex(m, protocol, PTHREAD_MUTEX_ROBUST, PTHREAD_PROCESS_SHARED);
    pid = fork();
    if (!pid) {
        pthread_mutex_lock(m);
        (void)!write(locked[1], "x", 1);
        usleep(30000);
        _exit(0); /* dies as the owner */
    }
    CHECK_EQ(read(locked[0], &c, 1), 1);
    CHECK_EQ(pthread_mutex_lock(m), EOWNERDEAD);
    CHECK_EQ(pthread_mutex_consistent(m), 0);
    CHECK_EQ(pthread_mutex_unlock(m), 0);
    CHECK_EQ(pthread_mutex_lock(m), 0);
    CHECK_EQ(pthread_mutex_unlock(m), 0);
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    close(locked[0]);
    close(locked[1]);
    munmap(m, 4096);
}

TEST(robust_mutex_survives_its_owner)
{
    check_robust(PTHREAD_PRIO_NONE);
}

TEST(robust_pi_mutex_survives_its_owner)
{
    check_robust(PTHREAD_PRIO_INHERIT);
}

static void *ping(void *arg)
{
    int me = *(int *)arg;

    pthread_mutex_lock(&g_mutex);
    while (g_rounds < 2000) {
        while (g_rounds % 2 != me && g_rounds < 2000)
            pthread_cond_wait(&g_cond, &g_mutex);
        g_rounds++;
        pthread_cond_broadcast(&g_cond);
    }
    pthread_mutex_unlock(&g_mutex);
    return NULL;
}

TEST(condition_variables)
{
    static const int protocols[] = {PTHREAD_PRIO_NONE, PTHREAD_PRIO_INHERIT};
    int ids[2] = {0, 1};
    pthread_t t[2];

    for (int p = 0; p < 2; p++) {
        init_mutex(&g_mutex, protocols[p], PTHREAD_MUTEX_STALLED, PTHREAD_PROCESS_PRIVATE);
        pthread_cond_init(&g_cond, NULL);
        g_rounds = 0;
        for (int i = 0; i < 2; i++)
            REQUIRE(pthread_create(&t[i], NULL, ping, &ids[i]) == 0);
        for (int i = 0; i < 2; i++)
            pthread_join(t[i], NULL);
        CHECK(g_rounds >= 2000);
    }
}

TEST(shared_semaphore_between_processes)
{
    sem_t *s = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    struct timespec ts;
    int status;
    pid_t pid;

    REQUIRE(s != MAP_FAILED);
    CHECK_EQ(sem_init(s, 1, 0), 0);
    pid = fork();
    if (!pid) {
        for (int i = 0; i < 500; i++)
            if (sem_wait(s))
                _exit(1);
        _exit(0);
    }
    for (int i = 0; i < 500; i++)
        CHECK_EQ(sem_post(s), 0);
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK_EQ(status, 0);
    clock_gettime(CLOCK_REALTIME, &ts);
    CHECK_EQ(sem_timedwait(s, &ts), -1);
    CHECK_EQ(errno, ETIMEDOUT);
    munmap(s, 4096);
}

GUEST_TEST_MAIN
