/* SPDX-License-Identifier: Apache-2.0 */
/* Core files: what procfs reads and writes about them. core(5). */
#pragma once

#include "platform/base/compiler.h"

struct task;

enum { CORE_PATTERN_SIZE = 128 };

/* /proc/sys/kernel/core_pattern, without the newline. set: -EINVAL when it is too long. */
void coredump_pattern_get(char out[CORE_PATTERN_SIZE]);
int coredump_pattern_set(const char *text);
bool coredump_uses_pid(void);
void coredump_set_uses_pid(bool on);

/* Which kinds of mappings of t's process go into the file: bits of /proc/PID/coredump_filter. */
#define CORE_ANON_PRIVATE   0x01u
#define CORE_ANON_SHARED    0x02u
#define CORE_MAPPED_PRIVATE 0x04u
#define CORE_MAPPED_SHARED  0x08u
#define CORE_ELF_HEADERS    0x10u
#define CORE_FILTER_DEFAULT 0x33u
#define CORE_FILTER_MASK    0x1ffu
uint32_t coredump_filter(struct task *t);
void coredump_set_filter(struct task *t, uint32_t bits);
