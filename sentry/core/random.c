/* SPDX-License-Identifier: Apache-2.0 */
#include "sentry/core/random.h"

#include "platform/host/proc.h"

int64_t random_bytes(void *buf, size_t size)
{
    return host_getrandom(buf, size, 0);
}
