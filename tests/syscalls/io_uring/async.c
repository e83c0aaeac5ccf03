/* SPDX-License-Identifier: Apache-2.0 */
/* io_uring: requests that wait; timeouts, links, drains, cancellation, sockets, exit. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>

#include "tests/support/uring_test.h"

#define RING(entries)                                                                              \
    struct test_ring r;                                                                            \
    const char *why = ring_init(&r, (entries), 0);                                                 \
    if (why)                                                                                       \
    SKIP_ON_HOST(why)

TEST(read_of_an_empty_pipe_waits)
{
    struct test_cqe c;
    char buf[8] = "";
    int p[2];
    RING(8);

    REQUIRE(pipe(p) == 0);
    ring_sqe(&r, IORING_OP_READ, p[0], buf, sizeof(buf), 0, 1);
    CHECK_EQ(ring_submit(&r, 0), 1);
    CHECK(!ring_take(&r, &c));
    CHECK_EQ(write(p[1], "abc", 3), 3);
    c = ring_wait(&r);
    CHECK_EQ(c.user_data, 1);
    CHECK_EQ(c.res, 3);
    CHECK_STR(buf, "abc");
    /* O_NONBLOCK of the file changes nothing, RWF_NOWAIT of the request does. */
    fcntl(p[0], F_SETFL, O_NONBLOCK);
    ring_sqe(&r, IORING_OP_READ, p[0], buf, sizeof(buf), 0, 2);
    CHECK_EQ(ring_submit(&r, 0), 1);
    CHECK(!ring_take(&r, &c));
    CHECK_EQ(write(p[1], "de", 2), 2);
    CHECK_EQ(ring_wait(&r).res, 2);
    ring_sqe(&r, IORING_OP_READ, p[0], buf, sizeof(buf), 0, 3)->rw_flags = RWF_NOWAIT;
    CHECK_EQ(ring_run(&r, 3), -EAGAIN);
    close(p[0]);
    close(p[1]);
    ring_end(&r);
}

static int g_pipe[2];

static void *write_later(void *arg)
{
    (void)arg;
    test_sleep_ms(50);
    if (write(g_pipe[1], "x", 1) != 1)
        return (void *)1;
    return NULL;
}

/* The submitter spins in its own code and never enters the kernel by itself. */
TEST(completes_while_the_submitter_computes)
{
    struct test_cqe c = {0};
    pthread_t t;
    char x;
    RING(4);

    REQUIRE(pipe(g_pipe) == 0);
    ring_sqe(&r, IORING_OP_READ, g_pipe[0], &x, 1, 0, 7);
    CHECK_EQ(ring_submit(&r, 0), 1);
    pthread_create(&t, NULL, write_later, NULL);
    while (!ring_take(&r, &c))
        for (volatile int i = 0; i < 10000; i++)
            ;
    CHECK_EQ(c.user_data, 7);
    CHECK_EQ(c.res, 1);
    pthread_join(t, NULL);
    ring_end(&r);
    close(g_pipe[0]);
    close(g_pipe[1]);
}

TEST(poll_once_and_multishot)
{
    struct test_cqe c;
    int p[2];
    RING(8);

    REQUIRE(pipe(p) == 0);
    ring_sqe(&r, IORING_OP_POLL_ADD, p[0], NULL, 0, 0, 1)->poll32_events = POLLIN;
    CHECK_EQ(ring_submit(&r, 0), 1);
    CHECK(!ring_take(&r, &c));
    CHECK_EQ(write(p[1], "a", 1), 1);
    c = ring_wait(&r);
    CHECK_EQ(c.res, POLLIN);
    ring_sqe(&r, IORING_OP_POLL_ADD, p[0], NULL, IORING_POLL_ADD_MULTI, 0, 2)->poll32_events =
        POLLIN;
    CHECK_EQ(ring_submit(&r, 0), 1);
    c = ring_wait(&r);
    CHECK_EQ(c.user_data, 2);
    CHECK((c.flags & IORING_CQE_F_MORE) != 0);
    CHECK_EQ(write(p[1], "b", 1), 1);
    c = ring_wait(&r);
    CHECK_EQ(c.user_data, 2);
    CHECK((c.flags & IORING_CQE_F_MORE) != 0);
    ring_sqe(&r, IORING_OP_POLL_REMOVE, -1, (void *)2, 0, 0, 3);
    CHECK_EQ(ring_submit(&r, 2), 1);
    for (int i = 0; i < 2; i++) {
        c = ring_wait(&r);
        CHECK_EQ(c.res, c.user_data == 3 ? 0 : -ECANCELED);
    }
    ring_sqe(&r, IORING_OP_POLL_REMOVE, -1, (void *)77, 0, 0, 4);
    CHECK_EQ(ring_run(&r, 4), -ENOENT);
    close(p[0]);
    close(p[1]);
    ring_end(&r);
}

TEST(timeouts)
{
    struct __kernel_timespec ts = {0, 50 * 1000000}, longer = {3600, 0};
    long long t0 = test_now_ms();
    struct test_cqe c;
    RING(8);

    ring_sqe(&r, IORING_OP_TIMEOUT, -1, &ts, 1, 0, 1);
    CHECK_EQ(ring_run(&r, 1), -ETIME);
    CHECK(test_now_ms() - t0 >= 49);
    /* Ends after one other completion. */
    ring_sqe(&r, IORING_OP_TIMEOUT, -1, &longer, 1, 1, 2);
    ring_sqe(&r, IORING_OP_NOP, -1, NULL, 0, 0, 3);
    CHECK_EQ(ring_submit(&r, 2), 2);
    for (int i = 0; i < 2; i++) {
        c = ring_wait(&r);
        CHECK_EQ(c.res, 0);
    }
    ring_sqe(&r, IORING_OP_TIMEOUT, -1, &longer, 1, 0, 4);
    ring_sqe(&r, IORING_OP_TIMEOUT_REMOVE, -1, (void *)4, 0, 0, 5);
    CHECK_EQ(ring_submit(&r, 2), 2);
    for (int i = 0; i < 2; i++) {
        c = ring_wait(&r);
        CHECK_EQ(c.res, c.user_data == 4 ? -ECANCELED : 0);
    }
    ring_sqe(&r, IORING_OP_TIMEOUT_REMOVE, -1, (void *)4, 0, 0, 6);
    CHECK_EQ(ring_run(&r, 6), -ENOENT);
    ring_sqe(&r, IORING_OP_TIMEOUT, -1, BAD_PTR, 1, 0, 7);
    CHECK_EQ(ring_run(&r, 7), -EFAULT);
    ring_end(&r);
}

TEST(enter_with_a_timeout)
{
    struct __kernel_timespec ts = {0, 30 * 1000000};
    struct io_uring_getevents_arg arg = {.ts = (uintptr_t)&ts};
    RING(4);

    CHECK_ERR(sys(SYS_io_uring_enter, r.fd, 0L, 1L,
                  (long)(IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG), &arg, sizeof(arg)),
              ETIME);
    CHECK_ERR(sys(SYS_io_uring_enter, r.fd, 0L, 1L,
                  (long)(IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG), &arg, 3L),
              EINVAL);
    ring_end(&r);
}

static void on_alarm(int signo)
{
    (void)signo;
}

TEST(a_signal_ends_the_wait)
{
    struct sigaction sa = {.sa_handler = on_alarm};
    pid_t pid;
    RING(4);

    sigaction(SIGUSR1, &sa, NULL);
    pid = fork();
    if (pid == 0) { /* again and again: the first may come before the wait */
        while (kill(getppid(), SIGUSR1) == 0)
            test_sleep_ms(50);
        _exit(0);
    }
    CHECK_ERR(ring_enter(&r, 0, 1, IORING_ENTER_GETEVENTS), EINTR);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    ring_end(&r);
}

TEST(links_run_in_order_and_break)
{
    struct test_cqe c;
    char buf[8] = "";
    int p[2];
    RING(8);

    REQUIRE(pipe(p) == 0);
    ring_sqe(&r, IORING_OP_WRITE, p[1], "one", 3, 0, 1)->flags = IOSQE_IO_LINK;
    ring_sqe(&r, IORING_OP_READ, p[0], buf, 3, 0, 2);
    CHECK_EQ(ring_submit(&r, 2), 2);
    c = ring_wait(&r);
    CHECK(c.user_data == 1 && c.res == 3);
    c = ring_wait(&r);
    CHECK(c.user_data == 2 && c.res == 3);
    CHECK_STR(buf, "one");
    /* A failure cancels the rest. */
    ring_sqe(&r, IORING_OP_READ, p[0], BAD_PTR, 1, 0, 3)->flags = IOSQE_IO_LINK;
    ring_sqe(&r, IORING_OP_NOP, -1, NULL, 0, 0, 4)->flags = IOSQE_IO_LINK;
    ring_sqe(&r, IORING_OP_NOP, -1, NULL, 0, 0, 5);
    CHECK_EQ(write(p[1], "x", 1), 1);
    CHECK_EQ(ring_submit(&r, 3), 3);
    c = ring_wait(&r);
    CHECK(c.user_data == 3 && c.res == -EFAULT);
    CHECK_EQ(ring_wait(&r).res, -ECANCELED);
    CHECK_EQ(ring_wait(&r).res, -ECANCELED);
    /* A hard link goes on. */
    ring_sqe(&r, IORING_OP_READ, -1, buf, 1, 0, 6)->flags = IOSQE_IO_HARDLINK;
    ring_sqe(&r, IORING_OP_NOP, -1, NULL, 0, 0, 7);
    ring_submit(&r, 0);
    c = ring_wait(&r);
    CHECK(c.res < 0);
    close(p[0]);
    close(p[1]);
    ring_end(&r);
}

TEST(link_timeout)
{
    struct __kernel_timespec ts = {0, 30 * 1000000}, longer = {3600, 0};
    struct test_cqe c;
    char x;
    int p[2];
    RING(8);

    REQUIRE(pipe(p) == 0);
    ring_sqe(&r, IORING_OP_READ, p[0], &x, 1, 0, 1)->flags = IOSQE_IO_LINK;
    ring_sqe(&r, IORING_OP_LINK_TIMEOUT, -1, &ts, 1, 0, 2);
    CHECK_EQ(ring_submit(&r, 2), 2);
    for (int i = 0; i < 2; i++) {
        c = ring_wait(&r);
        CHECK_EQ(c.res, c.user_data == 1 ? -ECANCELED : -ETIME);
    }
    ring_sqe(&r, IORING_OP_READ, p[0], &x, 1, 0, 3)->flags = IOSQE_IO_LINK;
    ring_sqe(&r, IORING_OP_LINK_TIMEOUT, -1, &longer, 1, 0, 4);
    CHECK_EQ(ring_submit(&r, 0), 2);
    CHECK_EQ(write(p[1], "x", 1), 1);
    for (int i = 0; i < 2; i++) {
        c = ring_wait(&r);
        CHECK_EQ(c.res, c.user_data == 3 ? 1 : -ECANCELED);
    }
    close(p[0]);
    close(p[1]);
    ring_end(&r);
}

TEST(drain_waits_for_what_was_before)
{
    struct test_cqe c;
    char x;
    int p[2];
    RING(8);

    REQUIRE(pipe(p) == 0);
    ring_sqe(&r, IORING_OP_READ, p[0], &x, 1, 0, 1);
    ring_sqe(&r, IORING_OP_NOP, -1, NULL, 0, 0, 2)->flags = IOSQE_IO_DRAIN;
    ring_sqe(&r, IORING_OP_NOP, -1, NULL, 0, 0, 3);
    CHECK_EQ(ring_submit(&r, 0), 3);
    CHECK(!ring_take(&r, &c));
    CHECK_EQ(write(p[1], "x", 1), 1);
    CHECK_EQ(ring_wait(&r).user_data, 1);
    CHECK_EQ(ring_wait(&r).user_data, 2);
    CHECK_EQ(ring_wait(&r).user_data, 3);
    close(p[0]);
    close(p[1]);
    ring_end(&r);
}

TEST(cancel)
{
    struct test_cqe c;
    char x;
    int p[2];
    RING(8);

    REQUIRE(pipe(p) == 0);
    ring_sqe(&r, IORING_OP_READ, p[0], &x, 1, 0, 1);
    CHECK_EQ(ring_submit(&r, 0), 1);
    ring_sqe(&r, IORING_OP_ASYNC_CANCEL, -1, (void *)1, 0, 0, 2);
    CHECK_EQ(ring_submit(&r, 2), 1);
    for (int i = 0; i < 2; i++) {
        c = ring_wait(&r);
        CHECK_EQ(c.res, c.user_data == 1 ? -ECANCELED : 0);
    }
    ring_sqe(&r, IORING_OP_ASYNC_CANCEL, -1, (void *)1, 0, 0, 3);
    CHECK_EQ(ring_run(&r, 3), -ENOENT);
    for (int i = 0; i < 3; i++)
        ring_sqe(&r, IORING_OP_READ, p[0], &x, 1, 0, 10);
    CHECK_EQ(ring_submit(&r, 0), 3);
    ring_sqe(&r, IORING_OP_ASYNC_CANCEL, -1, (void *)10, 0, 0, 4)->cancel_flags =
        IORING_ASYNC_CANCEL_ALL;
    CHECK_EQ(ring_submit(&r, 4), 1);
    for (int i = 0; i < 4; i++) {
        c = ring_wait(&r);
        CHECK_EQ(c.res, c.user_data == 4 ? 3 : -ECANCELED);
    }
    close(p[0]);
    close(p[1]);
    ring_end(&r);
}

TEST(skipped_completions)
{
    struct test_cqe c;
    RING(8);

    if (!(r.p.features & IORING_FEAT_CQE_SKIP))
        SKIP_ON_HOST("no IOSQE_CQE_SKIP_SUCCESS");
    ring_sqe(&r, IORING_OP_NOP, -1, NULL, 0, 0, 1)->flags = IOSQE_CQE_SKIP_SUCCESS;
    ring_sqe(&r, IORING_OP_NOP, -1, NULL, 0, 0, 2);
    CHECK_EQ(ring_submit(&r, 1), 2);
    CHECK_EQ(ring_wait(&r).user_data, 2);
    CHECK(!ring_take(&r, &c));
    ring_end(&r);
}

TEST(sockets)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(a);
    int srv = socket(AF_INET, SOCK_STREAM, 0), cli = socket(AF_INET, SOCK_STREAM, 0), conn = -1;
    struct test_cqe c;
    char buf[8] = "";
    struct iovec v = {buf, sizeof(buf)};
    struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1};
    RING(8);

    REQUIRE(bind(srv, (void *)&a, sizeof(a)) == 0 && listen(srv, 5) == 0);
    getsockname(srv, (void *)&a, &len);
    ring_sqe(&r, IORING_OP_ACCEPT, srv, NULL, 0, 0, 1);
    CHECK_EQ(ring_submit(&r, 0), 1);
    ring_sqe(&r, IORING_OP_CONNECT, cli, &a, 0, sizeof(a), 2);
    CHECK_EQ(ring_submit(&r, 2), 1);
    for (int i = 0; i < 2; i++) {
        c = ring_wait(&r);
        if (c.user_data == 1)
            conn = c.res;
        else
            CHECK_EQ(c.res, 0);
    }
    REQUIRE(conn >= 0);
    ring_sqe(&r, IORING_OP_RECV, conn, buf, sizeof(buf), 0, 3);
    CHECK_EQ(ring_submit(&r, 0), 1);
    CHECK(!ring_take(&r, &c));
    ring_sqe(&r, IORING_OP_SEND, cli, "ping", 4, 0, 4);
    CHECK_EQ(ring_submit(&r, 2), 1);
    for (int i = 0; i < 2; i++)
        CHECK_EQ(ring_wait(&r).res, 4);
    CHECK(!memcmp(buf, "ping", 4));
    v.iov_len = 4;
    ring_sqe(&r, IORING_OP_SENDMSG, conn, &m, 1, 0, 5);
    CHECK_EQ(ring_run(&r, 5), 4);
    ring_sqe(&r, IORING_OP_RECVMSG, cli, &m, 1, 0, 6);
    CHECK_EQ(ring_run(&r, 6), 4);
    ring_sqe(&r, IORING_OP_SHUTDOWN, cli, NULL, SHUT_WR, 0, 7);
    CHECK_EQ(ring_run(&r, 7), 0);
    ring_sqe(&r, IORING_OP_RECV, conn, buf, sizeof(buf), 0, 8);
    CHECK_EQ(ring_run(&r, 8), 0);
    ring_sqe(&r, IORING_OP_RECV, 0, buf, 1, 0, 9);
    CHECK_EQ(ring_run(&r, 9), -ENOTSOCK);
    close(srv);
    close(cli);
    close(conn);
    ring_end(&r);
}

TEST(refused_connection)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(a);
    int s = socket(AF_INET, SOCK_STREAM, 0), cli = socket(AF_INET, SOCK_STREAM, 0);
    RING(4);

    REQUIRE(bind(s, (void *)&a, sizeof(a)) == 0);
    getsockname(s, (void *)&a, &len);
    ring_sqe(&r, IORING_OP_CONNECT, cli, &a, 0, sizeof(a), 1);
    CHECK_EQ(ring_run(&r, 1), -ECONNREFUSED);
    close(s);
    close(cli);
    ring_end(&r);
}

/* Exit, exec and close with requests under way leave nothing behind and hang nobody. */
TEST(ends_with_requests_pending)
{
    char x, y;
    int p[2], probe[2], status;
    struct pollfd gone = {.events = 0}; /* POLLERR: nobody has the reading end */
    pid_t pid;
    RING(8);

    REQUIRE(pipe(p) == 0 && pipe(probe) == 0);
    gone.fd = probe[1];
    pid = fork();
    if (pid == 0) {
        struct test_ring own;
        struct __kernel_timespec ts = {100, 0};

        if (ring_init(&own, 8, 0))
            _exit(1);
        ring_sqe(&own, IORING_OP_READ, p[0], &x, 1, 0, 1);
        ring_sqe(&own, IORING_OP_TIMEOUT, -1, &ts, 1, 0, 2);
        ring_sqe(&own, IORING_OP_POLL_ADD, p[0], NULL, 0, 0, 3)->poll32_events = POLLIN;
        ring_submit(&own, 0);
        _exit(0);
    }
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK_EQ(status, 0);
    ring_sqe(&r, IORING_OP_READ, p[0], &x, 1, 0, 1);
    ring_sqe(&r, IORING_OP_READ, p[0], &y, 1, 0, 2);
    ring_sqe(&r, IORING_OP_READ, probe[0], &x, 1, 0, 3);
    CHECK_EQ(ring_submit(&r, 0), 3);
    close(probe[0]);
    ring_end(&r);
    WAIT_UNTIL(poll(&gone, 1, 0) == 1); /* Linux ends them behind the close */
    /* Nobody reads any more: what is written stays. */
    CHECK_EQ(write(p[1], "z", 1), 1);
    x = 0;
    CHECK_EQ(read(p[0], &x, 1), 1);
    CHECK_EQ(x, 'z');
    pid = fork();
    if (pid == 0) {
        struct test_ring own;

        if (ring_init(&own, 8, 0))
            _exit(1);
        ring_sqe(&own, IORING_OP_READ, p[0], &x, 1, 0, 1);
        ring_submit(&own, 0);
        execl("/bin/true", "true", NULL);
        _exit(2);
    }
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK_EQ(status, 0);
    close(p[0]);
    close(p[1]);
    close(probe[1]);
}

static struct test_ring g_shared;

static void *stress_thread(void *arg)
{
    struct test_ring r = {0};
    int p[2];
    char x = 0;
    long me = (long)arg;

    if (pipe(p) < 0)
        return (void *)1;
    for (int i = 0; i < 200; i++) {
        char out = (char)i;

        if (i % 20 == 0) {
            if (ring_init(&r, 4, 0))
                return (void *)2;
        }
        ring_sqe(&r, IORING_OP_READ, p[0], &x, 1, 0, (uint64_t)me);
        if (ring_submit(&r, 0) != 1 || write(p[1], &out, 1) != 1)
            return (void *)3;
        if (ring_wait(&r).res != 1 || x != out)
            return (void *)4;
        if (i % 20 == 19)
            ring_end(&r);
    }
    close(p[0]);
    close(p[1]);
    return NULL;
}

TEST(stress_threads)
{
    pthread_t t[6];
    void *ret;
    const char *why = ring_init(&g_shared, 4, 0);
    if (why)
        SKIP_ON_HOST(why);
    ring_end(&g_shared);
    for (long i = 0; i < 6; i++)
        pthread_create(&t[i], NULL, stress_thread, (void *)i);
    for (int i = 0; i < 6; i++) {
        pthread_join(t[i], &ret);
        CHECK_EQ((long)ret, 0);
    }
}

enum { PIPES = 64, ROUNDS = 100 };
static int g_pipes[PIPES][2];

static void *write_to_all(void *arg)
{
    (void)arg;
    for (int i = 0; i < PIPES; i++)
        if (write(g_pipes[i][1], "x", 1) != 1)
            return (void *)1;
    return NULL;
}

/* A wait that wake-ups keep meeting ends with a completion, never with EINTR: there is no signal. */
TEST(wakes_are_no_signals)
{
    struct test_cqe c;
    pthread_t t;
    void *failed;
    char x[PIPES];
    RING(PIPES);

    for (int i = 0; i < PIPES; i++)
        REQUIRE(pipe(g_pipes[i]) == 0);
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < PIPES; i++)
            ring_sqe(&r, IORING_OP_READ, g_pipes[i][0], &x[i], 1, 0, 1);
        REQUIRE(ring_submit(&r, 0) == PIPES);
        pthread_create(&t, NULL, write_to_all, NULL);
        for (int i = 0; i < PIPES; i++) {
            while (!ring_take(&r, &c))
                REQUIRE(ring_enter(&r, 0, 1, IORING_ENTER_GETEVENTS) == 0);
            REQUIRE(c.res == 1);
        }
        pthread_join(t, &failed);
        REQUIRE(!failed);
    }
    for (int i = 0; i < PIPES; i++) {
        close(g_pipes[i][0]);
        close(g_pipes[i][1]);
    }
    ring_end(&r);
}

GUEST_TEST_MAIN
