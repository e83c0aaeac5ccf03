/* SPDX-License-Identifier: Apache-2.0 */
/* Memory groups: charges along the tree, limits, events, who is asked for room, reuse of slots. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "sentry/core/curr.h"
#include "sentry/mm/memcg.h"

static struct curr g_test_curr;
static memcg_id_t g_asked;
static int g_asked_times;

static uint64_t current_of(memcg_id_t id)
{
    struct memcg_usage u;

    memcg_usage(id, &u);
    return u.current / 4096;
}

static bool make_no_room(memcg_id_t id, uint64_t wanted)
{
    (void)wanted;
    g_asked = id;
    g_asked_times++;
    return false;
}

static const struct memcg_ops test_ops = {.oom = make_no_room};

static void test_tree(void **state)
{
    memcg_id_t a, b;
    mfpage_t p, q;
    struct memcg_usage u;
    uint64_t before = current_of(MEMCG_ROOT);

    (void)state;
    assert_int_equal(memcg_new(MEMCG_ROOT, &a), 0);
    assert_int_equal(memcg_new(a, &b), 0);
    assert_true(memcg_is_below(b, a) && memcg_is_below(a, MEMCG_ROOT) && !memcg_is_below(a, b));
    memcg_task_set(&g_test_curr, b);
    assert_int_equal(memfile_alloc(MEMFILE_ANON, 5, &p), 0);
    assert_int_equal(current_of(b), 5);
    assert_int_equal(current_of(a), 5);
    assert_int_equal(current_of(MEMCG_ROOT), before + 5);
    /* Who frees does not matter. */
    memcg_task_set(&g_test_curr, a);
    assert_int_equal(memfile_alloc(MEMFILE_TMPFS, 3, &q), 0);
    memfile_put(p, 5);
    assert_int_equal(current_of(b), 0);
    assert_int_equal(current_of(a), 3);
    memcg_usage(a, &u);
    assert_int_equal(u.kind[MEMFILE_TMPFS], 3 * 4096);
    assert_int_equal(u.peak, 8 * 4096);
    memfile_put(q, 3);
    memcg_task_set(&g_test_curr, MEMCG_ROOT);
    memcg_release(b);
    memcg_release(a);
    assert_int_equal(current_of(MEMCG_ROOT), before);
}

static void test_limit(void **state)
{
    memcg_id_t a, b;
    mfpage_t p, q;
    struct memcg_usage u;

    (void)state;
    g_memcg_ops = &test_ops;
    assert_int_equal(memcg_new(MEMCG_ROOT, &a), 0);
    assert_int_equal(memcg_new(a, &b), 0);
    memcg_set_max(a, 8 * 4096);
    memcg_task_set(&g_test_curr, b);
    assert_int_equal(memfile_alloc(MEMFILE_ANON, 6, &p), 0);
    assert_int_equal(memcg_margin(b), 2 * 4096);
    assert_int_equal(memfile_alloc(MEMFILE_ANON, 3, &q), -ENOMEM);
    g_asked_times = 0;
    assert_false(memcg_oom_retry());
    assert_int_equal(g_asked, a);
    assert_false(memcg_oom_retry()); /* asked once for each failure */
    assert_int_equal(g_asked_times, 1);
    assert_int_equal(memfile_alloc(MEMFILE_ANON, 2, &q), 0);
    memcg_usage(a, &u);
    assert_int_equal(u.events_local[MEMCG_EVENT_MAX], 1);
    memcg_usage(b, &u);
    assert_int_equal(u.events[MEMCG_EVENT_MAX], 0);
    /* A limit below the usage takes nothing away, and nothing more is given. */
    memcg_set_max(a, 4096);
    assert_int_equal(memcg_margin(b), 0);
    memfile_put(q, 2);
    assert_int_equal(memfile_alloc(MEMFILE_ANON, 1, &q), -ENOMEM);
    memcg_oom_forget();
    assert_false(memcg_oom_retry());
    assert_int_equal(g_asked_times, 1);
    memfile_put(p, 6);
    assert_int_equal(memfile_alloc(MEMFILE_ANON, 1, &q), 0);
    memfile_put(q, 1);
    memcg_task_set(&g_test_curr, MEMCG_ROOT);
    memcg_release(a); /* before its child: kept until that goes */
    assert_true(memcg_is_below(b, a));
    memcg_release(b);
}

static void test_high(void **state)
{
    memcg_id_t a, id;
    uint64_t over;
    mfpage_t p;

    (void)state;
    assert_int_equal(memcg_new(MEMCG_ROOT, &a), 0);
    memcg_set_high(a, 2 * 4096);
    memcg_task_set(&g_test_curr, a);
    assert_int_equal(memfile_alloc(MEMFILE_ANON, 5, &p), 0);
    assert_true(memcg_thread_has_news());
    assert_true(memcg_take_over_high(&id, &over));
    assert_int_equal(id, a);
    assert_int_equal(over, 3);
    assert_false(memcg_take_over_high(&id, &over));
    memfile_put(p, 5);
    memcg_task_set(&g_test_curr, MEMCG_ROOT);
    memcg_release(a);
}

/* A group that is gone keeps its slot while it is charged; then slots are used again. */
static void test_slots(void **state)
{
    memcg_id_t id, dying;
    mfpage_t p;
    int i;

    (void)state;
    assert_int_equal(memcg_new(MEMCG_ROOT, &dying), 0);
    memcg_task_set(&g_test_curr, dying);
    assert_int_equal(memfile_alloc(MEMFILE_TMPFS, 2, &p), 0);
    memcg_task_set(&g_test_curr, MEMCG_ROOT);
    memcg_release(dying);
    for (i = 0; i < 20000; i++) {
        assert_int_equal(memcg_new(MEMCG_ROOT, &id), 0);
        assert_int_not_equal(id, dying);
        memcg_release(id);
    }
    assert_int_equal(current_of(dying), 2);
    memfile_put(p, 2);
    for (i = 0; i < 9000 && memcg_new(MEMCG_ROOT, &id) == 0; i++)
        ;
    assert_true(i > 8000 && i < 9000); /* bounded */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tree),
        cmocka_unit_test(test_limit),
        cmocka_unit_test(test_high),
        cmocka_unit_test(test_slots),
    };

    g_curr = &g_test_curr;
    if (memfile_init(0) < 0)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
