/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reference counter: starts at 1, saturates instead of wrapping, panics on 0 -> 1 and on underflow.
 * The object's own x_get/x_put are built on it.
 */
#pragma once

#include <stdatomic.h>

#include "platform/base/assert.h"

struct refs {
    atomic_uint count;
};

#define REFS_SATURATED 0x80000000u
#define REFS_INIT                                                                                  \
    {                                                                                              \
        1                                                                                          \
    }

static inline void refs_init(struct refs *r)
{
    atomic_init(&r->count, 1);
}

static inline void refs_get(struct refs *r)
{
    /* relaxed: the caller already holds a reference, so nothing is published here. */
    unsigned old = atomic_fetch_add_explicit(&r->count, 1, memory_order_relaxed);

    ASSERT(old != 0);
    if (unlikely(old >= REFS_SATURATED))
        atomic_store(&r->count, REFS_SATURATED);
}

/* For lookups under a table lock: false when the object is already on its way out. */
static inline bool refs_get_not_zero(struct refs *r)
{
    unsigned old = atomic_load(&r->count);

    while (old != 0) {
        if (old >= REFS_SATURATED)
            return true;
        if (atomic_compare_exchange_weak(&r->count, &old, old + 1))
            return true;
    }
    return false;
}

/* True when this was the last reference and the caller must free the object. */
static inline bool MUST_CHECK refs_put(struct refs *r)
{
    unsigned old = atomic_load(&r->count);

    do {
        ASSERT(old != 0);
        if (unlikely(old >= REFS_SATURATED))
            return false;
    } while (!atomic_compare_exchange_weak(&r->count, &old, old - 1));
    return old == 1;
}

static inline unsigned refs_read(struct refs *r)
{
    return atomic_load(&r->count);
}
