/* SPDX-License-Identifier: Apache-2.0 */
/*
 * syscall_fuzz SEED SECONDS: a guest program that makes random system calls with arguments that are
 * plausible for some type (small numbers, descriptors, pointers into a buffer, single bits, huge
 * and negative lengths). Each child makes 300 calls from its own seed; the parent ends it when it
 * blocks. Prints the seed it reached. For the sandbox only: never run it natively as root.
 */
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { CALLS = 300, BUFFER = 1 << 17, POLLS = 200, POLL_US = 2000 };

static uint64_t g_state;
static char *g_buf;

/* xorshift64 */
static uint64_t next(void)
{
    g_state ^= g_state << 13;
    g_state ^= g_state >> 7;
    g_state ^= g_state << 17;
    return g_state;
}

static uint64_t argument(void)
{
    switch (next() % 12) {
    case 0:
        return 0;
    case 1:
        return next() % 8;
    case 2:
        return (uint64_t)-1 - next() % 3;
    case 3:
        return (uint64_t)g_buf + next() % 8192;
    case 4:
        return (uint64_t)g_buf + next() % (BUFFER / 2);
    case 5:
        return 1ull << (next() % 64);
    case 6:
        return next();
    case 7:
        return next() % 4096;
    case 8:
        return 0x7fffffff;
    case 9:
        return (uint64_t)g_buf & ~4095ull;
    case 10:
        return next() % 64;
    default:
        return (uint32_t)next();
    }
}

/* Calls that end or multiply the fuzzer itself. */
static int skipped(long nr)
{
    switch (nr) {
    case SYS_pause:
    case SYS_kill:
    case SYS_tkill:
    case SYS_tgkill:
    case SYS_rt_sigqueueinfo:
    case SYS_rt_tgsigqueueinfo:
    case SYS_rt_sigreturn:
    case SYS_reboot:
    case SYS_exit:
    case SYS_exit_group:
    case SYS_fork:
    case SYS_vfork:
    case SYS_clone:
    case SYS_clone3:
        return 1;
    default:
        return nr > 334 && nr < 424;
    }
}

static void child(uint64_t seed)
{
    setpgid(0, 0);
    close(1);
    close(2);
    g_state = seed * 0x9e3779b97f4a7c15ull + 1;
    g_buf =
        mmap(NULL, BUFFER, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    for (int i = 0; i < BUFFER; i += 8) {
        uint64_t v = next() % 3 ? next() % 100 : next();

        memcpy(g_buf + i, &v, sizeof(v));
    }
    strcpy(g_buf, "/tmp");
    for (int i = 0; i < CALLS; i++) {
        long nr = (long)(next() % 470);

        if (!skipped(nr))
            syscall(nr, argument(), argument(), argument(), argument(), argument(), argument());
    }
    _exit(0);
}

int main(int argc, char **argv)
{
    unsigned long seed = argc > 1 ? strtoul(argv[1], NULL, 0) : 1;
    time_t end = time(NULL) + (argc > 2 ? atoi(argv[2]) : 5);
    unsigned long children = 0;
    int status;

    while (time(NULL) < end) {
        pid_t pid = fork();

        if (pid == 0)
            child(seed);
        seed++;
        for (int i = 0; i < POLLS; i++) {
            if (waitpid(pid, &status, WNOHANG) == pid)
                break;
            usleep(POLL_US);
            if (i == POLLS / 2)
                kill(pid, SIGKILL);
        }
        children++;
    }
    printf("next seed %lu, %lu children\n", seed, children);
    return children == 0;
}
