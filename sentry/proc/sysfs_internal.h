/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of sysfs share. */
#pragma once

#include "sentry/proc/pseudo.h"

/* cpuN/cache; the directory's arg is the CPU. */
extern const struct pseudo_dir sysfs_cache_dir;
/* Linux's bitmap format: CPUs first .. first + count - 1 of cpus. */
void sysfs_put_mask(struct pbuf *b, uint32_t first, uint32_t count, uint32_t cpus);
