// SPDX-License-Identifier: Apache-2.0
/*
 * Guest faults: which vma, stack growth, and what a fault means that finds nothing missing.
 *
 * Platforms may not know what access faulted (0); what they do know is whether anything was mapped
 * (MAPERR, ACCERR). A fault at the same place that finds nothing missing twice, with no change in
 * between, is a real violation (struct stale); the first time, another thread was just faster.
 */
#include <errno.h>

#include "sentry/core/curr.h"
#include "sentry/mm/memcg.h"
#include "sentry/mm/memcg_internal.h"
#include "sentry/mm/mm_internal.h"
#include "sentry/mm/safecopy.h"
#include "sentry/mm/thread.h"

#define SEGV_MAPERR_CODE 1
#define SEGV_ACCERR_CODE 2

/* ---- stacks ------------------------------------------------------------------------------ */

int mm_grow_stack(struct mm *mm, struct vma *v, uaddr_t addr)
{
    uaddr_t start = align_down(addr, LX_PAGE_SIZE);
    uint64_t grow = v->start - start;
    uint64_t limit = g_curr_ops ? g_curr_ops->rlimit(LX_RLIMIT_STACK) : LX_RLIM_INFINITY;
    uint64_t locked = g_curr_ops ? g_curr_ops->rlimit(LX_RLIMIT_MEMLOCK) : LX_RLIM_INFINITY;
    struct vma *below;

    if (start < mm->low || start < 65536)
        return -EFAULT;
    below = vma_prev(v);
    if (below && !(below->flags & VMA_GROWSDOWN) && (below->prot & LX_PROT_RWX) &&
        start - below->end < STACK_GUARD_GAP)
        return -ENOMEM;
    if (v->end - start > limit)
        return -ENOMEM;
    if ((v->flags & VMA_LOCKED) && locked != LX_RLIM_INFINITY &&
        mm->locked_vm + pages_of(grow) > pages_of(locked))
        return -ENOMEM;
    if (!mm_may_expand(mm, v->prot, v->flags, pages_of(grow)))
        return -ENOMEM;
    v->start = start;
    mm_account(mm, v, grow, 1);
    return 0;
}

int mm_fault_locked(struct mm *mm, uaddr_t addr, uint32_t access, bool force, bool *out_mapped)
{
    struct vma *v = vma_set_find(&mm->vmas, addr);

    *out_mapped = false;
    if (!v)
        return -EFAULT;
    if (addr < v->start) {
        if (!(v->flags & VMA_GROWSDOWN) || mm_grow_stack(mm, v, addr) < 0)
            return -EFAULT;
    }
    *out_mapped = true;
    return mm_resolve(mm, v, addr, access, force);
}

/* ---- guest faults ------------------------------------------------------------------------ */

/* The last fault of this thread that found nothing missing. */
struct stale {
    struct mm *mm;
    uaddr_t addr;
    uint64_t rip, gen;
    uint32_t tries;
};
static _Thread_local struct stale t_stale;

void mm_thread_reset(void)
{
    t_stale.mm = NULL;
    memcg_thread_reset();
}

/* Races with other threads end by themselves; a platform that cannot do what it is told does not.
 */
#define STALE_TRIES 4096u

/* True when the fault must be a real one: it came back although nothing is missing. */
static bool stale_again(struct mm *mm, uaddr_t addr, uint64_t rip)
{
    struct stale *s = &t_stale;

    if (s->mm == mm && s->addr == addr && s->rip == rip) {
        if (s->gen == mm->change_gen || ++s->tries >= STALE_TRIES) {
            s->mm = NULL;
            return true;
        }
        s->gen = mm->change_gen;
        return false;
    }
    *s = (struct stale){.mm = mm, .addr = addr, .rip = rip, .gen = mm->change_gen};
    return false;
}

/* The host has no page behind the mapping: truncated file or no memory. */
static int bus_fault(struct mm *mm, uaddr_t addr, uint64_t rip)
{
    pte_t *e = page_map_lookup(&mm->pages, align_down(addr, LX_PAGE_SIZE));
    struct host_window *w;
    void *p;
    int ret;

    if (!e)
        return 0; /* dropped since: fault again */
    if (!(*e & PTE_HOST))
        return safe_touch(memfile_ptr(pte_page(*e))) < 0 || stale_again(mm, addr, rip) ? -ENOMEM
                                                                                       : 0;
    ret = hostmem_pin(hostmem_by_index(pte_host(*e)), (uint64_t)pte_page(*e) << LX_PAGE_SHIFT, &p,
                      &w);
    if (ret < 0)
        return ret;
    ret = safe_touch(p) < 0 || stale_again(mm, addr, rip) ? -ENXIO : 0;
    hostmem_unpin(w);
    return ret;
}

/* The platform has no mapping where we think it has one (it may drop them): map it again. False:
 * that was tried often enough, the platform cannot. */
static bool forget_mapping(struct mm *mm, uaddr_t addr, uint64_t rip)
{
    pte_t *e = page_map_lookup(&mm->pages, align_down(addr, LX_PAGE_SIZE));

    if (!e || !(*e & PTE_RWX))
        return true;
    *e &= ~PTE_RWX;
    mm->change_gen++;
    return !stale_again(mm, addr, rip);
}

static void unmap_page(struct mm *mm, uaddr_t addr)
{
    pte_t *e = page_map_lookup(&mm->pages, align_down(addr, LX_PAGE_SIZE));

    if (e && !(*e & PTE_RWX) &&
        g_mm_platform->space_unmap(mm->space, align_down(addr, LX_PAGE_SIZE), LX_PAGE_SIZE) < 0)
        mm_platform_reset(mm);
}

/* A right was missing on a page that is mapped for reading: it was a write, if the vma has no other
 * right to give. */
static uint32_t access_of_protection_fault(struct mm *mm, uaddr_t addr)
{
    pte_t *e = page_map_lookup(&mm->pages, align_down(addr, LX_PAGE_SIZE));
    struct vma *v = vma_set_at(&mm->vmas, addr);

    if (!e || !v || !(*e & PTE_R) || (*e & PTE_W))
        return 0;
    return (*e & PTE_X) || !(v->prot & LX_PROT_EXEC) ? PLATFORM_ACCESS_WRITE : 0;
}

int mm_handle_fault(struct mm *mm, const struct platform_event *ev, const struct lx_regs *regs,
                    int *out_code)
{
    uint32_t access = ev->fault_access;
    uint64_t rip = regs ? regs->rip : 0, gen;
    bool mapped = false;
    int ret;

    memcg_oom_forget();
    if (access == 0 && regs && ev->fault_addr == rip)
        access = PLATFORM_ACCESS_EXEC;
    mutex_lock(&mm->lock);
    atomic_fetch_add_explicit(&mm->minor_faults, 1, memory_order_relaxed);
    if (ev->fault_bus) {
        ret = bus_fault(mm, ev->fault_addr, rip);
        goto out;
    }
    gen = mm->change_gen;
    if (ev->code == SEGV_MAPERR_CODE && !forget_mapping(mm, ev->fault_addr, rip)) {
        ret = -ENOMEM;
        goto out;
    }
    if (ev->code == SEGV_ACCERR_CODE && access == 0)
        access = access_of_protection_fault(mm, ev->fault_addr);
    ret = mm_fault_locked(mm, ev->fault_addr, access, /*force=*/false, &mapped);
    /* What was forgotten and not mapped again must really be gone. */
    if (ret < 0 && ev->code == SEGV_MAPERR_CODE && gen != mm->change_gen)
        unmap_page(mm, ev->fault_addr);
    if (ret == 0 && gen == mm->change_gen && stale_again(mm, ev->fault_addr, rip))
        ret = -EFAULT;
    else if (ret == 0 && gen != mm->change_gen && ev->code != SEGV_MAPERR_CODE)
        t_stale.mm = NULL;
out:
    mutex_unlock(&mm->lock);
    if (ret < 0 && memcg_oom_retry())
        return 0; /* room was made: fault again */
    *out_code = mapped ? SEGV_ACCERR_CODE : SEGV_MAPERR_CODE;
    if (ret == -EFAULT || ret == -ENXIO || ret == -ENOMEM || ret == 0)
        return ret;
    return -ENXIO; /* -EIO, -ENOSPC from a file: SIGBUS */
}
