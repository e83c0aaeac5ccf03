/* SPDX-License-Identifier: Apache-2.0 */
/* PR_SET_MDWE: no memory becomes executable that was writable. prctl(2). */
#define _GNU_SOURCE
#include "tests/support/guest_test.h"

#include <sys/mman.h>
#include <sys/prctl.h>

#define SET_MDWE         65
#define GET_MDWE         66
#define REFUSE_EXEC_GAIN 1L
#define NO_INHERIT       2L

static bool supported(void)
{
    return sys(SYS_prctl, GET_MDWE, 0L, 0L, 0L, 0L) >= 0;
}

TEST(refusals)
{
    if (!supported())
        SKIP_ON_HOST("before Linux 6.3");
    CHECK_EQ(sys(SYS_prctl, GET_MDWE, 0L, 0L, 0L, 0L), 0);
    CHECK_ERR(sys(SYS_prctl, GET_MDWE, 1L, 0L, 0L, 0L), EINVAL);
    CHECK_ERR(sys(SYS_prctl, SET_MDWE, 4L, 0L, 0L, 0L), EINVAL);
    CHECK_ERR(sys(SYS_prctl, SET_MDWE, NO_INHERIT, 0L, 0L, 0L), EINVAL);
    CHECK_ERR(sys(SYS_prctl, SET_MDWE, REFUSE_EXEC_GAIN, 1L, 0L, 0L), EINVAL);
    CHECK_ERR(sys(SYS_prctl, SET_MDWE, REFUSE_EXEC_GAIN, 0L, 0L, 1L), EINVAL);
    CHECK_EQ(sys(SYS_prctl, SET_MDWE, 0L, 0L, 0L, 0L), 0);
}

static void *map(int prot)
{
    return mmap(NULL, 4096, prot, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

static void denied(void)
{
    void *rw = map(PROT_READ | PROT_WRITE), *rx = map(PROT_READ | PROT_EXEC),
         *none = map(PROT_NONE);

    CHECK(map(PROT_READ | PROT_WRITE | PROT_EXEC) == MAP_FAILED && errno == EACCES);
    CHECK_ERR(mprotect(rw, 4096, PROT_READ | PROT_EXEC), EACCES);
    CHECK_ERR(mprotect(none, 4096, PROT_EXEC), EACCES);
    CHECK_ERR(mprotect(rx, 4096, PROT_READ | PROT_WRITE | PROT_EXEC), EACCES);
    CHECK_EQ(mprotect(rx, 4096, PROT_EXEC), 0); /* it has it already */
    CHECK_EQ(mprotect(rx, 4096, PROT_READ | PROT_WRITE), 0);
    CHECK_ERR(mprotect(rx, 4096, PROT_READ | PROT_EXEC), EACCES);
    CHECK_EQ(mprotect(rw, 4096, PROT_READ), 0);
}

static void set_and_fork(void)
{
    int status;

    CHECK_EQ(sys(SYS_prctl, SET_MDWE, REFUSE_EXEC_GAIN, 0L, 0L, 0L), 0);
    CHECK_EQ(sys(SYS_prctl, GET_MDWE, 0L, 0L, 0L, 0L), 1);
    CHECK_EQ(sys(SYS_prctl, SET_MDWE, REFUSE_EXEC_GAIN, 0L, 0L, 0L), 0);
    CHECK_ERR(sys(SYS_prctl, SET_MDWE, 0L, 0L, 0L, 0L), EPERM);
    CHECK_ERR(sys(SYS_prctl, SET_MDWE, REFUSE_EXEC_GAIN | NO_INHERIT, 0L, 0L, 0L), EPERM);
    denied();
    status = test_in_child(denied);
    CHECK_EQ(status, 0);
}

TEST(exec_gain_is_refused)
{
    if (!supported())
        SKIP_ON_HOST("before Linux 6.3");
    CHECK_EQ(test_in_child(set_and_fork), 0);
}

static void free_again(void)
{
    CHECK_EQ(sys(SYS_prctl, GET_MDWE, 0L, 0L, 0L, 0L), 0);
    CHECK(map(PROT_READ | PROT_WRITE | PROT_EXEC) != MAP_FAILED);
}

static void set_alone(void)
{
    if (sys(SYS_prctl, SET_MDWE, REFUSE_EXEC_GAIN | NO_INHERIT, 0L, 0L, 0L) == -EINVAL)
        return; /* before Linux 6.6 */
    CHECK_EQ(sys(SYS_prctl, GET_MDWE, 0L, 0L, 0L, 0L), 3);
    denied();
    CHECK_EQ(test_in_child(free_again), 0);
}

TEST(children_are_left_out)
{
    if (!supported())
        SKIP_ON_HOST("before Linux 6.3");
    CHECK_EQ(test_in_child(set_alone), 0);
}

static void set_and_exec(void)
{
    char path[] = "/proc/self/exe", name[] = "inherited_by_exec", *argv[] = {path, name, NULL},
         inside[] = "MDWE_INSIDE=1", *envp[] = {inside, NULL};

    CHECK_EQ(sys(SYS_prctl, SET_MDWE, REFUSE_EXEC_GAIN, 0L, 0L, 0L), 0);
    execve(path, argv, envp);
    _exit(1);
}

TEST(inherited_by_exec)
{
    if (!supported())
        SKIP_ON_HOST("before Linux 6.3");
    if (getenv("MDWE_INSIDE")) {
        CHECK_EQ(sys(SYS_prctl, GET_MDWE, 0L, 0L, 0L, 0L), 1);
        denied();
    } else {
        CHECK_EQ(test_in_child(set_and_exec), 0);
    }
}

GUEST_TEST_MAIN
