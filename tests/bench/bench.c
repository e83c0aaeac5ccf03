/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Microbenchmarks of system calls: a static program that runs natively and in any sandbox.
 *   bench [NAME...]     prints "name ns", the median over batches of the time of one operation
 *   bench --exactly N NAME   does N operations and nothing else: what the host did for them is
 *                            the difference between two such runs
 *   bench --list
 *   bench --exit        does nothing (what fork+exec starts)
 *   bench --again N COMMAND...  prints the median time of N runs of a program, in ms; one run before
 *                            them is not counted
 * Every benchmark is a function that does n operations. A batch takes about BATCH_NS, so slow
 * sandboxes do fewer operations, not longer runs.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define BATCH_NS   15000000ull
#define BATCHES    11
#define PAGE       4096
#define TOUCH_SIZE (1024 * PAGE)

static char g_dir[] = "/tmp/bench-XXXXXX";
static char g_path[64];
static char g_buf[65536];
static const char *g_self;
static int g_file, g_image, g_pipe[2], g_event, g_epoll;

static void die(const char *what)
{
    perror(what);
    exit(1);
}

#define NEED(expr)                                                                                 \
    do {                                                                                           \
        if (!(expr))                                                                               \
            die(#expr);                                                                            \
    } while (0)

static uint64_t now_ns(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static void bench_null(long n)
{
    while (n--)
        syscall(SYS_getppid);
}

static void bench_getpid(long n)
{
    while (n--)
        syscall(SYS_getpid);
}

static void bench_gettid(long n)
{
    while (n--)
        syscall(SYS_gettid);
}

static void bench_clock_gettime(long n)
{
    struct timespec ts;

    while (n--)
        NEED(clock_gettime(CLOCK_MONOTONIC, &ts) == 0);
}

static void bench_fcntl(long n)
{
    while (n--)
        NEED(fcntl(g_file, F_GETFL) >= 0);
}

static void bench_pread_4k(long n)
{
    while (n--)
        NEED(pread(g_file, g_buf, 4096, 0) == 4096);
}

static void bench_pread_64k(long n)
{
    while (n--)
        NEED(pread(g_file, g_buf, 65536, 0) == 65536);
}

static void bench_write_4k(long n)
{
    while (n--)
        NEED(pwrite(g_file, g_buf, 4096, 0) == 4096);
}

static void bench_stat_hit(long n)
{
    struct stat st;

    while (n--)
        NEED(stat(g_path, &st) == 0);
}

static void bench_stat_miss(long n)
{
    struct stat st;

    while (n--)
        NEED(stat("/tmp/this/is/not/there", &st) < 0);
}

static void bench_open_close(long n)
{
    while (n--) {
        int fd = open(g_path, O_RDONLY);

        NEED(fd >= 0);
        close(fd);
    }
}

/* A file of the image, not of this program's making: read-only below the overlay. */
static void bench_open_image(long n)
{
    while (n--) {
        int fd = open(g_self, O_RDONLY);

        NEED(fd >= 0);
        close(fd);
    }
}

static void bench_stat_image(long n)
{
    struct stat st;

    while (n--)
        NEED(stat(g_self, &st) == 0);
}

static void bench_pread_image(long n)
{
    while (n--)
        NEED(pread(g_image, g_buf, PAGE, 0) == PAGE);
}

static void bench_create_unlink(long n)
{
    char path[80];

    snprintf(path, sizeof(path), "%s/new", g_dir);
    while (n--) {
        int fd = open(path, O_CREAT | O_WRONLY, 0600);

        NEED(fd >= 0);
        close(fd);
        NEED(unlink(path) == 0);
    }
}

static void bench_pipe(long n)
{
    char c = 0;

    while (n--) {
        NEED(write(g_pipe[1], &c, 1) == 1);
        NEED(read(g_pipe[0], &c, 1) == 1);
    }
}

static void bench_eventfd(long n)
{
    uint64_t v = 1;

    while (n--) {
        NEED(write(g_event, &v, 8) == 8);
        NEED(read(g_event, &v, 8) == 8);
    }
}

static void bench_poll(long n)
{
    struct pollfd p[2] = {{.fd = g_pipe[0], .events = POLLIN},
                          {.fd = g_pipe[1], .events = POLLOUT}};

    while (n--)
        NEED(poll(p, 2, 0) == 1);
}

static void bench_epoll(long n)
{
    struct epoll_event ev;

    while (n--)
        NEED(epoll_wait(g_epoll, &ev, 1, 0) == 1);
}

static void on_signal(int signo)
{
    (void)signo;
}

static void bench_signal(long n)
{
    while (n--)
        NEED(kill(getpid(), SIGUSR1) == 0);
}

static void bench_mmap_munmap(long n)
{
    while (n--) {
        void *p = mmap(NULL, 16 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

        NEED(p != MAP_FAILED);
        munmap(p, 16 * PAGE);
    }
}

/* n pages, in mappings of the given size. */
static void touch(long n, long size)
{
    while (n > 0) {
        volatile char *p =
            mmap(NULL, (size_t)size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

        NEED(p != MAP_FAILED);
        for (long i = 0; i < size / PAGE && n > 0; i++, n--)
            p[i * PAGE] = 1;
        munmap((void *)p, (size_t)size);
    }
}

/* One operation is a mapping of 16 pages, touched. */
static void bench_touch_16(long n)
{
    touch(16 * n, 16 * PAGE);
}

/* Time per page. */
static void bench_touch_4m(long n)
{
    touch(n, TOUCH_SIZE);
}

static void bench_touch_64m(long n)
{
    touch(n, 16 * TOUCH_SIZE);
}

/* ---- ping-pong: one operation is there and back ---------------------------------------------- */

static void futex_wait(atomic_uint *w, unsigned v)
{
    syscall(SYS_futex, w, FUTEX_WAIT, v, NULL, NULL, 0);
}

static void futex_wake(atomic_uint *w)
{
    syscall(SYS_futex, w, FUTEX_WAKE, 1, NULL, NULL, 0);
}

/* Nobody waits. */
static void bench_futex_wake(long n)
{
    static atomic_uint word;

    for (long i = 0; i < n; i++)
        syscall(SYS_futex, &word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

struct pong {
    atomic_uint turn; /* 0: main, 1: partner */
    long n;
    int to[2], from[2];
};

static void futex_side(struct pong *p, unsigned me)
{
    for (long i = 0; i < p->n; i++) {
        unsigned t;

        while ((t = atomic_load(&p->turn)) != me)
            futex_wait(&p->turn, t);
        atomic_store(&p->turn, !me);
        futex_wake(&p->turn);
    }
}

static void *futex_partner(void *arg)
{
    futex_side(arg, 1);
    return NULL;
}

static void *pipe_partner(void *arg)
{
    struct pong *p = arg;
    char c;

    for (long i = 0; i < p->n; i++)
        NEED(read(p->to[0], &c, 1) == 1 && write(p->from[1], &c, 1) == 1);
    return NULL;
}

static void pipe_main(struct pong *p)
{
    char c = 0;

    for (long i = 0; i < p->n; i++)
        NEED(write(p->to[1], &c, 1) == 1 && read(p->from[0], &c, 1) == 1);
}

static void run_pong(long n, void *(*partner)(void *), int use_futex, int processes)
{
    struct pong *p = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pthread_t thread;
    pid_t pid = 0;

    NEED(p != MAP_FAILED);
    p->n = n;
    NEED(pipe(p->to) == 0 && pipe(p->from) == 0);
    if (processes) {
        pid = fork();
        NEED(pid >= 0);
        if (pid == 0) {
            partner(p);
            _exit(0);
        }
    } else {
        NEED(pthread_create(&thread, NULL, partner, p) == 0);
    }
    if (use_futex)
        futex_side(p, 0);
    else
        pipe_main(p);
    if (processes)
        waitpid(pid, NULL, 0);
    else
        pthread_join(thread, NULL);
    for (int i = 0; i < 2; i++) {
        close(p->to[i]);
        close(p->from[i]);
    }
    munmap(p, PAGE);
}

static void bench_futex_threads(long n)
{
    run_pong(n, futex_partner, 1, 0);
}

static void bench_futex_processes(long n)
{
    run_pong(n, futex_partner, 1, 1);
}

static void bench_pipe_threads(long n)
{
    run_pong(n, pipe_partner, 0, 0);
}

static void bench_pipe_processes(long n)
{
    run_pong(n, pipe_partner, 0, 1);
}

static void *thread_nothing(void *arg)
{
    return arg;
}

static void bench_thread_create(long n)
{
    pthread_t t;

    while (n--) {
        NEED(pthread_create(&t, NULL, thread_nothing, NULL) == 0);
        pthread_join(t, NULL);
    }
}

static void bench_fork(long n)
{
    while (n--) {
        pid_t pid = fork();

        NEED(pid >= 0);
        if (pid == 0)
            _exit(0);
        NEED(waitpid(pid, NULL, 0) == pid);
    }
}

static void bench_fork_exec(long n)
{
    while (n--) {
        pid_t pid = fork();
        int status;

        NEED(pid >= 0);
        if (pid == 0) {
            execl(g_self, g_self, "--exit", (char *)NULL);
            _exit(1);
        }
        NEED(waitpid(pid, &status, 0) == pid && status == 0);
    }
}

static const struct bench {
    const char *name;
    void (*run)(long n);
    long least; /* operations per batch at least */
} g_benches[] = {
    {"getpid", bench_getpid, 100},
    {"gettid", bench_gettid, 100},
    {"clock-gettime", bench_clock_gettime, 100},
    {"null", bench_null, 100},
    {"fcntl", bench_fcntl, 100},
    {"pread-4k", bench_pread_4k, 100},
    {"pread-64k", bench_pread_64k, 50},
    {"write-4k", bench_write_4k, 100},
    {"stat-hit", bench_stat_hit, 100},
    {"stat-miss", bench_stat_miss, 100},
    {"open-close", bench_open_close, 50},
    {"open-image", bench_open_image, 50},
    {"stat-image", bench_stat_image, 100},
    {"pread-image-4k", bench_pread_image, 100},
    {"create-unlink", bench_create_unlink, 20},
    {"pipe", bench_pipe, 50},
    {"eventfd", bench_eventfd, 50},
    {"poll", bench_poll, 100},
    {"epoll", bench_epoll, 100},
    {"signal", bench_signal, 50},
    {"mmap-munmap", bench_mmap_munmap, 50},
    {"touch-16-pages", bench_touch_16, 50},
    {"page-of-4m", bench_touch_4m, 1024},
    {"page-of-64m", bench_touch_64m, 16384},
    {"futex-wake", bench_futex_wake, 100},
    {"futex-threads", bench_futex_threads, 50},
    {"futex-processes", bench_futex_processes, 50},
    {"pipe-threads", bench_pipe_threads, 50},
    {"pipe-processes", bench_pipe_processes, 50},
    {"thread-create", bench_thread_create, 20},
    {"fork", bench_fork, 5},
    {"fork-exec", bench_fork_exec, 5},
};
#define BENCH_COUNT (sizeof(g_benches) / sizeof(g_benches[0]))

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static double measure(const struct bench *b)
{
    double per_op[BATCHES];
    long n = b->least;

    b->run(n);
    for (;;) {
        uint64_t start = now_ns(), took;

        b->run(n);
        took = now_ns() - start;
        if (took >= BATCH_NS / 2) {
            n = (long)((double)n * BATCH_NS / (double)took);
            break;
        }
        n *= 2;
    }
    if (n < b->least)
        n = b->least;
    for (int i = 0; i < BATCHES; i++) {
        uint64_t start = now_ns();

        b->run(n);
        per_op[i] = (double)(now_ns() - start) / (double)n;
    }
    qsort(per_op, BATCHES, sizeof(per_op[0]), compare);
    return per_op[BATCHES / 2];
}

static void set_up(void)
{
    struct sigaction sa = {.sa_handler = on_signal};
    struct epoll_event ev = {.events = EPOLLOUT};

    NEED(mkdtemp(g_dir));
    snprintf(g_path, sizeof(g_path), "%s/file", g_dir);
    g_file = open(g_path, O_CREAT | O_RDWR, 0600);
    NEED(g_file >= 0);
    NEED(write(g_file, g_buf, sizeof(g_buf)) == sizeof(g_buf));
    g_image = open(g_self, O_RDONLY);
    NEED(g_image >= 0);
    NEED(pipe(g_pipe) == 0);
    g_event = eventfd(0, 0);
    NEED(g_event >= 0);
    g_epoll = epoll_create1(0);
    NEED(g_epoll >= 0);
    NEED(epoll_ctl(g_epoll, EPOLL_CTL_ADD, g_pipe[1], &ev) == 0);
    NEED(sigaction(SIGUSR1, &sa, NULL) == 0);
}

static void exactly(long n, const char *name)
{
    for (size_t i = 0; i < BENCH_COUNT; i++) {
        if (strcmp(name, g_benches[i].name) == 0)
            g_benches[i].run(n);
    }
}

static int again(int n, char **command)
{
    double *ms = calloc((size_t)n, sizeof(*ms));

    NEED(ms);
    for (int i = -1; i < n; i++) {
        uint64_t start = now_ns();
        int status;
        pid_t pid;

        NEED(posix_spawnp(&pid, command[0], NULL, NULL, command, environ) == 0);
        NEED(waitpid(pid, &status, 0) == pid);
        if (status != 0)
            return 1;
        if (i >= 0)
            ms[i] = (double)(now_ns() - start) / 1e6;
    }
    qsort(ms, (size_t)n, sizeof(*ms), compare);
    printf("%.3f\n", ms[n / 2]);
    free(ms);
    return 0;
}

static void tear_down(void)
{
    unlink(g_path);
    rmdir(g_dir);
}

int main(int argc, char **argv)
{
    g_self = argv[0];
    if (argc == 2 && strcmp(argv[1], "--exit") == 0)
        return 0;
    if (argc == 2 && strcmp(argv[1], "--list") == 0) {
        for (size_t i = 0; i < BENCH_COUNT; i++)
            puts(g_benches[i].name);
        return 0;
    }
    if (argc >= 4 && strcmp(argv[1], "--again") == 0 && atoi(argv[2]) > 0)
        return again(atoi(argv[2]), argv + 3);
    set_up();
    if (argc == 4 && strcmp(argv[1], "--exactly") == 0) {
        exactly(atol(argv[2]), argv[3]);
        tear_down();
        return 0;
    }
    for (size_t i = 0; i < BENCH_COUNT; i++) {
        int chosen = argc < 2;

        for (int k = 1; k < argc; k++)
            chosen |= strcmp(argv[k], g_benches[i].name) == 0;
        if (!chosen)
            continue;
        printf("%s %.0f\n", g_benches[i].name, measure(&g_benches[i]));
        fflush(stdout);
    }
    tear_down();
    return 0;
}
