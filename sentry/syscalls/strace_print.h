/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Text building for --strace: a bounded buffer, and how numbers, names and strings look. Decoders
 * in strace_struct.c and strace_args.c are made of these.
 */
#pragma once

#include "platform/base/compiler.h"
#include "sentry/abi/types.h"
#include "sentry/syscalls/strace_desc.h"

#define STRACE_STRING_MAX 32 /* bytes of a string or buffer shown, as strace -s */
#define STRACE_ARRAY_MAX  32 /* elements of an array shown */

/* A string that grows up to its capacity and then stays as it is. */
struct strace_buf {
    char *data;
    size_t len, cap; /* data[len] is always 0; len < cap */
};

void sput(struct strace_buf *b, const char *s);
void sputc(struct strace_buf *b, char c);
void sprint(struct strace_buf *b, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* NULL or 0x... */
void sput_addr(struct strace_buf *b, uint64_t addr);
/* "text"... with escapes; more: bytes were left out. */
void sput_quoted(struct strace_buf *b, const void *data, size_t size, bool more);
/* A|B|0x40, or a number when nothing has a name; a lone 0 prints as 0. */
void sput_flags(struct strace_buf *b, const struct strace_flagset *set, uint64_t v);
/* The name of a value, or NULL. */
const char *strace_flag_name(const struct strace_flagset *set, uint64_t v);
void sput_signal(struct strace_buf *b, int signo);
/* [INT CHLD], or ~[...] when that is shorter. */
void sput_sigset(struct strace_buf *b, uint64_t mask);
void sput_mode(struct strace_buf *b, uint32_t mode);
/* makedev(0x8, 0x1) of user space's encoding. */
void sput_dev(struct strace_buf *b, uint64_t dev);
void sput_fd(struct strace_buf *b, int fd);

/* Guest strings and memory at addr. */
void sput_guest_str(struct strace_buf *b, uaddr_t addr);
void sput_guest_bytes(struct strace_buf *b, uaddr_t addr, uint64_t size);
/* {sa_family=AF_UNIX, ...} of size bytes at addr. */
void sput_guest_sockaddr(struct strace_buf *b, uaddr_t addr, uint64_t size);
