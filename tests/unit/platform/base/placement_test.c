/* SPDX-License-Identifier: Apache-2.0 */
/* Where pairs go: partners are processes that sleep, threads are this test's own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "platform/base/placement.h"

static cpu_set_t g_all;
static atomic_uint g_runs;

static pid_t partner(bool busy)
{
    pid_t pid = fork();

    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (;;) {
            if (!busy)
                pause();
        }
    }
    assert_true(pid > 0);
    return pid;
}

static void end(pid_t pid)
{
    kill(pid, SIGKILL);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
}

/* The one CPU that a process may use; -1: it may use more. */
static int cpu_of(pid_t pid)
{
    cpu_set_t set;

    assert_int_equal(sched_getaffinity(pid, sizeof(set), &set), 0);
    if (CPU_COUNT(&set) != 1)
        return -1;
    for (int i = 0;; i++) {
        if (CPU_ISSET(i, &set))
            return i;
    }
}

static void bind_self(int cpu)
{
    cpu_set_t set;

    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    assert_int_equal(sched_setaffinity(0, sizeof(set), &set), 0);
}

static int nth_cpu(int n)
{
    for (int i = 0; i < CPU_SETSIZE; i++) {
        if (CPU_ISSET(i, &g_all) && n-- == 0)
            return i;
    }
    return -1;
}

/* A pair of a thread of its own, which begins on CPU at. */
struct pair {
    struct placement place;
    pid_t partner;
    int at;
    bool new_program, asleep;
    pthread_barrier_t there, done;
    pthread_t thread;
};

static void *pair_main(void *arg)
{
    struct pair *p = arg;

    bind_self(p->at);
    placement_attach(&p->place, p->partner, &g_runs);
    if (p->new_program) {
        placement_new_program(&p->place);
        placement_attach(&p->place, p->partner, &g_runs);
    }
    if (p->asleep)
        placement_note_sleep();
    pthread_barrier_wait(&p->there);
    pthread_barrier_wait(&p->done);
    if (p->asleep)
        placement_note_sleep();
    placement_detach(&p->place);
    return NULL;
}

static void pair_begin(struct pair *p, int at, bool new_program, bool asleep)
{
    *p = (struct pair){.at = at, .new_program = new_program, .asleep = asleep};
    placement_init(&p->place);
    p->partner = partner(/*busy=*/false);
    assert_int_equal(pthread_barrier_init(&p->there, NULL, 2), 0);
    assert_int_equal(pthread_barrier_init(&p->done, NULL, 2), 0);
    assert_int_equal(pthread_create(&p->thread, NULL, pair_main, p), 0);
    pthread_barrier_wait(&p->there);
}

static void pair_end(struct pair *p)
{
    pthread_barrier_wait(&p->done);
    pthread_join(p->thread, NULL);
    pthread_barrier_destroy(&p->there);
    pthread_barrier_destroy(&p->done);
    end(p->partner);
}

static void need_cpus(int n)
{
    if (CPU_COUNT(&g_all) < n)
        skip(); /* nothing to choose from */
}

static void test_stays_with_creator(void **state)
{
    struct pair a, b;

    (void)state;
    need_cpus(2);
    pair_begin(&a, nth_cpu(1), false, false);
    pair_begin(&b, nth_cpu(1), false, false);
    assert_int_equal(cpu_of(a.partner), nth_cpu(1));
    assert_int_equal(cpu_of(b.partner), nth_cpu(1));
    pair_end(&b);
    pair_end(&a);
}

static void test_new_program_leaves_a_busy_cpu(void **state)
{
    struct pair a, b, c;

    (void)state;
    need_cpus(2);
    pair_begin(&a, nth_cpu(0), false, false);
    pair_begin(&b, nth_cpu(0), true, false);
    assert_int_equal(cpu_of(a.partner), nth_cpu(0));
    assert_int_equal(cpu_of(b.partner), nth_cpu(1));
    if (CPU_COUNT(&g_all) == 2) { /* one on each: no reason to move */
        pair_begin(&c, nth_cpu(1), true, false);
        assert_int_equal(cpu_of(c.partner), nth_cpu(1));
        pair_end(&c);
    }
    pair_end(&b);
    pair_end(&a);
}

static void test_sleepers_do_not_count(void **state)
{
    struct pair a, b;

    (void)state;
    need_cpus(2);
    pair_begin(&a, nth_cpu(0), false, true);
    pair_begin(&b, nth_cpu(0), true, false);
    assert_int_equal(cpu_of(b.partner), nth_cpu(0));
    pair_end(&b);
    pair_end(&a);
}

static void test_limits(void **state)
{
    struct pair a, b;
    cpu_set_t only;

    (void)state;
    need_cpus(2);
    pair_begin(&a, nth_cpu(0), false, false);
    CPU_ZERO(&only);
    CPU_SET(nth_cpu(1), &only);
    placement_limit(&a.place, &only);
    assert_int_equal(cpu_of(a.partner), nth_cpu(1));
    /* A new program there: CPU 0 is free now. */
    pair_begin(&b, nth_cpu(1), true, false);
    assert_int_equal(cpu_of(b.partner), nth_cpu(0));
    pair_end(&b);
    pair_end(&a);
}

/* Pairs that compute and sleep for moments, many times in a tick, all on one CPU. */
struct crowd_member {
    struct placement place;
    pid_t partner;
    pthread_t thread;
};
static atomic_bool g_crowd_over;

static void *crowd_main(void *arg)
{
    struct crowd_member *m = arg;
    const struct timespec moment = {.tv_nsec = 200000};

    bind_self(nth_cpu(0));
    placement_attach(&m->place, m->partner, &g_runs);
    while (!atomic_load(&g_crowd_over)) {
        for (int i = 0; i < 3; i++) {
            placement_note_sleep();
            placement_note_sleep();
        }
        atomic_fetch_add(&g_runs, 2);
        placement_running();
        nanosleep(&moment, NULL);
    }
    placement_detach(&m->place);
    return NULL;
}

static void test_a_crowd_spreads(void **state)
{
    enum { MEMBERS = 4 };
    struct crowd_member members[MEMBERS];
    const struct timespec moment = {.tv_nsec = 1000000};
    bool moved = false;

    (void)state;
    need_cpus(2);
    for (int i = 0; i < MEMBERS; i++) {
        placement_init(&members[i].place);
        members[i].partner = partner(/*busy=*/true);
        assert_int_equal(pthread_create(&members[i].thread, NULL, crowd_main, &members[i]), 0);
    }
    while (!moved) { /* for ever, if they stay */
        nanosleep(&moment, NULL);
        for (int i = 0; i < MEMBERS; i++)
            moved = moved || cpu_of(members[i].partner) == nth_cpu(1);
    }
    atomic_store(&g_crowd_over, true);
    for (int i = 0; i < MEMBERS; i++) {
        pthread_join(members[i].thread, NULL);
        end(members[i].partner);
    }
}

static void test_parted(void **state)
{
    struct placement p;
    pid_t pid = partner(false);

    (void)state;
    need_cpus(2);
    bind_self(nth_cpu(0));
    placement_init(&p);
    placement_attach(&p, pid, &g_runs);
    assert_int_equal(placement_cpu(), nth_cpu(0));
    assert_true(placement_part(&p, /*force=*/true));
    assert_int_not_equal(cpu_of(0), nth_cpu(0));
    assert_int_equal(cpu_of(pid), nth_cpu(0));
    /* What guest code runs on is the partner's CPU. */
    assert_int_equal(placement_cpu(), nth_cpu(0));
    placement_join(&p);
    assert_int_equal(cpu_of(0), nth_cpu(0));
    assert_int_equal(placement_cpu(), nth_cpu(0));
    placement_detach(&p);
    end(pid);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stays_with_creator),
        cmocka_unit_test(test_new_program_leaves_a_busy_cpu),
        cmocka_unit_test(test_sleepers_do_not_count),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_parted),
        cmocka_unit_test(test_a_crowd_spreads),
    };

    if (sched_getaffinity(0, sizeof(g_all), &g_all) < 0)
        return 1;
    placement_unpin_self(); /* what may be used is found out at the first call */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
