/* SPDX-License-Identifier: Apache-2.0 */
/* SO_ATTACH_FILTER on TCP: segments that are refused come again until the program takes them. socket(7). */
#include <arpa/inet.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include "tests/support/guest_test.h"

static struct sock_filter g_nothing[] = {{BPF_RET | BPF_K, 0, 0, 0}};
static struct sock_filter g_all[] = {{BPF_RET | BPF_K, 0, 0, 0x40000}};
/* No data that begins with x: the header's length is in units of four bytes. */
static struct sock_filter g_no_x[] = {
    {BPF_LD | BPF_B | BPF_ABS, 0, 0, 12},
    {BPF_ALU | BPF_RSH | BPF_K, 0, 0, 2},
    {BPF_ALU | BPF_AND | BPF_K, 0, 0, 0x3c},
    {BPF_MISC | BPF_TAX, 0, 0, 0},
    {BPF_LD | BPF_W | BPF_LEN, 0, 0, 0},
    {BPF_JMP | BPF_JGT | BPF_X, 0, 3, 0},
    {BPF_LD | BPF_B | BPF_IND, 0, 0, 0},
    {BPF_JMP | BPF_JEQ | BPF_K, 0, 1, 'x'},
    {BPF_RET | BPF_K, 0, 0, 0},
    {BPF_RET | BPF_K, 0, 0, 0x40000},
};
/* Three bytes of data at a time. */
static struct sock_filter g_three[] = {
    {BPF_LD | BPF_B | BPF_ABS, 0, 0, 12},
    {BPF_ALU | BPF_RSH | BPF_K, 0, 0, 2},
    {BPF_ALU | BPF_AND | BPF_K, 0, 0, 0x3c},
    {BPF_ALU | BPF_ADD | BPF_K, 0, 0, 3},
    {BPF_RET | BPF_A, 0, 0, 0},
};

#define ATTACH(fd, code)                                                                           \
    do {                                                                                           \
        struct sock_fprog prog_ = {sizeof(code) / sizeof((code)[0]), (code)};                      \
        CHECK_EQ(setsockopt((fd), SOL_SOCKET, SO_ATTACH_FILTER, &prog_, sizeof(prog_)), 0);        \
    } while (0)

static void detach(int fd)
{
    int zero = 0;

    CHECK_EQ(setsockopt(fd, SOL_SOCKET, SO_DETACH_FILTER, &zero, sizeof(zero)), 0);
}

static int listener(struct sockaddr_in *in)
{
    socklen_t len = sizeof(*in);
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    *in = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    CHECK_EQ(bind(fd, (struct sockaddr *)in, sizeof(*in)), 0);
    CHECK_EQ(listen(fd, 4), 0);
    CHECK_EQ(getsockname(fd, (struct sockaddr *)in, &len), 0);
    return fd;
}

static void pair(int fd[2])
{
    struct sockaddr_in in;
    int l = listener(&in);

    fd[0] = socket(AF_INET, SOCK_STREAM, 0);
    CHECK_EQ(connect(fd[0], (struct sockaddr *)&in, sizeof(in)), 0);
    fd[1] = accept(l, NULL, NULL);
    close(l);
}

static int ready(int fd, int events, int ms)
{
    struct pollfd p = {.fd = fd, .events = (short)events};

    return poll(&p, 1, ms);
}

/* Everything that comes, until size bytes are there. */
static void expect_bytes(int fd, const char *want, size_t size)
{
    char buf[64];
    size_t got = 0;

    while (got < size && ready(fd, POLLIN, -1) == 1) {
        ssize_t n = read(fd, buf + got, size - got);

        if (n <= 0)
            break;
        got += (size_t)n;
    }
    CHECK_EQ(got, size);
    CHECK(memcmp(buf, want, size) == 0);
}

TEST(refused_bytes_come_again)
{
    int fd[2];

    pair(fd);
    ATTACH(fd[1], g_nothing);
    CHECK_EQ(write(fd[0], "hello", 5), 5);
    CHECK_EQ(ready(fd[1], POLLIN, 100), 0);
    detach(fd[1]);
    expect_bytes(fd[1], "hello", 5);
    close(fd[0]);
    close(fd[1]);
}

TEST(what_is_behind_waits_too)
{
    int fd[2];

    pair(fd);
    ATTACH(fd[1], g_no_x);
    CHECK_EQ(write(fd[0], "ok", 2), 2);
    expect_bytes(fd[1], "ok", 2);
    CHECK_EQ(write(fd[0], "xx", 2), 2);
    CHECK_EQ(ready(fd[1], POLLIN, 100), 0);
    CHECK_EQ(write(fd[0], "yy", 2), 2);
    CHECK_EQ(ready(fd[1], POLLIN, 100), 0);
    ATTACH(fd[1], g_all);
    expect_bytes(fd[1], "xxyy", 4);
    close(fd[0]);
    close(fd[1]);
}

TEST(cut_segments_go_on)
{
    int fd[2];

    pair(fd);
    ATTACH(fd[1], g_three);
    CHECK_EQ(write(fd[0], "abcdefg", 7), 7);
    expect_bytes(fd[1], "abcdefg", 7);
    close(fd[0]);
    close(fd[1]);
}

TEST(many_cuts_and_an_end_behind_them)
{
    char out[300], in[300] = "", c;
    /* On Linux each cut waits until the rest is sent again. */
    const size_t size = test_in_sandbox() ? sizeof(out) : 15;
    size_t done = 0;
    ssize_t n;
    int fd[2];

    for (size_t i = 0; i < sizeof(out); i++)
        out[i] = (char)('a' + i % 23);
    pair(fd);
    ATTACH(fd[1], g_three);
    CHECK_EQ(write(fd[0], out, size), (ssize_t)size);
    close(fd[0]);
    while (done < size && ready(fd[1], POLLIN, -1) == 1 &&
           (n = read(fd[1], in + done, size - done)) > 0)
        done += (size_t)n;
    CHECK_EQ(done, size);
    CHECK_EQ(memcmp(in, out, size), 0);
    CHECK_EQ(read(fd[1], &c, 1), 0);
    close(fd[1]);
}

TEST(end_of_file_is_a_segment)
{
    char c;
    int fd[2];

    pair(fd);
    ATTACH(fd[1], g_nothing);
    CHECK_EQ(write(fd[0], "z", 1), 1);
    close(fd[0]);
    CHECK_EQ(ready(fd[1], POLLIN | POLLRDHUP, 100), 0);
    detach(fd[1]);
    expect_bytes(fd[1], "z", 1);
    CHECK_EQ(ready(fd[1], POLLIN, -1), 1);
    CHECK_EQ(read(fd[1], &c, 1), 0);
    close(fd[1]);
}

TEST(listener_asks_about_connections)
{
    struct sockaddr_in in;
    int l = listener(&in), c = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

    ATTACH(l, g_nothing);
    CHECK_ERR(connect(c, (struct sockaddr *)&in, sizeof(in)), EINPROGRESS);
    CHECK_EQ(ready(c, POLLOUT, 100), 0);
    CHECK_EQ(ready(l, POLLIN, 0), 0);
    detach(l);
    CHECK_EQ(ready(c, POLLOUT, -1), 1);
    CHECK_EQ(ready(l, POLLIN, -1), 1);
    close(c);
    close(l);
}

/* A connection has its listener's program. */
TEST(accepted_inherits)
{
    struct sock_filter got[16];
    struct sockaddr_in in;
    socklen_t len = 16;
    int l = listener(&in), c = socket(AF_INET, SOCK_STREAM, 0), s;

    ATTACH(l, g_no_x);
    CHECK_EQ(connect(c, (struct sockaddr *)&in, sizeof(in)), 0);
    s = accept(l, NULL, NULL);
    CHECK_EQ(getsockopt(s, SOL_SOCKET, SO_GET_FILTER, got, &len), 0);
    CHECK_EQ(len, 10);
    CHECK_EQ(write(c, "xyz", 3), 3);
    CHECK_EQ(ready(s, POLLIN, 100), 0);
    detach(s);
    expect_bytes(s, "xyz", 3);
    close(c);
    close(s);
    close(l);
}

GUEST_TEST_MAIN
