/* SPDX-License-Identifier: Apache-2.0 */
/* Constants of mmap(2), mprotect(2), madvise(2), mremap(2), msync(2), mlock(2), mbind(2). */
#pragma once

#include "sentry/abi/types.h"

#define LX_PROT_NONE      0u
#define LX_PROT_READ      1u
#define LX_PROT_WRITE     2u
#define LX_PROT_EXEC      4u
#define LX_PROT_SEM       8u
#define LX_PROT_GROWSDOWN 0x01000000u
#define LX_PROT_GROWSUP   0x02000000u
#define LX_PROT_RWX       (LX_PROT_READ | LX_PROT_WRITE | LX_PROT_EXEC)

#define LX_MAP_SHARED          0x01u
#define LX_MAP_PRIVATE         0x02u
#define LX_MAP_SHARED_VALIDATE 0x03u
#define LX_MAP_TYPE            0x0fu
#define LX_MAP_FIXED           0x10u
#define LX_MAP_ANONYMOUS       0x20u
#define LX_MAP_32BIT           0x40u
#define LX_MAP_ABOVE4G         0x80u
#define LX_MAP_GROWSDOWN       0x0100u
#define LX_MAP_DENYWRITE       0x0800u
#define LX_MAP_EXECUTABLE      0x1000u
#define LX_MAP_LOCKED          0x2000u
#define LX_MAP_NORESERVE       0x4000u
#define LX_MAP_POPULATE        0x8000u
#define LX_MAP_NONBLOCK        0x10000u
#define LX_MAP_STACK           0x20000u
#define LX_MAP_HUGETLB         0x40000u
#define LX_MAP_SYNC            0x80000u
#define LX_MAP_FIXED_NOREPLACE 0x100000u
#define LX_MAP_UNINITIALIZED   0x4000000u
#define LX_MAP_HUGE_SIZES      (21u << 26 | 30u << 26) /* MAP_HUGE_2MB, MAP_HUGE_1GB */
/* Flags that every file system understands: all that SHARED_VALIDATE lets pass. */
#define LX_MAP_LEGACY_MASK                                                                         \
    (LX_MAP_SHARED | LX_MAP_PRIVATE | LX_MAP_FIXED | LX_MAP_ANONYMOUS | LX_MAP_DENYWRITE |         \
     LX_MAP_EXECUTABLE | LX_MAP_UNINITIALIZED | LX_MAP_GROWSDOWN | LX_MAP_LOCKED |                 \
     LX_MAP_NORESERVE | LX_MAP_POPULATE | LX_MAP_NONBLOCK | LX_MAP_STACK | LX_MAP_HUGETLB |        \
     LX_MAP_32BIT | LX_MAP_ABOVE4G | LX_MAP_HUGE_SIZES)
#define LX_MAP_HUGE_SHIFT 26
#define LX_MAP_HUGE_MASK  0x3fu

#define LX_MREMAP_MAYMOVE   1u
#define LX_MREMAP_FIXED     2u
#define LX_MREMAP_DONTUNMAP 4u

#define LX_MS_ASYNC      1u
#define LX_MS_INVALIDATE 2u
#define LX_MS_SYNC       4u

#define LX_MADV_NORMAL          0
#define LX_MADV_RANDOM          1
#define LX_MADV_SEQUENTIAL      2
#define LX_MADV_WILLNEED        3
#define LX_MADV_DONTNEED        4
#define LX_MADV_FREE            8
#define LX_MADV_REMOVE          9
#define LX_MADV_DONTFORK        10
#define LX_MADV_DOFORK          11
#define LX_MADV_MERGEABLE       12
#define LX_MADV_UNMERGEABLE     13
#define LX_MADV_HUGEPAGE        14
#define LX_MADV_NOHUGEPAGE      15
#define LX_MADV_DONTDUMP        16
#define LX_MADV_DODUMP          17
#define LX_MADV_WIPEONFORK      18
#define LX_MADV_KEEPONFORK      19
#define LX_MADV_COLD            20
#define LX_MADV_PAGEOUT         21
#define LX_MADV_POPULATE_READ   22
#define LX_MADV_POPULATE_WRITE  23
#define LX_MADV_DONTNEED_LOCKED 24
#define LX_MADV_COLLAPSE        25
#define LX_MADV_HWPOISON        100
#define LX_MADV_SOFT_OFFLINE    101

#define LX_MCL_CURRENT   1u
#define LX_MCL_FUTURE    2u
#define LX_MCL_ONFAULT   4u
#define LX_MLOCK_ONFAULT 1u

#define LX_MPOL_DEFAULT          0
#define LX_MPOL_PREFERRED        1
#define LX_MPOL_BIND             2
#define LX_MPOL_INTERLEAVE       3
#define LX_MPOL_LOCAL            4
#define LX_MPOL_PREFERRED_MANY   5
#define LX_MPOL_MAX              6
#define LX_MPOL_F_STATIC_NODES   (1 << 15)
#define LX_MPOL_F_RELATIVE_NODES (1 << 14)
#define LX_MPOL_F_NUMA_BALANCING (1 << 13)
#define LX_MPOL_MODE_FLAGS                                                                         \
    (LX_MPOL_F_STATIC_NODES | LX_MPOL_F_RELATIVE_NODES | LX_MPOL_F_NUMA_BALANCING)
#define LX_MPOL_F_NODE         1u
#define LX_MPOL_F_ADDR         2u
#define LX_MPOL_F_MEMS_ALLOWED 4u
#define LX_MPOL_MF_STRICT      1u
#define LX_MPOL_MF_MOVE        2u
#define LX_MPOL_MF_MOVE_ALL    4u

#define LX_PKEY_DISABLE_ACCESS 1u
#define LX_PKEY_DISABLE_WRITE  2u
