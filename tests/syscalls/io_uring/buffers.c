/* SPDX-License-Identifier: Apache-2.0 */
/* io_uring: buffers that are provided, multishot receive, fixed files that are made by requests, messages
 * between rings. */
#include <sys/socket.h>
#include <sys/un.h>

#include "tests/support/uring_test.h"

#define RING(entries)                                                                              \
    struct test_ring r;                                                                            \
    const char *why = ring_init(&r, (entries), 0);                                                 \
    if (why)                                                                                       \
    SKIP_ON_HOST(why)

enum { COUNT = 4, SIZE = 64, GROUP = 7 };

static char g_memory[COUNT][SIZE];

static struct io_uring_sqe *provide(struct test_ring *r, int count, int first)
{
    struct io_uring_sqe *s =
        ring_sqe(r, IORING_OP_PROVIDE_BUFFERS, count, g_memory[first], SIZE, (uint64_t)first, 100);

    s->buf_group = GROUP;
    return s;
}

static struct io_uring_sqe *select_buffer(struct io_uring_sqe *s)
{
    s->flags |= IOSQE_BUFFER_SELECT;
    s->buf_group = GROUP;
    return s;
}

static int buffer_of(struct test_cqe c)
{
    CHECK(c.flags & IORING_CQE_F_BUFFER);
    return (int)(c.flags >> IORING_CQE_BUFFER_SHIFT);
}

TEST(provided_one_by_one)
{
    struct test_cqe c;
    int p[2];
    RING(8);

    REQUIRE(pipe(p) == 0);
    select_buffer(ring_sqe(&r, IORING_OP_READ, p[0], NULL, SIZE, 0, 1));
    CHECK_EQ(ring_run(&r, 1), -ENOBUFS);
    provide(&r, COUNT, 0);
    CHECK_EQ(ring_run(&r, 100), 0);
    /* It waits for the pipe without a buffer, and has one when there is something. */
    select_buffer(ring_sqe(&r, IORING_OP_READ, p[0], NULL, SIZE, 0, 2));
    CHECK_EQ(ring_submit(&r, 0), 1);
    CHECK_EQ(write(p[1], "first", 5), 5);
    c = ring_wait(&r);
    CHECK_EQ(c.user_data, 2);
    CHECK_EQ(c.res, 5);
    CHECK(!memcmp(g_memory[buffer_of(c)], "first", 5));
    CHECK_EQ(write(p[1], "second", 6), 6);
    select_buffer(ring_sqe(&r, IORING_OP_READ, p[0], NULL, 3, 0, 3));
    CHECK_EQ(ring_submit(&r, 0), 1);
    c = ring_wait(&r);
    CHECK_EQ(c.res, 3);
    CHECK(!memcmp(g_memory[buffer_of(c)], "sec", 3));
    ring_sqe(&r, IORING_OP_REMOVE_BUFFERS, 10, NULL, 0, 0, 4)->buf_group = GROUP;
    CHECK_EQ(ring_run(&r, 4), COUNT - 2);
    select_buffer(ring_sqe(&r, IORING_OP_READ, p[0], NULL, 3, 0, 5));
    CHECK_EQ(ring_run(&r, 5), -ENOBUFS);
    close(p[0]);
    close(p[1]);
    ring_end(&r);
}

TEST(provide_refuses)
{
    RING(8);

    provide(&r, 0, 0);
    CHECK_EQ(ring_run(&r, 100), -E2BIG);
    provide(&r, 70000, 0);
    CHECK_EQ(ring_run(&r, 100), -E2BIG);
    provide(&r, 1, 0)->off = 70000;
    CHECK_EQ(ring_run(&r, 100), -E2BIG);
    provide(&r, 1, 0)->rw_flags = 1;
    CHECK_EQ(ring_run(&r, 100), -EINVAL);
    ring_sqe(&r, IORING_OP_REMOVE_BUFFERS, 1, NULL, 0, 0, 4)->buf_group = 99;
    CHECK_EQ(ring_run(&r, 4), -ENOENT);
    /* An operation that puts nothing into a buffer. */
    select_buffer(ring_sqe(&r, IORING_OP_NOP, -1, NULL, 0, 0, 5));
    CHECK_EQ(ring_run(&r, 5), -EOPNOTSUPP);
    ring_end(&r);
}

static struct io_uring_buf_ring *g_ring;

static long register_ring(struct test_ring *r, int entries)
{
    struct io_uring_buf_reg reg = {
        .ring_addr = (uintptr_t)g_ring, .ring_entries = (uint32_t)entries, .bgid = GROUP};

    return sys(SYS_io_uring_register, r->fd, IORING_REGISTER_PBUF_RING, &reg, 1);
}

static void add_to_ring(int id)
{
    struct io_uring_buf *b = &g_ring->bufs[g_ring->tail & (COUNT - 1)];

    b->addr = (uintptr_t)g_memory[id];
    b->len = SIZE;
    b->bid = (uint16_t)id;
    __atomic_store_n(&g_ring->tail, (uint16_t)(g_ring->tail + 1), __ATOMIC_RELEASE);
}

static bool new_ring(struct test_ring *r)
{
    g_ring = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return register_ring(r, COUNT) == 0;
}

TEST(ring_refuses)
{
    struct io_uring_buf_reg reg = {.bgid = 99};
    RING(8);

    if (!new_ring(&r))
        SKIP_ON_HOST("rings of buffers are Linux 5.19's");
    CHECK_ERR(register_ring(&r, COUNT), EEXIST);
    CHECK_ERR(sys(SYS_io_uring_register, r.fd, IORING_UNREGISTER_PBUF_RING, &reg, 1), ENOENT);
    CHECK_ERR(sys(SYS_io_uring_register, r.fd, IORING_REGISTER_PBUF_RING, &reg, 2), EINVAL);
    reg.ring_addr = (uintptr_t)g_ring;
    CHECK_ERR(sys(SYS_io_uring_register, r.fd, IORING_REGISTER_PBUF_RING, &reg, 1), EINVAL);
    reg.ring_entries = 3;
    CHECK_ERR(sys(SYS_io_uring_register, r.fd, IORING_REGISTER_PBUF_RING, &reg, 1), EINVAL);
    reg.ring_entries = 65536;
    CHECK_ERR(sys(SYS_io_uring_register, r.fd, IORING_REGISTER_PBUF_RING, &reg, 1), EINVAL);
    reg.ring_entries = 4;
    reg.resv[0] = 1;
    CHECK_ERR(sys(SYS_io_uring_register, r.fd, IORING_REGISTER_PBUF_RING, &reg, 1), EINVAL);
    CHECK_ERR(sys(SYS_io_uring_register, r.fd, IORING_REGISTER_PBUF_RING, BAD_PTR, 1), EFAULT);
    /* What is in a ring is not provided one by one. */
    provide(&r, 1, 0);
    CHECK_EQ(ring_run(&r, 100), -EINVAL);
    reg = (struct io_uring_buf_reg){.bgid = GROUP};
    CHECK_EQ(sys(SYS_io_uring_register, r.fd, IORING_UNREGISTER_PBUF_RING, &reg, 1), 0);
    CHECK_ERR(sys(SYS_io_uring_register, r.fd, IORING_UNREGISTER_PBUF_RING, &reg, 1), ENOENT);
    munmap(g_ring, 4096);
    ring_end(&r);
}

TEST(receive_into_a_ring)
{
    struct test_cqe c;
    int s[2];
    RING(8);

    if (!new_ring(&r))
        SKIP_ON_HOST("rings of buffers are Linux 5.19's");
    REQUIRE(socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0);
    add_to_ring(2);
    add_to_ring(1);
    for (int i = 0; i < 2; i++) {
        select_buffer(ring_sqe(&r, IORING_OP_RECV, s[0], NULL, 0, 0, (uint64_t)i));
        CHECK_EQ(ring_submit(&r, 0), 1);
        CHECK(!ring_take(&r, &c));
        CHECK_EQ(send(s[1], "hello", 5, 0), 5);
        c = ring_wait(&r);
        CHECK_EQ(c.res, 5);
        CHECK_EQ(buffer_of(c), 2 - i);
        CHECK(!memcmp(g_memory[2 - i], "hello", 5));
    }
    select_buffer(ring_sqe(&r, IORING_OP_RECV, s[0], NULL, 0, 0, 9));
    CHECK_EQ(send(s[1], "hello", 5, 0), 5);
    CHECK_EQ(ring_run(&r, 9), -ENOBUFS);
    close(s[0]);
    close(s[1]);
    munmap(g_ring, 4096);
    ring_end(&r);
}

TEST(messages_into_provided_buffers)
{
    struct iovec v = {NULL, 3}, two[2] = {{NULL, 3}, {NULL, 3}};
    struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1};
    struct test_cqe c;
    int s[2];
    RING(8);

    REQUIRE(socketpair(AF_UNIX, SOCK_DGRAM, 0, s) == 0);
    provide(&r, 3, 0);
    CHECK_EQ(ring_run(&r, 100), 0);
    for (int i = 0; i < 2; i++) {
        select_buffer(ring_sqe(&r, IORING_OP_RECVMSG, s[0], &m, 1, 0, 1));
        CHECK_EQ(ring_submit(&r, 0), 1);
        CHECK_EQ(send(s[1], "hello", 5, 0), 5);
        c = ring_wait(&r);
        CHECK_EQ(c.res, i ? 5 : 3);
        CHECK(!memcmp(g_memory[buffer_of(c)], "hello", (size_t)c.res));
        CHECK_EQ(!!(m.msg_flags & MSG_TRUNC), !i);
        m = (struct msghdr){.msg_iovlen = 0}; /* as long as the buffer */
    }
    m = (struct msghdr){.msg_iov = two, .msg_iovlen = 2};
    select_buffer(ring_sqe(&r, IORING_OP_RECVMSG, s[0], &m, 1, 0, 2));
    CHECK_EQ(ring_run(&r, 2), -EINVAL);
    close(s[0]);
    close(s[1]);
    ring_end(&r);
}

/* A full ring of buffers, and sockets. */
static bool new_pair(struct test_ring *r, int type, int s[2])
{
    if (!new_ring(r))
        return false;
    for (int i = 0; i < COUNT; i++)
        add_to_ring(i);
    return CHECK(socketpair(AF_UNIX, type, 0, s) == 0);
}

static struct io_uring_sqe *multishot(struct test_ring *r, int fd, uint64_t user_data)
{
    struct io_uring_sqe *s = select_buffer(ring_sqe(r, IORING_OP_RECV, fd, NULL, 0, 0, user_data));

    s->ioprio = IORING_RECV_MULTISHOT;
    return s;
}

TEST(multishot_receive)
{
    struct test_cqe c;
    int s[2];
    RING(8);

    if (!new_pair(&r, SOCK_DGRAM, s))
        SKIP_ON_HOST("rings of buffers are Linux 5.19's");
    multishot(&r, s[0], 1);
    CHECK_EQ(ring_submit(&r, 0), 1);
    for (int i = 0; i < COUNT; i++) {
        CHECK_EQ(send(s[1], "hello", (size_t)i + 1, 0), i + 1);
        c = ring_wait(&r);
        CHECK_EQ(c.user_data, 1);
        CHECK_EQ(c.res, i + 1);
        CHECK_EQ(buffer_of(c), i);
        CHECK(c.flags & IORING_CQE_F_MORE);
    }
    /* No buffer is left: it ends. */
    CHECK_EQ(send(s[1], "hello", 5, 0), 5);
    c = ring_wait(&r);
    CHECK_EQ(c.user_data, 1);
    CHECK_EQ(c.res, -ENOBUFS);
    CHECK(!(c.flags & IORING_CQE_F_MORE));
    /* What was there when it began comes at once. */
    CHECK_EQ(send(s[1], "x", 1, 0), 1);
    add_to_ring(3);
    add_to_ring(2);
    multishot(&r, s[0], 2);
    CHECK_EQ(ring_submit(&r, 0), 1);
    c = ring_wait(&r);
    CHECK_EQ(c.res, 5);
    CHECK_EQ(buffer_of(c), 3);
    c = ring_wait(&r);
    CHECK_EQ(c.res, 1);
    CHECK_EQ(buffer_of(c), 2);
    close(s[0]);
    close(s[1]);
    munmap(g_ring, 4096);
    ring_end(&r);
}

TEST(multishot_ends_with_the_stream)
{
    struct test_cqe c;
    int s[2];
    RING(8);

    if (!new_pair(&r, SOCK_STREAM, s))
        SKIP_ON_HOST("rings of buffers are Linux 5.19's");
    multishot(&r, s[0], 1);
    CHECK_EQ(ring_submit(&r, 0), 1);
    close(s[1]);
    c = ring_wait(&r);
    CHECK_EQ(c.res, 0);
    CHECK(!(c.flags & IORING_CQE_F_MORE));
    close(s[0]);
    munmap(g_ring, 4096);
    ring_end(&r);
}

TEST(multishot_refuses)
{
    int s[2];
    RING(8);

    if (!new_ring(&r))
        SKIP_ON_HOST("rings of buffers are Linux 5.19's");
    REQUIRE(socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0);
    ring_sqe(&r, IORING_OP_RECV, s[0], g_memory, SIZE, 0, 1)->ioprio = IORING_RECV_MULTISHOT;
    CHECK_EQ(ring_run(&r, 1), -EINVAL);
    multishot(&r, s[0], 2)->msg_flags = MSG_WAITALL;
    CHECK_EQ(ring_run(&r, 2), -EINVAL);
    ring_sqe(&r, IORING_OP_RECV, s[0], g_memory, SIZE, 0, 4)->ioprio = 0x100;
    CHECK_EQ(ring_run(&r, 4), -EINVAL);
    close(s[0]);
    close(s[1]);
    munmap(g_ring, 4096);
    ring_end(&r);
}

/* More connections than one turn takes. */
TEST(multishot_accept)
{
    enum { CONNECTIONS = 70 };
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    int srv = socket(AF_UNIX, SOCK_STREAM, 0), cli[CONNECTIONS], made[CONNECTIONS];
    struct test_cqe c;
    RING(128);

    snprintf(a.sun_path, sizeof(a.sun_path), "%s/accept", test_tmpdir());
    REQUIRE(bind(srv, (void *)&a, sizeof(a)) == 0 && listen(srv, CONNECTIONS) == 0);
    for (int i = 0; i < CONNECTIONS; i++) {
        cli[i] = socket(AF_UNIX, SOCK_STREAM, 0);
        REQUIRE(connect(cli[i], (void *)&a, sizeof(a)) == 0);
    }
    ring_sqe(&r, IORING_OP_ACCEPT, srv, NULL, 0, 0, 1)->ioprio = IORING_ACCEPT_MULTISHOT;
    CHECK_EQ(ring_submit(&r, 0), 1);
    for (int i = 0; i < CONNECTIONS; i++) {
        c = ring_wait(&r);
        made[i] = c.res;
        REQUIRE(c.user_data == 1 && c.res >= 0 && (c.flags & IORING_CQE_F_MORE));
    }
    for (int i = 0; i < CONNECTIONS; i++) {
        CHECK_EQ(write(cli[i], "x", 1), 1);
        close(cli[i]);
        close(made[i]);
    }
    close(srv);
    unlink(a.sun_path);
    ring_end(&r);
}

/* Whatever is provided, the sandbox has its limits; Linux's is memory. */
TEST(many_provided)
{
    enum { GROUPS = 40, EACH = 65535 };
    int refused = 0;
    RING(8);

    for (int i = 0; i < GROUPS; i++) {
        long ret;

        ring_sqe(&r, IORING_OP_PROVIDE_BUFFERS, EACH, g_memory, 1, 0, 1)->buf_group = (uint16_t)i;
        ret = ring_run(&r, 1);
        CHECK(ret == 0 || ret == -ENOMEM);
        refused += ret != 0;
    }
    CHECK(refused < GROUPS);
    CHECK(!test_in_sandbox() || refused);
    for (int i = 0; i < GROUPS; i++) {
        ring_sqe(&r, IORING_OP_REMOVE_BUFFERS, EACH, NULL, 0, 0, 2)->buf_group = (uint16_t)i;
        CHECK(ring_run(&r, 2) == (i < GROUPS - refused ? EACH : 0));
    }
    ring_end(&r);
}

static long sparse(struct test_ring *r, unsigned count)
{
    struct io_uring_rsrc_register reg = {.nr = count, .flags = IORING_RSRC_REGISTER_SPARSE};

    return sys(SYS_io_uring_register, r->fd, IORING_REGISTER_FILES2, &reg, sizeof(reg));
}

TEST(fixed_files_made_by_requests)
{
    int first = open("/dev/null", O_RDONLY);
    char buf[8];
    RING(8);

    close(first);
    ring_sqe(&r, IORING_OP_OPENAT, AT_FDCWD, "/dev/zero", 0, 0, 1)->file_index = 1;
    CHECK_EQ(ring_run(&r, 1), -ENXIO);
    if (sparse(&r, 2) < 0)
        SKIP_ON_HOST("sparse tables of files are Linux 5.19's");
    CHECK_ERR(sparse(&r, 2), EBUSY);
    ring_sqe(&r, IORING_OP_OPENAT, AT_FDCWD, "/dev/zero", 0, 0, 1)->file_index = 1;
    CHECK_EQ(ring_run(&r, 1), 0);
    ring_sqe(&r, IORING_OP_OPENAT, AT_FDCWD, "/dev/zero", 0, 0, 1)->file_index = 3;
    CHECK_EQ(ring_run(&r, 1), -EINVAL);
    ring_sqe(&r, IORING_OP_OPENAT, AT_FDCWD, "/dev/zero", 0, 0, 2)->file_index = ~0u;
    CHECK_EQ(ring_run(&r, 2), 1);
    ring_sqe(&r, IORING_OP_SOCKET, AF_UNIX, NULL, 0, SOCK_STREAM, 2)->file_index = ~0u;
    CHECK_EQ(ring_run(&r, 2), -ENFILE);
    ring_sqe(&r, IORING_OP_READ, 1, buf, sizeof(buf), 0, 3)->flags = IOSQE_FIXED_FILE;
    CHECK_EQ(ring_run(&r, 3), sizeof(buf));
    ring_sqe(&r, IORING_OP_CLOSE, 0, NULL, 0, 0, 4)->file_index = 2;
    CHECK_EQ(ring_run(&r, 4), 0);
    ring_sqe(&r, IORING_OP_CLOSE, 0, NULL, 0, 0, 4)->file_index = 2;
    CHECK_EQ(ring_run(&r, 4), -EBADF);
    ring_sqe(&r, IORING_OP_READ, 1, buf, sizeof(buf), 0, 3)->flags = IOSQE_FIXED_FILE;
    CHECK_EQ(ring_run(&r, 3), -EBADF);
    ring_sqe(&r, IORING_OP_SOCKET, AF_UNIX, NULL, 0, SOCK_STREAM, 5)->file_index = ~0u;
    CHECK_EQ(ring_run(&r, 5), 1);
    /* No descriptor was made. */
    CHECK_EQ(first == r.fd ? first + 1 : first, open("/dev/null", O_RDONLY));
    ring_end(&r);
}

TEST(messages_between_rings)
{
    struct test_cqe c;
    struct test_ring other;
    RING(8);

    REQUIRE(ring_init(&other, 8, 0) == NULL);
    ring_sqe(&r, IORING_OP_MSG_RING, other.fd, NULL, 42, 4711, 1);
    CHECK_EQ(ring_run(&r, 1), 0);
    c = ring_wait(&other);
    CHECK_EQ(c.user_data, 4711);
    CHECK_EQ(c.res, 42);
    ring_sqe(&r, IORING_OP_MSG_RING, 1, NULL, 42, 4711, 2);
    CHECK_EQ(ring_run(&r, 2), -EBADFD);
    ring_end(&other);
    ring_end(&r);
}

GUEST_TEST_MAIN
