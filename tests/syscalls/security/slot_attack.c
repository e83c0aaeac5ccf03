/* SPDX-License-Identifier: Apache-2.0 */
/*
 * In the sandbox gs leads to memory that a thread and the Sentry share. Children scribble over all of
 * it while they make calls, from other threads too, and jump into the code beside it; whatever that
 * does to them, they end when they are killed, and nobody else notices. On Linux gs is 0 and the
 * children have nothing to attack.
 */
#define GUEST_TEST_SECONDS 100
#include "tests/support/guest_test.h"

#include <pthread.h>
#include <sys/auxv.h>
#include <sys/mman.h>

enum { CHILDREN = 12, SHARED_SIZE = 192, HOT = 300 };

__asm__(".pushsection .text.attack, \"ax\"\n"
        ".balign 4096\n"
        ".globl attack_call\n"
        "attack_call: movl $72, %eax\n"
        "syscall\n"
        "ret\n"
        ".balign 4096\n"
        ".popsection\n");
long attack_call(long fd, long cmd, long arg);

static uint64_t gs_base(void)
{
    uint64_t gs = 0;

    if (getauxval(AT_HWCAP2) & 2)
        __asm__ volatile("rdgsbase %0" : "=r"(gs));
    return gs;
}

static uint64_t g_seed;

static uint64_t next(uint64_t *s)
{
    *s ^= *s << 13;
    *s ^= *s >> 7;
    *s ^= *s << 17;
    return *s;
}

struct attack {
    volatile uint32_t *words;
    uint64_t seed;
    int from, to; /* words */
    unsigned range;
};

static void *scribble(void *arg)
{
    struct attack *a = arg;

    for (;;) {
        uint64_t r = next(&a->seed);
        int span = a->to - a->from;

        a->words[a->from + (int)(r % (unsigned)span)] = (uint32_t)(r >> 20) % a->range;
        if (r % 64 == 0)
            sched_yield();
    }
    return NULL;
}

/* Where entries and lane code are: the mapping named [stub]. */
static uint64_t find_stub(void)
{
    FILE *f = fopen("/proc/self/maps", "r");
    unsigned long start = 0;
    char line[256];

    while (f && fgets(line, sizeof(line), f)) {
        if (strstr(line, "[stub]"))
            start = strtoul(line, NULL, 16);
    }
    if (f)
        fclose(f);
    return start;
}

static void jump(uint64_t to, uint64_t seed)
{
    uint64_t a = next(&seed), b = next(&seed);

    __asm__ volatile("leaq 1f(%%rip), %%rcx\n jmp *%0\n 1:\n"
                     :
                     : "r"(to), "a"(a % 400), "D"(-1ul), "S"(a), "d"(b)
                     : "rcx", "r11", "memory", "cc");
}

static void attack(int kind)
{
    uint64_t gs = gs_base(), seed = g_seed + (uint64_t)kind * 0x9e3779b97f4a7c15ull, stub;
    struct attack a[2];
    pthread_t t;

    if (!gs)
        _exit(0);
    for (int i = 0; i < HOT; i++)
        attack_call(-1, F_GETFL, 0);
    a[0] = (struct attack){(volatile uint32_t *)gs, seed, 16, 32, UINT32_MAX}; /* requests */
    a[1] = (struct attack){(volatile uint32_t *)gs, ~seed, 16, 17, 8};         /* their state */
    switch (kind % 4) {
    case 0:
        a[0].from = 0;
        a[0].to = SHARED_SIZE / 4;
        pthread_create(&t, NULL, scribble, &a[0]);
        break;
    case 1:
        pthread_create(&t, NULL, scribble, &a[0]);
        pthread_create(&t, NULL, scribble, &a[1]);
        break;
    case 2:
        pthread_create(&t, NULL, scribble, &a[1]);
        break;
    default:
        stub = find_stub();
        if (!stub)
            _exit(0);
        for (int i = 0; i < 40; i++) {
            pid_t pid = fork();

            if (pid == 0) {
                alarm(1);
                jump(stub + next(&seed) % 8192, seed);
                _exit(0);
            }
            waitpid(pid, NULL, 0);
        }
        _exit(0);
    }
    for (;;)
        attack_call(-1, F_GETFL, 0);
}

TEST(children_attack)
{
    pid_t self = getpid(), child[CHILDREN];
    struct timespec ts;

    clock_gettime(CLOCK_REALTIME, &ts);
    g_seed =
        getenv("SEED") ? strtoull(getenv("SEED"), NULL, 0) : (uint64_t)ts.tv_nsec * 2654435761u + 1;
    test_say("seed %#lx\n", (unsigned long)g_seed);
    for (int i = 0; i < CHILDREN; i++) {
        child[i] = fork();
        if (child[i] == 0) {
            int null = open("/dev/null", O_RDWR);

            dup2(null, 2);
            attack(i);
        }
    }
    for (int i = 0; i < 2000; i++) {
        if (getpid() != self || attack_call(-1, F_GETFL, 0) != -EBADF) {
            CHECK(false);
            break;
        }
    }
    usleep(500000);
    for (int i = 0; i < CHILDREN; i++) {
        int status;

        kill(child[i], SIGKILL);
        CHECK_EQ(waitpid(child[i], &status, 0), child[i]);
    }
    CHECK_EQ(attack_call(-1, F_GETFL, 0), -EBADF);
    CHECK_EQ(getpid(), self);
}

GUEST_TEST_MAIN
