/* SPDX-License-Identifier: Apache-2.0 */
/* prctl(2), arch_prctl(2), capget(2) and securebits(7) numbers. */
#pragma once

#include "sentry/abi/types.h"

#define LX_PR_SET_PDEATHSIG             1
#define LX_PR_GET_PDEATHSIG             2
#define LX_PR_GET_DUMPABLE              3
#define LX_PR_SET_DUMPABLE              4
#define LX_PR_GET_UNALIGN               5
#define LX_PR_SET_UNALIGN               6
#define LX_PR_GET_KEEPCAPS              7
#define LX_PR_SET_KEEPCAPS              8
#define LX_PR_GET_TIMING                13
#define LX_PR_SET_TIMING                14
#define LX_PR_SET_NAME                  15
#define LX_PR_GET_NAME                  16
#define LX_PR_GET_SECCOMP               21
#define LX_PR_SET_SECCOMP               22
#define LX_PR_CAPBSET_READ              23
#define LX_PR_CAPBSET_DROP              24
#define LX_PR_GET_TSC                   25
#define LX_PR_SET_TSC                   26
#define LX_PR_GET_SECUREBITS            27
#define LX_PR_SET_SECUREBITS            28
#define LX_PR_SET_TIMERSLACK            29
#define LX_PR_GET_TIMERSLACK            30
#define LX_PR_TASK_PERF_EVENTS_DISABLE  31
#define LX_PR_TASK_PERF_EVENTS_ENABLE   32
#define LX_PR_MCE_KILL                  33
#define LX_PR_MCE_KILL_GET              34
#define LX_PR_SET_MM                    35
#define LX_PR_SET_CHILD_SUBREAPER       36
#define LX_PR_GET_CHILD_SUBREAPER       37
#define LX_PR_SET_SYSCALL_USER_DISPATCH 59
#define LX_PR_SYS_DISPATCH_OFF          0
#define LX_PR_SYS_DISPATCH_ON           1
#define LX_PR_SET_NO_NEW_PRIVS          38
#define LX_PR_GET_NO_NEW_PRIVS          39
#define LX_PR_GET_TID_ADDRESS           40
#define LX_PR_SET_THP_DISABLE           41
#define LX_PR_GET_THP_DISABLE           42
#define LX_PR_CAP_AMBIENT               47
#define LX_PR_GET_SPECULATION_CTRL      52
#define LX_PR_SET_SPECULATION_CTRL      53
#define LX_PR_SET_IO_FLUSHER            57
#define LX_PR_GET_IO_FLUSHER            58
#define LX_PR_SET_SYSCALL_USER_DISPATCH 59
#define LX_PR_SCHED_CORE                62
#define LX_PR_SET_MDWE                  65
#define LX_PR_GET_MDWE                  66
#define LX_PR_SET_VMA                   0x53564d41
#define LX_PR_SET_PTRACER               0x59616d61

#define LX_PR_MDWE_REFUSE_EXEC_GAIN 1u
#define LX_PR_MDWE_NO_INHERIT       2u

#define LX_PR_CAP_AMBIENT_IS_SET    1
#define LX_PR_CAP_AMBIENT_RAISE     2
#define LX_PR_CAP_AMBIENT_LOWER     3
#define LX_PR_CAP_AMBIENT_CLEAR_ALL 4

#define LX_PR_SET_MM_START_CODE  1
#define LX_PR_SET_MM_END_CODE    2
#define LX_PR_SET_MM_START_DATA  3
#define LX_PR_SET_MM_END_DATA    4
#define LX_PR_SET_MM_START_STACK 5
#define LX_PR_SET_MM_START_BRK   6
#define LX_PR_SET_MM_BRK         7
#define LX_PR_SET_MM_ARG_START   8
#define LX_PR_SET_MM_ARG_END     9
#define LX_PR_SET_MM_ENV_START   10
#define LX_PR_SET_MM_ENV_END     11

#define LX_ARCH_SET_GS         0x1001
#define LX_ARCH_SET_FS         0x1002
#define LX_ARCH_GET_FS         0x1003
#define LX_ARCH_GET_GS         0x1004
#define LX_ARCH_GET_CPUID      0x1011
#define LX_ARCH_SET_CPUID      0x1012
#define LX_ARCH_GET_XCOMP_SUPP 0x1021
#define LX_ARCH_GET_XCOMP_PERM 0x1022
#define LX_ARCH_REQ_XCOMP_PERM 0x1023

#define LX_SECBIT_NOROOT               0x01u
#define LX_SECBIT_NO_SETUID_FIXUP      0x04u
#define LX_SECBIT_KEEP_CAPS            0x10u
#define LX_SECBIT_NO_CAP_AMBIENT_RAISE 0x40u
#define LX_SECURE_ALL_BITS             0x55u
#define LX_SECURE_ALL_LOCKS            0xaau

#define LX_CAPABILITY_VERSION_1 0x19980330u
#define LX_CAPABILITY_VERSION_2 0x20071026u
#define LX_CAPABILITY_VERSION_3 0x20080522u

struct lx_cap_header {
    uint32_t version;
    int32_t pid;
};
struct lx_cap_data {
    uint32_t effective, permitted, inheritable;
};

#define LX_VFS_CAP_REVISION_MASK   0xff000000u
#define LX_VFS_CAP_REVISION_1      0x01000000u
#define LX_VFS_CAP_REVISION_2      0x02000000u
#define LX_VFS_CAP_REVISION_3      0x03000000u
#define LX_VFS_CAP_FLAGS_EFFECTIVE 0x000001u

struct lx_vfs_cap_data {
    uint32_t magic_etc;
    struct {
        uint32_t permitted, inheritable;
    } data[2];
    uint32_t rootid; /* revision 3 only */
};
static_assert(sizeof(struct lx_vfs_cap_data) == 24, "vfs_ns_cap_data");

#define LX_ADDR_NO_RANDOMIZE  0x0040000u
#define LX_PER_LINUX32        8
#define LX_PER_MASK           0xffu
#define LX_PER_CLEAR_ON_SETID 0x1d00000u /* personality bits that a set-id exec drops */

struct lx_utsname {
    char sysname[65], nodename[65], release[65], version[65], machine[65], domainname[65];
};
static_assert(sizeof(struct lx_utsname) == 390, "new_utsname");
