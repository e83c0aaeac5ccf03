/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The cpu controller: cpu.max takes CPU time away, cpu.stat says how often. Skips natively where
 * version 2 has no cpu controller; expected from cgroup-v2.rst then. What is compared is CPU time
 * with the time that passed, upwards only: a busy machine gives less.
 */
#include <pthread.h>
#include <time.h>

#include "tests/support/cgroup_test.h"

#define BEGIN                                                                                      \
    const char *why = cg_begin_with("+cpu");                                                       \
    if (why)                                                                                       \
    SKIP(why)

static void end(void)
{
    cg_write_at(g_cg_root, "cgroup.subtree_control", "-cpu");
    cg_end();
}

static double seconds(clockid_t id)
{
    struct timespec ts;

    clock_gettime(id, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* Percent of one CPU that the process got in the time, computing. */
static double spin(double wall)
{
    double start = seconds(CLOCK_MONOTONIC), cpu = seconds(CLOCK_PROCESS_CPUTIME_ID), now;

    do {
        for (volatile int i = 0; i < 100000; i++)
            ;
        now = seconds(CLOCK_MONOTONIC);
    } while (now - start < wall);
    return (seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu) * 100 / (now - start);
}

static int compute(void *arg)
{
    (void)arg;
    return (int)spin(1.5);
}

__attribute__((noreturn)) static int compute_forever(void *arg)
{
    (void)arg;
    for (;;)
        ;
}

static int exit_code(pid_t pid)
{
    int status;

    return waitpid(pid, &status, 0) == pid && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

TEST(quota_is_enforced)
{
    BEGIN;
    int percent;
    pid_t pid;

    CHECK_EQ(cg_write("cpu.max", "20000 100000"), 0);
    percent = exit_code(cg_fork_at(g_cg, compute, NULL));
    if (percent < 0 || percent > 30)
        CHECK_EQ(percent, 20);
    /* A crowded machine lets it compute in few periods; who goes on sees more. */
    pid = cg_fork_at(g_cg, compute_forever, NULL);
    WAIT_UNTIL(cg_number("cpu.stat", "nr_periods") >= 8);
    kill(pid, SIGKILL);
    CHECK_EQ(waitpid(pid, NULL, 0), pid);
    /* Who gets that much has met the limit in most periods. */
    CHECK(cg_number("cpu.stat", "nr_throttled") >= (percent > 18 ? 1 : 0));
    CHECK(cg_number("cpu.stat", "throttled_usec") >= (percent > 18 ? 1 : 0));
    end();
}

static void *compute_thread(void *arg)
{
    spin(1.5);
    return arg;
}

static int compute_parallel(void *arg)
{
    double start = seconds(CLOCK_MONOTONIC), cpu = seconds(CLOCK_PROCESS_CPUTIME_ID);
    pthread_t threads[3];

    (void)arg;
    for (int i = 0; i < 3; i++)
        pthread_create(&threads[i], NULL, compute_thread, NULL);
    for (int i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    return (int)((seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu) * 100 /
                 (seconds(CLOCK_MONOTONIC) - start));
}

TEST(threads_share_it)
{
    BEGIN;
    int percent;

    CHECK_EQ(cg_write("cpu.max", "15000 50000"), 0);
    percent = exit_code(cg_fork_at(g_cg, compute_parallel, NULL));
    if (percent < 0 || percent > 42)
        CHECK_EQ(percent, 30);
    end();
}

/* A group above limits those below; a limit that is lifted or set acts on who runs already. */
TEST(groups_below)
{
    BEGIN;
    char below[256];
    int percent;
    pid_t pid;

    snprintf(below, sizeof(below), "%s/below", g_cg);
    CHECK_EQ(mkdir(below, 0755), 0);
    pid = cg_fork_at(below, compute, NULL);
    CHECK_EQ(cg_write("cpu.max", "10000 50000"), 0);
    percent = exit_code(pid);
    if (percent < 0 || percent > 32)
        CHECK_EQ(percent, 20);
    CHECK_EQ(rmdir(below), 0);
    end();
}

static int sleep_and_signal(void *arg)
{
    sigset_t block, none;
    double start;

    /* Uses up its quota, then sleeps: timers and signals of held threads are late, never lost. */
    (void)arg;
    spin(0.2);
    sigemptyset(&none);
    sigemptyset(&block);
    sigaddset(&block, SIGALRM);
    sigprocmask(SIG_BLOCK, &block, NULL); /* it must not come before we wait */
    start = seconds(CLOCK_MONOTONIC);
    alarm(1);
    sigsuspend(&none);
    return seconds(CLOCK_MONOTONIC) - start >= 1.0 ? 0 : 1;
}

static void on_alarm(int signo)
{
    (void)signo;
}

TEST(sleeps_are_not_disturbed)
{
    BEGIN;
    signal(SIGALRM, on_alarm);
    CHECK_EQ(cg_write("cpu.max", "5000 100000"), 0);
    CHECK_EQ(exit_code(cg_fork_at(g_cg, sleep_and_signal, NULL)), 0);
    end();
}

/* Killing and freezing work while everybody is held. */
TEST(held_and_killed)
{
    BEGIN;
    pid_t pid;
    int status;

    CHECK_EQ(cg_write("cpu.max", "1000 1000000"), 0);
    pid = cg_fork_at(g_cg, compute_forever, NULL);
    test_sleep_ms(50);
    CHECK_EQ(kill(pid, SIGKILL), 0);
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK(WIFSIGNALED(status));
    end();
}

TEST(words)
{
    BEGIN;
    char text[64];

    CHECK_EQ(cg_write("cpu.max", "x"), -EINVAL);
    CHECK_EQ(cg_write("cpu.max", "999 1000"), -EINVAL);
    CHECK_EQ(cg_write("cpu.max", "1000 999"), -EINVAL);
    CHECK_EQ(cg_write("cpu.max", "max 1000001"), -EINVAL);
    CHECK_EQ(cg_write("cpu.max", "50000"), 0);
    CHECK(cg_read("cpu.max", text, sizeof(text)) > 0);
    CHECK_EQ(strcmp(text, "50000 100000\n"), 0);
    CHECK_EQ(cg_write("cpu.max", "max"), 0);
    CHECK(cg_read("cpu.max", text, sizeof(text)) > 0);
    CHECK_EQ(strcmp(text, "max 100000\n"), 0);
    end();
}

GUEST_TEST_MAIN
