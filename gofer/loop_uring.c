/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The io_uring loop: one receive is always queued per live session; opens of what is not cached,
 * fsync and replies to full sockets are queued too, so that none of them delays the other requests.
 *
 * SAFETY: io_uring runs requests past the seccomp filter. The ring is made with registered
 * restrictions that allow four operations and no registration; the filter forbids a second ring.
 */
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "gofer/gofer_internal.h"
#include "platform/base/assert.h"

static int restrict_ring(struct io_uring *ring)
{
    static const uint8_t allowed[] = {IORING_OP_RECVMSG, IORING_OP_SENDMSG, IORING_OP_OPENAT2,
                                      IORING_OP_FSYNC};
    struct io_uring_restriction res[ARRAY_COUNT(allowed)];
    int ret;

    memset(res, 0, sizeof(res));
    for (size_t i = 0; i < ARRAY_COUNT(allowed); i++) {
        res[i].opcode = IORING_RESTRICTION_SQE_OP;
        res[i].sqe_op = allowed[i];
    }
    /* liburing's shared library does not export its two functions for this in all versions. */
    ret = (int)syscall(SYS_io_uring_register, ring->ring_fd, IORING_REGISTER_RESTRICTIONS, res,
                       ARRAY_COUNT(res));
    if (ret == 0)
        ret = (int)syscall(SYS_io_uring_register, ring->ring_fd, IORING_REGISTER_ENABLE_RINGS, NULL,
                           0);
    return ret < 0 ? -errno : 0;
}

static int uring_start(struct server *sv)
{
    static const unsigned flags[] = {
        IORING_SETUP_R_DISABLED | IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN,
        IORING_SETUP_R_DISABLED,
    };
    struct io_uring *ring = calloc(1, sizeof(*ring));
    unsigned entries = 16;
    int ret = -EINVAL;

    if (!ring)
        return -ENOMEM;
    while (entries < sv->op_count && entries < 4096)
        entries *= 2;
    for (size_t i = 0; i < ARRAY_COUNT(flags) && ret < 0; i++) {
        ret = io_uring_queue_init(entries, ring, flags[i]);
        if (ret < 0)
            continue;
        ret = restrict_ring(ring);
        if (ret < 0)
            io_uring_queue_exit(ring);
    }
    if (ret < 0) {
        free(ring);
        return ret;
    }
    sv->async_data = ring;
    return 0;
}

static void uring_stop(struct server *sv)
{
    io_uring_queue_exit(sv->async_data);
    free(sv->async_data);
}

static struct io_uring_sqe *sqe_get(struct op *op)
{
    struct io_uring *ring = op->session->server->async_data;
    struct io_uring_sqe *sqe = io_uring_get_sqe(ring);

    if (!sqe) {
        /* The queue holds as many entries as there are operations: submitting empties it. */
        (void)io_uring_submit(ring);
        sqe = io_uring_get_sqe(ring);
        ASSERT(sqe);
    }
    return sqe;
}

static void uring_open(struct op *op)
{
    struct io_uring_sqe *sqe = sqe_get(op);

    op->async_how = (struct open_how){
        .flags = O_PATH | O_NOFOLLOW | O_CLOEXEC,
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
    };
    op->io = OP_IO_OPEN;
    io_uring_prep_openat2(sqe, op->async_dirfd, op->async_name, &op->async_how);
    io_uring_sqe_set_data(sqe, op);
}

static void uring_sync(struct op *op)
{
    struct io_uring_sqe *sqe = sqe_get(op);

    op->io = OP_IO_SYNC;
    io_uring_prep_fsync(sqe, op->async_dirfd, op->async_data_only ? IORING_FSYNC_DATASYNC : 0);
    io_uring_sqe_set_data(sqe, op);
}

static void uring_send(struct op *op)
{
    struct io_uring_sqe *sqe = sqe_get(op);

    io_uring_prep_sendmsg(sqe, op->session->sock, &op->msg, MSG_NOSIGNAL);
    io_uring_sqe_set_data(sqe, op);
}

static void arm_sessions(struct server *sv)
{
    for (size_t i = 0; i < sv->session_count; i++) {
        struct session *s = &sv->sessions[i];
        struct io_uring_sqe *sqe;

        if (s->armed || s->state == SESSION_DEAD)
            continue;
        s->armed = server_op_get(s);
        if (!s->armed)
            return;
        op_prepare_recv(s->armed);
        sqe = sqe_get(s->armed);
        io_uring_prep_recvmsg(sqe, s->sock, &s->armed->msg, 0);
        io_uring_sqe_set_data(sqe, s->armed);
    }
}

static void completed(struct op *op, int result)
{
    switch (op->io) {
    case OP_IO_RECV:
        op->session->armed = NULL;
        if (result == -EINTR || result == -EAGAIN)
            server_op_put(op);
        else
            server_received(op, result);
        return;
    case OP_IO_SEND:
        if (result < 0)
            server_session_end(op->session, "the reply could not be sent", /*violation=*/false);
        server_op_put(op);
        return;
    case OP_IO_OPEN:
    case OP_IO_SYNC:
        op->resume(op, result);
        return;
    case OP_IO_NONE:
        break;
    }
    UNREACHABLE();
}

static int uring_run(struct server *sv)
{
    struct io_uring *ring = sv->async_data;

    arm_sessions(sv);
    while (sv->alive > 0 || sv->ops_busy > 0) {
        struct io_uring_cqe *cqe;
        int ret = io_uring_submit_and_wait(ring, 1);

        if (ret < 0 && ret != -EINTR && ret != -EAGAIN && ret != -EBUSY)
            return ret;
        while (io_uring_peek_cqe(ring, &cqe) == 0) {
            struct op *op = io_uring_cqe_get_data(cqe);
            int result = cqe->res;

            io_uring_cqe_seen(ring, cqe);
            completed(op, result);
        }
        arm_sessions(sv);
    }
    return 0;
}

const struct gofer_async g_gofer_uring = {
    .name = "io_uring",
    .start = uring_start,
    .run = uring_run,
    .open = uring_open,
    .sync = uring_sync,
    .send = uring_send,
    .stop = uring_stop,
};
