/* SPDX-License-Identifier: Apache-2.0 */
/* The platform contract: several threads at once; see platform_contract.h. */
#pragma once

#include "tests/support/platform_run.h"

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

#ifndef CONTRACT_NO_PROCESSES
static void *killer(void *arg)
{
    struct platform_ctx *c = arg;

    usleep(20000);
    backend_kill(c, SIGKILL);
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
    backend_kill(c, SIGKILL);
    assert_int_equal(ops->space_unmap(s, DATA, PAGE), 0);
    expect(c, &r, PLATFORM_DEAD, &ev);
    ops->ctx_free(c);
    ops->space_free(s);
    /* Before it ever ran. */
    c = fresh(&s);
    backend_kill(c, SIGKILL);
    usleep(1000);
    expect(c, &r, PLATFORM_DEAD, &ev);
    ops->ctx_free(c);
    ops->space_free(s);
}

#endif

/* What mm does for fork: a copy of s, or where the platform says that it has something better, an
 * empty space that gets the same mappings. */
static struct platform_space *forked(struct platform_space *s, struct platform_ctx *c)
{
    struct platform_space *child;
    int ret = ops->space_clone(s, c, &child);

    if (ret == -EOPNOTSUPP) {
        ret = ops->space_new(g_p, &child);
        map_standard(child);
    }
    assert_int_equal(ret, 0);
    return child;
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
        child = forked(s, c);
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
