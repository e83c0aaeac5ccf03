/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Host calls on sockets. The first group works on donated sockets and is for every process. The
 * second makes sockets and asks them for readiness: only the filter of a sentry that runs with
 * --network=host (role hostnet) lets it through.
 */
#pragma once

#include <stdint.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/types.h>

#include "platform/base/compiler.h"

ssize_t host_sendmsg(int fd, const struct msghdr *msg, int flags);
ssize_t host_recvmsg(int fd, struct msghdr *msg, int flags);
ssize_t host_send(int fd, const void *buf, size_t size, int flags);
int host_shutdown(int fd, int how);

/* ---- --network=host ---- */
int host_socket(int family, int type, int protocol);
int host_bind(int fd, const void *addr, unsigned size);
int host_connect(int fd, const void *addr, unsigned size);
int host_listen(int fd, int backlog);
int host_accept4(int fd, void *addr, unsigned *size, int flags);
int host_getsockname(int fd, void *addr, unsigned *size);
int host_getpeername(int fd, void *addr, unsigned *size);
int host_setsockopt(int fd, int level, int name, const void *val, unsigned size);
int host_getsockopt(int fd, int level, int name, void *val, unsigned *size);
/* The numbers that host.tbl lists; arg points to what the call reads or writes. */
int host_sock_ioctl(int fd, unsigned cmd, void *arg);
int host_epoll_ctl(int epfd, int op, int fd, struct epoll_event *event);
int host_epoll_wait(int epfd, struct epoll_event *events, int max, int timeout_ms);
