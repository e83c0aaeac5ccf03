/* SPDX-License-Identifier: Apache-2.0 */
/* timerfd_create(2): a timer read through a descriptor. */
#pragma once

#include "platform/base/compiler.h"
#include "sentry/fs/vfs.h"

struct timerfd_spec {
    uint64_t interval_ns, value_ns; /* value 0: disarmed */
};
int MUST_CHECK timerfd_create_file(int clockid, uint32_t flags, struct file **out);
bool file_is_timerfd(const struct file *f);
int MUST_CHECK timerfd_set(struct file *f, uint32_t flags, const struct timerfd_spec *spec,
                           struct timerfd_spec *out_old);
int timerfd_clock(const struct file *f);
void timerfd_get_spec(struct file *f, struct timerfd_spec *out);
