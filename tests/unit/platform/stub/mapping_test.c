/* SPDX-License-Identifier: Apache-2.0 */
/* Queue and range set against naive models: one array element per page. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "platform/stub/mapping.h"

enum { PAGES = 64, PAGE = 4096 };

struct page {
    bool mapped;
    int prot, fd;
    uint64_t offset;
};

static void apply(struct page *model, const struct change *c)
{
    for (uint64_t i = 0; i < c->size / PAGE; i++) {
        struct page *p = &model[c->addr / PAGE + i];

        if (c->kind == CHANGE_MAP)
            *p = (struct page){true, c->prot, c->fd, c->offset + i * PAGE};
        else if (c->kind == CHANGE_UNMAP)
            *p = (struct page){0};
        else if (p->mapped)
            p->prot = c->prot;
    }
}

static bool same(const struct page *a, const struct page *b)
{
    return a->mapped == b->mapped && a->prot == b->prot && a->fd == b->fd && a->offset == b->offset;
}

static struct change random_change(void)
{
    struct change c = {.kind = (enum change_kind)(rand() % 3),
                       .prot = rand() % 2,
                       .fd = rand() % 2,
                       .addr = (uaddr_t)(rand() % PAGES) * PAGE};

    c.size = (uint64_t)(1 + rand() % (int)(PAGES - c.addr / PAGE)) * PAGE;
    if (rand() % 2)
        c.size = PAGE;
    c.offset = rand() % 2 ? c.addr : (uint64_t)(rand() % 100) * PAGE;
    return c;
}

static void queue_change(struct queue *q, struct rangeset *host, const struct change *c)
{
    switch (c->kind) {
    case CHANGE_MAP:
        assert_int_equal(queue_map(q, host, c), 0);
        break;
    case CHANGE_UNMAP:
        assert_int_equal(queue_unmap(q, host, c->addr, c->size), 0);
        break;
    case CHANGE_PROTECT:
        assert_int_equal(queue_protect(q, host, c->addr, c->size, c->prot), 0);
        break;
    }
}

static void check_shape(const struct queue *q)
{
    for (uint32_t i = 1; i < q->count; i++)
        assert_true(q->items[i - 1].addr + q->items[i - 1].size <= q->items[i].addr);
}

/* want: what was asked for; real: what a host would have. */
static void test_queue_random(void **state)
{
    (void)state;
    srand(1);
    for (int round = 0; round < 500; round++) {
        struct page want[PAGES] = {{0}}, real[PAGES] = {{0}};
        struct rangeset host = {0};
        struct queue q = {0};

        for (int i = 0; i < 200; i++) {
            struct change c = random_change();
            struct page future[PAGES];
            uint32_t part;

            apply(want, &c);
            queue_change(&q, &host, &c);
            check_shape(&q);
            memcpy(future, real, sizeof(future));
            for (uint32_t k = 0; k < q.count; k++)
                apply(future, &q.items[k]);
            for (int k = 0; k < PAGES; k++) {
                assert_true(same(&future[k], &want[k]));
                /* A queue that may wait leaves nothing old in the host. */
                assert_true(q.forced || !real[k].mapped || same(&real[k], &want[k]));
                assert_true(!real[k].mapped ||
                            rangeset_next(&host, (uaddr_t)k * PAGE, (uaddr_t)(k + 1) * PAGE,
                                          &(struct range){0}));
                assert_int_equal(queue_maps(&q, (uaddr_t)k * PAGE) && want[k].mapped,
                                 queue_maps(&q, (uaddr_t)k * PAGE));
            }
            if (rand() % 10)
                continue;
            /* Sometimes the stub dies half-way: the rest is done again later. */
            queue_applying(&q, &host);
            part = rand() % 3 ? q.count : (uint32_t)rand() % (q.count + 1);
            for (uint32_t k = 0; k < part; k++)
                apply(real, &q.items[k]);
            if (part == q.count)
                queue_applied(&q, &host);
        }
        queue_destroy(&q);
        rangeset_destroy(&host);
    }
}

static void test_queue_merges(void **state)
{
    struct rangeset host = {0};
    struct queue q = {0};

    (void)state;
    for (unsigned i = 0; i < 50; i++) {
        struct change up = {CHANGE_MAP, 1, 3, 0, i * PAGE, PAGE, (100 + i) * PAGE};

        assert_int_equal(queue_map(&q, &host, &up), 0);
    }
    assert_int_equal(q.count, 1);
    assert_int_equal(q.items[0].size, 50 * PAGE);
    assert_false(q.forced);
    /* Protection of what waits changes it in place. */
    assert_int_equal(queue_protect(&q, &host, 10 * PAGE, 10 * PAGE, 3), 0);
    assert_int_equal(q.count, 3);
    assert_int_equal(queue_protect(&q, &host, 0, 64 * PAGE, 1), 0);
    assert_int_equal(q.count, 1);
    assert_false(q.forced);
    /* Taken back before the host ever saw it. */
    assert_int_equal(queue_unmap(&q, &host, 0, 64 * PAGE), 0);
    assert_int_equal(q.count, 0);
    assert_false(q.forced);
    queue_destroy(&q);
    rangeset_destroy(&host);
}

static void test_rangeset_random(void **state)
{
    (void)state;
    srand(2);
    for (int round = 0; round < 2000; round++) {
        bool want[PAGES] = {false};
        struct rangeset r = {0}, copy = {0};
        struct range part;
        uaddr_t at = 0;

        for (int i = 0; i < 40; i++) {
            unsigned first = (unsigned)rand() % PAGES;
            unsigned count = 1 + (unsigned)rand() % (PAGES - first);
            bool add = rand() % 2;

            for (unsigned k = first; k < first + count; k++)
                want[k] = add;
            if (add)
                assert_int_equal(
                    rangeset_add(&r, (uaddr_t)first * PAGE, (uaddr_t)(first + count) * PAGE), 0);
            else
                assert_int_equal(
                    rangeset_remove(&r, (uaddr_t)first * PAGE, (uaddr_t)(first + count) * PAGE), 0);
        }
        assert_int_equal(rangeset_copy(&copy, &r), 0);
        for (uint32_t i = 1; i < copy.count; i++)
            assert_true(copy.items[i - 1].end < copy.items[i].start);
        while (rangeset_next(&copy, at, PAGES * PAGE, &part)) {
            for (; at < part.start; at += PAGE)
                assert_false(want[at / PAGE]);
            for (; at < part.end; at += PAGE)
                assert_true(want[at / PAGE]);
        }
        for (; at < PAGES * PAGE; at += PAGE)
            assert_false(want[at / PAGE]);
        rangeset_destroy(&r);
        rangeset_destroy(&copy);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_queue_random),
        cmocka_unit_test(test_queue_merges),
        cmocka_unit_test(test_rangeset_random),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
