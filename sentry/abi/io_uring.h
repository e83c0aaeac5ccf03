/* SPDX-License-Identifier: Apache-2.0 */
/* io_uring(7): what guest and kernel agree on. */
#pragma once

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

enum {
    LX_IORING_OP_NOP,
    LX_IORING_OP_READV,
    LX_IORING_OP_WRITEV,
    LX_IORING_OP_FSYNC,
    LX_IORING_OP_READ_FIXED,
    LX_IORING_OP_WRITE_FIXED,
    LX_IORING_OP_POLL_ADD,
    LX_IORING_OP_POLL_REMOVE,
    LX_IORING_OP_SYNC_FILE_RANGE,
    LX_IORING_OP_SENDMSG,
    LX_IORING_OP_RECVMSG,
    LX_IORING_OP_TIMEOUT,
    LX_IORING_OP_TIMEOUT_REMOVE,
    LX_IORING_OP_ACCEPT,
    LX_IORING_OP_ASYNC_CANCEL,
    LX_IORING_OP_LINK_TIMEOUT,
    LX_IORING_OP_CONNECT,
    LX_IORING_OP_FALLOCATE,
    LX_IORING_OP_OPENAT,
    LX_IORING_OP_CLOSE,
    LX_IORING_OP_FILES_UPDATE,
    LX_IORING_OP_STATX,
    LX_IORING_OP_READ,
    LX_IORING_OP_WRITE,
    LX_IORING_OP_FADVISE,
    LX_IORING_OP_MADVISE,
    LX_IORING_OP_SEND,
    LX_IORING_OP_RECV,
    LX_IORING_OP_OPENAT2,
    LX_IORING_OP_EPOLL_CTL,
    LX_IORING_OP_SPLICE,
    LX_IORING_OP_PROVIDE_BUFFERS,
    LX_IORING_OP_REMOVE_BUFFERS,
    LX_IORING_OP_TEE,
    LX_IORING_OP_SHUTDOWN,
    LX_IORING_OP_RENAMEAT,
    LX_IORING_OP_UNLINKAT,
    LX_IORING_OP_MKDIRAT,
    LX_IORING_OP_SYMLINKAT,
    LX_IORING_OP_LINKAT,
    LX_IORING_OP_MSG_RING,
    LX_IORING_OP_FSETXATTR,
    LX_IORING_OP_SETXATTR,
    LX_IORING_OP_FGETXATTR,
    LX_IORING_OP_GETXATTR,
    LX_IORING_OP_SOCKET,
    LX_IORING_OP_URING_CMD,
    LX_IORING_OP_SEND_ZC,
    LX_IORING_OP_SENDMSG_ZC,
    LX_IORING_OP_LAST
};

#define LX_IOSQE_FIXED_FILE       0x01u
#define LX_IOSQE_IO_DRAIN         0x02u
#define LX_IOSQE_IO_LINK          0x04u
#define LX_IOSQE_IO_HARDLINK      0x08u
#define LX_IOSQE_ASYNC            0x10u
#define LX_IOSQE_BUFFER_SELECT    0x20u
#define LX_IOSQE_CQE_SKIP_SUCCESS 0x40u

struct lx_io_uring_sqe {
    uint8_t opcode;
    uint8_t flags;   /* LX_IOSQE_* */
    uint16_t ioprio; /* and flags of some operations */
    int32_t fd;
    uint64_t off;  /* or addr2 */
    uint64_t addr; /* or splice_off_in */
    uint32_t len;
    uint32_t op_flags; /* rw_flags, msg_flags, poll events, ... */
    uint64_t user_data;
    uint16_t buf_index;
    uint16_t personality;
    int32_t splice_fd_in; /* or file_index */
    uint64_t addr3, pad;
};
static_assert(sizeof(struct lx_io_uring_sqe) == 64, "io_uring_sqe");

struct lx_io_uring_cqe {
    uint64_t user_data;
    int32_t res;
    uint32_t flags;
};
static_assert(sizeof(struct lx_io_uring_cqe) == 16, "io_uring_cqe");
#define LX_IORING_CQE_F_BUFFER     1u
#define LX_IORING_CQE_F_MORE       2u
#define LX_IORING_CQE_F_NOTIF      8u
#define LX_IORING_CQE_BUFFER_SHIFT 16

/* A place in a ring of buffers; resv of the first one is the ring's tail. */
struct lx_io_uring_buf {
    uint64_t addr;
    uint32_t len;
    uint16_t bid, resv;
};
static_assert(sizeof(struct lx_io_uring_buf) == 16, "io_uring_buf");

struct lx_io_uring_buf_reg {
    uint64_t ring_addr;
    uint32_t ring_entries;
    uint16_t bgid, flags;
    uint64_t resv[3];
};
static_assert(sizeof(struct lx_io_uring_buf_reg) == 40, "io_uring_buf_reg");

struct lx_io_uring_rsrc_register {
    uint32_t nr, flags;
    uint64_t resv2, data, tags;
};
static_assert(sizeof(struct lx_io_uring_rsrc_register) == 32, "io_uring_rsrc_register");
#define LX_IORING_RSRC_REGISTER_SPARSE 1u
#define LX_SPLICE_F_FD_IN_FIXED        0x80000000u
#define LX_IORING_FILE_INDEX_ALLOC     (~0u)

#define LX_IORING_SETUP_IOPOLL        0x0001u
#define LX_IORING_SETUP_SQPOLL        0x0002u
#define LX_IORING_SETUP_SQ_AFF        0x0004u
#define LX_IORING_SETUP_CQSIZE        0x0008u
#define LX_IORING_SETUP_CLAMP         0x0010u
#define LX_IORING_SETUP_ATTACH_WQ     0x0020u
#define LX_IORING_SETUP_R_DISABLED    0x0040u
#define LX_IORING_SETUP_SUBMIT_ALL    0x0080u
#define LX_IORING_SETUP_COOP_TASKRUN  0x0100u
#define LX_IORING_SETUP_TASKRUN_FLAG  0x0200u
#define LX_IORING_SETUP_SINGLE_ISSUER 0x1000u
#define LX_IORING_SETUP_DEFER_TASKRUN 0x2000u

#define LX_IORING_FEAT_SINGLE_MMAP     0x0001u
#define LX_IORING_FEAT_NODROP          0x0002u
#define LX_IORING_FEAT_RW_CUR_POS      0x0008u
#define LX_IORING_FEAT_CUR_PERSONALITY 0x0010u
#define LX_IORING_FEAT_FAST_POLL       0x0020u
#define LX_IORING_FEAT_POLL_32BITS     0x0040u
#define LX_IORING_FEAT_SQPOLL_NONFIXED 0x0080u
#define LX_IORING_FEAT_EXT_ARG         0x0100u
#define LX_IORING_FEAT_NATIVE_WORKERS  0x0200u
#define LX_IORING_FEAT_CQE_SKIP        0x0800u
#define LX_IORING_FEAT_LINKED_FILE     0x1000u

struct lx_io_sqring_offsets {
    uint32_t head, tail, ring_mask, ring_entries, flags, dropped, array, resv1;
    uint64_t resv2;
};
struct lx_io_cqring_offsets {
    uint32_t head, tail, ring_mask, ring_entries, overflow, cqes, flags, resv1;
    uint64_t resv2;
};
struct lx_io_uring_params {
    uint32_t sq_entries, cq_entries, flags, sq_thread_cpu, sq_thread_idle, features, wq_fd;
    uint32_t resv[3];
    struct lx_io_sqring_offsets sq_off;
    struct lx_io_cqring_offsets cq_off;
};
static_assert(sizeof(struct lx_io_uring_params) == 120, "io_uring_params");

#define LX_IORING_OFF_SQ_RING 0ull
#define LX_IORING_OFF_CQ_RING 0x8000000ull
#define LX_IORING_OFF_SQES    0x10000000ull

#define LX_IORING_SQ_NEED_WAKEUP      1u
#define LX_IORING_SQ_CQ_OVERFLOW      2u
#define LX_IORING_CQ_EVENTFD_DISABLED 1u

#define LX_IORING_ENTER_GETEVENTS 0x01u
#define LX_IORING_ENTER_SQ_WAKEUP 0x02u
#define LX_IORING_ENTER_SQ_WAIT   0x04u
#define LX_IORING_ENTER_EXT_ARG   0x08u

struct lx_io_uring_getevents_arg {
    uint64_t sigmask;
    uint32_t sigmask_sz, pad;
    uint64_t ts;
};

#define LX_IORING_TIMEOUT_ABS           0x01u
#define LX_IORING_TIMEOUT_UPDATE        0x02u
#define LX_IORING_TIMEOUT_BOOTTIME      0x04u
#define LX_IORING_TIMEOUT_REALTIME      0x08u
#define LX_IORING_LINK_TIMEOUT_UPDATE   0x10u
#define LX_IORING_TIMEOUT_ETIME_SUCCESS 0x20u

#define LX_IORING_POLL_ADD_MULTI        1u
#define LX_IORING_POLL_UPDATE_EVENTS    2u
#define LX_IORING_POLL_UPDATE_USER_DATA 4u

#define LX_IORING_ASYNC_CANCEL_ALL      1u
#define LX_IORING_ASYNC_CANCEL_FD       2u
#define LX_IORING_ASYNC_CANCEL_ANY      4u
#define LX_IORING_ASYNC_CANCEL_FD_FIXED 8u

struct lx_io_uring_sync_cancel {
    uint64_t addr;
    int32_t fd;
    uint32_t flags;
    int64_t tv_sec, tv_nsec; /* both -1: for ever */
    uint64_t pad[4];
};
static_assert(sizeof(struct lx_io_uring_sync_cancel) == 64, "io_uring_sync_cancel_reg");

/* Before what a multishot RECVMSG received: then the name's room, the control messages' room, the bytes. */
struct lx_io_uring_recvmsg_out {
    uint32_t namelen, controllen, payloadlen, flags;
};

/* What MSG_RING sends is in addr. */
#define LX_IORING_MSG_DATA          0u
#define LX_IORING_MSG_SEND_FD       1u
#define LX_IORING_MSG_RING_CQE_SKIP 1u

#define LX_IORING_ACCEPT_MULTISHOT      1u
#define LX_IORING_RECVSEND_POLL_FIRST   1u
#define LX_IORING_RECV_MULTISHOT        2u
#define LX_IORING_RECVSEND_FIXED_BUF    4u
#define LX_IORING_SEND_ZC_REPORT_USAGE  8u
#define LX_IORING_NOTIF_USAGE_ZC_COPIED 0x80000000u
#define LX_IORING_FSYNC_DATASYNC        1u

enum {
    LX_IORING_REGISTER_BUFFERS,
    LX_IORING_UNREGISTER_BUFFERS,
    LX_IORING_REGISTER_FILES,
    LX_IORING_UNREGISTER_FILES,
    LX_IORING_REGISTER_EVENTFD,
    LX_IORING_UNREGISTER_EVENTFD,
    LX_IORING_REGISTER_FILES_UPDATE,
    LX_IORING_REGISTER_EVENTFD_ASYNC,
    LX_IORING_REGISTER_PROBE,
    LX_IORING_REGISTER_PERSONALITY,
    LX_IORING_UNREGISTER_PERSONALITY,
    LX_IORING_REGISTER_RESTRICTIONS,
    LX_IORING_REGISTER_ENABLE_RINGS,
    LX_IORING_REGISTER_FILES2,
    LX_IORING_REGISTER_PBUF_RING = 22,
    LX_IORING_UNREGISTER_PBUF_RING,
    LX_IORING_REGISTER_SYNC_CANCEL,
    LX_IORING_REGISTER_LAST = 26
};

struct lx_io_uring_files_update {
    uint32_t offset, resv;
    uint64_t fds;
};

struct lx_io_uring_probe_op {
    uint8_t op, resv;
    uint16_t flags; /* 1: supported */
    uint32_t resv2;
};
struct lx_io_uring_probe {
    uint8_t last_op, ops_len;
    uint16_t resv;
    uint32_t resv2[3];
};

enum {
    LX_IORING_RESTRICTION_REGISTER_OP,
    LX_IORING_RESTRICTION_SQE_OP,
    LX_IORING_RESTRICTION_SQE_FLAGS_ALLOWED,
    LX_IORING_RESTRICTION_SQE_FLAGS_REQUIRED
};
struct lx_io_uring_restriction {
    uint16_t opcode;
    uint8_t arg; /* register op, sqe op or flags */
    uint8_t resv;
    uint32_t resv2[3];
};
