// SPDX-License-Identifier: Apache-2.0
/*
 * The ordered set of vmas of one address space: find, split, merge, gap search. Nothing here knows
 * the page map or the platform, so that a unit test can drive it against a naive model.
 *
 * Gap search is first-fit from the top, as Linux's. gap_top/gap_max cache what earlier searches
 * learned: no hole larger than gap_max lies above gap_top, so a larger request starts there.
 * Removing or shrinking a vma moves gap_top up.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sentry/mm/mm_internal.h"

static int vma_cmp(struct vma *a, struct vma *b)
{
    return a->start < b->start ? -1 : a->start > b->start;
}
RB_GENERATE_STATIC(vma_tree, vma, node, vma_cmp)

void vma_set_init(struct vma_set *s)
{
    RB_INIT(&s->tree);
    s->count = 0;
    s->cached = NULL;
    s->gap_top = UINT64_MAX;
    s->gap_max = 0;
}

struct vma *vma_set_find(struct vma_set *s, uaddr_t addr)
{
    struct vma *v = s->cached, *best = NULL;

    if (v && v->start <= addr && addr < v->end)
        return v;
    v = RB_ROOT(&s->tree);
    while (v) {
        if (addr < v->end) {
            best = v;
            if (v->start <= addr)
                break;
            v = RB_LEFT(v, node);
        } else {
            v = RB_RIGHT(v, node);
        }
    }
    if (best && best->start <= addr)
        s->cached = best;
    return best;
}

struct vma *vma_set_at(struct vma_set *s, uaddr_t addr)
{
    struct vma *v = vma_set_find(s, addr);

    return v && v->start <= addr ? v : NULL;
}

struct vma *vma_next(struct vma *v)
{
    return RB_NEXT(vma_tree, NULL, v);
}

struct vma *vma_prev(struct vma *v)
{
    return RB_PREV(vma_tree, NULL, v);
}

struct vma *vma_set_first(struct vma_set *s)
{
    return RB_MIN(vma_tree, &s->tree);
}

static void gap_changed(struct vma_set *s, uaddr_t end)
{
    if (end > s->gap_top)
        s->gap_top = end;
}

void vma_set_insert(struct vma_set *s, struct vma *v)
{
    struct vma *clash = RB_INSERT(vma_tree, &s->tree, v);

    ASSERT(!clash);
    s->count++;
}

void vma_set_remove(struct vma_set *s, struct vma *v)
{
    struct vma *next = vma_next(v);

    /* The hole that appears reaches up to the next vma. */
    gap_changed(s, next ? next->start : UINT64_MAX);
    RB_REMOVE(vma_tree, &s->tree, v);
    s->count--;
    if (s->cached == v)
        s->cached = NULL;
}

uaddr_t vma_start_gap(const struct vma *v)
{
    if (!(v->flags & VMA_GROWSDOWN))
        return v->start;
    return v->start > STACK_GUARD_GAP ? v->start - STACK_GUARD_GAP : 0;
}

/* ---- split and merge --------------------------------------------------------------------- */

struct vma vma_template(const struct vma *v)
{
    struct vma t = {0};

    static_assert(offsetof(struct vma, map_link) + sizeof(t.map_link) == sizeof(t), "is the last");
    memcpy(&t, v, offsetof(struct vma, map_link));
    return t;
}

int vma_new(const struct vma *templ, struct vma **out)
{
    struct vma *v = malloc(sizeof(*v));

    if (!v)
        return -ENOMEM;
    *v = *templ;
    v->dead_next = NULL;
    v->next_fault = 0;
    v->window = 0;
    list_init(&v->map_link);
    if (v->file)
        g_mm_file_ops->get(v->file);
    if (v->object) {
        v->object->ops->get(v->object);
        mutex_lock(&v->object->lock);
        list_add_tail(&v->object->vmas, &v->map_link);
        mutex_unlock(&v->object->lock);
    }
    *out = v;
    return 0;
}

void vma_free(struct vma *v)
{
    if (v->object) {
        mutex_lock(&v->object->lock);
        list_del(&v->map_link);
        mutex_unlock(&v->object->lock);
        v->object->ops->put(v->object);
    }
    if (v->file)
        g_mm_file_ops->put(v->file);
    free(v);
}

int vma_set_split(struct vma_set *s, struct vma *v, uaddr_t addr)
{
    struct vma templ, *upper;
    int ret;

    ASSERT(v->start < addr && addr < v->end);
    templ = vma_template(v);
    templ.start = addr;
    if (templ.object || templ.file)
        templ.offset += addr - v->start;
    ret = vma_new(&templ, &upper);
    if (ret < 0)
        return ret;
    v->end = addr;
    vma_set_insert(s, upper);
    return 0;
}

int vma_set_isolate(struct vma_set *s, uaddr_t start, uaddr_t end)
{
    struct vma *v = vma_set_at(s, start);
    int ret;

    if (v && v->start < start) {
        ret = vma_set_split(s, v, start);
        if (ret < 0)
            return ret;
    }
    v = vma_set_at(s, end - 1);
    if (v && v->end > end)
        return vma_set_split(s, v, end);
    return 0;
}

bool vma_can_merge(const struct vma *a, const struct vma *b)
{
    if (a->end != b->start || a->prot != b->prot || a->max_prot != b->max_prot ||
        a->flags != b->flags || a->file != b->file || a->object != b->object || a->name != b->name)
        return false;
    if (a->flags & VMA_SPECIAL)
        return false;
    if (a->object || a->file)
        return a->offset + (a->end - a->start) == b->offset;
    return true;
}

static struct vma *merge_pair(struct vma_set *s, struct vma *a, struct vma *b)
{
    uaddr_t end = b->end;

    vma_set_remove(s, b);
    a->end = end;
    vma_free(b);
    return a;
}

struct vma *vma_set_merge(struct vma_set *s, struct vma *v)
{
    struct vma *near = vma_prev(v);

    if (near && vma_can_merge(near, v))
        v = merge_pair(s, near, v);
    near = vma_next(v);
    if (near && vma_can_merge(v, near))
        v = merge_pair(s, v, near);
    return v;
}

void vma_set_merge_range(struct vma_set *s, uaddr_t start, uaddr_t end)
{
    struct vma *v = vma_set_find(s, start > 0 ? start - 1 : 0), *next;

    while (v && v->start <= end) {
        next = vma_next(v);
        if (next && next->start <= end && vma_can_merge(v, next))
            v = merge_pair(s, v, next);
        else
            v = next;
    }
}

/* ---- gaps -------------------------------------------------------------------------------- */

bool vma_set_is_free(struct vma_set *s, uaddr_t start, uaddr_t end)
{
    struct vma *next = vma_set_find(s, start), *prev;

    if (next && vma_start_gap(next) < end)
        return false;
    prev = next ? vma_prev(next) : RB_MAX(vma_tree, &s->tree);
    return !prev || prev->end <= start;
}

uaddr_t vma_set_gap_down(struct vma_set *s, uint64_t size, uaddr_t low, uaddr_t high)
{
    uaddr_t top = high;
    uint64_t seen = 0;
    struct vma *v, *above;

    /* Nothing that large above gap_top: begin there. */
    if (size > s->gap_max && s->gap_top < high)
        top = s->gap_top;
    else
        s->gap_max = 0;
    if (s->gap_max > 0)
        seen = s->gap_max;
    /* The last vma that begins below top bounds the first hole from below. */
    above = vma_set_find(s, top - 1);
    if (above && above->start < top) {
        top = vma_start_gap(above);
        v = vma_prev(above);
    } else {
        if (above && vma_start_gap(above) < top)
            top = vma_start_gap(above);
        v = above ? vma_prev(above) : RB_MAX(vma_tree, &s->tree);
    }
    for (;;) {
        uaddr_t bottom = v && v->end > low ? v->end : low;

        if (top > bottom && top - bottom >= size) {
            s->gap_top = top;
            s->gap_max = seen;
            return top - size;
        }
        if (top > bottom && top - bottom > seen)
            seen = top - bottom;
        if (!v || v->end <= low)
            break;
        top = vma_start_gap(v);
        v = vma_prev(v);
    }
    s->gap_top = UINT64_MAX;
    s->gap_max = 0;
    return 0;
}

uaddr_t vma_set_gap_up(struct vma_set *s, uint64_t size, uaddr_t low, uaddr_t high)
{
    struct vma *v = vma_set_find(s, low);
    uaddr_t bottom = low;

    for (;; v = vma_next(v)) {
        uaddr_t top = v ? vma_start_gap(v) : high;

        if (top > high)
            top = high;
        if (top > bottom && top - bottom >= size)
            return bottom;
        if (!v || v->end >= high)
            return 0;
        if (v->end > bottom)
            bottom = v->end;
    }
}
