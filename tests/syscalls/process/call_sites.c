/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls that are made often from one place: a sandbox may make them in another way there, and
 * nothing may show it. Every form of call site, with what may happen around it: signals, fork,
 * threads, new identities, filters, tracers, code that changes, segment registers.
 */
#include "tests/support/guest_test.h"

#include <asm/prctl.h>
#include <elf.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <stddef.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <ucontext.h>

enum { HOT = 400 };
#define PAGE 4096ul

/* The forms, each in a function of its own; the pads are as compilers lay them. */
__asm__(".pushsection .text.sites, \"ax\"\n"
        ".balign 4096\n"
        ".globl site_mov, site_mov_call, site_rax, site_read, site_any, site_fcntl, site_getuid, "
        "site_gettid\n"
        ".globl sites_end\n"
        "site_mov: movl $39, %eax\n"
        "site_mov_call: syscall\n"
        "ret\n"
        ".balign 16\n"
        "site_rax: movq $39, %rax\n syscall\n ret\n"
        ".balign 16\n"
        "site_read: xorl %eax, %eax\n syscall\n ret\n"
        ".byte 0x0f, 0x1f, 0x80, 0, 0, 0, 0\n"
        ".balign 16\n"
        /* as glibc's syscall() */
        "site_any: movq %rdi, %rax\n movq %rsi, %rdi\n movq %rdx, %rsi\n movq %rcx, %rdx\n"
        "movq %r8, %r10\n movq %r9, %r8\n movq 8(%rsp), %r9\n syscall\n ret\n"
        ".balign 16\n"
        "site_fcntl: movl $72, %eax\n syscall\n ret\n"
        ".balign 16\n"
        "site_getuid: movl $102, %eax\n syscall\n ret\n"
        ".balign 16\n"
        "site_gettid: movl $186, %eax\n syscall\n ret\n"
        ".balign 16\n"
        "site_move: movl $72, %eax\n movl %r12d, %edx\n syscall\n ret\n"
        ".byte 0x0f, 0x1f, 0x44, 0, 0\n"
        ".balign 16\n"
        /* as Go's Syscall6, with its padding */
        "site_go: movq %rsi, %r10\n movq %rdi, %rdx\n movq %rcx, %rsi\n movq %rbx, %rdi\n "
        "syscall\n ret\n"
        ".byte 0xcc, 0xcc, 0xcc, 0xcc, 0xcc, 0xcc\n"
        ".balign 16\n"
        /* No padding: the instruction before the no-op ends like a return, and runs into it. */
        "site_ran: xorl %eax, %eax\n syscall\n movq %rax, %rbx\n"
        ".byte 0x0f, 0x1f, 0x44, 0, 0\n"
        "addq $1, %r12\n ret\n"
        ".balign 16\n"
        "site_getcpu: movl $309, %eax\n syscall\n ret\n"
        ".balign 4096\n"
        "sites_end:\n"
        ".popsection\n");
extern const uint8_t site_mov[], site_mov_call[], site_rax[], site_read[], site_any[], site_fcntl[],
    site_getuid[], site_gettid[], site_move[], site_go[], site_ran[], site_getcpu[], sites_end[];

struct regs {
    uint64_t rax, rdi, rsi, rdx, r10, r8, r9, rbx, rbp, r12, r13, r14, r15;
};

/* Calls a site with all registers as in r, which takes them back. */
static void call(const void *site, struct regs *r)
{
    __asm__ volatile("pushq %%rbp\n pushq %%rbx\n"
                     "subq $128, %%rsp\n" /* a red zone that nobody touches */
                     "pushq %%rdi\n pushq %%rsi\n"
                     "movq %%rdi, %%rcx\n"
                     "movq 0(%%rcx), %%rax\n movq 16(%%rcx), %%rsi\n movq 24(%%rcx), %%rdx\n"
                     "movq 32(%%rcx), %%r10\n movq 40(%%rcx), %%r8\n movq 48(%%rcx), %%r9\n"
                     "movq 56(%%rcx), %%rbx\n movq 64(%%rcx), %%rbp\n movq 72(%%rcx), %%r12\n"
                     "movq 80(%%rcx), %%r13\n movq 88(%%rcx), %%r14\n movq 96(%%rcx), %%r15\n"
                     "movq 8(%%rcx), %%rdi\n"
                     "call *(%%rsp)\n"
                     "movq 8(%%rsp), %%rcx\n"
                     "movq %%rax, 0(%%rcx)\n movq %%rdi, 8(%%rcx)\n movq %%rsi, 16(%%rcx)\n"
                     "movq %%rdx, 24(%%rcx)\n movq %%r10, 32(%%rcx)\n movq %%r8, 40(%%rcx)\n"
                     "movq %%r9, 48(%%rcx)\n movq %%rbx, 56(%%rcx)\n movq %%rbp, 64(%%rcx)\n"
                     "movq %%r12, 72(%%rcx)\n movq %%r13, 80(%%rcx)\n movq %%r14, 88(%%rcx)\n"
                     "movq %%r15, 96(%%rcx)\n"
                     "addq $144, %%rsp\n popq %%rbx\n popq %%rbp\n"
                     : "+D"(r), "+S"(site)
                     :
                     : "rax", "rcx", "rdx", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15",
                       "memory", "cc");
}

static long call3(const void *site, long a, long b, long c)
{
    struct regs r = {.rdi = (uint64_t)a, .rsi = (uint64_t)b, .rdx = (uint64_t)c};

    call(site, &r);
    return (long)r.rax;
}

static void heat(const void *site, long a, long b, long c)
{
    for (int i = 0; i < HOT; i++)
        call3(site, a, b, c);
}

static int wait_code(pid_t pid)
{
    int status = -1;

    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + status;
}

TEST(registers_survive)
{
    const void *sites[] = {site_mov, site_rax, site_fcntl, site_getuid, site_gettid, site_read};

    for (size_t s = 0; s < sizeof(sites) / sizeof(*sites); s++) {
        for (int i = 0; i < HOT; i++) {
            /* A bad descriptor for those that take one. */
            struct regs r = {1, (uint64_t)-7, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13}, was = r;
            long want = sites[s] == site_fcntl || sites[s] == site_read ? -EBADF
                        : sites[s] == site_getuid                       ? (long)sys(SYS_getuid)
                        : sites[s] == site_gettid                       ? (long)sys(SYS_gettid)
                                                                        : (long)sys(SYS_getpid);

            call(sites[s], &r);
            REQUIRE((long)r.rax == want);
            r.rax = was.rax;
            REQUIRE(memcmp(&r, &was, sizeof(r)) == 0);
        }
    }
}

TEST(arguments_arrive)
{
    char from[64], to[64];
    struct iovec l = {to, sizeof(to)}, r = {from, sizeof(from)};

    for (int i = 0; i < HOT; i++) {
        /* process_vm_readv through the form that moves all arguments: pid, l, 1, r, 1, 0 */
        struct regs g = {.rdi = SYS_process_vm_readv,
                         .rsi = (uint64_t)getpid(),
                         .rdx = (uint64_t)&l,
                         .r8 = (uint64_t)&r,
                         .r9 = 1};
        long ret;

        memset(from, i, sizeof(from));
        memset(to, ~i, sizeof(to));
        __asm__ volatile("pushq $0\n movq $1, %%rcx\n movq %[r], %%r8\n movq $1, %%r9\n"
                         "call site_any\n addq $8, %%rsp\n"
                         : "=a"(ret)
                         : "D"(g.rdi), "S"(g.rsi), "d"(g.rdx), [r] "b"(&r)
                         : "rcx", "r8", "r9", "r10", "r11", "memory", "cc");
        REQUIRE(ret == (long)sizeof(to));
        REQUIRE(memcmp(from, to, sizeof(to)) == 0);
    }
}

static long any(long nr)
{
    return call3(site_any, nr, 0, 0);
}

/* One place for calls of any number: identities among others. */
TEST(any_number)
{
    pid_t pid;

    for (int i = 0; i < HOT; i++) {
        REQUIRE(any(SYS_getpid) == getpid());
        REQUIRE(any(SYS_gettid) == gettid());
        REQUIRE(any(SYS_getppid) == getppid());
        REQUIRE(any(SYS_getuid) == (long)getuid());
        REQUIRE(any(SYS_getegid) == (long)getegid());
        REQUIRE(any(187) == -EAGAIN || any(187) == -EINVAL || any(187) == -EBADF); /* readahead */
        REQUIRE(any(1ul << 31 | SYS_getpid) == -ENOSYS);
        REQUIRE(any(5000) == -ENOSYS);
        /* Only the lower half counts. */
        REQUIRE(any((long)(1ul << 40 | SYS_getpid)) == getpid());
    }
    pid = fork();
    if (pid == 0) {
        struct regs r = {1, SYS_getpid, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13};

        if (any(SYS_getpid) != getpid() || any(SYS_getppid) != getppid())
            _exit(1);
        if (setresuid(1234, 1235, 1236) == 0 &&
            (any(SYS_getuid) != 1234 || any(SYS_geteuid) != 1235))
            _exit(2);
        call(site_any, &r);
        /* What the form itself moves, and nothing else. */
        if (r.rax != (uint64_t)getpid() || r.rbx != 8 || r.rbp != 9 || r.r12 != 10 || r.r13 != 11 ||
            r.r14 != 12 || r.r15 != 13)
            _exit(3);
        _exit(0);
    }
    CHECK_EQ(wait_code(pid), 0);
}

TEST(moves_before_the_call)
{
    int p[2];

    REQUIRE(pipe(p) == 0);
    for (int i = 0; i < HOT; i++) {
        struct regs r = {.rdi = (uint64_t)p[0], .rsi = F_SETFL, .r12 = i & 1 ? O_NONBLOCK : 0};
        long ret;

        call(site_move, &r);
        REQUIRE(r.rax == 0 && r.rdx == r.r12);
        REQUIRE((fcntl(p[0], F_GETFL) & O_NONBLOCK) == (int)r.r12);
        /* Go: number in rax, arguments in rbx, rcx, rdi, rsi, r8, r9. */
        __asm__ volatile("call site_go"
                         : "=a"(ret)
                         : "a"(SYS_fcntl), "b"((long)p[0]), "c"((long)F_GETFL), "D"(0l), "S"(0l)
                         : "rdx", "r10", "r11", "r8", "r9", "memory", "cc");
        REQUIRE((ret & O_NONBLOCK) == (long)r.r12);
    }
    close(p[0]);
    close(p[1]);
}

TEST(jump_between_instructions)
{
    heat(site_mov, 0, 0, 0);
    for (int i = 0; i < 10; i++) {
        struct regs r = {.rax = SYS_getppid};

        call(site_mov_call, &r);
        CHECK_EQ((long)r.rax, getppid());
        CHECK_EQ(call3(site_mov, 0, 0, 0), getpid());
    }
}

TEST(identity_follows)
{
    pid_t pid;

    heat(site_mov, 0, 0, 0);
    heat(site_getuid, 0, 0, 0);
    heat(site_gettid, 0, 0, 0);
    pid = fork();
    if (pid == 0) {
        pid_t self = (pid_t)sys(SYS_getpid);

        for (int i = 0; i < HOT; i++) {
            if (call3(site_mov, 0, 0, 0) != self || call3(site_gettid, 0, 0, 0) != self)
                _exit(1);
        }
        if (sys(SYS_getuid) == 0) {
            for (uid_t u = 1000; u < 1003; u++) {
                if (sys(SYS_setresuid, (long)u, -1L, -1L) != 0)
                    _exit(2);
                for (int i = 0; i < HOT; i++) {
                    if (call3(site_getuid, 0, 0, 0) != (long)u)
                        _exit(3);
                }
            }
        }
        _exit(0);
    }
    CHECK_EQ(wait_code(pid), 0);
    CHECK_EQ(call3(site_mov, 0, 0, 0), sys(SYS_getpid));
    pid = vfork();
    if (pid == 0)
        _exit(call3(site_mov, 0, 0, 0) == sys(SYS_getpid) ? 0 : 1);
    CHECK_EQ(wait_code(pid), 0);
}

static void *thread_ids(void *arg)
{
    long self = sys(SYS_gettid);

    (void)arg;
    for (int i = 0; i < 4 * HOT; i++) {
        if (call3(site_gettid, 0, 0, 0) != self || call3(site_mov, 0, 0, 0) != getpid())
            return (void *)1;
        if (call3(site_fcntl, -1, F_GETFL, 0) != -EBADF)
            return (void *)2;
    }
    return NULL;
}

TEST(threads_have_their_own)
{
    pthread_t t[6];

    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 6; i++)
            REQUIRE(pthread_create(&t[i], NULL, thread_ids, NULL) == 0);
        for (int i = 0; i < 6; i++) {
            void *ret = (void *)9;

            pthread_join(t[i], &ret);
            CHECK_EQ((long)ret, 0);
        }
    }
}

/* ---- signals ---- */

static volatile sig_atomic_t g_hits, g_outside;
extern const uint8_t __executable_start[], etext[];

static void on_tick(int signo, siginfo_t *si, void *context)
{
    const ucontext_t *uc = context;
    uint64_t rip = (uint64_t)uc->uc_mcontext.gregs[REG_RIP];

    (void)signo;
    (void)si;
    g_hits++;
    if (rip < (uint64_t)__executable_start || rip >= (uint64_t)etext)
        g_outside++; /* the vDSO would be fine, but nothing here uses it */
}

TEST(signals_see_the_program)
{
    struct sigaction sa = {.sa_sigaction = on_tick, .sa_flags = SA_SIGINFO | SA_RESTART};
    struct itimerval every = {{0, 300}, {0, 300}}, never = {0};
    long bad = 0;

    REQUIRE(sigaction(SIGALRM, &sa, NULL) == 0);
    REQUIRE(setitimer(ITIMER_REAL, &every, NULL) == 0);
    for (int i = 0; g_hits < 300 && i < 20000000; i++) {
        struct regs r = {1, (uint64_t)-7, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13}, was = r;

        bad += any(SYS_getpid) != (long)g_test_main_pid;
        call(i & 1 ? site_fcntl : site_mov, &r);
        bad += (long)r.rax != (i & 1 ? -EBADF : (long)g_test_main_pid);
        r.rax = was.rax;
        bad += memcmp(&r, &was, sizeof(r)) != 0;
    }
    setitimer(ITIMER_REAL, &never, NULL);
    signal(SIGALRM, SIG_DFL);
    CHECK_EQ(bad, 0);
    CHECK(g_hits >= 300);
    CHECK_EQ(g_outside, 0);
}

TEST(restart_of_a_hot_read)
{
    struct sigaction sa = {.sa_sigaction = on_tick, .sa_flags = SA_SIGINFO | SA_RESTART};
    int p[2];
    char byte = 'a';
    pid_t pid;

    REQUIRE(pipe(p) == 0);
    heat(site_read, -1, (long)&byte, 1);
    sigaction(SIGALRM, &sa, NULL);
    g_hits = 0;
    pid = fork();
    if (pid == 0) {
        for (int i = 0; i < 20; i++) {
            usleep(2000);
            kill(getppid(), SIGALRM);
        }
        usleep(20000);
        _exit(write(p[1], "z", 1) == 1 ? 0 : 1);
    }
    CHECK_EQ(call3(site_read, p[0], (long)&byte, 1), 1);
    CHECK_EQ(byte, 'z');
    CHECK_EQ(wait_code(pid), 0);
    CHECK(g_hits > 0);
    /* Without SA_RESTART the call ends. */
    sa.sa_flags = SA_SIGINFO;
    sigaction(SIGALRM, &sa, NULL);
    pid = test_signal_in(SYS_read, SIGALRM);
    CHECK_EQ(call3(site_read, p[0], (long)&byte, 1), -EINTR);
    CHECK_EQ(wait_code(pid), 0);
    signal(SIGALRM, SIG_DFL);
    close(p[0]);
    close(p[1]);
}

/* ---- those who watch ---- */

static int deny_getpid(unsigned flags)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getpid, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EXDEV),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog prog = {4, code};

    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    return (int)sys(SYS_seccomp, (long)SECCOMP_SET_MODE_FILTER, (long)flags, &prog);
}

static volatile int g_phase;

static void *denied_thread(void *arg)
{
    long ret = 0;

    (void)arg;
    heat(site_mov, 0, 0, 0);
    g_phase = 1;
    while (g_phase != 2)
        usleep(100);
    ret = call3(site_mov, 0, 0, 0);
    return (void *)ret;
}

TEST(filters_see_every_call)
{
    pid_t pid = fork();

    if (pid == 0) {
        pthread_t t;
        void *ret;

        heat(site_mov, 0, 0, 0);
        if (pthread_create(&t, NULL, denied_thread, NULL))
            _exit(1);
        while (g_phase != 1)
            usleep(100);
        if (deny_getpid(SECCOMP_FILTER_FLAG_TSYNC) != 0)
            _exit(2);
        if (call3(site_mov, 0, 0, 0) != -EXDEV)
            _exit(3);
        g_phase = 2;
        pthread_join(t, &ret);
        if ((long)ret != -EXDEV)
            _exit(4);
        heat(site_mov, 0, 0, 0);
        _exit(call3(site_mov, 0, 0, 0) == -EXDEV ? 0 : 5);
    }
    CHECK_EQ(wait_code(pid), 0);
}

TEST(tracers_see_every_call)
{
    pid_t pid = fork();
    int status, calls = 0;

    if (pid == 0) {
        heat(site_mov, 0, 0, 0);
        ptrace(PTRACE_TRACEME, 0, 0, 0);
        raise(SIGSTOP);
        for (int i = 0; i < 10; i++)
            call3(site_mov, 0, 0, 0);
        _exit(0);
    }
    REQUIRE(waitpid(pid, &status, 0) == pid && WIFSTOPPED(status));
    CHECK_EQ(ptrace(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL), 0);
    /* What a debugger reads and where the program stands. */
    errno = 0;
    CHECK_EQ(ptrace(PTRACE_PEEKTEXT, pid, site_mov, 0) & 0xff, 0xb8);
    for (;;) {
        REQUIRE(ptrace(PTRACE_SYSCALL, pid, 0, 0) == 0);
        REQUIRE(waitpid(pid, &status, 0) == pid);
        if (WIFEXITED(status))
            break;
        if (WIFSTOPPED(status) && WSTOPSIG(status) == (SIGTRAP | 0x80)) {
            struct {
                uint64_t r[27];
            } r;
            struct iovec iov = {&r, sizeof(r)};

            if (ptrace(PTRACE_GETREGSET, pid, NT_PRSTATUS, &iov) == 0 && r.r[15] == SYS_getpid)
                calls += r.r[16] == (uint64_t)site_mov_call + 2;
        }
    }
    CHECK_EQ(calls, 20); /* entry and exit */
}

TEST(single_steps)
{
    pid_t pid = fork();
    int status, outside = 0, inside = 0;

    if (pid == 0) {
        heat(site_fcntl, -1, F_GETFL, 0);
        ptrace(PTRACE_TRACEME, 0, 0, 0);
        raise(SIGSTOP);
        call3(site_fcntl, -1, F_GETFL, 0);
        _exit(0);
    }
    REQUIRE(waitpid(pid, &status, 0) == pid && WIFSTOPPED(status));
    ptrace(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_EXITKILL);
    for (int i = 0; i < 100000; i++) {
        uint64_t rip;

        REQUIRE(ptrace(PTRACE_SINGLESTEP, pid, 0, 0) == 0);
        REQUIRE(waitpid(pid, &status, 0) == pid);
        if (!WIFSTOPPED(status))
            break;
        rip = (uint64_t)ptrace(PTRACE_PEEKUSER, pid, 16 * 8, 0);
        outside += rip < (uint64_t)__executable_start || rip >= (uint64_t)etext;
        inside += rip == (uint64_t)site_fcntl + 5;
    }
    CHECK(WIFEXITED(status));
    CHECK_EQ(outside, 0);
    CHECK_EQ(inside, 1);
}

TEST(memory_shows_the_program)
{
    uint8_t bytes[16], other[16];
    struct iovec l = {other, 16}, r = {(void *)(uintptr_t)site_fcntl, 16};
    int p[2], fd = open("/proc/self/mem", O_RDONLY);
    static const uint8_t want[] = {0xb8, 72, 0, 0, 0, 0x0f, 0x05, 0xc3};

    heat(site_fcntl, -1, F_GETFL, 0);
    REQUIRE(fd >= 0);
    CHECK_EQ(pread(fd, bytes, 16, (off_t)(uintptr_t)site_fcntl), 16);
    CHECK_EQ(memcmp(bytes, want, sizeof(want)), 0);
    CHECK_EQ(process_vm_readv(getpid(), &l, 1, &r, 1, 0), 16);
    CHECK_EQ(memcmp(other, want, sizeof(want)), 0);
    REQUIRE(pipe(p) == 0);
    CHECK_EQ(write(p[1], site_fcntl, 16), 16);
    CHECK_EQ(read(p[0], bytes, 16), 16);
    CHECK_EQ(memcmp(bytes, want, sizeof(want)), 0);
    close(p[0]);
    close(p[1]);
    close(fd);
}

/* ---- code that changes ---- */

TEST(code_that_is_rewritten)
{
    pid_t pid = fork();

    if (pid == 0) {
        uint8_t *page = (uint8_t *)(uintptr_t)site_mov;
        const uint32_t ppid = SYS_getppid, self = SYS_getpid;

        __asm__("" : "+r"(page)); /* clang drops writes to what it knows to be a function */
        for (int round = 0; round < 4; round++) {
            heat(site_mov, 0, 0, 0);
            heat(site_gettid, 0, 0, 0);
            if (mprotect(page, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC) != 0)
                _exit(1);
            if (call3(site_mov, 0, 0, 0) != sys(SYS_getpid))
                _exit(2);
            memcpy(page + 1, &ppid, sizeof(ppid));
            if (call3(site_mov, 0, 0, 0) != sys(SYS_getppid))
                _exit(3);
            if (mprotect(page, PAGE, PROT_READ | PROT_EXEC) != 0)
                _exit(4);
            heat(site_mov, 0, 0, 0);
            if (call3(site_mov, 0, 0, 0) != sys(SYS_getppid))
                _exit(5);
            if (mprotect(page, PAGE, PROT_READ | PROT_WRITE) != 0)
                _exit(6);
            memcpy(page + 1, &self, sizeof(self));
            if (mprotect(page, PAGE, PROT_READ | PROT_EXEC) != 0)
                _exit(7);
            if (call3(site_mov, 0, 0, 0) != sys(SYS_getpid))
                _exit(8);
        }
        _exit(0);
    }
    CHECK_EQ(wait_code(pid), 0);
}

TEST(code_that_is_mapped_over)
{
    static const uint8_t code[2][8] = {{0xb8, SYS_getpid, 0, 0, 0, 0x0f, 0x05, 0xc3},
                                       {0xb8, SYS_getppid, 0, 0, 0, 0x0f, 0x05, 0xc3}};
    char path[96];
    uint8_t *at;
    int fd;

    snprintf(path, sizeof(path), "%s/code", test_tmpdir());
    fd = open(path, O_RDWR | O_CREAT, 0700);
    REQUIRE(fd >= 0 && ftruncate(fd, 2 * (off_t)PAGE) == 0);
    for (int i = 0; i < 2; i++)
        REQUIRE(pwrite(fd, code[i], 8, (off_t)PAGE * i + 64) == 8);
    at = mmap(NULL, PAGE, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0);
    REQUIRE(at != MAP_FAILED);
    for (int i = 0; i < 6; i++) {
        REQUIRE(mmap(at, PAGE, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_FIXED, fd,
                     (off_t)PAGE * (i & 1)) == at);
        for (int k = 0; k < HOT; k++)
            REQUIRE(call3(at + 64, 0, 0, 0) == (i & 1 ? getppid() : getpid()));
    }
    munmap(at, PAGE);
    close(fd);
}

TEST(two_sites_share_a_page_of_padding)
{
    char byte;

    /* Every site of the page at once, in turns. */
    for (int i = 0; i < HOT; i++) {
        REQUIRE(call3(site_read, -1, (long)&byte, 1) == -EBADF);
        REQUIRE(call3(site_fcntl, -1, F_GETFL, 0) == -EBADF);
        REQUIRE(call3(site_rax, 0, 0, 0) == getpid());
        REQUIRE(call3(site_getuid, 0, 0, 0) == (long)getuid());
    }
}

TEST(padding_that_is_run_into)
{
    for (int i = 0; i < HOT; i++) {
        struct regs r = {.rdi = (uint64_t)-1, .r12 = 7};

        call(site_ran, &r);
        REQUIRE((long)r.rax == -EBADF && r.rbx == r.rax && r.r12 == 8);
    }
}

/* ---- where it runs ---- */

TEST(getcpu_tells_the_threads_own)
{
    cpu_set_t all, one;
    unsigned cpu;

    REQUIRE(sched_getaffinity(0, sizeof(all), &all) == 0);
    for (int i = 0; i < CPU_SETSIZE; i++) {
        if (!CPU_ISSET(i, &all))
            continue;
        CPU_ZERO(&one);
        CPU_SET(i, &one);
        REQUIRE(sched_setaffinity(0, sizeof(one), &one) == 0);
        for (int k = 0; k < HOT * 10; k++) {
            cpu = 12345;
            REQUIRE(call3(site_getcpu, (long)&cpu, 0, 0) == 0);
            REQUIRE((int)cpu == i);
        }
    }
    CHECK_EQ(sched_setaffinity(0, sizeof(all), &all), 0);
}

/* ---- gs ---- */

TEST(gs_is_the_programs)
{
    pid_t pid = fork();

    if (pid == 0) {
        uint64_t *own =
            mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        uint64_t v = 1;

        heat(site_mov, 0, 0, 0);
        heat(site_fcntl, -1, F_GETFL, 0);
        if (sys(SYS_arch_prctl, (long)ARCH_GET_GS, &v) != 0 || v != 0)
            _exit(1);
        for (int i = 0; i < 512; i++)
            own[i] = (uint64_t)i * 0x0101010101010101ull;
        if (sys(SYS_arch_prctl, (long)ARCH_SET_GS, own) != 0)
            _exit(2);
        for (int i = 0; i < HOT; i++) {
            if (call3(site_mov, 0, 0, 0) != sys(SYS_getpid) ||
                call3(site_fcntl, -1, F_GETFL, 0) != -EBADF)
                _exit(3);
            __asm__ volatile("movq %%gs:56, %0" : "=r"(v));
            if (v != own[7])
                _exit(4);
        }
        for (int i = 0; i < 512; i++) {
            if (own[i] != (uint64_t)i * 0x0101010101010101ull)
                _exit(5);
        }
        _exit(0);
    }
    CHECK_EQ(wait_code(pid), 0);
}

TEST(gs_set_by_instruction)
{
    pid_t pid;

    if (!(getauxval(AT_HWCAP2) & 2))
        SKIP("no rdgsbase here");
    pid = fork();
    if (pid == 0) {
        uint64_t *own =
            mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        const uint64_t values[] = {(uint64_t)own, 0x10, 0x7ffffffff000ull, 0};

        for (int k = 0; k < 4; k++) {
            heat(site_mov, 0, 0, 0);
            heat(site_fcntl, -1, F_GETFL, 0);
            __asm__ volatile("wrgsbase %0" : : "r"(values[k]));
            for (int i = 0; i < HOT; i++) {
                if (call3(site_mov, 0, 0, 0) != sys(SYS_getpid) ||
                    call3(site_fcntl, -1, F_GETFL, 0) != -EBADF)
                    _exit(3);
            }
        }
        _exit(0);
    }
    CHECK_EQ(wait_code(pid), 0);
}

/* ---- all at once ---- */

static volatile int g_stop;

static void *caller(void *arg)
{
    long bad = 0, n = 0;

    (void)arg;
    while (!g_stop) {
        n++;
        bad += call3(site_fcntl, -1, F_GETFL, 0) != -EBADF;
        bad += call3(site_mov, 0, 0, 0) != g_test_main_pid;
        bad += call3(site_read, -1, 0, 0) != -EBADF;
    }
    return (void *)(n ? bad : -1);
}

TEST(changes_under_threads)
{
    uint8_t *page = (uint8_t *)(uintptr_t)site_mov;
    pthread_t t[3];

    for (int i = 0; i < 3; i++)
        REQUIRE(pthread_create(&t[i], NULL, caller, NULL) == 0);
    for (int i = 0; i < 60; i++) {
        pid_t pid;

        usleep(3000);
        /* The same bytes again, and a moment without the right to run them would be a bug here. */
        CHECK_EQ(mprotect(page, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC), 0);
        CHECK_EQ(mprotect(page, PAGE, PROT_READ | PROT_EXEC), 0);
        if (i % 10 == 0) {
            pid = fork();
            if (pid == 0) {
                heat(site_fcntl, -1, F_GETFL, 0);
                _exit(call3(site_mov, 0, 0, 0) == sys(SYS_getpid) ? 0 : 1);
            }
            CHECK_EQ(wait_code(pid), 0);
        }
    }
    g_stop = 1;
    for (int i = 0; i < 3; i++) {
        void *ret = (void *)9;

        pthread_join(t[i], &ret);
        CHECK_EQ((long)ret, 0);
    }
}

GUEST_TEST_MAIN
