// SPDX-License-Identifier: Apache-2.0
/* See shared_object.h. Pages hang in a two-level table of leaves of 512 pages (2 MiB). */
#include "sentry/mm/shared_object.h"

#include <errno.h>
#include <stdlib.h>

#include "platform/base/refs.h"
#include "sentry/mm/mm_internal.h"

#define LEAF_SHIFT 9u
#define LEAF_PAGES (1u << LEAF_SHIFT)

struct leaf {
    mfpage_t page[LEAF_PAGES];
};

/* Lifetime: refcounted through mappable_ops get/put. Keys: I immutable; m map.lock */
struct shared_object {
    struct mappable map;  /* m */
    struct refs refs;     /* a */
    uint64_t pages;       /* I */
    uint64_t resident;    /* m */
    struct leaf **leaves; /* m: pointers; the array is I */
};

static struct shared_object *object_of(struct mappable *m)
{
    return container_of(m, struct shared_object, map);
}

static struct leaf *leaf_ensure(struct shared_object *o, uint64_t index)
{
    uint32_t i;

    if (!o->leaves[index]) {
        struct leaf *l = malloc(sizeof(*l));

        if (!l)
            return NULL;
        for (i = 0; i < LEAF_PAGES; i++)
            l->page[i] = MEMFILE_NONE;
        o->leaves[index] = l;
    }
    return o->leaves[index];
}

/* Fills the absent pages that begin at slot i of l, up to count; returns how many were added. */
static int fill(struct shared_object *o, struct leaf *l, uint32_t i, uint32_t count)
{
    mfpage_t first;
    uint32_t n = 0, k;
    int ret;

    while (n < count && l->page[i + n] == MEMFILE_NONE)
        n++;
    ret = memfile_alloc(MEMFILE_TMPFS, n, &first);
    if (ret < 0 && n > 1) {
        n = 1;
        ret = memfile_alloc(MEMFILE_TMPFS, 1, &first);
    }
    if (ret < 0)
        return ret;
    for (k = 0; k < n; k++)
        l->page[i + k] = first + k;
    o->resident += n;
    return 0;
}

static int shared_translate(struct mappable *m, uint64_t pgoff, uint32_t count, bool write,
                            struct backing *out)
{
    struct shared_object *o = object_of(m);
    uint32_t i = (uint32_t)pgoff & (LEAF_PAGES - 1), n;
    struct leaf *l;
    int ret = 0;

    (void)write; /* a read of a hole allocates too: the page is about to be shared */
    if (pgoff >= o->pages)
        return -ENXIO;
    if (count > o->pages - pgoff)
        count = (uint32_t)(o->pages - pgoff);
    if (count > LEAF_PAGES - i)
        count = LEAF_PAGES - i;
    mutex_lock(&m->lock);
    l = leaf_ensure(o, pgoff >> LEAF_SHIFT);
    if (!l)
        ret = -ENOMEM;
    else if (l->page[i] == MEMFILE_NONE)
        ret = fill(o, l, i, count);
    if (ret == 0) {
        for (n = 1; n < count && l->page[i + n] == l->page[i] + n; n++)
            ;
        memfile_get(l->page[i], n);
        *out = (struct backing){.kind = BACKING_MEMFILE, .page = l->page[i], .count = n};
    }
    mutex_unlock(&m->lock);
    return ret;
}

static void shared_get(struct mappable *m)
{
    refs_get(&object_of(m)->refs);
}

static void drop_leaf(struct shared_object *o, struct leaf *l, uint32_t from, uint32_t to)
{
    uint32_t i;

    for (i = from; i < to; i++) {
        if (l->page[i] != MEMFILE_NONE) {
            memfile_put(l->page[i], 1);
            l->page[i] = MEMFILE_NONE;
            o->resident--;
        }
    }
}

static void shared_put(struct mappable *m)
{
    struct shared_object *o = object_of(m);
    uint64_t i;

    if (!refs_put(&o->refs))
        return;
    for (i = 0; i < (o->pages + LEAF_PAGES - 1) >> LEAF_SHIFT; i++) {
        if (o->leaves[i]) {
            drop_leaf(o, o->leaves[i], 0, LEAF_PAGES);
            free(o->leaves[i]);
        }
    }
    mappable_destroy(m);
    free(o->leaves);
    free(o);
}

static int shared_punch(struct mappable *m, uint64_t pgoff, uint64_t count)
{
    struct shared_object *o = object_of(m);
    uint64_t end = count < o->pages - MIN(pgoff, o->pages) ? pgoff + count : o->pages, at = pgoff;

    mutex_lock(&m->lock);
    while (at < end) {
        uint64_t stop = MIN(end, (at | (LEAF_PAGES - 1)) + 1);
        struct leaf *l = o->leaves[at >> LEAF_SHIFT];

        if (l)
            drop_leaf(o, l, (uint32_t)at & (LEAF_PAGES - 1), (uint32_t)(stop - 1) % LEAF_PAGES + 1);
        at = stop;
    }
    mutex_unlock(&m->lock);
    mappable_invalidate(m, pgoff, count, /*private_too=*/false);
    return 0;
}

static const struct mappable_ops shared_object_ops = {
    .translate = shared_translate,
    .get = shared_get,
    .put = shared_put,
    .punch = shared_punch,
};

int shared_object_new(uint64_t size, bool reserve, struct mappable **out)
{
    struct shared_object *o;
    uint64_t pages;

    if (size > INT64_MAX)
        return -EINVAL;
    /* Nobody can map more; the table of leaves, untouched until used, stays below 512 MiB. */
    if (size > LX_TASK_SIZE || (reserve && !mm_overcommit_ok(size >> LX_PAGE_SHIFT)))
        return -ENOMEM;
    pages = (size + LX_PAGE_SIZE - 1) >> LX_PAGE_SHIFT;
    o = calloc(1, sizeof(*o));
    if (!o)
        return -ENOMEM;
    o->pages = pages;
    o->leaves = calloc((pages + LEAF_PAGES - 1) >> LEAF_SHIFT, sizeof(struct leaf *));
    if (!o->leaves) {
        free(o);
        return -ENOMEM;
    }
    refs_init(&o->refs);
    mappable_init(&o->map, &shared_object_ops);
    *out = &o->map;
    return 0;
}

uint64_t shared_object_resident(struct mappable *m)
{
    uint64_t n;

    mutex_lock(&m->lock);
    n = object_of(m)->resident;
    mutex_unlock(&m->lock);
    return n << 12;
}

bool shared_object_is(const struct mappable *m)
{
    return m->ops == &shared_object_ops;
}
