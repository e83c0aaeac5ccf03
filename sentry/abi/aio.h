/* SPDX-License-Identifier: Apache-2.0 */
/* Linux AIO: io_submit(2) and friends, and the completion ring that programs may read themselves. */
#pragma once

#include "sentry/abi/types.h"

#define LX_IOCB_CMD_PREAD   0
#define LX_IOCB_CMD_PWRITE  1
#define LX_IOCB_CMD_FSYNC   2
#define LX_IOCB_CMD_FDSYNC  3
#define LX_IOCB_CMD_POLL    5
#define LX_IOCB_CMD_PREADV  7
#define LX_IOCB_CMD_PWRITEV 8

#define LX_IOCB_FLAG_RESFD  1u
#define LX_IOCB_FLAG_IOPRIO 2u

struct lx_iocb {
    uint64_t data;
    uint32_t key;
    int32_t rw_flags;
    uint16_t opcode;
    int16_t reqprio;
    uint32_t fildes;
    uint64_t buf, nbytes;
    int64_t offset;
    uint64_t reserved2;
    uint32_t flags, resfd;
};
static_assert(sizeof(struct lx_iocb) == 64, "struct iocb");

struct lx_io_event {
    uint64_t data, obj;
    int64_t res, res2;
};
static_assert(sizeof(struct lx_io_event) == 32, "struct io_event");

#define LX_AIO_RING_MAGIC 0xa10a10a1u

struct lx_aio_ring {
    uint32_t id, nr, head, tail;
    uint32_t magic, compat, incompat, header_length;
};
static_assert(sizeof(struct lx_aio_ring) == 32, "struct aio_ring");
