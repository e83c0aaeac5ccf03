/* SPDX-License-Identifier: Apache-2.0 */
/* Signal frames: what handlers see, what they may change, what a bad frame does; faults and traps.
 */
#include <pthread.h>
#include <setjmp.h>
#include <sys/mman.h>
#include <ucontext.h>

#include "tests/support/guest_test.h"

static siginfo_t g_info;
static sigjmp_buf g_jump;
static volatile uintptr_t g_sp;
static volatile sig_atomic_t g_count;

static void install(int sig, void (*fn)(int, siginfo_t *, void *), int flags)
{
    struct sigaction sa = {.sa_sigaction = fn, .sa_flags = SA_SIGINFO | flags};

    sigaction(sig, &sa, NULL);
}

static void keep_and_jump(int sig, siginfo_t *info, void *ctx)
{
    (void)sig;
    (void)ctx;
    g_info = *info;
    siglongjmp(g_jump, 1);
}

TEST(faults_tell_where_and_why)
{
    char *p = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    install(SIGSEGV, keep_and_jump, SA_NODEFER);
    if (!sigsetjmp(g_jump, 1))
        *(volatile char *)p = 1;
    CHECK_EQ(g_info.si_signo, SIGSEGV);
    CHECK_EQ(g_info.si_code, SEGV_ACCERR);
    CHECK(g_info.si_addr == p);
    munmap(p, 4096);
    if (!sigsetjmp(g_jump, 1))
        *(volatile char *)p = 1;
    CHECK_EQ(g_info.si_code, SEGV_MAPERR);
    CHECK(g_info.si_addr == p);
    signal(SIGSEGV, SIG_DFL);
}

TEST(exceptions_become_signals)
{
    volatile int zero = 0, one = 1;

    install(SIGFPE, keep_and_jump, SA_NODEFER);
    install(SIGILL, keep_and_jump, SA_NODEFER);
    install(SIGTRAP, keep_and_jump, SA_NODEFER);
    install(SIGSEGV, keep_and_jump, SA_NODEFER);
    if (!sigsetjmp(g_jump, 1))
        one = one / zero;
    CHECK_EQ(g_info.si_signo, SIGFPE);
    CHECK_EQ(g_info.si_code, FPE_INTDIV);
    if (!sigsetjmp(g_jump, 1))
        __asm__ volatile("ud2");
    CHECK_EQ(g_info.si_signo, SIGILL);
    if (!sigsetjmp(g_jump, 1))
        __asm__ volatile("int3");
    CHECK_EQ(g_info.si_signo, SIGTRAP);
    if (!sigsetjmp(g_jump, 1))
        __asm__ volatile("hlt"); /* privileged */
    CHECK_EQ(g_info.si_signo, SIGSEGV);
    CHECK_EQ(g_info.si_code, SI_KERNEL);
    signal(SIGFPE, SIG_DFL);
    signal(SIGILL, SIG_DFL);
    signal(SIGTRAP, SIG_DFL);
    signal(SIGSEGV, SIG_DFL);
}

TEST(truncated_mapping_is_sigbus)
{
    int fd = (int)sys(SYS_memfd_create, "bus", 0);
    char *p;

    REQUIRE(fd >= 0);
    CHECK_EQ(ftruncate(fd, 4096), 0);
    p = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    REQUIRE(p != MAP_FAILED);
    install(SIGBUS, keep_and_jump, SA_NODEFER);
    if (!sigsetjmp(g_jump, 1))
        p[4096] = 1;
    CHECK_EQ(g_info.si_signo, SIGBUS);
    CHECK_EQ(g_info.si_code, BUS_ADRERR);
    CHECK(g_info.si_addr == p + 4096);
    signal(SIGBUS, SIG_DFL);
    close(fd);
}

static void clobber(int sig, siginfo_t *info, void *ctx)
{
    double x = 3.0;

    (void)sig;
    (void)info;
    (void)ctx;
    for (int i = 0; i < 100; i++)
        x = x * 1.5 + 1;
    __asm__ volatile("pxor %%xmm0, %%xmm0; pxor %%xmm7, %%xmm7; pxor %%xmm15, %%xmm15" ::
                         : "xmm0", "xmm7", "xmm15");
    g_count = g_count + (x > 0);
}

TEST(vector_registers_survive_a_handler)
{
    uint64_t in[2] = {0x1122334455667788, 0x99aabbccddeeff00}, out[2] = {0};

    install(SIGUSR1, clobber, 0);
    g_count = 0;
    __asm__ volatile("movdqu %1, %%xmm15\n\t"
                     "movl %2, %%edi\n\t"
                     "movl %3, %%esi\n\t"
                     "movl %4, %%edx\n\t"
                     "movl %5, %%eax\n\t"
                     "syscall\n\t"
                     "movdqu %%xmm15, %0"
                     : "=m"(out)
                     : "m"(in), "r"((int)getpid()), "r"((int)sys(SYS_gettid)), "i"(SIGUSR1),
                       "i"(SYS_tgkill)
                     : "rax", "rcx", "rdx", "rdi", "rsi", "r11", "xmm15", "memory");
    CHECK_EQ(g_count, 1);
    CHECK_EQ(out[0], in[0]);
    CHECK_EQ(out[1], in[1]);
    signal(SIGUSR1, SIG_DFL);
}

static void note_stack(int sig, siginfo_t *info, void *ctx)
{
    char here;

    (void)sig;
    (void)info;
    (void)ctx;
    g_sp = (uintptr_t)&here;
}

TEST(alternate_stack)
{
    size_t size = 64 * 1024;
    char *mem = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    stack_t ss = {.ss_sp = mem, .ss_size = size}, old;

    CHECK_EQ(sigaltstack(&ss, NULL), 0);
    CHECK_EQ(sigaltstack(NULL, &old), 0);
    CHECK(old.ss_sp == mem && old.ss_size == size && old.ss_flags == 0);
    install(SIGUSR1, note_stack, SA_ONSTACK);
    raise(SIGUSR1);
    CHECK(g_sp >= (uintptr_t)mem && g_sp < (uintptr_t)mem + size);
    install(SIGUSR1, note_stack, 0);
    raise(SIGUSR1);
    CHECK(!(g_sp >= (uintptr_t)mem && g_sp < (uintptr_t)mem + size));
    ss.ss_size = 100;
    CHECK_ERR(sigaltstack(&ss, NULL), ENOMEM);
    ss.ss_flags = 0x77;
    CHECK_ERR(sigaltstack(&ss, NULL), EINVAL);
    ss.ss_flags = SS_DISABLE;
    CHECK_EQ(sigaltstack(&ss, NULL), 0);
    signal(SIGUSR1, SIG_DFL);
    munmap(mem, size);
}

static void overflow(volatile char *p)
{
    volatile char frame[4096];

    frame[0] = p ? *p : 0;
    overflow(frame);
    frame[1] = 0;
}

TEST(stack_overflow_is_caught_on_the_alternate_stack)
{
    static char mem[64 * 1024];
    stack_t ss = {.ss_sp = mem, .ss_size = sizeof(mem)};
    int status;
    pid_t pid = fork();

    if (!pid) {
        sigaltstack(&ss, NULL);
        install(SIGSEGV, keep_and_jump, SA_ONSTACK);
        if (!sigsetjmp(g_jump, 1))
            overflow(NULL);
        _exit(g_info.si_signo == SIGSEGV ? 0 : 1);
    }
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK_EQ(status, 0);
    pid = fork();
    if (!pid) {
        install(SIGSEGV, keep_and_jump, 0); /* no stack to run on */
        overflow(NULL);
        _exit(1);
    }
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK_EQ(WTERMSIG(status), SIGSEGV);
}

static void change_rax(int sig, siginfo_t *info, void *ctx)
{
    ucontext_t *uc = ctx;

    (void)sig;
    (void)info;
    uc->uc_mcontext.gregs[REG_RBX] = 0x1234;
    sigaddset(&uc->uc_sigmask, SIGUSR2);
}

TEST(handler_may_change_the_context)
{
    uint64_t rbx = 0;
    sigset_t set;

    install(SIGUSR1, change_rax, 0);
    __asm__ volatile("xorl %%ebx, %%ebx\n\t"
                     "syscall\n\t"
                     "movq %%rbx, %0"
                     : "=r"(rbx)
                     : "a"(SYS_tgkill), "D"((int)getpid()), "S"((int)sys(SYS_gettid)), "d"(SIGUSR1)
                     : "rbx", "rcx", "r11", "memory");
    CHECK_EQ(rbx, 0x1234);
    sigprocmask(SIG_BLOCK, NULL, &set);
    CHECK(sigismember(&set, SIGUSR2));
    sigemptyset(&set);
    sigprocmask(SIG_SETMASK, &set, NULL);
    signal(SIGUSR1, SIG_DFL);
}

TEST(bad_frame_is_sigsegv)
{
    int status;
    pid_t pid = fork();

    if (!pid) {
        __asm__ volatile("movq $8, %%rsp\n\tsyscall" ::"a"(SYS_rt_sigreturn) : "memory");
        _exit(1);
    }
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK_EQ(WTERMSIG(status), SIGSEGV);
}

static void nest(int sig, siginfo_t *info, void *ctx)
{
    (void)info;
    (void)ctx;
    if (++g_count < 4)
        raise(sig);
}

TEST(restart_syscall_has_nothing_to_restart)
{
    CHECK_EQ(sys(SYS_restart_syscall), -EINTR);
}

TEST(nodefer_nests_and_resethand_resets)
{
    struct sigaction sa;

    g_count = 0;
    install(SIGUSR1, nest, SA_NODEFER);
    raise(SIGUSR1);
    CHECK_EQ(g_count, 4);
    g_count = 10;
    install(SIGUSR1, nest, SA_RESETHAND);
    raise(SIGUSR1);
    CHECK_EQ(g_count, 11);
    sigaction(SIGUSR1, NULL, &sa);
    CHECK(sa.sa_handler == SIG_DFL);
}

static void *spin_until(void *arg)
{
    while (!__atomic_load_n((int *)arg, __ATOMIC_RELAXED))
        ;
    return NULL;
}

static void count(int sig, siginfo_t *info, void *ctx)
{
    (void)sig;
    (void)info;
    (void)ctx;
    __atomic_fetch_add(&g_count, 1, __ATOMIC_SEQ_CST);
}

TEST(a_busy_thread_is_interrupted)
{
    int stop = 0;
    pthread_t t;

    g_count = 0;
    install(SIGUSR1, count, SA_RESTART);
    REQUIRE(pthread_create(&t, NULL, spin_until, &stop) == 0);
    for (int i = 1; i <= 20; i++) {
        pthread_kill(t, SIGUSR1);
        while (__atomic_load_n(&g_count, __ATOMIC_SEQ_CST) < i)
            usleep(100);
    }
    __atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
    pthread_join(t, NULL);
    CHECK_EQ(g_count, 20);
    signal(SIGUSR1, SIG_DFL);
}

GUEST_TEST_MAIN
