// SPDX-License-Identifier: Apache-2.0
/* madvise, mincore, msync. Gaps in a range do not stop them: the rest is done, then -ENOMEM. */
#include <errno.h>
#include <string.h>

#include "sentry/core/curr.h"
#include "sentry/mm/mm_internal.h"
#include "sentry/mm/shared_object.h"
#include "sentry/mm/uaccess.h"

/* ---- checks per vma, for mm_change_flags -------------------------------------------------- */

static int check_wipe(const struct vma *v, uint32_t set)
{
    (void)set;
    return v->object || v->file || (v->flags & VMA_SHARED) ? -EINVAL : 0;
}

static int check_dump(const struct vma *v, uint32_t set)
{
    (void)set;
    return v->flags & VMA_SPECIAL ? -EINVAL : 0;
}

struct flag_advice {
    int advice;
    uint32_t clear, set;
    int (*check)(const struct vma *v, uint32_t set);
};

static const struct flag_advice flag_advices[] = {
    {LX_MADV_NORMAL, VMA_RANDOM | VMA_SEQUENTIAL, 0, NULL},
    {LX_MADV_RANDOM, VMA_SEQUENTIAL, VMA_RANDOM, NULL},
    {LX_MADV_SEQUENTIAL, VMA_RANDOM, VMA_SEQUENTIAL, NULL},
    {LX_MADV_DONTFORK, 0, VMA_DONTFORK, NULL},
    {LX_MADV_DOFORK, VMA_DONTFORK, 0, NULL},
    {LX_MADV_WIPEONFORK, 0, VMA_WIPEONFORK, check_wipe},
    {LX_MADV_KEEPONFORK, VMA_WIPEONFORK, 0, NULL},
    {LX_MADV_DONTDUMP, 0, VMA_DONTDUMP, NULL},
    {LX_MADV_DODUMP, VMA_DONTDUMP, 0, check_dump},
    {LX_MADV_MERGEABLE, 0, VMA_MERGEABLE, NULL},
    {LX_MADV_UNMERGEABLE, VMA_MERGEABLE, 0, NULL},
    {LX_MADV_HUGEPAGE, VMA_NOHUGE, VMA_HUGE, NULL},
    {LX_MADV_NOHUGEPAGE, VMA_HUGE, VMA_NOHUGE, NULL},
};

/* ---- discarding -------------------------------------------------------------------------- */

static int discard_vma(struct mm *mm, struct vma *v, uaddr_t lo, uaddr_t hi, int advice,
                       struct page_batch *b)
{
    if (advice == LX_MADV_FREE && (v->object || v->file))
        return -EINVAL;
    if ((v->flags & VMA_LOCKED) && advice != LX_MADV_DONTNEED_LOCKED)
        return -EINVAL;
    if (v->flags & VMA_SPECIAL)
        return -EINVAL;
    mm_drop_pages(mm, lo, hi, b);
    return 0;
}

static int discard(struct mm *mm, uaddr_t start, uaddr_t end, int advice)
{
    struct page_batch b;
    struct vma *v;
    uaddr_t at = start;
    int ret = 0, gap = 0;

    page_batch_init(&b, mm);
    while (at < end && ret == 0) {
        uaddr_t hi;

        v = vma_set_find(&mm->vmas, at);
        if (!v || v->start >= end) {
            gap = -ENOMEM;
            break;
        }
        if (v->start > at) {
            gap = -ENOMEM;
            at = v->start;
        }
        hi = MIN(v->end, end);
        ret = discard_vma(mm, v, at, hi, advice, &b);
        at = hi;
    }
    page_batch_flush(&b);
    return ret < 0 ? ret : gap;
}

/* MADV_REMOVE: the object frees the range; mm->lock is released around each call of it. */
static int remove_range(struct mm *mm, uaddr_t start, uaddr_t end)
{
    uaddr_t at = start;
    int ret = 0, gap = 0;

    mutex_lock(&mm->lock);
    while (at < end && ret == 0) {
        struct vma *v = vma_set_find(&mm->vmas, at);
        struct mappable *m;
        uint64_t pgoff, count;

        if (!v || v->start >= end) {
            gap = -ENOMEM;
            break;
        }
        if (v->start > at) {
            gap = -ENOMEM;
            at = v->start;
        }
        if ((v->flags & VMA_LOCKED) || !v->object) {
            ret = -EINVAL;
            break;
        }
        if (!(v->flags & VMA_SHARED) || !(v->prot & LX_PROT_WRITE)) {
            ret = -EACCES;
            break;
        }
        m = v->object;
        pgoff = pages_of(v->offset + (at - v->start));
        count = pages_of(MIN(v->end, end) - at);
        at = MIN(v->end, end);
        m->ops->get(m);
        mutex_unlock(&mm->lock);
        ret = m->ops->punch ? m->ops->punch(m, pgoff, count) : -EOPNOTSUPP;
        m->ops->put(m);
        mutex_lock(&mm->lock);
    }
    mutex_unlock(&mm->lock);
    return ret < 0 ? ret : gap;
}

/* ---- populate, hints --------------------------------------------------------------------- */

static int populate(struct mm *mm, uaddr_t start, uaddr_t end, bool write)
{
    uaddr_t at = start;

    while (at < end) {
        struct vma *v = vma_set_at(&mm->vmas, at);
        uaddr_t hi;
        int ret;

        if (!v)
            return -ENOMEM;
        if (write ? !(v->prot & LX_PROT_WRITE) : !(v->prot & LX_PROT_RWX))
            return -EINVAL;
        hi = MIN(v->end, end);
        ret = mm_populate_locked(mm, at, hi, write);
        if (ret == -ENXIO)
            return -EFAULT;
        if (ret < 0)
            return ret;
        at = hi;
    }
    return 0;
}

/* WILLNEED, COLD, PAGEOUT: checked, nothing to do. */
static int hint(struct mm *mm, uaddr_t start, uaddr_t end, int advice)
{
    uaddr_t at = start;
    int gap = 0;

    while (at < end) {
        struct vma *v = vma_set_find(&mm->vmas, at);

        if (!v || v->start > at)
            gap = -ENOMEM;
        if (!v || v->start >= end)
            break;
        if (advice != LX_MADV_WILLNEED && (v->flags & VMA_LOCKED))
            return -EINVAL;
        at = v->end;
    }
    return gap;
}

static const struct flag_advice *find_flag_advice(int advice)
{
    size_t i;

    for (i = 0; i < ARRAY_COUNT(flag_advices); i++) {
        if (flag_advices[i].advice == advice)
            return &flag_advices[i];
    }
    return NULL;
}

static bool advice_known(int advice)
{
    switch (advice) {
    case LX_MADV_WILLNEED:
    case LX_MADV_DONTNEED:
    case LX_MADV_DONTNEED_LOCKED:
    case LX_MADV_FREE:
    case LX_MADV_REMOVE:
    case LX_MADV_COLD:
    case LX_MADV_PAGEOUT:
    case LX_MADV_POPULATE_READ:
    case LX_MADV_POPULATE_WRITE:
        return true;
    default:
        return find_flag_advice(advice) != NULL;
    }
}

static int advise_locked(struct mm *mm, uaddr_t start, uaddr_t end, int advice)
{
    const struct flag_advice *f;

    switch (advice) {
    case LX_MADV_DONTNEED:
    case LX_MADV_DONTNEED_LOCKED:
    case LX_MADV_FREE:
        return discard(mm, start, end, advice);
    case LX_MADV_WILLNEED:
    case LX_MADV_COLD:
    case LX_MADV_PAGEOUT:
        return hint(mm, start, end, advice);
    case LX_MADV_POPULATE_READ:
    case LX_MADV_POPULATE_WRITE:
        return populate(mm, start, end, advice == LX_MADV_POPULATE_WRITE);
    default:
        f = find_flag_advice(advice);
        return mm_change_flags(mm, start, end, f->clear, f->set, f->check);
    }
}

int mm_madvise(struct mm *mm, uaddr_t addr, uint64_t size, int advice)
{
    uint64_t len = align_up(size, LX_PAGE_SIZE);
    int ret;

    if (!advice_known(advice))
        return -EINVAL;
    if (addr & ~LX_PAGE_MASK)
        return -EINVAL;
    if (size != 0 && len == 0)
        return -EINVAL;
    if (addr + len < addr)
        return -EINVAL;
    if (len == 0)
        return 0;
    if (advice == LX_MADV_REMOVE)
        return remove_range(mm, addr, addr + len);
    mutex_lock(&mm->lock);
    ret = advise_locked(mm, addr, addr + len, advice);
    mutex_unlock(&mm->lock);
    return ret;
}

/* ---- mincore ----------------------------------------------------------------------------- */

static int mincore_chunk(struct mm *mm, uaddr_t addr, uint32_t pages, uint8_t *out)
{
    uint32_t i;

    for (i = 0; i < pages; i++, addr += LX_PAGE_SIZE) {
        struct vma *v = vma_set_at(&mm->vmas, addr);

        if (!v)
            return -ENOMEM;
        /* A file's bytes are in the host's page cache or soon will be. */
        out[i] = page_map_lookup(&mm->pages, addr) || (v->file && v->object);
    }
    return 0;
}

int mm_mincore(struct mm *mm, uaddr_t addr, uint64_t size, uaddr_t vec)
{
    uint64_t pages;
    uint8_t buf[512];

    if (addr & ~LX_PAGE_MASK)
        return -EINVAL;
    if (addr > LX_TASK_SIZE || size > LX_TASK_SIZE - addr)
        return -ENOMEM;
    pages = pages_of(align_up(size, LX_PAGE_SIZE));
    if (vec > LX_TASK_SIZE || pages > LX_TASK_SIZE - vec)
        return -EFAULT;
    while (pages > 0) {
        uint32_t n = (uint32_t)MIN(pages, sizeof(buf));
        int ret;

        mutex_lock(&mm->lock);
        ret = mincore_chunk(mm, addr, n, buf);
        mutex_unlock(&mm->lock);
        if (ret == 0)
            ret = copy_out(vec, buf, n);
        if (ret < 0)
            return ret;
        addr += (uint64_t)n * LX_PAGE_SIZE;
        vec += n;
        pages -= n;
    }
    return 0;
}

/* ---- msync ------------------------------------------------------------------------------- */

int mm_msync(struct mm *mm, uaddr_t addr, uint64_t size, uint32_t flags)
{
    uaddr_t at = addr, end;
    int ret = 0, gap = 0;

    if (flags & ~(LX_MS_ASYNC | LX_MS_INVALIDATE | LX_MS_SYNC))
        return -EINVAL;
    if (addr & ~LX_PAGE_MASK)
        return -EINVAL;
    if ((flags & LX_MS_ASYNC) && (flags & LX_MS_SYNC))
        return -EINVAL;
    end = addr + align_up(size, LX_PAGE_SIZE);
    if (end < addr)
        return -ENOMEM;
    mutex_lock(&mm->lock);
    while (at < end && ret == 0) {
        struct vma *v = vma_set_find(&mm->vmas, at);
        struct mappable *m;
        uint64_t pgoff, count;

        if (!v || v->start >= end) {
            gap = -ENOMEM;
            break;
        }
        if (v->start > at) {
            gap = -ENOMEM;
            at = v->start;
        }
        if ((flags & LX_MS_INVALIDATE) && (v->flags & VMA_LOCKED)) {
            ret = -EBUSY;
            break;
        }
        m = v->object;
        pgoff = pages_of(v->offset + (at - v->start));
        count = pages_of(MIN(v->end, end) - at);
        at = MIN(v->end, end);
        if (!(flags & LX_MS_SYNC) || !m || !m->ops->sync || !(v->flags & VMA_SHARED))
            continue;
        m->ops->get(m);
        mutex_unlock(&mm->lock);
        ret = m->ops->sync(m, pgoff, count);
        m->ops->put(m);
        mutex_lock(&mm->lock);
    }
    mutex_unlock(&mm->lock);
    return ret < 0 ? ret : gap;
}
