/* SPDX-License-Identifier: Apache-2.0 */
/* The vDSO as bytes. VDSO_FILE is the shared object that loader.cmake builds first. */
    .section .rodata
    .globl g_vdso_image
    .globl g_vdso_image_end
    .hidden g_vdso_image
    .hidden g_vdso_image_end
    .p2align 12
g_vdso_image:
    .incbin VDSO_FILE
g_vdso_image_end:
    .section .note.GNU-stack, "", @progbits
