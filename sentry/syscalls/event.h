/* SPDX-License-Identifier: Apache-2.0 */
/* What the waiting calls (poll, select, epoll) share. */
#pragma once

#include "platform/base/compiler.h"
#include "sentry/abi/types.h"

struct task;

/* The sigmask argument of ppoll, pselect6, epoll_pwait: -EINVAL, -EFAULT; 0 address: nothing. */
int MUST_CHECK event_set_mask(struct task *t, uaddr_t mask_addr, size_t size);
/* Relative timespec to a monotonic deadline; 0: do not wait; address 0: NO_DEADLINE. */
int MUST_CHECK event_deadline_from_timespec(uaddr_t addr, uint64_t *out);
