/* SPDX-License-Identifier: Apache-2.0 */
/* epoll(7). */
#pragma once

#include "sentry/abi/types.h"

#define LX_EPOLL_CTL_ADD 1
#define LX_EPOLL_CTL_DEL 2
#define LX_EPOLL_CTL_MOD 3

#define LX_EPOLLEXCLUSIVE (1u << 28)
#define LX_EPOLLWAKEUP    (1u << 29)
#define LX_EPOLLONESHOT   (1u << 30)
#define LX_EPOLLET        (1u << 31)

#define LX_EPOLL_CLOEXEC 02000000

struct lx_epoll_event {
    uint32_t events;
    uint64_t data;
} __attribute__((packed));
static_assert(sizeof(struct lx_epoll_event) == 12, "struct epoll_event is packed on x86-64");
