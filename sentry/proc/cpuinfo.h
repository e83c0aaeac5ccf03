/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "sentry/proc/pbuf.h"

/* The text of /proc/cpuinfo for the CPUs of the sandbox. */
void cpuinfo_format(struct pbuf *b);
