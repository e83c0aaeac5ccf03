/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Clocks and timers of the sentry. All times are uint64_t nanoseconds; monotonic unless said.
 * A timer costs nothing until it is armed; one service thread sleeps until the earliest one, so an
 * idle sandbox has no wake-ups.
 */
#pragma once

#include "platform/base/lock.h"

#define NSEC_PER_SEC 1000000000ull

uint64_t clock_monotonic(void);
uint64_t clock_realtime(void);
uint64_t clock_boottime(void);
/* Realtime minus monotonic right now: turns absolute CLOCK_REALTIME deadlines into monotonic ones.
 */
int64_t clock_realtime_offset(void);
/* Saturating add; NO_DEADLINE stays. */
uint64_t deadline_after(uint64_t delta_ns);

/* Lifetime: embedded. States: idle, armed, firing. */
struct ktimer {
    struct ktimer_heap_slot {
        uint64_t when;
        uint32_t index; /* 1-based place in the heap, 0 when idle */
    } slot;             /* RANK_TIMER */
    /* Runs on the timer thread or one whose sleep is over, no locks held, must not sleep long. Returns the next absolute time
     * or 0 to stay idle. */
    uint64_t (*fn)(struct ktimer *t, uint64_t now);
    bool firing; /* RANK_TIMER */
};

int ktimer_service_start(void); /* boot: before the jail closes thread creation; -errno */
void ktimer_init(struct ktimer *t, uint64_t (*fn)(struct ktimer *, uint64_t));
/* (Re)arms for an absolute monotonic time. -ENOMEM. */
int MUST_CHECK ktimer_arm(struct ktimer *t, uint64_t when);
/* Returns when every timer that was due at the absolute time when, which is past, has run. No locks held; not from fn. */
void ktimer_catch_up(uint64_t when);
/* After it returns fn does not run and will not. Must not be called from fn. */
void ktimer_cancel(struct ktimer *t);
