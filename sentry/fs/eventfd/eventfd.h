/* SPDX-License-Identifier: Apache-2.0 */
/* eventfd(2): a counter with readiness. Lock-free: the counter is one atomic word. */
#pragma once

#include "platform/base/compiler.h"
#include "sentry/fs/vfs.h"

/* flags: LX_EFD_*. */
int MUST_CHECK eventfd_create(uint64_t initial, uint32_t flags, struct file **out);
