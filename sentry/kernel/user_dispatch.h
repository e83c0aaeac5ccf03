/* SPDX-License-Identifier: Apache-2.0 */
/* Syscall user dispatch: see user_dispatch.c. */
#pragma once

#include <stdbool.h>

#include "sentry/abi/types.h"

struct task;

struct user_dispatch {
    bool on;
    uint64_t offset, len; /* calls from here are not caught */
    uaddr_t selector;     /* the byte, or 0: always */
};

/* Own task. -EINVAL, -EFAULT. */
int user_dispatch_set(struct task *t, uint64_t mode, uint64_t offset, uint64_t len,
                      uaddr_t selector);
/* The call at hand became a signal; *out_ret is what rax shall hold. Only when it is on. */
bool user_dispatch_catches(struct task *t, long *out_ret);
