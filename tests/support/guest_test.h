/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Frame of a guest test: a static program that must pass on the host's Linux first and in the
 * sandbox next. tests/README.md has an example.
 *
 *   TEST(name) { ... }         a test; run in the order of the file, or those named on the command
 * line CHECK(expr)                a failure prints file, line, the expression and errno; the test
 * goes on CHECK_EQ(a, b)             compares integers and prints both CHECK_STR(a, b) compares
 * strings CHECK_ERR(call, E)         a sys() call that must return -E, or a libc call that must set
 * errno E REQUIRE(expr)              as CHECK, but leaves the test (use in the TEST body or a void
 * function) SKIP("why")                leaves the test, which then counts as skipped sys(nr, ...)
 * the raw system call: result or -errno, libc kept out sysp(nr, ...)              the same, with
 * garbage in the upper half of every argument whose C type is int or unsigned: the kernel must not
 * look there. Write 0L, NULL or a (size_t) cast for arguments that are wider. GUEST_TEST_MAIN ends
 * the file
 *
 * WAIT_UNTIL(expr)              looks at expr until it is true; the deadline of the test ends it
 * test_wait_asleep, test_sleepers, test_signal_in: others have come to sleep in a system call
 *
 * Exit status: 0 passed, 1 failed, 77 everything was skipped. A test that takes longer than
 * GUEST_TEST_SECONDS (define it before the include; times the environment's GUEST_TEST_SLOWNESS) is
 * ended by SIGALRM.
 */
#pragma once

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#ifndef GUEST_TEST_SECONDS
#define GUEST_TEST_SECONDS 40
#endif

struct guest_test {
    const char *name;
    void (*fn)(void);
    struct guest_test *next;
};

static struct guest_test *g_tests, **g_tests_tail = &g_tests;
static const char *g_test_name = "?";
static int g_test_failures; /* of the running test */
static bool g_test_skipped;
static char g_test_tmp[64]; /* "" until test_tmpdir() made it */
static pid_t g_test_main_pid;
static const char *g_test_waits_for; /* of the WAIT_UNTIL that runs */

#define TEST(test_name)                                                                            \
    static void test_fn_##test_name(void);                                                         \
    __attribute__((constructor)) static void test_add_##test_name(void)                            \
    {                                                                                              \
        static struct guest_test t = {.name = #test_name, .fn = test_fn_##test_name};              \
        *g_tests_tail = &t;                                                                        \
        g_tests_tail = &t.next;                                                                    \
    }                                                                                              \
    static void test_fn_##test_name(void)

/* Straight to the descriptor: stdio's buffers would be copied by fork. */
__attribute__((format(printf, 1, 2), unused)) static void test_say(const char *fmt, ...)
{
    char buf[1024];
    va_list ap;
    int n;

    va_start(ap, fmt);
    n = vsnprintf(buf, sizeof(buf), fmt, ap);
    va_end(ap);
    if (n > (int)sizeof(buf) - 1)
        n = (int)sizeof(buf) - 1;
    if (write(2, buf, (size_t)n) < 0)
        return;
}

__attribute__((unused)) static bool test_check(bool ok, const char *file, int line,
                                               const char *text)
{
    int err = errno;

    if (!ok) {
        test_say("%s:%d: %s: failed: %s (errno %d %s)\n", file, line, g_test_name, text, err,
                 strerror(err));
        g_test_failures++;
    }
    errno = err;
    return ok;
}

__attribute__((unused)) static bool test_check_eq(long long a, long long b, const char *file,
                                                  int line, const char *text)
{
    int err = errno;

    if (a != b) {
        test_say("%s:%d: %s: failed: %s: %lld (0x%llx), want %lld (0x%llx) (errno %d %s)\n", file,
                 line, g_test_name, text, a, (unsigned long long)a, b, (unsigned long long)b, err,
                 strerror(err));
        g_test_failures++;
    }
    errno = err;
    return a == b;
}

__attribute__((unused)) static bool test_check_str(const char *a, const char *b, const char *file,
                                                   int line, const char *text)
{
    bool same = a && b && strcmp(a, b) == 0;

    if (!same) {
        test_say("%s:%d: %s: failed: %s: \"%s\", want \"%s\"\n", file, line, g_test_name, text,
                 a ? a : "(null)", b ? b : "(null)");
        g_test_failures++;
    }
    return same;
}

/* ret: what a sys() call (-errno) or a libc call (-1, errno) returned. */
__attribute__((unused)) static bool test_check_err(long ret, int err_now, int want,
                                                   const char *file, int line, const char *text)
{
    int got = ret == -1 && err_now != 0 ? err_now : ret < 0 ? (int)-ret : 0;

    if (got != want) {
        test_say("%s:%d: %s: failed: %s: returned %ld (%s), want error %d (%s)\n", file, line,
                 g_test_name, text, ret, got ? strerror(got) : "success", want, strerror(want));
        g_test_failures++;
    }
    return got == want;
}

#define CHECK(expr)     test_check(!!(expr), __FILE__, __LINE__, #expr)
#define CHECK_EQ(a, b)  test_check_eq((long long)(a), (long long)(b), __FILE__, __LINE__, #a)
#define CHECK_STR(a, b) test_check_str((a), (b), __FILE__, __LINE__, #a)
#define CHECK_ERR(call, want)                                                                      \
    ({                                                                                             \
        errno = 0;                                                                                 \
        long check_ret = (long)(call);                                                             \
        test_check_err(check_ret, errno, (want), __FILE__, __LINE__, #call);                       \
    })
#define REQUIRE(expr)                                                                              \
    do {                                                                                           \
        if (!test_check(!!(expr), __FILE__, __LINE__, #expr))                                      \
            return;                                                                                \
    } while (0)
#define SKIP(why)                                                                                  \
    do {                                                                                           \
        test_say("%s: skipped: %s\n", g_test_name, (why));                                         \
        g_test_skipped = true;                                                                     \
        return;                                                                                    \
    } while (0)
/* For what a host kernel may be too old for, or be told not to do: there the test is left. The sandbox has
 * it whatever the host is, so without it the test fails. */
#define SKIP_ON_HOST(why)                                                                          \
    do {                                                                                           \
        if (!test_in_sandbox())                                                                    \
            SKIP(why);                                                                             \
        test_check(false, __FILE__, __LINE__, why);                                                \
        return;                                                                                    \
    } while (0)

__attribute__((unused)) static bool test_in_sandbox(void)
{
    struct utsname u;

    return uname(&u) == 0 && strstr(u.release, "runsc-c");
}

/* A system call in the caller's own frame. */
__attribute__((unused, always_inline)) static inline long
test_call_here(long nr, long a, long b, long c, long d, long e, long f)
{
    register long r10 __asm__("r10") = d;
    register long r8 __asm__("r8") = e;
    register long r9 __asm__("r9") = f;
    long ret;

    __asm__ volatile("syscall"
                     : "=a"(ret)
                     : "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return ret;
}

/* One from the place that all share and in the form of a C library: what a sandbox does with a call that
 * is made often from one place, it does with this one. */
__attribute__((unused, naked, noinline)) static long test_call(long nr, long a, long b, long c,
                                                               long d, long e, long f)
{
    __asm__("movq %rdi, %rax\n\t"
            "movq %rsi, %rdi\n\t"
            "movq %rdx, %rsi\n\t"
            "movq %rcx, %rdx\n\t"
            "movq %r8, %r10\n\t"
            "movq %r9, %r8\n\t"
            "movq 8(%rsp), %r9\n\t"
            "syscall\n\t"
            "ret");
}

__attribute__((unused, always_inline)) static inline long
test_syscall(long nr, long a, long b, long c, long d, long e, long f)
{
    /* Children that begin on another stack, or on their parent's, cannot return. */
    if (nr == SYS_clone || nr == SYS_clone3 || nr == SYS_vfork)
        return test_call_here(nr, a, b, c, d, e, f);
    return test_call(nr, a, b, c, d, e, f);
}

/* Any integer or pointer as a register value; int and unsigned get garbage above bit 31. */
#define TEST_REG(x) ((long)(x))
#define TEST_REG_POISON(x)                                                                         \
    (_Generic((x), int : 1, unsigned : 1, short : 1, unsigned short : 1, default : 0)              \
         ? (long)(((unsigned long)(x)&0xffffffffUL) | 0xdeadbeef00000000UL)                        \
         : (long)(x))

#define TEST_SYS_PICK(_0, _1, _2, _3, _4, _5, _6, name, ...) name
#define TEST_SYS0(R, nr)                                     test_syscall(nr, 0, 0, 0, 0, 0, 0)
#define TEST_SYS1(R, nr, a)                                  test_syscall(nr, R(a), 0, 0, 0, 0, 0)
#define TEST_SYS2(R, nr, a, b)                               test_syscall(nr, R(a), R(b), 0, 0, 0, 0)
#define TEST_SYS3(R, nr, a, b, c)                            test_syscall(nr, R(a), R(b), R(c), 0, 0, 0)
#define TEST_SYS4(R, nr, a, b, c, d)                         test_syscall(nr, R(a), R(b), R(c), R(d), 0, 0)
#define TEST_SYS5(R, nr, a, b, c, d, e)                      test_syscall(nr, R(a), R(b), R(c), R(d), R(e), 0)
#define TEST_SYS6(R, nr, a, b, c, d, e, f)                   test_syscall(nr, R(a), R(b), R(c), R(d), R(e), R(f))
#define TEST_SYS(R, ...)                                                                           \
    TEST_SYS_PICK(__VA_ARGS__, TEST_SYS6, TEST_SYS5, TEST_SYS4, TEST_SYS3, TEST_SYS2, TEST_SYS1,   \
                  TEST_SYS0, )                                                                     \
    (R, __VA_ARGS__)
#define sys(...)  TEST_SYS(TEST_REG, __VA_ARGS__)
#define sysp(...) TEST_SYS(TEST_REG_POISON, __VA_ARGS__)

/* An address that no program has mapped: for EFAULT. */
#define BAD_PTR ((void *)(uintptr_t)0x1000)

static unsigned test_seconds(void)
{
    const char *slowness = getenv("GUEST_TEST_SLOWNESS");

    return GUEST_TEST_SECONDS * (slowness && atoi(slowness) > 1 ? (unsigned)atoi(slowness) : 1);
}

/* Runs fn in a child; its checks count there. Returns the wait status, 0 when all checks passed. */
__attribute__((unused)) static int test_in_child(void (*fn)(void))
{
    pid_t pid = fork();
    int status = -1;

    if (pid == 0) {
        g_test_failures = 0;
        alarm(test_seconds()); /* has its parent's handler, not its deadline */
        fn();
        _exit(g_test_failures ? 1 : 0);
    }
    if (pid < 0)
        return -1;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    return status;
}

static void test_remove_tree(int dirfd, const char *name)
{
    int fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    struct dirent *e;
    DIR *d;

    if (fd < 0) {
        unlinkat(dirfd, name, 0);
        return;
    }
    d = fdopendir(fd);
    if (d) {
        while ((e = readdir(d))) {
            if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
                test_remove_tree(fd, e->d_name);
        }
        closedir(d);
    }
    unlinkat(dirfd, name, AT_REMOVEDIR);
}

/* A fresh directory, the working directory from then on; removed with its contents when the TEST
 * ends. */
__attribute__((unused)) static const char *test_tmpdir(void)
{
    if (g_test_tmp[0] == '\0') {
        snprintf(g_test_tmp, sizeof(g_test_tmp), "/tmp/guest-test-XXXXXX");
        if (!mkdtemp(g_test_tmp)) {
            test_say("mkdtemp %s: %s\n", g_test_tmp, strerror(errno));
            exit(1);
        }
    }
    if (chdir(g_test_tmp) < 0) {
        test_say("chdir %s: %s\n", g_test_tmp, strerror(errno));
        exit(1);
    }
    return g_test_tmp;
}

/* CLOCK_MONOTONIC in milliseconds. */
__attribute__((unused)) static long long test_now_ms(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return ts.tv_sec * 1000LL + ts.tv_nsec / 1000000;
}

__attribute__((unused)) static void test_sleep_ms(int ms)
{
    struct timespec ts = {ms / 1000, (ms % 1000) * 1000000L};

    while (nanosleep(&ts, &ts) < 0 && errno == EINTR)
        ;
}

/*
 * Waiting for facts. How long another thread takes is no test's business: a loaded machine makes every such
 * guess wrong. So wait until what the test needs is so, for as long as the whole test may take.
 */
#define TEST_LINE_(line) #line
#define TEST_LINE(line)  TEST_LINE_(line)
#define WAIT_UNTIL(expr)                                                                           \
    do {                                                                                           \
        g_test_waits_for = __FILE__ ":" TEST_LINE(__LINE__) ": " #expr;                            \
        while (!(expr))                                                                            \
            test_sleep_ms(1);                                                                      \
        g_test_waits_for = NULL;                                                                   \
    } while (0)

/* A file of a process or thread below /proc, as a string: its length or -errno. */
static ssize_t test_proc_read(pid_t tid, const char *name, char *buf, size_t size)
{
    char path[64];
    ssize_t n;
    int fd;

    snprintf(path, sizeof(path), "/proc/%d/%s", tid, name);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    n = fd < 0 ? -errno : read(fd, buf, size - 1);
    if (fd >= 0 && n < 0)
        n = -errno;
    if (fd >= 0)
        close(fd);
    buf[n > 0 ? n : 0] = '\0';
    return n;
}

/* The letter that /proc has for the state of a process or thread, '?' when there is none. */
__attribute__((unused)) static char test_state(pid_t tid)
{
    char line[512], *end;

    test_proc_read(tid, "stat", line, sizeof(line));
    end = strrchr(line, ')');
    return end ? end[2] : '?';
}

/*
 * Is the thread (for a process: its first) blocked in system call nr, with arg as its first argument unless that is
 * NULL? Whatever it does before it sleeps is done then: it is in the queue of what it waits for. The two equal answers
 * with a sleep between them are of the same call. A host that lets nobody look (Yama) has only the sleep to offer.
 */
__attribute__((unused)) static bool test_sleeps_in(pid_t tid, long nr, const void *arg)
{
    char before[256], after[256], *end;
    ssize_t n = test_proc_read(tid, "syscall", before, sizeof(before));

    if (n == -EPERM || n == -EACCES)
        return test_state(tid) == 'S';
    if (n <= 0 || strtol(before, &end, 10) != nr || *end != ' ')
        return false;
    if (arg && strtoul(end, NULL, 16) != (uintptr_t)arg)
        return false;
    return test_state(tid) == 'S' && test_proc_read(tid, "syscall", after, sizeof(after)) == n &&
           strcmp(before, after) == 0;
}

/* How many threads of this process are blocked so. */
__attribute__((unused)) static int test_sleepers(long nr, const void *arg)
{
    DIR *dir = opendir("/proc/self/task");
    struct dirent *e;
    int count = 0;

    while (dir && (e = readdir(dir)))
        count += atoi(e->d_name) > 0 && test_sleeps_in(atoi(e->d_name), nr, arg);
    if (dir)
        closedir(dir);
    return count;
}

/* Waits until the thread or process is blocked in system call nr; false when it ended instead. For a child that waits
 * for its parent, too: it does not outlive it. */
__attribute__((unused)) static bool test_wait_asleep(pid_t tid, long nr)
{
    while (!test_sleeps_in(tid, nr, NULL)) {
        if (strchr("?ZX", test_state(tid)))
            return false;
        test_sleep_ms(1);
    }
    return true;
}

/* A child that sends its parent signo once that is blocked in system call nr. The caller waits for it. */
__attribute__((unused)) static pid_t test_signal_in(long nr, int signo)
{
    pid_t parent = getpid(), pid = fork();

    if (pid == 0)
        _exit(test_wait_asleep(parent, nr) && kill(parent, signo) == 0 ? 0 : 1);
    return pid;
}

/* How many threads the process has: one that was joined is gone a little later. */
__attribute__((unused)) static int test_threads(void)
{
    struct stat st = {0};

    return stat("/proc/self/task", &st) == 0 ? (int)st.st_nlink - 2 : -1;
}

static void test_timeout(int signo)
{
    const char *what = g_test_waits_for;

    (void)signo;
    test_say("%s: failed: more than %u s%s%s\n", g_test_name, test_seconds(),
             what ? ", waits until " : "", what ? what : "");
    _exit(1);
}

static void test_clean_up(void)
{
    if (g_test_tmp[0] != '\0' && getpid() == g_test_main_pid && chdir("/") == 0) {
        test_remove_tree(AT_FDCWD, g_test_tmp);
        g_test_tmp[0] = '\0';
    }
}

static bool test_is_chosen(const char *name, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], name) == 0)
            return true;
    }
    return argc < 2;
}

__attribute__((unused)) static int test_main(int argc, char **argv)
{
    int passed = 0, failed = 0, skipped = 0;

    g_test_main_pid = getpid();
    atexit(test_clean_up);
    for (struct guest_test *t = g_tests; t; t = t->next) {
        if (!test_is_chosen(t->name, argc, argv))
            continue;
        g_test_name = t->name;
        g_test_failures = 0;
        g_test_skipped = false;
        signal(SIGALRM, test_timeout);
        alarm(test_seconds());
        t->fn();
        alarm(0);
        test_clean_up();
        if (g_test_failures)
            failed++;
        else if (g_test_skipped)
            skipped++;
        else
            passed++;
        test_say("%s %s\n", g_test_failures ? "FAIL" : g_test_skipped ? "skip" : "ok", t->name);
    }
    test_say("%d passed, %d failed, %d skipped\n", passed, failed, skipped);
    if (failed)
        return 1;
    return passed == 0 && skipped > 0 ? 77 : 0;
}

#define GUEST_TEST_MAIN                                                                            \
    int main(int argc, char **argv)                                                                \
    {                                                                                              \
        return test_main(argc, argv);                                                              \
    }
