/* SPDX-License-Identifier: Apache-2.0 */
/* The kvm back end through the platform contract. */
#define CONTRACT_NO_PROCESSES
#define CONTRACT_MORE(X)                                                                           \
    X(test_few_vcpus)                                                                              \
    X(test_tables_recycled)                                                                        \
    X(test_tables_bounded) X(test_auto) X(test_bus) X(test_exec_bit) X(test_fd_reused)
#include "platform/kvm/kvm_internal.h"
#include "tests/support/platform_contract.h"

#include <fcntl.h>

const struct platform_ops *const ops = &g_platform_kvm_ops;

pid_t backend_pid(struct platform_ctx *c)
{
    (void)c;
    return 0;
}

/* Where KVM is software. */
bool backend_int_is_illegal(struct platform *p)
{
    return p->call_faults;
}

bool backend_many_threads(void)
{
    return true;
}

uaddr_t backend_stub_start(struct platform *p)
{
    return p->high;
}

uaddr_t backend_stub_end(struct platform *p)
{
    return UINT64_MAX;
}

/* Ring 0 is out of reach: its pages cannot be read, written or jumped to. */
void test_hostile(void)
{
    static const uaddr_t places[] = {
        KERNEL_CODE, KERNEL_CODE + ENTRY_SYSCALL32,  KERNEL_CODE + ENTRY_VECTOR, KERNEL_IDT,
        KERNEL_CPUS, KERNEL_CPUS + CPU_STACK_TOP - 8};
    struct platform_space *s;
    struct platform_ctx *c = fresh(&s);
    struct platform_event ev;
    struct lx_regs r;

    for (size_t i = 0; i < ARRAY_COUNT(places); i++) {
        r = entry(guest_store, places[i], 1);
        expect(c, &r, PLATFORM_FAULT, &ev);
        assert_int_equal(ev.fault_addr, places[i]);
        assert_int_equal(ev.fault_access, PLATFORM_ACCESS_WRITE);
        r = entry(guest_load, places[i], 0);
        expect(c, &r, PLATFORM_FAULT, &ev);
        if (places[i] == KERNEL_CODE)
            continue;
        r = entry(guest_jump, places[i], 0);
        expect(c, &r, PLATFORM_FAULT, &ev);
        assert_int_equal(ev.fault_access, PLATFORM_ACCESS_EXEC);
    }
    /* The entry of calls: a fault, or where a call looks like that, a call of the guest's making. */
    r = entry(guest_jump, KERNEL_CODE, 0);
    r.rcx = at(guest_calls);
    r.rax = SYS_munmap;
    assert_int_equal(ops->ctx_run(c, &r, &ev), 0);
    assert_true(ev.kind == PLATFORM_FAULT ||
                (ev.kind == PLATFORM_SYSCALL && r.rip == at(guest_calls)));
    assert_int_equal(ops->space_map(s, KERNEL_CODE, PAGE, PROT_READ, g_mem, 0, 0), -EINVAL);
    assert_int_equal(ops->space_map(s, g_p->high, PAGE, PROT_READ, g_mem, 0, 0), -EINVAL);
    assert_int_equal(ops->space_unmap(s, g_p->high - PAGE, 2 * PAGE), -EINVAL);
    assert_int_equal(ops->space_unmap(s, DATA, (size_t)-PAGE), -EINVAL);
    ops->ctx_free(c);
    ops->space_free(s);
}

struct runner {
    pthread_t thread;
    struct platform_ctx *c;
    struct lx_regs regs;
    unsigned calls;
    bool spins;
};

static void *runner_main(void *arg)
{
    struct runner *t = arg;
    struct platform_event ev;

    for (unsigned i = 0; i < t->calls; i++) {
        t->regs.rsi = i + 1;
        assert_int_equal(ops->ctx_run(t->c, &t->regs, &ev), 0);
        assert_int_equal(ev.kind, t->spins ? PLATFORM_INTERRUPTED : PLATFORM_SYSCALL);
        ops->ctx_regs_pull(t->c, &t->regs);
        assert_true(t->spins || i == 0 || t->regs.rdi == i); /* xmm7 is its own */
    }
    ops->ctx_free(t->c);
    return NULL;
}

/* More threads than virtual CPUs: each has its own registers, and one that computes gives way. */
void test_few_vcpus(void)
{
    struct platform_space *s;
    struct platform_ctx *first;
    struct runner t[6];

    g_p->vcpus_max = 2;
    first = fresh(&s);
    for (unsigned i = 0; i < ARRAY_COUNT(t); i++) {
        const bool spins = i < 2;

        t[i] = (struct runner){
            .calls = spins ? 1 : 50,
            .spins = spins,
            .regs = entry(spins ? guest_count : guest_fpu, spins ? DATA + 8 * i : 0, 1)};
        assert_int_equal(ops->ctx_new(s, NULL, &t[i].c), 0);
        pthread_create(&t[i].thread, NULL, runner_main, &t[i]);
        while (spins && *data_word(0, i) < 1000) /* both have one */
            usleep(1000);
    }
    for (unsigned i = 2; i < ARRAY_COUNT(t); i++)
        pthread_join(t[i].thread, NULL);
    assert_int_equal(atomic_load(&g_p->vcpu_count), 2);
    for (unsigned i = 0; i < 2; i++) {
        ops->ctx_interrupt(t[i].c);
        pthread_join(t[i].thread, NULL);
    }
    ops->ctx_free(first);
    ops->space_free(s);
}

/* Tables of spaces that ended are used again, and nothing of theirs shows: the same places of every
 * space have another page each time, while a thread computes. */
void test_tables_recycled(void)
{
    enum { ROUNDS = 1200 };
    struct platform_space *s, *busy;
    struct platform_ctx *c, *b = fresh(&busy);
    struct runner t = {.c = b, .calls = 1, .spins = true, .regs = entry(guest_count, DATA, 0)};
    struct platform_event ev;
    struct lx_regs r;
    uint32_t end;

    pthread_create(&t.thread, NULL, runner_main, &t);
    end = 0;
    for (unsigned i = 0; i < ROUNDS; i++) {
        c = fresh(&s);
        *data_word(8 + i % 32, 0) = i;
        assert_int_equal(ops->space_map(s, 0x7f0000000000, PAGE, PROT_READ, g_mem,
                                        (uint64_t)(1 + 8 + i % 32) * PAGE, 0),
                         0);
        r = entry(guest_compare, 0x7f0000000000, i);
        expect(c, &r, PLATFORM_SYSCALL, &ev);
        assert_int_equal(r.rdx, 1);
        /* A place that only others had. */
        r = entry(guest_load, 0x7f0000000000 + PAGE * (1 + i % 7), 0);
        expect(c, &r, PLATFORM_FAULT, &ev);
        ops->ctx_free(c);
        ops->space_free(s);
        if (i == ROUNDS / 2)
            end = g_p->table_end;
    }
    assert_int_equal(g_p->table_end, end);
    ops->ctx_interrupt(b);
    pthread_join(t.thread, NULL);
    ops->space_free(busy);
}

/* One page in each 2 MiB, all over the address space and taken away again: tables stay behind, but not for
 * ever. */
void test_tables_bounded(void)
{
    struct platform_space *s;
    struct platform_ctx *c = fresh(&s);
    struct platform_event ev;
    struct lx_regs r;

    for (uint64_t i = 0; i < 3 * TABLES_LOOSE_MAX; i++) {
        const uaddr_t addr = 0x100000000 + i * UNIT_SIZE;

        assert_int_equal(ops->space_map(s, addr, PAGE, PROT_READ, g_mem, 2 * PAGE, 0), 0);
        assert_int_equal(ops->space_unmap(s, addr, PAGE), 0);
    }
    assert_true(s->table_count <= TABLES_LOOSE_MAX + 16);
    r = entry(guest_load, 0x100000000, 0);
    if (ops->ctx_run(c, &r, &ev) == 0 && ev.kind == PLATFORM_FAULT &&
        align_down(ev.fault_addr, PAGE) == CODE)
        map_standard(s); /* a space is a cache */
    r = entry(guest_load, 0x100000000, 0);
    expect(c, &r, PLATFORM_FAULT, &ev);
    assert_int_equal(ev.fault_addr, 0x100000000);
    ops->ctx_free(c);
    ops->space_free(s);
}

/* auto tries it, and goes on where a call is dear. */
void test_auto(void)
{
    struct platform *p = NULL;
    int ret = ops->start(
        &(struct platform_config){.device = g_device < 0 ? -1 : dup(g_device), .fallback = true},
        &p);

    assert_int_equal(ret, g_p->call_faults ? -EOPNOTSUPP : 0);
    if (p)
        ops->stop(p);
}

/* A file that becomes shorter under a mapping: the place is told, and what remains is there. */
void test_bus(void)
{
    struct platform_space *s;
    struct platform_ctx *c = fresh(&s);
    struct platform_event ev;
    struct lx_regs r;
    int fd = memfd_create("short", 0);

    assert_int_equal(ftruncate(fd, 3 * PAGE), 0);
    assert_int_equal(ops->space_map(s, 0x20000000, 3 * PAGE, PROT_READ | PROT_WRITE, fd, 0, 0), 0);
    r = entry(guest_store, 0x20000000 + 2 * PAGE, 5);
    expect(c, &r, PLATFORM_SYSCALL, &ev);
    assert_int_equal(ftruncate(fd, PAGE), 0);
    r = entry(guest_store, 0x20000000 + 2 * PAGE, 6);
    expect(c, &r, PLATFORM_FAULT, &ev);
    assert_true(ev.fault_bus);
    assert_int_equal(ev.fault_addr, 0x20000000 + 2 * PAGE);
    assert_int_equal(r.rsi, 6);
    r = entry(guest_store, 0x20000000, 7);
    expect(c, &r, PLATFORM_SYSCALL, &ev);
    close(fd);
    ops->ctx_free(c);
    ops->space_free(s);
}

/* Pages without the right to run do not, and read-only files stay read-only when the space asks for more. */
void test_exec_bit(void)
{
    struct platform_space *s;
    struct platform_ctx *c = fresh(&s);
    struct platform_event ev;
    struct lx_regs r = entry(guest_jump, DATA, 0);
    char path[64];
    int fd;

    expect(c, &r, PLATFORM_FAULT, &ev);
    assert_int_equal(ev.fault_access, PLATFORM_ACCESS_EXEC);
    assert_int_equal(ev.code, SEGV_ACCERR);
    snprintf(path, sizeof(path), "/proc/self/fd/%d", memfd_create("ro", 0));
    assert_int_equal(truncate(path, PAGE), 0);
    fd = open(path, O_RDONLY);
    assert_true(fd >= 0);
    assert_int_equal(ops->space_map(s, 0x20000000, PAGE, PROT_READ, fd, 0, 0), 0);
    r = entry(guest_load, 0x20000000, 0);
    expect(c, &r, PLATFORM_SYSCALL, &ev);
    assert_int_equal(ops->space_protect(s, 0x20000000, PAGE, PROT_READ | PROT_WRITE), 0);
    r = entry(guest_store, 0x20000000, 1);
    expect(c, &r, PLATFORM_FAULT, &ev);
    assert_int_equal(ev.fault_access, PLATFORM_ACCESS_WRITE);
    close(fd);
    ops->ctx_free(c);
    ops->space_free(s);
}

/* The number of a descriptor that was closed names another file. */
void test_fd_reused(void)
{
    struct platform_space *s, *other;
    struct platform_ctx *c = fresh(&s);
    struct platform_event ev;
    struct lx_regs r;
    int fd = -1;

    assert_int_equal(ops->space_new(g_p, &other), 0);
    for (uint64_t i = 1; i < 20; i++) {
        const int was = fd;

        fd = memfd_create("one of many", 0);
        assert_true(was < 0 || fd == was);
        assert_int_equal(ftruncate(fd, PAGE), 0);
        assert_int_equal(pwrite(fd, &i, sizeof(i), 0), sizeof(i));
        assert_int_equal(ops->space_map(s, 0x20000000, PAGE, PROT_READ, fd, 0, 0), 0);
        assert_int_equal(ops->space_map(other, 0x20000000, PAGE, PROT_READ, fd, 0, 0), 0);
        r = entry(guest_compare, 0x20000000, i);
        expect(c, &r, PLATFORM_SYSCALL, &ev);
        assert_int_equal(r.rdx, 1);
        assert_int_equal(ops->space_unmap(s, 0x20000000, PAGE), 0);
        ops->space_barrier(s);
        assert_int_equal(ops->space_clear(other), 0);
        close(fd);
    }
    ops->ctx_free(c);
    ops->space_free(other);
    ops->space_free(s);
}

int main(void)
{
    if (access("/dev/kvm", R_OK | W_OK) < 0) {
        printf("skipped: /dev/kvm: %s\n", strerror(errno));
        return 77;
    }
    return contract_main();
}
