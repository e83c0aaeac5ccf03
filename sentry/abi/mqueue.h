/* SPDX-License-Identifier: Apache-2.0 */
/* POSIX message queues: mq_overview(7). */
#pragma once

#include "sentry/abi/types.h"

#define LX_MQ_PRIO_MAX     32768u
#define LX_MQUEUE_MAGIC    0x19800202u
#define LX_MQ_HARD_MSGMAX  65536
#define LX_MQ_HARD_MSGSIZE 16777216
#define LX_MQ_COOKIE_SIZE  32
#define LX_MQ_WOKENUP      1 /* last byte of a SIGEV_THREAD cookie: a message came */
#define LX_MQ_REMOVED      2 /* the registration ended */

struct lx_mq_attr {
    int64_t flags, maxmsg, msgsize, curmsgs;
    int64_t reserved[4];
};
static_assert(sizeof(struct lx_mq_attr) == 64, "mq_attr");
