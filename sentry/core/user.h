/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What one user (kernel uid) holds across all its processes, for the limits that Linux counts per
 * user: RLIMIT_NPROC, RLIMIT_SIGPENDING, RLIMIT_MSGQUEUE.
 */
#pragma once

#include <stdatomic.h>

#include "platform/base/refs.h"
#include "platform/base/tree.h"
#include "sentry/abi/types.h"

/* Lifetime: refcounted (user_get/user_put); in the table while referenced. */
struct user {
    struct refs refs;
    lx_uid_t uid;              /* I */
    atomic_uint tasks;         /* a */
    atomic_uint sigpending;    /* a */
    _Atomic uint64_t mq_bytes; /* a */
    UT_hash_handle hh;         /* table lock */
};

/* +1; NULL when out of memory. */
struct user *user_find_get(lx_uid_t uid);
struct user *user_get(struct user *u);
void user_put(struct user *u);
