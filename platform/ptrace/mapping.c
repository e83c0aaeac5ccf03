/* SPDX-License-Identifier: Apache-2.0 */
/* Queue of pending mapping changes and the set of mapped ranges; see mapping.h. */
#include "platform/ptrace/mapping.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_ROOM = 16 };

static int grow(void **items, uint32_t *room, uint32_t count, size_t item_size)
{
    uint32_t want;
    void *p;

    if (count < *room)
        return 0;
    want = *room ? *room * 2 : FIRST_ROOM;
    p = realloc(*items, want * item_size);
    if (!p)
        return -ENOMEM;
    *items = p;
    *room = want;
    return 0;
}

static bool covers(const struct change *outer, const struct change *inner)
{
    return inner->addr >= outer->addr && inner->addr + inner->size <= outer->addr + outer->size;
}

/* Can b become part of a, the entry before it? */
static bool merge(struct change *a, const struct change *b)
{
    if (a->kind != b->kind)
        return false;
    if (a->kind != CHANGE_UNMAP && a->prot != b->prot)
        return false;
    if (a->kind == CHANGE_MAP && (a->fd != b->fd || a->flags != b->flags))
        return false;
    if (a->addr + a->size == b->addr &&
        (a->kind != CHANGE_MAP || a->offset + a->size == b->offset)) {
        a->size += b->size;
        return true;
    }
    if (b->addr + b->size == a->addr &&
        (a->kind != CHANGE_MAP || b->offset + b->size == a->offset)) {
        a->addr = b->addr;
        a->offset = b->offset;
        a->size += b->size;
        return true;
    }
    return false;
}

int queue_add(struct queue *q, const struct change *c)
{
    uint32_t count = q->count;
    int ret;

    /* A mapping or its removal replaces whatever was asked for the same pages just before. */
    while (c->kind != CHANGE_PROTECT && count > 0 && covers(c, &q->items[count - 1]))
        count--;
    if (count > 0 && merge(&q->items[count - 1], c)) {
        q->count = count;
        return 0;
    }
    /* SAFETY: the address of the typed pointer is handed to a helper that only reallocates. */
    ret = grow((void **)&q->items, &q->room, count, sizeof(*q->items));
    if (ret < 0)
        return ret;
    q->items[count] = *c;
    q->count = count + 1;
    return 0;
}

void queue_reset(struct queue *q)
{
    q->count = 0;
}

void queue_destroy(struct queue *q)
{
    free(q->items);
    *q = (struct queue){0};
}

/* Index of the first range that ends after addr. */
static uint32_t find(const struct rangeset *r, uaddr_t addr)
{
    uint32_t lo = 0, hi = r->count;

    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;

        if (r->items[mid].end <= addr)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

/* Replaces `drop` ranges at index i by the `count` ranges of with. Room was made before. */
static void splice(struct rangeset *r, uint32_t i, uint32_t drop, const struct range *with,
                   uint32_t count)
{
    memmove(&r->items[i + count], &r->items[i + drop], (r->count - i - drop) * sizeof(r->items[0]));
    memcpy(&r->items[i], with, count * sizeof(*with));
    r->count += count - drop;
}

int rangeset_add(struct rangeset *r, uaddr_t start, uaddr_t end)
{
    struct range n = {start, end};
    /* A range that ends exactly at start is joined, hence start - 1. */
    uint32_t i = find(r, start ? start - 1 : 0), last = i;
    int ret = grow((void **)&r->items, &r->room, r->count, sizeof(*r->items));

    if (ret < 0)
        return ret;
    while (last < r->count && r->items[last].start <= end) {
        n.start = MIN(n.start, r->items[last].start);
        n.end = MAX(n.end, r->items[last].end);
        last++;
    }
    splice(r, i, last - i, &n, 1);
    return 0;
}

int rangeset_remove(struct rangeset *r, uaddr_t start, uaddr_t end)
{
    struct range keep[2];
    uint32_t i = find(r, start), last = i, kept = 0;
    int ret = grow((void **)&r->items, &r->room, r->count, sizeof(*r->items));

    if (ret < 0)
        return ret;
    while (last < r->count && r->items[last].start < end) {
        if (r->items[last].start < start)
            keep[kept++] = (struct range){r->items[last].start, start};
        if (r->items[last].end > end)
            keep[kept++] = (struct range){end, r->items[last].end};
        last++;
    }
    splice(r, i, last - i, keep, kept);
    return 0;
}

bool rangeset_next(const struct rangeset *r, uaddr_t start, uaddr_t end, struct range *out)
{
    uint32_t i = find(r, start);

    if (i == r->count || r->items[i].start >= end)
        return false;
    out->start = MAX(start, r->items[i].start);
    out->end = MIN(end, r->items[i].end);
    return true;
}

int rangeset_copy(struct rangeset *dst, const struct rangeset *src)
{
    struct range *items = NULL;

    if (src->count) {
        items = malloc(src->count * sizeof(*items));
        if (!items)
            return -ENOMEM;
        memcpy(items, src->items, src->count * sizeof(*items));
    }
    free(dst->items);
    *dst = (struct rangeset){items, src->count, src->count};
    return 0;
}

void rangeset_reset(struct rangeset *r)
{
    r->count = 0;
}

void rangeset_destroy(struct rangeset *r)
{
    free(r->items);
    *r = (struct rangeset){0};
}
