/* SPDX-License-Identifier: Apache-2.0 */
/* io_uring: setup, submission, completion, files and paths, registration, hostile rings. */
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/uio.h>

#include "tests/support/uring_test.h"

#define RING(entries)                                                                              \
    struct test_ring r;                                                                            \
    const char *why = ring_init(&r, (entries), 0);                                                 \
    if (why)                                                                                       \
    SKIP_ON_HOST(why)

TEST(setup_errors)
{
    struct io_uring_params p;
    RING(4);

    memset(&p, 0, sizeof(p));
    CHECK_ERR(sys(SYS_io_uring_setup, 4L, BAD_PTR), EFAULT);
    CHECK_ERR(sys(SYS_io_uring_setup, 0L, &p), EINVAL);
    CHECK_ERR(sys(SYS_io_uring_setup, 1000000L, &p), EINVAL);
    p.flags = 1u << 31;
    CHECK_ERR(sys(SYS_io_uring_setup, 4L, &p), EINVAL);
    p.flags = IORING_SETUP_CQSIZE;
    p.cq_entries = 2;
    CHECK_ERR(sys(SYS_io_uring_setup, 4L, &p), EINVAL);
    p.flags = 0;
    p.resv[0] = 1;
    CHECK_ERR(sys(SYS_io_uring_setup, 4L, &p), EINVAL);
    CHECK_EQ(r.p.sq_entries, 4);
    CHECK_EQ(r.p.cq_entries, 8);
    CHECK((r.p.features & IORING_FEAT_SINGLE_MMAP) != 0);
    CHECK((r.p.features & IORING_FEAT_NODROP) != 0);
    CHECK_ERR(sys(SYS_io_uring_enter, 1L, 0L, 0L, 0L, 0L, 0L), EOPNOTSUPP);
    CHECK_ERR(sys(SYS_io_uring_enter, 9999L, 0L, 0L, 0L, 0L, 0L), EBADF);
    CHECK_ERR(sys(SYS_io_uring_enter, r.fd, 0L, 0L, 0x80000000UL, 0L, 0L), EINVAL);
    CHECK_EQ(ring_enter(&r, 0, 0, 0), 0);
    ring_end(&r);
}

TEST(odd_sizes_are_rounded_and_clamped)
{
    struct test_ring r;
    const char *why = ring_init(&r, 5, 0);
    if (why)
        SKIP_ON_HOST(why);
    CHECK_EQ(r.p.sq_entries, 8);
    CHECK_EQ(r.p.cq_entries, 16);
    ring_end(&r);
    REQUIRE(!ring_init(&r, 100000, IORING_SETUP_CLAMP));
    CHECK_EQ(r.p.sq_entries, 32768);
    CHECK_EQ(r.p.cq_entries, 65536);
    ring_end(&r);
}

TEST(nop)
{
    RING(8);

    for (int i = 0; i < 8; i++)
        ring_sqe(&r, IORING_OP_NOP, -1, NULL, 0, 0, (uint64_t)i + 100);
    CHECK_EQ(ring_submit(&r, 8), 8);
    for (int i = 0; i < 8; i++) {
        struct test_cqe c = ring_wait(&r);

        CHECK_EQ(c.user_data, i + 100);
        CHECK_EQ(c.res, 0);
    }
    CHECK_EQ(*r.sq_head, *r.sq_tail);
    ring_end(&r);
}

TEST(files)
{
    char buf[32] = "", one[3], two[4];
    struct iovec v[2] = {{one, sizeof(one)}, {two, sizeof(two)}};
    int fd;
    RING(8);

    test_tmpdir();
    ring_sqe(&r, IORING_OP_OPENAT, AT_FDCWD, "f", 0600, 0, 1)->open_flags = O_RDWR | O_CREAT;
    fd = ring_run(&r, 1);
    CHECK(fd >= 0);
    ring_sqe(&r, IORING_OP_WRITE, fd, "hello world", 11, 0, 2);
    CHECK_EQ(ring_run(&r, 2), 11);
    ring_sqe(&r, IORING_OP_READ, fd, buf, sizeof(buf), 6, 3);
    CHECK_EQ(ring_run(&r, 3), 5);
    CHECK_STR(buf, "world");
    ring_sqe(&r, IORING_OP_READV, fd, v, 2, 0, 4);
    CHECK_EQ(ring_run(&r, 4), 7);
    CHECK(!memcmp(one, "hel", 3) && !memcmp(two, "lo w", 4));
    /* off -1: the position, which moves. */
    ring_sqe(&r, IORING_OP_READ, fd, buf, 5, (uint64_t)-1, 5);
    CHECK_EQ(ring_run(&r, 5), 5);
    CHECK_EQ(lseek(fd, 0, SEEK_CUR), 5);
    ring_sqe(&r, IORING_OP_FSYNC, fd, NULL, 0, 0, 6);
    CHECK_EQ(ring_run(&r, 6), 0);
    ring_sqe(&r, IORING_OP_FALLOCATE, fd, (void *)(uintptr_t)8192, 0, 0, 7);
    CHECK_EQ(ring_run(&r, 7), 0);
    CHECK_EQ(lseek(fd, 0, SEEK_END), 8192);
    ring_sqe(&r, IORING_OP_CLOSE, fd, NULL, 0, 0, 8);
    CHECK_EQ(ring_run(&r, 8), 0);
    CHECK_ERR(fcntl(fd, F_GETFD), EBADF);
    ring_sqe(&r, IORING_OP_READ, fd, buf, 5, 0, 9);
    CHECK_EQ(ring_run(&r, 9), -EBADF);
    ring_sqe(&r, IORING_OP_CLOSE, r.fd, NULL, 0, 0, 10);
    CHECK_EQ(ring_run(&r, 10), -EBADF);
    ring_end(&r);
}

TEST(paths)
{
    char stx[256];
    RING(8);

    test_tmpdir();
    memset(stx, 0, sizeof(stx));
    ring_sqe(&r, IORING_OP_MKDIRAT, AT_FDCWD, "d", 0700, 0, 1);
    CHECK_EQ(ring_run(&r, 1), 0);
    CHECK_EQ(access("d", F_OK), 0);
    ring_sqe(&r, IORING_OP_RENAMEAT, AT_FDCWD, "d", (unsigned)AT_FDCWD, (uintptr_t) "e", 2);
    CHECK_EQ(ring_run(&r, 2), 0);
    ring_sqe(&r, IORING_OP_STATX, AT_FDCWD, "e", 0x7ff, (uintptr_t)stx, 3);
    CHECK_EQ(ring_run(&r, 3), 0);
    CHECK_EQ(*(uint16_t *)(stx + 28) & S_IFMT, S_IFDIR);
    ring_sqe(&r, IORING_OP_UNLINKAT, AT_FDCWD, "e", 0, 0, 4);
    CHECK_EQ(ring_run(&r, 4), -EISDIR);
    ring_sqe(&r, IORING_OP_UNLINKAT, AT_FDCWD, "e", 0, 0, 5)->unlink_flags = AT_REMOVEDIR;
    CHECK_EQ(ring_run(&r, 5), 0);
    ring_sqe(&r, IORING_OP_SYMLINKAT, AT_FDCWD, "x", 0, (uintptr_t) "l", 6);
    CHECK_EQ(ring_run(&r, 6), 0);
    ring_sqe(&r, IORING_OP_OPENAT, AT_FDCWD, BAD_PTR, 0, 0, 7);
    CHECK_EQ(ring_run(&r, 7), -EFAULT);
    ring_end(&r);
}

TEST(bad_entries)
{
    RING(8);

    ring_sqe(&r, 200, -1, NULL, 0, 0, 1);
    CHECK_EQ(ring_run(&r, 1), -EINVAL);
    ring_sqe(&r, IORING_OP_NOP, -1, NULL, 0, 0, 2)->flags = 0x80;
    CHECK_EQ(ring_run(&r, 2), -EINVAL);
    ring_sqe(&r, IORING_OP_FSYNC, 0, NULL, 0, 0, 3)->fsync_flags = 77;
    CHECK_EQ(ring_run(&r, 3), -EINVAL);
    ring_sqe(&r, IORING_OP_READ, 0, NULL, 0, 0, 4)->flags = IOSQE_FIXED_FILE;
    CHECK_EQ(ring_run(&r, 4), -EBADF);
    ring_sqe(&r, IORING_OP_READ, -5, NULL, 0, 0, 5);
    CHECK_EQ(ring_run(&r, 5), -EBADF);
    ring_sqe(&r, IORING_OP_READ, -0x52554e, NULL, 0, 0, 6);
    CHECK_EQ(ring_run(&r, 6), -EBADF);
    ring_end(&r);
}

/* Submission stops at a bad entry unless IORING_SETUP_SUBMIT_ALL. */
TEST(submission_stops_at_a_bad_entry)
{
    RING(8);

    ring_sqe(&r, IORING_OP_NOP, -1, NULL, 0, 0, 1);
    ring_sqe(&r, 200, -1, NULL, 0, 0, 2);
    ring_sqe(&r, IORING_OP_NOP, -1, NULL, 0, 0, 3);
    CHECK_EQ(ring_submit(&r, 0), 2);
    CHECK_EQ(ring_wait(&r).res, 0);
    CHECK_EQ(ring_wait(&r).res, -EINVAL);
    CHECK_EQ(ring_enter(&r, 1, 1, IORING_ENTER_GETEVENTS), 1);
    CHECK_EQ(ring_wait(&r).user_data, 3);
    ring_end(&r);
}

TEST(overflow_keeps_completions)
{
    int seen = 0;
    struct test_cqe c;
    RING(4);

    for (int round = 0; round < 4; round++) {
        for (int i = 0; i < 4; i++)
            ring_sqe(&r, IORING_OP_NOP, -1, NULL, 0, 0, (uint64_t)(round * 4 + i));
        CHECK_EQ(ring_submit(&r, 0), 4);
    }
    CHECK((*r.sq_flags & IORING_SQ_CQ_OVERFLOW) != 0);
    for (int i = 0; i < 16; i++) {
        if (!ring_take(&r, &c)) {
            ring_enter(&r, 0, 1, IORING_ENTER_GETEVENTS);
            if (!ring_take(&r, &c))
                break;
        }
        CHECK_EQ(c.user_data, seen);
        seen++;
    }
    CHECK_EQ(seen, 16);
    CHECK_EQ(*r.cq_overflow, 0);
    CHECK((*r.sq_flags & IORING_SQ_CQ_OVERFLOW) == 0);
    ring_end(&r);
}

TEST(fixed_files_and_buffers)
{
    int fds[2] = {-1, -1}, fd;
    static char area[8192];
    struct iovec v = {area, sizeof(area)};
    RING(8);

    test_tmpdir();
    fd = open("f", O_RDWR | O_CREAT, 0600);
    fds[0] = fd;
    CHECK_ERR(sys(SYS_io_uring_register, r.fd, IORING_UNREGISTER_FILES, 0L, 0L), ENXIO);
    CHECK_EQ(sys(SYS_io_uring_register, r.fd, IORING_REGISTER_FILES, fds, 2L), 0);
    CHECK_ERR(sys(SYS_io_uring_register, r.fd, IORING_REGISTER_FILES, fds, 2L), EBUSY);
    close(fd);
    ring_sqe(&r, IORING_OP_WRITE, 0, "abc", 3, 0, 1)->flags = IOSQE_FIXED_FILE;
    CHECK_EQ(ring_run(&r, 1), 3);
    ring_sqe(&r, IORING_OP_WRITE, 1, "abc", 3, 0, 2)->flags = IOSQE_FIXED_FILE;
    CHECK_EQ(ring_run(&r, 2), -EBADF);
    CHECK_EQ(sys(SYS_io_uring_register, r.fd, IORING_REGISTER_BUFFERS, &v, 1L), 0);
    ring_sqe(&r, IORING_OP_READ_FIXED, 0, area + 100, 3, 0, 3)->flags = IOSQE_FIXED_FILE;
    CHECK_EQ(ring_run(&r, 3), 3);
    CHECK(!memcmp(area + 100, "abc", 3));
    ring_sqe(&r, IORING_OP_READ_FIXED, 0, area + 8190, 3, 0, 4)->flags = IOSQE_FIXED_FILE;
    CHECK_EQ(ring_run(&r, 4), -EFAULT);
    ring_sqe(&r, IORING_OP_READ_FIXED, 0, area, 3, 0, 5)->buf_index = 1;
    CHECK(ring_run(&r, 5) < 0);
    {
        struct io_uring_files_update u = {.offset = 0, .fds = (uintptr_t)&fds[1]};

        CHECK_EQ(sys(SYS_io_uring_register, r.fd, IORING_REGISTER_FILES_UPDATE, &u, 1L), 1);
    }
    ring_sqe(&r, IORING_OP_WRITE, 0, "abc", 3, 0, 6)->flags = IOSQE_FIXED_FILE;
    CHECK_EQ(ring_run(&r, 6), -EBADF);
    CHECK_EQ(sys(SYS_io_uring_register, r.fd, IORING_UNREGISTER_FILES, 0L, 0L), 0);
    CHECK_EQ(sys(SYS_io_uring_register, r.fd, IORING_UNREGISTER_BUFFERS, 0L, 0L), 0);
    ring_end(&r);
}

TEST(eventfd_and_poll_tell)
{
    int ev = eventfd(0, EFD_NONBLOCK);
    struct pollfd p;
    uint64_t n = 0;
    RING(8);

    p = (struct pollfd){.fd = r.fd, .events = POLLIN};
    CHECK_EQ(poll(&p, 1, 0), 0);
    CHECK_EQ(sys(SYS_io_uring_register, r.fd, IORING_REGISTER_EVENTFD, &ev, 1L), 0);
    CHECK_ERR(sys(SYS_io_uring_register, r.fd, IORING_REGISTER_EVENTFD, &ev, 1L), EBUSY);
    ring_sqe(&r, IORING_OP_NOP, -1, NULL, 0, 0, 1);
    CHECK_EQ(ring_submit(&r, 0), 1);
    CHECK_EQ(poll(&p, 1, -1), 1);
    CHECK_EQ(read(ev, &n, 8), 8);
    CHECK(n >= 1);
    CHECK_EQ(ring_wait(&r).res, 0);
    CHECK_EQ(poll(&p, 1, 0), 0);
    CHECK_EQ(sys(SYS_io_uring_register, r.fd, IORING_UNREGISTER_EVENTFD, 0L, 0L), 0);
    close(ev);
    ring_end(&r);
}

TEST(probe)
{
    struct io_uring_probe *p = calloc(1, sizeof(*p) + 64 * sizeof(p->ops[0]));
    RING(4);

    REQUIRE(p);
    CHECK_EQ(sys(SYS_io_uring_register, r.fd, IORING_REGISTER_PROBE, p, 64L), 0);
    CHECK(p->last_op >= IORING_OP_LINKAT);
    CHECK_EQ(p->ops[IORING_OP_READ].flags, IO_URING_OP_SUPPORTED);
    CHECK_ERR(sys(SYS_io_uring_register, r.fd, IORING_REGISTER_PROBE, p, 64L), EINVAL);
    free(p);
    CHECK_ERR(sys(SYS_io_uring_register, r.fd, 77L, 0L, 0L), EINVAL);
    ring_end(&r);
}

TEST(restrictions)
{
    struct io_uring_restriction res[2] = {
        {.opcode = IORING_RESTRICTION_SQE_OP, .sqe_op = IORING_OP_NOP},
        {.opcode = IORING_RESTRICTION_REGISTER_OP, .register_op = IORING_REGISTER_PROBE},
    };
    struct test_ring r;
    const char *why = ring_init(&r, 4, IORING_SETUP_R_DISABLED);
    if (why)
        SKIP_ON_HOST(why);
    CHECK_ERR(ring_enter(&r, 0, 0, 0), EBADFD);
    CHECK_EQ(sys(SYS_io_uring_register, r.fd, IORING_REGISTER_RESTRICTIONS, res, 2L), 0);
    CHECK_EQ(sys(SYS_io_uring_register, r.fd, IORING_REGISTER_ENABLE_RINGS, 0L, 0L), 0);
    CHECK_ERR(sys(SYS_io_uring_register, r.fd, IORING_REGISTER_EVENTFD, &r.fd, 1L), EACCES);
    ring_sqe(&r, IORING_OP_NOP, -1, NULL, 0, 0, 1);
    CHECK_EQ(ring_run(&r, 1), 0);
    ring_sqe(&r, IORING_OP_READ, 0, NULL, 0, 0, 2);
    CHECK_EQ(ring_run(&r, 2), -EACCES);
    ring_end(&r);
}

/* The rings are the guest's to scribble on: nothing worse than errors may come of it. */
TEST(scribbled_rings)
{
    unsigned seed = 12345;
    RING(8);

    for (int round = 0; round < 300; round++) {
        for (size_t i = 0; i < r.sqes_size; i++) {
            seed = seed * 1103515245u + 12345u;
            r.sqes_map[i] = (char)(seed >> 16);
        }
        for (unsigned i = 0; i < 8; i++) {
            seed = seed * 1103515245u + 12345u;
            r.sq_array[i] = seed >> 24;
            /* Only what ends by itself and does no harm here. */
            r.sqes[i].opcode = (uint8_t)(seed >> 8 & 1 ? IORING_OP_NOP : IORING_OP_FSYNC);
            r.sqes[i].fd = -1;
        }
        seed = seed * 1103515245u + 12345u;
        *r.sq_tail = seed;
        *r.cq_head = seed >> 3;
        ring_enter(&r, seed >> 5 & 0xff, 0, IORING_ENTER_GETEVENTS);
        *r.cq_tail = seed >> 7;
        *r.sq_head = seed >> 9;
    }
    ring_end(&r);
    CHECK(1);
}

GUEST_TEST_MAIN
