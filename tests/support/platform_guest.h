/* SPDX-License-Identifier: Apache-2.0 */
/* Guest code of platform_contract.h: one entry point for each thing that guest code can do. */
#pragma once

#include <stdint.h>

enum { CODE = 0x400000, DATA = 0x800000, PAGE = 4096, DATA_PAGES = 64 };

/* Guest code. Entry points are offsets from guest_code. */
__asm__(".pushsection .rodata.guest, \"a\"\n"
        ".balign 4096\n"
        "guest_code:\n"
        "guest_calls: mov $39, %eax; syscall; jmp guest_calls\n"
        "guest_load: mov (%rdi), %rax; mov $1, %eax; syscall; jmp guest_load\n"
        "guest_compare: xor %edx, %edx; cmp %rsi, (%rdi); sete %dl; mov $5, %eax; syscall; jmp "
        "guest_compare\n"
        "guest_store: mov %rsi, (%rdi); mov $2, %eax; syscall; jmp guest_store\n"
        "guest_spin: incq (%rdi); pause; jmp guest_spin\n"
        "guest_count: incq (%rdi); jmp guest_count\n"
        "guest_int3: int3\n"
        "guest_ud: ud2\n"
        "guest_div: xor %ecx, %ecx; div %ecx\n"
        "guest_gp: hlt\n"
        "guest_in: in %dx, %al; hlt\n"
        "guest_int80: mov $20, %eax; int $0x80; hlt\n"
        "guest_ss: mov %ss, %eax; pushf; orl $0x100, (%rsp); popf; mov %eax, %ss; syscall; nop; "
        "jmp guest_ss\n"
        "guest_jump: jmp *%rdi\n"
        "guest_vsyscall: mov $0xffffffffff600400, %rax; call *%rax; mov $3, %eax; syscall\n"
        "guest_fpu: movq %xmm7, %rdi; movq %rsi, %xmm7; mov $4, %eax; syscall; jmp guest_fpu\n"
        "guest_code_end:\n"
        ".popsection\n");
extern const uint8_t guest_code[], guest_code_end[], guest_calls[], guest_load[], guest_store[],
    guest_compare[], guest_spin[], guest_count[], guest_int3[], guest_ud[], guest_div[], guest_gp[],
    guest_in[], guest_int80[], guest_jump[], guest_ss[], guest_vsyscall[], guest_fpu[];
