/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Page tables of address spaces, written by the sentry while guest code runs.
 *
 * A host without hardware page tables keeps shadows of them and does not see the sentry's writes. So:
 *
 *  - entries of the last level: an addition is seen at the fault that it answers, because the host
 *    reads the table then. After a removal the frame is taken from guest code through the sentry's own
 *    mapping of it (kvm_space_flush), which the host follows in every kind of table.
 *  - entries above the last level are written once, from nothing to a table, and never again: a
 *    table keeps its place as long as its top table lives.
 *  - the tables of a space that has ended, or was emptied, are not used again before the host has
 *    forgotten all about them: they are collected ("retired"), and when there are many of them the world
 *    is stopped for a moment and the slot with all tables taken out and put back, which drops all shadows.
 *
 * With hardware page tables the same is more than enough.
 *
 * Accessed and dirty bits are set from the start: nobody asks for them, and the host need not write.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "platform/base/log.h"
#include "platform/kvm/kvm_internal.h"

enum {
    ENTRIES = 512,
    LEVELS = 4,
    RETIRED_MAX = 2048, /* tables: 8 MiB */
    KERNEL_ENTRY = 511,
};
#define TABLE_BITS (PTE_P | PTE_RW | PTE_US | PTE_A | PTE_D)

static uint64_t *table_at(const struct platform *p, uint64_t entry)
{
    /* SAFETY: frames of tables are pages in the tables' slot. */
    return (uint64_t *)(void *)(p->base + (entry & PTE_FRAME));
}

static unsigned index_at(uaddr_t addr, int level)
{
    return (unsigned)(addr >> (12 + 9 * level)) % ENTRIES;
}

/* --- pages of the tables' slot --- */

uint32_t kvm_page_alloc_locked(struct platform *p)
{
    uint32_t n = p->free.first;

    if (n) {
        p->free.first = p->table_next[n];
        p->free.count--;
        memset(kvm_ptr(p, (uint64_t)n * LX_PAGE_SIZE), 0, LX_PAGE_SIZE);
    } else if (p->table_end < TABLES_PAGES) {
        n = p->table_end++;
    }
    return n;
}

/* Makes the host forget what it knows of tables, and retired ones usable. */
static void recycle_locked(struct platform *p) REQUIRES(p->lock)
{
    uint32_t n;

    kvm_world_stop_locked(p);
    if (kvm_slot_set(p, SLOT_TABLES, /*present=*/false) < 0 ||
        kvm_slot_set(p, SLOT_TABLES, /*present=*/true) < 0)
        panic("kvm: the host does not take page tables back");
    kvm_world_resume_locked(p);
    while ((n = p->retired.first)) {
        p->retired.first = p->table_next[n];
        p->table_next[n] = p->free.first;
        p->free.first = n;
    }
    p->free.count += p->retired.count;
    p->retired.count = 0;
}

/* One more table for s; 0: none. */
static uint32_t table_new(struct platform_space *s) REQUIRES(s->lock)
{
    struct platform *p = s->platform;
    uint32_t n;

    mutex_lock(&p->lock);
    if (!p->free.first && p->retired.count >= RETIRED_MAX)
        recycle_locked(p);
    n = kvm_page_alloc_locked(p);
    if (!n && p->retired.first) {
        recycle_locked(p);
        n = kvm_page_alloc_locked(p);
    }
    if (n) {
        p->table_next[n] = s->tables;
        s->tables = n;
        s->table_count++;
    }
    mutex_unlock(&p->lock);
    return n;
}

/* --- of a space --- */

int kvm_tables_new(struct platform_space *s)
{
    struct platform *p = s->platform;
    uint32_t n = table_new(s);
    uint64_t *top;

    if (!n)
        return -ENOMEM;
    top = table_at(p, (uint64_t)n * LX_PAGE_SIZE);
    top[KERNEL_ENTRY] = (uint64_t)p->kernel_table * LX_PAGE_SIZE | PTE_P | PTE_RW | PTE_A | PTE_D;
    atomic_store(&s->root, (uint64_t)n * LX_PAGE_SIZE);
    return 0;
}

uint64_t *kvm_table_entry(struct platform_space *s, uaddr_t addr, bool make)
{
    const struct platform *p = s->platform;
    uint64_t *table = table_at(p, atomic_load(&s->root));

    for (int level = LEVELS - 1; level > 0; level--) {
        uint64_t *entry = &table[index_at(addr, level)];

        if (!(*entry & PTE_P)) {
            uint32_t n = make ? table_new(s) : 0;

            if (!n)
                return NULL;
            /* A walker that sees the entry sees an empty table. */
            __atomic_store_n(entry, (uint64_t)n * LX_PAGE_SIZE | TABLE_BITS, __ATOMIC_RELEASE);
        }
        table = table_at(p, *entry);
    }
    return &table[index_at(addr, 0)];
}

struct walk {
    uaddr_t start, end;
    void (*fn)(void *arg, uaddr_t addr, uint64_t *entry);
    void *arg;
};

/* The part of the walk below one table, which begins at base. */
static void walk_table(const struct platform *p, const struct walk *w, uint64_t *table, int level,
                       uaddr_t base)
{
    const uint64_t step = 1ul << (12 + 9 * level);
    const unsigned first = w->start > base ? (unsigned)((w->start - base) / step) : 0;

    for (unsigned i = first; i < (level == LEVELS - 1 ? ENTRIES / 2 : ENTRIES); i++) {
        const uaddr_t addr = base + i * step;

        if (addr >= w->end)
            break;
        if (table[i] == 0)
            continue;
        if (level == 0)
            w->fn(w->arg, addr, &table[i]);
        else
            walk_table(p, w, table_at(p, table[i]), level - 1, addr);
    }
}

void kvm_table_walk(struct platform_space *s, uaddr_t start, uaddr_t end,
                    void (*fn)(void *arg, uaddr_t addr, uint64_t *entry), void *arg)
{
    const struct walk w = {start, end, fn, arg};

    walk_table(s->platform, &w, table_at(s->platform, atomic_load(&s->root)), LEVELS - 1, 0);
}

struct giving {
    struct platform *platform;
    uint64_t start, end; /* a run of frames in one unit */
};

static void give_run(struct giving *g)
{
    if (g->end > g->start)
        kvm_frames_put(g->platform, g->start, (uint32_t)((g->end - g->start) / LX_PAGE_SIZE));
}

static void give_entry(void *arg, uaddr_t addr, uint64_t *entry)
{
    struct giving *g = arg;
    const uint64_t frame = *entry & PTE_FRAME;

    (void)addr;
    if (!(*entry & PTE_P))
        return;
    if (frame != g->end || frame % UNIT_SIZE == 0) {
        give_run(g);
        g->start = frame;
    }
    g->end = frame + LX_PAGE_SIZE;
}

static void retire(struct platform *p, uint64_t root, uint32_t first, uint32_t count)
{
    struct giving g = {.platform = p};
    const struct walk w = {0, p->high, give_entry, &g};
    uint32_t last = first;

    walk_table(p, &w, table_at(p, root), LEVELS - 1, 0);
    give_run(&g);
    mutex_lock(&p->lock);
    while (p->table_next[last])
        last = p->table_next[last];
    p->table_next[last] = p->retired.first;
    p->retired.first = first;
    p->retired.count += count;
    mutex_unlock(&p->lock);
}

int kvm_tables_replace(struct platform_space *s)
{
    const uint64_t root = atomic_load(&s->root);
    const uint32_t first = s->tables, count = s->table_count;
    int ret;

    s->tables = s->table_count = 0;
    ret = kvm_tables_new(s);
    if (ret == 0)
        s->entries = 0;
    if (ret < 0) {
        s->tables = first;
        s->table_count = count;
        return ret;
    }
    kvm_space_bring_out(s); /* those who use the old ones */
    retire(s->platform, root, first, count);
    return 0;
}

void kvm_tables_end(struct platform_space *s)
{
    if (s->tables)
        retire(s->platform, atomic_load(&s->root), s->tables, s->table_count);
    s->tables = s->table_count = 0;
}

/* --- the upper half --- */

static int kernel_page_locked(struct platform *p, uaddr_t addr, uint32_t page, uint64_t bits)
    REQUIRES(p->lock)
{
    uint64_t *table = table_at(p, (uint64_t)p->kernel_table * LX_PAGE_SIZE);

    for (int level = LEVELS - 2; level > 0; level--) {
        uint64_t *entry = &table[index_at(addr, level)];

        if (!(*entry & PTE_P)) {
            uint32_t n = kvm_page_alloc_locked(p);

            if (!n)
                return -ENOMEM;
            *entry = (uint64_t)n * LX_PAGE_SIZE | PTE_P | PTE_RW | PTE_A | PTE_D;
        }
        table = table_at(p, *entry);
    }
    table[index_at(addr, 0)] = (uint64_t)page * LX_PAGE_SIZE | PTE_P | PTE_A | PTE_D | bits;
    return 0;
}

/* SAFETY: layout of the processor's manual (interrupt gate of 64-bit mode). */
struct PACKED gate {
    uint16_t offset0, selector;
    uint8_t stack, type;
    uint16_t offset1;
    uint32_t offset2, reserved;
};

static void fill_gates(struct gate *gates)
{
    enum { GATE_KERNEL = 0x8e, GATE_USER = 0xee, VECTOR_BP = 3, VECTOR_OF = 4, IST1 = 1 };

    for (unsigned i = 0; i < VECTOR_COUNT; i++) {
        const uaddr_t at = KERNEL_CODE + ENTRY_VECTOR + i * ENTRY_VECTOR_STEP;

        gates[i] = (struct gate){.offset0 = (uint16_t)at,
                                 .selector = KERNEL_CS,
                                 .stack = IST1,
                                 .type = i == VECTOR_BP || i == VECTOR_OF ? GATE_USER : GATE_KERNEL,
                                 .offset1 = (uint16_t)(at >> 16),
                                 .offset2 = (uint32_t)(at >> 32)};
    }
}

int kvm_tables_init(struct platform *p)
{
    enum { HLT = 0xf4 };
    uint32_t code, idt, page;
    int ret = 0;

    mutex_lock(&p->lock);
    p->table_end = 1; /* 0 is no page */
    p->kernel_table = kvm_page_alloc_locked(p);
    code = kvm_page_alloc_locked(p);
    idt = kvm_page_alloc_locked(p);
    memset(kvm_ptr(p, (uint64_t)code * LX_PAGE_SIZE), HLT, LX_PAGE_SIZE);
    fill_gates(kvm_ptr(p, (uint64_t)idt * LX_PAGE_SIZE));
    ret = kernel_page_locked(p, KERNEL_CODE, code, 0);
    if (ret == 0)
        ret = kernel_page_locked(p, KERNEL_IDT, idt, PTE_NOEXEC);
    /* All of them now: tables above the last level do not change later. */
    for (unsigned i = 0; ret == 0 && i < VCPUS_MAX; i++) {
        page = kvm_page_alloc_locked(p);
        ret = page
                  ? kernel_page_locked(p, KERNEL_CPUS + i * LX_PAGE_SIZE, page, PTE_RW | PTE_NOEXEC)
                  : -ENOMEM;
        p->cpu_pages[i] = page;
    }
    mutex_unlock(&p->lock);
    return ret;
}
