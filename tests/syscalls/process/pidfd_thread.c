/* SPDX-License-Identifier: Apache-2.0 */
/* PIDFD_THREAD: pidfds of single threads. pidfd_open(2). */
#define _GNU_SOURCE
#include "tests/support/guest_test.h"

#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>

#define PIDFD_THREAD O_EXCL

static int open_thread(pid_t tid, unsigned flags)
{
    return (int)syscall(434 /* pidfd_open */, tid, flags);
}

static bool supported(void)
{
    int fd = open_thread(getpid(), PIDFD_THREAD);

    close(fd);
    return fd >= 0;
}

struct other {
    pthread_t thread;
    int tid, go[2];
};

static void *run_other(void *arg)
{
    struct other *o = arg;
    char c;

    __atomic_store_n(&o->tid, (int)syscall(SYS_gettid), __ATOMIC_SEQ_CST);
    (void)!read(o->go[0], &c, 1);
    return NULL;
}

static void start(struct other *o)
{
    *o = (struct other){.tid = 0};
    CHECK_EQ(pipe(o->go), 0);
    CHECK_EQ(pthread_create(&o->thread, NULL, run_other, o), 0);
    while (!__atomic_load_n(&o->tid, __ATOMIC_SEQ_CST))
        sched_yield();
}

static void finish(struct other *o)
{
    CHECK_EQ(write(o->go[1], "", 1), 1);
    CHECK_EQ(pthread_join(o->thread, NULL), 0);
    close(o->go[0]);
    close(o->go[1]);
}

static int readable(int fd, int timeout_ms)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};

    return poll(&p, 1, timeout_ms) == 1 ? p.revents : 0;
}

TEST(the_end_of_one_thread)
{
    struct other o;
    int fd;

    if (!supported())
        SKIP_ON_HOST("pidfds of threads are Linux 6.9's");
    start(&o);
    fd = open_thread(o.tid, PIDFD_THREAD);
    CHECK(fd >= 0);
    CHECK_EQ(fcntl(fd, F_GETFL) & O_EXCL, O_EXCL);
    CHECK_EQ(readable(fd, 0), 0);
    finish(&o);
    CHECK(readable(fd, -1) & POLLIN);
    CHECK_ERR(syscall(424 /* pidfd_send_signal */, fd, 0, NULL, 0), ESRCH);
    close(fd);
}

static volatile sig_atomic_t g_caught_by;

static void caught(int signo)
{
    g_caught_by = (int)syscall(SYS_gettid);
}

static void *wait_for_signal(void *arg)
{
    struct other *o = arg;

    __atomic_store_n(&o->tid, (int)syscall(SYS_gettid), __ATOMIC_SEQ_CST);
    while (!g_caught_by)
        usleep(1000);
    return NULL;
}

TEST(signals_go_to_the_thread)
{
    struct other o = {.tid = 0};
    int fd;

    if (!supported())
        SKIP_ON_HOST("pidfds of threads are Linux 6.9's");
    g_caught_by = 0;
    signal(SIGUSR1, caught);
    CHECK_EQ(pthread_create(&o.thread, NULL, wait_for_signal, &o), 0);
    while (!__atomic_load_n(&o.tid, __ATOMIC_SEQ_CST))
        sched_yield();
    fd = open_thread(o.tid, PIDFD_THREAD);
    CHECK_EQ(syscall(424 /* pidfd_send_signal */, fd, SIGUSR1, NULL, 0), 0);
    CHECK_EQ(pthread_join(o.thread, NULL), 0);
    CHECK_EQ(g_caught_by, o.tid);
    signal(SIGUSR1, SIG_DFL);
    close(fd);
}

/* The leader ends before its process. */
static void leader_ends_first(void)
{
    int fds[2], go[2], thread_fd, process_fd, status;
    char c;
    pid_t pid;

    if (pipe(fds) < 0 || pipe(go) < 0)
        return;
    pid = fork();
    if (pid == 0) {
        static struct other o;

        start(&o);
        CHECK_EQ(write(fds[1], "", 1), 1);
        CHECK_EQ(read(go[0], &c, 1), 1);
        syscall(SYS_exit, 0); /* the thread goes on: it waits until killed */
    }
    CHECK_EQ(read(fds[0], &c, 1), 1);
    thread_fd = open_thread(pid, PIDFD_THREAD);
    process_fd = open_thread(pid, 0);
    CHECK_EQ(write(go[1], "", 1), 1);
    WAIT_UNTIL(test_state(pid) == 'Z');
    /* Linux 6.15: both mean the process. */
    CHECK_EQ(readable(thread_fd, 0), 0);
    CHECK_EQ(readable(process_fd, 0), 0);
    CHECK_EQ(kill(pid, SIGKILL), 0);
    CHECK(readable(thread_fd, -1) & POLLIN);
    CHECK(readable(process_fd, -1) & POLLIN);
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    close(thread_fd);
    close(process_fd);
    for (int i = 0; i < 2; i++) {
        close(fds[i]);
        close(go[i]);
    }
}

TEST(a_leader_ends_before_its_process)
{
    if (!supported())
        SKIP_ON_HOST("pidfds of threads are Linux 6.9's");
    leader_ends_first();
}

TEST(refusals)
{
    struct other o;

    if (!supported())
        SKIP_ON_HOST("pidfds of threads are Linux 6.9's");
    start(&o);
    CHECK(open_thread(o.tid, 0) < 0);
    CHECK_ERR(open_thread(o.tid, PIDFD_THREAD | O_CLOEXEC), EINVAL);
    CHECK_ERR(open_thread(-1, PIDFD_THREAD), EINVAL);
    finish(&o);
    while (syscall(SYS_tgkill, getpid(), o.tid, 0) ==
           0) /* who joins is woken a little before the end */
        test_sleep_ms(1);
    CHECK_ERR(open_thread(o.tid, PIDFD_THREAD), ESRCH);
}

static char g_stack[65536] __attribute__((aligned(16)));
static int g_stop;

static int sleeper(void *arg)
{
    while (!__atomic_load_n(&g_stop, __ATOMIC_SEQ_CST))
        syscall(SYS_sched_yield);
    syscall(SYS_exit, 0);
    return 0;
}

TEST(clone_gives_one)
{
    int fd = -1;

    if (!supported())
        SKIP_ON_HOST("pidfds of threads are Linux 6.9's");
    g_stop = 0;
    CHECK(clone(sleeper, g_stack + sizeof(g_stack),
                CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM |
                    CLONE_PIDFD,
                NULL, &fd) > 0);
    CHECK(fd >= 0);
    CHECK_EQ(fcntl(fd, F_GETFL) & O_EXCL, O_EXCL);
    CHECK_EQ(readable(fd, 0), 0);
    __atomic_store_n(&g_stop, 1, __ATOMIC_SEQ_CST);
    CHECK(readable(fd, -1) & POLLIN);
    close(fd);
}

GUEST_TEST_MAIN
