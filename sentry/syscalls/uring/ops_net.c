/* SPDX-License-Identifier: Apache-2.0 */
/* Operations on sockets and, for MSG_RING, on other rings; see ops.c. */
#include <errno.h>

#include "gen/syscall_protos.h"
#include "sentry/abi/fcntl.h"
#include "sentry/abi/socket.h"
#include "sentry/net/sock.h"
#include "sentry/syscalls/socket_internal.h"
#include "sentry/syscalls/uring/uring_internal.h"

enum { MULTISHOT_AT_ONCE = 32 };

long uring_accept(struct ureq *q)
{
    long ret;

    if (q->sqe.len || (q->sqe.ioprio & ~LX_IORING_ACCEPT_MULTISHOT))
        return -EINVAL;
    if (q->sqe.splice_fd_in &&
        ((q->sqe.op_flags & LX_O_CLOEXEC) ||
         (q->sqe.ioprio && (uint32_t)q->sqe.splice_fd_in != LX_IORING_FILE_INDEX_ALLOC)))
        return -EINVAL;
    for (int i = 0; i < MULTISHOT_AT_ONCE; i++) {
        ret = sys_accept4(q->task, FD_OF_REQUEST, q->sqe.addr, q->sqe.off, (int)q->sqe.op_flags);
        ret = uring_to_slot(q, ret);
        if (ret < 0 || !q->sqe.ioprio || atomic_load(&q->cancel) ||
            !ureq_post_more(q, (int32_t)ret, 0))
            return ret;
        q->tries = 0;
    }
    return -EAGAIN; /* others' turn; it is ready and goes on at once */
}

long uring_connect(struct ureq *q)
{
    struct sock *sk;
    long ret;

    if (q->sqe.len || q->sqe.op_flags)
        return -EINVAL;
    ret = socket_from_file(q->file, &sk);
    if (ret < 0)
        return ret;
    if (q->in_progress)
        return file_poll(q->file) & (WAKE_OUT | WAKE_ERR | WAKE_HUP) ? sock_take_error(sk)
                                                                     : -EAGAIN;
    ret = sys_connect(q->task, FD_OF_REQUEST, q->sqe.addr, (int)q->sqe.off);
    if (ret == -EINPROGRESS && !uring_op_nonblock(q)) {
        q->in_progress = true;
        ret = -EAGAIN;
    }
    return ret;
}

/* MSG_WAITALL on a stream: what was not transferred yet of size bytes waits for its turn. ret: this
 * turn's result. */
static long go_on(struct ureq *q, long ret, size_t size)
{
    struct sock *sk;

    if (ret > 0)
        q->done += (uint32_t)ret;
    if (ret > 0 && (q->sqe.op_flags & LX_MSG_WAITALL) && q->done < size &&
        socket_from_file(q->file, &sk) == 0 && sk->type == LX_SOCK_STREAM) {
        q->tries = 0;
        return -EAGAIN;
    }
    return q->done && ret != -EAGAIN ? (long)q->done : ret;
}

/* Linux: no request raises SIGPIPE. */
static uint32_t send_flags(const struct ureq *q)
{
    return q->sqe.op_flags | LX_MSG_NOSIGNAL;
}

long uring_send(struct ureq *q)
{
    return go_on(q,
                 socket_sendto(FD_OF_REQUEST, q->sqe.addr + q->done, q->sqe.len - q->done,
                               send_flags(q), q->to),
                 q->sqe.len);
}

static int take_msg(struct ureq *q)
{
    return q->msg ? 0 : socket_msg_in(q->sqe.addr, &q->msg);
}

long uring_sendmsg(struct ureq *q)
{
    long ret = take_msg(q);

    if (ret < 0)
        return ret;
    return go_on(q, socket_sendmsg(FD_OF_REQUEST, q->msg, q->done, send_flags(q)), q->msg->size);
}

static long recv_once(struct ureq *q)
{
    return sys_recvfrom(q->task, FD_OF_REQUEST, uring_buffer_addr(q), uring_buffer_len(q),
                        q->sqe.op_flags, 0, 0);
}

static long recvmsg_out_once(struct ureq *q)
{
    return socket_recvmsg_out(FD_OF_REQUEST, q->msg, q->sqe.op_flags,
                              (struct lx_iovec){q->pick.addr, q->pick.len}, &q->last);
}

/* ---- zero-copy ------------------------------------------------------------------------------- */

/* The bytes are copied, as Linux copies what goes over lo: what is left of it is that the end is told
 * twice (uring_op_tells_twice). */

static int zc_prepare(const struct ureq *q)
{
    const struct lx_io_uring_sqe *s = &q->sqe;

    if (s->addr3 || s->pad || (s->flags & LX_IOSQE_CQE_SKIP_SUCCESS))
        return -EINVAL;
    if (!(s->ioprio & LX_IORING_RECVSEND_FIXED_BUF))
        return 0;
    return s->opcode == LX_IORING_OP_SENDMSG_ZC ? -EINVAL : uring_check_fixed_buffer(q);
}

int uring_send_prepare(struct ureq *q)
{
    const uint32_t zc_flags = LX_IORING_RECVSEND_FIXED_BUF | LX_IORING_SEND_ZC_REPORT_USAGE;
    const struct lx_io_uring_sqe *s = &q->sqe;
    bool zc = s->opcode == LX_IORING_OP_SEND_ZC || s->opcode == LX_IORING_OP_SENDMSG_ZC;
    bool message = s->opcode == LX_IORING_OP_SENDMSG || s->opcode == LX_IORING_OP_SENDMSG_ZC;
    int ret;

    if (s->ioprio & ~(LX_IORING_RECVSEND_POLL_FIRST | (zc ? zc_flags : 0)))
        return -EINVAL;
    /* Lower half: the length of an address, upper half: padding. */
    if (message ? s->off != 0 : ((uint32_t)s->splice_fd_in >> 16) != 0)
        return -EINVAL;
    ret = zc ? zc_prepare(q) : 0;
    if (ret < 0 || message || !s->off)
        return ret;
    q->to = malloc(sizeof(*q->to));
    return q->to ? sockaddr_in(s->off, s->splice_fd_in, q->to) : -ENOMEM;
}

static int zc_supported(const struct ureq *q)
{
    struct sock *sk;
    int ret = socket_from_file(q->file, &sk);

    if (ret < 0)
        return ret;
    return (sk->family == LX_AF_INET || sk->family == LX_AF_INET6) && sk->type != LX_SOCK_RAW
               ? 0
               : -EOPNOTSUPP;
}

long uring_send_zc(struct ureq *q)
{
    int ret = zc_supported(q);

    return ret < 0 ? ret : uring_send(q);
}

long uring_sendmsg_zc(struct ureq *q)
{
    int ret = zc_supported(q);

    return ret < 0 ? ret : uring_sendmsg(q);
}

/* ---- receiving ------------------------------------------------------------------------------- */

/* Until there is nothing to read, no buffer, no room for a completion, or an end. */
static long multishot(struct ureq *q, long (*once)(struct ureq *q))
{
    uint32_t flags;
    long ret;

    for (int i = 0; i < MULTISHOT_AT_ONCE; i++) {
        ret = uring_with_picked_buffer(q, once, &flags);
        if (ret <= 0)
            return ret;
        if (q->last || atomic_load(&q->cancel) || !ureq_post_more(q, (int32_t)ret, flags)) {
            q->cqe_flags = flags;
            return ret;
        }
        q->tries = 0;
    }
    return -EAGAIN; /* others' turn; it is ready and goes on at once */
}

long uring_recv(struct ureq *q)
{
    if (q->sqe.ioprio & LX_IORING_RECV_MULTISHOT)
        return multishot(q, recv_once);
    if (q->pick.picked)
        return recv_once(q);
    return go_on(q,
                 sys_recvfrom(q->task, FD_OF_REQUEST, q->sqe.addr + q->done, q->sqe.len - q->done,
                              q->sqe.op_flags, 0, 0),
                 q->sqe.len);
}

long uring_recvmsg(struct ureq *q)
{
    const struct lx_iovec picked = {.base = q->pick.addr, .len = q->pick.len};
    long ret = take_msg(q);

    if (ret < 0)
        return ret;
    if (q->sqe.ioprio & LX_IORING_RECV_MULTISHOT)
        return multishot(q, recvmsg_out_once);
    if (q->pick.picked)
        return socket_recvmsg(FD_OF_REQUEST, q->msg, 0, q->sqe.op_flags, &picked);
    return go_on(q, socket_recvmsg(FD_OF_REQUEST, q->msg, q->done, q->sqe.op_flags, NULL),
                 q->msg->size);
}

/* ---- messages between rings ------------------------------------------------------------------ */

static void post_to(struct uring *target, uint64_t user_data, int32_t res)
{
    mutex_lock(&target->lock);
    uring_post_locked(target, user_data, res, 0);
    mutex_unlock(&target->lock);
    uring_signal(target, /*inline_post=*/false);
}

static long msg_data(const struct ureq *q, struct uring *target)
{
    if (q->sqe.addr3 || q->sqe.splice_fd_in || q->sqe.op_flags)
        return -EINVAL;
    if (target->disabled)
        return -EBADFD;
    post_to(target, q->sqe.off, (int32_t)q->sqe.len);
    return 0;
}

/* A fixed file of the sender's becomes one of the target's. */
static long msg_send_fd(const struct ureq *q, struct uring *target)
{
    struct file *f;
    long ret;

    if (q->sqe.len || target == q->ring)
        return -EINVAL;
    if (target->disabled)
        return -EBADFD;
    ret = q->sqe.addr3 > UINT32_MAX ? -EBADF : uring_fixed_get(q->ring, (uint32_t)q->sqe.addr3, &f);
    if (ret == 0)
        ret = uring_slot_set_take(target, (uint32_t)q->sqe.splice_fd_in, f);
    if (ret >= 0 && !(q->sqe.op_flags & LX_IORING_MSG_RING_CQE_SKIP))
        post_to(target, q->sqe.off, (int32_t)ret);
    return ret;
}

long uring_msg_ring(struct ureq *q)
{
    struct uring *target = uring_from_file(q->file);

    if (q->sqe.op_flags & ~LX_IORING_MSG_RING_CQE_SKIP)
        return -EINVAL;
    if (!target)
        return -EBADFD;
    switch (q->sqe.addr) {
    case LX_IORING_MSG_DATA:
        return msg_data(q, target);
    case LX_IORING_MSG_SEND_FD:
        return msg_send_fd(q, target);
    default:
        return -EINVAL;
    }
}

/* ---- others ---------------------------------------------------------------------------------- */

long uring_shutdown(struct ureq *q)
{
    if (q->sqe.off || q->sqe.addr || q->sqe.op_flags)
        return -EINVAL;
    return sys_shutdown(q->task, FD_OF_REQUEST, (int)q->sqe.len);
}

long uring_socket(struct ureq *q)
{
    if (q->sqe.addr || q->sqe.op_flags)
        return -EINVAL;
    if (q->sqe.splice_fd_in && (q->sqe.off & LX_O_CLOEXEC))
        return -EINVAL;
    return uring_to_slot(q, sys_socket(q->task, q->sqe.fd, (int)q->sqe.off, (int)q->sqe.len));
}
