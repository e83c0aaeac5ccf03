// SPDX-License-Identifier: Apache-2.0
/*
 * Life of an address space: new, fork, clear, last put; accounting and limits; adding and removing
 * vmas together with their pages.
 *
 * Order on removal: the platform mapping goes first (space_unmap), then the page map entry, then,
 * after space_barrier, the count on the page. page_batch keeps the last two steps in order.
 *
 * A file reference may be the last one, and releasing a file blocks and takes locks that rank
 * before MM; so vmas are chained as dead while mm->lock is held, and freed after it is released.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "platform/base/log.h"
#include "sentry/core/curr.h"
#include "sentry/mm/mm_internal.h"
#include "sentry/mm/safecopy.h"

const struct platform_ops *g_mm_platform;
static struct platform *g_mm_platform_instance;
uint64_t g_mm_total_ram;

int mm_subsystem_init(const struct platform_ops *ops, struct platform *p)
{
    long pages = sysconf(_SC_PHYS_PAGES);

    g_mm_platform = ops;
    g_mm_platform_instance = p;
    g_mm_total_ram = pages > 0 ? (uint64_t)pages : 1ull << 20;
    hostmem_subsystem_init();
    return memfile_init(0);
}

static int mm_alloc(struct mm **out)
{
    struct mm *mm = calloc(1, sizeof(*mm));

    if (!mm)
        return -ENOMEM;
    refs_init(&mm->refs);
    atomic_init(&mm->users, 1);
    mutex_init(&mm->lock, RANK_MM);
    vma_set_init(&mm->vmas);
    page_map_init(&mm->pages);
    list_init(&mm->pins);
    g_mm_platform->range(g_mm_platform_instance, &mm->low, &mm->high);
    if (mm->high > LX_TASK_SIZE)
        mm->high = LX_TASK_SIZE;
    mm->dumpable = 1;
    *out = mm;
    return 0;
}

int mm_new(struct mm **out)
{
    struct mm *mm;
    int ret = mm_alloc(&mm);

    if (ret < 0)
        return ret;
    ret = g_mm_platform->space_new(g_mm_platform_instance, &mm->space);
    if (ret < 0) {
        mutex_destroy(&mm->lock);
        free(mm);
        return ret;
    }
    mm_layout_init(mm, 8ul << 20, /*randomize=*/true);
    *out = mm;
    return 0;
}

struct mm *mm_get(struct mm *mm)
{
    refs_get(&mm->refs);
    return mm;
}

struct mm *mm_use_get(struct mm *mm)
{
    atomic_fetch_add(&mm->users, 1);
    return mm_get(mm);
}

void mm_use_put(struct mm *mm)
{
    atomic_fetch_sub(&mm->users, 1);
    mm_put(mm);
}

bool mm_is_shared(const struct mm *mm)
{
    return atomic_load(&mm->users) > 1;
}

struct platform_space *mm_space(struct mm *mm)
{
    return mm->space;
}

atomic_uint *mm_wait_counter(struct mm *mm, uaddr_t addr)
{
    return g_mm_platform->space_waiters
               ? g_mm_platform->space_waiters(mm->space) + platform_wait_class(addr)
               : NULL;
}

/* ---- teardown ---------------------------------------------------------------------------- */

void mm_platform_reset(struct mm *mm)
{
    uaddr_t addr = 0;
    pte_t *e;
    int ret = g_mm_platform->space_clear(mm->space);

    if (ret < 0)
        panic("cannot clear a guest address space: %d", ret);
    mm->change_gen++;
    while ((e = page_map_next(&mm->pages, &addr, LX_TASK_SIZE)) != NULL) {
        *e &= ~PTE_RWX;
        addr += LX_PAGE_SIZE;
    }
}

/* A run of entries with counts to take or to give: consecutive pages, or one host file. */
struct pte_run {
    pte_t first;
    uint32_t count;
};

static bool run_extends(const struct pte_run *r, pte_t e)
{
    if (r->count == 0 || ((r->first ^ e) & PTE_HOST))
        return false;
    return e & PTE_HOST ? pte_host(e) == pte_host(r->first)
                        : pte_page(e) == pte_page(r->first) + r->count;
}

static void run_get(const struct pte_run *r)
{
    if (r->count == 0)
        return;
    if (r->first & PTE_HOST)
        hostmem_get_many(hostmem_by_index(pte_host(r->first)), r->count);
    else
        memfile_get(pte_page(r->first), r->count);
}

static void run_put(const struct pte_run *r)
{
    if (r->count == 0)
        return;
    if (r->first & PTE_HOST)
        hostmem_put_many(hostmem_by_index(pte_host(r->first)), r->count);
    else
        memfile_put(pte_page(r->first), r->count);
}

/* Gives all pages back. No guest thread can reach them any more: the space is empty or gone. */
static void drop_all_pages(struct mm *mm)
{
    struct pte_run run = {0};
    uaddr_t addr = 0;
    pte_t e;

    for (; page_map_next(&mm->pages, &addr, LX_TASK_SIZE); addr += LX_PAGE_SIZE) {
        e = page_map_clear(&mm->pages, addr);
        if (!run_extends(&run, e)) {
            run_put(&run);
            run = (struct pte_run){.first = e};
        }
        run.count++;
    }
    run_put(&run);
    page_map_destroy(&mm->pages);
}

/* Empties the vma set; returns the dead chain. */
static struct vma *remove_all_vmas(struct mm *mm)
{
    struct vma *v, *dead = NULL;

    while ((v = vma_set_first(&mm->vmas)) != NULL) {
        mm_account(mm, v, v->end - v->start, -1);
        vma_set_remove(&mm->vmas, v);
        v->dead_next = dead;
        dead = v;
    }
    return dead;
}

struct mm_attachment *mm_attachment(struct mm *mm)
{
    return atomic_load(&mm->attachment);
}

bool mm_attach(struct mm *mm, struct mm_attachment *a)
{
    struct mm_attachment *none = NULL;

    return atomic_compare_exchange_strong(&mm->attachment, &none, a);
}

static void attachment_end(struct mm *mm)
{
    struct mm_attachment *a = atomic_exchange(&mm->attachment, NULL);

    if (a)
        a->destroy(a);
}

void mm_clear(struct mm *mm)
{
    struct vma *dead;

    attachment_end(mm);
    mutex_lock(&mm->lock);
    if (g_mm_platform->space_clear(mm->space) < 0)
        panic("cannot clear a guest address space");
    mm->change_gen++;
    drop_all_pages(mm);
    dead = remove_all_vmas(mm);
    vma_set_init(&mm->vmas);
    mm->peak_vm = mm->peak_rss = 0;
    mm->def_flags = 0;
    memset(&mm->layout, 0, sizeof(mm->layout));
    mm->brk = 0;
    mutex_unlock(&mm->lock);
    mm_free_dead(dead);
}

void mm_put(struct mm *mm)
{
    struct vma *dead;

    if (!refs_put(&mm->refs))
        return;
    attachment_end(mm);
    /* Whoever still finds a vma through a reverse map cannot get a reference (mappable.c). */
    mutex_lock(&mm->lock);
    dead = remove_all_vmas(mm);
    mutex_unlock(&mm->lock);
    if (mm->space)
        g_mm_platform->space_free(mm->space);
    drop_all_pages(mm);
    mm_free_dead(dead);
    mm_exe_set(mm, NULL);
    mutex_destroy(&mm->lock);
    free(mm);
}

void mm_free_dead(struct vma *dead)
{
    while (dead) {
        struct vma *next = dead->dead_next;

        vma_free(dead);
        dead = next;
    }
}

void mm_drop_pages(struct mm *mm, uaddr_t start, uaddr_t end, struct page_batch *b)
{
    uaddr_t addr = start;

    if (!page_map_next(&mm->pages, &addr, end))
        return;
    mm->change_gen++;
    if (g_mm_platform->space_unmap(mm->space, addr, end - addr) < 0)
        mm_platform_reset(mm);
    while (page_map_next(&mm->pages, &addr, end)) {
        page_batch_add(b, page_map_clear(&mm->pages, addr));
        addr += LX_PAGE_SIZE;
    }
    page_map_prune(&mm->pages, start, end);
}

void mm_drop_object_pages(struct mm *mm, uaddr_t start, uaddr_t end, bool private_too,
                          struct page_batch *b)
{
    uaddr_t addr = start, run;
    pte_t *e;

    if (private_too) {
        mm_drop_pages(mm, start, end, b);
        return;
    }
    while ((e = page_map_next(&mm->pages, &addr, end)) != NULL) {
        if (*e & PTE_OWNED) {
            addr += LX_PAGE_SIZE;
            continue;
        }
        run = addr;
        do {
            run += LX_PAGE_SIZE;
            e = run < end ? page_map_lookup(&mm->pages, run) : NULL;
        } while (e && !(*e & PTE_OWNED));
        mm_drop_pages(mm, addr, run, b);
        addr = run;
    }
}

/* ---- accounting -------------------------------------------------------------------------- */

static bool is_data(uint32_t prot, uint32_t flags)
{
    return (prot & LX_PROT_WRITE) && !(flags & (VMA_SHARED | VMA_GROWSDOWN));
}

struct mm_overcommit g_mm_overcommit = {.mode = 0, .ratio = 50};
static atomic_ullong g_committed;

uint64_t mm_committed(void)
{
    return atomic_load(&g_committed);
}

uint64_t mm_commit_limit(void)
{
    long kbytes = g_mm_overcommit.kbytes;

    return kbytes ? (uint64_t)kbytes / 4 : g_mm_total_ram * (uint64_t)g_mm_overcommit.ratio / 100;
}

void mm_account(struct mm *mm, const struct vma *v, uint64_t bytes, int sign)
{
    uint64_t n = pages_of(bytes);

    if (sign < 0)
        n = -n;
    if ((v->prot & LX_PROT_WRITE) && !(v->flags & (VMA_SHARED | VMA_NORESERVE)))
        atomic_fetch_add(&g_committed, n);
    mm->total_vm += n;
    if (mm->total_vm > mm->peak_vm)
        mm->peak_vm = mm->total_vm;
    if (v->flags & VMA_LOCKED)
        mm->locked_vm += n;
    if (v->flags & VMA_SHARED)
        mm->shared_vm += n;
    if (is_data(v->prot, v->flags))
        mm->data_vm += n;
    if (v->flags & VMA_GROWSDOWN)
        mm->stack_vm += n;
    else if ((v->prot & (LX_PROT_EXEC | LX_PROT_WRITE)) == LX_PROT_EXEC)
        mm->exec_vm += n;
}

static bool above_limit(uint64_t pages, int resource)
{
    uint64_t limit = g_curr_ops ? g_curr_ops->rlimit(resource) : LX_RLIM_INFINITY;

    return limit != LX_RLIM_INFINITY && pages > pages_of(limit);
}

bool mm_may_expand(struct mm *mm, uint32_t prot, uint32_t flags, uint64_t pages)
{
    if (above_limit(mm->total_vm + pages, LX_RLIMIT_AS))
        return false;
    return !is_data(prot, flags) || !above_limit(mm->data_vm + pages, LX_RLIMIT_DATA);
}

/* ---- vmas with their pages --------------------------------------------------------------- */

int mm_add_vma(struct mm *mm, const struct vma *templ, struct vma **out)
{
    struct vma *v;
    int ret = vma_new(templ, &v);

    if (ret < 0)
        return ret;
    v->mm = mm;
    vma_set_insert(&mm->vmas, v);
    mm_account(mm, v, v->end - v->start, 1);
    v = vma_set_merge(&mm->vmas, v);
    if (out)
        *out = v;
    return 0;
}

int mm_isolate(struct mm *mm, uaddr_t start, uaddr_t end)
{
    struct vma *first = vma_set_at(&mm->vmas, start), *last = vma_set_at(&mm->vmas, end - 1);
    bool splits = (first && first->start < start) || (last && last->end > end);

    if (splits && mm->vmas.count >= MAP_COUNT_MAX)
        return -ENOMEM;
    return vma_set_isolate(&mm->vmas, start, end);
}

int mm_unmap_locked(struct mm *mm, uaddr_t start, uaddr_t end, struct vma **out_dead)
{
    struct page_batch b;
    struct vma *v = vma_set_find(&mm->vmas, start), *next;
    int ret;

    if (!v || v->start >= end)
        return 0;
    /* Linux: punching a hole into one vma must not pass the map count. */
    if (v->start < start && v->end > end && mm->vmas.count >= MAP_COUNT_MAX)
        return -ENOMEM;
    ret = vma_set_isolate(&mm->vmas, start, end);
    if (ret < 0)
        return ret;
    page_batch_init(&b, mm);
    mm_drop_pages(mm, start, end, &b);
    page_batch_flush(&b);
    for (v = vma_set_find(&mm->vmas, start); v && v->start < end; v = next) {
        next = vma_next(v);
        mm_account(mm, v, v->end - v->start, -1);
        vma_set_remove(&mm->vmas, v);
        v->dead_next = *out_dead;
        *out_dead = v;
    }
    return 0;
}

/* ---- fork -------------------------------------------------------------------------------- */

/* Stack pages of the forking thread, which both sides write at once: copied by fork itself, so that
 * neither faults. Empty: lo == hi. */
struct hot_range {
    uaddr_t lo, hi;
};

#define HOT_PAGES_EACH_SIDE 2u

static bool page_is_hot(struct mm *mm, uaddr_t addr)
{
    pte_t *e = page_map_lookup(&mm->pages, addr);

    return e && (*e & PTE_OWNED) && (*e & PTE_W);
}

static struct hot_range find_hot(struct mm *mm, uaddr_t sp)
{
    struct vma *v = sp ? vma_set_at(&mm->vmas, sp) : NULL;
    struct hot_range h = {0};
    uint32_t i;

    if (!v || v->object || (v->flags & (VMA_SHARED | VMA_DONTFORK | VMA_WIPEONFORK)))
        return h;
    sp = align_down(sp, LX_PAGE_SIZE);
    if (!page_is_hot(mm, sp))
        return h;
    h.lo = sp;
    h.hi = sp + LX_PAGE_SIZE;
    for (i = 0; i < HOT_PAGES_EACH_SIDE; i++) {
        if (h.lo > v->start && page_is_hot(mm, h.lo - LX_PAGE_SIZE))
            h.lo -= LX_PAGE_SIZE;
        if (h.hi < v->end && page_is_hot(mm, h.hi))
            h.hi += LX_PAGE_SIZE;
    }
    return h;
}

static void fork_protect_range(struct mm *old, struct vma *v, uaddr_t start, uaddr_t end)
{
    uaddr_t addr = start, first = 0, last = 0;
    pte_t *e;

    while ((e = page_map_next(&old->pages, &addr, end)) != NULL) {
        if (*e & PTE_W) {
            *e &= ~PTE_W;
            if (last == 0)
                first = addr;
            last = addr + LX_PAGE_SIZE;
        }
        addr += LX_PAGE_SIZE;
    }
    if (last == 0)
        return;
    /* Every mapped page of the vma has its protection with or without write: one call will do. */
    old->change_gen++;
    if (g_mm_platform->space_protect(old->space, first, last - first,
                                     (int)(prot_effective(v->prot) & ~LX_PROT_WRITE)) < 0)
        mm_platform_reset(old);
}

/* Takes the write right from v's own pages, so that both sides copy before they write. */
static void fork_protect(struct mm *old, struct vma *v, struct hot_range hot)
{
    if (v->flags & VMA_SHARED)
        return;
    if (hot.lo == hot.hi || hot.lo < v->start || hot.hi > v->end) {
        fork_protect_range(old, v, v->start, v->end);
        return;
    }
    fork_protect_range(old, v, v->start, hot.lo);
    fork_protect_range(old, v, hot.hi, v->end);
}

/* The child's own copy of the hot pages. cloned: its space shows the parent's pages until this
 * mapping replaces them, before it runs for the first time. */
static int fork_copy_hot(struct mm *old, struct mm *new, struct hot_range hot, bool cloned)
{
    uint32_t pages = (uint32_t)pages_of(hot.hi - hot.lo), i;
    struct pt_leaf *leaf;
    mfpage_t first;
    pte_t e = 0;
    int ret;

    if (pages == 0)
        return 0;
    ret = memfile_alloc_uninit(MEMFILE_ANON, pages, &first);
    if (ret < 0)
        return ret;
    for (i = 0; i < pages; i++) {
        uaddr_t at = hot.lo + (uint64_t)i * LX_PAGE_SIZE;
        pte_t from = *page_map_lookup(&old->pages, at);

        ret = page_map_leaf(&new->pages, at, &leaf);
        if (ret == 0 &&
            safe_memcpy(memfile_ptr(first + i), memfile_ptr(pte_page(from)), LX_PAGE_SIZE) != 0)
            ret = -ENOMEM;
        if (ret < 0) {
            memfile_put(first + i, pages - i);
            return ret;
        }
        e = pte_with_prot(PTE_PRESENT | PTE_OWNED | ((pte_t)(first + i) << PTE_PAGE_SHIFT),
                          pte_prot(from));
        page_map_set(&new->pages, leaf, at, e);
    }
    if (!cloned)
        return 0;
    return mm_map_run(new, hot.lo, pages, *page_map_lookup(&new->pages, hot.lo), 0);
}

/* The child's own copy of a pinned page, which is never shared. */
static int fork_copy_watched(struct mm *new, const struct vma *v, struct pt_leaf *leaf,
                             uaddr_t addr, pte_t from, bool cloned)
{
    mfpage_t page;
    pte_t e;
    int ret = memfile_alloc_uninit(MEMFILE_ANON, 1, &page);

    if (ret < 0)
        return ret;
    if (safe_memcpy(memfile_ptr(page), memfile_ptr(pte_page(from)), LX_PAGE_SIZE) != 0) {
        memfile_put(page, 1);
        return -ENOMEM;
    }
    e = pte_with_prot(PTE_PRESENT | PTE_OWNED | ((pte_t)page << PTE_PAGE_SHIFT),
                      prot_effective(v->prot));
    page_map_set(&new->pages, leaf, addr, e);
    return cloned ? mm_map_run(new, addr, 1, e, 0) : 0;
}

static int fork_copy_pages(struct mm *old, struct mm *new, struct vma *v, struct hot_range hot,
                           bool cloned)
{
    struct pt_leaf *leaf = NULL;
    uaddr_t addr = v->start, leaf_end = 0;
    struct pte_run run = {0};
    pte_t *e;
    int ret = 0;

    for (; (e = page_map_next(&old->pages, &addr, v->end)) != NULL; addr += LX_PAGE_SIZE) {
        if (addr >= hot.lo && addr < hot.hi)
            continue;
        if (addr >= leaf_end) {
            ret = page_map_leaf(&new->pages, addr, &leaf);
            if (ret < 0)
                break;
            leaf_end = align_down(addr, 1ul << PT_LEAF_SHIFT) + (1ul << PT_LEAF_SHIFT);
        }
        if (unlikely(*e & PTE_WATCHED)) {
            ret = fork_copy_watched(new, v, leaf, addr, *e, cloned);
            if (ret < 0)
                break;
            continue;
        }
        if (!run_extends(&run, *e)) {
            run_get(&run);
            run = (struct pte_run){.first = *e};
        }
        run.count++;
        page_map_set(&new->pages, leaf, addr, *e);
    }
    run_get(&run);
    return ret;
}

/* Copies vmas; the old ones' pages become copy on write. */
static int fork_copy_vmas(struct mm *old, struct mm *new, struct hot_range hot)
{
    struct vma *v, templ, *copy;
    int ret;

    for (v = vma_set_first(&old->vmas); v; v = vma_next(v)) {
        if (v->flags & VMA_DONTFORK)
            continue;
        templ = vma_template(v);
        templ.mm = new;
        templ.flags &= ~(VMA_LOCKED | VMA_LOCKONFAULT);
        ret = vma_new(&templ, &copy);
        if (ret < 0)
            return ret;
        vma_set_insert(&new->vmas, copy);
        mm_account(new, copy, copy->end - copy->start, 1);
        fork_protect(old, v, hot);
    }
    return 0;
}

/* Space of the child: a copy of old's, or, where the platform says that this is better, an empty one
 * that gets all mappings in one go. */
static int fork_clone_space(struct mm *old, struct platform_ctx *caller, struct mm *new,
                            bool *out_cloned)
{
    int ret = -EOPNOTSUPP;

    *out_cloned = false;
    if (caller)
        ret = g_mm_platform->space_clone(old->space, caller, &new->space);
    if (ret == 0) {
        *out_cloned = true;
        return 0;
    }
    if (ret != -EOPNOTSUPP)
        return ret;
    return g_mm_platform->space_new(g_mm_platform_instance, &new->space);
}

/* Maps all that the child has into its empty space. */
static int fork_map_all(struct mm *new, struct hot_range hot)
{
    uaddr_t addr = 0, start = 0;
    pte_t first = 0, *e;
    uint32_t pages = 0;
    int ret = 0;

    do {
        e = page_map_next(&new->pages, &addr, LX_TASK_SIZE);
        if (e && pages && addr == start + (uint64_t)pages * LX_PAGE_SIZE &&
            *e == first + ((pte_t)pages << PTE_PAGE_SHIFT)) {
            pages++;
        } else {
            if (pages)
                ret = mm_map_run(new, start, pages, first,
                                 start >= hot.lo && start < hot.hi ? PLATFORM_MAP_POPULATE : 0);
            start = addr;
            pages = 1;
            first = e ? *e : 0;
        }
        addr += LX_PAGE_SIZE;
    } while (e && ret == 0);
    return ret;
}

/* Entries and platform mappings of the child. */
static int fork_copy_maps(struct mm *old, struct mm *new, struct hot_range hot, bool cloned)
{
    struct vma *v;
    int ret;

    for (v = vma_set_first(&old->vmas); v; v = vma_next(v)) {
        if (v->flags & (VMA_DONTFORK | VMA_WIPEONFORK)) {
            uaddr_t addr = v->start;

            if (cloned && page_map_next(&old->pages, &addr, v->end) &&
                g_mm_platform->space_unmap(new->space, v->start, v->end - v->start) < 0)
                return -ENOMEM;
            continue;
        }
        ret = fork_copy_pages(old, new, v, hot, cloned);
        if (ret < 0)
            return ret;
    }
    ret = fork_copy_hot(old, new, hot, cloned);
    if (ret < 0)
        return ret;
    return cloned ? 0 : fork_map_all(new, hot);
}

static void fork_copy_fields(struct mm *old, struct mm *new)
{
    new->low = old->low;
    new->high = old->high;
    new->mmap_base = old->mmap_base;
    new->legacy_layout = old->legacy_layout;
    new->stack_top = old->stack_top;
    new->brk = old->brk;
    new->layout = old->layout;
    new->dumpable = old->dumpable;
    new->mdwe = mm_mdwe_inherited(old);
    if (old->exe) {
        g_mm_file_ops->get(old->exe);
        new->exe = old->exe;
    }
}

int mm_fork(struct mm *old, struct platform_ctx *caller, uaddr_t sp, struct mm **out)
{
    struct hot_range hot;
    struct mm *new;
    bool cloned = false;
    int ret = mm_alloc(&new);

    if (ret < 0)
        return ret;
    mutex_lock_pair(&old->lock, &new->lock);
    fork_copy_fields(old, new);
    hot = find_hot(old, sp);
    ret = fork_copy_vmas(old, new, hot);
    if (ret == 0) {
        g_mm_platform->space_barrier(old->space);
        ret = fork_clone_space(old, caller, new, &cloned);
    }
    if (ret == 0)
        ret = fork_copy_maps(old, new, hot, cloned);
    mutex_unlock_pair(&old->lock, &new->lock);
    if (ret < 0) {
        mm_put(new);
        return ret;
    }
    *out = new;
    return 0;
}
