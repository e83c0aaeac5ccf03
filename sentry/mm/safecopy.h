/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory access that survives SIGSEGV and SIGBUS: the host may truncate a mapped file, or run out
 * of room for a page of the memory file, at any time. Every access of the sentry to bytes behind
 * memfile_ptr or a host window goes through these. uaccess_fault_init() must have run.
 *
 * The routines live in safecopy_x86_64.S; the signal handler recognises them by their address and
 * resumes at their fix-up, which returns the failure.
 */
#pragma once

#include "platform/base/compiler.h"

/* Bytes NOT copied: 0 means all. */
size_t MUST_CHECK safe_memcpy(void *dst, const void *src, size_t size);
/* Bytes NOT set. */
size_t MUST_CHECK safe_memset(void *dst, int c, size_t size);
/* Copies up to and including the first NUL, at most size bytes. Returns bytes NOT consumed of size
 * (size - copied); *out_state: 0 no NUL within size, 1 NUL copied, 2 fault. */
size_t safe_strcpy(char *dst, const char *src, size_t size, int *out_state);
/* 0, or -EFAULT. Aligned words. */
int MUST_CHECK safe_load32(const uint32_t *p, uint32_t *out);
/* *old is compared and replaced by what was there. 0, or -EFAULT. */
int MUST_CHECK safe_cmpxchg32(uint32_t *p, uint32_t *old, uint32_t want);
/* One read (write) access that faults the host page in. 0, or -EFAULT. */
int MUST_CHECK safe_touch(const void *p);

/* Installs the SIGSEGV/SIGBUS handler of the process. Boot, before the first guest copy. */
int uaccess_fault_init(void);
