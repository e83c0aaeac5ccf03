/* SPDX-License-Identifier: Apache-2.0 */
/* seccomp(2) and PR_SET_SECCOMP: filters of the guest's own. */
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>

#include "tests/support/seccomp_filter.h"

static bool install(int nr, uint32_t action)
{
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && filter_one_call(nr, action, 0) == 0;
}

static void errno_filter(void)
{
    REQUIRE(install(SYS_getppid, SECCOMP_RET_ERRNO | 33));
    CHECK_EQ(sysp(SYS_getppid), -33);
    CHECK(sysp(SYS_getpid) > 0);
    CHECK_EQ(prctl(PR_GET_SECCOMP), 2);
    /* Inherited, and stacked: the stricter wins. */
    if (fork() == 0)
        _exit(sysp(SYS_getppid) == -33 ? 0 : 1);
    int status;

    CHECK(wait(&status) > 0);
    CHECK_EQ(status, 0);
    REQUIRE(install(SYS_getppid, SECCOMP_RET_ALLOW));
    CHECK_EQ(sysp(SYS_getppid), -33);
}

static void kill_filter(void)
{
    if (install(SYS_getppid, SECCOMP_RET_KILL_PROCESS))
        sysp(SYS_getppid);
}

static volatile int g_sys_nr;

static void on_sigsys(int signo, siginfo_t *info, void *context)
{
    g_sys_nr = info->si_syscall;
}

static void trap_filter(void)
{
    struct sigaction sa = {.sa_sigaction = on_sigsys, .sa_flags = SA_SIGINFO};

    sigaction(SIGSYS, &sa, NULL);
    REQUIRE(install(SYS_getppid, SECCOMP_RET_TRAP));
    sysp(SYS_getppid);
    CHECK_EQ(g_sys_nr, SYS_getppid);
}

static void strict_mode(void)
{
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT) != 0)
        _exit(1);
    sys(SYS_getpid);
}

TEST(filters)
{
    CHECK_EQ(test_in_child(errno_filter), 0);
    CHECK_EQ(test_in_child(kill_filter) & 0x7f, SIGSYS);
    CHECK_EQ(test_in_child(trap_filter), 0);
    CHECK_EQ(test_in_child(strict_mode) & 0x7f, SIGKILL);
}

static void errors(void)
{
    struct sock_filter bad = BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 3);
    struct sock_fprog prog = {1, &bad}, none = {0, NULL};

    CHECK_ERR(sysp(SYS_seccomp, 99u, 0u, NULL), EINVAL);
    CHECK_ERR(sysp(SYS_seccomp, (unsigned)SECCOMP_SET_MODE_STRICT, 1u, NULL), EINVAL);
    CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
    CHECK_ERR(sysp(SYS_seccomp, (unsigned)SECCOMP_SET_MODE_FILTER, 0u, &prog), EINVAL);
    CHECK_ERR(sysp(SYS_seccomp, (unsigned)SECCOMP_SET_MODE_FILTER, 0u, &none), EINVAL);
    CHECK_ERR(sysp(SYS_seccomp, (unsigned)SECCOMP_SET_MODE_FILTER, 0u, BAD_PTR), EFAULT);
    CHECK_ERR(sysp(SYS_seccomp, (unsigned)SECCOMP_SET_MODE_FILTER, 0x4000u, &prog), EINVAL);
}

TEST(refused)
{
    CHECK_EQ(test_in_child(errors), 0);
}

GUEST_TEST_MAIN
