/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The platform contract, as every back end that runs guest code must keep it: guest code from a
 * memory file, its events, and address spaces as fork, clone and exec use them. Each test runs in a
 * process of its own, once as the caller and once as an unprivileged user in user and pid
 * namespaces.
 *
 * Included by the test of a back end, which defines before: ops, backend_pid(ctx), the range of its
 * stub's mappings backend_stub_start/end(platform), and test_hostile(). CONTRACT_NO_PROCESSES: the sentry's
 * own threads run guest code, so nobody can kill them one by one.
 */
#pragma once

#include "tests/support/platform_contract_threads.h"
#include "tests/support/platform_run.h"

static void test_syscalls(void)
{
    struct platform_space *s;
    struct platform_ctx *c = fresh(&s);
    struct lx_regs r = entry(guest_calls, 5, 6);
    struct platform_event ev;

    r.r15 = 15;
    r.fs_base = 0x1234000;
    for (int i = 0; i < 3; i++) {
        expect(c, &r, PLATFORM_SYSCALL, &ev);
        assert_int_equal(r.orig_rax, 39);
        assert_int_equal((int64_t)r.rax, -ENOSYS);
        assert_int_equal(r.rdi, 5);
        assert_int_equal(r.r15, 15);
        assert_int_equal(r.fs_base, 0x1234000);
        assert_int_equal(r.rip, at(guest_calls) + 7);
        r.rax = (uint64_t)-513; /* a restart code must mean nothing to the host */
    }
    r.r15 = 16;
    r.gs_base = UINT64_MAX; /* refused by the host, replaced here */
    r.eflags = UINT64_MAX & ~0x100ul;
    expect(c, &r, PLATFORM_SYSCALL, &ev);
    assert_int_equal(r.r15, 16);
    assert_int_equal(r.gs_base, 0);
    ops->ctx_free(c);
    ops->space_free(s);
}

static void test_faults(void)
{
    struct platform_space *s;
    struct platform_ctx *c = fresh(&s);
    struct lx_regs r = entry(guest_load, 0x10000000, 0);
    struct platform_event ev;

    expect(c, &r, PLATFORM_FAULT, &ev);
    assert_int_equal(ev.fault_addr, 0x10000000);
    assert_int_equal(ev.code, SEGV_MAPERR);
    assert_false(ev.fault_bus);
    /* Mapped: the same instruction goes through. */
    *(uint64_t *)(void *)(g_map + 5 * PAGE) = 77;
    assert_int_equal(ops->space_map(s, 0x10000000, PAGE, PROT_READ, g_mem, 5 * PAGE, 0), 0);
    expect(c, &r, PLATFORM_SYSCALL, &ev);
    assert_int_equal(r.orig_rax, 1);
    /* Read-only. */
    r = entry(guest_store, 0x10000008, 99);
    expect(c, &r, PLATFORM_FAULT, &ev);
    assert_int_equal(ev.fault_addr, 0x10000008);
    assert_int_equal(ev.code, SEGV_ACCERR);
    assert_int_equal(ops->space_protect(s, 0x10000000, PAGE, PROT_READ | PROT_WRITE), 0);
    expect(c, &r, PLATFORM_SYSCALL, &ev);
    assert_int_equal(*(uint64_t *)(void *)(g_map + 5 * PAGE + 8), 99);
    /* Beyond the end of the file: SIGBUS. */
    assert_int_equal(ops->space_map(s, 0x20000000, PAGE, PROT_READ, g_mem, 1000 * PAGE, 0), 0);
    r = entry(guest_load, 0x20000000, 0);
    expect(c, &r, PLATFORM_FAULT, &ev);
    assert_true(ev.fault_bus);
    /* A descriptor that cannot be mapped at all. */
    assert_int_equal(ops->space_map(s, 0x30000000, PAGE, PROT_READ, 999, 0, 0), 0);
    r = entry(guest_load, 0x30000000, 0);
    expect(c, &r, PLATFORM_FAULT, &ev);
    assert_true(ev.fault_bus);
    /* Unmapped again. */
    assert_int_equal(ops->space_unmap(s, 0x10000000, PAGE), 0);
    r = entry(guest_load, 0x10000000, 0);
    expect(c, &r, PLATFORM_FAULT, &ev);
    assert_int_equal(ev.code, SEGV_MAPERR);
    assert_false(ev.fault_bus);
    ops->ctx_free(c);
    ops->space_free(s);
}

static void test_exceptions(void)
{
    static const struct {
        const uint8_t *label;
        int signo, code;
    } rows[] = {{guest_int3, SIGTRAP, SI_KERNEL}, {guest_ud, SIGILL, ILL_ILLOPN},
                {guest_div, SIGFPE, FPE_INTDIV},  {guest_gp, SIGSEGV, SI_KERNEL},
                {guest_in, SIGSEGV, SI_KERNEL},   {guest_int80, SIGSEGV, SI_KERNEL}};
    struct platform_space *s;
    struct platform_ctx *c = fresh(&s);
    struct platform_event ev;
    struct lx_regs r;

    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        r = entry(rows[i].label, 0, 0);
        expect(c, &r, PLATFORM_EXCEPTION, &ev);
        if (rows[i].label == guest_int80 && ev.signo == SIGILL && backend_int_is_illegal(g_p))
            continue;
        assert_int_equal(ev.signo, rows[i].signo);
        assert_int_equal(ev.code, rows[i].code);
    }
    /* Single step. */
    r = entry(guest_calls, 0, 0);
    r.eflags |= 0x100;
    expect(c, &r, PLATFORM_EXCEPTION, &ev);
    assert_int_equal(ev.signo, SIGTRAP);
    assert_int_equal(r.rip, at(guest_calls) + 5);
    r.eflags &= ~0x100ul;
    expect(c, &r, PLATFORM_SYSCALL, &ev);
    /* Single step behind a load of ss, into a call: in ring 0 the trap would have the guest's stack (CVE-2018-8897). */
    r = entry(guest_ss, 0, 0);
    for (int i = 0; i < 20; i++) {
        assert_int_equal(ops->ctx_run(c, &r, &ev), 0);
        assert_true(ev.kind == PLATFORM_SYSCALL ||
                    (ev.kind == PLATFORM_EXCEPTION && ev.signo == SIGTRAP));
        ops->ctx_regs_pull(c, &r);
        if (ev.kind == PLATFORM_SYSCALL)
            r.rax = 0;
    }
    /* Registers that make no sense must hurt the guest alone. */
    r = entry(guest_calls, 0, 0);
    r.rip = 0x8000000000000000;
    r.cs = 0x10;
    r.ss = 0;
    r.ds = r.es = r.fs = r.gs = 0x1237;
    assert_int_equal(ops->ctx_run(c, &r, &ev), 0);
    assert_true(ev.kind == PLATFORM_FAULT || ev.kind == PLATFORM_EXCEPTION);
    r = entry(guest_calls, 0, 0);
    expect(c, &r, PLATFORM_SYSCALL, &ev);
    ops->ctx_free(c);
    ops->space_free(s);
}

static void test_vsyscall(void)
{
    struct platform_space *s;
    struct platform_ctx *c = fresh(&s);
    struct platform_event ev;
    struct lx_regs r;

    /* A legacy vsyscall never runs in the host. */
    r = entry(guest_vsyscall, 0, 0);
    assert_int_equal(ops->ctx_run(c, &r, &ev), 0);
    if (ev.kind == PLATFORM_SYSCALL && r.orig_rax != 3) {
        assert_int_equal(r.orig_rax, SYS_time);
        r.rax = 4711;
        expect(c, &r, PLATFORM_SYSCALL, &ev);
        assert_int_equal(r.orig_rax, 3);
    } else {
        assert_int_equal(ev.kind, PLATFORM_FAULT);
    }
    ops->ctx_free(c);
    ops->space_free(s);
}

/* Only the stub's pages exist in a new space. */
static void test_nothing_else_mapped(void)
{
    struct platform_space *s;
    struct platform_ctx *c;
    struct platform_event ev;
    struct lx_regs r = entry(guest_load, 0, 0);
    char path[64], line[256];
    FILE *f;
    int count = 0;

    assert_int_equal(ops->space_new(g_p, &s), 0);
    assert_int_equal(ops->ctx_new(s, NULL, &c), 0);
    expect(c, &r, PLATFORM_FAULT, &ev);
    snprintf(path, sizeof(path), "/proc/%d/maps", backend_pid(c));
    f = fopen(path, "re");
    if (f) {
        while (fgets(line, sizeof(line), f)) {
            unsigned long start = strtoul(line, NULL, 16);

            if (strstr(line, "[vsyscall]"))
                continue;
            assert_true(start >= backend_stub_start(g_p) && start < backend_stub_end(g_p));
            count++;
        }
        fclose(f);
        assert_in_range(count, 1, CONTRACT_MAPPINGS_MAX);
    }
    ops->ctx_free(c);
    ops->space_free(s);
}

static void *interrupter(void *arg)
{
    usleep(20000);
    ops->ctx_interrupt(arg);
    return NULL;
}

static void *spin_interrupter(void *arg)
{
    while (*(volatile uint64_t *)(void *)(g_map + PAGE) == 0) /* guest_spin does not run yet */
        usleep(1000);
    return interrupter(arg);
}

static void test_interrupt(void)
{
    struct platform_space *s;
    struct platform_ctx *c = fresh(&s);
    struct lx_regs r = entry(guest_spin, DATA, 0);
    struct platform_event ev;
    pthread_t t;

    pthread_create(&t, NULL, spin_interrupter, c);
    expect(c, &r, PLATFORM_INTERRUPTED, &ev);
    pthread_join(t, NULL);
    assert_true(*(uint64_t *)(void *)(g_map + PAGE) > 0);
    assert_int_equal(r.orig_rax, UINT64_MAX);
    /* Before the run: the next one returns at once. Idempotent. */
    ops->ctx_interrupt(c);
    ops->ctx_interrupt(c);
    expect(c, &r, PLATFORM_INTERRUPTED, &ev);
    r = entry(guest_calls, 0, 0);
    expect(c, &r, PLATFORM_SYSCALL, &ev);
    /* Signals from outside change nothing. */
    backend_kill(c, SIGTERM);
    backend_kill(c, SIGSEGV);
    backend_kill(c, SIGTRAP);
    backend_kill(c, SIGSTOP);
    backend_kill(c, SIGCONT);
    for (int i = 0; i < 5; i++) {
        expect(c, &r, PLATFORM_SYSCALL, &ev);
        assert_int_equal(r.orig_rax, 39);
    }
    /* Nor does a stop, or a freezer, that takes hold while the sentry has the thread. */
    for (int i = 0; i < 6; i++) {
        assert_int_equal(ops->ctx_run(c, &r, &ev), 0);
        assert_int_equal(ev.kind, PLATFORM_SYSCALL);
        assert_int_equal(r.orig_rax, 39);
        if (i % 3 == 1)
            ops->ctx_regs_pull(c, &r);
        r.rax = 7;
        backend_kill(c, SIGSTOP);
        usleep(2000);
        backend_kill(c, SIGCONT);
        usleep((useconds_t)i * 300);
        if (i % 3 == 2)
            ops->ctx_regs_pull(c, &r);
    }
    ops->ctx_free(c);
    ops->space_free(s);
}

struct storm {
    struct platform_ctx *c;
    atomic_bool stop;
};

static void *storm_main(void *arg)
{
    struct storm *s = arg;

    while (!atomic_load(&s->stop)) {
        ops->ctx_interrupt(s->c);
        sched_yield();
    }
    return NULL;
}

/* Interrupts race with system calls: registers must stay what they are. */
static void test_interrupt_storm(void)
{
    struct platform_space *s;
    struct storm storm = {.c = fresh(&s)};
    struct lx_regs r = entry(guest_calls, 7, 8);
    struct platform_event ev;
    pthread_t t;
    int calls = 0, interrupts = 0;

    r.rbx = 0x55aa;
    pthread_create(&t, NULL, storm_main, &storm);
    while (calls < 3000) {
        assert_int_equal(ops->ctx_run(storm.c, &r, &ev), 0);
        if (ev.kind == PLATFORM_INTERRUPTED) {
            assert_int_equal(r.rbx, 0x55aa);
            interrupts++;
            continue;
        }
        assert_int_equal(ev.kind, PLATFORM_SYSCALL);
        assert_int_equal(r.orig_rax, 39);
        if (calls % 2)
            ops->ctx_regs_pull(storm.c, &r);
        assert_true(calls % 2 == 0 || r.rbx == 0x55aa);
        assert_int_equal(r.rip, at(guest_calls) + 7);
        r.rax = (uint64_t)-514;
        calls++;
    }
    atomic_store(&storm.stop, true);
    pthread_join(t, NULL);
    assert_true(interrupts > 0);
    ops->ctx_free(storm.c);
    ops->space_free(s);
}

static void test_fork(void)
{
    struct platform_space *s, *child;
    struct platform_ctx *c = fresh(&s), *cc;
    struct lx_regs r = entry(guest_fpu, 0, 0x1111), cr;
    struct platform_event ev;

    expect(c, &r, PLATFORM_SYSCALL, &ev); /* xmm7 = 0x1111 */
    assert_int_equal(r.rdi, 0);
    child = forked(s, c);
    assert_int_equal(ops->ctx_new(child, NULL, &cc), 0);
    assert_int_equal(ops->ctx_xstate_copy(cc, c), 0);
    cr = r;
    cr.rsi = 0x2222;
    expect(cc, &cr, PLATFORM_SYSCALL, &ev);
    assert_int_equal(cr.rdi, 0x1111);
    /* The parent goes on undisturbed. */
    expect(c, &r, PLATFORM_SYSCALL, &ev);
    assert_int_equal(r.rdi, 0x1111);
    /* The child's mappings are its own. */
    assert_int_equal(ops->space_unmap(child, DATA, PAGE), 0);
    cr = entry(guest_load, DATA, 0);
    expect(cc, &cr, PLATFORM_FAULT, &ev);
    r = entry(guest_load, DATA, 0);
    expect(c, &r, PLATFORM_SYSCALL, &ev);
    ops->ctx_free(cc);
    ops->space_free(child);
    ops->ctx_free(c);
    ops->space_free(s);
}

/* A stub that served one program shows nothing of it to the next. */
static void test_recycle(void)
{
    struct platform_space *s;
    struct platform_ctx *c = fresh(&s);
    struct lx_regs r = entry(guest_fpu, 0, 0x3333);
    struct platform_event ev;
    pid_t pid;

    expect(c, &r, PLATFORM_SYSCALL, &ev);
    pid = backend_pid(c);
    ops->ctx_free(c);
    ops->space_free(s);
    c = fresh(&s);
    r = entry(guest_fpu, 0, 0);
    expect(c, &r, PLATFORM_SYSCALL, &ev);
    assert_int_equal(backend_pid(c), pid); /* recycled indeed */
    assert_int_equal(r.rdi, 0);
    ops->ctx_free(c);
    ops->space_free(s);
}

static void test_exec(void)
{
    struct platform_space *s, *n;
    struct platform_ctx *c = fresh(&s);
    struct lx_regs r = entry(guest_fpu, 0, 0x4444);
    struct platform_event ev;
    uint8_t image[16384];
    int ret;

    assert_true(platform_xstate_size() <= sizeof(image));
    for (int i = 0; i < 20; i++) {
        expect(c, &r, PLATFORM_SYSCALL, &ev);
        assert_int_equal(r.rdi, 0);
        assert_int_equal(ops->space_new(g_p, &n), 0);
        map_standard(n);
        assert_int_equal(ops->ctx_switch_space(c, n), 0);
        ops->space_free(s);
        s = n;
        r = entry(guest_fpu, 0, 0x4444);
    }
    /* XSAVE state round trip, and an image the host refuses. */
    expect(c, &r, PLATFORM_SYSCALL, &ev);
    assert_int_equal(ops->ctx_xstate_get(c, image, sizeof(image)), 0);
    memset(image + 160 + 7 * 16, 0x77, 8);
    assert_int_equal(ops->ctx_xstate_set(c, image, platform_xstate_size()), 0);
    expect(c, &r, PLATFORM_SYSCALL, &ev);
    assert_int_equal(r.rdi, 0x7777777777777777);
    memset(image + 512, 0xff, 64);
    ret = ops->ctx_xstate_set(c, image, platform_xstate_size());
    assert_true(ret == 0 || ret == -EINVAL);
    expect(c, &r, PLATFORM_SYSCALL, &ev);
    /* Everything dropped at once. */
    assert_int_equal(ops->space_clear(s), 0);
    expect(c, &r, PLATFORM_FAULT, &ev);
    map_standard(s);
    expect(c, &r, PLATFORM_SYSCALL, &ev);
    ops->ctx_free(c);
    ops->space_free(s);
}

static void test_many_changes(void)
{
    struct platform_space *s;
    struct platform_ctx *c = fresh(&s);
    struct lx_regs r;
    struct platform_event ev;

    /* Every other page: nothing merges; more than one request page. */
    for (unsigned i = 0; i < 1000; i++)
        assert_int_equal(ops->space_map(s, 0x40000000 + i * 2ul * PAGE, PAGE,
                                        PROT_READ | PROT_WRITE, g_mem,
                                        (1 + i % DATA_PAGES) * (uint64_t)PAGE, 0),
                         0);
    for (unsigned i = 0; i < 1000; i += 333) {
        r = entry(guest_store, 0x40000000 + i * 2ul * PAGE, i + 1);
        expect(c, &r, PLATFORM_SYSCALL, &ev);
    }
    /* Protection of a range with holes. */
    assert_int_equal(ops->space_protect(s, 0x40000000, 2000ul * PAGE, PROT_READ), 0);
    r = entry(guest_load, 0x40000000 + 999 * 2ul * PAGE, 0);
    expect(c, &r, PLATFORM_SYSCALL, &ev);
    r = entry(guest_store, 0x40000000 + 999 * 2ul * PAGE, 0);
    expect(c, &r, PLATFORM_FAULT, &ev);
    ops->ctx_free(c);
    ops->space_free(s);
}

/* More mappings than the host allows one process: the cache starts over, the guest goes on. */
static void test_map_limit(void)
{
    struct platform_space *s;
    struct platform_ctx *c = fresh(&s);
    struct lx_regs r;
    struct platform_event ev;

    for (unsigned i = 0; i < 70000; i++)
        assert_int_equal(ops->space_map(s, 0x40000000 + i * 2ul * PAGE, PAGE,
                                        PROT_READ | PROT_WRITE, g_mem, PAGE, 0),
                         0);
    r = entry(guest_store, 0x40000000 + 69999 * 2ul * PAGE, 1);
    assert_int_equal(ops->ctx_run(c, &r, &ev), 0);
#ifdef CONTRACT_NO_PROCESSES /* nor a limit */
    assert_int_equal(ev.kind, PLATFORM_SYSCALL);
#else
    assert_int_equal(ev.kind, PLATFORM_FAULT); /* its code is gone as well */
    assert_false(ev.fault_bus);
    map_standard(s);
#endif
    expect(c, &r, PLATFORM_SYSCALL, &ev);
    ops->ctx_free(c);
    ops->space_free(s);
}

static void test_cost(void)
{
    struct platform_space *s;
    struct platform_ctx *c = fresh(&s);
    struct lx_regs r = entry(guest_calls, 0, 0);
    struct platform_event ev;
    uint64_t best = UINT64_MAX;

    for (int round = 0; round < 20; round++) {
        uint64_t start = now_ns();

        for (int i = 0; i < 1000; i++) {
            (void)ops->ctx_run(c, &r, &ev);
            r.rax = 42;
        }
        best = MIN(best, (now_ns() - start) / 1000);
    }
    print_message("null call: %lu ns\n", (unsigned long)best);
    ops->ctx_free(c);
    ops->space_free(s);
}

/* All of it under the sentry's own host filter. */
static void test_filtered(void)
{
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
    _exit(77); /* its runtime makes calls of its own */
#endif
    assert_int_equal(host_seccomp_install(HOST_ROLE_SENTRY), 0);
    assert_int_equal(syscall(SYS_clone3, NULL, 0), -1); /* refused, not fatal */
    test_fork();
    test_recycle();
    test_exec();
    test_threads_and_barrier();
    test_parallel_forks();
    test_cost();
}

/* --- running each in its own process --- */

static void become_unprivileged(void)
{
    pid_t pid;
    int status;

    if (geteuid() == 0 && (setgid(65534) < 0 || setuid(65534) < 0))
        _exit(3);
    if (unshare(CLONE_NEWUSER | CLONE_NEWPID) < 0)
        _exit(77);
    pid = fork();
    if (pid != 0) {
        waitpid(pid, &status, 0);
        _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 1);
    }
}

static void run_isolated(void (*fn)(void), bool unprivileged)
{
    int status;
    pid_t pid;

    fflush(NULL);
    pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (ops->device)
            g_device = ops->device();
        if (unprivileged)
            become_unprivileged();
        alarm(60);
        setenv("CMOCKA_TEST_ABORT", "1", 1); /* or a failure runs the other tests in the child */
        setup();
        fn();
        ops->stop(g_p);
        fflush(NULL);
        _exit(0);
    }
    waitpid(pid, &status, 0);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
        skip();
    assert_int_equal(status, 0);
}

#define ONCE(name)                                                                                 \
    static void name##_plain(void **state)                                                         \
    {                                                                                              \
        (void)state;                                                                               \
        run_isolated(name, false);                                                                 \
    }
#define TWICE(name)                                                                                \
    ONCE(name)                                                                                     \
    static void name##_jailed(void **state)                                                        \
    {                                                                                              \
        (void)state;                                                                               \
        run_isolated(name, true);                                                                  \
    }
#define ROWS(name) cmocka_unit_test(name##_plain), cmocka_unit_test(name##_jailed)

TWICE(test_syscalls)
TWICE(test_faults)
TWICE(test_exceptions)
TWICE(test_hostile)
TWICE(test_vsyscall)
ONCE(test_nothing_else_mapped)
TWICE(test_interrupt)
TWICE(test_interrupt_storm)
TWICE(test_fork)
TWICE(test_recycle)
TWICE(test_exec)
TWICE(test_threads_and_barrier)
TWICE(test_foreign_barrier)
TWICE(test_many_changes)
TWICE(test_map_limit)
#ifndef CONTRACT_NO_PROCESSES
TWICE(test_killed)
#endif
TWICE(test_parallel_forks)
TWICE(test_churn)
TWICE(test_cost)
TWICE(test_filtered)

static void test_probe(void **state)
{
    struct platform_probe probe;

    (void)state;
    assert_int_equal(ops->probe(&probe), 0);
    print_message("%s\n", probe.reason);
    assert_true(probe.usable);
    assert_true(probe.switch_ns > 100);
}

/* The back end's own tests: CONTRACT_MORE(X) is X(name) X(name) ... */
#ifndef CONTRACT_MORE
#define CONTRACT_MORE(X)
#endif
#define DECLARE_MORE(name)                                                                         \
    void name(void);                                                                               \
    TWICE(name)
#define ROWS_MORE(name) ROWS(name),
CONTRACT_MORE(DECLARE_MORE)

static int contract_main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_probe),
        ROWS(test_syscalls),
        ROWS(test_faults),
        ROWS(test_exceptions),
        ROWS(test_hostile),
        ROWS(test_vsyscall),
        cmocka_unit_test(
            test_nothing_else_mapped_plain), /* reads the first pid namespace's /proc */
        ROWS(test_interrupt),
        ROWS(test_interrupt_storm),
        ROWS(test_fork),
        ROWS(test_recycle),
        ROWS(test_exec),
        ROWS(test_threads_and_barrier),
        ROWS(test_foreign_barrier),
        ROWS(test_many_changes),
        ROWS(test_map_limit),
#ifndef CONTRACT_NO_PROCESSES
        ROWS(test_killed),
#endif
        ROWS(test_parallel_forks),
        ROWS(test_churn),
        ROWS(test_cost),
        ROWS(test_filtered),
        CONTRACT_MORE(ROWS_MORE)};

    if (getenv("TEST_FILTER"))
        cmocka_set_test_filter(getenv("TEST_FILTER"));
    return cmocka_run_group_tests(tests, NULL, NULL);
}
