/* SPDX-License-Identifier: Apache-2.0 */
/* The memory file: pages are zero, never handed out twice, counted, limited; recycled runs. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "sentry/mm/memfile_internal.h"
#include "sentry/mm/safecopy.h"

#define LIMIT_PAGES 8192u
#define SLOTS       200

static struct {
    mfpage_t first;
    uint32_t count;
    uint8_t tag;
} g_slot[SLOTS];

static bool all_are(const uint8_t *p, uint8_t value, size_t size)
{
    return p[0] == value && memcmp(p, p + 1, size - 1) == 0;
}

static void test_random(void **state)
{
    uint32_t round, live = 0;
    struct memfile_stats st;

    (void)state;
    srand(7);
    for (round = 0; round < 4000; round++) {
        int i = rand() % SLOTS;

        if (g_slot[i].count == 0) {
            uint32_t n = 1 + (uint32_t)rand() % (rand() % 8 ? 16 : 700);
            int ret = memfile_alloc(MEMFILE_ANON, n, &g_slot[i].first);

            if (ret < 0) {
                assert_int_equal(ret, -ENOMEM);
                assert_true(live + n > LIMIT_PAGES);
                continue;
            }
            g_slot[i].count = n;
            g_slot[i].tag = (uint8_t)(1 + rand() % 255);
            live += n;
            assert_true(all_are(memfile_ptr(g_slot[i].first), 0, n * 4096ul));
            memset(memfile_ptr(g_slot[i].first), g_slot[i].tag, n * 4096ul);
        } else {
            assert_true(
                all_are(memfile_ptr(g_slot[i].first), g_slot[i].tag, g_slot[i].count * 4096ul));
            memfile_put(g_slot[i].first, g_slot[i].count);
            live -= g_slot[i].count;
            g_slot[i].count = 0;
        }
        memfile_stats(&st);
        assert_int_equal(st.used[MEMFILE_ANON], live * 4096ull);
    }
    for (round = 0; round < SLOTS; round++) {
        if (g_slot[round].count)
            memfile_put(g_slot[round].first, g_slot[round].count);
    }
    memfile_stats(&st);
    assert_int_equal(st.used[MEMFILE_ANON], 0);
    assert_int_equal(st.limit, LIMIT_PAGES * 4096ull);
}

static void test_counts(void **state)
{
    mfpage_t p;

    (void)state;
    assert_int_equal(memfile_alloc(MEMFILE_TMPFS, 3, &p), 0);
    assert_int_equal(memfile_count(p + 1), 1);
    memfile_get(p + 1, 1);
    assert_int_equal(memfile_count(p + 1), 2);
    memset(memfile_ptr(p + 1), 'x', 4096);
    memfile_put(p, 3);
    assert_int_equal(memfile_count(p + 1), 1);
    assert_true(all_are(memfile_ptr(p + 1), 'x', 4096));
    memfile_put(p + 1, 1);
    memfile_trim();
}

static void test_safecopy(void **state)
{
    char a[300], b[300];
    uint32_t word = 5, old = 5, got;
    int st;

    (void)state;
    assert_int_equal(uaccess_fault_init(), 0); /* after cmocka took the signals */
    memset(a, 'a', sizeof(a));
    a[250] = 0;
    assert_int_equal(safe_memcpy(b, a, sizeof(a)), 0);
    assert_memory_equal(a, b, sizeof(a));
    assert_int_equal(safe_memcpy(b, (void *)8, 64), 64);
    assert_int_equal(safe_memcpy((void *)16, a, 300), 300);
    assert_int_equal(safe_memset((void *)16, 0, 300), 300);
    assert_int_equal(safe_load32((void *)16, &got), -EFAULT);
    assert_int_equal(safe_cmpxchg32((void *)16, &old, 3), -EFAULT);
    assert_int_equal(safe_touch((void *)16), -EFAULT);
    assert_int_equal(safe_cmpxchg32(&word, &old, 9), 0);
    assert_int_equal(word, 9);
    assert_int_equal(old, 5);
    assert_int_equal(safe_cmpxchg32(&word, &old, 1), 0);
    assert_int_equal(word, 9);
    assert_int_equal(old, 9);
    assert_int_equal(safe_load32(&word, &got), 0);
    assert_int_equal(got, 9);
    assert_int_equal(safe_strcpy(b, a, sizeof(b), &st), sizeof(b) - 251);
    assert_int_equal(st, 1);
    assert_string_equal(a, b);
    assert_int_equal(safe_strcpy(b, a, 20, &st), 0);
    assert_int_equal(st, 0);
    assert_int_equal(safe_strcpy(b, (char *)24, 20, &st), 20);
    assert_int_equal(st, 2);
}

static int setup(void **state)
{
    (void)state;
    return memfile_init(LIMIT_PAGES * 4096ull);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random),
        cmocka_unit_test(test_counts),
        cmocka_unit_test(test_safecopy),
    };

    return cmocka_run_group_tests(tests, setup, NULL);
}
