/* SPDX-License-Identifier: Apache-2.0 */
/* fork(2) and memory: copy on write both ways, chains of children, threads writing meanwhile,
 * MADV_DONTFORK and MADV_WIPEONFORK. */
#include "tests/support/guest_test.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/mman.h>

#define PAGE  4096ul
#define PAGES 200ul
#define RW    (PROT_READ | PROT_WRITE)

static unsigned char *anon(size_t pages)
{
    return mmap(NULL, pages * PAGE, RW, MAP_ANONYMOUS | MAP_PRIVATE, -1, 0);
}

static int wait_ok(pid_t pid)
{
    int st = -1;

    waitpid(pid, &st, 0);
    return st == 0;
}

static int all_are(const unsigned char *p, size_t pages, unsigned char v)
{
    for (size_t i = 0; i < pages; i++) {
        if (p[i * PAGE] != v)
            return 0;
    }
    return 1;
}

static void fill(unsigned char *p, size_t pages, unsigned char v)
{
    for (size_t i = 0; i < pages; i++)
        p[i * PAGE] = v;
}

TEST(both_ways)
{
    unsigned char *p = anon(PAGES);
    int pipes[2];
    pid_t pid;
    char c;

    fill(p, PAGES, 1);
    REQUIRE(pipe(pipes) == 0);
    pid = fork();
    if (pid == 0) {
        int ok = all_are(p, PAGES, 1);

        fill(p, PAGES / 2, 2);
        ok = ok && read(pipes[0], &c, 1) == 1; /* the parent wrote 3 everywhere */
        ok = ok && all_are(p, PAGES / 2, 2) && all_are(p + PAGES / 2 * PAGE, PAGES / 2, 1);
        _exit(!ok);
    }
    fill(p, PAGES, 3);
    REQUIRE(write(pipes[1], "x", 1) == 1);
    CHECK(wait_ok(pid));
    CHECK(all_are(p, PAGES, 3));
}

TEST(system_calls_write_too)
{
    unsigned char *p = anon(8);
    int fd = open("/dev/zero", O_RDONLY);
    pid_t pid;

    fill(p, 8, 5);
    pid = fork();
    if (pid == 0)
        _exit(read(fd, p, 8 * PAGE) != (long)(8 * PAGE) || !all_are(p, 8, 0));
    CHECK(wait_ok(pid));
    CHECK(all_are(p, 8, 5));
    pid = fork();
    if (pid == 0) {
        usleep(20000);
        _exit(!all_are(p, 8, 5));
    }
    CHECK_EQ(read(fd, p, 8 * PAGE), 8 * PAGE);
    CHECK(wait_ok(pid));
}

TEST(chain)
{
    unsigned char *p = anon(20);
    int depth, ok = 1;
    pid_t pid = 0;

    fill(p, 20, 100);
    for (depth = 0; depth < 12; depth++) {
        pid = fork();
        if (pid != 0)
            break;
        ok = ok && all_are(p, 20, (unsigned char)(100 + depth));
        fill(p, 20, (unsigned char)(101 + depth));
    }
    if (pid != 0)
        ok = ok && wait_ok(pid);
    ok = ok && all_are(p, 20, (unsigned char)(100 + depth));
    if (depth > 0)
        _exit(!ok);
    CHECK(ok);
}

static atomic_int g_stop;
static unsigned char *g_area;

static void *writer(void *arg)
{
    unsigned char v = 0;

    (void)arg;
    while (!g_stop)
        fill(g_area, 16, ++v);
    return NULL;
}

TEST(threads_write_while_forking)
{
    pthread_t t;
    int i;

    g_area = anon(16);
    REQUIRE(pthread_create(&t, NULL, writer, NULL) == 0);
    for (i = 0; i < 30; i++) {
        pid_t pid = fork();

        if (pid == 0) {
            /* Nobody writes in the child: its view must not move. */
            unsigned char copy[16];
            int k, n;

            for (k = 0; k < 16; k++)
                copy[k] = g_area[(size_t)k * PAGE];
            for (n = 0; n < 50; n++) {
                for (k = 0; k < 16; k++) {
                    if (g_area[(size_t)k * PAGE] != copy[k])
                        _exit(1);
                }
            }
            _exit(0);
        }
        CHECK(wait_ok(pid));
    }
    g_stop = 1;
    pthread_join(t, NULL);
}

TEST(dontfork_and_wipeonfork)
{
    unsigned char *d = anon(1), *w = anon(1);
    unsigned char vec;
    pid_t pid;

    d[0] = w[0] = 9;
    REQUIRE(madvise(d, PAGE, MADV_DONTFORK) == 0);
    REQUIRE(madvise(w, PAGE, MADV_WIPEONFORK) == 0);
    pid = fork();
    if (pid == 0)
        _exit(!(w[0] == 0 && mincore(d, PAGE, &vec) == -1 && errno == ENOMEM));
    CHECK(wait_ok(pid));
    CHECK_EQ(d[0], 9);
    CHECK_EQ(w[0], 9);
    REQUIRE(madvise(d, PAGE, MADV_DOFORK) == 0);
    REQUIRE(madvise(w, PAGE, MADV_KEEPONFORK) == 0);
    pid = fork();
    if (pid == 0)
        _exit(!(w[0] == 9 && d[0] == 9));
    CHECK(wait_ok(pid));
}

GUEST_TEST_MAIN
