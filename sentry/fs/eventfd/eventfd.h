/* SPDX-License-Identifier: Apache-2.0 */
/* eventfd(2): a counter with readiness. Lock-free: the counter is one atomic word. */
#pragma once

#include "platform/base/compiler.h"
#include "sentry/fs/vfs.h"

/* flags: LX_EFD_*. */
int MUST_CHECK eventfd_create(uint64_t initial, uint32_t flags, struct file **out);
bool file_is_eventfd(const struct file *f);
/* Adds 1, or nothing when the counter is full; f is one. Never sleeps. */
void eventfd_signal(struct file *f);
