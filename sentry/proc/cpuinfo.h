/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "sentry/proc/pbuf.h"

/* The text of /proc/cpuinfo for cpus equal CPUs. */
void cpuinfo_format(struct pbuf *b, uint32_t cpus);
