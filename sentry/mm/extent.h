/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A set of free page runs: ordered by address for coalescing, and in size classes (powers of two)
 * for allocation. Not locked; memfile.c holds RANK_MEMFILE around it.
 */
#pragma once

#include "platform/base/list.h"
#include "platform/base/tree.h"

#define EXTENT_CLASSES 32

/* Lifetime: unique; owned by the pool it is in. */
struct extent {
    RB_ENTRY(extent) node;
    struct list same_class;
    uint32_t start, count; /* pages; count > 0 */
};
RB_HEAD(extent_tree, extent);

struct extent_pool {
    struct extent_tree tree;
    struct list class[EXTENT_CLASSES]; /* extents with floor(log2(count)) == index */
    uint64_t pages;
};

void extent_pool_init(struct extent_pool *p);
void extent_pool_destroy(struct extent_pool *p);
/* All of from goes to *to, which is no pool yet; from is empty then. */
void extent_pool_move(struct extent_pool *from, struct extent_pool *to);
/* Adds a run that does not overlap any in the pool, merging neighbours. False: out of memory. */
bool MUST_CHECK extent_pool_add(struct extent_pool *p, uint32_t start, uint32_t count);
/* Takes count contiguous pages; false when there is no such run. */
bool MUST_CHECK extent_pool_take(struct extent_pool *p, uint32_t count, uint32_t *out_start);
/* Takes [start, start+count) if start begins a free run of at least that size (growing a run). */
bool MUST_CHECK extent_pool_take_at(struct extent_pool *p, uint32_t start, uint32_t count);
/* Takes count pages, a power of two, at a multiple of count; false when there is no such run. */
bool MUST_CHECK extent_pool_take_aligned(struct extent_pool *p, uint32_t count,
                                         uint32_t *out_start);
/* Takes one of the largest runs whole; false when the pool is empty. */
bool MUST_CHECK extent_pool_take_largest(struct extent_pool *p, uint32_t *out_start,
                                         uint32_t *out_count);
