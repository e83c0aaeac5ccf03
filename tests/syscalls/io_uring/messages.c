/* SPDX-License-Identifier: Apache-2.0 */
/* io_uring: SENDMSG and RECVMSG that wait, go on, and repeat; multishot requests without room. */
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "tests/support/uring_test.h"

#define RING(entries)                                                                              \
    struct test_ring r;                                                                            \
    const char *why = ring_init(&r, (entries), 0);                                                 \
    if (why)                                                                                       \
    SKIP_ON_HOST(why)

enum { COUNT = 8, SIZE = 256, GROUP = 3 };

static char g_memory[COUNT][SIZE];

static void provide(struct test_ring *r, int count)
{
    ring_sqe(r, IORING_OP_PROVIDE_BUFFERS, count, g_memory, SIZE, 0, 100)->buf_group = GROUP;
    CHECK_EQ(ring_run(r, 100), 0);
}

static struct io_uring_sqe *from_group(struct io_uring_sqe *s)
{
    s->flags |= IOSQE_BUFFER_SELECT;
    s->buf_group = GROUP;
    return s;
}

/* The header and its vectors are read when the request is submitted: they may be gone when it ends. */
TEST(a_header_is_read_once)
{
    char a[4] = "", b[4] = "";
    struct iovec iov[2] = {{a, 3}, {b, 3}};
    struct msghdr m = {.msg_iov = iov, .msg_iovlen = 2};
    int s[2];
    RING(8);

    REQUIRE(socketpair(AF_UNIX, SOCK_DGRAM, 0, s) == 0);
    ring_sqe(&r, IORING_OP_RECVMSG, s[0], &m, 1, 0, 1);
    CHECK_EQ(ring_submit(&r, 0), 1);
    memset(iov, 0xff, sizeof(iov));
    m.msg_iov = NULL;
    m.msg_iovlen = 99;
    CHECK_EQ(send(s[1], "abcdef", 6, 0), 6);
    CHECK_EQ(ring_wait(&r).res, 6);
    CHECK_STR(a, "abc");
    CHECK_STR(b, "def");
    close(s[0]);
    close(s[1]);
    ring_end(&r);
}

TEST(receive_all_of_a_message)
{
    char a[3] = "", b[5] = "";
    struct iovec iov[2] = {{a, 2}, {b, 4}};
    struct msghdr m = {.msg_iov = iov, .msg_iovlen = 2};
    struct test_cqe c;
    int s[2];
    RING(8);

    REQUIRE(socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0);
    ring_sqe(&r, IORING_OP_RECVMSG, s[0], &m, 1, 0, 1)->msg_flags = MSG_WAITALL;
    CHECK_EQ(ring_submit(&r, 0), 1);
    CHECK_EQ(send(s[1], "abc", 3, 0), 3);
    CHECK_EQ(ring_enter(&r, 0, 0, IORING_ENTER_GETEVENTS), 0);
    CHECK(!ring_take(&r, &c));
    CHECK_EQ(send(s[1], "defgh", 5, 0), 5);
    CHECK_EQ(ring_wait(&r).res, 6);
    CHECK_STR(a, "ab");
    CHECK_STR(b, "cdef");
    close(s[0]);
    close(s[1]);
    ring_end(&r);
}

TEST(send_all_of_a_message)
{
    enum { ALL = 1 << 20 };
    char *data = malloc(ALL), *got = malloc(ALL);
    struct iovec iov[2] = {{data, ALL / 4}, {data + ALL / 4, ALL - ALL / 4}};
    struct msghdr m = {.msg_iov = iov, .msg_iovlen = 2};
    ssize_t total = 0, n;
    int s[2];
    RING(8);

    REQUIRE(data && got && socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0);
    for (int i = 0; i < ALL; i++)
        data[i] = (char)(i * 7 + i / 251);
    ring_sqe(&r, IORING_OP_SENDMSG, s[0], &m, 1, 0, 1)->msg_flags = MSG_WAITALL;
    CHECK_EQ(ring_submit(&r, 0), 1);
    while (total < ALL && (n = read(s[1], got + total, (size_t)(ALL - total))) > 0) {
        total += n;
        ring_enter(&r, 0, 0, IORING_ENTER_GETEVENTS);
    }
    CHECK_EQ(ring_wait(&r).res, ALL);
    CHECK_EQ(total, ALL);
    CHECK(!memcmp(data, got, ALL));
    close(s[0]);
    close(s[1]);
    free(data);
    free(got);
    ring_end(&r);
}

/* A UDP socket on lo that knows its own address. */
static int udp(struct sockaddr_in *out)
{
    socklen_t len = sizeof(*out);
    int s = socket(AF_INET, SOCK_DGRAM, 0);

    *out = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    CHECK_EQ(bind(s, (void *)out, len), 0);
    CHECK_EQ(getsockname(s, (void *)out, &len), 0);
    return s;
}

/* Each message has its own header in front, then the room for a name and for control messages. */
static void check_message(struct test_cqe c, const struct msghdr *m, const struct sockaddr_in *from,
                          const char *want)
{
    const size_t before = sizeof(struct io_uring_recvmsg_out) + m->msg_namelen + m->msg_controllen;
    struct io_uring_recvmsg_out *out;
    char *buf;

    CHECK(c.flags & IORING_CQE_F_MORE);
    REQUIRE(c.flags & IORING_CQE_F_BUFFER);
    CHECK_EQ(c.res, before + strlen(want));
    buf = g_memory[c.flags >> IORING_CQE_BUFFER_SHIFT];
    out = (void *)buf;
    CHECK_EQ(out->namelen, sizeof(*from));
    CHECK_EQ(out->controllen, CMSG_SPACE(sizeof(int)));
    CHECK_EQ(out->payloadlen, strlen(want));
    CHECK_EQ(out->flags & MSG_TRUNC, 0);
    CHECK(!memcmp(buf + sizeof(*out), from, sizeof(*from)));
    CHECK_EQ(((struct cmsghdr *)(void *)(buf + sizeof(*out) + m->msg_namelen))->cmsg_type, IP_TTL);
    CHECK(!memcmp(buf + before, want, strlen(want)));
}

TEST(receive_messages_again_and_again)
{
    struct msghdr m = {.msg_namelen = 32, .msg_controllen = CMSG_SPACE(sizeof(int))};
    struct sockaddr_in to, from;
    struct io_uring_sqe *s;
    struct test_cqe c;
    int x = udp(&to), y = udp(&from), on = 1;
    RING(8);

    CHECK_EQ(setsockopt(x, IPPROTO_IP, IP_RECVTTL, &on, sizeof(on)), 0);
    provide(&r, 2);
    s = from_group(ring_sqe(&r, IORING_OP_RECVMSG, x, &m, 1, 0, 1));
    s->ioprio = IORING_RECV_MULTISHOT;
    CHECK_EQ(ring_submit(&r, 0), 1);
    CHECK_EQ(sendto(y, "one", 3, 0, (void *)&to, sizeof(to)), 3);
    c = ring_wait(&r);
    if (c.res == -EINVAL)
        SKIP_ON_HOST("before Linux 6.0");
    check_message(c, &m, &from, "one");
    CHECK_EQ(sendto(y, "second", 6, 0, (void *)&to, sizeof(to)), 6);
    check_message(ring_wait(&r), &m, &from, "second");
    CHECK_EQ(sendto(y, "third", 5, 0, (void *)&to, sizeof(to)), 5);
    c = ring_wait(&r);
    CHECK_EQ(c.res, -ENOBUFS);
    CHECK_EQ(c.flags & IORING_CQE_F_MORE, 0);
    close(x);
    close(y);
    ring_end(&r);
}

TEST(what_a_multishot_receive_refuses)
{
    struct msghdr m = {.msg_namelen = SIZE};
    int s[2];
    RING(8);

    REQUIRE(socketpair(AF_UNIX, SOCK_DGRAM, 0, s) == 0);
    CHECK_EQ(send(s[1], "x", 1, 0), 1);
    provide(&r, 2);
    ring_sqe(&r, IORING_OP_RECVMSG, s[0], &m, 1, 0, 1)->ioprio = IORING_RECV_MULTISHOT;
    CHECK_EQ(ring_run(&r, 1), -EINVAL); /* no group */
    from_group(ring_sqe(&r, IORING_OP_RECVMSG, s[0], &m, 1, 0, 2))->ioprio = IORING_RECV_MULTISHOT;
    CHECK_EQ(ring_run(&r, 2), -EFAULT); /* no room for the name in the buffer */
    ring_sqe(&r, IORING_OP_SENDMSG, s[0], &m, 1, 0, 3)->ioprio = IORING_RECV_MULTISHOT;
    CHECK_EQ(ring_run(&r, 3), -EINVAL);
    close(s[0]);
    close(s[1]);
    ring_end(&r);
}

/* A request that repeats ends when the queue has no room for what it says, and says so. */
TEST(no_room_ends_a_multishot)
{
    struct test_cqe c = {0};
    unsigned count = 0;
    int s[2];
    RING(1);

    REQUIRE(socketpair(AF_UNIX, SOCK_DGRAM, 0, s) == 0);
    provide(&r, COUNT);
    from_group(ring_sqe(&r, IORING_OP_RECV, s[0], NULL, 0, 0, 1))->ioprio = IORING_RECV_MULTISHOT;
    CHECK_EQ(ring_submit(&r, 0), 1);
    for (int i = 0; i < COUNT - 1; i++)
        CHECK_EQ(send(s[1], "x", 1, 0), 1);
    WAIT_UNTIL(__atomic_load_n(r.sq_flags, __ATOMIC_RELAXED) & IORING_SQ_CQ_OVERFLOW);
    do {
        c = ring_wait(&r);
        CHECK_EQ(c.res, 1);
        count++;
    } while (c.res > 0 && (c.flags & IORING_CQE_F_MORE));
    CHECK_EQ(count, r.p.cq_entries + 1);
    CHECK(!ring_take(&r, &c));
    close(s[0]);
    close(s[1]);
    ring_end(&r);
}

GUEST_TEST_MAIN
