/* SPDX-License-Identifier: Apache-2.0 */
/* getrlimit, setrlimit, prlimit64, getrusage, sysinfo. */
#include <sys/resource.h>
#include <sys/sysinfo.h>

#include "tests/support/guest_test.h"

TEST(limits)
{
    struct rlimit a, b, old;

    CHECK_EQ(sysp(SYS_getrlimit, (unsigned)RLIMIT_NOFILE, &old), 0);
    CHECK_EQ(sysp(SYS_prlimit64, 0, (unsigned)RLIMIT_NOFILE, NULL, &a), 0);
    CHECK(a.rlim_cur == old.rlim_cur && a.rlim_max == old.rlim_max);
    b = a;
    b.rlim_cur = 33;
    CHECK_EQ(sysp(SYS_setrlimit, (unsigned)RLIMIT_NOFILE, &b), 0);
    CHECK_EQ(sysp(SYS_prlimit64, getpid(), (unsigned)RLIMIT_NOFILE, &old, &a), 0);
    CHECK_EQ(a.rlim_cur, 33);
    b.rlim_cur = b.rlim_max;
    b.rlim_max = 10;
    CHECK_ERR(sysp(SYS_setrlimit, (unsigned)RLIMIT_NOFILE, &b), EINVAL);
    CHECK_ERR(sysp(SYS_getrlimit, 99u, &a), EINVAL);
    CHECK_ERR(sysp(SYS_getrlimit, (unsigned)RLIMIT_NOFILE, BAD_PTR), EFAULT);
    CHECK_ERR(sysp(SYS_prlimit64, 0x3ffffff, (unsigned)RLIMIT_NOFILE, NULL, &a), ESRCH);
    CHECK_ERR(sysp(SYS_prlimit64, 0, 99u, NULL, &a), EINVAL);
}

static void unprivileged(void)
{
    struct rlimit a;

    if (getuid() == 0)
        REQUIRE(setuid(65534) == 0);
    CHECK(getrlimit(RLIMIT_CORE, &a) == 0);
    a.rlim_cur = a.rlim_max = 1000;
    CHECK(setrlimit(RLIMIT_CORE, &a) == 0);
    a.rlim_max = 2000;
    CHECK_ERR(setrlimit(RLIMIT_CORE, &a), EPERM);
}

TEST(raising_the_hard_limit)
{
    CHECK_EQ(test_in_child(unprivileged), 0);
}

static void address_space(void)
{
    struct rlimit a = {300 << 20, 300 << 20};

    CHECK(setrlimit(RLIMIT_AS, &a) == 0);
    CHECK_ERR(sysp(SYS_mmap, NULL, (size_t)1 << 30, 3, 0x22, -1, 0L), ENOMEM);
    CHECK(sysp(SYS_mmap, NULL, (size_t)1 << 20, 3UL, 0x22UL, -1, 0L) > 0);
}

TEST(address_space_limit)
{
    CHECK_EQ(test_in_child(address_space), 0);
}

static void too_many_processes(void)
{
    struct rlimit a = {1, 1};
    pid_t pid;

    if (getuid() == 0)
        REQUIRE(setuid(64321) == 0);
    CHECK(setrlimit(RLIMIT_NPROC, &a) == 0);
    pid = fork();
    CHECK(pid < 0 && errno == EAGAIN);
    if (pid == 0)
        _exit(0);
}

TEST(process_limit)
{
    if (getuid() != 0)
        SKIP("needs root to become a user without processes");
    CHECK_EQ(test_in_child(too_many_processes), 0);
}

TEST(usage)
{
    struct rusage ru;
    clock_t start = clock();

    while (clock() - start < CLOCKS_PER_SEC / 33)
        ;
    CHECK_EQ(sysp(SYS_getrusage, RUSAGE_SELF, &ru), 0);
    CHECK(ru.ru_utime.tv_sec > 0 || ru.ru_utime.tv_usec + ru.ru_stime.tv_usec > 5000);
    CHECK(ru.ru_maxrss > 0);
    CHECK_EQ(sysp(SYS_getrusage, RUSAGE_CHILDREN, &ru), 0);
    CHECK_EQ(sysp(SYS_getrusage, RUSAGE_THREAD, &ru), 0);
    CHECK_ERR(sysp(SYS_getrusage, 5, &ru), EINVAL);
    CHECK_ERR(sysp(SYS_getrusage, RUSAGE_SELF, BAD_PTR), EFAULT);
}

TEST(system_information)
{
    struct sysinfo si;

    CHECK_EQ(sysp(SYS_sysinfo, &si), 0);
    CHECK(si.totalram > 0 && si.freeram <= si.totalram);
    CHECK(si.mem_unit > 0 && si.procs > 0);
    CHECK_ERR(sysp(SYS_sysinfo, BAD_PTR), EFAULT);
}

GUEST_TEST_MAIN
