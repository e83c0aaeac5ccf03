/* SPDX-License-Identifier: Apache-2.0 */
/* How --strace writes numbers, flags, sets and strings. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "sentry/syscalls/strace_args.h"
#include "sentry/syscalls/strace_print.h"
#include "sentry/syscalls/strace_struct.h"

static char g_data[256];
static struct strace_buf g_b = {.data = g_data, .cap = sizeof(g_data)};

static struct strace_buf *fresh(void)
{
    g_b.len = 0;
    g_data[0] = '\0';
    return &g_b;
}

static void test_open_flags(void **state)
{
    sput_flags(fresh(), &strace_flags_open, 02000000);
    assert_string_equal(g_data, "O_RDONLY|O_CLOEXEC");
    sput_flags(fresh(), &strace_flags_open, 0101 | 01000);
    assert_string_equal(g_data, "O_WRONLY|O_CREAT|O_TRUNC");
    sput_flags(fresh(), &strace_flags_open, 04010002);
    assert_string_equal(g_data, "O_RDWR|O_SYNC");
    sput_flags(fresh(), &strace_flags_open, 0x40000000);
    assert_string_equal(g_data, "O_RDONLY|0x40000000");
}

static void test_values_without_a_name(void **state)
{
    sput_flags(fresh(), &strace_flags_wait, 0);
    assert_string_equal(g_data, "0");
    sput_flags(fresh(), &strace_flags_prctl, 0x123456);
    assert_non_null(strstr(g_data, "0x123456 /* prctl_??? */"));
}

static void test_clone_flags(void **state)
{
    sput_flags(fresh(), &strace_flags_clone, 0x1200011);
    assert_string_equal(g_data, "SIGCHLD|CLONE_CHILD_CLEARTID|CLONE_CHILD_SETTID");
}

static void test_strings(void **state)
{
    sput_quoted(fresh(), "a\n\"\\\0001\xff", 7, false);
    assert_string_equal(g_data, "\"a\\n\\\"\\\\\\0001\\377\"");
    sput_quoted(fresh(), "abc", 3, true);
    assert_string_equal(g_data, "\"abc\"...");
}

static void test_signal_sets(void **state)
{
    sput_sigset(fresh(), 0);
    assert_string_equal(g_data, "[]");
    sput_sigset(fresh(), 1u << 1 | 1u << 16);
    assert_string_equal(g_data, "[INT CHLD]");
    sput_sigset(fresh(), ~0ull);
    assert_string_equal(g_data, "~[]");
    sput_sigset(fresh(), ~(1ull << 8));
    assert_string_equal(g_data, "~[KILL]");
}

static void test_modes(void **state)
{
    sput_mode(fresh(), 0100644);
    assert_string_equal(g_data, "S_IFREG|0644");
    sput_mode(fresh(), 0644);
    assert_string_equal(g_data, "0644");
    sput_mode(fresh(), 0);
    assert_string_equal(g_data, "000");
}

static void test_wait_status(void **state)
{
    sput_wstatus(fresh(), 3 << 8);
    assert_string_equal(g_data, "{WIFEXITED(s) && WEXITSTATUS(s) == 3}");
    sput_wstatus(fresh(), 9);
    assert_string_equal(g_data, "{WIFSIGNALED(s) && WTERMSIG(s) == SIGKILL}");
    sput_wstatus(fresh(), 19 << 8 | 0x7f);
    assert_string_equal(g_data, "{WIFSTOPPED(s) && WSTOPSIG(s) == SIGSTOP}");
}

static void test_results(void **state)
{
    static const struct strace_syscall desc = {.name = "x", .ret = STRACE_RET_INT};
    static const struct strace_syscall addr = {.name = "mmap", .ret = STRACE_RET_UADDR};
    struct strace_call c = {.desc = &desc};

    strace_result_put(fresh(), &c, 3);
    assert_string_equal(g_data, "3");
    strace_result_put(fresh(), &c, -2);
    assert_string_equal(g_data, "-1 ENOENT (No such file or directory)");
    strace_result_put(fresh(), &c, -512);
    assert_string_equal(g_data, "? ERESTARTSYS (To be restarted if SA_RESTART is set)");
    c.desc = &addr;
    strace_result_put(fresh(), &c, 0x7f0000001000);
    assert_string_equal(g_data, "0x7f0000001000");
}

static void test_buffer_stays_in_bounds(void **state)
{
    char small[8];
    struct strace_buf b = {.data = small, .cap = sizeof(small)};

    sprint(&b, "%s", "0123456789");
    assert_string_equal(small, "0123456");
    sput(&b, "more");
    sprint(&b, "%d", 1);
    sputc(&b, 'x');
    assert_string_equal(small, "0123456");
    assert_int_equal(b.len, 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_open_flags),
        cmocka_unit_test(test_values_without_a_name),
        cmocka_unit_test(test_clone_flags),
        cmocka_unit_test(test_strings),
        cmocka_unit_test(test_signal_sets),
        cmocka_unit_test(test_modes),
        cmocka_unit_test(test_wait_status),
        cmocka_unit_test(test_results),
        cmocka_unit_test(test_buffer_stays_in_bounds),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
