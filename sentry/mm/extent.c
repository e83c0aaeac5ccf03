// SPDX-License-Identifier: Apache-2.0
/* See extent.h. */
#include "sentry/mm/extent.h"

#include <stdlib.h>

#include "platform/base/assert.h"

/* How many runs of the exact class are tried before a larger class is split. */
#define EXTENT_SCAN_LIMIT 8

static int extent_cmp(struct extent *a, struct extent *b)
{
    return a->start < b->start ? -1 : a->start > b->start;
}
RB_GENERATE_STATIC(extent_tree, extent, node, extent_cmp)

static unsigned class_of(uint32_t count)
{
    return 31u - (unsigned)__builtin_clz(count);
}

void extent_pool_init(struct extent_pool *p)
{
    int i;

    RB_INIT(&p->tree);
    p->pages = 0;
    for (i = 0; i < EXTENT_CLASSES; i++)
        list_init(&p->class[i]);
}

void extent_pool_destroy(struct extent_pool *p)
{
    struct extent *e, *next;

    RB_FOREACH_SAFE(e, extent_tree, &p->tree, next) {
        RB_REMOVE(extent_tree, &p->tree, e);
        free(e);
    }
    extent_pool_init(p);
}

static void extent_insert(struct extent_pool *p, struct extent *e)
{
    RB_INSERT(extent_tree, &p->tree, e);
    list_add(&p->class[class_of(e->count)], &e -> same_class);
}

static void extent_remove(struct extent_pool *p, struct extent *e)
{
    RB_REMOVE(extent_tree, &p->tree, e);
    list_del(&e->same_class);
}

static void extent_resize(struct extent_pool *p, struct extent *e, uint32_t start, uint32_t count)
{
    /* The order in the tree does not change: a run only grows into or shrinks within its gap. */
    list_del(&e->same_class);
    e->start = start;
    e->count = count;
    list_add(&p->class[class_of(count)], &e -> same_class);
}

bool extent_pool_add(struct extent_pool *p, uint32_t start, uint32_t count)
{
    struct extent key = {.start = start}, *next, *prev, *e;

    ASSERT(count > 0);
    next = RB_NFIND(extent_tree, &p->tree, &key);
    prev = next ? RB_PREV(extent_tree, &p->tree, next) : RB_MAX(extent_tree, &p->tree);
    ASSERT(!next || start + count <= next->start);
    ASSERT(!prev || prev->start + prev->count <= start);
    if (prev && prev->start + prev->count == start) {
        uint32_t total = prev->count + count;

        if (next && start + count == next->start) {
            total += next->count;
            extent_remove(p, next);
            free(next);
        }
        extent_resize(p, prev, prev->start, total);
    } else if (next && start + count == next->start) {
        extent_resize(p, next, start, next->count + count);
    } else {
        e = malloc(sizeof(*e));
        if (!e)
            return false;
        e->start = start;
        e->count = count;
        extent_insert(p, e);
    }
    p->pages += count;
    return true;
}

static void extent_cut_front(struct extent_pool *p, struct extent *e, uint32_t count)
{
    p->pages -= count;
    if (e->count == count) {
        extent_remove(p, e);
        free(e);
    } else {
        extent_resize(p, e, e->start + count, e->count - count);
    }
}

bool extent_pool_take(struct extent_pool *p, uint32_t count, uint32_t *out_start)
{
    unsigned c = class_of(count);
    struct extent *e;
    int scanned = 0;

    list_for_each_entry(e, &p->class[c], same_class) {
        if (e->count >= count)
            goto found;
        if (++scanned == EXTENT_SCAN_LIMIT)
            break;
    }
    for (c++; c < EXTENT_CLASSES; c++) {
        if (!list_empty(&p->class[c])) {
            e = list_first_entry(&p->class[c], struct extent, same_class);
            goto found;
        }
    }
    return false;
found:
    *out_start = e->start;
    extent_cut_front(p, e, count);
    return true;
}

bool extent_pool_take_at(struct extent_pool *p, uint32_t start, uint32_t count)
{
    struct extent key = {.start = start}, *e;

    e = RB_FIND(extent_tree, &p->tree, &key);
    if (!e || e->count < count)
        return false;
    extent_cut_front(p, e, count);
    return true;
}

bool extent_pool_take_aligned(struct extent_pool *p, uint32_t count, uint32_t *out_start)
{
    struct extent *e;

    for (unsigned c = class_of(count); c < EXTENT_CLASSES; c++) {
        int scanned = 0;

        list_for_each_entry(e, &p->class[c], same_class) {
            uint32_t start = (uint32_t)align_up(e->start, count);
            uint32_t before = start - e->start, after;

            if (e->count >= before + count) {
                after = e->count - before - count;
                if (before == 0) {
                    extent_cut_front(p, e, count);
                } else {
                    extent_resize(p, e, e->start, before);
                    p->pages -= count + after;
                    /* Out of memory for the node: what follows is lost, nothing else. */
                    if (after > 0)
                        IGNORE_RESULT(extent_pool_add(p, start + count, after));
                }
                *out_start = start;
                return true;
            }
            if (++scanned == EXTENT_SCAN_LIMIT)
                break;
        }
    }
    return false;
}

void extent_pool_move(struct extent_pool *from, struct extent_pool *to)
{
    struct extent *e, *next;

    extent_pool_init(to);
    RB_FOREACH_SAFE(e, extent_tree, &from->tree, next) {
        extent_remove(from, e);
        extent_insert(to, e);
    }
    to->pages = from->pages;
    from->pages = 0;
}

bool extent_pool_take_largest(struct extent_pool *p, uint32_t *out_start, uint32_t *out_count)
{
    int c;

    for (c = EXTENT_CLASSES - 1; c >= 0; c--) {
        if (!list_empty(&p->class[c])) {
            struct extent *e = list_first_entry(&p->class[c], struct extent, same_class);

            *out_start = e->start;
            *out_count = e->count;
            extent_cut_front(p, e, e->count);
            return true;
        }
    }
    return false;
}
