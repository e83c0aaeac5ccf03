/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The routines of safecopy.h. Each instruction that may fault lies between the start and end label
 * of an entry of safecopy_table {start, end, fixup}; the handler in safecopy.c continues at fixup
 * with all other registers as they were, so rcx always holds the bytes left to do.
 */
    .text

#define ENTRY(name)                                                            \
    .globl name;                                                               \
    .hidden name;                                                              \
    .type name, @function;                                                     \
    .p2align 4;                                                                \
name:                                                                          \
    endbr64

/* size_t safe_memcpy(void *dst /rdi/, const void *src /rsi/, size_t size /rdx/) */
ENTRY(safe_memcpy)
    mov %rdx, %rcx
    cmp $128, %rdx
    ja 3f
memcpy_start:
1:  cmp $8, %rcx
    jb 2f
    mov (%rsi), %rax
    mov %rax, (%rdi)
    add $8, %rsi
    add $8, %rdi
    sub $8, %rcx
    jmp 1b
2:  test %rcx, %rcx
    jz memcpy_done
    movb (%rsi), %al
    movb %al, (%rdi)
    inc %rsi
    inc %rdi
    dec %rcx
    jmp 2b
3:  rep movsb
memcpy_end:
memcpy_done:
    mov %rcx, %rax
    ret
    .size safe_memcpy, . - safe_memcpy

/* size_t safe_memset(void *dst /rdi/, int c /esi/, size_t size /rdx/) */
ENTRY(safe_memset)
    mov %rdx, %rcx
    mov %esi, %eax
memset_start:
    rep stosb
memset_end:
    mov %rcx, %rax
    ret
    .size safe_memset, . - safe_memset

/* size_t safe_strcpy(char *dst /rdi/, const char *src /rsi/, size_t size /rdx/, int *state /rcx/) */
ENTRY(safe_strcpy)
    mov %rcx, %r8
    mov %rdx, %rcx
    movl $0, (%r8)
strcpy_start:
1:  test %rcx, %rcx
    jz 3f
    movb (%rsi), %al
    movb %al, (%rdi)
    dec %rcx
    test %al, %al
    jz 2f
    inc %rsi
    inc %rdi
    jmp 1b
strcpy_end:
2:  movl $1, (%r8)
3:  mov %rcx, %rax
    ret
strcpy_fixup:
    movl $2, (%r8)
    jmp 3b
    .size safe_strcpy, . - safe_strcpy

/* int safe_load32(const uint32_t *p /rdi/, uint32_t *out /rsi/) */
ENTRY(safe_load32)
load_start:
    mov (%rdi), %eax
load_end:
    mov %eax, (%rsi)
    xor %eax, %eax
    ret
    .size safe_load32, . - safe_load32

/* int safe_cmpxchg32(uint32_t *p /rdi/, uint32_t *old /rsi/, uint32_t want /edx/) */
ENTRY(safe_cmpxchg32)
    mov (%rsi), %eax
cmpxchg_start:
    lock cmpxchgl %edx, (%rdi)
cmpxchg_end:
    mov %eax, (%rsi)
    xor %eax, %eax
    ret
    .size safe_cmpxchg32, . - safe_cmpxchg32

/* int safe_touch(const void *p /rdi/) */
ENTRY(safe_touch)
touch_start:
    movb (%rdi), %al
touch_end:
    xor %eax, %eax
    ret
    .size safe_touch, . - safe_touch

efault_fixup:
    mov $-14, %eax
    ret

    .section .data.rel.ro, "aw"
    .globl safecopy_table
    .hidden safecopy_table
    .globl safecopy_table_end
    .hidden safecopy_table_end
    .p2align 3
safecopy_table:
    .quad memcpy_start, memcpy_end, memcpy_done
    .quad memset_start, memset_end, memset_end
    .quad strcpy_start, strcpy_end, strcpy_fixup
    .quad load_start, load_end, efault_fixup
    .quad cmpxchg_start, cmpxchg_end, efault_fixup
    .quad touch_start, touch_end, efault_fixup
safecopy_table_end:
    .section .note.GNU-stack, "", @progbits
