// SPDX-License-Identifier: Apache-2.0
/*
 * Call sites (platform.h): which pages the platform may show another version of, and the room it
 * needs in the address space.
 *
 * A page qualifies when nobody can change what it holds while it is shown: private mapping of a
 * file, executable, not writable, not copied. Any change of its mapping goes through the platform,
 * which takes the version back. Room is a vma without rights, sealed, named "[stub]".
 */
#include <errno.h>
#include <stdlib.h>

#include "sentry/mm/mm_internal.h"

enum { SYSCALL_SIZE = 2 };
/* How far from a site its room may be: a jump reaches 2 GiB, from anywhere in the page. */
#define ROOM_REACH (0x7ff00000ul)
/* How far below its site room is looked for first. Nearer are the holes that programs make and mean
 * to stay holes, and the next mappings; at half the reach sites on either side have it as well. */
#define ROOM_DISTANCE (0x40000000ul)

static const char g_room_name[] = "[stub]";

/* Room that a fork left: the parent's platform had it, this one does not. */
static int reuse_room_locked(struct mm *mm, uaddr_t low, uaddr_t high) REQUIRES(mm->lock)
{
    for (struct vma *v = vma_set_find(&mm->vmas, low); v && v->end <= high; v = vma_next(v)) {
        int ret = v->name == g_room_name && v->start >= low
                      ? g_mm_platform->space_room(mm->space, v->start)
                      : -EEXIST;

        if (ret != -EEXIST)
            return ret;
    }
    return -ENOENT;
}

static int give_room_locked(struct mm *mm, uaddr_t page) REQUIRES(mm->lock)
{
    uaddr_t low = MAX(mm->low, page > ROOM_REACH ? page - ROOM_REACH : 0);
    uaddr_t high = MIN(mm->high, page + ROOM_REACH), at = 0;
    struct vma templ = {.flags = VMA_SPECIAL | VMA_SEALED | VMA_DONTDUMP, .name = g_room_name};
    struct vma *v;
    int ret;

    ret = reuse_room_locked(mm, low, high);
    if (ret != -ENOENT)
        return ret;
    if (page > low + ROOM_DISTANCE)
        at = vma_set_gap_down(&mm->vmas, PLATFORM_ROOM_SIZE, low, page - ROOM_DISTANCE);
    if (!at)
        at = vma_set_gap_down(&mm->vmas, PLATFORM_ROOM_SIZE, low, page);
    if (!at)
        at = vma_set_gap_up(&mm->vmas, PLATFORM_ROOM_SIZE, page, high);
    if (!at || !mm_may_expand(mm, 0, 0, pages_of(PLATFORM_ROOM_SIZE)))
        return -ENOMEM;
    ret = g_mm_platform->space_room(mm->space, at);
    if (ret < 0)
        return ret;
    templ.mm = mm;
    templ.start = at;
    templ.end = at + PLATFORM_ROOM_SIZE;
    ret = mm_add_vma(mm, &templ, &v);
    if (ret < 0) /* takes the room back */
        IGNORE_RESULT(g_mm_platform->space_unmap(mm->space, at, PLATFORM_ROOM_SIZE));
    return ret;
}

static int offer_locked(struct mm *mm, const struct platform_site *site, void *bytes)
    REQUIRES(mm->lock)
{
    const struct vma *v = vma_set_at(&mm->vmas, site->page);
    const pte_t *e = page_map_lookup(&mm->pages, site->page);
    int ret;

    if (!v || !v->file || !v->object || (v->flags & (VMA_SHARED | VMA_SPECIAL)) ||
        (v->prot & LX_PROT_RWX) != (LX_PROT_READ | LX_PROT_EXEC))
        return -EACCES;
    if (!e || (*e & (PTE_OWNED | PTE_W)) || !(*e & PTE_X))
        return -EACCES;
    ret = mm_copy_backing(*e, bytes);
    if (ret == 0)
        ret = g_mm_platform->space_site(mm->space, site);
    if (ret == -ENOSPC) {
        ret = give_room_locked(mm, site->page);
        if (ret == 0)
            ret = g_mm_platform->space_site(mm->space, site);
    }
    return ret;
}

int mm_offer_site(struct mm *mm, uaddr_t ip, uint32_t nr)
{
    void *bytes;
    struct platform_site site = {
        .page = align_down(ip - SYSCALL_SIZE - 1, LX_PAGE_SIZE), .ip = ip, .nr = nr};
    int ret;

    if (!g_mm_platform->space_site)
        return -EOPNOTSUPP;
    bytes = malloc(LX_PAGE_SIZE);
    if (!bytes)
        return -ENOMEM;
    site.bytes = bytes;
    mutex_lock(&mm->lock);
    ret = offer_locked(mm, &site, bytes);
    mutex_unlock(&mm->lock);
    free(bytes);
    return ret;
}

void mm_sites_off(struct mm *mm)
{
    if (g_mm_platform->space_sites_off)
        g_mm_platform->space_sites_off(mm->space);
}
