/* SPDX-License-Identifier: Apache-2.0 */
/* Host calls on the caller's own memory. */
#pragma once

#include <signal.h>
#include <sys/mman.h>
#include <sys/types.h>

#include "platform/base/compiler.h"

int host_memfd_create(const char *name, unsigned flags);
int host_mmap(void *addr, size_t size, int prot, int flags, int fd, int64_t off, void **out);
int host_munmap(void *addr, size_t size);
int host_madvise(void *addr, size_t size, int advice);
