// SPDX-License-Identifier: Apache-2.0
/* mmap, munmap, brk: checks in the order of do_mmap, so that the same mistakes give the same errno.
 */
#include <errno.h>
#include <string.h>

#include "sentry/core/curr.h"
#include "sentry/mm/mm_internal.h"
#include "sentry/mm/shared_object.h"

bool mm_can_lock(void)
{
    return !g_curr_ops || g_curr_ops->rlimit(LX_RLIMIT_MEMLOCK) != 0 ||
           cred_capable(curr()->cred, LX_CAP_IPC_LOCK);
}

bool mm_lock_fits(const struct mm *mm, uint64_t pages)
{
    uint64_t limit = g_curr_ops ? g_curr_ops->rlimit(LX_RLIMIT_MEMLOCK) : LX_RLIM_INFINITY;

    return limit == LX_RLIM_INFINITY || mm->locked_vm + pages <= pages_of(limit) ||
           cred_capable(curr()->cred, LX_CAP_IPC_LOCK);
}

/* Mode 0 refuses only what the machine could never hold, whatever the limits of control groups are, mode 1 nothing, mode 2 what was not promised yet.
 * DEVIATION: mode 2 asks here only for mmap, brk and shared memory, not for fork, mprotect, stacks.
 */
bool mm_overcommit_ok(uint64_t pages)
{
    long mode = g_mm_overcommit.mode;
    if (mode == 1)
        return true;
    if (mode == 2) {
        uint64_t used = mm_committed(), limit = mm_commit_limit();

        return used < limit && pages <= limit - used;
    }
    return pages <= g_mm_total_ram;
}

/* Access mode, flags and file system rules of a file mapping. file_prot: what the descriptor and
 * the mount allow. */
static int check_file(const struct mmap_args *a, uint32_t file_prot, uint32_t *out_max)
{
    uint32_t type = a->flags & LX_MAP_TYPE;

    if (a->offset + align_up(a->size, LX_PAGE_SIZE) < a->offset ||
        a->offset + align_up(a->size, LX_PAGE_SIZE) > INT64_MAX)
        return -EOVERFLOW;
    *out_max = LX_PROT_RWX;
    switch (type) {
    case LX_MAP_SHARED:
    case LX_MAP_SHARED_VALIDATE:
        if (type == LX_MAP_SHARED_VALIDATE &&
            (a->flags & ~LX_MAP_LEGACY_MASK & ~(LX_MAP_FIXED_NOREPLACE | LX_MAP_TYPE)))
            return -EOPNOTSUPP;
        if ((a->prot & LX_PROT_WRITE) && !(file_prot & LX_PROT_WRITE))
            return -EACCES;
        if (!(file_prot & LX_PROT_WRITE))
            *out_max &= ~LX_PROT_WRITE;
        FALLTHROUGH;
    case LX_MAP_PRIVATE:
        if (!(file_prot & LX_PROT_READ))
            return -EACCES;
        if (!(file_prot & LX_PROT_EXEC)) {
            if (a->prot & LX_PROT_EXEC)
                return -EPERM;
            *out_max &= ~LX_PROT_EXEC;
        }
        if (a->flags & LX_MAP_GROWSDOWN)
            return -EINVAL;
        return 0;
    default:
        return -EINVAL;
    }
}

static int check_type(const struct mmap_args *a, struct mappable *object, struct vma *t)
{
    uint32_t max;
    int ret;

    if (a->file || a->object) {
        ret = check_file(a, a->max_prot ? a->max_prot : LX_PROT_RWX, &max);
        if (ret < 0)
            return ret;
        if (!object || !object->ops)
            return -ENODEV;
        t->max_prot = max;
        t->object = object;
        t->file = a->file;
        t->offset = a->offset;
    } else {
        switch (a->flags & LX_MAP_TYPE) {
        case LX_MAP_SHARED:
            if (a->flags & LX_MAP_GROWSDOWN)
                return -EINVAL;
            break;
        case LX_MAP_PRIVATE:
            break;
        default:
            return -EINVAL;
        }
        t->max_prot = LX_PROT_RWX;
    }
    if ((a->flags & LX_MAP_TYPE) != LX_MAP_PRIVATE)
        t->flags |= VMA_SHARED;
    return 0;
}

static int64_t place(struct mm *mm, const struct mmap_args *a, uint64_t size)
{
    uint32_t flags = a->flags;
    uaddr_t hint = a->addr;
    int64_t addr;

    if (flags & LX_MAP_FIXED_NOREPLACE)
        flags |= LX_MAP_FIXED;
    if (!(flags & LX_MAP_FIXED)) {
        hint &= LX_PAGE_MASK;
        if (hint != 0 && hint < 65536)
            hint = 65536;
    }
    addr = mm_find_area(mm, hint, size, flags);
    if (addr < 0)
        return addr;
    if (flags & LX_MAP_FIXED_NOREPLACE) {
        struct vma *v = vma_set_find(&mm->vmas, (uaddr_t)addr);

        if (v && v->start < (uaddr_t)addr + size)
            return -EEXIST;
    }
    return addr;
}

/* Pages of [start, end) that are mapped already: MAP_FIXED over them does not add to the limits. */
static uint64_t pages_mapped(struct mm *mm, uaddr_t start, uaddr_t end)
{
    struct vma *v;
    uint64_t n = 0;

    for (v = vma_set_find(&mm->vmas, start); v && v->start < end; v = vma_next(v))
        n += pages_of(MIN(v->end, end) - MAX(v->start, start));
    return n;
}

/* Everything was checked: commits the mapping t, replacing what is there. */
static int64_t map_region(struct mm *mm, struct vma *t, uint32_t flags, struct vma **out_dead)
{
    uint64_t pages = pages_of(t->end - t->start);
    struct vma *v;
    int ret;

    if (!mm_may_expand(mm, t->prot, t->flags, pages) &&
        !mm_may_expand(mm, t->prot, t->flags, pages - pages_mapped(mm, t->start, t->end)))
        return -ENOMEM;
    if ((t->prot & LX_PROT_WRITE) && !(t->flags & (VMA_SHARED | VMA_NORESERVE)) &&
        !mm_overcommit_ok(pages))
        return -ENOMEM;
    ret = mm_unmap_locked(mm, t->start, t->end, out_dead);
    if (ret < 0)
        return ret;
    ret = mm_add_vma(mm, t, &v);
    if (ret < 0)
        return ret;
    if (((flags & LX_MAP_POPULATE) && !(flags & LX_MAP_NONBLOCK)) ||
        ((t->flags & VMA_LOCKED) && !(t->flags & VMA_LOCKONFAULT))) {
        /* Linux: errors of populating are not mmap's. */
        if (t->prot & LX_PROT_RWX)
            (void)mm_populate_locked(mm, t->start, t->end, false);
    } else if (!(flags & LX_MAP_STACK)) {
        mm_prefault_locked(mm, v, t->start, t->end);
    }
    return (int64_t)t->start;
}

static int64_t do_mmap_locked(struct mm *mm, const struct mmap_args *a, struct mappable *object,
                              struct vma **out_dead)
{
    struct vma t;
    uint64_t size = align_up(a->size, LX_PAGE_SIZE);
    int64_t addr;
    int ret;

    if (size == 0)
        return -ENOMEM;
    if ((a->offset >> LX_PAGE_SHIFT) + pages_of(size) < (a->offset >> LX_PAGE_SHIFT))
        return -EOVERFLOW;
    if (mm->vmas.count > MAP_COUNT_MAX)
        return -ENOMEM;
    addr = place(mm, a, size);
    if (addr < 0)
        return addr;
    memset(&t, 0, sizeof(t));
    t.mm = mm;
    t.start = (uaddr_t)addr;
    t.end = t.start + size;
    t.prot = a->prot & LX_PROT_RWX;
    t.name = a->name;
    t.flags = mm->def_flags;
    if (a->name)
        t.flags |= VMA_SPECIAL;
    if (a->flags & LX_MAP_LOCKED)
        t.flags |= VMA_LOCKED;
    if (a->flags & LX_MAP_NORESERVE)
        t.flags |= VMA_NORESERVE;
    if (a->grows_down || (a->flags & LX_MAP_GROWSDOWN))
        t.flags |= VMA_GROWSDOWN;
    if ((a->flags & LX_MAP_LOCKED) && !mm_can_lock())
        return -EPERM;
    if ((t.flags & VMA_LOCKED) && !mm_lock_fits(mm, pages_of(size)))
        return -EAGAIN;
    ret = check_type(a, object, &t);
    if (ret < 0)
        return ret;
    if (mm_denies_exec(mm, t.prot, t.prot))
        return -EACCES;
    if (!(a->file || a->object) && (t.flags & VMA_SHARED)) {
        /* A shared anonymous object of its own, as /dev/zero. */
        ret = shared_object_new(size, !(t.flags & VMA_NORESERVE), &t.object);
        if (ret < 0)
            return ret;
        addr = map_region(mm, &t, a->flags, out_dead);
        t.object->ops->put(t.object);
        return addr;
    }
    return map_region(mm, &t, a->flags, out_dead);
}

int64_t mm_mmap(struct mm *mm, const struct mmap_args *a)
{
    struct vma *dead = NULL;
    struct mappable *object = a->object;
    int64_t ret;

    if (a->size == 0)
        return -EINVAL;
    if (!object && a->file)
        object = g_mm_file_ops->mappable(a->file);
    mutex_lock(&mm->lock);
    ret = do_mmap_locked(mm, a, object, &dead);
    mutex_unlock(&mm->lock);
    mm_free_dead(dead);
    return ret;
}

int mm_munmap(struct mm *mm, uaddr_t addr, uint64_t size)
{
    struct vma *dead = NULL;
    int ret;

    if ((addr & ~LX_PAGE_MASK) || addr > LX_TASK_SIZE || size > LX_TASK_SIZE - addr)
        return -EINVAL;
    size = align_up(size, LX_PAGE_SIZE);
    if (size == 0)
        return -EINVAL;
    mutex_lock(&mm->lock);
    ret = mm_check_sealed(mm, addr, addr + size);
    if (ret == 0)
        ret = mm_unmap_locked(mm, addr, addr + size, &dead);
    mutex_unlock(&mm->lock);
    mm_free_dead(dead);
    return ret;
}

int mm_check_sealed(struct mm *mm, uaddr_t start, uaddr_t end)
{
    struct vma *v;

    for (v = vma_set_find(&mm->vmas, start); v && v->start < end; v = vma_next(v)) {
        if (v->flags & VMA_SEALED)
            return -EPERM;
    }
    return 0;
}

/* Extends the heap to [old, new). */
static int brk_grow(struct mm *mm, uaddr_t old, uaddr_t new)
{
    struct vma *next = vma_set_find(&mm->vmas, old), t;
    int64_t area;

    if (next && vma_start_gap(next) < new + LX_PAGE_SIZE)
        return -ENOMEM;
    area = mm_find_area(mm, old, new - old, LX_MAP_FIXED);
    if (area < 0)
        return (int)area;
    memset(&t, 0, sizeof(t));
    t.mm = mm;
    t.start = old;
    t.end = new;
    t.prot = LX_PROT_READ | LX_PROT_WRITE;
    t.max_prot = LX_PROT_RWX;
    t.flags = mm->def_flags;
    if ((t.flags & VMA_LOCKED) && !mm_lock_fits(mm, pages_of(new - old)))
        return -EAGAIN;
    if (!mm_may_expand(mm, t.prot, t.flags, pages_of(new - old)) ||
        mm->vmas.count > MAP_COUNT_MAX || !mm_overcommit_ok(pages_of(new - old)))
        return -ENOMEM;
    area = mm_add_vma(mm, &t, &next);
    if (area < 0)
        return (int)area;
    if ((t.flags & VMA_LOCKED) && !(t.flags & VMA_LOCKONFAULT))
        (void)mm_populate_locked(mm, old, new, true); /* errors are not brk's */
    else
        mm_prefault_locked(mm, next, old, new);
    return 0;
}

uaddr_t mm_brk(struct mm *mm, uaddr_t brk)
{
    uint64_t limit = g_curr_ops ? g_curr_ops->rlimit(LX_RLIMIT_DATA) : LX_RLIM_INFINITY;
    struct vma *dead = NULL;
    uaddr_t old, new, ret;

    mutex_lock(&mm->lock);
    ret = mm->brk;
    if (brk < mm->layout.start_brk || brk > LX_TASK_SIZE - LX_PAGE_SIZE)
        goto out;
    if (limit != LX_RLIM_INFINITY &&
        brk - mm->layout.start_brk + (mm->layout.end_data - mm->layout.start_data) > limit)
        goto out;
    old = align_up(mm->brk, LX_PAGE_SIZE);
    new = align_up(brk, LX_PAGE_SIZE);
    if (new < old &&
        (mm_check_sealed(mm, new, old) < 0 || mm_unmap_locked(mm, new, old, &dead) < 0))
        goto out;
    if (new > old && brk_grow(mm, old, new) < 0)
        goto out;
    mm->brk = ret = brk;
out:
    mutex_unlock(&mm->lock);
    mm_free_dead(dead);
    return ret;
}

int mm_remap_pages(struct mm *mm, uaddr_t addr, uint64_t size, uint64_t offset)
{
    struct vma *dead = NULL, *v, t;
    int64_t ret;

    mutex_lock(&mm->lock);
    v = vma_set_at(&mm->vmas, addr);
    if (!v || !(v->flags & VMA_SHARED) || !v->object || addr + size > v->end) {
        mutex_unlock(&mm->lock);
        return -EINVAL;
    }
    t = vma_template(v);
    t.start = addr;
    t.end = addr + size;
    t.offset = offset;
    /* The old vma's references keep file and object until the dead ones are freed below. */
    ret = map_region(mm, &t, LX_MAP_POPULATE, &dead);
    mutex_unlock(&mm->lock);
    mm_free_dead(dead);
    return ret < 0 ? (int)ret : 0;
}

int mm_show_special(struct mm *mm, const char *name, struct mappable *object)
{
    struct vma *dead = NULL, *v, t;
    int64_t ret = 0;

    mutex_lock(&mm->lock);
    for (v = vma_set_first(&mm->vmas); v && ret >= 0; v = vma_next(v)) {
        if (!(v->flags & VMA_SPECIAL) || v->name != name || v->object == object)
            continue;
        t = vma_template(v);
        t.object = object;
        ret = map_region(mm, &t, LX_MAP_STACK, &dead);
        v = vma_set_at(&mm->vmas, t.start);
        if (!v)
            break;
    }
    mutex_unlock(&mm->lock);
    mm_free_dead(dead);
    return ret < 0 ? (int)ret : 0;
}
