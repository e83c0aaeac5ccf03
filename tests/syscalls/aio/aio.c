/* SPDX-License-Identifier: Apache-2.0 */
/* io_setup(2), io_submit(2), io_getevents(2), io_pgetevents(2), io_cancel(2), io_destroy(2). */
#include <linux/aio_abi.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/uio.h>

#include "tests/support/guest_test.h"

#define REQUEST(op, file, buffer, size, at)                                                        \
    ((struct iocb){.aio_lio_opcode = (op),                                                         \
                   .aio_fildes = (unsigned)(file),                                                 \
                   .aio_buf = (uintptr_t)(buffer),                                                 \
                   .aio_nbytes = (size),                                                           \
                   .aio_offset = (at),                                                             \
                   .aio_data = 0x1122334455667788})

static struct timespec g_now = {0, 0};

struct ring {
    uint32_t id, nr, head, tail, magic, compat, incompat, header;
    struct io_event events[];
};

static aio_context_t setup(unsigned nr)
{
    aio_context_t c = 0;

    if (sysp(SYS_io_setup, nr, &c) < 0)
        return 0;
    return c;
}

static long submit(aio_context_t c, struct iocb *io)
{
    return sysp(SYS_io_submit, c, 1L, &io);
}

TEST(contexts)
{
    aio_context_t c = 0;
    char text[32] = "";
    long before;
    int fd;

    CHECK_ERR(sysp(SYS_io_setup, 0u, BAD_PTR), EFAULT);
    CHECK_ERR(sysp(SYS_io_setup, 0u, &c), EINVAL);
    CHECK_ERR(sysp(SYS_io_setup, 0x7fffffffu, &c), EINVAL);
    CHECK_ERR(sysp(SYS_io_setup, 3000000u, &c), EAGAIN);
    fd = open("/proc/sys/fs/aio-nr", O_RDONLY);
    CHECK(read(fd, text, sizeof(text) - 1) > 0);
    before = atol(text);
    CHECK_EQ(sysp(SYS_io_setup, 100u, &c), 0);
    CHECK(c != 0);
    CHECK_EQ(((struct ring *)c)->magic, 0xa10a10a1);
    CHECK_EQ(((struct ring *)c)->header, 32);
    CHECK(((struct ring *)c)->nr >= 200);
    CHECK(pread(fd, text, sizeof(text) - 1, 0) > 0);
    CHECK_EQ(atol(text), before + 100);
    CHECK_ERR(sysp(SYS_io_setup, 100u, &c), EINVAL);
    CHECK_EQ(sysp(SYS_io_destroy, c), 0);
    CHECK_ERR(sysp(SYS_io_destroy, c), EINVAL);
    CHECK_ERR(sysp(SYS_io_destroy, 0UL), EINVAL);
    CHECK_ERR(madvise((void *)c, 4096, MADV_NORMAL), ENOMEM); /* unmapped */
    CHECK(pread(fd, text, sizeof(text) - 1, 0) > 0);
    CHECK_EQ(atol(text), before);
    close(fd);
}

TEST(reads_and_writes)
{
    struct iovec v[2];
    struct io_event e[4];
    char buf[16] = "", a[3], b[3];
    aio_context_t c = setup(8);
    struct iocb io;
    int fd;

    REQUIRE(c);
    test_tmpdir();
    fd = open("f", O_CREAT | O_RDWR, 0600);
    io = REQUEST(IOCB_CMD_PWRITE, fd, "hello world", 11, 0);
    io.aio_key = 7;
    CHECK_EQ(submit(c, &io), 1);
    CHECK_EQ(io.aio_key, 0);
    CHECK_EQ(sysp(SYS_io_getevents, c, 1L, 4L, e, NULL), 1);
    CHECK_EQ(e[0].data, 0x1122334455667788);
    CHECK_EQ(e[0].obj, (uintptr_t)&io);
    CHECK_EQ(e[0].res, 11);
    CHECK_EQ(e[0].res2, 0);
    CHECK_EQ(lseek(fd, 0, SEEK_CUR), 0);
    io = REQUEST(IOCB_CMD_PREAD, fd, buf, 5, 6);
    CHECK_EQ(submit(c, &io), 1);
    v[0] = (struct iovec){a, 3};
    v[1] = (struct iovec){b, 3};
    io = REQUEST(IOCB_CMD_PREADV, fd, v, 2, 1);
    CHECK_EQ(submit(c, &io), 1);
    io = REQUEST(IOCB_CMD_FSYNC, fd, NULL, 0, 0);
    CHECK_EQ(submit(c, &io), 1);
    CHECK_EQ(sysp(SYS_io_getevents, c, 3L, 4L, e, NULL), 3);
    CHECK_EQ(e[0].res, 5);
    CHECK_STR(buf, "world");
    CHECK_EQ(e[1].res, 6);
    CHECK(!memcmp(a, "ell", 3) && !memcmp(b, "o w", 3));
    CHECK_EQ(e[2].res, 0);
    /* At the end, and into nothing: completions. */
    io = REQUEST(IOCB_CMD_PREAD, fd, buf, 5, 600);
    CHECK_EQ(submit(c, &io), 1);
    io = REQUEST(IOCB_CMD_PREAD, fd, BAD_PTR, 5, 0);
    CHECK_EQ(submit(c, &io), 1);
    CHECK_EQ(sysp(SYS_io_getevents, c, 2L, 2L, e, NULL), 2);
    CHECK_EQ(e[0].res, 0);
    CHECK_EQ(e[1].res, -EFAULT);
    close(fd);
    sys(SYS_io_destroy, c);
}

TEST(order_of_errors)
{
    aio_context_t c = setup(8);
    struct iocb io, *list[2] = {&io, BAD_PTR};
    struct io_event e[2];
    int fd, ro;

    REQUIRE(c);
    test_tmpdir();
    fd = open("f", O_CREAT | O_RDWR, 0600);
    ro = open("f", O_RDONLY);
    io = REQUEST(IOCB_CMD_PWRITE, fd, "x", 1, 0);
    CHECK_ERR(sysp(SYS_io_submit, 0UL, -1L, list), EINVAL);
    CHECK_ERR(sysp(SYS_io_submit, 1UL, 0L, list), EINVAL);
    CHECK_EQ(sysp(SYS_io_submit, c, 0L, BAD_PTR), 0);
    CHECK_ERR(sysp(SYS_io_submit, c, 1L, BAD_PTR), EFAULT);
    CHECK_EQ(sysp(SYS_io_submit, c, 2L, list), 1); /* the first one counts */
    CHECK_ERR(sysp(SYS_io_submit, c, 1L, list + 1), EFAULT);
    io.aio_fildes = 9999;
    CHECK_ERR(submit(c, &io), EBADF);
    io.aio_reserved2 = 1;
    CHECK_ERR(submit(c, &io), EINVAL);
    io = REQUEST(99, fd, "x", 1, 0);
    CHECK_ERR(submit(c, &io), EINVAL);
    io = REQUEST(IOCB_CMD_NOOP, fd, "x", 1, 0);
    CHECK_ERR(submit(c, &io), EINVAL);
    io = REQUEST(IOCB_CMD_PWRITE, ro, "x", 1, 0);
    CHECK_ERR(submit(c, &io), EBADF);
    io = REQUEST(IOCB_CMD_PWRITE, fd, "x", 1, -1);
    CHECK_ERR(submit(c, &io), EINVAL);
    io = REQUEST(IOCB_CMD_PWRITE, fd, "x", 1UL << 63, 0);
    CHECK_ERR(submit(c, &io), EINVAL);
    io = REQUEST(IOCB_CMD_PWRITE, fd, "x", 1, 0);
    io.aio_rw_flags = 1 << 20;
    CHECK_ERR(submit(c, &io), EOPNOTSUPP);
    io = REQUEST(IOCB_CMD_FSYNC, fd, "x", 0, 0);
    CHECK_ERR(submit(c, &io), EINVAL);
    io = REQUEST(IOCB_CMD_PWRITE, fd, "x", 1, 0);
    io.aio_flags = IOCB_FLAG_RESFD;
    io.aio_resfd = 9999;
    CHECK_ERR(submit(c, &io), EBADF);
    io.aio_resfd = (unsigned)fd;
    CHECK_ERR(submit(c, &io), EINVAL);
    io = REQUEST(IOCB_CMD_POLL, fd, 1UL << 16, 0, 0);
    CHECK_ERR(submit(c, &io), EINVAL);
    io = REQUEST(IOCB_CMD_POLL, fd, POLLIN, 1, 0);
    CHECK_ERR(submit(c, &io), EINVAL);
    CHECK_ERR(sysp(SYS_io_getevents, 0UL, 1L, 1L, e, BAD_PTR), EFAULT);
    CHECK_ERR(sysp(SYS_io_getevents, 0UL, 1L, 1L, e, NULL), EINVAL);
    CHECK_ERR(sysp(SYS_io_getevents, c, 2L, 1L, e, NULL), EINVAL);
    CHECK_ERR(sysp(SYS_io_getevents, c, -1L, 1L, e, NULL), EINVAL);
    CHECK_ERR(sysp(SYS_io_getevents, c, 1L, 1L, BAD_PTR, NULL), EFAULT);
    CHECK_EQ(sysp(SYS_io_getevents, c, 1L, 2L, e, NULL), 1); /* it is still there */
    CHECK_EQ(sysp(SYS_io_getevents, c, 0L, 2L, e, NULL), 0);
    CHECK_EQ(sysp(SYS_io_getevents, c, 1L, 2L, e, &g_now), 0);
    CHECK_ERR(sysp(SYS_io_cancel, c, BAD_PTR, e), EFAULT);
    io.aio_key = 1;
    CHECK_ERR(sysp(SYS_io_cancel, c, &io, e), EINVAL);
    io.aio_key = 0;
    CHECK_ERR(sysp(SYS_io_cancel, c, &io, e), EINVAL);
    close(fd);
    close(ro);
    sys(SYS_io_destroy, c);
}

TEST(polls)
{
    struct timespec some = {0, 30000000};
    aio_context_t c = setup(8);
    struct iocb io[3], *p[3] = {&io[0], &io[1], &io[2]};
    struct io_event e[4];
    int fd[2], ev = eventfd(0, 0);
    uint64_t count = 0;
    long long t0;

    REQUIRE(c && pipe(fd) == 0);
    io[0] = REQUEST(IOCB_CMD_POLL, fd[1], POLLOUT, 0, 0);
    io[1] = REQUEST(IOCB_CMD_POLL, fd[0], POLLIN, 0, 0);
    io[1].aio_flags = IOCB_FLAG_RESFD;
    io[1].aio_resfd = (unsigned)ev;
    io[2] = REQUEST(IOCB_CMD_POLL, fd[0], POLLPRI, 0, 0);
    CHECK_EQ(sysp(SYS_io_submit, c, 3L, p), 3);
    CHECK_EQ(sysp(SYS_io_getevents, c, 1L, 4L, e, NULL), 1);
    CHECK_EQ(e[0].obj, (uintptr_t)&io[0]);
    CHECK_EQ(e[0].res, POLLOUT);
    t0 = test_now_ms();
    CHECK_EQ(sysp(SYS_io_getevents, c, 1L, 4L, e, &some), 0);
    CHECK(test_now_ms() - t0 >= 28);
    CHECK_EQ(write(fd[1], "x", 1), 1);
    CHECK_EQ(sysp(SYS_io_getevents, c, 1L, 4L, e, NULL), 1);
    CHECK_EQ(e[0].obj, (uintptr_t)&io[1]);
    CHECK(e[0].res & POLLIN); /* Linux adds what the waker said */
    CHECK_EQ(read(ev, &count, 8), 8);
    CHECK_EQ(count, 1);
    CHECK_ERR(sysp(SYS_io_cancel, c, &io[2], e), EINPROGRESS);
    CHECK_EQ(sysp(SYS_io_getevents, c, 1L, 4L, e, NULL), 1);
    CHECK_EQ(e[0].obj, (uintptr_t)&io[2]);
    CHECK_EQ(e[0].res, 0);
    CHECK_ERR(sysp(SYS_io_cancel, c, &io[2], e), EINVAL);
    /* What waits does not outlive its context; an end of the pipe closes at last. */
    CHECK_EQ(sysp(SYS_io_submit, c, 1L, &p[2]), 1);
    CHECK_EQ(sysp(SYS_io_destroy, c), 0);
    close(fd[0]);
    signal(SIGPIPE, SIG_IGN);
    CHECK_ERR(write(fd[1], "x", 1), EPIPE);
    close(fd[1]);
    close(ev);
}

TEST(reaping_without_a_call)
{
    aio_context_t c = setup(4);
    struct ring *r = (struct ring *)c;
    struct iocb io;
    unsigned n;
    int fd;

    REQUIRE(c);
    test_tmpdir();
    fd = open("f", O_CREAT | O_RDWR, 0600);
    /* Several times around the ring. */
    for (unsigned i = 0; i < 3 * r->nr; i++) {
        uint32_t head = r->head;

        io = REQUEST(IOCB_CMD_PWRITE, fd, "x", 1, i);
        io.aio_data = i;
        if (submit(c, &io) != 1 || head == *(volatile uint32_t *)&r->tail ||
            r->events[head].data != i || r->events[head].res != 1) {
            CHECK(!"the event is in the ring");
            break;
        }
        *(volatile uint32_t *)&r->head = (head + 1) % r->nr;
    }
    /* A full ring takes no more. */
    for (n = 0; n < r->nr && submit(c, &io) == 1; n++)
        ;
    CHECK(n < r->nr && n > r->nr / 2); /* Linux keeps some in hand for each CPU */
    CHECK_ERR(submit(c, &io), EAGAIN);
    close(fd);
    sys(SYS_io_destroy, c);
}

static void nothing(int signo)
{
    (void)signo;
}

TEST(signals)
{
    struct sigaction sa = {.sa_handler = nothing};
    aio_context_t c = setup(4);
    struct io_event e;
    uint64_t mask = 0;
    struct {
        void *mask;
        size_t size;
    } set = {&mask, 8};
    sigset_t usr;
    pid_t pid;

    REQUIRE(c);
    sigaction(SIGUSR1, &sa, NULL);
    pid = test_signal_in(SYS_io_getevents, SIGUSR1);
    CHECK_ERR(sysp(SYS_io_getevents, c, 1L, 1L, &e, NULL), EINTR);
    waitpid(pid, NULL, 0);
    sigemptyset(&usr);
    sigaddset(&usr, SIGUSR1);
    sigprocmask(SIG_BLOCK, &usr, NULL);
    raise(SIGUSR1);
    CHECK_ERR(sysp(SYS_io_pgetevents, c, 1L, 1L, &e, NULL, &set), EINTR);
    set.size = 4;
    CHECK_ERR(sysp(SYS_io_pgetevents, c, 1L, 1L, &e, NULL, &set), EINVAL);
    CHECK_ERR(sysp(SYS_io_pgetevents, c, 1L, 1L, &e, NULL, BAD_PTR), EFAULT);
    CHECK_EQ(sysp(SYS_io_pgetevents, c, 1L, 1L, &e, &g_now, NULL), 0);
    sigprocmask(SIG_UNBLOCK, &usr, NULL);
    sys(SYS_io_destroy, c);
}

TEST(children_have_no_context)
{
    aio_context_t c = setup(4);
    struct io_event e;
    int status;

    REQUIRE(c);
    if (fork() == 0) /* the ring's memory came along */
        _exit(sysp(SYS_io_getevents, c, 0L, 1L, &e, &g_now) == -EINVAL &&
                      ((struct ring *)c)->magic == 0xa10a10a1
                  ? 0
                  : 1);
    wait(&status);
    CHECK_EQ(status, 0);
    sys(SYS_io_destroy, c);
}

GUEST_TEST_MAIN
