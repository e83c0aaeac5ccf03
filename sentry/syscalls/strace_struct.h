/* SPDX-License-Identifier: Apache-2.0 */
/* Decoders of guest structures for --strace: one per POINTER of syscall-table/kinds.def. */
#pragma once

#include "sentry/syscalls/strace_print.h"

struct lx_siginfo;

/* Prints the object(s) of the given kind at addr; count is the number of elements or bytes (what
 * the kind means by it), 1 for single objects. Falls back to the address. */
void sput_guest_object(struct strace_buf *b, enum strace_kind kind, enum strace_dir dir,
                       uaddr_t addr, uint64_t count);
/* {si_signo=..., ...} */
void sput_siginfo(struct strace_buf *b, const struct lx_siginfo *info);
/* [{WIFEXITED(s) && WEXITSTATUS(s) == 0}] without the brackets */
void sput_wstatus(struct strace_buf *b, int status);
void sput_timespec(struct strace_buf *b, int64_t sec, int64_t nsec);
/* iovec array; decode: also the bytes, at most limit of them in all. */
void sput_guest_iovec(struct strace_buf *b, uaddr_t addr, uint64_t count, bool decode,
                      uint64_t limit);
