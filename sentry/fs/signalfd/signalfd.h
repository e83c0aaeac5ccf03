/* SPDX-License-Identifier: Apache-2.0 */
/*
 * signalfd(2). Signals belong to kernel/, which lies above: it fills g_signalfd_ops at boot and
 * calls signalfd_notify whenever a signal is queued. One wait queue serves all signalfds, because
 * what a signalfd shows depends on who asks (the calling task's pending signals).
 */
#pragma once

#include "platform/base/compiler.h"
#include "sentry/fs/vfs.h"

struct lx_siginfo;
struct signalfd_ops {
    /* Pending signals of the calling task and its process, not masked. */
    uint64_t (*pending)(void);
    /* Takes the next pending signal in mask off the calling task's queues. Its number, or 0. */
    int (*dequeue)(uint64_t mask, struct lx_siginfo *out);
};
extern const struct signalfd_ops *g_signalfd_ops;

int MUST_CHECK signalfd_create(uint64_t mask, uint32_t flags, struct file **out);
bool file_is_signalfd(const struct file *f);
void signalfd_set_mask(struct file *f, uint64_t mask);
/* A signal was queued somewhere. Any lock up to SIGHAND/TASK may be held; free when nobody waits.
 */
void signalfd_notify(void);
/* Boot, before the first signal. */
void signalfd_init(void);
