// SPDX-License-Identifier: Apache-2.0
/*
 * Making one page usable, and its neighbours with it where that is cheap.
 *
 * What is found decides what happens:
 *   absent, anonymous          zeroed pages for a window, mapped with all rights of the vma
 *   absent, shared object      translate (for writing if the vma may write), map as it is
 *   absent, private object     translate for reading, map without write; data of a program or
 *                              library is copied at once
 *   present, not mapped        map with the rights the page allows
 *   present, write wanted      own and count 1: take the write right, for neighbours too;
 *                              otherwise copy
 *   present, nothing missing   another thread was faster: run again
 *
 * Callers may not know what access is wanted (0). Then: a page that was readable already must have
 * been written to; any other is resolved as a read.
 *
 * The window for anonymous memory is the 64 KiB block around the address; while faults continue
 * where the last window ended it doubles up to 2 MiB, and is populated in the host.
 */
#include <errno.h>

#include "platform/base/log.h"
#include "sentry/core/curr.h"
#include "sentry/mm/mm_internal.h"
#include "sentry/mm/safecopy.h"

#define WINDOW_PAGES       16u
#define WINDOW_BIG_PAGES   32u /* in vmas of at least WINDOW_BIG_VMA bytes */
#define WINDOW_BIG_VMA     (512ul << 10)
#define WINDOW_MAX_PAGES   512u
#define FILE_WINDOW_PAGES  512u
#define IMAGE_WINDOW_PAGES 32u  /* data of a program or library, copied together */
#define COW_WINDOW_PAGES   8u   /* pages shared since a fork, copied together */
#define TAKE_WINDOW_PAGES  512u /* pages that a fork left alone, made writable together */

/* ---- platform mapping -------------------------------------------------------------------- */

/* Maps pages whose entries continue e, with e's PTE_R/W/X, at addr. */
int mm_map_run(struct mm *mm, uaddr_t addr, uint32_t pages, pte_t e, uint32_t flags)
{
    uint64_t off = (uint64_t)pte_page(e) << LX_PAGE_SHIFT;
    int fd = e & PTE_HOST ? hostmem_fd(hostmem_by_index(pte_host(e))) : memfile_fd();
    int ret;

    mm->change_gen++;
    /* Entries without rights are never mapped: whatever the platform has there was unmapped. */
    if (pte_prot(e) == 0)
        return 0;
    ret = g_mm_platform->space_map(mm->space, addr, (size_t)pages * LX_PAGE_SIZE, (int)pte_prot(e),
                                   fd, off, flags);
    if (ret == 0)
        return 0;
    /* The mapping is a cache: drop it, and try this one alone. */
    log_debug(LOG_MM, "space_map failed (%d): dropping the cached mappings", ret);
    mm_platform_reset(mm);
    ret = g_mm_platform->space_map(mm->space, addr, (size_t)pages * LX_PAGE_SIZE, (int)pte_prot(e),
                                   fd, off, flags);
    if (ret < 0)
        return -ENOMEM;
    for (; pages > 0; pages--, addr += LX_PAGE_SIZE) {
        pte_t *slot = page_map_lookup(&mm->pages, addr);

        if (slot)
            *slot = pte_with_prot(*slot, pte_prot(e));
    }
    return 0;
}

/* Stores entries for a run that is absent, then maps it. The counts are the entries' from then on.
 */
static int install_run(struct mm *mm, uaddr_t addr, uint32_t pages, pte_t e, uint32_t flags)
{
    struct pt_leaf *leaf = NULL;
    uaddr_t at = addr, leaf_end = 0;
    pte_t cur = e;
    uint32_t i;
    int ret;

    for (i = 0; i < pages; i++, at += LX_PAGE_SIZE, cur += 1ull << PTE_PAGE_SHIFT) {
        if (at >= leaf_end) {
            ret = page_map_leaf(&mm->pages, at, &leaf);
            if (ret < 0)
                break;
            leaf_end = align_down(at, 1ul << PT_LEAF_SHIFT) + (1ul << PT_LEAF_SHIFT);
        }
        page_map_set(&mm->pages, leaf, at, cur);
    }
    if (i < pages) {
        struct page_batch b;

        page_batch_init(&b, mm);
        for (; i < pages; i++, cur += 1ull << PTE_PAGE_SHIFT)
            page_batch_add(&b, cur);
        page_batch_flush(&b);
        mm_drop_pages(mm, addr, at, &b);
        page_batch_flush(&b);
        return -ENOMEM;
    }
    return mm_map_run(mm, addr, pages, e, flags);
}

static bool page_absent(struct mm *mm, uaddr_t addr)
{
    return !page_map_lookup(&mm->pages, addr);
}

/* Narrows [*lo, *hi) to the absent pages around addr, inside v. */
static void clip_window(struct mm *mm, const struct vma *v, uaddr_t addr, uaddr_t *lo, uaddr_t *hi)
{
    uaddr_t p;

    if (*lo < v->start)
        *lo = v->start;
    if (*hi > v->end)
        *hi = v->end;
    for (p = addr; p > *lo && page_absent(mm, p - LX_PAGE_SIZE); p -= LX_PAGE_SIZE)
        ;
    *lo = p;
    p = addr + LX_PAGE_SIZE;
    if (p < *hi && page_map_next(&mm->pages, &p, *hi))
        *hi = p;
}

/* ---- anonymous memory -------------------------------------------------------------------- */

/* flags: PLATFORM_MAP_*. ready: populate it where that costs little. */
static int fill_anon(struct mm *mm, struct vma *v, uaddr_t addr, uaddr_t lo, uaddr_t hi,
                     uint32_t flags, bool ready)
{
    uint32_t pages;
    mfpage_t hint = MEMFILE_NONE, first;
    pte_t *before, e;
    int ret;

    clip_window(mm, v, addr, &lo, &hi);
    pages = (uint32_t)pages_of(hi - lo);
    before = lo > 0 ? page_map_lookup(&mm->pages, lo - LX_PAGE_SIZE) : NULL;
    if (before && (*before & PTE_OWNED))
        hint = pte_page(*before) + 1;
    ret = memfile_alloc_near(MEMFILE_ANON, pages, hint, &first);
    if (ret < 0 && pages > 1) {
        lo = addr;
        pages = 1;
        ret = memfile_alloc_near(MEMFILE_ANON, pages, MEMFILE_NONE, &first);
    }
    if (ret < 0)
        return ret;
    if (ready && ret > 0)
        flags |= PLATFORM_MAP_POPULATE;
    e = pte_with_prot(PTE_PRESENT | PTE_OWNED | ((pte_t)first << PTE_PAGE_SHIFT),
                      prot_effective(v->prot));
    return install_run(mm, lo, pages, e, flags);
}

/* The window to allocate for a fault at addr; true when it continues a sequential run. */
static bool write_window(struct vma *v, uaddr_t addr, uaddr_t *lo, uaddr_t *hi)
{
    uint32_t window = v->end - v->start >= WINDOW_BIG_VMA ? WINDOW_BIG_PAGES : WINDOW_PAGES;
    bool sequential = addr == v->next_fault && v->window >= WINDOW_PAGES;

    if (v->flags & VMA_RANDOM) {
        *lo = addr;
        *hi = addr + LX_PAGE_SIZE;
        return false;
    }
    if (sequential) {
        window = MIN(v->window * 2, WINDOW_MAX_PAGES);
        *lo = addr;
        *hi = align_up(addr + 1, (uint64_t)window * LX_PAGE_SIZE);
    } else {
        *lo = align_down(addr, (uint64_t)window * LX_PAGE_SIZE);
        *hi = *lo + (uint64_t)window * LX_PAGE_SIZE;
    }
    v->window = window;
    v->next_fault = *hi;
    return sequential;
}

static int resolve_anon(struct mm *mm, struct vma *v, uaddr_t addr)
{
    uaddr_t lo, hi;
    bool sequential = write_window(v, addr, &lo, &hi);

    return fill_anon(mm, v, addr, lo, hi, sequential ? PLATFORM_MAP_POPULATE : 0,
                     /*ready=*/false);
}

/* ---- objects ----------------------------------------------------------------------------- */

static pte_t backing_entry(const struct backing *b)
{
    if (b->kind == BACKING_HOST)
        return PTE_PRESENT | PTE_HOST | ((b->host_off >> LX_PAGE_SHIFT) << PTE_PAGE_SHIFT) |
               ((pte_t)hostmem_index(b->host) << PTE_HOST_SHIFT);
    return PTE_PRESENT | ((pte_t)b->page << PTE_PAGE_SHIFT);
}

static void backing_put(const struct backing *b, uint32_t from)
{
    if (b->kind == BACKING_HOST)
        hostmem_put(b->host);
    else if (b->count > from)
        memfile_put(b->page + from, b->count - from);
}

/* translate with what it returned checked: a run of at most count pages. */
static int translate(struct vma *v, uaddr_t addr, uint32_t count, bool write, struct backing *out)
{
    uint64_t off = v->offset + (addr - v->start);
    int ret;

    ret = v->object->ops->translate(v->object, off >> LX_PAGE_SHIFT, count, write, out);
    if (ret < 0)
        return ret;
    ASSERT(out->count >= 1 && out->count <= count);
    if (out->kind == BACKING_HOST && out->host_off >> (LX_PAGE_SHIFT + 32)) {
        backing_put(out, 0);
        return -ENXIO;
    }
    return 0;
}

/* Installs one translated run at addr; consumes the backing's counts. */
static int install_backing(struct mm *mm, uaddr_t addr, const struct backing *b, uint32_t prot,
                           bool write_ok)
{
    pte_t e = pte_with_prot(backing_entry(b), prot) | (write_ok ? PTE_WRITE_OK : 0);

    if (b->kind == BACKING_HOST && b->count > 1)
        hostmem_get_many(b->host, b->count - 1);
    return install_run(mm, addr, b->count, e, 0);
}

/* Absent page of a vma with an object: maps a window of it. */
static int resolve_object(struct mm *mm, struct vma *v, uaddr_t addr)
{
    bool shared_write = (v->flags & VMA_SHARED) && (v->prot & LX_PROT_WRITE);
    uint32_t prot = prot_effective(v->prot) & (shared_write ? 7u : ~LX_PROT_WRITE);
    uaddr_t lo, hi, at;
    struct backing b;
    int ret;

    if (shared_write) {
        write_window(v, addr, &lo, &hi);
    } else {
        lo = align_down(addr, FILE_WINDOW_PAGES * LX_PAGE_SIZE);
        hi = lo + FILE_WINDOW_PAGES * LX_PAGE_SIZE;
    }
    clip_window(mm, v, addr, &lo, &hi);
    /* The page that is needed first: only its error counts. */
    ret = translate(v, addr, (uint32_t)pages_of(hi - addr), shared_write, &b);
    if (ret < 0)
        return ret;
    at = addr + (uint64_t)b.count * LX_PAGE_SIZE;
    ret = install_backing(mm, addr, &b, prot, shared_write);
    if (ret < 0)
        return ret;
    if (lo < addr && translate(v, lo, (uint32_t)pages_of(addr - lo), shared_write, &b) == 0) {
        ret = install_backing(mm, lo, &b, prot, shared_write);
        if (ret < 0)
            return 0;
    }
    while (at < hi && translate(v, at, (uint32_t)pages_of(hi - at), shared_write, &b) == 0) {
        ret = install_backing(mm, at, &b, prot, shared_write);
        if (ret < 0)
            break;
        at += (uint64_t)b.count * LX_PAGE_SIZE;
    }
    return 0;
}

/* ---- copy on write ----------------------------------------------------------------------- */

int mm_copy_backing(pte_t e, void *to)
{
    struct host_window *w;
    void *p;
    size_t left;
    int ret;

    if (!(e & PTE_HOST))
        return safe_memcpy(to, memfile_ptr(pte_page(e)), LX_PAGE_SIZE) ? -ENOMEM : 0;
    ret =
        hostmem_pin(hostmem_by_index(pte_host(e)), (uint64_t)pte_page(e) << LX_PAGE_SHIFT, &p, &w);
    if (ret < 0)
        return ret;
    left = safe_memcpy(to, p, LX_PAGE_SIZE);
    hostmem_unpin(w);
    return left ? -ENXIO : 0;
}

/* The data of a program or library: private, writable, right behind other parts of the same file.
 * Most of its pages will be written (relocations, variables). */
static bool is_image_data(struct vma *v)
{
    struct vma *before;

    if (!v->file || !v->object || (v->flags & VMA_SHARED) || !(v->prot & LX_PROT_WRITE))
        return false;
    before = vma_prev(v);
    return before && before->file == v->file;
}

/* Would the page at addr be copied by a write, as the one with entry e? */
static bool copies_along(struct mm *mm, uaddr_t addr, pte_t e)
{
    pte_t *n = page_map_lookup(&mm->pages, addr);

    if (!n || (*n & PTE_OWNED) != (e & PTE_OWNED) || pte_prot(*n) != pte_prot(e))
        return false;
    return !(*n & PTE_OWNED) || pte_sharers(*n) > 1;
}

/* How far around addr a copy goes. Pages of other private file mappings are copied one by one:
 * until then the guest sees the file change. */
static void copy_window(struct mm *mm, struct vma *v, uaddr_t addr, uaddr_t *lo, uaddr_t *hi)
{
    pte_t e = *page_map_lookup(&mm->pages, addr);
    uint64_t span = LX_PAGE_SIZE;
    uaddr_t min, max;

    if (e & PTE_OWNED)
        span = COW_WINDOW_PAGES * LX_PAGE_SIZE;
    else if (is_image_data(v))
        span = IMAGE_WINDOW_PAGES * LX_PAGE_SIZE;
    min = MAX(align_down(addr, span), v->start);
    max = MIN(align_down(addr, span) + span, v->end);
    for (*lo = addr; *lo > min && copies_along(mm, *lo - LX_PAGE_SIZE, e);)
        *lo -= LX_PAGE_SIZE;
    for (*hi = addr + LX_PAGE_SIZE; *hi < max && copies_along(mm, *hi, e);)
        *hi += LX_PAGE_SIZE;
}

/* Replaces the present entries of [lo, hi) by private copies with all rights of the vma. */
static int copy_range(struct mm *mm, uaddr_t lo, uaddr_t hi, uint32_t prot)
{
    uint32_t pages = (uint32_t)pages_of(hi - lo), i;
    struct page_batch b;
    mfpage_t first;
    uaddr_t at;
    int ret;

    ret = memfile_alloc_uninit(MEMFILE_ANON, pages, &first);
    if (ret < 0)
        return ret;
    for (i = 0, at = lo; i < pages; i++, at += LX_PAGE_SIZE) {
        ret = mm_copy_backing(*page_map_lookup(&mm->pages, at), memfile_ptr(first + i));
        if (ret < 0) {
            memfile_put(first, pages);
            return ret;
        }
    }
    /* The batch must not flush before the new mapping is in place. */
    static_assert(IMAGE_WINDOW_PAGES <= ARRAY_COUNT(b.run) &&
                      COW_WINDOW_PAGES <= IMAGE_WINDOW_PAGES,
                  "a window of copies fits into one batch");
    page_batch_init(&b, mm);
    for (at = lo; at < hi; at += LX_PAGE_SIZE)
        page_batch_add(&b, page_map_clear(&mm->pages, at));
    ret = install_run(
        mm, lo, pages,
        pte_with_prot(PTE_PRESENT | PTE_OWNED | ((pte_t)first << PTE_PAGE_SHIFT), prot), 0);
    page_batch_flush(&b);
    return ret;
}

static int copy_pages(struct mm *mm, struct vma *v, uaddr_t addr, uint32_t prot)
{
    uaddr_t lo, hi;
    int ret;

    copy_window(mm, v, addr, &lo, &hi);
    ret = copy_range(mm, lo, hi, prot);
    /* A neighbour may lie past the end of a truncated file, or memory be short: this one alone. */
    if (ret < 0 && hi - lo > LX_PAGE_SIZE)
        ret = copy_range(mm, addr, addr + LX_PAGE_SIZE, prot);
    return ret;
}

/* Absent pages of a program's data: copied at once, without being mapped read-only first. */
static int resolve_image_data(struct mm *mm, struct vma *v, uaddr_t addr)
{
    uint64_t span = IMAGE_WINDOW_PAGES * LX_PAGE_SIZE;
    uaddr_t lo = align_down(addr, span), hi = lo + span, at;
    struct backing b;
    mfpage_t first;
    uint32_t i, pages;
    int ret = 0;

    clip_window(mm, v, addr, &lo, &hi);
    pages = (uint32_t)pages_of(hi - lo);
    ret = memfile_alloc_uninit(MEMFILE_ANON, pages, &first);
    if (ret < 0)
        return ret;
    for (at = lo; at < hi && ret == 0; at += (uint64_t)b.count * LX_PAGE_SIZE) {
        mfpage_t to = first + (uint32_t)pages_of(at - lo);

        ret = translate(v, at, (uint32_t)pages_of(hi - at), false, &b);
        if (ret < 0)
            break;
        for (i = 0; i < b.count && ret == 0; i++)
            ret = mm_copy_backing(backing_entry(&b) + ((pte_t)i << PTE_PAGE_SHIFT),
                                  memfile_ptr(to + i));
        backing_put(&b, 0);
    }
    if (ret < 0) {
        memfile_put(first, pages);
        return ret;
    }
    return install_run(mm, lo, pages,
                       pte_with_prot(PTE_PRESENT | PTE_OWNED | ((pte_t)first << PTE_PAGE_SHIFT),
                                     prot_effective(v->prot)),
                       0);
}

/* Is the entry one that only lacks the write right because of an earlier fork? */
static bool may_take_write(pte_t e, uint32_t prot)
{
    return (e & PTE_OWNED) && pte_prot(e) == (prot & ~LX_PROT_WRITE) && pte_sharers(e) == 1;
}

/* The page at addr is ours alone: gives it, and such neighbours, the write right. */
static int take_write(struct mm *mm, struct vma *v, uaddr_t addr, uint32_t prot)
{
    uaddr_t lo = addr, hi = addr, min, max, p;
    pte_t *e;

    min = MAX(align_down(addr, TAKE_WINDOW_PAGES * LX_PAGE_SIZE), v->start);
    max = MIN(align_down(addr, TAKE_WINDOW_PAGES * LX_PAGE_SIZE) + TAKE_WINDOW_PAGES * LX_PAGE_SIZE,
              v->end);
    while (lo > min && (e = page_map_lookup(&mm->pages, lo - LX_PAGE_SIZE)) != NULL &&
           may_take_write(*e, prot))
        lo -= LX_PAGE_SIZE;
    do {
        hi += LX_PAGE_SIZE;
    } while (hi < max && (e = page_map_lookup(&mm->pages, hi)) != NULL && may_take_write(*e, prot));
    for (p = lo; p < hi; p += LX_PAGE_SIZE) {
        e = page_map_lookup(&mm->pages, p);
        *e = pte_with_prot(*e, prot);
    }
    mm->change_gen++;
    if (g_mm_platform->space_protect(mm->space, lo, hi - lo, (int)prot) < 0)
        mm_platform_reset(mm);
    return 0;
}

/* ---- one page ---------------------------------------------------------------------------- */

/* A present page gets the write right under a vma (or ptrace) that allows it. */
static int resolve_write(struct mm *mm, struct vma *v, uaddr_t addr, uint32_t prot)
{
    pte_t *e = page_map_lookup(&mm->pages, addr);
    struct page_batch b;

    if (*e & PTE_OWNED) {
        if (pte_sharers(*e) > 1)
            return copy_pages(mm, v, addr, prot);
        if (may_take_write(*e, prot))
            return take_write(mm, v, addr, prot);
        *e = pte_with_prot(*e, prot);
        return mm_map_run(mm, addr, 1, *e, 0);
    }
    if (!(v->flags & VMA_SHARED))
        return copy_pages(mm, v, addr, prot);
    if (*e & PTE_WRITE_OK) {
        *e = pte_with_prot(*e, prot);
        return mm_map_run(mm, addr, 1, *e, 0);
    }
    /* Translated for reading only (a hole, a page below an overlay): ask again. */
    page_batch_init(&b, mm);
    mm_drop_pages(mm, addr, addr + LX_PAGE_SIZE, &b);
    page_batch_flush(&b);
    return resolve_object(mm, v, addr);
}

uint32_t mm_allowed_prot(const struct vma *v, pte_t e)
{
    uint32_t prot = prot_effective(v->prot);

    if (e & PTE_OWNED)
        return pte_sharers(e) == 1 ? prot : prot & ~LX_PROT_WRITE;
    if ((v->flags & VMA_SHARED) && (e & PTE_WRITE_OK))
        return prot;
    return prot & ~LX_PROT_WRITE;
}

/* Maps present but unmapped pages from addr on, as far as they continue each other. */
static int remap_present(struct mm *mm, struct vma *v, uaddr_t addr)
{
    pte_t *e = page_map_lookup(&mm->pages, addr), *next;
    pte_t first;
    uaddr_t at = addr;
    uint32_t pages = 1;

    *e = pte_with_prot(*e, mm_allowed_prot(v, *e));
    first = *e;
    for (;;) {
        at += LX_PAGE_SIZE;
        if (at >= v->end || pages == FILE_WINDOW_PAGES)
            break;
        next = page_map_lookup(&mm->pages, at);
        if (!next || (*next & PTE_RWX) ||
            pte_with_prot(*next, mm_allowed_prot(v, *next)) !=
                first + ((pte_t)pages << PTE_PAGE_SHIFT))
            break;
        *next = pte_with_prot(*next, mm_allowed_prot(v, *next));
        pages++;
    }
    return mm_map_run(mm, addr, pages, first, 0);
}

static int check_rights(const struct vma *v, uint32_t access, bool force)
{
    uint32_t prot = v->prot;

    if (force) {
        /* ptrace: read anything readable in principle; write private pages, or writable ones. */
        if (access & PLATFORM_ACCESS_WRITE)
            return (prot & LX_PROT_WRITE) ||
                           (!(v->flags & VMA_SHARED) && (v->max_prot & LX_PROT_WRITE))
                       ? 0
                       : -EFAULT;
        return v->max_prot & LX_PROT_READ ? 0 : -EFAULT;
    }
    if (!(prot & LX_PROT_RWX))
        return -EFAULT;
    if ((access & PLATFORM_ACCESS_WRITE) && !(prot & LX_PROT_WRITE))
        return -EFAULT;
    if ((access & PLATFORM_ACCESS_EXEC) && !(prot & LX_PROT_EXEC))
        return -EFAULT;
    return 0;
}

static int resolve_absent(struct mm *mm, struct vma *v, uaddr_t addr)
{
    if (!v->object)
        return resolve_anon(mm, v, addr);
    /* Past the end of the file or short of memory: page by page, the careful way. */
    if (is_image_data(v) && resolve_image_data(mm, v, addr) == 0)
        return 0;
    return resolve_object(mm, v, addr);
}

int mm_resolve(struct mm *mm, struct vma *v, uaddr_t addr, uint32_t access, bool force)
{
    uint32_t prot = prot_effective(v->prot), had;
    pte_t *e;
    int ret = check_rights(v, access, force);

    if (ret < 0)
        return ret;
    addr = align_down(addr, LX_PAGE_SIZE);
    e = page_map_lookup(&mm->pages, addr);
    had = e ? pte_prot(*e) : 0;
    if (!e) {
        ret = resolve_absent(mm, v, addr);
        if (ret < 0 || !(access & PLATFORM_ACCESS_WRITE))
            return ret;
        e = page_map_lookup(&mm->pages, addr);
    } else if (had == 0 && prot != 0) {
        ret = remap_present(mm, v, addr);
        if (ret < 0)
            return ret;
        e = page_map_lookup(&mm->pages, addr);
    }
    if (pte_prot(*e) & LX_PROT_WRITE)
        return 0;
    if (access & PLATFORM_ACCESS_WRITE) {
        /* Forced writes go to a private copy that keeps the vma's rights. */
        if (!(prot & LX_PROT_WRITE) && (*e & PTE_OWNED) && pte_sharers(*e) == 1)
            return 0;
        return resolve_write(mm, v, addr, prot);
    }
    if (access == 0 && (had & LX_PROT_READ) && (prot & LX_PROT_WRITE))
        return resolve_write(mm, v, addr, prot);
    return 0;
}

/* ---- ahead of faults ---------------------------------------------------------------------- */

void mm_prefault_locked(struct mm *mm, struct vma *v, uaddr_t start, uaddr_t end)
{
    bool writable = v->prot & LX_PROT_WRITE;

    /* Only advice: what fails here is reported by the fault that comes. */
    if (!(v->prot & LX_PROT_RWX) || (v->flags & VMA_RANDOM) || !page_absent(mm, start))
        return;
    if (!v->object) {
        if (writable && !(v->flags & (VMA_GROWSDOWN | VMA_NORESERVE)))
            IGNORE_RESULT(fill_anon(mm, v, start, start,
                                    MIN(end, start + WINDOW_PAGES * LX_PAGE_SIZE), 0,
                                    /*ready=*/true));
    } else if (is_image_data(v)) {
        IGNORE_RESULT(resolve_image_data(mm, v, start));
    } else if (!(writable && (v->flags & VMA_SHARED))) {
        IGNORE_RESULT(resolve_object(mm, v, start));
    }
}

/* ---- populate ---------------------------------------------------------------------------- */

int mm_populate_locked(struct mm *mm, uaddr_t start, uaddr_t end, bool write)
{
    uaddr_t addr = start;

    while (addr < end) {
        struct vma *v = vma_set_at(&mm->vmas, addr);
        bool w;
        pte_t *e;
        int ret;

        if (!v)
            return -ENOMEM;
        w = write || (v->prot & LX_PROT_WRITE && !(v->flags & VMA_SHARED));
        e = page_map_lookup(&mm->pages, addr);
        if (e && pte_prot(*e) != 0 && (!w || pte_prot(*e) & LX_PROT_WRITE)) {
            addr += LX_PAGE_SIZE;
            continue;
        }
        if (!e && !v->object && (v->prot & LX_PROT_RWX)) {
            ret = fill_anon(mm, v, addr, addr,
                            MIN(end, addr + (uint64_t)WINDOW_MAX_PAGES * LX_PAGE_SIZE),
                            PLATFORM_MAP_POPULATE, /*ready=*/true);
        } else {
            ret = mm_resolve(mm, v, addr, w ? PLATFORM_ACCESS_WRITE : PLATFORM_ACCESS_READ,
                             /*force=*/false);
        }
        if (ret < 0)
            return ret;
        addr += LX_PAGE_SIZE;
    }
    return 0;
}
