// SPDX-License-Identifier: Apache-2.0
/* mprotect, mlock and friends, mseal: changes of vma flags over a range. */
#include <errno.h>

#include "sentry/core/curr.h"
#include "sentry/mm/mm_internal.h"

/* ---- protection -------------------------------------------------------------------------- */

static void protect_run(struct mm *mm, uaddr_t start, uaddr_t end, uint32_t prot)
{
    mm->change_gen++;
    if (g_mm_platform->space_protect(mm->space, start, end - start, (int)prot) < 0)
        mm_platform_reset(mm);
}

static void revoke_all(struct mm *mm, uaddr_t start, uaddr_t end)
{
    uaddr_t addr = start;
    bool any = false;
    pte_t *e;

    while ((e = page_map_next(&mm->pages, &addr, end)) != NULL) {
        any |= (*e & PTE_RWX) != 0;
        *e &= ~PTE_RWX;
        addr += LX_PAGE_SIZE;
    }
    if (!any)
        return;
    mm->change_gen++;
    if (g_mm_platform->space_unmap(mm->space, start, end - start) < 0)
        mm_platform_reset(mm);
    g_mm_platform->space_barrier(mm->space);
}

void mm_reprotect(struct mm *mm, struct vma *v, uaddr_t start, uaddr_t end)
{
    uaddr_t addr = start, run = 0, run_end = 0;
    uint32_t run_prot = 0;
    bool fewer = false;
    pte_t *e;

    if (prot_effective(v->prot) == 0) {
        revoke_all(mm, start, end);
        return;
    }
    while ((e = page_map_next(&mm->pages, &addr, end)) != NULL) {
        uint32_t old = pte_prot(*e), want = mm_allowed_prot(v, *e);

        if (old != 0 && old != want) {
            fewer |= (old & ~want) != 0;
            if (unlikely(*e & PTE_WATCHED))
                atomic_fetch_add(&mm->pages.watched_changes, 1);
            *e = pte_with_prot(*e, want);
            /* Holes in a run are skipped by the platform; a mapped page that stays ends it. */
            if (run_end != 0 && run_prot != want) {
                protect_run(mm, run, run_end, run_prot);
                run_end = 0;
            }
            if (run_end == 0)
                run = addr;
            run_end = addr + LX_PAGE_SIZE;
            run_prot = want;
        } else if (old != 0 && run_end != 0 && old != run_prot) {
            protect_run(mm, run, run_end, run_prot);
            run_end = 0;
        }
        addr += LX_PAGE_SIZE;
    }
    if (run_end != 0)
        protect_run(mm, run, run_end, run_prot);
    if (fewer)
        g_mm_platform->space_barrier(mm->space);
}

/* One piece of mprotect inside v; returns the vma that holds it afterwards, or NULL with *ret. */
static int protect_vma(struct mm *mm, struct vma *v, uaddr_t start, uaddr_t end, uint32_t prot)
{
    int ret;

    if (v->prot == prot)
        return 0;
    if ((prot & LX_PROT_WRITE) && !(v->prot & LX_PROT_WRITE) && !(v->flags & VMA_SHARED)) {
        /* Linux: memory that becomes private writable counts as data from here on. */
        if (!mm_may_expand(mm, prot, v->flags, 0) ||
            (!mm_may_expand(mm, prot, v->flags, pages_of(end - start)) &&
             mm_may_expand(mm, v->prot, v->flags, pages_of(end - start))))
            return -ENOMEM;
        if (!(v->flags & VMA_NORESERVE) && !mm_overcommit_ok(pages_of(end - start)))
            return -ENOMEM;
    }
    ret = mm_isolate(mm, start, end);
    if (ret < 0)
        return ret;
    v = vma_set_at(&mm->vmas, start);
    mm_account(mm, v, v->end - v->start, -1);
    v->prot = prot;
    mm_account(mm, v, v->end - v->start, 1);
    mm_reprotect(mm, v, v->start, v->end);
    return 0;
}

static int protect_locked(struct mm *mm, uaddr_t start, uaddr_t end, uint32_t prot, uint32_t grows)
{
    struct vma *v = vma_set_find(&mm->vmas, start);
    uaddr_t first, at;
    int ret = 0;

    if (!v)
        return -ENOMEM;
    if (grows & LX_PROT_GROWSDOWN) {
        if (v->start >= end)
            return -ENOMEM;
        start = v->start;
        if (!(v->flags & VMA_GROWSDOWN))
            return -EINVAL;
    } else if (v->start > start) {
        return -ENOMEM;
    } else if (grows & LX_PROT_GROWSUP) {
        return -EINVAL;
    }
    ret = mm_check_sealed(mm, start, end);
    if (ret < 0)
        return ret;
    first = start;
    for (at = start; at < end;) {
        uaddr_t stop;

        v = vma_set_at(&mm->vmas, at);
        if (!v) {
            ret = -ENOMEM;
            break;
        }
        if ((prot & ~v->max_prot) || mm_denies_exec(mm, v->prot, prot)) {
            ret = -EACCES;
            break;
        }
        stop = MIN(v->end, end);
        ret = protect_vma(mm, v, at, stop, prot);
        if (ret < 0)
            break;
        at = stop;
    }
    vma_set_merge_range(&mm->vmas, first, at);
    return ret;
}

int mm_mprotect(struct mm *mm, uaddr_t addr, uint64_t size, uint32_t prot)
{
    uint32_t grows = prot & (LX_PROT_GROWSDOWN | LX_PROT_GROWSUP);
    uaddr_t end;
    int ret;

    prot &= ~grows;
    if (grows == (LX_PROT_GROWSDOWN | LX_PROT_GROWSUP))
        return -EINVAL;
    if (addr & ~LX_PAGE_MASK)
        return -EINVAL;
    if (size == 0)
        return 0;
    size = align_up(size, LX_PAGE_SIZE);
    end = addr + size;
    if (end <= addr)
        return -ENOMEM;
    if (prot & ~(LX_PROT_RWX | LX_PROT_SEM))
        return -EINVAL;
    mutex_lock(&mm->lock);
    ret = protect_locked(mm, addr, end, prot & LX_PROT_RWX, grows);
    mutex_unlock(&mm->lock);
    return ret;
}

/* ---- flags over a range ------------------------------------------------------------------ */

int mm_change_flags(struct mm *mm, uaddr_t start, uaddr_t end, uint32_t clear, uint32_t set,
                    int (*check)(const struct vma *v, uint32_t set))
{
    struct vma *v;
    uaddr_t at = start;
    int ret = 0, gap = 0;

    while (at < end) {
        uaddr_t stop;

        v = vma_set_find(&mm->vmas, at);
        if (!v || v->start >= end) {
            gap = -ENOMEM;
            break;
        }
        if (v->start > at) {
            gap = -ENOMEM;
            at = v->start;
        }
        stop = MIN(v->end, end);
        ret = check ? check(v, set) : 0;
        if (ret < 0)
            break;
        if (((v->flags & ~clear) | set) != v->flags) {
            ret = mm_isolate(mm, at, stop);
            if (ret < 0)
                break;
            v = vma_set_at(&mm->vmas, at);
            mm_account(mm, v, v->end - v->start, -1);
            v->flags = (v->flags & ~clear) | set;
            mm_account(mm, v, v->end - v->start, 1);
        }
        at = stop;
    }
    vma_set_merge_range(&mm->vmas, start, MIN(at, end));
    return ret < 0 ? ret : gap;
}

/* ---- mlock ------------------------------------------------------------------------------- */

static uint64_t pages_locked(struct mm *mm, uaddr_t start, uaddr_t end)
{
    struct vma *v;
    uint64_t n = 0;

    for (v = vma_set_find(&mm->vmas, start); v && v->start < end; v = vma_next(v)) {
        if (v->flags & VMA_LOCKED)
            n += pages_of(MIN(v->end, end) - MAX(v->start, start));
    }
    return n;
}

/* Linux: a gap stops mlock at once, after what came before it was locked. */
static int lock_range(struct mm *mm, uaddr_t start, uaddr_t end, uint32_t set)
{
    uaddr_t at = start;
    struct vma *v;

    if (start == end)
        return 0;
    for (v = vma_set_at(&mm->vmas, start); v && v->start <= at && at < end; v = vma_next(v))
        at = MIN(v->end, end);
    if (at > start) {
        int ret = mm_change_flags(mm, start, at, VMA_LOCKED | VMA_LOCKONFAULT, set, NULL);

        if (ret < 0)
            return ret;
    }
    return at < end ? -ENOMEM : 0;
}

static int populate_for_lock(struct mm *mm, uaddr_t start, uaddr_t end)
{
    uaddr_t at = start;
    struct vma *v;

    while (at < end && (v = vma_set_find(&mm->vmas, at)) != NULL && v->start < end) {
        uaddr_t lo = MAX(at, v->start), hi = MIN(v->end, end);
        int ret = 0;

        at = hi;
        if ((v->flags & VMA_LOCKED) && !(v->flags & VMA_LOCKONFAULT)) {
            if (!(v->prot & LX_PROT_RWX))
                return -ENOMEM; /* Linux: no access means it cannot be made present */
            ret = mm_populate_locked(mm, lo, hi, false);
        }
        if (ret == -ENOMEM)
            return -EAGAIN;
        if (ret < 0)
            return -ENOMEM;
    }
    return 0;
}

int mm_mlock(struct mm *mm, uaddr_t addr, uint64_t size, bool lock, bool on_fault)
{
    uaddr_t start = addr & LX_PAGE_MASK, end;
    uint32_t set = 0;
    int ret;

    if (lock && !mm_can_lock())
        return -EPERM;
    size = align_up(size + (addr & ~LX_PAGE_MASK), LX_PAGE_SIZE);
    end = start + size;
    if (lock)
        set = VMA_LOCKED | (on_fault ? VMA_LOCKONFAULT : 0);
    mutex_lock(&mm->lock);
    if (lock && !mm_lock_fits(mm, pages_of(size)) &&
        !mm_lock_fits(mm, pages_of(size) - pages_locked(mm, start, start + size)))
        ret = -ENOMEM;
    else if (end < start)
        ret = -EINVAL;
    else
        ret = lock_range(mm, start, end, set);
    if (ret == 0 && lock)
        ret = populate_for_lock(mm, start, end);
    mutex_unlock(&mm->lock);
    return ret;
}

int mm_mlockall(struct mm *mm, uint32_t flags)
{
    uint32_t set = 0;
    int ret = 0;

    if (flags != 0 && !mm_can_lock())
        return -EPERM;
    if (flags != 0)
        set = VMA_LOCKED | (flags & LX_MCL_ONFAULT ? VMA_LOCKONFAULT : 0);
    mutex_lock(&mm->lock);
    if ((flags & LX_MCL_CURRENT) && !mm_lock_fits(mm, mm->total_vm - mm->locked_vm)) {
        ret = -ENOMEM;
        goto out;
    }
    mm->def_flags = flags & LX_MCL_FUTURE ? set : 0;
    if (flags == 0 || (flags & LX_MCL_CURRENT)) {
        /* Linux: gaps and errors of populating do not count here. */
        (void)mm_change_flags(mm, 0, LX_TASK_SIZE, VMA_LOCKED | VMA_LOCKONFAULT, set, NULL);
        if (flags & LX_MCL_CURRENT)
            (void)populate_for_lock(mm, 0, LX_TASK_SIZE);
    }
out:
    mutex_unlock(&mm->lock);
    return ret;
}

int mm_mseal(struct mm *mm, uaddr_t addr, uint64_t size)
{
    uaddr_t end, at = addr;
    struct vma *v;
    int ret = 0;

    if (addr & ~LX_PAGE_MASK)
        return -EINVAL;
    if (size != 0 && align_up(size, LX_PAGE_SIZE) == 0)
        return -EINVAL;
    size = align_up(size, LX_PAGE_SIZE);
    end = addr + size;
    if (end < addr)
        return -EINVAL;
    if (end == addr)
        return 0;
    mutex_lock(&mm->lock);
    for (v = vma_set_at(&mm->vmas, addr); v && v->start <= at && at < end; v = vma_next(v))
        at = v->end;
    ret = at < end ? -ENOMEM : mm_change_flags(mm, addr, end, 0, VMA_SEALED, NULL);
    mutex_unlock(&mm->lock);
    return ret;
}
