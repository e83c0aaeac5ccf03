/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The cpuset controller: what it takes from a task's affinity. Skips natively where version 2 has
 * no cpuset controller; expected from cgroup-v2.rst and sched_setaffinity(2) then.
 */
#include "tests/support/cgroup_test.h"

#define BEGIN                                                                                      \
    const char *why = cg_begin_with("+cpuset");                                                    \
    if (why)                                                                                       \
    SKIP(why)

static void end(void)
{
    cg_write_at(g_cg_root, "cgroup.subtree_control", "-cpuset");
    cg_end();
}

static unsigned long affinity_of(pid_t pid)
{
    unsigned long mask[16] = {0};

    return sys(SYS_sched_getaffinity, pid, sizeof(mask), mask) > 0 ? mask[0] : 0;
}

static long affinity_set(pid_t pid, unsigned long mask)
{
    return sys(SYS_sched_setaffinity, pid, sizeof(mask), &mask);
}

/* Two CPUs that this process may use; false: there are none. */
static bool two_cpus(int *a, int *b)
{
    unsigned long mask = affinity_of(0), rest = mask & (mask - 1);

    if (!rest)
        return false;
    *a = __builtin_ctzl(mask);
    *b = __builtin_ctzl(rest);
    return true;
}

static int g_gate[2];

static int wait_gate(void *arg)
{
    char c;

    (void)arg;
    return read(g_gate[0], &c, 1) == 1 ? 0 : 1;
}

static void set_cpus(int cpu)
{
    char text[16] = "";

    if (cpu >= 0)
        snprintf(text, sizeof(text), "%d", cpu);
    CHECK_EQ(cg_write("cpuset.cpus", cpu >= 0 ? text : "\n"), 0);
}

TEST(limits_affinity)
{
    int a, b, status;
    unsigned long all = affinity_of(0);
    pid_t pid;

    if (!two_cpus(&a, &b))
        SKIP("needs two CPUs");
    BEGIN;
    char text[64];

    CHECK_EQ(pipe(g_gate), 0);
    pid = cg_fork_at(g_cg, wait_gate, NULL);
    while (cg_read("cgroup.procs", text, sizeof(text)) >= 0 &&
           !strchr(strchr(text, '\n') + 1, '\n'))
        test_sleep_ms(5);
    CHECK_EQ(affinity_of(pid), all);
    set_cpus(b);
    CHECK_EQ(affinity_of(pid), 1ul << b);
    CHECK(cg_read("cpuset.cpus.effective", text, sizeof(text)) > 0);
    CHECK_EQ(atoi(text), b);
    /* Outside of the cpuset: refused. Partly: narrowed. */
    CHECK_ERR(affinity_set(pid, 1ul << a), EINVAL);
    CHECK_EQ(affinity_set(pid, 1ul << a | 1ul << b), 0);
    CHECK_EQ(affinity_of(pid), 1ul << b);
    /* The wish is remembered. */
    set_cpus(-1);
    CHECK_EQ(affinity_of(pid), (1ul << a | 1ul << b) & all);
    CHECK_EQ(affinity_set(pid, 1ul << a), 0);
    CHECK_EQ(affinity_of(pid), 1ul << a);
    /* Nothing in common: the cpuset wins, the wish waits. */
    set_cpus(b);
    CHECK_EQ(affinity_of(pid), 1ul << b);
    set_cpus(-1);
    CHECK_EQ(affinity_of(pid), 1ul << a);
    CHECK_EQ(write(g_gate[1], "x", 1), 1);
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK_EQ(status, 0);
    end();
}

static int runs_on(void *arg)
{
    unsigned want = (unsigned)(long)arg, cpu;

    for (int i = 0; i < 200; i++) {
        for (volatile int spin = 0; spin < 20000; spin++)
            ;
        if (sys(SYS_getcpu, &cpu, NULL, NULL) != 0 || cpu != want || sched_getcpu() != (int)want)
            return 1;
        if (i % 50 == 0)
            sched_yield();
    }
    return 0;
}

TEST(is_enforced)
{
    int a, b, status;

    if (!two_cpus(&a, &b))
        SKIP("needs two CPUs");
    BEGIN;
    for (int i = 0; i < 2; i++) {
        int cpu = i ? a : b;
        pid_t pid;

        set_cpus(cpu);
        pid = cg_fork_at(g_cg, runs_on, (void *)(long)cpu);
        CHECK_EQ(waitpid(pid, &status, 0), pid);
        CHECK_EQ(status, 0);
    }
    end();
}

TEST(words)
{
    BEGIN;
    char text[64];

    CHECK_EQ(cg_write("cpuset.cpus", "x"), -EINVAL);
    CHECK_EQ(cg_write("cpuset.cpus", "1-0"), -EINVAL);
    CHECK_EQ(cg_write("cpuset.cpus", "0"), 0);
    CHECK(cg_read("cpuset.cpus", text, sizeof(text)) > 0);
    CHECK_EQ(strcmp(text, "0\n"), 0);
    end();
}

GUEST_TEST_MAIN
