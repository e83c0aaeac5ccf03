/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is the same in every back end whose guest code runs in stub processes: the queue of pending
 * mapping changes of an address space, how it is applied, the pool of empty spaces, start and range
 * of the platform.
 *
 * pending is not PENDING_NONE from the first queued change until the host has all of them. A thread
 * may enter guest code only after it saw pending != PENDING_FORCED with its own seq (ctx.c) already
 * odd; therefore, when a change is queued, every thread that is in guest code has an odd seq that
 * was set before. Changes are made in the host address space that all stubs of a space share, so one
 * drain is enough for all.
 *
 * A queue is kept until all of it was applied. Every change is idempotent and order is kept, so it
 * may be applied again from the beginning.
 */
#pragma once

#include <stdatomic.h>

#include "platform/base/list.h"
#include "platform/base/lock.h"
#include "platform/platform.h"
#include "platform/stub/lazy.h"
#include "platform/stub/mapping.h"

enum { SPACE_POOL_MAX = 8 }; /* empty spaces kept for exec */

/* A back end's struct platform begins with it. Keys: I immutable, p ->pool_lock */
struct stub_platform {
    uaddr_t low, high; /* I: what guests may use */
    bool has_rseq;     /* I: the host does, and it is wanted */
    struct mutex pool_lock;
    struct list pool;    /* p: clean spaces */
    unsigned pool_count; /* p */
};

struct stub_space;

struct stub_space_ops {
    /* Makes changes in the host, in order, as many of count as fit in one go. Returns how many were
     * made; *out_error: why not the next one, 0 when there was just no room. -ESRCH: the process
     * that makes them is gone. by: what at_hand said, or the ctx that drains. Caller holds s->lock.
     */
    int (*apply)(struct stub_space *s, struct platform_ctx *by, const struct change *ch,
                 uint32_t count, int *out_error);
    /* May the calling thread apply changes at this moment? */
    bool (*at_hand)(struct stub_space *s, struct platform_ctx **out_by);
    /* The queue became empty other than by being taken back; s->lock is held. NULL: nothing to do.
     */
    void (*applied)(struct stub_space *s);
    /* A change of [addr, addr + size) is about to be queued: its kind, and whether it ends with
     * pages that can be written. addr 0: all goes. May queue changes of its own. Fails the change.
     * s->lock is held. NULL: nothing to do. */
    int (*changing)(struct stub_space *s, enum change_kind kind, bool writable, uaddr_t addr,
                    uint64_t size);
    /* The host lost all mappings for want of room; what mm asked for stays. s->lock is held. NULL:
     * nothing to do. */
    void (*dropped)(struct stub_space *s);
    const char *name; /* of the back end, for the log */
};

/* A back end's struct platform_space begins with it. Keys: I immutable, s ->lock, a atomic */
struct stub_space {
    const struct stub_space_ops *ops; /* I */
    uaddr_t low, high;                /* I: what guests may use */
    struct list pool_node;            /* stub_platform.pool_lock, while pooled */
    struct mutex lock;                /* rank SPACE */
    struct list ctxs;                 /* s */
    unsigned ctx_count;               /* s */
    bool dirty;                       /* s: the host address space may hold mappings */
    struct queue queue;               /* s: changes the host has not seen */
    struct rangeset mapped;           /* s: what the host has mapped; may name too many */
    bool own;                         /* s: the queue has mappings of stubs' own, which the host
                                         may use without guest code: barriers drain */
    atomic_uint pending;              /* a: PENDING_*; written under s */
    uaddr_t bad_start, bad_end;       /* s: the host refused to map this: guest gets SIGBUS */
};

/* Each back end asserts that its own struct begins with these. */
static inline struct stub_platform *stub_platform_of(struct platform *p)
{
    return (struct stub_platform *)(void *)p; /* SAFETY: the first member */
}
static inline struct stub_space *stub_space_of(struct platform_space *s)
{
    return (struct stub_space *)(void *)s; /* SAFETY: the first member */
}

/* Ends of stubs are nobody's signal from here on. */
int MUST_CHECK stub_platform_init(struct stub_platform *p);
void stub_platform_range(struct platform *p, uaddr_t *out_low, uaddr_t *out_high);
/* why: what failed, a phrase after "cannot". May be called in a child of the calling process. */
typedef int stub_start_fn(const struct platform_config *config, struct platform **out,
                          const char **out_why);
/* Starts and logs why it could not; hint is appended when the host forbids something. */
int stub_platform_start(const struct platform_config *config, struct platform **out,
                        const char *name, stub_start_fn *start, const char *hint);

/* NULL: none. */
struct stub_space *stub_pool_get(struct stub_platform *p);
/* False: it is full. */
bool MUST_CHECK stub_pool_put(struct stub_platform *p, struct stub_space *s);
bool stub_pool_has_room(struct stub_platform *p);
bool stub_pool_has_any(struct stub_platform *p);

void stub_space_init(struct stub_space *s, const struct stub_platform *p,
                     const struct stub_space_ops *ops);
void stub_space_destroy(struct stub_space *s);
/* Nothing is mapped any more, or nobody is there who could tell. Caller holds s->lock or is alone. */
void stub_space_forget(struct stub_space *s);

/* platform_ops */
int stub_space_map(struct platform_space *space, uaddr_t addr, size_t size, int prot, int fd,
                   uint64_t offset, uint32_t flags);
int stub_space_unmap(struct platform_space *space, uaddr_t addr, size_t size);
int stub_space_protect(struct platform_space *space, uaddr_t addr, size_t size, int prot);
int stub_space_clear(struct platform_space *space);

/* A mapping outside of what guests may use; guest code does not run without it. */
int MUST_CHECK stub_space_map_own_locked(struct stub_space *s, const struct change *map)
    REQUIRES(s->lock);
/* Applies the queue. -ESRCH: there is no process any more that could. */
int MUST_CHECK stub_space_drain(struct stub_space *s, struct platform_ctx *by);
int MUST_CHECK stub_space_drain_locked(struct stub_space *s, struct platform_ctx *by)
    REQUIRES(s->lock);
/* To be called after every change of the queue; may apply it when it has become long. */
void stub_space_queue_changed_locked(struct stub_space *s) REQUIRES(s->lock);
/* Would a fault at addr be helped by applying the queue? */
bool stub_space_addr_pending(struct stub_space *s, uaddr_t addr);
/* Did the host refuse to map addr? */
bool stub_space_addr_bad(struct stub_space *s, uaddr_t addr);
