// SPDX-License-Identifier: Apache-2.0
/*
 * Where things go in an address space: layout of a new image with ASLR as x86-64 Linux does it
 * (arch/x86/mm/mmap.c by behaviour), and the search for a free range. The layouts of Linux hold as
 * long as the platform's range does; where it ends earlier, everything moves down with it.
 */
#include <errno.h>
#include <string.h>

#include "sentry/core/curr.h"
#include "sentry/core/random.h"
#include "sentry/mm/mm_internal.h"

#define MMAP_MIN_ADDR   65536ul
#define STACK_RND_PAGES 0x3ffffful /* 16 GiB */
#define MMAP_RND_BITS   28
#define GAP_MIN         (128ul << 20)
#define LOW_4G_START    0x40000000ul
#define LOW_4G_END      0x80000000ul

static uint64_t random_word(void)
{
    uint64_t v = 0;

    random_bytes(&v, sizeof(v));
    return v;
}

void mm_layout_init(struct mm *mm, uint64_t stack_limit, bool randomize)
{
    uint64_t rnd = randomize ? (random_word() & ((1ul << MMAP_RND_BITS) - 1)) << LX_PAGE_SHIFT : 0;
    uint64_t stack_rnd = randomize ? (random_word() & STACK_RND_PAGES) << LX_PAGE_SHIFT : 0;
    uint64_t pad, gap = stack_limit, gap_max = mm->high / 6 * 5;

    mm->stack_top = mm->high - stack_rnd;
    vma_set_init(&mm->vmas);
    mm->legacy_layout = stack_limit == LX_RLIM_INFINITY;
    if (mm->legacy_layout) {
        mm->mmap_base = align_up(mm->high / 3, LX_PAGE_SIZE) + rnd;
        return;
    }
    pad = (randomize ? STACK_RND_PAGES << LX_PAGE_SHIFT : 0) + STACK_GUARD_GAP;
    if (gap + pad > gap)
        gap += pad;
    if (gap < GAP_MIN)
        gap = GAP_MIN;
    if (gap > gap_max)
        gap = gap_max;
    mm->mmap_base = align_down(mm->high - gap - rnd, LX_PAGE_SIZE);
}

uaddr_t mm_mmap_base(struct mm *mm)
{
    return mm->mmap_base;
}

static uaddr_t lowest(const struct mm *mm)
{
    return MAX(mm->low, MMAP_MIN_ADDR);
}

/* MAP_FIXED: only the range is checked. */
static int64_t fixed_area(const struct mm *mm, uaddr_t addr, uint64_t size)
{
    if (size > LX_TASK_SIZE || addr > LX_TASK_SIZE - size)
        return -ENOMEM;
    if (addr & ~LX_PAGE_MASK)
        return -EINVAL;
    if (addr < MMAP_MIN_ADDR &&
        !(curr() && curr()->cred && cred_capable(curr()->cred, LX_CAP_SYS_RAWIO)))
        return -EPERM;
    if (addr < mm->low || addr + size > mm->high)
        return -ENOMEM;
    return (int64_t)addr;
}

int64_t mm_find_area(struct mm *mm, uaddr_t hint, uint64_t size, uint32_t flags)
{
    uaddr_t addr, low = lowest(mm);

    if (flags & LX_MAP_FIXED)
        return fixed_area(mm, hint, size);
    if (size > LX_TASK_SIZE || size > mm->high - low)
        return -ENOMEM;
    if (hint) {
        addr = align_up(hint, LX_PAGE_SIZE);
        if (addr >= low && addr <= mm->high - size && vma_set_is_free(&mm->vmas, addr, addr + size))
            return (int64_t)addr;
    }
    if (flags & LX_MAP_32BIT) {
        addr = vma_set_gap_up(&mm->vmas, size, LOW_4G_START, LOW_4G_END);
        return addr ? (int64_t)addr : -ENOMEM;
    }
    if (mm->legacy_layout) {
        addr = vma_set_gap_up(&mm->vmas, size, mm->mmap_base, mm->high);
        return addr ? (int64_t)addr : -ENOMEM;
    }
    addr = vma_set_gap_down(&mm->vmas, size, low, mm->mmap_base);
    if (!addr) {
        /* Linux: top down failed, try from below once. */
        addr = vma_set_gap_up(&mm->vmas, size, align_up(mm->high / 3, LX_PAGE_SIZE), mm->high);
    }
    return addr ? (int64_t)addr : -ENOMEM;
}

int64_t mm_setup_stack(struct mm *mm, uint64_t size, uint32_t prot)
{
    struct vma templ;
    int64_t ret;

    size = align_up(size, LX_PAGE_SIZE);
    mutex_lock(&mm->lock);
    memset(&templ, 0, sizeof(templ));
    templ.mm = mm;
    templ.end = mm->stack_top;
    templ.start = templ.end - size;
    templ.prot = prot & LX_PROT_RWX;
    templ.max_prot = LX_PROT_RWX;
    templ.flags = VMA_GROWSDOWN;
    if (!mm_may_expand(mm, templ.prot, templ.flags, pages_of(size)))
        ret = -ENOMEM;
    else if (!vma_set_is_free(&mm->vmas, templ.start, templ.end))
        ret = -ENOMEM;
    else
        ret = mm_add_vma(mm, &templ, NULL);
    if (ret == 0)
        ret = (int64_t)mm->stack_top;
    mutex_unlock(&mm->lock);
    return ret;
}
