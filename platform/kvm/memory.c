/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Guest physical memory that shows files. It is cut into units of 2 MiB; each shows that much of one
 * descriptor, mapped shared into the sentry at the unit's place, while guest page tables have pages of
 * it. A descriptor stays open as long as it is mapped (platform.h), so its number says which file is meant; device
 * and inode would not, on an overlay that copied a file up meanwhile.
 *
 * A unit that nobody maps any more is unmapped at once, and the host takes it from guest code with it.
 * Sentry code never reads or writes these mappings: a file that has become shorter hurts the guest alone,
 * whose run then ends with EFAULT.
 */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "platform/host/mem.h"
#include "platform/kvm/kvm_internal.h"

/* Slots that nothing is put into: on hosts that need it KVM keeps pages of its own below 4 GiB. */
enum { SLOT_KVM_OWN = 3 };

static uint32_t bucket_of(int fd, uint64_t offset)
{
    const uint64_t h = ((uint64_t)(unsigned)fd << 40 ^ offset / UNIT_SIZE) * 0x9e3779b97f4a7c15ull;

    return (uint32_t)(h >> 32) % UNIT_BUCKETS;
}

static uint8_t *unit_ptr(const struct platform *p, uint32_t n)
{
    return p->base + (uint64_t)n * UNIT_SIZE;
}

/* 0: none. */
static uint32_t find_locked(struct platform *p, int fd, uint64_t offset) REQUIRES(p->lock)
{
    uint32_t n = p->buckets[bucket_of(fd, offset)];

    while (n && (p->units[n].fd != fd || p->units[n].offset != offset))
        n = p->units[n].next;
    return n;
}

/* Room for one more. 0: there is none. */
static uint32_t take_place_locked(struct platform *p) REQUIRES(p->lock)
{
    uint32_t n = p->unit_free;
    unsigned slot;

    if (n) {
        p->unit_free = p->units[n].next;
        return n;
    }
    if (p->unit_end / (SLOT_SIZE / UNIT_SIZE) == SLOT_KVM_OWN)
        p->unit_end += SLOT_SIZE / UNIT_SIZE;
    if (p->unit_end >= UNIT_COUNT)
        return 0;
    slot = (unsigned)(p->unit_end / (SLOT_SIZE / UNIT_SIZE));
    if (!p->slot_used[slot]) {
        if (kvm_slot_set(p, slot, /*present=*/true) < 0)
            return 0;
        p->slot_used[slot] = true;
    }
    return p->unit_end++;
}

static void free_place_locked(struct platform *p, uint32_t n) REQUIRES(p->lock)
{
    p->units[n] = (struct unit){.next = p->unit_free};
    p->unit_free = n;
}

/* For writing too, where the descriptor allows it. */
static int map_unit(struct platform *p, uint32_t n, struct unit *u)
{
    uint8_t *at = unit_ptr(p, n);
    void *out;
    int ret = host_mmap(at, UNIT_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, u->fd,
                        (int64_t)u->offset, &out);

    u->writable = ret == 0;
    if (ret == -EACCES || ret == -EPERM)
        ret = host_mmap(at, UNIT_SIZE, PROT_READ, MAP_SHARED | MAP_FIXED, u->fd, (int64_t)u->offset,
                        &out);
    return ret;
}

static int unmap_unit(struct platform *p, uint32_t n)
{
    void *out;

    return host_mmap(unit_ptr(p, n), UNIT_SIZE, PROT_NONE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0, &out);
}

static int add_locked(struct platform *p, int fd, uint64_t offset, uint32_t *out) REQUIRES(p->lock)
{
    uint32_t *bucket = &p->buckets[bucket_of(fd, offset)];
    struct unit u = {.fd = fd, .offset = offset, .next = *bucket};
    const uint32_t n = take_place_locked(p);
    int ret;

    if (!n)
        return -ENOMEM;
    ret = map_unit(p, n, &u);
    if (ret < 0) {
        free_place_locked(p, n);
        return ret;
    }
    p->units[n] = u;
    *bucket = n;
    *out = n;
    return 0;
}

static void remove_locked(struct platform *p, uint32_t n) REQUIRES(p->lock)
{
    uint32_t *at = &p->buckets[bucket_of(p->units[n].fd, p->units[n].offset)];

    while (*at != n)
        at = &p->units[*at].next;
    *at = p->units[n].next;
    /* A place that cannot be emptied shows what it did for ever: it is lost, and nobody finds it. */
    if (unmap_unit(p, n) == 0)
        free_place_locked(p, n);
}

int kvm_frames_get(struct platform *p, int fd, uint64_t offset, bool write, uint32_t *pages,
                   uint64_t *out_gpa)
{
    const uint64_t start = align_down(offset, UNIT_SIZE);
    uint32_t n;
    int ret = 0;

    *pages = (uint32_t)MIN(*pages, (start + UNIT_SIZE - offset) / LX_PAGE_SIZE);
    mutex_lock(&p->lock);
    n = find_locked(p, fd, start);
    if (!n)
        ret = add_locked(p, fd, start, &n);
    if (ret == 0) {
        p->units[n].refs += *pages;
        *out_gpa = (uint64_t)n * UNIT_SIZE + (offset - start);
        ret = write && !p->units[n].writable ? -EACCES : 0;
    }
    mutex_unlock(&p->lock);
    if (ret == -EACCES)
        kvm_frames_put(p, *out_gpa, *pages);
    return ret;
}

void kvm_frames_put(struct platform *p, uint64_t gpa, uint32_t count)
{
    const uint32_t n = (uint32_t)(gpa / UNIT_SIZE);

    mutex_lock(&p->lock);
    ASSERT(p->units[n].refs >= count);
    p->units[n].refs -= count;
    if (p->units[n].refs == 0)
        remove_locked(p, n);
    mutex_unlock(&p->lock);
}

bool kvm_frame_writable(struct platform *p, uint64_t gpa)
{
    bool writable;

    mutex_lock(&p->lock);
    writable = p->units[gpa / UNIT_SIZE].writable;
    mutex_unlock(&p->lock);
    return writable;
}
