/* SPDX-License-Identifier: Apache-2.0 */
/* The vma set against a naive model: one byte per page, random operations. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "sentry/mm/mm_internal.h"

#define BASE   0x100000ul
#define PAGES  300
#define ROUNDS 20000

static uint8_t g_model[PAGES]; /* 0 free, else prot + 1 */
static struct vma_set g_set;
static uint64_t g_seed;

static uint32_t rnd(uint32_t below)
{
    g_seed ^= g_seed << 13;
    g_seed ^= g_seed >> 7;
    g_seed ^= g_seed << 17;
    return (uint32_t)(g_seed >> 20) % below;
}

static uaddr_t page_addr(uint32_t page)
{
    return BASE + page * LX_PAGE_SIZE;
}

static void compare(void)
{
    struct vma *v = vma_set_first(&g_set), *prev = NULL;
    uint32_t page = 0, count = 0;

    for (; v; prev = v, v = vma_next(v)) {
        count++;
        assert_true(v->start < v->end);
        if (prev) {
            assert_true(prev->end <= v->start);
            assert_false(vma_can_merge(prev, v));
        }
        for (; page_addr(page) < v->start; page++)
            assert_int_equal(g_model[page], 0);
        for (; page < PAGES && page_addr(page) < v->end; page++)
            assert_int_equal(g_model[page], v->prot + 1);
    }
    for (; page < PAGES; page++)
        assert_int_equal(g_model[page], 0);
    assert_int_equal(count, g_set.count);
}

static void do_unmap(uint32_t first, uint32_t n)
{
    struct vma *v, *next;

    assert_int_equal(vma_set_isolate(&g_set, page_addr(first), page_addr(first + n)), 0);
    for (v = vma_set_find(&g_set, page_addr(first)); v && v->start < page_addr(first + n);
         v = next) {
        next = vma_next(v);
        vma_set_remove(&g_set, v);
        vma_free(v);
    }
    memset(g_model + first, 0, n);
}

static void do_map(uint32_t first, uint32_t n, uint32_t prot)
{
    struct vma templ = {.start = page_addr(first), .end = page_addr(first + n), .prot = prot}, *v;

    do_unmap(first, n);
    assert_int_equal(vma_new(&templ, &v), 0);
    vma_set_insert(&g_set, v);
    vma_set_merge(&g_set, v);
    memset(g_model + first, (int)prot + 1, n);
}

static void do_protect(uint32_t first, uint32_t n, uint32_t prot)
{
    struct vma *v;
    uint32_t i;

    assert_int_equal(vma_set_isolate(&g_set, page_addr(first), page_addr(first + n)), 0);
    for (v = vma_set_find(&g_set, page_addr(first)); v && v->start < page_addr(first + n);
         v = vma_next(v))
        v->prot = prot;
    vma_set_merge_range(&g_set, page_addr(first), page_addr(first + n));
    for (i = first; i < first + n; i++) {
        if (g_model[i])
            g_model[i] = (uint8_t)(prot + 1);
    }
}

static uaddr_t naive_gap_down(uint32_t n)
{
    int64_t top;

    for (top = PAGES; top >= (int64_t)n; top--) {
        uint32_t i;

        for (i = 0; i < n && !g_model[top - 1 - i]; i++)
            ;
        if (i == n)
            return page_addr((uint32_t)top - n);
    }
    return 0;
}

static uaddr_t naive_gap_up(uint32_t n)
{
    uint32_t at, i;

    for (at = 0; at + n <= PAGES; at++) {
        for (i = 0; i < n && !g_model[at + i]; i++)
            ;
        if (i == n)
            return page_addr(at);
    }
    return 0;
}

static void check_find(void)
{
    uint32_t page = rnd(PAGES), i = page;
    struct vma *v = vma_set_find(&g_set, page_addr(page) + rnd(4096));

    while (i < PAGES && !g_model[i])
        i++;
    if (i == PAGES) {
        assert_null(v);
    } else {
        assert_non_null(v);
        assert_true(v->start <= page_addr(i) && page_addr(i) < v->end);
    }
    if (g_model[page])
        assert_ptr_equal(vma_set_at(&g_set, page_addr(page)), v);
    else
        assert_null(vma_set_at(&g_set, page_addr(page)));
}

static void test_random(void **state)
{
    int round;

    (void)state;
    g_seed = 88172645463325252ull;
    vma_set_init(&g_set);
    memset(g_model, 0, sizeof(g_model));
    for (round = 0; round < ROUNDS; round++) {
        uint32_t first = rnd(PAGES), n = 1 + rnd(MIN(PAGES - first, 24));

        switch (rnd(6)) {
        case 0:
            do_unmap(first, n);
            break;
        case 1:
            do_map(first, n, rnd(3));
            break;
        case 2:
            do_protect(first, n, rnd(3));
            break;
        case 3:
            assert_int_equal(vma_set_gap_up(&g_set, n * LX_PAGE_SIZE, BASE, page_addr(PAGES)),
                             naive_gap_up(n));
            break;
        default:
            assert_int_equal(vma_set_gap_down(&g_set, n * LX_PAGE_SIZE, BASE, page_addr(PAGES)),
                             naive_gap_down(n));
            if (naive_gap_down(n) && rnd(2))
                do_map((uint32_t)((naive_gap_down(n) - BASE) / LX_PAGE_SIZE), n, rnd(3));
            break;
        }
        check_find();
        if (round % 16 == 0)
            compare();
    }
    compare();
    do_unmap(0, PAGES);
}

static void test_stack_guard(void **state)
{
    struct vma templ = {.start = 0x900000, .end = 0xa00000, .flags = VMA_GROWSDOWN}, *v;

    (void)state;
    vma_set_init(&g_set);
    assert_int_equal(vma_new(&templ, &v), 0);
    vma_set_insert(&g_set, v);
    assert_false(vma_set_is_free(&g_set, 0x8ff000, 0x900000));
    assert_false(vma_set_is_free(&g_set, 0x800000, 0x801000));
    assert_true(vma_set_is_free(&g_set, 0x7ff000, 0x800000));
    assert_int_equal(vma_set_gap_down(&g_set, 0x1000, 0x100000, 0xa00000), 0x7ff000);
    vma_set_remove(&g_set, v);
    vma_free(v);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random),
        cmocka_unit_test(test_stack_guard),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
