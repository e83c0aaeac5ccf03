/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The memory file: one file without a name that backs all guest memory that is not a host file (anonymous, tmpfs
 * pages, pipe buffers, copies of pages). The sentry maps it in large chunks, so a page's sentry
 * address is arithmetic. Pages are counted: a page is free when its count drops to 0.
 */
#pragma once

#include "platform/base/compiler.h"

/* Page number inside the memory file; MEMFILE_NONE is no page. */
typedef uint32_t mfpage_t;
#define MEMFILE_NONE 0xffffffffu
/* What the host maps with one entry where file offset and address are multiples of it. */
#define MEMFILE_BLOCK_PAGES 512u

enum memfile_kind { MEMFILE_ANON, MEMFILE_TMPFS, MEMFILE_PIPE, MEMFILE_KERNEL, MEMFILE_KIND_COUNT };

/* Before memfile_init: the file to use, of a file system that gives huge pages to mappings that ask
 * for them. Takes fd. */
void memfile_provide(int fd);
/* limit: bytes the sandbox may use in all (0: no limit); above it allocation is -ENOMEM. */
int memfile_init(uint64_t limit);
/* From now on the host has no page that is not in use, as far as it can be: it counts them against a
 * limit of its own. */
void memfile_exact(void);
int memfile_fd(void);
/* count contiguous zeroed pages, each with count 1. -ENOMEM (limit or host out of space). */
int MUST_CHECK memfile_alloc(enum memfile_kind kind, uint32_t count, mfpage_t *out_first);
void memfile_get(mfpage_t first, uint32_t count);
void memfile_put(mfpage_t first, uint32_t count);
/* References to one page: 1 = the caller is its only owner. */
uint32_t memfile_count(mfpage_t page);
/* Sentry address of a page; contiguous pages are contiguous in memory only within one chunk: use
 * memfile_run to learn how many bytes follow. Never NULL for an allocated page. */
void *memfile_ptr(mfpage_t page);
uint32_t memfile_run(mfpage_t first, uint32_t count);
static inline uint64_t memfile_offset(mfpage_t page)
{
    return (uint64_t)page << 12;
}
struct memfile_stats {
    uint64_t used[MEMFILE_KIND_COUNT]; /* bytes */
    uint64_t limit;
};
void memfile_stats(struct memfile_stats *out);
