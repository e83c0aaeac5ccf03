/* SPDX-License-Identifier: Apache-2.0 */
/* futex(2) of the sentry's own sleeps: private words, absolute CLOCK_MONOTONIC deadlines. */
#pragma once

#include <stdatomic.h>
#include <time.h>

#include "platform/base/compiler.h"

/* Sleeps while *word == expected. 0 (woken, or spurious), -EAGAIN, -EINTR, -ETIMEDOUT. deadline
 * NULL: none. */
int host_futex_wait(atomic_uint *word, unsigned expected, const struct timespec *deadline);
void host_futex_wake(atomic_uint *word, int count);
/* word lies in memory shared with another process. */
void host_futex_wake_shared(atomic_uint *word, int count);
