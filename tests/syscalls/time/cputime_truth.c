/* SPDX-License-Identifier: Apache-2.0 */
/* CPU time is time on a CPU: waiting for one does not count, whoever asks and however. */
#define GUEST_TEST_SECONDS 100
#include <pthread.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/times.h>

#include "tests/support/guest_test.h"

enum { WALL_MS = 400, PER_CPU = 3 };

static long long clock_us(clockid_t id)
{
    struct timespec ts = {0};

    CHECK_EQ(clock_gettime(id, &ts), 0);
    return ts.tv_sec * 1000000ll + ts.tv_nsec / 1000;
}

static long long usage_us(int who)
{
    struct rusage ru;

    CHECK_EQ(getrusage(who, &ru), 0);
    return (ru.ru_utime.tv_sec + ru.ru_stime.tv_sec) * 1000000ll + ru.ru_utime.tv_usec +
           ru.ru_stime.tv_usec;
}

/* Computes without system calls until ms of wall time are over. */
static void burn(int ms)
{
    long long end = test_now_ms() + ms;
    volatile unsigned x = 1;

    do {
        for (int i = 0; i < 1000000; i++)
            x = x * 1664525u + 1013904223u;
    } while (test_now_ms() < end);
}

static int cpus(void)
{
    cpu_set_t set;

    CHECK_EQ(sched_getaffinity(0, sizeof(set), &set), 0);
    return CPU_COUNT(&set);
}

static void burn_and_check(void)
{
    long long wall = test_now_ms(), cpu, own;
    struct tms tms;

    burn(WALL_MS);
    wall = (test_now_ms() - wall) * 1000;
    cpu = clock_us(CLOCK_PROCESS_CPUTIME_ID);
    own = clock_us(CLOCK_THREAD_CPUTIME_ID);
    CHECK(cpu <= wall * 11 / 10 + 20000);
    CHECK(own <= cpu + 1000);
    CHECK(usage_us(RUSAGE_SELF) <= cpu + 30000);
    times(&tms);
    CHECK((tms.tms_utime + tms.tms_stime) * 10000ll <= cpu + 50000);
}

TEST(more_work_than_cpus)
{
    int n = cpus() * PER_CPU;
    long long t0 = test_now_ms(), before = usage_us(RUSAGE_CHILDREN), wall, used;
    int status;

    for (int i = 0; i < n; i++) {
        if (fork() == 0) {
            g_test_failures = 0;
            burn_and_check();
            _exit(g_test_failures != 0);
        }
    }
    for (int i = 0; i < n; i++) {
        CHECK(wait(&status) > 0);
        CHECK_EQ(status, 0);
    }
    wall = (test_now_ms() - t0) * 1000;
    used = usage_us(RUSAGE_CHILDREN) - before;
    /* All of them together cannot use more than there is; each counted to a million at least. */
    CHECK(used <= wall * cpus() * 23 / 20);
    CHECK(used >= n * 300);
    if (g_test_failures)
        test_say("wall %lld us, used %lld us, %d cpus, %d processes\n", wall, used, cpus(), n);
}

static void *burn_thread(void *arg)
{
    burn(WALL_MS);
    *(long long *)arg = clock_us(CLOCK_THREAD_CPUTIME_ID);
    return NULL;
}

/* However calls are made: two CPUs may be at work for one thread, or seem to be. */
TEST(calls_use_one_cpu)
{
    long long wall = test_now_ms(), cpu = usage_us(RUSAGE_SELF),
              own = clock_us(CLOCK_THREAD_CPUTIME_ID);
    long long end = wall + WALL_MS, last = own, now;
    char byte;

    do {
        for (int i = 0; i < 2000; i++)
            CHECK_EQ(sys(SYS_read, -1, &byte, 1), -EBADF);
        now = clock_us(CLOCK_THREAD_CPUTIME_ID);
        CHECK(now >= last);
        last = now;
    } while (test_now_ms() < end);
    wall = (test_now_ms() - wall) * 1000;
    cpu = usage_us(RUSAGE_SELF) - cpu;
    own = clock_us(CLOCK_THREAD_CPUTIME_ID) - own;
    CHECK(cpu <= wall * 11 / 10 + 20000);
    CHECK(own <= wall * 11 / 10 + 20000);
}

TEST(threads_add_up)
{
    long long each[8] = {0}, sum = 0, before = clock_us(CLOCK_PROCESS_CPUTIME_ID), all;
    int n = cpus() * 2;
    pthread_t t[8];

    if (n > 8)
        n = 8;
    for (int i = 0; i < n; i++)
        CHECK_EQ(pthread_create(&t[i], NULL, burn_thread, &each[i]), 0);
    for (int i = 0; i < n; i++) {
        pthread_join(t[i], NULL);
        sum += each[i];
    }
    all = clock_us(CLOCK_PROCESS_CPUTIME_ID) - before;
    CHECK(all >= sum - 1000);
    CHECK(all <= sum + sum / 5 + 50000);
}

TEST(sleep_is_free)
{
    long long before = clock_us(CLOCK_PROCESS_CPUTIME_ID);

    test_sleep_ms(300);
    CHECK(clock_us(CLOCK_PROCESS_CPUTIME_ID) - before < 60000);
}

static volatile sig_atomic_t g_fired;

static void on_prof(int signo)
{
    g_fired = signo;
}

TEST(profiling_timer_counts_cpu_time)
{
    struct itimerval it = {.it_value = {0, 100000}};
    long long before = clock_us(CLOCK_PROCESS_CPUTIME_ID);

    signal(SIGPROF, on_prof);
    CHECK_EQ(setitimer(ITIMER_PROF, &it, NULL), 0);
    test_sleep_ms(200);
    CHECK_EQ(g_fired, 0);
    while (!g_fired)
        burn(5);
    CHECK_EQ(g_fired, SIGPROF);
    /* Linux counts the ticks that find the process running, so it may be early. */
    CHECK(clock_us(CLOCK_PROCESS_CPUTIME_ID) - before >= 20000);
}

static void exhaust(void)
{
    struct rlimit lim = {1, 60}; /* so far away that the first is seen, however rare the looks */

    setrlimit(RLIMIT_CPU, &lim);
    burn(600000); /* a crowded machine may take long to give two seconds */
}

TEST(cpu_limit)
{
    long long before = usage_us(RUSAGE_CHILDREN);

    CHECK_EQ(test_in_child(exhaust) & 0x7f, SIGXCPU);
    CHECK(usage_us(RUSAGE_CHILDREN) - before >= 500000);
}

TEST(exec_keeps_the_time)
{
    char arg[] = "/proc/self/exe";
    char *argv[] = {arg, "after_exec", NULL};
    int status;
    pid_t pid = fork();

    if (pid == 0) {
        char before[32];

        burn(150);
        snprintf(before, sizeof(before), "%lld", clock_us(CLOCK_PROCESS_CPUTIME_ID));
        setenv("CPU_BEFORE", before, 1);
        execv(argv[0], argv);
        _exit(9);
    }
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK_EQ(status, 0);
}

TEST(after_exec)
{
    const char *before = getenv("CPU_BEFORE");

    if (!before)
        SKIP("run by exec_keeps_the_time");
    CHECK(clock_us(CLOCK_PROCESS_CPUTIME_ID) >= atoll(before));
}

GUEST_TEST_MAIN
