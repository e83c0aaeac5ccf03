/* SPDX-License-Identifier: Apache-2.0 */
/* How a process becomes a stub: what a master does between fork and its jump into stub code. */
#pragma once

#include <stdatomic.h>

#include "platform/base/compiler.h"
#include "platform/host/seccomp.h"
#include "sentry/abi/types.h"

/* Sanitizers make system calls of their own before calls that do not return. */
#define NO_SANITIZER                                                                               \
    __attribute__((no_sanitize("address"), no_sanitize("undefined"), no_sanitize("thread")))

/* The lowest address the host lets an unprivileged process map. */
uaddr_t stub_guest_low(void);

/* A sealed memory file with image, filled up to whole pages with int3. */
int MUST_CHECK stub_image_file(const uint8_t *image, size_t size);

/* In the forked child, raw system calls only: own session, default signal actions, no alternate
 * stack, empty mask, no rseq, no capabilities, the name "stub". *out_stage names what failed. */
int MUST_CHECK stub_drop_rights(const char *volatile *out_stage);

/* A filter that applies f to calls whose instruction lies in [start, end) (one 4 GiB block), and
 * action to all others. Returns the length. */
unsigned stub_filter_build(struct sock_filter *code, const struct host_filter *f, uaddr_t start,
                           uaddr_t end, uint32_t action);
int MUST_CHECK stub_filter_install(const struct host_filter *f, uaddr_t start, uaddr_t end,
                                   uint32_t action);
