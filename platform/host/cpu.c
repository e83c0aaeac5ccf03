/* SPDX-License-Identifier: Apache-2.0 */
/* What the processor and the host kernel enabled. */
#include <cpuid.h>
#include <stdatomic.h>

#include "platform/platform.h"

enum { CPUID_XSTATE = 0xd, LEGACY_SIZE = 512 };

size_t platform_xstate_size(void)
{
    static atomic_size_t known;
    size_t size = atomic_load(&known);
    unsigned a, b, c, d;

    if (size == 0) {
        /* Without XSAVE the area is what FXSAVE writes. CPUID may trap: asked once. */
        size = __get_cpuid_count(CPUID_XSTATE, 0, &a, &b, &c, &d) && b ? b : LEGACY_SIZE;
        atomic_store(&known, size);
    }
    return size;
}
