/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Guest physical memory that shows files. It is cut into units of 2 MiB; each shows that much of one
 * file, mapped shared into the sentry at the unit's place, while guest page tables have pages of it. What
 * a file is, is its device and number: descriptors come and go.
 *
 * A unit that nobody maps any more is unmapped at once, and the host takes it from guest code with it.
 * Sentry code never reads or writes these mappings: a file that has become shorter hurts the guest alone,
 * whose run then ends with EFAULT.
 */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "platform/host/file.h"
#include "platform/host/mem.h"
#include "platform/kvm/kvm_internal.h"

/* Slots that nothing is put into: on hosts that need it KVM keeps pages of its own below 4 GiB. */
enum { SLOT_KVM_OWN = 3 };

static uint32_t bucket_of(const struct unit *key)
{
    uint64_t h = key->ino * 0x9e3779b97f4a7c15ull + key->dev;

    h = (h ^ (key->offset / UNIT_SIZE)) * 0x9e3779b97f4a7c15ull;
    return (uint32_t)(h >> 32) % UNIT_BUCKETS;
}

static uint8_t *unit_ptr(const struct platform *p, uint32_t n)
{
    return p->base + (uint64_t)n * UNIT_SIZE;
}

/* A unit that shows the same; one that can be written to is good for reading too. 0: none. */
static uint32_t find_locked(struct platform *p, const struct unit *key) REQUIRES(p->lock)
{
    uint32_t n;

    for (n = p->buckets[bucket_of(key)]; n; n = p->units[n].next) {
        const struct unit *u = &p->units[n];

        if (u->ino == key->ino && u->dev == key->dev && u->offset == key->offset &&
            (u->writable || !key->writable))
            break;
    }
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

static int map_unit(struct platform *p, uint32_t n, int fd, uint64_t offset, bool *writable)
{
    uint8_t *at = unit_ptr(p, n);
    void *out;
    int ret = host_mmap(at, UNIT_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd,
                        (int64_t)offset, &out);

    if (ret == -EACCES && !*writable)
        return host_mmap(at, UNIT_SIZE, PROT_READ, MAP_SHARED | MAP_FIXED, fd, (int64_t)offset,
                         &out);
    if (ret == 0)
        *writable = true;
    return ret;
}

static int unmap_unit(struct platform *p, uint32_t n)
{
    void *out;

    return host_mmap(unit_ptr(p, n), UNIT_SIZE, PROT_NONE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0, &out);
}

static int add_locked(struct platform *p, int fd, struct unit *key, uint32_t *out) REQUIRES(p->lock)
{
    uint32_t *bucket = &p->buckets[bucket_of(key)];
    const uint32_t n = take_place_locked(p);
    int ret;

    if (!n)
        return -ENOMEM;
    ret = map_unit(p, n, fd, key->offset, &key->writable);
    if (ret < 0) {
        free_place_locked(p, n);
        return ret;
    }
    p->units[n] = *key;
    p->units[n].next = *bucket;
    *bucket = n;
    *out = n;
    return 0;
}

static void remove_locked(struct platform *p, uint32_t n) REQUIRES(p->lock)
{
    uint32_t *at = &p->buckets[bucket_of(&p->units[n])];

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
    struct unit key = {.offset = start, .writable = write};
    struct stat st;
    uint32_t n;
    int ret = host_fstat(fd, &st);

    if (ret < 0)
        return ret;
    key.dev = st.st_dev;
    key.ino = st.st_ino;
    *pages = (uint32_t)MIN(*pages, (start + UNIT_SIZE - offset) / LX_PAGE_SIZE);
    mutex_lock(&p->lock);
    n = find_locked(p, &key);
    if (!n)
        ret = add_locked(p, fd, &key, &n);
    if (ret == 0) {
        p->units[n].refs += *pages;
        *out_gpa = (uint64_t)n * UNIT_SIZE + (offset - start);
    }
    mutex_unlock(&p->lock);
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
