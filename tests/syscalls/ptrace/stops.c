/* SPDX-License-Identifier: Apache-2.0 */
/* ptrace(2): stops at system calls, signals and single instructions. */
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/time.h>

#include "tests/support/ptrace_test.h"

struct info {
    uint8_t op;
    uint8_t pad[3];
    uint32_t arch;
    uint64_t ip, sp;
    union {
        struct {
            uint64_t nr, args[6];
        } entry;
        struct {
            int64_t rval;
            uint8_t is_error;
        } exit;
    };
};

static void one_call(void)
{
    CHECK_EQ(sys(SYS_getppid), getppid());
    _exit(g_test_failures ? 1 : 0);
}

TEST(entry_and_exit)
{
    pid_t pid = pt_child(one_call);
    struct user_regs_struct r;
    struct info info;
    siginfo_t si;

    CHECK_EQ(pt(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_TRACESYSGOOD), 0);
    CHECK_EQ(pt(PTRACE_GET_SYSCALL_INFO, pid, sizeof(info), &info), 24);
    CHECK_EQ(info.op, 0);
    do {
        CHECK_EQ(pt(PTRACE_SYSCALL, pid, 0, 0), 0);
        if (!CHECK_EQ(pt_wait(pid), SIGTRAP | 0x80))
            break;
        CHECK_EQ(pt(PTRACE_GETREGS, pid, 0, &r), 0);
    } while (r.orig_rax != SYS_getppid);
    CHECK_EQ((long)r.rax, -ENOSYS);
    CHECK_EQ(pt_message(pid), 1);
    CHECK_EQ(pt(PTRACE_GETSIGINFO, pid, 0, &si), 0);
    CHECK_EQ(si.si_signo, SIGTRAP);
    CHECK_EQ(si.si_code, SIGTRAP | 0x80);
    CHECK_EQ(si.si_pid, pid);
    CHECK_EQ(pt(PTRACE_GET_SYSCALL_INFO, pid, sizeof(info), &info), 80);
    CHECK_EQ(info.op, 1);
    CHECK_EQ(info.arch, 0xc000003e);
    CHECK_EQ(info.entry.nr, SYS_getppid);
    CHECK_EQ(info.ip, r.rip);
    CHECK_EQ(info.sp, r.rsp);
    CHECK_EQ(pt(PTRACE_SYSCALL, pid, 0, 0), 0);
    CHECK_EQ(pt_wait(pid), SIGTRAP | 0x80);
    CHECK_EQ(pt_message(pid), 2);
    CHECK_EQ(pt(PTRACE_GET_SYSCALL_INFO, pid, sizeof(info), &info), 33);
    CHECK_EQ(info.op, 2);
    CHECK_EQ(info.exit.rval, getpid());
    CHECK_EQ(info.exit.is_error, 0);
    CHECK_EQ(pt(PTRACE_GETREGS, pid, 0, &r), 0);
    CHECK_EQ(r.orig_rax, SYS_getppid);
    CHECK_EQ(r.rax, getpid());
    CHECK_EQ(pt(PTRACE_CONT, pid, 0, 0), 0);
    CHECK_EQ(pt_wait(pid), PT_EXITED(0));
}

static void three_calls(void)
{
    CHECK_EQ(sys(1000), 1);
    CHECK_EQ(sys(SYS_getppid), 4242);
    CHECK_EQ(sys(SYS_getuid), 17);
    _exit(g_test_failures ? 1 : 0);
}

/* Runs to the next system call stop; the registers there. */
static bool next_call(pid_t pid, int request, struct user_regs_struct *r)
{
    CHECK_EQ(pt(request, pid, 0, 0), 0);
    return CHECK_EQ(pt_wait(pid), SIGTRAP) && CHECK_EQ(pt(PTRACE_GETREGS, pid, 0, r), 0);
}

TEST(calls_can_be_changed)
{
    pid_t pid = pt_child(three_calls);
    struct user_regs_struct r;

    do {
        if (!next_call(pid, PTRACE_SYSCALL, &r))
            return;
    } while (r.orig_rax != 1000);
    /* Another call with other arguments: dup2(1, 1). */
    r.orig_rax = SYS_dup2;
    r.rdi = r.rsi = 1;
    CHECK_EQ(pt(PTRACE_SETREGS, pid, 0, &r), 0);
    REQUIRE(next_call(pid, PTRACE_SYSCALL, &r));
    CHECK_EQ(r.rax, 1);
    REQUIRE(next_call(pid, PTRACE_SYSCALL, &r));
    CHECK_EQ(r.orig_rax, SYS_getppid);
    /* No call at all; rax is the answer. */
    r.orig_rax = -1;
    r.rax = 4242;
    CHECK_EQ(pt(PTRACE_SETREGS, pid, 0, &r), 0);
    REQUIRE(next_call(pid, PTRACE_SYSCALL, &r));
    CHECK_EQ(r.rax, 4242);
    REQUIRE(next_call(pid, PTRACE_SYSCALL, &r));
    CHECK_EQ(r.orig_rax, SYS_getuid);
    REQUIRE(next_call(pid, PTRACE_SYSCALL, &r));
    r.rax = 17;
    CHECK_EQ(pt(PTRACE_SETREGS, pid, 0, &r), 0);
    CHECK_EQ(pt(PTRACE_CONT, pid, 0, 0), 0);
    CHECK_EQ(pt_wait(pid), PT_EXITED(0));
}

static void emulated(void)
{
    CHECK_EQ(sys(SYS_getppid, 5), 55);
    CHECK_EQ(sys(SYS_getppid, 6), 66);
    CHECK_EQ(sys(SYS_getppid), getppid());
    _exit(g_test_failures ? 1 : 0);
}

TEST(sysemu)
{
    pid_t pid = pt_child(emulated);
    struct user_regs_struct r;

    for (long i = 5; i <= 6; i++) {
        do {
            if (!next_call(pid, i == 5 ? PTRACE_SYSEMU : 31, &r))
                return;
        } while (r.orig_rax != SYS_getppid);
        CHECK_EQ(r.rdi, i);
        r.rax = (unsigned long)i * 11;
        CHECK_EQ(pt(PTRACE_SETREGS, pid, 0, &r), 0);
    }
    CHECK_EQ(pt(PTRACE_CONT, pid, 0, 0), 0);
    CHECK_EQ(pt_wait(pid), PT_EXITED(0));
}

/* ---- signals -------------------------------------------------------------------------------- */

static volatile sig_atomic_t g_got;
static siginfo_t g_info;

static void handler(int signo, siginfo_t *si, void *uc)
{
    (void)uc;
    g_got = signo;
    g_info = *si;
}

static void signals_come(void)
{
    struct sigaction sa = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO};

    sigaction(SIGUSR1, &sa, NULL);
    sigaction(SIGUSR2, &sa, NULL);
    raise(SIGUSR1);
    CHECK_EQ(g_got, 0); /* swallowed */
    raise(SIGUSR1);
    CHECK_EQ(g_got, SIGUSR1);
    CHECK_EQ(g_info.si_code, SI_TKILL);
    raise(SIGUSR1);
    CHECK_EQ(g_got, SIGUSR2); /* turned into another one */
    CHECK_EQ(g_info.si_code, SI_USER);
    CHECK_EQ(g_info.si_pid, getppid());
    raise(SIGUSR1);
    CHECK_EQ(g_got, SIGUSR1);
    CHECK_EQ(g_info.si_code, -77); /* new siginfo */
    signal(SIGUSR2, SIG_IGN);
    raise(SIGUSR2); /* the tracer sees what is ignored */
}

TEST(signal_delivery)
{
    pid_t pid = pt_child(signals_come);
    siginfo_t si;

    CHECK_EQ(pt(PTRACE_CONT, pid, 0, 0), 0);
    CHECK_EQ(pt_wait(pid), SIGUSR1);
    CHECK_EQ(pt(PTRACE_CONT, pid, 0, 0), 0);
    CHECK_EQ(pt_wait(pid), SIGUSR1);
    CHECK_EQ(pt(PTRACE_CONT, pid, 0, SIGUSR1), 0);
    CHECK_EQ(pt_wait(pid), SIGUSR1);
    CHECK_EQ(pt(PTRACE_CONT, pid, 0, SIGUSR2), 0);
    CHECK_EQ(pt_wait(pid), SIGUSR1);
    CHECK_EQ(pt(PTRACE_GETSIGINFO, pid, 0, &si), 0);
    CHECK_EQ(si.si_pid, pid);
    si.si_code = -77;
    CHECK_EQ(pt(PTRACE_SETSIGINFO, pid, 0, &si), 0);
    CHECK_EQ(pt(PTRACE_CONT, pid, 0, SIGUSR1), 0);
    CHECK_EQ(pt_wait(pid), SIGUSR2);
    CHECK_EQ(pt(PTRACE_CONT, pid, 0, SIGUSR2), 0);
    CHECK_EQ(pt_wait(pid), PT_EXITED(0));
}

static void fault(void)
{
    *(volatile int *)BAD_PTR = 1;
}

TEST(faults_and_death)
{
    pid_t pid = pt_child(fault);
    siginfo_t si;

    CHECK_EQ(pt(PTRACE_CONT, pid, 0, 0), 0);
    CHECK_EQ(pt_wait(pid), SIGSEGV);
    CHECK_EQ(pt(PTRACE_GETSIGINFO, pid, 0, &si), 0);
    CHECK_EQ(si.si_code, SEGV_MAPERR);
    CHECK(si.si_addr == BAD_PTR);
    CHECK_EQ(pt(PTRACE_CONT, pid, 0, SIGTERM), 0);
    CHECK_EQ(pt_wait(pid), PT_KILLED(SIGTERM));
    pid = pt_child(fault);
    kill(pid, SIGKILL);
    CHECK_EQ(pt_wait(pid), PT_KILLED(SIGKILL));
}

static int g_nap_ms;

static void restarts(void)
{
    struct timespec ts = {g_nap_ms / 1000, g_nap_ms % 1000 * 1000000L}, left = {9, 9};
    long long t0 = test_now_ms();
    pid_t self = getpid();
    int fds[2];
    char c;

    /* A swallowed signal restarts every kind of call. */
    CHECK_EQ(sys(SYS_nanosleep, &ts, &left), 0);
    CHECK(test_now_ms() - t0 >= g_nap_ms - 10);
    CHECK_EQ(pipe(fds), 0);
    if (fork() == 0) {
        if (!test_wait_asleep(self, SYS_read))
            _exit(1);
        kill(self, SIGUSR1);
        test_sleep_ms(150); /* a read that is not restarted ends now */
        _exit(write(fds[1], "x", 1) != 1);
    }
    CHECK_EQ(sys(SYS_read, fds[0], &c, 1L), 1);
}

TEST(restart_after_a_swallowed_signal)
{
    struct user_regs_struct r;
    pid_t pid;
    int ret;

    for (g_nap_ms = 1000;; g_nap_ms *= 2) { /* longer, until we are in time */
        pid = pt_child(restarts);
        CHECK_EQ(pt(PTRACE_CONT, pid, 0, 0), 0);
        WAIT_UNTIL(test_sleeps_in(pid, SYS_nanosleep, NULL) ||
                   test_sleeps_in(pid, SYS_read, NULL) || test_state(pid) == 't');
        kill(pid, SIGUSR1);
        CHECK_EQ(pt_wait(pid), SIGUSR1);
        REQUIRE(pt(PTRACE_GETREGS, pid, 0, &r) == 0);
        if (r.orig_rax != SYS_read)
            break;
        pt_kill(pid);
    }
    CHECK_EQ(r.orig_rax, SYS_nanosleep);
    CHECK_EQ((long)r.rax, -516);
    CHECK_EQ(pt(PTRACE_CONT, pid, 0, 0), 0);
    CHECK_EQ(pt_wait(pid), SIGUSR1);
    CHECK_EQ(pt(PTRACE_GETREGS, pid, 0, &r), 0);
    CHECK_EQ(r.orig_rax, SYS_read);
    CHECK_EQ((long)r.rax, -512);
    CHECK_EQ(pt(PTRACE_CONT, pid, 0, 0), 0);
    ret = pt_wait(pid);
    if (ret == SIGCHLD) {
        CHECK_EQ(pt(PTRACE_CONT, pid, 0, 0), 0);
        ret = pt_wait(pid);
    }
    CHECK_EQ(ret, PT_EXITED(0));
}

/* ---- single steps --------------------------------------------------------------------------- */

extern const char steps_begin[], steps_call[], steps_end[];

__attribute__((noinline)) static void stepped(void)
{
    long ret;

    __asm__ volatile(
        "int3\n"
        ".globl steps_begin\nsteps_begin:\n\tnop\n\tmov $110, %%eax\n\txor %%edi, %%edi\n"
        ".globl steps_call\nsteps_call:\n\tsyscall\n\tnop\n\tnop\n"
        ".globl steps_end\nsteps_end:\n"
        : "=a"(ret)
        :
        : "rcx", "r11", "rdi", "memory");
    CHECK_EQ(ret, getppid());
}

static unsigned long rip_of(pid_t pid)
{
    struct user_regs_struct r = {0};

    CHECK_EQ(pt(PTRACE_GETREGS, pid, 0, &r), 0);
    CHECK_EQ(r.eflags & 0x100, 0); /* the trap flag is the kernel's secret */
    return r.rip;
}

TEST(single_steps)
{
    pid_t pid = pt_child(stepped);
    siginfo_t si;
    int steps = 0;

    CHECK_EQ(pt(PTRACE_CONT, pid, 0, 0), 0);
    CHECK_EQ(pt_wait(pid), SIGTRAP);
    CHECK_EQ(rip_of(pid), (unsigned long)steps_begin);
    while (rip_of(pid) != (unsigned long)steps_end && steps < 20) {
        bool call = rip_of(pid) == (unsigned long)steps_call;

        CHECK_EQ(pt(PTRACE_SINGLESTEP, pid, 0, 0), 0);
        if (!CHECK_EQ(pt_wait(pid), SIGTRAP))
            break;
        CHECK_EQ(pt(PTRACE_GETSIGINFO, pid, 0, &si), 0);
        CHECK_EQ(si.si_code, call ? TRAP_BRKPT : TRAP_TRACE);
        CHECK((unsigned long)si.si_addr == rip_of(pid));
        if (call)
            CHECK_EQ(rip_of(pid), (unsigned long)steps_call + 2);
        steps++;
    }
    CHECK_EQ(steps, 6);
    CHECK_EQ(pt(PTRACE_CONT, pid, 0, 0), 0);
    CHECK_EQ(pt_wait(pid), PT_EXITED(0));
}

static void usr1(int signo)
{
    g_got = signo;
}

static void step_into(void)
{
    signal(SIGUSR1, usr1);
    raise(SIGUSR1);
    CHECK_EQ(g_got, SIGUSR1);
}

TEST(step_into_a_handler)
{
    pid_t pid = pt_child(step_into);

    CHECK_EQ(pt(PTRACE_CONT, pid, 0, 0), 0);
    CHECK_EQ(pt_wait(pid), SIGUSR1);
    CHECK_EQ(pt(PTRACE_SINGLESTEP, pid, 0, SIGUSR1), 0);
    CHECK_EQ(pt_wait(pid), SIGTRAP);
    CHECK_EQ(rip_of(pid), (unsigned long)usr1);
    CHECK_EQ(pt(PTRACE_CONT, pid, 0, 0), 0);
    CHECK_EQ(pt_wait(pid), PT_EXITED(0));
}

static volatile int *g_runs; /* shared with the child */

static void endless(void)
{
    for (;;)
        *g_runs = 1;
}

TEST(detach_while_stepping)
{
    pid_t pid = pt_child(stepped);
    int status;

    CHECK_EQ(pt(PTRACE_CONT, pid, 0, 0), 0);
    CHECK_EQ(pt_wait(pid), SIGTRAP);
    CHECK_EQ(pt(PTRACE_SINGLESTEP, pid, 0, 0), 0);
    CHECK_EQ(pt_wait(pid), SIGTRAP);
    CHECK_EQ(pt(PTRACE_DETACH, pid, 0, 0), 0);
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK_EQ(status, 0);
}

/* A stop is over when PTRACE_CONT returns, whether the tracee has a CPU or not. */
TEST(state_after_cont)
{
    pid_t pid;

    g_runs = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    REQUIRE(g_runs != MAP_FAILED);
    pid = pt_child(endless);
    for (int i = 0; i < 200; i++) {
        CHECK_EQ(test_state(pid), 't');
        CHECK_EQ(pt(PTRACE_CONT, pid, 0, 0), 0);
        CHECK_EQ(test_state(pid), 'R');
        kill(pid, SIGUSR1);
        CHECK_EQ(pt_wait(pid), SIGUSR1);
    }
    pt_kill(pid);
}

TEST(stop_in_a_loop_of_its_own)
{
    struct user_regs_struct r;
    pid_t pid;

    g_runs = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    REQUIRE(g_runs != MAP_FAILED);
    pid = pt_child(endless);
    CHECK_EQ(pt(PTRACE_CONT, pid, 0, 0), 0);
    WAIT_UNTIL(*g_runs);
    CHECK_ERR(pt(PTRACE_GETREGS, pid, 0, &r), ESRCH);
    CHECK_EQ(pt_wait_options(pid, WNOHANG), -1000 - errno);
    kill(pid, SIGSTOP);
    CHECK_EQ(pt_wait(pid), SIGSTOP);
    CHECK_EQ(pt(PTRACE_GETREGS, pid, 0, &r), 0);
    CHECK_EQ(r.orig_rax, -1);
    CHECK_EQ(pt(PTRACE_KILL, pid, 0, 0), 0);
    CHECK_EQ(pt_wait(pid), PT_KILLED(SIGKILL));
}

GUEST_TEST_MAIN
