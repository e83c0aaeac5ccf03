/* SPDX-License-Identifier: Apache-2.0 */
/* Restartable sequences: see rseq.c. */
#pragma once

#include "platform/base/compiler.h"
#include "sentry/abi/types.h"

struct task;

/* Off at first. Called before the first task runs. */
void rseq_enable(bool on);
/* rseq(2), with Linux's errors in its order. */
int task_rseq(struct task *t, uaddr_t area, uint32_t len, int flags, uint32_t sig);
