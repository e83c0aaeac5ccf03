/* SPDX-License-Identifier: Apache-2.0 */
/* clone(2) flags and scheduling structures. */
#pragma once

#include "sentry/abi/types.h"

#define LX_CSIGNAL              0x000000ffull
#define LX_CLONE_NEWTIME        0x00000080ull /* clone3 and unshare only */
#define LX_CLONE_VM             0x00000100ull
#define LX_CLONE_FS             0x00000200ull
#define LX_CLONE_FILES          0x00000400ull
#define LX_CLONE_SIGHAND        0x00000800ull
#define LX_PIDFD_THREAD         00000200u /* O_EXCL: pidfd_open */
#define LX_CLONE_PIDFD          0x00001000ull
#define LX_CLONE_PTRACE         0x00002000ull
#define LX_CLONE_VFORK          0x00004000ull
#define LX_CLONE_PARENT         0x00008000ull
#define LX_CLONE_THREAD         0x00010000ull
#define LX_CLONE_NEWNS          0x00020000ull
#define LX_CLONE_SYSVSEM        0x00040000ull
#define LX_CLONE_SETTLS         0x00080000ull
#define LX_CLONE_PARENT_SETTID  0x00100000ull
#define LX_CLONE_CHILD_CLEARTID 0x00200000ull
#define LX_CLONE_DETACHED       0x00400000ull
#define LX_CLONE_UNTRACED       0x00800000ull
#define LX_CLONE_CHILD_SETTID   0x01000000ull
#define LX_CLONE_NEWCGROUP      0x02000000ull
#define LX_CLONE_NEWUTS         0x04000000ull
#define LX_CLONE_NEWIPC         0x08000000ull
#define LX_CLONE_NEWUSER        0x10000000ull
#define LX_CLONE_NEWPID         0x20000000ull
#define LX_CLONE_NEWNET         0x40000000ull
#define LX_CLONE_IO             0x80000000ull
#define LX_CLONE_CLEAR_SIGHAND  0x100000000ull
#define LX_CLONE_INTO_CGROUP    0x200000000ull

struct lx_clone_args {
    uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls;
    uint64_t set_tid, set_tid_size;
    uint64_t cgroup;
};
static_assert(sizeof(struct lx_clone_args) == 88, "clone_args");
#define LX_CLONE_ARGS_SIZE_VER0 64

#define LX_SCHED_OTHER         0
#define LX_SCHED_FIFO          1
#define LX_SCHED_RR            2
#define LX_SCHED_BATCH         3
#define LX_SCHED_IDLE          5
#define LX_SCHED_DEADLINE      6
#define LX_SCHED_RESET_ON_FORK 0x40000000

#define LX_SCHED_FLAG_RESET_ON_FORK 0x01u
#define LX_SCHED_FLAG_ALL           0x7fu

struct lx_sched_param {
    int32_t priority;
};

struct lx_sched_attr {
    uint32_t size;
    uint32_t policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime, deadline, period;
    uint32_t util_min, util_max;
};
static_assert(sizeof(struct lx_sched_attr) == 56, "sched_attr");
#define LX_SCHED_ATTR_SIZE_VER0 48
