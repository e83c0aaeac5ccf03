/* SPDX-License-Identifier: Apache-2.0 */
/* prctl(PR_SET_SYSCALL_USER_DISPATCH): system calls as SIGSYS. */
#include <sys/prctl.h>
#include <sys/ucontext.h>

#include "tests/support/guest_test.h"

#define SET 59

static volatile char g_block;
static volatile int g_code, g_nr, g_caught;

static void caught(int signo, siginfo_t *info, void *arg)
{
    ucontext_t *uc = arg;

    g_block = 0; /* for the return from here, too */
    g_caught = signo;
    g_code = info->si_code;
    g_nr = info->si_syscall;
    uc->uc_mcontext.gregs[REG_RAX] = 4242;
}

static void dispatch(void)
{
    struct sigaction sa = {.sa_sigaction = caught, .sa_flags = SA_SIGINFO};
    int status;

    sigaction(SIGSYS, &sa, NULL);
    REQUIRE(sys(SYS_prctl, SET, 1, 0, 0, &g_block) == 0);
    CHECK_EQ(sys(SYS_getppid) > 0, 1);
    g_block = 1;
    CHECK_EQ(sys(SYS_getpgid, 0), 4242);
    CHECK_EQ(g_caught, SIGSYS);
    CHECK_EQ(g_code, 2); /* SYS_USER_DISPATCH */
    CHECK_EQ(g_nr, SYS_getpgid);
    /* A child starts without it. */
    if (fork() == 0) {
        g_block = 1;
        _exit(sys(SYS_getpgid, 0) == 4242);
    }
    wait(&status);
    CHECK_EQ(status, 0);
    CHECK_EQ(sys(SYS_prctl, SET, 0, 0, 0, 0), 0);
    g_block = 1;
    CHECK(sys(SYS_getpgid, 0) != 4242);
    /* Code in the range goes through. */
    CHECK_EQ(sys(SYS_prctl, SET, 1, 1, 0x7fffffffffff, &g_block), 0);
    CHECK(sys(SYS_getpgid, 0) != 4242);
    g_block = 0;
    CHECK_EQ(sys(SYS_prctl, SET, 0, 0, 0, 0), 0);
}

TEST(calls_become_signals)
{
    if (sys(SYS_prctl, SET, 0, 0, 0, 0) == -EINVAL)
        SKIP_ON_HOST("before Linux 5.11");
    CHECK_EQ(test_in_child(dispatch), 0);
}

static void bad_selector(void)
{
    g_block = 7;
    sys(SYS_prctl, SET, 1, 0, 0, &g_block);
    sys(SYS_getpid);
    _exit(0);
}

TEST(errors)
{
    CHECK_ERR(sys(SYS_prctl, SET, 0, 1, 0, 0), EINVAL);
    CHECK_ERR(sys(SYS_prctl, SET, 0, 0, 1, 0), EINVAL);
    CHECK_ERR(sys(SYS_prctl, SET, 0, 0, 0, &g_block), EINVAL);
    CHECK_ERR(sys(SYS_prctl, SET, 9, 0, 0, 0), EINVAL);
    CHECK_ERR(sys(SYS_prctl, SET, 1, 4096, 0, &g_block), EINVAL);
    CHECK_ERR(sys(SYS_prctl, SET, 1, 4096, -1, &g_block), EINVAL);
    CHECK_ERR(sys(SYS_prctl, SET, 1, 0, 0, 1UL << 63), EFAULT);
    CHECK_EQ(WTERMSIG(test_in_child(bad_selector)), SIGSYS);
}

GUEST_TEST_MAIN
