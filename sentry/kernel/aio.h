/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Contexts of Linux AIO. A context belongs to an address space and ends with it. Reads, writes and
 * syncs run to their end inside io_submit(2), as Linux does for files without direct I/O; only polls
 * wait in the background.
 */
#pragma once

#include "sentry/abi/aio.h"
#include "sentry/fs/vfs.h"

struct aio_ctx;

/* /proc/sys/fs: events that all contexts were asked for, and how many may be. */
extern _Atomic int64_t g_aio_nr, g_aio_max_nr;

/* A context of at least nr events for the caller, its ring mapped. -EINVAL, -EAGAIN, -ENOMEM. */
int MUST_CHECK aio_ctx_new(uint32_t nr, uaddr_t *out_id);
/* +1; -EINVAL. */
int MUST_CHECK aio_ctx_find_get(uaddr_t id, struct aio_ctx **out);
void aio_ctx_put(struct aio_ctx *c);
/* Cancels what waits, waits for what runs, unmaps the ring. -EINVAL: destroyed already. */
int aio_ctx_destroy(struct aio_ctx *c);
/* Most requests that one io_submit takes. */
uint32_t aio_ctx_slots(const struct aio_ctx *c);
/* Room in the ring for one more completion: -EAGAIN. Each success is answered by one of the next
 * three. */
int MUST_CHECK aio_reserve(struct aio_ctx *c);
void aio_unreserve(struct aio_ctx *c);
struct aio_done {
    uint64_t data, obj;
    struct file *eventfd; /* borrowed, or NULL */
};
void aio_complete(struct aio_ctx *c, const struct aio_done *d, int64_t res);
/* Completes when f has one of events (WAKE_*). -EINVAL, -ENOMEM. */
int MUST_CHECK aio_poll(struct aio_ctx *c, const struct aio_done *d, struct file *f,
                        uint32_t events);
/* io_cancel(2): -EINPROGRESS, or -EINVAL when nothing of obj waits. */
int aio_cancel(struct aio_ctx *c, uint64_t obj);
/* Copies out up to nr events and waits until there were min_nr, the deadline or a signal. The count;
 * -EFAULT, -EINVAL (destroyed meanwhile), -ERESTARTSYS when a signal came before any event. */
long aio_read_events(struct aio_ctx *c, long min_nr, long nr, uaddr_t events, uint64_t deadline);
