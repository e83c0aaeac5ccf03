/* SPDX-License-Identifier: Apache-2.0 */
/* Queue and range set against naive models: one array element per page. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "platform/ptrace/mapping.h"

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

static void test_queue_random(void **state)
{
    (void)state;
    srand(1);
    for (int round = 0; round < 2000; round++) {
        struct page want[PAGES] = {{0}}, got[PAGES] = {{0}};
        struct queue q = {0};

        for (int i = 0; i < 40; i++) {
            struct change c = random_change();

            apply(want, &c);
            assert_int_equal(queue_add(&q, &c), 0);
        }
        for (uint32_t i = 0; i < q.count; i++)
            apply(got, &q.items[i]);
        for (int i = 0; i < PAGES; i++) {
            assert_int_equal(got[i].mapped, want[i].mapped);
            assert_int_equal(got[i].prot, want[i].prot);
            assert_int_equal(got[i].fd, want[i].fd);
            assert_int_equal(got[i].offset, want[i].offset);
        }
        queue_destroy(&q);
    }
}

static void test_queue_merges(void **state)
{
    struct queue q = {0};

    (void)state;
    for (unsigned i = 0; i < 50; i++) {
        struct change up = {CHANGE_MAP, 1, 3, 0, i * PAGE, PAGE, (100 + i) * PAGE};

        assert_int_equal(queue_add(&q, &up), 0);
    }
    assert_int_equal(q.count, 1);
    assert_int_equal(q.items[0].size, 50 * PAGE);
    /* A mapping over it replaces it. */
    assert_int_equal(queue_add(&q, &(struct change){CHANGE_UNMAP, 0, 0, 0, 0, 64 * PAGE, 0}), 0);
    assert_int_equal(q.count, 1);
    assert_int_equal(q.items[0].kind, CHANGE_UNMAP);
    queue_destroy(&q);
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
