// SPDX-License-Identifier: Apache-2.0
/*
 * The memory file. See memfile.h.
 *
 * Layout: a memfd, sparse, as large as the host lets us reserve (up to 1 TiB), mapped once
 * MAP_NORESERVE; a page costs host memory when it is first touched. Pages up to g_mf.frontier have
 * been handed out at least once.
 *
 * A free page is in one of two pools: `clean` (a hole: reads as zero, the next touch allocates) or
 * `dirty` (the host still has the old bytes; zeroing it here is cheaper than a hole plus a fresh
 * fault). The dirty pool is bounded: above DIRTY_HIGH pages the largest runs are punched.
 *
 * Huge pages. A memfd has none on most hosts (shmem_enabled is never), but a file of a tmpfs mounted
 * with huge=advise has, whatever that setting (memfile_provide). The sentry's mapping asks for them
 * from SMALL_PAGES on, so that an idle sandbox pays nothing; the first allocation that enters a block
 * of 2 MiB fills it all: one fault that clears 2 MiB costs 85 us where 512 of them cost 1300. A
 * stub that maps a whole block at an address that is its equal modulo 2 MiB needs one entry for
 * it. Blocks are punched whole, or the host would have to split them, and what is cut off a block
 * stays dirty.
 *
 * Counts: one 32-bit word per page, kind in the top 2 bits, in arrays allocated as the frontier
 * moves. get/put are lock-free until a count drops to 0; the pools are under RANK_MEMFILE. Beside
 * each count stands the memory group that pays for the page (memcg.h), written before the page is
 * handed out and constant until it is free.
 */
#include "sentry/mm/memfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "platform/base/lock.h"
#include "platform/base/log.h"
#include "platform/host/file.h"
#include "platform/host/mem.h"
#include "platform/host/proc.h"
#include "sentry/mm/extent.h"
#include "sentry/mm/memcg_internal.h"
#include "sentry/mm/memfile_internal.h"
#include "sentry/mm/safecopy.h"

#define PAGE        4096ul
#define MAX_SIZE    (1ull << 40)
#define MIN_SIZE    (1ull << 28)
#define CHUNK_SHIFT 16 /* pages per array of counts: 256 MiB of memory, 256 KiB of counts */
#define CHUNK_PAGES (1u << CHUNK_SHIFT)
#define CHUNK_COUNT (MAX_SIZE / PAGE / CHUNK_PAGES)
#define DIRTY_HIGH  2048u
#define DIRTY_LOW   1024u
#define PUNCH_AT    512u /* a freed run of this size goes straight back to the host */
#define SMALL_PAGES 512u /* no huge pages below this one */
#define KIND_SHIFT  30
#define COUNT_MASK  ((1u << KIND_SHIFT) - 1)

struct chunk {
    atomic_uint count[CHUNK_PAGES];
    memcg_id_t owner[CHUNK_PAGES];
};

/* Keys: I immutable after memfile_init; m ->lock; a atomic */
static struct {
    struct mutex lock;                           /* rank MEMFILE */
    int fd;                                      /* I */
    atomic_bool huge;                            /* a: it has huge pages */
    bool provided;                               /* I: it could have them */
    char *base;                                  /* I */
    uint32_t size;                               /* I: pages */
    uint32_t frontier;                           /* m */
    struct extent_pool clean, dirty;             /* m */
    _Atomic(struct chunk *) chunks[CHUNK_COUNT]; /* a: set once, under m */
} g_mf = {.fd = -1};

/* RLIMIT_FSIZE counts for the memory file too; the guest's own limit is kept elsewhere. */
static void lift_file_size_limit(void)
{
    struct rlimit lim;

    if (host_prlimit(0, RLIMIT_FSIZE, NULL, &lim) < 0 || lim.rlim_cur == lim.rlim_max)
        return;
    lim.rlim_cur = lim.rlim_max;
    IGNORE_RESULT(host_prlimit(0, RLIMIT_FSIZE, &lim, NULL)); /* ftruncate tells, if it matters */
}

static int reserve(void)
{
    uint64_t size;
    void *p;
    int ret = -ENOMEM;

    lift_file_size_limit();
    for (size = MAX_SIZE; size >= MIN_SIZE; size >>= 1) {
        ret = host_ftruncate(g_mf.fd, (int64_t)size);
        if (ret < 0)
            continue;
        ret = host_mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, g_mf.fd, 0,
                        &p);
        if (ret < 0)
            continue;
        /* Advice only: a host that refuses it writes larger core files of the sentry. */
        (void)host_madvise(p, size, MADV_DONTDUMP);
        g_mf.base = p;
        g_mf.size = (uint32_t)(size / PAGE);
        g_mf.huge = g_mf.huge && host_madvise(g_mf.base + SMALL_PAGES * PAGE,
                                              size - SMALL_PAGES * PAGE, MADV_HUGEPAGE) == 0;
        return 0;
    }
    return ret;
}

void memfile_provide(int fd)
{
    if (g_mf.base) {
        host_close(fd);
        return;
    }
    g_mf.fd = fd;
    g_mf.huge = g_mf.provided = true;
}

static int open_file(void)
{
    int ret;

    if (g_mf.fd >= 0)
        return 0;
    ret = host_memfd_create("runsc-memory", MFD_CLOEXEC);
    if (ret < 0)
        return ret;
    g_mf.fd = ret;
    return 0;
}

int memfile_init(uint64_t limit)
{
    int ret;

    if (g_mf.base)
        return 0;
    mutex_init(&g_mf.lock, RANK_MEMFILE);
    memcg_subsystem_init();
    extent_pool_init(&g_mf.clean);
    extent_pool_init(&g_mf.dirty);
    ret = open_file();
    if (ret < 0)
        return ret;
    ret = reserve();
    if (ret < 0) {
        host_close(g_mf.fd);
        g_mf.fd = -1;
        return ret;
    }
    if (limit)
        memcg_set_max(MEMCG_ROOT, limit);
    return 0;
}

void memfile_exact(void)
{
    if (!atomic_exchange(&g_mf.huge, false))
        return;
    (void)host_madvise(g_mf.base, (uint64_t)g_mf.size * PAGE, MADV_NOHUGEPAGE);
    memfile_trim();
}

int memfile_fd(void)
{
    return g_mf.fd;
}

static inline struct chunk *chunk_of(mfpage_t page)
{
    return atomic_load_explicit(&g_mf.chunks[page >> CHUNK_SHIFT], memory_order_acquire);
    /* acquire: pairs with the release store in counts_extend_locked. */
}

static inline atomic_uint *count_of(mfpage_t page)
{
    return &chunk_of(page)->count[page & (CHUNK_PAGES - 1)];
}

static inline memcg_id_t *owner_of(mfpage_t page)
{
    return &chunk_of(page)->owner[page & (CHUNK_PAGES - 1)];
}

/* Makes the chunks cover pages below end. */
static bool counts_extend_locked(uint32_t first, uint32_t end)
{
    uint32_t c;

    for (c = first >> CHUNK_SHIFT; c <= (end - 1) >> CHUNK_SHIFT; c++) {
        struct chunk *chunk;

        if (atomic_load_explicit(&g_mf.chunks[c], memory_order_relaxed))
            continue;
        chunk = calloc(1, sizeof(*chunk));
        if (!chunk)
            return false;
        atomic_store_explicit(&g_mf.chunks[c], chunk, memory_order_release);
    }
    return true;
}

static bool frontier_take_locked(uint32_t count, mfpage_t *out)
{
    if (count > g_mf.size - g_mf.frontier)
        return false;
    if (!counts_extend_locked(g_mf.frontier, g_mf.frontier + count))
        return false;
    *out = g_mf.frontier;
    g_mf.frontier += count;
    return true;
}

static void pool_add_locked(struct extent_pool *pool, uint32_t start, uint32_t count)
{
    /* Out of memory for the node: the range of the sparse file is lost, nothing else. */
    if (!extent_pool_add(pool, start, count))
        log_warn(LOG_MM, "memory file: %u pages lost, no memory for the free list", count);
}

/* Whole blocks in [*start, *start + *count)? Then they are what remains of it, the rest becomes
 * dirty. */
static void keep_whole_blocks(uint32_t *start, uint32_t *count)
{
    uint32_t first = (uint32_t)align_up(*start, MEMFILE_BLOCK_PAGES), end = *start + *count;
    uint32_t last = (uint32_t)align_down(end, MEMFILE_BLOCK_PAGES);

    if (!g_mf.huge || first >= last || *count == last - first)
        return;
    mutex_lock(&g_mf.lock);
    if (first > *start)
        pool_add_locked(&g_mf.dirty, *start, first - *start);
    if (end > last)
        pool_add_locked(&g_mf.dirty, last, end - last);
    mutex_unlock(&g_mf.lock);
    *start = first;
    *count = last - first;
}

static void punch(uint32_t start, uint32_t count)
{
    int ret;

    keep_whole_blocks(&start, &count);
    ret = host_fallocate(g_mf.fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                         (int64_t)memfile_offset(start), (int64_t)count * (int64_t)PAGE);

    mutex_lock(&g_mf.lock);
    pool_add_locked(ret < 0 ? &g_mf.dirty : &g_mf.clean, start, count);
    mutex_unlock(&g_mf.lock);
}

/* Gives the largest dirty runs back to the host until the pool is small again. */
static void trim_dirty(uint64_t target)
{
    uint32_t start, count;
    bool got;

    for (;;) {
        mutex_lock(&g_mf.lock);
        got = g_mf.dirty.pages > target && extent_pool_take_largest(&g_mf.dirty, &start, &count);
        mutex_unlock(&g_mf.lock);
        if (!got)
            return;
        punch(start, count);
    }
}

/* Fills the blocks that a run of fresh pages enters. Only a hint: pages that are missing come with
 * the faults of those who use them. */
static void fill_blocks(mfpage_t first, uint32_t count, memcg_id_t owner)
{
    uint64_t from = align_up(MAX(first, SMALL_PAGES), MEMFILE_BLOCK_PAGES);
    uint64_t end = align_up((uint64_t)first + count, MEMFILE_BLOCK_PAGES);

    if (from >= end || end > g_mf.size)
        return;
    /* Near a limit no page may be taken ahead: the host has limits of its own. */
    if (memcg_margin(owner) < (end - from) * PAGE * 2)
        return;
    (void)host_madvise(g_mf.base + from * PAGE, (end - from) * PAGE, MADV_POPULATE_WRITE);
}

/* A whole block at the start of one, where it can be a huge page. */
static bool take_block_locked(mfpage_t *out)
{
    uint32_t skip = (uint32_t)align_up(g_mf.frontier, MEMFILE_BLOCK_PAGES) - g_mf.frontier;
    mfpage_t gap;

    if (extent_pool_take_aligned(&g_mf.clean, MEMFILE_BLOCK_PAGES, out))
        return true;
    if (skip && !frontier_take_locked(skip, &gap))
        return false;
    if (skip)
        pool_add_locked(&g_mf.clean, gap, skip);
    return frontier_take_locked(MEMFILE_BLOCK_PAGES, out);
}

/* hint: a page the run should start at when it is free, MEMFILE_NONE for none. */
static int take_run(uint32_t count, mfpage_t hint, mfpage_t *out, bool *out_dirty)
{
    int ret = 0;

    *out_dirty = false;
    mutex_lock(&g_mf.lock);
    if (g_mf.huge && count == MEMFILE_BLOCK_PAGES &&
        (hint == MEMFILE_NONE || hint % MEMFILE_BLOCK_PAGES) && take_block_locked(out))
        goto out;
    if (hint != MEMFILE_NONE) {
        if (hint == g_mf.frontier && frontier_take_locked(count, out))
            goto out;
        *out = hint;
        if (extent_pool_take_at(&g_mf.clean, hint, count))
            goto out;
    }
    if (extent_pool_take(&g_mf.dirty, count, out))
        *out_dirty = true;
    else if (!extent_pool_take(&g_mf.clean, count, out) && !frontier_take_locked(count, out))
        ret = -ENOMEM;
out:
    mutex_unlock(&g_mf.lock);
    return ret;
}

/* 1: the host has the pages. */
static int alloc_run(enum memfile_kind kind, uint32_t count, mfpage_t hint, bool zero,
                     mfpage_t *out_first)
{
    mfpage_t first = 0;
    bool dirty = false;
    memcg_id_t owner;
    uint32_t i;
    int ret;

    ASSERT(count > 0);
    if (!memcg_charge(kind, count, &owner))
        return -ENOMEM;
    ret = take_run(count, hint, &first, &dirty);
    if (ret < 0) {
        memcg_uncharge(owner, kind, count);
        return ret;
    }
    if (g_mf.huge && !dirty)
        fill_blocks(first, count, owner);
    for (i = 0; i < count; i++) {
        *owner_of(first + i) = owner;
        atomic_store_explicit(count_of(first + i), 1u | ((uint32_t)kind << KIND_SHIFT),
                              memory_order_relaxed);
    }
    if (dirty && zero && safe_memset(memfile_ptr(first), 0, count * PAGE) != 0) {
        memfile_put(first, count);
        return -ENOMEM;
    }
    *out_first = first;
    return dirty || (g_mf.huge && first >= SMALL_PAGES) ? 1 : 0;
}

int memfile_alloc(enum memfile_kind kind, uint32_t count, mfpage_t *out_first)
{
    int ret = alloc_run(kind, count, MEMFILE_NONE, /*zero=*/true, out_first);

    return MIN(ret, 0);
}

int memfile_alloc_near(enum memfile_kind kind, uint32_t count, mfpage_t hint, mfpage_t *out_first)
{
    return alloc_run(kind, count, hint, /*zero=*/true, out_first);
}

int memfile_alloc_uninit(enum memfile_kind kind, uint32_t count, mfpage_t *out_first)
{
    int ret = alloc_run(kind, count, MEMFILE_NONE, /*zero=*/false, out_first);

    return MIN(ret, 0);
}

void memfile_get(mfpage_t first, uint32_t count)
{
    uint32_t i;

    for (i = 0; i < count; i++) {
        /* relaxed: the caller's own count keeps the page. */
        uint32_t old = atomic_fetch_add_explicit(count_of(first + i), 1, memory_order_relaxed);

        ASSERT((old & COUNT_MASK) != 0 && (old & COUNT_MASK) != COUNT_MASK);
    }
}

static void pool_free_run(mfpage_t first, uint32_t count)
{
    bool trim;

    if (count >= PUNCH_AT) {
        punch(first, count);
        return;
    }
    mutex_lock(&g_mf.lock);
    pool_add_locked(&g_mf.dirty, first, count);
    trim = g_mf.dirty.pages > DIRTY_HIGH;
    mutex_unlock(&g_mf.lock);
    if (trim)
        trim_dirty(DIRTY_LOW);
}

/* Pages without a count; what they were (kind) is still in their words. */
static void free_run(mfpage_t first, uint32_t count)
{
    uint32_t i, from;

    for (from = 0, i = 1; i <= count; i++) {
        if (i < count && *owner_of(first + i) == *owner_of(first + from) &&
            atomic_load(count_of(first + i)) == atomic_load(count_of(first + from)))
            continue;
        memcg_uncharge(*owner_of(first + from),
                       (enum memfile_kind)(atomic_load(count_of(first + from)) >> KIND_SHIFT),
                       i - from);
        from = i;
    }
    pool_free_run(first, count);
}

void memfile_put(mfpage_t first, uint32_t count)
{
    uint32_t i, run = 0;

    for (i = 0; i < count; i++) {
        uint32_t old = atomic_fetch_sub(count_of(first + i), 1);

        ASSERT((old & COUNT_MASK) != 0);
        if ((old & COUNT_MASK) == 1) {
            run++;
        } else if (run > 0) {
            free_run(first + i - run, run);
            run = 0;
        }
    }
    if (run > 0)
        free_run(first + count - run, run);
}

uint32_t memfile_count(mfpage_t page)
{
    return atomic_load(count_of(page)) & COUNT_MASK;
}

void *memfile_ptr(mfpage_t page)
{
    return g_mf.base + memfile_offset(page);
}

uint32_t memfile_run(mfpage_t first, uint32_t count)
{
    (void)first; /* one mapping covers the whole file */
    return count;
}

void memfile_stats(struct memfile_stats *out)
{
    struct memcg_usage u;

    memcg_usage(MEMCG_ROOT, &u);
    memcpy(out->used, u.kind, sizeof(out->used));
    out->limit = u.max == MEMCG_UNLIMITED ? 0 : u.max;
}

void memfile_trim(void)
{
    struct extent_pool clean;
    uint32_t start, count;

    trim_dirty(0);
    if (!g_mf.provided)
        return;
    /* What was filled ahead is clean, but not holes. */
    mutex_lock(&g_mf.lock);
    extent_pool_move(&g_mf.clean, &clean);
    mutex_unlock(&g_mf.lock);
    while (extent_pool_take_largest(&clean, &start, &count))
        punch(start, count);
    trim_dirty(0);
}
