/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of sysfs share. */
#pragma once

#include "sentry/proc/pseudo.h"

/* cpuN/cache; the directory's arg is the CPU. */
extern const struct pseudo_dir sysfs_cache_dir;
/* Linux's bitmap format, with a newline. */
void sysfs_put_cpu_mask(struct pbuf *b, const uint64_t *mask);
void sysfs_put_one_cpu(struct pbuf *b, uint32_t cpu);
