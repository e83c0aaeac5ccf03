/* SPDX-License-Identifier: Apache-2.0 */
/* ptrace(2): random requests with random arguments on stopped and running children. Whatever they do to
 * the child, the caller gets a result and the kernel goes on. */
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "tests/support/ptrace_test.h"

enum { SECONDS = 3 };

static uint64_t g_state;
static char *g_memory;

static uint64_t rnd(void)
{
    g_state ^= g_state << 13;
    g_state ^= g_state >> 7;
    g_state ^= g_state << 17;
    return g_state;
}

static void busy(void)
{
    struct rlimit none = {0, 0};

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    setrlimit(RLIMIT_CORE, &none);
    for (;;) {
        sys(SYS_getppid);
        for (volatile int i = 0; i < 1000; i++)
            ;
    }
}

static pid_t victim(void)
{
    pid_t pid = fork();

    if (pid == 0) {
        signal(SIGALRM, SIG_DFL); /* the test's own handler would talk */
        pt(PTRACE_TRACEME, 0, 0, 0);
        raise(SIGSTOP);
        busy();
    }
    waitpid(pid, NULL, __WALL);
    return pid;
}

static uint64_t argument(void)
{
    switch (rnd() % 8) {
    case 0:
        return 0;
    case 1:
        return rnd() % 70;
    case 2:
        return rnd() % 928 & ~7ull;
    case 3:
        return (uint64_t)(uintptr_t)g_memory + (rnd() % 8192 & ~7ull);
    case 4:
        return rnd();
    case 5:
        return 1ull << (rnd() % 64);
    case 6: {
        static const uint32_t notes[] = {1, 2, 3, 6, 0x200, 0x201, 0x202, 0x53494749};

        return notes[rnd() % (sizeof(notes) / sizeof(notes[0]))];
    }
    default:
        return (uint64_t) - (int64_t)(rnd() % 600);
    }
}

static long request(void)
{
    static const long common[] = {
        PTRACE_SETREGS,
        PTRACE_GETREGS,
        PTRACE_POKEUSER,
        PTRACE_PEEKUSER,
        PTRACE_SETREGSET,
        PTRACE_GETREGSET,
        PTRACE_SETFPREGS,
        PTRACE_GETFPREGS,
        PTRACE_CONT,
        PTRACE_SYSCALL,
        PTRACE_SINGLESTEP,
        PTRACE_SETSIGINFO,
        PTRACE_GETSIGINFO,
        31,
        32,
        PTRACE_SETSIGMASK,
        PTRACE_POKEDATA,
        PTRACE_SETOPTIONS,
        30,
        0x420e,
    };

    return rnd() % 4 ? common[rnd() % (sizeof(common) / sizeof(common[0]))]
                     : (long)(rnd() % 2 ? rnd() % 40 : 0x4200 + rnd() % 20);
}

/* Random bytes, sometimes a plausible image of what SETREGS and friends take. */
static void fill(pid_t pid)
{
    struct iovec *iov = (void *)(g_memory + (rnd() % 4096 & ~15ull));

    for (int i = 0; i < 512; i++)
        ((uint64_t *)(void *)g_memory)[rnd() % 1024] = rnd() % 3 ? rnd() % 100 : rnd();
    if (rnd() % 2)
        pt(PTRACE_GETREGS, pid, 0, g_memory + 4096);
    iov->iov_base = g_memory + (rnd() % 4096 & ~7ull);
    iov->iov_len = rnd() % 4 ? rnd() % 4096 & ~7ull : rnd();
}

TEST(random_requests)
{
    long long end = test_now_ms() + SECONDS * 1000;
    uint64_t seed = (uint64_t)test_now_ms() | 1;
    unsigned long calls = 0;
    int status;
    pid_t pid;

    g_state = seed;
    g_memory = mmap(NULL, 16384, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    pid = victim();
    while (test_now_ms() < end) {
        long nr = request();

        if (nr == PTRACE_TRACEME || nr == PTRACE_DETACH || nr == PTRACE_KILL)
            continue;
        fill(pid);
        pt(nr, pid, argument(), argument());
        calls++;
        if (waitpid(pid, &status, WNOHANG | __WALL) == pid &&
            (WIFEXITED(status) || WIFSIGNALED(status)))
            pid = victim();
        else if (rnd() % 16 == 0)
            kill(pid, rnd() % 4 ? SIGSTOP : (int)(rnd() % 32) + 1);
    }
    pt_kill(pid);
    if (!CHECK(calls > 100))
        test_say("seed %llu\n", (unsigned long long)seed);
}

GUEST_TEST_MAIN
