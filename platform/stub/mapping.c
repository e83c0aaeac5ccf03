/* SPDX-License-Identifier: Apache-2.0 */
/* Queue of pending mapping changes and the set of mapped ranges; see mapping.h. */
#include "platform/stub/mapping.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "platform/base/assert.h"

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

int rangeset_reserve(struct rangeset *r, uint32_t count)
{
    struct range *p;

    if (count <= r->room)
        return 0;
    count = MAX(count, r->room * 2);
    p = realloc(r->items, count * sizeof(*p));
    if (!p)
        return -ENOMEM;
    r->items = p;
    r->room = count;
    return 0;
}

/* Room for what queue_applied adds: it cannot fail. Every item adds at most one range, and a change
 * adds at most two items by splitting and one of its own. */
static int reserve_host(const struct queue *q, struct rangeset *host)
{
    return rangeset_reserve(host, host->count + 2 * (q->count + 3));
}

/* Index of the first item that ends after addr. */
static uint32_t queue_find(const struct queue *q, uaddr_t addr)
{
    uint32_t lo = 0, hi = q->count;

    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;

        if (q->items[mid].addr + q->items[mid].size <= addr)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

static int insert_at(struct queue *q, uint32_t i, const struct change *c)
{
    /* SAFETY: the address of the typed pointer is handed to a helper that only reallocates. */
    int ret = grow((void **)&q->items, &q->room, q->count, sizeof(*q->items));

    if (ret < 0)
        return ret;
    memmove(&q->items[i + 1], &q->items[i], (q->count - i) * sizeof(*c));
    q->items[i] = *c;
    q->count++;
    return 0;
}

/* Cuts the item that contains addr in two there, so that no item crosses addr. */
static int split_at(struct queue *q, uaddr_t addr)
{
    uint32_t i = queue_find(q, addr);
    struct change right;
    int ret;

    if (i == q->count || q->items[i].addr >= addr)
        return 0;
    right = q->items[i];
    right.size -= addr - right.addr;
    right.offset += addr - right.addr;
    right.addr = addr;
    ret = insert_at(q, i + 1, &right);
    if (ret == 0)
        q->items[i].size -= right.size;
    return ret;
}

/* Can b become part of a, the item before it? */
static bool merge(struct change *a, const struct change *b)
{
    if (a->kind != b->kind || a->addr + a->size != b->addr)
        return false;
    if (a->kind != CHANGE_UNMAP && a->prot != b->prot)
        return false;
    if (a->kind == CHANGE_MAP &&
        (a->fd != b->fd || a->flags != b->flags || a->offset + a->size != b->offset))
        return false;
    a->size += b->size;
    return true;
}

static void remove_items(struct queue *q, uint32_t first, uint32_t count)
{
    if (count == 0)
        return; /* items may be NULL yet */
    memmove(&q->items[first], &q->items[first + count],
            (q->count - first - count) * sizeof(*q->items));
    q->count -= count;
}

/* Joins item i with its neighbours where they continue each other. */
static void merge_around(struct queue *q, uint32_t i)
{
    if (i + 1 < q->count && merge(&q->items[i], &q->items[i + 1]))
        remove_items(q, i + 1, 1);
    if (i > 0 && merge(&q->items[i - 1], &q->items[i]))
        remove_items(q, i, 1);
}

/* Removes what is queued for [addr, end); *out_at is where a change of that range belongs. */
static int carve(struct queue *q, uaddr_t addr, uaddr_t end, uint32_t *out_at)
{
    uint32_t first, last;
    int ret = split_at(q, addr);

    if (ret == 0)
        ret = split_at(q, end);
    if (ret < 0)
        return ret;
    first = last = queue_find(q, addr);
    while (last < q->count && q->items[last].addr < end)
        last++;
    remove_items(q, first, last - first);
    *out_at = first;
    return 0;
}

int queue_map(struct queue *q, struct rangeset *host, const struct change *map)
{
    struct range part;
    uint32_t at;
    int ret = reserve_host(q, host);

    if (ret == 0)
        ret = carve(q, map->addr, map->addr + map->size, &at);
    if (ret == 0)
        ret = insert_at(q, at, map);
    if (ret < 0)
        return ret;
    if (rangeset_next(host, map->addr, map->addr + map->size, &part))
        q->forced = true;
    merge_around(q, at);
    return 0;
}

int queue_unmap(struct queue *q, struct rangeset *host, uaddr_t addr, uint64_t size)
{
    const struct change c = {.kind = CHANGE_UNMAP, .fd = -1, .addr = addr, .size = size};
    struct range part;
    uint32_t at;
    int ret = reserve_host(q, host);

    if (ret == 0)
        ret = carve(q, addr, addr + size, &at);
    /* What the host never had needs no call. */
    if (ret < 0 || !rangeset_next(host, addr, addr + size, &part))
        return ret;
    ret = insert_at(q, at, &c);
    if (ret < 0)
        return ret;
    q->forced = true;
    merge_around(q, at);
    return 0;
}

/* Queues a protection for what the host has in a range that no item covers. */
static int protect_gap(struct queue *q, const struct rangeset *host, uaddr_t addr, uaddr_t end,
                       int prot)
{
    struct range part;
    int ret = 0;

    while (ret == 0 && addr < end && rangeset_next(host, addr, end, &part)) {
        const struct change c = {.kind = CHANGE_PROTECT,
                                 .prot = prot,
                                 .fd = -1,
                                 .addr = part.start,
                                 .size = part.end - part.start};

        ret = insert_at(q, queue_find(q, part.start), &c);
        q->forced = true;
        addr = part.end;
    }
    return ret;
}

int queue_protect(struct queue *q, const struct rangeset *host, uaddr_t addr, uint64_t size,
                  int prot)
{
    uaddr_t end = addr + size, at = addr;
    uint32_t i;
    int ret = split_at(q, addr);

    if (ret == 0)
        ret = split_at(q, end);
    while (ret == 0 && at < end) {
        i = queue_find(q, at);
        if (i < q->count && q->items[i].addr <= at) {
            if (q->items[i].kind != CHANGE_UNMAP)
                q->items[i].prot = prot;
            at = q->items[i].addr + q->items[i].size;
        } else {
            uaddr_t stop = i < q->count ? MIN(end, q->items[i].addr) : end;

            ret = protect_gap(q, host, at, stop, prot);
            at = stop;
        }
    }
    /* Joins what has become alike, from the end of the range to its start. */
    for (i = queue_find(q, end - 1) + 1; i-- > 0;) {
        if (i >= q->count)
            continue;
        if (i + 1 < q->count && merge(&q->items[i], &q->items[i + 1]))
            remove_items(q, i + 1, 1);
        if (q->items[i].addr < addr)
            break;
    }
    return ret;
}

bool queue_maps(const struct queue *q, uaddr_t addr)
{
    uint32_t i = queue_find(q, addr);

    return i < q->count && q->items[i].addr <= addr && q->items[i].kind == CHANGE_MAP;
}

/* reserve_host made room. */
static void add_reserved(struct rangeset *host, const struct change *c)
{
    int ret = rangeset_add(host, c->addr, c->addr + c->size);

    ASSERT(ret == 0);
}

static void remove_reserved(struct rangeset *host, const struct change *c)
{
    int ret = rangeset_remove(host, c->addr, c->addr + c->size);

    ASSERT(ret == 0);
}

void queue_applying(struct queue *q, struct rangeset *host)
{
    q->forced = true;
    for (uint32_t i = 0; i < q->count; i++) {
        const struct change *c = &q->items[i];

        if (c->kind == CHANGE_MAP)
            add_reserved(host, c);
    }
}

void queue_applied(struct queue *q, struct rangeset *host)
{
    for (uint32_t i = 0; i < q->count; i++) {
        const struct change *c = &q->items[i];

        if (c->kind == CHANGE_UNMAP)
            remove_reserved(host, c);
    }
    queue_reset(q);
}

void queue_reset_below(struct queue *q, uaddr_t end)
{
    uint32_t at = 0;

    while (at < q->count && q->items[at].addr < end)
        at++;
    memmove(q->items, q->items + at, (q->count - at) * sizeof(q->items[0]));
    q->count -= at;
    q->forced = q->forced && q->count > 0;
}

void queue_reset(struct queue *q)
{
    q->count = 0;
    q->forced = false;
}

void queue_destroy(struct queue *q)
{
    free(q->items);
    *q = (struct queue){0};
}
