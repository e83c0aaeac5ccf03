/* SPDX-License-Identifier: Apache-2.0 */
/* The identity of the kernel that guests see: uname(2), /proc/version, /proc/sys/kernel agree. */
#pragma once

#define LX_UTS_SYSNAME "Linux"
#define LX_UTS_RELEASE "6.1.0-runsc-c"
#define LX_UTS_VERSION "#1 SMP PREEMPT_DYNAMIC runsc-c"
#define LX_UTS_MACHINE "x86_64"
#define LX_UTS_DOMAIN  "(none)"

/* /proc/version, without the newline. */
#define LX_PROC_VERSION                                                                            \
    LX_UTS_SYSNAME " version " LX_UTS_RELEASE " (runsc-c@sentry) (gcc) " LX_UTS_VERSION
