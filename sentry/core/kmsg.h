/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sandbox's kernel log as guests see it: syslog(2). A ring of bytes; what is too old is
 * dropped by whole lines. Messages are about guest processes and never name anything of the host.
 */
#pragma once

#include "platform/base/compiler.h"

#define KMSG_SIZE 65536u
#define KMSG_WARN 4
#define KMSG_ERR  3

/* One line, without newline: "<level>[seconds] text". Any lock that ranks before LEAF. */
void kmsg_printf(int level, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* The newest whole lines that fit into size bytes; returns how many bytes. clear: later calls do
 * not see them any more (syslog's READ_CLEAR). */
size_t kmsg_read(char *buf, size_t size, bool clear);
void kmsg_clear(void);
/* /dev/kmsg's form of the record *seq, or of the oldest after it that is still there: then *seq is its number. 0: none yet. */
size_t kmsg_record(uint64_t *seq, char *buf, size_t size);
/* The number that the next record will have. */
uint64_t kmsg_end(void);
