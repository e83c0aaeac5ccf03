/* SPDX-License-Identifier: Apache-2.0 */
/* Host calls on donated sockets. The sentry and the gofer create none: no socket() here. */
#pragma once

#include <sys/socket.h>
#include <sys/types.h>

#include "platform/base/compiler.h"

ssize_t host_sendmsg(int fd, const struct msghdr *msg, int flags);
ssize_t host_recvmsg(int fd, struct msghdr *msg, int flags);
ssize_t host_send(int fd, const void *buf, size_t size, int flags);
int host_shutdown(int fd, int how);
