/* SPDX-License-Identifier: Apache-2.0 */
/* ptrace(2): requests, options, events and the structs they move. */
#pragma once

#include "sentry/abi/types.h"

#define LX_PTRACE_TRACEME              0
#define LX_PTRACE_PEEKTEXT             1
#define LX_PTRACE_PEEKDATA             2
#define LX_PTRACE_PEEKUSR              3
#define LX_PTRACE_POKETEXT             4
#define LX_PTRACE_POKEDATA             5
#define LX_PTRACE_POKEUSR              6
#define LX_PTRACE_CONT                 7
#define LX_PTRACE_KILL                 8
#define LX_PTRACE_SINGLESTEP           9
#define LX_PTRACE_GETREGS              12
#define LX_PTRACE_SETREGS              13
#define LX_PTRACE_GETFPREGS            14
#define LX_PTRACE_SETFPREGS            15
#define LX_PTRACE_ATTACH               16
#define LX_PTRACE_DETACH               17
#define LX_PTRACE_SYSCALL              24
#define LX_PTRACE_ARCH_PRCTL           30
#define LX_PTRACE_SYSEMU               31
#define LX_PTRACE_SYSEMU_SINGLESTEP    32
#define LX_PTRACE_SETOPTIONS           0x4200
#define LX_PTRACE_GETEVENTMSG          0x4201
#define LX_PTRACE_GETSIGINFO           0x4202
#define LX_PTRACE_SETSIGINFO           0x4203
#define LX_PTRACE_GETREGSET            0x4204
#define LX_PTRACE_SETREGSET            0x4205
#define LX_PTRACE_SEIZE                0x4206
#define LX_PTRACE_INTERRUPT            0x4207
#define LX_PTRACE_LISTEN               0x4208
#define LX_PTRACE_PEEKSIGINFO          0x4209
#define LX_PTRACE_GETSIGMASK           0x420a
#define LX_PTRACE_SETSIGMASK           0x420b
#define LX_PTRACE_SECCOMP_GET_FILTER   0x420c
#define LX_PTRACE_SECCOMP_GET_METADATA 0x420d
#define LX_PTRACE_GET_SYSCALL_INFO     0x420e

#define LX_PTRACE_EVENT_FORK       1
#define LX_PTRACE_EVENT_VFORK      2
#define LX_PTRACE_EVENT_CLONE      3
#define LX_PTRACE_EVENT_EXEC       4
#define LX_PTRACE_EVENT_VFORK_DONE 5
#define LX_PTRACE_EVENT_EXIT       6
#define LX_PTRACE_EVENT_SECCOMP    7
#define LX_PTRACE_EVENT_STOP       128

/* Bit n of the options asks for event n. */
#define LX_PTRACE_O_TRACESYSGOOD    0x00000001u
#define LX_PTRACE_O_EXITKILL        0x00100000u
#define LX_PTRACE_O_SUSPEND_SECCOMP 0x00200000u
#define LX_PTRACE_O_MASK            0x003000ffu

#define LX_PTRACE_EVENTMSG_SYSCALL_ENTRY 1u
#define LX_PTRACE_EVENTMSG_SYSCALL_EXIT  2u

#define LX_PTRACE_PEEKSIGINFO_SHARED 1u

struct lx_ptrace_peeksiginfo_args {
    uint64_t off;
    uint32_t flags;
    int32_t nr;
};
static_assert(sizeof(struct lx_ptrace_peeksiginfo_args) == 16, "ptrace_peeksiginfo_args");

#define LX_PTRACE_SYSCALL_INFO_NONE    0
#define LX_PTRACE_SYSCALL_INFO_ENTRY   1
#define LX_PTRACE_SYSCALL_INFO_EXIT    2
#define LX_PTRACE_SYSCALL_INFO_SECCOMP 3

struct lx_ptrace_syscall_info {
    uint8_t op;
    uint8_t pad[3];
    uint32_t arch;
    uint64_t instruction_pointer;
    uint64_t stack_pointer;
    union {
        struct {
            uint64_t nr;
            uint64_t args[6];
            uint32_t ret_data; /* SECCOMP only */
        } call;
        struct {
            int64_t rval;
            uint8_t is_error;
        } exit;
    };
};
static_assert(offsetof(struct lx_ptrace_syscall_info, call.ret_data) == 80, "syscall_info");
static_assert(offsetof(struct lx_ptrace_syscall_info, exit.is_error) == 32, "syscall_info");

struct lx_seccomp_metadata {
    uint64_t filter_off;
    uint64_t flags;
};
static_assert(sizeof(struct lx_seccomp_metadata) == 16, "seccomp_metadata");

/* struct user: registers first, debug registers last, what lies between reads as 0. */
#define LX_USER_SIZE           928u
#define LX_USER_DEBUGREG       848u
#define LX_USER_DEBUGREG_COUNT 8u
#define LX_USER_FPREGS_SIZE    512u

/* Register sets of PTRACE_GETREGSET and notes of core files. */
#define LX_NT_PRSTATUS   1u
#define LX_NT_PRFPREG    2u
#define LX_NT_PRPSINFO   3u
#define LX_NT_AUXV       6u
#define LX_NT_X86_XSTATE 0x202u
#define LX_NT_SIGINFO    0x53494749u
#define LX_NT_FILE       0x46494c45u
