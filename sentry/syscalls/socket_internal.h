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

/* The header of a message and its vectors, copied in once: what runs later goes by what they were. */
struct socket_msg {
    uaddr_t at; /* the guest's, for results */
    struct lx_msghdr h;
    int32_t namelen; /* as the guest said, were there no name */
    size_t size;     /* of all vectors */
    struct lx_iovec iov[];
};
/* *out is malloc'ed. -EFAULT, -EINVAL, -EMSGSIZE, -ENOMEM. */
int MUST_CHECK socket_msg_in(uaddr_t at, struct socket_msg **out);
/* sendto(2); to may be NULL. */
long socket_sendto(int fd, uaddr_t buf, size_t len, uint32_t flags, const struct sockaddr_buf *to);
/* sendmsg(2) and recvmsg(2) without the first skip bytes. into: one buffer in place of the vectors,
 * or NULL. */
long socket_sendmsg(int fd, const struct socket_msg *msg, size_t skip, uint32_t flags);
long socket_recvmsg(int fd, const struct socket_msg *msg, size_t skip, uint32_t flags,
                    const struct lx_iovec *into);
/* One message into a buffer, behind a struct lx_io_uring_recvmsg_out, its name and its control
 * messages: bytes of all. *out_last: it was the end. */
long socket_recvmsg_out(int fd, const struct socket_msg *msg, uint32_t flags, struct lx_iovec into,
                        bool *out_last);
