/* SPDX-License-Identifier: Apache-2.0 */
/* Wakes are not lost, interrupts end sleeps, exclusive waiters go one at a time, timers fire in
 * order. */
#include "sentry/core/sleep.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#include "sentry/core/clock.h"
#include "sentry/core/curr.h"
#include "sentry/core/restart.h"

static struct curr g_self;
static struct waitq g_queue;
static atomic_int g_condition, g_woken, g_ready;

static void test_token_is_kept(void **state)
{
    (void)state;
    sleeper_wake(&g_self.sleeper);
    assert_int_equal(task_block(NO_DEADLINE), 0);
    assert_int_equal(task_block(deadline_after(1000000)), -ETIMEDOUT);
}

static void test_interrupts(void **state)
{
    (void)state;
    sleeper_interrupt(&g_self.sleeper, SLEEP_INTERRUPT_SIGNAL);
    assert_true(task_interrupted());
    assert_int_equal(task_block(NO_DEADLINE), -ERESTARTSYS);
    /* A killable sleep ignores the signal: only the token is there. */
    assert_int_equal(task_block_killable(NO_DEADLINE), 0);
    assert_int_equal(task_block_killable(deadline_after(1000000)), -ETIMEDOUT);
    sleeper_clear_interrupt(&g_self.sleeper, SLEEP_INTERRUPT_SIGNAL);
    sleeper_interrupt(&g_self.sleeper, SLEEP_INTERRUPT_KILL);
    assert_int_equal(task_block_killable(NO_DEADLINE), -ERESTARTSYS);
    sleeper_clear_interrupt(&g_self.sleeper, SLEEP_INTERRUPT_KILL);
    (void)!task_block(deadline_after(0)); /* drop the token */
}

static void wait_thread(void *arg)
{
    struct waiter w;

    (void)arg;
    waiter_init(&w, WAKE_IN);
    waitq_add(&g_queue, &w);
    atomic_fetch_add(&g_ready, 1);
    while (!atomic_load(&g_condition))
        assert_int_equal(task_block(NO_DEADLINE), 0);
    waitq_remove(&g_queue, &w);
    atomic_fetch_add(&g_woken, 1);
}

static void test_wake_all(void **state)
{
    enum { N = 8 };

    (void)state;
    waitq_init(&g_queue);
    for (int i = 0; i < N; i++)
        assert_int_equal(thread_start("waiter", wait_thread, NULL), 0);
    while (atomic_load(&g_ready) < N)
        usleep(1000);
    waitq_wake(&g_queue, WAKE_OUT); /* not what they wait for */
    atomic_store(&g_condition, 1);
    waitq_wake(&g_queue, WAKE_IN);
    while (atomic_load(&g_woken) < N)
        usleep(1000);
    waitq_destroy(&g_queue);
}

static int g_calls;

static bool count_wake(struct waiter *w, uint32_t events)
{
    (void)w;
    (void)events;
    g_calls++;
    return true;
}

static void test_exclusive(void **state)
{
    struct waitq q;
    struct waiter w[4];

    (void)state;
    waitq_init(&q);
    for (int i = 0; i < 4; i++) {
        waiter_init_callback(&w[i], WAKE_IN, count_wake);
        if (i < 3)
            waitq_add_exclusive(&q, &w[i]);
        else
            waitq_add(&q, &w[i]);
    }
    g_calls = 0;
    waitq_wake_n(&q, WAKE_IN, 1);
    assert_int_equal(g_calls, 2); /* the plain one and one exclusive */
    waitq_wake_n(&q, WAKE_IN, 2);
    assert_int_equal(g_calls, 5);
    for (int i = 0; i < 4; i++)
        waitq_remove(&q, &w[i]);
    waitq_destroy(&q);
}

static atomic_int g_order;
static int g_seen[3];

struct ordered {
    struct ktimer timer;
    int id;
};

static uint64_t record_order(struct ktimer *t, uint64_t now)
{
    struct ordered *o = container_of(t, struct ordered, timer);

    (void)now;
    g_seen[atomic_load(&g_order)] = o->id; /* one timer thread */
    atomic_fetch_add(&g_order, 1);
    return 0;
}

static void test_timer_order(void **state)
{
    static struct ordered o[3];
    uint64_t now = clock_monotonic();

    (void)state;
    for (int i = 0; i < 3; i++) {
        o[i].id = i;
        ktimer_init(&o[i].timer, record_order);
        assert_int_equal(ktimer_arm(&o[i].timer, now + (uint64_t)(3 - i) * 20000000), 0);
    }
    while (atomic_load(&g_order) < 3)
        usleep(1000);
    for (int i = 0; i < 3; i++)
        assert_int_equal(g_seen[i], 2 - i);
}

static atomic_int g_ticks;

static uint64_t tick(struct ktimer *t, uint64_t now)
{
    (void)t;
    atomic_fetch_add(&g_ticks, 1);
    return now + 1000000;
}

static void test_timer_periodic_and_cancel(void **state)
{
    static struct ktimer t;
    int ticks;

    (void)state;
    ktimer_init(&t, tick);
    assert_int_equal(ktimer_arm(&t, clock_monotonic()), 0);
    while (atomic_load(&g_ticks) < 3)
        usleep(1000);
    ktimer_cancel(&t);
    ticks = atomic_load(&g_ticks);
    usleep(20000);
    assert_int_equal(atomic_load(&g_ticks), ticks);
    ktimer_cancel(&t); /* idle: nothing happens */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_token_is_kept), cmocka_unit_test(test_interrupts),
        cmocka_unit_test(test_wake_all),      cmocka_unit_test(test_exclusive),
        cmocka_unit_test(test_timer_order),   cmocka_unit_test(test_timer_periodic_and_cancel),
    };

    sleeper_init(&g_self.sleeper);
    g_curr = &g_self;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
