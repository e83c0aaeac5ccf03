/* SPDX-License-Identifier: Apache-2.0 */
/* The table parser: what a row means, and that every sloppy row is refused with its line number. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "platform/base/compiler.h"
#include "syscall-table/table.h"

static struct table g_t;
static char g_errors[4096];

static bool parse(const char *text)
{
    FILE *in = fmemopen((void *)(uintptr_t)text, strlen(text), "r");
    FILE *err = fmemopen(g_errors, sizeof(g_errors), "w");
    bool ok;

    assert_non_null(in);
    assert_non_null(err);
    ok = table_parse(&g_t, "t", in, err);
    fclose(in);
    fclose(err);
    return ok;
}

/* The text is one row; it must be refused with an error that contains want. */
static void refused(const char *row, const char *want)
{
    char text[2048];

    snprintf(text, sizeof(text), "@numbers 0-0\n%s\n", row);
    assert_false(parse(text));
    if (!strstr(g_errors, want) || strncmp(g_errors, "t:2: ", 5) != 0)
        fail_msg("row: %s\nerrors: %swant: %s", row, g_errors, want);
}

static void test_row_fields(void **state)
{
    assert_true(
        parse("# comment\n@numbers 0-1\n"
              "0 read impl fd:fd ptr(bytes,out,ret):buf size:count -> ssize block,restart fs "
              "\"-\"\n"
              "  1 x_2 stub(-EPERM) ptr(iovec,in,n):v ulong:n int(open):flags -> none - fs "
              "\"because\"  \n"));
    assert_int_equal(g_t.row_count, 2);
    assert_string_equal(g_t.rows[0].name, "read");
    assert_int_equal(g_t.rows[0].status, STATUS_IMPL);
    assert_int_equal(g_t.rows[0].arg_count, 3);
    assert_int_equal(g_t.rows[0].args[0].type, ARG_FD);
    assert_int_equal(g_t.rows[0].args[1].dir, DIR_OUT);
    assert_int_equal(g_t.rows[0].args[1].count, COUNT_RET);
    assert_int_equal(g_t.rows[0].attrs, ATTR_BLOCK | ATTR_RESTART);
    assert_string_equal(g_t.rows[0].note, "");
    assert_int_equal(g_t.rows[1].status, STATUS_STUB);
    assert_string_equal(g_t.rows[1].stub_errno, "EPERM");
    assert_int_equal(g_t.rows[1].args[0].count, 1);
    assert_string_equal(g_t.rows[1].args[2].hint, "open");
    assert_string_equal(g_t.rows[1].note, "because");
}

static void test_void_has_no_arguments(void **state)
{
    assert_true(parse("@numbers 0-0\n0 getpid impl void -> pid - process \"-\"\n"));
    assert_int_equal(g_t.rows[0].arg_count, 0);
}

static void test_malformed_rows(void **state)
{
    refused("0 a impl void -> int - fs", "note");
    refused("0 a impl void -> int - fs \"x\" y", "text after the note");
    refused("0 a impl void -> int - fs \"\"", "empty");
    refused("0 a impl void -> int - fs \"a|b\"", "has |");
    refused("0 a impl -> int - fs \"-\"", "not \"number");
    refused("0 a impl void -> int - \"-\"", "not \"number");
    refused("0 a impl void int - fs \"-\"", "not \"number");
    refused("x a impl void -> int - fs \"-\"", "not a system call number");
    refused("00 a impl void -> int - fs \"-\"", "not a system call number");
    refused("-1 a impl void -> int - fs \"-\"", "not a system call number");
    refused("0 Read impl void -> int - fs \"-\"", "not a name");
    refused("0 a done void -> int - fs \"-\"", "status \"done\"");
    refused("0 a stub(ENOSYS) void -> int - fs \"-\"", "status");
    refused("0 a stub(-Enosys) void -> int - fs \"x\"", "errno name");
    refused("0 a stub(-ENOSYS) void -> int - fs \"-\"", "needs a note");
    refused("0 a partial void -> int - fs \"-\"", "needs a note");
    refused("0 a impl void -> int sleepy fs \"-\"", "attribute");
    refused("0 a impl void -> int restart fs \"-\"", "restart without block");
    refused("0 a impl void -> thing - fs \"-\"", "result kind");
    refused("0 a impl void -> int - Fs \"-\"", "not a name");
    refused("0 a impl void\t-> int - fs \"-\"", "byte 0x09");
    refused("0 \xc3\xa4 impl void -> int - fs \"-\"", "byte 0xc3");
}

static void test_malformed_arguments(void **state)
{
    refused("0 a impl fd -> int - fs \"-\"", "is not type:name");
    refused("0 a impl float:x -> int - fs \"-\"", "argument type");
    refused("0 a impl fd:fd fd:fd -> int - fs \"-\"", "two arguments");
    refused("0 a impl int():x -> int - fs \"-\"", "type(hint):name");
    refused("0 a impl int(open:x -> int - fs \"-\"", "type(hint):name");
    refused("0 a impl ptr:x -> int - fs \"-\"", "needs a kind");
    refused("0 a impl ptr(nothing):x -> int - fs \"-\"", "pointer kind");
    refused("0 a impl ptr(stat,back):x -> int - fs \"-\"", "direction");
    refused("0 a impl ptr(bytes,in,n):x -> int - fs \"-\"", "no other argument");
    refused("0 a impl ptr(bytes,in,x):x -> int - fs \"-\"", "no other argument");
    refused("0 a impl ptr(bytes,in,N):x -> int - fs \"-\"", "not an argument name");
    refused("0 a impl int:a int:b int:c int:d int:e int:f int:g -> int - fs \"-\"",
            "more than 6 arguments");
}

#define ROW(nr, name) nr " " name " impl void -> int - fs \"-\"\n"

static void test_numbers(void **state)
{
    assert_true(parse("@numbers 0-1 5-5\n" ROW("0", "a") ROW("1", "b") ROW("5", "c")));
    assert_false(parse("@numbers 0-2\n" ROW("0", "a") ROW("2", "c")));
    assert_non_null(strstr(g_errors, "number 1 has no row"));
    assert_false(parse("@numbers 0-0\n" ROW("0", "a") ROW("1", "b")));
    assert_non_null(strstr(g_errors, "number 1 is outside"));
    assert_false(parse("@numbers 0-1\n" ROW("0", "a") ROW("0", "b")));
    assert_non_null(strstr(g_errors, "t:3: number 0 is already in line 2"));
    assert_false(parse("@numbers 0-1\n" ROW("0", "a") ROW("1", "a")));
    assert_non_null(strstr(g_errors, "name \"a\" is already"));
    assert_false(parse("@numbers 0-1\n" ROW("1", "b") ROW("0", "a")));
    assert_non_null(strstr(g_errors, "out of order"));
    assert_false(parse(ROW("0", "a")));
    assert_non_null(strstr(g_errors, "no @numbers"));
    assert_false(parse("@numbers 3-1\n"));
    assert_false(parse("@numbers 0-3 2-5\n"));
    assert_false(parse("@numbers 0-0\n@numbers 1-1\n" ROW("0", "a")));
}

static void test_odd_files(void **state)
{
    char long_line[3000];

    memset(long_line, '#', sizeof(long_line));
    long_line[sizeof(long_line) - 1] = '\0';
    assert_false(parse(long_line));
    assert_false(parse("@numbers 0-0\n0 a impl void -> int - fs \"-\"")); /* no line end */
    assert_false(parse("\n"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_row_fields),     cmocka_unit_test(test_void_has_no_arguments),
        cmocka_unit_test(test_malformed_rows), cmocka_unit_test(test_malformed_arguments),
        cmocka_unit_test(test_numbers),        cmocka_unit_test(test_odd_files),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
