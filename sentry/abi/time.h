/* SPDX-License-Identifier: Apache-2.0 */
/* Times, clocks and timers of the guest. */
#pragma once

#include <stdbool.h>

#include "sentry/abi/types.h"

struct lx_timespec {
    int64_t sec, nsec;
};
struct lx_timeval {
    int64_t sec, usec;
};
struct lx_itimerspec {
    struct lx_timespec interval, value;
};
struct lx_itimerval {
    struct lx_timeval interval, value;
};
struct lx_timezone {
    int32_t minuteswest, dsttime;
};
struct lx_tms {
    int64_t utime, stime, cutime, cstime;
};

#define LX_CLOCK_REALTIME           0
#define LX_CLOCK_MONOTONIC          1
#define LX_CLOCK_PROCESS_CPUTIME_ID 2
#define LX_CLOCK_THREAD_CPUTIME_ID  3
#define LX_CLOCK_MONOTONIC_RAW      4
#define LX_CLOCK_REALTIME_COARSE    5
#define LX_CLOCK_MONOTONIC_COARSE   6
#define LX_CLOCK_BOOTTIME           7
#define LX_CLOCK_REALTIME_ALARM     8
#define LX_CLOCK_BOOTTIME_ALARM     9
#define LX_CLOCK_TAI                11

#define LX_TIMER_ABSTIME 1

#define LX_ITIMER_REAL    0
#define LX_ITIMER_VIRTUAL 1
#define LX_ITIMER_PROF    2

/* USER_HZ: the unit of times(2), /proc/PID/stat and siginfo's si_utime. */
#define LX_CLOCK_TICKS 100

static inline bool lx_timespec_valid(const struct lx_timespec *ts)
{
    return ts->sec >= 0 && ts->nsec >= 0 && ts->nsec < 1000000000;
}

/* Saturates; the argument is valid. */
static inline uint64_t lx_timespec_to_ns(const struct lx_timespec *ts)
{
    if ((uint64_t)ts->sec >= UINT64_MAX / 2 / 1000000000u)
        return UINT64_MAX / 2;
    return (uint64_t)ts->sec * 1000000000u + (uint64_t)ts->nsec;
}

static inline struct lx_timespec lx_timespec_from_ns(uint64_t ns)
{
    return (struct lx_timespec){(int64_t)(ns / 1000000000u), (int64_t)(ns % 1000000000u)};
}

static inline struct lx_timeval lx_timeval_from_ns(uint64_t ns)
{
    return (struct lx_timeval){(int64_t)(ns / 1000000000u), (int64_t)(ns % 1000000000u / 1000u)};
}
