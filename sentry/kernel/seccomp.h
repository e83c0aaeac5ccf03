/* SPDX-License-Identifier: Apache-2.0 */
/* seccomp(2) of guests: filters are run by an interpreter of our own before dispatch. */
#pragma once

#include "platform/base/compiler.h"
#include "sentry/abi/seccomp.h"

struct task;
struct seccomp_filter;

/* Lifetime: refcounted; a filter holds the one below it. NULL is fine. */
struct seccomp_filter *seccomp_filter_get(struct seccomp_filter *f);
void seccomp_filter_put(struct seccomp_filter *f);
/* Filters in the chain. The caller keeps it (its task's group lock, or a reference). */
uint32_t seccomp_filter_count(const struct seccomp_filter *f);

/* prctl(PR_GET_SECCOMP), prctl(PR_SET_SECCOMP), seccomp(2). */
long seccomp_mode(struct task *t);
long seccomp_prctl(struct task *t, uint64_t mode, uaddr_t filter);
long seccomp_op(struct task *t, uint32_t op, uint32_t flags, uaddr_t arg);

/* The call in t->regs against the task's mode. true: dispatch it; false: *out_ret is the result (a
 * signal may be pending). Called only when a mode is set. */
bool seccomp_allows(struct task *t, long *out_ret);
