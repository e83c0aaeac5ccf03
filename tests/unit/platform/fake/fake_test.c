/* SPDX-License-Identifier: Apache-2.0 */
/* The fake back end: its record of mappings and its scripted events. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "platform/fake/fake.h"

enum { PAGE = 4096, BASE = 0x100000 };

static void test_mappings(void **state)
{
    const struct platform_ops *ops = &g_platform_fake_ops;
    int fd = memfd_create("fake", 0);
    struct platform *p;
    struct platform_space *s, *child;
    struct platform_ctx *c;
    struct fake_mapping m;
    char text[] = "across a page", back[sizeof(text)];

    (void)state;
    assert_int_equal(ftruncate(fd, 16 * PAGE), 0);
    assert_int_equal(ops->start(NULL, &p), 0);
    assert_int_equal(ops->space_new(p, &s), 0);
    assert_int_equal(ops->ctx_new(s, NULL, &c), 0);
    assert_int_equal(ops->space_map(s, BASE, 4 * PAGE, PROT_READ | PROT_WRITE, fd, 0, 0), 0);
    assert_int_equal(
        ops->space_map(s, BASE + 4 * PAGE, PAGE, PROT_READ | PROT_WRITE, fd, 4 * PAGE, 0), 0);
    assert_int_equal(fake_space_count(s), 1);
    assert_int_equal(fake_space_write(s, BASE + PAGE - 4, text, sizeof(text)), 0);
    assert_int_equal(fake_space_read(s, BASE + PAGE - 4, back, sizeof(back)), 0);
    assert_string_equal(text, back);
    assert_int_equal(ops->space_protect(s, BASE + PAGE, PAGE, PROT_READ), 0);
    assert_int_equal(fake_space_count(s), 3);
    assert_int_equal(fake_space_write(s, BASE + PAGE - 4, text, sizeof(text)), -EFAULT);
    assert_int_equal(ops->space_clone(s, c, &child), 0);
    assert_int_equal(ops->space_unmap(s, BASE + 2 * PAGE, PAGE), 0);
    assert_false(fake_space_find(s, BASE + 2 * PAGE, &m));
    assert_true(fake_space_find(s, BASE + 3 * PAGE, &m));
    assert_int_equal(m.offset + (BASE + 3 * PAGE - m.start), 3 * PAGE);
    assert_true(fake_space_find(child, BASE + 2 * PAGE, &m));
    assert_int_equal(ops->space_map(s, BASE, 1, PROT_READ, fd, 0, 0), -EINVAL);
    assert_int_equal(ops->space_clear(s), 0);
    assert_int_equal(fake_space_count(s), 0);
    ops->ctx_free(c);
    ops->space_free(child);
    ops->space_free(s);
    ops->stop(p);
    close(fd);
}

static void test_events(void **state)
{
    const struct platform_ops *ops = &g_platform_fake_ops;
    struct lx_regs regs = {0}, want = {.orig_rax = 39, .rdi = 5, .rbx = 7};
    struct platform *p;
    struct platform_space *s;
    struct platform_ctx *c;
    struct platform_event ev;

    (void)state;
    assert_int_equal(ops->start(NULL, &p), 0);
    assert_int_equal(ops->space_new(p, &s), 0);
    assert_int_equal(ops->ctx_new(s, NULL, &c), 0);
    assert_int_equal(
        fake_ctx_push(c, &(struct fake_step){.event.kind = PLATFORM_SYSCALL, .regs = &want}), 0);
    ops->ctx_interrupt(c);
    assert_int_equal(ops->ctx_run(c, &regs, &ev), 0);
    assert_int_equal(ev.kind, PLATFORM_INTERRUPTED);
    assert_int_equal(ops->ctx_run(c, &regs, &ev), 0);
    assert_int_equal(ev.kind, PLATFORM_SYSCALL);
    assert_int_equal(regs.orig_rax, 39);
    assert_int_equal(regs.rdi, 5);
    assert_int_not_equal(regs.rbx, 7); /* hidden until asked for */
    regs.rax = 1;
    regs.rdi = 6;
    ops->ctx_regs_pull(c, &regs);
    assert_int_equal(regs.rbx, 7);
    assert_int_equal(regs.rdi, 6);
    assert_int_equal(
        fake_ctx_push(c, &(struct fake_step){.event.kind = PLATFORM_SYSCALL, .regs = &want}), 0);
    assert_int_equal(ops->ctx_run(c, &regs, &ev), 0);
    regs.rdi = 8; /* not taken: nobody pulled */
    regs.rax = 2;
    assert_int_equal(ops->ctx_run(c, &regs, &ev), 0);
    assert_int_equal(ev.kind, PLATFORM_DEAD);
    assert_int_equal(regs.rdi, 5);
    assert_int_equal(regs.rax, 2);
    ops->ctx_free(c);
    ops->space_free(s);
    ops->stop(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mappings),
        cmocka_unit_test(test_events),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
