/* SPDX-License-Identifier: Apache-2.0 */
/* prctl, arch_prctl, getrandom. */
#include <asm/prctl.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <sys/prctl.h>
#include <sys/random.h>

#include "tests/support/guest_test.h"

TEST(name)
{
    char name[20] = "";
    FILE *f;

    CHECK_EQ(sysp(SYS_prctl, PR_SET_NAME, "a-rather-long-name", 0L, 0L, 0L), 0);
    CHECK_EQ(sysp(SYS_prctl, PR_GET_NAME, name, 0L, 0L, 0L), 0);
    CHECK_STR(name, "a-rather-long-n");
    f = fopen("/proc/self/comm", "r");
    REQUIRE(f);
    CHECK(fgets(name, sizeof(name), f) != NULL);
    CHECK_STR(name, "a-rather-long-n\n");
    fclose(f);
    CHECK_ERR(sysp(SYS_prctl, PR_SET_NAME, BAD_PTR, 0L, 0L, 0L), EFAULT);
}

TEST(switches)
{
    int v = -1;

    CHECK_EQ(sysp(SYS_prctl, PR_SET_PDEATHSIG, (long)SIGUSR1, 0L, 0L, 0L), 0);
    CHECK_EQ(sysp(SYS_prctl, PR_GET_PDEATHSIG, &v, 0L, 0L, 0L), 0);
    CHECK_EQ(v, SIGUSR1);
    CHECK_ERR(sysp(SYS_prctl, PR_SET_PDEATHSIG, 99L, 0L, 0L, 0L), EINVAL);
    CHECK_EQ(prctl(PR_SET_PDEATHSIG, 0), 0);
    CHECK_EQ(sysp(SYS_prctl, PR_GET_DUMPABLE, 0L, 0L, 0L, 0L), 1);
    CHECK_EQ(prctl(PR_SET_DUMPABLE, 0), 0);
    CHECK_EQ(prctl(PR_GET_DUMPABLE), 0);
    CHECK_ERR(prctl(PR_SET_DUMPABLE, 2), EINVAL);
    CHECK_EQ(prctl(PR_SET_DUMPABLE, 1), 0);
    CHECK_EQ(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
    CHECK_EQ(prctl(PR_GET_CHILD_SUBREAPER, &v), 0);
    CHECK_EQ(v, 1);
    CHECK_EQ(prctl(PR_SET_CHILD_SUBREAPER, 0), 0);
    CHECK_EQ(prctl(PR_SET_TIMERSLACK, 12345), 0);
    CHECK_EQ(prctl(PR_GET_TIMERSLACK), 12345);
    CHECK_EQ(prctl(PR_GET_KEEPCAPS), 0);
    CHECK_ERR(prctl(PR_SET_KEEPCAPS, 2), EINVAL);
    CHECK_EQ(prctl(PR_GET_SECCOMP), 0);
    CHECK_ERR(sysp(SYS_prctl, 9999, 0L, 0L, 0L, 0L), EINVAL);
    CHECK_EQ(prctl(PR_CAPBSET_READ, CAP_CHOWN) & ~1, 0);
    CHECK_ERR(prctl(PR_CAPBSET_READ, 99), EINVAL);
}

static void no_new_privs(void)
{
    CHECK_EQ(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0), 0);
    CHECK_ERR(prctl(PR_SET_NO_NEW_PRIVS, 0, 0, 0, 0), EINVAL);
    CHECK_ERR(prctl(PR_SET_NO_NEW_PRIVS, 1, 1, 0, 0), EINVAL);
    CHECK_EQ(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
    CHECK_EQ(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0), 1);
}

TEST(no_new_privileges)
{
    CHECK_EQ(test_in_child(no_new_privs), 0);
}

static void wait_for_parent(void)
{
    pid_t pid;
    int p[2];
    char c;

    REQUIRE(pipe(p) == 0);
    pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (write(p[1], "x", 1) != 1)
            _exit(1);
        pause();
        _exit(0);
    }
    close(p[1]);
    CHECK(pid > 0);
    c = 0;
    CHECK(read(p[0], &c, 1) >= 0);
}

TEST(parent_death_signal)
{
    /* The grandchild dies with its parent: the pipe of the whole family closes. */
    CHECK_EQ(test_in_child(wait_for_parent), 0);
}

TEST(bounding_set)
{
    pid_t pid = fork();
    int status;

    if (pid == 0) {
        g_test_failures = 0;
        if (getuid() != 0) {
            CHECK_ERR(prctl(PR_CAPBSET_DROP, CAP_CHOWN), EPERM);
            _exit(g_test_failures);
        }
        CHECK_EQ(prctl(PR_CAPBSET_READ, CAP_CHOWN), 1);
        CHECK_EQ(prctl(PR_CAPBSET_DROP, CAP_CHOWN), 0);
        CHECK_EQ(prctl(PR_CAPBSET_READ, CAP_CHOWN), 0);
        CHECK_EQ(prctl(PR_SET_SECUREBITS, SECBIT_NOROOT), 0);
        CHECK_EQ(prctl(PR_GET_SECUREBITS), SECBIT_NOROOT);
        _exit(g_test_failures);
    }
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK_EQ(status, 0);
}

TEST(segment_bases)
{
    unsigned long fs = 0, gs = 1;

    CHECK_EQ(sysp(SYS_arch_prctl, ARCH_GET_FS, &fs), 0);
    CHECK(fs != 0);
    CHECK_EQ(sysp(SYS_arch_prctl, ARCH_SET_FS, fs), 0);
    CHECK_EQ(sysp(SYS_arch_prctl, ARCH_SET_GS, 0x12345000L), 0);
    CHECK_EQ(sysp(SYS_arch_prctl, ARCH_GET_GS, &gs), 0);
    CHECK_EQ(gs, 0x12345000);
    CHECK_EQ(sysp(SYS_arch_prctl, ARCH_SET_GS, 0L), 0);
    CHECK_ERR(sysp(SYS_arch_prctl, ARCH_SET_GS, 0xffff800000000000UL), EPERM);
    CHECK_ERR(sysp(SYS_arch_prctl, ARCH_GET_FS, BAD_PTR), EFAULT);
    CHECK_ERR(sysp(SYS_arch_prctl, 0x9999, 0L), EINVAL);
}

TEST(random_bytes)
{
    unsigned char a[300], b[300];

    CHECK_EQ(sysp(SYS_getrandom, a, (size_t)300, 0u), 300);
    CHECK_EQ(sysp(SYS_getrandom, b, (size_t)300, (unsigned)GRND_NONBLOCK), 300);
    CHECK(memcmp(a, b, 300) != 0);
    CHECK_EQ(sysp(SYS_getrandom, a, (size_t)0, 0u), 0);
    CHECK_ERR(sysp(SYS_getrandom, a, (size_t)1, 0x100u), EINVAL);
    CHECK_ERR(sysp(SYS_getrandom, a, (size_t)1, 6u), EINVAL);
    CHECK_ERR(sysp(SYS_getrandom, BAD_PTR, (size_t)1, 0u), EFAULT);
}

GUEST_TEST_MAIN
