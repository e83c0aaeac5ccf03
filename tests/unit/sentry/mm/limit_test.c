/* SPDX-License-Identifier: Apache-2.0 */
/* A full memory file: guest faults, copies, forks and program data fail cleanly, and everything
 * works again once memory was given back. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "platform/fake/fake.h"
#include "sentry/core/curr.h"
#include "sentry/mm/mm_internal.h"
#include "sentry/mm/shared_object.h"
#include "sentry/mm/uaccess.h"

#define LIMIT_PAGES 512u

static struct curr g_self;

static uaddr_t map(struct mm *mm, uint64_t pages, uint32_t flags)
{
    struct mmap_args a = {
        .size = pages * LX_PAGE_SIZE, .prot = 3, .flags = flags | LX_MAP_ANONYMOUS};
    int64_t at = mm_mmap(mm, &a);

    assert_true(at > 0);
    return (uaddr_t)at;
}

static int fault(struct mm *mm, uaddr_t addr)
{
    struct platform_event ev = {
        .kind = PLATFORM_FAULT, .fault_addr = addr, .fault_access = PLATFORM_ACCESS_WRITE};
    int code;

    return mm_handle_fault(mm, &ev, NULL, &code);
}

static uint64_t used(void)
{
    struct memfile_stats st;

    memfile_stats(&st);
    return (st.used[MEMFILE_ANON] + st.used[MEMFILE_TMPFS]) / LX_PAGE_SIZE;
}

/* Touches pages until memory is out; returns how many worked. */
static uint64_t exhaust(struct mm *mm, uaddr_t at, uint64_t pages)
{
    uint64_t i;

    for (i = 0; i < pages; i++) {
        int ret = fault(mm, at + i * LX_PAGE_SIZE);

        if (ret < 0) {
            assert_int_equal(ret, -ENOMEM);
            break;
        }
    }
    return i;
}

static void test_full(void **state)
{
    struct mm *mm, *child = NULL;
    struct platform_ctx *ctx;
    uaddr_t at;
    char c = 1;
    int round;

    (void)state;
    for (round = 0; round < 3; round++) {
        assert_int_equal(mm_new(&mm), 0);
        g_self.mm = mm;
        at = map(mm, LIMIT_PAGES, LX_MAP_PRIVATE | LX_MAP_STACK);
        assert_int_equal(exhaust(mm, at, LIMIT_PAGES), LIMIT_PAGES);
        assert_int_equal(used(), LIMIT_PAGES);
        at = map(mm, 20, LX_MAP_PRIVATE);
        assert_int_equal(fault(mm, at), -ENOMEM);
        assert_int_equal(copy_out(at, &c, 1), -EFAULT);
        assert_int_equal(copy_in(&c, at, 1), -EFAULT);
        assert_int_equal(fault(mm, map(mm, 4, LX_MAP_SHARED)), -ENOMEM);
        mm_put(mm);
        assert_int_equal(used(), 0);
    }
    /* Copy on write without room: the parent's page stays as it is. */
    assert_int_equal(mm_new(&mm), 0);
    g_self.mm = mm;
    at = map(mm, LIMIT_PAGES, LX_MAP_PRIVATE | LX_MAP_STACK);
    assert_int_equal(exhaust(mm, at, LIMIT_PAGES), LIMIT_PAGES);
    assert_int_equal(copy_out(at, "keep", 5), 0);
    assert_int_equal(g_platform_fake_ops.ctx_new(mm_space(mm), NULL, &ctx), 0);
    assert_int_equal(mm_fork(mm, ctx, at, &child), -ENOMEM);
    assert_int_equal(mm_fork(mm, ctx, 0, &child), 0);
    g_platform_fake_ops.ctx_free(ctx);
    assert_int_equal(fault(child, at), -ENOMEM);
    g_self.mm = child;
    assert_int_equal(copy_out(at, "lost", 5), -EFAULT);
    mm_put(child);
    g_self.mm = mm;
    assert_int_equal(copy_out(at + 1, "i", 1), 0);
    mm_put(mm);
    assert_int_equal(used(), 0);
}

static int setup(void **state)
{
    static struct platform *platform;

    (void)state;
    g_curr = &g_self;
    g_self.cred = cred_kernel();
    assert_int_equal(memfile_init(LIMIT_PAGES * LX_PAGE_SIZE), 0);
    assert_int_equal(g_platform_fake_ops.start(NULL, &platform), 0);
    return mm_subsystem_init(&g_platform_fake_ops, platform);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_full),
    };

    return cmocka_run_group_tests(tests, setup, NULL);
}
