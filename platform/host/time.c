/* SPDX-License-Identifier: Apache-2.0 */
/* Host CPU clocks; see time.h. */
#include "platform/host/time.h"

#include "platform/host/host_internal.h"

/* Linux: a CPU clock id is ~pid << 3 | per-thread bit 4 | CPUCLOCK_SCHED 2. */
enum { CPUCLOCK_SCHED = 2, CPUCLOCK_PERTHREAD = 4 };

static uint64_t cpu_clock(int pid, unsigned bits)
{
    struct timespec ts;
    int id = (int)(~(unsigned)pid << 3 | bits);

    if (raw2(SYS_clock_gettime, id, &ts) < 0)
        return 0;
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

uint64_t host_thread_cpu_ns(int tid)
{
    return cpu_clock(tid, CPUCLOCK_SCHED | CPUCLOCK_PERTHREAD);
}

uint64_t host_process_cpu_ns(int pid)
{
    return cpu_clock(pid, CPUCLOCK_SCHED);
}

int host_clock_gettime(clockid_t id, struct timespec *out)
{
    return (int)raw2(SYS_clock_gettime, id, out);
}
