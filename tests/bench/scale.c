/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Scaling: many guest threads at once. scale OP THREADS prints the time of one operation, as wall
 * time over the operations of all threads.
 *   null    getppid
 *   pipe    one byte through a pipe of the thread's own, written and read
 *   futex   pairs of threads hand a turn to each other; one operation is one hand-over
 *   fault   touch of a page never touched before
 * Runs for about a second.
 */
#include <linux/futex.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define PAGE   4096
#define PAGES  256
#define RUN_NS 1000000000ull

static atomic_bool g_over;
static atomic_int g_ready;

/* One thread, or one side of a pair. */
struct lane {
    pthread_t thread;
    void (*step)(struct lane *l);
    long done;
    int pipe[2];
    atomic_uint *turn;
    unsigned me;
    volatile char *pages;
    long page;
};

static void need(int ok, const char *what)
{
    if (!ok) {
        perror(what);
        exit(1);
    }
}

static uint64_t now_ns(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static void step_null(struct lane *l)
{
    (void)l;
    syscall(SYS_getppid);
}

static void step_pipe(struct lane *l)
{
    char c = 0;

    need(write(l->pipe[1], &c, 1) == 1 && read(l->pipe[0], &c, 1) == 1, "pipe");
}

static void step_futex(struct lane *l)
{
    unsigned t;

    while ((t = atomic_load(l->turn)) != l->me && !atomic_load(&g_over))
        syscall(SYS_futex, l->turn, FUTEX_WAIT_PRIVATE, t, NULL, NULL, 0);
    atomic_store(l->turn, !l->me);
    syscall(SYS_futex, l->turn, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

static void step_fault(struct lane *l)
{
    if (l->page == PAGES) {
        munmap((void *)l->pages, PAGES * PAGE);
        l->pages = NULL;
    }
    if (!l->pages) {
        l->pages =
            mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        need(l->pages != MAP_FAILED, "mmap");
        l->page = 0;
    }
    l->pages[l->page++ * PAGE] = 1;
}

static void *lane_main(void *arg)
{
    struct lane *l = arg;

    atomic_fetch_add(&g_ready, 1);
    while (!atomic_load(&g_over)) {
        l->step(l);
        l->done++;
    }
    return NULL;
}

static void (*step_named(const char *name))(struct lane *)
{
    static const struct {
        const char *name;
        void (*step)(struct lane *);
    } steps[] = {
        {"null", step_null}, {"pipe", step_pipe}, {"futex", step_futex}, {"fault", step_fault}};

    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        if (strcmp(name, steps[i].name) == 0)
            return steps[i].step;
    }
    fprintf(stderr, "no operation %s\n", name);
    exit(2);
}

int main(int argc, char **argv)
{
    int count = argc == 3 ? atoi(argv[2]) : 0;
    struct lane *lanes = calloc((size_t)count + 1, sizeof(*lanes));
    atomic_uint *turns = calloc((size_t)count + 1, sizeof(*turns));
    long before = 0, after = 0;
    uint64_t start, took;

    if (count < 1 || !lanes || !turns || (count % 2 && !strcmp(argv[1], "futex"))) {
        fprintf(stderr, "usage: scale null|pipe|futex|fault THREADS (futex: pairs)\n");
        return 2;
    }
    for (int i = 0; i < count; i++) {
        struct lane *l = &lanes[i];

        l->step = step_named(argv[1]);
        l->turn = &turns[i / 2];
        l->me = (unsigned)i % 2;
        need(pipe(l->pipe) == 0, "pipe");
        need(pthread_create(&l->thread, NULL, lane_main, l) == 0, "pthread_create");
    }
    while (atomic_load(&g_ready) < count)
        usleep(1000);
    for (int i = 0; i < count; i++)
        before += *(volatile long *)&lanes[i].done;
    start = now_ns();
    while (now_ns() - start < RUN_NS)
        usleep(50000);
    for (int i = 0; i < count; i++)
        after += *(volatile long *)&lanes[i].done;
    took = now_ns() - start;
    atomic_store(&g_over, true);
    for (int i = 0; i < count; i++) {
        atomic_fetch_add(lanes[i].turn, 2); /* a value that nobody waits for */
        syscall(SYS_futex, lanes[i].turn, FUTEX_WAKE_PRIVATE, 2, NULL, NULL, 0);
        pthread_join(lanes[i].thread, NULL);
    }
    printf("%s-%d %.0f\n", argv[1], count,
           (double)took / (double)(after - before ? after - before : 1));
    return 0;
}
