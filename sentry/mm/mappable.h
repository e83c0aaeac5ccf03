/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Mappable: something whose bytes can appear in an address space (a regular file's data, a shared
 * anonymous object, a SysV segment). mm asks it where a page's bytes are; it tells mm when they
 * move or vanish. Embedded in its owner (struct inode has one); holds the reverse map of vmas.
 */
#pragma once

#include "platform/base/list.h"
#include "platform/base/lock.h"
#include "sentry/mm/memfile.h"

struct mappable;

enum backing_kind { BACKING_MEMFILE, BACKING_HOST };

/* A run of bytes that can be mapped. */
struct backing {
    enum backing_kind kind;
    mfpage_t page;        /* MEMFILE: first page; a count is taken for the caller on each page */
    struct hostmem *host; /* HOST: +1 for the caller, see hostmem.h */
    uint64_t host_off;    /* HOST: byte offset, page aligned */
    uint32_t count;       /* pages in the run, 1 <= count <= asked */
};

struct mappable_ops {
    /* Where are pages [pgoff, pgoff+count)? write: they will be written through this mapping
     * (shared writable); allocate holes then. At least the first page or an error: -ENXIO past end
     * of file (SIGBUS), -ENOSPC, -EIO, -ENOMEM. Called with RANK_MM held; may block on the gofer.
     */
    int (*translate)(struct mappable *m, uint64_t pgoff, uint32_t count, bool write,
                     struct backing *out);
    /* Pins and unpins the owner (a vma holds one reference). */
    void (*get)(struct mappable *m);
    void (*put)(struct mappable *m);
    /* A shared writable mapping may have dirtied [pgoff, +count): msync, unmap. Optional. */
    int (*sync)(struct mappable *m, uint64_t pgoff, uint64_t count);
    /* Frees [pgoff, +count): reads as zero then (MADV_REMOVE, as fallocate's punch hole); calls
     * mappable_invalidate itself. No lock held. [-EOPNOTSUPP] */
    int (*punch)(struct mappable *m, uint64_t pgoff, uint64_t count);
};

struct mappable {
    const struct mappable_ops *ops; /* I; NULL: cannot be mapped (-ENODEV) */
    struct mutex lock;              /* rank MAPPABLE */
    struct list vmas;               /* mappable.lock: vmas that map it */
};

void mappable_init(struct mappable *m, const struct mappable_ops *ops);
void mappable_destroy(struct mappable *m);
/* Pages [pgoff, pgoff+count) moved or vanished (truncate, hole punch, copy-up of shared data):
 * every address space drops them and faults again. private_too: also private copies (truncate does,
 * even_cows of unmap_mapping_range). Returns when no guest thread can use the old pages. Holds no
 * lock ranked at or after MM. */
void mappable_invalidate(struct mappable *m, uint64_t pgoff, uint64_t count, bool private_too);
/* Is anything mapped shared-writable (deny-write, F_SEAL_WRITE: -EBUSY)? */
bool mappable_writable_mapped(struct mappable *m);
bool mappable_mapped(struct mappable *m);
