/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside of mm/: the address space, its vmas, its page map, and the functions its files share.
 * Everything here runs with mm->lock held unless it says otherwise. See README.md.
 */
#pragma once

#include <stdatomic.h>

#include "platform/base/list.h"
#include "platform/base/lock.h"
#include "platform/base/tree.h"
#include "sentry/abi/mman.h"
#include "sentry/mm/hostmem_internal.h"
#include "sentry/mm/memfile_internal.h"
#include "sentry/mm/mm.h"

/* ---- vma --------------------------------------------------------------------------------- */

#define VMA_SHARED      0x0001u
#define VMA_GROWSDOWN   0x0002u
#define VMA_LOCKED      0x0004u
#define VMA_LOCKONFAULT 0x0008u
#define VMA_DONTFORK    0x0010u
#define VMA_WIPEONFORK  0x0020u
#define VMA_DONTDUMP    0x0040u
#define VMA_NORESERVE   0x0080u
#define VMA_SEQUENTIAL  0x0100u
#define VMA_RANDOM      0x0200u
#define VMA_HUGE        0x0400u
#define VMA_NOHUGE      0x0800u
#define VMA_MERGEABLE   0x1000u
#define VMA_SEALED      0x2000u
#define VMA_SPECIAL     0x4000u /* vdso, vvar: not expandable, not forked away, no DONTNEED */
/* RLIMIT_DATA counts private writable memory that is not a stack (may_expand_vm). */

/* One piece of an address space with the same rights and backing.
 * Lifetime: unique, owned by its mm. Keys: everything mm->lock; map_link mappable.lock too */
struct vma {
    RB_ENTRY(vma) node;
    struct mm *mm;           /* owner */
    uaddr_t start, end;      /* page aligned, start < end */
    uint32_t prot, max_prot; /* LX_PROT_RWX bits; what mprotect may add */
    uint32_t flags;          /* VMA_* */
    struct file *file;       /* +1 or NULL: named in /proc/PID/maps */
    struct mappable *object; /* +1 or NULL (anonymous private) */
    uint64_t offset;         /* of start in object (or file); 0 when both are NULL */
    const char *name;        /* static label or NULL */
    struct vma *dead_next;   /* chain of vmas to free after unlock */
    uaddr_t next_fault;      /* a fault here continues a sequential run */
    uint32_t window;         /* pages of the last fault window */
    struct list map_link;    /* on object->vmas, under its lock; last: vma_template leaves it out */
};
RB_HEAD(vma_tree, vma);

/* The ordered set. No locking, no page map, no platform: unit tests drive it alone. */
struct vma_set {
    struct vma_tree tree;
    uint32_t count;
    struct vma *cached; /* last found; NULL after changes that free */
    /* First-fit-from-the-top cache: no hole of more than gap_max bytes lies above gap_top. */
    uaddr_t gap_top;
    uint64_t gap_max;
};

void vma_set_init(struct vma_set *s);
/* The vma that contains addr, or the next one above it; NULL. */
struct vma *vma_set_find(struct vma_set *s, uaddr_t addr);
/* The vma that contains addr, or NULL. */
struct vma *vma_set_at(struct vma_set *s, uaddr_t addr);
struct vma *vma_next(struct vma *v);
struct vma *vma_prev(struct vma *v);
struct vma *vma_set_first(struct vma_set *s);
/* Takes v over; must not overlap. */
void vma_set_insert(struct vma_set *s, struct vma *v);
/* Gives v back to the caller. */
void vma_set_remove(struct vma_set *s, struct vma *v);
/* Cuts v at addr (inside it); v keeps the lower part. -ENOMEM. */
int MUST_CHECK vma_set_split(struct vma_set *s, struct vma *v, uaddr_t addr);
/* Splits at start and end, so that [start, end) consists of whole vmas. -ENOMEM. */
int MUST_CHECK vma_set_isolate(struct vma_set *s, uaddr_t start, uaddr_t end);
/* Joins v with neighbours that continue it; returns the vma that contains v's range. */
struct vma *vma_set_merge(struct vma_set *s, struct vma *v);
/* Merges everything that touches [start, end]. */
void vma_set_merge_range(struct vma_set *s, uaddr_t start, uaddr_t end);
/* Would b directly after a form one vma? */
bool vma_can_merge(const struct vma *a, const struct vma *b);
/* Highest hole of size bytes in [low, high), first-fit from the top. 0: none. */
uaddr_t vma_set_gap_down(struct vma_set *s, uint64_t size, uaddr_t low, uaddr_t high);
uaddr_t vma_set_gap_up(struct vma_set *s, uint64_t size, uaddr_t low, uaddr_t high);
/* Nothing in [start, end), guard gap of a stack above it included? */
bool vma_set_is_free(struct vma_set *s, uaddr_t start, uaddr_t end);

#define STACK_GUARD_GAP (256ul * LX_PAGE_SIZE)
/* Start of v with the guard gap of a stack. */
uaddr_t vma_start_gap(const struct vma *v);

/* What vma_new copies: all but map_link, which others may write meanwhile. Takes no references. */
struct vma vma_template(const struct vma *v);
/* A vma with references on file and object, linked into object's reverse map; -ENOMEM. */
int MUST_CHECK vma_new(const struct vma *templ, struct vma **out);
/* Unlinks from the reverse map, drops the references. Where these may be the last ones, mm->lock is
 * not held (mm_free_dead). */
void vma_free(struct vma *v);

/* ---- page map ---------------------------------------------------------------------------- */

/* One entry per page, 0 when absent. */
typedef uint64_t pte_t;
#define PTE_PRESENT    0x01ull
#define PTE_HOST       0x02ull /* backing is a host file, else the memory file */
#define PTE_OWNED      0x04ull /* private page of this mm (counted, copy on write when shared) */
#define PTE_R          0x08ull /* what the platform has mapped right now */
#define PTE_W          0x10ull
#define PTE_X          0x20ull
#define PTE_RWX        0x38ull
#define PTE_WRITE_OK   0x40ull /* object entry that was translated for writing */
#define PTE_WATCHED    0x80ull /* pinned (pin.c): one more count, and its end is counted */
#define PTE_PROT_SHIFT 3
#define PTE_PAGE_SHIFT 8  /* 32 bits: memory file page or page offset in the host file */
#define PTE_HOST_SHIFT 40 /* HOSTMEM_INDEX_BITS */

static inline uint32_t pte_page(pte_t e)
{
    return (uint32_t)(e >> PTE_PAGE_SHIFT);
}
static inline uint32_t pte_host(pte_t e)
{
    return (uint32_t)(e >> PTE_HOST_SHIFT) & ((1u << HOSTMEM_INDEX_BITS) - 1);
}
/* LX_PROT_* bits that the platform has mapped. */
static inline uint32_t pte_prot(pte_t e)
{
    return (uint32_t)(e >> PTE_PROT_SHIFT) & 7u;
}
static inline pte_t pte_with_prot(pte_t e, uint32_t prot)
{
    return (e & ~PTE_RWX) | ((pte_t)(prot & 7u) << PTE_PROT_SHIFT);
}
/* How many address spaces have the private page of e. */
static inline uint32_t pte_sharers(pte_t e)
{
    return memfile_count(pte_page(e)) - ((e & PTE_WATCHED) != 0);
}
/* Does b back the page right after a's, with the same rights and kind? */
static inline bool pte_continues(pte_t a, pte_t b)
{
    return b == a + (1ull << PTE_PAGE_SHIFT);
}

#define PT_LEAF_SHIFT   21
#define PT_LEAF_ENTRIES 512u
#define PT_ROOT_ENTRIES 256u

struct pt_leaf {
    uint32_t used; /* present entries */
    pte_t e[PT_LEAF_ENTRIES];
};
struct pt_table {
    void *slot[512];
};
struct page_map {
    struct pt_table *root[PT_ROOT_ENTRIES]; /* 512 GiB each -> 1 GiB -> 2 MiB leaf */
    uint32_t tables;                        /* for page_tables in /proc */
    uint64_t rss_anon, rss_file, rss_shmem; /* pages */
    atomic_uint watched_changes;            /* entries with PTE_WATCHED that went or changed */
};

void page_map_init(struct page_map *pm);
/* Entries are gone already. */
void page_map_destroy(struct page_map *pm);
pte_t *page_map_lookup(struct page_map *pm, uaddr_t addr); /* NULL: absent */
/* Leaf that covers addr, allocated when needed. -ENOMEM. */
int MUST_CHECK page_map_leaf(struct page_map *pm, uaddr_t addr, struct pt_leaf **out);
/* First present entry in [*addr, end): sets *addr. NULL: none. */
pte_t *page_map_next(struct page_map *pm, uaddr_t *addr, uaddr_t end);
/* Stores e (present) at addr in leaf, which must be absent there. */
void page_map_set(struct page_map *pm, struct pt_leaf *leaf, uaddr_t addr, pte_t e);
/* Clears one entry; returns what was there. The caller gives its counts back. */
pte_t page_map_clear(struct page_map *pm, uaddr_t addr);
/* Frees leaves without entries that lie wholly in [start, end). */
void page_map_prune(struct page_map *pm, uaddr_t start, uaddr_t end);
void pte_get(pte_t e);
/* Only when no guest can reach the page through e (page_batch does that in order). */
void pte_put(pte_t e);

/* Entries whose pages are given back once no guest thread can reach them. */
struct page_batch {
    struct mm *mm;
    uint32_t count;
    struct {
        pte_t e;
        uint32_t pages;
    } run[32];
};
void page_batch_init(struct page_batch *b, struct mm *mm);
/* The mapping of e was changed in the platform before this call. */
void page_batch_add(struct page_batch *b, pte_t e);
void page_batch_flush(struct page_batch *b);

/* ---- mm ---------------------------------------------------------------------------------- */

/* Lifetime: refcounted (mm_get/mm_put); tasks, /proc files and ptracers hold references.
 * Keys: I immutable; m ->lock; a atomic */
struct mm {
    struct refs refs;                                                    /* a */
    atomic_uint users;                                                   /* a: tasks inside */
    struct mutex lock;                                                   /* rank MM */
    struct platform_space *space;                                        /* I */
    struct vma_set vmas;                                                 /* m */
    struct page_map pages;                                               /* m */
    uint64_t total_vm, locked_vm, data_vm, stack_vm, exec_vm, shared_vm; /* m: pages */
    uint64_t peak_vm, peak_rss;                                          /* m: pages */
    uint32_t def_flags;         /* m: VMA_LOCKED | VMA_LOCKONFAULT of mlockall(MCL_FUTURE) */
    uaddr_t low, high;          /* I: guest addresses the platform offers */
    uaddr_t mmap_base;          /* m */
    bool legacy_layout;         /* m: mmap grows up */
    uaddr_t stack_top;          /* m */
    uaddr_t brk;                /* m: current break; start is layout.start_brk */
    struct mm_layout layout;    /* m */
    struct file *exe;           /* m, +1 */
    atomic_int dumpable;        /* a */
    uint32_t mdwe;              /* m: LX_PR_MDWE_* */
    struct list pins;           /* m: struct mm_pin */
    uint64_t change_gen;        /* m: counts changes of the platform mapping */
    atomic_ullong minor_faults; /* a */
    _Atomic(struct mm_attachment *) attachment; /* a: NULL -> set once, until the end */
};

extern const struct platform_ops *g_mm_platform;
extern uint64_t g_mm_total_ram; /* pages: overcommit's idea of all memory */

static inline uint64_t pages_of(uint64_t bytes)
{
    return bytes >> LX_PAGE_SHIFT;
}

/* Accounting of a vma's pages (total, data, stack, exec, locked); sign +1 or -1. */
void mm_account(struct mm *mm, const struct vma *v, uint64_t bytes, int sign);
/* RLIMIT_AS and RLIMIT_DATA: may pages more of this kind be mapped? */
bool mm_may_expand(struct mm *mm, uint32_t prot, uint32_t flags, uint64_t pages);

/* vm.max_map_count: mmap, mprotect and the like fail with -ENOMEM above it. */
#define MAP_COUNT_MAX 65530u
/* vma_set_isolate within that limit. */
int MUST_CHECK mm_isolate(struct mm *mm, uaddr_t start, uaddr_t end);

/* Removes the platform mappings and page map entries of [start, end). The vmas stay. */
void mm_drop_pages(struct mm *mm, uaddr_t start, uaddr_t end, struct page_batch *b);
/* Same for pages of objects only: private copies stay unless private_too. */
void mm_drop_object_pages(struct mm *mm, uaddr_t start, uaddr_t end, bool private_too,
                          struct page_batch *b);
/* Drops the whole platform mapping, which is only a cache: when a change of it failed. */
void mm_platform_reset(struct mm *mm);
/* munmap without the argument checks. Vmas to free after unlock go to *out_dead. */
int MUST_CHECK mm_unmap_locked(struct mm *mm, uaddr_t start, uaddr_t end, struct vma **out_dead);
/* Frees a chain that mm_unmap_locked returned. mm->lock is not held. */
void mm_free_dead(struct vma *dead);
/* The platform's protection of [start, end) inside v follows v->prot again, also for threads that
 * run guest code at the moment. */
void mm_reprotect(struct mm *mm, struct vma *v, uaddr_t start, uaddr_t end);

/* Host protection for a guest protection: x86 has no write-only or execute-only pages. */
static inline uint32_t prot_effective(uint32_t prot)
{
    return prot & LX_PROT_RWX ? (prot & LX_PROT_RWX) | LX_PROT_READ : 0;
}

/* Copies what e shows to LX_PAGE_SIZE bytes at to. -ENXIO: the host file ends before; -ENOMEM. */
int MUST_CHECK mm_copy_backing(pte_t e, void *to);
/* What the platform may map for the present entry e under v right now (host protection bits). */
uint32_t mm_allowed_prot(const struct vma *v, pte_t e);
/* Maps pages whose entries continue e, with e's rights, at addr; no rights: nothing. -ENOMEM. */
/* PR_SET_MDWE: may memory with the protection `had` not get prot? New mappings had prot. */
bool mm_denies_exec(const struct mm *mm, uint32_t had, uint32_t prot);
int mm_map_run(struct mm *mm, uaddr_t addr, uint32_t pages, pte_t e, uint32_t flags);

/* Makes the page at addr usable for access (PLATFORM_ACCESS_*, 0 unknown) under v's rules; v
 * contains addr. Maps into the platform. force: ptrace, ignores v->prot within max_prot.
 * 0, -EFAULT (no right), -ENXIO (SIGBUS), -ENOMEM. */
int mm_resolve(struct mm *mm, struct vma *v, uaddr_t addr, uint32_t access, bool force);
/* Finds the vma, grows stacks, then mm_resolve. -EFAULT with *out_mapped false: no vma. */
int mm_fault_locked(struct mm *mm, uaddr_t addr, uint32_t access, bool force, bool *out_mapped);
/* A mapping that was just made will be used soon: resolves its first window. */
void mm_prefault_locked(struct mm *mm, struct vma *v, uaddr_t start, uaddr_t end);
/* Populates [start, end) as MAP_POPULATE/mlock/MADV_POPULATE do; stops at the first error. */
int mm_populate_locked(struct mm *mm, uaddr_t start, uaddr_t end, bool write);
/* Grows the stack vma above addr down to it. 0, -EFAULT, -ENOMEM. */
int mm_grow_stack(struct mm *mm, struct vma *v, uaddr_t addr);

bool mm_can_lock(void);                                 /* RLIMIT_MEMLOCK > 0 or CAP_IPC_LOCK */
bool mm_lock_fits(const struct mm *mm, uint64_t pages); /* within RLIMIT_MEMLOCK */
bool mm_overcommit_ok(uint64_t pages);
/* -EPERM when a vma in the range is sealed (mseal). */
int mm_check_sealed(struct mm *mm, uaddr_t start, uaddr_t end);

/* Clears and sets vma flags in [start, end), splitting and merging. check may refuse a vma. Gaps
 * are skipped and give -ENOMEM at the end, as madvise does. */
int mm_change_flags(struct mm *mm, uaddr_t start, uaddr_t end, uint32_t clear, uint32_t set,
                    int (*check)(const struct vma *v, uint32_t set));

/* Free range for a mapping by the rules of get_unmapped_area; flags LX_MAP_*. Address or -errno. */
int64_t mm_find_area(struct mm *mm, uaddr_t hint, uint64_t size, uint32_t flags);
/* Adds a vma made from templ and merges it. -ENOMEM. */
int MUST_CHECK mm_add_vma(struct mm *mm, const struct vma *templ, struct vma **out);
