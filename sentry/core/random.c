/* SPDX-License-Identifier: Apache-2.0 */
#include "sentry/core/random.h"

#include "platform/base/assert.h"
#include "platform/host/proc.h"

void random_bytes(void *buf, size_t size)
{
    char *p = buf;

    while (size > 0) {
        long got = (long)host_getrandom(p, size, 0);

        /* getrandom with flags 0 on a running host fails only when it is interrupted early. */
        ASSERT(got > 0 || got == -4);
        if (got > 0) {
            p += got;
            size -= (size_t)got;
        }
    }
}
