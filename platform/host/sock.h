/* SPDX-License-Identifier: Apache-2.0 */
/* Host calls on donated sockets. The sentry and the gofer create none: no socket() here. */
#pragma once

#include <sys/socket.h>
#include <sys/types.h>

#include "platform/base/compiler.h"

ssize_t host_sendmsg(int fd, const struct msghdr *msg, int flags);
ssize_t host_recvmsg(int fd, struct msghdr *msg, int flags);
ssize_t host_send(int fd, const void *buf, size_t size, int flags);
ssize_t host_recv(int fd, void *buf, size_t size, int flags);
int host_socketpair(int domain, int type, int protocol, int out_fds[2]);
int host_accept4(int fd, int flags);
int host_shutdown(int fd, int how);
int host_getsockopt(int fd, int level, int name, void *buf, socklen_t *size);
