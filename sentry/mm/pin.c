/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pinned pages. A pin holds one count on the page, which pte_sharers leaves out while the entry is
 * marked PTE_WATCHED, so that the page stays writable; page_map_clear takes the mark off.
 */
#include <errno.h>
#include <stdlib.h>

#include "sentry/mm/mm_internal.h"

/* Lifetime: unique, on mm->pins while it has users. Keys: m mm->lock; I immutable */
struct mm_pin {
    struct list node; /* m */
    uaddr_t addr;     /* I: of the page when it was pinned */
    mfpage_t page;    /* I, counted */
    uint32_t users;   /* m */
};

static struct mm_pin *find_locked(struct mm *mm, mfpage_t page)
{
    struct mm_pin *pin;

    list_for_each_entry(pin, &mm->pins, node) {
        if (pin->page == page)
            return pin;
    }
    return NULL;
}

static int pin_locked(struct mm *mm, uaddr_t addr, struct mm_pin **out)
{
    struct vma *v = vma_set_at(&mm->vmas, addr);
    struct mm_pin *pin;
    pte_t *e;
    int ret = v ? mm_resolve(mm, v, addr, PLATFORM_ACCESS_WRITE, /*force=*/false) : -EFAULT;

    if (ret < 0)
        return ret;
    e = page_map_lookup(&mm->pages, addr);
    if (!e || (*e & (PTE_OWNED | PTE_HOST)) != PTE_OWNED)
        return -EOPNOTSUPP;
    pin = *e & PTE_WATCHED ? find_locked(mm, pte_page(*e)) : NULL;
    if (!pin) {
        pin = calloc(1, sizeof(*pin));
        if (!pin)
            return -ENOMEM;
        pin->addr = addr;
        pin->page = pte_page(*e);
        memfile_get(pin->page, 1);
        *e |= PTE_WATCHED;
        list_add(&mm->pins, &pin->node);
    }
    pin->users++;
    *out = pin;
    return 0;
}

int mm_pin_page(struct mm *mm, uaddr_t addr, struct mm_pin **out)
{
    int ret;

    mutex_lock(&mm->lock);
    ret = pin_locked(mm, align_down(addr, LX_PAGE_SIZE), out);
    mutex_unlock(&mm->lock);
    return ret;
}

static void release_locked(struct mm *mm, struct mm_pin *pin)
{
    pte_t *e = page_map_lookup(&mm->pages, pin->addr);
    struct page_batch b;

    list_del(&pin->node);
    if (e && (*e & PTE_WATCHED) && pte_page(*e) == pin->page) {
        *e &= ~PTE_WATCHED;
        memfile_put(pin->page, 1); /* the entry's own is left */
        return;
    }
    page_batch_init(&b, mm);
    page_batch_add(&b, PTE_PRESENT | PTE_OWNED | ((pte_t)pin->page << PTE_PAGE_SHIFT));
    page_batch_flush(&b);
}

void mm_unpin_page(struct mm *mm, struct mm_pin *pin)
{
    bool last;

    mutex_lock(&mm->lock);
    last = --pin->users == 0;
    if (last)
        release_locked(mm, pin);
    mutex_unlock(&mm->lock);
    if (last)
        free(pin);
}

uint64_t mm_pin_offset(const struct mm_pin *pin)
{
    return (uint64_t)pin->page << LX_PAGE_SHIFT;
}

const atomic_uint *mm_pin_changes(const struct mm *mm)
{
    return &mm->pages.watched_changes;
}
