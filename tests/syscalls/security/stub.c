/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Guests that attack what a platform keeps in their address space: the stub (platform/ptrace and
 * platform/seccomp, thread.c argues why this gains nothing). The guest finds it as an attacker would,
 * by touching addresses: what can be read and is not in /proc/self/maps is not ours. On Linux nothing
 * is found, and the tests pass.
 *
 * Attacks run in children. Any end of a child is fine; the sandbox, the parent and a witness that
 * shares nothing with the children must not notice.
 */
#define GUEST_TEST_SECONDS 110
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/uio.h>
#include <sys/utsname.h>
#include <ucontext.h>

#include "platform/seccomp/layout.h"
#include "tests/support/guest_test.h"

#define PAGE  4096ul
#define LOW   0x7ff000000000ul /* stubs are above */
#define HIGH  0x7ffffffff000ul
#define STEP  0x100000ul
#define CROWD 160 /* threads whose slots together are larger than STEP: 8 KiB each */
#define SITES 64

static uintptr_t g_stub;         /* the page with the code, 0: there is none */
static uintptr_t g_sites[SITES]; /* its system call instructions */
static unsigned g_site_count;
static unsigned g_code_size;

/* --- touching addresses ------------------------------------------------------------------------ */

static __thread sigjmp_buf g_back;
static __thread volatile bool g_touching;

static void faulted(int sig)
{
    if (g_touching)
        siglongjmp(g_back, sig);
    signal(sig, SIG_DFL);
    raise(sig);
}

static void catch_faults(void)
{
    static const int signals[] = {SIGSEGV, SIGBUS, SIGILL, SIGTRAP, SIGFPE, SIGSYS};
    struct sigaction sa = {.sa_handler = faulted, .sa_flags = SA_NODEFER | SA_ONSTACK};

    for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
        sigaction(signals[i], &sa, NULL);
}

/* The signal that reading or writing a byte there raised; 0: none. */
static int touch(uintptr_t addr, bool write)
{
    volatile uint8_t *p = (volatile uint8_t *)addr;
    int sig = sigsetjmp(g_back, 1);

    if (sig == 0) {
        g_touching = true;
        if (write)
            *p = *p;
        else
            (void)*p;
    }
    g_touching = false;
    return sig;
}

/* Reading a byte at many addresses: the first that can be read, stepping from addr to end. No
 * sigsetjmp per address: the handler moves on. */
static uintptr_t g_scan_step, g_scan_end;

static void scan_fault(int sig, siginfo_t *info, void *context)
{
    ucontext_t *uc = context;
    greg_t *at = &uc->uc_mcontext.gregs[REG_RDI];

    (void)sig;
    (void)info;
    *at += (greg_t)g_scan_step;
    if ((uintptr_t)*at >= g_scan_end)
        uc->uc_mcontext.gregs[REG_RIP] += 3; /* movzbl (%rdi), %eax */
}

static uintptr_t scan(uintptr_t addr, uintptr_t end, uintptr_t step)
{
    struct sigaction sa = {.sa_sigaction = scan_fault, .sa_flags = SA_SIGINFO}, old;

    g_scan_step = step;
    g_scan_end = end;
    sigaction(SIGSEGV, &sa, &old);
    __asm__ volatile("movzbl (%%rdi), %%eax" : "+D"(addr) : : "rax", "memory");
    sigaction(SIGSEGV, &old, NULL);
    return addr;
}

/* --- finding the stub ---------------------------------------------------------------------------- */

/* Where the mapping of ours ends that addr is in, 0: in none. */
static uintptr_t own_end(uintptr_t addr)
{
    FILE *maps = fopen("/proc/self/maps", "r");
    uintptr_t start, end, found = 0;
    char line[512];

    while (maps && fgets(line, sizeof(line), maps)) {
        if (sscanf(line, "%lx-%lx", &start, &end) == 2 && addr >= start && addr < end)
            found = end;
    }
    if (maps)
        fclose(maps);
    return found;
}

static pthread_barrier_t g_full, g_leave;

static void *in_crowd(void *arg)
{
    (void)arg;
    pthread_barrier_wait(&g_full);
    pthread_barrier_wait(&g_leave);
    return NULL;
}

static void take_code(uintptr_t page)
{
    const uint8_t *code = (const uint8_t *)page;

    g_site_count = 0;
    for (unsigned i = 0; i + 1 < PAGE; i++) {
        if (code[i] == 0x0f && code[i + 1] == 0x05 && g_site_count < SITES)
            g_sites[g_site_count++] = page + i;
    }
    if (g_site_count < 5)
        return;
    g_stub = page;
    g_code_size = (unsigned)(g_sites[g_site_count - 1] - page) + 16; /* the rest is padding */
}

/* From the first mapped page that is not ours down to the code. */
static void look_below(uintptr_t addr)
{
    for (uintptr_t at = addr & -PAGE; at > LOW && at + 0x4000000 > addr && !g_stub; at -= PAGE) {
        if (touch(at, false) == 0 && !own_end(at))
            take_code(at);
    }
}

static void look_everywhere(uintptr_t phase)
{
    uintptr_t at = LOW + phase;

    while (at < HIGH && !g_stub) {
        uintptr_t own;

        at = scan(at, HIGH, STEP);
        if (at >= HIGH)
            break;
        own = own_end(at);
        if (!own)
            look_below(at);
        at = own ? ((own + STEP - 1) & -STEP) + phase : at + STEP;
    }
}

static void find(void)
{
    pthread_attr_t small;
    pthread_t crowd[CROWD];

    catch_faults();
    pthread_attr_init(&small);
    pthread_attr_setstacksize(&small, PTHREAD_STACK_MIN);
    pthread_barrier_init(&g_full, NULL, CROWD + 1);
    pthread_barrier_init(&g_leave, NULL, CROWD + 1);
    for (int i = 0; i < CROWD; i++) {
        if (pthread_create(&crowd[i], &small, in_crowd, NULL) != 0) {
            test_say("no threads\n");
            exit(1);
        }
    }
    pthread_barrier_wait(&g_full);
    look_everywhere(0);
    look_everywhere(PAGE); /* a slot may have a hole (--rseq) */
    pthread_barrier_wait(&g_leave);
    for (int i = 0; i < CROWD; i++)
        pthread_join(crowd[i], NULL);
}

static bool is_sandbox(void)
{
    struct utsname u;

    return uname(&u) == 0 && strstr(u.version, "runsc-c");
}

/* false: there is nothing to attack. */
static bool have_stub(void)
{
    static bool looked;

    if (!looked)
        find();
    looked = true;
    return g_stub != 0;
}

/* Runs first: the others fork copies of what it found. */
TEST(the_stub_is_found)
{
    have_stub();
    CHECK_EQ(g_stub != 0, is_sandbox() && !getenv("GUEST_TEST_NO_STUB"));
    if (g_stub)
        test_say("stub at %#lx, %u bytes, %u system call instructions\n", g_stub, g_code_size,
                 g_site_count);
}

/* --- the witness ------------------------------------------------------------------------------------ */

static int g_ask[2], g_answer[2];
static pid_t g_witness;
static uint8_t *g_canary;

static void witness(void)
{
    char c;

    while (read(g_ask[0], &c, 1) == 1) {
        c ^= 0x55;
        if (write(g_answer[1], &c, 1) != 1)
            break;
    }
    _exit(0);
}

static void start_witness(void)
{
    sigset_t child;

    sigemptyset(&child);
    sigaddset(&child, SIGCHLD); /* for reap */
    sigprocmask(SIG_BLOCK, &child, NULL);
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    g_canary = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    memset(g_canary, 0xa5, PAGE);
    REQUIRE(pipe2(g_ask, O_CLOEXEC) == 0 && pipe2(g_answer, O_CLOEXEC) == 0);
    g_witness = fork();
    if (g_witness == 0) {
        close(g_ask[1]);
        witness();
    }
}

static void nothing(void)
{
}

/* The parent, the witness and the sandbox are as they were. */
static void check_intact(void)
{
    char c = 0x21;
    long bad = 0;

    CHECK_EQ(write(g_ask[1], &c, 1), 1);
    CHECK_EQ(read(g_answer[0], &c, 1), 1);
    CHECK_EQ(c, 0x21 ^ 0x55);
    for (size_t i = 0; i < PAGE; i++)
        bad += g_canary[i] != 0xa5;
    CHECK_EQ(bad, 0);
    CHECK_EQ(test_in_child(nothing), 0);
}

static void end_witness(void)
{
    int status;

    check_intact();
    close(g_ask[1]);
    CHECK_EQ(waitpid(g_witness, &status, 0), g_witness);
    CHECK_EQ(status, 0);
    close(g_ask[0]);
    close(g_answer[0]);
    close(g_answer[1]);
    munmap(g_canary, PAGE);
}

/* An attacker's process: a group of its own, nothing of the parent's. */
static pid_t attacker(void (*fn)(void))
{
    pid_t pid = fork();

    if (pid == 0) {
        setpgid(0, 0);
        munmap(g_canary, PAGE);
        close_range(3, ~0u, 0);
        dup2(open("/dev/null", O_RDWR), 1);
        dup2(1, 2);
        fn();
        _exit(0);
    }
    setpgid(pid, pid);
    return pid;
}

/* Gives the attacker some time, then ends it and what it cloned. That it ends is the test: the wait has no
 * limit but that of the whole program. */
static void reap(pid_t pid, int ms)
{
    const struct timespec limit = {ms / 1000, (ms % 1000) * 1000000L};
    sigset_t child;
    siginfo_t info;

    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    info.si_pid = 0;
    while (waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid == 0) {
        if (sigtimedwait(&child, NULL, &limit) < 0)
            break;
    }
    kill(-pid, SIGKILL);
    while (waitpid(-pid, NULL, 0) > 0)
        ;
}

static void attack(void (*fn)(void), int ms)
{
    pid_t pid = attacker(fn);

    REQUIRE(pid > 0);
    reap(pid, ms);
}

/* --- jumps ----------------------------------------------------------------------------------------------- */

struct registers {
    uint64_t rax, rbx, rcx, rdx, rsi, rdi, rbp, rsp, r8, r9, r10, r11, r12, r13, r14, r15;
};

__thread uintptr_t g_target;

void jump(const struct registers *r) __attribute__((noreturn));
__asm__("jump:\n"
        "movq 0(%rdi), %rax\n"
        "movq 8(%rdi), %rbx\n"
        "movq 16(%rdi), %rcx\n"
        "movq 24(%rdi), %rdx\n"
        "movq 32(%rdi), %rsi\n"
        "movq 48(%rdi), %rbp\n"
        "movq 56(%rdi), %rsp\n"
        "movq 64(%rdi), %r8\n"
        "movq 72(%rdi), %r9\n"
        "movq 80(%rdi), %r10\n"
        "movq 88(%rdi), %r11\n"
        "movq 96(%rdi), %r12\n"
        "movq 104(%rdi), %r13\n"
        "movq 112(%rdi), %r14\n"
        "movq 120(%rdi), %r15\n"
        "movq 40(%rdi), %rdi\n"
        "jmp *%fs:g_target@tpoff\n");

static uint8_t g_data[4 * 4096] __attribute__((aligned(4096)));
static struct registers g_jump;
static uintptr_t g_jump_to;

static void do_jump(void)
{
    g_target = g_jump_to;
    jump(&g_jump);
}

/* Calls that would hurt if the host made them for the stub. */
TEST(jumps_to_every_call)
{
    if (!have_stub())
        return;
    const uint64_t data = (uint64_t)g_data, all = LOW;
    const struct registers calls[] = {
        {.rax = SYS_munmap, .rdi = data, .rsi = PAGE},
        {.rax = SYS_munmap, .rdi = 0, .rsi = all},
        {.rax = SYS_munmap, .rdi = g_stub, .rsi = PAGE},
        {.rax = SYS_mprotect,
         .rdi = g_stub,
         .rsi = PAGE,
         .rdx = PROT_READ | PROT_WRITE | PROT_EXEC},
        {.rax = SYS_mmap,
         .rdi = g_stub,
         .rsi = PAGE,
         .rdx = 7,
         .r10 = MAP_PRIVATE | MAP_FIXED | MAP_ANONYMOUS,
         .r8 = (uint64_t)-1},
        {.rax = SYS_mmap,
         .rdi = data,
         .rsi = PAGE,
         .rdx = 7,
         .r10 = MAP_SHARED | MAP_FIXED,
         .r8 = 3},
        {.rax = SYS_mmap,
         .rdi = data,
         .rsi = PAGE,
         .rdx = 3,
         .r10 = MAP_SHARED | MAP_FIXED,
         .r8 = 5},
        {.rax = SYS_mremap,
         .rdi = g_stub,
         .rsi = PAGE,
         .rdx = PAGE,
         .r10 = MREMAP_MAYMOVE | MREMAP_FIXED,
         .r8 = data},
        {.rax = SYS_write, .rdi = 3, .rsi = data, .rdx = 8},
        {.rax = SYS_write, .rdi = 7, .rsi = data, .rdx = 8},
        {.rax = SYS_close, .rdi = 3},
        {.rax = SYS_close_range, .rdi = 0, .rsi = ~0u},
        {.rax = SYS_clone, .rdi = CLONE_FILES | CLONE_FS | CLONE_PARENT | SIGCHLD},
        {.rax = SYS_clone, .rdi = CLONE_VM | CLONE_FILES | CLONE_FS | CLONE_PARENT | SIGCHLD},
        {.rax = SYS_vfork},
        {.rax = SYS_exit},
        {.rax = SYS_exit_group},
        {.rax = SYS_kill, .rdi = 2, .rsi = SIGKILL},
        {.rax = SYS_tkill, .rdi = 2, .rsi = SIGKILL},
        {.rax = SYS_ptrace, .rdi = 0},
        {.rax = SYS_seccomp, .rdi = 1, .rdx = g_stub + STUB_DATA_OFF + DATA_PROG_LOCK},
        {.rax = SYS_seccomp, .rdi = 0},
        {.rax = SYS_prctl, .rdi = PR_SET_PDEATHSIG, .rsi = SIGKILL},
        {.rax = SYS_arch_prctl, .rdi = 0x2003 /* ARCH_MAP_VDSO_64 */, .rsi = 0x10000000},
        {.rax = SYS_arch_prctl, .rdi = 0x1002 /* ARCH_SET_FS */, .rsi = g_stub},
        {.rax = SYS_sigaltstack, .rdi = data},
        {.rax = SYS_rt_sigaction, .rdi = SIGSEGV, .rsi = data, .r10 = 8},
        {.rax = SYS_rt_sigprocmask, .rdi = SIG_SETMASK, .rsi = data, .r10 = 8},
        {.rax = SYS_rt_sigreturn},
        {.rax = SYS_futex, .rdi = data, .rsi = FUTEX_WAIT},
        {.rax = BELL_NR, .rdx = data},
        {.rax = BELL_NR, .rdx = g_stub + STUB_SLOTS_OFF + 0x800},
    };

    memset(g_data, 0xff, sizeof(g_data));
    start_witness();
    for (unsigned s = 0; s < g_site_count; s++) {
        for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
            g_jump = calls[i];
            g_jump.rsp = data + 2 * PAGE;
            g_jump.rbx = g_jump.r12 = g_jump.r13 = g_jump.r14 = g_jump.r15 = data;
            g_jump_to = g_sites[s];
            attack(do_jump, 3);
        }
        check_intact();
    }
    end_witness();
}

static uint64_t g_seed = 88172645463325252ull;

static uint64_t next(uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

/* Registers that point at what could be of use. */
static void useful_registers(struct registers *r, uint64_t *seed)
{
    static const uint64_t numbers[] = {
        SYS_munmap, SYS_mprotect, SYS_mmap,         SYS_write, SYS_close,       SYS_clone,
        SYS_exit,   SYS_futex,    SYS_rt_sigreturn, BELL_NR,   SYS_arch_prctl,  SYS_seccomp,
        SYS_prctl,  SYS_getpid,   SYS_sigaltstack,  SYS_pause, SYS_sched_yield, ~0ul};
    const uint64_t useful[] = {
        (uint64_t)g_data,
        (uint64_t)g_data + 2 * PAGE,
        g_stub,
        g_stub + STUB_DATA_OFF,
        g_stub + STUB_REQUEST_OFF,
        g_stub + STUB_SLOTS_OFF + next(seed) % 64 * 0x2000,
        g_stub + STUB_SLOTS_OFF + next(seed) % 0x80000,
        g_stub + next(seed) % g_code_size,
        numbers[next(seed) % (sizeof(numbers) / sizeof(numbers[0]))],
        next(seed) % 16,
        0,
        UINT64_MAX,
    };
    uint64_t *v = &r->rax;

    for (size_t i = 0; i < sizeof(*r) / sizeof(*v); i++)
        v[i] = useful[next(seed) % (sizeof(useful) / sizeof(useful[0]))];
    r->rax = next(seed) % 4 ? numbers[next(seed) % (sizeof(numbers) / sizeof(numbers[0]))] : r->rax;
}

TEST(jumps_to_every_byte)
{
    if (!have_stub())
        return;
    start_witness();
    for (unsigned at = 0; at < g_code_size; at++) {
        for (int round = 0; round < 3; round++) {
            useful_registers(&g_jump, &g_seed);
            g_jump_to = g_stub + at;
            attack(do_jump, 3);
        }
        if (at % 32 == 0)
            check_intact();
    }
    end_witness();
}

/* --- the stub's memory -------------------------------------------------------------------------------------- */

static void attack_pages(void)
{
    uint8_t before[4096];
    const long sizes[] = {(long)PAGE, STUB_FIXED_SIZE, 0x4000000};
    struct iovec here = {before, sizeof(before)}, there = {(void *)g_stub, sizeof(before)};
    int pair[2];

    memcpy(before, (void *)g_stub, sizeof(before));
    for (uintptr_t at = g_stub; at < g_stub + STUB_FIXED_SIZE; at += PAGE) {
        if (touch(at, false) == 0)
            CHECK_EQ(touch(at, true), SIGSEGV);
    }
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        /* The sandbox's Linux has no such addresses. */
        (void)sys(SYS_munmap, g_stub, sizes[i]); /* of nothing: 0, as below TASK_SIZE */
        CHECK(sys(SYS_mprotect, g_stub, sizes[i], 7L) < 0);
        CHECK(sys(SYS_madvise, g_stub, sizes[i], (long)MADV_DONTNEED) < 0);
        CHECK(sys(SYS_mlock, g_stub, sizes[i]) < 0);
        CHECK(sys(SYS_mmap, g_stub, sizes[i], 7L, (long)(MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED),
                  -1L, 0L) < 0);
        CHECK(sys(SYS_mmap, g_stub, sizes[i], 7L,
                  (long)(MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE), -1L, 0L) < 0);
        CHECK(sys(SYS_mremap, g_data, PAGE, (long)PAGE, (long)(MREMAP_MAYMOVE | MREMAP_FIXED),
                  g_stub) < 0);
        CHECK(sys(SYS_mremap, g_stub, PAGE, (long)PAGE, (long)(MREMAP_MAYMOVE | MREMAP_FIXED),
                  g_data) < 0);
    }
    CHECK_EQ(sys(SYS_process_vm_writev, (long)getpid(), &here, 1L, &there, 1L, 0L), -EFAULT);
    CHECK_EQ(sys(SYS_process_vm_readv, (long)getpid(), &here, 1L, &there, 1L, 0L), -EFAULT);
    if (pipe(pair) == 0) {
        CHECK_EQ(sys(SYS_write, (long)pair[1], g_stub, 8L), -EFAULT);
        CHECK_EQ(sys(SYS_write, (long)pair[1], before, 8L), 8);
        CHECK_EQ(sys(SYS_read, (long)pair[0], g_stub + STUB_SLOTS_OFF + SLOT_STACK, 8L), -EFAULT);
    }
    CHECK_EQ(memcmp(before, (void *)g_stub, sizeof(before)), 0);
}

TEST(memory_of_the_stub)
{
    if (!have_stub())
        return;
    CHECK_EQ(test_in_child(attack_pages), 0);
    start_witness();
    end_witness();
}

/* --- siblings -------------------------------------------------------------------------------------------------- */

static _Atomic uint64_t g_thread_seed;

static void set_up_thread(void)
{
    static _Atomic unsigned next_stack;
    static uint8_t stacks[16][32768];
    stack_t ss = {.ss_sp = stacks[next_stack++ % 16], .ss_size = sizeof(stacks[0])};

    sigaltstack(&ss, NULL);
}

/* Jumps anywhere, comes back by the signal that this raised, and jumps again. */
static void *jumper(void *arg)
{
    uint64_t seed = atomic_fetch_add(&g_thread_seed, 0x9e3779b97f4a7c15ull);
    struct registers r;

    (void)arg;
    set_up_thread();
    for (volatile int i = 0; i < 300; i++) {
        if (sigsetjmp(g_back, 1) == 0) {
            g_touching = true;
            useful_registers(&r, &seed);
            g_target = next(&seed) % 2 ? g_sites[next(&seed) % g_site_count]
                                       : g_stub + next(&seed) % g_code_size;
            if (r.rax == SYS_exit || r.rax == SYS_clone)
                continue;
            jump(&r);
        }
    }
    return NULL;
}

/* Scribbles over all slots that are mapped here. */
static void *scribbler(void *arg)
{
    const uintptr_t slots = g_stub + STUB_SLOTS_OFF;
    uint64_t seed = atomic_fetch_add(&g_thread_seed, 0x9e3779b97f4a7c15ull);
    uintptr_t pages[64];
    unsigned count = 0;

    (void)arg;
    set_up_thread();
    for (uintptr_t at = slots; at < slots + 0x400000 && count < 64; at += PAGE) {
        if (touch(at, true) == 0)
            pages[count++] = at;
    }
    for (;;) {
        uint64_t *words = (uint64_t *)(count ? pages[next(&seed) % count] : (uintptr_t)g_data);
        /* Half of the time in the first words, and where frames are. */
        uint64_t *word = &words[next(&seed) % (next(&seed) % 2 ? 8 : 512)];

        switch (next(&seed) % 4) {
        case 0:
            *word = next(&seed);
            break;
        case 1:
            *word = slots + next(&seed) % 0x20000;
            break;
        case 2:
            *word ^= 1ul << (next(&seed) % 64);
            break;
        default:
            *word = (uint64_t)g_data;
        }
    }
    return NULL;
}

static void *caller(void *arg)
{
    (void)arg;
    set_up_thread();
    for (;;) {
        (void)syscall(SYS_getppid);
        (void)touch(0x5000, false);
        kill(getpid(), SIGUSR1);
        munmap(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), PAGE);
    }
    return NULL;
}

static void *breeder(void *arg)
{
    pthread_t t;

    (void)arg;
    for (;;) {
        pid_t pid = fork();

        if (pid == 0)
            _exit(0);
        waitpid(pid, NULL, 0);
        if (pthread_create(&t, NULL, jumper, NULL) == 0)
            pthread_join(t, NULL);
    }
    return NULL;
}

static void ignore(int sig)
{
    (void)sig;
}

static void run_threads(void *(*const fns[])(void *), int count)
{
    pthread_t t;

    signal(SIGUSR1, ignore);
    for (int i = 0; i < count; i++)
        pthread_create(&t, NULL, fns[i], NULL);
    for (;;)
        pause();
}

static void scribbling_siblings(void)
{
    static void *(*const fns[])(void *) = {scribbler, caller, caller, scribbler};

    run_threads(fns, 4);
}

static void jumping_siblings(void)
{
    static void *(*const fns[])(void *) = {jumper, caller, jumper, breeder};

    run_threads(fns, 4);
}

static void all_siblings(void)
{
    static void *(*const fns[])(void *) = {jumper, caller, scribbler, breeder, jumper, scribbler};

    run_threads(fns, 6);
}

TEST(siblings_race)
{
    void (*const crowds[])(void) = {scribbling_siblings, jumping_siblings, all_siblings};

    if (!have_stub())
        return;
    start_witness();
    for (int i = 0; i < 45; i++) {
        g_thread_seed = next(&g_seed);
        attack(crowds[i % 3], 60);
        if (i % 5 == 0)
            check_intact();
    }
    end_witness();
}

/* --- forged returns ------------------------------------------------------------------------------------------------ */

static void spin(void)
{
    for (;;)
        __asm__ volatile("");
}

static void call(void)
{
    for (;;)
        sys(SYS_getppid);
}

static void fault(void)
{
    *(volatile int *)0x5000 = 1;
}

/* A frame with every signal blocked and no alternate stack, as rt_sigreturn takes it: a host that loads it
 * cannot reach the thread by signals any more. */
static uint64_t g_frame[128] __attribute__((aligned(64)));

static void forge_return(uintptr_t site, void (*go_on)(void))
{
    ucontext_t uc;

    memset(&uc, 0, sizeof(uc));
    memset(&uc.uc_sigmask, 0xff, sizeof(uc.uc_sigmask));
    uc.uc_flags = 2 | 4; /* UC_SIGCONTEXT_SS, UC_STRICT_RESTORE_SS */
    uc.uc_stack.ss_flags = SS_DISABLE;
    uc.uc_mcontext.gregs[REG_RIP] = (greg_t)go_on;
    uc.uc_mcontext.gregs[REG_RSP] = (greg_t)(g_data + 2 * PAGE);
    uc.uc_mcontext.gregs[REG_EFL] = 0x202;
    uc.uc_mcontext.gregs[REG_CSGSFS] = 0x33 | 0x2bl << 48;
    memcpy(&g_frame[1], &uc, 304); /* what the kernel's struct has, with 64 bits of mask */
    memset(&g_jump, 0, sizeof(g_jump));
    g_jump.rax = SYS_rt_sigreturn;
    g_jump.rsp = (uint64_t)&g_frame[1];
    g_jump_to = site;
}

TEST(blocked_signals)
{
    void (*const ends[])(void) = {spin, call, fault};

    if (!have_stub())
        return;
    start_witness();
    for (unsigned s = 0; s < g_site_count; s++) {
        for (int i = 0; i < 3; i++) {
            pid_t pid;

            forge_return(g_sites[s], ends[i]);
            pid = attacker(do_jump);
            REQUIRE(pid > 0);
            test_sleep_ms(3);
            kill(pid, SIGUSR1);
            kill(pid, SIGSTOP);
            kill(pid, SIGCONT);
            kill(pid, SIGKILL);
            reap(pid, 1);
        }
        check_intact();
    }
    end_witness();
}

GUEST_TEST_MAIN
