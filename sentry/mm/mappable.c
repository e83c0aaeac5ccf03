// SPDX-License-Identifier: Apache-2.0
/*
 * The reverse map: which vmas map an object. Lock order is MM before MAPPABLE, so an invalidation
 * first collects the address spaces (holding references), then visits each under its own lock. They
 * are visited in order of address, a batch at a time, so that no memory has to be allocated.
 *
 * The owner changes its own tables before it calls mappable_invalidate: a fault that comes in
 * between finds the new state.
 */
#include "sentry/mm/mappable.h"

#include <string.h>

#include "sentry/mm/mm_internal.h"

#define BATCH 32

void mappable_init(struct mappable *m, const struct mappable_ops *ops)
{
    m->ops = ops;
    mutex_init(&m->lock, RANK_MAPPABLE);
    list_init(&m->vmas);
}

void mappable_destroy(struct mappable *m)
{
    ASSERT(list_empty(&m->vmas));
    mutex_destroy(&m->lock);
}

/* Collects up to BATCH distinct address spaces above *after, lowest first, with a reference. */
static int collect(struct mappable *m, const struct mm *after, struct mm **out)
{
    struct vma *v;
    int count = 0, i;

    mutex_lock(&m->lock);
    list_for_each_entry(v, &m->vmas, map_link) {
        if ((uintptr_t)v->mm <= (uintptr_t)after)
            continue;
        for (i = count; i > 0 && (uintptr_t)out[i - 1] > (uintptr_t)v->mm; i--)
            ;
        if ((i > 0 && out[i - 1] == v->mm) || i == BATCH)
            continue;
        if (count == BATCH)
            count--;
        memmove(&out[i + 1], &out[i], (size_t)(count - i) * sizeof(struct mm *));
        out[i] = v->mm;
        count++;
    }
    /* A reference only while the vma, and so the mm, is still on the list. A dying one is skipped:
     * its own teardown drops the pages. */
    for (i = 0; i < count; i++) {
        if (!refs_get_not_zero(&out[i]->refs))
            out[i] = NULL;
    }
    mutex_unlock(&m->lock);
    return count;
}

static void invalidate_mm(struct mm *mm, const struct mappable *m, uint64_t pgoff, uint64_t count,
                          bool private_too)
{
    uint64_t off = pgoff << LX_PAGE_SHIFT, end = off + (count << LX_PAGE_SHIFT);
    struct page_batch b;
    struct vma *v;

    if (count >= 1ull << 52 || end < off)
        end = UINT64_MAX;
    mutex_lock(&mm->lock);
    page_batch_init(&b, mm);
    for (v = vma_set_first(&mm->vmas); v; v = vma_next(v)) {
        uint64_t v_end = v->offset + (v->end - v->start), lo, hi;

        if (v->object != m || v->offset >= end || v_end <= off)
            continue;
        lo = v->start + (MAX(off, v->offset) - v->offset);
        hi = v->start + (MIN(end, v_end) - v->offset);
        mm_drop_object_pages(mm, lo, hi, private_too, &b);
    }
    page_batch_flush(&b);
    mutex_unlock(&mm->lock);
}

void mappable_invalidate(struct mappable *m, uint64_t pgoff, uint64_t count, bool private_too)
{
    struct mm *batch[BATCH + 1] = {0};
    const struct mm *after = NULL;
    int n, i;

    if (list_empty(&m->vmas))
        return;
    do {
        const struct mm *last = after;

        n = collect(m, after, batch);
        for (i = 0; i < n; i++) {
            if (!batch[i])
                continue;
            last = batch[i];
            invalidate_mm(batch[i], m, pgoff, count, private_too);
            mm_put(batch[i]);
        }
        if (last == after)
            break; /* only dying ones */
        after = last;
    } while (n == BATCH);
}

bool mappable_writable_mapped(struct mappable *m)
{
    bool found = false;
    struct vma *v;

    mutex_lock(&m->lock);
    list_for_each_entry(v, &m->vmas, map_link) {
        if ((v->flags & VMA_SHARED) && (v->max_prot & LX_PROT_WRITE)) {
            found = true;
            break;
        }
    }
    mutex_unlock(&m->lock);
    return found;
}

bool mappable_mapped(struct mappable *m)
{
    bool mapped;

    mutex_lock(&m->lock);
    mapped = !list_empty(&m->vmas);
    mutex_unlock(&m->lock);
    return mapped;
}
