/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rseq(2): registration and its errors, cpu_id, critical sections that signals, other threads and
 * migration abort, fork, clone and exec.
 */
#include <linux/rseq.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/rseq.h>
#include <ucontext.h>

#include "tests/support/guest_test.h"

#define SIG RSEQ_SIG
enum { AREA_SIZE = 32 };

static struct rseq *own_area(void)
{
    /* SAFETY: where the C library says that the area is. */
    return (struct rseq *)(void *)((char *)__builtin_thread_pointer() + __rseq_offset);
}

static long reg(void *area, unsigned len, int flags, unsigned sig)
{
    return sysp(SYS_rseq, area, len, flags, sig);
}

#define NEED_RSEQ                                                                                  \
    if (__rseq_size == 0)                                                                          \
    SKIP("no rseq here")

/*
 * v += add in a critical section that ends after the store, but only if the CPU is still cpu when it
 * begins. Spins for `spins` rounds inside. 0: done; 1: aborted; 2: another CPU.
 */
static int cs_add(struct rseq *area, uint32_t cpu, uint64_t *v, uint64_t add, uint64_t spins)
{
    int ret;

    __asm__ volatile(
        ".pushsection __rseq_cs, \"aw\"\n\t"
        ".balign 32\n"
        "3:\n\t"
        ".long 0, 0\n\t"
        ".quad 1f, 2f - 1f, 4f\n\t"
        ".popsection\n\t"
        "leaq 3b(%%rip), %%rax\n\t"
        "movq %%rax, 8(%[area])\n"
        "1:\n\t"
        "movl $2, %%eax\n\t"
        "cmpl 4(%[area]), %[cpu]\n\t"
        "jne 5f\n\t"
        "movq (%[v]), %%rdx\n\t"
        "addq %[add], %%rdx\n\t"
        "movq %[spins], %%rcx\n"
        "6:\n\t"
        "subq $1, %%rcx\n\t"
        "jns 6b\n\t"
        "movq %%rdx, (%[v])\n"
        "2:\n\t"
        "xorl %%eax, %%eax\n\t"
        "jmp 5f\n\t"
        ".byte 0x0f, 0xb9, 0x3d\n\t"
        ".long 0x53053053\n"
        "4:\n\t"
        "movl $1, %%eax\n"
        "5:\n\t"
        : "=&a"(ret)
        : [area] "r"(area), [cpu] "r"(cpu), [v] "r"(v), [add] "r"(add), [spins] "r"(spins)
        : "rcx", "rdx", "memory", "cc");
    return ret;
}

static uint32_t cpu_of(struct rseq *area)
{
    return *(volatile uint32_t *)&area->cpu_id_start;
}

TEST(registered_by_the_library)
{
    NEED_RSEQ;
    struct rseq *area = own_area();

    for (int i = 0; i < 1000; i++) {
        uint32_t before = cpu_of(area);
        int cpu = sched_getcpu();

        if (before == cpu_of(area))
            CHECK_EQ(cpu, (int)before);
        if (i % 100 == 0)
            sched_yield();
    }
    CHECK_EQ(area->cpu_id, area->cpu_id_start);
}

TEST(errors)
{
    NEED_RSEQ;
    static struct rseq other __attribute__((aligned(64)));
    struct rseq *area = own_area();

    CHECK_ERR(reg(area, AREA_SIZE, 0, SIG), EBUSY);
    CHECK_ERR(reg(area, AREA_SIZE, 0, SIG + 1), EPERM);
    CHECK_ERR(reg(&other, AREA_SIZE, 0, SIG), EINVAL);
    CHECK_ERR(reg(area, AREA_SIZE, 4, SIG), EINVAL);
    CHECK_ERR(reg(area, AREA_SIZE, RSEQ_FLAG_UNREGISTER | 4, SIG), EINVAL);
    CHECK_ERR(reg(&other, AREA_SIZE, RSEQ_FLAG_UNREGISTER, SIG), EINVAL);
    CHECK_ERR(reg(area, 16, RSEQ_FLAG_UNREGISTER, SIG), EINVAL);
    CHECK_ERR(reg(area, AREA_SIZE, RSEQ_FLAG_UNREGISTER, SIG + 1), EPERM);
    CHECK_EQ(reg(area, AREA_SIZE, RSEQ_FLAG_UNREGISTER, SIG), 0);
    CHECK_EQ(area->cpu_id, (uint32_t)RSEQ_CPU_ID_UNINITIALIZED);
    CHECK_EQ(area->cpu_id_start, 0);
    CHECK_ERR(reg(area, AREA_SIZE, RSEQ_FLAG_UNREGISTER, SIG), EINVAL);
    CHECK_ERR(reg(NULL, AREA_SIZE, RSEQ_FLAG_UNREGISTER, SIG), EINVAL);
    CHECK_ERR(reg(&other, 16, 0, SIG), EINVAL);
    CHECK_ERR(reg((char *)&other + 8, AREA_SIZE, 0, SIG), EINVAL);
    CHECK_ERR(reg((void *)-4096ul, AREA_SIZE, 0, SIG), EFAULT);
    CHECK_EQ(reg(&other, AREA_SIZE, 0, SIG), 0);
    CHECK_EQ(other.cpu_id, other.cpu_id_start);
    CHECK(other.cpu_id < 1024);
    CHECK_EQ(reg(&other, AREA_SIZE, RSEQ_FLAG_UNREGISTER, SIG), 0);
    CHECK_EQ(reg(area, AREA_SIZE, 0, SIG), 0);
    CHECK_EQ(area->cpu_id, area->cpu_id_start);
}

static volatile int g_signals;

static void on_signal(int signo)
{
    (void)signo;
    g_signals++;
}

static void signal_child(void)
{
    const struct timespec later = {.tv_nsec = 30000000};
    struct rseq *area = own_area();
    struct sigevent ev = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1};
    struct itimerspec its = {.it_value = later};
    uint64_t v = 0;
    timer_t timer;

    signal(SIGUSR1, on_signal);
    CHECK_EQ(timer_create(CLOCK_MONOTONIC, &ev, &timer), 0);
    CHECK_EQ(timer_settime(timer, 0, &its, NULL), 0);
    /* Aborted by whatever preempts it, and by the signal at the latest; never committed. */
    while (!g_signals) {
        int ret = cs_add(area, cpu_of(area), &v, 1, 1ull << 60);

        if (ret == 0)
            CHECK_EQ(ret, 1);
    }
    CHECK_EQ(v, 0);
    CHECK_EQ(area->rseq_cs, 0);
}

TEST(signals_abort)
{
    NEED_RSEQ;
    CHECK_EQ(test_in_child(signal_child), 0);
}

static uint64_t g_counts[1024][8];
enum { ADDS = 20000 };

static void *adder(void *arg)
{
    struct rseq *area = own_area();

    for (int i = 0; i < ADDS;) {
        uint32_t cpu = cpu_of(area);

        if (cs_add(area, cpu, &g_counts[cpu][0], 1, (uint64_t)(i % 64)) == 0)
            i++;
    }
    return arg;
}

static uint64_t all_counts(void)
{
    uint64_t sum = 0;

    for (int i = 0; i < 1024; i++)
        sum += g_counts[i][0];
    return sum;
}

/* A counter for each CPU, without locks or atomic instructions: none is lost. */
TEST(counters_of_cpus)
{
    NEED_RSEQ;
    enum { THREADS = 8 };
    pthread_t threads[THREADS];

    memset(g_counts, 0, sizeof(g_counts));
    for (int i = 0; i < THREADS; i++)
        CHECK_EQ(pthread_create(&threads[i], NULL, adder, NULL), 0);
    for (int i = 0; i < THREADS; i++)
        CHECK_EQ(pthread_join(threads[i], NULL), 0);
    CHECK_EQ(all_counts(), THREADS * ADDS);
}

/* Two threads on one CPU, each in long sections: each is aborted by the other. */
static volatile bool g_stop;

static void *spinner(void *arg)
{
    while (!g_stop)
        ;
    return arg;
}

static void one_cpu(void)
{
    unsigned long mask[16] = {0};
    struct rseq *area = own_area();
    pthread_t other;
    uint64_t v = 0;

    CHECK(sys(SYS_sched_getaffinity, 0, sizeof(mask), mask) > 0);
    mask[0] &= -mask[0];
    CHECK_EQ(sys(SYS_sched_setaffinity, 0, sizeof(mask), mask), 0);
    CHECK_EQ(pthread_create(&other, NULL, spinner, NULL), 0);
    for (int aborts = 0; aborts < 3;)
        aborts += cs_add(area, cpu_of(area), &v, 1, 1ull << 60) == 1;
    g_stop = true;
    pthread_join(other, NULL);
    CHECK_EQ(v, 0);
}

TEST(preemption_aborts)
{
    NEED_RSEQ;
    CHECK_EQ(test_in_child(one_cpu), 0);
}

static void fork_child(void)
{
    struct rseq *area = own_area();

    CHECK_ERR(reg(area, AREA_SIZE, 0, SIG), EBUSY);
    CHECK_EQ(cpu_of(area), area->cpu_id);
    adder(NULL);
    CHECK_EQ(all_counts(), ADDS);
    signal_child();
}

TEST(fork_keeps_it)
{
    NEED_RSEQ;
    struct rseq *area = own_area();

    memset(g_counts, 0, sizeof(g_counts));
    for (int i = 0; i < 3; i++)
        CHECK_EQ(test_in_child(fork_child), 0);
    CHECK_EQ(all_counts(), 0);
    adder(NULL);
    CHECK_EQ(all_counts(), ADDS);
    CHECK_ERR(reg(area, AREA_SIZE, 0, SIG), EBUSY);
}

/* Forks of a process whose other threads are in their sections. */
TEST(fork_with_threads)
{
    NEED_RSEQ;
    enum { THREADS = 3 };
    pthread_t threads[THREADS];

    memset(g_counts, 0, sizeof(g_counts));
    for (int i = 0; i < THREADS; i++)
        CHECK_EQ(pthread_create(&threads[i], NULL, adder, NULL), 0);
    for (int i = 0; i < 10; i++) {
        pid_t pid = fork();
        int status;

        if (pid == 0) {
            uint64_t before = all_counts();

            adder(NULL);
            _exit(all_counts() - before == ADDS ? 0 : 1);
        }
        CHECK_EQ(waitpid(pid, &status, 0), pid);
        CHECK_EQ(status, 0);
    }
    for (int i = 0; i < THREADS; i++)
        CHECK_EQ(pthread_join(threads[i], NULL), 0);
    CHECK_EQ(all_counts(), THREADS * ADDS);
}

/* The area in memory of its own, which comes and goes. */
static void area_in_memory(void)
{
    struct rseq *area =
        mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    unsigned long all[16] = {0};

    CHECK_EQ(reg(own_area(), AREA_SIZE, RSEQ_FLAG_UNREGISTER, SIG), 0);
    CHECK_EQ(reg(area, AREA_SIZE, 0, SIG), 0);
    CHECK_EQ(area->cpu_id, area->cpu_id_start);
    CHECK_EQ(madvise(area, 4096, MADV_DONTNEED), 0);
    test_sleep_ms(10);
    CHECK(area->cpu_id == area->cpu_id_start);
    CHECK(sys(SYS_sched_getaffinity, 0, sizeof(all), all) > 0);
    for (int i = 0; i < 4; i++) {
        int cpu = i & 1 ? __builtin_ctzl(all[0]) : 63 - __builtin_clzl(all[0]);
        unsigned long one = 1ul << cpu;

        CHECK_EQ(madvise(area, 4096, MADV_DONTNEED), 0);
        CHECK_EQ(sys(SYS_sched_setaffinity, 0, sizeof(one), &one), 0);
        test_sleep_ms(2);
        for (int k = 0; k < 20; k++)
            sched_yield();
        CHECK_EQ(area->cpu_id, cpu);
    }
    CHECK_EQ(munmap(area, 4096), 0);
    for (;;)
        sched_yield();
}

TEST(memory_goes_away)
{
    NEED_RSEQ;
    CHECK_EQ(test_in_child(area_in_memory), SIGSEGV);
}

static void bad_signature(void)
{
    static struct rseq_cs cs __attribute__((aligned(32)));
    struct rseq *area = own_area();

    cs.start_ip = 4096;
    cs.post_commit_offset = 0x7f0000000000ull;
    cs.abort_ip = (uint64_t)(uintptr_t)&g_counts; /* outside or not: no signature in front */
    *(volatile uint64_t *)&area->rseq_cs = (uintptr_t)&cs;
    for (;;)
        ;
}

TEST(bad_signature_kills)
{
    NEED_RSEQ;
    CHECK_EQ(test_in_child(bad_signature), SIGSEGV);
}

/* Where a handler is told that the program was: behind the abort. */
static volatile uintptr_t g_rip;

static void on_signal_info(int signo, siginfo_t *si, void *uc)
{
    (void)signo;
    (void)si;
    g_rip = (uintptr_t)((ucontext_t *)uc)->uc_mcontext.gregs[REG_RIP];
    g_signals++;
}

static void fault_child(void)
{
    struct sigaction sa = {.sa_sigaction = on_signal_info, .sa_flags = SA_SIGINFO | SA_RESETHAND};
    struct rseq *area = own_area();
    int ret;

    /* A fault that is the section's own: the handler sees the abort address. */
    sigaction(SIGSEGV, &sa, NULL);
    ret = cs_add(area, cpu_of(area), (uint64_t *)8, 1, 0);
    CHECK_EQ(ret, 1);
    CHECK_EQ(g_signals, 1);
    CHECK_EQ(*(uint32_t *)(g_rip - 4), SIG);
}

TEST(faults_abort)
{
    NEED_RSEQ;
    CHECK_EQ(test_in_child(fault_child), 0);
}

/* Sections whose pages are touched for the first time inside them make progress. */
TEST(first_touch_inside)
{
    NEED_RSEQ;
    enum { PAGES = 300 };
    char *m = mmap(NULL, PAGES * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    struct rseq *area = own_area();

    CHECK(m != MAP_FAILED);
    for (int i = 0; i < PAGES; i++) {
        uint64_t *v = (uint64_t *)(void *)(m + (size_t)((i * 7) % PAGES) * 4096);

        while (cs_add(area, cpu_of(area), v, 1, 0) != 0)
            ;
        CHECK_EQ(*v, 1);
    }
    CHECK_EQ(munmap(m, PAGES * 4096), 0);
}

GUEST_TEST_MAIN
