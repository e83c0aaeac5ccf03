/* SPDX-License-Identifier: Apache-2.0 */
/* The parser of flag files. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "syscall-table/flagset.h"

static struct flagset g_s;
static char g_errors[1024];

static bool parse(const char *text)
{
    FILE *in = fmemopen((void *)(uintptr_t)text, strlen(text), "r");
    FILE *err = fmemopen(g_errors, sizeof(g_errors), "w");
    bool ok = flagset_parse(&g_s, "f", in, err);

    fclose(in);
    fclose(err);
    return ok;
}

static void test_bits_fields_and_values(void **state)
{
    assert_true(
        parse("# c\nA 1\nB 0x2 # bit\n@field 0x30\nF0 0\nF1 0x10\n@enum\nZ 0\n@bits\nC 0100\n"));
    assert_int_equal(g_s.flag_count, 6);
    assert_int_equal(g_s.flags[1].mask, 2);
    assert_int_equal(g_s.flags[2].value, 0);
    assert_int_equal(g_s.flags[2].mask, 0x30);
    assert_true(g_s.flags[4].mask == UINT64_MAX);
    assert_int_equal(g_s.flags[5].value, 64);
}

static void refused(const char *text, const char *want)
{
    assert_false(parse(text));
    if (!strstr(g_errors, want))
        fail_msg("text: %s\nerrors: %swant: %s", text, g_errors, want);
}

static void test_malformed(void **state)
{
    refused("A\n", "f:1: not");
    refused("A x\n", "not \"NAME value\"");
    refused("A 1 2\n", "text after");
    refused("A -1\n", "not \"NAME value\"");
    refused("A 99999999999999999999\n", "not \"NAME value\"");
    refused("a 1\n", "name of a constant");
    refused("A 0\n", "cannot be 0");
    refused("@field 0x1\nA 2\n", "outside its field");
    refused("@field\n", "needs a mask");
    refused("@field 0\n", "needs a mask");
    refused("A 1\nA 2\n", "f:2: this name");
    refused("A 1\nB 1\n", "f:2: this value");
    refused("# nothing\n", "no flags");
    refused("A 1", "not ended");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bits_fields_and_values),
        cmocka_unit_test(test_malformed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
