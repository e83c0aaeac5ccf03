/* SPDX-License-Identifier: Apache-2.0 */
/* IPC namespaces inside kernel/. */
#pragma once

#include "platform/base/lock.h"
#include "platform/base/refs.h"
#include "sentry/core/userns.h"

struct task;

/* Lifetime: refcounted. Keys: I immutable; i ->lock */
struct ipcns {
    struct refs refs;
    struct mutex lock;
    struct userns *owner; /* I, +1 */
    uint64_t inum;        /* I */
};

/* Applies the undo operations of t when it is the last user of its undo list. Holds no lock. */
void ipc_task_exit(struct task *t);
