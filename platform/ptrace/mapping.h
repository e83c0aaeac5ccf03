/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pending changes of one address space and the set of what is mapped. Plain data, no host calls, no
 * locks of its own: the space's lock covers it.
 *
 * The queue keeps order. A change that continues the last one is merged into it, and changes that
 * the new one overwrites completely are dropped from the end, so loops over pages cost one entry.
 */
#pragma once

#include "platform/base/compiler.h"
#include "sentry/abi/types.h"

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
    struct change *items;
    uint32_t count, room;
};

/* -ENOMEM leaves the queue as it was. */
int MUST_CHECK queue_add(struct queue *q, const struct change *c);
void queue_reset(struct queue *q); /* keeps the memory */
void queue_destroy(struct queue *q);

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
void rangeset_reset(struct rangeset *r);
void rangeset_destroy(struct rangeset *r);
