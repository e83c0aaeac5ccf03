/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by aio.c (contexts and rings) and aio_poll.c (requests that wait). */
#pragma once

#include "platform/base/list.h"
#include "sentry/core/sleep.h"
#include "sentry/kernel/aio.h"
#include "sentry/mm/mm.h"

/* Lifetime: refcounted: by its table, by calls that use it, by polls.
 * Keys: I immutable; c ->lock; t the table's lock */
struct aio_ctx {
    struct refs refs;
    struct mutex lock;  /* rank AIO */
    struct list node;   /* t */
    uaddr_t id;         /* I: where the ring is mapped */
    struct file *ring;  /* I, +1 */
    uint64_t ring_size; /* I */
    uint32_t slots;     /* I: events in the ring */
    uint32_t counted;   /* I: of g_aio_nr */
    uint32_t tail;      /* c: where the next event goes; the ring's own word is the guest's */
    uint32_t inflight;  /* c: reserved and not completed */
    bool dead;          /* c */
    struct list polls;  /* c: struct aio_poll.node */
    struct waitq wq;    /* readers, and who waits for the end */
};

/* Cancels every poll of c. Holds no lock. */
void aio_poll_cancel_all(struct aio_ctx *c);
