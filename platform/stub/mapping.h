/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pending changes of one address space, and the set of pages the host has mapped. Plain data, no
 * host calls, no locks of its own: the space's lock covers it.
 *
 * The queue holds disjoint ranges, sorted, each with what its pages shall become, so a later change
 * of the same pages rewrites the earlier one and the order of application does not matter. A change
 * is lazy when the host has nothing mapped where it maps something: guest code that runs without it
 * gets a fault and can be helped then. All other changes are forced: guest code must not run
 * without them.
 */
#pragma once

#include "platform/base/compiler.h"
#include "sentry/abi/types.h"

struct range {
    uaddr_t start, end;
};

/* Sorted, disjoint, not adjacent. Lifetime: embedded. */
struct rangeset {
    struct range *items;
    uint32_t count, room;
};

int MUST_CHECK rangeset_add(struct rangeset *r, uaddr_t start, uaddr_t end);
/* May split a range: -ENOMEM leaves the set as it was. */
int MUST_CHECK rangeset_remove(struct rangeset *r, uaddr_t start, uaddr_t end);
/* The first part of the set inside [start, end); false when there is none. */
bool rangeset_next(const struct rangeset *r, uaddr_t start, uaddr_t end, struct range *out);
int MUST_CHECK rangeset_copy(struct rangeset *dst, const struct rangeset *src);
/* After it, the set can grow to count ranges without fail. */
int MUST_CHECK rangeset_reserve(struct rangeset *r, uint32_t count);
void rangeset_reset(struct rangeset *r);
void rangeset_destroy(struct rangeset *r);

enum change_kind { CHANGE_MAP, CHANGE_UNMAP, CHANGE_PROTECT };

struct change {
    enum change_kind kind;
    int prot;
    int fd;
    uint32_t flags; /* PLATFORM_MAP_* */
    uaddr_t addr;
    uint64_t size;
    uint64_t offset;
};

/* Lifetime: embedded. */
struct queue {
    struct change *items; /* sorted by addr, disjoint */
    uint32_t count, room;
    bool forced; /* guest code must not run before all of it is applied */
};

/* host: what the host has mapped; may name too many pages, never too few. -ENOMEM: the queue may
 * have lost changes of the range, but asks for no mapping that was not wanted. */
int MUST_CHECK queue_map(struct queue *q, struct rangeset *host, const struct change *map);
int MUST_CHECK queue_unmap(struct queue *q, struct rangeset *host, uaddr_t addr, uint64_t size);
int MUST_CHECK queue_protect(struct queue *q, const struct rangeset *host, uaddr_t addr,
                             uint64_t size, int prot);
/* Will addr be mapped by a queued change? */
bool queue_maps(const struct queue *q, uaddr_t addr);
/* Before the changes are applied, which may stop half-way: host names what may be mapped then, and
 * the queue must be applied again before guest code runs. */
void queue_applying(struct queue *q, struct rangeset *host);
/* Everything was applied: host is what the host has. Empties the queue, keeps its memory. */
void queue_applied(struct queue *q, struct rangeset *host);
/* Takes changes below end back; none goes across it. */
void queue_reset_below(struct queue *q, uaddr_t end);
void queue_reset(struct queue *q);
void queue_destroy(struct queue *q);
