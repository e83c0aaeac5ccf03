/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A donated host file whose pages are mapped into guests (MAP_SHARED of the host fd) and, in
 * windows, into the sentry. The host may truncate it at any time: sentry access goes through
 * uaccess's fault fix-up and yields -EFAULT, never a crash.
 */
#pragma once

#include "platform/base/compiler.h"

/* Lifetime: refcounted (hostmem_get/hostmem_put). Owns its fd. */
struct hostmem;

/* Takes fd over on success. writable: the fd is open for writing. */
int MUST_CHECK hostmem_new_take(int fd, bool writable, struct hostmem **out);
struct hostmem *hostmem_get(struct hostmem *h);
void hostmem_put(struct hostmem *h);
int hostmem_fd(const struct hostmem *h);
bool hostmem_writable(const struct hostmem *h);

struct iov_iter;
/* Copies up to size bytes at off into the iterator, from the sentry's own mapping of the file and
 * without a host call where that is there already; off + size is known to lie in the file. Returns
 * the bytes moved; fewer than size where the window ends, where the host took bytes away, where the
 * iterator's memory faults, or where no window is to be had: reading the descriptor tells.
 * may_evict: another file's window may go to make room. */
size_t hostmem_read(struct hostmem *h, uint64_t off, size_t size, bool may_evict,
                    struct iov_iter *dst);
