/* SPDX-License-Identifier: Apache-2.0 */
/* pipe(7): bytes, ends, atomicity, packets, sizes, wake-ups. */
#define _GNU_SOURCE
#include "tests/support/guest_test.h"

#include <poll.h>
#include <pthread.h>
#include <sys/ioctl.h>
#include <sys/uio.h>

TEST(flags_and_errors)
{
    int p[2];

    CHECK_ERR(sysp(SYS_pipe2, p, 0x40000000), EINVAL);
    CHECK_ERR(sysp(SYS_pipe2, BAD_PTR, 0), EFAULT);
    REQUIRE(sysp(SYS_pipe2, p, O_CLOEXEC | O_NONBLOCK) == 0);
    CHECK_EQ(fcntl(p[0], F_GETFD), FD_CLOEXEC);
    CHECK_EQ(fcntl(p[0], F_GETFL), O_RDONLY | O_NONBLOCK);
    CHECK_EQ(fcntl(p[1], F_GETFL), O_WRONLY | O_NONBLOCK);
    CHECK_ERR(sys(SYS_read, p[1], p, 1L), EBADF);
    CHECK_ERR(sys(SYS_write, p[0], p, 1L), EBADF);
    CHECK_ERR(sys(SYS_lseek, p[0], 0L, SEEK_CUR), ESPIPE);
    CHECK_ERR(sys(SYS_pread64, p[0], p, 1L, 0L), ESPIPE);
    CHECK_ERR(sys(SYS_read, p[0], p, 1L), EAGAIN);
    CHECK_EQ(sys(SYS_write, p[1], BAD_PTR, 0L), 0);
    CHECK_ERR(sys(SYS_write, p[1], BAD_PTR, 1L), EFAULT);
    close(p[0]);
    close(p[1]);
}

TEST(stat_and_reopen)
{
    char path[32], buf[4];
    struct stat a, b;
    int p[2], again;

    REQUIRE(pipe(p) == 0);
    CHECK_EQ(fstat(p[0], &a), 0);
    CHECK_EQ(fstat(p[1], &b), 0);
    CHECK(S_ISFIFO(a.st_mode));
    CHECK_EQ(a.st_ino, b.st_ino);
    snprintf(path, sizeof(path), "/proc/self/fd/%d", p[1]);
    again = open(path, O_WRONLY);
    REQUIRE(again >= 0);
    close(p[1]);
    CHECK_EQ(write(again, "x", 1), 1);
    CHECK_EQ(read(p[0], buf, 4), 1);
    close(again);
    CHECK_EQ(read(p[0], buf, 4), 0);
    /* No rendezvous as with a FIFO: nobody writes, the open goes through. */
    snprintf(path, sizeof(path), "/proc/self/fd/%d", p[0]);
    again = open(path, O_RDONLY);
    CHECK(again >= 0);
    CHECK_EQ(read(again, buf, 4), 0);
    close(again);
    close(p[0]);
}

TEST(end_of_file_and_sigpipe)
{
    char c;
    int p[2];

    REQUIRE(pipe(p) == 0);
    close(p[1]);
    CHECK_EQ(read(p[0], &c, 1), 0);
    close(p[0]);
    REQUIRE(pipe(p) == 0);
    close(p[0]);
    signal(SIGPIPE, SIG_IGN);
    CHECK_ERR(write(p[1], "x", 1), EPIPE);
    signal(SIGPIPE, SIG_DFL);
    close(p[1]);
}

TEST(capacity)
{
    static char big[1 << 20];
    int p[2], n;

    REQUIRE(pipe2(p, O_NONBLOCK) == 0);
    CHECK_EQ(fcntl(p[0], F_GETPIPE_SZ), 65536);
    CHECK_EQ(write(p[1], big, sizeof(big)), 65536);
    CHECK_ERR(write(p[1], big, 1), EAGAIN);
    CHECK_EQ(ioctl(p[0], FIONREAD, &n), 0);
    CHECK_EQ(n, 65536);
    CHECK_EQ(read(p[0], big, 4095), 4095);
    CHECK_ERR(write(p[1], big, 4096), EAGAIN); /* no slot is free yet */
    CHECK_EQ(read(p[0], big, 1), 1);
    CHECK_EQ(write(p[1], big, 4096), 4096);
    CHECK_EQ(fcntl(p[1], F_SETPIPE_SZ, 200000), 262144);
    CHECK_EQ(write(p[1], big, sizeof(big)), 262144 - 65536);
    CHECK_ERR(fcntl(p[1], F_SETPIPE_SZ, 4096), EBUSY);
    CHECK_EQ(read(p[0], big, sizeof(big)), 262144);
    CHECK_EQ(fcntl(p[1], F_SETPIPE_SZ, 0), 4096);
    close(p[0]);
    close(p[1]);
}

TEST(small_writes_share_pages)
{
    char buf[64] = {0};
    int p[2], n = 0;

    REQUIRE(pipe2(p, O_NONBLOCK) == 0);
    while (n < 65536 / 8 && write(p[1], buf, 8) == 8)
        n++;
    CHECK_EQ(n, 65536 / 8);
    close(p[0]);
    close(p[1]);
}

TEST(packets)
{
    char buf[16];
    int p[2];

    REQUIRE(pipe2(p, O_DIRECT | O_NONBLOCK) == 0);
    CHECK_EQ(write(p[1], "abcdef", 6), 6);
    CHECK_EQ(write(p[1], "gh", 2), 2);
    CHECK_EQ(read(p[0], buf, 3), 3);
    CHECK_EQ(read(p[0], buf, 16), 2);
    CHECK(memcmp(buf, "gh", 2) == 0);
    close(p[0]);
    close(p[1]);
}

TEST(vectors)
{
    char a[3], b[5];
    struct iovec w[2] = {{"hel", 3}, {"lo123", 5}}, r[2] = {{a, 3}, {b, 5}};
    int p[2];

    REQUIRE(pipe(p) == 0);
    CHECK_EQ(writev(p[1], w, 2), 8);
    CHECK_EQ(readv(p[0], r, 2), 8);
    CHECK(memcmp(b, "lo123", 5) == 0);
    close(p[0]);
    close(p[1]);
}

TEST(partly_bad_buffer)
{
    int p[2];
    char buf[8];
    struct iovec w[2] = {{"good", 4}, {BAD_PTR, 4}};
    ssize_t n;

    REQUIRE(pipe2(p, O_NONBLOCK) == 0);
    n = writev(p[1], w, 2);
    CHECK(n == 4 || (n == -1 && errno == EFAULT));
    if (n == 4)
        CHECK_EQ(read(p[0], buf, 8), 4);
    CHECK_EQ(write(p[1], "abcd", 4), 4);
    CHECK_ERR(sys(SYS_read, p[0], BAD_PTR, 4L), EFAULT);
    CHECK_EQ(read(p[0], buf, 8), 4);
    close(p[0]);
    close(p[1]);
}

static void on_alarm(int signo)
{
    (void)signo;
}

TEST(signal_ends_the_wait)
{
    struct sigaction sa = {.sa_handler = on_alarm};
    pid_t parent = getpid(), pid;
    int p[2];
    char c;

    REQUIRE(pipe(p) == 0);
    sigaction(SIGUSR1, &sa, NULL);
    pid = test_signal_in(SYS_read, SIGUSR1);
    CHECK_ERR(read(p[0], &c, 1), EINTR);
    waitpid(pid, NULL, 0);
    sa.sa_flags = SA_RESTART;
    sigaction(SIGUSR1, &sa, NULL);
    pid = fork();
    if (pid == 0) {
        if (!test_wait_asleep(parent, SYS_read) || kill(parent, SIGUSR1) < 0)
            _exit(2);
        test_sleep_ms(50); /* a read that is not restarted ends now */
        _exit(write(p[1], "z", 1) == 1 ? 0 : 1);
    }
    CHECK_EQ(read(p[0], &c, 1), 1);
    CHECK_EQ(c, 'z');
    waitpid(pid, NULL, 0);
    close(p[0]);
    close(p[1]);
}

static void *reader(void *arg)
{
    static char buf[70000];
    long total = 0;
    ssize_t n;

    while ((n = read(*(int *)arg, buf, sizeof(buf))) > 0)
        total += n;
    return (void *)total;
}

TEST(stream_of_64_mib)
{
    static char buf[100000];
    pthread_t thread;
    void *total;
    long sent = 0;
    int p[2];

    REQUIRE(pipe(p) == 0);
    REQUIRE(pthread_create(&thread, NULL, reader, &p[0]) == 0);
    while (sent < 64 << 20) {
        ssize_t n = write(p[1], buf, sizeof(buf));

        REQUIRE(n == sizeof(buf));
        sent += n;
    }
    close(p[1]);
    pthread_join(thread, &total);
    CHECK_EQ((long)total, sent);
    close(p[0]);
}

TEST(many_readers_one_byte_each)
{
    enum { READERS = 8 };
    int p[2], done[2], got = 0;
    char c;

    REQUIRE(pipe(p) == 0 && pipe(done) == 0);
    for (int i = 0; i < READERS; i++) {
        if (fork() == 0) {
            if (read(p[0], &c, 1) == 1 && write(done[1], &c, 1) == 1)
                _exit(0);
            _exit(1);
        }
    }
    test_sleep_ms(50);
    CHECK_EQ(write(p[1], "12345678", READERS), READERS);
    while (got < READERS && read(done[0], &c, 1) == 1)
        got++;
    CHECK_EQ(got, READERS);
    while (wait(NULL) > 0)
        ;
    for (int i = 0; i < 2; i++) {
        close(p[i]);
        close(done[i]);
    }
}

GUEST_TEST_MAIN
