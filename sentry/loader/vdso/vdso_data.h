/* SPDX-License-Identifier: Apache-2.0 */
/* Layout of the vvar page, shared by the sentry (writer) and the vDSO (reader in the guest). */
#pragma once

#include <stdint.h>

#define VDSO_CLOCK_TSC  1u /* the TSC parameters are valid */
#define VDSO_CPU_RDTSCP 1u /* rdtscp gives cpu and node */

/* seq is odd while the rest changes. A clock is base + ((tsc - tsc_base) * mult >> 32). */
struct vdso_data {
    uint32_t seq;
    uint32_t clock_mode;
    uint32_t cpu_mode;
    uint32_t spare;
    uint64_t tsc_base;
    uint64_t mult;    /* ns per tick, 32 fraction bits */
    uint64_t mono_ns; /* CLOCK_MONOTONIC at tsc_base */
    int64_t real_off; /* CLOCK_REALTIME - CLOCK_MONOTONIC */
    int64_t boot_off; /* CLOCK_BOOTTIME - CLOCK_MONOTONIC */
    int64_t tai_off;  /* CLOCK_TAI - CLOCK_MONOTONIC */
    /* Of the time namespace: what it shows as CLOCK_MONOTONIC - CLOCK_MONOTONIC. boot_off has its own. */
    int64_t mono_off; /* constant */
};

static inline uint64_t vdso_mono_at(const struct vdso_data *d, uint64_t tsc)
{
    uint64_t delta = tsc - d->tsc_base;

    /* The TSC of another CPU may be a few ticks behind the one that wrote the page. */
    if ((int64_t)delta < 0)
        delta = 0;
    return d->mono_ns + (uint64_t)(((unsigned __int128)delta * d->mult) >> 32);
}
