/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Threads and processes that are made and killed at random while they make calls, for CHAOS_SECONDS
 * (2). A process ends by its own choice, by a sibling's SIGKILL, by exec or with one of its threads;
 * whatever the moment was, nobody else may notice: messages of up to PIPE_BUF arrive whole,
 * registers and memory are what they were, locks that the kernel must release are released, and at
 * the end every process was reaped with an end that somebody chose.
 *
 * The seed is printed; CHAOS_SEED repeats the choices, though not their order among threads.
 */
#define GUEST_TEST_SECONDS 3600
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <ucontext.h>

#include "tests/support/guest_test.h"

enum {
    PROCESSES = 8, /* CHAOS_PROCESSES: fewer, as a load for others */
    THREADS = 5,
    WORDS = 24,       /* of a message */
    EXIT_CHOSEN = 42, /* a process's own choice */
    EXIT_EXEC = 43,   /* what it became by exec ended */
};

/* Shared by all processes. */
struct shared {
    _Atomic pid_t pids[PROCESSES];
    _Atomic uint32_t word; /* futex */
    _Atomic uint64_t calls, made, failures, messages;
    _Atomic bool stop;
};

struct message {
    uint64_t words[WORDS]; /* the last is the sum of the others */
};

static struct shared *g_shared;
static int g_pipe[2], g_pair[2], g_file;
static int g_processes = PROCESSES;
static __thread uint64_t g_seed;

static uint64_t draw(uint64_t limit)
{
    g_seed ^= g_seed << 13;
    g_seed ^= g_seed >> 7;
    g_seed ^= g_seed << 17;
    return (g_seed * 0x2545f4914f6cdd1dull >> 20) % limit;
}

#define EXPECT(expr)                                                                               \
    do {                                                                                           \
        if (!test_check(!!(expr), __FILE__, __LINE__, #expr))                                      \
            g_shared->failures++;                                                                  \
    } while (0)

/* --- calls ---------------------------------------------------------------------------------------- */

static void send_message(int fd)
{
    struct message m;
    ssize_t n;

    m.words[WORDS - 1] = 0;
    for (int i = 0; i < WORDS - 1; i++) {
        m.words[i] = draw(UINT64_MAX);
        m.words[WORDS - 1] += m.words[i];
    }
    n = write(fd, &m, sizeof(m));
    EXPECT(n == sizeof(m) || (n < 0 && (errno == EAGAIN || errno == EINTR)));
}

static void receive_message(int fd)
{
    struct message m;
    uint64_t sum = 0;
    ssize_t n = read(fd, &m, sizeof(m));

    EXPECT(n == sizeof(m) || (n < 0 && (errno == EAGAIN || errno == EINTR)));
    if (n != sizeof(m))
        return;
    for (int i = 0; i < WORDS - 1; i++)
        sum += m.words[i];
    EXPECT(sum == m.words[WORDS - 1]);
    g_shared->messages++;
}

static void memory(void)
{
    size_t pages = 1 + draw(32), size = pages * 4096;
    uint64_t mark = draw(UINT64_MAX);
    uint64_t *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), *q;

    if (p == MAP_FAILED)
        return;
    for (size_t i = 0; i < size / 8; i += 512)
        p[i] = mark + i;
    if (draw(2))
        EXPECT(mprotect(p, size, PROT_READ) == 0);
    if (draw(2)) {
        q = mremap(p, size, size * 2, MREMAP_MAYMOVE);
        EXPECT(q != MAP_FAILED);
        if (q == MAP_FAILED)
            return;
        p = q;
        size *= 2;
    }
    for (size_t i = 0; i < pages * 512; i += 512)
        EXPECT(p[i] == mark + i);
    EXPECT(munmap(p, size) == 0);
}

/* Registers over calls, faults, signals and switches. */
static void registers(void)
{
    uint64_t a = draw(UINT64_MAX), b = draw(UINT64_MAX), r12, r13, r14, r15, x, y;
    long ret;

    __asm__ volatile(
        "movq %[a], %%r12\n movq %[b], %%r13\n movq %[a], %%r14\n movq %[b], %%r15\n"
        "movq %[a], %%xmm7\n movq %[b], %%xmm15\n"
        "movl $24, %%eax\n syscall\n" /* sched_yield */
        "movq %%rax, %[ret]\n movq %%xmm7, %[x]\n movq %%xmm15, %[y]\n"
        "movq %%r12, %[r12]\n movq %%r13, %[r13]\n movq %%r14, %[r14]\n movq %%r15, %[r15]\n"
        : [ret] "=m"(ret), [x] "=m"(x), [y] "=m"(y), [r12] "=m"(r12), [r13] "=m"(r13),
          [r14] "=m"(r14), [r15] "=m"(r15)
        : [a] "m"(a), [b] "m"(b)
        : "rax", "rcx", "r11", "r12", "r13", "r14", "r15", "xmm7", "xmm15", "memory");
    EXPECT(ret == 0 && r12 == a && r13 == b && r14 == a && r15 == b && x == a && y == b);
}

static void futexes(void)
{
    struct timespec soon = {0, (long)draw(300000)};

    if (draw(2))
        syscall(SYS_futex, &g_shared->word, FUTEX_WAIT, g_shared->word, &soon, NULL, 0);
    else {
        g_shared->word++;
        syscall(SYS_futex, &g_shared->word, FUTEX_WAKE, 3, NULL, NULL, 0);
    }
}

static void files(void)
{
    char name[64];
    uint64_t word = draw(UINT64_MAX), back = 0;
    int fd;

    snprintf(name, sizeof(name), "f%d-%d", getpid(), (int)syscall(SYS_gettid));
    fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    EXPECT(fd >= 0);
    if (fd < 0)
        return;
    EXPECT(pwrite(fd, &word, 8, (off_t)draw(1 << 20) & -8) == 8);
    EXPECT(pwrite(fd, &word, 8, 0) == 8 && pread(fd, &back, 8, 0) == 8 && back == word);
    EXPECT(unlink(name) == 0);
    close(fd);
}

/* A lock dies with its holder: a record lock here, an flock by the descriptor's closing. */
static void locks(void)
{
    struct flock l = {
        .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = (off_t)draw(4), .l_len = 1};
    int fd = open("lock", O_RDWR | O_CLOEXEC);

    if (fd < 0)
        return;
    if (fcntl(g_file, F_SETLKW, &l) == 0) {
        sched_yield();
        l.l_type = F_UNLCK;
        EXPECT(fcntl(g_file, F_SETLK, &l) == 0);
    }
    if (flock(fd, LOCK_EX) == 0)
        sched_yield();
    close(fd);
}

static void events(void)
{
    struct epoll_event ev = {.events = EPOLLIN}, out;
    int ep = epoll_create1(EPOLL_CLOEXEC), efd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    uint64_t one = 1;

    if (ep >= 0 && efd >= 0) {
        EXPECT(epoll_ctl(ep, EPOLL_CTL_ADD, efd, &ev) == 0);
        EXPECT(epoll_wait(ep, &out, 1, 0) == 0 || errno == EINTR);
        EXPECT(write(efd, &one, 8) == 8);
        while (epoll_wait(ep, &out, 1, -1) < 0)
            EXPECT(errno == EINTR);
        EXPECT(read(efd, &one, 8) == 8 && one == 1);
    }
    if (ep >= 0)
        close(ep);
    if (efd >= 0)
        close(efd);
}

static void child(void)
{
    int status, code = (int)draw(100);
    pid_t pid = fork(), got;

    if (pid == 0) {
        memory();
        _exit(code);
    }
    if (pid < 0)
        return;
    while ((got = waitpid(pid, &status, 0)) < 0 && errno == EINTR)
        ;
    EXPECT(got == pid && WIFEXITED(status) && WEXITSTATUS(status) == code);
}

static void execute(bool become)
{
    char *const argv[] = {"chaos", "become", NULL};
    pid_t pid = become ? 0 : vfork();
    int status;

    if (pid == 0) {
        execv("/proc/self/exe", argv);
        _exit(EXIT_EXEC); /* out of memory, or so */
    }
    if (pid < 0)
        return;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    EXPECT(WIFEXITED(status) && WEXITSTATUS(status) == EXIT_EXEC);
}

static void hit(int sig)
{
    int saved = errno;

    (void)sig;
    (void)syscall(SYS_getppid);
    errno = saved;
}

static void *worker(void *arg);

static void thread_new(void)
{
    pthread_attr_t attr;
    pthread_t t;

    pthread_attr_init(&attr);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attr, 128 * 1024);
    (void)pthread_create(&t, &attr, worker, (void *)(uintptr_t)draw(UINT64_MAX));
    pthread_attr_destroy(&attr);
}

/* Signals to a random process: it may be about to go, or its number to be another's by now, but only ours
 * are in the table. */
static void disturb(void)
{
    static const int signals[] = {SIGUSR1, SIGUSR1, SIGUSR2, SIGSTOP, SIGKILL};
    pid_t pid = g_shared->pids[draw(g_processes)];
    int sig = signals[draw(5)];

    if (pid <= 0 || (sig == SIGKILL && draw(4)))
        return;
    if (sig == SIGSTOP && pid == getpid())
        sig = SIGUSR1;
    kill(pid, sig);
    if (sig == SIGSTOP) {
        sched_yield();
        kill(pid, SIGCONT);
    }
}

static void *worker(void *arg)
{
    g_seed = (uint64_t)(uintptr_t)arg | 1;
    while (!g_shared->stop) {
        g_shared->calls++;
        switch (draw(24)) {
        case 0:
        case 1:
            send_message(g_pipe[1]);
            break;
        case 2:
        case 3:
            receive_message(g_pipe[0]);
            break;
        case 4:
            send_message(g_pair[0]);
            break;
        case 5:
            receive_message(g_pair[1]);
            break;
        case 6:
        case 7:
            memory();
            break;
        case 8:
        case 9:
            registers();
            break;
        case 10:
        case 11:
            futexes();
            break;
        case 12:
            files();
            break;
        case 13:
            locks();
            break;
        case 14:
            events();
            break;
        case 15:
            child();
            break;
        case 16:
            if (draw(4) == 0)
                execute(/*become=*/false);
            break;
        case 17:
            disturb();
            break;
        case 18:
            pthread_kill(pthread_self(), SIGUSR2);
            break;
        case 19:
            usleep((useconds_t)draw(300));
            break;
        case 20: /* one comes, one goes */
            thread_new();
            return NULL;
        case 21:
            if (draw(30) == 0)
                _exit(EXIT_CHOSEN);
            break;
        case 22:
            if (draw(60) == 0)
                execute(/*become=*/true);
            break;
        default:
            sched_yield();
        }
    }
    return NULL;
}

/* --- processes ------------------------------------------------------------------------------------- */

/* Nothing here faults. Says where it did. */
static void faulted(int sig, siginfo_t *info, void *context)
{
    const greg_t *r = ((ucontext_t *)context)->uc_mcontext.gregs;

    test_say("pid %d tid %ld: signal %d code %d address %p at %#llx, rsp %#llx, rax %#llx, rcx "
             "%#llx, trap %lld, error %#llx\n",
             getpid(), syscall(SYS_gettid), sig, info->si_code, info->si_addr, r[REG_RIP],
             r[REG_RSP], r[REG_RAX], r[REG_RCX], r[REG_TRAPNO], r[REG_ERR]);
    _exit(1);
}

static void process(uint64_t seed)
{
    struct sigaction fault = {.sa_sigaction = faulted, .sa_flags = SA_SIGINFO};
    struct sigaction sa = {.sa_handler = hit, .sa_flags = SA_RESTART};

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    sigaction(SIGSEGV, &fault, NULL);
    sigaction(SIGBUS, &fault, NULL);
    sigaction(SIGILL, &fault, NULL);
    sigaction(SIGUSR1, &sa, NULL);
    sa.sa_flags = 0;
    sigaction(SIGUSR2, &sa, NULL);
    alarm(0);
    g_seed = seed | 1;
    for (int i = 0; i < THREADS; i++)
        thread_new();
    worker((void *)(uintptr_t)draw(UINT64_MAX));
    while (!g_shared->stop)
        usleep(1000);
    _exit(EXIT_CHOSEN);
}

static pid_t start(int i)
{
    uint64_t seed = draw(UINT64_MAX);
    pid_t pid = fork();

    if (pid == 0)
        process(seed);
    EXPECT(pid > 0);
    g_shared->pids[i] = pid;
    g_shared->made++;
    return pid;
}

static int slot_of(pid_t pid)
{
    for (int i = 0; i < g_processes; i++) {
        if (g_shared->pids[i] == pid)
            return i;
    }
    return -1;
}

/* What was reaped ended as somebody chose: by its own exit, or by one of our signals (SIGUSR1 and SIGUSR2 end one that has
 * no handler yet, or none any more after exec). As PID 1 we also get the children of those that were killed. */
static int reap(pid_t pid, int status)
{
    int i = slot_of(pid), code = WIFEXITED(status) ? WEXITSTATUS(status) : -1,
        sig = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    bool chosen = sig == SIGKILL || sig == SIGUSR1 || sig == SIGUSR2 || code == EXIT_CHOSEN ||
                  code == EXIT_EXEC;

    if (i < 0 && code >= 0 && code < 100)
        chosen = true;
    if (!chosen)
        test_say("%d ended with status %#x\n", pid, status);
    EXPECT(chosen);
    return i;
}

TEST(chaos)
{
    const char *seconds = getenv("CHAOS_SECONDS"), *seed = getenv("CHAOS_SEED"),
               *processes = getenv("CHAOS_PROCESSES");
    long long end = test_now_ms() + 1000ll * (seconds ? atoi(seconds) : 2);
    int status;
    pid_t pid;

    g_seed =
        (seed ? strtoull(seed, NULL, 0) : (uint64_t)time(NULL) * 1000003 + (uint64_t)getpid()) | 1;
    test_say("seed %llu\n", (unsigned long long)g_seed);
    if (processes && atoi(processes) > 0 && atoi(processes) < PROCESSES)
        g_processes = atoi(processes);
    test_tmpdir();
    g_shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    REQUIRE(g_shared != MAP_FAILED);
    REQUIRE(pipe2(g_pipe, O_NONBLOCK | O_CLOEXEC) == 0);
    REQUIRE(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, g_pair) == 0);
    g_file = open("lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    REQUIRE(g_file >= 0);
    for (int i = 0; i < g_processes; i++)
        start(i);
    while (test_now_ms() < end && g_shared->failures == 0) {
        pid = waitpid(-1, &status, WNOHANG);
        if (pid > 0) {
            int i = reap(pid, status);

            if (i >= 0)
                start(i);
            continue;
        }
        if (draw(3) == 0)
            kill(g_shared->pids[draw(g_processes)], SIGKILL);
        test_sleep_ms((int)draw(10));
    }
    g_shared->stop = true;
    for (int i = 0; i < g_processes; i++)
        kill(g_shared->pids[i], SIGCONT);
    while ((pid = waitpid(-1, &status, 0)) > 0)
        reap(pid, status);
    CHECK_EQ(errno, ECHILD);
    CHECK_EQ(g_shared->failures, 0);
    CHECK(g_shared->calls > 0 && g_shared->messages > 0);
    test_say("%llu calls, %llu processes, %llu messages\n", (unsigned long long)g_shared->calls,
             (unsigned long long)g_shared->made, (unsigned long long)g_shared->messages);
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "become") == 0)
        _exit(EXIT_EXEC);
    return test_main(argc, argv);
}
