/* SPDX-License-Identifier: Apache-2.0 */
/* rt_sigaction, rt_sigprocmask, kill, tkill, tgkill, rt_sigqueueinfo, rt_sigpending, rt_sigreturn:
 * handlers and what they see. */
#include <ucontext.h>

#include "tests/support/guest_test.h"

static volatile int g_count, g_order[16], g_code, g_value;
static volatile pid_t g_from;

static void on_signal(int signo, siginfo_t *info, void *context)
{
    if (g_count < 16)
        g_order[g_count] = signo;
    g_count++;
    g_code = info->si_code;
    g_from = info->si_pid;
    g_value = info->si_value.sival_int;
}

static void install(int signo, int flags)
{
    struct sigaction sa = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | flags};

    sigaction(signo, &sa, NULL);
    g_count = 0;
}

static sigset_t set_of(int a, int b)
{
    sigset_t s;

    sigemptyset(&s);
    sigaddset(&s, a);
    if (b)
        sigaddset(&s, b);
    return s;
}

TEST(kill_self_is_synchronous)
{
    install(SIGUSR1, 0);
    CHECK_EQ(sysp(SYS_kill, getpid(), SIGUSR1), 0);
    CHECK_EQ(g_count, 1);
    CHECK_EQ(g_code, SI_USER);
    CHECK_EQ(g_from, getpid());
    CHECK_EQ(sysp(SYS_tgkill, getpid(), (int)sys(SYS_gettid), SIGUSR1), 0);
    CHECK_EQ(g_code, SI_TKILL);
    CHECK_EQ(sysp(SYS_tkill, (int)sys(SYS_gettid), SIGUSR1), 0);
    CHECK_EQ(g_count, 3);
    signal(SIGUSR1, SIG_DFL);
}

TEST(blocked_signals_stay_pending)
{
    sigset_t set = set_of(SIGUSR1, SIGUSR2), old, pending;

    install(SIGUSR1, 0);
    install(SIGUSR2, 0);
    CHECK_EQ(sysp(SYS_rt_sigprocmask, SIG_BLOCK, &set, &old, (size_t)8), 0);
    CHECK(kill(getpid(), SIGUSR2) == 0 && kill(getpid(), SIGUSR1) == 0);
    CHECK(kill(getpid(), SIGUSR1) == 0);
    CHECK_EQ(g_count, 0);
    sigemptyset(&pending);
    CHECK_EQ(sysp(SYS_rt_sigpending, &pending, (size_t)8), 0);
    CHECK(sigismember(&pending, SIGUSR1) && sigismember(&pending, SIGUSR2));
    CHECK_EQ(sysp(SYS_rt_sigprocmask, SIG_SETMASK, &old, NULL, (size_t)8), 0);
    /* Standard signals do not queue; lower numbers go first, so the frame of the higher runs first.
     */
    CHECK_EQ(g_count, 2);
    CHECK_EQ(g_order[0], SIGUSR2);
    CHECK_EQ(g_order[1], SIGUSR1);
    signal(SIGUSR1, SIG_DFL);
    signal(SIGUSR2, SIG_DFL);
}

TEST(real_time_signals_queue)
{
    sigset_t set = set_of(SIGRTMIN + 1, 0), old;
    siginfo_t info;

    install(SIGRTMIN + 1, 0);
    sigprocmask(SIG_BLOCK, &set, &old);
    for (int i = 1; i <= 3; i++) {
        memset(&info, 0, sizeof(info));
        info.si_code = SI_QUEUE;
        info.si_pid = getpid();
        info.si_value.sival_int = i;
        CHECK_EQ(sysp(SYS_rt_sigqueueinfo, getpid(), SIGRTMIN + 1, &info), 0);
    }
    sigprocmask(SIG_SETMASK, &old, NULL);
    CHECK_EQ(g_count, 3);
    CHECK_EQ(g_code, SI_QUEUE);
    CHECK_EQ(sysp(SYS_rt_tgsigqueueinfo, getpid(), (int)sys(SYS_gettid), SIGRTMIN + 1, &info), 0);
    CHECK_EQ(g_count, 4);
    info.si_code = SI_USER;
    CHECK_ERR(sysp(SYS_rt_sigqueueinfo, getppid(), SIGRTMIN + 1, &info), EPERM);
    signal(SIGRTMIN + 1, SIG_DFL);
}

TEST(action_flags)
{
    struct sigaction sa;

    install(SIGUSR1, SA_RESETHAND);
    kill(getpid(), SIGUSR1);
    CHECK_EQ(g_count, 1);
    CHECK(sigaction(SIGUSR1, NULL, &sa) == 0);
    CHECK(sa.sa_handler == SIG_DFL);
    install(SIGUSR1, SA_NODEFER | SA_RESTART);
    CHECK(sigaction(SIGUSR1, NULL, &sa) == 0);
    CHECK_EQ(sa.sa_flags & (SA_NODEFER | SA_RESTART | SA_SIGINFO),
             SA_NODEFER | SA_RESTART | SA_SIGINFO);
    signal(SIGUSR1, SIG_DFL);
}

TEST(errors)
{
    char act[32] = {0};
    sigset_t set;

    sigemptyset(&set);
    CHECK_ERR(sysp(SYS_kill, getpid(), 65), EINVAL);
    CHECK_ERR(sysp(SYS_kill, 0x3ffffff, 65), ESRCH);
    CHECK_ERR(sysp(SYS_kill, 0x3ffffff, 0), ESRCH);
    CHECK_EQ(sysp(SYS_kill, getpid(), 0), 0);
    CHECK_ERR(sysp(SYS_tgkill, 0, 1, SIGUSR1), EINVAL);
    CHECK_ERR(sysp(SYS_tgkill, getpid(), 0x3ffffff, 0), ESRCH);
    CHECK_ERR(sysp(SYS_tkill, -1, SIGUSR1), EINVAL);
    CHECK_ERR(sysp(SYS_rt_sigaction, SIGKILL, act, NULL, (size_t)8), EINVAL);
    CHECK_ERR(sysp(SYS_rt_sigaction, SIGSTOP, act, NULL, (size_t)8), EINVAL);
    CHECK_ERR(sysp(SYS_rt_sigaction, 0, NULL, NULL, (size_t)8), EINVAL);
    CHECK_ERR(sysp(SYS_rt_sigaction, 65, NULL, NULL, (size_t)8), EINVAL);
    CHECK_ERR(sysp(SYS_rt_sigaction, SIGUSR1, NULL, NULL, (size_t)4), EINVAL);
    CHECK_ERR(sysp(SYS_rt_sigaction, SIGUSR1, BAD_PTR, NULL, (size_t)8), EFAULT);
    CHECK_EQ(sysp(SYS_rt_sigaction, SIGKILL, NULL, act, (size_t)8), 0);
    CHECK_ERR(sysp(SYS_rt_sigprocmask, 7, &set, NULL, (size_t)8), EINVAL);
    CHECK_EQ(sysp(SYS_rt_sigprocmask, 7, NULL, &set, (size_t)8), 0);
    CHECK_ERR(sysp(SYS_rt_sigprocmask, SIG_BLOCK, &set, NULL, (size_t)16), EINVAL);
    CHECK_ERR(sysp(SYS_rt_sigprocmask, SIG_BLOCK, BAD_PTR, NULL, (size_t)8), EFAULT);
    CHECK_ERR(sysp(SYS_rt_sigpending, &set, (size_t)9), EINVAL);
}

static volatile unsigned long g_rax_seen;

static void on_usr1_change_context(int signo, siginfo_t *info, void *context)
{
    ucontext_t *uc = context;

    g_rax_seen = (unsigned long)uc->uc_mcontext.gregs[REG_RAX];
    uc->uc_mcontext.gregs[REG_RBX] = 0x1234567;
    sigaddset(&uc->uc_sigmask, SIGUSR2);
}

TEST(handler_can_change_the_context)
{
    struct sigaction sa = {.sa_sigaction = on_usr1_change_context, .sa_flags = SA_SIGINFO};
    sigset_t mask, none;
    long ret, rbx = 1;

    sigaction(SIGUSR1, &sa, NULL);
    __asm__ volatile("mov $1, %%rbx; syscall; mov %%rbx, %1"
                     : "=a"(ret), "=r"(rbx)
                     : "a"(SYS_kill), "D"((long)getpid()), "S"((long)SIGUSR1)
                     : "rcx", "r11", "rbx", "memory");
    CHECK_EQ(ret, 0);
    CHECK_EQ(g_rax_seen, 0);
    CHECK_EQ(rbx, 0x1234567);
    sigprocmask(SIG_BLOCK, NULL, &mask);
    CHECK(sigismember(&mask, SIGUSR2));
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGUSR1, SIG_DFL);
}

TEST(floating_point_state_survives)
{
    double before[4] = {1.5, -2.25, 1e300, 3.14159}, after[4] = {0};
    unsigned mxcsr_before, mxcsr_after;

    install(SIGUSR1, 0);
    __asm__ volatile("stmxcsr %0" : "=m"(mxcsr_before));
    __asm__ volatile("movupd %2, %%xmm8; movupd %3, %%xmm15; syscall;"
                     "movupd %%xmm8, %0; movupd %%xmm15, %1"
                     : "=m"(*(double(*)[2])after), "=m"(*(double(*)[2])(after + 2))
                     : "m"(*(double(*)[2])before), "m"(*(double(*)[2])(before + 2)), "a"(SYS_kill),
                       "D"((long)getpid()), "S"((long)SIGUSR1)
                     : "rcx", "r11", "xmm8", "xmm15", "memory");
    __asm__ volatile("stmxcsr %0" : "=m"(mxcsr_after));
    CHECK(memcmp(before, after, sizeof(before)) == 0);
    CHECK_EQ(mxcsr_before, mxcsr_after);
    signal(SIGUSR1, SIG_DFL);
}

static void *volatile g_stack_in_handler;

static void on_signal_look_at_stack(int signo)
{
    g_stack_in_handler = __builtin_frame_address(0);
}

TEST(alternate_stack)
{
    static char memory[65536];
    stack_t ss = {.ss_sp = memory, .ss_size = sizeof(memory)}, old, bad = {.ss_flags = 8};
    struct sigaction sa = {.sa_handler = on_signal_look_at_stack, .sa_flags = SA_ONSTACK};

    CHECK_EQ(sysp(SYS_sigaltstack, &ss, NULL), 0);
    sigaction(SIGUSR1, &sa, NULL);
    kill(getpid(), SIGUSR1);
    CHECK((char *)g_stack_in_handler >= memory &&
          (char *)g_stack_in_handler < memory + sizeof(memory));
    CHECK_EQ(sysp(SYS_sigaltstack, NULL, &old), 0);
    CHECK(old.ss_sp == memory);
    CHECK_EQ(old.ss_flags, 0);
    ss.ss_size = 100;
    CHECK_ERR(sysp(SYS_sigaltstack, &ss, NULL), ENOMEM);
    CHECK_ERR(sysp(SYS_sigaltstack, &bad, NULL), EINVAL);
    CHECK_ERR(sysp(SYS_sigaltstack, BAD_PTR, NULL), EFAULT);
    ss.ss_flags = SS_DISABLE;
    CHECK_EQ(sysp(SYS_sigaltstack, &ss, NULL), 0);
    signal(SIGUSR1, SIG_DFL);
}

GUEST_TEST_MAIN
