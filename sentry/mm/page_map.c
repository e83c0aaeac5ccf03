// SPDX-License-Identifier: Apache-2.0
/*
 * The page map: which page of the memory file or of a host file backs each guest page, whether it
 * is this address space's own, and what protection the platform has for it right now. A radix tree
 * of four levels as on x86: one lookup is four loads, a fork copies leaves, and a copy-on-write
 * break of one page touches one word.
 *
 * Every present entry holds a count on its page (memory file) or its hostmem. PTE_OWNED marks pages
 * that only address spaces count: count 1 means "mine alone".
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sentry/mm/mm_internal.h"

#define LEVEL_BITS 9u
#define ROOT_SHIFT 39u
#define MID_SHIFT  30u

static inline uint32_t index_at(uaddr_t addr, unsigned shift)
{
    return (uint32_t)(addr >> shift) & 511u;
}

void page_map_init(struct page_map *pm)
{
    memset(pm, 0, sizeof(*pm));
}

static void table_free(struct pt_table *t, unsigned shift)
{
    uint32_t i;

    for (i = 0; i < 512; i++) {
        if (!t->slot[i])
            continue;
        if (shift > MID_SHIFT)
            table_free(t->slot[i], shift - LEVEL_BITS);
        else
            free(t->slot[i]);
    }
    free(t);
}

void page_map_destroy(struct page_map *pm)
{
    uint32_t i;

    for (i = 0; i < PT_ROOT_ENTRIES; i++) {
        if (pm->root[i])
            table_free(pm->root[i], ROOT_SHIFT);
        pm->root[i] = NULL;
    }
    pm->tables = 0;
    pm->rss_anon = pm->rss_file = pm->rss_shmem = 0;
}

static struct pt_leaf *leaf_lookup(struct page_map *pm, uaddr_t addr)
{
    struct pt_table *t;

    if (addr >> (ROOT_SHIFT + 8))
        return NULL;
    t = pm->root[addr >> ROOT_SHIFT];
    if (t)
        t = t->slot[index_at(addr, MID_SHIFT)];
    return t ? t->slot[index_at(addr, PT_LEAF_SHIFT)] : NULL;
}

pte_t *page_map_lookup(struct page_map *pm, uaddr_t addr)
{
    struct pt_leaf *leaf = leaf_lookup(pm, addr);
    pte_t *e;

    if (!leaf)
        return NULL;
    e = &leaf->e[index_at(addr, LX_PAGE_SHIFT)];
    return *e ? e : NULL;
}

static void *slot_ensure(struct page_map *pm, void **slot, size_t size)
{
    if (!*slot) {
        *slot = calloc(1, size);
        if (*slot)
            pm->tables++;
    }
    return *slot;
}

int page_map_leaf(struct page_map *pm, uaddr_t addr, struct pt_leaf **out)
{
    struct pt_table *t;

    ASSERT(addr >> (ROOT_SHIFT + 8) == 0);
    if (!pm->root[addr >> ROOT_SHIFT]) {
        pm->root[addr >> ROOT_SHIFT] = calloc(1, sizeof(struct pt_table));
        if (!pm->root[addr >> ROOT_SHIFT])
            return -ENOMEM;
        pm->tables++;
    }
    t = pm->root[addr >> ROOT_SHIFT];
    t = slot_ensure(pm, &t->slot[index_at(addr, MID_SHIFT)], sizeof(*t));
    if (!t)
        return -ENOMEM;
    *out = slot_ensure(pm, &t->slot[index_at(addr, PT_LEAF_SHIFT)], sizeof(struct pt_leaf));
    return *out ? 0 : -ENOMEM;
}

/* Moves *addr to the next multiple of 1 << shift; false when that is at or above end. */
static bool skip(uaddr_t *addr, unsigned shift, uaddr_t end)
{
    *addr = align_down(*addr, 1ul << shift) + (1ul << shift);
    return *addr < end;
}

pte_t *page_map_next(struct page_map *pm, uaddr_t *addr, uaddr_t end)
{
    while (*addr < end && *addr >> (ROOT_SHIFT + 8) == 0) {
        struct pt_table *top = pm->root[*addr >> ROOT_SHIFT], *mid;
        struct pt_leaf *leaf;
        uint32_t i;

        if (!top) {
            if (!skip(addr, ROOT_SHIFT, end))
                return NULL;
            continue;
        }
        mid = top->slot[index_at(*addr, MID_SHIFT)];
        if (!mid) {
            if (!skip(addr, MID_SHIFT, end))
                return NULL;
            continue;
        }
        leaf = mid->slot[index_at(*addr, PT_LEAF_SHIFT)];
        if (!leaf || leaf->used == 0) {
            if (!skip(addr, PT_LEAF_SHIFT, end))
                return NULL;
            continue;
        }
        for (i = index_at(*addr, LX_PAGE_SHIFT); i < PT_LEAF_ENTRIES; i++) {
            if (leaf->e[i])
                break;
        }
        *addr = align_down(*addr, 1ul << PT_LEAF_SHIFT) + (uint64_t)i * LX_PAGE_SIZE;
        if (i < PT_LEAF_ENTRIES)
            return *addr < end ? &leaf->e[i] : NULL;
    }
    return NULL;
}

static uint64_t *rss_of(struct page_map *pm, pte_t e)
{
    if (e & PTE_OWNED)
        return &pm->rss_anon;
    return e & PTE_HOST ? &pm->rss_file : &pm->rss_shmem;
}

void page_map_set(struct page_map *pm, struct pt_leaf *leaf, uaddr_t addr, pte_t e)
{
    pte_t *slot = &leaf->e[index_at(addr, LX_PAGE_SHIFT)];

    DEBUG_ASSERT(*slot == 0 && (e & PTE_PRESENT));
    *slot = e;
    leaf->used++;
    (*rss_of(pm, e))++;
}

pte_t page_map_clear(struct page_map *pm, uaddr_t addr)
{
    struct pt_leaf *leaf = leaf_lookup(pm, addr);
    pte_t *slot, e;

    if (!leaf)
        return 0;
    slot = &leaf->e[index_at(addr, LX_PAGE_SHIFT)];
    e = *slot;
    if (e) {
        *slot = 0;
        leaf->used--;
        (*rss_of(pm, e))--;
        if (unlikely(e & PTE_WATCHED)) {
            atomic_fetch_add(&pm->watched_changes, 1);
            e &= ~PTE_WATCHED;
        }
    }
    return e;
}

void page_map_prune(struct page_map *pm, uaddr_t start, uaddr_t end)
{
    uaddr_t addr = align_up(start, 1ul << PT_LEAF_SHIFT);

    while (addr < end && end - addr >= 1ul << PT_LEAF_SHIFT && addr >> (ROOT_SHIFT + 8) == 0) {
        struct pt_table *top = pm->root[addr >> ROOT_SHIFT], *mid;
        struct pt_leaf *leaf;
        void **slot;

        mid = top ? top->slot[index_at(addr, MID_SHIFT)] : NULL;
        if (!mid) {
            if (!skip(&addr, top ? MID_SHIFT : ROOT_SHIFT, end))
                return;
            continue;
        }
        slot = &mid->slot[index_at(addr, PT_LEAF_SHIFT)];
        leaf = *slot;
        if (leaf && leaf->used == 0) {
            free(leaf);
            *slot = NULL;
            pm->tables--;
        }
        addr += 1ul << PT_LEAF_SHIFT;
    }
}

void pte_get(pte_t e)
{
    if (e & PTE_HOST)
        hostmem_get(hostmem_by_index(pte_host(e)));
    else
        memfile_get(pte_page(e), 1);
}

void pte_put(pte_t e)
{
    if (e & PTE_HOST)
        hostmem_put(hostmem_by_index(pte_host(e)));
    else
        memfile_put(pte_page(e), 1);
}

void page_batch_init(struct page_batch *b, struct mm *mm)
{
    b->mm = mm;
    b->count = 0;
}

void page_batch_add(struct page_batch *b, pte_t e)
{
    if (b->count > 0) {
        pte_t first = b->run[b->count - 1].e;
        uint32_t pages = b->run[b->count - 1].pages;

        if ((e & PTE_HOST) == (first & PTE_HOST) &&
            (e & PTE_HOST ? pte_host(e) == pte_host(first)
                          : pte_page(e) == pte_page(first) + pages)) {
            b->run[b->count - 1].pages++;
            return;
        }
    }
    if (b->count == ARRAY_COUNT(b->run))
        page_batch_flush(b);
    b->run[b->count].e = e;
    b->run[b->count].pages = 1;
    b->count++;
}

void page_batch_flush(struct page_batch *b)
{
    uint32_t i;

    if (b->count == 0)
        return;
    g_mm_platform->space_barrier(b->mm->space);
    for (i = 0; i < b->count; i++) {
        if (b->run[i].e & PTE_HOST)
            hostmem_put_many(hostmem_by_index(pte_host(b->run[i].e)), b->run[i].pages);
        else
            memfile_put(pte_page(b->run[i].e), b->run[i].pages);
    }
    b->count = 0;
}
