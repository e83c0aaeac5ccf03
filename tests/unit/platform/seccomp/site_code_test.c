/* SPDX-License-Identifier: Apache-2.0 */
/* Machine code at call sites: what is found to be replaceable, and what is not; what is written. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "platform/seccomp/layout.h"
#include "platform/seccomp/site_code.h"

enum { PAGE = 4096, AT = 256 };
#define PAGE_ADDR 0x555500001000ul

static uint8_t g_code[PAGE];

/* Puts before and after around a system call at AT; finds the form. */
static bool find(const char *before, size_t before_len, const char *after, size_t after_len,
                 uint32_t nr, struct site_form *out)
{
    memset(g_code, 0x90, sizeof(g_code)); /* single no-ops are no padding that is known */
    memcpy(g_code + AT - before_len, before, before_len);
    memcpy(g_code + AT, "\x0f\x05", 2);
    memcpy(g_code + AT + 2, after, after_len);
    return site_find_form(g_code, AT, nr, out);
}
#define FIND(before, after, nr, out)                                                               \
    find(before, sizeof(before) - 1, after, sizeof(after) - 1, nr, out)

#define RET   "\xc3"
#define NOP5  "\x0f\x1f\x44\x00\x00"
#define NOP6  "\x66\x0f\x1f\x44\x00\x00"
#define NOP8  "\x0f\x1f\x84\x00\x00\x00\x00\x00"
#define NOP10 "\x66\x2e\x0f\x1f\x84\x00\x00\x00\x00\x00"
#define XOR   "\x31\xc0"                 /* xor %eax, %eax */
#define CMP   "\x48\x3d\x00\xf0\xff\xff" /* cmp $-4096, %rax */
#define CMP8  "\x48\x83\xf8\xfc"         /* cmp $-4, %rax */
#define JA    "\x77\x4e"
#define JAE   "\x0f\x83\x10\x20\x00\x00"

static void test_loads(void **state)
{
    struct site_form f;

    (void)state;
    assert_true(FIND("\xb8\x48\x00\x00\x00", RET, 72, &f)); /* mov $72, %eax */
    assert_true(f.at == AT - 5 && f.length == 5 && f.pad == f.at && f.sets_nr);
    assert_true(FIND("\x48\xc7\xc0\x48\x00\x00\x00", RET, 72, &f)); /* mov $72, %rax */
    assert_true(f.at == AT - 7 && f.length == 7 && f.pad == f.at && f.sets_nr);
    assert_false(FIND("\xb8\x48\x00\x00\x00", RET, 73, &f)); /* loads another number */
    /* The end of mov $.., %r8d. */
    assert_false(FIND("\x41\xb8\x48\x00\x00\x00", RET, 72, &f));
    assert_true(FIND("\x4c\x8b\x4c\x24\x08", RET, 1, &f)); /* mov 8(%rsp), %r9 */
    assert_true(f.at == AT - 5 && f.length == 5 && !f.sets_nr);
    assert_true(FIND("\x4c\x89\x5c\x24\x08", RET, 1, &f)); /* mov %r11, 8(%rsp) */
    assert_false(FIND("\x90\x90\x90\x90\x90\x90\x90", RET NOP8, 0, &f));
}

static void test_pads(void **state)
{
    struct site_form f;

    (void)state;
    assert_true(FIND(XOR, RET NOP5, 0, &f));
    assert_true(f.at == AT - 2 && f.length == 2 && f.pad == AT + 3 && f.sets_nr);
    assert_true(FIND(XOR, CMP JA RET NOP6, 0, &f));
    assert_int_equal(f.pad, AT + 2 + 6 + 2 + 1);
    assert_true(FIND(XOR, CMP JAE RET NOP10, 0, &f));
    assert_int_equal(f.pad, AT + 2 + 6 + 6 + 1);
    assert_true(FIND(XOR, CMP8 JA RET NOP8, 0, &f));
    assert_int_equal(f.pad, AT + 2 + 4 + 2 + 1);
    /* mov $72, %eax; mov %r12d, %edx */
    assert_true(FIND("\xb8\x48\x00\x00\x00\x44\x89\xe2", RET NOP5, 72, &f));
    assert_true(f.at == AT - 3 && f.length == 3 && f.pad == AT + 3 && !f.sets_nr);
    /* Go's Syscall6 */
    assert_true(FIND("\x49\x89\xf2\x48\x89\xfa\x48\x89\xce\x48\x89\xdf",
                     "\x48\x3d\x01\xf0\xff\xff\x76\x10\x48\xf7\xd8" RET "\xcc\xcc\xcc\xcc\xcc", 3,
                     &f));
    assert_true(f.length == 3 && f.pad == AT + 14);
}

static void test_no_pads(void **state)
{
    struct site_form f;

    (void)state;
    /* Instructions that end like a return, before no-ops that are run into. */
    assert_false(FIND(XOR, "\x48\x89\xc3" NOP5 RET, 0, &f));     /* mov %rax, %rbx */
    assert_false(FIND(XOR, CMP JA "\x89\xc3" NOP8 RET, 0, &f));  /* mov %eax, %ebx */
    assert_false(FIND(XOR, "\xe9\x00\x00\x00\xc3" NOP5, 0, &f)); /* a jump's distance */
    /* No return on the way that is known. */
    assert_false(FIND(XOR, "\x5b" RET NOP8, 0, &f)); /* pop %rbx */
    assert_false(FIND(XOR, CMP CMP CMP CMP RET NOP8, 0, &f));
    /* A return, but too little after it. */
    assert_false(FIND(XOR, RET "\x66\x90", 0, &f));
    assert_false(FIND(XOR, RET "\x0f\x1f\x40\x00", 0, &f));
    assert_false(FIND("\xb8\x48\x00\x00\x00\x44\x89\xe2", RET NOP5, 73, &f));
    assert_false(FIND("\x90\x90\x90\x90\x90\x90\x31\xd2", RET NOP5, 72, &f)); /* no load seen */
}

static void test_edges(void **state)
{
    struct site_form f;
    uint8_t page[PAGE];

    (void)state;
    memset(page, 0x90, sizeof(page));
    for (unsigned end = 0; end < 8; end++)
        assert_false(site_find_form(page, end, 0, &f));
    assert_false(site_find_form(page, PAGE + 1, 0, &f));
    /* The call itself is on the next page. */
    memcpy(page + PAGE - 5, "\xb8\x48\x00\x00\x00", 5);
    assert_true(site_find_form(page, PAGE, 72, &f));
    memcpy(page + PAGE - 2, XOR, 2);
    assert_false(site_find_form(page, PAGE, 0, &f));
    /* A pad that would end behind the page. */
    memcpy(page + PAGE - 9, XOR "\x0f\x05" RET "\x0f\x1f\x44\x00", 9);
    assert_false(site_find_form(page, PAGE - 7, 0, &f));
    memcpy(page + PAGE - 10, XOR "\x0f\x05" RET NOP5, 10);
    assert_true(site_find_form(page, PAGE - 8, 0, &f));
    assert_int_equal(f.pad, PAGE - 5);
}

/* Whatever bytes: what is found lies in the page and holds together. */
static void test_random(void **state)
{
    static const char *const bits[] = {
        XOR, RET, NOP5, NOP8, CMP, JA, "\xb8\x48\x00\x00\x00", "\x44\x89\xe2", "\x0f\x05"};
    static const size_t sizes[] = {2, 1, 5, 8, 6, 2, 5, 3, 2};
    uint8_t page[PAGE];
    unsigned found = 0;

    (void)state;
    srand(1);
    for (int round = 0; round < 3000; round++) {
        for (unsigned i = 0; i < PAGE;) {
            unsigned k = (unsigned)rand() % 9, n = MIN((unsigned)sizes[k], PAGE - i);

            memcpy(page + i, bits[k], n);
            i += n;
        }
        for (unsigned end = 0; end <= PAGE; end += 1 + (unsigned)rand() % 3) {
            struct site_form f;
            uint8_t version[PAGE];

            if (!site_find_form(page, end, rand() % 2 ? 72 : 0, &f))
                continue;
            found++;
            assert_true(f.length >= 2 && f.length <= SITE_LENGTH_MAX && f.at + f.length == end);
            assert_true(f.pad + SITE_JUMP_SIZE <= PAGE);
            if (f.pad == f.at)
                assert_true(f.length >= SITE_JUMP_SIZE);
            else
                assert_true(f.pad > end + 2 && f.pad - f.at - 2 <= 127);
            memcpy(version, page, PAGE);
            assert_true(site_write_jump(version, page, PAGE_ADDR, &f, PAGE_ADDR + 0x10000));
            /* Twice at one place is refused. */
            assert_false(site_write_jump(version, page, PAGE_ADDR, &f, PAGE_ADDR + 0x10000));
        }
    }
    assert_true(found > 1000);
}

static uaddr_t jump_target(const uint8_t *at, uaddr_t addr)
{
    int32_t rel;

    assert_int_equal(at[0], 0xe9);
    memcpy(&rel, at + 1, sizeof(rel));
    return addr + 5 + (uaddr_t)(int64_t)rel;
}

static void test_jumps(void **state)
{
    struct site_form f;
    uint8_t version[PAGE];

    (void)state;
    assert_true(FIND(XOR, RET NOP5, 0, &f));
    memcpy(version, g_code, PAGE);
    assert_true(site_write_jump(version, g_code, PAGE_ADDR, &f, PAGE_ADDR - 0x4000));
    assert_int_equal(version[f.at], 0xeb);
    assert_int_equal(f.at + 2 + version[f.at + 1], f.pad);
    assert_int_equal(jump_target(version + f.pad, PAGE_ADDR + f.pad), PAGE_ADDR - 0x4000);
    memcpy(version, g_code, PAGE);
    assert_false(site_write_jump(version, g_code, PAGE_ADDR, &f, PAGE_ADDR + (1ul << 32)));
}

static void test_entries(void **state)
{
    uint8_t code[ENTRY_SIZE];
    struct site_entry e = {.at = PAGE_ADDR,
                           .after = PAGE_ADDR + 0x1234,
                           .lane = PAGE_ADDR - 0x1000,
                           .replaced = (const uint8_t *)"\xb8\x48\x00\x00\x00",
                           .length = 5,
                           .answer = -1};

    (void)state;
    assert_true(site_write_entry(code, &e));
    assert_memory_equal(code, e.replaced, 5);
    assert_memory_equal(code + 5, "\x48\x8d\x0d", 3);
    assert_int_equal(jump_target(code + 12, PAGE_ADDR + 12), e.lane);
    e.answer = site_answer_index(39);
    assert_int_equal(e.answer, 0);
    assert_true(site_answer_index(110) < 0); /* getppid changes by what others do */
    assert_true(site_write_entry(code, &e));
    assert_int_equal(jump_target(code + 31, PAGE_ADDR + 31), e.after);
    /* Both conditional jumps lead past the answer. */
    assert_int_equal(code[12], 0x75);
    assert_int_equal(14 + code[13], 36);
    assert_int_equal(28 + code[27], 36);
    e.lane = PAGE_ADDR + (1ul << 33);
    assert_false(site_write_entry(code, &e));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_loads),   cmocka_unit_test(test_pads),
        cmocka_unit_test(test_no_pads), cmocka_unit_test(test_edges),
        cmocka_unit_test(test_random),  cmocka_unit_test(test_jumps),
        cmocka_unit_test(test_entries),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
