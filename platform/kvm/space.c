/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Address spaces: page tables (tables.c) that are changed at once, and a list of frames that were
 * taken out of them and that the host, or a processor, may still show to guest code. Each entry of a
 * table has a reference to its unit (memory.c); the list keeps it until the frame is flushed.
 *
 * A flush unmaps the frames from the sentry's own view (MADV_DONTNEED of a shared mapping: the file keeps
 * them), which makes the host take them from the virtual machine, with all that processors remember, before
 * it returns (MMU notifiers). So a flush is a barrier; frames that others map come back at their next use.
 * Every run of a thread of the space flushes first, if there is something.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "platform/base/log.h"
#include "platform/host/mem.h"
#include "platform/host/proc.h"
#include "platform/kvm/kvm_internal.h"

enum {
    STALE_GAP = 32 * LX_PAGE_SIZE, /* frames taken for nothing cost less than another call */
    YIELDS = 50,
    PAUSE_NS = 50000,
};

int kvm_space_new(struct platform *p, struct platform_space **out)
{
    struct platform_space *s = calloc(1, sizeof(*s));
    int ret;

    if (!s)
        return -ENOMEM;
    s->platform = p;
    mutex_init(&s->lock, RANK_SPACE);
    list_init(&s->ctxs);
    mutex_lock(&s->lock);
    ret = kvm_tables_new(s);
    mutex_unlock(&s->lock);
    if (ret < 0) {
        mutex_destroy(&s->lock);
        free(s);
        return ret;
    }
    *out = s;
    return 0;
}

void kvm_space_free(struct platform_space *s)
{
    ASSERT(list_empty(&s->ctxs));
    kvm_space_flush(s);
    kvm_tables_end(s);
    mutex_destroy(&s->lock);
    free(s);
}

/* --- frames that guest code must not see any more --- */

static void take_from_guest(const struct platform *p, uint64_t start, uint64_t end)
{
    const uint64_t unit = align_down(start, UNIT_SIZE);

    if (likely(host_madvise(kvm_ptr(p, start), end - start, MADV_DONTNEED) == 0))
        return;
    /* Files of huge pages: a whole one only. */
    if (host_madvise(kvm_ptr(p, unit), UNIT_SIZE, MADV_DONTNEED) < 0)
        panic("kvm: the host does not take memory from guest code");
}

static void flush_locked(struct platform_space *s) REQUIRES(s->lock)
{
    struct platform *p = s->platform;
    const unsigned count = atomic_load(&s->stale_count);

    for (unsigned i = 0; i < count; i++) {
        const struct stale *t = &s->stale[i];

        take_from_guest(p, t->start, t->end);
        if (t->refs)
            kvm_frames_put(p, t->start, t->refs);
    }
    atomic_store(&s->stale_count, 0);
}

/* refs: what an entry had, which is gone. */
static void stale_add(struct platform_space *s, uint64_t entry, uint32_t refs) REQUIRES(s->lock)
{
    const uint64_t frame = entry & PTE_FRAME;
    unsigned count = atomic_load(&s->stale_count);
    struct stale *last = count ? &s->stale[count - 1] : NULL;

    if (last && frame / UNIT_SIZE == last->start / UNIT_SIZE && frame + STALE_GAP >= last->start &&
        frame <= last->end + STALE_GAP) {
        last->start = MIN(last->start, frame);
        last->end = MAX(last->end, frame + LX_PAGE_SIZE);
        last->refs += refs;
        return;
    }
    if (count == STALE_MAX) {
        flush_locked(s);
        count = 0;
    }
    s->stale[count] = (struct stale){frame, frame + LX_PAGE_SIZE, refs};
    atomic_store(&s->stale_count, count + 1);
}

void kvm_space_flush(struct platform_space *s)
{
    if (likely(atomic_load(&s->stale_count) == 0))
        return;
    mutex_lock(&s->lock);
    flush_locked(s);
    mutex_unlock(&s->lock);
}

void kvm_space_barrier(struct platform_space *s)
{
    kvm_space_flush(s);
}

void kvm_space_bring_out(struct platform_space *s)
{
    static const struct timespec pause = {.tv_nsec = PAUSE_NS};
    struct platform_ctx *c;

    list_for_each_entry(c, &s->ctxs, node) {
        const unsigned seq = atomic_load(&c->seq);

        for (unsigned i = 0; (seq & 1) && atomic_load(&c->seq) == seq; i++) {
            if (i % YIELDS == 0)
                kvm_ctx_kick(c);
            if (i < YIELDS)
                (void)host_sched_yield();
            else
                (void)nanosleep(&pause, NULL);
        }
    }
}

/* --- changes --- */

static uint64_t bits_of(int prot)
{
    return PTE_P | PTE_US | PTE_A | PTE_D | (prot & PROT_WRITE ? PTE_RW : 0) |
           (prot & PROT_EXEC ? 0 : PTE_NOEXEC);
}

static bool takes_rights(uint64_t old, uint64_t new)
{
    return ((old & PTE_RW) && !(new &PTE_RW)) || (!(old & PTE_NOEXEC) && (new &PTE_NOEXEC));
}

static void entry_set(uint64_t *entry, uint64_t value)
{
    __atomic_store_n(entry, value, __ATOMIC_RELEASE);
}

static bool range_ok(const struct platform_space *s, uaddr_t addr, size_t size)
{
    uaddr_t end;

    return size != 0 && ((addr | size) & (LX_PAGE_SIZE - 1)) == 0 &&
           !add_overflows(addr, size, &end) && addr >= s->platform->low && end <= s->platform->high;
}

/* Gives pages frames from gpa on, which the caller has references to, to addr. All references are used. */
static int set_run_locked(struct platform_space *s, uaddr_t addr, uint64_t gpa, uint32_t pages,
                          uint64_t bits) REQUIRES(s->lock)
{
    uint64_t *entry = NULL;
    uint32_t spare = 0; /* references that the entries had already */
    int ret = 0;

    for (uint32_t i = 0; i < pages; i++) {
        const uaddr_t at = addr + i * LX_PAGE_SIZE;
        const uint64_t new = (gpa + i * LX_PAGE_SIZE) | bits;
        uint64_t old;

        if (!entry || at % UNIT_SIZE == 0)
            entry = kvm_table_entry(s, at, /*make=*/true);
        if (!entry) {
            spare += pages - i;
            ret = -ENOMEM;
            break;
        }
        old = *entry;
        entry_set(entry++, new);
        if (!(old & PTE_P)) {
            s->entries++;
            continue;
        }
        if ((old & PTE_FRAME) == (new &PTE_FRAME) && !takes_rights(old, new))
            spare++;
        else
            stale_add(s, old, 1);
    }
    if (spare)
        kvm_frames_put(s->platform, gpa, spare);
    return ret;
}

static void clear_entry(void *arg, uaddr_t addr, uint64_t *entry) NO_THREAD_SAFETY
{
    struct platform_space *s = arg;
    const uint64_t old = *entry;

    (void)addr;
    entry_set(entry, 0);
    if (!(old & PTE_P))
        return;
    s->entries--;
    stale_add(s, old, 1);
}

static int map_locked(struct platform_space *s, uaddr_t addr, size_t size, int prot, int fd,
                      uint64_t offset) REQUIRES(s->lock)
{
    int ret = 0;

    for (size_t done = 0; done < size;) {
        uint32_t pages = (uint32_t)MIN((size - done) / LX_PAGE_SIZE, UNIT_PAGES);
        uint64_t gpa;

        ret = kvm_frames_get(s->platform, fd, offset + done, prot & PROT_WRITE, &pages, &gpa);
        if (ret < 0) {
            kvm_table_walk(s, addr + done, addr + size, clear_entry, s);
            if (ret == -ENOMEM)
                return ret;
            log_debug(LOG_PLATFORM, "kvm: the host refuses to map fd %d: %s", fd, strerror(-ret));
            s->bad_start = addr + done;
            s->bad_end = addr + size;
            return 0;
        }
        ret = set_run_locked(s, addr + done, gpa, pages, bits_of(prot));
        if (ret < 0)
            return ret;
        done += pages * LX_PAGE_SIZE;
    }
    return 0;
}

int kvm_space_map(struct platform_space *s, uaddr_t addr, size_t size, int prot, int fd,
                  uint64_t offset, uint32_t flags)
{
    int ret;

    (void)flags; /* what is written to the tables is all there is to do */
    if (!range_ok(s, addr, size) || (offset & (LX_PAGE_SIZE - 1)))
        return -EINVAL;
    mutex_lock(&s->lock);
    if (addr < s->bad_end && addr + size > s->bad_start)
        s->bad_start = s->bad_end = 0;
    if (unlikely(s->table_count > TABLES_LOOSE_MAX && s->entries < s->table_count * 8ul))
        IGNORE_RESULT(kvm_tables_replace(s)); /* mappings come back by faults; or it stays large */
    ret = map_locked(s, addr, size, prot, fd, offset);
    mutex_unlock(&s->lock);
    return ret;
}

int kvm_space_unmap(struct platform_space *s, uaddr_t addr, size_t size)
{
    if (!range_ok(s, addr, size))
        return -EINVAL;
    mutex_lock(&s->lock);
    kvm_table_walk(s, addr, addr + size, clear_entry, s);
    mutex_unlock(&s->lock);
    return 0;
}

struct protecting {
    struct platform_space *space;
    uint64_t bits;
};

static void protect_entry(void *arg, uaddr_t addr, uint64_t *entry) NO_THREAD_SAFETY
{
    const struct protecting *pr = arg;
    struct platform_space *s = pr->space;
    const uint64_t old = *entry, new = (old & PTE_FRAME) | pr->bits;

    if (!(old & PTE_P))
        return;
    if (!(old & PTE_RW) && (new &PTE_RW) && !kvm_frame_writable(s->platform, old & PTE_FRAME)) {
        clear_entry(s, addr, entry); /* the fault brings another unit */
        return;
    }
    entry_set(entry, new);
    if (takes_rights(old, new))
        stale_add(s, old, 0);
}

int kvm_space_protect(struct platform_space *s, uaddr_t addr, size_t size, int prot)
{
    struct protecting pr = {s, bits_of(prot)};

    if (!range_ok(s, addr, size))
        return -EINVAL;
    mutex_lock(&s->lock);
    if (prot & (PROT_READ | PROT_WRITE | PROT_EXEC))
        kvm_table_walk(s, addr, addr + size, protect_entry, &pr);
    else
        kvm_table_walk(s, addr, addr + size, clear_entry, s);
    mutex_unlock(&s->lock);
    return 0;
}

int kvm_space_clear(struct platform_space *s)
{
    mutex_lock(&s->lock);
    s->bad_start = s->bad_end = 0;
    if (kvm_tables_replace(s) < 0)
        kvm_table_walk(s, 0, s->platform->high, clear_entry, s);
    flush_locked(s); /* the files may be closed from now on */
    mutex_unlock(&s->lock);
    return 0;
}

bool kvm_space_bad(struct platform_space *s, uaddr_t addr)
{
    uint64_t *entry;
    bool bad;

    if (addr >= s->platform->high)
        return false;
    mutex_lock(&s->lock);
    bad = addr >= s->bad_start && addr < s->bad_end;
    entry = bad ? NULL : kvm_table_entry(s, addr, /*make=*/false);
    if (entry && *entry == PTE_BAD) {
        bad = true;
        entry_set(entry, 0);
    }
    mutex_unlock(&s->lock);
    return bad;
}

struct search {
    struct platform_space *space;
    bool found;
};

static void try_entry(void *arg, uaddr_t addr, uint64_t *entry) NO_THREAD_SAFETY
{
    struct search *f = arg;
    const uint64_t old = *entry;

    if (!(old & PTE_P) || host_madvise(kvm_ptr(f->space->platform, old & PTE_FRAME), LX_PAGE_SIZE,
                                       MADV_POPULATE_READ) == 0)
        return;
    f->found = true;
    clear_entry(f->space, addr, entry);
    entry_set(entry, PTE_BAD);
}

bool kvm_space_find_bad(struct platform_space *s)
{
    struct search f = {.space = s};

    mutex_lock(&s->lock);
    kvm_table_walk(s, 0, s->platform->high, try_entry, &f);
    mutex_unlock(&s->lock);
    return f.found;
}
