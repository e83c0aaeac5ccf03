/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Page index -> memory file page, sparse: a radix tree of 64-way nodes that is as high as the
 * highest page needs. A file of one page has no nodes at all. Not locked; owns one count of each
 * page.
 */
#pragma once

#include "sentry/mm/memfile.h"

struct page_tree {
    void *root;      /* leaf (height 1) or inner node */
    uint32_t height; /* 0: only page 0, in `single` */
    mfpage_t single;
    uint64_t count; /* pages present */
};

void page_tree_init(struct page_tree *t);
/* MEMFILE_NONE for a hole. */
mfpage_t page_tree_get(const struct page_tree *t, uint64_t index);
/* Fills a hole with a page whose count becomes the tree's. -ENOMEM. */
int MUST_CHECK page_tree_set(struct page_tree *t, uint64_t index, mfpage_t page);
/* How many pages from index on (at most max) are consecutive in the memory file; 0 for a hole. */
uint32_t page_tree_run(const struct page_tree *t, uint64_t index, uint32_t max);
/* First page present at or after index; false when there is none. */
bool page_tree_next(const struct page_tree *t, uint64_t index, uint64_t *out);
/* Puts the pages first..last; returns how many there were. */
uint64_t page_tree_drop(struct page_tree *t, uint64_t first, uint64_t last);
