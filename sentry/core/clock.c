/* SPDX-License-Identifier: Apache-2.0 */
/* Host clocks as nanoseconds. The host's own vDSO answers, without a system call. */
#include "sentry/core/clock.h"

#include <time.h>

#include "sentry/core/sleep.h"

static uint64_t read_clock(clockid_t id)
{
    struct timespec ts;

    clock_gettime(id, &ts);
    return (uint64_t)ts.tv_sec * NSEC_PER_SEC + (uint64_t)ts.tv_nsec;
}

uint64_t clock_monotonic(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

uint64_t clock_realtime(void)
{
    return read_clock(CLOCK_REALTIME);
}

uint64_t clock_boottime(void)
{
    return read_clock(CLOCK_BOOTTIME);
}

int64_t clock_realtime_offset(void)
{
    return (int64_t)(clock_realtime() - clock_monotonic());
}

uint64_t deadline_after(uint64_t delta_ns)
{
    uint64_t at;

    if (delta_ns == NO_DEADLINE || add_overflows(clock_monotonic(), delta_ns, &at))
        return NO_DEADLINE;
    return at;
}
