/* SPDX-License-Identifier: Apache-2.0 */
/* Threads that map, unmap, protect, discard, fork and touch at once: no access to valid memory may
 * fault, no byte may be lost or seen stale. */
#include "tests/support/guest_test.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/mman.h>

#define PAGE 4096ul
#define RW   (PROT_READ | PROT_WRITE)

static atomic_int g_stop, g_bad;

static unsigned char *anon(size_t pages)
{
    return mmap(NULL, pages * PAGE, RW, MAP_ANONYMOUS | MAP_PRIVATE, -1, 0);
}

static void run(void *(**fns)(void *), int count, int ms)
{
    pthread_t t[8];

    g_stop = 0;
    for (int i = 0; i < count; i++)
        pthread_create(&t[i], NULL, fns[i], (void *)(long)i);
    usleep((useconds_t)ms * 1000);
    g_stop = 1;
    for (int i = 0; i < count; i++)
        pthread_join(t[i], NULL);
}

static void *map_and_touch(void *arg)
{
    unsigned seed = (unsigned)(long)arg + 1;

    while (!g_stop) {
        size_t n = 1 + (size_t)rand_r(&seed) % 40, i;
        unsigned char *p = anon(n);

        for (i = 0; i < n; i++) {
            if (p[i * PAGE] != 0)
                g_bad++;
            p[i * PAGE] = (unsigned char)i;
        }
        mprotect(p, n * PAGE, PROT_READ);
        for (i = 0; i < n; i++) {
            if (p[i * PAGE] != (unsigned char)i)
                g_bad++;
        }
        mprotect(p, n * PAGE, RW);
        if (rand_r(&seed) % 2)
            madvise(p, n * PAGE, MADV_DONTNEED);
        munmap(p, n * PAGE);
    }
    return NULL;
}

static void *fork_often(void *arg)
{
    (void)arg;
    while (!g_stop) {
        pid_t pid = fork();
        int st;

        if (pid == 0)
            _exit(0);
        if (pid < 0 || waitpid(pid, &st, 0) != pid || st != 0)
            g_bad++;
    }
    return NULL;
}

TEST(map_touch_fork)
{
    void *(*fns[])(void *) = {map_and_touch, map_and_touch, map_and_touch, fork_often};

    run(fns, 4, 1500);
    CHECK_EQ(g_bad, 0);
}

/* One writer, readers that must never see the counter go back, forks in between. */
static unsigned char *g_page;

static void *counter_writer(void *arg)
{
    volatile unsigned long *a = (volatile unsigned long *)(void *)g_page;

    (void)arg;
    while (!g_stop) {
        a[0]++;
        a[512]++; /* the next page follows */
    }
    return NULL;
}

static void *counter_reader(void *arg)
{
    volatile unsigned long *a = (volatile unsigned long *)(void *)g_page;
    unsigned long last0 = 0, last1 = 0;

    (void)arg;
    while (!g_stop) {
        unsigned long v1 = a[512], v0 = a[0];

        if (v0 < v1 || v0 < last0 || v1 < last1)
            g_bad++;
        last0 = v0;
        last1 = v1;
    }
    return NULL;
}

TEST(no_stale_page_after_copy)
{
    void *(*fns[])(void *) = {counter_writer, counter_reader, fork_often};

    g_bad = 0;
    g_page = anon(2);
    run(fns, 3, 1500);
    CHECK_EQ(g_bad, 0);
}

static void *discarder(void *arg)
{
    (void)arg;
    while (!g_stop) {
        madvise(g_page, 8 * PAGE, MADV_DONTNEED);
        sched_yield();
    }
    return NULL;
}

static void *system_call_user(void *arg)
{
    int fd = open("/dev/zero", O_RDONLY);
    long n = 0;

    (void)arg;
    while (!g_stop) {
        if (read(fd, g_page, 8 * PAGE) != (long)(8 * PAGE))
            g_bad++;
        for (int i = 0; i < 8; i++) {
            if (g_page[(size_t)i * PAGE + 5] != 0)
                g_bad++;
        }
        n++;
    }
    close(fd);
    return NULL;
}

TEST(discard_under_system_calls)
{
    void *(*fns[])(void *) = {discarder, system_call_user, system_call_user};

    g_bad = 0;
    g_page = anon(8);
    run(fns, 3, 800);
    CHECK_EQ(g_bad, 0);
}

GUEST_TEST_MAIN
