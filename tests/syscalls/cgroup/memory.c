/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The memory controller: charging, memory.max and the OOM killer, memory.high, events. Most hosts
 * that run the suite keep their memory controller in version 1, and the tests skip there; what they
 * expect is cgroup-v2.rst.
 */
#include <sys/mman.h>
#include <sys/statfs.h>

#include "tests/support/cgroup_test.h"

#define MIB (1024 * 1024L)
#define BEGIN                                                                                      \
    const char *why = cg_begin_with("+memory +pids");                                              \
    if (why)                                                                                       \
    SKIP(why)

static int touch_memory(void *arg)
{
    long size = *(long *)arg;
    char *p = mmap(NULL, (size_t)size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (p == MAP_FAILED)
        return 98;
    for (long i = 0; i < size; i += 4096)
        p[i] = 1;
    return 7;
}

static char g_fought[256]; /* the group of those that touch_and_hold */

/* The same, and keeps it until there was no more for somebody, and a while longer. */
static int touch_and_hold(void *arg)
{
    int ret = touch_memory(arg);

    WAIT_UNTIL(cg_number_at(g_fought, "memory.events", "oom_kill") > 0);
    test_sleep_ms(200);
    return ret;
}

static int run_at(const char *dir, int (*fn)(void *), void *arg)
{
    pid_t pid = cg_fork_at(dir, fn, arg);
    int status = -1;

    CHECK_EQ(waitpid(pid, &status, 0), pid);
    return status;
}

/* A group without processes below g_cg_root, where limits can be set. */
static void make_group(char *path, size_t size, const char *name)
{
    snprintf(path, size, "%s/%s-%d", g_cg_root, name, getpid());
    CHECK_EQ(mkdir(path, 0755), 0);
}

static void remove_group(const char *path)
{
    WAIT_UNTIL(rmdir(path) == 0 || errno != EBUSY);
    CHECK_ERR(access(path, F_OK), ENOENT);
}

TEST(limits_are_parsed)
{
    BEGIN;
    char g[256], buf[64];

    make_group(g, sizeof(g), "parse");
    CHECK(cg_read_at(g, "memory.max", buf, sizeof(buf)) > 0);
    CHECK_STR(buf, "max\n");
    CHECK_EQ(cg_write_at(g, "memory.max", "10M"), 0);
    CHECK_EQ(cg_number_at(g, "memory.max", NULL), 10 * MIB);
    CHECK_EQ(cg_write_at(g, "memory.max", "4097"), 0);
    CHECK_EQ(cg_number_at(g, "memory.max", NULL), 4096);
    CHECK_EQ(cg_write_at(g, "memory.max", "max\n"), 0);
    CHECK_EQ(cg_write_at(g, "memory.max", "-1"), -EINVAL);
    CHECK_EQ(cg_write_at(g, "memory.max", "x"), -EINVAL);
    CHECK_EQ(cg_write_at(g, "memory.oom.group", "2"), -EINVAL);
    CHECK_EQ(cg_write_at(g, "memory.oom.group", "1"), 0);
    CHECK_EQ(cg_write_at(g, "memory.low", "1M"), 0);
    CHECK_EQ(cg_number_at(g, "memory.low", NULL), MIB);
    CHECK_EQ(cg_number_at(g, "memory.current", NULL), 0);
    remove_group(g);
    cg_end();
}

TEST(usage_is_counted_and_given_back)
{
    BEGIN;
    long size = 8 * MIB;
    char g[256];

    make_group(g, sizeof(g), "usage");
    CHECK_EQ(run_at(g, touch_memory, &size), 7 << 8);
    CHECK(cg_number_at(g, "memory.peak", NULL) < 0 || cg_number_at(g, "memory.peak", NULL) >= size);
    CHECK(cg_number_at(g, "memory.current", NULL) < MIB);
    remove_group(g);
    cg_end();
}

TEST(above_the_maximum_the_process_is_killed)
{
    BEGIN;
    long size = 64 * MIB;
    char g[256], path[300], text[64];
    struct pollfd p = {.events = POLLPRI};
    int status;

    make_group(g, sizeof(g), "oom");
    CHECK_EQ(cg_write_at(g, "memory.max", "16M"), 0);
    cg_write_at(g, "memory.swap.max", "0");
    snprintf(path, sizeof(path), "%s/memory.events", g);
    p.fd = open(path, O_RDONLY);
    CHECK(read(p.fd, text, sizeof(text)) > 0);
    CHECK_EQ(poll(&p, 1, 0), 0);
    status = run_at(g, touch_memory, &size);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    CHECK_EQ(cg_number_at(g, "memory.events", "oom_kill"), 1);
    CHECK(cg_number_at(g, "memory.events", "max") > 0);
    CHECK(cg_number_at(g, "memory.events", "oom") > 0);
    CHECK_EQ(poll(&p, 1, -1), 1);
    close(p.fd);
    /* Below it nothing happens. */
    size = 8 * MIB;
    CHECK_EQ(run_at(g, touch_memory, &size), 7 << 8);
    CHECK_EQ(cg_number_at(g, "memory.events", "oom_kill"), 1);
    remove_group(g);
    cg_end();
}

static int small_and_large(void *arg)
{
    long small = 1 * MIB, large = 64 * MIB;
    int status;
    pid_t pid;

    (void)arg;
    touch_memory(&small);
    pid = fork();
    if (pid == 0)
        _exit(touch_memory(&large));
    waitpid(pid, &status, 0);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL ? 0 : 1;
}

TEST(the_largest_process_is_the_victim)
{
    BEGIN;
    char g[256];

    make_group(g, sizeof(g), "largest");
    CHECK_EQ(cg_write_at(g, "memory.max", "16M"), 0);
    cg_write_at(g, "memory.swap.max", "0");
    CHECK_EQ(run_at(g, small_and_large, NULL), 0);
    remove_group(g);
    cg_end();
}

static int protected_and_large(void *arg)
{
    long size = 40 * MIB;
    int fd = open("/proc/self/oom_score_adj", O_WRONLY), status;
    pid_t pid;

    (void)arg;
    /* The parent has more memory, but is never chosen. */
    if (fd < 0 || write(fd, "-1000", 5) != 5)
        return 5;
    touch_memory(&size);
    pid = fork();
    if (pid == 0) {
        fd = open("/proc/self/oom_score_adj", O_WRONLY);
        if (write(fd, "0", 1) != 1)
            _exit(5);
        _exit(touch_memory(&size));
    }
    waitpid(pid, &status, 0);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL ? 0 : 1;
}

TEST(oom_score_adj_protects)
{
    BEGIN;
    char g[256];

    make_group(g, sizeof(g), "adj");
    CHECK_EQ(cg_write_at(g, "memory.max", "64M"), 0);
    cg_write_at(g, "memory.swap.max", "0");
    CHECK_EQ(run_at(g, protected_and_large, NULL), 0);
    remove_group(g);
    cg_end();
}

__attribute__((noreturn)) static int group_of_two(void *arg)
{
    long large = 64 * MIB;

    (void)arg;
    if (fork() == 0)
        _exit(touch_memory(&large));
    for (;;)
        pause();
}

TEST(oom_group_takes_all)
{
    BEGIN;
    char g[256];
    int status;

    make_group(g, sizeof(g), "group");
    CHECK_EQ(cg_write_at(g, "memory.max", "16M"), 0);
    CHECK_EQ(cg_write_at(g, "memory.oom.group", "1"), 0);
    cg_write_at(g, "memory.swap.max", "0");
    status = run_at(g, group_of_two, NULL);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    CHECK_EQ(cg_number_at(g, "memory.events", "oom_kill"), 2);
    remove_group(g);
    cg_end();
}

static int read_into_fresh_memory(void *arg)
{
    char *p = mmap(NULL, 64 * MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    int fd = open("/dev/zero", O_RDONLY);

    (void)arg;
    /* The kernel's copy is what needs the memory. */
    for (long i = 0; i < 64; i++) {
        if (read(fd, p + i * MIB, MIB) != MIB)
            return 1;
    }
    return 2;
}

TEST(copies_of_the_kernel_are_charged)
{
    BEGIN;
    char g[256];
    int status;

    make_group(g, sizeof(g), "copy");
    CHECK_EQ(cg_write_at(g, "memory.max", "16M"), 0);
    cg_write_at(g, "memory.swap.max", "0");
    status = run_at(g, read_into_fresh_memory, NULL);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    remove_group(g);
    cg_end();
}

static int write_tmpfs(void *arg)
{
    static char chunk[65536];
    int fd = (int)sys(SYS_memfd_create, "m", 0UL);

    memset(chunk, 1, sizeof(chunk));
    for (long i = 0; i < *(long *)arg; i += (long)sizeof(chunk)) {
        if (write(fd, chunk, sizeof(chunk)) != (ssize_t)sizeof(chunk))
            return 1;
    }
    return 0;
}

TEST(tmpfs_is_charged)
{
    BEGIN;
    long size = 8 * MIB;
    char g[256];
    int status;

    make_group(g, sizeof(g), "tmpfs");
    CHECK_EQ(run_at(g, write_tmpfs, &size), 0);
    CHECK(cg_number_at(g, "memory.peak", NULL) < 0 || cg_number_at(g, "memory.peak", NULL) >= size);
    CHECK_EQ(cg_write_at(g, "memory.max", "4M"), 0);
    cg_write_at(g, "memory.swap.max", "0");
    status = run_at(g, write_tmpfs, &size);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    remove_group(g);
    cg_end();
}

TEST(limit_below_usage_kills)
{
    BEGIN;
    char g[256];
    int status, fd[2];
    pid_t pid;
    char c;

    make_group(g, sizeof(g), "shrink");
    REQUIRE(pipe(fd) == 0);
    pid = fork();
    if (pid == 0) {
        long size = 16 * MIB;

        cg_write_at(g, "cgroup.procs", "0");
        touch_memory(&size);
        if (write(fd[1], "x", 1) != 1)
            _exit(1);
        for (;;)
            pause();
    }
    CHECK_EQ(read(fd[0], &c, 1), 1);
    cg_write_at(g, "memory.swap.max", "0");
    CHECK_EQ(cg_write_at(g, "memory.max", "1M"), 0);
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    close(fd[0]);
    close(fd[1]);
    remove_group(g);
    cg_end();
}

TEST(above_high_is_counted_not_killed)
{
    BEGIN;
    long size = 4 * MIB;
    char g[256];

    make_group(g, sizeof(g), "high");
    CHECK_EQ(cg_write_at(g, "memory.high", "3M"), 0);
    CHECK_EQ(run_at(g, touch_memory, &size), 7 << 8);
    CHECK(cg_number_at(g, "memory.events", "high") > 0);
    CHECK_EQ(cg_number_at(g, "memory.events", "oom_kill"), 0);
    remove_group(g);
    cg_end();
}

/* Sixteen processes fight for the memory of four: some die, the group survives, counts agree. */
TEST(stress_many_at_the_limit)
{
    BEGIN;
    long size = 8 * MIB;
    int killed = 0, done = 0, status;
    pid_t pid[16];
    char g[256];

    make_group(g, sizeof(g), "stress");
    strcpy(g_fought, g);
    CHECK_EQ(cg_write_at(g, "memory.max", "40M"), 0);
    cg_write_at(g, "memory.swap.max", "0");
    for (int i = 0; i < 16; i++)
        pid[i] = cg_fork_at(g, touch_and_hold, &size);
    for (int i = 0; i < 16; i++) {
        CHECK_EQ(waitpid(pid[i], &status, 0), pid[i]);
        if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
            killed++;
        else if (WIFEXITED(status) && WEXITSTATUS(status) == 7)
            done++;
    }
    CHECK_EQ(killed + done, 16);
    CHECK(done > 0);
    /* A victim may have been on its way out by itself. */
    CHECK(killed > 0 && cg_number_at(g, "memory.events", "oom_kill") >= killed);
    CHECK(cg_number_at(g, "memory.current", NULL) < MIB);
    remove_group(g);
    cg_end();
}

GUEST_TEST_MAIN
