/* SPDX-License-Identifier: Apache-2.0 */
/* The ptrace back end through the platform contract. */
#define CONTRACT_MAPPINGS_MAX 2
#include "platform/ptrace/ptrace_internal.h"
#include "tests/support/platform_contract.h"

extern const struct platform_ops g_platform_ptrace_ops;
const struct platform_ops *const ops = &g_platform_ptrace_ops;

pid_t backend_pid(struct platform_ctx *c)
{
    return atomic_load(&c->host_pid);
}

bool backend_int_is_illegal(struct platform *p)
{
    (void)p;
    return false;
}

bool backend_many_threads(void)
{
    return false;
}

uaddr_t backend_stub_start(struct platform *p)
{
    return p->stub_base;
}

uaddr_t backend_stub_end(struct platform *p)
{
    return p->stub_base + STUB_SIZE;
}

/* The stub's code makes guest system calls like any other code when a guest jumps there, and its
 * pages cannot be written. */
void test_hostile(void)
{
    struct platform_space *s;
    struct platform_ctx *c = fresh(&s);
    struct platform_event ev;
    struct lx_regs r = entry(guest_jump, 0, 0);

    r.rdi = g_stub_entry.call;
    r.rax = SYS_munmap;
    expect(c, &r, PLATFORM_SYSCALL, &ev);
    assert_int_equal(r.orig_rax, SYS_munmap);
    assert_int_equal(r.rip, g_stub_entry.call_end - 1);
    r = entry(guest_store, g_p->stub_base, 1);
    expect(c, &r, PLATFORM_FAULT, &ev);
    r = entry(guest_store, g_p->stub_base + STUB_REQUEST_OFF, 1);
    expect(c, &r, PLATFORM_FAULT, &ev);
    assert_int_equal(ops->space_map(s, g_p->stub_base, PAGE, PROT_READ, g_mem, 0, 0), -EINVAL);
    assert_int_equal(ops->space_unmap(s, g_p->stub_base - PAGE, 2 * PAGE), -EINVAL);
    assert_int_equal(ops->space_unmap(s, DATA, (size_t)-PAGE), -EINVAL);
    ops->ctx_free(c);
    ops->space_free(s);
}

int main(void)
{
    return contract_main();
}
