/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The platform contract, as every back end with stub processes must keep it: guest code from a
 * memory file, its events, and address spaces as fork, clone and exec use them. Each test runs in a
 * process of its own, once as the caller and once as an unprivileged user in user and pid
 * namespaces.
 *
 * Included by the test of a back end, which defines before: ops, backend_pid(ctx), the range of its
 * stub's mappings backend_stub_start/end(platform), and test_hostile().
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "platform/host/seccomp.h"
#include "platform/platform.h"
#include "tests/support/platform_guest.h"

#ifndef CONTRACT_MAPPINGS_MAX
#define CONTRACT_MAPPINGS_MAX 2 /* of a new space, the stub's own */
#endif

extern const struct platform_ops *const ops;
pid_t backend_pid(struct platform_ctx *c);
uaddr_t backend_stub_start(struct platform *p);
uaddr_t backend_stub_end(struct platform *p);
bool backend_many_threads(void); /* ctx_new without a creator works beside other threads */
void test_hostile(void);

static struct platform *g_p;
static int g_mem;      /* guest memory: page 0 is code, the rest data */
static uint8_t *g_map; /* the same */

static uaddr_t at(const uint8_t *label)
{
    return CODE + (uaddr_t)(label - guest_code);
}

static struct lx_regs entry(const uint8_t *label, uint64_t rdi, uint64_t rsi)
{
    return (struct lx_regs){.rip = at(label),
                            .rdi = rdi,
                            .rsi = rsi,
                            .rsp = DATA + PAGE,
                            .cs = 0x33,
                            .ss = 0x2b,
                            .eflags = 0x202};
}

static void setup(void)
{
    assert_int_equal(ops->start(NULL, &g_p), 0);
    g_mem = memfd_create("guest", 0);
    assert_true(g_mem >= 0);
    assert_int_equal(ftruncate(g_mem, (1 + DATA_PAGES) * PAGE), 0);
    g_map = mmap(NULL, (1 + DATA_PAGES) * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, g_mem, 0);
    assert_true(g_map != MAP_FAILED);
    memcpy(g_map, guest_code, (size_t)(guest_code_end - guest_code));
}

static void map_standard(struct platform_space *s)
{
    assert_int_equal(ops->space_map(s, CODE, PAGE, PROT_READ | PROT_EXEC, g_mem, 0, 0), 0);
    assert_int_equal(ops->space_map(s, DATA, 4 * PAGE, PROT_READ | PROT_WRITE, g_mem, PAGE, 0), 0);
}

static struct platform_ctx *fresh(struct platform_space **out)
{
    struct platform_ctx *c;

    assert_int_equal(ops->space_new(g_p, out), 0);
    map_standard(*out);
    assert_int_equal(ops->ctx_new(*out, NULL, &c), 0);
    return c;
}

static uint64_t now_ns(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static void expect(struct platform_ctx *c, struct lx_regs *r, enum platform_event_kind kind,
                   struct platform_event *ev)
{
    memset(ev, 0, sizeof(*ev));
    assert_int_equal(ops->ctx_run(c, r, ev), 0);
    assert_int_equal(ev->kind, kind);
    ops->ctx_regs_pull(c, r);
}

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
    } rows[] = {{guest_int3, SIGTRAP, SI_KERNEL},
                {guest_ud, SIGILL, ILL_ILLOPN},
                {guest_div, SIGFPE, FPE_INTDIV},
                {guest_gp, SIGSEGV, SI_KERNEL},
                {guest_int80, SIGSEGV, SI_KERNEL}};
    struct platform_space *s;
    struct platform_ctx *c = fresh(&s);
    struct platform_event ev;
    struct lx_regs r;

    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        r = entry(rows[i].label, 0, 0);
        expect(c, &r, PLATFORM_EXCEPTION, &ev);
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
    kill(backend_pid(c), SIGTERM);
    kill(backend_pid(c), SIGSEGV);
    kill(backend_pid(c), SIGTRAP);
    kill(backend_pid(c), SIGSTOP);
    kill(backend_pid(c), SIGCONT);
    for (int i = 0; i < 5; i++) {
        expect(c, &r, PLATFORM_SYSCALL, &ev);
        assert_int_equal(r.orig_rax, 39);
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
    assert_int_equal(ops->space_clone(s, c, &child), 0);
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

struct worker {
    pthread_t thread;
    struct platform_ctx *c;
    struct lx_regs regs;
    struct platform_event ev;
    atomic_bool *stop; /* NULL: one run */
    int runs;
};

static void *worker_main(void *arg)
{
    struct worker *w = arg;

    do {
        w->ev.kind = PLATFORM_DEAD;
        if (ops->ctx_run(w->c, &w->regs, &w->ev) != 0)
            break;
        w->runs++;
    } while (w->stop && !atomic_load(w->stop));
    ops->ctx_free(w->c);
    return NULL;
}

static volatile uint64_t *data_word(unsigned page, unsigned i)
{
    return (volatile uint64_t *)(void *)(g_map + (1 + page) * PAGE) + i;
}

static void test_threads_and_barrier(void)
{
    struct platform_space *s;
    struct platform_ctx *c = fresh(&s);
    struct worker w[4];
    struct lx_regs r = entry(guest_calls, 0, 0);
    struct platform_event ev;
    uint64_t before;

    expect(c, &r, PLATFORM_SYSCALL, &ev);
    for (unsigned i = 0; i < ARRAY_COUNT(w); i++) {
        w[i] = (struct worker){.regs = entry(guest_count, DATA + 8 * i, 0)};
        assert_int_equal(ops->ctx_new(s, c, &w[i].c), 0);
        assert_int_equal(ops->ctx_xstate_copy(w[i].c, c), 0);
    }
    for (unsigned i = 0; i < ARRAY_COUNT(w); i++)
        pthread_create(&w[i].thread, NULL, worker_main, &w[i]);
    for (unsigned i = 0; i < ARRAY_COUNT(w); i++) {
        while (*data_word(0, i) < 1000)
            usleep(1000);
    }
    /* From a thread with a ctx of the space, with pages replaced below running threads. */
    assert_int_equal(ops->space_map(s, DATA, PAGE, PROT_READ | PROT_WRITE, g_mem, 3 * PAGE, 0), 0);
    ops->space_barrier(s);
    before = *data_word(0, 0);
    for (unsigned i = 0; i < ARRAY_COUNT(w); i++) {
        while (*data_word(2, i) < 1000)
            usleep(1000);
    }
    assert_int_equal(*data_word(0, 0), before);
    /* Read-only: the threads must fault. */
    assert_int_equal(ops->space_protect(s, DATA, PAGE, PROT_READ), 0);
    ops->space_barrier(s);
    before = *data_word(2, 1);
    for (unsigned i = 0; i < ARRAY_COUNT(w); i++) {
        pthread_join(w[i].thread, NULL);
        assert_int_equal(w[i].ev.kind, PLATFORM_FAULT);
        assert_int_equal(w[i].ev.fault_addr, DATA + 8 * i);
    }
    assert_int_equal(*data_word(2, 1), before);
    expect(c, &r, PLATFORM_SYSCALL, &ev);
    ops->ctx_free(c);
    ops->space_free(s);
}

/* The same from a thread that has no ctx in the space. */
static void test_foreign_barrier(void)
{
    struct platform_space *s;
    struct worker w[2];
    struct platform_ctx *c = fresh(&s);
    struct lx_regs r = entry(guest_calls, 0, 0);
    struct platform_event ev;
    uint64_t before;

    expect(c, &r, PLATFORM_SYSCALL, &ev);
    for (unsigned i = 0; i < ARRAY_COUNT(w); i++) {
        w[i] = (struct worker){.regs = entry(guest_count, DATA + 8 * i, 0)};
        assert_int_equal(ops->ctx_new(s, c, &w[i].c), 0);
        pthread_create(&w[i].thread, NULL, worker_main, &w[i]);
    }
    ops->ctx_free(c);
    for (unsigned i = 0; i < ARRAY_COUNT(w); i++) {
        while (*data_word(0, i) < 1000)
            usleep(1000);
    }
    for (int round = 0; round < 50; round++) {
        uint64_t from = 1 + (uint64_t)(round & 1);

        assert_int_equal(
            ops->space_map(s, DATA, PAGE, PROT_READ | PROT_WRITE, g_mem, from * PAGE, 0), 0);
        ops->space_barrier(s);
        before = *data_word(round & 1 ? 0 : 1, 0);
        usleep(100);
        assert_int_equal(*data_word(round & 1 ? 0 : 1, 0), before);
    }
    assert_int_equal(ops->space_unmap(s, DATA, PAGE), 0);
    ops->space_barrier(s);
    for (unsigned i = 0; i < ARRAY_COUNT(w); i++) {
        pthread_join(w[i].thread, NULL);
        assert_int_equal(w[i].ev.kind, PLATFORM_FAULT);
    }
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
    assert_int_equal(ev.kind, PLATFORM_FAULT); /* its code is gone as well */
    assert_false(ev.fault_bus);
    map_standard(s);
    expect(c, &r, PLATFORM_SYSCALL, &ev);
    ops->ctx_free(c);
    ops->space_free(s);
}

static void *killer(void *arg)
{
    struct platform_ctx *c = arg;

    usleep(20000);
    kill(backend_pid(c), SIGKILL);
    return NULL;
}

static void test_killed(void)
{
    struct platform_space *s;
    struct platform_ctx *c = fresh(&s);
    struct lx_regs r = entry(guest_spin, DATA, 0);
    struct platform_event ev;
    pthread_t t;

    pthread_create(&t, NULL, killer, c);
    expect(c, &r, PLATFORM_DEAD, &ev);
    pthread_join(t, NULL);
    expect(c, &r, PLATFORM_DEAD, &ev);
    ops->ctx_interrupt(c);
    ops->ctx_free(c);
    ops->space_free(s);
    /* While it is stopped. */
    c = fresh(&s);
    r = entry(guest_calls, 0, 0);
    expect(c, &r, PLATFORM_SYSCALL, &ev);
    kill(backend_pid(c), SIGKILL);
    assert_int_equal(ops->space_unmap(s, DATA, PAGE), 0);
    expect(c, &r, PLATFORM_DEAD, &ev);
    ops->ctx_free(c);
    ops->space_free(s);
    /* Before it ever ran. */
    c = fresh(&s);
    kill(backend_pid(c), SIGKILL);
    usleep(1000);
    expect(c, &r, PLATFORM_DEAD, &ev);
    ops->ctx_free(c);
    ops->space_free(s);
}

/* fork and exit from several threads at once. */
static void *forker(void *arg)
{
    for (int i = 0; i < 30; i++) {
        struct platform_space *s, *child;
        struct platform_ctx *c = fresh(&s), *cc;
        struct lx_regs r = entry(guest_calls, 0, 0), cr;
        struct platform_event ev;

        expect(c, &r, PLATFORM_SYSCALL, &ev);
        assert_int_equal(ops->space_clone(s, c, &child), 0);
        assert_int_equal(ops->ctx_new(child, NULL, &cc), 0);
        assert_int_equal(ops->ctx_xstate_copy(cc, c), 0);
        cr = r;
        expect(cc, &cr, PLATFORM_SYSCALL, &ev);
        expect(c, &r, PLATFORM_SYSCALL, &ev);
        ops->ctx_free(cc);
        ops->space_free(child);
        ops->ctx_free(c);
        ops->space_free(s);
    }
    return arg;
}

static void test_parallel_forks(void)
{
    pthread_t t[4];

    for (size_t i = 0; i < ARRAY_COUNT(t); i++)
        pthread_create(&t[i], NULL, forker, NULL);
    for (size_t i = 0; i < ARRAY_COUNT(t); i++)
        pthread_join(t[i], NULL);
}

/* Threads that come, call, fault, are interrupted and killed from outside, all at once. */
struct churn {
    struct platform_space *s;
    _Atomic(struct platform_ctx *) shown[4]; /* to interrupter and killer; NULL while it changes */
    pthread_mutex_t lock[4];                 /* keeps shown[i] alive */
    atomic_bool stop;
    atomic_uint deaths, calls;
};

struct churn_thread {
    struct churn *churn;
    unsigned index;
};

static void churn_show(struct churn *ch, unsigned i, struct platform_ctx *c)
{
    pthread_mutex_lock(&ch->lock[i]);
    atomic_store(&ch->shown[i], c);
    pthread_mutex_unlock(&ch->lock[i]);
}

static void *churn_main(void *arg)
{
    struct churn_thread *t = arg;
    struct churn *ch = t->churn;
    unsigned seed = t->index + 1;

    for (int round = 0; round < 60; round++) {
        struct platform_event ev = {.kind = PLATFORM_SYSCALL};
        struct platform_ctx *c;
        int ret = ops->ctx_new(ch->s, NULL, &c);

        if (ret == -EAGAIN && !backend_many_threads())
            continue; /* the back end needs a creator in the space */
        assert_int_equal(ret, 0);
        churn_show(ch, t->index, c);
        for (int i = 0; i < 40 && ev.kind != PLATFORM_DEAD; i++) {
            struct lx_regs r = entry(rand_r(&seed) % 2 ? guest_calls : guest_load,
                                     rand_r(&seed) % 2 ? DATA : 0x60000000, 0);

            assert_int_equal(ops->ctx_run(c, &r, &ev), 0);
            ops->ctx_regs_pull(c, &r);
            atomic_fetch_add(&ch->calls, ev.kind == PLATFORM_SYSCALL);
        }
        atomic_fetch_add(&ch->deaths, ev.kind == PLATFORM_DEAD);
        churn_show(ch, t->index, NULL);
        ops->ctx_free(c);
    }
    return NULL;
}

static void *churn_killer(void *arg)
{
    struct churn *ch = arg;
    unsigned seed = 99;

    while (!atomic_load(&ch->stop)) {
        unsigned i = (unsigned)rand_r(&seed) % ARRAY_COUNT(ch->shown);
        struct platform_ctx *c;

        pthread_mutex_lock(&ch->lock[i]);
        c = atomic_load(&ch->shown[i]);
        if (c && rand_r(&seed) % 64 == 0 && backend_pid(c))
            kill(backend_pid(c), SIGKILL);
        else if (c)
            ops->ctx_interrupt(c);
        pthread_mutex_unlock(&ch->lock[i]);
        usleep((useconds_t)rand_r(&seed) % 500);
    }
    return NULL;
}

static void test_churn(void)
{
    static struct churn ch;
    struct platform_ctx *c = fresh(&ch.s);
    struct churn_thread threads[ARRAY_COUNT(ch.shown)];
    pthread_t workers[ARRAY_COUNT(threads)], killers;
    struct lx_regs r = entry(guest_calls, 0, 0);
    struct platform_event ev;

    expect(c, &r, PLATFORM_SYSCALL, &ev);
    for (unsigned i = 0; i < ARRAY_COUNT(threads); i++) {
        pthread_mutex_init(&ch.lock[i], NULL);
        threads[i] = (struct churn_thread){&ch, i};
        pthread_create(&workers[i], NULL, churn_main, &threads[i]);
    }
    pthread_create(&killers, NULL, churn_killer, &ch);
    for (unsigned i = 0; i < ARRAY_COUNT(threads); i++)
        pthread_join(workers[i], NULL);
    atomic_store(&ch.stop, true);
    pthread_join(killers, NULL);
    /* The space and its first thread are as they were. */
    expect(c, &r, PLATFORM_SYSCALL, &ev);
    assert_true(!backend_many_threads() || atomic_load(&ch.calls) > 1000);
    print_message("%u calls, %u threads killed\n", atomic_load(&ch.calls), atomic_load(&ch.deaths));
    ops->ctx_free(c);
    ops->space_free(ch.s);
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
TWICE(test_killed)
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
        ROWS(test_killed),
        ROWS(test_parallel_forks),
        ROWS(test_churn),
        ROWS(test_cost),
        ROWS(test_filtered),
        CONTRACT_MORE(ROWS_MORE)};

    if (getenv("TEST_FILTER"))
        cmocka_set_test_filter(getenv("TEST_FILTER"));
    return cmocka_run_group_tests(tests, NULL, NULL);
}
