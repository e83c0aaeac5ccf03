/* SPDX-License-Identifier: Apache-2.0 */
/* eventfd(2), signalfd(2), timerfd_create(2). */
#pragma once

#include "sentry/abi/types.h"

#define LX_EFD_SEMAPHORE 1
#define LX_EFD_CLOEXEC   02000000
#define LX_EFD_NONBLOCK  04000

#define LX_SFD_CLOEXEC  02000000
#define LX_SFD_NONBLOCK 04000

#define LX_TFD_CLOEXEC             02000000
#define LX_TFD_NONBLOCK            04000
#define LX_TFD_TIMER_ABSTIME       1
#define LX_TFD_TIMER_CANCEL_ON_SET 2
#define LX_TFD_IOC_SET_TICKS       0x40085400u /* _IOW('T', 0, u64) */

struct lx_signalfd_siginfo {
    uint32_t ssi_signo;
    int32_t ssi_errno;
    int32_t ssi_code;
    uint32_t ssi_pid;
    uint32_t ssi_uid;
    int32_t ssi_fd;
    uint32_t ssi_tid;
    uint32_t ssi_band;
    uint32_t ssi_overrun;
    uint32_t ssi_trapno;
    int32_t ssi_status;
    int32_t ssi_int;
    uint64_t ssi_ptr;
    uint64_t ssi_utime;
    uint64_t ssi_stime;
    uint64_t ssi_addr;
    uint16_t ssi_addr_lsb;
    uint16_t pad2;
    int32_t ssi_syscall;
    uint64_t ssi_call_addr;
    uint32_t ssi_arch;
    uint8_t pad[28];
};
static_assert(sizeof(struct lx_signalfd_siginfo) == 128, "struct signalfd_siginfo");
