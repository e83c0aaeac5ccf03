/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where things are in the virtual machine.
 *
 * Guest physical memory is one region of the sentry's address space, so both kinds of address
 * differ by a constant. Its first GiB, one slot, holds page tables and CPU pages; the rest is cut
 * into units that show parts of files (memory.c), a slot for each GiB that is in use.
 *
 * The upper half of every guest address space has the same supervisor pages, for ring 0:
 *
 *   KERNEL_BASE + 0       code: nothing but hlt. Where one stands says why ring 3 ended.
 *   KERNEL_BASE + 0x1000  interrupt descriptors
 *   KERNEL_BASE + 0x2000  CPU pages: segment descriptors, task state, and the stack that exceptions push
 *                         their frame on; one for each virtual CPU
 *
 * Guest code may have all of the lower half.
 */
#pragma once

#include "platform/base/compiler.h"
#include "sentry/abi/types.h"

#define SLOT_SIZE    (1ul << 30)
#define TABLES_SIZE  SLOT_SIZE
#define MEMORY_SIZE  (256 * SLOT_SIZE)
#define UNIT_SIZE    (2ul << 20)
#define UNIT_PAGES   (UNIT_SIZE / LX_PAGE_SIZE)
#define UNIT_FIRST   (TABLES_SIZE / UNIT_SIZE)
#define UNIT_COUNT   (MEMORY_SIZE / UNIT_SIZE)
#define TABLES_PAGES (TABLES_SIZE / LX_PAGE_SIZE)
#define SLOT_TABLES  0u /* the number of the slot */

#define KERNEL_BASE 0xffffff8000000000ul
#define KERNEL_CODE KERNEL_BASE
#define KERNEL_IDT  (KERNEL_BASE + 0x1000)
#define KERNEL_CPUS (KERNEL_BASE + 0x2000)

enum {
    VCPUS_MAX = 1024,
    /* In the code page. */
    ENTRY_SYSCALL = 0,
    ENTRY_SYSCALL32 = 0x10,
    ENTRY_VECTOR = 0x100, /* + vector * ENTRY_VECTOR_STEP */
    ENTRY_VECTOR_STEP = 16,
    VECTOR_COUNT = 32, /* the others are what `int n` asks for: #GP */
    /* In a CPU page. */
    CPU_GDT = 0,
    CPU_TSS = 0x100,
    CPU_STACK_TOP = 0x1000,
    CPU_STACK_LOW = 0x800,
    /* Selectors: those of rings 3 are Linux's. */
    KERNEL_CS = 0x10,
    KERNEL_SS = 0x18,
    USER32_CS = 0x23,
    USER_SS = 0x2b,
    USER64_CS = 0x33,
    TSS_SELECTOR = 0x40,
    CPU_NODE_SELECTOR = 0x7b, /* its limit is the number of the CPU: lsl */
    GDT_ENTRIES = 16,
    SYSRET_BASE = 0x23, /* sysret adds 16 for cs, 8 for ss */
};

/* Page table entries. */
#define PTE_P      1ul
#define PTE_RW     2ul
#define PTE_US     4ul
#define PTE_A      0x20ul
#define PTE_D      0x40ul
#define PTE_NOEXEC (1ul << 63)
#define PTE_BAD    0x200ul /* not present: the host had no page here */
#define PTE_FRAME  0x000ffffffffff000ul
