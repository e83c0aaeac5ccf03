/* SPDX-License-Identifier: Apache-2.0 */
/* poll(2), select(2): structures and bits. The POLL* bits equal core/sleep.h's WAKE_* bits. */
#pragma once

#include "sentry/abi/types.h"

#define LX_POLLIN     0x0001
#define LX_POLLPRI    0x0002
#define LX_POLLOUT    0x0004
#define LX_POLLERR    0x0008
#define LX_POLLHUP    0x0010
#define LX_POLLNVAL   0x0020
#define LX_POLLRDNORM 0x0040
#define LX_POLLRDBAND 0x0080
#define LX_POLLWRNORM 0x0100
#define LX_POLLWRBAND 0x0200
#define LX_POLLMSG    0x0400
#define LX_POLLRDHUP  0x2000

struct lx_pollfd {
    int32_t fd;
    int16_t events;
    int16_t revents;
};
static_assert(sizeof(struct lx_pollfd) == 8, "struct pollfd");

/* The sixth argument of pselect6(2). */
struct lx_sigset_argpack {
    uint64_t mask;
    uint64_t size;
};
static_assert(sizeof(struct lx_sigset_argpack) == 16, "sigset_argpack");
