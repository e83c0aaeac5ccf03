/* SPDX-License-Identifier: Apache-2.0 */
/* A core dump in progress, for kernel/ alone. coredump.c explains the protocol. */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>

#include "platform/base/list.h"
#include "sentry/abi/core.h"

struct file;
struct mm;
struct task;

/* What one thread leaves behind. Lifetime: unique, on core_dump.threads. */
struct core_thread {
    struct list node;
    struct lx_elf_prstatus status;
    uint8_t *xstate; /* XSAVE image, NULL when the platform had none to give */
};

/* Lifetime: unique, owned by the dumping task; others reach it through tg->core under tg->lock.
 * Keys: I immutable; g tg->lock; D dumping task */
struct core_dump {
    struct task *dumper;    /* I, borrowed: outlives the dump */
    struct list threads;    /* g until left is 0, then D; the dumper's own comes first */
    uint32_t left;          /* g: threads that did not report yet */
    atomic_bool aborted;    /* SIGKILL came */
    struct lx_siginfo info; /* I: why */
};

/* The ELF file for the calling task's process into f. 0 or -errno: how far it got is in the file. */
int MUST_CHECK core_write(struct core_dump *d, struct mm *mm, struct file *f, uint64_t limit,
                          uint32_t filter);
