/* SPDX-License-Identifier: Apache-2.0 */
/* getrusage, rlimits and sysinfo structures. RLIMIT numbers are in core/curr.h. */
#pragma once

#include "sentry/abi/time.h"

#define LX_RUSAGE_SELF     0
#define LX_RUSAGE_CHILDREN (-1)
#define LX_RUSAGE_THREAD   1

struct lx_rlimit {
    uint64_t cur, max;
};

struct lx_rusage {
    struct lx_timeval utime, stime;
    int64_t maxrss, ixrss, idrss, isrss, minflt, majflt, nswap, inblock, oublock, msgsnd, msgrcv,
        nsignals, nvcsw, nivcsw;
};
static_assert(sizeof(struct lx_rusage) == 144, "rusage");

struct lx_sysinfo {
    int64_t uptime;
    uint64_t loads[3];
    uint64_t totalram, freeram, sharedram, bufferram, totalswap, freeswap;
    uint16_t procs, pad;
    uint32_t pad2;
    uint64_t totalhigh, freehigh;
    uint32_t mem_unit;
    uint32_t pad3;
};
static_assert(sizeof(struct lx_sysinfo) == 112, "sysinfo");

#define LX_PRIO_PROCESS 0
#define LX_PRIO_PGRP    1
#define LX_PRIO_USER    2

#define LX_IOPRIO_WHO_PROCESS 1
#define LX_IOPRIO_WHO_PGRP    2
#define LX_IOPRIO_WHO_USER    3
