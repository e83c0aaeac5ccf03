/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The code of stub processes: the only instructions in a guest address space whose system calls can reach
 * the host. Position independent, no stack, no writable data that is trusted. Two kinds of process run it:
 *
 *   control stub   one per address space; runs nothing but this file, from g_seccomp_first to the end of its
 *                  life, so all it knows it has in registers or reads from pages that are read-only in this
 *                  address space. Rules: it never loads from memory that guests can write, and never keeps
 *                  an address of such memory.
 *   guest thread   runs guest code, and this file in three places: its start, the signal handler, and the
 *                  way back (.Lrestore). Guests can jump to any byte here with any registers; why that gains
 *                  nothing is argued in thread.c, and filter.c is what holds it.
 *
 * It is linked as read-only data of the sentry, which copies it into a sealed memory file.
 */
#include <asm/unistd.h>

#include "platform/seccomp/layout.h"

#define PR_SET_PDEATHSIG   1
#define SIGKILL            9
#define FUTEX_WAIT         0
#define PROT_READ          1
#define MAP_SHARED_FIXED   0x11
#define CLONE_SPACE        (0x400 | 0x200 | 0x8000 | 17) /* FILES, FS, PARENT, SIGCHLD */
#define CLONE_THREAD_STUB  (CLONE_SPACE | 0x100)         /* VM */
#define SECCOMP_SET_FILTER 1
#define NEW_LISTENER       8
#define ARCH_SET_GS        0x1001
#define ARCH_SET_FS        0x1002
#define RSEQ_AREA          32
#define RSEQ_UNREGISTER    1

    .section .rodata.stub, "a"
    .balign 16
    .globl g_seccomp_code, g_seccomp_code_end, g_seccomp_first, g_seccomp_setup, g_seccomp_setup_end
    .globl g_seccomp_handler, g_seccomp_handler_bases, g_seccomp_bell, g_seccomp_start, g_seccomp_set_fs, g_seccomp_set_gs
    .globl g_seccomp_sigreturn, g_seccomp_rseq, g_seccomp_unrseq
    .hidden g_seccomp_code, g_seccomp_code_end, g_seccomp_first, g_seccomp_setup, g_seccomp_setup_end
    .hidden g_seccomp_handler, g_seccomp_handler_bases, g_seccomp_bell, g_seccomp_start, g_seccomp_set_fs, g_seccomp_set_gs
    .hidden g_seccomp_sigreturn, g_seccomp_rseq, g_seccomp_unrseq
g_seccomp_code:
.Lbase:

/* --- control stub ------------------------------------------------------------------------------ */

/* The master's first instructions: rdi, rsi: below the stub; r12, r13: above its fixed part. */
g_seccomp_first:
    movl $__NR_munmap, %eax
    syscall
    testq %rax, %rax
    jnz .Ldie
    movq %r12, %rdi
    movq %r13, %rsi
    movl $__NR_munmap, %eax
    syscall
    testq %rax, %rax
    jnz .Ldie

/* A control stub begins: nothing of its address space is the parent's. */
.Lcontrol:
    movl $PR_SET_PDEATHSIG, %edi
    movl $SIGKILL, %esi
    xorl %edx, %edx
    xorl %r10d, %r10d
    xorl %r8d, %r8d
    movl $__NR_prctl, %eax
    syscall
    xorl %r15d, %r15d
    leaq .Lbase + STUB_REQUEST_OFF(%rip), %rbx

/* rbx: request page, r15d: the last request that was taken. */
.Lwait:
    movl REQ_SEQ(%rbx), %eax
    cmpl %r15d, %eax
    jne .Ltake
    movq %rbx, %rdi
    movl $FUTEX_WAIT, %esi
    movl %r15d, %edx
    xorl %r10d, %r10d
    movl $__NR_futex, %eax
    syscall
    jmp .Lwait

.Ltake:
    movl %eax, %r15d
    leaq REQ_CALLS(%rbx), %r12
    movl REQ_BYTES(%rbx), %r13d
    addq %r12, %r13
    xorl %r14d, %r14d
.Lcall:
    cmpq %r13, %r12
    jae .Lcalls_done
    movl CALL_NR(%r12), %eax
    movq CALL_ADDR(%r12), %rdi
    movq CALL_LEN(%r12), %rsi
    movl CALL_PROT(%r12), %edx
    movl CALL_FLAGS(%r12), %r10d
    movslq CALL_FD(%r12), %r8
    movq CALL_OFF(%r12), %r9
    syscall
    cmpq $-4095, %rax
    jae .Lfailed
    addq $CALL_SIZE, %r12
    incl %r14d
    jmp .Lcall

/* rax: -errno, r14d: how many calls succeeded before it. */
.Lfailed:
    negl %eax
    shll $REPORT_DONE_SHIFT, %r14d
    leal REPORT_ERROR(%rax, %r14), %ebp
    leaq .Lwait(%rip), %r14
    jmp .Lreport

.Lcalls_done:
    movl REQ_COMMAND(%rbx), %eax
    cmpl $COMMAND_THREAD, %eax
    je .Lthread
    cmpl $COMMAND_FORK, %eax
    je .Lfork
    xorl %ebp, %ebp
    leaq .Lwait(%rip), %r14
    jmp .Lreport

.Lthread:
    movl $CLONE_THREAD_STUB, %edi
    xorl %esi, %esi
    movl $__NR_clone, %eax
    syscall
    testq %rax, %rax
    jz .Lthread_setup
    js .Lfailed
    jmp .Lwait                  /* the child reports */

/* The child's share is loaded first: it must not read the parent's request page. */
.Lfork:
    movslq REQ_PAGES_FD(%rbx), %r8
    movq REQ_PAGES_OFF(%rbx), %r9
    movq REQ_SLOTS(%rbx), %r12
    movq REQ_SLOTS_LEN(%rbx), %r13
    movl $CLONE_SPACE, %edi
    xorl %esi, %esi
    movl $__NR_clone, %eax
    syscall
    testq %rax, %rax
    jz .Lfork_child
    js .Lfailed
    movl %eax, %ebp
    leaq .Lwait(%rip), %r14
    jmp .Lreport

.Lfork_child:
    movq %r12, %rdi
    movq %r13, %rsi
    movl $__NR_munmap, %eax
    syscall
    testq %rax, %rax
    jnz .Ldie
    movq %rbx, %rdi
    movl $STUB_PAGE, %esi
    movl $PROT_READ, %edx
    movl $MAP_SHARED_FIXED, %r10d
    movl $__NR_mmap, %eax
    syscall
    cmpq %rbx, %rax
    je .Lcontrol
.Ldie:
    movl $1, %edi
    movl $__NR_exit, %eax
    syscall
    ud2

/* --- setup: from here to g_seccomp_setup_end system calls are refused once a guest thread is set up ---- */

g_seccomp_setup:
/* A new process for a guest thread, registers as its control stub had them. */
.Lthread_setup:
    movl $PR_SET_PDEATHSIG, %edi
    movl $SIGKILL, %esi
    xorl %edx, %edx
    xorl %r10d, %r10d
    xorl %r8d, %r8d
    movl $__NR_prctl, %eax
    syscall
    leaq REQ_STACK(%rbx), %rdi
    xorl %esi, %esi
    movl $__NR_sigaltstack, %eax
    syscall
    testq %rax, %rax
    js .Lsetup_failed
    movl $SECCOMP_SET_FILTER, %edi
    movl $NEW_LISTENER, %esi
    leaq .Lbase + STUB_DATA_OFF + DATA_PROG_THREAD(%rip), %rdx
    movl $__NR_seccomp, %eax
    syscall
    testq %rax, %rax
    js .Lsetup_failed
    movl %eax, %ebp
    leaq .Lsetup_lock(%rip), %r14
    jmp .Lreport
.Lsetup_lock:
    movl $SECCOMP_SET_FILTER, %edi
    xorl %esi, %esi
    leaq .Lbase + STUB_DATA_OFF + DATA_PROG_LOCK(%rip), %rdx
    movl $__NR_seccomp, %eax
    syscall
    testq %rax, %rax
    jz .Lthread_start
.Lsetup_exit:
    movl $1, %edi
    movl $__NR_exit, %eax
    syscall
    ud2
.Lsetup_failed:
    negl %eax
    leal REPORT_ERROR(%rax), %ebp
    leaq .Lsetup_exit(%rip), %r14

/* Sends ebp to the sentry and goes on at r14. A process has no other way to tell a number safely:
 * eventfd adds what is written to it, and the words that are written lie in read-only memory. */
.Lreport:
    leaq .Lbase + STUB_DATA_OFF + DATA_TABLES(%rip), %r12
    movl $3, %r13d
1:  movzbl %bpl, %eax
    shrl $8, %ebp
    testl %eax, %eax
    jz 2f
    leaq (%r12, %rax, 8), %rsi
    movl REQ_REPORT_FD(%rbx), %edi
    movl $8, %edx
    movl $__NR_write, %eax
    syscall
2:  addq $DATA_TABLE_SIZE, %r12
    decl %r13d
    jnz 1b
    leaq .Lbase + STUB_DATA_OFF + DATA_DONE(%rip), %rsi
    movl REQ_REPORT_FD(%rbx), %edi
    movl $8, %edx
    movl $__NR_write, %eax
    syscall
g_seccomp_setup_end:
    jmp *%r14

/* --- guest thread ---------------------------------------------------------------------------------- */

/* Rings for the first time, and is kept until there are registers for it. */
.Lthread_start:
    movl $BELL_NR, %eax
    syscall
g_seccomp_start:
    jmp .Lrestore

/* Handler of all signals that guest code can cause, and of the kick: rdi, rsi, rdx as the kernel gives them
 * to handlers. */
g_seccomp_handler_bases:
    rdfsbase %r10
    rdgsbase %r8
g_seccomp_handler:
    movl $BELL_NR, %eax
    syscall
g_seccomp_bell:

/* rax: the slot, from the sentry. Negative: nobody listens any more, and the trap that follows is blocked
 * here, which ends the process. */
.Lrestore:
    movq %rax, %rbx
    testq %rbx, %rbx
    jle .Lend
    movl SLOT_HOW(%rbx), %ecx
    testl $SLOT_HOW_WRBASE, %ecx
    jz 1f
    movq SLOT_FS(%rbx), %rdx
    wrfsbase %rdx
    movq SLOT_GS(%rbx), %rdx
    wrgsbase %rdx
1:  testl $SLOT_HOW_PRCTL, %ecx
    jz 2f
    movl $ARCH_SET_FS, %edi
    movq SLOT_FS(%rbx), %rsi
    movl $__NR_arch_prctl, %eax
    syscall
g_seccomp_set_fs:
    movl $ARCH_SET_GS, %edi
    movq SLOT_GS(%rbx), %rsi
    movl $__NR_arch_prctl, %eax
    syscall
g_seccomp_set_gs:
2:  movl $RSEQ_AREA, %esi
    testl $SLOT_HOW_UNRSEQ, SLOT_HOW(%rbx)
    jz 3f
    movq SLOT_OLD(%rbx), %rdi
    movl $RSEQ_UNREGISTER, %edx
    movl SLOT_OLD_SIG(%rbx), %r10d
    movl $__NR_rseq, %eax
    syscall
g_seccomp_unrseq:
3:  testl $SLOT_HOW_RSEQ, SLOT_HOW(%rbx)
    jz 4f
    movq SLOT_RSEQ(%rbx), %rdi
    xorl %edx, %edx
    movl SLOT_RSEQ_SIG(%rbx), %r10d
    movl $__NR_rseq, %eax
    syscall
g_seccomp_rseq:
4:  movq SLOT_SP(%rbx), %rsp
    movl $__NR_rt_sigreturn, %eax
    syscall
g_seccomp_sigreturn:
.Lend:
    hlt
    jmp .Lend
g_seccomp_code_end:

    .section .note.GNU-stack, "", @progbits
