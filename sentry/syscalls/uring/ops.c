/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What each operation of io_uring is: a system call of another family, made with the request's file
 * (FD_OF_REQUEST) in place of a descriptor. See uring_internal.h.
 *
 * DEVIATION: addresses and vectors are read when the operation runs, not when it is submitted
 * (IORING_FEAT_SUBMIT_STABLE is not offered); they must stay until the completion. Headers of messages
 * are read when it runs first.
 * Opening a fifo sleeps in io_uring_enter. Regular files are read and written at once.
 */
#include <errno.h>

#include "gen/syscall_protos.h"
#include "sentry/abi/fcntl.h"
#include "sentry/abi/socket.h"
#include "sentry/core/cred.h"
#include "sentry/syscalls/fs_rw.h"
#include "sentry/syscalls/uring/uring_internal.h"

enum file_use { NO_FILE, NEEDS_FILE };

struct op {
    long (*run)(struct ureq *q);
    enum file_use file;
    uint32_t poll;   /* readiness to wait for after EAGAIN, 0: done at once */
    bool ioprio;     /* sqe.ioprio carries flags of the operation */
    bool buf_index;  /* sqe.buf_index means something */
    bool file_index; /* sqe.splice_fd_in means something */
    bool select;     /* IOSQE_BUFFER_SELECT is known */
    bool iopoll;     /* may be on a ring with SETUP_IOPOLL */
    bool (*short_is_failure)(const struct ureq *q, int32_t res);
};

static bool is_short(const struct ureq *q, int32_t res)
{
    return (uint32_t)res < q->sqe.len;
}

/* ---- read and write ------------------------------------------------------------------------- */

/* off -1: the file's position; files without positions ignore it. NULL: none is passed. */
static lx_loff_t *position(const struct ureq *q, lx_loff_t *pos)
{
    *pos = (lx_loff_t)q->sqe.off;
    return *pos == -1 || !(q->file->kind & FILE_SEEKABLE) ? NULL : pos;
}

static long buffer_io(struct ureq *q, bool write)
{
    lx_loff_t pos;

    return fs_rw_buffer(FD_OF_REQUEST, uring_buffer_addr(q), uring_buffer_len(q), position(q, &pos),
                        (int)q->sqe.op_flags, write);
}

static long vector_io(struct ureq *q, bool write)
{
    lx_loff_t pos;

    return fs_rw_vector(FD_OF_REQUEST, q->sqe.addr, q->sqe.len, position(q, &pos),
                        (int)q->sqe.op_flags, write);
}

static long op_read(struct ureq *q)
{
    return buffer_io(q, /*write=*/false);
}

static long op_write(struct ureq *q)
{
    return buffer_io(q, /*write=*/true);
}

static long op_readv(struct ureq *q)
{
    return vector_io(q, /*write=*/false);
}

static long op_writev(struct ureq *q)
{
    return vector_io(q, /*write=*/true);
}

int uring_check_fixed_buffer(const struct ureq *q)
{
    const struct uring *r = q->ring;
    const struct uring_buffer *b;

    if (q->sqe.buf_index >= r->buffer_count)
        return -EFAULT;
    b = &r->buffers[q->sqe.buf_index];
    if (q->sqe.addr < b->addr || q->sqe.addr - b->addr > b->len ||
        q->sqe.len > b->len - (q->sqe.addr - b->addr))
        return -EFAULT;
    return 0;
}

static long op_fsync(struct ureq *q)
{
    if (q->sqe.addr || q->sqe.op_flags & ~LX_IORING_FSYNC_DATASYNC)
        return -EINVAL;
    return q->sqe.op_flags ? sys_fdatasync(q->task, FD_OF_REQUEST)
                           : sys_fsync(q->task, FD_OF_REQUEST);
}

static long op_sync_file_range(struct ureq *q)
{
    return sys_sync_file_range(q->task, FD_OF_REQUEST, (lx_loff_t)q->sqe.off, q->sqe.len,
                               q->sqe.op_flags);
}

static long op_fallocate(struct ureq *q)
{
    return sys_fallocate(q->task, FD_OF_REQUEST, (int)q->sqe.len, (lx_loff_t)q->sqe.off,
                         (lx_loff_t)q->sqe.addr);
}

static long op_fadvise(struct ureq *q)
{
    return sys_fadvise64(q->task, FD_OF_REQUEST, (lx_loff_t)q->sqe.off, q->sqe.len,
                         (int)q->sqe.op_flags);
}

static long op_madvise(struct ureq *q)
{
    return sys_madvise(q->task, q->sqe.addr, q->sqe.len, (int)q->sqe.op_flags);
}

/* Where splice and tee take from. */
static int splice_source(struct ureq *q, struct file **out)
{
    if (q->sqe.op_flags & LX_SPLICE_F_FD_IN_FIXED)
        return uring_fixed_get(q->ring, (uint32_t)q->sqe.splice_fd_in, out);
    return fdtable_lookup_get(curr()->files, q->sqe.splice_fd_in, out);
}

/* Positions of -1 are none. */
static long op_splice(struct ureq *q)
{
    lx_loff_t in_pos = (lx_loff_t)q->sqe.addr, out_pos = (lx_loff_t)q->sqe.off;
    const uint32_t flags = q->sqe.op_flags & ~LX_SPLICE_F_FD_IN_FIXED;
    struct file *in;
    long ret = splice_source(q, &in);

    if (ret < 0)
        return ret;
    ret = q->sqe.len == 0
              ? 0
              : fs_splice(in, in_pos == -1 ? NULL : &in_pos, q->file,
                          out_pos == -1 ? NULL : &out_pos, MIN(q->sqe.len, LX_MAX_RW_COUNT), flags);
    file_put(in);
    return ret;
}

static long op_tee(struct ureq *q)
{
    struct file *in;
    long ret;

    if (q->sqe.addr || q->sqe.off)
        return -EINVAL; /* pipes have no positions */
    ret = splice_source(q, &in);
    if (ret < 0)
        return ret;
    ret = q->sqe.len == 0 ? 0
                          : fs_tee(in, q->file, MIN(q->sqe.len, LX_MAX_RW_COUNT),
                                   q->sqe.op_flags & ~LX_SPLICE_F_FD_IN_FIXED);
    file_put(in);
    return ret;
}

/* ---- paths and descriptors ------------------------------------------------------------------ */

/* A descriptor that was just made becomes a fixed file, if the request asks for that. DEVIATION: other
 * threads may see the descriptor for a moment. */
long uring_to_slot(struct ureq *q, long fd)
{
    struct file *f;
    long ret;

    if (fd < 0 || !q->sqe.splice_fd_in)
        return fd;
    ret = fdtable_lookup_get(curr()->files, (int)fd, &f);
    if (ret < 0)
        return ret;                    /* another thread closed it */
    (void)sys_close(q->task, (int)fd); /* f stays */
    return uring_slot_set_take(q->ring, (uint32_t)q->sqe.splice_fd_in, f);
}

static long op_openat(struct ureq *q)
{
    if (q->sqe.splice_fd_in && (q->sqe.op_flags & LX_O_CLOEXEC))
        return -EINVAL;
    return uring_to_slot(
        q, sys_openat(q->task, q->sqe.fd, q->sqe.addr, (int)q->sqe.op_flags, q->sqe.len));
}

static long op_openat2(struct ureq *q)
{
    return uring_to_slot(q, sys_openat2(q->task, q->sqe.fd, q->sqe.addr, q->sqe.off, q->sqe.len));
}

static long op_close(struct ureq *q)
{
    struct file *f;
    bool ring;

    if (q->sqe.off || q->sqe.addr || q->sqe.len || q->sqe.op_flags || q->sqe.buf_index)
        return -EINVAL;
    if (q->sqe.splice_fd_in)
        return q->sqe.fd ? -EINVAL
                         : uring_slot_set_take(q->ring, (uint32_t)q->sqe.splice_fd_in, NULL);
    if (fdtable_lookup_any_get(curr()->files, q->sqe.fd, &f) < 0)
        return -EBADF;
    ring = uring_from_file(f) != NULL;
    file_put(f);
    return ring ? -EBADF : sys_close(q->task, q->sqe.fd);
}

static long op_statx(struct ureq *q)
{
    return sys_statx(q->task, q->sqe.fd, q->sqe.addr, (int)q->sqe.op_flags, q->sqe.len, q->sqe.off);
}

static long op_renameat(struct ureq *q)
{
    return sys_renameat2(q->task, q->sqe.fd, q->sqe.addr, (int)q->sqe.len, q->sqe.off,
                         q->sqe.op_flags);
}

static long op_unlinkat(struct ureq *q)
{
    if (q->sqe.off || q->sqe.len)
        return -EINVAL;
    return sys_unlinkat(q->task, q->sqe.fd, q->sqe.addr, (int)q->sqe.op_flags);
}

static long op_mkdirat(struct ureq *q)
{
    if (q->sqe.off || q->sqe.op_flags)
        return -EINVAL;
    return sys_mkdirat(q->task, q->sqe.fd, q->sqe.addr, q->sqe.len);
}

static long op_symlinkat(struct ureq *q)
{
    if (q->sqe.len || q->sqe.op_flags)
        return -EINVAL;
    return sys_symlinkat(q->task, q->sqe.addr, q->sqe.fd, q->sqe.off);
}

static long op_linkat(struct ureq *q)
{
    return sys_linkat(q->task, q->sqe.fd, q->sqe.addr, (int)q->sqe.len, q->sqe.off,
                      (int)q->sqe.op_flags);
}

static long op_epoll_ctl(struct ureq *q)
{
    return sys_epoll_ctl(q->task, q->sqe.fd, (int)q->sqe.len, (int)q->sqe.off, q->sqe.addr);
}

static long op_files_update(struct ureq *q)
{
    if (q->sqe.op_flags || !q->sqe.len)
        return -EINVAL;
    return uring_files_update(q->ring, (uint32_t)q->sqe.off, q->sqe.addr, q->sqe.len);
}

static long op_nop(struct ureq *q)
{
    (void)q;
    return 0;
}

/* ---- table ---------------------------------------------------------------------------------- */

#define IN  (WAKE_IN | WAKE_RDNORM)
#define OUT (WAKE_OUT | WAKE_WRNORM)

static const struct op g_ops[LX_IORING_OP_LAST] = {
    [LX_IORING_OP_NOP] = {.run = op_nop, .iopoll = true},
    [LX_IORING_OP_READV] =
        {.run = op_readv, .file = NEEDS_FILE, .poll = IN, .ioprio = true, .iopoll = true},
    [LX_IORING_OP_WRITEV] =
        {.run = op_writev, .file = NEEDS_FILE, .poll = OUT, .ioprio = true, .iopoll = true},
    [LX_IORING_OP_FSYNC] = {.run = op_fsync, .file = NEEDS_FILE},
    [LX_IORING_OP_READ_FIXED] = {.run = op_read,
                                 .file = NEEDS_FILE,
                                 .poll = IN,
                                 .ioprio = true,
                                 .buf_index = true,
                                 .iopoll = true,
                                 .short_is_failure = is_short},
    [LX_IORING_OP_WRITE_FIXED] = {.run = op_write,
                                  .file = NEEDS_FILE,
                                  .poll = OUT,
                                  .ioprio = true,
                                  .buf_index = true,
                                  .iopoll = true,
                                  .short_is_failure = is_short},
    [LX_IORING_OP_POLL_ADD] = {.run = uring_poll_run, .file = NEEDS_FILE},
    [LX_IORING_OP_POLL_REMOVE] = {.run = uring_poll_remove},
    [LX_IORING_OP_SYNC_FILE_RANGE] = {.run = op_sync_file_range, .file = NEEDS_FILE},
    [LX_IORING_OP_SENDMSG] = {.run = uring_sendmsg,
                              .file = NEEDS_FILE,
                              .poll = OUT,
                              .ioprio = true},
    [LX_IORING_OP_RECVMSG] = {.run = uring_recvmsg,
                              .file = NEEDS_FILE,
                              .poll = IN,
                              .ioprio = true,
                              .buf_index = true,
                              .select = true},
    [LX_IORING_OP_TIMEOUT] = {.run = uring_timeout_run},
    [LX_IORING_OP_TIMEOUT_REMOVE] = {.run = uring_timeout_remove},
    [LX_IORING_OP_ACCEPT] =
        {.run = uring_accept, .file = NEEDS_FILE, .poll = IN, .ioprio = true, .file_index = true},
    [LX_IORING_OP_ASYNC_CANCEL] = {.run = uring_async_cancel},
    [LX_IORING_OP_LINK_TIMEOUT] = {.run = uring_timeout_run},
    [LX_IORING_OP_CONNECT] = {.run = uring_connect, .file = NEEDS_FILE, .poll = OUT},
    [LX_IORING_OP_FALLOCATE] = {.run = op_fallocate, .file = NEEDS_FILE},
    [LX_IORING_OP_OPENAT] = {.run = op_openat, .file_index = true},
    [LX_IORING_OP_CLOSE] = {.run = op_close, .file_index = true, .buf_index = true},
    [LX_IORING_OP_FILES_UPDATE] = {.run = op_files_update, .iopoll = true},
    [LX_IORING_OP_STATX] = {.run = op_statx},
    [LX_IORING_OP_READ] = {.run = op_read,
                           .file = NEEDS_FILE,
                           .poll = IN,
                           .ioprio = true,
                           .buf_index = true,
                           .select = true,
                           .iopoll = true,
                           .short_is_failure = is_short},
    [LX_IORING_OP_WRITE] = {.run = op_write,
                            .file = NEEDS_FILE,
                            .poll = OUT,
                            .ioprio = true,
                            .iopoll = true,
                            .short_is_failure = is_short},
    [LX_IORING_OP_FADVISE] = {.run = op_fadvise, .file = NEEDS_FILE},
    [LX_IORING_OP_MADVISE] = {.run = op_madvise},
    [LX_IORING_OP_SEND] =
        {.run = uring_send, .file = NEEDS_FILE, .poll = OUT, .ioprio = true, .file_index = true},
    [LX_IORING_OP_RECV] = {.run = uring_recv,
                           .file = NEEDS_FILE,
                           .poll = IN,
                           .ioprio = true,
                           .buf_index = true,
                           .select = true},
    [LX_IORING_OP_OPENAT2] = {.run = op_openat2, .file_index = true},
    [LX_IORING_OP_EPOLL_CTL] = {.run = op_epoll_ctl},
    [LX_IORING_OP_SPLICE] = {.run = op_splice, .file = NEEDS_FILE, .file_index = true},
    [LX_IORING_OP_TEE] = {.run = op_tee, .file = NEEDS_FILE, .file_index = true},
    [LX_IORING_OP_SHUTDOWN] = {.run = uring_shutdown, .file = NEEDS_FILE},
    [LX_IORING_OP_RENAMEAT] = {.run = op_renameat},
    [LX_IORING_OP_UNLINKAT] = {.run = op_unlinkat},
    [LX_IORING_OP_MKDIRAT] = {.run = op_mkdirat},
    [LX_IORING_OP_SYMLINKAT] = {.run = op_symlinkat},
    [LX_IORING_OP_LINKAT] = {.run = op_linkat},
    [LX_IORING_OP_SOCKET] = {.run = uring_socket, .file_index = true},
    [LX_IORING_OP_PROVIDE_BUFFERS] = {.run = uring_provide_buffers,
                                      .buf_index = true,
                                      .iopoll = true},
    [LX_IORING_OP_REMOVE_BUFFERS] = {.run = uring_remove_buffers,
                                     .buf_index = true,
                                     .iopoll = true},
    [LX_IORING_OP_SEND_ZC] = {.run = uring_send_zc,
                              .file = NEEDS_FILE,
                              .poll = OUT,
                              .ioprio = true,
                              .buf_index = true,
                              .file_index = true},
    [LX_IORING_OP_SENDMSG_ZC] = {.run = uring_sendmsg_zc,
                                 .file = NEEDS_FILE,
                                 .poll = OUT,
                                 .ioprio = true},
    [LX_IORING_OP_MSG_RING] = {.run = uring_msg_ring,
                               .file = NEEDS_FILE,
                               .file_index = true,
                               .iopoll = true},
};

bool uring_op_supported(uint32_t op)
{
    return op < LX_IORING_OP_LAST && g_ops[op].run;
}

int uring_op_take_file(struct ureq *q)
{
    const struct lx_io_uring_sqe *s = &q->sqe;

    if (q->file ||
        !(g_ops[s->opcode].file == NEEDS_FILE ||
          (s->opcode == LX_IORING_OP_ASYNC_CANCEL && (s->op_flags & LX_IORING_ASYNC_CANCEL_FD))))
        return 0;
    if ((s->flags & LX_IOSQE_FIXED_FILE) ||
        (s->opcode == LX_IORING_OP_ASYNC_CANCEL && (s->op_flags & LX_IORING_ASYNC_CANCEL_FD_FIXED)))
        return uring_fixed_get(q->ring, (uint32_t)s->fd, &q->file);
    return fdtable_lookup_any_get(curr()->files, s->fd, &q->file);
}

static int take_personality(struct ureq *q)
{
    uint32_t id = q->sqe.personality;

    if (id == 0)
        return 0;
    if (id > URING_MAX_PERSONALITY || !q->ring->personality[id - 1])
        return -EINVAL;
    q->cred = cred_get(q->ring->personality[id - 1]);
    return 0;
}

static int prepare_recv(const struct lx_io_uring_sqe *s)
{
    if (s->ioprio & ~(LX_IORING_RECVSEND_POLL_FIRST | LX_IORING_RECV_MULTISHOT))
        return -EINVAL;
    if (!(s->ioprio & LX_IORING_RECV_MULTISHOT))
        return 0;
    return !(s->flags & LX_IOSQE_BUFFER_SELECT) || (s->op_flags & LX_MSG_WAITALL) ||
                   (s->len && s->opcode == LX_IORING_OP_RECV)
               ? -EINVAL
               : 0;
}

/* Reads and writes have an I/O priority there (ioprio_set(2)): a class in the upper bits. */
static int check_ioprio(uint16_t ioprio)
{
    enum { CLASS_NONE, CLASS_RT, CLASS_BE, CLASS_IDLE };

    switch (ioprio >> 13) {
    case CLASS_NONE:
        return ioprio ? -EINVAL : 0;
    case CLASS_RT:
        return cred_capable(curr()->cred, LX_CAP_SYS_NICE) ||
                       cred_capable(curr()->cred, LX_CAP_SYS_ADMIN)
                   ? 0
                   : -EPERM;
    case CLASS_BE:
    case CLASS_IDLE:
        return 0;
    default:
        return -EINVAL;
    }
}

static int prepare_special(struct ureq *q)
{
    switch (q->sqe.opcode) {
    case LX_IORING_OP_READV:
    case LX_IORING_OP_WRITEV:
    case LX_IORING_OP_READ:
    case LX_IORING_OP_WRITE:
        return check_ioprio(q->sqe.ioprio);
    case LX_IORING_OP_READ_FIXED:
    case LX_IORING_OP_WRITE_FIXED: {
        int ret = check_ioprio(q->sqe.ioprio);

        return ret < 0 ? ret : uring_check_fixed_buffer(q);
    }
    case LX_IORING_OP_TIMEOUT:
    case LX_IORING_OP_LINK_TIMEOUT:
        return uring_timeout_prepare(q);
    case LX_IORING_OP_POLL_ADD:
        return q->sqe.off || q->sqe.addr || q->sqe.len & ~LX_IORING_POLL_ADD_MULTI ? -EINVAL : 0;
    case LX_IORING_OP_PROVIDE_BUFFERS:
    case LX_IORING_OP_REMOVE_BUFFERS:
        return uring_provide_prepare(q);
    case LX_IORING_OP_SEND:
    case LX_IORING_OP_SENDMSG:
    case LX_IORING_OP_SEND_ZC:
    case LX_IORING_OP_SENDMSG_ZC:
        return uring_send_prepare(q);
    case LX_IORING_OP_RECV:
    case LX_IORING_OP_RECVMSG:
        return prepare_recv(&q->sqe);
    default:
        return 0;
    }
}

int uring_op_prepare(struct ureq *q)
{
    const struct lx_io_uring_sqe *s = &q->sqe;
    const struct op *op;
    int ret;

    if (!uring_op_supported(s->opcode) || (s->flags & 0x80u))
        return -EINVAL;
    op = &g_ops[s->opcode];
    if ((q->ring->flags & LX_IORING_SETUP_IOPOLL) && !op->iopoll)
        return -EINVAL;
    if ((s->flags & LX_IOSQE_BUFFER_SELECT) && !op->select)
        return -EOPNOTSUPP;
    if ((s->ioprio && !op->ioprio) || (s->buf_index && !op->buf_index) ||
        (s->splice_fd_in && !op->file_index))
        return -EINVAL;
    ret = take_personality(q);
    if (ret == 0 && op->file == NO_FILE && (s->flags & LX_IOSQE_FIXED_FILE) &&
        s->opcode != LX_IORING_OP_ASYNC_CANCEL)
        ret = s->opcode == LX_IORING_OP_NOP ? 0 : -EBADF;
    return ret < 0 ? ret : prepare_special(q);
}

long uring_op_run(struct ureq *q)
{
    long (*fn)(struct ureq *) = g_ops[q->sqe.opcode].run;

    /* Linux: a device can be polled for what goes past the page cache. */
    if ((q->ring->flags & LX_IORING_SETUP_IOPOLL) && q->file && !uring_from_file(q->file) &&
        !(q->file->flags & LX_O_DIRECT))
        return -EOPNOTSUPP;
    if (!(q->sqe.flags & LX_IOSQE_BUFFER_SELECT) ||
        ((fn == uring_recv || fn == uring_recvmsg) && (q->sqe.ioprio & LX_IORING_RECV_MULTISHOT)))
        return fn(q);
    return uring_with_picked_buffer(q, fn, &q->cqe_flags);
}

uint32_t uring_op_poll_mask(const struct ureq *q)
{
    return q->file ? g_ops[q->sqe.opcode].poll : 0;
}

bool uring_op_nonblock(const struct ureq *q)
{
    switch (q->sqe.opcode) {
    case LX_IORING_OP_SENDMSG:
    case LX_IORING_OP_SENDMSG_ZC:
    case LX_IORING_OP_RECVMSG:
    case LX_IORING_OP_SEND:
    case LX_IORING_OP_SEND_ZC:
    case LX_IORING_OP_RECV:
        if (q->sqe.op_flags & LX_MSG_DONTWAIT)
            return true;
        break;
    case LX_IORING_OP_READ:
    case LX_IORING_OP_WRITE:
    case LX_IORING_OP_READV:
    case LX_IORING_OP_WRITEV:
    case LX_IORING_OP_READ_FIXED:
    case LX_IORING_OP_WRITE_FIXED:
        if (q->sqe.op_flags & LX_RWF_NOWAIT)
            return true;
        break;
    default:
        break;
    }
    /* Linux: O_NONBLOCK of the file does not keep a request from waiting. */
    return false;
}

bool uring_op_tells_twice(const struct ureq *q)
{
    return (q->sqe.opcode == LX_IORING_OP_SEND_ZC || q->sqe.opcode == LX_IORING_OP_SENDMSG_ZC) &&
           !q->error;
}

bool uring_op_breaks_link(const struct ureq *q, int32_t res)
{
    const struct op *op = &g_ops[q->sqe.opcode];

    if (res == -ETIME && (q->sqe.op_flags & LX_IORING_TIMEOUT_ETIME_SUCCESS) &&
        q->sqe.opcode == LX_IORING_OP_TIMEOUT)
        return false;
    return res < 0 || (op->short_is_failure && op->short_is_failure(q, res));
}
