/* SPDX-License-Identifier: Apache-2.0 */
/* Clocks, interval timers and POSIX timers as system calls see them. */
#pragma once

#include "sentry/abi/signal.h"
#include "sentry/abi/time.h"

struct task;

/* Clock value in ns. -EINVAL for clocks that do not exist (dynamic ids of dead tasks included). */
int clock_value(struct task *t, int clockid, uint64_t *out_ns);
int clock_resolution(struct task *t, int clockid, uint64_t *out_ns);
static inline bool clock_is_cpu(int clockid)
{
    return clockid < 0 || clockid == LX_CLOCK_PROCESS_CPUTIME_ID ||
           clockid == LX_CLOCK_THREAD_CPUTIME_ID;
}
/* Monotonic deadline of a point in (absolute) or span of a wall, monotonic or boot clock. -EINVAL:
 * no clock to sleep on. */
int clock_deadline(int clockid, uint64_t ns, bool absolute, uint64_t *out_deadline);

struct itimer_value {
    uint64_t value, interval; /* ns; value 0: off */
};
void itimer_get(struct task *t, int which, struct itimer_value *out);
int itimer_set(struct task *t, int which, const struct itimer_value *v, struct itimer_value *old);

/* timer_create(2) and friends; ids as the guest's. */
int posix_timer_create(struct task *t, int clockid, const struct lx_sigevent *sev, int *out_id);
int posix_timer_settime(struct task *t, int id, int flags, const struct lx_itimerspec *v,
                        struct lx_itimerspec *old);
int posix_timer_gettime(struct task *t, int id, struct lx_itimerspec *out);
int posix_timer_getoverrun(struct task *t, int id);
int posix_timer_delete(struct task *t, int id);
