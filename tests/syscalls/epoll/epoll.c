/* SPDX-License-Identifier: Apache-2.0 */
/* epoll(7): triggers, one-shot, nesting, what a close removes, errors, signals. */
#define _GNU_SOURCE
#include "tests/support/guest_test.h"

#include <pthread.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

static int add(int ep, int fd, uint32_t events)
{
    struct epoll_event ev = {.events = events, .data.fd = fd};

    return epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev);
}

static int mod(int ep, int fd, uint32_t events)
{
    struct epoll_event ev = {.events = events, .data.fd = fd};

    return epoll_ctl(ep, EPOLL_CTL_MOD, fd, &ev);
}

static void bump(int fd)
{
    uint64_t one = 1;

    CHECK_EQ(write(fd, &one, 8), 8);
}

static void drain(int fd)
{
    uint64_t n;

    CHECK_EQ(read(fd, &n, 8), 8);
}

TEST(errors)
{
    struct epoll_event ev = {.events = EPOLLIN};
    int ep = epoll_create1(EPOLL_CLOEXEC), file, e = eventfd(0, 0);

    REQUIRE(ep >= 0);
    CHECK_ERR(sysp(SYS_epoll_create1, 1), EINVAL);
    CHECK_ERR(sysp(SYS_epoll_create, 0), EINVAL);
    CHECK_ERR(epoll_ctl(ep, 9, e, &ev), EINVAL);
    CHECK_ERR(epoll_ctl(ep, EPOLL_CTL_ADD, ep, &ev), EINVAL);
    CHECK_ERR(epoll_ctl(e, EPOLL_CTL_ADD, ep, &ev), EINVAL);
    CHECK_ERR(epoll_ctl(ep, EPOLL_CTL_ADD, 99, &ev), EBADF);
    CHECK_ERR(epoll_ctl(99, EPOLL_CTL_ADD, e, &ev), EBADF);
    CHECK_ERR(sys(SYS_epoll_ctl, ep, EPOLL_CTL_ADD, e, BAD_PTR), EFAULT);
    CHECK_ERR(mod(ep, e, EPOLLIN), ENOENT);
    CHECK_ERR(epoll_ctl(ep, EPOLL_CTL_DEL, e, NULL), ENOENT);
    CHECK_EQ(add(ep, e, EPOLLIN), 0);
    CHECK_ERR(add(ep, e, EPOLLIN), EEXIST);
    test_tmpdir();
    file = open("x", O_RDWR | O_CREAT, 0600);
    CHECK_ERR(add(ep, file, EPOLLIN), EPERM);
    CHECK_ERR(epoll_wait(ep, &ev, 0, 0), EINVAL);
    CHECK_ERR(epoll_wait(e, &ev, 1, 0), EINVAL);
    CHECK_ERR(sys(SYS_epoll_wait, ep, (void *)-4096L, 1, 0), EFAULT);
    close(file);
    close(e);
    close(ep);
}

TEST(level_edge_oneshot)
{
    struct epoll_event ev[4];
    int ep = epoll_create1(0), e = eventfd(0, 0);

    CHECK_EQ(add(ep, e, EPOLLIN), 0);
    CHECK_EQ(epoll_wait(ep, ev, 4, 0), 0);
    bump(e);
    CHECK_EQ(epoll_wait(ep, ev, 4, 0), 1);
    CHECK_EQ(ev[0].data.fd, e);
    CHECK_EQ(ev[0].events, EPOLLIN);
    CHECK_EQ(epoll_wait(ep, ev, 4, 0), 1);
    CHECK_EQ(mod(ep, e, EPOLLIN | EPOLLET), 0);
    CHECK_EQ(epoll_wait(ep, ev, 4, 0), 1);
    CHECK_EQ(epoll_wait(ep, ev, 4, 0), 0);
    bump(e);
    CHECK_EQ(epoll_wait(ep, ev, 4, 0), 1);
    CHECK_EQ(mod(ep, e, EPOLLIN | EPOLLONESHOT), 0);
    CHECK_EQ(epoll_wait(ep, ev, 4, 0), 1);
    bump(e);
    CHECK_EQ(epoll_wait(ep, ev, 4, 0), 0);
    CHECK_EQ(mod(ep, e, EPOLLIN | EPOLLOUT | EPOLLONESHOT), 0);
    CHECK_EQ(epoll_wait(ep, ev, 4, 0), 1);
    CHECK_EQ(ev[0].events, EPOLLIN | EPOLLOUT);
    close(e);
    close(ep);
}

TEST(edge_on_pipes)
{
    struct epoll_event ev[4];
    char c;
    int ep = epoll_create1(0), p[2];

    REQUIRE(pipe2(p, O_NONBLOCK) == 0);
    CHECK_EQ(add(ep, p[0], EPOLLIN | EPOLLET), 0);
    CHECK_EQ(write(p[1], "a", 1), 1);
    CHECK_EQ(epoll_wait(ep, ev, 4, 0), 1);
    CHECK_EQ(write(p[1], "b", 1), 1); /* not empty before: an edge all the same */
    CHECK_EQ(epoll_wait(ep, ev, 4, 0), 1);
    CHECK_EQ(epoll_wait(ep, ev, 4, 0), 0);
    CHECK_EQ(read(p[0], &c, 1), 1);
    CHECK_EQ(epoll_wait(ep, ev, 4, 0), 0);
    close(p[1]);
    CHECK_EQ(epoll_wait(ep, ev, 4, 0), 1);
    CHECK_EQ(ev[0].events, EPOLLIN | EPOLLHUP);
    close(p[0]);
    close(ep);
}

TEST(close_removes_the_description_not_the_descriptor)
{
    struct epoll_event ev[4];
    int ep = epoll_create1(0), e = eventfd(1, 0), copy = dup(e);

    CHECK_EQ(add(ep, e, EPOLLIN), 0);
    close(e);
    CHECK_EQ(epoll_wait(ep, ev, 4, 0), 1); /* the dup keeps it alive */
    CHECK_EQ(ev[0].data.fd, e);
    close(copy);
    CHECK_EQ(epoll_wait(ep, ev, 4, 0), 0);
    close(ep);
}

TEST(nested)
{
    struct epoll_event ev[4];
    int chain[6], e = eventfd(0, 0);

    for (int i = 0; i < 6; i++)
        chain[i] = epoll_create1(0);
    CHECK_EQ(add(chain[0], e, EPOLLIN), 0);
    for (int i = 1; i < 5; i++)
        CHECK_EQ(add(chain[i], chain[i - 1], EPOLLIN), 0);
    CHECK_ERR(add(chain[5], chain[4], EPOLLIN), ELOOP);
    CHECK_ERR(add(chain[0], chain[1], EPOLLIN), ELOOP);
    CHECK_EQ(epoll_wait(chain[4], ev, 4, 0), 0);
    bump(e);
    CHECK_EQ(epoll_wait(chain[4], ev, 4, 0), 1);
    CHECK_EQ(ev[0].data.fd, chain[3]);
    drain(e);
    CHECK_EQ(epoll_wait(chain[4], ev, 4, 0), 0);
    for (int i = 0; i < 6; i++)
        close(chain[i]);
    close(e);
}

TEST(exclusive)
{
    int ep = epoll_create1(0), e = eventfd(0, 0), other = epoll_create1(0);

    CHECK_ERR(add(ep, other, EPOLLIN | EPOLLEXCLUSIVE), EINVAL);
    CHECK_ERR(add(ep, e, EPOLLIN | EPOLLEXCLUSIVE | EPOLLONESHOT), EINVAL);
    CHECK_EQ(add(ep, e, EPOLLIN | EPOLLEXCLUSIVE), 0);
    CHECK_ERR(mod(ep, e, EPOLLIN), EINVAL);
    close(ep);
    close(e);
    close(other);
}

TEST(many_ready)
{
    static struct epoll_event ev[300];
    int ep = epoll_create1(0), fds[200];

    for (int i = 0; i < 200; i++) {
        fds[i] = eventfd(1, 0);
        REQUIRE(fds[i] >= 0);
        CHECK_EQ(add(ep, fds[i], EPOLLIN), 0);
    }
    CHECK_EQ(epoll_wait(ep, ev, 300, 0), 200);
    CHECK_EQ(epoll_wait(ep, ev, 10, 0), 10);
    CHECK_EQ(epoll_wait(ep, ev, 300, 0), 200);
    for (int i = 0; i < 200; i++)
        close(fds[i]);
    CHECK_EQ(epoll_wait(ep, ev, 300, 0), 0);
    close(ep);
}

static void on_signal(int signo)
{
    (void)signo;
}

TEST(signals)
{
    struct sigaction sa = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    struct epoll_event ev;
    sigset_t block, none;
    int ep = epoll_create1(0);
    pid_t pid;

    sigaction(SIGUSR1, &sa, NULL);
    pid = test_signal_in(SYS_epoll_wait, SIGUSR1);
    CHECK_ERR(epoll_wait(ep, &ev, 1, -1), EINTR);
    waitpid(pid, NULL, 0);
    sigemptyset(&none);
    sigemptyset(&block);
    sigaddset(&block, SIGUSR1);
    sigprocmask(SIG_BLOCK, &block, NULL);
    kill(getpid(), SIGUSR1);
    CHECK_EQ(epoll_wait(ep, &ev, 1, 10), 0);
    CHECK_ERR(epoll_pwait(ep, &ev, 1, -1, &none), EINTR);
    sigprocmask(SIG_UNBLOCK, &block, NULL);
    close(ep);
}

TEST(timeouts)
{
    struct epoll_event ev;
    struct timespec ts = {0, 20000000};
    long long start = test_now_ms();
    int ep = epoll_create1(0);

    CHECK_EQ(epoll_wait(ep, &ev, 1, 20), 0);
    CHECK(test_now_ms() - start >= 20);
    start = test_now_ms();
    CHECK_EQ(sys(SYS_epoll_pwait2, ep, &ev, 1, &ts, NULL, 8L), 0);
    CHECK(test_now_ms() - start >= 20);
    close(ep);
}

static void *waiter(void *arg)
{
    struct epoll_event ev;

    return (void *)(long)epoll_wait(*(int *)arg, &ev, 1, -1);
}

TEST(threads_wake_each_once)
{
    pthread_t threads[4];
    int ep = epoll_create1(0), e[4];
    void *ret;

    for (int i = 0; i < 4; i++) {
        e[i] = eventfd(0, 0);
        CHECK_EQ(add(ep, e[i], EPOLLIN | EPOLLET), 0);
        pthread_create(&threads[i], NULL, waiter, &ep);
    }
    WAIT_UNTIL(test_sleepers(SYS_epoll_wait, NULL) == 4);
    for (int i = 0; i < 4; i++)
        bump(e[i]);
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], &ret);
        CHECK_EQ((long)ret, 1);
        close(e[i]);
    }
    close(ep);
}

GUEST_TEST_MAIN
