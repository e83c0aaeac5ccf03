// SPDX-License-Identifier: Apache-2.0
/* mremap: resize in place or move, with the page map entries and without copying bytes. */
#include <errno.h>

#include "sentry/core/curr.h"
#include "sentry/mm/mm_internal.h"

struct remap {
    struct mm *mm;
    uaddr_t old, new_addr;
    uint64_t old_size, new_size;
    uint32_t flags;
    struct vma *dead;
};

/* May the mapping at r->old grow (or be duplicated) to new_size? Linux's vma_to_resize. */
static int check_resize(struct remap *r, struct vma **out)
{
    struct vma *v = vma_set_at(&r->mm->vmas, r->old);
    uint64_t grow = r->new_size - r->old_size;

    if (!v)
        return -EFAULT;
    if (r->old_size == 0 && !(v->flags & VMA_SHARED))
        return -EINVAL;
    if ((r->flags & LX_MREMAP_DONTUNMAP) && (v->flags & VMA_SPECIAL))
        return -EINVAL;
    if (r->old_size > v->end - r->old)
        return -EFAULT;
    *out = v;
    if (r->new_size == r->old_size)
        return 0;
    if (v->object && v->offset + (r->old - v->start) + r->new_size < r->new_size)
        return -EINVAL;
    if (v->flags & VMA_SPECIAL)
        return -EFAULT;
    if ((v->flags & VMA_LOCKED) && !mm_lock_fits(r->mm, pages_of(grow)))
        return -EAGAIN;
    if (!mm_may_expand(r->mm, v->prot, v->flags, pages_of(grow)))
        return -ENOMEM;
    if ((v->prot & LX_PROT_WRITE) && !(v->flags & (VMA_SHARED | VMA_NORESERVE)) &&
        !mm_overcommit_ok(pages_of(grow)))
        return -ENOMEM;
    return 0;
}

/* Leaves for every present page of the source, so that moving cannot fail half way. */
static int reserve_leaves(struct mm *mm, uaddr_t from, uaddr_t to, uint64_t size)
{
    uaddr_t addr = from;
    struct pt_leaf *leaf;

    while (page_map_next(&mm->pages, &addr, from + size)) {
        int ret = page_map_leaf(&mm->pages, to + (addr - from), &leaf);

        if (ret < 0)
            return ret;
        addr += LX_PAGE_SIZE;
    }
    return 0;
}

static int move_pages(struct mm *mm, struct vma *v, uaddr_t from, uaddr_t to, uint64_t size)
{
    uaddr_t addr = from, run_at = 0;
    pte_t run = 0, e;
    uint32_t pages = 0;
    struct pt_leaf *leaf;
    int ret = 0;

    if (!page_map_next(&mm->pages, &addr, from + size))
        return 0;
    mm->change_gen++;
    if (g_mm_platform->space_unmap(mm->space, addr, from + size - addr) < 0)
        mm_platform_reset(mm);
    g_mm_platform->space_barrier(mm->space);
    for (; page_map_next(&mm->pages, &addr, from + size); addr += LX_PAGE_SIZE) {
        uaddr_t at = to + (addr - from);

        e = page_map_clear(&mm->pages, addr);
        e = pte_with_prot(e, mm_allowed_prot(v, e));
        ret = page_map_leaf(&mm->pages, at, &leaf);
        ASSERT(ret == 0); /* reserve_leaves made it */
        page_map_set(&mm->pages, leaf, at, e);
        if (pages > 0 && at == run_at + (uint64_t)pages * LX_PAGE_SIZE &&
            e == run + ((pte_t)pages << PTE_PAGE_SHIFT)) {
            pages++;
            continue;
        }
        if (pages > 0 && mm_map_run(mm, run_at, pages, run, 0) < 0)
            mm_platform_reset(mm);
        run = e;
        run_at = at;
        pages = 1;
    }
    if (pages > 0 && mm_map_run(mm, run_at, pages, run, 0) < 0)
        mm_platform_reset(mm);
    page_map_prune(&mm->pages, from, from + size);
    return 0;
}

/* Creates the mapping at to and moves r->old_size bytes of v's pages there. */
static int64_t move_vma(struct remap *r, struct vma *v, uaddr_t to)
{
    struct mm *mm = r->mm;
    struct vma t = vma_template(v);
    int ret;

    if (mm->vmas.count >= MAP_COUNT_MAX - 3)
        return -ENOMEM;
    t.start = to;
    t.end = to + r->new_size;
    if (t.object || t.file)
        t.offset += r->old - v->start;
    if (r->flags & LX_MREMAP_DONTUNMAP)
        t.flags &= ~(VMA_LOCKED | VMA_LOCKONFAULT);
    ret = reserve_leaves(mm, r->old, to, r->old_size);
    if (ret < 0)
        return ret;
    ret = mm_add_vma(mm, &t, &v);
    if (ret < 0)
        return ret;
    move_pages(mm, v, r->old, to, r->old_size);
    if (!(r->flags & LX_MREMAP_DONTUNMAP) && r->old_size > 0) {
        ret = mm_unmap_locked(mm, r->old, r->old + r->old_size, &r->dead);
        if (ret < 0)
            return ret;
    }
    v = vma_set_at(&mm->vmas, to);
    if (v && (v->flags & VMA_LOCKED) && !(v->flags & VMA_LOCKONFAULT))
        (void)mm_populate_locked(mm, to + r->old_size, to + r->new_size, false); /* as Linux */
    return (int64_t)to;
}

static int64_t remap_to(struct remap *r)
{
    struct mm *mm = r->mm;
    uint32_t map_flags = 0;
    struct vma *v;
    int64_t area;
    int ret;

    if (r->new_addr & ~LX_PAGE_MASK)
        return -EINVAL;
    if (r->new_size > LX_TASK_SIZE || r->new_addr > LX_TASK_SIZE - r->new_size)
        return -EINVAL;
    if (r->old + r->old_size > r->new_addr && r->new_addr + r->new_size > r->old)
        return -EINVAL;
    if (mm->vmas.count + 2 >= MAP_COUNT_MAX - 3)
        return -ENOMEM;
    if (r->flags & LX_MREMAP_FIXED) {
        ret = mm_check_sealed(mm, r->new_addr, r->new_addr + r->new_size);
        if (ret == 0)
            ret = mm_unmap_locked(mm, r->new_addr, r->new_addr + r->new_size, &r->dead);
        if (ret < 0)
            return ret;
        map_flags = LX_MAP_FIXED;
    }
    if (r->old_size > r->new_size) {
        ret = mm_unmap_locked(mm, r->old + r->new_size, r->old + r->old_size, &r->dead);
        if (ret < 0)
            return ret;
        r->old_size = r->new_size;
    }
    ret = check_resize(r, &v);
    if (ret < 0)
        return ret;
    if ((r->flags & LX_MREMAP_DONTUNMAP) &&
        !mm_may_expand(mm, v->prot, v->flags, pages_of(r->old_size)))
        return -ENOMEM;
    area = mm_find_area(mm, r->new_addr, r->new_size, map_flags);
    if (area < 0)
        return area;
    return move_vma(r, v, (uaddr_t)area);
}

/* The vma ends where the old range ends and there is room behind it. */
static bool grow_in_place(struct remap *r, struct vma *v)
{
    uint64_t grow = r->new_size - r->old_size;
    struct vma *next = vma_next(v);
    uaddr_t end = v->end + grow;

    if (r->old_size != v->end - r->old || end < v->end || end > r->mm->high)
        return false;
    if (next && vma_start_gap(next) < end)
        return false;
    v->end = end;
    mm_account(r->mm, v, grow, 1);
    if ((v->flags & VMA_LOCKED) && !(v->flags & VMA_LOCKONFAULT))
        (void)mm_populate_locked(r->mm, end - grow, end, false); /* errors are not mremap's */
    vma_set_merge(&r->mm->vmas, v);
    return true;
}

static int64_t remap_locked(struct remap *r)
{
    struct vma *v = vma_set_at(&r->mm->vmas, r->old);
    int64_t area;
    int ret;

    if (!v)
        return -EFAULT;
    ret = mm_check_sealed(r->mm, r->old, r->old + MAX(r->old_size, LX_PAGE_SIZE));
    if (ret < 0)
        return ret;
    if (r->flags & (LX_MREMAP_FIXED | LX_MREMAP_DONTUNMAP))
        return remap_to(r);
    if (r->old_size >= r->new_size) {
        if (r->old_size > r->new_size) {
            ret = mm_unmap_locked(r->mm, r->old + r->new_size, r->old + r->old_size, &r->dead);
            if (ret < 0)
                return ret;
        }
        return (int64_t)r->old;
    }
    ret = check_resize(r, &v);
    if (ret < 0)
        return ret;
    if (grow_in_place(r, v))
        return (int64_t)r->old;
    if (!(r->flags & LX_MREMAP_MAYMOVE))
        return -ENOMEM;
    area = mm_find_area(r->mm, 0, r->new_size, 0);
    if (area < 0)
        return area;
    return move_vma(r, v, (uaddr_t)area);
}

int64_t mm_mremap(struct mm *mm, uaddr_t old, uint64_t old_size, uint64_t new_size, uint32_t flags,
                  uaddr_t new_addr)
{
    struct remap r = {.mm = mm, .old = old, .new_addr = new_addr, .flags = flags};
    int64_t ret;

    if (flags & ~(LX_MREMAP_MAYMOVE | LX_MREMAP_FIXED | LX_MREMAP_DONTUNMAP))
        return -EINVAL;
    if ((flags & LX_MREMAP_FIXED) && !(flags & LX_MREMAP_MAYMOVE))
        return -EINVAL;
    if ((flags & LX_MREMAP_DONTUNMAP) && (!(flags & LX_MREMAP_MAYMOVE) || old_size != new_size))
        return -EINVAL;
    if (old & ~LX_PAGE_MASK)
        return -EINVAL;
    r.old_size = align_up(old_size, LX_PAGE_SIZE);
    r.new_size = align_up(new_size, LX_PAGE_SIZE);
    if (r.new_size == 0)
        return -EINVAL;
    if (old > LX_TASK_SIZE || r.old_size > LX_TASK_SIZE - old)
        return -EFAULT;
    mutex_lock(&mm->lock);
    ret = remap_locked(&r);
    mutex_unlock(&mm->lock);
    mm_free_dead(r.dead);
    return ret;
}
