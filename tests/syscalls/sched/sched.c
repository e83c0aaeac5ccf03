/* SPDX-License-Identifier: Apache-2.0 */
/* Priorities, policies, affinity, getcpu, membarrier, I/O priorities. */
#include <linux/membarrier.h>
#include <sched.h>
#include <sys/resource.h>

#include "tests/support/guest_test.h"

struct attr {
    uint32_t size, policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime, deadline, period;
};

TEST(policies)
{
    struct sched_param p = {0};
    struct timespec ts;

    CHECK_EQ(sysp(SYS_sched_getscheduler, 0), SCHED_OTHER);
    CHECK_EQ(sysp(SYS_sched_getparam, 0, &p), 0);
    CHECK_EQ(p.sched_priority, 0);
    CHECK_EQ(sysp(SYS_sched_setparam, 0, &p), 0);
    CHECK_EQ(sysp(SYS_sched_setscheduler, 0, SCHED_BATCH, &p), 0);
    CHECK_EQ(sysp(SYS_sched_getscheduler, 0), SCHED_BATCH);
    CHECK_EQ(sysp(SYS_sched_setscheduler, 0, SCHED_OTHER, &p), 0);
    CHECK_EQ(sysp(SYS_sched_get_priority_max, SCHED_FIFO), 99);
    CHECK_EQ(sysp(SYS_sched_get_priority_min, SCHED_RR), 1);
    CHECK_EQ(sysp(SYS_sched_get_priority_max, SCHED_OTHER), 0);
    CHECK_ERR(sysp(SYS_sched_get_priority_max, 99), EINVAL);
    CHECK_EQ(sysp(SYS_sched_rr_get_interval, 0, &ts), 0);
    CHECK_ERR(sysp(SYS_sched_rr_get_interval, -1, &ts), EINVAL);
    p.sched_priority = 5;
    CHECK_ERR(sysp(SYS_sched_setscheduler, 0, SCHED_OTHER, &p), EINVAL);
    CHECK_ERR(sysp(SYS_sched_setscheduler, 0, 99, &p), EINVAL);
    CHECK_ERR(sysp(SYS_sched_setscheduler, -1, SCHED_OTHER, &p), EINVAL);
    CHECK_ERR(sysp(SYS_sched_setscheduler, 0, SCHED_OTHER, NULL), EINVAL);
    CHECK_ERR(sysp(SYS_sched_setscheduler, 0, SCHED_OTHER, BAD_PTR), EFAULT);
    CHECK_ERR(sysp(SYS_sched_getscheduler, 0x3ffffff), ESRCH);
    CHECK_ERR(sysp(SYS_sched_getscheduler, -5), EINVAL);
    CHECK_ERR(sysp(SYS_sched_getparam, 0, NULL), EINVAL);
    CHECK_EQ(sysp(SYS_sched_yield), 0);
}

TEST(extended_attributes)
{
    struct attr a = {.size = sizeof(a)};

    CHECK_EQ(sysp(SYS_sched_getattr, 0, &a, (unsigned)sizeof(a), 0u), 0);
    CHECK_EQ(a.size, 48);
    CHECK_EQ(a.policy, SCHED_OTHER);
    CHECK_ERR(sysp(SYS_sched_getattr, 0, &a, 10u, 0u), EINVAL);
    CHECK_ERR(sysp(SYS_sched_getattr, 0, &a, 48u, 1u), EINVAL);
    CHECK_EQ(sysp(SYS_sched_setattr, 0, &a, 0u), 0);
    a.policy = 99;
    CHECK_ERR(sysp(SYS_sched_setattr, 0, &a, 0u), EINVAL);
    CHECK_ERR(sysp(SYS_sched_setattr, 0, NULL, 0u), EINVAL);
    CHECK_ERR(sysp(SYS_sched_setattr, 0, BAD_PTR, 0u), EFAULT);
}

static void nice_values(void)
{
    /* The raw call gives 20 - nice; whoever starts the tests may be nice already. */
    int nice = 20 - (int)sysp(SYS_getpriority, PRIO_PROCESS, 0);

    CHECK(nice >= 0 && nice < 19);
    CHECK_EQ(sysp(SYS_setpriority, PRIO_PROCESS, 0, nice + 1), 0);
    CHECK_EQ(sysp(SYS_getpriority, PRIO_PROCESS, 0), 19 - nice);
    CHECK_EQ(sysp(SYS_setpriority, PRIO_PROCESS, 0, 100), 0);
    CHECK_EQ(sysp(SYS_getpriority, PRIO_PROCESS, 0), 1);
    if (getuid() == 0)
        REQUIRE(setuid(65534) == 0);
    CHECK_ERR(sysp(SYS_setpriority, PRIO_PROCESS, 0, 0), EACCES);
    CHECK_ERR(sysp(SYS_getpriority, 9, 0), EINVAL);
    CHECK_ERR(sysp(SYS_getpriority, PRIO_PROCESS, 0x3ffffff), ESRCH);
    CHECK_ERR(sysp(SYS_setpriority, 9, 0, 0), EINVAL);
}

TEST(priorities)
{
    CHECK_EQ(test_in_child(nice_values), 0);
}

TEST(affinity)
{
    unsigned long mask[16] = {0}, one[16] = {0};
    unsigned cpu = 99, node = 99;
    long n = sysp(SYS_sched_getaffinity, 0, (unsigned)sizeof(mask), mask);

    CHECK(n >= 8 && n <= 128);
    CHECK(mask[0] != 0);
    CHECK_ERR(sysp(SYS_sched_getaffinity, 0, 4u, mask), EINVAL);
    CHECK_ERR(sysp(SYS_sched_getaffinity, 0, 9u, mask), EINVAL);
    CHECK_ERR(sysp(SYS_sched_getaffinity, 0, 128u, BAD_PTR), EFAULT);
    CHECK_ERR(sysp(SYS_sched_getaffinity, 0x3ffffff, 128u, mask), ESRCH);
    one[0] = mask[0] & -mask[0];
    CHECK_EQ(sysp(SYS_sched_setaffinity, 0, 128u, one), 0);
    CHECK_EQ(sysp(SYS_getcpu, &cpu, &node, NULL), 0);
    CHECK_EQ(1ul << cpu, one[0]);
    memset(one, 0, sizeof(one));
    CHECK_ERR(sysp(SYS_sched_setaffinity, 0, 128u, one), EINVAL);
    CHECK_EQ(sysp(SYS_sched_setaffinity, 0, 128u, mask), 0);
}

/* Every CPU of the affinity mask can be chosen, and is where the thread then runs. */
TEST(affinity_is_enforced)
{
    unsigned long all[16] = {0}, one[16] = {0}, back[16];
    unsigned cpu;

    CHECK(sys(SYS_sched_getaffinity, 0, sizeof(all), all) > 0);
    for (int round = 0; round < 4; round++) {
        for (unsigned i = 0; i < 64; i++) {
            if (!(all[0] >> i & 1))
                continue;
            one[0] = 1ul << i;
            CHECK_EQ(sys(SYS_sched_setaffinity, 0, sizeof(one), one), 0);
            memset(back, 0, sizeof(back));
            CHECK(sys(SYS_sched_getaffinity, 0, sizeof(back), back) > 0);
            CHECK_EQ(back[0], one[0]);
            CHECK_EQ(sys(SYS_getcpu, &cpu, NULL, NULL), 0);
            CHECK_EQ(cpu, i);
            CHECK_EQ(sched_getcpu(), (int)i);
        }
    }
    /* CPUs that do not exist are left out. */
    memset(one, 0xff, sizeof(one));
    CHECK_EQ(sys(SYS_sched_setaffinity, 0, sizeof(one), one), 0);
    memset(back, 0, sizeof(back));
    CHECK(sys(SYS_sched_getaffinity, 0, sizeof(back), back) > 0);
    CHECK_EQ(back[0] & all[0], all[0]);
    CHECK_EQ(sys(SYS_sched_setaffinity, 0, sizeof(all), all), 0);
}

static void affinity_child(void)
{
    unsigned long mask[16] = {0}, want = 0;
    char line[256];
    FILE *f = fopen("/proc/self/status", "re");

    REQUIRE(f != NULL);
    CHECK(sys(SYS_sched_getaffinity, 0, sizeof(mask), mask) > 0);
    while (fgets(line, sizeof(line), f)) {
        if (sscanf(line, "Cpus_allowed: %lx", &want) == 1)
            CHECK_EQ(want, mask[0]);
        if (strncmp(line, "Cpus_allowed_list:", 18) == 0)
            CHECK_EQ(atol(line + 18), __builtin_ctzl(mask[0]));
    }
    fclose(f);
    CHECK_EQ(want, mask[0]);
    CHECK_EQ(__builtin_popcountl(mask[0]), 1);
    CHECK_EQ(1ul << sched_getcpu(), mask[0]);
}

TEST(affinity_is_inherited)
{
    unsigned long all[16] = {0}, one[16] = {0};

    CHECK(sys(SYS_sched_getaffinity, 0, sizeof(all), all) > 0);
    for (unsigned i = 0; i < 64; i++) {
        if (!(all[0] >> i & 1))
            continue;
        one[0] = 1ul << i;
        CHECK_EQ(sys(SYS_sched_setaffinity, 0, sizeof(one), one), 0);
        CHECK_EQ(test_in_child(affinity_child), 0);
    }
    CHECK_EQ(sys(SYS_sched_setaffinity, 0, sizeof(all), all), 0);
}

TEST(memory_barriers)
{
    long supported = sysp(SYS_membarrier, MEMBARRIER_CMD_QUERY, 0u, 0);

    if (supported == -ENOSYS)
        SKIP("no membarrier");
    CHECK(supported >= 0);
    if (supported & MEMBARRIER_CMD_PRIVATE_EXPEDITED) {
        CHECK_EQ(sysp(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0u, 0), 0);
        CHECK_EQ(sysp(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0u, 0), 0);
    }
    CHECK_ERR(sysp(SYS_membarrier, MEMBARRIER_CMD_QUERY, 1u, 0), EINVAL);
    CHECK_ERR(sysp(SYS_membarrier, 0x4000000, 0u, 0), EINVAL);
}

static void io_priority_of_a_group(void)
{
    if (setsid() < 0 || setpriority(PRIO_PROCESS, 0, 10) != 0)
        _exit(9);
    CHECK_EQ(sysp(SYS_ioprio_get, 1, 0), 0);
    CHECK_EQ(sysp(SYS_ioprio_get, 2, 0), 2 << 13 | 6); /* what is in effect: follows from nice */
}

TEST(io_priority)
{
    long v = sysp(SYS_ioprio_get, 1, 0);

    CHECK(v >= 0);
    CHECK_EQ(sysp(SYS_ioprio_set, 1, 0, 2 << 13 | 3), 0);
    CHECK_EQ(sysp(SYS_ioprio_get, 1, 0), 2 << 13 | 3);
    CHECK_EQ(sysp(SYS_ioprio_set, 1, 0, 0), 0);
    CHECK_EQ(sysp(SYS_ioprio_get, 1, 0), 0); /* nothing is set */
    CHECK_ERR(sysp(SYS_ioprio_get, 9, 0), EINVAL);
    CHECK_ERR(sysp(SYS_ioprio_set, 1, 0, 7 << 13), EINVAL);
    CHECK_EQ(test_in_child(io_priority_of_a_group), 0);
}

GUEST_TEST_MAIN
