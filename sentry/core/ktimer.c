/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Timers: a binary min-heap under one lock and one service thread that sleeps until the earliest.
 * The thread starts with the first armed timer, so a sandbox that uses none has none.
 *
 * A thread whose own sleep ended at D runs what was due by then itself (ktimer_catch_up): the service thread may not have had
 * a CPU yet, and on Linux, where the clock's interrupt does both, a timer of 2 ms has fired when a sleep of 50 ms is over.
 *
 * States of a ktimer: idle (index 0), armed (index > 0), firing (its fn runs, on the service thread or in
 * ktimer_catch_up, index 0 until it returns; one at a time). ktimer_cancel waits out a firing; the fn's own re-arm loses against a
 * cancel that came meanwhile.
 */
#include "sentry/core/clock.h"

#include <errno.h>
#include <stdlib.h>

#include "platform/base/log.h"
#include "sentry/core/curr.h"
#include "sentry/core/sleep.h"

static struct {
    struct mutex lock; /* rank TIMER */
    struct cond changed, fired;
    struct ktimer **heap; /* 1-based */
    uint32_t count, capacity;
    struct ktimer *current; /* firing */
    uint64_t current_when;  /* when it was due */
    bool current_cancelled, started;
    uint64_t sleeping_until;
} g_timers = {.lock = {.rank = RANK_TIMER}};

static void heap_place(uint32_t i, struct ktimer *t)
{
    g_timers.heap[i] = t;
    t->slot.index = i;
}

static void heap_up(uint32_t i, struct ktimer *t)
{
    while (i > 1 && g_timers.heap[i / 2]->slot.when > t->slot.when) {
        heap_place(i, g_timers.heap[i / 2]);
        i /= 2;
    }
    heap_place(i, t);
}

static void heap_down(uint32_t i, struct ktimer *t)
{
    for (uint32_t child; (child = 2 * i) <= g_timers.count; i = child) {
        if (child < g_timers.count &&
            g_timers.heap[child + 1]->slot.when < g_timers.heap[child]->slot.when)
            child++;
        if (g_timers.heap[child]->slot.when >= t->slot.when)
            break;
        heap_place(i, g_timers.heap[child]);
    }
    heap_place(i, t);
}

static void heap_remove(struct ktimer *t)
{
    uint32_t i = t->slot.index;
    struct ktimer *last = g_timers.heap[g_timers.count--];

    t->slot.index = 0;
    if (last == t)
        return;
    if (i > 1 && g_timers.heap[i / 2]->slot.when > last->slot.when)
        heap_up(i, last);
    else
        heap_down(i, last);
}

static int heap_insert(struct ktimer *t, uint64_t when)
{
    if (g_timers.count + 1 >= g_timers.capacity) {
        uint32_t capacity = g_timers.capacity ? g_timers.capacity * 2 : 64;
        struct ktimer **heap = realloc(g_timers.heap, capacity * sizeof(struct ktimer *));

        if (!heap)
            return -ENOMEM;
        g_timers.heap = heap;
        g_timers.capacity = capacity;
    }
    t->slot.when = when;
    heap_up(++g_timers.count, t);
    return 0;
}

static void fire(struct ktimer *t, uint64_t now) REQUIRES(g_timers.lock)
{
    uint64_t next;

    g_timers.current_when = t->slot.when;
    heap_remove(t);
    t->firing = true;
    g_timers.current = t;
    g_timers.current_cancelled = false;
    mutex_unlock(&g_timers.lock);
    next = t->fn(t, now);
    mutex_lock(&g_timers.lock);
    g_timers.current = NULL;
    if (!g_timers.current_cancelled) {
        t->firing = false;
        /* A re-arm from outside during the firing wins over fn's own wish. */
        if (next && !t->slot.index && heap_insert(t, next) < 0)
            log_error(LOG_KERNEL, "out of memory: a periodic timer stops");
    }
    cond_wake_all(&g_timers.fired);
}

static void timer_thread(void *arg)
{
    (void)arg;
    mutex_lock(&g_timers.lock);
    for (;;) {
        uint64_t now = clock_monotonic();

        if (g_timers.current) {
            cond_wait(&g_timers.fired, &g_timers.lock);
            continue;
        }
        if (g_timers.count && g_timers.heap[1]->slot.when <= now) {
            fire(g_timers.heap[1], now);
            continue;
        }
        g_timers.sleeping_until = g_timers.count ? g_timers.heap[1]->slot.when : NO_DEADLINE;
        (void)cond_wait_until(&g_timers.changed, &g_timers.lock, g_timers.sleeping_until);
        g_timers.sleeping_until = 0;
    }
}

void ktimer_catch_up(uint64_t when)
{
    mutex_lock(&g_timers.lock);
    for (;;) {
        const bool due = g_timers.count && g_timers.heap[1]->slot.when <= when;

        /* Not for one that was due later: a timer of a nanosecond is always firing. */
        if (g_timers.current && (due || g_timers.current_when <= when))
            cond_wait(&g_timers.fired, &g_timers.lock);
        else if (due)
            fire(g_timers.heap[1], clock_monotonic());
        else
            break;
    }
    mutex_unlock(&g_timers.lock);
}

int ktimer_service_start(void)
{
    int ret = 0;

    mutex_lock(&g_timers.lock);
    if (!g_timers.started) {
        ret = thread_start("timers", timer_thread, NULL);
        g_timers.started = ret == 0;
    }
    mutex_unlock(&g_timers.lock);
    return ret;
}

void ktimer_init(struct ktimer *t, uint64_t (*fn)(struct ktimer *, uint64_t))
{
    *t = (struct ktimer){.fn = fn};
}

int ktimer_arm(struct ktimer *t, uint64_t when)
{
    int ret = ktimer_service_start();

    if (ret < 0)
        return ret;
    mutex_lock(&g_timers.lock);
    if (t->slot.index)
        heap_remove(t);
    ret = heap_insert(t, when);
    if (ret == 0 && when < g_timers.sleeping_until)
        cond_wake_one(&g_timers.changed);
    mutex_unlock(&g_timers.lock);
    return ret;
}

void ktimer_cancel(struct ktimer *t)
{
    mutex_lock(&g_timers.lock);
    if (t->slot.index)
        heap_remove(t);
    if (g_timers.current == t) {
        g_timers.current_cancelled = true;
        while (g_timers.current == t)
            cond_wait(&g_timers.fired, &g_timers.lock);
        t->firing = false;
        if (t->slot.index)
            heap_remove(t);
    }
    mutex_unlock(&g_timers.lock);
}
