/* SPDX-License-Identifier: Apache-2.0 */
/* ptrace(2): who may, what a stopped child shows and what can be changed in it. */
#include <stddef.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <ucontext.h>

#include "tests/support/ptrace_test.h"

static volatile long g_word = 0x1122334455667788;
static const long g_constant = 77;

static void nothing(void)
{
}

TEST(errors_without_a_tracee)
{
    struct user_regs_struct regs;

    CHECK_ERR(pt(PTRACE_CONT, 0x7ffffff, 0, 0), ESRCH);
    CHECK_ERR(pt(PTRACE_ATTACH, 0x7ffffff, 0, 0), ESRCH);
    CHECK_ERR(pt(PTRACE_ATTACH, getpid(), 0, 0), EPERM);
    CHECK_ERR(pt(PTRACE_SEIZE, getpid(), 0, 0), EPERM);
    CHECK_ERR(pt(PTRACE_SEIZE, getpid(), 1, 0), EIO);
    CHECK_ERR(pt(PTRACE_SEIZE, getpid(), 0, 0x8000000), EIO);
    CHECK_ERR(pt(PTRACE_GETREGS, getpid(), 0, &regs), ESRCH);
    CHECK_ERR(pt(PTRACE_INTERRUPT, getpid(), 0, 0), ESRCH);
    CHECK_ERR(pt(PTRACE_KILL, getpid(), 0, 0), ESRCH);
    CHECK_ERR(pt(12345, getpid(), 0, 0), ESRCH);
}

static void traceme_twice(void)
{
    CHECK_ERR(pt(PTRACE_TRACEME, 0, 0, 0), EPERM);
}

TEST(traceme_only_once)
{
    pid_t pid = pt_child(traceme_twice);

    CHECK_ERR(pt(PTRACE_ATTACH, pid, 0, 0), EPERM);
    CHECK_ERR(pt(PTRACE_SEIZE, pid, 0, 0), EPERM);
    CHECK_EQ(pt(PTRACE_CONT, pid, 0, 0), 0);
    CHECK_EQ(pt_wait(pid), PT_EXITED(0));
    CHECK_ERR(pt(PTRACE_CONT, pid, 0, 0), ESRCH);
}

TEST(bad_requests_on_a_stopped_child)
{
    pid_t pid = pt_child(nothing);
    long out;

    CHECK_ERR(pt(9999, pid, 0, 0), EIO);
    CHECK_ERR(pt(PTRACE_CONT, pid, 0, 65), EIO);
    CHECK_ERR(pt(PTRACE_CONT, pid, 0, -1), EIO);
    CHECK_ERR(pt(PTRACE_DETACH, pid, 0, 65), EIO);
    CHECK_ERR(pt(PTRACE_SETOPTIONS, pid, 0, 0x100), EINVAL);
    CHECK_ERR(pt(PTRACE_SETOPTIONS, pid, 0, 0x400000), EINVAL);
    CHECK_ERR(pt(PTRACE_INTERRUPT, pid, 0, 0), EIO);
    CHECK_ERR(pt(PTRACE_LISTEN, pid, 0, 0), EIO);
    CHECK_ERR(pt(PTRACE_PEEKDATA, pid, BAD_PTR, &out), EIO);
    CHECK_ERR(pt(PTRACE_PEEKDATA, pid, &g_word, BAD_PTR), EFAULT);
    CHECK_ERR(pt(PTRACE_POKEDATA, pid, BAD_PTR, 1), EIO);
    CHECK_ERR(pt(PTRACE_GETREGS, pid, 0, BAD_PTR), EFAULT);
    CHECK_ERR(pt(PTRACE_SETREGS, pid, 0, BAD_PTR), EFAULT);
    CHECK_ERR(pt(PTRACE_GETSIGINFO, pid, 0, BAD_PTR), EFAULT);
    CHECK_ERR(pt(PTRACE_PEEKUSER, pid, 3, &out), EIO);
    CHECK_ERR(pt(PTRACE_PEEKUSER, pid, sizeof(struct user) + 16, &out), EIO);
    CHECK_ERR(pt(PTRACE_POKEUSER, pid, sizeof(struct user_regs_struct), 0), EIO);
    pt_kill(pid);
}

static void check_word(void)
{
    CHECK_EQ(g_word, 42);
    CHECK_EQ(*(const volatile long *)&g_constant, 78);
}

TEST(peek_and_poke_also_read_only_memory)
{
    pid_t pid = pt_child(check_word);
    long out = 0;

    CHECK_EQ(pt(PTRACE_PEEKDATA, pid, &g_word, &out), 0);
    CHECK_EQ(out, 0x1122334455667788);
    CHECK_EQ(pt(PTRACE_PEEKTEXT, pid, (char *)&g_word + 1, &out), 0);
    CHECK_EQ(out & 0xffffffffffffff, 0x11223344556677);
    CHECK_EQ(pt(PTRACE_POKEDATA, pid, &g_word, 42), 0);
    CHECK_EQ(pt(PTRACE_POKETEXT, pid, &g_constant, 78), 0);
    CHECK_EQ(*(const volatile long *)&g_constant, 77);
    CHECK_EQ(pt(PTRACE_CONT, pid, 0, 0), 0);
    CHECK_EQ(pt_wait(pid), PT_EXITED(0));
}

static void wait_in_getppid(void)
{
    register long rbx __asm__("rbx") = 0x1234;

    __asm__ volatile("int3" : "+r"(rbx) : : "memory");
    CHECK_EQ(rbx, 0x4321);
}

TEST(registers_at_a_breakpoint)
{
    pid_t pid = pt_child(wait_in_getppid);
    struct user_regs_struct r, again;
    siginfo_t si;
    long word;

    CHECK_EQ(pt(PTRACE_CONT, pid, 0, 0), 0);
    CHECK_EQ(pt_wait(pid), SIGTRAP);
    CHECK_EQ(pt(PTRACE_GETREGS, pid, 0, &r), 0);
    CHECK_EQ(r.rbx, 0x1234);
    CHECK_EQ(r.orig_rax, -1);
    CHECK_EQ(r.cs, 0x33);
    CHECK_EQ(r.ss, 0x2b);
    CHECK_EQ(pt(PTRACE_PEEKTEXT, pid, r.rip - 1, &word), 0);
    CHECK_EQ(word & 0xff, 0xcc);
    CHECK_EQ(pt(PTRACE_GETSIGINFO, pid, 0, &si), 0);
    CHECK_EQ(si.si_signo, SIGTRAP);
    CHECK_EQ(si.si_code, SI_KERNEL);
    CHECK_EQ(pt(PTRACE_PEEKUSER, pid, offsetof(struct user_regs_struct, rip), &word), 0);
    CHECK_EQ(word, r.rip);
    CHECK_EQ(pt(PTRACE_POKEUSER, pid, offsetof(struct user_regs_struct, rbx), 0x4321), 0);
    CHECK_EQ(pt(PTRACE_GETREGS, pid, 0, &again), 0);
    CHECK_EQ(again.rbx, 0x4321);
    r.rbx = 0x4321;
    CHECK(memcmp(&r, &again, sizeof(r)) == 0);
    r.cs = 0x10;
    CHECK_ERR(pt(PTRACE_SETREGS, pid, 0, &r), EIO);
    r.cs = 0x33;
    r.fs_base = 1ul << 63;
    CHECK_ERR(pt(PTRACE_SETREGS, pid, 0, &r), EIO);
    r = again;
    /* What user mode may not have is ignored. */
    r.eflags |= 0x3000;
    CHECK_EQ(pt(PTRACE_SETREGS, pid, 0, &r), 0);
    CHECK_EQ(pt(PTRACE_GETREGS, pid, 0, &r), 0);
    CHECK_EQ(r.eflags, again.eflags);
    CHECK_EQ(pt(PTRACE_CONT, pid, 0, 0), 0);
    CHECK_EQ(pt_wait(pid), PT_EXITED(0));
}

TEST(register_sets)
{
    pid_t pid = pt_child(nothing);
    struct user_regs_struct r, plain;
    struct iovec iov = {&r, sizeof(r)};
    char big[8192];

    CHECK_EQ(pt(PTRACE_GETREGSET, pid, NT_PRSTATUS, &iov), 0);
    CHECK_EQ(iov.iov_len, sizeof(r));
    CHECK_EQ(pt(PTRACE_GETREGS, pid, 0, &plain), 0);
    CHECK(memcmp(&r, &plain, sizeof(r)) == 0);
    iov = (struct iovec){big, sizeof(big)};
    CHECK_EQ(pt(PTRACE_GETREGSET, pid, NT_PRSTATUS, &iov), 0);
    CHECK_EQ(iov.iov_len, sizeof(r));
    memset(big, 0x5a, sizeof(big));
    iov.iov_len = 16;
    CHECK_EQ(pt(PTRACE_GETREGSET, pid, NT_PRSTATUS, &iov), 0);
    CHECK_EQ(iov.iov_len, 16);
    CHECK_EQ(big[16], 0x5a);
    CHECK(memcmp(&r, big, 16) == 0);
    iov.iov_len = 17;
    CHECK_ERR(pt(PTRACE_GETREGSET, pid, NT_PRSTATUS, &iov), EINVAL);
    iov.iov_len = sizeof(big);
    CHECK_ERR(pt(PTRACE_GETREGSET, pid, 0x7777, &iov), EINVAL);
    CHECK_ERR(pt(PTRACE_GETREGSET, pid, NT_PRSTATUS, BAD_PTR), EFAULT);
    iov = (struct iovec){BAD_PTR, sizeof(r)};
    CHECK_ERR(pt(PTRACE_GETREGSET, pid, NT_PRSTATUS, &iov), EFAULT);
    pt_kill(pid);
}

static void float_work(void)
{
    double x = 0;

    __asm__ volatile("movq %1, %%xmm7\n\tint3\n\tmovq %%xmm7, %0"
                     : "=r"(x)
                     : "r"(1.5)
                     : "xmm7", "memory");
    CHECK(x == 2.5);
}

TEST(floating_point_registers)
{
    pid_t pid = pt_child(float_work);
    struct user_fpregs_struct fp;
    static char xs[16384], xs2[16384];
    struct iovec iov = {xs, sizeof(xs)};
    double d, want = 2.5;

    CHECK_EQ(pt(PTRACE_CONT, pid, 0, 0), 0);
    CHECK_EQ(pt_wait(pid), SIGTRAP);
    CHECK_EQ(pt(PTRACE_GETFPREGS, pid, 0, &fp), 0);
    memcpy(&d, &fp.xmm_space[7 * 4], sizeof(d));
    CHECK(d == 1.5);
    CHECK_EQ(fp.mxcsr & 0xffffffc0, 0x1f80);
    CHECK_EQ(pt(PTRACE_GETREGSET, pid, NT_X86_XSTATE, &iov), 0);
    CHECK(iov.iov_len >= 576);
    memcpy(&d, xs + 160 + 7 * 16, sizeof(d));
    CHECK(d == 1.5);
    memcpy(&fp.xmm_space[7 * 4], &want, sizeof(want));
    CHECK_EQ(pt(PTRACE_SETFPREGS, pid, 0, &fp), 0);
    /* The mask of features stands where debuggers look for it. */
    CHECK_EQ(xs[464] & 3, 3);
    iov = (struct iovec){xs2, sizeof(xs2)};
    CHECK_EQ(pt(PTRACE_GETREGSET, pid, NT_X86_XSTATE, &iov), 0);
    memcpy(&d, xs2 + 160 + 7 * 16, sizeof(d));
    CHECK(d == 2.5);
    CHECK_EQ(pt(PTRACE_SETREGSET, pid, NT_X86_XSTATE, &iov), 0);
    iov.iov_len -= 8;
    CHECK_ERR(pt(PTRACE_SETREGSET, pid, NT_X86_XSTATE, &iov), EFAULT);
    iov = (struct iovec){&fp, sizeof(fp) - 8};
    CHECK_ERR(pt(PTRACE_SETREGSET, pid, NT_PRFPREG, &iov), EINVAL);
    fp.mxcsr = 0xffffffff;
    CHECK_ERR(pt(PTRACE_SETFPREGS, pid, 0, &fp), EINVAL);
    CHECK_EQ(pt(PTRACE_CONT, pid, 0, 0), 0);
    CHECK_EQ(pt_wait(pid), PT_EXITED(0));
}

static void queue_signals(void)
{
    sigset_t set;
    union sigval v = {.sival_int = 7};

    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigaddset(&set, SIGRTMIN);
    sigprocmask(SIG_BLOCK, &set, NULL);
    sigqueue(getpid(), SIGRTMIN, v);
    v.sival_int = 8;
    sigqueue(getpid(), SIGRTMIN, v);
    syscall(SYS_tgkill, getpid(), gettid(), SIGUSR1);
    raise(SIGSTOP);
    sigprocmask(SIG_SETMASK, NULL, &set);
    CHECK_EQ(sigismember(&set, SIGUSR1), 1);
    CHECK_EQ(sigismember(&set, SIGUSR2), 1);
    CHECK_EQ(sigismember(&set, SIGRTMIN), 0);
}

TEST(signal_queues_and_mask)
{
    pid_t pid = pt_child(queue_signals);
    struct {
        uint64_t off;
        uint32_t flags;
        int32_t nr;
    } args = {0, 1, 10};
    siginfo_t si[10];
    uint64_t mask = 0;

    CHECK_EQ(pt(PTRACE_CONT, pid, 0, 0), 0);
    CHECK_EQ(pt_wait(pid), SIGSTOP);
    memset(si, 0, sizeof(si));
    CHECK_EQ(pt(PTRACE_PEEKSIGINFO, pid, &args, si), 2);
    CHECK_EQ(si[0].si_value.sival_int, 7);
    CHECK_EQ(si[1].si_value.sival_int, 8);
    args.off = 1;
    CHECK_EQ(pt(PTRACE_PEEKSIGINFO, pid, &args, si), 1);
    CHECK_EQ(si[0].si_value.sival_int, 8);
    args.off = 0;
    args.flags = 0;
    CHECK_EQ(pt(PTRACE_PEEKSIGINFO, pid, &args, si), 1);
    CHECK_EQ(si[0].si_signo, SIGUSR1);
    CHECK_EQ(si[0].si_code, SI_TKILL);
    args.flags = 2;
    CHECK_ERR(pt(PTRACE_PEEKSIGINFO, pid, &args, si), EINVAL);
    args.flags = 0;
    args.nr = -1;
    CHECK_ERR(pt(PTRACE_PEEKSIGINFO, pid, &args, si), EINVAL);
    CHECK_ERR(pt(PTRACE_GETSIGMASK, pid, 4, &mask), EINVAL);
    CHECK_EQ(pt(PTRACE_GETSIGMASK, pid, 8, &mask), 0);
    CHECK(mask & (1ull << (SIGUSR1 - 1)));
    mask = 1ull << (SIGUSR1 - 1) | 1ull << (SIGUSR2 - 1) | 1ull << (SIGKILL - 1);
    CHECK_EQ(pt(PTRACE_SETSIGMASK, pid, 8, &mask), 0);
    CHECK_EQ(pt(PTRACE_GETSIGMASK, pid, 8, &mask), 0);
    CHECK(!(mask & (1ull << (SIGKILL - 1))));
    CHECK_EQ(pt(PTRACE_CONT, pid, 0, 0), 0);
    /* The real-time signals are open now: one stop each, swallowed here. */
    CHECK_EQ(pt_wait(pid), SIGRTMIN);
    CHECK_EQ(pt(PTRACE_CONT, pid, 0, 0), 0);
    CHECK_EQ(pt_wait(pid), SIGRTMIN);
    CHECK_EQ(pt(PTRACE_CONT, pid, 0, 0), 0);
    CHECK_EQ(pt_wait(pid), PT_EXITED(0));
}

static void get_bases(void)
{
    unsigned long fs = 0;

    CHECK_EQ(sys(SYS_arch_prctl, 0x1003, &fs), 0);
    g_word = (long)fs;
    raise(SIGUSR1);
}

TEST(segment_bases)
{
    pid_t pid = pt_child(get_bases);
    struct user_regs_struct r;
    unsigned long fs = 0;
    long word;

    CHECK_EQ(pt(PTRACE_CONT, pid, 0, 0), 0);
    CHECK_EQ(pt_wait(pid), SIGUSR1);
    CHECK_EQ(pt(PTRACE_PEEKDATA, pid, &g_word, &word), 0);
    CHECK_EQ(pt(PTRACE_GETREGS, pid, 0, &r), 0);
    CHECK_EQ(r.fs_base, word);
    CHECK_EQ(pt(30 /* ARCH_PRCTL */, pid, &fs, 0x1003), 0);
    CHECK_EQ(fs, word);
    CHECK_EQ(pt(30, pid, 0x5000, 0x1001), 0);
    CHECK_EQ(pt(30, pid, &fs, 0x1004), 0);
    CHECK_EQ(fs, 0x5000);
    CHECK_ERR(pt(30, pid, 1ul << 63, 0x1001), EPERM);
    CHECK_ERR(pt(30, pid, 0, 0x9999), EINVAL);
    CHECK_EQ(pt(PTRACE_CONT, pid, 0, 0), 0);
    CHECK_EQ(pt_wait(pid), PT_EXITED(0));
}

static pid_t sleeper_child(bool undumpable)
{
    int fds[2];
    pid_t pid;
    char c;

    if (pipe(fds) < 0)
        return -1;
    pid = fork();
    if (pid == 0) {
        if (undumpable)
            prctl(PR_SET_DUMPABLE, 0);
        if (write(fds[1], "x", 1) == 1)
            pause();
        _exit(0);
    }
    CHECK_EQ(read(fds[0], &c, 1), 1);
    close(fds[0]);
    close(fds[1]);
    return pid;
}

static pid_t g_other;

static void as_nobody(void)
{
    char buf[8];
    struct iovec local = {buf, 8}, remote = {(void *)(uintptr_t)&g_word, 8};

    if (setresgid(65534, 65534, 65534) < 0 || setresuid(65534, 65534, 65534) < 0)
        _exit(2);
    CHECK_ERR(pt(PTRACE_ATTACH, g_other, 0, 0), EPERM);
    CHECK_ERR(pt(PTRACE_SEIZE, g_other, 0, 0), EPERM);
    CHECK_ERR(sys(SYS_process_vm_readv, g_other, &local, 1L, &remote, 1L, 0L), EPERM);
}

TEST(permission)
{
    if (geteuid() != 0)
        SKIP("needs root");
    g_other = sleeper_child(false);
    CHECK_EQ(test_in_child(as_nobody), 0);
    CHECK_EQ(pt(PTRACE_SEIZE, g_other, 0, 0), 0);
    CHECK_ERR(pt(PTRACE_GETSIGMASK, g_other, 8, &g_other), ESRCH);
    kill(g_other, SIGKILL);
    CHECK_EQ(pt_wait(g_other), PT_KILLED(SIGKILL));
}

static void undumpable_as_nobody(void)
{
    pid_t pid;

    if (geteuid() == 0 &&
        (setresgid(65534, 65534, 65534) < 0 || setresuid(65534, 65534, 65534) < 0))
        _exit(2);
    pid = sleeper_child(true);
    CHECK_ERR(pt(PTRACE_ATTACH, pid, 0, 0), EPERM);
    kill(pid, SIGKILL);
    CHECK_EQ(waitpid(pid, NULL, 0), pid);
}

TEST(not_dumpable)
{
    CHECK_EQ(test_in_child(undumpable_as_nobody), 0);
}

TEST(status_shows_the_tracer)
{
    char path[64], buf[4096], want[64];
    pid_t pid = pt_child(nothing);
    ssize_t n;
    int fd;

    snprintf(path, sizeof(path), "/proc/%d/status", pid);
    snprintf(want, sizeof(want), "\nTracerPid:\t%d\n", getpid());
    fd = open(path, O_RDONLY);
    n = read(fd, buf, sizeof(buf) - 1);
    REQUIRE(n > 0);
    buf[n] = '\0';
    close(fd);
    CHECK(strstr(buf, want) != NULL);
    CHECK(strstr(buf, "\nState:\tt (tracing stop)\n") != NULL);
    pt_kill(pid);
}

GUEST_TEST_MAIN
