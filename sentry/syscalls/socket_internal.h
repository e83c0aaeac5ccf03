/* SPDX-License-Identifier: Apache-2.0 */
/* What the socket system calls share. */
#pragma once

#include "sentry/fs/vfs.h"
#include "sentry/net/sock.h"

/* fd's socket: *out_file is +1, *out_sk borrowed from it. -EBADF, -ENOTSOCK. */
int MUST_CHECK socket_lookup(int fd, struct file **out_file, struct sock **out_sk);
/* Copies a guest address in. -EINVAL, -EFAULT. */
int MUST_CHECK sockaddr_in(uaddr_t addr, int len, struct sockaddr_buf *out);
/* Copies an address out with Linux's truncation rule: *len_addr gets the full length. */
int MUST_CHECK sockaddr_out(const struct sockaddr_buf *a, uaddr_t addr, uaddr_t len_addr);
/* recvmsg(2); into: one buffer in place of those that msg names, or NULL. */
struct lx_iovec;
long socket_recvmsg(int fd, uaddr_t msg, uint32_t flags, const struct lx_iovec *into);
