// SPDX-License-Identifier: Apache-2.0
/* What /proc, exec and prctl read and write of an address space. */
#include <errno.h>
#include <string.h>

#include "sentry/abi/prctl.h"
#include "sentry/mm/mm_internal.h"
#include "sentry/mm/shared_object.h"

const struct mm_file_ops *g_mm_file_ops;

struct mm_layout *mm_layout(struct mm *mm)
{
    return &mm->layout;
}

struct file *mm_exe_get(struct mm *mm)
{
    struct file *f;

    mutex_lock(&mm->lock);
    f = mm->exe ? g_mm_file_ops->get(mm->exe) : NULL;
    mutex_unlock(&mm->lock);
    return f;
}

void mm_exe_set(struct mm *mm, struct file *exe)
{
    struct file *old;

    if (exe)
        g_mm_file_ops->get(exe);
    mutex_lock(&mm->lock);
    old = mm->exe;
    mm->exe = exe;
    mutex_unlock(&mm->lock);
    if (old)
        g_mm_file_ops->put(old);
}

bool mm_dumpable(struct mm *mm)
{
    return mm->dumpable == 1;
}

void mm_set_dumpable(struct mm *mm, int dumpable)
{
    mutex_lock(&mm->lock);
    mm->dumpable = dumpable;
    mutex_unlock(&mm->lock);
}

uint32_t mm_mdwe(struct mm *mm)
{
    return mm->mdwe;
}

int mm_set_mdwe(struct mm *mm, uint32_t bits)
{
    int ret = 0;

    mutex_lock(&mm->lock);
    if (mm->mdwe && mm->mdwe != bits)
        ret = -EPERM;
    else
        mm->mdwe = bits;
    mutex_unlock(&mm->lock);
    return ret;
}

uint32_t mm_mdwe_inherited(struct mm *mm)
{
    return mm->mdwe & LX_PR_MDWE_NO_INHERIT ? 0 : mm->mdwe;
}

void mm_renew_mdwe(struct mm *mm, uint32_t bits)
{
    mutex_lock(&mm->lock);
    mm->mdwe = bits;
    mutex_unlock(&mm->lock);
}

bool mm_denies_exec(const struct mm *mm, uint32_t had, uint32_t prot)
{
    return mm->mdwe && (prot & LX_PROT_EXEC) && ((prot & LX_PROT_WRITE) || !(had & LX_PROT_EXEC));
}

void mm_set_start_brk(struct mm *mm, uaddr_t start)
{
    mutex_lock(&mm->lock);
    mm->layout.start_brk = start;
    mm->brk = start;
    mutex_unlock(&mm->lock);
}

static const char *vma_label(const struct mm *mm, const struct vma *v)
{
    if (v->name)
        return v->name;
    if (v->file)
        return NULL;
    if (v->object)
        return shared_object_is(v->object) ? "/dev/zero (deleted)" : NULL;
    if (v->start <= mm->brk && v->end >= mm->layout.start_brk && mm->brk != mm->layout.start_brk)
        return "[heap]";
    if (v->start <= mm->layout.start_stack && v->end >= mm->layout.start_stack)
        return "[stack]";
    return NULL;
}

static void vma_info(struct mm *mm, struct vma *v, struct mm_vma_info *out)
{
    uaddr_t addr = v->start;
    pte_t *e;

    memset(out, 0, sizeof(*out));
    out->start = v->start;
    out->end = v->end;
    out->prot = v->prot;
    out->shared = v->flags & VMA_SHARED;
    out->grows_down = v->flags & VMA_GROWSDOWN;
    out->locked = v->flags & VMA_LOCKED;
    out->dontdump = v->flags & VMA_DONTDUMP;
    out->file = v->file;
    out->object = v->object;
    out->offset = v->offset;
    out->name = vma_label(mm, v);
    while ((e = page_map_next(&mm->pages, &addr, v->end)) != NULL) {
        out->rss += LX_PAGE_SIZE;
        if (*e & PTE_OWNED)
            out->anon += LX_PAGE_SIZE;
        addr += LX_PAGE_SIZE;
    }
}

void mm_for_each_vma(struct mm *mm, uaddr_t from,
                     bool (*cb)(void *arg, const struct mm_vma_info *info), void *arg)
{
    struct mm_vma_info info;
    struct vma *v;

    mutex_lock(&mm->lock);
    for (v = vma_set_find(&mm->vmas, from); v; v = vma_next(v)) {
        vma_info(mm, v, &info);
        if (!cb(arg, &info))
            break;
    }
    mutex_unlock(&mm->lock);
}

void mm_usage(struct mm *mm, struct mm_usage *out)
{
    uint64_t rss;

    mutex_lock(&mm->lock);
    rss = mm->pages.rss_anon + mm->pages.rss_file + mm->pages.rss_shmem;
    if (rss > mm->peak_rss)
        mm->peak_rss = rss;
    *out = (struct mm_usage){
        .total_vm = mm->total_vm * LX_PAGE_SIZE,
        .locked_vm = mm->locked_vm * LX_PAGE_SIZE,
        .data_vm = mm->data_vm * LX_PAGE_SIZE,
        .stack_vm = mm->stack_vm * LX_PAGE_SIZE,
        .exec_vm = mm->exec_vm * LX_PAGE_SIZE,
        .rss_anon = mm->pages.rss_anon * LX_PAGE_SIZE,
        .rss_file = mm->pages.rss_file * LX_PAGE_SIZE,
        .rss_shmem = mm->pages.rss_shmem * LX_PAGE_SIZE,
        .peak_rss = mm->peak_rss * LX_PAGE_SIZE,
        .peak_vm = mm->peak_vm * LX_PAGE_SIZE,
        .page_tables = mm->pages.tables * LX_PAGE_SIZE,
    };
    mutex_unlock(&mm->lock);
}

uint64_t mm_minor_faults(struct mm *mm)
{
    return atomic_load_explicit(&mm->minor_faults, memory_order_relaxed);
}

int mm_page_state(struct mm *mm, uaddr_t addr)
{
    int ret;

    mutex_lock(&mm->lock);
    if (!vma_set_at(&mm->vmas, addr))
        ret = -EFAULT;
    else
        ret = page_map_lookup(&mm->pages, addr) ? 1 : 0;
    mutex_unlock(&mm->lock);
    return ret;
}

bool mm_range_mapped(struct mm *mm, uaddr_t addr, uint64_t size)
{
    uaddr_t at = addr, end = addr + size;
    struct vma *v;

    mutex_lock(&mm->lock);
    for (v = vma_set_at(&mm->vmas, addr); v && v->start <= at && at < end; v = vma_next(v))
        at = v->end;
    mutex_unlock(&mm->lock);
    return at >= end;
}
