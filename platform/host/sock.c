/* SPDX-License-Identifier: Apache-2.0 */
/* Host calls on sockets; see sock.h. */
#include "platform/host/sock.h"

#include "platform/host/host_internal.h"

ssize_t host_sendmsg(int fd, const struct msghdr *msg, int flags)
{
    return raw3(SYS_sendmsg, fd, msg, flags);
}

ssize_t host_recvmsg(int fd, struct msghdr *msg, int flags)
{
    return raw3(SYS_recvmsg, fd, msg, flags);
}

ssize_t host_send(int fd, const void *buf, size_t size, int flags)
{
    return raw6(SYS_sendto, fd, RAW_ARG(buf), RAW_ARG(size), flags, 0, 0);
}

int host_shutdown(int fd, int how)
{
    return (int)raw2(SYS_shutdown, fd, how);
}

int host_socket(int family, int type, int protocol)
{
    return (int)raw3(SYS_socket, family, type, protocol);
}

int host_bind(int fd, const void *addr, unsigned size)
{
    return (int)raw3(SYS_bind, fd, addr, size);
}

int host_connect(int fd, const void *addr, unsigned size)
{
    return (int)raw3(SYS_connect, fd, addr, size);
}

int host_listen(int fd, int backlog)
{
    return (int)raw2(SYS_listen, fd, backlog);
}

int host_accept4(int fd, void *addr, unsigned *size, int flags)
{
    return (int)raw4(SYS_accept4, fd, addr, size, flags);
}

int host_getsockname(int fd, void *addr, unsigned *size)
{
    return (int)raw3(SYS_getsockname, fd, addr, size);
}

int host_getpeername(int fd, void *addr, unsigned *size)
{
    return (int)raw3(SYS_getpeername, fd, addr, size);
}

int host_setsockopt(int fd, int level, int name, const void *val, unsigned size)
{
    return (int)raw5(SYS_setsockopt, fd, level, name, val, size);
}

int host_getsockopt(int fd, int level, int name, void *val, unsigned *size)
{
    return (int)raw5(SYS_getsockopt, fd, level, name, val, size);
}

int host_sock_ioctl(int fd, unsigned cmd, void *arg)
{
    return (int)raw3(SYS_ioctl, fd, cmd, arg);
}

int host_epoll_ctl(int epfd, int op, int fd, struct epoll_event *event)
{
    return (int)raw4(SYS_epoll_ctl, epfd, op, fd, event);
}

int host_epoll_wait(int epfd, struct epoll_event *events, int max, int timeout_ms)
{
    return (int)raw4(SYS_epoll_wait, epfd, events, max, timeout_ms);
}
