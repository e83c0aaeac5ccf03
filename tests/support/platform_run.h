/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How tests of a back end run guest code. Included by the test of a back end through platform_contract.h;
 * what the test must define is declared here.
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
pid_t backend_pid(struct platform_ctx *c); /* 0: no process of its own runs guest code */
uaddr_t backend_stub_start(struct platform *p);
uaddr_t backend_stub_end(struct platform *p);
bool backend_many_threads(void); /* ctx_new without a creator works beside other threads */
void test_hostile(void);
bool backend_int_is_illegal(struct platform *p); /* int n is an instruction that does not exist */

static struct platform *g_p;
static int g_device =
    -1;                /* what the back end needs of the host, opened before the test is jailed */
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
    assert_int_equal(ops->start(&(struct platform_config){.device = g_device}, &g_p), 0);
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

static void backend_kill(struct platform_ctx *c, int sig)
{
    pid_t pid = backend_pid(c);

    if (pid > 0)
        kill(pid, sig);
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
