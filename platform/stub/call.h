/* SPDX-License-Identifier: Apache-2.0 */
/* One host call that a stub makes for the sentry, in the form stub code reads it from its request
 * page. */
#pragma once

#include <sys/mman.h>
#include <sys/syscall.h>

#include "platform/platform.h"
#include "platform/stub/mapping.h"

struct stub_call {
    uint32_t nr;
    uint32_t prot;  /* third argument */
    uint32_t flags; /* fourth */
    int32_t fd;     /* fifth */
    uint64_t addr;  /* first */
    uint64_t size;  /* second */
    uint64_t off;   /* sixth */
};

static inline void stub_call_fill(struct stub_call *r, const struct change *ch)
{
    *r = (struct stub_call){.addr = ch->addr, .size = ch->size, .fd = -1};
    switch (ch->kind) {
    case CHANGE_MAP:
        r->nr = SYS_mmap;
        r->prot = (uint32_t)ch->prot;
        r->flags = MAP_SHARED | MAP_FIXED |
                   (ch->flags & PLATFORM_MAP_POPULATE ? (uint32_t)MAP_POPULATE : 0);
        r->fd = ch->fd;
        r->off = ch->offset;
        break;
    case CHANGE_UNMAP:
        r->nr = SYS_munmap;
        break;
    case CHANGE_PROTECT:
        r->nr = SYS_mprotect;
        r->prot = (uint32_t)ch->prot;
        break;
    }
}
