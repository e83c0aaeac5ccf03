/* SPDX-License-Identifier: Apache-2.0 */
/*
 * syscall_fuzz SEED SECONDS: a guest program that makes random system calls with arguments that are
 * plausible for some type (small numbers, descriptors, pointers into a buffer, single bits, huge
 * and negative lengths, numbers of ioctls). Each child has a descriptor of each kind that is easy to
 * get, and makes 300 calls from its own seed in each of two threads; the parent ends it when it blocks.
 * SLOTS children at a time. Prints the seed it reached. For the sandbox only: never run it natively as root.
 */
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { CALLS = 300, BUFFER = 1 << 17, SLOTS = 4, POLL_US = 2000, LIFE_POLLS = 40 };

struct slot {
    pid_t pid; /* 0: none */
    int polls;
};

static __thread uint64_t g_state;
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
    switch (next() % 16) {
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
    case 11:
        return 3 + next() % 24; /* the descriptors of furnish() */
    case 12:
        return 0x5400 + next() % 0x60; /* terminals */
    case 13:
        return (next() % 2 ? 0x8900 : 0x80006600) + next() % 0x100; /* sockets, files */
    case 14:
        return next() % 256;
    default:
        return (uint32_t)next();
    }
}

static pid_t g_parent;

/* Calls that end the fuzzer itself, or that it makes in a way of its own. */
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

/* Any flags and exit signal. What is made ends at once, without a look at the stack, which may be its maker's. */
static void make_child(void)
{
    uint64_t flags = next() % 3 ? 1ull << (next() % 33) | 1ull << (next() % 33) : next();
    uint64_t signo = next() % 256, parent = argument(), child = argument(), base = argument();
    register uint64_t child_tid __asm__("r10") = child;
    register uint64_t tls __asm__("r8") = base;
    long ret;

    __asm__ volatile("syscall\n\t"
                     "test %%rax, %%rax\n\t"
                     "jnz 1f\n\t"
                     "xor %%edi, %%edi\n\t"
                     "mov $60, %%eax\n\t"
                     "syscall\n"
                     "1:"
                     : "=a"(ret)
                     : "0"(SYS_clone), "D"((flags & ~0xffull) | next() % 256), "S"(0),
                       "d"(argument()), "r"(child_tid), "r"(tls)
                     : "rcx", "r11", "memory");
}

/* One of each, from 3 on. */
static void furnish(void)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(in);
    int pair[2], listener;
    sigset_t set;

    close(1);
    close(2);
    open("/dev/null", O_RDWR);
    open("/dev/zero", O_RDWR);
    if (pipe(pair) == 0)
        fcntl(pair[1], F_SETFL, O_NONBLOCK);
    (void)!socketpair(AF_UNIX, (int)(next() % 2 ? SOCK_STREAM : SOCK_DGRAM), 0, pair);
    open("/tmp", O_RDONLY | O_DIRECTORY);
    open("/tmp", O_RDWR | O_TMPFILE, 0600);
    open("/proc/self/status", O_RDONLY);
    open("/dev/ptmx", O_RDWR | O_NOCTTY);
    memfd_create("fuzz", MFD_ALLOW_SEALING);
    epoll_create1(0);
    eventfd(3, EFD_SEMAPHORE);
    timerfd_create(CLOCK_MONOTONIC, 0);
    sigfillset(&set);
    signalfd(-1, &set, 0);
    inotify_init1(0);
    syscall(SYS_pidfd_open, getpid(), 0);
    listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (bind(listener, (struct sockaddr *)&in, sizeof(in)) == 0 && listen(listener, 5) == 0 &&
        getsockname(listener, (struct sockaddr *)&in, &len) == 0)
        (void)!connect(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), (struct sockaddr *)&in,
                       len);
    socket(AF_INET6, SOCK_DGRAM, 0);
    socket(AF_NETLINK, SOCK_RAW, 0);
    syscall(SYS_io_uring_setup, 8, g_buf + BUFFER - 4096);
}

/* The parent that ends us, and the first process: who traces, limits or overwrites them stops the fuzzer, as on
 * Linux (a tracer that dies while it attaches leaves its tracee stopped). */
static int about_parent(long nr, const uint64_t *args)
{
    const uint64_t pid = args[nr == SYS_ptrace];

    switch (nr) {
    case SYS_ptrace:
    case SYS_prlimit64:
    case SYS_process_vm_writev:
    case SYS_pidfd_open:
        return (pid_t)pid == 1 || (pid_t)pid == g_parent;
    default:
        return 0;
    }
}

static void *calls(void *arg)
{
    g_state = (uint64_t)(uintptr_t)arg * 0x9e3779b97f4a7c15ull + 1;
    for (int i = 0; i < CALLS; i++) {
        long nr = (long)(next() % 470);
        uint64_t a[6];

        if (nr == SYS_clone)
            make_child();
        if (skipped(nr))
            continue;
        for (int k = 0; k < 6; k++)
            a[k] = argument();
        if (!about_parent(nr, a))
            syscall(nr, a[0], a[1], a[2], a[3], a[4], a[5]);
    }
    return NULL;
}

static void child(uint64_t seed)
{
    pthread_t other;

    setpgid(0, 0);
    g_parent = getppid();
    g_state = seed * 0x9e3779b97f4a7c15ull + 1;
    g_buf =
        mmap(NULL, BUFFER, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    for (int i = 0; i < BUFFER; i += 8) {
        uint64_t v = next() % 3 ? next() % 100 : next();

        memcpy(g_buf + i, &v, sizeof(v));
    }
    strcpy(g_buf, "/tmp");
    furnish();
    if (seed % 2 &&
        pthread_create(&other, NULL, calls, (void *)(uintptr_t)(seed + (1ull << 40))) != 0)
        _exit(1);
    calls((void *)(uintptr_t)seed);
    _exit(0);
}

/* Also threads that made us their tracer, and what children made with CLONE_PARENT. */
static void reap(struct slot *slots)
{
    pid_t pid;

    while ((pid = waitpid(-1, NULL, WNOHANG | __WALL)) > 0)
        for (int i = 0; i < SLOTS; i++)
            if (slots[i].pid == pid)
                slots[i].pid = 0;
}

int main(int argc, char **argv)
{
    unsigned long seed = argc > 1 ? strtoul(argv[1], NULL, 0) : 1;
    time_t end = time(NULL) + (argc > 2 ? atoi(argv[2]) : 5);
    struct slot slots[SLOTS] = {{0, 0}};
    unsigned long children = 0;
    int busy = 0;

    while (time(NULL) < end || busy > 0) {
        usleep(POLL_US);
        reap(slots);
        busy = 0;
        for (int i = 0; i < SLOTS; i++) {
            if (slots[i].pid > 0 && ++slots[i].polls >= LIFE_POLLS)
                kill(slots[i].pid, SIGKILL);
            if (slots[i].pid == 0 && time(NULL) < end) {
                slots[i].polls = 0;
                slots[i].pid = fork();
                if (slots[i].pid == 0)
                    child(seed);
                seed++;
                children++;
            }
            busy += slots[i].pid > 0;
        }
    }
    printf("next seed %lu, %lu children\n", seed, children);
    return children == 0;
}
