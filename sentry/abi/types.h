/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Guest-world scalar types and x86-64 register layout. Header-only, no host <sys/...> headers.
 * Every guest struct and constant carries the prefix lx_/LX_ and lives in sentry/abi/<topic>.h with
 * static_asserts on its size and offsets.
 */
#pragma once

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

/* A guest virtual address: never dereferenced, only given to copy_in/copy_out and mm_*. */
typedef uint64_t uaddr_t;
typedef int64_t lx_loff_t;
typedef int32_t lx_pid_t;
typedef uint32_t lx_uid_t;
typedef uint32_t lx_gid_t;
typedef uint64_t
    lx_dev_t; /* kernel encoding: major << 20 | minor; lx_dev_encode() for user space */

#define LX_PAGE_SHIFT 12
#define LX_PAGE_SIZE  4096ul
#define LX_PAGE_MASK  (~(LX_PAGE_SIZE - 1))
/* Highest user address + 1 (47 bits minus the guard page), as TASK_SIZE_MAX. */
#define LX_TASK_SIZE    0x7ffffffff000ul
#define LX_MAX_RW_COUNT 0x7ffff000ul
#define LX_PATH_MAX     4096
#define LX_NAME_MAX     255

/* Layout of struct user_regs_struct: what ptrace and core files use. */
struct lx_regs {
    uint64_t r15, r14, r13, r12, rbp, rbx, r11, r10, r9, r8, rax, rcx, rdx, rsi, rdi, orig_rax, rip,
        cs, eflags, rsp, ss, fs_base, gs_base, ds, es, fs, gs;
};
static_assert(sizeof(struct lx_regs) == 27 * 8, "user_regs_struct");
