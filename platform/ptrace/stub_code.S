/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The code of a stub process: the only instructions in a guest address space that may make real host
 * calls. Position independent, uses registers only, no stack, no data: the guest may have any
 * memory layout and any FPU state. It runs only while the sentry holds the process outside of
 * PTRACE_SYSEMU; a guest that jumps here makes guest system calls like anywhere else.
 *
 * It is linked as read-only data of the sentry, which copies it into a sealed memory file.
 */
#include <asm/unistd.h>

#include "platform/ptrace/layout.h"

#define PR_SET_PDEATHSIG 1
#define SIGKILL          9

    .section .rodata.stub, "a"
    .balign 16
    .globl g_stub_code, g_stub_code_end
    .globl g_stub_park, g_stub_park_end, g_stub_batch, g_stub_call, g_stub_call_end, g_stub_clone
    .globl g_stub_first, g_stub_clone_end, g_stub_batch_end
    .globl g_stub_pair, g_stub_pair_end, g_stub_pair_fail_end
    .hidden g_stub_pair, g_stub_pair_end, g_stub_pair_fail_end
    .hidden g_stub_code, g_stub_code_end
    .hidden g_stub_park, g_stub_park_end, g_stub_batch, g_stub_call, g_stub_call_end, g_stub_clone
    .hidden g_stub_first, g_stub_clone_end, g_stub_batch_end
g_stub_code:

/* First instructions of the master stub: rdi, rsi: below the stub; r12, r13: above it. */
g_stub_first:
    movl $__NR_munmap, %eax
    syscall
    testq %rax, %rax
    jnz .Ldie
    movq %r12, %rdi
    movq %r13, %rsi
    movl $__NR_munmap, %eax
    syscall
    testq %rax, %rax
    jz .Lpark_enter
.Ldie:
    movl $1, %edi
    movl $__NR_exit, %eax
    syscall
    ud2

/* A stub without a tracer waits here. It dies with the sentry even outside a pid namespace. */
.Lpark_enter:
    movl $PR_SET_PDEATHSIG, %edi
    movl $SIGKILL, %esi
    xorl %edx, %edx
    xorl %r10d, %r10d
    xorl %r8d, %r8d
    movl $__NR_prctl, %eax
    syscall
g_stub_park:
    movl $__NR_pause, %eax
    syscall
    jmp g_stub_park
g_stub_park_end:
    ud2

/* The ud2 behind each _end keeps it apart from the next entry: a stop at _end says that the int3 in
 * front of it was executed, and a stub that is stopped by a signal before its first instruction must
 * not look like one that has finished. */

/* rax, rdi, rsi, rdx, r10, r8, r9: one system call; result in rax. */
g_stub_call:
    syscall
    int3
g_stub_call_end:
    ud2

/* Two system calls: the second one's number and arguments are in rbx, r12, r13, r14, r15, rbp, rsp (in
 * the order of the first). Stops at the failure if the first fails. */
g_stub_pair:
    syscall
    cmpq $-4095, %rax
    jae 1f
    movq %rbx, %rax
    movq %r12, %rdi
    movq %r13, %rsi
    movq %r14, %rdx
    movq %r15, %r10
    movq %rbp, %r8
    movq %rsp, %r9
    syscall
    testq %rax, %rax
    jnz 2f
    cmpl $__NR_clone, %ebx
    je .Lpark_enter             /* the child */
2:
    int3
g_stub_pair_end:
1:
    int3
g_stub_pair_fail_end:
    ud2

/* clone; the child parks. */
g_stub_clone:
    syscall
    testq %rax, %rax
    jz .Lpark_enter
    int3
g_stub_clone_end:
    ud2

/* r12: first request, r13: end of requests. Stops at the first that fails: r12 points to it, rax is
 * its result. r12 == r13: all done. */
g_stub_batch:
    cmpq %r13, %r12
    jae 1f
    movl REQUEST_NR(%r12), %eax
    movq REQUEST_ADDR(%r12), %rdi
    movq REQUEST_LEN(%r12), %rsi
    movl REQUEST_PROT(%r12), %edx
    movl REQUEST_FLAGS(%r12), %r10d
    movslq REQUEST_FD(%r12), %r8
    movq REQUEST_OFF(%r12), %r9
    syscall
    cmpq $-4095, %rax
    jae 1f
    addq $REQUEST_SIZE, %r12
    jmp g_stub_batch
1:
    int3
g_stub_batch_end:
g_stub_code_end:

    .section .note.GNU-stack, "", @progbits
