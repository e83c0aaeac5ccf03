/* SPDX-License-Identifier: Apache-2.0 */
/* Decoders of guest objects whose length the call tells: arrays, vectors, messages, sets. */
#pragma once

#include "sentry/syscalls/strace_print.h"

/* kind: one without a fixed size. addr is not 0. */
void sput_guest_array(struct strace_buf *b, enum strace_kind kind, enum strace_dir dir,
                      uaddr_t addr, uint64_t count);
/* {msg_name=..., msg_iov=[...], ...}; decode: also the bytes. */
void sput_guest_msghdr(struct strace_buf *b, uaddr_t addr, bool decode, uint64_t limit);
/* What poll left in fds: [{fd=3, revents=POLLIN}]. */
void sput_guest_revents(struct strace_buf *b, uaddr_t addr, uint64_t count);
/* The set bits below nfds of an fd_set: [0 3]. */
void sput_guest_fdset(struct strace_buf *b, uaddr_t addr, uint64_t nfds);
