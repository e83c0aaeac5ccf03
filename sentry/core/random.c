/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Small requests (addresses, seeds, cookies: exec alone makes nine) are served from a pool of bytes
 * that the host's kernel made in one call. A byte leaves the pool once and is erased there. Large
 * ones are the guest's own getrandom and go to the host.
 */
#include "sentry/core/random.h"

#include <errno.h>
#include <string.h>

#include "platform/base/lock.h"
#include "platform/host/proc.h"

enum { POOL_SIZE = 256, SMALL_MAX = 32 };

static struct {
    struct mutex lock;
    size_t left; /* lock: bytes at the start that were not given out */
    uint8_t bytes[POOL_SIZE];
} g_pool = {.lock = {.rank = RANK_RANDOM}};

int64_t random_bytes(void *buf, size_t size)
{
    int64_t ret = (int64_t)size;

    if (size > SMALL_MAX)
        return host_getrandom(buf, size, 0);
    mutex_lock(&g_pool.lock);
    if (g_pool.left < size) {
        ret = host_getrandom(g_pool.bytes, POOL_SIZE, 0);
        if (ret == POOL_SIZE) {
            g_pool.left = POOL_SIZE;
            ret = (int64_t)size;
        } else if (ret >= 0) {
            ret = -EAGAIN; /* 256 bytes are never cut short */
        }
    }
    if (ret >= 0) {
        g_pool.left -= size;
        memcpy(buf, g_pool.bytes + g_pool.left, size);
        memset(g_pool.bytes + g_pool.left, 0, size);
    }
    mutex_unlock(&g_pool.lock);
    return ret;
}
