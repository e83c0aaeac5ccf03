/* SPDX-License-Identifier: Apache-2.0 */
/* Signals of the guest: numbers, actions, siginfo, alternate stacks and the x86-64 signal frame. */
#pragma once

#include "sentry/abi/types.h"

#define LX_SIGHUP    1
#define LX_SIGINT    2
#define LX_SIGQUIT   3
#define LX_SIGILL    4
#define LX_SIGTRAP   5
#define LX_SIGABRT   6
#define LX_SIGBUS    7
#define LX_SIGFPE    8
#define LX_SIGKILL   9
#define LX_SIGUSR1   10
#define LX_SIGSEGV   11
#define LX_SIGUSR2   12
#define LX_SIGPIPE   13
#define LX_SIGALRM   14
#define LX_SIGTERM   15
#define LX_SIGSTKFLT 16
#define LX_SIGCHLD   17
#define LX_SIGCONT   18
#define LX_SIGSTOP   19
#define LX_SIGTSTP   20
#define LX_SIGTTIN   21
#define LX_SIGTTOU   22
#define LX_SIGURG    23
#define LX_SIGXCPU   24
#define LX_SIGXFSZ   25
#define LX_SIGVTALRM 26
#define LX_SIGPROF   27
#define LX_SIGWINCH  28
#define LX_SIGIO     29
#define LX_SIGPWR    30
#define LX_SIGSYS    31
#define LX_SIGRTMIN  32

#define LX_SA_NOCLDSTOP      0x00000001u
#define LX_SA_NOCLDWAIT      0x00000002u
#define LX_SA_SIGINFO        0x00000004u
#define LX_SA_UNSUPPORTED    0x00000400u
#define LX_SA_EXPOSE_TAGBITS 0x00000800u
#define LX_SA_RESTORER       0x04000000u
#define LX_SA_ONSTACK        0x08000000u
#define LX_SA_RESTART        0x10000000u
#define LX_SA_NODEFER        0x40000000u
#define LX_SA_RESETHAND      0x80000000u
/* The flags that rt_sigaction(2) keeps; others are cleared, which is how programs probe. */
#define LX_SA_KNOWN                                                                                \
    (LX_SA_NOCLDSTOP | LX_SA_NOCLDWAIT | LX_SA_SIGINFO | LX_SA_EXPOSE_TAGBITS | LX_SA_RESTORER |   \
     LX_SA_ONSTACK | LX_SA_RESTART | LX_SA_NODEFER | LX_SA_RESETHAND)

#define LX_SIG_DFL 0ull
#define LX_SIG_IGN 1ull

#define LX_SIG_BLOCK   0
#define LX_SIG_UNBLOCK 1
#define LX_SIG_SETMASK 2

#define LX_SI_USER     0
#define LX_SI_KERNEL   0x80
#define LX_SI_QUEUE    (-1)
#define LX_SI_TIMER    (-2)
#define LX_SI_MESGQ    (-3)
#define LX_SI_ASYNCIO  (-4)
#define LX_SI_SIGIO    (-5)
#define LX_SI_TKILL    (-6)
#define LX_SI_DETHREAD (-7)

#define LX_ILL_ILLOPN  2
#define LX_FPE_INTDIV  1
#define LX_FPE_FLTDIV  3
#define LX_FPE_FLTOVF  4
#define LX_FPE_FLTUND  5
#define LX_FPE_FLTRES  6
#define LX_FPE_FLTINV  7
#define LX_SEGV_MAPERR 1
#define LX_SEGV_ACCERR 2
#define LX_BUS_ADRALN  1
#define LX_BUS_ADRERR  2
#define LX_TRAP_BRKPT  1
#define LX_TRAP_TRACE  2

#define LX_CLD_EXITED    1
#define LX_CLD_KILLED    2
#define LX_CLD_DUMPED    3
#define LX_CLD_TRAPPED   4
#define LX_CLD_STOPPED   5
#define LX_CLD_CONTINUED 6

#define LX_PIDFD_SIGNAL_THREAD        1u
#define LX_PIDFD_SIGNAL_THREAD_GROUP  2u
#define LX_PIDFD_SIGNAL_PROCESS_GROUP 4u

#define LX_SIGEV_SIGNAL    0
#define LX_SIGEV_NONE      1
#define LX_SIGEV_THREAD    2
#define LX_SIGEV_THREAD_ID 4

struct lx_sigaction {
    uint64_t handler;
    uint64_t flags;
    uint64_t restorer;
    uint64_t mask;
};
static_assert(sizeof(struct lx_sigaction) == 32, "kernel_sigaction");

struct lx_siginfo {
    int32_t signo;
    int32_t err;
    int32_t code;
    int32_t pad;
    union {
        uint8_t raw[112];
        struct {
            int32_t pid;
            uint32_t uid;
            uint64_t value;
        } rt; /* kill, tkill, sigqueue, mq */
        struct {
            int32_t tid;
            int32_t overrun;
            uint64_t value;
        } timer;
        struct {
            int32_t pid;
            uint32_t uid;
            int32_t status;
            int32_t pad;
            int64_t utime, stime; /* clock ticks */
        } chld;
        struct {
            uint64_t addr;
            uint16_t addr_lsb;
        } fault;
        struct {
            int64_t band;
            int32_t fd;
        } poll;
        struct {
            uint64_t call_addr;
            int32_t syscall;
            uint32_t arch;
        } sys;
    };
};
static_assert(sizeof(struct lx_siginfo) == 128, "siginfo_t");
static_assert(offsetof(struct lx_siginfo, chld.utime) == 32, "siginfo_t si_utime");

struct lx_sigevent {
    uint64_t value;
    int32_t signo;
    int32_t notify;
    int32_t tid;
    uint8_t pad[44];
};
static_assert(sizeof(struct lx_sigevent) == 64, "sigevent");

#define LX_SS_ONSTACK    1u
#define LX_SS_DISABLE    2u
#define LX_SS_AUTODISARM 0x80000000u
#define LX_MINSIGSTKSZ   2048u

struct lx_stack {
    uint64_t sp;
    uint32_t flags;
    uint32_t pad;
    uint64_t size;
};
static_assert(sizeof(struct lx_stack) == 24, "stack_t");

struct lx_sigcontext {
    uint64_t r8, r9, r10, r11, r12, r13, r14, r15;
    uint64_t rdi, rsi, rbp, rbx, rdx, rax, rcx, rsp, rip, eflags;
    uint16_t cs, gs, fs, ss;
    uint64_t err, trapno, oldmask, cr2;
    uint64_t fpstate;
    uint64_t reserved[8];
};
static_assert(sizeof(struct lx_sigcontext) == 256, "sigcontext");

#define LX_UC_FP_XSTATE         1u
#define LX_UC_SIGCONTEXT_SS     2u
#define LX_UC_STRICT_RESTORE_SS 4u

struct lx_ucontext {
    uint64_t flags;
    uint64_t link;
    struct lx_stack stack;
    struct lx_sigcontext mcontext;
    uint64_t sigmask;
};
static_assert(sizeof(struct lx_ucontext) == 304, "ucontext");

struct lx_rt_sigframe {
    uint64_t pretcode;
    struct lx_ucontext uc;
    struct lx_siginfo info;
};
static_assert(sizeof(struct lx_rt_sigframe) == 440, "rt_sigframe");

#define LX_FP_XSTATE_MAGIC1 0x46505853u
#define LX_FP_XSTATE_MAGIC2 0x46505845u
#define LX_FX_SW_OFFSET     464 /* sw_reserved bytes of the FXSAVE image */

struct lx_fpx_sw_bytes {
    uint32_t magic1;
    uint32_t extended_size;
    uint64_t xfeatures;
    uint32_t xstate_size;
    uint32_t padding[7];
};
static_assert(sizeof(struct lx_fpx_sw_bytes) == 48, "_fpx_sw_bytes");
