/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What changed call sites run instead of a system call (sites.c): asks the sentry through the thread's slot
 * while it is looking there, else goes to the system call instruction. Guest code like any other: it has no
 * right that the guest lacks, all it reads and writes the guest can write too.
 *
 *   eax  the call's number; all arguments where a system call has them
 *   rcx  the address after the system call instruction
 *   gs   the thread's slot, or whatever the guest made of it
 *
 * A system call destroys rcx and r11; nothing else may be changed here, but for rax and flags, and no stack is
 * used. A signal may interrupt this at any instruction. The sentry then decides by the address, and by what
 * it knows of the request, whether the call has happened (settle.c, seccomp_site_settle):
 *
 *   before g_lane_number      rax is the number, rcx the address
 *   before g_lane_published   r11 is the number, rcx the address: the call has not happened
 *   before g_lane_closed      the request is in the slot: not happened if it is there still
 *   g_lane_closed, g_lane_jump    r11 is the number, rcx the address, at g_lane_jump two bytes before it
 *   from g_lane_any on        rax is the number, rcx the address
 *   g_lane_answered           rax is the result
 *
 * Sites that make calls of any number (syscall(3), Go) come in at g_lane_any, which finds the answers that other
 * entries have in themselves (site_code.c). Sites of futex(2) come in at g_lane_futex: a private FUTEX_WAKE returns
 * 0 when the sentry counts no waiter for a word like this. It has put the waiter into the count before it read the
 * word, and here the word was written before the count is read: one of the two sees the other.
 */
#include "platform/seccomp/layout.h"

    .section .rodata.stub, "a"
    .balign 16
    .globl g_lane_code, g_lane_number, g_lane_published, g_lane_bell, g_lane_closed, g_lane_jump
    .globl g_lane_any, g_lane_futex, g_lane_answered, g_lane_indices, g_lane_code_end
    .hidden g_lane_code, g_lane_number, g_lane_published, g_lane_bell, g_lane_closed, g_lane_jump
    .hidden g_lane_any, g_lane_futex, g_lane_answered, g_lane_indices, g_lane_code_end
g_lane_code:
.Lcode:                                  /* a local name needs no relocation */
    movl %eax, %r11d
g_lane_number:
    cmpl $LANE_MAGIC, %gs:SLOT_MAGIC
    jne g_lane_closed
    lock btrl $0, %gs:SLOT_LANE         /* OPEN -> CLOSED: ours */
    jnc g_lane_closed
    movl %r11d, %gs:SLOT_NR
    movq %rdi, %gs:SLOT_ARGS
    movq %rsi, %gs:SLOT_ARGS + 8
    movq %rdx, %gs:SLOT_ARGS + 16
    movq %r10, %gs:SLOT_ARGS + 24
    movq %r8, %gs:SLOT_ARGS + 32
    movq %r9, %gs:SLOT_ARGS + 40
    movq %rcx, %gs:SLOT_RIP
    movl $LANE_REQUEST, %gs:SLOT_LANE
g_lane_published:
    movl %gs:SLOT_SPINS, %r11d
1:  cmpl $LANE_REQUEST, %gs:SLOT_LANE
    jne 2f
    pause
    decl %r11d
    jg 1b
    movl $LANE_REQUEST, %eax
    movl $LANE_SLEEP, %r11d
    lock cmpxchgl %r11d, %gs:SLOT_LANE
    jne 2f
    movl $BELL_NR, %eax
    syscall
g_lane_bell:
2:  movq %gs:SLOT_RIP, %rcx
    movq %gs:SLOT_ARGS, %rax
    jmp *%rcx
g_lane_closed:
    movl %r11d, %eax
    subq $2, %rcx
g_lane_jump:
    jmp *%rcx

    .balign 16
g_lane_any:
    cmpl $LANE_MAGIC, %gs:SLOT_MAGIC
    jne .Lcode
    cmpq $ANSWER_NUMBERS, %rax          /* a number with more in its upper half asks */
    jae .Lfutex
    leaq .Lindices(%rip), %r11
    movzbl (%r11,%rax), %r11d
    movq %gs:SLOT_ANSWERS(,%r11,8), %r11
    testq %r11, %r11
    jns .Lcode
    notq %r11
    jmp .Lgive
.Lfutex:
    cmpq $LANE_FUTEX_NR, %rax
    jne .Lcode
g_lane_futex:
    cmpl $LANE_MAGIC, %gs:SLOT_MAGIC
    jne .Lcode
    cmpl $LANE_FUTEX_OP, %esi
    jne .Lcode
    testl $3, %edi
    jnz .Lcode
    movq %rdi, %r11
    shrq $16, %r11
    cmpq $0x7fffffff, %r11              /* the last addresses of all ask, too */
    jae .Lcode
    cmpq $0, %gs:SLOT_WAITERS
    je .Lcode
    lock orl $0, %gs:SLOT_NR            /* a full barrier */
    movl %edi, %r11d
    shrl $4, %r11d
    andl $WAIT_CLASS_MASK, %r11d        /* platform_wait_class, in bytes */
    addq %gs:SLOT_WAITERS, %r11
    cmpl $0, (%r11)
    jne .Lcode
    xorl %r11d, %r11d
.Lgive:
    movq %r11, %rax
g_lane_answered:
    jmp *%rcx
.Lindices:
g_lane_indices:                         /* filled in by sites.c */
    .fill ANSWER_NUMBERS, 1, ANSWER_NONE
g_lane_code_end:

    .section .note.GNU-stack, "", @progbits
