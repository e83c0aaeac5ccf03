/* SPDX-License-Identifier: Apache-2.0 */
/* Cursors never leave their bytes, and an overrun sticks. Also lists and reference counts. */
#include "platform/base/rbuf.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "platform/base/list.h"
#include "platform/base/refs.h"

static void test_rbuf_bounds(void **state)
{
    const uint8_t bytes[7] = {1, 2, 0, 4, 0, 0, 0};
    struct rbuf b;

    (void)state;
    rbuf_init(&b, bytes, sizeof(bytes));
    assert_int_equal(rbuf_u8(&b), 1);
    assert_int_equal(rbuf_u16(&b), 2);
    assert_int_equal(rbuf_left(&b), 4);
    assert_int_equal(rbuf_u32(&b), 4);
    assert_true(rbuf_ok_at_end(&b));
    assert_int_equal(rbuf_u8(&b), 0);
    assert_true(b.bad);
    assert_false(rbuf_ok_at_end(&b));
    rbuf_init(&b, bytes, sizeof(bytes));
    assert_null(rbuf_bytes(&b, SIZE_MAX));
    assert_int_equal(rbuf_u8(&b), 0); /* the failure sticks although a byte would be there */
    assert_int_equal(rbuf_left(&b), 0);
}

static void test_wbuf_bounds(void **state)
{
    uint8_t bytes[6];
    struct wbuf b;
    void *later;

    (void)state;
    wbuf_init(&b, bytes, sizeof(bytes));
    later = wbuf_reserve(&b, 2);
    assert_non_null(later);
    wbuf_u32(&b, 0x04030201);
    assert_false(b.bad);
    memcpy(later, "ab", 2);
    assert_memory_equal(bytes, "ab\1\2\3\4", 6);
    wbuf_u8(&b, 1);
    assert_true(b.bad);
    assert_int_equal(b.off, 6);
}

struct item {
    struct list node;
    int value;
};

static void test_list(void **state)
{
    struct list a = LIST_INIT(a), b = LIST_INIT(b);
    struct item items[4], *it, *tmp;
    int sum = 0;

    (void)state;
    for (int i = 0; i < 4; i++) {
        items[i].value = i;
        list_add_tail(i < 2 ? &a : &b, &items[i].node);
    }
    list_splice_tail(&a, &b);
    assert_true(list_empty(&b));
    list_for_each_entry(it, &a, node) {
        assert_int_equal(it->value, sum++);
    }
    list_for_each_entry_safe(it, tmp, &a, node) {
        list_del(&it->node);
        list_del(&it->node); /* idempotent */
    }
    assert_true(list_empty(&a));
}

static void test_refs(void **state)
{
    struct refs r;

    (void)state;
    refs_init(&r);
    refs_get(&r);
    assert_false(refs_put(&r));
    assert_true(refs_get_not_zero(&r));
    assert_false(refs_put(&r));
    assert_true(refs_put(&r));
    assert_false(refs_get_not_zero(&r));
}

static void test_refs_underflow_dies(void **state)
{
    int status;
    pid_t pid = fork();

    (void)state;
    if (pid == 0) {
        struct refs r;

        signal(SIGABRT, SIG_DFL);
        close(STDERR_FILENO);
        refs_init(&r);
        if (refs_put(&r) && refs_put(&r))
            _exit(1);
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rbuf_bounds),
        cmocka_unit_test(test_wbuf_bounds),
        cmocka_unit_test(test_list),
        cmocka_unit_test(test_refs),
        cmocka_unit_test(test_refs_underflow_dies),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
