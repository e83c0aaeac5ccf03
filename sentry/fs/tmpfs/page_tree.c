/* SPDX-License-Identifier: Apache-2.0 */
/* See page_tree.h. Recursion is bounded by the height: 64^9 pages are more than 2^52. */
#include "sentry/fs/tmpfs/page_tree.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define FANOUT_SHIFT 6
#define FANOUT       64u

struct leaf {
    mfpage_t page[FANOUT];
};
struct inner {
    void *child[FANOUT];
};

void page_tree_init(struct page_tree *t)
{
    t->root = NULL;
    t->height = 0;
    t->single = MEMFILE_NONE;
    t->count = 0;
}

static unsigned slot_of(uint64_t index, uint32_t height)
{
    return (unsigned)(index >> (FANOUT_SHIFT * (height - 1))) & (FANOUT - 1);
}

/* Indexes below this fit under a node of that height. */
static bool fits(uint64_t index, uint32_t height)
{
    if (height == 0)
        return index == 0;
    return height * FANOUT_SHIFT >= 64 || (index >> (height * FANOUT_SHIFT)) == 0;
}

static struct leaf *leaf_new(void)
{
    struct leaf *l = malloc(sizeof(*l));

    if (l)
        memset(l, 0xff, sizeof(*l)); /* MEMFILE_NONE */
    return l;
}

mfpage_t page_tree_get(const struct page_tree *t, uint64_t index)
{
    uint32_t h = t->height;
    const void *node = t->root;

    if (!fits(index, h))
        return MEMFILE_NONE;
    if (h == 0)
        return t->single;
    for (; h > 1 && node; h--)
        node = ((const struct inner *)node)->child[slot_of(index, h)];
    return node ? ((const struct leaf *)node)->page[index & (FANOUT - 1)] : MEMFILE_NONE;
}

static int grow(struct page_tree *t)
{
    if (t->height == 0) {
        struct leaf *l = leaf_new();

        if (!l)
            return -ENOMEM;
        l->page[0] = t->single;
        t->single = MEMFILE_NONE;
        t->root = l;
    } else {
        struct inner *n = calloc(1, sizeof(*n));

        if (!n)
            return -ENOMEM;
        n->child[0] = t->root;
        t->root = n;
    }
    t->height++;
    return 0;
}

int page_tree_set(struct page_tree *t, uint64_t index, mfpage_t page)
{
    void **link = &t->root;
    uint32_t h;

    while (!fits(index, t->height)) {
        int ret = grow(t);

        if (ret < 0)
            return ret;
    }
    if (t->height == 0) {
        t->single = page;
        t->count++;
        return 0;
    }
    for (h = t->height;; h--) {
        if (!*link)
            *link = h > 1 ? calloc(1, sizeof(struct inner)) : (void *)leaf_new();
        if (!*link)
            return -ENOMEM;
        if (h == 1)
            break;
        link = &((struct inner *)*link)->child[slot_of(index, h)];
    }
    ((struct leaf *)*link)->page[index & (FANOUT - 1)] = page;
    t->count++;
    return 0;
}

uint32_t page_tree_run(const struct page_tree *t, uint64_t index, uint32_t max)
{
    mfpage_t first = page_tree_get(t, index);
    uint32_t n = 1;

    if (first == MEMFILE_NONE)
        return 0;
    while (n < max && page_tree_get(t, index + n) == first + n)
        n++;
    return n;
}

static bool next_in(const void *node, uint32_t height, uint64_t base, uint64_t from, uint64_t *out)
{
    unsigned i = from > base ? slot_of(from, height) : 0;

    if (height == 1) {
        for (; i < FANOUT; i++) {
            if (((const struct leaf *)node)->page[i] != MEMFILE_NONE) {
                *out = base + i;
                return true;
            }
        }
        return false;
    }
    for (; i < FANOUT; i++) {
        const void *child = ((const struct inner *)node)->child[i];
        uint64_t child_base = base + ((uint64_t)i << (FANOUT_SHIFT * (height - 1)));

        if (child && next_in(child, height - 1, child_base, from, out))
            return true;
    }
    return false;
}

bool page_tree_next(const struct page_tree *t, uint64_t index, uint64_t *out)
{
    if (!fits(index, t->height))
        return false;
    if (t->height == 0) {
        *out = 0;
        return t->single != MEMFILE_NONE;
    }
    return t->root && next_in(t->root, t->height, 0, index, out);
}

/* Drops what lies in first..last below node; *empty: nothing is left. */
static uint64_t drop_in(void *node, uint32_t height, uint64_t base, uint64_t first, uint64_t last,
                        bool *empty)
{
    unsigned from = first > base ? slot_of(first, height) : 0, to = FANOUT - 1, i;
    uint64_t span = height == 1 ? 1 : 1ull << (FANOUT_SHIFT * (height - 1));
    uint64_t dropped = 0;

    if (last < base + span * FANOUT - 1)
        to = slot_of(last, height);
    if (height == 1) {
        struct leaf *l = node;

        for (i = from; i <= to; i++) {
            if (l->page[i] != MEMFILE_NONE) {
                memfile_put(l->page[i], 1);
                l->page[i] = MEMFILE_NONE;
                dropped++;
            }
        }
        *empty = true;
        for (i = 0; i < FANOUT && *empty; i++)
            *empty = l->page[i] == MEMFILE_NONE;
        return dropped;
    }
    for (i = from; i <= to; i++) {
        struct inner *n = node;
        bool child_empty;

        if (!n->child[i])
            continue;
        dropped += drop_in(n->child[i], height - 1, base + i * span, first, last, &child_empty);
        if (child_empty) {
            free(n->child[i]);
            n->child[i] = NULL;
        }
    }
    *empty = true;
    for (i = 0; i < FANOUT && *empty; i++)
        *empty = !((struct inner *)node)->child[i];
    return dropped;
}

uint64_t page_tree_drop(struct page_tree *t, uint64_t first, uint64_t last)
{
    uint64_t dropped = 0;
    bool empty;

    if (!fits(first, t->height) || first > last)
        return 0;
    if (t->height == 0) {
        if (t->single != MEMFILE_NONE) {
            memfile_put(t->single, 1);
            t->single = MEMFILE_NONE;
            dropped = 1;
        }
    } else if (t->root) {
        dropped = drop_in(t->root, t->height, 0, first, last, &empty);
        if (empty) {
            free(t->root);
            t->root = NULL;
            t->height = 0;
        }
    }
    t->count -= dropped;
    return dropped;
}
