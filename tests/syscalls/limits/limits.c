/* SPDX-License-Identifier: Apache-2.0 */
/* Where things end: names, paths, links, arguments, descriptors, threads, space. Linux's errno each time. */
#define _GNU_SOURCE
#include "tests/support/guest_test.h"

#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>

TEST(names_of_255_bytes)
{
    char name[300];

    test_tmpdir();
    memset(name, 'n', sizeof(name));
    name[255] = '\0';
    CHECK_EQ(mkdir(name, 0755), 0);
    CHECK_EQ(rmdir(name), 0);
    CHECK_EQ(symlink("x", name), 0);
    CHECK_EQ(unlink(name), 0);
    name[255] = 'n';
    name[256] = '\0';
    CHECK_ERR(mkdir(name, 0755), ENAMETOOLONG);
    CHECK_ERR(symlink("x", name), ENAMETOOLONG);
    CHECK_ERR(open(name, O_RDONLY), ENAMETOOLONG);
    CHECK_ERR(access(name, F_OK), ENAMETOOLONG);
    CHECK_ERR(unlink(name), ENAMETOOLONG);
}

TEST(paths_of_4096_bytes)
{
    static char path[PATH_MAX + 16];

    test_tmpdir();
    memset(path, '/', sizeof(path));
    path[PATH_MAX - 1] = '\0';
    CHECK_EQ(access(path, F_OK), 0); /* 4095 slashes are the root */
    path[PATH_MAX - 1] = '/';
    path[PATH_MAX] = '\0';
    CHECK_ERR(access(path, F_OK), ENAMETOOLONG);
    CHECK_ERR(symlink(path, "l"), ENAMETOOLONG);
    path[PATH_MAX - 1] = '\0';
    CHECK_EQ(symlink(path, "l"), 0);
    CHECK_EQ(access("l", F_OK), 0);
}

/* Deeper than a path can name. */
TEST(deep_directories)
{
    static char cwd[PATH_MAX * 2];
    char name[101];
    int depth = 0, top;

    test_tmpdir();
    top = open(".", O_RDONLY | O_DIRECTORY);
    memset(name, 'd', 100);
    name[100] = '\0';
    for (; depth < 60; depth++) {
        if (mkdir(name, 0755) || chdir(name))
            break;
    }
    CHECK_EQ(depth, 60);
    CHECK_ERR(syscall(SYS_getcwd, cwd, sizeof(cwd)), ENAMETOOLONG);
    CHECK_EQ(open("here", O_CREAT | O_WRONLY, 0644) >= 0, 1);
    CHECK_EQ(access("../../here", F_OK), -1);
    for (; depth > 0; depth--) {
        unlink("here");
        if (chdir("..") || rmdir(name))
            break;
    }
    CHECK_EQ(depth, 0);
    close(top);
}

TEST(forty_links)
{
    char from[16], to[16];

    test_tmpdir();
    CHECK_EQ(mkdir("l0", 0755), 0);
    for (int i = 1; i <= 41; i++) {
        snprintf(from, sizeof(from), "l%d", i);
        snprintf(to, sizeof(to), "l%d", i - 1);
        CHECK_EQ(symlink(to, from), 0);
    }
    CHECK_EQ(access("l40", F_OK), 0);
    CHECK_ERR(access("l41", F_OK), ELOOP);
    CHECK_ERR(open("l41/x", O_CREAT | O_WRONLY, 0644), ELOOP);
    CHECK_EQ(symlink("self", "self"), 0);
    CHECK_ERR(open("self", O_RDONLY), ELOOP);
    CHECK_ERR(open("l1", O_RDONLY | O_NOFOLLOW), ELOOP);
}

static int run_true(char **argv, char **envp)
{
    int status;
    pid_t pid = fork();

    if (pid == 0) {
        execve("/bin/true", argv, envp);
        _exit(errno);
    }
    waitpid(pid, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

TEST(arguments)
{
    size_t one = 128 * 1024; /* MAX_ARG_STRLEN */
    char *big = malloc(one + 16), *argv[70] = {"true"}, *envp[] = {NULL, NULL};
    struct rlimit rl, small;
    static char *many[100002];

    memset(big, 'a', one + 16);
    big[one - 1] = '\0';
    argv[1] = big;
    CHECK_EQ(run_true(argv, envp), 0);
    big[one - 1] = 'a';
    big[one] = '\0';
    CHECK_EQ(run_true(argv, envp), E2BIG);
    argv[1] = NULL;
    envp[0] = big;
    CHECK_EQ(run_true(argv, envp), E2BIG);
    envp[0] = NULL;
    for (int i = 0; i < 100001; i++)
        many[i] = "x";
    CHECK_EQ(run_true(many, envp), 0);
    /* A quarter of the stack's limit, never less than 128 KiB. */
    getrlimit(RLIMIT_STACK, &rl);
    small = rl;
    small.rlim_cur = 1024 * 1024;
    CHECK_EQ(setrlimit(RLIMIT_STACK, &small), 0);
    CHECK_EQ(run_true(many, envp), E2BIG);
    big[one - 1] = '\0';
    argv[1] = big;
    CHECK_EQ(run_true(argv, envp), 0);
    argv[2] = big;
    CHECK_EQ(run_true(argv, envp), E2BIG);
    CHECK_EQ(setrlimit(RLIMIT_STACK, &rl), 0);
    free(big);
}

TEST(descriptors_run_out)
{
    struct rlimit rl, few;
    int fds[64], n = 0, p[2], s[2];

    getrlimit(RLIMIT_NOFILE, &rl);
    few = rl;
    few.rlim_cur = 20;
    CHECK_EQ(setrlimit(RLIMIT_NOFILE, &few), 0);
    while (n < 64 && (fds[n] = open("/dev/null", O_RDONLY)) >= 0)
        n++;
    CHECK_ERR(open("/dev/null", O_RDONLY), EMFILE);
    CHECK_ERR(dup(0), EMFILE);
    CHECK_ERR(fcntl(0, F_DUPFD, 0), EMFILE);
    CHECK_ERR(fcntl(0, F_DUPFD, 20), EINVAL);
    CHECK_ERR(dup2(0, 20), EBADF);
    CHECK_ERR(socket(AF_UNIX, SOCK_STREAM, 0), EMFILE);
    CHECK_ERR(epoll_create1(0), EMFILE);
    CHECK_ERR(eventfd(0, 0), EMFILE);
    CHECK_ERR(open("/none", O_RDONLY), EMFILE);
    close(fds[--n]);
    CHECK_ERR(pipe(p), EMFILE);
    CHECK_ERR(socketpair(AF_UNIX, SOCK_STREAM, 0, s), EMFILE);
    CHECK_ERR(open("/none", O_RDONLY), ENOENT);
    /* What is open above a lowered limit stays. */
    few.rlim_cur = 3;
    CHECK_EQ(setrlimit(RLIMIT_NOFILE, &few), 0);
    CHECK(fcntl(fds[0], F_GETFD) >= 0);
    CHECK_ERR(dup2(0, fds[0]), EBADF);
    CHECK_EQ(setrlimit(RLIMIT_NOFILE, &rl), 0);
    while (n > 0)
        close(fds[--n]);
}

static void file_size(void)
{
    struct rlimit rl = {4096, 4096};
    int fd = open("f", O_CREAT | O_RDWR, 0644);
    static char buf[8192];

    signal(SIGXFSZ, SIG_IGN);
    CHECK_EQ(setrlimit(RLIMIT_FSIZE, &rl), 0);
    CHECK_EQ(write(fd, buf, sizeof(buf)), 4096);
    CHECK_ERR(write(fd, buf, 1), EFBIG);
    CHECK_ERR(pwrite(fd, buf, 1, 4096), EFBIG);
    CHECK_ERR(ftruncate(fd, 4097), EFBIG);
    CHECK_EQ(ftruncate(fd, 4096), 0);
    CHECK_ERR(fallocate(fd, 0, 0, 8192), EFBIG);
    signal(SIGXFSZ, SIG_DFL);
    CHECK_EQ(pwrite(fd, buf, 1, 4095), 1);
    if (write(fd, buf, 1) != 0)
        _exit(1); /* not reached: SIGXFSZ */
}

TEST(file_size_ends_in_sigxfsz)
{
    int status;

    test_tmpdir();
    status = test_in_child(file_size);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGXFSZ);
}

TEST(address_space)
{
    struct rlimit rl, small;
    void *p;

    getrlimit(RLIMIT_AS, &rl);
    small = rl;
    small.rlim_cur = 256 << 20;
    CHECK_EQ(setrlimit(RLIMIT_AS, &small), 0);
    p = mmap(NULL, 512 << 20, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(p == MAP_FAILED && errno == ENOMEM);
    p = mmap(NULL, 64 << 20, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(p != MAP_FAILED);
    CHECK(mremap(p, 64 << 20, 512 << 20, MREMAP_MAYMOVE) == MAP_FAILED && errno == ENOMEM);
    munmap(p, 64 << 20);
    CHECK_EQ(setrlimit(RLIMIT_AS, &rl), 0);
    getrlimit(RLIMIT_DATA, &rl);
    small = rl;
    small.rlim_cur = 4096;
    CHECK_EQ(setrlimit(RLIMIT_DATA, &small), 0);
    p = mmap(NULL, 64 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(p == MAP_FAILED && errno == ENOMEM);
    CHECK_EQ(setrlimit(RLIMIT_DATA, &rl), 0);
}

static void locked_memory(void)
{
    struct rlimit rl = {65536, 65536};
    char *p = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    CHECK_EQ(setrlimit(RLIMIT_MEMLOCK, &rl), 0);
    if (geteuid() == 0 && setuid(65534) != 0)
        _exit(1);
    CHECK_EQ(mlock(p, 65536), 0);
    CHECK_ERR(mlock(p, 131072), ENOMEM);
    CHECK(mmap(NULL, 131072, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_LOCKED, -1, 0) ==
              MAP_FAILED &&
          errno == EAGAIN);
    rl.rlim_cur = 0;
    CHECK_EQ(munlock(p, 65536), 0);
    CHECK_EQ(setrlimit(RLIMIT_MEMLOCK, &rl), 0);
    CHECK_ERR(mlock(p, 4096), EPERM);
}

TEST(locked_memory_is_limited)
{
    CHECK_EQ(test_in_child(locked_memory), 0);
}

static void few_processes(void)
{
    struct rlimit rl = {1, 1};
    pid_t pid;

    if (geteuid() == 0 && setuid(54321) != 0)
        _exit(1);
    CHECK_EQ(setrlimit(RLIMIT_NPROC, &rl), 0);
    pid = fork();
    if (pid == 0)
        _exit(0);
    CHECK(pid < 0 && errno == EAGAIN);
}

TEST(processes_are_limited)
{
    if (geteuid() != 0)
        SKIP("needs a user of its own");
    CHECK_EQ(test_in_child(few_processes), 0);
}

static pthread_barrier_t barrier;

static void *thread_main(void *arg)
{
    pthread_barrier_wait(&barrier);
    return arg;
}

TEST(two_thousand_threads)
{
    enum { COUNT = 2000 };
    static pthread_t t[COUNT];
    pthread_attr_t attr;
    int n = 0;
    void *ret;

    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, 65536);
    pthread_barrier_init(&barrier, NULL, COUNT + 1);
    for (; n < COUNT; n++) {
        if (pthread_create(&t[n], &attr, thread_main, &barrier))
            break;
    }
    REQUIRE(n == COUNT);
    pthread_barrier_wait(&barrier);
    for (n = 0; n < COUNT; n++) {
        if (pthread_join(t[n], &ret) || ret != &barrier)
            break;
    }
    CHECK_EQ(n, COUNT);
}

static volatile sig_atomic_t storm_count;

static void storm_handler(int signo)
{
    storm_count++;
}

/* Queued signals are all delivered, up to the limit of pending ones. */
TEST(signal_storm)
{
    union sigval v = {0};
    struct rlimit rl, few;
    sigset_t set;
    int sent = 0;

    sigemptyset(&set);
    sigaddset(&set, SIGRTMIN);
    sigprocmask(SIG_BLOCK, &set, NULL);
    signal(SIGRTMIN, storm_handler);
    for (int i = 0; i < 3000; i++) {
        if (sigqueue(getpid(), SIGRTMIN, v) != 0)
            break;
        sent++;
    }
    sigprocmask(SIG_UNBLOCK, &set, NULL);
    CHECK_EQ(storm_count, sent);
    CHECK(sent > 1000);
    sigprocmask(SIG_BLOCK, &set, NULL);
    getrlimit(RLIMIT_SIGPENDING, &rl);
    few = rl;
    few.rlim_cur = 0;
    CHECK_EQ(setrlimit(RLIMIT_SIGPENDING, &few), 0);
    CHECK_ERR(sigqueue(getpid(), SIGRTMIN, v), EAGAIN);
    CHECK_EQ(kill(getpid(), SIGRTMIN), 0); /* kill never fails for want of memory */
    CHECK_EQ(setrlimit(RLIMIT_SIGPENDING, &rl), 0);
    sigprocmask(SIG_UNBLOCK, &set, NULL);
    CHECK_EQ(storm_count, sent + 1);
}

GUEST_TEST_MAIN
